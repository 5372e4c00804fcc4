//! `trm-host ros2`: the planner as a node of ROS 2.

use anyhow::{anyhow, bail};
use trm_cli::backend::BackendChoice;
use trm_cli::errln;
use trm_firmware_host::ros2::nav2::Nav2Release;
use trm_firmware_host::ros2::{
    self, Level, MAX_DOMAIN, MapSource, Names, NetworkPlanner, Options, PRIVATE_PLAN, Parameters, PlannerSettings,
    PlanningNode, Rmw,
};
use trm_intake::shown;
use trm_plan::{Fallback, Inflation, Pose, Robot, UnknownSpace};
use trm_solver::Model;

use crate::interrupt;

/// Plan on a robot's map: a node of ROS 2.
///
/// Takes a map or a costmap, a start and a goal, and publishes a path that was checked on it; a path without poses says that there
/// is none, and the log why. Serves nav2's action `ComputePathToPose` as well. No ROS 2 has to be installed. What is said here to be a
/// parameter can be changed by `ros2 param set` while the node runs. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Metres from the robot's centre to its farthest point [parameter `robot_radius`]
    #[arg(long, value_name = "METRES", default_value_t = Robot::default().radius, value_parser = radius)]
    radius: f64,
    /// What unknown space is: blocked or free [parameter `unknown_space`]
    #[arg(long, value_name = "WHAT", default_value = "blocked", value_parser = ros2::unknown_space)]
    unknown: UnknownSpace,
    /// Cells of this value and more are obstacles, 1 to 100 [parameter `occupied_from`]
    #[arg(long, value_name = "VALUE", default_value_t = Robot::default().occupied_from, value_parser = occupied_from)]
    occupied_from: i8,
    /// What stands in where the network fails: astar or none [parameter `fallback`]
    #[arg(long, value_name = "WHAT", default_value = "astar", value_parser = ros2::fallback)]
    fallback: Fallback,
    /// Metres between two poses of a path, at most; 0 for its corners alone [parameter `path_spacing`]
    #[arg(long, value_name = "METRES", default_value_t = PlannerSettings::default().spacing, value_parser = spacing)]
    spacing: f64,
    /// Metres from an obstacle within which ground is dear, as with nav2's inflation layer; 0 for none. With it exact search
    /// plans [parameter `inflation_radius`]
    #[arg(long, value_name = "METRES", default_value_t = 0.0, value_parser = inflation)]
    inflation: f64,
    /// The rate at which that falls, per metre [parameter `cost_scaling_factor`]
    #[arg(long, value_name = "FACTOR", default_value_t = Inflation::SCALING, value_parser = scaling)]
    cost_scaling: f64,
    /// Lead a robot that stands too close to an obstacle out to the nearest free place first [parameter `escape`]
    #[arg(long)]
    escape: bool,
    /// Where to plan from until a start arrives by message: metres and radians in the map's frame [parameter `start`]
    #[arg(long, value_name = "X,Y[,YAW]", value_parser = pose, allow_hyphen_values = true)]
    start: Option<Pose>,
    /// Take goals and starts of any frame as if they were in the map's [parameter `check_frames`]
    #[arg(long)]
    any_frame: bool,
    #[command(flatten)]
    surroundings: Surroundings,
    /// Maze model: a shipped one's name, or a bundle's folder
    #[arg(long, value_name = "MODEL", default_value = "maze")]
    model: String,
    /// Engine that runs it
    #[arg(long, value_name = "ENGINE", default_value_t = BackendChoice::default_engine())]
    backend: BackendChoice,
    /// Sessions that work side by side; 0 takes one for each core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=256))]
    lanes: u16,
    /// Segments that a session works on together: 1 on a processor, 32 with one session on a GPU
    #[arg(long, value_name = "ROWS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
}

/// The nodes around this one, and what it is called among them.
#[derive(Debug, clap::Args)]
struct Surroundings {
    /// Domain of the network, 0 to 232; by default what `ROS_DOMAIN_ID` says, else 0
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(..=i64::from(MAX_DOMAIN)))]
    domain: Option<u16>,
    /// Name of the node
    #[arg(long, value_name = "NAME", default_value_t = Options::default().name)]
    name: String,
    /// Namespace of the node
    #[arg(long, value_name = "NAMESPACE", default_value_t = Options::default().namespace)]
    namespace: String,
    /// Use another name: map:=/slam/map; of `map`, `goal_pose`, `initialpose`, `amcl_pose`, `plan` and `compute_path_to_pose`. A name
    /// that begins with ~/ is under the node's name
    #[arg(short, long, value_name = "FROM:=TO", value_parser = remapping)]
    remap: Vec<(Topic, String)>,
    /// Take maps from publishers that do not keep them for those who come late, too
    #[arg(long)]
    volatile_map: bool,
    /// Plan on a costmap of nav2 and its updates instead of a map: radius and inflation are in it
    #[arg(long, value_name = "TOPIC", num_args = 0..=1, default_missing_value = "/global_costmap/costmap",
        conflicts_with_all = ["radius", "occupied_from", "inflation", "cost_scaling"])]
    costmap: Option<String>,
    /// Publish the plan under the node's name, as ~/plan: nav2's planner server publishes plan
    #[arg(long)]
    beside_nav2: bool,
    /// Layout of the action's result: humble, iron (with `error_code`), or kilted (with `error_msg`; new packages of Jazzy have it, too)
    #[arg(long, value_name = "RELEASE", default_value = "kilted", value_parser = Nav2Release::parse)]
    nav2: Nav2Release,
    /// Middleware of those who call the action: fastrtps or cyclonedds; by default what `RMW_IMPLEMENTATION` says, else fastrtps
    #[arg(long, value_name = "RMW", value_parser = Rmw::parse)]
    rmw: Option<Rmw>,
}

#[derive(Debug, Clone, Copy)]
enum Topic {
    Map,
    Goal,
    Start,
    Localised,
    Plan,
    Action,
}

/// Is the node until it is interrupted.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let planner = planner(args)?;
    log(Level::Info, &format!("plans with {}", planner.describe()));
    let node = PlanningNode::start(planner, &options(&args.surroundings)?, parameters(args), log)?;
    let stopper = node.stopper();
    interrupt::on_signal(move || {
        stopper.stop();
        // Whatever it is planning is not waited for.
        std::thread::sleep(interrupt::LAST_WAIT);
        std::process::exit(0);
    })?;
    node.run();
    Ok(())
}

fn planner(args: &Args) -> anyhow::Result<NetworkPlanner> {
    let engine = args.backend.open()?;
    let lanes = if args.lanes == 0 { ros2::cores() } else { args.lanes.into() };
    Ok(NetworkPlanner::load(engine.as_ref(), &Model::open(&args.model)?, lanes, args.batch.into())?)
}

fn options(args: &Surroundings) -> anyhow::Result<Options> {
    let mut names = Names::default();
    if args.beside_nav2 {
        PRIVATE_PLAN.clone_into(&mut names.plan);
    }
    if let Some(costmap) = &args.costmap {
        names.map.clone_from(costmap);
    }
    for (topic, name) in &args.remap {
        let from = match topic {
            Topic::Map => &mut names.map,
            Topic::Goal => &mut names.goal,
            Topic::Start => &mut names.start,
            Topic::Localised => &mut names.localised,
            Topic::Plan => &mut names.plan,
            Topic::Action => &mut names.action,
        };
        from.clone_from(name);
    }
    Ok(Options {
        name: args.name.clone(),
        namespace: args.namespace.clone(),
        domain: args.domain.map_or_else(domain_of_environment, Ok)?,
        names,
        map: if args.costmap.is_some() { MapSource::Costmap } else { MapSource::Map },
        latched_map: !args.volatile_map,
        release: args.nav2,
        rmw: args.rmw.map_or_else(rmw_of_environment, Ok)?,
    })
}

fn rmw_of_environment() -> anyhow::Result<Rmw> {
    match std::env::var("RMW_IMPLEMENTATION") {
        Ok(text) if !text.is_empty() => {
            Rmw::parse(&text).map_err(|why| anyhow!("RMW_IMPLEMENTATION: {why}\nhint: --rmw goes before it"))
        }
        _ => Ok(Rmw::default()),
    }
}

fn domain_of_environment() -> anyhow::Result<u16> {
    match std::env::var("ROS_DOMAIN_ID") {
        Ok(text) if !text.is_empty() => match text.parse() {
            Ok(domain) if domain <= MAX_DOMAIN => Ok(domain),
            _ => bail!("ROS_DOMAIN_ID is `{text}`, expected 0 to {MAX_DOMAIN}\nhint: --domain goes before it"),
        },
        _ => Ok(0),
    }
}

fn parameters(args: &Args) -> Parameters {
    let robot = Robot { radius: args.radius, unknown: args.unknown, occupied_from: args.occupied_from };
    Parameters {
        planner: PlannerSettings {
            robot,
            fallback: args.fallback,
            spacing: args.spacing,
            inflation: Inflation { radius: args.inflation, scaling: args.cost_scaling },
            escape: args.escape,
        },
        check_frames: !args.any_frame,
        start: args.start,
    }
}

fn log(level: Level, text: &str) {
    let text = shown::line(text);
    match level {
        Level::Info => errln!("ros2: {text}"),
        Level::Warning => errln!("ros2: warning: {text}"),
        Level::Error => errln!("ros2: error: {text}"),
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is no number"))
}

fn radius(text: &str) -> Result<f64, String> {
    ros2::metres("the radius", number(text)?)
}

fn inflation(text: &str) -> Result<f64, String> {
    ros2::metres("the inflation", number(text)?)
}

fn scaling(text: &str) -> Result<f64, String> {
    ros2::scaling(number(text)?)
}

fn spacing(text: &str) -> Result<f64, String> {
    ros2::metres("the spacing", number(text)?)
}

fn occupied_from(text: &str) -> Result<i8, String> {
    ros2::occupied_from(text.parse().map_err(|_| format!("`{text}` is no whole number"))?)
}

fn pose(text: &str) -> Result<Pose, String> {
    ros2::pose(&text.split(',').map(number).collect::<Result<Vec<_>, _>>()?)
}

fn remapping(text: &str) -> Result<(Topic, String), String> {
    let (from, to) = text.split_once(":=").ok_or("expected FROM:=TO, such as map:=/slam/map")?;
    let topic = match from.trim_start_matches('/') {
        "map" => Topic::Map,
        "goal_pose" => Topic::Goal,
        "initialpose" => Topic::Start,
        "amcl_pose" => Topic::Localised,
        "plan" => Topic::Plan,
        "compute_path_to_pose" => Topic::Action,
        _ => {
            return Err(format!(
                "there is no topic `{from}`, expected map, goal_pose, initialpose, amcl_pose, plan or compute_path_to_pose"
            ));
        }
    };
    Ok((topic, to.to_owned()))
}
