//! The sizes of a run that trains several: which task a carry group has, and the run as each sees it.

use trm_export::checkpoint::layout;
use trm_intake::Hint as _;
use trm_models::TrmConfig;

use super::config::{TrainConfig, bad};
use super::config_sections::DataConfig;
use crate::{Result, TrainError};

impl TrainConfig {
    /// The run as it is for one of its sizes: that task, and the data for it.
    #[must_use]
    pub fn of_task(&self, task: &str) -> Self {
        let is_for = |data: &&DataConfig| data.task.as_deref().is_none_or(|only| only == task);
        let data = self.data.iter().filter(is_for).cloned().collect();
        Self { task: task.to_owned(), sizes: Vec::new(), data, ..self.clone() }
    }

    /// All tasks that the run trains, each once: its first task, and those of `sizes`.
    #[must_use]
    pub fn tasks(&self) -> Vec<&str> {
        let all = self.sizes.iter().flat_map(|sizes| &sizes.tasks).map(String::as_str);
        let mut tasks: Vec<&str> = if self.sizes.is_empty() { vec![&self.task] } else { Vec::new() };
        for task in all {
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        tasks
    }

    /// The task of a carry group at an optimiser step.
    #[must_use]
    pub fn task_of_group(&self, group: usize, step: u64) -> &str {
        let sizes = self.sizes.iter().take_while(|sizes| sizes.from <= step).last();
        sizes.map_or(&self.task, |sizes| &sizes.tasks[group % sizes.tasks.len()])
    }

    /// The runs whose held-out puzzles are measured, each with its share of them.
    #[must_use]
    pub fn evaluated(&self) -> Vec<Self> {
        let named = &self.evaluation.tasks;
        if named.is_empty() {
            return vec![self.of_task(&self.task)];
        }
        let of = |task: &String| {
            let mut run = self.of_task(task);
            run.evaluation.puzzles = self.evaluation.puzzles.div_ceil(named.len());
            run.evaluation.tasks.clear();
            run
        };
        named.iter().map(of).collect()
    }

    /// Checks the tasks of several sizes: they exist, their settings hold, and one set of weights fits them all.
    pub(super) fn check_sizes(&self, origin: &str) -> Result<()> {
        if self.sizes.is_empty() && self.evaluation.tasks.is_empty() {
            return Ok(());
        }
        let refuse = |reason: &str, hint: &str| Err(bad(origin, reason, Some(hint)));
        let starts = self.sizes.iter().map(|sizes| sizes.from).collect::<Vec<_>>();
        if starts.first().is_some_and(|&first| first != 0) || starts.windows(2).any(|pair| pair[0] >= pair[1]) {
            return refuse(&format!("[[sizes]] begin at the steps {starts:?}"), "the first at 0, the others rising");
        }
        if self.sizes.iter().any(|sizes| sizes.tasks.is_empty()) {
            return refuse("[[sizes]] without tasks", "tasks = [\"maze-9\", \"maze-13\"]");
        }
        let shapes = |config: &TrmConfig| {
            layout(config).into_iter().map(|tensor| (tensor.name, tensor.shape)).collect::<Vec<_>>()
        };
        let refused = |error: TrainError| bad(origin, &error.to_string(), error.hint().as_deref());
        let expected = shapes(&self.trm_config().map_err(refused)?);
        for task in self.tasks().into_iter().chain(self.evaluation.tasks.iter().map(String::as_str)) {
            let run = self.of_task(task);
            let model = run.trm_config().map_err(refused)?;
            if shapes(&model) != expected {
                let reason = format!("a model of {} has not the weights of one of {task}", self.task);
                return refuse(&reason, "model.mixer = \"grid\" for mazes or \"candidates\" for sudokus has no size");
            }
            if run.data.is_empty() {
                return refuse(&format!("no [[data]] is for {task}"), "leave its `task` out, or add another source");
            }
            self.check_memory(origin, &model)?;
        }
        Ok(())
    }
}
