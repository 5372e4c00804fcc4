//! The server: a thread that accepts connections, and closes some for others.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, Id, JoinSet};
use tower::Service;

use crate::progress::Progress;
use crate::{HttpLimits, Request, connection};

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// A connection is not closed for another one before it has had this long to send its request.
const GRACE: Duration = Duration::from_millis(10);
/// Accepting pauses for this long when the process is out of file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);
/// A connection that was silent for this long is closed when the process is out of file descriptors.
const LONG: Duration = Duration::from_secs(1);
/// The time that a dropped server waits for a service that does not let go of its thread.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Priority of the server's thread below the program's, as of nice(1).
#[cfg(target_os = "linux")]
const NICE: i32 = 4;
/// The answer to a client that nobody can make room for.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// The reason why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The server's thread cannot be had.
    #[error("cannot start the thread of the server on {address}")]
    Thread {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

/// Counts of a server since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HttpCounts {
    /// Connections accepted.
    pub accepted: u64,
    /// Of these, closed to make room for others.
    pub displaced: u64,
    /// Of these, sent away because all others were being answered.
    pub busy: u64,
    /// Times that no connection could be accepted: out of file descriptors, as a rule.
    pub errors: u64,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    displaced: AtomicU64,
    busy: AtomicU64,
    errors: AtomicU64,
}

/// A server, on a thread of its own until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens on `address` and answers with `service`, on a thread called `name`. The service must not block: all
    /// connections share the thread.
    ///
    /// # Errors
    /// [`HttpError::Listen`] where the address is in use or not this machine's; [`HttpError::Thread`].
    pub fn start<S, B>(name: &str, address: SocketAddr, limits: HttpLimits, service: S) -> Result<Self, HttpError>
    where
        S: Service<Request, Response = hyper::Response<B>> + Clone + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
        S::Future: Send,
        B: Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let no_thread = |source| HttpError::Thread { address, source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let listener = {
            let _entered = runtime.enter();
            listen(address)
        };
        let listener = listener.map_err(|source| HttpError::Listen { address, source })?;
        let bound = listener.local_addr().map_err(|source| HttpError::Listen { address, source })?;
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let limits = limits.kept();
        let door = Door {
            listener,
            most: limits.connections,
            counts: Arc::clone(&counts),
            connections: HashMap::new(),
            tasks: JoinSet::new(),
        };
        let serve = move || {
            lower_priority();
            let open = |socket, progress| connection::serve(socket, limits, progress, service.clone());
            runtime.block_on(door.serve(open, stopped));
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve).map_err(no_thread)?;
        Ok(Self { address: bound, counts, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens: with port 0, the port that was free.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Counts since the start.
    #[must_use]
    pub fn counts(&self) -> HttpCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Counts { accepted, displaced, busy, errors } = &*self.counts;
        HttpCounts { accepted: get(accepted), displaced: get(displaced), busy: get(busy), errors: get(errors) }
    }
}

impl Drop for HttpServer {
    /// Closes every connection at once.
    fn drop(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + LAST_WAIT;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        if thread.is_finished() {
            // A panic there was printed when it happened.
            let _ = thread.join();
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A port that was left a moment ago can be had again; on Windows the same option would share it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The program's main work goes before its side services.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux a priority belongs to a thread. Without it the server works as well.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

struct Connection {
    progress: Arc<Progress>,
    task: AbortHandle,
}

/// The listening socket and the connections that came through it.
struct Door {
    listener: TcpListener,
    /// Connections at the same time.
    most: usize,
    counts: Arc<Counts>,
    connections: HashMap<Id, Connection>,
    tasks: JoinSet<()>,
}

impl Door {
    /// Accepts connections, and serves what `open` makes of them, until the other end of `stopped` is gone.
    async fn serve<F>(mut self, open: impl Fn(TcpStream, Arc<Progress>) -> F, mut stopped: oneshot::Receiver<()>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let room = self.room_at();
            let next = async {
                if let Some(at) = room {
                    tokio::time::sleep_until(at.into()).await;
                }
                self.listener.accept().await
            };
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    self.connections.remove(&id);
                }
                accepted = next => match accepted {
                    Ok((socket, _)) => self.admit(socket, &open),
                    Err(error) if of_one_client(&error) => {}
                    Err(_) => {
                        self.counts.errors.fetch_add(1, Ordering::Relaxed);
                        // Whoever was silent for long gives a descriptor back. Linux refuses to accept without one even
                        // when nobody is waiting, so that others keep theirs.
                        if self.slowest().is_some_and(|(_, since)| since.elapsed() >= LONG) {
                            self.displace();
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    fn admit<F>(&mut self, socket: TcpStream, open: impl Fn(TcpStream, Arc<Progress>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        if self.connections.len() >= self.most && !self.displace() {
            self.counts.busy.fetch_add(1, Ordering::Relaxed);
            // It fits the buffer of a new socket, or the client learns nothing but that it was sent away.
            let _ = socket.try_write(BUSY);
            return;
        }
        let progress = Arc::new(Progress::new());
        let task = self.tasks.spawn(open(socket, Arc::clone(&progress)));
        self.connections.insert(task.id(), Connection { progress, task });
    }

    /// The connection that has kept the server waiting for longest, with since when.
    fn slowest(&self) -> Option<(Id, Instant)> {
        let waiting = self.connections.iter().filter_map(|(id, connection)| {
            let since = connection.progress.waiting_since()?;
            Some((*id, since))
        });
        waiting.min_by_key(|(_, since)| *since)
    }

    /// When there will be room for another connection; `None` for now.
    fn room_at(&self) -> Option<Instant> {
        if self.connections.len() < self.most {
            return None;
        }
        let (_, since) = self.slowest()?;
        Some(since + GRACE).filter(|at| *at > Instant::now())
    }

    /// Closes the slowest connection, if one keeps the server waiting.
    fn displace(&mut self) -> bool {
        let Some((id, _)) = self.slowest() else { return false };
        if let Some(connection) = self.connections.remove(&id) {
            connection.task.abort();
            self.counts.displaced.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}

/// True if accepting failed for a reason that is gone with the client.
fn of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
