//! A task and an engine from outside, in a few dozen lines each: what it takes to add one.

use std::path::Path;
use std::time::Duration;

use rand::Rng;
use trm_engine::ort::ExecutionProvider;
use trm_engine::{
    ActOutput, ActStep, Carry, Engine, EngineEntry, EngineError, GraphSource, SessionInfo, SessionOptions,
    SolveSession, StepSession,
};
use trm_models::{GraphKind, GraphTarget, Precision, TrmConfig};
use trm_puzzles::{Grid, PuzzleError, Rule, Symmetry, Task, UNKNOWN, Verdict, Violation};
use trm_solver::{Model, Question, SolveOptions, Solver};

// A task.

/// Rows of which each holds one value only: blanks take the value of their row's given.
#[derive(Debug, Clone, Copy)]
struct Stripes;

const SIDE: usize = 4;

impl Task for Stripes {
    fn name(&self) -> &'static str {
        "stripes"
    }

    fn height(&self) -> usize {
        SIDE
    }

    fn width(&self) -> usize {
        SIDE
    }

    fn vocabulary(&self) -> Vec<String> {
        ["PAD", "blank", "1", "2", "3", "4"].map(str::to_owned).to_vec()
    }

    fn encode(&self, grid: &Grid) -> Result<Vec<i32>, PuzzleError> {
        Ok(grid.cells().iter().map(|&cell| i32::from(cell) + 1).collect())
    }

    fn decode(&self, _: &Grid, tokens: &[i32]) -> Result<Grid, PuzzleError> {
        let cell = |&token: &i32| if (1..=5).contains(&token) { (token - 1) as u8 } else { UNKNOWN };
        Grid::from_cells(SIDE, SIDE, tokens.iter().map(cell).collect())
    }

    fn check(&self, _: &Grid) -> Result<(), PuzzleError> {
        Ok(())
    }

    fn verify(&self, puzzle: &Grid, answer: &Grid) -> Verdict {
        let (given, found) = (puzzle.cells(), answer.cells());
        let wrong = |at: &usize| {
            let row = at / SIDE * SIDE..(at / SIDE + 1) * SIDE;
            given[row].iter().any(|&value| value != 0 && value != found[*at])
        };
        match (0..given.len()).find(wrong) {
            None => Verdict::Verified { path: None },
            Some(at) => Verdict::Wrong(Violation {
                rule: Rule::Row,
                cells: vec![trm_puzzles::Cell::from_index(at, SIDE)],
                message: "a stripe has one value".to_owned(),
            }),
        }
    }

    fn symmetry(&self, _: &mut dyn Rng) -> Box<dyn Symmetry> {
        Box::new(Mirror)
    }
}

/// Every row the other way round.
#[derive(Debug)]
struct Mirror;

impl Symmetry for Mirror {
    fn apply(&self, grid: &Grid) -> Result<Grid, PuzzleError> {
        let cells = grid.cells().chunks(SIDE).flat_map(|row| row.iter().rev().copied()).collect();
        Grid::from_cells(SIDE, SIDE, cells)
    }

    fn invert(&self, grid: &Grid) -> Result<Grid, PuzzleError> {
        self.apply(grid)
    }
}

// An engine.

/// Spreads each cell to its right neighbour in a step, whatever the graph is.
struct Spreading;

const ENTRY: EngineEntry = EngineEntry {
    name: "spreading",
    about: "a toy",
    graphs: &[GraphKind::Step],
    targets: &[GraphTarget::Portable],
    precisions: &[Precision::Float32],
    batch_invariant: true,
    built_in: true,
    has_gpu: false,
    open: |_: Option<&Path>| Ok(Box::new(Spreading)),
};

impl Engine for Spreading {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn version(&self) -> String {
        "1".to_owned()
    }

    fn load_step_graph(
        &self,
        graph: &GraphSource<'_>,
        options: &SessionOptions,
    ) -> trm_engine::Result<Box<dyn StepSession>> {
        let info = SessionInfo {
            engine: ENTRY.name,
            engine_version: self.version(),
            library: None,
            provider: ExecutionProvider::Cpu,
            fallbacks: Vec::new(),
            graph: graph.kind,
            batch: options.batch,
            threads: 1,
            load_time: Duration::ZERO,
        };
        let state = vec![0; options.batch * graph.config.seq_len];
        Ok(Box::new(Spread { info, config: graph.config.clone(), state }))
    }

    fn load_solve_graph(
        &self,
        graph: &GraphSource<'_>,
        _: &SessionOptions,
    ) -> trm_engine::Result<Box<dyn SolveSession>> {
        let (reason, hint) = ("it has steps only".to_owned(), "use the step graph".to_owned());
        Err(EngineError::Unsupported { engine: ENTRY.name, graph: graph.kind, reason, hint })
    }
}

struct Spread {
    info: SessionInfo,
    config: TrmConfig,
    /// Tokens, which are the carry.
    state: Vec<i32>,
}

impl StepSession for Spread {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn config(&self) -> &TrmConfig {
        &self.config
    }

    fn step(&mut self, input: &ActStep) -> trm_engine::Result<ActOutput> {
        let cells = self.config.seq_len;
        for (row, state) in self.state.chunks_mut(cells).enumerate() {
            if input.reset[row] {
                state.copy_from_slice(&input.tokens[row * cells..][..cells]);
            }
            for at in (1..cells).rev().filter(|at| at % SIDE != 0) {
                // 1 is a blank.
                state[at] = if state[at] == 1 { state[at - 1] } else { state[at] };
            }
        }
        let zeros = vec![0.0; self.info.batch];
        Ok(ActOutput { answer: self.state.clone(), q_halt: zeros.clone(), q_continue: zeros, logits: None })
    }

    fn carry(&self) -> trm_engine::Result<Carry> {
        Ok(Carry { z_h: Vec::new(), z_l: Vec::new() })
    }

    fn set_carry(&mut self, _: &Carry) -> trm_engine::Result<()> {
        Ok(())
    }
}

/// The scheduler, the verifier and the retries take both as they take ours: a row whose given is on the left is filled
/// step by step; one whose given is on the right only in the mirror.
#[test]
fn a_toy_engine_solves_a_toy_task() {
    let engine = (ENTRY.open)(None).expect("a toy opens");
    let config = TrmConfig { seq_len: SIDE * SIDE, ..Model::open("sudoku-4").expect("shipped").config().clone() };
    let load = |batch| {
        let source = GraphSource {
            name: "no graph",
            kind: GraphKind::Step,
            config: &config,
            bytes: Vec::new().into(),
            external: trm_engine::ExternalFiles::None,
            batch_invariant: true,
            target: GraphTarget::Portable,
        };
        engine.load_step_graph(&source, &SessionOptions { batch, ..SessionOptions::default() })
    };
    let task: std::sync::Arc<dyn Task> = std::sync::Arc::new(Stripes);
    let mut solver = Solver::new(std::sync::Arc::clone(&task), config.clone(), SolveOptions::default(), load);
    let mut solve = |rows: [[u8; SIDE]; SIDE]| {
        let grid = Grid::from_cells(SIDE, SIDE, rows.concat()).expect("a grid");
        solver.solve(Question::new(task.as_ref(), grid, 0).expect("a question")).expect("solved")
    };
    let left = solve([[1, 0, 0, 0], [2, 0, 0, 0], [3, 3, 0, 0], [4, 0, 0, 4]]);
    assert!(left.verdict.is_verified(), "{}", left.verdict);
    assert_eq!((left.steps, left.attempts, left.backend), (3, 1, "spreading"));
    let right = solve([[0, 0, 0, 1], [0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 4]]);
    assert!(!right.verdict.is_verified(), "no symmetry brings the second row's given to an end");
    let mirrored = solve([[0, 0, 0, 1], [0, 0, 0, 2], [0, 0, 0, 3], [0, 0, 0, 4]]);
    assert!(mirrored.verdict.is_verified() && mirrored.attempts > 1, "{}", mirrored.verdict);
    assert!(mirrored.answer.cells().chunks(SIDE).enumerate().all(|(row, cells)| cells == [row as u8 + 1; SIDE]));
}
