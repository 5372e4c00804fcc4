//! A grid as people write it in JSON, read without copies that are larger than a grid can be.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use crate::json::Plain;
use crate::maze::MAX_SIDE;

/// The most bytes of a grid as one text: the largest maze, its rows ended by `\r\n`.
pub(super) const LONGEST_TEXT: usize = MAX_SIDE * (MAX_SIDE + 2);

/// The most bytes of a row: four characters a cell, as of a number and a separator.
const LONGEST_ROW: usize = 4 * MAX_SIDE;

/// A grid: a text, or rows of texts or numbers.
pub(super) enum JsonGrid {
    Text(String),
    Rows(Vec<String>),
    Numbers(Vec<Vec<u8>>),
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
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next_element()? {
            match row {
                Row::Text(text) => texts.push(text),
                Row::Numbers(row) => numbers.push(row),
            }
            if texts.len() + numbers.len() > MAX_SIDE {
                return Err(A::Error::custom(format_args!("more than {MAX_SIDE} rows")));
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (_, true) => Ok(JsonGrid::Rows(texts)),
            (true, false) => Ok(JsonGrid::Numbers(numbers)),
            (false, false) => Err(A::Error::custom("rows of texts and rows of numbers in one grid")),
        }
    }
}

enum Row {
    Text(String),
    Numbers(Vec<u8>),
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
        let mut row = Vec::new();
        while let Some(Plain(cell)) = cells.next_element()? {
            if row.len() == MAX_SIDE {
                return Err(A::Error::custom(format_args!("a row of more than {MAX_SIDE} cells")));
            }
            row.push(cell);
        }
        Ok(Row::Numbers(row))
    }
}

fn bounded<E: Error>(text: &str, limit: usize, what: &str) -> Result<String, E> {
    if text.len() <= limit {
        return Ok(text.to_owned());
    }
    Err(E::custom(format_args!("{what} of {} bytes, more than the limit of {limit}", text.len())))
}
