//! A map made ready for a robot.

use std::collections::VecDeque;

use super::costs::{CostMap, CostOptions, cheapest_path};
use super::exact::{self, ExactSearch};
use super::free_space::{FreeSpace, Robot};
use super::map::{MapCell, OccupancyMap, UNKNOWN};
use super::planning_grid::{Node, PlanningGrid};
use super::smooth::{Corner, length, smooth};
use crate::{PlanError, Result};

/// Distance in cells within which a free place is looked for around a start or goal that is not free; twice the
/// robot's radius, if that is farther.
const OFFERED_WITHIN: usize = 20;

/// A map made ready for a robot.
#[derive(Debug, Clone)]
pub struct Terrain {
    pub(super) map: OccupancyMap,
    pub(super) robot: Robot,
    pub(super) space: FreeSpace,
    pub(super) grid: PlanningGrid,
    pub(super) costs: Option<CostMap>,
    parts: usize,
}

impl Terrain {
    /// Inflates the map's obstacles by the robot's radius and reduces it to the planning grid. A map whose cells are larger than the
    /// robot's radius is divided into smaller ones before.
    ///
    /// # Errors
    ///
    /// Those of [`FreeSpace::new`] and [`OccupancyMap::divided`].
    pub fn new(map: OccupancyMap, robot: Robot) -> Result<Self> {
        Self::with_costs(map, robot, &CostOptions::default())
    }

    /// As [`new`](Self::new), with costs. Where masks forbid to go, nothing is free.
    ///
    /// # Errors
    ///
    /// Those of [`FreeSpace::new`] and [`CostMap::new`].
    pub fn with_costs(map: OccupancyMap, robot: Robot, options: &CostOptions) -> Result<Self> {
        robot.check(&map)?;
        let (map, parts) = map.fine_enough(robot.radius)?;
        let mut space = FreeSpace::new(&map, &robot)?;
        let costs = if options.is_empty() { None } else { Some(CostMap::new(&map, &space, &robot, options)?) };
        if let Some(costs) = &costs {
            costs.forbid_in(&mut space);
        }
        let grid = PlanningGrid::new(&space, robot.radius / map.resolution());
        Ok(Self { map, robot, space, grid, costs, parts })
    }

    /// The costs, if there are any.
    #[must_use]
    pub fn costs(&self) -> Option<&CostMap> {
        self.costs.as_ref()
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &OccupancyMap {
        &self.map
    }

    /// Parts along a side that each cell of the map was divided into, because it was larger than the robot's radius; 1 for a map as
    /// it was.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// The robot.
    #[must_use]
    pub fn robot(&self) -> &Robot {
        &self.robot
    }

    /// The cells in which the robot's centre may be.
    #[must_use]
    pub fn free_space(&self) -> &FreeSpace {
        &self.space
    }

    /// Metres along a side of a cell of the planning grid.
    #[must_use]
    pub fn planning_cell(&self) -> f64 {
        self.grid.scale() as f64 * self.map.resolution()
    }

    /// Rows and columns of the planning grid.
    #[must_use]
    pub fn planning_size(&self) -> (usize, usize) {
        self.grid.size()
    }

    /// True if the planning grid has a way between two cells; that is exact, see its module. `false` for cells that
    /// are not free.
    #[must_use]
    pub fn connected(&self, from: MapCell, to: MapCell) -> bool {
        let inside = |cell: MapCell| cell.x < self.map.width() && cell.y < self.map.height();
        match (inside(from) && inside(to)).then(|| (self.grid.node_of(from), self.grid.node_of(to))) {
            Some((Some(from), Some(to))) => self.grid.connected(from, to),
            _ => false,
        }
    }

    /// Length in metres of the shortest path in eight directions over free cells, by exact search from cell to cell;
    /// `None` if there is none. A path that is not bound to eight directions may be up to 8 % shorter.
    #[must_use]
    pub fn optimal_length(&self, from: MapCell, to: MapCell, search: ExactSearch) -> Option<f64> {
        let path = exact::shortest_path(&self.space, from, to, search)?;
        Some(exact::length(&path) * self.map.resolution())
    }

    /// The least cost, in metres of free ground, of a path in eight directions over free cells; `None` if there is none. Without
    /// costs that is its length.
    #[must_use]
    pub fn optimal_cost(&self, from: MapCell, to: MapCell) -> Option<f64> {
        match &self.costs {
            Some(costs) => Some(cheapest_path(&self.space, costs, from, to)?.1 * self.map.resolution()),
            None => self.optimal_length(from, to, ExactSearch::AStar),
        }
    }

    /// The free cell in which a place is; `what` names the place in the error.
    ///
    /// # Errors
    ///
    /// [`PlanError::PlaceRefused`] for a place outside the map or not free. It says what is there instead, and offers
    /// the nearest free place.
    pub fn free_cell(&self, what: &'static str, x: f64, y: f64) -> Result<MapCell> {
        let refuse = |reason: String, hint: Option<String>| PlanError::PlaceRefused { what, x, y, reason, hint };
        let Some(cell) = self.map.cell_at(x, y) else {
            let reason = if x.is_finite() && y.is_finite() { "is outside of the map" } else { "is no place" };
            return Err(refuse(reason.to_owned(), Some(self.extent())));
        };
        if self.space.is_free(cell) {
            return Ok(cell);
        }
        let reason = match self.map.get(cell) {
            Some(UNKNOWN) if self.robot.is_obstacle(UNKNOWN) => "is unknown space".to_owned(),
            Some(value) if self.robot.is_obstacle(value) => "is in an obstacle".to_owned(),
            _ if self.costs.as_ref().is_some_and(|costs| costs.is_forbidden(cell)) => {
                "is where a mask forbids to go".to_owned()
            }
            _ if self.robot.is_obstacle(UNKNOWN) && self.is_at_edge(cell) => format!(
                "is {:.2} m from the map's edge, beyond which is unknown space, too close for a robot of radius {} m",
                self.space.distance(cell) * self.map.resolution(),
                self.robot.radius
            ),
            _ => format!(
                "is {:.2} m from an obstacle, too close for a robot of radius {} m",
                self.space.distance(cell) * self.map.resolution(),
                self.robot.radius
            ),
        };
        // A radius may be any number of cells.
        let radius = (2.0 * (self.robot.radius / self.map.resolution()).ceil()) as usize;
        let within = OFFERED_WITHIN.max(radius).min(self.map.width().max(self.map.height()));
        let hint = match self.space.nearest(cell, within) {
            Some(free) => {
                let (free_x, free_y) = self.map.centre(free);
                format!(
                    "the nearest free place is {free_x:.3},{free_y:.3}, {:.2} m away",
                    (free_x - x).hypot(free_y - y)
                )
            }
            None => format!("no place within {:.2} m is free", within as f64 * self.map.resolution()),
        };
        Err(refuse(reason, Some(hint)))
    }

    /// True if nothing is closer to a cell than the edge of the map.
    fn is_at_edge(&self, cell: MapCell) -> bool {
        let (width, height) = (self.map.width(), self.map.height());
        let cells = (cell.x + 1).min(width - cell.x).min(cell.y + 1).min(height - cell.y);
        self.space.distance(cell) >= cells as f64
    }

    /// The way out of a place that is too close to an obstacle, to the nearest free cell, by cells that are no closer to
    /// one; both ends included. `None` in an obstacle, and where that leads nowhere within twice the robot's radius and a metre.
    pub(super) fn way_out(&self, x: f64, y: f64) -> Option<Vec<MapCell>> {
        let from = self.map.cell_at(x, y)?;
        let clearance = self.space.distance(from);
        if clearance == 0.0 {
            return None;
        }
        let most = ((2.0 * self.robot.radius + 1.0) / self.map.resolution()).ceil() as usize;
        let (left, bottom) = (from.x.saturating_sub(most), from.y.saturating_sub(most));
        let (columns, rows) =
            (self.map.width().min(from.x + most + 1) - left, self.map.height().min(from.y + most + 1) - bottom);
        let local = |cell: MapCell| (cell.y - bottom) * columns + cell.x - left;
        let mut came_from = vec![None; columns * rows];
        came_from[local(from)] = Some(from);
        let mut queue = VecDeque::from([from]);
        while let Some(here) = queue.pop_front() {
            if self.space.is_free(here) {
                let mut way = vec![here];
                while way[way.len() - 1] != from {
                    way.push(came_from[local(way[way.len() - 1])]?);
                }
                way.reverse();
                return Some(way);
            }
            for (dx, dy) in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                let next = MapCell { x: here.x.wrapping_add_signed(dx), y: here.y.wrapping_add_signed(dy) };
                let is_inside = (left..left + columns).contains(&next.x) && (bottom..bottom + rows).contains(&next.y);
                if is_inside && came_from[local(next)].is_none() && self.space.distance(next) >= clearance {
                    came_from[local(next)] = Some(here);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Length in cells of the way along nodes, pulled tight.
    pub(super) fn tight_length(&self, nodes: &[Node]) -> f64 {
        let Some(&first) = nodes.first() else { return 0.0 };
        let corner = |point| Corner { point, network: true };
        let mut corners = vec![corner(self.grid.centre(first))];
        for pair in nodes.windows(2) {
            corners.extend(self.grid.way(&self.space, pair[0], pair[1]).into_iter().map(corner));
        }
        length(&smooth(&self.space, corners))
    }

    /// The extent of the map in its frame, for hints.
    fn extent(&self) -> String {
        let (width, height) = (self.map.width() as f64, self.map.height() as f64);
        let corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)].map(|(x, y)| self.map.to_frame(x, y));
        let range = |values: [f64; 4]| {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            format!("{least:.2} to {:.2}", values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        };
        format!(
            "the map reaches from x {} and y {} m",
            range(corners.map(|corner| corner.0)),
            range(corners.map(|corner| corner.1))
        )
    }
}
