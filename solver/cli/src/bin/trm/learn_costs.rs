//! `trm train --task costs`: what ground costs, learned from drives.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::{Exit, console, errln, interrupt};
use trm_export::cost_network::CostNetwork;
use trm_intake::Printable;
use trm_intake::file::write_atomically;
use trm_models::Measured;
use trm_plan::learned::{LayerKind, LayerSpec};
use trm_plan::{Drive, Robot};
use trm_solver::costs::{CostManifest, CostModel};
use trm_train::costs::{CostSettings, CostStep, CostWatch, LearnedCosts, Lesson, Likeness, learn_costs};

use crate::train::Args;

/// The task's name.
pub(crate) const TASK: &str = "costs";
/// The model in a run's folder.
const MODEL: &str = "model";
/// The settings in a run's folder.
const SETTINGS: &str = "settings.toml";
/// The share of like cells by which fine-tuning may be worse on held-out drives, and be kept.
const CHANCE: f64 = 0.01;
/// Steps of fine-tuning, unless it says otherwise, and its learning rate.
const FINE_TUNING: (usize, f64) = (300, 1e-3);

/// True if the arguments ask for this: the task, or a model of costs to begin with.
pub(crate) fn is_asked_for(args: &Args) -> bool {
    let from = args.from.as_deref().is_some_and(|from| CostModel::is_in(Path::new(from)));
    args.task.as_deref() == Some(TASK) || from
}

/// Result of a run.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    steps: usize,
    seconds: f64,
    drives: usize,
    left_out: &'a [String],
    /// True where too few drives left none to hold out.
    measured_on_its_own: bool,
    before: Likeness,
    after: Likeness,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> Result<Exit> {
    let Some(data) = &args.data else {
        bail!("costs are learned from drives\nhint: give them with --data drives.jsonl; `trm worlds` makes some up")
    };
    if args.config.is_some() || args.resume || !args.freeze.is_empty() || args.max_memory.is_some() {
        bail!(
            "costs are learned in minutes: a settings file, --resume, --freeze and --max-memory do not apply\nhint: --from {MODEL} goes on"
        );
    }
    let from = args.from.as_deref().map(|from| CostModel::open(Path::new(from))).transpose()?;
    let mut settings = CostSettings::default();
    if from.is_some() {
        (settings.steps, settings.lr) = FINE_TUNING;
    }
    for setting in &args.set {
        let (key, value) =
            setting.split_once('=').with_context(|| format!("--set {setting}: no `=`\nhint: --set steps=1000"))?;
        settings.set(key.trim(), value.trim())?;
    }
    let limit = match args.max_minutes {
        Some(minutes) if !(minutes.is_finite() && minutes > 0.0) => {
            bail!("--max-minutes {minutes}: expected minutes above 0")
        }
        limit => limit.map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
    };
    let robot = Robot { radius: args.radius.unwrap_or(Robot::default().radius), ..Robot::default() };
    let target = args.out.join(MODEL);
    if target.exists() && !CostModel::is_in(&target) {
        bail!("{} is there, and no model of costs\nhint: give another --out", target.display());
    }
    let lessons = Lesson::read(&Drive::read(data)?)?;
    let engine = args.engine.open()?;
    if verbose {
        errln!("{} drives, on ONNX Runtime {}", lessons.len(), trm_engine::Engine::version(&engine));
    }
    interrupt::listen()?;
    let bar = progress_bar(settings.steps);
    let mut watch = CostWatch {
        limit,
        step: &mut |step, _, done: CostStep| {
            bar.set_message(format!("excess {:.3}, mean level {:.2}", done.excess, done.level));
            bar.set_position(step as u64);
        },
        stop: &mut interrupt::requested,
    };
    let threads = args.engine.session_options().threads;
    let learned = learn_costs(&engine, &lessons, from.as_ref(), (&settings, &robot, threads), &mut watch);
    bar.finish_and_clear();
    let mut learned = learned?;
    for reason in &learned.left_out {
        errln!("warning: left out: {reason}");
    }
    if learned.after.shared < learned.before.shared {
        let than = if from.is_some() { "the model that it began with" } else { "ground that is all alike" };
        errln!(
            "warning: by what was learned, held-out drives are planned less alike than by {than}: more drives, or more steps?"
        );
    }
    let is_kept = from.is_none() || args.keep || learned.after.shared >= learned.before.shared - CHANCE;
    let model = is_kept.then(|| write(args, &mut learned, &settings, &target)).transpose()?;
    print(args, &learned, model)?;
    Ok(if learned.is_stopped { Exit::Interrupted } else { Exit::Done })
}

fn progress_bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(steps as u64), console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

fn write(args: &Args, learned: &mut LearnedCosts, settings: &CostSettings, target: &Path) -> Result<PathBuf> {
    let manifest = &mut learned.model.manifest;
    if let Some(name) = args.out.file_name().and_then(|name| name.to_str()) {
        name.clone_into(&mut manifest.name);
    }
    manifest.licence = args.licence.clone().unwrap_or_default();
    if let Some(file) = &args.measured {
        manifest.accuracy = crate::export::measured(file)?;
    }
    let card = card(manifest, &learned.after);
    learned.model.write(target, &card)?;
    let text = settings.to_toml()?;
    write_atomically(&args.out.join(SETTINGS), |file| file.write_all(text.as_bytes()))?;
    Ok(target.to_owned())
}

fn card(manifest: &CostManifest, after: &Likeness) -> String {
    let CostManifest { name, network, features, factor, training_data, licence, accuracy, .. } = manifest;
    let layers: Vec<_> = features.layers.iter().map(|layer| layer.name.as_str()).collect();
    let mut card = format!(
        "# {name}\n\nSays how dear each cell of a map is, for `trm plan --costs`.\n\n| | |\n| --- | --- |\n\
         | network | {} blocks of width {}, {} x ({} + 1) passes |\n| layers | {} |\n| cells | {} m |\n\
         | dearest | {factor} m beyond itself a metre |\n| training data | {training_data} |\n\
         | held-out drives | {:.1} % of the planned cells within two cells of {} drives |\n| licence | {licence} |\n",
        network.l_layers,
        network.hidden_size,
        network.h_cycles,
        network.l_cycles,
        if layers.is_empty() { "none".to_owned() } else { layers.join(", ") },
        features.cell,
        1e2 * after.shared,
        after.n,
    );
    if !accuracy.is_empty() {
        card.push_str("\n| measured | | n | command |\n| --- | --- | --- | --- |\n");
        let row = |Measured { what, value, n, command, .. }: &Measured| {
            format!("| {what} | {:.1} % | {n} | `{command}` |\n", 1e2 * value)
        };
        card.extend(accuracy.iter().map(row));
    }
    card
}

/// A class as people know it: a colour, or a grey value.
fn class_name(class: f32) -> String {
    if class > f32::from(u16::MAX) { format!("#{:06x}", class as u32) } else { class.to_string() }
}

/// Shows a model of costs to people.
pub(crate) fn describe(manifest: &CostManifest, out: &mut impl io::Write) -> io::Result<()> {
    let CostManifest { name, network, features, factor, weights, training_data, licence, producer, .. } = manifest;
    writeln!(out, "{}: says how dear each cell of a map is, for trm plan --costs", Printable(name))?;
    let CostNetwork { l_layers, hidden_size, h_cycles, l_cycles, .. } = network;
    writeln!(out, "  network    {l_layers} blocks of width {hidden_size}, {h_cycles} x ({l_cycles} + 1) passes")?;
    writeln!(out, "  weights    {} bytes, as their hash says", weights.bytes)?;
    writeln!(out, "  cells      {} m; the dearest costs {factor} m beyond itself a metre", features.cell)?;
    for LayerSpec { name, kind } in &features.layers {
        let kind = match kind {
            LayerKind::Classes(classes) => {
                let classes: Vec<_> = classes.iter().map(|&class| class_name(class)).collect();
                format!("{} classes: {}", classes.len(), classes.join(", "))
            }
            LayerKind::Range([least, most]) => format!("{least} to {most}"),
        };
        writeln!(out, "  layer      {}, {kind}", Printable(name))?;
    }
    if features.way {
        writeln!(out, "  way        costs are those of the way to a goal")?;
    }
    writeln!(out, "  trained on {}", Printable(training_data))?;
    writeln!(out, "  licence    {}, written by {}", Printable(licence), Printable(producer))
}

fn print(args: &Args, learned: &LearnedCosts, model: Option<PathBuf>) -> Result<()> {
    let mut out = console::stdout();
    if args.json {
        let outcome = Outcome {
            steps: learned.steps,
            seconds: learned.seconds,
            drives: learned.drives,
            left_out: &learned.left_out,
            measured_on_its_own: learned.is_measured_on_its_own,
            before: learned.before,
            after: learned.after,
            model,
        };
        serde_json::to_writer(&mut out, &outcome)?;
        return Ok(writeln!(out)?);
    }
    let LearnedCosts { steps, seconds, drives, before, after, .. } = learned;
    writeln!(out, "{steps} steps on {drives} drives in {seconds:.0} s")?;
    let of = if learned.is_measured_on_its_own { "the same drives" } else { "held-out drives" };
    writeln!(out, "{} {of:<16} before    after", after.n)?;
    writeln!(out, "  cells in common    {:>5.1} %   {:>5.1} %", 1e2 * before.shared, 1e2 * after.shared)?;
    writeln!(out, "  cells apart        {:>7.2}   {:>7.2}", before.hausdorff, after.hausdorff)?;
    match model {
        Some(model) => writeln!(out, "wrote {}", model.display())?,
        None => writeln!(out, "no model: the new weights are no better; --keep writes them all the same")?,
    }
    Ok(())
}
