//! The shape of a sudoku's boxes.

use super::super::Reading;
use super::rows::shapes;
use crate::{AnswerCount, Grid, Sudoku, Task};

/// The boxes: as asked for, as shown, or as they give the puzzle one solution; the usual ones, with a note, where none of
/// these tells.
pub(super) fn boxes(
    side: usize,
    grid: &Grid,
    (height, width): (Option<usize>, Option<usize>),
    reading: &Reading,
) -> (Sudoku, Option<String>) {
    if let Some(task) = reading.boxes_of(side) {
        return (task, None);
    }
    let shapes = shapes(side);
    let usual = shapes.first().copied().unwrap_or_default();
    let as_shown = |task: &&Sudoku| {
        height.is_none_or(|height| height == task.box_height()) && width.is_none_or(|width| width == task.box_width())
    };
    let shown = shapes.iter().find(as_shown).filter(|_| height.is_some() || width.is_some());
    if let Some(&task) = shown.or(shapes.first().filter(|_| shapes.len() == 1)) {
        return (task, None);
    }
    let mut one = Vec::new();
    let mut some = Vec::new();
    for &task in &shapes {
        match task.count_answers(grid) {
            AnswerCount::None => {}
            AnswerCount::One => one.push(task),
            AnswerCount::Several | AnswerCount::Unknown => some.push(task),
        }
    }
    match (&one[..], &some[..]) {
        (&[task], _) | (&[], &[task]) => (task, None),
        _ => {
            let name = |task: &Sudoku| format!("{}x{}", task.box_height(), task.box_width());
            let others = shapes[1..].iter().map(name).collect::<Vec<_>>().join(" or ");
            (usual, Some(format!("read with boxes of {}; nothing in it says whether they are {others}", name(&usual))))
        }
    }
}
