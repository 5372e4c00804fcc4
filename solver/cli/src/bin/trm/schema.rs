//! `trm schema`: the JSON Schema of what commands print for programs, made of the types that are printed.

use std::io::Write;

use clap::ValueEnum;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use trm_cli::{Exit, console};

/// Print the JSON Schema (draft 2020-12) of what a command prints with --json.
///
/// Keys may be added in later versions. Those that are there keep their names and their meaning.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command
    command: Printed,
}

/// A command that prints JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// An object for each puzzle
    Solve,
    /// An object for each puzzle, with --hint
    Hint,
    /// The plan between two points
    Plan,
    /// The summary of what was made of recordings
    Drives,
    /// The measurement of a model
    Eval,
    /// A puzzle a line
    Generate,
    /// The list of dialects
    Formats,
    /// The list of shipped models
    Models,
}

impl Printed {
    fn schema(self) -> Schema {
        match self {
            Self::Solve => schema_of::<crate::output::JsonReport<'_>>(),
            Self::Hint => schema_of::<crate::solve::JsonHint<'_>>(),
            Self::Plan => schema_of::<crate::plan::JsonPlan<'_>>(),
            Self::Drives => schema_of::<crate::drives::JsonSummary>(),
            Self::Eval => schema_of::<crate::eval::JsonReport<'_>>(),
            Self::Generate => schema_of::<crate::generate::JsonExample>(),
            Self::Formats => schema_of::<Vec<crate::reading::JsonDialect>>(),
            Self::Models => schema_of::<Vec<crate::models::JsonModel<'_>>>(),
        }
    }
}

fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = console::stdout();
    serde_json::to_writer_pretty(&mut out, &args.command.schema()).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(Exit::Done)
}
