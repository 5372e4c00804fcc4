//! Linux framebuffers: `/dev/fb0` and its like, written as files.
//!
//! The geometry is read from the folder that the kernel keeps for each in `/sys/class/graphics` (`virtual_size`,
//! `bits_per_pixel`, `stride`, and where they are there `modes` and `pan`), so that no ioctl is needed. Not yet run on
//! hardware: tested on plain files.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::pixelcolor::raw::{RawData, RawU16};

use super::{Canvas, Ink};
use crate::intake::{SMALL, read_text};
use crate::{HostError, Result};

/// Folder in which the kernel describes framebuffers.
pub const SYSFS: &str = "/sys/class/graphics";

/// The longest side of a screen, in pixels: more is taken for a mistake.
const LONGEST: u32 = 16384;

/// Most pixels of a screen: those of four of 4K, and some.
const MOST_PIXELS: u64 = 40_000_000;

/// Layout of a framebuffer's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The part that is seen, in pixels.
    pub size: Size,
    /// Where that part begins in the memory, in pixels.
    pub offset: (u32, u32),
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bytes a pixel: 2 (RGB565, little endian) or 4 (XRGB8888, little endian).
    pub bytes_per_pixel: u32,
}

impl Geometry {
    /// Reads the geometry from a framebuffer's folder, `/sys/class/graphics/fb0`.
    ///
    /// # Errors
    /// [`HostError::Device`] when an entry cannot be read; [`HostError::Framebuffer`] for another depth than 16 or 32
    /// bits, or sizes that do not fit together.
    pub fn read(folder: &Path) -> Result<Self> {
        let entry = |name: &str| {
            let path = folder.join(name);
            match read_text(&path, SMALL) {
                Ok(text) => Ok(text.trim().to_owned()),
                Err(HostError::Io { path, source, .. }) => Err(HostError::Device { path, action: "read", source }),
                Err(error) => Err(error),
            }
        };
        let refuse = |name: &str, value: &str, expected: &str| HostError::Framebuffer {
            path: folder.join(name),
            reason: format!("`{value}`, expected {expected}"),
            hint: "only framebuffers of 16 (RGB565) or 32 bits a pixel (XRGB8888) can be drawn to: `fbset -depth 32`",
        };
        let number = |name: &str| {
            let text = entry(name)?;
            text.parse::<u32>().map_err(|_| refuse(name, &text, "a number"))
        };
        let text = entry("virtual_size")?;
        let in_memory = pair(&text, ',').ok_or_else(|| refuse("virtual_size", &text, "width,height"))?;
        let depth = number("bits_per_pixel")?;
        if depth != 16 && depth != 32 {
            return Err(refuse("bits_per_pixel", &depth.to_string(), "16 or 32"));
        }
        let bytes_per_pixel = depth / 8;
        let stride = number("stride")?;
        // The memory can hold more than one screen. What is seen: the first mode, `U:800x480p-60`.
        let modes = entry("modes").unwrap_or_default();
        let mode = modes.lines().next().and_then(|line| line.split_once(':')).and_then(|(_, mode)| {
            let end = mode.find(|c: char| !c.is_ascii_digit() && c != 'x').unwrap_or(mode.len());
            pair(&mode[..end], 'x')
        });
        let (width, height) = mode.unwrap_or(in_memory);
        let offset = entry("pan").ok().and_then(|text| pair(&text, ',')).unwrap_or((0, 0));
        let fits = |offset: u32, seen: u32, all: u32| {
            seen > 0 && all <= LONGEST && offset.checked_add(seen).is_some_and(|end| end <= all)
        };
        if !fits(offset.0, width, in_memory.0)
            || !fits(offset.1, height, in_memory.1)
            || stride < in_memory.0 * bytes_per_pixel
            || u64::from(width) * u64::from(height) > MOST_PIXELS
        {
            return Err(HostError::Framebuffer {
                path: folder.to_owned(),
                reason: format!(
                    "{width}x{height} pixels at {},{} do not lie in a memory of {}x{} with {stride} bytes a row",
                    offset.0, offset.1, in_memory.0, in_memory.1
                ),
                hint: "`fbset` shows and sets the mode",
            });
        }
        Ok(Self { size: Size::new(width, height), offset, stride, bytes_per_pixel })
    }

    /// Where a row begins, in bytes.
    fn row(&self, x: u32, y: u32) -> u64 {
        u64::from(self.offset.1 + y) * u64::from(self.stride)
            + u64::from(self.offset.0 + x) * u64::from(self.bytes_per_pixel)
    }
}

/// `800,480` or `800x480`.
fn pair(text: &str, separator: char) -> Option<(u32, u32)> {
    let (first, second) = text.trim().split_once(separator)?;
    Some((first.trim().parse().ok()?, second.trim().parse().ok()?))
}

/// An open framebuffer.
#[derive(Debug)]
pub struct Framebuffer {
    path: PathBuf,
    file: File,
    geometry: Geometry,
}

impl Framebuffer {
    /// Opens a device such as `/dev/fb0`; its geometry is in the folder of that name in `sysfs`, usually [`SYSFS`].
    ///
    /// # Errors
    /// [`HostError::Device`] when the device cannot be opened or its geometry read; [`HostError::Framebuffer`] for a
    /// geometry that cannot be drawn to.
    pub fn open(device: &Path, sysfs: &Path) -> Result<Self> {
        let name = device.file_name().ok_or_else(|| HostError::Framebuffer {
            path: device.to_owned(),
            reason: "no device".to_owned(),
            hint: "give the device, such as /dev/fb0",
        })?;
        let geometry = Geometry::read(&sysfs.join(name))?;
        // Neither created nor cut: it is a device.
        let file = OpenOptions::new().write(true).open(device).map_err(|source| HostError::Device {
            path: device.to_owned(),
            action: "open",
            source,
        })?;
        Ok(Self { path: device.to_owned(), file, geometry })
    }

    /// Layout of the memory.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Shows a picture in the middle of the screen, which it must not exceed. What is around it stays.
    ///
    /// # Errors
    /// [`HostError::Framebuffer`] for a picture larger than the screen; [`HostError::Device`] when writing fails.
    pub fn show<C: Ink>(&mut self, canvas: &Canvas<C>) -> Result<()> {
        let (size, screen) = (canvas.size(), self.geometry.size);
        if size.width > screen.width || size.height > screen.height {
            return Err(HostError::Framebuffer {
                path: self.path.clone(),
                reason: format!(
                    "a picture of {}x{} pixels does not fit on a screen of {}x{}",
                    size.width, size.height, screen.width, screen.height
                ),
                hint: "draw with a theme of the screen's size",
            });
        }
        let (left, top) = ((screen.width - size.width) / 2, (screen.height - size.height) / 2);
        let mut bytes = Vec::with_capacity(size.width as usize * 4);
        for (y, row) in (top..).zip(canvas.rows()) {
            bytes.clear();
            for pixel in row {
                let [r, g, b] = pixel.to_rgb();
                if self.geometry.bytes_per_pixel == 2 {
                    let raw = RawU16::from(Rgb565::from_rgb([r, g, b], embedded_graphics::geometry::Point::zero()));
                    bytes.extend(raw.into_inner().to_le_bytes());
                } else {
                    bytes.extend([b, g, r, 0]);
                }
            }
            self.write(self.geometry.row(left, y), &bytes)?;
        }
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .seek(SeekFrom::Start(at))
            .and_then(|_| self.file.write_all(bytes))
            .map_err(|source| HostError::Device { path: self.path.clone(), action: "write", source })
    }
}
