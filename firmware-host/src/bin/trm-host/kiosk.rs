//! `trm-host kiosk`: the unattended appliance.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use trm_firmware_host::kiosk::metrics::MetricsServer;
use trm_firmware_host::kiosk::real;
use trm_firmware_host::kiosk::status::StatusSink;
use trm_firmware_host::kiosk::{End, Kiosk, KioskConfig, Metrics, Settings};

use crate::Exit;

static STOP: AtomicBool = AtomicBool::new(false);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The settings; examples/kiosk.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Folder of the state; by default the one systemd gives, else the one in the settings
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// End after the first puzzle: 0 solved, 1 not solved or not read
    #[arg(long)]
    once: bool,
    /// Read and check the settings, and do nothing else
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = KioskConfig::read(&args.config)?;
    if args.check {
        println!("{}: every key is in order", args.config.display());
        return Ok(Exit::Done);
    }
    let state = state_folder(args, &config)?;
    let metrics = Arc::new(Metrics::default());
    // It ends with this function, after the loop.
    let server = match &config.metrics {
        Some(settings) => Some(MetricsServer::start(settings, Arc::clone(&metrics))?),
        None => None,
    };
    if let Some(server) = &server {
        log(&format!("metrics and health on http://{}", server.address()));
    }
    let status = status(&config, &metrics)?;
    // SIGTERM, SIGINT and SIGHUP; a second one is patient as well: the state is saved within a turn.
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot listen for signals")?;
    let parts = real::parts(&config, status, log)?;
    let kiosk = Kiosk::start(parts, Settings::new(&config, args.once), &state, metrics, &STOP, log)?;
    let ended = kiosk.run()?;
    let reason = match ended.end {
        End::Stopped => "stopped",
        End::SourceEnded => "the camera has no more frames",
        End::Once => "one puzzle is done",
    };
    log(&format!("{reason}; {} solved, {} not", ended.solved, ended.others));
    Ok(if args.once && ended.end != End::Stopped && ended.solved == 0 { Exit::AnswerFailed } else { Exit::Done })
}

/// `--state`, else what systemd made, else what the settings say.
fn state_folder(args: &Args, config: &KioskConfig) -> anyhow::Result<PathBuf> {
    let from_systemd = std::env::var_os("STATE_DIRECTORY").map(PathBuf::from);
    let chosen = args.state.clone().or(from_systemd).or_else(|| config.state.clone());
    match chosen {
        Some(folder) => Ok(folder),
        None => bail!("no folder for the state\nhint: --state DIR, or state = \"DIR\" in {}", args.config.display()),
    }
}

#[cfg(feature = "mqtt")]
fn status(config: &KioskConfig, metrics: &Arc<Metrics>) -> anyhow::Result<Box<dyn StatusSink>> {
    use trm_firmware_host::kiosk::mqtt::MqttStatus;
    let status = match &config.mqtt {
        Some(settings) => Some(MqttStatus::start(settings, Arc::clone(metrics), log)?),
        None => None,
    };
    Ok(Box::new(status))
}

#[cfg(not(feature = "mqtt"))]
fn status(config: &KioskConfig, _: &Arc<Metrics>) -> anyhow::Result<Box<dyn StatusSink>> {
    if config.mqtt.is_some() {
        bail!("[mqtt] is set, and this program was built without MQTT\nhint: build it with --features mqtt");
    }
    Ok(Box::new(()))
}

/// A line in the log: systemd's journal adds the time.
fn log(message: &str) {
    eprintln!("kiosk: {message}");
}
