//! Names, dtypes and shapes of every graph's inputs and outputs. An exported file keeps to them, and engines rely on
//! them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ModelError, Result, TrmConfig};

/// The graphs that a bundle may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GraphKind {
    /// One ACT step; the carry goes in and comes out.
    Step,
    /// Steps until every row has halted, in an ONNX `Loop`.
    Solve,
    /// A fixed number of steps without control flow; halted rows stay as they are.
    Unrolled,
}

impl GraphKind {
    /// All kinds, in the order in which they are listed to a user.
    pub const ALL: [Self; 3] = [Self::Step, Self::Solve, Self::Unrolled];

    /// The kind's name: `step`, `solve` or `unrolled`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Solve => "solve",
            Self::Unrolled => "unrolled",
        }
    }

    /// The file name that a bundle gives the graph: `step.onnx` and so on.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Step => "step.onnx",
            Self::Solve => "solve.onnx",
            Self::Unrolled => "unrolled.onnx",
        }
    }
}

impl fmt::Display for GraphKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for GraphKind {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| ModelError::InvalidConfig {
            reason: format!("unknown graph `{name}`, expected step, solve or unrolled"),
            hint: None,
        })
    }
}

/// The dtype of a graph input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit IEEE float.
    F32,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// Boolean, one byte.
    Bool,
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

/// One dimension of a graph input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Axis {
    /// The dynamic batch axis, named `batch` in the file.
    Batch,
    /// A dimension known from the configuration.
    Fixed(usize),
}

/// Name, dtype and shape of one graph input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name in the graph.
    pub name: &'static str,
    /// The dtype.
    pub element: ElementType,
    /// The shape; empty for a scalar.
    pub shape: Vec<Axis>,
}

impl fmt::Display for TensorSpec {
    /// `z_h: f32[batch, 97, 512]`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<Option<usize>> = self
            .shape
            .iter()
            .map(|axis| match axis {
                Axis::Batch => None,
                Axis::Fixed(size) => Some(*size),
            })
            .collect();
        write!(f, "{}: {}", self.name, Typed { element: &self.element, shape: &shape })
    }
}

/// A dtype with a shape, as errors print it; `None` is the batch axis.
struct Typed<'a> {
    element: &'a dyn fmt::Display,
    shape: &'a [Option<usize>],
}

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.element)?;
        for (i, axis) in self.shape.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            match axis {
                Some(size) => write!(f, "{separator}{size}")?,
                None => write!(f, "{separator}batch")?,
            }
        }
        f.write_str("]")
    }
}

/// An input or output as a loaded graph declares it, to be checked against a [`GraphSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTensor {
    /// The name in the graph.
    pub name: String,
    /// The dtype; `None` for one that no graph of ours uses.
    pub element: Option<ElementType>,
    /// The shape, `None` standing for a dimension without a fixed size.
    pub shape: Vec<Option<usize>>,
}

/// The inputs and outputs of a graph, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphSpec {
    /// Inputs.
    pub inputs: Vec<TensorSpec>,
    /// Outputs.
    pub outputs: Vec<TensorSpec>,
}

impl GraphSpec {
    /// The interface of a model's graph. B is the batch axis, S = [`seq_len`](TrmConfig::seq_len),
    /// L = [`total_len`](TrmConfig::total_len), D = `hidden_size`, V = `vocab_size`:
    ///
    /// | graph | inputs | outputs |
    /// | --- | --- | --- |
    /// | step | `tokens: i32[B, S]`, `puzzle_ids: i32[B]`, `reset: bool[B]`, `z_h, z_l: f32[B, L, D]` | `answer: i32[B, S]`, `q_halt, q_continue: f32[B]`, `z_h_next, z_l_next: f32[B, L, D]`, `logits: f32[B, S, V]` |
    /// | solve | `tokens`, `puzzle_ids`, `halt_threshold: f32[]`, `max_steps: i64[]` | `answer`, `q_halt`, `q_continue`, `steps: i32[B]`, `logits` |
    /// | unrolled | `tokens`, `puzzle_ids`, `halt_threshold` | as solve |
    #[must_use]
    pub fn new(kind: GraphKind, config: &TrmConfig) -> Self {
        use Axis::{Batch, Fixed};
        use ElementType::{Bool, F32, I32, I64};

        let cells = Fixed(config.seq_len);
        let carry = vec![Batch, Fixed(config.total_len()), Fixed(config.hidden_size)];
        let spec = |name, element, shape: &[Axis]| TensorSpec { name, element, shape: shape.to_vec() };

        let mut inputs = vec![spec("tokens", I32, &[Batch, cells]), spec("puzzle_ids", I32, &[Batch])];
        let mut outputs = vec![
            spec("answer", I32, &[Batch, cells]),
            spec("q_halt", F32, &[Batch]),
            spec("q_continue", F32, &[Batch]),
        ];
        match kind {
            GraphKind::Step => {
                inputs.extend([spec("reset", Bool, &[Batch]), spec("z_h", F32, &carry), spec("z_l", F32, &carry)]);
                outputs.extend([spec("z_h_next", F32, &carry), spec("z_l_next", F32, &carry)]);
            }
            GraphKind::Solve => {
                inputs.extend([spec("halt_threshold", F32, &[]), spec("max_steps", I64, &[])]);
                outputs.push(spec("steps", I32, &[Batch]));
            }
            GraphKind::Unrolled => {
                inputs.push(spec("halt_threshold", F32, &[]));
                outputs.push(spec("steps", I32, &[Batch]));
            }
        }
        outputs.push(spec("logits", F32, &[Batch, cells, Fixed(config.vocab_size)]));
        Self { inputs, outputs }
    }

    /// Checks that a loaded graph has this interface: the same names, dtypes and shapes, in any order. A batch axis
    /// may have any fixed size, so that a file specialised to one batch passes too.
    ///
    /// # Errors
    ///
    /// [`ModelError::GraphMismatch`] with the first difference.
    pub fn check(&self, kind: GraphKind, inputs: &[FoundTensor], outputs: &[FoundTensor]) -> Result<()> {
        check_tensors(kind, "input", &self.inputs, inputs)?;
        check_tensors(kind, "output", &self.outputs, outputs)
    }
}

fn check_tensors(kind: GraphKind, role: &str, expected: &[TensorSpec], found: &[FoundTensor]) -> Result<()> {
    let mismatch = |reason| Err(ModelError::GraphMismatch { kind, reason });
    for spec in expected {
        let Some(tensor) = found.iter().find(|tensor| tensor.name == spec.name) else {
            return mismatch(format!("lacks {role} {spec}"));
        };
        let same_shape = spec.shape.len() == tensor.shape.len()
            && spec.shape.iter().zip(&tensor.shape).all(|(axis, found)| match axis {
                Axis::Batch => true,
                Axis::Fixed(size) => *found == Some(*size),
            });
        if tensor.element != Some(spec.element) || !same_shape {
            let element: &dyn fmt::Display = tensor.element.as_ref().map_or(&"another dtype", |element| element);
            let found = Typed { element, shape: &tensor.shape };
            return mismatch(format!("has {role} `{}` as {found}, expected {spec}", spec.name));
        }
    }
    if let Some(extra) = found.iter().find(|tensor| expected.iter().all(|spec| spec.name != tensor.name)) {
        let names: Vec<_> = expected.iter().map(|spec| spec.name).collect();
        return mismatch(format!("has an unknown {role} `{}`, expected {}", extra.name, names.join(", ")));
    }
    Ok(())
}
