//! The reference evaluator: runs a graph in float64, one node after the other.
//!
//! Slow and simple on purpose: it is what the engines are compared with (a bundle's self-test comes from it), so
//! it shares nothing with them.

use std::collections::HashMap;
use std::ops::Index;

use ndarray::{ArrayD, ArrayViewD, IxDyn, Zip};

use crate::OnnxError;
use crate::graph::{Graph, ValueId};
use crate::tensor::{Constant, Elements};

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
    pub fn float(shape: &[usize], elements: Vec<f64>) -> Result<Self, OnnxError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Float).map_err(|error| OnnxError::evaluation("input", error))
    }

    /// Integers of this shape.
    ///
    /// # Errors
    /// When the number of elements is not the shape's.
    pub fn int(shape: &[usize], elements: Vec<i64>) -> Result<Self, OnnxError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Int).map_err(|error| OnnxError::evaluation("input", error))
    }

    /// Booleans of this shape.
    ///
    /// # Errors
    /// When the number of elements is not the shape's.
    pub fn bool(shape: &[usize], elements: Vec<bool>) -> Result<Self, OnnxError> {
        ArrayD::from_shape_vec(shape, elements).map(Self::Bool).map_err(|error| OnnxError::evaluation("input", error))
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
    pub fn to_floats(&self) -> Result<Vec<f64>, OnnxError> {
        self.floats().map(|array| array.iter().copied().collect())
    }

    /// The integers in row-major order.
    ///
    /// # Errors
    /// When the elements are not integers.
    pub fn to_ints(&self) -> Result<Vec<i64>, OnnxError> {
        self.ints().map(|array| array.iter().copied().collect())
    }

    /// The array of floats.
    ///
    /// # Errors
    /// When the elements are not floats.
    pub fn floats(&self) -> Result<&ArrayD<f64>, OnnxError> {
        match self {
            Self::Float(array) => Ok(array),
            _ => Err(OnnxError::evaluation("value", "floats expected")),
        }
    }

    /// The array of integers.
    ///
    /// # Errors
    /// When the elements are not integers.
    pub fn ints(&self) -> Result<&ArrayD<i64>, OnnxError> {
        match self {
            Self::Int(array) => Ok(array),
            _ => Err(OnnxError::evaluation("value", "integers expected")),
        }
    }

    /// The array of booleans.
    ///
    /// # Errors
    /// When the elements are not booleans.
    pub fn bools(&self) -> Result<&ArrayD<bool>, OnnxError> {
        match self {
            Self::Bool(array) => Ok(array),
            _ => Err(OnnxError::evaluation("value", "booleans expected")),
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
pub fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, OnnxError> {
    run(graph, inputs, &HashMap::new())
}

fn run(graph: &Graph, inputs: &[Tensor], captures: &HashMap<ValueId, Tensor>) -> Result<Vec<Tensor>, OnnxError> {
    if inputs.len() != graph.inputs().len() {
        return Err(OnnxError::evaluation(
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
        for body in node.op.bodies() {
            last_use.extend(body.captures().map(|(_, there)| (there, index)));
        }
    }
    for (index, node) in graph.nodes().iter().enumerate() {
        let name = &graph.value(node.outputs[0]).name;
        let outputs = {
            let arguments = node
                .inputs
                .iter()
                .map(|id| values.get(id).ok_or_else(|| OnnxError::evaluation(name, "an input was not computed")))
                .collect::<Result<Vec<_>, _>>()?;
            node.op.evaluate(&Arguments { tensors: &arguments, around: Some(&values) }).map_err(
                |error| match error {
                    OnnxError::Evaluation { problem, .. } => OnnxError::evaluation(name, problem),
                    other => other,
                },
            )?
        };
        values.extend(node.outputs.iter().copied().zip(outputs));
        for id in node.inputs.iter().filter(|id| last_use[*id] == index && !graph.outputs().contains(id)) {
            values.remove(id);
        }
    }
    graph
        .outputs()
        .iter()
        .map(|id| {
            values.get(id).cloned().ok_or_else(|| OnnxError::evaluation(graph.name(), "an output was not computed"))
        })
        .collect()
}

/// The inputs of a node that is evaluated, and the values around it that a body may read.
#[derive(Clone, Copy, Debug)]
pub struct Arguments<'a> {
    tensors: &'a [&'a Tensor],
    around: Option<&'a HashMap<ValueId, Tensor>>,
}

impl<'a> Arguments<'a> {
    /// Inputs with no graph around them.
    #[must_use]
    pub fn new(tensors: &'a [&'a Tensor]) -> Self {
        Self { tensors, around: None }
    }

    /// The inputs.
    #[must_use]
    pub fn tensors(&self) -> &'a [&'a Tensor] {
        self.tensors
    }

    /// The floats of an input.
    ///
    /// # Errors
    /// When its elements are not floats.
    pub fn floats(&self, index: usize) -> Result<&'a ArrayD<f64>, OnnxError> {
        self.tensors[index].floats()
    }

    /// The integers of an input.
    ///
    /// # Errors
    /// When its elements are not integers.
    pub fn ints(&self, index: usize) -> Result<&'a ArrayD<i64>, OnnxError> {
        self.tensors[index].ints()
    }

    /// The booleans of an input.
    ///
    /// # Errors
    /// When its elements are not booleans.
    pub fn bools(&self, index: usize) -> Result<&'a ArrayD<bool>, OnnxError> {
        self.tensors[index].bools()
    }

    /// A graph inside the operator, ready to run.
    ///
    /// # Errors
    /// When it takes a value from the graph around it that was not computed.
    pub fn body<'b>(&self, graph: &'b Graph) -> Result<Body<'b>, OnnxError> {
        let value = |there: ValueId| self.around.and_then(|values| values.get(&there)).cloned();
        let captures = graph.captures().map(|(here, there)| value(there).map(|tensor| (here, tensor)));
        let captures = captures.collect::<Option<HashMap<_, _>>>();
        let captures =
            captures.ok_or_else(|| OnnxError::evaluation(graph.name(), "a captured value was not computed"))?;
        Ok(Body { graph, captures })
    }
}

impl Index<usize> for Arguments<'_> {
    type Output = Tensor;

    fn index(&self, index: usize) -> &Tensor {
        self.tensors[index]
    }
}

/// A graph inside an operator, with the values that it takes from the graph around it.
#[derive(Debug)]
pub struct Body<'a> {
    graph: &'a Graph,
    captures: HashMap<ValueId, Tensor>,
}

impl Body<'_> {
    /// Runs it once.
    ///
    /// # Errors
    /// Those of [`evaluate`].
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, OnnxError> {
        run(self.graph, inputs, &self.captures)
    }
}

/// A function of two arrays that broadcast as in numpy.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn broadcast2<A, B, T>(a: &ArrayD<A>, b: &ArrayD<B>, f: impl Fn(&A, &B) -> T) -> Result<ArrayD<T>, OnnxError> {
    let shape = joint_shape(a.shape(), b.shape());
    let (a, b) = (broadcast(a, &shape)?, broadcast(b, &shape)?);
    Ok(Zip::from(&a).and(&b).map_collect(f))
}

/// The shape of two operands that broadcast.
pub(crate) fn joint_shape(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], index: usize| (index + shape.len()).checked_sub(rank).map_or(1, |index| shape[index]);
    (0..rank).map(|index| if at(a, index) == 1 { at(b, index) } else { at(a, index) }).collect()
}

/// An array repeated up to a shape.
pub(crate) fn broadcast<'a, T>(array: &'a ArrayD<T>, shape: &[usize]) -> Result<ArrayViewD<'a, T>, OnnxError> {
    array.broadcast(shape).ok_or_else(|| {
        OnnxError::evaluation("broadcast", format!("{:?} does not broadcast to {shape:?}", array.shape()))
    })
}
