//! Puzzles with their answers as JSON lines: `{"puzzle": "...", "answer": "..."}`, one object a line.
//!
//! A grid is a text in any form of [`super::text`] (rows joined by `\n`), a list of such rows, or a list of
//! rows of numbers: a sudoku's digits with 0 for blank, a maze's cell values, ARC's colours. `input` and `output` are
//! other names for `puzzle` and `answer`. Blank lines are passed over. A text that is one such object may take several lines.

use trm_intake::{Budget, Fault};

use super::body::{Body, counted};
use super::json_grid::{self, JsonGrid};
use super::json_object::{Object, is_spread};
use super::json_tree;
use super::kept::Kept;
use super::keys::more_rules;
use super::lines::{Line as TextLine, lines};
use super::{Alphabet, Family, Puzzle, PuzzleKind, Reading, maze, sudoku, text, token_text};
use crate::{AnswerCount, Arc, Grid, PuzzleError, Result, Sudoku, Task};

/// The form of a line, for messages.
const EXPECTED: &str = "{\"puzzle\": GRID, \"answer\": GRID}, a grid being a text or a list of rows";

/// Puzzles of whatever task each line's grid looks like.
///
/// # Errors
///
/// [`PuzzleError::Empty`], [`PuzzleError::TooLarge`], [`PuzzleError::Ambiguous`]; else names the line that is no puzzle.
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, None, &Reading::default(), &mut budget)
}

/// Puzzles of one task; a grid of another task or size is an error that names its line.
///
/// # Errors
///
/// Those of [`parse`], and [`PuzzleError::Syntax`] or those of the task for a grid of another task or size.
pub fn parse_for(origin: &str, bytes: &[u8], kind: PuzzleKind) -> Result<Vec<Puzzle>> {
    let (body, mut budget) = counted(origin, bytes)?;
    parse_within(origin, body, Some(kind), &Reading::of(kind), &mut budget)
}

/// As [`parse`] and [`parse_for`], of bytes that were drawn on `budget`.
pub(super) fn parse_within(
    origin: &str,
    body: Body<'_>,
    kind: Option<PuzzleKind>,
    reading: &Reading,
    budget: &mut Budget,
) -> Result<Vec<Puzzle>> {
    if let Some(PuzzleKind::Tokens(task)) = kind {
        return token_text::parse_within(origin, body, task);
    }
    let mut kept = Kept::new(origin, body.len());
    let lines = lines(origin, body, budget)?;
    read(origin, body, &lines, kind, reading, &mut kept)?;
    kept.some()
}

/// The puzzles of a text whose lines are known.
pub(super) fn read(
    origin: &str,
    body: Body<'_>,
    lines: &[TextLine<'_>],
    kind: Option<PuzzleKind>,
    reading: &Reading,
    kept: &mut Kept<'_>,
) -> Result<()> {
    json_grid::bounded_json(origin, &body)?;
    if is_spread(&body) {
        // The parser counts the lines.
        let text = std::str::from_utf8(&body).unwrap_or_default();
        return kept.push(puzzle(origin, 1, text, kind, reading)?);
    }
    read_lines(origin, lines, kind, reading, kept)
}

/// The puzzles of lines that are an object each.
pub(super) fn read_lines(
    origin: &str,
    lines: &[TextLine<'_>],
    kind: Option<PuzzleKind>,
    reading: &Reading,
    kept: &mut Kept<'_>,
) -> Result<()> {
    for line in lines.iter().filter(|line| !line.is_blank()) {
        match puzzle(origin, line.number, line.text, kind, reading) {
            Ok(puzzle) => kept.push(puzzle)?,
            Err(error) => kept.fail(reading, error)?,
        }
    }
    Ok(())
}

/// One object, which begins in this line.
pub(super) fn puzzle(
    origin: &str,
    line: usize,
    text: &str,
    kind: Option<PuzzleKind>,
    reading: &Reading,
) -> Result<Puzzle> {
    let syntax = |line, fault: Fault| PuzzleError::Syntax { origin: origin.to_owned(), line, fault };
    let object = match serde_json::from_str::<Object>(text) {
        Ok(object) if object.question.is_some() => object,
        object => match json_tree::spelled(text) {
            Some(spelled) => spelled.map_err(|fault| syntax(line, fault))?,
            None => object.map_err(|error| {
                // The parser counts from where the object begins.
                let line = line + error.line().saturating_sub(1);
                syntax(line, json_grid::fault(&error).advise(format!("expected one object a line: {EXPECTED}")))
            })?,
        },
    };
    object.puzzle(&format!("{origin}:{line}"), kind, reading)
}

impl Object {
    /// Its puzzle.
    pub(super) fn puzzle(self, source: &str, kind: Option<PuzzleKind>, reading: &Reading) -> Result<Puzzle> {
        let Self { question, is_input, answer, id, size, boxes, start, goal, rule } = self;
        let question = question.ok_or_else(|| {
            PuzzleError::data(source, Fault::from("no `puzzle` among the keys").advise(format!("expected {EXPECTED}")))
        })?;
        let boxes = boxes.and_then(|[height, width]| Sudoku::new(height, width).ok());
        let reading = &Reading { boxes: reading.boxes.or(boxes), ..*reading };
        // A sudoku in a line needs no size, and its rows alone may look like rules.
        let may_be_sudoku = reading.family != Some(Family::Maze) && size.is_none_or(|[height, width]| height == width);
        let is_line = may_be_sudoku && matches!(&question, JsonGrid::Text(line) if is_whole(line, reading));
        let question = if is_line { question } else { folded(question, size) };
        let place = format!("{source} (puzzle)");
        if is_input
            && kind.is_none()
            && reading.family.is_none()
            && is_ambiguous(&place, &question, answer.as_ref(), reading)
        {
            let readings = vec![Family::Sudoku, Family::Arc];
            return Err(PuzzleError::Ambiguous { origin: source.to_owned(), readings });
        }
        let mut puzzle = grid(&place, &question, kind, reading)?;
        if let (Some(rule), PuzzleKind::Sudoku(_)) = (&rule, puzzle.kind) {
            return Err(more_rules(source, rule));
        }
        if let (Some(start), Some(goal), PuzzleKind::Maze(_)) = (start, goal, puzzle.kind) {
            // What stands beside the maze counts, not the gaps in its border.
            let drawn = Reading { as_drawn: true, family: Some(Family::Maze), ..*reading };
            puzzle = grid(&place, &question, kind, &drawn)?;
            maze::places::mark(&mut puzzle.grid, &[start, goal]).map_err(|fault| PuzzleError::data(source, fault))?;
        }
        if let Some(answer) = answer {
            // A way drawn with `*` and spaces may be a sudoku's blanks.
            let family = matches!(puzzle.kind, PuzzleKind::Maze(_)).then_some(Family::Maze);
            let (height, width) = puzzle.grid.size();
            let answer = &if family.is_some() { folded(answer, Some([height, width])) } else { answer };
            let asked = Reading { family, boxes: None, ..Reading::like(&puzzle) };
            let answer = grid(&format!("{source} (answer)"), answer, Some(puzzle.kind), &asked)?.grid;
            if answer.size() != puzzle.grid.size() && !matches!(puzzle.kind, PuzzleKind::Arc(_)) {
                let (found, expected) = (answer.size(), puzzle.grid.size());
                let fault = Fault::from(format!(
                    "the answer is {}x{}, the puzzle {}x{}",
                    found.0, found.1, expected.0, expected.1
                ));
                return Err(PuzzleError::data(source, fault.advise("both grids of a line need the same size")));
            }
            puzzle.solution = Some(answer);
        }
        source.clone_into(&mut puzzle.source);
        puzzle.id = id;
        Ok(puzzle)
    }
}

/// A grid in one line as rows, if its size is known; rows parted by `/` as ARC's colours.
fn folded(grid: JsonGrid, size: Option<[usize; 2]>) -> JsonGrid {
    let (JsonGrid::Text(line), Some([height, width])) = (&grid, size) else { return grid };
    if line.contains('/') && line.chars().all(|c| c == '/' || c.is_ascii_digit()) {
        return JsonGrid::Numbers(line.split('/').map(|row| row.bytes().map(|digit| digit - b'0').collect()).collect());
    }
    let cells = line.chars().collect::<Vec<_>>();
    if width == 0 || height < 2 || cells.contains(&'\n') || Some(cells.len()) != height.checked_mul(width) {
        return grid;
    }
    JsonGrid::Rows(cells.chunks(width).map(|row| row.iter().collect()).collect())
}

/// True if numbers may be a sudoku or colours of ARC: both have `input`. A sudoku has one solution, or is there with it.
fn is_ambiguous(place: &str, json: &JsonGrid, answer: Option<&JsonGrid>, reading: &Reading) -> bool {
    let JsonGrid::Numbers(rows) = json else { return false };
    let Ok(puzzle) = from_text(place, &spaced(rows), None, reading) else { return false };
    let (PuzzleKind::Sudoku(task), Ok(_)) = (puzzle.kind, arc(place, rows)) else { return false };
    // ARC's grids are never texts.
    if matches!(answer, Some(JsonGrid::Text(_) | JsonGrid::Rows(_))) {
        return false;
    }
    let answer = answer.and_then(|answer| grid(place, answer, Some(puzzle.kind), &Reading::of(puzzle.kind)).ok());
    if answer.is_some_and(|answer| task.verify(&puzzle.grid, &answer.grid).is_verified()) {
        return false;
    }
    task.count_answers(&puzzle.grid) != AnswerCount::One
}

/// True if a text is a puzzle by itself.
pub(super) fn is_whole(text: &str, reading: &Reading) -> bool {
    sudoku::is_whole(TextLine { number: 1, text }, reading)
}

/// True if a text is a maze by itself.
pub(super) fn is_maze(text: &str) -> bool {
    in_one_line("", text, None).is_some_and(|puzzle| puzzle.is_ok())
}

/// True if numbers can be all cells of a sudoku.
pub(super) fn is_flat(cells: &[u8]) -> bool {
    sudoku::side_of(cells.len()).is_some()
}

/// One grid.
pub(super) fn grid(place: &str, json: &JsonGrid, kind: Option<PuzzleKind>, reading: &Reading) -> Result<Puzzle> {
    let mut puzzle = match json {
        JsonGrid::Text(rows) => from_text(place, rows, kind, reading)?,
        JsonGrid::Rows(rows) => from_text(place, &rows.join("\n"), kind, reading)?,
        JsonGrid::Numbers(rows) => from_numbers(place, rows, kind, reading)?,
        JsonGrid::Flat(cells) if is_flat(cells) => {
            let rows = cells.chunks(cells.len().isqrt()).map(<[u8]>::to_vec).collect::<Vec<_>>();
            from_numbers(place, &rows, kind, reading)?
        }
        JsonGrid::Flat(cells) => {
            return Err(PuzzleError::data(place, format!("{} numbers are no grid of a sudoku", cells.len())));
        }
    };
    if let Some(kind) = kind.filter(|kind| !matches!(kind, PuzzleKind::Arc(_))) {
        let task = kind.task();
        let found = puzzle.kind.task();
        let same = (task.name(), task.height(), task.width()) == (found.name(), found.height(), found.width());
        if !same {
            let fault = Fault::from(format!(
                "a {} of {}x{}, expected a {} of {}x{}",
                found.name(),
                found.height(),
                found.width(),
                task.name(),
                task.height(),
                task.width()
            ));
            return Err(PuzzleError::data(place, fault.advise("every line needs the task and size of the model")));
        }
        // A text does not always show its box shape.
        puzzle.kind = kind;
    }
    place.clone_into(&mut puzzle.source);
    Ok(puzzle)
}

fn from_text(place: &str, rows: &str, kind: Option<PuzzleKind>, reading: &Reading) -> Result<Puzzle> {
    if let Some(PuzzleKind::Arc(_)) = kind {
        let digit = |c: char| c.to_digit(10).map(|digit| digit as u8);
        let rows: Option<Vec<Vec<u8>>> = rows.lines().map(|row| row.chars().map(digit).collect()).collect();
        return arc(place, &rows.unwrap_or_default());
    }
    // A maze in one line, as answers are printed.
    if reading.allows(Family::Maze)
        && !rows.contains('\n')
        && !is_whole(rows, reading)
        && let Some(puzzle) = in_one_line(place, rows, kind)
    {
        return puzzle;
    }
    let mut puzzles = text::parse_as(place, rows.as_bytes(), reading)?;
    match (puzzles.pop(), puzzles.len()) {
        (Some(puzzle), 0) => Ok(puzzle),
        (_, before) => Err(PuzzleError::data(place, format!("{} grids, expected one", before + 1))),
    }
}

/// A maze in one line: of the size that is asked for, else a square with a border.
fn in_one_line(place: &str, line: &str, kind: Option<PuzzleKind>) -> Option<Result<Puzzle>> {
    if let Some(PuzzleKind::Maze(task)) = kind {
        let width = task.width();
        if width > 1 && line.chars().count() == task.height() * width && task.height() > 1 {
            let characters = line.chars().collect::<Vec<_>>();
            let rows = characters.chunks(width).map(|row| row.iter().collect::<String>()).collect::<Vec<_>>();
            return Some(
                text::parse_as(place, rows.join("\n").as_bytes(), &Reading::of(PuzzleKind::Maze(task))).and_then(
                    |mut puzzles| puzzles.pop().ok_or_else(|| PuzzleError::Empty { origin: place.to_owned() }),
                ),
            );
        }
        return None;
    }
    if line.chars().count() < 25 { None } else { maze::in_line(place.to_owned(), line) }
}

fn from_numbers(place: &str, rows: &[Vec<u8>], kind: Option<PuzzleKind>, reading: &Reading) -> Result<Puzzle> {
    let maze = || {
        let grid = Grid::from_rows(rows)?;
        maze::maze_puzzle(place.to_owned(), grid, Alphabet::maze('#', ' '))
    };
    match kind {
        Some(PuzzleKind::Arc(_)) => arc(place, rows),
        Some(PuzzleKind::Maze(_)) => maze(),
        Some(PuzzleKind::Sudoku(_)) => from_text(place, &spaced(rows), kind, reading),
        Some(PuzzleKind::Tokens(task)) => {
            Err(PuzzleError::data(place, format!("rows of numbers are no sequence of {} tokens", task.seq_len())))
        }
        None if reading.family == Some(Family::Arc) => arc(place, rows),
        None => from_text(place, &spaced(rows), kind, reading).or_else(|error| match error {
            PuzzleError::Ambiguous { .. } => Err(error),
            _ if !reading.allows(Family::Arc) => Err(error),
            _ => arc(place, rows),
        }),
    }
}

/// Rows as numbers parted by spaces.
fn spaced(rows: &[Vec<u8>]) -> String {
    let row = |row: &Vec<u8>| row.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn arc(place: &str, rows: &[Vec<u8>]) -> Result<Puzzle> {
    let kind = PuzzleKind::Arc(Arc);
    let grid = Grid::from_rows(rows).ok().filter(|grid| !grid.cells().is_empty() && kind.task().check(grid).is_ok());
    let grid = grid
        .ok_or_else(|| PuzzleError::data(place, "neither a sudoku nor a rectangle of 1x1 to 30x30 colours 0 to 9"))?;
    let alphabet = Alphabet::arc();
    Ok(Puzzle { source: place.to_owned(), id: None, grid, kind, alphabet, solution: None, rating: None, note: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Maze, Sudoku};

    const PUZZLE: &str = "1..4..1.2..33..2";
    const ANSWER: &str = "1234341221434321";

    fn error(text: &str) -> String {
        trm_intake::explained(&parse("d.jsonl", text.as_bytes()).expect_err(text))
    }

    #[test]
    fn every_spelling_is_the_same_grid() {
        let rows = "[[1,0,0,4],[0,0,1,0],[2,0,0,3],[3,0,0,2]]";
        let text = format!(
            "{{\"puzzle\": \"{PUZZLE}\", \"answer\": \"{ANSWER}\"}}\n\n\
             {{\"input\": [\"1..4\", \"..1.\", \"2..3\", \"3..2\"], \"output\": \"{ANSWER}\"}}\r\n\
             {{\"puzzle\": {rows}, \"solution\": \"1234\\n3412\\n2143\\n4321\", \"id\": \"last\"}}\n"
        );
        let puzzles = parse("d.jsonl", text.as_bytes()).expect("readable");
        let sources: Vec<&str> = puzzles.iter().map(|puzzle| puzzle.source.as_str()).collect();
        assert_eq!(sources, ["d.jsonl:1", "d.jsonl:3", "d.jsonl:4"]);
        assert_eq!(puzzles[2].id.as_deref(), Some("last"));
        for puzzle in &puzzles {
            assert_eq!((&puzzle.grid, &puzzle.solution), (&puzzles[0].grid, &puzzles[0].solution));
            assert_eq!(puzzle.kind, PuzzleKind::Sudoku(Sudoku::new(2, 2).expect("a shape")));
        }
        assert_eq!(super::super::parse("d", text.as_bytes()).expect("told by its first line").len(), 3);
    }

    #[test]
    fn mazes_and_arc_grids_are_lines_too() {
        let maze = "{\"puzzle\": \"#####\\n#S G#\\n#####\", \"answer\": \"#####\\n#SoG#\\n#####\"}";
        let puzzle = &parse("m", maze.as_bytes()).expect("readable")[0];
        assert_eq!(puzzle.kind, PuzzleKind::Maze(Maze::new(3, 5).expect("a size")));
        let verdict = puzzle.task().verify(&puzzle.grid, puzzle.solution.as_ref().expect("an answer"));
        assert!(verdict.is_verified());
        let arc = "{\"input\": [[0, 7]], \"output\": [[7], [0]]}";
        let puzzle = &parse("a", arc.as_bytes()).expect("readable")[0];
        assert_eq!((puzzle.grid.size(), puzzle.solution.as_ref().map(Grid::size)), ((1, 2), Some((2, 1))));
        // Nine rows of nine colours can be either, and are ARC to an ARC model.
        let nine = format!("{{\"input\": {:?}}}", vec![vec![0_u8; 9]; 9]);
        assert_eq!(error(&nine), "d.jsonl:1: can be read as sudoku and as arc\nhint: say which is meant");
        let puzzle = &parse("n", nine.replace("input", "puzzle").as_bytes()).expect("readable")[0];
        assert!(matches!(puzzle.kind, PuzzleKind::Sudoku(_)));
        let kind = PuzzleKind::Arc(Arc);
        assert_eq!(parse_for("n", nine.as_bytes(), kind).expect("readable")[0].kind, kind);
    }

    #[test]
    fn one_object_may_take_several_lines() {
        let spread = "{\n  \"puzzle\": [\n    [1, 0, 0, 4],\n [0, 0, 1, 0],\r\n [2, 0, 0, 3],\n [3, 0, 0, 2]\n  ]\n}\n";
        let puzzles = super::super::parse("d", spread.as_bytes()).expect("readable");
        assert_eq!((puzzles.len(), puzzles[0].source.as_str()), (1, "d:1"));
        assert_eq!(puzzles[0].grid, parse("d", format!("{{\"puzzle\": \"{PUZZLE}\"}}").as_bytes()).unwrap()[0].grid);
        assert!(error(&spread.replace(" 3]", " 300]")).starts_with("d.jsonl:5: column "), "{}", error(spread));
        // An object under that name is a task by its id.
        let task = "{\"puzzle\": {\"test\": [{\"input\": [[5]]}]}}";
        let puzzles = super::super::parse("d", task.as_bytes()).expect("readable");
        assert_eq!(puzzles[0].id.as_deref(), Some("puzzle"));
    }

    #[test]
    fn errors_name_the_line_and_what_was_expected() {
        let good = format!("{{\"puzzle\": \"{PUZZLE}\"}}\n");
        for (line, expected) in [
            (
                "{\"puzzle\": ",
                "d.jsonl:2: column 11: EOF while parsing a value\nhint: expected one object a line: {\"puzzle\"",
            ),
            ("[1, 2]", "d.jsonl:2: column "),
            ("{\"answer\": \"1\"}", "d.jsonl:2: no `puzzle` among the keys\nhint: expected {\"puzzle\": GRID"),
            ("{\"puzle\": \"1\"}", "d.jsonl:2: no `puzzle` among the keys"),
            ("{\"puzzle\": \"1..4..1.2..x3..2\"}", "d.jsonl:2 (puzzle):1:12: unknown character 'x'"),
            (
                "{\"puzzle\": \"1..4..1.2..33..2\", \"answer\": \"#S G#\"}",
                "d.jsonl:2 (answer): a maze of 1x5, expected a sudoku of 4x4\nhint: ",
            ),
            ("{\"puzzle\": [[1, 2], [3]]}", "d.jsonl:2 (puzzle): neither a sudoku nor a rectangle"),
        ] {
            let message = error(&format!("{good}{line}"));
            assert!(message.starts_with(expected), "{line}\ngives    {message}\nexpected {expected}");
        }
        assert!(error("\n\n").starts_with("d.jsonl: no puzzle in the input"));
        let kind = PuzzleKind::Sudoku(Sudoku::default());
        let message = trm_intake::explained(&parse_for("d.jsonl", good.as_bytes(), kind).expect_err("4x4"));
        assert!(
            message.starts_with("d.jsonl:1 (puzzle): a sudoku of 4x4, expected a sudoku of 9x9\nhint: "),
            "{message}"
        );
    }
}
