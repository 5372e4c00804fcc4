//! Straight lines over free space.

use super::free_space::FreeSpace;

/// A place in cells from the map's bottom left corner: cell (0, 0) reaches from 0 to 1.
pub(crate) type Point = (f64, f64);

/// Calls `visit` with every cell that the straight line from `a` to `b` touches, in order, until it returns false.
/// Returns true if it never did. A line through a corner touches all four cells around it.
///
/// Amanatides, Woo: A fast voxel traversal algorithm for ray tracing (1987).
pub(crate) fn touched_cells(a: Point, b: Point, mut visit: impl FnMut(i64, i64) -> bool) -> bool {
    let cell = |value: f64| value.floor() as i64;
    let (mut x, mut y) = (cell(a.0), cell(a.1));
    let (last_x, last_y) = (cell(b.0), cell(b.1));
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let axis = |from: f64, delta: f64| {
        let step = if delta > 0.0 { 1 } else { -1 };
        let border = if delta > 0.0 { from.floor() + 1.0 } else { from.floor() };
        if delta == 0.0 {
            (step, f64::INFINITY, f64::INFINITY)
        } else {
            (step, (border - from) / delta, 1.0 / delta.abs())
        }
    };
    let (step_x, mut next_x, each_x) = axis(a.0, dx);
    let (step_y, mut next_y, each_y) = axis(a.1, dy);
    if !visit(x, y) {
        return false;
    }
    // Rounding must not let the walk miss its end: it takes as many steps as there are borders.
    let mut steps = last_x.abs_diff(x) + last_y.abs_diff(y);
    while steps > 0 {
        let corner = (next_x - next_y).abs() < 1e-9 && x != last_x && y != last_y;
        if corner {
            if !(visit(x + step_x, y) && visit(x, y + step_y)) {
                return false;
            }
            (x, y) = (x + step_x, y + step_y);
            (next_x, next_y) = (next_x + each_x, next_y + each_y);
            steps -= 2;
        } else if y == last_y || (x != last_x && next_x < next_y) {
            x += step_x;
            next_x += each_x;
            steps -= 1;
        } else {
            y += step_y;
            next_y += each_y;
            steps -= 1;
        }
        if !visit(x, y) {
            return false;
        }
    }
    true
}

/// True if the straight line stays in free cells.
pub(crate) fn is_clear(space: &FreeSpace, a: Point, b: Point) -> bool {
    touched_cells(a, b, |x, y| space.is_free_at(x, y))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn touched(a: Point, b: Point) -> Vec<(i64, i64)> {
        let mut cells = Vec::new();
        assert!(touched_cells(a, b, |x, y| {
            cells.push((x, y));
            true
        }));
        cells
    }

    #[test]
    fn lines_touch_the_cells_they_cross() {
        assert_eq!(touched((0.5, 0.5), (3.5, 0.5)), [(0, 0), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(touched((0.5, 2.5), (0.5, 0.5)), [(0, 2), (0, 1), (0, 0)]);
        assert_eq!(touched((0.5, 0.5), (2.5, 1.5)), [(0, 0), (1, 0), (1, 1), (2, 1)]);
        assert_eq!(touched((0.2, 0.2), (0.8, 0.7)), [(0, 0)]);
    }

    #[test]
    fn a_line_through_a_corner_touches_all_four_cells() {
        assert_eq!(touched((0.5, 0.5), (1.5, 1.5)), [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!(touched((1.5, 0.5), (0.5, 1.5)), [(1, 0), (0, 0), (1, 1), (0, 1)]);
    }

    proptest! {
        #[test]
        fn no_cell_is_left_out(ax in 0.0..20.0_f64, ay in 0.0..20.0_f64, bx in 0.0..20.0_f64, by in 0.0..20.0_f64) {
            let cells = touched((ax, ay), (bx, by));
            for i in 0..=2_000 {
                let t = f64::from(i) / 2_000.0;
                let (x, y) = (ax + t * (bx - ax), ay + t * (by - ay));
                // A point within rounding of a border may be counted to either side.
                let inside = |v: f64| v.fract() > 1e-6 && v.fract() < 1.0 - 1e-6;
                if inside(x) && inside(y) {
                    prop_assert!(cells.contains(&(x.floor() as i64, y.floor() as i64)), "{x} {y}");
                }
            }
            prop_assert_eq!(cells.last(), Some(&(bx.floor() as i64, by.floor() as i64)));
        }
    }
}
