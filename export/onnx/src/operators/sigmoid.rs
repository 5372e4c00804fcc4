//! `Sigmoid`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// `1 / (1 + exp(-a))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sigmoid;

impl Elementwise for Sigmoid {
    const NAME: &'static str = "Sigmoid";

    fn apply(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// `y (1 - y)`.
    fn input_gradient(b: &mut GraphBuilder, _x: ValueId, y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        let one = b.scalar(1.0, b.ty(y).dtype);
        let rest = b.sub(one, y)?;
        let scaled = b.mul(g, y)?;
        b.mul(scaled, rest)
    }
}
