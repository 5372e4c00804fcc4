//! A corpus of files as people have them, drawn for these tests: each is read as it was meant, or refused for the reason it
//! deserves. `dialects/expected.tsv` says which.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use trm_intake::explained;
use trm_puzzles::formats::{self, Alphabet, DIALECTS, Reading, Stream};
use trm_puzzles::{Grid, Puzzle, PuzzleKind};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialects")
}

/// A puzzle as `expected.tsv` has it: in the canonical characters, whatever its own are.
fn described(puzzle: &Puzzle) -> String {
    let line = |grid: &Grid| match puzzle.kind {
        PuzzleKind::Sudoku(_) => Alphabet::sudoku('.').text(grid).replace('\n', ""),
        PuzzleKind::Maze(_) => Alphabet::maze('#', ' ').text(grid).replace('\n', ""),
        _ => puzzle.line(grid),
    };
    let size = match puzzle.kind {
        PuzzleKind::Sudoku(task) => format!(" {}x{}", task.box_height(), task.box_width()),
        PuzzleKind::Maze(_) => format!(" {}x{}", puzzle.grid.height(), puzzle.grid.width()),
        _ => String::new(),
    };
    let answer = puzzle.solution.as_ref().map(|grid| format!(" {}", line(grid))).unwrap_or_default();
    format!("{}{size} {}{answer}", puzzle.task().name(), line(&puzzle.grid))
}

/// Reads a file and says what is wrong with what came out.
fn differs(name: &str, what: &str, expected: &str) -> Option<String> {
    let found = formats::read(&folder().join(name));
    let explain = |error| explained(&error).replace(&folder().display().to_string(), "");
    let expected = expected.to_owned();
    let found = match (what, found) {
        ("one", Ok(puzzles)) if puzzles.len() == 1 => described(&puzzles[0]),
        ("many", Ok(puzzles)) => format!("{} {}", puzzles.len(), puzzles[0].task().name()),
        ("error", Err(error)) => {
            let message = explain(error);
            return (!message.contains(&expected)).then(|| format!("{name}: refused with {message:?}"));
        }
        ("invalid", Ok(puzzles)) => match puzzles[0].check() {
            Err(error) if explained(&error).contains(&expected) => return None,
            other => format!("{other:?}"),
        },
        (_, Ok(puzzles)) => format!("{} puzzles, the first {}", puzzles.len(), described(&puzzles[0])),
        (_, Err(error)) => explain(error),
    };
    (found != expected).then(|| format!("{name}\n  gives    {found}\n  expected {expected}"))
}

#[test]
fn every_file_is_read_as_it_was_meant() {
    let table = std::fs::read_to_string(folder().join("expected.tsv")).expect("the table");
    let (mut wrong, mut names) = (Vec::new(), BTreeSet::from(["expected.tsv".to_owned()]));
    for line in table.lines().filter(|line| !line.starts_with("# ")) {
        let [name, what, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        wrong.extend(differs(name, what, expected));
        names.insert(name.to_owned());
    }
    let files = std::fs::read_dir(folder()).expect("a folder").map(|file| file.expect("a file").file_name());
    let files = files.map(|name| name.to_string_lossy().into_owned()).collect::<BTreeSet<_>>();
    assert_eq!(files, names, "every file is in the table");
    assert!(names.len() > 100, "{}", names.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), names.len() - 1, wrong.join("\n"));
}

/// A reader that gives out so many bytes at once.
struct Drops(std::io::Cursor<Vec<u8>>, usize);

impl std::io::Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn every_file_is_the_same_in_drops() {
    let mut read = 0;
    for file in std::fs::read_dir(folder()).expect("a folder") {
        let path = file.expect("a file").path();
        if path.ends_with("expected.tsv") {
            continue;
        }
        let bytes = std::fs::read(path).expect("readable");
        let Ok(whole) = formats::parse("f", &bytes) else { continue };
        for drop in [1, 30, 100] {
            let stream = Stream::of("f", Drops(std::io::Cursor::new(bytes.clone()), drop), &Reading::default());
            let pieces = stream.collect::<Result<Vec<_>, _>>().expect("readable");
            let pieces = pieces.into_iter().flat_map(|found| found.puzzles).collect::<Vec<_>>();
            assert_eq!(pieces.len(), whole.len(), "{}", String::from_utf8_lossy(&bytes));
            for (number, (piece, whole)) in pieces.iter().zip(&whole).enumerate() {
                // Of the first puzzle nobody knows that its answer will follow in a line of its own.
                let solution = if number == 0 && piece.solution.is_none() { None } else { whole.solution.clone() };
                assert_eq!(*piece, Puzzle { solution, ..whole.clone() }, "{}", String::from_utf8_lossy(&bytes));
            }
        }
        read += 1;
    }
    assert!(read > 100, "{read}");
}

#[test]
fn every_dialect_reads_its_example_and_no_other_does() {
    for dialect in &DIALECTS {
        match formats::dialect_of("example", dialect.example.as_bytes()) {
            Ok(told) => assert_eq!(told.name, dialect.name, "{}", dialect.example),
            // A map without its scenarios.
            Err(error) => {
                assert_eq!((dialect.name, explained(&error).contains(".scen")), ("moving-ai", true), "{error}");
            }
        }
    }
}
