//! Counts the rooms of a maze by where its lines lie.

use image::{GrayImage, Luma};

use super::ROOMS;
use super::sheet::LEAST_DEPTH;
use crate::vision::lattice::projection;
use crate::vision::photo::sample;
use crate::vision::quad::{Quad, darker_than_surroundings, integral};

/// Side of the picture that lines are looked for in, pixels, and the width of the surroundings of the maze in it. A
/// room of the largest maze has 32 pixels. The surroundings hold [`FRAME_REACH`] and the farthest of [`BESIDE`].
const SIDE: usize = 640;
const MARGIN: usize = 48;

/// Threshold for print: the surroundings' half side in pixels, and the share of their mean that it stays below.
const PRINT: (u32, f32) = (50, 0.88);

/// Distance from a quadrilateral's side at which the frame may lie, and distances beside it at which paper is looked
/// for, pixels.
const FRAME_REACH: i32 = 12;
const BESIDE: [i32; 3] = [9, 18, 34];

/// Shortest piece of a line, pixels: three fifths of a room of the largest maze.
const LEAST_RUN: usize = 3 * SIDE / 100;

/// Distance from its place at which a line may lie, as a share of the distance of two lines. By chance, a third of any
/// print lies so near to the lines of a wrong count.
const OFF: f32 = 0.17;

/// Least score of a count, the share of the best one's at which another is looked at as well, and how many are. Three
/// counts of rows and three of columns are nine mazes to measure.
const LEAST_SCORE: f32 = 0.2;
const RUNNER_UP: f32 = 0.65;
const MOST_COUNTS: usize = 3;

/// Returns the counts of rows and of columns that come into question, the likeliest first. Empty when there are no
/// lines within.
pub(super) fn room_counts(gray: &GrayImage, quad: &Quad) -> (Vec<usize>, Vec<usize>) {
    let (near, far) = (MARGIN as f32, (MARGIN + SIDE) as f32);
    let Some(to_picture) = projection([[near, near], [far, near], [far, far], [near, far]], quad) else {
        return (Vec::new(), Vec::new());
    };
    let size = SIDE + 2 * MARGIN;
    let flat = GrayImage::from_fn(size as u32, size as u32, |x, y| {
        let (x, y) = to_picture * (x as f32, y as f32);
        Luma([sample(gray, x, y).round() as u8])
    });
    if !framed(&flat) {
        return (Vec::new(), Vec::new());
    }
    let ink = darker_than_surroundings(&flat, &integral(&flat), PRINT.0, PRINT.1);
    let ink: Vec<bool> = ink.as_raw().iter().map(|&value| value > 0).collect();
    let across = runs(&ink, size, 1, size);
    let down = runs(&ink, size, size, 1);
    (counts(&down, &across, size, false), counts(&across, &down, size, true))
}

/// `true` if lines with paper on both sides run along the quadrilateral's sides: the edge of a sheet on a dark table
/// has paper on one side only.
fn framed(flat: &GrayImage) -> bool {
    let (near, far) = (MARGIN as i32, (MARGIN + SIDE) as i32);
    let points = (near + 5..far - 5).step_by(10);
    let is_line = |place: i32, along: i32, vertical: bool| {
        let at = |across: i32| {
            let (x, y) = if vertical { (across, along) } else { (along, across) };
            f32::from(flat.get_pixel(x as u32, y as u32).0[0])
        };
        (-FRAME_REACH..=FRAME_REACH).any(|offset| {
            let side = |sign: i32| BESIDE.map(|away| at(place + offset + sign * away)).into_iter().fold(0.0, f32::max);
            let beside = side(-1).min(side(1));
            beside - at(place + offset) > LEAST_DEPTH * beside
        })
    };
    let sides = [(near, true), (far, true), (near, false), (far, false)];
    let lines = sides.iter().flat_map(|&(place, vertical)| points.clone().map(move |along| (place, along, vertical)));
    let count = 4 * points.clone().count();
    // 60 % of the points have to be on a line: openings have none.
    lines.filter(|&(place, along, vertical)| is_line(place, along, vertical)).count() * 10 >= 6 * count
}

/// For each pixel the length of the run of print that it lies in, in the direction of `step`.
fn runs(ink: &[bool], size: usize, step: usize, line_step: usize) -> Vec<u16> {
    let mut lengths = vec![0; ink.len()];
    for line in 0..size {
        let mut k = 0;
        while k < size {
            let begin = k;
            while k < size && ink[line * line_step + k * step] {
                k += 1;
            }
            for inside in begin..k {
                lengths[line * line_step + inside * step] = (k - begin) as u16;
            }
            k += 1;
        }
    }
    lengths
}

/// Counts of rooms between lines, given each pixel's run across the lines and along them.
fn counts(across: &[u16], along: &[u16], size: usize, vertical: bool) -> Vec<usize> {
    let widest = thickest(*ROOMS.start());
    // Pixels of lines by place and thickness, thinner ones included.
    let mut lines = vec![0_u32; size * (widest + 1)];
    for (k, (&across, &along)) in across.iter().zip(along).enumerate() {
        let (across, along) = (usize::from(across), usize::from(along));
        if along >= LEAST_RUN && 2 * along >= 3 * across && across <= widest {
            let place = if vertical { k % size } else { k / size };
            lines[place * (widest + 1) + across] += 1;
        }
    }
    for place in lines.chunks_exact_mut(widest + 1) {
        for k in 1..place.len() {
            place[k] += place[k - 1];
        }
    }
    let profile = |count| lines.chunks_exact(widest + 1).map(|place| place[thickest(count)]).collect::<Vec<u32>>();
    let mut scores: Vec<(f32, usize)> = ROOMS.map(|count| (score(&profile(count), count), count)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = scores[0].0;
    scores.retain(|(score, _)| *score > LEAST_SCORE && *score >= RUNNER_UP * best);
    scores.truncate(MOST_COUNTS);
    scores.into_iter().map(|(_, count)| count).collect()
}

/// The thickest line between `count` rooms, pixels: two fifths of a room.
fn thickest(count: usize) -> usize {
    2 * SIDE / (5 * count)
}

/// The share of the inner lines' print that lies where `count` rooms have lines, times the share of those lines that
/// have any. `profile` is the print at each place across the lines.
fn score(profile: &[u32], count: usize) -> f32 {
    let pitch = SIDE as f32 / count as f32;
    let (mut total, mut placed) = (0, 0);
    let mut lines = vec![0; count + 1];
    for (k, &sum) in profile.iter().enumerate() {
        let place = (k as f32 - MARGIN as f32) / pitch;
        let line = place.round();
        // The frame is there for any count.
        if place < 0.4 || place > count as f32 - 0.4 {
            continue;
        }
        total += sum;
        if (place - line).abs() < OFF {
            placed += sum;
            if let Some(of_line) = lines.get_mut(line as usize) {
                *of_line += sum;
            }
        }
    }
    if total == 0 {
        return 0.0;
    }
    let inner = &lines[1..count];
    let used = inner.iter().filter(|&&sum| sum as usize >= LEAST_RUN).count();
    placed as f32 / total as f32 * used as f32 / inner.len() as f32
}
