//! The border between the program and files, requests and frames from outside.
//!
//! - [`Budget`]: bytes, items, depth and time that one reading may take. Every reader of files, archives, images, maps,
//!   frames and requests draws on one before it allocates; [`Exceeded`] says which limit was hit.
//!   [`Budget::take_json`] and [`Budget::take_lines`] count what a text would become before it is parsed.
//! - [`Printable`]: a name or a line from outside without control characters, and not too long, for messages, logs and
//!   terminals; [`Escaped`]: text of any length without them.
//! - [`file`](mod@file): files that are either complete or not there; [`unfinished`]: their temporary names.
//! - [`Hint`]: the advice of an error, apart from its message; [`Fault`]: a fault with advice, as readers return it.
//! - [`yaml`]: errors of the yaml parser, in words for whoever has the file.
//!
//! ```
//! use trm_intake::{Budget, Limits};
//!
//! let mut budget = Budget::new(Limits { bytes: 1 << 20, items: 1_000, depth: 32, time: None });
//! budget.take_items(900)?;
//! let refused = budget.take_items(101).unwrap_err();
//! assert_eq!(refused.to_string(), "1001 items are more than the limit of 1000");
//! # Ok::<(), trm_intake::Exceeded>(())
//! ```

mod budget;
pub mod file;
mod hint;
mod json;
mod printable;
pub mod shown;
pub mod unfinished;
pub mod yaml;

pub use budget::{Bounded, Budget, Exceeded, Limits, ReadError, Resource};
pub use hint::{Fault, Hint, explained, hint_as, with_hint};
pub use printable::{Escaped, Printable, with_causes, with_causes_as};
