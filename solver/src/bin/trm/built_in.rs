//! The engines that are built into the program.

use trm_solver::Engine;
#[cfg(feature = "rten")]
use trm_solver::engine::rten::RtenEngine;
#[cfg(feature = "tract")]
use trm_solver::engine::tract::TractEngine;

/// An engine that is built in. They run on the processor only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuiltIn {
    /// tract.
    #[cfg(feature = "tract")]
    Tract,
    /// rten.
    #[cfg(feature = "rten")]
    Rten,
}

impl BuiltIn {
    /// All there are, the preferred one first.
    pub(crate) const ALL: &[Self] = &[
        #[cfg(feature = "tract")]
        Self::Tract,
        #[cfg(feature = "rten")]
        Self::Rten,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "tract")]
            Self::Tract => TractEngine.name(),
            #[cfg(feature = "rten")]
            Self::Rten => RtenEngine.name(),
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            #[cfg(feature = "tract")]
            Self::Tract => TractEngine.version(),
            #[cfg(feature = "rten")]
            Self::Rten => RtenEngine.version(),
        }
    }

    pub(crate) fn engine(self) -> Box<dyn Engine> {
        match self {
            #[cfg(feature = "tract")]
            Self::Tract => Box::new(TractEngine),
            #[cfg(feature = "rten")]
            Self::Rten => Box::new(RtenEngine),
        }
    }

    /// The names of all, for messages; `no engine` where none is built in.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|built_in| built_in.name()).collect();
        if names.is_empty() { "no engine".to_owned() } else { names.join(" and ") }
    }
}
