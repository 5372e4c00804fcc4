//! Helpers of several test files.
#![expect(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;

use proptest::prelude::*;
use trm_puzzles::sudoku::BLANK;
use trm_puzzles::{Generate, Grid, Maze, MazeGenerator, Sudoku, SudokuGenerator, seeded};

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Box shapes of every kind: small, wide, high, large.
pub(crate) const SHAPES: [(usize, usize); 6] = [(2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (4, 4)];

pub(crate) fn sudoku() -> impl Strategy<Value = Sudoku> {
    prop::sample::select(&SHAPES[..5])
        .prop_map(|(height, width)| Sudoku::new(height, width).expect("a supported shape"))
}

/// Easy puzzles with their solutions.
pub(crate) fn sudoku_example() -> impl Strategy<Value = (Sudoku, Grid, Grid)> {
    (sudoku(), any::<u64>()).prop_map(|(task, seed)| {
        let generator = SudokuGenerator::easy(task).expect("a possible request");
        let example = generator.generate(&mut seeded(seed)).expect("easy puzzles are common");
        (task, example.puzzle, example.solution)
    })
}

/// Generated mazes with their labels.
pub(crate) fn maze_example() -> impl Strategy<Value = (Maze, Grid, Grid)> {
    (5..14_usize, 5..14_usize, any::<bool>(), any::<u64>()).prop_map(|(height, width, border, seed)| {
        let task = Maze::new(height, width).expect("a supported size");
        let generator = MazeGenerator::new(task).border(border);
        let example = generator.generate(&mut seeded(seed)).expect("large enough");
        (task, example.puzzle, example.solution)
    })
}

pub(crate) fn arc_grid() -> impl Strategy<Value = Grid> {
    (1..=30_usize, 1..=30_usize).prop_flat_map(|(height, width)| {
        prop::collection::vec(0..10_u8, height * width)
            .prop_map(move |cells| Grid::from_cells(height, width, cells).expect("as many as needed"))
    })
}

/// Counts solutions up to two by plain backtracking: row-major, no propagation, nothing shared with the crate.
pub(crate) fn brute_force(box_height: usize, box_width: usize, puzzle: &Grid) -> usize {
    fn fits(cells: &[u8], at: usize, digit: u8, shape: (usize, usize)) -> bool {
        let side = shape.0 * shape.1;
        let (row, column) = (at / side, at % side);
        (0..side * side).all(|other| {
            let (r, c) = (other / side, other % side);
            let same_box = r / shape.0 == row / shape.0 && c / shape.1 == column / shape.1;
            other == at || cells[other] != digit || !(r == row || c == column || same_box)
        })
    }
    fn count(cells: &mut [u8], shape: (usize, usize)) -> usize {
        let side = (shape.0 * shape.1) as u8;
        // The blank with the fewest digits, so that hard puzzles end.
        let blanks = (0..cells.len()).filter(|&at| cells[at] == BLANK);
        let options = |at: usize| (1..=side).filter(|&d| fits(cells, at, d, shape)).collect::<Vec<u8>>();
        let Some((at, digits)) = blanks.map(|at| (at, options(at))).min_by_key(|(_, digits)| digits.len()) else {
            return 1;
        };
        let mut found = 0;
        for digit in digits {
            cells[at] = digit;
            found += count(cells, shape);
            cells[at] = BLANK;
            if found > 1 {
                break;
            }
        }
        found
    }
    count(&mut puzzle.cells().to_vec(), (box_height, box_width))
}
