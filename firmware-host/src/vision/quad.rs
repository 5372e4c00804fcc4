//! Candidates for a board: quadrilaterals around connected dark lines.
//!
//! The frame and the lines of a printed board hang together. Under one of several thresholds they come out as one
//! component of dark pixels, whose convex hull has the board's corners. Which of the candidates is a board is decided
//! by its [lines](super::lattice), not here.

use image::{GrayImage, Luma};
use imageproc::distance_transform::Norm;
use imageproc::morphology::dilate;
use imageproc::region_labelling::{Connectivity, connected_components};

use super::Point;

/// Thresholds for print, by how dark a pixel is beside its surroundings: the surroundings' half side as a share of the
/// picture's longer side, the share of their mean that it stays below, and pixels by which print is thickened, so that
/// broken lines hang together.
///
/// They are tried in this order until a clear board is found. A larger share takes fainter print, and more shadows.
/// Smaller surroundings follow light that changes sooner, but miss lines that are thicker than they are.
const THRESHOLDS: [(f32, f32, u8); 5] =
    [(0.03, 0.90, 0), (0.03, 0.94, 0), (0.015, 0.93, 1), (0.06, 0.85, 0), (0.03, 0.96, 1)];

/// Least shorter side of a candidate's bounding box, as a share of the picture's shorter side. In a picture of
/// 1000x750 pixels, nine cells have 16 pixels each then.
const MIN_SHARE: f32 = 0.2;

/// Directions in which a component's outermost pixels are looked for: one every 7.5 degrees. The search for the
/// largest quadrilateral takes time with the third power of their number.
const DIRECTIONS: usize = 48;

/// Corners of a quadrilateral, clockwise from the one nearest to the top left.
pub type Quad = [Point; 4];

/// A picture's print under one threshold after the other, 255 where there is some.
pub(super) struct Prints<'a> {
    gray: &'a GrayImage,
    integral: Vec<u32>,
    thresholds: std::slice::Iter<'static, (f32, f32, u8)>,
}

impl<'a> Prints<'a> {
    pub(super) fn new(gray: &'a GrayImage) -> Self {
        Self { gray, integral: integral(gray), thresholds: THRESHOLDS.iter() }
    }
}

impl Iterator for Prints<'_> {
    type Item = GrayImage;

    fn next(&mut self) -> Option<GrayImage> {
        let &(radius, share, thicken) = self.thresholds.next()?;
        // At least 3 pixels: in a small picture the share is narrower than a line.
        let radius = (radius * self.gray.width().max(self.gray.height()) as f32).max(3.0) as u32;
        let dark = darker_than_surroundings(self.gray, &self.integral, radius, share);
        Some(if thicken > 0 { dilate(&dark, Norm::LInf, thicken) } else { dark })
    }
}

/// Returns those of `quads` that were not seen before, and remembers them.
pub(super) fn unseen(seen: &mut Vec<Quad>, quads: impl Iterator<Item = Quad>) -> Vec<Quad> {
    let mut new = Vec::new();
    for quad in quads {
        if !seen.iter().any(|other| same(other, &quad)) {
            seen.push(quad);
            new.push(quad);
        }
    }
    new
}

/// Finds candidates under one threshold after the other, each once, in pixels of `gray`. Whoever has found a board
/// need not ask for more.
pub(crate) fn candidates(gray: &GrayImage) -> impl Iterator<Item = Vec<Quad>> {
    let mut seen = Vec::new();
    Prints::new(gray)
        .map(move |dark| unseen(&mut seen, component_quads(&dark).into_iter().chain(cell_group_quads(&dark))))
}

/// Sums of all pixels above and to the left, `[height + 1, width + 1]`.
pub(super) fn integral(gray: &GrayImage) -> Vec<u32> {
    let (width, height) = (gray.width() as usize, gray.height() as usize);
    let mut sums = vec![0; (width + 1) * (height + 1)];
    for (y, row) in gray.as_raw().chunks_exact(width).enumerate() {
        let mut line = 0;
        for (x, &value) in row.iter().enumerate() {
            line += u32::from(value);
            sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + line;
        }
    }
    sums
}

/// 255 where a pixel is darker than `share` of the mean around it.
pub(super) fn darker_than_surroundings(gray: &GrayImage, integral: &[u32], radius: u32, share: f32) -> GrayImage {
    let (width, height) = gray.dimensions();
    let stride = width as usize + 1;
    let mut dark = GrayImage::new(width, height);
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(radius) as usize, (y + radius + 1).min(height) as usize);
        for x in 0..width {
            let (left, right) = (x.saturating_sub(radius) as usize, (x + radius + 1).min(width) as usize);
            // In this order no difference is negative.
            let sum = (integral[bottom * stride + right] - integral[top * stride + right])
                - (integral[bottom * stride + left] - integral[top * stride + left]);
            let mean = sum as f32 / ((right - left) * (bottom - top)) as f32;
            // Two levels less: where all is black, a share of the mean is less than noise.
            if f32::from(gray.get_pixel(x, y).0[0]) < share * mean - 2.0 {
                dark.put_pixel(x, y, Luma([255]));
            }
        }
    }
    dark
}

/// A quadrilateral around each large component.
fn component_quads(dark: &GrayImage) -> Vec<Quad> {
    let (width, height) = dark.dimensions();
    let labels = connected_components(dark, Connectivity::Eight, Luma([0]));
    let least = MIN_SHARE * width.min(height) as f32;
    let mut quads = Vec::new();
    for (label, &Bounds { left, top, right, bottom, .. }) in bounds(&labels).iter().enumerate().skip(1) {
        if left > right || ((right - left) as f32) < least || ((bottom - top) as f32) < least {
            continue;
        }
        let mut hull = Hull::new();
        for y in top..=bottom {
            // A row's outermost pixels are its first and last.
            let row = |x: &u32| labels.get_pixel(*x, y).0[0] as usize == label;
            let Some(first) = (left..=right).find(row) else { continue };
            let last = (left..=right).rev().find(row).unwrap_or(first);
            for x in [first, last] {
                hull.add([x as f32, y as f32]);
            }
        }
        quads.extend(hull.largest_quad());
    }
    quads
}

/// A quadrilateral around each group of light spots that are alike and side by side, as the cells of a board are: where
/// its frame hangs together with other print, its cells do not.
fn cell_group_quads(dark: &GrayImage) -> Vec<Quad> {
    let labels = connected_components(dark, Connectivity::Four, Luma([255]));
    let shorter = dark.width().min(dark.height());
    let cells: Vec<Bounds> = bounds(&labels)
        .into_iter()
        .skip(1)
        .filter(|spot| {
            let (width, height) = (spot.right.saturating_sub(spot.left) + 1, spot.bottom.saturating_sub(spot.top) + 1);
            // At least 8 pixels a side, and no longer than a third of the picture, as the smallest board has four
            // cells a side. Seen from the side a cell is at most 5:3, and a digit leaves more than half of its box
            // light.
            let (short, long) = (width.min(height), width.max(height));
            short >= 8
                && long <= shorter / 3
                && 5 * short >= 3 * long
                && f64::from(spot.pixels) > 0.5 * f64::from(width) * f64::from(height)
        })
        .collect();
    let mut group: Vec<usize> = (0..cells.len()).collect();
    let root = |group: &[usize], mut k: usize| {
        while group[k] != k {
            k = group[k];
        }
        k
    };
    for a in 0..cells.len() {
        for b in 0..a {
            if cells[a].is_neighbour(&cells[b]) {
                let (first, second) = (root(&group, a), root(&group, b));
                group[first.max(second)] = first.min(second);
            }
        }
    }
    let mut quads = Vec::new();
    for leader in (0..cells.len()).filter(|&k| group[k] == k) {
        let members: Vec<&Bounds> =
            (0..cells.len()).filter(|&k| root(&group, k) == leader).map(|k| &cells[k]).collect();
        if members.len() < MIN_CELLS {
            continue;
        }
        let mut hull = Hull::new();
        for cell in members {
            for x in [cell.left, cell.right] {
                for y in [cell.top, cell.bottom] {
                    hull.add([x as f32, y as f32]);
                }
            }
        }
        quads.extend(hull.largest_quad());
    }
    quads
}

/// Fewest cells that are taken for a board: two fewer than the smallest one, 4x4, has.
const MIN_CELLS: usize = 14;

/// Bounding box and size of a component; `left > right` when it is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
    pixels: u32,
}

impl Bounds {
    fn middle(&self) -> Point {
        [(self.left + self.right) as f32 / 2.0, (self.top + self.bottom) as f32 / 2.0]
    }

    fn size(&self) -> f32 {
        ((self.right - self.left + self.bottom - self.top) as f32) / 2.0 + 1.0
    }

    /// `true` if two cells may lie side by side on one board.
    fn is_neighbour(&self, other: &Self) -> bool {
        let (a, b) = (self.size(), other.size());
        // 1.4 sides from middle to middle: cells that touch at a corner only are 1.41 sides apart, and a line.
        a < 1.35 * b && b < 1.35 * a && distance(self.middle(), other.middle()) < 0.7 * (a + b)
    }
}

/// Returns the bounds of each component, by label.
pub(super) fn bounds(labels: &image::ImageBuffer<Luma<u32>, Vec<u32>>) -> Vec<Bounds> {
    let none = Bounds { left: u32::MAX, top: u32::MAX, right: 0, bottom: 0, pixels: 0 };
    let mut all: Vec<Bounds> = Vec::new();
    for (x, y, label) in labels.enumerate_pixels() {
        let label = label.0[0] as usize;
        if label >= all.len() {
            all.resize(label + 1, none);
        }
        let bounds = &mut all[label];
        bounds.left = bounds.left.min(x);
        bounds.top = bounds.top.min(y);
        bounds.right = bounds.right.max(x);
        bounds.bottom = bounds.bottom.max(y);
        bounds.pixels += 1;
    }
    all
}

/// The outermost points of a set, by direction.
#[derive(Clone)]
pub(super) struct Hull {
    outermost: Vec<(f32, Point)>,
    /// Sine and cosine.
    directions: Vec<(f32, f32)>,
}

impl Hull {
    pub(super) fn new() -> Self {
        let turn = |k: usize| (std::f32::consts::TAU * k as f32 / DIRECTIONS as f32).sin_cos();
        Self { outermost: vec![(f32::MIN, [0.0; 2]); DIRECTIONS], directions: (0..DIRECTIONS).map(turn).collect() }
    }

    pub(super) fn add(&mut self, point: Point) {
        for (best, (sin, cos)) in self.outermost.iter_mut().zip(&self.directions) {
            let reach = point[0] * cos + point[1] * sin;
            if reach > best.0 {
                *best = (reach, point);
            }
        }
    }

    /// Takes in all points of another set.
    pub(super) fn merge(&mut self, other: &Self) {
        for (best, theirs) in self.outermost.iter_mut().zip(&other.outermost) {
            if theirs.0 > best.0 {
                *best = *theirs;
            }
        }
    }

    fn largest_quad(self) -> Option<Quad> {
        self.any_quad().filter(plausible)
    }

    /// The quadrilateral of largest area with corners among the points, whatever its shape.
    pub(super) fn any_quad(self) -> Option<Quad> {
        let mut corners: Vec<Point> = self.outermost.into_iter().map(|(_, point)| point).collect();
        corners.dedup();
        largest_quad(&corners)
    }
}

/// The quadrilateral of largest area with corners of a convex polygon.
fn largest_quad(hull: &[Point]) -> Option<Quad> {
    let n = hull.len();
    let triangle =
        |a: Point, b: Point, c: Point| ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).abs() / 2.0;
    let mut best: Option<(f32, Quad)> = None;
    for a in 0..n {
        for c in a + 2..n {
            // With a diagonal given, the two other corners are chosen each on its own.
            let farthest = |range: std::ops::Range<usize>| {
                range.map(|b| (triangle(hull[a], hull[b], hull[c]), b)).max_by(|x, y| x.0.total_cmp(&y.0))
            };
            let (Some((first, b)), Some((second, d))) = (farthest(a + 1..c), farthest(c + 1..n)) else { continue };
            if best.as_ref().is_none_or(|(area, _)| first + second > *area) {
                best = Some((first + second, [hull[a], hull[b], hull[c], hull[d]]));
            }
        }
    }
    best.map(|(_, quad)| from_top_left(quad))
}

/// Sides of similar length and no acute corners: what a camera above a table sees.
fn plausible(quad: &Quad) -> bool {
    let sides: Vec<f32> = (0..4).map(|k| distance(quad[k], quad[(k + 1) % 4])).collect();
    let longest = sides.iter().copied().fold(0.0, f32::max);
    let shortest = sides.iter().copied().fold(f32::MAX, f32::min);
    // Beside the longest side's square, a square has an area of 1, a rhombus with corners of 27 degrees one of 0.45.
    shortest > 0.4 * longest && area(quad) > 0.45 * longest * longest
}

/// The corners clockwise (y pointing down), beginning with the one nearest to the top left.
pub(crate) fn from_top_left(mut quad: Quad) -> Quad {
    if signed_area(&quad) < 0.0 {
        quad.reverse();
    }
    let first = (0..4).min_by(|&a, &b| (quad[a][0] + quad[a][1]).total_cmp(&(quad[b][0] + quad[b][1])));
    quad.rotate_left(first.unwrap_or(0));
    quad
}

fn signed_area(quad: &Quad) -> f32 {
    (0..4).map(|k| quad[k][0] * quad[(k + 1) % 4][1] - quad[(k + 1) % 4][0] * quad[k][1]).sum::<f32>() / 2.0
}

/// Area in square pixels.
pub(crate) fn area(quad: &Quad) -> f32 {
    signed_area(quad).abs()
}

/// Distance of two points, pixels.
pub(crate) fn distance(a: Point, b: Point) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// `true` if two quadrilaterals are the same but for a few pixels: 6, where a side has 1000.
fn same(a: &Quad, b: &Quad) -> bool {
    let near = 0.006 * area(a).sqrt();
    a.iter().zip(b).all(|(p, q)| distance(*p, *q) <= near)
}
