//! Inputs as people have them, through the program: what is read, what is refused and with which advice, what is known
//! before a network runs.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod program;

use std::process::Output;

use program::{json_lines, text};
use serde_json::Value;

const LINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";

fn run(arguments: &[&str], stdin: &str) -> Output {
    program::run(arguments, stdin.as_bytes())
}

/// The one object that is printed for an input, and the exit code.
fn solved(arguments: &[&str], stdin: &str) -> (Value, i32) {
    let output = run(&[&["solve", "--json"], arguments].concat(), stdin);
    let found = json_lines(&output);
    assert_eq!(found.len(), 1, "{}", text(&output.stderr));
    (found[0].clone(), output.status.code().expect("a code"))
}

#[test]
fn what_can_be_two_things_is_refused_until_it_is_said() {
    let matrix = "0 1 0 0\n0 0 0 1\n1 0 0 0\n0 0 1 0\n";
    let output = run(&["solve"], matrix);
    assert_eq!(output.status.code(), Some(2));
    let expected = "error: stdin: can be read as maze and as sudoku\nhint: say which: --as maze or --as sudoku\n";
    assert_eq!(text(&output.stderr), expected);
    let (maze, code) = solved(&["--as", "maze"], matrix);
    assert_eq!((maze["task"].as_str(), maze["size"].to_string(), code), (Some("maze"), "[4,4]".to_owned(), 0));
    assert_eq!(maze["puzzle"].as_str(), Some("S10000011000001G"));

    let zeros = LINE.replace('9', "0");
    let output = run(&["solve"], &zeros);
    let expected = "error: stdin:1: 0 and . cannot both be blank\nhint: write one of them, or say --blank .: the symbols are then 0-8\n";
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(2), expected));
    // One less each, so that 0 to 8 are its symbols.
    let shifted = LINE.chars().map(|c| c.to_digit(10).map_or(c, |digit| char::from(b'0' + digit as u8 - 1)));
    let (sudoku, code) = solved(&["--blank", "."], &shifted.collect::<String>());
    let answer = "423567801561084237087231456748650312315742680602813745850426173176308524234175068";
    assert_eq!((sudoku["answer"].as_str(), code), (Some(answer), 0));

    let colours = format!("{{\"input\": {:?}}}", vec![vec![0_u8; 9]; 9]);
    let output = run(&["solve"], &colours);
    assert_eq!(
        text(&output.stderr),
        "error: stdin:1: can be read as sudoku and as arc\nhint: say which: --as sudoku or --as arc\n"
    );
}

#[test]
fn symbols_that_are_said_are_those_of_the_puzzle() {
    let refused = |symbols: &str| {
        let output = run(&["solve", "--symbols", symbols], LINE);
        assert_eq!(output.status.code(), Some(2));
        text(&output.stderr)
    };
    assert!(refused("1-6").contains("symbols 1-6 are a sudoku of 6x6, this one is 9x9"), "{}", refused("1-6"));
    assert!(refused("1-5").contains("these are 5, and no sudoku has so many"), "{}", refused("1-5"));
    assert!(refused("1").contains("expected 1-9, 0-8, A-I"), "{}", refused("1"));
    assert!(refused("0-8").contains("a 9x9 sudoku is written with 0-8, and . or one other"), "{}", refused("0-8"));
    assert_eq!(solved(&["--symbols", "1-9"], LINE).1, 0);
}

#[test]
fn boxes_are_those_that_are_shown_or_said_and_a_note_tells_what_is_taken() {
    let gaps = ".. .. ..\n46 .. ..\n.. 13 ..\n.. .. ..\n.. .1 3.\n2. .. .5\n";
    let (shown, code) = solved(&[], gaps);
    assert_eq!((shown["boxes"].to_string(), shown["solutions"].as_str(), code), ("[3,2]".to_owned(), Some("1"), 0));
    let open = "200000000000000006060004450000000000\n";
    let output = run(&["solve", "--json"], open);
    let note = "stdin:1: read with boxes of 2x3; nothing in it says whether they are 3x2\nhint: --boxes says it\n";
    assert_eq!(text(&output.stderr), note);
    let found = &json_lines(&output)[0];
    assert_eq!((found["boxes"].to_string(), found["solutions"].as_str()), ("[2,3]".to_owned(), Some("2+")));
    let (said, _) = solved(&["--boxes", "3x2"], open);
    assert_eq!((said["boxes"].to_string(), said["blank"].as_str()), ("[3,2]".to_owned(), Some("0")));
    let output = run(&["solve", "--boxes", "9"], open);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`9` is not HEIGHTxWIDTH"));
}

#[test]
fn a_puzzle_without_a_solution_is_said_to_be_so_before_a_model_is_asked() {
    let sudoku = "..9.287..8.6..4..5..3.....46.........2.71345.........23.....5..9..4..8.7..125.3..";
    let maze = "#####\n#S#G#\n#####\n";
    for (puzzle, reason) in [(sudoku, "no grid keeps all givens and rules"), (maze, "no way leads from S to G")] {
        let (found, code) = solved(&["--backend", "rten"], puzzle);
        assert_eq!((found["verdict"].as_str(), found["reason"].as_str()), (Some("unsolvable"), Some(reason)));
        assert_eq!((found["solutions"].as_str(), found["steps"].as_u64(), code), (Some("0"), Some(0), 1));
        let output = run(&["solve"], puzzle);
        assert!(text(&output.stdout).ends_with(&format!("unsolvable: {reason}\n")), "{}", text(&output.stdout));
    }
    let two = "534..8912672195348198342567859..1423426853791713924856961537284287419635345286179";
    let output = run(&["solve"], two);
    assert!(text(&output.stdout).contains("verified\none of several solutions\n"), "{}", text(&output.stdout));
}

#[test]
fn a_way_that_is_drawn_already_is_no_part_of_the_question() {
    let maze = "#########\n#S  #   #\n#o# # # #\n#o#   #G#\n#########\n";
    let (found, code) = solved(&[], maze);
    assert_eq!((found["verdict"].as_str(), code), (Some("verified"), 0));
    assert!(!found["puzzle"].as_str().expect("a line").contains('o'));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_solved() {
    let lines = format!("{LINE}\n11..\n{LINE}\n");
    let output = run(&["solve", "--json"], &lines);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    assert!(text(&output.stderr).starts_with("error: stdin:2: a line of 4 cells"), "{}", text(&output.stderr));
    let missing = "/nowhere/puzzles.txt";
    let output = run(&["solve", "--json", "--keep-going", "-", missing], &lines);
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(1), 2));
    let errors = text(&output.stderr);
    assert!(errors.starts_with("stdin:2: a line of 4 cells is neither a sudoku nor a row of one\nhint: "), "{errors}");
    assert!(errors.contains("cannot read /nowhere/puzzles.txt"), "{errors}");
    // Of what breaks the rules as well.
    let wrong = format!("11{}\n{LINE}\n", &LINE[2..]);
    let output = run(&["solve", "--json", "--keep-going"], &wrong);
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(1), 1));
    assert!(text(&output.stderr).starts_with("stdin:1: two 1s in row 1"), "{}", text(&output.stderr));
}

#[test]
fn an_exact_search_answers_where_the_model_fails_and_is_named() {
    let hard = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4..";
    let arguments = ["--max-steps", "1", "--tries", "0"];
    let (alone, code) = solved(&arguments, hard);
    assert_eq!((alone["verdict"] == "verified", code), (false, 1));
    let (found, code) = solved(&[&arguments[..], &["--fallback", "exact"]].concat(), hard);
    assert_eq!((found["verdict"].as_str(), found["found_by"].as_str(), code), (Some("verified"), Some("exact"), 0));
    assert_eq!(found["halted_by"].as_str(), Some("exact"));
    assert!(found["answer"].as_str().expect("a line").starts_with("812753649"));
}

#[test]
fn answers_that_a_file_gives_are_measured_by_and_false_ones_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("puzzles.jsonl");
    let path = path.to_str().expect("a name");
    let write = |answer: &str| {
        let line = format!("{{\"puzzle\":\"1000020003000004\",\"answer\":\"{answer}\"}}\n");
        std::fs::write(path, line).expect("written");
    };
    write("4423324143122134");
    let output = run(&["eval", "sudoku-4", "--puzzles", path, "--json"], "");
    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(message.contains("puzzles.jsonl:1: the answer that the file gives is wrong: "), "{message}");
    write("1423324143122134");
    let output = run(&["eval", "sudoku-4", "--puzzles", path, "--json"], "");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert!(found["exact"].is_number() && found["valid"].is_number(), "{found}");
}

/// A printed object can be given back.
#[test]
fn what_goes_out_comes_back_in() {
    let mazes = ["###\n#S#\n# #\n# #\n#G#\n###\n", "+---+---+\n| A   B |\n+---+---+\n", "XXXXXX\nXs  eX\nXXXXXX\n"];
    let sudokus = [
        "1 _ | _ 4\n_ _ | 1 _\n---------\n2 _ | _ 3\n3 _ | _ _\n",
        "12 .. ..\n.. .. .3\n.. 4. ..\n.. .. ..\n5. .. ..\n.. .. .6\n",
    ];
    for text in mazes.into_iter().chain(sudokus) {
        let arguments = ["--max-steps", "1", "--tries", "0", "--backend", "rten"];
        let (first, _) = solved(&arguments, text);
        let (second, _) = solved(&arguments, &first.to_string());
        for key in ["puzzle", "size", "boxes", "task", "blank", "solutions"] {
            assert_eq!(first[key], second[key], "{key} of {text}");
        }
    }
}

#[test]
fn models_and_completions_are_listed() {
    let listed: Vec<Value> = serde_json::from_slice(&run(&["models", "--json"], "").stdout).expect("an array");
    let names = listed.iter().map(|model| model["name"].as_str().expect("a name")).collect::<Vec<_>>();
    assert_eq!(names, trm_models::SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>());
    assert_eq!((listed[0]["takes"].as_str(), listed[0]["any_size"].as_bool()), (Some("maze of any size"), Some(true)));
    let shown = text(&run(&["models"], "").stdout);
    assert!(shown.starts_with("maze      maze of any size  (grid, fp32)\n"), "{shown}");
    for (shell, part) in [
        ("bash", "complete -F _trm"),
        ("zsh", "#compdef trm"),
        ("fish", "complete -c trm"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = text(&run(&["completions", shell], "").stdout);
        assert!(script.contains(part) && script.contains("formats"), "{shell}");
    }
    assert_eq!(run(&["completions", "tcl"], "").status.code(), Some(2));
}

#[test]
fn formats_lists_every_dialect_with_an_example() {
    let output = run(&["formats", "--json"], "");
    let listed: Vec<Value> = serde_json::from_slice(&output.stdout).expect("an array");
    let names = listed.iter().map(|dialect| dialect["name"].as_str().expect("a name")).collect::<Vec<_>>();
    let dialects = trm_puzzles::formats::DIALECTS.iter().map(|dialect| dialect.name).collect::<Vec<_>>();
    assert_eq!(names, dialects);
    let shown = text(&run(&["formats"], "").stdout);
    for dialect in &trm_puzzles::formats::DIALECTS {
        assert!(shown.contains(&format!("{} (", dialect.name)) && shown.contains(dialect.about), "{shown}");
    }
}

#[test]
fn boxes_of_another_size_are_refused() {
    for arguments in [&["solve", "--boxes", "2x2"][..], &["solve", "--as", "sudoku", "--boxes", "2x2"]] {
        let output = run(arguments, LINE);
        let expected = "error: --boxes: stdin:1: boxes of 2x2 are a sudoku of 4x4, this one is 9x9\n";
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(2), expected));
    }
    let output = run(
        &["solve", "--keep-going", "--json", "--boxes", "3x2"],
        &format!("{LINE}\n200000000000000006060004450000000000\n"),
    );
    assert_eq!((output.status.code(), json_lines(&output).len()), (Some(1), 1));
}
