//! Prints plans: waypoints for people, an object for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use trm_plan::{LayerSource, Outcome, Plan, PlannedPath, Planner, Pose, SegmentPlanner};
use trm_solver::Network;

use super::{Args, Finder, LoadTimes, Optimum};

/// A plan. Other programs rely on the first seven keys.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Plan")]
pub(crate) struct JsonPlan<'a> {
    /// `planned`, or why there is no path.
    status: &'static str,
    /// Waypoints: x and y in metres, and the direction in radians, in the map's frame.
    path: Vec<[f64; 3]>,
    /// Metres.
    length_m: Option<f64>,
    /// Metres of a shortest path over the cells.
    optimal_length_m: Option<f64>,
    /// The share of the length that the network planned, 0 to 1.
    network_share: Option<f64>,
    /// Steps of the network.
    steps: usize,
    /// Milliseconds for everything but reading the map and loading the model.
    ms: f64,
    /// The frame of the path.
    frame: &'a str,
    /// The least distance to an obstacle, in metres.
    clearance_m: Option<f64>,
    /// The same at the median along the path.
    clearance_median_m: Option<f64>,
    /// Metres of free ground that cost as much as the path; null without costs.
    cost: Option<f64>,
    /// The same of a cheapest path over the cells.
    optimal_cost: Option<f64>,
    /// Poses at the beginning that lead out of a place too close to an obstacle (`--escape`).
    way_out: usize,
    /// For each waypoint, whether the line to the next one is the network's.
    by_network: Vec<bool>,
    /// Parts that were planned one by one.
    segments: usize,
    /// Those of them that the network planned.
    network_segments: usize,
    /// The reason why there is no path.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Milliseconds by what took them.
    ms_by: JsonTime,
    /// The map's file.
    map: &'a str,
    /// Rows and columns of the map.
    map_cells: [usize; 2],
    /// Metres of a cell of the map.
    resolution_m: f64,
    /// Metres of a cell that is planned on.
    planning_cell_m: f64,
    /// The robot's radius in metres.
    radius_m: f64,
    /// The network's model; null where exact search planned alone. So are the two that follow.
    model: Option<&'a str>,
    backend: Option<&'a str>,
    provider: Option<&'a str>,
    fallbacks: &'a [String],
    /// The model of costs; null without one.
    cost_model: Option<&'a str>,
    /// The engine that it ran on.
    cost_backend: Option<&'static str>,
    /// The layers that it read.
    layers: BTreeMap<String, serde_json::Value>,
}

/// Milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
struct JsonTime {
    read_map: f64,
    /// The model of costs: loading it, and looking at the map.
    costs: f64,
    prepare_map: f64,
    load_model: f64,
    route: f64,
    network: f64,
    smoothing: f64,
    check: f64,
}

/// A layer as files of drives have it.
fn value(source: LayerSource) -> serde_json::Value {
    match source {
        LayerSource::Value(value) => value.into(),
        LayerSource::File(file) => file.display().to_string().into(),
    }
}

/// Milliseconds, rounded to thousandths.
pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// One JSON object in one line.
pub(super) fn write_json(
    out: &mut impl Write,
    args: &Args,
    planner: &Planner<Finder>,
    plan: &Plan,
    optimum: Optimum,
    times: &LoadTimes,
    fallbacks: &[String],
) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &json(args, planner, plan, optimum, times, fallbacks))?;
    writeln!(out)
}

fn json<'a>(
    args: &'a Args,
    planner: &'a Planner<Finder>,
    plan: &Plan,
    optimum: Optimum,
    times: &'a LoadTimes,
    fallbacks: &'a [String],
) -> JsonPlan<'a> {
    let learned = times.learned.as_ref();
    let (terrain, network) = (planner.terrain(), planner.solver().0.as_ref());
    let path = match &plan.outcome {
        Outcome::Planned(path) => Some(path),
        _ => None,
    };
    let (waypoints, by_network) = path.map_or_else(Default::default, |path| match args.spacing {
        Some(spacing) => path.divided(spacing).into_iter().unzip(),
        None => (path.poses.clone(), path.by_network.clone()),
    });
    let (segments, network_segments) = path.map_or((0, 0), counts);
    let map = terrain.map();
    JsonPlan {
        status: status(&plan.outcome),
        path: waypoints.iter().map(|pose| [pose.x, pose.y, pose.yaw]).collect(),
        length_m: path.map(|path| path.length),
        optimal_length_m: optimum.length,
        network_share: path.and_then(PlannedPath::network_share),
        steps: path.map_or(0, PlannedPath::steps),
        ms: ms(plan.time.total),
        frame: map.frame(),
        // A map without obstacles has no such distance, nor has JSON an infinity.
        clearance_m: path.map(|path| path.clearance).filter(|clearance| clearance.is_finite()),
        clearance_median_m: path.map(|path| path.median_clearance).filter(|clearance| clearance.is_finite()),
        cost: path.and_then(|path| path.cost),
        optimal_cost: optimum.cost,
        way_out: path.map_or(0, |path| path.way_out),
        by_network,
        segments,
        network_segments,
        reason: reason(&plan.outcome),
        ms_by: JsonTime {
            read_map: ms(times.read.saturating_sub(learned.map_or(Duration::ZERO, |learned| learned.time))),
            costs: ms(learned.map_or(Duration::ZERO, |learned| learned.time)),
            prepare_map: ms(times.prepared),
            load_model: ms(times.model),
            route: ms(plan.time.route),
            network: ms(plan.time.network),
            smoothing: ms(plan.time.smoothing),
            check: ms(plan.time.check),
        },
        map: map.source(),
        map_cells: [map.width(), map.height()],
        resolution_m: map.resolution(),
        planning_cell_m: rounded(terrain.planning_cell()),
        radius_m: terrain.robot().radius,
        model: network.map(Network::name),
        backend: network.map(Network::backend),
        provider: network.map(Network::provider),
        fallbacks,
        cost_model: learned.map(|learned| learned.name.as_str()),
        cost_backend: learned.map(|learned| learned.engine),
        layers: args.costs.layers().into_iter().map(|(name, source)| (name, value(source))).collect(),
    }
}

fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Planned(_) => "planned",
        Outcome::Unreachable { .. } => "unreachable",
        Outcome::NetworkFailed { .. } | Outcome::DoesNotFit { .. } => "failed",
    }
}

/// Segments, and those that the network solved.
fn counts(path: &PlannedPath) -> (usize, usize) {
    let by_network = path.segments.iter().filter(|segment| segment.planner == SegmentPlanner::Network).count();
    (path.segments.len(), by_network)
}

/// Returns the reason why there is no path; `None` if there is one.
fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Planned(_) => None,
        Outcome::Unreachable { reachable_cells } => Some(format!(
            "no way leads to the goal: the {reachable_cells} free cells that can be reached from the start do not hold it"
        )),
        Outcome::DoesNotFit { fault } => {
            Some(format!("no path was found on which the footprint fits: on the narrowest tried, {fault}"))
        }
        Outcome::NetworkFailed { failed, segments } => Some(format!(
            "the network found no verified path through {failed} of {segments} segments, and --fallback is none"
        )),
    }
}

/// A table of waypoints, and what is to be said about them.
pub(super) fn write_plan(
    out: &mut impl Write,
    args: &Args,
    planner: &Planner<Finder>,
    plan: &Plan,
    optimum: Optimum,
) -> io::Result<()> {
    let (terrain, network) = (planner.terrain(), planner.solver().0.as_ref());
    let map = terrain.map();
    writeln!(
        out,
        "{}  {} x {} cells of {} m, planned in cells of {} m for a robot of radius {} m",
        map.source(),
        map.width(),
        map.height(),
        rounded(map.resolution()),
        rounded(terrain.planning_cell()),
        terrain.robot().radius
    )?;
    let Outcome::Planned(path) = &plan.outcome else {
        writeln!(out, "{}: {}", status(&plan.outcome), reason(&plan.outcome).unwrap_or_default())?;
        return writeln!(out, "{:.1} ms", plan.time.total.as_secs_f64() * 1e3);
    };
    writeln!(out, "{:>10} {:>10} {:>8}", "x m", "y m", "yaw rad")?;
    let divided = args.spacing.map(|spacing| path.divided(spacing));
    let poses: Vec<Pose> = match divided {
        Some(divided) => divided.into_iter().map(|(pose, _)| pose).collect(),
        None => path.poses.clone(),
    };
    for pose in &poses {
        writeln!(out, "{:>10.3} {:>10.3} {:>8.3}", pose.x, pose.y, pose.yaw)?;
    }
    let compared = |value: f64, optimum: Option<f64>, what: &str| {
        optimum.filter(|&optimum| optimum > 0.0).map_or_else(String::new, |optimum| {
            format!(", {:.3} of the exact optimum in eight directions ({optimum:.2} m{what})", value / optimum)
        })
    };
    writeln!(out, "planned and checked: {:.2} m{}", path.length, compared(path.length, optimum.length, ""))?;
    if let Some(cost) = path.cost {
        writeln!(out, "cost: {cost:.2} m of free ground{}", compared(cost, optimum.cost, " of free ground"))?;
    }
    if path.way_out > 0 {
        let from = path.poses[path.way_out];
        writeln!(out, "led out of the place it stands in, to {:.3},{:.3}", from.x, from.y)?;
    }
    write!(out, "clearance {:.2} m, {:.2} m at the median; ", path.clearance, path.median_clearance)?;
    let ms = plan.time.total.as_secs_f64() * 1e3;
    let Some(network) = network else {
        writeln!(out, "by exact search")?;
        return writeln!(out, "{ms:.1} ms");
    };
    let (segments, by_network) = counts(path);
    writeln!(
        out,
        "{by_network} of {segments} segments by the network in {} steps{}",
        path.steps(),
        if by_network < segments { ", the rest by A*" } else { "" }
    )?;
    writeln!(out, "{ms:.1} ms, {} on {} ({})", network.name(), network.backend(), network.provider())
}

/// Rounds off the digits that floating point adds.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
