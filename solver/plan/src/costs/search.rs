//! The cheapest path over free space, exactly.

use super::CostMap;
use crate::cheapest::cheapest;
use crate::free_space::FreeSpace;
use crate::map::MapCell;

/// The cheapest path in eight directions over free cells, both ends included, and its cost in cells of free ground; `None`
/// if there is none.
pub(crate) fn cheapest_path(
    space: &FreeSpace,
    costs: &CostMap,
    from: MapCell,
    to: MapCell,
) -> Option<(Vec<MapCell>, f64)> {
    if !space.is_free(from) || !space.is_free(to) {
        return None;
    }
    let width = space.width();
    let index = |cell: MapCell| cell.y * width + cell.x;
    let (path, cost) =
        cheapest((width, space.height()), |cell| space.is_free_index(cell), &costs.weights, index(from), index(to))?;
    Some((path.into_iter().map(|cell| MapCell { x: cell % width, y: cell / width }).collect(), cost))
}

#[cfg(test)]
mod tests {
    use pathfinding::directed::dijkstra::dijkstra;
    use proptest::prelude::*;

    use super::*;
    use crate::cheapest::MOVES;
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
