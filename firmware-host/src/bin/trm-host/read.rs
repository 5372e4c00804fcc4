//! `trm-host read`: photographs in, grids and answers out.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use clap::ValueEnum;
use serde::Serialize;
use trm_firmware_host::display::write_image;
use trm_firmware_host::vision::evaluation::{PhotoRates, judge_photo};
use trm_firmware_host::vision::{BoardReader, Reading, overlay, photo, photo_set};
use trm_firmware_host::{EngineChoice, Solving};
use trm_models::ClassifierBundle;
use trm_puzzles::{Grid, PuzzleKind};

use crate::Exit;

/// Read the sudoku in photographs.
///
/// Finds the board, straightens it, reads its digits and checks them against the rules. A reading that is not to be
/// trusted says why. Exit code 1: a photograph was not read with certainty, or its puzzle not solved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Photographs: JPEG or PNG, upright or on their side
    #[arg(value_name = "PHOTO", required_unless_present = "eval")]
    photos: Vec<PathBuf>,
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
    #[arg(long, value_name = "ENGINE", default_value = "tract")]
    backend: Backend,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Backend {
    /// built in
    Tract,
    /// ONNX Runtime, from its shared library
    Ort,
}

/// What `--json` prints for a photograph.
#[derive(Debug, Serialize)]
struct Record<'a> {
    file: &'a str,
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

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let bundle = args.reader.as_deref().map_or_else(ClassifierBundle::digits, ClassifierBundle::open)?;
    let mut reader = BoardReader::open(&bundle)?;
    if let Some(folder) = &args.eval {
        return evaluate(&mut reader, folder, args.json);
    }
    let engine = match args.backend {
        Backend::Tract => EngineChoice::Tract,
        Backend::Ort => EngineChoice::Ort,
    };
    let mut solving = if args.solve { Some(Solving::new(engine, Vec::new())?) } else { None };
    let mut all_good = true;
    for (number, path) in args.photos.iter().enumerate() {
        let mut picture = photo::open(path)?;
        let started = Instant::now();
        let reading = reader.read(&picture)?;
        let answer = match (&mut solving, reading.trusted()) {
            (Some(solving), true) => solve(solving, &reading)?,
            _ => None,
        };
        let elapsed = started.elapsed().as_secs_f64() * 1e3;
        let verified = answer.as_ref().filter(|(_, verdict)| *verdict == "verified").map(|(grid, _)| grid);
        all_good &= reading.trusted() && (verified.is_some() || !args.solve);
        print(args.json, path, &reading, answer.as_ref(), elapsed)?;
        if let Some(out) = &args.overlay {
            overlay::draw(&mut picture, &reading, verified);
            write_image(&numbered(out, number, args.photos.len()), &picture)?;
        }
    }
    Ok(if all_good { Exit::Done } else { Exit::AnswerFailed })
}

/// The answer with what the rules say of it.
fn solve(solving: &mut Solving, reading: &Reading) -> anyhow::Result<Option<(Grid, &'static str)>> {
    let (Some(task), Some(grid)) = (reading.task, &reading.grid) else { return Ok(None) };
    let kind = PuzzleKind::Sudoku(task);
    let report = solving.solve(kind, grid, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
    Ok(report.map(|report| (report.answer, report.verdict.as_str())))
}

fn print(
    json: bool,
    path: &Path,
    reading: &Reading,
    answer: Option<&(Grid, &'static str)>,
    ms: f64,
) -> anyhow::Result<()> {
    let file = path.display().to_string();
    if json {
        let record = Record {
            file: &file,
            found: reading.corners.is_some(),
            corners: reading.corners,
            turns: reading.turns,
            grid: reading.grid.as_ref().map(line),
            confidence: &reading.confidence,
            doubtful: &reading.doubtful,
            trusted: reading.trusted(),
            reason: reading.refusal.map(trm_firmware_host::vision::Refusal::as_str),
            solution: answer.filter(|(_, verdict)| *verdict == "verified").map(|(grid, _)| line(grid)),
            verdict: answer.map(|(_, verdict)| *verdict),
            ms: (ms * 10.0).round() / 10.0,
        };
        println!("{}", serde_json::to_string(&record)?);
        return Ok(());
    }
    println!("{file}");
    if let Some(grid) = &reading.grid {
        let shown = answer.filter(|(_, verdict)| *verdict == "verified").map_or(grid, |(answer, _)| answer);
        print!("{}", shown.to_text(|digit| if digit == 0 { '.' } else { char::from(b'0' + digit.min(9)) }));
    }
    match (reading.refusal, answer) {
        (Some(refusal), _) if reading.doubtful.is_empty() => println!("not trusted: {}", refusal.as_str()),
        (Some(refusal), _) => {
            let side = reading.grid.as_ref().map_or(1, Grid::width);
            let cells: Vec<String> =
                reading.doubtful.iter().map(|cell| format!("r{}c{}", cell / side + 1, cell % side + 1)).collect();
            println!("not trusted: {} ({})", refusal.as_str(), cells.join(" "));
        }
        (None, None) => println!("trusted"),
        (None, Some((_, verdict))) => println!("{verdict}"),
    }
    println!("{ms:.1} ms");
    Ok(())
}

/// All cells in a line, 0 for an empty one.
fn line(grid: &Grid) -> String {
    grid.cells().iter().map(|digit| char::from(b'0' + digit.min(&9))).collect()
}

fn evaluate(reader: &mut BoardReader, folder: &Path, json: bool) -> anyhow::Result<Exit> {
    let photos = photo_set::read(folder)?;
    if photos.is_empty() {
        bail!("{}: no photographs", folder.display());
    }
    let mut rates = PhotoRates::default();
    for labelled in &photos {
        let result = judge_photo(reader, labelled)?;
        if !result.exact() || !result.trusted {
            let state = if result.trusted { "trusted" } else { "not trusted" };
            eprintln!("{}: {} of {} cells right, {state}", result.file, result.cells_right, result.cells);
        }
        rates.add(&result);
    }
    if json {
        println!("{}", serde_json::to_string(&rates)?);
    } else {
        println!("{rates}");
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
