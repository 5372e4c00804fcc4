//! Sources of pictures on real JPEG files, whole and broken.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, GrayImage, RgbImage};
use proptest::prelude::*;
use trm_firmware_host::vision::photo;
use trm_firmware_host::vision::source::{
    Folder, Frame, FrameSource, JpegSplitter, MjpegStream, Pictures, RawPixels, SourceSpec, open_whole,
};
use trm_intake::explained;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos").join(name)
}

fn photos() -> [Vec<u8>; 2] {
    ["image8.jpg", "image109.jpg"].map(|name| fs::read(fixture(name)).unwrap())
}

/// A JPEG of a gray ramp.
fn ramp(width: u32, height: u32) -> Vec<u8> {
    let mut jpeg = Vec::new();
    let picture = GrayImage::from_fn(width, height, |x, y| image::Luma([(x + 2 * y) as u8]));
    JpegEncoder::new_with_quality(&mut jpeg, 80).encode(&picture, width, height, ExtendedColorType::L8).unwrap();
    jpeg
}

/// The same with a header that promises 100 million pixels.
fn oversized() -> Vec<u8> {
    let mut jpeg = ramp(16, 16);
    let frame = jpeg.windows(2).position(|window| window == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x27, 0x10, 0x27, 0x10]);
    jpeg
}

/// A reader that gives as many bytes at a time as it is told.
struct Chunks<'a> {
    bytes: Cursor<&'a [u8]>,
    sizes: Box<dyn FnMut() -> usize + Send + 'a>,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = (self.sizes)().clamp(1, buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

fn all(source: &mut dyn FrameSource) -> Vec<Frame> {
    std::iter::from_fn(|| source.next_frame().unwrap()).collect()
}

fn stream(bytes: &[u8]) -> (Vec<Frame>, Vec<String>) {
    let mut source = MjpegStream::new("pipe", bytes);
    (all(&mut source), source.take_warnings())
}

#[test]
fn photographs_come_out_of_a_stream_as_they_are() {
    let [first, second] = photos();
    let (frames, warnings) = stream(&[first.clone(), second.clone()].concat());
    assert_eq!(warnings, [""; 0]);
    let summary: Vec<_> = frames.iter().map(|frame| (frame.name.as_str(), frame.cut)).collect();
    assert_eq!(summary, [("pipe#1", true), ("pipe#2", false)]);
    for (frame, bytes) in frames.iter().zip([first, second]) {
        assert!(frame.image == photo::from_bytes(&bytes, Path::new("whole")).unwrap());
        assert_eq!(frame.image.dimensions(), (640, 480));
    }
}

#[test]
fn a_stream_goes_on_behind_garbage_and_broken_pictures() {
    let [first, second] = photos();
    let half = &first[..first.len() / 2];
    // A picture that breaks off in its pixels, one that breaks off in a segment, loose markers.
    let parts: [&[u8]; 9] = [
        b"\0\xFFnoise\xFF\xD8",
        &first,
        b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n",
        half,
        &second,
        &second[..30],
        b"\xFF\xD8\xFF\x07\xFF\xD9",
        &first,
        half,
    ];
    let (frames, warnings) = stream(&parts.concat());
    let pictures: Vec<RgbImage> = frames.into_iter().map(|frame| frame.image).collect();
    let whole = |bytes: &[u8]| photo::from_bytes(bytes, Path::new("whole")).unwrap();
    assert!(pictures == [whole(&first), whole(&second), whole(&first)], "{} pictures", pictures.len());
    assert_eq!(warnings, ["pipe: ends within a picture"]);
}

#[test]
fn pictures_that_cannot_be_decoded_are_passed_over() {
    let [first, _] = photos();
    let (frames, warnings) = stream(&[oversized(), first, ramp(1, 1)].concat());
    let sizes: Vec<_> = frames.iter().map(|frame| frame.image.dimensions()).collect();
    assert_eq!(sizes, [(640, 480), (1, 1)]);
    assert_eq!(warnings, ["pipe#1: 10000x10000 pixels are more than 40 million"]);

    let mut endless = MjpegStream::new("pipe", Cursor::new(oversized().repeat(150)));
    let message = explained(&endless.next_frame().unwrap_err());
    assert!(message.starts_with("pipe: 100 pictures in a row cannot be decoded\nhint: "), "{message}");
    // Asked again, it tries the others.
    assert!(endless.next_frame().unwrap().is_none());

    let (frames, warnings) = stream(b"GIF89a is no JPEG");
    assert_eq!((frames.len(), warnings), (0, vec!["pipe: no JPEG picture in it".to_owned()]));
}

#[test]
fn frames_without_huffman_tables_are_decoded_with_the_standard_ones() {
    let whole = ramp(64, 48);
    let mut bare = Vec::new();
    let mut at = 2;
    bare.extend_from_slice(&whole[..2]);
    // Segments up to the pixels, the tables left out.
    loop {
        let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
        if whole[at + 1] != 0xC4 {
            bare.extend_from_slice(&whole[at..end]);
        }
        if whole[at + 1] == 0xDA {
            bare.extend_from_slice(&whole[end..]);
            break;
        }
        at = end;
    }
    assert!(bare.len() < whole.len());
    let (frames, warnings) = stream(&bare);
    assert_eq!(warnings, [""; 0]);
    assert!(frames[0].image == photo::from_bytes(&whole, Path::new("whole")).unwrap());
}

#[test]
fn a_preview_within_a_picture_is_not_taken_for_it() {
    let [_, second] = photos();
    let preview = ramp(16, 16);
    let mut with_preview = second[..2].to_vec();
    with_preview.extend_from_slice(&[0xFF, 0xE5]);
    with_preview.extend_from_slice(&u16::try_from(preview.len() + 2).unwrap().to_be_bytes());
    with_preview.extend_from_slice(&preview);
    with_preview.extend_from_slice(&second[2..]);
    let (frames, _) = stream(&with_preview.repeat(2));
    let sizes: Vec<_> = frames.iter().map(|frame| frame.image.dimensions()).collect();
    assert_eq!(sizes, [(640, 480); 2]);
}

#[test]
fn the_splitter_holds_no_more_than_its_limit() {
    let mut splitter = JpegSplitter::with_limit(100_000);
    // A picture that never ends, then a whole one.
    splitter.push(b"\xFF\xD8\xFF\xDA\x00\x02");
    for _ in 0..1000 {
        splitter.push(&[7; 1000]);
        assert_eq!(splitter.next_jpeg(), None);
    }
    assert!(splitter.discarded() > 800_000, "{}", splitter.discarded());
    let whole = ramp(8, 8);
    splitter.push(&whole);
    assert_eq!(splitter.next_jpeg(), Some(whole));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the bytes arrive, the same pictures come out.
    #[test]
    fn chunks_do_not_matter(sizes in prop::collection::vec(1_usize..400, 1..20), garbage in prop::collection::vec(any::<u8>(), 0..50)) {
        let pictures = [ramp(9, 5), ramp(20, 30), ramp(1, 1)];
        // A picture that begins in the garbage may swallow what follows it.
        let garbage: Vec<u8> = garbage.into_iter().filter(|&byte| byte != 0xFF).collect();
        let bytes: Vec<u8> = pictures.iter().flat_map(|picture| [&garbage[..], picture].concat()).collect();
        let mut turn = sizes.iter().cycle();
        let chunks = Chunks { bytes: Cursor::new(&bytes[..]), sizes: Box::new(move || turn.next().copied().unwrap_or(1)) };
        let mut source = MjpegStream::new("pipe", chunks);
        let frames = all(&mut source);
        prop_assert_eq!(frames.iter().map(|frame| frame.image.dimensions()).collect::<Vec<_>>(), [(9, 5), (20, 30), (1, 1)]);
        prop_assert!(source.take_warnings().is_empty());
    }

    /// Whatever arrives, in whatever chunks, ends without a panic, and says the same in one piece.
    #[test]
    fn bytes_are_no_danger(
        bytes in prop::collection::vec(prop_oneof![Just(0xFF_u8), Just(0xD8), Just(0xD9), Just(0xDA), Just(0), any::<u8>()], 0..2000),
        size in 1_usize..50,
    ) {
        let (mut whole, mut pieces) = (JpegSplitter::new(), JpegSplitter::new());
        whole.push(&bytes);
        let at_once: Vec<_> = std::iter::from_fn(|| whole.next_jpeg()).collect();
        let mut one_by_one = Vec::new();
        for piece in bytes.chunks(size) {
            pieces.push(piece);
            one_by_one.extend(std::iter::from_fn(|| pieces.next_jpeg()));
        }
        prop_assert_eq!(at_once, one_by_one);
    }

    /// A photograph that breaks off anywhere is not taken for a whole one.
    #[test]
    fn no_truncated_file_is_read(share in 0.0..1.0_f64) {
        let [first, _] = photos();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.jpg");
        fs::write(&path, &first[..(share * first.len() as f64) as usize]).unwrap();
        prop_assert!(open_whole(&path).is_err());
    }
}

#[test]
fn a_folder_is_gone_through_by_name_and_broken_files_are_passed_over() {
    let [first, second] = photos();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    put("b.JPG", &first);
    put("a.jpeg", &second[..second.len() - 100]);
    put("c.png", b"no picture");
    put("d.jpg", &oversized());
    put("e.jpg", &ramp(1, 1));
    put(".hidden.jpg", &first);
    put("notes.txt", b"no picture");
    fs::create_dir(folder.path().join("folder.jpg")).unwrap();

    let mut source = Folder::open(folder.path(), false).unwrap();
    let frames = all(&mut source);
    let names: Vec<_> =
        frames.iter().map(|frame| Path::new(&frame.name).file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["b.JPG", "e.jpg"]);
    assert!(frames.iter().all(|frame| frame.cut));
    let warnings = source.take_warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].ends_with("a.jpeg: the picture is cut short"), "{warnings:?}");
    assert!(warnings[1].contains("c.png: not a picture that can be read: "), "{warnings:?}");
    assert!(warnings[2].ends_with("d.jpg: 10000x10000 pixels are more than 40 million"), "{warnings:?}");
    assert!(source.take_warnings().is_empty());
}

#[test]
fn a_repeated_folder_finds_what_was_added_and_finished() {
    let [first, second] = photos();
    let folder = tempfile::tempdir().unwrap();
    let spec: SourceSpec = format!("repeat:{}", folder.path().display()).parse().unwrap();
    let mut source = spec.open().unwrap();
    let next = |source: &mut dyn FrameSource| {
        let frame = source.next_frame().map_err(|error| explained(&error))?.expect("it never ends");
        Ok::<_, String>(Path::new(&frame.name).file_name().unwrap().to_str().unwrap().to_owned())
    };
    let message = next(&mut *source).unwrap_err();
    assert!(message.contains("no pictures in this folder\nhint: "), "{message}");
    // A first picture, half written.
    fs::write(folder.path().join("a.jpg"), &first[..5000]).unwrap();
    let message = next(&mut *source).unwrap_err();
    assert!(message.contains("no picture in this folder can be read\nhint: "), "{message}");
    assert_eq!(source.take_warnings().len(), 1);
    fs::write(folder.path().join("a.jpg"), first).unwrap();
    assert_eq!(next(&mut *source).unwrap(), "a.jpg");
    fs::write(folder.path().join("b.jpg"), second).unwrap();
    assert_eq!(next(&mut *source).unwrap(), "a.jpg");
    assert_eq!(next(&mut *source).unwrap(), "b.jpg");
    assert_eq!(next(&mut *source).unwrap(), "a.jpg");
    // Listed, then gone.
    fs::remove_file(folder.path().join("b.jpg")).unwrap();
    assert_eq!(next(&mut *source).unwrap(), "a.jpg");
    assert!(source.take_warnings()[0].contains("b.jpg: open failed: "));
    assert!(Folder::open(Path::new("/nowhere"), true).is_err());
}

#[test]
fn a_named_file_that_cannot_be_read_is_an_error_and_the_next_ones_turn_comes() {
    let mut source = Pictures::new([fixture("nowhere.jpg"), fixture("image8.jpg")]);
    assert!(explained(&source.next_frame().unwrap_err()).ends_with("nowhere.jpg: open failed"));
    assert_eq!(source.next_frame().unwrap().unwrap().image.dimensions(), (640, 480));
    assert!(source.next_frame().unwrap().is_none());
}

#[cfg(unix)]
#[test]
fn streams_come_through_named_pipes() {
    let [first, second] = photos();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("camera");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let open = |text: String| text.parse::<SourceSpec>().unwrap().open().unwrap();

    let (bytes, to) = ([first, second].concat(), pipe.clone());
    let writer = std::thread::spawn(move || fs::write(to, bytes).unwrap());
    assert_eq!(all(&mut *open(format!("mjpeg:{}", pipe.display()))).len(), 2);
    writer.join().unwrap();

    let to = pipe.clone();
    let writer = std::thread::spawn(move || fs::write(to, vec![128; 3 * 320 * 240 * 2]).unwrap());
    let frames = all(&mut *open(format!("raw:320x240:{}:{}", RawPixels::Yuyv.as_str(), pipe.display())));
    writer.join().unwrap();
    assert_eq!(frames.len(), 3);
    assert_eq!((frames[2].image.dimensions(), frames[2].image[(9, 9)].0), ((320, 240), [130; 3]));
}
