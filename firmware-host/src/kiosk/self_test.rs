//! Proof that a model may be used: what it must pass, and how it may fail.

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;

use trm_intake::{Fault, Hint};
use trm_models::ModelBundle;

/// The reason why a model was not found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPassed {
    /// It is damaged, or not signed by somebody who is trusted: it was not tested.
    Refused(Fault),
    /// It was tested, and does not compute what it should.
    Failed(String),
    /// Its tester was killed, hung or ran out of memory over it.
    EndedItsTester(String),
    /// It could not be tested, which is not its fault.
    NotTested(Fault),
    /// The kiosk is to end: nothing is known of the model.
    BrokenOff,
}

impl std::fmt::Display for NotPassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(fault) => fault.fmt(f),
            Self::Failed(reason) => write!(f, "its self-test failed: {reason}"),
            Self::EndedItsTester(reason) => write!(f, "its self-test was the end of the tester: {reason}"),
            Self::NotTested(reason) => write!(f, "it was not tested: {reason}"),
            Self::BrokenOff => f.write_str("its self-test was broken off"),
        }
    }
}

impl std::error::Error for NotPassed {}

impl Hint for NotPassed {
    fn hint(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Refused(fault) | Self::NotTested(fault) => fault.hint(),
            Self::Failed(_) | Self::EndedItsTester(_) | Self::BrokenOff => None,
        }
    }
}

/// The test that a model must pass to be activated, and again at every start.
pub trait SelfTest {
    /// Proves that a bundle computes on this machine what it computed where it was made. When `stop` becomes true, the test
    /// is broken off.
    ///
    /// # Errors
    /// [`NotPassed`], with the reason.
    fn run(&self, bundle: &ModelBundle, stop: &AtomicBool) -> Result<(), NotPassed>;

    /// Checks that the bundle was made by somebody who is trusted.
    ///
    /// # Errors
    /// The reason why it cannot be taken for that.
    fn trusts(&self, bundle: &ModelBundle) -> Result<(), Fault> {
        let _ = bundle;
        Ok(())
    }
}

/// A test in this process.
impl<F: Fn(&ModelBundle) -> Result<(), String>> SelfTest for F {
    fn run(&self, bundle: &ModelBundle, _: &AtomicBool) -> Result<(), NotPassed> {
        self(bundle).map_err(NotPassed::Failed)
    }
}
