//! Sources as they are written: `photo.jpg`, `photos/`, `mjpeg:-`, `raw:640x480:yuyv:/dev/stdin`, `v4l2:/dev/video0`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Folder, FrameSource, MjpegStream, Pictures, RawPixels, RawStream};
use crate::{HostError, Result};

/// Size that a camera is asked for where nothing else is said, pixels.
const CAMERA_SIZE: (u32, u32) = (1280, 720);

/// A source that is not open yet. Printing it gives the text that it is parsed from.
///
/// | text | source |
/// | --- | --- |
/// | `photo.jpg` | a JPEG or PNG file |
/// | `photos/` (or any folder) | its pictures by name |
/// | `repeat:photos/` | the same, over and over |
/// | `mjpeg:PATH` | JPEG pictures one after the other; `-` is standard input |
/// | `raw:640x480:yuyv:PATH` | raw video, `rgb24`, `gray8` or `yuyv` |
/// | `v4l2:/dev/video0:1280x720` | a camera; the size may be left out (needs the feature `v4l2`) |
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSpec {
    /// A file.
    Picture(PathBuf),
    /// The pictures of a folder, by name.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Begin again after the last one.
        repeat: bool,
    },
    /// JPEG pictures on a pipe or file.
    Mjpeg {
        /// The pipe; `-` for standard input.
        path: PathBuf,
    },
    /// Raw video on a pipe or file.
    Raw {
        /// The pipe; `-` for standard input.
        path: PathBuf,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Their layout.
        pixels: RawPixels,
    },
    /// A camera of the kernel's.
    V4l2 {
        /// `/dev/video0`.
        path: PathBuf,
        /// Pixels that are asked for.
        width: u32,
        /// Pixels that are asked for.
        height: u32,
    },
}

fn refuse<T>(text: &str, reason: impl Into<String>, hint: &'static str) -> Result<T> {
    Err(HostError::Source { name: text.to_owned(), reason: reason.into(), hint })
}

/// `640x480`.
fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let number = |text: &str| text.parse().ok().filter(|&number| number > 0);
    Some((number(width)?, number(height)?))
}

impl FromStr for SourceSpec {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self> {
        const RAW: &str = "raw:640x480:yuyv:/dev/stdin, with rgb24, gray8 or yuyv";
        let path = |rest: &str, example| {
            if rest.is_empty() { refuse(text, "no path", example) } else { Ok(PathBuf::from(rest)) }
        };
        let Some((kind, rest)) = text.split_once(':') else { return plain(text) };
        match kind {
            "repeat" => Ok(Self::Folder { path: path(rest, "repeat:photos/")?, repeat: true }),
            "mjpeg" => Ok(Self::Mjpeg { path: path(rest, "mjpeg:/dev/stdin, or mjpeg:- for standard input")? }),
            "raw" => {
                let parts: Vec<&str> = rest.splitn(3, ':').collect();
                let &[dimensions, name, rest] = &parts[..] else {
                    return refuse(text, "raw video needs size, pixels and path", RAW);
                };
                let Some((width, height)) = size(dimensions) else {
                    return refuse(text, format!("`{dimensions}` is no size"), RAW);
                };
                let Some(pixels) = RawPixels::ALL.into_iter().find(|pixels| pixels.as_str() == name) else {
                    return refuse(text, format!("`{name}` pixels are not known"), RAW);
                };
                Ok(Self::Raw { path: path(rest, RAW)?, width, height, pixels })
            }
            "v4l2" => {
                const V4L2: &str = "v4l2:/dev/video0:1280x720, the size may be left out";
                // A path may have colons itself; a size is digits, x, digits.
                let (rest, (width, height)) = match rest.rsplit_once(':') {
                    Some((before, last)) => match size(last) {
                        Some(size) => (before, size),
                        None if last.starts_with(|c: char| c.is_ascii_digit()) => {
                            return refuse(text, format!("`{last}` is no size"), V4L2);
                        }
                        None => (rest, CAMERA_SIZE),
                    },
                    None => (rest, CAMERA_SIZE),
                };
                Ok(Self::V4l2 { path: path(rest, V4L2)?, width, height })
            }
            _ => plain(text),
        }
    }
}

fn plain(text: &str) -> Result<SourceSpec> {
    if text.is_empty() {
        return refuse(text, "no source", "a picture, a folder, or one of mjpeg: raw: v4l2:");
    }
    let path = PathBuf::from(text);
    if text.ends_with('/') || path.is_dir() {
        return Ok(SourceSpec::Folder { path, repeat: false });
    }
    if !path.exists()
        && let Some((kind, _)) = text.split_once(':')
        && !kind.contains(['/', '.'])
    {
        return refuse(
            text,
            format!("`{kind}` is no kind of source"),
            "a picture, a folder, or one of mjpeg: raw: v4l2:",
        );
    }
    Ok(SourceSpec::Picture(path))
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Picture(path) => path.display().fmt(f),
            Self::Folder { path, repeat } => {
                let text = path.display().to_string();
                f.write_str(if *repeat { "repeat:" } else { "" })?;
                write!(f, "{}/", text.trim_end_matches('/'))
            }
            Self::Mjpeg { path } => write!(f, "mjpeg:{}", path.display()),
            Self::Raw { path, width, height, pixels } => {
                write!(f, "raw:{width}x{height}:{}:{}", pixels.as_str(), path.display())
            }
            Self::V4l2 { path, width, height } => write!(f, "v4l2:{}:{width}x{height}", path.display()),
        }
    }
}

impl SourceSpec {
    /// Opens the source. A named pipe is waited for until something writes to it.
    ///
    /// # Errors
    /// When it cannot be opened, or is a camera and this program was built without them.
    pub fn open(&self) -> Result<Box<dyn FrameSource>> {
        Ok(match self {
            Self::Picture(path) => Box::new(Pictures::new([path.clone()])),
            Self::Folder { path, repeat } => Box::new(Folder::open(path, *repeat)?),
            Self::Mjpeg { path } => Box::new(MjpegStream::new(path.display().to_string(), open_stream(path)?)),
            Self::Raw { path, width, height, pixels } => {
                let name = path.display().to_string();
                // The size is looked at before a pipe is waited for.
                super::raw::check_size(&name, *width, *height)?;
                Box::new(RawStream::new(name, open_stream(path)?, *width, *height, *pixels)?)
            }
            Self::V4l2 { path, width, height } => open_camera(path, *width, *height)?,
        })
    }
}

fn open_stream(path: &Path) -> Result<Box<dyn Read + Send>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = File::open(path).map_err(|source| HostError::Io { path: path.to_owned(), action: "open", source })?;
    Ok(Box::new(file))
}

#[cfg(all(feature = "v4l2", target_os = "linux"))]
fn open_camera(path: &Path, width: u32, height: u32) -> Result<Box<dyn FrameSource>> {
    Ok(Box::new(super::V4l2Camera::open(path, width, height)?))
}

#[cfg(not(all(feature = "v4l2", target_os = "linux")))]
fn open_camera(path: &Path, _width: u32, _height: u32) -> Result<Box<dyn FrameSource>> {
    refuse(
        &path.display().to_string(),
        "this program was built without cameras",
        "build it on Linux with --features v4l2, or pipe the camera in: ffmpeg -i /dev/video0 -f mjpeg - | … mjpeg:-",
    )
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    #[test]
    fn what_is_printed_is_parsed() {
        for text in [
            "photo.jpg",
            "photos/",
            "repeat:photos/",
            "mjpeg:-",
            "mjpeg:/run/camera:1",
            "raw:640x480:yuyv:/dev/stdin",
            "raw:1x1:gray8:-",
            "raw:2x3:rgb24:a:b",
            "v4l2:/dev/video0:1280x720",
            "v4l2:/dev/v4l/by-path/pci-0000:00:14.0-usb-0:1:1.0-video-index0:640x480",
            "./mjpeg:x.jpg",
        ] {
            let spec: SourceSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        let camera = SourceSpec::V4l2 { path: "/dev/video2".into(), width: 1280, height: 720 };
        assert_eq!("v4l2:/dev/video2".parse::<SourceSpec>().unwrap(), camera);
        let by_path = "v4l2:/dev/v4l/by-path/usb-0:a-video";
        assert_eq!(by_path.parse::<SourceSpec>().unwrap().to_string(), format!("{by_path}:1280x720"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text: &str| text.parse::<SourceSpec>().map_or_else(|error| explained(&error), |s| s.to_string());
        let raw = "hint: raw:640x480:yuyv:/dev/stdin, with rgb24, gray8 or yuyv";
        assert_eq!(message(""), ": no source\nhint: a picture, a folder, or one of mjpeg: raw: v4l2:");
        assert_eq!(
            message("rtsp://camera"),
            "rtsp://camera: `rtsp` is no kind of source\nhint: a picture, a folder, or one of mjpeg: raw: v4l2:"
        );
        assert_eq!(message("mjpeg:"), "mjpeg:: no path\nhint: mjpeg:/dev/stdin, or mjpeg:- for standard input");
        assert_eq!(
            message("raw:640x480:yuyv"),
            format!("raw:640x480:yuyv: raw video needs size, pixels and path\n{raw}")
        );
        assert_eq!(message("raw:640:yuyv:-"), format!("raw:640:yuyv:-: `640` is no size\n{raw}"));
        assert_eq!(message("raw:0x4:yuyv:-"), format!("raw:0x4:yuyv:-: `0x4` is no size\n{raw}"));
        assert_eq!(message("raw:4x4:nv12:-"), format!("raw:4x4:nv12:-: `nv12` pixels are not known\n{raw}"));
        assert_eq!(
            message("v4l2:/dev/video0:1280"),
            "v4l2:/dev/video0:1280: `1280` is no size\nhint: v4l2:/dev/video0:1280x720, the size may be left out"
        );
    }

    #[test]
    fn a_source_that_is_not_there_is_an_error() {
        let message = |text: &str| text.parse::<SourceSpec>().unwrap().open().err().map(|error| explained(&error));
        assert_eq!(message("mjpeg:/nowhere/pipe").unwrap(), "/nowhere/pipe: open failed");
        assert_eq!(message("/nowhere/").unwrap(), "/nowhere/: list failed");
        assert!(message("raw:100000x100000:gray8:/nowhere/pipe").unwrap().contains("100000x100000 pixels"));
        assert!(message("v4l2:/nowhere/video0").is_some());
    }
}
