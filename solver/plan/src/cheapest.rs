//! The cheapest path from cell to cell of a grid, exactly.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A cell to look at, by the least cost of a path through it.
#[derive(PartialEq)]
struct Open {
    at_least: f32,
    cell: u32,
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at_least.total_cmp(&other.at_least).then(self.cell.cmp(&other.cell))
    }
}

/// Moves in eight directions.
pub(crate) const MOVES: [(i64, i64); 8] = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)];

/// The cheapest path in eight directions over free cells, both ends included, and its cost; `None` if there is none. Cells are
/// numbered row by row; a metre through one costs its weight, 1 at least.
///
/// A move costs its length in the mean of both cells' weights; a diagonal one needs both cells beside it free. By A* over
/// arrays: with costs it looks at most of a map, where a search that keeps a map of cells is five times as slow.
pub(crate) fn cheapest(
    (width, height): (usize, usize),
    is_free: impl Fn(usize) -> bool,
    weights: &[f32],
    from: usize,
    to: usize,
) -> Option<(Vec<usize>, f64)> {
    let (to_x, to_y) = (to % width, to / width);
    // No metre costs less than itself, so that the octile distance is never too much.
    let at_least = |x: usize, y: usize| {
        let (dx, dy) = (x.abs_diff(to_x) as f32, y.abs_diff(to_y) as f32);
        dx.max(dy) + (std::f32::consts::SQRT_2 - 1.0) * dx.min(dy)
    };
    let mut cost = vec![f32::INFINITY; width * height];
    // The move by which a cell was reached.
    let mut came_by = vec![u8::MAX; width * height];
    let mut is_done = vec![false; width * height];
    let mut open = BinaryHeap::new();
    cost[from] = 0.0;
    open.push(Reverse(Open { at_least: at_least(from % width, from / width), cell: from as u32 }));
    while let Some(Reverse(Open { cell, .. })) = open.pop() {
        let here = cell as usize;
        if std::mem::replace(&mut is_done[here], true) {
            continue;
        }
        if here == to {
            break;
        }
        let (x, y) = ((here % width) as i64, (here / width) as i64);
        let is_open = |dx: i64, dy: i64| {
            let (x, y) = (x + dx, y + dy);
            let is_inside = x >= 0 && y >= 0 && x < width as i64 && y < height as i64;
            is_inside && is_free(y as usize * width + x as usize)
        };
        for (number, (dx, dy)) in (0..).zip(MOVES) {
            let is_diagonal = dx != 0 && dy != 0;
            if !is_open(dx, dy) || (is_diagonal && !(is_open(dx, 0) && is_open(0, dy))) {
                continue;
            }
            let (x, y) = ((x + dx) as usize, (y + dy) as usize);
            let next = y * width + x;
            let length = if is_diagonal { std::f32::consts::SQRT_2 } else { 1.0 };
            let through = cost[here] + length * f32::midpoint(weights[here], weights[next]);
            if through < cost[next] {
                (cost[next], came_by[next]) = (through, number);
                open.push(Reverse(Open { at_least: through + at_least(x, y), cell: next as u32 }));
            }
        }
    }
    if !is_done[to] {
        return None;
    }
    let mut path = vec![to];
    let mut here = to;
    while here != from {
        let (dx, dy) = MOVES[usize::from(came_by[here])];
        here = here.wrapping_add_signed(-(dy as isize) * width as isize - dx as isize);
        path.push(here);
    }
    path.reverse();
    Some((path, f64::from(cost[to])))
}
