//! Execution providers: what ONNX Runtime runs a graph on, in which order they are tried, and with which settings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ::ort::ep::{CPU, CUDA, ExecutionProviderDispatch, TensorRT};
use ::ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use serde::Serialize;
use trm_models::GraphKind;

use crate::{EngineError, GraphSource, Result};

/// A device with the library by which ONNX Runtime runs a graph on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionProvider {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, one kernel for each operator.
    Cuda,
    /// An NVIDIA GPU, compiled by TensorRT for this GPU and batch. The first load takes a minute or more; later ones
    /// read the cache.
    TensorRt,
}

impl ExecutionProvider {
    /// All providers, the most preferred first.
    pub const ALL: [Self; 3] = [Self::TensorRt, Self::Cuda, Self::Cpu];

    /// The kind of device that it computes on, where its tensors are.
    #[must_use]
    pub fn device(self) -> Device {
        match self {
            Self::Cpu => Device::Processor,
            Self::Cuda | Self::TensorRt => Device::Gpu,
        }
    }

    /// The memory of its GPU; `None` on the processor, whose memory is the host's.
    ///
    /// # Errors
    ///
    /// ONNX Runtime's, if it cannot describe the memory.
    pub fn gpu_memory(self, options: &ProviderOptions) -> ::ort::Result<Option<MemoryInfo<'static>>> {
        let gpu = AllocationDevice::CUDA;
        let describe = || MemoryInfo::new(gpu, options.device_id, AllocatorType::Device, MemoryType::Default);
        match self.device() {
            Device::Processor => Ok(None),
            Device::Gpu => describe().map(Some),
        }
    }

    /// `cpu`, `cuda` or `tensorrt`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

impl fmt::Display for ExecutionProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor, in the host's memory.
    Processor,
    /// A GPU, whose memory the host reads by copies only.
    Gpu,
}

/// Which provider a session is to run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProviderChoice {
    /// TensorRT, CUDA, CPU: the first that works.
    #[default]
    Auto,
    /// This one; anything else is an error.
    Only(ExecutionProvider),
    /// This one if it works, otherwise as `Auto`.
    Prefer(ExecutionProvider),
}

impl ProviderChoice {
    /// The providers to try, in order.
    #[must_use]
    pub fn candidates(self) -> Vec<ExecutionProvider> {
        match self {
            Self::Auto => ExecutionProvider::ALL.to_vec(),
            Self::Only(provider) => vec![provider],
            Self::Prefer(first) => {
                let others = ExecutionProvider::ALL.into_iter().filter(|&other| other != first);
                std::iter::once(first).chain(others).collect()
            }
        }
    }
}

impl FromStr for ProviderChoice {
    type Err = EngineError;

    /// `auto`, `cpu`, `cuda` or `tensorrt`.
    fn from_str(name: &str) -> Result<Self> {
        if name == "auto" {
            return Ok(Self::Auto);
        }
        let provider = ExecutionProvider::ALL.into_iter().find(|provider| provider.as_str() == name);
        provider.map(Self::Only).ok_or_else(|| EngineError::UnknownProvider { name: name.to_owned() })
    }
}

/// Settings of the execution providers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProviderOptions {
    /// The GPU's number.
    pub device_id: i32,
    /// Most device memory that ONNX Runtime's arena may take, and TensorRT's workspace, in bytes. On a board that
    /// shares memory between CPU and GPU this is what keeps the system alive.
    pub memory_limit: Option<usize>,
    /// Let TensorRT 8 to 10 compute in half precision. For CUDA, and TensorRT 11 on, export the graph in fp16.
    pub fp16: bool,
    /// Let CUDA round float32 products to TF32: faster, and off by 1e-3. Off unless asked for, so that numbers are
    /// those of the reference.
    pub tf32: bool,
    /// Where TensorRT keeps compiled engines and timings; [`default_cache_dir`] if absent.
    pub cache_dir: Option<PathBuf>,
    /// Record a step once and replay it as a CUDA graph: less launch overhead for small models.
    pub cuda_graph: bool,
}

/// Where compiled engines are kept unless the user says otherwise: `trm-edge/tensorrt` in the user's cache folder.
#[must_use]
pub fn default_cache_dir() -> Option<PathBuf> {
    Some(crate::cache_folder()?.join("tensorrt"))
}

/// Returns the reason why a provider is not even tried for a graph; `None` if it is tried.
pub(super) fn unsuited(provider: ExecutionProvider, graph: &GraphSource<'_>) -> Option<String> {
    match (provider, graph.kind) {
        // Neither a Loop nor a Scan can be part of a CUDA graph (#9978).
        (_, GraphKind::Step) if provider.device() == Device::Gpu && !graph.target.is_portable() => {
            let target = graph.target.as_str();
            Some(format!("the bundle was exported for {target}; export the model with --target portable"))
        }
        // microsoft/onnxruntime #13894: under TensorRT a Loop ran one iteration too many.
        (ExecutionProvider::TensorRt, GraphKind::Solve) => {
            Some("TensorRT does not run ONNX loops reliably; the step and unrolled graphs work".to_owned())
        }
        _ => None,
    }
}

impl ExecutionProvider {
    /// The provider with its settings, set up so that a failure to register is an error: by default ONNX Runtime
    /// would quietly run on the CPU. The device id is always given, because without one a machine that has a driver
    /// but no device registers successfully. TensorRT comes with CUDA behind it, for operators that it does not take.
    pub(super) fn configure(self, options: &ProviderOptions) -> Result<Vec<ExecutionProviderDispatch>> {
        let dispatches = match self {
            Self::Cpu => vec![CPU::default().with_arena_allocator(true).build()],
            Self::Cuda => vec![cuda(options).with_cuda_graph(options.cuda_graph).build()],
            Self::TensorRt => vec![tensorrt(options)?.build(), cuda(options).build()],
        };
        Ok(dispatches.into_iter().map(ExecutionProviderDispatch::error_on_failure).collect())
    }
}

fn cuda(options: &ProviderOptions) -> CUDA {
    let cuda = CUDA::default().with_device_id(options.device_id).with_tf32(options.tf32);
    match options.memory_limit {
        Some(limit) => cuda.with_memory_limit(limit),
        None => cuda,
    }
}

fn tensorrt(options: &ProviderOptions) -> Result<TensorRT> {
    let refuse = |reason: String| EngineError::Provider { provider: ExecutionProvider::TensorRt, reason };
    let cache = options
        .cache_dir
        .clone()
        .or_else(default_cache_dir)
        .ok_or_else(|| refuse("no folder for compiled engines: HOME is not set".to_owned()))?;
    std::fs::create_dir_all(&cache)
        .map_err(|error| refuse(format!("cannot create the cache folder {}: {error}", cache.display())))?;
    let path = cache
        .to_str()
        .filter(|path| !path.contains('\0'))
        .ok_or_else(|| refuse(format!("the path of the cache folder {} is not UTF-8", cache.display())))?;
    let mut tensorrt = TensorRT::default()
        .with_device_id(options.device_id)
        .with_fp16(options.fp16)
        .with_engine_cache(true)
        .with_engine_cache_path(path)
        .with_timing_cache(true)
        .with_timing_cache_path(path)
        .with_cuda_graph(options.cuda_graph);
    if let Some(limit) = options.memory_limit {
        tensorrt = tensorrt.with_max_workspace_size(limit);
    }
    Ok(tensorrt)
}
