//! The account of a configuration: the source of each setting, and the fate of every other key.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Architecture, PosEncodings, TrmConfig};

/// The account of a configuration, as a manifest keeps it. Every key of the files is a setting, or stands in one of the
/// lists.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigRecord {
    /// Names of the files, without their folders.
    pub files: Vec<String>,
    /// The class that `arch.name` gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The architecture, where it was taken on request because the class is unknown or not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed: Option<Architecture>,
    /// Settings by the reference's names.
    pub settings: BTreeMap<String, Setting>,
    /// Keys that were left out on request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Keys that only training reads, or that this class does not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<String>,
    /// Keys beside the model's settings that nothing is known of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// A setting's value and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// The value: a number, a flag or a word.
    pub value: Value,
    /// Its source.
    #[serde(flatten)]
    pub source: SettingSource,
}

/// The source of a setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum SettingSource {
    /// A file.
    File {
        /// Its name, without the folder.
        file: String,
        /// The key, with the keys it stands under: `arch.H_cycles`.
        key: String,
    },
    /// The default of the public code: no file gives it.
    Default,
    /// The command line.
    Option {
        /// The option.
        option: String,
    },
    /// The shape of a weight: no file gives it.
    Weights,
    /// The class: it has no such setting.
    Class,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, key } => write!(f, "{file}: {key}"),
            Self::Default => f.write_str("default of the public code"),
            Self::Option { option } => f.write_str(option),
            Self::Weights => f.write_str("shape of the weights"),
            Self::Class => f.write_str("fixed by the class"),
        }
    }
}

impl ConfigRecord {
    /// The source of a setting; `None` for a name that is no setting.
    #[must_use]
    pub fn source(&self, setting: &str) -> Option<&SettingSource> {
        self.settings.get(setting).map(|setting| &setting.source)
    }
}

impl TrmConfig {
    /// The settings that no shape of a weight confirms, by the reference's names, with their values: a wrong
    /// configuration may have these wrong without anybody noticing.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<(&'static str, String)> {
        let attention = self.mixer.has_heads();
        let rope = attention && self.pos_encodings == PosEncodings::Rope;
        // Learned positions have a row for each, and MLP-T a column.
        let length_shows = self.mixer.weighs_positions() || self.pos_encodings == PosEncodings::Learned;
        let positions = match self.pos_encodings {
            PosEncodings::Rope => "rope",
            PosEncodings::Learned => "learned",
            PosEncodings::None => "none",
        };
        let halting =
            if self.halts_by_q_learning() { "halts when q_halt > q_continue" } else { "halts when q_halt > 0" };
        let trm = self.architecture == Architecture::Trm;
        let all = [
            ("H_cycles", true, self.h_cycles.to_string()),
            ("L_cycles", true, self.l_cycles.to_string()),
            ("num_heads", attention, self.num_heads.to_string()),
            ("pos_encodings", attention && self.pos_encodings != PosEncodings::Learned, positions.to_owned()),
            ("rope_theta", rope, self.rope_theta.to_string()),
            ("seq_len", !length_shows, self.seq_len.to_string()),
            ("puzzle_emb_len", trm && !length_shows, self.puzzle_emb_len.to_string()),
            ("rms_norm_eps", true, self.rms_norm_eps.to_string()),
            ("halt_max_steps", true, self.halt_max_steps.to_string()),
            ("no_ACT_continue", true, format!("{}, {halting}", self.no_act_continue)),
            ("forward_dtype", true, self.forward_dtype.clone()),
        ];
        all.into_iter().filter(|(_, listed, _)| *listed).map(|(name, _, value)| (name, value)).collect()
    }
}
