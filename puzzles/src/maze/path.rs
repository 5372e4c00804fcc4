//! Paths: finding a shortest one, and judging a marked one.

use std::collections::VecDeque;

use super::{FREE, GOAL, PATH, START, WALL};
use crate::{AnswerCount, Cell, Grid, PathLength, Rule, Verdict, Violation};

/// Moves from `from` to every cell that can be reached without crossing a wall; `None` for the others.
#[must_use]
pub fn distances(maze: &Grid, from: Cell) -> Vec<Option<u32>> {
    let width = maze.width();
    let mut distance = vec![None; maze.cells().len()];
    let mut queue = VecDeque::new();
    if let Some(slot) = distance.get_mut(from.row * width + from.column) {
        *slot = Some(0);
        queue.push_back((from, 0));
    }
    while let Some((cell, moves)) = queue.pop_front() {
        for next in maze.neighbours(cell) {
            let slot = &mut distance[next.row * width + next.column];
            if slot.is_none() && maze.get(next) != Some(WALL) {
                *slot = Some(moves + 1);
                queue.push_back((next, moves + 1));
            }
        }
    }
    distance
}

/// The maze with a shortest path from S to G marked, or `None` when there is no S, no G or no way.
///
/// Of several shortest paths it marks one, always the same. Marks that the maze already had are taken away.
#[must_use]
pub fn shortest_path(maze: &Grid) -> Option<Grid> {
    let (start, goal) = (maze.find(START)?, maze.find(GOAL)?);
    let width = maze.width();
    let to_goal = distances(maze, goal);
    let at = |cell: Cell| to_goal[cell.row * width + cell.column];
    let mut marked = maze.map(|cell| if cell == PATH { FREE } else { cell });
    let mut moves = at(start)?;
    let mut here = start;
    while moves > 1 {
        moves -= 1;
        here = maze.neighbours(here).find(|&next| at(next) == Some(moves))?;
        marked.set(here, PATH);
    }
    Some(marked)
}

/// The number of shortest paths from S to G.
pub(super) fn count_shortest(maze: &Grid) -> AnswerCount {
    let (Some(start), Some(goal)) = (maze.find(START), maze.find(GOAL)) else { return AnswerCount::None };
    let width = maze.width();
    let to_goal = distances(maze, goal);
    let at = |cell: Cell| to_goal[cell.row * width + cell.column];
    let Some(moves) = at(start) else { return AnswerCount::None };
    // All cells at the same distance on the way: two of them, or two ways to one, are two paths.
    let mut here = vec![(start, false)];
    for left in (0..moves).rev() {
        let mut next: Vec<(Cell, bool)> = Vec::new();
        for &(cell, several) in &here {
            for beside in maze.neighbours(cell).filter(|&beside| at(beside) == Some(left)) {
                match next.iter_mut().find(|(known, _)| *known == beside) {
                    Some((_, twice)) => *twice = true,
                    None => next.push((beside, several)),
                }
            }
        }
        if next.iter().any(|&(_, several)| several) || next.len() > 1 {
            return AnswerCount::Several;
        }
        here = next;
    }
    AnswerCount::One
}

/// Judges a marked path; see [`Maze`](super::Maze) for the rules.
pub(super) fn verify(puzzle: &Grid, answer: &Grid) -> Verdict {
    if answer.size() != puzzle.size() {
        return Verdict::Wrong(Violation::size(puzzle.size(), answer.size()));
    }
    if let Some(verdict) = layout(puzzle, answer) {
        return verdict;
    }
    let (Some(start), Some(goal)) = (puzzle.find(START), puzzle.find(GOAL)) else {
        return Verdict::Wrong(Violation::new(Rule::Endpoints, [], "the maze has no start or no goal"));
    };
    let length = match trace(answer, start, goal) {
        Ok(length) => length,
        Err(verdict) => return verdict,
    };
    let to_goal = distances(puzzle, goal);
    let shortest = to_goal[start.row * puzzle.width() + start.column];
    Verdict::Verified {
        path: Some(PathLength {
            length,
            // The path itself shows that there is one.
            shortest: shortest.map_or(length, |moves| moves as usize),
        }),
    }
}

/// Finds the first change in an answer other than a free cell becoming a path cell; `None` if there is none.
fn layout(puzzle: &Grid, answer: &Grid) -> Option<Verdict> {
    let name = |value| match value {
        WALL => "a wall",
        FREE | PATH => "free",
        START => "the start",
        GOAL => "the goal",
        _ => "unknown",
    };
    let mut unknown = None;
    for ((cell, before), &after) in puzzle.iter().zip(answer.cells()) {
        let wrong = |rule, message| Some(Verdict::Wrong(Violation::new(rule, [cell], message)));
        match (before, after) {
            (FREE | PATH, FREE | PATH) => {}
            _ if before == after => {}
            (WALL, PATH) => {
                return wrong(Rule::Wall, format!("the path crosses the wall at {cell}"));
            }
            (_, WALL..=PATH) => {
                let (was, is) = (name(before), name(after));
                return wrong(Rule::Layout, format!("{cell} was {was} and became {is}"));
            }
            _ => unknown = unknown.or(Some(cell)),
        }
    }
    unknown.map(|cell| Verdict::unsolved(format!("nothing known at {cell}"), Some(cell)))
}

/// Follows the marks from start to goal and returns the number of moves.
fn trace(answer: &Grid, start: Cell, goal: Cell) -> Result<usize, Verdict> {
    let marks = answer.iter().filter(|&(_, v)| v == PATH).count();
    let wrong = |rule, cells: &[Cell], message: String| {
        Err(Verdict::Wrong(Violation::new(rule, cells.iter().copied(), message)))
    };
    if marks == 0 && !answer.neighbours(start).any(|cell| cell == goal) {
        return Err(Verdict::unsolved("no path is marked", None));
    }
    let (mut previous, mut here, mut length) = (start, start, 0);
    while here != goal {
        // Every cell so far had one way on, so the walk cannot come back to a cell it has left.
        let onward: Vec<Cell> = answer
            .neighbours(here)
            .filter(|&cell| cell != previous && matches!(answer.get(cell), Some(PATH | GOAL | START)))
            .collect();
        match onward[..] {
            [] => {
                let message = format!("the path ends at {here} without reaching the goal");
                return wrong(Rule::Connection, &[here], message);
            }
            [next] if next != start => {
                (previous, here) = (here, next);
                length += 1;
            }
            _ => {
                let message = format!("the path branches or touches itself at {here}");
                return wrong(Rule::Branch, &[here], message);
            }
        }
    }
    // The walk has seen length + 1 cells: S, G and the marks between.
    let touching =
        answer.neighbours(goal).find(|&cell| cell != previous && matches!(answer.get(cell), Some(PATH | START)));
    if let Some(cell) = touching {
        let message = format!("the path branches at the goal, towards {cell}");
        return wrong(Rule::Branch, &[goal, cell], message);
    }
    match stray(answer, start).filter(|_| length != marks + 1) {
        Some(cell) => {
            let message = format!("{cell} is marked but not on the path");
            wrong(Rule::Stray, &[cell], message)
        }
        None => Ok(length),
    }
}

/// A marked cell that does not hang together with the start.
fn stray(answer: &Grid, start: Cell) -> Option<Cell> {
    let marks_only = answer.map(|value| if value == FREE { WALL } else { value });
    let reached = distances(&marks_only, start);
    answer
        .iter()
        .zip(reached)
        .find(|&((_, value), reached)| value == PATH && reached.is_none())
        .map(|((cell, _), _)| cell)
}
