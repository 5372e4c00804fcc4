//! Pixels by nav2's formulas. The images are Pillow's; what is expected was computed in fractions, at the thresholds
//! 0.65 and 0.196.

use std::fs;
use std::path::Path;

use trm_plan::map::LoadedMap;

use crate::{fixture, folder_with};

const MODES: [&str; 3] = ["trinary", "scale", "raw"];

fn settings(image: &Path, mode: &str, negate: &str) -> String {
    format!(
        "image: {}\nmode: {mode}\nresolution: 0.1\norigin: [1, 2, 0.5]\nnegate: {negate}\noccupied_thresh: 0.65\n\
         free_thresh: 0.196\n",
        image.display()
    )
}

/// The values of an image of one row; the image is named by its absolute path.
fn values(image: &Path, mode: &str, negate: &str) -> Vec<i8> {
    let (_folder, yaml) = folder_with("map.yaml", settings(image, mode, negate));
    LoadedMap::read(&yaml).expect("a map").map.values().to_vec()
}

/// `expected`: trinary, scale, raw; the same negated.
fn check(name: &str, expected: [&[i8]; 6]) {
    let image = fixture("pixels").join(name);
    for (index, expected) in expected.into_iter().enumerate() {
        let (mode, negate) = (MODES[index % 3], ["0", "1"][index / 3]);
        assert_eq!(values(&image, mode, negate), expected, "{name}, {mode}, negate {negate}");
    }
}

#[test]
fn greys_of_8_bits() {
    // 0 1 50 88 89 90 100 101 127 128 164 165 166 200 204 205 206 254 255
    for name in ["grey8.png", "grey8.bmp"] {
        check(
            name,
            [
                &[100, 100, 100, 100, 100, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0],
                &[100, 100, 100, 100, 100, 99, 91, 90, 67, 67, 35, 35, 34, 4, 1, 0, 0, 0, 0],
                &[0, 1, 50, 88, 89, 90, 100, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
                &[0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 100, 100, 100, 100, 100, 100, 100],
                &[0, 0, 0, 33, 34, 35, 43, 44, 67, 67, 98, 99, 100, 100, 100, 100, 100, 100, 100],
                &[0, 1, 50, 88, 89, 90, 100, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1],
            ],
        );
    }
}

#[test]
fn greys_of_16_bits_are_not_rounded_to_8() {
    // 0 257 12850 13106 22937 22938 32896 52690 52691 65535: both thresholds lie within a step of 8 bits.
    check(
        "grey16.png",
        [
            &[100, 100, 100, 100, 100, -1, -1, -1, 0, 0],
            &[100, 100, 100, 100, 100, 100, 67, 0, 0, 0],
            &[0, 1, 50, 51, 89, 89, -1, -1, -1, -1],
            &[0, 0, -1, -1, -1, -1, -1, 100, 100, 100],
            &[0, 0, 0, 1, 34, 34, 67, 100, 100, 100],
            &[0, 1, 50, 51, 89, 89, -1, -1, -1, -1],
        ],
    );
}

#[test]
fn grey_with_alpha() {
    // (0,255) (0,128) (0,0) (90,255) (128,254) (205,255) (205,0) (255,255) (255,128) (255,0)
    check(
        "grey8_alpha.png",
        [
            &[100, -1, -1, -1, -1, -1, -1, 0, -1, -1],
            &[100, -1, -1, 99, -1, 0, -1, 0, -1, -1],
            &[0, 0, 0, 90, -1, -1, -1, -1, -1, -1],
            &[0, -1, -1, -1, -1, 100, -1, 100, -1, -1],
            &[0, -1, -1, 35, -1, 100, -1, 100, -1, -1],
            &[0, 0, 0, 90, -1, -1, -1, -1, -1, -1],
        ],
    );
}

#[test]
fn dark_pixels_of_which_none_is_occupied_are_said() {
    let note = |settings: String| {
        let (_folder, yaml) = folder_with("map.yaml", settings);
        LoadedMap::read(&yaml).expect("a map").note
    };
    let (_folder, path) = folder_with("map.pgm", b"P5 4 1 255\n\x28\x28\xff\xff");
    let strict = settings(&path, "trinary", "0").replace("0.65", "0.9");
    let found = note(strict).expect("a note");
    assert!(found.what.ends_with("nothing is occupied, although 2 pixels are dark"), "{found:?}");
    assert!(found.hint.as_deref().is_some_and(|hint| hint.starts_with("occupied_thresh 0.9 asks")), "{found:?}");
    assert_eq!(note(settings(&path, "trinary", "0")), None);
    assert_eq!(note(settings(&path, "raw", "0")), None);
}

#[test]
fn colours_count_by_their_mean() {
    // red, cyan, (10,20,31), black, white, blue, (250,120,30)
    for name in ["rgb8.png", "palette.png"] {
        check(
            name,
            [
                &[100, -1, 100, 100, 0, 100, -1],
                &[100, 30, 100, 100, 0, 100, 62],
                &[85, -1, 20, 0, -1, 85, -1],
                &[-1, 100, 0, 0, 100, -1, -1],
                &[30, 100, 0, 0, 100, 30, 72],
                &[85, -1, 20, 0, -1, 85, -1],
            ],
        );
    }
}

#[test]
fn colours_with_alpha() {
    // red, black, black (alpha 100), white (alpha 0), (10,20,31)
    check(
        "rgba8.png",
        [
            &[100, 100, -1, -1, 100],
            &[100, 100, -1, -1, 100],
            &[85, 0, 0, -1, 20],
            &[-1, 0, -1, -1, 0],
            &[30, 0, -1, -1, 0],
            &[85, 0, 0, -1, 20],
        ],
    );
    // black, white of which all shines through, 205: transparency of a palette is alpha as well.
    check(
        "palette_transparent.png",
        [&[100, -1, -1], &[100, -1, 0], &[0, -1, -1], &[0, -1, 100], &[0, -1, 100], &[0, -1, -1]],
    );
}

#[test]
fn pgm_in_its_four_forms_and_one_bit() {
    let expected = |mode| values(&fixture("pixels/grey8.png"), mode, "0");
    let greys = [0_u8, 1, 50, 88, 89, 90, 100, 101, 127, 128, 164, 165, 166, 200, 204, 205, 206, 254, 255];
    let ascii = |scale: u16| greys.map(|grey| (u16::from(grey) * scale).to_string()).join("\n");
    let images: [Vec<u8>; 4] = [
        [b"P5\n# CREATOR: a test\n19 1\n255\n".as_slice(), &greys].concat(),
        [b"P5 19 1 65535\n".as_slice(), &greys.map(|grey| [grey, grey]).concat()].concat(),
        format!("P2\n# by hand\n19 1\n255\n{}\n", ascii(1)).into_bytes(),
        format!("P2\n19 1\n65535\n{}\n", ascii(257)).into_bytes(),
    ];
    for image in images {
        let (_folder, path) = folder_with("map.pgm", &image);
        for mode in MODES {
            assert_eq!(values(&path, mode, "0"), expected(mode), "{mode}: {}", String::from_utf8_lossy(&image[..20]));
        }
    }
    // 100 as the brightest: 35 is 0.65 black, 36 less.
    let (_folder, path) = folder_with("map.pgm", b"P5 5 1 100\n\x00\x22\x24\x50\x64");
    assert_eq!(values(&path, "trinary", "0"), [100, 100, -1, -1, 0]);
    assert_eq!(values(&fixture("pixels/grey1.png"), "trinary", "0"), [100, 0, 100, 0, 0]);
}

#[test]
fn rows_run_bottom_up_in_every_kind_of_image() {
    // The top row is black and white, the bottom row white and white.
    let grey = image::GrayImage::from_raw(2, 2, vec![0, 255, 255, 255]).expect("an image");
    let grey = image::DynamicImage::from(grey);
    for (name, image) in [("l8", grey.clone()), ("rgb8", grey.to_rgb8().into()), ("l16", grey.to_luma16().into())] {
        let (_folder, path) = folder_with("map.png", "");
        image.save(&path).expect("saved");
        assert_eq!(values(&path, "trinary", "0"), [0, 0, 100, 0], "{name}");
    }
}

#[test]
fn a_pixel_on_a_threshold_is_occupied_or_free() {
    // Negated, 51 and 153 of 255 are exactly 0.2 and 0.6 occupied; 50 and 154 lie beyond.
    let (_folder, path) = folder_with("map.pgm", b"P5 4 1 255\n\x32\x33\x99\x9a");
    for (mode, expected) in [("trinary", [0, 0, 100, 100]), ("scale", [0, 0, 100, 100])] {
        let settings = settings(&path, mode, "1").replace("0.65", "0.6").replace("0.196", "0.2");
        let (_folder, yaml) = folder_with("map.yaml", settings);
        assert_eq!(LoadedMap::read(&yaml).expect("a map").map.values(), expected, "{mode}");
    }
}

#[test]
fn negate_is_a_number_or_a_truth_value() {
    let (_folder, path) = folder_with("map.pgm", b"P5 2 1 255\n\x00\xff");
    for yes in ["1", "2", "-1", "true", "True", "yes", "on", "y", "'1'"] {
        assert_eq!(values(&path, "trinary", yes), [0, 100], "{yes}");
    }
    for no in ["0", "false", "FALSE", "no", "off", "n", "\"0\""] {
        assert_eq!(values(&path, "trinary", no), [100, 0], "{no}");
    }
    for mode in ["Trinary", "SCALE", "'scale'", "trinary # as saved"] {
        assert_eq!(values(&path, mode, "0"), [100, 0], "{mode}");
    }
}

#[test]
fn mode_may_be_left_out_and_other_keys_mean_nothing() {
    let (folder, path) = folder_with("sub.pgm", b"P5 2 1 255\n\x00\xcd");
    let images = folder.path().join("images");
    fs::create_dir(&images).expect("a folder");
    fs::rename(&path, images.join("sub.pgm")).expect("moved");
    let yaml = folder.path().join("map.yml");
    let settings = "# saved by slam\nimage: images/sub.pgm\nresolution: 5.0e-2\norigin: [-1.5, 2, 1.5707963267948966]\n\
                    negate: 0\noccupied_thresh: '0.65'\nfree_thresh: 0.196\nslam: {loops: 3}\n";
    fs::write(&yaml, settings).expect("a yaml");
    let map = LoadedMap::read(&yaml).expect("a map").map;
    assert_eq!(map.values(), [100, -1]);
    assert_eq!(map.source(), yaml.display().to_string());
    // A quarter turn: the map's x axis is the frame's y axis.
    let (x, y) = map.to_frame(2.0, 0.0);
    assert!((x + 1.5).abs() < 1e-12 && (y - 2.1).abs() < 1e-12, "{x} {y}");
}
