//! Observing what every product of a model reads while it solves.

use std::collections::BTreeMap;

use ::ort::value::Tensor;
use trm_engine::SessionOptions;
use trm_engine::ort::session::load_plain;
use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice, failed};
use trm_export::onnx::write::encode;
use trm_export::trm::calibration_graph;
use trm_models::TrmConfig;

use super::Subject;
use crate::{Question, Result};

/// The largest magnitude of every channel that each product reads, by the name of its weight, over all steps of all
/// calibration puzzles.
pub(super) fn calibrate(engine: &OrtEngine, subject: &Subject<'_>, rows: usize) -> Result<BTreeMap<String, Vec<f32>>> {
    let config = subject.config;
    let (graph, names) = calibration_graph(config, subject.weights)?;
    let options = SessionOptions {
        batch: rows,
        provider: ProviderChoice::Only(ExecutionProvider::Cpu),
        ..SessionOptions::default()
    };
    let name = format!("the calibration graph of {}", subject.name);
    let (mut session, _) = load_plain(engine, &name, &encode(&graph, &[]).onnx, &options)?;
    let mut magnitudes: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    for chunk in subject.calibration.chunks(rows) {
        observe(&mut session, config, chunk, rows, &names, &mut magnitudes)
            .map_err(|error| failed("calibrate", error))?;
    }
    Ok(magnitudes)
}

fn observe(
    session: &mut ::ort::session::Session,
    config: &TrmConfig,
    chunk: &[Question],
    rows: usize,
    names: &[String],
    magnitudes: &mut BTreeMap<String, Vec<f32>>,
) -> ::ort::Result<()> {
    // The last chunk is filled up with puzzles that were seen before: they change no maximum.
    let puzzles: Vec<&Question> = chunk.iter().cycle().take(rows).collect();
    let tokens: Vec<i32> = puzzles.iter().flat_map(|question| question.tokens.iter().copied()).collect();
    let puzzle_ids: Vec<i32> = puzzles.iter().map(|question| question.puzzle_id).collect();
    let carry_shape = [rows, config.total_len(), config.hidden_size];
    let zeros = vec![0.0_f32; carry_shape.iter().product()];
    let (mut z_h, mut z_l) = (zeros.clone(), zeros);
    for step in 0..config.halt_max_steps {
        let outputs = session.run(::ort::inputs![
            "tokens" => Tensor::from_array(([rows, config.seq_len], tokens.clone()))?,
            "puzzle_ids" => Tensor::from_array(([rows], puzzle_ids.clone()))?,
            "reset" => Tensor::from_array(([rows], vec![step == 0; rows]))?,
            "z_h" => Tensor::from_array((carry_shape, z_h))?,
            "z_l" => Tensor::from_array((carry_shape, z_l))?,
        ])?;
        let floats =
            |name: &str| -> ::ort::Result<Vec<f32>> { Ok(outputs[name].try_extract_tensor::<f32>()?.1.to_vec()) };
        for (index, name) in names.iter().enumerate() {
            let squares = floats(&format!("observed.{index}"))?;
            let largest = magnitudes.entry(name.clone()).or_insert_with(|| vec![0.0; squares.len()]);
            for (largest, square) in largest.iter_mut().zip(squares) {
                *largest = largest.max(square.sqrt());
            }
        }
        (z_h, z_l) = (floats("z_h_next")?, floats("z_l_next")?);
    }
    Ok(())
}
