//! The stack machine that runs a pickle.

mod call;

use std::collections::HashMap;

use trm_intake::{Budget, Exceeded};

use super::globals::{self, Global};
use super::{Object, PickleError, Storage, Value};

/// Values that may lie on the stack at a time; Python itself stacks no more than a thousand items of a list.
const MAX_STACK: usize = 1 << 18;
const MAX_MARKS: usize = 1 << 16;
/// Bytes of a value in a list or a dictionary, a vector's room to grow included.
const VALUE_BYTES: u64 = 2 * size_of::<Value<'_>>() as u64;
const OBJECT_BYTES: u64 = 2 * size_of::<Object<'_>>() as u64;
/// Bytes of an entry of the memo, the room of a hash table included.
const MEMO_BYTES: u64 = 2 * (size_of::<(u32, Value<'_>)>() as u64 + 1);

type Pair<'a> = (Value<'a>, Value<'a>);

/// The value that `STOP` leaves, all objects, and the program's length.
pub(super) fn run<'a>(
    bytes: &'a [u8],
    budget: &mut Budget,
) -> Result<(Value<'a>, Vec<Object<'a>>, usize), PickleError> {
    let mut machine = Machine {
        bytes,
        next: 0,
        opcode: 0,
        stack: vec![],
        marks: vec![],
        memo: HashMap::new(),
        objects: vec![],
        budget,
    };
    let root = machine.run()?;
    Ok((root, machine.objects, machine.next))
}

struct Machine<'a, 'b> {
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
    budget: &'b mut Budget,
}

impl<'a> Machine<'a, '_> {
    fn bad<T>(&self, reason: impl Into<String>) -> Result<T, PickleError> {
        Err(PickleError::Bad { reason: reason.into(), offset: self.opcode })
    }

    /// An exhausted budget as this machine's error.
    fn within<T>(&self, taken: Result<T, Exceeded>) -> Result<T, PickleError> {
        taken.or_else(|exceeded| self.bad(format!("asks for more than a checkpoint of this size can hold: {exceeded}")))
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
                    if !(2..=5).contains(&protocol) {
                        return self.bad(format!("is of pickle protocol {protocol}, expected 2 to 5"));
                    }
                }
                // A frame's length only helps who reads from a stream.
                0x95 => {
                    self.take(8)?;
                }
                b'(' => self.mark()?,
                b'0' => {
                    self.pop()?;
                }
                b'1' => {
                    self.pop_to_mark()?;
                }
                b'2' => {
                    let value = self.pop()?;
                    self.push(value)?;
                    self.push(value)?;
                }
                b'q' | b'r' | 0x94 => self.memoize(opcode)?,
                b'h' | b'j' => self.recall(opcode)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Str(name), Value::Str(module)) => self.global(module.as_bytes(), name.as_bytes())?,
                    _ => return self.bad("refers to a global whose name is no string"),
                },
                b'Q' => self.persistent_id()?,
                b'R' | 0x81 => {
                    let (arguments, callee) = (self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                0x92 => {
                    let (_, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                b'b' => self.build()?,
                _ => match self.scalar(opcode)? {
                    Some(value) => self.push(value)?,
                    None => self.container(opcode)?,
                },
            }
        }
    }

    /// The value that an opcode pushes; `None` for the opcodes of containers.
    fn scalar(&mut self, opcode: u8) -> Result<Option<Value<'a>>, PickleError> {
        Ok(Some(match opcode {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(u8::from_le_bytes(self.take_array()?).into()),
            b'M' => Value::Int(u16::from_le_bytes(self.take_array()?).into()),
            b'J' => Value::Int(i32::from_le_bytes(self.take_array()?).into()),
            b'G' => Value::Float(f64::from_be_bytes(self.take_array()?)),
            0x8a | 0x8b => {
                let length = self.length(if opcode == 0x8a { 1 } else { 4 })?;
                integer(self.take(length)?)
            }
            0x8c | b'X' | 0x8d => {
                let length = self.length(match opcode {
                    0x8c => 1,
                    b'X' => 4,
                    _ => 8,
                })?;
                match std::str::from_utf8(self.take(length)?) {
                    Ok(text) => Value::Str(text),
                    Err(_) => return self.bad("has a string that is not UTF-8"),
                }
            }
            // Python 2's strings, which are bytes or text.
            b'U' | b'T' => {
                let length = self.length(if opcode == b'U' { 1 } else { 4 })?;
                std::str::from_utf8(self.take(length)?).map_or(Value::Bytes, Value::Str)
            }
            b'C' | b'B' | 0x8e | 0x96 => {
                let length = self.length(match opcode {
                    b'C' => 1,
                    b'B' => 4,
                    _ => 8,
                })?;
                self.take(length)?;
                Value::Bytes
            }
            _ => return Ok(None),
        }))
    }

    fn container(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            b')' => self.push_object(Object::Tuple(vec![])),
            b']' | 0x8f => self.push_object(Object::List(vec![])),
            b'}' => self.push_object(Object::Dict(vec![])),
            b't' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.keep(items.len())?;
                self.push_object(if opcode == b't' { Object::Tuple(items) } else { Object::List(items) })
            }
            0x85..=0x87 => {
                let mut items = (0x85..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.keep(items.len())?;
                self.push_object(Object::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.keep(1)?;
                self.top_list()?.push(item);
                Ok(())
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.keep(items.len())?;
                self.top_list()?.extend(items);
                Ok(())
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.keep(2)?;
                self.top_dict()?.push((key, value));
                Ok(())
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    return self.bad("has a key without value");
                }
                self.keep(items.len())?;
                self.top_dict()?.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => self.bad(format!("has opcode {opcode:#04x}, which no state dict needs")),
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

    /// A length of so many bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, PickleError> {
        let mut length = [0; 8];
        length[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(length)).or_else(|_| self.bad("ends in the middle"))
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
        if self.stack.len() >= MAX_STACK {
            return self.bad("stacks more values than a state dict can have");
        }
        self.stack.push(value);
        Ok(())
    }

    fn mark(&mut self) -> Result<(), PickleError> {
        if self.marks.len() >= MAX_MARKS {
            return self.bad("has more marks than a state dict can have");
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Draws on the budget for values that an object will hold.
    fn keep(&mut self, values: usize) -> Result<(), PickleError> {
        let taken = self.budget.take_bytes((values as u64).saturating_mul(VALUE_BYTES));
        self.within(taken)
    }

    fn push_object(&mut self, object: Object<'a>) -> Result<(), PickleError> {
        let taken = self.budget.take_items(1).and_then(|()| self.budget.take_bytes(OBJECT_BYTES));
        self.within(taken)?;
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

    fn top_dict(&mut self) -> Result<&mut Vec<Pair<'a>>, PickleError> {
        let offset = self.opcode;
        match self.top_object() {
            Some(Object::Dict(items) | Object::Namespace(items)) => Ok(items),
            _ => Err(PickleError::Bad { reason: "sets items of something other than a dictionary".into(), offset }),
        }
    }

    /// `BUILD`: attributes of a namespace; those of anything else have no meaning here, such as the versions of its
    /// modules that a state dict carries.
    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        match self.top_object() {
            Some(Object::Namespace(_)) => {
                let attributes = match state {
                    Value::Object(index) => self.objects.get(index),
                    _ => None,
                };
                let Some(Object::Dict(attributes)) = attributes else {
                    return self.bad("gives a namespace something other than attributes");
                };
                let attributes = attributes.clone();
                self.keep(2 * attributes.len())?;
                self.top_dict()?.extend(attributes);
                Ok(())
            }
            Some(Object::Opaque(_)) => Ok(()),
            _ => self.top_dict().map(drop),
        }
    }

    fn memoize(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = match opcode {
            b'q' => u8::from_le_bytes(self.take_array()?).into(),
            b'r' => u32::from_le_bytes(self.take_array()?),
            _ => u32::try_from(self.memo.len()).unwrap_or(u32::MAX),
        };
        let Some(value) = self.stack.last().copied() else {
            return self.bad("takes a value from an empty stack");
        };
        let taken = self.budget.take_items(1).and_then(|()| self.budget.take_bytes(MEMO_BYTES));
        self.within(taken)?;
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), PickleError> {
        let index = if opcode == b'h' {
            u8::from_le_bytes(self.take_array()?).into()
        } else {
            u32::from_le_bytes(self.take_array()?)
        };
        match self.memo.get(&index) {
            Some(value) => self.push(*value),
            None => self.bad(format!("recalls object {index}, which it never stored")),
        }
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), PickleError> {
        if let Some(global) = globals::find(module, name) {
            return self.push(Value::Global(global));
        }
        let part = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).escape_debug().to_string();
        let global = format!("{}.{}", part(module), part(name));
        Err(PickleError::Foreign { global, offset: self.opcode })
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

    /// `('storage', class, key, device, length)`, and in the format before torch 1.6 a view, which is `None`; the device
    /// the weights were on does not matter.
    fn persistent_id(&mut self) -> Result<(), PickleError> {
        let id = self.pop()?;
        match self.tuple(id) {
            Some(
                &[Value::Str("storage"), Value::Global(Global::Storage(kind)), Value::Str(key), _, Value::Int(len)]
                | &[
                    Value::Str("storage"),
                    Value::Global(Global::Storage(kind)),
                    Value::Str(key),
                    _,
                    Value::Int(len),
                    Value::None,
                ],
            ) if len >= 0 => self.push_object(Object::Storage(Storage { kind, key, len: len as usize })),
            _ => self.bad("refers to something other than a storage"),
        }
    }
}

/// An integer in two's complement, little-endian, of any length.
fn integer<'a>(digits: &[u8]) -> Value<'a> {
    let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
    let filler = if negative { 0xff } else { 0 };
    let mut bytes = [filler; 8];
    let (low, high) = digits.split_at(digits.len().min(8));
    bytes[..low.len()].copy_from_slice(low);
    let int = i64::from_le_bytes(bytes);
    // The digits above must repeat the sign.
    if high.iter().all(|digit| *digit == filler) && (int < 0) == negative { Value::Int(int) } else { Value::BigInt }
}
