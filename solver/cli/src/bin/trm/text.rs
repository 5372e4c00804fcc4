//! Drawings of grids for a terminal: which character is which cell, and how it is set off.

use trm_puzzles::{Grid, Puzzle, PuzzleKind};

/// The meaning by which a cell is set off from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Part of the answer.
    Answer,
    /// Breaks a rule.
    Wrong,
    /// Differs from the step before.
    Changed,
}

impl Style {
    /// The ANSI sequence (ECMA-48, SGR) that turns it on.
    fn start(self) -> &'static str {
        match self {
            Self::Answer => "\x1b[1;36m",
            Self::Wrong => "\x1b[1;41;97m",
            Self::Changed => "\x1b[7m",
        }
    }
}

const RESET: &str = "\x1b[0m";

/// A grid as [`Puzzle::drawing`] draws it, with cells set off by `style`, which is asked for each cell by its number,
/// row by row.
pub(crate) fn drawing(puzzle: &Puzzle, grid: &Grid, style: impl Fn(usize) -> Option<Style>) -> String {
    let plain = puzzle.drawing(grid);
    let Some(is_cell) = cell_test(puzzle, grid, &plain) else { return plain };
    let mut painted = String::with_capacity(2 * plain.len());
    let mut cells = 0..;
    for character in plain.chars() {
        match is_cell(character).then(|| cells.next().and_then(&style)).flatten() {
            Some(style) => {
                painted.push_str(style.start());
                painted.push(character);
                painted.push_str(RESET);
            }
            None => painted.push(character),
        }
    }
    painted
}

/// Tells the characters that are cells from those around them; `None` where a cell is not one character.
fn cell_test(puzzle: &Puzzle, grid: &Grid, drawing: &str) -> Option<fn(char) -> bool> {
    let is_cell: fn(char) -> bool = match puzzle.kind {
        PuzzleKind::Sudoku(_) => |character| !" |-+\n".contains(character),
        PuzzleKind::Maze(_) | PuzzleKind::Arc(_) => |character| character != '\n',
        PuzzleKind::Tokens(_) => return None,
    };
    // A micromouse drawing has other characters and more of them.
    (drawing.chars().filter(|&character| is_cell(character)).count() == grid.cells().len()).then_some(is_cell)
}

#[cfg(test)]
mod tests {
    use trm_puzzles::formats;

    use super::*;

    #[test]
    fn the_right_characters_are_set_off() {
        let puzzle = &formats::parse("s", b"12..34....34..12").expect("parses")[0];
        let painted = drawing(puzzle, &puzzle.grid, |cell| (cell == 5).then_some(Style::Answer));
        assert_eq!(painted, "1 2 | . .\n3 \x1b[1;36m4\x1b[0m | . .\n----+----\n. . | 3 4\n. . | 1 2\n");
        let maze = &formats::parse("m", b"####\n#SG#\n####\n").expect("parses")[0];
        let painted = drawing(maze, &maze.grid, |cell| (cell == 6).then_some(Style::Wrong));
        assert_eq!(painted, "####\n#S\x1b[1;41;97mG\x1b[0m#\n####\n");
    }

    #[test]
    fn a_micromouse_drawing_stays_as_it_is() {
        let text = b"+---+---+\n| S   G |\n+---+---+\n";
        let maze = &formats::parse("m", text).expect("parses")[0];
        let painted = drawing(maze, &maze.grid, |_| Some(Style::Answer));
        assert_eq!(painted, maze.drawing(&maze.grid));
    }
}
