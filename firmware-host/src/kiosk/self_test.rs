//! Proof that a model may be used: what it must pass, and how it may fail.

use std::sync::atomic::AtomicBool;

use trm_models::ModelBundle;

/// The reason why a model was not found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotPassed {
    /// It is damaged, or not signed by somebody who is trusted: it was not tested.
    Refused(String),
    /// It was tested, and does not compute what it should.
    Failed(String),
    /// Its tester was killed, hung or ran out of memory over it.
    EndedItsTester(String),
    /// It could not be tested, which is not its fault.
    NotTested(String),
    /// The kiosk is to end: nothing is known of the model.
    BrokenOff,
}

impl std::fmt::Display for NotPassed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => f.write_str(reason),
            Self::Failed(reason) => write!(f, "its self-test failed: {reason}"),
            Self::EndedItsTester(reason) => write!(f, "its self-test was the end of the tester: {reason}"),
            Self::NotTested(reason) => write!(f, "it was not tested: {reason}"),
            Self::BrokenOff => f.write_str("its self-test was broken off"),
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
    fn trusts(&self, bundle: &ModelBundle) -> Result<(), String> {
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
