//! Grid: every cell with its eight neighbours, as a 3x3 convolution without bias. No weight belongs to a position, so a model
//! has no size.

use trm_models::TrmConfig;

use super::{Ends, TokenMixer, board};
use crate::ExportError;
use crate::checkpoint::{LayoutDim, TensorLayout};
use crate::onnx::operators::{Concat, Pad, ReduceMax, ReduceMean, Slice};
use crate::onnx::{Dim, GraphBuilder, ValueId};
use crate::trm::norm::{LAST, residual_norm};
use crate::trm::quantize::{linear, observe};
use crate::trm::weights::Model;

/// Cells of a neighbourhood, the cell itself among them.
const NEIGHBOURHOOD: usize = 9;
/// Its weight in a block, `[D, 9 D]`: a neighbourhood's states one after the other, row by row.
const NEIGHBOURS: &str = "grid.neighbours.weight";

/// The mixer of grids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid;

impl TokenMixer for Grid {
    fn module(&self) -> &'static str {
        "grid"
    }

    fn weights(&self) -> &'static [&'static str] {
        &[NEIGHBOURS]
    }

    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
        let width = config.hidden_size;
        let all = LayoutDim::new(NEIGHBOURHOOD * width, format!("{NEIGHBOURHOOD} · hidden_size {width}"));
        vec![TensorLayout::linear(format!("{block}.{NEIGHBOURS}"), [&LayoutDim::field("hidden_size", width), &all])]
    }

    fn suspicion(&self) -> &'static str {
        "these are the weights of a model of grids: mixer should be grid"
    }

    fn ends(&self, config: &TrmConfig) -> Ends {
        let width = config.hidden_size;
        Ends { pooled: LayoutDim::new(2 * width, format!("2 · hidden_size {width}")), ..Ends::of_tokens(config) }
    }

    fn multiplications(&self, config: &TrmConfig) -> usize {
        NEIGHBOURHOOD * config.total_len() * config.hidden_size * config.hidden_size
    }

    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        NEIGHBOURHOOD * config.total_len() * config.hidden_size
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let mixed = b.scoped("grid", |b| {
            let around = neighbourhoods(b, model, s)?;
            let name = format!("{block}.{NEIGHBOURS}");
            observe(b, model, &name, around, LAST)?;
            linear(b, model, &name, around)
        })?;
        Ok(residual_norm(b, model, s, mixed, LAST)?)
    }

    /// Mean and maximum over the cells.
    fn pool(&self, b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<ValueId, ExportError> {
        let mean = b.node(ReduceMean { axis: 1 }, &[h])?;
        let mean = b.reshape(mean, &[model.batch, Dim::Fixed(model.config.hidden_size)])?;
        let most = b.node(ReduceMax { axes: vec![1] }, &[h])?;
        Ok(b.node(Concat { axis: 1 }, &[mean, most])?)
    }
}

/// `[batch, H·W, D]` to `[batch, H·W, 9 D]`: the states of each cell's neighbourhood, zeros outside of the grid.
fn neighbourhoods(b: &mut GraphBuilder, model: Model<'_>, s: ValueId) -> Result<ValueId, ExportError> {
    let board = board(model)?;
    let (height, width, channels) = (board.height, board.width, model.config.hidden_size);
    let grid = b.reshape(s, &[model.batch, Dim::Fixed(height), Dim::Fixed(width), Dim::Fixed(channels)])?;
    let padded = b.node(Pad { axis: 1, before: 1, after: 1 }, &[grid])?;
    let padded = b.node(Pad { axis: 2, before: 1, after: 1 }, &[padded])?;
    let mut shifted = Vec::with_capacity(NEIGHBOURHOOD);
    for row in 0..3 {
        let rows = b.node(Slice { axis: 1, start: row, end: row + height }, &[padded])?;
        for column in 0..3 {
            shifted.push(b.node(Slice { axis: 2, start: column, end: column + width }, &[rows])?);
        }
    }
    let around = b.node(Concat { axis: 3 }, &shifted)?;
    Ok(b.reshape(around, &[model.batch, Dim::Fixed(height * width), Dim::Fixed(NEIGHBOURHOOD * channels)])?)
}

#[cfg(test)]
mod tests {
    use trm_models::{Board, Mixer, NetworkConfig};

    use super::*;
    use crate::checkpoint::StateDict;
    use crate::onnx::eval::{Tensor, evaluate};
    use crate::onnx::{DType, TensorType};

    #[test]
    fn a_neighbourhood_is_read_row_by_row_with_zeros_outside() {
        let network =
            NetworkConfig { mixer: Mixer::Grid, hidden_size: 1, puzzle_emb_ndim: 0, ..NetworkConfig::default() };
        let config = network.for_task(6, 6, Some(Board::grid(2, 3)));
        let weights = StateDict::new();
        let model = Model::new(&config, &weights, DType::F32);
        let mut b = GraphBuilder::new("test", "");
        let s = b.input("s", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(6), Dim::Fixed(1)]));
        let around = neighbourhoods(&mut b, model, s).expect("neighbourhoods");
        b.output("around", around).expect("output");
        let cells = Tensor::float(&[1, 6, 1], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("cells");
        let found = evaluate(&b.finish(), &[cells]).expect("evaluated")[0].to_floats().expect("floats");
        assert_eq!(found[..9], [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 4.0, 5.0], "the first cell");
        assert_eq!(found[36..45], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0], "the middle of the second row");
    }
}
