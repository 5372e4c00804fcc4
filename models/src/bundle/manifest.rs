//! `manifest.json`: the contents of a bundle, and the facts known of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trm_intake::{Budget, Limits, Printable};

use crate::{Architecture, ConfigRecord, GraphKind, ModelError, Precision, Result, TrmConfig, strict_json};

/// Version of the bundle format that this crate writes, and the highest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// More files than any bundle has.
const MOST_FILES: u64 = 1_000;

/// The contents of `manifest.json`.
///
/// A key that this version does not know is passed over: a later version adds keys that older ones can do without and keeps
/// [`FORMAT_VERSION`]. A key that must not be passed over comes with a higher one, which older versions refuse. The same key
/// twice is an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format_version: u32,
    /// Name, e.g. `maze-9`.
    pub name: String,
    /// The task that the model solves.
    pub task: TaskSpec,
    /// The model's configuration.
    pub config: TrmConfig,
    /// The types of weights and activations.
    pub precision: Precision,
    /// The engines that the step graph is written for.
    #[serde(default, skip_serializing_if = "GraphTarget::is_portable")]
    pub target: GraphTarget,
    /// The graphs.
    pub graphs: BTreeMap<GraphKind, GraphFile>,
    /// The other files, by name.
    pub files: BTreeMap<String, FileHash>,
    /// A description of the training data, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_data: Option<String>,
    /// Measured figures, each with the command that measures it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accuracy: Vec<Measured>,
    /// Licence of the weights (SPDX expression where there is one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The checkpoint that the bundle was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointOrigin>,
    /// Where each setting of the configuration came from; `None` for a model that was trained here, and in bundles of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigRecord>,
    /// The puzzle identities and their names, for a model with a table of puzzle embeddings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identities: Option<Identities>,
    /// Program and version that wrote the bundle.
    pub producer: String,
}

/// The engines that a step graph is written for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphTarget {
    /// Every engine: the recursion is unrolled.
    #[default]
    Portable,
    /// ONNX Runtime on the CPU: the recursion is a `Loop`, so that weights are prepared for one pass and not for each, and
    /// norms and attention are the runtime's fused operators.
    OrtCpu,
    /// tract: the recursion is a `Scan`.
    Tract,
}

impl GraphTarget {
    /// The name on the command line and in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::OrtCpu => "ort-cpu",
            Self::Tract => "tract",
        }
    }

    /// True for a graph that every engine runs.
    #[must_use]
    pub fn is_portable(&self) -> bool {
        *self == Self::Portable
    }
}

/// A task, with the tokens of its cells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The task.
    pub kind: TaskKind,
    /// Rows of the grid.
    pub height: usize,
    /// Columns of the grid.
    pub width: usize,
    /// Rows of a sudoku's box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_height: Option<usize>,
    /// Columns of a sudoku's box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub box_width: Option<usize>,
    /// The symbol of each token, token 0 (padding) first.
    pub vocabulary: Vec<String>,
}

/// The tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Sudoku of any box size.
    Sudoku,
    /// Shortest path through a maze.
    Maze,
    /// ARC-AGI grids on a 30x30 canvas.
    Arc,
    /// Sequences of tokens without rules.
    Tokens,
}

impl TaskKind {
    /// The name on the command line and in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sudoku => "sudoku",
            Self::Maze => "maze",
            Self::Arc => "arc",
            Self::Tokens => "tokens",
        }
    }
}

/// SHA-256 and size of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// One graph of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphFile {
    /// File name.
    pub file: String,
    /// SHA-256 and size.
    #[serde(flatten)]
    pub hash: FileHash,
    /// ONNX opset.
    pub opset: i64,
    /// Steps of an unrolled graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The name of the figure, e.g. `exact at 16 steps, easy`.
    pub what: String,
    /// The share, 0 to 1.
    pub value: f64,
    /// Its 95 % confidence interval, where it was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// Number of puzzles.
    pub n: usize,
    /// The command that prints the figure.
    pub command: String,
}

/// Where a bundle's weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointOrigin {
    /// File name of the checkpoint.
    pub file: String,
    /// SHA-256 of the checkpoint, lower-case hexadecimal.
    pub sha256: String,
    /// Decisions of the reading, a sentence each: which set of weights, what was left out. Empty for a file that
    /// left no choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reading: Vec<String>,
}

/// The puzzle identities of a model: rows of its table of puzzle embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// Rows of the table.
    pub rows: usize,
    /// The file with a name for each row, in their order; `None` where the rows have no names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// True if a file of names lay beside the checkpoint and was left out on request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub names_ignored: bool,
}

impl Manifest {
    /// Parses and checks a manifest. `bundle` is for messages.
    ///
    /// # Errors
    /// [`ModelError::FormatVersion`] for a version from the future, [`ModelError::BadManifest`] for anything that is
    /// not a manifest or contradicts itself, [`ModelError::InvalidConfig`] for an impossible configuration.
    pub fn parse(bytes: &[u8], bundle: &str) -> Result<Self> {
        let bad = |reason: String| ModelError::BadManifest { bundle: bundle.into(), reason };
        // The parser repeats what it found, which may be any text.
        let syntax = |error: serde_json::Error| bad(Printable(&error.to_string()).to_string());
        let text = std::str::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
        let value = strict_json::parse(text).map_err(syntax)?;
        let version = value.get("format_version").and_then(Value::as_u64);
        let found = version.ok_or_else(|| bad("no format_version".into()))?;
        if found > u64::from(FORMAT_VERSION) {
            return Err(ModelError::FormatVersion { bundle: bundle.into(), found, supported: FORMAT_VERSION });
        }
        if let Some(text) = unprintable(&value) {
            return Err(bad(format!("`{}` has a control character", Printable(text))));
        }
        let manifest: Self = serde_json::from_value(value).map_err(syntax)?;
        manifest.config.validate()?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    /// The hash of a file of the bundle, graph or other.
    #[must_use]
    pub fn hash(&self, file: &str) -> Option<&FileHash> {
        let graph = self.graphs.values().find(|graph| graph.file == file).map(|graph| &graph.hash);
        graph.or_else(|| self.files.get(file))
    }

    /// Names of all files but the manifest.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.graphs.values().map(|graph| graph.file.as_str()).chain(self.files.keys().map(String::as_str))
    }

    fn check(&self) -> Result<(), String> {
        if let Some(name) = self.file_names().find(|name| !is_plain_name(name)) {
            return Err(format!("`{}` is not a plain file name", Printable(name)));
        }
        self.check_sizes()?;
        if self.graphs.is_empty() {
            return Err("no graph".into());
        }
        let is_digest =
            |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let hashes = self.graphs.values().map(|graph| &graph.hash).chain(self.files.values());
        if let Some(hash) = hashes.into_iter().find(|hash| !is_digest(&hash.sha256)) {
            return Err(format!("`{}` is not a SHA-256 in lower-case hexadecimal", Printable(&hash.sha256)));
        }
        let TaskSpec { height, width, vocabulary, .. } = &self.task;
        if height.checked_mul(*width) != Some(self.config.seq_len) {
            return Err(format!("a grid of {height}x{width} does not have seq_len {} cells", self.config.seq_len));
        }
        if vocabulary.len() != self.config.vocab_size {
            return Err(format!("{} symbols for vocab_size {}", vocabulary.len(), self.config.vocab_size));
        }
        if self.task.kind == TaskKind::Sudoku {
            let (Some(rows), Some(columns)) = (self.task.box_height, self.task.box_width) else {
                return Err("a sudoku without box_height and box_width".into());
            };
            if rows.checked_mul(columns) != Some(*height) || height != width {
                return Err(format!("boxes of {rows}x{columns} in a grid of {height}x{width}"));
            }
        }
        Ok(())
    }
}

impl Manifest {
    /// Refuses sizes that no model of this configuration has: files are read into memory as large as the manifest says.
    fn check_sizes(&self) -> Result<(), String> {
        let most = self.most_bytes();
        let mut budget = Budget::new(Limits { bytes: most.saturating_mul(4), items: MOST_FILES, depth: 0, time: None });
        let graphs = self.graphs.values().map(|graph| (&graph.file, &graph.hash));
        for (name, hash) in graphs.chain(&self.files) {
            if hash.bytes > most {
                let most = format!("a file of a model of this configuration has at most {most}");
                return Err(format!("{name} has {} bytes, {most}", hash.bytes));
            }
            let taken = budget.take_items(1).and_then(|()| budget.take_bytes(hash.bytes));
            taken.map_err(|exceeded| format!("its files are too many or too large: {exceeded}"))?;
        }
        Ok(())
    }

    /// Twice the weights in float32, which bounds a graph with its tables; and room for pictures, identities, self-tests.
    fn most_bytes(&self) -> u64 {
        const REST: u64 = 128 << 20;
        let TrmConfig { hidden_size, vocab_size, num_puzzle_identifiers, puzzle_emb_ndim, .. } = self.config;
        let product = |a: usize, b: usize| (a as u64).saturating_mul(b as u64);
        let length = self.config.total_len();
        let swiglu = |width: usize| product(width, self.config.swiglu_inner(width)).saturating_mul(3);
        let tables = product(num_puzzle_identifiers, puzzle_emb_ndim)
            .saturating_add(product(vocab_size.saturating_add(length), hidden_size).saturating_mul(2));
        let mixing = product(hidden_size, hidden_size).saturating_mul(4).saturating_add(swiglu(length));
        // TRM has no such layers, whatever its configuration says of them.
        let h_layers = if self.config.architecture == Architecture::Hrm { self.config.h_layers } else { 0 };
        let blocks = (self.config.l_layers as u64).saturating_add(h_layers as u64);
        let blocks = blocks.saturating_mul(mixing.saturating_add(swiglu(hidden_size)));
        // An attention mask or a table of rotations is no larger than the weights of a block.
        tables.saturating_add(blocks).saturating_mul(8).saturating_add(REST)
    }
}

/// The first text that a terminal would obey: what a manifest says is printed in many places.
fn unprintable(value: &Value) -> Option<&str> {
    let obeyed = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let own = |text: &String| text.contains(obeyed);
    match value {
        Value::String(text) => own(text).then_some(text.as_str()),
        Value::Array(values) => values.iter().find_map(unprintable),
        Value::Object(entries) => {
            entries.iter().find_map(|(key, value)| if own(key) { Some(key.as_str()) } else { unprintable(value) })
        }
        _ => None,
    }
}

/// The longest name of a model, in bytes: file systems take 255, of which a kiosk needs some.
const LONGEST_NAME: usize = 100;

/// The names that [`is_folder_name`] takes, in words.
pub const FOLDER_NAME: &str = "up to 100 letters of ASCII, digits, `.`, `-` and `_`, the first no `.`";

/// True if a model's name can be that of a folder everywhere. Bundles are written with such names only, and a kiosk takes
/// no others.
#[must_use]
pub fn is_folder_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// True if a name stays inside its folder and is not that of the manifest or its signature.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && ![super::MANIFEST, super::SIGNATURE].contains(&name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}
