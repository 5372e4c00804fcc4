//! `trm train` as a user runs it: start, result, bad input, fine-tuning, and being killed.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use trm_puzzles::{Generate, Sudoku, SudokuGenerator, seeded};
use trm_solver::Model;
use trm_train::run::RunFolder;

/// A network that takes a second to train for nothing.
const SMALL: [&str; 10] = [
    "--set",
    "model.puzzle_emb_ndim=32",
    "--set",
    "model.hidden_size=32",
    "--set",
    "batch.size=8",
    "--set",
    "batch.groups=2",
    "--set",
    "evaluation.puzzles=20",
];

fn trm() -> Command {
    assert!(
        std::env::var_os("ORT_DYLIB_PATH").is_some(),
        "training needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`"
    );
    Command::new(env!("CARGO_BIN_EXE_trm"))
}

fn train(out: &Path, arguments: &[&str]) -> Output {
    trm().arg("train").arg("--out").arg(out).args(["--threads", "1"]).args(arguments).output().expect("trm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs to the end and returns the JSON result.
fn done(out: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = train(out, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Returns the message of a refusal, which ends with exit code 2.
fn refused(out: &Path, arguments: &[&str]) -> String {
    let output = train(out, arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty());
    text(&output.stderr)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn small(steps: &'static str) -> Vec<&'static str> {
    let mut arguments = vec!["--task", "sudoku-4", "--set", steps];
    arguments.extend(SMALL);
    arguments
}

/// A file of 4x4 sudokus with answers.
fn puzzles(dir: &Path, count: usize) -> PathBuf {
    let generator = SudokuGenerator::easy(Sudoku::with_side(4).expect("4x4")).expect("a generator");
    let mut rng = seeded(77);
    let lines = (0..count).map(|_| {
        let example = generator.generate(&mut rng).expect("a puzzle");
        let digits = |grid: &trm_puzzles::Grid| grid.cells().iter().map(u8::to_string).collect::<String>();
        format!("{{\"puzzle\": \"{}\", \"answer\": \"{}\"}}\n", digits(&example.puzzle), digits(&example.solution))
    });
    let path = dir.join("my.jsonl");
    std::fs::write(&path, lines.collect::<String>()).expect("writable");
    path
}

#[test]
fn a_run_ends_in_a_bundle_and_can_go_on() {
    let dir = folder();
    let out = dir.path().join("run");
    let mut arguments = small("schedule.steps=20");
    arguments.extend(["--set", "evaluation.every=10"]);
    let result = done(&out, &arguments);
    assert_eq!((result["end"].as_str(), result["step"].as_u64()), (Some("finished"), Some(20)), "{result}");
    assert_eq!((result["n"].as_u64(), result["samples"].as_u64()), (Some(20), Some(160)), "{result}");
    assert!(result["exact"].as_f64().is_some_and(|exact| (0.0..=1.0).contains(&exact)), "{result}");
    let model = Model::open(&out.join("model").display().to_string()).expect("a bundle");
    model.bundle().verify().expect("whole");
    assert_eq!((model.name(), model.config().hidden_size), ("sudoku-4", 32));
    for file in ["config.toml", "log.jsonl", "curves.svg", "curves.png", "checkpoint/SHA256SUMS"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    // A folder with a run in it is not begun again, and goes on when asked.
    let error = refused(&out, &arguments);
    assert!(error.contains("a run is there already\nhint: pass --resume"), "{error}");
    let result = done(&out, &["--resume", "--set", "schedule.steps=25"]);
    assert_eq!(result["step"].as_u64(), Some(25), "{result}");
    // A damaged log is no reason to stop.
    let log = std::fs::read_to_string(out.join("log.jsonl")).expect("a log");
    let damaged = log.replacen('\n', "\nhello\n", 1);
    std::fs::write(out.join("log.jsonl"), &damaged).expect("writable");
    let output = train(&out, &["--resume", "--set", "schedule.steps=27"]);
    let errors = text(&output.stderr);
    assert!(
        output.status.success() && errors.contains("warning: ") && errors.contains("line 2 is no record"),
        "{errors}"
    );
    assert_eq!(std::fs::read_to_string(out.join("log.jsonl.damaged")).expect("kept"), damaged);
    let result = done(&out, &["--resume", "--set", "schedule.steps=28"]);
    assert_eq!(result["step"].as_u64(), Some(28), "{result}");
    // What was changed is part of the run: the next --resume has nothing left to do.
    let result = done(&out, &["--resume"]);
    assert_eq!(result["step"].as_u64(), Some(28), "{result}");
}

#[test]
fn bad_data_and_settings_are_named() {
    let dir = folder();
    let out = dir.path().join("run");
    let file = puzzles(dir.path(), 12);
    let lines = std::fs::read_to_string(&file).expect("readable");
    let with = |change: &dyn Fn(&str) -> String| {
        std::fs::write(&file, change(&lines)).expect("writable");
        let mut arguments = small("schedule.steps=5");
        let data = file.display().to_string();
        arguments.extend(["--data", &data]);
        refused(&out, &arguments)
    };
    let third = |line: &str| {
        let mut all: Vec<_> = lines.lines().map(str::to_owned).collect();
        line.clone_into(&mut all[2]);
        all.join("\n")
    };
    let error = with(&|_| third("{\"puzzle\": "));
    assert!(error.contains("my.jsonl:3"), "{error}");
    let error = with(&|_| third("{\"puzzle\": \"1234\", \"answer\": \"1234\"}"));
    assert!(error.contains("my.jsonl:3") && error.contains("1 of 4 rows"), "{error}");
    let error = with(&|_| third("{\"puzzle\": \"1000000000000000\", \"answer\": \"1111111111111111\"}"));
    assert!(error.contains("breaks the rule") && error.contains("hint: correct the answer"), "{error}");
    let error = refused(&out, &["--task", "sudoku-7"]);
    assert!(error.contains("sudoku-7") && error.contains("hint: "), "{error}");
    let error = refused(&out, &["--task", "sudoku-4", "--set", "optimizer.lr=-1"]);
    assert!(error.contains("optimizer.lr is -1"), "{error}");
    assert!(refused(&out, &[]).contains("nothing to train\nhint: "));
    assert!(refused(&dir.path().join("nothing"), &["--resume"]).contains("no run in this folder"));
    assert!(!out.join("model").exists() && !out.join("checkpoint").exists());
}

#[test]
fn fine_tuning_compares_before_and_after() {
    let dir = folder();
    let (base, tuned) = (dir.path().join("base"), dir.path().join("tuned"));
    done(&base, &small("schedule.steps=10"));
    let data = puzzles(dir.path(), 60).display().to_string();
    let model = base.join("model").display().to_string();
    let arguments = ["--from", &model, "--data", &data, "--set", "schedule.steps=10", "--set", "batch.size=8"];
    let freeze = ["--freeze", "embed_tokens", "--set", "evaluation.puzzles=20"];
    let result = done(&tuned, &[&arguments[..], &freeze, &["--keep"]].concat());
    let compared = result["compared"].as_array().expect("a table");
    let names: Vec<_> = compared.iter().map(|set| set["puzzles"].as_str().expect("a name")).collect();
    assert_eq!(names, ["old", "new"]);
    for set in compared {
        for side in ["before", "after"] {
            assert!(set[side]["n"].as_u64().is_some_and(|n| n > 0), "{result}");
        }
    }
    let run = RunFolder::open(&tuned).expect("a run").0.read().expect("a checkpoint").checkpoint;
    let start = RunFolder::open(&base).expect("a run").0;
    let start = start.read_best().expect("readable").expect("weights").checkpoint.tensors.weights;
    let table = "embed_tokens.embedding_weight";
    assert_eq!(run.tensors.weights[table], start[table], "it was to stay as it is");
    assert_ne!(run.tensors.weights["lm_head.weight"], start["lm_head.weight"]);
    // An untrained network is no better after ten updates: without --keep there is no bundle.
    let other = dir.path().join("other");
    let result = done(&other, &[&arguments[..], &freeze, &["--set", "optimizer.lr=1e-9"]].concat());
    assert!(result["bundle"].is_null() && !other.join("model").exists(), "{result}");
    let error = refused(&dir.path().join("none"), &["--from", &model, "--freeze", "no_such"]);
    assert!(error.contains("no parameter's name begins with `no_such`"), "{error}");
}

/// The public data-set format, with real mazes of 30x30: a run, its evaluation on the part set aside, a bundle.
#[test]
fn public_data_sets_are_trained_on() {
    let dir = folder();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../puzzles/tests/fixtures/maze_hard/train");
    let settings = |data: &Path| {
        let file = dir.path().join("run.toml");
        let text = format!(
            "name = \"maze-30\"\ntask = \"maze-30\"\n[model]\nhidden_size = 16\npuzzle_emb_ndim = 16\nnum_heads = 1\n\
             mlp_t = false\npos_encodings = \"rope\"\nH_cycles = 1\nL_cycles = 1\nhalt_max_steps = 2\n\
             [schedule]\nsteps = 3\n[batch]\nsize = 2\ngroups = 2\nvisits = [[0, 2]]\n[[data]]\ndataset = {data:?}\n\
             [evaluation]\nevery = 3\npuzzles = 4\nheld_out = 0.3\n"
        );
        std::fs::write(&file, text).expect("writable");
        file.display().to_string()
    };
    let out = dir.path().join("run");
    let result = done(&out, &[&settings(&data)]);
    assert_eq!((result["step"].as_u64(), result["samples"].as_u64()), (Some(3), Some(6)), "{result}");
    assert!(result["n"].as_u64().is_some_and(|n| (1..=3).contains(&n)), "three of ten, of 8 puzzles: {result}");
    let model = Model::open(&out.join("model").display().to_string()).expect("a bundle");
    assert_eq!((model.config().seq_len, model.task().name()), (900, "maze"));
    let error = refused(&dir.path().join("none"), &[&settings(&data.join("nowhere"))]);
    assert!(error.contains("nowhere"), "{error}");
}

/// kill -9 at 30 moments of a run that saves after every update: it always goes on, and never from further back than it was.
#[test]
fn a_killed_run_goes_on() {
    let dir = folder();
    let out = dir.path().join("run");
    let settings = ["--set", "checkpoint.every=1", "--set", "evaluation.every=7", "--set", "log.every=1"];
    let mut start = small("schedule.steps=100000");
    start.extend(settings);
    let mut before = 0;
    for kill in 0..30_u64 {
        let begun = RunFolder::open(&out).is_ok_and(|(folder, _)| folder.has_checkpoint());
        let arguments = if begun { vec!["--resume"] } else { start.clone() };
        let mut child = trm()
            .arg("train")
            .arg("--out")
            .arg(&out)
            .args(["--threads", "1"])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("trm starts");
        // Spread over start, first updates and the middle of the run.
        std::thread::sleep(Duration::from_millis(150 + kill * 7919 % 1300));
        child.kill().expect("killed");
        child.wait().expect("gone");
        if let Ok((folder, _)) = RunFolder::open(&out)
            && folder.has_checkpoint()
        {
            let step = folder.read().unwrap_or_else(|error| panic!("kill {kill}: {error}")).checkpoint.state.step;
            assert!(step >= before, "kill {kill}: step {step} after {before}");
            before = step;
        }
    }
    assert!(before > 20, "only {before} updates were ever saved");
    let last = before.to_string();
    let result = done(&out, &["--resume", "--set", &format!("schedule.steps={}", before + 3)]);
    assert_eq!(result["step"].as_u64(), Some(before + 3), "from step {last}: {result}");
}

/// A second trainer is refused, whether it resumes or begins, and disturbs nothing.
#[test]
fn a_folder_has_one_trainer_at_a_time() {
    let dir = folder();
    let out = dir.path().join("run");
    let mut arguments = small("schedule.steps=100000");
    arguments.extend(["--set", "checkpoint.every=1", "--set", "evaluation.every=0"]);
    let mut first = trm();
    first.arg("train").arg("--out").arg(&out).args(["--threads", "1"]).args(&arguments);
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("trm starts");
    let saved = || RunFolder::open(&out).is_ok_and(|(folder, _)| folder.has_checkpoint());
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while !saved() {
        assert!(std::time::Instant::now() < deadline, "it never saves anything");
        std::thread::sleep(Duration::from_millis(20));
    }
    let expected =
        format!("error: {}: another trainer is at work in this folder (process {})", out.display(), first.id());
    let errors = refused(&out, &["--resume"]);
    assert!(errors.contains(&expected), "{errors}");
    assert!(refused(&out, &arguments).contains("a run is there already"));
    assert!(first.try_wait().expect("a child").is_none(), "the first one goes on");
    first.kill().expect("killed");
    first.wait().expect("gone");
    // Whoever is killed lets go of the folder.
    let (folder, _) = RunFolder::open(&out).expect("a run");
    let step = folder.read().expect("a checkpoint").checkpoint.state.step;
    let result = done(&out, &["--resume", "--set", &format!("schedule.steps={}", step + 2)]);
    assert_eq!(result["step"].as_u64(), Some(step + 2));
}

#[test]
fn a_damaged_checkpoint_falls_back_on_the_one_before() {
    let dir = folder();
    let out = dir.path().join("run");
    let mut arguments = small("schedule.steps=6");
    arguments.extend(["--set", "checkpoint.every=2", "--set", "evaluation.every=0"]);
    done(&out, &arguments);
    let file = std::fs::read_dir(out.join("checkpoint"))
        .expect("a checkpoint")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        .expect("tensors");
    let mut bytes = std::fs::read(&file).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("writable");
    let output = train(&out, &["--resume", "--set", "schedule.steps=7", "--json"]);
    let errors = text(&output.stderr);
    assert!(output.status.success() && errors.contains("warning: "), "{errors}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["step"].as_u64(), Some(7));
}

/// A disk that fills up under a run, a tmpfs of 12 MiB: the run ends with what is wrong and what to do, and goes on when there
/// is room again.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=12m none "$DISK" || exit 99
        cd "$DISK"
        "$TRM" train --task sudoku-4 --out run $ARGUMENTS --set schedule.steps=20 >/dev/null || exit 98
        head -c 16777216 /dev/zero >fill 2>/dev/null
        "$TRM" train --out run --resume --threads 1 --set schedule.steps=40
        echo "code $?"
        ls run
        rm fill
        "$TRM" train --out run --resume --threads 1 --set schedule.steps=40 --json
    "#;
    let disk = folder();
    let arguments = "--threads 1 --set checkpoint.every=5 --set evaluation.every=0 --set batch.groups=2";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", SCRIPT])
        .env("DISK", disk.path())
        .env("TRM", trm().get_program())
        .env("ARGUMENTS", arguments)
        .output()
        .expect("unshare, of util-linux");
    let (errors, said) = (text(&output.stderr), text(&output.stdout));
    assert!(output.status.success(), "this test needs user namespaces, or root: {}\n{errors}\n{said}", output.status);
    assert!(errors.contains("No space left on device"), "{errors}");
    assert!(errors.contains("hint: free some space and try again; what was written before is whole"), "{errors}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "code 2", "{said}");
    assert!(lines.contains(&"checkpoint") && !said.contains("checkpoint.tmp"), "left behind: {said}");
    let result: serde_json::Value = serde_json::from_str(lines.last().expect("a result")).expect("JSON");
    assert_eq!((result["end"].as_str(), result["step"].as_u64()), (Some("finished"), Some(40)), "{result}");
}

/// `--max-memory` holds what the process takes, and says so when it cannot.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_below_the_limit() {
    let dir = folder();
    let peak = |out: &str, limit: &str| {
        let settings =
            ["--task", "maze-15", "--max-memory", limit, "--set", "schedule.steps=6", "--set", "batch.groups=2"];
        let mut child = trm()
            .arg("train")
            .arg("--out")
            .arg(dir.path().join(out))
            .args(["--threads", "2", "--set", "evaluation.puzzles=32"])
            .args(settings)
            .stdout(Stdio::null())
            .spawn()
            .expect("trm starts");
        // The most that the process ever held, as Linux records it.
        let (status, mut kib) = (format!("/proc/{}/status", child.id()), 0_usize);
        while child.try_wait().expect("a child").is_none() {
            let now = std::fs::read_to_string(&status).unwrap_or_default();
            let line = now.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let value = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok());
            kib = kib.max(value.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(child.wait().expect("a child").success(), "{out}");
        kib / 1024
    };
    let (free, limited) = (peak("free", "0"), peak("limited", "330"));
    assert!(limited <= 330 && limited > 0, "{limited} MiB, allowed 330");
    assert!(free > limited, "{free} MiB without a limit: the limit limited nothing");
    let error = refused(&dir.path().join("none"), &["--task", "maze-15", "--max-memory", "100"]);
    assert!(error.contains("MiB even one row at a time on one thread, the limit is 100 MiB"), "{error}");
    assert!(error.contains("hint: fewer carry groups (batch.groups)"), "{error}");
}
