//! Pictures from files: decoded only after what they say of themselves was held against a budget.
//!
//! A picture of a kilobyte can claim four billion pixels, or carry a colour profile that unpacks to a gigabyte. What a
//! decoder keeps beside the pixels is bounded by 16 MiB, the pixels by the caller's budget.

use std::borrow::Cow;
use std::io::{self, BufRead, ErrorKind, Read as _, SeekFrom};

use image::{ImageDecoder, ImageError, ImageReader};
use trm_intake::{Budget, Exceeded, Hint};

/// The most bytes that a decoder may keep beside the pixels: colour profile, texts, rows.
const ASIDE: u64 = 16 << 20;

/// Deflate packs no more than this many bytes into one.
const DEFLATE_RATIO: u64 = 1_032;

/// Chunks of a PNG before its pixels; those of cameras and painting programs have a dozen.
const MOST_CHUNKS: usize = 10_000;

/// Bytes of the header of a picture of netpbm's; that of a map has twenty.
const LONGEST_HEADER: u64 = 64 << 10;

/// The reasons why a picture was not decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is no picture, or a damaged one.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It has more pixels than the budget has items.
    #[error("{width}x{height} pixels are more than the limit of {limit}")]
    Pixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Most pixels.
        limit: u64,
    },
    /// Its pixels take more bytes than the budget has.
    #[error("its pixels take {} bytes, more than the limit of {}", .0.found, .0.limit)]
    Bytes(Exceeded),
    /// The data beside its pixels are too large, once unpacked.
    #[error("{what}")]
    Aside {
        /// The resource, and its limit.
        what: String,
    },
}

impl Hint for PictureError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Bytes(_) => Some("save it with 8 bits a channel".into()),
            Self::Aside { .. } => Some("save the picture without its metadata".into()),
            Self::Io(_) | Self::Image(_) | Self::Pixels { .. } => None,
        }
    }
}

/// A decoder of a PNG, or of another format that the program was built with; its pixels were drawn on `budget` as items,
/// and the bytes that they take.
///
/// # Errors
/// [`PictureError`], before memory is taken for pixels.
pub fn decoder<'a, R: BufRead + io::Seek + 'a>(
    mut file: R,
    budget: &mut Budget,
) -> Result<impl ImageDecoder + 'a, PictureError> {
    let profile = packed_profile(&mut file)?;
    check_pnm(&mut file)?;
    let mut reader = ImageReader::new(file).with_guessed_format()?;
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(ASIDE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    budget.take_items(u64::from(width) * u64::from(height)).map_err(|Exceeded { limit, .. }| PictureError::Pixels {
        width,
        height,
        limit,
    })?;
    budget.take_bytes(decoder.total_bytes()).map_err(PictureError::Bytes)?;
    // The decoder passes over a profile that it cannot unpack. A small one that is damaged does no harm.
    if profile >= ASIDE / DEFLATE_RATIO && decoder.icc_profile()?.is_none() {
        return Err(PictureError::Aside {
            what: format!("its colour profile takes more than {ASIDE} bytes once unpacked, or is damaged"),
        });
    }
    Ok(decoder)
}

/// Bytes of a PNG's packed colour profile, 0 where there is none; the file is then at its beginning again.
fn packed_profile<R: BufRead + io::Seek>(file: &mut R) -> Result<u64, PictureError> {
    const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
    let mut profile = 0;
    let mut start = [0; 8];
    if fill(file, &mut start)? && start == SIGNATURE {
        let mut chunks = 0;
        let mut header = [0; 8];
        while fill(file, &mut header)? {
            let [a, b, c, d, kind @ ..] = header;
            let length = u32::from_be_bytes([a, b, c, d]);
            match &kind {
                b"IDAT" | b"IEND" => break,
                b"iCCP" => profile = u64::from(length),
                _ => {}
            }
            chunks += 1;
            if chunks > MOST_CHUNKS {
                return Err(PictureError::Aside {
                    what: format!("more than {MOST_CHUNKS} chunks stand before its pixels"),
                });
            }
            // And the checksum.
            file.seek_relative(i64::from(length) + 4)?;
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(profile)
}

/// Refuses a picture of netpbm's whose header is as long as a file: it may have comments without end, which are read a
/// byte at a time. The file is then at its beginning again.
fn check_pnm<R: BufRead + io::Seek>(file: &mut R) -> Result<(), PictureError> {
    let mut start = Vec::new();
    file.by_ref().take(LONGEST_HEADER).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    let numbers = match &start[..] {
        [b'P', b'1' | b'4', ..] => 2,
        [b'P', b'2' | b'3' | b'5' | b'6', ..] => 3,
        // Of words, up to one that ends them.
        [b'P', b'7', ..] if !start.windows(6).any(|word| word == b"ENDHDR") => usize::MAX,
        _ => return Ok(()),
    };
    let words = start[2..].split(|&byte| byte == b'\n').flat_map(|line| {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
    });
    if (start.len() as u64) < LONGEST_HEADER || words.take(numbers).count() == numbers {
        return Ok(());
    }
    Err(PictureError::Aside { what: format!("its header takes more than {LONGEST_HEADER} bytes") })
}

/// Fills a buffer; false at the end of the file.
fn fill(file: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::png::PngEncoder;
    use image::{DynamicImage, ExtendedColorType, ImageEncoder};
    use trm_intake::Limits;

    use super::*;

    fn png(profile: Option<Vec<u8>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        if let Some(profile) = profile {
            encoder.set_icc_profile(profile).expect("PNGs have profiles");
        }
        encoder.write_image(&[7; 12], 2, 2, ExtendedColorType::Rgb8).expect("encoded");
        bytes
    }

    fn decoded(bytes: &[u8], limits: Limits) -> Result<DynamicImage, PictureError> {
        Ok(DynamicImage::from_decoder(decoder(Cursor::new(bytes), &mut Budget::new(limits))?)?)
    }

    const SMALL: Limits = Limits { bytes: 12, items: 4, depth: 0, time: None };

    #[test]
    fn pixels_are_drawn_on_the_budget() {
        assert_eq!(decoded(&png(None), SMALL).expect("a picture").to_rgb8().into_raw(), [7; 12]);
        let message = |limits| decoded(&png(None), limits).expect_err("refused").to_string();
        assert_eq!(message(Limits { items: 3, ..SMALL }), "2x2 pixels are more than the limit of 3");
        assert!(
            message(Limits { bytes: 11, ..SMALL }).starts_with("its pixels take 12 bytes, more than the limit of 11")
        );
    }

    #[test]
    fn a_profile_is_fine_until_it_unpacks_to_too_much() {
        decoded(&png(Some(vec![1; 100_000])), SMALL).expect("an ordinary profile");
        let bomb = png(Some(vec![0; 2 * ASIDE as usize]));
        assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
        let message = decoded(&bomb, SMALL).expect_err("refused").to_string();
        assert!(message.starts_with("its colour profile takes more than 16777216 bytes"), "{message}");
    }

    #[test]
    fn chunks_without_end_are_refused() {
        let picture = png(None);
        let (before, after) = picture.split_at(33);
        let chunks = b"\0\0\0\0juNk\0\0\0\0".repeat(MOST_CHUNKS + 1);
        let error = decoded(&[before, &chunks, after].concat(), SMALL).expect_err("refused").to_string();
        assert!(error.starts_with("more than 10000 chunks"), "{error}");
        assert!(decoded(b"\x89PNG\r\n\x1a\n", SMALL).is_err());
        assert!(decoded(b"", SMALL).is_err());
    }
}
