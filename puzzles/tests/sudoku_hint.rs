//! Hints for sudokus, checked by candidates that share nothing with the crate.

mod common;

use std::collections::BTreeSet;

use common::{SHAPES, sudoku};
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::sudoku::{BLANK, Deduction, Hint, Technique, Unit, grade, hint};
use trm_puzzles::{Cell, Example, Generate, Grade, Grid, Sudoku, SudokuGenerator, Task, formats, seeded};

fn grid(text: &str) -> Grid {
    formats::parse("test", text.as_bytes()).expect("a sudoku")[0].grid.clone()
}

fn nine(text: &str) -> Option<Hint> {
    hint(Sudoku::default(), &grid(text)).expect("the size")
}

fn is_in(task: Sudoku, cell: Cell, unit: Unit) -> bool {
    match unit {
        Unit::Row(row) => cell.row == row,
        Unit::Column(column) => cell.column == column,
        Unit::Box(number) => {
            (cell.row / task.box_height(), cell.column / task.box_width())
                == (number / task.box_height(), number % task.box_height())
        }
    }
}

/// Candidates of every cell, of which a filled one has its digit.
#[derive(Clone)]
struct Marks {
    task: Sudoku,
    cells: Vec<(Cell, BTreeSet<u8>)>,
    open: BTreeSet<Cell>,
}

impl Marks {
    fn new(task: Sudoku, puzzle: &Grid) -> Self {
        let sees = |a: Cell, b: Cell| {
            let square = |cell: Cell| (cell.row / task.box_height(), cell.column / task.box_width());
            a.row == b.row || a.column == b.column || square(a) == square(b)
        };
        let cells = puzzle.iter().map(|(cell, digit)| {
            let fits = |&candidate: &u8| match digit {
                BLANK => !puzzle.iter().any(|(other, taken)| taken == candidate && sees(cell, other)),
                given => candidate == given,
            };
            (cell, (1..=task.side() as u8).filter(fits).collect())
        });
        let open = puzzle.iter().filter(|&(_, digit)| digit == BLANK).map(|(cell, _)| cell).collect();
        Self { task, cells: cells.collect(), open }
    }

    fn of(&self, cell: Cell) -> &BTreeSet<u8> {
        &self.cells[cell.row * self.task.side() + cell.column].1
    }

    fn members(&self, unit: Unit) -> impl Iterator<Item = &(Cell, BTreeSet<u8>)> {
        self.cells.iter().filter(move |(cell, _)| is_in(self.task, *cell, unit))
    }

    /// True if the candidates show the pattern.
    fn justify(&self, deduction: &Deduction) -> bool {
        let holds = |set: &BTreeSet<u8>| deduction.digits.iter().any(|digit| set.contains(digit));
        match deduction.technique {
            Technique::Pointing | Technique::Claiming => self
                .members(deduction.unit)
                .filter(|(_, set)| holds(set))
                .all(|(cell, _)| is_in(self.task, *cell, deduction.from)),
            Technique::NakedPair | Technique::NakedTriple => {
                deduction.cells.len() == deduction.digits.len()
                    && deduction.cells.iter().all(|&cell| {
                        is_in(self.task, cell, deduction.unit)
                            && self.of(cell).iter().all(|digit| deduction.digits.contains(digit))
                    })
            }
            Technique::HiddenPair => {
                deduction.cells.len() == 2
                    && self
                        .members(deduction.unit)
                        .filter(|(_, set)| holds(set))
                        .all(|(cell, _)| deduction.cells.contains(cell))
            }
            single => panic!("{single:?} takes nothing away"),
        }
    }

    fn take(&mut self, deduction: &Deduction) {
        let side = self.task.side();
        for (cell, digits) in &deduction.removes {
            self.cells[cell.row * side + cell.column].1.retain(|digit| !digits.contains(digit));
        }
    }

    /// True if one look at the cell or a unit of it shows the digit.
    fn show(&self, cell: Cell, digit: u8) -> bool {
        let square = cell.row / self.task.box_height() * self.task.box_height() + cell.column / self.task.box_width();
        self.of(cell).iter().eq([&digit])
            || [Unit::Row(cell.row), Unit::Column(cell.column), Unit::Box(square)].iter().any(|&unit| {
                self.members(unit).filter(|(_, set)| set.contains(&digit)).all(|&(other, _)| other == cell)
            })
    }

    /// True if the deductions that hold lead to the placement.
    fn follows(&self, because: &[&Deduction], (cell, digit): (Cell, u8)) -> bool {
        let mut marks = self.clone();
        for deduction in because {
            if marks.justify(deduction) {
                marks.take(deduction);
            }
        }
        marks.show(cell, digit)
    }
}

/// Follows hints to the end; returns the grid then and the most reasons that one of them had.
fn follow(task: Sudoku, Example { puzzle, solution }: &Example) -> (Grid, usize) {
    let mut grid = puzzle.clone();
    let mut most = 0;
    while let Some(hint) = hint(task, &grid).expect("the size") {
        let (cell, digit) = hint.place;
        assert_eq!(grid.get(cell), Some(BLANK), "{hint:?}");
        assert_eq!(solution.get(cell), Some(digit), "{hint:?}");
        let mut marks = Marks::new(task, &grid);
        for (index, deduction) in hint.because.iter().enumerate() {
            assert!(!marks.show(cell, digit), "{hint:?} needs no {index}th reason");
            assert!(marks.justify(deduction), "{deduction:?}");
            assert!(!deduction.removes.is_empty());
            for (from, digits) in &deduction.removes {
                assert!(is_in(task, *from, deduction.from) && marks.open.contains(from));
                assert!(digits.iter().all(|digit| marks.of(*from).contains(digit)), "{deduction:?}");
                assert!(!digits.contains(&solution.get(*from).expect("a cell")), "{deduction:?}");
            }
            marks.take(deduction);
        }
        assert!(marks.show(cell, digit), "{hint:?}");
        let start = Marks::new(task, &grid);
        for dropped in 0..hint.because.len() {
            let fewer: Vec<_> =
                hint.because.iter().enumerate().filter(|&(index, _)| index != dropped).map(|(_, kept)| kept).collect();
            assert!(!start.follows(&fewer, hint.place), "{hint:?} needs no reason {dropped}");
        }
        if !hint.because.is_empty() {
            let single = start.open.iter().find(|&&open| start.show(open, solution.get(open).expect("a cell")));
            assert_eq!(single, None, "a digit follows from the grid alone");
        }
        most = most.max(hint.because.len());
        grid.set(cell, digit);
    }
    (grid, most)
}

#[test]
fn hints_alone_solve_easy_puzzles_of_every_shape() {
    for (height, width) in SHAPES {
        let task = Sudoku::new(height, width).expect("supported");
        let generator = SudokuGenerator::easy(task).expect("possible");
        let mut rng = seeded(3);
        for _ in 0..3000 / task.side().pow(2) {
            let example = generator.generate(&mut rng).expect("common");
            assert_eq!(follow(task, &example), (example.solution.clone(), 0));
        }
    }
}

#[test]
fn hints_solve_what_the_techniques_solve_and_name_no_reason_too_many() {
    let nine = Sudoku::default();
    let mut rng = seeded(4);
    let generator = SudokuGenerator::new(nine, Grade::Harder..=Grade::Harder, 22..=36).expect("possible");
    let mut chains = 0;
    for _ in 0..150 {
        let example = generator.generate(&mut rng).expect("common");
        let (reached, most) = follow(nine, &example);
        assert_eq!(reached, example.solution);
        chains += usize::from(most > 1);
    }
    assert!(chains > 10, "{chains} puzzles with a chain");
}

#[test]
fn hints_of_puzzles_beyond_the_techniques_are_right_as_far_as_they_go() {
    for (height, width, puzzles) in [(2, 3, 50), (3, 3, 100), (3, 4, 8), (4, 4, 2)] {
        let task = Sudoku::new(height, width).expect("supported");
        let generator = SudokuGenerator::hard(task).expect("possible");
        let mut rng = seeded(5);
        for _ in 0..puzzles {
            let example = generator.generate(&mut rng).expect("common");
            let (reached, _) = follow(task, &example);
            let solved = grade(task, &example.puzzle).expect("the size") != Some(Grade::Search);
            assert_eq!(reached == example.solution, solved);
        }
    }
}

#[test]
fn the_largest_boards_have_hints_in_their_own_symbols() {
    let task = Sudoku::new(5, 5).expect("supported");
    let example = SudokuGenerator::easy(task).expect("possible").generate(&mut seeded(1)).expect("common");
    let found = hint(task, &example.puzzle).expect("the size").expect("an easy puzzle");
    assert_eq!(example.solution.get(found.place.0), Some(found.place.1));
    let letter = |digit| char::from(b'A' + digit - 1);
    let sentence = found.sentence(letter);
    assert!(sentence.contains(&format!(" {}", letter(found.place.1))), "{sentence}");
    assert_eq!(found.steps(|digit| digit).len(), 1);
}

#[test]
fn singles_come_simplest_first() {
    let full = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
    let last = nine(&full.replacen('5', ".", 1)).expect("one cell is open");
    assert_eq!((last.place, last.technique), ((Cell::new(0, 0), 5), Technique::FullHouse));
    assert_eq!(last.sentence(|digit| digit), "box 1 lacks only the 5, which goes to r1c1");

    let rows = |rows: &[(usize, &str)]| {
        let row = |row| rows.iter().find(|(number, _)| *number == row).map_or(".........", |&(_, text)| text);
        nine(&(1..=9).map(row).collect::<String>()).expect("a single").sentence(|digit| digit)
    };
    let naked = rows(&[(1, ".1234...."), (4, "5........"), (5, "6........"), (6, "7........"), (7, "8........")]);
    assert_eq!(naked, "r1c1 can only be 9: row, column and box hold every other digit");
    let hidden = rows(&[(2, "...5....."), (3, "......5.."), (4, ".5......."), (7, "..5......")]);
    assert_eq!(hidden, "in box 1 the 5 can only go to r1c1");
    let hidden_in_row = rows(&[(1, "12.34.67."), (4, "..5......"), (7, ".....5...")]);
    assert_eq!(hidden_in_row, "in row 1 the 5 can only go to r1c9");
}

#[test]
fn sentences_of_every_technique() {
    let nine = Sudoku::default();
    let mut rng = seeded(4);
    let generator = SudokuGenerator::new(nine, Grade::Harder..=Grade::Harder, 22..=36).expect("possible");
    let mut sentences = std::collections::BTreeMap::new();
    for _ in 0..150 {
        let Example { puzzle: mut grid, .. } = generator.generate(&mut rng).expect("common");
        while let Some(hint) = hint(nine, &grid).expect("the size") {
            if let [first, second] = &hint.because[..] {
                let (first, second) = (first.sentence(|digit| digit), second.sentence(|digit| digit));
                assert!(hint.sentence(|digit| digit).starts_with(&format!("{first}; then {second}; then ")));
            }
            for deduction in &hint.because {
                sentences.entry(deduction.technique).or_insert_with(|| deduction.sentence(|digit| digit));
            }
            grid.set(hint.place.0, hint.place.1);
        }
    }
    let sentences: Vec<&str> = sentences.values().map(String::as_str).collect();
    assert_eq!(
        sentences,
        [
            "pointing: the 1s of box 8 all lie in column 6, so no 1 elsewhere in column 6 (r4c6, r6c6)",
            "claiming: the 4s of column 2 all lie in box 1, so no 4 elsewhere in box 1 (r1c3, r2c1, r2c3)",
            "naked pair: r1c7 and r9c7 hold only 1 and 4, so no 1 or 4 elsewhere in column 7 (r4c7, r6c7, r8c7)",
            "naked triple: r1c1, r1c2 and r2c1 hold only 7, 8 and 9, so no 7, 8 or 9 elsewhere in box 1 (r3c1, r3c2, r3c3)",
            "hidden pair: in row 6 the 1 and 6 can only go to r6c3 and r6c4, so no other digit there (r6c3, r6c4)",
        ]
    );
}

#[test]
fn full_wrong_and_empty_grids_have_no_hint() {
    let full = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
    assert_eq!(nine(full), None);
    assert_eq!(nine(&".".repeat(81)), None);
    // Two 5s in a row; and a cell that every digit is taken from.
    assert_eq!(nine(&format!("5.5{}", ".".repeat(78))), None);
    assert_eq!(nine(&format!("12345678.{}9{}", ".".repeat(8), ".".repeat(63))), None);
    // A value that is no digit counts as blank.
    let mut unknown = grid(full);
    unknown.set(Cell::new(0, 0), trm_puzzles::UNKNOWN);
    assert_eq!(hint(Sudoku::default(), &unknown).expect("the size").map(|hint| hint.place.1), Some(5));
    let error = hint(Sudoku::default(), &Grid::filled(4, 4, BLANK)).expect_err("too small");
    assert_eq!(explained(&error), "the puzzle is 4x4, sudoku needs 9x9");
}

proptest! {
    #[test]
    fn no_hint_breaks_a_rule_whatever_the_grid_holds(
        task in sudoku(), cells in prop::collection::vec((any::<u8>(), 0..6_u8), 144), digits_only in any::<bool>(),
    ) {
        let side = task.side();
        // Most cells are blank, so that many of the grids keep the rules.
        let value = |&(value, blank): &(u8, u8)| match (blank, digits_only) {
            (1.., _) => BLANK,
            (_, true) => value % side as u8 + 1,
            _ => value,
        };
        let mut grid = Grid::from_cells(side, side, cells[..side * side].iter().map(value).collect()).unwrap();
        if let Some(hint) = hint(task, &grid).unwrap() {
            prop_assert!(!(1..=side as u8).contains(&grid.get(hint.place.0).unwrap()));
            grid.set(hint.place.0, hint.place.1);
            prop_assert_ne!(task.verify(&Grid::filled(side, side, BLANK), &grid).as_str(), "wrong");
        }
    }
}
