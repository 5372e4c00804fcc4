//! Line mazes that are printed, photographed and read; and pictures that are none.
//!
//! `cargo test --release -p trm-firmware-host --test maze_photos -- --ignored --nocapture` prints how many of 1,000 are read.

mod print;

use std::collections::BTreeMap;
use std::path::Path;

use image::{Rgb, RgbImage};
use print::{Camera, Marks, perfect, photograph, print};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trm_firmware_host::vision::maze::{MazeReader, MazeRefusal};
use trm_firmware_host::vision::photo;
use trm_puzzles::maze::{GOAL, START};

/// How many of a number of mazes were read how.
#[derive(Debug, Default)]
struct Tally {
    mazes: usize,
    exact: usize,
    wrong: usize,
    refused: BTreeMap<String, usize>,
    milliseconds: f64,
}

fn measure(mazes: u64, sides: std::ops::RangeInclusive<usize>, seed: u64, camera: Camera) -> Tally {
    let mut tally = Tally::default();
    for number in 0..mazes {
        let mut rng = ChaCha8Rng::seed_from_u64(seed + number);
        let (rows, cols) = (rng.random_range(sides.clone()), rng.random_range(sides.clone()));
        let marks = Marks::ALL[number as usize % Marks::ALL.len()];
        let printed = print(&perfect(rows, cols, &mut rng), marks, &mut rng);
        let picture = photograph(&printed.page, camera, &mut rng);
        let begun = std::time::Instant::now();
        let reading = MazeReader::new().read(&picture);
        tally.milliseconds += begun.elapsed().as_secs_f64() * 1e3 / mazes as f64;
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
            eprintln!("{number}: {rows}x{cols} {marks:?} {outcome} {:?} doubtful {:?}", reading.grid.map(|g| g.size()), reading.doubtful);
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
    let tally = measure(60, 4..=8, 1, Camera::PHONE);
    assert_eq!(tally.wrong, 0, "{tally:?}");
    assert!(tally.exact * 100 >= tally.mazes * 90, "{tally:?}");
}

#[test]
#[ignore = "prints figures, takes minutes"]
fn figures() {
    for (sides, mazes) in [(4..=8, 1000), (9..=14, 200), (15..=20, 100)] {
        let tally = measure(mazes, sides.clone(), 1_000_000, Camera::PHONE);
        let share = |count: usize| 100.0 * count as f64 / tally.mazes as f64;
        println!(
            "{sides:?} rooms a side: {} mazes, {:.1} % exact, {:.2} % wrong and trusted, {:.0} ms each; refused: {:?}",
            tally.mazes,
            share(tally.exact),
            share(tally.wrong),
            tally.milliseconds,
            tally.refused
        );
    }
}
