//! Recordings that were cut off, changed, or made to take memory or time.

use std::time::Instant;

use proptest::prelude::*;
use trm_intake::explained;
use trm_plan::recording::Recording;

use super::{assert_is_the_way, drives, fixture};

const NAMES: [&str; 5] = ["amcl_lz4.mcap", "amcl_zstd.mcap", "plan.mcap", "big_endian.mcap", "bag/bag.mcap"];
const MAGIC: &[u8] = b"\x89MCAP0\r\n";

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).expect("a fixture")
}

fn read(bytes: &[u8]) -> Result<Recording, String> {
    Recording::from_mcap("a test", bytes, None).map_err(|error| explained(&error))
}

fn record(opcode: u8, content: &[u8]) -> Vec<u8> {
    [&[opcode], &(content.len() as u64).to_le_bytes()[..], content].concat()
}

/// A chunk that says that it unpacks to so many bytes.
fn chunk(size: u64, compression: &str, packed: &[u8]) -> Vec<u8> {
    let mut content = vec![0; 16];
    content.extend(size.to_le_bytes());
    content.extend([0; 4]);
    content.extend((compression.len() as u32).to_le_bytes());
    content.extend(compression.as_bytes());
    content.extend((packed.len() as u64).to_le_bytes());
    content.extend(packed);
    record(6, &content)
}

fn file(records: &[Vec<u8>]) -> Vec<u8> {
    [MAGIC, &records.concat(), MAGIC].concat()
}

#[test]
fn a_recording_that_was_cut_off_is_read_up_to_there() {
    for name in NAMES {
        let bytes = bytes(name);
        let whole = read(&bytes).expect("a whole one").streams[0].messages;
        let mut seen = 0;
        for length in (MAGIC.len()..bytes.len() - MAGIC.len()).step_by(61) {
            let recording = read(&bytes[..length]).unwrap_or_else(|error| panic!("{name}, {length} bytes: {error}"));
            let messages = recording.streams.first().map_or(0, |stream| stream.messages);
            assert!(seen <= messages && messages <= whole, "{name}, {length} bytes: {messages} after {seen}");
            seen = messages;
            let is_finished = recording.notes.is_empty();
            assert!(!is_finished || messages == whole, "{name}, {length} bytes: {:?}", recording.notes);
        }
        assert_eq!(seen, whole, "{name}");
    }
    // What there is of a drive is a drive.
    let zstd = bytes("amcl_zstd.mcap");
    let half = read(&zstd[..zstd.len() / 2]).expect("half of it");
    assert!(half.notes[0].to_string().contains("it was cut off while it was recorded"), "{:?}", half.notes);
    let way = drives(&read(&zstd).expect("all of it").streams[0]);
    assert_is_the_way(&way);
    assert_eq!(drives(&half.streams[0])[0][..50], way[0][..50]);
}

#[test]
fn wrong_lengths_and_checksums_are_refused() {
    let mut longer = bytes("big_endian.mcap");
    // The length of the header, the first record.
    longer[MAGIC.len() + 6] = 1;
    let refused = read(&longer).unwrap_err();
    assert!(refused.contains("a record is longer than the file, although the file ends as it should"), "{refused}");

    let mut changed = bytes("plan.mcap");
    let in_schema = changed.windows(9).position(|window| window == b"float64 x").expect("a definition in the chunk");
    changed[in_schema] ^= 1;
    let refused = read(&changed).unwrap_err();
    assert!(refused.contains("a chunk is damaged: its checksum is another\nhint: `mcap recover`"), "{refused}");

    for (records, expected) in [
        (vec![chunk(u64::MAX, "lz4", b"")], "its chunks unpack to too much"),
        (vec![chunk(9, "lz4", b"not lz4")], "a chunk is damaged"),
        (vec![chunk(9, "zstd", b"not zstd")], "a chunk is damaged"),
        (vec![chunk(9, "snappy", b"")], "compressed by `snappy`, expected lz4, zstd or nothing"),
        (vec![chunk(100, "", &record(1, &[]))], "a chunk is damaged: it is shorter than it says"),
        (vec![chunk(9, "", &[5, 255, 0, 0, 0, 0, 0, 0, 0])], "a chunk is damaged: it ends within a record"),
        (vec![record(5, &[0; 22])], "a message of channel 0, which was not announced"),
        (vec![record(3, &[1, 0, 255, 255, 255, 255])], "the name of a schema has 4294967295 bytes"),
        (vec![record(3, &[1])], "a record is longer than the file"),
    ] {
        let refused = read(&file(&records)).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn bombs_are_refused_soon() {
    // 64 MiB each. Two seconds of the processor are promised; machines that test are busy.
    let zstd = |bytes: &[u8]| {
        let packed = ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
        chunk(bytes.len() as u64, "zstd", &packed)
    };
    let lz4 = |bytes: &[u8]| {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        std::io::Write::write_all(&mut encoder, bytes).expect("packed");
        chunk(bytes.len() as u64, "lz4", &encoder.finish().expect("packed"))
    };
    let empty = record(0x7f, &[]);
    let (large, many) = (record(0x7f, &vec![0; 4 << 20]), empty.repeat(400_000));
    // Messages of a channel whose type has no poses.
    let announced = [record(4, &[0; 16]), record(5, &[0; 22]).repeat(130_000)].concat();
    for (name, one, expected) in [
        ("empty messages", zstd(&announced), "its chunks unpack to too much"),
        ("a large record in zstd", zstd(&large), "its chunks unpack to too much"),
        ("a large record in lz4", lz4(&large), "its chunks unpack to too much"),
        ("empty records in zstd", zstd(&many), "its chunks unpack to too much"),
        ("empty records in lz4", lz4(&many), "its chunks unpack to too much"),
        ("empty chunks", zstd(&[]), "its chunks unpack to too much"),
        ("empty records", empty, "a record is longer than the file"),
    ] {
        let bytes = file(&vec![one.clone(); (64 << 20) / one.len()]);
        let began = Instant::now();
        let refused = read(&bytes).expect_err("refused");
        let seconds = began.elapsed().as_secs_f64();
        assert!(refused.contains(expected), "{name}: {refused}");
        let limit = if cfg!(debug_assertions) { 120.0 } else { 6.0 };
        assert!(seconds < limit, "{name}: {seconds:.2} s");
        println!("{name}: {seconds:.2} s");
    }
}

proptest! {
    #[test]
    fn damaged_recordings_never_panic(
        name in proptest::sample::select(&NAMES[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = bytes(name);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(recording) = read(&bytes) {
            for stream in &recording.streams {
                let _ = stream.drives(&trm_plan::recording::Cuts::default(), 0.05);
            }
        }
    }
}
