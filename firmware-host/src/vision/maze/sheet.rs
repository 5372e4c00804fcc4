//! A maze seen from straight above, with the bend of its paper, and the strength of each possible wall.

use image::{GrayImage, Luma};
use imageproc::geometric_transformations::Projection;
use nalgebra::{DMatrix, DVector};
use trm_puzzles::Cell;

use crate::vision::Point;
use crate::vision::lattice::{CELL, MARGIN, projection};
use crate::vision::photo::sample;
use crate::vision::quad::Quad;

/// Strength up to which there is no wall, and from which on there is one. A line as dark as the frame has 1. Between
/// them is doubt, as for a wall of which half is gone, and the maze is refused.
pub(super) const ABSENT: f32 = 0.3;
pub(super) const PRESENT: f32 = 0.6;

/// Least darkness of a wall's line, as a share of the paper's brightness: below it there is noise only.
pub(super) const LEAST_DEPTH: f32 = 0.08;

/// Distances beside a line at which paper is looked for, pixels: the brightest of these, for lines of any thickness.
const BESIDE: [usize; 3] = [7, 10, 14];

/// Points of a wall at which its line is looked for, and the share of its length that is left out at each post.
const WALL_POINTS: usize = 14;
const POST: f32 = 0.16;

/// Displacements that are tried around where a wall is expected, pass by pass, pixels; the last for its strength. Each
/// pass begins at the bend that the one before has found, so that less and less is left.
const REACH: [i32; 3] = [13, 9, 6];
const LAST_REACH: i32 = 3;

/// Highest power of the place that a sheet's displacement depends on: 15 numbers in each direction. The smallest maze
/// has only 12 places for walls in each, so [`Sheet::fit`] puts a little weight against high powers.
const DEGREE: usize = 4;

/// The side of a room, or of the maze, where a wall may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wall {
    /// Between the rooms of two columns; else between those of two rows.
    pub vertical: bool,
    /// The line it is on: 0 for the maze's upper or left edge.
    pub line: usize,
    /// Which of the line's walls, from the top or left.
    pub index: usize,
}

impl Wall {
    /// `true` if it is a part of the maze's frame.
    pub(super) fn is_outer(self, rows: usize, cols: usize) -> bool {
        self.line == 0 || self.line == if self.vertical { cols } else { rows }
    }

    /// Its cell of the block maze.
    pub(super) fn cell(self) -> Cell {
        if self.vertical {
            Cell::new(2 * self.index + 1, 2 * self.line)
        } else {
            Cell::new(2 * self.line, 2 * self.index + 1)
        }
    }

    /// A point of it in rooms to the right and downwards.
    fn point(self, t: f32) -> Point {
        let (along, across) = (self.index as f32 + t, self.line as f32);
        if self.vertical { [across, along] } else { [along, across] }
    }
}

/// A maze seen from straight above.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Rooms from top to bottom.
    pub rows: usize,
    /// Rooms from left to right.
    pub cols: usize,
    /// The rectified picture: rooms of [`CELL`] pixels with [`MARGIN`] around them.
    pub flat: GrayImage,
    to_picture: Projection,
    /// Displacements to the right and downwards as polynomials of the place, see [`powers`].
    bend: [DVector<f32>; 2],
    /// Darkness of each pixel beside the paper on both sides, as a share of its brightness: of lines that run across,
    /// and of those that run down.
    ridges: [Vec<f32>; 2],
}

impl Sheet {
    /// Rectifies a quadrilateral and finds out how its lines are bent.
    pub(super) fn new(gray: &GrayImage, quad: &Quad, rows: usize, cols: usize) -> Option<Self> {
        let near = MARGIN as f32;
        let (right, bottom) = ((MARGIN + cols * CELL) as f32, (MARGIN + rows * CELL) as f32);
        let to_picture = projection([[near, near], [right, near], [right, bottom], [near, bottom]], quad)?;
        let flat = GrayImage::from_fn((cols * CELL + 2 * MARGIN) as u32, (rows * CELL + 2 * MARGIN) as u32, |x, y| {
            let (x, y) = to_picture * (x as f32, y as f32);
            Luma([sample(gray, x, y).round() as u8])
        });
        let ridges = [ridges(&flat, false), ridges(&flat, true)];
        let none = DVector::zeros(powers(0.0, 0.0).len());
        let mut sheet = Self { rows, cols, flat, to_picture, bend: [none.clone(), none], ridges };
        for reach in REACH {
            sheet.bend = [true, false].map(|vertical| sheet.fit(vertical, reach));
        }
        Some(sheet)
    }

    /// A point of the maze, counted in rooms to the right and downwards, in `flat`.
    pub(super) fn place(&self, x: f32, y: f32) -> Point {
        let powers = self.powers(x, y);
        let bend = |axis: usize| powers.iter().zip(&self.bend[axis]).map(|(a, b)| a * b).sum::<f32>();
        [MARGIN as f32 + x * CELL as f32 + bend(0), MARGIN as f32 + y * CELL as f32 + bend(1)]
    }

    /// A point of `flat` in the picture it was taken from.
    pub(super) fn in_picture(&self, point: Point) -> Point {
        let (x, y) = self.to_picture * (point[0], point[1]);
        [x, y]
    }

    /// The maze's corners in the picture it was taken from, clockwise from the top left.
    pub(super) fn corners(&self) -> Quad {
        let (right, bottom) = (self.cols as f32, self.rows as f32);
        [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)].map(|(x, y)| self.in_picture(self.place(x, y)))
    }

    fn powers(&self, x: f32, y: f32) -> Vec<f32> {
        powers(2.0 * x / self.cols as f32 - 1.0, 2.0 * y / self.rows as f32 - 1.0)
    }

    fn all_walls(&self) -> Vec<Wall> {
        let of = |vertical: bool, lines: usize, walls: usize| {
            (0..=lines).flat_map(move |line| (0..walls).map(move |index| Wall { vertical, line, index }))
        };
        of(true, self.cols, self.rows).chain(of(false, self.rows, self.cols)).collect()
    }

    /// The mean darkness of a line along a wall, for each displacement across it.
    fn profile(&self, wall: Wall, reach: i32) -> Vec<f32> {
        let points: Vec<Point> = (0..WALL_POINTS)
            .map(|k| {
                let t = POST + (1.0 - 2.0 * POST) * k as f32 / (WALL_POINTS - 1) as f32;
                let [x, y] = wall.point(t);
                self.place(x, y)
            })
            .collect();
        let ridges = &self.ridges[usize::from(wall.vertical)];
        let (width, height) = (self.flat.width() as i32, self.flat.height() as i32);
        let at = |x: i32, y: i32| {
            if x < 0 || y < 0 || x >= width || y >= height { 0.0 } else { ridges[(y * width + x) as usize] }
        };
        (-reach..=reach)
            .map(|offset| {
                let (dx, dy) = if wall.vertical { (offset, 0) } else { (0, offset) };
                let sum: f32 = points.iter().map(|[x, y]| at(x.round() as i32 + dx, y.round() as i32 + dy)).sum();
                sum / WALL_POINTS as f32
            })
            .collect()
    }

    /// Finds the polynomial that follows the lines' displacements in one direction as closely as paper can; those far
    /// off it count less and less.
    fn fit(&self, vertical: bool, reach: i32) -> DVector<f32> {
        let axis = usize::from(!vertical);
        let walls = self.all_walls().into_iter().filter(|wall| wall.vertical == vertical);
        let measured: Vec<(Vec<f32>, f32, f32)> = walls
            .map(|wall| {
                let (offset, strength) = centre(&self.profile(wall, reach));
                let [x, y] = wall.point(0.5);
                let powers = self.powers(x, y);
                let bend: f32 = powers.iter().zip(&self.bend[axis]).map(|(a, b)| a * b).sum();
                (powers, bend + offset, strength * strength)
            })
            .collect();
        let strongest = measured.iter().map(|(_, _, weight)| *weight).fold(1e-6, f32::max);
        let terms = self.bend[axis].len();
        let mut bend = DVector::zeros(terms);
        for round in 0..4 {
            // A little weight against high powers, so that places without lines do not swing.
            let mut system = DMatrix::<f32>::identity(terms, terms) * 0.02;
            let mut right = DVector::<f32>::zeros(terms);
            for (powers, value, weight) in &measured {
                let expected: f32 = powers.iter().zip(&bend).map(|(a, b): (&f32, &f32)| a * b).sum();
                let off = if round == 0 { 0.0 } else { (value - expected) / 2.0 };
                let weight = weight / strongest / (1.0 + off * off);
                for (a, p) in powers.iter().enumerate() {
                    right[a] += weight * p * value;
                    for (b, q) in powers.iter().enumerate() {
                        system[(a, b)] += weight * p * q;
                    }
                }
            }
            match system.cholesky() {
                Some(factors) => bend = factors.solve(&right),
                None => break,
            }
        }
        bend
    }

    /// Every possible wall with its strength, and the darkness that counts as 1: the median of the frame's. `None` when
    /// that is hardly any.
    pub(super) fn walls(&self) -> Option<(Vec<(Wall, f32)>, f32)> {
        let strength = |wall| self.profile(wall, LAST_REACH).into_iter().fold(0.0, f32::max);
        let mut walls: Vec<(Wall, f32)> = self.all_walls().into_iter().map(|wall| (wall, strength(wall))).collect();
        let outer = walls.iter().filter(|(wall, _)| wall.is_outer(self.rows, self.cols));
        let mut outer: Vec<f32> = outer.map(|(_, depth)| *depth).collect();
        outer.sort_by(f32::total_cmp);
        let depth = outer[outer.len() / 2];
        if depth < LEAST_DEPTH {
            return None;
        }
        for (_, strength) in &mut walls {
            *strength /= depth;
        }
        Some((walls, depth))
    }
}

/// The products of powers of `x` and `y`, both -1 to 1, up to [`DEGREE`].
fn powers(x: f32, y: f32) -> Vec<f32> {
    (0..=DEGREE).flat_map(|a| (0..=DEGREE - a).map(move |b| x.powi(a as i32) * y.powi(b as i32))).collect()
}

/// The displacement of the line in a profile, and its darkness. Of two lines the nearer one is meant; of a thick line the
/// middle.
fn centre(profile: &[f32]) -> (f32, f32) {
    let reach = (profile.len() / 2) as f32;
    let near = |k: usize| 1.0 - 0.35 * ((k as f32 - reach) / reach).powi(2);
    let best = (0..profile.len()).max_by(|&a, &b| (profile[a] * near(a)).total_cmp(&(profile[b] * near(b))));
    let best = best.unwrap_or_default();
    let strong = |k: &usize| profile[*k] > 0.6 * profile[best];
    let first = (0..=best).rev().take_while(strong).last().unwrap_or(best);
    let last = (best..profile.len()).take_while(strong).last().unwrap_or(best);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (k, &value) in profile.iter().enumerate().take(last + 1).skip(first) {
        sum += value * (k as f32 - reach);
        weight += value;
    }
    if weight > 0.0 { (sum / weight, profile[best]) } else { (0.0, 0.0) }
}

/// Measures how much darker than the paper left and right of it (or above and below) each pixel is, as a share of its
/// brightness.
fn ridges(flat: &GrayImage, vertical: bool) -> Vec<f32> {
    let (width, height) = (flat.width() as usize, flat.height() as usize);
    let data = flat.as_raw();
    let (step, length) = if vertical { (1, width) } else { (width, height) };
    let farthest = BESIDE[BESIDE.len() - 1];
    let mut values = vec![0.0; data.len()];
    for (k, value) in values.iter_mut().enumerate() {
        let across = if vertical { k % width } else { k / width };
        if across < farthest || across + farthest >= length {
            continue;
        }
        let before = BESIDE.map(|away| data[k - away * step]).into_iter().fold(0, u8::max);
        let behind = BESIDE.map(|away| data[k + away * step]).into_iter().fold(0, u8::max);
        let beside = f32::from(before.min(behind)).max(1.0);
        *value = ((beside - f32::from(data[k])) / beside).max(0.0);
    }
    values
}
