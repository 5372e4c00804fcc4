//! The findings of a side-by-side run, as JSON and as a Markdown table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::spread::Spread;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The processor, as the system calls it.
    pub processor: String,
    /// Processes that were running before the start, averaged over a minute; `None` where the system does not tell. The
    /// threads of PyTorch and of ONNX Runtime wait for each other differently on a busy machine: a ratio means something
    /// on a quiet one only.
    pub load_before: Option<f64>,
    /// Threads of every runner.
    pub threads: usize,
    /// Rounds, in each of which every runner has its turn.
    pub rounds: usize,
    /// The machine's best rates of multiplying.
    pub limit: Limit,
    /// One entry a model.
    pub models: Vec<ModelReport>,
}

/// Large matrix products on ONNX Runtime, in 10^9 operations a second.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limit {
    /// In float32.
    pub float32: f64,
    /// Of 8-bit integers.
    pub int8: f64,
}

/// One model on all runners.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    /// `sudoku` or `maze`.
    pub model: String,
    /// Its distinguishing features.
    pub what: String,
    /// Steps of a turn.
    pub steps: usize,
    /// The runners, the baseline first.
    pub runners: Vec<RunnerReport>,
}

/// One runner on one model.
#[derive(Debug, Serialize)]
pub struct RunnerReport {
    /// Engine or framework with its version.
    pub runner: String,
    /// Milliseconds of a step, over all steps of all rounds.
    pub milliseconds: Spread,
    /// Speed as a multiple of the baseline's, one value a round: the medians of the two turns divided.
    pub ratio: Spread,
    /// The step's matrix products by its time, as a share of the limit of its precision.
    pub share_of_limit: f64,
    /// Milliseconds that loading took; not known of PyTorch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_milliseconds: Option<f64>,
    /// Difference of the halting logit after the first step from the baseline's.
    pub q_halt_difference: f32,
    /// Cells whose answer after the first step is not the baseline's.
    pub answer_differences: usize,
}

impl Report {
    /// The table for people.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "{}, {} threads, batch 1, float32 unless int8 is said, {} interleaved rounds. Median (and quartiles); the ratio is \
             PyTorch's time over the runner's, round by round. Large products run at {:.0} GFLOP/s, in int8 at {:.0}: of the \
             limit is the share that a step's own products reach, everything else included.\n",
            self.processor, self.threads, self.rounds, self.limit.float32, self.limit.int8
        );
        if let Some(load) = self.load_before {
            let _ = writeln!(text, "Load before the start: {load:.2}.");
        }
        for model in &self.models {
            let _ = write!(
                text,
                "\n**{}** ({})\n\n| runner | ms a step | ratio | of the limit | load ms |\n| --- | --- | --- | --- | --- |\n",
                model.model, model.what
            );
            for runner in &model.runners {
                let (ms, ratio) = (&runner.milliseconds, &runner.ratio);
                let _ = writeln!(
                    text,
                    "| {} | {:.1} ({:.1}-{:.1}) | {:.2} ({:.2}-{:.2}) | {:.0} % | {} |",
                    runner.runner,
                    ms.median,
                    ms.low,
                    ms.high,
                    ratio.median,
                    ratio.low,
                    ratio.high,
                    100.0 * runner.share_of_limit,
                    runner.load_milliseconds.map_or_else(String::new, |load| format!("{load:.0}"))
                );
            }
        }
        text
    }
}

/// The processor's name, or the architecture where the system tells none.
#[must_use]
pub fn processor() -> String {
    let machine = trm_engine::machine::Machine::this().with_power_mode();
    machine.processor.unwrap_or_else(|| machine.architecture.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_runner() {
        let spread = |median| Spread { low: median - 0.25, median, high: median + 0.25, n: 4 };
        let runner = |name: &str, ms, ratio| RunnerReport {
            runner: name.to_owned(),
            milliseconds: spread(ms),
            ratio: spread(ratio),
            share_of_limit: 0.5,
            load_milliseconds: (ratio > 1.0).then_some(12.4),
            q_halt_difference: 0.0,
            answer_differences: 0,
        };
        let report = Report {
            processor: "a processor".to_owned(),
            load_before: Some(0.5),
            threads: 2,
            rounds: 4,
            limit: Limit { float32: 400.0, int8: 1600.0 },
            models: vec![ModelReport {
                model: "sudoku".to_owned(),
                what: "small".to_owned(),
                steps: 5,
                runners: vec![runner("PyTorch", 200.0, 1.0), runner("ort", 80.0, 2.5)],
            }],
        };
        let text = report.to_markdown();
        assert!(
            text.starts_with("a processor, 2 threads, batch 1, float32 unless int8 is said, 4 interleaved rounds."),
            "{text}"
        );
        assert!(text.contains("\nLoad before the start: 0.50.\n"), "{text}");
        assert!(text.contains("\n| PyTorch | 200.0 (199.8-200.2) | 1.00 (0.75-1.25) | 50 % |  |\n"), "{text}");
        assert!(text.ends_with("\n| ort | 80.0 (79.8-80.2) | 2.50 (2.25-2.75) | 50 % | 12 |\n"), "{text}");
    }
}
