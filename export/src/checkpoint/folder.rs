//! Folders and indexes: Hugging Face's `model.safetensors` and `config.json`, and shards that an index lists.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use trm_intake::{Budget, Printable, ReadError};

use super::contents::{Contents, Item};
use super::select::select;
use super::source::Source;
use super::{Read, ReadOptions, bad, exceeded, safetensors};
use crate::Result;

/// A hundred bytes for a tensor of the largest models there are.
const MAX_INDEX_BYTES: u64 = 4 << 20;
const MAX_SHARDS: usize = 1024;
const INDEX: &str = ".safetensors.index.json";

/// Names of weights that a folder may have, the preferred first.
const WEIGHTS: [&str; 4] = ["model.safetensors.index.json", "model.safetensors", "pytorch_model.bin", "model.npz"];

/// The files of a checkpoint.
#[derive(Debug)]
pub(super) struct Files {
    /// The file of weights, or the index of its shards.
    pub(super) weights: PathBuf,
    /// The index, where there is one.
    pub(super) index: Option<Index>,
    /// All files that hold weights, and the index.
    pub(super) all: Vec<PathBuf>,
}

/// The shards of a checkpoint, and the tensors that each holds.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    /// File names and the tensors that each holds, sorted.
    shards: BTreeMap<String, Vec<String>>,
}

/// True if a folder holds weights under a name that is known: a folder of Hugging Face's hub.
#[must_use]
pub fn is_checkpoint_folder(path: &Path) -> bool {
    WEIGHTS.iter().any(|name| path.join(name).is_file())
}

/// The files that a path stands for.
pub(super) fn resolve(path: &Path) -> Result<Files> {
    let mut weights = path.to_owned();
    if path.is_dir() {
        let Some(name) = WEIGHTS.iter().find(|name| path.join(name).is_file()) else {
            let reason = format!("a folder without weights: it has none of {}", super::ledger::list(&WEIGHTS));
            return Err(bad(path, reason, Some("give the file of the weights, such as step_1000 in it")));
        };
        weights = path.join(name);
    }
    let is_index = weights.file_name().is_some_and(|name| name.to_string_lossy().ends_with(INDEX));
    if !is_index {
        return Ok(Files { all: vec![weights.clone()], weights, index: None });
    }
    let index = read_index(&weights)?;
    let folder = weights.parent().unwrap_or(Path::new(""));
    let all = std::iter::once(weights.clone()).chain(index.shards.keys().map(|name| folder.join(name))).collect();
    Ok(Files { all, weights, index: Some(index) })
}

/// The part of an index that matters; the rest is sizes and who wrote it.
#[derive(Deserialize)]
struct IndexFile {
    weight_map: Pairs,
}

struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of names of tensors to names of files")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn read_index(path: &Path) -> Result<Index> {
    let limits = trm_intake::Limits { bytes: MAX_INDEX_BYTES, items: 0, depth: 0, time: None };
    let bytes = Budget::new(limits).read_file(path).map_err(|error| match error {
        ReadError::Io(source) => super::read::io_error(path, source),
        ReadError::Exceeded(over) => exceeded(path, "an index", over, "expected the index of a model's shards"),
    })?;
    let file: IndexFile = serde_json::from_slice(&bytes).map_err(|error| {
        let reason = format!("no index of shards: {}", Printable(&error.to_string()));
        bad(path, reason, Some("expected a `weight_map` of tensors to files"))
    })?;
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, file) in file.weight_map.0 {
        if !is_file_name(&file) {
            let reason = format!("names the file `{}`, which does not lie beside it", Printable(&file));
            return Err(bad(path, reason, Some("an index names files of its own folder")));
        }
        if shards.len() >= MAX_SHARDS && !shards.contains_key(&file) {
            let reason = format!("names more than {MAX_SHARDS} files, which no model has");
            return Err(bad(path, reason, Some("expected the index of a model's shards")));
        }
        shards.entry(file).or_default().push(tensor);
    }
    if shards.is_empty() {
        return Err(bad(path, "the index names no tensors", None));
    }
    for (file, tensors) in &mut shards {
        tensors.sort_unstable();
        if let Some(twice) = tensors.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| &pair[0]) {
            let reason = format!("names tensor `{}` of {} twice", Printable(twice), Printable(file));
            return Err(bad(path, reason, Some("copy or download the index again")));
        }
    }
    Ok(Index { path: path.to_owned(), shards })
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
}

/// Reads all shards, which must hold what the index says and nothing else.
pub(super) fn read_shards(index: &Index, files: &Files, options: &ReadOptions, budget: &mut Budget) -> Result<Read> {
    let folder = files.weights.parent().unwrap_or(Path::new(""));
    let paths: Vec<PathBuf> = index.shards.keys().map(|name| folder.join(name)).collect();
    let mut shards = Vec::new();
    let mut items: Vec<Item> = Vec::new();
    for (path, listed) in paths.iter().zip(index.shards.values()) {
        let shard = safetensors::Shard::open(Source::file(path), budget)?;
        let mut found: Vec<&str> = shard.items().iter().map(|item| item.name.as_str()).collect();
        found.sort_unstable();
        let missing = listed.iter().find(|name| found.binary_search(&name.as_str()).is_err());
        let more = found.iter().find(|name| listed.binary_search_by(|other| other.as_str().cmp(name)).is_err());
        if let Some(tensor) = missing {
            let reason = format!("has no tensor `{}`, which {} says it has", Printable(tensor), index.path.display());
            return Err(bad(path, reason, Some("copy or download all files again")));
        }
        if let Some(tensor) = more {
            let reason = format!("has a tensor `{}` that {} does not list", Printable(tensor), index.path.display());
            return Err(bad(path, reason, Some("copy or download all files again")));
        }
        items.extend(shard.items().iter().cloned());
        shards.push(shard);
    }
    let contents = Contents::flat(items);
    let selection = select(&contents, options, &index.path)?;
    let mut tensors = Vec::with_capacity(selection.tensors.len());
    for (name, id) in &selection.tensors {
        let (mut shard, mut at) = (0, *id);
        while at >= shards[shard].items().len() {
            at -= shards[shard].items().len();
            shard += 1;
        }
        tensors.push((name.clone(), shards[shard].load(at, budget)?));
    }
    Ok(Read { tensors, ledger: selection.ledger, settings: None })
}
