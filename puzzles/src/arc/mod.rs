//! ARC: grids on the public data sets' 30x30 canvas, tasks, their augmented copies, and votes among answers.

mod augmentation;
mod votes;

use rand::Rng;

use crate::task::require_tokens;
use crate::{Cell, Example, Grid, IGNORE_LABEL, PAD, PuzzleError, Result, Symmetry, Task, UNKNOWN, Verdict, Violation};

pub use self::augmentation::{Augmentation, SEPARATOR};
pub use self::votes::{Attempts, PASS_AT, Predictions, Score, Submission, Vote, Votes};

/// Height and width of the canvas.
pub(crate) const CANVAS: usize = 30;
/// Token of the markers to the right of and below a grid.
const END: i32 = 1;
/// Token of colour 0.
const FIRST_COLOUR: i32 = 2;
/// Number of colours.
const COLOURS: u8 = 10;

/// The ARC task: a grid of up to 30x30 cells in colours 0 to 9. Tokens: `PAD` 0, `EOS` 1, colours 2 to 11.
///
/// A grid sits in the top-left corner of the canvas, a column of `EOS` to its right and a row of `EOS` below
/// (without the corner), as `np_grid_to_seq_translational_augment` of the public `build_arc_dataset.py` writes it.
/// Which rule an answer must follow is known from examples only, so no answer can be verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arc;

/// A task: examples, and inputs whose outputs are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArcTask {
    /// Its id; empty for a file that holds one task.
    pub id: String,
    /// Input and output pairs.
    pub train: Vec<Example>,
    /// Inputs, with the output where it is known.
    pub test: Vec<(Grid, Option<Grid>)>,
}

/// Tokens `[900]` of a grid whose top-left cell lies at `corner` of the canvas; what does not fit is cut off.
pub(crate) fn place(grid: &Grid, corner: Cell) -> Vec<i32> {
    let (height, width) = grid.size();
    let mut tokens = vec![PAD; CANVAS * CANVAS];
    for (row, canvas_row) in tokens.chunks_exact_mut(CANVAS).skip(corner.row).enumerate() {
        for (column, token) in canvas_row.iter_mut().skip(corner.column).enumerate() {
            *token = match grid.get(Cell::new(row, column)) {
                Some(colour) => i32::from(colour) + FIRST_COLOUR,
                None if row == height && column < width => END,
                None if column == width && row < height => END,
                None => PAD,
            };
        }
    }
    tokens
}

/// The grid that tokens `[900]` mean: the largest rectangle of colours that starts in the top-left corner, as the public
/// evaluator (`_crop` of `evaluators/arc.py`) finds it. Of several as large, the flattest. Empty where that corner has no
/// colour.
///
/// # Errors
/// [`PuzzleError::TokenCount`] for another number of tokens.
pub fn crop(tokens: &[i32]) -> Result<Grid> {
    Arc.decode(&Grid::filled(0, 0, UNKNOWN), tokens)
}

impl Task for Arc {
    fn name(&self) -> &'static str {
        "arc"
    }

    fn height(&self) -> usize {
        CANVAS
    }

    fn width(&self) -> usize {
        CANVAS
    }

    fn vocabulary(&self) -> Vec<String> {
        ["PAD".to_owned(), "EOS".to_owned()].into_iter().chain((0..COLOURS).map(|colour| colour.to_string())).collect()
    }

    fn encode(&self, grid: &Grid) -> Result<Vec<i32>> {
        self.check(grid)?;
        Ok(place(grid, Cell::new(0, 0)))
    }

    /// The largest rectangle of colours that starts in the top-left corner, as the public evaluator crops it.
    fn decode(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        require_tokens(self, tokens)?;
        let mut canvas = Grid::filled(CANVAS, CANVAS, UNKNOWN);
        for (index, (cell, &token)) in canvas.cells_mut().iter_mut().zip(tokens).enumerate() {
            *cell = match u8::try_from(token.saturating_sub(FIRST_COLOUR)) {
                _ if token == IGNORE_LABEL => puzzle.get(Cell::from_index(index, CANVAS)).unwrap_or(UNKNOWN),
                Ok(colour) if colour < COLOURS => colour,
                _ => UNKNOWN,
            };
        }
        let mut width = CANVAS;
        let mut best = (0, 0);
        for (row, cells) in canvas.rows().enumerate() {
            let run = cells.iter().take_while(|&&cell| cell < COLOURS).count();
            width = width.min(run);
            if (row + 1) * width > best.0 * best.1 {
                best = (row + 1, width);
            }
        }
        Ok(canvas.top_left(best.0, best.1))
    }

    fn check(&self, puzzle: &Grid) -> Result<()> {
        let (height, width) = puzzle.size();
        if height > CANVAS || width > CANVAS {
            return Err(PuzzleError::Task {
                message: format!("an ARC grid of {height}x{width} does not fit the {CANVAS}x{CANVAS} canvas"),
            });
        }
        match puzzle.iter().find(|&(_, colour)| colour >= COLOURS) {
            None => Ok(()),
            Some((cell, value)) => Err(PuzzleError::CellValue {
                task: "arc".to_owned(),
                cell,
                value,
                allowed: "colours 0 to 9".to_owned(),
            }),
        }
    }

    fn verify(&self, _puzzle: &Grid, answer: &Grid) -> Verdict {
        if answer.cells().is_empty() {
            return Verdict::unsolved("no rectangle of colours in the top-left corner", None);
        }
        let unknown = answer.iter().find(|&(_, colour)| colour >= COLOURS);
        match unknown {
            _ if answer.height() > CANVAS || answer.width() > CANVAS => {
                Verdict::Wrong(Violation::size((CANVAS, CANVAS), answer.size()))
            }
            Some((cell, _)) => Verdict::unsolved(format!("no colour at {cell}"), Some(cell)),
            None => {
                Verdict::Unverifiable { reason: "the rule of an ARC task is known from its examples only".to_owned() }
            }
        }
    }

    /// Which rule an answer must follow is known from examples only.
    fn has_rules(&self) -> bool {
        false
    }

    fn symmetry(&self, rng: &mut dyn Rng) -> Box<dyn Symmetry> {
        Box::new(Augmentation::random(rng))
    }
}
