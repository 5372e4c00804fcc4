//! The loop of a firmware: everything that a microcontroller adds to `trm_protocol` is its drivers.
//!
//! The part above `main` is what goes onto the chip, where `run` is called with the real drivers and never returns. Here
//! `main` plays a host for a moment, to show that it works: `cargo run -p trm-protocol --example firmware`.
#![expect(clippy::print_stdout, reason = "the host of an example")]

use trm_protocol::device::{Board, Device, Odometry};
use trm_protocol::{
    Capabilities, Command, DeviceEvent, Firmware, Motion, Panel, PixelFormat, Refusal, RobotPose, Runs,
};

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

/// Millimetres between the middles of both wheels: drive ten full turns on the spot and correct it by what is missing.
const TRACK_MM: f32 = 120.0;

/// Hardware abstraction of the chip: registers behind names.
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
    /// Lets the wheels roll at these speeds from now on, left and right, millimetres a second: a motor driver with a speed
    /// controller.
    fn wheel_speeds(&mut self, speeds: [f32; 2]);
    /// Returns the way that the wheels have rolled since the start, left and right, millimetres: encoder ticks times
    /// millimetres a tick.
    fn rolled(&mut self) -> [f32; 2];
    /// A debounced change of the button since the last call.
    fn button_changed(&mut self) -> Option<bool>;
    /// `true` as long as the loop goes on: for ever on a chip.
    fn powered(&self) -> bool;
}

/// A piece of a movement, with what is left of it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leg {
    /// Radians to the left, radians a second.
    Turn(f32, f32),
    /// Millimetres ahead, millimetres a second.
    Drive(f32, f32),
}

/// A robot with two wheels: movements to wheel speeds, rolled wheels to a pose. (`f32::sin` and the like are `libm`'s on a
/// chip without std.)
#[derive(Debug, Default)]
struct Robot {
    /// Millimetres, millimetres, radians.
    pose: [f32; 3],
    rolled: [f32; 2],
    /// The present piece of a movement and the next: a waypoint is a turn and a drive.
    legs: [Option<Leg>; 2],
}

impl Robot {
    fn begin(&mut self, motion: Motion) -> Result<(), Refusal> {
        let positive = |speed: u16| if speed > 0 { Ok(f32::from(speed)) } else { Err(Refusal::OutOfRange) };
        self.legs = match motion {
            Motion::Stop => [None, None],
            Motion::Drive { distance_mm, speed_mm_s } => {
                [Some(Leg::Drive(f32::from(distance_mm), positive(speed_mm_s)?)), None]
            }
            Motion::Turn { degrees, speed_deg_s } => {
                [Some(Leg::Turn(f32::from(degrees).to_radians(), positive(speed_deg_s)?.to_radians())), None]
            }
            Motion::Waypoint { x_mm, y_mm, speed_mm_s, speed_deg_s } => {
                let [x, y, yaw] = self.pose;
                let (dx, dy) = (x_mm as f32 - x, y_mm as f32 - y);
                // There already: no direction is better than another.
                let turn = if dx.hypot(dy) < 1.0 { 0.0 } else { dy.atan2(dx) - yaw };
                // The shorter way round.
                let turn = turn.sin().atan2(turn.cos());
                [
                    Some(Leg::Turn(turn, positive(speed_deg_s)?.to_radians())),
                    Some(Leg::Drive(dx.hypot(dy), positive(speed_mm_s)?)),
                ]
            }
        };
        Ok(())
    }

    /// To be called with every turn of the loop, or by a timer; `true` when a movement has come to its end.
    fn update(&mut self, hardware: &mut impl Hardware) -> bool {
        let rolled = hardware.rolled();
        let [left, right] = [rolled[0] - self.rolled[0], rolled[1] - self.rolled[1]];
        self.rolled = rolled;
        let (ahead, turned) = (f32::midpoint(left, right), (right - left) / TRACK_MM);
        let middle = self.pose[2] + turned / 2.0;
        self.pose = [self.pose[0] + ahead * middle.cos(), self.pose[1] + ahead * middle.sin(), self.pose[2] + turned];
        let (left, done) = match self.legs[0] {
            None => return false,
            Some(Leg::Turn(left, speed)) => (Leg::Turn(left - turned, speed), (left - turned) * left <= 0.0),
            Some(Leg::Drive(left, speed)) => (Leg::Drive(left - ahead, speed), (left - ahead) * left <= 0.0),
        };
        self.legs = if done { [self.legs[1], None] } else { [Some(left), self.legs[1]] };
        // A real one slows down towards the end, and holds its course with what it has rolled too far on one side.
        hardware.wheel_speeds(match self.legs[0] {
            None => [0.0, 0.0],
            Some(Leg::Turn(left, speed)) => [-speed.copysign(left), speed.copysign(left)].map(|s| s * TRACK_MM / 2.0),
            Some(Leg::Drive(left, speed)) => [speed.copysign(left); 2],
        });
        self.legs[0].is_none()
    }
}

/// Drivers as the protocol wants them.
struct Drivers<'h, H>(&'h mut H, &'h mut Robot);

impl<H: Hardware> Board for Drivers<'_, H> {
    fn execute(&mut self, command: &Command<'_>) -> Result<(), Refusal> {
        match *command {
            // The second is the protocol's own.
            Command::Nothing | Command::ReportPose { .. } => {}
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
            Command::Motion(motion) => {
                self.1.begin(motion)?;
                if motion == Motion::Stop {
                    self.0.wheel_speeds([0.0, 0.0]);
                }
            }
            Command::SetPose(pose) => {
                self.1.pose = [pose.x_mm as f32, pose.y_mm as f32, (pose.yaw_mdeg as f32 / 1000.0).to_radians()];
            }
        }
        Ok(())
    }

    fn safe_stop(&mut self) {
        self.1.legs = [None, None];
        self.0.wheel_speeds([0.0, 0.0]);
    }

    fn transmit(&mut self, frame: &[u8]) {
        self.0.uart_write(frame);
    }

    fn odometry(&mut self) -> Option<Odometry> {
        let [x, y, yaw] = self.1.pose;
        let yaw_mdeg = (yaw.to_degrees() * 1000.0).round() as i32;
        let pose = RobotPose { x_mm: x.round() as i32, y_mm: y.round() as i32, yaw_mdeg };
        Some(Odometry { pose, moving: self.1.legs[0].is_some() })
    }
}

/// The firmware.
fn run(hardware: &mut impl Hardware) {
    let mut device = Device::new(FIRMWARE, CAPABILITIES);
    let mut robot = Robot::default();
    let mut received = [0; 64];
    while hardware.powered() {
        let length = hardware.uart_read(&mut received);
        let now = hardware.millis();
        device.receive(&received[..length], now, &mut Drivers(hardware, &mut robot));
        if robot.update(hardware) {
            device.report(DeviceEvent::Arrived);
        }
        if let Some(pressed) = hardware.button_changed() {
            device.report(DeviceEvent::Button { index: 0, pressed });
        }
        device.tick(now, &mut Drivers(hardware, &mut robot));
    }
}

/// A chip in memory, whose UART holds what a host sent and whose wheels roll as they are told.
#[derive(Default)]
struct Fake {
    now: std::cell::Cell<u32>,
    inbox: std::collections::VecDeque<u8>,
    outbox: Vec<u8>,
    pixels: usize,
    speeds: [f32; 2],
    rolled: [f32; 2],
    looked: u32,
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
    fn wheel_speeds(&mut self, speeds: [f32; 2]) {
        self.rolled();
        self.speeds = speeds;
    }
    fn rolled(&mut self) -> [f32; 2] {
        let passed = (self.now.get() - self.looked) as f32 / 1000.0;
        self.looked = self.now.get();
        for (rolled, speed) in self.rolled.iter_mut().zip(self.speeds) {
            *rolled += speed * passed;
        }
        self.rolled
    }
    fn button_changed(&mut self) -> Option<bool> {
        None
    }
    fn powered(&self) -> bool {
        self.now.get() < 3000
    }
}

fn main() {
    use trm_protocol::{Decoder, FromDevice, FromHost, Hello, MAX_COMMAND, MAX_FRAME, encode};

    let mut chip = Fake::default();
    let mut say = |message: FromHost<'_>| {
        let mut frame = [0; MAX_FRAME];
        chip.inbox.extend(encode(&message, &mut frame).expect("a message that fits"));
    };
    say(FromHost::Hello(Hello { session: 1 }));
    let pose = RobotPose { x_mm: 500, y_mm: 0, yaw_mdeg: 90_000 };
    let waypoint = Motion::Waypoint { x_mm: 1000, y_mm: 0, speed_mm_s: 100, speed_deg_s: 180 };
    let commands =
        [Command::Clear(0), Command::SetPose(pose), Command::ReportPose { every_ms: 50 }, Command::Motion(waypoint)];
    for (seq, command) in commands.iter().enumerate() {
        let mut buffer = [0; MAX_COMMAND];
        let command = command.to_bytes(&mut buffer).expect("a command that fits");
        say(FromHost::Command { seq: seq as u16, round: 0, command });
    }
    run(&mut chip);
    let mut decoder = Decoder::new();
    let mut last = None;
    for &byte in &chip.outbox {
        if let Some(Ok(packet)) = decoder.push(byte)
            && let Ok(FromDevice::Pose(report)) = packet.message()
        {
            last = Some(report);
        }
    }
    let last = last.expect("the host has asked for its pose");
    println!("{} pixels drawn, {} bytes answered, at last {last:?}", chip.pixels, chip.outbox.len());
    assert!(last.stopped && !last.moving, "the host has been silent for more than a second");
    let RobotPose { x_mm, y_mm, yaw_mdeg } = last.pose;
    // Half a second for the turn to the right, half a second for what it drove of the half metre.
    assert!((545..555).contains(&x_mm) && y_mm.abs() < 3 && yaw_mdeg.abs() < 2000, "{last:?}");
}
