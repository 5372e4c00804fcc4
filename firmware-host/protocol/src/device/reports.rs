//! Reports of the pose: how often the host wants them, and when the next is due.

use super::{MIN_REPORT_MS, Odometry};
use crate::PoseReport;

#[derive(Debug)]
pub(super) struct Reports {
    /// Milliseconds between two reports, 0 for none.
    every_ms: u16,
    /// Movements begun since the start.
    motions: u16,
    /// The last report; `None` if the host has just asked.
    last: Option<PoseReport>,
}

impl Reports {
    pub(super) const fn new() -> Self {
        Self { every_ms: 0, motions: 0, last: None }
    }

    /// The host wants them so often, 0 for no more.
    pub(super) fn ask(&mut self, every_ms: u16) {
        self.every_ms = if every_ms == 0 { 0 } else { every_ms.max(MIN_REPORT_MS) };
        self.last = None;
    }

    /// Another host, which has not asked.
    pub(super) fn stop(&mut self) {
        self.every_ms = 0;
    }

    /// A movement was begun.
    pub(super) fn begun(&mut self) {
        self.motions = self.motions.wrapping_add(1);
    }

    pub(super) const fn wanted(&self) -> bool {
        self.every_ms > 0
    }

    /// The report to send now, if it is time or something other than the place has changed.
    pub(super) fn due(&mut self, odometry: Odometry, stopped: bool, now_ms: u32) -> Option<PoseReport> {
        let Odometry { pose, moving } = odometry;
        let report = PoseReport { pose, moving, stopped, motions: self.motions, uptime_ms: now_ms };
        let doing = |report: &PoseReport| (report.moving, report.stopped, report.motions);
        let early = self.last.is_some_and(|last| {
            doing(&last) == doing(&report) && now_ms.wrapping_sub(last.uptime_ms) < u32::from(self.every_ms)
        });
        if early {
            return None;
        }
        self.last = Some(report);
        Some(report)
    }
}
