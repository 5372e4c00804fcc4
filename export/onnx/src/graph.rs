//! The graph and its builder: every value's type is known when its node is added.

use std::collections::{BTreeMap, HashMap};

use crate::OnnxError;
use crate::operators::{self, Op};
use crate::tensor::{Constant, DType, Dim, TensorType};

/// A value of one graph; only meaningful there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(usize);

impl ValueId {
    /// Position in the graph's list of values.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// Name and type of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Name in the file; unique in the graph and in every graph around it.
    pub name: String,
    /// Element type and shape.
    pub ty: TensorType,
}

/// One call of an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Operator and attributes.
    pub op: Op,
    /// Values read.
    pub inputs: Vec<ValueId>,
    /// Values written.
    pub outputs: Vec<ValueId>,
}

/// A finished or growing graph: nodes in topological order, constants, inputs, outputs, and, for the body of a
/// `Loop`, the values that it takes from the graph around it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    name: String,
    values: Vec<Value>,
    nodes: Vec<Node>,
    constants: BTreeMap<ValueId, Constant>,
    inputs: Vec<ValueId>,
    outputs: Vec<ValueId>,
    captures: BTreeMap<ValueId, ValueId>,
}

impl Graph {
    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A value's name and type.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0]
    }

    /// All values.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Nodes, each after the ones it reads from.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Constants.
    pub fn constants(&self) -> impl Iterator<Item = (ValueId, &Constant)> {
        self.constants.iter().map(|(&id, constant)| (id, constant))
    }

    /// Inputs, in order.
    #[must_use]
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Outputs, in order.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// Values taken from the graph around this one: (here, there).
    pub fn captures(&self) -> impl Iterator<Item = (ValueId, ValueId)> {
        self.captures.iter().map(|(&here, &there)| (here, there))
    }
}

/// Adds nodes to a [`Graph`], each checked against the types of its inputs.
///
/// Methods that return `Result` fail when an operator does not accept its inputs; the error names the node and
/// every input's type.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    scope: Vec<String>,
    names: HashMap<String, usize>,
    by_name: HashMap<String, ValueId>,
    derived: HashMap<String, Vec<ValueId>>,
    marks: Vec<(String, ValueId)>,
    /// Prefix of every name, so that a body's names differ from those around it.
    prefix: &'static str,
}

impl GraphBuilder {
    /// An empty graph. Names of nodes and values start with `prefix`.
    #[must_use]
    pub fn new(name: &str, prefix: &'static str) -> Self {
        Self {
            graph: Graph { name: name.into(), ..Graph::default() },
            scope: Vec::new(),
            names: HashMap::new(),
            by_name: HashMap::new(),
            derived: HashMap::new(),
            marks: Vec::new(),
            prefix,
        }
    }

    /// Adds nodes under a name that stands before theirs.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn scoped<T, E>(
        &mut self,
        name: impl Into<String>,
        build: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        self.scope.push(name.into());
        let built = build(self);
        self.scope.pop();
        built
    }

    /// Builds values once, and finds them again by `key`: those made of a weight that is used many times.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn once<E>(
        &mut self,
        key: &str,
        build: impl FnOnce(&mut Self) -> Result<Vec<ValueId>, E>,
    ) -> Result<Vec<ValueId>, E> {
        if let Some(found) = self.derived.get(key) {
            return Ok(found.clone());
        }
        let built = build(self)?;
        self.derived.insert(key.to_owned(), built.clone());
        Ok(built)
    }

    /// Notes a value for whoever finishes the graph.
    pub fn mark(&mut self, key: &str, value: ValueId) {
        self.marks.push((key.to_owned(), value));
    }

    /// The values that were marked so far, in order.
    #[must_use]
    pub fn marks(&self) -> &[(String, ValueId)] {
        &self.marks
    }

    /// The type of a value.
    #[must_use]
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.graph.value(id).ty
    }

    /// The graph as it is so far.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The value of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(&format!("{}{name}", self.prefix)).copied()
    }

    /// A graph input.
    pub fn input(&mut self, name: &str, ty: TensorType) -> ValueId {
        let id = self.add_value(format!("{}{name}", self.prefix), ty);
        self.graph.inputs.push(id);
        id
    }

    /// A value of the graph around this one (a `Loop` body sees them all), under the name it has there.
    pub fn capture(&mut self, outer: &Self, there: ValueId) -> ValueId {
        let name = outer.graph.value(there).name.clone();
        if let Some(&here) = self.by_name.get(&name) {
            return here;
        }
        let here = self.add_value(name, outer.ty(there).clone());
        self.graph.captures.insert(here, there);
        here
    }

    /// The value as it is, with no gradient through it.
    ///
    /// # Errors
    /// None in practice: every type is accepted.
    pub fn detach(&mut self, value: ValueId) -> Result<ValueId, OnnxError> {
        self.node(operators::Detach, &[value])
    }

    /// A constant; one name is one constant, so weights used many times are stored once.
    pub fn constant(&mut self, name: &str, constant: impl FnOnce() -> Constant) -> ValueId {
        let name = format!("{}{name}", self.prefix);
        if let Some(&id) = self.by_name.get(&name) {
            return id;
        }
        let constant = constant();
        let id = self.add_value(name, constant.tensor_type());
        self.graph.constants.insert(id, constant);
        id
    }

    /// A float scalar of the given type, stored once a value.
    pub fn scalar(&mut self, value: f32, dtype: DType) -> ValueId {
        self.constant(&format!("scalar.{dtype}.{value}"), || Constant::scalar(value).to_float(dtype))
    }

    /// Adds a node with one output.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when the operator does not accept its inputs.
    pub fn node(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, OnnxError> {
        self.push(op.into(), inputs).map(|outputs| outputs[0])
    }

    /// Adds a node and returns all its outputs, at least one.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when the operator does not accept its inputs.
    pub fn nodes(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<Vec<ValueId>, OnnxError> {
        self.push(op.into(), inputs)
    }

    /// Infers the types of a node's outputs and adds it.
    fn push(&mut self, op: Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, OnnxError> {
        let name = self.unique_name(op.name());
        let types = inputs.iter().map(|&id| self.ty(id)).collect::<Vec<_>>();
        let outputs = op.output_types(&types).map_err(|problem| OnnxError::Graph {
            graph: self.graph.name.clone(),
            node: name.clone(),
            op: op.name(),
            inputs: types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            problem,
        })?;
        let single = outputs.len() == 1;
        let outputs = outputs
            .into_iter()
            .enumerate()
            .map(|(index, ty)| {
                let name = if single { name.clone() } else { format!("{name}.{index}") };
                self.add_value(name, ty)
            })
            .collect::<Vec<_>>();
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), outputs: outputs.clone() });
        Ok(outputs)
    }

    /// Makes a value a graph output under this name.
    ///
    /// # Errors
    /// None in practice: `Identity` accepts every type.
    pub fn output(&mut self, name: &str, value: ValueId) -> Result<(), OnnxError> {
        let id = self.node(operators::Identity, &[value])?;
        self.graph.values[id.0].name = format!("{}{name}", self.prefix);
        self.graph.outputs.push(id);
        Ok(())
    }

    /// The finished graph.
    #[must_use]
    pub fn finish(self) -> Graph {
        self.graph
    }

    fn add_value(&mut self, name: String, ty: TensorType) -> ValueId {
        let id = ValueId(self.graph.values.len());
        self.by_name.insert(name.clone(), id);
        self.graph.values.push(Value { name, ty });
        id
    }

    /// `scope/scope/Op`, numbered from its second use on.
    fn unique_name(&mut self, op: &str) -> String {
        let path = self.scope.iter().flat_map(|scope| [scope.as_str(), "/"]).collect::<String>();
        let name = format!("{}{path}{op}", self.prefix);
        let uses = self.names.entry(name.clone()).or_insert(0);
        *uses += 1;
        if *uses == 1 { name } else { format!("{name}_{uses}") }
    }
}

macro_rules! binary {
    ($($(#[$doc:meta])* $method:ident = $op:expr;)*) => {
        impl GraphBuilder {
            $($(#[$doc])*
            ///
            /// # Errors
            /// [`OnnxError::Graph`] when the operator does not accept its inputs.
            pub fn $method(&mut self, a: ValueId, b: ValueId) -> Result<ValueId, OnnxError> {
                self.node($op, &[a, b])
            })*
        }
    };
}

binary! {
    /// `a + b`.
    add = operators::Add;
    /// `a - b`.
    sub = operators::Sub;
    /// `a * b`.
    mul = operators::Mul;
    /// `a / b`.
    div = operators::Div;
    /// Matrix product.
    matmul = operators::MatMul;
    /// `a > b`.
    greater = operators::Greater;
    /// `a || b`.
    or = operators::Or;
}

impl GraphBuilder {
    /// Conversion to `to`; nothing is added when the value has that type already.
    ///
    /// # Errors
    /// [`OnnxError::Graph`], never in practice.
    pub fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId, OnnxError> {
        if self.ty(value).dtype == to { Ok(value) } else { self.node(operators::Cast { to }, &[value]) }
    }

    /// Axes permuted.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when `perm` is no permutation of the axes.
    pub fn transpose(&mut self, value: ValueId, perm: &[usize]) -> Result<ValueId, OnnxError> {
        self.node(operators::Transpose { perm: perm.to_vec() }, &[value])
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when the numbers of elements differ.
    pub fn reshape(&mut self, value: ValueId, shape: &[Dim]) -> Result<ValueId, OnnxError> {
        self.node(operators::Reshape { shape: shape.to_vec() }, &[value])
    }

    /// Element `index` of an axis, which is dropped.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when there is no such axis.
    pub fn select(&mut self, value: ValueId, axis: usize, index: i64) -> Result<ValueId, OnnxError> {
        let index = self.constant(&format!("index.{index}"), || Constant::i64(&[], vec![index]));
        self.node(operators::Gather { axis }, &[value, index])
    }

    /// A per-row flag `[batch]` shaped `[batch, 1, 1]`, to choose between states.
    ///
    /// # Errors
    /// [`OnnxError::Graph`], never for a value of one axis.
    pub fn per_row(&mut self, flag: ValueId) -> Result<ValueId, OnnxError> {
        self.node(operators::Unsqueeze { axes: vec![1, 2] }, &[flag])
    }

    /// `condition ? a : b`.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] when the operator does not accept its inputs.
    pub fn select_where(&mut self, condition: ValueId, a: ValueId, b: ValueId) -> Result<ValueId, OnnxError> {
        self.node(operators::Where, &[condition, a, b])
    }
}
