//! The planning grid: a map reduced to coarse cells, without losing or inventing a way.
//!
//! A coarse cell covers `scale x scale` cells of the map. Its free cells fall into regions that hang together; each
//! region is a node. Two nodes are joined where cells of theirs are neighbours. So two places are connected on the
//! planning grid exactly when they are on the map, and every edge stands for a way that was found on the map.

mod build;

use std::collections::VecDeque;

use pathfinding::directed::astar::astar;

use super::free_space::FreeSpace;
use super::map::MapCell;
use super::sight::{Point, is_clear};

/// A cell of the map in no region.
const NONE: u32 = u32::MAX;

/// A region of free cells within a coarse cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node(u32);

impl Node {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The data of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// Column and row of the coarse cell.
    pub(crate) at: (u32, u32),
    /// Number of its cells of the map.
    pub(crate) cells: u32,
    /// Index of the cell that stands for it: the one nearest to the middle of the coarse cell.
    centre: u32,
    /// The part of the planning grid that it belongs to: nodes of different parts are not connected.
    part: u32,
}

/// An edge to a neighbour.
#[derive(Debug, Clone, Copy)]
struct Edge {
    to: Node,
    /// Length of the way between the centres, in cells.
    length: f32,
    /// True if the neighbour's coarse cell shares a corner only; between the centres nothing is in the way.
    diagonal: bool,
}

/// The reduced map.
#[derive(Debug, Clone)]
pub(crate) struct PlanningGrid {
    scale: usize,
    columns: usize,
    /// The region of each cell of the map, `[height, width]`.
    region_of: Vec<u32>,
    width: usize,
    regions: Vec<Region>,
    /// The first region of each coarse cell, row by row, and one more at the end.
    first: Vec<u32>,
    edges: Vec<Edge>,
    /// The first edge of each region, and one more at the end.
    first_edge: Vec<u32>,
}

impl PlanningGrid {
    /// Cells of the map along a side of a coarse cell.
    pub(crate) fn scale(&self) -> usize {
        self.scale
    }

    /// Rows and columns of coarse cells.
    pub(crate) fn size(&self) -> (usize, usize) {
        ((self.first.len() - 1) / self.columns.max(1), self.columns)
    }

    /// The node of a cell of the map; none if the robot's centre cannot be there.
    pub(crate) fn node_of(&self, cell: MapCell) -> Option<Node> {
        let region = self.region_of[cell.y * self.width + cell.x];
        (region != NONE).then_some(Node(region))
    }

    pub(crate) fn region(&self, node: Node) -> &Region {
        &self.regions[node.index()]
    }

    /// The middle of the cell that stands for a node.
    pub(crate) fn centre(&self, node: Node) -> Point {
        let index = self.region(node).centre as usize;
        ((index % self.width) as f64 + 0.5, (index / self.width) as f64 + 0.5)
    }

    /// True if a way leads from one node to the other.
    pub(crate) fn connected(&self, a: Node, b: Node) -> bool {
        self.region(a).part == self.region(b).part
    }

    /// Number of cells of the map that hang together with a node.
    pub(crate) fn reachable_cells(&self, node: Node) -> usize {
        let part = self.region(node).part;
        self.regions.iter().filter(|region| region.part == part).map(|region| region.cells as usize).sum()
    }

    /// The nodes of a coarse cell; none outside the map.
    pub(crate) fn nodes_at(&self, column: i64, row: i64) -> impl Iterator<Item = Node> + use<> {
        let inside = column >= 0 && row >= 0 && (column as usize) < self.columns;
        let cell = if inside { row as usize * self.columns + column as usize } else { usize::MAX };
        let range = match (self.first.get(cell), self.first.get(cell.wrapping_add(1))) {
            (Some(&from), Some(&to)) if inside => from..to,
            _ => 0..0,
        };
        range.map(Node)
    }

    /// True if two nodes of neighbouring coarse cells are joined.
    pub(crate) fn joined(&self, a: Node, b: Node) -> bool {
        self.edges_of(a).iter().any(|edge| edge.to == b && !edge.diagonal)
    }

    /// The shortest route over the planning grid, every two nodes of it in neighbouring coarse cells and joined; none if
    /// there is no way. Shortest counting diagonal steps where nothing is in their way; in the route each is two steps.
    pub(crate) fn route(&self, from: Node, to: Node) -> Option<Vec<Node>> {
        if !self.connected(from, to) {
            return None;
        }
        let goal = self.centre(to);
        // Lengths in thousandths of a cell: costs have to be integers.
        let cost = |length: f64| (length * 1e3) as u64;
        let (nodes, _) = astar(
            &from,
            |node| self.edges_of(*node).iter().map(|edge| (edge.to, cost(f64::from(edge.length)))).collect::<Vec<_>>(),
            |node| {
                let here = self.centre(*node);
                cost((here.0 - goal.0).hypot(here.1 - goal.1))
            },
            |node| *node == to,
        )?;
        let mut route = vec![from];
        for pair in nodes.windows(2) {
            route.extend(self.between(pair[0], pair[1]));
            route.push(pair[1]);
        }
        Some(route)
    }

    /// The way on the map from the centre of a node to that of a joined one: the middles of cells, without the first.
    pub(crate) fn way(&self, space: &FreeSpace, a: Node, b: Node) -> Vec<Point> {
        let end = self.centre(b);
        if is_clear(space, self.centre(a), end) {
            return vec![end];
        }
        let (from, to) = (self.region(a).centre, self.region(b).centre);
        self.cells_between(&[a, b], from, to).into_iter().skip(1).map(|index| self.middle(index)).collect()
    }

    /// The way on the map from a cell of a node to the node's centre: the middles of cells, without the first.
    pub(crate) fn way_to_centre(&self, space: &FreeSpace, from: MapCell, node: Node) -> Vec<Point> {
        let index = (from.y * self.width + from.x) as u32;
        let end = self.centre(node);
        if is_clear(space, self.middle(index), end) {
            return vec![end];
        }
        let centre = self.region(node).centre;
        self.cells_between(&[node], index, centre).into_iter().skip(1).map(|index| self.middle(index)).collect()
    }

    fn middle(&self, index: u32) -> Point {
        ((index as usize % self.width) as f64 + 0.5, (index as usize / self.width) as f64 + 0.5)
    }

    fn edges_of(&self, node: Node) -> &[Edge] {
        let at = node.index();
        &self.edges[self.first_edge[at] as usize..self.first_edge[at + 1] as usize]
    }

    /// The node between two nodes of a route: none for joined ones, that of the shorter way around for a diagonal.
    fn between(&self, a: Node, b: Node) -> Option<Node> {
        if self.joined(a, b) {
            return None;
        }
        let joined_to_both =
            self.edges_of(a).iter().filter(|edge| !edge.diagonal && self.joined(edge.to, b)).map(|edge| edge.to);
        let (start, end) = (self.centre(a), self.centre(b));
        let detour = |node: &Node| {
            let via = self.centre(*node);
            (start.0 - via.0).hypot(start.1 - via.1) + (via.0 - end.0).hypot(via.1 - end.1)
        };
        joined_to_both.min_by(|x, y| detour(x).total_cmp(&detour(y)))
    }

    /// The shortest way in eight directions from one cell to another within some regions, by breadth; the cells' indices,
    /// both ends included. Diagonal moves need both cells beside them free. The regions hang together.
    fn cells_between(&self, regions: &[Node], from: u32, to: u32) -> Vec<u32> {
        let (left, bottom, right, top) = self.bounds(regions);
        let columns = right - left;
        let local = |index: u32| {
            let (x, y) = (index as usize % self.width, index as usize / self.width);
            (y - bottom) * columns + x - left
        };
        let allowed = |x: usize, y: usize| {
            x >= left
                && x < right
                && y >= bottom
                && y < top
                && regions.iter().any(|region| region.0 == self.region_of[y * self.width + x])
        };
        let mut came_from: Vec<u32> = vec![NONE; columns * (top - bottom)];
        came_from[local(from)] = from;
        let mut queue = VecDeque::from([from]);
        while let Some(index) = queue.pop_front() {
            if index == to {
                break;
            }
            let (x, y) = (index as usize % self.width, index as usize / self.width);
            for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)] {
                let next = |dx: isize, dy: isize| (x.wrapping_add_signed(dx), y.wrapping_add_signed(dy));
                let free = |(x, y): (usize, usize)| allowed(x, y);
                let (next_x, next_y) = next(dx, dy);
                if !free((next_x, next_y)) || !free(next(dx, 0)) || !free(next(0, dy)) {
                    continue;
                }
                let next_index = (next_y * self.width + next_x) as u32;
                let slot = &mut came_from[local(next_index)];
                if *slot == NONE {
                    *slot = index;
                    queue.push_back(next_index);
                }
            }
        }
        let mut cells = vec![to];
        let mut here = to;
        while here != from {
            here = came_from[local(here)];
            cells.push(here);
        }
        cells.reverse();
        cells
    }

    /// Left, bottom, right and top of some regions' coarse cells, in cells of the map; right and top are outside.
    fn bounds(&self, regions: &[Node]) -> (usize, usize, usize, usize) {
        let height = self.region_of.len() / self.width;
        let mut bounds = (usize::MAX, usize::MAX, 0, 0);
        for region in regions {
            let (column, row) = self.region(*region).at;
            let (left, bottom) = (column as usize * self.scale, row as usize * self.scale);
            bounds.0 = bounds.0.min(left);
            bounds.1 = bounds.1.min(bottom);
            bounds.2 = bounds.2.max((left + self.scale).min(self.width));
            bounds.3 = bounds.3.max((bottom + self.scale).min(height));
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{OccupancyMap, Pose, Robot};

    fn space(width: usize, values: Vec<i8>) -> FreeSpace {
        let size = (width, values.len() / width);
        let map = OccupancyMap::new("a test", size, 1.0, Pose::default(), values).expect("a map");
        FreeSpace::new(&map, &Robot { radius: 0.0, ..Robot::default() }).expect("free space")
    }

    /// The parts that hang together by moves in four directions: their number for each free cell.
    fn flooded(space: &FreeSpace) -> Vec<Option<usize>> {
        let (width, height) = (space.width(), space.height());
        let mut seen = vec![None; width * height];
        for start in 0..width * height {
            if !space.is_free_index(start) || seen[start].is_some() {
                continue;
            }
            let mut stack = vec![start];
            seen[start] = Some(start);
            while let Some(index) = stack.pop() {
                let (x, y) = (index % width, index / width);
                let next = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
                for (x, y) in next.into_iter().filter(|&(x, y)| space.is_free(MapCell { x, y })) {
                    if seen[y * width + x].is_none() {
                        seen[y * width + x] = Some(start);
                        stack.push(y * width + x);
                    }
                }
            }
        }
        seen
    }

    proptest! {
        #[test]
        fn what_is_connected_on_the_map_is_on_the_planning_grid(
            (width, values) in (2_usize..30, 2_usize..30).prop_flat_map(|(width, height)| (
                Just(width),
                proptest::collection::vec(prop_oneof![3 => Just(0_i8), 2 => Just(100_i8)], width * height),
            )),
            radius in 0.0..3.0_f64,
        ) {
            let space = space(width, values);
            let grid = PlanningGrid::new(&space, radius);
            let parts = flooded(&space);
            let free: Vec<usize> = (0..parts.len()).filter(|&index| parts[index].is_some()).collect();
            let node = |index: usize| grid.node_of(MapCell { x: index % width, y: index / width });
            for &a in free.iter().take(12) {
                for &b in free.iter().rev().take(12) {
                    let (from, to) = (node(a).expect("a node"), node(b).expect("a node"));
                    let route = grid.route(from, to);
                    prop_assert_eq!(route.is_some(), parts[a] == parts[b]);
                    let Some(route) = route else { continue };
                    prop_assert_eq!((route[0], route[route.len() - 1]), (from, to));
                    for pair in route.windows(2) {
                        prop_assert!(grid.joined(pair[0], pair[1]));
                        let mut here = grid.centre(pair[0]);
                        for next in grid.way(&space, pair[0], pair[1]) {
                            prop_assert!(is_clear(&space, here, next), "{:?} {:?}", here, next);
                            here = next;
                        }
                        prop_assert_eq!(here, grid.centre(pair[1]));
                    }
                    let (x, y) = (a % width, a / width);
                    let mut here = (x as f64 + 0.5, y as f64 + 0.5);
                    for next in grid.way_to_centre(&space, MapCell { x, y }, from) {
                        prop_assert!(is_clear(&space, here, next));
                        here = next;
                    }
                    prop_assert_eq!(here, grid.centre(from));
                }
            }
        }
    }

    #[test]
    fn a_thin_wall_parts_a_coarse_cell() {
        // One coarse cell of 4x4 with a wall through the middle: two regions that are not joined.
        let mut values = vec![0; 16];
        for y in 0..4 {
            values[y * 4 + 1] = 100;
        }
        let space = space(4, values);
        let grid = PlanningGrid::new(&space, 3.0);
        assert_eq!(grid.scale(), 4);
        let node = |x| grid.node_of(MapCell { x, y: 0 });
        let (left, right) = (node(0).expect("a node"), node(3).expect("a node"));
        assert_ne!(left, right);
        assert_eq!(node(1), None);
        assert!(!grid.connected(left, right));
        assert_eq!((grid.region(left).cells, grid.region(right).cells), (4, 8));
        assert_eq!(grid.reachable_cells(right), 8);
    }
}
