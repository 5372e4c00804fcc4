//! Man pages and shell completions of a program, made of its command line: what packages install beside it.

use std::path::Path;
use std::{fs, io};

use clap::Command;
pub use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The beginning of the text behind a help that names the exit codes.
const EXIT_CODES: &str = "Exit codes: ";

/// Examples of a command: a line to type, and in words what it does.
pub type Examples = &'static [(&'static str, &'static str)];

/// The command with its subcommands' examples behind their long help.
#[must_use]
pub fn with_examples(command: Command, examples: &[(&'static str, Examples)]) -> Command {
    let known = examples.iter().filter(|(name, _)| command.find_subcommand(name).is_some()).collect::<Vec<_>>();
    known.into_iter().fold(command, |command, (name, examples)| {
        let lines = examples.iter().map(|(line, does)| format!("\n  {line}\n      {does}"));
        let text = format!("Examples:{}", lines.collect::<String>());
        command.mut_subcommand(name, |subcommand| subcommand.after_long_help(text))
    })
}

/// Faults of examples: a visible command without any, an example that the command line does not take.
#[must_use]
pub fn faults(command: &Command, examples: &[(&'static str, Examples)]) -> Vec<String> {
    let visible = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).map(Command::get_name);
    let has_own = |name: &str| {
        let own = examples.iter().find(|(other, _)| *other == name).map_or(&[][..], |found| found.1);
        own.iter().any(|(line, _)| line.contains(&format!("{} {name}", command.get_name())))
    };
    let lacking = visible.filter(|name| !has_own(name)).map(|name| format!("{name} has no example"));
    let lines = examples.iter().flat_map(|(_, examples)| examples.iter()).map(|(line, _)| *line);
    // Of a pipe every program, and nothing of what it is written into.
    let programs = lines.flat_map(|line| line.split('|')).filter_map(|part| part.split('>').next());
    let refused = programs.filter_map(|words| {
        let taken = command.clone().try_get_matches_from(words.split_whitespace());
        taken.err().map(|error| format!("{words}: {error}"))
    });
    lacking.chain(refused).collect()
}

/// Writes `man1/NAME.1` with a page for each subcommand, and `completions/` for bash, zsh and fish, below `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn write(command: Command, examples: &[(&'static str, Examples)], folder: &Path) -> io::Result<()> {
    let mut command = without_help(command);
    let name = command.get_name().to_owned();
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, &name, &completions)?;
    }
    let pages = folder.join("man1");
    fs::create_dir_all(&pages)?;
    command.build();
    let exit_codes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    write_pages(&command, examples, &exit_codes, &pages)
}

/// The page of a command, and those of its subcommands.
fn write_pages(
    command: &Command,
    examples: &[(&'static str, Examples)],
    exit_codes: &str,
    folder: &Path,
) -> io::Result<()> {
    let own = examples.iter().find(|(name, _)| *name == command.get_name()).map_or(&[][..], |found| found.1);
    write_page(command, own, exit_codes, folder)?;
    let mut subcommands = command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    subcommands.try_for_each(|subcommand| write_pages(subcommand, examples, exit_codes, folder))
}

/// One page, with the sections that man-pages(7) asks for.
fn write_page(command: &Command, examples: &[(&str, &str)], exit_codes: &str, folder: &Path) -> io::Result<()> {
    let own = command.get_after_help().map(ToString::to_string);
    // These have sections of their own.
    let man = Man::new(command.clone().after_help(None::<&str>).after_long_help(None::<&str>));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|subcommand| !subcommand.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::default();
    if let Some(codes) = own.as_deref().unwrap_or(exit_codes).trim().strip_prefix(EXIT_CODES) {
        rest.control("SH", ["EXIT STATUS"]);
        for code in codes.split(", ") {
            let (number, meaning) = code.split_once(' ').unwrap_or((code, ""));
            rest.control("TP", []).text([bold(number)]).text([roman(meaning)]);
        }
    }
    if !examples.is_empty() {
        rest.control("SH", ["EXAMPLES"]);
        for (line, does) in examples {
            rest.control("TP", []).text([bold(*line)]).text([roman(*does)]);
        }
    }
    rest.to_writer(&mut page)?;
    if command.get_version().is_some() {
        man.render_version_section(&mut page)?;
    }
    fs::write(folder.join(man.get_filename()), page)
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
            .after_help("Exit codes: 0 done, 1 ran but failed")
            .subcommand(Command::new("solve").about("Solve puzzles").arg(clap::arg!(--model <NAME> "Which")))
            .subcommand(Command::new("secret").hide(true));
        let folder = tempfile::tempdir().expect("a folder");
        let examples: &[(_, Examples)] = &[("solve", &[("tool solve -m a b", "Solve b.")])];
        assert_eq!(faults(&command, examples).len(), 1, "its -m is no option");
        assert_eq!(faults(&command, &[])[..], ["solve has no example".to_owned()]);
        write(command, examples, folder.path()).expect("written");
        let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(read("man1/tool.1").contains("Does things"));
        let page = read("man1/tool-solve.1");
        assert!(page.contains("Which"));
        assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains("ran but failed"), "{page}");
        assert!(page.contains(".SH EXAMPLES") && page.contains("tool solve \\-m a b"), "{page}");
        for page in ["tool-secret.1", "tool-help.1"] {
            assert!(!folder.path().join("man1").join(page).exists(), "{page}");
        }
        for file in ["tool.bash", "_tool", "tool.fish"] {
            assert!(read(&format!("completions/{file}")).contains("model"), "{file}");
        }
    }
}
