//! Camera to grid: finds the board in a picture, straightens it, reads its cells, and says how far to trust that.

pub mod cells;
mod consistent;
pub mod lattice;
pub mod locate;
pub mod maze;
pub mod photo;
pub mod quad;
pub mod reader;
pub mod source;
pub mod training;

/// A point of a picture, `[x, y]`, pixels to the right and downwards from the middle of the top left pixel.
pub type Point = [f32; 2];
