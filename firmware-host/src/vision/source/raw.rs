//! Raw video: pictures of known size one after the other, nothing between them.

use std::io::{ErrorKind, Read};

use image::RgbImage;

use super::{Frame, FrameSource, Warnings};
use crate::vision::photo::MAX_PIXELS;
use crate::{HostError, Result};

/// Layout of the pixels of raw video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RawPixels {
    /// Red, green, blue: 3 bytes a pixel. `rgb24` of ffmpeg, `RGB3` of V4L2.
    Rgb24,
    /// Brightness: 1 byte a pixel. `gray` of ffmpeg, `GREY` of V4L2.
    Gray8,
    /// Two pixels in 4 bytes: Y0 U Y1 V. `yuyv422` of ffmpeg, `YUYV` of V4L2.
    Yuyv,
}

impl RawPixels {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rgb24, Self::Gray8, Self::Yuyv];

    /// `rgb24`, `gray8` or `yuyv`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rgb24 => "rgb24",
            Self::Gray8 => "gray8",
            Self::Yuyv => "yuyv",
        }
    }

    /// Bytes of a row of `width` pixels.
    #[must_use]
    pub fn row_bytes(self, width: u32) -> usize {
        width as usize * [3, 1, 2][self as usize]
    }

    /// The picture in `bytes`, whose rows begin `stride` bytes apart; `None` when there are too few bytes for it, or `yuyv`
    /// has an odd width.
    #[must_use]
    pub fn decode(self, bytes: &[u8], width: u32, height: u32, stride: usize) -> Option<RgbImage> {
        let row_bytes = self.row_bytes(width);
        let needed = stride.checked_mul((height as usize).checked_sub(1)?)?.checked_add(row_bytes)?;
        if bytes.len() < needed || stride < row_bytes || width == 0 || (self == Self::Yuyv && width % 2 == 1) {
            return None;
        }
        let mut rgb = Vec::with_capacity(3 * width as usize * height as usize);
        for row in 0..height as usize {
            let row = &bytes[row * stride..][..row_bytes];
            match self {
                Self::Rgb24 => rgb.extend_from_slice(row),
                Self::Gray8 => rgb.extend(row.iter().flat_map(|&value| [value; 3])),
                Self::Yuyv => {
                    let pairs = row.as_chunks::<4>().0;
                    rgb.extend(pairs.iter().flat_map(|&[y0, u, y1, v]| [yuv(y0, u, v), yuv(y1, u, v)]).flatten());
                }
            }
        }
        RgbImage::from_raw(width, height, rgb)
    }
}

/// BT.601 with Y from 16 to 235, as cameras have it, in 1/256.
fn yuv(y: u8, u: u8, v: u8) -> [u8; 3] {
    let (y, u, v) = (298 * (i32::from(y) - 16) + 128, i32::from(u) - 128, i32::from(v) - 128);
    [y + 409 * v, y - 100 * u - 208 * v, y + 516 * u].map(|channel| (channel >> 8).clamp(0, 255) as u8)
}

/// Raw video on a pipe, file or anything else that can be read.
pub struct RawStream<R> {
    name: String,
    reader: R,
    size: (u32, u32),
    pixels: RawPixels,
    buffer: Vec<u8>,
    number: u64,
    ended: bool,
    warnings: Warnings,
}

impl<R: Read + Send> RawStream<R> {
    /// Video of `width` x `height` pixels; `name` is what frames and errors call it.
    ///
    /// # Errors
    /// When there are no or too many pixels, or `yuyv` has an odd width.
    pub fn new(name: impl Into<String>, reader: R, width: u32, height: u32, pixels: RawPixels) -> Result<Self> {
        let name = name.into();
        check_size(&name, width, height)?;
        if pixels == RawPixels::Yuyv && !width.is_multiple_of(2) {
            return Err(HostError::Source {
                name,
                reason: format!("yuyv holds pixels in pairs, {width} is odd"),
                hint: "give the camera's real width",
            });
        }
        let buffer = vec![0; pixels.row_bytes(width) * height as usize];
        let (size, warnings) = ((width, height), Warnings::default());
        Ok(Self { name, reader, size, pixels, buffer, number: 0, ended: false, warnings })
    }
}

/// Refuses pictures without or with too many pixels.
pub(super) fn check_size(name: &str, width: u32, height: u32) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    if (1..=MAX_PIXELS).contains(&pixels) {
        return Ok(());
    }
    Err(HostError::Source {
        name: name.to_owned(),
        reason: format!("{width}x{height} pixels, expected 1 to {} million", MAX_PIXELS / 1_000_000),
        hint: "640x480 is enough for a puzzle that fills the picture",
    })
}

impl<R: Read + Send> FrameSource for RawStream<R> {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let mut filled = 0;
        while filled < self.buffer.len() && !self.ended {
            match self.reader.read(&mut self.buffer[filled..]) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => {
                    // What follows would be out of step.
                    self.ended = true;
                    return Err(HostError::Io { path: self.name.clone().into(), action: "read", source });
                }
            }
        }
        if self.ended {
            if filled > 0 {
                let needed = self.buffer.len();
                self.warnings.add(format!("{}: ends after {filled} of a picture's {needed} bytes", self.name));
            }
            return Ok(None);
        }
        self.number += 1;
        let (width, height) = self.size;
        let image = self.pixels.decode(&self.buffer, width, height, self.pixels.row_bytes(width));
        Ok(image.map(|image| Frame { name: format!("{}#{}", self.name, self.number), image, cut: self.number == 1 }))
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    #[test]
    fn pixels_are_what_the_formats_say() {
        let rgb = |pixels: RawPixels, bytes: &[u8], width| {
            pixels.decode(bytes, width, 1, pixels.row_bytes(width)).map(RgbImage::into_raw)
        };
        assert_eq!(rgb(RawPixels::Rgb24, &[1, 2, 3], 1), Some(vec![1, 2, 3]));
        assert_eq!(rgb(RawPixels::Gray8, &[1, 200], 2), Some(vec![1, 1, 1, 200, 200, 200]));
        // Black and white; then BT.601's red: Y 81, U 90, V 240.
        assert_eq!(rgb(RawPixels::Yuyv, &[16, 128, 235, 128], 2), Some(vec![0, 0, 0, 255, 255, 255]));
        let red = rgb(RawPixels::Yuyv, &[81, 90, 81, 240], 2).unwrap();
        assert!(red[0] > 250 && red[1] < 5 && red[2] < 5, "{red:?}");
        // Rows may be padded; too few bytes are no picture.
        assert_eq!(RawPixels::Gray8.decode(&[1, 9, 2], 1, 2, 2).map(RgbImage::into_raw), Some(vec![1, 1, 1, 2, 2, 2]));
        assert_eq!(RawPixels::Gray8.decode(&[1, 9], 1, 2, 2), None);
        assert_eq!(RawPixels::Yuyv.decode(&[0; 12], 3, 2, 6), None);
        assert_eq!(RawPixels::Gray8.decode(&[], 0, 0, 0), None);
    }

    #[test]
    fn a_stream_is_cut_into_pictures_and_its_rest_is_reported() {
        let bytes: Vec<u8> = (0..27).collect();
        let mut source = RawStream::new("pipe", &bytes[..], 2, 2, RawPixels::Rgb24).unwrap();
        let first = source.next_frame().unwrap().unwrap();
        assert_eq!((first.name.as_str(), first.cut, first.image.into_raw()), ("pipe#1", true, bytes[..12].to_vec()));
        let second = source.next_frame().unwrap().unwrap();
        assert_eq!(
            (second.name.as_str(), second.cut, second.image.into_raw()),
            ("pipe#2", false, bytes[12..24].to_vec())
        );
        assert!(source.next_frame().unwrap().is_none());
        assert_eq!(source.take_warnings(), ["pipe: ends after 3 of a picture's 12 bytes"]);
        assert!(source.next_frame().unwrap().is_none());
        assert!(source.take_warnings().is_empty());
    }

    #[test]
    fn sizes_are_checked() {
        let message = |width, height, pixels| {
            RawStream::new("pipe", &[][..], width, height, pixels).err().map(|error| explained(&error))
        };
        assert_eq!(
            message(0, 5, RawPixels::Gray8).unwrap(),
            "pipe: 0x5 pixels, expected 1 to 40 million\nhint: 640x480 is enough for a puzzle that fills the picture"
        );
        assert!(message(100_000, 100_000, RawPixels::Gray8).is_some());
        assert_eq!(
            message(3, 5, RawPixels::Yuyv).unwrap(),
            "pipe: yuyv holds pixels in pairs, 3 is odd\nhint: give the camera's real width"
        );
        assert_eq!(message(1, 1, RawPixels::Gray8), None);
    }
}
