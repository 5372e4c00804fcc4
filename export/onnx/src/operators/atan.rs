//! `Atan`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// Inverse tangent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Atan;

impl Elementwise for Atan {
    const NAME: &'static str = "Atan";

    fn apply(x: f64) -> f64 {
        x.atan()
    }

    /// `1 / (1 + x²)`.
    fn input_gradient(b: &mut GraphBuilder, x: ValueId, y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        let one = b.scalar(1.0, b.ty(y).dtype);
        let square = b.mul(x, x)?;
        let below = b.add(square, one)?;
        b.div(g, below)
    }
}
