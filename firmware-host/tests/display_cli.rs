//! `trm-host display`.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::{Command, Output};

fn display(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trm-host")).arg("display").args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_puzzle_from_a_file_becomes_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let (puzzle, png) = (folder.path().join("puzzle.txt"), folder.path().join("out.png"));
    std::fs::write(&puzzle, "1...\n..3.\n.4..\n...2\n").unwrap();
    let output = display(&["--size", "240x240", "--screen", "solved", "--grid", text(&puzzle), "--png", text(&png)]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/display/240x240-sudoku-4.png");
    let (picture, golden) = (image::open(&png).unwrap().to_rgb8(), image::open(golden).unwrap().to_rgb8());
    assert_eq!(picture.dimensions(), golden.dimensions());
    let worst = picture.as_raw().iter().zip(golden.as_raw()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(8), "{worst:?}");
}

#[test]
fn the_sheet_of_the_readme_is_what_the_command_makes() {
    let folder = tempfile::tempdir().unwrap();
    let png = folder.path().join("sheet.png");
    assert!(display(&["--sheet", text(&png)]).status.success());
    let bytes = std::fs::metadata(&png).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/display.png");
    let (made, committed) = (image::open(&png).unwrap().to_rgb8(), image::open(committed).unwrap().to_rgb8());
    assert_eq!(made.dimensions(), committed.dimensions());
    let off = made.as_raw().iter().zip(committed.as_raw()).filter(|(a, b)| a.abs_diff(**b) > 24).count();
    // A colour that is kept on one machine and not on another moves a few pixels.
    assert!(
        off * 1000 < made.as_raw().len(),
        "{off} values differ\nhint: `trm-host display --sheet docs/images/display.png`"
    );
}

#[test]
fn a_framebuffer_shows_a_screen_of_its_own_size() {
    let folder = tempfile::tempdir().unwrap();
    let (device, sysfs) = (folder.path().join("fb1"), folder.path().join("fb"));
    std::fs::create_dir_all(sysfs.join("fb1")).unwrap();
    for (name, value) in [("virtual_size", "320,240"), ("bits_per_pixel", "16"), ("stride", "640")] {
        std::fs::write(sysfs.join("fb1").join(name), value).unwrap();
    }
    std::fs::write(&device, vec![0xEE; 640 * 240]).unwrap();
    let arguments = ["--screen", "error", "--framebuffer", text(&device), "--sysfs", text(&sysfs)];
    assert!(display(&arguments).status.success());
    let bytes = std::fs::read(&device).unwrap();
    assert_eq!(bytes.len(), 640 * 240);
    assert!(!bytes.chunks(2).any(|pixel| pixel == [0xEE, 0xEE]));
}

#[test]
fn what_cannot_be_done_is_said() {
    let refused = |arguments: &[&str]| {
        let output = display(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, message) = refused(&["--size", "0x9", "--png", "x.png"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("expected a size such as 240x240"), "{message}");
    let (code, message) = refused(&["--framebuffer", "/nowhere/fb7", "--sysfs", "/nowhere"]);
    assert_eq!(code, Some(3));
    assert!(message.starts_with("error: /nowhere/fb7/virtual_size: read failed: "), "{message}");
    let (code, message) = refused(&["--screen", "nothing", "--png", "x.png"]);
    assert_eq!(code, Some(2));
    assert!(message.contains("maze-solved"), "{message}");
    assert_eq!(refused(&[]).0, Some(2));
    let folder = tempfile::tempdir().unwrap();
    let (puzzle, png) = (folder.path().join("puzzle.txt"), folder.path().join("out.png"));
    // Nothing fits into the upper right corner.
    std::fs::write(&puzzle, "123.\n....\n...4\n....\n").unwrap();
    let (code, message) = refused(&["--screen", "solved", "--grid", text(&puzzle), "--png", text(&png)]);
    assert_eq!(code, Some(2));
    assert!(message.starts_with("error: no answer was found to the puzzle\nhint: "), "{message}");
    assert!(!png.exists());
}
