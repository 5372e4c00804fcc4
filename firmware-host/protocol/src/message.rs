//! Messages in both directions, encoded by postcard.

use serde::{Deserialize, Serialize};

/// A message from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromHost<'a> {
    /// Opens a session, or takes one up again.
    Hello(Hello),
    /// A command of the session.
    Command {
        /// Its number: the session's first is 0, each next one greater, modulo 2^16.
        seq: u16,
        /// Goes up, modulo 256, with every time that the host goes back to repeat. The device complains once a round.
        round: u8,
        /// The [`Command`], encoded by [`Command::to_bytes`]. Opaque here: a command that the device does not know is
        /// refused, and the session goes on.
        #[serde(borrow)]
        command: &'a [u8],
    },
    /// The host is alive; the device answers with [`FromDevice::Heartbeat`].
    Heartbeat,
    /// An event of this number has arrived.
    EventAck {
        /// The event's number.
        seq: u16,
    },
}

/// Opens a session, or takes one up again after a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Chosen by the host at random, never 0. A device that is in this session continues it; any other value begins
    /// a new one with command number 0.
    pub session: u32,
}

/// A message from the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromDevice<'a> {
    /// The answer to [`FromHost::Hello`].
    #[serde(borrow)]
    Welcome(Welcome<'a>),
    /// Commands were carried out or refused.
    Ack(Ack),
    /// Something is missing, and has to be sent again from `ack.next` on.
    Nak {
        /// The device's place in its session.
        ack: Ack,
        /// The round of the host's that this is about.
        round: u8,
        /// The reason.
        reason: NakReason,
    },
    /// The device is alive.
    Heartbeat {
        /// The device's place in its session.
        ack: Ack,
        /// Milliseconds since it started, modulo 2^32.
        uptime_ms: u32,
        /// It has stopped its motors because the host was silent, and no motor command has come since.
        stopped: bool,
    },
    /// Something happened at the device. Repeated until [`FromHost::EventAck`] arrives.
    Event {
        /// The event's number.
        seq: u16,
        /// The event.
        event: DeviceEvent,
    },
    /// Where the robot is. Sent again and again while [`Command::ReportPose`] asks for it and never repeated: only the
    /// newest matters.
    Pose(PoseReport),
}

/// Where a robot is and what it is doing there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoseReport {
    /// Where it believes to be.
    pub pose: RobotPose,
    /// Its wheels turn, or will in a moment.
    pub moving: bool,
    /// As in [`FromDevice::Heartbeat`]: it has stopped because the host was silent, and no movement was given since.
    pub stopped: bool,
    /// Movements that were begun since the device started, [`Motion::Stop`] included, modulo 2^16: tells whether this
    /// report is from before or after the last of them.
    pub motions: u16,
    /// Milliseconds since the device started, modulo 2^32. When it goes back, the device has lost power and with it
    /// where it was.
    pub uptime_ms: u32,
}

/// A place and a direction on the ground, in a frame that begins where the robot is switched on (x ahead, y to its left)
/// until [`Command::SetPose`] says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RobotPose {
    /// Millimetres along x.
    pub x_mm: i32,
    /// Millimetres along y.
    pub y_mm: i32,
    /// Thousandths of a degree from the x axis, counterclockwise; any number of full turns is the same.
    pub yaw_mdeg: i32,
}

/// Who the device is and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome<'a> {
    /// Name and version of the firmware.
    #[serde(borrow)]
    pub firmware: Firmware<'a>,
    /// The device's parts and limits.
    pub capabilities: Capabilities,
    /// It has taken commands of the host's session, and continues it.
    pub resumed: bool,
    /// Its place in the session.
    pub ack: Ack,
}

/// Name and version of a firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firmware<'a> {
    /// Name, up to 32 bytes.
    pub name: &'a str,
    /// Major, minor and patch version.
    pub version: [u8; 3],
}

/// Parts and limits of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Its panel, if any.
    pub panel: Option<Panel>,
    /// Number of colour LEDs.
    pub leds: u8,
    /// Number of buttons.
    pub buttons: u8,
    /// `true` if it drives.
    pub motors: bool,
    /// Commands that it takes before it has answered the first, 1 to [`WINDOW`](crate::WINDOW): what its receive
    /// buffer holds.
    pub window: u8,
    /// Milliseconds of silence after which it stops its motors.
    pub silence_ms: u16,
}

/// Size and pixels of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panel {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Coding of a pixel on the wire.
    pub format: PixelFormat,
}

/// Coding of a pixel on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PixelFormat {
    /// One bit a pixel, 1 is lit; eight to a byte, the first in the highest bit; every row begins a new byte.
    Mono,
    /// 5 bits of red, 6 of green, 5 of blue in 16 bits, high byte first (what most panels' controllers take).
    Rgb565,
}

/// The device's place in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The session, 0 for none: so that a late answer is not taken for one to a newer session.
    pub session: u32,
    /// The number of the command that it expects; all before it were carried out or refused.
    pub next: u16,
    /// Which, for the last [`WINDOW`](crate::WINDOW).
    pub outcomes: Outcomes,
}

/// The outcomes of the last 16 commands, four bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outcomes(u64);

impl Outcomes {
    /// Outcomes of a session without commands yet.
    pub const NONE: Self = Self(0);

    /// With the outcome of one more command.
    #[must_use]
    pub fn with(self, outcome: Result<(), Refusal>) -> Self {
        let code = outcome.map_or_else(|refusal| refusal as u64, |()| 0);
        Self((self.0 << 4) | code)
    }

    /// The outcome of the command `ago` before the next one: 1 is the last, 16 the first that is still known.
    #[must_use]
    pub fn get(self, ago: u16) -> Option<Result<(), Refusal>> {
        let shift = u32::from(ago.checked_sub(1)?) * 4;
        let code = self.0.checked_shr(shift)? & 0xF;
        Some(if code == 0 { Ok(()) } else { Err(Refusal::from_code(code)) })
    }
}

/// The reason why a device did not carry out a command. It will not do so when asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Refusal {
    /// It has no such thing, or does not know the command.
    Unsupported = 1,
    /// A rectangle, LED or value beyond what there is.
    OutOfRange = 2,
    /// Pixel data that is not what its rectangle needs.
    BadPixels = 3,
    /// It tried and failed: a driver reports a fault.
    Failed = 4,
    /// A refusal that this version does not know.
    Other = 15,
}

impl Refusal {
    fn from_code(code: u64) -> Self {
        [Self::Unsupported, Self::OutOfRange, Self::BadPixels, Self::Failed]
            .into_iter()
            .find(|refusal| *refusal as u64 == code)
            .unwrap_or(Self::Other)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "the device has no such thing",
            Self::OutOfRange => "beyond the device's range",
            Self::BadPixels => "pixel data does not fill its rectangle",
            Self::Failed => "the device tried and failed",
            Self::Other => "refused for a reason that this version does not know",
        })
    }
}

/// The reason why something has to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NakReason {
    /// A command came before the one that is expected.
    Gap,
    /// A frame could not be read: wrong checksum, too long, not a message.
    Unreadable,
    /// A command came outside of any session: the device has restarted. Say hello.
    NoSession,
}

/// Something to do, in order and once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command<'a> {
    /// Do nothing: takes the place of a command that the host has given up.
    Nothing,
    /// Fill the panel with one colour, in the panel's format; mono: 0 is dark.
    Clear(u16),
    /// Light behind the panel, 0 off to 255.
    Brightness(u8),
    /// Draw pixels.
    #[serde(borrow)]
    Rect(Rect<'a>),
    /// Set a colour LED.
    Led {
        /// Which, from 0.
        index: u8,
        /// Red, green, blue.
        rgb: [u8; 3],
    },
    /// Move.
    Motion(Motion),
    /// Send a [`PoseReport`] at least this often from now on, and at once when the robot begins or ends a movement. 0 for
    /// no more; a new session begins with none. A device that does not know where it is refuses with
    /// [`Refusal::Unsupported`].
    ReportPose {
        /// Milliseconds; less than [`MIN_REPORT_MS`](crate::device::MIN_REPORT_MS) is taken for that.
        every_ms: u16,
    },
    /// The robot stands here: what it reports from now on, and its waypoints, are in the frame of this pose.
    SetPose(RobotPose),
}

/// A rectangle of the panel with its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect<'a> {
    /// Left edge, pixels.
    pub x: u16,
    /// Top edge, pixels.
    pub y: u16,
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
    /// Pixels row by row, run-length coded: [`Runs`](crate::Runs).
    pub data: &'a [u8],
}

/// A movement of a robot. A new one replaces what is not finished yet: there is no queue, so that a robot that has lost its
/// host never has more to do than one movement, and stopping is all there is to a safe stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Motion {
    /// Straight on; negative is backwards.
    Drive {
        /// Millimetres.
        distance_mm: i16,
        /// Millimetres a second.
        speed_mm_s: u16,
    },
    /// On the spot; positive is to the left.
    Turn {
        /// Degrees.
        degrees: i16,
        /// Degrees a second.
        speed_deg_s: u16,
    },
    /// Stand still at once.
    Stop,
    /// Turn on the spot towards a point, then straight to it. The point is in the frame of the robot's reports, so that
    /// giving it again does no harm. Firmware without it refuses with [`Refusal::Unsupported`].
    Waypoint {
        /// Millimetres along x.
        x_mm: i32,
        /// Millimetres along y.
        y_mm: i32,
        /// Millimetres a second.
        speed_mm_s: u16,
        /// Degrees a second.
        speed_deg_s: u16,
    },
}

/// Something that happened at the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceEvent {
    /// A button went down or up.
    Button {
        /// Which, from 0.
        index: u8,
        /// Down.
        pressed: bool,
    },
    /// The last movement is done.
    Arrived,
}

impl<'a> Command<'a> {
    /// Encodes the command for [`FromHost::Command`]; `None` if it has more than
    /// [`MAX_PIXEL_DATA`](crate::MAX_PIXEL_DATA) bytes of pixels or `buffer` is too small.
    #[must_use]
    pub fn to_bytes<'b>(&self, buffer: &'b mut [u8; crate::MAX_COMMAND]) -> Option<&'b [u8]> {
        if matches!(self, Self::Rect(rect) if rect.data.len() > crate::MAX_PIXEL_DATA) {
            return None;
        }
        postcard::to_slice(self, buffer).ok().map(|bytes| &*bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; `None` for a command that this version does not know.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((command, [])) => Some(command),
            _ => None,
        }
    }
}
