//! The characters of a maze: which is its wall, which its start.

use super::census::{Census, Seen};
use crate::maze::{FREE, GOAL, PATH, START, WALL};

/// Characters that walls are drawn with, the surest first.
const WALLS: &str = "#@█▓▒■▮%XxWw&*1";
/// Characters of free cells.
const FREES: &str = " ._·•∙░-0";
/// Characters of a way, the first that is nothing else being taken.
const PATHS: &str = "o*+~:";
/// Starts with their goals. Of the first it is enough if one is there.
const ENDS: [(char, char); 41] = [
    ('S', 'G'),
    ('S', 'E'),
    ('S', 'F'),
    ('S', 'T'),
    ('A', 'B'),
    ('s', 'e'),
    ('s', 'g'),
    ('s', 'f'),
    ('s', 't'),
    ('a', 'b'),
    ('S', 'X'),
    ('P', '.'),
    ('P', 'K'),
    ('P', 'G'),
    ('P', 'E'),
    ('p', 'g'),
    ('I', 'O'),
    ('I', 'X'),
    ('B', 'E'),
    ('^', 'E'),
    ('@', 'X'),
    ('@', 'E'),
    ('r', 'e'),
    ('R', 'E'),
    ('x', 'y'),
    ('1', 'X'),
    ('R', 'C'),
    ('S', 'D'),
    ('s', 'd'),
    ('D', 'A'),
    ('d', 'a'),
    ('M', 'G'),
    ('S', 'Z'),
    ('s', 'z'),
    ('I', 'F'),
    ('i', 'f'),
    ('I', 'M'),
    ('P', '*'),
    ('S', 'W'),
    ('X', 'W'),
    ('s', 'i'),
];
/// Wall, free cell, start and goal of mazes whose characters mean something else elsewhere.
const LEGENDS: [&str; 12] =
    ["moda", "MODA", "#.*o", "# *o", "*-#$", "# @$", "XbpG", "@*1X", "o#@%", "# ><", "H.SG", "HFSG"];

/// The characters that a maze is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Letters {
    pub(in super::super) wall: char,
    pub(in super::super) free: char,
    pub(in super::super) start: char,
    pub(in super::super) goal: char,
    pub(in super::super) path: char,
    /// A second wall, around everything.
    pub(in super::super) frame: Option<char>,
    /// Two doors in the border, which are alike.
    pub(in super::super) door: Option<char>,
}

impl Default for Letters {
    fn default() -> Self {
        Self { wall: '#', free: ' ', start: 'S', goal: 'G', path: 'o', frame: None, door: None }
    }
}

/// True for a character that mazes are drawn with.
pub(super) fn is_known(character: char) -> bool {
    // Most characters by far.
    matches!(character, '#' | ' ' | '.' | 'o')
        || WALLS.contains(character)
        || FREES.contains(character)
        || ENDS.iter().any(|&(start, goal)| start == character || goal == character)
}

impl Letters {
    /// The letters of a maze of these characters; the first that does not belong to it where there is one.
    pub(super) fn of(characters: impl Iterator<Item = char>) -> Result<Self, char> {
        Self::known(&Census::of(characters.map(|character| (character, false)))?)
    }

    /// These characters, in the order in which a maze says them itself: wall, free, path, start and goal.
    pub(super) fn said(characters: &str) -> Option<Self> {
        let characters: [char; 5] = characters.chars().collect::<Vec<_>>().try_into().ok()?;
        let [wall, free, path, start, goal] = characters;
        let distinct = (0..5).all(|at| !characters[..at].contains(&characters[at]));
        distinct.then_some(Self { wall, free, start, goal, path, frame: None, door: None })
    }

    /// The letters that a maze can be meant in, the usual ones first: of 0 and 1 either can be its wall.
    ///
    /// # Errors
    /// The first character that does not belong to it.
    pub(super) fn all(census: &Census) -> Result<Vec<Self>, char> {
        if let Some(letters) = Self::legend(census) {
            return Ok(vec![letters]);
        }
        if let Some(letters) = Self::binary(census) {
            return Ok(letters.to_vec());
        }
        let told = Self::walled(census).map_or_else(|| Self::known(census), Ok);
        told.or_else(|odd| Self::enclosed(census).ok_or(odd)).map(|letters| vec![letters])
    }

    /// The letters of two digits, one of which is all of the border, and two that are there once: `8 8 8`, `8 2 1`, ….
    fn walled(census: &Census) -> Option<Self> {
        let is_digit = |seen: Seen| seen.character.is_ascii_digit();
        let mut many = census.iter().filter(|seen| seen.times > 2).map(|seen| seen.character);
        let (Some(one), Some(other), None) = (many.next(), many.next(), many.next()) else { return None };
        let (start, goal) = Self::ends(census, |c| c == one || c == other);
        let is_end = |c: char| census.times(c) == 1;
        let wall = [one, other].into_iter().find(|&c| c != '0' && census.surrounds(c, [start, goal]))?;
        let free = if wall == one { other } else { one };
        let is_whole = census.iter().count() == 4 && is_end(start) && is_end(goal) && census.iter().all(is_digit);
        is_whole.then_some(Self { wall, free, start, goal, ..Self::default() })
    }

    /// The letters that a maze with its answer may be drawn in. Where no free cell is left, they are more.
    pub(super) fn drawn(census: &Census) -> Vec<Self> {
        let (start, goal) = Self::ends(census, |c| "01".contains(c));
        let one = Self { wall: '1', free: '0', start, goal, ..Self::default() };
        let digits = [one, Self { wall: '0', free: '1', ..one }];
        let mut all = Self::legends().chain(digits).map(|letters| letters.with_path(census)).collect::<Vec<_>>();
        let others = Self::known(census).ok().into_iter().chain(Self::enclosed(census));
        // What looks free may be the way.
        all.extend(others.flat_map(|letters| [letters, Self { free: ' ', path: letters.free, ..letters }]));
        all.retain(|letters| census.times(letters.start) == 1 && census.times(letters.goal) == 1);
        all
    }

    fn legends() -> impl Iterator<Item = Self> {
        LEGENDS.iter().filter_map(|legend| {
            let mut legend = legend.chars();
            Some(Self {
                wall: legend.next()?,
                free: legend.next()?,
                start: legend.next()?,
                goal: legend.next()?,
                ..Self::default()
            })
        })
    }

    /// The letters of a legend in which all characters are, its ends once.
    fn legend(census: &Census) -> Option<Self> {
        let fits = |letters: &Self| {
            let Self { wall, free, start, goal, .. } = *letters;
            let is_end = |c: char| census.times(c) == 1;
            census.times(wall) > 1
                && census.times(free) > 0
                && is_end(start)
                && is_end(goal)
                && census.iter().all(|seen| [wall, free, start, goal].contains(&seen.character))
        };
        Self::legends().map(|letters| letters.with_path(census)).find(fits)
    }

    /// True for two digits and ends.
    pub(super) fn is_binary(census: &Census) -> bool {
        Self::binary(census).is_some() || Self::walled(census).is_some()
    }

    /// True if other digits than 0 and 1 are its wall, or its way.
    pub(super) fn is_odd(self) -> bool {
        matches!(self.wall, '2'..='9') || self.path.is_ascii_digit()
    }

    /// The start and the goal, if they are numbers that say nothing of which is which.
    pub(super) fn numbered(self) -> Option<(char, char)> {
        let ends = (self.start, self.goal);
        (self.start.is_ascii_digit() && self.goal.is_ascii_digit() && ends != ('2', '3')).then_some(ends)
    }

    /// The letters that answers are printed in: numbers for ends become letters, since 2 and 3 are no usual ones.
    pub(super) fn printed(self) -> Self {
        let path = if self.path.is_ascii_digit() { 'o' } else { self.path };
        if self.start.is_ascii_digit() { Self { start: 'S', goal: 'G', path, ..self } } else { Self { path, ..self } }
    }

    /// A maze of 0 and 1, either of which may be its wall.
    fn binary(census: &Census) -> Option<[Self; 2]> {
        let frame = census.frame().filter(|frame| !"01".contains(*frame));
        let (start, goal) = Self::ends(census, |c| "01".contains(c) || Some(c) == frame);
        let (wall, free, door) = ('1', '0', census.door());
        let mut letters = Self { wall, free, start, goal, frame, door, ..Self::default() }.with_path(census);
        // A way that was drawn already, from one gap in the border to the other.
        if census.times('2') > 2 && census.times(start) + census.times(goal) == 0 {
            letters.path = '2';
        }
        let belongs = |seen: Seen| letters.cell(seen.character).is_some();
        (census.times('0') > 0 && census.times('1') > 2 && census.iter().all(belongs))
            .then_some([letters, Self { wall: '0', free: '1', ..letters }])
    }

    /// The letters of a maze of characters that are known.
    fn known(census: &Census) -> Result<Self, char> {
        let has_wall = |but: char| census.iter().any(|seen| seen.character != but && WALLS.contains(seen.character));
        let (start, goal) = Self::ends(census, |c| WALLS.contains(c) && !has_wall(c));
        let rest = || census.iter().map(|seen| seen.character).filter(move |&c| c != start && c != goal);
        // One cell alone is not what walls are made of, where something else is.
        let frame = census.side().filter(|&c| WALLS.contains(c) && has_wall(c));
        let is_wall =
            |c: char| Some(c) != frame && rest().any(|other| other == c) && (census.times(c) > 1 || !has_wall(c));
        let mut walls = WALLS.chars().filter(|&wall| is_wall(wall));
        let mut frees = FREES.chars().filter(|&free| rest().any(|c| c == free));
        let wall = walls.next();
        let free = frees.next();
        let second = walls.next();
        // A way that was drawn already; what is not wall, where nothing else is free.
        let path = if second == Some('*') && free.is_some() && !rest().any(|c| c == 'o') { '*' } else { 'o' };
        let free = free.or(second.filter(|&second| second == '*'));
        let (wall, free) = (wall.unwrap_or('#'), free.unwrap_or(' '));
        let letters = Self { wall, free, start, goal, path, frame, door: None };
        match rest().find(|&c| letters.value(c).is_none()) {
            Some(odd) => Err(odd),
            None => Ok(letters),
        }
    }

    /// The letters of a maze of two characters and its ends, of which the wall is what encloses it.
    fn enclosed(census: &Census) -> Option<Self> {
        let mut many = census.iter().filter(|seen| seen.times > 1).map(|seen| seen.character);
        let (Some(one), Some(other), None) = (many.next(), many.next(), many.next()) else { return None };
        let is_wall =
            |c: char| census.encloses(c) || (WALLS.contains(c) && !census.encloses(one) && !census.encloses(other));
        let (wall, free) = if is_wall(one) { (one, other) } else { (other, one) };
        let (start, goal) = Self::ends(census, |c| c == wall || c == free);
        let letters = Self { wall, free, start, goal, ..Self::default() }.with_path(census);
        let is_said = |seen: Seen| [wall, free, start, goal].contains(&seen.character);
        // Other digits are a sudoku's.
        let is_digit = [wall, free].iter().any(|c| ('1'..='9').contains(c));
        (is_wall(wall) != is_wall(free) && !is_digit && census.iter().all(is_said)).then_some(letters)
    }

    /// The start and the goal, each there once: a pair that is known, or two numbers. `is_taken` for what is no end.
    fn ends(census: &Census, is_taken: impl Fn(char) -> bool) -> (char, char) {
        let first = ENDS[0];
        let times = |c: char| census.times(c);
        if times(first.0) > 0 && times(first.1) > 0 {
            return first;
        }
        let is_end = |c: char| times(c) == 1 && !is_taken(c);
        let known = ENDS.iter().copied().find(|&(start, goal)| is_end(start) && is_end(goal));
        let numbers = || {
            let mut numbers = ('1'..='9').filter(|&c| is_end(c));
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(start), Some(goal), None) if start as u32 + 1 == goal as u32 => Some((start, goal)),
                _ => None,
            }
        };
        // A start or a goal of numbers may be in the border, as a gap.
        let one = || [('2', '3')].into_iter().find(|&(start, goal)| is_end(start) != is_end(goal));
        known
            .or_else(numbers)
            .or_else(|| if times(first.0) + times(first.1) > 0 { None } else { one() })
            .unwrap_or(first)
    }

    /// The same where what seems to be a way is what is free: nothing else is.
    pub(super) fn without_path(self) -> Self {
        let path = PATHS.chars().find(|&path| ![self.wall, self.path, self.start, self.goal].contains(&path));
        Self { free: self.path, path: path.unwrap_or('+'), ..self }
    }

    /// Takes a path that is no other letter.
    fn with_path(self, census: &Census) -> Self {
        let is_other = |path: char| [self.wall, self.free, self.start, self.goal].contains(&path);
        let is_there = |path: char| census.times(path) > 0 && !is_other(path);
        let path = PATHS.chars().find(|&path| is_there(path)).or_else(|| PATHS.chars().find(|&path| !is_other(path)));
        Self { path: path.unwrap_or('o'), ..self }
    }

    /// The value of a character. Space and dot are free wherever neither is something else.
    pub(super) fn value(self, character: char) -> Option<u8> {
        self.cell(character).or(match character {
            ' ' | '.' => Some(FREE),
            '#' | '@' => Some(WALL),
            _ => None,
        })
    }

    /// The value of one of these letters.
    fn cell(self, character: char) -> Option<u8> {
        Some(match character {
            c if c == self.start => START,
            c if c == self.goal => GOAL,
            c if c == self.wall => WALL,
            c if c == self.path => PATH,
            c if c == self.free => FREE,
            c if Some(c) == self.frame => WALL,
            c if Some(c) == self.door => FREE,
            _ => return None,
        })
    }
}
