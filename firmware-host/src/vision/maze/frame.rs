//! Candidates for a maze: quadrilaterals around one, two or three pieces of connected lines.

use image::{GrayImage, Luma};
use imageproc::region_labelling::{Connectivity, connected_components};

use crate::vision::quad::{Bounds, Hull, Prints, Quad, area, bounds, distance, unseen};

/// Least longer side of a piece, as a share of the picture's shorter side: a single wall beside two openings.
const MIN_PIECE: f32 = 0.045;

/// Least shorter side of a maze, as a share of the picture's shorter side.
const MIN_SHARE: f32 = 0.2;

/// Pieces that are looked at: the largest. One, two or three out of nine make 129 hulls at most.
const MOST_PIECES: usize = 9;

/// Points of each side at which the frame is looked for: three to a room of the largest maze.
const SIDE_POINTS: usize = 60;

/// Share of a quadrilateral's outline that has to be print, and the same for each of its sides: what openings leave.
/// In a maze of 3 x 3 rooms, two openings leave 10 of 12 walls, and one leaves 2 of a side's 3.
const OUTLINE: (f32, f32) = (0.75, 0.5);

/// Candidates under one threshold after the other, each once, in pixels of `gray`, the largest first.
pub(super) fn frames(gray: &GrayImage) -> impl Iterator<Item = Vec<Quad>> {
    let mut seen = Vec::new();
    Prints::new(gray).map(move |dark| {
        let quads = hulls(&dark).into_iter().filter_map(Hull::any_quad);
        let mut new = unseen(&mut seen, quads.filter(|quad| plausible(quad, gray) && outlined(&dark, quad)));
        new.sort_by(|a, b| area(b).total_cmp(&area(a)));
        new
    })
}

/// The hulls of the large pieces, and of two or three that lie within or beside each other.
fn hulls(dark: &GrayImage) -> Vec<Hull> {
    let labels = connected_components(dark, Connectivity::Eight, Luma([0]));
    let least = MIN_PIECE * dark.width().min(dark.height()) as f32;
    let long = |piece: &Bounds| (piece.right - piece.left).max(piece.bottom - piece.top);
    let mut pieces: Vec<(usize, Bounds)> = bounds(&labels)
        .into_iter()
        .enumerate()
        .skip(1)
        .filter(|(_, piece)| piece.left <= piece.right && long(piece) as f32 >= least)
        .collect();
    pieces.sort_by_key(|(_, piece)| std::cmp::Reverse(long(piece)));
    pieces.truncate(MOST_PIECES);
    let pieces: Vec<(Bounds, Hull)> = pieces
        .into_iter()
        .map(|(label, piece)| {
            let mut hull = Hull::new();
            for y in piece.top..=piece.bottom {
                // A row's outermost pixels are its first and last.
                let row = |x: &u32| labels.get_pixel(*x, y).0[0] as usize == label;
                let Some(first) = (piece.left..=piece.right).find(row) else { continue };
                let last = (piece.left..=piece.right).rev().find(row).unwrap_or(first);
                hull.add([first as f32, y as f32]);
                hull.add([last as f32, y as f32]);
            }
            (piece, hull)
        })
        .collect();
    let mut hulls = Vec::new();
    let mut join = |members: &[usize]| {
        let mut hull = pieces[members[0]].1.clone();
        members[1..].iter().for_each(|&k| hull.merge(&pieces[k].1));
        hulls.push(hull);
    };
    let near = |a: usize, b: usize| near(&pieces[a].0, &pieces[b].0);
    for a in 0..pieces.len() {
        join(&[a]);
        for b in 0..a {
            if near(a, b) {
                join(&[a, b]);
            }
            for c in 0..b {
                if [near(a, b), near(a, c), near(b, c)].iter().filter(|&&near| near).count() >= 2 {
                    join(&[a, b, c]);
                }
            }
        }
    }
    hulls
}

/// `true` if two pieces overlap, or nearly.
fn near(a: &Bounds, b: &Bounds) -> bool {
    let long = |piece: &Bounds| (piece.right - piece.left).max(piece.bottom - piece.top);
    // A quarter of the longer one.
    let slack = long(a).max(long(b)) / 4;
    a.left <= b.right + slack && b.left <= a.right + slack && a.top <= b.bottom + slack && b.top <= a.bottom + slack
}

/// `true` for a quadrilateral that is large enough, and no flatter than 3 x 20 rooms can be: 0.15, less for
/// perspective.
fn plausible(quad: &Quad, gray: &GrayImage) -> bool {
    let sides: Vec<f32> = (0..4).map(|k| distance(quad[k], quad[(k + 1) % 4])).collect();
    let longest = sides.iter().copied().fold(0.0, f32::max);
    let shortest = sides.iter().copied().fold(f32::MAX, f32::min);
    let mean = |a: usize| f32::midpoint(sides[a], sides[a + 2]);
    shortest > 0.12 * longest
        && area(quad) > 0.7 * mean(0) * mean(1)
        && mean(0).min(mean(1)) > MIN_SHARE * gray.width().min(gray.height()) as f32
}

/// `true` if print runs along a quadrilateral's sides; it may lie a little within or without.
fn outlined(dark: &GrayImage, quad: &Quad) -> bool {
    let reach = (0.015 * area(quad).sqrt()).max(2.0) as i32;
    let mut total = 0;
    for k in 0..4 {
        let (a, b) = (quad[k], quad[(k + 1) % 4]);
        let length = distance(a, b);
        let across = [(b[1] - a[1]) / length, (a[0] - b[0]) / length];
        let hits = (0..SIDE_POINTS).filter(|point| {
            let t = (*point as f32 + 0.5) / SIDE_POINTS as f32;
            (-reach..=reach).any(|offset| {
                let at = [0, 1].map(|axis| (a[axis] + t * (b[axis] - a[axis]) + offset as f32 * across[axis]).round());
                let inside = at[0] >= 0.0 && at[1] >= 0.0;
                inside && dark.get_pixel_checked(at[0] as u32, at[1] as u32).is_some_and(|pixel| pixel.0[0] > 0)
            })
        });
        let hits = hits.count();
        if (hits as f32) < OUTLINE.1 * SIDE_POINTS as f32 {
            return false;
        }
        total += hits;
    }
    total as f32 >= OUTLINE.0 * (4 * SIDE_POINTS) as f32
}
