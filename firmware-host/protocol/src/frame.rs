//! Packets with a checksum in COBS frames: where one begins and ends, and whether it arrived as it was sent.
//!
//! COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999. CRC-32 as in Ethernet (ISO HDLC): it finds every
//! error of up to 32 bits in a row, so any one flipped byte.

use cobs::{DecodeResult, DecoderState};
use crc::{CRC_32_ISO_HDLC, Crc};
use serde::{Deserialize, Serialize};

use crate::{MAX_FRAME, MAX_PACKET, VERSION};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Version byte and checksum.
const OVERHEAD: usize = 1 + 4;

/// The reason why a frame is not a message, or a message not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// Not COBS, or shorter than a packet can be.
    Malformed,
    /// Longer than [`MAX_PACKET`].
    TooLong,
    /// Changed on the way.
    Checksum,
    /// An intact packet of another protocol version.
    Version(u8),
    /// An intact packet with a message that this version does not know.
    UnknownMessage,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a frame"),
            Self::TooLong => write!(f, "longer than {MAX_PACKET} bytes"),
            Self::Checksum => f.write_str("wrong checksum"),
            Self::Version(version) => write!(f, "protocol version {version}, expected {VERSION}"),
            Self::UnknownMessage => f.write_str("unknown message"),
        }
    }
}

impl core::error::Error for FrameError {}

/// Encodes a message as a frame: what is returned goes onto the wire as it is, delimiters included.
///
/// # Errors
/// [`FrameError::TooLong`] for a message of more than [`MAX_MESSAGE`](crate::MAX_MESSAGE) bytes.
pub fn encode<'a>(message: &impl Serialize, out: &'a mut [u8; MAX_FRAME]) -> Result<&'a [u8], FrameError> {
    encode_as(VERSION, message, out)
}

/// As [`encode`], for a peer of another protocol version. For tests of what happens then.
///
/// # Errors
/// As [`encode`].
pub fn encode_as<'a>(
    version: u8,
    message: &impl Serialize,
    out: &'a mut [u8; MAX_FRAME],
) -> Result<&'a [u8], FrameError> {
    let mut packet = [0; MAX_PACKET];
    let (first, rest) = packet.split_at_mut(1);
    first[0] = version;
    // The room for the checksum stays.
    let room = rest.len() - 4;
    let length = postcard::to_slice(message, &mut rest[..room]).map_err(|_| FrameError::TooLong)?.len() + 1;
    let checksum = CRC.checksum(&packet[..length]).to_le_bytes();
    packet[length..length + 4].copy_from_slice(&checksum);
    let written = cobs::try_encode_including_sentinels(&packet[..length + 4], out).map_err(|_| FrameError::TooLong)?;
    Ok(&out[..written])
}

/// A packet that arrived intact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    message: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Decodes the message: [`FromHost`](crate::FromHost) or [`FromDevice`](crate::FromDevice).
    ///
    /// # Errors
    /// [`FrameError::UnknownMessage`] for one that this version does not know.
    pub fn message<M: Deserialize<'a>>(&self) -> Result<M, FrameError> {
        match postcard::take_from_bytes(self.message) {
            Ok((message, [])) => Ok(message),
            _ => Err(FrameError::UnknownMessage),
        }
    }
}

/// Finds packets in a stream of bytes, however it is cut up and whatever is between them. Never holds more than one.
#[derive(Debug)]
pub struct Decoder {
    state: DecoderState,
    packet: [u8; MAX_PACKET],
    length: usize,
    /// This frame is beyond saving: wait for its end.
    skipping: Option<FrameError>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: DecoderState::Idle, packet: [0; MAX_PACKET], length: 0, skipping: None }
    }

    /// Forgets a frame that has begun: for a new connection.
    pub fn reset(&mut self) {
        self.state = DecoderState::Idle;
        self.length = 0;
        self.skipping = None;
    }

    /// Takes one byte; tells what ended with it, once a frame. After an error the next frame is read as usual.
    pub fn push(&mut self, byte: u8) -> Option<Result<Packet<'_>, FrameError>> {
        if let Some(error) = self.skipping {
            if byte == 0 {
                self.reset();
                return Some(Err(error));
            }
            return None;
        }
        match self.state.feed(byte) {
            // COBS gives a zero back as data in the middle of a frame only; a delimiter always ends one.
            Err(_) => {
                self.reset();
                Some(Err(FrameError::Malformed))
            }
            Ok(DecodeResult::NoData) => None,
            Ok(DecodeResult::DataStart) => {
                self.length = 0;
                None
            }
            Ok(DecodeResult::DataContinue(data)) => {
                match self.packet.get_mut(self.length) {
                    Some(slot) => {
                        *slot = data;
                        self.length += 1;
                    }
                    None => self.skipping = Some(FrameError::TooLong),
                }
                None
            }
            Ok(DecodeResult::DataComplete) => Some(self.check()),
        }
    }

    fn check(&self) -> Result<Packet<'_>, FrameError> {
        let packet = &self.packet[..self.length];
        let Some((body, checksum)) = packet.split_last_chunk::<4>() else { return Err(FrameError::Malformed) };
        if packet.len() < OVERHEAD {
            return Err(FrameError::Malformed);
        }
        if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
            return Err(FrameError::Checksum);
        }
        match body {
            [VERSION, message @ ..] => Ok(Packet { message }),
            [version, ..] => Err(FrameError::Version(*version)),
            [] => Err(FrameError::Malformed),
        }
    }
}
