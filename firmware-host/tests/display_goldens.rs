//! Screens, pixel for pixel as they were when somebody last looked at them.
//!
//! After a wanted change, `TRM_RENEW_GOLDENS=1 cargo test --release -p trm-firmware-host --test display_goldens` writes
//! the pictures anew; look at them before they are committed.

use std::path::{Path, PathBuf};

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888};
use trm_firmware_host::display::{Board, Canvas, Ink, Screen, Theme, draw, sample};

/// Levels that a channel may be off: antialiasing is computed in floating point, with other instructions on other
/// processors, and RGB565 rounds to steps of 8.
const TOLERANCE: u8 = 8;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/display").join(format!("{name}.png"))
}

fn drawn<C: Ink>(screen: &Screen, width: u32, height: u32) -> Canvas<C> {
    let theme = Theme::<C>::new(width, height);
    let mut canvas = Canvas::new(theme.size, theme.palette.background);
    let Ok(()) = draw(screen, &theme, &mut canvas);
    canvas
}

/// The first pixel that differs by more than `tolerance`, and both values.
fn difference(a: &image::RgbImage, b: &image::RgbImage, tolerance: u8) -> Option<String> {
    if a.dimensions() != b.dimensions() {
        return Some(format!("size {:?}, expected {:?}", a.dimensions(), b.dimensions()));
    }
    let far = |a: &image::Rgb<u8>, b: &image::Rgb<u8>| a.0.iter().zip(b.0).any(|(&a, b)| a.abs_diff(b) > tolerance);
    let (x, y, found) = a.enumerate_pixels().find(|(x, y, pixel)| far(pixel, b.get_pixel(*x, *y)))?;
    Some(format!("pixel {x},{y} is {:?}, expected {:?}", found.0, b.get_pixel(x, y).0))
}

fn check<C: Ink>(name: &str, screen: &Screen, (width, height): (u32, u32)) {
    let canvas = drawn::<C>(screen, width, height);
    let path = path(&format!("{width}x{height}-{name}"));
    if std::env::var_os("TRM_RENEW_GOLDENS").is_some() {
        trm_pictures::write_png(&path, &canvas.to_image()).unwrap();
    }
    let golden = image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).to_rgb8();
    let tolerance = if C::SHADES { TOLERANCE } else { 0 };
    if let Some(difference) = difference(&canvas.to_image(), &golden, tolerance) {
        panic!("{}: {difference}\nhint: TRM_RENEW_GOLDENS=1 renews it after a wanted change", path.display());
    }
}

fn check_all<C: Ink>(size: (u32, u32), names: &[&str]) {
    for name in names {
        check::<C>(name, &sample::screen(name, None).unwrap(), size);
    }
}

#[test]
fn monochrome_128x64() {
    check_all::<BinaryColor>((128, 64), &sample::NAMES);
}

#[test]
fn colour_240x240() {
    check_all::<Rgb565>((240, 240), &sample::NAMES);
}

#[test]
fn colour_320x240() {
    check_all::<Rgb565>((320, 240), &["idle", "aim", "doubtful", "solving", "solved", "maze-solved", "error"]);
}

#[test]
fn colour_800x480() {
    check_all::<Rgb565>((800, 480), &["aim", "solving", "not-solved", "error"]);
}

#[test]
fn more_colours_look_the_same() {
    let screen = sample::screen("doubtful", None).unwrap();
    let (few, many) = (drawn::<Rgb565>(&screen, 320, 240).to_image(), drawn::<Rgb888>(&screen, 320, 240).to_image());
    assert_eq!(difference(&few, &many, TOLERANCE), None);
}

#[test]
fn other_sizes_of_puzzles() {
    for side in [4, 6] {
        let board = sample::small_sudoku(side).unwrap();
        let solved = sample::answered(&board);
        assert!(solved.kind.task().verify(&board.given, &solved.answer).is_verified(), "{side}");
        let name = format!("sudoku-{side}");
        let screen = sample::screen("solved", Some(&board)).unwrap();
        check::<BinaryColor>(&name, &screen, (128, 64));
        check::<Rgb565>(&name, &screen, (240, 240));
    }
    // The largest maze: the first of the public data set's.
    let puzzles = trm_puzzles::formats::parse("maze", include_bytes!("fixtures/maze-30.txt")).unwrap();
    let board = Board::new(puzzles[0].kind, puzzles[0].grid.clone());
    assert_eq!(board.given.size(), (30, 30));
    let screen = sample::screen("maze-solved", Some(&board)).unwrap();
    check::<BinaryColor>("maze-30", &screen, (128, 64));
    check::<Rgb565>("maze-30", &screen, (240, 240));
}

#[test]
fn the_comparison_can_fail() {
    let screen = sample::screen("solved", None).unwrap();
    let one = drawn::<Rgb565>(&screen, 240, 240).to_image();
    assert_eq!(difference(&one, &one, 0), None);
    let mut other = one.clone();
    other.get_pixel_mut(7, 9).0[1] ^= 0x10;
    assert!(difference(&other, &one, TOLERANCE).unwrap().starts_with("pixel 7,9"));
    let smaller = drawn::<Rgb565>(&screen, 240, 200).to_image();
    assert!(difference(&smaller, &one, TOLERANCE).unwrap().starts_with("size"));
}

#[test]
fn given_answered_and_changed_cells_look_different() {
    let board = sample::sudoku();
    let answered = sample::answered(&board);
    let with = |changed: Vec<usize>| Screen::Solving { board: answered.clone(), changed, step: 1, limit: 16 };
    let as_given = Board::new(answered.kind, answered.answer.clone());
    let given = Screen::Solving { board: as_given, changed: Vec::new(), step: 1, limit: 16 };
    assert_ne!(drawn::<BinaryColor>(&with(Vec::new()), 128, 64), drawn::<BinaryColor>(&given, 128, 64));
    assert_ne!(drawn::<Rgb565>(&with(Vec::new()), 240, 240), drawn::<Rgb565>(&given, 240, 240));
    assert_ne!(drawn::<BinaryColor>(&with(vec![1]), 128, 64), drawn::<BinaryColor>(&with(vec![2]), 128, 64));
}

#[test]
fn odd_sizes_and_bad_data_are_drawn_without_panic() {
    let board = sample::sudoku();
    let wrong_size = board.with_answer(sample::maze().given);
    let empty = image::RgbImage::new(0, 0);
    let one = image::GrayImage::new(1, 1);
    let mut screens: Vec<Screen> = sample::NAMES.iter().map(|name| sample::screen(name, None).unwrap()).collect();
    screens.extend([
        Screen::Aim { preview: trm_firmware_host::display::Preview::Colour(empty), corners: None },
        Screen::Aim {
            preview: trm_firmware_host::display::Preview::Grey(one),
            corners: Some([[f32::NAN, 0.0], [1e30, -1e30], [0.0, 0.0], [f32::INFINITY, 1.0]]),
        },
        Screen::Reading { board: wrong_size, doubtful: vec![usize::MAX], remark: Some("x".repeat(5000)) },
        Screen::Solving { board, changed: vec![999], step: 5, limit: 0 },
        Screen::Error { code: String::new(), text: "漢字 \u{0} \n".to_owned(), hint: String::new() },
    ]);
    for screen in &screens {
        for (width, height) in [(0, 0), (1, 1), (32, 32), (33, 200), (200, 33), (128, 64), (480, 320), (240, 320)] {
            drawn::<BinaryColor>(screen, width, height);
            drawn::<Rgb565>(screen, width, height);
        }
    }
}
