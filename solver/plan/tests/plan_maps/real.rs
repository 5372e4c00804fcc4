//! Maps that robots and benchmarks use. The numbers were counted with Pillow and numpy, by the formulas in fractions.

use std::time::Instant;

use trm_intake::explained;
use trm_plan::map::{FREE, LoadedMap, OCCUPIED, UNKNOWN, scenarios};
use trm_plan::{OccupancyMap, Pose};

use crate::{at, count, fixture, folder_with};

#[test]
fn sandbox_has_the_cells_that_were_counted() {
    let LoadedMap { map, start, goal, metric, note, image } =
        LoadedMap::read(&fixture("tb3_sandbox.yaml")).expect("a map");
    assert_eq!((map.width(), map.height()), (384, 384));
    assert!((map.resolution() - 0.05).abs() < 1e-15);
    assert_eq!(map.origin(), Pose::new(-10.0, -10.0, 0.0));
    assert_eq!(map.frame(), "map");
    assert_eq!((count(&map, OCCUPIED), count(&map, FREE), count(&map, UNKNOWN)), (870, 7903, 138_683));
    assert_eq!((start, goal, metric, note), (None, None, true, None));
    assert_eq!(image, Some(fixture("tb3_sandbox.pgm")));
    // The first and the last black pixel, line by line from the top: (178, 132) and (221, 236). Mirrored, neither is.
    assert_eq!((at(&map, 178, 251), at(&map, 178, 132)), (OCCUPIED, UNKNOWN));
    assert_eq!((at(&map, 221, 147), at(&map, 221, 236)), (OCCUPIED, FREE));
    // In metres: the cell of column 178 and row 251 has its centre there.
    let cell = map.cell_at(-10.0 + 178.5 * 0.05, -10.0 + 251.5 * 0.05).expect("on the map");
    assert_eq!(map.get(cell), Some(OCCUPIED));
}

#[test]
fn depot_says_that_its_unmapped_space_is_free() {
    let LoadedMap { map, note, .. } = LoadedMap::read(&fixture("depot.yaml")).expect("a map");
    assert_eq!((map.width(), map.height()), (604, 307));
    assert_eq!(map.origin(), Pose::default());
    assert_eq!((count(&map, OCCUPIED), count(&map, FREE), count(&map, UNKNOWN)), (5_947, 179_481, 0));
    // The first black pixel from the top left is (157, 0).
    assert_eq!((at(&map, 157, 306), at(&map, 157, 0)), (OCCUPIED, FREE));
    let note = explained(&note.expect("a note"));
    assert!(note.contains("depot.yaml: 8894 pixels of the grey 205"), "{note}");
    assert!(note.contains("count as free, as in nav2: free_thresh 0.25 is above 0.196"), "{note}");
    assert!(note.contains("\nhint: where unmapped space is not free, set free_thresh: 0.196"), "{note}");
}

#[test]
fn arena_has_its_first_row_on_top() {
    let map = OccupancyMap::read(&fixture("arena.map")).expect("a map");
    assert_eq!((map.width(), map.height()), (49, 49));
    assert_eq!((count(&map, OCCUPIED), count(&map, FREE)), (347, 2054));
    // Row 1 from the top is TTT............TTTT.TTT...TTTT.TTTT, row 47 TTT............TTTT.TTTT..TTTT.TTTT.
    assert_eq!((at(&map, 23, 47), at(&map, 23, 1)), (FREE, OCCUPIED));
    assert!((map.resolution() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn scenarios_are_places_on_their_map() {
    let map = OccupancyMap::read(&fixture("arena.map")).expect("a map").with_resolution(0.5).expect("a size");
    let scenarios = scenarios(&fixture("arena.map.scen"), &map).expect("scenarios");
    assert_eq!(scenarios.len(), 160);
    // Line 4: 0 maps/dao/arena.map 49 49 1 13 4 12 3.41421
    let third = scenarios[2];
    assert_eq!(third.line, 4);
    assert_eq!(third.start, Pose::new(0.75, (49.0 - 13.5) * 0.5, 0.0));
    assert_eq!(third.goal, Pose::new(2.25, (49.0 - 12.5) * 0.5, 0.0));
    assert!((third.octile_length - 3.41421 * 0.5).abs() < 1e-12);
    for scenario in &scenarios {
        // No way is shorter than the straight line; the file has six digits.
        assert!(scenario.octile_length > scenario.start.distance(&scenario.goal) - 1e-4, "{scenario:?}");
    }
}

#[test]
fn scenarios_of_another_map_are_refused() {
    let map = OccupancyMap::read(&fixture("tb3_sandbox.yaml")).expect("a map");
    let message = explained(&scenarios(&fixture("arena.map.scen"), &map).expect_err("refused"));
    assert!(message.contains("arena.map.scen:2: the scenario is for a map of 49x49 cells"), "{message}");
    assert!(message.contains("tb3_sandbox.yaml has 384x384"), "{message}");

    let map = OccupancyMap::read(&fixture("arena.map")).expect("a map");
    let refused = |line: &str| {
        let (_folder, path) = folder_with("a.scen", format!("version 1\n{line}\n"));
        explained(&scenarios(&path, &map).expect_err("refused"))
    };
    let message = refused("0\tm\t49\t49\t1\t11\t0\t0\t5");
    assert!(message.contains("a.scen:2: its goal, column 0 row 0 from the top left, is no free cell"), "{message}");
    let message = refused("0\tm\t49\t49\t70\t11\t1\t11\t5");
    assert!(message.contains("its start, column 70 row 11 from the top left, is no free cell"), "{message}");
    let message = refused("0\tm\t49\t49\t1\t70\t1\t11\t5");
    assert!(message.contains("its start, column 1 row 70"), "{message}");
    let message = refused("0\tm\t49\t49\t1\t11\t1\t12\tNaN");
    assert!(message.contains("its optimal length is NaN"), "{message}");
    assert!(refused("0\tm\t49\t49\t1\t11").contains("expected nine fields"));
}

/// Prints how long a warehouse of 1006 x 1674 cells takes to read, in each form.
#[test]
#[ignore = "measures"]
fn reading_a_warehouse_takes() {
    let (width, height) = (1006, 1674);
    let wall = |x: usize, y: usize| x % 40 < 2 && y % 60 > 8;
    let values = (0..width * height).map(|i| if wall(i % width, i / width) { OCCUPIED } else { FREE }).collect();
    let map = OccupancyMap::new("warehouse", (width, height), 0.05, Pose::default(), values).expect("a map");
    let (folder, yaml) = folder_with("pgm.yaml", "");
    map.write_map_server(&yaml).expect("written");
    let image = image::open(yaml.with_extension("pgm")).expect("an image");
    let settings = std::fs::read_to_string(&yaml).expect("a yaml");
    for (name, image) in [("png", image.clone()), ("rgba", image.to_rgba8().into())] {
        image.save(folder.path().join(format!("{name}.png"))).expect("an image");
        let settings = settings.replace("pgm.pgm", &format!("{name}.png"));
        std::fs::write(folder.path().join(format!("{name}.yaml")), settings).expect("a yaml");
    }
    let list = |separator: &str| map.values().iter().map(i8::to_string).collect::<Vec<_>>().join(separator);
    let origin = r#"{"position":{"x":0,"y":0},"orientation":{"x":0,"y":0,"z":0,"w":1}}"#;
    let info = format!(r#"{{"resolution":0.05,"width":{width},"height":{height},"origin":{origin}}}"#);
    let json = format!(r#"{{"info":{info},"data":[{}]}}"#, list(","));
    std::fs::write(folder.path().join("grid.json"), json).expect("a file");
    let echo = format!("info: {info}\ndata:\n- {}\n---\n", list("\n- "));
    std::fs::write(folder.path().join("echo.yaml"), echo).expect("a file");
    for name in ["pgm.yaml", "png.yaml", "rgba.yaml", "grid.json", "echo.yaml"] {
        let path = folder.path().join(name);
        let begun = Instant::now();
        let read = OccupancyMap::read(&path).expect("a map");
        println!("{name}: {width}x{height} cells in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        if name != "rgba.yaml" {
            assert!(read.values() == map.values(), "{name}");
        }
    }
}
