//! `Neg`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// `-a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "Neg";

    fn apply(x: f64) -> f64 {
        -x
    }

    fn input_gradient(b: &mut GraphBuilder, _x: ValueId, _y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        b.node(Neg, &[g])
    }
}
