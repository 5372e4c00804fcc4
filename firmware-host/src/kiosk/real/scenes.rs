//! The kiosk's scenes, as screens that can be drawn.

use std::time::Instant;

use crate::display::{Board, Preview, Screen};
use crate::kiosk::parts::{Corners, Frame, Puzzle, Reading, Scene};

/// Turns scenes into screens. Remembers what a scene takes from the ones before it.
#[derive(Debug)]
pub struct Staging {
    /// Most ACT steps.
    limit: usize,
    idle_since: Option<Instant>,
    /// Where the board was seen last.
    corners: Option<Corners>,
}

impl Staging {
    /// For a solver of at most `limit` ACT steps.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, idle_since: None, corners: None }
    }

    /// The screen of a scene.
    pub fn screen(&mut self, scene: &Scene<'_>) -> Screen {
        self.idle_since = matches!(scene, Scene::Idle).then(Instant::now);
        match *scene {
            Scene::Idle => Screen::Idle { elapsed: std::time::Duration::ZERO },
            Scene::Aim { frame, corners } => {
                self.corners = corners;
                aim(frame, corners)
            }
            Scene::Reading { frame, reading } => match reading {
                Some(Reading { puzzle: Some(puzzle), doubtful, .. }) => {
                    Screen::Reading { board: board(puzzle), doubtful: doubtful.clone(), remark: None }
                }
                _ => aim(frame, self.corners),
            },
            Scene::Refused { reading, .. } => {
                let reason =
                    reading.refusal.map_or_else(|| "not read with certainty".to_owned(), |refusal| refusal.to_string());
                match &reading.puzzle {
                    Some(puzzle) => {
                        let doubtful = reading.doubtful.clone();
                        Screen::Reading { board: board(puzzle), doubtful, remark: Some(reason) }
                    }
                    None => Screen::Error {
                        code: "not read".to_owned(),
                        text: capitalised(&reason),
                        hint: "Lay one puzzle flat, all in view".to_owned(),
                    },
                }
            }
            Scene::Solving { puzzle, answer, changed, step } => Screen::Solving {
                board: board(puzzle).with_answer(answer.clone()),
                changed: changed.to_vec(),
                step,
                limit: self.limit,
            },
            Scene::Solved(verified) => {
                let solution = verified.solution();
                Screen::Solved {
                    board: board(verified.puzzle()).with_answer(solution.answer.clone()),
                    steps: solution.steps,
                    time: solution.time,
                }
            }
            Scene::NotSolved { puzzle, answer, verdict } => {
                Screen::NotSolved { board: board(puzzle).with_answer(answer.clone()), reason: verdict.to_string() }
            }
            Scene::Error { part, text, hint } => {
                let hint = hint.unwrap_or("It tries again by itself");
                Screen::Error { code: (*part).to_owned(), text: capitalised(text), hint: capitalised(hint) }
            }
        }
    }

    /// The screen as it is by now, if it is one that moves by itself.
    #[must_use]
    pub fn moving(&self) -> Option<Screen> {
        self.idle_since.map(|since| Screen::Idle { elapsed: since.elapsed() })
    }
}

fn aim(frame: &Frame, corners: Option<Corners>) -> Screen {
    Screen::Aim { preview: Preview::Colour(frame.image.clone()), corners }
}

fn board(puzzle: &Puzzle) -> Board {
    Board::new(puzzle.kind, puzzle.grid.clone())
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use trm_puzzles::{Grid, PuzzleKind, Sudoku, Verdict};

    use super::*;
    use crate::kiosk::parts::{Solution, Unread, Verified};
    use crate::vision::Refusal;

    #[test]
    fn nothing_but_a_verified_answer_becomes_the_screen_that_says_solved() {
        let task = Sudoku::new(2, 2).unwrap();
        let rows = [[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]];
        let answer = Grid::from_rows(&rows).unwrap();
        let mut given = answer.clone();
        given.cells_mut()[5] = 0;
        let puzzle = Puzzle { kind: PuzzleKind::Sudoku(task), grid: given };
        let verdict = puzzle.kind.task().verify(&puzzle.grid, &answer);
        let solution =
            Solution { answer: answer.clone(), verdict, steps: 3, time: std::time::Duration::from_millis(20) };
        let mut staging = Staging::new(16);
        let solved = staging.screen(&Scene::Solved(Verified::of(&puzzle, &solution).unwrap()));
        assert!(matches!(&solved, Screen::Solved { board, steps: 3, .. } if board.answer == answer));
        let verdict = Verdict::Unverifiable { reason: "two answers".to_owned() };
        let scene = Scene::NotSolved { puzzle: &puzzle, answer: &answer, verdict: &verdict };
        let screen = staging.screen(&scene);
        assert!(matches!(&screen, Screen::NotSolved { reason, .. } if reason.ends_with("two answers")), "{screen:?}");
    }

    #[test]
    fn what_is_wrong_is_said_to_visitors_and_keepers() {
        let mut staging = Staging::new(16);
        let screen =
            staging.screen(&Scene::Error { part: "camera", text: "no picture", hint: Some("check the cable") });
        let error = |code: &str, text: &str, hint: &str| Screen::Error {
            code: code.to_owned(),
            text: text.to_owned(),
            hint: hint.to_owned(),
        };
        assert_eq!(screen, error("camera", "No picture", "Check the cable"));
        let reading = Reading {
            corners: None,
            puzzle: None,
            confidence: Vec::new(),
            trusted: false,
            doubtful: Vec::new(),
            refusal: Some(Unread::Board(Refusal::NoBoard)),
        };
        let frame = Frame { name: "1".to_owned(), image: RgbImage::new(4, 4), cut: false };
        let screen = staging.screen(&Scene::Refused { frame: &frame, reading: &reading });
        assert_eq!(screen, error("not read", "No whole board in the picture", "Lay one puzzle flat, all in view"));
        assert!(staging.moving().is_none());
        staging.screen(&Scene::Idle);
        assert!(staging.moving().is_some(), "the idle screen moves");
    }

    #[test]
    fn a_frame_that_is_being_read_shows_where_the_board_was_seen() {
        let frame = Frame { name: "1".to_owned(), image: RgbImage::new(4, 4), cut: false };
        let corners = Some([[0.0, 0.0], [3.0, 0.0], [3.0, 3.0], [0.0, 3.0]]);
        let mut staging = Staging::new(16);
        let aimed = staging.screen(&Scene::Aim { frame: &frame, corners });
        let reading = staging.screen(&Scene::Reading { frame: &frame, reading: None });
        assert_eq!(aimed, reading);
    }
}
