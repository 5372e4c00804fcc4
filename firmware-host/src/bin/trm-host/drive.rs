//! `trm-host drive`: a planned path becomes motion.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use trm_cli::{Exit, console, errln};
use trm_firmware_host::HostError;
use trm_link::motion::{DriveOptions, Driven, Kind, Outcome, PathFile, Progress, Speeds, drive};
use trm_plan::Pose;

use crate::interrupt;
use crate::port::Port;

/// What `trm-host drive` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 arrived, 1 did not arrive, 2 bad usage or path, 3 device failure")]
pub(crate) struct Args {
    /// The path, as `trm plan --json` prints it; - for standard input
    #[arg(long, value_name = "JSON")]
    path: PathBuf,
    #[command(flatten)]
    port: Port,
    /// Speed, metres a second
    #[arg(long, value_name = "M/S", default_value_t = 0.2)]
    speed: f64,
    /// Speed of turns on the spot, degrees a second
    #[arg(long, value_name = "DEG/S", default_value_t = 90.0)]
    turn_speed: f64,
    /// What to give the robot: waypoints where its firmware takes them, or drives and turns
    #[arg(long, value_enum, default_value_t = Motions::Auto)]
    motions: Motions,
    /// Tell the robot that it stands at the path's start; otherwise it has to know where it is in the map
    #[arg(long)]
    set_pose: bool,
    /// How far beside the path the robot may be, metres
    #[arg(long, value_name = "M", default_value_t = 0.05)]
    tolerance: f64,
    /// How long to wait for a lost link to come back, seconds
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=86_400))]
    patience: u64,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What a robot is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Motions {
    /// Waypoints if the firmware takes them.
    Auto,
    /// Drives and turns.
    Drives,
    /// Waypoints or nothing.
    Waypoints,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let file = read(&args.path)?;
    if !(0.005..=10.0).contains(&args.tolerance) {
        anyhow::bail!("the tolerance is {} m\nhint: 0.005 to 10", args.tolerance);
    }
    let options = DriveOptions {
        speeds: Speeds::new(args.speed, args.turn_speed)?,
        kind: match args.motions {
            Motions::Auto => None,
            Motions::Drives => Some(Kind::Drives),
            Motions::Waypoints => Some(Kind::Waypoints),
        },
        set_pose: args.set_pose,
        tolerance: args.tolerance,
        patience: Duration::from_secs(args.patience),
    };
    let port = args.port.name().context("which port?\nhint: --port PATH or --usb VENDOR:PRODUCT")?;
    let stop = interrupt::listen()?;

    let client = args.port.open(port);
    if let Err(error) = client.wait_connected_unless(args.port.timeout(), stop) {
        if !stop.load(Ordering::Relaxed) {
            return Err(error.into());
        }
        errln!("interrupted before the device answered");
        return Ok(Exit::AnswerFailed);
    }
    let route = &file.route;
    let lines = route.corners().len().saturating_sub(1);
    errln!("{:.2} m in {lines} straight line{}", route.length(), if lines == 1 { "" } else { "s" });
    let driven = drive(&client, route, &options, stop, report)?;
    let link = client.stats();
    if link.repeats + link.reconnects > 0 {
        let recovery = link.longest_recovery_ms;
        errln!("the link: {} repeats, {} reconnects, longest recovery {recovery} ms", link.repeats, link.reconnects);
    }
    let mut out = console::stdout();
    if args.json {
        writeln!(out, "{}", object(&driven))?;
    } else {
        writeln!(out, "{}", sentence(&driven))?;
    }
    Ok(if driven.outcome == Outcome::Arrived { Exit::Done } else { Exit::AnswerFailed })
}

fn read(path: &Path) -> anyhow::Result<PathFile> {
    let name = path.display().to_string();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let open = |source| HostError::Io { path: path.to_path_buf(), action: "open", source };
        Box::new(File::open(path).map_err(open)?)
    };
    Ok(PathFile::read(if name == "-" { "standard input" } else { &name }, source)?)
}

/// A line of progress.
fn report(progress: &Progress) {
    let Progress { pose: Pose { x, y, yaw }, corner, corners, stops, connected } = *progress;
    let link = if connected { "" } else { ", the link is down" };
    let stops = if stops > 0 { format!(", {stops} stops") } else { String::new() };
    // Its corners are those between its lines and both ends; it drives to this one.
    errln!("at {x:.3},{y:.3},{yaw:.4}, line {corner} of {}{stops}{link}", corners - 1);
}

fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Arrived => "arrived",
        Outcome::Beside(_) => "beside_path",
        Outcome::Stuck => "stuck",
        Outcome::Interrupted => "interrupted",
    }
}

fn object(driven: &Driven) -> serde_json::Value {
    let Pose { x, y, yaw } = driven.pose;
    let beside = if let Outcome::Beside(metres) = driven.outcome { Some(metres * 1e3) } else { None };
    json!({
        "status": status(driven.outcome),
        "pose": [x, y, yaw],
        "error_mm": driven.error * 1e3,
        "error_deg": driven.yaw_error.to_degrees(),
        "beside_mm": beside,
        "seconds": driven.time.as_secs_f64(),
        "motions": driven.motions,
        "stops": driven.stops,
    })
}

fn sentence(driven: &Driven) -> String {
    let Pose { x, y, yaw } = driven.pose;
    let how = match driven.outcome {
        Outcome::Arrived => "arrived".to_owned(),
        Outcome::Beside(metres) => {
            format!("did not arrive: {:.0} mm beside the path, plan again from here", metres * 1e3)
        }
        Outcome::Stuck => "did not arrive: the robot does not get on".to_owned(),
        Outcome::Interrupted => "did not arrive: interrupted".to_owned(),
    };
    format!(
        "{how}; at {x:.3},{y:.3},{yaw:.4}, {:.1} mm and {:.2} degrees from the goal, {:.1} s, {} motions, {} stops",
        driven.error * 1e3,
        driven.yaw_error.to_degrees(),
        driven.time.as_secs_f64(),
        driven.motions,
        driven.stops
    )
}
