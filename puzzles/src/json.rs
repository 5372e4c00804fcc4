//! Numbers in JSON, with errors in a reader's words: serde's own name Rust's types.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// A number of JSON, and the expectation as a message states it.
pub(crate) trait Number: Sized {
    const EXPECTED: &'static str;

    /// Makes the number of a whole one; `None` if it does not fit.
    fn from_whole(value: i128) -> Option<Self>;

    /// Makes the number of one with a fraction or an exponent; `None` if it does not fit.
    fn from_float(_: f64) -> Option<Self> {
        None
    }
}

macro_rules! whole {
    ($($number:ty: $expected:literal),*) => { $(
        impl Number for $number {
            const EXPECTED: &'static str = $expected;

            fn from_whole(value: i128) -> Option<Self> {
                value.try_into().ok()
            }
        }
    )* };
}

whole!(u8: "a whole number from 0 to 255", i32: "a whole number of at most 32 bits", usize: "a whole number from 0");

impl Number for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_whole(value: i128) -> Option<Self> {
        Some(value as Self)
    }

    fn from_float(value: f64) -> Option<Self> {
        Some(value)
    }
}

/// A number that is read as a [`Number`], with its messages.
#[derive(Clone, Copy)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<'de, T: Number> Deserialize<'de> for Plain<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor(PhantomData)).map(Self)
    }
}

struct NumberVisitor<T>(PhantomData<T>);

impl<T: Number> Visitor<'_> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<T, E> {
        T::from_whole(value.into()).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<T, E> {
        T::from_whole(value.into()).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<T, E> {
        T::from_float(value).ok_or_else(|| E::invalid_type(Unexpected::Float(value), &self))
    }
}

/// Reads a number; for `#[serde(deserialize_with)]`.
pub(crate) fn number<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<T, D::Error> {
    Plain::deserialize(deserializer).map(|Plain(value)| value)
}

/// As [`number`], of one that may be null.
pub(crate) fn number_or_null<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(|Plain(value)| value))
}

/// As [`number`], of a list.
pub(crate) fn numbers<'de, D: Deserializer<'de>, T: Number>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::deserialize(deserializer)?.into_iter().map(|Plain(value)| value).collect())
}

/// As [`numbers`], of one that may be null.
pub(crate) fn numbers_or_null<'de, D: Deserializer<'de>, T: Number>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    let list: Option<Vec<Plain<T>>> = Option::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|Plain(value)| value).collect()))
}
