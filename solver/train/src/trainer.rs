//! The training loop: deep supervision with ACT halting over carry groups, evaluation, log, checkpoints.

use std::sync::Arc;
use std::time::Instant;

use trm_engine::SessionOptions;
use trm_engine::ort::OrtEngine;
use trm_export::train::WAVE_HEAD;
use trm_models::TrmConfig;

use super::config::TrainConfig;
use super::data::{Prefetch, Stream};
use super::held_out::{self, HeldOut};
use super::init::initial_weights;
use super::log::{self, EvalRecord, Record, TrainLog, TrainRecord};
use super::plot;
use super::run::{Best, Checkpoint, LOG, RunFolder, RunState};
use super::runtime::{TrainOutput, TrainRuntime, TrainState, UpdateInput, Weights, open_runtime};
use super::schedule::{LrSchedule, visit_cap};
use super::slots::{Finished, Slots};
use crate::{Result, TrainError};

/// The learning curves.
pub const CURVES_SVG: &str = "curves.svg";
/// The learning curves as a picture.
pub const CURVES_PNG: &str = "curves.png";

/// Watches a run.
pub trait TrainObserver {
    /// After every update. `window` holds the means since the last line of the log.
    fn updated(&mut self, window: &TrainRecord);
    /// After every evaluation.
    fn evaluated(&mut self, record: &EvalRecord);
    /// Asked after every update: true saves the run and ends it.
    fn stop(&mut self) -> bool;
}

/// The reason why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainEnd {
    /// All steps are done.
    Finished,
    /// The time is up.
    TimeUp,
    /// The observer asked for it.
    Stopped,
}

/// A run that is loaded and can go on.
pub struct Trainer {
    config: TrainConfig,
    model: TrmConfig,
    engine: OrtEngine,
    session: SessionOptions,
    folder: RunFolder,
    sizes: Vec<Size>,
    evaluated: Vec<HeldOut>,
    runtime: Box<dyn TrainRuntime>,
    slots: Slots,
    state: RunState,
    log: TrainLog,
    /// Step of the last evaluation, and of the last checkpoint.
    done_at: (Option<u64>, Option<u64>),
}

/// Puzzles of one size.
struct Size {
    task: String,
    stream: Arc<Stream>,
    prefetch: Prefetch,
}

/// Sums of what was measured since the last line of the log.
#[derive(Debug, Default)]
struct Window {
    started: Option<Instant>,
    steps: u64,
    samples: u64,
    loss: f64,
    lm_loss: f64,
    q_loss: f64,
    finished: Finished,
    grad_norm: Option<f64>,
    flops: u64,
}

impl Trainer {
    /// Starts a run in its folder, from these weights or from new ones.
    ///
    /// # Errors
    ///
    /// [`TrainError::TrainConfig`] or [`TrainError::TrainData`] for settings or data that cannot be used;
    /// [`TrainError::RunFolder`] if another trainer is at work; [`TrainError::TrainState`] for weights of another
    /// model; [`TrainError::Engine`].
    pub fn start(
        engine: &OrtEngine,
        config: TrainConfig,
        folder: RunFolder,
        weights: Option<Weights>,
        session: SessionOptions,
    ) -> Result<Self> {
        config.validate()?;
        let mut initial = initial_weights(&config.trm_config()?, config.wave.speed > 0, config.seed);
        let weights = match weights {
            // A finished model has no head for the wave.
            Some(mut given) => {
                given.extend(initial.remove(WAVE_HEAD).map(|head| (WAVE_HEAD.to_owned(), head)));
                given
            }
            None => initial,
        };
        let tensors = TrainState { weights, ..TrainState::default() };
        let checkpoint = Checkpoint { state: RunState::default(), tensors, carry: None };
        Self::load(engine, config, folder, checkpoint, session)
    }

    /// Goes on from a checkpoint of the folder.
    ///
    /// # Errors
    ///
    /// As [`Trainer::start`].
    pub fn resume(
        engine: &OrtEngine,
        config: TrainConfig,
        folder: RunFolder,
        checkpoint: Checkpoint,
        session: SessionOptions,
    ) -> Result<Self> {
        Self::load(engine, config, folder, checkpoint, session)
    }

    fn load(
        engine: &OrtEngine,
        config: TrainConfig,
        folder: RunFolder,
        checkpoint: Checkpoint,
        mut session: SessionOptions,
    ) -> Result<Self> {
        if session.threads == 0 {
            session.threads = config.runtime.threads;
        }
        let folder = folder.locked()?;
        let model = config.trm_config()?;
        let Checkpoint { mut state, tensors, mut carry } = checkpoint;
        let tasks = config.tasks();
        let (groups, batch) = (config.batch.groups, config.batch.size);
        let size_of = |task: &str| tasks.iter().position(|known| *known == task);
        let kept = (state.group_tasks.len() == groups).then(|| state.group_tasks.iter().map(|task| size_of(task)));
        // Sizes that were changed since then begin again.
        let kept = kept.and_then(Iterator::collect::<Option<Vec<_>>>);
        if kept.is_none() && (tasks.len() > 1 || !state.group_tasks.is_empty()) {
            carry = None;
        }
        if carry.is_none() {
            // Without its carry a puzzle starts again; a new one is as good.
            state.groups.clear();
        }
        let begins = |group| size_of(config.task_of_group(group, state.step)).unwrap_or(0);
        let group_sizes = kept.unwrap_or_else(|| (0..groups).map(begins).collect());
        let next = |task: &&str| match state.next_by_task.get(*task) {
            Some(&next) => next,
            None if tasks.len() == 1 => state.next_index,
            None => 0,
        };
        let next = tasks.iter().map(next).collect::<Vec<_>>();
        let mut sizes = Vec::with_capacity(tasks.len());
        for (task, &next) in tasks.iter().zip(&next) {
            let stream = Arc::new(Stream::new(&config.of_task(task))?);
            let prefetch = Prefetch::start(&stream, next, config.runtime.generator_threads, 4 * batch)?;
            sizes.push(Size { task: (*task).to_owned(), stream, prefetch });
        }
        let streams = sizes.iter().map(|size| size.stream.as_ref()).collect::<Vec<_>>();
        let slots = Slots::new((config.seed, &config.wave), (&group_sizes, batch), &state.groups, next, &streams)?;
        let evaluated = held_out::sets(&config)?;
        let mut runtime = open_runtime(engine, &config, tensors, (state.step, &session))?;
        for (group, &size) in group_sizes.iter().enumerate() {
            runtime.assign(group, size)?;
        }
        if let Some(carry) = &carry {
            runtime.set_carry(carry)?;
        }
        let log = TrainLog::open(&folder.path(LOG), state.step)?;
        let saved = (state.step > 0).then_some(state.step);
        let engine = engine.clone();
        let done_at = (saved, saved);
        Ok(Self { config, model, engine, session, folder, sizes, evaluated, runtime, slots, state, log, done_at })
    }

    /// Faults of files that the run can do without, to be told to the user.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.log.warnings()
    }

    /// Where the run stands.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The run's settings.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// `graph` or `ort-training`.
    #[must_use]
    pub fn runtime_name(&self) -> &'static str {
        self.runtime.name()
    }

    /// The weights of the best evaluation, and where the run stood then; the last ones, averaged, where nothing was
    /// evaluated.
    ///
    /// # Errors
    ///
    /// [`TrainError::RunFolder`] if the best weights are damaged; [`TrainError::Engine`].
    pub fn best_weights(&self) -> Result<(Weights, RunState)> {
        match self.folder.read_best()? {
            Some(best) => Ok((best.checkpoint.tensors.weights, best.checkpoint.state)),
            None => Ok((averaged(self.runtime.state()?), self.state.clone())),
        }
    }

    /// Trains to the end, or until the observer or the clock stops it. The last state is saved in any case but one: numbers
    /// that have become NaN or infinite never replace a checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`] for numbers that are NaN or infinite; [`TrainError::TrainData`] for an example that
    /// cannot be made; [`TrainError::Engine`]; [`TrainError::File`] or [`TrainError::Picture`] if a file cannot be
    /// written.
    pub fn run(&mut self, observer: &mut dyn TrainObserver) -> Result<TrainEnd> {
        let schedule = LrSchedule::new(&self.config.schedule);
        let limit = self.config.schedule.max_minutes * 60.0;
        let mut window = Window::default();
        let mut end = TrainEnd::Finished;
        while self.state.step < self.config.schedule.steps {
            let started = Instant::now();
            window.started.get_or_insert(started);
            self.update(&schedule, &mut window)?;
            self.state.train_seconds += started.elapsed().as_secs_f64();
            let step = self.state.step;
            let record = window.record(&self.state, schedule.lr(self.config.optimizer.lr, step));
            observer.updated(&record);
            if step.is_multiple_of(self.config.log.every) {
                self.log.write(&Record::Train(record))?;
                window = Window::default();
            }
            let every = self.config.evaluation.every;
            if every > 0 && step.is_multiple_of(every) {
                self.evaluate(observer)?;
                window.started = None;
            }
            if step.is_multiple_of(self.config.checkpoint.every) {
                self.save()?;
            }
            if observer.stop() {
                end = TrainEnd::Stopped;
                break;
            }
            if limit > 0.0 && self.state.train_seconds >= limit {
                end = TrainEnd::TimeUp;
                break;
            }
        }
        if end != TrainEnd::Stopped && self.config.evaluation.every > 0 && self.done_at.0 != Some(self.state.step) {
            self.evaluate(observer)?;
        }
        self.save()?;
        Ok(end)
    }

    /// The supervision steps of one update, and the update.
    fn update(&mut self, schedule: &LrSchedule, window: &mut Window) -> Result<()> {
        let accumulation = self.config.batch.accumulation as u64;
        let cap = visit_cap(&self.config.batch, self.model.halt_max_steps, self.state.step);
        for part in 0..accumulation {
            let number = self.state.step * accumulation + part;
            let group = (number % self.config.batch.groups as u64) as usize;
            let task = self.config.task_of_group(group, self.state.step);
            let number_of_size = self.sizes.iter().position(|size| size.task == task).unwrap_or(0);
            self.slots.assign(group, number_of_size);
            self.runtime.assign(group, number_of_size)?;
            let batch = self.slots.batch(group, cap, &mut self.sizes[number_of_size].prefetch)?;
            let output = self.runtime.step(group, &batch)?;
            if !output.loss.is_finite() {
                return Err(self.diverged("the loss", f64::from(output.loss)));
            }
            let finished = self.slots.advance(group, number, &self.model, &output);
            self.state.samples += batch.reset.len() as u64;
            self.state.examples_finished += finished.puzzles;
            window.add(&output, finished, self.runtime.flops(group));
        }
        let step = self.state.step + 1;
        let optimizer = &self.config.optimizer;
        let input = UpdateInput {
            step,
            lr: schedule.lr(optimizer.lr, step),
            puzzle_emb_lr: schedule.lr(optimizer.puzzle_emb_lr, step),
        };
        let norm = self.runtime.update(&input)?.map(f64::from);
        if let Some(norm) = norm.filter(|norm| !norm.is_finite()) {
            return Err(self.diverged("the gradient's norm", norm));
        }
        window.grad_norm = norm;
        self.state.step = step;
        self.state.next_index = self.slots.next.iter().sum();
        if self.sizes.len() > 1 {
            let tasks = self.sizes.iter().map(|size| size.task.clone());
            self.state.next_by_task = tasks.zip(self.slots.next.iter().copied()).collect();
        }
        Ok(())
    }

    fn diverged(&self, what: &str, value: f64) -> TrainError {
        TrainError::Diverged { step: self.state.step + 1, what: what.to_owned(), value, saved: self.done_at.1 }
    }

    /// Measures the averaged weights on the held-out puzzles; the best so far are kept. An observer that stops the run does
    /// not wait for it: the run is measured when it goes on.
    fn evaluate(&mut self, observer: &mut dyn TrainObserver) -> Result<()> {
        let weights = averaged(self.runtime.state()?);
        let stop = &mut || observer.stop();
        let steps = self.config.evaluation.steps;
        let measured = held_out::measure(&self.engine, &self.evaluated, steps, &weights, &self.session, stop)?;
        let Some(mut record) = measured else { return Ok(()) };
        record.step = self.state.step;
        record.seconds = self.state.train_seconds;
        self.log.write(&Record::Eval(record.clone()))?;
        self.done_at.0 = Some(self.state.step);
        let rank = |valid: Option<f64>, exact: f64| (valid.unwrap_or(exact), exact);
        // A run that was resumed with another number of held-out puzzles has other ones: nothing to compare with.
        let is_better =
            |best: &Best| best.n != record.n || rank(record.valid, record.exact) > rank(best.valid, best.exact);
        if self.state.best.as_ref().is_none_or(is_better) {
            let EvalRecord { step, exact, valid, n, .. } = record;
            self.state.best = Some(Best { step, exact, valid, n });
            self.folder.write_best(&self.state, &weights)?;
        }
        observer.evaluated(&record);
        Ok(())
    }

    /// Writes a checkpoint and the curves.
    fn save(&mut self) -> Result<()> {
        if self.done_at.1 == Some(self.state.step) {
            return Ok(());
        }
        let tensors = self.runtime.state()?;
        if let Some(name) = not_finite(&tensors) {
            return Err(TrainError::Diverged {
                step: self.state.step,
                what: format!("a value of `{name}`"),
                value: f64::NAN,
                saved: self.done_at.1,
            });
        }
        let carry = if self.config.checkpoint.carry { Some(self.runtime.carry()?) } else { None };
        self.state.groups = if carry.is_some() { self.slots.saved() } else { Vec::new() };
        let of_groups = self.slots.sizes().map(|size| self.sizes[size].task.clone());
        self.state.group_tasks = if self.sizes.len() > 1 { of_groups.collect() } else { Vec::new() };
        self.folder.write(&Checkpoint { state: self.state.clone(), tensors, carry })?;
        self.done_at.1 = Some(self.state.step);
        let records = log::read(&self.folder.path(LOG))?;
        plot::write(&records, &self.folder.path(CURVES_SVG), &self.folder.path(CURVES_PNG))
    }
}

/// The model's weights with their moving average, where there is one.
fn averaged(state: TrainState) -> Weights {
    let mut weights = state.weights;
    weights.extend(state.ema);
    weights.remove(WAVE_HEAD);
    weights
}

/// The first tensor with a value that is no number.
fn not_finite(state: &TrainState) -> Option<&str> {
    let all = state.weights.iter().chain(&state.moments).chain(&state.ema);
    all.into_iter()
        .find(|(_, tensor)| tensor.data.iter().any(|value| !value.is_finite()))
        .map(|(name, _)| name.as_str())
}

impl Window {
    fn add(&mut self, output: &TrainOutput, finished: Finished, flops: u64) {
        let mean = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        self.steps += 1;
        self.samples += output.lm_loss.len() as u64;
        self.lm_loss += mean(&output.lm_loss);
        self.q_loss += mean(&output.q_loss);
        self.loss += mean(&output.lm_loss) + 0.5 * mean(&output.q_loss);
        self.finished.puzzles += finished.puzzles;
        self.finished.exact += finished.exact;
        self.finished.cells_right += finished.cells_right;
        self.finished.cells += finished.cells;
        self.finished.steps += finished.steps;
        self.flops += flops;
    }

    fn record(&self, state: &RunState, lr: f64) -> TrainRecord {
        let steps = self.steps as f64;
        let seconds = self.started.map_or(f64::NAN, |started| started.elapsed().as_secs_f64());
        let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
        let finished = self.finished;
        TrainRecord {
            step: state.step,
            samples: state.samples,
            lr,
            loss: self.loss / steps,
            lm_loss: self.lm_loss / steps,
            q_loss: self.q_loss / steps,
            exact: share(finished.exact, finished.puzzles),
            cell: share(finished.cells_right, finished.cells),
            steps: share(finished.steps, finished.puzzles),
            grad_norm: self.grad_norm,
            samples_per_s: self.samples as f64 / seconds,
            gflops: (self.flops > 0).then(|| self.flops as f64 / seconds / 1e9),
            seconds: state.train_seconds,
        }
    }
}
