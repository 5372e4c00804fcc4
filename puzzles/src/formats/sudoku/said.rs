//! The shape of boxes, as the lines before a puzzle say it.

use super::rows::shapes;
use crate::{Grid, Task};

/// The numbers of a line of numbers alone, or those that an x is between: `2`, `3 3`, `boardsize 3 x 3`.
pub(super) fn numbers(text: &str) -> Vec<usize> {
    let words = || text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty() && word.len() <= 2);
    let is_alone = text.chars().all(|c| c.is_ascii_digit() || c.is_whitespace() || c == ',');
    let has_two = words().count() == 2
        && text.to_ascii_lowercase().split_once('x').is_some_and(|(before, behind)| {
            before.trim_end().ends_with(|c: char| c.is_ascii_digit())
                && behind.trim_start().starts_with(|c: char| c.is_ascii_digit())
        });
    if text.len() <= 80 && (is_alone || has_two) {
        words().take(3).filter_map(|word| word.parse().ok()).collect()
    } else {
        Vec::new()
    }
}

/// Height and width of the boxes of a puzzle of this side: the last two numbers, or the last one of square boxes. They are
/// turned where the givens fit only then.
pub(super) fn boxes_said(said: &[usize], side: usize, values: &[u8]) -> (Option<usize>, Option<usize>) {
    let (height, width) = match *said {
        [.., height, width] if height * width == side => (height, width),
        [.., root] if root * root == side => (root, root),
        _ => return (None, None),
    };
    let fits = |height, width| {
        let task = shapes(side).into_iter().find(|task| (task.box_height(), task.box_width()) == (height, width));
        let grid = Grid::from_cells(side, side, values.to_vec());
        task.is_some_and(|task| grid.is_ok_and(|grid| task.check(&grid).is_ok()))
    };
    if !fits(height, width) && fits(width, height) { (Some(width), Some(height)) } else { (Some(height), Some(width)) }
}
