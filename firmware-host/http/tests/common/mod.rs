//! A server with a few pages, and clients that write bytes as they please.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use trm_http::{HttpLimits, HttpServer, Request, Response, StatusCode, collect, reply, service_fn};

/// `/echo` gives the body back, `/large` 4 MiB, `/never` nothing, `/panic` panics, and every other path itself.
async fn page(request: Request) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/echo" => match collect(request.into_body()).await {
            Ok(body) => reply(StatusCode::OK, "text/plain", body),
            Err(refusal) => refusal,
        },
        "/large" => reply(StatusCode::OK, "text/plain", vec![b'x'; 4 << 20]),
        "/never" => std::future::pending().await,
        "/panic" => panic!("a page that panics, as a test wants it"),
        _ => reply(StatusCode::OK, "text/plain", path),
    })
}

pub(crate) fn start(limits: HttpLimits) -> HttpServer {
    HttpServer::start("pages", ([127, 0, 0, 1], 0).into(), limits, service_fn(page)).unwrap()
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// All that the server says until it closes; a connection that is reset ends there.
pub(crate) fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends bytes over a connection of their own, and returns all that comes back.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    rest(&mut stream)
}

/// The status of the first answer; 0 if there is none.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Asks for a page as a health check does: a connection of its own, that the server closes. Tries again when it is sent
/// away, up to a second. Returns how long that took.
pub(crate) fn healthy(address: SocketAddr) -> Duration {
    let started = Instant::now();
    loop {
        let answer = exchange(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if answer.ends_with("/healthz") {
            return started.elapsed();
        }
        assert!(started.elapsed() < Duration::from_secs(1), "no answer within a second: {answer:?}");
    }
}
