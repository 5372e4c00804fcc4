//! The values of cells from the pixels of a `map_server` image.
//!
//! The formulas are those of `loadMapFromFile` in nav2's `nav2_map_server/src/map_io.cpp` of today: a pixel on a threshold
//! is occupied or free, one that is not opaque is unknown. Humble and Jazzy leave the first unknown, and average alpha into
//! the colours in trinary mode, so that black walls of a picture with alpha are 0.75 black.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::{DynamicImage, ImageDecoder};
use trm_intake::{Budget, Fault, Hint as _, Limits};
use trm_pictures::{PictureError, decoder};

use super::read::{LIMITS, bad};
use super::{FREE, MAX_CELLS, OCCUPIED, UNKNOWN, check_size};
use crate::Result;

/// Limits of a map's image: four bytes for each cell.
const IMAGE_LIMITS: Limits = Limits { bytes: 4 * MAX_CELLS as u64, items: MAX_CELLS as u64, depth: 0, time: None };

/// The yaml's rule for reading an image's brightness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rule {
    pub(super) mode: Mode,
    /// True if bright is occupied. Raw mode does not ask.
    pub(super) negate: bool,
    pub(super) occupied_thresh: f64,
    pub(super) free_thresh: f64,
}

/// The yaml's `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Occupied, free or unknown; a pixel that is not opaque is unknown.
    Trinary,
    /// As trinary at both ends, 0 to 100 between the thresholds; a pixel that is not opaque is unknown.
    Scale,
    /// The brightness is the value; above 100 is unknown.
    Raw,
}

/// The grey that nav2's map saver writes for a cell about which nothing is known.
pub(super) const UNKNOWN_GREY: u8 = 205;

/// The brightest value of a channel: images are judged at 16 bits, as `GraphicsMagick` holds them for nav2.
const BRIGHTEST: u16 = u16::MAX;

impl Rule {
    /// White is 0, black 100, greys between.
    pub(super) const GREYS: Self = Self { mode: Mode::Scale, negate: false, occupied_thresh: 1.0, free_thresh: 0.0 };

    /// The value of a cell, of its pixel's colours and of its alpha where the image has such a channel.
    pub(super) fn value(&self, colours: [u16; 3], alpha: Option<u16>) -> i8 {
        let shade = colours.iter().map(|&colour| f64::from(colour)).sum::<f64>() / 3.0 / f64::from(BRIGHTEST);
        let occupied = if self.negate { shade } else { 1.0 - shade };
        match self.mode {
            Mode::Raw => {
                let value = (shade * 255.0).round();
                if value <= f64::from(OCCUPIED) { value as i8 } else { UNKNOWN }
            }
            _ if alpha.is_some_and(|alpha| alpha != BRIGHTEST) => UNKNOWN,
            _ if occupied >= self.occupied_thresh => OCCUPIED,
            _ if occupied <= self.free_thresh => FREE,
            Mode::Scale => {
                let share = (occupied - self.free_thresh) / (self.occupied_thresh - self.free_thresh);
                (share * 100.0).round_ties_even() as i8
            }
            Mode::Trinary => UNKNOWN,
        }
    }
}

/// Decodes an image: its pixels, the top row first. An image with too many is refused by its header.
pub(super) fn decode(path: &Path, named_by: &str) -> Result<DynamicImage> {
    let shown = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        bad(
            named_by,
            Fault::from(format!("its image {shown} cannot be read: {error}")).advise(
                "`image` is a path from the yaml's folder, or an absolute one; was the image copied along with the yaml?",
            ),
        )
    };
    let refused = |error: PictureError| match error {
        PictureError::Io(error) => unreadable(error),
        PictureError::Image(error) => bad(
            named_by,
            Fault::from(format!("its image {shown} cannot be decoded: {error}"))
                .advise("is the file whole? maps are pgm, png or bmp images"),
        ),
        error => {
            let what = format!("its image {shown}: {error}");
            bad(named_by, Fault { what, hint: error.hint().map(Cow::into_owned) })
        }
    };
    let file = File::open(path).map_err(unreadable)?;
    // A header may be as long as its file.
    let length = file.metadata().map_err(unreadable)?.len();
    Budget::new(LIMITS).take_bytes(length).map_err(|exceeded| {
        let fault = Fault::from(format!("its image {shown}: {exceeded}"));
        bad(named_by, fault.advise("crop the map, or save it as png"))
    })?;
    let decoder = decoder(BufReader::new(file), &mut Budget::new(IMAGE_LIMITS)).map_err(|error| match error {
        PictureError::Pixels { width, height, .. } => match check_size(&shown, width as usize, height as usize) {
            Ok(()) => refused(error),
            Err(too_large) => too_large,
        },
        error => refused(error),
    })?;
    let (width, height) = decoder.dimensions();
    check_size(&shown, width as usize, height as usize)?;
    DynamicImage::from_decoder(decoder).map_err(|error| refused(PictureError::Image(error)))
}

/// Pixels whose values may surprise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Odd {
    /// Of the grey that map savers write for unknown, but free.
    pub(super) unmapped_but_free: usize,
    /// Darker than the middle, brighter if `negate` is set, but not occupied.
    pub(super) dark_but_not_occupied: usize,
}

/// The values of an image's pixels as a map has them, the bottom row first; and the odd ones.
pub(super) fn values(image: &DynamicImage, rule: &Rule) -> (Vec<i8>, Odd) {
    let width = image.width() as usize;
    let mut odd = Odd::default();
    let mut count = |value: i8, brightness: u16, is_unmapped: bool| {
        odd.unmapped_but_free += usize::from(value == FREE && is_unmapped);
        let is_dark = (brightness < BRIGHTEST / 2) != rule.negate;
        odd.dark_but_not_occupied += usize::from(is_dark && value != OCCUPIED);
        value
    };
    let values = if let DynamicImage::ImageLuma8(grey) = image {
        let table: Vec<i8> = (0..=u8::MAX).map(|grey| rule.value([wide(grey); 3], None)).collect();
        let value = |&grey: &u8| count(table[usize::from(grey)], wide(grey), grey == UNKNOWN_GREY);
        grey.as_raw().rchunks(width).flatten().map(value).collect()
    } else {
        let has_alpha = image.color().has_alpha();
        let mut value = |&[red, green, blue, alpha]: &[u16; 4]| {
            let colours = [red, green, blue];
            let brightness = colours.iter().map(|&colour| u32::from(colour)).sum::<u32>() / 3;
            let value = rule.value(colours, has_alpha.then_some(alpha));
            count(value, brightness as u16, colours == [wide(UNKNOWN_GREY); 3])
        };
        // A row at a time: all of them at 16 bits would take eight bytes a cell.
        let row = |y| image.crop_imm(0, y, image.width(), 1).into_rgba16();
        (0..image.height())
            .rev()
            .flat_map(|y| row(y).as_raw().as_chunks().0.iter().map(&mut value).collect::<Vec<_>>())
            .collect()
    };
    (values, odd)
}

/// The colours of an image's pixels, the bottom row first: greys, of 16 bits where it has them, or 0xRRGGBB if any pixel is
/// not grey.
pub(super) fn colours(image: &DynamicImage) -> Vec<u32> {
    let width = image.width() as usize;
    match image {
        DynamicImage::ImageLuma8(grey) => grey.as_raw().rchunks(width).flatten().map(|&grey| grey.into()).collect(),
        DynamicImage::ImageLuma16(grey) => grey.as_raw().rchunks(width).flatten().map(|&grey| grey.into()).collect(),
        _ => {
            let row = |y| image.crop_imm(0, y, image.width(), 1).into_rgb8();
            let colour = |&[red, green, blue]: &[u8; 3]| u32::from_be_bytes([0, red, green, blue]);
            let of_row = |y| row(y).as_raw().as_chunks().0.iter().map(colour).collect::<Vec<_>>();
            let mut colours: Vec<u32> = (0..image.height()).rev().flat_map(of_row).collect();
            let is_grey = |colour: &u32| colour & 0xFF == (colour >> 8) & 0xFF && colour & 0xFF == colour >> 16;
            if colours.iter().all(is_grey) {
                for colour in &mut colours {
                    *colour &= 0xFF;
                }
            }
            colours
        }
    }
}

/// A channel of 8 bits in 16: 255 becomes 65535.
fn wide(channel: u8) -> u16 {
    u16::from(channel) * 257
}
