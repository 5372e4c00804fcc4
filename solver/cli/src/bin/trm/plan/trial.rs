//! `trm plan --pairs` and `--scenarios`: many plans, measured against exact search.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use trm_cli::{Exit, console, interrupt};
use trm_plan::Planner;
use trm_plan::map::Scenario;
use trm_solver::Network;
use trm_solver::measure::bench::Spread;
use trm_solver::measure::plan_trial::{LEAST_DISTANCE, Pair, PairResult, Summary, try_pair};

use super::output::{ms, rounded};
use super::{Args, Finder, LoadTimes};

/// Measures and prints.
pub(super) fn run(
    args: &Args,
    planner: &mut Planner<Finder>,
    pairs: &[Pair],
    published: Option<&[Scenario]>,
    times: &LoadTimes,
    fallbacks: &[String],
) -> anyhow::Result<Exit> {
    interrupt::listen_briefly()?;
    let bar = progress_bar(pairs.len());
    let mut results: Vec<PairResult> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        if interrupt::requested() {
            break;
        }
        results.push(try_pair(planner, pair, true)?);
        bar.inc(1);
    }
    bar.finish_and_clear();

    let summary = Summary::of(&results);
    let against_published = published.map(|published| Published::of(published, &results));
    let mut out = console::stdout();
    if args.json {
        let report = json(args, planner, &summary, against_published.as_ref(), times, fallbacks);
        serde_json::to_writer(&mut out, &report).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        write_table(&mut out, planner, &summary, against_published.as_ref(), times)?;
    }
    out.flush()?;
    let right = summary.all_right() && against_published.is_none_or(|published| published.wrong == 0);
    Ok(match (results.len() == pairs.len(), right) {
        (false, _) => Exit::Interrupted,
        (true, true) => Exit::Done,
        (true, false) => Exit::AnswerFailed,
    })
}

fn progress_bar(count: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(count as u64), console::progress_target());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} pairs, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The share by which sums of thousands of roots of two may differ: single precision's.
const SUM_TOLERANCE: f64 = 1e-6;

/// Comparison of exact search and paths with the lengths that a scenario file gives.
struct Published {
    /// Scenarios for which exact search finds another length: off by more than the file's last digit says, and than sums of
    /// roots differ.
    wrong: usize,
    /// Paths by the published length.
    ratio: Option<Spread>,
    /// The least of these.
    least_ratio: Option<f64>,
}

impl Published {
    fn of(published: &[Scenario], results: &[PairResult]) -> Self {
        let compared = || published.iter().zip(results);
        let off = |(scenario, result): &(&Scenario, &PairResult)| {
            let published = scenario.octile_length;
            let allowed = scenario.rounding.max(SUM_TOLERANCE * published);
            result.optimal.is_none_or(|optimal| (optimal - published).abs() > allowed)
        };
        let ratios = || {
            compared()
                .filter(|(scenario, _)| scenario.octile_length > 0.0)
                .filter_map(|(scenario, result)| Some(result.path()?.length / scenario.octile_length))
        };
        Self {
            wrong: compared().filter(off).count(),
            ratio: Spread::of(ratios()),
            least_ratio: ratios().min_by(f64::total_cmp),
        }
    }
}

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
struct JsonTrial<'a> {
    pairs: usize,
    planned: usize,
    collision_free: usize,
    unreachable: usize,
    failed: usize,
    disagreements: usize,
    length_ratio: Option<Spread>,
    /// Cost of the path by the exact optimum; null without costs.
    cost_ratio: Option<Spread>,
    /// Metres to an obstacle, at the closest of all paths.
    clearance_m: Option<f64>,
    /// The median along a path, of all paths the median.
    clearance_median_m: Option<f64>,
    network_share: Option<f64>,
    segments: usize,
    network_segments: usize,
    detours: usize,
    /// Segments that the network had no time for, by --network-limit.
    timed_out: usize,
    steps: usize,
    plan_ms: Option<Spread>,
    astar_ms: Option<Spread>,
    dijkstra_ms: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<JsonPublished>,
    read_map_ms: f64,
    prepare_map_ms: f64,
    load_model_ms: f64,
    seed: u64,
    map: &'a str,
    map_cells: [usize; 2],
    free_cells: usize,
    resolution_m: f64,
    planning_cell_m: f64,
    radius_m: f64,
    model: Option<&'a str>,
    backend: Option<&'a str>,
    provider: Option<&'a str>,
    fallbacks: &'a [String],
}

#[derive(Debug, Serialize)]
struct JsonPublished {
    /// Scenarios whose exact length is not the published one.
    wrong: usize,
    ratio: Option<Spread>,
    least_ratio: Option<f64>,
}

fn json<'a>(
    args: &Args,
    planner: &'a Planner<Finder>,
    summary: &Summary,
    published: Option<&Published>,
    times: &LoadTimes,
    fallbacks: &'a [String],
) -> JsonTrial<'a> {
    let (terrain, network) = (planner.terrain(), planner.solver().0.as_ref());
    let map = terrain.map();
    JsonTrial {
        pairs: summary.pairs,
        planned: summary.planned,
        collision_free: summary.collision_free,
        unreachable: summary.unreachable,
        failed: summary.network_failed,
        disagreements: summary.disagreements,
        length_ratio: summary.length_ratio,
        cost_ratio: summary.cost_ratio,
        clearance_m: summary.least_clearance,
        clearance_median_m: summary.median_clearance,
        network_share: summary.network_share(),
        segments: summary.segments,
        network_segments: summary.network_segments,
        detours: summary.detours,
        timed_out: summary.timed_out,
        steps: summary.steps,
        plan_ms: summary.plan_ms,
        astar_ms: summary.astar_ms,
        dijkstra_ms: summary.dijkstra_ms,
        published: published.map(|published| JsonPublished {
            wrong: published.wrong,
            ratio: (published.ratio),
            least_ratio: published.least_ratio,
        }),
        read_map_ms: ms(times.read),
        prepare_map_ms: ms(times.prepared),
        load_model_ms: ms(times.model),
        seed: args.seed,
        map: map.source(),
        map_cells: [map.width(), map.height()],
        free_cells: terrain.free_space().free_cells(),
        resolution_m: map.resolution(),
        planning_cell_m: rounded(terrain.planning_cell()),
        radius_m: terrain.robot().radius,
        model: network.map(Network::name),
        backend: network.map(Network::backend),
        provider: network.map(Network::provider),
        fallbacks,
    }
}

fn write_table(
    out: &mut impl Write,
    planner: &Planner<Finder>,
    summary: &Summary,
    published: Option<&Published>,
    times: &LoadTimes,
) -> io::Result<()> {
    let (terrain, network) = (planner.terrain(), planner.solver().0.as_ref());
    let map = terrain.map();
    writeln!(
        out,
        "{}  {} x {} cells of {} m, {} free for a robot of radius {} m",
        map.source(),
        map.width(),
        map.height(),
        rounded(map.resolution()),
        terrain.free_space().free_cells(),
        terrain.robot().radius
    )?;
    let Summary { pairs, planned, collision_free, unreachable, network_failed, disagreements, .. } = summary;
    writeln!(
        out,
        "  pairs      {pairs}: {planned} planned, {unreachable} unreachable, {network_failed} not found by the network"
    )?;
    writeln!(out, "  checked    {collision_free} of {planned} paths touch nothing on the map")?;
    writeln!(out, "  exact      search disagrees about {disagreements} of {pairs} whether there is a way")?;
    if let Some(ratio) = summary.length_ratio {
        writeln!(
            out,
            "  length     {:.3} of the exact optimum in eight directions at the median, {:.3} at worst",
            ratio.p50, ratio.max
        )?;
    }
    if let Some(published) = published {
        writeln!(out, "  published  lengths differ from exact search for {} of {pairs}", published.wrong)?;
        if let (Some(ratio), Some(least)) = (published.ratio, published.least_ratio) {
            writeln!(
                out,
                "             paths are {least:.3} of them at least, {:.3} at the median, {:.3} at most",
                ratio.p50, ratio.max
            )?;
        }
    }
    if let Some(ratio) = summary.cost_ratio {
        writeln!(
            out,
            "  cost       {:.3} of the exact optimum in eight directions at the median, {:.3} at worst",
            ratio.p50, ratio.max
        )?;
    }
    if let (Some(least), Some(median)) = (summary.least_clearance, summary.median_clearance) {
        writeln!(out, "  clearance  {least:.2} m at the closest; along a path {median:.2} m at the median")?;
    }
    if let (Some(share), Some(network)) = (summary.network_share(), network) {
        writeln!(
            out,
            "  network    {} of {} segments ({:.1} %; {} unverified, {} out of time, {} detours), {} steps; {} on {} ({})",
            summary.network_segments,
            summary.segments,
            100.0 * share,
            summary.segments - summary.network_segments - summary.detours - summary.timed_out,
            summary.timed_out,
            summary.detours,
            summary.steps,
            network.name(),
            network.backend(),
            network.provider()
        )?;
    }
    for (name, spread) in [("plan", summary.plan_ms), ("A*", summary.astar_ms), ("Dijkstra", summary.dijkstra_ms)] {
        if let Some(Spread { p50, p99, max }) = spread {
            writeln!(out, "  {name:<10} {p50:.1} ms at the median, {p99:.1} ms p99, {max:.1} ms at most")?;
        }
    }
    writeln!(
        out,
        "  before     map read in {:.1} ms and prepared in {:.1} ms, model loaded in {:.1} ms",
        ms(times.read),
        ms(times.prepared),
        ms(times.model)
    )?;
    if summary.planned == 0 {
        writeln!(out, "  nothing was planned: no pair more than {LEAST_DISTANCE} m apart is connected")?;
    }
    Ok(())
}
