//! Pictures of puzzles with their answers.

use image::{Rgb, RgbImage};
use trm_pictures::font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};
use trm_puzzles::{Cell, Grid, PuzzleKind, Sudoku, Verdict, maze, sudoku};

/// Longest side that a picture aims for, in pixels.
const TARGET_SIDE: usize = 900;
/// Most pixels of a cell.
const MAX_CELL: usize = 48;
/// Values above 9 are printed as letters, as in text.
const SYMBOLS: &[u8] = b"0123456789ABCDEFGHIJKLMNOP";

const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([33, 37, 41]);
const FAINT: Rgb<u8> = Rgb([206, 212, 218]);
const ANSWER: Rgb<u8> = Rgb([25, 113, 194]);
const WRONG: Rgb<u8> = Rgb([224, 49, 49]);
const WRONG_PAPER: Rgb<u8> = Rgb([255, 201, 201]);
const START: Rgb<u8> = Rgb([47, 158, 68]);
const GOAL: Rgb<u8> = Rgb([224, 49, 49]);

/// The colours 0 to 9 as arcprize.org shows them.
const ARC_COLOURS: [Rgb<u8>; 10] = [
    Rgb([0, 0, 0]),
    Rgb([30, 147, 255]),
    Rgb([249, 60, 49]),
    Rgb([79, 204, 48]),
    Rgb([255, 220, 0]),
    Rgb([153, 153, 153]),
    Rgb([229, 58, 163]),
    Rgb([255, 133, 27]),
    Rgb([135, 216, 241]),
    Rgb([146, 18, 49]),
];

/// Draws a puzzle with its answer. Sudoku: givens dark, answers blue. Maze: the path as a line of blue cells. ARC: the
/// puzzle, and the answer to its right. Cells that break a rule are red.
#[must_use]
pub fn picture(kind: &PuzzleKind, puzzle: &Grid, answer: &Grid, verdict: &Verdict) -> RgbImage {
    let wrong = wrong_cells(verdict);
    match kind {
        PuzzleKind::Sudoku(task) => sudoku_picture(*task, puzzle, answer, &wrong),
        PuzzleKind::Maze(_) => maze_picture(answer, &wrong),
        PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => pair_picture(puzzle, answer, &wrong),
    }
}

/// The cells that a verdict names.
#[must_use]
pub fn wrong_cells(verdict: &Verdict) -> Vec<Cell> {
    match verdict {
        Verdict::Wrong(violation) => violation.cells.clone(),
        Verdict::Unsolved { cell, .. } => cell.iter().copied().collect(),
        Verdict::Verified { .. } | Verdict::Unverifiable { .. } | Verdict::Unsolvable { .. } => Vec::new(),
    }
}

/// A picture made of square cells.
struct Canvas {
    image: RgbImage,
    /// Pixels of a cell's side.
    cell: usize,
    /// Pixels around the cells.
    margin: usize,
}

impl Canvas {
    fn new(height: usize, width: usize) -> Self {
        let cell = (TARGET_SIDE / height.max(width).max(1)).clamp(1, MAX_CELL);
        let margin = (cell / 4).max(1);
        let side = |cells: usize| (cells * cell + 2 * margin) as u32;
        Self { image: RgbImage::from_pixel(side(width), side(height), PAPER), cell, margin }
    }

    /// Fills pixels `x..x + width`, `y..y + height`, as far as they lie in the picture.
    fn fill(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), colour: Rgb<u8>) {
        for row in y..y + height {
            for column in x..x + width {
                if let Some(pixel) = self.image.get_pixel_mut_checked(column as u32, row as u32) {
                    *pixel = colour;
                }
            }
        }
    }

    /// The top left pixel of a cell.
    fn corner(&self, row: usize, column: usize) -> (usize, usize) {
        (self.margin + column * self.cell, self.margin + row * self.cell)
    }

    fn fill_cell(&mut self, row: usize, column: usize, colour: Rgb<u8>) {
        self.fill(self.corner(row, column), (self.cell, self.cell), colour);
    }

    /// A frame inside the cell, a tenth of it thick.
    fn outline(&mut self, row: usize, column: usize, colour: Rgb<u8>) {
        let ((x, y), side, line) = (self.corner(row, column), self.cell, (self.cell / 10).max(1));
        self.fill((x, y), (side, line), colour);
        self.fill((x, y + side - line), (side, line), colour);
        self.fill((x, y), (line, side), colour);
        self.fill((x + side - line, y), (line, side), colour);
    }

    /// A character in the middle of a cell, as large as fits in two thirds of it; nothing in cells too small for it.
    fn write(&mut self, row: usize, column: usize, symbol: u8, colour: Rgb<u8>) {
        let scale = self.cell * 2 / 3 / GLYPH_HEIGHT;
        let (x, y) = self.corner(row, column);
        let left = x + self.cell.saturating_sub(GLYPH_WIDTH * scale) / 2;
        let top = y + self.cell.saturating_sub(GLYPH_HEIGHT * scale) / 2;
        for (line, bits) in glyph(symbol).into_iter().enumerate() {
            for column in (0..GLYPH_WIDTH).filter(|column| bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
                self.fill((left + column * scale, top + line * scale), (scale, scale), colour);
            }
        }
    }
}

fn sudoku_picture(task: Sudoku, puzzle: &Grid, answer: &Grid, wrong: &[Cell]) -> RgbImage {
    let side = task.side();
    let mut canvas = Canvas::new(side, side);
    for (Cell { row, column }, value) in answer.iter() {
        let cell = Cell::new(row, column);
        let is_wrong = wrong.contains(&cell);
        if is_wrong {
            canvas.fill_cell(row, column, WRONG_PAPER);
        }
        let given = puzzle.get(cell).is_some_and(|given| given != sudoku::BLANK);
        let colour = match (is_wrong, given) {
            (true, _) => WRONG,
            (false, true) => INK,
            (false, false) => ANSWER,
        };
        if value != sudoku::BLANK {
            let symbol = SYMBOLS.get(usize::from(value)).copied().unwrap_or(b'?');
            canvas.write(row, column, symbol, colour);
        }
    }
    let (cell, length) = (canvas.cell, side * canvas.cell);
    // Thin lines first, so that the boxes' lines are whole.
    let lines = |every: usize| (0..=side).filter(move |line| line % every == 0);
    for (row_step, column_step, thickness, colour) in
        [(1, 1, 1, FAINT), (task.box_height(), task.box_width(), (cell / 16).max(1) + 1, INK)]
    {
        let shift = thickness / 2;
        for line in lines(row_step) {
            let (x, y) = canvas.corner(line, 0);
            canvas.fill((x - shift, y - shift), (length + thickness, thickness), colour);
        }
        for line in lines(column_step) {
            let (x, y) = canvas.corner(0, line);
            canvas.fill((x - shift, y - shift), (thickness, length + thickness), colour);
        }
    }
    canvas.image
}

fn maze_picture(answer: &Grid, wrong: &[Cell]) -> RgbImage {
    let mut canvas = Canvas::new(answer.height(), answer.width());
    for (cell, value) in answer.iter() {
        let Cell { row, column } = cell;
        let colour = match value {
            maze::WALL => INK,
            maze::FREE => PAPER,
            maze::START => START,
            maze::GOAL => GOAL,
            maze::PATH => ANSWER,
            _ => FAINT,
        };
        canvas.fill_cell(row, column, colour);
        let symbol = match value {
            maze::START => Some(b'S'),
            maze::GOAL => Some(b'G'),
            _ => None,
        };
        if let Some(symbol) = symbol {
            canvas.write(row, column, symbol, PAPER);
        }
        if wrong.contains(&cell) {
            canvas.outline(row, column, WRONG);
        }
    }
    canvas.image
}

fn pair_picture(puzzle: &Grid, answer: &Grid, wrong: &[Cell]) -> RgbImage {
    let height = puzzle.height().max(answer.height());
    let right = puzzle.width() + 1;
    let mut canvas = Canvas::new(height, right + answer.width());
    for (grid, left) in [(puzzle, 0), (answer, right)] {
        for (Cell { row, column }, value) in grid.iter() {
            let colour = ARC_COLOURS.get(usize::from(value)).copied().unwrap_or(PAPER);
            canvas.fill_cell(row, left + column, colour);
            canvas.outline(row, left + column, FAINT);
        }
    }
    for cell in wrong {
        canvas.outline(cell.row, right + cell.column, WRONG);
    }
    canvas.image
}

#[cfg(test)]
mod tests {
    use trm_puzzles::{Rule, Task, Violation, formats};

    use super::*;

    fn centre(image: &RgbImage, cells: usize, row: usize, column: usize) -> Rgb<u8> {
        let (cell, margin) = ((TARGET_SIDE / cells).min(MAX_CELL), (TARGET_SIDE / cells).min(MAX_CELL) / 4);
        let at = |index: usize| (margin + index * cell + cell / 2) as u32;
        *image.get_pixel(at(column), at(row))
    }

    #[test]
    fn a_maze_shows_walls_path_and_the_wrong_cell() {
        let puzzle = &formats::parse("m", b"#####\n#SoG#\n#   #\n#####\n").expect("parses")[0];
        let violation = Violation { rule: Rule::Stray, cells: vec![Cell::new(2, 1)], message: String::new() };
        let image = picture(&puzzle.kind, &puzzle.grid, &puzzle.grid, &Verdict::Wrong(violation));
        assert_eq!(image.dimensions(), (5 * 48 + 24, 4 * 48 + 24));
        assert_eq!(centre(&image, 5, 0, 0), INK);
        assert_eq!(centre(&image, 5, 1, 2), ANSWER);
        assert_eq!(centre(&image, 5, 2, 2), PAPER);
        assert_eq!(image.get_pixel(12 + 48, 12 + 2 * 48), &WRONG, "the outline of row 3 column 2");
    }

    #[test]
    fn a_sudoku_shows_givens_and_answers_in_two_colours() {
        let line = b"1............4.4.";
        let puzzle = &formats::parse("s", &line[..16]).expect("parses")[0];
        let mut answer = puzzle.grid.clone();
        answer.set(Cell::new(0, 1), 2);
        let image = picture(&puzzle.kind, &puzzle.grid, &answer, &Verdict::Verified { path: None });
        let colours = |row: usize, column: usize| {
            let at = |index: usize| (12 + index * 48 + 4) as u32;
            let crop = image::imageops::crop_imm(&image, at(column), at(row), 40, 40).to_image();
            (crop.pixels().any(|&p| p == INK), crop.pixels().any(|&p| p == ANSWER), crop.pixels().any(|&p| p == WRONG))
        };
        assert_eq!(colours(0, 0), (true, false, false));
        assert_eq!(colours(0, 1), (false, true, false));
        assert_eq!(colours(0, 2), (false, false, false));
    }

    #[test]
    fn the_largest_grids_fit() {
        let side = maze::MAX_SIDE;
        let task = maze::Maze::new(1, side).expect("a maze");
        let grid = Grid::filled(1, side, maze::FREE);
        let image = picture(&PuzzleKind::Maze(task), &grid, &grid, &Verdict::Verified { path: None });
        assert_eq!(image.dimensions(), (side as u32 + 2, 3));
        assert_eq!(task.seq_len(), side);
    }
}
