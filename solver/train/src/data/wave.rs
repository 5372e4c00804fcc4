//! The wave of a maze: what a recursion that finds shortest paths knows after every step.
//!
//! A wave goes out from G, one distance after the other; when it has reached S, the path comes back from there. A network
//! that is asked for the path alone learns it on small mazes and fails on larger ones; one that is asked in every step for
//! what can be known by then learns to take one more step of it, which is the same on all.

use trm_puzzles::maze::{GOAL, PATH, START, distances};
use trm_puzzles::{Grid, IGNORE_LABEL};

use crate::config_sections::WaveConfig;

/// Class of a cell that the wave has not reached, behind those of the distance modulo 3.
const UNREACHED: i32 = 3;

/// A maze's distances, and the places of the cells on its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Moves to G, by cell; none for walls and cells without a way.
    to_goal: Vec<Option<u32>>,
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
        Some(Self { to_goal, place, way })
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
        classes.extend(self.to_goal.iter().map(|distance| match distance {
            Some(distance) if *distance <= gone => (distance % 3) as i32,
            _ => UNREACHED,
        }));
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
        let config = WaveConfig { speed: 2, slack: 2 };
        let after = |step| {
            let (mut asked, mut classes) = (Vec::new(), Vec::new());
            wave.after(step, &config, (&tokens, &labels), (&mut asked, &mut classes));
            (asked, classes)
        };
        let any = IGNORE_LABEL;
        assert_eq!(after(1), (vec![1, 3, 2, 2, 2, 2, 2, 4], vec![3, 3, 3, 3, 3, 2, 1, 0]));
        assert_eq!(after(3), (vec![1, 3, 2, 2, 2, 2, 2, 4], vec![3, 0, 2, 1, 0, 2, 1, 0]), "S is reached");
        assert_eq!(after(4).0, [1, 3, any, any, 2, 2, 2, 4]);
        assert_eq!(after(5).0, [1, 3, 5, 5, any, any, 2, 4]);
        assert_eq!(after(7).0, [1, 3, 5, 5, 5, 5, 5, 4]);
        assert_eq!(after(7).1, after(3).1, "where it has been, it stays");
    }
}
