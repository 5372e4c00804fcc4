//! The lesson of a stretch of a drive: which cells should have been cheaper or dearer.

use rand::Rng;
use serde::{Deserialize, Serialize};
use trm_plan::learned::Stretch;

use super::CostTrainingOptions;

/// Cells of the map from a drive that count as driven through.
const NEAR: usize = 2;
/// The share by which what was driven is made dearer for the search: the drive has to be cheaper than others by so much.
const MARGIN: f64 = 0.15;
/// Deviation of the logarithm of the noise.
const NOISE: f64 = 0.25;
/// Cells of the map along a side of a square of the same noise.
const NOISE_SIDE: usize = 6;

/// The lesson that a drive teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostLoss {
    /// It should be cheaper than any other way, by a margin.
    Margin,
    /// It should be likely among the ways that are cheapest under some noise.
    Noise,
    /// Its cells are cheap, others dear: no search.
    Direct,
}

impl CostLoss {
    /// The name: `margin`, `noise` or `direct`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Margin => "margin",
            Self::Noise => "noise",
            Self::Direct => "direct",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Margin, Self::Noise, Self::Direct];
}

/// The likeness of planned paths to drives.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Likeness {
    /// Cells of planned paths within two cells of what was driven, of all.
    pub shared: f64,
    /// Cells between a path and a drive: the mean distance to the nearest cell of the other, the larger of both directions
    /// (modified Hausdorff, Dubuisson and Jain 1994).
    pub hausdorff: f64,
    /// Cost of the drives by that of the planned paths, less 1.
    pub excess: f64,
    /// Drives.
    pub n: usize,
}

impl Likeness {
    pub(super) fn mean(all: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / all.len().max(1) as f64;
        Self { shared: mean(|l| l.shared), hausdorff: mean(|l| l.hausdorff), excess: mean(|l| l.excess), n: all.len() }
    }
}

/// Fills in the derivative of the loss by each level, and returns what the drive costs by the search's path, less 1.
pub(super) fn pull(
    stretch: &Stretch,
    levels: &[f32],
    options: &CostTrainingOptions,
    rng: &mut impl Rng,
    into: &mut [f32],
) -> f64 {
    let cells = stretch.cells();
    let compared = match options.loss {
        CostLoss::Margin => {
            let near = near(stretch);
            stretch.compare(levels, options.factor, |cell, weight| weight * if near[cell] { 1.0 + MARGIN } else { 1.0 })
        }
        CostLoss::Noise => {
            let across = cells.div_ceil(NOISE_SIDE);
            let mut normal = || {
                // The sum of twelve is nearly normal.
                (0..12).map(|_| (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64).sum::<f64>() - 6.0
            };
            let noise: Vec<f64> = (0..across * across).map(|_| (NOISE * normal()).exp()).collect();
            stretch.compare(levels, options.factor, |cell, weight| {
                // Never below 1: what is certain is that a metre is a metre.
                weight * noise[(cell / cells / NOISE_SIDE) * across + cell % cells / NOISE_SIDE] * 2.0
            })
        }
        CostLoss::Direct => {
            direct(stretch, levels, into);
            return stretch.compare(levels, options.factor, |_, weight| weight).map_or(0.0, |compared| compared.excess);
        }
    };
    compared.map_or(0.0, |compared| {
        into.copy_from_slice(&compared.pull);
        balance(into);
        compared.excess
    })
}

/// Takes what all cells have in common out of a pull: whether ground as such is dear, drives do not say. A margin in proportion to
/// the cost would push it up for ever.
fn balance(pull: &mut [f32]) {
    let sum: f32 = pull.iter().sum();
    let all: f32 = pull.iter().map(|pull| pull.abs()).sum();
    if all > 0.0 {
        for pull in pull {
            *pull -= sum / all * pull.abs();
        }
    }
}

/// The derivative of the cross entropy of cells that were driven through being cheap, the others dear; either kind counts as
/// much as the other.
fn direct(stretch: &Stretch, levels: &[f32], into: &mut [f32]) {
    let (cells, side) = (stretch.cells(), (levels.len() as f64).sqrt() as usize);
    let block = cells / side;
    let mut is_driven = vec![false; levels.len()];
    for &cell in stretch.driven() {
        is_driven[(cell / cells / block) * side + cell % cells / block] = true;
    }
    let driven = is_driven.iter().filter(|&&driven| driven).count().max(1) as f32;
    let others = (levels.len() as f32 - driven).max(1.0);
    for ((into, &level), driven_here) in into.iter_mut().zip(levels).zip(is_driven) {
        let level = level.clamp(1e-3, 1.0 - 1e-3);
        *into = if driven_here { 1.0 / (1.0 - level) / driven } else { -1.0 / level / others };
    }
}

/// The cells of the map within a few of those that were driven through.
fn near(stretch: &Stretch) -> Vec<bool> {
    let cells = stretch.cells();
    let mut near = vec![false; cells * cells];
    for &cell in stretch.driven() {
        let (x, y) = (cell % cells, cell / cells);
        for y in y.saturating_sub(NEAR)..=(y + NEAR).min(cells - 1) {
            near[y * cells + x.saturating_sub(NEAR)..=y * cells + (x + NEAR).min(cells - 1)].fill(true);
        }
    }
    near
}

/// The likeness of what is planned over levels to a stretch of a drive.
pub(super) fn likeness(stretch: &Stretch, levels: &[f32], factor: f64) -> Option<Likeness> {
    let compared = stretch.compare(levels, factor, |_, weight| weight)?;
    let cells = stretch.cells();
    let near = near(stretch);
    let shared = compared.planned.iter().filter(|&&cell| near[cell]).count() as f64 / compared.planned.len() as f64;
    let place = |cell: usize| ((cell % cells) as f64, (cell / cells) as f64);
    let to_nearest = |from: &[usize], to: &[usize]| {
        let nearest = |&cell: &usize| {
            let (x, y) = place(cell);
            let away = |&other: &usize| (place(other).0 - x).hypot(place(other).1 - y);
            to.iter().map(away).fold(f64::INFINITY, f64::min)
        };
        from.iter().map(nearest).sum::<f64>() / from.len() as f64
    };
    let hausdorff =
        to_nearest(&compared.planned, stretch.driven()).max(to_nearest(stretch.driven(), &compared.planned));
    Some(Likeness { shared, hausdorff, excess: compared.excess, n: 1 })
}
