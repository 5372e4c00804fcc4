//! The tensors of an `.onnx` file that lie in files beside it.

use std::path::Path;

use trm_intake::{Budget, Limits, Printable};

use crate::OnnxError;

/// A tensor whose elements are in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalTensor {
    /// Its name.
    pub name: String,
    /// The file, as the graph names it: relative to the folder that the graph is in.
    pub file: String,
    /// Its offset in the file, in bytes.
    pub offset: u64,
    /// Its length in bytes; `None` for all the rest of the file.
    pub length: Option<u64>,
    /// Element type, `TensorProto.DataType`.
    pub data_type: i32,
    /// Dimensions.
    pub dims: Vec<i64>,
    /// True for a constant of the outermost graph; false for one of a loop's body, an operator's setting or a
    /// function.
    pub outermost: bool,
}

impl ExternalTensor {
    /// Its part of the file.
    ///
    /// # Errors
    /// [`OnnxError::NotOnnx`] when the file ends before it does.
    pub fn part<'a>(&self, file: &'a [u8]) -> Result<&'a [u8], OnnxError> {
        let start = usize::try_from(self.offset).ok();
        let end = match self.length {
            None => Some(file.len()),
            Some(length) => start.and_then(|start| start.checked_add(usize::try_from(length).ok()?)),
        };
        let part = start.zip(end).and_then(|(start, end)| file.get(start..end));
        part.ok_or_else(|| OnnxError::NotOnnx {
            path: self.file.clone().into(),
            problem: format!(
                "the tensor {} is at {} with {} bytes, in a file of {}",
                Printable(&self.name),
                self.offset,
                self.length.map_or_else(|| "the remaining".to_owned(), |length| length.to_string()),
                file.len()
            ),
        })
    }
}

/// The most that a graph of this many bytes may be made of. Each field takes some hundred bytes once an engine has decoded
/// it, and two in a file that is meant to do harm. Of the graphs written here, a step of the shipped models has 6,107, and a
/// full-size maze unrolled for 64 steps 2.7 million in 70 MB.
fn limits(bytes: usize) -> Limits {
    let items = (bytes as u64 / 16).saturating_add(250_000).min(4_000_000);
    Limits { bytes: u64::MAX, items, depth: 64, time: None }
}

/// All tensors of an encoded model that lie outside of it, wherever in the model they are named. Weights are passed over
/// unread, and nothing is kept but what is returned: this costs next to nothing, and refuses a graph that would fill the
/// memory when it is decoded. `path` is for messages.
///
/// # Errors
/// [`OnnxError::NotOnnx`] when the bytes are no ONNX model or one of more parts than any model has, or a tensor lies
/// outside and names no file.
pub fn external_tensors(bytes: &[u8], path: &Path) -> Result<Vec<ExternalTensor>, OnnxError> {
    let mut walk = Walk { budget: Budget::new(limits(bytes.len())), found: Vec::new() };
    let walked = walk.message(Message::Model, bytes, false);
    walked.map_err(|problem| OnnxError::NotOnnx { path: path.into(), problem })?;
    Ok(walk.found)
}

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

/// The messages of `onnx/onnx.proto3` that hold other messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Training,
    Function,
    Info,
    Type,
    Shape,
    Leaf,
}

impl Message {
    /// The message in a field; `None` for text, numbers and bytes.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::Info,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            // Within a type, of tensors, sequences, maps, optionals and sparse tensors: that of the elements, or the shape.
            (Self::Info, 2) | (Self::Attribute, 14 | 15) | (Self::Type, 1 | 4 | 5 | 8 | 9) => Self::Type,
            (Self::Type, 2) => Self::Shape,
            (Self::Shape, 1) | (Self::Model, 8 | 14) | (Self::Graph, 14 | 16) | (Self::Tensor, 13 | 16) => Self::Leaf,
            _ => return None,
        })
    }
}

/// The known fields of a tensor while they pass by.
#[derive(Default)]
struct Fields<'a> {
    dims: Vec<i64>,
    data_type: i32,
    name: String,
    location: u64,
    external: Vec<&'a [u8]>,
}

struct Walk {
    budget: Budget,
    found: Vec<ExternalTensor>,
}

impl Walk {
    fn message(&mut self, message: Message, bytes: &[u8], outermost: bool) -> Result<(), String> {
        self.budget.enter().map_err(|exceeded| exceeded.to_string())?;
        let mut tensor = Fields::default();
        let mut rest = bytes;
        while let Some((number, value)) = field(&mut rest)? {
            self.budget.take_items(1).map_err(|exceeded| format!("it is made of too many parts: {exceeded}"))?;
            if message == Message::Tensor {
                self.tensor_field(&mut tensor, number, value)?;
            }
            let Value::Bytes(part) = value else { continue };
            if let Some(inner) = message.field(number) {
                // Of a graph in the model, what follows are its own constants.
                let outermost = match inner {
                    Message::Graph => message == Message::Model,
                    Message::Tensor => outermost && message == Message::Graph,
                    _ => false,
                };
                self.message(inner, part, outermost)?;
            }
        }
        self.budget.leave();
        // An engine may go by either of the two.
        if tensor.location == EXTERNAL || !tensor.external.is_empty() {
            self.found.push(describe(tensor, outermost)?);
        }
        Ok(())
    }

    fn tensor_field<'a>(&mut self, tensor: &mut Fields<'a>, number: u64, value: Value<'a>) -> Result<(), String> {
        match (number, value) {
            (1, Value::Number(size)) => tensor.dims.push(size as i64),
            (1, Value::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    self.budget.take_items(1).map_err(|exceeded| exceeded.to_string())?;
                    tensor.dims.push(varint(&mut packed)? as i64);
                }
            }
            (2, Value::Number(number)) => tensor.data_type = i32::try_from(number).unwrap_or(-1),
            (8, Value::Bytes(name)) => tensor.name = String::from_utf8_lossy(name).into_owned(),
            (13, Value::Bytes(entry)) => tensor.external.push(entry),
            (14, Value::Number(location)) => tensor.location = location,
            _ => {}
        }
        Ok(())
    }
}

fn describe(tensor: Fields<'_>, outermost: bool) -> Result<ExternalTensor, String> {
    let Fields { name, dims, data_type, external, .. } = tensor;
    let shown = Printable(&name).to_string();
    let (mut file, mut offset, mut length) = (None, None, None);
    for mut entry in external {
        let (mut key, mut value) = (String::new(), String::new());
        while let Some((number, part)) = field(&mut entry)? {
            match (number, part) {
                (1, Value::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
                (2, Value::Bytes(text)) => value = String::from_utf8_lossy(text).into_owned(),
                _ => {}
            }
        }
        let number = || {
            let bad = |_| format!("the tensor {shown} has `{}` as its {key}", Printable(&value));
            value.parse::<u64>().map_err(bad)
        };
        let before = match key.as_str() {
            "location" => file.replace(value).is_some(),
            "offset" => offset.replace(number()?).is_some(),
            "length" => length.replace(number()?).is_some(),
            _ => false,
        };
        if before {
            return Err(format!("the tensor {shown} lies outside and has two entries `{key}`"));
        }
    }
    let file = file.ok_or_else(|| format!("the tensor {shown} lies outside and names no file"))?;
    Ok(ExternalTensor { name, file, offset: offset.unwrap_or(0), length, data_type, dims, outermost })
}

/// A field's content.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field of a message and its number; `None` at the end.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, String> {
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        1 => Value::Bytes(take(rest, 8)?),
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Bytes(take(rest, 4)?),
        kind => return Err(format!("a field is of the unknown kind {kind}")),
    };
    Ok(Some((tag >> 3, value)))
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Result<&'a [u8], String> {
    let split = usize::try_from(count).ok().and_then(|count| rest.split_at_checked(count));
    let (part, after) = split.ok_or_else(|| format!("it ends within a field of {count} bytes"))?;
    *rest = after;
    Ok(part)
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let Some((&byte, after)) = rest.split_first() else { return Err("it ends within a number".to_owned()) };
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number has more than ten bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    // The same messages by another implementation, and only as far as they lead to tensors.

    #[derive(Clone, PartialEq, prost::Message)]
    struct Model {
        #[prost(message, optional, tag = "7")]
        graph: Option<Graph>,
        #[prost(message, repeated, tag = "20")]
        training_info: Vec<TrainingInfo>,
        #[prost(message, repeated, tag = "25")]
        functions: Vec<Function>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct TrainingInfo {
        #[prost(message, optional, tag = "1")]
        initialization: Option<Graph>,
        #[prost(message, optional, tag = "2")]
        algorithm: Option<Graph>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Function {
        #[prost(message, repeated, tag = "7")]
        node: Vec<Node>,
        #[prost(message, repeated, tag = "11")]
        attributes: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Graph {
        #[prost(message, repeated, tag = "1")]
        node: Vec<Node>,
        #[prost(message, repeated, tag = "5")]
        initializer: Vec<Tensor>,
        #[prost(message, repeated, tag = "15")]
        sparse_initializer: Vec<Sparse>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Node {
        #[prost(message, repeated, tag = "5")]
        attribute: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Attribute {
        #[prost(message, optional, tag = "5")]
        t: Option<Tensor>,
        #[prost(message, optional, tag = "6")]
        g: Option<Graph>,
        #[prost(message, repeated, tag = "10")]
        tensors: Vec<Tensor>,
        #[prost(message, repeated, tag = "11")]
        graphs: Vec<Graph>,
        #[prost(message, optional, tag = "22")]
        sparse_tensor: Option<Sparse>,
        #[prost(message, repeated, tag = "23")]
        sparse_tensors: Vec<Sparse>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Sparse {
        #[prost(message, optional, tag = "1")]
        values: Option<Tensor>,
        #[prost(message, optional, tag = "2")]
        indices: Option<Tensor>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Tensor {
        #[prost(int64, repeated, tag = "1")]
        dims: Vec<i64>,
        #[prost(int32, tag = "2")]
        data_type: i32,
        #[prost(string, tag = "8")]
        name: String,
        #[prost(message, repeated, tag = "13")]
        external_data: Vec<Entry>,
        #[prost(int32, tag = "14")]
        data_location: i32,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Entry {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    fn outside(name: &str, file: &str) -> Tensor {
        let entry = |key: &str, value: &str| Entry { key: key.into(), value: value.into() };
        Tensor {
            dims: vec![2],
            data_type: 1,
            name: name.into(),
            external_data: vec![entry("location", file), entry("offset", "4"), entry("length", "8")],
            data_location: 1,
        }
    }

    fn names(model: &Model) -> Vec<(String, bool)> {
        let found = external_tensors(&model.encode_to_vec(), Path::new("g.onnx")).unwrap();
        found.into_iter().map(|tensor| (tensor.name, tensor.outermost)).collect()
    }

    #[test]
    fn no_way_to_a_tensor_is_overlooked() {
        let graph = |name: &str| Graph { initializer: vec![outside(name, "f")], ..Graph::default() };
        let attribute = Attribute {
            t: Some(outside("setting", "f")),
            g: Some(graph("body")),
            tensors: vec![outside("settings", "f")],
            graphs: vec![graph("bodies")],
            sparse_tensor: Some(Sparse { values: Some(outside("values", "f")), indices: None }),
            sparse_tensors: vec![Sparse { values: None, indices: Some(outside("indices", "f")) }],
        };
        let node = |attribute: Attribute| Node { attribute: vec![attribute] };
        let inner = Attribute { t: Some(outside("in a function", "f")), ..Attribute::default() };
        let default = Attribute { t: Some(outside("default", "f")), ..Attribute::default() };
        let sparse = Sparse { values: Some(outside("sparse", "f")), indices: None };
        let model = Model {
            graph: Some(Graph {
                node: vec![node(attribute)],
                initializer: vec![outside("outer", "f"), Tensor { name: "inside".into(), ..Tensor::default() }],
                sparse_initializer: vec![sparse],
            }),
            training_info: vec![TrainingInfo { initialization: None, algorithm: Some(graph("training")) }],
            functions: vec![Function { node: vec![node(inner)], attributes: vec![default] }],
        };
        let mut found = names(&model);
        found.sort();
        let expected = [
            ("bodies", false),
            ("body", false),
            ("default", false),
            ("in a function", false),
            ("indices", false),
            ("outer", true),
            ("setting", false),
            ("settings", false),
            ("sparse", false),
            ("training", false),
            ("values", false),
        ];
        assert_eq!(found, expected.map(|(name, outermost)| (name.to_owned(), outermost)));
    }

    #[test]
    fn a_part_is_within_its_file_or_refused() {
        let model = |tensor: Tensor| Model {
            graph: Some(Graph { initializer: vec![tensor], ..Graph::default() }),
            ..Model::default()
        };
        let read = |tensor: Tensor| external_tensors(&model(tensor).encode_to_vec(), Path::new("g.onnx"));
        let tensor = read(outside("w", "w.data")).unwrap().remove(0);
        assert_eq!((tensor.file.as_str(), tensor.dims.as_slice()), ("w.data", &[2][..]));
        let file: Vec<u8> = (0..12).collect();
        assert_eq!(tensor.part(&file).unwrap(), &file[4..]);
        let error = tensor.part(&file[..11]).unwrap_err().to_string();
        assert!(error.contains("the tensor w is at 4 with 8 bytes, in a file of 11"), "{error}");
        let far = ExternalTensor { offset: u64::MAX, length: Some(u64::MAX), ..tensor.clone() };
        assert!(far.part(&file).is_err());
        assert_eq!(ExternalTensor { length: None, ..tensor }.part(&file).unwrap(), &file[4..]);

        let mut nameless = outside("w", "w.data");
        nameless.external_data.remove(0);
        assert!(read(nameless).unwrap_err().to_string().contains("the tensor w lies outside and names no file"));
        let mut twice = outside("w", "w.data");
        twice.external_data.push(Entry { key: "location".into(), value: "/etc/passwd".into() });
        assert!(read(twice).unwrap_err().to_string().contains("two entries `location`"));
        let mut negative = outside("w", "w.data");
        negative.external_data[1].value = "-4".into();
        assert!(read(negative).unwrap_err().to_string().contains("has `-4` as its offset"));
        assert!(external_tensors(b"no graph at all", Path::new("g.onnx")).is_err());
    }

    #[test]
    fn graphs_that_would_fill_the_memory_are_refused_first() {
        let refused = |bytes: &[u8]| external_tensors(bytes, Path::new("g.onnx")).unwrap_err().to_string();
        let graph = |content: &[u8]| {
            let mut bytes = vec![0x3a];
            prost::encoding::encode_varint(content.len() as u64, &mut bytes);
            [bytes.as_slice(), content].concat()
        };
        // Nodes, constants, names of types: two bytes each, hundreds when decoded.
        for tag in [0x0a, 0x2a, 0x6a] {
            let error = refused(&graph(&[tag, 0].repeat(2_000_001)));
            assert!(error.contains("it is made of too many parts: "), "{error}");
        }
        // A constant of ten million dimensions.
        let mut tensor = vec![0x0a];
        prost::encoding::encode_varint(10_000_000, &mut tensor);
        tensor.extend(vec![1; 10_000_000]);
        let mut constant = vec![0x2a];
        prost::encoding::encode_varint(tensor.len() as u64, &mut constant);
        constant.extend(tensor);
        assert!(refused(&graph(&constant)).contains("items are more than the limit of"));
        // Loops in loops.
        let mut deep = Vec::new();
        for _ in 0..200 {
            let wrapped = Node { attribute: vec![Attribute::default()] }.encode_to_vec();
            assert_eq!(wrapped, [0x2a, 0]);
            let wrap = |tag: u8, content: &[u8]| {
                let mut bytes = vec![tag];
                prost::encoding::encode_varint(content.len() as u64, &mut bytes);
                [bytes.as_slice(), content].concat()
            };
            deep = wrap(0x0a, &wrap(0x2a, &wrap(0x32, &deep)));
        }
        assert!(refused(&graph(&deep)).contains("65 levels of nesting are more than the limit of 64"));
    }

    #[test]
    fn bytes_that_are_no_message_are_refused() {
        let refused = |bytes: &[u8]| external_tensors(bytes, Path::new("g.onnx")).unwrap_err().to_string();
        assert!(refused(&[0x3a]).contains("it ends within a number"));
        assert!(refused(&[0x3a, 5, 0]).contains("it ends within a field of 5 bytes"));
        assert!(refused(&[0x3b]).contains("a field is of the unknown kind 3"));
        assert!(refused(&[0xff; 11]).contains("a number has more than ten bytes"));
        assert!(
            refused(&[&[0x3a][..], &[0xff; 9], &[1]].concat())
                .contains("it ends within a field of 18446744073709551615")
        );
        assert_eq!(external_tensors(&[], Path::new("g.onnx")).unwrap(), []);
    }
}
