//! The node's answers to messages, good and bad, in any order: no network, and a planner that does as it is told.
#![cfg(feature = "ros2")]

use std::sync::Arc;

use trm_firmware_host::ros2::messages::{
    Header, OccupancyGrid, OccupancyGridUpdate, Path, PoseStamped, PoseWithCovariance, PoseWithCovarianceStamped,
};
use trm_firmware_host::ros2::nav2::{PathAnswer, PathError, PathGoal};
use trm_firmware_host::ros2::{
    Action, Level, MapKind, Outcome, Parameters, PathPlanner, Planned, PlannerSettings, Planning,
};
use trm_firmware_host::{HostError, Result};
use trm_plan::{Fallback, Inflation, OccupancyMap, PlanError, Pose, Robot, UnknownSpace};

/// Goes straight; what comes of a goal depends on how far it is.
#[derive(Default)]
struct Straight {
    map: Option<Arc<OccupancyMap>>,
    kind: Option<MapKind>,
    /// Maps that were prepared.
    prepared: usize,
    settings: PlannerSettings,
    refuse: Option<f64>,
}

impl PathPlanner for Straight {
    fn set_map(&mut self, map: Arc<OccupancyMap>, kind: MapKind, settings: &PlannerSettings) -> Result<()> {
        if self.refuse.is_some_and(|radius| settings.robot.radius > radius) {
            return Err(part("no cell is free for a robot of this size"));
        }
        self.map = Some(map);
        self.kind = Some(kind);
        self.prepared += 1;
        self.settings = *settings;
        Ok(())
    }

    fn plan(&mut self, start: Pose, goal: Pose) -> Result<Outcome> {
        assert!(self.map.is_some(), "asked for a plan without a map");
        let length_m = start.distance(&goal);
        // Far below, the robot cannot stand.
        for (what, Pose { x, y, .. }) in [("start", start), ("goal", goal)] {
            if y < -0.5 {
                let reason = "is in an obstacle".to_owned();
                return Err(PlanError::PlaceRefused { what, x, y, reason, hint: None }.into());
            }
        }
        // A wall of the map, wherever it is, is where nobody can go.
        if self.kind == Some(MapKind::Costmap) && self.map.as_ref().is_some_and(|map| map.values().contains(&100)) {
            return Ok(Outcome::Unreachable("a wall is between".into()));
        }
        if length_m > 1000.0 {
            let (name, reason) = ("planner".into(), "the goal is in a wall".into());
            return Err(HostError::Source { name, reason, hint: "x 1.00, y 2.00 is free" });
        }
        if length_m > 400.0 {
            return Ok(Outcome::Failed("2 of 3 segments were not solved".into()));
        }
        if length_m > 100.0 {
            return Ok(Outcome::Unreachable("a wall is between".into()));
        }
        // A planner that went wrong.
        let path = if length_m > 50.0 { vec![start, Pose { x: f64::NAN, ..goal }] } else { vec![start, goal] };
        Ok(Outcome::Planned(Planned { path, network_share: Some(0.75), length_m, cost_m: None, ms: 1.25 }))
    }
}

fn part(reason: &str) -> HostError {
    HostError::Part { part: "planner", reason: reason.into() }
}

fn header(frame: &str) -> Header {
    Header { frame_id: frame.into(), ..Header::default() }
}

fn grid(frame: &str) -> OccupancyGrid {
    let mut grid = OccupancyGrid { header: header(frame), data: vec![0; 12], ..OccupancyGrid::default() };
    (grid.info.width, grid.info.height, grid.info.resolution) = (4, 3, 0.5);
    grid
}

fn goal(frame: &str, x: f64) -> PoseStamped {
    PoseStamped { header: header(frame), pose: Pose::new(x, 0.0, 0.0).into() }
}

fn start(frame: &str) -> PoseWithCovarianceStamped {
    let pose = PoseWithCovariance { pose: Pose::new(1.0, 0.0, 0.0).into(), ..PoseWithCovariance::default() };
    PoseWithCovarianceStamped { header: header(frame), pose }
}

fn node() -> Planning<Straight> {
    Planning::new(Straight::default(), Parameters::default())
}

/// A node with a map and a start.
fn ready() -> Planning<Straight> {
    let mut node = node();
    assert!(published(&node.map("/map", grid("map"))).is_empty());
    assert!(published(&node.start(&start("map"))).is_empty());
    node
}

fn published(actions: &[Action]) -> Vec<&Path> {
    actions.iter().filter_map(|action| if let Action::Publish(path) = action { Some(path) } else { None }).collect()
}

/// Joins the log lines of a level into one text.
fn said(actions: &[Action], wanted: Level) -> String {
    let lines = actions.iter().filter_map(|action| match action {
        Action::Log(level, text) if *level == wanted => Some(text.as_str()),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Asserts that a path without poses was published in `frame`, and that a warning contains `why`.
#[track_caller]
fn refused(actions: &[Action], frame: &str, why: &str) {
    let paths = published(actions);
    assert_eq!(paths.len(), 1, "{actions:?}");
    assert!(paths[0].poses.is_empty());
    assert_eq!(paths[0].header.frame_id, frame);
    let warnings = said(actions, Level::Warning);
    assert!(warnings.contains(why), "{warnings}");
    assert!(!warnings.contains('\n'), "one line a warning: {warnings}");
}

/// One path with two poses.
#[track_caller]
fn planned(actions: &[Action]) -> &Path {
    let paths = published(actions);
    assert_eq!(paths.len(), 1, "{actions:?}");
    assert_eq!(paths[0].poses.len(), 2, "{actions:?}");
    assert_eq!(said(actions, Level::Warning), "");
    paths[0]
}

#[test]
fn a_goal_is_planned_to_in_the_map_s_frame() {
    let mut node = node();
    let said_of_map = said(&node.map("/map", grid("earth")), Level::Info);
    assert!(said_of_map.starts_with("map received: 4 x 3 cells of 0.5 m in frame `earth`, ready in "), "{said_of_map}");
    assert_eq!(
        said(&node.start(&start("earth")), Level::Info),
        "start received: x 1.00 m, y 0.00 m, 0 degrees in frame `earth`"
    );
    let actions = node.goal(&goal("earth", 4.0));
    let path = planned(&actions);
    assert_eq!(path.header.frame_id, "earth");
    assert!(path.header.stamp.sec > 1_500_000_000, "the stamp is the time");
    assert_eq!(path.poses[0].header, path.header);
    assert!((path.poses[0].pose.position.x, path.poses[1].pose.position.x) == (1.0, 4.0));
    assert_eq!(
        said(&actions, Level::Info),
        "goal received: x 4.00 m, y 0.00 m, 0 degrees in frame `earth`\n\
         plan published: 2 poses, 3.00 m, 75 % of its segments by the network, 1.2 ms"
    );
}

#[test]
fn a_goal_before_everything_else_waits_and_is_planned_to_once() {
    let mut node = node();
    let actions = node.goal(&goal("map", 4.0));
    assert!(said(&actions, Level::Warning).contains("no map so far"));
    assert!(published(&actions).is_empty());
    assert!(published(&node.start(&start("map"))).is_empty());
    planned(&node.map("/map", grid("map")));
    // The next map and the next start are not for this goal.
    assert!(published(&node.map("/map", grid("map"))).is_empty());
    assert!(published(&node.start(&start("map"))).is_empty());
}

#[test]
fn a_goal_without_a_start_waits() {
    let mut node = node();
    node.map("/map", grid("map"));
    let actions = node.goal(&goal("map", 4.0));
    assert!(said(&actions, Level::Warning).contains("no start so far"));
    assert!(published(&actions).is_empty());
    planned(&node.start(&start("map")));
}

#[test]
fn of_goals_that_wait_the_newest_counts() {
    let mut node = node();
    node.map("/map", grid("map"));
    node.goal(&goal("map", 4.0));
    node.goal(&goal("map", 7.0));
    let actions = node.start(&start("map"));
    assert!((planned(&actions).poses[1].pose.position.x - 7.0).abs() < 1e-12);
}

#[test]
fn the_start_may_be_a_parameter() {
    let parameters = Parameters { start: Some(Pose::new(2.0, 0.0, 0.0)), ..Parameters::default() };
    let mut node = Planning::new(Straight::default(), parameters);
    node.map("/map", grid("anything"));
    let actions = node.goal(&goal("anything", 4.0));
    assert!((planned(&actions).poses[0].pose.position.x - 2.0).abs() < 1e-12);
    // A message takes its place, then a newer parameter that one's.
    node.start(&start("anything"));
    assert!((planned(&node.goal(&goal("anything", 4.0))).poses[0].pose.position.x - 1.0).abs() < 1e-12);
    node.parameters(Parameters { start: Some(Pose::new(3.0, 0.0, 0.0)), ..parameters });
    assert!((planned(&node.goal(&goal("anything", 4.0))).poses[0].pose.position.x - 3.0).abs() < 1e-12);
    // Taken back, a goal waits.
    node.parameters(Parameters::default());
    assert!(published(&node.goal(&goal("anything", 4.0))).is_empty());
}

#[test]
fn what_is_in_another_frame_is_refused() {
    let mut node = ready();
    refused(&node.goal(&goal("odom", 4.0)), "map", "the goal is in frame `odom`, the map in `map`");
    refused(&node.goal(&goal("", 4.0)), "map", "the goal is in frame ``");
    node.start(&start("odom"));
    refused(&node.goal(&goal("map", 4.0)), "map", "the start is in frame `odom`, the map in `map`");
    // A refused goal is done with; the next one counts.
    assert!(published(&node.start(&start("map"))).is_empty());
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn frames_may_be_left_unchecked() {
    let mut node = Planning::new(Straight::default(), Parameters { check_frames: false, ..Parameters::default() });
    node.map("/map", grid("map"));
    node.start(&start("odom"));
    let actions = node.goal(&goal("", 4.0));
    assert_eq!(planned(&actions).header.frame_id, "map");
}

#[test]
fn no_way_and_no_plan_are_a_path_without_poses_and_the_reason() {
    let mut node = ready();
    refused(&node.goal(&goal("map", 200.0)), "map", "no plan: the goal cannot be reached: a wall is between");
    refused(&node.goal(&goal("map", 2000.0)), "map", "no plan: planner: the goal is in a wall; x 1.00, y 2.00 is free");
    refused(&node.goal(&goal("map", 70.0)), "map", "the planner's path is empty or not finite");
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn a_goal_that_is_no_pose_is_refused() {
    let mut node = ready();
    let mut bad = goal("map", f64::NAN);
    refused(&node.goal(&bad), "map", "goal ignored: position: [NaN, 0] is not finite");
    bad = goal("map", 4.0);
    bad.pose.orientation.w = 0.0;
    refused(&node.goal(&bad), "map", "goal ignored: orientation: [0, 0, 0, 0] has length 0");
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn a_start_that_is_no_pose_leaves_the_one_before() {
    let mut node = ready();
    let mut bad = start("map");
    bad.pose.pose.position.x = f64::INFINITY;
    let actions = node.start(&bad);
    assert!(said(&actions, Level::Warning).starts_with("start ignored: position: [inf, 0] is not finite"));
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn a_map_that_is_none_leaves_the_one_before() {
    type Break = fn(&mut OccupancyGrid);
    let broken: [(Break, &str); 6] = [
        (|grid| grid.data.truncate(11), "11 values, a map of 4x3 cells has 12"),
        (|grid| grid.info.resolution = 0.0, "the resolution is 0"),
        (|grid| grid.info.resolution = f32::NAN, "the resolution is NaN"),
        (|grid| grid.info.origin.position.x = f64::NAN, "the origin's position"),
        (|grid| grid.data[7] = 101, "cell 7 holds 101"),
        (|grid| (grid.info.width, grid.info.height) = (u32::MAX, u32::MAX), "4294967295x4294967295"),
    ];
    for (breaks, why) in broken {
        let mut bad = grid("map");
        breaks(&mut bad);
        let actions = node().map("/map", bad.clone());
        let warning = said(&actions, Level::Warning);
        assert!(warning.starts_with("map refused: /map: ") && warning.contains(why), "{warning}");
        assert!(!warning.contains("stays"), "{warning}");
        assert!(published(&actions).is_empty());

        let mut node = ready();
        let actions = node.map("/map", bad);
        assert!(said(&actions, Level::Warning).ends_with("; the map before it stays"));
        planned(&node.goal(&goal("map", 4.0)));
    }
}

#[test]
fn a_map_that_the_planner_refuses_leaves_the_one_before() {
    let mut node = Planning::new(Straight { refuse: Some(0.1), ..Straight::default() }, Parameters::default());
    let actions = node.map("/map", grid("map"));
    assert_eq!(said(&actions, Level::Warning), "map refused: planner: no cell is free for a robot of this size");
    let actions = node.goal(&goal("map", 4.0));
    assert!(said(&actions, Level::Warning).contains("no map so far"));
}

#[test]
fn new_parameters_prepare_the_map_anew() {
    let mut node = ready();
    let wider = PlannerSettings {
        robot: Robot { radius: 0.4, unknown: UnknownSpace::Free, occupied_from: 50 },
        fallback: Fallback::None,
        spacing: 0.0,
        inflation: Inflation { radius: 0.55, scaling: 3.0 },
        escape: true,
    };
    let parameters = Parameters { planner: wider, ..Parameters::default() };
    let text = said(&node.parameters(parameters), Level::Info);
    assert!(text.contains("robot radius 0.4 m, unknown space free, occupied from 50, fallback none, inflation of 0.55 m scaled by 3, escape"), "{text}");
    assert!(node.parameters(parameters).is_empty(), "nothing has changed");
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn nothing_is_planned_while_the_map_cannot_be_used_with_the_parameters() {
    let mut node = Planning::new(Straight { refuse: Some(0.3), ..Straight::default() }, Parameters::default());
    node.map("/map", grid("map"));
    node.start(&start("map"));
    let wide = PlannerSettings { robot: Robot { radius: 0.4, ..Robot::default() }, ..PlannerSettings::default() };
    let actions = node.parameters(Parameters { planner: wide, ..Parameters::default() });
    assert!(said(&actions, Level::Error).contains("the map cannot be used with these parameters"), "{actions:?}");
    let actions = node.goal(&goal("map", 4.0));
    assert!(published(&actions).is_empty(), "planned with the radius before");
    assert!(said(&actions, Level::Warning).contains("the goal waits for others"), "{actions:?}");
    // The goal is planned to as soon as it can be.
    planned(&node.parameters(Parameters::default()));
}

fn action(frame: &str, x: f64, start: Option<f64>) -> PathGoal {
    let from = PoseStamped { header: header(frame), pose: Pose::new(start.unwrap_or(9.0), 0.0, 0.0).into() };
    PathGoal { goal: goal(frame, x), start: from, planner_id: "GridBased".into(), use_start: start.is_some() }
}

/// Asserts that the goal was refused with a code and a reason, and that nothing was published.
#[track_caller]
fn fails((actions, answer): &(Vec<Action>, PathAnswer), error: PathError, why: &str) {
    assert_eq!((answer.error, answer.path.poses.len()), (error, 0), "{answer:?}");
    assert!(answer.message.contains(why), "{}", answer.message);
    assert_eq!(said(actions, Level::Warning), format!("no plan: {}", answer.message));
    assert!(published(actions).is_empty(), "the answer is to the one who asked");
}

#[test]
fn a_goal_of_the_action_is_answered_at_once_and_published() {
    let mut node = ready();
    let (actions, answer) = node.compute(&action("map", 4.0, None));
    assert_eq!((answer.error, &*answer.message), (PathError::None, ""));
    assert_eq!(&answer.path, planned(&actions));
    assert_eq!(answer.path.header.frame_id, "map");
    assert!((answer.path.poses[0].pose.position.x, answer.path.poses[1].pose.position.x) == (1.0, 4.0));
    // From where it says, if it does.
    let (actions, answer) = node.compute(&action("map", 4.0, Some(2.0)));
    assert!((planned(&actions).poses[0].pose.position.x - 2.0).abs() < 1e-12);
    assert!((answer.path.poses[0].pose.position.x - 2.0).abs() < 1e-12);
    // Neither is the start of later goals.
    assert!((planned(&node.goal(&goal("map", 4.0))).poses[0].pose.position.x - 1.0).abs() < 1e-12);
}

#[test]
fn what_a_goal_of_the_action_lacks_has_nav2_s_code() {
    let mut node = node();
    fails(&node.compute(&action("map", 4.0, Some(1.0))), PathError::Timeout, "no map so far");
    fails(&node.compute(&action("map", 4.0, None)), PathError::Tf, "no start so far");
    node.map("/map", grid("map"));
    fails(&node.compute(&action("map", 4.0, None)), PathError::Tf, "no start so far");
    fails(
        &node.compute(&action("odom", 4.0, Some(1.0))),
        PathError::Tf,
        "the goal is in frame `odom`, the map in `map`",
    );
    let mut elsewhere = action("map", 4.0, Some(1.0));
    elsewhere.start.header.frame_id = "odom".into();
    fails(&node.compute(&elsewhere), PathError::Tf, "the start is in frame `odom`");
    fails(
        &node.compute(&action("map", 200.0, Some(1.0))),
        PathError::NoValidPath,
        "the goal cannot be reached: a wall",
    );
    fails(&node.compute(&action("map", 500.0, Some(1.0))), PathError::NoValidPath, "2 of 3 segments were not solved");
    fails(&node.compute(&action("map", 2000.0, Some(1.0))), PathError::Unknown, "the goal is in a wall");
    fails(&node.compute(&action("map", f64::NAN, Some(1.0))), PathError::Unknown, "the goal's position: [NaN, 0]");
    fails(&node.compute(&action("map", 4.0, Some(f64::NAN))), PathError::Unknown, "the start's position: [NaN, 0]");
    // A goal of the action waits for nothing.
    assert!(published(&node.start(&start("map"))).is_empty());
}

#[test]
fn a_place_where_the_robot_cannot_be_has_nav2_s_code() {
    let mut node = node();
    let mut low = grid("map");
    low.info.origin.position.y = -1.0;
    node.map("/map", low);
    for (start_at, goal_at, error, why) in [
        ((1.0, -0.7), (1.5, 0.0), PathError::StartOccupied, "the start 1,-0.7 is in an obstacle"),
        ((1.0, -7.0), (1.5, 0.0), PathError::StartOutsideMap, "the start 1,-7"),
        ((1.0, 0.0), (1.5, -0.7), PathError::GoalOccupied, "the goal 1.5,-0.7 is in an obstacle"),
        ((1.0, 0.0), (1.5, -7.0), PathError::GoalOutsideMap, "the goal 1.5,-7"),
    ] {
        let at = |(x, y)| PoseStamped { header: header("map"), pose: Pose::new(x, y, 0.0).into() };
        let asked = PathGoal { goal: at(goal_at), start: at(start_at), use_start: true, ..PathGoal::default() };
        fails(&node.compute(&asked), error, why);
    }
}

#[test]
fn of_starts_of_both_kinds_the_newer_counts() {
    let mut node = node();
    node.map("/map", grid("map"));
    let mut found = start("map");
    found.pose.pose.position.x = 2.0;
    let from = |node: &mut Planning<Straight>| planned(&node.goal(&goal("map", 4.0))).poses[0].pose.position.x;
    let said_of_start = said(&node.localised(&found), Level::Info);
    assert!(said_of_start.starts_with("start received from localisation: x 2.00 m"), "{said_of_start}");
    assert!((from(&mut node) - 2.0).abs() < 1e-12);
    found.pose.pose.position.x = 2.5;
    assert!(node.localised(&found).is_empty(), "AMCL tells it with every step");
    assert!((from(&mut node) - 2.5).abs() < 1e-12);
    node.start(&start("map"));
    assert!((from(&mut node) - 1.0).abs() < 1e-12);
    assert!(!node.localised(&found).is_empty());
    assert!((from(&mut node) - 2.5).abs() < 1e-12);
    found.pose.pose.position.x = f64::NAN;
    assert!(said(&node.localised(&found), Level::Warning).starts_with("start ignored: "));
    assert!((from(&mut node) - 2.5).abs() < 1e-12);
}

#[test]
fn a_goal_that_waits_for_a_start_takes_that_of_localisation() {
    let mut node = node();
    node.map("/map", grid("map"));
    assert!(published(&node.goal(&goal("map", 4.0))).is_empty());
    planned(&node.localised(&start("map")));
}

fn update(x: i32, value: i8) -> OccupancyGridUpdate {
    OccupancyGridUpdate { header: header("map"), x, y: 0, width: 1, height: 1, data: vec![value] }
}

#[test]
fn a_costmap_is_prepared_for_a_plan_and_not_before() {
    let mut node = node();
    assert!(node.costmap_update(&update(0, 100)).is_empty(), "an update before the costmap is of an older one");
    let actions = node.costmap("/costmap", grid("map"));
    assert!(
        said(&actions, Level::Info).starts_with("costmap received: 4 x 3 cells of 0.5 m in frame `map`"),
        "{actions:?}"
    );
    assert!(node.costmap("/costmap", grid("map")).is_empty(), "the next is the same with other values");
    node.start(&start("map"));
    planned(&node.goal(&goal("map", 4.0)));
    planned(&node.goal(&goal("map", 4.0)));
    // A wall comes and goes.
    assert!(node.costmap_update(&update(3, 100)).is_empty());
    refused(&node.goal(&goal("map", 4.0)), "map", "a wall is between");
    fails(&node.compute(&action("map", 4.0, None)), PathError::NoValidPath, "a wall is between");
    node.costmap_update(&update(3, 0));
    planned(&node.goal(&goal("map", 4.0)));
    // What does not fit changes nothing.
    let warning = said(&node.costmap_update(&update(4, 100)), Level::Warning);
    assert!(
        warning.contains("1x1 cells at 4,0 are not within the costmap's 4x3; the update is passed over"),
        "{warning}"
    );
    planned(&node.goal(&goal("map", 4.0)));
    let mut short = grid("map");
    short.data.truncate(11);
    let warning = said(&node.costmap("/costmap", short), Level::Warning);
    assert!(warning.contains("costmap refused: /costmap: 11 values") && warning.ends_with("the map before it stays"));
    planned(&node.goal(&goal("map", 4.0)));
}

#[test]
fn a_costmap_that_the_planner_refuses_is_the_plan_s_failure_alone() {
    let mut node = Planning::new(Straight { refuse: Some(0.3), ..Straight::default() }, Parameters::default());
    node.costmap("/costmap", grid("map"));
    node.start(&start("map"));
    let wide = PlannerSettings { robot: Robot { radius: 0.4, ..Robot::default() }, ..PlannerSettings::default() };
    let actions = node.parameters(Parameters { planner: wide, ..Parameters::default() });
    assert!(said(&actions, Level::Info).contains("the costmap is prepared anew for the next goal"), "{actions:?}");
    refused(&node.goal(&goal("map", 4.0)), "map", "no plan: the costmap cannot be used: planner: no cell is free");
    fails(&node.compute(&action("map", 4.0, None)), PathError::Unknown, "the costmap cannot be used");
    node.parameters(Parameters::default());
    planned(&node.goal(&goal("map", 4.0)));
}
