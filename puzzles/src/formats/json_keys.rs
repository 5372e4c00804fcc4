//! The keys of JSON objects, looked at before any grid is read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::csv::QUESTIONS;

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
                if key == "input" || key == "rows" || key == "values" || QUESTIONS.contains(&key.as_ref()) {
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
