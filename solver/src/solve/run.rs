//! One pass over a stream of puzzles: first attempts, retries under symmetries, reports.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::Instant;

use trm_models::TrmConfig;
use trm_puzzles::{Grid, Symmetry, Task, Verdict, seeded};

use super::{Observer, Question, SolveOptions, SolveReport, StepView};
use crate::batch::{Finished, Job, JobId, RowStep, Scheduler};
use crate::{HaltPolicy, HaltReason, Progress, Result, StepSession};

/// Draws for each symmetric copy that is wanted before no further one is expected: a square maze has only seven.
const DRAWS_A_COPY: usize = 8;

/// What all attempts share.
pub(super) struct Context<'a> {
    task: &'a dyn Task,
    config: &'a TrmConfig,
    first_policy: HaltPolicy,
    retry_policy: HaltPolicy,
    max_steps: usize,
    tries: usize,
    seed: u64,
    observer: RefCell<&'a mut dyn Observer>,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        task: &'a dyn Task,
        config: &'a TrmConfig,
        options: &SolveOptions,
        observer: &'a mut dyn Observer,
    ) -> Self {
        // Which rule an ARC answer must follow is known from examples only.
        let verifiable = task.name() != "arc";
        let first_policy = if verifiable { options.halt } else { options.halt.without_verifier() };
        Self {
            task,
            config,
            first_policy,
            // A copy is run to be verified: once it is, more steps gain nothing.
            retry_policy: match first_policy {
                HaltPolicy::MaxSteps | HaltPolicy::Verified => HaltPolicy::Verified,
                HaltPolicy::QHalt(q_halt) | HaltPolicy::VerifiedOrQHalt(q_halt) => HaltPolicy::VerifiedOrQHalt(q_halt),
            },
            max_steps: options.max_steps.unwrap_or(config.halt_max_steps),
            tries: if verifiable { options.tries } else { 0 },
            seed: options.seed,
            observer: RefCell::new(observer),
        }
    }

    fn judge(&self, puzzle: &Grid, tokens: &[i32]) -> Result<(Grid, Verdict)> {
        let answer = self.task.decode(puzzle, tokens)?;
        let verdict = self.task.verify(puzzle, &answer);
        Ok((answer, verdict))
    }

    /// Tells the observer of a step, and decides whether it was the attempt's last.
    fn after_step(&self, attempt: &Attempt, row: &RowStep<'_>) -> Option<HaltReason> {
        self.observer.borrow_mut().step(&StepView {
            index: attempt.index,
            question: &attempt.question,
            symmetric: attempt.symmetry.is_some(),
            steps: row.steps,
            answer: row.answer,
            q_halt: row.q_halt,
            q_continue: row.q_continue,
        });
        let policy = if attempt.symmetry.is_some() { self.retry_policy } else { self.first_policy };
        let verified = policy.needs_verdict().then(|| {
            // Decoding fails for another number of tokens only, and then the answer is not right either.
            self.judge(&attempt.question.grid, row.answer).is_ok_and(|(_, verdict)| verdict.is_verified())
        });
        let progress = Progress { steps: row.steps, q_halt: row.q_halt, q_continue: row.q_continue, verified };
        policy.decide(&progress, self.max_steps, self.config)
    }

    /// Up to `tries` different symmetric copies of a puzzle, none of them the puzzle itself. They depend on the seed
    /// and the puzzle only, so that a puzzle gets the same ones in any company.
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

/// FNV-1a of the tokens.
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
    symmetry: Option<Box<dyn Symmetry>>,
}

/// What a puzzle has cost, counted as its attempts run: a cancelled attempt reports nothing.
#[derive(Default)]
struct Effort {
    attempts: Cell<usize>,
    steps: Cell<usize>,
}

/// A puzzle without a report yet.
struct Open {
    question: Rc<Question>,
    started: Instant,
    effort: Rc<Effort>,
    /// The answer of the first attempt, to report if no copy does better.
    first: Option<SolveReport>,
    /// Copies that are still running or waiting.
    siblings: Vec<JobId>,
}

/// The puzzles on their way.
pub(super) struct Run<'c, 'o> {
    context: &'c Context<'o>,
    open: BTreeMap<usize, Open>,
}

/// A scheduler with the attempts behind its jobs.
struct Stage<'s, 'c> {
    scheduler: Scheduler<'s, 'c>,
    attempts: HashMap<JobId, Rc<Attempt>>,
    backend: &'static str,
    provider: &'static str,
}

impl<'s> Stage<'s, '_> {
    fn new(session: &'s mut dyn StepSession) -> Self {
        let (backend, provider) = (session.info().engine, session.info().provider);
        Self { scheduler: Scheduler::new(session), attempts: HashMap::new(), backend, provider }
    }
}

impl<'c, 'o> Run<'c, 'o> {
    pub(super) fn new(context: &'c Context<'o>) -> Self {
        Self { context, open: BTreeMap::new() }
    }

    /// Runs the stream's first attempts, and their retries too unless these are to be `deferred`. Returns the puzzles
    /// whose retries were.
    pub(super) fn solve(
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
                    self.start_copies(&mut stage, index)?;
                }
            }
        }
        Ok(failed)
    }

    /// Runs the retries of these puzzles.
    pub(super) fn retry(&mut self, session: &mut dyn StepSession, failed: &[usize]) -> Result<()> {
        let mut stage = Stage::new(session);
        for &index in failed {
            self.start_copies(&mut stage, index)?;
        }
        while !stage.scheduler.is_idle() && !self.stopped() {
            self.step(&mut stage)?;
        }
        Ok(())
    }

    /// Whether the observer wants to end.
    pub(super) fn stopped(&self) -> bool {
        self.context.observer.borrow_mut().stop()
    }

    fn start(&mut self, stage: &mut Stage<'_, 'c>, index: usize, question: Question) -> Result<()> {
        let question = Rc::new(question);
        let open = Open {
            question: Rc::clone(&question),
            started: Instant::now(),
            effort: Rc::default(),
            first: None,
            siblings: Vec::new(),
        };
        let effort = Rc::clone(&open.effort);
        self.open.insert(index, open);
        self.enqueue(stage, Attempt { index, question, symmetry: None }, effort)?;
        Ok(())
    }

    fn start_copies(&mut self, stage: &mut Stage<'_, 'c>, index: usize) -> Result<()> {
        let Some(open) = self.open.get(&index) else { return Ok(()) };
        let (question, effort) = (Rc::clone(&open.question), Rc::clone(&open.effort));
        let copies = self.context.copies(&question)?;
        if let Some(first) = &open.first {
            self.context.observer.borrow_mut().retry(index, &first.verdict, copies.len());
        }
        let mut siblings = Vec::with_capacity(copies.len());
        for (symmetry, copy) in copies {
            let attempt = Attempt { index, question: Rc::new(copy), symmetry: Some(symmetry) };
            siblings.push(self.enqueue(stage, attempt, Rc::clone(&effort))?);
        }
        if siblings.is_empty() {
            // A puzzle that every symmetry leaves as it is.
            self.report_first(index);
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
        let id = stage.scheduler.enqueue(Job::new(tokens, puzzle_id, move |row| {
            effort.steps.set(effort.steps.get() + 1);
            if row.steps == 1 {
                effort.attempts.set(effort.attempts.get() + 1);
            }
            context.after_step(&running, row)
        }))?;
        stage.attempts.insert(id, attempt);
        Ok(id)
    }

    /// Runs one step of the batch and reports what is done. Returns the puzzles whose first answer failed and that may
    /// be tried again.
    fn step(&mut self, stage: &mut Stage<'_, 'c>) -> Result<Vec<usize>> {
        let mut failed = Vec::new();
        for done in stage.scheduler.step()? {
            let Some(attempt) = stage.attempts.remove(&done.job) else { continue };
            match &attempt.symmetry {
                None => failed.extend(self.first_done(stage, &attempt, done)?),
                Some(symmetry) => self.copy_done(stage, &attempt, symmetry.as_ref(), &done)?,
            }
        }
        Ok(failed)
    }

    fn first_done(&mut self, stage: &Stage<'_, 'c>, attempt: &Attempt, done: Finished) -> Result<Option<usize>> {
        let Some(open) = self.open.get_mut(&attempt.index) else { return Ok(None) };
        let (answer, verdict) = self.context.judge(&attempt.question.grid, &done.answer)?;
        let retry =
            self.context.tries > 0 && !matches!(verdict, Verdict::Verified { .. } | Verdict::Unverifiable { .. });
        open.first = Some(SolveReport {
            answer,
            verdict,
            steps: done.steps,
            total_steps: open.effort.steps.get(),
            attempts: open.effort.attempts.get(),
            symmetric: false,
            q_halt: done.q_halt,
            halted_by: done.reason,
            time: open.started.elapsed(),
            backend: stage.backend,
            provider: stage.provider,
            tokens: done.answer,
        });
        if retry {
            return Ok(Some(attempt.index));
        }
        self.report_first(attempt.index);
        Ok(None)
    }

    /// Maps a copy's answer back and verifies it on the puzzle itself; the first right one ends its siblings.
    fn copy_done(
        &mut self,
        stage: &mut Stage<'_, 'c>,
        attempt: &Attempt,
        symmetry: &dyn Symmetry,
        done: &Finished,
    ) -> Result<()> {
        let Some(open) = self.open.get_mut(&attempt.index) else { return Ok(()) };
        open.siblings.retain(|&id| id != done.job);
        let task = self.context.task;
        let answer = symmetry.invert(&task.decode(&attempt.question.grid, &done.answer)?)?;
        let verdict = task.verify(&open.question.grid, &answer);
        if !verdict.is_verified() {
            if open.siblings.is_empty() {
                self.report_first(attempt.index);
            }
            return Ok(());
        }
        for id in &open.siblings {
            stage.scheduler.cancel(*id);
            stage.attempts.remove(id);
        }
        let report = SolveReport {
            tokens: task.encode(&answer)?,
            answer,
            verdict,
            steps: done.steps,
            total_steps: open.effort.steps.get(),
            attempts: open.effort.attempts.get(),
            symmetric: true,
            q_halt: done.q_halt,
            halted_by: done.reason,
            time: open.started.elapsed(),
            backend: stage.backend,
            provider: stage.provider,
        };
        self.report(attempt.index, report);
        Ok(())
    }

    /// Reports the first attempt's answer: it is right, or nothing better was found.
    fn report_first(&mut self, index: usize) {
        let Some(open) = self.open.get_mut(&index) else { return };
        let Some(first) = open.first.take() else { return };
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
