//! `trm-host simulate`: a device on a pseudo-terminal, a robot among other things.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trm_cli::{InvalidOption, console, errln};
use trm_link::motion::to_robot;
use trm_link::serial::BAUD_RATE;
use trm_link::simulator::{Faults, RobotOptions, Simulator, SimulatorOptions};
use trm_pictures::check_png_path;
use trm_plan::Pose;
use trm_protocol::{Panel, PixelFormat};

use crate::interrupt;

/// What `trm-host simulate` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pixels of the panel, with :mono for one bit each: 128x64:mono
    #[arg(long, value_name = "SIZE", default_value = "240x240", value_parser = parse_panel)]
    panel: Panel,
    /// Keep the panel's picture in this file
    #[arg(long, value_name = "PNG")]
    png: Option<PathBuf>,
    /// Name of the port, a symbolic link; without it one in a temporary folder
    #[arg(long, value_name = "PATH")]
    link: Option<PathBuf>,
    /// Speed of the line, bits a second; 0 for as fast as it goes
    #[arg(long, value_name = "BAUD", default_value_t = BAUD_RATE)]
    baud: u32,
    /// Lose this share of frames, both ways
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = parse_share)]
    drop: f64,
    /// Flip a byte in this share of frames, both ways
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = parse_share)]
    corrupt: f64,
    /// Stand still for so long now and then, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    stall: u64,
    /// Frames between two standstills, on average
    #[arg(long, value_name = "N", default_value_t = 200)]
    stall_every: u32,
    /// Unplug the line with every so many frames
    #[arg(long, value_name = "N", default_value_t = 0)]
    disconnect_every: u32,
    /// How long it stays unplugged, milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(..=86_400_000))]
    offline: u64,
    /// Lose power and memory when unplugged
    #[arg(long)]
    restart: bool,
    /// Where the robot stands, and believes to stand, when it is switched on: metres and radians
    #[arg(long, value_name = "X,Y,YAW", default_value = "0,0,0", value_parser = parse_pose, allow_hyphen_values = true)]
    pose: Pose,
    /// Keep the robot's track in this file while it drives, as CSV
    #[arg(long, value_name = "CSV")]
    track: Option<PathBuf>,
    /// A robot that takes drives and turns, no waypoints
    #[arg(long)]
    no_waypoints: bool,
    /// A device that does not drive
    #[arg(long, conflicts_with_all = ["pose", "track", "no_waypoints"])]
    no_motors: bool,
    /// Seed of what goes wrong
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(path) = &args.png {
        check_png_path(path, &[]).map_err(InvalidOption::named("--png"))?;
    }
    let faults = Faults {
        drop: args.drop,
        corrupt: args.corrupt,
        stall: Duration::from_millis(args.stall),
        stall_every: if args.stall == 0 { 0 } else { args.stall_every },
        disconnect_every: args.disconnect_every,
        offline: Duration::from_millis(args.offline),
        restart: args.restart,
        seed: args.seed,
    };
    let simulator = Simulator::start(SimulatorOptions {
        panel: args.panel,
        baud_rate: (args.baud > 0).then_some(args.baud),
        faults,
        png: args.png.clone(),
        link: args.link.clone(),
        journal: false,
        robot: (!args.no_motors).then(|| RobotOptions {
            pose: args.pose,
            waypoints: !args.no_waypoints,
            track: args.track.clone(),
        }),
    })?;
    let stop = interrupt::listen()?;
    let mut out = console::stdout();
    writeln!(out, "{}", simulator.path().display())?;
    out.flush()?;
    while !stop.load(Ordering::Relaxed) && simulator.is_running() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let (screen, counts) = (simulator.screen(), simulator.counts());
    let Pose { x, y, yaw } = screen.robot.pose();
    errln!("the robot is at {x:.3},{y:.3},{yaw:.4}");
    errln!(
        "{} frames, {} commands, {} safe stops; {} lost, {} garbled, {} stalls, {} disconnects",
        counts.frames,
        screen.commands,
        screen.safe_stops,
        counts.dropped,
        counts.corrupted,
        counts.stalls,
        counts.disconnects
    );
    simulator.stop()?;
    Ok(())
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share @ 0.0..=1.0) => Ok(share),
        _ => Err(format!("`{text}` is not a share from 0 to 1")),
    }
}

/// Parses `1.5,-2,3.14`; the direction may be left out.
fn parse_pose(text: &str) -> Result<Pose, String> {
    let numbers: Vec<f64> = text.split(',').map_while(|number| number.trim().parse().ok()).collect();
    let pose = match numbers[..] {
        [x, y] if text.split(',').count() == 2 => Some(Pose::new(x, y, 0.0)),
        [x, y, yaw] if text.split(',').count() == 3 => Some(Pose::new(x, y, yaw)),
        _ => None,
    };
    // Where the wire can say it is.
    pose.filter(|pose| to_robot(*pose).is_some())
        .ok_or_else(|| format!("`{text}` is not X,Y or X,Y,YAW in metres and radians, within 2,000 km"))
}

/// Parses `240x240`, or `128x64:mono`.
fn parse_panel(text: &str) -> Result<Panel, String> {
    let (size, format) = match text.split_once(':') {
        None | Some((_, "rgb565")) => (text.split(':').next().unwrap_or(text), PixelFormat::Rgb565),
        Some((size, "mono")) => (size, PixelFormat::Mono),
        Some((_, format)) => return Err(format!("unknown pixel format `{format}`, expected rgb565 or mono")),
    };
    let parsed = size.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    match parsed {
        Some((width @ 1..=4096, height @ 1..=4096)) => Ok(Panel { width, height, format }),
        _ => Err(format!("`{size}` is not WIDTHxHEIGHT, each 1 to 4096")),
    }
}
