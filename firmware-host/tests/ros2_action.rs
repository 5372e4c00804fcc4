//! The action `ComputePathToPose` of `trm-host ros2` over this machine's loopback: the test is the client.
//!
//! `cargo xtask test dds` has a foreign client, which cannot see whose request a reply of Fast DDS' kind is of; this one can.
#![cfg_attr(feature = "ros2", expect(clippy::disallowed_methods, reason = "tests start programs"))]
#![cfg(all(unix, feature = "ros2"))]

mod ros2;

use std::time::{Duration, Instant};

use futures::executor::block_on;
use ros2_client::action::{ActionClient, ActionClientQosPolicies, GoalId, GoalStatusEnum};
use ros2_client::action_msgs::CancelGoalResponseEnum;
use ros2_client::qos::{Durability, History, QosProfile, WhenFull};
use ros2_client::{
    ActionTypeName, Context, ContextOptions, MessageTypeName, Name, Node, NodeName, NodeOptions, ServiceMapping,
};
use trm_firmware_host::ros2::messages::{Header, OccupancyGrid, PoseStamped};
use trm_firmware_host::ros2::nav2::{KiltedResult, PathFeedback, PathGoal};
use trm_plan::Pose;

use self::ros2::{PATIENCE, Planner, domain, wait};

type Client = ActionClient<PathGoal, KiltedResult, PathFeedback>;

/// A node in a domain, whose topics and replies are received while it lives.
fn node(domain: u16) -> Node {
    let context = Context::with_options(ContextOptions::new().domain_id(domain)).unwrap();
    let mut node = context.new_node(NodeName::new("/", "behaviours").unwrap(), NodeOptions::new()).unwrap();
    let spinner = node.spinner().unwrap();
    std::thread::spawn(move || block_on(spinner.spin()));
    node
}

fn reliable(depth: usize) -> QosProfile {
    QosProfile::default().reliability_reliable(WhenFull::DEFAULT).history(History::KeepLast { depth })
}

fn latched() -> QosProfile {
    reliable(1).durability(Durability::TransientLocal)
}

fn client(node: &mut Node, mapping: ServiceMapping) -> Client {
    let qos = ActionClientQosPolicies {
        goal_service: reliable(10),
        result_service: reliable(10),
        cancel_service: reliable(10),
        feedback_subscription: reliable(10),
        status_subscription: latched(),
    };
    let name = Name::parse("/trm_planner/compute_path_to_pose").unwrap();
    let kind = ActionTypeName::new("nav2_msgs", "ComputePathToPose");
    node.create_action_client(mapping, &name, &kind, qos).unwrap()
}

/// A hall of 50 m x 50 m in cells of 5 cm, with a wall across that leaves its right end open.
fn hall() -> OccupancyGrid {
    let header = Header { frame_id: "map".into(), ..Header::default() };
    let mut grid = OccupancyGrid { header, data: vec![0; 1_000_000], ..OccupancyGrid::default() };
    (grid.info.width, grid.info.height, grid.info.resolution) = (1000, 1000, 0.05);
    grid.data[500_000..500_900].fill(100);
    grid
}

fn goal(x: f64) -> PathGoal {
    let place = |x, y| PoseStamped {
        header: Header { frame_id: "map".into(), ..Header::default() },
        pose: Pose::new(x, y, 0.0).into(),
    };
    PathGoal { goal: place(x, 45.0), start: place(5.0, 5.0), planner_id: String::new(), use_start: true }
}

/// Sends a goal until that is acknowledged: the server may not know yet where to send the first reply to.
fn send(client: &Client, x: f64) -> GoalId {
    let mut accepted = None;
    wait("a goal to be accepted", || {
        let (request, goal_id) = client.send_goal(goal(x)).unwrap();
        let again = Instant::now() + Duration::from_millis(500);
        while accepted.is_none() && Instant::now() < again {
            let response = client.receive_goal_response(request).unwrap();
            accepted = response.filter(|response| response.accepted).map(|_| goal_id);
            std::thread::sleep(Duration::from_millis(1));
        }
        accepted.is_some()
    });
    accepted.unwrap()
}

fn result(client: &Client, goal_id: GoalId) -> (GoalStatusEnum, KiltedResult) {
    let mut found = None;
    wait("a result", || {
        let request = client.request_result(goal_id).unwrap();
        let again = Instant::now() + Duration::from_secs(1);
        while found.is_none() && Instant::now() < again {
            found = client.receive_result(request).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        found.is_some()
    });
    found.unwrap()
}

fn cancel(client: &Client, goal_id: GoalId) -> CancelGoalResponseEnum {
    let mut found = None;
    wait("a reply to a cancellation", || {
        let request = client.cancel_goal(goal_id).unwrap();
        let again = Instant::now() + Duration::from_secs(1);
        while found.is_none() && Instant::now() < again {
            found = client.receive_cancel_response(request).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        found.is_some()
    });
    found.unwrap().return_code
}

/// Goals, cancellations and newer goals while one is planned to.
fn serves(domain: u16, mapping: ServiceMapping, options: &[&str], expected_poses: std::ops::Range<usize>) {
    let mut node = node(domain);
    let map = MessageTypeName::new("nav_msgs", "OccupancyGrid");
    let map = node.create_topic(&Name::new("/", "map").unwrap(), map, &latched()).unwrap();
    let map = node.create_publisher(&map, None).unwrap();
    map.publish(hall()).unwrap();
    let mut planner = Planner::start(domain, options);
    planner.says("serves /trm_planner/compute_path_to_pose");
    planner.says("map received: 1000 x 1000");
    let client = client(&mut node, mapping);

    let (status, found) = result(&client, send(&client, 5.0));
    assert_eq!((status, found.error_code, &*found.error_msg), (GoalStatusEnum::Succeeded, 0, ""));
    assert_eq!(found.path.header.frame_id, "map");
    let ends = [found.path.poses.first(), found.path.poses.last()].map(|pose| pose.unwrap().pose.position);
    assert!((ends[0].x, ends[0].y, ends[1].x, ends[1].y) == (5.0, 5.0, 5.0, 45.0), "{ends:?}");
    let poses = found.path.poses.len();
    assert!(expected_poses.contains(&poses), "{poses} poses");

    // Planning takes a tenth of a second and more, and a goal is accepted meanwhile. Whatever comes first, all agree on it.
    let mut canceled = 0;
    let deadline = Instant::now() + PATIENCE;
    while canceled == 0 {
        assert!(Instant::now() < deadline, "no goal was canceled while it was planned to");
        let goal_id = send(&client, 5.0);
        match (cancel(&client, goal_id), result(&client, goal_id)) {
            (CancelGoalResponseEnum::None, (GoalStatusEnum::Canceled, found)) => {
                assert_eq!(found, KiltedResult::default());
                canceled += 1;
            }
            (CancelGoalResponseEnum::GoalTerminated, (GoalStatusEnum::Succeeded, _)) => {}
            other => panic!("{other:?}"),
        }
    }

    let sent: Vec<GoalId> = [5.0, 6.0, 7.0, 8.0].map(|x| send(&client, x)).to_vec();
    let found: Vec<_> = sent.iter().map(|goal_id| result(&client, *goal_id)).collect();
    let (last, others) = found.split_last().unwrap();
    assert_eq!(last.0, GoalStatusEnum::Succeeded);
    assert!((last.1.path.poses.last().unwrap().pose.position.x - 8.0).abs() < 1e-9);
    let is_one_of = |status| matches!(status, GoalStatusEnum::Succeeded | GoalStatusEnum::Aborted);
    assert!(others.iter().all(|(status, _)| is_one_of(*status)), "{others:?}");
    assert!(!planner.says_soon("warning"));
    assert!(planner.interrupt().success());
}

#[test]
fn goals_are_accepted_canceled_and_replaced_while_one_is_planned_to() {
    // By its corners, or whole where a datagram is as long as that.
    serves(domain(8), ServiceMapping::Enhanced, &["--rmw", "fastrtps", "--spacing", "0.05"], 3..100);
}

#[test]
fn clients_of_cyclone_dds_are_served_as_well() {
    serves(domain(9), ServiceMapping::Cyclone, &["--rmw", "cyclonedds", "--spacing", "0.05"], 1500..2500);
}
