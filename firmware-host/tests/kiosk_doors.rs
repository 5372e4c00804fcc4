//! The kiosk's pages under attack: they answer, and the kiosk neither notices nor grows.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "figures for whoever looks at the test")]

mod kiosks;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kiosks::{Feeder, Place, Running, get, kiosk};

/// Most that attacks may add to the kiosk's memory, KiB.
const MOST_MEMORY: u64 = 20 * 1024;

#[test]
fn requests_that_ended_a_kiosk_are_refused() {
    let place = Place::new();
    let (settings, pipe) = place.on_a_pipe("");
    let _feeder = Feeder::start(&pipe);
    let running = Running::start(&mut kiosk(&settings));
    running.works();
    let cases: [(&[u8], &[u16]); 5] = [
        (b"GET / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nx", &[413]),
        (b"GET / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nx", &[431]),
        (b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx", &[400, 405]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400]),
        (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[200],
        ),
    ];
    for (request, expected) in cases {
        let mut stream = TcpStream::connect(running.pages()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        assert!(status.is_some_and(|status| expected.contains(&status)), "{request:?}: {answer}");
        assert_eq!(get(running.pages(), "/healthz").0, 200);
    }
    running.works();
}

/// The effect of an attack.
#[derive(Debug)]
struct Effect {
    before_kib: u64,
    peak_kib: u64,
    after_kib: u64,
    slowest: Duration,
    turns_before: f64,
    turns: f64,
}

/// Runs `attack` beside a kiosk, asking for its health throughout.
fn under(running: &Running, attack: impl Fn(SocketAddr, &AtomicBool) + Sync, clients: usize) -> Effect {
    let address = running.pages();
    let turns = |time: Duration| {
        let (frames, started) = (running.frames(), Instant::now());
        std::thread::sleep(time);
        (running.frames() - frames) as f64 / started.elapsed().as_secs_f64()
    };
    let turns_before = turns(Duration::from_secs(2));
    let before_kib = running.kib("VmRSS");
    let mut effect =
        Effect { before_kib, peak_kib: before_kib, after_kib: 0, slowest: Duration::ZERO, turns_before, turns: 0.0 };
    let over = AtomicBool::new(false);
    let begun = Instant::now();
    let frames = running.frames();
    std::thread::scope(|scope| {
        let attacks: Vec<_> = (0..clients).map(|_| scope.spawn(|| attack(address, &over))).collect();
        // At least a few seconds, and until every attack has done what it does.
        while begun.elapsed() < Duration::from_secs(4) || attacks.iter().any(|attack| !attack.is_finished()) {
            if begun.elapsed() > Duration::from_secs(8) {
                over.store(true, Ordering::Relaxed);
            }
            let asked = Instant::now();
            let (status, _) = get(address, "/healthz");
            effect.slowest = effect.slowest.max(asked.elapsed());
            assert_eq!(status, 200);
            effect.peak_kib = effect.peak_kib.max(running.kib("VmRSS"));
            std::thread::sleep(Duration::from_millis(30));
        }
        effect.turns = (running.frames() - frames) as f64 / begun.elapsed().as_secs_f64();
    });
    std::thread::sleep(Duration::from_millis(500));
    effect.after_kib = running.kib("VmRSS");
    effect
}

/// Headers without an end.
fn endless_headers(address: SocketAddr, over: &AtomicBool, bytes: usize) {
    let line = format!("X: {}\r\n", "y".repeat(1 << 16));
    let mut sent = 0;
    while sent < bytes && !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n");
        while sent < bytes && !over.load(Ordering::Relaxed) && stream.write_all(line.as_bytes()).is_ok() {
            sent += line.len();
        }
        // What a closed connection did not take was sent all the same.
        sent += line.len();
    }
}

/// Clients that say a letter now and then.
fn slow_clients(address: SocketAddr, over: &AtomicBool, count: usize) {
    let mut clients: Vec<TcpStream> = Vec::new();
    while clients.len() < count && !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX: ");
        clients.push(stream);
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) && !over.load(Ordering::Relaxed) {
        for client in &mut clients {
            let _ = client.write_all(b"y");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Connections on which nothing is said.
fn connections(address: SocketAddr, over: &AtomicBool, count: usize) {
    let mut clients = Vec::new();
    while clients.len() < count && !over.load(Ordering::Relaxed) {
        clients.extend(TcpStream::connect(address));
    }
    std::thread::sleep(Duration::from_secs(1));
}

/// Whole requests, as fast as they go.
fn requests(address: SocketAddr, over: &AtomicBool) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) && !over.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let mut answers = vec![0; 1 << 16];
        while started.elapsed() < Duration::from_secs(4)
            && stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").is_ok()
            && stream.read(&mut answers).is_ok_and(|read| read > 0)
        {}
    }
}

/// Bodies that are announced and not sent.
fn bodies(address: SocketAddr, over: &AtomicBool) {
    let mut clients = Vec::new();
    for _ in 0..400 {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        let _ = stream.write_all(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf");
        clients.push(stream);
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(2) && !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A row of the table, whatever the attack, which is held to the limits.
fn row(running: &Running, name: &str, clients: usize, attack: impl Fn(SocketAddr, &AtomicBool) + Sync) {
    let effect = under(running, attack, clients);
    eprintln!(
        "| {name} | {:.1} | {:.1} | {:.1} | {} | {:.1} | {:.1} |",
        effect.before_kib as f64 / 1024.0,
        effect.peak_kib as f64 / 1024.0,
        effect.after_kib as f64 / 1024.0,
        effect.slowest.as_millis(),
        effect.turns_before,
        effect.turns
    );
    assert!(effect.peak_kib < effect.before_kib + MOST_MEMORY, "{name}: {effect:?}");
    assert!(effect.slowest < Duration::from_secs(1), "{name}: {effect:?}");
    // Other programs of the machine take their share as well, the attacker first of all.
    assert!(effect.turns > effect.turns_before * 0.6, "{name}: {effect:?}");
}

fn table(megabytes: usize, slow: usize, silent: usize) {
    let place = Place::new();
    let (settings, pipe) = place.on_a_pipe("");
    let _feeder = Feeder::start(&pipe);
    let running = Running::start(&mut kiosk(&settings));
    running.works();
    eprintln!("| attack | MB before | at most | after | slowest /healthz, ms | turns/s before | under attack |");
    eprintln!("| --- | --- | --- | --- | --- | --- | --- |");
    row(&running, "none", 0, |_, _| {});
    row(&running, &format!("{megabytes} MB of headers"), 4, |address, over| {
        endless_headers(address, over, (megabytes << 20) / 4);
    });
    row(&running, &format!("{slow} slow clients"), 2, |address, over| slow_clients(address, over, slow / 2));
    row(&running, &format!("{silent} connections"), 2, |address, over| connections(address, over, silent / 2));
    row(&running, "bodies that do not come", 1, bodies);
    row(&running, "4 clients asking all the time", 4, requests);
    running.works();
    assert_eq!(running.health()["healthy"], true);
}

#[test]
fn floods_change_neither_memory_nor_turns() {
    table(60, 400, 1_000);
}

#[test]
#[ignore = "needs 12,000 file descriptors; the same with fewer clients is always run"]
fn the_whole_flood() {
    table(600, 4_000, 10_000);
}

#[test]
fn a_kiosk_with_few_file_descriptors_keeps_some_for_itself() {
    let place = Place::new();
    let (settings, pipe) = place.on_a_pipe("");
    let _feeder = Feeder::start(&pipe);
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" kiosk --config \"$1\""]).arg(env!("CARGO_BIN_EXE_trm-host"));
    limited.arg(&settings).env_remove("STATE_DIRECTORY").env_remove("NOTIFY_SOCKET");
    let running = Running::start(&mut limited);
    running.works();
    let address = running.pages();
    let held: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(address).ok()).collect();
    running.works();
    let (status, took, log) = running.end("-TERM");
    assert!(status.success() && took < Duration::from_secs(2), "{took:?}\n{log}");
    // The state was saved, which takes a descriptor.
    assert!(!log.contains("state: ") && !log.contains("does not let go"), "{log}");
    drop(held);
}
