//! Joining the network, with room for what arrives in bursts.
//!
//! A map is sent as thousands of fragments at once, and what finds no room in the socket's buffer is lost. DDS repairs that,
//! but slowly: over loopback with Linux' usual limit of 208 KiB, a map of a million cells takes 10 s instead of 20 ms.

use std::path::Path;

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

/// Bytes that a reply may have to arrive at a node of Fast DDS.
///
/// `RustDDS` (0.15.1) writes a byte too much into each fragment of a reply that says whose request it answers, which such nodes drop. So
/// a reply has to fit into one datagram: of an Ethernet's length, or of the loopback's where there is nothing else.
pub(super) fn largest_reply() -> usize {
    // IFF_UP and IFF_LOOPBACK of Linux' if.h.
    let reaches_out = |interface: &Path| {
        let flags = std::fs::read_to_string(interface.join("flags")).unwrap_or_default();
        u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 0x9 == 0x1)
    };
    let is_alone = std::fs::read_dir(INTERFACES)
        .is_ok_and(|found| !found.flatten().any(|interface| reaches_out(&interface.path())));
    if is_alone { LOOPBACK_REPLY } else { ETHERNET_REPLY }
}

/// Folder in which Linux lists the interfaces of the network.
const INTERFACES: &str = "/sys/class/net";

/// `RustDDS`' datagrams of 1452 bytes, less 200 for what is around the reply.
const ETHERNET_REPLY: usize = 1252;

/// Its datagrams over a loopback with an MTU of 65536, less as much.
const LOOPBACK_REPLY: usize = 65_288;

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
