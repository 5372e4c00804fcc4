//! Recordings of where a robot was: MCAP files, ROS 2's bag folders, TUM trajectories and tables; and the drives in them.
//!
//! [`Recording::read`] takes a file or a folder and gathers poses by topic. [`Cuts`] makes drives of a topic's poses: it cuts
//! them where the robot stood, and where poses are missing. [`MapFit`] says how well a drive lies on a map. [`write_mcap`]
//! makes a recording of a plan, for viewers.
//!
//! ```
//! use trm_plan::recording::{Cuts, Recording};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("teach.csv");
//! // Along x at half a metre a second, with a stop of a minute.
//! let row = |t: u32| format!("{t},{},0\n", f64::from(t.min(10) + t.saturating_sub(70)) / 2.0);
//! std::fs::write(&path, format!("t,x,y\n{}", (0..80).map(row).collect::<String>()))?;
//!
//! let recording = Recording::read(&path, None, None)?;
//! let drives = recording.streams[0].drives(&Cuts::default(), 0.05)?;
//! assert_eq!(drives.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bag;
mod cdr;
mod collector;
mod cut;
mod definitions;
mod fit;
mod mcap;
mod mcap_writer;
mod message;
mod plan;
mod republished;
mod table;

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use trm_intake::file::FileError;
use trm_intake::{Budget, Fault, Limits, Printable};

use self::collector::Collector;
use self::mcap::{End, MAGIC};
use crate::{PlanError, Result};

pub use self::cut::{Cuts, MOST_PLACES};
pub use self::fit::MapFit;
pub use self::message::MessageType;
pub use self::plan::write_mcap;

/// The first bytes of a sqlite database, which rosbag2 writes as `.db3`.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The first bytes of a bag of ROS 1.
const ROS1: &[u8] = b"#ROSBAG V";

/// Bytes that the chunks of any file may unpack to.
const LEAST_UNPACKED: u64 = 1 << 30;
/// Bytes more for each byte of the file. Scans pack to a third, odometry with its covariances to a twentieth.
const UNPACKED_A_BYTE: u64 = 16;
/// Bytes of a record on the average, as they are counted: one of few bytes takes as long to read as one of some hundred.
const BYTES_A_RECORD: u64 = 192;

/// A place, and when the robot was there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedPlace {
    /// Seconds, of whatever clock; `None` in tables without a time.
    pub time: Option<f64>,
    /// x and y, in metres.
    pub at: [f64; 2],
}

/// The places of a topic.
#[derive(Debug, Clone, PartialEq)]
pub enum Tracks {
    /// One pose after the other.
    Poses(Vec<TimedPlace>),
    /// Whole paths. Of those that were published again and again the longest are kept.
    Paths(Vec<Vec<[f64; 2]>>),
}

/// A topic with poses.
#[derive(Debug, Clone, PartialEq)]
pub struct PoseStream {
    /// Its name; empty for a table.
    pub topic: String,
    /// The type of its messages; `None` for a table.
    pub kind: Option<MessageType>,
    /// The frames that its poses are in, as its messages call them.
    pub frames: Vec<String>,
    /// Messages, or rows.
    pub messages: u64,
    /// The poses.
    pub tracks: Tracks,
}

impl PoseStream {
    fn new(topic: &str, kind: Option<MessageType>) -> Self {
        let tracks = match kind {
            Some(MessageType::Path) => Tracks::Paths(Vec::new()),
            _ => Tracks::Poses(Vec::new()),
        };
        Self { topic: topic.to_owned(), kind, frames: Vec::new(), messages: 0, tracks }
    }
}

/// A recording of where a robot was.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file or folder.
    pub source: PathBuf,
    /// Topics with poses, by name.
    pub streams: Vec<PoseStream>,
    /// Topics without poses, and those that were not asked for: their names and types. No more than a thousand.
    pub others: Vec<(String, String)>,
    /// Remarks: it ends in the midst of a message, poses were left out.
    pub notes: Vec<Fault>,
}

impl Recording {
    /// Reads a recording: an MCAP file of ROS 2 messages, a bag folder of such, a TUM trajectory, or a table with or without a
    /// header. Of MCAP files `topic` is read, or every topic that has poses; `columns` names those of a table without a
    /// header, such as `t,x,y`.
    ///
    /// # Errors
    /// [`PlanError::File`]; [`PlanError::BadRecording`] for what is none of these, is damaged, or asks for too much memory or
    /// time.
    pub fn read(path: &Path, topic: Option<&str>, columns: Option<&str>) -> Result<Self> {
        if path.is_dir() {
            let (files, note) = bag::files(path)?;
            return Self::read_mcap(path, &files, topic, note);
        }
        let mut first = Vec::new();
        let opened = File::open(path).and_then(|file| file.take(SQLITE.len() as u64).read_to_end(&mut first));
        opened.map_err(FileError::io("read", path))?;
        if first.starts_with(MAGIC) {
            return Self::read_mcap(path, &[path.to_owned()], topic, None);
        }
        let refused = |what: &str, hint: &str| Err(bad(path, Fault::from(what).advise(hint)));
        if first.starts_with(SQLITE) {
            return refused("a bag of the storage sqlite3, expected mcap", bag::CONVERT);
        }
        if first.starts_with(ROS1) {
            return refused(
                "a bag of ROS 1, expected one of ROS 2",
                "convert it: `rosbags-convert` of the Python package rosbags",
            );
        }
        if bag::has_ending(path, "mcap") {
            return Err(bad(path, "it does not begin as an MCAP file does".into()));
        }
        let stream = table::read(path, columns)?;
        Ok(Self { source: path.to_owned(), streams: vec![stream], others: Vec::new(), notes: Vec::new() })
    }

    /// Reads an MCAP file that is in memory, as [`read`](Self::read) does.
    ///
    /// # Errors
    /// [`PlanError::BadRecording`].
    pub fn from_mcap(source: impl Into<PathBuf>, bytes: &[u8], topic: Option<&str>) -> Result<Self> {
        let source = source.into();
        let mut collector = Collector::new(topic);
        let is_finished = bytes.len() >= 2 * MAGIC.len() && bytes.ends_with(MAGIC);
        let note = mcap_into(&mut collector, bytes, bytes.len() as u64, is_finished, &source)?;
        Ok(Self::collected(source, collector, note.into_iter().collect()))
    }

    fn read_mcap(source: &Path, files: &[PathBuf], topic: Option<&str>, note: Option<Fault>) -> Result<Self> {
        let mut collector = Collector::new(topic);
        let mut notes: Vec<Fault> = note.into_iter().collect();
        for path in files {
            let opened = File::open(path).and_then(|mut file| {
                let length = file.seek(SeekFrom::End(0))?;
                let mut last = [0; MAGIC.len()];
                if length >= 2 * last.len() as u64 {
                    file.seek(SeekFrom::End(-(last.len() as i64)))?;
                    file.read_exact(&mut last)?;
                }
                file.rewind()?;
                Ok((BufReader::with_capacity(1 << 16, file), length, last == *MAGIC))
            });
            let (file, length, is_finished) = opened.map_err(FileError::io("read", path))?;
            notes.extend(mcap_into(&mut collector, file, length, is_finished, path)?);
        }
        Ok(Self::collected(source.to_owned(), collector, notes))
    }

    fn collected(source: PathBuf, collector: Collector, mut notes: Vec<Fault>) -> Self {
        if collector.without_numbers > 0 {
            let count = collector.without_numbers;
            notes.push(format!("{}: {count} poses that are no numbers are left out", source.display()).into());
        }
        Self {
            source,
            streams: collector.streams.into_values().collect(),
            others: collector.others.into_iter().collect(),
            notes,
        }
    }
}

/// Reads a file into the collector; a note where it was cut off. `is_finished` is true for one that ends as it should.
fn mcap_into(
    collector: &mut Collector,
    source: impl Read,
    length: u64,
    is_finished: bool,
    path: &Path,
) -> Result<Option<Fault>> {
    let bytes = LEAST_UNPACKED.saturating_add(length.saturating_mul(UNPACKED_A_BYTE));
    let unpacked = Budget::new(Limits { bytes, items: bytes / BYTES_A_RECORD, depth: 0, time: None });
    match mcap::read(source, collector, unpacked).map_err(|fault| bad(path, fault))? {
        End::Finished => Ok(None),
        End::CutOff if is_finished => {
            let fault = Fault::from("damaged: a record is longer than the file, although the file ends as it should");
            Err(bad(path, fault.advise("`mcap recover` keeps what is whole")))
        }
        End::CutOff => Ok(Some(
            format!("{}: it was cut off while it was recorded, and is read up to there", path.display()).into(),
        )),
    }
}

fn bad(path: &Path, fault: Fault) -> PlanError {
    PlanError::BadRecording { source_name: Printable(&path.display().to_string()).to_string(), fault }
}
