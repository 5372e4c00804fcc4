//! A sudoku as the list of its givens: `[{"row": 1, "col": 3, "value": 9}, …]`, or its side and lines of row, column and value.

use serde_json::Value;
use trm_intake::Fault;

use super::json_grid::JsonGrid;
use super::json_tree::Node;
use super::lines::Line;
use super::{Alphabet, Puzzle, Reading, jsonl};
use crate::{PuzzleError, Result, Sudoku};

/// Names of a cell's row, column and value.
pub(super) const ROWS: [&str; 4] = ["row", "r", "i", "y"];
pub(super) const COLUMNS: [&str; 5] = ["column", "col", "c", "j", "x"];
pub(super) const VALUES: [&str; 6] = ["value", "val", "v", "digit", "number", "num"];

/// The most givens.
const MOST: usize = 625;

/// Givens, each with row, column and value.
pub(super) struct Givens {
    cells: Vec<[u8; 3]>,
    side: Option<usize>,
    /// Their number, where it is said.
    count: Option<usize>,
}

/// The givens that lines are, behind one with the sudoku's side and maybe one with their number; `None` if they are none.
pub(super) fn of_lines(lines: &[Line<'_>]) -> Option<Givens> {
    let mut lines = lines.iter().filter(|line| !line.is_blank()).peekable();
    let numbers = |line: &Line<'_>| {
        let words = line.text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()).take(4);
        words.map(|word| word.parse::<u8>().ok()).collect::<Option<Vec<_>>>()
    };
    let first = lines.next()?;
    // The side alone, or `4x4`.
    let squared = first.text.trim().split_once(['x', 'X']).filter(|(height, width)| height == width);
    let squared = squared.and_then(|(side, _)| side.parse::<u8>().ok());
    let side = match squared {
        Some(side) => side,
        None => *numbers(first)?.first().filter(|_| numbers(first).is_some_and(|numbers| numbers.len() == 1))?,
    };
    let count = lines.next_if(|line| numbers(line).is_some_and(|numbers| numbers.len() == 1));
    let count = count.and_then(|line| line.text.trim().parse::<usize>().ok());
    let cells = lines.take(MOST + 1).map(|line| numbers(line)?.try_into().ok()).collect::<Option<Vec<[u8; 3]>>>()?;
    let fits = |cell: &[u8; 3]| cell.iter().all(|&number| number <= side);
    let is_list = (if squared.is_some() { 1 } else { 4 }..=MOST).contains(&cells.len())
        && cells.iter().all(fits)
        && Sudoku::with_side(side.into()).is_some();
    is_list.then_some(Givens { cells, side: Some(side.into()), count })
}

/// The givens that objects are; `None` if they are none.
pub(super) fn of(nodes: &[Node]) -> Option<Givens> {
    let number = |entries: &[(String, Node)], names: &[&str]| {
        let named = entries.iter().find(|(key, _)| names.iter().any(|name| key.eq_ignore_ascii_case(name)));
        match &named?.1 {
            Node::Leaf(Value::Number(number)) => u8::try_from(number.as_u64()?).ok(),
            Node::Leaf(Value::Null) => Some(0),
            _ => None,
        }
    };
    let cell = |node: &Node| {
        let Node::Map(entries) = node else { return None };
        Some([number(entries, &ROWS)?, number(entries, &COLUMNS)?, number(entries, &VALUES)?])
    };
    if nodes.len() < 4 || nodes.len() > MOST {
        return None;
    }
    nodes.iter().map(cell).collect::<Option<_>>().map(|cells| Givens { cells, side: None, count: None })
}

impl Givens {
    /// The sudoku, of the side that the cells reach.
    pub(super) fn puzzle(&self, place: &str, reading: &Reading) -> Result<Puzzle> {
        let refused = |fault: &str| {
            Err(PuzzleError::data(
                place,
                Fault::from(fault.to_owned()).advise("give the sudoku as rows: [[5, 3, 0, …], …]"),
            ))
        };
        if let Some(count) = self.count.filter(|&count| count != self.cells.len()) {
            return refused(&format!("the header says {count} givens, there are {}", self.cells.len()));
        }
        let indices = || self.cells.iter().flat_map(|&[row, column, _]| [row, column]);
        let from = u8::from(!indices().any(|index| index == 0));
        let reach = indices().max().map_or(0, |index| (index - from).saturating_add(1));
        let largest = self.cells.iter().map(|cell| cell[2]).max().unwrap_or(0).max(reach);
        let side = match (self.side.or(reading.boxes.map(|task| task.side())), largest) {
            (Some(side), _) => side,
            (None, ..=6) => return refused("cells of a sudoku of 4x4, 6x6 or 9x9: nothing tells which"),
            (None, ..=9) => 9,
            (None, ..=16) => 16,
            (None, _) => 25,
        };
        if from == 1 && usize::from(reach) < side {
            return refused("cells of a sudoku: nothing tells whether they are counted from 0 or from 1");
        }
        let mut rows = vec![vec![0; side]; side];
        for &[row, column, value] in &self.cells {
            let cell = rows.get_mut(usize::from(row - from)).and_then(|row| row.get_mut(usize::from(column - from)));
            match cell {
                Some(cell) if *cell == 0 || *cell == value => *cell = value,
                Some(_) => return refused("a cell of a sudoku is given twice"),
                None => return refused("a cell is outside of the sudoku"),
            }
        }
        let puzzle = jsonl::grid(place, &JsonGrid::Numbers(rows), None, reading)?;
        Ok(Puzzle { alphabet: Alphabet::sudoku('.'), ..puzzle })
    }
}
