//! Camera to grid: finds the board in a picture, straightens it, reads its cells, and says how far to trust that.
//!
//! [`BoardReader`] does all of it: dark lines that hang together give quadrilaterals (`quad`), those with a board's lines are
//! boards (`locate`), whose crossings (`lattice`) straighten what curls; each cell (`cells`) is classified, and the most likely
//! digits that make a puzzle are the [reading](Reading). What cannot be trusted says why. [`MazeReader`](maze::MazeReader) reads
//! printed line mazes, and [`source`] is where pictures come from.
//!
//! Most thresholds of this module follow from no formula, and how their values were found is not on record. What a
//! change of one does can be measured: `trm-host read --eval` on labelled photographs, the ignored test `figures` of
//! `tests/maze_photos` on rendered mazes.

mod cells;
mod consistent;
pub mod evaluation;
mod lattice;
mod locate;
pub mod maze;
pub mod overlay;
pub mod photo;
pub mod photo_set;
mod quad;
mod reader;
pub mod source;
pub mod training;
mod vote;

pub use quad::Quad;
pub use reader::{BoardReader, Reading, Refusal};
pub use vote::Voter;

/// A point of a picture, `[x, y]`, pixels to the right and downwards from the middle of the top left pixel.
pub type Point = [f32; 2];
