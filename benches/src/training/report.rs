//! The findings of the training bench, as JSON and as a Markdown table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::spread::Spread;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The processor, as the system calls it.
    pub processor: String,
    /// Load average before the start; `None` where the system does not tell.
    pub load_before: Option<f64>,
    /// Threads of every runner.
    pub threads: usize,
    /// Rounds, in each of which every runner has its turn.
    pub rounds: usize,
    /// One entry a model.
    pub models: Vec<ModelReport>,
}

/// One model on all runners.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    /// `sudoku`, `maze` or `full`.
    pub model: String,
    /// Its distinguishing features.
    pub what: String,
    /// Rows of a batch.
    pub batch: usize,
    /// Steps of a turn.
    pub steps: usize,
    /// PyTorch's modes first, in the order asked for.
    pub runners: Vec<RunnerReport>,
}

/// One runner on one model.
#[derive(Debug, Serialize)]
pub struct RunnerReport {
    /// Framework and mode, or our runtime.
    pub runner: String,
    /// Batch rows trained in a second, one value a round.
    pub samples_per_second: Spread,
    /// Speed as a multiple of each PyTorch mode's, one value a round.
    pub ratios: Vec<Ratio>,
    /// The most memory it held, in bytes, the start and compilation in the process included.
    pub peak_memory: Option<u64>,
    /// Losses of the first steps.
    pub first_losses: Vec<f64>,
}

/// The ratio to one PyTorch mode.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// The mode.
    pub against: String,
    /// Samples a second over the mode's.
    pub ratio: Spread,
}

impl Report {
    /// The table for people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "Training on {}, {} threads, CPU only, {} interleaved rounds. Median (and quartiles); a ratio is the runner's \
             samples/s over the PyTorch mode's, round by round.\n",
            self.processor, self.threads, self.rounds
        );
        if let Some(load) = self.load_before {
            let _ = writeln!(text, "Load before the start: {load:.2}.");
        }
        for model in &self.models {
            let _ = write!(text, "\n**{}** ({}), batch {}\n\n", model.model, model.what, model.batch);
            model.write_table(&mut text);
        }
        text
    }
}

impl ModelReport {
    fn write_table(&self, text: &mut String) {
        let modes = self.runners.first().map_or(&[][..], |runner| &runner.ratios);
        let titles = modes.iter().map(|mode| format!(" x {} |", mode.against)).collect::<Vec<_>>().concat();
        let rules = " --- |".repeat(modes.len());
        let _ = writeln!(text, "| runner | samples/s | peak MiB |{titles}\n| --- | --- | --- |{rules}");
        for runner in &self.runners {
            let memory = runner.peak_memory.map_or("-".to_owned(), |bytes| (bytes >> 20).to_string());
            let cells: Vec<_> = runner.ratios.iter().map(|ratio| format!(" {} |", written(&ratio.ratio, 2))).collect();
            let ratios = cells.concat();
            let speed = written(&runner.samples_per_second, 1);
            let _ = writeln!(text, "| {} | {speed} | {memory} |{ratios}", runner.runner);
        }
    }
}

fn written(spread: &Spread, digits: usize) -> String {
    format!("{:.digits$} ({:.digits$}-{:.digits$})", spread.median, spread.low, spread.high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_runner_and_a_column_a_mode() {
        let spread = |median| Spread { low: median - 0.25, median, high: median + 0.25, n: 4 };
        let runner = |name: &str, speed, ratio| RunnerReport {
            runner: name.to_owned(),
            samples_per_second: spread(speed),
            ratios: vec![Ratio { against: "eager-fp32".to_owned(), ratio: spread(ratio) }],
            peak_memory: Some(64 << 20),
            first_losses: vec![2.0],
        };
        let report = Report {
            processor: "a processor".to_owned(),
            load_before: None,
            threads: 2,
            rounds: 4,
            models: vec![ModelReport {
                model: "sudoku".to_owned(),
                what: "small".to_owned(),
                batch: 32,
                steps: 5,
                runners: vec![runner("PyTorch", 100.0, 1.0), runner("graph", 250.0, 2.5)],
            }],
        };
        let text = report.to_markdown();
        assert!(
            text.contains("| runner | samples/s | peak MiB | x eager-fp32 |\n| --- | --- | --- | --- |\n"),
            "{text}"
        );
        assert!(text.contains("| graph | 250.0 (249.8-250.2) | 64 | 2.50 (2.25-2.75) |"), "{text}");
    }
}
