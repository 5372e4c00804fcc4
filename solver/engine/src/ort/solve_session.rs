//! Solve sessions of ONNX Runtime.

use ::ort::session::{HasSelectedOutputs, OutputSelector, RunOptions, Session, SessionInputValue};
use ::ort::value::{PrimitiveTensorElementType, Tensor};
use rayon::prelude::*;
use trm_models::TrmConfig;

use super::session::{Committed, commit};
use super::{OrtEngine, failed};
use crate::{GraphSource, Result, SessionInfo, SessionOptions, SolveInput, SolveOutput, SolveSession, checks};

/// A solve or unrolled graph, its rows divided as those of a step graph.
pub(super) struct OrtSolveSession {
    info: SessionInfo,
    config: TrmConfig,
    lane_rows: usize,
    workers: Vec<(Session, RunOptions<HasSelectedOutputs>)>,
}

impl OrtSolveSession {
    pub(super) fn load(engine: &OrtEngine, graph: &GraphSource<'_>, options: &SessionOptions) -> Result<Self> {
        checks::check_kind(graph.kind, false)?;
        let Committed { sessions, lane_rows, info, .. } = commit(engine, graph, options)?;
        let run_options = || {
            let outputs = OutputSelector::default();
            let outputs = if options.want_logits { outputs } else { outputs.without("logits") };
            RunOptions::new().map(|run_options| run_options.with_outputs(outputs))
        };
        let workers: ::ort::Result<_> = sessions.into_iter().map(|session| Ok((session, run_options()?))).collect();
        let workers = workers.map_err(|error| failed("create run options", error))?;
        Ok(Self { info, config: graph.config.clone(), lane_rows, workers })
    }

    fn run(&mut self, input: &SolveInput, max_steps: Option<i64>) -> ::ort::Result<SolveOutput> {
        let (rows, seq_len) = (self.lane_rows, self.config.seq_len);
        let firsts: Vec<usize> = (0..self.info.batch).step_by(rows).collect();
        let share = firsts.len().div_ceil(self.workers.len());
        let run = |((session, run_options), firsts): (&mut (Session, _), &[usize])| {
            let lane = |&first: &usize| {
                let lane = SolveInput {
                    tokens: input.tokens[first * seq_len..(first + rows) * seq_len].to_vec(),
                    puzzle_ids: input.puzzle_ids[first..first + rows].to_vec(),
                    ..*input
                };
                run_lane(session, run_options, lane, seq_len, max_steps)
            };
            firsts.iter().map(lane).collect::<::ort::Result<Vec<_>>>()
        };
        let outputs: Vec<Vec<SolveOutput>> = match self.workers.as_mut_slice() {
            [only] => vec![run((only, &firsts))?],
            workers => workers.par_iter_mut().zip(firsts.par_chunks(share)).map(run).collect::<::ort::Result<_>>()?,
        };
        Ok(joined(outputs.into_iter().flatten()))
    }
}

fn run_lane(
    session: &mut Session,
    run_options: &RunOptions<HasSelectedOutputs>,
    input: SolveInput,
    seq_len: usize,
    max_steps: Option<i64>,
) -> ::ort::Result<SolveOutput> {
    let rows = input.puzzle_ids.len();
    let mut inputs: Vec<(&str, SessionInputValue<'_>)> = vec![
        ("tokens", Tensor::from_array(([rows, seq_len], input.tokens))?.into()),
        ("puzzle_ids", Tensor::from_array(([rows], input.puzzle_ids))?.into()),
        ("halt_threshold", scalar(input.halt_threshold)?.into()),
    ];
    if let Some(max_steps) = max_steps {
        inputs.push(("max_steps", scalar(max_steps)?.into()));
    }
    let outputs = session.run_with_options(inputs, run_options)?;
    let floats = |name: &str| -> ::ort::Result<Vec<f32>> { Ok(outputs[name].try_extract_tensor()?.1.to_vec()) };
    let integers = |name: &str| -> ::ort::Result<Vec<i32>> { Ok(outputs[name].try_extract_tensor()?.1.to_vec()) };
    Ok(SolveOutput {
        answer: integers("answer")?,
        q_halt: floats("q_halt")?,
        q_continue: floats("q_continue")?,
        steps: integers("steps")?,
        logits: outputs.contains_key("logits").then(|| floats("logits")).transpose()?,
    })
}

/// The outputs of several lanes as one.
fn joined(mut lanes: impl Iterator<Item = SolveOutput>) -> SolveOutput {
    let first = lanes.next().expect("a batch has a lane");
    lanes.fold(first, |mut all, lane| {
        all.answer.extend(lane.answer);
        all.q_halt.extend(lane.q_halt);
        all.q_continue.extend(lane.q_continue);
        all.steps.extend(lane.steps);
        if let (Some(all), Some(logits)) = (&mut all.logits, lane.logits) {
            all.extend(logits);
        }
        all
    })
}

fn scalar<T>(value: T) -> ::ort::Result<Tensor<T>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Tensor::from_array((Vec::<i64>::new(), vec![value]))
}

impl SolveSession for OrtSolveSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn solve(&mut self, input: &SolveInput) -> Result<SolveOutput> {
        let kind = self.info.graph;
        let max_steps = checks::check_solve(&self.config, kind, self.info.batch, input)?;
        let output = self.run(input, max_steps).map_err(|error| failed(format!("run the {kind} graph"), error))?;
        checks::check_finite(kind, "q_halt", &output.q_halt)?;
        Ok(output)
    }
}
