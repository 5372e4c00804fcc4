//! The loop: takes a frame, asks the part whose turn it is, tells the machine, does what it says. One thread.
//!
//! A turn takes exactly one frame, whatever the state, so that a camera that has gone is noticed within a turn. A turn that
//! took a frame, with a device that has answered if there is one, is the heartbeat that `/healthz` and systemd's watchdog
//! go by.

mod keep;
mod link;
mod swap;
mod trouble;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::keep::{Found, Keep};
use self::link::Link;
use self::swap::names;
use self::trouble::Failure;
use crate::Result;
use crate::kiosk::config::{KioskConfig, SolverConfig, TimingConfig, ms};
use crate::kiosk::machine::{Action, Event, Outcome, State, Timer, View};
use crate::kiosk::metrics::Metrics;
use crate::kiosk::models::{Active, ModelStore};
use crate::kiosk::parts::{Corners, Frame, Light, Parts, Puzzle, Reading, Scene, Solution, Step, Tracker, Verified};
use crate::kiosk::state::{KioskState, LastPuzzle};
use crate::kiosk::status::Status;
use crate::kiosk::systemd::Supervisor;

/// Time between looks at `models/`.
const MODELS_EVERY: Duration = Duration::from_secs(1);
/// The loop never sleeps longer without looking whether it is to end.
const NAP: Duration = Duration::from_millis(50);
/// The camera has failed when it gives no frame this many times in a row: one torn picture of a stream is no reason to take a
/// visitor's answer off the display.
const CAMERA_FAILURES: u32 = 3;
/// A failing camera is asked again after this long.
const CAMERA_RETRY: Duration = Duration::from_millis(20);

/// Settings of the loop.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Times and counts.
    pub timing: TimingConfig,
    /// Limits of the solver.
    pub solver: SolverConfig,
    /// Time between the device's heartbeats.
    pub device_heartbeat: Duration,
    /// End after the first puzzle.
    pub once: bool,
}

impl Settings {
    /// Takes the settings of a file.
    #[must_use]
    pub fn new(config: &KioskConfig, once: bool) -> Self {
        Self {
            timing: config.timing.clone(),
            solver: config.solver.clone(),
            device_heartbeat: ms(config.device.as_ref().map_or(1_000, |device| device.heartbeat_ms)),
            once,
        }
    }
}

/// The reason why a kiosk has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was asked to, by a signal.
    Stopped,
    /// The camera has no more frames.
    SourceEnded,
    /// The one puzzle it was started for was dealt with.
    Once,
}

/// End of a kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The reason.
    pub end: End,
    /// Puzzles answered, verified, since this start.
    pub solved: u64,
    /// Puzzles dealt with in another way.
    pub others: u64,
}

/// The running appliance.
#[derive(Debug)]
pub struct Kiosk<'a> {
    parts: Parts<'a>,
    settings: Settings,
    metrics: Arc<Metrics>,
    keep: Keep,
    kept: KioskState,
    /// `None` while they, or the state folder, cannot be used.
    models: Option<ModelStore>,
    testing: swap::Testing,
    in_use: Active,
    models_checked: Instant,
    supervisor: Supervisor,
    stop: &'a AtomicBool,

    state: State,
    deadline: Option<Instant>,
    tracker: Tracker,
    camera_failures: u32,
    frame: Option<Frame>,
    corners: Option<Corners>,
    reading: Option<Reading>,
    solution: Option<Solution>,
    failure: Option<Failure>,
    light: Light,
    reading_since: Option<Instant>,
    link: Option<Link>,
    ended: Ended,
    once_done: bool,
}

impl<'a> Kiosk<'a> {
    /// Starts: opens the state, tests the active models and gives them to the solver, counts the start. `stop` ends
    /// the loop when it becomes true; `log` gets a line for whatever is worth one. A state folder that cannot be used is a
    /// trouble: the kiosk runs with the built-in models, counts in memory, and tries again.
    ///
    /// # Errors
    /// When another kiosk has the state folder.
    pub fn start(
        mut parts: Parts<'a>,
        settings: Settings,
        state_folder: &std::path::Path,
        metrics: Arc<Metrics>,
        stop: &'a AtomicBool,
        log: fn(&str),
    ) -> Result<Self> {
        metrics.troubles.log_to(log);
        let mut remarks = Vec::new();
        let Found { keep, mut kept, models, in_use } =
            Keep::open(state_folder, &mut parts, stop, &metrics, &mut remarks)?;
        kept.models = names(&in_use);
        kept.counters.starts += 1;
        let supervisor = Supervisor::from_env();
        let timeout = ms(settings.solver.timeout_ms);
        if let Some(limit) = supervisor.limit().filter(|&limit| limit <= timeout) {
            let (limit, timeout) = (limit.as_secs_f64(), timeout.as_secs_f64());
            remarks.push(format!(
                "WatchdogSec is {limit}, and the solver may take {timeout} s without a heartbeat: systemd will restart the \
                 kiosk over a hard puzzle"
            ));
        }
        for remark in &remarks {
            metrics.troubles.say(remark);
        }
        let now = Instant::now();
        let mut kiosk = Self {
            parts,
            settings,
            metrics,
            keep,
            kept,
            models,
            testing: swap::Testing::default(),
            in_use,
            models_checked: now,
            supervisor,
            stop,
            state: State::START,
            deadline: None,
            tracker: Tracker::default(),
            camera_failures: 0,
            frame: None,
            corners: None,
            reading: None,
            solution: None,
            failure: None,
            light: Light::Idle,
            reading_since: None,
            link: None,
            ended: Ended { end: End::Stopped, solved: 0, others: 0 },
            once_done: false,
        };
        kiosk.save();
        Ok(kiosk)
    }

    /// Turns until asked to stop, the camera ends, or the one puzzle is done; saves the state. Failures of parts do not
    /// end a kiosk.
    #[expect(clippy::must_use_candidate, reason = "most callers want what it does, not what it counted")]
    pub fn run(mut self) -> Ended {
        self.act(Action::Light(Light::Idle));
        self.act(Action::Show(View::Idle));
        self.act(Action::Timer(Timer::Idle));
        let end = loop {
            if self.stop.load(Ordering::Relaxed) {
                break End::Stopped;
            }
            let started = Instant::now();
            if self.turn().is_break() {
                break End::SourceEnded;
            }
            // The outcome stays on display.
            if self.once_done {
                break End::Once;
            }
            self.nap_until(started + ms(self.settings.timing.frame_ms));
        };
        self.act(Action::Light(Light::Idle));
        self.trouble_or("systemd", |kiosk| kiosk.supervisor.stopping());
        self.save();
        Ended { end, ..self.ended }
    }

    /// One turn; breaks when the camera has ended.
    fn turn(&mut self) -> ControlFlow<()> {
        let alive = self.ask_device();
        match self.parts.camera.next_frame() {
            Ok(None) => return ControlFlow::Break(()),
            Ok(Some(frame)) => {
                self.metrics.frames.inc();
                self.camera_failures = 0;
                self.works("camera");
                let cut = frame.cut;
                self.frame = Some(frame);
                if cut {
                    self.tracker.forget();
                    self.fire(Event::Cut);
                }
                self.work();
                // After the work: however slow the machine is, no picture is passed over that was not looked at.
                if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    self.deadline = None;
                    self.fire(Event::Timeout);
                }
                match self.parts.screen.tick() {
                    Ok(true) => self.works("screen"),
                    Ok(false) => {}
                    Err(error) => self.trouble("screen", &error),
                }
                if alive {
                    self.metrics.heartbeat();
                    self.trouble_or("systemd", |kiosk| kiosk.supervisor.heartbeat());
                }
            }
            // It was asked to stop while it waited for a frame.
            Err(_) if self.stop.load(Ordering::Relaxed) => {}
            Err(error) => {
                self.camera_failures += 1;
                if self.camera_failures < CAMERA_FAILURES {
                    self.trouble("camera", &error);
                } else {
                    self.failed("camera", &error);
                }
                self.nap_until(Instant::now() + CAMERA_RETRY);
            }
        }
        self.save_again();
        if matches!(self.state, State::Idle { .. }) && self.models_checked.elapsed() >= MODELS_EVERY {
            self.models_checked = Instant::now();
            self.look_for_models();
        }
        ControlFlow::Continue(())
    }

    /// Asks the part whose turn it is in this state, and tells the machine.
    fn work(&mut self) {
        let Some(frame) = &self.frame else { return };
        let started = Instant::now();
        match self.state {
            State::Idle { .. } | State::Aim { .. } => match self.parts.reader.locate(frame) {
                Ok(corners) => {
                    self.metrics.locate_seconds.observe(started.elapsed().as_secs_f64());
                    self.works("reader");
                    self.corners = corners;
                    let timing = &self.settings.timing;
                    if let Some(sight) = self.tracker.see(corners, timing.still_tolerance, timing.gone_frames) {
                        self.fire(Event::Sight(sight));
                    }
                }
                Err(error) => self.failed("reader", &error),
            },
            State::Read { .. } => match self.parts.reader.read(frame) {
                Ok(reading) => {
                    // A reading without a board has nothing that could be trusted, whatever it says.
                    let trusted = reading.trusted && reading.corners.is_some() && reading.puzzle.is_some();
                    self.metrics.read(trusted, started.elapsed());
                    self.works("reader");
                    self.reading = Some(reading);
                    self.fire(Event::Read { trusted });
                }
                Err(error) => self.failed("reader", &error),
            },
            State::Solve => self.solve(),
            State::Show(_) | State::Error { .. } => {}
        }
    }

    fn solve(&mut self) {
        let Some(Reading { puzzle: Some(puzzle), .. }) = &self.reading else { return };
        let (started, timeout) = (Instant::now(), ms(self.settings.solver.timeout_ms));
        let pace = ms(self.settings.timing.step_ms);
        let (screen, stop) = (&mut self.parts.screen, self.stop);
        let mut present = puzzle.grid.clone();
        let mut trouble = None;
        let mut on_step = |step: Step<'_>| {
            let shown = Instant::now();
            let pairs = present.cells().iter().zip(step.grid.cells()).enumerate();
            let changed: Vec<usize> = pairs.filter(|(_, (old, new))| old != new).map(|(index, _)| index).collect();
            present.clone_from(step.grid);
            let scene = Scene::Solving { puzzle, answer: step.grid, changed: &changed, step: step.number };
            trouble = screen.show(&scene).err().or(trouble.take());
            // Slow enough to be watched, until half of the time is gone.
            while shown.elapsed() < pace && started.elapsed() < timeout / 2 && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(pace.saturating_sub(shown.elapsed()).min(NAP));
            }
            let over = started.elapsed() >= timeout || stop.load(Ordering::Relaxed);
            if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let result = self.parts.solver.solve(puzzle, &mut on_step);
        if let Some(error) = trouble {
            self.trouble("screen", &error);
        }
        match result {
            Ok(solution) => {
                let verified = solution.verdict.is_verified();
                if !verified && self.stop.load(Ordering::Relaxed) {
                    // Broken off, which says nothing about the puzzle.
                    return;
                }
                self.metrics.solved(solution.verdict.as_str(), solution.steps, started.elapsed());
                self.works("solver");
                self.solution = Some(solution);
                self.fire(Event::Answered { verified });
            }
            Err(error) => self.failed("solver", &error),
        }
    }

    fn fire(&mut self, event: Event) {
        let (next, actions) = self.state.on(event, self.settings.timing.rules());
        let before = std::mem::replace(&mut self.state, next);
        for action in actions {
            self.act(action);
        }
        if before.name() != next.name() {
            self.metrics.set_state(next.name());
            if matches!(next, State::Read { .. }) {
                self.reading_since = Some(Instant::now());
            }
            self.publish();
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Show(view) => self.show(view),
            Action::Light(light) => {
                self.light = light;
                self.tell_device(|device| device.light(light));
            }
            Action::Timer(timer) => {
                let timing = &self.settings.timing;
                let time = match timer {
                    Timer::Idle => timing.no_board_ms,
                    Timer::Aim => timing.aim_ms,
                    Timer::Read => timing.read_ms,
                    // The solver is stopped by its steps; this is for one that takes none.
                    Timer::Solve => 2 * self.settings.solver.timeout_ms,
                    Timer::Show => timing.show_ms,
                    Timer::Error => timing.error_ms,
                };
                self.deadline = Some(Instant::now() + ms(time));
            }
            Action::Forget => {
                self.reading = None;
                self.solution = None;
                self.parts.reader.forget();
            }
            Action::NextPuzzle => self.parts.camera.puzzle_done(),
            Action::Record(outcome) => self.record(outcome),
        }
    }

    fn show(&mut self, view: View) {
        let Some(frame) = &self.frame else {
            // Before the first frame there is nothing to show but this.
            let result = self.parts.screen.show(&Scene::Idle);
            return result.unwrap_or_else(|error| self.trouble("screen", &error));
        };
        let scene = match (view, &self.reading, &self.solution) {
            (View::Aim, ..) => Scene::Aim { frame, corners: self.corners },
            (View::Reading, reading, _) => Scene::Reading { frame, reading: reading.as_ref() },
            (View::Refused, Some(reading), _) => Scene::Refused { frame, reading },
            // Refused before it was read at all.
            (View::Refused, None, _) => Scene::Reading { frame, reading: None },
            (View::Solving, Some(Reading { puzzle: Some(puzzle), .. }), _) => {
                Scene::Solving { puzzle, answer: &puzzle.grid, changed: &[], step: 0 }
            }
            (View::Solved | View::NotSolved, Some(Reading { puzzle: Some(puzzle), .. }), Some(solution)) => {
                // The machine says which of the two; the rules' verdict has the last word.
                match Verified::of(puzzle, solution) {
                    Some(verified) if view == View::Solved => Scene::Solved(verified),
                    _ => Scene::NotSolved { puzzle, answer: &solution.answer, verdict: &solution.verdict },
                }
            }
            (View::Error, ..) => match &self.failure {
                Some(Failure { part, text, hint }) => Scene::Error { part, text, hint: hint.as_deref() },
                None => Scene::Error { part: "kiosk", text: "", hint: None },
            },
            _ => Scene::Idle,
        };
        match self.parts.screen.show(&scene) {
            Ok(()) => self.works("screen"),
            Err(error) => self.trouble("screen", &error),
        }
    }

    fn record(&mut self, outcome: Outcome) {
        let (size, cells) = match self.reading.as_ref().and_then(|reading| reading.puzzle.as_ref()) {
            Some(Puzzle { grid, .. }) => (grid.size(), grid.cells().to_vec()),
            None => ((0, 0), Vec::new()),
        };
        let unix_time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        self.kept.last = Some(LastPuzzle { size, cells, outcome, unix_time });
        self.kept.counters.count(outcome);
        match outcome {
            Outcome::Solved => self.ended.solved += 1,
            Outcome::NotSolved | Outcome::Refused => self.ended.others += 1,
        }
        if outcome == Outcome::Refused {
            self.metrics.refused(self.reading.as_ref());
        }
        self.log_outcome(outcome);
        if let Some(since) = self.reading_since.take() {
            self.metrics.puzzle_seconds.observe(since.elapsed().as_secs_f64());
        }
        self.save();
        if let (Outcome::Solved, Some(Reading { puzzle: Some(puzzle), .. }), Some(solution)) =
            (outcome, &self.reading, &self.solution)
            && let (Some(verified), Some(device)) = (Verified::of(puzzle, solution), &mut self.parts.device)
            && let Err(error) = device.solved(&verified)
        {
            self.link_failed(&error);
        }
        self.once_done = self.settings.once;
    }

    fn publish(&mut self) {
        let failure = self.failure.as_ref().map(Failure::line);
        self.parts.status.publish(&Status::new(self.state.name(), &self.kept, failure));
    }

    fn nap_until(&self, until: Instant) {
        while !self.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(NAP));
        }
    }
}
