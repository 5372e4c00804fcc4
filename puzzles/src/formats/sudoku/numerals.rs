//! The characters of a sudoku: which stand for 1 to n, and which is the blank.

use super::super::Reading;

/// The characters that stand for 1 to n.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Numerals {
    /// 1 to 9, then letters from A: `1-G` for 16.
    #[default]
    FromOne,
    /// 0 to 9, then letters from A: `0-F` for 16.
    FromZero,
    /// Letters from A: `A-P` for 16.
    Letters,
}

impl Numerals {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::FromOne, Self::Letters, Self::FromZero];

    /// The character of a value of 1 to 25.
    #[must_use]
    pub fn symbol(self, value: u8) -> Option<char> {
        let place = match self {
            Self::FromOne => value,
            Self::FromZero => value.checked_sub(1)?,
            Self::Letters => value.checked_add(9)?,
        };
        let letter = || char::from(b'A' + (place - 10));
        match place {
            0 if self == Self::FromOne => None,
            0..=9 => Some(char::from(b'0' + place)),
            10..=35 => Some(letter()),
            _ => None,
        }
    }

    /// The value of a character, letters in either case.
    #[must_use]
    pub fn value(self, character: char) -> Option<u8> {
        let place = character.to_digit(36)? as u8;
        let value = match self {
            Self::FromOne => place,
            Self::FromZero => place + 1,
            Self::Letters => place.checked_sub(9)?,
        };
        (1..=25).contains(&value).then_some(value)
    }

    /// The first and the last character of a side, as `--symbols` takes them: `1-9`.
    #[must_use]
    pub fn range(self, side: usize) -> String {
        let ends = [1, side as u8].map(|value| self.symbol(value).unwrap_or('?'));
        format!("{}-{}", ends[0], ends[1])
    }
}

/// The way in which a sudoku is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) numerals: Numerals,
    /// The character of a blank cell, where there is one.
    pub(super) blank: Option<char>,
}

/// The reason that characters are no sudoku's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Neither a symbol of this size nor the blank.
    Unknown(char),
    /// Zero and another blank: zero may be a symbol.
    ZeroAndBlank(char),
}

/// Blanks that a puzzle may consist of.
const BLANKS: &str = ".0_-*xX? ·•□";

impl Written {
    /// Counts the characters of a puzzle of this side: those that are no symbols can only be one, the blank.
    pub(super) fn count(side: usize, cells: impl Iterator<Item = char>, reading: &Reading) -> Result<Self, Misfit> {
        // Few: each is looked for in a list.
        let mut distinct: Vec<(char, usize)> = Vec::new();
        for character in cells {
            match distinct.iter_mut().find(|(known, _)| *known == character) {
                Some((_, times)) => *times += 1,
                None => distinct.push((character, 1)),
            }
        }
        let is_symbol = |numerals: Numerals, c: char| {
            Some(c) != reading.blank && numerals.value(c).is_some_and(|value| usize::from(value) <= side)
        };
        let others =
            |numerals| distinct.iter().copied().filter(move |&(c, _)| !is_symbol(numerals, c)).collect::<Vec<_>>();
        let has_digit = distinct.iter().any(|&(c, _)| matches!(c, '1'..='9'));
        let has_zero = reading.blank != Some('0') && distinct.iter().any(|&(c, _)| c == '0');
        let may_be = |numerals: Numerals| match reading.symbols {
            Some(chosen) => numerals == chosen,
            None => match numerals {
                Numerals::FromOne => true,
                Numerals::Letters => !has_digit,
                // Zero is a symbol where something else is known to be the blank.
                Numerals::FromZero => has_zero && (side > 9 || reading.blank.is_some()),
            },
        };
        let fits = |numerals: &Numerals| {
            let others = others(*numerals);
            match others[..] {
                [] => true,
                [(blank, _)] => reading.blank.map_or_else(
                    || BLANKS.contains(blank) || (distinct.len() > 1 && !blank.is_ascii_digit() && !blank.is_control()),
                    |chosen| chosen == blank,
                ),
                _ => false,
            }
        };
        if let Some(numerals) = Numerals::ALL.into_iter().filter(|&numerals| may_be(numerals)).find(fits) {
            let blank = others(numerals).first().map(|&(blank, _)| blank);
            return Ok(Self { numerals, blank: blank.or(reading.blank) });
        }
        let numerals = reading.symbols.unwrap_or_default();
        let mut others = others(numerals);
        if let [(a, _), (b, _)] = others[..]
            && reading.blank.is_none()
            && (a == '0' || b == '0')
            && BLANKS.contains(a)
            && BLANKS.contains(b)
        {
            return Err(Misfit::ZeroAndBlank(if a == '0' { b } else { a }));
        }
        // What there is most of is the blank, unless it is said which.
        others.sort_by_key(|&(c, times)| (Some(c) == reading.blank, BLANKS.contains(c), times));
        Err(Misfit::Unknown(others.first().map_or('?', |&(c, _)| c)))
    }

    /// The value of a cell's character; 0 is blank.
    pub(super) fn value(self, side: usize, character: char) -> Option<u8> {
        if Some(character) == self.blank {
            return Some(crate::sudoku::BLANK);
        }
        self.numerals.value(character).filter(|&value| usize::from(value) <= side)
    }
}
