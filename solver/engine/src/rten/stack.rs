//! The stack that a graph's depth takes.
//!
//! rten orders the operators of a graph by a function that calls itself for each that another one waits for: as it optimises a
//! graph that loads, and once more as the graph first runs. How deep that goes is the file's to say, so it happens on a
//! thread whose stack is as deep as the graph may be.

use super::failed;
use super::interface::Declared;
use crate::Result;

/// The most operators of a graph. An unrolled graph of 16 full-size steps has 27 a block, 18,000.
pub(super) const MOST_OPERATORS: usize = 100_000;
/// The same for the body of a loop and for a classifier, which are ordered on the stack of a pool's thread, 2 MiB. A solve
/// graph has 27 a block, and the published models have 42 blocks.
pub(super) const MOST_IN_BODY: usize = 2_500;
/// Bytes of stack an operator; measured were 400 to 500 with the optimisation of releases.
const AN_OPERATOR: usize = 2_048;
/// Bytes of stack for the rest: what a thread has.
const THE_REST: usize = 2 << 20;

/// Checks that a graph has no more than `most` operators, and its loops no more than their stack holds; else the problem, in
/// words.
pub(super) fn check(graph: &Declared, most: usize) -> Result<(), String> {
    let Declared { operators, in_body, .. } = *graph;
    if operators > most || in_body > MOST_IN_BODY {
        return Err(format!("{operators} operators, {in_body} in a loop, are more than {most} and {MOST_IN_BODY}"));
    }
    Ok(())
}

/// Runs something that orders a graph of some operators, [checked](check) before, on a thread with the stack for it.
pub(super) fn deep_enough<T: Send>(operators: usize, run: impl FnOnce() -> T + Send) -> Result<T> {
    let stack = THE_REST + AN_OPERATOR * operators;
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("rten-order".to_owned()).stack_size(stack).spawn_scoped(scope, run);
        let thread = thread.map_err(|error| failed("start a thread".to_owned(), error))?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::rten::{ModelOptions, RunOptions, ThreadPool, ValueOrView};
    use prost::Message as _;
    use rten_tensor::Tensor;
    use rten_tensor::prelude::*;
    use trm_onnx::proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
        attribute_type,
    };

    use super::super::read_model;
    use super::*;

    fn node(op: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            input: input.iter().map(|&name| name.to_owned()).collect(),
            output: vec![output.to_owned()],
            op_type: op.to_owned(),
            ..NodeProto::default()
        }
    }

    fn value(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: name.to_owned(), ..ValueInfoProto::default() }
    }

    /// Sines of sines, from `x0` to the last of them.
    fn chain(operators: usize) -> Vec<NodeProto> {
        (0..operators).map(|i| node("Sin", &[&format!("x{i}")], &format!("x{}", i + 1))).collect()
    }

    fn model(node: Vec<NodeProto>, initializer: Vec<TensorProto>, input: &str, output: &str) -> Vec<u8> {
        let (input, output) = (vec![value(input)], vec![value(output)]);
        let graph = GraphProto { name: "deep".into(), node, initializer, input, output, ..GraphProto::default() };
        let opset_import = vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }];
        ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }.encode_to_vec()
    }

    /// The graph's output for the input 0.5, loaded and run as sessions do.
    fn run(model: &[u8], operators: usize) -> f32 {
        let pool = Arc::new(ThreadPool::with_num_threads(2));
        let options = RunOptions::default().with_thread_pool(Some(pool));
        let model = deep_enough(operators, || read_model(&ModelOptions::with_all_ops(), model)).unwrap().unwrap();
        let x: ValueOrView<'_> = Tensor::from_data(&[1], vec![0.5f32]).into();
        let inputs = vec![(model.input_ids()[0], x)];
        let outputs = deep_enough(operators, || model.run(inputs, model.output_ids(), Some(options)));
        let [output] = outputs.unwrap().unwrap().try_into().unwrap();
        let output: Tensor<f32> = output.try_into().unwrap();
        output.to_vec()[0]
    }

    fn expected(operators: usize) -> f32 {
        (0..operators).fold(0.5, |x: f32, _| x.sin())
    }

    #[test]
    fn deeper_graphs_are_refused() {
        let graph = |operators, in_body| Declared { inputs: Vec::new(), outputs: Vec::new(), operators, in_body };
        assert_eq!(check(&graph(MOST_OPERATORS, MOST_IN_BODY), MOST_OPERATORS), Ok(()));
        let refused = "100001 operators, 7 in a loop, are more than 100000 and 2500";
        assert_eq!(check(&graph(MOST_OPERATORS + 1, 7), MOST_OPERATORS), Err(refused.to_owned()));
        let refused = "7 operators, 2501 in a loop, are more than 100000 and 2500";
        assert_eq!(check(&graph(7, MOST_IN_BODY + 1), MOST_OPERATORS), Err(refused.to_owned()));
    }

    #[test]
    fn the_longest_chain_of_operators_is_ordered() {
        let graph = model(chain(MOST_OPERATORS), Vec::new(), "x0", &format!("x{MOST_OPERATORS}"));
        let (found, expected) = (run(&graph, MOST_OPERATORS), expected(MOST_OPERATORS));
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }

    #[test]
    fn the_longest_chain_in_a_loop_is_ordered() {
        let last = format!("x{}", MOST_IN_BODY - 1);
        // One operator of the body passes the condition on.
        let mut nodes = chain(MOST_IN_BODY - 1);
        nodes.push(node("Identity", &["go_on"], "goes_on"));
        let body = GraphProto {
            name: "body".into(),
            node: nodes,
            input: vec![value("iteration"), value("go_on"), value("x0")],
            output: vec![value("goes_on"), value(&last)],
            ..GraphProto::default()
        };
        let attribute = AttributeProto {
            name: "body".into(),
            g: Some(body),
            r#type: attribute_type::GRAPH,
            ..AttributeProto::default()
        };
        let outer = NodeProto { attribute: vec![attribute], ..node("Loop", &["times", "start", "x"], "y") };
        let constants = vec![
            TensorProto {
                data_type: 7,
                name: "times".into(),
                raw_data: 1i64.to_le_bytes().into(),
                ..Default::default()
            },
            TensorProto { data_type: 9, name: "start".into(), raw_data: vec![1], ..Default::default() },
        ];
        let (found, expected) = (run(&model(vec![outer], constants, "x", "y"), 1), expected(MOST_IN_BODY - 1));
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
    }
}
