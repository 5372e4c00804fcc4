//! Training through plain graphs on ONNX Runtime: the public code's numbers, and a run from start to resumed end.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Golden, chain, options, ort};
use trm_engine::SessionOptions;
use trm_export::train::{LossKind, UpdateOptions, UpdateRule};
use trm_intake::explained;
use trm_train::TrainError;
use trm_train::config::TrainConfig;
use trm_train::init::initial_weights;
use trm_train::log::{self, EvalRecord, Record, TrainRecord};
use trm_train::run::{LOG, RunFolder};
use trm_train::runtime::{
    GraphTraining, GraphTrainingOptions, NamedTensor, TrainBatch, TrainRuntime, TrainState, UpdateInput,
};
use trm_train::trainer::{CURVES_PNG, TrainEnd, TrainObserver, Trainer};

const GOLDENS: [&str; 5] =
    ["sudoku_mlp_stable", "maze_att_stable", "maze_learned_stable", "arc_like_stable", "hrm_att_stable"];

/// Settings of the goldens' optimiser steps.
const UPDATE: UpdateOptions = UpdateOptions {
    wave: false,
    rule: UpdateRule::AdamAtan2,
    beta1: 0.9,
    beta2: 0.95,
    weight_decay: 1.0,
    puzzle_emb_weight_decay: 1.0,
    clip_grad_norm: None,
    ema: None,
};

fn start(golden: &Golden, accumulation: usize, frozen: &[&str], update: UpdateOptions) -> GraphTraining {
    let whole = (golden.batch, 1);
    start_split(golden, whole, accumulation, (frozen, update)).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// With so many rows a part, on so many threads.
fn start_split(
    golden: &Golden,
    (rows, threads): (usize, usize),
    accumulation: usize,
    (frozen, update): (&[&str], UpdateOptions),
) -> Result<GraphTraining, TrainError> {
    let weights = golden.weights.iter().map(|(name, tensor)| {
        (name.to_owned(), NamedTensor { shape: tensor.shape.clone(), data: tensor.data.clone() })
    });
    let state = TrainState { weights: weights.collect(), ..TrainState::default() };
    let options = GraphTrainingOptions {
        batch: golden.batch,
        accumulation,
        groups: 1,
        loss: LossKind::Stablemax,
        update,
        frozen: frozen.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(),
        rows,
        max_memory: None,
        session: SessionOptions { threads, ..options(golden.batch) },
    };
    GraphTraining::new(&ort(), std::slice::from_ref(&golden.config), state, options)
}

fn batch(golden: &Golden, reset: Vec<bool>) -> TrainBatch {
    TrainBatch {
        tokens: golden.ints("inputs"),
        labels: golden.ints("labels"),
        puzzle_ids: golden.ints("puzzle_identifiers"),
        last_step: vec![false; golden.batch],
        wave: None,
        reset,
    }
}

fn l2(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Within `tolerance`; NaN is not.
fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance, "{what}: {found}, expected {expected} +- {tolerance}");
}

#[test]
fn three_optimizer_steps_are_those_of_the_public_code() {
    for name in GOLDENS {
        let golden = Golden::load(name);
        let recorded = &golden.manifest["training"]["C_three_optimizer_steps"];
        let mut runtime = start(&golden, 1, &[], UPDATE);
        assert!(runtime.flops(0) > 0, "{name}");
        let mut reset = vec![true; golden.batch];
        for (index, step) in recorded["steps"].as_array().expect("steps").iter().enumerate() {
            let output = runtime.step(0, &batch(&golden, reset)).expect("a step");
            let loss = f64::from(output.loss) * golden.batch as f64;
            let expected = step["loss"].as_f64().expect("loss");
            assert_close(loss, expected, 1e-5 * expected, &format!("{name}, loss of step {index}"));
            let number = index as u64 + 1;
            let norm = runtime.update(&UpdateInput { step: number, lr: 1e-3, puzzle_emb_lr: 1e-3 }).expect("an update");
            assert!(norm.is_some_and(|norm| norm.is_finite() && norm > 0.0), "{name}: {norm:?}");
            reset = step["halted"].as_array().expect("halted").iter().map(|row| row == true).collect();
        }
        let state = runtime.state().expect("a state");
        let after = recorded["params_after"].as_object().expect("parameters");
        for (key, expected) in after {
            let parameter = key.trim_start_matches("model.inner.");
            let found = &state.weights[parameter].data;
            let norm = expected["l2"].as_f64().expect("l2");
            assert_close(l2(found), norm, 1e-5 * norm.max(1.0), &format!("{name}, norm of {parameter}"));
            for (index, value) in expected["first8"].as_array().expect("first8").iter().enumerate() {
                let value = value.as_f64().expect("a number");
                assert_close(f64::from(found[index]), value, 1e-5, &format!("{name}, {parameter}[{index}]"));
            }
        }
        assert_eq!(state.weights.len(), after.len(), "{name}: a tensor was not compared");
    }
}

#[test]
fn gradients_of_several_steps_add_up() {
    let golden = Golden::load("maze_learned_stable");
    let norm_of = |accumulation: usize| {
        let mut runtime = start(&golden, accumulation, &[], UPDATE);
        let mut norms = Vec::new();
        for number in 1..=2 {
            for _ in 0..accumulation {
                runtime.step(0, &batch(&golden, vec![true; golden.batch])).expect("a step");
            }
            let input = UpdateInput { step: number, lr: 1e-3, puzzle_emb_lr: 1e-3 };
            norms.push(f64::from(runtime.update(&input).expect("an update").expect("a norm")));
        }
        (norms, runtime.state().expect("a state"))
    };
    // The same batch three times, each divided by three: what one step says. The second update begins from zero again.
    let ((once, one), (thrice, three)) = (norm_of(1), norm_of(3));
    for (once, thrice) in once.iter().zip(&thrice) {
        assert_close(*thrice, *once, 1e-4 * once, "norm of the gradient");
    }
    for (name, tensor) in &one.weights {
        let norm = l2(&tensor.data);
        assert_close(l2(&three.weights[name].data), norm, 1e-5 * norm.max(1.0), name);
    }
}

#[test]
fn a_batch_dealt_out_over_rows_and_threads_learns_the_same() {
    for name in ["sudoku_mlp_stable", "arc_like_stable", "hrm_att_stable"] {
        let golden = Golden::load(name);
        assert_eq!(golden.batch, 3, "{name}");
        let run = |rows: usize, threads: usize| {
            let mut runtime = start_split(&golden, (rows, threads), 1, (&[], UPDATE)).expect("a runtime");
            let reset = [vec![true; golden.batch], vec![false; golden.batch]];
            let outputs = reset.map(|reset| {
                let output = runtime.step(0, &batch(&golden, reset)).expect("a step");
                let norm = runtime.update(&UpdateInput { step: 1, lr: 1e-4, puzzle_emb_lr: 1e-4 }).expect("an update");
                (output, f64::from(norm.expect("a norm")))
            });
            (outputs, runtime.carry().expect("a carry"), runtime.state().expect("a state"), runtime.flops(0))
        };
        let (whole, carry, _, flops) = run(golden.batch, 1);
        for (rows, threads) in [(1, 1), (1, 2), (1, 3), (0, 2)] {
            let what = format!("{name}, {rows} rows on {threads} threads");
            let (split, split_carry, state, split_flops) = run(rows, threads);
            assert_eq!(split_flops, flops, "{what}");
            for ((found, norm), (expected, expected_norm)) in split.iter().zip(&whole) {
                let loss = f64::from(expected.loss);
                assert_close(f64::from(found.loss), loss, 1e-5 * loss, &what);
                assert_close(*norm, *expected_norm, 1e-4 * expected_norm, &what);
                assert_eq!((&found.exact, &found.cells_right), (&expected.exact, &expected.cells_right), "{what}");
                for (found, expected) in found.q_halt.iter().zip(&expected.q_halt) {
                    assert_close(f64::from(*found), f64::from(*expected), 1e-4, &what);
                }
            }
            for (found, expected) in split_carry.iter().zip(&carry) {
                assert_eq!(found.shape, expected.shape, "{what}");
                let norm = l2(&expected.data);
                let distance = found.data.iter().zip(&expected.data).map(|(a, b)| a - b).collect::<Vec<_>>();
                assert_close(l2(&distance), 0.0, 1e-3 * norm, &what);
            }
            let (again, again_carry, again_state, _) = run(rows, threads);
            assert_eq!((again[1].1.to_bits(), again_state), (split[1].1.to_bits(), state), "{what}: not repeatable");
            assert_eq!(again_carry, split_carry, "{what}: not repeatable");
        }
    }
}

#[test]
fn rows_that_do_not_divide_the_batch_are_refused() {
    let golden = Golden::load("sudoku_mlp_stable");
    let error = start_split(&golden, (2, 1), 1, (&[], UPDATE)).err().expect("a refusal");
    let message = chain(&error);
    assert!(message.contains("a batch of 3 rows cannot be taken 2 at a time"), "{message}");
    assert!(message.contains("hint: a divisor of batch.size"), "{message}");
}

#[test]
fn frozen_parameters_stay_and_averages_follow() {
    let golden = Golden::load("maze_learned_stable");
    let update = UpdateOptions { ema: Some(0.75), ..UPDATE };
    let mut runtime = start(&golden, 1, &["lm_head.weight", "embed_pos.embedding_weight"], update);
    let before = runtime.state().expect("a state");
    runtime.step(0, &batch(&golden, vec![true; golden.batch])).expect("a step");
    runtime.update(&UpdateInput { step: 1, lr: 1e-3, puzzle_emb_lr: 1e-3 }).expect("an update");
    let after = runtime.state().expect("a state");
    for name in ["lm_head.weight", "embed_pos.embedding_weight", "H_init", "L_init"] {
        assert_eq!(after.weights[name], before.weights[name], "{name}");
        assert!(!after.ema.contains_key(name) && !after.moments.contains_key(&format!("{name}.m")), "{name}");
    }
    let name = "embed_tokens.embedding_weight";
    assert_ne!(after.weights[name], before.weights[name]);
    for ((average, new), old) in
        after.ema[name].data.iter().zip(&after.weights[name].data).zip(&before.weights[name].data)
    {
        assert_close(f64::from(*average), f64::from(0.75 * old + 0.25 * new), 1e-6, "average");
    }
}

#[test]
fn inputs_of_another_length_are_refused() {
    let golden = Golden::load("maze_learned_stable");
    let mut runtime = start(&golden, 1, &[], UPDATE);
    let mut short = batch(&golden, vec![true; golden.batch]);
    short.labels.pop();
    let error = explained(&runtime.step(0, &short).expect_err("accepted"));
    assert!(error.starts_with("input `labels` has 299 values, expected 300"), "{error}");
}

/// Stops after a number of updates.
struct StopAt {
    left: u64,
    evaluated: Vec<EvalRecord>,
}

impl TrainObserver for StopAt {
    fn updated(&mut self, _: &TrainRecord) {
        self.left = self.left.saturating_sub(1);
    }
    fn evaluated(&mut self, record: &EvalRecord) {
        self.evaluated.push(record.clone());
    }
    fn stop(&mut self) -> bool {
        self.left == 0
    }
}

fn watch(updates: u64) -> StopAt {
    StopAt { left: updates, evaluated: Vec::new() }
}

/// A run of a minute's tenth, on one thread: then it is the same bit for bit.
fn small_run() -> TrainConfig {
    let mut config = TrainConfig::preset("sudoku-4").expect("a preset");
    for (key, value) in [
        ("schedule.steps", "12"),
        ("schedule.warmup_steps", "4"),
        ("batch.size", "8"),
        ("batch.groups", "3"),
        ("batch.accumulation", "2"),
        ("model.puzzle_emb_ndim", "32"),
        ("model.hidden_size", "32"),
        ("evaluation.every", "6"),
        ("evaluation.puzzles", "20"),
        ("log.every", "1"),
        ("runtime.threads", "1"),
    ] {
        config.set(key, value).unwrap_or_else(|error| panic!("{error}"));
    }
    config
}

fn trainer(config: &TrainConfig, dir: &Path) -> Trainer {
    let session = SessionOptions::default();
    let folder = RunFolder::create(dir, config).expect("a folder");
    Trainer::start(&ort(), config.clone(), folder, None, session).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn resumed(dir: &Path) -> Trainer {
    let session = SessionOptions::default();
    let (folder, config) = RunFolder::open(dir).expect("a run");
    let checkpoint = folder.read().expect("a checkpoint").checkpoint;
    Trainer::resume(&ort(), config, folder, checkpoint, session).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// The log without what the clock says.
fn measured(dir: &Path) -> Vec<Record> {
    let timeless = |record| match record {
        Record::Train(record) => {
            Record::Train(TrainRecord { samples_per_s: 0.0, gflops: None, seconds: 0.0, ..record })
        }
        Record::Eval(record) => Record::Eval(EvalRecord { seconds: 0.0, ..record.clone() }),
    };
    log::read(&dir.join(LOG)).expect("a log").into_iter().map(timeless).collect()
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    for threads in ["1", "2"] {
        let mut config = small_run();
        config.set("runtime.threads", threads).expect("a setting");
        resumes_bit_for_bit(&config);
    }
}

/// A model of mazes of any size, taught the wave: some sizes, then others.
const MAZES: &str = r#"
name = "mazes"
task = "maze-6"
[model]
mixer = "grid"
hidden_size = 8
expansion = 2.0
puzzle_emb_ndim = 0
[optimizer]
clip_grad_norm = 1.0
[schedule]
steps = 12
warmup_steps = 4
[batch]
size = 4
groups = 3
visits = [[0, 3]]
[wave]
speed = 3
slack = 1
[[sizes]]
from = 0
tasks = ["maze-5", "maze-6"]
[[sizes]]
from = 7
tasks = ["maze-6", "maze-4x7", "maze-5"]
[evaluation]
every = 6
puzzles = 9
tasks = ["maze-5", "maze-8", "maze-4x9"]
steps = 2
[log]
every = 1
[runtime]
threads = 1
"#;

#[test]
fn a_run_of_several_sizes_resumes_bit_for_bit() {
    let config = TrainConfig::from_toml("mazes.toml", MAZES).expect("settings");
    resumes_bit_for_bit(&config);
    let dir = tempfile::tempdir().expect("a folder");
    let mut observer = watch(u64::MAX);
    trainer(&config, dir.path()).run(&mut observer).expect("a run");
    let by_task = &observer.evaluated[1].by_task;
    let tasks = by_task.iter().map(|record| (record.task.as_str(), record.n)).collect::<Vec<_>>();
    assert_eq!(tasks, [("maze-5", 3), ("maze-8", 3), ("maze-4x9", 3)], "sizes that are not trained are measured too");
    let state = resumed(dir.path()).state().clone();
    assert_eq!(state.group_tasks, ["maze-6", "maze-4x7", "maze-5"]);
    let drawn = state.next_by_task.values().sum::<u64>();
    assert!(state.next_by_task.len() == 3 && drawn == state.next_index, "{state:?}");
}

/// Puzzles of other sizes are given up; weights and moments go on.
#[test]
fn a_run_goes_on_with_other_sizes() {
    let config = TrainConfig::from_toml("mazes.toml", MAZES).expect("settings");
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(trainer(&config, dir.path()).run(&mut watch(5)).expect("a run"), TrainEnd::Stopped);
    let (folder, mut config) = RunFolder::open(dir.path()).expect("a run");
    config.sizes.truncate(1);
    config.sizes[0].tasks = vec!["maze-9".to_owned()];
    let checkpoint = folder.read().expect("a checkpoint").checkpoint;
    let before = checkpoint.tensors.moments.clone();
    let mut trainer = Trainer::resume(&ort(), config, folder, checkpoint, SessionOptions::default()).expect("a run");
    assert_eq!(trainer.run(&mut watch(1)).expect("a run"), TrainEnd::Stopped);
    assert_eq!(trainer.state().step, 6);
    let after = RunFolder::open(dir.path()).expect("a run").0.read().expect("a checkpoint").checkpoint;
    assert_eq!(after.state.group_tasks, Vec::<String>::new(), "one size is not named");
    let names = |moments: &BTreeMap<String, NamedTensor>| moments.keys().cloned().collect::<Vec<_>>();
    assert!(names(&before) == names(&after.tensors.moments) && before != after.tensors.moments);
}

fn resumes_bit_for_bit(config: &TrainConfig) {
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut observer = watch(u64::MAX);
    assert_eq!(trainer(config, one.path()).run(&mut observer).expect("a run"), TrainEnd::Finished);
    assert_eq!(observer.evaluated.iter().map(|record| record.step).collect::<Vec<_>>(), [6, 12]);

    assert_eq!(trainer(config, other.path()).run(&mut watch(5)).expect("a run"), TrainEnd::Stopped);
    assert_eq!(resumed(other.path()).run(&mut watch(3)).expect("a run"), TrainEnd::Stopped);
    assert_eq!(resumed(other.path()).run(&mut watch(u64::MAX)).expect("a run"), TrainEnd::Finished);

    let checkpoint = |dir: &Path| RunFolder::open(dir).expect("a run").0.read().expect("a checkpoint").checkpoint;
    let (mut a, mut b) = (checkpoint(one.path()), checkpoint(other.path()));
    a.state.train_seconds = 0.0;
    b.state.train_seconds = 0.0;
    assert_eq!(a.state, b.state);
    assert!(a == b, "tensors or carry differ");
    assert_eq!(measured(one.path()), measured(other.path()));
    assert!(one.path().join(CURVES_PNG).is_file());
}

#[test]
fn numbers_that_are_none_stop_the_run_and_the_checkpoint_stays() {
    let config = small_run();
    let dir = tempfile::tempdir().expect("a folder");
    trainer(&config, dir.path()).run(&mut watch(5)).expect("a run");
    let (folder, config) = RunFolder::open(dir.path()).expect("a run");
    let mut checkpoint = folder.read().expect("a checkpoint").checkpoint;
    checkpoint.tensors.weights.get_mut("lm_head.weight").expect("a weight").data[3] = f32::NAN;
    let session = trm_engine::SessionOptions { threads: 1, ..trm_engine::SessionOptions::default() };
    let mut trainer = Trainer::resume(&ort(), config, folder.clone(), checkpoint, session).expect("a run");
    let error = trainer.run(&mut watch(u64::MAX)).expect_err("NaN was trained on");
    assert!(matches!(error, TrainError::Diverged { step: 6, saved: Some(5), .. }), "{error}");
    let text = explained(&error);
    assert!(text.contains("step 6: the loss is NaN") && text.contains("checkpoint of step 5 is kept"), "{text}");
    assert_eq!(folder.read().expect("a checkpoint").checkpoint.state.step, 5);
}

/// Cells and symbols learn in a fraction of the steps that positions take.
#[test]
fn sudokus_of_4x4_are_learnt_by_candidates() {
    let text = r#"
name = "s"
task = "sudoku-4"
[model]
mixer = "candidates"
hidden_size = 32
expansion = 2.0
puzzle_emb_ndim = 0
[optimizer]
clip_grad_norm = 1.0
ema = 0.95
[schedule]
steps = 300
warmup_steps = 20
[batch]
visits = [[0, 8]]
groups = 4
[evaluation]
every = 300
puzzles = 200
"#;
    let config = TrainConfig::from_toml("s.toml", text).expect("settings");
    let dir = tempfile::tempdir().expect("a folder");
    let folder = RunFolder::create(dir.path(), &config).expect("a folder");
    let mut observer = watch(u64::MAX);
    Trainer::start(&ort(), config, folder, None, options(1)).expect("a run").run(&mut observer).expect("a run");
    let last = observer.evaluated.last().expect("an evaluation");
    println!("{last:?}");
    assert!(last.exact > 0.9 && last.n == 200, "{last:?}");
}

#[test]
fn sudokus_of_4x4_are_learnt() {
    let mut config = TrainConfig::preset("sudoku-4").expect("a preset");
    for (key, value) in [("schedule.steps", "500"), ("evaluation.every", "500"), ("evaluation.puzzles", "200")] {
        config.set(key, value).expect("a setting");
    }
    let dir = tempfile::tempdir().expect("a folder");
    let folder = RunFolder::create(dir.path(), &config).expect("a folder");
    let mut trainer = Trainer::start(&ort(), config, folder, None, options(1)).expect("a run");
    let mut observer = watch(u64::MAX);
    trainer.run(&mut observer).expect("a run");
    let last = observer.evaluated.last().expect("an evaluation");
    println!("{last:?}");
    assert!(last.exact > 0.9 && last.n == 200, "{last:?}");
    // What it learnt is in the weights that it hands out, not in its memory of puzzles.
    let (weights, at) = trainer.best_weights().expect("weights");
    let step = at.step;
    assert_eq!(step, 500);
    let untrained: BTreeMap<_, _> = initial_weights(&trainer.config().trm_config().expect("a model"), false, 1);
    assert_ne!(weights["lm_head.weight"], untrained["lm_head.weight"]);
}
