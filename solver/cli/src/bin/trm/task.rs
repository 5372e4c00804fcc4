//! The task of a model, as the command line says it: checked against the model's sizes, with sample puzzles of its
//! own.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rand::Rng;
use trm_export::Sample;
use trm_models::TrmConfig;
use trm_puzzles::{Arc, Grid, Maze, PuzzleKind, Sudoku, Task, Tokens, seeded};

/// Puzzles in a bundle's self-test.
const SAMPLE_ROWS: usize = 2;
/// The same puzzles in every bundle of a task.
const SAMPLE_SEED: u64 = 2510;

/// A task by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskName {
    /// Sudoku of any box size
    Sudoku,
    /// Shortest path through a maze
    Maze,
    /// ARC-AGI grids
    Arc,
    /// Sequences of tokens of your own: nothing is known of their rules, so no answer is verified
    Tokens,
}

/// `HEIGHTxWIDTH`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse().ok().filter(|side| (1..=1 << 16).contains(side));
        let sides = text.split_once('x').and_then(|(height, width)| parse(height).zip(parse(width)));
        let (height, width) = sides.ok_or_else(|| format!("`{text}` is not HEIGHTxWIDTH, such as 9x9"))?;
        Ok(Self { height, width })
    }
}

/// The task of a model: that of its name, with the grid and boxes given, or the usual ones for its number of cells.
///
/// # Errors
/// The model has another number of cells or tokens than the task.
pub(crate) fn puzzle_kind(
    name: TaskName,
    grid: Option<Size>,
    boxes: Option<Size>,
    config: &TrmConfig,
) -> Result<PuzzleKind> {
    if boxes.is_some() && name != TaskName::Sudoku {
        bail!("--boxes is for sudoku only");
    }
    if grid.is_some() && name == TaskName::Tokens {
        bail!("--grid is for puzzles; sequences of tokens have seq_len tokens\nhint: leave --grid out");
    }
    let seq_len = config.seq_len;
    let side = seq_len.isqrt();
    let square = (side * side == seq_len).then_some(Size { height: side, width: side });
    let kind = match name {
        TaskName::Sudoku => PuzzleKind::Sudoku(sudoku(grid.or(square), boxes, seq_len)?),
        TaskName::Maze => {
            let size = grid.or(square).with_context(|| {
                format!("--task maze: seq_len {seq_len} is no square\nhint: pass --grid HEIGHTxWIDTH")
            })?;
            PuzzleKind::Maze(Maze::new(size.height, size.width)?)
        }
        TaskName::Arc => PuzzleKind::Arc(Arc),
        TaskName::Tokens => PuzzleKind::Tokens(Tokens::new(seq_len, config.vocab_size)?),
    };
    let task = kind.task();
    let (height, width) = (task.height(), task.width());
    if grid.is_some_and(|grid| (grid.height, grid.width) != (height, width)) {
        bail!("--grid: the grid of this task is {height}x{width}");
    }
    if task.seq_len() != seq_len {
        bail!(
            "--task {}: a grid of {height}x{width} has {} cells, but the model has seq_len {seq_len}\nhint: {}",
            task.name(),
            task.seq_len(),
            match name {
                TaskName::Arc => "ARC models have seq_len 900; is this one for another task?",
                _ => "pass the --grid that the model was trained on, or --task tokens for sequences of your own",
            }
        );
    }
    if task.vocab_size() != config.vocab_size {
        bail!(
            "--task {}: a grid of {height}x{width} needs {} tokens, but the model has vocab_size {}\n\
             hint: was it trained on another task? --task tokens takes sequences of your own",
            task.name(),
            task.vocab_size(),
            config.vocab_size
        );
    }
    Ok(kind)
}

fn sudoku(grid: Option<Size>, boxes: Option<Size>, seq_len: usize) -> Result<Sudoku> {
    if let Some(boxes) = boxes {
        return Ok(Sudoku::new(boxes.height, boxes.width)?);
    }
    let side = grid.filter(|grid| grid.height == grid.width).map(|grid| grid.height).with_context(|| match grid {
        Some(Size { height, width }) => format!("--grid: {height}x{width} is no sudoku, its sides must be equal"),
        None => format!(
            "--task sudoku: seq_len {seq_len} is no square number of cells\nhint: was the model trained on another task?"
        ),
    })?;
    Sudoku::with_side(side)
        .with_context(|| format!("--task sudoku: no usual boxes for {side}x{side}\nhint: pass --boxes HEIGHTxWIDTH"))
}

/// Puzzles of the task, always the same, for a bundle's self-test. Their identities are the last ones the model has,
/// so that a table of embeddings is tried at its end.
pub(crate) fn sample(kind: &PuzzleKind, config: &TrmConfig) -> Result<Sample> {
    let mut rng = seeded(SAMPLE_SEED);
    let generator = kind.generator()?;
    let mut tokens = Vec::with_capacity(SAMPLE_ROWS * config.seq_len);
    for _ in 0..SAMPLE_ROWS {
        let grid = match (&generator, kind) {
            (Some(generator), _) => generator.generate(&mut rng)?.puzzle,
            (None, PuzzleKind::Tokens(task)) => sequence(*task, &mut rng)?,
            (None, _) => arc_grid(&mut rng)?,
        };
        tokens.extend(kind.task().encode(&grid)?);
    }
    let identities = config.num_puzzle_identifiers.max(1);
    let puzzle_ids = (1..=SAMPLE_ROWS).map(|row| identities.saturating_sub(row) as i32).collect();
    Ok(Sample { tokens, puzzle_ids })
}

/// Any tokens.
fn sequence(task: Tokens, rng: &mut impl Rng) -> Result<Grid> {
    let mut below = |bound: usize| (u64::from(rng.next_u32()) % bound as u64) as i32;
    let tokens: Vec<i32> = (0..task.seq_len()).map(|_| below(task.vocab_size())).collect();
    Ok(task.grid(&tokens)?)
}

/// A grid of 3x3 to 30x30 random colours.
fn arc_grid(rng: &mut impl Rng) -> Result<Grid> {
    let mut below = |bound: u32| (rng.next_u32() % bound) as u8;
    let (height, width) = (3 + usize::from(below(28)), 3 + usize::from(below(28)));
    Ok(Grid::from_cells(height, width, (0..height * width).map(|_| below(10)).collect())?)
}

#[cfg(test)]
mod tests {
    use trm_models::{ConfigSource, TaskSpec};

    use super::*;
    use trm_solver::model::spec;

    fn config(seq_len: usize, vocab_size: usize, identities: usize) -> TrmConfig {
        let yaml = "{arch: {name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1, H_cycles: 1, L_cycles: 1, L_layers: 1, \
                    hidden_size: 64, num_heads: 2, expansion: 2, pos_encodings: rope, puzzle_emb_ndim: 64, \
                    puzzle_emb_len: 1, halt_max_steps: 4, halt_exploration_prob: 0.1}}";
        let source = ConfigSource::from_yaml_str(yaml, "all_config.yaml").expect("parses");
        source.seq_len(seq_len).vocab_size(vocab_size).num_puzzle_identifiers(identities).build().expect("valid")
    }

    fn size(text: &str) -> Size {
        text.parse().expect("a size")
    }

    #[test]
    fn sizes_follow_from_the_number_of_cells() {
        let kind = puzzle_kind(TaskName::Sudoku, None, None, &config(36, 8, 1)).expect("fits");
        let TaskSpec { height, width, box_height, box_width, vocabulary, .. } = spec(&kind);
        assert_eq!((height, width, box_height, box_width), (6, 6, Some(2), Some(3)));
        assert_eq!(vocabulary.len(), 8);
        let kind = puzzle_kind(TaskName::Maze, Some(size("4x9")), None, &config(36, 6, 1)).expect("fits");
        assert_eq!((spec(&kind).height, spec(&kind).width), (4, 9));
    }

    #[test]
    fn a_task_that_the_model_was_not_made_for_is_refused() {
        let refused = |name, grid, boxes, config: &TrmConfig| {
            format!("{:#}", puzzle_kind(name, grid, boxes, config).expect_err("accepted"))
        };
        let text = refused(TaskName::Sudoku, None, None, &config(81, 6, 1));
        assert!(text.contains("needs 11 tokens, but the model has vocab_size 6\nhint: "), "{text}");
        let text = refused(TaskName::Sudoku, None, None, &config(80, 11, 1));
        assert!(text.contains("seq_len 80 is no square number of cells\nhint: "), "{text}");
        let text = refused(TaskName::Maze, Some(size("9x8")), None, &config(81, 6, 1));
        assert!(text.contains("9x8 has 72 cells, but the model has seq_len 81\nhint: "), "{text}");
        let text = refused(TaskName::Arc, None, None, &config(81, 12, 1));
        assert!(text.contains("30x30 has 900 cells, but the model has seq_len 81\nhint: "), "{text}");
        let text = refused(TaskName::Maze, None, Some(size("3x3")), &config(81, 6, 1));
        assert!(text.contains("--boxes is for sudoku only"), "{text}");
        let text = refused(TaskName::Sudoku, Some(size("9x4")), None, &config(36, 8, 1));
        assert!(text.contains("9x4 is no sudoku"), "{text}");
        let text = refused(TaskName::Tokens, Some(size("9x9")), None, &config(81, 6, 1));
        assert!(text.starts_with("--grid is for puzzles"), "{text}");
        assert!("9".parse::<Size>().is_err());
        assert!("0x9".parse::<Size>().is_err());
    }

    #[test]
    fn samples_are_puzzles_that_the_model_takes() {
        let arc = config(900, 12, 7);
        for (name, config) in [
            (TaskName::Sudoku, config(16, 6, 1)),
            (TaskName::Sudoku, config(256, 18, 1)),
            (TaskName::Maze, config(900, 6, 1)),
            (TaskName::Arc, arc.clone()),
            (TaskName::Tokens, config(7, 5000, 1)),
        ] {
            let kind = puzzle_kind(name, None, None, &config).expect("fits");
            let sample = sample(&kind, &config).expect("a sample");
            assert_eq!(sample.tokens.len(), SAMPLE_ROWS * config.seq_len);
            assert!(sample.tokens.iter().all(|&token| (0..config.vocab_size as i32).contains(&token)), "{name:?}");
        }
        let kind = PuzzleKind::Arc(Arc);
        assert_eq!(sample(&kind, &arc).expect("a sample").puzzle_ids, [6, 5]);
        assert_eq!(sample(&kind, &config(900, 12, 1)).expect("a sample").puzzle_ids, [0, 0]);
    }
}
