//! Costs learned from drives, on made-up worlds whose costs are known here alone: a network, the linear model of a cell,
//! tuned inflation and the shortest path, against the number of drives.
//!
//! `cargo run --release -p trm-benches --bin costs -- [--kinds cliffs,doors] [--drives 5,20,100] [--families 3] …`
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use trm_engine::ort::OrtEngine;
use trm_engine::registry;
use trm_plan::learned::Levels;
use trm_plan::worlds::{World, WorldKind};
use trm_plan::{CostOptions, ExactMazes, Goal, Inflation, MapCell, Outcome, PlanOptions, Planner, Pose, Terrain};
use trm_solver::costs::{CostModel, LoadedCosts};
use trm_train::costs::{CostLoss, CostSettings, CostStep, CostWatch, Lesson, learn_costs};

/// Cells along a side of a world.
const SIDE: usize = 64;

#[derive(Debug, Clone)]
struct Settings {
    kinds: Vec<WorldKind>,
    drives: Vec<usize>,
    families: u64,
    tests: usize,
    steps: usize,
    lr: f64,
    hidden: usize,
    layers: usize,
    h_cycles: usize,
    l_cycles: usize,
    losses: Vec<CostLoss>,
    ways: Vec<bool>,
    decay: f64,
    baselines: bool,
    json: bool,
    verbose: bool,
}

fn main() -> Result<()> {
    let settings = Settings::read()?;
    let engine = OrtEngine::load(None)?;
    for &kind in &settings.kinds {
        for &drives in &settings.drives {
            let mut rows: Vec<(String, Vec<Measured>)> = Vec::new();
            for family in 0..settings.families {
                for (name, measured) in family_of(&engine, &settings, kind, drives, family)? {
                    match rows.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, all)) => all.push(measured),
                        None => rows.push((name, vec![measured])),
                    }
                }
            }
            for (name, all) in rows {
                let mean = |of: fn(&Measured) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
                let row = Row {
                    world: kind.as_str(),
                    drives,
                    method: name,
                    regret: mean(|m| m.regret),
                    shared: mean(|m| m.shared),
                    hausdorff_m: mean(|m| m.hausdorff),
                    clearance_m: mean(|m| m.clearance),
                    plan_ms: mean(|m| m.plan_ms),
                    train_s: mean(|m| m.train_s),
                    plans: all.iter().map(|m| m.plans).sum(),
                };
                if settings.json {
                    println!("{}", serde_json::to_string(&row)?);
                } else {
                    println!(
                        "{:<10} {:>3} drives  {:<28} regret {:>6.1} %  shared {:>5.1} %  Hausdorff {:.2} m  clearance {:.2} m  {:>5.1} ms a plan  {:>5.1} s of training",
                        row.world,
                        drives,
                        row.method,
                        100.0 * row.regret,
                        100.0 * row.shared,
                        row.hausdorff_m,
                        row.clearance_m,
                        row.plan_ms,
                        row.train_s
                    );
                }
            }
        }
    }
    Ok(())
}

/// A row of the table: means over families and test worlds.
#[derive(Debug, Serialize)]
struct Row {
    world: &'static str,
    drives: usize,
    method: String,
    /// Hidden cost of the planned path by that of the best one, less 1.
    regret: f64,
    /// Cells of planned paths within a robot's radius of what the expert drives.
    shared: f64,
    hausdorff_m: f64,
    /// Median along the path.
    clearance_m: f64,
    plan_ms: f64,
    train_s: f64,
    plans: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    regret: f64,
    shared: f64,
    hausdorff: f64,
    clearance: f64,
    plan_ms: f64,
    train_s: f64,
    plans: usize,
}

/// A world to be tested on, with an expert's drive.
struct Test {
    world: World,
    from: MapCell,
    to: MapCell,
    best: f64,
    drive: Vec<[f64; 2]>,
}

fn tests(kind: WorldKind, family: u64, count: usize) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for seed in 1_000_000.. {
        if tests.len() == count {
            break;
        }
        let world = World::generate(kind, SIDE, family, seed)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Some((from, to)) = world.ends(&mut rng) else { continue };
        let (Some((_, best)), Some(drive)) = (world.best(from, to), world.drive(from, to, &mut rng)) else { continue };
        tests.push(Test { world, from, to, best, drive });
    }
    Ok(tests)
}

/// Worlds with a drive each, two of them in the same world.
fn lessons(kind: WorldKind, family: u64, drives: usize) -> Result<Vec<(World, Vec<[f64; 2]>)>> {
    let mut lessons = Vec::new();
    for seed in 0.. {
        let world = World::generate(kind, SIDE, family, seed)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..2 {
            if lessons.len() == drives {
                return Ok(lessons);
            }
            let Some((from, to)) = world.ends(&mut rng) else { continue };
            lessons.extend(world.drive(from, to, &mut rng).map(|drive| (world.clone(), drive)));
        }
    }
    Ok(lessons)
}

fn family_of(
    engine: &OrtEngine,
    settings: &Settings,
    kind: WorldKind,
    drives: usize,
    family: u64,
) -> Result<Vec<(String, Measured)>> {
    let tests = tests(kind, family, settings.tests)?;
    let lessons = lessons(kind, family, drives)?;
    let mut rows = Vec::new();
    if settings.baselines {
        let none = Inflation { radius: 0.0, scaling: 1.0 };
        rows.push(("shortest".to_owned(), measure(&tests, |_| Ok(inflated(none)))?));
        let inflation = tuned(&lessons)?;
        let name = "inflation, tuned".to_owned();
        rows.push((name, measure(&tests, |_| Ok(inflated(inflation)))?));
    }
    for &way in &settings.ways {
        for layers in
            if settings.layers == 0 || !settings.baselines { vec![settings.layers] } else { vec![0, settings.layers] }
        {
            for &loss in &settings.losses {
                let (model, seconds) = train(engine, settings, &lessons, (layers, loss, way), family)?;
                let entry = registry::find("rten").context("rten")?;
                let mut loaded = LoadedCosts::new(model, entry, None, 1);
                let mut measured = measure(&tests, |test| {
                    let Test { world, to, .. } = test;
                    let levels = Levels::predicted(&mut loaded, &world.map, &World::ROBOT, &world.layers, Some(*to))?;
                    Ok(CostOptions { learned: Some(levels), ..CostOptions::default() })
                })?;
                measured.train_s = seconds;
                let name = if layers == 0 { "linear" } else { "network" };
                let way = if way { ", way" } else { "" };
                rows.push((format!("{name}, {}{way}", loss.as_str()), measured));
            }
        }
    }
    Ok(rows)
}

fn inflated(inflation: Inflation) -> CostOptions {
    CostOptions { inflation: Some(inflation), ..CostOptions::default() }
}

/// The inflation with the least regret on the worlds that are learned from: more than a person could tune.
fn tuned(lessons: &[(World, Vec<[f64; 2]>)]) -> Result<Inflation> {
    let mut best = (f64::INFINITY, Inflation { radius: 0.0, scaling: 1.0 });
    for radius in [0.0, 0.4, 0.8, 1.2, 2.0] {
        for scaling in [1.0, 3.0, 10.0] {
            let inflation = Inflation { radius, scaling };
            let mut cost = 0.0;
            for (world, drive) in lessons.iter().take(20) {
                let ends = [drive[0], drive[drive.len() - 1]].map(|[x, y]| world.map.cell_at(x, y));
                let [Some(from), Some(to)] = ends else { continue };
                if let Some((path, ..)) = plan(world, from, to, &inflated(inflation))? {
                    cost += world.cost(&path) / world.best(from, to).map_or(1.0, |(_, best)| best);
                }
            }
            if cost < best.0 {
                best = (cost, inflation);
            }
        }
    }
    Ok(best.1)
}

/// What `trm train --task costs` learns of these drives; and the seconds that it takes.
fn train(
    engine: &OrtEngine,
    settings: &Settings,
    lessons: &[(World, Vec<[f64; 2]>)],
    (layers, loss, way): (usize, CostLoss, bool),
    seed: u64,
) -> Result<(CostModel, f64)> {
    let lesson = |(world, drive): &(World, Vec<[f64; 2]>)| Lesson {
        map: Arc::new(world.map.clone()),
        layers: Arc::new(world.layers.clone()),
        path: drive.clone(),
    };
    let lessons: Vec<Lesson> = lessons.iter().map(lesson).collect();
    let run = CostSettings {
        loss,
        // A linear model's steps cost next to nothing: it gets four times as many.
        steps: settings.steps * if layers == 0 { 4 } else { 1 },
        lr: settings.lr,
        weight_decay: settings.decay,
        seed,
        held_out: 0.0,
        way,
        hidden_size: settings.hidden,
        h_cycles: settings.h_cycles,
        l_cycles: settings.l_cycles,
        l_layers: layers,
        ..CostSettings::default()
    };
    let mut step = |step: usize, _: usize, done: CostStep| {
        if settings.verbose && step.is_multiple_of(25) {
            println!(
                "  step {step}: excess {:.3}, level {:.3}, gradient {:.3}",
                done.excess, done.level, done.grad_norm
            );
        }
    };
    let mut watch = CostWatch { limit: None, step: &mut step, stop: &mut || false };
    let learned = learn_costs(engine, &lessons, None, (&run, &World::ROBOT, 0), &mut watch)?;
    Ok((learned.model, learned.seconds))
}

/// The path between two cells by costs, from cell to cell, its median clearance, and the milliseconds.
fn plan(world: &World, from: MapCell, to: MapCell, costs: &CostOptions) -> Result<Option<(Vec<[f64; 2]>, f64)>> {
    let terrain = Terrain::with_costs(world.map.clone(), World::ROBOT, costs)?;
    let options = PlanOptions { smooth: false, ..PlanOptions::default() };
    let mut planner = Planner::new(terrain, ExactMazes { side: 9 }, options);
    let place = |cell: MapCell| world.map.centre(cell);
    let ((x, y), (goal_x, goal_y)) = (place(from), place(to));
    let plan = planner.plan(Pose::new(x, y, 0.0), Goal { x: goal_x, y: goal_y, yaw: None })?;
    Ok(match plan.outcome {
        Outcome::Planned(path) => {
            Some((path.poses.iter().map(|pose| [pose.x, pose.y]).collect(), path.median_clearance))
        }
        _ => None,
    })
}

fn measure(tests: &[Test], mut costs: impl FnMut(&Test) -> Result<CostOptions>) -> Result<Measured> {
    let mut sum = Measured::default();
    for test in tests {
        let began = Instant::now();
        let costs = costs(test)?;
        let Some((path, clearance)) = plan(&test.world, test.from, test.to, &costs)? else { continue };
        sum.plan_ms += began.elapsed().as_secs_f64() * 1e3;
        sum.regret += test.world.cost(&path) / test.best - 1.0;
        sum.clearance += clearance;
        let dense = dense(&path);
        let near = |a: &[[f64; 2]], b: &[[f64; 2]]| {
            a.iter()
                .map(|p| b.iter().map(|q| (p[0] - q[0]).hypot(p[1] - q[1])).fold(f64::INFINITY, f64::min))
                .collect::<Vec<_>>()
        };
        let mean = |distances: &[f64]| distances.iter().sum::<f64>() / distances.len() as f64;
        let (there, back) = (near(&dense, &test.drive), near(&test.drive, &dense));
        sum.shared +=
            there.iter().filter(|&&distance| distance <= World::ROBOT.radius).count() as f64 / there.len() as f64;
        sum.hausdorff += mean(&there).max(mean(&back));
        sum.plans += 1;
    }
    let n = sum.plans.max(1) as f64;
    let mean = |sum: f64| sum / n;
    Ok(Measured {
        regret: mean(sum.regret),
        shared: mean(sum.shared),
        hausdorff: mean(sum.hausdorff),
        clearance: mean(sum.clearance),
        plan_ms: mean(sum.plan_ms),
        ..sum
    })
}

/// A point every 5 cm of a path.
fn dense(path: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut points = vec![path[0]];
    for pair in path.windows(2) {
        let (dx, dy) = (pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]);
        let count = (dx.hypot(dy) / 0.05).ceil().max(1.0) as usize;
        points.extend((1..=count).map(|i| {
            let share = i as f64 / count as f64;
            [pair[0][0] + share * dx, pair[0][1] + share * dy]
        }));
    }
    points
}

impl Settings {
    fn read() -> Result<Self> {
        use lexopt::prelude::*;
        let mut settings = Self {
            kinds: WorldKind::ALL.to_vec(),
            drives: vec![20],
            families: 3,
            tests: 40,
            steps: 400,
            lr: 3e-3,
            hidden: 32,
            layers: 1,
            h_cycles: 1,
            l_cycles: 4,
            losses: vec![CostLoss::Margin],
            ways: vec![false],
            decay: 0.05,
            baselines: true,
            json: false,
            verbose: false,
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            let Long(name) = argument else { return Err(argument.unexpected().into()) };
            let name = name.to_owned();
            match name.as_str() {
                "json" => settings.json = true,
                "verbose" => settings.verbose = true,
                "no-baselines" => settings.baselines = false,
                _ => {
                    let value = arguments.value()?.string()?;
                    settings.set(&name, &value).with_context(|| format!("--{name} {value}"))?;
                }
            }
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let list = || value.split(',').map(str::trim);
        match name {
            "kinds" => {
                let kind =
                    |name: &str| WorldKind::ALL.into_iter().find(|kind| kind.as_str() == name).context("no such world");
                self.kinds = list().map(kind).collect::<Result<_>>()?;
            }
            "losses" => {
                let loss =
                    |name: &str| CostLoss::ALL.into_iter().find(|loss| loss.as_str() == name).context("no such loss");
                self.losses = list().map(loss).collect::<Result<_>>()?;
            }
            "drives" => self.drives = list().map(str::parse).collect::<Result<_, _>>()?,
            "way" => self.ways = list().map(str::parse).collect::<Result<_, _>>()?,
            "families" => self.families = value.parse()?,
            "tests" => self.tests = value.parse()?,
            "steps" => self.steps = value.parse()?,
            "lr" => self.lr = value.parse()?,
            "decay" => self.decay = value.parse()?,
            "hidden" => self.hidden = value.parse()?,
            "layers" => self.layers = value.parse()?,
            "h-cycles" => self.h_cycles = value.parse()?,
            "l-cycles" => self.l_cycles = value.parse()?,
            _ => ensure!(false, "no such option"),
        }
        Ok(())
    }
}
