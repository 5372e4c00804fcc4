//! Smoothing by costs: as without them a path is pulled straight, but only where that makes it cheaper.

use super::CostMap;
use crate::free_space::FreeSpace;
use crate::sight::{Point, is_clear};
use crate::smooth::{Corner, MOST_CORNERS, divide, length};

/// Most passes over the path.
const PASSES: usize = 8;
/// A pass that gains less than this share of the cost, 0.05 %, was the last.
const LEAST_GAIN: f64 = 5e-4;
/// Cells between two corners in a pass, in turn: long pieces move as a whole, short ones follow what is near.
const SPACINGS: [f64; 4] = [4.0, 2.0, 6.0, 3.0];
/// Cells by which a corner is moved to either side, to see if that is cheaper.
const NUDGES: [f64; 3] = [1.0, 0.5, 0.2];

/// Makes a path cheaper without moving its ends. Its lines stay in free cells, and it never costs more than before.
pub(crate) fn relax(space: &FreeSpace, costs: &CostMap, path: Vec<Corner>) -> Vec<Corner> {
    let total = |path: &[Corner]| path.windows(2).map(|pair| costs.of_line(pair[0].point, pair[1].point)).sum::<f64>();
    let mut path = path;
    let mut before = total(&path);
    for pass in 0..PASSES {
        let spacing = SPACINGS[pass % SPACINGS.len()].max(length(&path) / MOST_CORNERS as f64);
        let mut divided = divide(&path, spacing);
        move_corners(space, costs, &mut divided);
        let cheaper = straighten(space, costs, &divided);
        let after = total(&cheaper);
        if after >= before {
            break;
        }
        let gain = before - after;
        (path, before) = (cheaper, after);
        // The first goes over the stairs of a search from cell to cell.
        if gain < LEAST_GAIN * before && pass >= 2 {
            break;
        }
    }
    path
}

/// The cost of the way over a corner, if it is clear.
fn over(space: &FreeSpace, costs: &CostMap, before: Point, corner: Point, after: Point) -> Option<f64> {
    let clear = is_clear(space, before, corner) && is_clear(space, corner, after);
    clear.then(|| costs.of_line(before, corner) + costs.of_line(corner, after))
}

/// Moves each corner to where the lines to its neighbours are cheapest: towards the straight line between them, or to
/// either side.
fn move_corners(space: &FreeSpace, costs: &CostMap, path: &mut [Corner]) {
    for at in 1..path.len().saturating_sub(1) {
        let (before, here, after) = (path[at - 1].point, path[at].point, path[at + 1].point);
        let line = (after.0 - before.0, after.1 - before.1);
        let across = line.0.hypot(line.1);
        if across == 0.0 {
            continue;
        }
        let middle = (f64::midpoint(before.0, after.0), f64::midpoint(before.1, after.1));
        let side = (-line.1 / across, line.0 / across);
        let pulled = [1.0, 0.5].map(|t| (here.0 + t * (middle.0 - here.0), here.1 + t * (middle.1 - here.1)));
        let nudged = NUDGES
            .into_iter()
            .flat_map(|nudge| [nudge, -nudge])
            .map(|nudge| (here.0 + nudge * side.0, here.1 + nudge * side.1));
        let mut best = costs.of_line(before, here) + costs.of_line(here, after);
        for point in pulled.into_iter().chain(nudged) {
            if let Some(cost) = over(space, costs, before, point, after).filter(|&cost| cost < best) {
                (best, path[at].point) = (cost, point);
            }
        }
    }
}

/// Leaves out corners without which the path is clear and no dearer, as far ahead as that goes.
fn straighten(space: &FreeSpace, costs: &CostMap, path: &[Corner]) -> Vec<Corner> {
    let Some(last) = path.len().checked_sub(1) else { return Vec::new() };
    // Cost from the start to each corner.
    let mut until = vec![0.0];
    for pair in path.windows(2) {
        until.push(until[until.len() - 1] + costs.of_line(pair[0].point, pair[1].point));
    }
    let mut kept = Vec::new();
    let mut here = 0;
    while here < last {
        let goes = |there: usize| {
            let (a, b) = (path[here].point, path[there].point);
            // Sums of the same costs differ in their last digits.
            let along = (until[there] - until[here]) * (1.0 + 1e-9);
            is_clear(space, a, b) && costs.of_line(a, b) <= along
        };
        let mut next = here + 1;
        while next < last && goes(next + 1) {
            next += 1;
        }
        kept.push(path[here]);
        here = next;
    }
    kept.extend(path.last());
    kept
}
