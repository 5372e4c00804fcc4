//! The values of the pickles that `torch.save` writes: state dicts, and the plain data of whole checkpoints beside them.
//!
//! A pickle is a program for a stack machine (opcodes: `Lib/pickletools.py` of Python). [`machine`] runs the opcodes of
//! protocols 2 to 5 that plain data needs; [`globals`] has the names it may refer to. A global is a tag here, never a
//! function, so nothing in a file can run code. Objects live in one table and refer to each other by index: however a
//! file nests or shares them, reading stays linear in its length, and what is kept is drawn from a [`Budget`].

mod globals;
mod machine;
mod settings;

pub(super) use globals::{Global, StorageType};
use trm_intake::Budget;

/// Torch's own limit of a tensor's dimensions.
pub(super) const MAX_DIMS: usize = 64;

/// The reasons why a pickle was refused; `offset` is that of the opcode.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It refers to a global that no state dict needs.
    Foreign { global: String, offset: usize },
    /// It is damaged, asks for too much, or does something that no state dict does.
    Bad { reason: String, offset: usize },
}

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer that does not fit 64 bits.
    BigInt,
    Float(f64),
    Str(&'a str),
    Bytes,
    Global(Global),
    /// Index into the table of objects.
    Object(usize),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    /// A list, or a set: the order of a set's items is that of the file.
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    /// The attributes of an `argparse.Namespace` and its like.
    Namespace(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<Tensor<'a>>),
    /// Plain data whose value does not matter here, and what it is.
    Opaque(&'static str),
}

/// A reference to a storage: an archive's record `data/{key}`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Storage<'a> {
    pub(super) kind: StorageType,
    pub(super) key: &'a str,
    /// Number of elements.
    pub(super) len: usize,
}

/// A view of a storage; offset and strides count elements.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The result of running a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    root: Value<'a>,
    objects: Vec<Object<'a>>,
    /// Bytes of the program, its `STOP` included.
    pub(super) length: usize,
}

impl<'a> Pickle<'a> {
    /// Runs the program at the start of `bytes`; what follows its `STOP` is left alone.
    pub(super) fn parse(bytes: &'a [u8], budget: &mut Budget) -> Result<Self, PickleError> {
        let (root, objects, length) = machine::run(bytes, budget)?;
        Ok(Self { root, objects, length })
    }

    /// The outermost value.
    pub(super) fn value(&self) -> Value<'a> {
        self.root
    }

    /// The items of the outermost dictionary; `None` if the pickle is something else.
    pub(super) fn root(&self) -> Option<&[(Value<'a>, Value<'a>)]> {
        self.dict(self.root)
    }

    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value)? {
            Object::Dict(items) | Object::Namespace(items) => Some(items),
            _ => None,
        }
    }

    /// The items of a list, a set or a tuple.
    pub(super) fn items(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match self.object(value)? {
            Object::List(items) | Object::Tuple(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value<'a>) -> Option<&Tensor<'a>> {
        match self.object(value)? {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Every storage that the pickle refers to.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// The kind of a value, for an error message: `a number`, `a list`.
    pub(super) fn describe(&self, value: Value<'a>) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::BigInt | Value::Float(_) => "a number",
            Value::Str(_) => "a string",
            Value::Bytes => "bytes",
            Value::Global(_) => "a class or function",
            Value::Object(index) => match self.objects.get(index) {
                Some(Object::Tuple(_)) => "a tuple",
                Some(Object::List(_)) => "a list",
                Some(Object::Dict(_)) => "a dictionary",
                Some(Object::Namespace(_)) => "a namespace",
                Some(Object::Storage(_)) => "a storage",
                Some(Object::Tensor(_)) => "a tensor",
                Some(Object::Opaque(what)) => what,
                None => "nothing",
            },
        }
    }
}

#[cfg(test)]
mod tests;
