//! The ends of a maze that stand beside it as numbers.

use trm_intake::Fault;

use super::border_gaps;
use crate::maze::{FREE, GOAL, START, distances};
use crate::{Cell, Grid};

/// A way to count places.
#[derive(Clone, Copy)]
struct Counting {
    column_first: bool,
    from: usize,
}

const COUNTINGS: [Counting; 4] = [
    Counting { column_first: false, from: 0 },
    Counting { column_first: true, from: 0 },
    Counting { column_first: false, from: 1 },
    Counting { column_first: true, from: 1 },
];

impl Counting {
    fn cell(self, [first, second]: [usize; 2]) -> Option<Cell> {
        let (first, second) = (first.checked_sub(self.from)?, second.checked_sub(self.from)?);
        Some(if self.column_first { Cell::new(second, first) } else { Cell::new(first, second) })
    }

    fn name(self) -> String {
        let order = if self.column_first { "column and row" } else { "row and column" };
        format!("{order} counted from {}", self.from)
    }
}

/// Marks the ends that are said: the start alone, or the start and the goal. Nothing says how they are counted, but they are
/// free cells and a way leads from one to the other.
///
/// # Errors
/// Places that are ends in no way of counting, or other ends in another.
pub(in super::super) fn mark(grid: &mut Grid, places: &[[usize; 2]]) -> Result<(), Fault> {
    if places.is_empty() {
        return Ok(());
    }
    let mut found: Vec<(Counting, Grid)> = Vec::new();
    for counting in COUNTINGS {
        if let Some(marked) = marked(grid, counting, places)
            && found.iter().all(|(_, other)| *other != marked)
        {
            found.push((counting, marked));
        }
    }
    if found.iter().any(|(_, marked)| is_connected(marked)) {
        found.retain(|(_, marked)| is_connected(marked));
    }
    let said = || places.iter().map(|[a, b]| format!("{a},{b}")).collect::<Vec<_>>().join(" and ");
    match found.len() {
        0 => Err(Fault::from(format!("{} are no free cells, however they are counted", said()))
            .advise("mark the start with S and the goal with G")),
        1 => {
            *grid = found.remove(0).1;
            Ok(())
        }
        _ => {
            let ways = found.iter().map(|(counting, _)| counting.name()).collect::<Vec<_>>().join(", or as ");
            Err(Fault::from(format!("{} can be read as {ways}", said()))
                .advise("mark the start with S and the goal with G"))
        }
    }
}

fn marked(grid: &Grid, counting: Counting, places: &[[usize; 2]]) -> Option<Grid> {
    let mut marked = grid.clone();
    for (&place, end) in places.iter().zip([START, GOAL]) {
        let cell = counting.cell(place)?;
        let value = marked.get(cell)?;
        let is_elsewhere = marked.find(end).is_some_and(|other| other != cell);
        if (value != FREE && value != end) || is_elsewhere {
            return None;
        }
        marked.set(cell, end);
    }
    mark_missing(&mut marked);
    Some(marked)
}

/// Marks the end that is missing beside the other, if the border has one gap.
pub(super) fn mark_missing(grid: &mut Grid) {
    let missing = match (grid.find(START), grid.find(GOAL)) {
        (Some(_), None) => GOAL,
        (None, Some(_)) => START,
        _ => return,
    };
    if let [gap] = border_gaps(grid).take(2).collect::<Vec<_>>()[..] {
        grid.set(gap, missing);
    }
}

fn is_connected(grid: &Grid) -> bool {
    let (Some(start), Some(goal)) = (grid.find(START), grid.find(GOAL)) else { return false };
    distances(grid, start)[goal.row * grid.width() + goal.column].is_some()
}
