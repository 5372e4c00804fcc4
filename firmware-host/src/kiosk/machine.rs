//! The kiosk's state machine: a pure function from state and event to the next state and what is to be done.
//!
//! | in | on | goes to |
//! | --- | --- | --- |
//! | idle | board seen (or moved, when the one in view was dealt with) | aim |
//! | idle, dealt with | board gone, cut, button | idle, ready for the next board |
//! | idle | timeout | idle, next picture |
//! | aim | board moved | aim, counting anew |
//! | aim | board still for `still_frames` frames | read |
//! | aim | board gone, cut, button | idle |
//! | aim | timeout | idle, dealt with |
//! | read | trusted reading | solve |
//! | read | untrusted reading | read; after `read_frames` of them show (refused) |
//! | read | timeout | show (refused) |
//! | solve | answer, verified | show (solved) |
//! | solve | answer, not verified | show (not solved) |
//! | solve | timeout | error: the solver did not keep to its deadline |
//! | read, solve, show | cut, button | idle |
//! | show | timeout | idle, dealt with, next picture |
//! | any | camera failed | error |
//! | any | reader or solver failed | error, with the picture to blame |
//! | error | timeout, button | idle; next picture, if this one is to blame |
//!
//! Whatever is not in the table leaves the state as it is. A state is entered with its timer set, so that time alone leads
//! back to idle from everywhere. "Dealt with" keeps a board that stays on the table from being solved again and again.
//! "Cut" is a frame that has nothing to do with the one before.
//!
//! ```
//! use trm_firmware_host::kiosk::machine::{Action, Event, Rules, Sight, State, View};
//!
//! let rules = Rules { still_frames: 1, read_frames: 3 };
//! let (state, _) = State::START.on(Event::Sight(Sight::Moved), rules);
//! let (state, _) = state.on(Event::Sight(Sight::Still), rules);
//! let (state, actions) = state.on(Event::Read { trusted: true }, rules);
//! assert_eq!((state, actions[0]), (State::Solve, Action::Show(View::Solving)));
//! ```

use super::parts::Light;

/// Numbers that the table refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Frames in a row in which a board must lie still to be read, at least 1.
    pub still_frames: u32,
    /// Untrusted readings until the board is refused, at least 1.
    pub read_frames: u32,
}

/// State of the kiosk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for a board.
    Idle {
        /// The board in view, if there is one, was dealt with.
        answered: bool,
    },
    /// A board is being laid down.
    Aim {
        /// Frames in a row in which it has not moved.
        still: u32,
    },
    /// Reading, frame by frame, until a reading is trusted.
    Read {
        /// Untrusted readings so far.
        tries: u32,
    },
    /// The solver works on a trusted reading.
    Solve,
    /// The outcome is on display.
    Show(Outcome),
    /// A part failed.
    Error {
        /// It failed at the picture in view, which is not tried again. (A camera that failed has no picture.)
        picture: bool,
    },
}

/// End of a puzzle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Answered; the rules accept the answer.
    Solved,
    /// No answer that the rules accept.
    NotSolved,
    /// Not read with certainty.
    Refused,
}

/// Place of the board, compared with the frame before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sight {
    /// No board.
    Nothing,
    /// A board that was not there, or not at the same place.
    Moved,
    /// The board lies where it lay.
    Still,
}

/// Event that the machine reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A frame was looked at.
    Sight(Sight),
    /// A frame came that has nothing to do with the ones before.
    Cut,
    /// A frame was read.
    Read {
        /// `true` if the reading is trusted.
        trusted: bool,
    },
    /// The solver has ended.
    Answered {
        /// `true` if the rules accept the answer.
        verified: bool,
    },
    /// The state's timer ran out.
    Timeout,
    /// The button was pressed.
    Button,
    /// The camera gave no frame.
    CameraFailed,
    /// Reader or solver failed.
    Failed,
}

/// Action that the machine asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Show a scene.
    Show(View),
    /// Set the lights.
    Light(Light),
    /// Start the state's timer anew.
    Timer(Timer),
    /// Forget what the reader gathered: it belongs to another board.
    Forget,
    /// Go on to the next picture: this one has been dealt with.
    NextPuzzle,
    /// Count the outcome, and keep it on disk.
    Record(Outcome),
}

/// Scenes by name; the loop knows what goes into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the scenes")]
pub enum View {
    Idle,
    Aim,
    Reading,
    Refused,
    Solving,
    Solved,
    NotSolved,
    Error,
}

/// Timers by the state they belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the states")]
pub enum Timer {
    Idle,
    Aim,
    Read,
    Solve,
    Show,
    Error,
}

impl State {
    /// First state of a kiosk.
    pub const START: Self = Self::Idle { answered: false };

    /// `idle`, `aim`, `read`, `solve`, `show` or `error`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle { .. } => "idle",
            Self::Aim { .. } => "aim",
            Self::Read { .. } => "read",
            Self::Solve => "solve",
            Self::Show(_) => "show",
            Self::Error { .. } => "error",
        }
    }

    /// The next state, and what is to be done, in this order.
    #[must_use]
    pub fn on(self, event: Event, rules: Rules) -> (Self, Vec<Action>) {
        match (self, event) {
            (_, Event::CameraFailed) => error(false),
            (_, Event::Failed) | (Self::Solve, Event::Timeout) => error(true),
            (Self::Idle { .. }, Event::Sight(Sight::Nothing)) => (Self::START, Vec::new()),
            (Self::Idle { .. }, Event::Sight(Sight::Moved)) | (Self::Idle { answered: false }, Event::Sight(_)) => {
                (Self::Aim { still: 0 }, vec![Action::Show(View::Aim), Action::Timer(Timer::Aim)])
            }
            (Self::Idle { .. }, Event::Timeout) => (self, vec![Action::NextPuzzle, Action::Timer(Timer::Idle)]),
            (Self::Idle { .. }, Event::Cut | Event::Button) => (Self::START, vec![Action::Timer(Timer::Idle)]),

            (Self::Aim { .. }, Event::Sight(Sight::Moved)) => (Self::Aim { still: 0 }, vec![Action::Show(View::Aim)]),
            (Self::Aim { still }, Event::Sight(Sight::Still)) if still.saturating_add(1) >= rules.still_frames => {
                let actions = [Action::Forget, Action::Light(Light::Busy), Action::Show(View::Reading)];
                (Self::Read { tries: 0 }, [&actions[..], &[Action::Timer(Timer::Read)]].concat())
            }
            (Self::Aim { still }, Event::Sight(Sight::Still)) => {
                (Self::Aim { still: still + 1 }, vec![Action::Show(View::Aim)])
            }
            (Self::Aim { .. }, Event::Timeout) => idle(true, false),

            (Self::Read { .. }, Event::Read { trusted: true }) => {
                (Self::Solve, vec![Action::Show(View::Solving), Action::Timer(Timer::Solve)])
            }
            (Self::Read { tries }, Event::Read { trusted: false }) => {
                let tries = tries.saturating_add(1);
                if tries >= rules.read_frames {
                    show(Outcome::Refused)
                } else {
                    (Self::Read { tries }, vec![Action::Show(View::Reading)])
                }
            }
            (Self::Read { .. }, Event::Timeout) => show(Outcome::Refused),

            (Self::Solve, Event::Answered { verified: true }) => show(Outcome::Solved),
            (Self::Solve, Event::Answered { verified: false }) => show(Outcome::NotSolved),

            (Self::Show(_), Event::Timeout) => idle(true, true),
            (Self::Show(_), Event::Button) => idle(false, true),
            (Self::Error { picture }, Event::Button | Event::Timeout) => idle(false, picture),
            (Self::Aim { .. }, Event::Sight(Sight::Nothing))
            | (Self::Aim { .. } | Self::Read { .. } | Self::Solve | Self::Show(_), Event::Cut)
            | (Self::Aim { .. } | Self::Read { .. } | Self::Solve, Event::Button) => idle(false, false),

            (state, _) => (state, Vec::new()),
        }
    }
}

fn idle(answered: bool, next: bool) -> (State, Vec<Action>) {
    let mut actions = vec![Action::Light(Light::Idle), Action::Show(View::Idle), Action::Timer(Timer::Idle)];
    if next {
        actions.push(Action::NextPuzzle);
    }
    (State::Idle { answered }, actions)
}

fn show(outcome: Outcome) -> (State, Vec<Action>) {
    let (view, light) = match outcome {
        Outcome::Solved => (View::Solved, Light::Good),
        Outcome::NotSolved => (View::NotSolved, Light::Bad),
        Outcome::Refused => (View::Refused, Light::Bad),
    };
    let actions = vec![Action::Show(view), Action::Light(light), Action::Record(outcome), Action::Timer(Timer::Show)];
    (State::Show(outcome), actions)
}

fn error(picture: bool) -> (State, Vec<Action>) {
    (
        State::Error { picture },
        vec![Action::Light(Light::Fault), Action::Show(View::Error), Action::Timer(Timer::Error)],
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { still_frames: 2, read_frames: 3 };

    /// Follows events from the start and returns the states passed through, and all actions.
    fn follow(events: &[Event]) -> (State, Vec<Action>) {
        let mut all = Vec::new();
        let state = events.iter().fold(State::START, |state, &event| {
            let (next, actions) = state.on(event, RULES);
            all.extend(actions);
            next
        });
        (state, all)
    }

    const MOVED: Event = Event::Sight(Sight::Moved);
    const STILL: Event = Event::Sight(Sight::Still);
    const GONE: Event = Event::Sight(Sight::Nothing);

    #[test]
    fn a_visit_goes_from_idle_to_idle() {
        let read = Event::Read { trusted: true };
        let events = [GONE, MOVED, STILL, STILL, read, Event::Answered { verified: true }, Event::Timeout];
        let mut state = State::START;
        let mut names = vec![state.name()];
        let mut shown = Vec::new();
        for event in events {
            let (next, actions) = state.on(event, RULES);
            shown.extend(actions.into_iter().filter(|action| matches!(action, Action::Show(_) | Action::Record(_))));
            state = next;
            names.push(state.name());
        }
        assert_eq!(names, ["idle", "idle", "aim", "aim", "read", "solve", "show", "idle"]);
        assert_eq!(
            shown,
            [
                Action::Show(View::Aim),
                Action::Show(View::Aim),
                Action::Show(View::Reading),
                Action::Show(View::Solving),
                Action::Show(View::Solved),
                Action::Record(Outcome::Solved),
                Action::Show(View::Idle)
            ]
        );
        // The board that stays is not solved again, until it is moved or taken away.
        assert_eq!(state.on(STILL, RULES).0, State::Idle { answered: true });
        assert_eq!(state.on(MOVED, RULES).0, State::Aim { still: 0 });
        assert_eq!(state.on(GONE, RULES).0, State::START);
    }

    #[test]
    fn a_board_that_cannot_be_read_is_refused() {
        let untrusted = Event::Read { trusted: false };
        let (state, actions) = follow(&[MOVED, STILL, STILL, untrusted, untrusted]);
        assert_eq!(state, State::Read { tries: 2 });
        assert!(!actions.contains(&Action::Show(View::Refused)));
        for last in [untrusted, Event::Timeout] {
            let (state, actions) = state.on(last, RULES);
            assert_eq!(state, State::Show(Outcome::Refused));
            assert!(actions.contains(&Action::Record(Outcome::Refused)), "{actions:?}");
        }
    }

    fn any_event() -> impl Strategy<Value = Event> {
        prop_oneof![
            prop_oneof![Just(Sight::Nothing), Just(Sight::Moved), Just(Sight::Still)].prop_map(Event::Sight),
            Just(Event::Sight(Sight::Still)),
            any::<bool>().prop_map(|trusted| Event::Read { trusted }),
            any::<bool>().prop_map(|verified| Event::Answered { verified }),
            Just(Event::Timeout),
            Just(Event::Cut),
            Just(Event::Button),
            Just(Event::CameraFailed),
            Just(Event::Failed),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn only_a_verified_answer_is_shown_as_solved(
            events in proptest::collection::vec(any_event(), 0..60),
            still_frames in 1..4_u32,
            read_frames in 1..4_u32,
        ) {
            let rules = Rules { still_frames, read_frames };
            let mut state = State::START;
            for event in events {
                let (next, actions) = state.on(event, rules);
                let claims = actions.iter().any(|action| {
                    matches!(action, Action::Show(View::Solved) | Action::Light(Light::Good) | Action::Record(Outcome::Solved))
                });
                let may = state == State::Solve && event == Event::Answered { verified: true };
                prop_assert_eq!(claims, may, "{:?} on {:?}: {:?}", state, event, actions);
                // Solving begins with a trusted reading, and with nothing else.
                let begins = state != State::Solve && next == State::Solve;
                let trusted = event == Event::Read { trusted: true } && matches!(state, State::Read { .. });
                prop_assert_eq!(begins, trusted);
                state = next;
            }
        }

        #[test]
        fn time_alone_leads_back_to_idle(events in proptest::collection::vec(any_event(), 0..60)) {
            let (mut state, _) = follow(&events);
            let mut timeouts = 0;
            while !matches!(state, State::Idle { .. }) {
                state = state.on(Event::Timeout, RULES).0;
                timeouts += 1;
                prop_assert!(timeouts <= 2, "stuck in {state:?}");
            }
            // And from idle, a visitor always gets an answer.
            let trusted = Event::Read { trusted: true };
            for event in [GONE, MOVED, STILL, STILL, trusted, Event::Answered { verified: true }] {
                state = state.on(event, RULES).0;
            }
            prop_assert_eq!(state, State::Show(Outcome::Solved));
        }

        #[test]
        fn every_state_is_entered_with_its_own_timer(events in proptest::collection::vec(any_event(), 0..60)) {
            let mut state = State::START;
            for event in events {
                let (next, actions) = state.on(event, RULES);
                if std::mem::discriminant(&next) != std::mem::discriminant(&state) {
                    let own = match next {
                        State::Idle { .. } => Timer::Idle,
                        State::Aim { .. } => Timer::Aim,
                        State::Read { .. } => Timer::Read,
                        State::Solve => Timer::Solve,
                        State::Show(_) => Timer::Show,
                        State::Error { .. } => Timer::Error,
                    };
                    prop_assert!(actions.contains(&Action::Timer(own)), "{:?} on {:?}: {:?}", state, event, actions);
                }
                state = next;
            }
        }
    }
}
