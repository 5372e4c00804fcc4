//! Sequences of tokens for a [`Tokens`] task: numbers in lines, JSON, `.npy`.
//!
//! A line has one sequence: whole numbers parted by spaces, tabs, commas or semicolons, or a JSON array of them, or an
//! object `{"input": [...], "answer": [...]}` whose answer may be missing (`puzzle`, `output` and `solution` are other
//! names). A text that is one JSON array of arrays has a sequence in each. Blank lines are passed over.

use std::path::Path;

use serde::Deserialize;
use trm_intake::{Budget, Fault, Printable};

use super::body::{Body, counted};
use super::kept::Kept;
use super::{Alphabet, LIMITS, Puzzle, PuzzleKind, npy};
use crate::json::{numbers as numbers_of_json, numbers_or_null};
use crate::{Grid, PuzzleError, Result, Task, Tokens};

/// The form of a sequence, for messages.
const EXPECTED: &str = "expected whole numbers, as in `3 1 4`, `3,1,4` or `[3, 1, 4]`";

/// An object in a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with a sequence as `input`")]
struct Line {
    #[serde(alias = "puzzle", deserialize_with = "numbers_of_json")]
    input: Vec<i32>,
    #[serde(default, alias = "output", alias = "solution", deserialize_with = "numbers_or_null")]
    answer: Option<Vec<i32>>,
    #[serde(default)]
    id: Option<String>,
}

/// Sequences from a text.
///
/// # Errors
/// Those of the text, naming the line, and of [`Tokens::grid`].
pub fn parse(origin: &str, bytes: &[u8], task: Tokens) -> Result<Vec<Puzzle>> {
    parse_within(origin, counted(origin, bytes)?.0, task)
}

/// As [`parse`], of bytes that were counted.
pub(super) fn parse_within(origin: &str, body: Body<'_>, task: Tokens) -> Result<Vec<Puzzle>> {
    let text = std::str::from_utf8(&body).map_err(|error| PuzzleError::Syntax {
        origin: origin.to_owned(),
        line: body[..error.valid_up_to()].split(|&byte| byte == b'\n').count(),
        fault: Fault::from("not text: a byte that is not UTF-8").advise(EXPECTED),
    })?;
    let mut kept = Kept::new(origin, body.len());
    let list = text.trim().strip_prefix('[').filter(|rest| rest.trim_start().starts_with('['));
    if let Some(list) = list {
        parse_list(origin, list, task, &mut kept)?;
    } else {
        for (line, number) in text.split('\n').zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            let fail =
                |fault: String| PuzzleError::Syntax { origin: origin.to_owned(), line: number, fault: fault.into() };
            let Line { input, answer, id } = tokens(line, task).map_err(fail)?;
            kept.push(puzzle(format!("{origin}:{number}"), &input, answer.as_deref(), id, task)?)?;
        }
    }
    let puzzles = kept.all();
    if puzzles.is_empty() {
        return Err(PuzzleError::data(origin, Fault::from("no sequence in the input").advise(EXPECTED)));
    }
    Ok(puzzles)
}

/// `[...], [...]]`: what follows the opening bracket of a list of sequences.
fn parse_list(origin: &str, list: &str, task: Tokens, kept: &mut Kept<'_>) -> Result<()> {
    let fail = |fault: Fault| PuzzleError::data(origin, fault);
    // The list's own bracket comes after that of its last sequence.
    let Some(rows) = list.trim_end().strip_suffix(']').filter(|rows| rows.trim_end().ends_with(']')) else {
        return Err(fail("a list of sequences that does not end in `]]`".into()));
    };
    for (index, row) in rows.split(']').enumerate() {
        let row = row.trim();
        let row = if index == 0 { row } else { row.strip_prefix(',').unwrap_or(row).trim_start() };
        if row.is_empty() {
            continue;
        }
        let source = format!("{origin}[{index}]");
        let Some(row) = row.strip_prefix('[') else {
            return Err(fail(Fault::from(format!("no sequence in place {index} of the list")).advise(EXPECTED)));
        };
        let input = numbers(row, task).map_err(|message| PuzzleError::data(source.as_str(), message))?;
        kept.push(puzzle(source, &input, None, None, task)?)?;
    }
    Ok(())
}

/// Sequences from a file: an `.npy` array `[rows, seq_len]` or `[seq_len]` of integers, else a text.
///
/// # Errors
/// Those of [`parse`], and of reading.
pub fn read(path: &Path, task: Tokens) -> Result<Vec<Puzzle>> {
    let origin = path.display().to_string();
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("npy")) {
        return parse_within(&origin, Body::of(&super::read_limited(path)?), task);
    }
    let array = npy::Array::open(path)?;
    let width = match *array.shape() {
        [width] if width > 0 => width,
        [rows, width] if rows > 0 && width > 0 => width,
        _ => {
            let shape = array.shape();
            return Err(PuzzleError::data(path, format!("shape {shape:?}, expected [rows, tokens] or [tokens]")));
        }
    };
    let values = array.values(&mut Budget::new(LIMITS))?;
    let mut kept = Kept::new(&origin, size_of_val(values.as_slice()));
    for (index, row) in values.chunks(width).enumerate() {
        kept.push(puzzle(format!("{origin}[{index}]"), row, None, None, task)?)?;
    }
    Ok(kept.all())
}

/// One line's sequence.
fn tokens(line: &str, task: Tokens) -> Result<Line, String> {
    let line = line.trim();
    if line.starts_with('{') {
        // Two sequences and an id; more numbers need not be read to be refused.
        let numbers = line.bytes().filter(|&byte| byte == b',').count();
        if numbers > 2 * task.seq_len() + 64 {
            return Err(format!("{numbers} numbers are more than two sequences of {}", task.seq_len()));
        }
        let json = |error: serde_json::Error| {
            // The parser's own "line 1" is this line: only the column says something.
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            format!("column {}: {}", error.column().max(1), Printable(reason))
        };
        return serde_json::from_str(line).map_err(json);
    }
    let row = line.strip_prefix('[').map_or(Some(line), |rest| rest.strip_suffix(']'));
    let input = numbers(row.ok_or_else(|| format!("`[` without `]`: {EXPECTED}"))?, task)?;
    Ok(Line { input, answer: None, id: None })
}

/// Whole numbers, no more than the task has tokens.
fn numbers(row: &str, task: Tokens) -> Result<Vec<i32>, String> {
    let words = row.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';')).filter(|word| !word.is_empty());
    let number = |word: &str| {
        let start: String = word.chars().take(20).collect();
        word.parse().map_err(|_| format!("`{}` is no token: {EXPECTED}", Printable(&start)))
    };
    let numbers = words.take(task.seq_len() + 1).map(number).collect::<Result<Vec<i32>, String>>()?;
    if numbers.len() > task.seq_len() {
        return Err(format!("more than the {} tokens of a sequence", task.seq_len()));
    }
    Ok(numbers)
}

fn puzzle(source: String, input: &[i32], answer: Option<&[i32]>, id: Option<String>, task: Tokens) -> Result<Puzzle> {
    let grid = |tokens: &[i32], what: &str| -> Result<Grid> {
        task.grid(tokens).map_err(|error| PuzzleError::data(source.as_str(), format!("{what}: {error}")))
    };
    let (question, solution) = (grid(input, "input")?, answer.map(|tokens| grid(tokens, "answer")).transpose()?);
    let (kind, alphabet) = (PuzzleKind::Tokens(task), Alphabet::numbers());
    Ok(Puzzle { source, id, grid: question, kind, alphabet, solution, rating: None, note: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Tokens {
        Tokens::new(3, 300).expect("a task")
    }

    #[test]
    fn every_spelling_is_the_same_sequence() {
        let text = "3 1 299\n\n3,1,299\r\n 3;\t1, 299 \n[3, 1, 299]\n{\"input\": [3, 1, 299], \"answer\": [0, 0, 0], \"id\": \"x\"}\n";
        let puzzles = parse("t", text.as_bytes(), task()).expect("readable");
        let sources: Vec<_> = puzzles.iter().map(|puzzle| puzzle.source.as_str()).collect();
        assert_eq!(sources, ["t:1", "t:3", "t:4", "t:5", "t:6"]);
        assert!(puzzles.iter().all(|puzzle| task().encode(&puzzle.grid).expect("tokens") == [3, 1, 299]));
        let last = puzzles.last().expect("one");
        assert_eq!(last.solution.as_ref().map(|answer| last.line(answer)).as_deref(), Some("0 0 0"));
        assert_eq!((last.line(&last.grid).as_str(), last.drawing(&last.grid).as_str()), ("3 1 299", "3 1 299\n"));
        let rows = parse("t", b"[[3, 1, 299],\n [0, 0, 0]]", task()).expect("readable");
        assert_eq!((rows.len(), rows[1].source.as_str()), (2, "t[1]"));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let refused = |text: &str| trm_intake::explained(&parse("t", text.as_bytes(), task()).expect_err("refused"));
        assert_eq!(refused("3 1 2\n3 1\n"), "t:2: input: 2 tokens, tokens needs 3");
        assert_eq!(refused("3 1 300\n"), "t:1: input: token 3 is 300, the vocabulary has tokens 0 to 299");
        assert_eq!(refused("3 x\u{1b} 2\n"), format!("t:1: `x\\u{{1b}}` is no token: {EXPECTED}"));
        assert!(
            refused("{\"input\": [1, 2, 3], \"answer\": [1]}").starts_with("t:1: answer: 1 tokens, tokens needs 3")
        );
        assert!(refused("{\"input\": [1, 2, 3], \"other\": 1}").starts_with("t:1: column "));
        assert!(refused("99999999999 1 1").contains("is no token"));
        assert!(refused("\n\n").starts_with("t: no sequence in the input\nhint: "));
        assert!(refused("[[1, 2, 3], 3]").starts_with("t: a list of sequences that does not end in `]]`"));
        assert!(refused("[[1, 2, 3], 3, [1, 2, 3]]").starts_with("t: no sequence in place 1 of the list\nhint: "));
        assert!(refused("[[1, 2, 3], [1, 2]]").starts_with("t[1]: input: 2 tokens, tokens needs 3"));
        assert!(refused("[[1, 2, 3]").starts_with("t: a list of sequences that does not end in `]]`"));
        let long = format!("{{\"input\": [{}1]}}", "1,".repeat(1000));
        assert!(refused(&long).contains("1000 numbers are more than two sequences of 3"));
        assert!(refused(&"1 ".repeat(1000)).starts_with("t:1: more than the 3 tokens of a sequence"));
    }

    #[test]
    fn sequences_that_would_take_many_times_their_text_are_refused() {
        let text = "1\n".repeat(400_000);
        let one = Tokens::new(1, 300).expect("a task");
        let message = parse("t", text.as_bytes(), one).expect_err("refused").to_string();
        assert!(message.contains("bytes for the puzzles in it"), "{message}");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ones.npy");
        npy::write(&path, &[400_000, 1], &vec![1; 400_000], false).expect("written");
        let message = read(&path, one).expect_err("refused").to_string();
        assert!(message.contains("bytes for the puzzles in it"), "{message}");
    }

    #[test]
    fn arrays_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let array = |name: &str, shape: &[usize], values: &[i32]| {
            let path = folder.path().join(name);
            npy::write(&path, shape, values, false).expect("written");
            read(&path, task())
        };
        let puzzles = array("rows.npy", &[2, 3], &[3, 1, 299, 0, 0, 0]).expect("readable");
        assert_eq!(puzzles.iter().map(|puzzle| puzzle.line(&puzzle.grid)).collect::<Vec<_>>(), ["3 1 299", "0 0 0"]);
        assert_eq!(array("row.npy", &[3], &[3, 1, 2]).expect("readable").len(), 1);
        let message = array("deep.npy", &[3, 1, 1], &[3, 1, 2]).expect_err("refused").to_string();
        assert!(message.contains("shape [3, 1, 1], expected [rows, tokens]"), "{message}");
        let message = array("short.npy", &[3, 2], &[1; 6]).expect_err("refused").to_string();
        assert!(message.contains("short.npy[0]: input: 2 tokens, tokens needs 3"), "{message}");
    }
}
