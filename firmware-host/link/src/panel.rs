//! Pixels for the device's panel: rectangles, divided into frames and run-length coded.

use trm_protocol::{Command, MAX_PIXEL_DATA, PixelFormat, Rect, RunsEncoder, pixels_in};

use super::{Client, CommandError, Ticket};
use crate::{LinkError, Result};

/// The panel of a connected device.
#[derive(Debug, Clone, Copy)]
pub struct Panel<'c> {
    client: &'c Client,
    panel: trm_protocol::Panel,
}

/// Commands that were given together.
#[derive(Debug)]
#[must_use = "a rectangle that nobody waits for may not be on the panel"]
pub struct Update {
    tickets: Vec<Ticket>,
}

impl Update {
    /// Waits until all of it is on the panel, or one piece has failed.
    ///
    /// # Errors
    /// The first failure.
    pub fn wait(self) -> Result<(), CommandError> {
        self.tickets.into_iter().map(Ticket::wait).fold(Ok(()), Result::and)
    }

    /// Frames that it was divided into.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.tickets.len()
    }
}

/// Where a rectangle goes, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: u16,
    y: u16,
    width: u16,
    height: u16,
}

impl<'c> Panel<'c> {
    /// The panel of the device that `client` has been connected to.
    ///
    /// # Errors
    /// [`LinkError::PanelMismatch`] when the device has no panel, or has not answered yet.
    pub fn new(client: &'c Client) -> Result<Self> {
        let panel = client.device().and_then(|device| device.capabilities.panel);
        let missing = || LinkError::PanelMismatch { reason: "the device has none, or has not answered yet".to_owned() };
        Ok(Self { client, panel: panel.ok_or_else(missing)? })
    }

    /// Size and pixel format.
    #[must_use]
    pub fn info(&self) -> trm_protocol::Panel {
        self.panel
    }

    /// Fills the panel with a colour of its format.
    ///
    /// # Errors
    /// [`LinkError::Command`] when the client is closed.
    pub fn clear(&self, colour: u16) -> Result<Update> {
        self.give(&Command::Clear(colour))
    }

    /// Sets the light behind the panel.
    ///
    /// # Errors
    /// [`LinkError::Command`] when the client is closed.
    pub fn brightness(&self, level: u8) -> Result<Update> {
        self.give(&Command::Brightness(level))
    }

    fn give(&self, command: &Command<'_>) -> Result<Update> {
        Ok(Update { tickets: vec![self.client.send(command)?] })
    }

    /// Draws a rectangle. Returns as soon as the last piece is in the queue.
    ///
    /// For mono panels `x` and `width` may be anything; the packed rows begin at `x`.
    ///
    /// # Errors
    /// [`LinkError::PanelMismatch`] when `pixels` are of another format than the panel's or do not fill the rectangle, or this
    /// reaches beyond the panel; [`LinkError::Command`] when the client is closed.
    pub fn draw(&self, x: u16, y: u16, width: u16, height: u16, pixels: Pixels<'_>) -> Result<Update> {
        let area = Area { x, y, width, height };
        self.check(area, pixels)?;
        let mut tickets = Vec::new();
        divide(area, pixels, |rect| {
            tickets.push(self.client.send(&Command::Rect(rect))?);
            Ok(())
        })?;
        Ok(Update { tickets })
    }

    fn check(&self, area: Area, pixels: Pixels<'_>) -> Result<()> {
        let Area { x, y, width, height } = area;
        let refuse = |reason| Err(LinkError::PanelMismatch { reason });
        if pixels.format() != self.panel.format {
            let name = |format| if format == PixelFormat::Mono { "one bit" } else { "RGB565" };
            return refuse(format!(
                "the pixels are of {}, the panel's of {}",
                name(pixels.format()),
                name(self.panel.format)
            ));
        }
        let (given, wanted) = (pixels.units(), pixels_in(width, pixels.format()) * usize::from(height));
        if given != wanted {
            return refuse(match pixels {
                Pixels::Rgb565(_) => format!("{width}x{height} pixels are {wanted}, not {given}"),
                Pixels::Mono(_) => format!("{width}x{height} pixels take {wanted} bytes, not {given}"),
            });
        }
        let panel = self.panel;
        let beyond = |start: u16, size: u16, limit: u16| u32::from(start) + u32::from(size) > u32::from(limit);
        if beyond(x, width, panel.width) || beyond(y, height, panel.height) {
            return refuse(format!(
                "{width}x{height} pixels at {x},{y} reach beyond its {}x{}",
                panel.width, panel.height
            ));
        }
        Ok(())
    }
}

/// Pixels of a rectangle, row by row.
#[derive(Debug, Clone, Copy)]
pub enum Pixels<'a> {
    /// A colour each.
    Rgb565(&'a [u16]),
    /// Eight in a byte, the first one in its highest bit; each row fills whole bytes.
    Mono(&'a [u8]),
}

impl Pixels<'_> {
    fn format(self) -> PixelFormat {
        match self {
            Self::Rgb565(_) => PixelFormat::Rgb565,
            Self::Mono(_) => PixelFormat::Mono,
        }
    }

    /// Number of units: pixels, or bytes of eight.
    fn units(self) -> usize {
        match self {
            Self::Rgb565(pixels) => pixels.len(),
            Self::Mono(bytes) => bytes.len(),
        }
    }

    fn unit(self, at: usize) -> u16 {
        match self {
            Self::Rgb565(pixels) => pixels[at],
            Self::Mono(bytes) => bytes[at].into(),
        }
    }
}

/// Divides a rectangle into ones that fit a frame: as many whole rows as possible, or pieces of a row.
fn divide(
    area: Area,
    pixels: Pixels<'_>,
    mut give: impl FnMut(Rect<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let format = pixels.format();
    let row_units = pixels_in(area.width, format);
    let pixels_in_unit = if format == PixelFormat::Mono { 8 } else { 1 };
    let mut buffer = [0; MAX_PIXEL_DATA];
    let mut row = 0;
    while row < area.height && row_units > 0 {
        let line = |row: u16| {
            let start = usize::from(row) * row_units;
            (start..start + row_units).map(|at| pixels.unit(at))
        };
        let mut whole = RunsEncoder::new(format);
        let mut rows = 0;
        for next in row..area.height {
            let mut longer = whole;
            if !line(next).all(|unit| longer.push(unit, &mut buffer)) {
                break;
            }
            whole = longer;
            rows += 1;
        }
        let y = area.y + row;
        if rows > 0 {
            give(Rect { x: area.x, y, width: area.width, height: rows, data: whole.finish(&mut buffer) })?;
            row += rows;
            continue;
        }
        let mut sent = 0;
        while sent < area.width {
            let mut encoder = RunsEncoder::new(format);
            let units = line(row).skip(usize::from(sent) / pixels_in_unit);
            let taken = units.take_while(|&unit| encoder.push(unit, &mut buffer)).count() * pixels_in_unit;
            // A mono row's last unit may be partly filled.
            let width = usize::from(area.width - sent).min(taken) as u16;
            give(Rect { x: area.x + sent, y, width, height: 1, data: encoder.finish(&mut buffer) })?;
            sent += width;
        }
        row += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use trm_protocol::Runs;

    use super::*;

    proptest! {
        /// Drawn by what a device does with the pieces, the picture is the one that was given.
        #[test]
        fn pieces_make_up_the_rectangle(
            width in 1_u16..700, height in 1_u16..12, mono in any::<bool>(), noise in any::<u64>(), runs in 1_u64..400,
        ) {
            let format = if mono { PixelFormat::Mono } else { PixelFormat::Rgb565 };
            let pixels: Vec<u16> = (0..u64::from(width) * u64::from(height))
                .map(|at| {
                    let value = ((at / runs).wrapping_mul(noise | 1) >> 20) as u16;
                    if mono { value & 1 } else { value }
                })
                .collect();
            let mut canvas = vec![None; pixels.len()];
            let area = Area { x: 5, y: 9, width, height };
            let packed: Vec<u8> = pixels
                .chunks(usize::from(width))
                .flat_map(|row| row.chunks(8))
                .map(|unit| unit.iter().enumerate().fold(0, |byte, (bit, &pixel)| byte | ((pixel as u8) << (7 - bit))))
                .collect();
            let given = if mono { Pixels::Mono(&packed) } else { Pixels::Rgb565(&pixels) };
            divide(area, given, |rect| {
                assert!(rect.data.len() <= MAX_PIXEL_DATA);
                let mut units = Runs::new(rect.data, format);
                for y in 0..rect.height {
                    for x in 0..rect.width {
                        let unit = if !mono || x % 8 == 0 { units.next().unwrap() } else { 0 };
                        if !mono {
                            let at = usize::from(rect.y - 9 + y) * usize::from(width) + usize::from(rect.x - 5 + x);
                            assert_eq!(canvas[at].replace(unit), None, "drawn twice");
                        } else if x % 8 == 0 {
                            for bit in 0..8.min(rect.width - x) {
                                let column = usize::from(rect.x - 5 + x + bit);
                                let at = usize::from(rect.y - 9 + y) * usize::from(width) + column;
                                assert_eq!(canvas[at].replace((unit >> (7 - bit)) & 1), None, "drawn twice");
                            }
                        }
                    }
                }
                assert_eq!(units.next(), None);
                Ok(())
            }).unwrap();
            let drawn: Vec<_> = canvas.into_iter().map(Option::unwrap).collect();
            prop_assert_eq!(drawn, pixels);
        }
    }
}
