//! Every key of a configuration is accounted for: known classes and settings, misplaced and misspelled ones, options.

mod common;

use common::{HRM, TRM, build, refusal, source, with};
use trm_intake::explained;
use trm_models::{Architecture, Board, ConfigRecord, ConfigSource, Mixer, PosEncodings, SettingSource, TrmConfig};

/// The class decides what is computed; a class of the same name in another module may compute something else.
#[test]
fn only_known_classes_are_taken() {
    assert_eq!(
        refusal(&TRM.replace("recursive_reasoning.trm@", "recursive_reasoning.trm_singlez@")),
        "all_config.yaml: `name` is `recursive_reasoning.trm_singlez@TinyRecursiveReasoningModel_ACTV1`, a class that is \
         not known here; known are recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, \
         recursive_reasoning.symmetric@SymmetricReasoningModel_ACTV1, \
         recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1, hrm.hrm_act_v1@HierarchicalReasoningModel_ACTV1\n\
         hint: a fork may compute something else under a class of the same name; if this one computes what the public \
         trm.py or hrm.py does, --assume-class trm or --assume-class hrm takes it"
    );
    for name in [
        "trm",
        "recursive_reasoning.trm",
        "recursive_reasoning.trm@SomethingElse",
        "x.trm@TinyRecursiveReasoningModel_ACTV1",
    ] {
        let yaml = with("name", &format!("name: {name}"));
        assert!(refusal(&yaml).contains(&format!("`name` is `{name}`, a class that is not known here")), "{name}");
        let (config, record) = source(&yaml).assume(Architecture::Trm).resolve().expect("assumed");
        assert_eq!(config, build(TRM), "{name}");
        assert_eq!((record.assumed, record.class.as_deref()), (Some(Architecture::Trm), Some(name)));
    }
    // Some forks write the package in front.
    assert_eq!(build(&TRM.replace("name: recursive", "name: models.recursive")), build(TRM));
    // Without a name it has to be said; with a known one it cannot be said otherwise.
    let nameless = with("name", "");
    assert!(refusal(&nameless).contains("--assume-class trm or --assume-class hrm says it"));
    assert_eq!(source(&nameless).assume(Architecture::Trm).build().expect("assumed"), build(TRM));
    let message = explained(&source(TRM).assume(Architecture::Hrm).build().expect_err("refused"));
    assert!(
        message.contains("expected a class of HRM, as --assume-class says\nhint: this class is known"),
        "{message}"
    );
    let (_, record) = source(TRM).assume(Architecture::Trm).resolve().expect("known");
    assert_eq!(record.assumed, None, "nothing was assumed");
}

#[test]
fn unknown_settings_are_named_with_the_nearest_known_one() {
    let misspelled = with("mlp_t", "mlp_T: true");
    assert_eq!(
        refusal(&misspelled),
        "all_config.yaml: nothing is known of `arch.mlp_T` (is `mlp_t` meant?)\n\
         hint: a setting may change what the model computes: correct the key, or leave it out by --ignore mlp_T"
    );
    let fork = with("mlp_t", "mlp_t: true\n  adaptive_depth_controller: true\n  hiden_size: 3");
    let message = refusal(&fork);
    assert!(
        message.starts_with("all_config.yaml: nothing is known of `arch.adaptive_depth_controller`, `arch.hiden_size` (is `hidden_size` meant?)\n"),
        "{message}"
    );
    assert!(message.ends_with("by --ignore adaptive_depth_controller --ignore hiden_size"), "{message}");
    let ignoring = source(&fork).ignore("arch.adaptive_depth_controller").ignore("hiden_size");
    let (config, record) = ignoring.resolve().expect("ignored");
    assert_eq!(config, build(TRM));
    assert_eq!(record.ignored, ["arch.adaptive_depth_controller", "arch.hiden_size"]);
    // The same in a bare architecture file, where training's keys stand beside.
    let bare = "lr: 1\nname: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1\nresidual: true\n";
    assert!(refusal(bare).contains("nothing is known of `residual`\n"), "{}", refusal(bare));
    // `causal: false` is what the public code passes itself.
    assert_eq!(build(&with("mlp_t", "mlp_t: true\n  causal: false")), build(TRM));
    assert!(refusal(&with("mlp_t", "mlp_t: true\n  causal: true")).contains("`arch.causal`"));
    // Hundreds of keys are counted, and no terminal obeys one.
    let many = (0..500).map(|i| format!("\n  \"k{i}\\e[2J\": 1")).collect::<Vec<_>>().concat();
    let message = refusal(&with("mlp_t", &format!("mlp_t: true{many}")));
    assert!(message.contains("`arch.k0\\u{1b}[2J`") && message.contains(", and 492 more\n"), "{message}");
    assert!(!message.contains('\u{1b}') && message.len() < 2000, "{message}");
}

#[test]
fn settings_in_the_wrong_place_are_neither_used_nor_passed_over() {
    // The public code reads `arch:` only: with an MLP-T of its own, this model has attention.
    let attention = TRM.replace("  mlp_t: true\n", "");
    let misplaced = format!("{attention}mlp_t: true\n");
    assert_eq!(
        refusal(&misplaced),
        "all_config.yaml: `mlp_t` stands where the public code reads no setting; it reads `mlp_t` under `arch:`\n\
         hint: --set mlp_t=VALUE settles what holds, --ignore mlp_t leaves the key out"
    );
    assert!(
        !source(&misplaced).set("mlp_t", "true").and_then(|source| source.build()).expect("settled").mixer.has_heads()
    );
    assert!(source(&misplaced).ignore("mlp_t").build().expect("settled").mixer.has_heads());
    for key in ["MLP_T", "halt-max-steps"] {
        let message = refusal(&format!("{TRM}{key}: 1\n"));
        assert!(
            message.contains(&format!("`{key}` stands where the public code reads no setting; it reads")),
            "{message}"
        );
    }
    let sizes = format!("{TRM}seqlen: 81\n");
    let message = ConfigSource::from_yaml_str(&sizes, "x").and_then(|source| source.build()).expect_err("refused");
    assert!(
        explained(&message).contains("`seqlen` stands where the public code reads no setting; it reads `seq_len`\n")
    );
    assert_eq!(source(&sizes).resolve().expect("settled").1.ignored, ["seqlen"], "an option says what holds");
    // Sizes of the data set may stand beside `arch:`, if they agree with those under it.
    let twice = format!("{}\nseq_len: 9\n", with("mlp_t", "mlp_t: true\n  seq_len: 81"));
    let bare = ConfigSource::from_yaml_str(&twice, "all_config.yaml").expect("YAML").vocab_size(11);
    let message = explained(&bare.num_puzzle_identifiers(1).build().expect_err("refused"));
    assert!(message.contains("`seq_len` is 9, expected 81 as in all_config.yaml"), "{message}");
    assert_eq!(build(&twice).seq_len, 81, "an option settles it");
    let nameless = refusal("arch: trm\n");
    assert!(nameless.contains("field `name` is missing"), "{nameless}");
    let scalar = refusal("arch: trm\nname: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1\n");
    assert!(scalar.contains("`arch` is \"trm\", expected the model's settings"), "{scalar}");
}

#[test]
fn every_key_of_the_public_files_is_accounted_for() {
    let public = format!(
        "{TRM}beta1: 0.9\nbeta2: 0.95\ncheckpoint_every_eval: true\ncheckpoint_path: x\ndata_paths_test: []\nema_rate: 0.999\n\
         epochs: 5\neval_interval: 5\neval_save_outputs: []\nevaluators: []\nfreeze_weights: false\nglobal_batch_size: 3\n\
         lr_min_ratio: 1.0\nlr_warmup_steps: 2000\nmin_eval_interval: 0\nproject_name: x\npuzzle_emb_lr: 0.0001\n\
         puzzle_emb_weight_decay: 1.0\nrun_name: x\nseed: 0\nweight_decay: 1.0\n"
    );
    let (_, record) = source(&public).resolve().expect("complete");
    assert_eq!((record.unknown.len(), record.ignored.len()), (0, 0), "{record:?}");
    assert_eq!(record.files, ["all_config.yaml"]);
    let (config, record) = source(&format!("{TRM}curriculum: true\nname: a run\n")).resolve().expect("complete");
    assert_eq!(record.unknown, ["all_config.yaml: curriculum", "all_config.yaml: name"]);
    assert_eq!(config, build(TRM));
    // What HRM's class does not read is no setting of it.
    let (config, record) = source(&HRM.replace("num_heads", "puzzle_emb_len: 16\n  num_heads")).resolve().expect("HRM");
    assert_eq!(config.puzzle_emb_len, 0);
    assert_eq!(record.unused, ["arch.puzzle_emb_len"]);
    assert_eq!(record.source("puzzle_emb_len"), Some(&SettingSource::Class));
}

#[test]
fn the_record_says_where_each_setting_came_from() {
    let changed =
        source(&with("forward_dtype", "")).set("arch.H_cycles", "4").and_then(|s| s.set("rms_norm_eps", "1e-6"));
    let (config, record) = changed.and_then(|source| source.resolve()).expect("complete");
    assert_eq!((config.h_cycles, config.rms_norm_eps), (4, 1e-6));
    let option = |option: &str| SettingSource::Option { option: option.to_owned() };
    let file = |key: &str| SettingSource::File { file: "all_config.yaml".to_owned(), key: key.to_owned() };
    for (setting, expected) in [
        ("H_cycles", option("--set")),
        ("rms_norm_eps", option("--set")),
        ("seq_len", option("--seq-len")),
        ("L_cycles", file("arch.L_cycles")),
        ("rope_theta", SettingSource::Default),
        ("forward_dtype", SettingSource::Default),
    ] {
        assert_eq!(record.source(setting), Some(&expected), "{setting}");
    }
    let json = serde_json::to_string(&record).expect("JSON");
    assert!(
        json.contains(r#""L_cycles":{"value":6,"from":"file","file":"all_config.yaml","key":"arch.L_cycles"}"#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<ConfigRecord>(&json).expect("the same"), record);
    let unconfirmed: Vec<_> = config.unconfirmed().into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        unconfirmed,
        ["H_cycles", "L_cycles", "rms_norm_eps", "halt_max_steps", "no_ACT_continue", "forward_dtype"]
    );
    let attention = TrmConfig { mixer: Mixer::Attention, pos_encodings: PosEncodings::Rope, ..config };
    let unconfirmed: Vec<_> = attention.unconfirmed().into_iter().map(|(name, _)| name).collect();
    for setting in ["num_heads", "pos_encodings", "rope_theta", "seq_len", "puzzle_emb_len"] {
        assert!(unconfirmed.contains(&setting), "{setting}");
    }
    // The table among the weights is the last resort.
    let bare = ConfigSource::from_yaml_str(TRM, "x.yaml").expect("YAML").seq_len(81).vocab_size(11).table_rows(7);
    let (config, record) = bare.resolve().expect("complete");
    assert_eq!(
        (config.num_puzzle_identifiers, record.source("num_puzzle_identifiers")),
        (7, Some(&SettingSource::Weights))
    );
}

#[test]
fn options_are_read_as_strictly_as_files() {
    let set = |key: &str, value: &str| source(TRM).set(key, value).and_then(|source| source.build());
    let refused = |key: &str, value: &str| explained(&set(key, value).expect_err("refused"));
    assert_eq!(refused("mlp_T", "true"), "--set: there is no setting `mlp_T`\nhint: is `mlp_t` meant?");
    assert!(
        refused("zzz", "1").starts_with("--set: there is no setting `zzz`\nhint: the settings are name, H_cycles,")
    );
    assert_eq!(refused("H_cycles", "many"), "--set: `H_cycles` is \"many\", expected a whole number");
    assert_eq!(
        refused("seq_len", "81"),
        "--set: `seq_len` is given twice, the first time by --seq-len\nhint: give it once"
    );
    assert!(refused("H_cycles", "0").starts_with("H_cycles is 0, expected 1 to"));
    assert!(refused("name", "trm").starts_with("--set: `name` is `trm`, a class that is not known here"));
    assert!(refused("a\u{1b}[2J", "1").starts_with("--set: there is no setting `a\\u{1b}[2J`"));
    let ignored = |key: &str| explained(&source(TRM).ignore(key).build().expect_err("refused"));
    assert_eq!(
        ignored("hidden_size"),
        "--ignore: `hidden_size` is a setting that the model needs\nhint: --set hidden_size=VALUE changes it"
    );
    assert!(ignored("no_such").starts_with("--ignore: there is no key `no_such` in all_config.yaml\nhint: "));
}

#[test]
fn fields_from_elsewhere_are_a_configuration_too() {
    let fields: serde_json::Value = serde_json::json!({
        "name": "recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1", "H_cycles": 3, "L_cycles": 6, "L_layers": 2,
        "hidden_size": 512, "num_heads": 8, "expansion": 4, "mlp_t": true, "pos_encodings": "none", "halt_max_steps": 16,
        "halt_exploration_prob": 0.1, "puzzle_emb_ndim": 512, "seq_len": 81, "vocab_size": 11, "model_type": "trm",
    });
    let serde_json::Value::Object(fields) = fields else { unreachable!() };
    let source = ConfigSource::from_fields(fields, "step_1000: hyper_parameters").expect("fields").table_rows(1);
    assert_eq!(source.build().expect("complete"), build(TRM));
    let error = explained(&source.ignore("nothing").build().expect_err("refused"));
    assert!(error.contains("in step_1000: hyper_parameters"), "{error}");
}

#[test]
fn dataset_json_is_accounted_for() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("dataset.json");
    let with = |text: &str| {
        std::fs::write(&path, text).expect("written");
        ConfigSource::from_yaml_str(TRM, "all_config.yaml").and_then(|source| source.dataset_file(&path))
    };
    let sizes = r#""vocab_size": 6, "seq_len": 900, "num_puzzle_identifiers": 1"#;
    let twice = explained(&with(&format!("{{{sizes}, \"seq_len\": 81}}")).expect_err("refused"));
    assert!(twice.contains("duplicate key `seq_len`"), "{twice}");
    let misspelled = with(&format!("{{{sizes}, \"Seq_Len\": 81}}")).and_then(|s| s.build()).expect_err("refused");
    assert!(explained(&misspelled).contains("it reads `seq_len`\n"), "{misspelled}");
    let (_, record) =
        with(&format!("{{{sizes}, \"pad_id\": 0, \"colour\": 1}}")).and_then(|s| s.resolve()).expect("read");
    assert_eq!(record.unknown, ["dataset.json: colour"]);
    let padded = with(&format!("{{{sizes}, \"pad_id\": 5}}")).expect("read");
    let message = explained(&padded.build().expect_err("refused"));
    assert!(
        message.contains("`pad_id` is 5, expected 0, as the public data sets have it\nhint: --ignore pad_id"),
        "{message}"
    );
    assert_eq!(padded.ignore("pad_id").resolve().expect("read").1.ignored, ["pad_id"]);
}

/// The project's own architecture in the public code: its mixer and board, and no positions.
#[test]
fn the_symmetric_architecture_says_its_mixer_and_board() {
    let yaml = |mixer: &str, board: &str| {
        format!(
            "arch: {{name: recursive_reasoning.symmetric@SymmetricReasoningModel_ACTV1, mixer: {mixer}, board: {board}, \
             H_cycles: 2, L_cycles: 2, L_layers: 2, hidden_size: 32, expansion: 2, puzzle_emb_ndim: 0, \
             halt_max_steps: 16, halt_exploration_prob: 0.1, loss: {{name: losses@ACTLossHead}}}}"
        )
    };
    let read = |text: &str| {
        ConfigSource::from_yaml_str(text, "all_config.yaml").expect("YAML").seq_len(36).vocab_size(8).build()
    };
    let config =
        read(&yaml("candidates", "{height: 6, width: 6, groups: [rows, columns, {boxes: [2, 3]}]}")).expect("valid");
    assert_eq!(config.mixer, Mixer::Candidates);
    assert_eq!(config.board, Some(Board::sudoku(2, 3)));
    assert_eq!((config.total_len(), config.prefix_len(), config.swiglu_inner(32)), (216, 0, 64));
    let config = read(&yaml("grid", "{height: 4, width: 9}")).expect("valid");
    assert_eq!((config.mixer, config.board), (Mixer::Grid, Some(Board::grid(4, 9))));
    for (text, expected) in [
        (yaml("mlp_t", "{height: 6, width: 6}"), "mixer"),
        (yaml("grid", "{height: 6}"), "board"),
        (yaml("grid", "{height: 6, width: 5}"), "board of 6x5 cells for a seq_len of 36"),
    ] {
        let error = read(&text).expect_err("accepted").to_string();
        assert!(error.contains(expected), "{error}");
    }
}
