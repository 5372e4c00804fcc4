//! Check that a command is one that the device can carry out.

use crate::{Capabilities, Command, Refusal, Runs, pixels};

/// Refuses what is not there, not within range, or not complete.
pub(super) fn fits(command: &Command<'_>, capabilities: &Capabilities) -> Result<(), Refusal> {
    match command {
        Command::Clear(_) | Command::Brightness(_) if capabilities.panel.is_none() => Err(Refusal::Unsupported),
        Command::Nothing | Command::Clear(_) | Command::Brightness(_) => Ok(()),
        Command::Rect(rect) => {
            let panel = capabilities.panel.ok_or(Refusal::Unsupported)?;
            let (right, bottom) = (rect.x.checked_add(rect.width), rect.y.checked_add(rect.height));
            let within = right.is_some_and(|right| right <= panel.width)
                && bottom.is_some_and(|bottom| bottom <= panel.height)
                && rect.width > 0
                && rect.height > 0;
            if !within {
                return Err(Refusal::OutOfRange);
            }
            let units = Runs::new(rect.data, panel.format).checked_count();
            (units == Some(pixels(rect.width, rect.height, panel.format))).then_some(()).ok_or(Refusal::BadPixels)
        }
        Command::Led { index, .. } => (*index < capabilities.leds).then_some(()).ok_or(Refusal::OutOfRange),
        Command::Motion(_) | Command::ReportPose { .. } | Command::SetPose(_) => {
            capabilities.motors.then_some(()).ok_or(Refusal::Unsupported)
        }
    }
}
