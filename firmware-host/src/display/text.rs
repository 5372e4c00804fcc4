//! Text: outlines of Roboto where there are shades, bitmap fonts where there are none.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::Point;
use embedded_graphics::mono_font::iso_8859_1::{
    FONT_4X6, FONT_5X8, FONT_6X10, FONT_6X13_BOLD, FONT_9X15_BOLD, FONT_10X20,
};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};
use embedded_graphics::{Drawable, Pixel};

use super::Ink;

static MEDIUM: LazyLock<FontRef<'static>> = LazyLock::new(|| font(include_bytes!("fonts/Roboto-Medium.ttf")));
static BOLD: LazyLock<FontRef<'static>> = LazyLock::new(|| font(include_bytes!("fonts/Roboto-Bold.ttf")));

/// The font of an answer's digits, for whoever draws on photographs.
pub(crate) fn answer_font() -> FontRef<'static> {
    MEDIUM.clone()
}

fn font(bytes: &'static [u8]) -> FontRef<'static> {
    FontRef::try_from_slice(bytes).expect("a font that is compiled in")
}

/// Height of Roboto's capitals and digits over ascent minus descent: 1456 of 2146 + 555 units in its `OS/2` and `hhea`.
const CAPITALS: f32 = 1456.0 / 2401.0;

/// Width of strokes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    Medium,
    Bold,
}

/// Where text stands in its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Centre,
}

/// Setting of a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style<C> {
    /// Height from the top of the highest letter to the bottom of the lowest, in pixels.
    pub(super) size: f32,
    pub(super) weight: Weight,
    pub(super) align: Align,
    /// Colours: the paper's, then the ink's.
    pub(super) colours: [C; 2],
}

impl<C: Ink> Style<C> {
    pub(super) fn new(size: f32, colours: [C; 2]) -> Self {
        Self { size, weight: Weight::Medium, align: Align::Left, colours }
    }

    pub(super) fn bold(self) -> Self {
        Self { weight: Weight::Bold, ..self }
    }

    pub(super) fn centred(self) -> Self {
        Self { align: Align::Centre, ..self }
    }

    fn outline(&self) -> &'static FontRef<'static> {
        match self.weight {
            Weight::Medium => &MEDIUM,
            Weight::Bold => &BOLD,
        }
    }

    /// The largest bitmap font that is not higher than the size (the smallest, where none is).
    fn bitmap(&self) -> &'static MonoFont<'static> {
        match self.size {
            ..8.0 => &FONT_4X6,
            ..10.0 => &FONT_5X8,
            ..13.0 => &FONT_6X10,
            ..15.0 => &FONT_6X13_BOLD,
            ..20.0 => &FONT_9X15_BOLD,
            _ => &FONT_10X20,
        }
    }

    /// Width of one line, in pixels.
    pub(super) fn width(&self, text: &str) -> f32 {
        if C::SHADES {
            let font = self.outline().as_scaled(PxScale::from(self.size));
            text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
        } else {
            // Without the gap after the last character.
            (text.chars().count() as u32 * self.bitmap().character_size.width).saturating_sub(1) as f32
        }
    }

    /// Distance of lines, in pixels.
    pub(super) fn line_height(&self) -> i32 {
        if C::SHADES { (self.size * 1.08).round() as i32 } else { self.bitmap().character_size.height as i32 }
    }

    /// Height of capitals and digits, in pixels.
    fn capitals(&self) -> f32 {
        if C::SHADES { self.size * CAPITALS } else { self.bitmap().baseline as f32 + 1.0 }
    }

    /// One line, its capitals' top left corner at `(x, y)`.
    fn line<D: DrawTarget<Color = C>>(&self, target: &mut D, x: f32, y: f32, text: &str) -> Result<(), D::Error> {
        let [paper, ink] = self.colours;
        if !C::SHADES {
            let style = MonoTextStyle::new(self.bitmap(), ink);
            let at = Point::new(x.floor() as i32, y.floor() as i32);
            return Text::with_baseline(text, at, style, Baseline::Top).draw(target).map(drop);
        }
        let font = self.outline().as_scaled(PxScale::from(self.size));
        // On a whole pixel: the feet of all letters are sharp.
        let baseline = (y + self.capitals()).round();
        let mut x = x;
        for c in text.chars() {
            let id = font.glyph_id(c);
            let glyph = Glyph { id, scale: PxScale::from(self.size), position: point(x, baseline) };
            x += font.h_advance(id);
            let Some(outlined) = font.outline_glyph(glyph) else { continue };
            let bounds = outlined.px_bounds();
            let (left, top) = (bounds.min.x as i32, bounds.min.y as i32);
            let mut pixels = Vec::new();
            outlined.draw(|column, row, coverage| {
                // Fainter ones would make dirty rectangles larger than anybody sees.
                if coverage > 0.03 {
                    let at = Point::new(left + column as i32, top + row as i32);
                    pixels.push(Pixel(at, C::mix(paper, ink, coverage)));
                }
            });
            target.draw_iter(pixels)?;
        }
        Ok(())
    }

    /// One line in the middle of an area.
    pub(super) fn centre<D: DrawTarget<Color = C>>(
        &self,
        target: &mut D,
        area: Rectangle,
        text: &str,
    ) -> Result<(), D::Error> {
        let x = area.top_left.x as f32 + (area.size.width as f32 - self.width(text)) / 2.0;
        let y = area.top_left.y as f32 + (area.size.height as f32 - self.capitals()) / 2.0;
        self.line(target, x, y, text)
    }

    /// Lines broken between words, smaller where the longest word would not fit; what does not fit in height is left
    /// out. Returns the height that was used, in pixels.
    pub(super) fn block<D: DrawTarget<Color = C>>(
        &self,
        target: &mut D,
        area: Rectangle,
        text: &str,
    ) -> Result<i32, D::Error> {
        let room = area.size.width as f32;
        let mut style = *self;
        let widest = |style: &Self| text.split_whitespace().map(|word| style.width(word)).fold(0.0, f32::max);
        while widest(&style) > room && style.size > 6.0 {
            style.size -= 0.5;
        }
        let mut lines = style.wrap(room, text);
        if style.align == Align::Centre {
            // Lines of about the same length: no single word on the last one.
            let (least, count) = (room / 2.0, lines.len());
            let mut narrow = room;
            while narrow > least && widest(&style) <= narrow {
                let narrower = style.wrap(narrow, text);
                if narrower.len() > count {
                    break;
                }
                lines = narrower;
                narrow -= room / 32.0;
            }
        }
        let mut used = 0;
        for line in lines {
            if used + style.capitals().ceil() as i32 > area.size.height as i32 {
                break;
            }
            let x = match style.align {
                Align::Left => 0.0,
                Align::Centre => (room - style.width(&line)) / 2.0,
            };
            let y = area.top_left.y as f32 + used as f32;
            style.line(target, area.top_left.x as f32 + x.max(0.0), y, &line)?;
            used += style.line_height();
        }
        Ok(used)
    }

    fn wrap(&self, room: f32, text: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= room => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }
}
