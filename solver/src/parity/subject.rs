//! The model under comparison: a bundle's files, or graphs made of a checkpoint in memory.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use trm_engine::{ExternalFiles, GraphSource};
use trm_export::checkpoint::StateDict;
use trm_export::onnx;
use trm_export::trm::{GraphOptions, build_graph};
use trm_intake::file::FileError;
use trm_models::{GraphKind, GraphTarget, ModelBundle, ModelError, TrmConfig};

use super::golden::config_of;
use crate::{Result, SolverError};

/// A model that can be asked for its graphs.
#[derive(Debug)]
pub struct Subject {
    name: String,
    config: TrmConfig,
    origin: Origin,
}

#[derive(Debug)]
enum Origin {
    Bundle(Box<ModelBundle>),
    Weights(Box<StateDict>),
}

/// A graph of a [`Subject`].
#[derive(Debug)]
pub struct Graph<'a> {
    subject: &'a Subject,
    kind: GraphKind,
    bytes: Cow<'a, [u8]>,
    external: ExternalFiles<'a>,
}

impl Graph<'_> {
    /// The graph as an engine loads it.
    #[must_use]
    pub fn source(&self) -> GraphSource<'_> {
        GraphSource {
            name: &self.subject.name,
            kind: self.kind,
            config: &self.subject.config,
            bytes: Cow::Borrowed(&self.bytes),
            external: self.external.clone(),
            batch_invariant: match &self.subject.origin {
                Origin::Bundle(bundle) => bundle.manifest().precision.is_batch_invariant(),
                Origin::Weights(_) => true,
            },
            target: match &self.subject.origin {
                Origin::Bundle(bundle) => bundle.manifest().target,
                Origin::Weights(_) => GraphTarget::Portable,
            },
        }
    }
}

impl Subject {
    /// A bundle, every file of which is checked against its hash.
    ///
    /// # Errors
    ///
    /// [`SolverError::Model`] if a file is missing or does not match its hash.
    pub fn of_bundle(bundle: ModelBundle) -> Result<Self> {
        bundle.verify()?;
        let manifest = bundle.manifest();
        Ok(Self {
            name: manifest.name.clone(),
            config: manifest.config.clone(),
            origin: Origin::Bundle(Box::new(bundle)),
        })
    }

    /// The newest checkpoint (`step_N`, or the only `.pt` or `.safetensors` file) of a folder with an
    /// `all_config.yaml`. The sizes that the latter lacks come from a `dataset.json` or a golden's `manifest.json`.
    ///
    /// # Errors
    ///
    /// [`SolverError::BadGolden`] if the folder has no checkpoint, or several; [`SolverError::Model`] if the
    /// configuration is missing or incomplete; [`SolverError::Export`] if the checkpoint is refused or does not fit
    /// the configuration.
    pub fn of_checkpoint(dir: &Path) -> Result<Self> {
        let config = config_of(dir)?;
        let path = newest_checkpoint(dir)?;
        let weights = StateDict::read(&path)?;
        weights.check(&config)?;
        Ok(Self { name: path.display().to_string(), config, origin: Origin::Weights(Box::new(weights)) })
    }

    /// Name for messages: the bundle's name, or the checkpoint's path.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &TrmConfig {
        &self.config
    }

    /// The steps of a bundle's own unrolled graph.
    #[must_use]
    pub fn unrolled_steps(&self) -> Option<usize> {
        match &self.origin {
            Origin::Bundle(bundle) => bundle.manifest().graphs.get(&GraphKind::Unrolled)?.steps,
            Origin::Weights(_) => None,
        }
    }

    /// A graph: a bundle's own file, or one made of the checkpoint. An unrolled graph of another number of steps than
    /// the bundle's is made of the bundle's weights.
    ///
    /// # Errors
    /// The bundle has neither the graph nor `weights.safetensors` to make it of, or is damaged.
    pub fn graph(&self, kind: GraphKind, unrolled_steps: Option<usize>) -> Result<Graph<'_>> {
        match &self.origin {
            Origin::Bundle(bundle) if kind != GraphKind::Unrolled || unrolled_steps == self.unrolled_steps() => {
                let bytes = bundle.graph_bytes(kind)?;
                Ok(Graph { subject: self, kind, bytes, external: ExternalFiles::Bundle(bundle) })
            }
            _ => self.encode(kind, unrolled_steps),
        }
    }

    /// A graph before it becomes a file, for the reference evaluator. It is made of the weights, in float32.
    ///
    /// # Errors
    ///
    /// [`SolverError::Export`] if a bundle holds no weights, or no graph can be made of them.
    pub fn build(&self, kind: GraphKind, unrolled_steps: Option<usize>) -> Result<onnx::Graph> {
        let options = GraphOptions { unrolled_steps, ..GraphOptions::default() };
        let built = match &self.origin {
            Origin::Weights(weights) => build_graph(kind, &self.config, weights, options)?,
            Origin::Bundle(bundle) => build_graph(kind, &self.config, &StateDict::of_bundle(bundle)?, options)?,
        };
        Ok(built)
    }

    fn encode(&self, kind: GraphKind, unrolled_steps: Option<usize>) -> Result<Graph<'_>> {
        let encoded = onnx::write::encode(&self.build(kind, unrolled_steps)?, &[]);
        let external = ExternalFiles::of_encoded(&encoded.external);
        Ok(Graph { subject: self, kind, bytes: encoded.onnx.into(), external })
    }
}

/// The checkpoint of a folder: `step_N` of the largest N, as training names them, else its only weights file.
fn newest_checkpoint(dir: &Path) -> Result<PathBuf> {
    let io_error = |source| ModelError::File(FileError::Io { action: "read", path: dir.to_owned(), source });
    let mut steps: Vec<(u64, PathBuf)> = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if let Some(step) = name.strip_prefix("step_").and_then(|number| number.parse().ok()) {
            steps.push((step, path));
        } else if matches!(extension, Some("pt" | "safetensors")) && name != "outputs.safetensors" {
            others.push(path);
        }
    }
    match (steps.into_iter().max(), others.as_slice()) {
        (Some((_, path)), _) => Ok(path),
        (None, [path]) => Ok(path.clone()),
        (None, _) => Err(SolverError::BadGolden {
            path: dir.to_owned(),
            reason: format!("{} checkpoints, expected step_N or one .pt or .safetensors file", others.len()),
        }),
    }
}
