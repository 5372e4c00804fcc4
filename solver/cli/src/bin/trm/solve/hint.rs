//! `trm solve --hint`: the next deduction instead of the answer.

use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{Exit, InvalidOption, console, interrupt};
use trm_intake::Printable;
use trm_puzzles::{AnswerCount, Cell, Grid, Puzzle, PuzzleKind, Task, maze, sudoku};
use trm_solver::{Question, model};

use super::Args;
use super::input::Input;
use super::printer::Sink;
use super::solvers::Solvers;
use crate::output::Format;

/// The object that is printed for a puzzle with `--hint --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Hint")]
pub(crate) struct JsonHint<'a> {
    /// Place that the puzzle came from: `FILE:LINE`.
    source: &'a str,
    /// The name that the input gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    /// The question, row by row in the input's own characters.
    puzzle: String,
    /// `sudoku` or `maze`.
    task: &'static str,
    /// `0`, `1` or `2+`, as for an answer: of several solutions a hint of the model belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    solutions: Option<&'static str>,
    /// The hint in words; without the other keys below, why there is none.
    hint: String,
    /// Row and column from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<[usize; 2]>,
    /// The character that belongs there.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The technique that places it: `naked single` and the like, behind those of `because`; `model` where none does and the
    /// model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    technique: Option<String>,
    /// Deductions that have to be seen before, in their order.
    because: Vec<String>,
}

/// A hint, or why there is none.
#[derive(Default)]
struct Hint {
    words: String,
    place: Option<(Cell, String)>,
    technique: Option<String>,
    because: Vec<String>,
}

impl Hint {
    fn none(reason: &str) -> Self {
        Self { words: reason.to_owned(), ..Self::default() }
    }
}

/// Prints a hint for each puzzle.
pub(super) fn run(
    args: &Args,
    input: &mut Input,
    solvers: &mut Solvers<'_>,
    sink: &mut Sink<'_>,
) -> anyhow::Result<Exit> {
    let as_json = match args.form.format() {
        Format::Json => true,
        Format::Grid => false,
        Format::Lines | Format::Csv => {
            return Err(InvalidOption {
                option: "--format",
                reason: "hints are printed in words or as JSON".to_owned(),
                hint: Some("leave --format out, or say --json".to_owned()),
            }
            .into());
        }
    };
    let mut all_given = true;
    while let Some(puzzles) = input.next()? {
        for puzzle in &puzzles {
            if console::is_closed() || interrupt::requested() {
                return Ok(if interrupt::requested() { Exit::Interrupted } else { Exit::Done });
            }
            let count = puzzle.task().count_answers(&puzzle.grid);
            let hint = known(puzzle, count)?.map_or_else(|| asked(args, puzzle, count, solvers), Ok)?;
            all_given &= hint.technique.is_some();
            let text = if as_json {
                serde_json::to_string(&object(puzzle, count, hint))? + "\n"
            } else {
                format!("{}  {}\n{}\n", Printable(&puzzle.source), model::describe(&puzzle.kind), hint.words)
            };
            sink.say(&text)?;
        }
    }
    Ok(if all_given && !input.failed() { Exit::Done } else { Exit::AnswerFailed })
}

fn object(puzzle: &Puzzle, count: AnswerCount, hint: Hint) -> JsonHint<'_> {
    let (cell, value) = hint.place.map(|(cell, value)| ([cell.row + 1, cell.column + 1], value)).unzip();
    JsonHint {
        source: &puzzle.source,
        id: puzzle.id.as_deref(),
        puzzle: puzzle.line(&puzzle.grid),
        task: puzzle.task().name(),
        solutions: count.as_str(),
        hint: hint.words,
        cell,
        value,
        technique: hint.technique,
        because: hint.because,
    }
}

/// The hint that follows without a model; `None` if one has to be asked.
fn known(puzzle: &Puzzle, count: AnswerCount) -> anyhow::Result<Option<Hint>> {
    let task = match puzzle.kind {
        PuzzleKind::Sudoku(task) => task,
        PuzzleKind::Maze(_) => {
            return Ok((count == AnswerCount::None).then(|| Hint::none("no way leads from S to G")));
        }
        PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => {
            return Err(InvalidOption {
                option: "--hint",
                reason: format!("{}: a {} has no hints", Printable(&puzzle.source), model::describe(&puzzle.kind)),
                hint: Some("hints are for sudokus and mazes".to_owned()),
            }
            .into());
        }
    };
    if count == AnswerCount::None {
        return Ok(Some(Hint::none("no grid keeps all givens and rules: one of the digits is wrong")));
    }
    if !puzzle.grid.cells().contains(&sudoku::BLANK) {
        return Ok(Some(Hint::none("every cell is filled")));
    }
    let symbol = |digit| puzzle.alphabet.symbol(digit);
    Ok(sudoku::hint(task, &puzzle.grid)?.map(|hint| Hint {
        words: hint.sentence(symbol),
        place: Some((hint.place.0, symbol(hint.place.1).to_string())),
        technique: Some(hint.technique.as_str().to_owned()),
        because: hint.because.iter().map(|deduction| deduction.sentence(symbol)).collect(),
    }))
}

/// The hint that a model gives, if it stands.
fn asked(args: &Args, puzzle: &Puzzle, count: AnswerCount, solvers: &mut Solvers<'_>) -> anyhow::Result<Hint> {
    let loaded = solvers.of(puzzle)?;
    let question = Question::new(loaded.task.as_ref(), puzzle.grid.clone(), args.puzzle_id)?;
    let report = loaded.solver.solve(question)?;
    if let PuzzleKind::Maze(_) = puzzle.kind {
        if !report.verdict.is_verified() {
            return Ok(Hint::none("the model finds no way"));
        }
        return Ok(first_moves(&report.answer).unwrap_or_else(|| Hint::none("S is beside G")));
    }
    let Some(logits) = report.logits else { return Ok(Hint::none("the model does not say how sure it is")) };
    let task = puzzle.task();
    for (cell, digit, probability) in surest(task.as_ref(), &puzzle.grid, &logits) {
        let (mut tried, width) = (puzzle.grid.clone(), puzzle.grid.width());
        tried.cells_mut()[cell.row * width + cell.column] = digit;
        if task.check(&tried).is_ok() && task.exact_answer(&tried).is_some() {
            let value = puzzle.alphabet.symbol(digit).to_string();
            let words = match count {
                AnswerCount::Several => {
                    format!(
                        "nothing follows, since there are several solutions; one of them has {value} at {}",
                        short(cell)
                    )
                }
                _ => format!(
                    "no single follows; the model is surest that {} is {value} ({:.1} %), and a search agrees",
                    short(cell),
                    100.0 * probability
                ),
            };
            let technique = Some("model".to_owned());
            return Ok(Hint { words, place: Some((cell, value)), technique, because: Vec::new() });
        }
    }
    Ok(Hint::none("no single follows, and the model is sure of nothing that is right"))
}

/// A cell as sudoku players write it: `r4c5`.
fn short(cell: Cell) -> String {
    format!("r{}c{}", cell.row + 1, cell.column + 1)
}

/// The digit that the network prefers for each blank cell of a sudoku, with its probability among the digits; the surest first.
fn surest(task: &dyn Task, puzzle: &Grid, logits: &[f32]) -> Vec<(Cell, u8, f32)> {
    let digits = task.vocab_size() - task.width();
    let mut cells = puzzle
        .iter()
        .zip(logits.chunks_exact(task.vocab_size()))
        .filter(|((_, given), _)| *given == sudoku::BLANK)
        .filter_map(|((cell, _), logits)| {
            // Digits are the last tokens.
            let logits = &logits[digits..];
            let (best, top) = logits.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
            let sum = logits.iter().map(|logit| (logit - top).exp()).sum::<f32>();
            Some((cell, best as u8 + 1, 1.0 / sum))
        })
        .collect::<Vec<_>>();
    cells.sort_by(|(.., one), (.., other)| other.total_cmp(one));
    cells
}

/// The first moves of a way: straight on from S, as far as it leads.
fn first_moves(answer: &Grid) -> Option<Hint> {
    const MOVES: [(&str, isize, isize); 4] = [("up", -1, 0), ("right", 0, 1), ("down", 1, 0), ("left", 0, -1)];
    let (start, _) = answer.iter().find(|&(_, value)| value == maze::START)?;
    let (name, down, right) = MOVES.into_iter().find(|&(_, down, right)| is_path(answer, start, down, right))?;
    let (mut end, mut moves) = (start, 0);
    while is_path(answer, end, down, right) {
        end = Cell { row: end.row.wrapping_add_signed(down), column: end.column.wrapping_add_signed(right) };
        moves += 1;
    }
    let times = if moves == 1 { "once".to_owned() } else { format!("{moves} times") };
    let words = format!("from S go {name} {times}, to {}", short(end));
    Some(Hint { words, place: Some((end, name.to_owned())), technique: Some("model".to_owned()), because: Vec::new() })
}

/// True if the cell beside one is marked as part of the way, or G.
fn is_path(answer: &Grid, cell: Cell, down: isize, right: isize) -> bool {
    let beside = Cell { row: cell.row.wrapping_add_signed(down), column: cell.column.wrapping_add_signed(right) };
    matches!(answer.get(beside), Some(maze::PATH | maze::GOAL))
}
