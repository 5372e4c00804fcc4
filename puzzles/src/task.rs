//! The interface of all puzzle tasks: a vocabulary, tokens to and from grids, rules, symmetries.

use std::fmt::{self, Debug};

use rand::Rng;

use crate::{Cell, Grid, PuzzleError, Result};

/// Token of padding, in every task.
pub const PAD: i32 = 0;

/// Label of a cell that a loss ignores (the public code's `IGNORE_LABEL_ID`).
pub const IGNORE_LABEL: i32 = -100;

/// A kind of puzzle of one size: how it becomes tokens, what makes an answer right, what leaves it the same.
///
/// The sequence of a grid is its `height * width` cells, row by row.
pub trait Task: Debug + Send + Sync {
    /// `sudoku`, `maze`, `arc` or `tokens`.
    fn name(&self) -> &'static str;

    /// Rows of the token sequence.
    fn height(&self) -> usize;

    /// Columns of the token sequence.
    fn width(&self) -> usize;

    /// The symbol of every token; token 0 is `PAD`.
    fn vocabulary(&self) -> Vec<String>;

    /// Returns the grid as tokens `[height * width]`.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Size`] for another size ([`PuzzleError::Task`] for an ARC grid above the canvas);
    /// [`PuzzleError::CellValue`] for a value without a token ([`PuzzleError::Task`] in a sequence).
    fn encode(&self, grid: &Grid) -> Result<Vec<i32>>;

    /// Reads tokens `[height * width]` as the answer to `puzzle`.
    ///
    /// A token outside the vocabulary, or padding, becomes [`UNKNOWN`](crate::UNKNOWN). A label that is ignored
    /// ([`IGNORE_LABEL`]) leaves the puzzle's own cell.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::TokenCount`] for another number of tokens, and nothing else.
    fn decode(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid>;

    /// Checks a puzzle: its size, its values, and that no rule is broken by what is given.
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode), or [`PuzzleError::Invalid`] with the rule that is broken.
    fn check(&self, puzzle: &Grid) -> Result<()>;

    /// Judges an answer to `puzzle` by the task's rules.
    fn verify(&self, puzzle: &Grid, answer: &Grid) -> Verdict;

    /// True if the task has rules that an answer can be verified by. Without them [`verify`](Self::verify) says at best
    /// [`Verdict::Unverifiable`].
    fn has_rules(&self) -> bool {
        true
    }

    /// The answer that a network's tokens `[height * width]` mean: decoded, and what the puzzle gives kept as it is.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    fn answer(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        self.decode(puzzle, tokens)
    }

    /// The number of right answers, found by an exact search that takes a small part of the time of a network's step.
    fn count_answers(&self, puzzle: &Grid) -> AnswerCount {
        let _ = puzzle;
        AnswerCount::Unknown
    }

    /// A right answer, of several always the same, found by an exact search; `None` where there is none, or the search gave up.
    fn exact_answer(&self, puzzle: &Grid) -> Option<Grid> {
        let _ = puzzle;
        None
    }

    /// As [`exact_answer`](Self::exact_answer), trying first what a network thinks likely.
    ///
    /// `scores` are one for every token at every cell, `[height * width, vocab_size]`: logits, or any numbers that are higher
    /// for likelier tokens. NaN is the lowest. Scores of another number guide nothing, nor do any in a task whose search does
    /// not guess. Every answer is right whatever the scores are; of several right ones they decide which is found.
    fn exact_answer_guided(&self, puzzle: &Grid, scores: &[f32]) -> Option<ExactAnswer> {
        let _ = scores;
        self.exact_answer(puzzle).map(|answer| ExactAnswer { answer, nodes: 0 })
    }

    /// True if a verified answer may still be longer than the shortest, as a way through a maze may.
    fn judges_length(&self) -> bool {
        false
    }

    /// True if an answer that leaves cells open can break a rule already. Half a path through a maze breaks none.
    fn judges_parts(&self) -> bool {
        true
    }

    /// A grid of blank cells, onto which tokens are decoded.
    fn blank_grid(&self) -> Grid {
        Grid::filled(self.height(), self.width(), crate::UNKNOWN)
    }

    /// The token that stands where a grid does not fill the sequence; `None` where every token means something.
    fn padding(&self) -> Option<i32> {
        Some(PAD)
    }

    /// A random symmetry of the task: it maps puzzles to puzzles and right answers to right answers.
    fn symmetry(&self, rng: &mut dyn Rng) -> Box<dyn Symmetry>;

    /// Length of the token sequence.
    fn seq_len(&self) -> usize {
        self.height() * self.width()
    }

    /// Number of tokens.
    fn vocab_size(&self) -> usize {
        self.vocabulary().len()
    }
}

/// An invertible change of a grid that keeps the rules: `invert(apply(g)) == g`, and an answer to `apply(puzzle)`
/// becomes one to `puzzle` by `invert`.
pub trait Symmetry: Debug + Send + Sync {
    /// Applies the symmetry to a grid.
    ///
    /// # Errors
    ///
    /// [`PuzzleError::Size`] for a grid of a size that the symmetry is not for.
    fn apply(&self, grid: &Grid) -> Result<Grid>;

    /// Undoes [`apply`](Self::apply).
    ///
    /// # Errors
    ///
    /// Those of [`apply`](Self::apply).
    fn invert(&self, grid: &Grid) -> Result<Grid>;
}

/// The judgement of the rules on an answer. Never a bool alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The answer keeps every rule.
    Verified {
        /// For a maze: the lengths of its path and of a shortest one.
        path: Option<PathLength>,
    },
    /// This task has no rules that can be checked from the puzzle.
    Unverifiable {
        /// The reason.
        reason: String,
    },
    /// The answer breaks a rule.
    Wrong(Violation),
    /// The answer breaks no rule but is not complete.
    Unsolved {
        /// The missing part.
        reason: String,
        /// Where, if at one cell.
        cell: Option<Cell>,
    },
    /// No answer is right: an exact search says so.
    Unsolvable {
        /// The reason.
        reason: String,
    },
}

/// The number of right answers to a puzzle, as far as an exact search within a budget can tell. Of a maze, the shortest ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum AnswerCount {
    /// None is right.
    None,
    /// One is.
    One,
    /// At least two are.
    Several,
    /// The search gave up, or there are no rules.
    Unknown,
}

/// The answer of an exact search, and the search's size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactAnswer {
    /// A right answer.
    pub answer: Grid,
    /// Guesses made, right and wrong; 0 in a task whose search does not guess.
    pub nodes: u64,
}

impl AnswerCount {
    /// `0`, `1` or `2+`; nothing where it is not known.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => Some("0"),
            Self::One => Some("1"),
            Self::Several => Some("2+"),
            Self::Unknown => None,
        }
    }
}

impl Verdict {
    /// True if the answer is right by the rules.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Verified { .. })
    }

    /// `verified`, `unverifiable`, `wrong`, `unsolved` or `unsolvable`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::Unverifiable { .. } => "unverifiable",
            Self::Wrong(_) => "wrong",
            Self::Unsolved { .. } => "unsolved",
            Self::Unsolvable { .. } => "unsolvable",
        }
    }

    /// For a verified maze: the length of its path.
    #[must_use]
    pub fn path(&self) -> Option<PathLength> {
        match self {
            Self::Verified { path } => *path,
            _ => None,
        }
    }

    pub(crate) fn unsolved(reason: impl Into<String>, cell: Option<Cell>) -> Self {
        Self::Unsolved { reason: reason.into(), cell }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified { path: None } => write!(f, "verified"),
            Self::Verified { path: Some(path) } => write!(f, "verified: {path}"),
            Self::Unverifiable { reason } => write!(f, "unverifiable: {reason}"),
            Self::Wrong(violation) => write!(f, "wrong: {violation}"),
            Self::Unsolved { reason, .. } => write!(f, "unsolved: {reason}"),
            Self::Unsolvable { reason } => write!(f, "unsolvable: {reason}"),
        }
    }
}

/// Length of a valid path, in moves from S to G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLength {
    /// Moves of the answer's path.
    pub length: usize,
    /// Moves of a shortest path.
    pub shortest: usize,
}

impl PathLength {
    /// True if no path is shorter.
    #[must_use]
    pub fn optimal(&self) -> bool {
        self.length == self.shortest
    }

    /// Moves more than needed.
    #[must_use]
    pub fn excess(&self) -> usize {
        self.length.saturating_sub(self.shortest)
    }
}

impl fmt::Display for PathLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.optimal() {
            write!(f, "path of {} moves, a shortest one", self.length)
        } else {
            write!(f, "path of {} moves, {} more than the shortest", self.length, self.excess())
        }
    }
}

/// The rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The grid has the task's size.
    Size,
    /// Every cell holds a value of the task.
    Value,
    /// Sudoku: a given keeps its digit.
    Given,
    /// Sudoku: no digit twice in a row.
    Row,
    /// Sudoku: no digit twice in a column.
    Column,
    /// Sudoku: no digit twice in a box.
    Box,
    /// Maze: exactly one start and one goal.
    Endpoints,
    /// Maze: walls, start and goal stay where they are.
    Layout,
    /// Maze: the path crosses no wall.
    Wall,
    /// Maze: the path leads from S to G.
    Connection,
    /// Maze: the path does not branch or touch itself.
    Branch,
    /// Maze: no marked cell beside the path.
    Stray,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "size",
            Self::Value => "value",
            Self::Given => "given",
            Self::Row => "row",
            Self::Column => "column",
            Self::Box => "box",
            Self::Endpoints => "endpoints",
            Self::Layout => "layout",
            Self::Wall => "wall",
            Self::Connection => "connection",
            Self::Branch => "branch",
            Self::Stray => "stray",
        })
    }
}

/// A broken rule: which, at which cells, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The cells that break it; empty for [`Rule::Size`].
    pub cells: Vec<Cell>,
    /// For people: names rule and cells.
    pub message: String,
}

impl Violation {
    pub(crate) fn new(rule: Rule, cells: impl IntoIterator<Item = Cell>, message: impl Into<String>) -> Self {
        Self { rule, cells: cells.into_iter().collect(), message: message.into() }
    }

    /// An answer of another size than its puzzle.
    pub(crate) fn size(expected: (usize, usize), found: (usize, usize)) -> Self {
        Self::new(
            Rule::Size,
            [],
            format!("the answer is {}x{}, the puzzle {}x{}", found.0, found.1, expected.0, expected.1),
        )
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Refuses a grid that has not the task's size.
pub(crate) fn require_size(task: &dyn Task, what: &'static str, grid: &Grid) -> Result<()> {
    let expected = (task.height(), task.width());
    if grid.size() == expected {
        Ok(())
    } else {
        Err(PuzzleError::Size { what, task: task.name().to_owned(), expected, found: grid.size() })
    }
}

/// Refuses tokens that are not as many as the task's cells.
pub(crate) fn require_tokens(task: &dyn Task, tokens: &[i32]) -> Result<()> {
    if tokens.len() == task.seq_len() {
        Ok(())
    } else {
        Err(PuzzleError::TokenCount { task: task.name().to_owned(), expected: task.seq_len(), found: tokens.len() })
    }
}
