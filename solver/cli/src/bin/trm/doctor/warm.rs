//! `trm doctor --warm`: has TensorRT compile a bundle's engines now, so that no later start waits for it.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::backend::DeviceArgs;
use trm_cli::{Exit, InvalidOption, console, errln};
use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice, default_cache_dir};
use trm_engine::{ActStep, Engine, SessionOptions};
use trm_models::ModelBundle;
use trm_solver::Model;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    cache_dir: PathBuf,
    engines: Vec<Warmed>,
    /// Files in the cache now, those of other bundles included.
    files: usize,
    /// Their size.
    bytes: u64,
}

/// One compiled engine.
#[derive(Debug, Serialize)]
struct Warmed {
    bundle: String,
    batch: usize,
    /// Seconds to load the step graph and run one step, compiling what the cache did not hold.
    first_s: f64,
    /// Seconds of the same again, as later starts will take.
    again_s: f64,
}

/// Compiles the step graph of each bundle for each number of rows: an engine is for one.
///
/// # Errors
/// TensorRT does not work here, a bundle cannot be opened, or the cache folder cannot be written.
pub(super) fn run(bundles: &[String], batches: &[u32], device: &DeviceArgs, json: bool) -> Result<Exit> {
    let models = bundles.iter().map(|name| Model::open(name)).collect::<Result<Vec<_>, _>>()?;
    let cache_dir = device.cache_dir.clone().or_else(default_cache_dir).ok_or_else(|| InvalidOption {
        option: "--cache-dir",
        reason: "there is no folder for compiled engines: HOME is not set".to_owned(),
        hint: Some("name one, and give it to `trm solve` as well".to_owned()),
    })?;
    let ort = OrtEngine::load(device.ort_lib.as_deref())?;
    let mut report = Report { cache_dir, engines: Vec::new(), files: 0, bytes: 0 };
    let all = models.len() * batches.len();
    for model in &models {
        for &batch in batches {
            let batch = batch as usize;
            let bar = progress_bar(report.engines.len() + 1, all, model.name(), batch);
            let first_s = start(&ort, model.bundle(), batch, device)?;
            let again_s = start(&ort, model.bundle(), batch, device)?;
            bar.finish_and_clear();
            report.engines.push(Warmed { bundle: model.name().to_owned(), batch, first_s, again_s });
        }
    }
    (report.files, report.bytes) = size_of(&report.cache_dir)?;
    let mut out = console::stdout();
    if json {
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        report.write(&mut out)?;
    }
    Ok(Exit::Done)
}

/// Loads the step graph on TensorRT and runs a step, which is when the last engines are compiled; in seconds.
fn start(ort: &OrtEngine, bundle: &ModelBundle, batch: usize, device: &DeviceArgs) -> Result<f64> {
    let started = Instant::now();
    let options = SessionOptions {
        batch,
        provider: ProviderChoice::Only(ExecutionProvider::TensorRt),
        provider_options: device.provider_options(),
        ..SessionOptions::default()
    };
    let mut session = ort.load_step(bundle, &options)?;
    session.step(&ActStep::first(vec![0; batch * session.config().seq_len], vec![0; batch]))?;
    Ok(started.elapsed().as_secs_f64())
}

fn progress_bar(number: usize, all: usize, bundle: &str, batch: usize) -> ProgressBar {
    // TensorRT does not say how far it is. Where no spinner can be drawn, a line says what takes so long.
    let message = format!("compiling {bundle} for {batch} rows ({number} of {all}; a minute or more)");
    let bar = ProgressBar::with_draw_target(None, console::progress_target()).with_message(message.clone());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        bar.set_style(style);
    }
    if bar.is_hidden() {
        errln!("{message}");
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Files of a folder and their size.
fn size_of(folder: &PathBuf) -> Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let metadata = entry?.metadata()?;
        if metadata.is_file() {
            (files, bytes) = (files + 1, bytes + metadata.len());
        }
    }
    Ok((files, bytes))
}

impl Report {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        for Warmed { bundle, batch, first_s, again_s } in &self.engines {
            writeln!(out, "{bundle}, {batch} rows: {first_s:.1} s to the first step, {again_s:.1} s from now on")?;
        }
        writeln!(
            out,
            "{} holds {} files, {:.1} MiB; they are for this GPU, TensorRT and ONNX Runtime only",
            self.cache_dir.display(),
            self.files,
            self.bytes as f64 / f64::from(1 << 20)
        )
    }
}
