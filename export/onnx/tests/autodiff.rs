//! Every operator's gradient against central differences, both in float64.

use trm_onnx::OnnxError;
use trm_onnx::autodiff::gradients;
use trm_onnx::eval::{Tensor, evaluate};
use trm_onnx::operators::{
    Add, Atan, Concat, Detach, Div, Exp, Expand, Gather, Identity, Log, MatMul, Max, Mul, Neg, Pad, ReduceMax,
    ReduceMean, ReduceSum, Reshape, RotaryEmbedding, Sigmoid, Slice, Softmax, Softplus, Split, Sqrt, Sub, Sum,
    Transpose, Unsqueeze,
};
use trm_onnx::{Constant, DType, Dim, Graph, GraphBuilder, Op, TensorType, ValueId};

/// Relative error that central differences of step 1e-5 leave in float64.
const TOLERANCE: f64 = 1e-7;

type Built = Result<ValueId, OnnxError>;

/// Distinct numbers in 0.3..1.7, away from the poles and corners of every operator.
fn numbers(count: usize, salt: usize) -> Vec<f64> {
    (0..count).map(|i| 0.3 + 1.4 * ((i * 37 + salt * 17) % 101) as f64 / 101.0).collect()
}

fn float(shape: &[usize]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().map(|&size| Dim::Fixed(size)).collect::<Vec<_>>())
}

/// A graph with the loss `sum(w · f(inputs))` as its first output and the gradients of all inputs behind it.
fn differentiated(shapes: &[&[usize]], f: &dyn Fn(&mut GraphBuilder, &[ValueId]) -> Built) -> Result<Graph, OnnxError> {
    let mut b = GraphBuilder::new("test", "");
    let inputs =
        shapes.iter().enumerate().map(|(i, shape)| b.input(&format!("x{i}"), float(shape))).collect::<Vec<_>>();
    let y = f(&mut b, &inputs)?;
    let shape = b.ty(y).shape.clone();
    let sizes = shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { panic!("batch") });
    let sizes = sizes.collect::<Vec<_>>();
    let weights = numbers(sizes.iter().product(), 5).into_iter().map(|value| value as f32).collect::<Vec<_>>();
    let weights = b.constant("w", || Constant::f32(&sizes, weights));
    let product = b.mul(y, weights)?;
    let loss = b.node(ReduceSum { axes: (0..sizes.len()).collect() }, &[product])?;
    let gradients = gradients(&mut b, loss, &inputs)?;
    b.output("loss", loss)?;
    for (index, &gradient) in gradients.iter().enumerate() {
        assert_eq!(b.ty(gradient), b.ty(inputs[index]), "a gradient has its value's type");
        b.output(&format!("g{index}"), gradient)?;
    }
    Ok(b.finish())
}

fn loss(graph: &Graph, shapes: &[&[usize]], values: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let inputs = shapes.iter().zip(values).map(|(shape, data)| Tensor::float(shape, data.clone()).expect("shape"));
    let outputs = evaluate(graph, &inputs.collect::<Vec<_>>()).expect("evaluate");
    outputs.iter().map(|output| output.to_floats().expect("floats")).collect()
}

/// The greatest difference between a gradient and the central difference, relative to the greatest gradient.
fn worst_error(shapes: &[&[usize]], f: &dyn Fn(&mut GraphBuilder, &[ValueId]) -> Built) -> f64 {
    let graph = differentiated(shapes, f).expect("graph");
    let values = shapes.iter().enumerate().map(|(i, shape)| numbers(shape.iter().product(), i)).collect::<Vec<_>>();
    let found = loss(&graph, shapes, &values);
    let mut worst: f64 = 0.0;
    for (input, value) in values.iter().enumerate() {
        let scale = found[1 + input].iter().fold(1e-3, |a: f64, b| a.max(b.abs()));
        for element in 0..value.len() {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[input][element] += step;
                loss(&graph, shapes, &moved)[0][0]
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            let error = (found[1 + input][element] - expected).abs() / scale;
            worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
        }
    }
    worst
}

fn check(name: &str, shapes: &[&[usize]], f: impl Fn(&mut GraphBuilder, &[ValueId]) -> Built) {
    let error = worst_error(shapes, &f);
    assert!(error < TOLERANCE, "{name} on {shapes:?}: relative error {error:e}");
}

fn unary(op: impl Into<Op>) -> impl Fn(&mut GraphBuilder, &[ValueId]) -> Built {
    let op = op.into();
    move |b, x| b.node(op.clone(), &x[..1])
}

fn binary(op: impl Into<Op>) -> impl Fn(&mut GraphBuilder, &[ValueId]) -> Built {
    let op = op.into();
    move |b, x| b.node(op.clone(), &[x[0], x[1]])
}

#[test]
fn elementwise_rules() {
    for op in [
        Op::from(Neg),
        Sqrt.into(),
        Sigmoid.into(),
        Log.into(),
        Exp.into(),
        Softplus.into(),
        Atan.into(),
        Softmax.into(),
        Identity.into(),
    ] {
        check(op.name(), &[&[2, 3]], unary(op.clone()));
    }
}

#[test]
fn binary_rules_sum_over_what_was_broadcast() {
    let shapes: [[&[usize]; 2]; 5] =
        [[&[2, 3], &[2, 3]], [&[2, 3], &[3]], [&[2, 1, 3], &[4, 1]], [&[1], &[2, 3]], [&[2, 3], &[2, 1]]];
    for op in [Op::from(Add), Sub.into(), Mul.into(), Div.into()] {
        for shapes in &shapes {
            check(op.name(), shapes, binary(op.clone()));
        }
    }
}

#[test]
fn a_gradient_that_is_the_same_along_an_axis_is_counted_for_every_element() {
    // The mean's gradient has size 1 along the axis over which the bias was broadcast.
    check("bias under a mean", &[&[2, 3, 4], &[4]], |b, x| {
        let sum = b.add(x[0], x[1])?;
        b.node(ReduceMean { axis: 1 }, &[sum])
    });
    check("scalar under a sum", &[&[2, 3], &[1]], |b, x| {
        let product = b.add(x[0], x[1])?;
        b.node(ReduceSum { axes: vec![0, 1] }, &[product])
    });
}

#[test]
fn matrix_products() {
    let shapes: [[&[usize]; 2]; 5] = [
        [&[2, 3], &[3, 4]],
        [&[5, 2, 3], &[3, 4]],
        [&[2, 3], &[5, 3, 4]],
        [&[5, 2, 3], &[5, 3, 4]],
        [&[2, 1, 2, 3], &[5, 3, 4]],
    ];
    for shapes in &shapes {
        check("MatMul", shapes, binary(MatMul));
    }
    check("a weight stored transposed", &[&[5, 2, 3], &[4, 3]], |b, x| {
        let weight = b.transpose(x[1], &[1, 0])?;
        b.matmul(x[0], weight)
    });
}

#[test]
fn reductions_and_rearrangements() {
    let shape: &[&[usize]] = &[&[2, 3, 4]];
    check("ReduceMean", shape, unary(ReduceMean { axis: 1 }));
    for axes in [vec![], vec![0], vec![2], vec![0, 2]] {
        check(&format!("ReduceMax of {axes:?}"), shape, unary(ReduceMax { axes }));
    }
    check("ReduceSum", shape, unary(ReduceSum { axes: vec![0, 2] }));
    check("Reshape", shape, unary(Reshape { shape: vec![Dim::Fixed(6), Dim::Fixed(4)] }));
    check("Unsqueeze", shape, unary(Unsqueeze { axes: vec![1, 2] }));
    check("Transpose", shape, unary(Transpose { perm: vec![2, 0, 1] }));
    check("Slice", shape, unary(Slice { axis: 1, start: 1, end: 3 }));
    check("Pad", shape, unary(Pad { axis: 2, before: 1, after: 2 }));
    check("Expand", &[&[3, 1]], unary(Expand { shape: vec![Dim::Fixed(2), Dim::Fixed(3), Dim::Fixed(4)] }));
    check("Cast", shape, |b, x| {
        let wide = b.cast(x[0], DType::F64)?;
        b.cast(wide, DType::F32)
    });
    check("Concat", &[&[2, 3], &[2, 1]], |b, x| b.node(Concat { axis: 1 }, x));
    let three: &[&[usize]] = &[&[2, 3], &[2, 3], &[2, 3]];
    check("Max", three, |b, x| b.node(Max, x));
    check("Max of one twice", &three[..2], |b, x| b.node(Max, &[x[0], x[1], x[0]]));
    check("Sum", three, |b, x| b.node(Sum, x));
    check("Split, one part unused", shape, |b, x| {
        let parts = b.nodes(Split { axis: 2, sizes: vec![1, 2, 1] }, x)?;
        b.mul(parts[0], parts[1])
    });
}

#[test]
fn choices() {
    check("Where", &[&[2, 3], &[3]], |b, x| {
        let half = b.scalar(1.0, DType::F32);
        let condition = b.greater(x[0], half)?;
        b.select_where(condition, x[0], x[1])
    });
    let ids = || Constant::i32(&[2, 2], vec![2, 0, 2, 1]);
    check("Gather of rows, one of them twice", &[&[3, 2]], |b, x| {
        let ids = b.constant("ids", ids);
        b.node(Gather { axis: 0 }, &[x[0], ids])
    });
    for (axis, shape) in [(1, [2, 3, 2]), (2, [2, 2, 3])] {
        check("Gather along another axis, one element twice", &[&shape], |b, x| {
            let ids = b.constant("ids", ids);
            b.node(Gather { axis }, &[x[0], ids])
        });
    }
    check("one element of an axis", &[&[2, 3, 2]], |b, x| b.select(x[0], 1, 1));
}

#[test]
fn values_used_more_than_once_add_up_and_squares_count_twice() {
    check("x² + x", &[&[2, 3]], |b, x| {
        let square = b.mul(x[0], x[0])?;
        b.add(square, x[0])
    });
    check("the root mean square norm", &[&[2, 4]], |b, x| {
        let square = b.mul(x[0], x[0])?;
        let mean = b.node(ReduceMean { axis: 1 }, &[square])?;
        let root = b.node(Sqrt, &[mean])?;
        b.div(x[0], root)
    });
}

#[test]
fn nothing_passes_a_detached_value() {
    let graph = differentiated(&[&[2], &[2]], &|b, x| {
        let cut = b.node(Detach, &[x[0]])?;
        b.mul(cut, x[1])
    });
    let found = loss(&graph.expect("graph"), &[&[2], &[2]], &[vec![3.0, 4.0], vec![1.0, 1.0]]);
    assert_eq!(found[1], [0.0, 0.0]);
    let weights = numbers(2, 5);
    assert!((found[2][0] - 3.0 * weights[0]).abs() < 1e-6 && (found[2][1] - 4.0 * weights[1]).abs() < 1e-6);
}

#[test]
fn an_operator_without_a_rule_is_an_error_that_names_it() {
    let error = differentiated(&[&[1, 2, 4], &[2, 2]], &|b, x| {
        let positions = b.constant("positions", || Constant::i64(&[1, 2], vec![0, 1]));
        b.node(RotaryEmbedding { heads: 1 }, &[x[0], positions, x[1], x[1]])
    });
    let error = error.expect_err("accepted").to_string();
    assert_eq!(error, "no gradient through RotaryEmbedding: RotaryEmbedding has no rule");
}

/// Several largest elements share what goes through their maximum.
#[test]
fn largest_elements_that_are_equal_share_their_gradient() {
    let graph = differentiated(&[&[4]], &unary(ReduceMax { axes: Vec::new() })).expect("graph");
    let found = loss(&graph, &[&[4]], &[vec![2.0, 1.0, 2.0, 0.0]]);
    let weight = numbers(1, 5)[0];
    for (found, expected) in found[1].iter().zip([weight / 2.0, 0.0, weight / 2.0, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
}

#[test]
fn an_unknown_batch_size_is_an_error_where_a_rule_needs_it() {
    let mut b = GraphBuilder::new("test", "");
    let x = b.input("x", TensorType::new(DType::F32, [Dim::Batch, Dim::Fixed(2)]));
    let loss = b.node(ReduceSum { axes: vec![0, 1] }, &[x]).expect("sum");
    let error = gradients(&mut b, loss, &[x]).expect_err("accepted");
    assert!(
        error.to_string().ends_with("its gradient needs the batch size; build the graph for a known one"),
        "{error}"
    );
}

#[test]
fn the_comparison_itself_can_fail() {
    // A cut that should not be there.
    let error = worst_error(&[&[2, 3]], &|b, x| {
        let cut = b.node(Detach, &[x[0]])?;
        b.mul(cut, x[0])
    });
    assert!(error > 0.1, "{error}");
}
