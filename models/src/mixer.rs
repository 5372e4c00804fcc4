//! The part of a block that mixes positions.

use std::fmt;
use std::str::FromStr;

use crate::ModelError;

/// The part of a block that lets positions see each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mixer {
    /// Self-attention.
    Attention,
    /// MLP-T: a `SwiGLU` over the positions of each channel.
    MlpT,
    /// Every cell of a grid with its eight neighbours: a model of any height and width.
    Grid,
    /// Every cell of a grid with the four beside it: the same for what moves along rows and columns only.
    Cross,
    /// Every pair of a cell and a symbol with the pairs of its groups and of its cell: a model of any all-different puzzle.
    Candidates,
}

impl Mixer {
    /// All mixers.
    pub const ALL: [Self; 5] = [Self::Attention, Self::MlpT, Self::Grid, Self::Cross, Self::Candidates];

    /// The name in settings: `attention`, `mlp_t`, `grid`, `cross` or `candidates`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::MlpT => "mlp_t",
            Self::Grid => "grid",
            Self::Cross => "cross",
            Self::Candidates => "candidates",
        }
    }

    /// The name in prose: `attention`, `MLP-T`, `neighbours`, `cells beside` or `candidates`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::MlpT => "MLP-T",
            Self::Grid => "neighbours",
            Self::Cross => "cells beside",
            Self::Candidates => "candidates",
        }
    }

    /// The mixer that the reference's setting `mlp_t` chooses.
    #[must_use]
    pub fn from_mlp_t(mlp_t: bool) -> Self {
        if mlp_t { Self::MlpT } else { Self::Attention }
    }

    /// True if it has heads, and reads their rotary table.
    #[must_use]
    pub fn has_heads(self) -> bool {
        match self {
            Self::Attention => true,
            Self::MlpT | Self::Grid | Self::Cross | Self::Candidates => false,
        }
    }

    /// True if its weights are over positions, so that their shapes show the number of positions.
    #[must_use]
    pub fn weighs_positions(self) -> bool {
        match self {
            Self::Attention | Self::Grid | Self::Cross | Self::Candidates => false,
            Self::MlpT => true,
        }
    }

    /// True if it works on a [`Board`](crate::Board) of any size, with weights that no position has of its own.
    #[must_use]
    pub fn has_board(self) -> bool {
        match self {
            Self::Attention | Self::MlpT => false,
            Self::Grid | Self::Cross | Self::Candidates => true,
        }
    }

    /// The reference's setting `mlp_t`; `None` for a mixer that the reference has not.
    #[must_use]
    pub fn mlp_t(self) -> Option<bool> {
        match self {
            Self::Attention => Some(false),
            Self::MlpT => Some(true),
            Self::Grid | Self::Cross | Self::Candidates => None,
        }
    }
}

impl fmt::Display for Mixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mixer {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        Self::ALL.into_iter().find(|mixer| mixer.as_str() == name).ok_or_else(|| ModelError::InvalidConfig {
            reason: format!("there is no mixer `{name}`, expected {}", Self::ALL.map(Self::as_str).join(" or ")),
            hint: None,
        })
    }
}

/// The mixer in manifests: the reference's flag `mlp_t`, or `mixer` with the name of one that the reference has not.
pub(crate) mod keys {
    use serde::de::Error as _;
    use serde::ser::SerializeMap as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Mixer;

    #[derive(Deserialize)]
    struct Keys {
        mlp_t: Option<bool>,
        mixer: Option<String>,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(mixer: &Mixer, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match mixer.mlp_t() {
            Some(flag) => map.serialize_entry("mlp_t", &flag)?,
            None => map.serialize_entry("mixer", mixer.as_str())?,
        }
        map.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mixer, D::Error> {
        match Keys::deserialize(deserializer)? {
            Keys { mlp_t: Some(flag), mixer: None } => Ok(Mixer::from_mlp_t(flag)),
            Keys { mlp_t: None, mixer: Some(name) } => name.parse().map_err(D::Error::custom),
            Keys { mlp_t: None, mixer: None } => Err(D::Error::missing_field("mlp_t")),
            Keys { mlp_t: Some(_), mixer: Some(_) } => Err(D::Error::custom("both `mlp_t` and `mixer`, expected one")),
        }
    }
}

/// The mixer in settings of training: its name, or the reference's flag.
pub(crate) mod name {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Mixer;

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected the name of a mixer, or true for mlp_t and false for attention")]
    enum NameOrFlag {
        Flag(bool),
        Name(String),
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(mixer: &Mixer, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(mixer.as_str())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mixer, D::Error> {
        match NameOrFlag::deserialize(deserializer)? {
            NameOrFlag::Flag(flag) => Ok(Mixer::from_mlp_t(flag)),
            NameOrFlag::Name(name) => name.parse().map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_have_the_reference_s_flag_where_it_has_the_mixer() {
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        struct Settings {
            #[serde(flatten, with = "keys")]
            mixer: Mixer,
        }
        for (mixer, text) in [
            (Mixer::Attention, r#"{"mlp_t":false}"#),
            (Mixer::MlpT, r#"{"mlp_t":true}"#),
            (Mixer::Grid, r#"{"mixer":"grid"}"#),
            (Mixer::Cross, r#"{"mixer":"cross"}"#),
            (Mixer::Candidates, r#"{"mixer":"candidates"}"#),
        ] {
            assert_eq!(serde_json::to_string(&Settings { mixer }).expect("JSON"), text);
            assert_eq!(serde_json::from_str::<Settings>(text).expect("settings").mixer, mixer);
        }
        for (text, expected) in [
            ("{}", "missing field `mlp_t`"),
            (r#"{"mlp_t":true,"mixer":"grid"}"#, "both `mlp_t` and `mixer`"),
            (r#"{"mixer":"conv"}"#, "there is no mixer `conv`"),
        ] {
            let error = serde_json::from_str::<Settings>(text).expect_err("accepted").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn names_are_read_back_and_others_refused() {
        for mixer in Mixer::ALL {
            assert_eq!(mixer.to_string().parse::<Mixer>().expect("its own name"), mixer);
        }
        let error = "conv".parse::<Mixer>().expect_err("accepted").to_string();
        assert!(
            error.contains("there is no mixer `conv`, expected attention or mlp_t or grid or cross or candidates"),
            "{error}"
        );
    }
}
