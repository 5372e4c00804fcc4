//! Any input is read or refused; none panics.

mod common;

use std::ops::Range;

use common::{maze_example, sudoku_example};
use proptest::prelude::*;
use trm_puzzles::formats::{self, arc_json, moving_ai, token_text};
use trm_puzzles::sudoku::{grade, solve};
use trm_puzzles::{Arc, Grid, Maze, Sudoku, Task, Tokens, seeded};

/// Texts that look like puzzles: the formats' own characters in lines.
fn puzzle_like() -> impl Strategy<Value = String> {
    let alphabet = prop::sample::select("0123456789.ABGP#@ SGo|-+\n\n*\r,=T{}[]\"é".chars().collect::<Vec<_>>());
    prop::collection::vec(alphabet, 0..400).prop_map(|characters| characters.into_iter().collect())
}

fn anything_with_a_header() -> impl Strategy<Value = Vec<u8>> {
    let header = prop::sample::select(vec![
        "",
        "type octile\nheight 2\nwidth 3\nmap\n",
        "version 1\n0\tm\t3\t2\t",
        "o---o---o\n| S ",
        "{\"test\": [{\"input\": ",
        "+---+---+---+\n",
        "\u{feff}",
    ]);
    (header, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(header, rest)| [header.as_bytes(), &rest].concat())
}

/// The files of the corpus that are not long.
fn files_of_people() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialects");
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let mut files = files.collect::<Vec<_>>();
    files.sort();
    let files = files.into_iter().map(|file| std::fs::read(file).expect("readable"));
    files.filter(|bytes| bytes.len() < 4_000).collect()
}

/// The places of the numbers.
fn numbers(bytes: &[u8]) -> Vec<Range<usize>> {
    let starts = |&at: &usize| bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
    let end = |start: usize| bytes[start..].iter().position(|byte| !byte.is_ascii_digit());
    let starts = (0..bytes.len()).filter(starts);
    starts.map(|start| start..end(start).map_or(bytes.len(), |end| start + end)).collect()
}

/// Numbers with which arithmetic goes wrong.
const NUMBERS: [&str; 6] = ["18446744073709551615", "9223372036854775808", "4294967296", "255", "-1", "0"];

/// Files as people have them, changed: a number too large, a character, a line gone or twice, an end that is missing.
fn damaged_files() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4);
    (prop::sample::select(files_of_people()), changes).prop_map(|(mut bytes, changes)| {
        for (change, at, other) in changes {
            if !bytes.is_empty() {
                damage(&mut bytes, change, at, other);
            }
        }
        bytes
    })
}

fn damage(bytes: &mut Vec<u8>, change: u8, at: prop::sample::Index, other: prop::sample::Index) {
    let place = at.index(bytes.len());
    let line = |bytes: &[u8]| {
        let start = bytes[..place].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let end =
            bytes[place..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |newline| place + newline + 1);
        start..end
    };
    match change {
        0 => {
            let numbers = numbers(bytes);
            if !numbers.is_empty() {
                bytes.splice(at.get(&numbers).clone(), other.get(&NUMBERS).bytes());
            }
        }
        1 => bytes[place] = *other.get(bytes),
        2 => drop(bytes.drain(line(bytes))),
        3 => {
            let line = bytes[line(bytes)].to_vec();
            bytes.splice(place..place, line);
        }
        4 => bytes.truncate(place),
        _ => drop(bytes.remove(place)),
    }
}

/// A reader of pieces.
struct Drops(std::vec::IntoIter<Vec<u8>>);

impl std::io::Read for Drops {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(piece) = self.0.next() else { return Ok(0) };
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn read_every_way(bytes: &[u8]) {
    for puzzle in formats::parse("in", bytes).unwrap_or_default() {
        let _ = puzzle.check();
        assert!(!puzzle.line(&puzzle.grid).is_empty());
        assert!(!puzzle.drawing(&puzzle.grid).is_empty());
        let _ = puzzle.task().verify(&puzzle.grid, &puzzle.grid);
    }
    let streamed = |drop: usize| {
        let pieces = bytes.chunks(drop).map(<[u8]>::to_vec).collect::<Vec<_>>();
        formats::Stream::of("in", Drops(pieces.into_iter()), &formats::Reading::default()).last()
    };
    let _ = (streamed(1), streamed(17));
    let _ = formats::text::parse_as_mazes("in", bytes);
    let _ = moving_ai::MovingAiMap::parse("in", bytes);
    let _ = moving_ai::parse_scenarios("in", bytes);
    let _ = arc_json::parse_tasks("in", bytes, Some(bytes));
    let _ = token_text::parse("in", bytes, Tokens::new(3, 300).expect("supported"));
}

fn any_grid() -> impl Strategy<Value = Grid> {
    (0..12_usize, 0..12_usize).prop_flat_map(|(height, width)| {
        prop::collection::vec(any::<u8>(), height * width)
            .prop_map(move |cells| Grid::from_cells(height, width, cells).expect("as many as needed"))
    })
}

fn tasks() -> Vec<Box<dyn Task>> {
    vec![
        Box::new(Sudoku::default()),
        Box::new(Sudoku::new(2, 3).expect("supported")),
        Box::new(Maze::new(9, 9).expect("supported")),
        Box::new(Maze::new(3, 7).expect("supported")),
        Box::new(Arc),
        Box::new(Tokens::new(12, 300).expect("supported")),
        Box::new(Tokens::new(9, 4).expect("supported")),
    ]
}

#[test]
fn numbers_that_are_too_large() {
    let mut read = 0;
    for file in files_of_people() {
        for number in numbers(&file).into_iter().take(12) {
            for other in &NUMBERS[..4] {
                let mut bytes = file.clone();
                bytes.splice(number.clone(), other.bytes());
                read_every_way(&bytes);
                read += 1;
            }
        }
    }
    assert!(read > 1_000, "{read}");
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_every_way(&bytes);
    }

    #[test]
    fn puzzle_like_texts(text in puzzle_like()) {
        read_every_way(text.as_bytes());
    }

    #[test]
    fn headers_with_anything_after(bytes in anything_with_a_header()) {
        read_every_way(&bytes);
    }

    #[test]
    fn damaged_files_of_people(bytes in damaged_files()) {
        read_every_way(&bytes);
    }

    #[test]
    fn any_grid_in_any_task(grid in any_grid(), other in any_grid(), seed in any::<u64>()) {
        for task in tasks() {
            let _ = task.check(&grid);
            let _ = task.encode(&grid);
            prop_assert!(!task.verify(&grid, &other).to_string().is_empty());
            let symmetry = task.symmetry(&mut seeded(seed));
            let _ = symmetry.apply(&grid);
            let _ = symmetry.invert(&grid);
        }
        let _ = solve(Sudoku::default(), &grid, 100);
        let _ = grade(Sudoku::default(), &grid);
        let _ = trm_puzzles::maze::shortest_path(&grid);
    }

    #[test]
    fn any_tokens_are_an_answer((task, puzzle, _) in sudoku_example(), tokens in prop::collection::vec(any::<i32>(), 625)) {
        let answer = task.decode(&puzzle, &tokens[..task.seq_len()]).unwrap();
        prop_assert!(!task.verify(&puzzle, &answer).is_verified());
        prop_assert!(task.decode(&puzzle, &tokens[..3]).is_err());
    }

    #[test]
    fn small_tokens_are_an_answer((task, puzzle, _) in maze_example(), tokens in prop::collection::vec(-1..8_i32, 200)) {
        let answer = task.decode(&puzzle, &tokens[..task.seq_len()]).unwrap();
        prop_assert!(!task.verify(&puzzle, &answer).to_string().is_empty());
    }

    #[test]
    fn any_arc_tokens_are_an_answer(tokens in prop::collection::vec(prop_oneof![any::<i32>(), 0..12_i32], 900)) {
        let puzzle = Grid::filled(1, 1, 0);
        let answer = Arc.decode(&puzzle, &tokens).unwrap();
        prop_assert!(!Arc.verify(&puzzle, &answer).is_verified());
    }
}
