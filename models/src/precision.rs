//! The types of a model's weights and activations.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use trm_intake::Printable;

use crate::ModelError;

/// The types of a model's weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// 32-bit floats: `fp32`.
    Float32,
    /// 16-bit floats; norms, halting head, logits and the carry are 32-bit: `fp16`.
    Float16,
    /// Products of 8-bit integers, activations by the range that each tensor has as it runs: `int8`.
    Int8,
    /// Products of 8-bit integers, activations by ranges from calibration: `int8-static`.
    Int8Static,
    /// [`Precision::Int8`], with some products in float32: `mixed`.
    Mixed,
    /// [`Precision::Int8Static`], with some products in float32: `mixed-static`.
    MixedStatic,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Self; 6] =
        [Self::Float32, Self::Float16, Self::Int8, Self::Int8Static, Self::Mixed, Self::MixedStatic];

    /// The name in manifests and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float32 => "fp32",
            Self::Float16 => "fp16",
            Self::Int8 => "int8",
            Self::Int8Static => "int8-static",
            Self::Mixed => "mixed",
            Self::MixedStatic => "mixed-static",
        }
    }

    /// True if a row's numbers do not depend on the rows beside it in a batch. They do where activations are quantised
    /// by the range of a whole tensor.
    #[must_use]
    pub fn is_batch_invariant(self) -> bool {
        !matches!(self, Self::Int8 | Self::Mixed)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Precision {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        Self::ALL.into_iter().find(|precision| precision.as_str() == name).ok_or_else(|| ModelError::InvalidConfig {
            reason: format!(
                "there is no precision `{}`, expected one of {}",
                Printable(name),
                Self::ALL.map(Self::as_str).join(", ")
            ),
            hint: None,
        })
    }
}

impl Serialize for Precision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Precision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files_and_others_are_refused() {
        let names = ["fp32", "fp16", "int8", "int8-static", "mixed", "mixed-static"];
        assert_eq!(Precision::ALL.map(Precision::as_str), names);
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse::<Precision>().expect("its own name"), precision);
            let json = serde_json::to_string(&precision).expect("a text");
            assert_eq!(json, format!("\"{precision}\""));
            assert_eq!(serde_json::from_str::<Precision>(&json).expect("its own name"), precision);
        }
        for name in ["fp8", "FP32", "", "float32\u{1b}[2J"] {
            let error = serde_json::from_value::<Precision>(name.into()).expect_err("accepted").to_string();
            let expected = "expected one of fp32, fp16, int8, int8-static, mixed, mixed-static";
            assert_eq!(error, format!("there is no precision `{}`, {expected}", Printable(name)));
        }
    }
}
