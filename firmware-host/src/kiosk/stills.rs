//! A camera of still pictures: a folder, or anything else that has one picture after the other.

use super::parts::{Camera, Frame};
use crate::Result;

/// Shows a picture again and again until the puzzle on it has been dealt with, then the next one: to the kiosk, a board that
/// lies still and is then taken away.
///
/// A picture that cannot be read is the camera's failure, and is passed over.
#[derive(Debug)]
pub struct Stills<F> {
    next: F,
    present: Option<Frame>,
}

impl<F: FnMut() -> Result<Option<Frame>>> Stills<F> {
    /// A camera over `next`, which gives the next picture, `None` after the last.
    pub fn new(next: F) -> Self {
        Self { next, present: None }
    }
}

impl<F: FnMut() -> Result<Option<Frame>>> Camera for Stills<F> {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if let Some(frame) = &mut self.present {
            frame.cut = false;
        } else {
            self.present = (self.next)()?.map(|frame| Frame { cut: true, ..frame });
        }
        Ok(self.present.clone())
    }

    fn puzzle_done(&mut self) {
        self.present = None;
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;
    use crate::HostError;

    #[test]
    fn a_picture_stays_until_it_is_done() {
        let mut number = 0;
        let mut camera = Stills::new(|| {
            number += 1;
            match number {
                2 => Err(HostError::Part { part: "picture", reason: "truncated".to_owned() }),
                4 => Ok(None),
                _ => Ok(Some(Frame { name: format!("{number}.png"), image: RgbImage::new(1, 1), cut: true })),
            }
        });
        let mut next = |done: bool| {
            if done {
                camera.puzzle_done();
            }
            camera.next_frame().map(|frame| frame.map(|frame| (frame.name, frame.cut)))
        };
        let frame = |name: &str, cut| Some((name.to_owned(), cut));
        assert_eq!(next(false).unwrap(), frame("1.png", true));
        assert_eq!(next(false).unwrap(), frame("1.png", false));
        assert_eq!(next(true).unwrap_err().to_string(), "picture: truncated");
        assert_eq!(next(false).unwrap(), frame("3.png", true));
        assert_eq!(next(true).unwrap(), None);
    }
}
