//! Models with the puzzles they are for: a bundle, and the task whose rules judge its answers.

use std::path::Path;

use trm_export::checkpoint::StateDict;
use trm_export::resized_bundle;
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
    /// Opens a bundle by its folder, or a shipped model by its name, also a former one. A name with a path separator, or of
    /// a folder that exists, is a folder's.
    ///
    /// # Errors
    ///
    /// [`SolverError::UnknownModel`] for a name that no shipped model has; [`SolverError::Model`] if the bundle
    /// cannot be opened; [`SolverError::ModelTask`] as in [`Model::new`].
    pub fn open(name: &str) -> Result<Self> {
        let path = Path::new(name);
        if path.components().count() != 1 || path.exists() {
            return Self::new(ModelBundle::open(path)?);
        }
        if let Some(shipped) = SHIPPED.iter().find(|shipped| shipped.name == name) {
            return Self::new(shipped.open()?);
        }
        let Some(&(_, now, side)) = FORMER.iter().find(|(former, ..)| *former == name) else {
            let (name, closest) = (name.to_owned(), closest(name));
            return Err(SolverError::UnknownModel { name, closest, shipped: shipped_list() });
        };
        let model = Self::open(now)?;
        let kind = model.kind_of_size(side, side).unwrap_or(model.kind());
        model.for_size(kind, name)
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
            let model = Self::new(shipped.open()?)?;
            if model.takes(kind) {
                return model.for_size(kind, origin);
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

    /// The model's task with other sides, a sudoku with the usual boxes; `None` where there is none.
    #[must_use]
    pub fn kind_of_size(&self, height: usize, width: usize) -> Option<PuzzleKind> {
        match self.kind {
            PuzzleKind::Sudoku(_) => Sudoku::with_side(height).filter(|_| height == width).map(PuzzleKind::Sudoku),
            PuzzleKind::Maze(_) => Maze::new(height, width).ok().map(PuzzleKind::Maze),
            PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => None,
        }
    }

    /// Task and size, of a model that has one size; `None` if no weight of it belongs to a position.
    #[must_use]
    pub fn only_kind(&self) -> Option<PuzzleKind> {
        (!self.config().mixer.has_board()).then_some(self.kind)
    }

    /// True if the model solves puzzles of this task and size.
    #[must_use]
    pub fn takes(&self, kind: PuzzleKind) -> bool {
        if self.kind == kind || self.only_kind().is_some() {
            return self.kind == kind;
        }
        let is_same_task = matches!(
            (self.kind, kind),
            (PuzzleKind::Sudoku(_), PuzzleKind::Sudoku(_)) | (PuzzleKind::Maze(_), PuzzleKind::Maze(_))
        );
        is_same_task && config_of(self.config(), &kind).total_len() <= MOST_POSITIONS
    }

    /// The model for puzzles of a task and size: itself, or the same weights at that size, whose graph is built here. Errors
    /// name the puzzle `origin`.
    ///
    /// # Errors
    ///
    /// [`SolverError::NoFittingModel`] for a task or size that it does not solve; [`SolverError::Export`] if its bundle has no
    /// weights to build a graph of.
    pub fn for_size(&self, kind: PuzzleKind, origin: &str) -> Result<Self> {
        if self.kind == kind {
            return Ok(self.clone());
        }
        if !self.takes(kind) {
            let solves = match self.only_kind() {
                Some(own) => format!("a {}", describe(&own)),
                None => format!("{} of any size up to {MOST_POSITIONS} positions", self.task().name()),
            };
            return Err(SolverError::NoFittingModel {
                origin: origin.to_owned(),
                puzzle: describe(&kind),
                needs: format!("the model {} solves {solves}", self.name()),
                shipped: shipped_list(),
            });
        }
        let weights = StateDict::of_bundle(&self.bundle)?;
        let bundle = resized_bundle(&self.bundle, &weights, spec(&kind), &config_of(self.config(), &kind))?;
        Self::new(bundle)
    }
}

/// The model whose name is nearly this one.
fn closest(name: &str) -> Option<&'static str> {
    /// Of names that are alike, as command lines suggest them.
    const ALIKE: f64 = 0.7;
    let names = SHIPPED.iter().map(|shipped| shipped.name).chain(FORMER.map(|(former, ..)| former));
    let alike = names.map(|known| (known, strsim::jaro_winkler(name, known))).filter(|&(_, alike)| alike > ALIKE);
    alike.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(known, _)| known)
}

/// Models that were shipped once, with the one that solves their puzzles now and the side of these.
const FORMER: [(&str, &str, usize); 2] = [("sudoku-6", "sudoku", 6), ("sudoku-9", "sudoku", 9)];

/// Most positions of a model of any size: a maze of 256x256, or candidates of a sudoku of 40x40. A state of them is some
/// megabytes.
const MOST_POSITIONS: usize = 1 << 16;

/// Cells of a maze whose way a configuration's steps are enough for. The longest way grows with the cells.
const CELLS_OF_STEPS: usize = 32 * 32;

/// A model's configuration for a task of another size: for large mazes with as many more steps.
fn config_of(config: &TrmConfig, kind: &PuzzleKind) -> TrmConfig {
    let task = kind.task();
    let times = match kind {
        PuzzleKind::Maze(_) => task.seq_len().div_ceil(CELLS_OF_STEPS),
        PuzzleKind::Sudoku(_) | PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => 1,
    };
    TrmConfig {
        seq_len: task.seq_len(),
        vocab_size: task.vocab_size(),
        board: board(kind),
        halt_max_steps: config.halt_max_steps.saturating_mul(times),
        ..config.clone()
    }
}

/// A task as a manifest describes it.
#[must_use]
pub fn spec(kind: &PuzzleKind) -> TaskSpec {
    let task = kind.task();
    let (name, boxes) = match kind {
        PuzzleKind::Sudoku(sudoku) => (TaskKind::Sudoku, Some((sudoku.box_height(), sudoku.box_width()))),
        PuzzleKind::Maze(_) => (TaskKind::Maze, None),
        PuzzleKind::Arc(_) => (TaskKind::Arc, None),
        PuzzleKind::Tokens(_) => (TaskKind::Tokens, None),
    };
    let (box_height, box_width) = boxes.unzip();
    TaskSpec {
        kind: name,
        height: task.height(),
        width: task.width(),
        box_height,
        box_width,
        vocabulary: task.vocabulary(),
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
        PuzzleKind::Arc(_) => "grid of ARC".to_owned(),
        PuzzleKind::Tokens(tokens) => format!("sequence of {} tokens out of {}", tokens.seq_len(), tokens.vocab_size()),
        PuzzleKind::Sudoku(_) | PuzzleKind::Maze(_) => size((task.height(), task.width())),
    }
}

/// The shipped models with what they solve, for hints.
#[must_use]
pub fn shipped_list() -> String {
    let solves = |model: Model| match model.only_kind() {
        Some(kind) => describe(&kind),
        None => format!("{} of any size", model.task().name()),
    };
    let models: Vec<String> = SHIPPED
        .iter()
        .map(|shipped| match shipped.open().map_err(Into::into).and_then(Model::new) {
            Ok(model) => format!("{} ({})", shipped.name, solves(model)),
            Err(_) => shipped.name.to_owned(),
        })
        .collect();
    if models.is_empty() { "none".to_owned() } else { models.join(", ") }
}
