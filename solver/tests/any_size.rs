//! A model whose weights belong to no position: one bundle, puzzles of any size, on every engine.

mod common;

use std::collections::BTreeSet;

use common::engines;
use trm_engine::{ActStep, SessionOptions};
use trm_export::bundle::reference_run;
use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor, layout};
use trm_export::trm::{GraphOptions, build_graph};
use trm_export::{BundleRequest, Sample, export_bundle};
use trm_intake::explained;
use trm_models::{GraphKind, Mixer, ModelBundle, NetworkConfig, TrmConfig};
use trm_puzzles::{Maze, PuzzleKind, Sudoku, seeded};
use trm_solver::model::{board, spec};
use trm_solver::{AttemptKind, Model, Network, Observer, Question, SolveOptions, SolveReport, Solver, StepView};

/// Steps of which every engine must find what the reference evaluator finds in float64.
const STEPS: usize = 3;
/// Relative to the largest state.
const TOLERANCE: f64 = 1e-4;

fn config(mixer: Mixer, kind: &PuzzleKind) -> TrmConfig {
    let network = NetworkConfig { mixer, hidden_size: 16, puzzle_emb_ndim: 0, ..NetworkConfig::default() };
    let task = kind.task();
    network.for_task(task.seq_len(), task.vocab_size(), board(kind))
}

/// Weights that are no pattern.
fn weights(config: &TrmConfig) -> StateDict {
    let mut rng = seeded(7);
    let mut state = StateDict::new();
    for tensor in layout(config) {
        let scale = 1.5 / (*tensor.shape.last().expect("a shape") as f32).sqrt();
        let mut number = || (rand::Rng::next_u32(&mut rng) as f32 / u32::MAX as f32 - 0.5) * 2.0 * scale;
        let data = (0..tensor.shape.iter().product()).map(|_| number()).collect();
        state.insert(tensor.name, WeightTensor { dtype: WeightDtype::F32, shape: tensor.shape, data });
    }
    state
}

fn bundle(dir: &tempfile::TempDir, mixer: Mixer, kind: &PuzzleKind, with_weights: bool) -> ModelBundle {
    let config = config(mixer, kind);
    let request = BundleRequest {
        name: "any".to_owned(),
        task: spec(kind),
        config: &config,
        weights: &weights(&config),
        graphs: BTreeSet::new(),
        options: GraphOptions::default(),
        sample: sample(kind, &config),
        training_data: None,
        licence: None,
        accuracy: Vec::new(),
        checkpoint: None,
        configuration: None,
        identities: None,
        with_weights,
        notes: None,
        files: Vec::new(),
    };
    export_bundle(request, &dir.path().join("any"), false).expect("a bundle")
}

/// Two puzzles of a size.
fn sample(kind: &PuzzleKind, config: &TrmConfig) -> Sample {
    let mut rng = seeded(3);
    let generator = kind.generator().expect("a task").expect("a generator");
    let mut tokens = || kind.task().encode(&generator.generate(&mut rng).expect("a puzzle").puzzle).expect("tokens");
    let tokens = [tokens(), tokens()].concat();
    assert_eq!(tokens.len(), 2 * config.seq_len);
    Sample { tokens, puzzle_ids: vec![0, 0] }
}

fn maze(height: usize, width: usize) -> PuzzleKind {
    PuzzleKind::Maze(Maze::new(height, width).expect("a size"))
}

fn sudoku(box_height: usize, box_width: usize) -> PuzzleKind {
    PuzzleKind::Sudoku(Sudoku::new(box_height, box_width).expect("boxes"))
}

#[test]
fn every_engine_finds_what_the_reference_finds_at_every_size() {
    for (mixer, own, others) in [
        (Mixer::Grid, maze(5, 5), vec![maze(5, 5), maze(4, 7), maze(12, 9)]),
        (Mixer::Cross, maze(5, 5), vec![maze(5, 5), maze(4, 7)]),
        (Mixer::Candidates, sudoku(2, 2), vec![sudoku(2, 2), sudoku(2, 3), sudoku(3, 2), sudoku(3, 3)]),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let model = Model::new(bundle(&dir, mixer, &own, true)).expect("a model");
        assert_eq!(model.only_kind(), None);
        for kind in others {
            let sized = model.for_size(kind, "a test").expect("a model of this size");
            let config = sized.config();
            assert_eq!((sized.kind(), config), (kind, &self::config(mixer, &kind)));
            let sample = sample(&kind, config);
            let graph = build_graph(GraphKind::Step, config, &weights(config), GraphOptions::default()).expect("graph");
            let expected = reference_run(&graph, config, &sample, STEPS).expect("a reference");
            let largest = expected.z_h.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
            for engine in engines() {
                let options = SessionOptions { batch: 2, ..SessionOptions::default() };
                let mut session = engine.load_step(sized.bundle(), &options).expect("a session");
                let mut input = ActStep::first(sample.tokens.clone(), sample.puzzle_ids.clone());
                let mut output = session.step(&input).expect("a step");
                input.reset.fill(false);
                for _ in 1..STEPS {
                    output = session.step(&input).expect("a step");
                }
                let carry = session.carry().expect("a carry");
                let worst = carry.z_h.iter().zip(&expected.z_h).fold(0.0_f64, |worst, (found, expected)| {
                    let error = f64::from(found - expected).abs();
                    if error.is_nan() { f64::INFINITY } else { worst.max(error) }
                });
                let what = format!("{} of {mixer} on {}", trm_solver::model::describe(&kind), engine.name());
                assert!(worst / largest < TOLERANCE, "{what}: {worst:e} of {largest}");
                assert_eq!(output.answer, expected.answer, "{what}");
            }
        }
    }
}

#[test]
fn puzzles_that_it_does_not_solve_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = Model::new(bundle(&dir, Mixer::Grid, &maze(5, 5), true)).expect("a model");
    for (kind, expected) in [
        (sudoku(3, 3), "here: this is a sudoku of 9x9, the model any solves maze of any size up to 65536 positions"),
        (
            maze(300, 300),
            "here: this is a maze of 300x300, the model any solves maze of any size up to 65536 positions",
        ),
    ] {
        assert!(!model.takes(kind));
        let error = explained(&model.for_size(kind, "here").expect_err("accepted"));
        assert!(error.contains(expected), "{error}");
    }
    let without = tempfile::tempdir().expect("a folder");
    let model = Model::new(bundle(&without, Mixer::Grid, &maze(5, 5), false)).expect("a model");
    let error = explained(&model.for_size(maze(6, 6), "here").expect_err("accepted"));
    assert!(error.contains("weights.safetensors"), "{error}");
    let shipped = Model::open("maze-9").expect("shipped");
    assert_eq!(shipped.only_kind(), Some(maze(9, 9)));
    assert!(shipped.for_size(maze(9, 9), "here").is_ok() && !shipped.takes(maze(5, 5)));
}

/// Large mazes have as many more steps as they have cells; a maze of the steps' own size has the bundle's.
#[test]
fn larger_mazes_have_more_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = Model::new(bundle(&dir, Mixer::Grid, &maze(5, 5), true)).expect("a model");
    let steps = |kind| model.for_size(kind, "here").expect("a size").config().halt_max_steps;
    let own = model.config().halt_max_steps;
    assert_eq!([steps(maze(32, 32)), steps(maze(33, 32)), steps(maze(40, 60))], [own, 2 * own, 3 * own]);
}

#[test]
fn shipped_models_of_any_size_are_the_default_and_former_names_open_them() {
    for (kind, name) in
        [(maze(9, 9), "maze"), (maze(4, 17), "maze"), (sudoku(2, 2), "sudoku"), (sudoku(3, 4), "sudoku")]
    {
        let model = Model::for_kind(kind, "here").expect("a shipped model");
        assert_eq!((model.name(), model.kind()), (name, kind));
    }
    for (former, kind) in [("sudoku-6", sudoku(2, 3)), ("sudoku-9", sudoku(3, 3))] {
        let model = Model::open(former).expect("a former name");
        assert_eq!((model.name(), model.kind()), ("sudoku", kind));
    }
}

/// A map's windows have walls around; a model of one size has windows of that.
#[test]
fn windows_are_of_the_size_that_is_asked_for() {
    let windows = |name, size| Network::for_windows(&Model::open(name).expect("shipped"), size);
    assert_eq!(windows("maze", (12, 20)).expect("mazes").kind(), maze(14, 22));
    assert_eq!(windows("maze", (1, 2)).expect("mazes").kind(), maze(9, 9), "never less");
    assert_eq!(windows("maze-9", (12, 20)).expect("mazes").kind(), maze(9, 9));
    let error = explained(&windows("sudoku", (12, 20)).expect_err("accepted"));
    assert!(error.contains("sudoku") && error.contains("planning needs a maze model"), "{error}");
}

/// Which kinds of attempts there were, and the answers of the retries' last steps.
#[derive(Default)]
struct Attempts {
    kinds: BTreeSet<&'static str>,
    answers: BTreeSet<Vec<i32>>,
}

impl Observer for Attempts {
    fn step(&mut self, step: &StepView<'_>) {
        self.kinds.insert(step.attempt.as_str());
        if step.attempt != AttemptKind::First && step.steps == STEPS {
            self.answers.insert(step.answer.to_vec());
        }
    }

    fn done(&mut self, _: usize, _: &Question, _: SolveReport) {}
}

/// A copy of a sudoku is answered by candidates as the sudoku is: they are tried from other starts. A maze's copies are not.
#[test]
fn candidates_are_tried_from_other_starts() {
    for (mixer, kind, expected) in
        [(Mixer::Candidates, sudoku(2, 2), ["first", "rollout"]), (Mixer::Cross, maze(5, 7), ["first", "symmetric"])]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let model = Model::new(bundle(&dir, mixer, &kind, true)).expect("a model");
        let generator = kind.generator().expect("a task").expect("a generator");
        let puzzle = generator.generate(&mut seeded(3)).expect("a puzzle").puzzle;
        for engine in engines() {
            let options = SolveOptions { tries: 3, max_steps: Some(STEPS), ..SolveOptions::default() };
            let load = |batch| engine.load_step(model.bundle(), &SessionOptions { batch, ..SessionOptions::default() });
            let mut solver = Solver::new(model.task(), model.config().clone(), options, load);
            let mut attempts = Attempts::default();
            let question = Question::new(model.task().as_ref(), puzzle.clone(), 0);
            solver.run([question], &mut attempts).expect("solves");
            assert_eq!(attempts.kinds, BTreeSet::from(expected), "{mixer} on {}", engine.name());
            assert!(attempts.answers.len() > 1, "{mixer} on {}: every try gave one answer", engine.name());
        }
    }
}
