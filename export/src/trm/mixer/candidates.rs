//! Candidates: a state for every pair of a cell and a symbol, which sees the same symbol in the groups of its cell, and the
//! other symbols of its cell. Exchanging symbols, or lines that the rules let be exchanged, exchanges states and nothing else.
//!
//! A pair is told whether its cell is blank, its symbol is given there, or another one is. A block adds mean and maximum
//! over each group, through a weight for each kind of group, and over the symbols of the cell. The answer has one logit a pair.

use std::collections::BTreeMap;

use trm_models::{Board, GroupKind, TrmConfig};

use super::{Ends, TokenMixer, board, largest, mean};
use crate::ExportError;
use crate::checkpoint::{LayoutDim, TensorLayout};
use crate::onnx::operators::{Concat, Equal, Gather, Less, Neg, Pad, ReduceMax, ReduceMean};
use crate::onnx::{Constant, DType, Dim, GraphBuilder, ValueId};
use crate::trm::norm::{LAST, residual_norm};
use crate::trm::quantize::{linear, observe};
use crate::trm::weights::{Layout, Model};

/// Weights in a block, `[D, 2 D]` each: means, then maxima. Which kinds of groups share one, [`GroupKind::weight`] says.
const WEIGHTS: [&str; 4] =
    ["candidates.lines.weight", "candidates.boxes.weight", "candidates.regions.weight", "candidates.symbols.weight"];
/// Rows of the embedding, for what a pair is told: its cell is blank, its symbol is given, another one is.
const TOLD: usize = 3;
/// The first token that is a symbol, behind padding and blank.
const FIRST_SYMBOL: i32 = 2;
/// Logit of padding and blank, which are no answers: far below any other, and no further, since limits of what may differ
/// are relative to the largest logit.
const NEVER: f32 = -1e3;

/// The mixer of all-different puzzles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates;

impl TokenMixer for Candidates {
    fn module(&self) -> &'static str {
        "candidates"
    }

    fn weights(&self) -> &'static [&'static str] {
        &WEIGHTS
    }

    fn layout(&self, config: &TrmConfig, block: &str) -> Vec<TensorLayout> {
        let width = config.hidden_size;
        let (out, both) =
            (LayoutDim::field("hidden_size", width), LayoutDim::new(2 * width, format!("2 · hidden_size {width}")));
        let kinds = config.board.iter().flat_map(|board| &board.groups).map(trm_models::GroupKind::weight);
        let used = kinds.chain(["symbols"]).map(|kind| format!("candidates.{kind}.weight")).collect::<Vec<_>>();
        let used = WEIGHTS.iter().filter(|weight| used.iter().any(|used| used == *weight));
        used.map(|weight| TensorLayout::linear(format!("{block}.{weight}"), [&out, &both])).collect()
    }

    fn suspicion(&self) -> &'static str {
        "these are the weights of a model of candidates: mixer should be candidates"
    }

    fn ends(&self, config: &TrmConfig) -> Ends {
        let width = config.hidden_size;
        Ends {
            embedded: LayoutDim::new(TOLD, "blank, given and excluded"),
            answers: LayoutDim::new(1, "a logit for each candidate"),
            pooled: LayoutDim::new(3 * width, format!("3 · hidden_size {width}")),
        }
    }

    /// Two small products for each kind of group, and the weights at the groups and cells.
    fn multiplications(&self, config: &TrmConfig) -> usize {
        let Some(board) = &config.board else { return 0 };
        let groups = board.groups.iter().map(|kind| board.groups_of(kind).len()).sum::<usize>();
        let (width, symbols) = (config.hidden_size, config.symbols());
        2 * groups * config.seq_len * symbols * width + 2 * width * width * (groups * symbols + config.seq_len)
    }

    fn largest_tensor(&self, config: &TrmConfig) -> usize {
        let Some(board) = &config.board else { return 0 };
        let gathered = |kind: &GroupKind| if let GroupKind::Cells(groups) = kind { padded(groups).len() } else { 0 };
        let most = board.groups.iter().map(gathered).max().unwrap_or(0);
        most.max(config.seq_len) * config.symbols() * config.hidden_size
    }

    fn embed(&self, b: &mut GraphBuilder, model: Model<'_>, tokens: ValueId) -> Result<ValueId, ExportError> {
        let config = model.config;
        let (cells, symbols) = (Dim::Fixed(config.seq_len), config.symbols());
        let token = b.reshape(tokens, &[model.batch, cells, Dim::Fixed(1)])?;
        let of_symbols = b.constant("symbols", || {
            Constant::i32(&[symbols], (0..symbols as i32).map(|symbol| symbol + FIRST_SYMBOL).collect::<Vec<_>>())
        });
        let first = b.constant("symbols.first", || Constant::i32(&[], vec![FIRST_SYMBOL]));
        let index =
            |b: &mut GraphBuilder, value: i32| b.constant(&format!("told.{value}"), || Constant::i32(&[], vec![value]));
        let (blank, given, excluded) = (index(b, 0), index(b, 1), index(b, 2));
        let is_blank = b.node(Less, &[token, first])?;
        let is_given = b.node(Equal, &[token, of_symbols])?;
        let told = b.select_where(is_given, given, excluded)?;
        let told = b.select_where(is_blank, blank, told)?;
        let table = model.weight(b, "embed_tokens.embedding_weight", Layout::Stored)?;
        let e = b.node(Gather { axis: 0 }, &[table, told])?;
        Ok(b.reshape(e, &[model.batch, Dim::Fixed(config.total_len()), Dim::Fixed(config.hidden_size)])?)
    }

    fn mix(&self, b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
        let mixed = b.scoped("candidates", |b| {
            let of_groups = of_groups(b, model, block, s)?;
            let of_cells = of_cells(b, model, block, s)?;
            let mixed = b.add(of_groups, of_cells)?;
            let shape = b.ty(s).shape.clone();
            Ok::<_, ExportError>(b.reshape(mixed, &shape)?)
        })?;
        Ok(residual_norm(b, model, s, mixed, LAST)?)
    }

    /// Mean and maximum over all pairs, and what is least certain: the minimum over the cells of their pairs' maximum.
    fn pool(&self, b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<ValueId, ExportError> {
        let width = Dim::Fixed(model.config.hidden_size);
        let mean = b.node(ReduceMean { axis: 1 }, &[h])?;
        let mean = b.reshape(mean, &[model.batch, width])?;
        let by_cell = b.reshape(h, &pairs(model))?;
        let of_cells = largest(b, model, by_cell, 2)?;
        let of_cells = b.reshape(of_cells, &[model.batch, Dim::Fixed(model.config.seq_len), width])?;
        let most = b.node(ReduceMax { axes: vec![1] }, &[of_cells])?;
        let turned = b.node(Neg, &[of_cells])?;
        let least = b.node(ReduceMax { axes: vec![1] }, &[turned])?;
        let least = b.node(Neg, &[least])?;
        Ok(b.node(Concat { axis: 1 }, &[mean, most, least])?)
    }

    fn logits(&self, b: &mut GraphBuilder, model: Model<'_>, h: ValueId) -> Result<ValueId, ExportError> {
        let config = model.config;
        observe(b, model, "lm_head.weight", h, LAST)?;
        let logits = linear(b, model, "lm_head.weight", h)?;
        let logits = b.cast(logits, DType::F32)?;
        let logits = b.reshape(logits, &[model.batch, Dim::Fixed(config.seq_len), Dim::Fixed(config.symbols())])?;
        let logits = b.node(Pad { axis: 2, before: FIRST_SYMBOL as usize, after: 0 }, &[logits])?;
        let others = b.constant("lm_head.others", || {
            let tokens = 0..config.vocab_size;
            let values = tokens.map(|token| if token < FIRST_SYMBOL as usize { NEVER } else { 0.0 });
            Constant::f32(&[config.vocab_size], values.collect::<Vec<_>>())
        });
        Ok(b.add(logits, others)?)
    }
}

/// `[batch, cells, symbols, D]`.
fn pairs(model: Model<'_>) -> [Dim; 4] {
    let config = model.config;
    [model.batch, Dim::Fixed(config.seq_len), Dim::Fixed(config.symbols()), Dim::Fixed(config.hidden_size)]
}

/// The kinds of groups of a board by the weight that they share.
fn by_weight(board: &Board) -> BTreeMap<&'static str, Vec<&GroupKind>> {
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for kind in &board.groups {
        kinds.entry(kind.weight()).or_default().push(kind);
    }
    kinds
}

/// Members of groups, as many for each as the largest has: the first again where there are fewer, which changes no maximum.
fn padded(groups: &[Vec<usize>]) -> Vec<i64> {
    let most = groups.iter().map(Vec::len).max().unwrap_or(0);
    let members =
        |group: &Vec<usize>| (0..most).map(|member| *group.get(member).unwrap_or(&group[0]) as i64).collect::<Vec<_>>();
    groups.iter().flat_map(members).collect()
}

/// The messages of its groups to each pair, `[batch, cells, symbols, D]`: mean and maximum of every group through its kind's
/// weight, then the sum over the groups of a cell, as a product with the matrix of who is in which.
fn of_groups(b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
    let config = model.config;
    let (cells, symbols, width) = (config.seq_len, config.symbols(), config.hidden_size);
    let row = Dim::Fixed(symbols * width);
    let by_cell = b.reshape(s, &[model.batch, Dim::Fixed(cells), row])?;
    let (mut messages, mut members) = (Vec::new(), Vec::new());
    let board = board(model)?;
    for (weight, kinds) in by_weight(board) {
        let groups = kinds.iter().flat_map(|kind| board.groups_of(kind)).collect::<Vec<_>>();
        let count = groups.len();
        let shape = [model.batch, Dim::Fixed(count), Dim::Fixed(symbols), Dim::Fixed(width)];
        let means = b.constant(&format!("board.{weight}.means"), || {
            let mut matrix = vec![0.0; count * cells];
            for (group, members) in groups.iter().enumerate() {
                for cell in members {
                    matrix[group * cells + cell] = 1.0 / members.len() as f32;
                }
            }
            Constant::f32(&[count, cells], matrix).to_float(model.compute)
        });
        let mean = b.matmul(means, by_cell)?;
        let mean = b.reshape(mean, &shape)?;
        let most = kinds.iter().map(|kind| maxima(b, model, kind, by_cell)).collect::<Result<Vec<_>, _>>()?;
        let most = if let [only] = most[..] { only } else { b.node(Concat { axis: 1 }, &most)? };
        let most = b.reshape(most, &shape)?;
        let both = b.node(Concat { axis: 3 }, &[mean, most])?;
        let name = format!("{block}.candidates.{weight}.weight");
        observe(b, model, &name, both, 3)?;
        let message = linear(b, model, &name, both)?;
        messages.push(b.reshape(message, &[model.batch, Dim::Fixed(count), row])?);
        members.extend(groups);
    }
    let messages = if let [only] = messages[..] { only } else { b.node(Concat { axis: 1 }, &messages)? };
    let sums = b.constant("board.groups_of_cells", || {
        let mut matrix = vec![0.0; cells * members.len()];
        for (group, members_of) in members.iter().enumerate() {
            for cell in members_of {
                matrix[cell * members.len() + group] = 1.0;
            }
        }
        Constant::f32(&[cells, members.len()], matrix).to_float(model.compute)
    });
    let heard = b.matmul(sums, messages)?;
    Ok(b.reshape(heard, &pairs(model))?)
}

/// The maxima of a kind's groups, `[batch, groups, …]` of `[batch, cells, …]`. Groups that tile the board are axes of a
/// reshaped state. Only listed ones are gathered.
fn maxima(b: &mut GraphBuilder, model: Model<'_>, kind: &GroupKind, by_cell: ValueId) -> Result<ValueId, ExportError> {
    let &[batch, _, row] = &b.ty(by_cell).shape[..] else { unreachable!("three axes, as reshaped by the caller") };
    let board = board(model)?;
    let (height, width) = (board.height, board.width);
    let grid = |sizes: &[usize]| {
        [batch].into_iter().chain(sizes.iter().map(|&size| Dim::Fixed(size))).chain([row]).collect::<Vec<_>>()
    };
    let mut reduced = |shape: &[Dim], axes: &[usize]| {
        let value = b.reshape(by_cell, shape)?;
        axes.iter().try_fold(value, |value, &axis| largest(b, model, value, axis))
    };
    let (most, groups) = match kind {
        GroupKind::Rows => (reduced(&grid(&[height, width]), &[2])?, height),
        GroupKind::Columns => (reduced(&grid(&[height, width]), &[1])?, width),
        &GroupKind::Boxes([rows, columns]) => {
            let most = reduced(&grid(&[height / rows, rows, width / columns, columns]), &[4, 2])?;
            (most, height / rows * (width / columns))
        }
        GroupKind::Cells(groups) => {
            let members = groups.iter().map(Vec::len).max().unwrap_or(0);
            let name = format!("board.regions.{}", board.groups.iter().position(|other| other == kind).unwrap_or(0));
            let indices = b.constant(&name, || Constant::i64(&[groups.len(), members], padded(groups)));
            let gathered = b.node(Gather { axis: 1 }, &[by_cell, indices])?;
            (largest(b, model, gathered, 2)?, groups.len())
        }
    };
    Ok(b.reshape(most, &grid(&[groups]))?)
}

/// The message of the symbols of its cell to each pair, `[batch, cells, 1, D]`.
fn of_cells(b: &mut GraphBuilder, model: Model<'_>, block: &str, s: ValueId) -> Result<ValueId, ExportError> {
    let by_pair = b.reshape(s, &pairs(model))?;
    let mean = mean(b, model, by_pair, 2)?;
    let most = largest(b, model, by_pair, 2)?;
    let both = b.node(Concat { axis: 3 }, &[mean, most])?;
    let name = format!("{block}.candidates.symbols.weight");
    observe(b, model, &name, both, 3)?;
    linear(b, model, &name, both)
}
