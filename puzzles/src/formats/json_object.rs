//! Objects with a puzzle: their keys, looked at before any grid is read, and what stands under them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::json_grid::JsonGrid;
use super::keys::{Role, names_a_rule};

/// True if a text is in this form: its first line, or all of it, is an object with a puzzle of its own.
pub(super) fn looks_like(body: &[u8]) -> bool {
    has_puzzle(first_line(body)) || has_puzzle(body)
}

/// True if a text is one object with a puzzle that takes more than a line.
pub(super) fn is_spread(body: &[u8]) -> bool {
    !has_puzzle(first_line(body)) && has_puzzle(body)
}

fn first_line(body: &[u8]) -> &[u8] {
    body.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
}

fn has_puzzle(json: &[u8]) -> bool {
    /// Two findings: a puzzle among the keys, a task of ARC.
    struct Keys(bool, bool);
    impl<'de> Deserialize<'de> for Keys {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(KeysVisitor)
        }
    }
    struct KeysVisitor;
    impl<'de> Visitor<'de> for KeysVisitor {
        type Value = Keys;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
            let mut keys = Keys(false, false);
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                if Key::of(&key).is_some_and(Key::is_question) {
                    keys.0 |= map.next_value::<Shape>()? == Shape::Grid;
                } else {
                    keys.1 |= key == "test";
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(keys)
        }
    }
    json.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Keys>(json).is_ok_and(|Keys(puzzle, task)| puzzle && !task)
}

/// The kind of a value: `puzzle` can be the id of an ARC task as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Grid,
    Object,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a grid")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Shape, A::Error> {
        while rows.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Grid)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shape::Object)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Grid)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Grid)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Grid)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Grid)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Grid)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Object)
    }
}

/// The meaning of a key of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Question,
    /// The puzzle, under the name that ARC has for it too.
    Input,
    /// The puzzle, or a number.
    MaybeQuestion,
    Answer,
    /// An answer, a list of them, or how many there are, as `trm solve --json` prints it.
    MaybeAnswer,
    Id,
    Size,
    Boxes,
    Start,
    Goal,
    /// The rule of a variant.
    Rule,
}

impl Key {
    pub(super) fn of(key: &str) -> Option<Self> {
        Some(match key {
            "input" => Self::Input,
            "rows" | "values" | "clues" | "givens" => Self::MaybeQuestion,
            "solutions" => Self::MaybeAnswer,
            "size" => Self::Size,
            "boxes" => Self::Boxes,
            "start" | "entrance" | "entry" => Self::Start,
            "end" | "goal" | "exit" | "finish" => Self::Goal,
            _ if names_a_rule(key) => Self::Rule,
            _ => match Role::of(key)? {
                Role::Question => Self::Question,
                Role::Answer => Self::Answer,
                Role::Id => Self::Id,
            },
        })
    }

    fn is_question(self) -> bool {
        matches!(self, Self::Question | Self::Input | Self::MaybeQuestion)
    }
}

/// An object with a puzzle. Keys without a meaning here are passed over; of several puzzles the first is taken.
#[derive(Default)]
pub(super) struct Object {
    pub(super) question: Option<JsonGrid>,
    /// True if the puzzle stands under the name that ARC has for it too.
    pub(super) is_input: bool,
    pub(super) answer: Option<JsonGrid>,
    pub(super) id: Option<String>,
    /// Rows and columns, where the grid is one line: as `trm solve --json` prints it.
    pub(super) size: Option<[usize; 2]>,
    /// Rows and columns of a sudoku's boxes.
    pub(super) boxes: Option<[usize; 2]>,
    /// The start and the goal of a maze, as they stand beside it.
    pub(super) start: Option<[usize; 2]>,
    pub(super) goal: Option<[usize; 2]>,
    /// The rule that a sudoku has beside the usual ones.
    pub(super) rule: Option<String>,
}

/// The place of an end: two numbers, or a row and a column by name.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Place {
    Pair([usize; 2]),
    Named {
        #[serde(alias = "y", alias = "r")]
        row: usize,
        #[serde(alias = "col", alias = "x", alias = "c")]
        column: usize,
    },
}

impl Place {
    fn pair(self) -> [usize; 2] {
        match self {
            Self::Pair(pair) => pair,
            Self::Named { row, column } => [row, column],
        }
    }
}

/// A value of a type, or another one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Maybe<T> {
    Is(T),
    Other(IgnoredAny),
}

impl<T> Maybe<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

/// True for a value that says something: true, or a list or an object that is not empty.
struct Filled(bool);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(truth) => truth,
            serde_json::Value::Array(list) => !list.is_empty(),
            serde_json::Value::Object(object) => !object.is_empty(),
            _ => false,
        }))
    }
}

/// The name of a puzzle, a text or a number.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a number")]
enum Id {
    Text(String),
    Number(i64),
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a grid as `puzzle`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object::default();
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match Key::of(&name) {
                Some(key) if key.is_question() && object.question.is_none() => {
                    object.question = match key {
                        Key::MaybeQuestion => map.next_value::<Maybe<JsonGrid>>()?.value(),
                        _ => map.next_value()?,
                    };
                    object.is_input = key == Key::Input && object.question.is_some();
                }
                Some(Key::Answer) if object.answer.is_none() => object.answer = map.next_value()?,
                Some(Key::MaybeAnswer) if object.answer.is_none() => {
                    object.answer = map.next_value::<Maybe<JsonGrid>>()?.value().and_then(one_answer);
                }
                Some(Key::Id) => {
                    object.id = map.next_value::<Option<Id>>()?.map(|id| match id {
                        Id::Text(id) => id,
                        Id::Number(id) => id.to_string(),
                    });
                }
                Some(Key::Size) => object.size = map.next_value::<Maybe<_>>()?.value(),
                Some(Key::Start) => object.start = map.next_value::<Maybe<Place>>()?.value().map(Place::pair),
                Some(Key::Goal) => object.goal = map.next_value::<Maybe<Place>>()?.value().map(Place::pair),
                Some(Key::Rule) => {
                    let Filled(is_filled) = map.next_value()?;
                    object.rule = object.rule.or_else(|| is_filled.then(|| name.into_owned()));
                }
                Some(Key::Boxes) => object.boxes = map.next_value::<Maybe<_>>()?.value(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(object)
    }
}

/// The answer of a list that has one; of a text that is longer than a number.
fn one_answer(answers: JsonGrid) -> Option<JsonGrid> {
    match answers {
        JsonGrid::Text(text) if text.len() < 16 => None,
        JsonGrid::Rows(rows) if rows.is_empty() => None,
        // Rows of a grid are as many as they have cells; a list of answers has longer ones.
        JsonGrid::Rows(mut rows) if rows.iter().all(|row| row.len() >= 16 && row.len() >= rows.len().pow(2)) => {
            (rows.len() == 1).then(|| JsonGrid::Text(rows.remove(0)))
        }
        grid => Some(grid),
    }
}
