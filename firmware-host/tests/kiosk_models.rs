//! Models swapped at run time: activated, kept, refused, rolled back. With the shipped bundles, and copies of them.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use trm_firmware_host::kiosk::models::ModelStore;
use trm_intake::explained;
use trm_models::ModelBundle;

static NEVER: AtomicBool = AtomicBool::new(false);

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

#[expect(clippy::unnecessary_wraps, reason = "a self-test can fail")]
fn passes(_: &ModelBundle) -> Result<(), String> {
    Ok(())
}

/// A copy of a shipped bundle, another one by its manifest's bytes.
fn variant(to: &Path, name: &str, remark: &str) -> PathBuf {
    let (from, folder) = (shipped(name), to.join(format!("{name}-{remark}")));
    fs::create_dir(&folder).unwrap();
    let bundle = ModelBundle::open(&from).unwrap();
    for file in bundle.manifest().file_names() {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(from.join("manifest.json")).unwrap()).unwrap();
    manifest["training_data"] = remark.into();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

fn bundles(state: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(state.join("models"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| state.join("models").join(name).join("manifest.json").is_file())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_checked_tested_activated_and_the_one_before_kept() {
    let (state, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = ModelStore::open(state.path()).unwrap();
    assert!(store.active().unwrap().folders.is_empty());

    let tested = Cell::new(0);
    let self_test = |bundle: &ModelBundle| {
        // What is tested is the copy, not the source, which may change.
        assert!(bundle.folder().unwrap().starts_with(state.path()));
        bundle.self_test().unwrap();
        tested.set(tested.get() + 1);
        Ok(())
    };
    let [first, second, third] = ["first", "second", "third"].map(|remark| variant(source.path(), "sudoku-4", remark));
    let first = store.activate(&first, &self_test, &NEVER).unwrap();
    assert_eq!((first.task.as_str(), &first.previous), ("sudoku-4x4", &None));
    let second = store.activate(&second, &self_test, &NEVER).unwrap();
    assert_eq!(second.previous.as_ref(), Some(&first.bundle));
    assert_eq!(tested.get(), 2);
    // Another task has a place of its own.
    let maze = store.activate(&shipped("maze-9"), &self_test, &NEVER).unwrap();
    assert_eq!(maze.task, "maze-9x9");
    let active = store.active().unwrap();
    assert_eq!(active.folders.keys().collect::<Vec<_>>(), ["maze-9x9", "sudoku-4x4"]);
    assert_eq!(active.folders["sudoku-4x4"], state.path().join("models").join(&second.bundle));

    // The third one drives out the first.
    let third = store.activate(&third, &self_test, &NEVER).unwrap();
    let mut expected = vec![maze.bundle, second.bundle.clone(), third.bundle.clone()];
    expected.sort();
    assert_eq!(bundles(state.path()), expected);
    // The source is not needed any more.
    fs::remove_dir_all(source.path()).unwrap();
    assert_eq!(store.roll_back("sudoku-4x4").unwrap(), Some(second.bundle));
    assert_eq!(store.roll_back("sudoku-4x4").unwrap(), None, "back to the built-in one");
    let message = explained(&store.roll_back("sudoku-4x4").unwrap_err());
    assert!(message.contains("no model was activated for sudoku-4x4") && message.contains("hint: there are maze-9x9"));
    assert!(!bundles(state.path()).contains(&third.bundle));
}

#[test]
fn a_bundle_that_is_damaged_or_fails_its_self_test_changes_nothing() {
    let (state, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = ModelStore::open(state.path()).unwrap();
    let good = store.activate(&shipped("sudoku-4"), &passes, &NEVER).unwrap();
    let before = store.active().unwrap();

    let damaged = variant(source.path(), "sudoku-4", "damaged");
    let graph = damaged.join("step.onnx");
    let mut bytes = fs::read(&graph).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&graph, &bytes).unwrap();
    let message = explained(&store.activate(&damaged, &passes, &NEVER).unwrap_err());
    assert!(message.contains("not activated: ") && message.contains("file step.onnx is damaged"), "{message}");

    fs::remove_file(&graph).unwrap();
    let message = explained(&store.activate(&damaged, &passes, &NEVER).unwrap_err());
    assert!(message.contains("step.onnx"), "{message}");

    let failing = variant(source.path(), "sudoku-4", "failing");
    let fails = |_: &ModelBundle| Err("step 2: cell 5 is 3, expected 4".to_owned());
    let message = explained(&store.activate(&failing, &fails, &NEVER).unwrap_err());
    assert!(message.contains("its self-test failed: step 2: cell 5 is 3, expected 4\nhint: "), "{message}");

    let message = explained(&store.activate(source.path(), &passes, &NEVER).unwrap_err());
    assert!(message.contains("not a model bundle"), "{message}");
    assert_eq!(store.active().unwrap(), before);
    assert_eq!(bundles(state.path()), [good.bundle]);
}

#[test]
fn incoming_bundles_are_taken_and_bad_ones_set_aside() {
    let state = tempfile::tempdir().unwrap();
    let store = ModelStore::open(state.path()).unwrap();
    let incoming = state.path().join("models/incoming");
    variant(&incoming, "sudoku-6", "good");
    fs::write(variant(&incoming, "sudoku-4", "bad").join("step.onnx"), "x").unwrap();
    fs::rename(variant(&incoming, "maze-9", "unfinished"), incoming.join(".maze-9")).unwrap();
    let mut remarks = Vec::new();
    let activated = store.take_incoming(&passes, &NEVER, &mut remarks).unwrap();
    assert_eq!(activated.iter().map(|one| one.task.as_str()).collect::<Vec<_>>(), ["sudoku-6x6"]);
    assert_eq!(remarks.len(), 2, "{remarks:?}");
    let left: Vec<_> = fs::read_dir(&incoming).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".maze-9"], "what is still being copied stays");
    let reason = fs::read_to_string(state.path().join("models/refused/sudoku-4-bad/REASON.txt")).unwrap();
    assert!(reason.contains("file step.onnx is damaged"), "{reason}");
    assert_eq!(store.take_incoming(&passes, &NEVER, &mut remarks).unwrap(), []);
}

#[test]
fn a_start_rolls_back_what_does_not_work_any_more() {
    let (state, source) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = ModelStore::open(state.path()).unwrap();
    let [first, second] = ["first", "second"]
        .map(|remark| store.activate(&variant(source.path(), "sudoku-4", remark), &passes, &NEVER).unwrap().bundle);
    fs::write(state.path().join("models").join(&second).join("step.onnx"), "flipped").unwrap();
    let mut remarks = Vec::new();
    let active = store.check(&passes, &NEVER, &mut remarks).unwrap();
    assert_eq!(active.folders["sudoku-4x4"], state.path().join("models").join(&first));
    assert!(remarks[0].contains("step.onnx is damaged") && remarks[0].contains(&first), "{remarks:?}");
    // Nothing left that works: the built-in model.
    let active = store.check(&|_: &ModelBundle| Err("NaN".to_owned()), &NEVER, &mut remarks).unwrap();
    assert!(active.folders.is_empty());
    assert!(remarks[1].ends_with("went back to the built-in model"), "{remarks:?}");

    fs::write(state.path().join("models/active.json"), r#"{"tasks":{"x":{"active":"../evil","previous":null}}}"#)
        .unwrap();
    let message = explained(&store.active().unwrap_err());
    assert!(message.contains("`../evil` is not the name of a folder beside it\nhint: "), "{message}");
}

#[test]
#[cfg(unix)]
fn nothing_is_written_through_a_link_in_incoming() {
    use std::os::unix::fs::symlink;

    let (state, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = ModelStore::open(state.path()).unwrap();
    let incoming = state.path().join("models/incoming");
    symlink(elsewhere.path(), incoming.join("link")).unwrap();
    let bad = variant(&incoming, "sudoku-4", "bad");
    symlink(elsewhere.path().join("made"), bad.join("REASON.txt")).unwrap();
    let mut remarks = Vec::new();
    assert_eq!(store.take_incoming(&passes, &NEVER, &mut remarks).unwrap(), []);
    assert!(remarks.len() == 1 && remarks[0].contains("REASON.txt is not in the manifest"), "{remarks:?}");
    let reason = state.path().join("models/refused/sudoku-4-bad/REASON.txt");
    assert!(reason.symlink_metadata().unwrap().is_file());
    assert!(fs::read_dir(elsewhere.path()).unwrap().next().is_none());
}
