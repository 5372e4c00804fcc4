//! The classifier's graphs: every gradient against central differences, and both graphs against each other, in float64.

use std::collections::BTreeMap;

use trm_export::classifier::{ClassifierConfig, classifier_step, classify_graph};
use trm_export::onnx::Graph;
use trm_export::onnx::eval::{Tensor, evaluate};

const CONFIG: ClassifierConfig = ClassifierConfig { size: 8, channels: [2, 3], hidden: 4, classes: 3 };
const BATCH: usize = 2;
const LABELS: [i64; BATCH] = [2, 0];

/// Distinct numbers in -0.5..0.5.
fn numbers(count: usize, salt: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + salt * 17) % 101) as f64 / 101.0 - 0.5).collect()
}

fn pictures() -> Vec<f64> {
    numbers(BATCH * CONFIG.size * CONFIG.size, 3)
}

fn parameters() -> BTreeMap<String, Vec<f64>> {
    let values = CONFIG.parameters().into_iter().enumerate();
    values.map(|(salt, (name, shape))| (name, numbers(shape.iter().product(), salt))).collect()
}

/// The outputs of a step by name.
fn step(graph: &Graph, parameters: &BTreeMap<String, Vec<f64>>) -> BTreeMap<String, Vec<f64>> {
    let shapes: BTreeMap<_, _> = CONFIG.parameters().into_iter().collect();
    let inputs: Vec<Tensor> = graph
        .inputs()
        .iter()
        .map(|&input| match graph.value(input).name.as_str() {
            "pictures" => Tensor::float(&[BATCH, CONFIG.size, CONFIG.size], pictures()).unwrap(),
            "labels" => Tensor::int(&[BATCH, 1], LABELS.to_vec()).unwrap(),
            name => Tensor::float(&shapes[name], parameters[name].clone()).unwrap(),
        })
        .collect();
    let outputs = evaluate(graph, &inputs).unwrap();
    let names = graph.outputs().iter().map(|&output| graph.value(output).name.clone());
    names.zip(outputs).filter_map(|(name, output)| Some((name, output.to_floats().ok()?))).collect()
}

#[test]
fn gradients_are_central_differences() {
    let graph = classifier_step(&CONFIG, BATCH).unwrap();
    let start = parameters();
    let found = step(&graph, &start);
    for (name, values) in &start {
        let gradient = &found[&format!("{name}.grad")];
        let scale = gradient.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
        // Every seventh element: all of them take a minute.
        for element in (0..values.len()).step_by(7) {
            let loss = |distance: f64| {
                let mut moved = start.clone();
                moved.get_mut(name).unwrap()[element] += distance;
                step(&graph, &moved)["loss"][0]
            };
            let expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            let error = (gradient[element] - expected).abs() / scale;
            assert!(error < 1e-6, "{name}[{element}]: {} is not {expected}", gradient[element]);
        }
    }
}

#[test]
fn the_step_s_loss_is_that_of_the_probabilities() {
    let parameters = parameters();
    let weights = parameters.iter().map(|(name, values)| (name.clone(), values.iter().map(|&v| v as f32).collect()));
    let graph = classify_graph(&CONFIG, &weights.collect()).unwrap();
    let pictures = Tensor::float(&[BATCH, CONFIG.size, CONFIG.size], pictures()).unwrap();
    let probabilities = evaluate(&graph, &[pictures]).unwrap()[0].to_floats().unwrap();
    let rows = probabilities.chunks_exact(CONFIG.classes).zip(LABELS);
    let expected = rows.map(|(row, label)| -row[label as usize].ln()).sum::<f64>() / BATCH as f64;
    let loss = step(&classifier_step(&CONFIG, BATCH).unwrap(), &parameters)["loss"][0];
    assert!((loss - expected).abs() < 1e-6, "{loss} is not {expected}");
}

#[test]
fn a_missing_weight_is_named() {
    let error = classify_graph(&CONFIG, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("tensor `conv1.weight` is missing"), "{error}");
}
