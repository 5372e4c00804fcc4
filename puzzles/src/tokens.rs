//! Sequences of tokens that nothing is known of.

use rand::Rng;

use crate::task::require_tokens;
use crate::{Cell, Grid, IGNORE_LABEL, PuzzleError, Result, Symmetry, Task, UNKNOWN, Verdict, Violation};

/// The largest vocabulary: a token has at most two bytes.
const MAX_VOCAB: usize = 1 << 16;
/// The longest sequence.
const MAX_LENGTH: usize = 1 << 16;
/// The largest vocabulary whose tokens fit into one cell, one value being left for [`UNKNOWN`].
const ONE_BYTE: usize = UNKNOWN as usize;

/// Sequences of tokens for a model whose task this program does not know. Nothing is checked but the tokens themselves, so
/// no answer can be verified.
///
/// As a [`Grid`] a sequence is one row of tokens; of a vocabulary above 255 it is two, the low bytes over the high bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens {
    seq_len: usize,
    vocab_size: usize,
}

impl Tokens {
    /// Sequences of `seq_len` tokens, each below `vocab_size`.
    ///
    /// # Errors
    /// [`PuzzleError::Task`] for a length or vocabulary of 0 or above 65536.
    pub fn new(seq_len: usize, vocab_size: usize) -> Result<Self> {
        if (1..=MAX_LENGTH).contains(&seq_len) && (1..=MAX_VOCAB).contains(&vocab_size) {
            return Ok(Self { seq_len, vocab_size });
        }
        Err(PuzzleError::Task {
            message: format!(
                "sequences of {seq_len} tokens out of {vocab_size}: expected 1 to {MAX_LENGTH} out of 1 to {MAX_VOCAB}"
            ),
        })
    }

    /// A sequence as a grid.
    ///
    /// # Errors
    /// [`PuzzleError::TokenCount`] for another length; [`PuzzleError::Task`] for a token outside the vocabulary.
    pub fn grid(&self, tokens: &[i32]) -> Result<Grid> {
        require_tokens(self, tokens)?;
        let is_token = |token: i32| usize::try_from(token).is_ok_and(|token| token < self.vocab_size);
        match tokens.iter().position(|&token| !is_token(token)) {
            None => self.decode(&self.unknown(), tokens),
            Some(at) => Err(PuzzleError::Task {
                message: format!(
                    "token {} is {}, the vocabulary has tokens 0 to {}",
                    at + 1,
                    tokens[at],
                    self.vocab_size - 1
                ),
            }),
        }
    }

    /// The tokens of a grid, separated by spaces; `?` for an unknown token. A grid of another size is given by its
    /// cells.
    #[must_use]
    pub fn text(&self, grid: &Grid) -> String {
        let symbol = |at| self.token(grid, at).map_or_else(|| "?".to_owned(), |token| token.to_string());
        if grid.size() == self.grid_size() {
            (0..self.seq_len).map(symbol).collect::<Vec<_>>().join(" ")
        } else {
            grid.cells().iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
        }
    }

    /// Height and width of the grid.
    fn grid_size(&self) -> (usize, usize) {
        (if self.vocab_size <= ONE_BYTE { 1 } else { 2 }, self.seq_len)
    }

    fn unknown(&self) -> Grid {
        let (height, width) = self.grid_size();
        Grid::filled(height, width, UNKNOWN)
    }

    /// The token at a position; `None` where it is not known.
    fn token(&self, grid: &Grid, at: usize) -> Option<usize> {
        let byte = |row| grid.get(Cell::new(row, at)).map(usize::from);
        let token = match self.grid_size().0 {
            1 => byte(0)?,
            _ => byte(0)? + (byte(1)? << 8),
        };
        (token < self.vocab_size).then_some(token)
    }
}

impl Task for Tokens {
    fn name(&self) -> &'static str {
        "tokens"
    }

    fn height(&self) -> usize {
        1
    }

    fn width(&self) -> usize {
        self.seq_len
    }

    fn vocabulary(&self) -> Vec<String> {
        (0..self.vocab_size).map(|token| token.to_string()).collect()
    }

    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn encode(&self, grid: &Grid) -> Result<Vec<i32>> {
        self.check(grid)?;
        Ok((0..self.seq_len).filter_map(|at| self.token(grid, at)).map(|token| token as i32).collect())
    }

    fn decode(&self, puzzle: &Grid, tokens: &[i32]) -> Result<Grid> {
        require_tokens(self, tokens)?;
        let mut grid = self.unknown();
        for (at, &token) in tokens.iter().enumerate() {
            let token = match usize::try_from(token) {
                Ok(token) => Some(token).filter(|token| *token < self.vocab_size),
                Err(_) if token == IGNORE_LABEL && puzzle.size() == self.grid_size() => self.token(puzzle, at),
                Err(_) => None,
            };
            if let Some(token) = token {
                for (row, byte) in (0..self.grid_size().0).zip(token.to_le_bytes()) {
                    grid.set(Cell::new(row, at), byte);
                }
            }
        }
        Ok(grid)
    }

    fn check(&self, puzzle: &Grid) -> Result<()> {
        if puzzle.size() != self.grid_size() {
            let (expected, found) = (self.grid_size(), puzzle.size());
            return Err(PuzzleError::Size { what: "the sequence", task: "tokens".to_owned(), expected, found });
        }
        match (0..self.seq_len).find(|&at| self.token(puzzle, at).is_none()) {
            None => Ok(()),
            Some(at) => Err(PuzzleError::Task {
                message: format!("token {} is none of the vocabulary's {}", at + 1, self.vocab_size),
            }),
        }
    }

    fn verify(&self, _puzzle: &Grid, answer: &Grid) -> Verdict {
        if answer.size() != self.grid_size() {
            return Verdict::Wrong(Violation::size(self.grid_size(), answer.size()));
        }
        match (0..self.seq_len).find(|&at| self.token(answer, at).is_none()) {
            Some(at) => Verdict::unsolved(format!("no token at position {}", at + 1), Some(Cell::new(0, at))),
            None => Verdict::Unverifiable { reason: "sequences of tokens have no rules to check by".to_owned() },
        }
    }

    fn has_rules(&self) -> bool {
        false
    }

    fn padding(&self) -> Option<i32> {
        None
    }

    fn symmetry(&self, _rng: &mut dyn Rng) -> Box<dyn Symmetry> {
        Box::new(Unchanged)
    }
}

/// The one symmetry of sequences that nothing is known of.
#[derive(Debug)]
struct Unchanged;

impl Symmetry for Unchanged {
    fn apply(&self, grid: &Grid) -> Result<Grid> {
        Ok(grid.clone())
    }

    fn invert(&self, grid: &Grid) -> Result<Grid> {
        Ok(grid.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_sequence_is_refused() {
        for (length, vocab) in [(0, 5), (5, 0), (MAX_LENGTH + 1, 5), (5, MAX_VOCAB + 1), (usize::MAX, usize::MAX)] {
            assert!(Tokens::new(length, vocab).is_err(), "{length} {vocab}");
        }
        let task = Tokens::new(3, 300).expect("a task");
        let refused = |tokens: &[i32]| task.grid(tokens).expect_err("refused").to_string();
        assert_eq!(refused(&[1, 2]), "2 tokens, tokens needs 3");
        assert_eq!(refused(&[1, 300, 2]), "token 2 is 300, the vocabulary has tokens 0 to 299");
        assert_eq!(refused(&[1, 2, -100]), "token 3 is -100, the vocabulary has tokens 0 to 299");
        assert!(task.check(&Grid::filled(1, 3, 0)).is_err() && task.check(&Grid::filled(2, 3, UNKNOWN)).is_err());
    }

    #[test]
    fn an_answer_is_never_verified() {
        let task = Tokens::new(3, 300).expect("a task");
        let puzzle = task.grid(&[0, 255, 299]).expect("a sequence");
        let answer = task.decode(&puzzle, &[7, IGNORE_LABEL, 256]).expect("an answer");
        assert_eq!(task.text(&answer), "7 255 256");
        assert!(matches!(task.verify(&puzzle, &answer), Verdict::Unverifiable { .. }));
        let beyond = task.decode(&puzzle, &[7, 300, i32::MAX]).expect("an answer");
        assert_eq!(task.text(&beyond), "7 ? ?");
        assert!(matches!(task.verify(&puzzle, &beyond), Verdict::Unsolved { .. }));
        assert!(matches!(task.verify(&puzzle, &Grid::filled(1, 3, 0)), Verdict::Wrong(_)));
    }

    proptest! {
        #[test]
        fn tokens_come_back_from_their_grid(
            vocab in prop_oneof![1_usize..=300, 65_000_usize..=65_536],
            seeds in prop::collection::vec(any::<u32>(), 1..40),
        ) {
            let task = Tokens::new(seeds.len(), vocab).unwrap();
            let tokens: Vec<i32> = seeds.iter().map(|seed| (*seed as usize % vocab) as i32).collect();
            let grid = task.grid(&tokens).unwrap();
            prop_assert_eq!(task.encode(&grid).unwrap(), tokens.clone());
            let words: Vec<i32> = task.text(&grid).split(' ').map(|word| word.parse().unwrap()).collect();
            prop_assert_eq!(words, tokens);
        }
    }
}
