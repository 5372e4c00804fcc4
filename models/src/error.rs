//! The one error type of this crate.

use std::borrow::Cow;
use std::path::PathBuf;

use trm_intake::Hint;
use trm_intake::file::FileError;

/// The reasons for which a configuration, a graph interface or a bundle is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file or folder could not be read or written, or is larger than anything of its kind can be.
    #[error(transparent)]
    File(#[from] FileError),
    /// A config file is not YAML or JSON, or not a mapping.
    #[error("{origin}: not a model configuration: {reason}")]
    ConfigSyntax {
        /// The file.
        origin: String,
        /// The fault, and its place.
        reason: String,
    },
    /// A data set's description is not JSON, or not a mapping.
    #[error("{origin}: not the description of a data set: {reason}")]
    DatasetSyntax {
        /// The file.
        origin: String,
        /// The fault, and its place.
        reason: String,
    },
    /// A field that neither the config, the data set nor the command line gave.
    #[error("{origin}: field `{field}` is missing")]
    MissingField {
        /// The files searched.
        origin: String,
        /// The reference's name of the field.
        field: &'static str,
        /// Where the field can come from.
        hint: String,
    },
    /// A field whose value cannot be what it stands for.
    #[error("{origin}: `{field}` is {found}, expected {expected}")]
    BadField {
        /// The file the value came from.
        origin: String,
        /// The reference's name of the field.
        field: &'static str,
        /// The value.
        found: String,
        /// The expectation.
        expected: String,
        /// The advice.
        hint: Option<String>,
    },
    /// `arch.name` names a class that is not known to compute what this program computes.
    #[error("{origin}: `name` is `{class}`, a class that is not known here; known are {known}")]
    UnknownClass {
        /// The file the name came from.
        origin: String,
        /// The name.
        class: String,
        /// The classes that are known.
        known: String,
    },
    /// Keys among the model's settings that nothing is known of.
    #[error("{origin}: nothing is known of {keys}")]
    UnknownKeys {
        /// The file.
        origin: String,
        /// The keys, each with the known one that is nearest.
        keys: String,
        /// The options that leave them out.
        ignore: String,
    },
    /// A setting stands where the public code does not read it, or is misspelled there.
    #[error("{origin}: `{key}` stands where the public code reads no setting; it reads `{field}`{place}")]
    MisplacedKey {
        /// The file.
        origin: String,
        /// The key.
        key: String,
        /// The setting that it is, or is nearly.
        field: &'static str,
        /// Where the setting is read.
        place: &'static str,
    },
    /// An option names a setting that there is not, or that cannot be treated like that.
    #[error("{option}: {reason}")]
    UnknownSetting {
        /// The option.
        option: &'static str,
        /// The fault.
        reason: String,
        /// The advice.
        hint: String,
    },
    /// Settings that are each legal but do not go together.
    #[error("{reason}")]
    InvalidConfig {
        /// Which settings, and why they cannot work.
        reason: String,
        /// The advice.
        hint: Option<String>,
    },
    /// A loaded graph's interface is not the one its kind and configuration call for.
    #[error("the {kind} graph {reason}")]
    GraphMismatch {
        /// The kind of graph.
        kind: crate::GraphKind,
        /// The first difference: tensor, expected and found.
        reason: String,
    },
    /// A folder is not a bundle.
    #[error("{}: not a model bundle: there is no manifest.json", path.display())]
    NotABundle {
        /// The folder.
        path: PathBuf,
    },
    /// A manifest cannot be understood.
    #[error("{bundle}: bad manifest.json: {reason}")]
    BadManifest {
        /// The bundle.
        bundle: String,
        /// The fault, and its place.
        reason: String,
    },
    /// A bundle was to have a name that no folder can have.
    #[error("{bundle}: bad manifest.json: its name `{name}` cannot be that of a folder")]
    BadName {
        /// The bundle.
        bundle: String,
        /// The name, as it may be shown.
        name: String,
    },
    /// A bundle was written by a later version of this software.
    #[error("{bundle}: the bundle is of format version {found}, and this program reads up to {supported}")]
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
        /// The thing that was asked for: a file name, or `solve graph`.
        what: String,
        /// The things that are there.
        present: String,
    },
    /// A file of a bundle is not the one its manifest describes.
    #[error("{bundle}: file {file} is damaged or not the bundle's own: {property} is {found}, expected {expected}")]
    DamagedFile {
        /// The bundle.
        bundle: String,
        /// The file.
        file: String,
        /// The property that differs: `size` or `SHA-256`.
        property: &'static str,
        /// The value found.
        found: String,
        /// The value in the manifest.
        expected: String,
    },
    /// A bundle's folder holds files that its manifest does not list.
    #[error("{bundle}: {files} {verb} not in the manifest")]
    UnlistedFile {
        /// The bundle.
        bundle: String,
        /// The names, as they may be shown.
        files: String,
        /// `is` or `are`.
        verb: &'static str,
    },
    /// Something else stands where the manifest lists a file.
    #[error("{bundle}: {file} is {found}, expected a file in the bundle's folder")]
    NotAFile {
        /// The bundle.
        bundle: String,
        /// The name, as it may be shown.
        file: String,
        /// The thing that is there.
        found: &'static str,
    },
    /// A device or a pipe where a bundle is expected.
    #[error("{}: neither a folder nor a regular file", path.display())]
    SpecialFile {
        /// The path that was given.
        path: PathBuf,
    },
    /// A bundle without signature, where one is needed.
    #[error("{bundle}: not signed: there is no manifest.json.minisig")]
    Unsigned {
        /// The bundle.
        bundle: String,
    },
    /// A signature that does not prove what it should.
    #[error("{bundle}: {reason}")]
    BadSignature {
        /// The bundle.
        bundle: String,
        /// The fault.
        reason: String,
        /// The advice.
        hint: &'static str,
    },
    /// A public key that is none.
    #[error("{origin}: {reason}")]
    BadKey {
        /// The file or setting.
        origin: String,
        /// The fault.
        reason: String,
    },
    /// A self-test cannot be used with the model it came with.
    #[error("{bundle}: bad selftest.safetensors: {reason}")]
    BadSelfTest {
        /// The bundle.
        bundle: String,
        /// The fault.
        reason: String,
    },
    /// A bundle is already there.
    #[error("{} is already there", path.display())]
    BundleExists {
        /// The folder.
        path: PathBuf,
    },
    /// A bundle that was to be replaced has files beside its own, which would be lost.
    #[error("{}: {files}: not of the bundle that is there, which is left as it is", path.display())]
    ForeignFiles {
        /// The folder.
        path: PathBuf,
        /// The names, as they may be shown.
        files: String,
    },
    /// Something that is no bundle is in the place of one; it is never replaced.
    #[error("{} is there and is not a model bundle, so it is left as it is", path.display())]
    ForeignFolder {
        /// The file or folder.
        path: PathBuf,
    },
}

impl Hint for ModelError {
    fn hint(&self) -> Option<Cow<'_, str>> {
        let fixed = match self {
            Self::File(error) => return error.hint(),
            Self::MissingField { hint, .. } | Self::UnknownSetting { hint, .. } => return Some(hint.into()),
            Self::BadField { hint, .. } | Self::InvalidConfig { hint, .. } => {
                return hint.as_deref().map(Cow::from);
            }
            Self::BadSignature { hint, .. } => hint,
            Self::UnknownKeys { ignore, .. } => {
                let hint = "a setting may change what the model computes: correct the key, or leave it out by";
                return Some(format!("{hint} {ignore}").into());
            }
            Self::MisplacedKey { key, field, .. } => {
                let hint = format!("--set {field}=VALUE settles what holds, --ignore {key} leaves the key out");
                return Some(hint.into());
            }
            Self::ConfigSyntax { .. } => "expected the all_config.yaml beside the checkpoint",
            Self::DatasetSyntax { .. } => "expected the dataset.json that lies in the data set's folders",
            Self::UnknownClass { .. } => {
                "a fork may compute something else under a class of the same name; if this one computes what the public \
                 trm.py or hrm.py does, --assume-class trm or --assume-class hrm takes it"
            }
            Self::GraphMismatch { .. } => "the graph was not made for this model: export the checkpoint again",
            Self::NotABundle { .. } => "`trm export` makes a bundle of a checkpoint",
            Self::BadName { .. } => "--name gives it another",
            Self::FormatVersion { .. } => "update this program, or export the checkpoint again with it",
            Self::DamagedFile { .. } => "copy the bundle again, or export it again",
            Self::UnlistedFile { .. } => {
                "a bundle holds what its manifest lists and nothing else: move away what you do not know, or export it \
                 again"
            }
            Self::NotAFile { .. } => "copy the bundle again",
            Self::SpecialFile { .. } => "give the folder of a model bundle, or a file that is on a disk",
            Self::Unsigned { .. } => "`trm sign` or `minisign -S -m manifest.json` signs a bundle",
            Self::BadKey { .. } => "expected 56 characters that begin with RW, the second line of a minisign .pub file",
            Self::BundleExists { .. } => "choose another folder, or pass --overwrite to replace the bundle",
            Self::ForeignFiles { .. } => "move away what you want to keep, or choose another folder",
            Self::ForeignFolder { .. } => "choose another folder",
            Self::BadManifest { .. } | Self::NotInBundle { .. } | Self::BadSelfTest { .. } => return None,
        };
        Some(fixed.into())
    }
}
