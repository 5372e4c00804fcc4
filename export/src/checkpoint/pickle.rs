//! An interpreter of the pickles that `torch.save` writes for state dicts.
//!
//! A pickle is a program for a stack machine (opcodes: `Lib/pickletools.py` of Python). Only the opcodes of protocol 2
//! that state dicts need are known, and only the globals below; a global is a tag here, never a function, so nothing in
//! a file can run code. Objects live in one table and refer to each other by index: however a file nests or shares
//! them, reading stays linear in its length.

use std::collections::HashMap;

/// Enough for a million objects of any kind; a state dict has some ten for each tensor.
const MAX_OBJECTS: usize = 1 << 20;

/// Why a pickle was refused; `offset` is that of the opcode.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It refers to a global that no state dict needs.
    Foreign { global: String, offset: usize },
    /// It is damaged, or does something that no state dict does.
    Bad { reason: String, offset: usize },
}

/// Something on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Str(&'a str),
    Global(Global),
    /// Index into the table of objects.
    Object(usize),
}

/// A global that state dicts refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    RebuildTensor,
    RebuildParameter,
    OrderedDict,
    Storage(StorageType),
}

/// A torch storage class, that is a dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StorageType {
    Float,
    Double,
    Half,
    BFloat16,
    Long,
    Int,
    Short,
    Char,
    Byte,
    Bool,
}

impl StorageType {
    /// The dtype's name in torch.
    pub(super) fn dtype_name(self) -> &'static str {
        match self {
            Self::Float => "float32",
            Self::Double => "float64",
            Self::Half => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Long => "int64",
            Self::Int => "int32",
            Self::Short => "int16",
            Self::Char => "int8",
            Self::Byte => "uint8",
            Self::Bool => "bool",
        }
    }
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Tensor<'a>),
}

/// A reference to an archive's record `data/{key}`.
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

/// What a pickle built.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    root: Value<'a>,
    objects: Vec<Object<'a>>,
}

impl<'a> Pickle<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, PickleError> {
        let mut machine =
            Machine { bytes, next: 0, opcode: 0, stack: vec![], marks: vec![], memo: HashMap::new(), objects: vec![] };
        let root = machine.run()?;
        Ok(Self { root, objects: machine.objects })
    }

    /// The items of the outermost dictionary; `None` if the pickle is something else.
    pub(super) fn root(&self) -> Option<&[(Value<'a>, Value<'a>)]> {
        self.dict(self.root)
    }

    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match self.object(value)? {
            Object::Dict(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value<'a>) -> Option<&Tensor<'a>> {
        match self.object(value)? {
            Object::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    fn object(&self, value: Value<'a>) -> Option<&Object<'a>> {
        match value {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        }
    }

    /// What a value is, for an error message: `a number`, `a list`.
    pub(super) fn describe(&self, value: Value<'a>) -> &'static str {
        match value {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::Float => "a number",
            Value::Str(_) => "a string",
            Value::Global(_) => "a class or function",
            Value::Object(index) => match self.objects.get(index) {
                Some(Object::Tuple(_)) => "a tuple",
                Some(Object::List(_)) => "a list",
                Some(Object::Dict(_)) => "a dictionary",
                Some(Object::Storage(_)) => "a storage",
                Some(Object::Tensor(_)) => "a tensor",
                None => "nothing",
            },
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    /// Offset of the next unread byte.
    next: usize,
    /// Offset of the current opcode.
    opcode: usize,
    stack: Vec<Value<'a>>,
    /// Stack heights at the open `MARK`s.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    fn bad<T>(&self, reason: impl Into<String>) -> Result<T, PickleError> {
        Err(PickleError::Bad { reason: reason.into(), offset: self.opcode })
    }

    /// Runs until `STOP` and returns the value it leaves.
    fn run(&mut self) -> Result<Value<'a>, PickleError> {
        loop {
            self.opcode = self.next;
            let [opcode] = self.take_array()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => {
                    let [protocol] = self.take_array()?;
                    if protocol != 2 {
                        return self.bad(format!("is of pickle protocol {protocol}, expected torch's default, 2"));
                    }
                }
                b'(' => self.mark()?,
                b'N' => self.push(Value::None)?,
                0x88 => self.push(Value::Bool(true))?,
                0x89 => self.push(Value::Bool(false))?,
                b'K' => {
                    let [byte] = self.take_array()?;
                    self.push(Value::Int(byte.into()))?;
                }
                b'M' => {
                    let int = u16::from_le_bytes(self.take_array()?);
                    self.push(Value::Int(int.into()))?;
                }
                b'J' => {
                    let int = i32::from_le_bytes(self.take_array()?);
                    self.push(Value::Int(int.into()))?;
                }
                0x8a => self.long()?,
                b'G' => {
                    // Learning rates and the like in whole checkpoints; weights are never pickled floats.
                    self.take(8)?;
                    self.push(Value::Float)?;
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.take_array()?);
                    let Ok(text) = std::str::from_utf8(self.take(length as usize)?) else {
                        return self.bad("has a string that is not UTF-8");
                    };
                    self.push(Value::Str(text))?;
                }
                b')' => self.push_object(Object::Tuple(vec![]))?,
                b']' => self.push_object(Object::List(vec![]))?,
                b'}' => self.push_object(Object::Dict(vec![]))?,
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.push_object(Object::Tuple(items))?;
                }
                0x85..=0x87 => {
                    let mut items = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                    items.reverse();
                    self.push_object(Object::Tuple(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.top_list()?.push(item);
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.top_list()?.extend(items);
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.top_dict()?.push((key, value));
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    let (pairs, rest) = items.as_chunks();
                    if !rest.is_empty() {
                        return self.bad("has a key without value");
                    }
                    self.top_dict()?.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                }
                b'q' => {
                    let [index] = self.take_array()?;
                    self.memoize(index.into())?;
                }
                b'r' => {
                    let index = u32::from_le_bytes(self.take_array()?);
                    self.memoize(index)?;
                }
                b'h' => {
                    let [index] = self.take_array()?;
                    self.recall(index.into())?;
                }
                b'j' => {
                    let index = u32::from_le_bytes(self.take_array()?);
                    self.recall(index)?;
                }
                b'c' => self.global()?,
                b'Q' => self.persistent_id()?,
                b'R' => self.reduce()?,
                b'b' => {
                    // A state dict carries its modules' versions as an attribute, which has no meaning here.
                    self.pop()?;
                    self.top_dict()?;
                }
                _ => return self.bad(format!("has opcode {opcode:#04x}, which no state dict needs")),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], PickleError> {
        match self.bytes.get(self.next..).and_then(|rest| rest.get(..length)) {
            Some(taken) => {
                self.next += length;
                Ok(taken)
            }
            None => self.bad("ends in the middle"),
        }
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let bytes = self.take(N)?;
        bytes.try_into().or_else(|_| self.bad("ends in the middle"))
    }

    /// Bytes up to a line feed, which is dropped.
    fn line(&mut self) -> Result<&'a [u8], PickleError> {
        let rest = self.bytes.get(self.next..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                let line = self.take(length)?;
                self.next += 1;
                Ok(line)
            }
            None => self.bad("ends in the middle"),
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        if self.stack.len() >= MAX_OBJECTS {
            return self.bad("stacks more values than a state dict can have");
        }
        self.stack.push(value);
        Ok(())
    }

    fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() >= MAX_OBJECTS {
            return self.bad("has more marks than a state dict can have");
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) -> Result<(), PickleError> {
        if self.objects.len() >= MAX_OBJECTS {
            return self.bad("has more objects than a state dict can have");
        }
        self.objects.push(object);
        self.push(Value::Object(self.objects.len() - 1))
    }

    /// The top of the stack, which an open `MARK` protects.
    fn pop(&mut self) -> Result<Value<'a>, PickleError> {
        if self.marks.last().is_none_or(|mark| self.stack.len() > *mark)
            && let Some(value) = self.stack.pop()
        {
            return Ok(value);
        }
        self.bad("takes a value from an empty stack")
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, PickleError> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => self.bad("takes values up to a mark that is not there"),
        }
    }

    fn top_object(&mut self) -> Option<&mut Object<'a>> {
        match self.stack.last() {
            Some(Value::Object(index)) => self.objects.get_mut(*index),
            _ => None,
        }
    }

    fn top_list(&mut self) -> Result<&mut Vec<Value<'a>>, PickleError> {
        let offset = self.opcode;
        match self.top_object() {
            Some(Object::List(items)) => Ok(items),
            _ => Err(PickleError::Bad { reason: "appends to something other than a list".into(), offset }),
        }
    }

    fn top_dict(&mut self) -> Result<&mut Vec<(Value<'a>, Value<'a>)>, PickleError> {
        let offset = self.opcode;
        match self.top_object() {
            Some(Object::Dict(items)) => Ok(items),
            _ => Err(PickleError::Bad { reason: "sets items of something other than a dictionary".into(), offset }),
        }
    }

    fn memoize(&mut self, index: u32) -> Result<(), PickleError> {
        match self.stack.last() {
            Some(_) if self.memo.len() >= MAX_OBJECTS => self.bad("has more objects than a state dict can have"),
            Some(value) => {
                self.memo.insert(index, *value);
                Ok(())
            }
            None => self.bad("takes a value from an empty stack"),
        }
    }

    fn recall(&mut self, index: u32) -> Result<(), PickleError> {
        match self.memo.get(&index) {
            Some(value) => self.push(*value),
            None => self.bad(format!("recalls object {index}, which it never stored")),
        }
    }

    /// An integer in two's complement of any length; none in a state dict needs more than 8 bytes.
    fn long(&mut self) -> Result<(), PickleError> {
        let [length] = self.take_array()?;
        let digits = self.take(length.into())?;
        if digits.len() > 8 {
            return self.bad(format!("has an integer of {length} bytes"));
        }
        let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut bytes = if negative { [0xff; 8] } else { [0; 8] };
        bytes[..digits.len()].copy_from_slice(digits);
        self.push(Value::Int(i64::from_le_bytes(bytes)))
    }

    fn global(&mut self) -> Result<(), PickleError> {
        let (module, name) = (self.line()?, self.line()?);
        let global = match (module, name) {
            (b"torch._utils", b"_rebuild_tensor_v2") => Global::RebuildTensor,
            (b"torch._utils", b"_rebuild_parameter") => Global::RebuildParameter,
            (b"collections", b"OrderedDict") => Global::OrderedDict,
            (b"torch", b"FloatStorage") => Global::Storage(StorageType::Float),
            (b"torch", b"DoubleStorage") => Global::Storage(StorageType::Double),
            (b"torch", b"HalfStorage") => Global::Storage(StorageType::Half),
            (b"torch", b"BFloat16Storage") => Global::Storage(StorageType::BFloat16),
            (b"torch", b"LongStorage") => Global::Storage(StorageType::Long),
            (b"torch", b"IntStorage") => Global::Storage(StorageType::Int),
            (b"torch", b"ShortStorage") => Global::Storage(StorageType::Short),
            (b"torch", b"CharStorage") => Global::Storage(StorageType::Char),
            (b"torch", b"ByteStorage") => Global::Storage(StorageType::Byte),
            (b"torch", b"BoolStorage") => Global::Storage(StorageType::Bool),
            _ => {
                let part =
                    |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).escape_debug().to_string();
                let global = format!("{}.{}", part(module), part(name));
                return Err(PickleError::Foreign { global, offset: self.opcode });
            }
        };
        self.push(Value::Global(global))
    }

    fn tuple(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(index) => match self.objects.get(index)? {
                Object::Tuple(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// `('storage', class, key, device, length)`; the device the weights were on does not matter.
    fn persistent_id(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        match self.tuple(id) {
            Some(
                &[Value::Str("storage"), Value::Global(Global::Storage(kind)), Value::Str(key), _, Value::Int(len)],
            ) if len >= 0 => self.push_object(Object::Storage(Storage { kind, key, len: len as usize })),
            _ => self.bad("refers to something other than a storage"),
        }
    }

    /// Calls a global with a tuple of arguments.
    fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let (Value::Global(global), Some(arguments)) = (callee, self.tuple(arguments)) else {
            return self.bad("calls something other than a known function");
        };
        match (global, arguments) {
            (Global::OrderedDict, []) => self.push_object(Object::Dict(vec![])),
            // data, requires_grad, backward_hooks
            (Global::RebuildParameter, &[data, _, _]) => self.push(data),
            // storage, offset, shape, strides, requires_grad, backward_hooks, and metadata since torch 2.1
            (
                Global::RebuildTensor,
                &[storage, offset, shape, strides, _, _] | &[storage, offset, shape, strides, _, _, _],
            ) => match self.tensor(storage, offset, shape, strides) {
                Some(tensor) => self.push_object(Object::Tensor(tensor)),
                None => self.bad("builds a tensor from something other than a storage, an offset, a shape and strides"),
            },
            _ => self.bad("calls a function with arguments it does not take"),
        }
    }

    fn tensor(
        &self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
    ) -> Option<Tensor<'a>> {
        let size = |value: &Value| match value {
            Value::Int(int) => usize::try_from(*int).ok(),
            _ => None,
        };
        let sizes = |value| self.tuple(value)?.iter().map(size).collect::<Option<Vec<_>>>();
        let Value::Object(index) = storage else { return None };
        let Object::Storage(storage) = self.objects.get(index)? else { return None };
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        (shape.len() == strides.len()).then_some(Tensor { storage: *storage, offset: size(&offset)?, shape, strides })
    }
}

#[cfg(test)]
mod tests;
