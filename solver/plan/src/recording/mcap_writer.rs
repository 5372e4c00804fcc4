//! Writes MCAP files of one chunk, with the indices that viewers ask for.

use std::collections::BTreeMap;
use std::io::{self, Write};

use lz4_flex::frame::FrameEncoder;

use super::mcap::{MAGIC, op};

/// A file in the making: schemas and channels, then their messages.
pub(super) struct McapWriter {
    /// Records of schemas and channels, which stand in the chunk and in the summary.
    announced: Vec<u8>,
    /// Numbers of schemas by their name.
    schemas: BTreeMap<&'static str, u16>,
    /// For each channel, where in the chunk each of its messages begins, behind the announcements.
    channels: Vec<Vec<u64>>,
    messages: Vec<u8>,
    /// Nanoseconds since 1970, of everything in the file.
    time: u64,
}

impl McapWriter {
    pub(super) fn new(time: u64) -> Self {
        Self { announced: Vec::new(), schemas: BTreeMap::new(), channels: Vec::new(), messages: Vec::new(), time }
    }

    /// Announces a topic; `definition` is that of its type, with those of the types in it.
    pub(super) fn channel(&mut self, topic: &str, type_name: &'static str, definition: &str) -> u16 {
        let next = self.schemas.len() as u16 + 1;
        let schema = *self.schemas.entry(type_name).or_insert(next);
        if schema == next {
            let mut content = Content::new();
            content.u16(schema).text(type_name).text("ros2msg").text(definition);
            content.write(op::SCHEMA, &mut self.announced);
        }
        let channel = self.channels.len() as u16;
        let mut content = Content::new();
        content.u16(channel).u16(schema).text(topic).text("cdr").text("");
        content.write(op::CHANNEL, &mut self.announced);
        self.channels.push(Vec::new());
        channel
    }

    /// Adds a message in CDR.
    pub(super) fn message(&mut self, channel: u16, message: &[u8]) {
        self.channels[channel as usize].push(self.messages.len() as u64);
        let mut content = Content::new();
        content.u16(channel).u32(0).u64(self.time).u64(self.time).bytes(message);
        content.write(op::MESSAGE, &mut self.messages);
    }

    /// Writes the file.
    pub(super) fn write(self, file: &mut impl Write) -> io::Result<()> {
        let (time, announced) = (self.time, self.announced.len() as u64);
        let size = announced + self.messages.len() as u64;
        let mut sum = crc32fast::Hasher::new();
        sum.update(&self.announced);
        sum.update(&self.messages);
        let mut encoder = FrameEncoder::new(Vec::new());
        encoder.write_all(&self.announced)?;
        encoder.write_all(&self.messages)?;
        let packed = encoder.finish()?;

        let mut data = MAGIC.to_vec();
        let mut header = Content::new();
        header.text("ros2").text(concat!("trm ", env!("CARGO_PKG_VERSION")));
        header.write(op::HEADER, &mut data);

        let chunk_at = data.len() as u64;
        let mut chunk = Content::new();
        chunk.u64(time).u64(time).u64(size).u32(sum.finalize()).text("lz4").u64(packed.len() as u64).bytes(&packed);
        chunk.write(op::CHUNK, &mut data);
        let chunk_length = data.len() as u64 - chunk_at;

        let indices_at = data.len() as u64;
        let mut index_offsets = Content::new();
        for (channel, messages) in (0..).zip(&self.channels) {
            index_offsets.u16(channel).u64(data.len() as u64);
            let mut index = Content::new();
            index.u16(channel).u32(16 * messages.len() as u32);
            for at in messages {
                index.u64(time).u64(announced + at);
            }
            index.write(op::MESSAGE_INDEX, &mut data);
        }
        let indices_length = data.len() as u64 - indices_at;
        let mut end = Content::new();
        end.u32(0);
        end.write(op::DATA_END, &mut data);

        let summary_at = data.len() as u64;
        data.extend(&self.announced);
        let mut counts = Content::new();
        for (channel, messages) in (0..).zip(&self.channels) {
            counts.u16(channel).u64(messages.len() as u64);
        }
        let count: usize = self.channels.iter().map(Vec::len).sum();
        let mut statistics = Content::new();
        statistics.u64(count as u64).u16(self.schemas.len() as u16).u32(self.channels.len() as u32);
        // No attachments and metadata, one chunk.
        statistics.u32(0).u32(0).u32(1).u64(time).u64(time).list(&counts);
        statistics.write(op::STATISTICS, &mut data);
        let mut chunk_index = Content::new();
        chunk_index.u64(time).u64(time).u64(chunk_at).u64(chunk_length).list(&index_offsets).u64(indices_length);
        chunk_index.text("lz4").u64(packed.len() as u64).u64(size);
        chunk_index.write(op::CHUNK_INDEX, &mut data);
        let mut footer = Content::new();
        // No offsets of the summary's parts, and no checksum.
        footer.u64(summary_at).u64(0).u32(0);
        footer.write(op::FOOTER, &mut data);
        data.extend(MAGIC);
        file.write_all(&data)
    }
}

/// The content of a record.
struct Content(Vec<u8>);

impl Content {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn u16(&mut self, number: u16) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len() as u32).bytes(text.as_bytes())
    }

    /// Entries of a map, with their length before them.
    fn list(&mut self, entries: &Self) -> &mut Self {
        self.u32(entries.0.len() as u32).bytes(&entries.0)
    }

    fn write(self, opcode: u8, file: &mut Vec<u8>) {
        file.push(opcode);
        file.extend((self.0.len() as u64).to_le_bytes());
        file.extend(self.0);
    }
}
