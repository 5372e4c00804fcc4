//! ROS 2's bag folders: `metadata.yaml`, which rosbag2 writes when it ends well, and the files of one recording.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use trm_intake::file::{FileError, read_within};
use trm_intake::{Budget, Fault, Limits, Printable};

use super::bad;
use crate::Result;

const METADATA: &str = "metadata.yaml";
/// Limits of the metadata, which have a few lines for each topic and each file.
const YAML_LIMITS: Limits = Limits { bytes: 4 << 20, items: 200_000, depth: 32, time: None };
/// The most files of a bag.
const MOST_FILES: usize = 10_000;

#[derive(Deserialize)]
struct Metadata {
    rosbag2_bagfile_information: Information,
}

#[derive(Deserialize)]
struct Information {
    storage_identifier: String,
    #[serde(default)]
    relative_file_paths: Vec<String>,
    #[serde(default)]
    compression_mode: String,
}

/// The MCAP files of a bag in the order in which they were recorded, and a note where the metadata are missing.
pub(super) fn files(folder: &Path) -> Result<(Vec<PathBuf>, Option<Fault>)> {
    let metadata = folder.join(METADATA);
    if !metadata.exists() {
        let files = files_in(folder)?;
        let note = Fault::from(format!(
            "{}: there is no {METADATA}, which is written at the end: its files are taken by their names",
            folder.display()
        ));
        return Ok((files, Some(note)));
    }
    let mut budget = Budget::new(YAML_LIMITS);
    let text = read_within(&metadata, &mut budget, "description of a bag")?;
    let information = parse(&text).map_err(|fault| bad(&metadata, fault))?;
    let refused = |what: String, hint: &str| Err(bad(&metadata, Fault::from(what).advise(hint)));
    if information.storage_identifier != "mcap" {
        return refused(
            format!("a bag of the storage `{}`, expected mcap", Printable(&information.storage_identifier)),
            CONVERT,
        );
    }
    if !matches!(&*information.compression_mode.to_lowercase(), "" | "none") {
        return refused(
            format!(
                "a bag whose {}s are compressed by rosbag2, expected chunks of MCAP",
                Printable(&information.compression_mode.to_lowercase())
            ),
            CONVERT,
        );
    }
    if information.relative_file_paths.len() > MOST_FILES {
        return Err(bad(&metadata, format!("more than {MOST_FILES} files").into()));
    }
    // Older ones have the folder's name before the file's; nothing outside of the folder is read.
    let file = |path: &String| Path::new(path).file_name().map(|name| folder.join(name));
    let files: Vec<PathBuf> = information.relative_file_paths.iter().filter_map(file).collect();
    if files.is_empty() {
        return Err(bad(&metadata, "it names no files".into()));
    }
    Ok((files, None))
}

/// The advice for recordings that another program turns into MCAP.
pub(super) const CONVERT: &str = "convert it: `ros2 bag convert -i BAG -o out.yaml`, with `output_bags: [{uri: NEW, storage_id: mcap, \
                                  all_topics: true}]` in out.yaml";

fn parse(text: &[u8]) -> Result<Information, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::from("not UTF-8 text, where yaml is expected"))?;
    let budget = serde_saphyr::budget! {
        max_events: YAML_LIMITS.items as usize, max_aliases: 100, max_depth: YAML_LIMITS.depth as usize,
    };
    let options = serde_saphyr::options! { budget: budget, with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map(|metadata: Metadata| metadata.rosbag2_bagfile_information)
        .map_err(|error| format!("not the description of a bag: {}", trm_intake::yaml::reason(&error)).into())
}

/// The recordings in a folder: `bag_9.mcap` comes before `bag_10.mcap`.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let io_error = |error| FileError::io("read", folder)(error);
    let mut files = Vec::new();
    let mut has_sqlite = false;
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        has_sqlite |= has_ending(&path, "db3");
        if has_ending(&path, "mcap") {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(bad(folder, format!("more than {MOST_FILES} files").into()));
        }
    }
    if files.is_empty() {
        let fault = Fault::from("a folder without a bag: there is no metadata.yaml, and no .mcap file");
        return Err(bad(folder, if has_sqlite { fault.advise(CONVERT) } else { fault }));
    }
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    Ok(files)
}

/// True if a file's name ends so, in capitals or not.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
