#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trm_intake::explained;

use super::*;

/// Names the folder for a writer in a process of its own.
const WRITER: &str = "TRM_TEST_CHECKPOINT_WRITER";

/// A checkpoint that knows its step in every tensor, `size` numbers each.
fn checkpoint(step: u64, size: usize) -> Checkpoint {
    let tensor = |offset: f32| NamedTensor { shape: vec![size], data: vec![step as f32 + offset; size] };
    let named = |name: &str, offset| (name.to_owned(), tensor(offset));
    let slot = Slot { index: step, steps: 2, cap: 16 };
    Checkpoint {
        state: RunState {
            step,
            samples: 32 * step,
            next_index: 7 * step,
            examples_finished: step,
            train_seconds: 1.5,
            best: Some(Best { step, exact: 0.5, valid: None, n: 10 }),
            groups: vec![vec![Some(slot), None]],
            ..RunState::default()
        },
        tensors: TrainState {
            weights: [named("a", 0.0), named("b", 0.25)].into(),
            moments: [named("a.m", 0.5), named("a.v", 0.75)].into(),
            ema: [named("a", 0.125)].into(),
        },
        carry: Some([tensor(0.0), tensor(0.5)]),
    }
}

fn new_run(dir: &Path) -> RunFolder {
    RunFolder::create(dir, &TrainConfig::preset("sudoku-4").expect("a preset")).expect("a new run")
}

/// This test again, in another process, as a writer; `limit` is the shell's limit on file sizes, in blocks.
fn spawn_writer(test: &str, dir: &Path, limit: Option<u32>) -> Child {
    let program = std::env::current_exe().expect("this program");
    let limit = limit.map_or(String::new(), |blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
    Command::new("sh")
        .args(["-c", &format!("{limit}exec \"$0\" --exact {test}")])
        .arg(program)
        .env(WRITER, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a writer")
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = new_run(dir.path());
    let text = explained(&run.read().expect_err("empty"));
    assert!(text.contains("no checkpoint in this folder\nhint: "), "{text}");
    assert!(run.read_best().expect("none yet").is_none());
    for step in 1..4 {
        run.write(&checkpoint(step, 100)).expect("written");
        let loaded = run.read().expect("readable");
        assert_eq!((loaded.checkpoint, loaded.warnings.len()), (checkpoint(step, 100), 0));
    }
    let small = Checkpoint { carry: None, tensors: TrainState::default(), ..checkpoint(4, 1) };
    run.write(&small).expect("written");
    assert_eq!(run.read().expect("readable").checkpoint, small);
    assert_eq!(read_files(&run.path("checkpoint.previous")).expect("kept"), checkpoint(3, 100));

    let best = checkpoint(9, 10);
    run.write_best(&best.state, &best.tensors.ema).expect("written");
    run.write_best(&best.state, &best.tensors.weights).expect("written again");
    let loaded = run.read_best().expect("readable").expect("there").checkpoint;
    assert_eq!((loaded.state.step, loaded.tensors.weights), (9, best.tensors.weights));

    let config = TrainConfig::preset("sudoku-4").expect("a preset");
    let text = explained(&RunFolder::create(dir.path(), &config).expect_err("a run is there"));
    assert!(text.contains("a run is there already\nhint: pass --resume"), "{text}");
    assert_eq!(RunFolder::open(dir.path()).expect("a run").1, config);
    let text = explained(&RunFolder::open(&dir.path().join("best")).expect_err("no run"));
    assert!(text.contains("no run in this folder: there is no config.toml\nhint: "), "{text}");
}

#[test]
fn every_crash_point_of_the_swap_is_recovered() {
    let dir = tempfile::tempdir().expect("a folder");
    let run = new_run(dir.path());
    run.write(&checkpoint(1, 10)).expect("written");
    run.write(&checkpoint(2, 10)).expect("written");
    let (current, previous) = (run.path("checkpoint"), run.path("checkpoint.previous"));
    // Killed while writing: no checksums yet.
    let staging = run.path("checkpoint.tmp-1");
    write_files(&staging, &checkpoint(3, 10)).expect("written");
    fs::rename(staging.join(SUMS), dir.path().join("kept")).expect("taken away");
    assert_eq!(run.read().expect("whole").checkpoint.state.step, 2);
    fs::rename(dir.path().join("kept"), staging.join(SUMS)).expect("back");
    assert_eq!(run.read().expect("whole").checkpoint.state.step, 2, "not yet in place");
    // Killed between the two renames.
    fs::remove_dir_all(&previous).expect("removed");
    fs::rename(&current, &previous).expect("renamed");
    assert_eq!(run.read().expect("whole").checkpoint.state.step, 3);
    assert!(current.is_dir() && !staging.exists(), "put in place");
    // Only the previous one is left.
    fs::remove_dir_all(&current).expect("removed");
    assert_eq!(run.read().expect("whole").checkpoint.state.step, 2);
    run.write(&checkpoint(4, 10)).expect("written");
    assert_eq!(run.read().expect("whole").checkpoint.state.step, 4);
}

#[test]
fn a_damaged_file_is_named_and_the_previous_checkpoint_used() {
    for name in TENSOR_FILES.into_iter().chain([STATE, SUMS]) {
        for cut in [false, true] {
            let dir = tempfile::tempdir().expect("a folder");
            let run = new_run(dir.path());
            run.write(&checkpoint(1, 10)).expect("written");
            let damage = |folder: &str| {
                let path = run.path(folder).join(name);
                let mut bytes = fs::read(&path).expect("readable");
                if cut {
                    bytes.truncate(bytes.len() / 2);
                } else {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                }
                fs::write(&path, bytes).expect("writable");
            };
            damage("checkpoint");
            let text = explained(&run.read().expect_err("the only one"));
            // A wrong checksum shows in the file it is for.
            assert!(text.contains(name) || name == SUMS, "{text}");
            assert!(text.contains("hint: the file was changed or cut off after it was written"), "{text}");
            run.write(&checkpoint(2, 10)).expect("written");
            run.write(&checkpoint(3, 10)).expect("written");
            damage("checkpoint");
            let loaded = run.read().expect("the previous one");
            assert_eq!(loaded.checkpoint, checkpoint(2, 10));
            assert_eq!(loaded.warnings.len(), 1);
            assert!(loaded.warnings[0].contains("checkpoint.previous, step 2"), "{}", loaded.warnings[0]);
        }
    }
}

#[test]
fn thirty_killed_writers_lose_nothing() {
    const TEST: &str = "run::tests::thirty_killed_writers_lose_nothing";
    if let Some(dir) = std::env::var_os(WRITER) {
        let run = RunFolder { dir: dir.into(), lock: None };
        let first = run.read().map_or(0, |loaded| loaded.checkpoint.state.step);
        for step in first + 1.. {
            run.write(&checkpoint(step, 20_000)).expect("written");
        }
    }
    let dir = tempfile::tempdir().expect("a folder");
    let run = new_run(dir.path());
    let (mut last, mut interrupted) = (0, 0);
    run.write(&checkpoint(0, 20_000)).expect("written");
    for kill in 0_u64..30 {
        let sums = || fs::read(run.path(CHECKPOINT).join(SUMS)).ok();
        let before = sums();
        let mut writer = spawn_writer(TEST, dir.path(), None);
        let deadline = Instant::now() + Duration::from_mins(1);
        while sums() == before {
            assert!(Instant::now() < deadline, "the writer does not write");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros((kill * 7_919) % 20_000));
        writer.kill().expect("SIGKILL");
        writer.wait().expect("gone");
        interrupted += u32::from(!run.staged(CHECKPOINT).is_empty() || !run.path(CHECKPOINT).is_dir());
        let loaded = run.read().expect("a whole checkpoint");
        let step = loaded.checkpoint.state.step;
        assert_eq!(loaded.checkpoint, checkpoint(step, 20_000), "kill {kill}");
        assert!(loaded.warnings.is_empty(), "kill {kill}: {:?}", loaded.warnings);
        assert!(step >= last, "kill {kill}: step {step} after {last}");
        last = step;
    }
    assert!(last >= 30, "the writers wrote {last} checkpoints");
    assert!(interrupted > 0, "no kill hit a writer at work");
}

#[test]
fn a_write_that_fails_leaves_the_old_checkpoint() {
    const TEST: &str = "run::tests::a_write_that_fails_leaves_the_old_checkpoint";
    if let Some(dir) = std::env::var_os(WRITER) {
        let run = RunFolder { dir: dir.into(), lock: None };
        let text = explained(&run.write(&checkpoint(2, 100_000)).expect_err("too large"));
        assert!(text.starts_with("cannot write ") && text.ends_with("weights.safetensors"), "{text}");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let run = new_run(dir.path());
    run.write(&checkpoint(1, 100)).expect("written");
    // 800 kB of weights, and no file may have more than 64 blocks: the write fails halfway, as on a full disk.
    let status = spawn_writer(TEST, dir.path(), Some(64)).wait().expect("ends");
    assert!(status.success(), "{status}");
    assert_eq!(run.read().expect("whole").checkpoint, checkpoint(1, 100));
    assert!(run.staged(CHECKPOINT).is_empty(), "what was half written is gone");
}
