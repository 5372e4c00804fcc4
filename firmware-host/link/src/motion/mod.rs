//! Motion over the link: a planned path in metres is driven by a robot that knows turns, straight drives, and maybe
//! waypoints.
//!
//! - [`Route`] is a path that can be driven: checked, and reduced to its corners.
//! - [`Follower`] says what to do next, from where the robot is, and nothing else: what went wrong before does not add up.
//!   [`motions`] asks it for a whole route, with a robot that does exactly what it is told.
//! - [`drive()`] does it: one movement at a time, the next from where the robot reports to be when it stands. After a lost
//!   link it goes on from there.
//! - [`PathFile`] is what `trm plan --json` prints.
//!
//! ```
//! use trm_link::motion::{Route, Speeds, motions};
//! use trm_protocol::Motion;
//! use trm_plan::Pose;
//!
//! let path = [Pose::new(0.0, 0.0, 0.0), Pose::new(1.0, 0.0, 0.0), Pose::new(1.0, 0.5, 1.57)];
//! let route = Route::new(&path)?;
//! let speeds = Speeds::new(0.2, 90.0)?;
//! let drive = |distance_mm| Motion::Drive { distance_mm, speed_mm_s: 200 };
//! let turn = Motion::Turn { degrees: 90, speed_deg_s: 90 };
//! assert_eq!(motions(&route, path[0], speeds)?, [drive(1000), turn, drive(500)]);
//! # Ok::<(), trm_link::LinkError>(())
//! ```
//!
//! It refuses paths that are empty, not finite or farther than [`MAX_METRES`] from the frame's origin, speeds beyond
//! [`Speeds::new`]'s limits, and devices that have no motors or do not know where they are. It does not look at the map:
//! a robot that is beside its path stops, as only the path was checked.

mod drive;
mod follow;
mod path_file;
mod pose;
mod route;

pub use drive::{DriveOptions, Driven, Outcome, Progress, drive};
pub use follow::{Follower, Kind, Step, motions};
pub use path_file::PathFile;
pub use pose::{MAX_METRES, from_robot, to_robot};
pub use route::{Route, Speeds};
