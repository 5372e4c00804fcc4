//! Colours: what a theme is made of, and how each kind of pixel mixes and approximates them.

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::{BinaryColor, PixelColor, Rgb565, Rgb888, RgbColor};

/// A pixel format that screens can be drawn in.
pub trait Ink: PixelColor + PartialEq {
    /// `true` if there are shades between two colours. Without, text is set in bitmap fonts, and what colours tell
    /// apart elsewhere is told apart by inversion and patterns.
    const SHADES: bool;

    /// The nearest colour to `rgb` (8 bit a channel). `at` is where the pixel lies, for dithering.
    fn from_rgb(rgb: [u8; 3], at: Point) -> Self;

    /// The colour, 8 bit a channel.
    fn to_rgb(self) -> [u8; 3];

    /// `ink` over `paper`, where it covers `coverage` (0 to 1) of the pixel.
    #[must_use]
    fn mix(paper: Self, ink: Self, coverage: f32) -> Self;

    /// The colours of this format's theme.
    fn palette() -> Palette<Self>;
}

/// The colours of a theme, by what they are used for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Palette<C> {
    /// Behind everything.
    pub background: C,
    /// An empty cell, a free cell of a maze.
    pub surface: C,
    /// The cell of a given digit.
    pub given_surface: C,
    /// Lines between cells.
    pub line: C,
    /// Lines between boxes, and the frame.
    pub frame: C,
    /// Text.
    pub text: C,
    /// Text of less importance.
    pub muted: C,
    /// Digits of the puzzle.
    pub given: C,
    /// Digits of the answer.
    pub answered: C,
    /// Cell and digit that the last step changed.
    pub changed: [C; 2],
    /// Cell and digit that were not read with confidence.
    pub doubtful: [C; 2],
    /// Walls of a maze.
    pub wall: C,
    /// The path through a maze.
    pub path: C,
    /// The start of a maze.
    pub start: C,
    /// The goal of a maze.
    pub goal: C,
    /// Headings of what is under way.
    pub accent: C,
    /// Headings of what went well.
    pub good: C,
    /// Headings of what did not.
    pub bad: C,
}

fn dark<C: Ink>() -> Palette<C> {
    let colour = |rgb: u32| C::from_rgb([(rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8], Point::zero());
    Palette {
        background: colour(0x0c_1119),
        surface: colour(0x16_1e2b),
        given_surface: colour(0x22_2d3e),
        line: colour(0x31_3d50),
        frame: colour(0x7d_8ca3),
        text: colour(0xf2_f5f9),
        muted: colour(0x94_a3b8),
        given: colour(0xff_ffff),
        answered: colour(0x45_d6ff),
        changed: [colour(0xff_c53d), colour(0x1c_1400)],
        doubtful: [colour(0x8c_1f3f), colour(0xff_e3ea)],
        wall: colour(0x56_6579),
        path: colour(0x45_d6ff),
        start: colour(0x3d_dc84),
        goal: colour(0xff_5c7a),
        accent: colour(0x45_d6ff),
        good: colour(0x3d_dc84),
        bad: colour(0xff_5c7a),
    }
}

fn blend(paper: [u8; 3], ink: [u8; 3], coverage: f32) -> [u8; 3] {
    let coverage = coverage.clamp(0.0, 1.0);
    std::array::from_fn(|i| {
        let (from, to) = (f32::from(paper[i]), f32::from(ink[i]));
        (from + (to - from) * coverage).round() as u8
    })
}

impl Ink for Rgb888 {
    const SHADES: bool = true;

    fn from_rgb([r, g, b]: [u8; 3], _: Point) -> Self {
        Self::new(r, g, b)
    }

    fn to_rgb(self) -> [u8; 3] {
        [self.r(), self.g(), self.b()]
    }

    fn mix(paper: Self, ink: Self, coverage: f32) -> Self {
        Self::from_rgb(blend(paper.to_rgb(), ink.to_rgb(), coverage), Point::zero())
    }

    fn palette() -> Palette<Self> {
        dark()
    }
}

impl Ink for Rgb565 {
    const SHADES: bool = true;

    fn from_rgb([r, g, b]: [u8; 3], _: Point) -> Self {
        // To the nearest level: cutting bits off would darken everything a little.
        let level = |value: u8, most: u32| ((u32::from(value) * most + 127) / 255) as u8;
        Self::new(level(r, 31), level(g, 63), level(b, 31))
    }

    fn to_rgb(self) -> [u8; 3] {
        Rgb888::from(self).to_rgb()
    }

    fn mix(paper: Self, ink: Self, coverage: f32) -> Self {
        Self::from_rgb(blend(paper.to_rgb(), ink.to_rgb(), coverage), Point::zero())
    }

    fn palette() -> Palette<Self> {
        dark()
    }
}

/// Thresholds of ordered dithering: Bayer's 4x4 matrix.
const BAYER: [[u32; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

impl Ink for BinaryColor {
    const SHADES: bool = false;

    fn from_rgb([r, g, b]: [u8; 3], at: Point) -> Self {
        let luma = (u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000;
        let threshold = BAYER[at.y.rem_euclid(4) as usize][at.x.rem_euclid(4) as usize];
        Self::from(luma > threshold * 16 + 8)
    }

    fn to_rgb(self) -> [u8; 3] {
        if self.is_on() { [255; 3] } else { [0; 3] }
    }

    fn mix(paper: Self, ink: Self, coverage: f32) -> Self {
        if coverage >= 0.5 { ink } else { paper }
    }

    fn palette() -> Palette<Self> {
        let (off, on) = (Self::Off, Self::On);
        Palette {
            background: off,
            surface: off,
            given_surface: on,
            line: off,
            frame: on,
            text: on,
            muted: on,
            given: off,
            answered: on,
            changed: [off, on],
            doubtful: [off, on],
            wall: on,
            path: on,
            start: on,
            goal: on,
            accent: on,
            good: on,
            bad: on,
        }
    }
}

/// Look of screens on one panel: its size and its colours. Fonts and the layout follow from the size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theme<C> {
    /// Width and height in pixels.
    pub size: Size,
    /// The colours.
    pub palette: Palette<C>,
}

impl<C: Ink> Theme<C> {
    /// The theme of a panel of `width x height` pixels: made for 128x64 in black and white, and for 240x240, 320x240
    /// and 800x480 in colour, usable from 96x48 up.
    #[must_use]
    pub fn new(width: u32, height: u32) -> Self {
        Self { size: Size::new(width, height), palette: C::palette() }
    }
}
