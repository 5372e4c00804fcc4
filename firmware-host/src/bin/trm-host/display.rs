//! `trm-host display`: any screen, without the hardware.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use embedded_graphics::geometry::OriginDimensions;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888};
use trm_cli::{InvalidOption, outln};
use trm_firmware_host::display::{Board, Canvas, Framebuffer, Ink, Screen, Theme, draw, framebuffer, sample};
use trm_intake::shown;
use trm_pictures::{check_png_path, write_png};

/// What to draw, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Size of the panel, in pixels
    #[arg(long, default_value = "320x240", value_parser = size)]
    size: (u32, u32),
    /// Pixel format: mono, rgb565 or rgb888; mono for panels up to 100 pixels high
    #[arg(long)]
    format: Option<Format>,
    /// Screen to draw
    #[arg(long, default_value = "solved", value_parser = clap::builder::PossibleValuesParser::new(sample::NAMES))]
    screen: String,
    /// Puzzle to draw, in any format that `trm solve` reads; the answer is found by search
    #[arg(long, value_name = "PUZZLE")]
    grid: Option<PathBuf>,
    /// PNG file to write
    #[arg(long, value_name = "OUT.png", required_unless_present_any = ["framebuffer", "sheet", "time"])]
    png: Option<PathBuf>,
    /// Framebuffer to show it on, such as /dev/fb0; the size is the framebuffer's own
    #[arg(long, value_name = "DEVICE", conflicts_with = "size")]
    framebuffer: Option<PathBuf>,
    /// Folder where the system describes framebuffers
    #[arg(long, default_value = framebuffer::SYSFS, hide_default_value = true, value_name = "DIR")]
    sysfs: PathBuf,
    /// PNG file to write all screens at 320x240 into, side by side
    #[arg(long, value_name = "OUT.png", conflicts_with_all = ["png", "framebuffer"])]
    sheet: Option<PathBuf>,
    /// Play the idle screen's animation on the framebuffer for this many seconds
    #[arg(long, value_name = "SECONDS", requires = "framebuffer", value_parser = clap::value_parser!(u64).range(..=86_400))]
    animate: Option<u64>,
    /// Print how long it takes to draw the screen, as the median of 51 times
    #[arg(long)]
    time: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Mono,
    Rgb565,
    Rgb888,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match parsed {
        Some((width @ 32..=4096, height @ 32..=4096)) => Ok((width, height)),
        _ => Err(format!("`{text}`, expected a size such as 240x240, 32 to 4096 pixels a side")),
    }
}

/// Draws what the arguments say.
pub(crate) fn run(args: &Args) -> Result<()> {
    let inputs = args.grid.iter().map(PathBuf::as_path).collect::<Vec<_>>();
    for (option, path) in [("--sheet", &args.sheet), ("--png", &args.png)] {
        if let Some(path) = path {
            check_png_path(path, &inputs).map_err(InvalidOption::named(option))?;
        }
    }
    if let Some(path) = &args.sheet {
        return Ok(write_png(path, &sample::sheet())?);
    }
    let board = args.grid.as_deref().map(read).transpose()?;
    if let (Some(board), "solved" | "maze-solved") = (&board, args.screen.as_str()) {
        // Not even a sample says "solved" of what is not.
        if !board.kind.task().verify(&board.given, &sample::answered(board).answer).is_verified() {
            bail!("no answer was found to the puzzle\nhint: --screen not-solved or reading shows it without one");
        }
    }
    let Some(screen) = sample::screen(&args.screen, board.as_ref()) else {
        bail!("no screen `{}`\nhint: screens: {}", args.screen, sample::NAMES.join(", "));
    };
    if let Some(device) = &args.framebuffer {
        return show(args, device, &screen);
    }
    let format = args.format.unwrap_or(if args.size.1 < 100 { Format::Mono } else { Format::Rgb565 });
    match format {
        Format::Mono => picture::<BinaryColor>(args, &screen),
        Format::Rgb565 => picture::<Rgb565>(args, &screen),
        Format::Rgb888 => picture::<Rgb888>(args, &screen),
    }
}

fn read(path: &Path) -> Result<Board> {
    let puzzles = trm_puzzles::formats::read(path)?;
    let puzzle = puzzles.into_iter().next().with_context(|| format!("{}: no puzzle", shown::path(path)))?;
    puzzle.check()?;
    Ok(Board::new(puzzle.kind, puzzle.grid))
}

fn picture<C: Ink>(args: &Args, screen: &Screen) -> Result<()> {
    let theme = Theme::<C>::new(args.size.0, args.size.1);
    let canvas = drawn(screen, &theme);
    if args.time {
        report(screen, &theme, &canvas)?;
    }
    match &args.png {
        Some(path) => Ok(write_png(path, &canvas.to_image())?),
        None => Ok(()),
    }
}

fn drawn<C: Ink>(screen: &Screen, theme: &Theme<C>) -> Canvas<C> {
    let mut canvas = Canvas::new(theme.size, theme.palette.background);
    let Ok(()) = draw(screen, theme, &mut canvas);
    canvas
}

fn report<C: Ink>(screen: &Screen, theme: &Theme<C>, canvas: &Canvas<C>) -> std::io::Result<()> {
    let mut canvas = canvas.clone();
    let mut times: Vec<Duration> = (0..51)
        .map(|_| {
            let start = Instant::now();
            let Ok(()) = draw(screen, theme, &mut canvas);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let size = canvas.size();
    outln!(
        "{}x{}: {:.2} ms to draw, canvas of {} bytes{}",
        size.width,
        size.height,
        times[times.len() / 2].as_secs_f64() * 1e3,
        size_of_val(canvas.pixels()),
        peak_memory().map_or_else(String::new, |kib| format!(", {kib} KiB peak memory of the process"))
    )
}

/// The largest resident set so far, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

fn show(args: &Args, device: &Path, screen: &Screen) -> Result<()> {
    let mut framebuffer = Framebuffer::open(device, &args.sysfs)?;
    let size = framebuffer.geometry().size;
    let theme = Theme::<Rgb888>::new(size.width, size.height);
    let Some(seconds) = args.animate else { return Ok(framebuffer.show(&drawn(screen, &theme))?) };
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        let elapsed = start.elapsed();
        framebuffer.show(&drawn(&Screen::Idle { elapsed }, &theme))?;
        // 20 pictures a second, however long one takes.
        std::thread::sleep(Duration::from_millis(50).saturating_sub(start.elapsed().saturating_sub(elapsed)));
    }
    Ok(())
}
