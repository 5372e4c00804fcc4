//! Sources of pictures: files, folders, streams on pipes, cameras.
//!
//! [`SourceSpec`] is a source as it is written on a command line or in a configuration; [`open`](SourceSpec::open) gives
//! the [`FrameSource`] itself.
//!
//! ```
//! use trm_firmware_host::vision::source::SourceSpec;
//! # fn main() -> trm_firmware_host::Result<()> {
//! let spec: SourceSpec = "raw:4x2:gray8:/dev/null".parse()?;
//! let mut source = spec.open()?;
//! assert!(source.next_frame()?.is_none());
//! # Ok(())
//! # }
//! ```

mod files;
mod mjpeg;
mod raw;
mod spec;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
mod v4l2;

pub use files::{Folder, Pictures, open_whole};
use image::RgbImage;
pub use mjpeg::{JpegSplitter, MAX_JPEG, MjpegStream};
pub use raw::{RawPixels, RawStream};
pub use spec::SourceSpec;
use trm_intake::with_causes;
#[cfg(all(feature = "v4l2", target_os = "linux"))]
pub use v4l2::V4l2Camera;

use crate::Result;

/// Pictures of a stream or folder that may be broken one after the other before that is the source's failure.
const MOST_BROKEN: usize = 100;

/// Warnings that are kept for whoever asks; older ones are dropped.
const MOST_WARNINGS: usize = 32;

/// A picture of a source.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Where it came from: a file name, or the stream and a number counted from 1.
    pub name: String,
    /// The picture, upright.
    pub image: RgbImage,
    /// True for a picture that has nothing to do with the one before it: each file of a folder, a stream's first.
    pub cut: bool,
}

/// Gives one picture after the other.
pub trait FrameSource: Send {
    /// The next picture; `None` when no more will come. Waits for a stream's next one.
    ///
    /// # Errors
    /// When the source fails, or a picture that was asked for by name cannot be read. The source can be asked again.
    fn next_frame(&mut self) -> Result<Option<Frame>>;

    /// Returns what was passed over since this was last asked, one line each: broken pictures, the rest of a stream.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Lines for [`FrameSource::take_warnings`]; the newest are kept.
#[derive(Debug, Default)]
struct Warnings(Vec<String>);

impl Warnings {
    fn add(&mut self, line: String) {
        if self.0.len() == MOST_WARNINGS {
            self.0.remove(0);
        }
        self.0.push(line);
    }

    /// An error in one line: its causes follow it.
    fn add_error(&mut self, error: &(dyn std::error::Error + 'static)) {
        self.add(with_causes(error));
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_do_not_pile_up() {
        let mut warnings = Warnings::default();
        (0..1000).for_each(|k| warnings.add(k.to_string()));
        let kept = warnings.take();
        assert_eq!((kept.len(), kept[MOST_WARNINGS - 1].as_str()), (MOST_WARNINGS, "999"));
        assert!(warnings.take().is_empty());
    }
}
