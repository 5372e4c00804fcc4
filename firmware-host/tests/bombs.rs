//! Pictures, paths, settings and devices made to take memory or time are refused within 200 MB and two seconds. Run with
//! `--nocapture`, the tests print what each took.

#![cfg(target_os = "linux")]

#[path = "kiosks/device.rs"]
mod device;
#[path = "../../solver/cli/tests/measured/mod.rs"]
mod measured;

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use image::ImageEncoder as _;
use measured::{Bomb, all, bomb, filled, option, png_checksum, repeated, sparse};
use trm_firmware_host::vision::photo;
use trm_firmware_host::vision::source::{FrameSource as _, MjpegStream, SourceSpec};
use trm_intake::explained;

const TRM_HOST: &str = env!("CARGO_BIN_EXE_trm-host");

/// A PNG of one colour.
fn png(width: u32, height: u32, colour: image::ExtendedColorType, profile: Option<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    if let Some(zeros) = profile {
        encoder.set_icc_profile(vec![0; zeros]).expect("PNGs have profiles");
    }
    let pixels = vec![255; (u64::from(width) * u64::from(height) * u64::from(colour.bits_per_pixel()) / 8) as usize];
    encoder.write_image(&pixels, width, height, colour).expect("encoded");
    bytes
}

/// A PNG with another size in its header, its checksum set right.
fn png_that_says(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(64, 64, image::ExtendedColorType::L8, None);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = png_checksum(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum);
    bytes
}

/// The markers of a grey JPEG of this size, without a pixel.
fn jpeg_that_says(width: u16, height: u16) -> Vec<u8> {
    let [w, h] = [width.to_be_bytes(), height.to_be_bytes()];
    let frame = [0xFF, 0xC0, 0, 11, 8, h[0], h[1], w[0], w[1], 1, 1, 0x11, 0];
    let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0];
    [&[0xFF, 0xD8], frame.as_slice(), &scan, &[0, 0xFF, 0xD9]].concat()
}

fn picture(name: &'static str, file: &'static str, bytes: Vec<u8>, says: &'static str) -> Bomb {
    bomb(&format!("read: {name}"), &format!("read {file}"), says, move |folder| {
        fs::write(folder.join(file), &bytes).expect("written");
    })
}

#[test]
fn photographs() {
    use image::ExtendedColorType::{L8, Rgba16};
    let segment = [&[0xFF, 0xE2, 0xFF, 0xFF], vec![0; 65_533].as_slice()].concat();
    let segments = |count: usize| [&[0xFF, 0xD8], segment.repeat(count).as_slice()].concat();
    let profile = |k: u8, count: u8| {
        [&[0xFF, 0xE2, 0xFF, 0xFF], b"ICC_PROFILE\0".as_slice(), &[k, count], vec![0; 65_519].as_slice()].concat()
    };
    let profiles: Vec<u8> = (1..=255).flat_map(|k| profile(k, 255)).collect();
    all(
        TRM_HOST,
        &[
            picture(
                "a PNG that says 60000x60000",
                "p.png",
                png_that_says(60_000, 60_000),
                "60000x60000 pixels are more than 40 million",
            ),
            picture("a PNG that says 2^31 squared", "p.png", png_that_says(0x7FFF_FFFF, 0x7FFF_FFFF), "hint: "),
            picture(
                "a PNG that says 6000x6000",
                "p.png",
                png_that_says(6_000, 6_000),
                "not a picture that can be read",
            ),
            picture(
                "a PNG with a profile of 400 MB",
                "p.png",
                png(64, 64, L8, Some(400 << 20)),
                "its colour profile takes more than 16777216 bytes",
            ),
            picture(
                "a PNG of 5000x5000 at 16 bits",
                "p.png",
                png(5_000, 5_000, Rgba16, None),
                "its pixels take 200000000 bytes, more than",
            ),
            picture(
                "a JPEG that says 65535x65535",
                "p.jpg",
                jpeg_that_says(65_535, 65_535),
                "65535x65535 pixels are more than 40 million",
            ),
            picture("a JPEG of 48 MB of segments", "p.jpg", segments(733), "not a picture that can be read"),
            picture(
                "a JPEG of 63 MB of segments",
                "p.jpg",
                segments(1_000),
                "bytes are more than the limit of 50331648 of a JPEG",
            ),
            picture(
                "a JPEG of 16 MB of profiles",
                "p.jpg",
                [&[0xFF, 0xD8], profiles.as_slice()].concat(),
                "not a picture that can be read",
            ),
            picture("nothing", "p.jpg", Vec::new(), "not a picture that can be read"),
            bomb(
                "read: a sparse file of 1 TB",
                "read p.png",
                "bytes are more than the limit of 67108864\nhint: ",
                |folder| {
                    sparse(&folder.join("p.png"), 1 << 40);
                },
            ),
            option("read /dev/zero", "67108865 bytes are more than the limit of 67108864\nhint: "),
            option("read /", "read failed"),
        ],
    );
}

#[test]
fn sets_of_photographs_and_readers() {
    let set = |name: &str, file: &str, parts, length, says| {
        filled(&format!("read --eval: {name}"), "read --eval .", file, parts, length, says)
    };
    let reader = |name: &'static str, [before, piece, after]: [&'static str; 3], length, says| {
        bomb(&format!("read --reader: {name}"), "read --reader . p.png", says, move |folder| {
            repeated(&folder.join("manifest.json"), before, piece, after, length);
            fs::write(folder.join("classify.onnx"), "").expect("written");
        })
    };
    let manifest = r#"{"format_version": 1, "name": "n", "size": 4294967295, "classes": ["0"], "graph": {"sha256":
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "bytes": 0}, "training_data": "", "licence": "",
        "producer": ""}"#;
    all(
        TRM_HOST,
        &[
            set(
                "a label of 64 MB",
                "p.dat",
                ["", "0 ", ""],
                64 << 20,
                "bytes are more than the limit of 1048576\nhint: ",
            ),
            set("a label of a million digits", "p.dat", ["a\nb\n", "0\n", ""], 1 << 20, "is no label"),
            set(
                "outlines of 64 MB",
                "outlines.csv",
                ["", "\n", ""],
                64 << 20,
                "bytes are more than the limit of 16777216\nhint: ",
            ),
            set(
                "an outline of a million numbers",
                "outlines.csv",
                ["a\nb", ",0", "\n"],
                16 << 20,
                "line 2 is no outline",
            ),
            reader("a manifest of 1 TB", ["", " ", ""], 33 << 20, "bytes, more than the"),
            reader(
                "a manifest of lists",
                ["{\"a\": [", "[],", "0]}"],
                1 << 20,
                "items are more than the limit of 4096",
            ),
            reader(
                "a manifest a million lists deep",
                ["", "[", ""],
                1_000_000,
                "levels of nesting are more than the limit",
            ),
            reader(
                "pictures of 2^32 squared",
                [manifest, "", ""],
                0,
                "no digit reader: pictures of 4294967295x4294967295",
            ),
        ],
    );
}

#[test]
fn paths_to_drive() {
    let path = |name: &str, parts, length, says| {
        filled(&format!("drive: {name}"), "drive --path p.json --port /nowhere", "p.json", parts, length, says)
    };
    let poses = "{\"status\":\"planned\",\"path\":[";
    all(
        TRM_HOST,
        &[
            path(
                "8 million poses",
                [poses, "[0,0,0],", "[0,0,0]]}"],
                60 << 20,
                "items are more than the limit of 1001000",
            ),
            path(
                "more than 64 MiB",
                [poses, "[0,0,0],", "[0,0,0]]}"],
                65 << 20,
                "bytes are more than the limit of 67108864",
            ),
            path("a million lists deep", [poses, "[", ""], 1_000_000, "levels of nesting are more than the limit"),
            path(
                "a status of 60 MB",
                ["{\"status\":\"", "s", "\",\"path\":[]}"],
                60 << 20,
                "bytes of one text are more",
            ),
            path("a pose of 30 million numbers", [poses, "0,", "0]}"], 60 << 20, "not a path"),
            path("900,000 poses, and one that is none", [poses, "[0,0,0],", "[0,0]]}"], 7_200_000, "not a path"),
            option("drive --path /dev/zero --port /nowhere", "67108865 bytes are more than the limit of 67108864"),
            bomb(
                "drive: zeros without end on stdin",
                "drive --path - --port /nowhere",
                "67108865 bytes are more",
                |folder| {
                    std::os::unix::fs::symlink("/dev/zero", folder.join("endless")).expect("a link");
                },
            )
            .on_stdin("endless"),
        ],
    );
}

#[test]
fn settings() {
    let config = |name: &str, parts, length, says| {
        filled(&format!("kiosk: {name}"), "kiosk --check --config k.toml", "k.toml", parts, length, says)
    };
    all(
        TRM_HOST,
        &[
            config("settings of 64 MB", ["", "#\n", ""], 64 << 20, "bytes are more than the limit of 1048576"),
            config("a million lists deep", ["a = ", "[", ""], 1_000_000, "hint: "),
            config("many tables", ["", "[a.b.c.d.e.f]\n", ""], 1 << 20, "hint: "),
            config("a name of 1 MB", ["", "n", " = 1"], 1 << 20, "hint: "),
            option("kiosk --check --config /dev/zero", "1048577 bytes are more than the limit of 1048576"),
        ],
    );
}

#[test]
fn options() {
    let limit = "is not in ";
    let screen = |size: &'static str, stride: &'static str| {
        let name = format!("display: a screen that says {size}");
        bomb(&name, "display --framebuffer fb0 --sysfs .", "do not lie in", move |folder| {
            fs::create_dir(folder.join("fb0")).expect("a folder");
            for (name, text) in [("virtual_size", size), ("bits_per_pixel", "32"), ("stride", stride)] {
                fs::write(folder.join("fb0").join(name), text).expect("written");
            }
        })
    };
    all(
        TRM_HOST,
        &[
            option("display --size 65535x65535 --png a.png", "32 to 4096 pixels a side"),
            option("display --size 99999999999999999999x1 --png a.png", "32 to 4096 pixels a side"),
            option("display --framebuffer /dev/null --animate 18446744073709551615", limit),
            screen("4294967295,4294967295", "4294967295"),
            screen("16384,16384", "65536"),
            filled(
                "display: a puzzle of 64 MiB of comments",
                "display --grid p.txt --png a.png",
                "p.txt",
                ["", "# c\n", ""],
                64 << 20,
                "lines is more than the limit",
            ),
            option("simulate --panel 65535x65535", "each 1 to 4096"),
            option("simulate --stall 18446744073709551615", limit),
            option("simulate --offline 18446744073709551615", limit),
            option("simulate --drop 1e9", "is not a share from 0 to 1"),
            option("simulate --pose 1e300,0", "within 2,000 km"),
            option("link --soak 4294967295", "4294967295 is not in 1..=1000000"),
            option("link --bench --updates 4294967295", "4294967295 is not in 1..=10000"),
            option("link --bench --timeout 18446744073709551615", limit),
            option("drive --path p.json --patience 18446744073709551615", limit),
        ],
    );
}

#[test]
fn devices_that_boast() {
    let boast = |command: &str, (width, height): (u16, u16), says| {
        let port = device::start("boaster", (width, height));
        let line = format!("{command} --port {}", port.display());
        bomb(&format!("{command}: a panel of {width}x{height}"), &line, says, |folder| {
            fs::write(folder.join("p.json"), r#"{"status":"planned","path":[[0,0,0],[1,0,0]]}"#).expect("written");
        })
    };
    let limit = "pixels, expected 1 to 4096 a side\nhint: correct the capabilities";
    all(
        TRM_HOST,
        &[
            boast("link --bench", (65_535, 65_535), "the device says that its panel has 65535x65535 pixels"),
            boast("link", (65_535, 65_535), limit),
            boast("link --bench", (4_097, 1), limit),
            boast("link --bench", (0, 240), limit),
            boast("drive --path p.json", (65_535, 65_535), limit),
        ],
    );
}

#[test]
fn streams_without_a_picture_end() {
    let noise = |first: &'static [u8], byte: u8| {
        let mut stream = MjpegStream::new("noise", io::Cursor::new(first).chain(io::repeat(byte)));
        explained(&stream.next_frame().expect_err("no picture"))
    };
    for message in
        [noise(b"", 0), noise(b"", 0xFF), noise(b"\xFF\xD8\xFF\xDA\0\x02", 1), noise(b"\xFF\xD8\xFF\xE0", 0xFF)]
    {
        assert!(message.starts_with("noise: no JPEG picture in 671"), "{message}");
        assert!(message.contains("the limit is 67108864\nhint: "), "{message}");
    }
    let raw = "raw:65535x65535:rgb24:/dev/zero".parse::<SourceSpec>().expect("a source").open();
    let message = explained(&raw.err().expect("refused"));
    assert!(message.starts_with("/dev/zero: 65535x65535 pixels, expected 1 to 40 million\nhint: "), "{message}");
}

/// Large honest inputs are read.
#[test]
fn a_picture_of_40_megapixels_is_read() {
    let bytes = png(8_000, 5_000, image::ExtendedColorType::Rgb8, None);
    let picture = photo::from_bytes(&bytes, Path::new("p.png")).expect("readable");
    assert_eq!(picture.dimensions(), (8_000, 5_000));
}
