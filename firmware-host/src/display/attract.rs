//! The idle screen's animation: puzzles that solve themselves, as a function of time.

use std::time::Duration;

use trm_puzzles::maze::{FREE, GOAL, PATH, START};
use trm_puzzles::{Cell, Grid, Maze, PuzzleKind, Sudoku};

use super::Board;

/// One puzzle is shown for this long, in milliseconds.
const CYCLE: u64 = 8000;
/// When the answer begins and when it is complete.
const SOLVING: std::ops::Range<u64> = 800..5200;

const SUDOKU: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
const SUDOKU_ANSWER: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
const MAZE: [&str; 15] = [
    "###############",
    "#S#   #       #",
    "# # # # ##### #",
    "#   # #   #   #",
    "##### ### # ###",
    "#   #   # #   #",
    "# # ### # ### #",
    "# #     #   # #",
    "# ######### # #",
    "# #       # # #",
    "# # ##### # # #",
    "# #     # #   #",
    "# ##### # #####",
    "#       #    G#",
    "###############",
];

/// The board at a time, and the cells to highlight.
pub(super) fn board(elapsed: Duration) -> (Board, Vec<usize>) {
    let now = elapsed.as_millis() as u64;
    let (cycle, at) = (now / CYCLE, now % CYCLE);
    if cycle.is_multiple_of(2) { sudoku(at) } else { maze(at) }
}

/// Each blank settles at a time of its own; for a while before, it shows other digits.
fn sudoku(now: u64) -> (Board, Vec<usize>) {
    let digits = |text: &str| text.bytes().map(|digit| digit - b'0').collect::<Vec<u8>>();
    let task = Sudoku::with_side(9).expect("9 is a side of sudokus");
    let grid = |cells| Grid::from_cells(9, 9, cells).expect("81 cells");
    let (given, answer) = (digits(SUDOKU), digits(SUDOKU_ANSWER));
    let mut changed = Vec::new();
    let shown = (0..81).map(|index| {
        let noise = scatter(index as u64);
        let settles = SOLVING.start + 500 + noise % (SOLVING.end - SOLVING.start - 500);
        if given[index] != 0 {
            return given[index];
        }
        if now >= settles {
            if now < settles + 350 {
                changed.push(index);
            }
            answer[index]
        } else if now + 900 >= settles {
            1 + (scatter(noise ^ (now / 150)) % 9) as u8
        } else {
            0
        }
    });
    let shown = grid(shown.collect());
    (Board::new(PuzzleKind::Sudoku(task), grid(given)).with_answer(shown), changed)
}

/// The path grows from the start to the goal.
fn maze(now: u64) -> (Board, Vec<usize>) {
    let symbols = |byte: u8| match byte {
        b'#' => trm_puzzles::maze::WALL,
        b'S' => START,
        b'G' => GOAL,
        _ => FREE,
    };
    let given = Grid::from_rows(&MAZE).expect("rows of equal length").map(symbols);
    let kind = PuzzleKind::Maze(Maze::new(given.height(), given.width()).expect("a small maze"));
    let board = Board::new(kind, given);
    let Some(answer) = trm_puzzles::maze::shortest_path(&board.given) else { return (board, Vec::new()) };
    let path = walk(&answer);
    let range = SOLVING.end - SOLVING.start;
    let done = (now.saturating_sub(SOLVING.start).min(range) as usize * path.len()) / range as usize;
    let mut shown = board.given.clone();
    for &cell in &path[..done] {
        shown.set(cell, PATH);
    }
    let head = if done < path.len() { path[done.saturating_sub(2)..done].to_vec() } else { Vec::new() };
    let changed = head.iter().map(|cell| cell.row * shown.width() + cell.column).collect();
    (board.with_answer(shown), changed)
}

/// The cells of a marked path, from the start on.
fn walk(answer: &Grid) -> Vec<Cell> {
    let mut path: Vec<Cell> = Vec::new();
    let mut at = answer.find(START);
    while let Some(cell) = at {
        let next = answer.neighbours(cell).find(|&n| answer.get(n) == Some(PATH) && !path.contains(&n));
        path.extend(next);
        at = next;
    }
    path
}

/// A number that looks random (the finaliser of `SplitMix64`).
fn scatter(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_puzzles_end_solved() {
        for cycle in 0..2 {
            let (board, changed) = board(Duration::from_millis(cycle * CYCLE + CYCLE - 1));
            assert!(changed.is_empty());
            assert!(board.kind.task().verify(&board.given, &board.answer).is_verified(), "{}", cycle);
        }
    }

    #[test]
    fn it_never_stands_still_while_solving() {
        let at = |ms| board(Duration::from_millis(ms)).0.answer;
        assert!((SOLVING.start + 500..SOLVING.end - 500).step_by(400).all(|ms| at(ms) != at(ms + 400)));
    }
}
