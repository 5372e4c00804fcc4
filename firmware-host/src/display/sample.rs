//! Screens with made-up content, to look at without hardware, and a contact sheet of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::{Rgb565, Rgb888};
use embedded_graphics::primitives::Rectangle;
use image::{GrayImage, Luma, RgbImage, imageops};
use trm_puzzles::sudoku::{BLANK, Solutions, solve};
use trm_puzzles::{Grid, PuzzleKind, Sudoku, formats, maze};

use super::board::{self, Marks};
use super::theme::Palette;
use super::{Board, Canvas, Ink, Preview, Screen, Theme, draw};

/// The names of the samples, in the order in which a visitor meets them.
pub const NAMES: [&str; 12] = [
    "idle",
    "idle-maze",
    "looking",
    "aim",
    "reading",
    "doubtful",
    "solving",
    "solved",
    "maze-solving",
    "maze-solved",
    "not-solved",
    "error",
];

/// Nodes of search that a sample's answer may take.
const SEARCH: u64 = 2_000_000;

const SUDOKU: &str = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..";

const MAZE: &str = "\
#####################
#S      #     #     #
# ##### # ### # ### #
#     #   #   # # # #
##### ##### ### # # #
#   #     # #     # #
# # ##### # # ##### #
# #     # #   #     #
# ##### # ##### #####
# #   # #     #     #
# # # # ##### ##### #
# # #       #       #
# # ####### ####### #
#   #     #   #     #
##### ### ### # #####
#     # #     # #   #
# ##### ####### # # #
# #     #       # # #
# # # ### ### ### # #
#   #       #     #G#
#####################
";

/// The puzzle of the samples: a hard sudoku.
#[must_use]
pub fn sudoku() -> Board {
    parsed(SUDOKU)
}

/// The maze of the samples.
#[must_use]
pub fn maze() -> Board {
    parsed(MAZE)
}

fn parsed(text: &str) -> Board {
    let puzzles = formats::parse("sample", text.as_bytes()).expect("a sample that is compiled in");
    let puzzle = puzzles.into_iter().next().expect("a sample has a puzzle");
    Board::new(puzzle.kind, puzzle.grid)
}

/// A puzzle with its answer, found by search; without one where there is none.
#[must_use]
pub fn answered(board: &Board) -> Board {
    let answer = match board.kind {
        PuzzleKind::Sudoku(task) => match solve(task, &board.given, SEARCH) {
            Ok(solutions) => Solutions::grid(&solutions).cloned(),
            Err(_) => None,
        },
        PuzzleKind::Maze(_) => maze::shortest_path(&board.given),
        PuzzleKind::Arc(_) | PuzzleKind::Tokens(_) => None,
    };
    board.with_answer(answer.unwrap_or_else(|| board.given.clone()))
}

/// The screen of that name with `board` in it, or with the samples' own puzzles. `None` for a name that is not in
/// [`NAMES`].
#[must_use]
pub fn screen(name: &str, board: Option<&Board>) -> Option<Screen> {
    let maze_wanted = name.starts_with("maze");
    let board = board.cloned().unwrap_or_else(|| if maze_wanted { maze() } else { sudoku() });
    let preview = || photograph(&board);
    Some(match name {
        "idle" => Screen::Idle { elapsed: Duration::from_millis(3300) },
        "idle-maze" => Screen::Idle { elapsed: Duration::from_millis(8000 + 3900) },
        "looking" => Screen::Aim { preview: Preview::Colour(preview().0), corners: None },
        "aim" => {
            let (photo, corners) = preview();
            Screen::Aim { preview: Preview::Colour(photo), corners: Some(corners) }
        }
        "reading" => Screen::Reading { board, doubtful: Vec::new(), remark: None },
        "doubtful" => {
            let givens = board.given.cells().iter().enumerate().filter(|(_, cell)| **cell != BLANK);
            let doubtful = givens.map(|(index, _)| index).skip(5).step_by(7).collect();
            Screen::Reading { board, doubtful, remark: Some("Hold it flat, in the light".to_owned()) }
        }
        "solving" | "maze-solving" => {
            let (before, after) = (attempt(&board, 3), attempt(&board, 4));
            let changed = after.changed_since(&before.answer);
            Screen::Solving { board: after, changed, step: 4, limit: 16 }
        }
        "solved" | "maze-solved" => {
            Screen::Solved { board: answered(&board), steps: 7, time: Duration::from_millis(412) }
        }
        "not-solved" => {
            Screen::NotSolved { board: attempt(&board, 5), reason: "No answer keeps all the rules".to_owned() }
        }
        "error" => Screen::Error {
            code: "E-21".to_owned(),
            text: "No camera".to_owned(),
            hint: "Is its cable plugged in? It is tried again every 10 seconds.".to_owned(),
        },
        _ => return None,
    })
}

/// Something like what a model has after `step` of 8 steps: more and more of the answer, and some of it wrong.
fn attempt(board: &Board, step: usize) -> Board {
    let answer = answered(board).answer;
    let given = board.given.cells();
    let cells = answer.cells().iter().enumerate().map(|(i, &value)| {
        let noise = (i * 2_654_435_761) >> 5;
        if given[i] == value || noise % 8 < step {
            value
        } else if matches!(board.kind, PuzzleKind::Sudoku(_)) && noise % 3 != 0 {
            let side = answer.width();
            1 + ((noise + step * (1 + i % 2)) % side) as u8
        } else {
            given[i]
        }
    });
    let (height, width) = answer.size();
    board.with_answer(Grid::from_cells(height, width, cells.collect()).unwrap_or(answer))
}

/// A puzzle on paper, on a table, seen by a camera of 640x480: and the corners of its frame.
#[must_use]
pub fn photograph(board: &Board) -> (RgbImage, [[f32; 2]; 4]) {
    const SIDE: u32 = 450;
    let print = print(board, SIDE);
    let corners = [[184.0, 62.0], [486.0, 88.0], [520.0, 420.0], [128.0, 386.0]];
    let to_print = square_from(corners);
    let image = RgbImage::from_fn(640, 480, |x, y| {
        let (px, py) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
        let (u, v) = project(&to_print, px, py);
        // Light from above left, less of it towards the corners.
        let light = 1.02 - 0.34 * (px / 640.0).powi(2) - 0.28 * (py / 480.0).powi(2);
        let margin = -0.1..1.1;
        let colour = if margin.contains(&u) && margin.contains(&v) {
            let value = f64::from(sample(&print, u * f64::from(SIDE), v * f64::from(SIDE)));
            [value * 0.97, value * 0.95, value * 0.9]
        } else {
            [122.0, 84.0, 56.0]
        };
        image::Rgb(colour.map(|value| (value * light).clamp(0.0, 255.0) as u8))
    });
    (image, corners.map(|corner| corner.map(|value| value as f32)))
}

/// Black on white, as a newspaper prints it.
fn print(board: &Board, side: u32) -> GrayImage {
    let ink = |rgb: u8| Rgb888::from_rgb([rgb; 3], Point::zero());
    let (white, black) = (ink(245), ink(30));
    let paper = Palette {
        background: white,
        surface: white,
        given_surface: white,
        line: ink(120),
        frame: black,
        given: black,
        wall: black,
        start: ink(90),
        goal: ink(150),
        ..Rgb888::palette()
    };
    let mut canvas = Canvas::new(Size::new_equal(side), white);
    let square = Rectangle::new(Point::zero(), Size::new_equal(side));
    let Ok(()) =
        board::draw(&mut canvas, square, &paper, &Board::new(board.kind, board.given.clone()), Marks::default());
    GrayImage::from_fn(side, side, |x, y| Luma([canvas.pixels()[(y * side + x) as usize].to_rgb()[0]]))
}

/// Bilinear, white outside.
fn sample(print: &GrayImage, x: f64, y: f64) -> f32 {
    let (x, y) = (x - 0.5, y - 0.5);
    let at = |x: f64, y: f64| {
        let inside = x >= 0.0 && y >= 0.0 && x < f64::from(print.width()) && y < f64::from(print.height());
        if inside { f64::from(print.get_pixel(x as u32, y as u32).0[0]) } else { 245.0 }
    };
    let (left, top) = (x.floor(), y.floor());
    let (fx, fy) = (x - left, y - top);
    let upper = at(left, top) * (1.0 - fx) + at(left + 1.0, top) * fx;
    let lower = at(left, top + 1.0) * (1.0 - fx) + at(left + 1.0, top + 1.0) * fx;
    (upper * (1.0 - fy) + lower * fy) as f32
}

/// The projective map from a quad to the unit square, row by row: the adjugate of the map from the square to the quad
/// (Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989, section 2.2.3).
fn square_from([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]: [[f64; 2]; 4]) -> [f64; 9] {
    let (dx1, dx2, sx) = (x1 - x2, x3 - x2, x0 - x1 + x2 - x3);
    let (dy1, dy2, sy) = (y1 - y2, y3 - y2, y0 - y1 + y2 - y3);
    let det = dx1 * dy2 - dx2 * dy1;
    let last = [(sx * dy2 - dx2 * sy) / det, (dx1 * sy - sx * dy1) / det, 1.0];
    let m = [
        [x1 - x0 + last[0] * x1, x3 - x0 + last[1] * x3, x0],
        [y1 - y0 + last[0] * y1, y3 - y0 + last[1] * y3, y0],
        last,
    ];
    std::array::from_fn(|i| {
        // The cofactor of the transposed element.
        let (row, column) = (i % 3, i / 3);
        let at = |down: usize, right: usize| m[(row + down) % 3][(column + right) % 3];
        at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)
    })
}

fn project(m: &[f64; 9], x: f64, y: f64) -> (f64, f64) {
    let w = m[6] * x + m[7] * y + m[8];
    ((m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w)
}

/// All samples at 320x240, side by side.
#[must_use]
pub fn sheet() -> RgbImage {
    const COLUMNS: u32 = 3;
    const GAP: u32 = 8;
    let theme = Theme::<Rgb565>::new(320, 240);
    let (width, height) = (theme.size.width + GAP, theme.size.height + GAP);
    let rows = (NAMES.len() as u32).div_ceil(COLUMNS);
    let mut sheet = RgbImage::from_pixel(COLUMNS * width + GAP, rows * height + GAP, image::Rgb([0x3a, 0x42, 0x4e]));
    for (index, name) in (0..).zip(NAMES) {
        if let Some(screen) = screen(name, None) {
            let mut canvas = Canvas::new(theme.size, theme.palette.background);
            let Ok(()) = draw(&screen, &theme, &mut canvas);
            let (x, y) = (index % COLUMNS * width + GAP, index / COLUMNS * height + GAP);
            imageops::replace(&mut sheet, &canvas.to_image(), x.into(), y.into());
        }
    }
    reduced(sheet)
}

/// The picture in its most frequent colours, so that it is written small, with a palette: only shades of the camera's
/// pictures are given up.
fn reduced(mut picture: RgbImage) -> RgbImage {
    const COLOURS: usize = 72;
    let mut counts: BTreeMap<[u8; 3], usize> = BTreeMap::new();
    for pixel in picture.pixels() {
        *counts.entry(pixel.0).or_default() += 1;
    }
    let mut kept: Vec<[u8; 3]> = counts.keys().copied().collect();
    kept.sort_by_key(|colour| Reverse(counts[colour]));
    kept.truncate(COLOURS);
    let far = |a: &[u8; 3], b: &[u8; 3]| a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum::<u32>();
    let nearest = |colour: &[u8; 3]| kept.iter().min_by_key(|kept| far(kept, colour)).copied().unwrap_or(*colour);
    let places: BTreeMap<[u8; 3], [u8; 3]> = counts.keys().map(|colour| (*colour, nearest(colour))).collect();
    for pixel in picture.pixels_mut() {
        pixel.0 = places[&pixel.0];
    }
    picture
}

/// A sudoku of another side for the samples: 4 or 6. `None` for sides without one.
#[must_use]
pub fn small_sudoku(side: usize) -> Option<Board> {
    let text = match side {
        4 => "1...\n..3.\n.4..\n...2\n",
        6 => "1..4.6\n.5.1..\n2..5.4\n.64...\n..2..5\n6.5.1.\n",
        _ => return None,
    };
    let digits = text.bytes().filter(|byte| *byte != b'\n').map(|byte| byte.saturating_sub(b'0') % 10);
    let cells = digits.map(|digit| if usize::from(digit) <= side { digit } else { BLANK }).collect();
    let task = Sudoku::with_side(side)?;
    Some(Board::new(PuzzleKind::Sudoku(task), Grid::from_cells(side, side, cells).ok()?))
}
