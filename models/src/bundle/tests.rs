#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::collections::BTreeMap;

use trm_intake::explained;

use super::*;
use crate::{ConfigSource, GraphTarget, Precision, TrmConfig};

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
        precision: Precision::Float32,
        target: GraphTarget::Portable,
        graphs: BTreeMap::new(),
        files: BTreeMap::new(),
        training_data: None,
        accuracy: Vec::new(),
        licence: None,
        checkpoint: None,
        configuration: None,
        identities: None,
        producer: "test".into(),
    }
}

pub(super) fn write(target: &Path, overwrite: bool, graph: &[u8]) -> Result<ModelBundle> {
    let mut writer = BundleWriter::create(target, overwrite)?;
    writer.add_graph(GraphKind::Step, graph, 17, None)?;
    writer.add_file(CARD, b"# maze-3")?;
    writer.finish(manifest())
}

pub(super) fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("folder").count()
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("models/maze-3");
    let bundle = write(&target, false, b"graph").expect("written");
    assert_eq!(bundle.graph_bytes(GraphKind::Step).expect("graph").as_ref(), b"graph");
    assert_eq!(bundle.file(CARD).expect("card").as_ref(), b"# maze-3");
    bundle.verify().expect("verified");
    let error = explained(&bundle.graph_bytes(GraphKind::Solve).expect_err("there is none"));
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
        let error = explained(&error);
        assert!(error.contains("step.onnx is damaged or not the bundle's own: SHA-256 is"), "{error}");
        assert!(error.ends_with("hint: copy the bundle again, or export it again"), "{error}");
    }
    std::fs::write(target.join("step.onnx"), b"graph and more").expect("damaged");
    let error = explained(&bundle.graph_bytes(GraphKind::Step).expect_err("too long"));
    assert!(error.contains("size is 14 bytes, expected 5 bytes"), "{error}");
}

#[test]
fn a_bundle_is_replaced_only_when_asked_and_nothing_else_ever() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"old").expect("written");
    let error = explained(&write(&target, false, b"new").expect_err("refused"));
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
    let error = explained(&write(&foreign, true, b"new").expect_err("refused"));
    assert!(error.contains("is not a model bundle, so it is left as it is"), "{error}");
    assert_eq!(std::fs::read(foreign.join("cat.jpg")).expect("file"), b"meow");

    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).expect("folder");
    assert_eq!(graph(&write(&empty, false, b"new").expect("an empty folder is as good as none")), b"new");
}

#[test]
fn a_bundle_with_files_beside_its_own_is_not_replaced() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"old").expect("written");
    let refused = |files: &str| {
        let error = explained(&write(&target, true, b"new").expect_err("refused"));
        assert!(error.contains(&format!("maze-3: {files}: not of the bundle that is there")), "{error}");
        assert!(error.contains("\nhint: move away"), "{error}");
        assert_eq!(std::fs::read(target.join("step.onnx")).expect("the old graph"), b"old");
    };
    for name in ["mynotes.txt", ".hidden"] {
        std::fs::write(target.join(name), b"mine").expect("file");
        refused(name);
        assert_eq!(std::fs::read(target.join(name)).expect("kept"), b"mine");
        std::fs::remove_file(target.join(name)).expect("removed");
    }
    // A folder is none of the bundle's files, whatever its name.
    std::fs::remove_file(target.join(CARD)).expect("removed");
    std::fs::create_dir(target.join(CARD)).expect("folder");
    refused(CARD);
    std::fs::remove_dir(target.join(CARD)).expect("removed");
    // Nor may a file come while the new bundle is being written.
    let mut writer = BundleWriter::create(&target, true).expect("writer");
    writer.add_graph(GraphKind::Step, b"new", 17, None).expect("graph");
    std::fs::write(target.join("mynotes.txt"), b"mine").expect("file");
    assert!(matches!(writer.finish(manifest()), Err(ModelError::ForeignFiles { .. })));
    assert_eq!(std::fs::read(target.join("mynotes.txt")).expect("kept"), b"mine");
    std::fs::remove_file(target.join("mynotes.txt")).expect("removed");
    // A damaged manifest still says which files are the bundle's.
    let text = std::fs::read_to_string(target.join(MANIFEST)).expect("text");
    std::fs::write(target.join(MANIFEST), text.replace("\"maze\"", "\"labyrinth\"")).expect("written");
    ModelBundle::open(&target).expect_err("no such task");
    write(&target, true, b"new").expect("replaced");
}

#[test]
fn a_bundle_is_written_only_under_a_name_that_a_folder_can_have() {
    let folder = tempfile::tempdir().expect("folder");
    for name in ["../../evil", "a/b", "a\\b", "", ".a", "a b", "a\u{1b}[2Jb", &"x".repeat(101)] {
        let mut writer = BundleWriter::create(folder.path().join("maze-3"), false).expect("writer");
        writer.add_graph(GraphKind::Step, b"graph", 17, None).expect("graph");
        let error = explained(&writer.finish(Manifest { name: name.into(), ..manifest() }).expect_err(name));
        assert!(error.contains("cannot be that of a folder") && !error.contains('\u{1b}'), "{error}");
    }
    assert_eq!(entries(folder.path()), 0);
    assert!(is_folder_name("Maze-9_v1.2") && is_folder_name(&"x".repeat(100)));
}

#[test]
fn a_key_twice_is_an_error_and_an_unknown_one_is_passed_over() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"graph").expect("written");
    let text = std::fs::read_to_string(target.join(MANIFEST)).expect("text");
    for (before, twice, key) in [
        ("{", "{\"name\": \"other\",", "name"),
        ("\"task\": {", "\"task\": {\"height\": 3,", "height"),
        ("\"files\": {", "\"files\": {\"card.md\": {},", "card.md"),
        ("\"step\": {", "\"step\": {\"bytes\": 5,", "bytes"),
    ] {
        assert!(text.contains(before), "{text}");
        let error = explained(&Manifest::parse(text.replacen(before, twice, 1).as_bytes(), "b").expect_err("twice"));
        assert!(error.starts_with(&format!("b: bad manifest.json: duplicate key `{key}`")), "{error}");
    }
    // Of a later version of the same format.
    let later = text.replacen('{', "{\"mood\": \"fine\",", 1);
    Manifest::parse(later.as_bytes(), "b").expect("read as before");
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
        explained(&Manifest::parse(&serde_json::to_vec(&value).expect("json"), "b").map(drop).expect_err("refused"))
    };
    let cases = [
        (parse(&|m| m["format_version"] = 2.into()), "format version 2, and this program reads up to 1"),
        (parse(&|m| m["files"]["../../etc/passwd"] = hash.clone()), "`../../etc/passwd` is not a plain file name"),
        (parse(&|m| m["task"]["height"] = 4.into()), "a grid of 4x3 does not have seq_len 9 cells"),
        (parse(&|m| m["task"]["vocabulary"] = serde_json::json!(["pad"])), "1 symbols for vocab_size 6"),
        (parse(&|m| m["task"]["kind"] = "sudoku".into()), "a sudoku without box_height and box_width"),
        (parse(&|m| m["name"] = 7.into()), "invalid type"),
        (
            parse(&|m| m["precision"] = "fp8".into()),
            "bad manifest.json: there is no precision `fp8`, expected one of fp32, fp16, int8, int8-static, mixed, mixed-static",
        ),
        (parse(&|m| m["name"] = "a\u{1b}[2Jb".into()), "`a\\u{1b}[2Jb` has a control character"),
        (parse(&|m| m["files"]["a\u{7}"] = hash.clone()), "`a\\u{7}` has a control character"),
        (parse(&|m| m["training_data"] = "\u{202e}".into()), "`\\u{202e}` has a control character"),
        (parse(&|m| m["graphs"] = serde_json::json!({})), "no graph"),
        (parse(&|m| m["graphs"]["step"]["sha256"] = "00".into()), "`00` is not a SHA-256"),
    ];
    for (error, expected) in cases {
        assert!(error.contains(expected), "{error}");
    }
    let error = explained(&Manifest::parse(b"{}", "b").expect_err("refused"));
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
    let error = explained(&SelfTest::decode(&bytes, &other, "b").expect_err("another model's"));
    assert!(error.contains("z_h is F32 [2, 10, 8], expected F32 [2, 10, 16]"), "{error}");
    let foreign = SelfTest { puzzle_ids: vec![0, 1], ..test.clone() };
    let error = SelfTest::decode(&foreign.encode(&config()).expect("encoded"), &config(), "b").expect_err("no such");
    assert!(explained(&error).contains("a puzzle identity is outside 0..1"), "{error}");
    let nan = SelfTest { q_halt: vec![f32::NAN, 0.0], ..test };
    let bytes = nan.encode(&config()).expect("encoded");
    assert!(SelfTest::decode(&bytes, &config(), "b").is_err(), "NaN passes");
}

#[test]
fn a_folder_without_manifest_is_no_bundle() {
    let folder = tempfile::tempdir().expect("folder");
    let error = explained(&ModelBundle::open(folder.path()).expect_err("no bundle"));
    assert!(error.ends_with("hint: `trm export` makes a bundle of a checkpoint"), "{error}");
}

#[test]
fn a_folder_holds_what_its_manifest_lists_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"graph").expect("written");
    // What a killed `trm sign` leaves is neither in the way of reading nor of replacing.
    std::fs::write(target.join(".trm-file-dead00"), b"x").expect("file");
    std::fs::write(target.join(SIGNATURE), b"x").expect("file");
    ModelBundle::open(&target).expect("a bundle");
    write(&target, true, b"graph").expect("replaced");
    // Hidden files are files, and names that are nearly ours are not.
    for name in [".hidden", ".DS_Store", ".trm-file-dead001", ".trm-file-dead/", ".trm-file-", ".trm-bundle-dead00"] {
        let path = target.join(name);
        if name.ends_with('/') { std::fs::create_dir(&path) } else { std::fs::write(&path, b"x") }.expect("made");
        let error = explained(&ModelBundle::open(&target).expect_err("an unlisted file"));
        assert!(error.contains(&format!("{} is not in the manifest", name.trim_end_matches('/'))), "{error}");
        if name.ends_with('/') { std::fs::remove_dir(&path) } else { std::fs::remove_file(&path) }.expect("removed");
    }
    for name in ["libonnxruntime.so", "a\u{1b}[2J", "b", "c"] {
        std::fs::write(target.join(name), b"x").expect("file");
    }
    let error = explained(&ModelBundle::open(&target).expect_err("unlisted files"));
    assert!(error.contains("maze-3: "), "{error}");
    assert!(error.contains(" and 1 more are not in the manifest\nhint: "), "{error}");
    assert!(!error.contains('\u{1b}'), "{error}");
    for name in ["a\u{1b}[2J", "b", "c"] {
        std::fs::remove_file(target.join(name)).expect("removed");
    }
    let error = explained(&ModelBundle::open(&target).expect_err("an unlisted file"));
    assert!(error.contains("libonnxruntime.so is not in the manifest"), "{error}");
    std::fs::remove_file(target.join("libonnxruntime.so")).expect("removed");
    std::fs::create_dir(target.join("more")).expect("folder");
    assert!(explained(&ModelBundle::open(&target).expect_err("a folder")).contains("more is not in the manifest"));
}

#[test]
#[cfg(unix)]
fn links_out_of_the_folder_and_devices_are_refused() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    let bundle = write(&target, false, b"graph").expect("written");
    let graph = target.join("step.onnx");
    let refused = |link: &Path, found: &str| {
        std::fs::remove_file(&graph).expect("removed");
        symlink(link, &graph).expect("a link");
        let error = explained(&ModelBundle::open(&target).expect_err("a link"));
        assert!(error.contains(&format!("step.onnx is {found}, expected a file in the bundle's folder")), "{error}");
    };
    // What it leads to has the right bytes, and may have others tomorrow.
    let outside = folder.path().join("outside.onnx");
    std::fs::write(&outside, b"graph").expect("file");
    refused(&outside, "a link that leads out of the folder");
    refused(Path::new("/dev/zero"), "a link that leads out of the folder");
    refused(Path::new("gone"), "a link to nothing");
    refused(Path::new("."), "a link that leads out of the folder");
    // One in the folder is as good as the file.
    std::fs::remove_file(&graph).expect("removed");
    symlink(".trm-file-dead00", &graph).expect("a link");
    std::fs::write(target.join(".trm-file-dead00"), b"graph").expect("file");
    assert_eq!(
        ModelBundle::open(&target).expect("a bundle").graph_bytes(GraphKind::Step).expect("graph"),
        &b"graph"[..]
    );
    // A device that takes the file's place after the bundle was opened is not read for ever.
    std::fs::remove_file(&graph).expect("removed");
    symlink("/dev/zero", &graph).expect("a link");
    for error in [bundle.file("step.onnx").expect_err("a device"), bundle.verify().expect_err("a device")] {
        assert!(explained(&error).contains("step.onnx is neither file nor folder"), "{error}");
    }
    symlink("/dev/zero", target.join(SIGNATURE)).expect("a link");
    let error = explained(&bundle.verify_signature(&[]).expect_err("a device"));
    assert!(error.contains("manifest.json.minisig is neither file nor folder"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_manifest_that_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("folder");
    let made = std::process::Command::new("mkfifo").arg(folder.path().join(MANIFEST)).status().expect("mkfifo runs");
    assert!(made.success());
    let error = explained(&ModelBundle::open(folder.path()).expect_err("a pipe"));
    assert!(error.contains("manifest.json is no file, expected a file in the bundle's folder"), "{error}");
    assert!(matches!(write(folder.path(), true, b"graph"), Err(ModelError::ForeignFolder { .. })));
}

#[test]
fn sizes_that_no_such_model_has_are_refused_unread() {
    let hash = |bytes: u64| serde_json::json!({ "sha256": "0".repeat(64), "bytes": bytes });
    let parse = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(manifest()).expect("json");
        value["graphs"]["step"] =
            serde_json::json!({ "file": "step.onnx", "sha256": "0".repeat(64), "bytes": 1, "opset": 17 });
        change(&mut value);
        Manifest::parse(&serde_json::to_vec(&value).expect("json"), "b").map(drop)
    };
    let error = parse(&|m| m["graphs"]["step"]["bytes"] = (1_u64 << 40).into()).expect_err("too large").to_string();
    assert!(error.contains("step.onnx has 1099511627776 bytes, a file of a model of this configuration"), "{error}");
    // Layers that the architecture does not have make no room.
    let layers = |m: &mut serde_json::Value| {
        m["config"]["H_layers"] = 1_000_000_000_u64.into();
        m["graphs"]["step"]["bytes"] = (1_u64 << 40).into();
    };
    assert!(explained(&parse(&layers).expect_err("too large")).contains("step.onnx has 1099511627776 bytes"));
    let error = parse(&|m| m["files"]["card.md"] = hash(u64::MAX)).expect_err("too large").to_string();
    assert!(error.contains("card.md has 18446744073709551615 bytes"), "{error}");
    let many = |m: &mut serde_json::Value| (0..1_000).for_each(|i| m["files"][format!("f{i}")] = hash(1));
    let error = explained(&parse(&many).expect_err("too many"));
    assert!(error.contains("1001 items are more than the limit of 1000"), "{error}");
    let large = |m: &mut serde_json::Value| (0..8).for_each(|i| m["files"][format!("f{i}")] = hash(100 << 20));
    assert!(explained(&parse(&large).expect_err("too large")).contains("bytes are more than the limit of"));
    // The embeddings of a published ARC model, 876,406 rows of 512, have their place.
    let arc = |m: &mut serde_json::Value| {
        m["config"]["num_puzzle_identifiers"] = 876_406.into();
        m["config"]["puzzle_emb_ndim"] = 512.into();
        m["config"]["hidden_size"] = 512.into();
        m["config"]["num_heads"] = 8.into();
        m["config"]["puzzle_emb_len"] = 16.into();
        m["files"]["embedding.f32.data"] = hash(876_406 * 512 * 4);
        m["files"]["weights.safetensors"] = hash(876_406 * 512 * 4 + (28 << 20));
        m["files"]["identifiers.json"] = hash(50 << 20);
    };
    parse(&arc).expect("a large model");
}

#[test]
fn a_file_replaced_after_the_bundle_was_opened_is_found_when_it_is_used() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    let bundle = write(&target, false, b"graph").expect("written");
    let before = bundle.graph_bytes(GraphKind::Step).expect("graph").into_owned();
    std::fs::write(target.join("other"), b"grapi").expect("file");
    std::fs::rename(target.join("other"), target.join("step.onnx")).expect("replaced");
    assert_eq!(before, b"graph", "what was checked is what is used");
    bundle.graph_bytes(GraphKind::Step).expect_err("another file");
    assert!(ModelBundle::open(&target).expect("the names are right").verify().is_err());
}

#[cfg(unix)]
#[test]
fn a_link_to_a_bundle_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    std::os::unix::fs::symlink("real", &link).unwrap();
    for graph in [b"first", b"other"] {
        write(&link, true, graph).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(real.join("step.onnx")).unwrap(), graph);
    }
}
