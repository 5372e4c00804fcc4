//! `trm dataset`: data sets of the public training code, from ARC tasks, tables of puzzles, or generators.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use trm_cli::{Exit, InvalidOption, console, errln};
use trm_intake::Printable;
use trm_puzzles::formats::{Family, Reading, arc_subset};
use trm_puzzles::{ArcRecipe, DataSetWriter, Distinct, Example, Labelled, PuzzleError, PuzzleKind, PuzzleRecipe};

use crate::generate::{Kind as Generator, Ratings};
use crate::task::Size;

/// Write a data set of the public training code: `train/` and `test/` with their arrays, `identifiers.json`, and for ARC
/// `test_puzzles.json`.
///
/// The same inputs, options and seed give the same files on every machine. The folder appears when it is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kind of puzzle
    #[arg(value_name = "KIND")]
    kind: Kind,
    /// Files or folders to train on; of ARC also those that are asked: folders of ARC-AGI-1 and 2, ConceptARC or MiniARC, Kaggle's
    /// `*_challenges.json`
    #[arg(long, value_name = "PATH", num_args = 1.., required_unless_present = "generate", conflicts_with = "generate")]
    from: Vec<PathBuf>,
    /// New folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Augmented copies of each puzzle that is trained on [default: 1000 for arc, else 0]
    ///
    /// Of ARC tasks those of the test set have copies as well. A maze has 7, or 3 where height and width differ.
    #[arg(long, value_name = "N")]
    augment: Option<usize>,
    /// Seed of choices, order and copies
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    seed: u32,
    /// Subsets whose test inputs are asked for, by the name of the folder, or the word before `_challenges.json`
    /// [default: evaluation, evaluation2]
    #[arg(long, value_name = "NAME", num_args = 1.., help_heading = "ARC")]
    test_set: Vec<String>,
    #[command(flatten)]
    puzzles: PuzzleArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sudokus and mazes")]
struct PuzzleArgs {
    /// Files to test on
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "generate")]
    test: Vec<PathBuf>,
    /// Choose so many puzzles to train on at random
    #[arg(long, value_name = "N")]
    subsample: Option<usize>,
    /// Leave out puzzles with a lower rating, as the table has it
    #[arg(long, value_name = "N", conflicts_with = "generate")]
    min_rating: Option<u32>,
    /// Generate puzzles of this kind, no two alike, instead of reading any
    #[arg(long, value_name = "KIND")]
    generate: Option<Generator>,
    /// Of generated ones: rows and columns
    #[arg(long, value_name = "HxW", default_value = "9x9", requires = "generate")]
    size: Size,
    /// Of generated ones: puzzles to train on
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "generate")]
    count: usize,
    /// Of generated ones: puzzles to test on
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "generate")]
    test_count: usize,
    /// Of sudoku-rated: fewest and most guesses of an exhaustive search that propagates singles
    #[arg(long, value_name = "LEAST[-MOST]", default_value = "20", requires = "generate")]
    rating: Ratings,
}

/// The data sets that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// ARC tasks, as `build_arc_dataset.py` writes them
    Arc,
    /// Sudokus, as `build_sudoku_dataset.py` writes them
    Sudoku,
    /// Mazes, as `build_maze_dataset.py` writes them
    Maze,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    match args.kind {
        Kind::Arc => arc(args),
        Kind::Sudoku => puzzles(args, Family::Sudoku),
        Kind::Maze => puzzles(args, Family::Maze),
    }?;
    Ok(Exit::Done)
}

fn progress_bar(unit: &str) -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::with_draw_target(None, console::progress_target());
    if let Ok(style) = ProgressStyle::with_template(&format!("{{spinner}} {{pos}} {unit}, {{elapsed}}, {{msg}}")) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Refuses an option that the kind of data set does not have.
fn refuse(given: bool, option: &'static str, kinds: &str) -> Result<(), InvalidOption> {
    let reason = format!("is for {kinds} only");
    if given { Err(InvalidOption { option, reason, hint: Some("leave it out".to_owned()) }) } else { Ok(()) }
}

fn arc(args: &Args) -> Result<()> {
    let PuzzleArgs { test, subsample, min_rating, generate, .. } = &args.puzzles;
    refuse(!test.is_empty(), "--test", "sudokus and mazes")?;
    refuse(subsample.is_some(), "--subsample", "sudokus and mazes")?;
    refuse(min_rating.is_some(), "--min-rating", "sudokus and mazes")?;
    refuse(generate.is_some(), "--generate", "sudokus and mazes")?;
    let mut subsets = Vec::new();
    for path in &args.from {
        subsets.extend(arc_subset::read(path)?);
    }
    let defaults = ArcRecipe::default();
    let test_sets = if args.test_set.is_empty() { defaults.test_sets } else { args.test_set.clone() };
    if !subsets.iter().any(|subset| test_sets.contains(&subset.name)) {
        let names = |names: &mut dyn Iterator<Item = &String>| {
            names.map(|name| Printable(name).to_string()).collect::<Vec<_>>().join(", ")
        };
        return Err(InvalidOption {
            option: "--test-set",
            reason: format!(
                "none of the subsets {} is called {}",
                names(&mut subsets.iter().map(|subset| &subset.name)),
                names(&mut test_sets.iter())
            ),
            hint: Some("name the subset whose test inputs the model is to be asked for".to_owned()),
        }
        .into());
    }
    let recipe =
        ArcRecipe { test_sets, augmentations: args.augment.unwrap_or(defaults.augmentations), seed: args.seed };
    let bar = progress_bar("parts");
    let report = recipe.write(&subsets, &args.out, &mut |done, parts| {
        bar.set_position(done as u64);
        bar.set_message(format!("{} %", done * 100 / parts.max(1)));
    })?;
    bar.finish_and_clear();
    writeln!(
        console::stdout(),
        "wrote {} tasks, {} of them in the test set, with {} identifiers to {}",
        report.tasks,
        report.asked,
        report.identifiers,
        args.out.display()
    )?;
    if report.short > 0 {
        errln!("{} tasks have fewer different copies than {}", report.short, recipe.augmentations);
    }
    if report.unknown > 0 {
        errln!("{} test inputs have no known answer: one black cell stands for each", report.unknown);
    }
    Ok(())
}

fn puzzles(args: &Args, family: Family) -> Result<()> {
    refuse(!args.test_set.is_empty(), "--test-set", "ARC")?;
    let bar = progress_bar("puzzles");
    let (kind, train, test) = match args.puzzles.generate {
        Some(generator) => generated(args, generator, family, &bar),
        None => read(args, family, &bar),
    }?;
    bar.finish_and_clear();
    let kind = trm_solver::model::describe(&kind);
    let out = args.out.display();
    Ok(writeln!(console::stdout(), "wrote {train} puzzles to train on and {test} to test on to {out}: {kind}")?)
}

/// Writes puzzles of a generator.
fn generated(
    args: &Args,
    generator: Generator,
    family: Family,
    bar: &ProgressBar,
) -> Result<(PuzzleKind, usize, usize)> {
    let options = &args.puzzles;
    let kind = generator.task(options.size)?;
    if Reading::of(kind).family != Some(family) {
        let reason = format!("{} makes no puzzles for a data set of {family}s", generator.name());
        return Err(InvalidOption { option: "--generate", reason, hint: None }.into());
    }
    let recipe = recipe(args, kind)?;
    let generator = generator.generator("trm dataset", kind, options.rating)?;
    let mut puzzles = counted(Distinct::new(generator, args.seed.into()), bar);
    let writer = DataSetWriter::create(&args.out)?;
    let split = |name| writer.split(name, kind.task().as_ref(), 1);
    let train = recipe.write(kind, puzzles.by_ref().take(options.count), split("train")?)?;
    let test = tested(recipe).write(kind, puzzles.take(options.test_count), split("test")?)?;
    writer.finish(std::iter::empty())?;
    Ok((kind, train, test))
}

/// Writes puzzles of files.
fn read(args: &Args, family: Family, bar: &ProgressBar) -> Result<(PuzzleKind, usize, usize)> {
    let options = &args.puzzles;
    let reading = Reading { family: Some(family), ..Reading::default() };
    let labelled = |files, kind| Labelled::new(files, reading, options.min_rating, kind);
    let mut puzzles = labelled(&args.from, None);
    let kind = puzzles.kind()?;
    let recipe = recipe(args, kind)?;
    let writer = DataSetWriter::create(&args.out)?;
    let split = |name| writer.split(name, kind.task().as_ref(), 1);
    let train = recipe.write(kind, counted(puzzles, bar), split("train")?)?;
    let test = if options.test.is_empty() {
        0
    } else {
        tested(recipe).write(kind, counted(labelled(&options.test, Some(kind)), bar), split("test")?)?
    };
    writer.finish(std::iter::empty())?;
    Ok((kind, train, test))
}

fn counted<'a>(
    examples: impl Iterator<Item = Result<Example, PuzzleError>> + 'a,
    bar: &'a ProgressBar,
) -> impl Iterator<Item = Result<Example, PuzzleError>> + 'a {
    examples.inspect(|_| bar.inc(1))
}

/// The recipe of the puzzles that are trained on.
fn recipe(args: &Args, kind: PuzzleKind) -> Result<PuzzleRecipe, InvalidOption> {
    let augmentations = args.augment.unwrap_or(0);
    match PuzzleRecipe::most_augmentations(kind) {
        Some(most) if augmentations > most => Err(InvalidOption {
            option: "--augment",
            reason: format!("{} has {most} copies of itself, not {augmentations}", trm_solver::model::describe(&kind)),
            hint: None,
        }),
        _ => Ok(PuzzleRecipe { subsample: args.puzzles.subsample, augmentations, seed: args.seed.into() }),
    }
}

/// The recipe of the puzzles that are tested on: all of them, as they are.
fn tested(recipe: PuzzleRecipe) -> PuzzleRecipe {
    PuzzleRecipe { subsample: None, augmentations: 0, ..recipe }
}
