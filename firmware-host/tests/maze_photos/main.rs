//! Line mazes that are printed, photographed and read; and pictures that are none.
//!
//! `cargo test --release -p trm-firmware-host --test maze_photos -- --ignored --nocapture` prints how many of 1,000 are read.
#![expect(clippy::print_stderr, reason = "figures for whoever looks at the test")]

mod print;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use image::{Rgb, RgbImage};
use print::{Camera, Marks, finger, perfect, photograph, print};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trm_firmware_host::vision::maze::{MazeReader, MazeRefusal};
use trm_firmware_host::vision::photo;
use trm_puzzles::maze::{GOAL, START};

/// Counts of mazes by the way they were read.
#[derive(Debug, Default)]
struct Tally {
    mazes: usize,
    exact: usize,
    wrong: usize,
    refused: BTreeMap<String, usize>,
    milliseconds: Vec<f64>,
}

fn measure(mazes: u64, sides: RangeInclusive<usize>, seed: u64, camera: Camera, with_finger: bool) -> Tally {
    let mut tally = Tally::default();
    for number in 0..mazes {
        let mut rng = ChaCha8Rng::seed_from_u64(seed + number);
        let (rows, cols) = (rng.random_range(sides.clone()), rng.random_range(sides.clone()));
        let marks = Marks::ALL[number as usize % Marks::ALL.len()];
        let mut printed = print(&perfect(rows, cols, &mut rng), marks, &mut rng);
        if with_finger {
            finger(&mut printed.page, &mut rng);
        }
        let picture = photograph(&printed.page, camera, &mut rng);
        let begun = std::time::Instant::now();
        let reading = MazeReader::new().read(&picture);
        tally.milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
        tally.mazes += 1;
        let right = reading.grid.as_ref() == Some(&printed.grid);
        let outcome = match reading.refusal {
            None if right => "exact".to_owned(),
            None => "WRONG".to_owned(),
            Some(refusal) => format!("{refusal:?}"),
        };
        if outcome != "exact" && std::env::var_os("MAZE_PICTURES").is_some() {
            let folder = std::env::temp_dir().join("maze-photos");
            std::fs::create_dir_all(&folder).unwrap();
            picture.save(folder.join(format!("{number}-{outcome}.png"))).unwrap();
            eprintln!(
                "{number}: {rows}x{cols} {marks:?} {outcome} {:?} doubtful {:?}",
                reading.grid.map(|g| g.size()),
                reading.doubtful
            );
        }
        match reading.refusal {
            None if right => tally.exact += 1,
            None => tally.wrong += 1,
            Some(_) => *tally.refused.entry(outcome).or_default() += 1,
        }
    }
    tally
}

#[test]
fn photographed_mazes_are_read_exactly_or_refused() {
    let tally = measure(60, 4..=8, 1, Camera::PHONE, false);
    assert_eq!(tally.wrong, 0, "{tally:?}");
    assert!(tally.exact * 100 >= tally.mazes * 95, "{tally:?}");
}

#[test]
fn bad_photographs_are_rather_refused_than_read_wrongly() {
    let tally = measure(40, 4..=8, 1000, Camera::HARSH, false);
    assert_eq!(tally.wrong, 0, "{tally:?}");
    assert!(tally.exact > 0 && tally.exact < tally.mazes, "neither easy nor hopeless: {tally:?}");
}

#[test]
fn a_finger_on_the_maze_is_noticed() {
    let tally = measure(40, 4..=8, 2000, Camera::PHONE, true);
    assert_eq!(tally.wrong, 0, "{tally:?}");
}

#[test]
#[ignore = "prints figures, takes minutes"]
fn figures() {
    let mazes = std::env::var("MAZES").map_or(1000, |text| text.parse().expect("MAZES is a number"));
    for (what, sides, mazes, camera, with_finger) in [
        ("photographs", 4..=8, mazes, Camera::PHONE, false),
        ("photographs", 9..=14, mazes / 5, Camera::PHONE, false),
        ("photographs", 15..=20, mazes / 10, Camera::PHONE, false),
        ("bad photographs", 4..=8, mazes, Camera::HARSH, false),
        ("a finger on it", 4..=8, mazes / 2, Camera::PHONE, true),
    ] {
        let mut tally = measure(mazes, sides.clone(), 1_000_000, camera, with_finger);
        tally.milliseconds.sort_by(f64::total_cmp);
        let share = |count: usize| 100.0 * count as f64 / tally.mazes as f64;
        println!(
            "{what}, {sides:?} rooms a side: {} mazes, {:.1} % exact, {:.2} % wrong and trusted, {:.0} ms (median), \
             refused: {:?}",
            tally.mazes,
            share(tally.exact),
            share(tally.wrong),
            tally.milliseconds[tally.mazes / 2],
            tally.refused
        );
    }
}

fn maze_page(seed: u64) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    print(&perfect(6, 7, &mut rng), Marks::DotAndRing, &mut rng).page
}

fn refusal(picture: &RgbImage) -> Option<MazeRefusal> {
    MazeReader::new().read(picture).refusal
}

#[test]
fn a_scan_is_read_and_paths_can_be_drawn_on_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let printed = print(&perfect(5, 9, &mut rng), Marks::DotAndRing, &mut rng);
    let reading = MazeReader::new().read(&printed.page);
    assert!(reading.trusted(), "{:?}", reading.refusal);
    assert_eq!(reading.grid.as_ref(), Some(&printed.grid));
    // Start and goal are where they were printed: the dot's middle is black, the ring's is not.
    let brightness = |value| {
        let [x, y] = reading.place_of(printed.grid.find(value).unwrap()).unwrap();
        printed.page.get_pixel(x.round() as u32, y.round() as u32).0[1]
    };
    assert!(brightness(START) < 100 && brightness(GOAL) > 200);
    assert_eq!(reading.place_of(trm_puzzles::Cell::new(11, 0)), None);
    let [[left, top], _, [right, bottom], _] = reading.corners.unwrap();
    assert!(
        (right - left - 9.0 * 40.0).abs() < 3.0 && (bottom - top - 5.0 * 40.0).abs() < 3.0,
        "{:?}",
        reading.corners
    );
}

#[test]
fn pictures_of_something_else_are_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let no_maze = Some(MazeRefusal::NoMaze);
    assert_eq!(refusal(&RgbImage::new(1, 1)), Some(MazeRefusal::TooSmall));
    assert_eq!(refusal(&RgbImage::new(400, 300)), no_maze);
    assert_eq!(refusal(&RgbImage::from_pixel(400, 300, Rgb([250; 3]))), no_maze);
    assert_eq!(refusal(&RgbImage::from_fn(400, 300, |_, _| Rgb(rng.random()))), no_maze);
    // An empty frame, and stripes.
    let frame = |x: u32, y: u32| {
        (50..350).contains(&x) && (50..250).contains(&y) && !((56..344).contains(&x) && (56..244).contains(&y))
    };
    assert_eq!(refusal(&RgbImage::from_fn(400, 300, |x, y| Rgb([if frame(x, y) { 20 } else { 240 }; 3]))), no_maze);
    assert_eq!(refusal(&RgbImage::from_fn(400, 300, |x, _| Rgb([if x % 40 < 5 { 20 } else { 240 }; 3]))), no_maze);
}

#[test]
fn sudokus_are_no_mazes() {
    for name in ["image8.jpg", "image109.jpg"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photos").join(name);
        assert!(refusal(&photo::open(&path).unwrap()).is_some(), "{name}");
    }
}

/// Other photographs: `cargo test … -- --ignored no_photograph` with their folder in `PHOTOS`.
#[test]
#[ignore = "needs PHOTOS, a folder of photographs without mazes"]
fn no_photograph_is_taken_for_a_maze() {
    let folder = std::env::var_os("PHOTOS").expect("PHOTOS is a folder of photographs");
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jpg") {
            let refusal = refusal(&photo::open(&path).unwrap());
            assert!(refusal.is_some(), "{}", path.display());
            *refused.entry(format!("{refusal:?}")).or_default() += 1;
        }
    }
    assert!(!refused.is_empty());
    println!("{refused:?}");
}

#[test]
fn a_maze_that_is_cut_off_is_refused() {
    let page = maze_page(11);
    assert_eq!(refusal(&page), None);
    let (width, height) = page.dimensions();
    for (x, y, w, h) in
        [(0, 0, width * 2 / 3, height), (0, 0, width, height * 2 / 3), (width / 3, 0, width * 2 / 3, height)]
    {
        let cut = image::imageops::crop_imm(&page, x, y, w, h).to_image();
        assert!(refusal(&cut).is_some());
    }
}

#[test]
fn two_mazes_are_refused() {
    let (left, right) = (maze_page(12), maze_page(13));
    let mut both =
        RgbImage::from_pixel(left.width() + right.width(), left.height().max(right.height()), Rgb([250, 248, 240]));
    image::imageops::replace(&mut both, &left, 0, 0);
    image::imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    assert_eq!(refusal(&both), Some(MazeRefusal::SeveralMazes));
}

/// Changes to a printed maze that make it unreadable, each with what is said then.
#[test]
fn what_is_not_clear_cut_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let printed = print(&perfect(6, 6, &mut rng), Marks::DotAndRing, &mut rng);
    let reading = MazeReader::new().read(&printed.page);
    assert_eq!(reading.grid.as_ref(), Some(&printed.grid));
    let place = |cell: trm_puzzles::Cell| reading.place_of(cell).unwrap();
    let paint = |cells: &[trm_puzzles::Cell], reach: f32, shade: u8| {
        let mut page = printed.page.clone();
        for &cell in cells {
            let [x, y] = place(cell);
            for (px, py, pixel) in page.enumerate_pixels_mut() {
                if (px as f32 - x).abs() < reach && (py as f32 - y).abs() < reach {
                    *pixel = Rgb([shade; 3]);
                }
            }
        }
        page
    };
    // Half of an inner wall is gone.
    let wall = printed
        .grid
        .iter()
        .find(|(cell, value)| *value == trm_puzzles::maze::WALL && (cell.row, cell.column % 2) == (4, 1))
        .map(|(cell, _)| cell)
        .unwrap();
    let half = MazeReader::new().read(&paint(&[wall], 9.0, 248));
    assert_eq!((half.refusal, half.doubtful), (Some(MazeRefusal::Doubtful), vec![wall]));
    // The goal, start and goal, or a third mark.
    let (start, goal) = (printed.grid.find(START).unwrap(), printed.grid.find(GOAL).unwrap());
    assert_eq!(refusal(&paint(&[goal], 14.0, 248)), Some(MazeRefusal::NoEnds));
    assert_eq!(refusal(&paint(&[start, goal], 14.0, 248)), Some(MazeRefusal::NoEnds));
    assert_eq!(refusal(&paint(&[start, goal], 9.0, 20)), Some(MazeRefusal::UnknownEnds));
    let empty = printed
        .grid
        .iter()
        .find(|(cell, value)| *value == trm_puzzles::maze::FREE && cell.row % 2 == 1 && cell.column % 2 == 1);
    assert_eq!(refusal(&paint(&[empty.unwrap().0], 7.0, 20)), Some(MazeRefusal::NoEnds));
    // A wall across the only way.
    let mut closed = printed.grid.clone();
    let path = trm_puzzles::maze::shortest_path(&closed).unwrap();
    let door = path
        .iter()
        .find(|(cell, value)| *value == trm_puzzles::maze::PATH && (cell.row + cell.column) % 2 == 1)
        .unwrap()
        .0;
    closed.set(door, trm_puzzles::maze::WALL);
    let page = print(&closed, Marks::DotAndRing, &mut rng).page;
    let reading = MazeReader::new().read(&page);
    assert_eq!((reading.refusal, reading.grid), (Some(MazeRefusal::NoWay), Some(closed)));
}
