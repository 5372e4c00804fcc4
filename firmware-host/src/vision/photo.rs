//! Pictures from files, as vision takes them: upright, of bounded size.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder as _, RgbImage};
use trm_intake::{Budget, Limits};
use trm_pictures::{PictureError, decoder};

use crate::{HostError, Result};

/// Most pixels of a picture that is decoded. A phone makes 12 to 50 million; three bytes each have to be held once.
pub const MAX_PIXELS: u64 = 40_000_000;

/// Limits of a picture: its pixels, and the bytes that they are decoded to.
const PHOTO_LIMITS: Limits = Limits { bytes: 4 * MAX_PIXELS, items: MAX_PIXELS, depth: 0, time: None };

/// Longest side of the picture that boards are looked for in, pixels. A cell of a board that fills it has about 100.
const WORKING_SIDE: u32 = 1000;

/// Smallest side of a picture that can hold a board, pixels.
pub const MIN_SIDE: u32 = 64;

/// Reads a JPEG or PNG file, turned as its EXIF data says.
///
/// # Errors
/// When the file cannot be read or decoded, or has more than [`MAX_PIXELS`].
pub fn open(path: &Path) -> Result<RgbImage> {
    let file = File::open(path).map_err(HostError::io("open", path))?;
    decode(BufReader::new(file), path, &mut Budget::new(PHOTO_LIMITS))
}

/// Reads a JPEG or PNG picture out of memory, `name` is what errors call it.
///
/// # Errors
/// [`HostError::Picture`] when the picture cannot be decoded; [`HostError::PictureTooLarge`] beyond [`MAX_PIXELS`];
/// [`HostError::Source`] for pixels or metadata that take too many bytes.
pub fn from_bytes(bytes: &[u8], name: &Path) -> Result<RgbImage> {
    decode(Cursor::new(bytes), name, &mut Budget::new(PHOTO_LIMITS))
}

fn decode<R: BufRead + Seek>(file: R, path: &Path, budget: &mut Budget) -> Result<RgbImage> {
    let refused = |error: PictureError| refused(path, error);
    let mut decoder = decoder(file, budget).map_err(refused)?;
    // A picture with broken EXIF data is still a picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| refused(error.into()))?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

fn refused(path: &Path, error: PictureError) -> HostError {
    let path = path.to_owned();
    match error {
        PictureError::Io(source) => HostError::Io { path, action: "read", source },
        PictureError::Image(source) => HostError::Picture { path, source },
        PictureError::Pixels { width, height, .. } => HostError::PictureTooLarge { path, width, height },
        other => HostError::Source {
            name: path.display().to_string(),
            reason: other.to_string(),
            hint: "save it as JPEG, or as PNG of 8 bits a channel without metadata",
        },
    }
}

/// A photograph as boards are looked for in it.
#[derive(Debug)]
pub struct Ink {
    /// Brightness under which red and black print both are dark: two parts green, one part blue.
    pub gray: GrayImage,
    /// Pixels of the photograph for one of `gray`.
    pub scale: f32,
}

impl Ink {
    /// The photograph reduced to at most 1000 pixels a side.
    #[must_use]
    pub fn new(photo: &RgbImage) -> Self {
        let gray = GrayImage::from_fn(photo.width(), photo.height(), |x, y| {
            let [_, green, blue] = photo.get_pixel(x, y).0;
            image::Luma([((2 * u16::from(green) + u16::from(blue)) / 3) as u8])
        });
        let longest = photo.width().max(photo.height());
        if longest <= WORKING_SIDE {
            return Self { gray, scale: 1.0 };
        }
        let scale = longest as f32 / WORKING_SIDE as f32;
        let side = |size: u32| ((size as f32 / scale).round() as u32).max(1);
        Self { gray: reduced(&gray, side(photo.width()), side(photo.height())), scale }
    }
}

/// Pixels that one pixel of a reduced row or column is made of.
struct Taps {
    /// The first pixel.
    first: usize,
    /// Shares of it and those after it.
    shares: Vec<f32>,
}

/// Triangle filter (as `image::imageops::FilterType::Triangle`) from `from` pixels to fewer.
fn triangle(from: u32, to: u32) -> Vec<Taps> {
    let ratio = from as f32 / to as f32;
    let taps = |k: u32| {
        let middle = (k as f32 + 0.5) * ratio;
        let first = (middle - ratio).floor().max(0.0) as usize;
        let end = ((middle + ratio).ceil() as usize).clamp(first + 1, from as usize);
        let share = |pixel: usize| (1.0 - ((pixel as f32 + 0.5 - middle) / ratio).abs()).max(0.0);
        let mut shares: Vec<f32> = (first..end).map(share).collect();
        let sum: f32 = shares.iter().sum();
        for share in &mut shares {
            *share /= sum;
        }
        Taps { first, shares }
    };
    (0..to).map(taps).collect()
}

/// The picture made smaller. `image::imageops::resize` gives the same and takes eight times as long, a quarter of what
/// reading a board of a megapixel takes.
fn reduced(gray: &GrayImage, width: u32, height: u32) -> GrayImage {
    let from = gray.width() as usize;
    let (columns, rows) = (triangle(gray.width(), width), triangle(gray.height(), height));
    let mut column = vec![0.0_f32; from];
    let mut out = Vec::with_capacity(width as usize * height as usize);
    for row in rows {
        column.fill(0.0);
        for (pixels, share) in gray.as_raw()[row.first * from..].chunks_exact(from).zip(row.shares) {
            for (sum, &pixel) in column.iter_mut().zip(pixels) {
                *sum += share * f32::from(pixel);
            }
        }
        out.extend(columns.iter().map(|taps| {
            let pixels = column[taps.first..].iter().zip(&taps.shares);
            (pixels.map(|(pixel, share)| pixel * share).sum::<f32>() + 0.5) as u8
        }));
    }
    // It is as long as the picture has pixels.
    GrayImage::from_raw(width, height, out).unwrap_or_default()
}

/// Brightness at a point between pixels, 0 to 255; outside the picture that of the nearest pixel.
#[must_use]
pub fn sample(gray: &GrayImage, x: f32, y: f32) -> f32 {
    let (width, height) = gray.dimensions();
    let x = x.clamp(0.0, width as f32 - 1.0);
    let y = y.clamp(0.0, height as f32 - 1.0);
    let (left, top) = (x as usize, y as usize);
    let (right, bottom) = ((left + 1).min(width as usize - 1), (top + 1).min(height as usize - 1));
    let (u, v) = (x - left as f32, y - top as f32);
    let data = gray.as_raw();
    let at = |x: usize, y: usize| f32::from(data[y * width as usize + x]);
    let above = at(left, top) + u * (at(right, top) - at(left, top));
    let below = at(left, bottom) + u * (at(right, bottom) - at(left, bottom));
    above + v * (below - above)
}

#[cfg(test)]
mod tests {
    use image::imageops::{FilterType, resize};

    use super::*;

    #[test]
    fn reducing_is_the_triangle_filter() {
        let mut noise = 1_u32;
        let mut level = |k: u32| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223 + k);
            image::Luma([(noise >> 24) as u8])
        };
        for (from, to) in
            [((1280, 960), (1000, 750)), ((301, 97), (150, 48)), ((64, 1001), (63, 1000)), ((9, 7), (1, 1))]
        {
            let gray = GrayImage::from_fn(from.0, from.1, |x, _| level(x));
            let (ours, theirs) = (reduced(&gray, to.0, to.1), resize(&gray, to.0, to.1, FilterType::Triangle));
            assert_eq!(ours.dimensions(), to);
            let off = ours.as_raw().iter().zip(theirs.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
            // They round after each of the two directions.
            assert!(off <= Some(1), "{from:?} to {to:?}: off by {off:?}");
        }
    }
}
