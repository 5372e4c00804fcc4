//! CDR, the encoding of ROS 2's messages (OMG DDSI-RTPS 2.5, 10.2; XCDR version 1): four bytes that say how what follows is
//! encoded, then the fields in their order, each number at a multiple of its size from there.

use std::borrow::Cow;

use trm_intake::Fault;

/// Bytes before the fields: `[0, 0]` for big-endian numbers, `[0, 1]` for little-endian ones, and two for options.
const HEADER: usize = 4;

/// Reads the fields of a message.
pub(super) struct CdrReader<'m> {
    fields: &'m [u8],
    at: usize,
    little_endian: bool,
}

impl<'m> CdrReader<'m> {
    /// Refuses what is not encoded as CDR.
    pub(super) fn new(message: &'m [u8]) -> Result<Self, Fault> {
        let Some((header, fields)) = message.split_at_checked(HEADER) else { return Err(short()) };
        let little_endian = match header {
            [0, 0, ..] => false,
            [0, 1, ..] => true,
            other => {
                let [kind, subkind] = [other[0], other[1]];
                return Err(
                    format!("it is encoded in the way {kind:02x}{subkind:02x}, expected CDR (0000 or 0001)").into()
                );
            }
        };
        Ok(Self { fields, at: 0, little_endian })
    }

    /// Passes over bytes.
    pub(super) fn skip(&mut self, count: usize) -> Result<&'m [u8], Fault> {
        let end = self.at.checked_add(count).ok_or_else(short)?;
        let bytes = self.fields.get(self.at..end).ok_or_else(short)?;
        self.at = end;
        Ok(bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.at = self.at.next_multiple_of(N);
        let mut bytes: [u8; N] = self.skip(N)?.try_into().map_err(|_| short())?;
        if !self.little_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.bytes().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Fault> {
        self.bytes().map(i32::from_le_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, Fault> {
        self.bytes().map(f64::from_le_bytes)
    }

    /// A text, which ends with a zero byte.
    pub(super) fn text(&mut self) -> Result<Cow<'m, str>, Fault> {
        let length = self.u32()? as usize;
        let bytes = self.skip(length)?;
        Ok(String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)))
    }

    /// The number of elements of a list that take so many bytes each at least, no more than there is room for.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Fault> {
        let count = self.u32()? as usize;
        let room = (self.fields.len() - self.at) / least;
        if count > room {
            return Err(format!("it says that it has {count} elements, and has room for {room}").into());
        }
        Ok(count)
    }
}

fn short() -> Fault {
    "it is shorter than its type".into()
}

/// Writes the fields of a message, little-endian.
pub(super) struct CdrWriter(Vec<u8>);

impl CdrWriter {
    pub(super) fn new() -> Self {
        Self(vec![0, 1, 0, 0])
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn number<const N: usize>(&mut self, number: [u8; N]) {
        let aligned = (self.0.len() - HEADER).next_multiple_of(N) + HEADER;
        self.0.resize(aligned, 0);
        self.bytes(&number);
    }

    pub(super) fn i32(&mut self, number: i32) {
        self.number(number.to_le_bytes());
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.number(number.to_le_bytes());
    }

    pub(super) fn f32(&mut self, number: f32) {
        self.number(number.to_le_bytes());
    }

    pub(super) fn f64(&mut self, number: f64) {
        self.number(number.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.u32(text.len() as u32 + 1);
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_at_multiples_of_their_size() {
        let mut writer = CdrWriter::new();
        writer.text("map");
        writer.bytes(&[7]);
        writer.f64(1.5);
        writer.i32(-2);
        let message = writer.finish();
        assert_eq!(message.len(), 4 + 8 + 8 + 8 + 4);
        let mut reader = CdrReader::new(&message).unwrap();
        assert_eq!(reader.text().unwrap(), "map");
        assert_eq!(reader.skip(1).unwrap(), [7]);
        assert_eq!((reader.f64().unwrap(), reader.i32().unwrap()), (1.5, -2));
        assert!(reader.u32().is_err());
    }

    #[test]
    fn both_ends_come_first_and_nothing_else() {
        let number = |message: &[u8]| CdrReader::new(message).and_then(|mut reader| reader.u32());
        assert_eq!(number(&[0, 1, 0, 0, 1, 2, 0, 0]), Ok(0x201));
        assert_eq!(number(&[0, 0, 0, 0, 0, 0, 2, 1]), Ok(0x201));
        let other = number(&[0, 7, 0, 0, 0, 0, 2, 1]).unwrap_err().to_string();
        assert_eq!(other, "it is encoded in the way 0007, expected CDR (0000 or 0001)");
        assert_eq!(number(&[0, 1]).unwrap_err().to_string(), "it is shorter than its type");
        let count = CdrReader::new(&[0, 1, 0, 0, 255, 255, 255, 255]).and_then(|mut reader| reader.count(8));
        assert_eq!(count.unwrap_err().to_string(), "it says that it has 4294967295 elements, and has room for 0");
    }
}
