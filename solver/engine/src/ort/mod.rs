//! ONNX Runtime, loaded at run time from a shared library.
//!
//! A process has one runtime: the first library that is loaded stays. It is set up without telemetry; libraries from
//! 1.32 on that carry a telemetry component start its thread all the same unless the process was started with
//! `ORT_DISABLE_TELEMETRY=1`.

mod inside;
mod library;
mod outside;
mod provider;
pub mod session;
mod solve_session;
mod step_session;
mod tensors;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ::ort::LoadDynamicError;
use ::ort::environment::Environment;
use trm_models::{GraphKind, GraphTarget, Precision};

pub use self::library::probe::answer_probe;
pub use self::library::{Candidate, FoundLibrary, LibraryProblem, Place, SearchEnvironment, find_library};
pub use self::provider::{Device, ExecutionProvider, ProviderChoice, ProviderOptions, default_cache_dir};
use super::{Engine, EngineEntry, GraphSource, SessionOptions, SolveSession, StepSession};
use crate::{EngineError, Result};

/// The engine's name.
const NAME: &str = "ort";

/// The one runtime of this process. ort allows one environment, and forgets it when its last handle is dropped; this
/// handle is never dropped.
static RUNTIME: Mutex<Option<OrtEngine>> = Mutex::new(None);

/// ONNX Runtime as an engine.
#[derive(Debug, Clone)]
pub struct OrtEngine {
    environment: Environment,
    library: PathBuf,
    exposed: Option<String>,
    version: String,
}

impl OrtEngine {
    /// Finds and loads the library; see [`find_library`] for the order. In a program that [answers probes](answer_probe) it
    /// has been opened in a process of its own before. Once a library is loaded, this returns the same runtime again, and
    /// refuses another library.
    ///
    /// # Errors
    ///
    /// [`EngineError::LibraryNotFound`]; [`EngineError::LibraryRejected`] for a file that was named and cannot be it;
    /// [`EngineError::LibraryFails`] if it does not work; [`EngineError::LibraryAlreadyLoaded`] for another library
    /// than the one in use; [`EngineError::Failed`] if ONNX Runtime does not start.
    pub fn load(explicit: Option<&Path>) -> Result<Self> {
        let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = runtime.as_ref() {
            return match explicit {
                Some(path) => engine.clone().expect_library(path),
                None => Ok(engine.clone()),
            };
        }
        let found = library::find_that_opens(explicit, &SearchEnvironment::of_process(), &library::probe::opens)?;
        let engine = Self::load_found(&found)?;
        Ok(runtime.insert(engine).clone())
    }

    /// Every place that [`OrtEngine::load`] looks for the library in, with what is there and why that is not loaded.
    #[must_use]
    pub fn survey(explicit: Option<&Path>) -> Vec<Place> {
        library::survey(explicit, &SearchEnvironment::of_process(), &library::probe::opens)
    }

    fn expect_library(self, path: &Path) -> Result<Self> {
        let requested = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if requested == self.library || requested.is_dir() && self.library.starts_with(&requested) {
            return Ok(self);
        }
        Err(EngineError::LibraryAlreadyLoaded { loaded: self.library, requested })
    }

    fn load_found(found: &FoundLibrary) -> Result<Self> {
        let builder = ::ort::init_from(&found.path).map_err(|error| EngineError::LibraryFails {
            path: found.path.clone(),
            reason: match error {
                LoadDynamicError::Dlopen { error, .. } => format!("cannot be opened: {error}"),
                LoadDynamicError::BadVersion { version_str, .. } => format!("is too old (version {version_str})"),
                other => format!("cannot be used: {other}"),
            },
        })?;
        let environment = builder
            .with_name("trm")
            .with_telemetry(false)
            .build()
            .map_err(|error| failed("start ONNX Runtime", error))?;
        let version = library::version_of(&found.path);
        Ok(Self { environment, library: found.path.clone(), exposed: found.exposed.clone(), version })
    }

    /// The one environment of the process, for sessions of one's own.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The library in use.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Who else can replace the library, if it was named and somebody can.
    #[must_use]
    pub fn exposed(&self) -> Option<&str> {
        self.exposed.as_deref()
    }

    /// Describes the library's build: git commit, compiler flags.
    #[must_use]
    pub fn build_info(&self) -> &'static str {
        ::ort::info()
    }

    /// Loads a graph on every provider. Returns for each the reason why this library and machine cannot use it, or
    /// `None` if they can: a library may be built for a provider whose driver or device is missing.
    #[must_use]
    pub fn probe_providers(
        &self,
        graph: &GraphSource<'_>,
        options: &ProviderOptions,
    ) -> Vec<(ExecutionProvider, Option<String>)> {
        let probe = |provider| {
            let options = SessionOptions {
                provider: ProviderChoice::Only(provider),
                provider_options: options.clone(),
                ..SessionOptions::default()
            };
            session::commit(self, graph, &options).err().map(|error| match error {
                EngineError::Provider { reason, .. } => reason,
                other => other.to_string(),
            })
        };
        ExecutionProvider::ALL.into_iter().map(|provider| (provider, probe(provider))).collect()
    }
}

/// ONNX Runtime among the engines.
pub(crate) const ENTRY: EngineEntry = EngineEntry {
    name: NAME,
    about: "ONNX Runtime, from a shared library",
    graphs: &GraphKind::ALL,
    // On the CPU; a GPU takes portable graphs only.
    targets: &[GraphTarget::Portable, GraphTarget::OrtCpu, GraphTarget::Tract],
    precisions: &Precision::ALL,
    batch_invariant: true,
    built_in: false,
    has_gpu: true,
    open: |library| Ok(Box::new(OrtEngine::load(library)?)),
};

impl Engine for OrtEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    /// The library's version, `1.32.0`; `unknown` if its file name does not say.
    fn version(&self) -> String {
        self.version.clone()
    }

    fn remark(&self) -> Option<String> {
        self.exposed.as_ref().map(|exposed| format!("{}: {exposed}", self.library.display()))
    }

    fn load_step_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn StepSession>> {
        Ok(Box::new(step_session::OrtStepSession::load(self, graph, options)?))
    }

    fn load_solve_graph(&self, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Box<dyn SolveSession>> {
        Ok(Box::new(solve_session::OrtSolveSession::load(self, graph, options)?))
    }
}

/// Makes an error of one of ONNX Runtime's and the action that failed.
pub fn failed(action: impl Into<String>, source: ::ort::Error) -> EngineError {
    EngineError::Failed { engine: NAME, action: action.into(), source: Box::new(source) }
}
