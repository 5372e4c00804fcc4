//! The one error type of this crate.

use std::borrow::Cow;
use std::error::Error;

use trm_intake::file::FileError;
use trm_intake::{Fault, Hint};
use trm_puzzles::PuzzleError;

/// The reasons why there is no plan, or no map to plan on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A map that cannot be read, or contradicts itself.
    #[error("{source_name}: {fault}")]
    BadMap {
        /// The map, as the caller calls it; mostly a file.
        source_name: String,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// A map with more cells than planning has memory for.
    #[error("{source_name}: {width}x{height} cells are more than the limit of {limit}")]
    MapTooLarge {
        /// The map, as the caller calls it.
        source_name: String,
        /// Cells across.
        width: usize,
        /// Cells up.
        height: usize,
        /// Most cells.
        limit: usize,
    },
    /// A robot of no size, or one that no map could hold.
    #[error("the robot's radius {reason}")]
    Radius {
        /// The fault, after "the robot's radius".
        reason: String,
    },
    /// A footprint that is none.
    #[error("the footprint has {reason}")]
    Footprint {
        /// The fault, after "the footprint has".
        reason: String,
    },
    /// Costs that are no numbers, or negative.
    #[error("the costs have {reason}")]
    Costs {
        /// The fault, after "the costs have".
        reason: String,
    },
    /// A drive that cannot be read, or is none.
    #[error("{source_name}: {fault}")]
    BadDrive {
        /// The drive, as the caller calls it; mostly a file and its line.
        source_name: String,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// A layer over a map that cannot be, or is not what a model knows.
    #[error("the layer `{layer}` {fault}")]
    BadLayer {
        /// The layer's name.
        layer: String,
        /// The fault, after the layer's name, and the expectation.
        fault: Fault,
    },
    /// A recording that cannot be read, or has nothing to make drives of.
    #[error("{source_name}: {fault}")]
    BadRecording {
        /// The recording, as the caller calls it; mostly a file.
        source_name: String,
        /// The fault, and the expectation.
        fault: Fault,
    },
    /// A threshold that no value of a map's cell can reach, or that all do.
    #[error("{value} is no value of an obstacle")]
    OccupiedFrom {
        /// The threshold.
        value: i8,
    },
    /// A start or goal where the robot cannot be.
    #[error("the {what} {x},{y} {reason}")]
    PlaceRefused {
        /// `start` or `goal`.
        what: &'static str,
        /// Metres in the map's frame.
        x: f64,
        /// Metres in the map's frame.
        y: f64,
        /// The obstacle, or the edge, that is there.
        reason: String,
        /// The advice.
        hint: Option<String>,
    },
    /// A planned path failed its check on the map: the planner contradicts itself.
    #[error("a path was planned but not confirmed by its check: {what}")]
    PlanFault {
        /// The fault.
        what: String,
    },
    /// Whoever solves the mazes failed. Its own error is the cause, and says the same.
    #[error("{0}")]
    MazeSolver(#[source] Box<dyn Error + Send + Sync>),
    /// Whoever says how dear cells are failed. Its own error is the cause, and says the same.
    #[error("{0}")]
    CostPredictor(#[source] Box<dyn Error + Send + Sync>),
    /// A puzzle's file was read as a map, and refused.
    #[error(transparent)]
    Puzzle(#[from] PuzzleError),
    /// A map could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Hint for PlanError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::BadMap { fault, .. }
            | Self::BadDrive { fault, .. }
            | Self::BadLayer { fault, .. }
            | Self::BadRecording { fault, .. } => return fault.hint(),
            Self::MapTooLarge { .. } => "crop the map, or give it a coarser resolution".into(),
            Self::Radius { .. } => "give metres, such as 0.22".into(),
            Self::Footprint { .. } => {
                "give its corners around the robot's centre in metres, x ahead, such as [[0.3,0.2],[0.3,-0.2],[-0.3,-0.2],[-0.3,0.2]]".into()
            }
            Self::Costs { .. } => "give numbers of 0 or more, such as --inflation 0.55,10".into(),
            Self::OccupiedFrom { .. } => "give 1 to 100; ROS counts 65 and more as occupied".into(),
            Self::PlaceRefused { hint, .. } => return hint.as_deref().map(Cow::from),
            Self::PlanFault { .. } => {
                "this is a defect of the planner; please report it with the map, start and goal".into()
            }
            // The cause has its own.
            Self::MazeSolver(_) | Self::CostPredictor(_) => return None,
            Self::Puzzle(error) => return error.hint(),
            Self::File(error) => return error.hint(),
        })
    }
}
