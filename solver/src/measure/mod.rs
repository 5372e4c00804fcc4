//! Measures models: whether they work, how well they solve, at what cost and speed.

pub mod bench;
pub mod escalation;
pub mod eval;
pub mod plan_trial;
pub mod score;
pub mod selftest;
