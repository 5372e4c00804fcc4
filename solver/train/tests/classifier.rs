//! Classifiers: every engine against the float64 evaluator, and training from nothing.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trm_engine::classify::Classifier;
use trm_export::classifier::{ClassifierConfig, classify_graph};
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::onnx::write::encode;
use trm_export::train::{UpdateOptions, UpdateRule};
use trm_train::classifier::ClassifierTraining;

const CONFIG: ClassifierConfig = ClassifierConfig { size: 8, channels: [4, 8], hidden: 16, classes: 3 };

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + salt * 17) % 101) as f32 / 101.0 - 0.5).collect()
}

#[test]
fn engines_agree_with_the_evaluator_on_any_number_of_pictures() {
    let weights: BTreeMap<_, _> = CONFIG
        .parameters()
        .into_iter()
        .enumerate()
        .map(|(salt, (name, shape))| (name, numbers(shape.iter().product(), salt)))
        .collect();
    let graph = classify_graph(&CONFIG, &weights).unwrap();
    let onnx = encode(&graph, &[]).onnx;
    let mut engines = [
        Classifier::on_tract(&onnx, CONFIG.size, CONFIG.classes).unwrap(),
        Classifier::on_rten(&onnx, CONFIG.size, CONFIG.classes).unwrap(),
        Classifier::on_ort(&common::ort(), &onnx, CONFIG.size, CONFIG.classes).unwrap(),
    ];
    for count in [0, 1, 9, 20] {
        let pictures = numbers(count * 64, 7);
        let mut expected = Vec::new();
        if count > 0 {
            let wide = pictures.iter().map(|&value| f64::from(value)).collect();
            let input = Tensor::float(&[count, 8, 8], wide).unwrap();
            expected = evaluate(&graph, &[input]).unwrap()[0].to_floats().unwrap();
        }
        for engine in &mut engines {
            let found = engine.classify(&pictures).unwrap();
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                let error = (f64::from(*found) - expected).abs();
                assert!(error < 1e-5, "{}: {found} is not {expected}", engine.engine());
            }
        }
    }
    for engine in &mut engines {
        let error = engine.classify(&[0.0; 65]).unwrap_err();
        assert!(common::chain(&error).contains("65 numbers are no whole number of pictures of 64"), "{error:?}");
    }
    for load in [Classifier::on_tract, Classifier::on_rten] {
        let error = common::chain(&load(&onnx, CONFIG.size, CONFIG.classes + 1).unwrap_err());
        assert!(error.contains("not 4 classes"), "{error}");
    }
}

/// A bar lies, stands, or is not there.
fn bars(rng: &mut ChaCha8Rng, count: usize) -> (Vec<f32>, Vec<i32>) {
    let mut pictures = Vec::new();
    let mut labels = Vec::new();
    for _ in 0..count {
        let (label, at) = (rng.random_range(0..3), rng.random_range(1..7));
        for y in 0..8 {
            for x in 0..8 {
                let bar = match label {
                    0 => y == at,
                    1 => x == at,
                    _ => false,
                };
                pictures.push(f32::from(u8::from(bar)) + 0.4 * rng.random::<f32>());
            }
        }
        labels.push(label);
    }
    (pictures, labels)
}

#[test]
fn training_learns_what_bars_are() {
    let options = UpdateOptions {
        wave: false,
        rule: UpdateRule::AdamW { eps: 1e-8 },
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.01,
        puzzle_emb_weight_decay: 0.0,
        clip_grad_norm: None,
        ema: Some(0.9),
    };
    let mut training = ClassifierTraining::new(&common::ort(), CONFIG, 32, options, 1).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut first = None;
    for _ in 0..150 {
        let (pictures, labels) = bars(&mut rng, 32);
        let step = training.step(pictures, labels, 3e-3).unwrap();
        first.get_or_insert(step.loss);
    }
    let graph = classify_graph(&CONFIG, &training.weights().unwrap()).unwrap();
    let mut trained = Classifier::on_tract(&encode(&graph, &[]).onnx, CONFIG.size, CONFIG.classes).unwrap();
    let (pictures, labels) = bars(&mut ChaCha8Rng::seed_from_u64(2), 300);
    let probabilities = trained.classify(&pictures).unwrap();
    let right = probabilities
        .chunks_exact(3)
        .zip(&labels)
        .filter(|(p, label)| (0..3).max_by(|&a, &b| p[a].total_cmp(&p[b])) == Some(**label as usize));
    let right = right.count();
    assert!(right >= 290, "{right} of 300 right; the first loss was {first:?}");
}
