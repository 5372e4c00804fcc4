//! A session for tests that compare the same steps with many recordings.

use trm_engine::{ActOutput, ActStep, Carry, Result, SessionInfo, StepSession};
use trm_models::TrmConfig;

/// Given to a session since its carry was last replaced.
#[derive(Clone, PartialEq)]
enum Given {
    Carry(Carry),
    Step(ActStep),
}

/// A session that computes nothing twice: the same steps from the same carry give what they gave before.
pub(crate) struct Remembering {
    session: Box<dyn StepSession>,
    given: Vec<Given>,
    /// The session has seen all of `given`.
    in_step: bool,
    known: Vec<(Vec<Given>, ActOutput, Carry)>,
}

impl Remembering {
    pub(crate) fn new(session: Box<dyn StepSession>) -> Self {
        Self { session, given: Vec::new(), in_step: true, known: Vec::new() }
    }

    /// Runs what the session has not seen.
    fn run(&mut self) -> Result<ActOutput> {
        let first = if self.in_step { self.given.len() - 1 } else { 0 };
        let mut output = None;
        for given in &self.given[first..] {
            match given {
                Given::Carry(carry) => self.session.set_carry(carry)?,
                Given::Step(step) => output = Some(self.session.step(step)?),
            }
        }
        Ok(output.expect("a step was given last"))
    }
}

impl StepSession for Remembering {
    fn info(&self) -> &SessionInfo {
        self.session.info()
    }

    fn config(&self) -> &TrmConfig {
        self.session.config()
    }

    fn step(&mut self, input: &ActStep) -> Result<ActOutput> {
        if input.reset.iter().all(|reset| *reset) {
            self.given.clear();
            self.in_step = true;
        }
        self.given.push(Given::Step(input.clone()));
        if let Some((_, output, _)) = self.known.iter().find(|(given, ..)| *given == self.given) {
            self.in_step = false;
            return Ok(output.clone());
        }
        let output = match self.run() {
            Ok(output) => output,
            Err(error) => {
                // Its carry is as before.
                self.given.pop();
                return Err(error);
            }
        };
        self.in_step = true;
        self.known.push((self.given.clone(), output.clone(), self.session.carry()?));
        Ok(output)
    }

    fn carry(&self) -> Result<Carry> {
        match self.known.iter().find(|(given, ..)| *given == self.given) {
            Some((_, _, carry)) => Ok(carry.clone()),
            None => self.session.carry(),
        }
    }

    fn set_carry(&mut self, carry: &Carry) -> Result<()> {
        self.session.set_carry(carry)?;
        self.given = vec![Given::Carry(carry.clone())];
        self.in_step = true;
        Ok(())
    }
}
