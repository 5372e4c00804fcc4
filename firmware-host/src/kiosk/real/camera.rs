//! Sources of pictures as cameras, each on a thread of its own: a pipe that stalls, a driver that hangs or a picture that
//! takes long to decode keeps the loop waiting only as long as it wants to wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use crate::kiosk::config::CameraConfig;
use crate::kiosk::parts::{Camera, Frame};
use crate::kiosk::{Metrics, Stills};
use crate::vision::source::{FrameSource, SourceSpec};
use crate::{HostError, Result};

/// A camera that gives no picture for this long has failed, and is waited for again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time that a start waits to hear that a camera cannot be opened. A pipe that nobody writes to yet opens later.
const OPENING: Duration = Duration::from_secs(2);
/// The loop looks this often whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// Opens the camera that the settings name. Pictures that are passed over are remarked among the `metrics`' troubles.
/// Waiting for a picture ends when `stop` becomes true.
///
/// # Errors
/// When there is none, or it cannot be opened. A folder of pictures that is not there is waited for, unless `once`.
pub fn open_camera(
    config: &CameraConfig,
    once: bool,
    metrics: &Arc<Metrics>,
    stop: &'static AtomicBool,
) -> Result<Box<dyn Camera>> {
    let mut source = Background::start(spec(config), Arc::clone(metrics), stop)?;
    let folder = matches!(config, CameraConfig::Pictures { .. });
    if !folder || once {
        source.opened()?;
    }
    if !folder {
        return Ok(Box::new(Stream(source)));
    }
    Ok(Box::new(Stills::new(move || source.next())))
}

fn spec(config: &CameraConfig) -> SourceSpec {
    match config {
        CameraConfig::Pictures { path, .. } if path.is_file() => SourceSpec::Picture(path.clone()),
        CameraConfig::Pictures { path, repeat } => SourceSpec::Folder { path: path.clone(), repeat: *repeat },
        CameraConfig::Mjpeg { path } => SourceSpec::Mjpeg { path: path.clone() },
        &CameraConfig::Raw { ref path, width, height, pixels } => {
            SourceSpec::Raw { path: path.clone(), width, height, pixels: pixels.into() }
        }
        &CameraConfig::V4l2 { ref path, width, height } => SourceSpec::V4l2 { path: path.clone(), width, height },
    }
}

/// A stream: whatever comes next.
struct Stream(Background);

impl Camera for Stream {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        self.0.next()
    }
}

/// A message of the source's thread.
enum Told {
    /// The source is open.
    Opened,
    /// It cannot be opened; the next request tries again.
    NotOpened(HostError),
    /// A picture, or why there is none, and what was passed over on the way.
    Picture(Result<Option<Frame>>, Vec<String>),
}

/// A source on its thread. It reads a picture when it is asked for one, never ahead.
struct Background {
    name: String,
    requests: SyncSender<()>,
    told: Receiver<Told>,
    /// The thread is at work on a request.
    asked: bool,
    metrics: Arc<Metrics>,
    stop: &'static AtomicBool,
}

impl Background {
    fn start(spec: SourceSpec, metrics: Arc<Metrics>, stop: &'static AtomicBool) -> Result<Self> {
        let (requests, asked) = mpsc::sync_channel(1);
        let (tell, told) = mpsc::sync_channel(1);
        let name = spec.to_string();
        // It is not waited for when the kiosk ends: it may be where nobody can call it back from.
        std::thread::Builder::new()
            .name("camera".to_owned())
            .spawn(move || work(&spec, &asked, &tell))
            .map_err(|error| HostError::Part { part: "camera", reason: error.to_string() })?;
        Ok(Self { name, requests, told, asked: true, metrics, stop })
    }

    /// Waits a moment for the source to be opened.
    fn opened(&mut self) -> Result<()> {
        match self.wait(OPENING) {
            Some(Told::NotOpened(error)) => Err(error),
            Some(Told::Opened | Told::Picture(..)) | None => Ok(()),
        }
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if !self.asked {
                // A thread that is gone is noticed below.
                self.asked = self.requests.send(()).is_ok();
            }
            match self.wait(PATIENCE) {
                Some(Told::Opened) => {}
                Some(Told::NotOpened(error)) => return Err(error),
                Some(Told::Picture(picture, passed_over)) => {
                    for line in passed_over {
                        self.metrics.troubles.remark("camera", "passed-over", &line);
                    }
                    return picture;
                }
                None if self.stop.load(Ordering::Relaxed) => return Err(self.failed("the kiosk ends")),
                None if !self.asked => return Err(self.failed("its thread has ended")),
                None => return Err(self.failed(&format!("no picture came within {} s", PATIENCE.as_secs()))),
            }
        }
    }

    fn failed(&self, reason: &str) -> HostError {
        HostError::Source {
            name: self.name.clone(),
            reason: reason.to_owned(),
            hint: "is the camera plugged in, and does whatever feeds the pipe run?",
        }
    }

    /// The next message of the thread within `patience`, unless the kiosk is to end.
    fn wait(&mut self, patience: Duration) -> Option<Told> {
        let until = Instant::now() + patience;
        while !self.stop.load(Ordering::Relaxed) {
            let left = until.saturating_duration_since(Instant::now());
            match self.told.recv_timeout(left.min(LOOK)) {
                Ok(told) => {
                    self.asked = false;
                    return Some(told);
                }
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return None,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.asked = false;
                    return None;
                }
            }
        }
        None
    }
}

/// The thread: opens the source, then reads a picture for each request, until nobody asks any more.
fn work(spec: &SourceSpec, requests: &Receiver<()>, tell: &SyncSender<Told>) {
    let mut source: Option<Box<dyn FrameSource>> = None;
    loop {
        let told = match &mut source {
            Some(source) => {
                let picture = source.next_frame();
                Told::Picture(picture, source.take_warnings())
            }
            None => match spec.open() {
                Ok(opened) => {
                    source = Some(opened);
                    Told::Opened
                }
                Err(error) => Told::NotOpened(error),
            },
        };
        if tell.send(told).is_err() || requests.recv().is_err() {
            return;
        }
    }
}
