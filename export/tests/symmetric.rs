//! The mixers that work on a board, by the reference evaluator in float64: what exchanges states and nothing else, and their
//! gradients against central differences.

use trm_export::checkpoint::{StateDict, WeightDtype, WeightTensor, layout};
use trm_export::onnx::Graph;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_export::train::{LossKind, StepOptions, WAVE_CLASSES, WAVE_HEAD, trained_layout, training_step};
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::{Board, GraphKind, GroupKind, Mixer, NetworkConfig, PosEncodings, TrmConfig};

/// Numbers of -1 to 1 that are no pattern (Knuth's 64-bit generator).
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn config(mixer: Mixer, board: Board, vocab_size: usize) -> TrmConfig {
    let network = NetworkConfig {
        mixer,
        hidden_size: 6,
        expansion: 2.0,
        h_cycles: 2,
        l_cycles: 2,
        pos_encodings: PosEncodings::None,
        puzzle_emb_ndim: 0,
        ..NetworkConfig::default()
    };
    let config = network.for_task(board.height * board.width, vocab_size, Some(board));
    config.validate().expect("a configuration");
    config
}

fn sudoku(box_height: usize, box_width: usize) -> TrmConfig {
    config(Mixer::Candidates, Board::sudoku(box_height, box_width), box_height * box_width + 2)
}

fn maze(height: usize, width: usize) -> TrmConfig {
    config(Mixer::Grid, Board::grid(height, width), 6)
}

/// Weights that depend on a tensor's name and shape only.
fn weights(config: &TrmConfig) -> StateDict {
    let mut state = StateDict::new();
    for tensor in layout(config) {
        let mut number = noise(tensor.name.bytes().map(u64::from).sum());
        let fan_in = *tensor.shape.last().expect("a shape") as f64;
        let data = (0..tensor.shape.iter().product()).map(|_| (number() * 1.7 / fan_in.sqrt()) as f32).collect();
        state.insert(tensor.name, WeightTensor { dtype: WeightDtype::F32, shape: tensor.shape, data });
    }
    state
}

/// Two steps from a fresh carry, as the unrolled graph takes them: `q_halt` and the logits, `[S, V]`.
fn run(config: &TrmConfig, weights: &StateDict, tokens: &[i64]) -> (f64, Vec<f64>) {
    let options = GraphOptions { unrolled_steps: Some(2), ..GraphOptions::default() };
    let graph = build_graph(GraphKind::Unrolled, config, weights, options).expect("graph");
    let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
        "tokens" => Tensor::int(&[1, config.seq_len], tokens.to_vec()).expect("tokens"),
        "puzzle_ids" => Tensor::int(&[1], vec![0]).expect("ids"),
        _ => Tensor::float(&[], vec![1e9]).expect("threshold"),
    });
    let outputs = evaluate(&graph, &inputs.collect::<Vec<_>>()).expect("evaluated");
    let of = |name: &str| outputs[position(&graph, name)].to_floats().expect("floats");
    (of("q_halt")[0], of("logits"))
}

fn position(graph: &Graph, output: &str) -> usize {
    graph.outputs().iter().position(|&id| graph.value(id).name == output).expect("an output")
}

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
    assert!(found.iter().zip(expected).all(near), "{what}");
    assert!(expected.iter().any(|value| value.abs() > 1e-3 && value.abs() < 1e5), "{what}: nothing to compare");
}

/// A puzzle of an order with some blanks: it need not be a sound one.
fn puzzle(order: usize, cells: usize) -> Vec<i64> {
    let mut number = noise(7);
    (0..cells).map(|_| if number() < 0.2 { 1 } else { 2 + ((number() + 1.0) * 0.499 * order as f64) as i64 }).collect()
}

#[test]
fn exchanging_symbols_exchanges_their_logits() {
    let config = sudoku(2, 3);
    let weights = weights(&config);
    let tokens = puzzle(6, 36);
    let (q, logits) = run(&config, &weights, &tokens);
    let exchanged = [4, 0, 5, 1, 3, 2];
    let other = tokens.iter().map(|&token| if token < 2 { token } else { 2 + exchanged[token as usize - 2] });
    let (other_q, found) = run(&config, &weights, &other.collect::<Vec<_>>());
    let mut expected = logits.clone();
    for cell in 0..36 {
        for (symbol, &to) in exchanged.iter().enumerate() {
            expected[cell * 8 + 2 + to as usize] = logits[cell * 8 + 2 + symbol];
        }
    }
    assert_close(&found, &expected, "logits");
    assert_close(&[other_q], &[q], "q_halt");
}

#[test]
fn exchanging_lines_and_turning_the_board_moves_the_logits() {
    let (config, turned) = (sudoku(2, 3), sudoku(3, 2));
    let weights = weights(&config);
    let tokens = puzzle(6, 36);
    let (q, logits) = run(&config, &weights, &tokens);
    let moved = |to: &dyn Fn(usize, usize) -> usize, config: &TrmConfig| {
        let mut other = vec![0; 36];
        let mut expected = vec![0.0; logits.len()];
        for cell in 0..36 {
            let there = to(cell / 6, cell % 6);
            other[there] = tokens[cell];
            expected[there * 8..(there + 1) * 8].copy_from_slice(&logits[cell * 8..(cell + 1) * 8]);
        }
        let (other_q, found) = run(config, &weights, &other);
        assert_close(&found, &expected, "logits");
        assert_close(&[other_q], &[q], "q_halt");
    };
    // Rows of the first band, the bands, the columns of the second stack; and rows and columns, with the boxes turned.
    moved(&|row, column| [1, 0, 2, 3, 4, 5][row] * 6 + column, &config);
    moved(&|row, column| [4, 5, 0, 1, 2, 3][row] * 6 + column, &config);
    moved(&|row, column| row * 6 + [0, 1, 2, 5, 3, 4][column], &config);
    moved(&|row, column| column * 6 + row, &turned);
}

#[test]
fn a_line_that_leaves_its_box_is_another_puzzle() {
    let config = sudoku(2, 3);
    let weights = weights(&config);
    let tokens = puzzle(6, 36);
    let (_, logits) = run(&config, &weights, &tokens);
    let mut other = tokens.clone();
    for column in 0..6 {
        other.swap(6 + column, 12 + column);
    }
    let (_, mut found) = run(&config, &weights, &other);
    for value in 0..48 {
        found.swap(48 + value, 96 + value);
    }
    let apart = found.iter().zip(&logits).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(apart, "the boxes have no weight");
}

/// Groups that are listed give what the same groups give by name, but for the name of their weight.
#[test]
fn groups_can_be_listed() {
    let named = sudoku(2, 2);
    let board = named.board.as_ref().expect("a board");
    let boxes = board.groups_of(&GroupKind::Boxes([2, 2]));
    let groups = vec![GroupKind::Rows, GroupKind::Columns, GroupKind::Cells(boxes)];
    let listed = TrmConfig { board: Some(Board { groups, ..board.clone() }), ..named.clone() };
    let weights = weights(&named);
    let mut renamed = StateDict::new();
    for (name, tensor) in weights.iter() {
        renamed.insert(name.replace("candidates.boxes", "candidates.regions"), tensor.clone());
    }
    let tokens = puzzle(4, 16);
    let (q, logits) = run(&named, &weights, &tokens);
    let (listed_q, found) = run(&listed, &renamed, &tokens);
    assert_close(&found, &logits, "logits");
    assert_close(&[listed_q], &[q], "q_halt");
}

/// Turning a grid and the weights of its neighbourhoods turns the logits, whatever its height and width.
#[test]
fn a_grid_can_be_turned_with_its_weights() {
    let (config, turned) = (maze(3, 5), maze(5, 3));
    let weights = weights(&config);
    let mut turned_weights = StateDict::new();
    for (name, tensor) in weights.iter() {
        let mut tensor = tensor.clone();
        if name.ends_with("grid.neighbours.weight") {
            let (from, width) = (tensor.data.clone(), config.hidden_size);
            for (index, value) in from.into_iter().enumerate() {
                let (out, place, channel) = (index / (9 * width), index / width % 9, index % width);
                // The cell; above, left, right, below; the corners in the order of reading.
                let place = [0, 2, 1, 4, 3, 5, 7, 6, 8][place];
                tensor.data[(out * 9 + place) * width + channel] = value;
            }
        }
        turned_weights.insert(name.to_owned(), tensor);
    }
    let tokens = (0..15).map(|cell| 1 + cell * 7 % 4).collect::<Vec<_>>();
    let (q, logits) = run(&config, &weights, &tokens);
    let mut other = vec![0; 15];
    let mut expected = vec![0.0; logits.len()];
    for cell in 0..15 {
        let there = cell % 5 * 3 + cell / 5;
        other[there] = tokens[cell];
        expected[there * 6..(there + 1) * 6].copy_from_slice(&logits[cell * 6..(cell + 1) * 6]);
    }
    let (turned_q, found) = run(&turned, &turned_weights, &other);
    assert_close(&found, &expected, "logits");
    assert_close(&[turned_q], &[q], "q_halt");
}

#[test]
fn weights_have_no_size() {
    let shapes =
        |config: &TrmConfig| layout(config).into_iter().map(|tensor| (tensor.name, tensor.shape)).collect::<Vec<_>>();
    assert_eq!(shapes(&sudoku(2, 2)), shapes(&sudoku(5, 5)));
    assert_eq!(shapes(&maze(5, 7)), shapes(&maze(64, 64)));
    assert_ne!(shapes(&sudoku(2, 2)), shapes(&maze(4, 4)));
}

/// Loss and gradients of one training step whose only outer cycle is differentiated, by parameter.
struct Differentiable {
    graph: Graph,
    inputs: Vec<Tensor>,
    parameters: Vec<String>,
}

impl Differentiable {
    /// With `wave` the classes of the cells, where the wave is taught.
    fn new(config: &TrmConfig, tokens: &[i64], labels: &[i64], wave: Option<&[i64]>) -> Self {
        let mut weights = weights(config);
        let mut number = noise(5);
        let head = (0..WAVE_CLASSES * config.hidden_size).map(|_| number() as f32).collect();
        let shape = vec![WAVE_CLASSES, config.hidden_size];
        weights.insert(WAVE_HEAD.to_owned(), WeightTensor { dtype: WeightDtype::F32, shape, data: head });
        let (loss, taught) = (LossKind::Stablemax, wave.is_some());
        let options = StepOptions { batch: 2, global_batch: 2, loss, accumulate: false, wave: taught };
        let mut step = training_step(config, &options).expect("graph");
        step.builder.output("loss", step.loss).expect("output");
        for (name, gradient) in &step.gradients {
            step.builder.output(&format!("{name}.grad"), *gradient).expect("output");
        }
        let graph = step.builder.finish();
        let states = [2, config.total_len(), config.hidden_size];
        let mut number = noise(11);
        let inputs = graph.inputs().iter().map(|&id| match graph.value(id).name.as_str() {
            "tokens" => Tensor::int(&[2, config.seq_len], tokens.to_vec()),
            "labels" | "asked" => Tensor::int(&[2, config.seq_len], labels.to_vec()),
            "wave" => Tensor::int(&[2, config.seq_len], wave.expect("classes").to_vec()),
            "puzzle_ids" => Tensor::int(&[2], vec![0, 0]),
            "reset" => Tensor::bool(&[2], vec![true, false]),
            "z_h" | "z_l" => Tensor::float(&states, (0..states.iter().product()).map(|_| number()).collect()),
            name => {
                let weight = weights.get(name).unwrap_or_else(|| panic!("no weight {name}"));
                Tensor::float(&weight.shape, weight.data.iter().map(|&value| f64::from(value)).collect())
            }
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>().expect("inputs");
        let parameters = step.gradients.iter().map(|(name, _)| name.clone()).collect();
        Self { graph, inputs, parameters }
    }

    fn outputs(&self, inputs: &[Tensor]) -> Vec<Vec<f64>> {
        evaluate(&self.graph, inputs)
            .expect("evaluated")
            .iter()
            .map(|output| output.to_floats().expect("floats"))
            .collect()
    }

    /// The greatest error of a parameter's gradient at some of its elements, relative to its greatest element.
    fn worst(&self) -> (f64, &str) {
        let found = self.outputs(&self.inputs);
        let mut worst = (0.0, "");
        for (index, name) in self.parameters.iter().enumerate() {
            let at = self.graph.inputs().iter().position(|&id| self.graph.value(id).name == *name).expect("an input");
            let (shape, data) = (self.inputs[at].shape().to_vec(), self.inputs[at].to_floats().expect("floats"));
            let gradient = &found[1 + index];
            let scale = gradient.iter().fold(1e-4, |most: f64, value| most.max(value.abs()));
            for element in (0..data.len()).step_by(data.len().div_ceil(7)) {
                let loss = |step: f64| {
                    let mut moved = data.clone();
                    moved[element] += step;
                    let mut inputs = self.inputs.clone();
                    inputs[at] = Tensor::float(&shape, moved).expect("shape");
                    self.outputs(&inputs)[0][0]
                };
                let expected = (loss(1e-5) - loss(-1e-5)) / 2e-5;
                let error = (gradient[element] - expected).abs() / scale;
                if error.is_nan() || error > worst.0 {
                    worst = (if error.is_nan() { f64::INFINITY } else { error }, name);
                }
            }
        }
        worst
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let once = |config: TrmConfig| TrmConfig { h_cycles: 1, ..config };
    let labels = |config: &TrmConfig, least: i64| {
        (0..2 * config.seq_len as i64)
            .map(|cell| least + cell * 5 % (config.vocab_size as i64 - least))
            .collect::<Vec<_>>()
    };
    let sudoku = once(sudoku(2, 2));
    let maze = once(maze(3, 4));
    let cross = TrmConfig { mixer: Mixer::Cross, ..maze.clone() };
    let cells = (0..24).map(|cell| 1 + cell * 7 % 4).collect::<Vec<_>>();
    let classes = (0..24).map(|cell| cell * 3 % WAVE_CLASSES as i64).collect::<Vec<i64>>();
    for (config, tokens, labels, wave) in [
        (&sudoku, [puzzle(4, 16), puzzle(4, 16)].concat(), labels(&sudoku, 2), None),
        (&maze, cells.clone(), labels(&maze, 1), None),
        (&cross, cells.clone(), labels(&cross, 1), None),
        (&maze, cells, labels(&maze, 1), Some(classes.as_slice())),
    ] {
        let trained = trained_layout(config, wave.is_some()).len();
        let step = Differentiable::new(config, &tokens, &labels, wave);
        assert_eq!(step.parameters.len(), trained - 2, "all but the buffers");
        let (error, parameter) = step.worst();
        assert!(error < 1e-5, "{}: relative error {error:e} of {parameter}", config.mixer);
    }
}
