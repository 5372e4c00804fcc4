//! A plan as a recording.

use std::path::Path;

use trm_cli::InvalidOption;
use trm_intake::file::{FileError, is_same, write_atomically};
use trm_plan::map::LoadedMap;
use trm_plan::recording::write_mcap;
use trm_plan::{Goal, PlannedPath, Pose, Terrain};

use super::Args;

/// Refuses a file that is read from, before the work is done.
pub(super) fn check(args: &Args, loaded: &LoadedMap) -> Result<(), InvalidOption> {
    let Some(path) = &args.mcap else { return Ok(()) };
    let mut inputs = std::iter::once(&args.map).chain(args.costs.files()).chain(&loaded.image);
    if inputs.any(|input| is_same(input, path)) {
        return Err(InvalidOption {
            option: "--mcap",
            reason: format!("{}: it is read from, and would be overwritten", path.display()),
            hint: Some("give another name".to_owned()),
        });
    }
    Ok(())
}

/// Writes the recording; poses are as those that are printed.
pub(super) fn write(
    file: &Path,
    terrain: &Terrain,
    path: Option<&PlannedPath>,
    (start, goal): (Pose, Goal),
    spacing: Option<f64>,
) -> Result<(), FileError> {
    let last = path.and_then(|path| path.poses.last());
    let goal = Pose { x: goal.x, y: goal.y, yaw: goal.yaw.or(last.map(|pose| pose.yaw)).unwrap_or_default() };
    write_atomically(file, |out| write_mcap(out, terrain, path, (start, goal), spacing))
}
