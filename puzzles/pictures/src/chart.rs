//! Charts of curves as SVG and as pictures. No fonts of the system are needed.

use std::fmt::Write as _;

use image::{Rgb, RgbImage};

use crate::font::{GLYPH_HEIGHT, GLYPH_WIDTH, glyph};

/// Pixels of the picture.
const SIZE: (f64, f64) = (960.0, 720.0);
/// Left, right edge of the panels.
const SIDES: (f64, f64) = (90.0, 930.0);
/// Pixels of a letter's dot.
const DOT: f64 = 2.0;

/// Dark grey.
pub const INK: [u8; 3] = [33, 37, 41];
const FAINT: [u8; 3] = [206, 212, 218];
/// Blue.
pub const BLUE: [u8; 3] = [25, 113, 194];
/// Red.
pub const RED: [u8; 3] = [224, 49, 49];
/// Green.
pub const GREEN: [u8; 3] = [47, 158, 68];
/// Grey.
pub const GREY: [u8; 3] = [134, 142, 150];

/// The place of a text relative to its point.
#[derive(Debug, Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

/// A mark, in pixels from the top left.
#[derive(Debug)]
enum Shape {
    Line {
        points: Vec<(f64, f64)>,
        colour: [u8; 3],
        width: f64,
    },
    /// A text in capitals, its point at mid height.
    Text {
        at: (f64, f64),
        text: String,
        colour: [u8; 3],
        anchor: Anchor,
    },
}

/// A curve.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The name, in capitals: there are no small letters.
    pub name: &'static str,
    /// Red, green, blue.
    pub colour: [u8; 3],
    /// Step and value of each point.
    pub points: Vec<(f64, f64)>,
}

/// A diagram of curves over steps.
#[derive(Debug, Clone)]
pub struct Panel {
    /// The title, in capitals.
    pub title: &'static str,
    /// Pixels from the picture's top to the diagram's.
    pub top: f64,
    /// Pixels from the picture's top to the diagram's bottom.
    pub bottom: f64,
    /// The curves.
    pub curves: Vec<Curve>,
    /// True for an axis that goes up to 1 and is labelled in per cent.
    pub percent: bool,
    /// The value at the bottom.
    pub low: f64,
}

/// Diagrams below each other, over one axis of steps.
#[derive(Debug)]
pub struct Chart {
    shapes: Vec<Shape>,
}

impl Chart {
    /// Draws the panels up to step `last`; `axis` is what the steps are called, in capitals.
    #[must_use]
    pub fn new(panels: &[Panel], axis: &str, last: f64) -> Self {
        let mut shapes: Vec<Shape> = panels.iter().flat_map(|panel| panel.shapes(last)).collect();
        let at = (f64::midpoint(SIDES.0, SIDES.1), 700.0);
        shapes.push(Shape::Text { at, text: axis.to_owned(), colour: INK, anchor: Anchor::Middle });
        Self { shapes }
    }

    /// One panel of shares, 0 to 1. Its axis begins at the next twentieth below the least of them.
    #[must_use]
    pub fn of_shares(title: &'static str, axis: &str, curves: Vec<Curve>) -> Self {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let last = points().map(|point| point.0).fold(1.0, f64::max);
        let least = points().map(|point| point.1).fold(1.0, f64::min);
        let low = ((least * 20.0 - 1e-9).floor() / 20.0).clamp(0.0, 0.95);
        Self::new(&[Panel { title, top: 50.0, bottom: 650.0, curves, percent: true, low }], axis, last)
    }

    /// The chart as an SVG file.
    #[must_use]
    pub fn to_svg(&self) -> String {
        to_svg(&self.shapes)
    }

    /// The chart as a picture of 960x720 pixels.
    #[must_use]
    pub fn to_image(&self) -> RgbImage {
        to_image(&self.shapes)
    }
}

impl Panel {
    fn shapes(&self, last: f64) -> Vec<Shape> {
        let highest = self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).fold(0.0, f64::max);
        let high = if self.percent { 1.0 } else { nice(highest) };
        let right = nice(last);
        let place = |(step, value): (f64, f64)| {
            let x = SIDES.0 + (SIDES.1 - SIDES.0) * step / right;
            (x, self.bottom - (self.bottom - self.top) * ((value - self.low) / (high - self.low)).clamp(0.0, 1.0))
        };
        let mut shapes = Vec::new();
        for tick in 0..=5 {
            let share = f64::from(tick) / 5.0;
            let value = self.low + share * (high - self.low);
            let (left, end) = (place((0.0, value)), place((right, value)));
            shapes.push(Shape::Line { points: vec![left, end], colour: FAINT, width: 1.0 });
            let text = if self.percent { format!("{:.0}%", 100.0 * value) } else { number(value) };
            shapes.push(Shape::Text { at: (left.0 - 8.0, left.1), text, colour: INK, anchor: Anchor::End });
            let foot = place((share * right, self.low));
            let points = vec![foot, (foot.0, foot.1 + 5.0)];
            shapes.push(Shape::Line { points, colour: INK, width: 1.0 });
            let at = (foot.0, foot.1 + 18.0);
            shapes.push(Shape::Text { at, text: number(share * right), colour: INK, anchor: Anchor::Middle });
        }
        let corners = [(0.0, high), (0.0, self.low), (right, self.low)].map(place).to_vec();
        shapes.push(Shape::Line { points: corners, colour: INK, width: 1.0 });
        let title_at = (SIDES.0, self.top - 24.0);
        shapes.push(Shape::Text { at: title_at, text: self.title.to_owned(), colour: INK, anchor: Anchor::Start });
        let mut x = SIDES.1;
        for curve in self.curves.iter().rev().filter(|curve| !curve.points.is_empty()) {
            let at = (x, self.top - 24.0);
            shapes.push(Shape::Text { at, text: curve.name.to_owned(), colour: curve.colour, anchor: Anchor::End });
            x -= text_width(curve.name) + 20.0;
            let points = curve.points.iter().copied().map(place).collect();
            shapes.push(Shape::Line { points, colour: curve.colour, width: 2.0 });
        }
        shapes
    }
}

/// Rounds up to the next of 1, 2, 2.5, 5, 10, …
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|&step| step >= value * 0.999_999)
        .unwrap_or(value)
}

/// A label: `1500`, `20K`, `0.25`.
fn number(value: f64) -> String {
    let (scaled, unit) = match value {
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "K"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.3}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn text_width(text: &str) -> f64 {
    (text.len() * (GLYPH_WIDTH + 1)) as f64 * DOT
}

/// The left end of a text.
fn left_of(x: f64, text: &str, anchor: Anchor) -> f64 {
    match anchor {
        Anchor::Start => x,
        Anchor::Middle => x - text_width(text) / 2.0,
        Anchor::End => x - text_width(text),
    }
}

fn hex(colour: [u8; 3]) -> String {
    let [red, green, blue] = colour;
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn to_svg(shapes: &[Shape]) -> String {
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"16\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    // A string takes everything.
    let _ = shapes.iter().try_for_each(|shape| match shape {
        Shape::Line { points, colour, width } => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let (points, colour) = (points.join(" "), hex(*colour));
            writeln!(svg, "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>")
        }
        Shape::Text { at: (x, y), text, colour, anchor } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let (y, colour) = (y + 5.0, hex(*colour));
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{text}</text>")
        }
    });
    svg.push_str("</svg>\n");
    svg
}

fn to_image(shapes: &[Shape]) -> RgbImage {
    let mut image = RgbImage::from_pixel(SIZE.0 as u32, SIZE.1 as u32, Rgb([255; 3]));
    for shape in shapes {
        match shape {
            Shape::Line { points, colour, width } => {
                for pair in points.windows(2) {
                    line(&mut image, pair[0], pair[1], *width, *colour);
                }
            }
            Shape::Text { at: (x, y), text, colour, anchor } => {
                let (left, top) = (left_of(*x, text, *anchor), y - GLYPH_HEIGHT as f64 * DOT / 2.0);
                for (number, symbol) in text.bytes().enumerate() {
                    letter(&mut image, (left + text_width(&text[..number]), top), symbol, *colour);
                }
            }
        }
    }
    image
}

/// A square of pixels around a point.
fn dot(image: &mut RgbImage, (x, y): (f64, f64), size: f64, colour: [u8; 3]) {
    let range = |centre: f64| {
        let first = (centre - size / 2.0).round().max(0.0) as u32;
        first..first + size as u32
    };
    for y in range(y) {
        for x in range(x) {
            if let Some(pixel) = image.get_pixel_mut_checked(x, y) {
                *pixel = Rgb(colour);
            }
        }
    }
}

fn line(image: &mut RgbImage, from: (f64, f64), to: (f64, f64), width: f64, colour: [u8; 3]) {
    let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
    for step in 0..=steps as u32 {
        let share = f64::from(step) / steps;
        dot(image, (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share), width, colour);
    }
}

fn letter(image: &mut RgbImage, (left, top): (f64, f64), symbol: u8, colour: [u8; 3]) {
    for (row, bits) in glyph(symbol).into_iter().enumerate() {
        for column in (0..GLYPH_WIDTH).filter(|column| bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1) {
            let centre = |edge: f64, index: usize| edge + (index as f64 + 0.5) * DOT;
            dot(image, (centre(left, column), centre(top, row)), DOT, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 0.25, 1_500.0, 20_000.0, 2.5e6].map(number), ["0", "0.25", "1500", "20K", "2.5M"]);
        assert_eq!([0.0, 0.7, 1.0, 2.1, 17_000.0].map(nice).map(number), ["1", "1", "1", "2.5", "20K"]);
    }

    #[test]
    fn letters_have_glyphs_and_points_are_at_their_place() {
        let curves = vec![Curve { name: "SOLVED", colour: RED, points: vec![(0.0, 0.25), (10.0, 0.5)] }];
        let chart = Chart::of_shares("VERIFIED", "STEPS A PUZZLE", curves);
        let texts = chart.shapes.iter().filter_map(|shape| match shape {
            Shape::Text { text, .. } => Some(text),
            Shape::Line { .. } => None,
        });
        texts.flat_map(|text| text.bytes()).for_each(|symbol| assert_ne!(glyph(symbol), glyph(b'?'), "{symbol}"));
        // From 20 % at the bottom, 650, to 100 % at the top, 50: 25 % is at 612.5, 50 % at 425.
        assert!(chart.to_svg().contains("points=\"90.0,612.5 930.0,425.0\""), "{}", chart.to_svg());
        assert_eq!(chart.to_image().get_pixel(929, 425), &Rgb(RED));
    }
}
