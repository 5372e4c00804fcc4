//! Pictures to train the digit reader with: cells of photographs and digits of fonts, never the same twice.

use std::io::Cursor;
use std::path::Path;

use base64::Engine as _;
use image::DynamicImage;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trm_engine::ort::OrtEngine;
use trm_export::classifier::{ClassifierConfig, classify_graph};
use trm_export::onnx::write::encode;
use trm_export::train::{UpdateOptions, UpdateRule};
use trm_intake::{Budget, Limits};
use trm_pictures::decoder;
use trm_train::classifier::ClassifierTraining;

use super::cells::{CELL_PIXELS, cell_pictures, turned};
use super::consistent::CLASSES;
use super::locate::boards;
use super::photo::{self, Ink};
use super::photo_set::LabelledPhoto;
use super::reader::turned_cell;
use crate::intake::read_text;
use crate::{HostError, Result};

/// The digit reader's sizes.
pub const READER: ClassifierConfig =
    ClassifierConfig { size: CELL_PIXELS, channels: [16, 48], hidden: 64, classes: CLASSES };

/// Pictures of a training step.
const BATCH: usize = 64;

const N: usize = CELL_PIXELS;

/// Limits of a file of fonts: its bytes, and its digits, of 3 KB each once unpacked. The public one has 29,900.
const FONT_LIMITS: Limits = Limits { bytes: 64 << 20, items: 40_000, depth: 0, time: None };

/// Limits of the picture of one digit.
const DIGIT_LIMITS: Limits = Limits { bytes: 8 * (N * N) as u64, items: (N * N) as u64, depth: 0, time: None };

/// A cell's picture with its digit, 0 for an empty cell.
#[derive(Debug, Clone)]
pub struct Example {
    /// f32 `[28, 28]`, 0 paper, 1 print.
    pub picture: Vec<f32>,
    /// 0 to 9.
    pub digit: u8,
}

/// Pictures that training draws from.
#[derive(Debug, Default)]
pub struct TrainingSet {
    /// Cells cut out of photographs.
    pub cells: Vec<Example>,
    /// Digits of fonts, `[28, 28]` with the digit filling most of it.
    pub fonts: Vec<Example>,
}

/// Share of a batch that comes from fonts.
const FONTS: f32 = 0.1;

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
        let distortion = Distortion::random(rng, 0.07, 0.06, (0.9, 1.12));
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

/// Draws remains of the board's lines at a cell's edges.
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
    let contrast = 0.7 + 0.5 * rng.random::<f32>();
    let (shade_x, shade_y) = ((rng.random::<f32>() - 0.5) * 0.2, (rng.random::<f32>() - 0.5) * 0.2);
    let noise = 0.06 * rng.random::<f32>();
    for (k, value) in picture.iter_mut().enumerate() {
        let (x, y) = ((k % N) as f32 / N as f32 - 0.5, (k / N) as f32 / N as f32 - 0.5);
        let grain = noise * (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>() - 1.5) * 2.0;
        *value = (contrast * *value + shade_x * x + shade_y * y + grain).clamp(-0.3, 1.3);
    }
}

/// Settings of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingOptions {
    /// Steps of 64 pictures.
    pub steps: usize,
    /// Highest learning rate, after 100 steps; from there down to 0 as a cosine.
    pub lr: f64,
    /// Seed of weights and pictures.
    pub seed: u64,
}

/// Trains a reader; `progress` is told the step, the mean loss and the share read rightly since it was told last. Returns
/// the ONNX file.
///
/// # Errors
/// Those of ONNX Runtime.
pub fn train(
    engine: &OrtEngine,
    set: &TrainingSet,
    options: &TrainingOptions,
    mut progress: impl FnMut(usize, f32, f32),
) -> Result<Vec<u8>> {
    let update = UpdateOptions {
        wave: false,
        rule: UpdateRule::AdamW { eps: 1e-8 },
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.01,
        puzzle_emb_weight_decay: 0.0,
        clip_grad_norm: None,
        ema: Some(0.995),
    };
    let mut training = ClassifierTraining::new(engine, READER, BATCH, update, options.seed)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let (mut loss, mut right) = (0.0, 0);
    for step in 1..=options.steps {
        let batch: Vec<Example> = (0..BATCH).map(|_| set.draw(&mut rng)).collect();
        let pictures = batch.iter().flat_map(|example| example.picture.iter().copied()).collect();
        let labels = batch.iter().map(|example| i32::from(example.digit)).collect();
        let cosine = 0.5 + 0.5 * (std::f64::consts::PI * step as f64 / options.steps as f64).cos();
        let lr = options.lr * cosine * (step as f64 / 100.0).min(1.0);
        let taken = training.step(pictures, labels, lr)?;
        loss += taken.loss;
        right += taken.right;
        if step % 100 == 0 || step == options.steps {
            let steps = (step - 1) % 100 + 1;
            progress(step, loss / steps as f32, right as f32 / (steps * BATCH) as f32);
            (loss, right) = (0.0, 0);
        }
    }
    let weights = training.weights()?;
    let graph = classify_graph(&READER, &weights).map_err(trm_solver::SolverError::from)?;
    Ok(encode(&graph, &[]).onnx)
}

/// The cells of a labelled photograph, upright; none when its board is not found, has another size than the label, or
/// lies so that its label fits two ways round.
///
/// # Errors
/// When the picture cannot be read.
pub fn labelled_cells(photo: &LabelledPhoto) -> Result<Option<Vec<Example>>> {
    let picture = photo::open(&photo.path)?;
    let Some(board) = boards(&Ink::new(&picture).gray).into_iter().next() else { return Ok(None) };
    let side = board.lattice.side;
    if side * side != photo.digits.len() {
        return Ok(None);
    }
    let pictures = cell_pictures(&board.lattice);
    let Some(turns) = turns_that_fit(&pictures, &photo.digits, side) else { return Ok(None) };
    let cell = |(cell, &digit): (usize, &u8)| {
        let seen = turned_cell(cell, side, turns);
        Example { picture: turned(&pictures[seen * N * N..][..N * N], turns), digit }
    };
    Ok(Some(photo.digits.iter().enumerate().map(cell).collect()))
}

/// The quarter turns to the left under which the label has its digits where there is print. Most puzzles have their
/// digits in places that look the same upside down, so a photograph is taken to be upright unless it cannot be; one on its
/// side has to be clear.
fn turns_that_fit(pictures: &[f32], digits: &[u8], side: usize) -> Option<usize> {
    let print = |cell: usize| -> f32 {
        let picture = &pictures[cell * N * N..][..N * N];
        let middle = (6..22).flat_map(|y| (6..22).map(move |x| picture[y * N + x].max(0.0)));
        middle.sum::<f32>().min(60.0)
    };
    let fit = [0, 1, 2, 3].map(|turns| -> f32 {
        let cells = digits.iter().enumerate();
        cells.map(|(cell, &digit)| (if digit > 0 { 1.0 } else { -1.0 }) * print(turned_cell(cell, side, turns))).sum()
    });
    let best = fit.iter().copied().fold(0.0, f32::max);
    if fit[0] > 0.9 * best {
        Some(0)
    } else if (fit[1] - fit[3]).abs() < 0.1 * best {
        None
    } else {
        Some(if fit[1] > fit[3] { 1 } else { 3 })
    }
}

/// Digits of fonts from a CSV file: font, digit, and a PNG of 28x28 in base64, light on black. Zeros are left out.
///
/// # Errors
/// When the file cannot be read or a line is something else.
pub fn read_fonts(path: &Path) -> Result<Vec<Example>> {
    let text = read_text(path, FONT_LIMITS)?;
    let mut budget = Budget::new(FONT_LIMITS);
    let mut fonts = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        budget.take_items(1).map_err(|exceeded| HostError::TooLarge { path: path.to_owned(), exceeded })?;
        let mut fields = line.rsplitn(3, ',');
        let (png, digit) = (fields.next().unwrap_or_default(), fields.next().and_then(|text| text.trim().parse().ok()));
        let picture = base64::engine::general_purpose::STANDARD
            .decode(png.trim())
            .ok()
            .and_then(|bytes| {
                let decoder = decoder(Cursor::new(bytes), &mut Budget::new(DIGIT_LIMITS)).ok()?;
                DynamicImage::from_decoder(decoder).ok()
            })
            .map(DynamicImage::into_luma8)
            .filter(|picture| picture.dimensions() == (N as u32, N as u32));
        match (digit, picture) {
            (Some(0), Some(_)) => {}
            (Some(digit @ 1..=9), Some(picture)) => {
                let picture = picture.pixels().map(|pixel| f32::from(pixel.0[0]) / 255.0).collect();
                fonts.push(Example { picture, digit });
            }
            // A file may begin with the names of its columns.
            _ if number == 0 => {}
            _ => {
                let reason = format!("line {} is no digit of a font", number + 1);
                let hint = "a font's name, a digit, and a PNG of 28x28 in base64";
                return Err(HostError::Label { path: path.to_owned(), reason, hint });
            }
        }
    }
    Ok(fonts)
}
