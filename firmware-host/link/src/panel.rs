//! Pixels for the device's panel: rectangles, divided into frames and run-length coded.

use trm_protocol::{Command, MAX_PIXEL_DATA, PixelFormat, Rect, RunsEncoder, pixels_in};

use super::{Client, CommandError, LONGEST_PANEL_SIDE, Ticket};
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

    /// Draws a rectangle, `pixels` row by row: RGB565 colours, or for a mono panel 0 for dark and anything else for lit.
    /// Returns as soon as the last piece is in the queue.
    ///
    /// For mono panels `x` and `width` may be anything; the packed rows begin at `x`.
    ///
    /// # Errors
    /// [`LinkError::PanelMismatch`] when `pixels` does not fill the rectangle, or this reaches beyond the panel;
    /// [`LinkError::Command`] when the client is closed.
    pub fn draw(&self, x: u16, y: u16, width: u16, height: u16, pixels: &[u16]) -> Result<Update> {
        let area = Area { x, y, width, height };
        self.check(area, pixels.len())?;
        let mut tickets = Vec::new();
        divide(area, self.panel.format, pixels, |rect| {
            tickets.push(self.client.send(&Command::Rect(rect))?);
            Ok(())
        })?;
        Ok(Update { tickets })
    }

    fn check(&self, area: Area, pixels: usize) -> Result<()> {
        let Area { x, y, width, height } = area;
        let refuse = |reason| Err(LinkError::PanelMismatch { reason });
        if usize::from(width) * usize::from(height) != pixels {
            return refuse(format!("{width}x{height} pixels are {pixels} pixels"));
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

/// True if a panel is of a size that panels have. Pictures are made as large as a device says.
pub(super) fn is_believable(panel: trm_protocol::Panel) -> bool {
    let sides = 1..=LONGEST_PANEL_SIDE;
    sides.contains(&panel.width) && sides.contains(&panel.height)
}

/// Divides a rectangle into ones that fit a frame: as many whole rows as possible, or pieces of a row.
fn divide(
    area: Area,
    format: PixelFormat,
    pixels: &[u16],
    mut give: impl FnMut(Rect<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let width = usize::from(area.width);
    let mut buffer = [0; MAX_PIXEL_DATA];
    let mut row = 0;
    while row < area.height && width > 0 {
        let mut whole = RunsEncoder::new(format);
        let mut rows = 0;
        for line in pixels.chunks_exact(width).skip(usize::from(row)) {
            let mut longer = whole;
            if !units(line, format).all(|unit| longer.push(unit, &mut buffer)) {
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
        let mut line = &pixels[usize::from(row) * width..][..width];
        let mut x = area.x;
        while !line.is_empty() {
            let mut encoder = RunsEncoder::new(format);
            let taken = units(line, format).take_while(|&unit| encoder.push(unit, &mut buffer)).count();
            // Eight pixels a unit for mono, of which the last may be partly filled.
            let taken = line.len().min(taken * if format == PixelFormat::Mono { 8 } else { 1 });
            let (piece, rest) = line.split_at(taken);
            give(Rect { x, y, width: piece.len() as u16, height: 1, data: encoder.finish(&mut buffer) })?;
            x += piece.len() as u16;
            line = rest;
        }
        row += 1;
    }
    Ok(())
}

/// The units of a row: pixels, or eight of them in a byte.
fn units(line: &[u16], format: PixelFormat) -> impl Iterator<Item = u16> {
    let units = pixels_in(line.len() as u16, format);
    let pixels = line.len().div_ceil(units.max(1)).max(1);
    line.chunks(if format == PixelFormat::Mono { 8 } else { pixels }).map(move |unit| match format {
        PixelFormat::Rgb565 => unit[0],
        PixelFormat::Mono => {
            let bits = unit.iter().enumerate().filter(|(_, pixel)| **pixel != 0);
            bits.fold(0, |byte, (bit, _)| byte | (0x80 >> bit))
        }
    })
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
            divide(area, format, &pixels, |rect| {
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
