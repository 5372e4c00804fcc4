//! The settings of a network, without the sizes of its task.

use serde::{Deserialize, Serialize};

use crate::{Architecture, Board, Mixer, PosEncodings, TrmConfig};

/// The settings of a network that is to be trained, in the reference's field names: those of a [`TrmConfig`] but for
/// what its task decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// TRM or HRM.
    pub architecture: Architecture,
    /// Width of the states.
    pub hidden_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Width of the `SwiGLU` blocks relative to their input.
    pub expansion: f64,
    /// Outer cycles of one ACT step.
    #[serde(rename = "H_cycles")]
    pub h_cycles: usize,
    /// Updates of `z_L` in one outer cycle.
    #[serde(rename = "L_cycles")]
    pub l_cycles: usize,
    /// Blocks of HRM's `H_level`.
    #[serde(rename = "H_layers")]
    pub h_layers: usize,
    /// Blocks of `L_level`.
    #[serde(rename = "L_layers")]
    pub l_layers: usize,
    /// The part of a block that mixes positions, by its name; the reference's flag `mlp_t` is read as well.
    #[serde(alias = "mlp_t", with = "crate::mixer::name")]
    pub mixer: Mixer,
    /// Encoding that tells positions apart.
    pub pos_encodings: PosEncodings,
    /// Width of a row of the puzzle-embedding table.
    pub puzzle_emb_ndim: usize,
    /// Prefix positions.
    pub puzzle_emb_len: usize,
    /// Rows of the puzzle-embedding table.
    pub num_puzzle_identifiers: usize,
    /// Most ACT steps.
    pub halt_max_steps: usize,
    /// Share of rows that may not halt before a random step.
    pub halt_exploration_prob: f64,
    /// Halt on `q_halt` alone.
    #[serde(rename = "no_ACT_continue")]
    pub no_act_continue: bool,
    /// Added to the mean square before its root.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl Default for NetworkConfig {
    /// The network that learns 9x9 sudokus on one core in minutes: 325,000 parameters.
    fn default() -> Self {
        Self {
            architecture: Architecture::Trm,
            hidden_size: 128,
            num_heads: 4,
            expansion: 2.0,
            h_cycles: 2,
            l_cycles: 2,
            h_layers: 2,
            l_layers: 2,
            mixer: Mixer::MlpT,
            pos_encodings: PosEncodings::None,
            puzzle_emb_ndim: 128,
            puzzle_emb_len: 1,
            num_puzzle_identifiers: 1,
            halt_max_steps: 16,
            halt_exploration_prob: 0.1,
            no_act_continue: true,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
        }
    }
}

impl NetworkConfig {
    /// The configuration of this network for a task of `seq_len` cells and `vocab_size` tokens, in float32, and the board of
    /// the task for a mixer that works on one. It is not validated.
    #[must_use]
    pub fn for_task(&self, seq_len: usize, vocab_size: usize, board: Option<Board>) -> TrmConfig {
        let Self {
            architecture,
            hidden_size,
            num_heads,
            expansion,
            h_cycles,
            l_cycles,
            h_layers,
            l_layers,
            mixer,
            pos_encodings,
            puzzle_emb_ndim,
            puzzle_emb_len,
            num_puzzle_identifiers,
            halt_max_steps,
            halt_exploration_prob,
            no_act_continue,
            rms_norm_eps,
            rope_theta,
        } = *self;
        TrmConfig {
            architecture,
            seq_len,
            vocab_size,
            hidden_size,
            num_heads,
            expansion,
            h_cycles,
            l_cycles,
            h_layers,
            l_layers,
            mixer,
            pos_encodings,
            puzzle_emb_ndim,
            puzzle_emb_len,
            num_puzzle_identifiers,
            halt_max_steps,
            halt_exploration_prob,
            no_act_continue,
            rms_norm_eps,
            rope_theta,
            board: board.filter(|_| mixer.has_board()),
            forward_dtype: "float32".to_owned(),
        }
    }
}

impl From<&TrmConfig> for NetworkConfig {
    /// The network of a configuration: its task's sizes and the reference's dtype are left out.
    fn from(config: &TrmConfig) -> Self {
        // Every field by name, so that a new one is not forgotten.
        let TrmConfig {
            architecture,
            seq_len: _,
            vocab_size: _,
            hidden_size,
            num_heads,
            expansion,
            h_cycles,
            l_cycles,
            h_layers,
            l_layers,
            mixer,
            pos_encodings,
            puzzle_emb_ndim,
            puzzle_emb_len,
            num_puzzle_identifiers,
            halt_max_steps,
            halt_exploration_prob,
            no_act_continue,
            rms_norm_eps,
            rope_theta,
            board: _,
            forward_dtype: _,
        } = *config;
        Self {
            architecture,
            hidden_size,
            num_heads,
            expansion,
            h_cycles,
            l_cycles,
            h_layers,
            l_layers,
            mixer,
            pos_encodings,
            puzzle_emb_ndim,
            puzzle_emb_len,
            num_puzzle_identifiers,
            halt_max_steps,
            halt_exploration_prob,
            no_act_continue,
            rms_norm_eps,
            rope_theta,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_configuration_but_for_its_task() {
        let network = NetworkConfig { hidden_size: 64, mixer: Mixer::Attention, ..NetworkConfig::default() };
        let config = network.for_task(81, 11, None);
        assert_eq!((config.seq_len, config.vocab_size, config.forward_dtype.as_str()), (81, 11, "float32"));
        assert_eq!(NetworkConfig::from(&config), network);
        let [mut of_config, mut of_network] = [serde_json::to_value(&config), serde_json::to_value(&network)]
            .map(|value| value.expect("a value").as_object().expect("fields").clone());
        for of_task in ["seq_len", "vocab_size", "forward_dtype"] {
            of_config.remove(of_task).expect("a field");
        }
        // The reference's flag in manifests, the name in settings.
        assert_eq!(of_config.remove("mlp_t"), Some(false.into()));
        assert_eq!(of_network.remove("mixer"), Some("attention".into()));
        assert_eq!(of_config, of_network, "the same names and values in files");
    }
}
