//! Prints solved puzzles: a drawing for people, an object a line for programs, a picture.

use std::io::{self, Write};
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{InvalidOption, console};
use trm_engine::ort::ExecutionProvider;
use trm_intake::Printable;
use trm_pictures::write_png;
use trm_puzzles::{AnswerCount, Puzzle, PuzzleKind, Verdict};
use trm_solver::render::{picture, wrong_cells};
use trm_solver::{AttemptKind, SolveReport, model};

use crate::text::{self, Style};

/// The form of printed answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Drawings for people, with verdict, steps and time
    Grid,
    /// `puzzle:solutions:answer` a line, of sudokus; no answer where none is right
    Lines,
    /// A table with puzzle, solution and verdict; no solution where none is right
    Csv,
    /// An object a line
    Json,
}

/// Prints answers in one form.
pub(crate) struct Form {
    format: Format,
    colour: bool,
}

impl Form {
    /// A form; `may_colour` if it is for stdout.
    pub(crate) fn new(format: Format, may_colour: bool) -> Self {
        Self { format, colour: may_colour && console::has_colour() }
    }

    /// Refuses a puzzle that has no such form.
    pub(crate) fn check(&self, puzzle: &Puzzle) -> anyhow::Result<()> {
        let has_form = match (self.format, puzzle.kind) {
            (Format::Grid | Format::Json, _) | (_, PuzzleKind::Sudoku(_)) | (Format::Csv, PuzzleKind::Maze(_)) => true,
            (Format::Csv | Format::Lines, _) => false,
        };
        if has_form {
            return Ok(());
        }
        let (format, others) = match self.format {
            Format::Lines => ("lines", "json, csv and grid"),
            _ => ("csv", "json and grid"),
        };
        Err(InvalidOption {
            option: "--format",
            reason: format!("{}: a {} cannot be written as {format}", Printable(&puzzle.source), puzzle.task().name()),
            hint: Some(format!("{others} can hold it")),
        }
        .into())
    }

    /// Writes an answer, with what stands before the `first` one.
    pub(crate) fn write(&self, out: &mut impl Write, solved: &Solved<'_>, first: bool) -> io::Result<()> {
        match self.format {
            Format::Json => solved.write_json(out),
            Format::Lines => solved.write_line(out),
            Format::Csv => {
                let mut table = csv::Writer::from_writer(out);
                if first {
                    table.write_record(COLUMNS)?;
                }
                table.write_record(solved.record())?;
                table.flush()
            }
            Format::Grid => {
                if !first {
                    writeln!(out)?;
                }
                solved.write_drawing(out, self.colour)
            }
        }
    }
}

/// Columns of a table of answers.
const COLUMNS: [&str; 9] = ["source", "id", "puzzle", "solution", "verdict", "solutions", "steps", "ms", "model"];

/// A puzzle with its answer and its verdict.
pub(crate) struct Solved<'a> {
    pub(crate) puzzle: &'a Puzzle,
    pub(crate) model: String,
    pub(crate) report: SolveReport,
    /// Right answers that there are, as an exact search counted them.
    pub(crate) solutions: AnswerCount,
    /// Reasons why it did not run on a more preferred engine or provider.
    pub(crate) fallbacks: Vec<String>,
}

/// A puzzle with its answer. Other programs rely on the first seven keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Solved")]
pub(crate) struct JsonReport<'a> {
    /// The question, row by row in the input's own characters; rows of ARC parted by `/`.
    puzzle: String,
    /// The answer, likewise; the question where there is none.
    answer: String,
    /// `verified`, `unverifiable`, `wrong`, `unsolved` or `unsolvable`.
    verdict: &'static str,
    /// Steps of the attempt that gave the answer.
    steps: usize,
    /// The engine that ran: `ort`, `rten` or `tract`; `none` where none did.
    backend: &'static str,
    /// The device: `cpu`, `cuda` or `tensorrt`.
    #[schemars(with = "String")]
    provider: ExecutionProvider,
    /// Milliseconds from the first step to the answer, loading not included.
    ms: f64,
    /// Place that the puzzle came from: `FILE:LINE`, `FILE:TASK[TEST]` for ARC.
    source: &'a str,
    /// The name that the input gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// The model's name; `none` where none ran.
    model: &'a str,
    /// `sudoku`, `maze`, `arc` or `tokens`.
    task: &'static str,
    /// Rows and columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<[usize; 2]>,
    /// Rows and columns of a sudoku's boxes.
    #[serde(skip_serializing_if = "Option::is_none")]
    boxes: Option<[usize; 2]>,
    /// The character of a sudoku's blank cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    blank: Option<char>,
    /// `0`, `1` or `2+`: solutions of a sudoku, shortest ways of a maze; absent where it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    solutions: Option<&'static str>,
    /// The reason of any verdict but `verified`, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The rule that a wrong answer breaks: `row`, `column`, `box`, `wall`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Cells that break the rule, each [row, column] from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Vec<[usize; 2]>>,
    /// True if no way through the maze is shorter than the one found.
    #[serde(skip_serializing_if = "Option::is_none")]
    optimal: Option<bool>,
    /// Moves of the way found.
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// Moves of a shortest way.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest: Option<usize>,
    /// Attempts that were made, the first one included.
    attempts: usize,
    /// True if the answer was found for a symmetric copy.
    symmetric: bool,
    /// The attempt that gave the answer: `first`, `symmetric`, `rollout` or `exact`, a classical search.
    found_by: &'static str,
    /// Steps of all attempts together.
    total_steps: usize,
    /// The reason why the attempt stopped.
    halted_by: String,
    /// The model's own signal at the answer's last step: above 0 it thinks that the answer is right.
    q_halt: f32,
    /// Reasons why it did not run on a more preferred engine or provider.
    fallbacks: &'a [String],
}

impl Solved<'_> {
    /// One JSON object in one line.
    fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { puzzle, report, .. } = self;
        let verdict = &report.verdict;
        let path = verdict.path();
        let violation = match verdict {
            Verdict::Wrong(violation) => Some(violation),
            _ => None,
        };
        let cells: Vec<_> = wrong_cells(verdict).iter().map(|cell| [cell.row + 1, cell.column + 1]).collect();
        let json = JsonReport {
            puzzle: puzzle.line(&puzzle.grid),
            answer: puzzle.line(&report.answer),
            verdict: verdict.as_str(),
            steps: report.steps,
            backend: report.backend,
            provider: report.provider,
            ms: (report.time.as_secs_f64() * 1e5).round() / 1e2,
            source: &puzzle.source,
            id: puzzle.id.as_deref(),
            model: &self.model,
            task: puzzle.task().name(),
            size: (!matches!(puzzle.kind, PuzzleKind::Tokens(_))).then(|| puzzle.grid.size().into()),
            boxes: match puzzle.kind {
                PuzzleKind::Sudoku(task) => Some([task.box_height(), task.box_width()]),
                _ => None,
            },
            blank: puzzle.alphabet.blank(),
            solutions: self.solutions.as_str(),
            reason: self.reason(),
            rule: violation.map(|violation| violation.rule.to_string()),
            cells: (!cells.is_empty()).then_some(cells),
            optimal: path.map(|path| path.optimal()),
            length: path.map(|path| path.length),
            shortest: path.map(|path| path.shortest),
            attempts: report.attempts,
            symmetric: report.found_by == AttemptKind::Symmetric,
            found_by: report.found_by.as_str(),
            total_steps: report.total_steps,
            halted_by: report.halted_by.to_string(),
            q_halt: report.q_halt,
            fallbacks: &self.fallbacks,
        };
        serde_json::to_writer(&mut *out, &json)?;
        writeln!(out)
    }

    /// The puzzle, the number of its solutions and its answer, if that is right.
    fn write_line(&self, out: &mut impl Write) -> io::Result<()> {
        let solutions = self.solutions.as_str().map_or("?", |count| count.trim_end_matches('+'));
        let answer = if self.is_right() { self.puzzle.line(&self.report.answer) } else { String::new() };
        writeln!(out, "{}:{solutions}:{answer}", self.puzzle.line(&self.puzzle.grid))
    }

    /// The fields of a table's columns.
    fn record(&self) -> [String; 9] {
        let Self { puzzle, report, .. } = self;
        // A maze keeps its rows.
        let grid = |grid| match puzzle.kind {
            PuzzleKind::Maze(_) => puzzle.drawing(grid).trim_end_matches('\n').to_owned(),
            _ => puzzle.line(grid),
        };
        [
            puzzle.source.clone(),
            puzzle.id.clone().unwrap_or_default(),
            grid(&puzzle.grid),
            if self.is_right() { grid(&report.answer) } else { String::new() },
            report.verdict.as_str().to_owned(),
            self.solutions.as_str().unwrap_or_default().to_owned(),
            report.steps.to_string(),
            format!("{:.2}", report.time.as_secs_f64() * 1e3),
            self.model.clone(),
        ]
    }

    /// True if the answer keeps every rule that there is.
    fn is_right(&self) -> bool {
        matches!(self.report.verdict, Verdict::Verified { .. } | Verdict::Unverifiable { .. })
    }

    /// A drawing with steps, verdict and time below.
    fn write_drawing(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
        let Self { puzzle, report, .. } = self;
        writeln!(out, "{}  {}", Printable(&puzzle.source), model::describe(&puzzle.kind))?;
        let wrong = wrong_cells(&report.verdict);
        let style = |index: usize| {
            let cell = trm_puzzles::Cell::from_index(index, report.answer.width());
            if !colour {
                None
            } else if wrong.contains(&cell) {
                Some(Style::Wrong)
            } else {
                (puzzle.grid.get(cell) != report.answer.get(cell)).then_some(Style::Answer)
            }
        };
        write!(out, "{}", text::drawing(puzzle, &report.answer, style))?;
        writeln!(out, "{}", report.verdict)?;
        if matches!(report.verdict, Verdict::Unsolvable { .. }) {
            return Ok(());
        }
        if self.solutions == AnswerCount::Several && matches!(puzzle.kind, PuzzleKind::Sudoku(_)) {
            writeln!(out, "one of several solutions")?;
        }
        let tries = match report.attempts {
            1 if report.found_by == AttemptKind::Exact => ", found by an exact search".to_owned(),
            1 => String::new(),
            attempts if report.found_by == AttemptKind::Symmetric => {
                format!(", found for a symmetric copy in {attempts} attempts")
            }
            attempts if report.found_by == AttemptKind::Rollout => {
                format!(", found by a rollout in {attempts} attempts")
            }
            attempts if report.found_by == AttemptKind::Exact => {
                format!(", found by an exact search after {attempts} attempts")
            }
            attempts => format!(", {attempts} attempts"),
        };
        let steps = if report.steps == 1 { "step" } else { "steps" };
        writeln!(
            out,
            "{} {steps}, {:.1} ms{tries}, {} on {} ({})",
            report.steps,
            report.time.as_secs_f64() * 1e3,
            self.model,
            report.backend,
            report.provider
        )
    }

    /// The reason that a verdict gives beyond its name; `None` for a verified answer.
    fn reason(&self) -> Option<String> {
        match &self.report.verdict {
            Verdict::Wrong(violation) => Some(violation.message.clone()),
            Verdict::Unsolved { reason, .. } | Verdict::Unverifiable { reason } | Verdict::Unsolvable { reason } => {
                Some(reason.clone())
            }
            Verdict::Verified { .. } => None,
        }
    }

    /// Writes a PNG, complete or not at all.
    pub(crate) fn write_png(&self, path: &Path) -> anyhow::Result<()> {
        let picture = picture(&self.puzzle.kind, &self.puzzle.grid, &self.report.answer, &self.report.verdict);
        Ok(write_png(path, &picture)?)
    }
}
