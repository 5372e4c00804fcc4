//! MCAP files (<https://mcap.dev/spec>): a magic, then records of an opcode, a length and a content. Chunks hold records
//! again, compressed by LZ4 (frames) or Zstandard, or not at all.
//!
//! Records are read one after the other, as they come: nothing is asked of the summary at the end, which a recorder that lost
//! its power did not write. Of messages no more is kept in memory than the one that is decoded.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::{FrameDecoder as ZstdDecoder, StreamingDecoder};
use trm_intake::{Budget, Exceeded, Fault, Printable};

use super::collector::Collector;
use super::message::MessageType;

/// The bytes that every file begins with, and every finished one ends with.
pub(super) const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";

/// Opcodes of records.
pub(super) mod op {
    pub(in super::super) const HEADER: u8 = 0x01;
    pub(in super::super) const FOOTER: u8 = 0x02;
    pub(in super::super) const SCHEMA: u8 = 0x03;
    pub(in super::super) const CHANNEL: u8 = 0x04;
    pub(in super::super) const MESSAGE: u8 = 0x05;
    pub(in super::super) const CHUNK: u8 = 0x06;
    pub(in super::super) const MESSAGE_INDEX: u8 = 0x07;
    pub(in super::super) const CHUNK_INDEX: u8 = 0x08;
    pub(in super::super) const STATISTICS: u8 = 0x0b;
    pub(in super::super) const DATA_END: u8 = 0x0f;
}

/// The longest name of a topic, a type or an encoding, in bytes. DDS has 255.
const LONGEST_NAME: u32 = 512;
/// The largest message that is decoded: a path of some 450,000 poses.
const LARGEST_MESSAGE: u64 = 32 << 20;
/// The largest window of Zstandard: 64 MiB of memory; its own levels ask for 8 at most, but a chunk of one frame for its size.
const ZSTD_WINDOW: u64 = 64 << 20;
/// Bytes that a chunk counts for at least: opening one costs as much as some kilobytes within.
const LEAST_CHUNK: u64 = 4 << 10;

/// The end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Behind its last message, as it says itself.
    Finished,
    /// In the midst of it.
    CutOff,
}

/// The reason why reading stopped.
enum Stop {
    /// The input ended within a record.
    CutOff,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CutOff,
            _ => Self::Fault(Printable(&error.to_string()).to_string().into()),
        }
    }
}

/// A channel of messages.
struct Channel {
    topic: String,
    /// The type, where its messages hold poses and are encoded as CDR.
    poses: Option<MessageType>,
}

struct Records<'c> {
    /// Names of types, by the number of their schema.
    schemas: HashMap<u16, String>,
    channels: HashMap<u16, Channel>,
    zstd: Option<ZstdDecoder>,
    collector: &'c mut Collector,
    /// The bytes that chunks may unpack to, and the records in them.
    unpacked: Budget,
    message: Vec<u8>,
}

/// Reads the messages of a file into the collector. `unpacked` is what its chunks may unpack to, all together.
pub(super) fn read(mut source: impl Read, collector: &mut Collector, unpacked: Budget) -> Result<End, Fault> {
    let mut magic = [0; MAGIC.len()];
    if source.read_exact(&mut magic).is_err() || magic != *MAGIC {
        return Err(Fault::from("it does not begin as an MCAP file does"));
    }
    let mut records = Records {
        schemas: HashMap::new(),
        channels: HashMap::new(),
        zstd: None,
        collector,
        unpacked,
        message: Vec::new(),
    };
    match records.read(&mut source, Level::File) {
        Ok(end) => Ok(end),
        Err(Stop::CutOff) => Ok(End::CutOff),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    File,
    Chunk,
}

impl Records<'_> {
    /// Reads records up to the end of the data, or of the source.
    fn read(&mut self, source: &mut dyn Read, level: Level) -> Result<End, Stop> {
        let mut opcode = [0];
        loop {
            if source.read(&mut opcode)? == 0 {
                return Ok(End::CutOff);
            }
            if level == Level::Chunk {
                self.unpacked.take_items(1).map_err(too_much)?;
            }
            let length = u64_of(source)?;
            let reader: &mut dyn Read = source;
            let mut content = reader.take(length);
            match opcode[0] {
                0 => return Err(Fault::from("a record of the kind 0, which is none").into()),
                op::DATA_END | op::FOOTER => return Ok(End::Finished),
                op::SCHEMA => self.schema(&mut content)?,
                op::CHANNEL => self.channel(&mut content)?,
                op::MESSAGE => self.message(&mut content)?,
                op::CHUNK if level == Level::File => self.chunk(&mut content)?,
                _ => {}
            }
            if !skips(&mut content)? {
                return Err(Stop::CutOff);
            }
        }
    }

    fn schema(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let id = u16_of(content)?;
        self.schemas.insert(id, text_of(content, "the name of a schema")?);
        Ok(())
    }

    fn channel(&mut self, content: &mut dyn Read) -> Result<(), Stop> {
        let (id, schema) = (u16_of(content)?, u16_of(content)?);
        let topic = text_of(content, "the name of a topic")?;
        let encoding = text_of(content, "the encoding of a topic")?;
        let name = self.schemas.get(&schema).map_or("", String::as_str);
        let poses = MessageType::of(name).filter(|_| encoding == "cdr");
        if (poses.is_none() || !self.collector.wants(&topic)) && !self.channels.contains_key(&id) {
            self.collector.other(&topic, name, &encoding);
        }
        self.channels.insert(id, Channel { topic, poses });
        Ok(())
    }

    fn message(&mut self, content: &mut io::Take<&mut dyn Read>) -> Result<(), Stop> {
        let id = u16_of(content)?;
        let Some(channel) = self.channels.get(&id) else {
            return Err(Fault::from(format!("a message of channel {id}, which was not announced")).into());
        };
        let Some(kind) = channel.poses.filter(|_| self.collector.wants(&channel.topic)) else { return Ok(()) };
        // The sequence number, and the time of publishing behind that of recording.
        let _sequence = u32_of(content)?;
        let recorded = u64_of(content)?;
        let _published = u64_of(content)?;
        let size = content.limit();
        if size > LARGEST_MESSAGE {
            let topic = Printable(&channel.topic);
            return Err(Fault::from(format!(
                "a message on {topic} of {size} bytes, expected {LARGEST_MESSAGE} at most"
            ))
            .into());
        }
        self.message.clear();
        content.read_to_end(&mut self.message)?;
        if content.limit() > 0 {
            return Err(Stop::CutOff);
        }
        Ok(self.collector.message(&channel.topic, kind, recorded as f64 / 1e9, &self.message)?)
    }

    fn chunk(&mut self, content: &mut io::Take<&mut dyn Read>) -> Result<(), Stop> {
        let (_first, _last) = (u64_of(content)?, u64_of(content)?);
        let size = u64_of(content)?;
        let checksum = u32_of(content)?;
        let compression = text_of(content, "the compression of a chunk")?;
        let packed = u64_of(content)?;
        if packed > content.limit() {
            return Err(Fault::from(format!("a chunk of {} bytes says that it has {packed}", content.limit())).into());
        }
        self.unpacked.take_bytes(size.max(LEAST_CHUNK)).map_err(too_much)?;
        let mut packed = content.take(packed);
        let read = self.unpack(&mut packed, &compression, size, checksum);
        // Where the file ends within the chunk, that is the fault.
        match (skips(&mut packed), read) {
            (Ok(false), _) => Err(Stop::CutOff),
            (_, Err(Stop::CutOff)) => Err(damaged("it ends within a record").into()),
            (_, read) => read,
        }
    }

    /// Reads the records of a chunk of `size` bytes.
    fn unpack(&mut self, packed: &mut dyn Read, compression: &str, size: u64, checksum: u32) -> Result<(), Stop> {
        match compression {
            "" => self.within(packed, size, checksum),
            "lz4" => self.within(Lz4Decoder::new(packed), size, checksum),
            "zstd" => {
                let mut decoder = self.zstd.take().unwrap_or_else(|| {
                    let mut decoder = ZstdDecoder::new();
                    decoder.set_max_window_size(ZSTD_WINDOW);
                    decoder
                });
                let mut stream = StreamingDecoder::new_with_decoder(packed, &mut decoder)
                    .map_err(|error| damaged(&error.to_string()))?;
                let read = self.within(&mut stream, size, checksum);
                self.zstd = Some(decoder);
                read
            }
            other => Err(Fault::from(format!(
                "a chunk is compressed by `{}`, expected lz4, zstd or nothing",
                Printable(other)
            ))
            .into()),
        }
    }

    fn within(&mut self, unpacked: impl Read, size: u64, checksum: u32) -> Result<(), Stop> {
        let summed = Summed { inner: unpacked.take(size), sum: crc32fast::Hasher::new() };
        let mut source = BufReader::new(summed);
        self.read(&mut source, Level::Chunk)?;
        io::copy(&mut source, &mut io::sink())?;
        let Summed { inner, sum } = source.into_inner();
        if inner.limit() > 0 {
            return Err(damaged("it is shorter than it says").into());
        }
        // 0 stands for none.
        if checksum != 0 && sum.finalize() != checksum {
            return Err(damaged("its checksum is another").into());
        }
        Ok(())
    }
}

fn too_much(exceeded: Exceeded) -> Fault {
    Fault::from(format!("its chunks unpack to too much: {exceeded}"))
        .advise("take the topic of the poses alone into a recording of its own, as with `mcap filter`")
}

fn damaged(fault: &str) -> Fault {
    Fault::from(format!("a chunk is damaged: {}", Printable(fault)))
        .advise("`mcap recover` keeps the chunks that are whole")
}

/// A reader of what a chunk unpacks to, which adds up its checksum.
struct Summed<R> {
    inner: R,
    sum: crc32fast::Hasher,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |error: io::Error| io::Error::new(error.kind(), format!("a chunk is damaged: {error}"));
        let read = self.inner.read(buffer).map_err(damaged)?;
        self.sum.update(&buffer[..read]);
        Ok(read)
    }
}

/// Passes over the rest; false if the source ends before.
fn skips<R: Read>(content: &mut io::Take<R>) -> io::Result<bool> {
    io::copy(content, &mut io::sink())?;
    Ok(content.limit() == 0)
}

fn bytes_of<const N: usize>(source: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u16_of(source: &mut dyn Read) -> io::Result<u16> {
    bytes_of(source).map(u16::from_le_bytes)
}

fn u32_of(source: &mut dyn Read) -> io::Result<u32> {
    bytes_of(source).map(u32::from_le_bytes)
}

fn u64_of(source: &mut dyn Read) -> io::Result<u64> {
    bytes_of(source).map(u64::from_le_bytes)
}

/// A text with its length before it.
fn text_of(source: &mut dyn Read, what: &str) -> Result<String, Stop> {
    let length = u32_of(source)?;
    if length > LONGEST_NAME {
        return Err(Fault::from(format!("{what} has {length} bytes, expected {LONGEST_NAME} at most")).into());
    }
    let mut bytes = vec![0; length as usize];
    source.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| Fault::from(format!("{what} is not UTF-8")).into())
}
