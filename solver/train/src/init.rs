//! Weights to begin with, as the reference draws them.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use trm_export::checkpoint::WeightRole;
use trm_export::train::trained_layout;
use trm_models::TrmConfig;
use trm_puzzles::normal;

use super::runtime::NamedTensor;

/// Standard deviation of a normal distribution cut off at two of its own: `sqrt(1 - 4 φ(2) / (Φ(2) - Φ(-2)))`. The
/// reference divides by it, so that what it draws has the deviation it asks for (`trunc_normal_init_`).
const TRUNCATED_DEVIATION: f64 = 0.879_625_661_034_238_2;
/// Bias of the halting head: no answer is believed at first.
const Q_BIAS: f32 = -5.0;

/// New weights: linear layers truncated normal of deviation `1 / sqrt(in)`, embeddings `1 / sqrt(D)`, `H_init` and `L_init`
/// 1; the puzzle embedding and the halting head's weight 0, its bias -5. With `wave` the head that teaches it as well.
#[must_use]
pub fn initial_weights(config: &TrmConfig, wave: bool, seed: u64) -> BTreeMap<String, NamedTensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let embedding = 1.0 / (config.hidden_size as f64).sqrt();
    let tensors = trained_layout(config, wave).into_iter().map(|tensor| {
        let count = tensor.shape.iter().product::<usize>();
        let data = match tensor.role {
            WeightRole::PuzzleEmbedding | WeightRole::HaltWeight => vec![0.0; count],
            WeightRole::HaltBias => vec![Q_BIAS; count],
            WeightRole::InitialState => truncated_normal(&mut rng, count, 1.0),
            WeightRole::Embedding => truncated_normal(&mut rng, count, embedding),
            WeightRole::Linear => {
                let inputs = tensor.shape.last().copied().unwrap_or(1);
                truncated_normal(&mut rng, count, 1.0 / (inputs as f64).sqrt())
            }
        };
        (tensor.name, NamedTensor { shape: tensor.shape, data })
    });
    tensors.collect()
}

/// Truncated normal numbers of a standard deviation.
pub(crate) fn truncated_normal(rng: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f32> {
    let scale = deviation / TRUNCATED_DEVIATION;
    // (0, 1] for the logarithm.
    let mut unit = || ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    (0..count).map(|_| (normal::truncated(|| [unit(), unit()]) * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;

    #[test]
    fn weights_have_the_deviations_they_should() {
        let config = TrainConfig::preset("sudoku-9").and_then(|config| config.trm_config()).expect("a preset");
        let weights = initial_weights(&config, false, 3);
        for (name, expected) in [
            ("L_level.layers.0.mlp.gate_up_proj.weight", 1.0 / (config.hidden_size as f64).sqrt()),
            ("embed_tokens.embedding_weight", 1.0 / (config.hidden_size as f64).sqrt()),
            ("H_init", 1.0),
        ] {
            let data = &weights[name].data;
            let found = (data.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / data.len() as f64).sqrt();
            // The deviation of n numbers is uncertain by its sqrt(2 n)th part; four times that.
            let tolerance = 4.0 * expected / (2.0 * data.len() as f64).sqrt();
            assert!((found - expected).abs() < tolerance, "{name}: {found}, expected {expected} +- {tolerance}");
            let most = data.iter().fold(0.0_f64, |most, &v| most.max(f64::from(v).abs()));
            assert!(most <= 2.0 * expected / TRUNCATED_DEVIATION + 1e-6, "{name}: {most}");
        }
        assert!(weights["q_head.bias"].data.iter().all(|&v| (v - Q_BIAS).abs() < f32::EPSILON));
        assert_eq!(weights, initial_weights(&config, false, 3), "the same seed");
        assert_ne!(weights, initial_weights(&config, false, 4), "another seed");
    }
}
