//! Pictures as PNG files.

use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use trm_models::file::write_atomically;

use super::{Canvas, Ink};
use crate::{HostError, Result};

/// Writes a canvas as a PNG file, which is complete or not there.
pub fn write_png<C: Ink>(path: &Path, canvas: &Canvas<C>) -> Result<()> {
    write_image(path, &canvas.to_image())
}

/// Writes a picture as a PNG file, which is complete or not there.
pub fn write_image(path: &Path, image: &RgbImage) -> Result<()> {
    let mut bytes = Vec::new();
    // One colour in many pixels: without a filter, such pictures compress best.
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::NoFilter);
    let (width, height) = image.dimensions();
    encoder
        .write_image(image.as_raw(), width, height, ExtendedColorType::Rgb8)
        .map_err(|source| HostError::Image { path: path.to_owned(), source })?;
    write_atomically(path, |file| std::io::Write::write_all(file, &bytes))?;
    Ok(())
}
