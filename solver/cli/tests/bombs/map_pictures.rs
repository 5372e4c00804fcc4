//! Maps of ROS' `map_server` for `trm plan`: pictures that say too much of themselves.

use super::measured::{all, bomb, png_checksum, repeated, sparse};
use super::{LONGEST, TRM, write};

/// A chunk of a PNG with its checksum.
fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [kind.as_slice(), data].concat();
    [&(data.len() as u32).to_be_bytes(), checked.as_slice(), &png_checksum(&checked)].concat()
}

/// A grey PNG that says it has so many pixels, and brings no more than a few.
fn png(width: u32, height: u32, before_pixels: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes(), height.to_be_bytes().as_slice(), &[8, 0, 0, 0, 0]].concat();
    let signature = b"\x89PNG\r\n\x1a\n".as_slice();
    // A stream of zlib with one empty block.
    let pixels = chunk(*b"IDAT", &[0x78, 0x01, 0x01, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1]);
    [signature, &chunk(*b"IHDR", &header), before_pixels, &pixels, &chunk(*b"IEND", &[])].concat()
}

/// A PNG of 64x64 grey pixels with a colour profile of so many zeros.
fn png_with_profile(zeros: usize) -> Vec<u8> {
    use image::ImageEncoder as _;
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(vec![0; zeros]).expect("PNGs have profiles");
    encoder.write_image(&[255; 64 * 64], 64, 64, image::ExtendedColorType::L8).expect("encoded");
    bytes
}

const YAML: &str = "resolution: 0.05\norigin: [0, 0, 0]\nnegate: 0\noccupied_thresh: 0.65\nfree_thresh: 0.196\n";

#[test]
fn pictures_of_maps() {
    let picture = |name: &'static str, image: &'static str, bytes: Vec<u8>, says| {
        bomb(&format!("plan: {name}"), "plan --map m.yaml --start 1,1 --goal 2,2", says, move |folder| {
            write(folder, "m.yaml", format!("image: {image}\n{YAML}"));
            write(folder, image, &bytes);
        })
    };
    let bmp = |width: i32, height: i32| {
        let mut header = vec![0_u8; 54];
        header[..2].copy_from_slice(b"BM");
        header[10] = 54;
        header[14] = 40;
        header[18..22].copy_from_slice(&width.to_le_bytes());
        header[22..26].copy_from_slice(&height.to_le_bytes());
        (header[26], header[28]) = (1, 24);
        header
    };
    let texts: Vec<u8> = (0..20_000).flat_map(|_| chunk(*b"tEXt", b"a\0b")).collect();
    all(
        TRM,
        &[
            picture(
                "a PNG that says 60000x60000",
                "m.png",
                png(60_000, 60_000, &[]),
                "60000x60000 cells are more than the limit",
            ),
            picture("a PNG that says 2^31 squared", "m.png", png(0x7FFF_FFFF, 0x7FFF_FFFF, &[]), "hint: "),
            picture("a PNG of 5000x5000 without pixels", "m.png", png(5_000, 5_000, &[]), "cannot be decoded"),
            picture(
                "a PNG with a profile of 400 MB",
                "m.png",
                png_with_profile(400 << 20),
                "its colour profile takes more than 16777216 bytes",
            ),
            picture("a PNG with 20,000 texts", "m.png", png(64, 64, &texts), "more than 10000 chunks"),
            picture(
                "a PNG with a text of 32 MB",
                "m.png",
                png(64, 64, &chunk(*b"tEXt", &vec![b'a'; 32 << 20])),
                "cannot be decoded",
            ),
            picture(
                "a pgm that says 10^9 squared",
                "m.pgm",
                b"P5\n1000000000 1000000000\n255\n".to_vec(),
                "cells are more than the limit",
            ),
            picture(
                "a pgm that says 10^30",
                "m.pgm",
                b"P5\n1000000000000000000000000000000 1\n255\n".to_vec(),
                "cannot be decoded",
            ),
            picture(
                "a pgm of 5000x5000 without pixels",
                "m.pgm",
                b"P5\n5000 5000\n255\n".to_vec(),
                "cannot be decoded",
            ),
            picture(
                "a bmp that says 65000x65000",
                "m.bmp",
                bmp(65_000, 65_000),
                "65000x65000 cells are more than the limit",
            ),
            picture("a bmp of -2^31 rows", "m.bmp", bmp(5, i32::MIN), "hint: "),
            picture("a bmp of 5000x5000 without pixels", "m.bmp", bmp(5_000, 5_000), "cannot be decoded"),
            bomb(
                "plan: a pgm with a comment of 64 MB",
                "plan --map m.yaml --start 1,1 --goal 2,2",
                "its header takes more than 65536 bytes\nhint: ",
                |folder| {
                    write(folder, "m.yaml", format!("image: m.pgm\n{YAML}"));
                    repeated(&folder.join("m.pgm"), "P5\n#", "c", "\n5000 5000\n255\n", LONGEST);
                },
            ),
            bomb(
                "plan: a sparse pgm of 1 TB",
                "plan --map m.yaml --start 1,1 --goal 2,2",
                "bytes are more than the limit of 134217728",
                |folder| {
                    write(folder, "m.yaml", format!("image: m.pgm\n{YAML}"));
                    write(folder, "m.pgm", "P5\n");
                    sparse(&folder.join("m.pgm"), 1 << 40);
                },
            ),
        ],
    );
}
