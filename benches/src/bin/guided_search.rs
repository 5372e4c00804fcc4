//! Guesses of the exact search with and without the network's logits, on puzzles that the network leaves unsolved and on all:
//! `cargo run --release -p trm-benches --bin guided_search -- MODEL STEPS FILE…`, STEPS being the most of one pass.
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use trm_benches::logits::answer;
use trm_engine::registry;
use trm_puzzles::formats;
use trm_solver::Model;

/// Guesses over some puzzles.
#[derive(Default)]
struct Nodes {
    puzzles: usize,
    plain: u64,
    guided: u64,
    plain_time: Duration,
    guided_time: Duration,
}

impl Nodes {
    fn add(&mut self, plain: (u64, Duration), guided: (u64, Duration)) {
        self.puzzles += 1;
        self.plain += plain.0;
        self.guided += guided.0;
        self.plain_time += plain.1;
        self.guided_time += guided.1;
    }
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "guided_search MODEL STEPS FILE…";
    let model = Model::open(&arguments.next().context(usage)?)?;
    let steps = arguments.next().context(usage)?.parse::<usize>().context(usage)?;
    let engine = (registry::default().open)(None)?;
    println!("| puzzles | of {steps} steps | puzzles | guesses, plain | guided | µs, plain | guided |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for file in arguments {
        let (mut all, mut unsolved) = (Nodes::default(), Nodes::default());
        for puzzle in formats::read(Path::new(&file))? {
            let (task, report) = answer(engine.as_ref(), &model, &puzzle, steps)?;
            let logits = report.logits.context("a session without logits")?;
            let search = |scores: &[f32]| {
                let start = Instant::now();
                let nodes = task.exact_answer_guided(&puzzle.grid, scores).map_or(0, |found| found.nodes);
                (nodes, start.elapsed())
            };
            let (plain, guided) = (search(&[]), search(&logits));
            all.add(plain, guided);
            if !report.verdict.is_verified() {
                unsolved.add(plain, guided);
            }
        }
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (which, nodes) in [("all", all), ("unsolved", unsolved)] {
            let count = nodes.puzzles.max(1) as f64;
            let micros = |time: Duration| time.as_secs_f64() * 1e6 / count;
            println!(
                "| {name} | {which} | {} | {:.1} | {:.1} | {:.0} | {:.0} |",
                nodes.puzzles,
                nodes.plain as f64 / count,
                nodes.guided as f64 / count,
                micros(nodes.plain_time),
                micros(nodes.guided_time)
            );
        }
    }
    Ok(())
}
