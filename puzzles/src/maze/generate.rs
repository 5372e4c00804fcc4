//! Random mazes with a shortest path as their label.

use rand::Rng;
use trm_intake::Fault;

use super::{FREE, GOAL, Maze, START, WALL, distances, shortest_path};
use crate::{Cell, Example, Generate, Grid, PuzzleError, Result, Task, random};

/// Mazes tried before a request counts as impossible.
const ATTEMPTS: usize = 1_000;

/// The plan that a maze is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Corridors one cell wide, one way between any two cells.
    Perfect,
    /// The same with some walls opened: several ways.
    Loops,
    /// Obstacles at random, 15 to 40 % of the cells.
    Obstacles,
    /// An open field with few obstacles, or none, 0 to 15 % of the cells.
    Open,
    /// Pockets between many obstacles, 40 to 95 % of the cells.
    Dense,
    /// Rooms within rooms: walls across, each with a door or two.
    Rooms,
    /// One corridor that winds inwards, now and then with a wall opened.
    Spiral,
}

impl Layout {
    /// Those of a generator that is asked for none in particular.
    pub const ALL: [Self; 3] = [Self::Perfect, Self::Loops, Self::Obstacles];
    /// All of them.
    pub const EVERY: [Self; 7] =
        [Self::Perfect, Self::Loops, Self::Obstacles, Self::Open, Self::Dense, Self::Rooms, Self::Spiral];
}

/// The way between start and goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spacing {
    /// Any two cells that a way joins, also neighbours.
    Any,
    /// At least two moves, and a fifth of the way from the start to the cell farthest from it.
    Apart,
    /// At least nine tenths of that way.
    Far,
}

/// Makes mazes of one size, in a layout drawn from a list for each maze.
///
/// Corridors need odd sides; on an even side one of the walls across is doubled. Start and goal are free cells,
/// [`Spacing::Apart`] unless [`spacing`](Self::spacing) says otherwise.
#[derive(Clone, Debug)]
pub struct MazeGenerator {
    task: Maze,
    layouts: Vec<Layout>,
    border: bool,
    spacing: Spacing,
    sides: Option<(usize, usize)>,
}

impl MazeGenerator {
    /// All layouts in equal parts, with walls all around where the sides leave room for them (5 cells or more).
    #[must_use]
    pub fn new(task: Maze) -> Self {
        let border = task.height() >= 5 && task.width() >= 5;
        Self { task, layouts: Layout::ALL.to_vec(), border, spacing: Spacing::Apart, sides: None }
    }

    /// Only these layouts, in equal parts; an empty list changes nothing.
    #[must_use]
    pub fn layouts(mut self, layouts: &[Layout]) -> Self {
        if !layouts.is_empty() {
            self.layouts = layouts.to_vec();
        }
        self
    }

    /// Sets whether there are walls all around.
    #[must_use]
    pub fn border(mut self, border: bool) -> Self {
        self.border = border;
        self
    }

    /// Sets how far apart start and goal are.
    #[must_use]
    pub fn spacing(mut self, spacing: Spacing) -> Self {
        self.spacing = spacing;
        self
    }

    /// Smaller mazes as well: each side is drawn from `least`, `least + 2`, and so on up to `most`, and the maze is put
    /// somewhere on the grid, all else being wall. An even number of cells from the grid's edge, so that corridors lie
    /// where those of a whole grid do. Sides that the grid does not have room for are left out.
    #[must_use]
    pub fn sides(mut self, least: usize, most: usize) -> Self {
        self.sides = Some((least, most.max(least)));
        self
    }

    /// The maze task it makes puzzles of.
    #[must_use]
    pub fn maze(&self) -> Maze {
        self.task
    }

    fn attempt(&self, rng: &mut (impl Rng + ?Sized)) -> Option<Example> {
        let (height, width) = (self.task.height(), self.task.width());
        let Some((least, most)) = self.sides else { return self.maze_of(height, width, rng) };
        let mut side = |room: usize| {
            let least = least.min(room);
            least + 2 * random::below(rng, (most.min(room) - least) / 2 + 1)
        };
        let (inner_height, inner_width) = (side(height), side(width));
        let Example { puzzle, solution } = self.maze_of(inner_height, inner_width, rng)?;
        let mut offset = |room: usize| 2 * random::below(rng, room / 2 + 1);
        let (top, left) = (offset(height - inner_height), offset(width - inner_width));
        let placed = |maze: &Grid| {
            let mut grid = Grid::filled(height, width, WALL);
            for (cell, value) in maze.iter() {
                grid.set(Cell::new(cell.row + top, cell.column + left), value);
            }
            grid
        };
        Some(Example { puzzle: placed(&puzzle), solution: placed(&solution) })
    }

    /// A maze of this size with its answer; `None` for one that has no room for start and goal.
    fn maze_of(&self, height: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Option<Example> {
        let layout = *random::choose(rng, &self.layouts)?;
        // Every layout is drawn with a border, which lies outside the maze where none is wanted.
        let frame = usize::from(!self.border);
        let (outer_height, outer_width) = (height + 2 * frame, width + 2 * frame);
        if outer_height < 3 || outer_width < 3 {
            return None;
        }
        let framed = match layout {
            Layout::Perfect => corridors(outer_height, outer_width, false, rng),
            Layout::Loops => corridors(outer_height, outer_width, true, rng),
            Layout::Obstacles => obstacles(outer_height, outer_width, (15, 40), rng),
            Layout::Open => obstacles(outer_height, outer_width, (0, 15), rng),
            Layout::Dense => obstacles(outer_height, outer_width, (40, 95), rng),
            Layout::Rooms => rooms(outer_height, outer_width, rng),
            Layout::Spiral => spiral(outer_height, outer_width, rng),
        };
        let mut puzzle = framed.remap(height, width, |cell| Cell::new(cell.row + frame, cell.column + frame));
        place_start_and_goal(&mut puzzle, self.spacing, rng)?;
        let solution = shortest_path(&puzzle)?;
        Some(Example { puzzle, solution })
    }
}

impl Generate for MazeGenerator {
    fn task(&self) -> &dyn Task {
        &self.task
    }

    fn generate(&self, rng: &mut dyn Rng) -> Result<Example> {
        for _ in 0..ATTEMPTS {
            if let Some(example) = self.attempt(rng) {
                return Ok(example);
            }
        }
        let (height, width) = (self.task.height(), self.task.width());
        let fault = format!("no {height}x{width} maze with a start and a goal two moves apart in {ATTEMPTS} tries");
        Err(PuzzleError::Generate(Fault::from(fault).advise("ask for a larger maze, or one without a border")))
    }
}

/// Places the start anywhere, and the goal anywhere far enough from it; `None` where there is no such cell.
fn place_start_and_goal(maze: &mut Grid, spacing: Spacing, rng: &mut (impl Rng + ?Sized)) -> Option<()> {
    let free: Vec<Cell> = maze.iter().filter(|&(_, value)| value == FREE).map(|(cell, _)| cell).collect();
    let start = *random::choose(rng, &free)?;
    let distance = distances(maze, start);
    let farthest = distance.iter().flatten().max()?;
    let least = match spacing {
        Spacing::Any => 1,
        Spacing::Apart => (farthest / 5).max(2),
        Spacing::Far => (farthest - farthest / 10).max(2),
    };
    let far: Vec<usize> =
        (0..distance.len()).filter(|&index| distance[index].is_some_and(|moves| moves >= least)).collect();
    let goal = Cell::from_index(*random::choose(rng, &far)?, maze.width());
    maze.set(start, START);
    maze.set(goal, GOAL);
    Some(())
}

/// Walls all around, obstacles inside, a percentage of its cells.
fn obstacles(height: usize, width: usize, (least, most): (usize, usize), rng: &mut (impl Rng + ?Sized)) -> Grid {
    let percent = random::between(rng, least, most);
    let mut maze = Grid::filled(height, width, WALL);
    for row in 1..height - 1 {
        for column in 1..width - 1 {
            if random::below(rng, 100) >= percent {
                maze.set(Cell::new(row, column), FREE);
            }
        }
    }
    maze
}

/// Rooms by recursive division: a wall across a room, with a door or two, then the same on both sides of it.
fn rooms(height: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Grid {
    let mut maze = Grid::filled(height, width, WALL);
    for row in 1..height - 1 {
        for column in 1..width - 1 {
            maze.set(Cell::new(row, column), FREE);
        }
    }
    // At least one wall, where there is room for one.
    let most = (height.max(width) - 3) / 2;
    let smallest = random::between(rng, 1, most.clamp(1, 3));
    // Rooms by their rows and columns, the walls around them not counted.
    let mut open = vec![((1, height - 1), (1, width - 1))];
    while let Some((rows, columns)) = open.pop() {
        let (high, wide) = (rows.1 - rows.0, columns.1 - columns.0);
        let lies = high > wide || (high == wide && random::below(rng, 2) == 0);
        let (along, across) = if lies { (columns, rows) } else { (rows, columns) };
        if across.1 - across.0 < 2 * smallest + 1 {
            continue;
        }
        let wall = random::between(rng, across.0 + smallest, across.1 - 1 - smallest);
        let cell = |place: usize| if lies { Cell::new(wall, place) } else { Cell::new(place, wall) };
        for place in along.0..along.1 {
            // A door of a wall that ends here stays open.
            let ends_at_door = [along.0, along.1 - 1].contains(&place) && {
                let outside = if place == along.0 { cell(place - 1) } else { cell(place + 1) };
                maze.get(outside) == Some(FREE)
            };
            if !ends_at_door {
                maze.set(cell(place), WALL);
            }
        }
        for _ in 0..=random::below(rng, 2) {
            maze.set(cell(random::between(rng, along.0, along.1 - 1)), FREE);
        }
        let halves = [(across.0, wall), (wall + 1, across.1)];
        open.extend(halves.map(|half| if lies { (half, along) } else { (along, half) }));
    }
    maze
}

/// A corridor one cell wide that winds inwards, in either direction; in one of two a wall or two are opened.
fn spiral(height: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Grid {
    let mut maze = Grid::filled(height, width, WALL);
    let (mut row, mut column) = (1, 1);
    let mut heading = 0;
    maze.set(Cell::new(row, column), FREE);
    let is_inside = |cell: &Cell| (1..height - 1).contains(&cell.row) && (1..width - 1).contains(&cell.column);
    let mut turns = 0;
    while turns < 2 {
        let here = Cell::new(row, column);
        // Right, down, left, up: every cell inside has a neighbour on each side.
        let next = match heading {
            0 => Cell::new(row, column + 1),
            1 => Cell::new(row + 1, column),
            2 => Cell::new(row, column - 1),
            _ => Cell::new(row - 1, column),
        };
        // A cell that touches the corridor behind would open a second way.
        let touches = |cell: Cell| maze.neighbours(cell).any(|other| other != here && maze.get(other) == Some(FREE));
        if is_inside(&next) && maze.get(next) == Some(WALL) && !touches(next) {
            maze.set(next, FREE);
            (row, column) = (next.row, next.column);
            turns = 0;
        } else {
            heading = (heading + 1) % 4;
            turns += 1;
        }
    }
    if random::below(rng, 2) == 0 {
        for _ in 0..=random::below(rng, 2) {
            let wall = Cell::new(random::between(rng, 1, height - 2), random::between(rng, 1, width - 2));
            maze.set(wall, FREE);
        }
    }
    if random::below(rng, 2) == 0 {
        maze.remap(height, width, |cell| Cell::new(cell.row, width - 1 - cell.column))
    } else {
        maze
    }
}

/// A maze of corridors with walls all around, both sides at least 3.
fn corridors(height: usize, width: usize, loops: bool, rng: &mut (impl Rng + ?Sized)) -> Grid {
    let (odd_height, odd_width) = (height - 1 + height % 2, width - 1 + width % 2);
    let mut maze = recursive_backtracker(odd_height, odd_width, rng);
    if loops {
        open_walls(&mut maze, rng);
    }
    let rows = doubled_line(height, rng);
    let columns = doubled_line(width, rng);
    maze.remap(height, width, |cell| {
        Cell::new(cell.row - usize::from(cell.row > rows), cell.column - usize::from(cell.column > columns))
    })
}

/// The line of walls to repeat once so that an odd number of lines becomes `side`; `side` itself for none.
fn doubled_line(side: usize, rng: &mut (impl Rng + ?Sized)) -> usize {
    match side {
        _ if side % 2 == 1 => side,
        // Even lines hold walls; the two at the edges would only thicken the border.
        6.. => 2 * random::between(rng, 1, side / 2 - 2),
        _ => 0,
    }
}

/// A perfect maze by depth-first search: rooms at odd rows and columns, joined two cells apart.
fn recursive_backtracker(height: usize, width: usize, rng: &mut (impl Rng + ?Sized)) -> Grid {
    let mut maze = Grid::filled(height, width, WALL);
    let room = |rng: &mut _, side: usize| 2 * random::below(rng, side / 2) + 1;
    let first = Cell::new(room(rng, height), room(rng, width));
    maze.set(first, FREE);
    let mut trail = vec![first];
    while let Some(&here) = trail.last() {
        let closed: Vec<(Cell, Cell)> = maze
            .neighbours(here)
            .filter_map(|door| Some((door, beyond(here, door)?)))
            .filter(|&(_, room)| maze.get(room) == Some(WALL))
            .collect();
        match random::choose(rng, &closed) {
            Some(&(door, room)) => {
                maze.set(door, FREE);
                maze.set(room, FREE);
                trail.push(room);
            }
            None => {
                trail.pop();
            }
        }
    }
    maze
}

/// The room on the other side of a door.
fn beyond(room: Cell, door: Cell) -> Option<Cell> {
    Some(Cell::new((2 * door.row).checked_sub(room.row)?, (2 * door.column).checked_sub(room.column)?))
}

/// Opens one wall between two rooms for every eight rooms at most, at least one where there is one.
fn open_walls(maze: &mut Grid, rng: &mut (impl Rng + ?Sized)) {
    let (height, width) = maze.size();
    let mut walls: Vec<Cell> = (1..height - 1)
        .flat_map(|row| (1..width - 1).map(move |column| Cell::new(row, column)))
        .filter(|cell| (cell.row + cell.column) % 2 == 1 && maze.get(*cell) == Some(WALL))
        .collect();
    random::shuffle(rng, &mut walls);
    let rooms = (height / 2) * (width / 2);
    let opened = random::between(rng, 1, (rooms / 8).max(1));
    for &wall in walls.iter().take(opened) {
        maze.set(wall, FREE);
    }
}
