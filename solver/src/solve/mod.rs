//! Solving: run a puzzle until its halting policy stops it, judge the answer by the task's rules, try again under
//! symmetries where it fails, and report what happened.
//!
//! ```
//! # use trm_engine::StepSession;
//! # use trm_solver::{Question, Result, SolveOptions, SolveReport, Solver};
//! # use trm_models::TrmConfig;
//! # fn load(_: usize) -> trm_engine::Result<Box<dyn StepSession>> { unreachable!() }
//! # fn solve_maze(config: TrmConfig) -> Result<SolveReport> {
//! use std::sync::Arc;
//! use trm_puzzles::{Maze, Task, formats};
//!
//! let puzzles = formats::parse("maze.txt", b"#####\n#S G#\n#####\n")?;
//! let task = Maze::new(3, 5)?;
//! let question = Question::new(&task, puzzles[0].grid.clone(), 0)?;
//! let mut solver = Solver::new(Arc::new(task) as Arc<dyn Task>, config, SolveOptions::default(), load);
//! let report = solver.solve(question)?;
//! println!("{} after {} steps on {}", report.verdict, report.steps, report.backend);
//! # Ok(report)
//! # }
//! ```

pub(crate) mod run;

use std::sync::Arc;
use std::time::Duration;

use trm_engine::StepSession;
use trm_engine::ort::ExecutionProvider;
use trm_models::TrmConfig;
use trm_puzzles::{ExactAnswer, Grid, Task, Verdict};

use self::run::{Context, Run};
use crate::{HaltPolicy, HaltReason, Result, SolverError};

/// Settings of a [`Solver`].
#[derive(Debug, Clone, PartialEq)]
pub struct SolveOptions {
    /// Policy by which an attempt stops. Where it asks for a verdict and nobody can verify the task, the model's own
    /// signal decides. Attempts under a symmetry stop at a verified answer as well, whatever the policy.
    pub halt: HaltPolicy,
    /// Most ACT steps of an attempt; the configuration's `halt_max_steps` if absent.
    pub max_steps: Option<usize>,
    /// Most rows of a session: puzzles and attempts that run together.
    pub batch: usize,
    /// Symmetric copies that are tried when the first answer is not verified; 0 for none. A model of candidates, which answers
    /// them as it answers the puzzle, is tried from other starts instead: rollouts with noise after the first step only.
    pub tries: usize,
    /// Noisy runs of the puzzle itself that are tried when the first answer is not verified, besides the copies; of a task
    /// that nobody can verify, with every puzzle. 0 for none.
    pub rollouts: usize,
    /// Standard deviation of the noise that rollouts add to the carry after each step. The network normalises the carry's
    /// vectors to a root mean square of 1.
    pub noise: f32,
    /// Seed of the symmetries and the noise. Which ones a puzzle gets depends on the seed and the puzzle only.
    pub seed: u64,
}

impl Default for SolveOptions {
    /// Stop when verified, 8 rows, 8 tries, no rollouts.
    fn default() -> Self {
        Self {
            halt: HaltPolicy::Verified,
            max_steps: None,
            batch: 8,
            tries: 8,
            rollouts: 0,
            noise: DEFAULT_NOISE,
            seed: 0,
        }
    }
}

/// The noise of rollouts unless another is asked for; docs/accuracy.md measures what it is worth.
pub const DEFAULT_NOISE: f32 = 1.2;

impl SolveOptions {
    /// Returns an error unless the noise is finite and at least zero.
    ///
    /// # Errors
    ///
    /// [`SolverError::Noise`] if the noise is negative, infinite or NaN.
    pub fn check(&self) -> Result<()> {
        if self.noise.is_finite() && self.noise >= 0.0 {
            return Ok(());
        }
        Err(SolverError::Noise { noise: self.noise })
    }
}

/// Kind of an attempt: the puzzle itself, a symmetric copy, or the puzzle with noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    /// The puzzle.
    First,
    /// A symmetric copy of it.
    Symmetric,
    /// The puzzle, with noise in the carry: a rollout of "Probabilistic Tiny Recursive Model" (arXiv 2605.19943).
    Rollout,
    /// No attempt: an exact search.
    Exact,
}

impl AttemptKind {
    /// `first`, `symmetric`, `rollout`, `exact`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Symmetric => "symmetric",
            Self::Rollout => "rollout",
            Self::Exact => "exact",
        }
    }
}

/// A puzzle as the network sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The puzzle.
    pub grid: Grid,
    /// Its tokens, `[seq]`.
    pub tokens: Vec<i32>,
    /// Row of the puzzle-embedding table; 0 for models with one row or none.
    pub puzzle_id: i32,
    /// The expected answer as tokens, `[seq]`, [`IGNORE_LABEL`](trm_puzzles::IGNORE_LABEL) where nothing is expected.
    /// Only evaluation looks at it.
    pub label: Option<Vec<i32>>,
}

impl Question {
    /// Makes the question of a puzzle, which is checked against its task's rules.
    ///
    /// # Errors
    ///
    /// [`SolverError::Puzzle`] if the grid has another size than the task, or the puzzle breaks its rules.
    pub fn new(task: &dyn Task, grid: Grid, puzzle_id: i32) -> Result<Self> {
        task.check(&grid)?;
        Ok(Self { tokens: task.encode(&grid)?, grid, puzzle_id, label: None })
    }

    /// Makes the question of a row of a data set: tokens `[seq]` and, if there is one, the label `[seq]`.
    ///
    /// # Errors
    ///
    /// [`SolverError::Puzzle`] if the number of tokens is not the task's.
    pub fn from_tokens(task: &dyn Task, tokens: Vec<i32>, puzzle_id: i32, label: Option<Vec<i32>>) -> Result<Self> {
        let grid = task.decode(&task.blank_grid(), &tokens)?;
        Ok(Self { grid, tokens, puzzle_id, label })
    }

    /// The same question with an expected answer `[seq]`.
    #[must_use]
    pub fn with_label(mut self, label: Vec<i32>) -> Self {
        self.label = Some(label);
        self
    }
}

/// The answer to a puzzle, its verdict, and the effort that it took.
#[derive(Debug, Clone, PartialEq)]
pub struct SolveReport {
    /// The answer: the first verified one, or that of the first attempt if none was.
    pub answer: Grid,
    /// The answer's tokens, `[seq]`.
    pub tokens: Vec<i32>,
    /// The verdict of the rules on it. For a maze, verified means a valid path; its length stands beside the verdict,
    /// and a path longer than the shortest is accepted.
    pub verdict: Verdict,
    /// ACT steps of the attempt that gave the answer.
    pub steps: usize,
    /// ACT steps of all attempts together.
    pub total_steps: usize,
    /// Attempts that were made, the first one included.
    pub attempts: usize,
    /// The attempt that gave the answer. What was found for a symmetric copy has been mapped back; it and a rollout's
    /// answer were verified on the puzzle itself. Of a task without rules it is the attempt with the highest halting signal.
    pub found_by: AttemptKind,
    /// The halting logit at the answer's last step.
    pub q_halt: f32,
    /// Reason why the attempt that gave the answer stopped.
    pub halted_by: HaltReason,
    /// From the start of the first attempt to the answer, loading not included.
    pub time: Duration,
    /// The engine that ran.
    pub backend: &'static str,
    /// The execution provider that ran.
    pub provider: ExecutionProvider,
    /// The network's logits `[seq, vocab]` at the answer's last step, where the session computes them and the answer was not
    /// found for a symmetric copy.
    pub logits: Option<Vec<f32>>,
}

impl SolveReport {
    /// The report on a puzzle that has no right answer, for which no network ran.
    #[must_use]
    pub fn unsolvable(puzzle: &Grid, reason: &str) -> Self {
        Self {
            answer: puzzle.clone(),
            tokens: Vec::new(),
            verdict: Verdict::Unsolvable { reason: reason.to_owned() },
            steps: 0,
            total_steps: 0,
            attempts: 0,
            found_by: AttemptKind::Exact,
            q_halt: 0.0,
            halted_by: HaltReason::Exact,
            time: Duration::ZERO,
            backend: "none",
            provider: ExecutionProvider::Cpu,
            logits: None,
        }
    }

    /// The same with the answer of an exact search, where the network's is not right and there is one. What the network is
    /// surest of is tried first, if the report has its logits.
    #[must_use]
    pub fn or_exact(self, task: &dyn Task, puzzle: &Grid) -> Self {
        if self.verdict.is_verified() {
            return self;
        }
        let scores = self.logits.as_deref().unwrap_or_default();
        let Some(ExactAnswer { answer, .. }) = task.exact_answer_guided(puzzle, scores) else { return self };
        let verdict = task.verify(puzzle, &answer);
        let tokens = task.encode(&answer).unwrap_or_default();
        Self { answer, tokens, verdict, found_by: AttemptKind::Exact, halted_by: HaltReason::Exact, ..self }
    }
}

/// One step of one attempt.
#[derive(Debug, Clone, Copy)]
pub struct StepView<'a> {
    /// Position of the puzzle in the input, from 0.
    pub index: usize,
    /// The puzzle as this attempt sees it.
    pub question: &'a Question,
    /// Kind of the attempt.
    pub attempt: AttemptKind,
    /// Steps of this attempt so far.
    pub steps: usize,
    /// Argmax over the vocabulary, `[seq]`.
    pub answer: &'a [i32],
    /// Logit of "this answer is correct".
    pub q_halt: f32,
    /// Logit of "go on".
    pub q_continue: f32,
}

/// Sees what happens while a [`Solver`] runs.
pub trait Observer {
    /// A row has made a step.
    fn step(&mut self, step: &StepView<'_>) {
        let _ = step;
    }

    /// The first answer failed, or cannot be judged; `more` attempts will be made.
    fn retry(&mut self, index: usize, first: &Verdict, more: usize) {
        let _ = (index, first, more);
    }

    /// A puzzle is done. They come in the order in which they finish, not that of the input.
    fn done(&mut self, index: usize, question: &Question, report: SolveReport);

    /// Asked between steps: true ends the run at once and drops what is unfinished.
    fn stop(&mut self) -> bool {
        false
    }
}

/// Loads a step session for a number of rows.
type LoadSession<'a> = Box<dyn FnMut(usize) -> trm_engine::Result<Box<dyn StepSession>> + 'a>;

/// Solves puzzles of one task with one model. Sessions are loaded when they are first needed, and kept.
pub struct Solver<'a> {
    task: Arc<dyn Task>,
    config: TrmConfig,
    options: SolveOptions,
    load: LoadSession<'a>,
    sessions: Vec<Box<dyn StepSession>>,
}

impl<'a> Solver<'a> {
    /// A solver for a task; `load` loads the model's step session for a number of rows.
    pub fn new(
        task: impl Into<Arc<dyn Task>>,
        config: TrmConfig,
        options: SolveOptions,
        load: impl FnMut(usize) -> trm_engine::Result<Box<dyn StepSession>> + 'a,
    ) -> Self {
        Self { task: task.into(), config, options, load: Box::new(load), sessions: Vec::new() }
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// The model's configuration.
    #[must_use]
    pub fn config(&self) -> &TrmConfig {
        &self.config
    }

    /// The options that it was made with.
    #[must_use]
    pub fn options(&self) -> &SolveOptions {
        &self.options
    }

    /// Most ACT steps of an attempt.
    #[must_use]
    pub fn max_steps(&self) -> usize {
        self.options.max_steps.unwrap_or(self.config.halt_max_steps)
    }

    /// Solves one puzzle.
    ///
    /// # Errors
    ///
    /// Those of [`Solver::run`].
    #[expect(clippy::missing_panics_doc, reason = "every puzzle is reported unless an observer stops the run")]
    pub fn solve(&mut self, question: Question) -> Result<SolveReport> {
        struct Only(Option<SolveReport>);
        impl Observer for Only {
            fn done(&mut self, _: usize, _: &Question, report: SolveReport) {
                self.0 = Some(report);
            }
        }
        let mut only = Only(None);
        self.run(std::iter::once(Ok(question)), &mut only)?;
        Ok(only.0.expect("the puzzle was reported"))
    }

    /// Solves a stream of puzzles. Rows whose puzzle is done take the next one at once; questions are drawn from the
    /// stream as rows become free.
    ///
    /// Fewer puzzles than the batch has rows run in a session of their own size, and only their retries, if there are
    /// any, in a larger one.
    ///
    /// # Errors
    ///
    /// [`SolverError::Noise`] for noise that is no standard deviation; [`SolverError::Engine`] if a session cannot be
    /// loaded or fails; [`SolverError::Puzzle`] if a symmetric copy cannot be made; any error that a question is.
    pub fn run(
        &mut self,
        questions: impl IntoIterator<Item = Result<Question>>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        self.options.check()?;
        let batch = self.options.batch.max(1);
        let mut questions = questions.into_iter();
        let head: Vec<Question> = questions.by_ref().take(batch).collect::<Result<_>>()?;
        if head.is_empty() {
            return Ok(());
        }
        let rows = head.len();
        let session = session_of(&mut self.sessions, &mut self.load, rows)?;
        let context = Context::new(self.task.as_ref(), &self.config, &self.options, observer);
        let mut run = Run::new(&context);
        let failed =
            run.solve(self.sessions[session].as_mut(), head.into_iter().map(Ok).chain(questions), rows < batch)?;
        if failed.is_empty() || run.stopped() {
            return Ok(());
        }
        let rows = (failed.len() * (self.options.tries + self.options.rollouts)).min(batch);
        let session = session_of(&mut self.sessions, &mut self.load, rows)?;
        run.retry(self.sessions[session].as_mut(), &failed)
    }
}

/// Solves a stream of puzzles in one session that is loaded already, retries included. For callers that keep sessions of
/// their own, one for each thread.
///
/// # Errors
///
/// As [`Solver::run`], but for loading.
pub fn solve_in(
    session: &mut dyn StepSession,
    task: &dyn Task,
    options: &SolveOptions,
    questions: impl IntoIterator<Item = Result<Question>>,
    observer: &mut dyn Observer,
) -> Result<()> {
    options.check()?;
    let config = session.config().clone();
    let context = Context::new(task, &config, options, observer);
    Run::new(&context).solve(session, questions.into_iter(), false)?;
    Ok(())
}

/// Returns the position of the session with `rows` rows, and loads it if there is none.
fn session_of(sessions: &mut Vec<Box<dyn StepSession>>, load: &mut LoadSession<'_>, rows: usize) -> Result<usize> {
    if let Some(position) = sessions.iter().position(|session| session.batch() == rows) {
        return Ok(position);
    }
    sessions.push(load(rows)?);
    Ok(sessions.len() - 1)
}
