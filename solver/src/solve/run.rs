//! One pass over a stream of puzzles: first attempts, retries under symmetries and with noise, reports.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

use trm_engine::ort::ExecutionProvider;
use trm_engine::{StepSession, halt_signal};
use trm_models::{Mixer, TrmConfig};
use trm_puzzles::{AnswerCount, Grid, Symmetry, Task, Verdict, seeded};

use super::{AttemptKind, Observer, Question, SolveOptions, SolveReport, StepView};
use crate::batch::{Finished, Job, JobId, Noise, RowStep, Scheduler};
use crate::{HaltPolicy, HaltReason, Progress, Result};

/// Draws for each symmetric copy that is wanted, before no further one is expected. Symmetries are drawn at random
/// and repeat, and a task may have fewer than are wanted: a square maze has seven besides itself. The default 8 tries
/// draw 64 times, and miss one of the seven once in 700 times (7 * (7/8)^64).
const DRAWS_A_COPY: usize = 8;

/// Standard deviation of the noise that makes another start, of states whose root mean square is 1; docs/accuracy.md measures it.
const START_NOISE: f32 = 0.3;

/// The task, the policies and the limits that all attempts share.
pub(crate) struct Context<'a> {
    task: &'a dyn Task,
    config: &'a TrmConfig,
    first_policy: HaltPolicy,
    retry_policy: HaltPolicy,
    max_steps: usize,
    tries: usize,
    rollouts: usize,
    noise: f32,
    seed: u64,
    observer: RefCell<&'a mut dyn Observer>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        task: &'a dyn Task,
        config: &'a TrmConfig,
        options: &SolveOptions,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let verifiable = task.has_rules();
        let first_policy = if verifiable { options.halt } else { options.halt.without_verifier() };
        Self {
            task,
            config,
            first_policy,
            // A copy is run to be verified: once it is, more steps gain nothing.
            retry_policy: match first_policy {
                // Nobody verifies a rollout either.
                policy if !verifiable => policy,
                HaltPolicy::MaxSteps | HaltPolicy::Verified => HaltPolicy::Verified,
                HaltPolicy::QHalt(q_halt) | HaltPolicy::VerifiedOrQHalt(q_halt) => HaltPolicy::VerifiedOrQHalt(q_halt),
            },
            max_steps: options.max_steps.unwrap_or(config.halt_max_steps),
            tries: if verifiable { options.tries } else { 0 },
            rollouts: options.rollouts,
            noise: options.noise,
            seed: options.seed,
            observer: RefCell::new(observer),
        }
    }

    pub(crate) fn judge(&self, puzzle: &Grid, tokens: &[i32]) -> Result<(Grid, Verdict)> {
        let answer = self.task.answer(puzzle, tokens)?;
        let verdict = self.task.verify(puzzle, &answer);
        Ok((answer, verdict))
    }

    /// Tells the observer of a step, and decides whether it was the attempt's last.
    fn after_step(&self, attempt: &Attempt, row: &RowStep<'_>) -> Option<HaltReason> {
        self.observer.borrow_mut().step(&StepView {
            index: attempt.index,
            question: &attempt.question,
            attempt: attempt.kind(),
            steps: row.steps,
            answer: row.answer,
            q_halt: row.q_halt,
            q_continue: row.q_continue,
        });
        let policy = if attempt.kind() == AttemptKind::First { self.first_policy } else { self.retry_policy };
        let verified = policy.needs_verdict().then(|| {
            // Decoding fails for another number of tokens only, and then the answer is not right either.
            self.judge(&attempt.question.grid, row.answer).is_ok_and(|(_, verdict)| verdict.is_verified())
        });
        let progress = Progress { steps: row.steps, q_halt: row.q_halt, q_continue: row.q_continue, verified };
        policy.decide(&progress, self.max_steps, self.config)
    }

    /// Makes the attempts for a puzzle whose first one failed: symmetric copies, then rollouts. They depend on the
    /// seed and the puzzle only, so that a puzzle gets the same ones in any company; more of them begin with the same
    /// ones. A network of candidates answers a copy as it answers the puzzle: it gets other starts instead.
    pub(crate) fn retries(&self, question: &Rc<Question>) -> Result<Vec<(Rc<Question>, Way)>> {
        let seed = self.seed ^ fingerprint(&question.tokens);
        // An odd factor never gives two rollouts of a puzzle one seed. This one is 2^64 by the golden ratio, as in
        // splitmix64, which spreads small numbers over all bits.
        let seed = |rollout: u64| seed.wrapping_add(rollout.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut retries = Vec::new();
        if self.config.mixer == Mixer::Candidates {
            retries.extend((1..=self.tries as u64).map(|start| (Rc::clone(question), Way::Start(seed(start)))));
        } else {
            let copies = self.copies(question)?.into_iter();
            retries.extend(copies.map(|(symmetry, copy)| (Rc::new(copy), Way::Symmetry(symmetry))));
        }
        retries.extend((1..=self.rollouts as u64).map(|rollout| (Rc::clone(question), Way::Noise(seed(rollout)))));
        Ok(retries)
    }

    /// Up to `tries` different symmetric copies of a puzzle, none of them the puzzle itself.
    fn copies(&self, question: &Question) -> Result<Vec<(Box<dyn Symmetry>, Question)>> {
        let mut rng = seeded(self.seed ^ fingerprint(&question.tokens));
        let mut seen = HashSet::from([question.grid.clone()]);
        let mut copies = Vec::new();
        for _ in 0..self.tries.saturating_mul(DRAWS_A_COPY) {
            if copies.len() == self.tries {
                break;
            }
            let symmetry = self.task.symmetry(&mut rng);
            let grid = symmetry.apply(&question.grid)?;
            if seen.insert(grid.clone()) {
                copies.push((symmetry, Question::new(self.task, grid, question.puzzle_id)?));
            }
        }
        Ok(copies)
    }
}

/// FNV-1a of the tokens' bytes, with the offset basis and the prime of its 64-bit form. The standard library's hash
/// may change with the compiler, and a seed has to find the same copies with every build.
fn fingerprint(tokens: &[i32]) -> u64 {
    tokens
        .iter()
        .flat_map(|token| token.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A puzzle, or a symmetric copy of one, in a row.
struct Attempt {
    index: usize,
    question: Rc<Question>,
    way: Way,
    /// Steps so far.
    steps: Cell<usize>,
}

/// The difference of an attempt from running the puzzle as it is.
pub(crate) enum Way {
    Plain,
    Symmetry(Box<dyn Symmetry>),
    /// Noise of this seed.
    Noise(u64),
    /// Noise of this seed after the first step only.
    Start(u64),
}

impl Way {
    /// The noise of an attempt.
    pub(crate) fn noise(&self, sigma: f32) -> Option<Noise> {
        match self {
            Self::Noise(seed) => Some(Noise::new(sigma, *seed)),
            Self::Start(seed) => Some(Noise::at_start(START_NOISE, *seed)),
            Self::Plain | Self::Symmetry(_) => None,
        }
    }
}

impl Attempt {
    fn new(index: usize, question: Rc<Question>, way: Way) -> Self {
        Self { index, question, way, steps: Cell::new(0) }
    }

    fn kind(&self) -> AttemptKind {
        match self.way {
            Way::Plain => AttemptKind::First,
            Way::Symmetry(_) => AttemptKind::Symmetric,
            Way::Noise(_) | Way::Start(_) => AttemptKind::Rollout,
        }
    }
}

/// Attempts and steps of a puzzle so far, counted as they run: a cancelled attempt reports nothing.
#[derive(Default)]
struct Effort {
    attempts: Cell<usize>,
    steps: Cell<usize>,
    /// Steps of the fastest verified attempt, while others may still be faster.
    to_beat: Cell<Option<usize>>,
}

/// A puzzle without a report yet.
struct Open {
    question: Rc<Question>,
    started: Instant,
    effort: Rc<Effort>,
    /// The answer of the first attempt, to report if no other does better; of a task without rules, the best so far, with
    /// its halting signal.
    first: Option<(SolveReport, f32)>,
    /// The verified answer to report unless another attempt finds one in fewer steps.
    verified: Option<(SolveReport, JobId)>,
    /// Other attempts that are still running or waiting.
    siblings: Vec<JobId>,
}

/// The puzzles on their way.
pub(crate) struct Run<'c, 'o> {
    context: &'c Context<'o>,
    open: BTreeMap<usize, Open>,
}

/// A scheduler with the attempts behind its jobs.
struct Stage<'s, 'c> {
    scheduler: Scheduler<'s, 'c>,
    attempts: HashMap<JobId, Rc<Attempt>>,
    backend: &'static str,
    provider: ExecutionProvider,
}

impl<'s> Stage<'s, '_> {
    fn new(session: &'s mut dyn StepSession) -> Self {
        let (backend, provider) = (session.info().engine, session.info().provider);
        Self { scheduler: Scheduler::new(session), attempts: HashMap::new(), backend, provider }
    }
}

impl<'c, 'o> Run<'c, 'o> {
    pub(crate) fn new(context: &'c Context<'o>) -> Self {
        Self { context, open: BTreeMap::new() }
    }

    /// Runs the stream's first attempts, and their retries too unless these are to be `deferred`. Returns the puzzles
    /// whose retries were.
    pub(crate) fn solve(
        &mut self,
        session: &mut dyn StepSession,
        questions: impl Iterator<Item = Result<Question>>,
        deferred: bool,
    ) -> Result<Vec<usize>> {
        let mut stage = Stage::new(session);
        let mut questions = questions.enumerate().fuse();
        let mut failed = Vec::new();
        while !self.stopped() {
            while stage.scheduler.backlog() < 0 {
                let Some((index, question)) = questions.next() else { break };
                self.start(&mut stage, index, question?)?;
            }
            if stage.scheduler.is_idle() {
                break;
            }
            for index in self.step(&mut stage)? {
                if deferred {
                    failed.push(index);
                } else {
                    self.start_retries(&mut stage, index)?;
                }
            }
        }
        Ok(failed)
    }

    /// Runs the retries of these puzzles.
    pub(crate) fn retry(&mut self, session: &mut dyn StepSession, failed: &[usize]) -> Result<()> {
        let mut stage = Stage::new(session);
        for &index in failed {
            self.start_retries(&mut stage, index)?;
        }
        while !stage.scheduler.is_idle() && !self.stopped() {
            self.step(&mut stage)?;
        }
        Ok(())
    }

    /// True if the observer wants to end.
    pub(crate) fn stopped(&self) -> bool {
        self.context.observer.borrow_mut().stop()
    }

    fn start(&mut self, stage: &mut Stage<'_, 'c>, index: usize, question: Question) -> Result<()> {
        let question = Rc::new(question);
        let open = Open {
            question: Rc::clone(&question),
            started: Instant::now(),
            effort: Rc::default(),
            first: None,
            verified: None,
            siblings: Vec::new(),
        };
        let effort = Rc::clone(&open.effort);
        self.open.insert(index, open);
        self.enqueue(stage, Attempt::new(index, question, Way::Plain), effort)?;
        Ok(())
    }

    fn start_retries(&mut self, stage: &mut Stage<'_, 'c>, index: usize) -> Result<()> {
        let Some(open) = self.open.get(&index) else { return Ok(()) };
        let (question, effort) = (Rc::clone(&open.question), Rc::clone(&open.effort));
        let attempts = self.context.retries(&question)?;
        if let Some((first, _)) = &open.first {
            self.context.observer.borrow_mut().retry(index, &first.verdict, attempts.len());
        }
        let mut siblings = Vec::with_capacity(attempts.len());
        for (question, way) in attempts {
            siblings.push(self.enqueue(stage, Attempt::new(index, question, way), Rc::clone(&effort))?);
        }
        if siblings.is_empty() {
            // A puzzle that every symmetry leaves as it is.
            self.report_best(index);
        } else if let Some(open) = self.open.get_mut(&index) {
            open.siblings = siblings;
        }
        Ok(())
    }

    fn enqueue(&self, stage: &mut Stage<'_, 'c>, attempt: Attempt, effort: Rc<Effort>) -> Result<JobId> {
        let context = self.context;
        let attempt = Rc::new(attempt);
        let (tokens, puzzle_id) = (attempt.question.tokens.clone(), attempt.question.puzzle_id);
        let running = Rc::clone(&attempt);
        let noise = attempt.way.noise(context.noise);
        let job = Job::new(tokens, puzzle_id, move |row| {
            effort.steps.set(effort.steps.get() + 1);
            if row.steps == 1 {
                effort.attempts.set(effort.attempts.get() + 1);
            }
            running.steps.set(row.steps);
            // Its next step would be no earlier than that of the answer to beat, and a tie does not win: jobs start in
            // their order, so that one which is still behind is a later one.
            let too_slow = || effort.to_beat.get().is_some_and(|steps| row.steps + 1 >= steps);
            context.after_step(&running, row).or_else(|| too_slow().then_some(HaltReason::MaxSteps))
        });
        let id = stage.scheduler.enqueue(job.with_noise(noise))?;
        stage.attempts.insert(id, attempt);
        Ok(id)
    }

    /// Runs one step of the batch and reports what is done. Returns the puzzles whose first answer failed and that may
    /// be tried again.
    fn step(&mut self, stage: &mut Stage<'_, 'c>) -> Result<Vec<usize>> {
        let mut failed = Vec::new();
        for done in stage.scheduler.step()? {
            let Some(attempt) = stage.attempts.remove(&done.job) else { continue };
            match &attempt.way {
                Way::Plain => failed.extend(self.first_done(stage, &attempt, done)?),
                Way::Symmetry(symmetry) => self.other_done(stage, &attempt, Some(symmetry.as_ref()), &done)?,
                Way::Noise(_) | Way::Start(_) => self.other_done(stage, &attempt, None, &done)?,
            }
        }
        Ok(failed)
    }

    fn first_done(&mut self, stage: &Stage<'_, 'c>, attempt: &Attempt, done: Finished) -> Result<Option<usize>> {
        let Some(open) = self.open.get_mut(&attempt.index) else { return Ok(None) };
        let (answer, verdict) = self.context.judge(&attempt.question.grid, &done.answer)?;
        let retry = match verdict {
            Verdict::Verified { .. } => false,
            Verdict::Unverifiable { .. } => self.context.rollouts > 0,
            _ => self.context.tries + self.context.rollouts > 0,
        };
        let signal = halt_signal(self.context.config, done.q_halt, done.q_continue);
        let report = SolveReport {
            answer,
            verdict,
            steps: done.steps,
            total_steps: open.effort.steps.get(),
            attempts: open.effort.attempts.get(),
            found_by: AttemptKind::First,
            q_halt: done.q_halt,
            halted_by: done.reason,
            time: open.started.elapsed(),
            backend: stage.backend,
            provider: stage.provider,
            tokens: done.answer,
            logits: done.logits,
        };
        open.first = Some((report, signal));
        if retry {
            return Ok(Some(attempt.index));
        }
        self.report_best(attempt.index);
        Ok(None)
    }

    /// Verifies the answer of a copy, mapped back, or of a rollout on the puzzle itself; the first right one ends the others.
    /// Where there are no rules, the highest halting signal wins when all are done.
    fn other_done(
        &mut self,
        stage: &mut Stage<'_, 'c>,
        attempt: &Attempt,
        symmetry: Option<&dyn Symmetry>,
        done: &Finished,
    ) -> Result<()> {
        let Some(open) = self.open.get_mut(&attempt.index) else { return Ok(()) };
        open.siblings.retain(|&id| id != done.job);
        let task = self.context.task;
        let answer = task.answer(&attempt.question.grid, &done.answer)?;
        let answer = symmetry.map_or_else(|| Ok(answer.clone()), |symmetry| symmetry.invert(&answer))?;
        let verdict = task.verify(&open.question.grid, &answer);
        let signal = halt_signal(self.context.config, done.q_halt, done.q_continue);
        let unverifiable = matches!(verdict, Verdict::Unverifiable { .. });
        let verified = verdict.is_verified();
        // A wrong answer may have cells that no token stands for; it is not reported.
        let tokens = if verified { task.encode(&answer)? } else { done.answer.clone() };
        let report = SolveReport {
            tokens,
            answer,
            verdict,
            steps: done.steps,
            total_steps: open.effort.steps.get(),
            attempts: open.effort.attempts.get(),
            found_by: attempt.kind(),
            q_halt: done.q_halt,
            halted_by: done.reason,
            time: open.started.elapsed(),
            backend: stage.backend,
            provider: stage.provider,
            // Those of a copy are of its cells.
            logits: done.logits.clone().filter(|_| symmetry.is_none()),
        };
        if verified {
            // Of several right answers the one in the fewest steps wins, of the earliest attempt, so that it does not
            // depend on which attempts got a row first.
            let count = || task.count_answers(&open.question.grid);
            let several = report.verdict.path().is_some() || count() != AnswerCount::One;
            let steps = report.steps;
            let better = |(best, id): &(SolveReport, JobId)| (steps, done.job) < (best.steps, *id);
            if open.verified.as_ref().is_none_or(better) {
                open.effort.to_beat.set(Some(steps));
                open.verified = Some((report, done.job));
            }
            let to_beat = open.effort.to_beat.get().unwrap_or(steps);
            open.siblings.retain(|id| {
                let so_far = stage.attempts.get(id).map_or(usize::MAX, |attempt| attempt.steps.get());
                // One that ended in this very step cannot be cancelled, and is looked at next.
                // With one step fewer than the answer to beat it would only tie, as in `enqueue`.
                let goes_on = several && (so_far.saturating_add(1) < to_beat || !stage.scheduler.cancel(*id));
                if !goes_on {
                    stage.scheduler.cancel(*id);
                    stage.attempts.remove(id);
                }
                goes_on
            });
        } else if unverifiable && open.first.as_ref().is_none_or(|(_, best)| signal > *best) {
            open.first = Some((report, signal));
        }
        if open.siblings.is_empty() {
            self.report_best(attempt.index);
        }
        Ok(())
    }

    /// Reports the verified answer, or else the first attempt's, or the best of a task without rules.
    fn report_best(&mut self, index: usize) {
        let Some(open) = self.open.get_mut(&index) else { return };
        let verified = open.verified.take().map(|(report, _)| report);
        let Some(first) = verified.or_else(|| open.first.take().map(|(report, _)| report)) else { return };
        let report = SolveReport {
            total_steps: open.effort.steps.get(),
            attempts: open.effort.attempts.get(),
            time: open.started.elapsed(),
            ..first
        };
        self.report(index, report);
    }

    fn report(&mut self, index: usize, report: SolveReport) {
        if let Some(open) = self.open.remove(&index) {
            self.context.observer.borrow_mut().done(index, &open.question, report);
        }
    }
}
