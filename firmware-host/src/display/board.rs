//! Puzzles: sudokus with digits, mazes with walls and a path, anything else as coloured cells.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::primitives::{PointsIter, Rectangle};
use trm_puzzles::maze::{FREE, GOAL, PATH, START, WALL};
use trm_puzzles::{Cell, PuzzleKind, Sudoku};

use super::shapes::{area, distance, inset, middle, paint, segment};
use super::text::Style;
use super::theme::Palette;
use super::{Board, Ink};

/// Marks of cells, besides their values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks<'a> {
    /// Cells that the last step changed.
    pub(super) changed: &'a [usize],
    /// Cells that were not read with confidence.
    pub(super) doubtful: &'a [usize],
    /// The answer was refused: it is shown, but not as an answer.
    pub(super) refused: bool,
}

/// Draws a puzzle as large as fits into the middle of a square, over the background.
pub(super) fn draw<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    board: &Board,
    marks: Marks,
) -> Result<(), D::Error> {
    if board.given.cells().is_empty() || board.given.size() != board.answer.size() {
        return Ok(());
    }
    match board.kind {
        PuzzleKind::Sudoku(task) if board.given.size() == (task.side(), task.side()) => {
            sudoku(target, square, palette, task, board, marks)
        }
        PuzzleKind::Maze(_) => maze(target, square, palette, board, marks),
        PuzzleKind::Sudoku(_) | PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => cells(target, square, palette, board),
    }
}

/// Where cells begin along one axis, and the lines between them.
struct Ruler {
    cell: i32,
    starts: Vec<i32>,
    /// Start and thickness of each line; thick ones are frame and box borders.
    lines: Vec<(i32, i32, bool)>,
    end: i32,
}

impl Ruler {
    /// `side` cells in `room` pixels, a thick line every `group` cells.
    fn new(room: i32, side: usize, group: usize) -> Self {
        let thick = if room >= 120 { (room / 110).max(2) } else { 1 };
        let thin = (room / 400).max(1);
        let is_thick = |i: usize| i.is_multiple_of(group.max(1)) || i == side;
        let total: i32 = (0..=side).map(|i| if is_thick(i) { thick } else { thin }).sum();
        let cell = ((room - total) / side as i32).max(1);
        let (mut starts, mut lines, mut x) = (Vec::new(), Vec::new(), 0);
        for i in 0..=side {
            let width = if is_thick(i) { thick } else { thin };
            lines.push((x, width, is_thick(i)));
            x += width;
            if i < side {
                starts.push(x);
                x += cell;
            }
        }
        Self { cell, starts, lines, end: x }
    }
}

fn sudoku<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    task: Sudoku,
    board: &Board,
    marks: Marks,
) -> Result<(), D::Error> {
    let room = square.size.width.min(square.size.height) as i32;
    let across = Ruler::new(room, task.side(), task.box_width());
    let down = Ruler::new(room, task.side(), task.box_height());
    // Different groups across and down take different room for lines; the cells stay square.
    let size = across.cell.min(down.cell);
    let origin = Point::new(
        square.top_left.x + (square.size.width as i32 - across.end) / 2,
        square.top_left.y + (square.size.height as i32 - down.end) / 2,
    );
    let frame = area(origin.x, origin.y, across.end, down.end);
    target.fill_solid(&frame, palette.surface)?;
    for thick in [false, true] {
        let colour = if thick { palette.frame } else { palette.line };
        for &(at, width, _) in across.lines.iter().filter(|line| line.2 == thick) {
            target.fill_solid(&area(origin.x + at, origin.y, width, down.end), colour)?;
        }
        for &(at, width, _) in down.lines.iter().filter(|line| line.2 == thick) {
            target.fill_solid(&area(origin.x, origin.y + at, across.end, width), colour)?;
        }
    }
    for (index, (cell, value)) in board.answer.iter().enumerate() {
        let at = origin + Point::new(across.starts[cell.column], down.starts[cell.row]);
        let square = area(at.x, at.y, across.cell, down.cell);
        let given = board.given.cells()[index];
        sudoku_cell(target, square, palette, [given, value], size, marks, index)?;
    }
    Ok(())
}

fn sudoku_cell<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    [given, value]: [u8; 2],
    size: i32,
    marks: Marks,
    index: usize,
) -> Result<(), D::Error> {
    let (changed, doubtful) = (marks.changed.contains(&index), marks.doubtful.contains(&index));
    let is_given = given != trm_puzzles::sudoku::BLANK;
    let shown = if is_given { given } else { value };
    let [paper, ink] = if doubtful {
        palette.doubtful
    } else if is_given {
        [palette.given_surface, palette.given]
    } else if changed {
        palette.changed
    } else if marks.refused {
        [palette.surface, palette.muted]
    } else {
        [palette.surface, palette.answered]
    };
    target.fill_solid(&square, paper)?;
    if !C::SHADES && is_given && !doubtful {
        // Over the gap above and on the left: a dark digit needs a bright rim on all sides.
        let (x, y) = (square.top_left.x - 1, square.top_left.y - 1);
        target.fill_solid(&area(x, y, size + 1, 1), paper)?;
        target.fill_solid(&area(x, y, 1, size + 1), paper)?;
    }
    let text = match shown {
        0 if doubtful => "?".to_owned(),
        0 => String::new(),
        value => value.to_string(),
    };
    let digit = if C::SHADES { size as f32 * 0.92 } else { size as f32 };
    let style = Style::new(digit, [paper, ink]);
    // Given digits are heavier than those of an answer.
    let style = if is_given || changed { style.bold() } else { style };
    style.centre(target, square, &text)?;
    if !C::SHADES && (changed || doubtful) {
        // Changed: a line under the digit. In doubt: one on its left and right.
        let (x, y, last) = (square.top_left.x, square.top_left.y, size - 1);
        if changed {
            target.fill_solid(&area(x, y + last, size, 1), ink)?;
        }
        if doubtful {
            target.fill_solid(&area(x, y, 1, size), ink)?;
            target.fill_solid(&area(x + last, y, 1, size), ink)?;
        }
    }
    Ok(())
}

fn maze<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    board: &Board,
    marks: Marks,
) -> Result<(), D::Error> {
    let (rows, columns) = board.answer.size();
    let room = square.size.width.min(square.size.height) as i32;
    let side = room / rows.max(columns) as i32;
    if side == 0 {
        return Ok(());
    }
    let origin = Point::new(
        square.top_left.x + (square.size.width as i32 - side * columns as i32) / 2,
        square.top_left.y + (square.size.height as i32 - side * rows as i32) / 2,
    );
    let place = |cell: Cell| area(origin.x + cell.column as i32 * side, origin.y + cell.row as i32 * side, side, side);
    // Without shades, a path between walls of two pixels would be lost: such walls are drawn as a pattern.
    let pattern = !C::SHADES && side < 4;
    let on_path = |cell: Cell| matches!(board.answer.get(cell), Some(PATH | START | GOAL));
    for (index, (cell, value)) in board.answer.iter().enumerate() {
        let square = place(cell);
        match value {
            WALL if pattern => {
                let dot = |p: Point| if (p.x + p.y) % 2 == 0 { palette.wall } else { palette.background };
                target.fill_contiguous(&square, square.points().map(dot))?;
            }
            WALL => target.fill_solid(&square, palette.wall)?,
            PATH if pattern => target.fill_solid(&square, palette.path)?,
            PATH => {
                let changed = marks.changed.contains(&index);
                let ink = match (changed, marks.refused) {
                    (true, _) if C::SHADES => palette.changed[0],
                    (_, true) => palette.muted,
                    _ => palette.path,
                };
                let centre = middle(square);
                let width = (side as f32 * 0.19).max(if C::SHADES { 0.9 } else { 1.0 });
                let ends: Vec<_> =
                    board.answer.neighbours(cell).filter(|&n| on_path(n)).map(|n| middle(place(n))).collect();
                paint(target, square, [palette.surface, ink], |p| {
                    let lines = ends.iter().map(|&end| segment(p, centre, end));
                    lines.fold(distance(p, centre), f32::min) - width
                })?;
            }
            FREE | START | GOAL => target.fill_solid(&square, palette.surface)?,
            _ => target.fill_solid(&square, palette.background)?,
        }
        if marks.doubtful.contains(&index) {
            target.fill_solid(&square, palette.doubtful[0])?;
        }
    }
    for (value, colour) in [(START, palette.start), (GOAL, palette.goal)] {
        if let Some(cell) = board.given.find(value) {
            end_of_path(target, place(cell), palette, colour, value == GOAL)?;
        }
    }
    Ok(())
}

/// Start and goal: a square that small mazes label, and that is larger than its cell where cells are tiny.
fn end_of_path<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    colour: C,
    goal: bool,
) -> Result<(), D::Error> {
    let side = square.size.width as i32;
    if side < 6 {
        // A dot (start) or a ring (goal) with a clear rim.
        target.fill_solid(&inset(square, -2), palette.background)?;
        target.fill_solid(&inset(square, -1), colour)?;
        if goal {
            target.fill_solid(&square, palette.background)?;
        }
        return Ok(());
    }
    target.fill_solid(&square, colour)?;
    if side >= 10 {
        let style = Style::new(side as f32 * 0.95, [colour, palette.background]).bold();
        style.centre(target, square, if goal { "G" } else { "S" })?;
    }
    Ok(())
}

/// The ten colours in which ARC grids are usually shown.
const COLOURS: [u32; 10] =
    [0x10_1010, 0x1e_93ff, 0xf9_3c31, 0x4f_cc30, 0xff_dc00, 0x99_9999, 0xe5_3aa3, 0xff_851b, 0x87_d8f1, 0x92_1231];

fn cells<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    palette: &Palette<C>,
    board: &Board,
) -> Result<(), D::Error> {
    let (rows, columns) = board.answer.size();
    let side = square.size.width.min(square.size.height) / rows.max(columns) as u32;
    for (cell, value) in board.answer.iter() {
        let at = square.top_left + Point::new((cell.column as u32 * side) as i32, (cell.row as u32 * side) as i32);
        let area = Rectangle::new(at, Size::new_equal(side.saturating_sub(u32::from(side > 3))));
        match COLOURS.get(usize::from(value)) {
            Some(rgb) => {
                let rgb = [(rgb >> 16) as u8, (rgb >> 8) as u8, *rgb as u8];
                target.fill_contiguous(&area, area.points().map(|p| C::from_rgb(rgb, p)))?;
            }
            None => target.fill_solid(&area, palette.background)?,
        }
    }
    Ok(())
}
