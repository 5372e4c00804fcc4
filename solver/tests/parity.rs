//! Every golden against every engine and every graph that the engine can run, and recordings that are not whole.
#![expect(clippy::print_stdout, reason = "figures for whoever looks at the test")]

mod common;
#[path = "common/remembering.rs"]
mod remembering;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{chain, options, ort};
use remembering::Remembering;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{Engine, StepSession};
use trm_intake::explained;
use trm_models::GraphKind;
use trm_solver::SolverError;
use trm_solver::parity::{
    Comparison, Golden, JudgedStep, Outcome, Quantity, RECORDED_STEPS, ReferenceStepSession, Scope, Start,
    StepComparison, Subject, compare_solve, compare_step,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../export/tests/fixtures/golden")
}

fn golden(name: &str) -> (Golden, Subject) {
    let dir = folder().join(name);
    let golden = Golden::open(&dir).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let subject = Subject::of_checkpoint(&dir).unwrap_or_else(|error| panic!("{}", chain(&error)));
    (golden, subject)
}

fn step_session(engine: &dyn Engine, golden: &Golden, subject: &Subject) -> Box<dyn StepSession> {
    let graph = subject.graph(GraphKind::Step, None).expect("the graph builds");
    let session = engine.load_step_graph(&graph.source(), &options(golden.batch()));
    session.unwrap_or_else(|error| panic!("{}: {}", engine.name(), chain(&error)))
}

/// Fails unless every row that can be judged passed, and prints the row.
#[track_caller]
fn assert_passed(what: &str, rows: &[StepComparison]) {
    for row in rows {
        println!("{what}: {row:?}");
        assert_ne!(row.passed, Some(false), "{what}: {row:?}");
    }
}

/// The number of steps of a golden that are judged, which is part of the golden.
fn judged_steps(name: &str) -> usize {
    match name {
        "sudoku_mlp_bf16" => 0,
        "sudoku_mlp_bf16_stable" => 1,
        "hrm_att" | "maze_att" | "maze_learned" | "sudoku_mlp" => 3,
        _ => 16,
    }
}

fn check_step_graph(engine: &dyn Engine, name: &str) {
    let what = format!("{name}, {}, step", engine.name());
    let (golden, subject) = golden(name);
    let mut session = step_session(engine, &golden, &subject);
    let comparison = compare_step(session.as_mut(), &golden, &Scope::default()).expect("it runs");
    assert_passed(&what, &comparison.steps);
    let judged = comparison.steps.iter().filter(|row| row.passed.is_some()).count();
    assert_eq!(judged, judged_steps(name), "{what}");
    if judged == 0 {
        assert_eq!(comparison.outcome, Outcome::NotJudged, "{what}");
        assert_eq!(comparison.not_judged, ["no number of this recording is to be judged"], "{what}");
    } else {
        assert_eq!(comparison.outcome, Outcome::Passed, "{what}: {:?}", comparison.not_judged);
        assert!(comparison.left_out.is_empty(), "{what}: {:?}", comparison.left_out);
    }
    // Every state that was recorded in float32 is judged as well, where the recursion is not chaotic.
    if !name.contains("bf16") {
        let first = &comparison.steps[0];
        let states = [Quantity::ZH, Quantity::ZL].map(|state| first.error(state).is_some() == first.has_judged(state));
        assert_eq!(states, [true, true], "{what}: {first:?}");
    }
}

fn check_solve_graph(engine: &dyn Engine, name: &str) {
    let what = format!("{name}, {}, solve", engine.name());
    let (golden, subject) = golden(name);
    let graph = subject.graph(GraphKind::Solve, None).expect("the graph builds");
    let mut session = engine
        .load_solve_graph(&graph.source(), &options(golden.batch()))
        .unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
    let compare = |steps| compare_solve(session.as_mut(), &golden, &Scope::default(), steps).expect("it runs");
    let rows: Vec<_> = RECORDED_STEPS.map(compare).into();
    assert_passed(&what, &rows);
}

/// Unrolled graphs of up to four steps: what sixteen would add are minutes of tract's optimiser.
fn check_unrolled_graph(engine: &dyn Engine, name: &str) {
    let what = format!("{name}, {}, unrolled", engine.name());
    let (golden, subject) = golden(name);
    let compare = |&steps: &usize| {
        let graph = subject.graph(GraphKind::Unrolled, Some(steps)).expect("the graph builds");
        let mut session = engine
            .load_solve_graph(&graph.source(), &options(golden.batch()))
            .unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        compare_solve(session.as_mut(), &golden, &Scope::default(), steps).expect("it runs")
    };
    let rows: Vec<_> = [1, 2, 4].iter().map(compare).collect();
    assert_passed(&what, &rows);
}

macro_rules! goldens {
    ($($name:ident),* $(,)?) => {
        const GOLDENS: &[&str] = &[$(stringify!($name)),*];

        $(mod $name {
            use super::*;

            #[test]
            fn ort_step() {
                check_step_graph(&ort(), stringify!($name));
            }

            #[test]
            fn ort_solve() {
                check_solve_graph(&ort(), stringify!($name));
            }

            #[test]
            fn ort_unrolled() {
                check_unrolled_graph(&ort(), stringify!($name));
            }

            #[test]
            fn rten_step() {
                check_step_graph(&RtenEngine, stringify!($name));
            }

            #[test]
            fn rten_solve() {
                check_solve_graph(&RtenEngine, stringify!($name));
            }

            #[test]
            fn rten_unrolled() {
                check_unrolled_graph(&RtenEngine, stringify!($name));
            }

            #[test]
            fn tract_step() {
                check_step_graph(&TractEngine, stringify!($name));
            }

            #[test]
            fn tract_unrolled() {
                check_unrolled_graph(&TractEngine, stringify!($name));
            }
        })*
    };
}

goldens! {
    arc_like_stable, hrm_att, hrm_att_stable, maze_att, maze_att_stable, maze_learned, maze_learned_stable, sudoku_mlp,
    sudoku_mlp_bf16, sudoku_mlp_bf16_stable, sudoku_mlp_stable, symmetric_candidates, symmetric_grid,
}

#[test]
fn no_golden_is_left_out() {
    let entries = std::fs::read_dir(folder()).expect("the folder of goldens");
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let mut found: Vec<_> =
        paths.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
    found.sort();
    assert_eq!(found, GOLDENS);
}

#[test]
fn the_reference_evaluator_agrees() {
    let (golden, subject) = golden("maze_learned_stable");
    let graph = subject.build(GraphKind::Step, None).expect("the graph builds");
    let mut session = ReferenceStepSession::new(graph, subject.config(), golden.batch()).expect("a session");
    let comparison = compare_step(&mut session, &golden, &Scope::default()).expect("it runs");
    assert_eq!(comparison.steps.len(), 16);
    assert_eq!(comparison.outcome, Outcome::Passed, "{comparison:?}");
}

#[test]
fn a_wrong_model_fails() {
    // The stable checkpoint against what the plain one computed.
    let (recorded, _) = golden("maze_learned");
    let (_, subject) = golden("maze_learned_stable");
    let mut session = step_session(&TractEngine, &recorded, &subject);
    let comparison = compare_step(session.as_mut(), &recorded, &Scope::default()).expect("it runs");
    assert_eq!(comparison.steps[0].passed, Some(false), "{:?}", comparison.steps[0]);
    assert_eq!(comparison.outcome, Outcome::Failed);
}

#[test]
fn logits_that_are_not_returned_do_not_pass() {
    let (golden, subject) = golden("maze_learned_stable");
    let graph = subject.graph(GraphKind::Step, None).expect("the graph builds");
    let mut without = options(golden.batch());
    without.want_logits = false;
    let mut session = TractEngine.load_step_graph(&graph.source(), &without).expect("the graph loads");
    let comparison = compare_step(session.as_mut(), &golden, &Scope::default()).expect("it runs");
    assert_eq!(comparison.steps[0].logits, Some(f64::INFINITY));
    assert_eq!(comparison.outcome, Outcome::Failed);
}

#[test]
fn a_model_of_another_size_is_refused() {
    let (recorded, _) = golden("sudoku_mlp_stable");
    let (_, subject) = golden("maze_learned_stable");
    let error = recorded.check_model(subject.name(), subject.config()).expect_err("accepted");
    let text = explained(&error);
    assert!(text.contains("recorded with 81 cells and 11 tokens"), "{text}");
    assert!(text.contains("has 100 and 6\nhint: "), "{text}");
}

#[test]
fn damaged_recordings_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let error = Golden::open(dir.path()).expect_err("accepted");
    assert!(chain(&error).contains("cannot read"), "{}", chain(&error));

    let path = dir.path().join("outputs.safetensors");
    let original = std::fs::read(folder().join("hrm_att/outputs.safetensors")).expect("a golden");
    let header = 8 + usize::try_from(u64::from_le_bytes(original[..8].try_into().expect("8"))).expect("small");
    let mut endless = original.clone();
    endless[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    for (bytes, expected) in [
        (&original[..0], "it ends after 0 bytes"),
        (&original[..100], "ends within its list of tensors"),
        (&original[..header], "its list of tensors says"),
        (&original[..original.len() - 1], "its list of tensors says"),
        (&endless, "more than the 1048576 allowed"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let error = Golden::open(dir.path()).expect_err("accepted");
        assert!(matches!(error, SolverError::BadGolden { .. }), "{error}");
        assert!(explained(&error).contains(expected), "{error}");
    }

    std::fs::write(&path, &original).expect("written");
    let golden = Golden::open(dir.path()).expect("the recording alone can be read");
    assert_eq!((golden.batch(), golden.seq_len(), golden.steps()), (3, 81, 16));
    let error = Subject::of_checkpoint(dir.path()).expect_err("accepted");
    assert!(explained(&error).contains("all_config.yaml"), "{error}");
}

/// A recording as it can be changed: tensors by name, and its manifest.
#[derive(Clone)]
struct Parts {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    manifest: serde_json::Value,
}

impl Parts {
    fn of(name: &str) -> Self {
        let read = |file: &str| std::fs::read(folder().join(name).join(file)).expect(file);
        let bytes = read("outputs.safetensors");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let parts = |(name, view): (String, TensorView<'_>)| {
            (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        };
        let tensors = file.tensors().into_iter().map(parts).collect();
        Self { tensors, manifest: serde_json::from_slice(&read("manifest.json")).expect("a manifest") }
    }

    /// Writes it to a folder of any name and opens that. Tensors are read when they are needed, so the folder comes along.
    fn open(&self, name: &str) -> Result<(Golden, TempDir), SolverError> {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join(name);
        std::fs::create_dir(&dir).expect("a folder");
        let views = self.tensors.iter().map(|(name, (dtype, shape, data))| {
            (name.as_str(), TensorView::new(*dtype, shape.clone(), data).expect("a tensor"))
        });
        safetensors::serialize_to_file(views, None, &dir.join("outputs.safetensors")).expect("written");
        std::fs::write(dir.join("manifest.json"), self.manifest.to_string()).expect("written");
        Ok((Golden::open(&dir)?, folder))
    }

    /// Its name in a comparison.
    fn compare(&self, session: &mut dyn StepSession) -> Result<Comparison, SolverError> {
        let (golden, _folder) = self.open("recording")?;
        compare_step(session, &golden, &Scope::default())
    }

    /// True if something is found to be wrong with it.
    fn is_found_wrong(&self, session: &mut dyn StepSession) -> bool {
        self.compare(session).map_or(true, |comparison| comparison.outcome != Outcome::Passed)
    }

    fn with_element(&self, tensor: &str, at: usize, word: [u8; 4]) -> Self {
        let mut changed = self.clone();
        let (_, _, data) = changed.tensors.get_mut(tensor).expect("a tensor");
        data[4 * at..4 * at + 4].copy_from_slice(&word);
        changed
    }
}

/// Every tensor of a recording, changed in every way, is found: by a limit, by its digest, or because it is gone.
fn every_change_is_found(name: &str) {
    let (golden, subject) = golden(name);
    let mut session = Remembering::new(step_session(&TractEngine, &golden, &subject));
    let whole = Parts::of(name);
    let unchanged = whole.compare(&mut session).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert_eq!(unchanged.outcome, Outcome::Passed, "{name}: {:?}", unchanged.not_judged);
    for (tensor, (dtype, shape, data)) in &whole.tensors {
        let last = data.len() / 4 - 1;
        // Three times the limit, since the model itself may be off by one; and what no limit may accept.
        for (at, change) in [(last / 2, 3e-4), (0, f32::NAN), (last, f32::INFINITY)] {
            let word: [u8; 4] = data[4 * at..4 * at + 4].try_into().expect("4 bytes");
            let word = match dtype {
                Dtype::F32 => (f32::from_le_bytes(word) + change).to_le_bytes(),
                _ => (i32::from_le_bytes(word) ^ 1).to_le_bytes(),
            };
            let changed = whole.with_element(tensor, at, word);
            assert!(changed.is_found_wrong(&mut session), "{name}: {tensor}[{at}] {word:?} passes");
        }
        let mut dropped = whole.clone();
        let content = dropped.tensors.remove(tensor).expect("a tensor");
        assert!(dropped.is_found_wrong(&mut session), "{name}: passes without {tensor}");
        let mut renamed = dropped.clone();
        renamed.tensors.insert(format!("{tensor}_"), content);
        assert!(renamed.is_found_wrong(&mut session), "{name}: passes with {tensor} under another name");
        let mut shorter = dropped;
        let rows = shape[0] - 1;
        let shape = [&[rows], &shape[1..]].concat();
        let bytes = data.len() / (rows + 1) * rows;
        shorter.tensors.insert(tensor.clone(), (*dtype, shape, data[..bytes].to_vec()));
        assert!(shorter.is_found_wrong(&mut session), "{name}: passes with {tensor} a row short");
    }
}

#[test]
fn every_changed_tensor_of_an_mlp_t_recording_is_found() {
    every_change_is_found("sudoku_mlp_stable");
}

#[test]
fn every_changed_tensor_of_an_attention_recording_is_found() {
    every_change_is_found("maze_att_stable");
}

#[test]
fn every_changed_tensor_of_an_hrm_recording_is_found() {
    every_change_is_found("hrm_att_stable");
}

/// Inputs are found by what comes out as well, not only by their digests.
#[test]
fn another_input_gives_other_outputs() {
    let (golden, subject) = golden("sudoku_mlp_stable");
    let mut session = step_session(&TractEngine, &golden, &subject);
    let whole = Parts::of("sudoku_mlp_stable");
    let token = i32::from_le_bytes(whole.tensors["inputs"].2[..4].try_into().expect("4 bytes"));
    let mut changed = whole.with_element("inputs", 0, (token ^ 1).to_le_bytes());
    changed.manifest["judge"]["sha256"].as_object_mut().expect("digests").remove("inputs");
    let comparison = changed.compare(session.as_mut()).expect("it runs");
    assert_eq!(comparison.outcome, Outcome::Failed);
    assert_eq!(comparison.not_judged, ["`inputs`: the manifest has no SHA-256 of it"]);
}

/// The rules for a recording are in it: its folder may be called anything.
#[test]
fn a_folders_name_decides_nothing() {
    for (name, renamed) in
        [("sudoku_mlp_bf16", "sudoku_stable"), ("sudoku_mlp_stable", "sudoku_bf16"), ("arc_like_stable", "x")]
    {
        let (original, renamed) = (golden(name).0, Parts::of(name).open(renamed).expect("it opens").0);
        assert_eq!(original.judge(), renamed.judge(), "{name}");
        assert!(original.judge().is_some(), "{name}");
    }
}

/// Everything that is not in the manifest, or not in the recording, is named, and the outcome is not "passed".
#[test]
fn what_was_not_judged_is_named() {
    let (golden, subject) = golden("sudoku_mlp_stable");
    let mut session = step_session(&TractEngine, &golden, &subject);
    let whole = Parts::of("sudoku_mlp_stable");
    let mut found = |change: &dyn Fn(&mut Parts)| {
        let mut changed = whole.clone();
        change(&mut changed);
        let comparison = changed.compare(session.as_mut()).expect("it runs");
        assert_eq!(comparison.outcome, Outcome::NotJudged, "{comparison:?}");
        comparison.not_judged
    };
    let drop = |name: &'static str| move |parts: &mut Parts| drop(parts.tensors.remove(name));
    let listed = ["logits of step 4 is listed, and not recorded", "answer of step 4 is listed, and not recorded"];
    assert_eq!(found(&drop("logits_step04")), listed);
    assert_eq!(found(&drop("labels")), ["`labels` is listed, and not recorded"]);
    assert!(found(&drop("inputs")).contains(&"`inputs` is listed, and not recorded".to_owned()));
    let extra = found(&|parts| {
        let logits = parts.tensors["logits_step01"].clone();
        parts.tensors.insert("logits_step1\u{1b}".to_owned(), logits);
    });
    assert_eq!(extra, ["`logits_step1\\u{1b}`: no model puts out what has this name"]);
    let less = found(&|parts| {
        let steps = parts.manifest["judge"]["steps"].as_array_mut().expect("steps");
        steps.truncate(14);
    });
    let all = less.join("\n");
    for expected in
        ["`q_halt_logits` at steps 15-16: the manifest says nothing of it", "`logits_step16`: the", "`z_L_final`: the"]
    {
        assert!(all.contains(expected), "{all}");
    }
    let large = found(&|parts| parts.manifest["judge"]["steps"][3]["limits"]["q_halt"] = 1e30.into());
    assert_eq!(large.len(), 1, "{large:?}");
    assert!(large[0].ends_with("would accept any number"), "{large:?}");
    let none = found(&|parts| drop_judge(&mut parts.manifest));
    assert!(none[0].contains("no section `judge`"), "{none:?}");
    let nothing = found(&|parts| {
        parts.tensors.clear();
        parts.manifest = serde_json::json!({});
    });
    assert!(nothing[0].contains("no section `judge`"), "{nothing:?}");
}

/// Leaves neither the section nor what stood for it before.
fn drop_judge(manifest: &mut serde_json::Value) {
    let manifest = manifest.as_object_mut().expect("an object");
    manifest.remove("judge");
    manifest.remove("post_init_scale_of_down_proj_and_o_proj");
}

/// Recordings from before the section `judge` are judged as those that have it.
#[test]
fn the_form_before_is_read_as_it_was_meant() {
    // Those of the project's own architecture have never had another form.
    for name in GOLDENS.iter().filter(|name| !name.starts_with("symmetric")) {
        let mut parts = Parts::of(name);
        let (today, _folder) = parts.open("today").expect("it opens");
        parts.manifest.as_object_mut().expect("an object").remove("judge");
        let (before, _folder) = parts.open("before").expect("it opens");
        let (today, before) = (today.judge().expect("a section"), before.judge().expect("limits"));
        assert_eq!(today.steps, before.steps, "{name}");
        assert!(before.sha256.is_empty() && !today.sha256.is_empty(), "{name}");
    }
}

#[test]
fn a_scope_leaves_out_and_says_so() {
    let (golden, subject) = golden("maze_learned_stable");
    let mut session = step_session(&TractEngine, &golden, &subject);
    let scope = |steps: &[usize]| Scope { atol: None, steps: Some(steps.iter().copied().collect()) };
    let comparison = compare_step(session.as_mut(), &golden, &scope(&[1, 2])).expect("it runs");
    assert_eq!((comparison.outcome, comparison.steps.len()), (Outcome::Passed, 2));
    assert!(comparison.left_out.contains(&"`q_halt_logits` at steps 3-16: not asked for".to_owned()), "{comparison:?}");
    let comparison = compare_step(session.as_mut(), &golden, &scope(&[17])).expect("it runs");
    assert_eq!(comparison.outcome, Outcome::NotJudged);
    assert_eq!(comparison.not_judged, ["step 17 was asked for, and is not recorded"]);
    let strict = Scope { atol: Some(1e-12), steps: None };
    let comparison = compare_step(session.as_mut(), &golden, &strict).expect("it runs");
    assert_eq!(comparison.outcome, Outcome::Failed);
    let limits = |row: &StepComparison| row.limits.iter().all(|(of, limit)| *of == Quantity::Answer || *limit <= 1e-12);
    assert!(comparison.steps.iter().all(limits), "{comparison:?}");
}

/// A step that is judged from the reference's carry alone is judged on a step graph.
#[test]
fn a_step_may_start_from_the_recorded_carry() {
    let (golden, subject) = golden("maze_learned");
    let mut session = step_session(&TractEngine, &golden, &subject);
    let mut judge = golden.judge().expect("a section").clone();
    judge.steps.retain(|row| row.step != 2 || row.from == Start::Recorded);
    let golden = golden.with_judge(judge.clone()).expect("a golden");
    let comparison = compare_step(session.as_mut(), &golden, &Scope::default()).expect("it runs");
    assert_eq!(comparison.outcome, Outcome::Passed, "{comparison:?}");
    assert_eq!((comparison.steps[2].step, comparison.steps[2].start), (2, Start::Recorded));
    judge.steps.push(JudgedStep { step: 4, from: Start::Recorded, ..JudgedStep::default() });
    let golden = golden.with_judge(judge).expect("a golden");
    let comparison = compare_step(session.as_mut(), &golden, &Scope::default()).expect("it runs");
    assert_eq!(comparison.not_judged, ["step 4 is to start from a recorded carry, and there is none"]);
}
