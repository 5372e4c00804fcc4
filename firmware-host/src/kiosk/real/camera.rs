//! Sources of pictures as cameras.

use crate::Result;
use crate::kiosk::Stills;
use crate::kiosk::config::CameraConfig;
use crate::kiosk::parts::{Camera, Frame};
use crate::vision::source::{FrameSource, SourceSpec};

/// Opens the camera that the settings name. `log` is told of pictures that were passed over.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub fn open_camera(config: &CameraConfig, log: fn(&str)) -> Result<Box<dyn Camera>> {
    let mut source = spec(config).open()?;
    if !matches!(config, CameraConfig::Pictures { .. }) {
        return Ok(Box::new(Stream { source, log }));
    }
    Ok(Box::new(Stills::new(move || {
        let frame = source.next_frame();
        source.take_warnings().iter().for_each(|line| log(line));
        Ok(frame?.map(|frame| (frame.name, frame.image)))
    })))
}

fn spec(config: &CameraConfig) -> SourceSpec {
    match config {
        CameraConfig::Pictures { path, .. } if path.is_file() => SourceSpec::Picture(path.clone()),
        CameraConfig::Pictures { path, repeat } => SourceSpec::Folder { path: path.clone(), repeat: *repeat },
        CameraConfig::Mjpeg { path } => SourceSpec::Mjpeg { path: path.clone() },
        &CameraConfig::Raw { ref path, width, height, pixels } => {
            SourceSpec::Raw { path: path.clone(), width, height, pixels: pixels.into() }
        }
        &CameraConfig::V4l2 { ref path, width, height } => SourceSpec::V4l2 { path: path.clone(), width, height },
    }
}

/// A stream: whatever comes next.
struct Stream {
    source: Box<dyn FrameSource>,
    log: fn(&str),
}

impl Camera for Stream {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let frame = self.source.next_frame();
        self.source.take_warnings().iter().for_each(|line| (self.log)(line));
        Ok(frame?.map(|frame| Frame { name: frame.name, image: frame.image, cut: frame.cut }))
    }
}
