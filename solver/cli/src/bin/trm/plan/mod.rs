//! `trm plan`: a map, a start and a goal in, a checked path out.

mod costs;
mod output;
mod recording;
mod trial;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::ValueEnum;
use trm_cli::backend::{Backend, BackendArgs};
use trm_cli::{Exit, InvalidOption, console, errln};
use trm_engine::SessionOptions;
use trm_intake::explained;
use trm_pictures::{check_png_path, write_png};
use trm_plan::map::{LoadedMap, Scenario, scenarios, warehouse};
use trm_plan::{
    CostOptions, ExactSearch, Fallback, Footprint, Goal, MOST_POSES, Outcome, Plan, PlanError, PlanOptions, Planner,
    Pose, Robot, StopWatch, Terrain, UnknownSpace, picture,
};
use trm_solver::measure::plan_trial::{MOST_PAIRS, Pair, random_pairs};
use trm_solver::{Model, Network};

use self::costs::{CostArgs, Finder, LearnedBy};
pub(crate) use self::output::JsonPlan;
use self::output::{rounded, write_json, write_plan};

/// The model that is taken if none is named.
const DEFAULT_MODEL: &str = "maze";

/// Plan a robot's path on a map, and check it.
///
/// Reads maps of ROS' `map_server` (yaml with its image), `nav_msgs/OccupancyGrid` as json or yaml, MovingAI .map, micromouse
/// and drawn mazes. The map is reduced to a coarse grid without losing or inventing a way; an exact route over it is cut
/// into mazes of the model's size, the network solves these, and each answer is verified. The path is smoothed and then
/// checked on the map itself. Where the network fails, the exact route fills in, and the output says so.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(group = clap::ArgGroup::new("measure").args(["pairs", "scenarios"]))]
pub(crate) struct Args {
    /// The map; `warehouse:WIDTHxHEIGHT[:SEED]` makes one of that many cells to measure on
    #[arg(long, value_name = "FILE")]
    map: PathBuf,
    /// Where the robot is, in metres and radians of the map's frame; left out, the S of a maze
    #[arg(long, value_name = "X,Y[,YAW]", allow_hyphen_values = true, value_parser = parse_place)]
    start: Option<Place>,
    /// Where it should go; left out, the G of a maze
    #[arg(long, value_name = "X,Y[,YAW]", allow_hyphen_values = true, value_parser = parse_place)]
    goal: Option<Place>,
    /// The robot's radius, in metres; left out, 0.22, and 0 for mazes and MovingAI maps, which tell no metres
    #[arg(long, value_name = "M", allow_hyphen_values = true)]
    radius: Option<f64>,
    /// The robot's outline in place of a radius: its corners around its centre in metres, x ahead, as nav2 has them:
    /// [[0.3,0.2],[0.3,-0.2],[-0.3,-0.2],[-0.3,0.2]]
    #[arg(long, value_name = "CORNERS", allow_hyphen_values = true, value_parser = parse_footprint,
        conflicts_with_all = ["radius", "pairs", "scenarios"])]
    footprint: Option<Footprint>,
    /// What unknown space is
    #[arg(long, value_name = "KIND", default_value = "blocked")]
    unknown: UnknownKind,
    /// Cells of this value and more are obstacles, of 100
    #[arg(long, value_name = "VALUE", default_value_t = 65)]
    occupied_from: i8,
    /// Metres a cell, instead of what the map says (mazes and MovingAI maps: 1)
    #[arg(long, value_name = "M", allow_hyphen_values = true)]
    resolution: Option<f64>,
    /// Who fills in where the network has no verified path
    #[arg(long, value_name = "WHO", default_value = "astar")]
    fallback: FallbackKind,
    #[arg(long, short, value_name = "NAME|DIR", help = format!("A shipped maze model's name, or a bundle's folder [default: {DEFAULT_MODEL}]"))]
    model: Option<String>,
    /// Cells along a side of the windows of a model of any size, at most as many as the coarse grid has
    #[arg(long, value_name = "CELLS", default_value_t = Network::WINDOW as u16, value_parser = clap::value_parser!(u16).range(1..=254))]
    window: u16,
    /// Most steps of the network's attempt at a segment; left out, 6, or a model of any size's own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_steps: Option<u32>,
    /// Symmetric copies of a segment to try when its path is not verified; 0 for none
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u16).range(..=7))]
    tries: u16,
    /// Milliseconds after which the network begins no further step; 0 for no limit, so that a plan does not depend on what else
    /// runs
    #[arg(long, value_name = "MS", default_value_t = 0)]
    network_limit: u64,
    /// How much longer than the exact route a segment of the network's may be, both pulled tight; not used with
    /// --fallback none
    #[arg(long, value_name = "FACTOR", default_value_t = 1.2)]
    max_detour: f64,
    /// Sessions that work side by side; 0 takes one for each core, on a GPU one
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=256))]
    lanes: u16,
    /// Segments that a session works on together; 0 takes 1, on a GPU 32
    #[arg(long, value_name = "ROWS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=65_536))]
    batch: u32,
    /// Lead a robot that stands too close to an obstacle, as one that is docked, out to the nearest free place first
    #[arg(long)]
    escape: bool,
    /// Keep the path as the planning grid has it, or exact search by costs
    #[arg(long)]
    no_smooth: bool,
    /// Put a waypoint at least every so many metres; left out, at corners only
    #[arg(long, value_name = "M")]
    spacing: Option<f64>,
    /// Skip the exact search that gives the optimal length
    #[arg(long)]
    no_optimum: bool,
    /// Measure on random pairs of free places more than 3 m apart, against exact search
    #[arg(long, value_name = "N", conflicts_with_all = ["start", "goal", "png", "mcap"],
        value_parser = clap::value_parser!(u64).range(..=MOST_PAIRS as u64))]
    pairs: Option<u64>,
    /// Measure on the scenarios in the .scen beside a MovingAI map, against exact search and the lengths it gives
    #[arg(long, conflicts_with_all = ["start", "goal", "png", "mcap"])]
    scenarios: bool,
    /// Seed of the random pairs and of the symmetries
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Also draw map, inflation and path into this file: blue by the network, red by the fallback
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Also write map, costs, path and the network's windows into this file, for Foxglove, Rerun and other viewers of ROS 2
    /// recordings
    #[arg(long, value_name = "FILE")]
    mcap: Option<PathBuf>,
    #[command(flatten)]
    costs: CostArgs,
    #[command(flatten)]
    backend: BackendArgs,
}

/// What unknown space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UnknownKind {
    /// An obstacle
    Blocked,
    /// Free
    Free,
}

/// Who fills in for the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FallbackKind {
    /// The exact route over the coarse grid
    #[value(name = "astar")]
    AStar,
    /// Nobody: planning fails
    None,
}

/// A place as it is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    x: f64,
    y: f64,
    yaw: Option<f64>,
}

impl Place {
    fn pose(&self) -> Pose {
        Pose { x: self.x, y: self.y, yaw: self.yaw.unwrap_or(0.0) }
    }
}

fn parse_place(text: &str) -> Result<Place, String> {
    let expected = || format!("expected x,y or x,y,yaw in metres and radians, such as 1.5,-2; found `{text}`");
    let numbers: Vec<f64> = text
        .split(',')
        .map(|number| number.trim().parse().ok().filter(|number: &f64| number.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(expected)?;
    match numbers[..] {
        [x, y] => Ok(Place { x, y, yaw: None }),
        [x, y, yaw] => Ok(Place { x, y, yaw: Some(yaw) }),
        _ => Err(expected()),
    }
}

fn parse_footprint(text: &str) -> Result<Footprint, String> {
    text.parse().map_err(|error: PlanError| explained(&error))
}

/// Runs the command.
pub(crate) fn run(args: &Args, verbose: bool) -> anyhow::Result<Exit> {
    if let Some(path) = &args.png {
        let read: Vec<_> = std::iter::once(&args.map).chain(args.costs.files()).map(PathBuf::as_path).collect();
        check_png_path(path, &read).map_err(InvalidOption::named("--png"))?;
    }
    args.costs.check(args.model.as_ref())?;
    if let Some(spacing) = args.spacing.filter(|spacing| !(spacing.is_finite() && *spacing > 0.0)) {
        bail!("--spacing {spacing}: expected metres above zero");
    }
    if !(args.max_detour.is_finite() && args.max_detour >= 1.0) {
        bail!("--max-detour {}: expected a factor of 1 or more, such as 1.2", args.max_detour);
    }
    let mut watch = StopWatch::start();
    let loaded = load_map(args)?;
    recording::check(args, &loaded)?;
    if let (Some(path), Some(image)) = (&args.png, &loaded.image) {
        check_png_path(path, &[image]).map_err(InvalidOption::named("--png"))?;
    }
    let robot = args.robot(&loaded);
    // What the map's file says beside it, before its cells are divided.
    let task = task(args, &loaded, &robot)?;
    let goal = match task {
        Task::Plan(_, goal) => Some(goal),
        _ => None,
    };
    let (costs, learned) = args.costs.read(&loaded.map, &robot, goal, &args.backend)?;
    let read = watch.lap();
    let terrain = Terrain::with_costs(loaded.map, robot, &costs)?;
    note_parts(&terrain);
    if let Task::Plan(start, goal) = task {
        // Before the model is loaded.
        if !args.escape {
            terrain.free_cell("start", start.x, start.y)?;
        }
        terrain.free_cell("goal", goal.x, goal.y)?;
    }
    let prepared = watch.lap();
    let (network, steps, fallbacks) = if costs.is_empty() {
        let model = Model::open(args.model.as_deref().unwrap_or(DEFAULT_MODEL))?;
        let (rows, columns) = terrain.planning_size();
        let side = |cells: usize| cells.min(args.window.into());
        let model = Network::for_windows(&model, (side(rows), side(columns)))?;
        let backend = args.backend.open(verbose)?;
        let (network, fallbacks) = load_network(args, &model, &backend)?;
        (Some(network), Network::steps(&model), fallbacks)
    } else {
        (None, 1, Vec::new())
    };
    let times = LoadTimes { read, prepared, model: watch.lap(), learned };
    let mut planner = Planner::new(terrain, Finder(network), args.options(steps));
    match task {
        Task::Plan(start, goal) => plan_one(args, &mut planner, &costs, (start, goal), &times, &fallbacks),
        Task::RandomPairs(count) => {
            let pairs = random_pairs(planner.terrain(), count, args.seed)?;
            trial::run(args, &mut planner, &pairs, None, &times, &fallbacks)
        }
        Task::Scenarios(scenarios) => {
            let pair = |scenario: &Scenario| Pair { start: scenario.start, goal: scenario.goal };
            let pairs: Vec<Pair> = scenarios.iter().map(pair).collect();
            trial::run(args, &mut planner, &pairs, Some(&scenarios), &times, &fallbacks)
        }
    }
}

/// A job on the map.
enum Task {
    Plan(Pose, Goal),
    RandomPairs(usize),
    Scenarios(Vec<Scenario>),
}

fn task(args: &Args, loaded: &LoadedMap, robot: &Robot) -> anyhow::Result<Task> {
    match args.pairs {
        Some(0) => bail!("--pairs 0: nothing to measure"),
        Some(count) => Ok(Task::RandomPairs(usize::try_from(count)?)),
        None if args.scenarios => {
            if robot.radius > 0.0 {
                bail!("--radius {}: the lengths of scenarios are for a point\nhint: leave --radius out", robot.radius);
            }
            Ok(Task::Scenarios(read_scenarios(args, loaded)?))
        }
        None => ends(args, loaded).map(|(start, goal)| Task::Plan(start, goal)),
    }
}

fn read_scenarios(args: &Args, loaded: &LoadedMap) -> anyhow::Result<Vec<Scenario>> {
    let mut file = args.map.clone().into_os_string();
    file.push(".scen");
    let found = scenarios(file.as_ref(), &loaded.map)?;
    if found.is_empty() {
        bail!("{}: no scenarios in the file", file.display());
    }
    Ok(found)
}

/// Says that the map's cells were divided.
fn note_parts(terrain: &Terrain) {
    let (parts, map) = (terrain.parts(), terrain.map());
    if parts > 1 {
        errln!(
            "note: cells of {} m are larger than the robot's radius of {} m: each is divided into {parts} x {parts}",
            rounded(map.resolution() * parts as f64),
            terrain.robot().radius
        );
    }
}

impl Args {
    fn robot(&self, loaded: &LoadedMap) -> Robot {
        let unknown = match self.unknown {
            UnknownKind::Blocked => UnknownSpace::Blocked,
            UnknownKind::Free => UnknownSpace::Free,
        };
        let default = if loaded.metric { Robot::default().radius } else { 0.0 };
        let radius = self.footprint.as_ref().map(Footprint::inscribed).or(self.radius);
        Robot { radius: radius.unwrap_or(default), unknown, occupied_from: self.occupied_from }
    }

    fn options(&self, steps: usize) -> PlanOptions {
        PlanOptions {
            fallback: match self.fallback {
                FallbackKind::AStar => Fallback::AStar,
                FallbackKind::None => Fallback::None,
            },
            max_steps: self.max_steps.map_or(steps, |steps| steps as usize),
            tries: self.tries.into(),
            seed: self.seed,
            network_limit: (self.network_limit > 0).then(|| Duration::from_millis(self.network_limit)),
            max_detour: self.max_detour,
            smooth: !self.no_smooth,
            escape: self.escape,
            footprint: self.footprint.clone(),
            turns_at_start: self.start.is_some_and(|start| start.yaw.is_some()),
        }
    }
}

/// The best that exact search finds, cell by cell in eight directions.
#[derive(Clone, Copy, Default)]
struct Optimum {
    /// Metres of the shortest path.
    length: Option<f64>,
    /// Metres of free ground that the cheapest path costs, where there are costs.
    cost: Option<f64>,
}

/// Times of the steps before planning.
struct LoadTimes {
    read: Duration,
    prepared: Duration,
    model: Duration,
    /// The model of costs, and its part of `read`.
    learned: Option<LearnedBy>,
}

fn load_map(args: &Args) -> anyhow::Result<LoadedMap> {
    let loaded = match args.map.to_str().and_then(parse_warehouse) {
        Some((width, height, seed)) => LoadedMap::from(warehouse(width, height, seed)?),
        None => LoadedMap::read(&args.map)?,
    };
    if let Some(note) = &loaded.note {
        errln!("note: {}", explained(note));
    }
    Ok(match args.resolution {
        Some(resolution) => loaded.with_resolution(resolution)?,
        None => loaded,
    })
}

/// `warehouse:1674x1006` or `warehouse:1674x1006:7`.
fn parse_warehouse(text: &str) -> Option<(usize, usize, u64)> {
    let (size, seed) = match text.strip_prefix("warehouse:")?.split_once(':') {
        Some((size, seed)) => (size, seed.parse().ok()?),
        None => (text.strip_prefix("warehouse:")?, 0),
    };
    let (width, height) = size.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?, seed))
}

fn ends(args: &Args, loaded: &LoadedMap) -> anyhow::Result<(Pose, Goal)> {
    let (start, goal) = (args.start.map(|place| place.pose()).or(loaded.start), args.goal);
    let Some(start) = start else {
        bail!(
            "--start is missing, and {} has no S\nhint: --start X,Y in metres of the map's frame",
            args.map.display()
        );
    };
    let goal = match (goal, loaded.goal) {
        (Some(place), _) => Goal { x: place.x, y: place.y, yaw: place.yaw },
        (None, Some(pose)) => Goal { x: pose.x, y: pose.y, yaw: None },
        (None, None) => {
            bail!(
                "--goal is missing, and {} has no G\nhint: --goal X,Y in metres of the map's frame",
                args.map.display()
            )
        }
    };
    Ok((start, goal))
}

/// The sessions of the network: on a processor one of few rows for each core, on a GPU one of many rows.
fn load_network(args: &Args, model: &Model, backend: &Backend) -> anyhow::Result<(Network, Vec<String>)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let on_gpu = args.backend.wants_gpu();
    let lanes = match (args.lanes, on_gpu) {
        (0, true) => 1,
        (0, false) => cores,
        (lanes, _) => lanes.into(),
    };
    let rows = match (args.batch, on_gpu) {
        (0, true) => 32,
        (0, false) => 1,
        (rows, _) => rows as usize,
    };
    Network::check_memory(model, lanes, rows)?;
    let mut options: SessionOptions = args.backend.session_options(rows);
    if options.threads == 0 && lanes > 1 {
        options.threads = (cores / lanes).max(1);
    }
    let mut fallbacks = Vec::new();
    let network = Network::new(model, lanes, || {
        let loaded = backend.load_step(model.bundle(), &options)?;
        fallbacks = loaded.fallbacks;
        Ok(loaded.session)
    })?;
    Ok((network, fallbacks))
}

/// Plans; a robot that is not round with one radius after the other, from that of the circle around it, until it fits.
fn plan_fitting(
    args: &Args,
    planner: &mut Planner<Finder>,
    costs: &CostOptions,
    start: Pose,
    goal: Goal,
) -> anyhow::Result<Plan> {
    let began = Instant::now();
    let Some(footprint) = &args.footprint else { return Ok(planner.plan(start, goal)?) };
    let (map, robot) = (planner.terrain().map().clone(), *planner.terrain().robot());
    for radius in footprint.radii(map.resolution()) {
        let terrain = Terrain::with_costs(map.clone(), Robot { radius, ..robot }, costs)?;
        planner.set_terrain(terrain);
        // A start or goal may be free for a smaller circle.
        if let Ok(mut plan @ Plan { outcome: Outcome::Planned(_), .. }) = planner.plan(start, goal) {
            plan.time.total = began.elapsed();
            return Ok(plan);
        }
    }
    Ok(planner.plan(start, goal)?)
}

fn plan_one(
    args: &Args,
    planner: &mut Planner<Finder>,
    costs: &CostOptions,
    (start, goal): (Pose, Goal),
    times: &LoadTimes,
    fallbacks: &[String],
) -> anyhow::Result<Exit> {
    let plan = plan_fitting(args, planner, costs, start, goal)?;
    if let (Outcome::Planned(path), Some(spacing)) = (&plan.outcome, args.spacing) {
        let poses = path.poses_at(spacing);
        if poses > MOST_POSES as f64 {
            bail!(
                "--spacing {spacing}: {poses:.0} poses on a path of {:.2} m are more than the limit of {MOST_POSES}\nhint: \
                 metres between two poses, such as 0.05",
                path.length
            );
        }
    }
    let terrain = planner.terrain();
    let optimum = match &plan.outcome {
        Outcome::Planned(path) if !args.no_optimum => {
            // Behind the way out, if there is one.
            let from = path.poses.get(path.way_out).copied().unwrap_or(start);
            let (from, to) = (terrain.free_cell("start", from.x, from.y)?, terrain.free_cell("goal", goal.x, goal.y)?);
            Optimum {
                length: terrain.optimal_length(from, to, ExactSearch::AStar),
                cost: terrain.costs().and_then(|_| terrain.optimal_cost(from, to)),
            }
        }
        _ => Optimum::default(),
    };
    let path = match &plan.outcome {
        Outcome::Planned(path) => Some(path),
        _ => None,
    };
    let mut out = console::stdout();
    if args.json {
        write_json(&mut out, args, planner, &plan, optimum, times, fallbacks)?;
    } else {
        write_plan(&mut out, args, planner, &plan, optimum)?;
    }
    out.flush()?;
    if let Some(file) = &args.png {
        let goal = Pose { x: goal.x, y: goal.y, yaw: 0.0 };
        write_png(file, &picture(terrain, path, start, goal))?;
    }
    if let Some(file) = &args.mcap {
        recording::write(file, terrain, path, (start, goal), args.spacing)?;
    }
    Ok(if path.is_some() { Exit::Done } else { Exit::AnswerFailed })
}
