//! An engine as users choose it.

use std::path::Path;

use trm_models::{GraphKind, GraphTarget, Precision};

use crate::{Engine, Result};

/// An engine as users choose it: its name, and what it runs.
#[derive(Debug)]
pub struct EngineEntry {
    /// The name, as in `--backend`.
    pub name: &'static str,
    /// A line about it.
    pub about: &'static str,
    /// Kinds of graph that it runs.
    pub graphs: &'static [GraphKind],
    /// Targets whose step graphs it runs.
    pub targets: &'static [GraphTarget],
    /// Precisions of the graphs that it runs.
    pub precisions: &'static [Precision],
    /// On the processor, a batch's rows have exactly the numbers that they have alone.
    pub batch_invariant: bool,
    /// It is part of the program. Otherwise it comes from a shared library, which may be missing.
    pub built_in: bool,
    /// It can run on a GPU.
    pub has_gpu: bool,
    /// Opens it, from the shared library that is named, if it has one.
    pub open: fn(library: Option<&Path>) -> Result<Box<dyn Engine>>,
}

impl EngineEntry {
    /// True if it runs a kind of graph that was written for a target.
    #[must_use]
    pub fn runs(&self, kind: GraphKind, target: GraphTarget) -> bool {
        self.graphs.contains(&kind) && (kind != GraphKind::Step || self.targets.contains(&target))
    }
}

impl PartialEq for EngineEntry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for EngineEntry {}
