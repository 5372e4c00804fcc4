//! Printed line mazes: lines between rooms, as in puzzle books, to the grid of a block maze.
//!
//! The frame is looked for as that of a board is, but out of up to three pieces, since the way through a maze cuts its walls
//! into two. How many rooms it has follows from where its lines lie. Then each possible wall is measured between its
//! posts, with a bent sheet's displacement taken into account.
//!
//! A maze of n x m rooms becomes a grid of (2n + 1) x (2m + 1) cells with posts and walls as wall cells, as micromouse
//! mazes do ([`trm_puzzles::formats`]). The walls all around are always closed: nobody leaves a maze.
//!
//! # Start and goal
//! | in print | start | goal |
//! | --- | --- | --- |
//! | shape | a filled dot | a ring |
//! | colour, any shape | green | red |
//! | openings of the frame, both | the upper one, or the left one of two at the same height | the other |
//! | one opening and one mark | the opening, unless the mark says start | the mark, unless it says start |
//!
//! For an opening, the room behind it is the start or goal. With two marks, two openings do
//! not matter; one would be odd.
//!
//! # What is refused
//! Whatever is not clear-cut: see [`MazeRefusal`].

mod ends;
mod frame;
mod sheet;
mod size;

use ends::{Ends, find_ends};
use image::RgbImage;
use sheet::{Sheet, Wall};
use trm_puzzles::maze::{FREE, GOAL, START, WALL, shortest_path};
use trm_puzzles::{Cell, Grid};

use super::Point;
use super::photo::{Ink, MIN_SIDE};
use super::quad::{Quad, area, distance};

/// Fewest and most rooms along a side.
pub const ROOMS: std::ops::RangeInclusive<usize> = 3..=20;

/// Least quality of what is called a maze at all; see [`Measured::quality`]. It may be low, since a maze with anything
/// unclear in it is refused later, with the reason.
const MIN_QUALITY: f32 = 0.55;

/// Quality of a [`LARGE`] maze at which no other threshold is tried, which saves their time.
const CLEAR: f32 = 0.97;

/// Share of the picture that a clear maze covers at which no other threshold is tried.
const LARGE: f32 = 0.15;

/// Share of the best maze's area from which on another one is one too many. Smaller ones are ignored.
const SECOND_MAZE: f32 = 0.5;

/// Share of the inner posts that may be without any wall, and how many may be in any case: the middle of a square of four
/// rooms, as micromouse mazes have one for their goal. Where there are more, something lies on the maze, or it is none.
const LONE_POSTS: (f32, usize) = (0.03, 1);

/// The reason why a maze is not to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MazeRefusal {
    /// The picture has fewer pixels than a maze needs.
    TooSmall,
    /// No maze was found, or not all of it is in the picture.
    NoMaze,
    /// More than one maze was found.
    SeveralMazes,
    /// Walls that may or may not be there.
    Doubtful,
    /// Not one start and one goal.
    NoEnds,
    /// Start and goal are there, but not which is which.
    UnknownEnds,
    /// Something lies on the maze: a finger, a shadow with a sharp edge.
    Covered,
    /// No way from start to goal.
    NoWay,
}

impl MazeRefusal {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooSmall => "the picture is too small",
            Self::NoMaze => "no whole maze in the picture",
            Self::SeveralMazes => "more than one maze in the picture",
            Self::Doubtful => "walls that may or may not be there",
            Self::NoEnds => "not one start and one goal in the maze",
            Self::UnknownEnds => "start and goal cannot be told apart",
            Self::Covered => "something lies on the maze",
            Self::NoWay => "no way from start to goal",
        }
    }
}

/// The reading of a picture.
#[derive(Debug)]
pub struct MazeReading {
    /// The maze's corners in the photograph, clockwise from the top left, if one was found.
    pub corners: Option<Quad>,
    /// The maze as far as it could be read: without start and goal where they are not known, doubtful walls as they
    /// rather are.
    pub grid: Option<Grid>,
    /// Walls of the grid that may or may not be there.
    pub doubtful: Vec<Cell>,
    /// The reason why the reading is not to be trusted; `None` if it is.
    pub refusal: Option<MazeRefusal>,
    sheet: Option<(Sheet, f32)>,
}

impl MazeReading {
    fn refused(refusal: MazeRefusal) -> Self {
        Self { corners: None, grid: None, doubtful: Vec::new(), refusal: Some(refusal), sheet: None }
    }

    /// `true` if the reading may be shown as what lies in front of the camera.
    #[must_use]
    pub fn trusted(&self) -> bool {
        self.refusal.is_none()
    }

    /// Returns the middle of a cell of the grid in the photograph, to draw paths; `None` outside the grid or without
    /// one.
    #[must_use]
    pub fn place_of(&self, cell: Cell) -> Option<Point> {
        self.grid.as_ref()?.get(cell)?;
        let (sheet, scale) = self.sheet.as_ref()?;
        let [x, y] = sheet.in_picture(sheet.place(cell.column as f32 / 2.0, cell.row as f32 / 2.0));
        Some([x * scale, y * scale])
    }
}

/// Reads line mazes.
#[derive(Debug, Clone, Copy, Default)]
pub struct MazeReader;

impl MazeReader {
    /// A reader.
    #[must_use]
    pub fn new() -> Self {
        Self
    }

    /// Reads a photograph or scan. What cannot be read is a reading that says why.
    #[must_use]
    pub fn read(&self, photo: &RgbImage) -> MazeReading {
        if photo.width().min(photo.height()) < MIN_SIDE {
            return MazeReading::refused(MazeRefusal::TooSmall);
        }
        let ink = Ink::new(photo);
        let mut found = mazes(&ink).into_iter();
        let Some(best) = found.next() else { return MazeReading::refused(MazeRefusal::NoMaze) };
        let several = found.any(|other| area(&other.quad) > SECOND_MAZE * area(&best.quad));
        let ends = find_ends(&best.sheet, photo, ink.scale, best.depth, &best.openings());
        let mut reading = best.into_reading(&ends, ink.scale);
        if several {
            reading.refusal = Some(MazeRefusal::SeveralMazes);
        }
        reading
    }
}

/// A quadrilateral with its walls measured.
#[derive(Debug)]
struct Measured {
    sheet: Sheet,
    quad: Quad,
    /// Darkness of the outer walls' lines, a share of the paper's brightness.
    depth: f32,
    /// Every possible wall with its strength: 0 for paper, about 1 for a line.
    walls: Vec<(Wall, f32)>,
    /// Likeness to a maze, 0 to 1: the share of its walls that are clear-cut, that of its rooms without print in them
    /// and that of its posts with walls, multiplied.
    quality: f32,
}

impl Measured {
    fn new(gray: &image::GrayImage, quad: &Quad, rows: usize, cols: usize) -> Option<Self> {
        let sheet = Sheet::new(gray, quad, rows, cols)?;
        let quad = sheet.corners();
        let (walls, depth) = sheet.walls()?;
        let mut measured = Self { sheet, quad, depth, walls, quality: 0.0 };
        let clear = measured.walls.iter().filter(|(_, strength)| !is_doubtful(*strength)).count();
        let rooms = rows * cols;
        // Two rooms may have print in them, the start's and the goal's.
        let inked = ends::inked_rooms(&measured.sheet, measured.depth).saturating_sub(2);
        measured.quality = clear as f32 / measured.walls.len() as f32
            * (1.0 - inked as f32 / rooms as f32)
            * (1.0 - measured.lone_posts().len() as f32 / measured.inner_posts() as f32);
        Some(measured)
    }

    fn is_wall(strength: f32) -> bool {
        strength > 0.5 * (sheet::ABSENT + sheet::PRESENT)
    }

    fn openings(&self) -> Vec<Wall> {
        let (rows, cols) = (self.sheet.rows, self.sheet.cols);
        let open = self.walls.iter().filter(|(wall, strength)| wall.is_outer(rows, cols) && !Self::is_wall(*strength));
        open.map(|(wall, _)| *wall).collect()
    }

    /// The inner posts that no wall begins at, as cells of the grid.
    fn lone_posts(&self) -> Vec<Cell> {
        let grid = self.grid();
        let lone = |post: &Cell| grid.neighbours(*post).all(|cell| grid.get(cell) == Some(FREE));
        let inner =
            (1..self.sheet.rows).flat_map(|row| (1..self.sheet.cols).map(move |col| Cell::new(2 * row, 2 * col)));
        inner.filter(lone).collect()
    }

    fn inner_posts(&self) -> usize {
        (self.sheet.rows - 1) * (self.sheet.cols - 1)
    }

    /// The maze without start and goal, closed all around.
    fn grid(&self) -> Grid {
        let (rows, cols) = (self.sheet.rows, self.sheet.cols);
        let mut grid = Grid::filled(2 * rows + 1, 2 * cols + 1, WALL);
        for row in 0..rows {
            for col in 0..cols {
                grid.set(Cell::new(2 * row + 1, 2 * col + 1), FREE);
            }
        }
        for (wall, strength) in &self.walls {
            if !wall.is_outer(rows, cols) && !Self::is_wall(*strength) {
                grid.set(wall.cell(), FREE);
            }
        }
        grid
    }

    fn into_reading(self, ends: &Ends, scale: f32) -> MazeReading {
        let mut grid = self.grid();
        let mut doubtful: Vec<Cell> =
            self.walls.iter().filter(|(_, strength)| is_doubtful(*strength)).map(|(wall, _)| wall.cell()).collect();
        let lone = self.lone_posts();
        if lone.len() > LONE_POSTS.1 && lone.len() as f32 > LONE_POSTS.0 * self.inner_posts() as f32 {
            doubtful.extend(lone.iter().flat_map(|post| grid.neighbours(*post)));
            doubtful.sort_unstable();
            doubtful.dedup();
        }
        let refusal = if doubtful.is_empty() {
            match *ends {
                Ends::Known { start, goal } => {
                    grid.set(start, START);
                    grid.set(goal, GOAL);
                    shortest_path(&grid).is_none().then_some(MazeRefusal::NoWay)
                }
                Ends::Unknown => Some(MazeRefusal::UnknownEnds),
                Ends::Missing => Some(MazeRefusal::NoEnds),
                Ends::Covered => Some(MazeRefusal::Covered),
            }
        } else {
            Some(MazeRefusal::Doubtful)
        };
        let corners = Some(self.quad.map(|corner| corner.map(|value| value * scale)));
        MazeReading { corners, grid: Some(grid), doubtful, refusal, sheet: Some((self.sheet, scale)) }
    }
}

fn is_doubtful(strength: f32) -> bool {
    strength > sheet::ABSENT && strength < sheet::PRESENT
}

/// The mazes of a picture, the best first; those that overlap a better one are left out.
fn mazes(ink: &Ink) -> Vec<Measured> {
    let gray = &ink.gray;
    let picture = gray.width() as f32 * gray.height() as f32;
    let mut found: Vec<Measured> = Vec::new();
    for quads in frame::frames(gray) {
        for quad in quads {
            // The pieces of what is clear already.
            if found.iter().any(|maze| maze.quality > CLEAR && overlap(&maze.quad, &quad)) {
                continue;
            }
            let (row_counts, col_counts) = size::room_counts(gray, &quad);
            let mut best: Option<Measured> = None;
            for (&rows, &cols) in row_counts.iter().flat_map(|rows| col_counts.iter().map(move |cols| (rows, cols))) {
                if best.as_ref().is_some_and(|maze| maze.quality > CLEAR) {
                    break;
                }
                if let Some(maze) = Measured::new(gray, &quad, rows, cols)
                    && best.as_ref().is_none_or(|best| maze.quality > best.quality)
                {
                    best = Some(maze);
                }
            }
            found.extend(best.filter(|maze| maze.quality >= MIN_QUALITY && inside(gray, &maze.quad)));
        }
        if found.iter().any(|maze| maze.quality > CLEAR && area(&maze.quad) > LARGE * picture) {
            break;
        }
    }
    let worth = |maze: &Measured| maze.quality * area(&maze.quad).sqrt();
    found.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
    let mut kept: Vec<Measured> = Vec::new();
    for maze in found {
        if !kept.iter().any(|other| overlap(&other.quad, &maze.quad)) {
            kept.push(maze);
        }
    }
    kept
}

/// `true` if the maze is all in the picture.
fn inside(gray: &image::GrayImage, quad: &Quad) -> bool {
    let (right, bottom) = (gray.width() as f32, gray.height() as f32);
    quad.iter().all(|&[x, y]| x >= -1.0 && y >= -1.0 && x <= right && y <= bottom)
}

/// `true` if one of two mazes has its middle in the other.
fn overlap(a: &Quad, b: &Quad) -> bool {
    let middle = |quad: &Quad| [0, 1].map(|axis| quad.iter().map(|corner| corner[axis]).sum::<f32>() / 4.0);
    let reach = |quad: &Quad| area(quad).sqrt() / 2.0;
    distance(middle(a), middle(b)) < reach(a).max(reach(b))
}
