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
/// a reply has to fit into one datagram: of the interface that takes the least, an Ethernet's at most, or of the loopback's where there is
/// nothing else.
pub(super) fn largest_reply() -> usize {
    smallest_datagram(Path::new(INTERFACES)) - AROUND
}

/// Folder in which Linux lists the interfaces of the network.
const INTERFACES: &str = "/sys/class/net";

/// Bytes of a datagram that are around a reply: headers, the request's identity, and a reserve.
const AROUND: usize = 248;

/// Bytes of an Ethernet's datagram, what `RustDDS` takes for granted behind a router; and of Linux' loopback.
const ETHERNET: usize = 1500;
const LOOPBACK: usize = 65_536;

/// The smallest MTU of the interfaces in a folder that are up and reach out, 500 at least.
fn smallest_datagram(interfaces: &Path) -> usize {
    let Ok(found) = std::fs::read_dir(interfaces) else { return ETHERNET };
    let read = |interface: &Path, file: &str| std::fs::read_to_string(interface.join(file)).unwrap_or_default();
    // IFF_UP and IFF_LOOPBACK of Linux' if.h.
    let reaches_out = |interface: &Path| {
        let flags = read(interface, "flags");
        u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 0x9 == 0x1)
    };
    let paths = found.flatten().map(|entry| entry.path()).filter(|path| reaches_out(path));
    let sizes = paths.map(|path| read(&path, "mtu").trim().parse().unwrap_or(ETHERNET).clamp(500, ETHERNET));
    sizes.min().unwrap_or(LOOPBACK)
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
    #[test]
    fn a_reply_fits_into_a_datagram_of_every_interface() {
        let folder = tempfile::tempdir().unwrap();
        let interface = |name: &str, flags: &str, mtu: &str| {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("flags"), flags).unwrap();
            std::fs::write(folder.path().join(name).join("mtu"), mtu).unwrap();
        };
        interface("lo", "0x9\n", "65536\n");
        interface("wlan0", "0x1002\n", "1400\n");
        assert_eq!(smallest_datagram(folder.path()), 65_536, "what is down does not count");
        interface("eth0", "0x1003\n", "9000\n");
        assert_eq!(smallest_datagram(folder.path()), 1500);
        interface("vpn0", "0x10d1\n", "1280\n");
        assert_eq!(smallest_datagram(folder.path()), 1280);
        interface("odd0", "0x1\n", "7\n");
        assert_eq!(smallest_datagram(folder.path()), 500);
        assert_eq!(smallest_datagram(Path::new("/nowhere")), 1500);
        assert!((252..=65_288).contains(&largest_reply()));
    }
}
