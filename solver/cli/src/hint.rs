//! The advice that comes with an error, for whoever prints it.

use std::borrow::Cow;
use std::error::Error;

use trm_intake::hint_as;
use trm_pictures::{PathRefused, WriteError};
use trm_puzzles::PuzzleError;
use trm_train::TrainError;

use crate::InvalidOption;

/// Returns the advice of an error of this program or of a library that it uses; `None` for another, and where there is
/// none.
#[must_use]
pub fn hint_of<'e>(error: &'e (dyn Error + 'static)) -> Option<Cow<'e, str>> {
    if let Some(error) = error.downcast_ref::<PuzzleError>()
        && let Some(hint) = option_for(error)
    {
        return Some(hint.into());
    }
    let own = hint_as::<InvalidOption>(error).or_else(|| hint_as::<PathRefused>(error));
    own.or_else(|| hint_as::<TrainError>(error))
        .or_else(|| hint_as::<WriteError>(error))
        .or_else(|| trm_solver::hint_of(error))
}

/// The option that says how an input is to be read.
fn option_for(error: &PuzzleError) -> Option<String> {
    match error {
        PuzzleError::Ambiguous { readings, .. } => {
            let options = readings.iter().map(|family| format!("--as {family}")).collect::<Vec<_>>();
            Some(format!("say which: {}", options.join(" or ")))
        }
        PuzzleError::TwoBlanks { blank, symbols, .. } => {
            Some(format!("write one of them, or say --blank {}: the symbols are then {symbols}", blank.escape_debug()))
        }
        _ => None,
    }
}
