//! A model small enough to be differentiated by hand, with a model's inputs and outputs, and its training in float64.

use std::collections::BTreeMap;

use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::onnx::operators::{Equal, Gather, Less, ReduceMean, Unsqueeze};
use trm_export::onnx::{Constant, DType, Dim, GraphBuilder, TensorType, ValueId};
use trm_export::train::Differentiated;
use trm_export::train::ort_training::AdamW;
use trm_train::runtime::{NamedTensor, TrainBatch, TrainState, UpdateInput};

pub(crate) const BATCH: usize = 3;
pub(crate) const GROUPS: usize = 2;
pub(crate) const SEQ: usize = 4;
pub(crate) const WIDTH: usize = 5;
const TOKENS: usize = 6;
const PUZZLES: usize = 7;
pub(crate) const PUZZLE_EMBEDDING: &str = "puzzle_emb.weights";
/// Its parameters: state to state, embedding to state, state to answer, and the puzzle embedding.
const PARAMETERS: [(&str, [usize; 2]); 4] =
    [("mix", [WIDTH, WIDTH]), ("take", [WIDTH, WIDTH]), ("read", [WIDTH, 1]), (PUZZLE_EMBEDDING, [PUZZLES, WIDTH])];

/// Numbers that are neither regular nor random.
fn numbers(count: usize, seed: f64) -> impl Iterator<Item = f32> {
    (0..count).map(move |index| (((index as f64 + 1.0) * (seed + 0.7)).sin() * 0.5) as f32)
}

fn dims(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().map(|&size| Dim::Fixed(size)).collect()
}

/// `z' = z·mix + x·take + puzzle`, `answer = z'·read`, squared error against the labels; the gradients by hand.
pub(crate) fn differentiated() -> Differentiated {
    build().expect("the graph builds")
}

fn build() -> Result<Differentiated, trm_export::ExportError> {
    let cells = BATCH * SEQ;
    let mut g = GraphBuilder::new("toy", "");
    let mut input = |name: &str, dtype, sizes: &[usize]| g.input(name, TensorType::new(dtype, dims(sizes)));
    let tokens = input("tokens", DType::I32, &[BATCH, SEQ]);
    let labels = input("labels", DType::I32, &[BATCH, SEQ]);
    let ids = input("puzzle_ids", DType::I32, &[BATCH]);
    let reset = input("reset", DType::Bool, &[BATCH]);
    let z_h = input("z_h", DType::F32, &[BATCH, SEQ, WIDTH]);
    let z_l = input("z_l", DType::F32, &[BATCH, SEQ, WIDTH]);
    let [mix, take, read, table] = PARAMETERS.map(|(name, sizes)| input(name, DType::F32, &sizes));

    // Forward.
    let flag = g.per_row(reset)?;
    let zero = g.scalar(0.0, DType::F32);
    let z = g.select_where(flag, zero, z_h)?;
    let z_rows = g.reshape(z, &dims(&[cells, WIDTH]))?;
    let embedding =
        g.constant("embedding", || Constant::f32(&[TOKENS, WIDTH], numbers(TOKENS * WIDTH, 1.0).collect::<Vec<_>>()));
    let x = g.node(Gather { axis: 0 }, &[embedding, tokens])?;
    let x_rows = g.reshape(x, &dims(&[cells, WIDTH]))?;
    let puzzle = g.node(Gather { axis: 0 }, &[table, ids])?;
    let puzzle = g.node(Unsqueeze { axes: vec![1] }, &[puzzle])?;
    let (mixed, taken) = (g.matmul(z_rows, mix)?, g.matmul(x_rows, take)?);
    let next = g.add(mixed, taken)?;
    let next = g.reshape(next, &dims(&[BATCH, SEQ, WIDTH]))?;
    let next = g.add(next, puzzle)?;
    let next_rows = g.reshape(next, &dims(&[cells, WIDTH]))?;
    let answer = g.matmul(next_rows, read)?;
    let target = g.cast(labels, DType::F32)?;
    let target = g.reshape(target, &dims(&[cells, 1]))?;
    let error = g.sub(answer, target)?;
    let squared = g.mul(error, error)?;
    let loss = g.node(ReduceMean { axis: 0 }, &[squared])?;
    let loss = g.reshape(loss, &[])?;
    let by_row = g.reshape(squared, &dims(&[BATCH, SEQ]))?;
    let by_row = g.node(ReduceMean { axis: 1 }, &[by_row])?;
    let by_row = g.reshape(by_row, &dims(&[BATCH]))?;
    let near = g.scalar(0.01, DType::F32);
    let exact = g.node(Less, &[by_row, near])?;
    let right = g.cast(exact, DType::I32)?;
    let next_l = g.add(z_l, x)?;

    // Backward.
    let factor = g.scalar(2.0 / cells as f32, DType::F32);
    let d_answer = g.mul(error, factor)?;
    let transposed = |g: &mut GraphBuilder, value: ValueId| g.transpose(value, &[1, 0]);
    let (next_t, read_t) = (transposed(&mut g, next_rows)?, transposed(&mut g, read)?);
    let d_read = g.matmul(next_t, d_answer)?;
    let d_next = g.matmul(d_answer, read_t)?;
    let (z_t, x_t) = (transposed(&mut g, z_rows)?, transposed(&mut g, x_rows)?);
    let (d_mix, d_take) = (g.matmul(z_t, d_next)?, g.matmul(x_t, d_next)?);
    // A sum over the cells, then onto the rows of the table.
    let d_puzzle = g.reshape(d_next, &dims(&[BATCH, SEQ, WIDTH]))?;
    let d_puzzle = g.node(ReduceMean { axis: 1 }, &[d_puzzle])?;
    let d_puzzle = g.reshape(d_puzzle, &dims(&[BATCH, WIDTH]))?;
    let seq = g.scalar(SEQ as f32, DType::F32);
    let d_puzzle = g.mul(d_puzzle, seq)?;
    let all =
        g.constant("all_ids", || Constant::f32(&[PUZZLES, 1], (0..PUZZLES).map(|id| id as f32).collect::<Vec<_>>()));
    let ids = g.cast(ids, DType::F32)?;
    let chosen = g.node(Equal, &[all, ids])?;
    let chosen = g.cast(chosen, DType::F32)?;
    let d_table = g.matmul(chosen, d_puzzle)?;

    let named = |values: [ValueId; 4]| PARAMETERS.iter().map(|(name, _)| (*name).to_owned()).zip(values).collect();
    Ok(Differentiated {
        builder: g,
        loss,
        parameters: named([mix, take, read, table]),
        gradients: named([d_mix, d_take, d_read, d_table]),
        outputs: vec![
            ("lm_loss", by_row),
            ("q_loss", by_row),
            ("exact", exact),
            ("cells_right", right),
            ("q_halt", by_row),
            ("q_continue", by_row),
            ("z_h_next", next),
            ("z_l_next", next_l),
        ],
    })
}

/// The weights to start from, with a tensor that is not trained.
pub(crate) fn initial_state() -> TrainState {
    let mut weights = BTreeMap::new();
    for (seed, (name, shape)) in PARAMETERS.iter().enumerate() {
        let data = numbers(shape[0] * shape[1], seed as f64 + 2.0).collect();
        weights.insert((*name).to_owned(), NamedTensor { shape: shape.to_vec(), data });
    }
    weights.insert("H_init".into(), NamedTensor { shape: vec![WIDTH], data: vec![0.0; WIDTH] });
    TrainState { weights, ..TrainState::default() }
}

/// Batch number `index`; the rows start anew at different times.
pub(crate) fn batch(index: u64) -> TrainBatch {
    let tokens: Vec<_> = (0..BATCH * SEQ).map(|cell| ((cell as u64 * 5 + index * 3) % TOKENS as u64) as i32).collect();
    let labels = tokens.iter().map(|token| token % 3).collect();
    TrainBatch {
        labels,
        tokens,
        puzzle_ids: (0..BATCH).map(|row| ((row as u64 + index) % (PUZZLES as u64 - 1)) as i32).collect(),
        reset: (0..BATCH)
            .map(|row| (index / GROUPS as u64 + row as u64).is_multiple_of(3) || index < GROUPS as u64)
            .collect(),
        last_step: vec![false; BATCH],
        wave: None,
    }
}

/// The same training in float64: the evaluator's losses and gradients, `AdamW` and sign-SGD written out.
pub(crate) struct Reference {
    settings: AdamW,
    keep: f64,
    puzzle_decay: f64,
    pub(crate) weights: BTreeMap<String, Vec<f64>>,
    pub(crate) ema: BTreeMap<String, Vec<f64>>,
    pub(crate) moments: BTreeMap<String, [Vec<f64>; 2]>,
    gradients: BTreeMap<String, Vec<f64>>,
    used: Vec<bool>,
    carry: Vec<[Vec<f64>; 2]>,
}

impl Reference {
    pub(crate) fn new(settings: AdamW, keep: f64, puzzle_decay: f64) -> Self {
        let start = initial_state().weights;
        let weights: BTreeMap<String, Vec<f64>> = PARAMETERS
            .iter()
            .map(|(name, _)| ((*name).to_owned(), start[*name].data.iter().map(|&value| f64::from(value)).collect()))
            .collect();
        let zeros = |values: &Vec<f64>| vec![0.0; values.len()];
        let gradients = weights.iter().map(|(name, values)| (name.clone(), zeros(values))).collect();
        let moments = weights
            .iter()
            .filter(|(name, _)| *name != PUZZLE_EMBEDDING)
            .map(|(name, values)| (name.clone(), [zeros(values), zeros(values)]))
            .collect();
        let empty = vec![0.0; BATCH * SEQ * WIDTH];
        let carry = vec![[empty.clone(), empty]; GROUPS];
        let used = vec![false; PUZZLES];
        let mut ema = weights.clone();
        // The public code averages what it trains by gradient descent, and the table is none of that.
        ema.remove(PUZZLE_EMBEDDING);
        Self { settings, keep, puzzle_decay, weights, ema, moments, gradients, used, carry }
    }

    /// Adds the gradients and returns the loss.
    pub(crate) fn step(&mut self, group: usize, batch: &TrainBatch) -> f64 {
        let Differentiated { mut builder, loss, gradients, outputs, .. } = differentiated();
        builder.output("loss", loss).expect("an output");
        for (name, gradient) in &gradients {
            builder.output(&format!("d_{name}"), *gradient).expect("an output");
        }
        for (name, value) in outputs.iter().filter(|(name, _)| name.starts_with("z_")) {
            builder.output(name, *value).expect("an output");
        }
        let ints = |shape: &[usize], values: &[i32]| {
            Tensor::int(shape, values.iter().map(|&value| i64::from(value)).collect()).expect("ints")
        };
        let state = |values: &[f64]| Tensor::float(&[BATCH, SEQ, WIDTH], values.to_vec()).expect("a state");
        let mut inputs = vec![
            ints(&[BATCH, SEQ], &batch.tokens),
            ints(&[BATCH, SEQ], &batch.labels),
            ints(&[BATCH], &batch.puzzle_ids),
            Tensor::bool(&[BATCH], batch.reset.clone()).expect("flags"),
            state(&self.carry[group][0]),
            state(&self.carry[group][1]),
        ];
        for (name, shape) in PARAMETERS {
            inputs.push(Tensor::float(&shape, self.weights[name].clone()).expect("a parameter"));
        }
        let results = evaluate(&builder.finish(), &inputs).expect("the graph runs");
        let floats: Vec<_> = results.iter().map(|tensor| tensor.to_floats().expect("floats")).collect();
        for ((name, _), gradient) in gradients.iter().zip(&floats[1..]) {
            for (sum, value) in self.gradients.get_mut(name).expect("a parameter").iter_mut().zip(gradient) {
                *sum += value;
            }
        }
        for &id in &batch.puzzle_ids {
            self.used[id as usize] = true;
        }
        self.carry[group] = [floats[5].clone(), floats[6].clone()];
        floats[0][0]
    }

    pub(crate) fn update(&mut self, input: &UpdateInput) {
        let AdamW { beta1, beta2, eps, weight_decay } = self.settings;
        let (beta1, beta2, eps, decay) = (f64::from(beta1), f64::from(beta2), f64::from(eps), f64::from(weight_decay));
        let exponent = i32::try_from(input.step).expect("few steps");
        let (correct1, correct2) = (1.0 - beta1.powi(exponent), 1.0 - beta2.powi(exponent));
        for (name, [first, second]) in &mut self.moments {
            let (values, gradients) = (self.weights.get_mut(name).expect("a weight"), &self.gradients[name]);
            for (index, gradient) in gradients.iter().enumerate() {
                first[index] = beta1 * first[index] + (1.0 - beta1) * gradient;
                second[index] = beta2 * second[index] + (1.0 - beta2) * gradient * gradient;
                let direction = (first[index] / correct1) / ((second[index] / correct2).sqrt() + eps);
                values[index] = values[index] * (1.0 - input.lr * decay) - input.lr * direction;
            }
        }
        let table = self.weights.get_mut(PUZZLE_EMBEDDING).expect("a table");
        for (index, value) in table.iter_mut().enumerate().filter(|(index, _)| self.used[index / WIDTH]) {
            let gradient = self.gradients[PUZZLE_EMBEDDING][index];
            *value = *value * (1.0 - input.puzzle_emb_lr * self.puzzle_decay) - input.puzzle_emb_lr * gradient.signum();
        }
        self.used.fill(false);
        self.gradients.values_mut().for_each(|gradients| gradients.fill(0.0));
        for (name, average) in &mut self.ema {
            for (average, value) in average.iter_mut().zip(&self.weights[name]) {
                *average = self.keep * *average + (1.0 - self.keep) * value;
            }
        }
    }

    /// All groups' `z_h` and `z_l`.
    pub(crate) fn carry(&self) -> [Vec<f64>; 2] {
        [0, 1].map(|index| self.carry.iter().flat_map(|group| group[index].iter().copied()).collect())
    }
}
