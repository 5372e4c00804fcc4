//! The contents of an `.onnx` file, without running it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use prost::Message;

use crate::OnnxError;
use crate::external::external_tensors;
use crate::proto::{DimensionValue, GraphProto, ModelProto, TensorTypeProto, ValueInfoProto};
use crate::tensor::DType;

/// Contents of an `.onnx` file in numbers and names.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxSummary {
    /// Program and version that wrote the file.
    pub producer: String,
    /// Imported operator sets: domain (empty for ONNX's own) and version.
    pub opsets: Vec<(String, i64)>,
    /// Inputs: name and type, e.g. `i32[batch,81]`.
    pub inputs: Vec<(String, String)>,
    /// Outputs: name and type.
    pub outputs: Vec<(String, String)>,
    /// Number of nodes of each operator, bodies of loops included once.
    pub operators: BTreeMap<String, usize>,
    /// Floating-point constants' elements, bodies included.
    pub parameters: u64,
    /// Floating-point operations of all matrix products for one row of the batch, bodies counted once; `None`
    /// when the file does not tell a product's shapes.
    pub matmul_flops: Option<u64>,
    /// The file's own key-value pairs.
    pub metadata: BTreeMap<String, String>,
}

impl OnnxSummary {
    /// Reads the summary of an encoded model. `path` is for messages.
    ///
    /// # Errors
    /// [`OnnxError::NotOnnx`] when the bytes are no ONNX model.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self, OnnxError> {
        let refuse = |problem: String| OnnxError::NotOnnx { path: path.into(), problem };
        // Before it is decoded, which may take a hundred times its size.
        external_tensors(bytes, path)?;
        let model = ModelProto::decode(bytes).map_err(|error| refuse(error.to_string()))?;
        let graph = model.graph.ok_or_else(|| refuse("it holds no graph".into()))?;
        if model.ir_version < 1 || model.opset_import.is_empty() {
            return Err(refuse("no version and no operator set".into()));
        }
        let described = |infos: &[ValueInfoProto]| {
            infos.iter().map(|info| (info.name.clone(), type_text(tensor_type(info)))).collect()
        };
        let mut summary = Self {
            producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
            opsets: model.opset_import.into_iter().map(|set| (set.domain, set.version)).collect(),
            inputs: described(&graph.input),
            outputs: described(&graph.output),
            operators: BTreeMap::new(),
            parameters: 0,
            matmul_flops: Some(0),
            metadata: model.metadata_props.into_iter().map(|pair| (pair.key, pair.value)).collect(),
        };
        summary.add(&graph, &HashMap::new());
        Ok(summary)
    }

    /// Adds a graph; `around` are the shapes known in the graphs around it.
    fn add(&mut self, graph: &GraphProto, around: &HashMap<String, Vec<Option<u64>>>) {
        let mut shapes = around.clone();
        for info in graph.input.iter().chain(&graph.output).chain(&graph.value_info) {
            shapes.insert(info.name.clone(), dims(tensor_type(info)));
        }
        for tensor in &graph.initializer {
            let dims = tensor.dims.iter().map(|&size| u64::try_from(size).ok()).collect::<Vec<_>>();
            if DType::from_onnx(tensor.data_type).is_some_and(DType::is_float) {
                self.parameters = self.parameters.saturating_add(product(&dims).unwrap_or(0));
            }
            shapes.insert(tensor.name.clone(), dims);
        }
        for node in &graph.node {
            *self.operators.entry(node.op_type.clone()).or_insert(0) += 1;
            if node.op_type == "MatMul" {
                let flops = (|| {
                    let inner = (*shapes.get(node.input.first()?)?.last()?)?;
                    let outputs = product(shapes.get(node.output.first()?)?)?;
                    outputs.checked_mul(inner)?.checked_mul(2)
                })();
                self.matmul_flops = self.matmul_flops.zip(flops).and_then(|(sum, flops)| sum.checked_add(flops));
            }
            for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
                self.add(body, &shapes);
            }
        }
    }
}

fn tensor_type(info: &ValueInfoProto) -> Option<&TensorTypeProto> {
    info.r#type.as_ref()?.tensor_type.as_ref()
}

/// Dimensions, a named one counting as one row; `None` for an unknown one.
fn dims(ty: Option<&TensorTypeProto>) -> Vec<Option<u64>> {
    let shape = ty.and_then(|ty| ty.shape.as_ref());
    shape.map_or_else(
        || vec![None],
        |shape| {
            let size = |value: &Option<DimensionValue>| match value {
                Some(DimensionValue::DimValue(size)) => u64::try_from(*size).ok(),
                Some(DimensionValue::DimParam(_)) => Some(1),
                None => None,
            };
            shape.dim.iter().map(|dim| size(&dim.value)).collect()
        },
    )
}

fn product(dims: &[Option<u64>]) -> Option<u64> {
    dims.iter().try_fold(1_u64, |product, dim| product.checked_mul((*dim)?))
}

fn type_text(ty: Option<&TensorTypeProto>) -> String {
    let Some(ty) = ty else { return "?".into() };
    let dtype = DType::from_onnx(ty.elem_type).map_or_else(|| format!("type {}", ty.elem_type), |d| d.to_string());
    let dims = ty.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match &dim.value {
        Some(DimensionValue::DimValue(size)) => size.to_string(),
        Some(DimensionValue::DimParam(name)) => name.clone(),
        None => "?".into(),
    });
    format!("{dtype}[{}]", dims.collect::<Vec<_>>().join(","))
}
