//! Errors of the yaml parser in words for whoever has the file: its own are for whoever calls it.

use serde_saphyr::Error;

use crate::Printable;

/// The reason for which a yaml text was refused, in one line, printable.
#[must_use]
pub fn reason(error: &Error) -> String {
    let said = match error.without_snippet() {
        Error::DuplicateMappingKey { key, .. } => match key {
            Some(key) => format!("key `{}` is there twice", Printable(key)),
            None => "a key is there twice".to_owned(),
        },
        Error::MultipleDocuments { .. } => "there is more than one document in it, separated by ---".to_owned(),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "it has more values, aliases or levels of nesting than are read".to_owned()
        }
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands for what it is a part of".to_owned(),
        Error::AliasError { error, .. } => return reason(error),
        other => {
            // Some of the parser's messages span lines.
            let text = other.to_string();
            return Printable(&text.split_whitespace().collect::<Vec<_>>().join(" ")).to_string();
        }
    };
    match error.location().filter(|place| place.line() > 0) {
        Some(place) => format!("{said} (line {}, column {})", place.line(), place.column()),
        None => said,
    }
}
