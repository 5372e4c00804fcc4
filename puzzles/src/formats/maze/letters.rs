//! The characters of a maze: which is its wall, which its start.

use crate::maze::{FREE, GOAL, PATH, START, WALL};

/// Characters that walls are drawn with, the surest first.
const WALLS: &str = "#@█▓▒■▮%XxWw&*1";
/// Characters of free cells.
const FREES: &str = " ._·•∙░-0";
/// Starts with their goals. Of the first it is enough if one is there.
const ENDS: [(char, char); 15] = [
    ('S', 'G'),
    ('S', 'E'),
    ('S', 'F'),
    ('S', 'T'),
    ('A', 'B'),
    ('s', 'e'),
    ('s', 'g'),
    ('s', 'f'),
    ('a', 'b'),
    ('S', 'X'),
    ('P', '.'),
    ('P', 'K'),
    ('I', 'O'),
    ('B', 'E'),
    ('2', '3'),
];

/// The characters that a maze is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Letters {
    pub(in super::super) wall: char,
    pub(in super::super) free: char,
    pub(in super::super) start: char,
    pub(in super::super) goal: char,
    pub(in super::super) path: char,
}

impl Default for Letters {
    fn default() -> Self {
        Self { wall: '#', free: ' ', start: 'S', goal: 'G', path: 'o' }
    }
}

/// True for a character that mazes are drawn with.
pub(super) fn is_known(character: char) -> bool {
    WALLS.contains(character)
        || FREES.contains(character)
        || character == 'o'
        || ENDS.iter().any(|&(start, goal)| start == character || goal == character)
}

impl Letters {
    /// The letters of a maze of these characters; the first that does not belong to it where there is one.
    pub(super) fn of(characters: impl Iterator<Item = char>) -> Result<Self, char> {
        let mut distinct: Vec<(char, usize)> = Vec::new();
        for character in characters {
            if let Some((_, times)) = distinct.iter_mut().find(|(known, _)| *known == character) {
                *times += 1;
            } else if distinct.len() > 16 {
                // A text of many characters is no maze.
                return Err(character);
            } else {
                distinct.push((character, 1));
            }
        }
        let times = |sought: char| distinct.iter().find(|(c, _)| *c == sought).map_or(0, |&(_, times)| times);
        let has_wall = |but: char| distinct.iter().any(|&(c, _)| c != but && WALLS.contains(c));
        let once = |&&(start, goal): &&(char, char)| {
            times(start) == 1 && times(goal) == 1 && (!WALLS.contains(goal) || has_wall(goal))
        };
        let first = ENDS[0];
        let either = (times(first.0) > 0 && times(first.1) > 0).then_some(first);
        let one_of_first = (times(first.0) > 0 || times(first.1) > 0).then_some(first);
        let (start, goal) = either.or_else(|| ENDS.iter().find(once).copied()).or(one_of_first).unwrap_or(first);
        let rest = || distinct.iter().map(|&(c, _)| c).filter(move |&c| c != start && c != goal);
        let mut walls = WALLS.chars().filter(|&wall| rest().any(|c| c == wall));
        let mut frees = FREES.chars().filter(|&free| rest().any(|c| c == free));
        let wall = walls.next();
        let free = frees.next();
        let second = walls.next();
        // A way that was drawn already; what is not wall, where nothing else is free.
        let path = if second == Some('*') && free.is_some() && !rest().any(|c| c == 'o') { '*' } else { 'o' };
        let free = free.or(second.filter(|&second| second == '*'));
        let letters = Self { wall: wall.unwrap_or('#'), free: free.unwrap_or(' '), start, goal, path };
        match rest().find(|&c| letters.value(c).is_none()) {
            Some(odd) => Err(odd),
            None => Ok(letters),
        }
    }

    /// The value of a character. Space and dot are free wherever neither is something else.
    pub(super) fn value(self, character: char) -> Option<u8> {
        Some(match character {
            c if c == self.start => START,
            c if c == self.goal => GOAL,
            c if c == self.wall => WALL,
            c if c == self.path => PATH,
            c if c == self.free || c == ' ' || c == '.' => FREE,
            '#' | '@' => WALL,
            _ => return None,
        })
    }
}
