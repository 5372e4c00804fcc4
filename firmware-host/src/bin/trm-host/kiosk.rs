//! `trm-host kiosk`: the unattended appliance.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use trm_cli::{Exit, errln, outln};
use trm_firmware_host::kiosk::pages::MetricsServer;
use trm_firmware_host::kiosk::status::StatusSink;
use trm_firmware_host::kiosk::{End, Kiosk, KioskConfig, Metrics, Settings, real};
use trm_intake::shown;

use crate::interrupt;

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
        outln!("{}: every key is in order", shown::path(&args.config))?;
        return Ok(Exit::Done);
    }
    let state = state_folder(args, &config)?;
    interrupt::on_signal(|| {
        STOP.store(true, Ordering::Relaxed);
        // What is kept was saved when it changed. Normally the program has ended long before.
        std::thread::sleep(interrupt::LAST_WAIT);
        // A log that does not let go is such a part as well.
        std::thread::spawn(|| log("a part does not let go of the kiosk, which ends without it"));
        std::thread::sleep(Duration::from_millis(50));
        std::process::exit(0);
    })?;
    let metrics = Arc::new(Metrics::default());
    metrics.troubles.log_to(log);
    // It ends with this function, after the loop.
    let _server = match &config.metrics {
        Some(settings) => Some(MetricsServer::start(settings, &metrics)?),
        None => None,
    };
    let status = status(&config, &metrics)?;
    let parts = real::parts(&config, status, &metrics, args.once, &STOP)?;
    let ended = Kiosk::start(parts, Settings::new(&config, args.once), &state, metrics, &STOP, log)?.run();
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
        None => {
            bail!("no folder for the state\nhint: --state DIR, or state = \"DIR\" in {}", shown::path(&args.config))
        }
    }
}

#[cfg(feature = "mqtt")]
fn status(config: &KioskConfig, metrics: &Arc<Metrics>) -> anyhow::Result<Box<dyn StatusSink>> {
    use trm_firmware_host::kiosk::mqtt::MqttStatus;
    let status = match &config.mqtt {
        Some(settings) => Some(MqttStatus::start(settings, Arc::clone(metrics))?),
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

/// A line in the log: systemd's journal adds the time. A log that takes none, a full disk or a closed pipe, ends no kiosk.
fn log(message: &str) {
    errln!("kiosk: {message}");
}
