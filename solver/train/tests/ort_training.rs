//! ONNX Runtime's training API against the float64 evaluator: losses, weights, moments, carry, resuming, files.
//!
//! A process has one ONNX Runtime, and this one differs from the other tests': hence a test file of its own.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/toy/mod.rs"]
mod toy;

/// The module's name is what `cargo xtask test` leaves out on platforms without a build that trains.
mod training_api {
    use std::path::Path;

    use ort::session::Session;
    use ort::value::Tensor;
    use trm_engine::ort::OrtEngine;
    use trm_engine::{EngineError, SessionOptions};
    use trm_export::train::ort_training::{AdamW, TrainingCheckpoint, TrainingModels, training_models};
    use trm_intake::explained;
    use trm_train::TrainError;
    use trm_train::config::TrainConfig;
    use trm_train::log::{self, EvalRecord, Record, TrainRecord};
    use trm_train::run::{LOG, RunFolder};
    use trm_train::runtime::{NamedTensor, OrtTraining, OrtTrainingOptions, TrainRuntime, TrainState, UpdateInput};
    use trm_train::trainer::{TrainObserver, Trainer};

    use super::common::chain;
    use super::toy::{self, BATCH, GROUPS, PUZZLE_EMBEDDING, Reference, SEQ, WIDTH};

    const ADAMW: AdamW = AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 };
    const EMA: f64 = 0.9;
    const PUZZLE_DECAY: f64 = 0.1;

    fn engine() -> OrtEngine {
        let library = std::env::var_os("ORT_TRAINING_DYLIB_PATH").expect(
            "this test needs an ONNX Runtime with its training API, but ORT_TRAINING_DYLIB_PATH is not set: run \
             `cargo xtask test`, or set it to what `cargo xtask ort-training` prints",
        );
        OrtEngine::load(Some(Path::new(&library))).unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    fn models() -> TrainingModels {
        training_models(toy::differentiated(), &ADAMW, &[PUZZLE_EMBEDDING]).expect("the models are written")
    }

    fn start(state: TrainState, updates: u64) -> OrtTraining {
        let options = OrtTrainingOptions {
            batch: BATCH,
            groups: GROUPS,
            seq_len: SEQ,
            positions: SEQ,
            hidden_size: WIDTH,
            threads: 1,
            ema: EMA,
            puzzle_emb_weight_decay: PUZZLE_DECAY,
        };
        OrtTraining::new(&engine(), &models(), state, updates, options)
            .unwrap_or_else(|error| panic!("{}", chain(&error)))
    }

    fn update_input(step: u64) -> UpdateInput {
        UpdateInput { step, lr: 0.01 / step as f64, puzzle_emb_lr: 0.02 }
    }

    /// Greatest difference, in units of `atol + rtol · |expected|`: at most 1 is close.
    fn distance(found: &NamedTensor, expected: &[f64], what: &str) -> f64 {
        assert_eq!(found.data.len(), expected.len(), "{what}");
        found.data.iter().zip(expected).fold(0.0, |worst, (&found, &expected)| {
            let distance = (f64::from(found) - expected).abs() / (2e-6 + 2e-5 * expected.abs());
            assert!(distance <= 1.0, "{what}: {found} is not {expected}");
            f64::max(worst, distance)
        })
    }

    /// 50 updates of two steps each, over two carry groups.
    #[test]
    fn fifty_updates_equal_the_float64_reference() {
        let mut reference = Reference::new(ADAMW, EMA, PUZZLE_DECAY);
        let mut runtime = start(toy::initial_state(), 0);
        let (mut first, mut last, mut worst) = (0.0, 0.0, 0.0_f64);
        for update in 1..=50 {
            for half in 0..2 {
                let index = 2 * (update - 1) + half;
                let (group, batch) = ((index % GROUPS as u64) as usize, toy::batch(index));
                let output = runtime.step(group, &batch).expect("a step");
                let expected = reference.step(group, &batch);
                let loss = f64::from(output.loss);
                assert!((loss - expected).abs() < 1e-6 + 1e-5 * expected, "step {index}: {loss} is not {expected}");
                worst = worst.max((loss - expected).abs() / expected);
                if index == 0 {
                    first = loss;
                }
                last = loss;
            }
            assert_eq!(runtime.update(&update_input(update)).expect("an update"), None);
            reference.update(&update_input(update));
        }
        assert!(last < first / 2.0, "the loss went from {first} to {last}: nothing was learnt");

        let state = runtime.state().expect("the state");
        let mut far = 0.0_f64;
        for (name, expected) in &reference.weights {
            far = far.max(distance(&state.weights[name], expected, name));
        }
        assert_eq!(state.ema.keys().collect::<Vec<_>>(), reference.ema.keys().collect::<Vec<_>>());
        for (name, expected) in &reference.ema {
            far = far.max(distance(&state.ema[name], expected, &format!("average of {name}")));
        }
        for (name, [first, second]) in &reference.moments {
            far = far.max(distance(&state.moments[&format!("{name}.m")], first, name));
            far = far.max(distance(&state.moments[&format!("{name}.v")], second, name));
        }
        let expected = ["H_init", "mix", PUZZLE_EMBEDDING, "read", "take"];
        assert_eq!(state.weights.keys().map(String::as_str).collect::<Vec<_>>(), expected);
        for (found, expected) in runtime.carry().expect("the carry").iter().zip(reference.carry()) {
            far = far.max(distance(found, &expected, "carry"));
        }
        println!(
            "loss {first} to {last}; greatest relative difference of a loss {worst:.1e}; of the rest {far:.2} of what is allowed"
        );
    }

    /// A real model, 50 updates of two steps over three carry groups, by each runtime. The whole recursion visited once, and
    /// a short one with the carry passed on: both together amplify a difference of the last digit tenfold every few
    /// updates, until after 50 it is a hundredth of the loss, whoever computes.
    #[test]
    fn fifty_updates_of_a_real_model_equal_those_of_plain_graphs() {
        for changes in [
            [("batch.visits", "[[0, 1]]"), ("model.H_cycles", "2"), ("model.L_cycles", "2")],
            [("batch.visits", "[[0, 4]]"), ("model.H_cycles", "1"), ("model.L_cycles", "1")],
        ] {
            let mut config = TrainConfig::preset("sudoku-4").expect("a preset");
            let settings = [
                ("optimizer.kind", "adamw"),
                ("optimizer.puzzle_emb_lr", "1e-4"),
                ("optimizer.freeze", "[\"lm_head\"]"),
                ("schedule.steps", "50"),
                ("schedule.warmup_steps", "1"),
                ("batch.size", "8"),
                ("batch.groups", "3"),
                ("batch.accumulation", "2"),
                ("evaluation.every", "0"),
                ("log.every", "1"),
            ];
            for (key, value) in settings.into_iter().chain(changes) {
                config.set(key, value).unwrap_or_else(|error| panic!("{error}"));
            }
            compare_runtimes(&config);
        }
    }

    #[expect(clippy::print_stdout, reason = "figures for whoever looks at the test")]
    fn compare_runtimes(config: &TrainConfig) {
        let run = |kind: &str| {
            let mut config = config.clone();
            config.set("runtime.kind", kind).expect("a runtime");
            let dir = tempfile::tempdir().expect("a folder");
            let folder = RunFolder::create(dir.path(), &config).expect("a folder");
            let session = SessionOptions { threads: 1, ..SessionOptions::default() };
            let mut trainer = Trainer::start(&engine(), config, folder.clone(), None, session)
                .unwrap_or_else(|error| panic!("{}", chain(&error)));
            assert_eq!(trainer.runtime_name(), kind);
            trainer.run(&mut Silent).unwrap_or_else(|error| panic!("{}", chain(&error)));
            let losses =
                log::read(&dir.path().join(LOG)).expect("a log").into_iter().filter_map(|record| match record {
                    Record::Train(record) => Some(record.loss),
                    Record::Eval(_) => None,
                });
            (losses.collect::<Vec<_>>(), folder.read().expect("a checkpoint").checkpoint)
        };
        let ((expected, graph), (found, api)) = (run("graph"), run("ort-training"));
        assert_eq!(expected.len(), 50);
        assert!(expected[49] < 0.8 * expected[0], "nothing was learnt: {expected:?}");
        let mut worst = 0.0_f64;
        for (update, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let distance = (found - expected).abs() / expected;
            assert!(distance < 2e-5, "update {}: loss {found}, {expected}", update + 1);
            worst = worst.max(distance);
        }
        let mut far = 0.0_f64;
        for (expected, found) in [
            (&graph.tensors.weights, &api.tensors.weights),
            (&graph.tensors.ema, &api.tensors.ema),
            (&graph.tensors.moments, &api.tensors.moments),
        ] {
            assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
            for (name, expected) in expected {
                let l2 = |values: &mut dyn Iterator<Item = f32>| {
                    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
                };
                let difference = l2(&mut expected.data.iter().zip(&found[name].data).map(|(a, b)| a - b));
                let distance = difference / l2(&mut expected.data.iter().copied()).max(1e-6);
                assert!(distance < 1e-3, "{name}: {distance}");
                far = far.max(distance);
            }
        }
        assert_eq!(graph.state.groups, api.state.groups, "other puzzles halted");
        println!("greatest relative difference: losses {worst:.1e}, tensors {far:.1e}");
    }

    struct Silent;

    impl TrainObserver for Silent {
        fn updated(&mut self, _: &TrainRecord) {}
        fn evaluated(&mut self, _: &EvalRecord) {}
        fn stop(&mut self) -> bool {
            false
        }
    }

    #[test]
    fn settings_that_the_api_does_not_know_are_refused() {
        for (key, value, reason) in [
            ("optimizer.kind", "adam-atan2", "ort-training knows adamw only"),
            ("optimizer.clip_grad_norm", "1.0", "ort-training does not clip"),
        ] {
            let mut config = TrainConfig::preset("sudoku-4").expect("a preset");
            config.set("optimizer.kind", "adamw").expect("a setting");
            config.set(key, value).expect("a setting");
            config.set("runtime.kind", "ort-training").expect("a setting");
            let dir = tempfile::tempdir().expect("a folder");
            let folder = RunFolder::create(dir.path(), &config).expect("a folder");
            let trainer = Trainer::start(&engine(), config, folder, None, SessionOptions::default());
            let error = explained(&trainer.err().expect("accepted"));
            assert!(error.contains(reason) && error.contains("\nhint: "), "{error}");
        }
    }

    #[test]
    fn a_resumed_run_is_the_uninterrupted_one() {
        let mut one = start(toy::initial_state(), 0);
        let run = |runtime: &mut OrtTraining, updates: std::ops::RangeInclusive<u64>| {
            for update in updates {
                runtime.step((update % GROUPS as u64) as usize, &toy::batch(update)).expect("a step");
                runtime.update(&update_input(update)).expect("an update");
            }
        };
        run(&mut one, 1..=7);
        let (state, carry) = (one.state().expect("the state"), one.carry().expect("the carry"));
        let mut other = start(state, 7);
        other.set_carry(&carry).expect("the carry fits");
        run(&mut one, 8..=12);
        run(&mut other, 8..=12);
        assert_eq!(other.state().expect("the state"), one.state().expect("the state"));
        assert_eq!(other.carry().expect("the carry"), one.carry().expect("the carry"));
    }

    #[test]
    fn checkpoints_are_saved_and_models_exported() {
        let mut runtime = start(toy::initial_state(), 0);
        runtime.step(0, &toy::batch(0)).expect("a step");
        runtime.update(&update_input(1)).expect("an update");
        let state = runtime.state().expect("the state");

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("checkpoint");
        runtime.save(&path).expect("saves");
        let bytes = std::fs::read(&path).expect("reads");
        let saved = TrainingCheckpoint::from_bytes(&bytes, &path).expect("it is a checkpoint");
        assert_eq!(saved.step, 1);
        for parameter in &saved.parameters {
            assert_eq!(parameter.data, state.weights[&parameter.name].data);
        }

        let path = folder.path().join("model.onnx");
        runtime.export(&path, &["z_h_next"]).expect("exports");
        let mut session = Session::builder(engine().environment())
            .and_then(|mut builder| builder.commit_from_file(&path))
            .expect("the exported model loads");
        let inputs: Vec<_> = session.inputs().iter().map(|input| input.name().to_owned()).collect();
        assert!(!inputs.iter().any(|name| name == "mix" || name == "labels"), "{inputs:?}");
        let batch = toy::batch(0);
        let table = &state.weights[PUZZLE_EMBEDDING];
        let given = ort::inputs! {
            "tokens" => Tensor::from_array(([BATCH, SEQ], batch.tokens)).expect("tokens"),
            "puzzle_ids" => Tensor::from_array(([BATCH], batch.puzzle_ids)).expect("ids"),
            "reset" => Tensor::from_array(([BATCH], vec![true; BATCH])).expect("flags"),
            "z_h" => Tensor::from_array(([BATCH, SEQ, WIDTH], vec![9.0_f32; BATCH * SEQ * WIDTH])).expect("a carry"),
            PUZZLE_EMBEDDING => Tensor::from_array((table.shape.clone(), table.data.clone())).expect("a table"),
        };
        let outputs = session.run(given).expect("the exported model runs");
        let (_, exported) = outputs["z_h_next"].try_extract_tensor::<f32>().expect("floats");
        // The same step by the runtime itself.
        let batch = trm_train::runtime::TrainBatch { reset: vec![true; BATCH], ..toy::batch(0) };
        runtime.step(0, &batch).expect("a step");
        let carry = &runtime.carry().expect("the carry")[0].data[..exported.len()];
        for (exported, trained) in exported.iter().zip(carry) {
            assert!((exported - trained).abs() < 1e-6, "{exported} is not {trained}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let options = OrtTrainingOptions {
            batch: BATCH,
            groups: 1,
            seq_len: SEQ,
            positions: SEQ,
            hidden_size: WIDTH,
            threads: 1,
            ema: 0.0,
            puzzle_emb_weight_decay: 0.0,
        };
        let new = |state| OrtTraining::new(&engine(), &models(), state, 0, options);
        let mut state = toy::initial_state();
        state.weights.remove("mix");
        let error = explained(&new(state).err().expect("a weight is missing"));
        assert!(error.starts_with("tensor `mix` is missing among the weights\nhint: "), "{error}");

        let mut state = toy::initial_state();
        state.moments.insert("mix.m".into(), state.weights["mix"].clone());
        let error = explained(&new(state).err().expect("moments are missing"));
        assert!(error.starts_with("tensor `mix.v` is missing among the moments\nhint: "), "{error}");

        let mut runtime = new(toy::initial_state()).expect("starts");
        let mut batch = toy::batch(0);
        batch.labels.pop();
        let error = runtime.step(0, &batch).expect_err("a label is missing");
        assert!(matches!(error, TrainError::Engine(EngineError::InputLength { tensor: "labels", .. })), "{error}");
        // ONNX Runtime's own refusal: a token without an embedding.
        let mut batch = toy::batch(0);
        batch.tokens[0] = 99;
        let error = chain(&runtime.step(0, &batch).expect_err("there is no such token"));
        assert!(error.starts_with("ort-training failed to run a training step: "), "{error}");
        // The session goes on after it.
        runtime.step(0, &toy::batch(0)).expect("a step");
    }
}
