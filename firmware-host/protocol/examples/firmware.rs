//! The loop of a firmware: everything that a microcontroller adds to `trm_protocol` is its drivers.
//!
//! The part above `main` is what goes onto the chip, where `run` is called with the real drivers and never returns. Here
//! `main` plays a host for a moment, to show that it works: `cargo run -p trm-protocol --example firmware`.

use trm_protocol::device::{Board, Device};
use trm_protocol::{Capabilities, Command, DeviceEvent, Firmware, Motion, Panel, PixelFormat, Refusal, Runs};

const FIRMWARE: Firmware<'static> = Firmware { name: "example", version: [0, 1, 0] };

const CAPABILITIES: Capabilities = Capabilities {
    panel: Some(Panel { width: 240, height: 240, format: PixelFormat::Rgb565 }),
    leds: 1,
    buttons: 1,
    motors: true,
    // This many frames fit into the UART's receive buffer while a rectangle is drawn.
    window: 4,
    silence_ms: 1000,
};

/// What the chip's hardware abstraction offers: registers behind names.
trait Hardware {
    /// Milliseconds since the start, modulo 2^32.
    fn millis(&self) -> u32;
    /// Bytes that the UART (or its DMA) has received, as many as there are.
    fn uart_read(&mut self, buffer: &mut [u8]) -> usize;
    /// Queues bytes for sending.
    fn uart_write(&mut self, bytes: &[u8]);
    /// Opens a window of the panel, as an ST7789's CASET and RASET do; pixels follow.
    fn panel_window(&mut self, x: u16, y: u16, width: u16, height: u16);
    /// The next pixel of the window.
    fn panel_pixel(&mut self, pixel: u16);
    /// The panel's light.
    fn backlight(&mut self, level: u8);
    /// The LED's colour.
    fn led(&mut self, rgb: [u8; 3]);
    /// Starts a movement.
    fn motors(&mut self, motion: Motion);
    /// A debounced change of the button since the last call.
    fn button_changed(&mut self) -> Option<bool>;
    /// Whether the loop goes on: for ever on a chip.
    fn powered(&self) -> bool;
}

/// Drivers as the protocol wants them.
struct Drivers<'h, H>(&'h mut H);

impl<H: Hardware> Board for Drivers<'_, H> {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        match *command {
            Command::Nothing => {}
            Command::Clear(colour) => {
                self.0.panel_window(0, 0, 240, 240);
                (0..240 * 240).for_each(|_| self.0.panel_pixel(colour));
            }
            Command::Rect(rect) => {
                self.0.panel_window(rect.x, rect.y, rect.width, rect.height);
                Runs::new(rect.data, PixelFormat::Rgb565).for_each(|pixel| self.0.panel_pixel(pixel));
            }
            Command::Brightness(level) => self.0.backlight(level),
            Command::Led { rgb, .. } => self.0.led(rgb),
            Command::Motion(motion) => self.0.motors(motion),
        }
        Ok(())
    }

    fn safe_stop(&mut self) {
        self.0.motors(Motion::Stop);
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.0.uart_write(frame);
    }
}

/// The firmware.
fn run(hardware: &mut impl Hardware) {
    let mut device = Device::new(FIRMWARE, CAPABILITIES);
    let mut received = [0; 64];
    while hardware.powered() {
        let length = hardware.uart_read(&mut received);
        let now = hardware.millis();
        device.receive(&received[..length], now, &mut Drivers(hardware));
        if let Some(pressed) = hardware.button_changed() {
            device.report(DeviceEvent::Button { index: 0, pressed });
        }
        device.tick(now, &mut Drivers(hardware));
    }
}

/// A chip in memory, whose UART holds what a host sent.
#[derive(Default)]
struct Fake {
    now: std::cell::Cell<u32>,
    inbox: std::collections::VecDeque<u8>,
    outbox: Vec<u8>,
    pixels: usize,
    moves: Vec<Motion>,
}

impl Hardware for Fake {
    fn millis(&self) -> u32 {
        self.now.set(self.now.get() + 1);
        self.now.get()
    }
    fn uart_read(&mut self, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(self.inbox.len());
        for (slot, byte) in buffer.iter_mut().zip(self.inbox.drain(..length)) {
            *slot = byte;
        }
        length
    }
    fn uart_write(&mut self, bytes: &[u8]) {
        self.outbox.extend(bytes);
    }
    fn panel_window(&mut self, _x: u16, _y: u16, _width: u16, _height: u16) {}
    fn panel_pixel(&mut self, _pixel: u16) {
        self.pixels += 1;
    }
    fn backlight(&mut self, _level: u8) {}
    fn led(&mut self, _rgb: [u8; 3]) {}
    fn motors(&mut self, motion: Motion) {
        self.moves.push(motion);
    }
    fn button_changed(&mut self) -> Option<bool> {
        None
    }
    fn powered(&self) -> bool {
        self.now.get() < 3000
    }
}

fn main() {
    use trm_protocol::{FromHost, Hello, MAX_COMMAND, MAX_FRAME, encode};

    let mut chip = Fake::default();
    let mut say = |message: FromHost<'_>| {
        let mut frame = [0; MAX_FRAME];
        chip.inbox.extend(encode(&message, &mut frame).expect("a message that fits"));
    };
    say(FromHost::Hello(Hello { session: 1 }));
    let drive = Motion::Drive { distance_mm: 180, speed_mm_s: 100 };
    for (seq, command) in [Command::Clear(0), Command::Motion(drive)].iter().enumerate() {
        let mut buffer = [0; MAX_COMMAND];
        let command = command.to_bytes(&mut buffer).expect("a command that fits");
        say(FromHost::Command { seq: seq as u16, round: 0, command });
    }
    run(&mut chip);
    println!("{} pixels drawn, {} bytes answered, motors: {:?}", chip.pixels, chip.outbox.len(), chip.moves);
    assert_eq!(chip.moves, [drive, Motion::Stop], "the host has been silent for more than a second");
}
