//! The reference evaluator: runs a graph in float64, one node after the other.
//!
//! Slow and simple on purpose: it is what the engines are compared with (a bundle's self-test comes from it), so
//! it shares nothing with them.

mod bodies;
mod fused;
mod quantised;

use std::collections::HashMap;

use ndarray::{ArrayD, ArrayViewD, Axis, Ix2, IxDyn, Slice, Zip};

use super::graph::{Graph, Node, ValueId};
use super::op::Op;
use super::tensor::{Constant, DType, Dim, Elements};
use crate::ExportError;

/// A value while evaluating. Floats of any width are float64, integers of any width int64.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// Floats.
    Float(ArrayD<f64>),
    /// Integers.
    Int(ArrayD<i64>),
    /// Booleans.
    Bool(ArrayD<bool>),
}

impl Tensor {
    /// Floats of this shape.
    ///
    /// # Errors
    /// When the number of elements is not the shape's.
    pub fn float(shape: &[usize], elements: Vec<f64>) -> Result<Self, ExportError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Float).map_err(|error| evaluation("input", error))
    }

    /// Integers of this shape.
    ///
    /// # Errors
    /// When the number of elements is not the shape's.
    pub fn int(shape: &[usize], elements: Vec<i64>) -> Result<Self, ExportError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Int).map_err(|error| evaluation("input", error))
    }

    /// Booleans of this shape.
    ///
    /// # Errors
    /// When the number of elements is not the shape's.
    pub fn bool(shape: &[usize], elements: Vec<bool>) -> Result<Self, ExportError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Bool).map_err(|error| evaluation("input", error))
    }

    /// The dimensions.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(array) => array.shape(),
            Self::Int(array) => array.shape(),
            Self::Bool(array) => array.shape(),
        }
    }

    /// The floats in row-major order.
    ///
    /// # Errors
    /// When the elements are not floats.
    pub fn to_floats(&self) -> Result<Vec<f64>, ExportError> {
        self.floats().map(|array| array.iter().copied().collect())
    }

    /// The integers in row-major order.
    ///
    /// # Errors
    /// When the elements are not integers.
    pub fn to_ints(&self) -> Result<Vec<i64>, ExportError> {
        self.ints().map(|array| array.iter().copied().collect())
    }

    fn floats(&self) -> Result<&ArrayD<f64>, ExportError> {
        match self {
            Self::Float(array) => Ok(array),
            _ => Err(evaluation("value", "floats expected")),
        }
    }

    fn ints(&self) -> Result<&ArrayD<i64>, ExportError> {
        match self {
            Self::Int(array) => Ok(array),
            _ => Err(evaluation("value", "integers expected")),
        }
    }

    fn bools(&self) -> Result<&ArrayD<bool>, ExportError> {
        match self {
            Self::Bool(array) => Ok(array),
            _ => Err(evaluation("value", "booleans expected")),
        }
    }
}

impl From<&Constant> for Tensor {
    fn from(constant: &Constant) -> Self {
        /// Constants hold as many elements as their shape says; an array that does not would be a bug above.
        fn array<T: Clone + Default>(shape: &[usize], elements: Vec<T>) -> ArrayD<T> {
            ArrayD::from_shape_vec(shape, elements).unwrap_or_else(|_| ArrayD::default(IxDyn(shape)))
        }
        let shape = &constant.shape;
        match &constant.elements {
            Elements::F64(data) => Self::Float(array(shape, data.to_vec())),
            Elements::F32(data) => Self::Float(array(shape, data.iter().map(|&value| f64::from(value)).collect())),
            Elements::F16(data) => Self::Float(array(shape, data.iter().map(|value| value.to_f64()).collect())),
            Elements::I64(data) => Self::Int(array(shape, data.to_vec())),
            Elements::I32(data) => Self::Int(array(shape, data.iter().map(|&value| i64::from(value)).collect())),
            Elements::I8(data) => Self::Int(array(shape, data.iter().map(|&value| i64::from(value)).collect())),
            Elements::U8(data) => Self::Int(array(shape, data.iter().map(|&value| i64::from(value)).collect())),
            Elements::Bool(data) => Self::Bool(array(shape, data.to_vec())),
        }
    }
}

/// Runs `graph` on `inputs`, in the order of its inputs, and returns its outputs in order.
///
/// # Errors
/// When an input is missing or shapes do not fit each other at run time.
pub fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, ExportError> {
    run(graph, inputs, &HashMap::new())
}

fn run(graph: &Graph, inputs: &[Tensor], captures: &HashMap<ValueId, Tensor>) -> Result<Vec<Tensor>, ExportError> {
    if inputs.len() != graph.inputs().len() {
        return Err(evaluation(
            graph.name(),
            format!("{} inputs given, {} expected", inputs.len(), graph.inputs().len()),
        ));
    }
    let mut values = graph.constants().map(|(id, constant)| (id, Tensor::from(constant))).collect::<HashMap<_, _>>();
    values.extend(graph.inputs().iter().copied().zip(inputs.iter().cloned()));
    values.extend(captures.iter().map(|(&id, tensor)| (id, tensor.clone())));
    let mut last_use = HashMap::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        last_use.extend(node.inputs.iter().map(|&id| (id, index)));
        if let Some(body) = node.op.body() {
            last_use.extend(body.captures().map(|(_, there)| (there, index)));
        }
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        let name = &graph.value(node.outputs[0]).name;
        let outputs = {
            let arguments = node
                .inputs
                .iter()
                .map(|id| values.get(id).ok_or_else(|| evaluation(name, "an input was not computed")))
                .collect::<Result<Vec<_>, _>>()?;
            node_outputs(node, &arguments, &values).map_err(|error| match error {
                ExportError::Evaluation { problem, .. } => evaluation(name, problem),
                other => other,
            })?
        };
        values.extend(node.outputs.iter().copied().zip(outputs));
        for id in node.inputs.iter().filter(|id| last_use[*id] == index && !graph.outputs().contains(id)) {
            values.remove(id);
        }
    }
    graph
        .outputs()
        .iter()
        .map(|id| values.get(id).cloned().ok_or_else(|| evaluation(graph.name(), "an output was not computed")))
        .collect()
}

fn node_outputs(
    node: &Node,
    inputs: &[&Tensor],
    values: &HashMap<ValueId, Tensor>,
) -> Result<Vec<Tensor>, ExportError> {
    let one = |tensor: Tensor| Ok(vec![tensor]);
    match &node.op {
        Op::Add => one(arithmetic(inputs, |a, b| a + b, i64::wrapping_add)?),
        Op::Sub => one(arithmetic(inputs, |a, b| a - b, i64::wrapping_sub)?),
        Op::Mul => one(arithmetic(inputs, |a, b| a * b, i64::wrapping_mul)?),
        Op::Div => one(Tensor::Float(broadcast2(inputs[0].floats()?, inputs[1].floats()?, |a, b| a / b)?)),
        Op::Sqrt => one(Tensor::Float(inputs[0].floats()?.mapv(f64::sqrt))),
        Op::Sigmoid => one(Tensor::Float(inputs[0].floats()?.mapv(|value| 1.0 / (1.0 + (-value).exp())))),
        Op::Neg => one(Tensor::Float(inputs[0].floats()?.mapv(|value| -value))),
        Op::Log => one(Tensor::Float(inputs[0].floats()?.mapv(f64::ln))),
        Op::Exp => one(Tensor::Float(inputs[0].floats()?.mapv(f64::exp))),
        Op::Atan => one(Tensor::Float(inputs[0].floats()?.mapv(f64::atan))),
        Op::Softplus => {
            one(Tensor::Float(inputs[0].floats()?.mapv(|value| value.max(0.0) + (-value.abs()).exp().ln_1p())))
        }
        Op::Greater => one(compare(inputs, |a, b| a > b, |a, b| a > b)?),
        Op::Less => one(compare(inputs, |a, b| a < b, |a, b| a < b)?),
        #[expect(clippy::float_cmp, reason = "ONNX's Equal is exact")]
        Op::Equal => one(compare(inputs, |a, b| a == b, |a, b| a == b)?),
        Op::Or => one(Tensor::Bool(broadcast2(inputs[0].bools()?, inputs[1].bools()?, |&a, &b| a || b)?)),
        Op::Not => one(Tensor::Bool(inputs[0].bools()?.mapv(|value| !value))),
        Op::Where => one(choose(inputs)?),
        Op::MatMul => one(Tensor::Float(matmul(inputs[0].floats()?, inputs[1].floats()?)?)),
        Op::Softmax => one(Tensor::Float(softmax(inputs[0].floats()?))),
        Op::ReduceMean { axis } => {
            let input = inputs[0].floats()?;
            let mean = input.mean_axis(Axis(*axis)).ok_or_else(|| evaluation("ReduceMean", "an empty axis"))?;
            one(Tensor::Float(mean.insert_axis(Axis(*axis))))
        }
        Op::ReduceSum { axes } => {
            let sum = axes
                .iter()
                .fold(inputs[0].floats()?.clone(), |sum, &axis| sum.sum_axis(Axis(axis)).insert_axis(Axis(axis)));
            one(Tensor::Float(sum))
        }
        Op::Expand { shape } => {
            let shape = shape.iter().map(|dim| match dim {
                Dim::Fixed(size) => Ok(*size),
                Dim::Batch => Err(evaluation("Expand", "the batch size is not known")),
            });
            let shape = shape.collect::<Result<Vec<_>, _>>()?;
            one(Tensor::Float(broadcast(inputs[0].floats()?, &shape)?.to_owned()))
        }
        Op::Pad { axis, before, after } => {
            let input = inputs[0].floats()?;
            let zeros = |size: usize| {
                let mut shape = input.shape().to_vec();
                shape[*axis] = size;
                ArrayD::zeros(shape)
            };
            let (front, back) = (zeros(*before), zeros(*after));
            let joined = ndarray::concatenate(Axis(*axis), &[front.view(), input.view(), back.view()]);
            one(Tensor::Float(joined.map_err(|error| evaluation("Pad", error))?))
        }
        Op::ReduceMax { axes } => one(match inputs[0] {
            Tensor::Int(array) => Tensor::Int(reduce(array, axes, i64::MIN, |a, b| *a.max(b))),
            other => Tensor::Float(reduce(other.floats()?, axes, f64::NEG_INFINITY, |a, b| a.max(*b))),
        }),
        Op::DynamicQuantizeLinear | Op::MatMulInteger | Op::QuantizeLinear | Op::DequantizeLinear { .. } => {
            quantised::outputs(&node.op, inputs)
        }
        Op::SkipSimplifiedLayerNormalization { .. } | Op::MultiHeadAttention { .. } | Op::RotaryEmbedding { .. } => {
            fused::outputs(&node.op, inputs)
        }
        Op::ArgMax => one(Tensor::Int(argmax(inputs[0].floats()?))),
        Op::Gather { axis } => one(Tensor::Float(gather(inputs[0].floats()?, inputs[1].ints()?, *axis)?)),
        Op::Concat { axis } => {
            let views =
                inputs.iter().map(|input| input.floats().map(|array| array.view())).collect::<Result<Vec<_>, _>>()?;
            let joined = ndarray::concatenate(Axis(*axis), &views).map_err(|error| evaluation("Concat", error))?;
            one(Tensor::Float(joined))
        }
        Op::Split { axis, sizes } => {
            let mut start = 0;
            sizes
                .iter()
                .map(|&size| {
                    start += size;
                    slice(inputs[0].floats()?, *axis, start - size, start).map(Tensor::Float)
                })
                .collect()
        }
        Op::Slice { axis, start, end } => one(Tensor::Float(slice(inputs[0].floats()?, *axis, *start, *end)?)),
        Op::Reshape { shape } => one(match inputs[0] {
            Tensor::Float(array) => Tensor::Float(reshape(array, shape)?),
            Tensor::Int(array) => Tensor::Int(reshape(array, shape)?),
            Tensor::Bool(array) => Tensor::Bool(reshape(array, shape)?),
        }),
        Op::Unsqueeze { axes } => one(unsqueeze(inputs[0], axes)),
        Op::Transpose { perm } => {
            let permuted = inputs[0].floats()?.view().permuted_axes(perm.clone());
            one(Tensor::Float(permuted.as_standard_layout().into_owned()))
        }
        Op::Cast { to } => one(cast(inputs[0], *to)),
        Op::Identity | Op::Detach => one(inputs[0].clone()),
        Op::Loop { body } => bodies::repeat(body, inputs, values),
        Op::Scan { body, scanned } => bodies::scan(body, inputs, *scanned, values),
    }
}

/// Folded over these axes, or all, which are dropped.
fn reduce<T: Clone>(array: &ArrayD<T>, axes: &[usize], start: T, fold: impl Fn(&T, &T) -> T) -> ArrayD<T> {
    let axes = if axes.is_empty() { (0..array.ndim()).collect() } else { axes.to_vec() };
    // From the last, so that the axes before it keep their numbers.
    let along = |array: ArrayD<T>, &axis: &usize| array.fold_axis(Axis(axis), start.clone(), &fold);
    axes.iter().rev().fold(array.clone(), along)
}

fn arithmetic(
    inputs: &[&Tensor],
    float: impl Fn(&f64, &f64) -> f64,
    int: impl Fn(i64, i64) -> i64,
) -> Result<Tensor, ExportError> {
    match (inputs[0], inputs[1]) {
        (Tensor::Int(a), Tensor::Int(b)) => broadcast2(a, b, |&a, &b| int(a, b)).map(Tensor::Int),
        (a, b) => broadcast2(a.floats()?, b.floats()?, float).map(Tensor::Float),
    }
}

fn compare(
    inputs: &[&Tensor],
    float: impl Fn(&f64, &f64) -> bool,
    int: impl Fn(&i64, &i64) -> bool,
) -> Result<Tensor, ExportError> {
    match (inputs[0], inputs[1]) {
        (Tensor::Int(a), Tensor::Int(b)) => broadcast2(a, b, int),
        (a, b) => broadcast2(a.floats()?, b.floats()?, float),
    }
    .map(Tensor::Bool)
}

fn broadcast2<A, B, T>(a: &ArrayD<A>, b: &ArrayD<B>, f: impl Fn(&A, &B) -> T) -> Result<ArrayD<T>, ExportError> {
    let shape = joint_shape(a.shape(), b.shape());
    let (a, b) = (broadcast(a, &shape)?, broadcast(b, &shape)?);
    Ok(Zip::from(&a).and(&b).map_collect(f))
}

fn joint_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], index: usize| (index + shape.len()).checked_sub(rank).map_or(1, |index| shape[index]);
    (0..rank).map(|index| if at(a, index) == 1 { at(b, index) } else { at(a, index) }).collect()
}

fn broadcast<'a, T>(array: &'a ArrayD<T>, shape: &[usize]) -> Result<ArrayViewD<'a, T>, ExportError> {
    array
        .broadcast(shape)
        .ok_or_else(|| evaluation("broadcast", format!("{:?} does not broadcast to {shape:?}", array.shape())))
}

fn choose(inputs: &[&Tensor]) -> Result<Tensor, ExportError> {
    fn pick<T: Clone>(condition: &ArrayD<bool>, a: &ArrayD<T>, b: &ArrayD<T>) -> Result<ArrayD<T>, ExportError> {
        let shape = joint_shape(&joint_shape(condition.shape(), a.shape()), b.shape());
        let condition = broadcast(condition, &shape)?;
        let (a, b) = (broadcast(a, &shape)?, broadcast(b, &shape)?);
        Ok(Zip::from(&condition).and(&a).and(&b).map_collect(|&first, a, b| if first { a.clone() } else { b.clone() }))
    }
    let condition = inputs[0].bools()?;
    match (inputs[1], inputs[2]) {
        (Tensor::Int(a), Tensor::Int(b)) => pick(condition, a, b).map(Tensor::Int),
        (Tensor::Bool(a), Tensor::Bool(b)) => pick(condition, a, b).map(Tensor::Bool),
        (a, b) => pick(condition, a.floats()?, b.floats()?).map(Tensor::Float),
    }
}

/// Product over the last two axes; the leading ones broadcast.
fn matmul(a: &ArrayD<f64>, b: &ArrayD<f64>) -> Result<ArrayD<f64>, ExportError> {
    let ([lead_a @ .., rows, inner], [lead_b @ .., _, columns]) = (a.shape(), b.shape()) else {
        return Err(evaluation("MatMul", "needs at least two axes"));
    };
    let lead = joint_shape(lead_a, lead_b);
    let with = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Vec<_>>();
    let a = broadcast(a, &with([*rows, *inner]))?;
    let b = broadcast(b, &with([*inner, *columns]))?;
    let mut product = ArrayD::zeros(with([*rows, *columns]));
    // Leading axes folded to one list of matrices; broadcast views cannot be reshaped, so they are indexed.
    for index in ndarray::indices(lead.as_slice()) {
        let at = |view: ArrayViewD<'_, f64>| -> Result<_, ExportError> {
            let matrix = (0..lead.len()).fold(view, |view, axis| view.index_axis_move(Axis(0), index[axis]));
            matrix.into_dimensionality::<Ix2>().map(|matrix| matrix.to_owned()).map_err(|e| evaluation("MatMul", e))
        };
        let result = at(a.view())?.dot(&at(b.view())?);
        let mut target =
            (0..lead.len()).fold(product.view_mut(), |view, axis| view.index_axis_move(Axis(0), index[axis]));
        target.assign(&result);
    }
    Ok(product)
}

fn softmax(input: &ArrayD<f64>) -> ArrayD<f64> {
    let mut output = input.clone();
    for mut lane in output.lanes_mut(Axis(input.ndim().saturating_sub(1))) {
        let largest = lane.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        lane.mapv_inplace(|value| (value - largest).exp());
        let sum = lane.sum();
        lane.mapv_inplace(|value| value / sum);
    }
    output
}

fn argmax(input: &ArrayD<f64>) -> ArrayD<i64> {
    input.map_axis(Axis(input.ndim().saturating_sub(1)), |lane| {
        let first_largest = lane
            .iter()
            .enumerate()
            .fold((0, f64::NEG_INFINITY), |best, (index, &value)| if value > best.1 { (index, value) } else { best });
        first_largest.0 as i64
    })
}

fn gather(data: &ArrayD<f64>, indices: &ArrayD<i64>, axis: usize) -> Result<ArrayD<f64>, ExportError> {
    let size = data.shape()[axis];
    let picked = indices
        .iter()
        .map(|&index| usize::try_from(index).ok().filter(|&index| index < size))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| evaluation("Gather", format!("an index is outside 0..{size}")))?;
    let mut shape = data.shape().to_vec();
    shape.splice(axis..=axis, indices.shape().iter().copied());
    let gathered = data.select(Axis(axis), &picked);
    gathered.into_shape_with_order(shape).map_err(|error| evaluation("Gather", error))
}

fn slice(input: &ArrayD<f64>, axis: usize, start: usize, end: usize) -> Result<ArrayD<f64>, ExportError> {
    if end > input.shape()[axis] {
        return Err(evaluation("Slice", format!("{start}..{end} of {:?}", input.shape())));
    }
    Ok(input.slice_axis(Axis(axis), Slice::from(start..end)).to_owned())
}

fn reshape<T: Clone>(input: &ArrayD<T>, shape: &[Dim]) -> Result<ArrayD<T>, ExportError> {
    let known = shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { 1 }).product::<usize>();
    let batch = input.len() / known.max(1);
    let shape = shape.iter().map(|dim| if let Dim::Fixed(size) = dim { *size } else { batch }).collect::<Vec<_>>();
    input.to_shape(shape).map(|array| array.to_owned()).map_err(|error| evaluation("Reshape", error))
}

fn unsqueeze(input: &Tensor, axes: &[usize]) -> Tensor {
    fn insert<T: Clone>(array: &ArrayD<T>, axes: &[usize]) -> ArrayD<T> {
        axes.iter().fold(array.clone(), |array, &axis| array.insert_axis(Axis(axis)))
    }
    match input {
        Tensor::Float(array) => Tensor::Float(insert(array, axes)),
        Tensor::Int(array) => Tensor::Int(insert(array, axes)),
        Tensor::Bool(array) => Tensor::Bool(insert(array, axes)),
    }
}

fn cast(input: &Tensor, to: DType) -> Tensor {
    match (input, to) {
        (Tensor::Float(array), DType::I32 | DType::I64) => Tensor::Int(array.mapv(|value| value as i64)),
        (Tensor::Float(array), DType::Bool) => Tensor::Bool(array.mapv(|value| value != 0.0)),
        (Tensor::Int(array), DType::F64 | DType::F32 | DType::F16) => Tensor::Float(array.mapv(|value| value as f64)),
        (Tensor::Int(array), DType::Bool) => Tensor::Bool(array.mapv(|value| value != 0)),
        (Tensor::Bool(array), DType::F64 | DType::F32 | DType::F16) => {
            Tensor::Float(array.mapv(|value| f64::from(u8::from(value))))
        }
        (Tensor::Bool(array), DType::I32 | DType::I64) => Tensor::Int(array.mapv(i64::from)),
        (same, _) => same.clone(),
    }
}

fn evaluation(node: impl Into<String>, problem: impl std::fmt::Display) -> ExportError {
    ExportError::Evaluation { node: node.into(), problem: format!("{problem}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::float(shape, elements.to_vec()).expect("shape")
    }

    /// One node on these inputs.
    fn apply(op: Op, inputs: &[Tensor]) -> Result<Vec<Tensor>, ExportError> {
        let node = Node { op, inputs: Vec::new(), outputs: Vec::new() };
        node_outputs(&node, &inputs.iter().collect::<Vec<_>>(), &HashMap::new())
    }

    #[test]
    fn matrix_products_broadcast_their_leading_axes() {
        let weight = float(&[1, 2], &[10.0, 1.0]);
        let rows = float(&[2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let product = apply(Op::MatMul, &[weight, rows]).expect("product");
        assert_eq!(product, [float(&[2, 1, 2], &[13.0, 24.0, 57.0, 68.0])]);
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_softmax_sums_to_one() {
        let logits = float(&[1, 4], &[1.0, 3.0, 3.0, 2.0]);
        assert_eq!(apply(Op::ArgMax, std::slice::from_ref(&logits)).expect("argmax")[0].to_ints().expect("ints"), [1]);
        let softmax = apply(Op::Softmax, &[logits]).expect("softmax")[0].to_floats().expect("floats");
        assert!((softmax.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((softmax[1] / softmax[0] - 2.0_f64.exp()).abs() < 1e-9);
    }

    #[test]
    fn gather_refuses_an_index_outside_the_table() {
        let table = float(&[2, 1], &[1.0, 2.0]);
        let indices = Tensor::int(&[1], vec![2]).expect("shape");
        let error = apply(Op::Gather { axis: 0 }, &[table, indices]).expect_err("accepted");
        assert_eq!(error.to_string(), "evaluating Gather: an index is outside 0..2");
    }
}
