//! The loop and its models: looked for when nobody is there.

use std::collections::BTreeMap;
use std::path::Path;

use super::Kiosk;
use super::trouble::one_line;
use crate::kiosk::models::Active;

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

/// The names of the folders in use.
pub(super) fn names(active: &Active) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    active.folders.iter().map(|(task, path)| (task.clone(), name(path))).collect()
}
