//! The contents of a file before any weight is read: its tensors, the sets of weights that they form, and every other key.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value as Json};
use trm_intake::{Budget, Printable};

use super::keys::{self, Fate};
use super::pickle::{Pickle, Tensor, Value};
use super::{WeightDtype, bad, exceeded, names, torch};
use crate::Result;

/// Sets of weights lie no deeper than `callbacks.EMACallback.shadow`.
const MAX_DEPTH: usize = 6;
/// A module's path has some fifty characters.
const MAX_NAME_BYTES: usize = 1024;
/// The name of the set that lies at the top of a file.
pub(super) const TOP: &str = ".";

const WEIGHTS_ALONE: &str = "save the weights alone: torch.save(model.state_dict(), path)";

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) items: Vec<Item>,
    pub(super) sets: Vec<Set>,
    /// Keys that hold no weights, and what becomes of them.
    pub(super) keys: Vec<(String, Fate)>,
    /// Settings of the run that wrote the file, and the key they lie under.
    pub(super) settings: Option<(String, Map<String, Json>)>,
    /// True if `state_dict` is a moving average, as Lightning's `WeightAveraging` writes it.
    pub(super) averages: bool,
}

/// A tensor that can be loaded. Its index among [`Contents::items`] is its number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Its name, as the file has it.
    pub(super) name: String,
    /// Its dtype, or the name of one that weights do not have.
    pub(super) dtype: Result<WeightDtype, String>,
    pub(super) shape: Vec<usize>,
    /// The place of its elements, in files where several tensors can share them.
    pub(super) place: Option<(String, usize)>,
}

/// A set of weights.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// The keys that lead to it.
    pub(super) name: String,
    pub(super) items: Vec<usize>,
    /// The number of its tensors, if they have no names: those of a list. They are not among the items.
    pub(super) unnamed: usize,
    /// The first entry that is no tensor, and its kind.
    pub(super) strange: Option<(String, &'static str)>,
}

impl Contents {
    /// A file of nothing but named tensors.
    pub(super) fn flat(items: Vec<Item>) -> Self {
        let set = Set { name: TOP.into(), items: (0..items.len()).collect(), ..Set::default() };
        Self { items, sets: vec![set], ..Self::default() }
    }
}

/// A pickle's values, and its tensors by their numbers.
pub(super) fn of_pickle<'p, 'a>(
    pickle: &'p Pickle<'a>,
    path: &Path,
    budget: &mut Budget,
) -> Result<(Contents, Vec<&'p Tensor<'a>>)> {
    let root = pickle.root().ok_or_else(|| bad(path, "the pickle is not a dictionary of tensors", None))?;
    let mut walk = Walk {
        pickle,
        path,
        budget,
        contents: Contents::default(),
        tensors: Vec::new(),
        visited: HashSet::new(),
        found: HashMap::new(),
    };
    let mut top = Vec::new();
    let mut seen = HashSet::new();
    for (key, value) in root {
        let Value::Str(key) = *key else {
            return Err(bad(path, format!("a name is {}, expected a string", pickle.describe(*key)), None));
        };
        if !seen.insert(key) {
            return Err(bad(path, format!("key `{}` is there twice", Printable(key)), Some(WEIGHTS_ALONE)));
        }
        walk.contents.averages |= key == "averaging_state";
        if pickle.tensor(*value).is_some() {
            top.push((key, *value));
            continue;
        }
        let before = walk.contents.sets.len();
        let fate = keys::fate(key);
        if fate != Fate::Optimizer {
            walk.descend(*value, key, 1, keys::holds_weights(key))?;
        }
        if walk.contents.sets.len() == before {
            let empty = matches!(value, Value::None) || walk.children(*value) == Some(0);
            let fate = if empty && fate == Fate::Unknown { Fate::Harmless } else { fate };
            let mut shown = Printable(key).to_string();
            if fate == Fate::Unknown {
                shown = format!("{shown} ({})", pickle.describe(*value));
            }
            walk.key(shown, fate)?;
        }
    }
    walk.top(&top)?;
    walk.settings(root)?;
    let Walk { contents, tensors, .. } = walk;
    if contents.sets.is_empty() {
        let keys: Vec<&str> = contents.keys.iter().map(|(key, _)| key.as_str()).collect();
        let reason = match keys.as_slice() {
            [] => "there are no tensors in this checkpoint".to_owned(),
            keys => format!("there are no tensors of weights in this checkpoint; it has {}", super::ledger::list(keys)),
        };
        return Err(bad(path, reason, (!keys.is_empty()).then_some(WEIGHTS_ALONE)));
    }
    Ok((contents, tensors))
}

struct Walk<'p, 'a, 'b> {
    pickle: &'p Pickle<'a>,
    path: &'b Path,
    budget: &'b mut Budget,
    contents: Contents,
    tensors: Vec<&'p Tensor<'a>>,
    visited: HashSet<usize>,
    /// The sets that dictionaries turned out to be.
    found: HashMap<usize, usize>,
}

impl<'a> Walk<'_, 'a, '_> {
    /// Tensors at the top: a state dict, unless whole ones lie below and these are figures of training.
    fn top(&mut self, top: &[(&'a str, Value<'a>)]) -> Result<()> {
        let weights = top.iter().any(|(name, _)| names::parse(name).canonical.is_some());
        if weights || (self.contents.sets.is_empty() && !top.is_empty()) {
            let mut set = Set { name: TOP.into(), ..Set::default() };
            for (name, value) in top {
                self.add(&mut set, name, *value)?;
            }
            self.contents.sets.insert(0, set);
            return Ok(());
        }
        for (name, _) in top {
            let shown = Printable(name).to_string();
            match keys::fate(name) {
                Fate::Unknown => self.key(format!("{shown} (a tensor)"), Fate::Unknown)?,
                fate => self.key(shown, fate)?,
            }
        }
        Ok(())
    }

    /// Keeps a key, which the ledger repeats.
    fn key(&mut self, shown: String, fate: Fate) -> Result<()> {
        let bytes = 64 + 4 * shown.len() as u64;
        self.budget.take_bytes(bytes).map_err(|over| exceeded(self.path, "the list of keys", over, WEIGHTS_ALONE))?;
        self.contents.keys.push((shown, fate));
        Ok(())
    }

    fn children(&self, value: Value<'a>) -> Option<usize> {
        self.pickle.dict(value).map(<[_]>::len).or_else(|| self.pickle.items(value).map(<[_]>::len))
    }

    fn add(&mut self, set: &mut Set, name: &str, value: Value<'a>) -> Result<()> {
        let Some(tensor) = self.pickle.tensor(value) else { return Ok(()) };
        if name.len() > MAX_NAME_BYTES {
            let reason = format!("a tensor's name has {} bytes, more than {MAX_NAME_BYTES}", name.len());
            return Err(bad(self.path, reason, None));
        }
        let bytes = 256 + 2 * name.len() as u64;
        self.budget
            .take_bytes(bytes)
            .map_err(|over| exceeded(self.path, "the list of tensors", over, WEIGHTS_ALONE))?;
        set.items.push(self.contents.items.len());
        self.contents.items.push(Item {
            name: name.to_owned(),
            dtype: torch::weight_dtype(tensor.storage.kind).map_err(|_| tensor.storage.kind.dtype_name().to_owned()),
            shape: tensor.shape.clone(),
            place: Some((Printable(tensor.storage.key).to_string(), tensor.offset)),
        });
        self.tensors.push(tensor);
        Ok(())
    }

    /// Finds the sets of weights in a value. `expected` says that its key is one for weights, whose tensors may have any
    /// names.
    fn descend(&mut self, value: Value<'a>, name: &str, depth: usize, expected: bool) -> Result<()> {
        let Value::Object(index) = value else { return Ok(()) };
        if depth > MAX_DEPTH || name.len() > MAX_NAME_BYTES {
            return Ok(());
        }
        if !self.visited.insert(index) {
            return self.again(index, name);
        }
        let pickle = self.pickle;
        if let Some(items) = pickle.dict(value) {
            return self.descend_dict(index, items, name, depth, expected);
        }
        if let Some(items) = pickle.items(value) {
            let unnamed = items.iter().filter(|item| pickle.tensor(**item).is_some()).count();
            if unnamed > 1 && (expected || keys::is_average(name)) {
                self.contents.sets.push(Set { name: name.to_owned(), unnamed, ..Set::default() });
            }
            for (at, item) in items.iter().enumerate().filter(|(_, item)| pickle.dict(**item).is_some()).take(64) {
                self.descend(*item, &format!("{name}.{at}"), depth + 1, expected)?;
            }
        }
        Ok(())
    }

    /// A dictionary that is there once more under another key: the same set, if it is one.
    fn again(&mut self, index: usize, name: &str) -> Result<()> {
        let Some(set) = self.found.get(&index).and_then(|set| self.contents.sets.get(*set)) else { return Ok(()) };
        let bytes = 256 + 8 * set.items.len() as u64;
        self.budget
            .take_bytes(bytes)
            .map_err(|over| exceeded(self.path, "the list of tensors", over, WEIGHTS_ALONE))?;
        let again = Set { name: name.to_owned(), ..set.clone() };
        self.contents.sets.push(again);
        Ok(())
    }

    fn descend_dict(
        &mut self,
        index: usize,
        items: &[(Value<'a>, Value<'a>)],
        name: &str,
        depth: usize,
        expected: bool,
    ) -> Result<()> {
        let pickle = self.pickle;
        let named = |(key, value): &(Value<'a>, Value<'a>)| match key {
            Value::Str(key) => Some((*key, *value)),
            _ => None,
        };
        let is_tensor = |value: Value<'a>| pickle.tensor(value).is_some();
        // A file can give one long key a million times over, in two bytes each; every one is looked at.
        let length: u64 = items.iter().filter_map(named).map(|(key, _)| key.len() as u64).sum();
        self.budget.take_bytes(length).map_err(|over| exceeded(self.path, "the list of keys", over, WEIGHTS_ALONE))?;
        let direct = items.iter().filter_map(named).filter(|(_, value)| is_tensor(*value));
        let (mut any, mut weights) = (false, false);
        for (key, _) in direct {
            any = true;
            weights |= names::parse(key).canonical.is_some();
        }
        let before = self.contents.sets.len();
        for (key, value) in items.iter().filter_map(named).filter(|(_, value)| !is_tensor(*value)) {
            if keys::fate(key) != Fate::Optimizer && self.children(value).is_some() {
                let expected = expected || keys::is_average(key);
                self.descend(value, &format!("{name}.{key}"), depth + 1, expected)?;
            }
        }
        if weights || (any && expected && self.contents.sets.len() == before) {
            let mut set = Set { name: name.to_owned(), ..Set::default() };
            for (key, value) in items {
                match key {
                    Value::Str(key) if is_tensor(*value) => self.add(&mut set, key, *value)?,
                    Value::Str(key)
                        if set.strange.is_none()
                            && keys::fate(key) == Fate::Unknown
                            && self.children(*value) != Some(0) =>
                    {
                        set.strange = Some((Printable(key).to_string(), pickle.describe(*value)));
                    }
                    _ => {}
                }
            }
            self.found.insert(index, self.contents.sets.len());
            self.contents.sets.push(set);
        }
        Ok(())
    }

    /// The settings that the file carries, if it has any of a model.
    fn settings(&mut self, root: &[(Value<'a>, Value<'a>)]) -> Result<()> {
        for wanted in keys::SETTINGS {
            let found = root.iter().find(|(key, _)| matches!(key, Value::Str(key) if *key == wanted));
            let Some((_, value)) = found else { continue };
            let fields = self.pickle.settings(*value, self.budget);
            let fields =
                fields.map_err(|over| exceeded(self.path, &format!("reading `{wanted}`"), over, WEIGHTS_ALONE))?;
            if let Some(fields) = fields.filter(keys::describes_a_model) {
                self.contents.settings = Some((wanted.to_owned(), fields));
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use trm_intake::Limits;

    use super::*;

    #[test]
    fn a_long_key_that_is_there_over_and_over_is_not_looked_at_each_time() {
        let long = vec![b'k'; 1 << 16];
        // model: {k: [], k: [], …}, the key memoised.
        let program = |times: usize| {
            let head: &[u8] = b"\x80\x02}X\x05\x00\x00\x00model}(X\x00\x00\x01\x00";
            [head, &long, b"q\x00]", &b"h\x00]".repeat(times), b"us."].concat()
        };
        let read = |times: usize| {
            let mut budget = Budget::new(Limits { bytes: 8 << 20, items: 1 << 16, depth: 8, time: None });
            let program = program(times);
            let pickle = Pickle::parse(&program, &mut budget).expect("a dictionary");
            of_pickle(&pickle, Path::new("step_1"), &mut budget).map(drop).expect_err("no weights").to_string()
        };
        assert!(read(1).contains("there are no tensors of weights in this checkpoint"), "{}", read(1));
        assert!(
            read(1000).contains("the list of keys takes more than a checkpoint of this size may"),
            "{}",
            read(1000)
        );
    }
}
