//! Data sets for `trm eval`.

use std::fs;
use std::path::Path;

use super::measured::{all, bomb, repeated, sparse};
use super::{LONGEST, TRM, write};

/// A `.npy` file of what a header says, with `values` behind it.
fn npy(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), values].concat()
}

/// A data set of one 4x4 sudoku, under these names.
fn data_set(folder: &Path, sets: &[&str]) {
    let names = serde_json::to_string(sets).expect("names");
    write(
        folder,
        "dataset.json",
        format!(
            r#"{{"pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "vocab_size": 6, "seq_len": 16,
            "num_puzzle_identifiers": 1, "total_groups": 1, "mean_puzzle_examples": 1, "sets": {names}}}"#
        ),
    );
    for (name, bytes) in [
        ("inputs", npy("|u1", false, "(1, 16)", &[1; 16])),
        ("labels", npy("|u1", false, "(1, 16)", &[2; 16])),
        ("puzzle_identifiers", npy("<i4", false, "(1,)", &[0; 4])),
        ("puzzle_indices", npy("<i4", false, "(2,)", &[0, 0, 0, 0, 1, 0, 0, 0])),
        ("group_indices", npy("<i4", false, "(2,)", &[0, 0, 0, 0, 1, 0, 0, 0])),
    ] {
        write(folder, &format!("all__{name}.npy"), bytes);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn data_sets() {
    let inputs = |name: &'static str, bytes: Vec<u8>, says| {
        bomb(&format!("eval: {name}"), "eval sudoku-4 --data .", says, move |folder| {
            data_set(folder, &["all"]);
            write(folder, "all__inputs.npy", &bytes);
        })
    };
    let json = |name: &'static str, file: &'static str, [before, piece, after]: [&'static str; 3], length, says| {
        bomb(&format!("eval: {name}"), "eval sudoku-4 --data .", says, move |folder| {
            data_set(folder, &["all"]);
            repeated(&folder.join(file), before, piece, after, length);
        })
    };
    let many_axes = format!("({}16)", "1, ".repeat(20_000));
    all(
        TRM,
        &[
            bomb(
                "eval: a data set that names one set 5,000 times",
                "eval sudoku-4 --data .",
                "names the set `all` more than once (5000 sets in all)\nhint: name each set once",
                |folder| {
                    data_set(folder, &vec!["all"; 5_000]);
                },
            ),
            bomb(
                "eval: a data set that names one set twice",
                "eval sudoku-4 --data .",
                "names the set `all` more than once",
                |folder| {
                    data_set(folder, &["all", "all"]);
                },
            ),
            bomb(
                "eval: 100 sets that are one set of 24 MB",
                "eval sudoku-4 --data .",
                "bytes of tokens in this and the files before is more",
                |folder| {
                    let names: Vec<String> = (0..100).map(|set| format!("s{set}")).collect();
                    let count = 1_500_000;
                    data_set(folder, &names.iter().map(String::as_str).collect::<Vec<_>>());
                    let rows = npy("|u1", false, &format!("({count}, 16)"), &vec![1; 16 * count]);
                    write(folder, "all__inputs.npy", &rows);
                    write(folder, "all__labels.npy", &rows);
                    for set in &names {
                        for array in ["inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices"] {
                            let (from, to) = (format!("all__{array}.npy"), format!("{set}__{array}.npy"));
                            fs::hard_link(folder.join(from), folder.join(to)).expect("a link");
                        }
                    }
                },
            ),
            inputs(
                "a shape of 10^18 rows",
                npy("|u1", false, "(1000000000000000000, 16)", &[]),
                "needs more than the 0 bytes",
            ),
            inputs(
                "a shape beyond 64 bits",
                npy("<i8", false, "(9223372036854775807, 16)", &[]),
                "needs more than the 0 bytes",
            ),
            inputs("20,000 axes", npy("|u1", false, &many_axes, &[0; 16]), "20001 axes are more than the limit of 32"),
            inputs(
                "a dtype of 60,000 characters",
                npy(&"f8".repeat(30_000), false, "(1, 16)", &[0; 16]),
                "values of type f8f8",
            ),
            inputs(
                "Fortran order",
                npy("|u1", true, "(1, 16)", &[0; 16]),
                "Fortran order, expected C order\nhint: save",
            ),
            inputs(
                "a header of 4 GiB",
                [b"\x93NUMPY\x02\x00\xff\xff\xff\xff".as_slice(), vec![b' '; 100_000].as_slice()].concat(),
                "not a NumPy array",
            ),
            inputs("a header that is a list of records", npy("", false, "(1, 16)", &[0; 16]), "expected integers"),
            bomb("eval: a sparse array of 1 TB", "eval sudoku-4 --data .", "rows, the inputs have", |folder| {
                data_set(folder, &["all"]);
                let path = folder.join("all__inputs.npy");
                let header = npy("|u1", false, "(60000000000, 16)", &[]);
                fs::write(&path, &header).expect("a header");
                sparse(&path, header.len() as u64 + 960_000_000_000);
            }),
            bomb("eval: 1 TB behind the values", "eval sudoku-4 --data .", "are there", |folder| {
                data_set(folder, &["all"]);
                sparse(&folder.join("all__inputs.npy"), 1 << 40);
            }),
            bomb(
                "eval: sparse arrays of 10 GB",
                "eval sudoku-4 --data .",
                "bytes of tokens in this and the files before is more",
                |folder| {
                    data_set(folder, &["all"]);
                    for array in ["inputs", "labels"] {
                        let path = folder.join(format!("all__{array}.npy"));
                        let header = npy("|u1", false, "(600000000, 16)", &[]);
                        fs::write(&path, &header).expect("a header");
                        sparse(&path, header.len() as u64 + 9_600_000_000);
                    }
                },
            ),
            json(
                "a description of 2 MiB",
                "dataset.json",
                ["{\"", "n", "\": 1}"],
                2 << 20,
                "bytes is more than the limit of 1048576",
            ),
            json(
                "a description of many lists",
                "dataset.json",
                ["{\"a\": [", "[],", "0]}"],
                1 << 19,
                "lists, objects and names is more",
            ),
            json(
                "names of 64 MiB",
                "identifiers.json",
                ["[\"", "n", "\"]"],
                LONGEST,
                "bytes of one text is more than the limit of 1024",
            ),
            json(
                "names without letters",
                "identifiers.json",
                ["[", "\"\",", "\"\"]"],
                LONGEST,
                "lists, objects and names is more",
            ),
        ],
    );
}
