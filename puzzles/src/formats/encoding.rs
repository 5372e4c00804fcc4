//! Encodings of texts beside UTF-8.

use std::borrow::Cow;

/// The text as UTF-8, if it is UTF-16; otherwise the bytes as they are.
///
/// Told by the mark at its beginning, or, since puzzles are written in ASCII, by the zeros in between.
pub(super) fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (rest, big_endian) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => (bytes, false),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => (bytes, true),
        _ => return Cow::Borrowed(bytes),
    };
    if !rest.len().is_multiple_of(2) {
        return Cow::Borrowed(bytes);
    }
    let unit = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let text = char::decode_utf16(rest.chunks_exact(2).map(unit)).collect::<Result<String, _>>();
    text.map_or(Cow::Borrowed(bytes), |text| Cow::Owned(text.into_bytes()))
}
