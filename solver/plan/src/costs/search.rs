//! The cheapest path from cell to cell, exactly.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::CostMap;
use crate::free_space::FreeSpace;
use crate::map::MapCell;

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
const MOVES: [(i64, i64); 8] = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)];

/// The cheapest path in eight directions over free cells, both ends included, and its cost in cells of free ground; `None`
/// if there is none. A move costs its length in the mean of both cells' weights; a diagonal one needs both cells beside it
/// free. By A* over arrays: with costs it looks at most of a map, where a search that keeps a map of cells is five times as
/// slow.
pub(crate) fn cheapest_path(
    space: &FreeSpace,
    costs: &CostMap,
    from: MapCell,
    to: MapCell,
) -> Option<(Vec<MapCell>, f64)> {
    if !space.is_free(from) || !space.is_free(to) {
        return None;
    }
    let (width, height) = (space.width(), space.height());
    let index = |cell: MapCell| cell.y * width + cell.x;
    // No metre costs less than itself, so that the octile distance is never too much.
    let at_least = |x: usize, y: usize| {
        let (dx, dy) = (x.abs_diff(to.x) as f32, y.abs_diff(to.y) as f32);
        dx.max(dy) + (std::f32::consts::SQRT_2 - 1.0) * dx.min(dy)
    };
    let mut cost = vec![f32::INFINITY; width * height];
    // The move by which a cell was reached.
    let mut came_by = vec![u8::MAX; width * height];
    let mut is_done = vec![false; width * height];
    let mut open = BinaryHeap::new();
    cost[index(from)] = 0.0;
    open.push(Reverse(Open { at_least: at_least(from.x, from.y), cell: index(from) as u32 }));
    while let Some(Reverse(Open { cell, .. })) = open.pop() {
        let here = cell as usize;
        if std::mem::replace(&mut is_done[here], true) {
            continue;
        }
        if here == index(to) {
            break;
        }
        let (x, y) = (here % width, here / width);
        let is_free = |dx: i64, dy: i64| space.is_free_at(x as i64 + dx, y as i64 + dy);
        for (number, (dx, dy)) in (0..).zip(MOVES) {
            let is_diagonal = dx != 0 && dy != 0;
            if !is_free(dx, dy) || (is_diagonal && !(is_free(dx, 0) && is_free(0, dy))) {
                continue;
            }
            let (x, y) = (x.wrapping_add_signed(dx as isize), y.wrapping_add_signed(dy as isize));
            let next = y * width + x;
            let length = if is_diagonal { std::f32::consts::SQRT_2 } else { 1.0 };
            let through = cost[here] + length * f32::midpoint(costs.weights[here], costs.weights[next]);
            if through < cost[next] {
                (cost[next], came_by[next]) = (through, number);
                open.push(Reverse(Open { at_least: through + at_least(x, y), cell: next as u32 }));
            }
        }
    }
    if !is_done[index(to)] {
        return None;
    }
    let mut path = vec![to];
    let mut here = to;
    while here != from {
        let (dx, dy) = MOVES[usize::from(came_by[index(here)])];
        here = MapCell { x: here.x.wrapping_add_signed(-dx as isize), y: here.y.wrapping_add_signed(-dy as isize) };
        path.push(here);
    }
    path.reverse();
    Some((path, f64::from(cost[index(to)])))
}

#[cfg(test)]
mod tests {
    use pathfinding::directed::dijkstra::dijkstra;
    use proptest::prelude::*;

    use super::*;
    use crate::costs::{CostOptions, Mask, MaskKind};
    use crate::{OccupancyMap, Pose, Robot};

    /// The cost by another library's search, in whole numbers.
    fn reference(space: &FreeSpace, costs: &CostMap, from: MapCell, to: MapCell) -> Option<f64> {
        const UNIT: f64 = 1e6;
        let successors = |&(x, y): &(i64, i64)| {
            let weight = |x: i64, y: i64| costs.weight(MapCell { x: x as usize, y: y as usize });
            let open = MOVES.into_iter().filter(move |&(dx, dy)| {
                space.is_free_at(x + dx, y + dy) && space.is_free_at(x + dx, y) && space.is_free_at(x, y + dy)
            });
            open.map(|(dx, dy)| {
                let length = f64::from((dx * dx + dy * dy) as u32).sqrt();
                let cost = UNIT * length * f64::midpoint(weight(x, y), weight(x + dx, y + dy));
                ((x + dx, y + dy), cost.round() as u64)
            })
            .collect::<Vec<_>>()
        };
        let place = |cell: MapCell| (cell.x as i64, cell.y as i64);
        dijkstra(&place(from), successors, |&at| at == place(to)).map(|(_, cost)| cost as f64 / UNIT)
    }

    proptest! {
        #[test]
        fn no_path_is_cheaper(
            (width, cells) in (2_usize..16, 2_usize..16).prop_flat_map(|(width, height)| (
                Just(width),
                proptest::collection::vec((prop_oneof![5 => Just(0_i8), 1 => Just(100_i8)], 0..=100_i8), width * height),
            )),
        ) {
            let size = (width, cells.len() / width);
            let map = |values| OccupancyMap::new("a test", size, 1.0, Pose::default(), values).expect("a map");
            let (walls, levels) = cells.into_iter().unzip();
            let walls = map(walls);
            let robot = Robot { radius: 0.0, ..Robot::default() };
            let mut space = FreeSpace::new(&walls, &robot).expect("free space");
            let masks = vec![Mask::new(map(levels), MaskKind::Level).expect("a mask")];
            let costs = CostMap::new(&walls, &space, &robot, &CostOptions { masks, ..CostOptions::default() }).expect("costs");
            costs.forbid_in(&mut space);
            let (from, to) = (MapCell { x: 0, y: 0 }, MapCell { x: size.0 - 1, y: size.1 - 1 });
            let found = cheapest_path(&space, &costs, from, to);
            let expected = if space.is_free(from) && space.is_free(to) { reference(&space, &costs, from, to) } else { None };
            match (found, expected) {
                (None, None) => {}
                (Some((path, cost)), Some(expected)) => {
                    prop_assert!((cost - expected).abs() < 1e-3 * expected.max(1.0), "{} {}", cost, expected);
                    prop_assert_eq!((path[0], path[path.len() - 1]), (from, to));
                    let middle = |cell: MapCell| (cell.x as f64 + 0.5, cell.y as f64 + 0.5);
                    let along: f64 = path.windows(2).map(|pair| costs.of_line(middle(pair[0]), middle(pair[1]))).sum();
                    prop_assert!((along - cost).abs() < 1e-3 * cost.max(1.0), "{} {}", along, cost);
                }
                both => prop_assert!(false, "{both:?}"),
            }
        }
    }
}
