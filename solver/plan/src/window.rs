//! Windows: a route over the planning grid, cut into mazes of the model's size.
//!
//! A window holds a piece of the route, and around it every coarse cell that the maze has room for. Where two
//! neighbouring cells are not joined, a maze cannot say so: one of them becomes a wall, never one of the route. So every
//! path through the maze is a way on the map, and the route shows that there is one.

use trm_puzzles::maze::{FREE, GOAL, PATH, START, WALL};
use trm_puzzles::{Cell, Grid};

use super::planning_grid::{Node, PlanningGrid};

/// Sides from which on mazes are framed by walls, as those are that models are trained on.
const FRAMED_FROM: usize = 5;

/// A maze made of a part of the planning grid.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// The maze that the network is asked to solve.
    pub(crate) maze: Grid,
    /// The node behind each cell of the maze.
    nodes: Vec<Option<Node>>,
    /// The piece of the route that it holds, both ends included.
    pub(crate) route: Vec<Node>,
    /// Its lower left and its upper right corner in cells of the map, without the walls that frame it.
    pub(crate) corners: [(i64, i64); 2],
}

impl Window {
    /// The nodes along the path that is marked in the maze; `None` for an answer that was not verified.
    pub(crate) fn path(&self, answer: &Grid) -> Option<Vec<Node>> {
        let node = |cell: Cell| self.nodes[cell.row * answer.width() + cell.column];
        let (mut previous, mut here) = (None, answer.find(START)?);
        let mut path = vec![node(here)?];
        while answer.get(here) != Some(GOAL) {
            let next = answer
                .neighbours(here)
                .find(|&cell| Some(cell) != previous && matches!(answer.get(cell), Some(PATH | GOAL)))?;
            path.push(node(next)?);
            if path.len() > self.nodes.len() {
                return None;
            }
            (previous, here) = (Some(here), next);
        }
        Some(path)
    }
}

/// Cuts a route into windows of `height x width` cells; each begins where the one before ends. A route of one node has
/// none.
pub(crate) fn cut(grid: &PlanningGrid, route: &[Node], (height, width): (usize, usize)) -> Vec<Window> {
    let frame = |side: usize| usize::from(side >= FRAMED_FROM);
    let room = (height - 2 * frame(height), width - 2 * frame(width));
    let last = route.len().saturating_sub(1);
    let mut ends = Vec::new();
    let mut from = 0;
    while from < last {
        let mut to = from + 1;
        while to < last && fits(grid, &route[from..=to + 1], room) {
            to += 1;
        }
        ends.push((from, to));
        from = to;
    }
    // A single move at the end is no maze worth the name: the window before gives one of its own.
    if let [.., before, end] = &mut ends[..]
        && end.1 - end.0 == 1
        && before.1 - before.0 > 2
        && fits(grid, &route[end.0 - 1..=end.1], room)
    {
        before.1 -= 1;
        end.0 -= 1;
    }
    ends.into_iter().map(|(from, to)| window(grid, &route[from..=to], (height, width), room)).collect()
}

/// Columns and rows of the coarse cells of some nodes: least and greatest.
fn bounds(grid: &PlanningGrid, nodes: &[Node]) -> ((i64, i64), (i64, i64)) {
    let at = |node: &Node| {
        let (column, row) = grid.region(*node).at;
        (i64::from(column), i64::from(row))
    };
    nodes.iter().map(at).fold(((i64::MAX, i64::MAX), (i64::MIN, i64::MIN)), |(least, most), (column, row)| {
        ((least.0.min(column), least.1.min(row)), (most.0.max(column), most.1.max(row)))
    })
}

/// True if a piece of a route fits in a maze: by its size, and because no two of its cells are neighbours in the maze
/// but not joined. Only the last node is looked at; the piece without it is known to fit.
fn fits(grid: &PlanningGrid, piece: &[Node], (rows, columns): (usize, usize)) -> bool {
    let (least, most) = bounds(grid, piece);
    if most.0 - least.0 >= columns as i64 || most.1 - least.1 >= rows as i64 {
        return false;
    }
    let Some((newest, others)) = piece.split_last() else { return true };
    let at = grid.region(*newest).at;
    others.iter().all(|&other| {
        let place = grid.region(other).at;
        match at.0.abs_diff(place.0) + at.1.abs_diff(place.1) {
            0 => false,
            1 => grid.joined(*newest, other),
            _ => true,
        }
    })
}

fn window(grid: &PlanningGrid, route: &[Node], (height, width): (usize, usize), room: (usize, usize)) -> Window {
    let (least, most) = bounds(grid, route);
    let frame = ((height - room.0) / 2, (width - room.1) / 2);
    // The piece in the middle; the map's upper rows are the maze's upper rows.
    let left = least.0 - (room.1 as i64 - (most.0 - least.0 + 1)) / 2;
    let top = most.1 + (room.0 as i64 - (most.1 - least.1 + 1)) / 2;
    let mut nodes: Vec<Option<Node>> = vec![None; height * width];
    for row in 0..room.0 {
        for column in 0..room.1 {
            let largest =
                grid.nodes_at(left + column as i64, top - row as i64).max_by_key(|node| grid.region(*node).cells);
            nodes[(row + frame.0) * width + column + frame.1] = largest;
        }
    }
    let mut on_route = vec![false; height * width];
    let cells: Vec<usize> = route
        .iter()
        .map(|node| {
            let (column, row) = grid.region(*node).at;
            let row = (top - i64::from(row)) as usize + frame.0;
            let column = (i64::from(column) - left) as usize + frame.1;
            let cell = row * width + column;
            nodes[cell] = Some(*node);
            on_route[cell] = true;
            cell
        })
        .collect();
    wall_off(grid, &mut nodes, &on_route, width);

    let mut maze = Grid::filled(height, width, WALL);
    for (value, node) in maze.cells_mut().iter_mut().zip(&nodes) {
        if node.is_some() {
            *value = FREE;
        }
    }
    if let [start, .., goal] = cells[..] {
        maze.cells_mut()[start] = START;
        maze.cells_mut()[goal] = GOAL;
    }
    let scale = grid.scale() as i64;
    let lower_left = (left * scale, (top - room.0 as i64 + 1) * scale);
    let upper_right = ((left + room.1 as i64) * scale, (top + 1) * scale);
    Window { maze, nodes, route: route.to_vec(), corners: [lower_left, upper_right] }
}

/// Makes a wall of one of every two neighbours that are not joined: first of those beside the route, then of the smaller
/// one.
fn wall_off(grid: &PlanningGrid, nodes: &mut [Option<Node>], on_route: &[bool], width: usize) {
    for beside_route in [true, false] {
        for cell in 0..nodes.len() {
            for other in [cell + 1, cell + width] {
                let in_row = other != cell + 1 || other % width != 0;
                let (Some(a), Some(b)) = (nodes[cell], nodes.get(other).copied().flatten()) else { continue };
                if !in_row || grid.joined(a, b) || (on_route[cell] || on_route[other]) != beside_route {
                    continue;
                }
                let first_smaller = grid.region(a).cells <= grid.region(b).cells;
                let wall = if on_route[other] || (first_smaller && !on_route[cell]) { cell } else { other };
                nodes[wall] = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trm_puzzles::{Maze, Task, maze};

    use super::*;
    use crate::map::MapCell;
    use crate::{FreeSpace, OccupancyMap, Pose, Robot};

    proptest! {
        #[test]
        fn every_path_through_a_window_is_a_way_on_the_map(
            (width, values) in (6_usize..50, 6_usize..50).prop_flat_map(|(width, height)| (
                Just(width),
                proptest::collection::vec(prop_oneof![3 => Just(0_i8), 1 => Just(100_i8)], width * height),
            )),
            radius in 0.0..2.0_f64,
            side in 3_usize..12,
        ) {
            let size = (width, values.len() / width);
            let map = OccupancyMap::new("a test", size, 1.0, Pose::default(), values).expect("a map");
            let space = FreeSpace::new(&map, &Robot { radius: 0.0, ..Robot::default() }).expect("free space");
            let grid = PlanningGrid::new(&space, radius);
            let free: Vec<_> = (0..size.0 * size.1)
                .filter_map(|index| grid.node_of(MapCell { x: index % width, y: index / width }))
                .collect();
            for (&from, &to) in free.iter().zip(free.iter().rev()).take(20) {
                let Some(route) = grid.route(from, to) else { continue };
                let windows = cut(&grid, &route, (side, side));
                let mut whole = vec![from];
                for window in &windows {
                    let [(left, bottom), (right, top)] = window.corners;
                    for &node in &window.route {
                        let (x, y) = grid.centre(node);
                        prop_assert!(left as f64 <= x && x <= right as f64 && bottom as f64 <= y && y <= top as f64);
                    }
                    let task = Maze::new(side, side).expect("a maze");
                    task.check(&window.maze).expect("a well-formed maze");
                    whole.extend(&window.route[1..]);
                    let answer = maze::shortest_path(&window.maze).expect("the route is a way");
                    let path = window.path(&answer).expect("a path of nodes");
                    prop_assert_eq!((path[0], path[path.len() - 1]), (window.route[0], window.route[window.route.len() - 1]));
                    prop_assert!(path.len() <= window.route.len());
                    for pair in path.windows(2) {
                        prop_assert!(grid.joined(pair[0], pair[1]));
                    }
                }
                prop_assert_eq!(whole, route);
            }
        }
    }
}
