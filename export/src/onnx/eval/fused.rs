//! ONNX Runtime's fused operators, by their definitions: each sum on its own, nothing taken from the operators that they
//! stand for.

use ndarray::{ArrayD, Axis};

use super::{Op, Tensor, broadcast2, evaluation};
use crate::ExportError;

/// The output of one of the fused operators.
pub(super) fn outputs(op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>, ExportError> {
    let input = |index: usize| inputs[index].floats();
    let output = match *op {
        Op::SkipSimplifiedLayerNormalization { epsilon } => {
            let sum = broadcast2(input(0)?, input(1)?, |x, skip| x + skip)?;
            normalised(&sum, input(2)?, f64::from(epsilon))?
        }
        Op::MultiHeadAttention { heads } => attention([input(0)?, input(1)?, input(2)?], heads),
        Op::RotaryEmbedding { heads } => rotated(input(0)?, [input(2)?, input(3)?], heads),
        ref other => return Err(evaluation(other.name(), "no fused operator")),
    };
    Ok(vec![Tensor::Float(output)])
}

fn normalised(x: &ArrayD<f64>, gamma: &ArrayD<f64>, epsilon: f64) -> Result<ArrayD<f64>, ExportError> {
    let mut output = x.clone();
    for mut lane in output.lanes_mut(Axis(x.ndim().saturating_sub(1))) {
        let mean = lane.iter().map(|value| value * value).sum::<f64>() / lane.len() as f64;
        lane.mapv_inplace(|value| value / (mean + epsilon).sqrt());
    }
    broadcast2(&output, gamma, |value, gamma| value * gamma)
}

/// For each row, head and position: the values averaged by `softmax(q · k / sqrt(width))`.
fn attention([queries, keys, values]: [&ArrayD<f64>; 3], heads: usize) -> ArrayD<f64> {
    let (len, width) = (queries.shape()[1], queries.shape()[2] / heads);
    let mut output = ArrayD::zeros(queries.shape());
    for (row, head) in (0..queries.shape()[0]).flat_map(|row| (0..heads).map(move |head| (row, head))) {
        let channels = head * width..(head + 1) * width;
        for position in 0..len {
            let score = |other: usize| {
                let product =
                    channels.clone().map(|c| queries[[row, position, c]] * keys[[row, other, c]]).sum::<f64>();
                product / (width as f64).sqrt()
            };
            let scores: Vec<f64> = (0..len).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for c in channels.clone() {
                let sum: f64 = weights.iter().enumerate().map(|(other, weight)| weight * values[[row, other, c]]).sum();
                output[[row, position, c]] = sum / total;
            }
        }
    }
    output
}

/// The two halves of each head are the coordinates that are rotated, by an angle for each position and channel.
fn rotated(x: &ArrayD<f64>, [cos, sin]: [&ArrayD<f64>; 2], heads: usize) -> ArrayD<f64> {
    let width = x.shape()[2] / heads;
    let half = width / 2;
    let mut output = x.clone();
    for (row, position) in (0..x.shape()[0]).flat_map(|row| (0..x.shape()[1]).map(move |position| (row, position))) {
        for (head, c) in (0..heads).flat_map(|head| (0..half).map(move |c| (head, c))) {
            let (first, second) = (head * width + c, head * width + half + c);
            let (cos, sin) = (cos[[position, c]], sin[[position, c]]);
            let (a, b) = (x[[row, position, first]], x[[row, position, second]]);
            output[[row, position, first]] = a * cos - b * sin;
            output[[row, position, second]] = b * cos + a * sin;
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(shape: &[usize], elements: &[f64]) -> Tensor {
        Tensor::float(shape, elements.to_vec()).expect("shape")
    }

    fn run(op: &Op, inputs: &[&Tensor]) -> Vec<f64> {
        outputs(op, inputs).expect("evaluated")[0].to_floats().expect("floats")
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near, "{found:?} for {expected:?}");
    }

    #[test]
    fn the_norm_is_of_the_sum() {
        let (x, skip, gamma) = (float(&[1, 2], &[1.0, 6.0]), float(&[1, 2], &[2.0, -2.0]), float(&[2], &[1.0, 10.0]));
        // 3 and 4: the mean of their squares and the epsilon are 16.
        let found = run(&Op::SkipSimplifiedLayerNormalization { epsilon: 3.5 }, &[&x, &skip, &gamma]);
        assert_near(&found, &[0.75, 10.0]);
    }

    #[test]
    fn heads_attend_apart_and_equal_scores_average() {
        let queries = float(&[1, 2, 2], &[0.0, 1.0, 0.0, 0.0]);
        let keys = float(&[1, 2, 2], &[5.0, 2.0_f64.ln(), 5.0, 0.0]);
        let values = float(&[1, 2, 2], &[1.0, 9.0, 3.0, 3.0]);
        let found = run(&Op::MultiHeadAttention { heads: 2 }, &[&queries, &keys, &values]);
        // Head 0 averages everywhere; head 1 weighs 2 to 1 at the first position.
        assert_near(&found, &[2.0, 7.0, 2.0, 6.0]);
    }

    #[test]
    fn halves_of_a_head_turn_by_the_position_s_angle() {
        let x = float(&[1, 2, 4], &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        let first = Tensor::int(&[1], vec![0]).expect("shape");
        let (cos, sin) = (float(&[2, 1], &[1.0, 0.0]), float(&[2, 1], &[0.0, 1.0]));
        let found = run(&Op::RotaryEmbedding { heads: 2 }, &[&x, &first, &cos, &sin]);
        assert_near(&found, &[1.0, 2.0, 3.0, 4.0, -2.0, 1.0, -4.0, 3.0]);
    }
}
