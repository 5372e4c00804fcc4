//! Halting policies: they decide when a row stops.

use std::fmt;
use std::str::FromStr;

use trm_engine::halt_signal;
use trm_intake::Printable;
use trm_models::TrmConfig;

use crate::{Result, SolverError};

/// The most steps of an attempt that an option may ask for.
pub(crate) const MOST_STEPS: usize = 1_000_000;

/// The model's own halting signal, thresholded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QHalt {
    /// Halt when the signal exceeds this logit. 0 is the model's own decision (probability one half).
    pub threshold: f32,
    /// Steps before which the signal is not listened to.
    pub min_steps: usize,
}

impl Default for QHalt {
    fn default() -> Self {
        Self { threshold: 0.0, min_steps: 1 }
    }
}

/// When a row stops. Every policy is bounded by a step limit.
///
/// It is written, and parsed, as `max-steps`, `q-halt`, `q-halt:THRESHOLD`, `q-halt:THRESHOLD:MIN_STEPS`, `verified`,
/// or `verified+q-halt…`.
///
/// ```
/// use trm_solver::{HaltPolicy, QHalt};
///
/// let policy: HaltPolicy = "verified+q-halt:0.5:2".parse()?;
/// assert_eq!(policy, HaltPolicy::VerifiedOrQHalt(QHalt { threshold: 0.5, min_steps: 2 }));
/// assert_eq!(policy.to_string(), "verified+q-halt:0.5:2");
/// # Ok::<(), trm_solver::SolverError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HaltPolicy {
    /// Only at the step limit: the reference's evaluation.
    MaxSteps,
    /// On the model's own signal.
    QHalt(QHalt),
    /// As soon as the task's rules accept the answer.
    Verified,
    /// On whichever comes first.
    VerifiedOrQHalt(QHalt),
}

/// The reason why a row stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HaltReason {
    /// The task's rules accept the answer.
    Verified,
    /// The model's halting signal.
    QHalt,
    /// The step limit.
    MaxSteps,
    /// An exact search: no step was needed, or none helped.
    Exact,
}

/// Where a row stands after a step: what a [`HaltPolicy`] decides on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps run so far, this one included.
    pub steps: usize,
    /// Output of the step.
    pub q_halt: f32,
    /// Output of the step.
    pub q_continue: f32,
    /// `true` if the rules accept the answer; `None` where nobody can tell.
    pub verified: Option<bool>,
}

impl HaltPolicy {
    /// Returns true if the decision depends on [`Progress::verified`], which is worth computing only then.
    #[must_use]
    pub fn needs_verdict(&self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedOrQHalt(_))
    }

    /// The policy for a task without a verifier: what depends on a verdict falls back on the model's own signal.
    #[must_use]
    pub fn without_verifier(self) -> Self {
        match self {
            Self::Verified => Self::QHalt(QHalt::default()),
            Self::VerifiedOrQHalt(q_halt) => Self::QHalt(q_halt),
            Self::MaxSteps | Self::QHalt(_) => self,
        }
    }

    /// Decides after a step whether the row stops, and why. A verified answer is named as the reason before the
    /// model's signal, and that before the limit. The signal of a model that halts by Q-learning is
    /// `q_halt - q_continue`, that of the others is `q_halt`; NaN never halts.
    #[must_use]
    pub fn decide(&self, progress: &Progress, max_steps: usize, config: &TrmConfig) -> Option<HaltReason> {
        let verified = self.needs_verdict() && progress.verified == Some(true);
        let signalled = match self {
            Self::QHalt(q) | Self::VerifiedOrQHalt(q) => {
                let signal = halt_signal(config, progress.q_halt, progress.q_continue);
                progress.steps >= q.min_steps && signal > q.threshold
            }
            Self::MaxSteps | Self::Verified => false,
        };
        if verified {
            Some(HaltReason::Verified)
        } else if signalled {
            Some(HaltReason::QHalt)
        } else {
            (progress.steps >= max_steps).then_some(HaltReason::MaxSteps)
        }
    }
}

impl fmt::Display for HaltPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxSteps => f.write_str("max-steps"),
            Self::QHalt(q_halt) => write!(f, "{q_halt}"),
            Self::Verified => f.write_str("verified"),
            Self::VerifiedOrQHalt(q_halt) => write!(f, "verified+{q_halt}"),
        }
    }
}

impl fmt::Display for QHalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        f.write_str("q-halt")?;
        if *self != default {
            write!(f, ":{}", self.threshold)?;
        }
        if self.min_steps != default.min_steps {
            write!(f, ":{}", self.min_steps)?;
        }
        Ok(())
    }
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Verified => "verified",
            Self::QHalt => "q-halt",
            Self::MaxSteps => "max-steps",
            Self::Exact => "exact",
        })
    }
}

impl FromStr for HaltPolicy {
    type Err = SolverError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "max-steps" => Ok(Self::MaxSteps),
            "verified" => Ok(Self::Verified),
            _ => {
                let parsed = match text.strip_prefix("verified+") {
                    Some(q_halt) => parse_q_halt(q_halt).map(|q| (q, Self::VerifiedOrQHalt(q))),
                    None => parse_q_halt(text).map(|q| (q, Self::QHalt(q))),
                };
                let shown = || Printable(text).to_string();
                let (q_halt, policy) = parsed.ok_or_else(|| SolverError::UnknownHaltPolicy { text: shown() })?;
                if q_halt.min_steps > MOST_STEPS {
                    return Err(SolverError::HaltMinSteps { text: shown(), min_steps: q_halt.min_steps });
                }
                Ok(policy)
            }
        }
    }
}

/// `q-halt`, `q-halt:0.5` or `q-halt:0.5:3`.
fn parse_q_halt(text: &str) -> Option<QHalt> {
    let mut fields = text.split(':');
    let mut q_halt = QHalt::default();
    if fields.next() != Some("q-halt") {
        return None;
    }
    if let Some(threshold) = fields.next() {
        q_halt.threshold = threshold.parse().ok().filter(|value: &f32| !value.is_nan())?;
    }
    if let Some(min_steps) = fields.next() {
        q_halt.min_steps = min_steps.parse().ok().filter(|&steps| steps >= 1)?;
    }
    fields.next().is_none().then_some(q_halt)
}
