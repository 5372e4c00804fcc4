//! The engines of this build: one line for each.

#[cfg(feature = "rten")]
use crate::rten;
#[cfg(feature = "tract")]
use crate::tract;
use crate::{EngineEntry, ort};

/// All engines, the preferred one first.
pub const ALL: &[EngineEntry] = &[
    ort::ENTRY,
    #[cfg(feature = "rten")]
    rten::ENTRY,
    #[cfg(feature = "tract")]
    tract::ENTRY,
];

/// Names of engines that this build could have had: each is the name of its feature.
pub const ABSENT: &[&str] = &[
    #[cfg(not(feature = "rten"))]
    "rten",
    #[cfg(not(feature = "tract"))]
    "tract",
];

/// The engines that need no library, the preferred one first.
pub fn built_in() -> impl Iterator<Item = &'static EngineEntry> {
    ALL.iter().filter(|entry| entry.built_in)
}

/// The engine that is taken where nobody chooses one: the first that is built in, else ONNX Runtime.
#[must_use]
pub fn default() -> &'static EngineEntry {
    built_in().next().unwrap_or(&ALL[0])
}

/// The engine of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static EngineEntry> {
    ALL.iter().find(|entry| entry.name == name)
}
