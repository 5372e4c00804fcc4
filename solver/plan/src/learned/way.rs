//! The direction of the shortest way to a goal, from everywhere.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The direction in which the shortest way to a goal goes on, for each cell of a grid, as a vector of length 1; zeros in cells
/// that are not free, that no way leads from, and at the goal. It is the slope of the distance to the goal, by moves in eight
/// directions.
pub(super) fn way(is_free: &[bool], width: usize, goal: usize) -> Vec<[f32; 2]> {
    let distances = distances(is_free, width, goal);
    let height = is_free.len() / width;
    let at = |x: usize, y: usize, here: f32| {
        let found = distances[y * width + x];
        if found.is_finite() { found } else { here }
    };
    let direction = |index: usize| {
        let (x, y, here) = (index % width, index / width, distances[index]);
        if !here.is_finite() {
            return [0.0, 0.0];
        }
        let left = at(x.saturating_sub(1), y, here);
        let right = at((x + 1).min(width - 1), y, here);
        let below = at(x, y.saturating_sub(1), here);
        let above = at(x, (y + 1).min(height - 1), here);
        let (dx, dy) = (left - right, below - above);
        let length = dx.hypot(dy);
        if length > 0.0 { [dx / length, dy / length] } else { [0.0, 0.0] }
    };
    (0..is_free.len()).map(direction).collect()
}

/// Cells to the goal from each cell; infinite where there is no way.
fn distances(is_free: &[bool], width: usize, goal: usize) -> Vec<f32> {
    let height = is_free.len() / width;
    let mut distances = vec![f32::INFINITY; is_free.len()];
    if !is_free[goal] {
        return distances;
    }
    distances[goal] = 0.0;
    // Distances are not negative: their bits are in their order.
    let mut open = BinaryHeap::from([Reverse((0_u32, goal))]);
    while let Some(Reverse((bits, here))) = open.pop() {
        if bits > distances[here].to_bits() {
            continue;
        }
        let (x, y) = ((here % width) as i64, (here / width) as i64);
        let free = |x: i64, y: i64| {
            let inside = x >= 0 && y >= 0 && x < width as i64 && y < height as i64;
            inside.then(|| y as usize * width + x as usize).filter(|&at| is_free[at])
        };
        for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)] {
            let is_diagonal = dx != 0 && dy != 0;
            let Some(next) = free(x + dx, y + dy) else { continue };
            if is_diagonal && (free(x + dx, y).is_none() || free(x, y + dy).is_none()) {
                continue;
            }
            let through = distances[here] + if is_diagonal { std::f32::consts::SQRT_2 } else { 1.0 };
            if through < distances[next] {
                distances[next] = through;
                open.push(Reverse((through.to_bits(), next)));
            }
        }
    }
    distances
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_goes_around_a_wall() {
        // The wall in the middle column leaves the top row open.
        let rows = ["...", ".#.", ".#."];
        let is_free: Vec<bool> = rows.iter().rev().flat_map(|row| row.bytes().map(|byte| byte == b'.')).collect();
        let way = way(&is_free, 3, 2);
        let is = |found: [f32; 2], expected: [f32; 2]| (found[0] - expected[0]).hypot(found[1] - expected[1]) < 1e-6;
        assert!(is(way[0], [0.0, 1.0]), "up from the start: {:?}", way[0]);
        assert!(way[6][0] > 0.0, "to the right at the top: {:?}", way[6]);
        assert!(way[8][1] < 0.0, "down behind the wall: {:?}", way[8]);
        assert!(is(way[1], [0.0, 0.0]), "in the wall: {:?}", way[1]);
    }
}
