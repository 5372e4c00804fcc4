//! Prints line mazes and photographs them.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, Rgb, RgbImage};
use imageproc::geometric_transformations::Projection;
use rand::{Rng, RngExt as _};
use trm_puzzles::maze::{FREE, GOAL, START, WALL};
use trm_puzzles::{Cell, Generate as _, Grid, Layout, Maze, MazeGenerator};

/// Pixels of a room on the page.
const ROOM: f32 = 40.0;

/// Printed form of start and goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    DotAndRing,
    GreenAndRed,
    Openings,
    OpeningAndRing,
}

impl Marks {
    pub(crate) const ALL: [Self; 4] = [Self::DotAndRing, Self::GreenAndRed, Self::Openings, Self::OpeningAndRing];
}

/// A maze on paper.
#[derive(Debug, Clone)]
pub(crate) struct Printed {
    /// The grid that is to be read.
    pub(crate) grid: Grid,
    pub(crate) page: RgbImage,
}

/// A perfect maze of rows x cols rooms.
pub(crate) fn perfect(rows: usize, cols: usize, rng: &mut dyn Rng) -> Grid {
    let task = Maze::new(2 * rows + 1, 2 * cols + 1).unwrap();
    let mut grid = MazeGenerator::new(task).layouts(&[Layout::Perfect]).generate(rng).unwrap().puzzle;
    // The generator may put start and goal into doors between rooms; in print they are in rooms.
    for value in [START, GOAL] {
        let cell = grid.find(value).unwrap();
        grid.set(cell, FREE);
    }
    let room = |rng: &mut dyn Rng| Cell::new(2 * rng.random_range(0..rows) + 1, 2 * rng.random_range(0..cols) + 1);
    let start = room(rng);
    let mut goal = room(rng);
    while goal == start {
        goal = room(rng);
    }
    grid.set(start, START);
    grid.set(goal, GOAL);
    grid
}

/// An outer wall: its cell, and the room behind it.
fn opening(rows: usize, cols: usize, rng: &mut dyn Rng) -> (Cell, Cell) {
    let (row, col) = (2 * rng.random_range(0..rows) + 1, 2 * rng.random_range(0..cols) + 1);
    match rng.random_range(0..4) {
        0 => (Cell::new(0, col), Cell::new(1, col)),
        1 => (Cell::new(2 * rows, col), Cell::new(2 * rows - 1, col)),
        2 => (Cell::new(row, 0), Cell::new(row, 1)),
        _ => (Cell::new(row, 2 * cols), Cell::new(row, 2 * cols - 1)),
    }
}

fn shade(page: &mut RgbImage, inside: impl Fn(f32, f32) -> bool, colour: Rgb<u8>) {
    for (x, y, pixel) in page.enumerate_pixels_mut() {
        if inside(x as f32 + 0.5, y as f32 + 0.5) {
            *pixel = colour;
        }
    }
}

/// A page with the maze, and a few lines of writing above it.
pub(crate) fn print(maze: &Grid, marks: Marks, rng: &mut dyn Rng) -> Printed {
    let (rows, cols) = (maze.height() / 2, maze.width() / 2);
    let margin = ROOM * rng.random_range(0.8..1.8_f32);
    let head = ROOM * 1.2;
    let size = [2.0 * margin + ROOM * cols as f32, 2.0 * margin + head + ROOM * rows as f32];
    let mut page = RgbImage::from_pixel(size[0] as u32, size[1] as u32, Rgb([250, 248, 240]));
    let black = Rgb([rng.random_range(10..60); 3]);
    let half = ROOM * rng.random_range(0.025..0.075_f32);
    let mut grid = maze.clone();
    let mut open = Vec::new();
    if matches!(marks, Marks::Openings | Marks::OpeningAndRing) {
        let goal = grid.find(GOAL).unwrap();
        for value in [START, GOAL] {
            let cell = grid.find(value).unwrap();
            grid.set(cell, FREE);
        }
        let (gap, start) = loop {
            let (gap, start) = opening(rows, cols, rng);
            if start != goal {
                break (gap, start);
            }
        };
        open.push(gap);
        let goal = if marks == Marks::Openings {
            loop {
                let (gap, goal) = opening(rows, cols, rng);
                if goal != start {
                    open.push(gap);
                    break goal;
                }
            }
        } else {
            goal
        };
        let swap = marks == Marks::Openings && goal < start;
        grid.set(if swap { goal } else { start }, START);
        grid.set(if swap { start } else { goal }, GOAL);
    }
    let corner = |cell: usize, origin: f32| origin + ROOM * (cell / 2) as f32;
    for (cell, value) in grid.iter().filter(|(cell, value)| *value == WALL && !open.contains(cell)) {
        debug_assert_eq!(value, WALL);
        // A post, or the line between two.
        let (left, top) = (corner(cell.column, margin), corner(cell.row, margin + head));
        let (right, bottom) =
            (if cell.column % 2 == 1 { left + ROOM } else { left }, if cell.row % 2 == 1 { top + ROOM } else { top });
        let post = cell.column % 2 == 0 && cell.row % 2 == 0;
        if !post {
            let inside = |x: f32, y: f32| x > left - half && x < right + half && y > top - half && y < bottom + half;
            shade(&mut page, inside, black);
        }
    }
    let middle = |value: u8| {
        let cell = grid.find(value).unwrap();
        (corner(cell.column, margin) + ROOM / 2.0, corner(cell.row, margin + head) + ROOM / 2.0)
    };
    let (start, goal) = (middle(START), middle(GOAL));
    let radius = ROOM * rng.random_range(0.16..0.3_f32);
    let disc = |(cx, cy): (f32, f32)| move |x: f32, y: f32| (x - cx).hypot(y - cy) < radius;
    let stroke = ROOM * rng.random_range(0.05..0.09_f32);
    let ring = |(cx, cy): (f32, f32)| move |x: f32, y: f32| ((x - cx).hypot(y - cy) - radius).abs() < stroke / 2.0;
    match marks {
        Marks::DotAndRing => {
            shade(&mut page, disc(start), black);
            shade(&mut page, ring(goal), black);
        }
        Marks::GreenAndRed => {
            shade(&mut page, disc(start), Rgb([30, 150, 60]));
            shade(&mut page, disc(goal), Rgb([210, 40, 40]));
        }
        Marks::OpeningAndRing => shade(&mut page, ring(goal), black),
        Marks::Openings => {}
    }
    // Writing: words of strokes.
    for line in 0..2 {
        let mut x = margin;
        while x < size[0] - margin - 20.0 {
            let word = rng.random_range(2.0..9.0_f32);
            let y = margin * 0.5 + line as f32 * 16.0;
            let inside =
                |px: f32, py: f32| px > x && px < x + 4.0 * word && py > y && py < y + 8.0 && (px - x) % 4.0 < 2.2;
            shade(&mut page, inside, black);
            x += 4.0 * word + 6.0;
        }
    }
    Printed { grid, page }
}

/// A finger on the page, somewhere between its middle and its edge.
pub(crate) fn finger(page: &mut RgbImage, rng: &mut dyn Rng) {
    let (width, height) = (page.width() as f32, page.height() as f32);
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
    let tip = (width * (0.5 + 0.3 * cos), height * (0.5 + 0.3 * sin));
    let half = ROOM * rng.random_range(0.4..0.8_f32);
    let inside = |x: f32, y: f32| {
        let (dx, dy) = (x - tip.0, y - tip.1);
        let (along, across) = (dx * cos + dy * sin, dx * sin - dy * cos);
        across.abs() < half && (along > 0.0 || dx.hypot(dy) < half)
    };
    let light = rng.random_range(0.7..1.2_f32);
    shade(page, inside, Rgb([190.0, 140.0, 115.0].map(|value| (value * light) as u8)));
}

/// Faults of a photograph of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Largest turn, radians, and largest shift of the page's corners, a share of its size.
    pub(crate) turn: f32,
    pub(crate) perspective: f32,
    /// Largest bend of the page, a share of its size.
    pub(crate) curl: f32,
    /// Largest blur and noise: pixels and levels.
    pub(crate) blur: f32,
    pub(crate) noise: f32,
    /// Largest loss of light from one side to the other.
    pub(crate) shading: f32,
}

impl Camera {
    /// Bad light, an unsteady hand, a page that does not lie flat.
    pub(crate) const HARSH: Self =
        Self { turn: 0.5, perspective: 0.1, curl: 0.04, blur: 3.5, noise: 25.0, shading: 0.9 };
    pub(crate) const PHONE: Self =
        Self { turn: 0.2, perspective: 0.05, curl: 0.015, blur: 1.3, noise: 6.0, shading: 0.4 };
}

/// A photograph of the page on a table, as a camera stores it: JPEG of quality 60.
pub(crate) fn photograph(page: &RgbImage, camera: Camera, rng: &mut dyn Rng) -> RgbImage {
    let about = |rng: &mut dyn Rng, reach: f32| if reach > 0.0 { rng.random_range(-reach..reach) } else { 0.0 };
    let (width, height) = (rng.random_range(700..1200_u32), rng.random_range(700..1200_u32));
    let (pw, ph) = (page.width() as f32, page.height() as f32);
    let (sin, cos) = about(rng, camera.turn).sin_cos();
    // The largest size at which the turned page fits, and somewhat less.
    let (turned_w, turned_h) = (pw * cos.abs() + ph * sin.abs(), pw * sin.abs() + ph * cos.abs());
    let fit = (width as f32 / turned_w).min(height as f32 / turned_h) * rng.random_range(0.75..0.9_f32);
    let corners = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)].map(|(u, v): (f32, f32)| {
        let (x, y) = (u * pw * fit, v * ph * fit);
        let size = pw.min(ph) * fit * camera.perspective;
        (
            width as f32 / 2.0 + cos * x - sin * y + about(rng, size),
            height as f32 / 2.0 + sin * x + cos * y + about(rng, size),
        )
    });
    let to_page = Projection::from_control_points(corners, [(0.0, 0.0), (pw, 0.0), (pw, ph), (0.0, ph)]).unwrap();
    let bend = [about(rng, camera.curl) * pw, about(rng, camera.curl) * ph];
    let phase = [about(rng, 1.5), about(rng, 1.5)];
    let light = [about(rng, camera.shading), about(rng, camera.shading)];
    let brightness = rng.random_range(0.6..1.0_f32);
    let table = Rgb([rng.random_range(20..120_u8); 3]);
    let mut photo = RgbImage::from_fn(width, height, |x, y| {
        let mut sum = [0.0_f32; 3];
        for (dx, dy) in [(-0.25, -0.25), (0.25, -0.25), (-0.25, 0.25), (0.25, 0.25)] {
            let (px, py) = to_page * (x as f32 + dx, y as f32 + dy);
            // Paper bends along one direction each.
            let wave = |t: f32, k: usize| bend[k] * (3.0 * t + phase[k]).sin();
            let (px, py) = (px + wave(py / ph, 0), py + wave(px / pw, 1));
            let inside = px >= 0.0 && py >= 0.0 && px < pw && py < ph;
            let colour = if inside { page.get_pixel(px as u32, py as u32) } else { &table };
            sum.iter_mut().zip(colour.0).for_each(|(sum, value)| *sum += f32::from(value) / 4.0);
        }
        let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
        let light = brightness * (1.0 + light[0] * u + light[1] * v);
        Rgb(sum.map(|value| (value * light).clamp(0.0, 255.0) as u8))
    });
    let blur = camera.blur * rng.random_range(0.3..1.0_f32);
    if blur > 0.0 {
        photo = image::imageops::blur(&photo, blur);
    }
    let noise = camera.noise * rng.random_range(0.2..1.0_f32);
    for pixel in photo.pixels_mut() {
        for channel in &mut pixel.0 {
            let grain: f32 = (0..4).map(|_| rng.random_range(-1.0..1.0_f32)).sum::<f32>() * 0.866 * noise;
            *channel = (f32::from(*channel) + grain).clamp(0.0, 255.0) as u8;
        }
    }
    jpeg(&photo, 60)
}

/// Returns a picture as its JPEG file of this quality shows it.
pub(crate) fn jpeg(picture: &RgbImage, quality: u8) -> RgbImage {
    let mut bytes = Vec::new();
    let (width, height) = picture.dimensions();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode(picture, width, height, ExtendedColorType::Rgb8).unwrap();
    image::load_from_memory(&bytes).unwrap().into_rgb8()
}
