//! `Sqrt`.

use super::Elementwise;
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// `sqrt(a)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sqrt;

impl Elementwise for Sqrt {
    const NAME: &'static str = "Sqrt";

    fn apply(x: f64) -> f64 {
        x.sqrt()
    }

    /// `1 / (2 y)`.
    fn input_gradient(b: &mut GraphBuilder, _x: ValueId, y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        let half = b.scalar(0.5, b.ty(y).dtype);
        let factor = b.div(half, y)?;
        b.mul(g, factor)
    }
}
