//! The words beside a puzzle.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::primitives::Rectangle;

use super::draw::progress;
use super::layout::Layout;
use super::shapes::{Sign, area, sign};
use super::text::Style;
use super::theme::Palette;
use super::{Ink, Theme};

/// Words and figures about a puzzle.
#[derive(Clone, Debug)]
pub(super) struct Caption<C> {
    pub(super) heading: &'static str,
    /// Colour of heading, sign and progress.
    pub(super) tone: C,
    pub(super) sign: Option<Sign>,
    /// A large number and what it counts.
    pub(super) figure: Option<(String, String)>,
    pub(super) notes: Vec<String>,
    /// 0 to 1.
    pub(super) progress: Option<f32>,
}

impl<C: Ink> Caption<C> {
    pub(super) fn new(palette: &Palette<C>) -> Self {
        Self { heading: "", tone: palette.text, sign: None, figure: None, notes: Vec::new(), progress: None }
    }
}

/// Draws a caption where the layout has its place.
pub(super) fn draw<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    layout: &Layout,
    theme: &Theme<C>,
    caption: &Caption<C>,
) -> Result<(), D::Error> {
    match layout.footer {
        None => stacked(target, layout.side, theme, caption),
        Some(footer) => strips(target, layout, footer, theme, caption),
    }
}

/// Everything below each other.
pub(super) fn stacked<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    side: Rectangle,
    theme: &Theme<C>,
    caption: &Caption<C>,
) -> Result<(), D::Error> {
    let layout = Layout::new(theme.size);
    let palette = &theme.palette;
    let on = |ink: C| [palette.background, ink];
    let (x, width, bottom) = (side.top_left.x, side.size.width as i32, side.top_left.y + side.size.height as i32);
    let mut y = side.top_left.y + if layout.compact { 1 } else { 2 };
    let gap = if layout.compact { 3 } else { (layout.text * 0.6) as i32 };
    let heading = Style::new(layout.heading, on(caption.tone)).bold();
    if let Some(kind) = caption.sign {
        let icon = if layout.compact { 13 } else { (layout.heading * 1.9) as i32 };
        sign(target, area(x, y, icon, icon), kind, on(caption.tone))?;
        y += icon + gap;
    }
    y += heading.block(target, area(x, y, width, bottom - y), caption.heading)? + gap;
    // A large figure would leave no room for the notes.
    let one_line = layout.compact && caption.progress.is_none() && !caption.notes.is_empty();
    if let Some((figure, label)) = caption.figure.as_ref().filter(|_| one_line) {
        let line = format!("{figure} {label}");
        y += Style::new(layout.text, on(palette.text)).block(target, area(x, y, width, bottom - y), &line)? + 2;
    } else if let Some((figure, label)) = &caption.figure {
        let large = Style::new(if layout.compact { 15.0 } else { layout.heading * 2.0 }, on(palette.text)).bold();
        y += large.block(target, area(x, y, width, bottom - y), figure)?;
        y += Style::new(layout.text, on(palette.muted)).block(target, area(x, y, width, bottom - y), label)? + gap;
    }
    let bar = if layout.compact { 6 } else { (layout.text * 0.45) as i32 };
    let note_bottom = if caption.progress.is_some() { bottom - bar - 2 } else { bottom };
    for note in &caption.notes {
        y += Style::new(layout.text, on(palette.muted)).block(target, area(x, y, width, note_bottom - y), note)? + gap;
    }
    match caption.progress {
        Some(part) => progress(target, area(x, bottom - bar, width, bar), theme, part, caption.tone),
        None => Ok(()),
    }
}

/// Heading and figure above the board, a note or progress below it.
fn strips<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    layout: &Layout,
    footer: Rectangle,
    theme: &Theme<C>,
    caption: &Caption<C>,
) -> Result<(), D::Error> {
    let palette = &theme.palette;
    let on = |ink: C| [palette.background, ink];
    let head = layout.side;
    let (mut x, height) = (head.top_left.x, head.size.height as i32);
    let right = x + head.size.width as i32;
    if let Some(kind) = caption.sign {
        let icon = height * 7 / 10;
        sign(target, area(x, (height - icon) / 2, icon, icon), kind, on(caption.tone))?;
        x += icon + height / 4;
    }
    let style = Style::new(layout.heading, on(caption.tone)).bold();
    style.centre(target, area(x, 0, style.width(caption.heading).ceil() as i32, height), caption.heading)?;
    if let Some((figure, label)) = &caption.figure {
        let line = format!("{figure} {label}");
        let style = Style::new(layout.text, on(palette.text));
        let width = style.width(&line).ceil() as i32;
        style.centre(target, area(right - width, 0, width, height), &line)?;
    }
    if let Some(part) = caption.progress {
        let bar = (footer.size.height as i32 / 4).max(3);
        let y = footer.top_left.y + (footer.size.height as i32 - bar) / 2;
        return progress(target, area(footer.top_left.x, y, footer.size.width as i32, bar), theme, part, caption.tone);
    }
    if let Some(note) = caption.notes.first() {
        let mut style = Style::new(layout.text, on(palette.muted));
        while style.width(note) > footer.size.width as f32 && style.size > 9.0 {
            style.size -= 0.5;
        }
        style.centre(target, footer, note)?;
    }
    Ok(())
}
