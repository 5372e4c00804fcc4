//! A step session without a network: what it answers is a function of the puzzle and the step.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trm_engine::ort::ExecutionProvider;
use trm_engine::{ActOutput, ActStep, Carry, Result, SessionInfo, StepSession};
use trm_models::{ConfigSource, GraphKind, TrmConfig};
use trm_puzzles::{Grid, Task};
use trm_solver::{SolveOptions, Solver};

/// Answer `[seq]` and halting logit for a puzzle's tokens `[seq]` after a number of steps.
pub(crate) type Rule = Arc<dyn Fn(&[i32], usize) -> (Vec<i32>, f32) + Send + Sync>;

/// The sessions that were loaded, by their rows, and the rows that were busy at every step.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) loaded: Vec<usize>,
    pub(crate) busy: Vec<usize>,
}

/// The configuration of a model for this task that runs 6 steps.
pub(crate) fn config(task: &dyn Task) -> TrmConfig {
    let yaml = "
arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  H_cycles: 1
  L_cycles: 1
  H_layers: 0
  L_layers: 1
  hidden_size: 8
  num_heads: 1
  expansion: 1
  mlp_t: true
  pos_encodings: none
  puzzle_emb_ndim: 0
  puzzle_emb_len: 0
  halt_max_steps: 6
  halt_exploration_prob: 0.1
";
    let source = ConfigSource::from_yaml_str(yaml, "test").expect("the config parses");
    let source = source.seq_len(task.seq_len()).vocab_size(task.vocab_size()).num_puzzle_identifiers(1);
    source.build().expect("the config is valid")
}

/// A solver whose sessions follow a rule, and the log of what they did.
pub(crate) fn solver(task: Arc<dyn Task>, options: SolveOptions, rule: Rule) -> (Solver<'static>, Arc<Mutex<Log>>) {
    let log = Arc::new(Mutex::new(Log::default()));
    let (config, shared) = (config(task.as_ref()), Arc::clone(&log));
    let load_config = config.clone();
    let load = move |batch| {
        shared.lock().expect("no panic").loaded.push(batch);
        let session: Box<dyn StepSession> = Box::new(Oracle {
            config: load_config.clone(),
            info: SessionInfo {
                engine: "oracle",
                engine_version: String::new(),
                library: None,
                provider: ExecutionProvider::Cpu,
                fallbacks: Vec::new(),
                graph: GraphKind::Step,
                batch,
                threads: 1,
                load_time: Duration::ZERO,
            },
            steps: vec![None; batch],
            noise: vec![0.0; batch],
            rule: Arc::clone(&rule),
            log: Arc::clone(&shared),
        });
        Ok(session)
    };
    (Solver::new(task, config, options, load), log)
}

struct Oracle {
    config: TrmConfig,
    info: SessionInfo,
    /// Steps of every row since its reset.
    steps: Vec<Option<usize>>,
    /// Sum of what was added to the first number of every row's carry since its reset. The halting logit follows it.
    noise: Vec<f32>,
    rule: Rule,
    log: Arc<Mutex<Log>>,
}

impl StepSession for Oracle {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        let rows: Vec<_> = input.tokens.chunks(self.config.seq_len).collect();
        // An idle row holds padding only.
        let busy = rows.iter().filter(|row| row.iter().any(|&token| token != 0)).count();
        self.log.lock().expect("no panic").busy.push(busy);
        let (mut answer, mut q_halt) = (Vec::new(), Vec::new());
        for (row, tokens) in rows.iter().enumerate() {
            let before = if input.reset[row] { Some(0) } else { self.steps[row] };
            if before == Some(0) {
                self.noise[row] = 0.0;
            }
            let steps = before.expect("a row is started before it goes on") + 1;
            self.steps[row] = Some(steps);
            let (tokens, q) = (self.rule)(tokens, steps);
            answer.extend(tokens);
            q_halt.push(q + self.noise[row]);
        }
        Ok(ActOutput { answer, q_continue: vec![0.0; q_halt.len()], q_halt, logits: None })
    }

    fn carry(&self) -> Result<Carry> {
        unreachable!("a solver leaves the carry in the engine")
    }

    fn set_carry(&mut self, _: &Carry) -> Result<()> {
        unreachable!("a solver leaves the carry in the engine")
    }

    fn add_to_carry(&mut self, row: usize, delta: &Carry) -> Result<()> {
        self.noise[row] += delta.z_h[0];
        Ok(())
    }
}

/// The grid behind a row's tokens; `None` for an idle row.
pub(crate) fn grid_of(task: &dyn Task, tokens: &[i32]) -> Option<Grid> {
    if tokens.iter().all(|&token| token == 0) {
        return None;
    }
    let blank = Grid::filled(task.height(), task.width(), 0);
    Some(task.decode(&blank, tokens).expect("a row has the task's length"))
}
