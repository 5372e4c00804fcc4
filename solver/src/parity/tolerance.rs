//! How far a model may be from the recorded numbers.

use super::Golden;

/// The largest absolute error allowed at a step, for the steps that can be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    first: f64,
    second: Option<f64>,
    later: Option<f64>,
    /// Whether a cell whose argmax differs is a failure too.
    pub argmax: bool,
}

impl Tolerances {
    /// What can be asked of a golden:
    ///
    /// | golden | step 1 | step 2 | later | argmax |
    /// | --- | --- | --- | --- | --- |
    /// | stable | 1e-4 | 1e-4 | 1e-4 | equal |
    /// | stable, ARC's (its reference differs from itself in float64 by 2e-4) | 1e-3 | 1e-3 | 1e-3 | equal |
    /// | plain: chaotic | 1e-3 | 1e-2 | not judged | not judged |
    /// | stable, computed by the reference in bfloat16 | 0.06 | not judged | not judged | not judged |
    /// | plain, in bfloat16 | not judged | | | |
    #[must_use]
    pub fn of(golden: &Golden) -> Self {
        let throughout = |limit| Self { first: limit, second: Some(limit), later: Some(limit), argmax: true };
        match (golden.is_stable(), golden.is_half_precision()) {
            (true, false) if golden.name().contains("arc") => throughout(1e-3),
            (true, false) => throughout(1e-4),
            (false, false) => Self { first: 1e-3, second: Some(1e-2), later: None, argmax: false },
            (true, true) => Self { first: 0.06, second: None, later: None, argmax: false },
            (false, true) => Self { first: f64::INFINITY, second: None, later: None, argmax: false },
        }
    }

    /// Another limit for every step that is judged.
    #[must_use]
    pub fn with_limit(self, atol: f64) -> Self {
        Self { first: atol, second: self.second.and(Some(atol)), later: self.later.and(Some(atol)), ..self }
    }

    /// The limit at a step, `None` where the numbers say nothing.
    #[must_use]
    pub fn at(&self, step: usize) -> Option<f64> {
        let limit = match step {
            1 => Some(self.first),
            2 => self.second,
            _ => self.later,
        };
        limit.filter(|limit| limit.is_finite())
    }
}
