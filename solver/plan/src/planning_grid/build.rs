//! Building a planning grid.

use std::collections::VecDeque;

use pathfinding::undirected::connected_components::components;

use super::{Edge, NONE, Node, PlanningGrid, Region};
use crate::free_space::FreeSpace;
use crate::sight::is_clear;

/// Most coarse cells that are aimed at; more cost planning time and gain nothing for a robot of ordinary size.
const MOST_CELLS: usize = 40_000;

/// Robot's radii along a side of a coarse cell. With 2, an obstacle and the space around it that the robot cannot be in
/// are still wider than a cell, but routes past them are longer by up to a quarter than they could be; with 1 there are
/// twice as many cells along a way as with 2, and mazes for the network.
const CELL_RADII: f64 = 1.5;

impl PlanningGrid {
    /// Reduces free space for a robot whose radius is `radius` cells.
    pub(crate) fn new(space: &FreeSpace, radius: f64) -> Self {
        let (width, height) = (space.width(), space.height());
        let by_robot = (CELL_RADII * radius).floor().clamp(1.0, width.max(height) as f64) as usize;
        let by_size = ((width * height) as f64 / MOST_CELLS as f64).sqrt().ceil() as usize;
        let scale = by_robot.max(by_size).max(1);
        let (columns, rows) = (width.div_ceil(scale), height.div_ceil(scale));
        let mut grid = Self {
            scale,
            columns,
            region_of: vec![NONE; width * height],
            width,
            regions: Vec::new(),
            first: Vec::with_capacity(columns * rows + 1),
            edges: Vec::new(),
            first_edge: Vec::new(),
        };
        for row in 0..rows {
            for column in 0..columns {
                grid.first.push(grid.regions.len() as u32);
                grid.find_regions(space, column, row);
            }
        }
        grid.first.push(grid.regions.len() as u32);
        grid.join(space);
        grid.number_parts();
        grid
    }

    /// Finds the regions of a coarse cell.
    fn find_regions(&mut self, space: &FreeSpace, column: usize, row: usize) {
        let (left, bottom) = (column * self.scale, row * self.scale);
        let (right, top) = ((left + self.scale).min(self.width), (bottom + self.scale).min(space.height()));
        let middle = ((left + right) as f64 / 2.0, (bottom + top) as f64 / 2.0);
        let mut queue = VecDeque::new();
        for y in bottom..top {
            for x in left..right {
                let index = y * self.width + x;
                if !space.is_free_index(index) || self.region_of[index] != NONE {
                    continue;
                }
                let number = self.regions.len() as u32;
                let (mut cells, mut centre, mut nearest) = (0, index, f64::INFINITY);
                self.region_of[index] = number;
                queue.push_back((x, y));
                while let Some((x, y)) = queue.pop_front() {
                    cells += 1;
                    let from_middle = (x as f64 + 0.5 - middle.0).powi(2) + (y as f64 + 0.5 - middle.1).powi(2);
                    if from_middle < nearest {
                        (centre, nearest) = (y * self.width + x, from_middle);
                    }
                    let mut reach = |x: usize, y: usize| {
                        let index = y * self.width + x;
                        if space.is_free_index(index) && self.region_of[index] == NONE {
                            self.region_of[index] = number;
                            queue.push_back((x, y));
                        }
                    };
                    if x > left {
                        reach(x - 1, y);
                    }
                    if x + 1 < right {
                        reach(x + 1, y);
                    }
                    if y > bottom {
                        reach(x, y - 1);
                    }
                    if y + 1 < top {
                        reach(x, y + 1);
                    }
                }
                self.regions.push(Region { at: (column as u32, row as u32), cells, centre: centre as u32, part: 0 });
            }
        }
    }

    /// Joins regions of neighbouring coarse cells whose cells touch, and those across a corner that see each other.
    fn join(&mut self, space: &FreeSpace) {
        let (width, height, scale) = (self.width, space.height(), self.scale);
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        let mut touch = |a: usize, b: usize| {
            let (a, b) = (self.region_of[a], self.region_of[b]);
            if a != NONE && b != NONE {
                pairs.push((Node(a), Node(b)));
            }
        };
        for x in (scale..width).step_by(scale) {
            for y in 0..height {
                touch(y * width + x - 1, y * width + x);
            }
        }
        for y in (scale..height).step_by(scale) {
            for x in 0..width {
                touch((y - 1) * width + x, y * width + x);
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut edges: Vec<(Node, Edge)> = Vec::with_capacity(pairs.len() * 4);
        for &(a, b) in &pairs {
            let length = self.way_length(space, a, b);
            edges.push((a, Edge { to: b, length, diagonal: false }));
            edges.push((b, Edge { to: a, length, diagonal: false }));
        }
        self.set_edges(&mut edges);
        for a in (0..self.regions.len() as u32).map(Node) {
            let (column, row) = (i64::from(self.region(a).at.0), i64::from(self.region(a).at.1));
            for b in [column - 1, column + 1].into_iter().flat_map(|column| self.nodes_at(column, row + 1)) {
                let (start, end) = (self.centre(a), self.centre(b));
                if is_clear(space, start, end) && self.between(a, b).is_some() {
                    let length = (start.0 - end.0).hypot(start.1 - end.1) as f32;
                    edges.push((a, Edge { to: b, length, diagonal: true }));
                    edges.push((b, Edge { to: a, length, diagonal: true }));
                }
            }
        }
        self.set_edges(&mut edges);
    }

    fn set_edges(&mut self, edges: &mut [(Node, Edge)]) {
        edges.sort_unstable_by_key(|(from, edge)| (*from, edge.to));
        self.first_edge = vec![0; self.regions.len() + 1];
        for (from, _) in edges.iter() {
            self.first_edge[from.index() + 1] += 1;
        }
        for at in 1..self.first_edge.len() {
            self.first_edge[at] += self.first_edge[at - 1];
        }
        self.edges = edges.iter().map(|(_, edge)| *edge).collect();
    }

    fn way_length(&self, space: &FreeSpace, a: Node, b: Node) -> f32 {
        let mut here = self.centre(a);
        let mut length = 0.0;
        for next in self.way(space, a, b) {
            length += (next.0 - here.0).hypot(next.1 - here.1);
            here = next;
        }
        length as f32
    }

    fn number_parts(&mut self) {
        let neighbourhoods: Vec<Vec<usize>> = (0..self.regions.len() as u32)
            .map(|at| {
                std::iter::once(at as usize).chain(self.edges_of(Node(at)).iter().map(|e| e.to.index())).collect()
            })
            .collect();
        for (part, members) in components(&neighbourhoods).into_iter().enumerate() {
            for member in members {
                self.regions[member].part = part as u32;
            }
        }
    }
}
