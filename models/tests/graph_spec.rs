//! The interface between exported graphs and engines.

use trm_intake::explained;
use trm_models::{Axis, ConfigSource, ElementType, FoundTensor, GraphKind, GraphSpec, TrmConfig};

fn config() -> TrmConfig {
    let yaml = "arch: {name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, H_cycles: 2, L_cycles: 2, \
                L_layers: 1, hidden_size: 8, num_heads: 2, expansion: 4, pos_encodings: rope, puzzle_emb_ndim: 8, puzzle_emb_len: 2, halt_max_steps: 4, halt_exploration_prob: 0}";
    ConfigSource::from_yaml_str(yaml, "test")
        .and_then(|source| source.seq_len(9).vocab_size(5).num_puzzle_identifiers(1).build())
        .expect("config")
}

/// The declarations of a correct file, its batch axis dynamic.
fn found(specs: &[trm_models::TensorSpec]) -> Vec<FoundTensor> {
    let size = |axis: &Axis| match axis {
        Axis::Batch => None,
        Axis::Fixed(size) => Some(*size),
    };
    specs
        .iter()
        .map(|spec| FoundTensor {
            name: spec.name.into(),
            element: Some(spec.element),
            shape: spec.shape.iter().map(size).collect(),
        })
        .collect()
}

#[test]
fn lists_every_graphs_interface() {
    let list = |kind| {
        let spec = GraphSpec::new(kind, &config());
        let join =
            |specs: &[trm_models::TensorSpec]| specs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        (join(&spec.inputs), join(&spec.outputs))
    };
    let solved = "answer: i32[batch, 9]; q_halt: f32[batch]; q_continue: f32[batch]; steps: i32[batch]; \
                  logits: f32[batch, 9, 5]";
    assert_eq!(
        list(GraphKind::Step),
        (
            "tokens: i32[batch, 9]; puzzle_ids: i32[batch]; reset: bool[batch]; z_h: f32[batch, 11, 8]; \
             z_l: f32[batch, 11, 8]"
                .into(),
            "answer: i32[batch, 9]; q_halt: f32[batch]; q_continue: f32[batch]; z_h_next: f32[batch, 11, 8]; \
             z_l_next: f32[batch, 11, 8]; logits: f32[batch, 9, 5]"
                .into()
        )
    );
    assert_eq!(
        list(GraphKind::Solve),
        (
            "tokens: i32[batch, 9]; puzzle_ids: i32[batch]; halt_threshold: f32[]; max_steps: i64[]".into(),
            solved.into()
        )
    );
    assert_eq!(
        list(GraphKind::Unrolled),
        ("tokens: i32[batch, 9]; puzzle_ids: i32[batch]; halt_threshold: f32[]".into(), solved.into())
    );
}

#[test]
fn accepts_its_own_interface_in_any_order_and_with_a_fixed_batch() {
    for kind in GraphKind::ALL {
        let spec = GraphSpec::new(kind, &config());
        let (mut inputs, mut outputs) = (found(&spec.inputs), found(&spec.outputs));
        spec.check(kind, &inputs, &outputs).expect("its own");
        inputs.reverse();
        outputs.rotate_left(2);
        for tensor in inputs.iter_mut().chain(&mut outputs) {
            for axis in &mut tensor.shape {
                axis.get_or_insert(4);
            }
        }
        spec.check(kind, &inputs, &outputs).expect("batch 4");
    }
}

#[test]
fn names_the_first_difference() {
    let spec = GraphSpec::new(GraphKind::Step, &config());
    let refusal = |change: &dyn Fn(&mut Vec<FoundTensor>, &mut Vec<FoundTensor>)| {
        let (mut inputs, mut outputs) = (found(&spec.inputs), found(&spec.outputs));
        change(&mut inputs, &mut outputs);
        let message = explained(&spec.check(GraphKind::Step, &inputs, &outputs).expect_err("refused"));
        let (line, hint) = message.split_once('\n').expect("a hint");
        assert_eq!(hint, "hint: the graph was not made for this model: export the checkpoint again");
        line.to_owned()
    };
    assert_eq!(refusal(&|inputs, _| inputs.truncate(2)), "the step graph lacks input reset: bool[batch]");
    assert_eq!(
        refusal(&|_, outputs| outputs[3].shape[1] = Some(12)),
        "the step graph has output `z_h_next` as f32[batch, 12, 8], expected z_h_next: f32[batch, 11, 8]"
    );
    assert_eq!(
        refusal(&|inputs, _| inputs[0].element = Some(ElementType::I64)),
        "the step graph has input `tokens` as i64[batch, 9], expected tokens: i32[batch, 9]"
    );
    assert_eq!(
        refusal(&|inputs, _| inputs[0] = FoundTensor { name: "tokens".into(), element: None, shape: vec![] }),
        "the step graph has input `tokens` as another dtype[], expected tokens: i32[batch, 9]"
    );
    assert_eq!(
        refusal(&|inputs, _| inputs.push(FoundTensor { name: "x".into(), element: None, shape: vec![] })),
        "the step graph has an unknown input `x`, expected tokens, puzzle_ids, reset, z_h, z_l"
    );
}

#[test]
fn parses_the_names_it_prints() {
    for kind in GraphKind::ALL {
        assert_eq!(kind.to_string().parse::<GraphKind>().expect("its own name"), kind);
        assert_eq!(kind.file_name(), format!("{kind}.onnx"));
    }
    let message = explained(&"stepp".parse::<GraphKind>().expect_err("refused"));
    assert_eq!(message, "unknown graph `stepp`, expected step, solve or unrolled");
}
