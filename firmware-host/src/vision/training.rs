//! Pictures to train the digit reader with: cells of photographs and digits of fonts, never the same twice.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::cells::CELL_PIXELS;

const N: usize = CELL_PIXELS;

/// A cell's picture with its digit, 0 for an empty cell.
#[derive(Debug, Clone)]
pub struct Example {
    /// f32 `[28, 28]`, 0 paper, 1 print.
    pub picture: Vec<f32>,
    /// 0 to 9.
    pub digit: u8,
}

/// Where training pictures come from.
#[derive(Debug, Default)]
pub struct TrainingSet {
    /// Cells cut out of photographs.
    pub cells: Vec<Example>,
    /// Digits of fonts, `[28, 28]` with the digit filling most of it.
    pub fonts: Vec<Example>,
}

/// Share of a batch that comes from fonts.
const FONTS: f32 = 0.15;

/// Share of the pictures of photographs that show a digit: most cells are empty and all alike.
const DIGITS: f32 = 0.7;

impl TrainingSet {
    /// A picture for training: of a photograph or a font, distorted.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Example {
        if self.cells.is_empty() || (!self.fonts.is_empty() && rng.random::<f32>() < FONTS) {
            return self.font_example(rng);
        }
        let wanted = rng.random::<f32>() < DIGITS;
        let mut example = &self.cells[rng.random_range(0..self.cells.len())];
        for _ in 0..20 {
            if (example.digit > 0) == wanted {
                break;
            }
            example = &self.cells[rng.random_range(0..self.cells.len())];
        }
        let distortion = Distortion::random(rng, 0.08, 0.06, (0.88, 1.15));
        let mut picture = distortion.apply(&example.picture);
        finish(&mut picture, rng);
        Example { picture, digit: example.digit }
    }

    fn font_example(&self, rng: &mut ChaCha8Rng) -> Example {
        let empty = rng.random::<f32>() < 0.12 || self.fonts.is_empty();
        let mut picture = vec![0.0; N * N];
        let mut digit = 0;
        if !empty {
            let example = &self.fonts[rng.random_range(0..self.fonts.len())];
            digit = example.digit;
            picture = Distortion::random(rng, 0.10, 0.08, (0.5, 1.0)).apply(&example.picture);
        }
        lines(&mut picture, rng);
        let blur = rng.random::<f32>() * 1.2;
        soften(&mut picture, blur);
        finish(&mut picture, rng);
        Example { picture, digit }
    }
}

/// A turn, a shear, a size and a shift.
struct Distortion {
    /// From the distorted picture to the original, around the middle.
    matrix: [f32; 4],
    shift: [f32; 2],
}

impl Distortion {
    fn random(rng: &mut ChaCha8Rng, turn: f32, shift: f32, scale: (f32, f32)) -> Self {
        let mut about = |reach: f32| (2.0 * rng.random::<f32>() - 1.0) * reach;
        let (turn, shear, aspect) = (about(turn), about(0.1), 1.0 + about(0.12));
        let shift = [about(shift) * N as f32, about(shift) * N as f32];
        let scale = scale.0 + rng.random::<f32>() * (scale.1 - scale.0);
        let (sin, cos) = turn.sin_cos();
        let (sx, sy) = (1.0 / (scale * aspect), 1.0 / scale);
        Self { matrix: [cos * sx, (shear * cos - sin) * sx, sin * sy, (shear * sin + cos) * sy], shift }
    }

    fn apply(&self, picture: &[f32]) -> Vec<f32> {
        let middle = (N as f32 - 1.0) / 2.0;
        let [a, b, c, d] = self.matrix;
        let mut out = Vec::with_capacity(N * N);
        for y in 0..N {
            for x in 0..N {
                let (dx, dy) = (x as f32 - middle - self.shift[0], y as f32 - middle - self.shift[1]);
                out.push(between(picture, middle + a * dx + b * dy, middle + c * dx + d * dy));
            }
        }
        out
    }
}

/// The picture between its pixels; paper outside.
fn between(picture: &[f32], x: f32, y: f32) -> f32 {
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    let at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < N as f32 && y < N as f32;
        if inside { picture[y as usize * N + x as usize] } else { 0.0 }
    };
    let above = at(left, top) * (1.0 - u) + at(left + 1.0, top) * u;
    let below = at(left, top + 1.0) * (1.0 - u) + at(left + 1.0, top + 1.0) * u;
    above * (1.0 - v) + below * v
}

/// What is left of the board's lines at a cell's edges.
fn lines(picture: &mut [f32], rng: &mut ChaCha8Rng) {
    for edge in 0..4 {
        if rng.random::<f32>() < 0.6 {
            continue;
        }
        let thick = rng.random_range(1..4_usize);
        let tilt = (rng.random::<f32>() - 0.5) * 2.0;
        let dark = 0.4 + 0.7 * rng.random::<f32>();
        for along in 0..N {
            let reach = thick as f32 + tilt * (along as f32 / N as f32 - 0.5);
            for k in 0..reach.max(0.0) as usize {
                let (x, y) = match edge {
                    0 => (along, k),
                    1 => (along, N - 1 - k),
                    2 => (k, along),
                    _ => (N - 1 - k, along),
                };
                picture[y * N + x] = picture[y * N + x].max(dark);
            }
        }
    }
}

/// Blur by a binomial of about `sigma` pixels.
fn soften(picture: &mut [f32], sigma: f32) {
    let side = (0.5 * sigma * sigma).min(0.33);
    for _ in 0..2 {
        for (step, length) in [(1, N), (N, 1)] {
            let from = picture.to_vec();
            for a in 0..N {
                for b in 0..N {
                    let k = a * length + b * step;
                    let before = if b > 0 { from[k - step] } else { from[k] };
                    let after = if b + 1 < N { from[k + step] } else { from[k] };
                    picture[k] = from[k] * (1.0 - 2.0 * side) + side * (before + after);
                }
            }
        }
    }
}

/// Contrast, shading and noise of a camera.
fn finish(picture: &mut [f32], rng: &mut ChaCha8Rng) {
    let blur = if rng.random::<f32>() < 0.3 { rng.random::<f32>() * 0.9 } else { 0.0 };
    if blur > 0.0 {
        soften(picture, blur);
    }
    let contrast = 0.6 + 0.6 * rng.random::<f32>();
    let (shade_x, shade_y) = ((rng.random::<f32>() - 0.5) * 0.2, (rng.random::<f32>() - 0.5) * 0.2);
    let noise = 0.10 * rng.random::<f32>();
    for (k, value) in picture.iter_mut().enumerate() {
        let (x, y) = ((k % N) as f32 / N as f32 - 0.5, (k / N) as f32 / N as f32 - 0.5);
        let grain = noise * (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.0;
        *value = (contrast * *value + shade_x * x + shade_y * y + grain).clamp(-0.3, 1.3);
    }
}

/// A generator for [`TrainingSet::draw`].
#[must_use]
pub fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}
