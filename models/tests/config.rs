//! Configurations as people have them, and the ones that cannot work.

use std::path::Path;

use proptest::prelude::*;
use trm_models::{Architecture, ConfigRecord, ConfigSource, ModelError, PosEncodings, SettingSource, TrmConfig};

/// The public TRM configuration for sudoku, as training saves it.
const TRM: &str = "\
arch:
  H_cycles: 3
  H_layers: 0
  L_cycles: 6
  L_layers: 2
  expansion: 4
  forward_dtype: bfloat16
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 512
  loss:
    loss_type: stablemax_cross_entropy
    name: losses@ACTLossHead
  mlp_t: true
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  no_ACT_continue: true
  num_heads: 8
  pos_encodings: none
  puzzle_emb_len: 16
  puzzle_emb_ndim: 512
data_paths:
- data/sudoku
ema: true
load_checkpoint: null
lr: 0.0001
";

/// The public HRM configuration.
const HRM: &str = "\
arch:
  H_cycles: 2
  H_layers: 4
  L_cycles: 2
  L_layers: 4
  expansion: 4
  halt_exploration_prob: 0.1
  halt_max_steps: 16
  hidden_size: 512
  name: recursive_reasoning.hrm@HierarchicalReasoningModel_ACTV1
  num_heads: 8
  pos_encodings: rope
  puzzle_emb_ndim: 512
";

fn source(yaml: &str) -> ConfigSource {
    ConfigSource::from_yaml_str(yaml, "all_config.yaml")
        .expect("YAML")
        .seq_len(81)
        .vocab_size(11)
        .num_puzzle_identifiers(1)
}

fn build(yaml: &str) -> TrmConfig {
    source(yaml).build().unwrap_or_else(|error| panic!("{error}\n{yaml}"))
}

/// The TRM configuration with one line replaced, or left out.
fn with(field: &str, line: &str) -> String {
    let changed: Vec<String> = TRM
        .lines()
        .filter_map(|old| match old.trim_start().strip_prefix(field) {
            Some(rest) if rest.starts_with(':') && old.starts_with("  ") && !old.starts_with("    ") => {
                (!line.is_empty()).then(|| format!("  {line}"))
            }
            _ => Some(old.to_owned()),
        })
        .collect();
    assert_ne!(changed.join("\n"), TRM.trim_end(), "{field} was there");
    changed.join("\n")
}

fn refusal(yaml: &str) -> String {
    source(yaml).build().expect_err("refused").to_string()
}

#[test]
fn reads_the_public_trm_configuration() {
    let config = build(TRM);
    assert_eq!(
        config,
        TrmConfig {
            architecture: Architecture::Trm,
            seq_len: 81,
            vocab_size: 11,
            hidden_size: 512,
            num_heads: 8,
            expansion: 4.0,
            h_cycles: 3,
            l_cycles: 6,
            h_layers: 0,
            l_layers: 2,
            mlp_t: true,
            pos_encodings: PosEncodings::None,
            puzzle_emb_ndim: 512,
            puzzle_emb_len: 16,
            num_puzzle_identifiers: 1,
            halt_max_steps: 16,
            halt_exploration_prob: 0.1,
            no_act_continue: true,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            forward_dtype: "bfloat16".into(),
        }
    );
    assert_eq!((config.prefix_len(), config.total_len(), config.head_dim()), (16, 97, 64));
    assert_eq!((config.swiglu_inner(512), config.swiglu_inner(97)), (1536, 512));
    assert!(!config.halts_by_q_learning());
    assert!(build(&with("no_ACT_continue", "no_ACT_continue: false")).halts_by_q_learning());
}

#[test]
fn reads_the_public_hrm_configuration() {
    let config = build(HRM);
    assert_eq!((config.architecture, config.prefix_len(), config.h_layers), (Architecture::Hrm, 1, 4));
    assert!(config.halts_by_q_learning() && !config.mlp_t);
    assert_eq!(build(&HRM.replace("puzzle_emb_ndim: 512", "puzzle_emb_ndim: 513")).prefix_len(), 2);
    // The first release has attention only, whatever the configuration says, and no model without positions.
    let first = HRM.replace("recursive_reasoning.hrm@", "hrm.hrm_act_v1@");
    assert!(!build(&first.replace("num_heads", "mlp_t: true\n  num_heads")).mlp_t);
    assert_eq!(
        refusal(&first.replace("rope", "none")),
        "all_config.yaml: `pos_encodings` is `none`, expected rope or learned\n\
         hint: HRM's first release (hrm_act_v1) has no model without positions"
    );
    assert_eq!(build(&HRM.replace("rope", "none")).pos_encodings, PosEncodings::None, "the later code has");
    assert!(refusal(&HRM.replace("  H_layers: 4\n", "")).contains("`H_layers` is missing"));
}

#[test]
fn takes_numbers_as_the_reference_does() {
    for line in ["hidden_size: 512.0", "hidden_size: '512'", "hidden_size: \"512\"", "hidden_size: 5.12e2"] {
        assert_eq!(build(&with("hidden_size", line)).hidden_size, 512, "{line}");
    }
    assert_eq!(build(&with("expansion", "expansion: 2.5")).swiglu_inner(512), 1024);
    for (line, expected) in [("mlp_t: False", false), ("mlp_t: 'yes'", true), ("mlp_t: 0", false), ("mlp_t: on", true)]
    {
        assert_eq!(build(&with("mlp_t", line)).mlp_t, expected, "{line}");
    }
    let eps = build(&with("expansion", "expansion: 4\n  rms_norm_eps: 1e-06")).rms_norm_eps;
    assert!((eps - 1e-6).abs() < 1e-20, "{eps}");
    assert_eq!(build(&with("forward_dtype", "forward_dtype: half")).forward_dtype, "float16");
    assert_eq!(
        refusal(&with("hidden_size", "hidden_size: 4.5")),
        "all_config.yaml: `hidden_size` is 4.5, expected a whole number"
    );
    for value in ["-1", "1e300", ".nan", ".inf", "null", "[512]", "true", "many"] {
        let message = refusal(&with("hidden_size", &format!("hidden_size: {value}")));
        let start = "all_config.yaml: `hidden_size` is ";
        assert!(message.starts_with(start) && message.ends_with("expected a whole number"), "{value}: {message}");
    }
}

#[test]
fn reads_an_architecture_file_and_its_reference_to_a_sibling() {
    let bare = TRM
        .lines()
        .skip_while(|line| *line != "arch:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| &line[2..])
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(build(&bare), build(TRM));
    let sibling = with("puzzle_emb_ndim", "puzzle_emb_ndim: ${.hidden_size}");
    assert_eq!(build(&sibling), build(TRM));
    assert_eq!(
        refusal(&with("puzzle_emb_ndim", "puzzle_emb_ndim: ${oc.env:DIM}")),
        "all_config.yaml: `puzzle_emb_ndim` is \"${oc.env:DIM}\", expected a whole number\n\
         hint: use the resolved all_config.yaml that training saved"
    );
}

#[test]
fn names_the_missing_field_and_its_flag() {
    let bare = ConfigSource::from_yaml_str(TRM, "all_config.yaml").expect("YAML");
    assert_eq!(
        bare.build().expect_err("refused").to_string(),
        "all_config.yaml: field `seq_len` is missing\n\
         hint: pass --seq-len N, or --dataset with the data set's dataset.json"
    );
    let message = bare.clone().seq_len(81).build().expect_err("refused").to_string();
    assert!(message.contains("`vocab_size` is missing\nhint: pass --vocab N,"), "{message}");
    let message = bare.clone().seq_len(81).vocab_size(11).build().expect_err("refused").to_string();
    assert!(message.contains("hint: pass --num-puzzle-identifiers N,"), "{message}");
    for field in ["H_cycles", "L_cycles", "L_layers", "hidden_size", "num_heads", "expansion", "pos_encodings", "name"]
    {
        let message = refusal(&with(field, ""));
        assert!(
            message.contains(&format!("field `{field}` is missing\nhint: it is written under `arch:`")),
            "{message}"
        );
    }
    // Without a puzzle embedding nobody has to say how many puzzles there are.
    let no_embedding = TRM.replace("puzzle_emb_ndim: 512", "puzzle_emb_ndim: 0").replace("_len: 16", "_len: 0");
    let config = ConfigSource::from_yaml_str(&no_embedding, "x").expect("YAML").seq_len(81).vocab_size(11).build();
    assert_eq!(config.expect("complete").prefix_len(), 0);
}

#[test]
fn reads_dataset_json() {
    let dir = tempfile::tempdir().expect("folder");
    let dataset = dir.path().join("dataset.json");
    std::fs::write(
        &dataset,
        r#"{"pad_id": 0, "vocab_size": 6, "seq_len": 900, "num_puzzle_identifiers": 1, "sets": ["all"]}"#,
    )
    .expect("written");
    let yaml = format!("{TRM}seq_len: 900\n");
    let source = ConfigSource::from_yaml_str(&yaml, "all_config.yaml").and_then(|source| source.dataset_file(&dataset));
    let source = source.expect("both read");
    let config = source.build().expect("complete");
    assert_eq!((config.seq_len, config.vocab_size, config.num_puzzle_identifiers), (900, 6, 1));
    assert_eq!(source.clone().seq_len(81).build().expect("complete").seq_len, 81, "a flag wins");

    let other = ConfigSource::from_yaml_str(&yaml.replace("900", "81"), "all_config.yaml").expect("YAML");
    let message = other.dataset_file(&dataset).and_then(|source| source.build()).expect_err("refused").to_string();
    assert!(message.contains("`seq_len` is 900, expected 81 as in all_config.yaml\nhint: "), "{message}");
    assert!(message.contains("--seq-len N settles it"), "{message}");

    std::fs::write(&dataset, "{").expect("written");
    let broken = ConfigSource::from_yaml_str(TRM, "x").and_then(|source| source.dataset_file(&dataset));
    assert!(matches!(broken, Err(ModelError::ConfigSyntax { .. })));
}

#[test]
fn refuses_what_the_public_code_breaks_on() {
    let attention = TRM.replace("mlp_t: true", "mlp_t: false");
    for (yaml, expected) in [
        (
            with("puzzle_emb_ndim", "puzzle_emb_ndim: 0"),
            "puzzle_emb_len is 16 but puzzle_emb_ndim is 0: the public code then reserves 16 prefix positions that it \
             never fills, adds states of 97 positions to embeddings of 81, and cuts 16 cells off the logits\n\
             hint: a model without puzzle embedding needs puzzle_emb_len: 0 (left out, it is 16)",
        ),
        (
            with("puzzle_emb_ndim", "puzzle_emb_ndim: 8193"),
            "puzzle_emb_ndim 8193 does not fit into puzzle_emb_len 16 positions of hidden_size 512 (8192 numbers)\n\
             hint: puzzle_emb_len: 0 makes as many positions as the embedding needs",
        ),
        (attention.replace("num_heads: 8", "num_heads: 7"), "hidden_size 512 is not a multiple of num_heads 7"),
        (attention.replace("num_heads: 8", "num_heads: 0"), "num_heads is 0, expected 1 to 65536"),
        (
            attention.replace("num_heads: 8", "num_heads: 512").replace("pos_encodings: none", "pos_encodings: rope"),
            "hidden_size 512 with num_heads 512 gives heads of width 1, and rope needs an even width",
        ),
        (with("expansion", "expansion: 0"), "expansion is 0, expected more than 0 and at most 1024"),
        (with("expansion", "expansion: 1e-4"), "expansion 0.0001 leaves no inner width for a SwiGLU over 97"),
        (with("H_cycles", "H_cycles: 0"), "H_cycles is 0, expected 1 to 65536"),
        (with("L_layers", "L_layers: 70000"), "L_layers is 70000, expected 1 to 65536"),
        (
            with("L_cycles", "L_cycles: 60000"),
            "H_cycles 3 with L_cycles 60000 and 2 layers is more than 16384 blocks an ACT step",
        ),
        (
            with("halt_exploration_prob", "halt_exploration_prob: 2"),
            "halt_exploration_prob is 2, expected a probability",
        ),
        (
            with("forward_dtype", "forward_dtype: int8"),
            "all_config.yaml: `forward_dtype` is `int8`, expected one of float32, bfloat16, float16, float64",
        ),
        (
            with("pos_encodings", "pos_encodings: sine"),
            "all_config.yaml: `pos_encodings` is `sine`, expected rope, learned or none\n\
             hint: the public code takes any other word for none without saying so; if the model was trained like that, \
             write none",
        ),
    ] {
        assert_eq!(refusal(&yaml), expected);
    }
    assert_eq!(build(&TRM.replace("num_heads: 8", "num_heads: 7")).num_heads, 7, "MLP-T has no heads");
    let message = source(TRM).seq_len(0).build().expect_err("refused").to_string();
    assert_eq!(message, "seq_len is 0, expected 1 to 65536");
    let message = source(TRM).num_puzzle_identifiers(0).build().expect_err("refused").to_string();
    assert_eq!(message, "num_puzzle_identifiers is 0, expected 1 to 134217728");
}

/// The class decides what is computed; a class of the same name in another module may compute something else.
#[test]
fn only_known_classes_are_taken() {
    assert_eq!(
        refusal(&TRM.replace("recursive_reasoning.trm@", "recursive_reasoning.trm_singlez@")),
        "all_config.yaml: `name` is `recursive_reasoning.trm_singlez@TinyRecursiveReasoningModel_ACTV1`, a class that is \
         not known here; known are recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, \
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
    let message = source(TRM).assume(Architecture::Hrm).build().expect_err("refused").to_string();
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
    assert!(source(&misplaced).set("mlp_t", "true").and_then(|source| source.build()).expect("settled").mlp_t);
    assert!(!source(&misplaced).ignore("mlp_t").build().expect("settled").mlp_t);
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
        message.to_string().contains("`seqlen` stands where the public code reads no setting; it reads `seq_len`\n")
    );
    assert_eq!(source(&sizes).resolve().expect("settled").1.ignored, ["seqlen"], "an option says what holds");
    // Sizes of the data set may stand beside `arch:`, if they agree with those under it.
    let twice = format!("{}\nseq_len: 9\n", with("mlp_t", "mlp_t: true\n  seq_len: 81"));
    let bare = ConfigSource::from_yaml_str(&twice, "all_config.yaml").expect("YAML").vocab_size(11);
    let message = bare.num_puzzle_identifiers(1).build().expect_err("refused").to_string();
    assert!(message.contains("`seq_len` is 9, expected 81 as in all_config.yaml"), "{message}");
    assert_eq!(build(&twice).seq_len, 81, "an option settles it");
    let scalar = refusal("arch: trm\n");
    assert!(scalar.contains("field `name` is missing") || scalar.contains("`arch` is"), "{scalar}");
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
    let attention = TrmConfig { mlp_t: false, pos_encodings: PosEncodings::Rope, ..config };
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
    let refused = |key: &str, value: &str| set(key, value).expect_err("refused").to_string();
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
    let ignored = |key: &str| source(TRM).ignore(key).build().expect_err("refused").to_string();
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
    let error = source.ignore("nothing").build().expect_err("refused").to_string();
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
    let twice = with(&format!("{{{sizes}, \"seq_len\": 81}}")).expect_err("refused").to_string();
    assert!(twice.contains("duplicate key `seq_len`"), "{twice}");
    let misspelled = with(&format!("{{{sizes}, \"Seq_Len\": 81}}")).and_then(|s| s.build()).expect_err("refused");
    assert!(misspelled.to_string().contains("it reads `seq_len`\n"), "{misspelled}");
    let (_, record) =
        with(&format!("{{{sizes}, \"pad_id\": 0, \"colour\": 1}}")).and_then(|s| s.resolve()).expect("read");
    assert_eq!(record.unknown, ["dataset.json: colour"]);
    let padded = with(&format!("{{{sizes}, \"pad_id\": 5}}")).expect("read");
    let message = padded.build().expect_err("refused").to_string();
    assert!(
        message.contains("`pad_id` is 5, expected 0, as the public data sets have it\nhint: --ignore pad_id"),
        "{message}"
    );
    assert_eq!(padded.ignore("pad_id").resolve().expect("read").1.ignored, ["pad_id"]);
}

#[test]
fn refuses_what_is_no_configuration() {
    for (text, part) in [
        ("", "all_config.yaml: not a model configuration: "),
        ("just words", "not a mapping of fields"),
        ("- a\n- b", "not a mapping of fields"),
        ("arch: [", "all_config.yaml: not a model configuration: "),
        ("a: 1\na: 2", "duplicate"),
        ("arch:\n  mlp_t: true\n  mlp_t: false", "duplicate"),
    ] {
        let message = ConfigSource::from_yaml_str(text, "all_config.yaml").expect_err("refused").to_string();
        assert!(message.contains(part), "{text:?}: {message}");
        assert_eq!(message.lines().count(), 2, "one line and a hint: {message}");
        assert!(message.ends_with("hint: expected the all_config.yaml beside the checkpoint"), "{message}");
    }
    // Every line repeats the one before nine times.
    let lines = (1..30).map(|i| format!("a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", ")));
    let bomb = format!("a0: &a0 [x]\n{}", lines.collect::<Vec<_>>().join("\n"));
    let start = std::time::Instant::now();
    assert!(ConfigSource::from_yaml_str(&bomb, "all_config.yaml").is_err());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn refuses_files_that_cannot_be_configurations() {
    let dir = tempfile::tempdir().expect("folder");
    let large = dir.path().join("large.yaml");
    std::fs::File::create(&large).and_then(|file| file.set_len(100 << 20)).expect("written");
    let message = ConfigSource::from_yaml_file(&large).expect_err("refused").to_string();
    assert!(message.ends_with("is 104857600 bytes, more than the 1048576 that a configuration may have"), "{message}");
    let message = ConfigSource::from_yaml_file(dir.path()).expect_err("refused").to_string();
    assert_eq!(message, format!("cannot read {}", dir.path().display()));
    let binary = dir.path().join("binary.yaml");
    std::fs::write(&binary, [0xff, 0xfe, 0]).expect("written");
    let message = ConfigSource::from_yaml_file(&binary).expect_err("refused").to_string();
    assert!(message.contains("not UTF-8 text"), "{message}");
    assert!(ConfigSource::from_yaml_file(Path::new("no/such/file.yaml")).is_err());
}

#[test]
fn rounds_swiglu_widths_as_python_does() {
    let inner = |expansion, width| TrmConfig { expansion, ..build(TRM) }.swiglu_inner(width);
    // round(4 * 96 * 2 / 3) is 256 exactly; one more needs the next multiple.
    assert_eq!((inner(4.0, 96), inner(4.0, 97), inner(4.0, 916)), (256, 512, 2560));
    // 256.5 rounds to 256, the even neighbour; 257.5 to 258.
    assert_eq!((inner(3.0, 128), inner(2.003_906_25, 192), inner(2.011_718_75, 192)), (256, 256, 512));
}

proptest! {
    #[test]
    fn survives_any_text(text in ".{0,200}") {
        if let Ok(source) = ConfigSource::from_yaml_str(&text, "x") {
            let _ = source.build();
        }
    }

    #[test]
    fn survives_any_values(
        sizes in prop::collection::vec(prop_oneof![0_usize..40, any::<usize>()], 11),
        expansion in any::<f64>(),
        flags in any::<(bool, bool, bool)>(),
    ) {
        let config = TrmConfig {
            architecture: if flags.0 { Architecture::Hrm } else { Architecture::Trm },
            seq_len: sizes[0], vocab_size: sizes[1], hidden_size: sizes[2], num_heads: sizes[3], expansion,
            h_cycles: sizes[4], l_cycles: sizes[5], h_layers: sizes[6], l_layers: sizes[7], mlp_t: flags.1,
            pos_encodings: if flags.2 { PosEncodings::Rope } else { PosEncodings::Learned },
            puzzle_emb_ndim: sizes[8], puzzle_emb_len: sizes[9], num_puzzle_identifiers: sizes[10],
            ..build(TRM)
        };
        // Whatever passes has a consistent arithmetic.
        if config.validate().is_ok() {
            prop_assert!(config.prefix_len() * config.hidden_size >= config.puzzle_emb_ndim);
            prop_assert!(config.swiglu_inner(config.hidden_size) > 0);
            prop_assert!(config.mlp_t || config.head_dim() * config.num_heads == config.hidden_size);
        }
    }

    #[test]
    fn survives_a_round_trip_through_json(seq_len in 1_usize..1000, vocab_size in 1_usize..100) {
        let config = source(TRM).seq_len(seq_len).vocab_size(vocab_size).build().expect("valid");
        let json = serde_json::to_string(&config).expect("written");
        prop_assert!(json.contains("\"H_cycles\":3") && json.contains("\"no_ACT_continue\":true"));
        prop_assert_eq!(serde_json::from_str::<TrmConfig>(&json).expect("read"), config);
    }
}
