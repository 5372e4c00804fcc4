//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_intake::file::FileError;
use trm_intake::{Fault, Hint};
use trm_models::ModelError;
use trm_onnx::OnnxError;

/// The reasons for which a checkpoint, a graph or an export is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The configuration or the bundle was refused.
    #[error(transparent)]
    Model(#[from] ModelError),

    // checkpoint/
    /// A file is not a checkpoint, or a damaged one.
    #[error("{}: {reason}", path.display())]
    BadCheckpoint {
        /// The file.
        path: PathBuf,
        /// The fault, and its place in the file.
        reason: String,
        /// The advice.
        hint: Option<String>,
    },
    /// A checkpoint asks to run code that no state dict needs. It was not run.
    #[error(
        "{}: the pickle refers to `{global}` (offset {offset}), which is code that no state dict needs",
        path.display()
    )]
    ForeignGlobal {
        /// The file.
        path: PathBuf,
        /// Module and name.
        global: String,
        /// Offset of the opcode in the archive's `data.pkl`.
        offset: usize,
    },
    /// A checkpoint holds several sets of weights, and none was asked for.
    #[error("{}: several sets of weights: {sets}", path.display())]
    SeveralWeights {
        /// The file.
        path: PathBuf,
        /// The sets' names, and what they are.
        sets: String,
        /// Which to take, and how.
        hint: String,
    },
    /// A checkpoint does not hold the set of weights that was asked for.
    #[error("{}: no set of weights `{name}`; it has {sets}", path.display())]
    NoSuchWeights {
        /// The file.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        sets: String,
    },
    /// A checkpoint has keys that may change what the model computes, for all that is known.
    #[error("{}: beside the weights the file has {keys}, which mean nothing that is known here", path.display())]
    UnknownKeys {
        /// The file.
        path: PathBuf,
        /// The keys and what they hold.
        keys: String,
        /// The name of the weights.
        weights: String,
    },
    /// One tensor of a checkpoint cannot be read or written.
    #[error("{origin}: tensor `{tensor}` {fault}")]
    BadTensor {
        /// The file.
        origin: String,
        /// The tensor's name, as written in the file.
        tensor: String,
        /// The fault.
        fault: Fault,
    },
    /// The tensors of a checkpoint are not those of the configured model.
    #[error("{origin}: the weights do not fit the configuration: {reason}")]
    LayoutMismatch {
        /// The file.
        origin: String,
        /// Which tensors are missing or have no place.
        reason: String,
        /// Which setting to look at.
        hint: String,
    },
    /// A tensor's shape is not what the configuration calls for.
    #[error("{origin}: tensor `{tensor}` has shape {found:?}, expected {expected:?}, which is [{because}]")]
    ShapeMismatch {
        /// The file.
        origin: String,
        /// The tensor's canonical name.
        tensor: String,
        /// The shape in the file.
        found: Box<[usize]>,
        /// The shape that follows from the configuration.
        expected: Box<[usize]>,
        /// The settings that each dimension follows from.
        because: String,
    },

    /// A graph could not be built, differentiated, evaluated or read.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A graph does not fit what ONNX Runtime's training API asks for.
    #[error("no training model: {problem}")]
    TrainingGraph {
        /// The mismatch.
        problem: String,
    },
}

impl Hint for ExportError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::File(error) => error.hint(),
            Self::Model(error) => error.hint(),
            Self::Onnx(error) => error.hint(),
            Self::BadCheckpoint { hint, .. } => hint.as_deref().map(Cow::from),
            Self::ForeignGlobal { .. } => Some("save the weights alone: torch.save(model.state_dict(), path)".into()),
            Self::SeveralWeights { hint, .. } | Self::LayoutMismatch { hint, .. } => Some(hint.into()),
            Self::NoSuchWeights { .. } => Some("--weights takes one of these".into()),
            Self::UnknownKeys { weights, .. } => {
                let hint =
                    format!("if the model computes the same without, --weights {weights} reads these weights alone");
                Some(hint.into())
            }
            Self::BadTensor { fault, .. } => fault.hint(),
            Self::ShapeMismatch { .. } => {
                Some("are these the all_config.yaml and dataset.json of this checkpoint?".into())
            }
            Self::TrainingGraph { .. } => None,
        }
    }
}
