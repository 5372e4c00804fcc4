//! The wave of a maze: what a recursion that finds shortest paths knows after every step.
//!
//! A wave goes out from G, one distance after the other; when it has reached S, the path comes back from there. A network
//! that is asked for the path alone learns it on small mazes and fails on larger ones; one that is asked in every step for
//! what can be known by then learns to take one more step of it, which is the same on all.

use std::cmp::Ordering;

use trm_export::train::WAVE_CLASSES;
use trm_puzzles::maze::{GOAL, PATH, START, distances};
use trm_puzzles::{Cell, Grid, IGNORE_LABEL};

use crate::config_sections::WaveConfig;

/// Class of a cell that the wave has not reached, behind those of the distance modulo 3 with a side.
const UNREACHED: i32 = WAVE_CLASSES as i32 - 1;

/// A maze's distances, and the places of the cells on its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Moves to G, by cell; none for walls and cells without a way.
    to_goal: Vec<Option<u32>>,
    /// The side that the way from a cell to G goes on by: above 0, left 1, right 2, below 3. Of several the one that the
    /// answer takes; 0 where there is none.
    side: Vec<u8>,
    /// Moves from S, for cells of the path.
    place: Vec<Option<u32>>,
    /// Moves from S to G.
    way: u32,
}

impl Wave {
    /// The wave of a maze, with `answer` its shortest path; `None` without S, G or a way.
    #[must_use]
    pub fn new(puzzle: &Grid, answer: &Grid) -> Option<Self> {
        let (start, goal) = (puzzle.find(START)?, puzzle.find(GOAL)?);
        let to_goal = distances(puzzle, goal);
        let way = to_goal[start.row * puzzle.width() + start.column]?;
        let on_path = |(&distance, &cell): (&Option<u32>, &u8)| {
            distance.filter(|_| cell == PATH).map(|distance| way.saturating_sub(distance))
        };
        let place = to_goal.iter().zip(answer.cells()).map(on_path).collect();
        let side = puzzle.iter().zip(&to_goal).map(|((cell, _), distance)| {
            let before = distance.and_then(|distance| distance.checked_sub(1))?;
            let next = puzzle
                .neighbours(cell)
                .find(|next| to_goal[next.row * puzzle.width() + next.column] == Some(before))?;
            Some(side_of(cell, next))
        });
        let side = side.map(Option::unwrap_or_default).collect();
        Some(Self { to_goal, side, place, way })
    }

    /// Adds what the cells are to be after ACT step `step`, counted from 1, and their classes. `tokens` are the maze's, `labels`
    /// its path's.
    pub(crate) fn after(
        &self,
        step: u32,
        config: &WaveConfig,
        (tokens, labels): (&[i32], &[i32]),
        (asked, classes): (&mut Vec<i32>, &mut Vec<i32>),
    ) {
        let gone = (config.speed as u32).saturating_mul(step);
        asked.extend(self.place.iter().zip(tokens).zip(labels).map(|((place, &token), &label)| match place {
            // Not yet there; perhaps; there.
            Some(place) if gone < self.way + place => token,
            Some(place) if gone < self.way + place + config.slack as u32 => IGNORE_LABEL,
            _ => label,
        }));
        let (surely, perhaps) = (gone.saturating_sub(config.lag as u32), gone.saturating_add(config.lead as u32));
        classes.extend(self.to_goal.iter().zip(&self.side).map(|(distance, &side)| match distance {
            Some(distance) if *distance <= surely => (distance % 3) as i32 + 3 * i32::from(side),
            Some(distance) if *distance <= perhaps => IGNORE_LABEL,
            _ => UNREACHED,
        }));
    }
}

/// The side of a cell that a neighbour is on.
fn side_of(cell: Cell, next: Cell) -> u8 {
    match (next.row.cmp(&cell.row), next.column.cmp(&cell.column)) {
        (Ordering::Less, _) => 0,
        (_, Ordering::Less) => 1,
        (_, Ordering::Greater) => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use trm_puzzles::maze::shortest_path;
    use trm_puzzles::{Maze, Task};

    use super::*;

    #[test]
    fn the_wave_goes_out_and_the_path_comes_back() {
        // S and five free cells in a row to G, and a wall.
        let puzzle = Grid::from_cells(1, 8, vec![1, 3, 2, 2, 2, 2, 2, 4]).expect("a grid");
        let answer = shortest_path(&puzzle).expect("a way");
        let task = Maze::new(1, 8).expect("a size");
        let (tokens, labels) = (task.encode(&puzzle).expect("tokens"), task.encode(&answer).expect("labels"));
        let wave = Wave::new(&puzzle, &answer).expect("a way");
        let after_with = |config: &WaveConfig, step| {
            let (mut asked, mut classes) = (Vec::new(), Vec::new());
            wave.after(step, config, (&tokens, &labels), (&mut asked, &mut classes));
            (asked, classes)
        };
        let config = WaveConfig { speed: 2, slack: 2, lag: 0, lead: 0 };
        let after = |step| after_with(&config, step);
        let any = IGNORE_LABEL;
        // To the right by 6: every way goes there. Not reached 12.
        assert_eq!(after(1), (vec![1, 3, 2, 2, 2, 2, 2, 4], vec![12, 12, 12, 12, 12, 8, 7, 0]));
        assert_eq!(after(3), (vec![1, 3, 2, 2, 2, 2, 2, 4], vec![12, 6, 8, 7, 6, 8, 7, 0]), "S is reached");
        assert_eq!(after(4).0, [1, 3, any, any, 2, 2, 2, 4]);
        assert_eq!(after(5).0, [1, 3, 5, 5, any, any, 2, 4]);
        assert_eq!(after(7).0, [1, 3, 5, 5, 5, 5, 5, 4]);
        assert_eq!(after(7).1, after(3).1, "where it has been, it stays");
        let loose = WaveConfig { lag: 1, lead: 2, ..config };
        assert_eq!(after_with(&loose, 1).1, [12, 12, 12, any, any, any, 7, 0], "perhaps there, perhaps not");
    }

    #[test]
    fn of_several_ways_on_the_answer_s_is_taught() {
        // S    Both ways round are three moves.
        //   G
        let puzzle = Grid::from_cells(2, 3, vec![3, 2, 2, 2, 2, 4]).expect("a grid");
        let answer = shortest_path(&puzzle).expect("a way");
        let wave = Wave::new(&puzzle, &answer).expect("a way");
        assert_eq!(wave.side, [2, 2, 3, 2, 2, 0]);
        let path: Vec<_> =
            answer.iter().filter(|&(_, value)| value == PATH).map(|(cell, _)| (cell.row, cell.column)).collect();
        assert_eq!(path, [(0, 1), (0, 2)], "right, right, then below");
    }
}
