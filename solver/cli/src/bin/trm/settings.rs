//! The settings that weights cannot confirm, as `export` and `inspect` list them.

use std::io::{self, Write};

use trm_intake::Printable;
use trm_models::{ConfigRecord, Identities, TrmConfig};

use crate::train::TRAINING;

/// Lists the settings that a wrong configuration would get wrong without anybody noticing, each with where it came from,
/// and what was decided about the rest. `record` is `None` for a bundle that does not say; one that was trained here has its
/// run's settings.
pub(crate) fn write(
    out: &mut impl Write,
    config: &TrmConfig,
    record: Option<&ConfigRecord>,
    trained: bool,
) -> io::Result<()> {
    let Some(record) = record else {
        if trained {
            writeln!(out, "settings of the run, in {TRAINING}")?;
        } else {
            writeln!(out, "settings that the weights cannot confirm; nobody recorded where they came from")?;
        }
        return config.unconfirmed().iter().try_for_each(|(name, value)| writeln!(out, "  {name:<16} {value}"));
    };
    writeln!(out, "settings that the weights cannot confirm")?;
    let class = match (&record.class, record.assumed) {
        (Some(class), None) => Printable(class).to_string(),
        (Some(class), Some(assumed)) => format!("{}, not known here: assumed to be {assumed}", Printable(class)),
        (None, Some(assumed)) => format!("not named: assumed to be {assumed}"),
        (None, None) => config.architecture.to_string(),
    };
    writeln!(out, "  {:<16} {class}", "class")?;
    for (name, value) in config.unconfirmed() {
        let source = record.source(name).map_or_else(|| "not recorded".to_owned(), ToString::to_string);
        writeln!(out, "  {name:<16} {value:<34} {}", Printable(&source))?;
    }
    for (what, keys) in [("ignored on request", &record.ignored), ("not known, not used", &record.unknown)] {
        if !keys.is_empty() {
            writeln!(out, "  {what}: {}", Printable(&keys.join(", ")))?;
        }
    }
    Ok(())
}

/// One line about the identities.
pub(crate) fn write_identities(out: &mut impl Write, identities: Option<&Identities>) -> io::Result<()> {
    match identities {
        None => Ok(()),
        Some(Identities { rows, names: Some(file), .. }) => {
            writeln!(out, "  puzzle identities: {rows}, named by {}", Printable(file))
        }
        Some(Identities { rows, names_ignored: true, .. }) => {
            writeln!(out, "  puzzle identities: {rows}, their file of names ignored on request")
        }
        Some(Identities { rows, .. }) => writeln!(out, "  puzzle identities: {rows}, without names"),
    }
}
