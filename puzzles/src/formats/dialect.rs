//! The dialects: the forms of text that puzzles come in, each with what tells it and what reads it.

use trm_intake::Budget;

use super::body::Body;
use super::kept::Kept;
use super::lines::{Line, lines};
use super::{
    Family, Found, Puzzle, PuzzleKind, Reading, arc_json, csv, givens, json_object, json_tree, jsonl, list, maze,
    sudoku,
};
use crate::{PuzzleError, Result};

/// A text, as dialects look at it.
pub(super) struct Text<'a> {
    pub(super) origin: &'a str,
    pub(super) body: Body<'a>,
    pub(super) lines: Vec<Line<'a>>,
}

impl Text<'_> {
    /// True if it begins as a JSON object or list of that bracket does.
    fn begins_with(&self, bracket: u8) -> bool {
        let Some(rest) = self.body.trim_ascii_start().strip_prefix(&[bracket]) else { return false };
        let next = rest.trim_ascii_start().first().copied().unwrap_or(b'}');
        match bracket {
            b'{' => matches!(next, b'"' | b'}'),
            // A section of a sudoku file: `[Puzzle]`.
            _ => matches!(next, b'[' | b'{' | b'"' | b']' | b'-' | b'n' | b'0'..=b'9'),
        }
    }
}

/// A form of text.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// Its name.
    pub name: &'static str,
    /// A description in words.
    pub about: &'static str,
    /// The kinds of puzzles that it can hold.
    pub families: &'static [Family],
    /// A text in it.
    pub example: &'static str,
    /// True if only it can be meant where it is told.
    sure: bool,
    tells: fn(&Text<'_>) -> bool,
    read: fn(&Text<'_>, &Reading, &mut Kept<'_>) -> Result<()>,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All dialects of text, in the order in which they are tried.
pub static DIALECTS: [Dialect; 18] = [
    Dialect {
        name: "json-tree",
        about: "puzzles under keys of their own, `{\"quizzes\": {\"a\": GRID, \"b\": GRID}}`, in a list under a key, or as a list of givens with `row`, `col` and `value`; grids whose cells are objects that say `value`, `wall`, or `north`, `east`, `south` and `west`, whose rows and cells stand under numbers, or whose rows are objects of one text",
        families: &[Family::Sudoku, Family::Maze],
        example: "{\"quizzes\": {\"first\": \"1..4..1.2..33..2\"}}\n",
        sure: true,
        tells: |text| (text.begins_with(b'{') || text.begins_with(b'[')) && json_tree::looks_like(&text.body),
        read: |text, reading, kept| json_tree::read(text.origin, text.body, reading, kept),
    },
    Dialect {
        name: "arc-json",
        about: "ARC tasks: one in a file, several by their ids, a list of them, or one a line",
        families: &[Family::Arc],
        example: "{\"train\": [{\"input\": [[1, 0]], \"output\": [[0, 1]]}], \"test\": [{\"input\": [[2, 0]]}]}\n",
        sure: true,
        tells: |text| (text.begins_with(b'{') || text.begins_with(b'[')) && !json_puzzles(text),
        read: |text, _, kept| arc_json::read(text.origin, text.body, kept),
    },
    Dialect {
        name: "json-lines",
        about: "an object a line, or one in all: the puzzle under `puzzle`, `input`, `question`, `quizzes`, `board`, `grid` or the like, its answer under `answer`, `output`, `solution` or the like; grids are texts, lists of rows, or lists of numbers",
        families: &Family::ALL,
        example: "{\"puzzle\": \"1..4..1.2..33..2\", \"answer\": \"1234341221434321\"}\n",
        sure: true,
        tells: |text| text.begins_with(b'{') && json_object::looks_like(&text.body),
        read: |text, reading, kept| jsonl::read(text.origin, text.body, &text.lines, None, reading, kept),
    },
    Dialect {
        name: "json-list",
        about: "a grid as a JSON list: rows, or all cells; or a list of such grids, texts or objects",
        families: &[Family::Sudoku, Family::Maze],
        example: "[[1, 0, 0, 4], [0, 0, 1, 0], [2, 0, 0, 3], [3, 0, 0, 2]]\n",
        sure: true,
        tells: |text| text.begins_with(b'[') && list::looks_like(&text.body),
        read: |text, reading, kept| list::read(text.origin, text.body, reading, kept),
    },
    Dialect {
        name: "csv",
        about: "a table whose first line names its columns: `quizzes,solutions`, `puzzle,solution`, `source,question,answer,rating` or the like",
        families: &[Family::Sudoku, Family::Maze],
        example: "quizzes,solutions\n1004001020033002,1234341221434321\n",
        sure: true,
        tells: |text| csv::looks_like(&text.lines),
        read: |text, reading, kept| csv::read(text.origin, text.body, reading, kept),
    },
    Dialect {
        name: "maze-answers",
        about: "answers of mazes as `trm solve` draws them: a line that ends in `maze of` and the size, the maze with the way in it, the verdict; the way becomes the answer beside the maze",
        families: &[Family::Maze],
        example: "mazes.txt:1  maze of 3x5\n#####\n#SoG#\n#####\nverified: path of 2 moves, a shortest one\n",
        sure: true,
        tells: |text| maze::looks_like_answers(&text.lines),
        read: |text, reading, kept| maze::read_answers(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "rooms",
        about: "a maze of rooms between walls: posts o or + at equal distances, walls --- and |, S and G within rooms, or two gaps in the border, which H and a point may mark; with a comma behind each character too",
        families: &[Family::Maze],
        example: "o---o---o\n| S   G |\no---o---o\n",
        sure: true,
        tells: |text| maze::looks_like_rooms(&text.lines),
        read: |text, reading, kept| maze::read_rooms(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "rooms-bare",
        about: "a maze of rooms without posts: lines of walls - and lines of rooms with | between them in turn; or | between rooms whose floor is _, below a line of _",
        families: &[Family::Maze],
        example: " - -\n|S  |\n   -\n|G  |\n - -\n",
        sure: true,
        tells: |text| maze::looks_like_bare(&text.lines),
        read: |text, reading, kept| maze::read_bare(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "num",
        about: "a micromouse contest's .num: a room a line, x, y and its walls north, east, south and west (.maz, a byte a room, is told by its name)",
        families: &[Family::Maze],
        example: include_str!("maze/example.num"),
        sure: true,
        tells: |text| maze::looks_like_numbers(&text.lines),
        read: |text, _, kept| kept.push(maze::numbers(text.origin, &text.lines)?),
    },
    Dialect {
        name: "hex",
        about: "a maze with a hexadecimal digit a room, whose bits 1, 2, 4, 8 are closed walls in the north, east, south and west; behind a blank line entry and exit as `column,row`",
        families: &[Family::Maze],
        example: "BB\nC6\n\n0,0\n1,0\nSEN\n",
        sure: true,
        tells: |text| maze::looks_like_hex(&text.lines),
        read: |text, _, kept| kept.push(maze::read_hex(text.origin, &text.lines)?),
    },
    Dialect {
        name: "map-width",
        about: "a map with MapWidth= and MapHeight=, its rows behind MapData, @ being wall; S and G in it; or its cells as the list pMap=, 1 free and 0 wall, with xStart=, yStart=, xTarget= and yTarget=",
        families: &[Family::Maze],
        example: "MapWidth=4\nMapHeight=2\nMapData\nS.@G\n....\n",
        sure: true,
        tells: |text| text.lines.iter().take(20).any(|line| line.text.trim_start().starts_with("MapWidth")),
        read: |text, _, kept| kept.push(maze::map_width(text.origin, &text.lines)?),
    },
    Dialect {
        name: "moving-ai",
        about: "a MovingAI map, whose starts and goals are in the .scen of the same name beside it",
        families: &[Family::Maze],
        example: "type octile\nheight 1\nwidth 2\nmap\n..\n",
        sure: true,
        tells: |text| {
            text.body.trim_ascii_start().starts_with(b"type ") || text.body.trim_ascii_start().starts_with(b"version ")
        },
        read: |text, _, _| {
            let fault = if is_pointer(&text.body) {
                trm_intake::Fault::from("a Git LFS pointer: the file itself is not here")
                    .advise("`git lfs pull` fetches it")
            } else {
                trm_intake::Fault::from("a MovingAI map has no start and goal of its own")
                    .advise("give the path of the .map with its .map.scen beside it")
            };
            Err(PuzzleError::Syntax { origin: text.origin.to_owned(), line: 1, fault })
        },
    },
    Dialect {
        name: "maze-described",
        about: "a maze whose first line says its height, its width and its characters: of a wall, a free cell, the way, the start and the goal, `3x5* o12` or `3 5 * . o 1 2`, where the free cell may be left out",
        families: &[Family::Maze],
        example: "3x5* o12\n*****\n*1 2*\n*****\n",
        sure: true,
        tells: |text| maze::is_described(&text.lines),
        read: |text, reading, kept| maze::read(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "maze",
        about: "a maze with a character a cell: # or █ X % @ for wall, space or . for free, S and G (or S and E, A and B, s and e, P and .) for its ends, or two gaps in the border; of other characters, the one around the maze is its wall. Its rows may stand in a line with / between, or its cells be O with - and | where a way leads from one to the next. Lines with its size and the places of its ends may stand before or behind it, a blank line parts mazes",
        families: &[Family::Maze],
        example: "#####\n#S G#\n#####\n",
        sure: false,
        tells: |text| !maze::looks_like_matrix(&text.lines) && maze::looks_like(&text.lines),
        read: |text, reading, kept| maze::read(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "maze-matrix",
        about: "a maze as a matrix of 0 and 1, with 2 and 3 (3 and 4, or letters) for start and goal, their places beside it, or two gaps in the border; with --as maze, its first and last cell. 1 is the wall, unless the border or the ends say that 0 is; another digit or -1 is, where it is all of the border. 2 may draw the way from one gap to the other",
        families: &[Family::Maze],
        example: "1 1 1 1 1\n1 2 0 3 1\n1 1 1 1 1\n",
        sure: false,
        tells: |text| maze::looks_like_matrix(&text.lines),
        read: |text, reading, kept| maze::read(text.origin, &text.lines, reading, kept),
    },
    Dialect {
        name: "sudoku-givens",
        about: "a sudoku as a line with its side, and a line of row, column and value for each given, counted from 0 or from 1",
        families: &[Family::Sudoku],
        example: "4\n0 0 1\n0 3 4\n1 2 1\n2 0 2\n2 3 3\n3 0 3\n3 3 2\n",
        sure: true,
        tells: |text| givens::of_lines(&text.lines).is_some(),
        read: |text, reading, kept| {
            let givens =
                givens::of_lines(&text.lines).ok_or_else(|| PuzzleError::Empty { origin: text.origin.to_owned() })?;
            kept.push(givens.puzzle(text.origin, reading)?)
        },
    },
    Dialect {
        name: "sudoku-cells",
        about: "a sudoku with a cell a line, row by row, a blank line or another character for blank",
        families: &[Family::Sudoku],
        example: "1\n0\n0\n4\n0\n0\n1\n0\n2\n0\n0\n3\n3\n0\n0\n2\n",
        sure: true,
        tells: |text| sudoku::looks_like_single(&text.lines),
        read: |text, reading, kept| kept.push(sudoku::read_single(text.origin, &text.lines, reading)?),
    },
    Dialect {
        name: "sudoku",
        about: "a sudoku in a line, with a name, a rating or its solution beside it; or as rows, with or without a frame, titles, comments and the size of its boxes around it. Digits, letters or numbers; whatever else there is one of is the blank",
        families: &[Family::Sudoku],
        example: "1..4..1.2..33..2\n",
        sure: false,
        tells: |text| !text.begins_with(b'{'),
        read: |text, reading, kept| sudoku::read(text.origin, &text.lines, reading, kept),
    },
];

/// True for what stands in place of a file that Git LFS keeps elsewhere.
fn is_pointer(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"version https://git-lfs")
}

/// The most bytes of a file that are looked at to see that it holds no puzzle.
pub(super) const BEGINNING: usize = 64 << 10;

/// True for a file that holds no puzzle at all, after this error: one that is not text, or in no form that is told for sure,
/// and whose first line is no cells of a puzzle.
pub(super) fn is_foreign(bytes: &[u8], error: &PuzzleError) -> bool {
    let beginning = &bytes[..bytes.len().min(BEGINNING)];
    let line = match error {
        PuzzleError::Syntax { line, .. } | PuzzleError::UnknownCharacter { line, .. } => Some(*line),
        _ => None,
    };
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // A character that the end of what is looked at parts.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return line.is_some(),
    };
    if text.contains('\0') || is_pointer(beginning) {
        return true;
    }
    let Some((first, number)) = text.lines().zip(1..).find(|(text, _)| !text.trim().is_empty()) else { return false };
    let lines = text.lines().zip(1..).map(|(text, number)| Line { number, text }).collect::<Vec<_>>();
    let text = Text { origin: "", body: Body::of(beginning), lines };
    let is_sure = DIALECTS.iter().any(|dialect| {
        let is_other_json = || dialect.name == "arc-json" && !beginning.windows(5).any(|word| word == b"\"test");
        dialect.sure && (dialect.tells)(&text) && !is_other_json()
    });
    let is_cell = |c: &char| c.is_ascii_digit() || " \t.,;|#*_-█".contains(*c);
    let cells = first.chars().filter(is_cell).count();
    let begins_as_puzzle = first.len() > 3 && 3 * cells > 2 * first.chars().count();
    !is_sure && !begins_as_puzzle && line == Some(number)
}

/// True if JSON holds puzzles and not tasks of ARC.
fn json_puzzles(text: &Text<'_>) -> bool {
    if text.begins_with(b'{') { json_object::looks_like(&text.body) } else { list::looks_like(&text.body) }
}

/// Puzzles from a text, read as it says itself that it is meant.
///
/// Every dialect that may be meant is tried. One that works is taken.
///
/// # Errors
/// [`PuzzleError::Ambiguous`] when several work; when none does, what the likeliest has found.
pub(super) fn read(origin: &str, body: Body<'_>, reading: &Reading, budget: &mut Budget) -> Result<Found> {
    tell(origin, body, reading, budget).map(|(_, found)| found)
}

/// As [`read`], with the dialect.
pub(super) fn tell(
    origin: &str,
    body: Body<'_>,
    reading: &Reading,
    budget: &mut Budget,
) -> Result<(&'static Dialect, Found)> {
    let lines = lines(origin, body, budget)?;
    let rewritten = maze::plain(&lines);
    let lines = match &rewritten {
        Some(rows) => rows.iter().map(|(number, text)| Line { number: *number, text }).collect(),
        None => lines,
    };
    let text = Text { origin, body, lines };
    let mut found: Vec<(&Dialect, Found)> = Vec::new();
    let mut failed = None;
    for dialect in DIALECTS.iter().filter(|dialect| dialect.families.iter().any(|&family| reading.allows(family))) {
        if !(dialect.tells)(&text) {
            continue;
        }
        let mut kept = Kept::new(origin, body.len());
        match (dialect.read)(&text, reading, &mut kept).and_then(|()| kept.found()) {
            Ok(puzzles) if dialect.sure => return Ok((dialect, puzzles)),
            Ok(puzzles) => found.push((dialect, puzzles)),
            Err(error) if dialect.sure => return Err(error),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    // Of several, those count that would be whole puzzles if they were asked for by name.
    let is_whole = |(dialect, found): &(&Dialect, Found)| {
        let asked = Reading { family: reading.family.or(dialect.families.first().copied()), ..*reading };
        let mut kept = Kept::new(origin, body.len());
        let again = (dialect.read)(&text, &asked, &mut kept).and_then(|()| kept.found());
        found.failures.is_empty() && again.is_ok_and(|found| found.puzzles.iter().all(|puzzle| puzzle.check().is_ok()))
    };
    if found.len() > 1 {
        let whole = found.iter().map(is_whole).collect::<Vec<_>>();
        if whole.contains(&true) {
            let mut whole = whole.into_iter();
            found.retain(|_| whole.next() == Some(true));
        } else if found.iter().any(|(_, found)| !breaks_a_rule(found)) {
            found.retain(|(_, found)| !breaks_a_rule(found));
        }
    }
    match found.len() {
        0 => Err(failed.unwrap_or_else(|| PuzzleError::Empty { origin: origin.to_owned() })),
        1 => Ok(found.remove(0)),
        _ => Err(PuzzleError::Ambiguous {
            origin: origin.to_owned(),
            readings: found.iter().map(|(dialect, _)| dialect.families[0]).collect(),
        }),
    }
}

/// True for sudokus of which one has a digit twice: what else the text can be is likelier.
fn breaks_a_rule(found: &Found) -> bool {
    let is_broken = |puzzle: &Puzzle| matches!(puzzle.kind, PuzzleKind::Sudoku(_)) && puzzle.check().is_err();
    found.puzzles.iter().any(is_broken)
}

/// The dialect of a text.
///
/// # Errors
/// As of [`parse`](super::parse).
pub fn dialect_of(origin: &str, bytes: &[u8]) -> Result<&'static Dialect> {
    let (body, mut budget) = super::body::counted(origin, bytes)?;
    tell(origin, body, &Reading::default(), &mut budget).map(|(dialect, _)| dialect)
}
