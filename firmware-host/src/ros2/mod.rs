//! Planning as a node of ROS 2, without an installation of ROS: DDS in Rust ([`ros2_client`]).
//!
//! [`PlanningNode`] takes a `nav_msgs/msg/OccupancyGrid` (latched), a start and a goal, and publishes a `nav_msgs/msg/Path` in
//! the map's frame; it is also a server of nav2's action `ComputePathToPose`. What it does with each message is [`Planning`], which
//! knows no network; what finds the path is a [`PathPlanner`], of which [`NetworkPlanner`] is the one that works. The messages' layouts
//! are in [`messages`] and [`nav2`], their bytes in [`cdr`].
//!
//! Bad messages are refused with a warning and leave everything as it was. A goal to which there is no path is answered
//! by a path without poses, so that nobody goes on along an older one.

mod action;
pub mod cdr;
mod convert;
mod costmap;
mod goals;
mod latched;
pub mod messages;
mod names;
pub mod nav2;
mod network;
mod network_access;
mod node;
mod parameters;
mod planner;
mod planning;

pub use names::{Names, PRIVATE_PLAN};
pub use network::{NetworkPlanner, cores};
pub use node::{MAX_DOMAIN, MapSource, Options, PlanningNode, Rmw, Stopper};
pub use parameters::{Parameters, fallback, metres, occupied_from, pose, scaling, unknown_space};
pub use planner::{MapKind, Outcome, PathPlanner, Planned, PlannerSettings};
pub use planning::{Action, Level, Planning};
