//! From weights to a bundle: graphs, self-test, weights, card and manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use trm_intake::file::write_atomically;
use trm_models::{
    BundleWriter, CARD, CheckpointOrigin, ConfigRecord, FORMAT_VERSION, GraphKind, Identities, Manifest, Measured,
    ModelBundle, SELF_TEST, SelfTest, TaskSpec, TrmConfig, WEIGHTS,
};

use crate::checkpoint::{DEFAULT_PREFIX, StateDict};
use crate::onnx::eval::{Tensor, evaluate};
use crate::onnx::write::encode;
use crate::onnx::{Graph, OPSET, OnnxError};
use crate::trm::{GraphOptions, build_graph};
use crate::{ExportError, Result};

/// ACT steps of a self-test: enough to pass a carry on, few enough that rounding has not grown.
pub const SELF_TEST_STEPS: usize = 2;

/// Heading of a card's figures.
const MEASURED: &str = "\n## Measured\n\n";

/// Puzzles for the self-test, best real ones of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Tokens, `[rows, S]`.
    pub tokens: Vec<i32>,
    /// Puzzle identities, `[rows]`.
    pub puzzle_ids: Vec<i32>,
}

/// Everything that goes into a bundle.
#[derive(Clone, Debug)]
pub struct BundleRequest<'a> {
    /// Name of the model.
    pub name: String,
    /// The task that it solves.
    pub task: TaskSpec,
    /// Its configuration.
    pub config: &'a TrmConfig,
    /// Its weights.
    pub weights: &'a StateDict,
    /// The graphs to write; the step graph is always among them.
    pub graphs: BTreeSet<GraphKind>,
    /// Options for writing them.
    pub options: GraphOptions<'a>,
    /// Puzzles for the self-test.
    pub sample: Sample,
    /// A description of the training data.
    pub training_data: Option<String>,
    /// Licence of the weights.
    pub licence: Option<String>,
    /// Measured figures.
    pub accuracy: Vec<Measured>,
    /// The checkpoint's name and hash.
    pub checkpoint: Option<CheckpointOrigin>,
    /// The origin of each setting of the configuration.
    pub configuration: Option<ConfigRecord>,
    /// The puzzle identities and their names.
    pub identities: Option<Identities>,
    /// True to put the weights in beside the graphs, for further training. Those of a quantised model stay out: it is
    /// derived.
    pub with_weights: bool,
    /// Markdown for the end of the card.
    pub notes: Option<String>,
    /// Further files, e.g. `identifiers.json`.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Writes a bundle to `target`; with `overwrite`, in place of one that is there. Nothing is there before all is
/// written, and what was there stays when something fails.
///
/// # Errors
/// Those of [`build_graph`] and [`BundleWriter`]; [`OnnxError::Evaluation`] when the sample does not fit the model.
pub fn export_bundle(request: BundleRequest<'_>, target: &Path, overwrite: bool) -> Result<ModelBundle> {
    let BundleRequest { config, weights, options, .. } = request;
    let mut writer = BundleWriter::create(target, overwrite)?;
    let precision = options.precision(config);
    let metadata = [("trm-edge.model", request.name.clone()), ("trm-edge.precision", precision.to_string())];
    let mut external = BTreeMap::new();
    let kinds = request.graphs.iter().copied().chain([GraphKind::Step]).collect::<BTreeSet<_>>();
    let mut self_test = None;
    for kind in kinds {
        let graph = build_graph(kind, config, weights, options)?;
        let encoded = encode(&graph, &metadata);
        let steps = (kind == GraphKind::Unrolled).then(|| options.unrolled_steps.unwrap_or(config.halt_max_steps));
        writer.add_graph(kind, &encoded.onnx, OPSET, steps)?;
        external.extend(encoded.external);
        if kind == GraphKind::Step {
            self_test = Some(if precision.is_batch_invariant() {
                reference_run(&graph, config, &request.sample, SELF_TEST_STEPS)?
            } else {
                row_by_row(&graph, config, &request.sample, SELF_TEST_STEPS)?
            });
        }
    }
    for (name, constant) in external {
        writer.add_file_with(&name, |path| {
            Ok::<_, ExportError>(write_atomically(path, |file| {
                std::io::Write::write_all(file, &constant.to_le_bytes())
            })?)
        })?;
    }
    if let Some(self_test) = self_test {
        writer.add_file(SELF_TEST, &self_test.encode(config)?)?;
    }
    if request.with_weights {
        writer.add_file_with(WEIGHTS, |path| weights.write_safetensors(path, DEFAULT_PREFIX))?;
    }
    for (name, bytes) in &request.files {
        writer.add_file(name, bytes)?;
    }
    writer.add_file(CARD, card(&request).as_bytes())?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: request.name,
        task: request.task,
        config: config.clone(),
        precision,
        target: options.target,
        graphs: BTreeMap::new(),
        files: BTreeMap::new(),
        training_data: request.training_data,
        accuracy: request.accuracy,
        licence: request.licence,
        checkpoint: request.checkpoint,
        configuration: request.configuration,
        identities: request.identities,
        producer: format!("trm-edge {}", env!("CARGO_PKG_VERSION")),
    };
    Ok(writer.finish(manifest)?)
}

/// A bundle of the same model for a task of another size, in memory: its step graph, built of the weights. It has no
/// self-test, and its figures are not those of this size.
///
/// # Errors
/// Those of [`build_graph`]: a model whose weights belong to positions has one size.
pub fn resized_bundle(
    bundle: &ModelBundle,
    weights: &StateDict,
    task: TaskSpec,
    config: &TrmConfig,
) -> Result<ModelBundle> {
    let options = GraphOptions { target: bundle.manifest().target, ..GraphOptions::default() };
    let metadata = [("trm-edge.model", bundle.manifest().name.clone())];
    let encoded = encode(&build_graph(GraphKind::Step, config, weights, options)?, &metadata);
    let manifest =
        Manifest { task, config: config.clone(), accuracy: Vec::new(), identities: None, ..bundle.manifest().clone() };
    Ok(ModelBundle::in_memory(manifest, vec![(GraphKind::Step, encoded.onnx)], OPSET)?)
}

/// Runs a step graph from a fresh carry in the reference evaluator and records what an engine must find.
///
/// # Errors
/// [`OnnxError::Evaluation`] when the sample does not fit the model.
pub fn reference_run(graph: &Graph, config: &TrmConfig, sample: &Sample, steps: usize) -> Result<SelfTest> {
    let rows = sample.puzzle_ids.len();
    let ints = |shape: &[usize], values: &[i32]| Tensor::int(shape, values.iter().map(|&v| i64::from(v)).collect());
    let tokens = ints(&[rows, config.seq_len], &sample.tokens)?;
    let puzzle_ids = ints(&[rows], &sample.puzzle_ids)?;
    let carry_shape = [rows, config.total_len(), config.hidden_size];
    let zeros = Tensor::float(&carry_shape, vec![0.0; carry_shape.iter().product()])?;
    let (mut z_h, mut z_l) = (zeros.clone(), zeros);
    let mut heads = None;
    for step in 0..steps {
        let reset = Tensor::bool(&[rows], vec![step == 0; rows])?;
        let outputs = evaluate(graph, &[tokens.clone(), puzzle_ids.clone(), reset, z_h, z_l])?;
        let [answer, q_halt, q_continue, h, l, _] = <[Tensor; 6]>::try_from(outputs).map_err(|outputs| {
            OnnxError::Evaluation { node: graph.name().into(), problem: format!("{} outputs", outputs.len()) }
        })?;
        (z_h, z_l) = (h, l);
        heads = Some((answer, q_halt, q_continue));
    }
    let (answer, q_halt, q_continue) = heads
        .ok_or_else(|| OnnxError::Evaluation { node: graph.name().into(), problem: "no step was asked for".into() })?;
    let floats = |tensor: &Tensor| Ok::<_, ExportError>(tensor.to_floats()?.iter().map(|&v| v as f32).collect());
    Ok(SelfTest {
        steps,
        tokens: sample.tokens.clone(),
        puzzle_ids: sample.puzzle_ids.clone(),
        answer: answer.to_ints()?.iter().map(|&token| token as i32).collect(),
        q_halt: floats(&q_halt)?,
        q_continue: floats(&q_continue)?,
        z_h: floats(&z_h)?,
        z_l: floats(&z_l)?,
    })
}

/// [`reference_run`] of each puzzle alone, for a graph in which rows depend on each other.
fn row_by_row(graph: &Graph, config: &TrmConfig, sample: &Sample, steps: usize) -> Result<SelfTest> {
    let rows = sample.tokens.chunks(config.seq_len).zip(&sample.puzzle_ids);
    let mut all: Option<SelfTest> = None;
    for (tokens, &puzzle_id) in rows {
        let row = Sample { tokens: tokens.to_vec(), puzzle_ids: vec![puzzle_id] };
        let row = reference_run(graph, config, &row, steps)?;
        match &mut all {
            None => all = Some(row),
            Some(all) => {
                all.tokens.extend(row.tokens);
                all.puzzle_ids.extend(row.puzzle_ids);
                all.answer.extend(row.answer);
                all.q_halt.extend(row.q_halt);
                all.q_continue.extend(row.q_continue);
                all.z_h.extend(row.z_h);
                all.z_l.extend(row.z_l);
            }
        }
    }
    let none = OnnxError::Evaluation { node: graph.name().into(), problem: "no puzzle for the self-test".into() };
    all.ok_or_else(|| none.into())
}

/// The notes behind the figures of a card, as it was written with them; `None` if it has none.
#[must_use]
pub fn card_notes(card: &str) -> Option<&str> {
    let (_, figures) = card.split_once(MEASURED)?;
    figures.split_once("\n\n").map(|(_, notes)| notes).filter(|notes| !notes.trim().is_empty())
}

/// The model card: the known facts about the model, for people. An unknown one is said to be so.
fn card(request: &BundleRequest<'_>) -> String {
    let BundleRequest { name, task, config, weights, options, .. } = request;
    let mixing = config.mixer.title();
    let unknown = || "not stated".to_owned();
    let mut text = format!(
        "# {name}\n\n\
         | | |\n| --- | --- |\n\
         | task | {} {}x{}{} |\n\
         | architecture | {:?}, {mixing}, hidden {}, {} layers, cycles {}/{}, {} parameters |\n\
         | precision | {} |\n\
         | training data | {} |\n\
         | licence | {} |\n",
        task.kind.as_str(),
        task.height,
        task.width,
        if config.mixer.has_board() { ", and of any other size" } else { "" },
        config.architecture,
        config.hidden_size,
        config.l_layers,
        config.h_cycles,
        config.l_cycles,
        weights.num_parameters(),
        options.precision(config),
        request.training_data.clone().unwrap_or_else(unknown),
        request.licence.clone().unwrap_or_else(unknown),
    );
    if let Some(origin) = &request.checkpoint {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| checkpoint | {}, SHA-256 {} |", origin.file, origin.sha256);
    }
    text.push_str(MEASURED);
    if request.accuracy.is_empty() {
        let _ = writeln!(text, "Nothing yet: `trm eval {name} --data DIR` measures it.");
    } else {
        text.push_str("| what | share | 95 % interval | n | command |\n| --- | --- | --- | --- | --- |\n");
    }
    for Measured { what, value, interval, n, command } in &request.accuracy {
        let interval =
            interval.map_or_else(String::new, |(low, high)| format!("{:.1}-{:.1} %", 100.0 * low, 100.0 * high));
        let _ = writeln!(text, "| {what} | {:.1} % | {interval} | {n} | `{command}` |", 100.0 * value);
    }
    if let Some(notes) = &request.notes {
        text.push('\n');
        text.push_str(notes);
    }
    text
}
