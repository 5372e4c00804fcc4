//! Sudokus for people.

use super::super::Alphabet;
use crate::sudoku::BLANK;
use crate::{Cell, Grid, Sudoku};

/// Rows with a space between cells, `|` between boxes and a rule between bands.
pub(in super::super) fn drawing(task: Sudoku, grid: &Grid, alphabet: &Alphabet) -> String {
    let mut text = String::new();
    let rule: Vec<String> =
        (0..grid.width().div_ceil(task.box_width())).map(|_| "-".repeat(2 * task.box_width() + 1)).collect();
    // The outer groups need no space at the edge of the drawing.
    let rule = rule.join("+");
    let rule = rule.get(1..rule.len().saturating_sub(1)).unwrap_or("");
    for row in 0..grid.height() {
        if row > 0 && row % task.box_height() == 0 {
            text.push_str(rule);
            text.push('\n');
        }
        for column in 0..grid.width() {
            if column > 0 {
                text.push(' ');
                if column % task.box_width() == 0 {
                    text.push_str("| ");
                }
            }
            let value = grid.get(Cell::new(row, column)).unwrap_or(BLANK);
            text.push(alphabet.symbol(value));
        }
        text.push('\n');
    }
    text
}
