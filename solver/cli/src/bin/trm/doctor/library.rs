//! Where `trm doctor` found ONNX Runtime's library, and where it did not.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use trm_engine::ort::{Candidate, OrtEngine, Place};

/// A place that is looked into.
#[derive(Debug, Serialize)]
pub(super) struct PlaceState {
    /// The place's origin: `--ort-lib`, `VIRTUAL_ENV`, `system`, …
    origin: &'static str,
    path: PathBuf,
    libraries: Vec<LibraryState>,
}

/// A file there with the library's name.
#[derive(Debug, Serialize)]
struct LibraryState {
    path: PathBuf,
    /// It is the one that is loaded.
    loaded: bool,
    /// Reason why it is not loaded; absent for one that would be if none came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Every place, with what is there.
pub(super) fn places(named: Option<&Path>, loaded: Option<&Path>) -> Vec<PlaceState> {
    let library = |Candidate { path, problem }: Candidate| LibraryState {
        loaded: loaded == Some(&path),
        path,
        problem: problem.map(|problem| problem.to_string()),
    };
    let place = |Place { origin, path, libraries }: Place| PlaceState {
        origin,
        path,
        libraries: libraries.into_iter().map(library).collect(),
    };
    OrtEngine::survey(named).into_iter().map(place).collect()
}

/// The option or variable that named a library, which then has to work.
pub(super) fn asked_by(named: Option<&Path>) -> Option<&'static str> {
    let variable = "ORT_DYLIB_PATH";
    let by_variable = || std::env::var_os(variable).filter(|value| !value.is_empty()).map(|_| variable);
    named.map(|_| "--ort-lib").or_else(by_variable)
}

impl PlaceState {
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { origin, path, libraries } = self;
        if libraries.is_empty() {
            return writeln!(out, "      {origin}: {}: nothing", path.display());
        }
        for LibraryState { path, loaded, problem } in libraries {
            let state = match (problem, loaded) {
                (Some(problem), _) => problem,
                (None, true) => "loaded",
                (None, false) => "not needed",
            };
            writeln!(out, "      {origin}: {}: {state}", path.display())?;
        }
        Ok(())
    }
}
