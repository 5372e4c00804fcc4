//! The lines of a board: a measure of whether a quadrilateral has them, and the place where each crossing really is.
//!
//! A page that curls bends the lines, and a homography of the four corners then cuts digits in two. So the crossings of
//! the lines are looked for one by one in the rectified picture, and smoothed by what paper can do: second differences of
//! their displacements are small.

use image::{GrayImage, Luma};
use imageproc::geometric_transformations::Projection;
use nalgebra::{DMatrix, DVector};

use super::Point;
use super::photo::sample;
use super::quad::Quad;

/// Side of a cell in the rectified picture, pixels. Distances in pixels below are in this picture.
pub(crate) const CELL: usize = 48;

/// Width of the surroundings of the board in the rectified picture, pixels. Half a cell is room for the outer lines'
/// displacements ([`REACH`]) and for the paper beside them.
pub(crate) const MARGIN: usize = 24;

/// Points along one side of a cell at which its line is looked for. More would cost time: every candidate is
/// measured so.
const SEGMENT_POINTS: usize = 7;

/// Measures how well a board of `side` cells fills the quadrilateral: the mean strength of its lines, 0 to 1.
///
/// Each side of each cell may lie a little off, as bent paper has it: up to 18 % of a cell.
pub(crate) fn line_score(gray: &GrayImage, quad: &Quad, side: usize) -> f32 {
    let Some(to_picture) = projection(unit_square(), quad) else { return 0.0 };
    let cell = 1.0 / side as f32;
    let mut total = 0.0;
    let mut worst = f32::MAX;
    for vertical in [false, true] {
        for line in 0..=side {
            let mut sum = 0.0;
            for segment in 0..side {
                let strength = (-3..=3)
                    .map(|step| {
                        let across = cell * (line as f32 + 0.06 * step as f32);
                        segment_strength(gray, &to_picture, vertical, across, segment as f32 * cell, cell)
                    })
                    .fold(0.0, f32::max);
                sum += strength;
            }
            worst = worst.min(sum / side as f32);
            total += sum;
        }
    }
    let mean = total / (2 * side * (side + 1)) as f32;
    // A line that is missing altogether says more than a mean does.
    0.5 * (mean + worst.min(mean))
}

/// Measures how much darker than both its sides a cell's edge is, 0 to 1.
fn segment_strength(
    gray: &GrayImage,
    to_picture: &Projection,
    vertical: bool,
    across: f32,
    start: f32,
    cell: f32,
) -> f32 {
    let at = |across: f32, along: f32| {
        let (x, y) = *to_picture * if vertical { (across, along) } else { (along, across) };
        sample(gray, x, y)
    };
    let mut sum = 0.0;
    for k in 0..SEGMENT_POINTS {
        let along = start + cell * (k as f32 + 0.5) / SEGMENT_POINTS as f32;
        let line = at(across, along);
        let beside = at(across - 0.13 * cell, along).min(at(across + 0.13 * cell, along));
        // A line that is 12 % and 4 levels darker than its paper counts in full. The levels keep noise in black places
        // from doing so.
        sum += ((beside - line) / (0.12 * beside + 4.0)).clamp(0.0, 1.0);
    }
    sum / SEGMENT_POINTS as f32
}

fn unit_square() -> Quad {
    [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
}

/// The projection that takes one quadrilateral to another.
pub(crate) fn projection(from: Quad, to: &Quad) -> Option<Projection> {
    let pairs = |quad: &Quad| quad.map(|[x, y]| (x, y));
    Projection::from_control_points(pairs(&from), pairs(to))
}

/// A board seen from straight above, with the places of its crossings.
#[derive(Debug)]
pub(crate) struct Lattice {
    /// Cells along a side.
    pub side: usize,
    /// The rectified picture: `side` cells of [`CELL`] pixels with [`MARGIN`] around them.
    pub flat: GrayImage,
    /// The crossings in `flat`, row by row, `[side + 1, side + 1]`.
    pub crossings: Vec<Point>,
    /// From `flat` to the picture it was taken from.
    pub to_picture: Projection,
    /// Clarity of the lines between the crossings, 0 to 1.
    pub clarity: f32,
}

impl Lattice {
    /// Rectifies a quadrilateral and finds its crossings.
    pub(crate) fn new(gray: &GrayImage, quad: &Quad, side: usize) -> Option<Self> {
        let (near, far) = (MARGIN as f32, (MARGIN + side * CELL) as f32);
        let to_picture = projection([[near, near], [far, near], [far, far], [near, far]], quad)?;
        let size = (side * CELL + 2 * MARGIN) as u32;
        let flat = GrayImage::from_fn(size, size, |x, y| {
            let (x, y) = to_picture * (x as f32, y as f32);
            Luma([(sample(gray, x, y) + 0.5) as u8])
        });
        let ridges = [ridges(&flat, true), ridges(&flat, false)];
        let crossings = find_crossings(&ridges, side);
        let clarity = clarity(&ridges, &crossings, side);
        Some(Self { side, flat, crossings, to_picture, clarity })
    }

    /// The crossing at the top left of a cell, in `flat`.
    pub(crate) fn crossing(&self, row: usize, col: usize) -> Point {
        self.crossings[row * (self.side + 1) + col]
    }

    /// A point of a cell, `u` to the right and `v` downwards, 0 to 1, in `flat`.
    pub(crate) fn point_of_cell(&self, row: usize, col: usize, u: f32, v: f32) -> Point {
        let corner = |row, col| self.crossing(row, col);
        let mix = |k: usize| {
            let above = corner(row, col)[k] + u * (corner(row, col + 1)[k] - corner(row, col)[k]);
            let below = corner(row + 1, col)[k] + u * (corner(row + 1, col + 1)[k] - corner(row + 1, col)[k]);
            above + v * (below - above)
        };
        [mix(0), mix(1)]
    }

    /// A point of `flat` in the picture it was taken from.
    pub(crate) fn in_picture(&self, point: Point) -> Point {
        let (x, y) = self.to_picture * (point[0], point[1]);
        [x, y]
    }

    /// The board's corners in the picture it was taken from, clockwise from the top left.
    pub(crate) fn corners(&self) -> Quad {
        let side = self.side;
        [(0, 0), (0, side), (side, side), (side, 0)].map(|(row, col)| self.in_picture(self.crossing(row, col)))
    }
}

/// Displacements that are tried around where a crossing is expected, pixels: in the first pass, and in the second,
/// once the smooth field is known. Beyond half a cell the line of a neighbour would be nearer.
const REACH: [i32; 2] = [13, 6];

/// Length of a crossing's arms, pixels. Less than half a cell: the arms of neighbours share no pixels.
const ARM: i32 = 19;

/// Stiffness of paper, in units of a clear crossing's weight. More flattens curls; less lets a single wrong crossing
/// bend the board.
const STIFFNESS: f32 = 6.0;

/// The crossings of the lines in a rectified picture.
fn find_crossings([vertical, horizontal]: &[Ridges; 2], side: usize) -> Vec<Point> {
    let nodes = side + 1;
    let mut field = vec![[0.0_f32; 2]; nodes * nodes];
    for reach in REACH {
        let mut measured = vec![[(0.0_f32, 0.0_f32); 2]; nodes * nodes];
        for row in 0..nodes {
            for col in 0..nodes {
                let k = row * nodes + col;
                let expected = [0, 1].map(|axis| {
                    let cell = if axis == 0 { col } else { row };
                    (MARGIN + cell * CELL) as f32 + field[k][axis]
                });
                measured[k] = [
                    measure(vertical, expected, true, reach, (row > 0, row < side)),
                    measure(horizontal, expected, false, reach, (col > 0, col < side)),
                ]
                .map(|(offset, weight)| (offset, weight));
                for axis in 0..2 {
                    measured[k][axis].0 += field[k][axis];
                }
            }
        }
        for axis in 0..2 {
            let of_axis: Vec<_> = measured.iter().map(|both| both[axis]).collect();
            for (node, value) in field.iter_mut().zip(smooth(&of_axis, nodes)) {
                node[axis] = value;
            }
        }
    }
    (0..nodes * nodes)
        .map(|k| {
            let (row, col) = (k / nodes, k % nodes);
            [(MARGIN + col * CELL) as f32 + field[k][0], (MARGIN + row * CELL) as f32 + field[k][1]]
        })
        .collect()
}

/// The mean strength of the lines between neighbouring crossings, together with that of the weakest line but one.
fn clarity([vertical, horizontal]: &[Ridges; 2], crossings: &[Point], side: usize) -> f32 {
    let nodes = side + 1;
    let mut lines = Vec::new();
    for line in 0..nodes {
        for (ridges, down) in [(vertical, true), (horizontal, false)] {
            let mut sum = 0.0;
            for k in 0..side {
                let node = |k: usize| crossings[if down { k * nodes + line } else { line * nodes + k }];
                let (from, to) = (node(k), node(k + 1));
                // Eight points between two crossings, each with a pixel of play across the line.
                for step in 1..=8 {
                    let along = step as f32 / 9.0;
                    let x = (from[0] + along * (to[0] - from[0])).round() as i32;
                    let y = (from[1] + along * (to[1] - from[1])).round() as i32;
                    let (dx, dy) = if down { (1, 0) } else { (0, 1) };
                    sum += (-1..=1).map(|off| ridges.at(x + off * dx, y + off * dy)).fold(0.0, f32::max);
                }
            }
            lines.push((sum / (8 * side) as f32).min(1.0));
        }
    }
    let mean = lines.iter().sum::<f32>() / lines.len() as f32;
    // One line may lie on the picture's edge, where nothing is beside it.
    lines.sort_by(f32::total_cmp);
    0.5 * (mean + lines[1])
}

/// Measures how much darker than what is left and right of it (or above and below) each pixel is, 0 to 1, row by row.
fn ridges(flat: &GrayImage, vertical: bool) -> Ridges {
    let size = flat.width() as usize;
    let data = flat.as_raw();
    // A tenth of a cell: outside of a line that is thinner than a fifth.
    let reach = 5;
    let mut values = vec![0.0; size * size];
    for y in 0..size {
        for x in 0..size {
            let along = if vertical { x } else { y };
            if along < reach || along + reach >= size {
                continue;
            }
            let step = if vertical { reach } else { reach * size };
            let k = y * size + x;
            let beside = f32::from(data[k - step].min(data[k + step]));
            let depth = beside - f32::from(data[k]);
            // A pixel that is 20 % and 4 levels darker than its surroundings counts in full.
            values[k] = (depth / (0.2 * beside + 4.0)).clamp(0.0, 1.0);
        }
    }
    Ridges { size: size as i32, values }
}

struct Ridges {
    size: i32,
    values: Vec<f32>,
}

impl Ridges {
    fn at(&self, x: i32, y: i32) -> f32 {
        if x < 0 || y < 0 || x >= self.size || y >= self.size {
            return 0.0;
        }
        self.values[(y * self.size + x) as usize]
    }
}

/// Measures how far a line lies from a crossing's expected place, across the line, and how clearly it shows. `arms`
/// says which of the line's two directions, backwards and forwards, are on the board.
fn measure(ridges: &Ridges, expected: Point, vertical: bool, reach: i32, arms: (bool, bool)) -> (f32, f32) {
    let (x, y) = (expected[0].round() as i32, expected[1].round() as i32);
    let profile: Vec<f32> = (-reach..=reach)
        .map(|offset| {
            let start = if arms.0 { -ARM } else { 0 };
            let end = if arms.1 { ARM } else { 0 };
            let sum: f32 = (start..=end)
                .map(|along| if vertical { ridges.at(x + offset, y + along) } else { ridges.at(x + along, y + offset) })
                .sum();
            // Of two lines the nearer one is meant.
            (sum / (end - start + 1) as f32) * (1.0 - 0.35 * (offset as f32 / reach as f32).powi(2))
        })
        .collect();
    let (best, strength) =
        profile.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((reach as usize, 0.0));
    // Thick lines have a broad top: their middle is the mean of what is nearly as strong.
    let (mut sum, mut weight) = (0.0, 0.0);
    for (k, &value) in profile.iter().enumerate() {
        if k.abs_diff(best) <= 4 && value > 0.6 * strength {
            sum += value * k as f32;
            weight += value;
        }
    }
    let centre = if weight > 0.0 { sum / weight } else { reach as f32 };
    let rounded = if vertical { x as f32 - expected[0] } else { y as f32 - expected[1] };
    // The weight is squared: a weak line gives way to the clear ones around it.
    (centre - reach as f32 + rounded, strength.powi(2))
}

/// Returns the field that follows the measurements, `(value, weight)`, as closely as stiff paper can; those far off it
/// count less and less.
fn smooth(measured: &[(f32, f32)], nodes: usize) -> Vec<f32> {
    let count = nodes * nodes;
    let mut bending = DMatrix::<f32>::zeros(count, count);
    for row in 0..nodes {
        for col in 0..nodes {
            for (dr, dc) in [(0, 1), (1, 0)] {
                let (last_row, last_col) = (row + 2 * dr, col + 2 * dc);
                if last_row < nodes && last_col < nodes {
                    let three = [row * nodes + col, (row + dr) * nodes + col + dc, last_row * nodes + last_col];
                    for (a, p) in three.iter().zip([1.0, -2.0, 1.0]) {
                        for (b, q) in three.iter().zip([1.0, -2.0, 1.0]) {
                            bending[(*a, *b)] += STIFFNESS * p * q;
                        }
                    }
                }
            }
        }
    }
    let mut field = DVector::<f32>::zeros(count);
    for round in 0..4 {
        let mut system = bending.clone();
        let mut right = DVector::<f32>::zeros(count);
        for (k, &(value, weight)) in measured.iter().enumerate() {
            // Least squares, weighted anew in each round by Cauchy's function: a crossing that is 2 pixels off counts
            // half.
            let off = if round == 0 { 0.0 } else { (value - field[k]) / 2.0 };
            let weight = weight / (1.0 + off * off);
            // A little weight everywhere keeps the system regular.
            system[(k, k)] += weight + 1e-4;
            right[k] = weight * value;
        }
        match system.cholesky() {
            Some(factors) => field = factors.solve(&right),
            None => break,
        }
    }
    field.iter().copied().collect()
}
