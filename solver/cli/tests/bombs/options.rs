//! Options of every command.

use super::measured::{Bomb, all, bomb, option};
use super::{TRM, write};

/// An option of `trm plan` on a small maze.
fn on_a_maze(options: &str, says: &'static str) -> Bomb {
    bomb(&format!("plan {options}"), &format!("plan --map m.txt {options}"), says, |folder| {
        write(folder, "m.txt", "#########\n#S      #\n# ##### #\n#      G#\n#########\n");
    })
}

#[test]
fn options() {
    let limit = "is not in ";
    all(
        TRM,
        &[
            on_a_maze("--pairs 18446744073709551615", "is not in 0..=100000"),
            on_a_maze("--pairs 1000000000000", "is not in 0..=100000"),
            on_a_maze("--pairs 99999999999999999999999", "invalid value"),
            on_a_maze("--radius 1e6", "the robot's radius of 1000000 m is more than the map's 10.30 m across\nhint: "),
            on_a_maze("--radius 1e300", "is more than the map's 10.30 m across\nhint: "),
            on_a_maze("--radius 1e-9", "cells are more than the limit of 25000000\nhint: "),
            on_a_maze("--radius inf", "the robot's radius is inf\nhint: "),
            on_a_maze("--resolution 1e300", "the resolution is 1e300, expected 1e-9 to 1e9 metres a cell"),
            on_a_maze("--resolution 1e-300", "the resolution is 1e-300, expected 1e-9 to 1e9 metres a cell"),
            on_a_maze("--resolution 1e9 --radius 1", "cells are more than the limit of 25000000\nhint: "),
            on_a_maze("--spacing 1e-9", "poses on a path of 7.11 m are more than the limit of 1000000\nhint: "),
            on_a_maze("--spacing 1e-300", "are more than the limit of 1000000\nhint: "),
            on_a_maze("--max-detour 1e999", "expected a factor of 1 or more"),
            on_a_maze("--lanes 257", limit),
            on_a_maze("--batch 65537", limit),
            on_a_maze(
                "--lanes 256 --batch 65536",
                "sessions of 65536 rows take more than the limit of 2147483648 bytes",
            ),
            on_a_maze("--lanes 1 --batch 65536", "1 sessions of 65536 rows take more than"),
            on_a_maze("--tries 8", limit),
            on_a_maze("--max-steps 10001", limit),
            on_a_maze("--threads 18446744073709551615", "expected 0 to 1024"),
            on_a_maze("--start 1e300,1e300", "is outside of the map\nhint: "),
            on_a_maze("--seed 18446744073709551616", "invalid value"),
            option("solve --threads 1025", "expected 0 to 1024"),
            option("solve --batch 65537", limit),
            option("solve --tries 1001", limit),
            option("solve --rollouts 1001", limit),
            option("solve --max-steps 1000001", limit),
            option("solve --noise 1e39 /dev/null", "hint: "),
            option(
                "eval sudoku-4 --generate sudoku-easy --count 18446744073709551615 --escalation c.svg",
                "puzzles are more than the limit of 100000\nhint: ",
            ),
            option("eval sudoku-4 --generate sudoku-easy --count 18446744073709551616", "invalid value"),
            option("generate sudoku-easy --count 18446744073709551616", "invalid value"),
            option("generate maze --size 65537x2", "is not HEIGHTxWIDTH"),
            option("generate maze --size 65536x65536", "a maze of 65536x65536 is not supported"),
            option("generate sudoku-easy --size 65536x65536", "no sudoku has 65536x65536 cells\nhint: "),
            option("bench sudoku-4 --threads 1025", limit),
            option("bench sudoku-4 --batch 65537", limit),
            option("bench sudoku-4 --seconds 1e300", "at most 3600"),
            option("quantize sudoku-4 --precision int8 --out q --count 1000001", limit),
        ],
    );
}
