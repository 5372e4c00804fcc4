//! Settings of a run that learns costs.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};
use trm_export::cost_network::CostNetwork;

use super::CostLoss;
use crate::{Result, TrainError};

/// Settings of a run. Each is a key of `--set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CostSettings {
    /// The lesson of a drive.
    pub loss: CostLoss,
    /// Steps.
    pub steps: usize,
    /// Stretches of drives in a step.
    pub batch: usize,
    /// Highest learning rate; it falls as a cosine.
    pub lr: f64,
    /// Decay of all weights.
    pub weight_decay: f64,
    /// Seed of weights and stretches.
    pub seed: u64,
    /// Share of the drives that are not learned from, to measure with.
    pub held_out: f64,
    /// Metres that a metre of the dearest ground costs beyond itself.
    pub factor: f64,
    /// Metres of a model's cell; 0 for the maps' own, 0.1 at least.
    pub cell: f64,
    /// True if cells know in which direction the shortest way to the goal goes on.
    pub way: bool,
    /// Names of layers whose values are amounts of something, not classes.
    pub ranges: Vec<String>,
    /// Most cells of the model along a side of a window.
    pub window: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Inner width of the `SwiGLU`, by that of the states.
    pub expansion: f64,
    /// Outer cycles.
    #[serde(rename = "H_cycles")]
    pub h_cycles: usize,
    /// Updates of `z_L` in an outer cycle.
    #[serde(rename = "L_cycles")]
    pub l_cycles: usize,
    /// Blocks; 0 for a linear model of each cell.
    #[serde(rename = "L_layers")]
    pub l_layers: usize,
}

impl Default for CostSettings {
    fn default() -> Self {
        Self {
            loss: CostLoss::Margin,
            steps: 400,
            batch: 4,
            lr: 3e-3,
            weight_decay: 0.05,
            seed: 0,
            held_out: 0.2,
            factor: 15.0,
            cell: 0.0,
            way: false,
            ranges: Vec::new(),
            window: 64,
            hidden_size: 32,
            expansion: 2.0,
            h_cycles: 1,
            l_cycles: 4,
            l_layers: 1,
        }
    }
}

/// Smallest cell of a model that is chosen without being asked for, in metres.
const SMALLEST_CELL: f64 = 0.1;

impl CostSettings {
    /// Changes a setting.
    ///
    /// # Errors
    /// [`TrainError::TrainConfig`] for an unknown setting, or a value that it cannot have.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let bad = |reason: String| TrainError::TrainConfig {
            origin: format!("--set {key}={value}"),
            reason,
            hint: Some(format!("the settings of costs are {}", Self::keys().join(", "))),
        };
        let mut table = Table::try_from(&*self).map_err(|error| bad(error.to_string()))?;
        let parsed =
            toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut table| table.remove("value"));
        let parsed = match (table.get(key), parsed.unwrap_or_else(|| Value::String(value.to_owned()))) {
            (Some(Value::Float(_)), Value::Integer(number)) => Value::Float(number as f64),
            (_, parsed) => parsed,
        };
        table.insert(key.to_owned(), parsed);
        let changed: Self = table.try_into().map_err(|error: toml::de::Error| bad(error.message().to_owned()))?;
        changed.check().map_err(bad)?;
        *self = changed;
        Ok(())
    }

    /// The settings as TOML.
    ///
    /// # Errors
    /// None for settings that can be.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| TrainError::TrainConfig {
            origin: "the settings of costs".to_owned(),
            reason: error.to_string(),
            hint: None,
        })
    }

    fn keys() -> Vec<String> {
        Table::try_from(Self::default()).map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }

    /// Refuses what cannot be.
    fn check(&self) -> Result<(), String> {
        let is_number = |value: f64| value.is_finite() && value >= 0.0;
        if !(is_number(self.lr) && is_number(self.weight_decay) && is_number(self.cell) && is_number(self.factor)) {
            return Err("expected a number of 0 or more".to_owned());
        }
        if !(0.0..1.0).contains(&self.held_out) {
            return Err("a share of 0 to less than 1 is held out".to_owned());
        }
        if !(1..=1024).contains(&self.batch) || !(16..=128).contains(&self.window) || self.steps == 0 {
            return Err("expected a batch of 1 to 1024, a window of 16 to 128, and a step at least".to_owned());
        }
        self.network(1).check().map_err(|error| error.to_string())
    }

    /// The network for so many features.
    #[must_use]
    pub fn network(&self, channels: usize) -> CostNetwork {
        CostNetwork {
            channels,
            hidden_size: self.hidden_size,
            expansion: self.expansion,
            h_cycles: self.h_cycles,
            l_cycles: self.l_cycles,
            l_layers: self.l_layers,
        }
    }

    /// Metres of a model's cell, on maps of which the finest has cells of so many metres.
    #[must_use]
    pub fn cell_of(&self, finest: f64) -> f64 {
        if self.cell > 0.0 { self.cell } else { finest.max(SMALLEST_CELL) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_changed_by_name_and_others_refused() {
        let mut settings = CostSettings::default();
        settings.set("lr", "1").expect("a rate");
        settings.set("loss", "noise").expect("a loss");
        settings.set("L_layers", "0").expect("linear");
        settings.set("way", "true").expect("the way");
        assert_eq!((settings.loss, settings.l_layers, settings.way), (CostLoss::Noise, 0, true));
        for (key, value, expected) in [
            ("rate", "1", "unknown field `rate`"),
            ("lr", "-1", "expected a number of 0 or more"),
            ("held_out", "1", "0 to less than 1"),
            ("loss", "best", "unknown variant `best`"),
            ("hidden_size", "0", "hidden_size"),
        ] {
            let error = settings.set(key, value).expect_err("refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
