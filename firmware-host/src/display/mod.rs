//! Screens that people see, drawn on anything that `embedded-graphics` can draw on.
//!
//! A [`Screen`] says what is shown, a [`Theme`] how it looks on one panel, [`draw`] puts it there. Most panels are
//! served by drawing into a [`Canvas`] first: it can be written as a PNG file, shown on a [`Framebuffer`], or sent to a
//! [`Panel`] behind a slow link, which then only gets what changed.
//!
//! ```
//! use std::time::Duration;
//! use embedded_graphics::pixelcolor::Rgb565;
//! use trm_firmware_host::display::{Canvas, Screen, Theme, draw};
//!
//! let theme = Theme::<Rgb565>::new(240, 240);
//! let mut canvas = Canvas::new(theme.size, theme.palette.background);
//! let Ok(()) = draw(&Screen::Idle { elapsed: Duration::from_secs(3) }, &theme, &mut canvas);
//! assert_eq!(canvas.pixels().len(), 240 * 240);
//! ```

mod attract;
mod board;
mod canvas;
mod draw;
pub mod framebuffer;
mod layout;
pub mod panel;
mod panel_text;
mod preview;
pub mod sample;
mod screen;
mod shapes;
mod text;
mod theme;

pub use canvas::Canvas;
pub use draw::draw;
pub use framebuffer::Framebuffer;
pub use panel::{Panel, PanelSink};
pub use screen::{Board, Preview, Screen};
pub(crate) use text::answer_font;
pub use theme::{Ink, Palette, Theme};
