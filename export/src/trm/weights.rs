//! The model's weights as graph constants, in the compute type.

use trm_models::TrmConfig;

use crate::ExportError;
use crate::checkpoint::{StateDict, WeightTensor};
use crate::onnx::{Constant, DType, GraphBuilder, ValueId};

/// What every part of the model needs: its configuration, its weights, and the float type it computes in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model<'a> {
    pub(super) config: &'a TrmConfig,
    weights: &'a StateDict,
    /// Type of activations and weights. Norms, the heads' results and the carry outside the graph are float32.
    pub(super) compute: DType,
}

/// How a linear layer's `[out, in]` weight is laid out in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As stored, `[out, in]`: the weight multiplies from the left.
    Stored,
    /// Transposed, `[in, out]`: the weight multiplies from the right.
    Transposed,
}

impl<'a> Model<'a> {
    pub(super) fn new(config: &'a TrmConfig, weights: &'a StateDict, compute: DType) -> Self {
        Self { config, weights, compute }
    }

    /// A weight as a constant of the compute type, under its state-dict name.
    pub(super) fn weight(&self, b: &mut GraphBuilder, name: &str, layout: Layout) -> Result<ValueId, ExportError> {
        self.constant(b, name, layout, self.compute)
    }

    /// A weight that stays float32.
    pub(super) fn weight_f32(&self, b: &mut GraphBuilder, name: &str, layout: Layout) -> Result<ValueId, ExportError> {
        self.constant(b, name, layout, DType::F32)
    }

    fn constant(&self, b: &mut GraphBuilder, name: &str, layout: Layout, dtype: DType) -> Result<ValueId, ExportError> {
        let tensor = self.weights.get(name).ok_or_else(|| ExportError::LayoutMismatch {
            origin: self.weights.origin().into(),
            reason: format!("`{name}` is missing"),
            hint: "check the weights against the configuration first".into(),
        })?;
        Ok(b.constant(name, || {
            let constant = match layout {
                Layout::Stored => Constant::f32(&tensor.shape, tensor.data.as_slice()),
                Layout::Transposed => transposed(tensor),
            };
            constant.to_float(dtype)
        }))
    }
}

/// `[out, in]` to `[in, out]`; a tensor of any other rank is returned as it is.
fn transposed(tensor: &WeightTensor) -> Constant {
    let &[rows, columns] = tensor.shape.as_slice() else {
        return Constant::f32(&tensor.shape, tensor.data.as_slice());
    };
    let data = (0..columns).flat_map(|column| (0..rows).map(move |row| tensor.data[row * columns + column]));
    Constant::f32(&[columns, rows], data.collect::<Vec<_>>())
}
