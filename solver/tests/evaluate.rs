//! Counts of an evaluation, with a session that answers by rule.

mod oracle;

use std::sync::Arc;

use oracle::{Rule, solver};
use trm_engine::ort::ExecutionProvider;
use trm_puzzles::{DataSet, IGNORE_LABEL, Maze, MazeGenerator, Task, formats};
use trm_solver::measure::eval::evaluate;
use trm_solver::{Evaluation, HaltPolicy, QHalt, Question, Rate, Result, SolveOptions};

fn rate(hits: usize, total: usize) -> Rate {
    Rate { hits, total }
}

/// Four mazes whose label is the short way; the session's answers differ by the second row.
fn questions() -> Vec<Result<Question>> {
    let task = Maze::new(3, 3).expect("a maze");
    let label = formats::parse("m", b"S  \no# \nG  \n").expect("parses").remove(0).grid;
    let labels = task.encode(&label).expect("tokens");
    ["S  \n # \nG  \n", "S  \n # \nG #\n", "S# \n # \nG  \n", "S #\n # \nG  \n"]
        .iter()
        .map(|text| {
            let puzzle = formats::parse("m", text.as_bytes()).expect("parses").remove(0);
            let question = Question::new(&task, puzzle.grid, 0)?;
            let label = labels
                .iter()
                .zip(&question.tokens)
                // Walls that differ from the first maze's are not labelled.
                .map(|(&label, &token)| if token == 1 { IGNORE_LABEL } else { label })
                .collect();
            Ok(question.with_label(label))
        })
        .collect()
}

/// Maze 0: exact from step 2. Maze 1 (wall at the bottom right): exact at steps 1 and 2, then lost. Maze 2 (wall at the top):
/// never. Maze 3 (wall at the top right): never exact nor valid, but asks to halt at step 4.
fn rule() -> Rule {
    Arc::new(|tokens, step| {
        let mut answer = tokens.to_vec();
        let mut q_halt = -1.0;
        let right = match (tokens[8], tokens[1], tokens[2]) {
            (1, ..) => step <= 2,
            (_, 1, _) => false,
            (_, _, 1) => {
                q_halt = step as f32 - 3.5;
                false
            }
            _ => step >= 2,
        };
        if right {
            answer[3] = 5;
        }
        (answer, q_halt)
    })
}

fn measure(options: SolveOptions) -> Evaluation {
    let task: Arc<dyn Task> = Arc::new(Maze::new(3, 3).expect("a maze"));
    let (mut solver, _) = solver(task, options, rule());
    evaluate(&mut solver, questions(), &mut |_| true).expect("runs")
}

#[test]
fn the_references_evaluation_runs_every_step() {
    for batch in [1, 3, 8] {
        let options = SolveOptions { halt: HaltPolicy::MaxSteps, tries: 0, batch, ..SolveOptions::default() };
        let result = measure(options);
        assert_eq!((result.puzzles, result.steps, result.total_steps, result.symmetric), (4, 24, 24, 0));
        assert_eq!((result.scores.exact, result.scores.valid, result.optimal), (rate(1, 4), rate(1, 4), rate(1, 4)));
        // 8, 7, 7 and 7 labelled cells; each of three answers misses the one path cell.
        assert_eq!(result.scores.cell, rate(29 - 3, 29));
        // The maze with 8 labelled cells is right, each of the others has 6 of 7.
        let accuracy = result.scores.accuracy.value().expect("labels");
        assert!((accuracy - (1.0 + 3.0 * 6.0 / 7.0) / 4.0).abs() < 1e-12, "{accuracy}");
        assert_eq!(result.scores.accuracy.cases(), 4);
        let exact: Vec<_> = result.by_step.iter().map(|at| at.scores.exact.hits).collect();
        assert_eq!(exact, [1, 2, 1, 1, 1, 1]);
        let halted: Vec<_> = result.by_step.iter().map(|at| at.halted.hits).collect();
        assert_eq!(halted, [0, 0, 0, 1, 1, 1]);
        assert!(
            result
                .by_step
                .iter()
                .all(|at| at.scores.exact.total == 4 && at.halted.total == 4 && at.scores.cell.total == 29)
        );
        assert_eq!(result.mean_steps(), Some(6.0));
        assert!(result.puzzles_per_second().is_some_and(|speed| speed > 0.0));
        assert_eq!(result.ran_on, Some(("oracle", ExecutionProvider::Cpu)));
    }
}

#[test]
fn a_stopped_attempt_keeps_its_answer_in_later_steps() {
    let options = SolveOptions { halt: HaltPolicy::Verified, tries: 0, ..SolveOptions::default() };
    let result = measure(options);
    assert_eq!(result.scores.exact, rate(2, 4), "maze 1 stops before it is lost");
    let exact: Vec<_> = result.by_step.iter().map(|at| at.scores.exact.hits).collect();
    assert_eq!(exact, [1, 2, 2, 2, 2, 2]);
    assert_eq!(result.steps, 2 + 1 + 6 + 6);

    let halt = HaltPolicy::QHalt(QHalt { threshold: 1.0, min_steps: 1 });
    let result = measure(SolveOptions { halt, tries: 0, ..SolveOptions::default() });
    assert_eq!(result.steps, 6 + 6 + 6 + 5, "1.5 at step 5 exceeds the threshold");
    let halted: Vec<_> = result.by_step.iter().map(|at| at.halted.hits).collect();
    assert_eq!(halted, [0, 0, 0, 0, 1, 1]);
}

#[test]
fn an_interrupted_evaluation_counts_finished_puzzles_only() {
    let task: Arc<dyn Task> = Arc::new(Maze::new(3, 3).expect("a maze"));
    let options = SolveOptions { halt: HaltPolicy::MaxSteps, tries: 0, batch: 1, ..SolveOptions::default() };
    let (mut solver, _) = solver(task, options, rule());
    let result = evaluate(&mut solver, questions(), &mut |so_far| so_far.puzzles < 2).expect("runs");
    assert_eq!((result.puzzles, result.scores.exact, result.steps), (2, rate(1, 2), 12));
    assert!(result.by_step.iter().all(|at| at.scores.exact.total == 2));
}

#[test]
fn a_data_set_is_measured_against_its_labels() {
    let task = Maze::new(5, 5).expect("a maze");
    let data = DataSet::generate(&MazeGenerator::new(task), 30, 5).expect("mazes");
    // Copies what it is asked for: right nowhere but where no path is.
    let echo: Rule = Arc::new(|tokens, _| (tokens.to_vec(), 0.0));
    let options = SolveOptions { halt: HaltPolicy::MaxSteps, tries: 0, max_steps: Some(1), ..SolveOptions::default() };
    let (mut solver, _) = solver(Arc::new(task), options, echo);
    let questions = (0..data.len()).map(|index| {
        let row = |tokens: Option<&[i32]>| tokens.expect("in range").to_vec();
        Question::from_tokens(&task, row(data.input(index)), 0, Some(row(data.label(index))))
    });
    let result = evaluate(&mut solver, questions, &mut |_| true).expect("runs");
    let path_cells = data.labels.iter().filter(|&&label| label == 5).count();
    assert_eq!(result.scores.cell, rate(30 * 25 - path_cells, 30 * 25));
    assert_eq!(
        (result.scores.exact, result.scores.valid),
        (rate(0, 30), rate(0, 30)),
        "every path has a cell between S and G"
    );
}
