//! Names under which puzzles and their answers stand, in tables and in JSON.

use trm_intake::{Fault, Printable};

use crate::PuzzleError;

/// The meaning of a column or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The puzzle.
    Question,
    /// Its answer.
    Answer,
    /// Its name.
    Id,
}

const QUESTIONS: [&str; 17] = [
    "puzzle",
    "puzzles",
    "question",
    "questions",
    "quiz",
    "quizzes",
    "sudoku",
    "sudokus",
    "unsolved",
    "input",
    "board",
    "grid",
    "problem",
    "maze",
    "mission",
    "clues",
    "givens",
];
const ANSWERS: [&str; 9] =
    ["answer", "answers", "solution", "solutions", "solved", "output", "label", "labels", "result"];
const IDS: [&str; 3] = ["id", "name", "title"];

impl Role {
    /// The meaning of a name, in either case, in quotes or not; `None` for any other.
    pub(super) fn of(name: &str) -> Option<Self> {
        let name = name.trim().trim_matches('"').trim();
        let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let roles = [(is(&QUESTIONS), Self::Question), (is(&ANSWERS), Self::Answer), (is(&IDS), Self::Id)];
        roles.into_iter().find(|(is, _)| *is).map(|(_, role)| role)
    }
}

/// Parts of names of rules that a sudoku can have beside the usual ones, in small letters.
const RULES: [&str; 27] = [
    "thermo",
    "arrow",
    "kropki",
    "whisper",
    "killer",
    "cage",
    "palindrome",
    "renban",
    "sandwich",
    "quadruple",
    "regionsum",
    "betweenline",
    "littlekiller",
    "zipper",
    "nabner",
    "entropic",
    "modular",
    "skyscraper",
    "xsum",
    "antiknight",
    "antiking",
    "nonconsecutive",
    "disjoint",
    "inequalit",
    "extraregion",
    "dominoes",
    "clones",
];

/// True for a key beside a sudoku that names a rule of a variant.
pub(super) fn names_a_rule(key: &str) -> bool {
    if key.len() > 40 {
        return false;
    }
    let key = key.chars().filter(|c| c.is_alphabetic()).map(|c| c.to_ascii_lowercase()).collect::<String>();
    RULES.iter().any(|rule| key.contains(rule))
}

/// The error of a sudoku that has such a rule.
pub(super) fn more_rules(place: &str, key: &str) -> PuzzleError {
    let key = Printable(key).to_string();
    PuzzleError::data(
        place,
        Fault::from(format!("a sudoku with more rules than the usual ones: `{key}`"))
            .advise("only rows, columns and boxes are known"),
    )
}
