//! Models with the puzzles they are for: a bundle, and the task whose rules judge its answers.

use std::path::Path;

use trm_intake::Printable;
use trm_models::{Board, ModelBundle, SHIPPED, TaskKind, TaskSpec, TrmConfig};
use trm_puzzles::{Arc, Maze, Puzzle, PuzzleKind, Sudoku, Task, Tokens};

use crate::{Result, SolverError};

/// A bundle together with its task.
#[derive(Debug, Clone)]
pub struct Model {
    bundle: ModelBundle,
    kind: PuzzleKind,
    /// The bundle's name as it may be shown.
    name: String,
}

impl Model {
    /// Opens a bundle by its folder, or a shipped model by its name. A name with a path separator, or of a folder
    /// that exists, is a folder's.
    ///
    /// # Errors
    ///
    /// [`SolverError::UnknownModel`] for a name that no shipped model has; [`SolverError::Model`] if the bundle
    /// cannot be opened; [`SolverError::ModelTask`] as in [`Model::new`].
    pub fn open(name: &str) -> Result<Self> {
        let path = Path::new(name);
        let is_name = path.components().count() == 1 && !path.exists();
        match SHIPPED.iter().find(|shipped| shipped.name == name) {
            Some(shipped) if is_name => Self::new(shipped.open()?),
            None if is_name => Err(SolverError::UnknownModel { name: name.to_owned(), shipped: shipped_list() }),
            _ => Self::new(ModelBundle::open(path)?),
        }
    }

    /// Opens the shipped model for a puzzle's task and size.
    ///
    /// # Errors
    ///
    /// [`SolverError::NoFittingModel`] if no shipped model solves it.
    pub fn for_puzzle(puzzle: &Puzzle) -> Result<Self> {
        Self::for_kind(puzzle.kind, &puzzle.source)
    }

    /// Opens the shipped model for a task and size; errors name the puzzle `origin`.
    ///
    /// # Errors
    ///
    /// [`SolverError::NoFittingModel`] if no shipped model solves it.
    pub fn for_kind(kind: PuzzleKind, origin: &str) -> Result<Self> {
        for shipped in SHIPPED {
            let bundle = shipped.open()?;
            if puzzle_kind(&bundle.manifest().task) == Ok(kind) {
                return Self::new(bundle);
            }
        }
        Err(SolverError::NoFittingModel {
            origin: origin.to_owned(),
            puzzle: describe(&kind),
            needs: "which no shipped model solves".to_owned(),
            shipped: shipped_list(),
        })
    }

    /// Joins a bundle with its task, which is checked against the configuration.
    ///
    /// # Errors
    ///
    /// [`SolverError::ModelTask`] if the task does not exist, or its size or vocabulary is not the configuration's.
    pub fn new(bundle: ModelBundle) -> Result<Self> {
        let manifest = bundle.manifest();
        let mismatch = |reason: String| SolverError::ModelTask { model: Printable(&manifest.name).to_string(), reason };
        let kind = puzzle_kind(&manifest.task).map_err(mismatch)?;
        let (task, config) = (kind.task(), &manifest.config);
        if task.seq_len() != config.seq_len || task.vocab_size() != config.vocab_size {
            return Err(mismatch(format!(
                "{} has {} cells and {} tokens, the configuration has seq_len {} and vocab_size {}",
                describe(&kind),
                task.seq_len(),
                task.vocab_size(),
                config.seq_len,
                config.vocab_size
            )));
        }
        if task.vocabulary() != manifest.task.vocabulary {
            return Err(mismatch(format!(
                "its vocabulary is {}, {} has {}",
                Printable(&format!("{:?}", manifest.task.vocabulary)),
                describe(&kind),
                Printable(&format!("{:?}", task.vocabulary()))
            )));
        }
        let name = Printable(&manifest.name).to_string();
        Ok(Self { bundle, kind, name })
    }

    /// Graphs, configuration, self-test.
    #[must_use]
    pub fn bundle(&self) -> &ModelBundle {
        &self.bundle
    }

    /// The bundle's name, without anything that a terminal would obey.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network's configuration.
    #[must_use]
    pub fn config(&self) -> &TrmConfig {
        &self.bundle.manifest().config
    }

    /// Task and size.
    #[must_use]
    pub fn kind(&self) -> PuzzleKind {
        self.kind
    }

    /// The task, to encode and verify with.
    #[must_use]
    pub fn task(&self) -> Box<dyn Task> {
        self.kind.task()
    }

    /// Checks that a puzzle has the model's task and size.
    ///
    /// # Errors
    ///
    /// [`SolverError::NoFittingModel`] for another task or size.
    pub fn check_fit(&self, puzzle: &Puzzle) -> Result<()> {
        if self.kind == puzzle.kind {
            return Ok(());
        }
        Err(SolverError::NoFittingModel {
            origin: puzzle.source.clone(),
            puzzle: describe(&puzzle.kind),
            needs: format!("the model {} solves a {}", self.name(), describe(&self.kind)),
            shipped: shipped_list(),
        })
    }
}

/// Reads the task that a bundle names; the error says in words what is wrong with it.
fn puzzle_kind(spec: &TaskSpec) -> Result<PuzzleKind, String> {
    let kind = match spec.kind {
        TaskKind::Sudoku => {
            let task = match (spec.box_height, spec.box_width) {
                (Some(height), Some(width)) => Sudoku::new(height, width).map_err(|error| error.to_string())?,
                _ => Sudoku::with_side(spec.height).ok_or_else(|| format!("no sudoku has {} rows", spec.height))?,
            };
            PuzzleKind::Sudoku(task)
        }
        TaskKind::Maze => PuzzleKind::Maze(Maze::new(spec.height, spec.width).map_err(|error| error.to_string())?),
        TaskKind::Arc => PuzzleKind::Arc(Arc),
        TaskKind::Tokens => {
            PuzzleKind::Tokens(Tokens::new(spec.width, spec.vocabulary.len()).map_err(|error| error.to_string())?)
        }
    };
    let task = kind.task();
    if (task.height(), task.width()) == (spec.height, spec.width) {
        Ok(kind)
    } else {
        Err(format!("the task is {}x{}, {} is not", spec.height, spec.width, describe(&kind)))
    }
}

/// The cells of a task as symmetric mixers see them; `None` for a sequence, which has none.
#[must_use]
pub fn board(kind: &PuzzleKind) -> Option<Board> {
    match kind {
        PuzzleKind::Sudoku(sudoku) => Some(Board::sudoku(sudoku.box_height(), sudoku.box_width())),
        PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => {
            let task = kind.task();
            Some(Board::grid(task.height(), task.width()))
        }
        PuzzleKind::Tokens(_) => None,
    }
}

/// Task and size: `maze of 9x9`, `sudoku of 6x6 with boxes of 2x3`.
#[must_use]
pub fn describe(kind: &PuzzleKind) -> String {
    let task = kind.task();
    let size = |grid: (usize, usize)| format!("{} of {}x{}", task.name(), grid.0, grid.1);
    match kind {
        PuzzleKind::Sudoku(sudoku) if sudoku.box_height() != sudoku.box_width() => format!(
            "{} with boxes of {}x{}",
            size((task.height(), task.width())),
            sudoku.box_height(),
            sudoku.box_width()
        ),
        PuzzleKind::Arc(_) => "arc grid".to_owned(),
        PuzzleKind::Tokens(tokens) => format!("sequence of {} tokens out of {}", tokens.seq_len(), tokens.vocab_size()),
        PuzzleKind::Sudoku(_) | PuzzleKind::Maze(_) => size((task.height(), task.width())),
    }
}

/// The shipped models with what they solve, for hints.
#[must_use]
pub fn shipped_list() -> String {
    let models: Vec<String> = SHIPPED
        .iter()
        .map(|shipped| match shipped.open().map(|bundle| puzzle_kind(&bundle.manifest().task)) {
            Ok(Ok(kind)) => format!("{} ({})", shipped.name, describe(&kind)),
            _ => shipped.name.to_owned(),
        })
        .collect();
    if models.is_empty() { "none".to_owned() } else { models.join(", ") }
}
