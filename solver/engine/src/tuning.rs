//! Remembers the fastest number of rows and threads for a model on this machine, and whether idle threads should
//! spin.
//!
//! `trm bench --tune` measures; whoever loads a session recalls. A tuning belongs to the graph (by its SHA-256), the
//! engine, the provider and the processor, and is a small JSON file in the user's cache folder. A choice changes how
//! fast an answer comes; another number of threads adds float32 numbers in another order, as another machine does.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trm_intake::file::{FileError, write_atomically};
use trm_intake::{Budget, Limits};
use trm_models::{GraphKind, ModelBundle};

use crate::ort::ExecutionProvider;
use crate::{EngineError, Result, machine};

/// Most time a puzzle that a larger batch may take, as a share of the best smaller one's, to be preferred: it costs
/// memory, and the first answer comes later, so that a gain of less than 3 % does not count.
const WORTH_A_LARGER_BATCH: f64 = 0.97;

/// Limits of a remembered choice; one has 300 bytes.
const REMEMBERED_LIMITS: Limits = Limits { bytes: 64 << 10, items: 0, depth: 0, time: None };

/// A measured combination.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Rows that run together.
    pub batch: usize,
    /// Threads of the session.
    pub threads: usize,
    /// `true` if its idle threads spin instead of sleep.
    #[serde(default)]
    pub spinning: bool,
    /// Wall time by puzzles, in milliseconds.
    pub puzzle_ms: f64,
}

impl Trial {
    /// `2 threads`, or `2 spinning threads`.
    #[must_use]
    pub fn threads_in_words(&self) -> String {
        match (self.threads, self.spinning) {
            (1, _) => "1 thread".to_owned(),
            (threads, false) => format!("{threads} threads"),
            (threads, true) => format!("{threads} spinning threads"),
        }
    }
}

/// The fastest numbers of rows and threads.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// One puzzle at a time.
    pub single: Trial,
    /// A stream of puzzles.
    pub stream: Trial,
}

impl Tuning {
    /// Picks the best of the trials; `None` unless one of them has a batch of one.
    #[must_use]
    pub fn best_of(trials: &[Trial]) -> Option<Self> {
        let fastest = |trials: &mut dyn Iterator<Item = &Trial>| {
            // NaN is left out as well: it is not above 0.
            trials.filter(|trial| trial.puzzle_ms > 0.0).min_by(|a, b| a.puzzle_ms.total_cmp(&b.puzzle_ms)).copied()
        };
        let single = fastest(&mut trials.iter().filter(|trial| trial.batch == 1))?;
        let mut batches: Vec<usize> = trials.iter().map(|trial| trial.batch).collect();
        batches.sort_unstable();
        batches.dedup();
        let mut stream = single;
        for batch in batches {
            let best = fastest(&mut trials.iter().filter(|trial| trial.batch == batch));
            if let Some(best) = best.filter(|best| best.puzzle_ms < WORTH_A_LARGER_BATCH * stream.puzzle_ms) {
                stream = best;
            }
        }
        Some(Self { single, stream })
    }

    /// Returns the best trial for a session of that many rows: that of one puzzle at a time for one row, else that of
    /// a stream.
    #[must_use]
    pub fn of_batch(&self, batch: usize) -> Trial {
        if batch == 1 { self.single } else { self.stream }
    }
}

/// The folder in which tunings are remembered, as this processor sees it.
#[derive(Debug, Clone)]
pub struct TuningCache {
    folder: PathBuf,
    processor: String,
}

/// A file of the cache.
#[derive(Serialize, Deserialize)]
struct Remembered {
    /// Processor that it was measured on: many machines may share a home folder.
    processor: String,
    model: String,
    #[serde(flatten)]
    tuning: Tuning,
}

impl TuningCache {
    /// Remembers in `trm-edge/tuning` of the user's cache folder; `None` for a user without one.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        Some(Self::at(crate::cache_folder()?.join("tuning")))
    }

    /// Remembers in a folder, which is made when something is remembered.
    #[must_use]
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, processor: machine::processor() }
    }

    /// Remembers the tuning of a bundle's step graph, and returns the path of its file.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoStepGraph`] for a bundle without one; [`EngineError::File`] if the file cannot be written.
    pub fn remember(
        &self,
        bundle: &ModelBundle,
        engine: &str,
        provider: ExecutionProvider,
        tuning: &Tuning,
    ) -> Result<PathBuf> {
        let path =
            self.path(bundle, engine, provider).ok_or_else(|| EngineError::NoStepGraph { bundle: bundle.label() })?;
        std::fs::create_dir_all(&self.folder).map_err(FileError::io("create", &self.folder))?;
        let remembered = Remembered { processor: self.processor.clone(), model: bundle.label(), tuning: *tuning };
        write_atomically(&path, |file| Ok(serde_json::to_writer_pretty(file, &remembered)?))?;
        Ok(path)
    }

    /// Recalls the tuning of a bundle's step graph on this machine. Treats an unreadable file, and one with numbers
    /// that no session takes, as empty.
    #[must_use]
    pub fn recall(&self, bundle: &ModelBundle, engine: &str, provider: ExecutionProvider) -> Option<Tuning> {
        let bytes = Budget::new(REMEMBERED_LIMITS).read_file(&self.path(bundle, engine, provider)?).ok()?;
        let remembered: Remembered = serde_json::from_slice(&bytes).ok()?;
        let Tuning { single, stream } = remembered.tuning;
        // As many rows and threads as `checks` lets a session have.
        let sane = |trial: Trial| (1..=65_536).contains(&trial.batch) && (1..=1024).contains(&trial.threads);
        (remembered.processor == self.processor && sane(single) && sane(stream)).then_some(remembered.tuning)
    }

    fn path(&self, bundle: &ModelBundle, engine: &str, provider: ExecutionProvider) -> Option<PathBuf> {
        let graph = bundle.manifest().graphs.get(&GraphKind::Step)?;
        // 16 of the 64 digits, 64 bits: enough to tell graphs apart, and short enough to read.
        Some(self.folder.join(format!("{}-{engine}-{provider}.json", &graph.hash.sha256[..16])))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(batch: usize, threads: usize, puzzle_ms: f64) -> Trial {
        Trial { batch, threads, spinning: false, puzzle_ms }
    }

    #[test]
    fn a_larger_batch_must_be_worth_it() {
        let trials = [
            trial(1, 1, 2.0),
            trial(1, 2, 2.5),
            trial(8, 2, 1.0),
            trial(8, 1, 1.9),
            trial(16, 2, 0.99),
            trial(32, 2, f64::NAN),
        ];
        let tuning = Tuning::best_of(&trials).expect("trials");
        assert_eq!((tuning.single, tuning.stream), (trials[0], trials[2]));
        assert_eq!([1, 8, 3].map(|rows| tuning.of_batch(rows).threads), [1, 2, 2]);
        assert_eq!(Tuning::best_of(&trials[2..]), None, "nothing is known of a single puzzle");
        assert_eq!(Tuning::best_of(&trials[..1]).map(|tuning| tuning.stream), Some(trials[0]));
    }

    #[test]
    fn what_is_remembered_is_recalled_for_the_same_graph_engine_and_processor() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = TuningCache::at(folder.path().join("deeper"));
        let open = |name: &str| {
            let shipped = trm_models::SHIPPED.iter().find(|shipped| shipped.name == name).expect(name);
            shipped.open().expect(name)
        };
        let (four, nine) = (open("sudoku-4"), open("maze-9"));
        let tuning = Tuning { single: trial(1, 1, 0.5), stream: trial(16, 2, 0.3) };
        assert_eq!(cache.recall(&four, "ort", ExecutionProvider::Cpu), None);
        let path = cache.remember(&four, "ort", ExecutionProvider::Cpu, &tuning).expect("written");
        assert_eq!(cache.recall(&four, "ort", ExecutionProvider::Cpu), Some(tuning));
        assert_eq!(cache.recall(&four, "tract", ExecutionProvider::Cpu), None);
        assert_eq!(cache.recall(&nine, "ort", ExecutionProvider::Cpu), None);

        let elsewhere = TuningCache { processor: "another".to_owned(), ..cache.clone() };
        assert_eq!(elsewhere.recall(&four, "ort", ExecutionProvider::Cpu), None);
        std::fs::write(&path, "{").expect("written");
        assert_eq!(cache.recall(&four, "ort", ExecutionProvider::Cpu), None, "a broken file is nothing remembered");
        let none = Tuning { stream: trial(0, 2, 0.3), ..tuning };
        cache.remember(&four, "ort", ExecutionProvider::Cpu, &none).expect("written");
        assert_eq!(cache.recall(&four, "ort", ExecutionProvider::Cpu), None, "nor is a batch without rows");
    }
}
