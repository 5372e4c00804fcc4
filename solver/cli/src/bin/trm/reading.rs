//! Options for inputs that do not say themselves how they are meant; and `trm formats`.

use std::io::Write;

use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{Exit, InvalidOption, console, errln};
use trm_intake::Printable;
use trm_puzzles::formats::{DIALECTS, Family, Numerals, Reading};
use trm_puzzles::{Puzzle, PuzzleKind, Sudoku};

use crate::task::Size;

/// Options for inputs that can be read in several ways.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Inputs that can be read in several ways")]
pub(crate) struct ReadingArgs {
    /// Kind of the puzzles: sudoku, maze or arc
    #[arg(long = "as", value_name = "KIND")]
    family: Option<Family>,
    /// Boxes of sudokus, rows x columns
    #[arg(long, value_name = "HxW", value_parser = boxes)]
    boxes: Option<Sudoku>,
    /// The character of a blank cell of sudokus
    #[arg(long, value_name = "CHARACTER")]
    blank: Option<char>,
    /// The first and last of the characters that stand for 1 to n in sudokus: 1-9, 0-8, A-I, 0-F, …
    #[arg(long, value_name = "FIRST-LAST", value_parser = symbols)]
    symbols: Option<Symbols>,
}

/// Characters that are said, and how many they are.
#[derive(Debug, Clone, Copy)]
struct Symbols {
    numerals: Numerals,
    count: usize,
}

fn boxes(text: &str) -> Result<Sudoku, String> {
    let Size { height, width } = text.parse()?;
    Sudoku::new(height, width).map_err(|error| error.to_string())
}

fn symbols(text: &str) -> Result<Symbols, String> {
    let numerals = match text.chars().next() {
        Some('1') => Some(Numerals::FromOne),
        Some('0') => Some(Numerals::FromZero),
        Some('A' | 'a') => Some(Numerals::Letters),
        _ => None,
    };
    let last = text.split_once('-').and_then(|(_, last)| last.parse().ok());
    let said = numerals.zip(last).and_then(|(numerals, last)| {
        let count = usize::from(numerals.value(last)?);
        text.eq_ignore_ascii_case(&numerals.range(count)).then_some(Symbols { numerals, count })
    });
    let said = said.ok_or("expected 1-9, 0-8, A-I or the like, beginning with 1, 0 or A")?;
    match Sudoku::with_side(said.count) {
        Some(_) => Ok(said),
        None => {
            Err(format!("these are {}, and no sudoku has so many: 4, 6, 8, 9, 10, 12, 15, 16, 20 or 25", said.count))
        }
    }
}

impl ReadingArgs {
    /// Returns what is said, completed by what a model takes.
    pub(crate) fn with(&self, model: Option<PuzzleKind>) -> Reading {
        let known = model.map(Reading::of).unwrap_or_default();
        Reading {
            family: self.family.or(known.family),
            boxes: self.boxes.or(known.boxes),
            blank: self.blank,
            symbols: self.symbols.map(|said| said.numerals),
            ..known
        }
    }

    /// Refuses a sudoku of another size than that of the boxes or of the symbols that are said.
    pub(crate) fn check(&self, puzzle: &Puzzle) -> Result<(), InvalidOption> {
        let PuzzleKind::Sudoku(task) = puzzle.kind else { return Ok(()) };
        let side = task.side();
        let refused = |option, said: String, of: usize| {
            let source = Printable(&puzzle.source);
            let reason = format!("{source}: {said} are a sudoku of {of}x{of}, this one is {side}x{side}");
            Err(InvalidOption { option, reason, hint: None })
        };
        match (self.boxes, self.symbols) {
            (Some(boxes), _) if boxes.side() != side => {
                refused("--boxes", format!("boxes of {}x{}", boxes.box_height(), boxes.box_width()), boxes.side())
            }
            (_, Some(Symbols { numerals, count })) if count != side => {
                refused("--symbols", format!("symbols {}", numerals.range(count)), count)
            }
            _ => Ok(()),
        }
    }

    /// Says on stderr how inputs were taken that do not say it themselves, of many alike once; true if there are any.
    pub(crate) fn note(puzzles: &[Puzzle]) -> bool {
        let mut noted = puzzles.iter().filter_map(|puzzle| Some((puzzle, puzzle.note.as_ref()?)));
        let first = noted.next();
        if let Some((puzzle, note)) = first {
            let others = match noted.filter(|(_, other)| *other == note).count() {
                0 => String::new(),
                count => format!(" (and {count} more)"),
            };
            errln!("{}: {note}{others}\nhint: --boxes says it", Printable(&puzzle.source));
        }
        first.is_some()
    }
}

/// Show the forms of text and files that puzzles are read from, with an example of each.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

/// A dialect.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Dialect")]
pub(crate) struct JsonDialect {
    name: &'static str,
    families: Vec<&'static str>,
    about: &'static str,
    example: &'static str,
}

/// Runs `trm formats`.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = console::stdout();
    if args.json {
        let dialects = DIALECTS.iter().map(|dialect| JsonDialect {
            name: dialect.name,
            families: dialect.families.iter().map(|family| family.name()).collect(),
            about: dialect.about,
            example: dialect.example,
        });
        serde_json::to_writer(&mut out, &dialects.collect::<Vec<_>>()).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    for dialect in &DIALECTS {
        let families = dialect.families.iter().map(|family| family.name()).collect::<Vec<_>>().join(", ");
        writeln!(out, "{} ({families}): {}", dialect.name, dialect.about)?;
        let lines = dialect.example.lines();
        for line in lines.clone().take(MOST_LINES) {
            writeln!(out, "    {line}")?;
        }
        if lines.count() > MOST_LINES {
            writeln!(out, "    …")?;
        }
        writeln!(out)?;
    }
    writeln!(out, "A model of --task tokens takes lines of numbers, JSON lists of them, and .npy arrays.")?;
    Ok(Exit::Done)
}

/// Lines of an example that are shown.
const MOST_LINES: usize = 6;
