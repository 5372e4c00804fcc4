//! Pictures in and out of files, for whoever draws or reads them.
//!
//! - [`decoder`]: pictures from files, decoded only within a budget.
//! - [`write_png`]: the one place that writes PNG files; [`check_png_path`] refuses a path before the work is done.
//! - [`chart`]: curves as SVG and as pictures; [`font`]: letters of 5x7 pixels.

pub mod chart;
mod decode;
mod encode;
pub mod font;

pub use decode::{PictureError, decoder};
pub use encode::{PathRefused, WriteError, check_png_path, write_png};
