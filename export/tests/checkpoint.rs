//! Reading and writing checkpoints: files of torch itself, and files that are no checkpoints.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use trm_export::checkpoint::{DEFAULT_PREFIX, ReadOptions, StateDict, WeightDtype, WeightTensor, layout};
use trm_intake::explained;
use trm_models::{ConfigSource, TrmConfig};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint").join(name)
}

/// Options that take the fixtures' names, which say what each tensor is for.
fn any_names() -> ReadOptions {
    ReadOptions { any_names: true, ..ReadOptions::default() }
}

fn read(name: &str) -> StateDict {
    StateDict::read_with(fixture(name), &any_names()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The message without the path in front.
fn refusal(path: &Path) -> String {
    let error = explained(&StateDict::read_with(path, &any_names()).expect_err("refused"));
    error.replace(&format!("{}: ", path.display()), "")
}

/// `count` numbers from -1 in steps of 1/4, as `make.py` fills its tensors.
fn counted(count: u8) -> Vec<f32> {
    (0..count).map(|i| f32::from(i) / 4.0 - 1.0).collect()
}

fn config(mlp_t: bool, seq_len: usize) -> TrmConfig {
    let yaml = format!(
        "arch: {{name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, H_cycles: 2, L_cycles: 2, L_layers: 1, \
         hidden_size: 8, num_heads: 2, expansion: 4, mlp_t: {mlp_t}, pos_encodings: rope, puzzle_emb_ndim: 8, \
         puzzle_emb_len: 1, halt_max_steps: 16, halt_exploration_prob: 0.1}}"
    );
    ConfigSource::from_yaml_str(&yaml, "test")
        .and_then(|source| source.seq_len(seq_len).vocab_size(11).num_puzzle_identifiers(1).build())
        .expect("config")
}

/// Weights of every shape that a configuration calls for.
fn weights(config: &TrmConfig) -> StateDict {
    let mut state = StateDict::new();
    for tensor in layout(config) {
        let data = (0..tensor.shape.iter().product()).map(|i: usize| i as f32).collect();
        state.insert(tensor.name, WeightTensor { dtype: WeightDtype::F32, shape: tensor.shape, data });
    }
    state
}

#[test]
fn reads_every_float_dtype() {
    let state = read("dtypes.pt");
    for (name, dtype) in [
        ("float32", WeightDtype::F32),
        ("bfloat16", WeightDtype::Bf16),
        ("float16", WeightDtype::F16),
        ("float64", WeightDtype::F64),
    ] {
        assert_eq!(state.get(name), Some(&WeightTensor { dtype, shape: vec![2, 3], data: counted(6) }), "{name}");
    }
    let float32 = |shape, data| WeightTensor { dtype: WeightDtype::F32, shape, data };
    assert_eq!(state.get("scalar"), Some(&float32(vec![], vec![2.5])));
    assert_eq!(state.get("empty"), Some(&float32(vec![0, 3], vec![])));
    assert_eq!(state.get("parameter"), Some(&float32(vec![2], counted(2))));
    assert_eq!(state.len(), 7);
}

#[test]
fn gathers_views() {
    let state = read("views.pt");
    let base = counted(20);
    let data = |name| &state.get(name).expect("tensor").data;
    assert_eq!(*data("base"), base);
    assert_eq!(*data("tied"), base);
    assert_eq!(state.get("transposed").map(|tensor| tensor.shape.as_slice()), Some([5, 4].as_slice()));
    let transposed: Vec<f32> =
        (0..5).flat_map(|column| (0..4).map(move |row| row * 5 + column)).map(|i| base[i]).collect();
    assert_eq!(*data("transposed"), transposed);
    assert_eq!(*data("step"), [6, 8, 11, 13, 16, 18].map(|i: usize| base[i]));
    assert_eq!(*data("expanded"), [base[10]; 6]);
}

#[test]
fn reads_other_packings() {
    for name in ["plain.pt", "cuda.pt", "big_endian.pt", "zip64.pt", "deflated_no_folder.pt"] {
        let state = read(name);
        let expected = WeightTensor { dtype: WeightDtype::F32, shape: vec![2, 3], data: counted(6) };
        assert_eq!(state.iter().collect::<Vec<_>>(), [("weight", &expected)], "{name}");
    }
}

#[test]
fn reads_other_formats_of_torch() {
    for name in ["legacy.pt", "legacy_3.pt", "legacy_4.pt", "legacy_5.pt", "protocol4.pt", "number.pt"] {
        let expected = WeightTensor { dtype: WeightDtype::F32, shape: vec![2], data: counted(2) };
        let state = read(name);
        assert_eq!(state.iter().collect::<Vec<_>>(), [("weight", &expected)], "{name}");
        let harmless = if name == "number.pt" { vec!["epoch".to_owned()] } else { vec![] };
        assert_eq!(state.ledger().harmless, harmless, "{name}");
    }
}

#[test]
fn names_and_sizes_are_judged_before_a_tensor_is_loaded() {
    let error = explained(&StateDict::read(fixture("plain.pt")).expect_err("refused"));
    let said = "none of its tensors has a name of a TRM's or HRM's weights: it has `weight`\n\
                hint: expected names such as `model.inner.lm_head.weight`";
    assert!(error.ends_with(said), "{error}");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("model.safetensors");
    // More than the limit, and more than a file may have.
    for (elements, said) in [
        (5_u64 << 30, "its weights take 21474836480 bytes, more than the 17179869184 that they may\nhint: "),
        (1 << 38, "bytes, more than the 68719476736 that a checkpoint may have\nhint: "),
    ] {
        let end = 4 * elements;
        let header = format!(r#"{{"H_init":{{"dtype":"F32","shape":[{elements}],"data_offsets":[0,{end}]}}}}"#);
        let mut file = File::create(&path).expect("file");
        file.write_all(&(header.len() as u64).to_le_bytes()).expect("written");
        file.write_all(header.as_bytes()).expect("written");
        file.set_len(8 + header.len() as u64 + end).expect("sparse");
        let error = explained(&StateDict::read(&path).expect_err("refused"));
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn finite_numbers_that_no_float32_holds_are_not_called_infinite() {
    let refused = refusal(&fixture("too_large.pt"));
    assert!(
        refused.starts_with("tensor `weight` has float64 values that do not fit float32, such as -1e300: "),
        "{refused}"
    );
}

#[test]
fn finds_the_weights_of_a_whole_checkpoint() {
    let state = read("wrapped.pt");
    assert_eq!(state.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["bias", "weight"], "without `inner.`");
    assert_eq!(state.get("weight").map(|tensor| &tensor.data), Some(&counted(6)));
    let ledger = state.ledger();
    assert_eq!((ledger.weights.as_str(), ledger.harmless.join(" ")), ("model", "step optimizer".to_owned()));
}

#[test]
fn refuses_what_is_no_state_dict_of_floats() {
    let weights_alone = "\nhint: save the weights alone: torch.save(model.state_dict(), path)";
    for (name, expected) in [
        (
            "foreign.pt",
            format!(
                "the pickle refers to `exceptions.ValueError` (offset 176), which is code that no state dict \
                 needs{weights_alone}"
            ),
        ),
        ("twice.pt", "tensor `inner.a` is there twice: both it and `_orig_mod.model.a` are `a`".into()),
        ("integers.pt", "tensor `steps` has dtype int64, expected float32, bfloat16, float16 or float64".into()),
        ("list.pt", "the pickle is not a dictionary of tensors".into()),
        (
            "make.py",
            "this is neither an archive of torch.save nor a safetensors file\n\
             hint: expected the weights, such as `step_1000` or `checkpoint.pt`, not the config or a folder"
                .into(),
        ),
    ] {
        assert_eq!(refusal(&fixture(name)), expected, "{name}");
    }
    assert_eq!(
        refusal(&fixture("absent.pt")),
        format!("cannot read {}", fixture("absent.pt").display()),
        "the reason is the error's source"
    );
}

#[test]
fn refuses_empty_and_damaged_files() {
    let dir = TempDir::new().expect("folder");
    let path = dir.path().join("checkpoint.pt");
    std::fs::write(&path, b"").expect("written");
    assert_eq!(refusal(&path), "the file is empty\nhint: the checkpoint was not written completely");

    let bytes = std::fs::read(fixture("plain.pt")).expect("fixture");
    let data =
        bytes.windows(8).position(|window| window == [0, 0, 0x80, 0xbf, 0, 0, 0x40, 0xbf]).expect("-1 and -0.75");
    let mut flipped = bytes;
    flipped[data] ^= 1;
    std::fs::write(&path, flipped).expect("written");
    assert_eq!(
        refusal(&path),
        "record data/0 cannot be read: Invalid checksum\n\
         hint: the file is truncated or damaged: copy or download it again"
    );
}

#[test]
fn refuses_100_mb_of_garbage_quickly() {
    let dir = TempDir::new().expect("folder");
    let path = dir.path().join("checkpoint.pt");
    // What a zip reader looks for, what a safetensors reader looks for, and neither.
    for pattern in [b"PK\x03\x04PK\x05\x06".as_slice(), b"\0\0\0\x05\0\0\0\0{\"a\":[", b"garbage "] {
        let mut file = File::create(&path).expect("created");
        let block = pattern.repeat((1 << 20) / pattern.len());
        for _ in 0..100 {
            file.write_all(&block).expect("written");
        }
        drop(file);
        let start = Instant::now();
        let message = refusal(&path);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(message.contains("hint: "), "{message}");
    }
}

#[test]
fn writes_what_it_reads() {
    let dir = TempDir::new().expect("folder");
    for name in ["dtypes.pt", "views.pt", "wrapped.pt"] {
        let state = read(name);
        for prefix in ["", DEFAULT_PREFIX, "model."] {
            let (torch, safetensors) = (dir.path().join("step_1"), dir.path().join("model.safetensors"));
            state.write_torch(&torch, prefix).expect("written");
            state.write_safetensors(&safetensors, prefix).expect("written");
            for path in [torch, safetensors] {
                let again = StateDict::read_with(&path, &any_names()).expect("read");
                assert!(again.iter().eq(state.iter()), "{name} as {}", path.display());
                // In memory the same is read, and the same refused.
                let bytes = std::fs::read(&path).expect("read");
                let in_memory = StateDict::from_bytes(&bytes, &path, &any_names()).expect("read");
                assert!(in_memory.iter().eq(state.iter()), "{name} as {}", path.display());
                assert_eq!((in_memory.origin(), in_memory.ledger()), (again.origin(), again.ledger()));
                let cut = &bytes[..bytes.len() / 2];
                std::fs::write(&path, cut).expect("written");
                let error = StateDict::from_bytes(cut, &path, &any_names()).expect_err("refused").to_string();
                assert_eq!(error, StateDict::read_with(&path, &any_names()).expect_err("refused").to_string());
            }
        }
    }
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).expect("folder").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(names.len(), 2, "no temporary files left: {names:?}");
}

#[test]
fn writes_records_that_torch_can_map() {
    let dir = TempDir::new().expect("folder");
    let path = dir.path().join("step_1");
    weights(&config(true, 4)).write_torch(&path, DEFAULT_PREFIX).expect("written");
    let mut archive = zip::ZipArchive::new(File::open(&path).expect("opened")).expect("archive");
    for i in 0..archive.len() {
        let record = archive.by_index(i).expect("record");
        assert_eq!(record.compression(), zip::CompressionMethod::Stored);
        let name = record.name().expect("UTF-8");
        if name.contains("/data/") {
            assert_eq!(record.data_start().map(|start| start % 64), Some(0), "{name}");
        }
    }
}

#[test]
fn refuses_to_write_a_tensor_of_another_shape() {
    let mut state = StateDict::new();
    state.insert("a", WeightTensor { dtype: WeightDtype::F32, shape: vec![2, 2], data: vec![0.0; 3] });
    let dir = TempDir::new().expect("folder");
    for error in [
        state.write_torch(dir.path().join("a.pt"), "").expect_err("refused"),
        state.write_safetensors(dir.path().join("a.safetensors"), "").expect_err("refused"),
    ] {
        assert_eq!(explained(&error), "the state dict: tensor `a` has 3 elements, but shape [2, 2]");
    }
    assert_eq!(std::fs::read_dir(dir.path()).expect("folder").count(), 0, "nothing was written");
}

#[test]
fn checks_weights_against_the_configuration() {
    let mlp = config(true, 4);
    let state = weights(&mlp);
    state.check(&mlp).expect("its own configuration");
    let message = |config: &TrmConfig, state: &StateDict| explained(&state.check(config).expect_err("refused"));

    assert_eq!(
        message(&config(true, 9), &state),
        "the state dict: tensor `L_level.layers.0.mlp_t.gate_up_proj.weight` has shape [512, 5], expected [512, 10], \
         which is [2 · the inner width 256 of expansion 4 over prefix 1 + seq_len 9, prefix 1 + seq_len 9]\n\
         hint: are these the all_config.yaml and dataset.json of this checkpoint?"
    );
    assert_eq!(
        message(&config(false, 4), &state),
        "the state dict: the weights do not fit the configuration: it needs \
         `L_level.layers.0.self_attn.qkv_proj.weight`, `L_level.layers.0.self_attn.o_proj.weight`, which are not there, \
         and has no place for `L_level.layers.0.mlp_t.down_proj.weight`, `L_level.layers.0.mlp_t.gate_up_proj.weight`\n\
         hint: these are the weights of an MLP-T model: mlp_t should be true"
    );
    let deeper = TrmConfig { l_layers: 3, ..mlp.clone() };
    assert!(message(&deeper, &state).contains(
        "and 4 more, which are not there\nhint: the file has 1 layers in L_level: look at L_layers, which is 3"
    ));
    let mut more = state.clone();
    more.insert("extra", WeightTensor { dtype: WeightDtype::F32, shape: vec![1], data: vec![0.0] });
    assert!(message(&mlp, &more).contains("has no place for `extra`"), "{}", message(&mlp, &more));
    let last = format!("L_level.layers.{}.x", usize::MAX);
    more.insert(&last, WeightTensor { dtype: WeightDtype::F32, shape: vec![1], data: vec![0.0] });
    assert!(message(&mlp, &more).contains(&last), "{}", message(&mlp, &more));
}

#[test]
fn lays_out_both_architectures() {
    let attention = config(false, 4);
    let learned_hrm = TrmConfig {
        architecture: trm_models::Architecture::Hrm,
        pos_encodings: trm_models::PosEncodings::Learned,
        h_layers: 2,
        ..attention.clone()
    };
    let names = |config: &TrmConfig| layout(config).into_iter().map(|tensor| tensor.name).collect::<Vec<_>>();
    assert_eq!(
        names(&attention),
        [
            "H_init",
            "L_init",
            "embed_tokens.embedding_weight",
            "lm_head.weight",
            "q_head.weight",
            "q_head.bias",
            "puzzle_emb.weights",
            "L_level.layers.0.self_attn.qkv_proj.weight",
            "L_level.layers.0.self_attn.o_proj.weight",
            "L_level.layers.0.mlp.gate_up_proj.weight",
            "L_level.layers.0.mlp.down_proj.weight",
        ]
    );
    let hrm = names(&learned_hrm);
    assert_eq!(hrm.len(), names(&attention).len() + 1 + 2 * 4, "positions, and two blocks of four");
    assert!(hrm.contains(&"embed_pos.embedding_weight".to_owned()));
    assert!(hrm.contains(&"H_level.layers.1.self_attn.o_proj.weight".to_owned()));
}

/// The goldens' checkpoints were written by the public code, `_metadata`, prefixes, bfloat16 buffers and all.
#[test]
fn goldens_fit_their_configurations() {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/golden");
    let mut checked = 0;
    for entry in std::fs::read_dir(goldens).expect("folder") {
        let dir = entry.expect("entry").path();
        if !dir.is_dir() {
            continue;
        }
        let manifest = std::fs::read_to_string(dir.join("manifest.json")).expect("manifest");
        let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
        let size = |field: &str| usize::try_from(manifest["arch"][field].as_u64().expect(field)).expect(field);
        let source = ConfigSource::from_yaml_file(&dir.join("all_config.yaml")).expect("configuration");
        let source = source.seq_len(size("seq_len")).num_puzzle_identifiers(size("num_puzzle_identifiers"));
        let config = source.clone().vocab_size(size("vocab_size")).build().expect("complete");
        let state = StateDict::read(dir.join("step_1000")).expect("checkpoint");
        state.check(&config).expect("its own configuration");
        // Only recordings of the public code list the names.
        let Some(recorded) = manifest["state_dict"].as_object() else {
            assert!(config.mixer.has_board(), "{}: no names", dir.display());
            checked += 1;
            continue;
        };
        assert_eq!(state.len(), recorded.len());
        for (name, recorded) in recorded {
            let tensor = state.get(name.strip_prefix(DEFAULT_PREFIX).expect("prefix")).expect(name);
            let found = serde_json::json!([format!("torch.{}", tensor.dtype), tensor.shape]);
            assert_eq!(found, *recorded, "{name} of {}", dir.display());
        }

        let other = source.vocab_size(size("vocab_size") + 1).build().expect("complete");
        let message = explained(&state.check(&other).expect_err("another vocabulary"));
        assert!(message.contains("tensor `embed_tokens.embedding_weight` has shape"), "{message}");
        checked += 1;
    }
    assert!(checked >= 3, "{checked} goldens");
}
