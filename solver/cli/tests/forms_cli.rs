//! Forms of answers: what goes out comes back in, files are whole, streams are answered as they come, and what programs read
//! is as the schema says.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod program;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use program::{json_lines, run, text, trm};
use serde_json::{Value, json};

const LINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
const ANSWER: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
const SIXES: &str = "200000000000000006060004450000000000";
const MAZES: &str = "#####\n#S G#\n#####\n\n#######\n#S#   #\n#   #G#\n#######\n";
/// No digit fits in the middle of the first row.
const NO_ANSWER: &str = "..9.287..8.6..4..5..3.....46.........2.71345.........23.....5..9..4..8.7..125.3..";

/// Questions, and answers where they are right, of objects.
fn pairs(objects: &[Value]) -> Vec<(Value, Option<Value>)> {
    let right = |object: &Value| (object["verdict"] == "verified").then(|| object["answer"].clone());
    objects.iter().map(|object| (object["puzzle"].clone(), right(object))).collect()
}

#[test]
fn what_goes_out_comes_back_in() {
    for (input, forms) in [
        (format!("{LINE}\n{NO_ANSWER}\n"), &["json", "lines", "csv"][..]),
        (format!("{SIXES}\n"), &["json", "lines", "csv"]),
        (MAZES.to_owned(), &["json", "csv"]),
        ("{\"id\": \"a,\\\"b\", \"puzzle\": \"1..4..1.2..33..2\"}\n".to_owned(), &["json", "csv"]),
        ("+---+---+\n| S   G |\n+---+---+\n".to_owned(), &["json", "csv"]),
    ] {
        let first = json_lines(&run(&["solve", "--json"], input.as_bytes()));
        assert!(!first.is_empty());
        for form in forms {
            let printed = run(&["solve", "--format", form], input.as_bytes());
            let again = run(&["solve", "--json"], &printed.stdout);
            let objects = json_lines(&again);
            // A drawing of rooms goes out as a maze of cells.
            let of_cells = input.starts_with('+') && *form == "csv";
            if !of_cells {
                assert_eq!(pairs(&objects), pairs(&first), "{form}: {}", text(&printed.stdout));
            }
            for (object, first) in objects.iter().zip(&first) {
                assert_eq!((&object["size"], &object["boxes"]), (&first["size"], &first["boxes"]), "{form}");
                assert!(*form == "lines" || object["id"] == first["id"], "{form}: {object}");
            }
        }
        // And the answers stand beside their questions.
        if forms.contains(&"lines") && first[0]["solutions"] == "1" {
            let lines = text(&run(&["solve", "--format", "lines"], input.as_bytes()).stdout);
            assert_eq!(lines, format!("{LINE}:1:{ANSWER}\n{NO_ANSWER}:0:\n"));
        }
    }
    let refused = run(&["solve", "--format", "lines"], MAZES.as_bytes());
    let expected =
        "error: --format: stdin:1: a maze cannot be written as lines\nhint: json, csv and grid can hold it\n";
    assert_eq!((refused.status.code(), text(&refused.stderr).as_str()), (Some(2), expected));
}

#[test]
fn a_stream_is_answered_before_it_ends() {
    let mut child = trm()
        .args(["solve", "--format", "lines"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trm starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..3 {
        writeln!(stdin, "{LINE}").expect("it reads");
        // Nothing more is written until the answer is here: a program that waits for the end never gives one.
        let answer = answers.next().expect("an answer").expect("text");
        assert_eq!(answer, format!("{LINE}:1:{ANSWER}"));
    }
    drop(stdin);
    assert!(answers.next().is_none());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_input_without_an_end_takes_no_more_memory() {
    const COUNT: usize = 60_000;
    let mut child = trm()
        .args(["solve", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("trm starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let pid = child.id();
    let peak = move || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak").trim();
        line.trim_end_matches(" kB").parse::<usize>().expect("a number")
    };
    let writer = std::thread::spawn(move || {
        for _ in 0..COUNT {
            writeln!(stdin, "{NO_ANSWER}").expect("it reads");
        }
        stdin
    });
    let mut after_some = 0;
    for number in 1..=COUNT {
        answers.next().expect("an answer").expect("text");
        if number == COUNT / 10 {
            after_some = peak();
        }
    }
    let stdin = writer.join().expect("written");
    let after_all = peak();
    // Two thousand kilobytes: kept, the lines alone would take 4,400.
    assert!(after_all < after_some + 2_000, "{after_some} kB after a tenth, {after_all} kB after all");
    drop(stdin);
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn a_file_of_answers_is_whole_or_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("answers.txt");
    let out = out.to_str().expect("UTF-8");
    let read = || std::fs::read_to_string(out).expect("there");
    let words = ["solve", "--format", "lines", "-o", out];
    let done = run(&words, format!("{LINE}\n{LINE}\n").as_bytes());
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(0), ""));
    assert_eq!(read(), format!("{LINE}:1:{ANSWER}\n").repeat(2));
    // Nothing was solved: what was there stays.
    assert_eq!(run(&words, b"nothing of the kind\n").status.code(), Some(2));
    assert_eq!(read(), format!("{LINE}:1:{ANSWER}\n").repeat(2));
    // An error far behind keeps what was solved before it.
    let many = format!("{NO_ANSWER}\n").repeat(9_000);
    let failed = run(&words, format!("{many}{}?\n", &LINE[1..]).as_bytes());
    assert_eq!(failed.status.code(), Some(2));
    assert!(text(&failed.stderr).contains("stdin:9001"), "{}", text(&failed.stderr));
    assert!(read().lines().count() > 3_000 && read().lines().all(|line| line == format!("{NO_ANSWER}:0:")));
    let input = folder.path().join("puzzles.txt");
    std::fs::write(&input, LINE).expect("written");
    let input = input.to_str().expect("UTF-8");
    let refused = run(&["solve", input, "-o", input], b"");
    assert!(text(&refused.stderr).starts_with("error: --output: "), "{}", text(&refused.stderr));
    assert_eq!(std::fs::read_to_string(input).expect("there"), LINE);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left behind");
}

#[test]
fn the_first_few_quietly_and_in_colour() {
    let many = format!("{SIXES}\n").repeat(5);
    let output = run(&["solve", "--json", "--first", "2"], many.as_bytes());
    assert_eq!(json_lines(&output).len(), 2);
    assert!(text(&output.stderr).contains("--boxes says it"), "{}", text(&output.stderr));
    let output = run(&["solve", "--json", "--first", "2", "-q"], many.as_bytes());
    assert_eq!((json_lines(&output).len(), text(&output.stderr).as_str()), (2, ""));
    // Errors are no remarks.
    let output = run(&["solve", "-q"], b"nothing of the kind\n");
    assert!(text(&output.stderr).starts_with("error: "));
    let output =
        run(&["solve", "-q", "--keep-going", "--format", "lines"], format!("{LINE}\n{}?\n", &LINE[1..]).as_bytes());
    assert!(text(&output.stderr).starts_with("stdin:2"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    let coloured = |words: &[&str]| text(&run(words, LINE.as_bytes()).stdout).contains("\u{1b}[");
    assert!(coloured(&["solve", "--color", "always"]));
    assert!(!coloured(&["solve", "--color", "auto"]) && !coloured(&["solve", "--color", "never"]));
    let refused = run(&["solve", "--first", "0"], LINE.as_bytes());
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_bad_beginning_of_any_file_is_found_before_anything_is_solved() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (good, bad) = (write("good.txt", LINE), write("bad.txt", &LINE.replacen('5', "3", 1)));
    let output = run(&["solve", "--format", "lines", &good, &bad], b"");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));
    let output = run(&["solve", "--format", "lines", "--keep-going", &bad, &good], b"");
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), format!("{LINE}:1:{ANSWER}\n")));
}

/// The validator of what a command prints.
fn schema(command: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&text(&run(&["schema", command], b"").stdout)).expect("a schema");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::validator_for(&schema).expect("a good schema")
}

#[test]
fn outputs_are_as_the_schema_says() {
    let valid = |command: &str, value: &Value| {
        let errors = schema(command).iter_errors(value).map(|error| error.to_string()).collect::<Vec<_>>();
        assert!(errors.is_empty(), "{command}: {value}\n{errors:?}");
    };
    let solve = schema("solve");
    let inputs = [
        format!("{LINE}\n{NO_ANSWER}\n{SIXES}\n"),
        MAZES.to_owned(),
        "{\"id\": \"a\", \"puzzle\": \"1..4..1.2..33..2\"}\n".to_owned(),
    ];
    for input in inputs {
        for object in json_lines(&run(&["solve", "--json", "--max-steps", "2", "--tries", "1"], input.as_bytes())) {
            valid("solve", &object);
            // Every key is in it, and no schema takes anything.
            let known = serde_json::from_str::<Value>(&text(&run(&["schema", "solve"], b"").stdout)).expect("a schema");
            for key in object.as_object().expect("an object").keys() {
                assert!(known["properties"][key]["description"].is_string(), "{key} is not described");
            }
            for (key, wrong) in [("steps", json!("two")), ("verdict", json!(1)), ("ms", json!(null))] {
                let mut changed = object.clone();
                changed[key] = wrong;
                assert!(!solve.is_valid(&changed), "{key}");
            }
        }
    }
    let object = |words: &[&str]| serde_json::from_slice::<Value>(&run(words, b"").stdout).expect("JSON");
    valid("models", &object(&["models", "--json"]));
    valid("formats", &object(&["formats", "--json"]));
    valid("generate", &object(&["generate", "maze", "--count", "1"]));
    valid("eval", &object(&["eval", "sudoku-4", "--generate", "sudoku-easy", "--count", "3", "--json"]));
    let map = "../plan/tests/fixtures/maps/depot.yaml";
    let plans = [&["25,4"][..], &["25,4", "--inflation", "0.55"], &["15,3", "--radius", "0.1"]];
    for (plan, status) in plans.into_iter().zip(["planned", "planned", "unreachable"]) {
        let found = object(&[&["plan", "--map", map, "--start", "2,7", "--json", "--goal"], plan].concat());
        assert_eq!(found["status"], status);
        valid("plan", &found);
    }
    assert!(!schema("plan").is_valid(&json!({"status": "planned"})));
}

#[test]
fn a_name_that_is_nearly_a_models_is_suggested() {
    for (name, closest) in [("sudok", "`sudoku`"), ("maze9", "`maze-9`"), ("mase", "`maze`")] {
        let output = run(&["solve", "-m", name], LINE.as_bytes());
        let said = text(&output.stderr);
        assert!(said.contains(&format!("did you mean {closest}? shipped models: ")), "{said}");
    }
    let output = run(&["solve", "-m", "resnet"], LINE.as_bytes());
    assert!(!text(&output.stderr).contains("did you mean"), "{}", text(&output.stderr));
}

#[test]
fn what_is_no_puzzle_or_no_model_says_what_it_is() {
    let classifier = run(&["inspect", "../../models/digits"], b"");
    let said = text(&classifier.stdout);
    assert!(
        said.starts_with("digits: a classifier of pictures of 28x28 pixels, for photographs of puzzles\n"),
        "{said}"
    );
    let object: Value =
        serde_json::from_slice(&run(&["inspect", "../../models/digits", "--json"], b"").stdout).unwrap();
    assert_eq!((object["kind"].as_str(), object["classes"][9].as_str()), (Some("classifier"), Some("9")));
    let doctor = run(&["doctor", "nope"], b"");
    assert_eq!((doctor.status.code(), text(&doctor.stdout).as_str()), (Some(2), ""));
    assert!(text(&doctor.stderr).starts_with("error: nope: not a model bundle"), "{}", text(&doctor.stderr));
    let picture = run(&["solve"], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    let expected =
        "error: stdin:1: a picture (PNG), not a text\nhint: `trm-host read FILE --solve` reads pictures of puzzles\n";
    assert_eq!((picture.status.code(), text(&picture.stderr).as_str()), (Some(2), expected));
    let folder = tempfile::tempdir().expect("a folder");
    let mixed = folder.path().join("mixed.txt");
    std::fs::write(&mixed, format!("1..4..1.2..33..2\n{LINE}\n")).expect("written");
    let eval = run(&["eval", "sudoku", "--puzzles", mixed.to_str().expect("UTF-8")], b"");
    let said = text(&eval.stderr);
    assert!(
        said.contains(":2: this is a sudoku of 9x9, the first puzzle a sudoku of 4x4: a measurement is of one size"),
        "{said}"
    );
}
