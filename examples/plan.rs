//! Plans a path on a map: `cargo run --release --example plan -- solver/plan/tests/fixtures/maps/depot.yaml 2 7 25 4`.
#![expect(clippy::print_stdout, reason = "a program to read, not to ship")]

use std::path::Path;

use anyhow::{Context as _, bail};
use trm_engine::{SessionOptions, registry};
use trm_plan::map::LoadedMap;
use trm_plan::{Goal, Outcome, PlanOptions, Planner, Pose, Robot, Terrain};
use trm_solver::{Model, Network};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [map, places @ ..] = &arguments[..] else { bail!("usage: plan MAP X Y X Y, in metres") };
    let places = places.iter().map(|place| place.parse()).collect::<Result<Vec<f64>, _>>()?;
    let [from_x, from_y, x, y] = places.try_into().ok().context("expected a start and a goal")?;

    let terrain = Terrain::new(LoadedMap::read(Path::new(map))?.map, Robot::default())?;
    let model = Network::for_windows(&Model::open("maze")?, (Network::WINDOW, Network::WINDOW))?;
    let engine = (registry::default().open)(None)?;
    let network = Network::new(&model, 2, || engine.load_step(model.bundle(), &SessionOptions::default()))?;
    let options = PlanOptions { max_steps: Network::steps(&model), ..PlanOptions::default() };
    let mut planner = Planner::new(terrain, network, options);
    match planner.plan(Pose::new(from_x, from_y, 0.0), Goal { x, y, yaw: None })?.outcome {
        Outcome::Planned(path) => path.poses.iter().for_each(|pose| println!("{:.2} {:.2}", pose.x, pose.y)),
        Outcome::Unreachable { .. } => bail!("no way leads there"),
        Outcome::NetworkFailed { failed, .. } => bail!("the network failed in {failed} windows"),
        Outcome::DoesNotFit { fault } => bail!("{fault}"),
    }
    Ok(())
}
