//! The answer, drawn back onto the photograph in perspective.

use ab_glyph::{Font as _, FontRef, ScaleFont as _};
use image::{GrayImage, Luma, Rgb, RgbImage};
use trm_puzzles::maze::{GOAL, PATH, START};
use trm_puzzles::{Cell, Grid};

use super::maze::MazeReading;
use super::quad::Quad;
use super::reader::{Reading, turned_cell};
use crate::display::answer_font;

/// Rows and columns of a digit's stencil.
const STENCIL: u32 = 64;

/// Colour of the board's outline.
const OUTLINE: Rgb<u8> = Rgb([255, 140, 0]);

/// Colour of the answer's digits.
const ANSWER: Rgb<u8> = Rgb([0, 110, 220]);

/// Colour over cells in doubt.
const DOUBT: Rgb<u8> = Rgb([230, 30, 30]);

/// Draws what was read: the outline and the cells in doubt, and the digits of `answer` in the cells that were empty.
pub fn draw(photo: &mut RgbImage, reading: &Reading, answer: Option<&Grid>) {
    let (Some(corners), Some(lattice)) = (&reading.corners, &reading.lattice) else { return };
    let side = lattice.side;
    // A cell of the upright grid, as it lies in the photograph: its corners clockwise from its own top left.
    let cell_quad = |cell: usize| {
        let seen = turned_cell(cell, side, reading.turns);
        let (row, col) = (seen / side, seen % side);
        let mut quad = [(row, col), (row, col + 1), (row + 1, col + 1), (row + 1, col)]
            .map(|(row, col)| lattice.in_picture(lattice.crossing(row, col)).map(|value| value * reading.scale));
        quad.rotate_left(reading.turns % 4);
        quad
    };
    for &cell in &reading.doubtful {
        blend(photo, &cell_quad(cell), DOUBT, |_, _| 0.45);
    }
    if let (Some(given), Some(answer)) = (&reading.grid, answer) {
        for (cell, (&given, &digit)) in given.cells().iter().zip(answer.cells()).enumerate() {
            if given == 0 && (1..=9).contains(&digit) {
                let stencil = stencil(digit);
                blend(photo, &cell_quad(cell), ANSWER, |u, v| {
                    let at = |value: f32| ((value * STENCIL as f32) as u32).min(STENCIL - 1);
                    f32::from(stencil.get_pixel(at(u), at(v)).0[0]) / 255.0
                });
            }
        }
    }
    let width = (super::quad::area(corners).sqrt() / 150.0).max(1.5);
    for k in 0..4 {
        line(photo, corners[k], corners[(k + 1) % 4], width, OUTLINE);
    }
}

/// Draws the outline of a maze, and the path of `answer`.
pub fn draw_maze(photo: &mut RgbImage, reading: &MazeReading, answer: Option<&Grid>) {
    let Some(corners) = &reading.corners else { return };
    let width = (super::quad::area(corners).sqrt() / 150.0).max(1.5);
    for k in 0..4 {
        line(photo, corners[k], corners[(k + 1) % 4], width, OUTLINE);
    }
    let Some(answer) = answer else { return };
    let on_path = |cell: Cell| answer.get(cell).is_some_and(|value| [START, GOAL, PATH].contains(&value));
    for (cell, _) in answer.iter().filter(|(cell, _)| on_path(*cell)) {
        for next in [Cell::new(cell.row + 1, cell.column), Cell::new(cell.row, cell.column + 1)] {
            if let (true, Some(from), Some(to)) = (on_path(next), reading.place_of(cell), reading.place_of(next)) {
                line(photo, from, to, 2.0 * width, ANSWER);
            }
        }
    }
}

/// Mixes a colour into a quadrilateral, by as much as `share` says of each place in it, both from 0 to 1.
fn blend(photo: &mut RgbImage, quad: &Quad, colour: Rgb<u8>, share: impl Fn(f32, f32) -> f32) {
    let unit = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]];
    let Some(to_cell) = super::lattice::projection(*quad, &unit) else { return };
    let bound = |axis: usize, size: u32| {
        let values = quad.map(|corner| corner[axis]);
        let low = values.iter().copied().fold(f32::MAX, f32::min).max(0.0);
        let high = values.iter().copied().fold(f32::MIN, f32::max).min(size as f32 - 1.0);
        low as u32..(high.max(0.0) as u32 + 1).min(size)
    };
    for y in bound(1, photo.height()) {
        for x in bound(0, photo.width()) {
            let (u, v) = to_cell * (x as f32, y as f32);
            if (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                mix(photo.get_pixel_mut(x, y), colour, share(u, v));
            }
        }
    }
}

fn mix(pixel: &mut Rgb<u8>, colour: Rgb<u8>, share: f32) {
    for (value, wanted) in pixel.0.iter_mut().zip(colour.0) {
        *value = (f32::from(*value) + share * (f32::from(wanted) - f32::from(*value))).round() as u8;
    }
}

/// Draws how much of each place of a cell a digit covers, 0 to 255.
fn stencil(digit: u8) -> GrayImage {
    let mut stencil = GrayImage::new(STENCIL, STENCIL);
    let font: FontRef<'_> = answer_font();
    let scaled = font.as_scaled(STENCIL as f32 * 0.85);
    let id = font.glyph_id(char::from(b'0' + digit));
    let glyph = id.with_scale_and_position(scaled.scale(), ab_glyph::point(0.0, scaled.ascent()));
    let Some(outline) = font.outline_glyph(glyph) else { return stencil };
    let bounds = outline.px_bounds();
    let (left, top) = ((STENCIL as f32 - bounds.width()) / 2.0, (STENCIL as f32 - bounds.height()) / 2.0);
    outline.draw(|x, y, coverage| {
        let (x, y) = (left as u32 + x, top as u32 + y);
        if x < STENCIL && y < STENCIL {
            stencil.put_pixel(x, y, Luma([(coverage * 255.0).round() as u8]));
        }
    });
    stencil
}

/// A line of a width, both in pixels.
fn line(photo: &mut RgbImage, from: [f32; 2], to: [f32; 2], width: f32, colour: Rgb<u8>) {
    let length = super::quad::distance(from, to).max(1.0);
    let (along, half) = ([(to[0] - from[0]) / length, (to[1] - from[1]) / length], width / 2.0);
    let across = [-along[1] * half, along[0] * half];
    let at = |point: [f32; 2], sign: f32| [point[0] + sign * across[0], point[1] + sign * across[1]];
    blend(photo, &[at(from, 1.0), at(to, 1.0), at(to, -1.0), at(from, -1.0)], colour, |_, _| 1.0);
}
