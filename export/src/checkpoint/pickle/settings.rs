//! Settings that a checkpoint carries, as JSON.

use serde_json::{Map, Value as Json};
use trm_intake::{Budget, Exceeded};

use super::{Global, Object, Pickle, Value};

impl Pickle<'_> {
    /// A dictionary with string keys as JSON; `None` for anything else. What is no plain data becomes its description. A
    /// pickle can share a list a billion times over: every value written draws on the budget.
    pub(in crate::checkpoint) fn settings(
        &self,
        value: Value<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Map<String, Json>>, Exceeded> {
        match self.json(value, budget)? {
            Json::Object(fields) => Ok(Some(fields)),
            _ => Ok(None),
        }
    }

    fn json(&self, value: Value<'_>, budget: &mut Budget) -> Result<Json, Exceeded> {
        budget.take_items(1)?;
        budget.take_bytes(64)?;
        let object = match value {
            Value::None => return Ok(Json::Null),
            Value::Bool(flag) => return Ok(Json::Bool(flag)),
            Value::Int(int) => return Ok(int.into()),
            Value::Float(float) => {
                // JSON has no infinity.
                return Ok(serde_json::Number::from_f64(float).map_or_else(|| float.to_string().into(), Json::Number));
            }
            Value::Str(text) => {
                budget.take_bytes(text.len() as u64)?;
                return Ok(text.into());
            }
            Value::Global(Global::Dtype(dtype)) => return Ok(dtype.dtype_name().into()),
            Value::BigInt | Value::Bytes | Value::Global(_) => return Ok(Json::from(self.described(value))),
            Value::Object(index) => self.objects.get(index),
        };
        budget.enter()?;
        let json = match object {
            Some(Object::Tuple(items) | Object::List(items)) => {
                Json::Array(items.iter().map(|item| self.json(*item, budget)).collect::<Result<_, _>>()?)
            }
            Some(Object::Dict(items) | Object::Namespace(items)) => {
                let mut fields = Map::new();
                for (key, value) in items {
                    let key = match key {
                        Value::Str(key) => (*key).to_owned(),
                        Value::Int(key) => key.to_string(),
                        key => self.described(*key),
                    };
                    budget.take_bytes(key.len() as u64)?;
                    fields.insert(key, self.json(*value, budget)?);
                }
                Json::Object(fields)
            }
            _ => Json::from(self.described(value)),
        };
        budget.leave();
        Ok(json)
    }

    fn described(&self, value: Value<'_>) -> String {
        let what = match value {
            Value::BigInt => "a number of more than 64 bits",
            Value::Bytes => "bytes",
            Value::Object(index) => match self.objects.get(index) {
                Some(Object::Tensor(_)) => "a tensor",
                Some(Object::Opaque(what)) => what,
                _ => "an object",
            },
            _ => "a class or function",
        };
        format!("<{what}>")
    }
}
