//! JSON in which puzzles stand somewhere: under a key each, in a list under a key, or as a list of the cells that are given.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use trm_intake::Fault;

use super::body::Body;
use super::json_grid::{self, JsonGrid};
use super::json_object::{self, Object};
use super::json_spelled;
use super::kept::Kept;
use super::keys::{Role, more_rules, names_a_rule};
use super::{LIMITS, Puzzle, PuzzleKind, Reading, givens, jsonl};
use crate::{PuzzleError, Result};

/// The levels above a grid at which puzzles are looked for.
const DEPTH: usize = 4;

/// JSON whose keys stay in their order.
#[derive(Debug)]
pub(super) enum Node {
    Map(Vec<(String, Node)>),
    List(Vec<Node>),
    Leaf(Value),
    /// A grid that cannot be read, and the reason.
    Refused(String),
}

impl Node {
    /// The same without the order of its keys.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Map(entries) => entries.iter().map(|(key, node)| (key.clone(), node.value())).collect(),
            Self::List(nodes) => nodes.iter().map(Self::value).collect(),
            Self::Leaf(value) => value.clone(),
            Self::Refused(_) => Value::Null,
        }
    }

    /// True for what a cell is: a number, nothing, or a short text.
    pub(super) fn is_cell(&self) -> bool {
        match self {
            Self::Leaf(Value::String(text)) => text.trim().chars().count() <= 2,
            Self::Leaf(Value::Number(_) | Value::Null) => true,
            _ => false,
        }
    }

    /// True for rows of cells, rows of characters, or all cells of a sudoku.
    fn is_grid(&self) -> bool {
        let Self::List(rows) = self else { return false };
        let is_row =
            |row: &Self| matches!(row, Self::List(cells) if cells.len() > 3 && cells.iter().all(Self::is_cell));
        let length = |row: &Self| if let Self::Leaf(Value::String(text)) = row { text.chars().count() } else { 0 };
        let first = rows.first().map_or(0, length);
        let is_text = first > 3 && rows.len() > 3 && rows.iter().all(|row| length(row) == first);
        let is_flat = super::sudoku::side_of(rows.len()).is_some() && rows.iter().all(Self::is_cell);
        (rows.len() > 3 && rows.iter().all(is_row)) || is_text || (is_flat && rows.len() > 15)
    }

    /// True for a puzzle that is one text.
    fn is_line(&self, reading: &Reading) -> bool {
        matches!(self, Self::Leaf(Value::String(text)) if jsonl::is_whole(text, reading))
    }

    /// True for an object with a puzzle of its own.
    fn is_object(&self, reading: &Reading) -> bool {
        let is_puzzle = |(key, node): &(String, Self)| {
            Role::of(key) == Some(Role::Question)
                && !node.is_list_of_lines(reading)
                && (node.is_grid() || matches!(node, Self::Leaf(Value::String(_))))
        };
        matches!(self, Self::Map(entries) if entries.iter().any(is_puzzle))
    }

    fn is_list_of_lines(&self, reading: &Reading) -> bool {
        matches!(self, Self::List(nodes) if !nodes.is_empty() && nodes.iter().all(|node| node.is_line(reading)))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            entries.push((key.into_owned(), map.next_value()?));
        }
        entries.shrink_to_fit();
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        nodes.shrink_to_fit();
        Ok(Node::List(nodes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Leaf(text.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Leaf(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Leaf(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Leaf(number.into()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Leaf(truth.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }
}

/// The tree of a text that is no ARC task, and not larger than puzzles are; true if grids were spelled out in it.
fn tree(body: &[u8]) -> Option<(Node, bool)> {
    let has_tasks = || body.windows(6).any(|word| matches!(word, b"\"test\"" | b"\"test_" | b"\"train"));
    // A list is looked at only if it is one of objects, or of rows of them.
    if let Some(inside) = body.trim_ascii_start().strip_prefix(b"[") {
        let inside = inside.trim_ascii_start();
        let inside = inside.strip_prefix(b"[").unwrap_or(inside);
        if !inside.trim_ascii_start().starts_with(b"{") {
            return None;
        }
    }
    let has_more = |limit: u64, mark: u8| body.iter().filter(|&&byte| byte == mark).nth(limit as usize).is_some();
    // What is kept of an object is larger than the object.
    if has_more(LIMITS.items, b',')
        || has_more(LIMITS.items / 4, b'{')
        || has_tasks()
        || json_grid::bounded_json("", body).is_err()
    {
        return None;
    }
    let mut root = serde_json::from_slice(body).ok()?;
    let is_spelled = json_spelled::rewrite(&mut root);
    Some((root, is_spelled))
}

/// True for JSON that holds puzzles and is not one itself.
pub(super) fn looks_like(body: &[u8]) -> bool {
    let reading = Reading::default();
    tree(body).is_some_and(|(root, is_spelled)| match &root {
        // An object that is a line as well is read as one.
        Node::Map(_) if is_spelled && json_object::looks_like(body) && spelled_object(&root).is_some() => false,
        _ if is_spelled => has_puzzle(&root, DEPTH, &reading),
        Node::Map(_) => !root.is_object(&reading) && has_puzzle(&root, DEPTH, &reading),
        Node::List(nodes) => givens::of(nodes).is_some(),
        Node::Leaf(_) | Node::Refused(_) => false,
    })
}

/// The object of a text whose grid is spelled out, or why it is none; `None` for any other.
pub(super) fn spelled(text: &str) -> Option<Result<Object, Fault>> {
    let (root, true) = tree(text.as_bytes())? else { return None };
    let Node::Map(entries) = &root else { return None };
    let refused = |(_, node): &(String, Node)| if let Node::Refused(fault) = node { Some(fault.clone()) } else { None };
    match entries.iter().find_map(refused) {
        Some(fault) => Some(Err(fault.into())),
        None => spelled_object(&root).map(Ok),
    }
}

fn spelled_object(root: &Node) -> Option<Object> {
    Object::deserialize(root.value()).ok().filter(|object| object.question.is_some())
}

fn has_puzzle(node: &Node, depth: usize, reading: &Reading) -> bool {
    if node.is_line(reading) || node.is_grid() || node.is_object(reading) {
        return true;
    }
    match node {
        Node::List(nodes) => {
            givens::of(nodes).is_some() || (depth > 0 && nodes.iter().any(|node| has_puzzle(node, depth - 1, reading)))
        }
        Node::Map(entries) => {
            depth > 0
                && entries
                    .iter()
                    .filter(|(key, _)| is_puzzle_key(key))
                    .any(|(_, node)| has_puzzle(node, depth - 1, reading))
        }
        Node::Leaf(_) => false,
        Node::Refused(_) => true,
    }
}

/// True for the rule of a variant.
fn is_rule((key, node): &(String, Node)) -> bool {
    let is_said = match node {
        Node::Map(entries) => !entries.is_empty(),
        Node::List(nodes) => !nodes.is_empty(),
        Node::Leaf(value) => value == &Value::Bool(true),
        Node::Refused(_) => false,
    };
    is_said && names_a_rule(key)
}

/// True unless a key names answers.
fn is_puzzle_key(key: &str) -> bool {
    Role::of(key) != Some(Role::Answer)
}

/// The puzzles of such JSON.
pub(super) fn read(origin: &str, body: Body<'_>, reading: &Reading, kept: &mut Kept<'_>) -> Result<()> {
    let (root, _) = tree(&body).ok_or_else(|| PuzzleError::Empty { origin: origin.to_owned() })?;
    walk(&root, origin, None, DEPTH, reading, kept)
}

/// Keeps the puzzles of a node, which stands at this place under this key.
fn walk(
    node: &Node,
    place: &str,
    key: Option<&str>,
    depth: usize,
    reading: &Reading,
    kept: &mut Kept<'_>,
) -> Result<()> {
    let key = key.filter(|_| !matches!(node, Node::List(nodes) if givens::of(nodes).is_some()));
    let cells = if let Node::List(nodes) = node { givens::of(nodes) } else { None };
    let grid = |node: &Node| JsonGrid::deserialize(node.value()).map_err(|error| unreadable(place, &error));
    let found = if let Some(cells) = cells {
        Some(cells.puzzle(place, reading))
    } else if node.is_object(reading) {
        let object = Object::deserialize(node.value()).map_err(|error| unreadable(place, &error));
        Some(object.and_then(|object| object.puzzle(place, None, reading)))
    } else if node.is_line(reading) || (node.is_grid() && !node.is_list_of_lines(reading)) {
        Some(grid(node).and_then(|grid| jsonl::grid(place, &grid, None, reading)))
    } else {
        None
    };
    if let Some(found) = found {
        let named =
            |puzzle: Puzzle| Puzzle { id: puzzle.id.or(key.map(|key| key.chars().take(80).collect())), ..puzzle };
        return match found.map(named) {
            Ok(Puzzle { kind: PuzzleKind::Arc(_), .. }) => {
                kept.fail(reading, PuzzleError::data(place, "neither a sudoku nor a maze"))
            }
            Ok(puzzle) if kept.answer(&puzzle) => Ok(()),
            Ok(puzzle) => kept.push(puzzle),
            Err(error) => kept.fail(reading, error),
        };
    }
    match node {
        Node::Refused(fault) => kept.fail(reading, PuzzleError::data(place, Fault::from(fault.clone()))),
        Node::Map(entries) if let Some((rule, _)) = entries.iter().find(|entry| is_rule(entry)) => {
            kept.fail(reading, more_rules(place, rule))
        }
        Node::List(nodes) if depth > 0 => nodes
            .iter()
            .enumerate()
            .try_for_each(|(index, node)| walk(node, &format!("{place}[{index}]"), None, depth - 1, reading, kept)),
        Node::Map(entries) if depth > 0 => {
            entries.iter().filter(|(key, _)| is_puzzle_key(key)).try_for_each(|(key, node)| {
                let shown: String = key.chars().take(80).collect();
                // A key that says what stands there is no name of a puzzle.
                let name = Some(key.as_str()).filter(|key| Role::of(key).is_none());
                walk(node, &format!("{place}[{shown}]"), name, depth - 1, reading, kept)
            })
        }
        _ => Ok(()),
    }
}

fn unreadable(place: &str, error: &serde_json::Error) -> PuzzleError {
    PuzzleError::data(place, Fault::from(trm_intake::Printable(&error.to_string()).to_string()))
}
