//! Readers of puzzles and data sets.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use trm_puzzles::formats::moving_ai::{MovingAiMap, parse_scenarios};
use trm_puzzles::formats::{self, Puzzle, Reading, Stream};
use trm_puzzles::{DataSet, Maze, MazeGenerator};

use crate::scratch::with_folder;

/// Uses a reading as programs do.
fn used(puzzles: trm_puzzles::Result<Vec<Puzzle>>) -> bool {
    let Ok(puzzles) = puzzles else { return false };
    for puzzle in &puzzles {
        let _ = puzzle.check();
        let _ = puzzle.line(&puzzle.grid);
        let _ = puzzle.drawing(&puzzle.grid);
        let _ = puzzle.task().verify(&puzzle.grid, &puzzle.grid);
    }
    !puzzles.is_empty()
}

/// Any of the text formats, told apart by what is in them.
pub(crate) fn text(data: &[u8]) -> bool {
    // In pieces as well: what a part of an input means may not depend on more than that part.
    let stream = Stream::of("puzzles.txt", io::Cursor::new(data.to_vec()), &Reading::default());
    let pieces = stream.collect::<trm_puzzles::Result<Vec<_>>>();
    used(pieces.map(|pieces| pieces.into_iter().flat_map(|found| found.puzzles).collect()));
    used(formats::parse("puzzles.txt", data))
}

pub(crate) fn mazes(data: &[u8]) -> bool {
    used(formats::text::parse_as_mazes("mazes.txt", data))
}

pub(crate) fn jsonl(data: &[u8]) -> bool {
    used(formats::jsonl::parse("puzzles.jsonl", data))
}

/// Tasks, and behind a zero byte their solutions.
pub(crate) fn arc_json(data: &[u8]) -> bool {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let tasks = parts.next().unwrap_or_default();
    used(formats::arc_json::parse("tasks.json", tasks, parts.next()))
}

pub(crate) fn moving_ai(data: &[u8]) -> bool {
    MovingAiMap::parse("arena.map", data).is_ok()
}

pub(crate) fn scenarios(data: &[u8]) -> bool {
    parse_scenarios("arena.map.scen", data).is_ok()
}

/// The files of a data set; the first byte says which of them is replaced by the others.
const FILES: [&str; 7] = [
    "dataset.json",
    "all__inputs.npy",
    "all__labels.npy",
    "all__puzzle_identifiers.npy",
    "all__puzzle_indices.npy",
    "all__group_indices.npy",
    "identifiers.json",
];

/// A data set with one file of its own among good ones.
pub(crate) fn dataset(data: &[u8]) -> bool {
    let Some((&choice, content)) = data.split_first() else { return false };
    let name = FILES[usize::from(choice) % FILES.len()];
    let read = |folder: &Path| {
        let folder = folder.join("train");
        std::fs::create_dir_all(&folder).ok()?;
        // Names of puzzles may be left out, and are.
        let _ = std::fs::remove_file(folder.join("identifiers.json"));
        for (file, good) in good_files() {
            std::fs::write(folder.join(file), good).ok()?;
        }
        std::fs::write(folder.join(name), content).ok()?;
        Some(DataSet::read(&folder).is_ok())
    };
    with_folder(read).flatten().unwrap_or(false)
}

/// A data set of two mazes of 3x3, file by file.
fn good_files() -> &'static [(&'static str, Vec<u8>)] {
    static FILES_READ: OnceLock<Vec<(&'static str, Vec<u8>)>> = OnceLock::new();
    FILES_READ.get_or_init(|| {
        let write = |folder: &Path| {
            let folder = folder.join("good");
            let maze = Maze::new(3, 3).ok()?;
            DataSet::generate(&MazeGenerator::new(maze), 2, 1).ok()?.write(&folder).ok()?;
            let read = |&name: &&'static str| Some((name, std::fs::read(folder.join(name)).ok()?));
            Some(FILES.iter().filter_map(read).collect())
        };
        with_folder(write).flatten().unwrap_or_default()
    })
}
