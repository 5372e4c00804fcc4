//! Models that are made to harm whoever tests them: the tester dies, the kiosk does not, and the model is set aside.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(unix)]

mod fakes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fakes::{Kind, Shared, child, child_argument, parts, settings};
use prost::Message as _;
use trm_export::onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorProto, attribute_type};
use trm_firmware_host::kiosk::models::{ModelStore, NotPassed, SelfTest};
use trm_firmware_host::kiosk::tester::{ChildTest, TestLimits};
use trm_firmware_host::kiosk::{Kiosk, Metrics};
use trm_models::{BundleWriter, GraphKind, ModelBundle, SELF_TEST, TrustedKey};

static NEVER: AtomicBool = AtomicBool::new(false);
const STATE: &str = "TEST_STATE";
const TESTER: [&str; 2] = ["model", "self-test"];

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(name)
}

// hostile graphs

fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: input.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: op.to_owned(),
        name: format!("harmful.{output}"),
        ..NodeProto::default()
    }
}

fn constant(name: &str, data_type: i32, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto { dims: dims.to_vec(), data_type, name: name.to_owned(), raw_data, ..TensorProto::default() }
}

fn shape(name: &str, sizes: &[i64]) -> TensorProto {
    constant(name, 7, &[sizes.len() as i64], sizes.iter().flat_map(|size| size.to_le_bytes()).collect())
}

/// The sum of all elements of a value.
fn sum(input: &str, output: &str) -> NodeProto {
    let keep =
        AttributeProto { name: "keepdims".into(), i: 0, r#type: attribute_type::INT, ..AttributeProto::default() };
    NodeProto { attribute: vec![keep], ..node("ReduceSum", &[input], output) }
}

/// The shipped model, whose halting signal is added to by nodes that end in the value `harm`.
fn hostile(to: &Path, nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> PathBuf {
    let shipped = ModelBundle::open(shipped("sudoku-4")).unwrap();
    let mut model = ModelProto::decode(&*shipped.graph_bytes(GraphKind::Step).unwrap()).unwrap();
    let graph = model.graph.as_mut().unwrap();
    for name in graph.node.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output)) {
        if name == "q_halt" {
            name.push_str(".inner");
        }
    }
    graph.node.extend(nodes);
    graph.node.push(node("Add", &["q_halt.inner", "harm"], "q_halt"));
    graph.initializer.extend(constants);
    let mut writer = BundleWriter::create(to, false).unwrap();
    writer.add_graph(GraphKind::Step, &model.encode_to_vec(), 17, None).unwrap();
    writer.add_file(SELF_TEST, &shipped.file(SELF_TEST).unwrap()).unwrap();
    let mut manifest = shipped.manifest().clone();
    manifest.name = to.file_name().unwrap().to_string_lossy().into_owned();
    writer.finish(manifest).unwrap();
    to.to_owned()
}

/// 20,000 products of matrices that depend on the puzzle, 16 billion operations each: weeks.
fn endless(to: &Path) -> PathBuf {
    let mut nodes = vec![node("Expand", &["q_halt.inner", "large"], "x0")];
    nodes.extend((0..20_000).map(|i| node("MatMul", &[&format!("x{i}"), &format!("x{i}")], &format!("x{}", i + 1))));
    nodes.push(sum("x20000", "harm"));
    hostile(to, nodes, vec![shape("large", &[2_000, 2_000])])
}

/// 4 TiB of ones.
fn boundless(to: &Path) -> PathBuf {
    let nodes = vec![node("Expand", &["q_halt.inner", "huge"], "x"), sum("x", "harm")];
    hostile(to, nodes, vec![shape("huge", &[1 << 20, 1 << 20])])
}

/// Memory that grows: each of a thousand tensors of 64 MiB is needed to the end.
fn growing(to: &Path) -> PathBuf {
    let mut nodes = vec![node("Expand", &["q_halt.inner", "large"], "x0")];
    let names: Vec<String> = (0..1_000).map(|i| format!("x{i}")).collect();
    nodes.extend((1..1_000).map(|i| node("Sigmoid", &[&names[i - 1]], &names[i])));
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let axis = AttributeProto { name: "axis".into(), i: 0, r#type: attribute_type::INT, ..AttributeProto::default() };
    nodes.push(NodeProto { attribute: vec![axis], ..node("Concat", &all, "all") });
    nodes.push(sum("all", "harm"));
    hostile(to, nodes, vec![shape("large", &[4_096, 4_096])])
}

/// A constant whose size is no number of bytes at all.
fn absurd(to: &Path) -> PathBuf {
    hostile(to, vec![sum("x", "harm")], vec![constant("x", 1, &[i64::MAX, i64::MAX], vec![0; 3])])
}

fn tester(limits: TestLimits) -> ChildTest {
    ChildTest::new(env!("CARGO_BIN_EXE_trm-host").into(), TESTER, limits, Vec::new())
}

fn limits(memory_mib: u64, seconds: u64) -> TestLimits {
    TestLimits { memory: memory_mib << 20, time: Duration::from_secs(seconds) }
}

/// A tester that does what a shell does.
fn shell(script: &'static str, seconds: u64) -> ChildTest {
    ChildTest::new("/bin/sh".into(), ["-c", script], limits(1_000, seconds), Vec::new())
}

fn incoming(state: &Path) -> PathBuf {
    state.join("models/incoming")
}

fn reason(state: &Path, name: &str) -> String {
    fs::read_to_string(state.join("models/refused").join(name).join("REASON.txt")).unwrap()
}

fn processes_with(argument: &str) -> usize {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| contains(&line, argument))).count()
}

fn contains(line: &[u8], argument: &str) -> bool {
    line.windows(argument.len()).any(|part| part == argument.as_bytes())
}

#[test]
fn what_kills_its_tester_is_set_aside_and_a_good_model_taken() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let store = ModelStore::open(state).unwrap();
    let place = |name: &str| incoming(state).join(name);
    endless(&place("endless"));
    boundless(&place("boundless"));
    growing(&place("growing"));
    absurd(&place("absurd"));
    copy("sudoku-6", &place("sudoku-6"));
    let (started, mut remarks) = (Instant::now(), Vec::new());
    let taken = store.take_incoming(&tester(limits(1_024, 10)), &NEVER, &mut remarks).unwrap();
    eprintln!("{:.1?}: {remarks:#?}", started.elapsed());
    assert_eq!(taken.iter().map(|one| one.task.as_str()).collect::<Vec<_>>(), ["sudoku-6x6"]);
    assert!(fs::read_dir(incoming(state)).unwrap().next().is_none());
    let endless = reason(state, "endless");
    assert!(endless.contains("its self-test was the end of the tester: it did not end within 10 s"), "{endless}");
    for name in ["boundless", "growing"] {
        let reason = reason(state, name);
        assert!(reason.contains("out of memory, of which it may have "), "{name}: {reason}");
    }
    let absurd = reason(state, "absurd");
    assert!(absurd.contains("its self-test "), "{absurd}");
    // And nothing is tried again.
    assert_eq!(store.take_incoming(&tester(limits(1_024, 10)), &NEVER, &mut Vec::new()).unwrap(), []);
    assert!(!state.join("models/testing.json").exists());
}

#[test]
fn how_a_tester_ended_is_said() {
    let bundle = ModelBundle::open(shipped("sudoku-4")).unwrap();
    let run = |test: ChildTest| test.run(&bundle, &NEVER);
    let ended = |reason: &str| Err(NotPassed::EndedItsTester(reason.to_owned()));
    assert_eq!(run(shell("exit 0", 5)), Ok(()));
    assert_eq!(
        run(shell("echo 3 of 16 cells differ; exit 1", 5)),
        Err(NotPassed::Failed("3 of 16 cells differ".into()))
    );
    assert_eq!(run(shell("kill -KILL $$", 5)), ended("it was killed by signal 9 (SIGKILL)"));
    assert_eq!(run(shell("kill -SEGV $$", 5)), ended("it was killed by signal 11 (SIGSEGV)"));
    assert_eq!(run(shell("kill -XCPU $$; sleep 9", 5)).unwrap_err().to_string().matches("processor time").count(), 1);
    assert_eq!(
        run(shell("echo thread main panicked; exit 101", 5)),
        ended("it ended with exit code 101: thread main panicked")
    );
    assert_eq!(run(shell("exec sleep 60", 1)), ended("it did not end within 1 s"));
    // Neither a flood of words nor control characters get through.
    let Err(NotPassed::EndedItsTester(said)) =
        run(shell("yes '\\033[2J' | head -c 9000000; printf '\\033[2J'; exit 9", 20))
    else {
        panic!("it failed")
    };
    assert!(said.len() < 2_000 && !said.contains('\u{1b}'), "{said:?}");
    let none = ChildTest::new("/nowhere/trm-host".into(), TESTER, limits(1_000, 5), Vec::new());
    assert!(matches!(run(none), Err(NotPassed::NotTested(_))));
    let stop = AtomicBool::new(true);
    let started = Instant::now();
    assert_eq!(shell("exec sleep 60", 60).run(&bundle, &stop), Err(NotPassed::BrokenOff));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_good_model_passes_within_the_limits_that_kiosks_have() {
    for name in ["sudoku-4", "sudoku-9", "maze-9"] {
        let bundle = ModelBundle::open(shipped(name)).unwrap();
        assert_eq!(tester(TestLimits::default()).run(&bundle, &NEVER), Ok(()), "{name}");
    }
}

#[test]
fn an_active_model_that_kills_its_tester_is_rolled_back_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::open(folder.path()).unwrap();
    let passes = |_: &ModelBundle| Ok(());
    let first = store.activate(&shipped("sudoku-4"), &passes, &NEVER).unwrap();
    let sources = tempfile::tempdir().unwrap();
    let second = store.activate(&boundless(&sources.path().join("later")), &passes, &NEVER).unwrap();
    assert_eq!(second.previous.as_ref(), Some(&first.bundle));
    let mut remarks = Vec::new();
    let active = store.check(&tester(limits(1_024, 20)), &NEVER, &mut remarks).unwrap();
    assert_eq!(active.folders["sudoku-4x4"], folder.path().join("models").join(&first.bundle));
    assert!(remarks[0].contains("out of memory") && remarks[0].contains(&first.bundle), "{remarks:?}");
    assert!(reason(folder.path(), &second.bundle).contains("out of memory"));

    // One that cannot be tested because no process can be started stays.
    let none = ChildTest::new("/nowhere/trm-host".into(), TESTER, limits(1_000, 5), Vec::new());
    remarks.clear();
    assert_eq!(store.check(&none, &NEVER, &mut remarks).unwrap(), active);
    assert!(remarks[0].contains("is used without a test: its tester cannot be started"), "{remarks:?}");
}

// the kiosk itself is killed

#[test]
#[ignore = "the process that other tests start"]
fn tests_what_comes_in() {
    let state = child_argument(STATE);
    let store = ModelStore::open(state.as_ref()).unwrap();
    let test = tester(limits(4_096, 600));
    match child_argument("TEST_WHAT").as_str() {
        "incoming" => drop(store.take_incoming(&test, &NEVER, &mut Vec::new()).unwrap()),
        _ => drop(store.check(&test, &NEVER, &mut Vec::new()).unwrap()),
    }
}

/// Starts a process that tests a model without end, and kills it in the middle.
fn kill_while_testing(state: &Path, what: &str) {
    let mut process = child("tests_what_comes_in");
    let mut process = process.env(STATE, state).env("TEST_WHAT", what).stdout(Stdio::null()).spawn().unwrap();
    let (journal, begun) = (state.join("models/testing.json"), Instant::now());
    let models = state.join("models").to_string_lossy().into_owned();
    while !journal.exists() || processes_with(&models) == 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "no test begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(journal.exists(), "what was tested is written down");
    // The tester does not outlive it.
    while processes_with(&models) > 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "the tester runs on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_model_during_whose_test_the_kiosk_was_killed_is_not_tried_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let store = ModelStore::open(state).unwrap();
    endless(&incoming(state).join("endless"));
    kill_while_testing(state, "incoming");
    let passes = |_: &ModelBundle| Ok(());
    let mut remarks = Vec::new();
    let active = store.check(&passes, &NEVER, &mut remarks).unwrap();
    assert!(active.folders.is_empty());
    let why = "the kiosk ended while this model was tested: it was killed, or the power went";
    assert_eq!(remarks, [format!("endless is set aside in refused/: {why}")]);
    assert_eq!(reason(state, "endless").trim(), why);
    assert!(!incoming(state).join("endless").exists() && !state.join("models/testing.json").exists());
    // Whoever knows better puts it back as it is, and it is tried once more.
    fs::rename(state.join("models/refused/endless"), incoming(state).join("endless")).unwrap();
    assert_eq!(store.take_incoming(&passes, &NEVER, &mut remarks).unwrap().len(), 1);

    // An active one, at the next start.
    kill_while_testing(state, "active");
    remarks.clear();
    let active = store.check(&passes, &NEVER, &mut remarks).unwrap();
    assert!(active.folders.is_empty());
    assert!(remarks[0].contains("is not used for sudoku-4x4: ") && remarks[0].contains(why), "{remarks:?}");
    // A torn or foreign journal accuses nobody.
    for text in ["", "{\"bundle\": \"..\", \"incoming\": null}", "{\"bundle\": \"x\", \"incoming\": \"../../x\"}"] {
        fs::write(state.join("models/testing.json"), text).unwrap();
        remarks.clear();
        store.check(&passes, &NEVER, &mut remarks).unwrap();
        assert_eq!(remarks.len(), 1, "{text}: {remarks:?}");
        assert!(remarks[0].contains("testing.json cannot be read") && !state.join("models/testing.json").exists());
    }
}

#[test]
fn a_kiosk_works_on_while_a_model_is_tested_and_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    ModelStore::open(state).unwrap();
    endless(&incoming(state).join("endless"));
    let (seen, stop, metrics) = (Shared::default(), AtomicBool::new(false), Arc::new(Metrics::default()));
    let mut with_models = parts(&[Kind::Good], true, &seen);
    with_models.self_test = Some(Arc::new(tester(limits(4_096, 600))));
    let kiosk = Kiosk::start(with_models, settings(), state, Arc::clone(&metrics), &stop, fakes::no_log).unwrap();
    let mut asked = Instant::now();
    std::thread::scope(|scope| {
        let (asked, stop, metrics) = (&mut asked, &stop, &metrics);
        scope.spawn(move || {
            let begun = Instant::now();
            while !state.join("models/testing.json").exists() {
                assert!(begun.elapsed() < Duration::from_mins(1), "no test begins");
                std::thread::sleep(Duration::from_millis(5));
            }
            let frames = metrics.frames.get();
            std::thread::sleep(Duration::from_secs(2));
            assert!(metrics.frames.get() > frames + 50, "{frames} frames, then {}", metrics.frames.get());
            stop.store(true, Ordering::Relaxed);
            *asked = Instant::now();
        });
        assert!(kiosk.run().solved > 0);
    });
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    // Broken off by the end of the kiosk, it is accused of nothing.
    assert!(incoming(state).join("endless").is_dir() && !state.join("models/testing.json").exists());
    assert_eq!(processes_with(&state.to_string_lossy()), 0);
}

// trust

/// Signs a bundle with a new key, which is returned.
fn sign(bundle: &Path) -> TrustedKey {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let manifest = fs::read(bundle.join("manifest.json")).unwrap();
    let signature = minisign::sign(None, &pair.sk, manifest.as_slice(), None, None).unwrap();
    fs::write(bundle.join("manifest.json.minisig"), signature.into_string()).unwrap();
    TrustedKey::parse(&pair.pk.to_base64(), "the key").unwrap()
}

fn copy(name: &str, to: &Path) -> PathBuf {
    fs::create_dir(to).unwrap();
    for file in ModelBundle::open(shipped(name)).unwrap().manifest().file_names().chain(["manifest.json"]) {
        fs::copy(shipped(name).join(file), to.join(file)).unwrap();
    }
    to.to_owned()
}

#[test]
fn a_kiosk_that_trusts_keys_takes_only_what_they_signed() {
    let (folder, sources) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = folder.path();
    let store = ModelStore::open(state).unwrap();
    let bundle = copy("sudoku-4", &sources.path().join("signed"));
    let key = sign(&bundle);
    let trusting = |key: &TrustedKey| ChildTest::new("/bin/true".into(), [], limits(1_000, 5), vec![key.clone()]);
    let nobody = ChildTest::new("/bin/true".into(), [], limits(1_000, 5), Vec::new());

    // Unsigned, signed by another, or signed and changed: refused without a test.
    let unsigned = store.activate(&shipped("sudoku-4"), &trusting(&key), &NEVER).unwrap_err().to_string();
    assert!(unsigned.contains("not activated: ") && unsigned.contains("not signed: there is no"), "{unsigned}");
    let foreign = copy("sudoku-6", &incoming(state).join("foreign"));
    let others = sign(&foreign);
    let mut remarks = Vec::new();
    assert_eq!(store.take_incoming(&trusting(&key), &NEVER, &mut remarks).unwrap(), []);
    assert!(reason(state, "foreign").contains("it was signed with another key than RW"), "{remarks:?}");

    let done = store.activate(&bundle, &trusting(&key), &NEVER).unwrap();
    assert!(state.join("models").join(&done.bundle).join("manifest.json.minisig").is_file(), "the signature is kept");
    assert_eq!(store.check(&trusting(&key), &NEVER, &mut Vec::new()).unwrap().folders.len(), 1);
    // Without keys anything is taken, as ever.
    let unsigned = store.activate(&shipped("sudoku-6"), &nobody, &NEVER).unwrap();
    assert_eq!(unsigned.task, "sudoku-6x6");
    // Whoever begins to trust keys does not go on with what was taken before.
    remarks.clear();
    store.distrust(&trusting(&key), &mut remarks).unwrap();
    assert!(remarks.len() == 1 && remarks[0].contains("is not used for sudoku-6x6: "), "{remarks:?}");
    assert_eq!(store.active().unwrap().folders.keys().collect::<Vec<_>>(), ["sudoku-4x4"]);
    remarks.clear();
    let active = store.check(&trusting(&others), &NEVER, &mut remarks).unwrap();
    assert!(active.folders.is_empty() && remarks[0].contains("signed with another key than"), "{remarks:?}");
}

#[test]
fn models_are_activated_by_hand_with_the_keys_that_are_given() {
    let (folder, sources) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bundle = copy("sudoku-4", &sources.path().join("signed"));
    let activate = |trust: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trm-host"));
        command.args(["model", "activate"]).arg(&bundle).arg("--state").arg(folder.path());
        let output = command.args(["--trust", trust]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let key = sign(&bundle);
    let (code, said) = activate(&key.to_string());
    assert_eq!(code, Some(0), "{said}");
    sign(&bundle);
    let (code, said) = activate(&key.to_string());
    assert!(code == Some(2) && said.contains("it was signed with another key than"), "{said}");
    let (code, said) = activate("RWx");
    assert!(code == Some(2) && said.contains("is not a minisign public key"), "{said}");
}
