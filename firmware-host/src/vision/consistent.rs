//! The most likely board that obeys the rules.
//!
//! A digit that was read wrongly mostly clashes with another or leaves the puzzle without a single solution. So boards
//! are gone through from the most likely on, with the next best digits put in, until one is a puzzle.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use trm_puzzles::sudoku::count_solutions;
use trm_puzzles::{Grid, Sudoku};

/// Classes of the digit reader: empty and the digits 1 to 9.
pub(crate) const CLASSES: usize = 10;

/// Boards that are looked at before the reader gives up. It bounds the time: each one without clashes is searched for
/// a second solution.
const BOARDS: usize = 3000;

/// Single changes that boards are made of: the likeliest.
const CHANGES: usize = 64;

/// Least probability of what a cell is changed to. The most likely of ten classes has 0.1 or more, so a rarer change
/// costs over 9 in natural logarithms, and the reader trusts no board that costs more than 6 (`MOST_COST`).
const LEAST: f32 = 1e-5;

/// Extra cost, in natural logarithms, that another consistent board needs for the best one to be beyond doubt: it is
/// less likely by a factor of 10.
const DOUBT: f32 = 2.3;

/// Search nodes for the solutions of one board: newspaper puzzles take a few hundred.
const NODES: u64 = 20_000;

/// The most likely consistent board.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Consistent {
    /// The digits, 0 for an empty cell.
    pub digits: Vec<u8>,
    /// Cost, in natural logarithms: how much less likely it is than the board of each cell's most likely digit; 0 if
    /// it is that.
    pub cost: f32,
    /// Cells in which it differs from that.
    pub changed: Vec<usize>,
    /// Cells in which another consistent board that is nearly as likely differs.
    pub doubtful: Vec<usize>,
}

/// Returns what is read at first sight: each cell's most likely digit that the board has.
pub(crate) fn first_sight(task: Sudoku, probabilities: &[f32]) -> Vec<u8> {
    probabilities.chunks_exact(CLASSES).map(|cell| best(task, cell)).collect()
}

fn best(task: Sudoku, cell: &[f32]) -> u8 {
    let digits = 0..=task.side().min(CLASSES - 1);
    digits.max_by(|&a, &b| cell[a].total_cmp(&cell[b])).unwrap_or(0) as u8
}

/// Finds the most likely board that is a puzzle; `probabilities` f32 `[cells, 10]`. `None` if none of the likely ones
/// is.
pub(crate) fn most_likely(task: Sudoku, probabilities: &[f32]) -> Option<Consistent> {
    let first = first_sight(task, probabilities);
    let mut changes: Vec<Change> = Vec::new();
    for (cell, (options, &seen)) in probabilities.chunks_exact(CLASSES).zip(&first).enumerate() {
        for digit in (0..=task.side() as u8).filter(|&digit| digit != seen) {
            let p = options[usize::from(digit)];
            if p >= LEAST {
                changes.push(Change { cost: (options[usize::from(seen)] / p).ln().max(0.0), cell, digit });
            }
        }
    }
    changes.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    changes.truncate(CHANGES);

    let mut found: Option<Consistent> = None;
    for (cost, set) in Subsets::new(&changes).take(BOARDS) {
        if found.as_ref().is_some_and(|best| cost > best.cost + DOUBT) {
            break;
        }
        let mut digits = first.clone();
        for &k in &set {
            digits[changes[k].cell] = changes[k].digit;
        }
        match &mut found {
            None if is_puzzle(task, &digits) => {
                let changed = set.iter().map(|&k| changes[k].cell).collect();
                found = Some(Consistent { digits, cost, changed, doubtful: Vec::new() });
            }
            Some(best) if is_puzzle(task, &digits) => {
                let differ = (0..digits.len()).filter(|&cell| digits[cell] != best.digits[cell]);
                best.doubtful.extend(differ.collect::<Vec<_>>());
            }
            _ => {}
        }
    }
    if let Some(best) = &mut found {
        best.doubtful.sort_unstable();
        best.doubtful.dedup();
    }
    found
}

/// `true` if the digits do not clash and leave exactly one solution.
fn is_puzzle(task: Sudoku, digits: &[u8]) -> bool {
    if !clashes(task, digits).is_empty() {
        return false;
    }
    let side = task.side();
    let Ok(grid) = Grid::from_cells(side, side, digits.to_vec()) else { return false };
    matches!(count_solutions(task, &grid, 2, NODES), Ok(Some(1)))
}

/// Cells whose digit stands a second time in their row, column or box.
pub(crate) fn clashes(task: Sudoku, digits: &[u8]) -> Vec<usize> {
    let side = task.side();
    let same_unit = |a: usize, b: usize| {
        let ((row_a, col_a), (row_b, col_b)) = ((a / side, a % side), (b / side, b % side));
        let same_box = row_a / task.box_height() == row_b / task.box_height()
            && col_a / task.box_width() == col_b / task.box_width();
        row_a == row_b || col_a == col_b || same_box
    };
    let cells = 0..digits.len();
    let clash =
        |&a: &usize| digits[a] > 0 && (0..digits.len()).any(|b| b != a && digits[a] == digits[b] && same_unit(a, b));
    cells.filter(clash).collect()
}

/// Another digit for a cell, and how much less likely it is.
#[derive(Debug, Clone, Copy)]
struct Change {
    cost: f32,
    cell: usize,
    digit: u8,
}

/// Sets of changes of different cells, the cheapest first.
struct Subsets<'a> {
    changes: &'a [Change],
    heap: BinaryHeap<Reverse<(Cost, Vec<usize>)>>,
    started: bool,
}

#[derive(PartialEq, Clone, Copy)]
struct Cost(f32);

impl Eq for Cost {}
impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Cost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl<'a> Subsets<'a> {
    fn new(changes: &'a [Change]) -> Self {
        let mut heap = BinaryHeap::new();
        if let Some(first) = changes.first() {
            heap.push(Reverse((Cost(first.cost), vec![0])));
        }
        Self { changes, heap, started: false }
    }

    fn cost(&self, set: &[usize]) -> Cost {
        Cost(set.iter().map(|&k| self.changes[k].cost).sum())
    }
}

impl Iterator for Subsets<'_> {
    type Item = (f32, Vec<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.started {
            self.started = true;
            return Some((0.0, Vec::new()));
        }
        loop {
            let Reverse((cost, set)) = self.heap.pop()?;
            // Every set comes from exactly one other: its last change was added, or moved on by one.
            let last = *set.last()?;
            if last + 1 < self.changes.len() {
                let mut longer = set.clone();
                longer.push(last + 1);
                self.heap.push(Reverse((self.cost(&longer), longer)));
                let mut moved = set.clone();
                moved.pop();
                moved.push(last + 1);
                self.heap.push(Reverse((self.cost(&moved), moved)));
            }
            let distinct = set
                .iter()
                .enumerate()
                .all(|(k, &a)| set[..k].iter().all(|&b| self.changes[a].cell != self.changes[b].cell));
            if distinct {
                return Some((cost.0, set));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";

    fn task() -> Sudoku {
        Sudoku::with_side(9).unwrap()
    }

    /// Probabilities that are sure of the digits, but for some cells: (cell, digit, probability).
    fn probabilities(unsure: &[(usize, usize, f32)]) -> Vec<f32> {
        let mut all = vec![1e-7; 81 * CLASSES];
        for (cell, digit) in PUZZLE.bytes().enumerate() {
            all[cell * CLASSES + usize::from(digit - b'0')] = 1.0;
        }
        for &(cell, digit, p) in unsure {
            let true_digit = usize::from(PUZZLE.as_bytes()[cell] - b'0');
            all[cell * CLASSES + true_digit] = 1.0 - p;
            all[cell * CLASSES + digit] = p;
        }
        all
    }

    fn text(digits: &[u8]) -> String {
        digits.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    #[test]
    fn a_sure_board_is_taken_as_it_is() {
        let found = most_likely(task(), &probabilities(&[])).unwrap();
        assert_eq!(text(&found.digits), PUZZLE);
        assert_eq!((found.cost, found.changed.len(), found.doubtful.len()), (0.0, 0, 0));
    }

    #[test]
    fn misread_digits_that_clash_are_read_again() {
        // The 5 at the top left as a 6, which the row below has too; the 7 in the first row as a 3.
        let found = most_likely(task(), &probabilities(&[(0, 6, 0.9), (4, 3, 0.7)])).unwrap();
        assert_eq!(text(&found.digits), PUZZLE);
        assert_eq!(found.changed, [4, 0]);
        let expected = (0.9_f32 / 0.1).ln() + (0.7_f32 / 0.3).ln();
        assert!((found.cost - expected).abs() < 1e-4, "{} is not {expected}", found.cost);
    }

    #[test]
    fn another_board_nearly_as_likely_leaves_a_doubt() {
        // With or without its first digit, the puzzle has one solution.
        let found = most_likely(task(), &probabilities(&[(0, 0, 0.4)])).unwrap();
        assert_eq!(text(&found.digits), PUZZLE);
        assert_eq!(found.doubtful, [0]);
    }

    #[test]
    fn what_is_no_puzzle_is_not_found() {
        let mut sure_clash = probabilities(&[]);
        // A second 5 in the first row, sure.
        sure_clash[8 * CLASSES] = 1e-7;
        sure_clash[8 * CLASSES + 5] = 1.0;
        assert_eq!(most_likely(task(), &sure_clash), None);
        // An empty board has many solutions.
        let mut empty = vec![1e-7; 81 * CLASSES];
        (0..81).for_each(|cell| empty[cell * CLASSES] = 1.0);
        assert_eq!(most_likely(task(), &empty), None);
        // Nothing but NaN never panics.
        assert_eq!(most_likely(task(), &[f32::NAN; 81 * CLASSES]), None);
    }

    #[test]
    fn sets_come_cheapest_first_and_each_once() {
        let change = |cost, cell| Change { cost, cell, digit: 1 };
        // Two changes of the same cell exclude each other.
        let changes = [change(1.0, 0), change(1.5, 1), change(2.0, 0)];
        let sets: Vec<_> = Subsets::new(&changes).collect();
        let expected: [(f32, &[usize]); 6] =
            [(0.0, &[]), (1.0, &[0]), (1.5, &[1]), (2.0, &[2]), (2.5, &[0, 1]), (3.5, &[1, 2])];
        assert_eq!(sets.len(), expected.len());
        for ((cost, set), (expected_cost, expected_set)) in sets.iter().zip(expected) {
            assert_eq!((*cost, set.as_slice()), (expected_cost, expected_set));
        }
    }
}
