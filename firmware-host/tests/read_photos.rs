//! Real photographs are read whole, and what is no board is refused.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::{Path, PathBuf};

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _};
use image::{Rgb, RgbImage};
use trm_firmware_host::HostError;
use trm_firmware_host::vision::evaluation::{PhotoRates, judge_photo};
use trm_firmware_host::vision::{BoardReader, Refusal, photo, photo_set};
use trm_intake::explained;
use trm_models::ClassifierBundle;

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos")
}

fn reader() -> BoardReader {
    BoardReader::open(&ClassifierBundle::digits().unwrap()).unwrap()
}

fn upright() -> RgbImage {
    photo::open(&photos().join("image102.jpg")).unwrap()
}

/// Returns the refusal of a picture that must not be trusted.
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

/// A printed board, 60 pixels a cell, seen a little from the side.
fn printed(digits: &str) -> RgbImage {
    let font = FontRef::try_from_slice(include_bytes!("../src/display/fonts/Roboto-Medium.ttf")).unwrap();
    let side = (1..=9).find(|side| side * side == digits.len()).unwrap();
    let (cell, margin) = (60, 50);
    let size = (side * cell + 2 * margin) as u32;
    let mut page = RgbImage::from_pixel(size, size, Rgb([225, 222, 215]));
    let far = margin + side * cell;
    for line in 0..=side {
        for along in margin..=far {
            for thick in 0..3 {
                page.put_pixel((margin + line * cell + thick) as u32, along as u32, Rgb([40; 3]));
                page.put_pixel(along as u32, (margin + line * cell + thick) as u32, Rgb([40; 3]));
            }
        }
    }
    for (k, digit) in digits.chars().enumerate().filter(|(_, digit)| *digit != '0') {
        let scaled = font.as_scaled(PxScale::from(44.0));
        let at = ab_glyph::point(
            (margin + k % side * cell + 19) as f32,
            (margin + k / side * cell + 9) as f32 + scaled.ascent(),
        );
        let outline = font.outline_glyph(font.glyph_id(digit).with_scale_and_position(44.0, at)).unwrap();
        let bounds = outline.px_bounds();
        outline.draw(|x, y, coverage| {
            let value = (225.0 - 190.0 * coverage) as u8;
            page.put_pixel(bounds.min.x as u32 + x, bounds.min.y as u32 + y, Rgb([value; 3]));
        });
    }
    let far = size as f32;
    let seen = imageproc::geometric_transformations::Projection::from_control_points(
        [(0.0, 0.0), (far, 0.0), (far, far), (0.0, far)],
        [(12.0, 4.0), (far - 3.0, 14.0), (far - 18.0, far - 5.0), (2.0, far - 16.0)],
    );
    imageproc::geometric_transformations::warp(
        &page,
        seen.unwrap(),
        imageproc::geometric_transformations::Interpolation::Bilinear,
        imageproc::geometric_transformations::Border::Constant(Rgb([200; 3])),
    )
}

#[test]
fn printed_boards_of_every_size_are_read() {
    let boards = [
        "1030002004000003",
        "003010560320054203206450012045040100",
        "530070000600195000098000060800060003400803001700020006060000280000419005000080079",
    ];
    let mut reader = reader();
    for board in boards {
        let reading = reader.read(&printed(board)).unwrap();
        let grid = reading.grid.as_ref().unwrap_or_else(|| panic!("{board}: {:?}", reading.refusal));
        let read: String = grid.cells().iter().map(|digit| char::from(b'0' + digit)).collect();
        assert_eq!(read, board, "{:?}", reading.refusal);
        assert!(reading.trusted(), "{board}: {:?}, {:?}", reading.refusal, reading.doubtful);
    }
}

#[test]
fn the_command_prints_what_programs_expect_and_draws_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("answer.png");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .args(["read", "--json", "--solve", "--overlay"])
        .args([&overlay, &photos().join("image102.jpg")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let grid = "530070008000004925000020170001200840040000209000407000980061702075000381100005004";
    assert_eq!((&record["grid"], &record["found"], &record["trusted"]), (&grid.into(), &true.into(), &true.into()));
    assert_eq!((record["confidence"].as_array().unwrap().len(), record["corners"].as_array().unwrap().len()), (81, 4));
    let solution = record["solution"].as_str().unwrap();
    assert!(grid.chars().zip(solution.chars()).all(|(given, found)| given == '0' || given == found));
    assert!(record["ms"].as_f64().unwrap() > 0.0);
    // The answer is drawn where cells were empty: blue that was not there.
    let blue = |picture: &RgbImage| picture.pixels().filter(|p| p.0[2] > 150 && p.0[0] < 80).count();
    let (before, after) = (blue(&upright()), blue(&photo::open(&overlay).unwrap()));
    assert!(after > before + 500, "{before} and {after}");
}

#[test]
fn a_photograph_that_is_not_read_fails_with_exit_code_1_and_a_missing_one_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let blank = folder.path().join("blank.png");
    RgbImage::from_pixel(300, 300, Rgb([200; 3])).save(&blank).unwrap();
    let run = |path: &Path| {
        std::process::Command::new(env!("CARGO_BIN_EXE_trm-host")).arg("read").arg(path).output().unwrap()
    };
    let output = run(&blank);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("not trusted: no whole board in the picture"));
    // Of several files, one that is no picture does not keep the others from being read.
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, b"\xff\xd8\xff no picture").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_trm-host"))
        .arg("read")
        .args([&broken, &photos().join("image102.jpg")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("trusted"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("broken.jpg: ") && said.contains("1 of 2 files could not be read as pictures"), "{said}");
    let output = run(&folder.path().join("missing.jpg"));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("missing.jpg: open failed"));
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
    assert!(matches!(refusal(&noise), Refusal::NoBoard | Refusal::Inconsistent | Refusal::NoDigits));
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
    let whole = std::fs::read(photos().join("image102.jpg")).unwrap();
    for bytes in [&whole[..20], b"no picture at all", b""] {
        let error = photo::from_bytes(bytes, name).unwrap_err();
        assert!(matches!(error, HostError::Picture { .. }), "{error:?}");
        assert!(explained(&error).contains("hint: JPEG and PNG are"), "{error}");
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

#[test]
fn no_photograph_is_drawn_over() {
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("photo.png");
    let read = |overlay: &std::path::Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_trm-host"));
        let output = command.arg("read").arg(&photo).arg("--overlay").arg(overlay).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    std::fs::copy(photos().join("image102.jpg"), &photo).unwrap();
    let before = std::fs::read(&photo).unwrap();
    std::os::unix::fs::symlink("photo.png", folder.path().join("link.png")).unwrap();
    for overlay in ["photo.png", "link.png"] {
        let (code, said) = read(&folder.path().join(overlay));
        assert!(code == Some(2) && said.contains("it is read from, and would be overwritten"), "{said}");
    }
    let (code, said) = read(&folder.path().join("photo.jpg"));
    assert!(code == Some(2) && said.contains("pictures are written as PNG"), "{said}");
    assert_eq!(std::fs::read(&photo).unwrap(), before);
}
