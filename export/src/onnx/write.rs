//! From a [`Graph`] to an ONNX file.

use std::collections::{BTreeSet, HashSet};

use prost::Message;

use super::graph::{Graph, Node, ValueId};
use super::op::{MICROSOFT, Op};
use super::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type,
};
use super::tensor::{Constant, Dim, TensorType};
use super::{IR_VERSION, OPSET};

/// A tensor this large goes into a file beside the graphs: protobuf stops at 2 GiB, and the graphs of a bundle
/// can share it. In practice the puzzle embeddings of ARC checkpoints.
pub const EXTERNAL_BYTES: usize = 256 << 20;

/// An encoded model, and the tensors that were left out of it for being too large.
#[derive(Debug)]
pub struct EncodedModel {
    /// The `.onnx` file.
    pub onnx: Vec<u8>,
    /// Files that must stand beside it: (file name, tensor).
    pub external: Vec<(String, Constant)>,
}

/// Encodes a graph as an ONNX model. `metadata` becomes the file's key-value pairs.
#[must_use]
pub fn encode(graph: &Graph, metadata: &[(&str, String)]) -> EncodedModel {
    encode_with_limit(graph, metadata, EXTERNAL_BYTES)
}

/// [`encode`] with another limit for tensors kept inside, in bytes.
#[must_use]
pub fn encode_with_limit(graph: &Graph, metadata: &[(&str, String)], external_bytes: usize) -> EncodedModel {
    let mut writer = Writer { external_bytes, external: Vec::new() };
    let mut model = ModelProto {
        metadata_props: metadata.iter().map(|(key, value)| entry(key, value)).collect(),
        ..model(writer.graph(graph))
    };
    if has_microsoft_operators(graph) {
        model.opset_import.push(microsoft_operators());
    }
    EncodedModel { onnx: model.encode_to_vec(), external: writer.external }
}

/// The operator set of ONNX Runtime's own operators.
pub(crate) fn microsoft_operators() -> OperatorSetIdProto {
    OperatorSetIdProto { domain: MICROSOFT.into(), version: 1 }
}

fn has_microsoft_operators(graph: &Graph) -> bool {
    let inside = |op: &Op| op.body().is_some_and(has_microsoft_operators);
    graph.nodes().iter().any(|node| node.op.domain() == MICROSOFT || inside(&node.op))
}

/// The message for a graph, its constants inside whatever their size.
pub(crate) fn graph_proto(graph: &Graph) -> GraphProto {
    Writer { external_bytes: usize::MAX, external: Vec::new() }.graph(graph)
}

/// The file around a graph of standard operators.
pub(crate) fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "trm-edge".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: Vec::new(),
    }
}

struct Writer {
    external_bytes: usize,
    external: Vec<(String, Constant)>,
}

impl Writer {
    fn graph(&mut self, graph: &Graph) -> GraphProto {
        let mut initializer =
            graph.constants().map(|(id, constant)| self.tensor(&graph.value(id).name, constant)).collect::<Vec<_>>();
        let mut settings = BTreeSet::new();
        let node = graph.nodes().iter().map(|node| self.node(graph, node, &mut settings, &mut initializer)).collect();
        let info = |&id: &ValueId| value_info(&graph.value(id).name, &graph.value(id).ty);
        let named = graph
            .inputs()
            .iter()
            .chain(graph.outputs())
            .copied()
            .chain(graph.constants().map(|(id, _)| id))
            .chain(graph.captures().map(|(here, _)| here))
            .collect::<HashSet<_>>();
        let between = graph.nodes().iter().flat_map(|node| &node.outputs).filter(|id| !named.contains(id));
        GraphProto {
            node,
            name: graph.name().into(),
            initializer,
            input: graph.inputs().iter().map(info).collect(),
            output: graph.outputs().iter().map(info).collect(),
            value_info: between.map(info).collect(),
        }
    }

    fn node(
        &mut self,
        graph: &Graph,
        node: &Node,
        settings: &mut BTreeSet<String>,
        initializer: &mut Vec<TensorProto>,
    ) -> NodeProto {
        let name = |&id: &ValueId| graph.value(id).name.clone();
        let mut input = node.inputs.iter().map(name).collect::<Vec<_>>();
        for constant in node.op.constant_inputs(graph.value(node.inputs[0]).ty.rank()) {
            let setting = setting_name(graph, &constant);
            if settings.insert(setting.clone()) {
                initializer.push(self.tensor(&setting, &constant));
            }
            input.push(setting);
        }
        let output = node.outputs.iter().map(name).collect::<Vec<_>>();
        NodeProto {
            // Not the output's own name: rten has one list of names for both.
            name: output.first().map(|name| format!("{name}.node")).unwrap_or_default(),
            input,
            output,
            op_type: node.op.name().into(),
            attribute: self.attributes(&node.op),
            domain: node.op.domain().into(),
        }
    }

    fn attributes(&mut self, op: &Op) -> Vec<AttributeProto> {
        match op {
            Op::Softmax => vec![int("axis", -1)],
            Op::ReduceMean { axis } => vec![ints("axes", &[*axis]), int("keepdims", 1)],
            Op::ReduceMax { axes } if axes.is_empty() => vec![int("keepdims", 0)],
            Op::ReduceMax { axes } => vec![ints("axes", axes), int("keepdims", 0)],
            Op::Gather { axis } | Op::Concat { axis } | Op::Split { axis, .. } | Op::DequantizeLinear { axis } => {
                vec![int("axis", *axis as i64)]
            }
            Op::Transpose { perm } => vec![ints("perm", perm)],
            Op::SkipSimplifiedLayerNormalization { epsilon } => vec![float("epsilon", *epsilon)],
            // Without `rotary_embedding_dim`, whole heads are rotated.
            Op::MultiHeadAttention { heads } | Op::RotaryEmbedding { heads } => vec![int("num_heads", *heads as i64)],
            Op::Cast { to } => vec![int("to", i64::from(to.onnx()))],
            Op::ArgMax => vec![int("axis", -1), int("keepdims", 0)],
            Op::Loop { body } => vec![self.body(body)],
            Op::Scan { body, scanned } => vec![self.body(body), int("num_scan_inputs", *scanned as i64)],
            _ => Vec::new(),
        }
    }

    fn body(&mut self, body: &Graph) -> AttributeProto {
        AttributeProto {
            name: "body".into(),
            g: Some(self.graph(body)),
            r#type: attribute_type::GRAPH,
            ..AttributeProto::default()
        }
    }

    fn tensor(&mut self, name: &str, constant: &Constant) -> TensorProto {
        let mut proto = TensorProto {
            dims: constant.shape.iter().map(|&size| size as i64).collect(),
            data_type: constant.dtype().onnx(),
            name: name.into(),
            ..TensorProto::default()
        };
        let bytes = constant.len() * constant.dtype().size();
        if bytes > self.external_bytes {
            let file = format!("{}.{}.data", name.replace('/', "."), constant.dtype());
            proto.data_location = 1;
            proto.external_data =
                vec![entry("location", &file), entry("offset", "0"), entry("length", &bytes.to_string())];
            self.external.push((file, constant.clone()));
        } else {
            proto.raw_data = constant.to_le_bytes();
        }
        proto
    }
}

/// Settings with the same content share one constant.
fn setting_name(graph: &Graph, constant: &Constant) -> String {
    let super::tensor::Elements::I64(values) = &constant.elements else {
        return format!("{}.setting", graph.name());
    };
    let values = values.iter().map(i64::to_string).collect::<Vec<_>>().join("_");
    format!("{}.setting.{values}", graph.name())
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into() }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, r#type: attribute_type::INT, ..AttributeProto::default() }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: value, r#type: attribute_type::FLOAT, ..AttributeProto::default() }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        ints: values.iter().map(|&value| value as i64).collect(),
        r#type: attribute_type::INTS,
        ..AttributeProto::default()
    }
}

/// Name and type of a tensor.
pub(crate) fn value_info(name: &str, ty: &TensorType) -> ValueInfoProto {
    let dim = |dim: &Dim| DimensionProto {
        value: Some(match dim {
            Dim::Batch => DimensionValue::DimParam("batch".into()),
            Dim::Fixed(size) => DimensionValue::DimValue(*size as i64),
        }),
    };
    let shape = TensorShapeProto { dim: ty.shape.iter().map(dim).collect() };
    let tensor_type = TensorTypeProto { elem_type: ty.dtype.onnx(), shape: Some(shape) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type), sequence_type: None }),
    }
}
