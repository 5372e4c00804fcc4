//! Draws screens.

use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::primitives::{PointsIter, Rectangle};

use super::board::{self, Marks};
use super::layout::Layout;
use super::panel_text::{self, Caption};
use super::shapes::{Sign, area, inset, middle, paint, rounded, sign};
use super::text::Style;
use super::{Ink, Screen, Theme, attract, preview};

/// Draws a whole screen.
///
/// The target is the part of a panel that [`Theme::size`] says, from its origin; what does not fit is left out.
///
/// # Errors
/// Those of the target.
pub fn draw<C: Ink, D: DrawTarget<Color = C>>(
    screen: &Screen,
    theme: &Theme<C>,
    target: &mut D,
) -> Result<(), D::Error> {
    let palette = &theme.palette;
    let layout = Layout::new(theme.size);
    target.fill_solid(&layout.screen, palette.background)?;
    match screen {
        Screen::Idle { elapsed } => {
            let (board, changed) = attract::board(*elapsed);
            board::draw(target, layout.board, palette, &board, Marks { changed: &changed, ..Marks::default() })?;
            let caption = Caption {
                heading: "Show me a puzzle",
                tone: palette.text,
                notes: vec!["Lay a sudoku or a maze under the camera".to_owned()],
                ..Caption::new(palette)
            };
            panel_text::draw(target, &layout, theme, &caption)
        }
        Screen::Aim { preview, corners } => {
            let found = corners.is_some();
            let (picture, side) = layout.preview();
            preview::draw(target, picture, palette, preview, corners.as_ref())?;
            let (heading, tone) = if found { ("Hold still", palette.good) } else { ("Looking", palette.text) };
            let note = if found { "Board found" } else { "Lay the puzzle flat, all in view" };
            match side {
                Some(side) => {
                    let caption = Caption { heading, tone, notes: vec![note.to_owned()], ..Caption::new(palette) };
                    panel_text::stacked(target, side, theme, &caption)
                }
                None => banner(target, &layout, theme, if found { "Board found: hold still" } else { note }, tone),
            }
        }
        Screen::Reading { board, doubtful, remark } => {
            board::draw(target, layout.board, palette, board, Marks { doubtful, ..Marks::default() })?;
            let read = board.given.cells().iter().filter(|&&cell| cell != 0).count();
            let (figure, label) = if doubtful.is_empty() {
                (read.to_string(), "cells read".to_owned())
            } else {
                (
                    doubtful.len().to_string(),
                    if doubtful.len() == 1 { "cell in doubt" } else { "cells in doubt" }.to_owned(),
                )
            };
            let caption = Caption {
                heading: "Reading",
                tone: palette.accent,
                figure: Some((figure, label)),
                notes: remark.iter().cloned().collect(),
                ..Caption::new(palette)
            };
            panel_text::draw(target, &layout, theme, &caption)
        }
        Screen::Solving { board, changed, step, limit } => {
            board::draw(target, layout.board, palette, board, Marks { changed, ..Marks::default() })?;
            let caption = Caption {
                heading: "Solving",
                tone: palette.accent,
                figure: Some((step.to_string(), format!("of {limit} steps"))),
                notes: vec![format!("{} changed", changed.len())],
                progress: Some(*step as f32 / (*limit).max(1) as f32),
                ..Caption::new(palette)
            };
            panel_text::draw(target, &layout, theme, &caption)
        }
        Screen::Solved { board, steps, time } => {
            board::draw(target, layout.board, palette, board, Marks::default())?;
            let caption = Caption {
                heading: "Solved",
                tone: palette.good,
                sign: Some(Sign::Tick),
                figure: Some((steps.to_string(), if *steps == 1 { "step" } else { "steps" }.to_owned())),
                notes: vec![format!("checked, {:.2} s", time.as_secs_f64())],
                ..Caption::new(palette)
            };
            panel_text::draw(target, &layout, theme, &caption)
        }
        Screen::NotSolved { board, reason } => {
            board::draw(target, layout.board, palette, board, Marks { refused: true, ..Marks::default() })?;
            let caption = Caption {
                heading: "Not solved",
                tone: palette.bad,
                sign: Some(Sign::Cross),
                notes: vec![reason.clone()],
                ..Caption::new(palette)
            };
            panel_text::draw(target, &layout, theme, &caption)
        }
        Screen::Error { code, text, hint } => error(target, &layout, theme, [code, text, hint]),
    }
}

/// A line over the lower edge of the picture.
fn banner<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    layout: &Layout,
    theme: &Theme<C>,
    text: &str,
    tone: C,
) -> Result<(), D::Error> {
    let place = layout.banner();
    let palette = &theme.palette;
    let radius = place.size.height as f32 / 2.0;
    paint(target, place, [palette.background, palette.surface], |p| rounded(p, place, radius))?;
    let mut style = Style::new(layout.text * 1.1, [palette.surface, tone]).bold();
    while style.width(text) > place.size.width as f32 - radius && style.size > 8.0 {
        style.size -= 0.5;
    }
    style.centre(target, place, text)
}

fn error<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    layout: &Layout,
    theme: &Theme<C>,
    [code, text, hint]: [&str; 3],
) -> Result<(), D::Error> {
    let palette = &theme.palette;
    let (width, height) = (theme.size.width as i32, theme.size.height as i32);
    let on = |ink: C| [palette.background, ink];
    if layout.compact {
        let head = Style::new(layout.heading, on(palette.text)).bold();
        let icon = area(0, 1, 13, 13);
        sign(target, icon, Sign::Warning, on(palette.bad))?;
        head.block(target, area(17, 2, width - 17, 13), code)?;
        let body = Style::new(layout.text, on(palette.text));
        let used = body.block(target, area(0, 18, width, height - 18), text)?;
        body.block(target, area(0, 22 + used, width, height - 22 - used), hint).map(drop)
    } else {
        let unit = width.min(height);
        let icon = unit / 4;
        let top = height / 9;
        sign(target, area((width - icon) / 2, top, icon, icon), Sign::Warning, on(palette.bad))?;
        let mut y = top + icon + unit / 18;
        let margin = width / 16;
        let code_style = Style::new(layout.text, on(palette.muted)).centred();
        let text_style = Style::new(layout.heading * 1.15, on(palette.text)).bold().centred();
        let hint_style = Style::new(layout.text * 1.1, on(palette.muted)).centred();
        for (style, line, gap) in [(code_style, code, unit / 40), (text_style, text, unit / 24)] {
            y += style.block(target, area(margin, y, width - 2 * margin, height - y), line)? + gap;
        }
        hint_style.block(target, area(margin, y, width - 2 * margin, height - y - 4), hint).map(drop)
    }
}

/// A bar that fills from the left.
pub(super) fn progress<C: Ink, D: DrawTarget<Color = C>>(
    target: &mut D,
    place: Rectangle,
    theme: &Theme<C>,
    part: f32,
    tone: C,
) -> Result<(), D::Error> {
    let palette = &theme.palette;
    if !C::SHADES {
        target.fill_solid(&place, palette.text)?;
        target.fill_solid(&inset(place, 1), palette.background)?;
        let inner = inset(place, 2);
        let width = (inner.size.width as f32 * part.clamp(0.0, 1.0)).round() as i32;
        return target.fill_solid(&area(inner.top_left.x, inner.top_left.y, width, inner.size.height as i32), tone);
    }
    let radius = place.size.height as f32 / 2.0;
    let end = place.top_left.x as f32 + place.size.width as f32 * part.clamp(0.0, 1.0);
    let (_, y) = middle(place);
    let x = (end - radius).max(place.top_left.x as f32 + radius);
    paint(target, place, [palette.background, palette.given_surface], |p| rounded(p, place, radius))?;
    let filled =
        area(place.top_left.x, place.top_left.y, (end.ceil() as i32) - place.top_left.x, place.size.height as i32);
    let colours = filled.points().map(|point| {
        let p = (point.x as f32 + 0.5, point.y as f32 + 0.5);
        let bar = super::shapes::segment(p, (place.top_left.x as f32 + radius, y), (x, y)) - radius;
        let track = C::mix(palette.background, palette.given_surface, 0.5 - rounded(p, place, radius));
        C::mix(track, tone, 0.5 - bar)
    });
    target.fill_contiguous(&filled, colours)
}
