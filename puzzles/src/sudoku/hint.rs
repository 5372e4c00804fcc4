//! The next digit that a person can find, and why.

use std::fmt::{self, Display};

use super::board::{Board, Contradiction, Digits, Geometry, all_digits, digits_of};
use super::grade::grade_board;
use super::technique::{Pattern, Places, hidden_pairs, locked_candidates, naked_subsets};
use super::{BLANK, Sudoku};
use crate::task::require_size;
use crate::{Cell, Grid, Result};

/// A step of reasoning, from the simplest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Technique {
    /// A unit has one open cell.
    FullHouse,
    /// A cell has one candidate.
    NakedSingle,
    /// A digit has one place in a unit.
    HiddenSingle,
    /// A digit of a box lies in one line, whose rest it leaves.
    Pointing,
    /// A digit of a line lies in one box, whose rest it leaves.
    Claiming,
    /// Two cells of a unit share two candidates, which leave the unit's rest.
    NakedPair,
    /// Three cells of a unit share three candidates, which leave the unit's rest.
    NakedTriple,
    /// Two digits of a unit have only the same two places, which every other digit leaves.
    HiddenPair,
}

impl Technique {
    /// `full house`, `naked single`, `hidden single`, `pointing`, `claiming`, `naked pair`, `naked triple` or `hidden pair`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FullHouse => "full house",
            Self::NakedSingle => "naked single",
            Self::HiddenSingle => "hidden single",
            Self::Pointing => "pointing",
            Self::Claiming => "claiming",
            Self::NakedPair => "naked pair",
            Self::NakedTriple => "naked triple",
            Self::HiddenPair => "hidden pair",
        }
    }
}

/// A row, column or box, counted from 0; printed counted from 1. Boxes are counted row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// A row, from the top.
    Row(usize),
    /// A column, from the left.
    Column(usize),
    /// A box.
    Box(usize),
}

impl Unit {
    /// The unit of a number of [`Geometry::unit`].
    fn new(number: usize, side: usize) -> Self {
        match number / side {
            0 => Self::Row(number),
            1 => Self::Column(number - side),
            _ => Self::Box(number - 2 * side),
        }
    }
}

impl Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(number) => write!(f, "row {}", number + 1),
            Self::Column(number) => write!(f, "column {}", number + 1),
            Self::Box(number) => write!(f, "box {}", number + 1),
        }
    }
}

/// Candidates that a pattern takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deduction {
    /// [`Technique::Pointing`] or one after it.
    pub technique: Technique,
    /// The unit that shows the pattern.
    pub unit: Unit,
    /// The unit that loses candidates: of pointing and claiming another one than [`unit`](Self::unit).
    pub from: Unit,
    /// The cells of the pattern.
    pub cells: Vec<Cell>,
    /// The digits of the pattern, ascending.
    pub digits: Vec<u8>,
    /// Every cell that loses candidates, with these, ascending.
    pub removes: Vec<(Cell, Vec<u8>)>,
}

/// A digit that follows from a grid, with what has to be seen first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The cell and its digit.
    pub place: (Cell, u8),
    /// [`Technique::FullHouse`], [`Technique::NakedSingle`] or [`Technique::HiddenSingle`].
    pub technique: Technique,
    /// The unit where the digit has one place, or that has one open cell; `None` for a naked single.
    pub unit: Option<Unit>,
    /// The eliminations after which the digit follows, in order; each is needed. Empty if it follows from the grid at once.
    pub because: Vec<Deduction>,
}

impl Deduction {
    /// One sentence, without a full stop: `pointing: the 4s of box 1 all lie in row 2, so no 4 elsewhere in row 2 (r2c5, r2c8)`.
    ///
    /// `symbol` is the text of a digit. Rows, columns and boxes count from 1.
    pub fn sentence<S: Display>(&self, symbol: impl Fn(u8) -> S) -> String {
        let Self { technique, unit, from, .. } = self;
        let digits = |word| list(self.digits.iter().map(|&digit| symbol(digit)), word);
        let cells = list(self.cells.iter().copied().map(Short), "and");
        let name = technique.as_str();
        let losers = self.removes.iter().map(|&(cell, _)| Short(cell).to_string()).collect::<Vec<_>>().join(", ");
        match technique {
            Technique::NakedPair | Technique::NakedTriple => {
                let (and, or) = (digits("and"), digits("or"));
                format!("{name}: {cells} hold only {and}, so no {or} elsewhere in {from} ({losers})")
            }
            Technique::HiddenPair => {
                let and = digits("and");
                format!("{name}: in {unit} the {and} can only go to {cells}, so no other digit there ({losers})")
            }
            _ => {
                let digit = digits("and");
                format!(
                    "{name}: the {digit}s of {unit} all lie in {from}, so no {digit} elsewhere in {from} ({losers})"
                )
            }
        }
    }
}

impl Hint {
    /// The reasons and then the digit, a sentence each, without full stops.
    ///
    /// `symbol` is the text of a digit. Rows, columns and boxes count from 1.
    pub fn steps<S: Display>(&self, symbol: impl Fn(u8) -> S) -> Vec<String> {
        let mut steps = self.because.iter().map(|reason| reason.sentence(&symbol)).collect::<Vec<_>>();
        let (cell, digit) = (Short(self.place.0), symbol(self.place.1));
        steps.push(match (self.technique, self.unit) {
            (Technique::FullHouse, Some(unit)) => format!("{unit} lacks only the {digit}, which goes to {cell}"),
            (_, Some(unit)) => format!("in {unit} the {digit} can only go to {cell}"),
            (_, None) if steps.is_empty() => {
                format!("{cell} can only be {digit}: row, column and box hold every other digit")
            }
            (_, None) => format!("{cell} can only be {digit}"),
        });
        steps
    }

    /// The steps as one sentence, without a full stop: `naked pair: …; then r2c5 can only be 3`.
    ///
    /// `symbol` is the text of a digit. Rows, columns and boxes count from 1.
    pub fn sentence<S: Display>(&self, symbol: impl Fn(u8) -> S) -> String {
        self.steps(symbol).join("; then ")
    }
}

/// A cell as `r4c5`.
struct Short(Cell);

impl Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}c{}", self.0.row + 1, self.0.column + 1)
    }
}

/// `1, 2 and 3`.
fn list(items: impl Iterator<Item = impl Display>, last: &str) -> String {
    let items = items.map(|item| item.to_string()).collect::<Vec<_>>();
    match &items[..] {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// Finds a digit that a person can fill in next: a single if there is one, the simplest first; otherwise the one that the
/// fewest eliminations lead to.
///
/// `None` for a full grid, where these techniques find no digit, and where they show that there is no solution. The digits
/// in the grid are taken to be right: after a wrong one, a hint may follow from it.
///
/// ```
/// use trm_puzzles::{Sudoku, formats, sudoku};
///
/// let text = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79";
/// let puzzle = &formats::parse("newspaper.txt", text.as_bytes())?[0];
/// let hint = sudoku::hint(Sudoku::default(), &puzzle.grid)?.expect("an easy puzzle");
/// let sentence = hint.sentence(|digit| puzzle.alphabet.symbol(digit));
/// assert_eq!(sentence, "r5c5 can only be 5: row, column and box hold every other digit");
/// # Ok::<(), trm_puzzles::PuzzleError>(())
/// ```
///
/// # Errors
///
/// [`PuzzleError::Size`](crate::PuzzleError::Size) for a grid that is not of the task's size.
pub fn hint(task: Sudoku, puzzle: &Grid) -> Result<Option<Hint>> {
    require_size(&task, "the puzzle", puzzle)?;
    let geometry = Geometry::new(task);
    let hopeless = Board::new(&geometry, puzzle).and_then(|mut board| grade_board(&geometry, &mut board)).is_err();
    if hopeless {
        return Ok(None);
    }
    Ok(Board::pencil_marks(&geometry, puzzle).ok().and_then(|board| Seeker::new(&geometry, puzzle, board).hint()))
}

/// A digit that a look at one unit or cell gives. Simpler ones are smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Single {
    technique: Technique,
    /// Boxes before rows before columns.
    rank: usize,
    cell: usize,
    digit: Digits,
}

/// Searches one grid for a hint.
struct Seeker<'a> {
    geometry: &'a Geometry,
    /// True for every cell that has its digit.
    filled: Vec<bool>,
    /// Candidates that the digits in the grid leave to the open cells.
    start: Board,
}

impl<'a> Seeker<'a> {
    fn new(geometry: &'a Geometry, puzzle: &Grid, start: Board) -> Self {
        let filled =
            puzzle.cells().iter().map(|&digit| digit != BLANK && usize::from(digit) <= geometry.side).collect();
        Self { geometry, filled, start }
    }

    fn hint(&self) -> Option<Hint> {
        if let Some(single) = self.singles(&self.start).into_iter().min() {
            return self.explained(single, &[]);
        }
        let mut best: Option<(usize, Single, Vec<Pattern>)> = None;
        // With more techniques allowed a digit is found in fewer rounds, and perhaps by fewer reasons.
        for hardest in [Technique::Claiming, Technique::NakedPair, Technique::NakedTriple, Technique::HiddenPair] {
            for (single, reasons) in self.chains(hardest).unwrap_or_default() {
                if best.as_ref().is_none_or(|(count, ..)| reasons.len() < *count) {
                    best = Some((reasons.len(), single, reasons));
                }
            }
            if best.as_ref().is_some_and(|(count, ..)| *count == 1) {
                break;
            }
        }
        let (_, single, reasons) = best?;
        self.explained(single, &reasons)
    }

    /// The digits that follow after the fewest rounds, simplest first, each with the eliminations that it needs. In a round
    /// every pattern of the board is applied.
    fn chains(&self, hardest: Technique) -> Result<Vec<(Single, Vec<Pattern>)>, Contradiction> {
        let mut board = self.start.clone();
        let mut log = Vec::new();
        loop {
            let found = self.patterns(&board, hardest)?;
            if found.is_empty() {
                return Ok(Vec::new());
            }
            for pattern in found {
                if pattern.apply(self.geometry, &mut board)? {
                    log.push(pattern);
                }
            }
            let mut singles = self.singles(&board);
            if !singles.is_empty() {
                singles.sort_unstable();
                return Ok(singles.into_iter().map(|single| (single, self.needed(&log, single))).collect());
            }
        }
    }

    /// The patterns of a board that take something away, up to a technique, simplest first.
    fn patterns(&self, board: &Board, hardest: Technique) -> Result<Vec<Pattern>, Contradiction> {
        let geometry = self.geometry;
        let mut found = Vec::new();
        let mut keep = |board: &mut Board, pattern: Pattern| {
            let changes =
                |pattern: &Pattern| pattern.effects(geometry).any(|(cell, kept)| board.candidates(cell) & !kept != 0);
            found.extend(pattern.by_digit().filter(changes).filter(|pattern| self.technique(pattern) <= hardest));
            Ok(false)
        };
        let mut board = board.clone();
        locked_candidates(geometry, &mut board, &mut keep)?;
        if hardest >= Technique::NakedPair {
            naked_subsets(geometry, &mut board, &mut keep)?;
        }
        if hardest >= Technique::HiddenPair {
            hidden_pairs(geometry, &mut board, &mut keep)?;
        }
        found.sort_by_key(|pattern| self.technique(pattern));
        Ok(found)
    }

    fn technique(&self, pattern: &Pattern) -> Technique {
        match *pattern {
            Pattern::Locked { within, .. } if self.geometry.boxes().contains(&within) => Technique::Pointing,
            Pattern::Locked { .. } => Technique::Claiming,
            Pattern::Naked { cells, .. } if cells.count_ones() == 2 => Technique::NakedPair,
            Pattern::Naked { .. } => Technique::NakedTriple,
            Pattern::Hidden { .. } => Technique::HiddenPair,
        }
    }

    /// Every digit that the board shows for an open cell, by the simplest technique for each.
    fn singles(&self, board: &Board) -> Vec<Single> {
        let open = (0..self.filled.len()).filter(|&cell| !self.filled[cell]);
        open.flat_map(|cell| digits_of(board.candidates(cell)).map(move |digit| (cell, 1 << (digit - 1))))
            .filter_map(|(cell, digit)| self.single(board, cell, digit))
            .collect()
    }

    /// The simplest technique that shows the digit in the open cell.
    fn single(&self, board: &Board, cell: usize, digit: Digits) -> Option<Single> {
        let [row, column, square] = self.geometry.units_of(cell);
        let has_one = |holds: &dyn Fn(usize) -> bool| {
            [square, row, column].iter().position(|&unit| {
                let others = self.geometry.unit(unit).iter().map(|&other| usize::from(other));
                others.filter(|&other| other != cell).all(|other| !holds(other))
            })
        };
        let naked = board.candidates(cell) == digit;
        let (technique, rank) = match naked.then(|| has_one(&|other| !self.filled[other])) {
            Some(Some(rank)) => (Technique::FullHouse, rank),
            Some(None) => (Technique::NakedSingle, 0),
            None => (Technique::HiddenSingle, has_one(&|other| board.candidates(other) & digit != 0)?),
        };
        Some(Single { technique, rank, cell, digit })
    }

    /// The board after the patterns that hold when their turn comes.
    fn after(&self, patterns: &[Pattern]) -> Result<Board, Contradiction> {
        let mut board = self.start.clone();
        for pattern in patterns {
            if pattern.holds(self.geometry, &board) {
                pattern.apply(self.geometry, &mut board)?;
            }
        }
        Ok(board)
    }

    /// True if the patterns are enough for the digit.
    fn leads(&self, patterns: &[Pattern], to: Single) -> bool {
        self.after(patterns).is_ok_and(|board| self.single(&board, to.cell, to.digit).is_some())
    }

    /// The patterns without those that the digit follows without; one, if one is enough.
    fn needed(&self, patterns: &[Pattern], to: Single) -> Vec<Pattern> {
        if let Some(one) = patterns.iter().find(|&&pattern| self.leads(&[pattern], to)) {
            return vec![*one];
        }
        let mut kept = patterns.to_vec();
        let mut size = kept.len().div_ceil(2).max(1);
        loop {
            let before = kept.len();
            // Harder patterns come last in a round, and go first.
            let mut end = kept.len();
            while end > 0 {
                let from = end.saturating_sub(size);
                let fewer = [&kept[..from], &kept[end..]].concat();
                if self.leads(&fewer, to) {
                    kept = fewer;
                }
                end = from;
            }
            if size == 1 && kept.len() == before {
                return kept;
            }
            size = size.div_ceil(2);
        }
    }

    /// The hint that ends in the digit.
    fn explained(&self, single: Single, reasons: &[Pattern]) -> Option<Hint> {
        let side = self.geometry.side;
        let mut board = self.start.clone();
        let mut because = Vec::with_capacity(reasons.len());
        for reason in reasons {
            because.push(self.deduction(&board, reason));
            reason.apply(self.geometry, &mut board).ok()?;
        }
        let Single { technique, rank, cell, digit } = self.single(&board, single.cell, single.digit)?;
        let [row, column, square] = self.geometry.units_of(cell);
        let unit = (technique != Technique::NakedSingle).then(|| Unit::new([square, row, column][rank], side));
        Some(Hint { place: (Cell::from_index(cell, side), digits_of(digit).next()?), technique, unit, because })
    }

    fn deduction(&self, board: &Board, pattern: &Pattern) -> Deduction {
        let (geometry, side) = (self.geometry, self.geometry.side);
        let cell = |&index: &u16| Cell::from_index(usize::from(index), side);
        let at = |unit: usize, places: Places| {
            let chosen = geometry.unit(unit).iter().enumerate().filter(move |&(place, _)| places >> place & 1 == 1);
            chosen.map(|(_, index)| cell(index)).collect::<Vec<_>>()
        };
        let (unit, from, cells, digits) = match *pattern {
            Pattern::Locked { within, other, digits } => {
                let holds = |index: &&u16| board.candidates(usize::from(**index)) & digits != 0;
                (within, other, geometry.unit(within).iter().filter(holds).map(cell).collect(), digits)
            }
            Pattern::Naked { unit, cells, digits } | Pattern::Hidden { unit, cells, digits } => {
                (unit, unit, at(unit, cells), digits)
            }
        };
        let removes = pattern
            .effects(geometry)
            .map(|(cell, kept)| (cell, board.candidates(cell) & !kept & all_digits(side)))
            .filter(|&(_, lost)| lost != 0)
            .map(|(cell, lost)| (Cell::from_index(cell, side), digits_of(lost).collect()))
            .collect();
        Deduction {
            technique: self.technique(pattern),
            unit: Unit::new(unit, side),
            from: Unit::new(from, side),
            cells,
            digits: digits_of(digits).collect(),
            removes,
        }
    }
}
