//! The loop and the microcontroller: signs of life, the button, the lights.

use std::time::Instant;

use super::Kiosk;
use crate::kiosk::machine::Event;
use crate::kiosk::parts::Device;
use crate::{HostError, Result};

/// State of the microcontroller, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    asked: Instant,
    alive: bool,
}

impl<'a> Kiosk<'a> {
    /// Asks the device for a sign of life when it is time, and for its button. True when there is no device, or it lives.
    pub(super) fn ask_device(&mut self) -> bool {
        let Some(device) = &mut self.parts.device else { return true };
        let before = self.link;
        let due = before.is_none_or(|link| link.asked.elapsed() >= self.settings.device_heartbeat);
        if due {
            let asked = Instant::now();
            let result = device.heartbeat();
            self.link = Some(Link { asked, alive: result.is_ok() });
            match result {
                Ok(()) => {
                    self.works("device");
                    if before.is_some_and(|link| !link.alive) {
                        // It may have been switched off in between.
                        let light = self.light;
                        self.tell_device(|device| device.light(light));
                    }
                }
                Err(error) => self.link_failed(&error),
            }
        }
        let alive = self.link.is_some_and(|link| link.alive);
        if alive && let Some(device) = &mut self.parts.device {
            match device.button() {
                Ok(true) => self.fire(Event::Button),
                Ok(false) => {}
                Err(error) => self.link_failed(&error),
            }
        }
        alive
    }

    pub(super) fn tell_device(&mut self, tell: impl FnOnce(&mut (dyn Device + 'a)) -> Result<()>) {
        // A device that does not answer is told when it does: a turn is not held up by one deadline after the other.
        if self.link.is_some_and(|link| !link.alive) {
            return;
        }
        if let Some(device) = &mut self.parts.device
            && let Err(error) = tell(device.as_mut())
        {
            self.link_failed(&error);
        }
    }

    pub(super) fn link_failed(&mut self, error: &HostError) {
        self.metrics.link_errors.inc();
        self.trouble("device", error);
        self.link = Some(Link { asked: self.link.map_or_else(Instant::now, |link| link.asked), alive: false });
    }
}
