//! Exact search on the map itself, cell by cell. Plans are compared with it.

use pathfinding::directed::astar::astar;
use pathfinding::directed::dijkstra::dijkstra;

use super::free_space::FreeSpace;
use super::map::MapCell;

/// Costs of a move, in millionths of a cell: the crate's costs have to be integers.
const STRAIGHT: u64 = 1_000_000;
/// The root of two.
const DIAGONAL: u64 = 1_414_214;

/// The kind of search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactSearch {
    /// A*, led by the octile distance.
    AStar,
    /// Dijkstra's algorithm.
    Dijkstra,
}

/// The shortest path in eight directions over free cells, both ends included; `None` if there is none. A diagonal move
/// needs both cells beside it free.
#[must_use]
pub fn shortest_path(space: &FreeSpace, from: MapCell, to: MapCell, search: ExactSearch) -> Option<Vec<MapCell>> {
    if !space.is_free(from) || !space.is_free(to) {
        return None;
    }
    let width = space.width();
    let index = |cell: MapCell| (cell.y * width + cell.x) as u32;
    let place = |index: u32| (i64::from(index) % width as i64, i64::from(index) / width as i64);
    let successors = |&at: &u32| {
        let (x, y) = place(at);
        let free = move |dx: i64, dy: i64| space.is_free_at(x + dx, y + dy);
        [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)].into_iter().filter_map(
            move |(dx, dy)| {
                let open = free(dx, dy) && (dx == 0 || dy == 0 || (free(dx, 0) && free(0, dy)));
                let cost = if dx != 0 && dy != 0 { DIAGONAL } else { STRAIGHT };
                open.then(|| (((y + dy) * width as i64 + x + dx) as u32, cost))
            },
        )
    };
    let octile = |&at: &u32| {
        let (x, y) = place(at);
        let (dx, dy) = (x.abs_diff(to.x as i64), y.abs_diff(to.y as i64));
        dx.abs_diff(dy) * STRAIGHT + dx.min(dy) * DIAGONAL
    };
    let (start, goal) = (index(from), index(to));
    let found = match search {
        ExactSearch::AStar => astar(&start, successors, octile, |&at| at == goal),
        ExactSearch::Dijkstra => dijkstra(&start, successors, |&at| at == goal),
    };
    let cell = |index: u32| MapCell { x: index as usize % width, y: index as usize / width };
    found.map(|(path, _)| path.into_iter().map(cell).collect())
}

/// Length of a path of neighbouring cells, in cells; a diagonal move counts the root of two.
#[must_use]
pub fn length(path: &[MapCell]) -> f64 {
    let steps = |pair: &[MapCell]| {
        let diagonal = pair[0].x != pair[1].x && pair[0].y != pair[1].y;
        if diagonal { std::f64::consts::SQRT_2 } else { 1.0 }
    };
    path.windows(2).map(steps).sum()
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::{OccupancyMap, Pose, Robot};

    #[test]
    fn corners_are_not_cut() {
        let values = vec![0, 0, 0, 0, 100, 0, 0, 0, 0];
        let map = OccupancyMap::new("a test", (3, 3), 1.0, Pose::default(), values).expect("a map");
        let space = FreeSpace::new(&map, &Robot { radius: 0.0, ..Robot::default() }).expect("free space");
        let (from, to) = (MapCell { x: 0, y: 1 }, MapCell { x: 1, y: 0 });
        for search in [ExactSearch::AStar, ExactSearch::Dijkstra] {
            let path = shortest_path(&space, from, to, search).expect("a path");
            assert_eq!(path, [from, MapCell { x: 0, y: 0 }, to]);
            assert!((length(&path) - 2.0).abs() < 1e-12);
            assert_eq!(shortest_path(&space, from, MapCell { x: 1, y: 1 }, search), None);
        }
    }

    #[test]
    fn both_searches_agree() {
        let mut rng = trm_puzzles::seeded(7);
        let values = (0..400).map(|_| if rng.next_u32().is_multiple_of(4) { 100 } else { 0 }).collect();
        let map = OccupancyMap::new("a test", (20, 20), 1.0, Pose::default(), values).expect("a map");
        let space = FreeSpace::new(&map, &Robot { radius: 0.0, ..Robot::default() }).expect("free space");
        let free: Vec<MapCell> =
            (0..400).map(|i| MapCell { x: i % 20, y: i / 20 }).filter(|&cell| space.is_free(cell)).collect();
        let mut found = 0;
        for (&from, &to) in free.iter().zip(free.iter().rev()) {
            let lengths = [ExactSearch::AStar, ExactSearch::Dijkstra]
                .map(|search| shortest_path(&space, from, to, search).map(|path| length(&path)));
            match lengths {
                [Some(a), Some(b)] => {
                    assert!((a - b).abs() < 1e-9, "{a} {b}");
                    found += 1;
                }
                both => assert_eq!(both, [None, None]),
            }
        }
        assert!(found > 20, "only {found} pairs are connected");
    }
}
