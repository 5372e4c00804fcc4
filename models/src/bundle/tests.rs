use std::collections::BTreeMap;

use super::*;
use crate::{ConfigSource, GraphTarget, TrmConfig};

fn config() -> TrmConfig {
    let yaml = "
arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_cycles: 2
  L_cycles: 2
  H_layers: 0
  L_layers: 1
  hidden_size: 8
  num_heads: 2
  expansion: 2
  mlp_t: true
  pos_encodings: none
  puzzle_emb_ndim: 8
  puzzle_emb_len: 1
  halt_max_steps: 4
  halt_exploration_prob: 0.1
";
    let source = ConfigSource::from_yaml_str(yaml, "all_config.yaml").expect("yaml");
    source.seq_len(9).vocab_size(6).num_puzzle_identifiers(1).build().expect("config")
}

fn manifest() -> Manifest {
    let vocabulary = ["pad", "#", " ", "S", "G", "o"].map(str::to_owned).to_vec();
    Manifest {
        format_version: FORMAT_VERSION,
        name: "maze-3".into(),
        task: TaskSpec { kind: TaskKind::Maze, height: 3, width: 3, box_height: None, box_width: None, vocabulary },
        config: config(),
        precision: "fp32".into(),
        target: GraphTarget::Portable,
        graphs: BTreeMap::new(),
        files: BTreeMap::new(),
        training_data: None,
        accuracy: Vec::new(),
        licence: None,
        checkpoint: None,
        producer: "test".into(),
    }
}

fn write(target: &Path, overwrite: bool, graph: &[u8]) -> Result<ModelBundle> {
    let mut writer = BundleWriter::create(target, overwrite)?;
    writer.add_graph(GraphKind::Step, graph, 17, None)?;
    writer.add_file(CARD, b"# maze-3")?;
    writer.finish(manifest())
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("folder").count()
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("models/maze-3");
    let bundle = write(&target, false, b"graph").expect("written");
    assert_eq!(bundle.graph_bytes(GraphKind::Step).expect("graph").as_ref(), b"graph");
    assert_eq!(bundle.graph_path(GraphKind::Step), Some(target.join("step.onnx")));
    assert_eq!(bundle.file(CARD).expect("card").as_ref(), b"# maze-3");
    bundle.verify().expect("verified");
    let error = bundle.graph_bytes(GraphKind::Solve).expect_err("there is none").to_string();
    assert!(error.ends_with("no solve graph in this bundle; it has step"), "{error}");
    assert_eq!(entries(&folder.path().join("models")), 1, "nothing is left beside the bundle");
}

#[test]
fn a_flipped_byte_is_found() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    let bundle = write(&target, false, b"graph").expect("written");
    std::fs::write(target.join("step.onnx"), b"grapi").expect("damaged");
    for error in [bundle.graph_bytes(GraphKind::Step).expect_err("damaged"), bundle.verify().expect_err("damaged")] {
        let error = error.to_string();
        assert!(error.contains("step.onnx is damaged or not the bundle's own: SHA-256 is"), "{error}");
        assert!(error.ends_with("hint: copy the bundle again, or export it again"), "{error}");
    }
    std::fs::write(target.join("step.onnx"), b"graph and more").expect("damaged");
    let error = bundle.graph_bytes(GraphKind::Step).expect_err("too long").to_string();
    assert!(error.contains("size is 14 bytes, expected 5 bytes"), "{error}");
}

#[test]
fn a_bundle_is_replaced_only_when_asked_and_nothing_else_ever() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"old").expect("written");
    let error = write(&target, false, b"new").expect_err("refused").to_string();
    assert!(error.contains("--overwrite"), "{error}");
    let graph = |bundle: &ModelBundle| bundle.graph_bytes(GraphKind::Step).expect("graph").into_owned();
    assert_eq!(graph(&ModelBundle::open(&target).expect("bundle")), b"old");
    assert_eq!(graph(&write(&target, true, b"new").expect("replaced")), b"new");
    assert_eq!(entries(folder.path()), 1, "nothing is left beside the bundle");

    let foreign = folder.path().join("photos");
    std::fs::create_dir(&foreign).expect("folder");
    std::fs::write(foreign.join("cat.jpg"), b"meow").expect("file");
    // Some other program's manifest does not make it a bundle.
    std::fs::write(foreign.join(MANIFEST), b"{\"name\": \"web app\"}").expect("file");
    let error = write(&foreign, true, b"new").expect_err("refused").to_string();
    assert!(error.contains("is not a model bundle, so it is left as it is"), "{error}");
    assert_eq!(std::fs::read(foreign.join("cat.jpg")).expect("file"), b"meow");

    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    assert_eq!(graph(&write(&empty, false, b"new").expect("an empty folder is as good as none")), b"new");
}

#[test]
fn an_unfinished_bundle_leaves_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let mut writer = BundleWriter::create(folder.path().join("maze-3"), false).expect("writer");
    writer.add_graph(GraphKind::Step, b"graph", 17, None).expect("graph");
    drop(writer);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn manifests_that_lie_are_refused() {
    let hash = serde_json::json!({ "sha256": "0".repeat(64), "bytes": 1 });
    let graph = serde_json::json!({ "file": "step.onnx", "sha256": "0".repeat(64), "bytes": 1, "opset": 17 });
    let parse = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(manifest()).expect("json");
        value["graphs"]["step"] = graph.clone();
        change(&mut value);
        Manifest::parse(&serde_json::to_vec(&value).expect("json"), "b").map(drop).expect_err("refused").to_string()
    };
    let cases = [
        (parse(&|m| m["format_version"] = 2.into()), "format version 2, and this program reads up to 1"),
        (parse(&|m| m["files"]["../../etc/passwd"] = hash.clone()), "`../../etc/passwd` is not a plain file name"),
        (parse(&|m| m["task"]["height"] = 4.into()), "a grid of 4x3 does not have seq_len 9 cells"),
        (parse(&|m| m["task"]["vocabulary"] = serde_json::json!(["pad"])), "1 symbols for vocab_size 6"),
        (parse(&|m| m["task"]["kind"] = "sudoku".into()), "a sudoku without box_height and box_width"),
        (parse(&|m| m["name"] = 7.into()), "invalid type"),
        (parse(&|m| m["graphs"] = serde_json::json!({})), "no graph"),
        (parse(&|m| m["graphs"]["step"]["sha256"] = "00".into()), "`00` is not a SHA-256"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
    let error = Manifest::parse(b"{}", "b").expect_err("refused").to_string();
    assert_eq!(error, "b: bad manifest.json: no format_version");
}

#[test]
fn self_tests_survive_the_file_and_must_fit_the_model() {
    let carry = vec![0.5; 2 * config().total_len() * config().hidden_size];
    let test = SelfTest {
        steps: 2,
        tokens: (0..18).map(|cell| cell % 6).collect(),
        puzzle_ids: vec![0, 0],
        answer: vec![1; 18],
        q_halt: vec![0.25, -3.0],
        q_continue: vec![-5.0, -5.0],
        z_h: carry.clone(),
        z_l: carry,
    };
    let bytes = test.encode(&config()).expect("encoded");
    assert_eq!(SelfTest::decode(&bytes, &config(), "b").expect("decoded"), test);
    let other = TrmConfig { hidden_size: 16, puzzle_emb_ndim: 16, ..config() };
    let error = SelfTest::decode(&bytes, &other, "b").expect_err("another model's").to_string();
    assert!(error.contains("z_h is F32 [2, 10, 8], expected F32 [2, 10, 16]"), "{error}");
    let foreign = SelfTest { puzzle_ids: vec![0, 1], ..test.clone() };
    let error = SelfTest::decode(&foreign.encode(&config()).expect("encoded"), &config(), "b").expect_err("no such");
    assert!(error.to_string().contains("a puzzle identity is outside 0..1"), "{error}");
    let nan = SelfTest { q_halt: vec![f32::NAN, 0.0], ..test };
    let bytes = nan.encode(&config()).expect("encoded");
    assert!(SelfTest::decode(&bytes, &config(), "b").is_err(), "NaN passes");
}

#[test]
fn a_folder_without_manifest_is_no_bundle() {
    let folder = tempfile::tempdir().expect("folder");
    let error = ModelBundle::open(folder.path()).expect_err("no bundle").to_string();
    assert!(error.ends_with("hint: `trm export` makes a bundle of a checkpoint"), "{error}");
}
