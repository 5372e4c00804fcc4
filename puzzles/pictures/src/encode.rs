//! Pictures as PNG files: the one place that writes them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::RgbImage;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use trm_intake::file::{FileError, is_same, write_atomically};
use trm_intake::{Hint, Printable};

/// The reasons why a picture was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The picture cannot be encoded: it has no pixels, or too many.
    #[error("{}: cannot be encoded as PNG", Printable(&path.to_string_lossy()))]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The encoder's reason.
        source: EncodingError,
    },
}

impl Hint for WriteError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::File(error) => error.hint(),
            Self::Encoding { .. } => None,
        }
    }
}

/// Writes a picture as a PNG file, which is complete or not there. Up to 256 colours become a palette: a third of the
/// size.
///
/// # Errors
/// [`WriteError`]; the old file is then as it was.
pub fn write_png(path: &Path, image: &RgbImage) -> Result<(), WriteError> {
    let bytes = encode(image).map_err(|source| WriteError::Encoding { path: path.to_owned(), source })?;
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

/// The reason why no picture should be written to a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct PathRefused {
    /// The path.
    pub path: PathBuf,
    /// The objection.
    pub problem: String,
    /// The advice.
    pub hint: &'static str,
}

impl Hint for PathRefused {
    fn hint(&self) -> Option<Cow<'_, str>> {
        Some(self.hint.into())
    }
}

/// Refuses a path that no PNG file should be written to: another extension, no such folder, or one of the files that were
/// read.
///
/// # Errors
/// [`PathRefused`].
pub fn check_png_path(path: &Path, inputs: &[&Path]) -> Result<(), PathRefused> {
    let refused = |problem: &str, hint| Err(PathRefused { path: path.to_owned(), problem: problem.to_owned(), hint });
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("png")) {
        return refused("pictures are written as PNG", "give a file name that ends in .png");
    }
    if inputs.iter().any(|input| is_same(input, path)) {
        return refused("it is read from, and would be overwritten", "give another name");
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            refused(&format!("there is no folder {}", folder.display()), "make it first")
        }
        _ => Ok(()),
    }
}
