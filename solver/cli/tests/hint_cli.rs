//! `trm solve --hint`: the next deduction, in words and for programs.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

mod program;

use program::{json_lines, run, text};
use serde_json::Value;

/// Easy; its answer by hand.
const LINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
const ANSWER: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";
/// Neither a single nor a pair nor a pointing digit places anything.
const STUCK: &str = "500700300004000607000000005000600800230089000010500003100004002090300501000000000";
const STUCK_ANSWER: &str = "521796348384215697679438125745623819236189754918547263163854972497362581852971436";

fn hint(input: &str) -> (Value, i32) {
    let output = run(&["solve", "--hint", "--json"], input.as_bytes());
    let mut found = json_lines(&output);
    assert_eq!(found.len(), 1, "{}", text(&output.stderr));
    (found.remove(0), output.status.code().expect("a code"))
}

/// The digit that a hint places, and its cell.
fn place(hint: &Value) -> (usize, char) {
    let cell = |index: usize| hint["cell"][index].as_u64().expect("a number") as usize - 1;
    (cell(0) * 9 + cell(1), hint["value"].as_str().and_then(|value| value.chars().next()).expect("a digit"))
}

#[test]
fn hints_lead_to_the_answer() {
    let mut line = LINE.to_owned();
    for _ in 0..12 {
        let (hint, code) = hint(&line);
        let (cell, digit) = place(&hint);
        assert_eq!((digit, code), (ANSWER.chars().nth(cell).expect("a cell"), 0), "{hint}");
        assert_eq!(&line[cell..=cell], ".", "{hint}");
        assert_ne!(hint["technique"], "model", "{hint}");
        line.replace_range(cell..=cell, &digit.to_string());
    }
    let words = text(&run(&["solve", "--hint"], LINE.as_bytes()).stdout);
    assert!(words.starts_with("stdin:1  sudoku of 9x9\nr") || words.contains("\nin "), "{words}");
    let schema = serde_json::from_slice(&run(&["schema", "hint"], b"").stdout).expect("a schema");
    let schema = jsonschema::validator_for(&schema).expect("a good schema");
    assert!(schema.is_valid(&hint(LINE).0));
}

#[test]
fn where_no_technique_helps_the_model_is_asked_and_its_digit_checked() {
    let (hint, code) = hint(STUCK);
    assert_eq!((hint["technique"].as_str(), code), (Some("model"), 0), "{hint}");
    let (cell, digit) = place(&hint);
    assert_eq!(Some(digit), STUCK_ANSWER.chars().nth(cell), "{hint}");
    assert!(hint["hint"].as_str().is_some_and(|words| words.ends_with("and a search agrees")), "{hint}");
}

#[test]
fn mazes_have_first_moves() {
    let (found, code) = hint("#####\n#S  #\n### #\n#G  #\n#####\n");
    assert_eq!((found["hint"].as_str(), code), (Some("from S go right 2 times, to r2c4"), 0));
    let (found, code) = hint("#####\n#S#G#\n#####\n");
    assert_eq!((found["hint"].as_str(), code), (Some("no way leads from S to G"), 1));
}

#[test]
fn where_there_is_no_hint_the_reason_is_said() {
    let (found, code) = hint(ANSWER);
    assert_eq!((found["hint"].as_str(), code), (Some("every cell is filled"), 1));
    // Breaks no rule yet, and has no answer: the 2 belongs elsewhere.
    let wrong = LINE.replacen("53.", "532", 1);
    let (found, code) = hint(&wrong);
    let expected = "no grid keeps all givens and rules: one of the digits is wrong";
    assert_eq!((found["hint"].as_str(), code), (Some(expected), 1));
    let arc = run(&["solve", "--hint"], b"{\"train\": [], \"test\": [{\"input\": [[7]]}]}");
    assert_eq!(arc.status.code(), Some(2));
    assert!(text(&arc.stderr).contains("hints are for sudokus and mazes"), "{}", text(&arc.stderr));
    let (several, _) = hint(&".".repeat(81));
    assert_eq!(several["solutions"], "2+");
    assert!(
        several["hint"].as_str().is_some_and(|words| words.contains("there are several solutions; one of them has"))
    );
    let lines = run(&["solve", "--hint", "--format", "lines"], LINE.as_bytes());
    assert!(text(&lines.stderr).starts_with("error: --format: hints are printed in words"), "{}", text(&lines.stderr));
}
