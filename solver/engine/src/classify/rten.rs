//! A classifier on rten.

use std::sync::Arc;

use ::rten::{Dimension, Model, ModelOptions, NodeId, RunOptions, ThreadPool};
use rayon::prelude::*;
use rten_tensor::prelude::*;
use rten_tensor::{Tensor, TensorView};

use super::BATCH;
use crate::EngineError;
use crate::Result;
use crate::SessionOptions;
use crate::rten::{check_classifier, read_model};

/// A loaded classifier.
pub(super) struct RtenClassifier {
    model: Model,
    input: NodeId,
    output: NodeId,
    pool: Arc<ThreadPool>,
    size: usize,
    classes: usize,
}

impl RtenClassifier {
    pub(super) fn load(graph: &[u8], size: usize, classes: usize) -> Result<Self> {
        check_classifier(graph).map_err(|error| failed("load a classifier", error))?;
        let model =
            read_model(&ModelOptions::with_all_ops(), graph).map_err(|error| failed("load a classifier", error))?;
        let (&[input], &[output]) = (model.input_ids(), model.output_ids()) else {
            return Err(failed("load a classifier", "it has not one input and one output"));
        };
        let shape = model.node_info(output).and_then(|info| info.shape()).unwrap_or_default();
        if !matches!(shape.as_slice(), [_, Dimension::Fixed(found)] if *found == classes) {
            return Err(failed("load a classifier", format!("it returns {shape:?}, not {classes} classes")));
        }
        let pool = Arc::new(ThreadPool::with_num_threads(SessionOptions::default().resolved_threads()));
        Ok(Self { model, input, output, pool, size, classes })
    }

    /// Probabilities of whole pictures, some of which are classified side by side.
    pub(super) fn classify(&self, pictures: &[f32]) -> Result<Vec<f32>> {
        let parts = pictures.par_chunks(BATCH * self.size * self.size);
        let parts: Result<Vec<_>> = self.pool.run(|| parts.map(|part| self.part(part)).collect());
        Ok(parts?.concat())
    }

    fn part(&self, pictures: &[f32]) -> Result<Vec<f32>> {
        let count = pictures.len() / (self.size * self.size);
        let input = TensorView::from_data(&[count, self.size, self.size], pictures);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.pool)));
        let outputs = self.model.run_n(vec![(self.input, input.into())], [self.output], Some(options));
        let [output] = outputs.map_err(|error| failed("classify", error))?;
        let output: Tensor<f32> = output.try_into().map_err(|error| failed("classify", error))?;
        if output.shape() != [count, self.classes] {
            return Err(failed("classify", format!("it returned {:?}", output.shape())));
        }
        Ok(output.to_vec())
    }
}

fn failed(action: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
    EngineError::Failed { engine: "rten", action: action.into(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use prost::Message as _;
    use trm_models::ClassifierBundle;
    use trm_onnx::proto::ModelProto;

    use super::*;

    #[test]
    fn a_graph_that_no_stack_holds_is_refused() {
        let mut model = ModelProto::decode(ClassifierBundle::digits().expect("the reader").graph()).expect("a graph");
        let nodes = &mut model.graph.as_mut().expect("a graph").node;
        nodes.extend(vec![nodes[0].clone(); 50_000]);
        let refused = RtenClassifier::load(&model.encode_to_vec(), 28, 10).map(|_| ()).expect_err("too deep");
        let problem = refused.source().expect("a reason").to_string();
        assert!(problem.contains(" operators, 0 in a loop, are more than 2500 and 2500"), "{problem}");
    }

    /// The digit reader that is shipped was written by version 0.1.0, with lists of numbers that rten does not read.
    #[test]
    fn a_graph_of_an_earlier_version_is_read() {
        let digits = ClassifierBundle::digits().expect("the reader that is shipped");
        let refused = Model::load(digits.graph().to_vec()).map(|_| ()).expect_err("rten alone does not read it");
        assert!(refused.to_string().contains("field 8"), "{refused}");
        let classifier = RtenClassifier::load(digits.graph(), 28, 10).expect("it loads");
        let classes = classifier.classify(&[0.0; 2 * 28 * 28]).expect("it runs");
        assert_eq!(classes.len(), 20);
        assert!((classes[..10].iter().sum::<f32>() - 1.0).abs() < 1e-5, "{classes:?}");
    }
}
