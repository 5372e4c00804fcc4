//! The kiosk's loop with fakes for its parts: what is shown, counted and kept, and that it goes on.

mod fakes;

use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fakes::{FakeDevice, Kind, Seen, Shared, parts, settings};
use trm_firmware_host::kiosk::models::{Active, ModelStore};
use trm_firmware_host::kiosk::state::StateStore;
use trm_firmware_host::kiosk::{
    End, Ended, Kiosk, Light, Metrics, Outcome, Parts, Puzzle, PuzzleSolver, Settings, Solution, Step,
};
use trm_firmware_host::{HostError, Result};
use trm_models::ModelBundle;

fn go(parts: Parts<'_>, settings: Settings, folder: &Path) -> (Ended, Arc<Metrics>) {
    let stop = AtomicBool::new(false);
    let metrics = Arc::new(Metrics::default());
    let kiosk = Kiosk::start(parts, settings, folder, Arc::clone(&metrics), &stop, fakes::no_log).unwrap();
    (kiosk.run(), metrics)
}

static NEVER: AtomicBool = AtomicBool::new(false);

#[test]
fn a_folder_of_pictures_is_worked_through() {
    let (seen, folder) = (Shared::default(), tempfile::tempdir().unwrap());
    let kinds = [Kind::Good, Kind::Hard, Kind::Blurred, Kind::Blank, Kind::Good];
    let (ended, metrics) = go(parts(&kinds, false, &seen), settings(), folder.path());
    assert_eq!(ended, Ended { end: End::SourceEnded, solved: 2, others: 2 });
    let seen = seen.borrow();
    assert_eq!(
        seen.scenes,
        [
            "idle",
            "aim",
            "reading",
            "solving",
            "solved", // good
            "idle",
            "aim",
            "reading",
            "solving",
            "not-solved", // hard
            "idle",
            "aim",
            "reading",
            "refused", // blurred
            "idle",
            "aim",
            "reading",
            "solving",
            "solved", // good, after one without a board
            "idle",
        ]
    );
    // The answers of the first and the fifth puzzle, and nothing else, were shown as solved.
    let examples = fakes::examples();
    assert_eq!(seen.solved, [examples[0].solution.clone(), examples[4].solution.clone()]);
    assert!(seen.changed > 10, "{} cells marked as changed", seen.changed);

    let counts = [Outcome::Solved, Outcome::NotSolved, Outcome::Refused].map(|outcome| metrics.outcomes(outcome));
    assert_eq!(counts, [2, 1, 1]);
    let text = metrics.to_text();
    for line in [
        "trm_kiosk_refusals_total{reason=\"doubtful-cells\"} 1",
        "trm_kiosk_reads_total{trusted=\"false\"} 2",
        "trm_kiosk_act_steps_sum 12.0",
        "trm_kiosk_puzzle_seconds_count 4",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let (_, kept) = StateStore::open(folder.path(), &mut Vec::new()).unwrap();
    assert_eq!((kept.counters.solved, kept.counters.not_solved, kept.counters.refused), (2, 1, 1));
    let last = kept.last.unwrap();
    assert_eq!((last.outcome, last.size), (Outcome::Solved, (4, 4)));
    assert_eq!(last.cells, examples[4].puzzle.cells());
}

#[test]
fn once_ends_after_one_puzzle_and_counters_go_on_over_starts() {
    let folder = tempfile::tempdir().unwrap();
    for start in 1..=3 {
        let seen = Shared::default();
        let once = Settings { once: true, ..settings() };
        let (ended, _) = go(parts(&[Kind::Blank, Kind::Good], true, &seen), once, folder.path());
        assert_eq!(ended, Ended { end: End::Once, solved: 1, others: 0 });
        let (_, kept) = StateStore::open(folder.path(), &mut Vec::new()).unwrap();
        assert_eq!((kept.counters.starts, kept.counters.solved), (start, start));
    }
}

#[test]
fn failures_are_shown_counted_and_left_behind() {
    let (seen, folder) = (Shared::default(), tempfile::tempdir().unwrap());
    let kinds = [Kind::Good, Kind::Broken, Kind::Fatal, Kind::Torn];
    let (ended, metrics) = go(parts(&kinds, false, &seen), settings(), folder.path());
    // The camera came back with the second picture; the third, on which the solver failed, was passed over; one torn frame
    // is not worth speaking of.
    assert_eq!((ended.solved, ended.others, seen.borrow().done), (3, 0, 4));
    let scenes = &seen.borrow().scenes;
    assert_eq!(scenes.iter().filter(|scene| **scene == "error").count(), 2, "{scenes:?}");
    assert_eq!(scenes.last(), Some(&"idle"));
    let text = metrics.to_text();
    for line in ["trm_kiosk_failures_total{part=\"camera\"} 4", "trm_kiosk_failures_total{part=\"solver\"} 1"] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let (_, kept) = StateStore::open(folder.path(), &mut Vec::new()).unwrap();
    assert_eq!(kept.counters.failures, 2, "one for each that was shown");
}

#[test]
fn a_dead_link_stops_the_heartbeat_but_not_the_show() {
    let (alive, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let (seen, folder) = (Shared::default(), tempfile::tempdir().unwrap());
    let metrics = Arc::new(Metrics::default());
    std::thread::sleep(Duration::from_millis(60));
    let mut with_device = parts(&[Kind::Good, Kind::Good], false, &seen);
    with_device.device = Some(Box::new(FakeDevice { seen: Rc::clone(&seen), alive: &alive }));
    let kiosk = Kiosk::start(with_device, settings(), folder.path(), Arc::clone(&metrics), &stop, fakes::no_log);
    assert_eq!(kiosk.unwrap().run().solved, 2);
    assert!(metrics.heartbeat_age() >= Duration::from_millis(60), "no heartbeat without the device");
    assert!(metrics.link_errors.get() > 5);
    assert_eq!((seen.borrow().robot, seen.borrow().scenes.len()), (2, 11));

    alive.store(true, Ordering::Relaxed);
    *seen.borrow_mut() = Seen::default();
    let mut with_device = parts(&[Kind::Good, Kind::Hard], false, &seen);
    with_device.device = Some(Box::new(FakeDevice { seen: Rc::clone(&seen), alive: &alive }));
    let kiosk = Kiosk::start(with_device, settings(), folder.path(), Arc::clone(&metrics), &stop, fakes::no_log);
    kiosk.unwrap().run();
    assert!(metrics.heartbeat_age() < Duration::from_millis(60));
    let lights =
        [Light::Idle, Light::Busy, Light::Good, Light::Idle, Light::Busy, Light::Bad, Light::Idle, Light::Idle];
    assert_eq!(seen.borrow().lights, lights);
}

#[test]
fn a_slow_solver_is_stopped_and_its_half_answer_not_called_solved() {
    let (seen, folder) = (Shared::default(), tempfile::tempdir().unwrap());
    let mut slow = parts(&[Kind::Good], false, &seen);
    slow.solver = Box::new(fakes::FakeSolver {
        examples: fakes::examples(),
        seen: Rc::clone(&seen),
        step: Duration::from_millis(60),
    });
    let mut settings = settings();
    settings.solver.timeout_ms = 100;
    let (ended, metrics) = go(slow, settings, folder.path());
    assert_eq!((ended.solved, ended.others), (0, 1));
    assert!(metrics.to_text().contains("trm_kiosk_solves_total{verdict=\"unsolved\"} 1"), "{}", metrics.to_text());
    assert!(seen.borrow().scenes.contains(&"not-solved") && !seen.borrow().scenes.contains(&"solved"));
}

#[test]
fn a_model_activated_while_running_is_taken_over() {
    let (seen, folder) = (Shared::default(), tempfile::tempdir().unwrap());
    let state = folder.path().to_owned();
    let stop = AtomicBool::new(false);
    let mut with_models = parts(&[Kind::Good], true, &seen);
    with_models.self_test = Some(Arc::new(|_: &ModelBundle| Ok(())));
    let metrics = Arc::new(Metrics::default());
    let kiosk = Kiosk::start(with_models, settings(), &state, Arc::clone(&metrics), &stop, fakes::no_log).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sudoku-4");
            ModelStore::open(&state).unwrap().activate(&bundle, &|_: &ModelBundle| Ok(()), &NEVER).unwrap();
            for _ in 0..400 {
                if metrics.model_swaps.get() == 1 {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        kiosk.run();
    });
    assert_eq!(metrics.model_swaps.get(), 1);
    let used = &seen.borrow().used;
    assert!(used[0].folders.is_empty() && used[1].folders.contains_key("sudoku-4x4"), "{used:?}");
    let (_, kept) = StateStore::open(&state, &mut Vec::new()).unwrap();
    assert!(kept.models["sudoku-4x4"].starts_with("sudoku-4-"), "{:?}", kept.models);
}

/// A solver that passes its self-test and cannot load any bundle.
struct Picky(fakes::FakeSolver);

impl PuzzleSolver for Picky {
    fn solve(&mut self, puzzle: &Puzzle, on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<Solution> {
        self.0.solve(puzzle, on_step)
    }

    fn use_models(&mut self, active: &Active) -> Result<()> {
        if active.folders.is_empty() {
            return self.0.use_models(active);
        }
        Err(HostError::Part { part: "engine", reason: "an operator is missing".to_owned() })
    }
}

#[test]
fn a_model_that_cannot_be_loaded_keeps_no_kiosk_from_working() {
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::open(folder.path()).unwrap();
    let passes = |_: &ModelBundle| Ok(());
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/sudoku-4");
    let picky = |seen: &Shared, repeat| {
        let mut parts = parts(&[Kind::Good], repeat, seen);
        parts.solver = Box::new(Picky(fakes::FakeSolver {
            examples: fakes::examples(),
            seen: Rc::clone(seen),
            step: Duration::ZERO,
        }));
        parts.self_test = Some(Arc::new(passes));
        parts
    };
    // There at the start.
    store.activate(&bundle, &passes, &NEVER).unwrap();
    let (ended, _) = go(picky(&Shared::default(), false), settings(), folder.path());
    assert_eq!(ended.solved, 1);
    assert!(store.active().unwrap().folders.is_empty(), "rolled back");

    // Put into `incoming/` while it runs.
    let incoming = folder.path().join("models/incoming");
    std::fs::create_dir(incoming.join(".copying")).unwrap();
    for file in ModelBundle::open(&bundle).unwrap().manifest().file_names().chain(["manifest.json"]) {
        std::fs::copy(bundle.join(file), incoming.join(".copying").join(file)).unwrap();
    }
    std::fs::rename(incoming.join(".copying"), incoming.join("sudoku-4")).unwrap();
    let stop = AtomicBool::new(false);
    let metrics = Arc::new(Metrics::default());
    let seen = Shared::default();
    let kiosk = Kiosk::start(picky(&seen, true), settings(), folder.path(), Arc::clone(&metrics), &stop, fakes::no_log)
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..400 {
                if metrics.to_text().contains("failures_total{part=\"models\"} 1") {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(kiosk.run().solved > 0);
    });
    assert!(metrics.to_text().contains("failures_total{part=\"models\"} 1"), "{}", metrics.to_text());
    assert_eq!(metrics.model_swaps.get(), 0);
    assert!(store.active().unwrap().folders.is_empty() && !incoming.join("sudoku-4").exists());
}
