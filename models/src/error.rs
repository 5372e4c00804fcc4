//! The one error type of this crate.

use std::path::PathBuf;

/// Why a configuration, a graph interface or a bundle was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done, as an infinitive: `read`, `create`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is larger than anything of its kind can be, and was not read.
    #[error("{} is {bytes} bytes, more than the {limit} that a {what} may have", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size accepted.
        limit: u64,
        /// What the file was read as.
        what: &'static str,
    },
    /// A config file is not YAML or JSON, or not a mapping.
    #[error("{origin}: not a model configuration: {reason}\nhint: expected the all_config.yaml beside the checkpoint")]
    ConfigSyntax {
        /// The file.
        origin: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A field that neither the config, the data set nor the command line gave.
    #[error("{origin}: field `{field}` is missing\nhint: {hint}")]
    MissingField {
        /// The files searched.
        origin: String,
        /// The reference's name of the field.
        field: &'static str,
        /// Where the field can come from.
        hint: String,
    },
    /// A field whose value cannot be what it stands for.
    #[error("{origin}: `{field}` is {found}, expected {expected}{}", hint_line(hint.as_deref()))]
    BadField {
        /// The file the value came from.
        origin: String,
        /// The reference's name of the field.
        field: &'static str,
        /// The value.
        found: String,
        /// What was expected instead.
        expected: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Settings that are each legal but do not go together.
    #[error("{reason}{}", hint_line(hint.as_deref()))]
    InvalidConfig {
        /// Which settings, and why they cannot work.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A loaded graph's interface is not the one its kind and configuration call for.
    #[error("the {kind} graph {reason}\nhint: the graph was not made for this model: export the checkpoint again")]
    GraphMismatch {
        /// The kind of graph.
        kind: crate::GraphKind,
        /// The first difference: tensor, expected and found.
        reason: String,
    },
}

/// The optional last line of a message.
fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
