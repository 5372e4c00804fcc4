//! Examples of every command, for its help and its man page.

use trm_cli::manual::Examples;

/// Commands and their examples.
pub(crate) const EXAMPLES: &[(&str, Examples)] = &[
    (
        "solve",
        &[
            (
                "trm solve maze.txt",
                "Solve the mazes or sudokus in a file, and say of each answer whether it is verified.",
            ),
            (
                "trm generate sudoku-hard --count 5 | trm solve --json",
                "Solve what comes from another program, an object for each.",
            ),
            (
                "trm solve puzzles.csv.gz --format csv -o solved.csv --keep-going",
                "Solve a table, and pass over rows that cannot be read.",
            ),
            ("trm solve sudoku.txt --hint", "Say the next deduction instead of the answer."),
            ("trm solve hard.txt --fallback exact", "Search where the model finds no right answer."),
            ("trm solve maze.txt --png maze.png --watch", "Show the answer after every step, and draw it."),
        ],
    ),
    (
        "plan",
        &[
            (
                "trm plan --map map.yaml --start 0.8,0.8 --goal 8.5,5.2 --radius 0.2",
                "Plan a path between two points, in metres, for a robot of that radius.",
            ),
            ("trm plan --map map.yaml --start 0.8,0.8 --goal 8.5,5.2 --radius 0.2 --json", "The same for a program."),
            (
                "trm plan --map map.yaml --start 0.8,0.8 --goal 8.5,5.2 --radius 0.2 --inflation 0.55,3",
                "Off the walls, as with nav2's inflation layer.",
            ),
        ],
    ),
    (
        "worlds",
        &[(
            "trm worlds cliffs --out site",
            "A made-up site with drives: maps, layers, drives to learn from and to test with.",
        )],
    ),
    (
        "drives",
        &[
            (
                "trm drives teach.mcap --map site.yaml --layer ground=ground.png --out drives.jsonl",
                "Make drives of the one topic with poses in a recording, a line for each.",
            ),
            (
                "trm drives bag/ --map site.yaml --topic /amcl_pose > drives.jsonl",
                "Of one of several topics in a bag of ROS 2.",
            ),
            ("trm drives way.csv --columns t,x,y --map site.yaml", "Of a table without a header, on stdout."),
        ],
    ),
    (
        "eval",
        &[
            ("trm eval sudoku --generate sudoku-hard --count 1000 --seed 2026", "Measure a model on fresh puzzles."),
            (
                "trm eval maze --puzzles mazes.jsonl --halt q-halt --json",
                "Measure it on puzzles of a file, as its own signal halts it.",
            ),
        ],
    ),
    (
        "train",
        &[
            ("trm train --task maze-9 --out run", "Train a model from nothing."),
            (
                "trm train --from sudoku --data mine.csv --out tuned",
                "Fine-tune a shipped model on puzzles of one's own.",
            ),
            ("trm train --resume --out run", "Go on with a run that was interrupted."),
        ],
    ),
    (
        "generate",
        &[
            (
                "trm generate sudoku-hard --count 100 --seed 7",
                "Print a hundred sudokus with their answers, the same ones on every machine.",
            ),
            (
                "trm generate maze --size 21x31 --count 10000 --out mazes/train",
                "Write a data set of the public training code.",
            ),
        ],
    ),
    (
        "dataset",
        &[
            (
                "trm dataset arc --from ARC-AGI/data ConceptARC/corpus --out data/arc1concept-aug-1000",
                "Write ARC-AGI's tasks and ConceptARC's, with a thousand copies of each.",
            ),
            (
                "trm dataset sudoku --from train.csv --test test.csv --subsample 1000 --augment 1000 --out data/sudoku",
                "Write a thousand sudokus of a table with a thousand copies of each, and all of another to test on.",
            ),
            (
                "trm dataset maze --generate maze-loops --size 15x15 --count 5000 --augment 7 --out data/mazes",
                "Write fresh mazes, each in its eight turns.",
            ),
        ],
    ),
    ("formats", &[("trm formats", "Show the forms that puzzles are read from.")]),
    (
        "export",
        &[
            (
                "trm export checkpoint.pt --task sudoku --out bundle",
                "Turn a checkpoint of the public code into a bundle.",
            ),
            (
                "trm export models/maze --size 30x30 --out maze-30",
                "Write the ONNX graphs of one size of a model of any size.",
            ),
        ],
    ),
    (
        "quantize",
        &[(
            "trm quantize models/maze-9 --precision int8 --out maze-9-int8",
            "Turn products into 8 bits, if accuracy holds.",
        )],
    ),
    ("inspect", &[("trm inspect models/sudoku", "Say what a bundle holds, and how its weights were made.")]),
    ("sign", &[("trm sign models/maze-9 --key trm.key", "Sign a bundle with a key of minisign.")]),
    ("verify", &[("trm verify maze-9-signed --trust trm.pub", "Check a bundle's signature and its files.")]),
    ("parity", &[("trm parity bundle --golden golden", "Compare a bundle with recorded numbers of the public code.")]),
    ("bench", &[("trm bench models/maze-9 --tune", "Find the batch and the threads that suit this machine.")]),
    ("doctor", &[("trm doctor", "Check engines, providers and models.")]),
    ("models", &[("trm models --json", "List the shipped models for a program.")]),
    ("schema", &[("trm schema solve", "Print the JSON Schema of the objects of `trm solve --json`.")]),
    (
        "completions",
        &[("trm completions bash > ~/.local/share/bash-completion/completions/trm", "Complete words in bash.")],
    ),
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
