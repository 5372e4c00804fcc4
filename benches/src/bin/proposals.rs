//! Exact search through mazes that a network has looked at: cells expanded and time, against A* without it.
//! `cargo run --release -p trm-benches --bin proposals -- MODEL STEPS FILE…`, STEPS being the network's.
//!
//! The network's answer is a probability for each cell to be on the way. The search goes by `1 + WEIGHT · (1 - probability)` a
//! cell, so that its path is valid whatever the network says, and mostly, not always, a shortest one.
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::cell::Cell as Counter;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pathfinding::directed::astar::astar;
use trm_benches::logits::answer;
use trm_engine::registry;
use trm_puzzles::maze::{GOAL, START, WALL};
use trm_puzzles::{Cell, Grid, Task, formats};
use trm_solver::Model;

/// The cost beyond itself of a cell that the network is sure to be off the way.
const WEIGHT: f32 = 4.0;
/// Costs have to be whole numbers.
const UNIT: f32 = 1e3;

/// Sums over some mazes.
#[derive(Default)]
struct Sums {
    mazes: usize,
    verified: usize,
    /// Cells expanded by A*, and along the proposal.
    expanded: [usize; 2],
    /// Moves of the paths that they find.
    moves: [usize; 2],
    search: [Duration; 2],
    network: Duration,
}

/// A path's moves, the cells that were expanded, and the time; `costs` are those of entering each cell beyond 1.
fn searched(grid: &Grid, costs: &[f32]) -> Option<(usize, usize, Duration)> {
    let (start, goal) = (grid.find(START)?, grid.find(GOAL)?);
    let expanded = Counter::new(0);
    let began = Instant::now();
    let (path, _) = astar(
        &start,
        |&at| {
            expanded.set(expanded.get() + 1);
            let open = grid.neighbours(at).filter(|&next| grid.get(next) != Some(WALL));
            let cost = |next: Cell| ((1.0 + costs[next.row * grid.width() + next.column]) * UNIT) as u64;
            open.map(|next| (next, cost(next))).collect::<Vec<_>>()
        },
        |at| (at.row.abs_diff(goal.row) + at.column.abs_diff(goal.column)) as u64 * UNIT as u64,
        |&at| at == goal,
    )?;
    Some((path.len() - 1, expanded.get(), began.elapsed()))
}

/// The probability of each cell to be on the way, from logits `[cells, tokens]`.
fn on_the_way(task: &dyn Task, logits: &[f32]) -> Result<Vec<f32>> {
    let tokens = task.vocabulary();
    let way = tokens.iter().position(|token| token == "o").context("a task without a way")?;
    let probability = |row: &[f32]| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = row.iter().map(|logit| (logit - most).exp()).sum();
        (row[way] - most).exp() / sum
    };
    Ok(logits.chunks_exact(tokens.len()).map(probability).collect())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "proposals MODEL STEPS FILE…";
    let model = Model::open(&arguments.next().context(usage)?)?;
    let steps = arguments.next().context(usage)?.parse::<usize>().context(usage)?;
    let engine = (registry::default().open)(None)?;
    println!(
        "| mazes | | answers verified | expanded, A* | proposed | moves, A* | proposed | ms, A* | proposed | network |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for file in arguments {
        let mut sums = Sums::default();
        for puzzle in formats::read(Path::new(&file))? {
            let began = Instant::now();
            let (task, report) = answer(engine.as_ref(), &model, &puzzle, steps)?;
            sums.network += began.elapsed();
            let logits = report.logits.context("a session without logits")?;
            let off = on_the_way(task.as_ref(), &logits)?;
            let off: Vec<f32> = off.into_iter().map(|probability| WEIGHT * (1.0 - probability)).collect();
            let plain = vec![0.0; off.len()];
            sums.mazes += 1;
            sums.verified += usize::from(report.verdict.is_verified());
            for (which, costs) in [&plain, &off].into_iter().enumerate() {
                let (moves, expanded, time) = searched(&puzzle.grid, costs).context("a maze without a way")?;
                sums.moves[which] += moves;
                sums.expanded[which] += expanded;
                sums.search[which] += time;
            }
        }
        let name = Path::new(&file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let count = sums.mazes.max(1) as f64;
        let [mean_expanded, mean_moves] = [sums.expanded, sums.moves].map(|both| both.map(|sum| sum as f64 / count));
        let ms = |time: Duration| time.as_secs_f64() * 1e3 / count;
        println!(
            "| {name} | {} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.3} | {:.3} | {:.1} |",
            sums.mazes,
            sums.verified,
            mean_expanded[0],
            mean_expanded[1],
            mean_moves[0],
            mean_moves[1],
            ms(sums.search[0]),
            ms(sums.search[1]),
            ms(sums.network)
        );
    }
    Ok(())
}
