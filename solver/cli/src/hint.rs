//! The advice that comes with an error, for whoever prints it.

use std::borrow::Cow;
use std::error::Error;

use trm_intake::hint_as;
use trm_pictures::{PathRefused, WriteError};
use trm_train::TrainError;

use crate::InvalidOption;

/// Returns the advice of an error of this program or of a library that it uses; `None` for another, and where there is
/// none.
#[must_use]
pub fn hint_of<'e>(error: &'e (dyn Error + 'static)) -> Option<Cow<'e, str>> {
    let own = hint_as::<InvalidOption>(error).or_else(|| hint_as::<PathRefused>(error));
    own.or_else(|| hint_as::<TrainError>(error))
        .or_else(|| hint_as::<WriteError>(error))
        .or_else(|| trm_solver::hint_of(error))
}
