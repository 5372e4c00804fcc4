//! The training step, run by the reference evaluator in float64, against losses and gradients of the public code.

mod golden_folder;

use golden_folder::{Golden, NAMES_STABLE};
use serde_json::Value;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::train::{LossKind, StepOptions, training_step};

/// What one evaluation of the step returned, by name.
struct Step {
    loss: f64,
    gradients: Vec<(String, Vec<f64>)>,
    carry: [Tensor; 2],
}

fn options(golden: &Golden) -> StepOptions {
    // The references sum the loss over the batch and do not divide it.
    StepOptions { batch: golden.rows(), global_batch: 1, loss: LossKind::Stablemax }
}

fn run(golden: &Golden, carry: [Tensor; 2], reset: bool) -> Step {
    let mut step = training_step(&golden.config, &options(golden)).expect("graph");
    let b = &mut step.builder;
    b.output("loss", step.loss).expect("output");
    for name in ["z_h_next", "z_l_next"] {
        let (_, value) = step.outputs.iter().find(|(output, _)| *output == name).expect(name);
        b.output(name, *value).expect("output");
    }
    for (name, gradient) in &step.gradients {
        b.output(&format!("{name}.grad"), *gradient).expect("output");
    }
    let graph = step.builder.finish();
    let rows = golden.rows();
    let [z_h, z_l] = carry;
    let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
        "tokens" => golden.tokens(),
        "labels" => golden.labels(),
        "puzzle_ids" => golden.puzzle_ids(),
        "reset" => Tensor::bool(&[rows], vec![reset; rows]).expect("reset"),
        "last_step" => Tensor::bool(&[rows], vec![false; rows]).expect("last step"),
        "z_h" => z_h.clone(),
        "z_l" => z_l.clone(),
        name => golden.weight(name),
    });
    let outputs = evaluate(&graph, &inputs.collect::<Vec<_>>()).expect("evaluate");
    let mut outputs = outputs.into_iter();
    let loss = outputs.next().expect("loss").to_floats().expect("float")[0];
    let carry = [outputs.next().expect("z_h"), outputs.next().expect("z_l")];
    let names = step.gradients.iter().map(|(name, _)| name.clone());
    let gradients = names.zip(outputs.map(|gradient| gradient.to_floats().expect("floats"))).collect();
    Step { loss, gradients, carry }
}

/// A carry that a reset row must not read.
fn unread(golden: &Golden) -> [Tensor; 2] {
    let shape = [golden.rows(), golden.config.total_len(), golden.config.hidden_size];
    let nan = Tensor::float(&shape, vec![f64::NAN; shape.iter().product()]).expect("carry");
    [nan.clone(), nan]
}

fn l2(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Whether a figure is within `relative` of the recorded one; NaN is not.
fn close(found: f64, expected: f64, scale: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * scale.abs()
}

/// Compares every gradient with what was recorded of it: its l2 norm, its sum, its first eight elements.
fn check_gradients(name: &str, step: &Step, recorded: &Value) {
    for (parameter, found) in &step.gradients {
        // The reference's gradient of the puzzle embedding is by row of the batch, ours by row of the table: their sums
        // agree.
        let by_row = parameter == "puzzle_emb.weights";
        let key = if by_row { "model.inner.puzzle_emb.local_weights" } else { &format!("model.inner.{parameter}") };
        let expected = &recorded[key];
        let number = |key: &str| expected[key].as_f64().unwrap_or_else(|| panic!("{name}: {parameter} has no {key}"));
        let norm = number("l2");
        // A sum of n numbers of that norm is uncertain by up to sqrt(n) times as much.
        let spread = norm * (found.len() as f64).sqrt();
        let sum = found.iter().sum::<f64>();
        assert!(close(sum, number("sum"), spread, 1e-4), "{name} {parameter}: sum {sum}, {}", number("sum"));
        if by_row {
            continue;
        }
        assert!(close(l2(found), norm, norm, 1e-4), "{name} {parameter}: l2 {}, {norm}", l2(found));
        for (index, value) in expected["first8"].as_array().expect("first8").iter().enumerate() {
            let value = value.as_f64().expect("number");
            assert!(close(found[index], value, norm, 1e-4), "{name} {parameter}[{index}]: {}, {value}", found[index]);
        }
    }
}

#[test]
fn losses_and_gradients_of_one_step_are_the_reference_s() {
    for name in NAMES_STABLE {
        let golden = Golden::open(name);
        let reference = &golden.manifest["training"]["A_one_act_step"];
        let step = run(&golden, unread(&golden), true);
        let expected = reference["loss"].as_f64().expect("loss");
        assert!(close(step.loss, expected, expected, 1e-6), "{name}: loss {}, {expected}", step.loss);
        check_gradients(name, &step, &reference["grads"]);
    }
}

#[test]
fn three_steps_with_the_carry_threaded_through_have_the_reference_s_losses() {
    for name in ["sudoku_mlp_stable", "maze_att_stable", "maze_learned_stable"] {
        let golden = Golden::open(name);
        let steps = golden.manifest["training"]["B_three_act_steps_no_optimizer"].as_array().expect("steps");
        let mut carry = unread(&golden);
        for (index, recorded) in steps.iter().enumerate() {
            let step = run(&golden, carry, index == 0);
            let expected = recorded["loss"].as_f64().expect("loss");
            assert!(close(step.loss, expected, expected, 1e-6), "{name} step {index}: {}, {expected}", step.loss);
            if recorded["grads"].is_object() {
                check_gradients(name, &step, &recorded["grads"]);
            }
            carry = step.carry;
        }
    }
}

#[test]
fn the_comparison_itself_can_fail() {
    let golden = Golden::open("maze_learned_stable");
    let mut step = run(&golden, unread(&golden), true);
    let reference = golden.manifest["training"]["A_one_act_step"]["grads"].clone();
    let (_, gradient) = step.gradients.iter_mut().find(|(name, _)| name == "lm_head.weight").expect("lm_head");
    gradient.iter_mut().for_each(|value| *value *= 1.001);
    let failed = std::panic::catch_unwind(|| check_gradients("spoilt", &step, &reference));
    assert!(failed.is_err(), "a gradient off by a thousandth was accepted");
}
