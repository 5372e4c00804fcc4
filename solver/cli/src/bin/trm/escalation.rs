//! `trm eval --escalation`: accuracy against steps, for symmetric copies, rollouts and both.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use trm_cli::{Exit, console};
use trm_engine::StepSession;
use trm_solver::measure::escalation::{self, Point};
use trm_solver::{Model, Question, SolveOptions};

/// A point of the curves, as `--json` prints it; shares are 0 to 1.
#[derive(Serialize)]
struct JsonPoint {
    tries: usize,
    rollouts: usize,
    verified: Option<f64>,
    verified_interval: [f64; 2],
    mean_total_steps: f64,
}

/// Measures, prints the table, and draws the curves.
pub(crate) fn run(
    model: &Model,
    session: &mut dyn StepSession,
    options: &SolveOptions,
    questions: Vec<Question>,
    svg: &Path,
    json: bool,
) -> anyhow::Result<Exit> {
    let puzzles = escalation::measure(session, model.task().as_ref(), options, questions)?;
    let points = escalation::points(&puzzles, options);
    escalation::plot(&points, svg)?;
    let mut out = console::stdout();
    if json {
        let points: Vec<_> = points.iter().map(json_point).collect();
        serde_json::to_writer(&mut out, &points).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, model.name(), options, &points)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn json_point(point: &Point) -> JsonPoint {
    let (low, high) = point.solved.interval();
    JsonPoint {
        tries: point.symmetric,
        rollouts: point.rollouts,
        verified: point.solved.value(),
        verified_interval: [low, high],
        mean_total_steps: point.steps,
    }
}

fn write_table(out: &mut impl Write, model: &str, options: &SolveOptions, points: &[Point]) -> io::Result<()> {
    let puzzles = points.first().map_or(0, |point| point.solved.total);
    writeln!(out, "{model}: {puzzles} puzzles, --noise {}, --seed {}", options.noise, options.seed)?;
    writeln!(out, "  tries  rollouts  verified  95 % interval  steps a puzzle")?;
    for point in points {
        let (low, high) = point.solved.interval();
        let interval = format!("{:.1}-{:.1} %", 100.0 * low, 100.0 * high);
        writeln!(
            out,
            "  {:>5}  {:>8}  {:>6.1} %  {interval:>13}  {:>14.2}",
            point.symmetric,
            point.rollouts,
            100.0 * point.solved.value().unwrap_or(0.0),
            point.steps
        )?;
    }
    Ok(())
}
