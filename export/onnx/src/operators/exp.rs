//! `Exp`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// `exp(a)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exp;

impl Elementwise for Exp {
    const NAME: &'static str = "Exp";

    fn apply(x: f64) -> f64 {
        x.exp()
    }

    fn input_gradient(b: &mut GraphBuilder, _x: ValueId, y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        b.mul(g, y)
    }
}
