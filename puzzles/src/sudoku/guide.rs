//! The exact solver with advice: it guesses first what a network thinks likely.

use super::board::{Board, Digits, Geometry, digits_of};
use super::solve::{Search, lowest};
use super::{BLANK_TOKEN, Sudoku};
use crate::task::require_size;
use crate::{Grid, PuzzleError, Result, Task};

/// The result of a search for one solution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct FirstSolution {
    /// The solution met first; `None` if there is none, or the search gave up.
    pub solution: Option<Grid>,
    /// Guesses made, right and wrong.
    pub guesses: u64,
    /// True if the guesses ran out before a solution was met.
    pub gave_up: bool,
}

/// Finds one solution by at most `node_limit` guesses, without asking if there are more.
///
/// `scores` are the scores of every token at every cell, `[side * side, side + 2]`, for example a network's logits: of a
/// cell's candidates the one with the highest score is tried first, and of the cells with the fewest candidates the one where
/// the best is furthest ahead of the second. NaN is the lowest score; equal scores go by position and digit. A puzzle with
/// several solutions may get another one by other scores. Without scores it is the solution that
/// [`solve`](super::solve()) meets first.
///
/// # Errors
///
/// [`PuzzleError::Size`] for a grid that is not of the task's size; [`PuzzleError::Task`] for another number of scores.
pub fn first_solution(task: Sudoku, puzzle: &Grid, node_limit: u64, scores: Option<&[f32]>) -> Result<FirstSolution> {
    require_size(&task, "the puzzle", puzzle)?;
    let advice = scores.map(|scores| Advice::new(task, scores)).transpose()?;
    let geometry = Geometry::new(task);
    let mut search = Search::new(&geometry, 1, node_limit);
    if let Ok(board) = Board::new(&geometry, puzzle) {
        match advice {
            Some(advice) => search.run(board, |board| advice.guess(board)),
            None => search.run(board, lowest),
        }
    }
    let (guesses, gave_up) = (search.guesses(), search.gave_up());
    let solution = search.first.map(|cells| Grid::from_cells(task.side(), task.side(), cells)).transpose()?;
    Ok(FirstSolution { solution, guesses, gave_up })
}

/// A score for every digit at every cell.
#[derive(Debug)]
struct Advice {
    side: usize,
    /// `[cells, side]`, all of them finite.
    scores: Vec<f32>,
}

impl Advice {
    /// The digits' part of the scores of all tokens.
    fn new(task: Sudoku, scores: &[f32]) -> Result<Self> {
        let (side, tokens) = (task.side(), task.vocab_size());
        let expected = task.seq_len() * tokens;
        if scores.len() != expected {
            let message = format!("{} scores, a sudoku of {side}x{side} needs {expected}", scores.len());
            return Err(PuzzleError::Task { message });
        }
        let digits = scores.chunks_exact(tokens).flat_map(|cell| &cell[BLANK_TOKEN as usize + 1..]);
        // Finite, so that every difference is a number.
        let finite = |&score: &f32| if score.is_nan() { f32::MIN } else { score.clamp(f32::MIN, f32::MAX) };
        Ok(Self { side, scores: digits.map(finite).collect() })
    }

    /// The guess to make on a board; `None` if it is solved.
    ///
    /// Among the tightest cells the lead counts as much as the order of digits: simulated scores that are wrong at a fifth of
    /// the cells solve hard 16x16 puzzles by 12 guesses on average, by 273 at the first of the tightest cells, and no scores
    /// by 1128. The lead among all open cells saves a little more, but scores that are mostly wrong then cost a hundredfold.
    fn guess(&self, board: &Board) -> Option<(usize, Digits)> {
        let fewest = board.candidates(board.tightest()?).count_ones();
        let mut best: Option<(f32, usize, Digits)> = None;
        for cell in 0..self.scores.len() / self.side {
            let digits = board.candidates(cell);
            if digits.count_ones() == fewest {
                let (margin, digit) = self.favourite(cell, digits);
                if best.is_none_or(|(most, ..)| margin > most) {
                    best = Some((margin, cell, digit));
                }
            }
        }
        best.map(|(_, cell, digit)| (cell, digit))
    }

    /// The candidate with the highest score, and how far it is ahead of the second.
    fn favourite(&self, cell: usize, digits: Digits) -> (f32, Digits) {
        let (mut first, mut second, mut favourite) = (f32::MIN, f32::MIN, 0);
        for digit in digits_of(digits) {
            let score = self.scores[cell * self.side + usize::from(digit) - 1];
            if favourite == 0 || score > first {
                (first, second, favourite) = (score, first, 1 << (digit - 1));
            } else {
                second = second.max(score);
            }
        }
        (first - second, favourite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Generate, SudokuGenerator, seeded};

    #[test]
    fn by_perfect_scores_no_guess_is_wrong() {
        for (height, width, puzzles) in [(2, 3, 20), (3, 3, 50), (4, 4, 3)] {
            let task = Sudoku::new(height, width).expect("a shape");
            let geometry = Geometry::new(task);
            let generator = SudokuGenerator::hard(task).expect("possible");
            let mut rng = seeded(8);
            for _ in 0..puzzles {
                let example = generator.generate(&mut rng).expect("common");
                let digits = example.solution.cells();
                let mut scores = vec![0.0; task.seq_len() * task.vocab_size()];
                for (cell, token) in task.encode(&example.solution).expect("a solution").into_iter().enumerate() {
                    scores[cell * task.vocab_size() + token as usize] = 1.0;
                }
                let advice = Advice::new(task, &scores).expect("as many as needed");
                let mut search = Search::new(&geometry, 1, u64::MAX);
                search.run(Board::new(&geometry, &example.puzzle).expect("a puzzle"), |board| {
                    let kept = |(cell, &digit): (usize, &u8)| board.candidates(cell) >> (digit - 1) & 1 == 1;
                    assert!(digits.iter().enumerate().all(kept), "a guess left the solution");
                    advice.guess(board)
                });
                assert_eq!(search.first.as_deref(), Some(digits));
            }
        }
    }

    #[test]
    fn of_the_tightest_cells_the_surest_is_guessed_at() {
        let task = Sudoku::new(2, 2).expect("a shape");
        let mut scores = vec![0.0; 16 * 6];
        // Cell 5 prefers digit 3 by 2, cell 10 digit 4 by 5, whatever the scores of padding and blank are.
        (scores[5 * 6 + 4], scores[10 * 6 + 5], scores[15 * 6], scores[15 * 6 + 1]) = (2.0, 5.0, 9.0, 9.0);
        let advice = Advice::new(task, &scores).expect("as many as needed");
        let geometry = Geometry::new(task);
        let mut board = Board::empty(&geometry);
        assert_eq!(advice.guess(&board), Some((10, 1 << 3)));
        // A tighter cell comes first.
        board.keep(5, 0b0110).expect("two are left");
        assert_eq!(advice.guess(&board), Some((5, 1 << 2)));
    }
}
