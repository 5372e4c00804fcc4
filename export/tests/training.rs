//! The training step and the optimiser update, run by the reference evaluator in float64, against losses, gradients and updated
//! parameters of the public code.

mod golden_folder;

use std::collections::{BTreeMap, BTreeSet};

use golden_folder::{Golden, NAMES_STABLE};
use serde_json::Value;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::train::{BUFFERS, LossKind, StepOptions, UpdateOptions, UpdateRule, training_step, update_graph};

/// The outputs of one evaluation of the step, by name.
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
    let options =
        StepOptions { batch: golden.rows(), global_batch, loss: LossKind::Stablemax, accumulate: false, wave: false };
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

/// True if a figure is within `relative` of the recorded one; NaN is not.
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
        wave: false,
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

/// The other rule with everything optional: clipping, moving average; against the formulas written out.
#[test]
fn adamw_with_clipping_and_average_follows_its_formulas() {
    const GREATEST: f64 = 0.5;
    const EPS: f64 = 1e-3;
    let options = UpdateOptions {
        wave: false,
        rule: UpdateRule::AdamW { eps: EPS },
        beta1: 0.8,
        beta2: 0.9,
        weight_decay: 0.3,
        puzzle_emb_weight_decay: 0.2,
        clip_grad_norm: Some(GREATEST),
        ema: Some(0.6),
    };
    let golden = Golden::open("sudoku_mlp_stable");
    let shapes = trm_export::checkpoint::layout(&golden.config).into_iter();
    let shapes = shapes.filter(|tensor| !BUFFERS.contains(&tensor.name.as_str())).collect::<Vec<_>>();
    let gradient = |name: &str, update: usize| {
        let count = golden.weight(name).shape().iter().product::<usize>();
        // Long in the first update, short enough not to be clipped in the second.
        let scale = if update == 1 { 0.1 } else { 1e-5 };
        (0..count).map(|index| ((index * 7 + name.len() * 13 + update) as f64).sin() * scale).collect::<Vec<_>>()
    };
    let mut state = State::new();
    let mut expected = BTreeMap::new();
    for tensor in &shapes {
        let value = golden.weight(&tensor.name);
        let start = value.to_floats().expect("floats");
        let zero = vec![0.0; start.len()];
        expected.insert(tensor.name.clone(), [start.clone(), zero.clone(), zero, start]);
        state.insert(format!("{}.ema", tensor.name), value.clone());
        state.insert(tensor.name.clone(), value);
    }
    for number in 1..=2 {
        let gradients = shapes.iter().map(|tensor| {
            let data = gradient(&tensor.name, number);
            (tensor.name.clone(), Tensor::float(golden.weight(&tensor.name).shape(), data).expect("gradient"))
        });
        update(&golden, &options, &mut state, &gradients.collect(), number as i32);
        let squares = shapes.iter().filter(|tensor| tensor.name != "puzzle_emb.weights");
        let norm = squares.map(|tensor| l2(&gradient(&tensor.name, number)).powi(2)).sum::<f64>().sqrt();
        let scale = f64::min(1.0, GREATEST / (norm + 1e-6));
        assert_eq!(scale < 1.0, number == 1, "one update is clipped, one is not: {norm}");
        let lr = 1e-3;
        for (name, [value, m, v, ema]) in &mut expected {
            for (index, gradient) in gradient(name, number).into_iter().enumerate() {
                if name == "puzzle_emb.weights" {
                    let sign = if gradient == 0.0 { 0.0 } else { gradient.signum() };
                    value[index] = value[index] * (1.0 - lr * 0.2) - lr * sign;
                    continue;
                }
                let gradient = gradient * scale;
                m[index] = 0.8 * m[index] + 0.2 * gradient;
                v[index] = 0.9 * v[index] + 0.1 * gradient * gradient;
                let (m, v) =
                    (m[index] / (1.0 - 0.8_f64.powi(number as i32)), v[index] / (1.0 - 0.9_f64.powi(number as i32)));
                value[index] = value[index] * (1.0 - lr * 0.3) - lr * m / (v.sqrt() + EPS);
                ema[index] = 0.6 * ema[index] + 0.4 * value[index];
            }
        }
    }
    for (name, [value, _, _, ema]) in &expected {
        let found = |name: &str| state[name].to_floats().expect("floats");
        let averaged = name != "puzzle_emb.weights";
        let pairs = found(name).into_iter().zip(value.clone());
        let averages = found(&format!("{name}.ema")).into_iter().zip(ema.clone()).filter(|_| averaged);
        for (index, (found, expected)) in pairs.chain(averages).enumerate() {
            // Constants of the graph are float32.
            assert!((found - expected).abs() <= 1e-7, "{name}[{index}]: {found}, {expected}");
        }
    }
}

/// The softmax loss against logits of the inference graph, and its gradient against differences.
#[test]
fn the_softmax_loss_is_its_formula_and_its_gradient_the_slope() {
    let golden = Golden::open("maze_learned_stable");
    let options =
        StepOptions { batch: golden.rows(), global_batch: 1, loss: LossKind::Softmax, accumulate: false, wave: false };
    let mut step = training_step(&golden.config, &options).expect("graph");
    let b = &mut step.builder;
    b.output("loss", step.loss).expect("output");
    let of = |name: &str| step.gradients.iter().find(|(other, _)| other == name).map(|(_, id)| *id).expect("gradient");
    b.output("gradient", of("lm_head.weight")).expect("output");
    let graph = step.builder.finish();
    let shape = [golden.rows(), golden.config.total_len(), golden.config.hidden_size];
    let zeros = Tensor::float(&shape, vec![0.0; shape.iter().product()]).expect("carry");
    let run = |head: &Tensor| {
        let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
            "tokens" => golden.tokens(),
            "labels" => golden.labels(),
            "puzzle_ids" => golden.puzzle_ids(),
            "reset" => Tensor::bool(&[golden.rows()], vec![true; golden.rows()]).expect("reset"),
            "z_h" | "z_l" => zeros.clone(),
            "lm_head.weight" => head.clone(),
            name => golden.weight(name),
        });
        let outputs = evaluate(&graph, &inputs.collect::<Vec<_>>()).expect("evaluate");
        (outputs[0].to_floats().expect("loss")[0], outputs[1].to_floats().expect("gradient"))
    };
    let head = golden.weight("lm_head.weight");
    let (loss, gradient) = run(&head);
    let values = head.to_floats().expect("floats");
    for index in [0, values.len() / 2, values.len() - 1] {
        let at = |distance: f64| {
            let mut moved = values.clone();
            moved[index] += distance;
            run(&Tensor::float(head.shape(), moved).expect("head")).0
        };
        let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
        assert!(
            (slope - gradient[index]).abs() < 1e-5 * l2(&gradient),
            "[{index}]: {}, slope {slope}",
            gradient[index]
        );
    }
    // With a head of zeros every token is as likely: the cross entropy is ln V, whatever the labels.
    let uniform = |loss: LossKind| {
        let options = StepOptions { loss, ..options };
        let mut step = training_step(&golden.config, &options).expect("graph");
        let (_, cross_entropy) = step.outputs.iter().find(|(name, _)| *name == "lm_loss").expect("lm_loss");
        step.builder.output("lm_loss", *cross_entropy).expect("output");
        let graph = step.builder.finish();
        let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
            "tokens" => golden.tokens(),
            "labels" => golden.labels(),
            "puzzle_ids" => golden.puzzle_ids(),
            "reset" => Tensor::bool(&[golden.rows()], vec![true; golden.rows()]).expect("reset"),
            "z_h" | "z_l" => zeros.clone(),
            "lm_head.weight" => Tensor::float(head.shape(), vec![0.0; values.len()]).expect("head"),
            name => golden.weight(name),
        });
        evaluate(&graph, &inputs.collect::<Vec<_>>()).expect("evaluate")[0].to_floats().expect("floats")
    };
    for kind in [LossKind::Softmax, LossKind::Stablemax] {
        let labels = golden.labels().to_ints().expect("labels");
        for (found, labels) in uniform(kind).into_iter().zip(labels.chunks(golden.config.seq_len)) {
            let labelled = labels.iter().any(|&label| label >= 0);
            let expected = if labelled { (golden.config.vocab_size as f64).ln() } else { 0.0 };
            assert!((found - expected).abs() < 1e-6, "{kind:?}: {found}, {expected}");
        }
    }
    assert!(loss.is_finite() && loss > 0.0);
}
