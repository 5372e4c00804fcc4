//! The simulated device's hardware: a panel in memory, lights, and a robot under it all.

use std::collections::VecDeque;
use std::time::Instant;

use embedded_graphics::pixelcolor::raw::RawU16;
use embedded_graphics::pixelcolor::{Rgb565, Rgb888, RgbColor as _};
use image::{Rgb, RgbImage};
use trm_protocol::device::{Board, Odometry};
use trm_protocol::{Command, Motion, PixelFormat, Refusal, Runs, pixels_in};

use super::Robot;

/// State of the simulated hardware. The same before and after a restart, except for what it draws.
#[derive(Debug, Clone)]
pub struct Screen {
    panel: trm_protocol::Panel,
    /// Row by row, as RGB565.
    pixels: Vec<u16>,
    /// Light behind the panel.
    pub brightness: u8,
    /// Colours of the LEDs.
    pub leds: Vec<[u8; 3]>,
    /// The last movement, `Stop` after a safe stop.
    pub motion: Motion,
    /// Times that it stopped because the host was silent.
    pub safe_stops: u64,
    /// Commands carried out.
    pub commands: u64,
    /// The robot under it.
    pub robot: Robot,
    /// Changed since it was drawn last.
    pub(super) changed: bool,
    /// Marks of what was carried out, in order, if they are kept: see `mark`.
    pub(super) journal: Option<Vec<u32>>,
    /// Frames on their way out.
    pub(super) outgoing: VecDeque<Vec<u8>>,
}

/// Mark that tells two commands of a trial apart: an LED's colour, or the first two pixels of a rectangle.
fn mark(command: &Command<'_>) -> Option<u32> {
    match command {
        Command::Led { rgb: [r, g, b], .. } => Some(u32::from_be_bytes([0, *r, *g, *b])),
        Command::Rect(rect) => {
            let mut units = Runs::new(rect.data, PixelFormat::Rgb565);
            Some((u32::from(units.next()?) << 16) | u32::from(units.next()?))
        }
        _ => None,
    }
}

impl Screen {
    pub(super) fn new(panel: trm_protocol::Panel, leds: u8, robot: Robot, journal: bool) -> Self {
        Self {
            panel,
            pixels: vec![0; usize::from(panel.width) * usize::from(panel.height)],
            brightness: 255,
            leds: vec![[0; 3]; usize::from(leds)],
            motion: Motion::Stop,
            safe_stops: 0,
            commands: 0,
            robot,
            changed: true,
            journal: journal.then(Vec::new),
            outgoing: VecDeque::new(),
        }
    }

    /// As when power comes back.
    pub(super) fn power_up(&mut self) {
        self.pixels.fill(0);
        self.leds.fill([0; 3]);
        self.motion = Motion::Stop;
        self.robot.power_up();
        self.changed = true;
        self.outgoing.clear();
    }

    /// The panel as a picture, mono ones in white on black.
    #[must_use]
    pub fn picture(&self) -> RgbImage {
        RgbImage::from_fn(u32::from(self.panel.width), u32::from(self.panel.height), |x, y| {
            let pixel = self.pixels[y as usize * usize::from(self.panel.width) + x as usize];
            // To the nearest of 256 levels, as pictures of the same screen are written.
            let colour = Rgb888::from(Rgb565::from(RawU16::new(pixel)));
            Rgb([colour.r(), colour.g(), colour.b()])
        })
    }

    /// The panel's pixels, row by row; mono ones are 0 or 0xFFFF.
    #[must_use]
    pub fn pixels(&self) -> &[u16] {
        &self.pixels
    }

    /// Lets the robot roll on; tells whether its movement has just come to its end.
    pub(super) fn roll(&mut self) -> bool {
        self.robot.advance(Instant::now());
        self.robot.take_arrived()
    }

    fn colour(&self, pixel: u16) -> u16 {
        match self.panel.format {
            PixelFormat::Rgb565 => pixel,
            PixelFormat::Mono => {
                if pixel == 0 {
                    0
                } else {
                    u16::MAX
                }
            }
        }
    }
}

impl Board for Screen {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        self.commands += 1;
        if let (Some(journal), Some(mark)) = (&mut self.journal, mark(command)) {
            journal.push(mark);
        }
        match *command {
            // The second is the protocol's own.
            Command::Nothing | Command::ReportPose { .. } => {}
            Command::Clear(colour) => {
                let colour = self.colour(colour);
                self.pixels.fill(colour);
                self.changed = true;
            }
            Command::Brightness(level) => self.brightness = level,
            Command::Rect(rect) => {
                let (mut units, format) = (Runs::new(rect.data, self.panel.format), self.panel.format);
                let row_units = pixels_in(rect.width, format);
                for y in rect.y..rect.y + rect.height {
                    let start = usize::from(y) * usize::from(self.panel.width) + usize::from(rect.x);
                    let row: Vec<u16> = units.by_ref().take(row_units).collect();
                    for x in 0..usize::from(rect.width) {
                        let pixel = match format {
                            PixelFormat::Rgb565 => row[x],
                            PixelFormat::Mono => (row[x / 8] >> (7 - x % 8)) & 1,
                        };
                        self.pixels[start + x] = self.colour(pixel);
                    }
                }
                self.changed = true;
            }
            Command::Led { index, rgb } => self.leds[usize::from(index)] = rgb,
            Command::Motion(motion) => {
                self.robot.begin(motion, Instant::now())?;
                self.motion = motion;
            }
            Command::SetPose(pose) => self.robot.set_pose(pose, Instant::now()),
        }
        Ok(())
    }

    fn safe_stop(&mut self) {
        self.motion = Motion::Stop;
        self.robot.halt(Instant::now());
        self.safe_stops += 1;
    }

    fn odometry(&mut self) -> Option<Odometry> {
        self.robot.odometry()
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.outgoing.push_back(frame.to_vec());
    }
}
