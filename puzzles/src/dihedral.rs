//! The eight ways to turn and mirror a rectangle.

use rand::Rng;

use crate::{Grid, Result, Symmetry, random};

/// A turn or mirror image. Numbered as in the public data sets: identity, three counter-clockwise quarter turns,
/// flip left-right, flip up-down, transpose, anti-transpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dihedral {
    /// As it is.
    Identity,
    /// A quarter turn to the left.
    CounterClockwise,
    /// Half a turn.
    Half,
    /// A quarter turn to the right.
    Clockwise,
    /// Left becomes right.
    FlipHorizontal,
    /// Top becomes bottom.
    FlipVertical,
    /// Rows become columns.
    Transpose,
    /// Mirrored at the other diagonal.
    AntiTranspose,
}

impl Dihedral {
    /// All eight.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::CounterClockwise,
        Self::Half,
        Self::Clockwise,
        Self::FlipHorizontal,
        Self::FlipVertical,
        Self::Transpose,
        Self::AntiTranspose,
    ];

    /// Those that keep height and width apart.
    pub const SHAPE_PRESERVING: [Self; 4] = [Self::Identity, Self::Half, Self::FlipHorizontal, Self::FlipVertical];

    pub(crate) fn random(rng: &mut (impl Rng + ?Sized), square: bool) -> Self {
        let choices: &[Self] = if square { &Self::ALL } else { &Self::SHAPE_PRESERVING };
        *random::choose(rng, choices).unwrap_or(&Self::Identity)
    }

    /// The transformation that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::CounterClockwise => Self::Clockwise,
            Self::Clockwise => Self::CounterClockwise,
            own_inverse => own_inverse,
        }
    }

    /// The grid, turned or mirrored.
    #[must_use]
    pub fn transform(self, grid: &Grid) -> Grid {
        match self {
            Self::Identity => grid.clone(),
            Self::CounterClockwise => grid.rotate_counterclockwise(),
            Self::Half => grid.rotate_half(),
            Self::Clockwise => grid.rotate_clockwise(),
            Self::FlipHorizontal => grid.flip_horizontal(),
            Self::FlipVertical => grid.flip_vertical(),
            Self::Transpose => grid.transpose(),
            Self::AntiTranspose => grid.rotate_half().transpose(),
        }
    }
}

impl Symmetry for Dihedral {
    fn apply(&self, grid: &Grid) -> Result<Grid> {
        Ok(self.transform(grid))
    }

    fn invert(&self, grid: &Grid) -> Result<Grid> {
        Ok(self.inverse().transform(grid))
    }
}
