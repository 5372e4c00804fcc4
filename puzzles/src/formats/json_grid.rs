//! A grid as people write it in JSON, read without copies that are larger than a grid can be.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use trm_intake::{Budget, Fault, Limits, Printable};

use super::LIMITS;
use crate::PuzzleError;
use crate::maze::MAX_SIDE;

/// The most bytes of a grid as one text: the largest maze, its rows ended by `\r\n`.
const LONGEST_TEXT: usize = MAX_SIDE * (MAX_SIDE + 2);

/// The most cells of a grid in one list: a sudoku of 25x25.
const MAX_CELLS: usize = 625;

/// The most bytes of a row: four characters a cell, as of a number and a separator.
const LONGEST_ROW: usize = 4 * MAX_SIDE;

/// Grids bound what is kept of them; beside, no text is longer than the largest grid.
const JSON_LIMITS: Limits = Limits { items: u64::MAX, ..LIMITS };

/// Refuses JSON that is deeper than puzzles are, or has longer texts.
pub(super) fn bounded_json(origin: &str, body: &[u8]) -> crate::Result<()> {
    let mut budget = Budget::new(JSON_LIMITS);
    budget.take_json(body, LONGEST_TEXT as u64).map_err(PuzzleError::exceeded(origin, "values"))
}

/// A parser's complaint, without the line, which is counted from where it began.
pub(super) fn fault(error: &serde_json::Error) -> Fault {
    let reason = error.to_string();
    let reason = Printable(reason.split(" at line ").next().unwrap_or_default());
    Fault::from(format!("column {}: {reason}", error.column().max(1)))
}

/// A grid: a text, rows of texts or numbers, or all of its cells.
#[derive(Debug)]
pub(super) enum JsonGrid {
    Text(String),
    Rows(Vec<String>),
    Numbers(Vec<Vec<u8>>),
    Flat(Vec<u8>),
}

impl<'de> Deserialize<'de> for JsonGrid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GridVisitor)
    }
}

struct GridVisitor;

impl<'de> Visitor<'de> for GridVisitor {
    type Value = JsonGrid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a grid: a text, or a list of rows")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<JsonGrid, E> {
        bounded(text, LONGEST_TEXT, "a grid").map(JsonGrid::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<JsonGrid, A::Error> {
        let (mut texts, mut numbers, mut cells) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(row) = rows.next_element()? {
            match row {
                Row::Text(text) => texts.push(text),
                Row::Numbers(row) => numbers.push(row),
                Row::Cell(cell) => cells.push(cell),
            }
            if texts.len() + numbers.len() > MAX_SIDE || cells.len() > MAX_CELLS {
                return Err(A::Error::custom(format_args!("more than {MAX_SIDE} rows")));
            }
        }
        // All cells of a grid as texts: `["5", "", …]`; rows have more than a character each.
        if numbers.is_empty()
            && cells.len() + texts.len() > 25
            && texts.iter().all(|text| text.chars().count() <= 1)
            && cells.is_empty()
        {
            return Ok(JsonGrid::Text(texts.iter().map(|text| text.chars().next().unwrap_or('.')).collect()));
        }
        match (texts.is_empty(), numbers.is_empty(), cells.is_empty()) {
            (_, true, true) => Ok(JsonGrid::Rows(texts)),
            (true, false, true) => Ok(JsonGrid::Numbers(numbers)),
            (true, true, false) => Ok(JsonGrid::Flat(cells)),
            _ => Err(A::Error::custom("rows of texts and rows of numbers in one grid")),
        }
    }
}

enum Row {
    Text(String),
    Numbers(Vec<u8>),
    Cell(u8),
}

/// A cell of a row: a number, a character, or nothing.
enum JsonCell {
    Number(u8),
    Text(String),
}

impl<'de> Deserialize<'de> for JsonCell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

impl Visitor<'_> for CellVisitor {
    type Value = JsonCell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from 0 to 255")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<JsonCell, E> {
        let whole = || E::invalid_value(serde::de::Unexpected::Unsigned(number), &self);
        u8::try_from(number).map(JsonCell::Number).map_err(|_| whole())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<JsonCell, E> {
        Err(E::invalid_value(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<JsonCell, E> {
        Ok(JsonCell::Number(0))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<JsonCell, E> {
        bounded(text, 4, "a cell").map(JsonCell::Text)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor)
    }
}

struct RowVisitor;

impl<'de> Visitor<'de> for RowVisitor {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row: a text, or a list of numbers from 0 to 255")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Row, E> {
        bounded(text, LONGEST_ROW, "a row").map(Row::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<Row, A::Error> {
        let (mut row, mut text) = (Vec::new(), String::new());
        while let Some(cell) = cells.next_element()? {
            if row.len() + text.len() >= MAX_SIDE {
                return Err(A::Error::custom(format_args!("a row of more than {MAX_SIDE} cells")));
            }
            match cell {
                JsonCell::Number(number) => row.push(number),
                JsonCell::Text(cell) => match cell.trim() {
                    "" => text.push('.'),
                    cell if cell.chars().count() == 1 => text.push_str(cell),
                    number => row.push(number.parse().map_err(|_| A::Error::custom("a cell of several characters"))?),
                },
            }
        }
        match (row.is_empty(), text.is_empty()) {
            (_, true) => Ok(Row::Numbers(row)),
            (true, false) => Ok(Row::Text(text)),
            // Numbers of one and of two digits, as texts.
            (false, false) => Err(A::Error::custom("numbers and characters in one row")),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Row, E> {
        CellVisitor
            .visit_u64(number)
            .map(|cell| if let JsonCell::Number(number) = cell { Row::Cell(number) } else { Row::Cell(0) })
    }

    fn visit_unit<E: Error>(self) -> Result<Row, E> {
        Ok(Row::Cell(0))
    }
}

fn bounded<E: Error>(text: &str, limit: usize, what: &str) -> Result<String, E> {
    if text.len() <= limit {
        return Ok(text.to_owned());
    }
    Err(E::custom(format_args!("{what} of {} bytes, more than the limit of {limit}", text.len())))
}
