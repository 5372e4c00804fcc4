//! An operator defined outside of the crate: built into a graph, inferred, evaluated, differentiated, written and read back.

use std::path::Path;

use prost::Message;
use trm_onnx::autodiff::{Backward, Contributions, gradients};
use trm_onnx::eval::{Arguments, Tensor, evaluate};
use trm_onnx::infer::expect_float;
use trm_onnx::liveness::{Memory, peak_bytes};
use trm_onnx::operators::{Attribute, OperatorSet, ReduceSum};
use trm_onnx::proto::ModelProto;
use trm_onnx::write::encode;
use trm_onnx::{DType, Dim, Graph, GraphBuilder, OnnxError, OnnxSummary, Op, Operator, TensorType};

/// `factor · x³`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cube {
    factor: f32,
}

impl Operator for Cube {
    fn name(&self) -> &'static str {
        "Cube"
    }

    fn operator_set(&self) -> OperatorSet {
        OperatorSet { domain: "toy", version: 3 }
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String> {
        expect_float(inputs[0])?;
        Ok(vec![inputs[0].clone()])
    }

    fn evaluate(&self, inputs: &Arguments<'_>) -> Result<Vec<Tensor>, OnnxError> {
        let factor = f64::from(self.factor);
        Ok(vec![Tensor::Float(inputs.floats(0)?.mapv(|x| factor * x * x * x))])
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        vec![Attribute::float("factor", self.factor)]
    }

    /// `3 factor x²`.
    fn gradient(&self, b: &mut GraphBuilder, at: &Backward<'_>) -> Result<Contributions, OnnxError> {
        let slope = b.scalar(3.0 * self.factor, b.ty(at.x()).dtype);
        let square = b.mul(at.x(), at.x())?;
        let slope = b.mul(slope, square)?;
        let value = b.mul(at.g, slope)?;
        Ok(at.like_input(b, value))
    }

    fn memory(&self) -> Memory {
        Memory::InPlace
    }
}

const CUBE: Cube = Cube { factor: 0.5 };

/// `loss = sum(cube(x)²)` and its gradient for `x [2, 3]`.
fn graph() -> Result<Graph, OnnxError> {
    let mut b = GraphBuilder::new("toy", "");
    let x = b.input("x", TensorType::new(DType::F32, [Dim::Fixed(2), Dim::Fixed(3)]));
    let cube = b.node(CUBE, &[x])?;
    let square = b.mul(cube, cube)?;
    let loss = b.node(ReduceSum { axes: vec![0, 1] }, &[square])?;
    let gradient = gradients(&mut b, loss, &[x])?[0];
    b.output("loss", loss)?;
    b.output("gradient", gradient)?;
    Ok(b.finish())
}

fn run(graph: &Graph, x: &[f64]) -> [Vec<f64>; 2] {
    let outputs = evaluate(graph, &[Tensor::float(&[2, 3], x.to_vec()).expect("shape")]).expect("evaluated");
    [0, 1].map(|index| outputs[index].to_floats().expect("floats"))
}

const X: [f64; 6] = [-1.5, -0.5, 0.25, 0.75, 1.0, 2.0];

#[test]
fn it_is_inferred_and_evaluated() {
    let [loss, _] = run(&graph().expect("graph"), &X);
    let expected: f64 = X.iter().map(|x| (0.5 * x.powi(3)).powi(2)).sum();
    assert!((loss[0] - expected).abs() < 1e-12, "{loss:?} for {expected}");
    let mut b = GraphBuilder::new("toy", "");
    let ints = b.input("ints", TensorType::new(DType::I32, [Dim::Batch]));
    let error = b.node(CUBE, &[ints]).expect_err("accepted").to_string();
    assert_eq!(error, "graph toy: node Cube (Cube) on (i32[batch]): needs floats, got i32[batch]");
    let error = b.node(CUBE, &[ints, ints]).expect_err("accepted").to_string();
    assert!(error.ends_with("takes 1 inputs, got 2"), "{error}");
}

#[test]
fn its_gradient_is_that_of_central_differences() {
    let graph = graph().expect("graph");
    let [_, gradient] = run(&graph, &X);
    for (index, found) in gradient.iter().enumerate() {
        let at = |step: f64| {
            let mut moved = X;
            moved[index] += step;
            run(&graph, &moved)[0][0]
        };
        let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
        let error = (found - expected).abs();
        // NaN is not below it.
        assert!(error < 1e-7, "{found} for {expected}");
    }
}

#[test]
fn it_is_written_and_read_back() {
    let bytes = encode(&graph().expect("graph"), &[]).onnx;
    let summary = OnnxSummary::from_bytes(&bytes, Path::new("toy.onnx")).expect("a model");
    assert_eq!(summary.operators["Cube"], 1);
    assert_eq!(summary.opsets, [(String::new(), 17), ("toy".to_owned(), 3)]);
    let model = ModelProto::decode(bytes.as_slice()).expect("a model");
    let nodes = model.graph.expect("a graph").node;
    let node = nodes.iter().find(|node| node.op_type == "Cube").expect("the node");
    assert_eq!((node.domain.as_str(), node.input.as_slice()), ("toy", ["x".to_owned()].as_slice()));
    assert_eq!(node.attribute.len(), 1);
    assert_eq!((node.attribute[0].name.as_str(), node.attribute[0].f), ("factor", 0.5));
}

#[test]
fn it_is_compared_and_found_again() {
    let op = Op::from(CUBE);
    assert_eq!(op, Op::from(CUBE));
    assert_ne!(op, Op::from(Cube { factor: 2.0 }));
    assert_eq!(op.get::<Cube>(), Some(&CUBE));
    assert!(!op.is::<ReduceSum>());
}

#[test]
fn its_memory_is_counted() {
    let mut b = GraphBuilder::new("toy", "");
    let x = b.input("x", TensorType::new(DType::F32, [Dim::Fixed(100)]));
    let sum = b.add(x, x).expect("sum");
    let cube = b.node(CUBE, &[sum]).expect("cube");
    b.output("cube", cube).expect("output");
    assert_eq!(peak_bytes(&b.finish()), Some(400));
}
