//! Instructions of the workloads that must not get slower: a number that a busy machine does not change.
//!
//! Each workload is run under valgrind's cachegrind, once and several times; the difference is what one run takes, without
//! start and loading. Valgrind knows no AVX-512, so tract runs its AVX2 kernels there, on any machine. No crate for
//! this is used, since they find a benchmark by its symbols: a second build of everything, the engines included.
#![expect(clippy::disallowed_methods, reason = "it starts what it measures")]
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::hint::black_box;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use trm_benches::shipped::weights_file;
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{ActStep, Engine, SessionOptions};
use trm_export::checkpoint::StateDict;
use trm_export::onnx::write::encode;
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::GraphKind;
use trm_puzzles::{Generate, Maze, MazeGenerator, Sudoku, SudokuGenerator, seeded};
use trm_solver::{Model, Question, SolveOptions, Solver};

const USAGE: &str = "\
usage: instructions              count all workloads under valgrind and compare with what is expected
       instructions NAME TIMES   run a workload
";

/// Share above the expected number from which on it is a regression; compilers differ by less.
const SLACK: f64 = 0.10;
/// Runs whose cost is compared with that of one.
const MORE: u64 = 4;

/// A workload whose instructions are counted.
struct Workload {
    name: &'static str,
    /// Instructions of one run, counted with Rust 1.95 on x86-64. Checks for overflow are 2 to 15 % of what our own code
    /// takes, and none of the engines'.
    expected: u64,
    /// Prepares, and runs a number of times.
    run: fn(u64) -> Result<()>,
}

/// Counting the answers to a hard sudoku, and a network's answer to an easy one.
const COUNT: &str = "count-answers";
const SOLVE: &str = "sudoku-solve";
/// The largest share of an answer that counting may take.
const COUNT_SHARE: f64 = 0.01;

const WORKLOADS: [Workload; 11] = [
    Workload { name: "generate-sudoku", expected: 1_005_000, run: |times| generate(&sudoku()?, times) },
    Workload { name: "generate-maze", expected: 503_000, run: |times| generate(&maze()?, times) },
    Workload { name: "verify-maze", expected: 162_000, run: verify_maze },
    Workload {
        name: COUNT,
        expected: 454_000,
        run: |times| count_answers(&SudokuGenerator::hard(Sudoku::default())?, times),
    },
    Workload { name: "count-ways", expected: 109_500, run: |times| count_answers(&maze()?, times) },
    Workload { name: "export", expected: 13_430_000, run: export },
    Workload { name: "tract-step", expected: 14_800_000, run: |times| step(&TractEngine, times) },
    Workload { name: "tract-solve", expected: 14_700_000, run: |times| solve(TractEngine, "sudoku-4", times) },
    Workload { name: "rten-step", expected: 9_950_000, run: |times| step(&RtenEngine, times) },
    Workload { name: "rten-solve", expected: 9_980_000, run: |times| solve(RtenEngine, "sudoku-4", times) },
    Workload { name: SOLVE, expected: 289_500_000, run: |times| solve(RtenEngine, "sudoku", times) },
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        [name, times] => {
            let workload = WORKLOADS.iter().find(|workload| workload.name == name);
            let workload = workload.with_context(|| format!("no workload is called `{name}`"))?;
            (workload.run)(times.parse().context("TIMES is no number")?)
        }
        _ => {
            print!("{USAGE}");
            Ok(())
        }
    }
}

/// Counts every workload; an error when one takes more than expected.
fn check() -> Result<()> {
    println!("| workload | instructions | expected | |\n| --- | --- | --- | --- |");
    let mut slower = Vec::new();
    let (mut counting, mut solving) = (f64::NAN, f64::NAN);
    for Workload { name, expected, .. } in &WORKLOADS {
        let counted = (count(name, 1 + MORE)? - count(name, 1)?) / MORE as f64;
        let change = counted / *expected as f64 - 1.0;
        match *name {
            COUNT => counting = counted,
            SOLVE => solving = counted,
            _ => {}
        }
        println!("| {name} | {counted:.0} | {expected} | {:+.1} % |", 100.0 * change);
        // NaN is not within it.
        let within = change <= SLACK;
        if !within {
            slower.push(*name);
        }
    }
    println!("\nCounting the answers to a sudoku takes {:.2} % of a network's answer.", 100.0 * counting / solving);
    ensure!(
        counting < COUNT_SHARE * solving,
        "counting answers takes more than {} % of a network's answer",
        100.0 * COUNT_SHARE
    );
    ensure!(
        slower.is_empty(),
        "more than {:.0} % above what is expected: {}\nhint: make it cheaper, or say in benches/src/bin/instructions.rs what it takes \
         now, and why in the commit",
        100.0 * SLACK,
        slower.join(", ")
    );
    Ok(())
}

/// Instructions of a whole process that runs a workload a number of times.
fn count(name: &str, times: u64) -> Result<f64> {
    let program = std::env::current_exe().context("this program does not know where it is")?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &times.to_string()])
        .output()
        .context("cannot start valgrind\nhint: apt-get install valgrind")?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name} failed under valgrind:\n{report}");
    }
    counted(&report).with_context(|| format!("valgrind counted nothing:\n{report}"))
}

/// The number in a line such as `==123== I   refs:      1,234,567`.
fn counted(report: &str) -> Option<f64> {
    let line =
        report.lines().find_map(|line| line.split_once("refs:").filter(|(left, _)| left.trim_end().ends_with('I')));
    line?.1.replace(',', "").trim().parse().ok()
}

fn sudoku() -> Result<SudokuGenerator> {
    Ok(SudokuGenerator::easy(Sudoku::new(3, 3)?)?)
}

fn maze() -> Result<MazeGenerator> {
    Ok(MazeGenerator::new(Maze::new(30, 30)?))
}

/// The same puzzle every time.
fn generate(generator: &dyn Generate, times: u64) -> Result<()> {
    for _ in 0..times {
        black_box(generator.generate(&mut seeded(1))?);
    }
    Ok(())
}

fn verify_maze(times: u64) -> Result<()> {
    let generator = maze()?;
    let example = generator.generate(&mut seeded(1))?;
    for _ in 0..times {
        let _ = black_box(generator.task().verify(black_box(&example.puzzle), &example.solution));
    }
    Ok(())
}

/// The search that is made before any network runs.
fn count_answers(generator: &dyn Generate, times: u64) -> Result<()> {
    let made = generator.generate(&mut seeded(1))?;
    for _ in 0..times {
        let _ = black_box(generator.task().count_answers(black_box(&made.puzzle)));
    }
    Ok(())
}

/// Graph and file of a shipped model.
fn export(times: u64) -> Result<()> {
    let model = Model::open("sudoku-4")?;
    let weights = StateDict::read(weights_file(model.name()))?;
    for _ in 0..times {
        let graph = build_graph(GraphKind::Step, model.config(), &weights, GraphOptions::default())?;
        black_box(encode(&graph, &[]));
    }
    Ok(())
}

fn one_thread(batch: usize) -> SessionOptions {
    SessionOptions { batch, threads: 1, ..SessionOptions::default() }
}

fn step(engine: &dyn Engine, times: u64) -> Result<()> {
    let model = Model::open("sudoku-4")?;
    let mut session = engine.load_step(model.bundle(), &one_thread(1))?;
    let test = model.bundle().self_test()?;
    let input = ActStep::first(test.tokens[..model.config().seq_len].to_vec(), vec![test.puzzle_ids[0]]);
    for _ in 0..times {
        black_box(session.step(&input)?);
    }
    Ok(())
}

/// A puzzle from question to verified answer.
fn solve(engine: impl Engine, model: &str, times: u64) -> Result<()> {
    let bundle = Model::open(model)?;
    let model = bundle.clone();
    let generator = model.kind().generator()?.context("sudokus can be made")?;
    let made = generator.generate(&mut seeded(1))?;
    let question = Question::new(model.task().as_ref(), made.puzzle, 0)?;
    let load = move |batch| engine.load_step(bundle.bundle(), &one_thread(batch));
    let mut solver = Solver::new(model.task(), model.config().clone(), SolveOptions::default(), load);
    for _ in 0..times {
        black_box(solver.solve(question.clone())?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_and_nothing_else() {
        let report = "==7== Command: x\n==7== I   refs:      1,234,567\n==7== D   refs:      9\n";
        assert_eq!(counted(report), Some(1_234_567.0));
        assert_eq!(counted("==7== D   refs:      9\n"), None);
        assert_eq!(counted("==7== I   refs:      none\n"), None);
    }
}
