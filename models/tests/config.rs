//! Configurations as people have them, and the ones that cannot work.

mod common;

use std::path::Path;

use common::{HRM, TRM, build, refusal, source, with};
use proptest::prelude::*;
use trm_intake::explained;
use trm_models::{Architecture, ConfigSource, Mixer, ModelError, PosEncodings, TrmConfig};

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
            mixer: Mixer::MlpT,
            pos_encodings: PosEncodings::None,
            puzzle_emb_ndim: 512,
            puzzle_emb_len: 16,
            num_puzzle_identifiers: 1,
            halt_max_steps: 16,
            halt_exploration_prob: 0.1,
            no_act_continue: true,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            board: None,
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
    assert!(config.halts_by_q_learning() && config.mixer == Mixer::Attention);
    assert_eq!(build(&HRM.replace("puzzle_emb_ndim: 512", "puzzle_emb_ndim: 513")).prefix_len(), 2);
    // The first release has attention only, whatever the configuration says, and no model without positions.
    let first = HRM.replace("recursive_reasoning.hrm@", "hrm.hrm_act_v1@");
    assert_eq!(build(&first.replace("num_heads", "mlp_t: true\n  num_heads")).mixer, Mixer::Attention);
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
        assert_eq!(build(&with("mlp_t", line)).mixer == Mixer::MlpT, expected, "{line}");
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
        explained(&bare.build().expect_err("refused")),
        "all_config.yaml: field `seq_len` is missing\n\
         hint: pass --seq-len N, or --dataset with the data set's dataset.json"
    );
    let message = explained(&bare.clone().seq_len(81).build().expect_err("refused"));
    assert!(message.contains("`vocab_size` is missing\nhint: pass --vocab N,"), "{message}");
    let message = explained(&bare.clone().seq_len(81).vocab_size(11).build().expect_err("refused"));
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
    let refused = other.dataset_file(&dataset).and_then(|source| source.build()).expect_err("refused");
    let message = explained(&refused);
    assert!(message.contains("`seq_len` is 900, expected 81 as in all_config.yaml\nhint: "), "{message}");
    assert!(message.contains("--seq-len N settles it"), "{message}");

    std::fs::write(&dataset, "{").expect("written");
    let broken = ConfigSource::from_yaml_str(TRM, "x").and_then(|source| source.dataset_file(&dataset));
    assert!(matches!(broken, Err(ModelError::DatasetSyntax { .. })));
    for broken in [b"{".as_slice(), b"[]", b"\xff"] {
        std::fs::write(&dataset, broken).expect("written");
        let source = ConfigSource::from_yaml_str(TRM, "x").and_then(|source| source.dataset_file(&dataset));
        let message = explained(&source.expect_err("refused"));
        assert!(message.contains(": not the description of a data set: "), "{message}");
        assert!(message.ends_with("hint: expected the dataset.json that lies in the data set's folders"), "{message}");
    }
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
    let message = explained(&source(TRM).seq_len(0).build().expect_err("refused"));
    assert_eq!(message, "seq_len is 0, expected 1 to 65536");
    let message = explained(&source(TRM).num_puzzle_identifiers(0).build().expect_err("refused"));
    assert_eq!(message, "num_puzzle_identifiers is 0, expected 1 to 134217728");
}

/// Words of the parser's messages that mean nothing to the owner of a file.
const OF_THE_PARSER: [&str; 5] = ["Options", "from_str", "budget", "Events", "weak"];

#[test]
fn a_number_with_a_leading_zero_is_refused_by_name() {
    for (field, found) in
        [("halt_max_steps", "016"), ("halt_exploration_prob", "01"), ("H_cycles", "007"), ("L_cycles", "08")]
    {
        let message = refusal(&with(field, &format!("{field}: {found}")));
        assert!(message.starts_with(&format!("all_config.yaml: `{field}` is ")), "{message}");
        assert!(message.ends_with("016 as 14: write the number meant without it"), "{message}");
    }
    let set = source(TRM).set("halt_max_steps", "016").and_then(|source| source.build());
    assert!(explained(&set.expect_err("refused")).contains("write the number meant without it"));
    assert_eq!(build(&with("halt_max_steps", "halt_max_steps: 16.0")).halt_max_steps, 16);
}

#[test]
fn refuses_what_is_no_configuration() {
    for (text, part) in [
        ("", "all_config.yaml: not a model configuration: "),
        ("just words", "not a mapping of fields"),
        ("- a\n- b", "not a mapping of fields"),
        ("arch: [", "all_config.yaml: not a model configuration: "),
        ("a: 1\na: 2", "key `a` is there twice (line 2"),
        ("arch:\n  mlp_t: true\n  mlp_t: false", "key `mlp_t` is there twice (line 3"),
        ("a: 1\n---\nb: 2", "there is more than one document in it"),
        ("a: &a [*a]", "an alias stands for what it is a part of"),
    ] {
        let message = explained(&ConfigSource::from_yaml_str(text, "all_config.yaml").expect_err("refused"));
        assert!(message.contains(part), "{text:?}: {message}");
        assert_eq!(message.lines().count(), 2, "one line and a hint: {message}");
        for word in OF_THE_PARSER {
            assert!(!message.contains(word), "{message}");
        }
        assert!(message.ends_with("hint: expected the all_config.yaml beside the checkpoint"), "{message}");
    }
    // Every line repeats the one before nine times.
    let lines = (1..30).map(|i| format!("a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", ")));
    let bomb = format!("a0: &a0 [x]\n{}", lines.collect::<Vec<_>>().join("\n"));
    let start = std::time::Instant::now();
    for text in [bomb, format!("a: [{}]", "1, ".repeat(110_000)), format!("a: {}{}", "[".repeat(90), "]".repeat(90))] {
        let message = explained(&ConfigSource::from_yaml_str(&text, "all_config.yaml").expect_err("refused"));
        assert!(message.contains("it has more values, aliases or levels of nesting than are read"), "{message}");
    }
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn refuses_files_that_cannot_be_configurations() {
    let dir = tempfile::tempdir().expect("folder");
    let large = dir.path().join("large.yaml");
    std::fs::File::create(&large).and_then(|file| file.set_len(100 << 20)).expect("written");
    let message = explained(&ConfigSource::from_yaml_file(&large).expect_err("refused"));
    assert!(message.ends_with("is 104857600 bytes, more than the 1048576 that a configuration may have"), "{message}");
    let message = explained(&ConfigSource::from_yaml_file(dir.path()).expect_err("refused"));
    assert_eq!(message, format!("cannot read {}", dir.path().display()));
    let binary = dir.path().join("binary.yaml");
    std::fs::write(&binary, [0xff, 0xfe, 0]).expect("written");
    let message = explained(&ConfigSource::from_yaml_file(&binary).expect_err("refused"));
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
            h_cycles: sizes[4], l_cycles: sizes[5], h_layers: sizes[6], l_layers: sizes[7], mixer: Mixer::from_mlp_t(flags.1),
            pos_encodings: if flags.2 { PosEncodings::Rope } else { PosEncodings::Learned },
            puzzle_emb_ndim: sizes[8], puzzle_emb_len: sizes[9], num_puzzle_identifiers: sizes[10],
            ..build(TRM)
        };
        // Whatever passes has a consistent arithmetic.
        if config.validate().is_ok() {
            prop_assert!(config.prefix_len() * config.hidden_size >= config.puzzle_emb_ndim);
            prop_assert!(config.swiglu_inner(config.hidden_size) > 0);
            prop_assert!(config.mixer == Mixer::MlpT || config.head_dim() * config.num_heads == config.hidden_size);
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
