//! Clients that mean no good: slow, many, endless.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{connect, exchange, healthy, rest, start, status};
use trm_http::HttpLimits;

const SHORT: Duration = Duration::from_millis(300);

/// The time until the server closes a connection on which this was said.
fn left_open(server: &trm_http::HttpServer, said: &[u8]) -> (Duration, String) {
    let mut stream = connect(server.address());
    stream.write_all(said).unwrap();
    let started = Instant::now();
    let answer = rest(&mut stream);
    (started.elapsed(), answer)
}

#[test]
fn each_kind_of_waiting_has_an_end() {
    let limits =
        HttpLimits { header_time: SHORT, request_time: 2 * SHORT, idle_time: 3 * SHORT, ..HttpLimits::default() };
    let server = start(limits);
    let close_to = |took: Duration, expected: Duration| took + SHORT / 3 >= expected && took < expected + 5 * SHORT;
    let (took, answer) = left_open(&server, b"");
    assert!(close_to(took, SHORT) && answer.is_empty(), "{took:?} without a word: {answer}");
    let (took, answer) = left_open(&server, b"GET / HTTP/1.1\r\nHo");
    assert!(close_to(took, SHORT) && answer.is_empty(), "{took:?} within the headers: {answer}");
    let (took, answer) = left_open(&server, b"GET /tea HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(close_to(took, 3 * SHORT) && status(&answer) == 200, "{took:?} after an answer: {answer}");
    let (took, answer) = left_open(&server, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
    assert!(close_to(took, 2 * SHORT) && status(&answer) == 408, "{took:?} within a body: {answer}");
    let (took, answer) = left_open(&server, b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(close_to(took, 2 * SHORT) && status(&answer) == 503, "{took:?} for a page: {answer}");
    // Drops of a header, each well within the time, do not begin it anew.
    let mut stream = connect(server.address());
    let started = Instant::now();
    while stream.write_all(b"X").is_ok() && started.elapsed() < 20 * SHORT {
        std::thread::sleep(SHORT / 10);
    }
    assert!(close_to(started.elapsed(), SHORT), "{:?}", started.elapsed());
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let limits = HttpLimits { request_time: SHORT, ..HttpLimits::default() };
    let server = start(limits);
    let mut stream = connect(server.address());
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    std::thread::sleep(4 * SHORT);
    let mut bytes = Vec::new();
    // What lay in the sockets' buffers, and no more.
    let _ = stream.read_to_end(&mut bytes);
    assert!(bytes.len() < 4 << 20, "{} bytes", bytes.len());
    healthy(server.address());
}

#[test]
fn headers_without_an_end_are_cut_off() {
    let server = start(HttpLimits::default());
    let mut stream = connect(server.address());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
    let line = format!("X: {}\r\n", "y".repeat(1 << 16));
    let mut sent = 0;
    while sent < 600 << 20 && stream.write_all(line.as_bytes()).is_ok() {
        sent += line.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    healthy(server.address());
}

#[test]
fn new_clients_take_the_place_of_the_slowest() {
    let server = start(HttpLimits { connections: 4, ..HttpLimits::default() });
    let mut held: Vec<TcpStream> = (0..4).map(|_| connect(server.address())).collect();
    for stream in &mut held {
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    healthy(server.address());
    // The first was the one, and the others may go on.
    assert_eq!(rest(&mut held[0]), "");
    held[3].write_all(b"Host: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(status(&rest(&mut held[3])), 200);
    assert_eq!((server.counts().displaced, server.counts().busy), (1, 0));
}

#[test]
fn an_answer_in_the_making_is_not_given_up_for_others() {
    let server = start(HttpLimits { connections: 2, request_time: 4 * SHORT, ..HttpLimits::default() });
    let mut held: Vec<TcpStream> = (0..2).map(|_| connect(server.address())).collect();
    for stream in &mut held {
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    std::thread::sleep(SHORT);
    let answer = exchange(server.address(), b"GET / HTTP/1.0\r\n\r\n");
    assert!(matches!(status(&answer), 0 | 503), "{answer}");
    assert_eq!((server.counts().displaced, server.counts().busy), (0, 1));
    assert!(held.iter_mut().all(|stream| status(&rest(stream)) == 503));
    healthy(server.address());
}

#[test]
fn a_thousand_slow_clients_and_a_flood_leave_room_for_a_health_check() {
    let server = start(HttpLimits { connections: 64, ..HttpLimits::default() });
    let (address, stop) = (server.address(), AtomicBool::new(false));
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                if held.len() == 1_000 {
                    held.clear();
                }
                if let Ok(mut stream) = TcpStream::connect(address) {
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost:");
                    held.push(stream);
                }
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Opened and left.
                drop(TcpStream::connect(address));
            }
        });
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            slowest = slowest.max(healthy(address));
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
    });
    eprintln!("{:?}, the slowest health check took {slowest:?}", server.counts());
    assert!(server.counts().displaced > 100, "{:?}", server.counts());
}

#[test]
fn a_page_that_panics_takes_its_connection_with_it_and_no_more() {
    let server = start(HttpLimits::default());
    assert_eq!(exchange(server.address(), b"GET /panic HTTP/1.0\r\n\r\n"), "");
    healthy(server.address());
}

#[test]
fn a_server_ends_at_once_whatever_its_clients_do() {
    let server = start(HttpLimits::default());
    let mut held: Vec<TcpStream> = (0..20).map(|_| connect(server.address())).collect();
    held[0].write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    held[1].write_all(b"GET / HTTP/1.1\r\n").unwrap();
    healthy(server.address());
    let (address, started) = (server.address(), Instant::now());
    drop(server);
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(held.iter_mut().all(|stream| rest(stream).is_empty()));
    assert!(TcpStream::connect(address).is_err());
}

/// Processor time that this process has used, in seconds, out of `/proc/self/stat`, which is open already.
#[cfg(target_os = "linux")]
fn processor_time(stat: &mut std::fs::File) -> f64 {
    use std::io::Seek as _;
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in the hundredths that Linux reports on every architecture it runs on here.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "the process that another test starts"]
fn has_few_descriptors() {
    // More than the limit of 40: a quarter of that is taken.
    let server = start(HttpLimits { connections: 1_000, ..HttpLimits::default() });
    let address = server.address();
    healthy(address);
    std::thread::sleep(SHORT);
    let mut stat = std::fs::File::open("/proc/self/stat").unwrap();
    // The rest are taken by the program itself: nothing can be accepted any more.
    let mut taken = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        taken.push(file);
    }
    taken.pop();
    let mut held = connect(address);
    let before = processor_time(&mut stat);
    std::thread::sleep(Duration::from_secs(1));
    let used = processor_time(&mut stat) - before;
    assert!(server.counts().errors >= 3, "{:?}", server.counts());
    assert!(used < 0.3, "{used} s of a second were used on accepting nothing: {:?}", server.counts());
    taken.truncate(8);
    held.write_all(b"GET /later HTTP/1.0\r\n\r\n").unwrap();
    assert!(rest(&mut held).ends_with("/later"));
    healthy(address);
    println!("accepted again");
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_out_of_descriptors_waits_without_turning_and_goes_on() {
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" --exact has_few_descriptors --ignored --nocapture --test-threads 1"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("accepted again"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}
