//! JPEG pictures one after the other, as cameras and ffmpeg (`-f mjpeg`) send them.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::{Frame, FrameSource, MOST_BROKEN, Warnings};
use crate::vision::photo;
use crate::{HostError, Result};

/// Largest picture of a stream, bytes. Sharp ones of 4K cameras have 4 million.
pub const MAX_JPEG: usize = 16 << 20;

/// Bytes of a stream without one picture after which it is taken for none: four of the largest pictures.
const MOST_NOISE: u64 = 4 * MAX_JPEG as u64;

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DHT: u8 = 0xC4;

/// `AVI1`: tells the decoder that the Huffman tables that are left out are those of the standard.
const STANDARD_TABLES: [u8; 18] = [0xFF, 0xE0, 0, 16, b'A', b'V', b'I', b'1', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Cuts a stream of bytes into JPEG pictures by their markers (ITU T.81, annex B).
///
/// Segments are skipped by their length, so that a preview within a picture does not end it. Where the markers make no
/// sense, the next picture is looked for from right behind the beginning of the broken one on; a picture that breaks off
/// ends where the next one begins. Never more than the limit and what was pushed last is held.
///
/// ```
/// use trm_firmware_host::vision::source::JpegSplitter;
/// let mut splitter = JpegSplitter::new();
/// splitter.push(b"noise \xFF\xD8\xFF\xDA\x00\x02 data \xFF");
/// assert_eq!(splitter.next_jpeg(), None);
/// splitter.push(b"\xD9 noise");
/// assert!(splitter.next_jpeg().is_some_and(|jpeg| jpeg.ends_with(b" data \xFF\xD9")));
/// ```
#[derive(Debug)]
pub struct JpegSplitter {
    buffer: Vec<u8>,
    /// Where the present picture begins in the buffer, or what is not looked at yet.
    start: usize,
    /// Place that is looked at next, counted from `start`; may lie behind the end.
    at: usize,
    place: Place,
    /// `true` if the present picture has brought Huffman tables.
    tables: bool,
    limit: usize,
    discarded: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a picture.
    Outside,
    /// At a marker. Whether pixels have been seen.
    Marker(bool),
    /// In coded pixels.
    Pixels,
}

impl Default for JpegSplitter {
    fn default() -> Self {
        Self::new()
    }
}

impl JpegSplitter {
    /// Makes a splitter for pictures of up to [`MAX_JPEG`] bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_JPEG)
    }

    /// Makes a splitter for pictures of fewer than `limit` bytes; what is larger is passed over.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, at: 0, place: Place::Outside, tables: false, limit, discarded: 0 }
    }

    /// Bytes that belonged to no picture so far.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// `true` if a picture has begun that is not there to its end.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.place != Place::Outside
    }

    /// Takes the next bytes of the stream. Whole pictures are to be taken out before more are pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole picture; `None` when more bytes are needed.
    pub fn next_jpeg(&mut self) -> Option<Vec<u8>> {
        loop {
            let data = &self.buffer[self.start..];
            match step(data, self.at, self.place) {
                Step::Go { at, place, tables } => {
                    (self.at, self.place) = (at, place);
                    self.tables |= tables;
                }
                Step::Begin { at } => {
                    self.discard(at);
                    (self.at, self.place, self.tables) = (2, Place::Marker(false), false);
                }
                Step::Broken => {
                    self.discard(2);
                    self.place = Place::Outside;
                }
                Step::Whole { end } => {
                    let mut jpeg = Vec::with_capacity(end + STANDARD_TABLES.len());
                    jpeg.extend_from_slice(&data[..2]);
                    if !self.tables {
                        jpeg.extend_from_slice(&STANDARD_TABLES);
                    }
                    jpeg.extend_from_slice(&data[2..end]);
                    self.start += end;
                    self.place = Place::Outside;
                    return Some(jpeg);
                }
                Step::More { at } => {
                    let (at, length) = (at, data.len());
                    if self.place == Place::Outside {
                        self.discard(at);
                    } else if length >= self.limit {
                        self.discard(length);
                        self.place = Place::Outside;
                    } else {
                        self.at = at;
                    }
                    return None;
                }
            }
        }
    }

    fn discard(&mut self, count: usize) {
        self.start += count;
        self.discarded += count as u64;
    }
}

/// Finding at one place.
enum Step {
    /// Something to go on from.
    Go { at: usize, place: Place, tables: bool },
    /// A picture begins here.
    Begin { at: usize },
    /// The picture that had begun is not one.
    Broken,
    /// The picture ends here.
    Whole { end: usize },
    /// More bytes are needed to go on from here.
    More { at: usize },
}

fn step(data: &[u8], at: usize, place: Place) -> Step {
    match place {
        Place::Outside => outside(data),
        Place::Marker(pixels) => marker(data, at, pixels),
        Place::Pixels => pixels(data, at),
    }
}

/// True if there is a JPEG picture in a file that is there to its last byte.
pub(super) fn is_whole(file: &[u8]) -> bool {
    let (mut start, mut at, mut place, mut broken) = (0, 0, Place::Outside, 0);
    loop {
        match step(&file[start..], at, place) {
            Step::Go { at: next, place: then, .. } => (at, place) = (next, then),
            Step::Begin { at: begin } => (start, at, place) = (start + begin, 2, Place::Marker(false)),
            Step::Broken => {
                broken += 1;
                (start, place) = (start + 2, Place::Outside);
                if broken == MOST_BROKEN {
                    return false;
                }
            }
            Step::Whole { .. } => return true,
            Step::More { .. } => return false,
        }
    }
}

fn outside(data: &[u8]) -> Step {
    match data.windows(3).position(|window| window == [0xFF, SOI, 0xFF]) {
        Some(at) => Step::Begin { at },
        // The last two bytes may begin the next picture.
        None => Step::More { at: data.len().saturating_sub(2) },
    }
}

fn marker(data: &[u8], mut at: usize, pixels: bool) -> Step {
    if data.get(at).is_some_and(|&byte| byte != 0xFF) {
        return Step::Broken;
    }
    // A marker may be preceded by any number of fill bytes.
    while data.get(at + 1) == Some(&0xFF) {
        at += 1;
    }
    match data.get(at + 1) {
        None => Step::More { at },
        Some(&EOI) if pixels => Step::Whole { end: at + 2 },
        Some(&SOI) => Step::Begin { at },
        Some(&code @ 0xC0..=0xFE) if !(0xD0..=EOI).contains(&code) => {
            let Some(&[high, low]) = data.get(at + 2..at + 4).and_then(|two| two.first_chunk()) else {
                return Step::More { at };
            };
            let length = usize::from(u16::from_be_bytes([high, low]));
            if length < 2 {
                return Step::Broken;
            }
            let place = if code == SOS { Place::Pixels } else { Place::Marker(pixels) };
            Step::Go { at: at + 2 + length, place, tables: code == DHT }
        }
        Some(_) => Step::Broken,
    }
}

fn pixels(data: &[u8], mut at: usize) -> Step {
    loop {
        let Some(next) = data.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)) else {
            return Step::More { at: at.max(data.len()) };
        };
        at += next;
        match data.get(at + 1) {
            None => return Step::More { at },
            // A stuffed byte or a restart marker.
            Some(0 | 0xD0..=0xD7) => at += 2,
            Some(0xFF) => at += 1,
            Some(_) => return Step::Go { at, place: Place::Marker(true), tables: false },
        }
    }
}

/// JPEG pictures on a pipe, file or anything else that can be read.
pub struct MjpegStream<R> {
    name: String,
    reader: R,
    splitter: JpegSplitter,
    chunk: Vec<u8>,
    number: u64,
    given: u64,
    warnings: Warnings,
}

impl<R: Read + Send> MjpegStream<R> {
    /// The stream that `reader` has; `name` is what frames and errors call it.
    pub fn new(name: impl Into<String>, reader: R) -> Self {
        let (splitter, warnings) = (JpegSplitter::new(), Warnings::default());
        Self { name: name.into(), reader, splitter, chunk: vec![0; CHUNK], number: 0, given: 0, warnings }
    }
}

impl<R: Read + Send> FrameSource for MjpegStream<R> {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let (mut broken, mut noise) = (0, 0);
        loop {
            while let Some(jpeg) = self.splitter.next_jpeg() {
                self.number += 1;
                noise = 0;
                let name = format!("{}#{}", self.name, self.number);
                match photo::from_bytes(&jpeg, Path::new(&name)) {
                    Ok(image) => {
                        self.given += 1;
                        return Ok(Some(Frame { name, image, cut: self.given == 1 }));
                    }
                    Err(error) => self.warnings.add_error(&error),
                }
                broken += 1;
                if broken == MOST_BROKEN {
                    return Err(HostError::Source {
                        name: self.name.clone(),
                        reason: format!("{MOST_BROKEN} pictures in a row cannot be decoded"),
                        hint: "is it a stream of JPEG pictures? ffmpeg makes one with -f mjpeg",
                    });
                }
            }
            if noise > MOST_NOISE {
                return Err(HostError::Source {
                    name: self.name.clone(),
                    reason: format!("no JPEG picture in {noise} bytes, the limit is {MOST_NOISE}"),
                    hint: "is it a stream of JPEG pictures? ffmpeg makes one with -f mjpeg",
                });
            }
            match self.reader.read(&mut self.chunk) {
                Ok(0) => {
                    if self.number == 0 && self.splitter.discarded() > 0 {
                        self.warnings.add(format!("{}: no JPEG picture in it", self.name));
                    } else if self.splitter.is_inside() {
                        self.warnings.add(format!("{}: ends within a picture", self.name));
                        self.splitter = JpegSplitter::new();
                    }
                    return Ok(None);
                }
                Ok(count) => {
                    self.splitter.push(&self.chunk[..count]);
                    noise += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(source) => return Err(HostError::Io { path: self.name.clone().into(), action: "read", source }),
            }
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.take()
    }
}
