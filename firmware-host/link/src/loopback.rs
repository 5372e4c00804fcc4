//! A link in memory: what one end writes, the other reads. For tests, and for a device within the same program.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Link;

/// Bytes in one direction that are not read yet, at most.
const CAPACITY: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    closed: bool,
}

impl Pipe {
    /// Waits until `ready` or the time is up, then looks.
    fn wait<T>(&self, timeout: Duration, ready: impl Fn(&State) -> bool, then: impl FnOnce(&mut State) -> T) -> T {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready(&state) && !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let result = then(&mut state);
        self.changed.notify_all();
        result
    }
}

/// One end. Dropping it closes the link.
#[derive(Debug)]
pub struct Loopback {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// Both ends of a new link.
#[must_use]
pub fn pair() -> (Loopback, Loopback) {
    let (there, back) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
    let near = Loopback { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
    (near, Loopback { incoming: there, outgoing: back })
}

impl Link for Loopback {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        self.incoming.wait(
            timeout,
            |state| !state.bytes.is_empty(),
            |state| {
                let length = buffer.len().min(state.bytes.len());
                for (slot, byte) in buffer.iter_mut().zip(state.bytes.drain(..length)) {
                    *slot = byte;
                }
                if length == 0 && state.closed { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(length) }
            },
        )
    }

    fn write(&mut self, bytes: &[u8], timeout: Duration) -> io::Result<()> {
        self.outgoing.wait(
            timeout,
            |state| state.bytes.len() + bytes.len() <= CAPACITY,
            |state| {
                if state.closed {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                if state.bytes.len() + bytes.len() > CAPACITY {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                state.bytes.extend(bytes);
                Ok(())
            },
        )
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        for pipe in [&self.incoming, &self.outgoing] {
            pipe.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            pipe.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_and_a_closed_end_is_noticed() {
        let (mut near, mut far) = pair();
        let mut buffer = [0; 4];
        near.write(b"hello", Duration::ZERO).unwrap();
        assert_eq!(far.read(&mut buffer, Duration::ZERO).unwrap(), 4);
        assert_eq!(far.read(&mut buffer, Duration::ZERO).unwrap(), 1);
        assert_eq!(far.read(&mut buffer, Duration::from_millis(1)).unwrap(), 0);
        assert_eq!(near.write(&vec![0; CAPACITY + 1], Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);
        assert_eq!(near.read(&mut buffer, Duration::ZERO).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(near.write(b"x", Duration::ZERO).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
