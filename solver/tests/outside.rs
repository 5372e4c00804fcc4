//! Tensors that lie beside their graph: computed with as they were hashed, or not at all.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use common::engines;
use prost::Message as _;
use trm_engine::{Engine, ExternalFiles, GraphSource, SessionOptions, registry};
use trm_export::checkpoint::StateDict;
use trm_export::onnx::external_tensors;
use trm_export::onnx::proto::{ModelProto, StringStringEntryProto, TensorProto};
use trm_export::onnx::write::encode_with_limit;
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::{BundleWriter, GraphKind, GraphTarget, ModelBundle, SELF_TEST};
use trm_solver::measure::selftest;

fn shipped() -> ModelBundle {
    ModelBundle::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sudoku-4")).expect("a bundle")
}

/// The shipped model with every tensor of more than 1,000 bytes in a file of its own.
fn bundle(target: &Path, kinds: &[GraphKind], change: impl Fn(GraphKind, Vec<u8>) -> Vec<u8>) -> ModelBundle {
    let shipped = shipped();
    let weights = StateDict::of_bundle(&shipped).expect("weights");
    let config = &shipped.manifest().config;
    let mut writer = BundleWriter::create(target, false).expect("a writer");
    let mut external = BTreeMap::new();
    for &kind in kinds {
        let options = GraphOptions { unrolled_steps: Some(2), ..GraphOptions::default() };
        let graph = build_graph(kind, config, &weights, options).expect("a graph");
        let encoded = encode_with_limit(&graph, &[], 1_000);
        let steps = (kind == GraphKind::Unrolled).then_some(2);
        writer.add_graph(kind, &change(kind, encoded.onnx), 17, steps).expect("written");
        external.extend(encoded.external);
    }
    assert!(external.len() > 3, "{}", external.len());
    for (name, constant) in external {
        writer.add_file(&name, &constant.to_le_bytes()).expect("written");
    }
    writer.add_file(SELF_TEST, &shipped.file(SELF_TEST).expect("a self-test")).expect("written");
    writer.finish(shipped.manifest().clone()).expect("a bundle")
}

fn data_file(bundle: &ModelBundle) -> PathBuf {
    let named = external_tensors(&bundle.graph_bytes(GraphKind::Step).expect("a graph"), Path::new("step.onnx"));
    bundle.folder().expect("a folder").join(&named.expect("a graph")[0].file)
}

fn load(engine: &dyn Engine, bundle: &ModelBundle) -> Result<(), String> {
    engine.load_step(bundle, &SessionOptions::default()).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_graph_computes_the_same_with_its_tensors_outside() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&folder.path().join("b"), &GraphKind::ALL, |_, bytes| bytes);
    let solve = external_tensors(&bundle.graph_bytes(GraphKind::Solve).expect("a graph"), Path::new("s"));
    let solve = solve.expect("a graph");
    assert!(solve.iter().any(|tensor| tensor.outermost) && solve.iter().any(|tensor| !tensor.outermost));
    for engine in engines() {
        for kind in GraphKind::ALL {
            let options = SessionOptions::default();
            let ran = selftest::run_if_possible(engine.as_ref(), &bundle, kind, &options).expect("it runs");
            if let Some(report) = ran {
                assert!(report.passed, "{} {kind}: {report}", engine.name());
            } else {
                let entry = registry::find(engine.name()).expect("an entry");
                assert!(!entry.runs(kind, GraphTarget::Portable), "{} {kind}", engine.name());
            }
        }
    }
}

#[test]
fn a_flipped_sign_beside_the_graph_is_found_by_every_engine() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&folder.path().join("b"), &[GraphKind::Step], |_, bytes| bytes);
    let file = data_file(&bundle);
    let mut bytes = fs::read(&file).expect("a file");
    // The sign of the first float32.
    bytes[3] ^= 0x80;
    fs::write(&file, &bytes).expect("written");
    let name = file.file_name().expect("a name").to_string_lossy().into_owned();
    for engine in engines() {
        let error = load(engine.as_ref(), &bundle).expect_err("damaged");
        assert!(error.contains(&format!("file {name} is damaged")) && error.contains("SHA-256"), "{error}");
        fs::rename(&file, folder.path().join("away")).expect("moved");
        assert!(load(engine.as_ref(), &bundle).expect_err("missing").contains(&name));
        fs::rename(folder.path().join("away"), &file).expect("moved");
    }
}

#[test]
fn what_runs_is_what_was_checked_whatever_happens_to_the_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&folder.path().join("b"), &[GraphKind::Step], |_, bytes| bytes);
    let file = data_file(&bundle);
    let good = fs::read(&file).expect("a file");
    let bad = vec![0; good.len()];
    // Somebody swaps the file as fast as it goes while engines load it: each load is refused or right.
    for engine in engines() {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let next = folder.path().join("next");
                for turn in 0_usize.. {
                    fs::write(&next, if turn.is_multiple_of(2) { &bad } else { &good }).expect("written");
                    fs::rename(&next, &file).expect("replaced");
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let (mut right, mut refused) = (0, 0);
            for _ in 0..40 {
                match selftest::run(engine.as_ref(), &bundle, GraphKind::Step, &SessionOptions::default()) {
                    Ok(report) => {
                        assert!(report.passed, "{}: {report}", engine.name());
                        right += 1;
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("is damaged"), "{error}");
                        refused += 1;
                    }
                }
            }
            over.store(true, Ordering::Relaxed);
            eprintln!("{}: {right} right, {refused} refused", engine.name());
        });
        fs::write(&file, &good).expect("written");
        // And a session that is loaded needs no file any more.
        let test = bundle.self_test().expect("a self-test");
        let options = SessionOptions { batch: test.rows(), ..SessionOptions::default() };
        let mut session = engine.load_step(&bundle, &options).expect("loaded");
        let input = trm_engine::ActStep::first(test.tokens.clone(), test.puzzle_ids.clone());
        let before = session.step(&input).expect("a step").answer;
        fs::write(&file, &bad).expect("written");
        assert_eq!(session.step(&input).expect("a step").answer, before, "{}", engine.name());
        fs::write(&file, &good).expect("written");
    }
}

/// Changes where the first tensor of a graph that lies outside is said to be.
fn misplaced(bytes: &[u8], change: impl FnOnce(&mut Vec<StringStringEntryProto>)) -> Vec<u8> {
    let mut model = ModelProto::decode(bytes).expect("a model");
    let initializers = &mut model.graph.as_mut().expect("a graph").initializer;
    let tensor = initializers.iter_mut().find(|tensor| tensor.data_location == 1).expect("one outside");
    change(&mut tensor.external_data);
    model.encode_to_vec()
}

#[test]
fn a_graph_names_no_file_but_those_of_its_manifest() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    let refused = |name: &str, expected: &str, change: &dyn Fn(&mut Vec<StringStringEntryProto>)| {
        let bundle = bundle(&folder.path().join(name), &[GraphKind::Step], |_, bytes| misplaced(&bytes, change));
        // Of the right size, so that an engine that opened it would compute with it.
        fs::write(&secret, vec![0; fs::metadata(data_file_of(&bundle)).expect("a file").len() as usize]).expect("file");
        for engine in engines() {
            let error = load(engine.as_ref(), &bundle).expect_err(name);
            assert!(error.contains(expected), "{}: {error}", engine.name());
        }
    };
    let location = |to: String| move |data: &mut Vec<StringStringEntryProto>| data[0].value.clone_from(&to);
    refused("above", "no file ../secret that the graph names in this bundle", &location("../secret".into()));
    let absolute = secret.display().to_string();
    refused("absolute", &format!("no file {absolute} that the graph names"), &location(absolute.clone()));
    refused("manifest", "no file manifest.json that the graph names", &location("manifest.json".into()));
    refused("control", "no file \\u{1b}[2J that the graph names", &location("\u{1b}[2J".into()));
    refused("offset", "in a file of", &|data| data[1].value = "8".into());
    refused("length", "are no tensor", &|data| data[2].value = "8".into());
    refused("nameless", "lies outside and names no file", &|data| drop(data.remove(0)));
}

/// Some file of tensors.
fn data_file_of(bundle: &ModelBundle) -> PathBuf {
    let name = bundle
        .manifest()
        .files
        .keys()
        .find(|name| Path::new(name).extension().is_some_and(|it| it == "data"))
        .expect("one");
    bundle.folder().expect("a folder").join(name)
}

#[test]
fn two_tensors_do_not_share_a_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&folder.path().join("b"), &[GraphKind::Step], |_, bytes| {
        let mut model = ModelProto::decode(bytes.as_slice()).expect("a model");
        let initializers = &mut model.graph.as_mut().expect("a graph").initializer;
        let first = initializers.iter().find(|tensor| tensor.data_location == 1).expect("one outside").clone();
        // A thousand copies of a large tensor would be a thousand times its memory.
        let copies = (0..1_000).map(|i| {
            let mut copy = first.clone();
            copy.name = format!("{}.{i}", first.name);
            copy
        });
        let copies = copies.collect::<Vec<_>>();
        initializers.extend(copies);
        model.encode_to_vec()
    });
    // No more than the file has, and half of it twice.
    let halves = self::bundle(&folder.path().join("halves"), &[GraphKind::Step], |_, bytes| {
        let mut model = ModelProto::decode(bytes.as_slice()).expect("a model");
        let initializers = &mut model.graph.as_mut().expect("a graph").initializer;
        let outside = |tensor: &&mut TensorProto| tensor.data_location == 1 && tensor.dims[0] % 2 == 0;
        let half = initializers.iter_mut().find(outside).expect("one outside");
        half.dims[0] /= 2;
        let length = half.external_data[2].value.parse::<u64>().expect("a length");
        half.external_data[2].value = (length / 2).to_string();
        let copy = TensorProto { name: format!("{}.again", half.name), ..half.clone() };
        initializers.push(copy);
        model.encode_to_vec()
    });
    for (engine, bundle) in engines().iter().flat_map(|engine| [(engine, &bundle), (engine, &halves)]) {
        let error = load(engine.as_ref(), bundle).expect_err("refused");
        assert!(error.contains("tensors of the graph overlap in it"), "{error}");
    }
}

#[test]
fn a_graph_without_a_folder_opens_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = bundle(&folder.path().join("b"), &[GraphKind::Step], |_, bytes| bytes);
    let source = GraphSource::from_bundle(&bundle, GraphKind::Step).expect("a graph");
    let alone = GraphSource { external: ExternalFiles::None, ..source.clone() };
    for engine in engines() {
        let error = engine.load_step_graph(&alone, &SessionOptions::default()).err().expect("refused").to_string();
        assert!(error.contains("it has no files beside its graph"), "{error}");
    }
}
