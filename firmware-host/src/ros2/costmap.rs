//! A costmap of nav2, kept up to date by its updates.
//!
//! nav2's `Costmap2DPublisher` sends a whole costmap (`nav_msgs/OccupancyGrid`) and then the rectangles that have changed
//! (`map_msgs/OccupancyGridUpdate`): 100 is an obstacle, 99 where the robot's centre would touch one, 1 to 98 a cost, -1 unknown.

use trm_plan::OccupancyMap;

use super::messages::{OccupancyGrid, OccupancyGridUpdate};
use crate::{HostError, Result};

/// The value from which on the robot's centre may not be in a cell: nav2's inscribed inflated obstacles.
pub(super) const INSCRIBED: i8 = 99;

/// The newest state of a costmap.
#[derive(Debug, Clone)]
pub(super) struct Costmap {
    source: String,
    grid: OccupancyGrid,
}

impl Costmap {
    /// A whole costmap from a topic, and the map that it is.
    ///
    /// # Errors
    /// Those of [`OccupancyGrid::into_map`].
    pub(super) fn new(source: &str, grid: OccupancyGrid) -> Result<(Self, OccupancyMap)> {
        let costmap = Self { source: source.to_owned(), grid };
        let map = costmap.map()?;
        Ok((costmap, map))
    }

    /// The map that it is now.
    ///
    /// # Errors
    /// Those of [`OccupancyGrid::into_map`].
    pub(super) fn map(&self) -> Result<OccupancyMap> {
        self.grid.clone().into_map(&self.source)
    }

    /// Takes a rectangle over; `false` for one that is older than the costmap.
    ///
    /// # Errors
    /// [`HostError::Ros2Message`] for a rectangle that is not within the costmap, in another frame, of more or fewer values than it
    /// has cells, or of values beyond -1 to 100. The costmap stays as it was.
    pub(super) fn update(&mut self, update: &OccupancyGridUpdate) -> Result<bool> {
        let refuse = |reason: String| Err(HostError::Ros2Message { what: "costmap update".into(), reason });
        let info = &self.grid.info;
        if update.header.frame_id != self.grid.header.frame_id {
            return refuse(format!(
                "it is in frame `{}`, the costmap in `{}`",
                update.header.frame_id, self.grid.header.frame_id
            ));
        }
        let ends_within = |from: i32, length: u32, whole: u32| {
            u32::try_from(from).ok().and_then(|from| from.checked_add(length)).is_some_and(|end| end <= whole)
        };
        if !(ends_within(update.x, update.width, info.width) && ends_within(update.y, update.height, info.height)) {
            return refuse(format!(
                "{}x{} cells at {},{} are not within the costmap's {}x{}",
                update.width, update.height, update.x, update.y, info.width, info.height
            ));
        }
        let (width, height) = (update.width as usize, update.height as usize);
        if update.data.len() != width * height {
            return refuse(format!("{} values, {width}x{height} cells have {}", update.data.len(), width * height));
        }
        if let Some(value) = update.data.iter().find(|value| !(-1..=100).contains(*value)) {
            return refuse(format!("a cell holds {value}, expected -1 to 100"));
        }
        if update.header.stamp < self.grid.header.stamp {
            return Ok(false);
        }
        if width > 0 {
            let columns = info.width as usize;
            let first = update.y as usize * columns + update.x as usize;
            for (row, values) in update.data.chunks_exact(width).enumerate() {
                let from = first + row * columns;
                self.grid.data[from..from + width].copy_from_slice(values);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ros2::messages::Time;

    fn costmap() -> Costmap {
        let mut grid = OccupancyGrid { data: vec![0; 12], ..OccupancyGrid::default() };
        grid.header.frame_id = "map".into();
        grid.header.stamp = Time { sec: 10, nanosec: 5 };
        (grid.info.width, grid.info.height, grid.info.resolution) = (4, 3, 0.5);
        Costmap::new("/costmap", grid).unwrap().0
    }

    fn update((x, y): (i32, i32), (width, height): (u32, u32), data: &[i8]) -> OccupancyGridUpdate {
        let mut update =
            OccupancyGridUpdate { x, y, width, height, data: data.to_vec(), ..OccupancyGridUpdate::default() };
        update.header.frame_id = "map".into();
        update.header.stamp = Time { sec: 10, nanosec: 6 };
        update
    }

    #[test]
    fn a_rectangle_lies_where_it_says() {
        let mut costmap = costmap();
        assert!(costmap.update(&update((1, 1), (2, 2), &[1, 99, -1, 100])).unwrap());
        assert_eq!(costmap.map().unwrap().values(), [0, 0, 0, 0, 0, 1, 99, 0, 0, -1, 100, 0]);
        assert!(costmap.update(&update((0, 0), (4, 3), &[7; 12])).unwrap());
        assert!(costmap.update(&update((4, 3), (0, 0), &[])).unwrap());
        assert_eq!(costmap.map().unwrap().values(), [7; 12]);
    }

    #[test]
    fn what_is_older_than_the_costmap_is_passed_over() {
        let mut costmap = costmap();
        let mut late = update((0, 0), (1, 1), &[100]);
        late.header.stamp = Time { sec: 9, nanosec: 999_999_999 };
        assert!(!costmap.update(&late).unwrap());
        assert_eq!(costmap.map().unwrap().values(), [0; 12]);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut costmap = costmap();
        let mut elsewhere = update((0, 0), (1, 1), &[1]);
        elsewhere.header.frame_id = "odom".into();
        for (update, why) in [
            (update((-1, 0), (1, 1), &[1]), "1x1 cells at -1,0 are not within the costmap's 4x3"),
            (update((4, 0), (1, 1), &[1]), "1x1 cells at 4,0"),
            (update((0, 2), (1, 2), &[1, 1]), "1x2 cells at 0,2"),
            (update((i32::MAX, 0), (u32::MAX, 1), &[1]), "4294967295x1 cells at 2147483647,0"),
            (update((0, 0), (2, 2), &[1; 3]), "3 values, 2x2 cells have 4"),
            (update((0, 0), (0, 3), &[1]), "1 values, 0x3 cells have 0"),
            (update((0, 0), (1, 1), &[101]), "a cell holds 101"),
            (update((0, 0), (1, 1), &[-2]), "a cell holds -2"),
            (elsewhere, "it is in frame `odom`, the costmap in `map`"),
        ] {
            let error = costmap.update(&update).unwrap_err().to_string();
            assert!(error.starts_with("costmap update: ") && error.contains(why), "{error}");
        }
        assert_eq!(costmap.map().unwrap().values(), [0; 12]);
    }
}
