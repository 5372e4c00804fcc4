//! Training and fine-tuning, on the machine that will use the model.

pub mod runtime;
