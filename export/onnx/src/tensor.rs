//! Element types, shapes with a symbolic batch axis, and constant data.

use std::fmt;
use std::sync::Arc;

use half::f16;

/// Element type of a value in a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 64-bit float; losses only.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer.
    I64,
    /// 8-bit signed integer: quantised weights.
    I8,
    /// 8-bit unsigned integer: quantised activations.
    U8,
    /// Boolean, one byte.
    Bool,
}

impl DType {
    /// ONNX `TensorProto.DataType`.
    #[must_use]
    pub fn onnx(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I8 => 3,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
        }
    }

    /// The inverse of [`DType::onnx`]; `None` for a type this crate does not use.
    #[must_use]
    pub fn from_onnx(code: i32) -> Option<Self> {
        [Self::F64, Self::F32, Self::F16, Self::I32, Self::I64, Self::I8, Self::U8, Self::Bool]
            .into_iter()
            .find(|dtype| dtype.onnx() == code)
    }

    /// Bytes an element takes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F16 => 2,
            Self::I64 | Self::F64 => 8,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// True if elements are floating point.
    #[must_use]
    pub fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

/// One dimension: the batch, unknown until a session is made, or a fixed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The batch axis, named `batch` in the file.
    Batch,
    /// A size known when the graph is built.
    Fixed(usize),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("batch"),
            Self::Fixed(size) => write!(f, "{size}"),
        }
    }
}

/// Element type and shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; empty for a scalar.
    pub shape: Vec<Dim>,
}

impl TensorType {
    /// A type from its parts.
    #[must_use]
    pub fn new(dtype: DType, shape: impl Into<Vec<Dim>>) -> Self {
        Self { dtype, shape: shape.into() }
    }

    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (index, dim) in self.shape.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{dim}")?;
        }
        f.write_str("]")
    }
}

/// Elements of a constant, row-major. Cloning shares them.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// `f64`.
    F64(Arc<[f64]>),
    /// `f32`.
    F32(Arc<[f32]>),
    /// `f16`.
    F16(Arc<[f16]>),
    /// `i64`.
    I64(Arc<[i64]>),
    /// `i32`.
    I32(Arc<[i32]>),
    /// `i8`.
    I8(Arc<[i8]>),
    /// `u8`.
    U8(Arc<[u8]>),
    /// `bool`.
    Bool(Arc<[bool]>),
}

/// A constant: shape and elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Dimensions, all known.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub elements: Elements,
}

impl Constant {
    /// A float32 constant.
    #[must_use]
    pub fn f32(shape: &[usize], elements: impl Into<Arc<[f32]>>) -> Self {
        Self { shape: shape.to_vec(), elements: Elements::F32(elements.into()) }
    }

    /// An int32 constant.
    #[must_use]
    pub fn i32(shape: &[usize], elements: impl Into<Arc<[i32]>>) -> Self {
        Self { shape: shape.to_vec(), elements: Elements::I32(elements.into()) }
    }

    /// An int64 constant.
    #[must_use]
    pub fn i64(shape: &[usize], elements: impl Into<Arc<[i64]>>) -> Self {
        Self { shape: shape.to_vec(), elements: Elements::I64(elements.into()) }
    }

    /// A scalar that is true: the condition of a loop that ends after a number of turns.
    #[must_use]
    pub fn yes() -> Self {
        Self { shape: Vec::new(), elements: Elements::Bool([true].into()) }
    }

    /// An int8 constant.
    #[must_use]
    pub fn i8(shape: &[usize], elements: impl Into<Arc<[i8]>>) -> Self {
        Self { shape: shape.to_vec(), elements: Elements::I8(elements.into()) }
    }

    /// A scalar float32.
    #[must_use]
    pub fn scalar(value: f32) -> Self {
        Self::f32(&[], vec![value])
    }

    /// Number of elements held.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.elements {
            Elements::F64(elements) => elements.len(),
            Elements::F32(elements) => elements.len(),
            Elements::F16(elements) => elements.len(),
            Elements::I64(elements) => elements.len(),
            Elements::I32(elements) => elements.len(),
            Elements::I8(elements) => elements.len(),
            Elements::U8(elements) => elements.len(),
            Elements::Bool(elements) => elements.len(),
        }
    }

    /// True if there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self.elements {
            Elements::F64(_) => DType::F64,
            Elements::F32(_) => DType::F32,
            Elements::F16(_) => DType::F16,
            Elements::I64(_) => DType::I64,
            Elements::I32(_) => DType::I32,
            Elements::I8(_) => DType::I8,
            Elements::U8(_) => DType::U8,
            Elements::Bool(_) => DType::Bool,
        }
    }

    /// Element type and shape.
    #[must_use]
    pub fn tensor_type(&self) -> TensorType {
        let shape = self.shape.iter().map(|&size| Dim::Fixed(size)).collect::<Vec<_>>();
        TensorType::new(self.dtype(), shape)
    }

    /// The same constant in another float type; anything but float32 to float16 or float64 is returned unchanged.
    #[must_use]
    pub fn to_float(&self, dtype: DType) -> Self {
        match (&self.elements, dtype) {
            (Elements::F32(elements), DType::F16) => Self {
                shape: self.shape.clone(),
                elements: Elements::F16(elements.iter().map(|&value| f16::from_f32(value)).collect()),
            },
            (Elements::F32(elements), DType::F64) => Self {
                shape: self.shape.clone(),
                elements: Elements::F64(elements.iter().map(|&value| f64::from(value)).collect()),
            },
            _ => self.clone(),
        }
    }

    /// Little-endian bytes, as `TensorProto.raw_data` holds them.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match &self.elements {
            Elements::F64(elements) => elements.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::F32(elements) => elements.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::F16(elements) => elements.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::I64(elements) => elements.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::I32(elements) => elements.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Elements::I8(elements) => elements.iter().map(|&value| value.cast_unsigned()).collect(),
            Elements::U8(elements) => elements.to_vec(),
            Elements::Bool(elements) => elements.iter().map(|&value| u8::from(value)).collect(),
        }
    }
}
