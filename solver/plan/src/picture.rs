//! Pictures of maps with a path.

use image::{Rgb, RgbImage};

use super::Pose;
use super::map::{MapCell, UNKNOWN};
use super::report::PlannedPath;
use super::terrain::Terrain;

/// Longest side that a picture of a small map aims for, in pixels; large maps have a pixel a cell.
const TARGET_SIDE: usize = 800;
/// Most pixels along a side of a cell.
const MAX_CELL: usize = 24;

const FREE: Rgb<u8> = Rgb([255, 255, 255]);
const OBSTACLE: Rgb<u8> = Rgb([33, 37, 41]);
const UNKNOWN_SPACE: Rgb<u8> = Rgb([173, 181, 189]);
const INFLATION: Rgb<u8> = Rgb([255, 216, 168]);
/// Ground that costs no end; what costs less is on the way to it from white.
const DEAR: Rgb<u8> = Rgb([232, 89, 12]);
const FORBIDDEN: Rgb<u8> = Rgb([230, 153, 190]);
const NETWORK: Rgb<u8> = Rgb([25, 113, 194]);
const FALLBACK: Rgb<u8> = Rgb([224, 49, 49]);
const START: Rgb<u8> = Rgb([47, 158, 68]);
const GOAL: Rgb<u8> = Rgb([156, 54, 181]);

/// Draws the map with its inflation and, if there is one, the path: blue where the network found it, red where the
/// fallback or exact search did; the start green, the goal violet. Dear ground is shaded orange, forbidden ground pink. The map's y axis points up.
#[must_use]
pub fn picture(terrain: &Terrain, path: Option<&PlannedPath>, start: Pose, goal: Pose) -> RgbImage {
    let map = terrain.map();
    let cell = (TARGET_SIDE / map.width().max(map.height())).clamp(1, MAX_CELL);
    let mut picture = RgbImage::from_fn((map.width() * cell) as u32, (map.height() * cell) as u32, |x, y| {
        let at = MapCell { x: x as usize / cell, y: map.height() - 1 - y as usize / cell };
        match map.get(at) {
            _ if terrain.free_space().is_free(at) => terrain.costs().map_or(FREE, |costs| shade(costs.weight(at))),
            Some(UNKNOWN) => UNKNOWN_SPACE,
            Some(value) if terrain.robot().is_obstacle(value) => OBSTACLE,
            _ if terrain.costs().is_some_and(|costs| costs.is_forbidden(at)) => FORBIDDEN,
            _ => INFLATION,
        }
    });
    let pixel = |x: f64, y: f64| {
        let (column, row) = map.to_cells(x, y);
        (column * cell as f64, (map.height() as f64 - row) * cell as f64)
    };
    let thin = (cell as f64 / 5.0).max(1.0);
    if let Some(path) = path {
        for (pair, &network) in path.poses.windows(2).zip(&path.by_network) {
            let (a, b) = (pixel(pair[0].x, pair[0].y), pixel(pair[1].x, pair[1].y));
            line(&mut picture, a, b, thin, if network { NETWORK } else { FALLBACK });
        }
    }
    for (pose, colour) in [(start, START), (goal, GOAL)] {
        if pose.is_finite() {
            dot(&mut picture, pixel(pose.x, pose.y), 2.5 * thin, colour);
        }
    }
    picture
}

/// A picture of grey values of cells, the bottom row first: a layer for [`Layer`](crate::learned::Layer) to read.
#[must_use]
pub fn grey_picture(width: usize, greys: &[u8]) -> RgbImage {
    let height = greys.len() / width.max(1);
    RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let grey = greys[(height - 1 - y as usize) * width + x as usize];
        Rgb([grey; 3])
    })
}

/// The colour of ground on which a metre costs so many.
fn shade(weight: f64) -> Rgb<u8> {
    let dear = 1.0 - 1.0 / weight.max(1.0);
    let mix = |free: u8, dear_colour: u8| (f64::from(free) + dear * (f64::from(dear_colour) - f64::from(free))) as u8;
    Rgb([0, 1, 2].map(|channel| mix(FREE.0[channel], DEAR.0[channel])))
}

fn line(picture: &mut RgbImage, a: (f64, f64), b: (f64, f64), radius: f64, colour: Rgb<u8>) {
    let points = ((a.0 - b.0).hypot(a.1 - b.1) * 2.0).ceil().max(1.0);
    for point in 0..=points as usize {
        let t = point as f64 / points;
        dot(picture, (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)), radius, colour);
    }
}

fn dot(picture: &mut RgbImage, centre: (f64, f64), radius: f64, colour: Rgb<u8>) {
    let range = |centre: f64, side: u32| {
        let last = f64::from(side) - 1.0;
        // Floats below zero become 0.
        ((centre - radius).max(0.0) as u32, (centre + radius).clamp(0.0, last) as u32)
    };
    let (left, right) = range(centre.0, picture.width());
    let (top, bottom) = range(centre.1, picture.height());
    for y in top..=bottom {
        for x in left..=right {
            if (f64::from(x) + 0.5 - centre.0).hypot(f64::from(y) + 0.5 - centre.1) <= radius {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}
