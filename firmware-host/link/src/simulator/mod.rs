//! A device on a pseudo-terminal: the firmware's own state machine, a panel in memory, a robot on an empty floor, and a
//! line that can be made to lose, garble, delay and disconnect.

mod faults;
mod pty;
mod robot;
mod screen;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use faults::Dice;
pub use faults::{FaultCounts, Faults};
use pty::Pty;
pub use robot::Robot;
pub use screen::Screen;
use tempfile::TempDir;
use trm_pictures::write_png;
use trm_plan::Pose;
use trm_protocol::device::Device;
use trm_protocol::{Capabilities, DeviceEvent, Firmware, MAX_FRAME, Panel, PixelFormat};

use crate::{LinkError, Result};

/// Longest time between two looks at the line: a device ticks this often.
const TICK: Duration = Duration::from_millis(5);
/// A picture is written at most this often.
const PICTURE: Duration = Duration::from_millis(200);
/// Bytes taken from the line at once, and so how finely it is paced: 2.8 ms at 921,600 baud.
const PIECE: usize = 256;
/// Time that the line may catch up after its thread slept too long: a UART goes on meanwhile.
const CATCH_UP: Duration = Duration::from_millis(4);
/// Bits on the wire for a byte, with start and stop bit.
const BITS: f64 = 10.0;

/// Settings of a simulated device.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorOptions {
    /// The panel.
    pub panel: Panel,
    /// Speed of the line from the host, in bits a second; `None` for as fast as it goes.
    pub baud_rate: Option<u32>,
    /// Faults of the line and the device.
    pub faults: Faults,
    /// Where the panel's picture is kept up to date.
    pub png: Option<PathBuf>,
    /// Name of the port, a symbolic link; `None` for one in a temporary folder.
    pub link: Option<PathBuf>,
    /// Remember a mark of every command that was carried out, for [`Simulator::journal`].
    pub journal: bool,
    /// The robot; `None` for a device without motors.
    pub robot: Option<RobotOptions>,
}

/// Settings of a simulated robot.
#[derive(Debug, Clone, PartialEq)]
pub struct RobotOptions {
    /// Where it stands, and believes to stand, when it is switched on.
    pub pose: Pose,
    /// `true` if it takes waypoints; otherwise drives and turns alone.
    pub waypoints: bool,
    /// Where its track is kept while it runs, as CSV: `seconds,x_m,y_m,yaw_rad`, where it really is.
    pub track: Option<PathBuf>,
}

impl Default for RobotOptions {
    fn default() -> Self {
        Self { pose: Pose::default(), waypoints: true, track: None }
    }
}

impl Default for SimulatorOptions {
    fn default() -> Self {
        Self {
            panel: Panel { width: 240, height: 240, format: PixelFormat::Rgb565 },
            baud_rate: Some(super::serial::BAUD_RATE),
            faults: Faults::default(),
            png: None,
            link: None,
            journal: false,
            robot: Some(RobotOptions::default()),
        }
    }
}

/// A running device. Dropping it switches it off.
#[derive(Debug)]
pub struct Simulator {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    _folder: Option<TempDir>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    screen: Mutex<Screen>,
    counts: Mutex<FaultCounts>,
    presses: Mutex<Vec<DeviceEvent>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// Opens the pseudo-terminal and starts the device.
    ///
    /// # Errors
    /// [`LinkError::Io`] when the pseudo-terminal, its link, the robot's track or the thread cannot be made.
    pub fn start(options: SimulatorOptions) -> Result<Self> {
        let io_error = |path: &Path, action| {
            let path = path.to_path_buf();
            move |source| LinkError::Io { path, action, source }
        };
        let (path, folder) = if let Some(path) = &options.link {
            (path.clone(), None)
        } else {
            let folder = tempfile::Builder::new().prefix("trm-host-").tempdir();
            let folder = folder.map_err(io_error(&std::env::temp_dir(), "create a folder"))?;
            (folder.path().join("tty"), Some(folder))
        };
        let pty = Pty::open(&path).map_err(io_error(&path, "open a pseudo-terminal"))?;
        let capabilities = Capabilities {
            panel: Some(options.panel),
            leds: 16,
            buttons: 4,
            motors: options.robot.is_some(),
            window: 8,
            silence_ms: 1000,
        };
        let robot = options.robot.clone().unwrap_or_default();
        let track = robot.track.as_ref().map(|path| Track::create(path)).transpose()?;
        let robot = Robot::new(robot.pose, robot.waypoints, track.is_some());
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            screen: Mutex::new(Screen::new(options.panel, capabilities.leds, robot, options.journal)),
            counts: Mutex::default(),
            presses: Mutex::default(),
        });
        let mut chip = Chip {
            device: power_up(capabilities),
            capabilities,
            dice: Dice::new(options.faults),
            line: Line { pty: Some(pty), path: path.clone(), partial: Vec::new(), clock: Instant::now() },
            options,
            shared: Arc::clone(&shared),
            started: Instant::now(),
            track,
            drawn: None,
        };
        let thread = thread::Builder::new().name("device".to_owned()).spawn(move || chip.run());
        let thread = Some(thread.map_err(io_error(&path, "start a thread"))?);
        Ok(Self { path, shared, thread, _folder: folder })
    }

    /// The port. It stays the same when the line is unplugged and comes back.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a copy of what the device shows and does now.
    #[must_use]
    pub fn screen(&self) -> Screen {
        lock(&self.shared.screen).clone()
    }

    /// Faults so far.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        *lock(&self.shared.counts)
    }

    /// Marks of the commands that were carried out, in order, if the options ask for them.
    #[must_use]
    pub fn journal(&self) -> Vec<u32> {
        lock(&self.shared.screen).journal.clone().unwrap_or_default()
    }

    /// Presses or lets go of a button.
    pub fn button(&self, index: u8, pressed: bool) {
        lock(&self.shared.presses).push(DeviceEvent::Button { index, pressed });
    }

    /// `true` while the device runs; it ends by itself only when its line or picture fails.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Switches the device off, after writing its last picture.
    ///
    /// # Errors
    /// The error that the device had failed with: of its line, its picture or its track.
    pub fn stop(mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            _ => Ok(()),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn power_up(capabilities: Capabilities) -> Device {
    Device::new(Firmware { name: "trm-host simulator", version: [0, 1, 0] }, capabilities)
}

/// The file of a robot's track, which grows as it goes: a simulator that is killed leaves what there was.
#[derive(Debug)]
struct Track {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Track {
    fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).and_then(|mut file| {
            file.write_all(b"seconds,x_m,y_m,yaw_rad\n")?;
            Ok(BufWriter::new(file))
        });
        Ok(Self { path: path.to_path_buf(), file: file.map_err(LinkError::io("create", path))? })
    }

    fn write(&mut self, points: &[(f64, Pose)]) -> Result<()> {
        let lines = points
            .iter()
            .try_for_each(|(seconds, Pose { x, y, yaw })| writeln!(self.file, "{seconds:.3},{x:.6},{y:.6},{yaw:.6}"));
        lines.and_then(|()| self.file.flush()).map_err(LinkError::io("write", &self.path))
    }
}

/// The line from the host, paced.
struct Line {
    pty: Option<Pty>,
    path: PathBuf,
    /// A frame that is not complete yet.
    partial: Vec<u8>,
    /// When the last byte had arrived.
    clock: Instant,
}

impl Line {
    /// Takes bytes, not before a line of this speed has carried them, and gives the frames that end with them.
    fn receive(&mut self, baud_rate: Option<u32>) -> io::Result<Vec<Vec<u8>>> {
        let mut buffer = [0; PIECE];
        let Some(pty) = &mut self.pty else { return Ok(Vec::new()) };
        let length = pty.read(&mut buffer, TICK)?;
        if let (Some(baud_rate), true) = (baud_rate, length > 0) {
            let now = Instant::now();
            let begin = self.clock.max(now.checked_sub(CATCH_UP).unwrap_or(now));
            self.clock = begin + Duration::from_secs_f64(length as f64 * BITS / f64::from(baud_rate));
            thread::sleep(self.clock.saturating_duration_since(now));
        }
        let mut frames = Vec::new();
        for &byte in &buffer[..length] {
            self.partial.push(byte);
            // A delimiter is before every frame as well: that alone is none. Without any, it is noise.
            if (byte == 0 && self.partial.len() > 1) || self.partial.len() > 2 * MAX_FRAME {
                frames.push(std::mem::take(&mut self.partial));
            }
        }
        Ok(frames)
    }
}

/// The device's thread.
struct Chip {
    device: Device,
    capabilities: Capabilities,
    dice: Dice,
    line: Line,
    options: SimulatorOptions,
    shared: Arc<Shared>,
    started: Instant,
    track: Option<Track>,
    drawn: Option<Instant>,
}

impl Chip {
    fn run(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        while !shared.stop.load(Ordering::Relaxed) {
            self.turn().map_err(|source| LinkError::Io { path: self.line.path.clone(), action: "simulate", source })?;
            self.log_track()?;
            self.draw(false)?;
        }
        self.log_track()?;
        self.draw(true)
    }

    fn now_ms(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    /// Runs a firmware's loop once, with the faults that befall it.
    fn turn(&mut self) -> io::Result<()> {
        for frame in self.line.receive(self.options.baud_rate)? {
            let mut counts = lock(&self.shared.counts);
            counts.frames += 1;
            let unplug = self.dice.faults.disconnect_every;
            if unplug > 0 && counts.frames.is_multiple_of(u64::from(unplug)) {
                counts.disconnects += 1;
                drop(counts);
                return self.unplug();
            }
            let stall = self.dice.stall();
            counts.stalls += u64::from(stall.is_some());
            let frame = self.dice.carry(frame, &mut counts);
            drop(counts);
            if let Some(stall) = stall {
                thread::sleep(stall);
            }
            let now = self.now_ms();
            self.device.receive(&frame.unwrap_or_default(), now, &mut *lock(&self.shared.screen));
            self.answer();
        }
        self.roll();
        for event in std::mem::take(&mut *lock(&self.shared.presses)) {
            self.device.report(event);
        }
        self.device.tick(self.now_ms(), &mut *lock(&self.shared.screen));
        self.answer();
        Ok(())
    }

    /// The robot goes on, whatever befalls the line.
    fn roll(&mut self) {
        if lock(&self.shared.screen).roll() {
            self.device.report(DeviceEvent::Arrived);
        }
    }

    fn log_track(&mut self) -> Result<()> {
        let Some(track) = &mut self.track else { return Ok(()) };
        let points = lock(&self.shared.screen).robot.take_track();
        track.write(&points)
    }

    fn answer(&mut self) {
        let frames = std::mem::take(&mut lock(&self.shared.screen).outgoing);
        for frame in frames {
            let frame = self.dice.carry(frame, &mut lock(&self.shared.counts));
            if let (Some(pty), Some(frame)) = (&mut self.line.pty, frame) {
                pty.write(&frame);
            }
        }
    }

    /// The line goes away and comes back; meanwhile the device runs on, or not.
    fn unplug(&mut self) -> io::Result<()> {
        self.line.pty = None;
        self.line.partial.clear();
        let _ = std::fs::remove_file(&self.line.path);
        if self.dice.faults.restart {
            self.device = power_up(self.capabilities);
            lock(&self.shared.screen).power_up();
        }
        let back = Instant::now() + self.dice.faults.offline;
        while Instant::now() < back && !self.shared.stop.load(Ordering::Relaxed) {
            thread::sleep(TICK);
            self.roll();
            self.device.tick(self.now_ms(), &mut *lock(&self.shared.screen));
            lock(&self.shared.screen).outgoing.clear();
        }
        self.line.pty = Some(Pty::open(&self.line.path)?);
        Ok(())
    }

    /// Writes the panel's picture if it has changed, now and then or at the end.
    fn draw(&mut self, last: bool) -> Result<()> {
        let Some(path) = &self.options.png else { return Ok(()) };
        if !last && self.drawn.is_some_and(|drawn| drawn.elapsed() < PICTURE) {
            return Ok(());
        }
        let picture = {
            let mut screen = lock(&self.shared.screen);
            if !std::mem::take(&mut screen.changed) {
                return Ok(());
            }
            screen.picture()
        };
        write_png(path, &picture)?;
        self.drawn = Some(Instant::now());
        Ok(())
    }
}
