//! `Softplus`.

use super::{Elementwise, Sigmoid};
use crate::OnnxError;
use crate::graph::{GraphBuilder, ValueId};

/// `log(1 + exp(a))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softplus;

impl Elementwise for Softplus {
    const NAME: &'static str = "Softplus";

    fn apply(x: f64) -> f64 {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }

    fn input_gradient(b: &mut GraphBuilder, x: ValueId, _y: ValueId, g: ValueId) -> Result<ValueId, OnnxError> {
        let slope = b.node(Sigmoid, &[x])?;
        b.mul(g, slope)
    }
}
