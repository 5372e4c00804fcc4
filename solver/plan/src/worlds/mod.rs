//! Made-up worlds whose costs nobody tells: maps with layers, and drives by somebody who knows. To train on, to test with, and
//! to measure against what is known here alone.
//!
//! Worlds of one family, which has a seed, have the same rules: the same ground is always as bad. Another family has others.

mod hidden;
mod layout;

use rand::Rng;
use trm_puzzles::seeded;

use self::hidden::Hidden;
use self::layout::{Layout, Sketch};
use crate::free_space::{FreeSpace, Robot};
use crate::learned::{Layer, Layers};
use crate::map::{MapCell, OccupancyMap};
use crate::{Pose, Result};

/// Metres a cell.
const RESOLUTION: f64 = 0.2;
/// Shortest drive, in cells from end to end, by the side of the world.
const LEAST_DISTANCE: f64 = 0.45;
/// Attempts at a start and a goal.
const ATTEMPTS: usize = 200;

/// The rule by which ground is dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorldKind {
    /// Six kinds of ground, each with a price of its own: what is in a cell says all.
    Ground,
    /// Drops without a rail: ground near one is dear, the nearer the more.
    Cliffs,
    /// Road and pavement: the cells along a kerb are dear, and one side is.
    Kerbs,
    /// Corridors in which one keeps to the right of where one goes.
    KeepRight,
    /// Doors that are busy at some hours.
    Doors,
}

impl WorldKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Ground, Self::Cliffs, Self::Kerbs, Self::KeepRight, Self::Doors];

    /// The name: `ground`, `cliffs`, `kerbs`, `keep-right` or `doors`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Cliffs => "cliffs",
            Self::Kerbs => "kerbs",
            Self::KeepRight => "keep-right",
            Self::Doors => "doors",
        }
    }
}

/// A world.
#[derive(Debug, Clone)]
pub struct World {
    /// Its map.
    pub map: OccupancyMap,
    /// Its layers.
    pub layers: Layers,
    space: FreeSpace,
    hidden: Hidden,
}

impl World {
    /// The robot that drives there.
    pub const ROBOT: Robot = Robot { radius: 0.22, unknown: crate::UnknownSpace::Blocked, occupied_from: 65 };

    /// A world of `side` cells a side, the same for the same numbers.
    ///
    /// # Errors
    /// Those of [`OccupancyMap::new`], for sides that are none.
    pub fn generate(kind: WorldKind, side: usize, family: u64, seed: u64) -> Result<Self> {
        let mut rng = seeded(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ family);
        let mut sketch = Sketch::new(side);
        match kind {
            WorldKind::Ground | WorldKind::Cliffs | WorldKind::Kerbs => sketch.blocks(&mut rng),
            WorldKind::KeepRight => sketch.corridors(&mut rng),
            WorldKind::Doors => sketch.rooms(&mut rng),
        }
        let Layout { ground, hour } = sketch.layers(kind, &mut rng);
        let source = format!("{}:{side}:{family}:{seed}", kind.as_str());
        let map = OccupancyMap::new(source, (side, side), RESOLUTION, Pose::default(), sketch.values())?;
        let space = FreeSpace::new(&map, &Self::ROBOT)?;
        let hidden = Hidden::new(kind, family, &map, &ground, hour);
        let mut layers = Layers::new();
        if kind != WorldKind::KeepRight {
            layers.insert("ground".to_owned(), Layer::Cells(ground.iter().map(|&class| f32::from(class)).collect()));
        }
        if let Some(hour) = hour {
            layers.insert("hour".to_owned(), Layer::Value(hour));
        }
        Ok(Self { map, layers, space, hidden })
    }

    /// A start and a goal far from each other, between which there is a way; `None` if none was found.
    pub fn ends(&self, rng: &mut impl Rng) -> Option<(MapCell, MapCell)> {
        let side = self.map.width();
        let mut draw =
            || MapCell { x: (rng.next_u64() % side as u64) as usize, y: (rng.next_u64() % side as u64) as usize };
        (0..ATTEMPTS).find_map(|_| {
            let (from, to) = (draw(), draw());
            let distance = (from.x as f64 - to.x as f64).hypot(from.y as f64 - to.y as f64);
            let are_free = self.space.is_free(from) && self.space.is_free(to);
            (are_free && distance >= LEAST_DISTANCE * side as f64 && self.best(from, to).is_some())
                .then_some((from, to))
        })
    }

    /// A drive by somebody who knows the costs, give or take a tenth: places in metres, a few centimetres off.
    pub fn drive(&self, from: MapCell, to: MapCell, rng: &mut impl Rng) -> Option<Vec<[f64; 2]>> {
        let mut unit = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let opinion: Vec<f32> =
            (0..self.map.width() * self.map.height()).map(|_| (0.9 + 0.2 * unit()) as f32).collect();
        let path = self.hidden.cheapest(&self.space, from, to, Some(&opinion))?.0;
        let last = path.len() - 1;
        let place = |(index, cell): (usize, MapCell)| {
            let (x, y) = self.map.centre(cell);
            let off = if index == 0 || index == last { 0.0 } else { 0.2 * self.map.resolution() };
            [x + off * (unit() - 0.5), y + off * (unit() - 0.5)]
        };
        Some(path.into_iter().enumerate().map(place).collect())
    }

    /// The least that a way between two cells can cost, and the cells that it goes through; in metres of good ground.
    #[must_use]
    pub fn best(&self, from: MapCell, to: MapCell) -> Option<(Vec<MapCell>, f64)> {
        let (path, cost) = self.hidden.cheapest(&self.space, from, to, None)?;
        Some((path, cost * self.map.resolution()))
    }

    /// The cost of a path, in metres of good ground: places in metres, straight lines between them.
    #[must_use]
    pub fn cost(&self, path: &[[f64; 2]]) -> f64 {
        let cells: Vec<(f64, f64)> = path.iter().map(|&[x, y]| self.map.to_cells(x, y)).collect();
        self.hidden.of_path(&cells) * self.map.resolution()
    }
}
