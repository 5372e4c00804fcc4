//! The cells of a board as pictures for the digit reader.

use super::lattice::Lattice;
use super::photo::sample;

/// Rows and columns of a cell's picture.
pub(crate) const CELL_PIXELS: usize = 28;

/// Share of a cell's side that is cut off at each of its edges: most of its lines.
const TRIM: f32 = 0.07;

/// Share of the cells that is taken to hold digits when the print's darkness is measured: no puzzle has fewer givens.
const PRINTED: f32 = 0.2;

/// Least darkness of print, as a share of the paper's brightness: below it there is noise only.
const LEAST_INK: f32 = 0.08;

/// The pictures of all cells, f32 `[side * side, 28, 28]`: 0 is paper, 1 the board's print.
///
/// Paper is what most of a cell is, so that shadows do not matter; print is as dark as the board's darkest cells have it,
/// so that an empty cell's noise is not taken for print.
pub(crate) fn cell_pictures(lattice: &Lattice) -> Vec<f32> {
    let side = lattice.side;
    let mut cells = Vec::with_capacity(side * side);
    for row in 0..side {
        for col in 0..side {
            cells.push(cell(lattice, row, col));
        }
    }
    let mut depths: Vec<f32> = cells.iter().map(|(_, depth)| *depth).collect();
    depths.sort_by(|a, b| b.total_cmp(a));
    let ink = depths[(PRINTED * 0.6 * depths.len() as f32) as usize].max(LEAST_INK);
    cells
        .into_iter()
        .flat_map(|(picture, _)| picture.into_iter().map(move |value| (value / ink).clamp(-0.3, 1.3)))
        .collect()
}

/// A cell's darkness relative to its paper, and how dark its darkest part is.
fn cell(lattice: &Lattice, row: usize, col: usize) -> (Vec<f32>, f32) {
    let mut picture = Vec::with_capacity(CELL_PIXELS * CELL_PIXELS);
    for y in 0..CELL_PIXELS {
        for x in 0..CELL_PIXELS {
            let at = |k: usize, half: f32| TRIM + (1.0 - 2.0 * TRIM) * (k as f32 + half) / CELL_PIXELS as f32;
            // Two samples a direction: a pixel of the picture covers one and a half of the board's.
            let mut sum = 0.0;
            for (u, v) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                let [px, py] = lattice.point_of_cell(row, col, at(x, u), at(y, v));
                sum += sample(&lattice.flat, px, py);
            }
            picture.push(sum / 4.0);
        }
    }
    let mut sorted = picture.clone();
    sorted.sort_by(f32::total_cmp);
    let paper = sorted[sorted.len() * 3 / 4].max(1.0);
    for value in &mut picture {
        *value = (paper - *value) / paper;
    }
    // The darkest part of the middle: lines at the edges are dark in empty cells as well.
    let mut middle: Vec<f32> =
        (6..22).flat_map(|y| (6..22).map(move |x| y * CELL_PIXELS + x)).map(|k| picture[k]).collect();
    middle.sort_by(|a, b| b.total_cmp(a));
    let depth = middle[middle.len() / 25];
    (picture, depth)
}

/// The picture turned by a quarter to the left, `turns` times.
pub(crate) fn turned(picture: &[f32], turns: usize) -> Vec<f32> {
    let n = CELL_PIXELS;
    let mut turned = picture.to_vec();
    for _ in 0..turns % 4 {
        let from = turned.clone();
        for y in 0..n {
            for x in 0..n {
                turned[y * n + x] = from[x * n + n - 1 - y];
            }
        }
    }
    turned
}
