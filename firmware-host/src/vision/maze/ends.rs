//! Start and goal: marks in rooms, and openings of the frame.

use image::RgbImage;
use trm_puzzles::Cell;

use super::sheet::{Sheet, Wall};
use crate::vision::lattice::CELL;
use crate::vision::photo::sample;

/// Points of a room's middle in each direction, and the share of its side that they keep away from its walls: 8 of its
/// 48 pixels.
const POINTS: usize = 32;
const TRIM: f32 = 0.17;

/// Least darkness of print, as a share of that of the walls' lines.
const PRINT: f32 = 0.45;

/// The same for the weakest place of a ring, whose line is thin.
const RING: f32 = 0.3;

/// Share of a room's middle that is print from which on it has a mark, and from which on that is in doubt, which
/// refuses the maze: 46 and 20 of 1,024 points.
const MARK: f32 = 0.045;
const SPECK: f32 = 0.02;

/// Least darkness of what lies on the maze, such as a finger, which is darker than paper and lighter than [`PRINT`];
/// and the share of a room's middle from which on the maze counts as covered.
const COVER: (f32, f32) = (0.22, 0.3);

/// Excess of a coloured mark's channel over the other two, as a share of the paper's. The paper's tint and the light's
/// are divided out.
const COLOUR: f32 = 0.15;

/// Start and goal as cells of the block maze.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// Both are known.
    Known { start: Cell, goal: Cell },
    /// There are two, but not which is which.
    Unknown,
    /// There are not two.
    Missing,
    /// Something lies on the maze.
    Covered,
}

/// Meaning of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Start,
    Goal,
    Unknown,
}

/// The middle of a room.
struct Room {
    /// Share of the points that are print.
    amount: f32,
    /// Share of the points that are neither print nor paper.
    gray: f32,
    /// Darkness of each point, 1 for that of the walls' lines, `[POINTS, POINTS]`.
    dark: Vec<f32>,
}

/// Rooms that have print in them.
pub(super) fn inked_rooms(sheet: &Sheet, depth: f32) -> usize {
    rooms(sheet).filter(|&(row, col)| room(sheet, row, col, depth).amount > MARK).count()
}

/// Finds start and goal. `depth` is the darkness of the walls' lines; `openings` are the walls that the frame lacks.
pub(super) fn find_ends(sheet: &Sheet, photo: &RgbImage, scale: f32, depth: f32, openings: &[Wall]) -> Ends {
    let mut marks = Vec::new();
    for (row, col) in rooms(sheet) {
        let room = room(sheet, row, col, depth);
        if room.gray > COVER.1 {
            return Ends::Covered;
        }
        if room.amount > MARK {
            marks.push((
                Cell::new(2 * row + 1, 2 * col + 1),
                role(&room, &colour(sheet, photo, scale, row, col, &room)),
            ));
        } else if room.amount > SPECK {
            return Ends::Missing;
        }
    }
    let behind = |wall: &Wall| {
        let Cell { row, column } = wall.cell();
        Cell::new(row.clamp(1, 2 * sheet.rows - 1), column.clamp(1, 2 * sheet.cols - 1))
    };
    let ends = match (&marks[..], openings) {
        (&[(first, role), (second, other)], [] | [_, _]) => match (role, other) {
            (Role::Start, Role::Goal) => Ends::Known { start: first, goal: second },
            (Role::Goal, Role::Start) => Ends::Known { start: second, goal: first },
            _ => Ends::Unknown,
        },
        (&[(mark, Role::Start)], [opening]) => Ends::Known { start: mark, goal: behind(opening) },
        (&[(mark, _)], [opening]) => Ends::Known { start: behind(opening), goal: mark },
        ([], [one, other]) => {
            let (one, other) = (behind(one), behind(other));
            let (start, goal) = if one < other { (one, other) } else { (other, one) };
            Ends::Known { start, goal }
        }
        _ => Ends::Missing,
    };
    match ends {
        Ends::Known { start, goal } if start == goal => Ends::Missing,
        ends => ends,
    }
}

fn rooms(sheet: &Sheet) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (rows, cols) = (sheet.rows, sheet.cols);
    (0..rows).flat_map(move |row| (0..cols).map(move |col| (row, col)))
}

/// A room's point, `k` of [`POINTS`] in each direction, counted in rooms from the maze's corner.
fn point(row: usize, col: usize, x: usize, y: usize) -> [f32; 2] {
    let at = |k: usize| TRIM + (1.0 - 2.0 * TRIM) * (k as f32 + 0.5) / POINTS as f32;
    [col as f32 + at(x), row as f32 + at(y)]
}

fn room(sheet: &Sheet, row: usize, col: usize, depth: f32) -> Room {
    // Nearly the brightest of what is in and around the room: a large mark leaves little paper in it.
    let middle = sheet.place(col as f32 + 0.5, row as f32 + 0.5);
    let mut around: Vec<f32> = (0..256)
        .map(|k| {
            let [dx, dy] = [k % 16, k / 16].map(|k| (k as f32 / 15.0 - 0.5) * 1.8 * CELL as f32);
            sample(&sheet.flat, middle[0] + dx, middle[1] + dy)
        })
        .collect();
    around.sort_by(f32::total_cmp);
    let paper = around[around.len() * 85 / 100].max(1.0);
    let mut dark = Vec::with_capacity(POINTS * POINTS);
    for y in 0..POINTS {
        for x in 0..POINTS {
            let [x, y] = point(row, col, x, y);
            let [x, y] = sheet.place(x, y);
            dark.push((paper - sample(&sheet.flat, x, y)) / paper / depth);
        }
    }
    let share = |from: f32, to: f32| {
        dark.iter().filter(|&&value| value > from && value <= to).count() as f32 / dark.len() as f32
    };
    Room { amount: share(PRINT, f32::MAX), gray: share(COVER.0, PRINT), dark }
}

/// The mean colour of a mark, as a share of the paper's around it.
fn colour(sheet: &Sheet, photo: &RgbImage, scale: f32, row: usize, col: usize, room: &Room) -> [f32; 3] {
    let rgb = |x: f32, y: f32| {
        let [x, y] = sheet.in_picture(sheet.place(x, y)).map(|value| (value.max(0.0) * scale) as u32);
        photo.get_pixel(x.min(photo.width() - 1), y.min(photo.height() - 1)).0.map(f32::from)
    };
    let mut print = [0.0; 3];
    let mut paper = [0.0; 3];
    let mut counts = [0.0_f32; 2];
    for (k, &dark) in room.dark.iter().enumerate() {
        let [x, y] = point(row, col, k % POINTS, k / POINTS);
        let (sum, count) = if dark > PRINT {
            (&mut print, &mut counts[0])
        } else if dark < 0.2 {
            (&mut paper, &mut counts[1])
        } else {
            continue;
        };
        sum.iter_mut().zip(rgb(x, y)).for_each(|(sum, value)| *sum += value);
        *count += 1.0;
    }
    if counts[0] == 0.0 || counts[1] == 0.0 {
        return [1.0; 3];
    }
    [0, 1, 2].map(|channel| (print[channel] / counts[0]) / (paper[channel] / counts[1]).max(1.0))
}

fn role(room: &Room, colour: &[f32; 3]) -> Role {
    let &[red, green, blue] = colour;
    if green > red.max(blue) + COLOUR {
        return Role::Start;
    }
    if red > green.max(blue) + COLOUR {
        return Role::Goal;
    }
    shape(room)
}

/// Tells a black mark by its shape: a dot is a start, a ring is a goal.
fn shape(room: &Room) -> Role {
    let is_print = |x: usize, y: usize| room.dark[y * POINTS + x] > PRINT;
    let all = || (0..POINTS).flat_map(|y| (0..POINTS).map(move |x| (x, y)));
    let print: Vec<(usize, usize)> = all().filter(|&(x, y)| is_print(x, y)).collect();
    let range = |of: fn(&(usize, usize)) -> usize| {
        let (low, high) = print.iter().map(of).fold((POINTS, 0), |(low, high), k| (low.min(k), high.max(k)));
        (low as f32, high as f32 + 1.0)
    };
    let ((left, right), (top, bottom)) = (range(|at| at.0), range(|at| at.1));
    let (width, height) = (right - left, bottom - top);
    let middle = [f32::midpoint(left, right), f32::midpoint(top, bottom)];
    let at = |u: f32, v: f32| {
        let k = |middle: f32, size: f32, t: f32| ((middle + t * size / 2.0) as usize).min(POINTS - 1);
        room.dark[k(middle[1], height, v) * POINTS + k(middle[0], width, u)]
    };
    let fill = print.len() as f32 / (width * height);
    let round = width.min(height) > 0.75 * width.max(height);
    let centre = [(0.0, 0.0), (0.2, 0.0), (-0.2, 0.0), (0.0, 0.2), (0.0, -0.2)];
    let centre = centre.map(|(u, v)| at(u, v)).iter().sum::<f32>() / 5.0;
    // A disc fills pi / 4 = 0.79 of its box.
    if round && fill > 0.65 && centre > 0.7 {
        return Role::Start;
    }
    // A ring is closed: print in every direction from its empty middle.
    let closed = (0..32).all(|k| {
        let (sin, cos) = (std::f32::consts::TAU * k as f32 / 32.0).sin_cos();
        (5..=11).any(|step| at(0.09 * step as f32 * cos, 0.09 * step as f32 * sin) > RING)
    });
    if round && closed && centre < 0.3 {
        return Role::Goal;
    }
    Role::Unknown
}
