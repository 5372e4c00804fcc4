//! Examples of every command, for its help and its man page.

use trm_cli::manual::Examples;

/// Commands and their examples.
pub(crate) const EXAMPLES: &[(&str, Examples)] = &[
    (
        "kiosk",
        &[
            ("trm-host kiosk --check --config kiosk.toml", "Check a configuration and everything that it names."),
            ("trm-host kiosk --config kiosk.toml --state state --once", "Read, solve and show one puzzle."),
        ],
    ),
    (
        "model",
        &[
            ("trm-host model activate my-sudoku --state state", "Swap a model, also while the kiosk runs."),
            ("trm-host model roll-back sudoku --state state", "Go back to the one before."),
        ],
    ),
    (
        "read",
        &[
            (
                "trm-host read photo.jpg --solve --overlay answer.png",
                "Read a photograph, solve the puzzle, and draw the answer into it.",
            ),
            ("trm-host read photo.jpg --json", "Print cells and confidences for a program."),
        ],
    ),
    (
        "digits",
        &[(
            "trm-host digits --photos photos --fonts digits.csv --out my-digits",
            "Train a reader on labelled photographs.",
        )],
    ),
    ("display", &[("trm-host display --sheet screens.png", "Draw all screens of the kiosk.")]),
    ("link", &[("trm-host link --port /dev/ttyACM0 --bench", "Measure the line to a microcontroller.")]),
    ("drive", &[("trm-host drive --path plan.json --port /dev/ttyACM0", "Drive what `trm plan --json` has printed.")]),
    (
        "ros2",
        &[
            ("trm-host ros2 --radius 0.22", "Plan on the map that is published, for a robot of that radius."),
            ("trm-host ros2 --costmap --beside-nav2", "Plan on nav2's costmap, beside nav2's planner server."),
        ],
    ),
    ("simulate", &[("trm-host simulate --link robot --track track.csv", "Be a robot, behind a port of that name.")]),
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use trm_cli::manual;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_command_has_examples_that_it_takes() {
        assert_eq!(manual::faults(&Cli::command(), EXAMPLES), Vec::<String>::new());
    }
}
