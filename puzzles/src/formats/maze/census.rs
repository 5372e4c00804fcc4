//! The characters of a maze, counted.

/// A text of more characters than these is no maze.
const MOST: usize = 16;

/// A character, and how often it is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) character: char,
    pub(super) times: usize,
    /// Times in the outermost cells.
    pub(super) border: usize,
}

/// The characters of a maze, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    seen: Vec<Seen>,
    border: usize,
    /// The character that all cells of the first or of the last row are.
    pub(super) rows: [Option<char>; 2],
}

impl Census {
    /// Counts cells, each with whether it is one of the outermost.
    ///
    /// # Errors
    /// The first character that is one too many.
    pub(super) fn of(cells: impl Iterator<Item = (char, bool)>) -> Result<Self, char> {
        let mut census = Self::default();
        for (character, outermost) in cells {
            let border = usize::from(outermost);
            census.border += border;
            match census.seen.iter().position(|seen| seen.character == character) {
                Some(at) => {
                    census.seen[at].times += 1;
                    census.seen[at].border += border;
                }
                None if census.seen.len() > MOST => return Err(character),
                None => census.seen.push(Seen { character, times: 1, border }),
            }
        }
        Ok(census)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Seen> {
        self.seen.iter().copied()
    }

    pub(super) fn times(&self, character: char) -> usize {
        self.iter().find(|seen| seen.character == character).map_or(0, |seen| seen.times)
    }

    /// The character that the border consists of, if it is nowhere else.
    pub(super) fn frame(&self) -> Option<char> {
        let is_frame = |seen: &Seen| seen.times == seen.border && 5 * seen.border > 4 * self.border;
        self.iter().find(is_frame).map(|seen| seen.character)
    }

    /// The character that the first or the last row consists of, if it is nowhere else.
    pub(super) fn side(&self) -> Option<char> {
        let is_side = |seen: &Seen| seen.times == seen.border && self.rows.contains(&Some(seen.character));
        self.iter().find(is_side).map(|seen| seen.character)
    }

    /// True if the border is this character and these ends.
    pub(super) fn surrounds(&self, character: char, ends: [char; 2]) -> bool {
        self.encloses(character)
            && self.iter().all(|seen| seen.border == 0 || seen.character == character || ends.contains(&seen.character))
    }

    /// True if a character is in the border.
    pub(super) fn is_outermost(&self, character: char) -> bool {
        self.iter().any(|seen| seen.character == character && seen.border > 0)
    }

    /// The one character that is there twice, in the border both times.
    pub(super) fn door(&self) -> Option<char> {
        let mut doors = self.iter().filter(|seen| seen.times == 2 && seen.border == 2);
        let first = doors.next()?;
        (doors.next().is_none() && !"01".contains(first.character)).then_some(first.character)
    }

    /// True if a character takes more than two thirds of the border, where only walls do.
    pub(super) fn encloses(&self, character: char) -> bool {
        self.iter().any(|seen| seen.character == character && 3 * seen.border > 2 * self.border)
    }
}
