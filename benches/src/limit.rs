//! The best rate at which the machine multiplies matrices. Steps are held against it.

use std::time::Instant;

use anyhow::{Context as _, Result};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::Tensor;
use trm_engine::ort::OrtEngine;
use trm_export::onnx::operators::{DynamicQuantizeLinear, MatMulInteger, ReduceMax};
use trm_export::onnx::{Constant, DType, Dim, GraphBuilder, TensorType, write};

/// Rows and columns of the matrices: large enough that packing and handing out work no longer count.
const SIZE: usize = 2048;
/// Products that are timed; the fastest counts.
const TIMES: usize = 15;

/// The machine's rate in 10^9 operations a second, a multiplication and an addition being two: ONNX Runtime's product of
/// two square matrices, in float32 or with 8-bit integers, the best of several.
///
/// # Errors
/// If ONNX Runtime does not run the product.
pub fn product_rate(engine: &OrtEngine, threads: usize, int8: bool) -> Result<f64> {
    let graph = product(int8)?;
    let load = || -> ort::Result<Session> {
        Session::builder(engine.environment())?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads)?
            .commit_from_memory(&graph)
    };
    let mut session = load().context("ONNX Runtime does not load a matrix product")?;
    let values: Vec<f32> = (0..SIZE * SIZE).map(|index| (index % 251) as f32 / 251.0).collect();
    let input = Tensor::from_array(([SIZE, SIZE], values)).context("ONNX Runtime takes no matrix")?;
    let mut seconds = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let started = Instant::now();
        session.run(ort::inputs!["x" => &input]).context("ONNX Runtime does not run a matrix product")?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let fastest = seconds.into_iter().fold(f64::INFINITY, f64::min);
    Ok(2.0 * (SIZE as f64).powi(3) / fastest / 1e9)
}

/// `x · W`, whose largest element is the output.
fn product(int8: bool) -> Result<Vec<u8>> {
    let mut b = GraphBuilder::new("product", "");
    let square = [Dim::Fixed(SIZE), Dim::Fixed(SIZE)];
    let x = b.input("x", TensorType::new(DType::F32, square));
    let elements = || (0..SIZE * SIZE).map(|index| (index % 127) as i8);
    let product = if int8 {
        let weight = b.constant("weight", || Constant::i8(&[SIZE, SIZE], elements().collect::<Vec<_>>()));
        let x = b.nodes(DynamicQuantizeLinear, &[x])?;
        let product = b.node(MatMulInteger, &[x[0], weight, x[2]])?;
        let product = b.cast(product, DType::F32)?;
        b.mul(product, x[1])?
    } else {
        let weight = || Constant::f32(&[SIZE, SIZE], elements().map(f32::from).collect::<Vec<_>>());
        let weight = b.constant("weight", weight);
        b.matmul(x, weight)?
    };
    let largest = b.node(ReduceMax { axes: Vec::new() }, &[product])?;
    b.output("largest", largest)?;
    Ok(write::encode(&b.finish(), &[]).onnx)
}
