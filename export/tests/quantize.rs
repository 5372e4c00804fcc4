//! 8-bit graphs against the float ones that they stand for.

mod common;

use std::collections::BTreeMap;

use common::golden;
use trm_export::checkpoint::StateDict;
use trm_export::onnx::Graph;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::onnx::operators::{MatMul, MatMulInteger};
use trm_export::trm::quantize::{Activations, Quantization, equalise, products};
use trm_export::trm::{GraphOptions, build_graph, calibration_graph};
use trm_models::{GraphKind, Precision, TrmConfig};

/// Golden checkpoints with their sizes: MLP-T, attention, two networks.
const GOLDENS: [(&str, usize, usize); 3] =
    [("sudoku_mlp_stable", 81, 11), ("maze_att_stable", 100, 6), ("hrm_att_stable", 81, 11)];

fn inputs(config: &TrmConfig, rows: usize) -> [Tensor; 5] {
    let tokens = (0..rows * config.seq_len).map(|cell| (cell * 7 % config.vocab_size) as i64).collect();
    let carry = [rows, config.total_len(), config.hidden_size];
    let zeros = Tensor::float(&carry, vec![0.0; carry.iter().product()]).expect("carry");
    [
        Tensor::int(&[rows, config.seq_len], tokens).expect("tokens"),
        Tensor::int(&[rows], vec![0; rows]).expect("ids"),
        Tensor::bool(&[rows], vec![true; rows]).expect("reset"),
        zeros.clone(),
        zeros,
    ]
}

/// The logits and the carry after a step from the start.
fn first_step(graph: &Graph, config: &TrmConfig, rows: usize) -> [Vec<f64>; 2] {
    let outputs = evaluate(graph, &inputs(config, rows)).expect("evaluates");
    [&outputs[5], &outputs[3]].map(|tensor| tensor.to_floats().expect("floats"))
}

fn step(config: &TrmConfig, weights: &StateDict, quantization: Option<&Quantization>) -> Graph {
    let options = GraphOptions { quantization, ..GraphOptions::default() };
    build_graph(GraphKind::Step, config, weights, options).expect("graph")
}

fn observed(config: &TrmConfig, weights: &StateDict) -> BTreeMap<String, Vec<f32>> {
    let (graph, names) = calibration_graph(config, weights).expect("graph");
    let outputs = evaluate(&graph, &inputs(config, 2)).expect("evaluates");
    let mut magnitudes: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    assert_eq!(outputs.len(), 6 + names.len());
    for (name, squares) in names.iter().zip(&outputs[6..]) {
        let squares = squares.to_floats().expect("floats");
        let largest = magnitudes.entry(name.clone()).or_insert_with(|| vec![0.0; squares.len()]);
        largest.iter_mut().zip(squares).for_each(|(largest, square)| *largest = largest.max(square.sqrt() as f32));
    }
    magnitudes
}

fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    a.iter().zip(b).map(difference).fold(0.0, f64::max)
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Every product is observed, on every channel that it sums over.
#[test]
fn calibration_sees_every_product() {
    for (name, cells, tokens) in GOLDENS {
        let (config, weights) = golden(name, cells, tokens);
        let magnitudes = observed(&config, &weights);
        for product in products(&config) {
            let channels = weights.get(&product).expect(&product).shape[1];
            let found = magnitudes.get(&product).unwrap_or_else(|| panic!("{name}: {product} was not observed"));
            assert_eq!(found.len(), channels, "{name}: {product}");
            assert!(found.iter().all(|value| value.is_finite()) && found.iter().any(|&value| value > 0.0), "{product}");
        }
    }
}

/// Rescaling changes weights and nothing else: exact but for the rounding of weights to float32.
#[test]
fn equalisation_is_exact_in_floats() {
    for (name, cells, tokens) in GOLDENS {
        let (config, weights) = golden(name, cells, tokens);
        let before = first_step(&step(&config, &weights, None), &config, 2);
        for exponent in [0.0, 0.5, 1.0] {
            let equalised = equalise(&config, &weights, &observed(&config, &weights), exponent).expect("equalised");
            assert_ne!(equalised, weights, "{name}, exponent {exponent}: nothing was rescaled");
            let after = first_step(&step(&config, &equalised, None), &config, 2);
            for (before, after) in before.iter().zip(&after) {
                let scale = before.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
                let error = largest_difference(before, after) / scale;
                assert!(error < 1e-5, "{name}, exponent {exponent}: off by {error}");
            }
        }
    }
}

#[test]
fn what_was_not_calibrated_is_not_equalised() {
    let (config, weights) = golden("maze_att_stable", 100, 6);
    let error = equalise(&config, &weights, &BTreeMap::new(), 0.5).expect_err("accepted");
    assert!(error.to_string().contains("which calibration did not measure"), "{error}");
}

/// Both forms compute nearly what the float graph does, in 8 bits.
#[test]
fn quantised_graphs_are_near_the_float_ones() {
    for (name, cells, tokens) in GOLDENS {
        let (config, weights) = golden(name, cells, tokens);
        let magnitudes = observed(&config, &weights);
        let [logits, carry] = first_step(&step(&config, &weights, None), &config, 1);
        for activations in [Activations::Dynamic, Activations::Static] {
            let largest = |name: &String| magnitudes[name].iter().copied().fold(0.0, f32::max);
            let quantization = Quantization {
                activations,
                products: products(&config).iter().map(|name| (name.clone(), largest(name))).collect(),
            };
            let graph = step(&config, &weights, Some(&quantization));
            let float_products = graph.nodes().iter().filter(|node| node.op.is::<MatMul>()).count();
            let integer = graph.nodes().iter().filter(|node| node.op.is::<MatMulInteger>()).count();
            match activations {
                // Only the halting head and attention's own products are left.
                Activations::Dynamic => assert!(integer > float_products / 2, "{name}: {integer}, {float_products}"),
                Activations::Static => assert_eq!(integer, 0, "{name}"),
            }
            let [quantised_logits, quantised_carry] = first_step(&graph, &config, 1);
            for (what, a, b) in [("logits", &logits, &quantised_logits), ("carry", &carry, &quantised_carry)] {
                assert_ne!(a, b, "{name}, {activations:?}: the {what} are those of the float graph");
                let cosine = cosine(a, b);
                assert!(cosine > 0.99, "{name}, {activations:?}: cosine {cosine} of the {what}");
            }
        }
    }
}

#[test]
fn precisions_are_named_by_what_is_quantised() {
    let (config, _) = golden("sudoku_mlp_stable", 81, 11);
    let quantization = |activations, left_out: usize| {
        let products = products(&config).into_iter().skip(left_out).map(|name| (name, 1.0)).collect();
        Quantization { activations, products }
    };
    for (activations, left_out, expected, invariant) in [
        (Activations::Dynamic, 0, Precision::Int8, false),
        (Activations::Dynamic, 1, Precision::Mixed, false),
        (Activations::Static, 0, Precision::Int8Static, true),
        (Activations::Static, 1, Precision::MixedStatic, true),
    ] {
        let quantization = quantization(activations, left_out);
        let options = GraphOptions { quantization: Some(&quantization), ..GraphOptions::default() };
        let precision = options.precision(&config);
        assert_eq!((precision, precision.is_batch_invariant()), (expected, invariant));
    }
}
