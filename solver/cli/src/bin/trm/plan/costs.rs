//! The options for costs, and who plans on them.

use std::error::Error;
use std::path::PathBuf;

use trm_cli::InvalidOption;
use trm_plan::{
    Attempt, CostOptions, Effort, ExactMazes, Inflation, Mask, MaskKind, MazeSolver, OccupancyMap, PlanError,
};
use trm_puzzles::Grid;
use trm_solver::Network;

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
    /// forbids to go. May be given several times
    #[arg(long, value_name = "FILE")]
    costs: Vec<PathBuf>,
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

impl CostArgs {
    /// The files of the masks.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.costs.iter().chain(&self.speeds)
    }

    /// True if there are any.
    pub(super) fn any(&self) -> bool {
        self.inflation.is_some() || self.files().next().is_some()
    }

    /// The costs, with the masks read.
    pub(super) fn read(&self, map: &OccupancyMap) -> Result<CostOptions, PlanError> {
        let of = |files: &[PathBuf], kind| files.iter().map(|file| Mask::read(file, kind, map)).collect::<Vec<_>>();
        let masks = of(&self.costs, MaskKind::Level).into_iter().chain(of(&self.speeds, MaskKind::Speed));
        Ok(CostOptions { inflation: self.inflation, masks: masks.collect::<Result<_, _>>()?, factor: self.cost_factor })
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
