//! Man pages and shell completions of a program, made of its command line: what packages install beside it.

use std::path::Path;
use std::{fs, io};

use clap::Command;
pub use clap_complete::Shell;

/// Writes `man1/NAME.1` with a page for each subcommand, and `completions/` for bash, zsh and fish, below `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn write(command: Command, folder: &Path) -> io::Result<()> {
    let mut command = without_help(command);
    let name = command.get_name().to_owned();
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, &name, &completions)?;
    }
    let pages = folder.join("man1");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(command, &pages)
}

/// Writes the completions for one shell: what its configuration sources.
///
/// # Errors
/// They cannot be written.
pub fn complete(command: Command, shell: Shell, out: &mut impl io::Write) -> io::Result<()> {
    let mut command = without_help(command);
    let name = command.get_name().to_owned();
    // The generator panics where it cannot write; memory always can.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    out.write_all(&script)
}

/// `tool help solve` shows what `tool-solve(1)` is about already.
fn without_help(command: Command) -> Command {
    command.disable_help_subcommand(true).mut_subcommands(without_help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_is_completed() {
        let command = Command::new("tool")
            .about("Does things")
            .subcommand(Command::new("solve").about("Solve puzzles").arg(clap::arg!(--model <NAME> "Which")))
            .subcommand(Command::new("secret").hide(true));
        let folder = tempfile::tempdir().expect("a folder");
        write(command, folder.path()).expect("written");
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(read("man1/tool.1").contains("Does things"));
        assert!(read("man1/tool-solve.1").contains("Which"));
        for page in ["tool-secret.1", "tool-help.1"] {
            assert!(!folder.path().join("man1").join(page).exists(), "{page}");
        }
        for file in ["tool.bash", "_tool", "tool.fish"] {
            assert!(read(&format!("completions/{file}")).contains("model"), "{file}");
        }
    }
}
