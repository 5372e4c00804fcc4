//! The goals of an action, apart from the network: requests go in, replies and work come out.
//!
//! One goal is carried out and one may wait, as in nav2's `SimpleActionServer`: a newer goal takes the place of the one that waits,
//! which is aborted, and begins when the one before it has ended. What is answered to whom is `rcl_action`'s.

use ros2_client::action::{GoalId, GoalInfo, GoalStatusEnum};
use ros2_client::action_msgs::{CancelGoalResponse, CancelGoalResponseEnum, GoalStatus};
use ros2_client::builtin_interfaces::Time;

/// Goals that have ended and whose results can still be asked for; `rcl_action` keeps them for ten seconds.
const KEPT: usize = 16;

/// Askers of one result that are remembered; a client asks once.
const ASKERS: usize = 16;

/// Something that follows from a request or from the end of a goal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect<G, R, Q> {
    /// Carry out this goal; [`Goals::finish`] takes what comes of it.
    Execute(GoalId, G),
    /// Reply with a result to a request.
    Reply(Q, GoalStatusEnum, R),
}

/// Goals of type `G` with results of type `R`, asked for by requests `Q`.
#[derive(Debug)]
pub(super) struct Goals<G, R, Q> {
    /// Oldest first.
    known: Vec<Known<R, Q>>,
    running: Option<GoalId>,
    waiting: Option<(GoalId, G)>,
}

#[derive(Debug)]
struct Known<R, Q> {
    info: GoalInfo,
    status: GoalStatusEnum,
    /// The result; nothing yet before its end.
    result: R,
    askers: Vec<Q>,
}

impl<R, Q> Known<R, Q> {
    fn has_ended(&self) -> bool {
        matches!(self.status, GoalStatusEnum::Succeeded | GoalStatusEnum::Canceled | GoalStatusEnum::Aborted)
    }
}

impl<G, R, Q> Default for Goals<G, R, Q> {
    fn default() -> Self {
        Self { known: Vec::new(), running: None, waiting: None }
    }
}

impl<G, R: Clone + Default, Q> Goals<G, R, Q> {
    /// A goal arrived. `None` refuses it: there is one of that name.
    pub(super) fn accept(&mut self, goal_id: GoalId, goal: G, stamp: Time) -> Option<Vec<Effect<G, R, Q>>> {
        if self.known.iter().any(|known| known.info.goal_id == goal_id) {
            return None;
        }
        let info = GoalInfo { goal_id, stamp };
        self.known.push(Known { info, status: GoalStatusEnum::Executing, result: R::default(), askers: Vec::new() });
        let mut effects = Vec::new();
        if self.running.is_some() {
            if let Some((replaced, _)) = self.waiting.replace((goal_id, goal)) {
                effects = self.end(replaced, GoalStatusEnum::Aborted, R::default());
            }
        } else {
            self.running = Some(goal_id);
            effects.push(Effect::Execute(goal_id, goal));
        }
        Some(effects)
    }

    /// Someone wants goals canceled: one by its name, or all that were accepted until a time, or both, or all. The one that is
    /// carried out ends when its work does.
    pub(super) fn cancel(&mut self, asked: &GoalInfo) -> (CancelGoalResponse, Vec<Effect<G, R, Q>>) {
        let is_named = |info: &GoalInfo| info.goal_id == asked.goal_id;
        let (any_name, any_time) = (asked.goal_id == GoalId::ZERO, asked.stamp == Time::ZERO);
        let mut canceling = Vec::new();
        for known in self.known.iter_mut().filter(|known| !known.has_ended()) {
            let is_meant =
                is_named(&known.info) || (any_name && any_time) || (!any_time && known.info.stamp <= asked.stamp);
            if is_meant {
                known.status = GoalStatusEnum::Canceling;
                canceling.push(known.info.clone());
            }
        }
        let return_code = if !canceling.is_empty() || any_name || !any_time {
            CancelGoalResponseEnum::None
        } else if self.known.iter().any(|known| is_named(&known.info)) {
            CancelGoalResponseEnum::GoalTerminated
        } else {
            CancelGoalResponseEnum::UnknownGoal
        };
        let is_canceled = |waiting: &mut (GoalId, G)| canceling.iter().any(|info| info.goal_id == waiting.0);
        let effects = match self.waiting.take_if(is_canceled) {
            Some((goal_id, _)) => self.end(goal_id, GoalStatusEnum::Canceled, R::default()),
            None => Vec::new(),
        };
        (CancelGoalResponse { return_code, goals_canceling: canceling }, effects)
    }

    /// Someone wants the result of a goal; it is sent when there is one.
    pub(super) fn ask(&mut self, goal_id: GoalId, asker: Q) -> Option<Effect<G, R, Q>> {
        let Some(known) = self.known.iter_mut().find(|known| known.info.goal_id == goal_id) else {
            return Some(Effect::Reply(asker, GoalStatusEnum::Unknown, R::default()));
        };
        if known.has_ended() {
            return Some(Effect::Reply(asker, known.status, known.result.clone()));
        }
        if known.askers.len() == ASKERS {
            known.askers.remove(0);
        }
        known.askers.push(asker);
        None
    }

    /// The goal that is carried out has ended. One that was canceled meanwhile has no result. The one that waits begins.
    pub(super) fn finish(&mut self, goal_id: GoalId, has_succeeded: bool, result: R) -> Vec<Effect<G, R, Q>> {
        if self.running.take_if(|running| *running == goal_id).is_none() {
            return Vec::new();
        }
        let is_canceled =
            self.known.iter().any(|known| known.info.goal_id == goal_id && known.status == GoalStatusEnum::Canceling);
        let mut effects = if is_canceled {
            self.end(goal_id, GoalStatusEnum::Canceled, R::default())
        } else if has_succeeded {
            self.end(goal_id, GoalStatusEnum::Succeeded, result)
        } else {
            self.end(goal_id, GoalStatusEnum::Aborted, result)
        };
        if let Some((next, goal)) = self.waiting.take() {
            self.running = Some(next);
            effects.push(Effect::Execute(next, goal));
        }
        effects
    }

    /// The status of all goals that are known, oldest first.
    #[must_use]
    pub(super) fn statuses(&self) -> Vec<GoalStatus> {
        self.known.iter().map(|known| GoalStatus { goal_info: known.info.clone(), status: known.status }).collect()
    }

    fn end(&mut self, goal_id: GoalId, status: GoalStatusEnum, result: R) -> Vec<Effect<G, R, Q>> {
        let mut effects = Vec::new();
        if let Some(known) = self.known.iter_mut().find(|known| known.info.goal_id == goal_id) {
            known.status = status;
            effects.extend(known.askers.drain(..).map(|asker| Effect::Reply(asker, status, result.clone())));
            known.result = result;
        }
        let ended = self.known.iter().filter(|known| known.has_ended()).count();
        let mut surplus = ended.saturating_sub(KEPT);
        self.known.retain(|known| {
            let goes = surplus > 0 && known.has_ended();
            surplus -= usize::from(goes);
            !goes
        });
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ros2::cdr::decode;

    type TestGoals = Goals<&'static str, u8, u32>;

    fn id(number: u8) -> GoalId {
        decode(&[number; 16]).unwrap()
    }

    fn at(seconds: i32) -> Time {
        Time::new(seconds, 0)
    }

    fn cancel(goals: &mut TestGoals, number: u8, seconds: i32) -> (CancelGoalResponseEnum, usize, usize) {
        let (response, effects) = goals.cancel(&GoalInfo { goal_id: id(number), stamp: at(seconds) });
        (response.return_code, response.goals_canceling.len(), effects.len())
    }

    fn statuses(goals: &TestGoals) -> Vec<GoalStatusEnum> {
        goals.statuses().into_iter().map(|status| status.status).collect()
    }

    use CancelGoalResponseEnum::{GoalTerminated, None as NoError, UnknownGoal};
    use GoalStatusEnum::{Aborted, Canceled, Canceling, Executing, Succeeded, Unknown};

    #[test]
    fn a_goal_is_carried_out_and_its_result_told_before_and_after() {
        let mut goals = TestGoals::default();
        assert_eq!(goals.accept(id(1), "a", at(1)), Some(vec![Effect::Execute(id(1), "a")]));
        assert_eq!(goals.accept(id(1), "a", at(1)), None, "the same again is refused");
        assert_eq!(goals.ask(id(1), 10), None);
        assert_eq!(goals.finish(id(1), true, 7), [Effect::Reply(10, Succeeded, 7)]);
        assert_eq!(goals.ask(id(1), 11), Some(Effect::Reply(11, Succeeded, 7)));
        assert_eq!(goals.ask(id(2), 12), Some(Effect::Reply(12, Unknown, 0)));
        assert_eq!(statuses(&goals), [Succeeded]);
        assert_eq!(goals.finish(id(1), true, 8), [], "an end comes once");
        goals.accept(id(3), "c", at(2)).unwrap();
        goals.finish(id(3), false, 9);
        assert_eq!(goals.ask(id(3), 13), Some(Effect::Reply(13, Aborted, 9)));
    }

    #[test]
    fn of_goals_that_come_while_one_is_carried_out_the_newest_counts() {
        let mut goals = TestGoals::default();
        goals.accept(id(1), "a", at(1)).unwrap();
        assert_eq!(goals.accept(id(2), "b", at(2)), Some(vec![]));
        assert_eq!(goals.ask(id(2), 20), None);
        assert_eq!(goals.accept(id(3), "c", at(3)), Some(vec![Effect::Reply(20, Aborted, 0)]));
        assert_eq!(statuses(&goals), [Executing, Aborted, Executing]);
        assert_eq!(goals.finish(id(1), true, 7), [Effect::Execute(id(3), "c")]);
        assert_eq!(goals.finish(id(3), true, 8), []);
        assert_eq!(statuses(&goals), [Succeeded, Aborted, Succeeded]);
    }

    #[test]
    fn a_goal_is_canceled_by_its_name() {
        let mut goals = TestGoals::default();
        assert_eq!(cancel(&mut goals, 1, 0), (UnknownGoal, 0, 0));
        goals.accept(id(1), "a", at(1)).unwrap();
        goals.accept(id(2), "b", at(2)).unwrap();
        goals.ask(id(1), 10);
        goals.ask(id(2), 20);
        // What waits ends at once, what is carried out when its work does.
        assert_eq!(cancel(&mut goals, 2, 0), (NoError, 1, 1));
        assert_eq!(cancel(&mut goals, 1, 0), (NoError, 1, 0));
        assert_eq!(statuses(&goals), [Canceling, Canceled]);
        assert_eq!(goals.finish(id(1), true, 7), [Effect::Reply(10, Canceled, 0)]);
        assert_eq!(cancel(&mut goals, 1, 0), (GoalTerminated, 0, 0));
        assert_eq!(goals.accept(id(3), "c", at(3)), Some(vec![Effect::Execute(id(3), "c")]));
    }

    #[test]
    fn goals_are_canceled_by_their_time_and_all_together() {
        for (number, seconds, expected) in
            [(0, 0, [Canceling, Canceled]), (0, 1, [Canceling, Executing]), (2, 1, [Canceling, Canceled])]
        {
            let mut goals = TestGoals::default();
            goals.accept(id(1), "a", at(1)).unwrap();
            goals.accept(id(2), "b", at(2)).unwrap();
            cancel(&mut goals, number, seconds);
            assert_eq!(statuses(&goals), expected, "{number} {seconds}");
        }
        assert_eq!(cancel(&mut TestGoals::default(), 0, 0), (NoError, 0, 0));
    }

    #[test]
    fn neither_goals_nor_askers_pile_up() {
        let mut goals = TestGoals::default();
        for number in 1..=100 {
            goals.accept(id(number), "a", at(number.into())).unwrap();
            assert!((0..100).all(|asker| goals.ask(id(number), asker).is_none()));
            assert_eq!(goals.finish(id(number), true, number).len(), ASKERS);
        }
        assert_eq!(goals.statuses().len(), KEPT);
        assert_eq!(goals.ask(id(85), 0), Some(Effect::Reply(0, Succeeded, 85)));
        assert_eq!(goals.ask(id(84), 0), Some(Effect::Reply(0, Unknown, 0)));
    }
}
