//! Requests as clients write them, well and badly.

mod common;

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use common::{connect, exchange, healthy, rest, start, status};
use trm_http::{HttpLimits, HttpServer};

fn limits() -> HttpLimits {
    HttpLimits { idle_time: Duration::from_millis(300), ..HttpLimits::default() }
}

#[test]
fn every_form_of_asking_is_answered() {
    let server = start(limits());
    let ask = |request: &str| exchange(server.address(), request.as_bytes());
    let answer = ask("GET /tea HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\n/tea"), "{answer}");
    let answer = ask("GET /tea?milk=no HTTP/1.0\r\n\r\n");
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\n/tea"), "{answer}");
    let answer = ask("GET http://kiosk.example:80/tea HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(status(&answer) == 200 && answer.ends_with("/tea"), "{answer}");
    let answer = ask("HEAD /tea HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(status(&answer) == 200 && answer.contains("content-length: 4\r\n") && answer.ends_with("\r\n\r\n"));
    let answer = ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\nhello"), "{answer}");
    let chunks = "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    let answer = ask(&format!(
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}"
    ));
    assert!(status(&answer) == 200 && answer.ends_with("\r\n\r\nhello world"), "{answer}");
}

#[test]
fn a_connection_takes_several_requests_and_pipelined_ones_in_order() {
    let server = start(limits());
    let started = Instant::now();
    let pipelined = (0..20).map(|k| format!("GET /{k} HTTP/1.1\r\nHost: x\r\n\r\n")).collect::<Vec<_>>().concat();
    let answer = exchange(server.address(), pipelined.as_bytes());
    let bodies: Vec<&str> = answer.split("\r\n\r\n/").skip(1).map(|rest| rest.split("HTTP").next().unwrap()).collect();
    assert_eq!(bodies, (0..20).map(|k| k.to_string()).collect::<Vec<_>>(), "{answer}");
    assert!((0.2..5.0).contains(&started.elapsed().as_secs_f64()), "closed when idle: {:?}", started.elapsed());

    let mut stream = connect(server.address());
    for k in 0..3 {
        write!(stream, "GET /{k} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        while !answer.ends_with(&format!("/{k}")) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(char::from(byte[0]));
        }
    }
    assert_eq!(server.counts().accepted, 2);
}

#[test]
fn the_last_request_of_a_connection_says_so() {
    let server = start(HttpLimits { requests: 3, ..limits() });
    let pipelined = "GET /tea HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10);
    let answer = exchange(server.address(), pipelined.as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 3, "{answer}");
    assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
}

#[test]
fn what_is_no_request_is_refused_and_the_server_goes_on() {
    let server = start(HttpLimits { body_bytes: 1_000, ..limits() });
    let post = |headers: &str, body: &str| format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}");
    let long = "y".repeat(1_001);
    let many = (0..101).map(|k| format!("X-{k}: y\r\n")).collect::<Vec<_>>().concat();
    let tls = "\x16\x03\x01\x02\0\x01\0\x01\u{7f}\x03\x03garbage";
    let cases: Vec<(String, &[u16])> = vec![
        // The lengths that ended a kiosk.
        ("GET / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nx".into(), &[413]),
        ("GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx".into(), &[431]),
        (post("Content-Length: 18446744073709551614", "x"), &[431]),
        (post("Content-Length: 99999999999999999999999999", "x"), &[400]),
        (post("Content-Length: 1001", &long), &[413]),
        (post("Content-Length: -1", "x"), &[400]),
        (post("Content-Length: +5", "hello"), &[400]),
        (post("Content-Length: 0x5", "hello"), &[400]),
        (post("Content-Length: 5, 6", "hello"), &[400]),
        (post("Content-Length: 5\r\nContent-Length: 6", "hello"), &[400]),
        (post("Transfer-Encoding: chunked", &format!("3e9\r\n{long}\r\n0\r\n\r\n")), &[413]),
        // Nothing is kept of what a chunk promises: the rest is waited for, and not for long.
        (post("Transfer-Encoding: chunked", "ffffffffffffffff\r\nx"), &[400, 408, 413]),
        (post("Transfer-Encoding: chunked", "ffffffffffffffffffff\r\nx"), &[400]),
        (post("Transfer-Encoding: chunked", "zz\r\nx"), &[400]),
        (post("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), &[400]),
        (post("Transfer-Encoding: gzip", "x"), &[400]),
        ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".into(), &[400]),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "z".repeat(20_000)), &[431]),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "z".repeat(20_000)), &[414, 431]),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), &[431]),
        ("GET / HTTP/1.1\r\n\r\n".into(), &[400]),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".into(), &[400]),
        ("GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n".into(), &[400]),
        ("GET / HTTP/1.1\r\nHost: x\r\n X: folded\r\n\r\n".into(), &[400]),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n".into(), &[400]),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n".into(), &[400]),
        ("GET / and more HTTP/1.1\r\nHost: x\r\n\r\n".into(), &[400]),
        ("\u{1}\u{2}\u{3}\r\n\r\n".into(), &[400]),
        (tls.into(), &[400]),
        // Another protocol's beginning is hung up on.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[0, 400]),
    ];
    for (request, expected) in cases {
        let answer = exchange(server.address(), request.as_bytes());
        let shown: String = request.chars().take(90).collect();
        assert!(expected.contains(&status(&answer)), "{shown:?}: expected {expected:?}\n{answer}");
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{shown:?}: more than one answer\n{answer}");
        healthy(server.address());
    }
}

#[test]
fn no_second_request_hides_in_the_body_of_a_first() {
    let server = start(limits());
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = hidden.len() + 5;
    // A length for one reader, a coding for another: whichever is taken, nothing after the request is answered.
    for headers in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: Chunked"),
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n0\r\n\r\n{hidden}");
        let answer = exchange(server.address(), request.as_bytes());
        assert!(!answer.contains("/hidden") && answer.matches("HTTP/1.1").count() <= 1, "{headers}\n{answer}");
    }
    // A body that nobody reads is not taken for the next request.
    let request =
        format!("POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}{hidden}", hidden.len());
    let answer = exchange(server.address(), request.as_bytes());
    assert!(answer.matches("/hidden").count() <= 1 && answer.contains("/unread"), "{answer}");
    // One whose length the client leaves out is read to its end and no further.
    let request = format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{hidden}");
    let mut stream = connect(server.address());
    stream.write_all(request.as_bytes()).unwrap();
    let answer = rest(&mut stream);
    assert!(answer.contains("\r\n\r\nabcHTTP/1.1 200") && answer.ends_with("/hidden"), "{answer}");
}

#[test]
fn a_client_that_asks_first_is_told_before_it_sends() {
    let server = start(HttpLimits { body_bytes: 10, ..limits() });
    let expect = |length: usize| {
        format!("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n")
    };
    let answer = exchange(server.address(), expect(11).as_bytes());
    assert_eq!(status(&answer), 413, "{answer}");
    let mut stream = connect(server.address());
    stream.write_all(expect(5).as_bytes()).unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").unwrap();
    assert!(rest(&mut stream).ends_with("hello"));
}

#[test]
fn pages_may_come_from_an_axum_router() {
    use axum::routing::{get, post};
    let router = axum::Router::new()
        .route("/tea", get(|| async { "milk?" }))
        .route("/cup", post(|body: String| async move { body.len().to_string() }));
    let limits = HttpLimits { body_bytes: 100, ..limits() };
    let server = HttpServer::start("router", ([127, 0, 0, 1], 0).into(), limits, router).unwrap();
    let ask = |request: &str| exchange(server.address(), request.as_bytes());
    assert!(ask("GET /tea HTTP/1.0\r\n\r\n").ends_with("milk?"));
    assert_eq!(status(&ask("POST /tea HTTP/1.0\r\n\r\n")), 405);
    assert!(ask("POST /cup HTTP/1.0\r\nContent-Length: 4\r\n\r\nfull").ends_with("\r\n\r\n4"));
    let chunked = format!(
        "POST /cup HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n65\r\n{}\r\n0\r\n\r\n",
        "y".repeat(101)
    );
    assert_eq!(status(&ask(&chunked)), 413);
}

#[test]
fn an_address_in_use_is_an_error_and_can_be_had_when_it_is_left() {
    let first = start(limits());
    healthy(first.address());
    let again = || {
        HttpServer::start("second", first.address(), limits(), axum::Router::<()>::new()).map(|server| server.address())
    };
    assert_eq!(again().unwrap_err().to_string(), format!("cannot listen on {}", first.address()));
    let address = first.address();
    drop(first);
    HttpServer::start("second", address, limits(), axum::Router::<()>::new()).unwrap();
}
