//! `Log`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// Natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log;

impl Elementwise for Log {
    const NAME: &'static str = "Log";

    fn apply(x: f64) -> f64 {
        x.ln()
    }

    fn input_gradient(b: &mut GraphBuilder, x: ValueId, _y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        b.div(g, x)
    }
}
