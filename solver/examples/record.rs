//! Records what an engine of this machine computes for fresh puzzles, as goldens that `trm parity` compares another
//! machine with: `cargo xtask cross-compare` runs both.
//!
//! ```text
//! record MODEL tract|ort PUZZLES STEPS ROWS FOLDER
//! ```
//!
//! `ROWS` puzzles go into a folder of their own, `FOLDER/000-009`, with the `outputs.safetensors` of a golden and, in
//! `largest.json`, the largest logits in it. The folders are printed; one that is there already is left as it is.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use trm_puzzles::seeded;
use trm_solver::engine::ort::OrtEngine;
use trm_solver::engine::tract::TractEngine;
use trm_solver::parity::RECORDED_STEPS;
use trm_solver::{ActStep, Engine, Model, SessionOptions, StepSession};

/// Seed of the puzzles.
const SEED: u64 = 2026;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, engine, puzzles, steps, rows, folder] = arguments.as_slice() else {
        bail!("usage: record MODEL tract|ort PUZZLES STEPS ROWS FOLDER");
    };
    let (model, folder) = (Model::open(model)?, Path::new(folder));
    let engine: Box<dyn Engine> = match engine.as_str() {
        "tract" => Box::new(TractEngine),
        "ort" => Box::new(OrtEngine::load(None)?),
        other => bail!("there is no engine {other:?}\nhint: tract or ort"),
    };
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
    let (mut q_halt, mut q_continue, mut largest) = (Vec::new(), Vec::new(), 0.0);
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
    let largest = json!({"puzzles": rows, "logit": largest, "q_halt": size(&q_halt)});
    tensors.push(("q_halt_logits".to_owned(), Dtype::F32, floats(&q_halt)));
    tensors.push(("q_continue_logits".to_owned(), Dtype::F32, floats(&q_continue)));
    let views = tensors
        .iter()
        .map(|(name, dtype, data)| Ok((name, TensorView::new(*dtype, shape(name), data)?)))
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, &golden.join("outputs.safetensors"))?;
    // The last, since it says that the folder is whole.
    fs::write(golden.join("largest.json"), largest.to_string())?;
    Ok(())
}

/// The largest absolute value.
fn size(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |largest, number| largest.max(number.abs()))
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
