//! Continuous batching: a batch's rows are slots, and a slot whose puzzle is done takes the next one at once.
//!
//! ```no_run
//! # use std::collections::HashMap;
//! # use trm_solver::batch::{Job, Scheduler};
//! # use trm_engine::StepSession;
//! # use trm_solver::{HaltPolicy, Progress, Result};
//! # fn verify(_: &[i32]) -> Option<bool> { None }
//! # fn solve_all(session: &mut dyn StepSession, puzzles: Vec<Vec<i32>>) -> Result<()> {
//! let config = session.config().clone();
//! let mut scheduler = Scheduler::new(session);
//! for tokens in puzzles {
//!     scheduler.enqueue(Job::new(tokens, 0, |row| {
//!         let progress = Progress {
//!             steps: row.steps,
//!             q_halt: row.q_halt,
//!             q_continue: row.q_continue,
//!             verified: verify(row.answer),
//!         };
//!         HaltPolicy::Verified.decide(&progress, 16, &config)
//!     }))?;
//! }
//! while !scheduler.is_idle() {
//!     for done in scheduler.step()? {
//!         println!("{:?} after {} steps: {:?}", done.job, done.steps, done.answer);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Between two steps the caller may add jobs (retries of one that failed) and cancel others (siblings of one that
//! succeeded).
//!
//! On a CPU a step costs what its busy slots cost. A GPU computes the whole batch, with a blank puzzle in every empty slot:
//! load a session there with no more rows than there are puzzles.

use std::collections::VecDeque;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use trm_engine::{ActStep, Carry, EngineError, StepSession};
use trm_puzzles::normal;

use crate::{HaltReason, Result};

/// A job's number, in the order of enqueueing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// A row's output after a step: what a job decides on.
#[derive(Debug, Clone, Copy)]
pub struct RowStep<'a> {
    /// The job in this row.
    pub job: JobId,
    /// Steps run so far, this one included.
    pub steps: usize,
    /// Argmax over the vocabulary, `[seq]`.
    pub answer: &'a [i32],
    /// Logit of "this answer is correct".
    pub q_halt: f32,
    /// Logit of "go on".
    pub q_continue: f32,
    /// `[seq, vocab]`, when the session computes them.
    pub logits: Option<&'a [f32]>,
}

/// Decides after each step whether a job is done, and why.
type Decide<'j> = Box<dyn FnMut(&RowStep<'_>) -> Option<HaltReason> + 'j>;

/// A puzzle to run until its decision says stop.
pub struct Job<'j> {
    tokens: Vec<i32>,
    puzzle_id: i32,
    decide: Decide<'j>,
    noise: Option<Noise>,
}

/// Gaussian noise for a job's carry, of its own seed: the same whatever runs beside it.
#[derive(Debug, Clone)]
pub struct Noise {
    sigma: f32,
    /// Steps that it is still added after.
    steps: usize,
    rng: ChaCha8Rng,
}

impl Noise {
    /// Noise of this standard deviation after every step.
    #[must_use]
    pub fn new(sigma: f32, seed: u64) -> Self {
        Self { sigma, steps: usize::MAX, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Noise after the first step only: another start.
    #[must_use]
    pub fn at_start(sigma: f32, seed: u64) -> Self {
        Self { steps: 1, ..Self::new(sigma, seed) }
    }

    /// True if there is some after this step; counts it.
    fn goes_on(&mut self) -> bool {
        let goes_on = self.steps > 0;
        self.steps = self.steps.saturating_sub(1);
        goes_on
    }

    /// `count` values; of an odd number the last one's twin is lost.
    fn draw(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            values.extend(normal::polar_pair(&mut self.rng, self.sigma));
        }
        values.truncate(count);
        values
    }
}

impl<'j> Job<'j> {
    /// A puzzle's tokens `[seq]` and row in the puzzle-embedding table, with what decides after each step whether it
    /// is done. A decision that never says so runs forever: bound it by a step limit, as
    /// [`HaltPolicy::decide`](crate::HaltPolicy::decide) does.
    pub fn new(tokens: Vec<i32>, puzzle_id: i32, decide: impl FnMut(&RowStep<'_>) -> Option<HaltReason> + 'j) -> Self {
        Self { tokens, puzzle_id, decide: Box::new(decide), noise: None }
    }

    /// The same job with noise added to its carry, after each step or the first one.
    #[must_use]
    pub fn with_noise(self, noise: Option<Noise>) -> Self {
        Self { noise, ..self }
    }
}

/// A job that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// The job.
    pub job: JobId,
    /// The answer after its last step, `[seq]`.
    pub answer: Vec<i32>,
    /// The halting logit after its last step.
    pub q_halt: f32,
    /// The continuation logit after its last step.
    pub q_continue: f32,
    /// Steps it ran.
    pub steps: usize,
    /// Reason why it stopped.
    pub reason: HaltReason,
    /// `[seq, vocab]`, when the session computes them.
    pub logits: Option<Vec<f32>>,
}

struct Running<'j> {
    id: JobId,
    decide: Decide<'j>,
    noise: Option<Noise>,
    steps: usize,
}

/// Runs jobs in the rows of a step session.
pub struct Scheduler<'s, 'j> {
    session: &'s mut dyn StepSession,
    slots: Vec<Option<Running<'j>>>,
    queue: VecDeque<(JobId, Job<'j>)>,
    input: ActStep,
    next_id: u64,
    steps: usize,
}

impl<'s, 'j> Scheduler<'s, 'j> {
    /// Makes a scheduler without jobs. Whatever the session was doing is forgotten.
    pub fn new(session: &'s mut dyn StepSession) -> Self {
        let (batch, seq_len) = (session.batch(), session.config().seq_len);
        Self {
            slots: std::iter::repeat_with(|| None).take(batch).collect(),
            queue: VecDeque::new(),
            // Token 0 is PAD, and puzzle id 0 always exists: an empty slot restarts a blank puzzle at every step.
            input: ActStep::first(vec![0; batch * seq_len], vec![0; batch]),
            next_id: 0,
            steps: 0,
            session,
        }
    }

    /// Adds a job behind those that wait. Tokens and puzzle id are checked by the session when the job starts; only
    /// a wrong number of tokens is refused here.
    ///
    /// # Errors
    ///
    /// [`EngineError::InputLength`] if the number of tokens is not the `seq` of the session's model.
    pub fn enqueue(&mut self, job: Job<'j>) -> Result<JobId> {
        let expected = self.seq_len();
        if job.tokens.len() != expected {
            return Err(EngineError::InputLength {
                tensor: "tokens",
                actual: job.tokens.len(),
                expected,
                shape: format!("[seq {expected}]"),
            }
            .into());
        }
        let id = JobId(self.next_id);
        self.next_id += 1;
        self.queue.push_back((id, job));
        Ok(id)
    }

    /// Drops a job, waiting or running; its slot is free for the next step. False if it was done already.
    pub fn cancel(&mut self, id: JobId) -> bool {
        let waiting = self.queue.len();
        self.queue.retain(|(queued, _)| *queued != id);
        let slot = self.slots.iter_mut().find(|slot| slot.as_ref().is_some_and(|running| running.id == id));
        let was_running = slot.map(|slot| *slot = None).is_some();
        was_running || self.queue.len() < waiting
    }

    /// True if no job waits or runs.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.slots.iter().all(Option::is_none)
    }

    /// Returns the jobs that the next step would leave waiting, less the slots that it would leave empty: below 0
    /// there is room.
    /// A caller that reads puzzles from a stream enqueues while this is below 0.
    #[must_use]
    pub fn backlog(&self) -> isize {
        let free = self.slots.iter().filter(|slot| slot.is_none()).count();
        self.queue.len() as isize - free as isize
    }

    /// Steps of the whole batch so far.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Fills free slots, runs one step of the batch, and returns the jobs that are done, in the order of their slots.
    ///
    /// # Errors
    ///
    /// [`SolverError::Engine`](crate::SolverError::Engine) if the session refuses a job's tokens or puzzle id, or
    /// fails.
    pub fn step(&mut self) -> Result<Vec<Finished>> {
        self.refill();
        if self.slots.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let output = self.session.step(&self.input)?;
        self.steps += 1;
        let seq_len = self.seq_len();
        let vocab_size = self.session.config().vocab_size;
        let row_of = |row: usize, width: usize| row * width..(row + 1) * width;

        let mut finished = Vec::new();
        for (row, slot) in self.slots.iter_mut().enumerate() {
            // An occupied row goes on. An empty one starts over where it is computed: a carry that nobody reads would
            // go on from step to step otherwise, and need not stay finite.
            self.input.reset[row] = slot.is_none();
            self.input.idle[row] = slot.is_none();
            let Some(running) = slot else { continue };
            running.steps += 1;
            let step = RowStep {
                job: running.id,
                steps: running.steps,
                answer: &output.answer[row_of(row, seq_len)],
                q_halt: output.q_halt[row],
                q_continue: output.q_continue[row],
                logits: output.logits.as_ref().map(|logits| &logits[row_of(row, seq_len * vocab_size)]),
            };
            if let Some(reason) = (running.decide)(&step) {
                finished.push(Finished {
                    job: step.job,
                    answer: step.answer.to_vec(),
                    q_halt: step.q_halt,
                    q_continue: step.q_continue,
                    steps: step.steps,
                    reason,
                    logits: step.logits.map(<[f32]>::to_vec),
                });
                *slot = None;
            } else if let Some(noise) = &mut running.noise
                && noise.goes_on()
            {
                let config = self.session.config();
                let width = config.total_len() * config.hidden_size;
                let delta = Carry { z_h: noise.draw(width), z_l: noise.draw(width) };
                self.session.add_to_carry(row, &delta)?;
            }
        }
        Ok(finished)
    }

    fn refill(&mut self) {
        let seq_len = self.seq_len();
        for (row, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
            let tokens = &mut self.input.tokens[row * seq_len..(row + 1) * seq_len];
            self.input.reset[row] = true;
            if let Some((id, job)) = self.queue.pop_front() {
                tokens.copy_from_slice(&job.tokens);
                self.input.puzzle_ids[row] = job.puzzle_id;
                self.input.idle[row] = false;
                *slot = Some(Running { id, decide: job.decide, noise: job.noise, steps: 0 });
            } else {
                self.input.idle[row] = true;
                tokens.fill(0);
                self.input.puzzle_ids[row] = 0;
            }
        }
    }

    fn seq_len(&self) -> usize {
        self.session.config().seq_len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_normal_and_its_seed_s() {
        let values = Noise::new(0.5, 7).draw(100_001);
        assert_eq!(values.len(), 100_001);
        let n = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / n;
        let within = values.iter().filter(|value| value.abs() < 0.5).count() as f64 / n;
        // Five standard errors: 0.5 / sqrt(n), 0.25 sqrt(2 / n), sqrt(0.683 * 0.317 / n).
        assert!(mean.abs() < 0.008 && (variance - 0.25).abs() < 0.006, "{mean} {variance}");
        assert!((within - 0.6827).abs() < 0.0075, "{within}");
        assert_eq!(Noise::new(0.5, 7).draw(10), values[..10]);
        assert_ne!(Noise::new(0.5, 8).draw(10), values[..10]);
        assert!(Noise::new(0.0, 7).draw(10).iter().all(|&value| value == 0.0));
    }
}
