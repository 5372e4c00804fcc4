//! The published configurations (arXiv 2510.04871) with random weights, initialised as the public code does.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor, layout};
use trm_export::trm::mixer;
use trm_models::{Architecture, Mixer, PosEncodings, TrmConfig};
use trm_puzzles::normal;

/// A published configuration and its name in reports.
pub struct FullSize {
    /// `sudoku` or `maze`.
    pub name: &'static str,
    /// Its distinguishing features, in a few words.
    pub what: &'static str,
    /// Its configuration.
    pub config: TrmConfig,
}

impl FullSize {
    /// Sudoku-Extreme's MLP-T model and Maze-Hard's attention model.
    #[must_use]
    pub fn all() -> [Self; 2] {
        let sudoku = TrmConfig {
            architecture: Architecture::Trm,
            seq_len: 81,
            vocab_size: 11,
            hidden_size: 512,
            num_heads: 8,
            expansion: 4.0,
            h_cycles: 3,
            l_cycles: 6,
            h_layers: 0,
            l_layers: 2,
            mixer: Mixer::MlpT,
            pos_encodings: PosEncodings::None,
            puzzle_emb_ndim: 512,
            puzzle_emb_len: 16,
            num_puzzle_identifiers: 1,
            halt_max_steps: 16,
            halt_exploration_prob: 0.1,
            no_act_continue: true,
            rms_norm_eps: 1e-5,
            rope_theta: 10_000.0,
            board: None,
            forward_dtype: "float32".to_owned(),
        };
        let maze = TrmConfig {
            seq_len: 900,
            vocab_size: 6,
            l_cycles: 4,
            mixer: Mixer::Attention,
            pos_encodings: PosEncodings::Rope,
            ..sudoku.clone()
        };
        [
            Self { name: "sudoku", what: "MLP-T, 81 cells, 21 passes", config: sudoku },
            Self { name: "maze", what: "attention, 900 cells, 15 passes", config: maze },
        ]
    }

    /// Floating-point operations of one step's matrix products, for one puzzle: two for each multiplication.
    #[must_use]
    pub fn flops(&self) -> f64 {
        let config = &self.config;
        let (len, width) = (config.total_len(), config.hidden_size);
        let mixing = mixer::multiplications(config);
        let block = mixing + 3 * len * width * config.swiglu_inner(width);
        let passes = config.h_cycles * (config.l_cycles + 1);
        let heads = config.seq_len * width * config.vocab_size + 2 * width;
        2.0 * (passes * config.l_layers * block + heads) as f64
    }

    /// A puzzle of random tokens, padding excluded, `[seq]`.
    #[must_use]
    pub fn tokens(&self, seed: u64) -> Vec<i32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let vocab = self.config.vocab_size as i32;
        (0..self.config.seq_len).map(|_| rng.random_range(1..vocab)).collect()
    }
}

/// Random weights of every tensor that the configuration calls for: truncated normal, with standard deviation
/// `1/sqrt(in)` for linear weights, `1/sqrt(hidden)` for embeddings and 1 for the initial states.
///
/// The reference starts the halting head at zero; here it is random too, so that its output tells runs apart.
#[must_use]
pub fn random_weights(config: &TrmConfig, seed: u64) -> StateDict {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = StateDict::new();
    for tensor in layout(config) {
        let fan_in = match tensor.shape.as_slice() {
            // Embeddings are `[rows, hidden]`, linear weights `[out, in]`: the last axis in either case.
            [_, .., last] => *last,
            _ => 1,
        };
        let std = 1.0 / (fan_in as f32).sqrt();
        let data = (0..tensor.shape.iter().product()).map(|_| std * truncated_normal(&mut rng)).collect();
        weights.insert(tensor.name, WeightTensor { dtype: WeightDtype::F32, shape: tensor.shape, data });
    }
    weights
}

/// A standard normal value, drawn again beyond two standard deviations.
fn truncated_normal(rng: &mut ChaCha8Rng) -> f32 {
    normal::truncated(|| [1.0 - rng.random::<f64>(), rng.random::<f64>()]) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_are_valid_and_of_the_published_size() {
        let [sudoku, maze] = FullSize::all().map(|model| model.config);
        sudoku.validate().unwrap();
        maze.validate().unwrap();
        // 5 and 7 million in the paper, which counts neither embeddings nor heads the same way everywhere.
        let parameters = |config| random_weights(config, 0).num_parameters();
        assert!((4_800_000..5_200_000).contains(&parameters(&sudoku)), "{}", parameters(&sudoku));
        assert!((6_600_000..7_200_000).contains(&parameters(&maze)), "{}", parameters(&maze));
    }

    #[test]
    fn a_step_takes_the_operations_that_are_stated() {
        let [sudoku, maze] = FullSize::all().map(|model| model.flops() / 1e9);
        assert!((sudoku - 25.6).abs() < 0.1 && (maze - 239.0).abs() < 0.5, "{sudoku} {maze}");
    }

    #[test]
    fn weights_are_seeded_fit_the_configuration_and_have_the_stated_spread() {
        let [sudoku, _] = FullSize::all();
        let weights = random_weights(&sudoku.config, 7);
        weights.check(&sudoku.config).unwrap();
        assert_eq!(weights, random_weights(&sudoku.config, 7));
        assert_ne!(weights, random_weights(&sudoku.config, 8));
        let down = weights.get("L_level.layers.0.mlp.down_proj.weight").unwrap();
        let variance = down.data.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / down.data.len() as f64;
        // A normal distribution cut at two standard deviations keeps 0.7737 of its variance.
        let expected = 0.7737 / 1536.0;
        assert!((variance / expected - 1.0).abs() < 0.01, "{variance} against {expected}");
    }

    #[test]
    fn tokens_are_in_the_vocabulary_and_never_padding() {
        for model in FullSize::all() {
            let tokens = model.tokens(1);
            assert_eq!(tokens.len(), model.config.seq_len);
            assert!(tokens.iter().all(|token| (1..model.config.vocab_size as i32).contains(token)));
        }
    }
}
