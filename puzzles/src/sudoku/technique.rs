//! The eliminations that a person with a pencil makes once no single is left: grades count them, hints explain them.

use super::board::{Board, Contradiction, Digits, Geometry, digits_of};

/// Positions within a unit: bit `i` for its cell `i`.
pub(super) type Places = u32;

/// A pattern of candidates, from which eliminations follow. Units have the numbers of [`Geometry::unit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Unit `within` holds the digits only where it crosses `other`, whose rest they leave.
    Locked { within: usize, other: usize, digits: Digits },
    /// These cells of a unit hold no other digits, of which there are as many: they leave the unit's rest.
    Naked { unit: usize, cells: Places, digits: Digits },
    /// These digits of a unit go nowhere else, and the cells are as many: every other digit leaves the cells.
    Hidden { unit: usize, cells: Places, digits: Digits },
}

impl Pattern {
    /// True if the board shows the pattern.
    pub(super) fn holds(&self, geometry: &Geometry, board: &Board) -> bool {
        match *self {
            Self::Locked { within, other, digits } => {
                union(board, without(geometry.unit(within), geometry.unit(other))) & digits == 0
            }
            Self::Naked { unit, cells, digits } => union(board, at(geometry.unit(unit), cells)) & !digits == 0,
            Self::Hidden { unit, cells, digits } => union(board, at(geometry.unit(unit), !cells)) & digits == 0,
        }
    }

    /// The same for one digit at a time, where that is a pattern of its own.
    pub(super) fn by_digit(self) -> impl Iterator<Item = Self> {
        let parts = match self {
            Self::Locked { digits, .. } => digits,
            // One part suffices.
            _ => 1,
        };
        digits_of(parts).map(move |digit| match self {
            Self::Locked { within, other, .. } => Self::Locked { within, other, digits: 1 << (digit - 1) },
            whole => whole,
        })
    }

    /// The cells that lose candidates by the pattern, and the digits that each of them may keep. Some have lost them before.
    pub(super) fn effects<'a>(&self, geometry: &'a Geometry) -> impl Iterator<Item = (usize, Digits)> + use<'a> {
        let (unit, spared, cells, kept) = match *self {
            Self::Locked { within, other, digits } => (other, geometry.unit(within), Places::MAX, !digits),
            Self::Naked { unit, cells, digits } => (unit, &[][..], !cells, !digits),
            Self::Hidden { unit, cells, digits } => (unit, &[][..], cells, digits),
        };
        let places = geometry.unit(unit).iter().enumerate();
        places
            .filter(move |&(place, cell)| cells >> place & 1 == 1 && !spared.contains(cell))
            .map(move |(_, &cell)| (usize::from(cell), kept))
    }

    /// Makes the eliminations. Returns true if that changed anything.
    pub(super) fn apply(&self, geometry: &Geometry, board: &mut Board) -> Result<bool, Contradiction> {
        let mut changed = false;
        for (cell, kept) in self.effects(geometry) {
            changed |= board.keep(cell, kept)?;
        }
        Ok(changed)
    }
}

/// The cells of a unit at these places.
fn at(unit: &[u16], places: Places) -> impl Iterator<Item = &u16> {
    unit.iter().enumerate().filter(move |&(place, _)| places >> place & 1 == 1).map(|(_, cell)| cell)
}

/// The cells of a unit that another has not.
fn without<'a>(unit: &'a [u16], other: &'a [u16]) -> impl Iterator<Item = &'a u16> {
    unit.iter().filter(|cell| !other.contains(cell))
}

/// Every candidate of the cells.
fn union<'a>(board: &Board, cells: impl Iterator<Item = &'a u16>) -> Digits {
    cells.fold(0, |all, &cell| all | board.candidates(usize::from(cell)))
}

/// Digits that a box holds only within one line, and the other way round.
///
/// As in the other searches, `found` may change the board, which what is found next takes into account, and the result is
/// true if `found` ever said so.
pub(super) fn locked_candidates(
    geometry: &Geometry,
    board: &mut Board,
    mut found: impl FnMut(&mut Board, Pattern) -> Result<bool, Contradiction>,
) -> Result<bool, Contradiction> {
    let mut any = false;
    for square in geometry.boxes() {
        for line in geometry.lines_of(square) {
            let (in_square, in_line) = (geometry.unit(square), geometry.unit(line));
            let shared = union(board, in_square.iter().filter(|cell| in_line.contains(cell)));
            for (within, other) in [(square, line), (line, square)] {
                let elsewhere = union(board, without(geometry.unit(within), geometry.unit(other)));
                let digits = shared & !elsewhere;
                if digits != 0 {
                    any |= found(board, Pattern::Locked { within, other, digits })?;
                }
            }
        }
    }
    Ok(any)
}

/// Two cells with two candidates between them, or three with three.
pub(super) fn naked_subsets(
    geometry: &Geometry,
    board: &mut Board,
    mut found: impl FnMut(&mut Board, Pattern) -> Result<bool, Contradiction>,
) -> Result<bool, Contradiction> {
    let mut any = false;
    for (unit, members) in geometry.units().enumerate() {
        let open: Vec<(usize, usize)> = members
            .iter()
            .enumerate()
            .map(|(place, &cell)| (place, usize::from(cell)))
            .filter(|&(_, cell)| (2..=3).contains(&board.candidates(cell).count_ones()))
            .collect();
        for (i, &(a_place, a)) in open.iter().enumerate() {
            for (j, &(b_place, b)) in open.iter().enumerate().skip(i + 1) {
                let digits = board.candidates(a) | board.candidates(b);
                let cells = 1 << a_place | 1 << b_place;
                if digits.count_ones() == 2 {
                    any |= found(board, Pattern::Naked { unit, cells, digits })?;
                }
                for &(c_place, c) in &open[j + 1..] {
                    let digits = board.candidates(a) | board.candidates(b) | board.candidates(c);
                    if digits.count_ones() == 3 {
                        any |= found(board, Pattern::Naked { unit, cells: cells | 1 << c_place, digits })?;
                    }
                }
            }
        }
    }
    Ok(any)
}

/// Two digits whose only places in a unit are the same two cells.
pub(super) fn hidden_pairs(
    geometry: &Geometry,
    board: &mut Board,
    mut found: impl FnMut(&mut Board, Pattern) -> Result<bool, Contradiction>,
) -> Result<bool, Contradiction> {
    let mut any = false;
    for (unit, members) in geometry.units().enumerate() {
        let places: Vec<Places> = (0..geometry.side)
            .map(|digit| {
                members
                    .iter()
                    .enumerate()
                    .fold(0, |all, (place, &cell)| all | (board.candidates(usize::from(cell)) >> digit & 1) << place)
            })
            .collect();
        for (first, &cells) in places.iter().enumerate() {
            if cells.count_ones() != 2 {
                continue;
            }
            for (second, _) in places.iter().enumerate().skip(first + 1).filter(|&(_, &other)| other == cells) {
                any |= found(board, Pattern::Hidden { unit, cells, digits: 1 << first | 1 << second })?;
            }
        }
    }
    Ok(any)
}
