//! Places of things on the panel, computed from its size.

use embedded_graphics::geometry::{Point, Size};
use embedded_graphics::primitives::Rectangle;

use super::preview;
use super::shapes::{area, inset};

/// Places on a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) screen: Rectangle,
    /// A square for the puzzle.
    pub(super) board: Rectangle,
    /// For text: beside the board, or the strip above it.
    pub(super) side: Rectangle,
    /// The strip below the board, where text is above and not beside it.
    pub(super) footer: Option<Rectangle>,
    /// `true` if every pixel counts: panels up to 100 pixels high.
    pub(super) compact: bool,
    /// Size of headings, in pixels.
    pub(super) heading: f32,
    /// Size of other text, in pixels.
    pub(super) text: f32,
}

impl Layout {
    pub(super) fn new(size: Size) -> Self {
        let (width, height) = (size.width as i32, size.height as i32);
        let screen = Rectangle::new(Point::zero(), size);
        if height < 100 {
            let board = area(0, 0, height.min(width), height);
            let side = area(height + 4, 0, width - height - 4, height);
            return Self { screen, board, side, footer: None, compact: true, heading: 10.0, text: 8.0 };
        }
        if width * 4 >= height * 5 {
            let margin = (height / 24).max(4);
            let board = height - 2 * margin;
            // Beside the board there is room for words.
            let board = board.min(width * 7 / 10);
            let left = margin + board + margin;
            return Self {
                screen,
                board: area(margin, (height - board) / 2, board, board),
                side: area(left, (height - board) / 2, width - left - margin, board),
                footer: None,
                compact: false,
                heading: ((width - left) as f32 / 4.4).clamp(17.0, 56.0),
                text: ((width - left) as f32 / 6.6).clamp(14.0, 30.0),
            };
        }
        // Above: two lines' height; below: one.
        let strip = (height.min(width) / 9).max(20);
        let board = (width - 8).min(height - 2 * strip - 2);
        let top = strip + (height - 2 * strip - board) / 2;
        Self {
            screen,
            board: area((width - board) / 2, top, board, board),
            side: area(8, 0, width - 16, top),
            footer: Some(area(8, top + board, width - 16, height - top - board)),
            compact: false,
            heading: strip as f32 * 0.78,
            text: (strip as f32 * 0.62).max(14.0),
        }
    }

    /// The camera's picture, and the side for words where a 4:3 picture leaves enough room for it.
    pub(super) fn preview(&self) -> (Rectangle, Option<Rectangle>) {
        let (width, height) = (self.screen.size.width as i32, self.screen.size.height as i32);
        let picture = preview::left_part(self.screen);
        let left = width - picture.size.width as i32;
        if left * 6 >= width {
            let gap = if self.compact { 3 } else { height / 24 };
            let x = picture.size.width as i32 + gap;
            (picture, Some(area(x, gap, width - x - gap / 2, height - 2 * gap)))
        } else if self.footer.is_some() {
            // The banner has its own place under the picture.
            let banner = self.banner();
            (area(0, 0, width, banner.top_left.y - 6), None)
        } else {
            (self.screen, None)
        }
    }

    /// A line at the lower edge of the screen.
    pub(super) fn banner(&self) -> Rectangle {
        let (width, height) = (self.screen.size.width as i32, self.screen.size.height as i32);
        let line = (self.text * 1.8) as i32;
        inset(area(0, height - line - 8, width, line + 8), 4)
    }
}
