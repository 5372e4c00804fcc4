//! The loop and its models: looked for when nobody is there, tested by a thread of its own while the loop goes on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use trm_intake::{explained, shown};

use super::Kiosk;
use crate::Result;
use crate::kiosk::models::{Activated, Active, ModelStore, SelfTest};
use crate::kiosk::parts::Parts;

/// The outcome of looking into `incoming/`, and remarks on it.
type Taken = (Result<Vec<Activated>>, Vec<String>);

/// The test of what lies in `incoming/`, which may take minutes.
#[derive(Debug, Default)]
pub(super) struct Testing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Taken>>,
}

impl Testing {
    fn start(&mut self, models: ModelStore, self_test: Arc<dyn SelfTest + Send + Sync>) {
        let stop = Arc::clone(&self.stop);
        self.thread = Some(thread::spawn(move || {
            let mut remarks = Vec::new();
            let taken = models.take_incoming(self_test.as_ref(), &stop, &mut remarks);
            (taken, remarks)
        }));
    }

    /// The outcome, once it has ended.
    fn ended(&mut self) -> Option<Taken> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        // A panic of the thread was said by itself; its journal accuses the model.
        thread.join().ok()
    }
}

/// A kiosk that ends breaks the test off: the model is innocent, and tested at the next start.
impl Drop for Testing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Kiosk<'_> {
    /// Takes what lies in `incoming/`, and what another process has activated.
    pub(super) fn look_for_models(&mut self) {
        let models = match self.model_store() {
            Ok(models) => models,
            Err(error) => return self.trouble("models", &error),
        };
        let (Some(self_test), Some(models)) = (self.parts.self_test.clone(), models) else { return };
        let mut taken = Ok(());
        if let Some((result, remarks)) = self.testing.ended() {
            self.say_all(&remarks);
            taken = result.map(drop);
        } else if self.testing.thread.is_none() {
            taken = models.has_incoming().map(|incoming| {
                if incoming {
                    self.testing.start(models.clone(), Arc::clone(&self_test));
                }
            });
        }
        let active = match taken.and_then(|()| models.active()) {
            Ok(active) => active,
            Err(error) => return self.trouble("models", &error),
        };
        self.works("models");
        if active == self.in_use {
            return;
        }
        let mut remarks = Vec::new();
        let distrusted = models.distrust(self_test.as_ref(), &mut remarks);
        self.say_all(&remarks);
        match distrusted.and_then(|()| models.active()) {
            Ok(active) if active == self.in_use => {}
            Ok(active) => self.use_models(active),
            Err(error) => self.trouble("models", &error),
        }
    }

    fn say_all(&self, remarks: &[String]) {
        for remark in remarks {
            self.metrics.troubles.say(remark);
        }
    }

    fn use_models(&mut self, active: Active) {
        match self.parts.solver.use_models(&active) {
            Ok(()) => {
                self.metrics.model_swaps.inc();
                self.in_use = active;
                self.kept.models = names(&self.in_use);
                self.save();
                self.publish();
            }
            Err(error) => {
                self.trouble("models", &error);
                let changed = active.folders.iter().filter(|(task, path)| self.in_use.folders.get(*task) != Some(path));
                for task in changed.map(|(task, _)| task.clone()).collect::<Vec<_>>() {
                    let roll_back = |kiosk: &mut Self| match &kiosk.models {
                        Some(models) => models.roll_back(&task).map(|_| ()),
                        None => Ok(()),
                    };
                    self.trouble_or("models", roll_back);
                }
            }
        }
    }
}

/// The models that a kiosk starts with: the active ones that pass their self-test and can be loaded, else those before them,
/// else the built-in ones. What is wrong with an activated model does not keep a kiosk from starting.
pub(super) fn first_models(
    parts: &mut Parts<'_>,
    models: &ModelStore,
    stop: &AtomicBool,
    remarks: &mut Vec<String>,
) -> Result<Active> {
    let checked = match &parts.self_test {
        Some(self_test) => models.check(self_test.as_ref(), stop, remarks),
        None => Ok(Active::default()),
    };
    let mut active = checked.unwrap_or_else(|error| {
        remarks.push(format!("the built-in models are used: {}", shown::line(&explained(&error))));
        Active::default()
    });
    loop {
        match parts.solver.use_models(&active) {
            Ok(()) => return Ok(active),
            Err(error) if active.folders.is_empty() => return Err(error),
            Err(error) => remarks.push(shown::line(&explained(&error))),
        }
        for task in active.folders.keys() {
            let previous = models.roll_back(task)?;
            let previous = previous.as_deref().unwrap_or("the built-in model");
            remarks.push(format!("{task}: went back to {previous}"));
        }
        active = models.active()?;
    }
}

/// The names of the folders in use.
pub(super) fn names(active: &Active) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    active.folders.iter().map(|(task, path)| (task.clone(), name(path))).collect()
}
