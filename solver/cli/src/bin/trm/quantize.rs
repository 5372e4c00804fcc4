//! `trm quantize`: a bundle in a smaller precision, if it holds.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::{Exit, console, errln};
use trm_engine::ort::OrtEngine;
use trm_export::checkpoint::StateDict;
use trm_export::trm::GraphOptions;
use trm_export::trm::quantize::Activations;
use trm_export::{BundleRequest, Sample, export_bundle};
use trm_models::{MANIFEST, Measured, ModelBundle, ModelError, Precision};
use trm_puzzles::{DataSet, IGNORE_LABEL, PuzzleKind, Task, seeded};
use trm_solver::quantize::{Fidelity, QuantizeOptions, Quantized, Share, StepFidelity, Subject, Target, quantize};
use trm_solver::{Model, Question};

use crate::export;
use crate::generate::{Kind, Ratings};

/// Turn a bundle into one of smaller precision, if it solves as many puzzles as before.
///
/// The model is calibrated on puzzles, rescaled so that 8 bits suffice, quantised, and compared with itself in float32 on
/// puzzles that calibration did not see. If more is lost than --max-loss allows, nothing is written and the exit code is 1.
/// Needs ONNX Runtime and the bundle's weights.safetensors.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A bundle's folder
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Precision of the new bundle
    #[arg(long, value_name = "PRECISION")]
    precision: PrecisionName,
    /// How activations become integers
    #[arg(long, value_name = "FORM", default_value = "dynamic")]
    activations: ActivationsName,
    /// Folder of the new bundle
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the new model; the old one's with the precision unless given
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Data set to calibrate on; fresh generated puzzles unless given
    #[arg(long, value_name = "DIR")]
    calibrate: Option<PathBuf>,
    /// Data set to judge by, none of whose puzzles may be in the other; fresh generated puzzles unless given
    #[arg(long, value_name = "DIR")]
    held_out: Option<PathBuf>,
    /// Most puzzles to calibrate on
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    calibration_count: u32,
    /// Most puzzles to judge by
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// Points that may be lost, of exact answers and of valid ones
    #[arg(long, value_name = "POINTS", default_value_t = 1.0)]
    max_loss: f64,
    /// Seed of generated puzzles
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Replace a bundle that is there
    #[arg(long)]
    overwrite: bool,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    /// Every product in 8 bits
    Int8,
    /// As many products in 8 bits as hold
    Mixed,
    /// 16-bit floats, for GPUs
    Fp16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ActivationsName {
    /// By each tensor's own range: most accurate; engines run such graphs a row at a time
    Dynamic,
    /// By ranges from calibration, as `QuantizeLinear` and `DequantizeLinear`: the form that TensorRT takes
    Static,
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report<'a> {
    bundle: String,
    precision: Precision,
    passed: bool,
    max_loss: f64,
    exponent: Option<f32>,
    /// Products that went back to float32, with the carry's cosine when they alone are quantised.
    in_float: &'a [(String, f64)],
    held_out: String,
    fidelity: &'a Fidelity,
    /// Size of the new bundle by the old one's; none where it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<f64>,
    /// The new bundle; none where it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.out.join(MANIFEST).is_file() && !args.overwrite {
        return Err(ModelError::BundleExists { path: args.out.clone() }.into());
    }
    if !(0.0..=100.0).contains(&args.max_loss) {
        bail!("--max-loss: {} is no number of points from 0 to 100", args.max_loss);
    }
    args.name.as_deref().map(export::check_name).transpose()?;
    let model = Model::new(ModelBundle::open(&args.bundle)?)?;
    if model.bundle().manifest().precision != Precision::Float32 {
        bail!(
            "{} is {} already\nhint: quantise the bundle that it was made of",
            args.bundle.display(),
            model.bundle().manifest().precision
        );
    }
    let weights = StateDict::of_bundle(model.bundle())?;
    let task: Arc<dyn Task> = model.task().into();
    let [calibration, held_out] = args.puzzles(&model, task.as_ref())?;
    let engine = OrtEngine::load(args.ort_lib.as_deref())?;

    let subject = Subject {
        name: model.name(),
        config: model.config(),
        weights: &weights,
        task: task.as_ref(),
        calibration: &calibration.questions,
        held_out: &held_out.questions,
    };
    let target = match args.precision {
        PrecisionName::Int8 => Target::Int8,
        PrecisionName::Mixed => Target::Mixed,
        PrecisionName::Fp16 => Target::Fp16,
    };
    let activations = match args.activations {
        ActivationsName::Dynamic => Activations::Dynamic,
        ActivationsName::Static => Activations::Static,
    };
    let options = QuantizeOptions { target, activations, max_loss: args.max_loss / 100.0 };
    let bar = progress_bar();
    let quantized = quantize(&engine, &subject, &options, &mut |doing| {
        bar.set_message(doing.to_owned());
        if bar.is_hidden() {
            errln!("{doing}");
        }
    })?;
    bar.finish_and_clear();

    let passed = quantized.fidelity.passed(options.max_loss);
    let mut report = Report {
        bundle: model.bundle().label(),
        precision: quantized.graph_options().precision(model.config()),
        passed,
        max_loss: args.max_loss,
        exponent: quantized.exponent,
        in_float: &quantized.in_float,
        held_out: held_out.origin.clone(),
        fidelity: &quantized.fidelity,
        size: None,
        written: None,
    };
    if passed {
        let written = args.write(&model, &quantized, &report)?;
        let bytes = |bundle: &ModelBundle| {
            let manifest = bundle.manifest();
            manifest.file_names().filter_map(|name| manifest.hash(name)).map(|hash| hash.bytes).sum::<u64>()
        };
        report.size = Some(bytes(&written) as f64 / bytes(model.bundle()) as f64);
        report.written = Some(written.label());
    }
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        out.write_all(report.text().as_bytes())?;
    }
    if !passed {
        errln!(
            "error: more than {} points were lost: nothing was written\n\
             hint: --precision mixed leaves the most sensitive products in float32; --calibration-count takes more puzzles",
            args.max_loss
        );
        return Ok(Exit::AnswerFailed);
    }
    Ok(Exit::Done)
}

fn progress_bar() -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::with_draw_target(None, console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Puzzles with where they come from.
struct Puzzles {
    questions: Vec<Question>,
    origin: String,
}

impl Args {
    /// Puzzles to calibrate on and others to judge by.
    fn puzzles(&self, model: &Model, task: &dyn Task) -> Result<[Puzzles; 2]> {
        let (few, many) = (self.calibration_count as usize, self.count as usize);
        let calibration = match &self.calibrate {
            Some(dir) => of_data_set(dir, model, task, few)?,
            None => generated(model, task, few, self.seed)?,
        };
        let held_out = match &self.held_out {
            Some(dir) => of_data_set(dir, model, task, many)?,
            None => generated(model, task, many, self.seed.wrapping_add(1))?,
        };
        Ok([calibration, held_out])
    }

    fn write(&self, model: &Model, quantized: &Quantized, report: &Report<'_>) -> Result<ModelBundle> {
        let manifest = model.bundle().manifest();
        let test = model.bundle().self_test()?;
        let name = self.name.clone().unwrap_or_else(|| format!("{}-{}", manifest.name, report.precision));
        let last = report.fidelity.steps.last().context("no step was measured")?;
        let command = format!("trm quantize {} --precision {}", manifest.name, report.precision);
        let measured = |what: &str, share: Option<Share>| {
            share.map(|share| Measured {
                what: format!("{what}, {}", report.held_out),
                value: share.after,
                interval: None,
                n: report.fidelity.puzzles,
                command: command.clone(),
            })
        };
        // The rows of the table keep their names.
        let names = manifest.identities.as_ref().and_then(|identities| identities.names.as_ref());
        let names = names.map(|file| Ok::<_, ModelError>((file.clone(), model.bundle().file(file)?.into_owned())));
        let names = names.transpose()?;
        let request = BundleRequest {
            name,
            task: manifest.task.clone(),
            config: &manifest.config,
            weights: &quantized.weights,
            graphs: manifest.graphs.keys().copied().collect(),
            options: GraphOptions { target: manifest.target, ..quantized.graph_options() },
            sample: Sample { tokens: test.tokens, puzzle_ids: test.puzzle_ids },
            training_data: manifest.training_data.clone(),
            licence: manifest.licence.clone(),
            accuracy: [measured("exact", last.exact), measured("valid", last.valid)].into_iter().flatten().collect(),
            checkpoint: manifest.checkpoint.clone(),
            configuration: manifest.configuration.clone(),
            identities: manifest.identities.clone(),
            with_weights: false,
            notes: Some(format!("## Against {} in float32\n\n{}", manifest.name, report.text())),
            files: names.into_iter().collect(),
        };
        Ok(export_bundle(request, &self.out, self.overwrite)?)
    }
}

/// The first rows of a data set.
fn of_data_set(dir: &Path, model: &Model, task: &dyn Task, count: usize) -> Result<Puzzles> {
    let data = DataSet::read(dir)?;
    let (found, config) = (&data.metadata, model.config());
    if (found.seq_len, found.vocab_size) != (config.seq_len, config.vocab_size) {
        bail!(
            "{} has seq_len {} and vocab_size {}, the model {} has {} and {}",
            dir.display(),
            found.seq_len,
            found.vocab_size,
            model.name(),
            config.seq_len,
            config.vocab_size
        );
    }
    let questions = (0..data.len().min(count)).filter_map(|index| {
        let label = data.label(index)?.to_vec();
        let label = label.iter().any(|&token| token != IGNORE_LABEL).then_some(label);
        Some(Question::from_tokens(task, data.input(index)?.to_vec(), data.puzzle_identifiers[index], label))
    });
    let questions = questions.collect::<Result<Vec<_>, _>>()?;
    if questions.is_empty() {
        bail!("{} holds no puzzle", dir.display());
    }
    Ok(Puzzles { origin: format!("{} puzzles of {}", questions.len(), dir.display()), questions })
}

/// Fresh puzzles of the model's task and size: mazes of every layout, sudokus easy and hard in turn where hard ones exist.
fn generated(model: &Model, task: &dyn Task, count: usize, seed: u64) -> Result<Puzzles> {
    let kinds: &[Kind] = match model.kind() {
        PuzzleKind::Maze(_) => &[Kind::Maze],
        // Every 4x4 sudoku with one solution is solved by singles.
        PuzzleKind::Sudoku(_) if model.config().seq_len <= 16 => &[Kind::SudokuEasy],
        PuzzleKind::Sudoku(_) => &[Kind::SudokuEasy, Kind::SudokuHard],
        other @ (PuzzleKind::Arc(_) | PuzzleKind::Tokens(_)) => bail!(
            "no puzzles can be generated for {}, which solves a {}\nhint: --calibrate and --held-out take data sets",
            model.name(),
            trm_solver::model::describe(&other)
        ),
    };
    let generators = kinds
        .iter()
        .map(|kind| kind.generator(model.name(), model.kind(), Ratings::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut rng = seeded(seed);
    let mut questions = Vec::with_capacity(count);
    for generator in generators.iter().cycle().take(count) {
        let example = generator.generate(&mut rng)?;
        let label = task.encode(&example.solution)?;
        questions.push(Question::new(task, example.puzzle, 0)?.with_label(label));
    }
    let names = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(" and ");
    Ok(Puzzles { questions, origin: format!("{count} fresh puzzles ({names}, seed {seed})") })
}

impl Report<'_> {
    /// For people, in Markdown: it goes into the card as well.
    fn text(&self) -> String {
        let Fidelity { steps, loss, loss_interval: (low, high), .. } = self.fidelity;
        let percent = |share: f64| format!("{:.2} %", 100.0 * share);
        let pair = |share: &Option<Share>| {
            share.map_or_else(
                || "– | –".to_owned(),
                |share| format!("{} | {}", percent(share.before), percent(share.after)),
            )
        };
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{}: {}, on {}: {:.2} points lost (95 %: {:.2} to {:.2}); allowed are {}\n\n",
            self.bundle,
            self.precision,
            self.held_out,
            100.0 * loss,
            100.0 * low,
            100.0 * high,
            self.max_loss
        );
        text.push_str("| step | exact, float32 | exact | valid, float32 | valid | carry's cosine: mean | least |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for (index, StepFidelity { exact, valid, cosine, least_cosine }) in steps.iter().enumerate() {
            let number = index + 1;
            // Powers of two, and the last.
            if number.is_power_of_two() || number == steps.len() {
                let (exact, valid) = (pair(exact), pair(valid));
                let _ = writeln!(text, "| {number} | {exact} | {valid} | {cosine:.5} | {least_cosine:.5} |");
            }
        }
        if let Some(exponent) = self.exponent {
            let _ = writeln!(text, "\nSwiGLUs equalised with exponent {exponent}.");
        }
        if !self.in_float.is_empty() {
            let _ = writeln!(text, "In float32, with the carry's cosine when they alone are quantised:");
            for (name, cosine) in self.in_float {
                let _ = writeln!(text, "- `{name}`: {cosine:.5}");
            }
        }
        if let (Some(written), Some(size)) = (&self.written, self.size) {
            let _ = writeln!(text, "\n{written}: {:.1} % of the size", 100.0 * size);
        }
        text
    }
}
