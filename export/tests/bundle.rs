//! Bundles made of golden checkpoints: complete, repeatable, and with a self-test that fits.

use std::path::Path;

mod common;

use common::golden;
use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor};
use trm_export::onnx::OnnxSummary;
use trm_export::onnx::write::{encode, encode_with_limit};
use trm_export::trm::{FloatType, GraphOptions, build_graph};
use trm_export::{BundleRequest, ExportError, Sample, export_bundle};
use trm_models::{GraphKind, ModelBundle, TaskKind, TaskSpec, TrmConfig};

fn request<'a>(config: &'a TrmConfig, weights: &'a StateDict, float: FloatType) -> BundleRequest<'a> {
    BundleRequest {
        name: "maze-10".into(),
        task: TaskSpec {
            kind: TaskKind::Maze,
            height: 10,
            width: 10,
            box_height: None,
            box_width: None,
            vocabulary: ["pad", "#", " ", "S", "G", "o"].map(str::to_owned).to_vec(),
        },
        config,
        weights,
        graphs: GraphKind::ALL.into(),
        options: GraphOptions { float, unrolled_steps: Some(2), ..GraphOptions::default() },
        sample: Sample { tokens: (0..200).map(|cell| 1 + cell % 5).collect(), puzzle_ids: vec![0, 0] },
        training_data: None,
        licence: Some("MIT".into()),
        accuracy: Vec::new(),
        checkpoint: None,
        configuration: None,
        identities: None,
        with_weights: true,
        notes: None,
        files: Vec::new(),
    }
}

#[test]
fn a_bundle_is_complete_and_the_same_every_time() {
    let (config, weights) = golden("maze_learned_stable", 100, 6);
    let folder = tempfile::tempdir().expect("folder");
    for (float, precision) in [(FloatType::Fp32, "fp32"), (FloatType::Fp16, "fp16")] {
        let [first, second] = ["first", "second"].map(|name| {
            let target = folder.path().join(format!("{name}-{precision}"));
            export_bundle(request(&config, &weights, float), &target, false).expect("exported");
            ModelBundle::open(target).expect("opened")
        });
        assert_eq!(first.manifest(), second.manifest(), "hashes differ between two exports");
        first.verify().expect("verified");
        assert_eq!(first.manifest().precision.as_str(), precision);
        for kind in GraphKind::ALL {
            let bytes = first.graph_bytes(kind).expect("graph");
            let summary = OnnxSummary::from_bytes(&bytes, Path::new(kind.file_name())).expect("summary");
            assert_eq!(summary.opsets, [(String::new(), 17)]);
            assert_eq!(summary.operators.contains_key("Loop"), kind == GraphKind::Solve);
        }
        let test = first.self_test().expect("self-test");
        assert_eq!((test.rows(), test.steps), (2, 2));
        let weights_back = StateDict::read(folder.path().join(format!("first-{precision}/weights.safetensors")));
        weights_back.expect("weights").check(&config).expect("the weights fit");
    }
    let size = |precision: &str| {
        let bundle = ModelBundle::open(folder.path().join(format!("first-{precision}"))).expect("opened");
        bundle.graph_bytes(GraphKind::Step).expect("graph").len()
    };
    assert!(size("fp16") * 10 < size("fp32") * 7, "fp16 is hardly smaller: {} of {}", size("fp16"), size("fp32"));
}

#[test]
fn weights_of_another_model_leave_nothing_behind() {
    let (config, _) = golden("maze_learned_stable", 100, 6);
    let (_, weights) = golden("maze_att_stable", 100, 6);
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze");
    let error = export_bundle(request(&config, &weights, FloatType::Fp32), &target, false).expect_err("refused");
    assert!(matches!(error, ExportError::LayoutMismatch { .. } | ExportError::ShapeMismatch { .. }), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
}

/// ARC checkpoints carry tables that a protobuf cannot hold: they go into a file that the graphs share.
#[test]
fn large_tensors_go_into_a_shared_file() {
    let (config, weights) = golden("maze_learned_stable", 100, 6);
    let files = [GraphKind::Step, GraphKind::Solve].map(|kind| {
        let graph = build_graph(kind, &config, &weights, GraphOptions::default()).expect("graph");
        let inside = encode(&graph, &[]);
        assert!(inside.external.is_empty());
        let outside = encode_with_limit(&graph, &[], 20_000);
        let bytes = outside.external.iter().map(|(_, constant)| constant.to_le_bytes().len()).sum::<usize>();
        assert!(
            bytes > 0
                && outside.onnx.len() + bytes <= inside.onnx.len() + 4096
                && outside.onnx.len() < inside.onnx.len()
        );
        outside.external.into_iter().filter(|(name, _)| name.contains("embed_pos")).collect::<Vec<_>>()
    });
    assert_eq!(files[0].len(), 1);
    assert_eq!(files[0], files[1], "the graphs name different files for the same tensor");
}

/// A puzzle embedding narrower than its prefix is padded with zeros, as the reference does.
#[test]
fn a_narrow_puzzle_embedding_is_padded() {
    let (mut config, mut weights) = golden("maze_att_stable", 100, 6);
    let narrow = config.puzzle_emb_ndim - 24;
    let row = weights.get("puzzle_emb.weights").expect("table").data[..narrow].to_vec();
    config.puzzle_emb_ndim = narrow;
    let tensor = |width: usize, data: Vec<f32>| WeightTensor { dtype: WeightDtype::F32, shape: vec![1, width], data };
    weights.insert("puzzle_emb.weights", tensor(narrow, row.clone()));
    let run = |config: &TrmConfig, weights: &StateDict| {
        let graph = build_graph(GraphKind::Step, config, weights, GraphOptions::default()).expect("graph");
        let sample = request(config, weights, FloatType::Fp32).sample;
        trm_export::bundle::reference_run(&graph, config, &sample, 1).expect("run")
    };
    let found = run(&config, &weights);
    let mut padded = row;
    padded.resize(narrow + 24, 0.0);
    config.puzzle_emb_ndim = narrow + 24;
    weights.insert("puzzle_emb.weights", tensor(narrow + 24, padded));
    assert_eq!(found, run(&config, &weights));
}
