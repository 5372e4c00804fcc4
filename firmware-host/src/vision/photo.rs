//! Pictures from files, as vision takes them: upright, of bounded size.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageDecoder as _, ImageReader, Limits, RgbImage};

use crate::{HostError, Result};

/// Most pixels of a picture that is decoded. A phone makes 12 to 50 million; three bytes each have to be held once.
pub const MAX_PIXELS: u64 = 40_000_000;

/// Longest side of the picture that boards are looked for in, pixels. A cell of a board that fills it has about 100.
const WORKING_SIDE: u32 = 1000;

/// Smallest side of a picture that can hold a board, pixels.
pub const MIN_SIDE: u32 = 64;

/// Reads a JPEG or PNG file, turned as its EXIF data says.
///
/// # Errors
/// When the file cannot be read or decoded, or has more than [`MAX_PIXELS`].
pub fn open(path: &Path) -> Result<RgbImage> {
    let reader = ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(|source| HostError::Io { path: path.to_owned(), action: "open", source })?;
    decode(reader, path)
}

/// Reads a JPEG or PNG picture out of memory, `name` is what errors call it.
pub fn from_bytes(bytes: &[u8], name: &Path) -> Result<RgbImage> {
    let reader = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|source| HostError::Io { path: name.to_owned(), action: "read", source })?;
    decode(reader, name)
}

fn decode<R: std::io::BufRead + std::io::Seek>(mut reader: ImageReader<R>, path: &Path) -> Result<RgbImage> {
    let refused = |source| HostError::Picture { path: path.to_owned(), source };
    let mut limits = Limits::default();
    limits.max_alloc = Some(4 * MAX_PIXELS);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(HostError::PictureTooLarge { path: path.to_owned(), width, height });
    }
    // A picture with broken EXIF data is still a picture.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
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
    /// The photograph reduced to at most [`WORKING_SIDE`].
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
        let gray = image::imageops::resize(&gray, side(photo.width()), side(photo.height()), FilterType::Triangle);
        Self { gray, scale }
    }
}

/// Brightness at a point between pixels, 0 to 255; outside the picture that of the nearest pixel.
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
