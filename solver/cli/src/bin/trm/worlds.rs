//! `trm worlds`: made-up worlds with drives, whose costs nobody tells.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use trm_cli::{Exit, console};
use trm_intake::file::write_atomically;
use trm_pictures::write_png;
use trm_plan::grey_picture;
use trm_plan::learned::Layer;
use trm_plan::worlds::{World, WorldKind};
use trm_puzzles::seeded;

/// Grey levels between two classes of ground, so that people see them.
const GREY: f32 = 40.0;

/// Make up worlds whose ground has costs that no file tells, and drives by somebody who knows them: to try `trm train --task costs`
/// on.
///
/// Writes maps (`map_server`), a picture of the ground for each, `drives.jsonl` to learn from, and `tests.jsonl`: drives in worlds of
/// their own, with the cost of each (`cost`, in metres of good ground) and that of the best way (`best`). The same numbers give the
/// same worlds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The rule by which ground is dear
    kind: Kind,
    /// Folder to write into, which is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Drives to learn from, two in each world
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    drives: u16,
    /// Drives to test with, each in a world of its own
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    tests: u16,
    /// Cells of 0.2 m along a side of a world
    #[arg(long, value_name = "CELLS", default_value_t = 64, value_parser = clap::value_parser!(u16).range(48..=512))]
    side: u16,
    /// Number of the prices: worlds of the same have the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    family: u64,
    /// Seed of the worlds and drives
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Six kinds of ground, each with a price
    Ground,
    /// Drops without a rail: ground near one is dear
    Cliffs,
    /// Road and pavement with kerbs, and crossings
    Kerbs,
    /// Streets in which one keeps to the right
    KeepRight,
    /// Doors that are busy at some hours
    Doors,
}

impl Kind {
    fn world(self) -> WorldKind {
        match self {
            Self::Ground => WorldKind::Ground,
            Self::Cliffs => WorldKind::Cliffs,
            Self::Kerbs => WorldKind::Kerbs,
            Self::KeepRight => WorldKind::KeepRight,
            Self::Doors => WorldKind::Doors,
        }
    }
}

/// A drive, with the cost that only its world knows.
#[derive(Debug, Serialize)]
struct Line<'a> {
    map: &'a str,
    layers: &'a serde_json::Map<String, serde_json::Value>,
    path: Vec<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    best: Option<f64>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if args.out.join("drives.jsonl").exists() {
        bail!("{} has drives already\nhint: give another --out", args.out.display());
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let sets = [("drives", args.drives, 2, 0), ("tests", args.tests, 1, 1 << 32)];
    let mut out = console::stdout();
    for (name, count, in_each, first_seed) in sets {
        let mut lines = String::new();
        let (mut written, mut seed) = (0, args.seed.wrapping_add(first_seed));
        while written < count {
            let world = World::generate(args.kind.world(), args.side.into(), args.family, seed)?;
            let mut rng = seeded(seed);
            let mut drives = Vec::new();
            for _ in 0..in_each.min(count - written) {
                let Some((from, to)) = world.ends(&mut rng) else { break };
                let best = world.best(from, to).map(|(_, best)| best);
                drives.extend(world.drive(from, to, &mut rng).map(|path| (path, best)));
            }
            if !drives.is_empty() {
                let (map, layers) = write_world(&args.out, &format!("{name}-{written:03}"), &world)?;
                for (path, best) in drives {
                    let is_test = name == "tests";
                    let cost = is_test.then(|| world.cost(&path));
                    let line = Line { map: &map, layers: &layers, path, cost, best: best.filter(|_| is_test) };
                    lines.push_str(&serde_json::to_string(&line)?);
                    lines.push('\n');
                    written += 1;
                }
            }
            seed = seed.wrapping_add(1);
        }
        let file = args.out.join(format!("{name}.jsonl"));
        write_atomically(&file, |file| file.write_all(lines.as_bytes()))?;
        writeln!(out, "{}: {written} drives", file.display())?;
    }
    Ok(Exit::Done)
}

/// Writes a world's map and layers; the map's file name, and the layers as drives have them.
fn write_world(
    folder: &Path,
    name: &str,
    world: &World,
) -> Result<(String, serde_json::Map<String, serde_json::Value>)> {
    let map = format!("{name}.yaml");
    world.map.write_map_server(&folder.join(&map))?;
    let mut layers = serde_json::Map::new();
    for (layer, values) in &world.layers {
        let value = match values {
            Layer::Value(value) => (*value).into(),
            Layer::Cells(values) => {
                let greys: Vec<u8> = values.iter().map(|class| (GREY * class) as u8).collect();
                let file = format!("{name}-{layer}.png");
                write_png(&folder.join(&file), &grey_picture(world.map.width(), &greys))?;
                file.into()
            }
        };
        layers.insert(layer.clone(), value);
    }
    Ok((map, layers))
}
