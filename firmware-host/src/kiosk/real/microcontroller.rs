//! The microcontroller's lights, button and signs of life.

use std::sync::Arc;
use std::time::Duration;

use trm_link::{Client, Ticket};
use trm_protocol::{Command, DeviceEvent};

use crate::Result;
use crate::kiosk::parts::{Device, Light};

/// A microcontroller behind a link that keeps itself up.
///
/// Lights are set without waiting, also when the line does not keep up: what became of the commands is told by the
/// next [`heartbeat`](Device::heartbeat).
#[derive(Debug)]
pub struct Microcontroller {
    client: Arc<Client>,
    light: Option<Light>,
    waiting: Vec<Ticket>,
    /// Connections up to the last heartbeat.
    reconnects: u64,
}

impl Microcontroller {
    /// The device that `client` is, or will be, connected to.
    #[must_use]
    pub fn new(client: Arc<Client>) -> Self {
        let reconnects = client.stats().reconnects;
        Self { client, light: None, waiting: Vec::new(), reconnects }
    }

    fn set(&mut self, light: Light) -> Result<()> {
        let leds = self.client.device().map_or(0, |device| device.capabilities.leds);
        for index in 0..leds {
            self.waiting.push(self.client.offer(&Command::Led { index, rgb: colour(light) })?);
        }
        Ok(())
    }
}

/// Returns the colour of a light, as red, green and blue. Idle is dim: it is on all night.
fn colour(light: Light) -> [u8; 3] {
    match light {
        Light::Idle => [12, 12, 16],
        Light::Busy => [255, 144, 0],
        Light::Good => [0, 255, 64],
        Light::Bad => [255, 0, 0],
        Light::Fault => [255, 0, 255],
    }
}

impl Device for Microcontroller {
    fn heartbeat(&mut self) -> Result<()> {
        // The link has a heartbeat of its own, five times a second, and tells what has come of it.
        self.client.wait_connected(Duration::ZERO)?;
        let reconnects = self.client.stats().reconnects;
        if reconnects != self.reconnects {
            self.reconnects = reconnects;
            // It may have lost power in between.
            if let Some(light) = self.light {
                self.set(light)?;
            }
        }
        let mut failed = None;
        self.waiting.retain(|ticket| match ticket.wait_timeout(Duration::ZERO) {
            None => true,
            Some(Ok(())) => false,
            Some(Err(error)) => {
                failed = Some(error);
                false
            }
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn light(&mut self, light: Light) -> Result<()> {
        self.light = Some(light);
        self.set(light)
    }

    fn button(&mut self) -> Result<bool> {
        let mut pressed = false;
        while let Some(event) = self.client.next_event(Duration::ZERO) {
            pressed |= matches!(event, DeviceEvent::Button { pressed: true, .. });
        }
        Ok(pressed)
    }
}
