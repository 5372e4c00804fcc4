//! Grids that JSON spells out: cells that are objects, rows under a key each, or rows in which numbers and letters stand
//! together. They are written anew as rows of cells or of texts.

use serde_json::Value;

use super::givens::VALUES;
use super::json_rooms;
use super::json_tree::Node;
use super::{Reading, jsonl};
use crate::maze::MAX_SIDE;

/// Names of rows, and of cells within them, before their numbers.
const ROWS: [&str; 4] = ["", "row", "r", "line"];
const CELLS: [&str; 6] = ["", "cell", "col", "column", "c", "field"];

/// Writes such grids anew; false if there are none.
pub(super) fn rewrite(node: &mut Node) -> bool {
    let plain = rows_of_values(node)
        .or_else(|| rows_of_walls(node))
        .or_else(|| rows_of_words(node))
        .or_else(|| rows_of_objects(node))
        .or_else(|| numbered_rows(node))
        .or_else(|| json_rooms::drawn(node));
    if let Some(plain) = plain {
        *node = plain;
        return true;
    }
    match node {
        Node::Map(entries) => {
            let has_rooms = json_rooms::draw_with_ends(entries);
            entries.iter_mut().filter_map(|(_, node)| rewrite(node).then_some(())).count() > 0 || has_rooms
        }
        Node::List(nodes) => nodes.iter_mut().filter_map(|node| rewrite(node).then_some(())).count() > 0,
        Node::Leaf(_) | Node::Refused(_) => false,
    }
}

/// The rows of a grid whose cells are all of a kind; `None` for any other.
pub(super) fn rows_of<T>(node: &Node, cell: impl Fn(&Node) -> Option<T>) -> Option<Vec<Vec<T>>> {
    let Node::List(rows) = node else { return None };
    let row = |row: &Node| match row {
        Node::List(cells) if (2..=MAX_SIDE).contains(&cells.len()) => cells.iter().map(&cell).collect(),
        _ => None,
    };
    if !(2..=MAX_SIDE).contains(&rows.len()) {
        return None;
    }
    let rows = rows.iter().map(row).collect::<Option<Vec<Vec<T>>>>()?;
    rows.iter().all(|row| row.len() == rows[0].len()).then_some(rows)
}

/// Rows as a list of texts.
pub(super) fn texts(rows: impl IntoIterator<Item = String>) -> Node {
    Node::List(rows.into_iter().map(|row| Node::Leaf(row.into())).collect())
}

/// Cells that are a value under its name: `{"value": 5}`. What stands beside a value may say that it is not given.
fn rows_of_values(node: &Node) -> Option<Node> {
    let value = |node: &Node| match node {
        Node::Map(entries) => match &entries[..] {
            [(key, Node::Leaf(value))] if VALUES.iter().any(|name| key.eq_ignore_ascii_case(name)) => {
                let leaf = Node::Leaf(value.clone());
                leaf.is_cell().then_some(leaf)
            }
            _ => None,
        },
        _ => None,
    };
    rows_of(node, value).map(|rows| Node::List(rows.into_iter().map(Node::List).collect()))
}

/// Cells that say if they are wall, and maybe start or goal: `{"wall": false, "start": true}`.
fn rows_of_walls(node: &Node) -> Option<Node> {
    let cell = |node: &Node| {
        let Node::Map(entries) = node else { return None };
        let (mut is_wall, mut end) = (None, None);
        for (key, node) in entries {
            let &Node::Leaf(Value::Bool(is)) = node else { return None };
            match key.to_ascii_lowercase().as_str() {
                "wall" | "iswall" | "is_wall" => is_wall = Some(is),
                _ if !is => {}
                "start" | "startpoint" | "isstart" | "is_start" | "entry" | "entrance" => end = Some('S'),
                "end" | "endpoint" | "isend" | "is_end" | "exit" | "exitpoint" | "goal" | "isgoal" | "is_goal"
                | "finish" => end = end.is_none().then_some('G'),
                _ => return None,
            }
        }
        match (is_wall?, end) {
            (true, None) => Some('#'),
            (false, end) => Some(end.unwrap_or('.')),
            (true, Some(_)) => None,
        }
    };
    rows_of(node, cell).map(|rows| texts(rows.into_iter().map(String::from_iter)))
}

/// Rows in which numbers and letters stand together, or -1 does: as text, in which they mean the same.
fn rows_of_words(node: &Node) -> Option<Node> {
    let word = |node: &Node| match node {
        Node::Leaf(Value::Number(number)) => number.as_i64().filter(|number| *number >= -1).map(|n| n.to_string()),
        Node::Leaf(Value::String(text)) if text.len() == 1 => {
            text.chars().all(|c| c == '.' || c.is_ascii_alphanumeric()).then(|| text.clone())
        }
        _ => None,
    };
    let Node::List(rows) = node else { return None };
    let has = |is: fn(&Node) -> bool| rows.iter().any(|row| matches!(row, Node::List(cells) if cells.iter().any(is)));
    let has_text = has(|cell| matches!(cell, Node::Leaf(Value::String(_))));
    let has_number = has(|cell| matches!(cell, Node::Leaf(Value::Number(_))));
    let has_minus_one = || has(|cell| matches!(cell, Node::Leaf(Value::Number(number)) if number.as_i64() == Some(-1)));
    if !has_number || !(has_text || has_minus_one()) {
        return None;
    }
    let rows = rows_of(node, word)?;
    let width = rows.iter().flatten().map(String::len).max().filter(|&width| width < 4)?;
    let row = |row: Vec<String>| row.iter().map(|word| format!("{word:>width$}")).collect::<Vec<_>>().join(" ");
    let rows = rows.into_iter().map(row).collect::<Vec<_>>();
    // Rows that are puzzles by themselves are no rows.
    (!rows.iter().any(|row| jsonl::is_whole(row, &Reading::default()))).then(|| texts(rows))
}

/// Rows that are a text under the same key each: `[{"maze": "*** *"}, …]`.
fn rows_of_objects(node: &Node) -> Option<Node> {
    let Node::List(nodes) = node else { return None };
    let row = |node: &Node| match node {
        Node::Map(entries) => match &entries[..] {
            [(key, Node::Leaf(Value::String(text)))] if !text.contains(['\n', '/']) => {
                Some((key.clone(), text.clone()))
            }
            _ => None,
        },
        _ => None,
    };
    if !(4..=MAX_SIDE).contains(&nodes.len()) {
        return None;
    }
    let (keys, rows): (Vec<_>, Vec<_>) = nodes.iter().map(row).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let width = rows[0].chars().count();
    let is_row = |row: &String| row.chars().count() == width;
    if !(4..=MAX_SIDE).contains(&width) || keys.iter().any(|key| *key != keys[0]) || !rows.iter().all(is_row) {
        return None;
    }
    // Or puzzles that are a text each.
    let is_sudoku = |row: &String| jsonl::is_whole(row, &Reading::default());
    let are_puzzles = rows.iter().any(is_sudoku) || rows.iter().all(|row| jsonl::is_maze(row));
    (!are_puzzles).then(|| texts(rows))
}

/// Rows under a number each, of cells under a number each: `{"row0": {"cell0": 5, …}, …}`. A row that is called one may be a
/// list or a text as well.
fn numbered_rows(node: &Node) -> Option<Node> {
    let (name, rows) = numbered(unwrapped(node), &ROWS)?;
    let cells = |row: &Node| match row {
        Node::List(cells) if !name.is_empty() && cells.iter().all(Node::is_cell) => {
            cells.iter().map(leaf).collect::<Option<Vec<_>>>()
        }
        _ => numbered(row, &CELLS).and_then(|(_, cells)| cells.into_iter().map(leaf).collect()),
    };
    let rows = rows.into_iter().map(unwrapped);
    let text = |row: &Node| match row {
        Node::Leaf(Value::String(text)) if !name.is_empty() => Some(text.clone()),
        _ => None,
    };
    if let Some(rows) = rows.clone().map(text).collect::<Option<Vec<_>>>() {
        let is_row = |row: &String| row.chars().count() == rows.len();
        let is_puzzle = |row: &String| jsonl::is_whole(row, &Reading::default());
        return (rows.iter().all(is_row) && !rows.iter().any(is_puzzle)).then(|| texts(rows));
    }
    let rows = rows.map(cells).collect::<Option<Vec<_>>>()?;
    rows.iter().all(|row| row.len() == rows[0].len()).then(|| Node::List(rows.into_iter().map(Node::List).collect()))
}

/// The only node of a list of one.
fn unwrapped(node: &Node) -> &Node {
    match node {
        Node::List(nodes) if nodes.len() == 1 => &nodes[0],
        node => node,
    }
}

fn leaf(node: &Node) -> Option<Node> {
    match node {
        Node::Leaf(value) if node.is_cell() => Some(Node::Leaf(value.clone())),
        _ => None,
    }
}

/// The nodes under one of these names with the numbers from 0 or from 1, in their order; at least four.
fn numbered<'n>(node: &'n Node, names: &[&'static str]) -> Option<(&'static str, Vec<&'n Node>)> {
    let Node::Map(entries) = node else { return None };
    if !(4..=MAX_SIDE).contains(&entries.len()) {
        return None;
    }
    let name = |key: &str| key.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['_', '-', ' ']).len();
    let first = &entries[0].0;
    let named = &first[..name(first)];
    let known = names.iter().find(|known| named.eq_ignore_ascii_case(known))?;
    let start = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = |key: &str| key.strip_prefix(start).and_then(|number| number.parse::<usize>().ok());
    let mut nodes = entries.iter().map(|(key, node)| Some((number(key)?, node))).collect::<Option<Vec<_>>>()?;
    nodes.sort_by_key(|(number, _)| *number);
    let from = nodes[0].0;
    let is_next = |(at, (number, _)): (usize, &(usize, &Node))| at.checked_add(from) == Some(*number);
    (from < 2 && nodes.iter().enumerate().all(is_next))
        .then(|| (*known, nodes.into_iter().map(|(_, node)| node).collect()))
}
