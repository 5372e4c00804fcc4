//! Joining the network, with room for what arrives in bursts.
//!
//! A map is sent as thousands of fragments at once, and what finds no room in the socket's buffer is lost. DDS repairs that,
//! but slowly: over loopback with Linux' usual limit of 208 KiB, a map of a million cells takes 10 s instead of 20 ms.

use ros2_client::dds::rustdds::DomainParticipantBuilder;
use ros2_client::{Context, CreateError};

/// Bytes of the largest map there may be, and some; the system gives as much of it as it allows.
const WANTED: usize = 32 << 20;

/// Below this, a map of a few million cells is not sure to find room.
const ENOUGH: usize = 4 << 20;

/// File in which Linux says how large the buffer of a socket may be.
const LIMIT: &str = "/proc/sys/net/core/rmem_max";

/// Joins a domain.
pub(super) fn join(domain: u16) -> Result<Context, CreateError> {
    let participant = DomainParticipantBuilder::new(domain).socket_receive_buffer_size(WANTED).build()?;
    Context::from_domain_participant(participant)
}

/// Returns advice about a system that keeps little of what arrives; `None` for any other.
pub(super) fn small_buffer() -> Option<String> {
    advice(std::fs::read_to_string(LIMIT).ok()?.trim().parse().ok()?)
}

fn advice(limit: usize) -> Option<String> {
    (limit < ENOUGH).then(|| {
        format!(
            "the system keeps {} KiB of what arrives at most, so that a large map takes seconds or minutes; as root: sysctl \
             -w net.core.rmem_max={WANTED}",
            limit >> 10
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_limit_is_told_and_how_to_raise_it() {
        let said = advice(212_992).unwrap();
        assert!(said.starts_with("the system keeps 208 KiB of what arrives at most"), "{said}");
        assert!(said.ends_with("sysctl -w net.core.rmem_max=33554432"), "{said}");
        assert_eq!(advice(4_194_304), None);
    }
}
