//! `trm drives`: recordings of where a robot was in, drives over a map out.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use schemars::JsonSchema;
use serde::Serialize;
use trm_cli::{Exit, InvalidOption, console, errln};
use trm_intake::file::{folder_of, is_same, write_atomically};
use trm_intake::{Printable, explained};
use trm_plan::map::LoadedMap;
use trm_plan::recording::{Cuts, MOST_PLACES, MapFit, MessageType, PoseStream, Recording};
use trm_plan::{Drive, LayerSource, OccupancyMap};

/// Topics that are listed in a message.
const MOST_SHOWN: usize = 12;

/// Make drives out of recordings of where a robot was.
///
/// Reads MCAP files and bag folders of ROS 2 (`nav_msgs/Path`, Odometry, `PoseStamped`, `PoseWithCovarianceStamped`), TUM
/// trajectories and tables with x and y. Poses are cut where the robot stood, where the recording has a gap and where a pose
/// jumps; each path is a drive by itself, and of those that were published again and again the longest are kept. A drive that lies
/// off the map's free ground is left out. Drives go to stdout, a JSON object a line: what `trm train` learns costs from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Recordings: files, or bag folders of ROS 2
    #[arg(value_name = "RECORDING", required = true)]
    recordings: Vec<PathBuf>,
    /// The map that the poses are on, of any format that `trm plan` reads
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// A layer of the map, of something besides obstacles: a picture with a pixel for each cell, a map, or a number for all.
    /// May be given several times
    #[arg(long, value_name = "NAME=FILE|NUMBER", allow_hyphen_values = true, value_parser = parse_layer)]
    layer: Vec<(String, LayerSource)>,
    /// The topic, where a recording has poses on several
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// The columns of a table without a header: t, x, y, and any other word for what is passed over
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// Write the drives into this file, which refers to map and layers from its own folder
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Seconds without a movement of more than 0.1 m, or without a pose, between one drive and the next
    #[arg(long, value_name = "S", default_value_t = Cuts::default().pause)]
    pause: f64,
    /// Metres from a pose to the next that are a jump, between one drive and the next
    #[arg(long, value_name = "M", default_value_t = Cuts::default().jump)]
    jump: f64,
    /// Metres of the shortest drive
    #[arg(long, value_name = "M", default_value_t = Cuts::default().least)]
    least: f64,
    /// The share of a drive's places, 0 to 1, that may be outside of the map, in unknown space or in obstacles
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    off_map: f64,
    /// With --out: print a summary as one JSON object
    #[arg(long, requires = "out")]
    json: bool,
}

fn parse_layer(text: &str) -> Result<(String, LayerSource), String> {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !source.is_empty() => {
            let number = source.parse().ok().filter(|number: &f64| number.is_finite());
            Ok((name.to_owned(), number.map_or_else(|| LayerSource::File(source.into()), LayerSource::Value)))
        }
        _ => {
            Err(format!("expected a name and a file or a number, such as ground=ground.png or hour=14; found `{text}`"))
        }
    }
}

/// The summary of all recordings.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "Drives")]
pub(crate) struct JsonSummary {
    /// Drives that were written.
    drives: usize,
    /// Their metres, all together.
    length_m: f64,
    /// Their places.
    places: usize,
    /// Drives that lie off the map, and were left out.
    left_out: usize,
    /// The recordings, in their order.
    recordings: Vec<JsonRecording>,
}

/// A recording.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonRecording {
    /// The file or folder.
    recording: String,
    /// The topic; null for a table.
    topic: Option<String>,
    /// The type of its messages; null for a table.
    message_type: Option<&'static str>,
    /// Messages or rows.
    messages: u64,
    /// The frames that its poses are in.
    frames: Vec<String>,
    /// The drives in it, those that were left out too.
    drives: Vec<JsonDrive>,
}

/// A drive.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonDrive {
    /// False for one that was left out.
    kept: bool,
    length_m: f64,
    places: usize,
    /// Places outside of the map.
    outside: usize,
    /// Places in unknown space.
    unknown: usize,
    /// Places in obstacles.
    obstacles: usize,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    check(args)?;
    let loaded = LoadedMap::read(&args.map)?;
    if let Some(note) = &loaded.note {
        errln!("note: {}", explained(note));
    }
    let map = loaded.map;
    let folder = args.out.as_deref().map(folder_of);
    let drive = Drive { map: found_from(folder, &args.map)?, layers: layers(args, folder)?, path: Vec::new() };
    let mut summary = JsonSummary::default();
    let mut lines: Vec<u8> = Vec::new();
    for path in &args.recordings {
        let recording = Recording::read(path, args.topic.as_deref(), args.columns.as_deref())?;
        for note in &recording.notes {
            errln!("note: {}", explained(note));
        }
        let stream = chosen(&recording, args.topic.as_deref())?;
        let cuts = Cuts { pause: args.pause, jump: args.jump, least: args.least };
        let pieces = stream.drives(&cuts, map.resolution())?;
        let mut drives = Vec::new();
        for piece in pieces {
            let fit = MapFit::new(&map, &piece);
            let length = piece.windows(2).map(|pair| (pair[0][0] - pair[1][0]).hypot(pair[0][1] - pair[1][1])).sum();
            let told = JsonDrive {
                kept: fit.off_share() <= args.off_map,
                length_m: rounded(length),
                places: fit.places,
                outside: fit.outside,
                unknown: fit.unknown,
                obstacles: fit.obstacles,
            };
            if told.kept {
                let path = piece.iter().map(|place| place.map(rounded)).collect();
                serde_json::to_writer(&mut lines, &Drive { path, ..drive.clone() })
                    .context("a file's name is not UTF-8, and cannot be written into a file of drives")?;
                lines.push(b'\n');
            }
            drives.push(told);
        }
        let told = JsonRecording {
            recording: path.display().to_string(),
            topic: stream.kind.map(|_| stream.topic.clone()),
            message_type: stream.kind.map(MessageType::name),
            messages: stream.messages,
            frames: stream.frames.clone(),
            drives,
        };
        told.report(&map, args);
        summary.add(told)?;
    }
    finish(args, &summary, &lines)
}

/// Writes drives and summary, and says on stderr what there is.
fn finish(args: &Args, summary: &JsonSummary, lines: &[u8]) -> anyhow::Result<Exit> {
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let left_out = match summary.left_out {
        0 => String::new(),
        count => format!(", {count} left out"),
    };
    errln!(
        "{}, {:.1} m in {}{left_out}",
        plural(summary.drives, "drive"),
        summary.length_m,
        plural(summary.places, "place")
    );
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, summary).map_err(std::io::Error::from)?;
        writeln!(out)?;
    }
    if summary.drives == 0 {
        errln!("nothing is written");
        return Ok(Exit::AnswerFailed);
    }
    match &args.out {
        Some(path) => write_atomically(path, |file| file.write_all(lines))?,
        None => out.write_all(lines)?,
    }
    Ok(Exit::Done)
}

impl JsonSummary {
    fn add(&mut self, recording: JsonRecording) -> anyhow::Result<()> {
        for drive in &recording.drives {
            if drive.kept {
                self.drives += 1;
                self.length_m = rounded(self.length_m + drive.length_m);
                self.places += drive.places;
            } else {
                self.left_out += 1;
            }
        }
        self.recordings.push(recording);
        if self.places > MOST_PLACES {
            bail!(
                "{} places of drives are more than the limit of {MOST_PLACES} of one file\nhint: give fewer recordings, and \
                 make a file of drives of each",
                self.places
            );
        }
        Ok(())
    }
}

impl JsonRecording {
    /// Says on stderr which of its drives lie off the map's free ground.
    fn report(&self, map: &OccupancyMap, args: &Args) {
        let name = Printable(&self.recording);
        let elsewhere =
            self.frames.iter().find(|frame| !frame.is_empty() && same_frame(frame) != same_frame(map.frame()));
        let mut is_hint_due = false;
        for (number, drive) in (1..).zip(&self.drives) {
            let parts = [
                (drive.outside, "outside of the map"),
                (drive.unknown, "in unknown space"),
                (drive.obstacles, "in obstacles"),
            ];
            let share = |count: usize| 100.0 * count as f64 / drive.places as f64;
            let said: Vec<String> = parts
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|&(count, place)| format!("{:.1} % {place}", share(count)))
                .collect();
            if said.is_empty() {
                continue;
            }
            let verdict = if drive.kept { "" } else { ": left out" };
            errln!("{name}: drive {number} of {:.1} m: {}{verdict}", drive.length_m, said.join(", "));
            is_hint_due |= !drive.kept;
        }
        match elsewhere {
            Some(frame) => errln!(
                "note: {name}: its poses are in the frame `{}`, the map is in `{}`{}",
                Printable(frame),
                Printable(map.frame()),
                if is_hint_due {
                    "\nhint: choose a topic whose poses are on the map, as a localisation publishes them"
                } else {
                    ""
                }
            ),
            None if is_hint_due => errln!(
                "hint: another map, or a poor localisation? --off-map {} is the share that is let pass",
                args.off_map
            ),
            None => {}
        }
        if self.drives.is_empty() {
            errln!("{name}: no drive of {} m or more in {} poses", args.least, self.messages);
        }
    }
}

/// A frame's name as older programs write it too: `/map`.
fn same_frame(frame: &str) -> &str {
    frame.trim_start_matches('/')
}

fn check(args: &Args) -> Result<(), InvalidOption> {
    let invalid = |option, reason: String, hint: Option<&str>| {
        Err(InvalidOption { option, reason, hint: hint.map(str::to_owned) })
    };
    for (option, value) in [("--pause", args.pause), ("--jump", args.jump), ("--least", args.least)] {
        if !(value > 0.0 && value.is_finite()) {
            return invalid(option, format!("{value}: expected a number above zero"), None);
        }
    }
    if !(0.0..=1.0).contains(&args.off_map) {
        return invalid("--off-map", format!("{}: expected a share of 0 to 1", args.off_map), None);
    }
    if let Some(out) = &args.out
        && args.recordings.iter().chain([&args.map]).chain(layer_files(args)).any(|input| is_same(input, out))
    {
        let reason = format!("{}: it is read from, and would be overwritten", out.display());
        return invalid("--out", reason, Some("give another name"));
    }
    if let Some(file) = layer_files(args).find(|file| !file.is_file()) {
        return invalid("--layer", format!("{}: there is no such file", file.display()), None);
    }
    let mut names: Vec<&str> = args.layer.iter().map(|(name, _)| &**name).collect();
    names.sort_unstable();
    if let Some([name, ..]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return invalid("--layer", format!("{name} is given twice"), None);
    }
    Ok(())
}

fn layer_files(args: &Args) -> impl Iterator<Item = &PathBuf> {
    args.layer.iter().filter_map(|(_, source)| match source {
        LayerSource::File(file) => Some(file),
        LayerSource::Value(_) => None,
    })
}

fn layers(args: &Args, folder: Option<&Path>) -> anyhow::Result<BTreeMap<String, LayerSource>> {
    let found = |source: &LayerSource| match source {
        LayerSource::File(file) => found_from(folder, file).map(LayerSource::File),
        LayerSource::Value(value) => Ok(LayerSource::Value(*value)),
    };
    args.layer.iter().map(|(name, source)| Ok((name.clone(), found(source)?))).collect()
}

/// A file as one of drives in a folder names it: from there, where it is below it, else from the root.
fn found_from(folder: Option<&Path>, file: &Path) -> anyhow::Result<PathBuf> {
    let absolute = |path: &Path| path.canonicalize().with_context(|| format!("cannot read {}", path.display()));
    let file = absolute(file)?;
    Ok(match folder {
        Some(folder) => file.strip_prefix(absolute(folder)?).map_or_else(|_| file.clone(), Path::to_owned),
        None => file,
    })
}

/// The topic that is meant.
fn chosen<'r>(recording: &'r Recording, topic: Option<&str>) -> anyhow::Result<&'r PoseStream> {
    let source = Printable(&recording.source.display().to_string()).to_string();
    let others =
        || listed(recording.others.iter().map(|(name, kind)| format!("{} ({})", Printable(name), Printable(kind))));
    match (&recording.streams[..], topic) {
        ([stream], _) => Ok(stream),
        ([], Some(topic)) => match recording.others.iter().find(|(name, _)| name == topic) {
            Some((_, kind)) => bail!(
                "--topic {}: its messages are {}, which hold no poses that are read\nhint: Path, Odometry, PoseStamped and \
                 PoseWithCovarianceStamped are",
                Printable(topic),
                Printable(kind)
            ),
            None => {
                bail!("--topic {}: {source} has no messages on it\nhint: its topics: {}", Printable(topic), others())
            }
        },
        ([], None) => bail!(
            "{source}: there are no poses in it\nhint: record a topic with poses, such as /amcl_pose; its topics: {}",
            others()
        ),
        (streams, _) => {
            let kind = |stream: &PoseStream| stream.kind.map_or("", MessageType::name);
            let line = |stream: &PoseStream| {
                format!("{} ({}, {} messages)", Printable(&stream.topic), kind(stream), stream.messages)
            };
            bail!(
                "{source}: poses on {} topics: {}\nhint: name the one that is meant, such as --topic {}",
                streams.len(),
                listed(streams.iter().map(line)),
                Printable(&streams[0].topic)
            )
        }
    }
}

/// Topics in a line, no more of them than one reads.
fn listed(topics: impl ExactSizeIterator<Item = String>) -> String {
    let more = topics.len().saturating_sub(MOST_SHOWN);
    let shown: Vec<String> = topics.take(MOST_SHOWN).collect();
    match (shown.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (_, 0) => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Tenths of a millimetre.
fn rounded(metres: f64) -> f64 {
    (metres * 1e4).round() / 1e4
}
