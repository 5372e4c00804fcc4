//! Inputs made of a corpus: input number `n` follows from the corpus, the seed and `n` alone, so that one that has killed
//! the process that read it can be made again.

use std::io;
use std::path::Path;

use crc::{CRC_32_ISO_HDLC, Crc};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Longest input; the tests of budgets look at longer ones.
const LONGEST: usize = 64 << 10;

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFF,
];

/// Texts at which readers of numbers and of structure go wrong.
const WORDS: [&str; 20] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "NaN",
    "inf",
    "18446744073709551615",
    "9223372036854775808",
    "4294967296",
    "2147483648",
    "1000000007",
    "[",
    "{",
    "\"",
    "\\u0000",
    "\u{feff}",
    "\r\n",
    "null",
    "true",
    "---\n",
];

/// The files of a folder, sorted by name.
///
/// # Errors
/// If the folder or a file cannot be read, or the folder is empty.
pub fn corpus(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    let seeds = paths.iter().map(std::fs::read).collect::<io::Result<Vec<_>>>()?;
    if seeds.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there are no seeds"));
    }
    Ok(seeds)
}

/// Input number `number`: the seeds themselves first, then changed ones.
#[must_use]
pub fn input(corpus: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    if let Some(first) = usize::try_from(number).ok().and_then(|number| corpus.get(number)) {
        return first.clone();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    let mut data = corpus.choose(&mut rng).cloned().unwrap_or_default();
    // Mostly one change or two: what is changed all over is refused at its first byte.
    let changes = 1 << rng.random_range(0..5_u32);
    for _ in 0..rng.random_range(1..=changes) {
        change(&mut data, corpus, &mut rng);
    }
    data.truncate(LONGEST);
    if rng.random_bool(0.75) {
        repair_png(&mut data);
    }
    data
}

/// A place in the data, or its end.
fn place(data: &[u8], rng: &mut ChaCha8Rng) -> usize {
    rng.random_range(0..=data.len())
}

/// A part of the data, mostly a short one.
fn part(data: &[u8], rng: &mut ChaCha8Rng) -> std::ops::Range<usize> {
    let start = place(data, rng);
    let longest = (data.len() - start).min(1 << rng.random_range(0..12_u32));
    start..start + rng.random_range(0..=longest)
}

fn change(data: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = place(data, rng);
    match rng.random_range(0..10_u32) {
        0 => {
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << rng.random_range(0..8_u32);
            }
        }
        1 => {
            if let Some(byte) = data.get_mut(at) {
                *byte = rng.random();
            }
        }
        2 => data.truncate(at),
        3 => {
            let range = part(data, rng);
            data.drain(range);
        }
        4 => {
            let range = part(data, rng);
            let copy = data[range].to_vec();
            data.splice(at..at, copy);
        }
        5 => {
            // Another seed from some place on.
            let other = corpus.choose(rng).map_or(&[][..], Vec::as_slice);
            let from = place(other, rng);
            data.truncate(at);
            data.extend_from_slice(&other[from..]);
        }
        6 => {
            let number = EDGES.choose(rng).copied().unwrap_or(0);
            let width = [1, 2, 4, 8][rng.random_range(0..4_usize)];
            let little = number.to_le_bytes();
            let big = number.to_be_bytes();
            let bytes = if rng.random() { &little[..width] } else { &big[8 - width..] };
            let end = (at + width).min(data.len());
            data.splice(at..end, bytes.iter().copied());
        }
        7 => {
            let word = WORDS.choose(rng).copied().unwrap_or("");
            let end = (at + rng.random_range(0..3_usize)).min(data.len());
            data.splice(at..end, word.bytes());
        }
        8 => replace_number(data, at, rng),
        _ => {
            // The same again and again.
            let range = part(data, rng);
            let copy = data[range].to_vec();
            let times = rng.random_range(1..200_usize).min(LONGEST / copy.len().max(1));
            data.splice(at..at, copy.repeat(times));
        }
    }
}

/// Replaces the next number that is written in digits.
fn replace_number(data: &mut Vec<u8>, at: usize, rng: &mut ChaCha8Rng) {
    let Some(start) = data.iter().skip(at).position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let length = data[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match rng.random_range(0..3_u32) {
        0 => WORDS[rng.random_range(0..11_usize)].to_owned(),
        1 => rng.random_range(0..1_000_000_u32).to_string(),
        _ => rng.next_u64().to_string(),
    };
    data.splice(start..start + length, number.bytes());
}

/// Sets the checksums of a PNG's chunks right, as far as its lengths lead to them: a reader refuses any other change by its
/// checksum alone.
fn repair_png(data: &mut [u8]) {
    const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    if !data.starts_with(b"\x89PNG\r\n\x1a\n") {
        return;
    }
    let mut at = 8;
    while let Some(length) = data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) {
        let end = at.saturating_add(8).saturating_add(length as usize);
        let Some(chunk) = data.get(at + 4..end) else { return };
        let checksum = CRC.checksum(chunk).to_be_bytes();
        let Some(place) = data.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_can_be_made_again_and_most_differ() {
        let corpus = [b"{\"status\": \"planned\", \"path\": [[1, 2, 3]]}".to_vec(), b"[]".to_vec()];
        let all = |seed| (0..500).map(|number| input(&corpus, seed, number)).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        assert_eq!(all(1)[..2], corpus);
        let mut distinct = all(1);
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 350, "{} of 500 inputs differ", distinct.len());
        assert!(distinct.iter().all(|input| input.len() <= LONGEST));
    }

    #[test]
    fn checksums_of_pictures_are_set_right() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x01teSTx____\0\0\0\0IEND____".to_vec();
        repair_png(&mut png);
        assert!(png.ends_with(b"IEND\xae\x42\x60\x82"), "{png:?}");
        assert!(!png.windows(4).any(|bytes| bytes == b"____"));
        // Whatever the lengths say.
        png[8..12].copy_from_slice(&[0xFF; 4]);
        repair_png(&mut png);
    }
}
