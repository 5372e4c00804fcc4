//! Everything from outside the program: how large it may be, and how its text is shown.
//!
//! - [`Budget`]: bytes, items, depth and time that one reading may take. Every reader of files, archives, images, maps,
//!   frames and requests draws on one before it allocates; [`Exceeded`] says which limit was hit.
//!   [`Budget::take_json`] and [`Budget::take_lines`] count what a text would become before it is parsed.
//! - [`Printable`]: a name or a line from outside without control characters, and not too long, for messages, logs and
//!   terminals; [`Escaped`]: text of any length without them.
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
mod json;
mod printable;

pub use budget::{Bounded, Budget, Exceeded, Limits, ReadError, Resource};
pub use printable::{Escaped, Printable};
