//! The vote among predictions for ARC tasks, from any program that makes them.
//!
//! `cargo run --release -p trm-puzzles --example arc_votes -- test_puzzles.json < predictions.jsonl` reads a prediction a line,
//! `{"name": "007bbfb7|||t4|||0213456789", "input": [900 tokens], "answer": [900 tokens], "q_halt": 1.5}`, and prints one object:
//! `tasks`, `pass_at` and the `submission` for Kaggle.
#![expect(clippy::print_stdout, reason = "an example")]

use std::error::Error;
use std::io::{BufRead as _, stdin};

use serde::Deserialize;
use serde_json::json;
use trm_puzzles::arc::{PASS_AT, Predictions};
use trm_puzzles::formats::arc_subset;

#[derive(Deserialize)]
struct Prediction {
    name: String,
    input: Vec<i32>,
    answer: Vec<i32>,
    q_halt: f32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("no file of tasks given")?;
    let tasks: Vec<_> = arc_subset::read(path.as_ref())?.into_iter().flat_map(|subset| subset.tasks).collect();
    let mut predictions = Predictions::default();
    for line in stdin().lock().lines() {
        let Prediction { name, input, answer, q_halt } = serde_json::from_str(&line?)?;
        predictions.add(&name, &input, &answer, q_halt)?;
    }
    let score = predictions.score(&tasks, &PASS_AT);
    let report = json!({"tasks": score.tasks, "pass_at": score.pass_at, "submission": predictions.submission(&tasks)});
    println!("{report}");
    Ok(())
}
