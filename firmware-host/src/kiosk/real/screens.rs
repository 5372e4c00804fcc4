//! Displays: picture files, framebuffers, panels behind the link. Every scene is shown on all of them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888};
use trm_link::{Client, LinkError};
use trm_pictures::write_png;

use super::{PanelScreen, Staging};
use crate::display::{Canvas, Framebuffer, Ink, Screen as Picture, Theme, draw, framebuffer};
use crate::kiosk::config::DisplayConfig;
use crate::kiosk::parts::{Scene, Screen};
use crate::{HostError, Result};

/// Panels that are lower have one bit a pixel, as those with 64 rows do.
const COLOUR_FROM: u32 = 100;
/// Time between attempts at a display that is not there or fails.
const AGAIN: Duration = Duration::from_secs(5);

/// A theme's name: its size, `320x240`. Themes lower than 100 pixels are black and white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemeName {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl ThemeName {
    /// `true` if there is but one bit a pixel.
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

    /// `true` if pictures that move are worth drawing. In a file they are not: somebody would have to look at it just
    /// then, and the card that it is on wears out.
    fn moves(&self) -> bool {
        true
    }
}

/// A display, there or not.
struct Display {
    config: DisplayConfig,
    /// `None` until it can be opened.
    target: Option<Box<dyn Target>>,
    /// The last picture is not on it.
    failed: bool,
    tried: Instant,
}

impl Display {
    fn show(&mut self, picture: &Picture, client: Option<&Arc<Client>>) -> Result<()> {
        self.tried = Instant::now();
        self.failed = true;
        let target = match &mut self.target {
            Some(target) => target,
            None => self.target.insert(open(&self.config, client)?),
        };
        target.show(picture)?;
        self.failed = false;
        Ok(())
    }
}

/// All displays of a kiosk. One that is not there, or fails, is tried again until it shows what it should.
pub struct Screens {
    staging: Staging,
    displays: Vec<Display>,
    client: Option<Arc<Client>>,
    last: Option<Picture>,
}

impl fmt::Debug for Screens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screens").field("displays", &self.displays.len()).finish_non_exhaustive()
    }
}

impl Screens {
    /// Makes the displays of the settings; each is opened when it is first shown something. `client` is the link to the
    /// microcontroller, for its panel; `max_steps` the most ACT steps.
    ///
    /// # Errors
    /// When a theme's name is not a size.
    pub fn open(displays: &[DisplayConfig], client: Option<&Arc<Client>>, max_steps: usize) -> Result<Self> {
        let display = |config: &DisplayConfig| {
            let (DisplayConfig::Png { theme, .. }
            | DisplayConfig::Framebuffer { theme, .. }
            | DisplayConfig::Panel { theme }) = config;
            theme.parse::<ThemeName>()?;
            Ok(Display { config: config.clone(), target: None, failed: false, tried: Instant::now() })
        };
        let displays = displays.iter().map(display).collect::<Result<_>>()?;
        Ok(Self { staging: Staging::new(max_steps), displays, client: client.cloned(), last: None })
    }

    /// Shows a picture on some displays, whether or not one of them fails; returns the last failure.
    fn present(&mut self, picture: &Picture, on: impl Fn(&Display) -> bool) -> Result<()> {
        let mut outcome = Ok(());
        for display in self.displays.iter_mut().filter(|display| on(display)) {
            outcome = display.show(picture, self.client.as_ref()).and(outcome);
        }
        outcome
    }
}

impl Screen for Screens {
    fn show(&mut self, scene: &Scene<'_>) -> Result<()> {
        let picture = self.staging.screen(scene);
        let outcome = self.present(&picture, |_| true);
        self.last = Some(picture);
        outcome
    }

    fn tick(&mut self) -> Result<bool> {
        let failed = |display: &Display| display.failed;
        let due = |display: &Display| display.failed && display.tried.elapsed() >= AGAIN;
        let ill = self.displays.iter().any(failed);
        if self.displays.iter().any(due)
            && let Some(picture) = self.last.take()
        {
            let outcome = self.present(&picture, due);
            self.last = Some(picture);
            outcome?;
        }
        if let Some(picture) = self.staging.moving() {
            let moves = |display: &Display| display.target.as_ref().is_some_and(|target| target.moves());
            self.present(&picture, |display| moves(display) && !display.failed)?;
        }
        Ok(ill && !self.displays.iter().any(failed))
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
            let client = client.ok_or_else(|| LinkError::PanelMismatch { reason: "there is no device".to_owned() })?;
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
        Ok(write_png(&self.path, &drawn(picture, &self.theme).to_image())?)
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
    #[test]
    fn a_display_that_is_not_there_is_shown_the_picture_when_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not yet");
        let png = |path: PathBuf| DisplayConfig::Png { path, theme: "128x64".to_owned() };
        let fb = DisplayConfig::Framebuffer { path: folder.path().join("fb0"), theme: "128x64".to_owned() };
        let [late, there] = [missing.join("late.png"), folder.path().join("there.png")];
        let mut screens = Screens::open(&[png(late.clone()), fb, png(there.clone())], None, 16).unwrap();
        assert!(screens.show(&Scene::Idle).is_err());
        assert!(there.is_file() && !late.exists(), "one that fails keeps no other from showing");
        assert!(!screens.tick().unwrap(), "it is too early to try again");
        std::fs::create_dir(&missing).unwrap();
        for display in &mut screens.displays {
            display.tried = Instant::now().checked_sub(AGAIN).unwrap();
        }
        assert!(screens.tick().is_err(), "the framebuffer is still missing");
        assert!(late.is_file());
        screens.displays.remove(1);
        screens.displays[0].failed = true;
        screens.displays[0].tried = Instant::now().checked_sub(AGAIN).unwrap();
        assert!(screens.tick().unwrap(), "the last one came back");
        assert!(!screens.tick().unwrap());
        let wrong = DisplayConfig::Panel { theme: "large".to_owned() };
        assert!(Screens::open(&[wrong], None, 16).is_err());
    }
}
