//! The options for costs, and who plans on them.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use trm_cli::InvalidOption;
use trm_cli::backend::BackendArgs;
use trm_plan::learned::{Layer, Levels};
use trm_plan::{
    Attempt, CostOptions, Effort, ExactMazes, Goal, Inflation, LayerSource, Mask, MaskKind, MazeSolver, OccupancyMap,
    PlanError, Robot,
};
use trm_puzzles::Grid;
use trm_solver::Network;
use trm_solver::costs::{CostModel, LoadedCosts};

/// Options for costs.
#[derive(Debug, Clone, clap::Args)]
#[command(
    next_help_heading = "Costs: ground that can be driven on, but rather not; by exact search, without a network"
)]
pub(super) struct CostArgs {
    /// Ground near obstacles is dear, by the formula of nav2's inflation layer: within so many metres, falling so fast per
    /// metre (10 unless given)
    #[arg(long, value_name = "RADIUS[,SCALING]", value_parser = parse_inflation)]
    inflation: Option<Inflation>,
    /// A mask of costs, such as a keepout mask: a `map_server` yaml, or a picture with a pixel for each cell; 100 or black
    /// forbids to go. May be given several times. Or the folder of a model of costs (`trm train --task costs`)
    #[arg(long, value_name = "FILE|DIR")]
    costs: Vec<PathBuf>,
    /// A layer that the model of costs reads: a picture with a pixel for each cell, a map, or a number that holds everywhere.
    /// Without a name the first is 1, the second 2
    #[arg(long, value_name = "[NAME=]FILE|NUMBER", value_parser = parse_layer)]
    layer: Vec<(Option<String>, LayerSource)>,
    /// A mask of speeds: per cents of full speed, 0 for no limit. May be given several times
    #[arg(long, value_name = "FILE")]
    speeds: Vec<PathBuf>,
    /// Metres that a metre of the dearest ground costs beyond itself
    #[arg(long, value_name = "M", default_value_t = CostOptions::FACTOR)]
    cost_factor: f64,
}

fn parse_inflation(text: &str) -> Result<Inflation, String> {
    let expected = || format!("expected metres, or metres and a scaling, such as 0.55,10; found `{text}`");
    let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    let numbers = text.split(',').map(number).collect::<Option<Vec<f64>>>().ok_or_else(expected)?;
    match numbers[..] {
        [radius] => Ok(Inflation { radius, scaling: Inflation::SCALING }),
        [radius, scaling] => Ok(Inflation { radius, scaling }),
        _ => Err(expected()),
    }
}

/// `ground=ground.png`, `ground.png`, `hour=14`.
fn parse_layer(text: &str) -> Result<(Option<String>, LayerSource), String> {
    let source = |text: &str| match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(LayerSource::Value(value)),
        Ok(value) => Err(format!("{value} is no value of a layer")),
        Err(_) => Ok(LayerSource::File(text.into())),
    };
    match text.split_once('=') {
        // A path may have an equals sign behind its folder.
        Some((name, value)) if !name.contains(['/', '.']) => Ok((Some(name.to_owned()), source(value)?)),
        _ => Ok((None, source(text)?)),
    }
}

/// A model of costs, and the time that it took.
pub(super) struct LearnedBy {
    pub(super) name: String,
    pub(super) engine: &'static str,
    pub(super) time: Duration,
}

impl CostArgs {
    /// The files of the masks and layers.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let layers = self.layer.iter().filter_map(|(_, source)| match source {
            LayerSource::File(file) => Some(file),
            LayerSource::Value(_) => None,
        });
        self.costs.iter().chain(&self.speeds).chain(layers)
    }

    /// The layers by name.
    pub(super) fn layers(&self) -> BTreeMap<String, LayerSource> {
        let named = |(number, (name, source)): (usize, &(Option<String>, LayerSource))| {
            (name.clone().unwrap_or_else(|| number.to_string()), source.clone())
        };
        (1..).zip(&self.layer).map(named).collect()
    }

    /// True if there are any.
    pub(super) fn any(&self) -> bool {
        self.inflation.is_some() || self.files().next().is_some()
    }

    /// The costs, with the masks read, and what a model says of the map on the way to `goal`; without a goal there are several.
    pub(super) fn read(
        &self,
        map: &OccupancyMap,
        robot: &Robot,
        goal: Option<Goal>,
        backend: &BackendArgs,
    ) -> anyhow::Result<(CostOptions, Option<LearnedBy>)> {
        let (models, masks): (Vec<_>, Vec<_>) = self.costs.iter().partition(|path| path.is_dir());
        let levels = masks.into_iter().map(|file| Mask::read(file, MaskKind::Level, map));
        let speeds = self.speeds.iter().map(|file| Mask::read(file, MaskKind::Speed, map));
        let masks = levels.chain(speeds).collect::<Result<_, PlanError>>()?;
        let (learned, by) = match models[..] {
            [] if !self.layer.is_empty() => {
                bail!("--layer: no model of costs reads it\nhint: give the model's folder with --costs")
            }
            [] => (None, None),
            [model] => {
                let (levels, by) = self.learned(model, map, robot, goal, backend)?;
                (Some(levels), Some(by))
            }
            [_, second, ..] => bail!("--costs {}: a second model of costs, expected one", second.display()),
        };
        Ok((CostOptions { inflation: self.inflation, masks, learned, factor: self.cost_factor }, by))
    }

    fn learned(
        &self,
        model: &Path,
        map: &OccupancyMap,
        robot: &Robot,
        goal: Option<Goal>,
        backend: &BackendArgs,
    ) -> anyhow::Result<(Levels, LearnedBy)> {
        let model = CostModel::open(model)?;
        if model.manifest.features.way && goal.is_none() {
            bail!(
                "{} looks at the way to a goal, and here are several\nhint: plan to one goal at a time",
                model.manifest.name
            );
        }
        let read = |(name, source): (&String, &LayerSource)| Ok((name.clone(), Layer::read(name, source, map)?));
        let layers = self.layers().iter().map(read).collect::<Result<_, PlanError>>()?;
        let began = Instant::now();
        let (engine, ort) = backend.first()?;
        let mut loaded = LoadedCosts::new(model, engine, ort, backend.threads);
        let goal = goal.and_then(|goal| map.cell_at(goal.x, goal.y));
        let levels = Levels::predicted(&mut loaded, map, robot, &layers, goal)?;
        let name = loaded.model().manifest.name.clone();
        Ok((levels, LearnedBy { name, engine: engine.name, time: began.elapsed() }))
    }

    /// Refuses a network where there are costs.
    pub(super) fn check(&self, model: Option<&String>) -> Result<(), InvalidOption> {
        match model {
            Some(model) if self.any() => Err(InvalidOption {
                option: "--model",
                reason: format!("{model} solves mazes, and these know of no costs"),
                hint: Some("leave --model out: exact search plans where there are costs".to_owned()),
            }),
            _ => Ok(()),
        }
    }
}

/// The planner of the ways: a network, or exact search alone.
pub(super) struct Finder(pub(super) Option<Network>);

impl MazeSolver for Finder {
    fn maze_size(&self) -> (usize, usize) {
        self.0.as_ref().map_or((Network::WINDOW, Network::WINDOW), MazeSolver::maze_size)
    }

    fn solve(&mut self, mazes: &[&Grid], effort: &Effort) -> Result<Vec<Attempt>, Box<dyn Error + Send + Sync>> {
        match &mut self.0 {
            Some(network) => network.solve(mazes, effort),
            None => ExactMazes { side: Network::WINDOW }.solve(mazes, effort),
        }
    }
}
