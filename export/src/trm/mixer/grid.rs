//! Grid: every cell with its eight neighbours, as a 3x3 convolution without bias, and with the largest of the four beside it,
//! channel by channel: what spreads from cell to cell, such as a distance, spreads from any one of them. No weight belongs to a
//! position, so a model has no size.
//!
//! Cross: the same without the cells at the corners. A block then reaches exactly as far as one move, and what is asked to go a
//! cell a block cannot run ahead.

use trm_models::TrmConfig;

use super::{Ends, TokenMixer, board};
use crate::ExportError;
use crate::checkpoint::{LayoutDim, TensorLayout};
use crate::onnx::operators::{Concat, Max, Pad, ReduceMax, ReduceMean, Slice};
use crate::onnx::{Dim, GraphBuilder, ValueId};
use crate::trm::norm::{LAST, residual_norm};
use crate::trm::quantize::{linear, observe};
use crate::trm::weights::Model;

/// Rows and columns of a neighbourhood's cells: the cell itself, the four beside it, the four at its corners.
const OFFSETS: [[usize; 2]; 9] = [[1, 1], [0, 1], [1, 0], [1, 2], [2, 1], [0, 0], [0, 2], [2, 0], [2, 2]];
/// Cells beside a cell.
const BESIDE: usize = 4;

/// A mixer of grids.
#[derive(Clone, Copy, Debug)]
pub(super) struct Neighbours {
    module: &'static str,
    /// The cells of a neighbourhood.
    offsets: &'static [[usize; 2]],
    /// The weight of a neighbourhood of N cells in a block, `[D, N D]`: their states one after the other, in the order of the
    /// offsets. The weight of the largest of the cells beside a cell, `[D, D]`.
    weights: &'static [&'static str; 2],
    suspicion: &'static str,
}

/// All eight neighbours.
pub(super) static GRID: Neighbours = Neighbours {
    module: "grid",
    offsets: &OFFSETS,
    weights: &["grid.neighbours.weight", "grid.largest.weight"],
    suspicion: "these are the weights of a model of grids: mixer should be grid",
};

/// The four beside the cell.
pub(super) static CROSS: Neighbours = Neighbours {
    module: "cross",
    offsets: OFFSETS.split_at(1 + BESIDE).0,
    weights: &["cross.neighbours.weight", "cross.largest.weight"],
    suspicion: "these are the weights of a model of grids: mixer should be cross",
};

impl TokenMixer for Neighbours {
    fn module(&self) -> &'static str {
        self.module
    }

    fn weights(&self) -> &'static [&'static str] {
        self.weights
    }

    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
        let (width, cells, [neighbours, largest]) = (config.hidden_size, self.offsets.len(), *self.weights);
        let all = LayoutDim::new(cells * width, format!("{cells} · hidden_size {width}"));
        let own = LayoutDim::field("hidden_size", width);
        vec![
            TensorLayout::linear(format!("{block}.{neighbours}"), [&own, &all]),
            TensorLayout::linear(format!("{block}.{largest}"), [&own, &own]),
        ]
    }

    fn suspicion(&self) -> &'static str {
        self.suspicion
    }

    fn ends(&self, config: &TrmConfig) -> Ends {
        let width = config.hidden_size;
        Ends { pooled: LayoutDim::new(2 * width, format!("2 · hidden_size {width}")), ..Ends::of_tokens(config) }
    }

    fn multiplications(&self, config: &TrmConfig) -> usize {
        (self.offsets.len() + 1) * config.total_len() * config.hidden_size * config.hidden_size
    }

    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        self.offsets.len() * config.total_len() * config.hidden_size
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let [neighbours, largest] = *self.weights;
        let mixed = b.scoped(self.module, |b| {
            let shifted = shifted(b, model, self.offsets, s)?;
            let around = neighbourhoods(b, model, &shifted)?;
            let name = format!("{block}.{neighbours}");
            observe(b, model, &name, around, LAST)?;
            let mixed = linear(b, model, &name, around)?;
            let beside = largest_beside(b, model, &shifted)?;
            let name = format!("{block}.{largest}");
            observe(b, model, &name, beside, LAST)?;
            let beside = linear(b, model, &name, beside)?;
            Ok::<_, ExportError>(b.add(mixed, beside)?)
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

/// `[batch, H·W, D]` to N times `[batch, H, W, D]`: the state of each cell's neighbour at each offset, zeros outside of the grid.
fn shifted(
    b: &mut GraphBuilder,
    model: Model<'_>,
    offsets: &[[usize; 2]],
    s: ValueId,
) -> Result<Vec<ValueId>, ExportError> {
    let board = board(model)?;
    let (height, width, channels) = (board.height, board.width, model.config.hidden_size);
    let grid = b.reshape(s, &[model.batch, Dim::Fixed(height), Dim::Fixed(width), Dim::Fixed(channels)])?;
    let padded = b.node(Pad { axis: 1, before: 1, after: 1 }, &[grid])?;
    let padded = b.node(Pad { axis: 2, before: 1, after: 1 }, &[padded])?;
    let rows = [0, 1, 2].map(|row| b.node(Slice { axis: 1, start: row, end: row + height }, &[padded]));
    let [above, same, below] = rows;
    let rows = [above?, same?, below?];
    let shift =
        |&[row, column]: &[usize; 2]| Ok(b.node(Slice { axis: 2, start: column, end: column + width }, &[rows[row]])?);
    offsets.iter().map(shift).collect()
}

/// The states of each cell's neighbourhood of N cells one after the other, `[batch, H·W, N D]`.
fn neighbourhoods(b: &mut GraphBuilder, model: Model<'_>, shifted: &[ValueId]) -> Result<ValueId, ExportError> {
    let around = b.node(Concat { axis: 3 }, shifted)?;
    let channels = shifted.len() * model.config.hidden_size;
    Ok(b.reshape(around, &[model.batch, Dim::Fixed(model.config.seq_len), Dim::Fixed(channels)])?)
}

/// The largest of the cells beside each cell, zero for one outside of the grid, `[batch, H·W, D]`.
fn largest_beside(b: &mut GraphBuilder, model: Model<'_>, shifted: &[ValueId]) -> Result<ValueId, ExportError> {
    let most = b.node(Max, &shifted[1..=BESIDE])?;
    Ok(b.reshape(most, &[model.batch, Dim::Fixed(model.config.seq_len), Dim::Fixed(model.config.hidden_size)])?)
}

#[cfg(test)]
mod tests {
    use trm_models::{Board, Mixer, NetworkConfig};

    use super::*;
    use crate::checkpoint::StateDict;
    use crate::onnx::eval::{Tensor, evaluate};
    use crate::onnx::{DType, TensorType};

    #[test]
    fn a_neighbourhood_is_its_cell_those_beside_it_and_those_at_its_corners() {
        let network =
            NetworkConfig { mixer: Mixer::Grid, hidden_size: 1, puzzle_emb_ndim: 0, ..NetworkConfig::default() };
        let config = network.for_task(6, 6, Some(Board::grid(2, 3)));
        let weights = StateDict::new();
        let model = Model::new(&config, &weights, DType::F32);
        let mut b = GraphBuilder::new("test", "");
        let s = b.input("s", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(6), Dim::Fixed(1)]));
        let shifted = shifted(&mut b, model, &OFFSETS, s).expect("shifted");
        let around = neighbourhoods(&mut b, model, &shifted).expect("neighbourhoods");
        let largest = largest_beside(&mut b, model, &shifted).expect("largest");
        b.output("around", around).expect("output");
        b.output("largest", largest).expect("output");
        let cells = Tensor::float(&[1, 6, 1], vec![1.0, 2.0, 3.0, 4.0, 5.0, -6.0]).expect("cells");
        let found = evaluate(&b.finish(), &[cells]).expect("evaluated");
        let [around, largest] = [0, 1].map(|output: usize| found[output].to_floats().expect("floats"));
        assert_eq!(around[..9], [1.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 5.0], "the first cell");
        assert_eq!(around[36..45], [5.0, 2.0, 4.0, -6.0, 0.0, 1.0, 3.0, 0.0, 0.0], "the middle of the second row");
        assert_eq!(largest, [4.0, 5.0, 2.0, 5.0, 4.0, 5.0]);
    }
}
