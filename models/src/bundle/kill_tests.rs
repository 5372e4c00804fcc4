//! A process that replaces a bundle is killed, at each of its steps and at many moments: the old bundle or the new one is
//! there whole each time.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tests::{entries, write};
use super::*;

/// The bundle that the process replaces.
const TARGET: &str = "TEST_TARGET";
/// The moment at which it stops.
const STOP: &str = "TEST_STOP";
/// Set where names cannot be exchanged.
const NO_EXCHANGE: &str = "TEST_NO_EXCHANGE";

/// Waits to be killed, at the moment that a test has chosen.
pub(super) fn reached(moment: &'static str) {
    if std::env::var(STOP).is_ok_and(|stop| stop == moment) {
        println!("at {moment}");
        loop {
            std::thread::park();
        }
    }
}

/// True in a process that is to do without exchanging names.
pub(super) fn exchange_is_off() -> bool {
    std::env::var_os(NO_EXCHANGE).is_some()
}

#[test]
#[ignore = "the process that other tests start"]
fn overwrites_for_ever() {
    let target = std::env::var_os(TARGET).expect("a target");
    println!("begun");
    for round in 0_u32.. {
        write(Path::new(&target), true, format!("graph {round}").as_bytes()).expect("written");
        println!("wrote {round}");
    }
}

fn start(target: &Path, exchange: bool, stop: &str) -> Child {
    let mut process = Command::new(std::env::current_exe().expect("this program"));
    process.args(["--exact", "bundle::kill_tests::overwrites_for_ever", "--ignored", "--nocapture"]);
    process.env(TARGET, target).env(STOP, stop).stdout(Stdio::piped()).stderr(Stdio::null());
    if !exchange {
        process.env(NO_EXCHANGE, "1");
    }
    process.spawn().expect("a writer")
}

/// Waits for a line that ends with the words.
fn wait_for(process: &mut Child, words: &str) {
    let lines = BufReader::new(process.stdout.as_mut().expect("its output")).lines();
    let said = lines.map_while(std::io::Result::ok).find(|line| line.ends_with(words));
    assert!(said.is_some(), "it never said {words:?}");
}

fn kill(mut process: Child) {
    process.kill().expect("killed");
    process.wait().expect("gone");
}

/// The message of the graph at the target, once every file of the bundle was found to be whole.
fn content(target: &Path, when: &str) -> String {
    let bundle = ModelBundle::open(target).unwrap_or_else(|error| panic!("lost, {when}: {error}"));
    bundle.verify().unwrap_or_else(|error| panic!("damaged, {when}: {error}"));
    String::from_utf8(bundle.graph_bytes(GraphKind::Step).expect("the graph").into_owned()).expect("text")
}

#[test]
fn a_writer_killed_at_any_step_leaves_the_old_bundle_or_the_new_one() {
    for (exchange, stop, expected) in [
        (true, "complete", "old"),
        (true, "in place", "graph 0"),
        (false, "complete", "old"),
        (false, "aside", "old"),
        (false, "in place", "graph 0"),
    ] {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("maze-3");
        write(&target, false, b"old").expect("written");
        let mut process = start(&target, exchange, stop);
        wait_for(&mut process, &format!("at {stop}"));
        // A writer that lives is in nobody's way, and nothing of it is swept.
        let staged = entries(folder.path());
        trm_intake::unfinished::sweep(folder.path());
        assert_eq!(entries(folder.path()), if stop == "in place" && exchange { 1 } else { staged }, "{stop}");
        kill(process);
        assert_eq!(content(&target, stop), expected, "{stop}, exchange {exchange}");
        // What was left is gone with the next one.
        assert!(write(&target, false, b"new").is_err(), "{stop}: there is a bundle");
        write(&target, true, b"new").expect("written");
        assert_eq!((content(&target, stop), entries(folder.path())), ("new".into(), 1), "{stop}, exchange {exchange}");
    }
}

#[test]
fn a_reader_between_the_renames_of_a_living_writer_does_not_disturb_it() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"old").expect("written");
    let mut process = start(&target, false, "aside");
    wait_for(&mut process, "at aside");
    let error = ModelBundle::open(&target).expect_err("the name is being given to another").to_string();
    assert!(error.contains("maze-3"), "{error}");
    assert!(folder.path().join(".trm-aside-maze-3").is_dir(), "the writer's own");
    kill(process);
    assert_eq!(content(&target, "killed"), "old");
}

#[test]
fn nothing_is_lost_in_300_kills() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("maze-3");
    write(&target, false, b"old").expect("written");
    let (mut replaced, mut left, mut before) = (0, 0, String::new());
    for number in 0..300_u64 {
        let mut process = start(&target, number % 4 < 2, "");
        // A third in their first round, the others in later ones, however slow the disk is.
        wait_for(&mut process, ["begun", "wrote 0", "wrote 1"][number as usize % 3]);
        // Moments that are the same in every run and have nothing to do with each other.
        std::thread::sleep(Duration::from_micros((number * 7_919 + 13) * 104_729 % 30_000));
        kill(process);
        left += usize::from(entries(folder.path()) != 1 || !target.exists());
        let found = content(&target, &format!("kill {number}"));
        replaced += usize::from(found != before);
        before = found;
    }
    println!("300 kills, none lost; {replaced} after the bundle was replaced, {left} with something left behind");
    assert!(replaced >= 150 && left >= 50, "the kills come too early: {replaced} replaced, {left} left");
    write(&target, true, b"new").expect("written");
    assert_eq!(entries(folder.path()), 1, "swept");
}
