//! Displays: picture files, framebuffers, panels behind the link. Every scene is shown on all of them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888};

use super::{PanelScreen, Staging};
use crate::display::{Canvas, Framebuffer, Ink, Screen as Picture, Theme, draw, framebuffer, write_png};
use crate::kiosk::config::DisplayConfig;
use crate::kiosk::parts::{Scene, Screen};
use crate::link::Client;
use crate::{HostError, Result};

/// Panels that are lower have one bit a pixel, as those with 64 rows do.
const COLOUR_FROM: u32 = 100;

/// A theme's name: its size, `320x240`. Themes lower than 100 pixels are black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemeName {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl ThemeName {
    /// Whether there is but one bit a pixel.
    #[must_use]
    pub fn is_mono(self) -> bool {
        self.height < COLOUR_FROM
    }

    /// The theme in a pixel format.
    #[must_use]
    pub fn theme<C: Ink>(self) -> Theme<C> {
        Theme::new(self.width, self.height)
    }
}

impl FromStr for ThemeName {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match parsed {
            Some((width @ 96..=4096, height @ 48..=4096)) => Ok(Self { width, height }),
            _ => Err(HostError::KioskConfig {
                origin: "display.theme".to_owned(),
                reason: format!("`{text}`, expected the display's size, 96x48 to 4096x4096"),
                hint: Some("made for 128x64, 240x240, 320x240 and 800x480".to_owned()),
            }),
        }
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// One display.
trait Target {
    fn show(&mut self, picture: &Picture) -> Result<()>;

    /// Whether pictures that move are worth drawing: a file is not, somebody would have to look at it just then, and the card
    /// that it is on wears out.
    fn moves(&self) -> bool {
        true
    }
}

/// All displays of a kiosk.
pub struct Screens {
    staging: Staging,
    targets: Vec<Box<dyn Target>>,
}

impl fmt::Debug for Screens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screens").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

impl Screens {
    /// Opens them. `client` is the link to the microcontroller, for its panel; `max_steps` the most ACT steps.
    ///
    /// # Errors
    /// When a theme is none, or a framebuffer cannot be opened.
    pub fn open(displays: &[DisplayConfig], client: Option<&Arc<Client>>, max_steps: usize) -> Result<Self> {
        let open = |display: &DisplayConfig| open(display, client);
        Ok(Self { staging: Staging::new(max_steps), targets: displays.iter().map(open).collect::<Result<_>>()? })
    }

    /// Shows a picture on every display, whether or not one of them fails; returns the last failure.
    fn present(&mut self, picture: &Picture, moving: bool) -> Result<()> {
        let mut outcome = Ok(());
        for target in self.targets.iter_mut().filter(|target| !moving || target.moves()) {
            outcome = target.show(picture).and(outcome);
        }
        outcome
    }
}

impl Screen for Screens {
    fn show(&mut self, scene: &Scene<'_>) -> Result<()> {
        let picture = self.staging.screen(scene);
        self.present(&picture, false)
    }

    fn tick(&mut self) -> Result<()> {
        match self.staging.moving() {
            Some(picture) => self.present(&picture, true),
            None => Ok(()),
        }
    }
}

fn open(display: &DisplayConfig, client: Option<&Arc<Client>>) -> Result<Box<dyn Target>> {
    match display {
        DisplayConfig::Png { path, theme } => {
            let (path, name) = (path.clone(), theme.parse::<ThemeName>()?);
            Ok(if name.is_mono() {
                Box::new(PictureFile::<BinaryColor> { path, theme: name.theme() })
            } else {
                Box::new(PictureFile::<Rgb565> { path, theme: name.theme() })
            })
        }
        DisplayConfig::Framebuffer { path, theme } => {
            let theme = theme.parse::<ThemeName>()?.theme();
            let framebuffer = Framebuffer::open(path, framebuffer::SYSFS.as_ref())?;
            Ok(Box::new(Monitor { theme, framebuffer }))
        }
        DisplayConfig::Panel { theme } => {
            let name = theme.parse::<ThemeName>()?;
            let client = client.ok_or_else(|| HostError::PanelMismatch { reason: "there is no device".to_owned() })?;
            let client = Arc::clone(client);
            Ok(if name.is_mono() {
                Box::new(PanelTarget::<BinaryColor> { theme: name.theme(), panel: PanelScreen::start(client)? })
            } else {
                Box::new(PanelTarget::<Rgb565> { theme: name.theme(), panel: PanelScreen::start(client)? })
            })
        }
    }
}

fn drawn<C: Ink>(picture: &Picture, theme: &Theme<C>) -> Canvas<C> {
    let mut canvas = Canvas::new(theme.size, theme.palette.background);
    let Ok(()) = draw(picture, theme, &mut canvas);
    canvas
}

struct PictureFile<C> {
    path: PathBuf,
    theme: Theme<C>,
}

impl<C: Ink> Target for PictureFile<C> {
    fn show(&mut self, picture: &Picture) -> Result<()> {
        write_png(&self.path, &drawn(picture, &self.theme))
    }

    fn moves(&self) -> bool {
        false
    }
}

struct Monitor {
    theme: Theme<Rgb888>,
    framebuffer: Framebuffer,
}

impl Target for Monitor {
    fn show(&mut self, picture: &Picture) -> Result<()> {
        self.framebuffer.show(&drawn(picture, &self.theme))
    }
}

struct PanelTarget<C> {
    theme: Theme<C>,
    panel: PanelScreen<C>,
}

impl<C> Target for PanelTarget<C>
where
    C: crate::display::panel::PanelInk + Send + 'static,
{
    fn show(&mut self, picture: &Picture) -> Result<()> {
        self.panel.show(drawn(picture, &self.theme))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn themes_are_named_by_their_size() {
        let name: ThemeName = "128x64".parse().unwrap();
        assert!(name.is_mono() && name.to_string() == "128x64");
        assert!(!"320x240".parse::<ThemeName>().unwrap().is_mono());
        for wrong in ["", "large", "320", "320x", "8x8", "100000x100000", "-320x240"] {
            let error = wrong.parse::<ThemeName>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("display.theme: `{wrong}`, expected the display's size")), "{error}");
        }
    }
}
