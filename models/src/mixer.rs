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
}

impl Mixer {
    /// All mixers.
    pub const ALL: [Self; 2] = [Self::Attention, Self::MlpT];

    /// The name in settings: `attention` or `mlp_t`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::MlpT => "mlp_t",
        }
    }

    /// The name that papers use: `attention` or `MLP-T`.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::MlpT => "MLP-T",
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
            Self::MlpT => false,
        }
    }

    /// True if its weights are over positions, so that their shapes show the number of positions.
    #[must_use]
    pub fn weighs_positions(self) -> bool {
        match self {
            Self::Attention => false,
            Self::MlpT => true,
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

/// The mixer in manifests: the reference's flag `mlp_t`.
pub(crate) mod flag {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Mixer;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(crate) fn serialize<S: Serializer>(mixer: &Mixer, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*mixer == Mixer::MlpT)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Mixer, D::Error> {
        bool::deserialize(deserializer).map(Mixer::from_mlp_t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for mixer in Mixer::ALL {
            assert_eq!(mixer.to_string().parse::<Mixer>().expect("its own name"), mixer);
        }
        let error = "conv".parse::<Mixer>().expect_err("accepted").to_string();
        assert!(error.contains("there is no mixer `conv`, expected attention or mlp_t"), "{error}");
    }
}
