//! Records what an engine of this machine computes for fresh puzzles, as goldens that `trm parity` compares another
//! machine with: `cargo xtask cross-compare` runs both.
//!
//! ```text
//! record MODEL ENGINE PUZZLES STEPS ROWS FOLDER
//! record --judge FOLDER…
//! ```
//!
//! `ROWS` puzzles go into a folder of their own, `FOLDER/000-009`, with the `outputs.safetensors` and `manifest.json` of a
//! golden and, in `largest.json`, the largest logits in it. The folders are printed; one that is there already is left as
//! it is.
//!
//! `--judge` writes into the `manifest.json` of goldens what is judged of them, where they are of the form before that:
//! `cargo xtask goldens` runs it.
#![expect(clippy::print_stdout, reason = "for developers, who see a panic where they close the pipe")]

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use trm_engine::{ActStep, SessionOptions, StepSession, registry};
use trm_puzzles::seeded;
use trm_solver::Model;
use trm_solver::parity::{Golden, Judge, JudgedStep, Quantity, RECORDED_STEPS};

/// Seed of the puzzles.
const SEED: u64 = 2026;
/// Largest difference allowed, by the largest logit where that is above 1: as in `xtask/src/cross/compare.rs`.
const TOLERANCE: f64 = 1e-4;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((_, folders)) = arguments.split_first().filter(|(first, _)| *first == "--judge") {
        return folders.iter().try_for_each(|folder| write_judge(Path::new(folder)));
    }
    let [model, engine, puzzles, steps, rows, folder] = arguments.as_slice() else {
        bail!("usage: record MODEL ENGINE PUZZLES STEPS ROWS FOLDER, or record --judge FOLDER…");
    };
    let (model, folder) = (Model::open(model)?, Path::new(folder));
    let Some(engine) = registry::find(engine) else {
        let known: Vec<&str> = registry::ALL.iter().map(|entry| entry.name).collect();
        bail!("there is no engine {engine:?}\nhint: one of {}", known.join(", "));
    };
    let engine = (engine.open)(None)?;
    let (puzzles, steps, rows): (usize, usize, usize) = (puzzles.parse()?, steps.parse()?, rows.parse()?);
    ensure!(puzzles > 0 && steps > 0 && rows > 0, "puzzles, steps and rows must be more than none");

    let tokens = fresh_puzzles(&model, puzzles)?;
    for (number, tokens) in tokens.chunks(rows).enumerate() {
        let first = number * rows;
        let golden = folder.join(format!("{first:03}-{:03}", first + tokens.len() - 1));
        if !golden.join("largest.json").is_file() {
            let options = SessionOptions { batch: tokens.len(), want_logits: true, ..SessionOptions::default() };
            let mut session = engine.load_step(model.bundle(), &options)?;
            fs::create_dir_all(&golden).with_context(|| format!("cannot create {}", golden.display()))?;
            record(session.as_mut(), tokens.concat(), steps, &golden)?;
        }
        println!("{}", golden.display());
    }
    Ok(())
}

/// Puzzles of the model's task as tokens, always the same.
fn fresh_puzzles(model: &Model, count: usize) -> Result<Vec<Vec<i32>>> {
    let generator = model.kind().generator()?;
    let generator = generator.with_context(|| format!("nothing makes puzzles for {}", model.name()))?;
    let mut rng = seeded(SEED);
    (0..count).map(|_| Ok(model.task().encode(&generator.generate(&mut rng)?.puzzle)?)).collect()
}

/// Runs every step of the rows and writes what came out.
fn record(session: &mut dyn StepSession, tokens: Vec<i32>, steps: usize, golden: &Path) -> Result<()> {
    let (rows, cells, vocabulary) = (session.batch(), session.config().seq_len, session.config().vocab_size);
    let shape = |name: &str| match name {
        "inputs" => vec![rows, cells],
        "puzzle_identifiers" => vec![rows],
        "q_halt_logits" | "q_continue_logits" => vec![steps, rows],
        _ => vec![rows, cells, vocabulary],
    };
    let integers = |numbers: &[i32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let puzzle_ids = vec![0; rows];
    let mut tensors: Vec<(String, Dtype, Vec<u8>)> = vec![
        ("inputs".to_owned(), Dtype::I32, integers(&tokens)),
        ("puzzle_identifiers".to_owned(), Dtype::I32, integers(&puzzle_ids)),
    ];
    let (mut q_halt, mut q_continue, mut largest): (Vec<f32>, Vec<f32>, f32) = (Vec::new(), Vec::new(), 0.0);
    let mut input = ActStep::first(tokens, puzzle_ids);
    for step in 1..=steps {
        let output = session.step(&input)?;
        input.reset.fill(false);
        q_halt.extend(output.q_halt);
        q_continue.extend(output.q_continue);
        if let Some(logits) = output.logits.filter(|_| RECORDED_STEPS.contains(&step)) {
            largest = size(&logits).max(largest);
            tensors.push((format!("logits_step{step:02}"), Dtype::F32, floats(&logits)));
        }
    }
    let limit = |largest: f32| TOLERANCE * f64::from(largest).max(1.0);
    let limits = (limit(largest), limit(size(&q_halt).max(size(&q_continue))));
    let largest = json!({"puzzles": rows, "logit": largest, "q_halt": size(&q_halt)});
    tensors.push(("q_halt_logits".to_owned(), Dtype::F32, floats(&q_halt)));
    tensors.push(("q_continue_logits".to_owned(), Dtype::F32, floats(&q_continue)));
    let views = tensors
        .iter()
        .map(|(name, dtype, data)| Ok((name, TensorView::new(*dtype, shape(name), data)?)))
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, &golden.join("outputs.safetensors"))?;
    let recorded = Golden::open(golden)?.with_judge(judge(steps, limits))?;
    fs::write(golden.join("manifest.json"), json!({"judge": recorded.judge_with_digests()?}).to_string())?;
    // The last, since it says that the folder is whole.
    fs::write(golden.join("largest.json"), largest.to_string())?;
    Ok(())
}

/// The judged parts of a recording: the signals at every step, logits and answers where they are recorded.
fn judge(steps: usize, (logits, signal): (f64, f64)) -> Judge {
    let row = |step| {
        let mut row = JudgedStep { step, ..JudgedStep::default() };
        row.limits.extend([(Quantity::QHalt, signal), (Quantity::QContinue, signal)]);
        if RECORDED_STEPS.contains(&step) {
            row.limits.extend([(Quantity::Logits, logits), (Quantity::Answer, 0.0)]);
        }
        row
    };
    let how = format!("{TOLERANCE:.0e} of the largest number, at least of 1, between two machines");
    Judge::new(how, (1..=steps).map(row).collect())
}

/// Writes what is judged of a golden into its manifest, digests included, unless that is there already. Nothing else in
/// the file changes.
fn write_judge(folder: &Path) -> Result<()> {
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    if manifest.get("judge").is_some() {
        return Ok(());
    }
    let judge = Golden::open(folder)?.judge_with_digests()?;
    let judge = judge.with_context(|| format!("{} does not say what is judged", path.display()))?;
    let section = serde_json::to_string(&judge)?;
    let rest = text.trim_start().strip_prefix('{').context("no object")?;
    let unfinished = folder.join("manifest.json.new");
    fs::write(&unfinished, format!("{{\n \"judge\": {section},{rest}"))?;
    Ok(fs::rename(&unfinished, &path)?)
}

/// The largest absolute value.
fn size(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |largest, number| largest.max(number.abs()))
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
