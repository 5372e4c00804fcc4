//! Prints solved puzzles: a drawing for people, an object a line for programs, a picture.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use trm_engine::ort::ExecutionProvider;
use trm_intake::Printable;
use trm_pictures::write_png;
use trm_puzzles::{AnswerCount, Puzzle, PuzzleKind, Verdict};
use trm_solver::render::{picture, wrong_cells};
use trm_solver::{AttemptKind, SolveReport, model};

use crate::text::{self, Style};

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

/// The object that `--json` prints for a puzzle. Other programs rely on the first seven keys.
#[derive(Debug, Serialize)]
struct JsonReport<'a> {
    puzzle: String,
    answer: String,
    verdict: &'static str,
    steps: usize,
    backend: &'static str,
    provider: ExecutionProvider,
    ms: f64,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    model: &'a str,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Cells that break the rule, each [row, column] from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cells: Option<Vec<[usize; 2]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    optimal: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shortest: Option<usize>,
    attempts: usize,
    symmetric: bool,
    /// `first`, `symmetric` or `rollout`.
    found_by: &'static str,
    total_steps: usize,
    halted_by: String,
    q_halt: f32,
    fallbacks: &'a [String],
}

impl Solved<'_> {
    /// One JSON object in one line.
    pub(crate) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
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

    /// A drawing with steps, verdict and time below.
    pub(crate) fn write_drawing(&self, out: &mut impl Write, colour: bool) -> io::Result<()> {
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
