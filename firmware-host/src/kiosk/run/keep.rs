//! The loop and what it keeps: on disk where that can be had, else in memory until it can.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::Kiosk;
use super::swap::{first_models, names};
use crate::kiosk::metrics::Metrics;
use crate::kiosk::models::{Active, ModelStore};
use crate::kiosk::parts::Parts;
use crate::kiosk::state::{KioskState, StateStore};
use crate::{HostError, Result};

/// Time between attempts to save what could not be saved.
const AGAIN: Duration = Duration::from_secs(10);

/// The findings in the state folder, and substitutes for what was not there.
#[derive(Debug)]
pub(super) struct Keep {
    /// `None` while the folder cannot be used.
    store: Option<StateStore>,
    folder: std::path::PathBuf,
    /// True once the state in memory was saved.
    saved: bool,
    tried: Instant,
}

/// Everything that a kiosk starts with.
pub(super) struct Found {
    pub(super) keep: Keep,
    pub(super) kept: KioskState,
    pub(super) models: Option<ModelStore>,
    pub(super) in_use: Active,
}

impl Keep {
    /// Opens the state folder and gives the solver the models that are active there. What cannot be had there is a trouble:
    /// counters begin at nothing, and the built-in models are used.
    ///
    /// # Errors
    /// [`HostError::KioskState`] when another kiosk has the folder: two that count into one state would both be wrong.
    pub(super) fn open(
        folder: &Path,
        parts: &mut Parts<'_>,
        stop: &AtomicBool,
        metrics: &Metrics,
        remarks: &mut Vec<String>,
    ) -> Result<Found> {
        let (store, kept) = match StateStore::open(folder, remarks) {
            Ok((store, kept)) => (Some(store), kept),
            Err(error @ HostError::KioskState { .. }) => return Err(error),
            Err(error) => {
                report(metrics, "state", &error);
                remarks.push("the counters begin at nothing, in memory, until the state folder can be used".to_owned());
                (None, KioskState::default())
            }
        };
        let models = ModelStore::open(folder).map_err(|error| report(metrics, "models", &error)).ok();
        let active = models.as_ref().map(|models| first_models(parts, models, stop, remarks));
        let in_use = match active {
            Some(Ok(active)) => active,
            failed => {
                if let Some(Err(error)) = failed {
                    report(metrics, "models", &error);
                }
                remarks.push("the built-in models are used".to_owned());
                let built_in = Active::default();
                if let Err(error) = parts.solver.use_models(&built_in) {
                    report(metrics, "solver", &error);
                }
                built_in
            }
        };
        let keep = Self { store, folder: folder.to_owned(), saved: false, tried: Instant::now() };
        Ok(Found { keep, kept, models, in_use })
    }
}

fn report(metrics: &Metrics, part: &'static str, error: &HostError) {
    metrics.failed(part);
    metrics.troubles.report_error(part, error);
}

impl Kiosk<'_> {
    /// Saves, and goes on when that fails: a full disk does not keep visitors from their answers.
    pub(super) fn save(&mut self) {
        self.keep.tried = Instant::now();
        self.keep.saved = false;
        self.trouble_or("state", Self::try_save);
    }

    /// Tries again what could not be saved, now and then.
    pub(super) fn save_again(&mut self) {
        if !self.keep.saved && self.keep.tried.elapsed() >= AGAIN {
            self.save();
        }
    }

    fn try_save(&mut self) -> Result<()> {
        if self.keep.store.is_none() {
            self.reopen()?;
        }
        if let Some(store) = &self.keep.store {
            store.save(&mut self.kept)?;
            self.keep.saved = true;
        }
        Ok(())
    }

    /// Opens a state folder that could not be opened before, and counts on from what it holds.
    fn reopen(&mut self) -> Result<()> {
        let mut remarks = Vec::new();
        let (store, before) = StateStore::open(&self.keep.folder, &mut remarks)?;
        for remark in &remarks {
            self.metrics.troubles.say(remark);
        }
        self.kept.go_on_from(before);
        self.kept.models = names(&self.in_use);
        self.keep.store = Some(store);
        if let Err(error) = self.model_store() {
            self.trouble("models", &error);
        }
        Ok(())
    }

    /// The models in the state folder, once that can be used. What is active there is taken over with the next look at
    /// them.
    pub(super) fn model_store(&mut self) -> Result<Option<ModelStore>> {
        if self.models.is_none() && self.keep.store.is_some() {
            self.models = Some(ModelStore::open(&self.keep.folder)?);
            self.works("models");
        }
        Ok(self.models.clone())
    }
}
