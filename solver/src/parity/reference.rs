//! The reference evaluator as sessions: graphs in float64, slow, and sharing no code with the engines.

use std::time::Duration;

use trm_engine::ort::ExecutionProvider;
use trm_engine::{
    ActOutput, ActStep, Carry, EngineError, Result, SessionInfo, SolveInput, SolveOutput, SolveSession, StepSession,
};
use trm_export::onnx::Graph;
use trm_export::onnx::eval::{Tensor, evaluate};
use trm_models::{GraphKind, TrmConfig};

/// A step graph in float64. The carry keeps its full precision from step to step.
#[derive(Debug)]
pub struct ReferenceStepSession {
    info: SessionInfo,
    config: TrmConfig,
    graph: Graph,
    z_h: Tensor,
    z_l: Tensor,
}

/// A solve or unrolled graph in float64.
#[derive(Debug)]
pub struct ReferenceSolveSession {
    info: SessionInfo,
    config: TrmConfig,
    graph: Graph,
}

fn info(graph: GraphKind, batch: usize) -> SessionInfo {
    SessionInfo {
        engine: "reference",
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        library: None,
        provider: ExecutionProvider::Cpu,
        fallbacks: Vec::new(),
        graph,
        batch,
        threads: 1,
        load_time: Duration::ZERO,
    }
}

impl ReferenceStepSession {
    /// Makes a session for `batch` rows of a step graph; the carry begins with zeros.
    ///
    /// # Errors
    ///
    /// [`EngineError::Graph`] if the evaluator takes no carry of this size.
    pub fn new(graph: Graph, config: &TrmConfig, batch: usize) -> Result<Self> {
        let shape = [batch, config.total_len(), config.hidden_size];
        let zeros = Tensor::float(&shape, vec![0.0; shape.iter().product()])?;
        Ok(Self { info: info(GraphKind::Step, batch), config: config.clone(), graph, z_h: zeros.clone(), z_l: zeros })
    }
}

impl StepSession for ReferenceStepSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let batch = self.info.batch;
        let inputs = [
            ints(&[batch, self.config.seq_len], &input.tokens)?,
            ints(&[batch], &input.puzzle_ids)?,
            Tensor::bool(&[batch], input.reset.clone())?,
            self.z_h.clone(),
            self.z_l.clone(),
        ];
        let [answer, q_halt, q_continue, z_h, z_l, logits] = outputs(evaluate(&self.graph, &inputs)?)?;
        (self.z_h, self.z_l) = (z_h, z_l);
        Ok(ActOutput {
            answer: to_i32(&answer)?,
            q_halt: to_f32(&q_halt)?,
            q_continue: to_f32(&q_continue)?,
            logits: Some(to_f32(&logits)?),
        })
    }

    fn carry(&self) -> Result<Carry> {
        Ok(Carry { z_h: to_f32(&self.z_h)?, z_l: to_f32(&self.z_l)? })
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        let shape = [self.info.batch, self.config.total_len(), self.config.hidden_size];
        let state = |values: &[f32]| Tensor::float(&shape, values.iter().map(|&value| f64::from(value)).collect());
        (self.z_h, self.z_l) = (state(&carry.z_h)?, state(&carry.z_l)?);
        Ok(())
    }
}

impl ReferenceSolveSession {
    /// Makes a session for `batch` rows of a solve or unrolled graph.
    #[must_use]
    pub fn new(graph: Graph, kind: GraphKind, config: &TrmConfig, batch: usize) -> Self {
        Self { info: info(kind, batch), config: config.clone(), graph }
    }
}

impl SolveSession for ReferenceSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let batch = self.info.batch;
        let mut inputs = vec![
            ints(&[batch, self.config.seq_len], &input.tokens)?,
            ints(&[batch], &input.puzzle_ids)?,
            Tensor::float(&[], vec![f64::from(input.halt_threshold)])?,
        ];
        if self.info.graph == GraphKind::Solve {
            let limit = input.max_steps.unwrap_or(self.config.halt_max_steps);
            inputs.push(Tensor::int(&[], vec![limit as i64])?);
        }
        let [answer, q_halt, q_continue, steps, logits] = outputs(evaluate(&self.graph, &inputs)?)?;
        Ok(SolveOutput {
            answer: to_i32(&answer)?,
            q_halt: to_f32(&q_halt)?,
            q_continue: to_f32(&q_continue)?,
            steps: to_i32(&steps)?,
            logits: Some(to_f32(&logits)?),
        })
    }
}

fn ints(shape: &[usize], values: &[i32]) -> Result<Tensor> {
    Ok(Tensor::int(shape, values.iter().map(|&value| i64::from(value)).collect())?)
}

fn outputs<const N: usize>(found: Vec<Tensor>) -> Result<[Tensor; N]> {
    found.try_into().map_err(|found: Vec<Tensor>| EngineError::Failed {
        engine: "reference",
        action: "run the graph".to_owned(),
        source: format!("it has {} outputs, expected {N}", found.len()).into(),
    })
}

fn to_i32(tensor: &Tensor) -> Result<Vec<i32>> {
    Ok(tensor.to_ints()?.into_iter().map(|value| value as i32).collect())
}

fn to_f32(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(tensor.to_floats()?.into_iter().map(|value| value as f32).collect())
}
