//! Runs of equal pixels: what menus and boards are made of.
//!
//! A stream of units, 1 byte (eight mono pixels) or 2 bytes (one RGB565 pixel, high byte first). A control byte `c` comes
//! before each piece: below 128, `c + 1` units follow as they are; from 128 on, one unit follows that stands for
//! `c - 126` of them (2 to 129). The worst case adds one byte to 128 units of
//! 2 bytes; for mono, where a pair of equal bytes is a run that saves nothing, it adds half.

use crate::PixelFormat;

/// Longest piece of units as they are.
const LONGEST_LITERAL: usize = 128;
/// Longest run.
const LONGEST_RUN: usize = 129;

/// Units that a rectangle of this size has: pixels, or bytes of eight mono pixels.
#[must_use]
pub fn pixels(width: u16, height: u16, format: PixelFormat) -> usize {
    pixels_in(width, format) * usize::from(height)
}

/// Units in a row of `width` pixels.
#[must_use]
pub fn pixels_in(width: u16, format: PixelFormat) -> usize {
    match format {
        PixelFormat::Rgb565 => usize::from(width),
        PixelFormat::Mono => usize::from(width).div_ceil(8),
    }
}

/// Bytes a unit.
const fn unit_bytes(format: PixelFormat) -> usize {
    match format {
        PixelFormat::Rgb565 => 2,
        PixelFormat::Mono => 1,
    }
}

/// Appends units to a buffer, a run where there is one. What was written so far is complete after every unit, and an
/// earlier state (a copy of the encoder) can be gone back to as long as the buffer is taken along by its length.
#[derive(Debug, Clone, Copy)]
pub struct RunsEncoder {
    format: PixelFormat,
    /// Bytes written.
    length: usize,
    /// Where the last piece's control byte is, and the piece's units.
    piece: usize,
    units: usize,
    /// The last piece is a run.
    run: bool,
    last: u16,
}

impl RunsEncoder {
    /// An encoder at the beginning of a buffer.
    #[must_use]
    pub const fn new(format: PixelFormat) -> Self {
        Self { format, length: 0, piece: 0, units: 0, run: false, last: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// `true` if nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends a unit; mono ones are in the low byte. `false` if it does not fit; the buffer is then as it was.
    #[must_use]
    pub fn push(&mut self, unit: u16, buffer: &mut [u8]) -> bool {
        let bytes = unit_bytes(self.format);
        let same = self.units > 0 && unit == self.last;
        if same && self.run && self.units < LONGEST_RUN {
            self.units += 1;
            return set(buffer, self.piece, 126 + self.units);
        }
        if same && !self.run {
            // The literal piece's last unit becomes the first of a run; a single one turns into a run in place.
            if self.units == 1 {
                self.run = true;
                self.units = 2;
                return set(buffer, self.piece, 128);
            }
            // A run of two is shorter than two colours as they are, and it may grow.
            let at = self.length - bytes;
            if buffer.len() < at + 1 + bytes {
                return false;
            }
            let done = set(buffer, self.piece, self.units - 2) && set(buffer, at, 128);
            self.piece = at;
            self.length = at + 1;
            self.units = 2;
            self.run = true;
            return done && self.append(unit, buffer);
        }
        if !self.run && self.units > 0 && self.units < LONGEST_LITERAL {
            if buffer.len() < self.length + bytes {
                return false;
            }
            self.units += 1;
            self.last = unit;
            return set(buffer, self.piece, self.units - 1) && self.append(unit, buffer);
        }
        if buffer.len() < self.length + 1 + bytes {
            return false;
        }
        self.piece = self.length;
        self.length += 1;
        self.units = 1;
        self.run = false;
        self.last = unit;
        set(buffer, self.piece, 0) && self.append(unit, buffer)
    }

    fn append(&mut self, unit: u16, buffer: &mut [u8]) -> bool {
        let bytes = unit.to_be_bytes();
        for &byte in &bytes[2 - unit_bytes(self.format)..] {
            if !set(buffer, self.length, usize::from(byte)) {
                return false;
            }
            self.length += 1;
        }
        true
    }

    /// The buffer's bytes up to here, with the last piece as long as it was here: whatever was appended after this
    /// state was copied is cut off. Only for a state whose bytes have not been replaced by another branch.
    #[must_use]
    pub fn finish(self, buffer: &mut [u8]) -> &[u8] {
        if self.units > 0 {
            let control = if self.run { 126 + self.units } else { self.units - 1 };
            let _ = set(buffer, self.piece, control);
            // The piece's last unit may have been turned into a run's control byte.
            let mut end = self;
            end.length -= unit_bytes(self.format);
            let _ = end.append(self.last, buffer);
        }
        buffer.get(..self.length).unwrap_or_default()
    }
}

/// Writes a byte, if the buffer has that place.
fn set(buffer: &mut [u8], at: usize, value: usize) -> bool {
    let Some(slot) = buffer.get_mut(at) else { return false };
    *slot = value as u8;
    true
}

/// The units of run-length coded data.
#[derive(Debug, Clone)]
pub struct Runs<'a> {
    data: &'a [u8],
    format: PixelFormat,
    left: usize,
    run: Option<u16>,
}

impl<'a> Runs<'a> {
    /// Reads `data`. Stops where it ends or breaks off; [`count`](Self::checked_count) tells beforehand.
    #[must_use]
    pub const fn new(data: &'a [u8], format: PixelFormat) -> Self {
        Self { data, format, left: 0, run: None }
    }

    /// Counts the units; `None` if the data breaks off.
    #[must_use]
    pub fn checked_count(&self) -> Option<usize> {
        let (mut data, bytes, mut count) = (self.data, unit_bytes(self.format), 0_usize);
        while let Some((&control, rest)) = data.split_first() {
            let control = usize::from(control);
            let (units, length) =
                if control < 128 { (control + 1, (control + 1) * bytes) } else { (control - 126, bytes) };
            data = rest.get(length..)?;
            count += units;
        }
        Some(count)
    }

    fn unit(&mut self) -> Option<u16> {
        match (self.format, self.data) {
            (PixelFormat::Rgb565, &[high, low, ref rest @ ..]) => {
                self.data = rest;
                Some(u16::from_be_bytes([high, low]))
            }
            (PixelFormat::Mono, &[byte, ref rest @ ..]) => {
                self.data = rest;
                Some(u16::from(byte))
            }
            _ => None,
        }
    }
}

impl Iterator for Runs<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.left == 0 {
            let (&control, rest) = self.data.split_first()?;
            self.data = rest;
            if control < 128 {
                self.left = usize::from(control) + 1;
                self.run = None;
            } else {
                self.left = usize::from(control) - 126;
                self.run = Some(self.unit()?);
            }
        }
        self.left -= 1;
        match self.run {
            Some(unit) => Some(unit),
            None => self.unit(),
        }
    }
}
