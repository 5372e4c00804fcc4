//! The training step and the optimiser update, run by the reference evaluator in float64, against losses, gradients and updated
//! parameters of the public code.

mod golden_folder;

use std::collections::{BTreeMap, BTreeSet};

use golden_folder::{Golden, NAMES_STABLE};
use serde_json::Value;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::train::{BUFFERS, LossKind, StepOptions, UpdateOptions, UpdateRule, training_step, update_graph};

/// What one evaluation of the step returned, by name.
struct Step {
    loss: f64,
    gradients: Vec<(String, Vec<f64>)>,
    carry: [Tensor; 2],
}

/// One step with the golden's weights. References A and B sum the loss over the batch and do not divide it.
fn run(golden: &Golden, carry: [Tensor; 2], reset: &[bool]) -> Step {
    run_with(golden, &State::new(), 1, carry, reset)
}

/// One step with the parameters in `state`, and the golden's where it has none.
fn run_with(golden: &Golden, state: &State, global_batch: usize, carry: [Tensor; 2], reset: &[bool]) -> Step {
    let options = StepOptions { batch: golden.rows(), global_batch, loss: LossKind::Stablemax, accumulate: false };
    let mut step = training_step(&golden.config, &options).expect("graph");
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
        "reset" => Tensor::bool(&[rows], reset.to_vec()).expect("reset"),
        "last_step" => Tensor::bool(&[rows], vec![false; rows]).expect("last step"),
        "z_h" => z_h.clone(),
        "z_l" => z_l.clone(),
        name => state.get(name).cloned().unwrap_or_else(|| golden.weight(name)),
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

/// Rows that the reference halted at a recorded step: they begin again at the next.
fn halted(recorded: &Value) -> Vec<bool> {
    let rows = recorded["halted"].as_array().expect("halted");
    rows.iter().map(|row| row.as_bool().expect("bool")).collect()
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
        let step = run(&golden, unread(&golden), &[true; 3]);
        let expected = reference["loss"].as_f64().expect("loss");
        assert!(close(step.loss, expected, expected, 1e-6), "{name}: loss {}, {expected}", step.loss);
        check_gradients(name, &step, &reference["grads"]);
    }
}

#[test]
fn three_steps_with_the_carry_threaded_through_have_the_reference_s_losses() {
    for name in NAMES_STABLE {
        let golden = Golden::open(name);
        let steps = golden.manifest["training"]["B_three_act_steps_no_optimizer"].as_array().expect("steps");
        let mut carry = unread(&golden);
        let mut reset = vec![true; golden.rows()];
        for (index, recorded) in steps.iter().enumerate() {
            let step = run(&golden, carry, &reset);
            let expected = recorded["loss"].as_f64().expect("loss");
            assert!(close(step.loss, expected, expected, 1e-6), "{name} step {index}: {}, {expected}", step.loss);
            if recorded["grads"].is_object() {
                check_gradients(name, &step, &recorded["grads"]);
            }
            carry = step.carry;
            reset = halted(recorded);
        }
    }
}

#[test]
fn the_comparison_itself_can_fail() {
    let golden = Golden::open("maze_learned_stable");
    let mut step = run(&golden, unread(&golden), &[true; 3]);
    let reference = golden.manifest["training"]["A_one_act_step"]["grads"].clone();
    let (_, gradient) = step.gradients.iter_mut().find(|(name, _)| name == "lm_head.weight").expect("lm_head");
    for value in gradient {
        *value *= 1.001;
    }
    let failed = std::panic::catch_unwind(|| check_gradients("spoilt", &step, &reference));
    assert!(failed.is_err(), "a gradient off by a thousandth was accepted");
}

/// Parameters, moments and averages by name, between updates.
type State = BTreeMap<String, Tensor>;

/// One update of `state` by `gradients`, the reference's reference C settings but for `options`.
fn update(golden: &Golden, options: &UpdateOptions, state: &mut State, gradients: &State, number: i32) {
    let graph = update_graph(&golden.config, options, &BTreeSet::new()).expect("graph");
    let scalar = |value: f64| Tensor::float(&[], vec![value]).expect("scalar");
    let used = golden.puzzle_ids().to_ints().expect("ints");
    let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
        "lr" | "puzzle_emb_lr" => scalar(1e-3),
        "bias_correction1" => scalar(1.0 - options.beta1.powi(number)),
        "bias_correction2" => scalar(1.0 - options.beta2.powi(number)),
        "puzzle_emb.weights.used" => {
            let rows = golden.config.num_puzzle_identifiers;
            Tensor::bool(&[rows], (0..rows as i64).map(|row| used.contains(&row)).collect()).expect("used")
        }
        name => match name.strip_suffix(".grad") {
            Some(parameter) => gradients[parameter].clone(),
            None => state.get(name).cloned().unwrap_or_else(|| zeros(golden, name)),
        },
    });
    let outputs = evaluate(&graph, &inputs.collect::<Vec<_>>()).expect("evaluate");
    for (&id, output) in graph.outputs().iter().zip(outputs) {
        if let Some(name) = graph.value(id).name.strip_suffix(".next") {
            state.insert(name.to_owned(), output);
        }
    }
}

/// A moment before the first update.
fn zeros(golden: &Golden, name: &str) -> Tensor {
    let parameter = name.trim_end_matches(".m").trim_end_matches(".v");
    let shape = golden.weight(parameter).shape().to_vec();
    Tensor::float(&shape, vec![0.0; shape.iter().product()]).expect("zeros")
}

#[test]
fn three_updates_leave_the_reference_s_parameters() {
    let options = UpdateOptions {
        rule: UpdateRule::AdamAtan2,
        beta1: 0.9,
        beta2: 0.95,
        weight_decay: 1.0,
        puzzle_emb_weight_decay: 1.0,
        clip_grad_norm: None,
        ema: None,
    };
    for name in NAMES_STABLE {
        let golden = Golden::open(name);
        let recorded = &golden.manifest["training"]["C_three_optimizer_steps"];
        let mut state = State::new();
        let mut carry = unread(&golden);
        let mut reset = vec![true; golden.rows()];
        for (index, step) in recorded["steps"].as_array().expect("steps").iter().enumerate() {
            let found = run_with(&golden, &state, golden.rows(), carry, &reset);
            let expected = step["loss"].as_f64().expect("loss");
            let loss = found.loss * golden.rows() as f64;
            assert!(close(loss, expected, expected, 1e-5), "{name} step {index}: loss {loss}, {expected}");
            let gradients = found.gradients.into_iter().map(|(name, data)| {
                let shape = golden.weight(&name).shape().to_vec();
                (name, Tensor::float(&shape, data).expect("gradient"))
            });
            if state.is_empty() {
                let parameters = gradients.clone().map(|(name, _)| name).collect::<Vec<_>>();
                state.extend(parameters.into_iter().map(|name| (name.clone(), golden.weight(&name))));
            }
            update(&golden, &options, &mut state, &gradients.collect(), index as i32 + 1);
            carry = found.carry;
            reset = halted(step);
        }
        let after = recorded["params_after"].as_object().expect("parameters");
        let mut compared = 0;
        for (name_after, expected) in after {
            let Some(found) = state.get(name_after.trim_start_matches("model.inner.")) else { continue };
            let found = found.to_floats().expect("floats");
            let norm = expected["l2"].as_f64().expect("l2");
            assert!(close(l2(&found), norm, norm, 1e-5), "{name} {name_after}: l2 {}, {norm}", l2(&found));
            for (index, value) in expected["first8"].as_array().expect("first8").iter().enumerate() {
                let value = value.as_f64().expect("number");
                assert!(
                    (found[index] - value).abs() <= 1e-5,
                    "{name} {name_after}[{index}]: {}, {value}",
                    found[index]
                );
            }
            compared += 1;
        }
        assert_eq!(compared + BUFFERS.len(), after.len(), "{name}: a parameter was not compared");
    }
}
