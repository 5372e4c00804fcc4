//! Everything that is printed is read again as what it was: lines, drawings, and rows of JSON.

mod common;

use common::maze_example;
use proptest::prelude::*;
use trm_puzzles::formats::{self, Alphabet, Numerals, Puzzle, Reading};
use trm_puzzles::maze::{FREE, GOAL, START, WALL, shortest_path};
use trm_puzzles::sudoku::BLANK;
use trm_puzzles::{Cell, Grid, Maze, PuzzleKind, Sudoku, seeded};

fn puzzle(grid: Grid, kind: PuzzleKind, alphabet: Alphabet) -> Puzzle {
    Puzzle { source: String::new(), id: None, grid, kind, alphabet, solution: None, rating: None, note: None }
}

/// A solved sudoku of any size, of which some cells are blank.
fn sudoku() -> impl Strategy<Value = (Sudoku, Grid, Grid)> {
    let shapes = vec![(2, 2), (2, 3), (3, 2), (3, 3), (2, 4), (2, 5), (3, 4), (4, 3), (3, 5), (4, 4), (4, 5), (5, 5)];
    (prop::sample::select(shapes), any::<u64>(), 0..100_u8)
        .prop_map(|((height, width), seed, blanks)| {
            let task = Sudoku::new(height, width).expect("supported");
            let side = task.side();
            let first = Grid::from_cells(
                side,
                side,
                (0..side * side)
                    .map(|at| {
                        let (row, column) = (at / side, at % side);
                        ((row % height * width + row / height + column) % side + 1) as u8
                    })
                    .collect(),
            );
            let mut rng = seeded(seed);
            let symmetry = trm_puzzles::Task::symmetry(&task, &mut rng);
            let solution = symmetry.apply(&first.expect("as many cells")).expect("its size");
            let hidden = |at: usize| {
                (seed.rotate_left((at % 64) as u32).wrapping_mul(at as u64 | 1) >> 32) % 100 < u64::from(blanks)
            };
            let cells = solution.cells().iter().enumerate().map(|(at, &value)| if hidden(at) { BLANK } else { value });
            let puzzle = Grid::from_cells(side, side, cells.collect()).expect("as many cells");
            (task, puzzle, solution)
        })
        .prop_filter("a puzzle has givens", |(_, puzzle, _)| puzzle.cells().iter().any(|&value| value != BLANK))
}

/// Reads a text that holds one puzzle, of what is known about it.
fn read(text: &str, reading: &Reading) -> Puzzle {
    let mut puzzles =
        formats::parse_as("again", text.as_bytes(), reading).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(puzzles.len(), 1, "{text}");
    puzzles.remove(0)
}

fn json(puzzle: &Puzzle, answer: &Grid) -> String {
    let (height, width) = puzzle.grid.size();
    let boxes = match puzzle.kind {
        PuzzleKind::Sudoku(task) => format!(",\"boxes\":[{},{}]", task.box_height(), task.box_width()),
        _ => String::new(),
    };
    let line = |grid| puzzle.line(grid);
    let (question, answer) = (line(&puzzle.grid), line(answer));
    format!("{{\"puzzle\":\"{question}\",\"answer\":\"{answer}\",\"size\":[{height},{width}]{boxes}}}\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn sudokus_come_back(
        (task, grid, solution) in sudoku(),
        numerals in prop::sample::select(Numerals::ALL.to_vec()),
        blank in prop::sample::select(vec!['.', '0', '_', '-', '*', '?']),
    ) {
        // Zero is a symbol or a blank, and symbols from zero need a blank that is another.
        let blank = if numerals == Numerals::FromZero && blank == '0' { '.' } else { blank };
        let kind = PuzzleKind::Sudoku(task);
        let puzzle = puzzle(grid, kind, Alphabet::sudoku_in(numerals, blank));
        let said = Reading { symbols: Some(numerals), blank: Some(blank), ..Reading::of(kind) };
        for grid in [&puzzle.grid, &solution] {
            for text in [puzzle.line(grid), puzzle.drawing(grid)] {
                prop_assert_eq!(&read(&text, &said).grid, grid, "{}", text);
            }
        }
        let said = Reading { boxes: None, ..said };
        let drawn = read(&puzzle.drawing(&puzzle.grid), &said);
        prop_assert_eq!(drawn.kind, kind, "a drawing shows its boxes");
        let row = read(&json(&puzzle, &solution), &said);
        prop_assert_eq!((row.kind, &row.grid, row.solution.as_ref()), (kind, &puzzle.grid, Some(&solution)));
    }

    #[test]
    fn sudokus_tell_their_symbols((task, grid, solution) in sudoku(), zero in any::<bool>()) {
        let puzzle = puzzle(grid, PuzzleKind::Sudoku(task), Alphabet::sudoku(if zero { '0' } else { '.' }));
        let known = Reading { boxes: Some(task), ..Reading::default() };
        let row = read(&json(&puzzle, &solution), &known);
        prop_assert_eq!((&row.grid, row.solution.as_ref()), (&puzzle.grid, Some(&solution)));
        for text in [puzzle.line(&puzzle.grid), puzzle.drawing(&puzzle.grid)] {
            prop_assert_eq!(&read(&text, &known).grid, &puzzle.grid, "{}", text);
        }
    }

    #[test]
    fn mazes_come_back(
        (task, grid, way) in maze_example(),
        (wall, free) in prop::sample::select(vec![
            ('#', ' '), ('#', '.'), ('@', '.'), ('X', ' '), ('x', '.'), ('█', ' '), ('%', ' '), ('W', '.'), ('*', ' '), ('1', '0'),
        ]),
    ) {
        let kind = PuzzleKind::Maze(task);
        let puzzle = puzzle(grid, kind, Alphabet::maze(wall, free));
        let said = Reading::of(kind);
        for grid in [&puzzle.grid, &way] {
            // Zero and one may be either, where a maze has no border; they look like the other in an open one.
            let is_open = grid.rows().next().is_some_and(|row| !row.contains(&WALL));
            if wall == '1' && is_open {
                continue;
            }
            let text = puzzle.drawing(grid);
            match formats::parse_as("again", text.as_bytes(), &said) {
                Ok(again) => prop_assert_eq!((&again[0].grid, again.len()), (grid, 1), "{}", text),
                Err(error) => prop_assert!(wall == '1' && error.to_string().contains("either"), "{error}\n{text}"),
            }
        }
        if wall != '1' {
            let row = read(&json(&puzzle, &way), &said);
            prop_assert_eq!((&row.grid, row.solution.as_ref()), (&puzzle.grid, Some(&way)));
        }
    }

    #[test]
    fn rooms_come_back(
        (height, width) in (2..7_usize, 2..7_usize),
        walls in prop::collection::vec(any::<bool>(), 200),
        post in prop::sample::select(vec!['o', '+', '#']),
    ) {
        let (height, width) = (2 * height + 1, 2 * width + 1);
        let mut grid = Grid::filled(height, width, FREE);
        for (at, wall) in (0..height * width).zip(walls.into_iter().cycle()) {
            let cell = Cell::from_index(at, width);
            let is_outer = cell.row == 0 || cell.column == 0 || cell.row + 1 == height || cell.column + 1 == width;
            let is_post = cell.row.is_multiple_of(2) && cell.column.is_multiple_of(2);
            if is_outer || is_post || (wall && (cell.row + cell.column) % 2 == 1) {
                grid.set(cell, WALL);
            }
        }
        grid.set(Cell::new(1, 1), START);
        grid.set(Cell::new(height - 2, width - 2), GOAL);
        let way = shortest_path(&grid);
        let task = Maze::new(height, width).expect("a supported size");
        let puzzle = puzzle(grid, PuzzleKind::Maze(task), Alphabet::micromouse(post));
        for grid in std::iter::once(&puzzle.grid).chain(&way) {
            let text = puzzle.drawing(grid);
            prop_assert_eq!(&read(&text, &Reading::default()).grid, grid, "{}", text);
        }
    }
}
