//! `trm-host read`: photographs in, grids and answers out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use clap::ValueEnum;
use image::RgbImage;
use serde::Serialize;
use trm_cli::backend::BackendChoice;
use trm_cli::{Exit, InvalidOption, console, errln, outln};
use trm_firmware_host::vision::evaluation::{PhotoRates, judge_photo};
use trm_firmware_host::vision::maze::{MazeReader, MazeReading, MazeRefusal};
use trm_firmware_host::vision::{BoardReader, Reading, Refusal, overlay, photo_set, source};
use trm_firmware_host::{HostError, Solving};
use trm_intake::{explained, shown};
use trm_models::ClassifierBundle;
use trm_pictures::{check_png_path, write_png};
use trm_puzzles::{Grid, Maze, PuzzleKind, maze};
use trm_solver::SolverError;
use trm_solver::model::describe;

/// Read the puzzle in photographs.
///
/// Finds the sudoku, straightens it, reads its digits and checks them against the rules; or a printed line maze with start
/// and goal. A reading that is not to be
/// trusted says why. Exit code 1: a photograph was not read with certainty, or its puzzle not solved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Photographs: JPEG or PNG, upright or on their side
    #[arg(value_name = "PHOTO", required_unless_present = "eval")]
    photos: Vec<PathBuf>,
    /// What to look for
    #[arg(long, value_name = "PUZZLE", default_value = "auto")]
    puzzle: Wanted,
    /// Solve what was read
    #[arg(long)]
    solve: bool,
    /// Draw corners, doubtful cells and the answer onto the photograph, into this PNG file; of several, numbered
    #[arg(long, value_name = "FILE")]
    overlay: Option<PathBuf>,
    /// Print one JSON object for each photograph
    #[arg(long)]
    json: bool,
    /// Read a folder of labelled photographs and print how much was right
    #[arg(long, value_name = "DIR", conflicts_with_all = ["photos", "solve", "overlay"])]
    eval: Option<PathBuf>,
    /// Folder of a digit reader to use instead of the built-in one
    #[arg(long, value_name = "DIR")]
    reader: Option<PathBuf>,
    /// Engine that solves
    #[arg(long, value_name = "ENGINE", default_value_t = BackendChoice::default_engine())]
    backend: BackendChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// A sudoku; where there is none, a maze
    Auto,
    Sudoku,
    /// A printed line maze, its start a filled dot or green, its goal a ring or red, or both openings of the frame
    Maze,
}

/// The object that `--json` prints for a photograph.
#[derive(Debug, Serialize)]
struct Record<'a> {
    file: &'a str,
    /// Task and size.
    task: Option<String>,
    found: bool,
    corners: Option<[[f32; 2]; 4]>,
    /// Quarter turns to the left that put the grid upright.
    turns: usize,
    grid: Option<String>,
    confidence: &'a [f32],
    doubtful: &'a [usize],
    trusted: bool,
    reason: Option<&'static str>,
    solution: Option<String>,
    verdict: Option<&'static str>,
    ms: f64,
}

/// The reading of a photograph, as a board or as a maze.
#[derive(Debug)]
enum Seen {
    Board(Reading),
    Maze(MazeReading),
}

impl Seen {
    /// A board, or where there is none, a maze; or only what was asked for.
    fn read(reader: &mut BoardReader, picture: &RgbImage, wanted: Wanted) -> anyhow::Result<Self> {
        if wanted != Wanted::Maze {
            let board = reader.read(picture)?;
            if wanted == Wanted::Sudoku || board.refusal != Some(Refusal::NoBoard) {
                return Ok(Self::Board(board));
            }
            let maze = MazeReader::new().read(picture);
            return Ok(if maze.grid.is_some() { Self::Maze(maze) } else { Self::Board(board) });
        }
        Ok(Self::Maze(MazeReader::new().read(picture)))
    }

    fn kind(&self) -> Option<PuzzleKind> {
        match self {
            Self::Board(reading) => reading.task.map(PuzzleKind::Sudoku),
            Self::Maze(reading) => {
                let grid = reading.grid.as_ref()?;
                Maze::new(grid.height(), grid.width()).ok().map(PuzzleKind::Maze)
            }
        }
    }

    fn grid(&self) -> Option<&Grid> {
        match self {
            Self::Board(reading) => reading.grid.as_ref(),
            Self::Maze(reading) => reading.grid.as_ref(),
        }
    }

    fn corners(&self) -> Option<[[f32; 2]; 4]> {
        match self {
            Self::Board(reading) => reading.corners,
            Self::Maze(reading) => reading.corners,
        }
    }

    /// The reason why it is not trusted.
    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Board(reading) => reading.refusal.map(Refusal::as_str),
            Self::Maze(reading) => reading.refusal.map(MazeRefusal::as_str),
        }
    }

    /// Indices of the cells in doubt.
    fn doubtful(&self) -> Vec<usize> {
        match self {
            Self::Board(reading) => reading.doubtful.clone(),
            Self::Maze(reading) => {
                let width = reading.grid.as_ref().map_or(0, Grid::width);
                reading.doubtful.iter().map(|cell| cell.row * width + cell.column).collect()
            }
        }
    }

    /// The grid as text: a sudoku in one line with 0 for an empty cell, a maze in rows.
    fn text(&self, grid: &Grid) -> String {
        match self {
            Self::Board(_) => line(grid),
            Self::Maze(_) => grid.to_text(maze_symbol),
        }
    }

    fn draw(&self, picture: &mut RgbImage, answer: Option<&Grid>) {
        match self {
            Self::Board(reading) => overlay::draw(picture, reading, answer),
            Self::Maze(reading) => overlay::draw_maze(picture, reading, answer),
        }
    }
}

fn maze_symbol(cell: u8) -> char {
    match cell {
        maze::WALL => '#',
        maze::START => 'S',
        maze::GOAL => 'G',
        maze::PATH => 'o',
        _ => ' ',
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let bundle = args.reader.as_deref().map_or_else(ClassifierBundle::digits, ClassifierBundle::open)?;
    let mut reader = BoardReader::open(&bundle)?;
    if let Some(folder) = &args.eval {
        return evaluate(&mut reader, folder, args.json);
    }
    if let Some(out) = &args.overlay {
        let inputs = args.photos.iter().map(PathBuf::as_path).collect::<Vec<_>>();
        for number in 0..args.photos.len() {
            check_png_path(&numbered(out, number, args.photos.len()), &inputs)
                .map_err(InvalidOption::named("--overlay"))?;
        }
    }
    let engine = args.backend.open()?;
    let mut solving = if args.solve { Some(Solving::new(engine, Vec::new())) } else { None };
    let mut all_good = true;
    let mut unreadable = 0;
    for (number, path) in args.photos.iter().enumerate() {
        if console::is_closed() && args.overlay.is_none() {
            break;
        }
        let mut picture = match source::open_whole(path) {
            Ok(picture) => picture,
            Err(error) if args.photos.len() == 1 => return Err(error.into()),
            Err(error) => {
                // The others may be well; the exit code tells in the end.
                unreadable += 1;
                crate::failure::print(&error.into());
                continue;
            }
        };
        let started = Instant::now();
        let seen = Seen::read(&mut reader, &picture, args.puzzle)?;
        let answer = match (&mut solving, seen.reason()) {
            (Some(solving), None) => solve(solving, &seen, path)?,
            _ => None,
        };
        let elapsed = started.elapsed().as_secs_f64() * 1e3;
        let verified = answer.as_ref().filter(|(_, verdict)| *verdict == "verified").map(|(grid, _)| grid);
        all_good &= seen.reason().is_none() && (verified.is_some() || !args.solve);
        print(args.json, path, &seen, answer.as_ref(), elapsed)?;
        if let Some(out) = &args.overlay {
            seen.draw(&mut picture, verified);
            write_png(&numbered(out, number, args.photos.len()), &picture)?;
        }
    }
    if unreadable > 0 {
        bail!("{unreadable} of {} files could not be read as pictures", args.photos.len());
    }
    Ok(if all_good { Exit::Done } else { Exit::AnswerFailed })
}

/// Solves what was read, and returns the answer with the verdict. `None` if there is no grid, or if no model solves
/// this kind of puzzle, which is said on stderr.
fn solve(solving: &mut Solving, seen: &Seen, path: &Path) -> anyhow::Result<Option<(Grid, &'static str)>> {
    let (Some(kind), Some(grid)) = (seen.kind(), seen.grid()) else { return Ok(None) };
    match solving.solve(kind, grid, &mut |_, _| std::ops::ControlFlow::Continue(())) {
        Ok(report) => Ok(report.map(|report| (report.answer, report.verdict.as_str()))),
        Err(HostError::Solver(error)) if matches!(*error, SolverError::NoFittingModel { .. }) => {
            errln!("{}: not solved: {}", shown::path(path), shown::lines(&explained(&*error)));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn print(json: bool, path: &Path, seen: &Seen, answer: Option<&(Grid, &'static str)>, ms: f64) -> anyhow::Result<()> {
    let file = path.display().to_string();
    let verified = answer.filter(|(_, verdict)| *verdict == "verified").map(|(grid, _)| grid);
    let doubtful = seen.doubtful();
    if json {
        let (confidence, turns): (&[f32], usize) = match seen {
            Seen::Board(reading) => (&reading.confidence, reading.turns),
            Seen::Maze(_) => (&[], 0),
        };
        let record = Record {
            file: &file,
            task: seen.kind().map(|kind| describe(&kind)),
            found: seen.corners().is_some(),
            corners: seen.corners(),
            turns,
            grid: seen.grid().map(|grid| seen.text(grid)),
            confidence,
            doubtful: &doubtful,
            trusted: seen.reason().is_none(),
            reason: seen.reason(),
            solution: verified.map(|grid| seen.text(grid)),
            verdict: answer.map(|(_, verdict)| *verdict),
            ms: (ms * 10.0).round() / 10.0,
        };
        outln!("{}", serde_json::to_string(&record)?)?;
        return Ok(());
    }
    outln!("{}", shown::text(&file))?;
    if let Some(grid) = seen.grid() {
        let shown = verified.unwrap_or(grid);
        let digit = |digit| if digit == 0 { '.' } else { char::from(b'0' + digit) };
        let text = match seen {
            Seen::Board(_) => shown.to_text(digit),
            Seen::Maze(_) => shown.to_text(maze_symbol),
        };
        outln!("{}", text.trim_end_matches('\n'))?;
    }
    match (seen.reason(), answer) {
        (Some(reason), _) if doubtful.is_empty() => outln!("not trusted: {reason}")?,
        (Some(reason), _) => {
            let width = seen.grid().map_or(1, Grid::width);
            let cells: Vec<String> =
                doubtful.iter().map(|cell| format!("r{}c{}", cell / width + 1, cell % width + 1)).collect();
            outln!("not trusted: {reason} ({})", cells.join(" "))?;
        }
        (None, None) => outln!("trusted")?,
        (None, Some((_, verdict))) => outln!("{verdict}")?,
    }
    outln!("{ms:.1} ms")?;
    Ok(())
}

/// All cells in a line, 0 for an empty one.
fn line(grid: &Grid) -> String {
    grid.cells().iter().map(|digit| char::from(b'0' + digit.min(&9))).collect()
}

fn evaluate(reader: &mut BoardReader, folder: &Path, json: bool) -> anyhow::Result<Exit> {
    let photos = photo_set::read(folder)?;
    if photos.is_empty() {
        bail!("{}: no photographs", shown::path(folder));
    }
    let mut rates = PhotoRates::default();
    for labelled in &photos {
        let result = judge_photo(reader, labelled)?;
        if !result.exact() || !result.trusted {
            let state = if result.trusted { "trusted" } else { "not trusted" };
            let (file, right, cells) = (shown::text(&result.file), result.cells_right, result.cells);
            errln!("{file}: {right} of {cells} cells right, {state}");
        }
        rates.add(&result);
    }
    if json {
        outln!("{}", serde_json::to_string(&rates)?)?;
    } else {
        outln!("{rates}")?;
    }
    Ok(if rates.wrong_trusted == 0 { Exit::Done } else { Exit::AnswerFailed })
}

/// `FILE`, or of several pictures `FILE-1`, `FILE-2`.
fn numbered(path: &Path, number: usize, count: usize) -> PathBuf {
    if count == 1 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{}.{extension}", number + 1))
}
