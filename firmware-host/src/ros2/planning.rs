//! Decisions of the node on each message, apart from the network: messages and parameters go in, log lines and paths
//! come out.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use trm_plan::{OccupancyMap, Pose};

use super::messages::{Header, OccupancyGrid, Path, PoseStamped, PoseWithCovarianceStamped, Time};
use super::parameters::{Parameters, summary};
use super::planner::{Outcome, PathPlanner, Planned};
use crate::hint_of;

/// Importance of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Ordinary events.
    Info,
    /// Something was not done that someone asked for.
    Warning,
    /// The node cannot do its work.
    Error,
}

/// Next action of the node.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Say this.
    Log(Level, String),
    /// Publish this.
    Publish(Path),
}

/// Map, start and goal, and the planner.
///
/// A goal is planned to once: as soon as there are a map and a start. Topics have no order among each other, so a goal that
/// comes first is kept until then; a newer one takes its place. Later maps and starts are for later goals.
pub struct Planning<P> {
    planner: P,
    parameters: Parameters,
    map: Option<Map>,
    start: Option<Place>,
    /// The goal that was not planned to yet.
    goal: Option<Place>,
}

struct Map {
    map: Arc<OccupancyMap>,
    /// `true` if the planner has it, prepared for the parameters as they are.
    usable: bool,
}

/// A pose in a frame; without one in the map's, whatever that is.
struct Place {
    pose: Pose,
    frame: Option<String>,
}

impl Place {
    /// Returns the pose's frame if it is another than the map's.
    fn elsewhere(&self, map: &Map) -> Option<&str> {
        self.frame.as_deref().filter(|frame| *frame != map.map.frame())
    }
}

impl<P: PathPlanner> Planning<P> {
    /// Nothing is known yet but the parameters.
    #[must_use]
    pub fn new(planner: P, parameters: Parameters) -> Self {
        let start = parameters.start.map(|pose| Place { pose, frame: None });
        Self { planner, parameters, map: None, start, goal: None }
    }

    /// A map arrived from `topic`. One that cannot be used leaves the one before in its place.
    pub fn map(&mut self, topic: &str, grid: OccupancyGrid) -> Vec<Action> {
        let started = Instant::now();
        let map = match grid.into_map(topic) {
            Ok(map) => Arc::new(map),
            Err(error) => return vec![self.map_refused(&format!("map refused: {}", in_a_line(&error)))],
        };
        if let Err(error) = self.planner.set_map(Arc::clone(&map), &self.parameters.planner) {
            return vec![self.map_refused(&format!("map refused: {}", in_a_line(&error)))];
        }
        let mut actions = vec![info(format!(
            "map received: {} x {} cells of {} m in frame `{}`, ready in {:.0} ms",
            map.width(),
            map.height(),
            map.resolution(),
            map.frame(),
            started.elapsed().as_secs_f64() * 1e3
        ))];
        self.map = Some(Map { map, usable: true });
        actions.extend(self.plan());
        actions
    }

    fn map_refused(&self, why: &str) -> Action {
        warning(if self.map.is_some() { format!("{why}; the map before it stays") } else { why.to_owned() })
    }

    /// A start arrived.
    pub fn start(&mut self, message: &PoseWithCovarianceStamped) -> Vec<Action> {
        match message.pose.pose.on_ground() {
            Ok(pose) => {
                let place = Place { pose, frame: self.frame_of(&message.header) };
                let mut actions = vec![info(format!("start received: {}", place_name(&place)))];
                self.start = Some(place);
                actions.extend(self.plan());
                actions
            }
            Err(error) => vec![warning(format!("start ignored: {}", in_a_line(&error)))],
        }
    }

    /// A goal arrived.
    pub fn goal(&mut self, message: &PoseStamped) -> Vec<Action> {
        let pose = match message.pose.on_ground() {
            Ok(pose) => pose,
            Err(error) => {
                // Whoever waits for a path to this goal must not go on with the one before it.
                self.goal = None;
                return self.no_path(&format!("goal ignored: {}", in_a_line(&error)));
            }
        };
        let place = Place { pose, frame: self.frame_of(&message.header) };
        let mut actions = vec![info(format!("goal received: {}", place_name(&place)))];
        self.goal = Some(place);
        match (&self.map, &self.start) {
            (None, _) => actions.push(warning(
                "no map so far: the goal waits for one; is the map published reliable and transient local?".into(),
            )),
            (Some(map), _) if !map.usable => actions.push(warning(
                "the map cannot be used with the parameters as they are: the goal waits for others, or another map"
                    .into(),
            )),
            (_, None) => actions
                .push(warning("no start so far: the goal waits for one, as a message or the parameter start".into())),
            _ => {}
        }
        actions.extend(self.plan());
        actions
    }

    /// The parameters were changed.
    pub fn parameters(&mut self, parameters: Parameters) -> Vec<Action> {
        let before = std::mem::replace(&mut self.parameters, parameters);
        let mut actions = Vec::new();
        if parameters.start != before.start {
            self.start = parameters.start.map(|pose| Place { pose, frame: None });
            actions.push(info(
                self.start
                    .as_ref()
                    .map_or_else(|| "start taken back".to_owned(), |place| format!("start set: {}", place_name(place))),
            ));
        }
        if parameters.planner != before.planner
            && let Some(map) = &mut self.map
        {
            let started = Instant::now();
            let prepared = self.planner.set_map(Arc::clone(&map.map), &parameters.planner);
            // The planner may still have the map as it was for the parameters before, which is not what was asked for.
            map.usable = prepared.is_ok();
            actions.push(match prepared {
                Ok(()) => info(format!(
                    "map prepared anew in {:.0} ms: {}",
                    started.elapsed().as_secs_f64() * 1e3,
                    summary(&parameters.planner)
                )),
                Err(error) => Action::Log(
                    Level::Error,
                    format!("the map cannot be used with these parameters: {}", in_a_line(&error)),
                ),
            });
        }
        actions.extend(self.plan());
        actions
    }

    /// Plans to the goal that waits, if all is there.
    fn plan(&mut self) -> Vec<Action> {
        let (Some(map), Some(start)) = (self.map.as_ref().filter(|map| map.usable), &self.start) else {
            return Vec::new();
        };
        let Some(goal) = self.goal.take() else { return Vec::new() };
        for (what, place) in [("goal", &goal), ("start", start)] {
            if let Some(frame) = place.elsewhere(map) {
                return self.no_path(&format!(
                    "no plan: the {what} is in frame `{frame}`, the map in `{}`; send it in the map's frame, or set \
                     check_frames to false",
                    map.map.frame()
                ));
            }
        }
        match self.planner.plan(start.pose, goal.pose) {
            Ok(Outcome::Planned(planned)) => self.planned(&planned),
            Ok(Outcome::Unreachable(why)) => self.no_path(&format!("no plan: the goal cannot be reached: {why}")),
            Ok(Outcome::Failed(why)) => self.no_path(&format!("no plan: {why}")),
            Err(error) => self.no_path(&format!("no plan: {}", in_a_line(&error))),
        }
    }

    fn planned(&self, planned: &Planned) -> Vec<Action> {
        if planned.path.is_empty() || !planned.path.iter().all(Pose::is_finite) {
            return self.no_path("no plan: the planner's path is empty or not finite");
        }
        let share = planned.network_share.map_or_else(
            || {
                planned.cost_m.map_or_else(
                    || "too short for the network".to_owned(),
                    |cost| format!("worth {cost:.2} m of free ground, by exact search"),
                )
            },
            |share| format!("{:.0} % of its segments by the network", share * 100.0),
        );
        vec![
            Action::Publish(Path::new(self.header(), &planned.path)),
            info(format!(
                "plan published: {} poses, {:.2} m, {share}, {:.1} ms",
                planned.path.len(),
                planned.length_m,
                planned.ms
            )),
        ]
    }

    /// Says why, and publishes a path without poses: whoever waits for a path gets an answer.
    fn no_path(&self, why: &str) -> Vec<Action> {
        vec![warning(why.to_owned()), Action::Publish(Path::new(self.header(), &[]))]
    }

    fn header(&self) -> Header {
        let frame_id = self.map.as_ref().map_or_else(String::new, |map| map.map.frame().to_owned());
        Header { stamp: Time::now(), frame_id }
    }

    /// The frame that a message names, where frames matter.
    fn frame_of(&self, header: &Header) -> Option<String> {
        self.parameters.check_frames.then(|| header.frame_id.clone())
    }
}

fn info(text: String) -> Action {
    Action::Log(Level::Info, text)
}

fn warning(text: String) -> Action {
    Action::Log(Level::Warning, text)
}

fn place_name(place: &Place) -> String {
    let Pose { x, y, yaw } = place.pose;
    let frame = place.frame.as_ref().map_or_else(String::new, |frame| format!(" in frame `{frame}`"));
    format!("x {x:.2} m, y {y:.2} m, {:.0} degrees{frame}", yaw.to_degrees())
}

/// An error with its causes in one line of a log.
fn in_a_line(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        // Who hands on another's error says the same.
        for (mark, said) in [(": ", Some(error.to_string().into())), ("; ", hint_of(error))] {
            if let Some(said) = said.filter(|said| !text.contains(&**said)) {
                text = if text.is_empty() { said.into_owned() } else { format!("{text}{mark}{said}") };
            }
        }
    }
    text.replace('\n', " ")
}
