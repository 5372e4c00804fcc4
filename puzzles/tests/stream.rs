//! Inputs that are read as they come.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::rc::Rc;

use trm_intake::explained;
use trm_puzzles::formats::{self, Reading, Stream};
use trm_puzzles::{Generate, Grid, Puzzle, Sudoku, SudokuGenerator, seeded};

/// A reader that gives out so many bytes at once and says how many it was asked for.
struct Drops<'a>(Cursor<&'a [u8]>, usize, Rc<Cell<usize>>);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        let read = self.0.read(&mut buffer[..most])?;
        self.2.set(self.2.get() + read);
        Ok(read)
    }
}

/// As a whole, and in drops of several sizes.
fn streamed(text: &'static [u8], reading: &Reading) -> Vec<Vec<Puzzle>> {
    [1, 7, 80, 82, 163, 5000, usize::MAX]
        .into_iter()
        .map(|drop| {
            let stream = Stream::of("t", Drops(Cursor::new(text), drop, Rc::default()), reading);
            stream.flat_map(|found| found.expect("readable").puzzles).collect()
        })
        .collect()
}

fn leaked(text: String) -> &'static [u8] {
    text.leak().as_bytes()
}

/// Puzzles with their answers, as lines.
fn lines(count: usize) -> Vec<(String, String)> {
    let generator = SudokuGenerator::easy(Sudoku::default()).expect("a size");
    let mut rng = seeded(5);
    let line = |grid: &Grid| grid.cells().iter().map(u8::to_string).collect::<String>();
    let example = |_| generator.generate(&mut rng).map(|example| (line(&example.puzzle), line(&example.solution)));
    (0..count).map(example).collect::<Result<_, _>>().expect("made")
}

#[test]
fn pieces_of_any_size_are_the_puzzles_of_the_whole() {
    let lines = lines(40);
    let joined = |each: fn(&(String, String)) -> String| lines.iter().map(each).collect::<String>();
    let texts = [
        joined(|(puzzle, _)| format!("{puzzle}\n")),
        joined(|(puzzle, answer)| format!("{puzzle}\r\n{answer}\r\n")),
        joined(|(puzzle, answer)| format!("{puzzle}:1:{answer}\n")),
        format!("# forty\n40\n\n{}", joined(|(puzzle, _)| format!("Puzzle A\n{puzzle}\n"))),
        format!("quizzes,solutions\n{}", joined(|(puzzle, answer)| format!("{puzzle},{answer}\n"))),
        format!("\u{feff}id;puzzle\n{}", joined(|(puzzle, _)| format!("\"one\n\"\"two\"\"\";{puzzle}\n"))),
        joined(|(puzzle, answer)| format!("{{\"puzzle\": \"{puzzle}\", \"answer\": \"{answer}\"}}\n\n")),
        // A line each, and a grid among them.
        format!("{}\n{}\n{}", lines[0].0, rows(&lines[1].0), lines[2].0),
        rows(&lines[0].0),
        "#####\n#S G#\n#####\n\n#####\n#G S#\n#####\n".to_owned(),
        format!("{{\"puzzle\":\n\"{}\"}}", lines[0].0),
    ];
    for text in texts {
        let text = leaked(text);
        let whole = formats::parse("t", text).expect("readable");
        for pieces in streamed(text, &Reading::default()) {
            assert_eq!(pieces.len(), whole.len(), "{}", String::from_utf8_lossy(text));
            for (index, (piece, whole)) in pieces.iter().zip(&whole).enumerate() {
                // Of the first puzzle nobody knows that its answer will follow.
                let solution = if index == 0 && piece.solution.is_none() { None } else { whole.solution.clone() };
                assert_eq!(*piece, Puzzle { solution, ..whole.clone() }, "{}", String::from_utf8_lossy(text));
            }
        }
    }
}

fn rows(line: &str) -> String {
    let rows = line.as_bytes().chunks(9).map(String::from_utf8_lossy).collect::<Vec<_>>();
    rows.join("\n") + "\n"
}

#[test]
fn the_first_puzzle_comes_before_the_input_ends() {
    for (head, line) in [("", ""), ("puzzle\n", ""), ("", "json")] {
        let puzzles = lines(3000);
        let puzzle = |(puzzle, _): &(String, String)| match line {
            "json" => format!("{{\"puzzle\": \"{puzzle}\"}}\n"),
            _ => format!("{puzzle}\n"),
        };
        let text = leaked(head.to_owned() + &puzzles.iter().map(puzzle).collect::<String>());
        let asked = Rc::new(Cell::new(0));
        let mut stream = Stream::of("t", Drops(Cursor::new(text), 100, Rc::clone(&asked)), &Reading::default());
        let first = stream.next().expect("a piece").expect("readable");
        assert!(!first.puzzles.is_empty() && asked.get() <= 300, "{head} {line} {}", asked.get());
        assert_eq!(first.puzzles.len() + stream.flat_map(|found| found.expect("readable").puzzles).count(), 3000);
    }
}

#[test]
fn lists_of_four_by_four_are_no_rows_of_sixteen() {
    let line = "1..4..1.2..33..2\n";
    let text = leaked(line.repeat(3000));
    let asked = Rc::new(Cell::new(0));
    let mut stream = Stream::of("t", Drops(Cursor::new(text), 17, Rc::clone(&asked)), &Reading::default());
    let first = stream.next().expect("a piece").expect("readable");
    assert!(first.puzzles.len() >= 17 && asked.get() <= 20 * 17, "{}", asked.get());
    assert_eq!(first.puzzles.len() + stream.flat_map(|found| found.expect("readable").puzzles).count(), 3000);
    // Said, the first line is enough.
    let boxes = Reading { boxes: Some(Sudoku::new(2, 2).expect("a shape")), ..Reading::default() };
    let asked = Rc::new(Cell::new(0));
    let mut stream = Stream::of("t", Drops(Cursor::new(text), 17, Rc::clone(&asked)), &boxes);
    assert_eq!((stream.next().expect("a piece").expect("readable").puzzles.len(), asked.get()), (1, 17));
    let grid = include_bytes!("dialects/sixteen-one-to-g.txt");
    let whole = formats::parse("t", grid).expect("readable");
    for pieces in streamed(grid, &Reading::default()) {
        assert_eq!(
            pieces.iter().map(|piece| &piece.grid).collect::<Vec<_>>(),
            whole.iter().map(|puzzle| &puzzle.grid).collect::<Vec<_>>()
        );
    }
}

#[test]
fn an_error_names_the_line_of_the_whole_input() {
    let mut lines = lines(2000).into_iter().map(|(puzzle, _)| puzzle).collect::<Vec<_>>();
    lines[1500].replace_range(80.., "?");
    let table = "puzzle\n".to_owned() + &lines.join("\n") + "\n";
    let json = lines.iter().map(|line| format!("{{\"puzzle\": \"{line}\"}}")).collect::<Vec<_>>().join("\n");
    for (text, line) in [(lines.join("\n"), 1501), (table, 1502), (json, 1501)] {
        let text = leaked(text);
        let mut stream = Stream::of("t", Drops(Cursor::new(text), 999, Rc::default()), &Reading::default());
        let error = stream.find_map(Result::err).expect("a bad line");
        assert!(explained(&error).starts_with(&format!("t:{line}")), "{}", explained(&error));
        assert!(stream.next().is_none(), "the first error is the last item");
        let going_on = Reading { keep_going: true, ..Reading::default() };
        let stream = Stream::of("t", Drops(Cursor::new(text), 999, Rc::default()), &going_on);
        let found = stream.map(|found| found.expect("goes on")).collect::<Vec<_>>();
        let count = |of: fn(&formats::Found) -> usize| found.iter().map(of).sum::<usize>();
        assert_eq!((count(|found| found.puzzles.len()), count(|found| found.failures.len())), (1999, 1));
    }
}

#[test]
fn files_of_more_than_an_input_may_have_are_read_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = lines(1).remove(0).0 + "\n";
    let count = (70 << 20) / line.len();
    let path = folder.path().join("many.txt");
    std::fs::write(&path, line.repeat(count)).expect("written");
    let read = |path: &Path| {
        let pieces = Stream::open(path, &Reading::default()).expect("opened");
        pieces.map(|found| found.expect("readable").puzzles.len()).sum::<usize>()
    };
    assert_eq!(read(&path), count);
    let few = line.repeat(5000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(few.as_bytes()).expect("memory");
    let zstd = ruzstd::encoding::compress_to_vec(few.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    for (name, bytes) in [("p.txt.gz", gzip.finish().expect("memory")), ("p.txt.zst", zstd)] {
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes).expect("written");
        let mut stream = Stream::open(&path, &Reading::default()).expect("opened");
        let first = stream.next().expect("a piece").expect("readable");
        assert!(first.puzzles[0].source.ends_with("p.txt:1"), "{}", first.puzzles[0].source);
        assert_eq!(read(&path), 5000);
        assert_eq!(formats::read(&path).expect("as a whole").len(), 5000);
        std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
        let error = Stream::open(&path, &Reading::default()).expect("opened").find_map(Result::err).expect("cut");
        assert!(explained(&error).contains("cannot be unpacked: "), "{}", explained(&error));
    }
}

#[test]
fn a_line_without_an_end_is_refused() {
    let text = leaked(format!("{}\n{}", lines(1).remove(0).0, "\"".repeat(70 << 20)));
    let stream = Stream::of("t", Drops(Cursor::new(text), usize::MAX, Rc::default()), &Reading::default());
    let error = stream.last().expect("an item").expect_err("too large");
    assert!(explained(&error).contains("more than the limit of 67108864"), "{}", explained(&error));
}
