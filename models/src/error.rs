//! The one error type of this crate.

use std::path::PathBuf;

/// Why a configuration, a graph interface or a bundle was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}{}", path.display(), crate::file::full_disk_hint(source))]
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
    /// A folder is not a bundle.
    #[error("{}: not a model bundle: there is no manifest.json\nhint: `trm export` makes a bundle of a checkpoint", path.display())]
    NotABundle {
        /// The folder.
        path: PathBuf,
    },
    /// A manifest cannot be understood.
    #[error("{bundle}: bad manifest.json: {reason}")]
    BadManifest {
        /// The bundle.
        bundle: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// A bundle was written by a later version of this software.
    #[error(
        "{bundle}: the bundle is of format version {found}, and this program reads up to {supported}\n\
         hint: update this program, or export the checkpoint again with it"
    )]
    FormatVersion {
        /// The bundle.
        bundle: String,
        /// The version in the manifest.
        found: u64,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A bundle has no such file or graph.
    #[error("{bundle}: no {what} in this bundle; it has {present}")]
    NotInBundle {
        /// The bundle.
        bundle: String,
        /// What was asked for: a file name, or `solve graph`.
        what: String,
        /// What is there.
        present: String,
    },
    /// A file of a bundle is not the one its manifest describes.
    #[error(
        "{bundle}: file {file} is damaged or not the bundle's own: {property} is {found}, expected {expected}\n\
         hint: copy the bundle again, or export it again"
    )]
    DamagedFile {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
        /// What differs: `size` or `SHA-256`.
        property: &'static str,
        /// The value found.
        found: String,
        /// The value in the manifest.
        expected: String,
    },
    /// A self-test cannot be used with the model it came with.
    #[error("{bundle}: bad selftest.safetensors: {reason}")]
    BadSelfTest {
        /// The bundle.
        bundle: String,
        /// What is wrong.
        reason: String,
    },
    /// A bundle is already there.
    #[error("{} is already there\nhint: choose another folder, or pass --overwrite to replace the bundle", path.display())]
    BundleExists {
        /// The folder.
        path: PathBuf,
    },
    /// Something that is no bundle is in the place of one; it is never replaced.
    #[error("{} is there and is not a model bundle, so it is left as it is\nhint: choose another folder", path.display())]
    ForeignFolder {
        /// The file or folder.
        path: PathBuf,
    },
}

/// The optional last line of a message.
fn hint_line(hint: Option<&str>) -> String {
    hint.map_or_else(String::new, |hint| format!("\nhint: {hint}"))
}
