//! The camera's picture, scaled to its place, with the board that was found drawn over it.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Point;
use embedded_graphics::primitives::{PointsIter, Rectangle};

use super::shapes::{At, area, segment};
use super::theme::Palette;
use super::{Ink, Preview};

/// Share of the light that is left outside the board, of 256.
const DIMMED: u32 = 110;

/// The whole picture as large as fits into the middle of `place`, over the background.
pub(super) fn draw<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    place: Rectangle,
    palette: &Palette<C>,
    preview: &Preview,
    corners: Option<&[[f32; 2]; 4]>,
) -> Result<(), D::Error> {
    let (width, height) = preview.size();
    if width == 0 || height == 0 || place.is_zero_sized() {
        return Ok(());
    }
    let scale = (place.size.width as f32 / width as f32).min(place.size.height as f32 / height as f32);
    let (columns, rows) = (shrink(width, scale), shrink(height, scale));
    let shown = area(
        place.top_left.x + (place.size.width as i32 - columns as i32) / 2,
        place.top_left.y + (place.size.height as i32 - rows as i32) / 2,
        columns as i32,
        rows as i32,
    );
    let quad: Option<[At; 4]> =
        corners.filter(|corners| corners.iter().flatten().all(|c| c.is_finite())).map(|corners| {
            corners.map(|[x, y]| (shown.top_left.x as f32 + x * scale, shown.top_left.y as f32 + y * scale))
        });
    let half_width = (shown.size.width as f32 / 160.0).clamp(0.8, 2.5);
    let levels = if C::SHADES { (0, 255) } else { contrast(preview) };
    let colours = shown.points().map(|point| {
        let (column, row) = ((point.x - shown.top_left.x) as u32, (point.y - shown.top_left.y) as u32);
        let mut rgb = average(preview, [column, columns, width], [row, rows, height]);
        if !C::SHADES {
            rgb = rgb.map(|value| stretch(value, levels));
        }
        let Some(quad) = quad else { return C::from_rgb(rgb, point) };
        let at = (point.x as f32 + 0.5, point.y as f32 + 0.5);
        let edge = (0..4).map(|i| segment(at, quad[i], quad[(i + 1) % 4])).fold(f32::MAX, f32::min);
        if !C::SHADES {
            // White between two black lines: seen on any picture.
            let rim = edge - half_width;
            return if rim < 0.0 {
                palette.text
            } else if rim < 1.2 {
                palette.background
            } else {
                C::from_rgb(rgb, point)
            };
        }
        if !inside(at, &quad) {
            rgb = rgb.map(|value| (u32::from(value) * DIMMED / 256) as u8);
        }
        C::mix(C::from_rgb(rgb, point), palette.good, half_width + 0.5 - edge)
    });
    target.fill_contiguous(&shown, colours)
}

fn shrink(length: u32, scale: f32) -> u32 {
    ((length as f32 * scale).round() as u32).max(1)
}

/// The mean of the source pixels that one pixel stands for. An axis is `[position, length shown, length of source]`.
fn average(preview: &Preview, x: [u32; 3], y: [u32; 3]) -> [u8; 3] {
    // 64 bit: positions of pictures that fit in no memory.
    let range = |[at, shown, source]: [u32; 3]| {
        let edge = |at: u32| (u64::from(at) * u64::from(source) / u64::from(shown)) as u32;
        let start = edge(at).min(source - 1);
        // At most 8 samples an axis: enough to be smooth, and a large photograph takes no longer.
        let end = edge(at + 1).clamp(start + 1, source);
        (start..end).step_by(((end - start) as usize).div_ceil(8))
    };
    let (mut sum, mut count) = ([0_u32; 3], 0);
    for row in range(y) {
        for column in range(x) {
            for (sum, value) in sum.iter_mut().zip(preview.pixel(column, row)) {
                *sum += u32::from(value);
            }
            count += 1;
        }
    }
    sum.map(|sum| (sum / count) as u8)
}

/// The 5th and 95th percentile of lightness, over a sample of the pixels.
fn contrast(preview: &Preview) -> (u8, u8) {
    let (width, height) = preview.size();
    let (across, down) = (width.div_ceil(64).max(1) as usize, height.div_ceil(64).max(1) as usize);
    let rows = (0..height).step_by(down);
    let mut greens: Vec<u8> =
        rows.flat_map(|y| (0..width).step_by(across).map(move |x| preview.pixel(x, y)[1])).collect();
    greens.sort_unstable();
    let at = |percent: usize| greens[(greens.len() - 1) * percent / 100];
    (at(5), at(95))
}

fn stretch(value: u8, (low, high): (u8, u8)) -> u8 {
    let range = u32::from(high.saturating_sub(low)).max(16);
    (u32::from(value.saturating_sub(low)) * 255 / range).min(255) as u8
}

/// `true` if a point lies in a quad: a line from it to one side crosses an odd number of edges.
fn inside((x, y): At, quad: &[At; 4]) -> bool {
    let crossed = |a: At, b: At| (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0;
    (0..4).filter(|&i| crossed(quad[i], quad[(i + 1) % 4])).count() % 2 == 1
}

/// The part of a screen that a 4:3 picture takes on the left when it is given the whole height.
pub(super) fn left_part(screen: Rectangle) -> Rectangle {
    let width = (screen.size.height * 4 / 3).min(screen.size.width);
    Rectangle::new(Point::zero(), embedded_graphics::geometry::Size::new(width, screen.size.height))
}
