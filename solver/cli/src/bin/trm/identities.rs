//! The names of a model's puzzle identities, one for each row of its table of puzzle embeddings.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserializer;
use serde::de::{SeqAccess, Visitor};
use trm_cli::errln;
use trm_intake::{Budget, Limits, Printable};
use trm_models::{Identities, TrmConfig};

use crate::weights::{beside, there};

/// File of a data set that names the puzzle of each identity; an ARC model is of little use without it.
pub(crate) const IDENTIFIERS: &str = "identifiers.json";
/// The file that names some thousand puzzles has 1 MB.
const LIMITS: Limits = Limits { bytes: 256 << 20, items: 1 << 27, depth: 4, time: None };

/// A file of a bundle: its name and content.
type NamedFile = (String, Vec<u8>);

/// Accounts for the identities of a checkpoint: the record for the manifest, and the file of names where one lies
/// beside the checkpoint.
///
/// # Errors
/// The file is not a list of different names, one for each row of the table.
pub(crate) fn of_checkpoint(
    checkpoint: &Path,
    config: &TrmConfig,
    ignored: bool,
) -> Result<(Option<Identities>, Option<NamedFile>)> {
    let path = beside(checkpoint, IDENTIFIERS);
    let found = if ignored { path.symlink_metadata().is_ok() } else { there(checkpoint, IDENTIFIERS)?.is_some() };
    if ignored && !found {
        bail!("--ignore {IDENTIFIERS}: there is none beside {}\nhint: leave the option out", checkpoint.display());
    }
    if config.puzzle_emb_ndim == 0 {
        if found && !ignored {
            errln!("not using {}: the model has no puzzle identities", path.display());
        }
        return Ok((None, None));
    }
    let rows = config.num_puzzle_identifiers;
    if !found || ignored {
        return Ok((Some(Identities { rows, names: None, names_ignored: ignored }), None));
    }
    let content = Budget::new(LIMITS)
        .read_file(&path)
        .with_context(|| format!("cannot read {}\nhint: --ignore {IDENTIFIERS} leaves it out", path.display()))?;
    check(&content, rows)
        .map_err(|reason| anyhow::anyhow!("{}: {reason}\nhint: is it that of the data set the model was trained on? --ignore {IDENTIFIERS} leaves it out", path.display()))?;
    errln!("using {}", path.display());
    let identities = Identities { rows, names: Some(IDENTIFIERS.to_owned()), names_ignored: false };
    Ok((Some(identities), Some((IDENTIFIERS.to_owned(), content))))
}

/// Checks a file of names for a table of so many rows; the error says in words what is wrong with it.
fn check(content: &[u8], rows: usize) -> std::result::Result<(), String> {
    let mut parser = serde_json::Deserializer::from_slice(content);
    let found = parser.deserialize_seq(Names { rows }).and_then(|found| parser.end().map(|()| found));
    match found.map_err(|error| format!("not a list of names: {}", Printable(&error.to_string())))? {
        Found::Twice(name) => {
            Err(format!("the name `{}` stands for two rows of the table of puzzle embeddings", Printable(&name)))
        }
        Found::Different(names) if names == rows => Ok(()),
        Found::Different(names) => Err(format!("{names} names for {rows} rows of the table of puzzle embeddings")),
    }
}

/// Reads a list of names without keeping it: data sets have a million.
struct Names {
    rows: usize,
}

enum Found {
    Different(usize),
    Twice(String),
}

impl<'de> Visitor<'de> for Names {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> std::result::Result<Found, A::Error> {
        // Two names with one hash among a million: once in ten million data sets.
        let mut seen = HashSet::new();
        let (mut count, mut twice) = (0, None);
        while let Some(name) = names.next_element::<String>()? {
            count += 1;
            if count > self.rows {
                continue;
            }
            let mut hasher = DefaultHasher::new();
            name.hash(&mut hasher);
            if !seen.insert(hasher.finish()) && twice.is_none() {
                twice = Some(name);
            }
        }
        Ok(match twice {
            Some(name) if count == self.rows => Found::Twice(name),
            _ => Found::Different(count),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        check(br#"["<blank>", "a", "b"]"#, 3).expect("fits");
        let refused = |content: &str, rows| check(content.as_bytes(), rows).expect_err("refused");
        assert_eq!(refused(r#"["<blank>", "a"]"#, 3), "2 names for 3 rows of the table of puzzle embeddings");
        assert_eq!(refused(r#"["<blank>", "a", "b", "c"]"#, 3), "4 names for 3 rows of the table of puzzle embeddings");
        let twice = refused("[\"a\\u001b\", \"a\\u001b\"]", 2);
        assert_eq!(twice, "the name `a\\u{1b}` stands for two rows of the table of puzzle embeddings");
        for content in ["{\"a\": 0}", "[1]", "[", ""] {
            assert!(refused(content, 1).starts_with("not a list of names: "), "{content}");
        }
    }
}
