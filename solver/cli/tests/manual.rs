//! `trm manual`: man pages and completions, of every command that the help lists.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::process::Command;

fn trm(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trm")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands in a help text.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What a description goes on with is further to the right.
    let names = list.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

#[test]
fn every_command_has_a_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    trm(&["manual", folder.path().to_str().unwrap()]);
    let read = |path: &str| std::fs::read_to_string(folder.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let help = trm(&["--help"]);
    let commands = commands(&help);
    assert!(commands.contains(&"solve") && commands.len() >= 10, "{commands:?}");
    let pages = [read("man1/trm.1"), read("man1/trm-solve.1")];
    for section in ["NAME", "SYNOPSIS", "OPTIONS", "\"EXIT STATUS\""] {
        assert!(pages.iter().all(|page| page.contains(&format!(".SH {section}\n"))), "{section}");
    }
    assert!(pages[1].contains(".SH EXAMPLES\n") && pages[1].contains("\\fB130\\fR\ninterrupted"), "{}", pages[1]);
    for command in &commands {
        assert!(read(&format!("man1/trm-{command}.1")).starts_with(".ie"), "{command}");
        for file in ["trm.bash", "_trm", "trm.fish"] {
            assert!(read(&format!("completions/{file}")).contains(command), "{file} lacks {command}");
        }
    }
    // And nothing else has one: it is hidden itself.
    assert!(!commands.contains(&"manual"));
    assert_eq!(std::fs::read_dir(folder.path().join("man1")).unwrap().count(), commands.len() + 1);
}
