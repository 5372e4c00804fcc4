//! Augmented copies of ARC tasks, and the names by which the public data sets know them.

use rand::Rng;
use trm_intake::{Fault, Printable};

use super::COLOURS;
use crate::{Dihedral, Grid, PuzzleError, Result, Symmetry, random};

/// Stands between a task's id, its turn and its colours in the name of an augmented copy.
pub const SEPARATOR: &str = "|||";

/// A copy of a task: colours exchanged, then turned or mirrored.
///
/// The public `build_arc_dataset.py` names it `ID|||tT|||CCCCCCCCCC`: `T` is the number of the [`Dihedral`], the ten digits
/// are the colours that 0 to 9 become. A task itself is named by its id alone.
///
/// ```
/// use trm_puzzles::arc::Augmentation;
/// use trm_puzzles::{Dihedral, Grid};
///
/// let (id, augmentation) = Augmentation::of_name("007bbfb7|||t4|||0213456789")?;
/// assert_eq!((id, augmentation.turn()), ("007bbfb7", Dihedral::FlipHorizontal));
/// let grid = Grid::from_rows(&[[1, 2, 0]])?;
/// let copy = augmentation.transform(&grid);
/// assert_eq!(copy, Grid::from_rows(&[[0, 1, 2]])?);
/// assert_eq!(augmentation.undo(&copy), grid);
/// assert_eq!(augmentation.name(id), "007bbfb7|||t4|||0213456789");
/// # Ok::<(), trm_puzzles::PuzzleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Augmentation {
    turn: Dihedral,
    /// Colour `c` becomes `colours[c]`.
    colours: [u8; COLOURS as usize],
}

impl Augmentation {
    /// The copy that is the task itself.
    pub const IDENTITY: Self = Self { turn: Dihedral::Identity, colours: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] };

    /// The copy in which colour `c` becomes `colours[c]`; `None` unless these are the colours 0 to 9, each once.
    #[must_use]
    pub fn new(turn: Dihedral, colours: [u8; 10]) -> Option<Self> {
        let mut sorted = colours;
        sorted.sort_unstable();
        (sorted == Self::IDENTITY.colours).then_some(Self { turn, colours })
    }

    /// A random copy. Black (0) stays black, as in the public augmentation.
    pub(crate) fn random(rng: &mut (impl Rng + ?Sized)) -> Self {
        let mut colours = [0; COLOURS as usize];
        for (to, from) in colours.iter_mut().skip(1).zip(random::permutation(rng, COLOURS as usize - 1)) {
            *to = from as u8 + 1;
        }
        Self { turn: Dihedral::random(rng, true), colours }
    }

    /// The turn or mirror image, which follows the exchange of colours.
    #[must_use]
    pub fn turn(&self) -> Dihedral {
        self.turn
    }

    /// The colours that 0 to 9 become.
    #[must_use]
    pub fn colours(&self) -> [u8; 10] {
        self.colours
    }

    /// The copy of a grid. Cells that hold no colour are moved, and stay as they are.
    #[must_use]
    pub fn transform(&self, grid: &Grid) -> Grid {
        self.turn.transform(&recolour(grid, &self.colours))
    }

    /// The grid of which this is the copy.
    #[must_use]
    pub fn undo(&self, copy: &Grid) -> Grid {
        let mut originals = [0; COLOURS as usize];
        for (original, &colour) in (0..).zip(&self.colours) {
            originals[usize::from(colour)] = original;
        }
        recolour(&self.turn.inverse().transform(copy), &originals)
    }

    /// The name of the copy of a task: its id for the task itself.
    #[must_use]
    pub fn name(&self, id: &str) -> String {
        if *self == Self::IDENTITY {
            return id.to_owned();
        }
        let colours: String = self.colours.iter().map(|&colour| char::from(b'0' + colour)).collect();
        format!("{id}{SEPARATOR}t{}{SEPARATOR}{colours}", self.turn as u8)
    }

    /// The task's id and the augmentation that a name tells. A name without [`SEPARATOR`] is that of a task itself.
    ///
    /// # Errors
    /// [`PuzzleError::Name`] for a turn other than `t0` to `t7`, or colours that are not a permutation of 0 to 9.
    pub fn of_name(name: &str) -> Result<(&str, Self)> {
        let Some((id, _)) = name.split_once(SEPARATOR) else { return Ok((name, Self::IDENTITY)) };
        let mut parts = name.rsplit(SEPARATOR);
        let (colours, turn) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let refused = |fault: String| {
            let advice = "expected ID|||t0|||0123456789: a turn from t0 to t7, and the ten colours in any order";
            PuzzleError::Name { name: Printable(name).to_string(), fault: Fault::from(fault).advise(advice) }
        };
        let turn = match turn.as_bytes() {
            [b't', number @ b'0'..=b'7'] => Dihedral::ALL[usize::from(number - b'0')],
            _ => return Err(refused(format!("{} is no turn", Printable(turn)))),
        };
        let digits: Option<Vec<u8>> =
            colours.bytes().map(|digit| digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))).collect();
        let augmentation = digits.and_then(|digits| Self::new(turn, digits.try_into().ok()?));
        match augmentation {
            Some(augmentation) => Ok((id, augmentation)),
            None => Err(refused(format!("{} is no permutation of colours", Printable(colours)))),
        }
    }
}

fn recolour(grid: &Grid, colours: &[u8]) -> Grid {
    grid.map(|cell| colours.get(usize::from(cell)).copied().unwrap_or(cell))
}

impl Symmetry for Augmentation {
    fn apply(&self, grid: &Grid) -> Result<Grid> {
        Ok(self.transform(grid))
    }

    fn invert(&self, grid: &Grid) -> Result<Grid> {
        Ok(self.undo(grid))
    }
}
