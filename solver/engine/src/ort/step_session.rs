//! Step sessions of ONNX Runtime.

use std::time::Instant;

use ::ort::memory::Allocator;
use ::ort::session::{IoBinding, NoSelectedOutputs, RunOptions, Session};
use ::ort::value::PrimitiveTensorElementType;
use rayon::prelude::*;
use trm_models::{GraphKind, TrmConfig};

use super::provider::{Device, ExecutionProvider};
use super::session::{Committed, commit};
use super::tensors::{DeviceCarry, Exchanged};
use super::{OrtEngine, failed};
use crate::{ActOutput, ActStep, Carry, GraphSource, Result, SessionInfo, SessionOptions, StepSession, checks};

/// A step graph. The rows of a batch are divided into lanes, and the lanes among the sessions that run side by side.
pub(super) struct OrtStepSession {
    info: SessionInfo,
    config: TrmConfig,
    lane_rows: usize,
    workers: Vec<Worker>,
    /// Rows that hold a carry.
    started: Vec<bool>,
}

/// A session with the lanes that it runs, one after the other.
struct Worker {
    session: Session,
    lanes: Vec<Lane>,
}

/// Rows that run together, from `first` on. Their carry lies in two buffers on the session's device: a step reads one and
/// writes the other.
struct Lane {
    first: usize,
    binding: IoBinding,
    tokens: Exchanged<i32>,
    puzzle_ids: Exchanged<i32>,
    reset: Exchanged<bool>,
    answer: Exchanged<i32>,
    q_halt: Exchanged<f32>,
    q_continue: Exchanged<f32>,
    logits: Option<Exchanged<f32>>,
    /// The carry after the last step, and the buffer that the next step writes.
    carries: [DeviceCarry; 2],
    /// Index of the current carry.
    current: usize,
    /// Run options for reading either buffer. A CUDA graph is recorded for fixed addresses: one graph for each.
    run_options: [RunOptions<NoSelectedOutputs>; 2],
}

impl OrtStepSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, true)?;
        let started = Instant::now();
        let Committed { sessions, lane_rows, provider, mut info } = commit(engine, graph, options)?;
        let options = SessionOptions { batch: lane_rows, ..options.clone() };
        let (lanes, every) = (info.batch / lane_rows, sessions.len());
        // Dealt out like cards: a stream that has run short leaves the last rows empty.
        let workers: ::ort::Result<_> = sessions
            .into_iter()
            .enumerate()
            .map(|(worker, session)| {
                let own = (worker..lanes).step_by(every);
                let bind = |lane| Lane::bind(&session, provider, lane * lane_rows, graph.config, &options);
                Ok(Worker { lanes: own.map(bind).collect::<::ort::Result<_>>()?, session })
            })
            .collect();
        let workers = workers.map_err(|error| failed(format!("allocate the tensors of {}", graph.name), error))?;
        info.load_time = started.elapsed();
        Ok(Self { config: graph.config.clone(), lane_rows, workers, started: vec![false; info.batch], info })
    }

    /// All lanes, in the order of their rows.
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        let count = self.workers.len();
        (0..self.info.batch / self.lane_rows).map(move |lane| &self.workers[lane % count].lanes[lane / count])
    }
}

impl Lane {
    fn bind(
        session: &Session,
        provider: ExecutionProvider,
        first: usize,
        config: &TrmConfig,
        options: &SessionOptions,
    ) -> ::ort::Result<Self> {
        let batch = options.batch;
        let TrmConfig { seq_len, vocab_size, hidden_size, .. } = *config;
        let allocator = match provider.gpu_memory(&options.provider_options)? {
            None => Allocator::default(),
            Some(memory) => Allocator::new(session, memory)?,
        };
        let cuda_graph = provider.device() == Device::Gpu && options.provider_options.cuda_graph;
        let on_device = cuda_graph.then_some(&allocator);
        let run_options = |buffer: usize| -> ::ort::Result<_> {
            let mut run_options = RunOptions::new()?;
            if cuda_graph {
                run_options.set("gpu_graph_id", (2 * first + buffer + 1).to_string())?;
            }
            Ok(run_options)
        };

        let mut binding = session.create_binding()?;
        let mut answer = Exchanged::new("answer", &[batch, seq_len], on_device)?;
        let mut q_halt = Exchanged::new("q_halt", &[batch], on_device)?;
        let mut q_continue = Exchanged::new("q_continue", &[batch], on_device)?;
        answer.bind_output(&mut binding)?;
        q_halt.bind_output(&mut binding)?;
        q_continue.bind_output(&mut binding)?;
        let logits = if options.want_logits {
            let mut logits = Exchanged::new("logits", &[batch, seq_len, vocab_size], on_device)?;
            logits.bind_output(&mut binding)?;
            Some(logits)
        } else {
            None
        };
        let carry_shape = [batch, config.total_len(), hidden_size];
        Ok(Self {
            first,
            tokens: Exchanged::new("tokens", &[batch, seq_len], on_device)?,
            puzzle_ids: Exchanged::new("puzzle_ids", &[batch], on_device)?,
            reset: Exchanged::new("reset", &[batch], on_device)?,
            answer,
            q_halt,
            q_continue,
            logits,
            carries: [DeviceCarry::new(&allocator, carry_shape)?, DeviceCarry::new(&allocator, carry_shape)?],
            current: 0,
            run_options: [run_options(0)?, run_options(1)?],
            binding,
        })
    }

    fn run(&mut self, session: &mut Session, config: &TrmConfig, rows: usize, input: &ActStep) -> ::ort::Result<()> {
        let range = self.first..self.first + rows;
        let binding = &mut self.binding;
        self.tokens.feed(binding, &input.tokens[range.start * config.seq_len..range.end * config.seq_len])?;
        self.puzzle_ids.feed(binding, &input.puzzle_ids[range.clone()])?;
        self.reset.feed(binding, &input.reset[range])?;
        self.carries[self.current].bind_inputs(binding)?;
        self.carries[1 - self.current].bind_outputs(binding)?;
        session.run_binding_with_options(binding, &self.run_options[self.current])?;
        Ok(())
    }

    /// Adds the outputs of the last run, or zeros for rows that it left out, to those of the lanes before.
    fn collect(&self, ran: bool, output: &mut ActOutput) -> ::ort::Result<()> {
        fn extend<T: PrimitiveTensorElementType + Copy + Default + std::fmt::Debug>(
            all: &mut Vec<T>,
            bound: &Exchanged<T>,
            ran: bool,
        ) -> ::ort::Result<()> {
            let values = bound.fetch()?;
            if ran {
                all.extend(values);
            } else {
                all.resize(all.len() + values.len(), T::default());
            }
            Ok(())
        }
        extend(&mut output.answer, &self.answer, ran)?;
        extend(&mut output.q_halt, &self.q_halt, ran)?;
        extend(&mut output.q_continue, &self.q_continue, ran)?;
        match (&mut output.logits, &self.logits) {
            (Some(all), Some(logits)) => extend(all, logits, ran),
            _ => Ok(()),
        }
    }
}

impl StepSession for OrtStepSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        checks::check_step(&self.config, &self.started, input)?;
        let (rows, config) = (self.lane_rows, &self.config);
        let busy = |lane: &Lane| input.idle[lane.first..lane.first + rows].contains(&false);
        let run = |Worker { session, lanes }: &mut Worker| {
            let mut lanes = lanes.iter_mut().filter(|lane| busy(lane));
            lanes.try_for_each(|lane| lane.run(session, config, rows, input))
        };
        let ran = match self.workers.as_mut_slice() {
            [only] => run(only),
            workers => workers.par_iter_mut().try_for_each(run),
        };
        let mut output = ActOutput {
            answer: Vec::new(),
            q_halt: Vec::new(),
            q_continue: Vec::new(),
            logits: self.lanes().next().and_then(|lane| lane.logits.as_ref()).map(|_| Vec::new()),
        };
        ran.and_then(|()| self.lanes().try_for_each(|lane| lane.collect(busy(lane), &mut output)))
            .map_err(|error| failed("run the step graph", error))?;
        checks::check_finite(GraphKind::Step, "q_halt", &output.q_halt)?;
        for lane in self.workers.iter_mut().flat_map(|worker| &mut worker.lanes).filter(|lane| busy(lane)) {
            lane.current = 1 - lane.current;
        }
        self.started.iter_mut().zip(&input.idle).for_each(|(started, idle)| *started = !idle);
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        let mut all = Carry { z_h: Vec::new(), z_l: Vec::new() };
        for lane in self.lanes() {
            let carry = lane.carries[lane.current].read().map_err(|error| failed("read the carry", error))?;
            all.z_h.extend(carry.z_h);
            all.z_l.extend(carry.z_l);
        }
        Ok(all)
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        checks::check_carry(&self.config, self.info.batch, carry)?;
        let row = self.config.total_len() * self.config.hidden_size;
        for lane in self.workers.iter_mut().flat_map(|worker| &mut worker.lanes) {
            let range = lane.first * row..(lane.first + self.lane_rows) * row;
            let part = Carry { z_h: carry.z_h[range.clone()].to_vec(), z_l: carry.z_l[range].to_vec() };
            lane.carries[lane.current].write(&part).map_err(|error| failed("write the carry", error))?;
        }
        self.started.fill(true);
        Ok(())
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        checks::check_delta(&self.config, &self.started, row, delta)?;
        let (lane, count) = (row / self.lane_rows, self.workers.len());
        let lane = &mut self.workers[lane % count].lanes[lane / count];
        let row = row - lane.first;
        lane.carries[lane.current].add(row, delta).map_err(|error| failed("change the carry", error))
    }
}
