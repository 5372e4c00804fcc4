//! A small HTTP/1 server with limits on connections, headers, bodies and time, for programs whose main work is
//! something else.
//!
//! [`HttpServer`] runs on a thread of its own, with less priority than the program's main work, until it is dropped. What
//! it answers with is a [`tower::Service`]: a function by [`tower::service_fn`], or an `axum::Router`. Whatever clients do,
//! its memory stays below what [`HttpLimits`] says, and a new client gets its turn:
//!
//! - Connections beyond the limit take the place of the one that has kept the server waiting for longest.
//! - A header, a request and an idle connection have a time each. When it is over, the connection is closed.
//! - A body that is announced as too long is refused before any of it is read (413); one that turns out too long fails for
//!   whoever reads it.
//! - A process out of file descriptors pauses accepting, gives one back, and goes on.
//!
//! Requests are read by `hyper`. It refuses garbage, two lengths that differ, and codings that do not end in `chunked`
//! (400), and closes a connection whose request has both a length and a coding. HTTP/1.1 without exactly one `Host` is
//! refused here.
//!
//! ```
//! use std::convert::Infallible;
//! use std::io::{Read as _, Write as _};
//! use trm_http::{HttpLimits, HttpServer, Request, StatusCode, reply};
//!
//! let hello = tower::service_fn(|request: Request| async move {
//!     Ok::<_, Infallible>(reply(StatusCode::OK, "text/plain", format!("{} was asked for\n", request.uri().path())))
//! });
//! let server = HttpServer::start("hello", ([127, 0, 0, 1], 0).into(), HttpLimits::default(), hello)?;
//!
//! let mut client = std::net::TcpStream::connect(server.address())?;
//! client.write_all(b"GET /tea HTTP/1.0\r\n\r\n")?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer)?;
//! assert!(answer.ends_with("\r\n\r\n/tea was asked for\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Refused: more than the limits, HTTP/2, TLS. The server knows no users and no secrets: whoever reaches its address is
//! answered, so whoever opens it decides which address that is.

mod body;
mod connection;
mod limits;
mod progress;
mod server;
mod stream;

pub use body::{RequestBody, Response, collect, reply};
pub use hyper::body::Bytes;
pub use hyper::{Method, StatusCode, header};
pub use limits::HttpLimits;
pub use server::{HttpCounts, HttpError, HttpServer};
pub use tower::service_fn;

/// A request, its body not read yet.
pub type Request = hyper::Request<RequestBody>;
