//! Framebuffers, on plain files and a folder like the kernel's.

use std::path::{Path, PathBuf};

use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888, RgbColor};
use tempfile::TempDir;
use trm_firmware_host::display::framebuffer::Geometry;
use trm_firmware_host::display::{Canvas, Framebuffer};
use trm_intake::explained;

/// A device of `bytes` bytes, all 0xEE, and what the system says of it.
fn device(entries: &[(&str, &str)], bytes: usize) -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let sysfs = folder.path().join("graphics");
    std::fs::create_dir_all(sysfs.join("fb0")).unwrap();
    for (name, value) in entries {
        std::fs::write(sysfs.join("fb0").join(name), format!("{value}\n")).unwrap();
    }
    let device = folder.path().join("fb0");
    std::fs::write(&device, vec![0xEE; bytes]).unwrap();
    (folder, device, sysfs)
}

/// 4x2 pixels: red, green, blue, white in the upper row, black in the lower.
fn canvas() -> Canvas<Rgb888> {
    let mut canvas = Canvas::new(Size::new(4, 2), Rgb888::BLACK);
    let colours = [Rgb888::RED, Rgb888::GREEN, Rgb888::BLUE, Rgb888::WHITE];
    let Ok(()) = canvas.draw_iter((0..).zip(colours).map(|(x, colour)| Pixel(Point::new(x, 0), colour)));
    canvas
}

#[test]
fn thirty_two_bits_with_a_stride_and_a_screen_in_a_larger_memory() {
    // Two screens of 6x4 in memory, the second is seen; rows are 40 bytes apart.
    let entries =
        [("virtual_size", "6,8"), ("bits_per_pixel", "32"), ("stride", "40"), ("modes", "U:6x4p-60"), ("pan", "0,4")];
    let (_folder, path, sysfs) = device(&entries, 40 * 8);
    let mut framebuffer = Framebuffer::open(&path, &sysfs).unwrap();
    let geometry = Geometry { size: Size::new(6, 4), offset: (0, 4), stride: 40, bytes_per_pixel: 4 };
    assert_eq!(framebuffer.geometry(), geometry);
    framebuffer.show(&canvas()).unwrap();

    let bytes = std::fs::read(&path).unwrap();
    // In the middle: one pixel from the left, one row from the top of the second screen.
    let start = (4 + 1) * 40 + 4;
    let blue_green_red: [u8; 16] = [0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0];
    assert_eq!(bytes[start..start + 16], blue_green_red);
    assert_eq!(bytes[start + 40..start + 56], [0; 16]);
    let untouched = bytes.chunks(4).filter(|pixel| *pixel == [0xEE; 4]).count();
    assert_eq!((bytes.len(), untouched), (320, 80 - 8));
}

#[test]
fn sixteen_bits() {
    let (_folder, path, sysfs) = device(&[("virtual_size", "4,2"), ("bits_per_pixel", "16"), ("stride", "10")], 20);
    Framebuffer::open(&path, &sysfs).unwrap().show(&canvas()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[..10], [0x00, 0xF8, 0xE0, 0x07, 0x1F, 0x00, 0xFF, 0xFF, 0xEE, 0xEE]);
    assert_eq!(bytes[10..], [0, 0, 0, 0, 0, 0, 0, 0, 0xEE, 0xEE]);
}

#[test]
fn monochrome_pictures_are_black_and_white_on_it() {
    let (_folder, path, sysfs) = device(&[("virtual_size", "2,1"), ("bits_per_pixel", "32"), ("stride", "8")], 8);
    let mut canvas = Canvas::new(Size::new(2, 1), BinaryColor::Off);
    let Ok(()) = canvas.draw_iter([Pixel(Point::zero(), BinaryColor::On)]);
    Framebuffer::open(&path, &sysfs).unwrap().show(&canvas).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [255, 255, 255, 0, 0, 0, 0, 0]);
}

#[test]
fn what_cannot_be_drawn_to_is_refused_with_a_hint() {
    let refused = |entries: &[(&str, &str)]| {
        let (_folder, path, sysfs) = device(entries, 8);
        explained(&Framebuffer::open(&path, &sysfs).unwrap_err())
    };
    let message = refused(&[("virtual_size", "8,8"), ("bits_per_pixel", "24"), ("stride", "24")]);
    assert!(message.ends_with(
        "bits_per_pixel: `24`, expected 16 or 32\nhint: only framebuffers of 16 (RGB565) or 32 bits a pixel (XRGB8888) \
         can be drawn to: `fbset -depth 32`"
    ), "{message}");
    assert!(refused(&[("virtual_size", "8;8"), ("bits_per_pixel", "16")]).contains("expected width,height"));
    assert!(refused(&[("virtual_size", "8,8"), ("bits_per_pixel", "-1")]).contains("expected a number"));
    assert!(refused(&[("bits_per_pixel", "16")]).ends_with("virtual_size: read failed"));
    for (size, stride, pan) in [
        ("8,8", "15", "0,0"),
        ("8,8", "16", "1,0"),
        ("0,8", "16", "0,0"),
        ("99999,8", "400000", "0,0"),
        ("8,8", "16", "0,4294967295"),
    ] {
        let message = refused(&[
            ("virtual_size", size),
            ("bits_per_pixel", "16"),
            ("stride", stride),
            ("pan", pan),
            ("modes", if size == "8,8" { "U:8x8p-0" } else { "" }),
        ]);
        assert!(message.contains("do not lie in a memory") && message.contains("\nhint: "), "{message}");
    }
}

#[test]
fn a_picture_larger_than_the_screen_is_refused() {
    let (_folder, path, sysfs) = device(&[("virtual_size", "3,2"), ("bits_per_pixel", "16"), ("stride", "6")], 12);
    let message = explained(&Framebuffer::open(&path, &sysfs).unwrap().show(&canvas()).unwrap_err());
    assert!(message.contains("4x2 pixels does not fit on a screen of 3x2\nhint: "), "{message}");
    assert_eq!(std::fs::read(&path).unwrap(), [0xEE; 12]);
}

#[test]
fn a_device_that_is_not_there_is_not_made() {
    let (_folder, path, sysfs) = device(&[("virtual_size", "3,2"), ("bits_per_pixel", "16"), ("stride", "6")], 12);
    std::fs::remove_file(&path).unwrap();
    assert!(explained(&Framebuffer::open(&path, &sysfs).unwrap_err()).ends_with("fb0: open failed"));
    assert!(!Path::new(&path).exists());
}
