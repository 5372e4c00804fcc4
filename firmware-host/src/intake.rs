//! Files of settings, labels and states, read within limits.

use std::path::Path;

use trm_intake::{Budget, Limits, ReadError};

use crate::{HostError, Result};

/// Limits of a small text: settings, a label, a password, what a kiosk remembers.
pub(crate) const SMALL: Limits = Limits { bytes: 1 << 20, items: 10_000, depth: 32, time: None };

/// The longest line of settings, in bytes: their parser quotes it.
pub(crate) const LONGEST_LINE: u64 = 4 << 10;

/// The whole of a file.
pub(crate) fn read_file(path: &Path, limits: Limits) -> Result<Vec<u8>> {
    Budget::new(limits).read_file(path).map_err(|error| match error {
        ReadError::Io(source) => HostError::io("read", path)(source),
        ReadError::Exceeded(exceeded) => HostError::TooLarge { path: path.to_owned(), exceeded },
    })
}

/// The whole of a file that is UTF-8.
pub(crate) fn read_text(path: &Path, limits: Limits) -> Result<String> {
    String::from_utf8(read_file(path, limits)?).map_err(|_| {
        HostError::io("read", path)(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8 text"))
    })
}
