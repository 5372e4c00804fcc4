//! Pictures as PNG files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use image::RgbImage;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use trm_models::file::write_atomically;

use super::{Canvas, Ink};
use crate::{HostError, Result};

/// Writes a canvas as a PNG file, which is complete or not there.
pub fn write_png<C: Ink>(path: &Path, canvas: &Canvas<C>) -> Result<()> {
    write_image(path, &canvas.to_image())
}

/// Writes a picture as a PNG file, which is complete or not there. Up to 256 colours become a palette: a third of the
/// size.
pub fn write_image(path: &Path, image: &RgbImage) -> Result<()> {
    let bytes = encode(image).map_err(|source| HostError::Png { path: path.to_owned(), source })?;
    Ok(write_atomically(path, |file| file.write_all(&bytes))?)
}

fn encode(image: &RgbImage) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_depth(BitDepth::Eight);
    let mut palette: BTreeMap<[u8; 3], u8> = image.pixels().map(|pixel| (pixel.0, 0)).collect();
    if palette.len() > 256 {
        // A photograph hardly gets smaller by trying harder, which takes longer than reading it.
        encoder.set_compression(Compression::Fast);
        encoder.set_color(ColorType::Rgb);
        encoder.set_filter(Filter::Adaptive);
        encoder.write_header()?.write_image_data(image.as_raw())?;
        return Ok(bytes);
    }
    for (index, place) in (0..=u8::MAX).zip(palette.values_mut()) {
        *place = index;
    }
    encoder.set_compression(Compression::High);
    encoder.set_color(ColorType::Indexed);
    encoder.set_palette(palette.keys().flatten().copied().collect::<Vec<u8>>());
    // Neighbouring indices mean nothing: their differences compress worse than they do.
    encoder.set_filter(Filter::NoFilter);
    let indices: Vec<u8> = image.pixels().map(|pixel| palette[&pixel.0]).collect();
    encoder.write_header()?.write_image_data(&indices)?;
    Ok(bytes)
}
