//! `trm models`: what is shipped, and what each model takes.

use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{Exit, console};
use trm_models::SHIPPED;
use trm_solver::{Model, model};

/// List the shipped models, and the puzzles that each takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// A model.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub(crate) struct JsonModel<'a> {
    name: &'a str,
    task: &'static str,
    /// True if it takes puzzles of every size.
    any_size: bool,
    /// The puzzles that it takes, in words.
    takes: String,
    mixer: String,
    precision: String,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let opened = SHIPPED.iter().map(|shipped| Model::open(shipped.name)).collect::<Result<Vec<_>, _>>()?;
    let rows = opened.iter().map(|model| JsonModel {
        name: model.name(),
        task: model.task().name(),
        any_size: model.only_kind().is_none(),
        takes: match model.only_kind() {
            Some(kind) => model::describe(&kind),
            None => format!("{} of any size", model.task().name()),
        },
        mixer: model.config().mixer.to_string(),
        precision: model.bundle().manifest().precision.to_string(),
    });
    let rows = rows.collect::<Vec<_>>();
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &rows).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    let widest = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in &rows {
        writeln!(out, "{:widest$}  {}  ({}, {})", row.name, row.takes, row.mixer, row.precision)?;
    }
    Ok(Exit::Done)
}
