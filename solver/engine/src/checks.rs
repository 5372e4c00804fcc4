//! The checks of every engine: options before loading, inputs before running, outputs after.

use trm_models::{FoundTensor, GraphKind, GraphSpec, TrmConfig};

use super::{GraphSource, SessionOptions, SolveInput};
use crate::error::Setting;
use crate::{ActStep, Carry, EngineError, Result};

/// Largest batch a session may be loaded with. It bounds what a mistyped option can allocate.
const MAX_BATCH: usize = 65_536;
/// Most threads of a session: more than any machine this runs on has cores.
pub const MAX_THREADS: usize = 1_024;

/// Most steps that a solve graph may be asked for.
const MAX_STEPS: usize = 1_000_000;

/// Checks what a session is loaded with.
pub(super) fn check_options(options: &SessionOptions) -> Result<()> {
    if !(1..=MAX_BATCH).contains(&options.batch) {
        return Err(EngineError::OutOfRange { setting: Setting::Batch, value: options.batch, limit: MAX_BATCH });
    }
    if options.threads > MAX_THREADS {
        return Err(EngineError::OutOfRange { setting: Setting::Threads, value: options.threads, limit: MAX_THREADS });
    }
    Ok(())
}

/// Refuses a step graph where a solving one is wanted, and the other way round.
pub(super) fn check_kind(kind: GraphKind, step: bool) -> Result<()> {
    if (kind == GraphKind::Step) == step {
        return Ok(());
    }
    let (session, fits) = if step { ("step", "step") } else { ("solve", "solve or unrolled") };
    Err(EngineError::WrongGraph { session, graph: kind, fits })
}

/// Checks a step's input against the session's shape; `started` tells which rows have a carry.
pub(super) fn check_step(config: &TrmConfig, started: &[bool], input: &ActStep) -> Result<()> {
    let batch = started.len();
    check_puzzles(config, batch, &input.tokens, &input.puzzle_ids)?;
    check_length("reset", input.reset.len(), &[("batch", batch)])?;
    check_length("idle", input.idle.len(), &[("batch", batch)])?;
    let orphan = (0..batch).find(|&row| !(started[row] || input.reset[row] || input.idle[row]));
    orphan.map_or(Ok(()), |row| Err(EngineError::NoCarry { row }))
}

/// Checks a solve input against the session's shape, and returns the step limit for a graph that takes one.
pub(super) fn check_solve(
    config: &TrmConfig,
    kind: GraphKind,
    batch: usize,
    input: &SolveInput,
) -> Result<Option<i64>> {
    check_puzzles(config, batch, &input.tokens, &input.puzzle_ids)?;
    if input.halt_threshold.is_nan() {
        return Err(EngineError::HaltThreshold);
    }
    match (kind, input.max_steps) {
        (GraphKind::Unrolled, None) => Ok(None),
        (GraphKind::Unrolled, Some(_)) => Err(EngineError::StepsBuiltIn),
        (_, limit) => {
            let limit = limit.unwrap_or(config.halt_max_steps);
            match i64::try_from(limit) {
                Ok(steps) if (1..=MAX_STEPS).contains(&limit) => Ok(Some(steps)),
                _ => Err(EngineError::OutOfRange { setting: Setting::MaxSteps, value: limit, limit: MAX_STEPS }),
            }
        }
    }
}

/// Checks the lengths of a carry that is to replace a session's.
pub(super) fn check_carry(config: &TrmConfig, batch: usize, carry: &Carry) -> Result<()> {
    let axes = [("batch", batch), ("positions", config.total_len()), ("hidden", config.hidden_size)];
    check_length("z_h", carry.z_h.len(), &axes)?;
    check_length("z_l", carry.z_l.len(), &axes)
}

/// Checks what is to be added to a row's carry: the row has one, and the lengths are right.
pub(super) fn check_delta(config: &TrmConfig, started: &[bool], row: usize, delta: &Carry) -> Result<()> {
    if started.get(row) != Some(&true) {
        return Err(EngineError::NoCarry { row });
    }
    check_carry(config, 1, delta)
}

fn check_puzzles(config: &TrmConfig, batch: usize, tokens: &[i32], puzzle_ids: &[i32]) -> Result<()> {
    let TrmConfig { seq_len, vocab_size, .. } = *config;
    check_length("tokens", tokens.len(), &[("batch", batch), ("seq", seq_len)])?;
    check_length("puzzle_ids", puzzle_ids.len(), &[("batch", batch)])?;
    let within = |value: i32, count: usize| usize::try_from(value).is_ok_and(|value| value < count);
    if let Some(at) = tokens.iter().position(|&token| !within(token, vocab_size)) {
        return Err(EngineError::TokenOutOfRange {
            row: at / seq_len,
            cell: at % seq_len,
            token: tokens[at],
            vocab_size,
        });
    }
    // A model without puzzle embeddings still has the input; 0 is its only id.
    let count = config.num_puzzle_identifiers.max(1);
    match puzzle_ids.iter().position(|&id| !within(id, count)) {
        Some(row) => Err(EngineError::PuzzleIdOutOfRange { row, id: puzzle_ids[row], count }),
        None => Ok(()),
    }
}

fn check_length(tensor: &'static str, actual: usize, axes: &[(&str, usize)]) -> Result<()> {
    let expected = axes.iter().map(|(_, size)| size).product();
    if actual == expected {
        return Ok(());
    }
    let axes: Vec<_> = axes.iter().map(|(name, size)| format!("{name} {size}")).collect();
    Err(EngineError::InputLength { tensor, actual, expected, shape: format!("[{}]", axes.join(", ")) })
}

/// Refuses NaN and infinity in one value per row: what an overflow anywhere in the network ends as.
pub(super) fn check_finite(graph: GraphKind, tensor: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => Err(EngineError::NotFinite { graph, tensor, row, value: values[row] }),
        None => Ok(()),
    }
}

/// Checks that a loaded graph has the inputs and outputs of its kind, and takes the batch it is loaded for.
pub(super) fn check_interface(
    graph: &GraphSource<'_>,
    batch: usize,
    inputs: &[FoundTensor],
    outputs: &[FoundTensor],
) -> Result<()> {
    let spec = GraphSpec::new(graph.kind, graph.config);
    spec.check(graph.kind, inputs, outputs)?;
    let tokens = inputs.iter().find(|input| input.name == "tokens");
    match tokens.and_then(|tokens| tokens.shape.first().copied().flatten()) {
        Some(fixed) if fixed != batch => {
            Err(EngineError::FixedBatch { graph: graph.kind, name: graph.name.to_owned(), fixed, batch })
        }
        _ => Ok(()),
    }
}
