//! From a [`Graph`] to an ONNX file.

use std::collections::{BTreeSet, HashSet};

use prost::Message;

use crate::IR_VERSION;
use crate::graph::{Graph, Node, ValueId};
use crate::operators::{Attribute, AttributeValue, OperatorSet};
use crate::proto::{
    AttributeProto, DimensionProto, DimensionValue, GraphProto, ModelProto, NodeProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_type,
};
use crate::tensor::{Constant, Dim, TensorType};

/// The name of the program that wrote a file, in each that this crate writes.
pub const PRODUCER: &str = "trm-edge";

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
    model.opset_import.extend(further_sets(graph).into_iter().map(Into::into));
    EncodedModel { onnx: model.encode_to_vec(), external: writer.external }
}

/// The operator sets of a graph and its bodies, in the order of their first use, without the standard one.
fn further_sets(graph: &Graph) -> Vec<OperatorSet> {
    fn add(sets: &mut Vec<OperatorSet>, graph: &Graph) {
        for node in graph.nodes() {
            let set = node.op.operator_set();
            if set != OperatorSet::STANDARD && !sets.contains(&set) {
                sets.push(set);
            }
            node.op.bodies().iter().for_each(|body| add(sets, body));
        }
    }
    let mut sets = Vec::new();
    add(&mut sets, graph);
    sets
}

/// The message for a graph, its constants inside whatever their size.
#[must_use]
pub fn graph_proto(graph: &Graph) -> GraphProto {
    Writer { external_bytes: usize::MAX, external: Vec::new() }.graph(graph)
}

/// The file around a graph of standard operators.
#[must_use]
pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSet::STANDARD.into()],
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
        let rank = node.inputs.first().map_or(0, |&first| graph.value(first).ty.rank());
        for values in node.op.constant_inputs(rank) {
            let setting = setting_name(graph, &values);
            if settings.insert(setting.clone()) {
                let constant = Constant::i64(&[values.len()], values);
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
            attribute: node.op.attributes().into_iter().map(|attribute| self.attribute(attribute)).collect(),
            domain: node.op.operator_set().domain.into(),
        }
    }

    fn attribute(&mut self, Attribute { name, value }: Attribute<'_>) -> AttributeProto {
        match value {
            AttributeValue::Float(value) => float(name, value),
            AttributeValue::Int(value) => int(name, value),
            AttributeValue::Ints(ints) => {
                AttributeProto { name: name.into(), ints, r#type: attribute_type::INTS, ..AttributeProto::default() }
            }
            AttributeValue::Graph(body) => AttributeProto {
                name: name.into(),
                g: Some(self.graph(body)),
                r#type: attribute_type::GRAPH,
                ..AttributeProto::default()
            },
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
fn setting_name(graph: &Graph, values: &[i64]) -> String {
    let values = values.iter().map(i64::to_string).collect::<Vec<_>>().join("_");
    format!("{}.setting.{values}", graph.name())
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.into(), value: value.into() }
}

/// An integer attribute.
#[must_use]
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: value, r#type: attribute_type::INT, ..AttributeProto::default() }
}

/// A float attribute.
#[must_use]
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.into(), f: value, r#type: attribute_type::FLOAT, ..AttributeProto::default() }
}

/// Name and type of a tensor.
#[must_use]
pub fn value_info(name: &str, ty: &TensorType) -> ValueInfoProto {
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
