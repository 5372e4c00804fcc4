//! One list of checks, run on every engine, every graph it can run, and every golden.

mod common;

use common::{Golden, assert_close, chain, engines, options, ort};
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{ActStep, Carry, Engine, EngineError, SessionOptions, SolveInput, StepSession, halt_signal};
use trm_intake::explained;
use trm_models::GraphKind;
use trm_solver::HaltReason;
use trm_solver::batch::{Job, Scheduler};

/// Every golden that can be compared at all 16 steps, with its tolerance.
const STABLE: [(&str, f32); 5] = [
    ("sudoku_mlp_stable", 1e-4),
    ("maze_att_stable", 1e-4),
    ("maze_learned_stable", 1e-4),
    ("hrm_att_stable", 1e-4),
    ("arc_like_stable", 1e-3),
];
/// Goldens but for the one of 900 cells, for checks that run many steps and learn nothing from size.
const SMALL: &[(&str, f32)] = STABLE.split_at(4).0;

/// Runs a check on every engine.
fn on_every_engine(check: impl Fn(&dyn Engine)) {
    for engine in engines() {
        check(engine.as_ref());
    }
}

fn load_step(engine: &dyn Engine, golden: &Golden, options: &SessionOptions) -> Box<dyn StepSession> {
    let bytes = golden.bytes(GraphKind::Step, 1);
    engine
        .load_step_graph(&golden.source(GraphKind::Step, &bytes), options)
        .unwrap_or_else(|error| panic!("{}, {}: {}", engine.name(), golden.name, chain(&error)))
}

#[test]
fn sixteen_steps_equal_the_reference() {
    on_every_engine(|engine| {
        for (name, tolerance) in STABLE {
            let golden = Golden::load(name);
            let mut session = load_step(engine, &golden, &options(golden.batch));
            let mut step = golden.first_step();
            let q_halt = golden.floats("q_halt_logits").expect("recorded");
            let q_continue = golden.floats("q_continue_logits").expect("recorded");
            let mut answer = Vec::new();
            for number in 1..=16 {
                let what = |tensor: &str| format!("{}, {name}, step {number}, {tensor}", engine.name());
                let output = session.step(&step).expect("the step runs");
                let rows = (number - 1) * golden.batch..number * golden.batch;
                assert_close(&what("q_halt"), &output.q_halt, &q_halt[rows.clone()], tolerance);
                assert_close(&what("q_continue"), &output.q_continue, &q_continue[rows], tolerance);
                if let Some(logits) = golden.floats(&format!("logits_step{number:02}")) {
                    assert_close(&what("logits"), &output.logits.expect("asked for"), &logits, tolerance);
                }
                answer = output.answer;
                step.reset.fill(false);
            }
            assert_eq!(answer, golden.ints("preds_step16"), "{}, {name}", engine.name());
            let carry = session.carry().expect("the carry reads");
            assert_close("z_h", &carry.z_h, &golden.floats("z_H_final").expect("recorded"), tolerance);
            assert_close("z_l", &carry.z_l, &golden.floats("z_L_final").expect("recorded"), tolerance);
        }
    });
}

#[test]
fn a_carry_that_was_set_is_what_the_next_step_starts_from() {
    on_every_engine(|engine| {
        for (name, tolerance) in [("sudoku_mlp", 1e-3), ("maze_att", 1e-3), ("hrm_att", 1e-3)] {
            let golden = Golden::load(name);
            let (Some(z_h), Some(z_l)) = (golden.floats("z_H_step01"), golden.floats("z_L_step01")) else {
                panic!("{name} records no carry");
            };
            let mut session = load_step(engine, &golden, &options(golden.batch));
            let carry = Carry { z_h, z_l };
            session.set_carry(&carry).expect("the carry is set");
            assert_eq!(session.carry().expect("the carry reads"), carry);
            let mut step = golden.first_step();
            step.reset.fill(false);
            let output = session.step(&step).expect("the step runs");
            let expected = golden.floats("logits_step02").expect("recorded");
            assert_close(name, &output.logits.expect("asked for"), &expected, tolerance);
        }
    });
}

#[test]
fn a_row_depends_on_nothing_but_itself() {
    on_every_engine(|engine| {
        for &(name, _) in SMALL {
            let golden = Golden::load(name);
            let mut together = load_step(engine, &golden, &options(golden.batch));
            let mut alone: Vec<_> = (0..golden.batch).map(|_| load_step(engine, &golden, &options(1))).collect();
            let mut step = golden.first_step();
            for number in 1..=5 {
                // Row 1 starts over at step 4 while the others go on.
                step.reset = (0..golden.batch).map(|row| number == 1 || (number == 4 && row == 1)).collect();
                let output = together.step(&step).expect("the step runs");
                for (row, session) in alone.iter_mut().enumerate() {
                    let solo = ActStep { reset: vec![step.reset[row]], ..golden.row(row) };
                    let solo = session.step(&solo).expect("the step runs");
                    let what = format!("{}, {name}, step {number}, row {row}", engine.name());
                    let cells = row * golden.config.seq_len..(row + 1) * golden.config.seq_len;
                    assert_eq!(output.answer[cells], solo.answer, "{what}");
                    assert_close(&what, &output.q_halt[row..=row], &solo.q_halt, 1e-5);
                }
            }
        }
    });
}

#[test]
fn adding_to_one_row_s_carry_leaves_the_others() {
    on_every_engine(|engine| {
        let golden = Golden::load("sudoku_mlp_stable");
        let mut session = load_step(engine, &golden, &options(golden.batch));
        let width = golden.config.total_len() * golden.config.hidden_size;
        let delta = Carry { z_h: vec![0.25; width], z_l: vec![-0.5; width] };
        let error = session.add_to_carry(1, &delta).expect_err("no row has a carry");
        assert!(matches!(error, EngineError::NoCarry { row: 1 }), "{error}");
        session.step(&golden.first_step()).expect("the step runs");
        let before = session.carry().expect("the carry reads");
        session.add_to_carry(1, &delta).expect("row 1 has a carry");
        let after = session.carry().expect("the carry reads");
        for (before, after, delta) in [(&before.z_h, &after.z_h, 0.25), (&before.z_l, &after.z_l, -0.5)] {
            let expected: Vec<f32> = before
                .iter()
                .enumerate()
                .map(|(index, value)| if index / width == 1 { value + delta } else { *value })
                .collect();
            assert_eq!(*after, expected, "{}", engine.name());
        }
        let error = session.add_to_carry(0, &Carry { z_h: vec![0.0], z_l: vec![0.0] }).expect_err("too short");
        assert!(matches!(error, EngineError::InputLength { .. }), "{error}");
        assert!(session.add_to_carry(golden.batch, &delta).is_err(), "there is no such row");
    });
}

/// Rows without a puzzle change nothing for the others, and start over when they are used again.
#[test]
fn an_idle_row_holds_no_carry_and_disturbs_nobody() {
    on_every_engine(|engine| {
        let golden = Golden::load("maze_att_stable");
        let (mut all, mut some) =
            (load_step(engine, &golden, &options(golden.batch)), load_step(engine, &golden, &options(golden.batch)));
        let mut step = golden.first_step();
        let mut with_idle = golden.first_step();
        for number in 1..=3 {
            with_idle.idle[1] = number > 1;
            let (full, output) =
                (all.step(&step).expect("the step runs"), some.step(&with_idle).expect("the step runs"));
            for row in (0..golden.batch).filter(|&row| !with_idle.idle[row]) {
                let cells = row * golden.config.seq_len..(row + 1) * golden.config.seq_len;
                assert_eq!(output.answer[cells.clone()], full.answer[cells], "{}, row {row}", engine.name());
                assert_eq!(output.q_halt[row].to_bits(), full.q_halt[row].to_bits(), "{}, row {row}", engine.name());
            }
            assert_eq!(output.answer.len(), full.answer.len());
            step.reset.fill(false);
            with_idle.reset.fill(false);
        }
        with_idle.idle[1] = false;
        let error = some.step(&with_idle).expect_err("row 1 has no carry");
        assert!(matches!(error, EngineError::NoCarry { row: 1 }), "{error}");
        with_idle.reset[1] = true;
        let again = some.step(&with_idle).expect("row 1 starts over");
        let first =
            load_step(engine, &golden, &options(golden.batch)).step(&golden.first_step()).expect("the step runs");
        assert_eq!(again.q_halt[1].to_bits(), first.q_halt[1].to_bits(), "{}", engine.name());
    });
}

#[test]
fn continuous_batching_gives_the_answers_of_solo_runs() {
    on_every_engine(|engine| {
        let golden = Golden::load("sudoku_mlp_stable");
        let mut session = load_step(engine, &golden, &SessionOptions { want_logits: false, ..options(2) });
        let mut scheduler = Scheduler::new(session.as_mut());
        // Seven jobs of different lengths on two rows: rows are refilled at different times.
        let jobs: Vec<_> = [(0, 3), (1, 1), (2, 5), (0, 1), (1, 4), (2, 2), (0, 6)]
            .map(|(row, steps)| {
                let ActStep { tokens, puzzle_ids, .. } = golden.row(row);
                let decide = move |step: &trm_solver::batch::RowStep<'_>| {
                    assert!(step.logits.is_none(), "logits were not asked for");
                    (step.steps == steps).then_some(HaltReason::MaxSteps)
                };
                (scheduler.enqueue(Job::new(tokens, puzzle_ids[0], decide)).expect("enqueues"), row, steps)
            })
            .to_vec();
        let mut finished = Vec::new();
        while !scheduler.is_idle() {
            finished.extend(scheduler.step().expect("the step runs"));
        }
        assert_eq!(finished.len(), jobs.len());
        for (job, row, steps) in jobs {
            let done = finished.iter().find(|done| done.job == job).expect("every job ends");
            let mut solo = load_step(engine, &golden, &options(1));
            let mut step = golden.row(row);
            let mut expected = None;
            for _ in 0..steps {
                expected = Some(solo.step(&step).expect("the step runs"));
                step.reset.fill(false);
            }
            let expected = expected.expect("at least one step");
            assert_eq!(done.answer, expected.answer, "{}, row {row}, {steps} steps", engine.name());
            assert_close("q_halt", &[done.q_halt], &expected.q_halt, 1e-5);
        }
    });
}

/// For each row the first step after which its halting signal exceeds the threshold, or the limit.
fn expected_steps(golden: &Golden, threshold: f32, limit: usize) -> Vec<i32> {
    let halt = golden.floats("q_halt_logits").expect("recorded");
    let go_on = golden.floats("q_continue_logits").expect("recorded");
    let signal = |step: usize, row: usize| {
        let at = step * golden.batch + row;
        halt_signal(&golden.config, halt[at], go_on[at])
    };
    (0..golden.batch)
        .map(|row| (0..limit).find(|&step| signal(step, row) > threshold).map_or(limit, |step| step + 1) as i32)
        .collect()
}

/// Runs a solving graph without halting, then with a threshold that some rows cross early.
fn check_solving(engine: &dyn Engine, kind: GraphKind, limit: usize) {
    for &(name, tolerance) in SMALL {
        let golden = Golden::load(name);
        let what = format!("{}, {kind}, {name}", engine.name());
        let bytes = golden.bytes(kind, limit);
        let mut session = engine
            .load_solve_graph(&golden.source(kind, &bytes), &options(golden.batch))
            .unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        let ActStep { tokens, puzzle_ids, .. } = golden.first_step();
        let max_steps = (kind == GraphKind::Solve).then_some(limit);
        let mut input = SolveInput { tokens, puzzle_ids, halt_threshold: f32::INFINITY, max_steps };

        let output = session.solve(&input).expect("the graph runs");
        assert_eq!(output.steps, vec![limit as i32; golden.batch], "{what}");
        let expected = golden.floats(&format!("logits_step{limit:02}")).expect("recorded");
        assert_close(&what, &output.logits.expect("asked for"), &expected, tolerance);

        // Halfway between the rows' first signals: some rows halt at once.
        let first = |row: usize| expected_signal(&golden, row);
        let (low, high) = (0..golden.batch)
            .fold((f32::MAX, f32::MIN), |(low, high), row| (low.min(first(row)), high.max(first(row))));
        input.halt_threshold = f32::midpoint(low, high);
        let output = session.solve(&input).expect("the graph runs");
        let steps = expected_steps(&golden, input.halt_threshold, limit);
        assert_eq!(output.steps, steps, "{what}");
        assert!(steps.contains(&1), "{what}: the threshold halts some row at once");
        let halt = golden.floats("q_halt_logits").expect("recorded");
        let expected: Vec<_> =
            steps.iter().enumerate().map(|(row, &steps)| halt[(steps as usize - 1) * golden.batch + row]).collect();
        assert_close(&what, &output.q_halt, &expected, tolerance);
    }
}

fn expected_signal(golden: &Golden, row: usize) -> f32 {
    let halt = golden.floats("q_halt_logits").expect("recorded");
    let go_on = golden.floats("q_continue_logits").expect("recorded");
    halt_signal(&golden.config, halt[row], go_on[row])
}

#[test]
fn the_solve_graph_halts_rows_and_equals_the_reference() {
    check_solving(&ort(), GraphKind::Solve, 16);
    check_solving(&RtenEngine, GraphKind::Solve, 16);
}

#[test]
fn the_unrolled_graph_halts_rows_and_equals_the_reference() {
    on_every_engine(|engine| check_solving(engine, GraphKind::Unrolled, 2));
}

#[test]
fn input_that_does_not_fit_is_refused_and_changes_nothing() {
    on_every_engine(|engine| {
        let golden = Golden::load("sudoku_mlp_stable");
        let mut session = load_step(engine, &golden, &options(golden.batch));
        let first = golden.first_step();
        let refuse = |session: &mut dyn StepSession, change: &dyn Fn(&mut ActStep)| {
            let mut step = first.clone();
            change(&mut step);
            explained(&session.step(&step).expect_err("the input is refused"))
        };
        let not_started = refuse(session.as_mut(), &|step| step.reset[1] = false);
        assert_eq!(not_started, "row 1 has no carry yet, expected `reset` on its first step");
        session.step(&first).expect("the step runs");
        let carry = session.carry().expect("the carry reads");
        for (change, message) in [
            (
                (&|step: &mut ActStep| step.tokens.truncate(80)) as &dyn Fn(&mut ActStep),
                "input `tokens` has 80 values, expected 243 ([batch 3, seq 81])",
            ),
            (&|step| step.puzzle_ids.push(0), "input `puzzle_ids` has 4 values, expected 3 ([batch 3])"),
            (&|step| step.reset.clear(), "input `reset` has 0 values, expected 3 ([batch 3])"),
            (
                &|step| step.tokens[82] = 11,
                "row 1, cell 1: token 11 is outside the model's vocabulary, expected 0 to 10",
            ),
            (
                &|step| step.tokens[242] = -1,
                "row 2, cell 80: token -1 is outside the model's vocabulary, expected 0 to 10",
            ),
            (&|step| step.puzzle_ids[2] = 1, "row 2: puzzle id 1 is unknown to the model, expected 0 to 0"),
        ] {
            assert_eq!(refuse(session.as_mut(), change), message, "{}", engine.name());
        }
        let short = Carry { z_h: carry.z_h.clone(), z_l: vec![0.0] };
        let error = explained(&session.set_carry(&short).expect_err("the carry is refused"));
        assert_eq!(error, "input `z_l` has 1 values, expected 18624 ([batch 3, positions 97, hidden 64])");
        assert_eq!(session.carry().expect("the carry reads"), carry);
    });
}

#[test]
fn overflow_is_an_error_and_not_an_answer() {
    on_every_engine(|engine| {
        let golden = Golden::load("sudoku_mlp_stable");
        let mut session = load_step(engine, &golden, &options(golden.batch));
        let first = golden.first_step();
        session.step(&first).expect("the step runs");
        let mut carry = session.carry().expect("the carry reads");
        carry.z_h[0] = f32::NAN;
        session.set_carry(&carry).expect("the carry is set");
        let mut step = first;
        step.reset.fill(false);
        let error = explained(&session.step(&step).expect_err("NaN is refused"));
        assert!(error.starts_with("the step graph returned NaN as `q_halt` of row 0\nhint: "), "{error}");
    });
}

#[test]
fn a_graph_that_is_not_the_models_is_refused() {
    let golden = Golden::load("sudoku_mlp_stable");
    let other = Golden::load("maze_att_stable");
    on_every_engine(|engine| {
        let refuse = |bytes: &[u8], kind, options: &SessionOptions| {
            let source = golden.source(kind, bytes);
            let error = match kind {
                GraphKind::Step => engine.load_step_graph(&source, options).err(),
                _ => engine.load_solve_graph(&source, options).err(),
            };
            chain(&error.expect("the graph is refused"))
        };
        let step = golden.bytes(GraphKind::Step, 1);
        let unrolled = golden.bytes(GraphKind::Unrolled, 1);
        let fits = options(1);
        for (bytes, kind, start, end) in [
            (&step, GraphKind::Unrolled, "the unrolled graph lacks input ", "halt_threshold: f32[]"),
            (&unrolled, GraphKind::Step, "the step graph lacks input ", "reset: bool[batch]"),
            (
                &other.bytes(GraphKind::Step, 1),
                GraphKind::Step,
                "the step graph has input `tokens` as i32[",
                ", 100], expected tokens: i32[batch, 81]",
            ),
        ] {
            let error = refuse(bytes, kind, &fits);
            let line = error.lines().next().unwrap_or_default();
            assert!(line.starts_with(start) && line.ends_with(end), "{}: {error}", engine.name());
        }
        for bytes in [&b"not a graph"[..], &[], &step[..step.len() / 2]] {
            let error = refuse(bytes, GraphKind::Step, &fits);
            let named = error.contains("step graph") || error.contains("sudoku_mlp_stable: not an ONNX file: ");
            assert!(named, "{}: {error}", engine.name());
        }
        let error = refuse(&step, GraphKind::Step, &options(0));
        assert_eq!(error, "batch size 0 is out of range, expected 1 to 65536");
    });
}

#[test]
fn tract_says_that_it_has_no_loop() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bytes = golden.bytes(GraphKind::Solve, 1);
    let error = TractEngine.load_solve_graph(&golden.source(GraphKind::Solve, &bytes), &options(1)).err();
    let error = error.expect("the graph is refused");
    assert!(matches!(error, EngineError::Unsupported { .. }));
    assert_eq!(
        explained(&error),
        "tract cannot run the solve graph: it has no Loop operator\nhint: use the step or the unrolled graph, or \
         --backend ort"
    );
}
