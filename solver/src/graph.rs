//! Graphs made of weights on the spot.

use trm_engine::{ExternalFiles, GraphSource};
use trm_export::ExportError;
use trm_export::checkpoint::StateDict;
use trm_export::onnx::write::{EncodedModel, encode};
use trm_export::trm::{GraphOptions, build_graph};
use trm_models::{GraphKind, TrmConfig};

/// Builds a step graph of weights that are in no bundle, or not as they are to run.
///
/// # Errors
/// [`ExportError`] where the weights do not fit the configuration.
pub fn graph_of_weights<'a>(
    name: &'a str,
    config: &'a TrmConfig,
    weights: &StateDict,
    options: GraphOptions<'_>,
) -> Result<GraphSource<'a>, ExportError> {
    let graph = build_graph(GraphKind::Step, config, weights, options)?;
    let EncodedModel { onnx, external } = encode(&graph, &[]);
    Ok(GraphSource {
        name,
        kind: GraphKind::Step,
        config,
        bytes: onnx.into(),
        external: ExternalFiles::of_encoded(&external),
        batch_invariant: options.precision(config).is_batch_invariant(),
        target: options.target,
    })
}
