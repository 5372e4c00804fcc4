//! `trm-host manual`: man pages and completions, of every command that the help lists and of those below them.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::path::Path;
use std::process::Command;

fn trm_host(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_trm-host")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The man pages that there should be: for a command, and for each in its help.
fn pages(command: &[&str], pages: &mut Vec<String>) {
    pages.push(["trm-host"].iter().chain(command).copied().collect::<Vec<_>>().join("-") + ".1");
    let help = trm_host(&[command, &["--help"]].concat());
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What a description goes on with is further to the right.
    let names = list.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        self::pages(&[command, &[name]].concat(), pages);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_command_has_a_page_and_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    trm_host(&["manual", folder.path().to_str().unwrap()]);
    let mut expected = Vec::new();
    pages(&[], &mut expected);
    expected.sort();
    assert!(expected.contains(&"trm-host-model-activate.1".to_owned()), "{expected:?}");
    assert_eq!(files(&folder.path().join("man1")), expected);
    assert_eq!(files(&folder.path().join("completions")), ["_trm-host", "trm-host.bash", "trm-host.fish"]);
    for file in ["_trm-host", "trm-host.bash", "trm-host.fish"] {
        let text = std::fs::read_to_string(folder.path().join("completions").join(file)).unwrap();
        for page in &expected[1..] {
            let name = page.trim_end_matches(".1").rsplit('-').next().unwrap();
            assert!(text.contains(name), "{file} lacks {name}");
        }
    }
}
