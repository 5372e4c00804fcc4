//! The microcontroller's panel, drawn by a thread of its own: a slow line shows the newest picture, and holds nobody up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use embedded_graphics::geometry::OriginDimensions;
use trm_link::{self, Client, LinkError, Pixels, Update, ended_within};
use trm_protocol::PixelFormat;

use crate::display::panel::PanelInk;
use crate::display::{Canvas, Panel, PanelSink};
use crate::{HostError, Result};

/// Time between the thread's looks whether the link came back.
const LOOK: Duration = Duration::from_millis(100);

/// The longest time for the last picture when the kiosk ends.
const LAST_PICTURE: Duration = Duration::from_millis(300);

/// Pixels of the largest rectangle that is given to the link at once: as much as its queue holds, or less.
const MOST_PIXELS: usize = 8 * 1024;

/// A panel behind a link.
///
/// Pictures that come faster than the line carries them are left out, but for the newest. After a lost connection all
/// of it is drawn again.
#[derive(Debug)]
pub struct PanelScreen<C> {
    shared: Arc<Shared<C>>,
    client: Arc<Client>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<C> {
    slot: Mutex<Slot<C>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Slot<C> {
    /// The picture to be shown next.
    next: Option<Canvas<C>>,
    /// The failure since somebody last asked.
    failure: Option<HostError>,
    stop: bool,
}

impl<C> Shared<C> {
    fn slot(&self) -> MutexGuard<'_, Slot<C>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: PanelInk + Send + 'static> PanelScreen<C> {
    /// The panel of the device that `client` is, or will be, connected to.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(client: Arc<Client>) -> Result<Self> {
        let slot = Mutex::new(Slot { next: None, failure: None, stop: false });
        let shared = Arc::new(Shared { slot, changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let mut painter = Painter::new(Arc::clone(&client), theirs);
        let thread = thread::Builder::new().name("panel".to_owned()).spawn(move || painter.run());
        let thread = thread.map_err(HostError::io("start a thread for", client.port()))?;
        Ok(Self { shared, client, thread: Some(thread) })
    }

    /// Shows a picture as soon as the line allows.
    ///
    /// # Errors
    /// With what went wrong with the pictures before. A device that is not connected is not spoken of here: it will
    /// get the picture when it comes back.
    pub fn show(&self, canvas: Canvas<C>) -> Result<()> {
        let mut slot = self.shared.slot();
        slot.next = Some(canvas);
        let failure = slot.failure.take();
        drop(slot);
        self.shared.changed.notify_all();
        failure.map_or(Ok(()), Err)
    }
}

impl<C> Drop for PanelScreen<C> {
    /// The last picture is still drawn, if there is a connection that takes it soon. Else the link is closed, which ends
    /// all waiting for it.
    fn drop(&mut self) {
        self.shared.slot().stop = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else { return };
        if !ended_within(&thread, LAST_PICTURE) {
            self.client.close();
        }
        // A line that even now does not let go is not waited for.
        if ended_within(&thread, LAST_PICTURE) {
            // It does not panic; if it did, there is nothing left to do.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Painter<C> {
    client: Arc<Client>,
    shared: Arc<Shared<C>>,
    panel: Panel<C>,
    /// The picture that is, or should be, on the panel.
    wanted: Option<Canvas<C>>,
    /// `true` if `wanted` is on it.
    drawn: bool,
    /// Connections when it was drawn.
    reconnects: u64,
}

impl<C: PanelInk> Painter<C> {
    fn new(client: Arc<Client>, shared: Arc<Shared<C>>) -> Self {
        let reconnects = client.stats().reconnects;
        Self { client, shared, panel: Panel::new(MOST_PIXELS), wanted: None, drawn: false, reconnects }
    }

    fn run(&mut self) {
        loop {
            let stop = self.wait();
            self.paint();
            if stop {
                return;
            }
        }
    }

    /// Waits for a picture, up to the next look at the link; tells whether to end.
    fn wait(&mut self) -> bool {
        let slot = self.shared.slot();
        let idle = |slot: &mut Slot<C>| slot.next.is_none() && !slot.stop;
        let waited = self.shared.changed.wait_timeout_while(slot, LOOK, idle);
        let mut slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        if let Some(next) = slot.next.take() {
            self.wanted = Some(next);
            self.drawn = false;
        }
        slot.stop
    }

    fn paint(&mut self) {
        if !self.client.is_connected() {
            return;
        }
        let reconnects = self.client.stats().reconnects;
        if reconnects != self.reconnects {
            // The device may have lost power, and its picture with it.
            self.reconnects = reconnects;
            self.panel.forget();
            self.drawn = false;
        }
        let Some(canvas) = self.wanted.as_ref().filter(|_| !self.drawn) else { return };
        match update(&self.client, &mut self.panel, canvas) {
            Ok(()) => self.drawn = true,
            Err(error) => {
                // A panel of the wrong size stays one: it is not tried again before the next picture.
                self.drawn = matches!(error, HostError::Link(LinkError::PanelMismatch { .. }));
                self.shared.slot().failure = Some(error);
            }
        }
    }
}

fn update<C: PanelInk>(client: &Client, panel: &mut Panel<C>, canvas: &Canvas<C>) -> Result<()> {
    let there = trm_link::Panel::new(client)?;
    let (info, size) = (there.info(), canvas.size());
    let format = if C::SHADES { PixelFormat::Rgb565 } else { PixelFormat::Mono };
    if (u32::from(info.width), u32::from(info.height), info.format) != (size.width, size.height, format) {
        let bits = if info.format == PixelFormat::Mono { " of one bit" } else { "" };
        return Err(LinkError::PanelMismatch {
            reason: format!(
                "the theme has {}x{} pixels, the device {}x{}{bits}",
                size.width, size.height, info.width, info.height
            ),
        }
        .into());
    }
    let mut line = Line { panel: there, updates: Vec::new() };
    let sent = panel.update(canvas, &mut line);
    let confirmed = line.updates.into_iter().map(Update::wait).fold(Ok(()), Result::and);
    if confirmed.is_err() {
        // It was taken for shown when it was sent.
        panel.forget();
    }
    sent?;
    Ok(confirmed?)
}

/// Takes rectangles to the link.
struct Line<'c> {
    panel: trm_link::Panel<'c>,
    updates: Vec<Update>,
}

impl PanelSink for Line<'_> {
    type Error = HostError;

    fn rectangle(&mut self, x: u16, y: u16, w: u16, h: u16, pixels: &[u16]) -> Result<()> {
        self.updates.push(self.panel.draw(x, y, w, h, Pixels::Rgb565(pixels))?);
        Ok(())
    }

    fn mono(&mut self, x: u16, y: u16, w: u16, h: u16, bits: &[u8]) -> Result<()> {
        self.updates.push(self.panel.draw(x, y, w, h, Pixels::Mono(bits))?);
        Ok(())
    }
}
