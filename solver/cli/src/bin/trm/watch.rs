//! `--watch`: the answer after every step, in place on a terminal, one below the other elsewhere.

use std::io::{self, Write};
use std::time::Duration;

use trm_cli::console;
use trm_puzzles::{Grid, Puzzle, Task, Verdict};
use trm_solver::{AttemptKind, StepView};

use crate::text::{self, Style};

/// Time that a frame stays on a terminal.
const FRAME: Duration = Duration::from_millis(150);

/// The frames of one puzzle after the other.
pub(crate) struct Watch {
    in_place: bool,
    colour: bool,
    /// The answer of the frame before.
    previous: Option<Grid>,
    /// Lines of the frame that is on the terminal.
    lines: usize,
}

impl Watch {
    /// Frames for stdout.
    pub(crate) fn new() -> Self {
        Self { in_place: console::stdout().is_terminal(), colour: console::has_colour(), previous: None, lines: 0 }
    }

    /// Shows a first attempt's answer after a step, cells that changed set off. Symmetric copies are not shown.
    pub(crate) fn step(
        &mut self,
        out: &mut impl Write,
        puzzle: &Puzzle,
        task: &dyn Task,
        step: &StepView<'_>,
    ) -> anyhow::Result<()> {
        if step.attempt != AttemptKind::First {
            return Ok(());
        }
        let answer = task.answer(&puzzle.grid, step.answer)?;
        let before = self.previous.as_ref().unwrap_or(&puzzle.grid);
        let changed = |index: usize| before.cells().get(index) != answer.cells().get(index);
        let count = (0..answer.cells().len()).filter(|&index| changed(index)).count();
        let style = |index| (self.colour && changed(index)).then_some(Style::Changed);
        let frame = format!(
            "step {}: {count} cells changed, q_halt {:+.2}\n{}",
            step.steps,
            step.q_halt,
            text::drawing(puzzle, &answer, style)
        );
        self.clear(out)?;
        write!(out, "{frame}")?;
        if self.in_place {
            self.lines = frame.lines().count();
            out.flush()?;
            std::thread::sleep(FRAME);
        } else {
            writeln!(out)?;
        }
        self.previous = Some(answer);
        Ok(())
    }

    /// Says that the first answer failed.
    pub(crate) fn retry(&mut self, out: &mut impl Write, first: &Verdict, copies: usize) -> anyhow::Result<()> {
        self.lines = 0;
        writeln!(out, "{first}\ntrying {copies} more times\n")?;
        out.flush()?;
        Ok(())
    }

    /// The puzzle is done: its answer is printed where the frames were.
    pub(crate) fn finish(&mut self, out: &mut impl Write) -> anyhow::Result<()> {
        self.clear(out)?;
        self.previous = None;
        Ok(())
    }

    /// Takes the last frame off the terminal.
    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.lines > 0 {
            // Up to the frame's first line, then erase all below (ECMA-48, CPL and ED).
            write!(out, "\x1b[{}F\x1b[J", self.lines)?;
            self.lines = 0;
        }
        Ok(())
    }
}
