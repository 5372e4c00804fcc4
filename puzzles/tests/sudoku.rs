//! Sudoku: rules, solver, grades, generator.

mod common;

use common::{brute_force, fixture, sudoku_example};
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::sudoku::{BLANK, Solutions, count_solutions, grade, solve};
use trm_puzzles::{Cell, Generate, Grade, Grid, Rule, Sudoku, SudokuGenerator, Task, Verdict, formats, seeded};

const EXAMPLE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
const SOLUTION: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn grid(text: &str) -> Grid {
    formats::parse("test", text.as_bytes()).expect("a sudoku")[0].grid.clone()
}

#[test]
fn tokens_are_those_of_the_public_data_sets() {
    let task = Sudoku::default();
    let tokens = task.encode(&grid(EXAMPLE)).expect("valid");
    assert_eq!(tokens[..5], [6, 4, 1, 1, 8]);
    assert_eq!(task.vocab_size(), 11);
    assert_eq!(Sudoku::new(5, 5).expect("supported").vocab_size(), 27);
    assert_eq!(Sudoku::new(2, 3).expect("supported").vocabulary()[..4], ["PAD", ".", "1", "2"]);
}

#[test]
fn wrong_size_names_both_sizes() {
    let error = Sudoku::default().encode(&Grid::filled(4, 4, 0)).expect_err("too small");
    assert_eq!(explained(&error), "the puzzle is 4x4, sudoku needs 9x9");
    let error = Sudoku::new(1, 9).expect_err("no such box");
    assert_eq!(explained(&error), "sudoku boxes of 1x9 are not supported, sides go from 2 to 5");
}

#[test]
fn solver_finds_the_known_solution() {
    let task = Sudoku::default();
    assert_eq!(solve(task, &grid(EXAMPLE), 1000).expect("size"), Solutions::Unique(grid(SOLUTION)));
    assert_eq!(grade(task, &grid(EXAMPLE)).expect("size"), Some(Grade::Singles));
    let empty = Grid::filled(9, 9, BLANK);
    assert!(matches!(solve(task, &empty, 1000).expect("size"), Solutions::Several(_)));
    assert!(matches!(solve(task, &empty, 0).expect("size"), Solutions::GaveUp(None)));
    let mut wrong = grid(EXAMPLE);
    wrong.set(Cell::new(0, 2), 7);
    assert_eq!(solve(task, &wrong, 1000).expect("size"), Solutions::None);
}

#[test]
fn published_puzzles_are_solved() {
    for (name, singles) in [("sudoku-easy50.txt", Some(50)), ("sudoku-top95.txt", None), ("sudoku-hardest.txt", None)] {
        let puzzles = formats::read(&fixture(name)).expect("readable");
        let mut easy = 0;
        for puzzle in &puzzles {
            puzzle.check().expect("keeps the rules");
            let solutions = solve(Sudoku::default(), &puzzle.grid, 1_000_000).expect("size");
            let Some(solution) = solutions.grid() else { panic!("{} has no solution", puzzle.source) };
            assert!(puzzle.task().verify(&puzzle.grid, solution).is_verified());
            // Brute force takes minutes on the hard ones.
            if singles.is_some() {
                assert_eq!(brute_force(3, 3, &puzzle.grid), 1, "{}", puzzle.source);
                assert!(matches!(solutions, Solutions::Unique(_)));
            }
            easy += usize::from(grade(Sudoku::default(), &puzzle.grid).expect("size") == Some(Grade::Singles));
        }
        if let Some(expected) = singles {
            assert!(easy <= expected && easy > 30, "{easy} of the easy puzzles by singles");
        }
    }
}

fn verdict(changes: &[(usize, usize, u8)]) -> Verdict {
    let mut answer = grid(SOLUTION);
    for &(row, column, value) in changes {
        answer.set(Cell::new(row, column), value);
    }
    Sudoku::default().verify(&grid(EXAMPLE), &answer)
}

fn wrong(changes: &[(usize, usize, u8)]) -> (Rule, Vec<Cell>, String) {
    match verdict(changes) {
        Verdict::Wrong(violation) => (violation.rule, violation.cells.clone(), violation.to_string()),
        other => panic!("{other}"),
    }
}

#[test]
fn verdicts_name_rule_and_cells() {
    assert_eq!(verdict(&[]), Verdict::Verified { path: None });
    let (rule, cells, text) = wrong(&[(0, 0, 9)]);
    assert_eq!((rule, cells), (Rule::Given, vec![Cell::new(0, 0)]));
    assert_eq!(text, "the given 5 at row 1 column 1 became 9");
    let (rule, cells, text) = wrong(&[(0, 2, 5)]);
    assert_eq!((rule, cells), (Rule::Row, vec![Cell::new(0, 0), Cell::new(0, 2)]));
    assert_eq!(text, "two 5s in row 1: at row 1 column 1 and at row 1 column 3");
    let mut column = Grid::filled(9, 9, BLANK);
    column.set(Cell::new(0, 4), 1);
    column.set(Cell::new(8, 4), 1);
    let verdict_of_column = Sudoku::default().verify(&Grid::filled(9, 9, BLANK), &column);
    assert_eq!(verdict_of_column.to_string(), "wrong: two 1s in column 5: at row 1 column 5 and at row 9 column 5");
    match verdict(&[(0, 2, BLANK)]) {
        Verdict::Unsolved { cell, reason } => {
            assert_eq!(cell, Some(Cell::new(0, 2)));
            assert_eq!(reason, "no digit at row 1 column 3");
        }
        other => panic!("{other}"),
    }
    let small = Sudoku::default().verify(&grid(EXAMPLE), &Grid::filled(4, 4, 1));
    assert_eq!(small.to_string(), "wrong: the answer is 4x4, the puzzle 9x9");
}

#[test]
fn a_swap_of_rows_across_bands_breaks_boxes_only() {
    let solved = grid(SOLUTION);
    let mut rows: Vec<Vec<u8>> = solved.rows().map(<[u8]>::to_vec).collect();
    rows.swap(0, 3);
    let answer = Grid::from_rows(&rows).expect("equal rows");
    match Sudoku::default().verify(&Grid::filled(9, 9, BLANK), &answer) {
        Verdict::Wrong(violation) => assert_eq!(violation.rule, Rule::Box),
        other => panic!("{other}"),
    }
}

#[test]
fn equal_givens_are_an_error_that_names_them() {
    let text = EXAMPLE.replacen("53.", "535", 1);
    let puzzle = &formats::parse("in.txt", text.as_bytes()).expect("parses")[0];
    let error = puzzle.check().expect_err("two fives");
    assert_eq!(
        explained(&error),
        "in.txt:1: two 5s in row 1: at row 1 column 1 and at row 1 column 3\n\
         hint: one of these givens is wrong; a blank is 0 or ."
    );
}

#[test]
fn generated_puzzles_are_unique_and_of_the_grade_asked() {
    let nine = Sudoku::default();
    for grade_wanted in [Grade::Singles, Grade::Harder, Grade::Search] {
        // Not fewer givens, so that brute force ends soon.
        let generator = SudokuGenerator::new(nine, grade_wanted..=grade_wanted, 25..=40).expect("possible");
        let mut rng = seeded(7);
        for _ in 0..4 {
            let example = generator.generate(&mut rng).expect("common enough");
            let givens = example.puzzle.cells().iter().filter(|&&cell| cell != BLANK).count();
            assert!((25..=40).contains(&givens), "{givens} givens");
            assert_eq!(brute_force(3, 3, &example.puzzle), 1);
            assert_eq!(grade(nine, &example.puzzle).expect("size"), Some(grade_wanted));
            assert!(nine.verify(&example.puzzle, &example.solution).is_verified());
        }
    }
}

#[test]
fn the_two_published_distributions() {
    let nine = Sudoku::default();
    let (easy, hard) = (SudokuGenerator::easy(nine).expect("possible"), SudokuGenerator::hard(nine).expect("possible"));
    let mut rng = seeded(3);
    for _ in 0..30 {
        let givens = |grid: &Grid| grid.cells().iter().filter(|&&cell| cell != BLANK).count();
        let puzzle = easy.generate(&mut rng).expect("common").puzzle;
        assert!((28..=46).contains(&givens(&puzzle)));
        assert_eq!(grade(nine, &puzzle).expect("size"), Some(Grade::Singles));
        let puzzle = hard.generate(&mut rng).expect("common").puzzle;
        assert!((22..=30).contains(&givens(&puzzle)));
        assert_ne!(grade(nine, &puzzle).expect("size"), Some(Grade::Singles));
    }
}

#[test]
fn large_boards_are_generated() {
    for (height, width) in [(4, 4), (4, 5), (5, 5)] {
        let task = Sudoku::new(height, width).expect("supported");
        let example = SudokuGenerator::easy(task).expect("possible").generate(&mut seeded(1)).expect("common enough");
        assert!(task.verify(&example.puzzle, &example.solution).is_verified());
        assert_eq!(count_solutions(task, &example.puzzle, 2, 1000).expect("size"), Some(1));
    }
}

#[test]
fn the_same_seed_gives_the_same_puzzles() {
    let generator = SudokuGenerator::easy(Sudoku::default()).expect("possible");
    let text = |seed| {
        let mut rng = seeded(seed);
        (0..3)
            .map(|_| generator.generate(&mut rng).expect("common").puzzle.to_text(|v| (b'0' + v) as char))
            .collect::<String>()
            .replace('\n', "")
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
    // Pins the sequence across platforms and versions of the random number crates.
    assert_eq!(&text(42)[..81], "005008000008690010200405090350006000800001053920530480500060040000000000000103906");
}

#[test]
fn impossible_requests_are_refused() {
    let four = Sudoku::new(2, 2).expect("supported");
    let generator = SudokuGenerator::new(four, Grade::Search..=Grade::Search, 4..=8).expect("well-formed");
    let error = generator.generate(&mut seeded(1)).expect_err("singles solve every 4x4 puzzle like that");
    assert_eq!(
        explained(&error),
        "no 4x4 sudoku with 4 to 8 givens and grade search to search in 1000 tries\nhint: widen the range of givens or of grades"
    );
    assert!(SudokuGenerator::new(four, Grade::Singles..=Grade::Search, 17..=20).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn easy_puzzles_are_unique((task, puzzle, solution) in sudoku_example()) {
        prop_assert_eq!(count_solutions(task, &puzzle, 2, 100_000).unwrap(), Some(1));
        if task.side() <= 9 {
            prop_assert_eq!(brute_force(task.box_height(), task.box_width(), &puzzle), 1);
        }
        prop_assert_eq!(grade(task, &puzzle).unwrap(), Some(Grade::Singles));
        prop_assert!(task.verify(&puzzle, &solution).is_verified());
    }

    #[test]
    fn tokens_come_back((task, puzzle, solution) in sudoku_example()) {
        let tokens = task.encode(&solution).unwrap();
        prop_assert_eq!(task.decode(&puzzle, &tokens).unwrap(), solution);
    }

    #[test]
    fn symmetries_keep_the_rules((task, puzzle, solution) in sudoku_example(), seed in any::<u64>()) {
        let symmetry = task.symmetry(&mut seeded(seed));
        let (seen, answer) = (symmetry.apply(&puzzle).unwrap(), symmetry.apply(&solution).unwrap());
        prop_assert_eq!(&symmetry.invert(&seen).unwrap(), &puzzle);
        prop_assert_eq!(&symmetry.invert(&answer).unwrap(), &solution);
        prop_assert!(task.check(&seen).is_ok());
        prop_assert!(task.verify(&seen, &answer).is_verified());
        prop_assert_eq!(grade(task, &seen).unwrap(), Some(Grade::Singles));
    }

    #[test]
    fn wrong_answers_stay_wrong_under_symmetry(
        (task, puzzle, mut solution) in sudoku_example(), seed in any::<u64>(), at in any::<prop::sample::Index>(),
    ) {
        let cell = Cell::from_index(at.index(task.seq_len()), task.side());
        let digit = solution.get(cell).unwrap() as usize % task.side() + 1;
        solution.set(cell, digit as u8);
        let symmetry = task.symmetry(&mut seeded(seed));
        prop_assert_eq!(task.verify(&puzzle, &solution).as_str(), "wrong");
        let verdict = task.verify(&symmetry.apply(&puzzle).unwrap(), &symmetry.apply(&solution).unwrap());
        prop_assert_eq!(verdict.as_str(), "wrong");
    }
}
