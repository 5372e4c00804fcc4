//! `kiosk.toml`: the settings of a kiosk. Every key has a default but the camera's; a key that is not known is refused.
//! `examples/kiosk.toml` shows all of them.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use trm_intake::{Budget, Fault};

use super::machine::Rules;
pub use super::trust::ModelsConfig;
use crate::intake::{LONGEST_LINE, SMALL, read_text};
use crate::vision::source::RawPixels;
use crate::{HostError, Result};

/// The settings.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KioskConfig {
    /// Folder of the state and the models; `--state` and systemd's `STATE_DIRECTORY` go before it.
    #[serde(default)]
    pub state: Option<PathBuf>,
    /// Source of frames.
    pub camera: CameraConfig,
    /// Where scenes are shown, all at once.
    #[serde(default)]
    pub display: Vec<DisplayConfig>,
    /// The microcontroller, if there is one.
    #[serde(default)]
    pub device: Option<DeviceConfig>,
    /// Limits of the solver.
    #[serde(default)]
    pub solver: SolverConfig,
    /// Models that are taken.
    #[serde(default)]
    pub models: ModelsConfig,
    /// Times and counts of the loop.
    #[serde(default)]
    pub timing: TimingConfig,
    /// Metrics and health over HTTP.
    #[serde(default)]
    pub metrics: Option<MetricsConfig>,
    /// Status over MQTT.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
}

/// Source of frames.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CameraConfig {
    /// The pictures of a folder, by name.
    Pictures {
        /// The folder.
        path: PathBuf,
        /// Begin again after the last one.
        #[serde(default)]
        repeat: bool,
    },
    /// A stream of JPEG pictures on a pipe or file.
    Mjpeg {
        /// The pipe.
        path: PathBuf,
    },
    /// A stream of raw pictures on a pipe or file.
    Raw {
        /// The pipe.
        path: PathBuf,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Coding of a pixel.
        #[serde(default)]
        pixels: RawFormat,
    },
    /// A camera of the kernel's.
    V4l2 {
        /// `/dev/video0`.
        path: PathBuf,
        /// Pixels.
        #[serde(default = "default_width")]
        width: u32,
        /// Pixels.
        #[serde(default = "default_height")]
        height: u32,
    },
}

/// Coding of the pixels of a raw stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RawFormat {
    /// Red, green, blue, 8 bits each.
    #[default]
    Rgb24,
    /// Brightness, 8 bits.
    Gray8,
    /// Two pixels in four bytes: Y, U, Y, V.
    Yuyv,
}

impl From<RawFormat> for RawPixels {
    fn from(format: RawFormat) -> Self {
        match format {
            RawFormat::Rgb24 => Self::Rgb24,
            RawFormat::Gray8 => Self::Gray8,
            RawFormat::Yuyv => Self::Yuyv,
        }
    }
}

fn default_width() -> u32 {
    1280
}

fn default_height() -> u32 {
    720
}

/// A display.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "target", rename_all = "kebab-case", deny_unknown_fields)]
pub enum DisplayConfig {
    /// The present scene as a picture file.
    Png {
        /// The file.
        path: PathBuf,
        /// Size and colours: `128x64`, `240x240`, `320x240`, `800x480`.
        theme: String,
    },
    /// Linux's framebuffer.
    Framebuffer {
        /// `/dev/fb0`.
        path: PathBuf,
        /// Size and colours, as of a picture file.
        theme: String,
    },
    /// A panel at the microcontroller.
    Panel {
        /// Size and colours, as of a picture file.
        theme: String,
    },
}

/// The microcontroller.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// `/dev/ttyACM0`; or find it by its USB ids.
    #[serde(default)]
    pub port: Option<PathBuf>,
    /// USB vendor and product, `2e8a:000a`.
    #[serde(default)]
    pub usb: Option<String>,
    /// Bits a second.
    #[serde(default = "default_baud")]
    pub baud: u32,
    /// Time between heartbeats.
    #[serde(default = "default_device_heartbeat")]
    pub heartbeat_ms: u64,
}

fn default_baud() -> u32 {
    921_600
}

fn default_device_heartbeat() -> u64 {
    1_000
}

/// Limits of the solver.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SolverConfig {
    /// The solver is stopped after this long and shows what it has.
    pub timeout_ms: u64,
    /// Most ACT steps of an attempt.
    pub max_steps: usize,
}

impl Default for SolverConfig {
    fn default() -> Self {
        Self { timeout_ms: 15_000, max_steps: 16 }
    }
}

/// Times and counts of the loop.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingConfig {
    /// The shortest time from one frame to the next.
    pub frame_ms: u64,
    /// Frames in a row in which a board must lie still to be read.
    pub still_frames: u32,
    /// Share of the board's diagonal by which a corner may move and be still.
    pub still_tolerance: f32,
    /// Frames in a row without the board until it counts as taken away.
    pub gone_frames: u32,
    /// Readings that are not trusted until the board is refused.
    pub read_frames: u32,
    /// A board that does not lie still for this long is left alone.
    pub aim_ms: u64,
    /// A board is refused when no reading is trusted after this long.
    pub read_ms: u64,
    /// Time that each step of the solver is on display, at least.
    pub step_ms: u64,
    /// Time that an outcome is on display.
    pub show_ms: u64,
    /// Time that a failure is on display until the kiosk tries again.
    pub error_ms: u64,
    /// A picture of a folder in which no board is found is passed over after this long.
    pub no_board_ms: u64,
}

impl Default for TimingConfig {
    fn default() -> Self {
        Self {
            frame_ms: 100,
            still_frames: 3,
            still_tolerance: 0.02,
            gone_frames: 5,
            read_frames: 8,
            aim_ms: 20_000,
            read_ms: 5_000,
            step_ms: 250,
            show_ms: 10_000,
            error_ms: 3_000,
            no_board_ms: 500,
        }
    }
}

impl TimingConfig {
    /// The machine's numbers.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules { still_frames: self.still_frames, read_frames: self.read_frames }
    }
}

/// Metrics and health over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Address and port. Other than loopback only with `public`.
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach.
    pub public: bool,
    /// `/healthz` says unhealthy when the last end-to-end heartbeat is older.
    pub max_heartbeat_age_ms: u64,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9_620)), public: false, max_heartbeat_age_ms: 30_000 }
    }
}

/// Status over MQTT.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// The broker.
    pub host: String,
    /// Its port.
    #[serde(default = "default_mqtt_port")]
    pub port: u16,
    /// The kiosk's status goes to `TOPIC/status`, whether it is there to `TOPIC/online`.
    pub topic: String,
    /// The kiosk's name at the broker, its own among all clients.
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// User at the broker.
    #[serde(default)]
    pub user: Option<String>,
    /// File whose first line is the password. Passwords do not belong in this file.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The broker publishes the last will when nothing was heard for one and a half times this.
    #[serde(default = "default_keep_alive")]
    pub keep_alive_s: u64,
}

fn default_mqtt_port() -> u16 {
    1883
}

fn default_client_id() -> String {
    "trm-kiosk".to_owned()
}

fn default_keep_alive() -> u64 {
    30
}

impl KioskConfig {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`HostError::Io`] or [`HostError::TooLarge`] when the file cannot be read; those of
    /// [`from_toml`](Self::from_toml).
    pub fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, SMALL)?;
        Self::from_toml(&path.display().to_string(), &text)
    }

    /// Reads and checks a text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`HostError::KioskConfig`] says which key or line is wrong, and what was expected.
    pub fn from_toml(origin: &str, text: &str) -> Result<Self> {
        let refused = |Fault { what: reason, hint }| HostError::KioskConfig { origin: origin.to_owned(), reason, hint };
        let malformed =
            |reason: &str| refused(Fault::from(reason).advise("examples/kiosk.toml has every key with what it means"));
        let mut budget = Budget::new(SMALL);
        let taken = budget.take_lines(text.as_bytes(), LONGEST_LINE);
        taken.map_err(|exceeded| malformed(&exceeded.to_string()))?;
        let config: Self = toml::from_str(text).map_err(|error| malformed(error.to_string().trim_end()))?;
        config.check().map_err(refused)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Fault> {
        const SIDES: std::ops::RangeInclusive<u32> = 16..=8_192;
        if let CameraConfig::Raw { width, height, .. } | CameraConfig::V4l2 { width, height, .. } = &self.camera {
            within("camera.width", *width, SIDES)?;
            within("camera.height", *height, SIDES)?;
        }
        let panel = |display: &DisplayConfig| matches!(display, DisplayConfig::Panel { .. });
        if self.device.is_none() && self.display.iter().any(panel) {
            return Err(Fault::from("display.target is `panel`, expected a [device] with it")
                .advise("a panel hangs on the microcontroller: say where that is in [device]"));
        }
        if let Some(device) = &self.device {
            match (&device.port, &device.usb) {
                (Some(_), None) => {}
                (None, Some(usb)) if is_usb_id(usb) => {}
                (None, Some(usb)) => {
                    let reason = format!("device.usb is `{usb}`, expected vendor and product in hexadecimal");
                    return Err(Fault::from(reason).advise("2e8a:000a; lsusb lists them"));
                }
                _ => return Err("device.port or device.usb: expected one of the two".into()),
            }
            within("device.baud", device.baud, 1_200..=12_000_000)?;
            within("device.heartbeat_ms", device.heartbeat_ms, 50..=10_000)?;
        }
        within("solver.timeout_ms", self.solver.timeout_ms, 100..=60_000)?;
        within("solver.max_steps", self.solver.max_steps, 1..=10_000)?;
        self.models.trusted_keys().map_err(|error| Fault::of(&error))?;
        self.timing.check()?;
        if let Some(metrics) = &self.metrics {
            // A solve takes no frames: the heartbeat pauses for that long.
            let least = self.solver.timeout_ms + 5_000;
            let age = metrics.max_heartbeat_age_ms;
            if age < least {
                let reason = format!("metrics.max_heartbeat_age_ms is {age}, expected at least {least}");
                let hint = "solver.timeout_ms and 5 seconds: there is no heartbeat while the solver works";
                return Err(Fault::from(reason).advise(hint));
            }
            if !metrics.public && !metrics.listen.ip().is_loopback() {
                let reason = format!("metrics.listen is {}, expected a loopback address", metrics.listen);
                let hint = "127.0.0.1 or [::1]; metrics.public = true opens the metrics to the network";
                return Err(Fault::from(reason).advise(hint));
            }
        }
        self.mqtt.as_ref().map_or(Ok(()), MqttConfig::check)
    }
}

impl TimingConfig {
    fn check(&self) -> Result<(), Fault> {
        const HOUR: u64 = 3_600_000;
        within("timing.frame_ms", self.frame_ms, 0..=10_000)?;
        within("timing.still_frames", self.still_frames, 1..=1_000)?;
        within("timing.still_tolerance", self.still_tolerance, 0.0..=1.0)?;
        within("timing.gone_frames", self.gone_frames, 1..=1_000)?;
        within("timing.read_frames", self.read_frames, 1..=1_000)?;
        within("timing.aim_ms", self.aim_ms, 100..=HOUR)?;
        within("timing.read_ms", self.read_ms, 100..=HOUR)?;
        within("timing.step_ms", self.step_ms, 0..=5_000)?;
        within("timing.show_ms", self.show_ms, 0..=HOUR)?;
        within("timing.error_ms", self.error_ms, 0..=HOUR)?;
        within("timing.no_board_ms", self.no_board_ms, 1..=HOUR)
    }
}

impl MqttConfig {
    fn check(&self) -> Result<(), Fault> {
        if self.host.is_empty() {
            return Err("mqtt.host is empty, expected the broker's name or address".into());
        }
        if self.client_id.is_empty() {
            return Err("mqtt.client_id is empty, expected a name of the kiosk's own".into());
        }
        let bad_topic = self.topic.is_empty() || self.topic.starts_with('/') || self.topic.ends_with('/');
        if bad_topic || self.topic.contains(['#', '+', '\0']) {
            let reason =
                format!("mqtt.topic is `{}`, expected a topic without wildcards and outer slashes", self.topic);
            return Err(Fault::from(reason).advise("hall/kiosk-1"));
        }
        if self.user.is_none() && self.password_file.is_some() {
            return Err("mqtt.password_file without mqtt.user: expected both or neither".into());
        }
        within("mqtt.keep_alive_s", self.keep_alive_s, 5..=3_600)
    }
}

fn within<T: PartialOrd + Display + Copy>(
    key: &str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<(), Fault> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(format!("{key} is {value}, expected {} to {}", range.start(), range.end()).into())
    }
}

fn is_usb_id(text: &str) -> bool {
    let is_hex = |part: &str| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_once(':').is_some_and(|(vendor, product)| is_hex(vendor) && is_hex(product))
}

/// A number of milliseconds as a duration.
pub(crate) fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    const LEAST: &str = "[camera]\nsource = \"pictures\"\npath = \"photos\"\n";

    #[test]
    fn the_example_has_every_key_and_its_defaults() {
        let text = include_str!("../../examples/kiosk.toml");
        let example = KioskConfig::from_toml("kiosk.toml", text).unwrap();
        assert_eq!(example.timing, TimingConfig::default());
        assert_eq!(example.solver, SolverConfig::default());
        assert_eq!(example.metrics, Some(MetricsConfig::default()));
        // What is commented out is an example as well.
        let uncommented =
            text.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        assert_ne!(uncommented, text);
        let all = KioskConfig::from_toml("kiosk.toml", &uncommented).unwrap();
        assert!(all.mqtt.is_some() && all.device.is_some());
        let defaults = KioskConfig::from_toml("kiosk.toml", LEAST).unwrap();
        assert_eq!((defaults.solver, defaults.timing, defaults.metrics), (example.solver, example.timing, None));
    }

    #[test]
    fn every_error_names_the_key_and_what_was_expected() {
        let message = |text: &str| explained(&KioskConfig::from_toml("kiosk.toml", text).unwrap_err());
        for (extra, expected) in [
            ("[timing]\nshow_mss = 1", "unknown field `show_mss`, expected one of `frame_ms`"),
            ("[timing]\nshow_ms = -1", "expected u64"),
            ("[timing]\nstill_frames = 0", "kiosk.toml: timing.still_frames is 0, expected 1 to 1000"),
            ("[timing]\nstill_tolerance = nan", "timing.still_tolerance is NaN, expected 0 to 1"),
            ("[solver]\ntimeout_ms = 5", "solver.timeout_ms is 5, expected 100 to 60000"),
            (
                "[models]\ntrust = [\"RWQ\"]",
                "models.trust: `RWQ` is not a minisign public key\nhint: expected 56 characters",
            ),
            ("[device]\n", "device.port or device.usb: expected one of the two"),
            ("[device]\nusb = \"2e8a\"", "device.usb is `2e8a`, expected vendor and product in hexadecimal\nhint: "),
            ("[device]\nport = \"/dev/x\"\nbaud = 1", "device.baud is 1, expected 1200 to 12000000"),
            ("[[display]]\ntarget = \"panel\"\ntheme = \"128x64\"", "display.target is `panel`, expected a [device]"),
            ("[[display]]\ntarget = \"lcd\"", "unknown variant `lcd`, expected one of `png`, `framebuffer`, `panel`"),
            (
                "[metrics]\nlisten = \"0.0.0.0:9620\"",
                "metrics.listen is 0.0.0.0:9620, expected a loopback address\nhint: ",
            ),
            (
                "[metrics]\nmax_heartbeat_age_ms = 1",
                "metrics.max_heartbeat_age_ms is 1, expected at least 20000\nhint: ",
            ),
            ("[mqtt]\nhost = \"h\"", "missing field `topic`"),
            ("[mqtt]\nhost = \"h\"\ntopic = \"a/#\"", "mqtt.topic is `a/#`, expected a topic without wildcards"),
            ("[mqtt]\nhost = \"h\"\ntopic = \"a\"\npassword = \"x\"", "unknown field `password`, expected one of"),
            ("[mqtt]\nhost = \"h\"\ntopic = \"a\"\npassword_file = \"x\"", "mqtt.password_file without mqtt.user"),
        ] {
            let found = message(&format!("{LEAST}{extra}\n"));
            assert!(found.starts_with("kiosk.toml: ") && found.contains(expected), "{extra}\n{found}");
        }
        assert!(message("").contains("missing field `camera`"), "{}", message(""));
        let open = format!("{LEAST}[metrics]\nlisten = \"0.0.0.0:9620\"\npublic = true\n");
        KioskConfig::from_toml("kiosk.toml", &open).unwrap();
    }
}
