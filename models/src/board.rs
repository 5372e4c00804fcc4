//! The cells of a puzzle, as symmetric mixers see them.

use serde::{Deserialize, Serialize};

use crate::{ModelError, Result};

/// Most groups that a kind may list, and most cells of one: a 25x25 sudoku has 25 of 25.
const MOST_MEMBERS: usize = 1 << 16;

/// The cells of a puzzle: how they lie, and which of them exclude each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Kinds of groups whose cells all differ; none on a grid whose cells are neighbours and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupKind>,
}

/// A kind of groups of cells that all differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// Every row.
    Rows,
    /// Every column.
    Columns,
    /// Boxes of this many rows and columns, which tile the board.
    Boxes([usize; 2]),
    /// Groups of cells that are listed, each cell by its number, row by row: diagonals, cages, regions of any shape.
    Cells(Vec<Vec<usize>>),
}

impl GroupKind {
    /// The weight that groups of this kind share: rows and columns have one, so that a board may be turned.
    #[must_use]
    pub fn weight(&self) -> &'static str {
        match self {
            Self::Rows | Self::Columns => "lines",
            Self::Boxes(_) => "boxes",
            Self::Cells(_) => "regions",
        }
    }
}

impl Board {
    /// A grid whose cells are neighbours and nothing else.
    #[must_use]
    pub fn grid(height: usize, width: usize) -> Self {
        Self { height, width, groups: Vec::new() }
    }

    /// A sudoku with boxes of this many rows and columns.
    #[must_use]
    pub fn sudoku(box_height: usize, box_width: usize) -> Self {
        let order = box_height * box_width;
        let groups = vec![GroupKind::Rows, GroupKind::Columns, GroupKind::Boxes([box_height, box_width])];
        Self { height: order, width: order, groups }
    }

    /// The groups of a kind, each a list of cells, row by row.
    #[must_use]
    pub fn groups_of(&self, kind: &GroupKind) -> Vec<Vec<usize>> {
        let Self { height, width, .. } = *self;
        match kind {
            GroupKind::Rows => (0..height).map(|row| (row * width..(row + 1) * width).collect()).collect(),
            GroupKind::Columns => {
                (0..width).map(|column| (0..height).map(|row| row * width + column).collect()).collect()
            }
            &GroupKind::Boxes([rows, columns]) => {
                let corners =
                    (0..height).step_by(rows).flat_map(|top| (0..width).step_by(columns).map(move |left| (top, left)));
                let cells = |(top, left)| {
                    (top..top + rows)
                        .flat_map(|row| (left..left + columns).map(move |column| row * width + column))
                        .collect()
                };
                corners.map(cells).collect()
            }
            GroupKind::Cells(groups) => groups.clone(),
        }
    }

    /// Checks that the board has `cells` cells, and that its groups are groups of these.
    pub(crate) fn validate(&self, cells: usize) -> Result<()> {
        let Self { height, width, .. } = *self;
        if height.checked_mul(width) != Some(cells) {
            return refused(format!("board of {height}x{width} cells for a seq_len of {cells}"));
        }
        for kind in &self.groups {
            match kind {
                GroupKind::Rows | GroupKind::Columns => {}
                &GroupKind::Boxes([rows, columns]) => {
                    let tiles = |whole: usize, part: usize| part > 0 && whole.is_multiple_of(part);
                    if !(tiles(height, rows) && tiles(width, columns)) {
                        return refused(format!(
                            "boxes of {rows}x{columns} cells do not tile a board of {height}x{width}"
                        ));
                    }
                }
                GroupKind::Cells(groups) => {
                    if groups.is_empty() || groups.len() > MOST_MEMBERS {
                        return refused(format!("a kind of {} groups, expected 1 to {MOST_MEMBERS}", groups.len()));
                    }
                    let good = |group: &Vec<usize>| {
                        let mut sorted = group.clone();
                        sorted.sort_unstable();
                        sorted.dedup();
                        !group.is_empty()
                            && sorted.len() == group.len()
                            && sorted.last().is_some_and(|&last| last < cells)
                    };
                    if let Some(bad) = groups.iter().find(|group| !good(group)) {
                        let shown = &bad[..bad.len().min(30)];
                        return refused(format!(
                            "group {shown:?}: not cells of 0 to {}, each once",
                            cells.saturating_sub(1)
                        ));
                    }
                }
            }
        }
        Ok(())
    }
}

fn refused(reason: String) -> Result<()> {
    Err(ModelError::InvalidConfig { reason, hint: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_lists_of_cells() {
        let board = Board::sudoku(2, 3);
        let of = |kind| board.groups_of(&kind);
        assert_eq!(of(GroupKind::Rows)[1], [6, 7, 8, 9, 10, 11]);
        assert_eq!(of(GroupKind::Columns)[5], [5, 11, 17, 23, 29, 35]);
        assert_eq!(of(GroupKind::Boxes([2, 3]))[1], [3, 4, 5, 9, 10, 11]);
        assert_eq!(of(GroupKind::Boxes([2, 3])).len(), 6);
        for kind in &board.groups {
            let mut all = board.groups_of(kind).concat();
            all.sort_unstable();
            assert_eq!(all, (0..36).collect::<Vec<_>>(), "{kind:?}");
        }
        board.validate(36).expect("a board");
    }

    #[test]
    fn boards_that_are_none_are_refused() {
        let with = |kind| Board { groups: vec![kind], ..Board::grid(4, 4) };
        for (board, cells, expected) in [
            (Board::grid(4, 4), 15, "board of 4x4 cells for a seq_len of 15"),
            (with(GroupKind::Boxes([3, 2])), 16, "boxes of 3x2 cells do not tile a board of 4x4"),
            (with(GroupKind::Boxes([0, 2])), 16, "boxes of 0x2 cells do not tile"),
            (with(GroupKind::Cells(Vec::new())), 16, "a kind of 0 groups"),
            (with(GroupKind::Cells(vec![vec![0, 16]])), 16, "group [0, 16]: not cells of 0 to 15, each once"),
            (with(GroupKind::Cells(vec![vec![3, 3]])), 16, "group [3, 3]: not cells"),
            (with(GroupKind::Cells(vec![vec![]])), 16, "group []: not cells"),
        ] {
            let error = board.validate(cells).expect_err("accepted").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_board_is_written_and_read() {
        let board = Board {
            groups: vec![GroupKind::Rows, GroupKind::Boxes([2, 2]), GroupKind::Cells(vec![vec![0, 5]])],
            ..Board::grid(4, 4)
        };
        let text = serde_json::to_string(&board).expect("JSON");
        assert_eq!(text, r#"{"height":4,"width":4,"groups":["rows",{"boxes":[2,2]},{"cells":[[0,5]]}]}"#);
        assert_eq!(serde_json::from_str::<Board>(&text).expect("a board"), board);
    }
}
