//! Schedules of a run: the learning rate, and how often one puzzle is visited.

use std::f64::consts::PI;

use super::config_sections::{BatchConfig, ScheduleConfig};

/// Learning rate by optimiser step: the reference's `cosine_schedule_with_warmup_lr_lambda` with half a cycle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrSchedule {
    warmup_steps: u64,
    steps: u64,
    min_ratio: f64,
}

impl LrSchedule {
    /// The schedule of a run.
    #[must_use]
    pub fn new(config: &ScheduleConfig) -> Self {
        Self { warmup_steps: config.warmup_steps, steps: config.steps, min_ratio: config.lr_min_ratio }
    }

    /// The share of the base learning rate at an optimiser step, counted from 1 as the reference does: rising
    /// linearly during warm-up, then `min + max(0, (1 - min) / 2 · (1 + cos(π · progress)))`. After the last step it
    /// stays where it ended; the reference's cosine would rise again.
    #[must_use]
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps.max(1) as f64;
        }
        let length = self.steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let progress = ((step - self.warmup_steps) as f64 / length).min(1.0);
        self.min_ratio + ((1.0 - self.min_ratio) * 0.5 * (1.0 + (PI * progress).cos())).max(0.0)
    }

    /// The learning rate at an optimiser step.
    #[must_use]
    pub fn lr(&self, base: f64, step: u64) -> f64 {
        base * self.factor(step)
    }
}

/// Most ACT steps that a puzzle gets which starts at an optimiser step, from the pairs of `batch.visits`.
#[must_use]
pub fn visit_cap(batch: &BatchConfig, halt_max_steps: usize, step: u64) -> u32 {
    let cap = batch.visits.iter().take_while(|visit| visit[0] <= step).last().map_or(u64::MAX, |visit| visit[1]);
    cap.clamp(1, halt_max_steps.max(1) as u64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(warmup_steps: u64, steps: u64, lr_min_ratio: f64) -> LrSchedule {
        LrSchedule::new(&ScheduleConfig { steps, warmup_steps, lr_min_ratio, max_minutes: 0.0 })
    }

    #[test]
    fn rates_are_those_of_the_reference() {
        let rate = schedule(10, 110, 0.1);
        // Worked out by hand: progress 0, 1/2 and 1 of the cosine, and a quarter (cos(π/4) = √½).
        for (step, expected) in [
            (1, 0.1),
            (5, 0.5),
            (9, 0.9),
            (10, 1.0),
            (35, 0.1 + 0.45 * (1.0 + 0.5_f64.sqrt())),
            (60, 0.55),
            (110, 0.1),
            (500, 0.1),
        ] {
            assert!((rate.factor(step) - expected).abs() < 1e-12, "{step}: {} is not {expected}", rate.factor(step));
        }
        assert!((rate.lr(2e-3, 60) - 1.1e-3).abs() < 1e-15);
    }

    #[test]
    fn a_ratio_of_one_is_constant_and_no_warm_up_starts_at_once() {
        let rate = schedule(0, 50, 1.0);
        assert!((1..200).all(|step| (rate.factor(step) - 1.0).abs() < 1e-12));
        assert!(schedule(50, 50, 0.0).factor(50) > 0.99, "no step is left for the cosine");
    }

    #[test]
    fn caps_change_at_their_step_and_never_pass_the_limit() {
        let batch = BatchConfig { visits: vec![[0, 4], [100, 8], [200, 64]], ..BatchConfig::default() };
        let caps: Vec<u32> = [0, 99, 100, 199, 200, 9_999].map(|step| visit_cap(&batch, 16, step)).into();
        assert_eq!(caps, [4, 4, 8, 8, 16, 16]);
    }
}
