//! Trained weights: reading and writing the files that the public training code exchanges.
//!
//! - [`StateDict`]: named tensors, under the names of the reference's modules; read from what `torch.save` writes,
//!   safetensors (one file, or shards with an index), numpy archives, or a folder of any of these.
//! - [`Ledger`]: the record of how a file was read: which of several sets of weights was taken, and what became of
//!   everything else. Nothing is left out without an entry there.
//! - [`layout`]: the tensors that a configuration calls for; [`StateDict::check`] compares.
//!
//! A torch archive is a zip of a pickle and raw storages. The pickle is read by an interpreter of the opcodes and
//! globals that plain data needs; nothing in it can run code. A reading draws on one budget that follows from the
//! file's length: a small file cannot ask for much memory, however it is made.

mod archive;
mod contents;
mod folder;
mod gather;
mod keys;
mod layout;
mod ledger;
mod names;
mod nano_trm;
mod npz;
mod of_bundle;
mod pickle;
mod read;
mod safetensors;
mod select;
mod source;
mod state_dict;
mod torch;
mod torch_write;

use std::path::Path;

use serde_json::{Map, Value};
use trm_intake::{Exceeded, Printable};

pub use folder::is_checkpoint_folder;
pub(crate) use layout::{LayoutDim, positions, swiglu_layout};
pub use layout::{TensorLayout, WeightRole, layout};
pub use ledger::Ledger;
pub use read::ReadOptions;
pub use state_dict::{DEFAULT_PREFIX, StateDict, WeightDtype, WeightTensor};

use crate::ExportError;

/// The result of a format's reader.
struct Read {
    tensors: Vec<(String, WeightTensor)>,
    ledger: Ledger,
    settings: Option<(String, Map<String, Value>)>,
}

fn bad(path: &Path, reason: impl AsRef<str>, hint: Option<&str>) -> ExportError {
    ExportError::BadCheckpoint {
        path: path.to_owned(),
        reason: reason.as_ref().to_owned(),
        hint: hint.map(str::to_owned),
    }
}

/// A budget that ran out while `doing` something.
fn exceeded(path: &Path, doing: &str, over: Exceeded, hint: &str) -> ExportError {
    let doing = Printable(doing);
    bad(path, format!("{doing} takes more than a checkpoint of this size may: {over}"), Some(hint))
}
