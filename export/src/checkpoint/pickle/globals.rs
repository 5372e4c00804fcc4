//! The globals that plain data and state dicts refer to. Each is a tag; none is ever called.

/// A global that a pickle may refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum Global {
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`, which names the dtype of an untyped storage.
    RebuildTensorOfDtype,
    /// `torch._utils._rebuild_parameter` and `_rebuild_parameter_with_state`
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes.
    RebuildFromType,
    /// A class of tensors.
    TensorClass,
    Storage(StorageType),
    /// `torch.float32` and its like.
    Dtype(StorageType),
    /// A dictionary's class, whatever its arguments.
    Dict,
    /// The class of a list, a set or a tuple.
    List,
    /// `argparse.Namespace`, `types.SimpleNamespace`
    Namespace,
    /// A class or function that makes a plain value, and what that is.
    Plain(&'static str),
}

/// A torch storage class, that is a dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::checkpoint) enum StorageType {
    Float,
    Double,
    Half,
    BFloat16,
    /// A dtype that weights do not have: its name in torch and the bytes of an element.
    Other(&'static str, u8),
    /// Bytes that a tensor gives a dtype.
    Untyped,
}

impl StorageType {
    /// The dtype's name in torch.
    pub(in crate::checkpoint) fn dtype_name(self) -> &'static str {
        match self {
            Self::Float => "float32",
            Self::Double => "float64",
            Self::Half => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Other(name, _) => name,
            Self::Untyped => "uint8",
        }
    }

    /// Bytes of an element.
    pub(in crate::checkpoint) fn size(self) -> usize {
        match self {
            Self::Float => 4,
            Self::Double => 8,
            Self::Half | Self::BFloat16 => 2,
            Self::Other(_, size) => size.into(),
            Self::Untyped => 1,
        }
    }
}

/// The global of this name; `None` for one that plain data does not need.
pub(super) fn find(module: &[u8], name: &[u8]) -> Option<Global> {
    let (module, name) = (std::str::from_utf8(module).ok()?, std::str::from_utf8(name).ok()?);
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorOfDtype,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::RebuildParameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch", "Tensor") | ("torch.nn.parameter", "Parameter" | "Buffer") => Global::TensorClass,
        ("torch.storage", "UntypedStorage") => Global::Storage(StorageType::Untyped),
        ("torch", "Size") | ("collections", "deque") => Global::List,
        ("torch", "device") => Global::Plain("a device"),
        ("torch", name) => match name.strip_suffix("Storage") {
            Some(kind) => Global::Storage(storage(kind)?),
            None => Global::Dtype(dtype(name)?),
        },
        ("torch.serialization", "_get_layout") => Global::Plain("a layout"),
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Global::Dict,
        ("argparse", "Namespace") | ("types", "SimpleNamespace") => Global::Namespace,
        // Python 3 names its own module so under protocol 2, for Python 2 to read.
        ("builtins" | "__builtin__", name) => match name {
            "dict" => Global::Dict,
            "list" | "set" | "frozenset" | "tuple" => Global::List,
            "int" | "long" | "float" | "bool" | "complex" => Global::Plain("a number"),
            "str" | "unicode" => Global::Plain("a string"),
            "bytes" | "bytearray" => Global::Plain("bytes"),
            "slice" | "range" | "xrange" => Global::Plain("a range"),
            _ => return None,
        },
        ("_codecs", "encode") => Global::Plain("bytes"),
        ("datetime", "datetime" | "date" | "time" | "timedelta" | "timezone") => Global::Plain("a date"),
        ("pathlib" | "pathlib._local", "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath" | "Path") => {
            Global::Plain("a path")
        }
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") | ("decimal", "Decimal") => {
            Global::Plain("a number")
        }
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct")
        | ("numpy._core.numeric" | "numpy.core.numeric", "_frombuffer")
        | ("numpy", "ndarray") => Global::Plain("an array"),
        ("numpy", "dtype") => Global::Plain("a dtype"),
        ("uuid", "UUID") => Global::Plain("an identifier"),
        _ => return None,
    })
}

fn storage(kind: &str) -> Option<StorageType> {
    Some(match kind {
        "Float" => StorageType::Float,
        "Double" => StorageType::Double,
        "Half" => StorageType::Half,
        "BFloat16" => StorageType::BFloat16,
        "Long" => StorageType::Other("int64", 8),
        "Int" => StorageType::Other("int32", 4),
        "Short" => StorageType::Other("int16", 2),
        "Char" => StorageType::Other("int8", 1),
        "Byte" => StorageType::Other("uint8", 1),
        "Bool" => StorageType::Other("bool", 1),
        "ComplexFloat" => StorageType::Other("complex64", 8),
        "ComplexDouble" => StorageType::Other("complex128", 16),
        "Untyped" => StorageType::Untyped,
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<StorageType> {
    Some(match name {
        "float32" | "float" => StorageType::Float,
        "float64" | "double" => StorageType::Double,
        "float16" | "half" => StorageType::Half,
        "bfloat16" => StorageType::BFloat16,
        "int64" | "long" => StorageType::Other("int64", 8),
        "int32" | "int" => StorageType::Other("int32", 4),
        "int16" | "short" => StorageType::Other("int16", 2),
        "int8" => StorageType::Other("int8", 1),
        "uint8" => StorageType::Other("uint8", 1),
        "uint16" => StorageType::Other("uint16", 2),
        "uint32" => StorageType::Other("uint32", 4),
        "uint64" => StorageType::Other("uint64", 8),
        "bool" => StorageType::Other("bool", 1),
        "complex64" | "cfloat" => StorageType::Other("complex64", 8),
        "complex128" | "cdouble" => StorageType::Other("complex128", 16),
        "float8_e4m3fn" => StorageType::Other("float8_e4m3fn", 1),
        "float8_e5m2" => StorageType::Other("float8_e5m2", 1),
        "float8_e4m3fnuz" => StorageType::Other("float8_e4m3fnuz", 1),
        "float8_e5m2fnuz" => StorageType::Other("float8_e5m2fnuz", 1),
        _ => return None,
    })
}
