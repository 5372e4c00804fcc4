//! `trm-host link`: who is there, and how good the line is.

use std::io::Write;

use serde_json::json;
use trm_cli::console;
use trm_link::serial::PortName;
use trm_link::simulator::{Faults, Simulator, SimulatorOptions};
use trm_link::{DeviceInfo, Timeouts, trial};
use trm_protocol::PixelFormat;

use crate::port::Port;

/// What `trm-host link` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    port: Port,
    /// Measure full-frame updates; without a port on a simulated line
    #[arg(long)]
    bench: bool,
    /// Updates that --bench draws
    #[arg(long, value_name = "N", default_value_t = 12, requires = "bench",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    updates: u32,
    /// Send N commands over a simulated line with faults and account for every one
    #[arg(long, value_name = "N", conflicts_with_all = ["bench", "port", "usb"],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    soak: Option<u32>,
    /// Seed of the soak's faults
    #[arg(long, value_name = "N", default_value_t = 1, requires = "soak")]
    seed: u64,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut out = console::stdout();
    if let Some(commands) = args.soak {
        let soak = trial::soak(commands, Faults::soak(args.seed), &Timeouts::default())?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&soak)?)?;
            return Ok(());
        }
        writeln!(
            out,
            "{} commands in {:.1} s: {} delivered once, {} reported as failed ({} of them with effect), none twice",
            soak.commands, soak.seconds, soak.delivered, soak.failed, soak.failed_with_effect
        )?;
        let (link, faults) = (soak.link, soak.faults);
        writeln!(
            out,
            "{} frames arrived; both ways {} lost, {} garbled; {} stalls, {} disconnects; {} repeats, {} reconnects",
            faults.frames,
            faults.dropped,
            faults.corrupted,
            faults.stalls,
            faults.disconnects,
            link.repeats,
            link.reconnects
        )?;
        writeln!(out, "longest recovery {} ms", soak.longest_recovery_ms)?;
        return Ok(());
    }
    let port = args.port.name();
    if port.is_none() && !args.bench {
        anyhow::bail!("which port?\nhint: --port PATH or --usb VENDOR:PRODUCT; --bench and --soak do without");
    }
    // Without a port the bench runs on a line of our own.
    let mut simulator = None;
    let port = if let Some(port) = port {
        port
    } else {
        let options = SimulatorOptions { baud_rate: Some(args.port.baud), ..SimulatorOptions::default() };
        PortName::Path(simulator.insert(Simulator::start(options)?).path().to_path_buf())
    };
    let client = args.port.open(port);
    let device = client.wait_connected(args.port.timeout())?;
    if !args.bench {
        return write_device(&mut out, client.port(), &device, args.json);
    }
    let result = trial::throughput(&client, args.updates, args.port.baud)?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&result)?)?;
    } else {
        writeln!(
            out,
            "{} full-frame updates in {:.2} s: {:.2} a second, {:.1} % of {} baud for pixels, {:.1} % in use{}",
            result.updates,
            result.seconds,
            result.updates_per_second,
            result.pixel_share * 100.0,
            args.port.baud,
            result.line_share * 100.0,
            if simulator.is_some() { " (simulated line)" } else { "" }
        )?;
    }
    Ok(())
}

fn write_device(out: &mut impl Write, port: &str, device: &DeviceInfo, json: bool) -> anyhow::Result<()> {
    let capabilities = &device.capabilities;
    let version = device.version.map(|number| number.to_string()).join(".");
    let panel = capabilities.panel.map(|panel| {
        let format = match panel.format {
            PixelFormat::Mono => "mono",
            PixelFormat::Rgb565 => "rgb565",
        };
        (panel.width, panel.height, format)
    });
    if json {
        let object = json!({
            "port": port,
            "protocol": trm_protocol::VERSION,
            "firmware": device.firmware,
            "version": version,
            "panel": panel.map(|(width, height, format)| json!({"width": width, "height": height, "format": format})),
            "leds": capabilities.leds,
            "buttons": capabilities.buttons,
            "motors": capabilities.motors,
            "window": capabilities.window,
            "silence_ms": capabilities.silence_ms,
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    writeln!(out, "{port}: {} {version}, protocol {}", device.firmware, trm_protocol::VERSION)?;
    let panel = panel.map_or_else(|| "none".to_owned(), |(width, height, format)| format!("{width}x{height} {format}"));
    writeln!(
        out,
        "panel {panel}, {} LEDs, {} buttons, {}",
        capabilities.leds,
        capabilities.buttons,
        if capabilities.motors {
            format!("motors that stop after {} ms of silence", capabilities.silence_ms)
        } else {
            "no motors".to_owned()
        }
    )?;
    Ok(())
}
