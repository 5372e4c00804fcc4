//! Parts of a kiosk without hardware: a folder of puzzles that is never read, a solver that knows the answers.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![allow(dead_code, reason = "each test takes what it needs")]

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image::RgbImage;
use trm_firmware_host::kiosk::Settings;
use trm_firmware_host::kiosk::config::{SolverConfig, TimingConfig};
use trm_firmware_host::kiosk::models::Active;
use trm_firmware_host::kiosk::parts::{
    Camera, Corners, Device, Frame, Light, Parts, Puzzle, PuzzleSolver, Reader, Reading, Scene, Screen, Solution, Step,
    Unread, Verified,
};
use trm_firmware_host::vision::Refusal;
use trm_firmware_host::{HostError, Result};
use trm_puzzles::{Example, Generate as _, Grid, PuzzleKind, Sudoku, SudokuGenerator, Task as _};

/// Kind of a picture, by what happens with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A board that is read and solved.
    Good,
    /// A board that the solver gets wrong.
    Hard,
    /// A board that is never read with trust.
    Blurred,
    /// No board.
    Blank,
    /// The camera fails on it, three times.
    Broken,
    /// The camera fails on it, once.
    Torn,
    /// The solver fails on it.
    Fatal,
}

/// Record of what the fakes saw and did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Pictures dealt with.
    pub(crate) done: usize,
    /// Scenes in the order in which they were shown, repetitions left out.
    pub(crate) scenes: Vec<&'static str>,
    /// Answers shown as solved.
    pub(crate) solved: Vec<Grid>,
    pub(crate) lights: Vec<Light>,
    /// Cells that were marked as changed while solving.
    pub(crate) changed: usize,
    pub(crate) robot: usize,
    pub(crate) used: Vec<Active>,
}

pub(crate) type Shared = Rc<RefCell<Seen>>;

/// A folder of pictures, one of each kind after the other; ends after the last unless it repeats.
pub(crate) struct FakeCamera {
    pub(crate) kinds: Vec<Kind>,
    pub(crate) repeat: bool,
    pub(crate) seen: Shared,
    shown: Option<usize>,
    failures: usize,
}

impl FakeCamera {
    pub(crate) fn new(kinds: &[Kind], repeat: bool, seen: &Shared) -> Self {
        Self { kinds: kinds.to_vec(), repeat, seen: Rc::clone(seen), shown: None, failures: 0 }
    }
}

impl Camera for FakeCamera {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let index = self.seen.borrow().done;
        if index >= self.kinds.len() && !self.repeat {
            return Ok(None);
        }
        let kind = self.kinds[index % self.kinds.len()];
        let failures = match kind {
            Kind::Broken => 3,
            Kind::Torn => 1,
            _ => 0,
        };
        if self.failures < failures {
            self.failures += 1;
            return Err(HostError::Part { part: "picture", reason: "truncated".to_owned() });
        }
        let cut = self.shown != Some(index);
        self.shown = Some(index);
        let mut image = RgbImage::new(160, 120);
        // What the reader goes by, in place of the picture.
        image.get_pixel_mut(0, 0).0 = [(index % 20) as u8, kind as u8, 0];
        Ok(Some(Frame { name: format!("puzzle-{index:05}.jpg"), image, cut }))
    }

    fn puzzle_done(&mut self) {
        self.seen.borrow_mut().done += 1;
        self.failures = 0;
    }
}

pub(crate) fn task() -> Sudoku {
    Sudoku::new(2, 2).unwrap()
}

/// The twenty puzzles there are.
pub(crate) fn examples() -> Vec<Example> {
    let generator = SudokuGenerator::easy(task()).unwrap();
    let mut rng = trm_puzzles::seeded(7);
    (0..20).map(|_| generator.generate(&mut rng).unwrap()).collect()
}

pub(crate) struct FakeReader {
    pub(crate) examples: Vec<Example>,
    marker: u8,
}

const BOARD: Corners = [[10.0, 10.0], [110.0, 10.0], [110.0, 110.0], [10.0, 110.0]];

fn kind(frame: &Frame) -> u8 {
    frame.image.get_pixel(0, 0).0[1]
}

impl Reader for FakeReader {
    fn locate(&mut self, frame: &Frame) -> Result<Option<Corners>> {
        Ok((kind(frame) != Kind::Blank as u8).then_some(BOARD))
    }

    fn read(&mut self, frame: &Frame) -> Result<Reading> {
        let [index, ..] = frame.image.get_pixel(0, 0).0;
        let trusted = kind(frame) != Kind::Blurred as u8;
        let mut grid = self.examples[usize::from(index)].puzzle.clone();
        self.marker = kind(frame);
        if self.marker == Kind::Hard as u8 || self.marker == Kind::Fatal as u8 {
            // A puzzle that the solver does not know: it has no givens.
            grid.cells_mut().fill(if self.marker == Kind::Hard as u8 { 0 } else { 9 });
        }
        Ok(Reading {
            corners: Some(BOARD),
            confidence: vec![0.9; 16],
            doubtful: if trusted { Vec::new() } else { vec![3] },
            refusal: (!trusted).then_some(Unread::Board(Refusal::Doubtful)),
            puzzle: Some(Puzzle { kind: PuzzleKind::Sudoku(task()), grid }),
            trusted,
        })
    }
}

pub(crate) struct FakeSolver {
    pub(crate) examples: Vec<Example>,
    pub(crate) seen: Shared,
    /// Time for each step.
    pub(crate) step: Duration,
}

impl PuzzleSolver for FakeSolver {
    fn solve(&mut self, puzzle: &Puzzle, on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<Solution> {
        let puzzle = &puzzle.grid;
        if puzzle.cells()[0] == 9 {
            return Err(HostError::Part { part: "engine", reason: "out of memory".to_owned() });
        }
        let known = self.examples.iter().find(|example| &example.puzzle == puzzle);
        let mut answer = puzzle.clone();
        let mut steps = 0;
        for (number, row) in (0..4).map(|row| (row + 1, row)) {
            for column in 0..4 {
                // All ones for a puzzle it does not know: wrong, and full.
                answer.cells_mut()[row * 4 + column] =
                    known.map_or(1, |known| known.solution.cells()[row * 4 + column]);
            }
            steps = number;
            std::thread::sleep(self.step);
            if on_step(Step { number, grid: &answer }).is_break() {
                break;
            }
        }
        Ok(Solution { verdict: task().verify(puzzle, &answer), answer, steps, time: Duration::ZERO })
    }

    fn use_models(&mut self, active: &Active) -> Result<()> {
        self.seen.borrow_mut().used.push(active.clone());
        Ok(())
    }
}

pub(crate) struct FakeScreen {
    pub(crate) seen: Shared,
}

impl Screen for FakeScreen {
    fn show(&mut self, scene: &Scene<'_>) -> Result<()> {
        let mut seen = self.seen.borrow_mut();
        // Steady memory is tested over thousands of puzzles: the log must not be what grows.
        if seen.scenes.last() != Some(&scene.name()) && seen.scenes.len() < 1_000 {
            seen.scenes.push(scene.name());
        }
        match scene {
            Scene::Solving { changed, .. } => seen.changed += changed.len(),
            Scene::Solved(verified) => {
                assert!(task().verify(&verified.puzzle().grid, &verified.solution().answer).is_verified());
                if seen.solved.len() < 1_000 {
                    let answer = verified.solution().answer.clone();
                    seen.solved.push(answer);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A microcontroller that answers while `alive` says so.
pub(crate) struct FakeDevice<'a> {
    pub(crate) seen: Shared,
    pub(crate) alive: &'a AtomicBool,
}

impl Device for FakeDevice<'_> {
    fn heartbeat(&mut self) -> Result<()> {
        if self.alive.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(HostError::Part { part: "link", reason: "no answer within 200 ms".to_owned() })
        }
    }

    fn light(&mut self, light: Light) -> Result<()> {
        let mut seen = self.seen.borrow_mut();
        if seen.lights.len() < 1_000 {
            seen.lights.push(light);
        }
        Ok(())
    }

    fn solved(&mut self, _: &Verified<'_>) -> Result<()> {
        self.seen.borrow_mut().robot += 1;
        Ok(())
    }
}

/// Parts over pictures of these kinds.
pub(crate) fn parts<'a>(kinds: &[Kind], repeat: bool, seen: &Shared) -> Parts<'a> {
    let examples = examples();
    Parts {
        camera: Box::new(FakeCamera::new(kinds, repeat, seen)),
        reader: Box::new(FakeReader { examples: examples.clone(), marker: 0 }),
        solver: Box::new(FakeSolver { examples, seen: Rc::clone(seen), step: Duration::ZERO }),
        screen: Box::new(FakeScreen { seen: Rc::clone(seen) }),
        device: None,
        self_test: None,
        status: Box::new(()),
    }
}

/// As fast as it goes.
pub(crate) fn settings() -> Settings {
    Settings {
        timing: TimingConfig {
            frame_ms: 0,
            still_frames: 1,
            read_frames: 2,
            step_ms: 0,
            show_ms: 0,
            error_ms: 0,
            no_board_ms: 1,
            ..TimingConfig::default()
        },
        solver: SolverConfig::default(),
        device_heartbeat: Duration::ZERO,
        once: false,
    }
}

pub(crate) fn no_log(_: &str) {}

/// This test program, started again to run one of its ignored tests as a process of its own.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads", "1"]);
    command
}

/// An argument for the child.
pub(crate) fn child_argument(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("started by another test, with {name} set"))
}
