//! Smooth shapes: each is a distance function, negative inside, and each pixel is covered as far as it lies inside.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::primitives::{PointsIter, Rectangle};

use super::Ink;

/// A point in pixels; the centre of the pixel at column 3 is 3.5.
pub(super) type At = (f32, f32);

/// Fills `area` with `paper`, and over it the shape of the distance function in `ink`.
pub(super) fn paint<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    area: Rectangle,
    [paper, ink]: [C; 2],
    distance: impl Fn(At) -> f32,
) -> Result<(), D::Error> {
    let colours = area.points().map(|point| {
        let d = distance((point.x as f32 + 0.5, point.y as f32 + 0.5));
        C::mix(paper, ink, 0.5 - d)
    });
    target.fill_contiguous(&area, colours)
}

/// The distance to the line from `a` to `b`.
pub(super) fn segment((x, y): At, a: At, b: At) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (((x - a.0) * dx + (y - a.1) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    distance((x, y), (a.0 + along * dx, a.1 + along * dy))
}

/// The distance between two points.
pub(super) fn distance(a: At, b: At) -> f32 {
    ((a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1)).sqrt()
}

/// The distance to a rectangle with round corners of `radius` pixels.
pub(super) fn rounded((x, y): At, area: Rectangle, radius: f32) -> f32 {
    let (cx, cy) = middle(area);
    let dx = (x - cx).abs() - (area.size.width as f32 / 2.0 - radius);
    let dy = (y - cy).abs() - (area.size.height as f32 / 2.0 - radius);
    let (ox, oy) = (dx.max(0.0), dy.max(0.0));
    (ox * ox + oy * oy).sqrt() + dx.max(dy).min(0.0) - radius
}

/// The middle of an area.
pub(super) fn middle(area: Rectangle) -> At {
    (area.top_left.x as f32 + area.size.width as f32 / 2.0, area.top_left.y as f32 + area.size.height as f32 / 2.0)
}

/// A rectangle of signed measures; negative sizes count as 0.
pub(super) fn area(x: i32, y: i32, width: i32, height: i32) -> Rectangle {
    Rectangle::new(Point::new(x, y), Size::new(width.max(0) as u32, height.max(0) as u32))
}

/// A rectangle made smaller by `by` pixels on each side.
pub(super) fn inset(of: Rectangle, by: i32) -> Rectangle {
    let (width, height) = (of.size.width as i32, of.size.height as i32);
    area(of.top_left.x + by, of.top_left.y + by, width - 2 * by, height - 2 * by)
}

/// Sign beside a heading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A tick in a disc.
    Tick,
    /// A cross in a disc.
    Cross,
    /// An exclamation mark in a triangle.
    Warning,
}

/// Draws a sign into a square.
pub(super) fn sign<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    square: Rectangle,
    sign: Sign,
    [paper, ink]: [C; 2],
) -> Result<(), D::Error> {
    let side = square.size.width as f32;
    let (x0, y0) = (square.top_left.x as f32, square.top_left.y as f32);
    let at = |x: f32, y: f32| (x0 + x * side, y0 + y * side);
    let stroke = (side * 0.055).max(0.7);
    paint(target, square, [paper, ink], |p| {
        let (body, mark) = match sign {
            Sign::Tick => (
                distance(p, at(0.5, 0.5)) - side * 0.5,
                segment(p, at(0.28, 0.53), at(0.44, 0.69)).min(segment(p, at(0.44, 0.69), at(0.73, 0.34))),
            ),
            Sign::Cross => (
                distance(p, at(0.5, 0.5)) - side * 0.5,
                segment(p, at(0.32, 0.32), at(0.68, 0.68)).min(segment(p, at(0.68, 0.32), at(0.32, 0.68))),
            ),
            Sign::Warning => (
                triangle(p, at(0.5, 0.12), at(0.93, 0.88), at(0.07, 0.88)) - side * 0.06,
                segment(p, at(0.5, 0.4), at(0.5, 0.62)).min(distance(p, at(0.5, 0.78)) - side * 0.01),
            ),
        };
        body.max(stroke - mark)
    })
}

/// The distance to a triangle whose corners go clockwise.
fn triangle(p: At, a: At, b: At, c: At) -> f32 {
    let edge = segment(p, a, b).min(segment(p, b, c)).min(segment(p, c, a));
    let left = |a: At, b: At| (b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0) < 0.0;
    if left(a, b) || left(b, c) || left(c, a) { edge } else { -edge }
}
