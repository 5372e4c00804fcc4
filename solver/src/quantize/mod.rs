//! Smaller precisions that hold: a model is calibrated, quantised, and compared with itself in float32 on puzzles that it
//! has not seen. What loses more than it may is not handed out.
//!
//! The steps: observe what every product reads on calibration puzzles; [equalise] the feed-forward layers, with the exponent
//! that keeps the carry closest to the float one; quantise the products; compare on held-out puzzles, which is the gate. For
//! [`Target::Mixed`], the product whose quantisation alone moves the carry most goes back to float32 until the gate lets
//! the rest pass.

mod calibrate;
mod fidelity;

use std::collections::BTreeMap;

use trm_engine::ort::{ExecutionProvider, OrtEngine, ProviderChoice};
use trm_engine::{Engine, SessionOptions, StepSession};
use trm_export::checkpoint::StateDict;
use trm_export::trm::quantize::{Activations, Quantization, equalise, products};
use trm_export::trm::{FloatType, GraphOptions};
use trm_models::TrmConfig;
use trm_puzzles::Task;

pub use self::fidelity::{Fidelity, Share, StepFidelity};
use crate::{Question, Result, graph_of_weights};

/// Rows that run together while measuring.
const ROWS: usize = 8;
/// Exponents of the equalisation that are tried.
const EXPONENTS: [f32; 3] = [0.5, 0.75, 1.0];
/// Calibration puzzles on which the carries of candidates are compared.
const PROBED: usize = 16;

/// Precision that a model is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Every product of the blocks and the answer head in 8 bits.
    Int8,
    /// As many of them as hold.
    Mixed,
    /// 16-bit floats, for GPUs.
    Fp16,
}

/// Settings of a quantisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizeOptions {
    /// Precision of the new model.
    pub target: Target,
    /// Ranges by which activations become integers: of each tensor as it runs, or of calibration.
    pub activations: Activations,
    /// Largest loss that the gate lets pass, as a share: 0.01 is a point.
    pub max_loss: f64,
}

/// A model with the puzzles to quantise it by.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its configuration.
    pub config: &'a TrmConfig,
    /// Its weights, in float32.
    pub weights: &'a StateDict,
    /// The task that judges answers.
    pub task: &'a dyn Task,
    /// Puzzles to find ranges with.
    pub calibration: &'a [Question],
    /// Other puzzles, to judge by.
    pub held_out: &'a [Question],
}

/// A model in a smaller precision.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The weights: equalised where products are 8-bit, and equal to the others as float32.
    pub weights: StateDict,
    /// Products in 8 bits; `None` for 16-bit floats.
    pub quantization: Option<Quantization>,
    /// The exponent of the equalisation.
    pub exponent: Option<f32>,
    /// Weights whose products went back to float32, in that order, with the carry's cosine when they alone are quantised.
    pub in_float: Vec<(String, f64)>,
    /// Comparison with float32 on the held-out puzzles.
    pub fidelity: Fidelity,
}

impl Quantized {
    /// The options that build its graphs.
    #[must_use]
    pub fn graph_options(&self) -> GraphOptions<'_> {
        let float = if self.quantization.is_none() { FloatType::Fp16 } else { FloatType::Fp32 };
        GraphOptions { float, quantization: self.quantization.as_ref(), ..GraphOptions::default() }
    }
}

/// Quantises a model and measures what came of it. The caller asks [`Fidelity::passed`] before anything is written.
/// `progress` is told what is being done.
///
/// # Errors
/// ONNX Runtime fails, or a puzzle does not fit the model.
pub fn quantize(
    engine: &OrtEngine,
    subject: &Subject<'_>,
    options: &QuantizeOptions,
    progress: &mut dyn FnMut(&str),
) -> Result<Quantized> {
    let bench = Bench { engine, subject };
    let mut float = bench.load(subject.weights, GraphOptions::default())?;
    if options.target == Target::Fp16 {
        progress("comparing on held-out puzzles");
        let half = GraphOptions { float: FloatType::Fp16, ..GraphOptions::default() };
        let fidelity = bench.judge(float.as_mut(), subject.weights, half)?;
        return Ok(Quantized {
            weights: subject.weights.clone(),
            quantization: None,
            exponent: None,
            in_float: Vec::new(),
            fidelity,
        });
    }

    progress("observing what every product reads");
    let (exponent, weights) = bench.equalised(float.as_mut(), options)?;
    let mut names = products(subject.config);
    let mut sensitive: Option<Vec<(String, f64)>> = None;
    let mut in_float = Vec::new();
    loop {
        let quantization = bench.quantization(options, &weights, &names)?;
        progress(&format!("comparing on held-out puzzles, {} products in 8 bits", names.len()));
        let graph = GraphOptions { quantization: Some(&quantization), ..GraphOptions::default() };
        let fidelity = bench.judge(float.as_mut(), &weights, graph)?;
        if options.target == Target::Int8 || fidelity.passed(options.max_loss) || names.len() == 1 {
            let quantization = Some(quantization);
            return Ok(Quantized { weights, quantization, exponent: Some(exponent), in_float, fidelity });
        }
        if sensitive.is_none() {
            progress("finding the product that does most harm");
            let mut cosines = Vec::new();
            for name in &names {
                let alone = bench.quantization(options, &weights, std::slice::from_ref(name))?;
                cosines.push((name.clone(), bench.cosine(float.as_mut(), &weights, &alone)?));
            }
            // The most harmful last, to be taken off the end.
            cosines.sort_by(|a, b| b.1.total_cmp(&a.1));
            sensitive = Some(cosines);
        }
        if let Some(worst) = sensitive.as_mut().and_then(Vec::pop) {
            names.retain(|name| *name != worst.0);
            in_float.push(worst);
        }
    }
}

/// Builds and runs candidates.
struct Bench<'a> {
    engine: &'a OrtEngine,
    subject: &'a Subject<'a>,
}

impl Bench<'_> {
    fn load(&self, weights: &StateDict, options: GraphOptions<'_>) -> Result<Box<dyn StepSession>> {
        let Subject { name, config, .. } = *self.subject;
        let source = graph_of_weights(name, config, weights, options)?;
        let cpu = ProviderChoice::Only(ExecutionProvider::Cpu);
        let options = SessionOptions { batch: ROWS, provider: cpu, ..SessionOptions::default() };
        Ok(self.engine.load_step_graph(&source, &options)?)
    }

    /// The weights with the exponent of those tried that keeps the carry closest when everything is in 8 bits.
    fn equalised(&self, float: &mut dyn StepSession, options: &QuantizeOptions) -> Result<(f32, StateDict)> {
        let Subject { config, weights, .. } = *self.subject;
        let magnitudes = calibrate::calibrate(self.engine, self.subject, ROWS)?;
        let mut candidate = |exponent: f32| -> Result<_> {
            let weights = equalise(config, weights, &magnitudes, exponent)?;
            let quantization = self.quantization(options, &weights, &products(config))?;
            Ok((self.cosine(float, &weights, &quantization)?, exponent, weights))
        };
        let candidates = EXPONENTS.into_iter().map(&mut candidate).collect::<Result<Vec<_>>>()?;
        let best = candidates.into_iter().reduce(|best, other| if other.0 > best.0 { other } else { best });
        let (_, exponent, weights) = best.expect("an exponent was tried");
        Ok((exponent, weights))
    }

    /// These products in 8 bits. Static ranges are those of the weights as they are now.
    fn quantization(&self, options: &QuantizeOptions, weights: &StateDict, names: &[String]) -> Result<Quantization> {
        let ranges = match options.activations {
            Activations::Dynamic => BTreeMap::new(),
            Activations::Static => calibrate::calibrate(self.engine, &Subject { weights, ..*self.subject }, ROWS)?,
        };
        let largest = |name: &String| ranges.get(name).map_or(0.0, |range| range.iter().copied().fold(0.0, f32::max));
        let products = names.iter().map(|name| (name.clone(), largest(name))).collect();
        Ok(Quantization { activations: options.activations, products })
    }

    /// The mean cosine between the last carries of the float model and a candidate, on a few calibration puzzles.
    fn cosine(&self, float: &mut dyn StepSession, weights: &StateDict, quantization: &Quantization) -> Result<f64> {
        let graph = GraphOptions { quantization: Some(quantization), ..GraphOptions::default() };
        let mut candidate = self.load(weights, graph)?;
        let probed = &self.subject.calibration[..self.subject.calibration.len().min(PROBED)];
        let fidelity = fidelity::compare(float, candidate.as_mut(), self.subject.task, probed)?;
        Ok(fidelity.steps.last().map_or(f64::NAN, |step| step.cosine))
    }

    fn judge(&self, float: &mut dyn StepSession, weights: &StateDict, graph: GraphOptions<'_>) -> Result<Fidelity> {
        let mut candidate = self.load(weights, graph)?;
        fidelity::compare(float, candidate.as_mut(), self.subject.task, self.subject.held_out)
    }
}
