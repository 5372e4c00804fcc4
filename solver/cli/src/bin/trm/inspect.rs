//! `trm inspect`: what a bundle, a checkpoint or an `.onnx` file is.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;
use trm_cli::{Exit, console};
use trm_export::checkpoint::{Ledger, StateDict};
use trm_export::onnx::OnnxSummary;
use trm_export::onnx::write::encode;
use trm_export::trm::{GraphOptions, build_graph};
use trm_intake::{Budget, Limits, Printable};
use trm_models::{
    Architecture, ConfigRecord, GraphKind, GraphSpec, Identities, Manifest, ModelBundle, ModelError, TrmConfig,
    WEIGHTS, hash_file,
};
use trm_solver::costs::CostModel;
use trm_solver::{Model, model};

use crate::checkpoint::{ConfigArgs, Found};
use crate::classifier::{Classifier, is_classifier};
use crate::train::TRAINING;
use crate::weights::{WeightsArgs, is_checkpoint, origin_of};
use crate::{identities, learn_costs, settings};

/// An ONNX file is a protobuf message, which cannot be larger.
const ONNX_LIMITS: Limits = Limits { bytes: 2 << 30, items: 0, depth: 0, time: None };

/// Arguments of `trm inspect`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A bundle's folder, a shipped model, a folder of a classifier or of costs, a checkpoint (torch, safetensors, .npz or a folder of shards) or an .onnx file
    path: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    weights: WeightsArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Runs the command.
pub(crate) fn run(args: &Args, _verbose: bool) -> Result<Exit> {
    let path = Path::new(&args.path);
    if is_classifier(path) {
        return print(args.json, &Classifier::read(path)?, Classifier::write);
    }
    if CostModel::is_in(path) {
        return print(args.json, &CostModel::open(path)?.manifest, learn_costs::describe);
    }
    if !is_checkpoint(path) {
        let inspection = Bundle::read(&Model::open(&args.path)?)?;
        return print(args.json, &inspection, Bundle::write);
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        let inspection = OnnxFile::read(path)?;
        let exit = print(args.json, &inspection, OnnxFile::write)?;
        if inspection.graph.is_none() {
            let graph = &inspection.content;
            let names = |list: &[(String, String)]| {
                let mut names: Vec<String> = list.iter().take(4).map(|(name, _)| Printable(name).to_string()).collect();
                names.extend((list.len() > 4).then(|| "…".to_owned()));
                names.join(", ")
            };
            bail!(
                "{}: an ONNX file, but not a graph of a TRM or HRM: its inputs are {}, its outputs {}\n\
                 hint: `trm export` makes such graphs of a checkpoint",
                path.display(),
                names(&graph.inputs),
                names(&graph.outputs)
            );
        }
        return Ok(exit);
    }
    let inspection = Checkpoint::read(path, &args.weights, &args.config)?;
    print(args.json, &inspection, Checkpoint::write)
}

fn print<T: Serialize>(
    json: bool,
    inspection: &T,
    write: impl Fn(&T, &mut console::Stdout) -> io::Result<()>,
) -> Result<Exit> {
    let mut out = console::stdout();
    if json {
        serde_json::to_writer(&mut out, inspection)?;
        writeln!(out)?;
    } else {
        write(inspection, &mut out)?;
    }
    Ok(Exit::Done)
}

/// Content of a graph.
#[derive(Debug, Serialize)]
struct GraphContent {
    producer: String,
    opset: Option<i64>,
    /// Name and type.
    inputs: Vec<(String, String)>,
    /// Name and type.
    outputs: Vec<(String, String)>,
    operators: BTreeMap<String, usize>,
    /// Floating-point constants, bodies of loops included.
    parameters: u64,
    /// Of all matrix products for one row, bodies of loops counted once.
    matmul_flops: Option<u64>,
}

impl From<OnnxSummary> for GraphContent {
    fn from(summary: OnnxSummary) -> Self {
        let standard = |(domain, _): &&(String, i64)| domain.is_empty() || domain == "ai.onnx";
        Self {
            opset: summary.opsets.iter().find(standard).map(|(_, version)| *version),
            producer: summary.producer,
            inputs: summary.inputs,
            outputs: summary.outputs,
            operators: summary.operators,
            parameters: summary.parameters,
            matmul_flops: summary.matmul_flops,
        }
    }
}

impl GraphContent {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for (role, tensors) in [("in", &self.inputs), ("out", &self.outputs)] {
            for (name, ty) in tensors {
                let name = Printable(name).to_string();
                writeln!(out, "    {role:<3} {name:<14} {}", Printable(ty))?;
            }
        }
        let operators: Vec<_> =
            self.operators.iter().map(|(name, count)| format!("{} {count}", Printable(name))).collect();
        writeln!(out, "    operators: {}", operators.join(", "))?;
        writeln!(out, "    {} parameters, {}", self.parameters, flops(self.matmul_flops))
    }
}

fn flops(flops: Option<u64>) -> String {
    match flops {
        Some(flops) => format!("{:.3} GFLOP a row in matrix products", flops as f64 / 1e9),
        None => "FLOPs unknown: the file does not tell all shapes".to_owned(),
    }
}

/// Name, dtype and shape of a weight.
#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
}

fn tensors(weights: &StateDict) -> Vec<Tensor> {
    let describe = |(name, tensor): (&str, &trm_export::checkpoint::WeightTensor)| Tensor {
        name: name.to_owned(),
        dtype: tensor.dtype.as_str(),
        shape: tensor.shape.clone(),
    };
    weights.iter().map(describe).collect()
}

fn write_tensors(out: &mut impl Write, tensors: &[Tensor]) -> io::Result<()> {
    let width = tensors.iter().map(|tensor| tensor.name.len()).max().unwrap_or(0);
    for Tensor { name, dtype, shape } in tensors {
        writeln!(out, "  {:<width$}  {dtype:<8} {shape:?}", Printable(name).to_string())?;
    }
    Ok(())
}

fn write_config(out: &mut impl Write, config: &TrmConfig) -> io::Result<()> {
    let mixing = config.mixer.title();
    writeln!(
        out,
        "  {} of {mixing}: hidden {}, {} heads, layers {}/{}, cycles {}/{}, at most {} steps",
        config.architecture,
        config.hidden_size,
        config.num_heads,
        config.h_layers,
        config.l_layers,
        config.h_cycles,
        config.l_cycles,
        config.halt_max_steps
    )?;
    writeln!(
        out,
        "  {} cells, {} tokens, prefix {}, {} puzzle identities, positions {}, trained in {}",
        config.seq_len,
        config.vocab_size,
        config.prefix_len(),
        config.num_puzzle_identifiers,
        format!("{:?}", config.pos_encodings).to_lowercase(),
        config.forward_dtype
    )
}

/// A bundle with its graphs and, where they are there, its weights.
#[derive(Debug, Serialize)]
struct Bundle {
    kind: &'static str,
    path: Option<PathBuf>,
    /// Every file's SHA-256 was compared with the manifest's.
    hashes_verified: bool,
    puzzle: String,
    manifest: Manifest,
    graphs: BTreeMap<GraphKind, GraphContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_flops: Option<u64>,
    tensors: Vec<Tensor>,
}

impl Bundle {
    fn read(model: &Model) -> Result<Self> {
        let bundle = model.bundle();
        bundle.verify()?;
        let mut graphs = BTreeMap::new();
        for kind in GraphKind::ALL.into_iter().filter(|kind| bundle.has_graph(*kind)) {
            let origin = Path::new(&bundle.label()).join(kind.file_name());
            graphs.insert(kind, GraphContent::from(OnnxSummary::from_bytes(&bundle.graph_bytes(kind)?, &origin)?));
        }
        let weights = weights(bundle)?;
        let step = graphs.get(&GraphKind::Step);
        Ok(Self {
            kind: "bundle",
            path: bundle.folder().map(Path::to_owned),
            hashes_verified: true,
            puzzle: model::describe(&model.kind()),
            manifest: bundle.manifest().clone(),
            parameters: weights.as_ref().map(StateDict::num_parameters),
            step_flops: step.and_then(|graph| graph.matmul_flops),
            tensors: weights.as_ref().map(tensors).unwrap_or_default(),
            graphs,
        })
    }

    fn write(&self, out: &mut console::Stdout) -> io::Result<()> {
        let Manifest { name, config, precision, training_data, licence, accuracy, files, producer, .. } =
            &self.manifest;
        let place = self.path.as_ref().map_or_else(|| "built in".to_owned(), |path| path.display().to_string());
        let name = Printable(name);
        writeln!(out, "{name}: bundle for {}, {precision} ({place})", self.puzzle)?;
        write_config(out, config)?;
        if let Some(parameters) = self.parameters {
            writeln!(out, "  {parameters} parameters")?;
        }
        writeln!(out, "  a step: {}", flops(self.step_flops))?;
        writeln!(out, "  written by {}; every hash verified", Printable(producer))?;
        for (what, text) in [("training data", training_data), ("licence", licence)] {
            writeln!(out, "  {what}: {}", Printable(text.as_deref().unwrap_or("not stated")))?;
        }
        if let Some(origin) = &self.manifest.checkpoint {
            writeln!(out, "  made of {}, SHA-256 {}", Printable(&origin.file), Printable(&origin.sha256))?;
        }
        for measured in accuracy {
            let (what, share) = (Printable(&measured.what), 100.0 * measured.value);
            writeln!(out, "  measured: {what} {share:.1} % (n = {})", measured.n)?;
        }
        settings::write_identities(out, self.manifest.identities.as_ref())?;
        settings::write(out, config, self.manifest.configuration.as_ref(), files.contains_key(TRAINING))?;
        writeln!(out, "graphs")?;
        for (kind, content) in &self.graphs {
            let Some(graph) = self.manifest.graphs.get(kind) else { continue };
            let steps = graph.steps.map_or_else(String::new, |steps| format!(", {steps} steps"));
            writeln!(out, "  {} ({} bytes, opset {}{steps})", graph.file, graph.hash.bytes, graph.opset)?;
            content.write(out)?;
        }
        writeln!(out, "files")?;
        for (file, hash) in files {
            writeln!(out, "  {file:<22} {:>10} bytes  {}", hash.bytes, hash.sha256)?;
        }
        if !self.tensors.is_empty() {
            writeln!(out, "weights")?;
        }
        write_tensors(out, &self.tensors)
    }
}

/// The weights that a bundle carries for training.
fn weights(bundle: &ModelBundle) -> Result<Option<StateDict>> {
    let listed = bundle.folder().is_some() && bundle.manifest().files.contains_key(WEIGHTS);
    Ok(listed.then(|| StateDict::of_bundle(bundle)).transpose()?)
}

/// A checkpoint, with what its configuration says where there is one.
#[derive(Debug, Serialize)]
struct Checkpoint {
    kind: &'static str,
    path: PathBuf,
    sha256: String,
    bytes: u64,
    /// Which weights were read, and what became of the rest of the file.
    reading: Ledger,
    parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<TrmConfig>,
    /// Where the settings came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<ConfigRecord>,
    /// The reason why the configuration that was found is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identities: Option<Identities>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step_graph: Option<GraphContent>,
    tensors: Vec<Tensor>,
}

impl Checkpoint {
    fn read(path: &Path, weights: &WeightsArgs, config: &ConfigArgs) -> Result<Self> {
        let weights = weights.read(path)?;
        let ignored = config.ignores_identifiers();
        let (found, incomplete) = match config.find(path, &weights)? {
            Found::Complete(found) => (Some(*found), None),
            Found::Incomplete(reason) => (None, Some(reason)),
            Found::Nothing => (None, None),
        };
        let (config, configuration) = found.unzip();
        let identities = match &config {
            Some(config) => identities::of_checkpoint(path, config, ignored)?.0,
            None => None,
        };
        let step_graph = match &config {
            Some(config) => Some(step_graph(config, &weights, path)?),
            None => None,
        };
        let sizes = weights.files().iter().map(|file| Ok(file.metadata()?.len()));
        Ok(Self {
            kind: "checkpoint",
            path: path.to_owned(),
            sha256: origin_of(path, &weights)?.sha256,
            bytes: sizes.sum::<Result<u64>>()?,
            reading: weights.ledger().clone(),
            parameters: weights.num_parameters(),
            config,
            configuration,
            incomplete,
            identities,
            step_graph,
            tensors: tensors(&weights),
        })
    }

    fn write(&self, out: &mut console::Stdout) -> io::Result<()> {
        writeln!(out, "{}: checkpoint of {} parameters", self.path.display(), self.parameters)?;
        writeln!(out, "  {} bytes, SHA-256 {}", self.bytes, self.sha256)?;
        match (&self.config, &self.step_graph) {
            (Some(config), Some(graph)) => {
                write_config(out, config)?;
                writeln!(out, "  the weights fit the configuration")?;
                settings::write_identities(out, self.identities.as_ref())?;
                settings::write(out, config, self.configuration.as_ref(), false)?;
                writeln!(out, "step graph")?;
                graph.write(out)?;
            }
            _ => match &self.incomplete {
                Some(reason) => writeln!(out, "  its configuration is incomplete: {}", reason.replace('\n', "\n  "))?,
                None => writeln!(out, "  no configuration given or found beside it: pass --config to learn more")?,
            },
        }
        writeln!(out, "weights")?;
        write_tensors(out, &self.tensors)
    }
}

/// Content of the step graph that a checkpoint would become.
fn step_graph(config: &TrmConfig, weights: &StateDict, path: &Path) -> Result<GraphContent> {
    let graph = build_graph(GraphKind::Step, config, weights, GraphOptions::default())?;
    Ok(OnnxSummary::from_bytes(&encode(&graph, &[]).onnx, path)?.into())
}

/// An `.onnx` file.
#[derive(Debug, Serialize)]
struct OnnxFile {
    kind: &'static str,
    path: PathBuf,
    sha256: String,
    bytes: u64,
    /// Which of the graphs it is; none for a file of other inputs and outputs.
    graph: Option<GraphKind>,
    #[serde(flatten)]
    content: GraphContent,
    /// The file's own key-value pairs.
    metadata: BTreeMap<String, String>,
}

impl OnnxFile {
    fn read(path: &Path) -> Result<Self> {
        // Its length is judged before anything is read: hashing a sparse file of a terabyte takes an hour.
        let content = trm_intake::file::read_within(path, &mut Budget::new(ONNX_LIMITS), "graph")?;
        let (sha256, bytes) = hash_file(path)?;
        let mut summary = OnnxSummary::from_bytes(&content, path)?;
        let metadata = std::mem::take(&mut summary.metadata);
        let content = GraphContent::from(summary);
        let graph = GraphKind::ALL.into_iter().find(|kind| is_graph(*kind, &content));
        Ok(Self { kind: "onnx", path: path.to_owned(), sha256, bytes, graph, content, metadata })
    }

    fn write(&self, out: &mut console::Stdout) -> io::Result<()> {
        let kind = self.graph.map_or_else(|| "ONNX file".to_owned(), |kind| format!("{kind} graph"));
        writeln!(out, "{}: {kind}, opset {}", self.path.display(), self.content.opset.unwrap_or(0))?;
        writeln!(out, "  {} bytes, SHA-256 {}", self.bytes, self.sha256)?;
        let producer = if self.content.producer.is_empty() { "?" } else { &self.content.producer };
        writeln!(out, "  written by {}", Printable(producer))?;
        for (key, value) in &self.metadata {
            writeln!(out, "  {}: {}", Printable(key), Printable(value))?;
        }
        self.content.write(out)
    }
}

/// Returns true if inputs and outputs have the names of this kind of graph; their sizes are the model's own.
fn is_graph(kind: GraphKind, content: &GraphContent) -> bool {
    // Any sizes will do, the names are the same in all.
    let Ok(config) = any_config() else { return false };
    let spec = GraphSpec::new(kind, &config);
    let same = |specs: &[trm_models::TensorSpec], found: &[(String, String)]| {
        specs.len() == found.len() && specs.iter().all(|spec| found.iter().any(|(name, _)| name == spec.name))
    };
    same(&spec.inputs, &content.inputs) && same(&spec.outputs, &content.outputs)
}

fn any_config() -> Result<TrmConfig, ModelError> {
    let yaml = "{H_cycles: 1, L_cycles: 1, L_layers: 1, hidden_size: 2, num_heads: 1, expansion: 1, \
                pos_encodings: rope, halt_max_steps: 1, halt_exploration_prob: 0, puzzle_emb_len: 0}";
    trm_models::ConfigSource::from_yaml_str(yaml, "sizes")?.assume(Architecture::Trm).seq_len(1).vocab_size(2).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_are_told_by_their_names() {
        let config = any_config().expect("a configuration");
        for kind in GraphKind::ALL {
            let spec = GraphSpec::new(kind, &config);
            let names = |specs: &[trm_models::TensorSpec]| {
                specs.iter().map(|spec| (spec.name.to_owned(), String::new())).collect::<Vec<_>>()
            };
            let mut content = GraphContent {
                producer: String::new(),
                opset: None,
                inputs: names(&spec.inputs),
                outputs: names(&spec.outputs),
                operators: BTreeMap::new(),
                parameters: 0,
                matmul_flops: None,
            };
            let found: Vec<_> = GraphKind::ALL.into_iter().filter(|kind| is_graph(*kind, &content)).collect();
            assert_eq!(found, [kind]);
            content.inputs.push(("image".to_owned(), String::new()));
            assert!(!is_graph(kind, &content));
        }
    }
}
