//! Continuous batching over a session without a network: each row counts, so that every answer is predictable.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use proptest::prelude::*;
use trm_engine::ort::ExecutionProvider;
use trm_engine::{ActOutput, ActStep, Carry, EngineError, Result, SessionInfo, StepSession};
use trm_models::{ConfigSource, GraphKind, TrmConfig};
use trm_solver::HaltReason;
use trm_solver::batch::{Finished, Job, JobId, Scheduler};

const SEQ: usize = 3;
const VOCAB: usize = 100;

fn config() -> TrmConfig {
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
  halt_max_steps: 16
  halt_exploration_prob: 0.1
";
    let source = ConfigSource::from_yaml_str(yaml, "test").expect("the config parses");
    source.seq_len(SEQ).vocab_size(VOCAB).num_puzzle_identifiers(8).build().expect("the config is valid")
}

/// Row state: the sum of the puzzle's tokens over the steps since the reset. Answer: that sum in every cell.
struct Counting {
    config: TrmConfig,
    info: SessionInfo,
    carry: Vec<i32>,
    /// Busy rows of every step, told from idle ones by their tokens.
    busy: Vec<usize>,
    fail_at: Option<usize>,
}

impl Counting {
    fn new(batch: usize) -> Self {
        let info = SessionInfo {
            engine: "counting",
            engine_version: String::new(),
            library: None,
            provider: ExecutionProvider::Cpu,
            fallbacks: Vec::new(),
            graph: GraphKind::Step,
            batch,
            threads: 1,
            load_time: Duration::ZERO,
        };
        Self { config: config(), info, carry: vec![-1; batch], busy: Vec::new(), fail_at: None }
    }
}

impl StepSession for Counting {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        if self.fail_at == Some(self.busy.len()) {
            return Err(EngineError::NoCarry { row: 0 });
        }
        let busy = input.tokens.chunks(SEQ).filter(|row| row[0] != 0).count();
        assert_eq!(input.idle.iter().filter(|idle| !**idle).count(), busy, "idle rows are those without a puzzle");
        self.busy.push(busy);
        for (row, carry) in self.carry.iter_mut().enumerate() {
            if input.reset[row] {
                *carry = 0;
            }
            assert!(*carry >= 0, "row {row} was stepped on without a reset");
            *carry += input.tokens[row * SEQ..(row + 1) * SEQ].iter().sum::<i32>() + input.puzzle_ids[row];
        }
        Ok(ActOutput {
            answer: self.carry.iter().flat_map(|&sum| [sum; SEQ]).collect(),
            q_halt: self.carry.iter().map(|&sum| sum as f32).collect(),
            q_continue: self.carry.iter().map(|&sum| -sum as f32).collect(),
            logits: None,
        })
    }

    fn carry(&self) -> Result<Carry> {
        Ok(Carry { z_h: Vec::new(), z_l: Vec::new() })
    }

    fn set_carry(&mut self, _: &Carry) -> Result<()> {
        Ok(())
    }
}

fn tokens(first: i32) -> Vec<i32> {
    vec![first, 1, 2]
}

/// A job that stops after a number of steps.
fn job<'j>(first: i32, puzzle_id: i32, steps: usize) -> Job<'j> {
    Job::new(tokens(first), puzzle_id, move |row| (row.steps >= steps).then_some(HaltReason::MaxSteps))
}

fn run(scheduler: &mut Scheduler<'_, '_>) -> Vec<Finished> {
    let mut finished = Vec::new();
    while !scheduler.is_idle() {
        finished.extend(scheduler.step().expect("the session steps"));
    }
    finished
}

#[test]
fn a_free_slot_is_refilled_at_once() {
    let mut session = Counting::new(2);
    let mut scheduler = Scheduler::new(&mut session);
    for steps in [1, 5, 2, 2] {
        scheduler.enqueue(job(7, 0, steps)).expect("enqueues");
    }
    let finished = run(&mut scheduler);
    assert_eq!(scheduler.steps(), 5, "10 row steps on 2 rows");
    let steps: Vec<_> = finished.iter().map(|done| done.steps).collect();
    assert_eq!(steps, [1, 2, 2, 5], "in the order in which they end");
    assert_eq!(session.busy, [2, 2, 2, 2, 2]);
}

#[test]
fn an_idle_slot_is_marked_and_holds_a_blank_puzzle() {
    let mut session = Counting::new(3);
    let mut scheduler = Scheduler::new(&mut session);
    assert!(scheduler.is_idle() && scheduler.step().expect("nothing to do").is_empty());
    assert_eq!(scheduler.backlog(), -3);
    scheduler.enqueue(job(5, 2, 4)).expect("enqueues");
    let finished = run(&mut scheduler);
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].answer, [4 * (5 + 1 + 2 + 2); SEQ]);
    assert_eq!(session.busy, [1; 4]);
}

#[test]
fn results_carry_the_last_steps_output() {
    let mut session = Counting::new(1);
    let mut scheduler = Scheduler::new(&mut session);
    let id = scheduler
        .enqueue(Job::new(tokens(4), 0, |row| (row.q_halt > 10.0).then_some(HaltReason::QHalt)))
        .expect("enqueues");
    let finished = run(&mut scheduler);
    let expected = Finished {
        job: id,
        answer: vec![14; SEQ],
        q_halt: 14.0,
        q_continue: -14.0,
        steps: 2,
        reason: HaltReason::QHalt,
        logits: None,
    };
    assert_eq!(finished, [expected]);
}

#[test]
fn the_first_sibling_that_succeeds_cancels_the_others() {
    let mut session = Counting::new(2);
    let mut scheduler = Scheduler::new(&mut session);
    let siblings: Vec<_> = [9, 3, 9, 9].map(|steps| scheduler.enqueue(job(1, 0, steps)).expect("enqueues")).to_vec();
    let mut results = Vec::new();
    while !scheduler.is_idle() {
        for done in scheduler.step().expect("the session steps") {
            for &id in siblings.iter().filter(|&&id| id != done.job) {
                assert!(scheduler.cancel(id), "running and waiting siblings are dropped");
                assert!(!scheduler.cancel(id), "only once");
            }
            results.push(done.job);
        }
    }
    assert_eq!(results, [siblings[1]]);
    assert_eq!(scheduler.steps(), 3);
}

#[test]
fn jobs_can_be_added_as_results_arrive() {
    let mut session = Counting::new(2);
    let mut scheduler = Scheduler::new(&mut session);
    let mut tries: HashMap<JobId, usize> = HashMap::new();
    tries.insert(scheduler.enqueue(job(1, 0, 2)).expect("enqueues"), 1);
    let mut finished = Vec::new();
    while !scheduler.is_idle() {
        for done in scheduler.step().expect("the session steps") {
            let generation = tries[&done.job];
            if generation < 4 {
                tries.insert(scheduler.enqueue(job(1, 0, 2)).expect("enqueues"), generation + 1);
            }
            finished.push(generation);
        }
    }
    assert_eq!(finished, [1, 2, 3, 4]);
    assert_eq!(scheduler.steps(), 8);
}

#[test]
fn wrong_lengths_and_engine_errors_are_passed_on() {
    let mut session = Counting::new(1);
    session.fail_at = Some(1);
    let mut scheduler = Scheduler::new(&mut session);
    let error = scheduler.enqueue(Job::new(vec![1], 0, |_| None)).expect_err("one token");
    assert_eq!(error.to_string(), "input `tokens` has 1 values, expected 3 ([seq 3])");
    scheduler.enqueue(job(1, 0, 5)).expect("enqueues");
    assert!(scheduler.step().is_ok());
    assert!(scheduler.step().is_err());
    assert!(!scheduler.is_idle(), "the job is still there");
}

proptest! {
    /// Whatever the batch, the order and the lengths, each job's answer is the one it has alone.
    #[test]
    fn batched_equals_solo(
        batch in 1usize..6,
        jobs in prop::collection::vec((1i32..50, 0i32..8, 1usize..9), 1..20),
        late in 0usize..20,
    ) {
        let seen = RefCell::new(BTreeMap::<JobId, usize>::new());
        let mut session = Counting::new(batch);
        let mut scheduler = Scheduler::new(&mut session);
        let mut expected = BTreeMap::new();
        let mut finished = BTreeMap::new();
        let mut pending = jobs.iter();
        for round in 0.. {
            // Some are there from the start, the others come one a step.
            let now = if round == 0 { jobs.len().saturating_sub(late) } else { 1 };
            for &(first, id, steps) in pending.by_ref().take(now) {
                let seen = &seen;
                let job = Job::new(tokens(first), id, move |row| {
                    *seen.borrow_mut().entry(row.job).or_default() += 1;
                    (row.steps >= steps).then_some(HaltReason::MaxSteps)
                });
                let job = scheduler.enqueue(job).expect("enqueues");
                expected.insert(job, (steps, (first + 3 + id) * steps as i32));
            }
            if scheduler.is_idle() && pending.len() == 0 {
                break;
            }
            for done in scheduler.step().expect("steps") {
                prop_assert!(finished.insert(done.job, (done.steps, done.answer[0])).is_none());
            }
        }
        prop_assert_eq!(&finished, &expected);
        let row_steps: usize = expected.values().map(|(steps, _)| steps).sum();
        prop_assert_eq!(seen.borrow().values().sum::<usize>(), row_steps);
        if late == 0 {
            prop_assert!(scheduler.steps() <= row_steps.div_ceil(batch) + 8);
        }
    }
}
