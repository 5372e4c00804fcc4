//! The rows of the carry groups: which puzzle each works on, when it halts, what it takes next.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trm_engine::halt_signal;
use trm_models::TrmConfig;

use super::config_sections::WaveConfig;
use super::data::{Prefetch, Stream, TrainExample};
use super::run::Slot;
use super::runtime::{TrainBatch, TrainOutput, WaveBatch};
use crate::Result;

/// A puzzle in work.
#[derive(Debug, Clone)]
struct Row {
    slot: Slot,
    example: TrainExample,
}

/// The rows of a carry group, with puzzles of one size.
#[derive(Debug)]
struct Group {
    size: usize,
    rows: Vec<Option<Row>>,
}

/// All rows of all carry groups. A row that has halted takes a new puzzle at its group's next step, with a fresh carry: the
/// batch is always full.
#[derive(Debug)]
pub(super) struct Slots {
    seed: u64,
    wave: WaveConfig,
    groups: Vec<Group>,
    /// Number of the example after the last one taken, of each size.
    pub(super) next: Vec<u64>,
}

/// Counts of the rows that halted in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Finished {
    pub(super) puzzles: u64,
    pub(super) exact: u64,
    pub(super) cells_right: u64,
    pub(super) cells: u64,
    pub(super) steps: u64,
}

impl Slots {
    /// Groups of `batch` rows, each of a size, its number among the `streams`. Rows of a checkpoint are restored: it has no
    /// puzzles, each is made again from its number. `next` are the numbers of the examples that are taken next.
    pub(super) fn new(
        (seed, wave): (u64, &WaveConfig),
        (sizes, batch): (&[usize], usize),
        saved: &[Vec<Option<Slot>>],
        next: Vec<u64>,
        streams: &[&Stream],
    ) -> Result<Self> {
        let group = |(number, &size): (usize, &usize)| {
            let mut rows = vec![None; batch];
            for (row, slot) in rows.iter_mut().zip(saved.get(number).into_iter().flatten()) {
                if let Some(slot) = *slot {
                    *row = Some(Row { slot, example: streams[size].example(slot.index)? });
                }
            }
            Ok(Group { size, rows })
        };
        let groups = sizes.iter().enumerate().map(group).collect::<Result<_>>()?;
        Ok(Self { seed, wave: wave.clone(), groups, next })
    }

    /// The rows as a checkpoint keeps them.
    pub(super) fn saved(&self) -> Vec<Vec<Option<Slot>>> {
        let rows = |group: &Group| group.rows.iter().map(|row| row.as_ref().map(|row| row.slot)).collect();
        self.groups.iter().map(rows).collect()
    }

    /// The size of each group.
    pub(super) fn sizes(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().map(|group| group.size)
    }

    /// Gives a group puzzles of a size; those of another size are given up.
    pub(super) fn assign(&mut self, group: usize, size: usize) {
        let group = &mut self.groups[group];
        if group.size != size {
            group.size = size;
            group.rows.fill(None);
        }
    }

    /// Fills the group's free rows and puts its batch together. `cap` is the most steps that a puzzle gets which starts now;
    /// in the group's very first step the rows' caps are spread, so that they do not all begin again at once.
    pub(super) fn batch(&mut self, group: usize, cap: u32, prefetch: &mut Prefetch) -> Result<TrainBatch> {
        let Group { size, rows } = &mut self.groups[group];
        let first = rows.iter().all(Option::is_none);
        let (mut tokens, mut labels) = (Vec::new(), Vec::new());
        let (mut puzzle_ids, mut reset, mut last_step) = (Vec::new(), Vec::new(), Vec::new());
        let mut wave = (self.wave.speed > 0).then(WaveBatch::default);
        for (number, place) in rows.iter_mut().enumerate() {
            reset.push(place.is_none());
            let row = if let Some(row) = place {
                row
            } else {
                let (index, example) = prefetch.next()?;
                self.next[*size] = index + 1;
                let cap = if first { 1 + (number as u32 % cap) } else { cap };
                place.insert(Row { slot: Slot { index, steps: 0, cap }, example })
            };
            tokens.extend_from_slice(&row.example.tokens);
            labels.extend_from_slice(&row.example.labels);
            puzzle_ids.push(row.example.puzzle_id);
            last_step.push(row.slot.steps + 1 >= row.slot.cap);
            if let (Some(WaveBatch { asked, classes }), Some(of_maze)) = (&mut wave, &row.example.wave) {
                let cells = (row.example.tokens.as_slice(), row.example.labels.as_slice());
                of_maze.after(row.slot.steps + 1, &self.wave, cells, (asked, classes));
            }
        }
        Ok(TrainBatch { tokens, labels, puzzle_ids, reset, last_step, wave })
    }

    /// Counts the step that was just run, and frees the rows that halt: at their cap, or on the model's signal unless this
    /// step explores. `step` numbers the supervision steps of the run.
    pub(super) fn advance(&mut self, group: usize, step: u64, config: &TrmConfig, output: &TrainOutput) -> Finished {
        let mut finished = Finished::default();
        for (number, place) in self.groups[group].rows.iter_mut().enumerate() {
            let Some(row) = place else { continue };
            row.slot.steps += 1;
            let signal = halt_signal(config, output.q_halt[number], output.q_continue[number]);
            let least = least_steps(self.seed, step, number, config);
            if row.slot.steps >= row.slot.cap || signal > 0.0 && row.slot.steps >= least {
                finished.puzzles += 1;
                finished.exact += u64::from(output.exact[number]);
                finished.cells_right += output.cells_right[number] as u64;
                finished.cells += row.example.labels.iter().filter(|&&label| label >= 0).count() as u64;
                finished.steps += u64::from(row.slot.steps);
                *place = None;
            }
        }
        finished
    }
}

/// Exploration, drawn at every step and row as in the reference: with the configured probability the row may not halt before
/// a step from 2 to `halt_max_steps`.
fn least_steps(seed: u64, step: u64, row: usize, config: &TrmConfig) -> u32 {
    let mut key = [0; 32];
    for (part, number) in key.chunks_exact_mut(8).zip([seed, step, row as u64, 0x6578_706c]) {
        part.copy_from_slice(&number.to_le_bytes());
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    let share = (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    if share >= config.halt_exploration_prob || config.halt_max_steps < 2 {
        return 0;
    }
    let choices = config.halt_max_steps as u64 - 1;
    2 + ((u128::from(rng.next_u64()) * u128::from(choices)) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::TrainConfig;

    fn config() -> TrainConfig {
        let mut config = TrainConfig::preset("sudoku-4").expect("a preset");
        for (key, value) in [("evaluation.puzzles", "4"), ("batch.size", "6"), ("batch.groups", "2")] {
            config.set(key, value).expect("a setting");
        }
        config
    }

    fn output(config: &TrainConfig, q_halt: f32) -> TrainOutput {
        let rows = config.batch.size;
        TrainOutput {
            loss: 1.0,
            lm_loss: vec![1.0; rows],
            q_loss: vec![1.0; rows],
            exact: (0..rows).map(|row| row == 0).collect(),
            cells_right: vec![3; rows],
            q_halt: vec![q_halt; rows],
            q_continue: vec![0.0; rows],
        }
    }

    #[test]
    fn rows_halt_on_the_signal_or_at_their_cap_and_take_the_next_puzzle() {
        let config = config();
        let model = TrmConfig { halt_exploration_prob: 0.0, ..config.trm_config().expect("a model") };
        let stream = Arc::new(Stream::new(&config).expect("a stream"));
        let mut prefetch = Prefetch::start(&stream, 0, 1, 8).expect("threads");
        let mut slots = Slots::new((1, &config.wave), (&[0, 0], 6), &[], vec![0], &[&stream]).expect("slots");

        let batch = slots.batch(0, 3, &mut prefetch).expect("a batch");
        assert_eq!(batch.reset, [true; 6]);
        assert_eq!(batch.tokens[..16], stream.example(0).expect("an example").tokens);
        // Caps of the first rows: 1 2 3 1 2 3.
        assert_eq!(batch.last_step, [true, false, false, true, false, false]);
        let finished = slots.advance(0, 0, &model, &output(&config, -1.0));
        assert_eq!(finished, Finished { puzzles: 2, exact: 1, cells_right: 6, cells: 32, steps: 2 });

        let batch = slots.batch(0, 3, &mut prefetch).expect("a batch");
        assert_eq!(batch.reset, [true, false, false, true, false, false]);
        assert_eq!(slots.next, [8]);
        let saved = slots.saved();
        assert_eq!(saved[0][0], Some(Slot { index: 6, steps: 0, cap: 3 }), "later puzzles get the whole cap");
        assert_eq!(saved[1], [None; 6], "the other group has not begun");

        // What is saved goes on with the same puzzles.
        let mut again = Slots::new((1, &config.wave), (&[0, 0], 6), &saved, vec![8], &[&stream]).expect("slots");
        let mut ahead = Prefetch::start(&stream, 8, 1, 8).expect("threads");
        let repeated = again.batch(0, 3, &mut ahead).expect("a batch");
        assert_eq!((repeated.tokens, repeated.labels), (batch.tokens, batch.labels));

        let finished = slots.advance(0, 1, &model, &output(&config, 0.5));
        assert_eq!(finished.puzzles, 6, "the signal halts all rows");
    }

    #[test]
    fn exploration_keeps_its_share_of_rows_going() {
        let model = config().trm_config().expect("a model");
        let draws: Vec<u32> = (0..20_000).map(|step| least_steps(7, step, 3, &model)).collect();
        let explored = draws.iter().filter(|&&least| least > 0).count() as f64 / 20_000.0;
        // Four standard deviations of the share.
        let tolerance = 4.0 * (0.1_f64 * 0.9 / 20_000.0).sqrt();
        assert!((explored - model.halt_exploration_prob).abs() < tolerance, "{explored}");
        for least in 2..=model.halt_max_steps as u32 {
            assert!(draws.contains(&least), "{least} was never drawn");
        }
        assert!(draws.iter().all(|&least| least != 1 && least <= model.halt_max_steps as u32));
    }
}
