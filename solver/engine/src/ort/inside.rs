//! Tensors put into an encoded model. Everything else of the file stays as it is, byte for byte, known or not.

use std::collections::BTreeMap;

use crate::external::Outside;

/// Elements by the file and the place in it that a tensor names.
type Parts = BTreeMap<(String, u64), Vec<u8>>;

/// Puts tensors into a model, in place of where it says they are. `None` if the bytes are no ONNX model.
pub(super) fn put_inside(model: &[u8], outside: Vec<Outside>) -> Option<Vec<u8>> {
    // No two are in the same place.
    let outside = outside.into_iter().map(|Outside { tensor, bytes }| ((tensor.file, tensor.offset), bytes));
    rewrite(Message::Model, model, &mut outside.collect())
}

/// The messages of `onnx/onnx.proto3` that lead to the tensors which engines read.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
}

impl Message {
    /// The message in a field; `None` for what is copied.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Self::Tensor,
            _ => return None,
        })
    }
}

// Fields of a tensor, and of an entry of `external_data`.
const RAW_DATA: u64 = 9;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;
const KEY: u64 = 1;
const VALUE: u64 = 2;

/// Copies a message with the elements of its tensors put inside; `None` for bytes that are no such message. The depth
/// is bounded: the model was searched for tensors outside of it before, which refuses one that is deeper.
fn rewrite(message: Message, bytes: &[u8], parts: &mut Parts) -> Option<Vec<u8>> {
    let raw_data = match message {
        Message::Tensor => parts.remove(&place(bytes)?),
        _ => None,
    };
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let before = rest;
        let (number, content) = field(&mut rest)?;
        if raw_data.is_some() && matches!(number, RAW_DATA | EXTERNAL_DATA | DATA_LOCATION) {
            continue;
        }
        match content.and_then(|content| Some((content, message.field(number)?))) {
            Some((content, inner)) => put(&mut out, number, &rewrite(inner, content, parts)?),
            None => out.extend_from_slice(&before[..before.len() - rest.len()]),
        }
    }
    if let Some(raw_data) = raw_data {
        put(&mut out, RAW_DATA, &raw_data);
    }
    Some(out)
}

/// The file and the place in it that a tensor names; no file has the empty name of a tensor inside. `None` for bytes that
/// are no tensor.
fn place(mut tensor: &[u8]) -> Option<(String, u64)> {
    let (mut file, mut offset) = (String::new(), 0);
    while !tensor.is_empty() {
        let (EXTERNAL_DATA, Some(mut entry)) = field(&mut tensor)? else { continue };
        let (mut key, mut value) = (String::new(), String::new());
        while !entry.is_empty() {
            match field(&mut entry)? {
                (KEY, Some(text)) => key = String::from_utf8_lossy(text).into_owned(),
                (VALUE, Some(text)) => value = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
        match key.as_str() {
            "location" => file = value,
            "offset" => offset = value.parse().ok()?,
            _ => {}
        }
    }
    Some((file, offset))
}

/// Number of the next field, with its content if it has a length.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Option<&'a [u8]>)> {
    let tag = varint(rest)?;
    let length = match tag & 7 {
        0 => {
            varint(rest)?;
            return Some((tag >> 3, None));
        }
        1 => 8,
        2 => varint(rest)?,
        5 => 4,
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some((tag >> 3, (tag & 7 == 2).then_some(content)))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a field that has a length.
fn put(out: &mut Vec<u8>, number: u64, content: &[u8]) {
    put_varint(out, number << 3 | 2);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use trm_onnx::ExternalTensor;
    use trm_onnx::proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, attribute_type,
    };

    use super::*;

    fn outside(name: &str, offset: u64) -> TensorProto {
        let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
        TensorProto {
            dims: vec![2],
            data_type: 2,
            name: name.into(),
            external_data: vec![
                entry("location", "weights.data".into()),
                entry("offset", offset.to_string()),
                entry("length", "2".into()),
            ],
            data_location: 1,
            ..TensorProto::default()
        }
    }

    fn model(outer: TensorProto, inner: TensorProto) -> ModelProto {
        let body = GraphProto { initializer: vec![inner], ..GraphProto::default() };
        let attribute = AttributeProto {
            name: "body".into(),
            g: Some(body),
            r#type: attribute_type::GRAPH,
            ..AttributeProto::default()
        };
        let node = NodeProto { op_type: "Loop".into(), attribute: vec![attribute], ..NodeProto::default() };
        let graph = GraphProto { node: vec![node], initializer: vec![outer], ..GraphProto::default() };
        ModelProto { ir_version: 8, producer_name: "p".repeat(200), graph: Some(graph), ..ModelProto::default() }
    }

    fn inside(name: &str, raw_data: &[u8]) -> TensorProto {
        TensorProto { dims: vec![2], data_type: 2, name: name.into(), raw_data: raw_data.into(), ..<_>::default() }
    }

    fn part(offset: u64, bytes: &[u8]) -> Outside {
        let tensor = ExternalTensor {
            name: "not gone by".into(),
            file: "weights.data".into(),
            offset,
            length: Some(2),
            data_type: 2,
            dims: vec![2],
            outermost: false,
        };
        Outside { tensor, bytes: bytes.into() }
    }

    #[test]
    fn tensors_go_where_they_are_named_and_the_rest_stays() {
        let mut bytes = model(outside("outer", 0), outside("inner", 64)).encode_to_vec();
        // A field that nobody knows, behind all others: number 1000, four bytes.
        let unknown = [0xc5, 0x3e, 1, 2, 3, 4];
        bytes.extend(unknown);
        let both = put_inside(&bytes, vec![part(0, &[1, 2]), part(64, &[3, 4])]).expect("a model");
        let mut expected = model(inside("outer", &[1, 2]), inside("inner", &[3, 4])).encode_to_vec();
        expected.extend(unknown);
        assert_eq!(both, expected);

        let one = put_inside(&bytes, vec![part(64, &[3, 4])]).expect("a model");
        assert_eq!(
            ModelProto::decode(&one[..one.len() - unknown.len()]),
            Ok(model(outside("outer", 0), inside("inner", &[3, 4])))
        );
        assert_eq!(put_inside(&bytes, Vec::new()), Some(bytes.clone()), "nothing to do changes nothing");
        assert_eq!(put_inside(&bytes[..bytes.len() - 1], Vec::new()), None, "it ends within a field");
    }
}
