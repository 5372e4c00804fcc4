//! The loop and its models: looked for when nobody is there.

use std::collections::BTreeMap;
use std::path::Path;

use super::Kiosk;
use super::trouble::one_line;
use crate::Result;
use crate::kiosk::models::{Active, ModelStore};
use crate::kiosk::parts::Parts;

impl Kiosk<'_> {
    /// Takes what lies in `incoming/`, and what another process has activated.
    pub(super) fn look_for_models(&mut self) {
        let Some(self_test) = &self.parts.self_test else { return };
        let mut remarks = Vec::new();
        let taken = self.models.take_incoming(self_test.as_ref(), &mut remarks);
        for remark in &remarks {
            (self.log)(&one_line(remark));
        }
        let active = match taken.and_then(|_| self.models.active()) {
            Ok(active) => active,
            Err(error) => return self.trouble("models", &error),
        };
        self.works("models");
        if active == self.in_use {
            return;
        }
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
                    self.trouble_or("models", |kiosk| kiosk.models.roll_back(&task).map(|_| ()));
                }
            }
        }
    }
}

/// The models that a kiosk starts with: the active ones that pass their self-test and can be loaded, else those before them,
/// else the built-in ones. What is wrong with an activated model does not keep a kiosk from starting.
pub(super) fn first_models(parts: &mut Parts<'_>, models: &ModelStore, remarks: &mut Vec<String>) -> Result<Active> {
    let checked = match &parts.self_test {
        Some(self_test) => models.check(self_test.as_ref(), remarks),
        None => Ok(Active::default()),
    };
    let mut active = checked.unwrap_or_else(|error| {
        remarks.push(format!("the built-in models are used: {}", one_line(&error.to_string())));
        Active::default()
    });
    loop {
        match parts.solver.use_models(&active) {
            Ok(()) => return Ok(active),
            Err(error) if active.folders.is_empty() => return Err(error),
            Err(error) => remarks.push(one_line(&error.to_string())),
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
