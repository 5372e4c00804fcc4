//! A training graph as ONNX Runtime has it, and values that go in and out.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ::ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ::ort::session::Session;
use ::ort::value::{DynValue, PrimitiveTensorElementType, Tensor, TensorValueType};
use trm_engine::ort::session::load_plain;
use trm_engine::ort::{OrtEngine, failed};
use trm_engine::{EngineError, SessionOptions};
use trm_export::onnx::Graph;
use trm_export::onnx::write::encode;

use crate::runtime::{NamedTensor, matmul_flops};
use crate::{Result, TrainError};

/// Outputs that the host reads after every step; everything else stays on the device.
const READ: [&str; 7] = ["loss", "lm_loss", "q_loss", "exact", "cells_right", "q_halt", "q_continue"];

/// A graph that ONNX Runtime has loaded.
pub(crate) struct LoadedGraph {
    name: &'static str,
    session: Session,
    pub(crate) flops: u64,
    pub(crate) inputs: Vec<String>,
    /// Outputs with where they are put.
    outputs: Vec<(String, MemoryInfo<'static>)>,
}

impl LoadedGraph {
    pub(crate) fn load(
        engine: &OrtEngine,
        name: &'static str,
        graph: &Graph,
        options: &SessionOptions,
    ) -> Result<Self> {
        let bytes = encode(graph, &[]).onnx;
        let (session, provider) = load_plain(engine, name, &bytes, options)?;
        let memory = |output: &str| match provider.gpu_memory(&options.provider_options)? {
            Some(memory) if !READ.contains(&output) && output != "grad_norm" => Ok(memory),
            _ => MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput),
        };
        let outputs = session.outputs().iter().map(|outlet| Ok((outlet.name().to_owned(), memory(outlet.name())?)));
        let outputs = outputs.collect::<::ort::Result<_>>().map_err(|error| failed("find memory", error))?;
        let inputs = session.inputs().iter().map(|outlet| outlet.name().to_owned()).collect();
        Ok(Self { name, session, flops: matmul_flops(&bytes), inputs, outputs })
    }

    /// Runs the graph. A new binding for every run: one that was used before would write into the values it returned.
    pub(crate) fn run<'a>(
        &mut self,
        input: &dyn Fn(&str) -> Option<&'a DynValue>,
    ) -> Result<BTreeMap<String, DynValue>> {
        let mut run = || -> ::ort::Result<BTreeMap<String, DynValue>> {
            let mut binding = self.session.create_binding()?;
            for name in &self.inputs {
                let value = input(name).ok_or_else(|| ::ort::Error::new(format!("no value for the input `{name}`")))?;
                binding.bind_input(name, value)?;
            }
            for (name, memory) in &self.outputs {
                binding.bind_output_to_device(name, memory)?;
            }
            let outputs = self.session.run_binding(&binding)?;
            Ok(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
        };
        Ok(run().map_err(|error| failed(format!("run {}", self.name), error))?)
    }
}

pub(crate) fn remove(outputs: &mut BTreeMap<String, DynValue>, name: &str) -> Result<DynValue> {
    outputs.remove(name).ok_or_else(|| no_output(name))
}

pub(crate) fn read<T: PrimitiveTensorElementType + Clone>(
    outputs: &BTreeMap<String, DynValue>,
    name: &str,
) -> Result<Vec<T>> {
    let value = outputs.get(name).ok_or_else(|| no_output(name))?;
    let extracted = value.try_extract_tensor::<T>();
    Ok(extracted.map_err(|error| failed(format!("read output `{name}`"), error))?.1.to_vec())
}

/// A copy on the host.
pub(crate) fn copy(name: &str, value: &DynValue) -> Result<NamedTensor> {
    let extract = || -> ::ort::Result<NamedTensor> {
        let tensor = value.view().downcast::<TensorValueType<f32>>()?;
        let on_device = !tensor.memory_info().is_cpu_accessible();
        let moved = if on_device { Some(tensor.to(AllocationDevice::CPU, 0)?) } else { None };
        let (shape, data) = moved.as_ref().unwrap_or(&tensor).extract_tensor();
        Ok(NamedTensor { shape: shape.iter().map(|&size| size as usize).collect(), data: data.to_vec() })
    };
    Ok(extract().map_err(|error| failed(format!("read `{name}`"), error))?)
}

/// A value of the given shape, which the data must have.
pub(crate) fn dyn_tensor<T: PrimitiveTensorElementType + Clone + Debug + 'static>(
    shape: &[usize],
    data: Vec<T>,
) -> Result<DynValue> {
    let tensor = Tensor::from_array((shape.to_vec(), data)).map_err(|error| failed("make a tensor", error))?;
    Ok(tensor.into_dyn())
}

pub(crate) fn no_output(name: &str) -> TrainError {
    EngineError::Failed {
        engine: "ort",
        action: "read a training graph's outputs".into(),
        source: format!("there is no output `{name}`").into(),
    }
    .into()
}
