//! Names under which puzzles and their answers stand, in tables and in JSON.

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
