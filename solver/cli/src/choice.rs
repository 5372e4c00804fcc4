//! The choice of an engine by its name.

use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use trm_engine::{Engine, EngineEntry, EngineError, Result, registry};

/// The engine that runs the graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendChoice {
    /// ONNX Runtime where its library is found and works, otherwise a built-in engine.
    Auto,
    /// One of the engines of this build.
    Engine(&'static EngineEntry),
    /// An engine that this build was made without. It can be named, to be told how to get it.
    Absent(&'static str),
}

/// Every choice, in the order of the help.
static CHOICES: LazyLock<Vec<BackendChoice>> = LazyLock::new(|| {
    let engines = registry::ALL.iter().map(BackendChoice::Engine);
    let absent = registry::ABSENT.iter().copied().map(BackendChoice::Absent);
    std::iter::once(BackendChoice::Auto).chain(engines).chain(absent).collect()
});

impl BackendChoice {
    /// The engine of programs that are not told one.
    #[must_use]
    pub fn default_engine() -> Self {
        Self::Engine(registry::default())
    }

    /// Opens the engine; of `auto` the first one that can be.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(self) -> Result<Box<dyn Engine>> {
        match self {
            Self::Engine(engine) => (engine.open)(None),
            Self::Absent(engine) => Err(EngineError::NotBuilt { engine }),
            Self::Auto => {
                let mut opened = registry::ALL.iter().map(|engine| (engine.open)(None));
                opened.find(Result::is_ok).unwrap_or_else(|| (registry::default().open)(None))
            }
        }
    }

    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Engine(engine) => engine.name,
            Self::Absent(name) => name,
        }
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ValueEnum for BackendChoice {
    fn value_variants<'a>() -> &'a [Self] {
        &CHOICES
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let value = PossibleValue::new(self.name());
        Some(match self {
            Self::Auto => value.help("ONNX Runtime where its library is found and works, otherwise a built-in engine"),
            Self::Engine(engine) => value.help(engine.about),
            Self::Absent(_) => value.hide(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    #[test]
    fn an_engine_that_was_left_out_can_be_named_and_says_how_to_get_it() {
        let absent = BackendChoice::Absent("tract");
        assert!(absent.to_possible_value().is_some_and(|value| value.is_hide_set() && value.get_name() == "tract"));
        let error = absent.open().err().expect("it is not there");
        let expected =
            "this program was built without tract\nhint: build it with `--features tract`, or leave the choice to auto";
        assert_eq!(explained(&error), expected);
        // An engine is there or absent.
        assert!(registry::ABSENT.iter().all(|name| registry::find(name).is_none()));
        assert_eq!(registry::ALL.len() + registry::ABSENT.len(), 3);
    }
}
