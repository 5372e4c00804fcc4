//! Mazes: rules, shortest paths, generator.

mod common;

use common::maze_example;
use proptest::prelude::*;
use trm_intake::explained;
use trm_puzzles::maze::{FREE, GOAL, PATH, START, WALL, distances, shortest_path};
use trm_puzzles::{Cell, Generate, Grid, Layout, Maze, MazeGenerator, Rule, Spacing, Task, Verdict, formats, seeded};

fn grid(text: &str) -> Grid {
    formats::parse("test", text.as_bytes()).expect("a maze")[0].grid.clone()
}

fn verify(puzzle: &str, answer: &str) -> Verdict {
    let (puzzle, answer) = (grid(puzzle), grid(answer));
    Maze::new(puzzle.height(), puzzle.width()).expect("supported").verify(&puzzle, &answer)
}

fn rule(verdict: &Verdict) -> Option<Rule> {
    match verdict {
        Verdict::Wrong(violation) => Some(violation.rule),
        _ => None,
    }
}

const OPEN: &str = "######\n#S   #\n#    #\n#   G#\n######\n";

#[test]
fn paths_are_judged() {
    let shortest = verify(OPEN, "######\n#Sooo#\n#   o#\n#   G#\n######\n");
    assert_eq!(shortest.to_string(), "verified: path of 5 moves, a shortest one");
    let detour = verify("#####\n#S G#\n#   #\n#   #\n#####\n", "#####\n#S G#\n#o o#\n#ooo#\n#####\n");
    let path = detour.path().expect("valid");
    assert_eq!((path.length, path.shortest, path.excess(), path.optimal()), (6, 2, 4, false));
    assert_eq!(detour.to_string(), "verified: path of 6 moves, 4 more than the shortest");
}

#[test]
fn broken_paths_name_rule_and_cell() {
    let cases = [
        (
            "######\n#Sooo#\n#    #\n#   G#\n######\n",
            Rule::Connection,
            "the path ends at row 2 column 5 without reaching the goal",
        ),
        (
            "######\n#Sooo#\n# o o#\n#   G#\n######\n",
            Rule::Branch,
            "the path branches or touches itself at row 2 column 3",
        ),
        (
            "######\n#Sooo#\n#o  o#\n#   G#\n######\n",
            Rule::Branch,
            "the path branches or touches itself at row 2 column 2",
        ),
        ("######\n#Sooo#\n#   o#\n#o  G#\n######\n", Rule::Stray, "row 4 column 2 is marked but not on the path"),
        (
            "######\n#Sooo#\n#   o#\n#  oG#\n######\n",
            Rule::Branch,
            "the path branches at the goal, towards row 4 column 4",
        ),
        ("###o##\n#Sooo#\n#   o#\n#   G#\n######\n", Rule::Wall, "the path crosses the wall at row 1 column 4"),
        ("######\n#S#oo#\n#oooo#\n#   G#\n######\n", Rule::Layout, "row 2 column 3 was free and became a wall"),
        ("######\n#oooS#\n#   o#\n#   G#\n######\n", Rule::Layout, "row 2 column 2 was the start and became free"),
    ];
    for (answer, expected, message) in cases {
        let verdict = verify(OPEN, answer);
        assert_eq!(rule(&verdict), Some(expected), "{answer}{verdict}");
        assert_eq!(verdict.to_string(), format!("wrong: {message}"));
    }
    assert_eq!(verify(OPEN, OPEN).to_string(), "unsolved: no path is marked");
    assert!(verify("SG\n  \n", "SG\n  \n").is_verified(), "neighbours need no marks");
    // S and G side by side, and yet a way around is marked: S has two ways on.
    assert_eq!(rule(&verify("SG\n  \n", "SG\noo\n")), Some(Rule::Branch));
}

#[test]
fn missing_ends_are_errors() {
    for (text, message) in [
        ("#####\n#  G#\n#####\n", "in.txt:1: the maze has no start\nhint: mark one free cell with S"),
        ("#####\n#S  #\n#####\n", "in.txt:1: the maze has no goal\nhint: mark one free cell with G"),
        (
            "#####\n#SSG#\n#####\n",
            "in.txt:1: the maze has 2 cells marked S: at row 2 column 2, at row 2 column 3\nhint: leave one",
        ),
    ] {
        let puzzle = &formats::parse("in.txt", text.as_bytes()).expect("parses")[0];
        assert_eq!(explained(&puzzle.check().expect_err("not a maze")), message);
    }
}

#[test]
fn walled_in_mazes_have_no_path() {
    assert_eq!(shortest_path(&grid("#####\n#S#G#\n#####\n")), None);
    assert_eq!(shortest_path(&grid("#####\n#S  #\n#####\n")), None);
}

fn passages(maze: &Grid) -> (usize, usize) {
    let free = |cell: Cell| maze.get(cell).is_some_and(|value| value != WALL);
    let cells: Vec<Cell> = maze.iter().map(|(cell, _)| cell).filter(|&cell| free(cell)).collect();
    let doors: usize = cells.iter().map(|&cell| maze.neighbours(cell).filter(|&next| free(next)).count()).sum();
    (cells.len(), doors / 2)
}

#[test]
fn layouts_are_what_they_say() {
    let mut rng = seeded(5);
    for side in [5, 6, 8, 9, 12, 30] {
        let task = Maze::new(side, side + 1).expect("supported");
        for border in [true, false] {
            let make = |layout| MazeGenerator::new(task).border(border).layouts(&[layout]);
            let perfect = make(Layout::Perfect).generate(&mut rng).expect("large enough").puzzle;
            let (cells, doors) = passages(&perfect);
            assert_eq!(doors, cells - 1, "a tree\n{}", perfect.to_text(|v| "?# SGo".as_bytes()[v as usize] as char));
            let start = perfect.find(START).expect("has one");
            assert_eq!(distances(&perfect, start).iter().flatten().count(), cells, "in one piece");
            let loops = make(Layout::Loops).generate(&mut rng).expect("large enough").puzzle;
            let (cells, doors) = passages(&loops);
            assert!(doors >= cells || side == 5, "{doors} doors between {cells} cells");
            let obstacles = make(Layout::Obstacles).generate(&mut rng).expect("large enough").puzzle;
            let edge = (0..side).all(|row| obstacles.get(Cell::new(row, 0)) == Some(WALL));
            assert!(edge || !border);
        }
    }
}

#[test]
fn unlike_layouts_are_what_they_say() {
    let mut rng = seeded(8);
    let text = |maze: &Grid| maze.to_text(|v| "?# SGo".as_bytes()[v as usize] as char);
    for side in [7, 8, 12, 30] {
        let task = Maze::new(side, side + 1).expect("supported");
        let make = |layout| MazeGenerator::new(task).layouts(&[layout]);
        let mut spirals = 0;
        for _ in 0..8 {
            let rooms = make(Layout::Rooms).generate(&mut rng).expect("large enough").puzzle;
            let (cells, _) = passages(&rooms);
            let start = rooms.find(START).expect("has one");
            assert_eq!(distances(&rooms, start).iter().flatten().count(), cells, "in one piece\n{}", text(&rooms));
            assert!(cells < (side - 2) * (side - 1), "no wall\n{}", text(&rooms));
            let spiral = make(Layout::Spiral).generate(&mut rng).expect("large enough").puzzle;
            let (cells, doors) = passages(&spiral);
            assert!(3 * cells > side * side && doors < cells + 8, "{cells} cells, {doors} doors\n{}", text(&spiral));
            spirals += usize::from(doors == cells - 1);
            let (open, _) = passages(&make(Layout::Open).generate(&mut rng).expect("large enough").puzzle);
            let (dense, _) = passages(&make(Layout::Dense).generate(&mut rng).expect("large enough").puzzle);
            let inside = (side - 2) * (side - 1);
            assert!(
                open * 10 >= inside * 7 && (side < 12 || dense * 10 <= inside * 7),
                "{open} and {dense} of {inside}"
            );
        }
        assert!(spirals > 0, "half of them have no wall opened");
    }
}

/// Moves from start to goal, and the most from the start to any cell.
fn ways(spacing: Spacing) -> Vec<(u32, u32)> {
    let generator = MazeGenerator::new(Maze::new(9, 9).expect("a size")).spacing(spacing);
    let mut rng = seeded(8);
    let mut way = || {
        let maze = generator.generate(&mut rng).expect("large enough").puzzle;
        let found = distances(&maze, maze.find(START).expect("a start"));
        let goal = maze.find(GOAL).expect("a goal");
        (found[goal.row * 9 + goal.column].expect("a way"), found.into_iter().flatten().max().expect("cells"))
    };
    (0..200).map(|_| way()).collect()
}

#[test]
fn start_and_goal_are_as_far_apart_as_asked() {
    let (any, apart, far) = (ways(Spacing::Any), ways(Spacing::Apart), ways(Spacing::Far));
    assert!(any.iter().any(|way| way.0 == 1), "never side by side");
    assert!(apart.iter().all(|&(way, most)| way >= 2 && way >= most / 5), "{apart:?}");
    assert!(apart.iter().any(|&(way, most)| 2 * way < most), "always far");
    assert!(far.iter().all(|&(way, most)| 10 * way >= 9 * most), "{far:?}");
}

#[test]
fn layouts_are_mixed_in_equal_parts() {
    let generator = MazeGenerator::new(Maze::new(9, 9).expect("supported"));
    let mut rng = seeded(11);
    let trees = (0..600)
        .filter(|_| {
            let (cells, doors) = passages(&generator.generate(&mut rng).expect("large enough").puzzle);
            doors + 1 == cells && cells == 31
        })
        .count();
    assert!((150..=250).contains(&trees), "{trees} of 600 are perfect mazes");
}

#[test]
fn the_same_seed_gives_the_same_mazes() {
    let generator = MazeGenerator::new(Maze::new(9, 9).expect("supported"));
    let text = |seed| {
        let mut rng = seeded(seed);
        (0..4)
            .map(|_| generator.generate(&mut rng).expect("large enough").puzzle.to_text(|v| (b'0' + v) as char))
            .collect::<String>()
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
    assert_eq!(
        text(42)[..90].replace('\n', "/"),
        "111111111/122222421/121111121/122212221/111212111/121212121/121212121/132212221/111111111/"
    );
}

#[test]
fn too_small_mazes_are_refused() {
    let generator = MazeGenerator::new(Maze::new(1, 2).expect("supported"));
    let error = generator.generate(&mut seeded(1)).expect_err("no two moves");
    assert!(explained(&error).starts_with("no 1x2 maze with a start and a goal two moves apart"), "{error}");
    let error = Maze::new(0, 5).expect_err("empty");
    assert_eq!(explained(&error), "a maze of 0x5 is not supported, it needs two cells and sides up to 4096");
}

proptest! {
    #[test]
    fn labels_are_shortest_paths((task, puzzle, label) in maze_example()) {
        prop_assert!(task.check(&puzzle).is_ok());
        let verdict = task.verify(&puzzle, &label);
        let path = verdict.path().expect("a valid path");
        prop_assert!(path.optimal());
        prop_assert!(path.length >= 2);
        // Bellman-Ford, to check the breadth-first search by other means.
        let mut best = puzzle.map(|v| if v == GOAL { 0 } else { 254 });
        for _ in 0..puzzle.cells().len() {
            for (cell, value) in puzzle.iter() {
                if value != WALL {
                    let near = puzzle.neighbours(cell).filter_map(|n| best.get(n)).min().unwrap_or(254);
                    best.set(cell, best.get(cell).unwrap().min(near.saturating_add(1)));
                }
            }
        }
        prop_assert_eq!(usize::from(best.get(puzzle.find(START).unwrap()).unwrap()), path.shortest);
    }

    #[test]
    fn removing_any_mark_breaks_the_path((task, puzzle, label) in maze_example(), at in any::<prop::sample::Index>()) {
        let marks: Vec<Cell> = label.iter().filter(|&(_, v)| v == PATH).map(|(cell, _)| cell).collect();
        let mut broken = label.clone();
        broken.set(marks[at.index(marks.len())], FREE);
        prop_assert!(!task.verify(&puzzle, &broken).is_verified());
    }

    #[test]
    fn tokens_come_back((task, puzzle, label) in maze_example()) {
        let tokens = task.encode(&label).unwrap();
        prop_assert_eq!(task.decode(&puzzle, &tokens).unwrap(), label);
    }

    #[test]
    fn symmetries_keep_the_rules((task, puzzle, label) in maze_example(), seed in any::<u64>()) {
        let symmetry = task.symmetry(&mut seeded(seed));
        let (seen, answer) = (symmetry.apply(&puzzle).unwrap(), symmetry.apply(&label).unwrap());
        prop_assert_eq!(seen.size(), puzzle.size());
        prop_assert_eq!(&symmetry.invert(&seen).unwrap(), &puzzle);
        prop_assert_eq!(&symmetry.invert(&answer).unwrap(), &label);
        prop_assert_eq!(task.verify(&seen, &answer), task.verify(&puzzle, &label));
    }
}

#[test]
fn smaller_mazes_lie_somewhere_on_the_grid() {
    let task = Maze::new(11, 13).expect("supported");
    let mut rng = seeded(3);
    for border in [true, false] {
        let generator = MazeGenerator::new(task).layouts(&[Layout::Perfect]).border(border).sides(5, 9);
        let mut corners = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let example = generator.generate(&mut rng).expect("large enough");
            assert_eq!(example.puzzle.size(), (11, 13));
            assert!(task.verify(&example.puzzle, &example.solution).path().is_some_and(|path| path.optimal()));
            let free = || example.puzzle.iter().filter(|&(_, value)| value != WALL).map(|(cell, _)| cell);
            let (top, bottom) = (free().map(|c| c.row).min().unwrap(), free().map(|c| c.row).max().unwrap());
            let (left, right) = (free().map(|c| c.column).min().unwrap(), free().map(|c| c.column).max().unwrap());
            let frame = if border { 2 } else { 0 };
            assert!(bottom - top < 9 - frame + 1 && right - left < 9 - frame + 1, "larger than 9");
            // Rooms of a whole grid are at odd rows and columns with a border, at even ones without.
            assert_eq!((top % 2, left % 2), (usize::from(border), usize::from(border)));
            corners.insert((top, left));
        }
        assert!(corners.len() > 10, "{corners:?}");
    }
    // A range that is larger than the grid, or smaller than any maze, still gives mazes or says why not.
    assert!(MazeGenerator::new(task).sides(21, 40).generate(&mut rng).is_ok());
    assert!(MazeGenerator::new(task).sides(1, 1).generate(&mut rng).is_err());
}
