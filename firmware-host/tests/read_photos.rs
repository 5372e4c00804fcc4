//! Real photographs are read whole, and what is no board is refused.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use trm_firmware_host::HostError;
use trm_firmware_host::vision::evaluation::{PhotoRates, judge_photo};
use trm_firmware_host::vision::{BoardReader, Refusal, photo, photo_set};
use trm_models::ClassifierBundle;

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos")
}

fn reader() -> BoardReader {
    BoardReader::open(&ClassifierBundle::digits().unwrap()).unwrap()
}

fn upright() -> RgbImage {
    photo::open(&photos().join("image1.jpg")).unwrap()
}

/// What is said of a picture that must not be trusted.
fn refusal(picture: &RgbImage) -> Refusal {
    reader().read(picture).unwrap().refusal.expect("it must be refused")
}

#[test]
fn photographs_are_read_whole_upright_and_on_their_side() {
    let mut reader = reader();
    let mut rates = PhotoRates::default();
    for labelled in photo_set::read(&photos()).unwrap() {
        let result = judge_photo(&mut reader, &labelled).unwrap();
        assert!(result.exact(), "{result:?}");
        assert!(result.found, "{result:?}");
        rates.add(&result);
    }
    assert_eq!((rates.photos, rates.exact, rates.wrong_trusted), (5, 5, 0));
}

#[test]
fn a_photograph_is_read_whichever_way_it_is_turned() {
    let picture = upright();
    let mut reader = reader();
    let expected = reader.read(&picture).unwrap();
    assert_eq!(expected.turns, 0);
    let turned = [
        (3, image::imageops::rotate270(&picture)),
        (2, image::imageops::rotate180(&picture)),
        (1, image::imageops::rotate90(&picture)),
    ];
    for (quarter_turns_to_undo, picture) in turned {
        let reading = reader.read(&picture).unwrap();
        assert_eq!(reading.turns, quarter_turns_to_undo);
        assert_eq!(reading.grid, expected.grid);
    }
}

#[test]
fn what_is_no_board_is_refused() {
    let plain = |level: u8| RgbImage::from_pixel(640, 480, Rgb([level; 3]));
    assert_eq!(refusal(&plain(0)), Refusal::NoBoard);
    assert_eq!(refusal(&plain(255)), Refusal::NoBoard);
    assert_eq!(refusal(&RgbImage::new(1, 1)), Refusal::TooSmall);
    assert_eq!(refusal(&RgbImage::new(0, 0)), Refusal::TooSmall);
    assert_eq!(refusal(&RgbImage::new(3000, 2)), Refusal::TooSmall);
    // Noise of a camera with its lid on.
    let mut state = 1_u32;
    let noise = RgbImage::from_fn(640, 480, |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Rgb([(state >> 24) as u8; 3])
    });
    assert_eq!(refusal(&noise), Refusal::NoBoard);
    // A table without digits.
    let table = RgbImage::from_fn(500, 500, |x, y| {
        let line = |v: u32| (50..=450).contains(&v) && (v - 50) % 44 < 3;
        let inside = (50..=450).contains(&x) && (50..=450).contains(&y);
        Rgb([if inside && (line(x) || line(y)) { 20 } else { 230 }; 3])
    });
    assert_eq!(refusal(&table), Refusal::NoDigits);
}

#[test]
fn a_board_that_is_cut_off_is_refused() {
    let picture = upright();
    let reading = reader().read(&picture).unwrap();
    let corners = reading.corners.unwrap();
    // Two columns of nine are outside.
    let right = corners[0][0] + 0.77 * (corners[1][0] - corners[0][0]);
    let cut = image::imageops::crop_imm(&picture, 0, 0, right as u32, picture.height()).to_image();
    let reading = reader().read(&cut).unwrap();
    assert!(!reading.trusted(), "{:?}", reading.grid);
}

#[test]
fn two_boards_are_refused() {
    let picture = upright();
    let mut both = RgbImage::new(2 * picture.width(), picture.height());
    image::imageops::replace(&mut both, &picture, 0, 0);
    image::imageops::replace(&mut both, &picture, i64::from(picture.width()), 0);
    assert_eq!(refusal(&both), Refusal::SeveralBoards);
}

#[test]
fn broken_files_are_errors_that_say_so() {
    let name = Path::new("broken.jpg");
    let whole = std::fs::read(photos().join("image1.jpg")).unwrap();
    for bytes in [&whole[..20], b"no picture at all", b""] {
        let error = photo::from_bytes(bytes, name).unwrap_err();
        assert!(matches!(error, HostError::Picture { .. }), "{error:?}");
        assert!(error.to_string().contains("hint: JPEG and PNG are"), "{error}");
    }
    // Half a picture either fails or leaves its lower half gray, and then it has no board: never a panic.
    if let Ok(half) = photo::from_bytes(&whole[..whole.len() / 2], name) {
        assert!(!reader().read(&half).unwrap().trusted());
    }
}

#[test]
fn a_picture_of_a_hundred_megapixels_is_refused_by_its_header() {
    // A PNG header of 10,000 x 10,000 without any pixels: nothing may be allocated for it.
    let mut png = Vec::new();
    png.extend(b"\x89PNG\r\n\x1a\n");
    let mut header = b"IHDR".to_vec();
    header.extend(10_000_u32.to_be_bytes());
    header.extend(10_000_u32.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    png.extend(13_u32.to_be_bytes());
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png.extend(0_u32.to_be_bytes());
    png.extend(b"IDAT");
    png.extend(crc32(b"IDAT").to_be_bytes());
    let error = photo::from_bytes(&png, Path::new("large.png")).unwrap_err();
    assert!(matches!(error, HostError::PictureTooLarge { width: 10_000, height: 10_000, .. }), "{error:?}");
}

/// The checksum of PNG chunks (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}
