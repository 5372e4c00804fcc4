//! Trained weights: reading and writing the files that the public training code exchanges.
//!
//! - [`StateDict`]: named tensors, under the names of the reference's modules; read from a `torch.save` archive or a
//!   safetensors file, whichever it is.
//! - [`layout`]: the tensors that a configuration calls for; [`StateDict::check`] compares.
//!
//! A torch archive is a zip of a pickle and raw storages. The pickle is read by an interpreter of the few opcodes and
//! globals that state dicts need; nothing in it can run code.

mod layout;
mod pickle;
mod safetensors;
mod state_dict;
mod torch;
mod torch_write;

pub use layout::{TensorLayout, layout};
pub use state_dict::{DEFAULT_PREFIX, StateDict, WeightDtype, WeightTensor};
