//! The `trm` program: what it prints, what it refuses, what it leaves behind.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod program;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use program::{json_lines, run, text, trm};
use serde_json::Value;
use tempfile::TempDir;

#[test]
fn the_program_holds_each_model_once() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_trm")).expect("the program");
    for model in trm_models::SHIPPED {
        let bundle = model.open().expect(model.name);
        let graph = bundle.graph_bytes(trm_models::GraphKind::Step).expect(model.name);
        let weights = &graph[graph.len() / 2..][..64];
        let copies = program.windows(weights.len()).filter(|window| *window == weights).count();
        assert_eq!(copies, 1, "{}", model.name);
    }
}

#[test]
fn commands_print_what_is_recorded() {
    trycmd::TestCases::new().case("tests/cli/*.trycmd").env("NO_COLOR", "1");
}

/// Everything that can be wrong with a puzzle: exit code 2, one line that says where, a hint, no answer.
#[test]
fn bad_puzzles_are_refused() {
    let sudoku = "1.......69......23.6.89.5...18...75..76..2.....93......2..6....7.....2.5..1.....9";
    let twice = sudoku.replacen("1..", "1.1", 1);
    let unknown = sudoku.replacen('.', "x", 1);
    let arc = r#"{"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]}"#;
    let cases: &[(&str, &str, &str)] = &[
        (&twice, "stdin:1: two 1s in row 1: at row 1 column 1 and at row 1 column 3", "givens is wrong"),
        ("#####\n#  G#\n#####\n", "the maze has no start", "mark one free cell with S"),
        ("#####\n#S G\n#####\n", "stdin:2: this row has 4 cells, the grid's first row (line 1) has 5", "same length"),
        (&unknown, "unknown character 'x'", ""),
        (arc, "grid of ARC, which no shipped model solves", "maze (maze of any size), sudoku (sudoku of any size)"),
        ("", "stdin: no puzzle in the input", "81 characters"),
        ("\u{0}\u{1}", "no puzzle in the input", ""),
    ];
    for (input, message, hint) in cases {
        let output = run(&["solve", "--backend", "tract"], input.as_bytes());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{input:?}: {stderr}");
        assert_eq!(text(&output.stdout), "", "{input:?}");
        let first = stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: ") && first.contains(message), "{input:?}: {stderr}");
        assert!(stderr.contains(hint) && stderr.lines().skip(1).all(|line| line.starts_with("hint: ")), "{stderr}");
    }
}

#[test]
fn one_bad_puzzle_among_good_ones_stops_all() {
    let folder = TempDir::new().expect("a folder");
    let png = folder.path().join("a.png");
    let good = std::fs::read_to_string("../../examples/maze.txt").expect("the example");
    let input = format!("{good}\n###\n#S#\n###\n");
    let output = run(&["solve", "-", "--json", "--png", png.to_str().expect("a path")], input.as_bytes());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    assert!(!png.exists() && !folder.path().join("a-001.png").exists(), "nothing is written");
}

#[test]
fn a_huge_file_is_refused_unread() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("huge.txt");
    std::fs::File::create(&path).and_then(|file| file.set_len(100 << 20)).expect("a sparse file");
    let started = Instant::now();
    let output = run(&["solve", path.to_str().expect("a path")], b"");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("104857600 bytes is more than the limit") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn a_library_that_is_named_must_be_onnx_runtime() {
    let missing = run(&["solve", "../../examples/maze.txt", "--ort-lib", "nowhere/libonnxruntime.so"], b"");
    let foreign = run(&["solve", "../../examples/maze.txt", "--ort-lib", "Cargo.toml"], b"");
    for output in [missing, foreign] {
        let stderr = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains("hint: --ort-lib must name"), "{stderr}");
    }
}

/// `auto` goes on with the engine that is built in, and says so.
#[test]
fn auto_falls_back_on_rten_with_a_reason() {
    let output = trm()
        .args(["solve", "../../examples/maze.txt", "--json"])
        .env("ORT_DYLIB_PATH", "nowhere/libonnxruntime.so")
        .output()
        .expect("trm runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).starts_with("warning: not using ort: nowhere/libonnxruntime.so"),
        "{}",
        text(&output.stderr)
    );
    let report = &json_lines(&output)[0];
    assert_eq!(report["backend"], "rten");
    assert!(report["fallbacks"][0].as_str().is_some_and(|reason| reason.starts_with("ort: nowhere")), "{report}");
}

#[test]
fn a_flipped_byte_in_a_bundle_is_found() {
    let folder = TempDir::new().expect("a folder");
    for entry in std::fs::read_dir("../../models/maze-9").expect("the shipped bundle") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("copies");
    }
    let graph = folder.path().join("step.onnx");
    let mut bytes = std::fs::read(&graph).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&graph, bytes).expect("writes");
    let model = folder.path().to_str().expect("a path");
    let output = run(&["solve", "../../examples/maze.txt", "--backend", "tract", "--model", model], b"");
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()), "{stderr}");
    assert!(stderr.contains("step.onnx") && stderr.contains("hint: "), "{stderr}");
}

#[test]
fn several_puzzles_come_out_in_order_whatever_the_batch() {
    let sudoku = std::fs::read_to_string("../../examples/sudoku.txt").expect("the example");
    let maze = std::fs::read_to_string("../../examples/maze.txt").expect("the example");
    let mirrored: String = maze.lines().map(|line| line.chars().rev().collect::<String>() + "\n").collect();
    let folder = TempDir::new().expect("a folder");
    let mazes = folder.path().join("mazes.txt");
    std::fs::write(&mazes, format!("{maze}\n{mirrored}\n{maze}")).expect("writes");
    let mazes = mazes.to_str().expect("a path");
    let mut answers = Vec::new();
    for batch in ["1", "2", "16"] {
        let output = run(&["solve", mazes, "-", "--json", "--backend", "tract", "--batch", batch], sudoku.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let reports = json_lines(&output);
        let tasks: Vec<_> = reports.iter().map(|report| report["task"].as_str().expect("a task")).collect();
        assert_eq!(tasks, ["maze", "maze", "maze", "sudoku"]);
        answers.push(reports.iter().map(|report| report["answer"].clone()).collect::<Vec<_>>());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0][0], answers[0][2]);
}

#[test]
fn pictures_are_complete_png_files() {
    let folder = TempDir::new().expect("a folder");
    let png = folder.path().join("answer.png");
    let path = png.to_str().expect("a path");
    let one = run(&["solve", "../../examples/maze.txt", "--backend", "tract", "--png", path], b"");
    assert_eq!(one.status.code(), Some(0));
    let picture = image::open(&png).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (9 * 48 + 24, 9 * 48 + 24));
    let both = run(
        &["solve", "../../examples/maze.txt", "../../examples/sudoku.txt", "--backend", "tract", "--png", path],
        b"",
    );
    assert_eq!(both.status.code(), Some(0));
    let mut names: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["answer-001.png", "answer-002.png", "answer.png"], "and no temporary files");
}

#[test]
fn an_evaluation_prints_the_promised_keys() {
    let output = run(
        &[
            "eval",
            "maze-9",
            "--generate",
            "maze",
            "--count",
            "40",
            "--seed",
            "3",
            "--backend",
            "tract",
            "--json",
            "--tries",
            "2",
        ],
        b"",
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = &json_lines(&output)[0];
    let share = |key: &str| report[key].as_f64().unwrap_or_else(|| panic!("{key} in {report}"));
    assert_eq!(report["puzzles"], 40);
    for key in ["exact", "cell", "accuracy", "valid", "optimal"] {
        assert!((0.8..=1.0).contains(&share(key)), "{key}: {}", share(key));
    }
    assert!(share("valid") >= share("optimal") && share("optimal") >= share("exact"), "{report}");
    assert!(share("mean_steps") > 1.0 && share("puzzles_per_second") > 0.0, "{report}");
    let by_step = report["by_step"].as_array().expect("steps");
    assert_eq!((by_step.len(), &by_step[15]["step"]), (16, &Value::from(16)));
    assert!(by_step[0]["exact"].as_f64() <= by_step[15]["exact"].as_f64(), "{report}");
    assert!(by_step[15]["accuracy"].as_f64().is_some_and(|share| share > 0.8), "{report}");
    assert_eq!(report["complete"], true);
}

#[test]
fn puzzles_without_answers_are_judged_by_the_rules() {
    let output =
        run(&["eval", "sudoku-9", "--puzzles", "../../examples/sudoku.txt", "--backend", "tract", "--json"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = &json_lines(&output)[0];
    assert_eq!(
        (&report["valid"], &report["exact"], &report["optimal"]),
        (&Value::from(1.0), &Value::Null, &Value::Null)
    );
}

#[test]
#[cfg(unix)]
fn ctrl_c_prints_what_was_measured() {
    // A step is a puzzle: some are done when the signal comes, however slow the machine.
    let short = ["--max-steps", "1", "--batch", "1"];
    let child = trm()
        .args(["eval", "sudoku-9", "--generate", "sudoku-easy", "--count", "1000000", "--backend", "tract", "--json"])
        .args(short)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trm starts");
    std::thread::sleep(Duration::from_secs(4));
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let output = child.wait_with_output().expect("trm ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let report = &json_lines(&output)[0];
    assert_eq!((&report["complete"], &report["requested"]), (&Value::from(false), &Value::from(1_000_000)));
    assert!(report["puzzles"].as_u64().is_some_and(|puzzles| puzzles > 0), "{report}");
}

#[test]
fn a_closed_stdout_is_no_error() {
    let many = std::fs::read_to_string("../../examples/maze.txt").expect("the example");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("many.txt");
    std::fs::write(&file, format!("{many}\n").repeat(200)).expect("writes");
    let mut child = trm()
        .args(["solve", file.to_str().expect("a path"), "--backend", "tract"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("trm starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("trm ends");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
}

/// Generated puzzles are what their name says, the same for the same seed, and read back as they were printed.
#[test]
fn generated_puzzles_are_read_back_with_right_answers() {
    for (kind, size, task) in [
        ("sudoku-easy", "4x4", "sudoku of 4x4"),
        ("sudoku-hard", "9x9", "sudoku of 9x9"),
        ("maze-loops", "7x11", "maze of 7x11"),
    ] {
        let generate = |seed: &str| run(&["generate", kind, "--size", size, "--count", "20", "--seed", seed], b"");
        let (first, again, other) = (generate("1"), generate("1"), generate("2"));
        assert!(first.status.success(), "{}", text(&first.stderr));
        assert!(first.stdout == again.stdout && first.stdout != other.stdout, "{kind}: not by the seed");
        let puzzles = trm_puzzles::formats::parse("generated", &first.stdout).expect("JSON lines");
        assert_eq!(puzzles.len(), 20, "{kind}");
        for puzzle in puzzles {
            assert_eq!(trm_solver::model::describe(&puzzle.kind), task);
            let answer = puzzle.solution.as_ref().expect("an answer");
            assert!(puzzle.task().verify(&puzzle.grid, answer).is_verified(), "{kind}: {}", puzzle.line(answer));
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("train");
    let words = ["generate", "maze", "--size", "6x8", "--count", "5", "--out", out.to_str().expect("UTF-8")];
    let written = run(&words, b"");
    assert!(written.status.success() && written.stdout.is_empty(), "{written:?}");
    let data = trm_puzzles::DataSet::read(&out).expect("a data set");
    assert_eq!((data.len(), data.metadata.seq_len, data.metadata.vocab_size), (5, 48, 6));
    assert_eq!(run(&words, b"").status.code(), Some(2), "the folder holds files");

    let refused = run(&["generate", "sudoku-easy", "--size", "7x7"], b"");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("no sudoku has 7x7 cells"), "{}", text(&refused.stderr));
}

/// Where the tests' ONNX Runtime is.
fn ort_library() -> std::ffi::OsString {
    std::env::var_os("ORT_DYLIB_PATH").expect("cargo xtask test sets ORT_DYLIB_PATH")
}

#[test]
fn a_bench_measures_every_combination_it_was_asked_for() {
    let words = ["bench", "sudoku-4", "--batch", "1,3", "--threads", "1", "--seconds", "0.05", "--json"];
    let output = trm().args(words).env("ORT_DYLIB_PATH", ort_library()).output().expect("trm runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = &json_lines(&output)[0];
    assert_eq!(
        (&report["complete"], &report["machine"]["architecture"]),
        (&true.into(), &std::env::consts::ARCH.into())
    );
    let rows = report["rows"].as_array().expect("rows");
    let combinations: Vec<_> = rows
        .iter()
        .map(|row| (row["engine"].as_str().expect("a name"), row["batch"].as_u64().expect("rows")))
        .collect();
    assert_eq!(combinations, [("rten", 1), ("rten", 3), ("tract", 1), ("tract", 3), ("ort", 1), ("ort", 3)]);
    for row in rows {
        let number = |value: &Value| value.as_f64().filter(|value| value.is_finite() && *value > 0.0);
        let (p50, p99) =
            (number(&row["step_ms"]["p50"]).expect("a time"), number(&row["step_ms"]["p99"]).expect("a time"));
        assert!(p50 <= p99, "{row}");
        for key in ["load_ms", "first_step_ms", "puzzle_ms", "steps_per_puzzle"] {
            assert!(number(&row[key]).is_some(), "{key} of {row}");
        }
        assert!(number(&row["verified"]).is_some_and(|share| (0.9..=1.0).contains(&share)), "{row}");
        if cfg!(target_os = "linux") {
            assert!(number(&row["peak_mib"]).is_some_and(|mebibytes| (5.0..1000.0).contains(&mebibytes)), "{row}");
        }
    }
}

#[test]
fn a_bench_is_a_table_to_paste() {
    let output =
        run(&["bench", "sudoku-4", "--backend", "tract", "--batch", "1", "--threads", "1", "--seconds", "0.02"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let stdout = text(&output.stdout);
    let table: Vec<&str> = stdout.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(table.len(), 3, "{stdout}");
    let columns: Vec<usize> = table.iter().map(|line| line.matches('|').count()).collect();
    assert_eq!(columns, [14, 14, 14], "{stdout}");
    assert!(table[2].starts_with("| sudoku-4 | fp32 | tract "), "{stdout}");
}

/// The best rows and threads are remembered and taken, unless something else is asked for.
#[test]
fn a_tuned_model_runs_as_it_was_tuned() {
    for engine in ["tract", "rten"] {
        tuned_on(engine);
    }
}

fn tuned_on(engine: &str) {
    let cache = tempfile::tempdir().expect("a folder");
    let run = |words: &[&str]| {
        let output = trm().args(words).env("XDG_CACHE_HOME", cache.path()).output().expect("trm runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        output
    };
    let bench = ["bench", "sudoku-4", "--backend", engine, "--tune", "--seconds", "0.05"];
    let measured = ["--batch", "1,3", "--threads", "1", "--json"];
    let report = json_lines(&run(&[&bench[..], &measured].concat())).remove(0);
    let tuned = &report["tuned"][0];
    assert_eq!((&tuned["single"]["batch"], &tuned["single"]["threads"]), (&1.into(), &1.into()), "{report}");
    let rows = tuned["stream"]["batch"].as_u64().expect("rows");
    let file = tuned["file"].as_str().expect("a path");
    assert!(std::path::Path::new(file).starts_with(cache.path()) && std::path::Path::new(file).is_file(), "{file}");
    // Whichever was faster here, the stream is to run in three rows from now on.
    let remembered = std::fs::read_to_string(file).expect("readable");
    let mut remembered: Value = serde_json::from_str(&remembered).expect("JSON");
    assert_eq!(remembered["stream"]["batch"], rows);
    remembered["stream"]["batch"] = 3.into();
    std::fs::write(file, remembered.to_string()).expect("written");

    let eval = ["eval", "sudoku-4", "--generate", "sudoku-easy", "--count", "9", "--backend", engine, "--verbose"];
    let said = |words: &[&str]| text(&run(words).stderr);
    let tuned = said(&eval);
    let line = format!("sudoku-4 is tuned for {engine}: 1 thread for one puzzle, 1 thread for a stream in 3 rows");
    assert!(tuned.contains(&line), "{tuned}");
    assert!(tuned.contains("step graph, 3 rows, 1 threads"), "{tuned}");
    let asked = said(&[&eval[..], &["--batch", "2", "--threads", "2"]].concat());
    assert!(asked.contains("step graph, 2 rows, 2 threads"), "{asked}");
}

#[test]
fn tuning_without_a_single_puzzle_is_refused() {
    let output = run(&["bench", "sudoku-4", "--tune", "--batch", "8"], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--batch 1,8 measures one and eight rows"), "{}", text(&output.stderr));
}

/// A provider that was named and does not work is a row without figures, and exit code 3.
#[test]
fn a_bench_of_a_missing_provider_fails() {
    let words = ["bench", "sudoku-4", "--provider", "tensorrt", "--batch", "1", "--seconds", "0.02", "--json"];
    let output = trm().args(words).env("ORT_DYLIB_PATH", ort_library()).output().expect("trm runs");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let row = &json_lines(&output)[0]["rows"][0];
    assert!(row["problem"].as_str().is_some_and(|problem| problem.contains("tensorrt is not usable")), "{row}");
    assert!(row.get("step_ms").is_none(), "{row}");
}

/// Where the checkout's own `models/` is looked at, classifier included, all is well.
#[test]
fn the_shipped_models_are_in_order() {
    let output = trm().args(["doctor", "--json"]).current_dir("../..").output().expect("trm runs");
    let report = &json_lines(&output)[0];
    assert_eq!((output.status.code(), &report["passed"]), (Some(0), &true.into()), "{report}");
    let bundles = report["bundles"].as_array().expect("bundles");
    assert!(bundles.iter().all(|bundle| bundle.get("problem").is_none()), "{report}");
    assert!(bundles.iter().any(|bundle| bundle["place"] == "models/maze-9"), "{report}");
}

/// Nothing is said to be warm that was not compiled.
#[test]
fn warming_without_tensorrt_fails_with_the_reason() {
    let output =
        trm().args(["doctor", "--warm", "sudoku-4"]).env("ORT_DYLIB_PATH", ort_library()).output().expect("trm runs");
    let stderr = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(3), String::new()), "{stderr}");
    assert!(stderr.contains("error: execution provider tensorrt is not usable: "), "{stderr}");
}
