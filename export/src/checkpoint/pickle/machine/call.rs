//! Values of a pickle's calls: each global stands for a plain value, and nothing is ever called.

use super::super::globals::{Global, StorageType};
use super::super::{MAX_DIMS, Object, PickleError, Storage, Tensor, Value};
use super::{Machine, Pair};

const NO_TENSOR: &str = "builds a tensor from something other than a storage, an offset, a shape and strides";

impl<'a> Machine<'a, '_> {
    /// Calls a global with a tuple of arguments, that is makes the plain value that it stands for.
    pub(super) fn call(&mut self, callee: Value<'a>, arguments: Value<'a>) -> Result<(), PickleError> {
        let (Value::Global(mut global), Some(mut arguments)) = (callee, self.tuple(arguments)) else {
            return self.bad("calls something other than a known function");
        };
        // function, class, arguments, attributes
        if global == Global::RebuildFromType
            && let &[Value::Global(inner), Value::Global(Global::TensorClass), inner_arguments, _] = arguments
            && let Some(inner_arguments) = self.tuple(inner_arguments)
        {
            (global, arguments) = (inner, inner_arguments);
        }
        match (global, arguments) {
            // What a default dictionary makes of missing keys does not matter.
            (Global::Dict, &[] | &[Value::Global(_) | Value::None]) => self.push_object(Object::Dict(vec![])),
            (Global::Dict, &[items]) => self.dict_of(items),
            (Global::List, &[]) => self.push_object(Object::List(vec![])),
            // Copies nothing: a set of a list is that list.
            (Global::List, &[items @ Value::Object(_)] | &[items @ Value::Object(_), _]) => self.push(items),
            (Global::Namespace, &[]) => self.push_object(Object::Namespace(vec![])),
            (Global::Plain(what), _) => self.push_object(Object::Opaque(what)),
            // data, requires_grad, backward_hooks, and the parameter's own attributes
            (Global::RebuildParameter, &[data, _, _] | &[data, _, _, _]) => self.push(data),
            // storage, offset, shape, strides, requires_grad, backward_hooks, and metadata since torch 2.1
            (
                Global::RebuildTensor,
                &[storage, offset, shape, strides, _, _] | &[storage, offset, shape, strides, _, _, _],
            ) => self.tensor(storage, offset, shape, strides, None),
            (
                Global::RebuildTensorOfDtype,
                &[storage, offset, shape, strides, _, _, Value::Global(Global::Dtype(dtype)), ..],
            ) => self.tensor(storage, offset, shape, strides, Some(dtype)),
            _ => self.bad("calls a function with arguments it does not take"),
        }
    }

    /// A dictionary of a dictionary, or of pairs.
    fn dict_of(&mut self, items: Value<'a>) -> Result<(), PickleError> {
        let Value::Object(index) = items else {
            return self.bad("calls a function with arguments it does not take");
        };
        match self.objects.get(index) {
            Some(Object::Dict(_)) => self.push(items),
            Some(Object::List(pairs)) => {
                let count = pairs.len();
                let pair = |value: &Value<'a>| match value {
                    Value::Object(index) => match self.objects.get(*index)? {
                        Object::List(pair) | Object::Tuple(pair) => <[_; 2]>::try_from(pair.as_slice()).ok(),
                        _ => None,
                    },
                    _ => None,
                };
                let pairs: Option<Vec<Pair<'a>>> =
                    pairs.iter().map(|value| pair(value).map(|[key, value]| (key, value))).collect();
                match pairs {
                    Some(pairs) => {
                        self.keep(2 * count)?;
                        self.push_object(Object::Dict(pairs))
                    }
                    None => self.bad("calls a function with arguments it does not take"),
                }
            }
            _ => self.bad("calls a function with arguments it does not take"),
        }
    }

    /// A view of a storage; of an untyped one, whose length is in bytes, in this dtype.
    fn tensor(
        &mut self,
        storage: Value<'a>,
        offset: Value<'a>,
        shape: Value<'a>,
        strides: Value<'a>,
        dtype: Option<StorageType>,
    ) -> Result<(), PickleError> {
        let size = |value: &Value| match value {
            Value::Int(int) => usize::try_from(*int).ok(),
            _ => None,
        };
        let dims = |value| match value {
            Value::Object(index) => match self.objects.get(index)? {
                Object::Tuple(items) | Object::List(items) => Some(items.as_slice()),
                _ => None,
            },
            _ => None,
        };
        let sizes = |items: &[Value]| items.iter().map(size).collect::<Option<Vec<_>>>();
        let (Some(shape), Some(strides)) = (dims(shape), dims(strides)) else {
            return self.bad(NO_TENSOR);
        };
        if shape.len().max(strides.len()) > MAX_DIMS {
            return self.bad(format!("has a tensor of {} dimensions, more than torch's {MAX_DIMS}", shape.len()));
        }
        let storage = match storage {
            Value::Object(index) => self.objects.get(index),
            _ => None,
        };
        let (Some(Object::Storage(storage)), Some(offset), Some(shape), Some(strides)) =
            (storage, size(&offset), sizes(shape), sizes(strides))
        else {
            return self.bad(NO_TENSOR);
        };
        if shape.len() != strides.len() {
            return self.bad(NO_TENSOR);
        }
        let mut storage = *storage;
        if let Some(dtype) = dtype {
            if storage.kind != StorageType::Untyped || !storage.len.is_multiple_of(dtype.size()) {
                return self.bad("gives a dtype to a storage that has one");
            }
            storage = Storage { kind: dtype, len: storage.len / dtype.size(), ..storage };
        }
        self.keep(shape.len() + 2)?;
        self.push_object(Object::Tensor(Box::new(Tensor { storage, offset, shape, strides })))
    }
}
