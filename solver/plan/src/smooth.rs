//! Smoothing: pieces of a path are replaced by straight lines where nothing is in the way, and corners are pulled tight.

use super::free_space::FreeSpace;
use super::sight::{Point, is_clear};

/// Most passes over the path, in turn from either end; a gain below [`LEAST_GAIN`] ends them before.
const PASSES: usize = 6;
/// A pass that gains less than this share of the length, 0.2 %, was the last. The first never is: it has gone from one
/// end only.
const LEAST_GAIN: f64 = 0.002;
/// Halvings of the distance by which a corner is pulled or cut: it is found to a 64th of the largest one. Each halving
/// walks along one or two lines.
const HALVINGS: usize = 6;
/// Corners that a path is divided into for a pass, beside those that it has. On a path of more cells than this they are
/// farther apart than a cell, so that the time of a pass does not grow with the map.
pub(crate) const MOST_CORNERS: usize = 4_000;

/// A corner of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Corner {
    /// Its place, in cells.
    pub(crate) point: Point,
    /// True if the line from here to the next corner came from the network's answers alone.
    pub(crate) network: bool,
}

/// Length of a path, in cells.
pub(crate) fn length(path: &[Corner]) -> f64 {
    path.windows(2).map(|pair| distance(pair[0].point, pair[1].point)).sum()
}

fn distance(a: Point, b: Point) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// Shortens a path without moving its ends. Its lines stay in free cells, as those of `path` do. A line that replaces
/// several counts as the network's if all of them did.
pub(crate) fn smooth(space: &FreeSpace, path: Vec<Corner>) -> Vec<Corner> {
    let mut path = path;
    let mut before = length(&path);
    for pass in 0..PASSES {
        let mut divided = divide(&path, (before / MOST_CORNERS as f64).max(1.0));
        // In turn from the one end and from the other: looking ahead as far as can be seen favours the end.
        let backwards = pass % 2 == 1;
        if backwards {
            reverse(&mut divided);
        }
        let mut shorter = shortcut(space, &divided);
        tighten(space, &mut shorter);
        shorter = cut_corners(space, &shorter);
        if backwards {
            reverse(&mut shorter);
        }
        let after = length(&shorter);
        path = shorter;
        if before - after <= LEAST_GAIN * before && pass > 0 {
            break;
        }
        before = after;
    }
    // Corners that the last pass has left without a bend.
    shortcut(space, &path)
}

/// Turns a path around; each line keeps its origin.
fn reverse(path: &mut [Corner]) {
    path.reverse();
    for at in 1..path.len() {
        path[at - 1].network = path[at].network;
    }
}

/// The path with corners no more than `spacing` cells apart.
pub(crate) fn divide(path: &[Corner], spacing: f64) -> Vec<Corner> {
    let mut divided = Vec::new();
    for pair in path.windows(2) {
        let (a, b) = (pair[0].point, pair[1].point);
        let pieces = (distance(a, b) / spacing).ceil().max(1.0) as usize;
        divided.extend((0..pieces).map(|piece| {
            let t = piece as f64 / pieces as f64;
            Corner { point: (a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)), ..pair[0] }
        }));
    }
    divided.extend(path.last());
    divided
}

/// Goes from corner to corner as far as can be seen. Looks ahead in doubling strides, then by halves, and not at every
/// corner: behind the first that is hidden most are hidden. One that is seen all the same may be missed, which leaves
/// the path longer, never wrong.
fn shortcut(space: &FreeSpace, path: &[Corner]) -> Vec<Corner> {
    let Some(last) = path.len().checked_sub(1) else { return Vec::new() };
    let mut kept = Vec::new();
    let mut here = 0;
    while here < last {
        let sees = |there: usize| is_clear(space, path[here].point, path[there].point);
        // Neighbours see each other.
        let (mut seen, mut stride) = (here + 1, 2);
        let mut unseen = last + 1;
        while seen < last {
            let there = (here + stride).min(last);
            if !sees(there) {
                unseen = there;
                break;
            }
            seen = there;
            stride *= 2;
        }
        while unseen - seen > 1 {
            let middle = usize::midpoint(seen, unseen);
            if middle > last || !sees(middle) {
                unseen = middle;
            } else {
                seen = middle;
            }
        }
        kept.push(Corner { network: path[here..seen].iter().all(|corner| corner.network), ..path[here] });
        here = seen;
    }
    kept.extend(path.last());
    kept
}

/// Pulls each corner towards the straight line between its neighbours, as far as the lines to them stay clear.
fn tighten(space: &FreeSpace, path: &mut [Corner]) {
    for at in 1..path.len().saturating_sub(1) {
        let (before, here, after) = (path[at - 1].point, path[at].point, path[at + 1].point);
        let line = (after.0 - before.0, after.1 - before.1);
        let squared = line.0 * line.0 + line.1 * line.1;
        if squared == 0.0 {
            continue;
        }
        let along = ((here.0 - before.0) * line.0 + (here.1 - before.1) * line.1) / squared;
        let along = along.clamp(0.0, 1.0);
        let foot = (before.0 + along * line.0, before.1 + along * line.1);
        let pulled = |t: f64| (here.0 + t * (foot.0 - here.0), here.1 + t * (foot.1 - here.1));
        let (mut clear, mut blocked) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(clear, blocked);
            let point = pulled(middle);
            if is_clear(space, before, point) && is_clear(space, point, after) {
                clear = middle;
            } else {
                blocked = middle;
            }
        }
        path[at].point = pulled(clear);
    }
}

/// Replaces each corner by two, on the lines to its neighbours and as far from it as they see each other. Around an
/// obstacle that is wider than a point a tight path needs more than one corner.
fn cut_corners(space: &FreeSpace, path: &[Corner]) -> Vec<Corner> {
    let mut cut = Vec::with_capacity(2 * path.len());
    cut.extend(path.first());
    for around in path.windows(3) {
        let [before, here, after] = [around[0].point, around[1].point, around[2].point];
        let towards = |to: Point, t: f64| (here.0 + t * (to.0 - here.0), here.1 + t * (to.1 - here.1));
        // No farther than halfway: the neighbour is cut as well.
        let (mut clear, mut blocked) = (0.0, 0.5);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(clear, blocked);
            if is_clear(space, towards(before, middle), towards(after, middle)) {
                clear = middle;
            } else {
                blocked = middle;
            }
        }
        if clear > 0.0 {
            let network = around[0].network && around[1].network;
            cut.push(Corner { point: towards(before, clear), network });
            cut.push(Corner { point: towards(after, clear), network: around[1].network });
        } else {
            cut.push(around[1]);
        }
    }
    if path.len() > 1 {
        cut.extend(path.last());
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OccupancyMap, Pose, Robot};

    fn space(rows: &[&str]) -> FreeSpace {
        let (width, height) = (rows[0].len(), rows.len());
        let values = rows.iter().flat_map(|row| row.bytes().map(|b| if b == b'#' { 100 } else { 0 })).collect();
        let map = OccupancyMap::new("a test", (width, height), 1.0, Pose::default(), values).expect("a map");
        FreeSpace::new(&map, &Robot { radius: 0.0, ..Robot::default() }).expect("free space")
    }

    fn path(points: &[Point]) -> Vec<Corner> {
        points.iter().map(|&point| Corner { point, network: true }).collect()
    }

    #[test]
    fn a_staircase_becomes_a_line() {
        let space = space(&["......"; 6]);
        let stairs: Vec<Point> = (0..11).map(|i| (0.5 + f64::from((i + 1) / 2), 0.5 + f64::from(i / 2))).collect();
        let smooth = smooth(&space, path(&stairs));
        assert_eq!(smooth.len(), 2);
        assert_eq!((smooth[0].point, smooth[1].point), ((0.5, 0.5), (5.5, 5.5)));
    }

    #[test]
    fn a_path_around_a_wall_hugs_its_end() {
        // Rows from the bottom: the way around the wall's end at (3, 3) is a little over two straight lines.
        let space = space(&["......", "..#...", "..#...", "......", "......"]);
        let around = path(&[(0.5, 0.5), (0.5, 4.5), (5.5, 4.5), (5.5, 0.5)]);
        let smooth = smooth(&space, around);
        let taut = (0.5 - 2.0_f64).hypot(0.5 - 3.0) + 1.0 + (5.5 - 3.0_f64).hypot(0.5 - 3.0);
        let length = length(&smooth);
        assert!(length >= taut && length < taut * 1.03, "{length}, taut {taut}");
        for pair in smooth.windows(2) {
            assert!(is_clear(&space, pair[0].point, pair[1].point));
        }
    }

    #[test]
    fn a_line_is_the_networks_if_all_it_replaces_was() {
        let space = space(&["......"; 3]);
        let mut corners = path(&[(0.5, 0.5), (1.5, 1.5), (2.5, 0.5), (3.5, 1.5)]);
        assert!(smooth(&space, corners.clone())[0].network);
        corners[1].network = false;
        assert!(!smooth(&space, corners)[0].network);
    }

    #[test]
    fn turning_around_twice_changes_nothing() {
        let mut corners = path(&[(0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5)]);
        corners[1].network = false;
        let before = corners.clone();
        reverse(&mut corners);
        assert!(!corners[1].network && corners[0].network && corners[2].network);
        reverse(&mut corners);
        assert_eq!(corners[..3], before[..3]);
    }

    #[test]
    fn short_paths_stay_what_they_are() {
        let space = space(&["..", ".."]);
        assert!(smooth(&space, vec![]).is_empty());
        let one = path(&[(0.5, 0.5)]);
        assert_eq!(smooth(&space, one.clone()), one);
    }
}
