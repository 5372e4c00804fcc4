//! Mazes of rooms in JSON: rows of objects that say of their four sides if a wall is there, or if a way leads through.

use serde_json::Value;

use super::givens::{COLUMNS, ROWS};
use super::json_object::{Key, Place};
use super::json_spelled::{rows_of, texts};
use super::json_tree::Node;
use crate::maze::MAX_SIDE;

/// Names of the sides, clockwise from the top.
const SIDES: [&[&str]; 4] =
    [&["north", "n", "top", "up"], &["east", "e", "right"], &["south", "s", "bottom", "down"], &["west", "w", "left"]];
const NORTH: usize = 0;
const EAST: usize = 1;
const SOUTH: usize = 2;
const WEST: usize = 3;

/// A room: its sides, and its row and column as it says them.
struct Room {
    sides: [bool; 4],
    place: Option<[u64; 2]>,
}

impl Room {
    fn of(node: &Node) -> Option<Self> {
        let Node::Map(entries) = node else { return None };
        let (mut sides, mut row, mut column) = ([None; 4], None, None);
        for (key, node) in entries {
            let is = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
            let Node::Leaf(value) = node else { return None };
            match (SIDES.iter().position(|names| is(names)), value) {
                (Some(side), Value::Bool(is)) => sides[side] = Some(*is),
                (None, Value::Number(number)) if is(&ROWS) => row = Some(number.as_u64()?),
                (None, Value::Number(number)) if is(&COLUMNS) => column = Some(number.as_u64()?),
                // A generator leaves it behind.
                (None, Value::Bool(_)) if is(&["visited"]) => {}
                (None, Value::Bool(false) | Value::Null) => {}
                _ => return None,
            }
        }
        let [Some(north), Some(east), Some(south), Some(west)] = sides else { return None };
        let place = match (row, column) {
            (Some(row), Some(column)) => Some([row, column]),
            (None, None) => None,
            _ => return None,
        };
        Some(Self { sides: [north, east, south, west], place })
    }
}

/// Rooms, and their walls.
struct Rooms {
    rows: Vec<Vec<Room>>,
    /// The word of a side where a wall is.
    wall: bool,
    /// The number of the first row and column, where rooms say it.
    from: Option<u64>,
}

impl Rooms {
    /// The rooms of a grid of them; `None` for anything else.
    fn of(node: &Node) -> Option<Result<Self, String>> {
        let rows = rows_of(node, Room::of)?;
        (rows.len().max(rows[0].len()) * 2 < MAX_SIDE).then(|| Self::new(rows))
    }

    fn new(rows: Vec<Vec<Room>>) -> Result<Self, String> {
        let places = || rows.iter().zip(0_u64..).flat_map(|(row, at)| row.iter().zip((0_u64..).map(move |c| [at, c])));
        let from = rows[0][0].place.map(|[row, _]| row);
        let stands = |(room, place): (&Room, [u64; 2])| {
            room.place == from.and_then(|from| Some([place[0].checked_add(from)?, place[1].checked_add(from)?]))
        };
        if !places().all(stands) {
            return Err("rooms that do not stand where their rows and columns say".to_owned());
        }
        let (height, width) = (rows.len(), rows[0].len());
        let outer = || {
            let ends = rows.iter().flat_map(|row| [row[0].sides[WEST], row[width - 1].sides[EAST]]);
            let caps =
                rows[0].iter().zip(&rows[height - 1]).flat_map(|(top, low)| [top.sides[NORTH], low.sides[SOUTH]]);
            ends.chain(caps)
        };
        // Of the border, two gaps at most.
        let wall = match [true, false].map(|is| outer().filter(|&side| side == is).count()) {
            [_, ..=2] => true,
            [..=2, _] => false,
            _ => {
                return Err("rooms whose outer sides are neither all walls nor all ways: nothing tells which is true"
                    .to_owned());
            }
        };
        for (row, rooms) in rows.iter().enumerate() {
            for (column, room) in rooms.iter().enumerate() {
                let east = rooms.get(column + 1).is_some_and(|next| next.sides[WEST] != room.sides[EAST]);
                let south = rows.get(row + 1).is_some_and(|next| next[column].sides[NORTH] != room.sides[SOUTH]);
                if east || south {
                    let (side, other) = if east { ("east", "west") } else { ("south", "north") };
                    return Err(format!(
                        "the room in row {}, column {} says of its {side} side what the next one does not of its {other} side",
                        row + 1,
                        column + 1
                    ));
                }
            }
        }
        Ok(Self { rows, wall, from })
    }

    /// A block maze, with the ends in the rooms of these rows and columns.
    fn drawn(&self, ends: &[([usize; 2], char)]) -> Node {
        let (height, width) = (self.rows.len() * 2 + 1, self.rows[0].len() * 2 + 1);
        let mut blocks = vec![vec!['#'; width]; height];
        for (row, rooms) in self.rows.iter().enumerate() {
            for (column, room) in rooms.iter().enumerate() {
                let (row, column) = (row * 2 + 1, column * 2 + 1);
                let [north, east, south, west] = room.sides.map(|side| side != self.wall);
                let open = [
                    (true, row, column),
                    (north, row - 1, column),
                    (east, row, column + 1),
                    (south, row + 1, column),
                    (west, row, column - 1),
                ];
                for (_, row, column) in open.into_iter().filter(|(is, ..)| *is) {
                    blocks[row][column] = '.';
                }
            }
        }
        for &([row, column], end) in ends {
            blocks[row * 2 + 1][column * 2 + 1] = end;
        }
        texts(blocks.into_iter().map(String::from_iter))
    }

    /// The room that is said: by a row and a column, counted as the rooms are.
    fn place(&self, node: &Node, from: usize) -> Option<[usize; 2]> {
        let Ok(Place::Named { row, column }) = serde_json::from_value(node.value()) else { return None };
        let (row, column) = (row.checked_sub(from)?, column.checked_sub(from)?);
        (row < self.rows.len() && column < self.rows[0].len()).then_some([row, column])
    }
}

/// The block maze of rooms whose ends, if any, are gaps in the border.
pub(super) fn drawn(node: &Node) -> Option<Node> {
    Some(Rooms::of(node)?.map_or_else(Node::Refused, |rooms| rooms.drawn(&[])))
}

/// Draws the rooms of an object with the start and the goal that stand beside them; false if it has none of these.
pub(super) fn draw_with_ends(entries: &mut Vec<(String, Node)>) -> bool {
    let is_end = |key: &str| matches!(Key::of(key), Some(Key::Start | Key::Goal));
    if !entries.iter().any(|(key, _)| is_end(key)) {
        return false;
    }
    let Some((at, rooms)) = entries.iter().enumerate().find_map(|(at, (_, node))| Some((at, Rooms::of(node)?))) else {
        return false;
    };
    let maze = rooms.map_or_else(Node::Refused, |rooms| {
        let end = |key: Key| entries.iter().find(|(name, _)| Key::of(name) == Some(key)).map(|(_, node)| node);
        let says_zero = |node: &Node| rooms.place(node, 0).is_some() && rooms.place(node, 1).is_none();
        let ends = [end(Key::Start), end(Key::Goal)];
        let from = match rooms.from {
            Some(from) => usize::try_from(from).ok(),
            None => ends.iter().flatten().any(|node| says_zero(node)).then_some(0),
        };
        let place = |node: Option<&Node>| rooms.place(node?, from?);
        match ends.map(place) {
            [Some(start), Some(goal)] if start != goal => rooms.drawn(&[(start, 'S'), (goal, 'G')]),
            _ => Node::Refused(
                "rooms whose start and goal are not both said by `row` and `col`, counted as the rooms are".to_owned(),
            ),
        }
    });
    entries[at] = ("maze".to_owned(), maze);
    entries.retain(|(key, _)| !is_end(key));
    true
}
