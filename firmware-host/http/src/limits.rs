//! The limits of a server.

use std::time::Duration;

/// Limits of clients, all of them together and each.
///
/// The most memory that clients can make the server hold is `connections` times the sum of twice `header_bytes`,
/// `body_bytes` (where a service collects bodies) and some 4 KiB: with the defaults 26 MiB, and 10 MiB where bodies are left
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections at the same time. Of what the process may have of file descriptors, a quarter at most is taken.
    pub connections: usize,
    /// Bytes of a request's line and headers, at least 8192. More are answered with 431.
    pub header_bytes: usize,
    /// Bytes of a request's body. More are answered with 413 if the length is announced.
    pub body_bytes: usize,
    /// Requests over one connection. The last one's answer says that the connection closes.
    pub requests: u32,
    /// Time for a request's headers, from the connection or from their first byte.
    pub header_time: Duration,
    /// Time for a request from its first byte to its answer's last.
    pub request_time: Duration,
    /// Time that a connection may rest between two requests.
    pub idle_time: Duration,
}

impl Default for HttpLimits {
    /// For a status page of an unattended machine: 256 connections, headers of 16 KiB, bodies of 64 KiB, 1,000 requests a
    /// connection; 5 seconds for headers, 10 for a request, 30 between two.
    fn default() -> Self {
        Self {
            connections: 256,
            header_bytes: 16 << 10,
            body_bytes: 64 << 10,
            requests: 1_000,
            header_time: Duration::from_secs(5),
            request_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(30),
        }
    }
}

impl HttpLimits {
    /// The least that `hyper` reads headers with.
    pub(crate) const LEAST_HEADER: usize = 8 << 10;

    /// These limits, as far as the process can keep them.
    pub(crate) fn kept(self) -> Self {
        let descriptors = descriptors().map_or(usize::MAX, |most| (most / 4).max(1));
        Self {
            connections: self.connections.clamp(1, descriptors),
            header_bytes: self.header_bytes.max(Self::LEAST_HEADER),
            ..self
        }
    }
}

/// The limit of files that the process may have open; `None` if that is not limited or not known.
#[cfg(target_os = "linux")]
fn descriptors() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(limit).ok()
}

#[cfg(not(target_os = "linux"))]
fn descriptors() -> Option<usize> {
    None
}
