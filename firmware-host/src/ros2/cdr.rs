//! Messages as bytes: CDR (OMG's Common Data Representation, plain XCDR1), the encoding of ROS 2 topics.
//!
//! A number lies at a multiple of its own size, counted from the first byte after the four of the encapsulation header;
//! a string is its length with the closing NUL, then its bytes and the NUL; a sequence is its length, then its elements;
//! an array of fixed length is its elements alone. Topics are encoded by the same code ([`ros2_client`]'s).

use ros2_client::dds::rustdds::RepresentationIdentifier;
use ros2_client::dds::rustdds::serialization::{deserialize_from_cdr_with_rep_id, to_writer_with_rep_id};
use serde::{Deserialize, Serialize};

use crate::{HostError, Result};

/// Encodes a message in little-endian CDR, without the encapsulation header.
///
/// # Errors
/// [`HostError::Ros2Message`] for a message that CDR cannot hold.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    to_writer_with_rep_id(&mut bytes, message, RepresentationIdentifier::CDR_LE)
        .map_err(|error| HostError::Ros2Message { what: "CDR".into(), reason: error.to_string() })?;
    Ok(bytes)
}

/// Decodes a message from little-endian CDR, without the encapsulation header; what follows it is padding.
///
/// # Errors
/// [`HostError::Ros2Message`] for bytes that end too early, and for a string that is not UTF-8.
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Result<M> {
    deserialize_from_cdr_with_rep_id(bytes, RepresentationIdentifier::CDR_LE)
        .map(|(message, _)| message)
        .map_err(|error| HostError::Ros2Message { what: "CDR".into(), reason: error.to_string() })
}
