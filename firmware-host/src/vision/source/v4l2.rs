//! Cameras of the kernel's (V4L2), by the crate `linuxvideo`. Not yet run on hardware.

use std::path::{Path, PathBuf};

use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, Device};

use super::raw::check_size;
use super::{Frame, FrameSource, JpegSplitter, MOST_BROKEN, RawPixels, Warnings};
use crate::vision::photo;
use crate::{HostError, Result};

/// Frames that are thrown away at most to get the newest: the driver keeps two.
const MOST_STALE: usize = 4;

/// Coding of a camera's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Jpeg,
    Raw(RawPixels),
}

/// Formats in the order they are preferred in: JPEG leaves room on the bus for large pictures.
const CODINGS: [(PixelFormat, Coding); 5] = [
    (PixelFormat::MJPG, Coding::Jpeg),
    (PixelFormat::JPEG, Coding::Jpeg),
    (PixelFormat::YUYV, Coding::Raw(RawPixels::Yuyv)),
    (PixelFormat::RGB3, Coding::Raw(RawPixels::Rgb24)),
    (PixelFormat::from_fourcc(*b"GREY"), Coding::Raw(RawPixels::Gray8)),
];

/// A camera. Each frame is the newest there is: those that came while the last one was looked at are thrown away.
pub struct V4l2Camera {
    path: PathBuf,
    stream: ReadStream,
    coding: Coding,
    size: (u32, u32),
    /// Bytes from one row to the next.
    stride: usize,
    number: u64,
    given: u64,
    warnings: Warnings,
}

impl V4l2Camera {
    /// Opens `/dev/video0` or another one, asking for pictures of `width` x `height`; the camera may choose another size.
    ///
    /// # Errors
    /// When it cannot be opened, is no camera, or sends nothing that can be decoded.
    pub fn open(path: &Path, width: u32, height: u32) -> Result<Self> {
        let io = |action| move |source| HostError::Io { path: path.to_owned(), action, source };
        let refuse = |reason: String, hint| HostError::Source { name: path.display().to_string(), reason, hint };
        let device = Device::open(path).map_err(io("open"))?;
        let offered = device
            .formats(BufType::VIDEO_CAPTURE)
            .map(|format| format.map(|format| format.pixel_format()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(io("list formats"))?;
        let Some((format, _)) = CODINGS.into_iter().find(|(format, _)| offered.contains(format)) else {
            let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
            return Err(refuse(
                format!("none of MJPG, JPEG, YUYV, RGB3, GREY among its formats [{}]", offered.join(", ")),
                "is it the camera's picture device? `v4l2-ctl --list-devices` shows them",
            ));
        };
        let capture = device.video_capture(PixFormat::new(width, height, format)).map_err(io("set format"))?;
        // What the driver made of the wish.
        let chosen = capture.format();
        let (width, height) = (chosen.width(), chosen.height());
        check_size(&path.display().to_string(), width, height)?;
        let pixel_format = chosen.pixel_format();
        let Some((_, coding)) = CODINGS.into_iter().find(|(format, _)| *format == pixel_format) else {
            return Err(refuse(
                format!("asked for {format}, it sends {pixel_format}"),
                "is another program using the camera?",
            ));
        };
        let stride = match coding {
            Coding::Jpeg => 0,
            // Some drivers leave it 0.
            Coding::Raw(pixels) => pixels.row_bytes(width).max(chosen.bytes_per_line() as usize),
        };
        let stream = capture.into_stream().map_err(io("start"))?;
        let (path, size, warnings) = (path.to_owned(), (width, height), Warnings::default());
        Ok(Self { path, stream, coding, size, stride, number: 0, given: 0, warnings })
    }

    /// The newest buffer's bytes; `None` when the driver says that they are damaged.
    fn newest(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        for _ in 0..MOST_STALE {
            if self.stream.will_block()? {
                break;
            }
            self.stream.dequeue(|_| Ok(()))?;
        }
        self.stream.dequeue(|view| Ok((!view.is_error()).then(|| view.to_vec())))
    }

    fn decode(&self, bytes: &[u8], name: &str) -> Result<image::RgbImage> {
        let broken = || HostError::Source {
            name: name.to_owned(),
            reason: "not a whole picture".to_owned(),
            hint: "a better cable or a smaller size may help",
        };
        match self.coding {
            Coding::Jpeg => {
                let mut splitter = JpegSplitter::new();
                splitter.push(bytes);
                photo::from_bytes(&splitter.next_jpeg().ok_or_else(broken)?, Path::new(name))
            }
            Coding::Raw(pixels) => pixels.decode(bytes, self.size.0, self.size.1, self.stride).ok_or_else(broken),
        }
    }
}

impl FrameSource for V4l2Camera {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        for _ in 0..MOST_BROKEN {
            let bytes =
                self.newest().map_err(|source| HostError::Io { path: self.path.clone(), action: "read", source })?;
            self.number += 1;
            let name = format!("{}#{}", self.path.display(), self.number);
            let Some(bytes) = bytes else {
                self.warnings.add(format!("{name}: damaged, says the driver"));
                continue;
            };
            match self.decode(&bytes, &name) {
                Ok(image) => {
                    self.given += 1;
                    return Ok(Some(Frame { name, image, cut: self.given == 1 }));
                }
                Err(error) => self.warnings.add_error(&error),
            }
        }
        Err(HostError::Source {
            name: self.path.display().to_string(),
            reason: format!("{MOST_BROKEN} pictures in a row cannot be decoded"),
            hint: "a better cable or a smaller size may help",
        })
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }
}
