//! A picture in memory, to draw into and to take pixels from.

use std::convert::Infallible;

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::primitives::Rectangle;
use image::RgbImage;

use super::Ink;

/// A picture of `width x height` pixels, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Canvas<C> {
    size: Size,
    pixels: Vec<C>,
}

impl<C: Ink> Canvas<C> {
    /// A picture of one colour.
    #[must_use]
    pub fn new(size: Size, colour: C) -> Self {
        Self { size, pixels: vec![colour; size.width as usize * size.height as usize] }
    }

    /// The pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[C] {
        &self.pixels
    }

    /// The rows, from the top.
    #[must_use]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[C]> {
        self.pixels.chunks_exact(self.size.width.max(1) as usize)
    }

    /// `width` pixels of row `y` from column `x` on; those outside the picture are left out.
    #[must_use]
    pub fn span(&self, x: usize, y: usize, width: usize) -> &[C] {
        let (columns, rows) = (self.size.width as usize, self.size.height as usize);
        if y >= rows {
            return &[];
        }
        let end = x.saturating_add(width).min(columns);
        &self.pixels[y * columns + x.min(end)..y * columns + end]
    }

    /// The picture with 8 bits a channel.
    #[must_use]
    pub fn to_image(&self) -> RgbImage {
        let mut image = RgbImage::new(self.size.width, self.size.height);
        for (pixel, colour) in image.pixels_mut().zip(&self.pixels) {
            pixel.0 = colour.to_rgb();
        }
        image
    }

    fn index(&self, Point { x, y }: Point) -> Option<usize> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        (x < self.size.width && y < self.size.height).then(|| (y * self.size.width + x) as usize)
    }
}

impl<C> OriginDimensions for Canvas<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: Ink> DrawTarget for Canvas<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            if let Some(index) = self.index(at) {
                self.pixels[index] = colour;
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: C) -> Result<(), Infallible> {
        let area = area.intersection(&Rectangle::new(Point::zero(), self.size));
        let (x, width) = (area.top_left.x as usize, area.size.width as usize);
        for y in area.rows() {
            let start = y as usize * self.size.width as usize + x;
            self.pixels[start..start + width].fill(colour);
        }
        Ok(())
    }
}
