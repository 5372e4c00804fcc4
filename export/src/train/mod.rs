//! Training as graphs.

pub mod ort_training;
