//! The self-test: inputs, and the outputs that the model must give for them. It proves an engine on the device it
//! landed on.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::{ModelError, Result, TrmConfig};

/// Inputs, and the outputs of the reference evaluator (float64) after some ACT steps from a fresh carry.
#[derive(Debug, Clone, PartialEq)]
pub struct SelfTest {
    /// ACT steps taken.
    pub steps: usize,
    /// Tokens, `[rows, S]`.
    pub tokens: Vec<i32>,
    /// Puzzle identities, `[rows]`.
    pub puzzle_ids: Vec<i32>,
    /// Answer, `[rows, S]`.
    pub answer: Vec<i32>,
    /// Halting logit, `[rows]`.
    pub q_halt: Vec<f32>,
    /// Continuing logit, `[rows]`.
    pub q_continue: Vec<f32>,
    /// Carry of the answer's state, `[rows, L, D]`.
    pub z_h: Vec<f32>,
    /// Carry of the reasoning state, `[rows, L, D]`.
    pub z_l: Vec<f32>,
}

const STEPS: &str = "steps";
/// More steps than any self-test takes; a larger number is a damaged file.
const MOST_STEPS: usize = 1 << 10;

impl SelfTest {
    /// Number of puzzles.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.puzzle_ids.len()
    }

    /// The self-test as a safetensors file.
    ///
    /// # Errors
    /// [`ModelError::BadSelfTest`] when the tensors' lengths contradict each other.
    pub fn encode(&self, config: &TrmConfig) -> Result<Vec<u8>> {
        let bad = |reason: String| ModelError::BadSelfTest { bundle: "self-test".into(), reason };
        let carry = [self.rows(), config.total_len(), config.hidden_size];
        let cells = [self.rows(), config.seq_len];
        let tensors = [
            ("tokens", Dtype::I32, &cells[..], bytes_i32(&self.tokens)),
            ("puzzle_ids", Dtype::I32, &cells[..1], bytes_i32(&self.puzzle_ids)),
            ("answer", Dtype::I32, &cells[..], bytes_i32(&self.answer)),
            ("q_halt", Dtype::F32, &cells[..1], bytes_f32(&self.q_halt)),
            ("q_continue", Dtype::F32, &cells[..1], bytes_f32(&self.q_continue)),
            ("z_h", Dtype::F32, &carry[..], bytes_f32(&self.z_h)),
            ("z_l", Dtype::F32, &carry[..], bytes_f32(&self.z_l)),
        ];
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| Ok((*name, TensorView::new(*dtype, shape.to_vec(), data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| bad(error.to_string()))?;
        let metadata = HashMap::from([(STEPS.to_owned(), self.steps.to_string())]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| bad(error.to_string()))
    }

    /// Reads a self-test and checks it against the model's configuration. `bundle` is for messages.
    ///
    /// # Errors
    /// [`ModelError::BadSelfTest`] when the file is no self-test or another model's.
    pub fn decode(bytes: &[u8], config: &TrmConfig, bundle: &str) -> Result<Self> {
        let bad = |reason: String| ModelError::BadSelfTest { bundle: bundle.into(), reason };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| bad(error.to_string()))?;
        let steps = metadata.metadata().as_ref().and_then(|pairs| pairs.get(STEPS)?.parse().ok());
        let steps = steps.filter(|steps| (1..=MOST_STEPS).contains(steps)).ok_or_else(|| bad("no steps".into()))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| bad(error.to_string()))?;
        let rows = tensors.tensor("puzzle_ids").map_err(|error| bad(error.to_string()))?.shape().to_vec();
        let &[rows] = rows.as_slice() else {
            return Err(bad("puzzle_ids is not one number a row".into()));
        };
        let carry = [rows, config.total_len(), config.hidden_size];
        let cells = [rows, config.seq_len];
        let data = |name: &str, dtype: Dtype, shape: &[usize]| {
            let tensor = tensors.tensor(name).map_err(|error| bad(error.to_string()))?;
            if tensor.dtype() != dtype || tensor.shape() != shape {
                let (found, at) = (tensor.dtype(), tensor.shape());
                return Err(bad(format!("{name} is {found:?} {at:?}, expected {dtype:?} {shape:?}")));
            }
            Ok(tensor.data().to_vec())
        };
        let ints =
            |name: &str, shape: &[usize]| data(name, Dtype::I32, shape).map(|bytes| four(&bytes, i32::from_le_bytes));
        let floats =
            |name: &str, shape: &[usize]| data(name, Dtype::F32, shape).map(|bytes| four(&bytes, f32::from_le_bytes));
        let test = Self {
            steps,
            tokens: ints("tokens", &cells)?,
            puzzle_ids: ints("puzzle_ids", &cells[..1])?,
            answer: ints("answer", &cells)?,
            q_halt: floats("q_halt", &cells[..1])?,
            q_continue: floats("q_continue", &cells[..1])?,
            z_h: floats("z_h", &carry)?,
            z_l: floats("z_l", &carry)?,
        };
        let outside =
            |values: &[i32], end: usize| values.iter().any(|&v| usize::try_from(v).map_or(true, |v| v >= end));
        let vocabulary = config.vocab_size;
        if outside(&test.tokens, vocabulary) || outside(&test.answer, vocabulary) {
            return Err(bad(format!("a token is outside 0..{vocabulary}")));
        }
        if outside(&test.puzzle_ids, config.num_puzzle_identifiers) {
            return Err(bad(format!("a puzzle identity is outside 0..{}", config.num_puzzle_identifiers)));
        }
        let finite = [&test.q_halt, &test.q_continue, &test.z_h, &test.z_l];
        if rows == 0 || finite.iter().any(|values| values.iter().any(|value| !value.is_finite())) {
            return Err(bad("it holds no row, or a number that is not finite".into()));
        }
        Ok(test)
    }
}

fn bytes_i32(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn bytes_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn four<T>(bytes: &[u8], read: impl Fn([u8; 4]) -> T) -> Vec<T> {
    bytes.as_chunks::<4>().0.iter().map(|&chunk| read(chunk)).collect()
}
