//! `trm export`: a trained checkpoint as a bundle, and weights back to where they were trained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use trm_cli::backend::is_plain_absence;
use trm_cli::{Exit, console, errln, failure, outln};
use trm_engine::ort::OrtEngine;
use trm_engine::{Engine, SessionOptions, registry};
use trm_export::bundle::card_notes;
use trm_export::checkpoint::{DEFAULT_PREFIX, StateDict};
use trm_export::trm::{FloatType, GraphOptions};
use trm_export::{BundleRequest, Sample, export_bundle};
use trm_intake::{Budget, Limits, Printable};
use trm_models::{
    CARD, FOLDER_NAME, GraphKind, GraphTarget, MANIFEST, Measured, ModelBundle, ModelError, SELF_TEST, TrmConfig,
    WEIGHTS, is_folder_name,
};
use trm_puzzles::PuzzleKind;
use trm_solver::measure::selftest;
use trm_solver::{Model, model};

use crate::checkpoint::{ConfigArgs, Found};
use crate::task::{self, Size, TaskName};
use crate::weights::{WeightsArgs, is_checkpoint, origin_of};
use crate::{identities, settings};

/// Notes and figures are for people to read.
const TEXT_LIMITS: Limits = Limits { bytes: 1 << 20, items: 0, depth: 0, time: None };
/// All attached files together: a bundle is copied and hashed as a whole.
const ATTACHED_LIMITS: Limits = Limits { bytes: 64 << 20, items: 0, depth: 0, time: None };

/// Arguments of `trm export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Checkpoint of the public training code (torch, safetensors, numpy, or a folder of Hugging Face's hub); or a bundle
    /// with its weights, to write it anew for another target or precision
    #[arg(value_name = "CHECKPOINT|BUNDLE")]
    source: PathBuf,
    /// Folder of the new bundle; with --to, the new file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// What the model solves; a bundle says it itself
    #[arg(long, value_name = "TASK")]
    task: Option<TaskName>,
    /// Write the weights to a file for the public training code instead of a bundle
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["task", "grid", "boxes", "graphs", "steps", "name", "licence", "training_data", "measured"])]
    to: Option<WeightsFormat>,
    /// Prefix of the tensors' names in that file
    #[arg(long, value_name = "TEXT", requires = "to", default_value = DEFAULT_PREFIX)]
    prefix: String,
    /// Rows and columns of the grid; square unless given
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    grid: Option<Size>,
    /// Of a bundle whose model has no size: rows and columns of the puzzles that its graphs are written for
    #[arg(long, value_name = "HEIGHTxWIDTH", conflicts_with_all = ["task", "grid", "boxes", "to"])]
    size: Option<Size>,
    /// Rows and columns of a sudoku's box; the usual ones unless given
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    boxes: Option<Size>,
    /// Graphs to write: step, solve, unrolled; unless given, those of the bundle, or step and solve
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    graphs: Vec<GraphKind>,
    /// Steps of the unrolled graph; the model's `halt_max_steps` unless given
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u16).range(1..=1024))]
    steps: Option<u16>,
    /// Float type of weights and activations
    #[arg(long, value_name = "TYPE", default_value = "fp32")]
    precision: PrecisionName,
    /// What runs the step graph
    #[arg(long, value_name = "TARGET", default_value = "portable")]
    target: TargetName,
    /// Name of the model; unless given, the bundle's or the new folder's
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Licence of the weights, best as an SPDX expression
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// What the weights were trained on
    #[arg(long, value_name = "TEXT")]
    training_data: Option<String>,
    /// What was measured, for the card: a JSON list of objects with `what`, `value` (0 to 1), `interval` (a pair; may be
    /// left out), `n` and `command`
    #[arg(long, value_name = "FILE")]
    measured: Option<PathBuf>,
    /// Markdown for the end of the card; unless given, what a bundle's card has there
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    notes: Option<PathBuf>,
    /// A file to keep in the bundle, such as a picture that the notes show; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    attach: Vec<PathBuf>,
    /// Replace a bundle or file that is there
    #[arg(long)]
    overwrite: bool,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
    #[command(flatten)]
    weights: WeightsArgs,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A file of weights that the public code loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightsFormat {
    /// As `torch.save(model.state_dict(), …)` writes it
    Torch,
    /// safetensors
    Safetensors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// 32-bit
    Fp32,
    /// 16-bit, for GPUs
    Fp16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TargetName {
    /// Every engine
    Portable,
    /// ONNX Runtime's CPU only: a large model loads several times faster, and one with attention steps 5 to 10 % faster
    OrtCpu,
    /// tract, in a program that has it: a large model loads five to ten times faster. ONNX Runtime's CPU runs it as well
    Tract,
    /// ONNX Runtime with CUDA: the portable graph, nothing faster being known
    OrtCuda,
    /// ONNX Runtime with TensorRT: the portable graph, nothing faster being known
    Tensorrt,
}

impl From<TargetName> for GraphTarget {
    fn from(name: TargetName) -> Self {
        match name {
            TargetName::Portable | TargetName::OrtCuda | TargetName::Tensorrt => Self::Portable,
            TargetName::OrtCpu => Self::OrtCpu,
            TargetName::Tract => Self::Tract,
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, _verbose: bool) -> Result<Exit> {
    args.name.as_deref().map(check_name).transpose()?;
    match (args.to, args.task) {
        (Some(format), _) => write_weights(args, format),
        (None, _) if args.source.is_dir() && !is_checkpoint(&args.source) => rewrite_bundle(args),
        (None, Some(task)) => write_bundle(args, task),
        (None, None) => bail!("--task is missing\nhint: one of sudoku, maze, arc and tokens"),
    }
}

/// Writes the weights of a checkpoint or a bundle for the public code.
fn write_weights(args: &Args, format: WeightsFormat) -> Result<Exit> {
    let Args { source, out, prefix, config, .. } = args;
    if out.exists() && !args.overwrite {
        bail!("{} is already there\nhint: choose another file, or pass --overwrite", out.display());
    }
    let (weights, config) = if source.is_dir() && !is_checkpoint(source) {
        let bundle = ModelBundle::open(source)?;
        (StateDict::of_bundle(&bundle)?, Some(bundle.manifest().config.clone()))
    } else {
        let weights = args.weights.read(source)?;
        let config = match config.find(source, &weights)? {
            Found::Complete(found) => Some(found.0),
            Found::Incomplete(reason) => {
                errln!("the configuration is incomplete: {reason}\nthe weights are written as they are");
                None
            }
            Found::Nothing => {
                errln!("no configuration given or found: the weights are written as they are");
                None
            }
        };
        (weights, config)
    };
    if let Some(config) = &config {
        weights.check(config)?;
    }
    match format {
        WeightsFormat::Torch => weights.write_torch(out, prefix)?,
        WeightsFormat::Safetensors => weights.write_safetensors(out, prefix)?,
    }
    outln!("{}: {} tensors, {} parameters", out.display(), weights.len(), weights.num_parameters())?;
    Ok(Exit::Done)
}

/// Writes a bundle anew: its weights for another target, in another float type or as today's graphs, and runs its self-test.
fn rewrite_bundle(args: &Args) -> Result<Exit> {
    let Args { source, out, task, grid, boxes, config, .. } = args;
    let bundle = ModelBundle::open(source).map_err(|error| {
        let (source, problem) = (source.display(), failure::message(&error.into()));
        let problem = problem.lines().next().unwrap_or_default();
        anyhow::anyhow!(
            "{source} is a folder, but no bundle: {problem}\nhint: give a bundle, or a checkpoint's file, such as step_1000 in it"
        )
    })?;
    if task.is_some() || grid.is_some() || boxes.is_some() || config.given() {
        bail!(
            "{} is a bundle, which says what it solves and how\nhint: leave --task and the configuration out",
            source.display()
        );
    }
    refuse_to_replace(out, args.overwrite)?;
    let model = Model::new(bundle)?;
    let manifest = model.bundle().manifest();
    if !manifest.files.contains_key(WEIGHTS) {
        bail!(
            "{} has no {WEIGHTS}: its graphs cannot be written anew\nhint: give the bundle or checkpoint that it was made of",
            source.display()
        );
    }
    let weights = StateDict::of_bundle(model.bundle())?;
    let of_writer = |name: &str| {
        // Tensors too large for a graph lie beside it, and are written with it.
        [WEIGHTS, CARD, SELF_TEST].contains(&name) || Path::new(name).extension().is_some_and(|kind| kind == "data")
    };
    let kept = manifest.files.keys().filter(|name| !of_writer(name));
    let files = kept.map(|name| Ok((name.clone(), model.bundle().file(name)?.into_owned())));
    let mut files = files.collect::<Result<Vec<_>, ModelError>>()?;
    for (name, content) in args.attached()? {
        files.retain(|(kept, _)| *kept != name);
        files.push((name, content));
    }
    let options = args.graph_options();
    let sized = match args.size {
        Some(Size { height, width }) => {
            let kind = model.kind_of_size(height, width);
            let name = model.task().name();
            model.for_size(kind.with_context(|| format!("--size: no {name} has {height}x{width} cells"))?, "--size")?
        }
        None => model.clone(),
    };
    // What was measured in one precision, or of one size, says nothing of another.
    let holds = options.precision(model.config()) == manifest.precision && sized.kind() == model.kind();
    let accuracy = match &args.measured {
        Some(path) => measured(path)?,
        None => manifest.accuracy.iter().filter(|_| holds).cloned().collect(),
    };
    let old_card = model.bundle().file(CARD)?;
    let old_card = String::from_utf8_lossy(&old_card);
    let notes = match args.card_notes()? {
        None if holds => card_notes(&old_card).map(str::to_owned),
        given => given,
    };
    let sample = if sized.kind() == model.kind() {
        let test = model.bundle().self_test()?;
        Sample { tokens: test.tokens, puzzle_ids: test.puzzle_ids }
    } else {
        task::sample(&sized.kind(), sized.config())?
    };
    let request = BundleRequest {
        name: args.name.as_ref().map_or_else(|| Ok(manifest.name.clone()), |_| name(args))?,
        task: sized.bundle().manifest().task.clone(),
        config: sized.config(),
        weights: &weights,
        graphs: args.graphs_or(manifest.graphs.keys().copied()),
        options,
        sample,
        training_data: args.training_data.clone().or_else(|| manifest.training_data.clone()),
        licence: args.licence.clone().or_else(|| manifest.licence.clone()),
        accuracy,
        checkpoint: manifest.checkpoint.clone(),
        configuration: manifest.configuration.clone(),
        identities: manifest.identities.clone(),
        with_weights: true,
        notes,
        files,
    };
    let bundle = export_bundle(request, out, args.overwrite)?;
    summarise(&bundle, &sized.kind(), &weights, sized.config())?;
    self_test(&bundle, args.ort_lib.as_deref())
}

impl Args {
    fn graph_options(&self) -> GraphOptions<'static> {
        let float = match self.precision {
            PrecisionName::Fp32 => FloatType::Fp32,
            PrecisionName::Fp16 => FloatType::Fp16,
        };
        let unrolled_steps = self.steps.map(usize::from);
        GraphOptions { float, unrolled_steps, quantization: None, target: self.target.into() }
    }

    fn card_notes(&self) -> Result<Option<String>> {
        let read = |path: &PathBuf| {
            text_within(path).with_context(|| {
                format!("{}: cannot be read\nhint: --notes takes a file of text of at most 1 MiB", path.display())
            })
        };
        self.notes.as_ref().map(read).transpose()
    }

    /// The files that were given, under their own names.
    fn attached(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let graphs = GraphKind::ALL.iter().map(|kind| kind.file_name());
        let own: Vec<_> = [MANIFEST, WEIGHTS, CARD, SELF_TEST].into_iter().chain(graphs).collect();
        let mut budget = Budget::new(ATTACHED_LIMITS);
        let read = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.filter(|name| !own.contains(name));
            let name = name.with_context(|| {
                format!("{}: a bundle has a file of that name\nhint: --attach takes other files", path.display())
            })?;
            let content = budget.read_file(path).with_context(|| {
                format!("{}: cannot be read\nhint: --attach takes files of at most 64 MiB together", path.display())
            })?;
            Ok((name.to_owned(), content))
        };
        self.attach.iter().map(read).collect()
    }

    fn graphs_or(&self, default: impl IntoIterator<Item = GraphKind>) -> BTreeSet<GraphKind> {
        if self.graphs.is_empty() { default.into_iter().collect() } else { self.graphs.iter().copied().collect() }
    }
}

/// Writes the bundle of a checkpoint and runs its self-test.
fn write_bundle(args: &Args, task: TaskName) -> Result<Exit> {
    let Args { source, out, .. } = args;
    // Before the minutes that a large checkpoint takes.
    refuse_to_replace(out, args.overwrite)?;
    let weights = args.weights.read(source)?;
    let (config, record) = args.config.read(source, &weights)?;
    let kind = task::puzzle_kind(task, args.grid, args.boxes, &config)?;
    weights.check(&config)?;
    let (identities, names) = identities::of_checkpoint(source, &config, args.config.ignores_identifiers())?;
    let request = BundleRequest {
        name: name(args)?,
        task: trm_solver::model::spec(&kind),
        config: &config,
        weights: &weights,
        graphs: args.graphs_or([GraphKind::Step, GraphKind::Solve]),
        options: args.graph_options(),
        sample: task::sample(&kind, &config)?,
        training_data: args.training_data.clone(),
        licence: args.licence.clone(),
        accuracy: args.measured.as_deref().map(measured).transpose()?.unwrap_or_default(),
        checkpoint: Some(origin_of(source, &weights)?),
        configuration: Some(record),
        identities,
        with_weights: true,
        notes: args.card_notes()?,
        files: names.into_iter().chain(args.attached()?).collect(),
    };
    let bundle = export_bundle(request, out, args.overwrite)?;
    summarise(&bundle, &kind, &weights, &config)?;
    let mut out = console::stdout();
    settings::write(&mut out, &config, bundle.manifest().configuration.as_ref(), false)?;
    settings::write_identities(&mut out, bundle.manifest().identities.as_ref())?;
    self_test(&bundle, args.ort_lib.as_deref())
}

/// A text of an option, within its limits.
fn text_within(path: &Path) -> Result<String> {
    String::from_utf8(Budget::new(TEXT_LIMITS).read_file(path)?).context("not UTF-8 text")
}

/// The figures of a file written by hand or from what `trm eval --json` prints.
pub(crate) fn measured(path: &Path) -> Result<Vec<Measured>> {
    let text = text_within(path).with_context(|| {
        format!("{}: cannot be read\nhint: --measured takes a file of at most 1 MiB", path.display())
    })?;
    let figures: Vec<Measured> = serde_json::from_str(&text).with_context(|| {
        format!("{}: not a list of figures\nhint: `trm export --help` says what each holds", path.display())
    })?;
    let share = |value: f64| (0.0..=1.0).contains(&value);
    for Measured { what, value, interval, .. } in &figures {
        if !share(*value) || interval.is_some_and(|(low, high)| !share(low) || !share(high) || low > high) {
            bail!(
                "{}: `{}` is no share from 0 to 1 with its interval\nhint: 95 % is 0.95",
                path.display(),
                Printable(what)
            );
        }
    }
    Ok(figures)
}

fn refuse_to_replace(out: &Path, overwrite: bool) -> Result<()> {
    if out.join(MANIFEST).is_file() && !overwrite {
        return Err(ModelError::BundleExists { path: out.to_owned() }.into());
    }
    Ok(())
}

/// Refuses a --name that a bundle cannot have, before any work.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if !is_folder_name(name) {
        bail!("--name: `{}` cannot be the name of a model\nhint: expected {FOLDER_NAME}", Printable(name));
    }
    Ok(())
}

/// The model's name: what was given, or that of the folder it goes to.
fn name(args: &Args) -> Result<String> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let folder = args.out.file_name().and_then(|name| name.to_str()).filter(|name| is_folder_name(name));
    let none = || format!("--out names no folder that could name the model\nhint: pass --name: {FOLDER_NAME}");
    folder.map(str::to_owned).with_context(none)
}

fn summarise(bundle: &ModelBundle, kind: &PuzzleKind, weights: &StateDict, config: &TrmConfig) -> Result<()> {
    let manifest = bundle.manifest();
    outln!(
        "{}: {}, {} for {}, {} parameters, {}",
        bundle.label(),
        Printable(&manifest.name),
        config.architecture,
        model::describe(kind),
        weights.num_parameters(),
        manifest.precision
    )?;
    for graph in manifest.graphs.values() {
        let steps = graph.steps.map_or_else(String::new, |steps| format!(", {steps} steps"));
        outln!("  {:<14} {:>12} bytes{steps}", graph.file, graph.hash.bytes)?;
    }
    for (name, hash) in &manifest.files {
        outln!("  {name:<20} {:>6} bytes", hash.bytes)?;
    }
    Ok(())
}

/// Runs the bundle's self-test on every engine there is. An engine that computes something else is a failed answer.
fn self_test(bundle: &ModelBundle, ort_lib: Option<&Path>) -> Result<Exit> {
    let mut engines: Vec<Box<dyn Engine>> =
        registry::built_in().map(|entry| (entry.open)(None)).collect::<Result<_, _>>()?;
    let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
    let only = if names.is_empty() { "no engine".to_owned() } else { names.join(" and ") };
    match OrtEngine::load(ort_lib) {
        Ok(engine) => engines.push(Box::new(engine)),
        Err(error) if ort_lib.is_none() && is_plain_absence(&error) => {
            errln!("self-test on {} only: no ONNX Runtime library found", only);
        }
        Err(error) if ort_lib.is_some() => return Err(error.into()),
        Err(error) => errln!("self-test on {} only: {}", only, failure::message(&error.into())),
    }
    let (mut failed, mut tested) = (false, false);
    for engine in &engines {
        for kind in GraphKind::ALL {
            match selftest::run_if_possible(engine.as_ref(), bundle, kind, &SessionOptions::default()) {
                Ok(None) => {}
                Ok(Some(report)) => {
                    outln!("self-test on {} ({}), {kind} graph: {report}", report.engine, report.provider)?;
                    failed |= !report.passed;
                    tested = true;
                }
                Err(error) => {
                    outln!(
                        "self-test on {}, {kind} graph: FAILED: {}",
                        engine.name(),
                        failure::message(&error.into())
                    )?;
                    failed = true;
                }
            }
        }
    }
    if failed {
        errln!("error: the bundle was written, but an engine does not compute what it should");
        return Ok(Exit::AnswerFailed);
    }
    if !tested {
        errln!("warning: NOT TESTED: no engine here runs these graphs; run `trm doctor` where one does");
    }
    Ok(Exit::Done)
}
