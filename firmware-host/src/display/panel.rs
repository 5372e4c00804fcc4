//! A panel behind a slow link: only what changed is sent, as few rectangles.

use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::raw::{RawData, RawU16};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};

use super::{Canvas, Ink};

/// Side of the tiles in which changes are looked for, in pixels. A multiple of 8: monochrome rectangles then begin and
/// end at whole bytes of a row.
const TILE: u32 = 16;

/// Takes rectangles of pixels to a panel.
pub trait PanelSink {
    /// The reason why a rectangle could not be delivered.
    type Error;

    /// Replaces a rectangle of a colour panel: `w * h` pixels in RGB565, row by row.
    ///
    /// # Errors
    /// When the panel did not get it.
    fn rectangle(&mut self, x: u16, y: u16, w: u16, h: u16, pixels: &[u16]) -> Result<(), Self::Error>;

    /// Replaces a rectangle of a monochrome panel: `h` rows of `w` bits, first pixel in the highest bit, each row filled
    /// up to whole bytes.
    ///
    /// # Errors
    /// When the panel did not get it.
    fn mono(&mut self, x: u16, y: u16, w: u16, h: u16, bits: &[u8]) -> Result<(), Self::Error>;
}

/// A pixel format that panels are sent.
pub trait PanelInk: Ink {
    /// Sends one rectangle of a canvas, which must lie inside it.
    ///
    /// # Errors
    /// Those of the sink.
    fn send<S: PanelSink>(canvas: &Canvas<Self>, of: Dirty, sink: &mut S) -> Result<(), S::Error>;
}

impl PanelInk for Rgb565 {
    fn send<S: PanelSink>(canvas: &Canvas<Self>, of: Dirty, sink: &mut S) -> Result<(), S::Error> {
        let pixels: Vec<u16> = of.rows(canvas).flatten().map(|&pixel| RawU16::from(pixel).into_inner()).collect();
        sink.rectangle(of.x, of.y, of.width, of.height, &pixels)
    }
}

impl PanelInk for BinaryColor {
    fn send<S: PanelSink>(canvas: &Canvas<Self>, of: Dirty, sink: &mut S) -> Result<(), S::Error> {
        let byte = |pixels: &[Self]| {
            pixels.iter().enumerate().fold(0, |byte, (i, pixel)| byte | (u8::from(pixel.is_on()) << (7 - i)))
        };
        let bits: Vec<u8> = of.rows(canvas).flat_map(|row| row.chunks(8).map(byte)).collect();
        sink.mono(of.x, of.y, of.width, of.height, &bits)
    }
}

/// A rectangle that has to be sent, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Left column.
    pub x: u16,
    /// Top row.
    pub y: u16,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Dirty {
    fn rows<C: Ink>(self, canvas: &Canvas<C>) -> impl Iterator<Item = &[C]> {
        let rows = usize::from(self.y)..usize::from(self.y) + usize::from(self.height);
        rows.map(move |y| canvas.span(self.x.into(), y, self.width.into()))
    }

    /// Number of pixels.
    #[must_use]
    pub fn pixels(self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }
}

/// Rectangles that turn `old` into `new`: tiles that differ, neighbours merged. They do not overlap. All of `new`, in
/// one, where there is no old picture or it has another size.
///
/// Pictures wider or higher than 65535 pixels are cut there.
#[must_use]
pub fn dirty<C: Ink>(old: Option<&Canvas<C>>, new: &Canvas<C>) -> Vec<Dirty> {
    let Size { width, height } = new.size();
    let (width, height) = (width.min(u32::from(u16::MAX)), height.min(u32::from(u16::MAX)));
    let rectangle = |x: u32, y: u32, right: u32, bottom: u32| Dirty {
        x: x as u16,
        y: y as u16,
        width: (right - x) as u16,
        height: (bottom - y) as u16,
    };
    if width == 0 || height == 0 {
        return Vec::new();
    }
    let Some(old) = old.filter(|old| old.size() == new.size()) else {
        return vec![rectangle(0, 0, width, height)];
    };
    let mut done: Vec<Dirty> = Vec::new();
    // Runs of the row of tiles above, which a run below continues where it spans the same columns.
    let mut open: Vec<Dirty> = Vec::new();
    for top in (0..height).step_by(TILE as usize) {
        let bottom = (top + TILE).min(height);
        let differs = |left: u32| {
            let span = (TILE.min(width - left)) as usize;
            (top..bottom)
                .any(|y| old.span(left as usize, y as usize, span) != new.span(left as usize, y as usize, span))
        };
        let mut runs: Vec<Dirty> = Vec::new();
        for left in (0..width).step_by(TILE as usize).filter(|&left| differs(left)) {
            let right = (left + TILE).min(width);
            match runs.last_mut() {
                Some(run) if u32::from(run.x) + u32::from(run.width) == left => {
                    run.width = (right - u32::from(run.x)) as u16;
                }
                _ => runs.push(rectangle(left, top, right, bottom)),
            }
        }
        for run in &mut runs {
            if let Some(above) = open.iter().position(|above| above.x == run.x && above.width == run.width) {
                let above = open.swap_remove(above);
                run.height += above.height;
                run.y = above.y;
            }
        }
        done.append(&mut open);
        open = runs;
    }
    done.append(&mut open);
    done
}

/// Size of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Rectangles.
    pub rectangles: usize,
    /// Pixels in them.
    pub pixels: usize,
}

/// Knows what a panel shows, and sends what differs from it.
#[derive(Clone, Debug)]
pub struct Panel<C> {
    shown: Option<Canvas<C>>,
    most: usize,
}

impl<C: PanelInk> Panel<C> {
    /// A panel of unknown content. A rectangle that is sent has at most `most_pixels`, as far as rows allow: the link's
    /// largest message.
    #[must_use]
    pub fn new(most_pixels: usize) -> Self {
        Self { shown: None, most: most_pixels }
    }

    /// Says that the panel shows something else by now, after a reset or a new connection: the next update sends all.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// Makes the panel show `canvas`.
    ///
    /// # Errors
    /// Those of the sink. It is then not known what the panel shows, and the next update sends all.
    pub fn update<S: PanelSink>(&mut self, canvas: &Canvas<C>, sink: &mut S) -> Result<Sent, S::Error> {
        let shown = self.shown.take();
        let mut sent = Sent::default();
        for rectangle in dirty(shown.as_ref(), canvas) {
            let rows = (self.most / usize::from(rectangle.width)).clamp(1, usize::from(rectangle.height)) as u16;
            let mut y = 0;
            while y < rectangle.height {
                let height = rows.min(rectangle.height - y);
                let part = Dirty { y: rectangle.y + y, height, ..rectangle };
                C::send(canvas, part, sink)?;
                sent.rectangles += 1;
                sent.pixels += part.pixels();
                y += height;
            }
        }
        self.shown = Some(canvas.clone());
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use embedded_graphics::Pixel;
    use embedded_graphics::draw_target::DrawTarget;
    use embedded_graphics::geometry::Point;
    use embedded_graphics::primitives::{PointsIter, Rectangle};
    use proptest::prelude::*;

    use super::*;
    use crate::display::{Theme, draw, sample};

    /// A panel that applies what it is sent; it refuses the rectangle numbered `fails_at`.
    struct Device<C> {
        canvas: Canvas<C>,
        received: usize,
        fails_at: usize,
    }

    impl<C: Ink> Device<C> {
        fn new(canvas: Canvas<C>) -> Self {
            Self { canvas, received: 0, fails_at: usize::MAX }
        }

        fn fill(&mut self, [x, y, w, h]: [u16; 4], colours: impl Iterator<Item = C>) -> Result<(), &'static str> {
            if self.received == self.fails_at {
                return Err("line lost");
            }
            self.received += 1;
            let area = Rectangle::new(Point::new(x.into(), y.into()), Size::new(w.into(), h.into()));
            let colours: Vec<C> = colours.collect();
            assert_eq!(colours.len(), area.points().count());
            let pixels = area.points().zip(colours).map(|(point, colour)| Pixel(point, colour));
            let Ok::<(), Infallible>(()) = self.canvas.draw_iter(pixels);
            Ok(())
        }
    }

    impl PanelSink for Device<Rgb565> {
        type Error = &'static str;

        fn rectangle(&mut self, x: u16, y: u16, w: u16, h: u16, pixels: &[u16]) -> Result<(), Self::Error> {
            self.fill([x, y, w, h], pixels.iter().map(|&pixel| Rgb565::from(RawU16::new(pixel))))
        }

        fn mono(&mut self, _: u16, _: u16, _: u16, _: u16, _: &[u8]) -> Result<(), Self::Error> {
            Err("a colour panel")
        }
    }

    impl PanelSink for Device<BinaryColor> {
        type Error = &'static str;

        fn rectangle(&mut self, _: u16, _: u16, _: u16, _: u16, _: &[u16]) -> Result<(), Self::Error> {
            Err("a monochrome panel")
        }

        fn mono(&mut self, x: u16, y: u16, w: u16, h: u16, bits: &[u8]) -> Result<(), Self::Error> {
            let width = usize::from(w);
            assert_eq!(bits.len(), width.div_ceil(8) * usize::from(h));
            let rows = bits.chunks(width.div_ceil(8));
            let row = |row: &[u8]| (0..width).map(|i| row[i / 8] >> (7 - i % 8) & 1 == 1).collect::<Vec<_>>();
            self.fill([x, y, w, h], rows.flat_map(row).map(BinaryColor::from))
        }
    }

    fn canvas<C: Ink>(width: u32, height: u32, pixels: &[(u32, u32, u32, u32)], ink: C, paper: C) -> Canvas<C> {
        let mut canvas = Canvas::new(Size::new(width, height), paper);
        for &(x, y, w, h) in pixels {
            let area = Rectangle::new(Point::new(x as i32, y as i32), Size::new(w, h));
            let Ok(()) = canvas.fill_solid(&area, ink);
        }
        canvas
    }

    type Areas = Vec<(u32, u32, u32, u32)>;

    fn areas() -> impl Strategy<Value = Areas> {
        prop::collection::vec((0..90_u32, 0..90_u32, 1..30_u32, 1..30_u32), 0..8)
    }

    fn same<C>(old: Canvas<C>, new: &Canvas<C>, most: usize) -> Result<(), TestCaseError>
    where
        Device<C>: PanelSink<Error = &'static str>,
        C: PanelInk,
    {
        let rectangles = dirty(Some(&old), new);
        let covered: usize = rectangles.iter().map(|rectangle| rectangle.pixels()).sum();
        prop_assert!(covered <= new.pixels().len());
        prop_assert_eq!(rectangles.is_empty(), &old == new);
        let mut device = Device::new(old.clone());
        let mut panel = Panel { shown: Some(old), most };
        let sent = panel.update(new, &mut device).unwrap();
        prop_assert_eq!(sent.pixels, covered);
        prop_assert_eq!(sent.rectangles, device.received);
        prop_assert!(&device.canvas == new);
        prop_assert_eq!(panel.update(new, &mut device).unwrap(), Sent::default());
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_sent_turns_the_old_picture_into_the_new(
            before in areas(), after in areas(), width in 1..100_u32, height in 1..100_u32, most in 1..2000_usize,
        ) {
            let (ink, paper) = (Rgb565::new(1, 2, 3), Rgb565::new(31, 0, 7));
            same(canvas(width, height, &before, ink, paper), &canvas(width, height, &after, ink, paper), most)?;
            let (ink, paper) = (BinaryColor::On, BinaryColor::Off);
            same(canvas(width, height, &before, ink, paper), &canvas(width, height, &after, ink, paper), most)?;
        }
    }

    #[test]
    fn one_pixel_costs_one_tile_and_a_step_of_solving_less_than_the_screen() {
        let (ink, paper) = (BinaryColor::On, BinaryColor::Off);
        let blank = canvas(128, 64, &[], ink, paper);
        let dot = canvas(128, 64, &[(20, 40, 1, 1)], ink, paper);
        assert_eq!(dirty(Some(&blank), &dot), [Dirty { x: 16, y: 32, width: 16, height: 16 }]);

        let theme = Theme::<Rgb565>::new(320, 240);
        let picture = |name| {
            let mut canvas = Canvas::new(theme.size, theme.palette.background);
            let Ok(()) = draw(&sample::screen(name, None).unwrap(), &theme, &mut canvas);
            canvas
        };
        let rectangles = dirty(Some(&picture("reading")), &picture("doubtful"));
        let pixels: usize = rectangles.iter().map(|rectangle| rectangle.pixels()).sum();
        assert!(pixels < 320 * 240 / 6, "{pixels} pixels in {} rectangles", rectangles.len());
    }

    #[test]
    fn after_a_failure_everything_is_sent_again() {
        let (ink, paper) = (Rgb565::new(1, 2, 3), Rgb565::new(31, 0, 7));
        let (old, new) = (canvas(64, 64, &[], ink, paper), canvas(64, 64, &[(0, 0, 4, 4), (50, 50, 4, 4)], ink, paper));
        let mut device = Device::new(canvas(64, 64, &[], ink, ink));
        let mut panel = Panel::new(usize::MAX);
        assert_eq!(panel.update(&old, &mut device), Ok(Sent { rectangles: 1, pixels: 64 * 64 }));
        device.fails_at = 2;
        assert_eq!(panel.update(&new, &mut device), Err("line lost"));
        device.fails_at = usize::MAX;
        assert_eq!(panel.update(&new, &mut device), Ok(Sent { rectangles: 1, pixels: 64 * 64 }));
        assert!(device.canvas == new);
        panel.forget();
        assert_eq!(panel.update(&new, &mut device).unwrap().pixels, 64 * 64);
    }
}
