//! The wire between host and microcontroller, for both ends: messages, frames, pixel runs, and the firmware's side of the
//! conversation as a state machine.
//!
//! `no_std`, no allocation, no panics: firmware uses this crate as it is. A receiver needs one buffer of
//! [`MAX_PACKET`] bytes, a sender one more of [`MAX_FRAME`].
//!
//! ```text
//! 0x00 | COBS( version u8 | postcard(message) | CRC-32 of both, little endian ) | 0x00
//! ```
//!
//! - The host numbers its [`Command`]s. The device carries out exactly the one it expects next, answers copies without
//!   carrying them out again, and says what it is missing: so a command takes effect once, in order, however often it
//!   is sent. An [`Ack`] tells the outcome of the last [`WINDOW`] commands, so that a lost one costs nothing.
//! - [`Hello`] opens a session or takes one up again after a broken connection; the answer says where the device is.
//! - Both sides send a heartbeat. A device that hears nothing stops its motors ([`device::Board::safe_stop`]).
//! - A robot reports where it is ([`PoseReport`]) when [`Command::ReportPose`] asks for it, and does one [`Motion`] at a
//!   time.
//!
//! ```
//! use trm_protocol::{Decoder, FromHost, encode};
//!
//! let mut frame = [0; trm_protocol::MAX_FRAME];
//! let bytes = encode(&FromHost::Heartbeat, &mut frame)?;
//! let mut decoder = Decoder::new();
//! let mut heard = 0;
//! // Garbage before a frame costs nothing but itself.
//! for &byte in [0x17, 0x99].iter().chain(bytes) {
//!     if let Some(Ok(packet)) = decoder.push(byte) {
//!         assert_eq!(packet.message::<FromHost>()?, FromHost::Heartbeat);
//!         heard += 1;
//!     }
//! }
//! assert_eq!(heard, 1);
//! # Ok::<(), trm_protocol::FrameError>(())
//! ```
//!
//! A receiver refuses frames that are longer than [`MAX_PACKET`], have a wrong checksum or are of another [`VERSION`].
//! A device refuses commands that it does not know or cannot carry out ([`Refusal`]).

#![no_std]

pub mod device;
mod frame;
mod message;
mod rle;

pub use frame::{Decoder, FrameError, Packet, encode, encode_as};
pub use message::{
    Ack, Capabilities, Command, DeviceEvent, Firmware, FromDevice, FromHost, Hello, Motion, NakReason, Outcomes, Panel,
    PixelFormat, PoseReport, Rect, Refusal, RobotPose, Welcome,
};
pub use rle::{Runs, RunsEncoder, pixels, pixels_in};

/// Version of the messages and frames. The first byte of every packet; a device and a host of different versions say so
/// and do no more.
///
/// It stays as long as an older peer understands what it is told: new kinds of commands, movements, events and messages are
/// appended to their enums. A device refuses a command that it does not know, and sends what is new only to a host that
/// has asked for it by such a command. Anything else that changes what is on the wire takes a new version.
pub const VERSION: u8 = 1;

/// Commands that may be on their way at once; as many as an [`Ack`] has outcomes for.
pub const WINDOW: u16 = 16;

/// Bytes of run-length coded pixels in one [`Rect`]: a row of 240 pixels in RGB565 without any runs fits.
pub const MAX_PIXEL_DATA: usize = 512;

/// Bytes of an encoded [`Command`].
pub const MAX_COMMAND: usize = MAX_PIXEL_DATA + 20;

/// Bytes of a message.
pub const MAX_MESSAGE: usize = MAX_COMMAND + 12;

/// Bytes of a packet: version, message, checksum. What a receiver's buffer must hold.
pub const MAX_PACKET: usize = 1 + MAX_MESSAGE + 4;

/// Bytes of a frame on the wire, both delimiters included.
pub const MAX_FRAME: usize = cobs::max_encoding_length(MAX_PACKET) + 2;
