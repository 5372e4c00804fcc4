//! Paths that are published again and again: a planner repeats its plan as the robot drives along it, shorter each time; who
//! records a way publishes it longer each time. Either is one drive.

use trm_intake::{Budget, Exceeded};

/// Metres within which two places of paths are the same: a robot strays from its plan, and plans move with the map.
const SAME: f64 = 0.5;

/// Adds a path to those before it. One that continues, shortens or repeats the last one is the same drive: the longer is
/// kept, of equally long ones the later. Returns how many places more are kept than before.
pub(super) fn add(
    paths: &mut Vec<Vec<[f64; 2]>>,
    path: Vec<[f64; 2]>,
    compared: &mut Budget,
) -> Result<usize, Exceeded> {
    let (count, [begin, .., end]) = (path.len(), &path[..]) else { return Ok(0) };
    let Some(last) = paths.last_mut() else {
        paths.push(path);
        return Ok(count);
    };
    compared.take_items((last.len() + path.len()) as u64)?;
    let [first_begin, .., first_end] = &last[..] else { return Ok(0) };
    let same = |a: &[f64; 2], b: &[f64; 2]| distance(a, b) <= SAME;
    if same(begin, first_begin) && is_on(first_end, &path) {
        let more = count.saturating_sub(last.len());
        *last = path;
        return Ok(more);
    }
    if same(end, first_end) && is_on(begin, last) {
        return Ok(0);
    }
    paths.push(path);
    Ok(count)
}

/// True if a place is on a path.
fn is_on(place: &[f64; 2], path: &[[f64; 2]]) -> bool {
    path.windows(2).any(|line| distance_to_line(place, &line[0], &line[1]) <= SAME)
}

fn distance(a: &[f64; 2], b: &[f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Metres to the nearest point of a line between two places.
fn distance_to_line(place: &[f64; 2], a: &[f64; 2], b: &[f64; 2]) -> f64 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let square = dx * dx + dy * dy;
    let along =
        if square > 0.0 { (((place[0] - a[0]) * dx + (place[1] - a[1]) * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    distance(place, &[a[0] + along * dx, a[1] + along * dy])
}

#[cfg(test)]
mod tests {
    use trm_intake::Limits;

    use super::*;

    fn kept(paths: &[Vec<[f64; 2]>]) -> Vec<Vec<[f64; 2]>> {
        let mut budget = Budget::new(Limits { bytes: 0, items: 1000, depth: 0, time: None });
        let mut kept = Vec::new();
        for path in paths {
            add(&mut kept, path.clone(), &mut budget).unwrap();
        }
        kept
    }

    fn line(from: f64, to: f64) -> Vec<[f64; 2]> {
        vec![[from, 0.0], [f64::midpoint(from, to), 0.1], [to, 0.0]]
    }

    #[test]
    fn a_plan_that_shrinks_and_a_way_that_grows_are_one_drive() {
        assert_eq!(kept(&[line(0.0, 9.0), line(3.0, 9.1), line(6.0, 9.0)]), [line(0.0, 9.0)]);
        assert_eq!(kept(&[line(0.0, 3.0), line(0.0, 6.0), line(0.1, 9.0)]), [line(0.1, 9.0)]);
        assert_eq!(kept(&[line(0.0, 9.0), line(0.0, 9.0)]).len(), 1);
    }

    #[test]
    fn other_ways_are_other_drives() {
        // To the dock, the last of that, and away from it again.
        let paths = kept(&[line(9.0, 0.0), line(0.3, 0.0), line(0.0, -5.0), line(-5.0, 0.0)]);
        assert_eq!(paths, [line(9.0, 0.0), line(0.0, -5.0), line(-5.0, 0.0)]);
        assert!(kept(&[vec![], vec![[0.0, 0.0]]]).is_empty());
    }
}
