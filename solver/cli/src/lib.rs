//! The part that all programs of the project share: the options that choose an engine, how failures are printed and become
//! exit codes, printing itself, signals, time limits, and the manual.

pub mod backend;
pub mod console;
pub mod deadline;
mod exit;
pub mod failure;
pub mod interrupt;
pub mod manual;
mod option;
mod picture_file;

pub use exit::Exit;
pub use option::{InvalidOption, option_of};
pub use picture_file::numbered;
