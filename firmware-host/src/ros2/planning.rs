//! Decisions of the node on each message, apart from the network: messages and parameters go in, log lines and paths
//! come out.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use trm_plan::{OccupancyMap, PlanError, Pose};

use super::costmap::Costmap;
use super::messages::{
    Header, OccupancyGrid, OccupancyGridUpdate, Path, Pose3, PoseStamped, PoseWithCovarianceStamped, Time,
};
use super::nav2::{PathAnswer, PathError, PathGoal};
use super::parameters::{Parameters, summary};
use super::planner::{MapKind, Outcome, PathPlanner, Planned};
use crate::{HostError, Result, hint_of};

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
/// A goal of the topic is planned to once: as soon as there are a map and a start. Topics have no order among each other, so a goal
/// that comes first is kept until then; a newer one takes its place. Later maps and starts are for later goals. A goal of the action
/// is answered at once.
pub struct Planning<P> {
    planner: P,
    parameters: Parameters,
    map: Option<Map>,
    /// The costmap that the map is of, if it is of one.
    costmap: Option<Costmap>,
    start: Option<Place>,
    /// True if the start is of whoever finds the robot's pose, who sends it again and again.
    is_localised: bool,
    /// The goal that was not planned to yet.
    goal: Option<Place>,
}

struct Map {
    map: Arc<OccupancyMap>,
    state: State,
}

/// Readiness of the planner for the map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has the map, prepared for the parameters as they are.
    Ready,
    /// The costmap is another since then. They come once a second and more often, so they are prepared when they are needed.
    Changed,
    /// It cannot plan on the map with the parameters as they are.
    Refused,
}

/// A pose in a frame; without one in the map's, whatever that is.
#[derive(Clone)]
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

/// The reason why there is no path: for nav2, and in words.
struct Refusal {
    error: PathError,
    why: String,
}

impl Refusal {
    fn new(error: PathError, why: impl Into<String>) -> Self {
        Self { error, why: why.into() }
    }
}

impl<P: PathPlanner> Planning<P> {
    /// Nothing is known yet but the parameters.
    #[must_use]
    pub fn new(planner: P, parameters: Parameters) -> Self {
        let start = parameters.start.map(|pose| Place { pose, frame: None });
        Self { planner, parameters, map: None, costmap: None, start, is_localised: false, goal: None }
    }

    /// A map arrived from `topic`. One that cannot be used leaves the one before in its place.
    pub fn map(&mut self, topic: &str, grid: OccupancyGrid) -> Vec<Action> {
        let started = Instant::now();
        let map = match grid.into_map(topic) {
            Ok(map) => Arc::new(map),
            Err(error) => return vec![self.map_refused(&format!("map refused: {}", in_a_line(&error)))],
        };
        if let Err(error) = self.planner.set_map(Arc::clone(&map), MapKind::Occupancy, &self.parameters.planner) {
            return vec![self.map_refused(&format!("map refused: {}", in_a_line(&error)))];
        }
        let mut actions =
            vec![info(format!("map {}, ready in {:.0} ms", received(&map), started.elapsed().as_secs_f64() * 1e3))];
        self.map = Some(Map { map, state: State::Ready });
        self.costmap = None;
        actions.extend(self.plan());
        actions
    }

    fn map_refused(&self, why: &str) -> Action {
        warning(if self.map.is_some() { format!("{why}; the map before it stays") } else { why.to_owned() })
    }

    /// A whole costmap of nav2 arrived from `topic`. One that cannot be used leaves the one before in its place.
    pub fn costmap(&mut self, topic: &str, grid: OccupancyGrid) -> Vec<Action> {
        let (costmap, map) = match Costmap::new(topic, grid) {
            Ok(read) => read,
            Err(error) => return vec![self.map_refused(&format!("costmap refused: {}", in_a_line(&error)))],
        };
        let shape = |map: &OccupancyMap| (map.width(), map.height(), map.frame().to_owned());
        let is_news = self.map.as_ref().is_none_or(|before| shape(&before.map) != shape(&map));
        let mut actions = Vec::new();
        if is_news {
            actions.push(info(format!("costmap {}; later ones and updates are taken without a word", received(&map))));
        }
        self.costmap = Some(costmap);
        self.map = Some(Map { map: Arc::new(map), state: State::Changed });
        actions.extend(self.plan());
        actions
    }

    /// A rectangle of the costmap arrived. One that does not fit leaves it as it was.
    pub fn costmap_update(&mut self, update: &OccupancyGridUpdate) -> Vec<Action> {
        let (Some(costmap), Some(map)) = (&mut self.costmap, &mut self.map) else {
            // The whole costmap that it belongs to is still to come.
            return Vec::new();
        };
        match costmap.update(update) {
            Ok(is_newer) => {
                if is_newer {
                    map.state = State::Changed;
                }
                Vec::new()
            }
            Err(error) => vec![warning(format!("{}; the update is passed over", in_a_line(&error)))],
        }
    }

    /// A start arrived from whoever sets the robot's pose.
    pub fn start(&mut self, message: &PoseWithCovarianceStamped) -> Vec<Action> {
        self.start_from(message, false)
    }

    /// A start arrived from whoever finds the robot's pose, such as AMCL. The newer one of both kinds counts.
    pub fn localised(&mut self, message: &PoseWithCovarianceStamped) -> Vec<Action> {
        self.start_from(message, true)
    }

    fn start_from(&mut self, message: &PoseWithCovarianceStamped, is_localised: bool) -> Vec<Action> {
        match self.place(&message.header, &message.pose.pose) {
            Ok(place) => {
                let mut actions = Vec::new();
                if !is_localised {
                    actions.push(info(format!("start received: {}", place_name(&place))));
                } else if !self.is_localised {
                    actions.push(info(format!(
                        "start received from localisation: {}; later ones are taken without a word",
                        place_name(&place)
                    )));
                }
                self.is_localised = is_localised;
                self.start = Some(place);
                actions.extend(self.plan());
                actions
            }
            Err(error) => vec![warning(format!("start ignored: {}", in_a_line(&error)))],
        }
    }

    /// A goal arrived.
    pub fn goal(&mut self, message: &PoseStamped) -> Vec<Action> {
        let place = match self.place(&message.header, &message.pose) {
            Ok(place) => place,
            Err(error) => {
                // Whoever waits for a path to this goal must not go on with the one before it.
                self.goal = None;
                return self.no_path(&format!("goal ignored: {}", in_a_line(&error)));
            }
        };
        let mut actions = vec![info(format!("goal received: {}", place_name(&place)))];
        self.goal = Some(place);
        match (&self.map, &self.start) {
            (None, _) => actions.push(warning(
                "no map so far: the goal waits for one; is the map published reliable and transient local?".into(),
            )),
            (Some(map), _) if map.state == State::Refused => actions.push(warning(
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

    /// A goal of nav2's action arrived. It is answered at once, and its path is published as well.
    pub fn compute(&mut self, goal: &PathGoal) -> (Vec<Action>, PathAnswer) {
        let began = Instant::now();
        let (path, error, message, actions) = match self.computed(goal) {
            Ok(planned) => {
                let path = Path::new(self.header(), &planned.path);
                (path.clone(), PathError::None, String::new(), published(&planned, path))
            }
            Err(Refusal { error, why }) => {
                let actions = vec![warning(format!("no plan: {why}"))];
                (Path::new(self.header(), &[]), error, why, actions)
            }
        };
        (actions, PathAnswer { path, planning_time: began.elapsed(), error, message })
    }

    fn computed(&mut self, goal: &PathGoal) -> std::result::Result<Planned, Refusal> {
        let pose = |what: &str, place: Result<Place>| {
            place.map_err(|error| Refusal::new(PathError::Unknown, format!("the {what}'s {}", in_a_line(&error))))
        };
        let target = pose("goal", self.place(&goal.goal.header, &goal.goal.pose))?;
        let start = if goal.use_start {
            Some(pose("start", self.place(&goal.start.header, &goal.start.pose))?)
        } else {
            self.start.clone()
        };
        let start = start.ok_or_else(|| {
            Refusal::new(PathError::Tf, "no start so far, as a message, the parameter start or the goal's own")
        })?;
        self.route(&start, &target)
    }

    /// The parameters were changed.
    pub fn parameters(&mut self, parameters: Parameters) -> Vec<Action> {
        let before = std::mem::replace(&mut self.parameters, parameters);
        let mut actions = Vec::new();
        if parameters.start != before.start {
            self.start = parameters.start.map(|pose| Place { pose, frame: None });
            self.is_localised = false;
            actions.push(info(
                self.start
                    .as_ref()
                    .map_or_else(|| "start taken back".to_owned(), |place| format!("start set: {}", place_name(place))),
            ));
        }
        if parameters.planner != before.planner
            && let Some(map) = &mut self.map
        {
            actions.push(if self.costmap.is_some() {
                map.state = State::Changed;
                info(format!("the costmap is prepared anew for the next goal: {}", summary(&parameters.planner)))
            } else {
                let started = Instant::now();
                let prepared = self.planner.set_map(Arc::clone(&map.map), MapKind::Occupancy, &parameters.planner);
                // The planner may still have the map as it was for the parameters before, which is not what was asked for.
                map.state = if prepared.is_ok() { State::Ready } else { State::Refused };
                match prepared {
                    Ok(()) => info(format!(
                        "map prepared anew in {:.0} ms: {}",
                        started.elapsed().as_secs_f64() * 1e3,
                        summary(&parameters.planner)
                    )),
                    Err(error) => Action::Log(
                        Level::Error,
                        format!("the map cannot be used with these parameters: {}", in_a_line(&error)),
                    ),
                }
            });
        }
        actions.extend(self.plan());
        actions
    }

    /// Plans to the goal that waits, if all is there.
    fn plan(&mut self) -> Vec<Action> {
        if self.map.as_ref().is_none_or(|map| map.state == State::Refused) {
            return Vec::new();
        }
        let Some(start) = self.start.clone() else { return Vec::new() };
        let Some(goal) = self.goal.take() else { return Vec::new() };
        match self.route(&start, &goal) {
            Ok(planned) => published(&planned, Path::new(self.header(), &planned.path)),
            Err(refusal) => self.no_path(&format!("no plan: {}", refusal.why)),
        }
    }

    /// The path between two places on the map as it is now.
    fn route(&mut self, start: &Place, goal: &Place) -> std::result::Result<Planned, Refusal> {
        self.prepare()?;
        let Some(map) = self.map.as_ref() else {
            return Err(Refusal::new(PathError::Timeout, "no map so far"));
        };
        if map.state == State::Refused {
            return Err(Refusal::new(PathError::Unknown, "the map cannot be used with the parameters as they are"));
        }
        for (what, place) in [("goal", goal), ("start", start)] {
            if let Some(frame) = place.elsewhere(map) {
                let why = format!(
                    "the {what} is in frame `{frame}`, the map in `{}`; send it in the map's frame, or set check_frames to \
                     false",
                    map.map.frame()
                );
                return Err(Refusal::new(PathError::Tf, why));
            }
        }
        match self.planner.plan(start.pose, goal.pose) {
            Ok(Outcome::Planned(planned)) if planned.path.is_empty() || !planned.path.iter().all(Pose::is_finite) => {
                Err(Refusal::new(PathError::Unknown, "the planner's path is empty or not finite"))
            }
            Ok(Outcome::Planned(planned)) => Ok(planned),
            Ok(Outcome::Unreachable(why)) => {
                Err(Refusal::new(PathError::NoValidPath, format!("the goal cannot be reached: {why}")))
            }
            Ok(Outcome::Failed(why)) => Err(Refusal::new(PathError::NoValidPath, why)),
            Err(error) => Err(Refusal::new(code(&error, &map.map), in_a_line(&error))),
        }
    }

    /// Hands the costmap to the planner, if it is another than the one that it has.
    fn prepare(&mut self) -> std::result::Result<(), Refusal> {
        let (Some(map), Some(costmap)) = (&mut self.map, &self.costmap) else { return Ok(()) };
        if map.state != State::Changed {
            return Ok(());
        }
        let refuse = |error: HostError| {
            Refusal::new(PathError::Unknown, format!("the costmap cannot be used: {}", in_a_line(&error)))
        };
        map.map = Arc::new(costmap.map().map_err(refuse)?);
        let settings = &self.parameters.planner;
        self.planner.set_map(Arc::clone(&map.map), MapKind::Costmap, settings).map_err(refuse)?;
        map.state = State::Ready;
        Ok(())
    }

    /// Says why, and publishes a path without poses: whoever waits for a path gets an answer.
    fn no_path(&self, why: &str) -> Vec<Action> {
        vec![warning(why.to_owned()), Action::Publish(Path::new(self.header(), &[]))]
    }

    /// A pose of a message, in the frame that it names, where frames matter.
    fn place(&self, header: &Header, pose: &Pose3) -> Result<Place> {
        let frame = self.parameters.check_frames.then(|| header.frame_id.clone());
        Ok(Place { pose: pose.on_ground()?, frame })
    }

    fn header(&self) -> Header {
        let frame_id = self.map.as_ref().map_or_else(String::new, |map| map.map.frame().to_owned());
        Header { stamp: Time::now(), frame_id }
    }
}

/// A map, as log lines tell of its arrival.
fn received(map: &OccupancyMap) -> String {
    format!("received: {} x {} cells of {} m in frame `{}`", map.width(), map.height(), map.resolution(), map.frame())
}

/// The code of nav2 for a failure of the planner.
fn code(error: &HostError, map: &OccupancyMap) -> PathError {
    let HostError::Plan(PlanError::PlaceRefused { what, x, y, .. }) = error else { return PathError::Unknown };
    match (*what == "start", map.cell_at(*x, *y).is_some()) {
        (true, true) => PathError::StartOccupied,
        (true, false) => PathError::StartOutsideMap,
        (false, true) => PathError::GoalOccupied,
        (false, false) => PathError::GoalOutsideMap,
    }
}

/// Publishes a path, and says how it came about.
fn published(planned: &Planned, path: Path) -> Vec<Action> {
    let share = planned.network_share.map_or_else(
        || {
            planned.cost_m.map_or_else(
                || "too short for the network".to_owned(),
                |cost| format!("worth {cost:.2} m of free ground, by exact search"),
            )
        },
        |share| format!("{:.0} % of its segments by the network", share * 100.0),
    );
    let said = format!(
        "plan published: {} poses, {:.2} m, {share}, {:.1} ms",
        planned.path.len(),
        planned.length_m,
        planned.ms
    );
    vec![Action::Publish(path), info(said)]
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
