//! `cargo xtask test house`: rules of the house that no lint knows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::circles::circles;
use crate::workspace;

/// The most lines of a file.
const MOST_LINES: usize = 500;

/// The documentation comments that begin with a question word: they are the text of `--help`. The first line of any other
/// is a sentence or a noun that names the thing.
const MOST_QUESTIONS: usize = 24;

/// A rule for a line of Rust: its name, the lines that it refuses, and the advice.
struct Rule {
    name: &'static str,
    refuses: fn(&Line<'_>) -> bool,
    instead: &'static str,
}

/// A line of a source file.
struct Line<'a> {
    /// The file, from the project's folder on.
    path: &'a str,
    text: &'a str,
    /// True if the file holds tests, or the line stands behind `mod tests`.
    in_tests: bool,
}

const RULES: [Rule; 2] = [
    Rule {
        name: "a name is compared",
        refuses: |line| {
            !line.in_tests
                && ["name() == \"", "name() != \"", "name() {\"", "kind() == \""]
                    .iter()
                    .any(|part| line.text.contains(part))
        },
        instead: "match the enum, or ask the trait for the property that matters (`Task::judges_length`)",
    },
    Rule {
        name: "advice in a message",
        refuses: |line| !line.in_tests && is_library(line.path) && line.text.contains("\\nhint: "),
        instead: "return it from the error's `Hint::hint`, or add it to a `Fault` by `advise`",
    },
];

/// True for a source file of a library, but for the one that puts advice below messages.
fn is_library(path: &str) -> bool {
    const FOLDERS: [&str; 10] = [
        "puzzles/",
        "models/",
        "export/",
        "solver/src/",
        "solver/engine/",
        "solver/plan/",
        "solver/train/",
        "firmware-host/link/",
        "firmware-host/http/",
        "firmware-host/src/",
    ];
    FOLDERS.iter().any(|folder| path.starts_with(folder))
        && !path.contains("/src/bin/")
        && path != "puzzles/intake/src/hint.rs"
}

/// Holds every source file of the project to the rules, and names each line that breaks one.
pub(crate) fn check() -> Result<()> {
    let mut broken = Vec::new();
    let (mut files, mut lines, mut asked) = (0, 0, 0);
    let mut folders = BTreeSet::new();
    for path in sources(workspace::root())? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let shown = path.strip_prefix(workspace::root()).unwrap_or(&path).display().to_string();
        files += 1;
        lines += text.lines().count();
        asked += questions(&text);
        folders.extend(shown.split_once("/src/").map(|(folder, _)| folder.to_owned()));
        broken.extend(faults(&shown, &text));
    }
    for folder in &folders {
        broken.extend(circles(workspace::root(), folder)?);
    }
    let architecture = workspace::root().join("ARCHITECTURE.md");
    let text = fs::read_to_string(&architecture).with_context(|| format!("cannot read {}", architecture.display()))?;
    let invariants = invariants(&text);
    for (test, file) in &invariants {
        let content = fs::read_to_string(workspace::root().join(file)).unwrap_or_default();
        if !content.contains(&format!("fn {test}(")) {
            broken.push(format!(
                "ARCHITECTURE.md: {file} has no test {test}: every invariant has the test that holds it"
            ));
        }
    }
    if asked > MOST_QUESTIONS {
        broken.push(format!(
            "{asked} documentation comments begin with What, How, Whether or Why, more than {MOST_QUESTIONS}: begin the new ones with \
             a verb, or with a noun that says what the thing is"
        ));
    }
    eprintln!("{files} files, {lines} lines, {} invariants, {asked} comments that ask", invariants.len());
    if broken.is_empty() {
        return Ok(());
    }
    bail!("{} lines break a rule of the house:\n{}", broken.len(), broken.join("\n"))
}

/// Documentation comments that begin with a question word.
fn questions(text: &str) -> usize {
    let docs = |line: &&str| line.starts_with("///") || line.starts_with("//!");
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let begins = |at: &usize| docs(&lines[*at]) && (*at == 0 || !docs(&lines[at - 1]));
    let asks = |at: &usize| {
        let first = lines[*at].get(3..).unwrap_or_default().split_whitespace().next();
        first.is_some_and(|word| ["What", "How", "Whether", "Why"].contains(&word))
    };
    (0..lines.len()).filter(begins).filter(asks).count()
}

/// The text of a cell between back quotes.
fn quoted(cell: &str) -> Option<&str> {
    cell.trim().strip_prefix('`')?.strip_suffix('`')
}

/// Test and file of each invariant: the last two columns of the rows that end with a file.
fn invariants(architecture: &str) -> Vec<(&str, &str)> {
    let section = architecture.split("\n## ").find(|section| section.starts_with("Invariants"));
    let rows = section.unwrap_or_default().lines().filter_map(|line| {
        let mut cells = line.trim().strip_suffix('|')?.rsplit('|');
        let (file, test) = (quoted(cells.next()?)?, quoted(cells.next()?)?);
        Some((test, file))
    });
    rows.collect()
}

/// The lines of a file that break a rule, each with what to do instead.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let count = text.lines().count();
    if count > MOST_LINES {
        faults.push(format!("{path}: {count} lines, more than {MOST_LINES}: split it by what belongs together"));
    }
    let mut in_tests = path.contains("/tests/") || path.ends_with("tests.rs");
    for (number, text) in text.lines().enumerate() {
        let text = text.trim_start();
        in_tests |= text.starts_with("mod tests");
        let line = Line { path, text, in_tests };
        for rule in RULES.iter().filter(|rule| (rule.refuses)(&line)) {
            faults.push(format!("{path}:{}: {}: {}\n  {text}", number + 1, rule.name, rule.instead));
        }
    }
    faults
}

/// All Rust files below a folder but those of builds and hidden ones.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // `house.rs` itself names what it refuses, its own folder is `xtask`.
            if name != "target" && !name.starts_with('.') && name != "shared" {
                found.extend(sources(&path)?);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "house.rs" {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_compared_is_found() {
        let found = faults("puzzles/src/a.rs", "fn f(task: &dyn Task) -> bool {\n    task.name() == \"maze\"\n}\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("puzzles/src/a.rs:2: a name is compared: match the enum"), "{found:?}");
        assert!(faults("a.rs", "let name = task.name();\n").is_empty());
        assert!(faults("solver/tests/a.rs", "assert!(task.name() == \"maze\");\n").is_empty(), "tests may");
    }

    #[test]
    fn advice_in_a_librarys_message_is_found() {
        let text = "#[error(\"{origin}: no puzzle\\nhint: give one\")]\n";
        let found = faults("puzzles/src/error.rs", text);
        assert!(found.len() == 1 && found[0].contains("advice in a message"), "{found:?}");
        for path in
            ["puzzles/intake/src/hint.rs", "solver/cli/src/failure.rs", "firmware-host/src/bin/trm-host/main.rs"]
        {
            assert!(faults(path, text).is_empty(), "{path}");
        }
        assert!(faults("puzzles/tests/formats.rs", text).is_empty(), "tests may");
        assert!(faults("puzzles/src/a.rs", "hint: String,\n").is_empty(), "a field is none");
    }

    #[test]
    fn comments_that_ask_are_counted_once() {
        let text = "//! What it is.\n//! What it does.\n\n/// Counts.\n/// How so.\nfn f() {}\n    /// Whether it is.\n    a: bool,\n";
        assert_eq!(questions(text), 2);
    }

    #[test]
    fn invariants_are_rows_with_a_test_and_a_file() {
        let text = "# A\n\n## Invariants\n\n| invariant | test | in |\n| --- | --- | --- |\n| It holds. | `it_holds` | `a/b.rs` |\n\n## B\n\n| x | `no` | `c.rs` |\n";
        assert_eq!(invariants(text), [("it_holds", "a/b.rs")]);
        assert!(invariants("# A\n").is_empty());
    }

    #[test]
    fn a_file_that_is_too_long_is_found() {
        let found = faults("a.rs", &"\n".repeat(MOST_LINES + 1));
        assert_eq!(found, ["a.rs: 501 lines, more than 500: split it by what belongs together"]);
    }
}
