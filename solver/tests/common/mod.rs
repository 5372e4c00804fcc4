//! Golden checkpoints as graphs, the engines that run them, and the comparison of numbers.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use trm_engine::ort::OrtEngine;
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{ActStep, Engine, ExternalFiles, GraphSource, SessionOptions};
use trm_export::checkpoint::StateDict;
use trm_export::onnx::write::encode;
use trm_export::trm::{GraphOptions, build_graph};
use trm_intake::{Hint, explained, with_hint};
use trm_models::{ConfigSource, GraphKind, GraphTarget, TrmConfig};
use trm_solver::hint_of;

/// ONNX Runtime. A test that needs it fails without it: it is never skipped.
pub(crate) fn ort() -> OrtEngine {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .expect("this test needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    OrtEngine::load(Some(Path::new(&library))).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

/// Every engine there is.
pub(crate) fn engines() -> Vec<Box<dyn Engine>> {
    vec![Box::new(ort()), Box::new(RtenEngine), Box::new(TractEngine)]
}

/// An error with its causes, the advice of each below it.
pub(crate) fn chain(error: &impl Hint) -> String {
    let mut text = explained(error);
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {}", with_hint(&cause.to_string(), hint_of(cause)));
        source = cause.source();
    }
    text
}

/// Session options for a test: the processor, two threads, logits.
pub(crate) fn options(batch: usize) -> SessionOptions {
    SessionOptions { batch, threads: 2, want_logits: true, ..SessionOptions::default() }
}

/// The project's folder, from whichever crate's tests.
fn repository() -> PathBuf {
    let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).expect("a workspace").to_owned()
}

/// A checkpoint with what the reference implementation computed from it.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) config: TrmConfig,
    pub(crate) weights: StateDict,
    /// The recording besides its tensors.
    pub(crate) manifest: serde_json::Value,
    outputs: Vec<u8>,
    /// Rows of the recorded batch.
    pub(crate) batch: usize,
}

impl Golden {
    pub(crate) fn load(name: &str) -> Self {
        let dir = repository().join("export/tests/fixtures/golden").join(name);
        let read = |file: &str| {
            let path = dir.join(file);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let manifest: serde_json::Value = serde_json::from_slice(&read("manifest.json")).expect("manifest.json parses");
        let size = |field: &str| manifest["arch"][field].as_u64().expect(field) as usize;
        let yaml = String::from_utf8(read("all_config.yaml")).expect("all_config.yaml is text");
        let config = ConfigSource::from_yaml_str(&yaml, "all_config.yaml")
            .expect("all_config.yaml parses")
            .seq_len(size("seq_len"))
            .vocab_size(size("vocab_size"))
            .num_puzzle_identifiers(size("num_puzzle_identifiers"))
            .build()
            .expect("the config is valid");
        let weights = StateDict::read(dir.join("step_1000")).expect("the checkpoint reads");
        Self { name: name.to_owned(), config, weights, manifest, outputs: read("outputs.safetensors"), batch: 3 }
    }

    pub(crate) fn bytes(&self, kind: GraphKind, unrolled_steps: usize) -> Vec<u8> {
        let options = GraphOptions { unrolled_steps: Some(unrolled_steps), ..GraphOptions::default() };
        let graph = build_graph(kind, &self.config, &self.weights, options).expect("the graph builds");
        encode(&graph, &[]).onnx
    }

    pub(crate) fn source<'a>(&'a self, kind: GraphKind, bytes: &'a [u8]) -> GraphSource<'a> {
        GraphSource {
            name: &self.name,
            kind,
            config: &self.config,
            bytes: bytes.into(),
            external: ExternalFiles::None,
            batch_invariant: true,
            target: GraphTarget::Portable,
        }
    }

    /// A recorded tensor of 4-byte elements, if the golden has it.
    fn raw(&self, name: &str) -> Option<Vec<[u8; 4]>> {
        let tensors = SafeTensors::deserialize(&self.outputs).expect("outputs.safetensors parses");
        let tensor = tensors.tensor(name).ok()?;
        let (words, rest) = tensor.data().as_chunks::<4>();
        assert!(rest.is_empty(), "{name}");
        Some(words.to_vec())
    }

    pub(crate) fn floats(&self, name: &str) -> Option<Vec<f32>> {
        Some(self.raw(name)?.into_iter().map(f32::from_le_bytes).collect())
    }

    pub(crate) fn ints(&self, name: &str) -> Vec<i32> {
        self.raw(name).expect(name).into_iter().map(i32::from_le_bytes).collect()
    }

    /// The recorded batch's first step.
    pub(crate) fn first_step(&self) -> ActStep {
        ActStep::first(self.ints("inputs"), self.ints("puzzle_identifiers"))
    }

    /// One row of the recorded batch as a batch of its own.
    pub(crate) fn row(&self, row: usize) -> ActStep {
        let width = self.config.seq_len;
        let all = self.first_step();
        ActStep::first(all.tokens[row * width..(row + 1) * width].to_vec(), vec![all.puzzle_ids[row]])
    }
}

/// Fails unless both have the same length and every pair is within `tolerance`. NaN is never close.
#[track_caller]
pub(crate) fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths differ");
    let distance = |i: usize| {
        let distance = (actual[i] - expected[i]).abs();
        if distance.is_nan() { f32::INFINITY } else { distance }
    };
    if let Some(worst) = (0..actual.len()).max_by(|&a, &b| distance(a).total_cmp(&distance(b))) {
        assert!(
            distance(worst) <= tolerance,
            "{what}: {} at {worst}, expected {} within {tolerance}",
            actual[worst],
            expected[worst]
        );
    }
}
