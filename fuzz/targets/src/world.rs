//! Readers of maps, pictures, paths, settings, and messages of devices.

use std::path::Path;

use trm_firmware_host::kiosk::KioskConfig;
use trm_firmware_host::vision::photo;
use trm_firmware_host::vision::source::{JpegSplitter, SourceSpec};
use trm_link::motion::PathFile;
use trm_plan::map::LoadedMap;
use trm_plan::recording::{Cuts, Recording};
use trm_protocol::{Command, Decoder, FromDevice, FromHost, PixelFormat, Runs};

use crate::scratch::{with_file, with_folder};

/// A plan of 4x3 cells, as an image that the settings of a map are for.
const IMAGE: &[u8] = b"P5 4 3 255\n\0\xff\xff\0\xfe\xcd\xfe\xcd\xfe\xfe\0\xfe";

/// Settings that go with any image.
const SETTINGS: &[u8] =
    b"image: map.img\nresolution: 0.05\norigin: [0, 0, 0]\noccupied_thresh: 0.65\nfree_thresh: 0.25\nnegate: 0\n";

/// A map of any kind that is one file: drawings, benchmarks, occupancy grids. The first byte says by which name.
pub(crate) fn map(data: &[u8]) -> bool {
    let Some((&choice, content)) = data.split_first() else { return false };
    let name = ["map.txt", "map.map", "map.json", "grid.yaml", "maze.maz"][usize::from(choice) % 5];
    with_file(name, content, |path| LoadedMap::read(path).is_ok()).unwrap_or(false)
}

/// Settings of a map beside a good image.
pub(crate) fn map_settings(data: &[u8]) -> bool {
    let read = |folder: &Path| {
        std::fs::write(folder.join("map.pgm"), IMAGE).ok()?;
        std::fs::write(folder.join("map.yaml"), data).ok()?;
        Some(LoadedMap::read(&folder.join("map.yaml")).is_ok())
    };
    with_folder(read).flatten().unwrap_or(false)
}

/// An image beside good settings.
pub(crate) fn map_image(data: &[u8]) -> bool {
    let read = |folder: &Path| {
        std::fs::write(folder.join("map.img"), data).ok()?;
        std::fs::write(folder.join("image.yaml"), SETTINGS).ok()?;
        Some(LoadedMap::read(&folder.join("image.yaml")).is_ok())
    };
    with_folder(read).flatten().unwrap_or(false)
}

/// A photograph.
pub(crate) fn picture(data: &[u8]) -> bool {
    photo::from_bytes(data, Path::new("photo.png")).is_ok()
}

/// A camera's stream of pictures, in pieces as they come.
pub(crate) fn mjpeg(data: &[u8]) -> bool {
    let mut splitter = JpegSplitter::new();
    let mut found = false;
    for piece in data.chunks(61) {
        splitter.push(piece);
        while let Some(jpeg) = splitter.next_jpeg() {
            found = true;
            let _ = photo::from_bytes(&jpeg, Path::new("frame.jpg"));
        }
    }
    found
}

/// A planned path that a robot is to drive.
pub(crate) fn path(data: &[u8]) -> bool {
    PathFile::read("path.json", data).is_ok()
}

/// A recording of where a robot was: an MCAP file, or a table.
pub(crate) fn recording(data: &[u8]) -> bool {
    let read = |path: &Path| {
        let recording = Recording::read(path, None, None).ok()?;
        recording.streams.iter().try_for_each(|stream| stream.drives(&Cuts::default(), 0.05).ok().map(drop))
    };
    with_file("recording", data, read).flatten().is_some()
}

/// Bytes from the line, from either side.
pub(crate) fn frames(data: &[u8]) -> bool {
    let (mut decoder, mut heard) = (Decoder::new(), false);
    for &byte in data {
        if let Some(Ok(packet)) = decoder.push(byte) {
            heard |= packet.message::<FromDevice<'_>>().is_ok();
            if let Ok(FromHost::Command { command, .. }) = packet.message() {
                heard |= obeyed(command);
            }
        }
    }
    heard
}

/// Messages without their frames, whose checksums would keep every change out. The first byte says whose.
pub(crate) fn messages(data: &[u8]) -> bool {
    let Some((&choice, message)) = data.split_first() else { return false };
    match choice % 3 {
        0 => postcard::take_from_bytes::<FromDevice<'_>>(message).is_ok(),
        1 => postcard::take_from_bytes::<FromHost<'_>>(message).is_ok(),
        _ => obeyed(message),
    }
}

/// A command with the pixels that it may bring.
fn obeyed(command: &[u8]) -> bool {
    match Command::from_bytes(command) {
        Some(Command::Rect(rect)) => Runs::new(rect.data, PixelFormat::Rgb565).checked_count().is_some(),
        other => other.is_some(),
    }
}

/// A source of frames, as it is written on a command line or in settings.
pub(crate) fn frame_source(data: &[u8]) -> bool {
    String::from_utf8_lossy(data).parse::<SourceSpec>().is_ok()
}

/// A kiosk's settings.
pub(crate) fn kiosk_toml(data: &[u8]) -> bool {
    KioskConfig::from_toml("kiosk.toml", &String::from_utf8_lossy(data)).is_ok()
}
