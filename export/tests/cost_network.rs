//! The graphs of a network of costs: every gradient against central differences, and the graphs against each other, in float64.

use std::collections::BTreeMap;

use trm_export::cost_network::{CostNetwork, cost_forward, cost_graph, cost_step};
use trm_export::onnx::Graph;
use trm_export::onnx::eval::{Tensor, evaluate};

const NETWORK: CostNetwork =
    CostNetwork { channels: 5, hidden_size: 4, expansion: 2.0, h_cycles: 1, l_cycles: 2, l_layers: 2 };
const SIZE: (usize, usize) = (3, 4);
const BATCH: usize = 2;

/// Distinct numbers in -0.5..0.5.
fn numbers(count: usize, salt: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 37 + salt * 17) % 101) as f64 / 101.0 - 0.5).collect()
}

fn features(network: &CostNetwork) -> Tensor {
    let cells = SIZE.0 * SIZE.1;
    Tensor::float(&[BATCH, cells, network.channels], numbers(BATCH * cells * network.channels, 3)).unwrap()
}

fn weights(network: &CostNetwork) -> BTreeMap<String, Vec<f64>> {
    let values = network.tensors().into_iter().enumerate();
    values.map(|(salt, (name, shape))| (name, numbers(shape.iter().product(), salt))).collect()
}

/// The outputs of a graph with weights as inputs, by name.
fn run(graph: &Graph, network: &CostNetwork, weights: &BTreeMap<String, Vec<f64>>) -> BTreeMap<String, Vec<f64>> {
    let shapes: BTreeMap<_, _> = network.tensors().into_iter().collect();
    let cells = SIZE.0 * SIZE.1;
    let inputs: Vec<Tensor> = graph
        .inputs()
        .iter()
        .map(|&input| match graph.value(input).name.as_str() {
            "features" => features(network),
            "pull" => Tensor::float(&[BATCH, cells], numbers(BATCH * cells, 11)).unwrap(),
            name => Tensor::float(&shapes[name], weights[name].clone()).unwrap(),
        })
        .collect();
    let outputs = evaluate(graph, &inputs).unwrap();
    let names = graph.outputs().iter().map(|&output| graph.value(output).name.clone());
    names.zip(outputs).map(|(name, output)| (name, output.to_floats().unwrap())).collect()
}

#[test]
fn gradients_are_central_differences() {
    let graph = cost_step(&NETWORK, SIZE, BATCH).unwrap();
    let start = weights(&NETWORK);
    let found = run(&graph, &NETWORK, &start);
    let mut compared = 0;
    for (name, shape) in NETWORK.parameters() {
        let gradient = &found[&format!("{name}.grad")];
        let scale = gradient.iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
        for element in (0..shape.iter().product()).step_by(7) {
            let loss = |distance: f64| {
                let mut moved = start.clone();
                moved.get_mut(&name).unwrap()[element] += distance;
                run(&graph, &NETWORK, &moved)["loss"][0]
            };
            let expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            let error = (gradient[element] - expected).abs() / scale;
            assert!(error < 1e-5, "{name}[{element}]: {} is not {expected}", gradient[element]);
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
    assert!(!found.contains_key("H_init.grad"), "states are not trained");
}

#[test]
fn what_is_trained_is_what_runs() {
    for network in [NETWORK, CostNetwork { l_layers: 0, ..NETWORK }] {
        let weights = weights(&network);
        let forward = run(&cost_forward(&network, SIZE, BATCH).unwrap(), &network, &weights)["levels"].clone();
        let singles = weights
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(|&value| value as f32).collect::<Vec<_>>()));
        let graph = cost_graph(&network, SIZE, &singles.collect()).unwrap();
        let levels = evaluate(&graph, &[features(&network)]).unwrap()[0].to_floats().unwrap();
        assert_eq!(levels.len(), BATCH * SIZE.0 * SIZE.1);
        for (found, expected) in levels.iter().zip(&forward) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
            assert!((0.0..=1.0).contains(found));
        }
        assert!(levels.iter().any(|level| (level - levels[0]).abs() > 1e-3), "cells differ");
    }
}

/// Without blocks a cell's level depends on its own features alone, with them on what is around it.
#[test]
fn a_linear_model_sees_its_cell_and_a_network_what_is_around() {
    for (l_layers, sees_around) in [(0, false), (1, true)] {
        let network = CostNetwork { l_layers, ..NETWORK };
        let singles: BTreeMap<String, Vec<f32>> = weights(&network)
            .into_iter()
            .map(|(name, values)| (name, values.into_iter().map(|value| value as f32).collect()))
            .collect();
        let graph = cost_graph(&network, SIZE, &singles).unwrap();
        let levels = |changed: f64| {
            let mut data = numbers(SIZE.0 * SIZE.1 * network.channels, 3);
            data[0] += changed;
            let input = Tensor::float(&[1, SIZE.0 * SIZE.1, network.channels], data).unwrap();
            evaluate(&graph, &[input]).unwrap()[0].to_floats().unwrap()
        };
        let (before, after) = (levels(0.0), levels(1.0));
        assert!((before[0] - after[0]).abs() > 1e-4);
        assert_eq!((before[1] - after[1]).abs() > 1e-6, sees_around);
    }
}

#[test]
fn a_missing_weight_is_named() {
    let error = cost_graph(&NETWORK, SIZE, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("tensor `straight.weight` is missing"), "{error}");
}
