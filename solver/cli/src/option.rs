//! The names under which the user knows what was wrong.

use std::borrow::Cow;
use std::error::Error;

use trm_engine::{EngineError, Setting};
use trm_intake::Hint;
use trm_pictures::PathRefused;
use trm_plan::PlanError;
use trm_solver::SolverError;
use trm_train::TrainError;

/// An option or argument that cannot be used as given.
#[derive(Debug, thiserror::Error)]
#[error("{option}: {reason}")]
pub struct InvalidOption {
    /// The option, by the name under which the user knows it.
    pub option: &'static str,
    /// The fault.
    pub reason: String,
    /// The advice.
    pub hint: Option<String>,
}

impl Hint for InvalidOption {
    fn hint(&self) -> Option<Cow<'_, str>> {
        self.hint.as_deref().map(Cow::from)
    }
}

impl InvalidOption {
    /// Names the option by which a path was given.
    pub fn named(option: &'static str) -> impl FnOnce(PathRefused) -> Self {
        move |PathRefused { path, problem, hint }| Self {
            option,
            reason: format!("{}: {problem}", path.display()),
            hint: Some(hint.to_owned()),
        }
    }
}

/// Returns the option that sets what a library's error is about; `None` for an error about something else.
#[must_use]
pub fn option_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return match error {
            TrainError::Engine(error) => engine_option(error),
            TrainError::Solver(error) => solver_option(error),
            _ => None,
        };
    }
    if let Some(error) = error.downcast_ref::<SolverError>() {
        return solver_option(error);
    }
    if let Some(error) = error.downcast_ref::<PlanError>() {
        return plan_option(error);
    }
    error.downcast_ref::<EngineError>().and_then(engine_option)
}

fn solver_option(error: &SolverError) -> Option<&'static str> {
    match error {
        SolverError::UnknownHaltPolicy { .. } | SolverError::HaltMinSteps { .. } => Some("--halt"),
        SolverError::Noise { .. } => Some("--noise"),
        SolverError::NoRules => Some("--escalation"),
        SolverError::TooManyPairs { .. } => Some("--pairs"),
        SolverError::OtherModel { .. } => Some("--golden"),
        SolverError::NotMazes { .. } => Some("--model"),
        SolverError::StatesTooLarge { .. } => Some("--batch"),
        SolverError::Engine(error) => engine_option(error),
        SolverError::Plan(error) => plan_option(error),
        _ => None,
    }
}

fn plan_option(error: &PlanError) -> Option<&'static str> {
    match error {
        PlanError::Radius { .. } => Some("--radius"),
        PlanError::OccupiedFrom { .. } => Some("--occupied-from"),
        _ => None,
    }
}

fn engine_option(error: &EngineError) -> Option<&'static str> {
    match error {
        EngineError::OutOfRange { setting: Setting::Batch, .. } | EngineError::FixedBatch { .. } => Some("--batch"),
        EngineError::OutOfRange { setting: Setting::Threads, .. } => Some("--threads"),
        EngineError::OutOfRange { setting: Setting::MaxSteps, .. } | EngineError::StepsBuiltIn => Some("--max-steps"),
        EngineError::WrongGraph { .. } => Some("--graph"),
        EngineError::HaltThreshold => Some("--halt"),
        EngineError::NotBuilt { .. } => Some("--backend"),
        EngineError::UnknownProvider { .. } | EngineError::ProcessorOnly { .. } => Some("--provider"),
        EngineError::NoStepGraph { .. } => Some("--tune"),
        _ => None,
    }
}
