//! Drives out of poses: one for each piece in which the robot was on its way.

use trm_intake::Fault;

use super::{PoseStream, TimedPlace, Tracks};
use crate::{PlanError, Result};

/// The most places of the drives of a recording: a hundred kilometres, five centimetres apart.
pub const MOST_PLACES: usize = 1_900_000;

/// Metres within which a robot stands still, whatever its localisation says.
const STILL: f64 = 0.1;

/// The limits at which a track of poses is cut into drives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cuts {
    /// Seconds without a movement of more than 0.1 m, or without a pose.
    pub pause: f64,
    /// Metres between one pose and the next.
    pub jump: f64,
    /// Metres of the shortest drive that is kept.
    pub least: f64,
}

impl Default for Cuts {
    fn default() -> Self {
        Self { pause: 5.0, jump: 1.0, least: 1.0 }
    }
}

impl PoseStream {
    /// The drives of this topic, with a place every `spacing` metres. Each path is a drive by itself.
    ///
    /// # Errors
    /// [`PlanError::BadRecording`] for more than [`MOST_PLACES`].
    pub fn drives(&self, cuts: &Cuts, spacing: f64) -> Result<Vec<Vec<[f64; 2]>>> {
        let pieces = match &self.tracks {
            Tracks::Poses(poses) => pieces(poses, cuts),
            Tracks::Paths(paths) => paths.clone(),
        };
        let mut drives = Vec::new();
        let mut room = MOST_PLACES;
        for piece in pieces {
            let Some(drive) = resampled(&piece, spacing, room) else {
                let source_name = if self.topic.is_empty() { "the table" } else { &self.topic }.to_owned();
                let fault = Fault::from(format!("its drives have more than {MOST_PLACES} places, {spacing} m apart"))
                    .advise("cut the recording into several, with a file of drives for each");
                return Err(PlanError::BadRecording { source_name, fault });
            };
            if length(&drive) >= cuts.least && drive.len() > 1 {
                room -= drive.len();
                drives.push(drive);
            }
        }
        Ok(drives)
    }
}

/// The pieces between stops, gaps and jumps.
fn pieces(poses: &[TimedPlace], cuts: &Cuts) -> Vec<Vec<[f64; 2]>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<[f64; 2]> = Vec::new();
    // The robot has been within a small circle around this pose since, and the piece had so many places then.
    let mut still: Option<(TimedPlace, usize)> = None;
    let mut last: Option<TimedPlace> = None;
    for &pose in poses {
        let is_apart = last.is_some_and(|last| {
            let seconds = since(&last, &pose);
            // A clock that goes back was set anew.
            seconds.is_some_and(|seconds| seconds > cuts.pause || seconds < 0.0)
                || distance(last.at, pose.at) > cuts.jump
        });
        if is_apart {
            pieces.push(std::mem::take(&mut piece));
            still = None;
        }
        match &still {
            Some((anchor, places)) if distance(anchor.at, pose.at) <= STILL => {
                if since(anchor, &pose).is_some_and(|seconds| seconds >= cuts.pause) {
                    // Up to where it came to stand; the next piece begins here, and again with the next pose.
                    piece.truncate(*places);
                    if piece.len() > 1 {
                        pieces.push(std::mem::take(&mut piece));
                    }
                    piece.clear();
                    still = Some((*anchor, 1));
                }
            }
            _ => still = Some((pose, piece.len() + 1)),
        }
        piece.push(pose.at);
        last = Some(pose);
    }
    pieces.push(piece);
    pieces
}

/// Seconds from one pose to the next, where both have a time.
fn since(from: &TimedPlace, to: &TimedPlace) -> Option<f64> {
    Some(to.time? - from.time?)
}

/// Places along a track, each `spacing` metres from the one before, and its end; `None` if they are more than `most`.
fn resampled(track: &[[f64; 2]], spacing: f64, most: usize) -> Option<Vec<[f64; 2]>> {
    let (&first, &end) = (track.first()?, track.last()?);
    let mut places = vec![first];
    let mut here = first;
    for &next in &track[1..] {
        let far = distance(here, next);
        let steps = (far / spacing).floor();
        if steps >= most.saturating_sub(places.len()) as f64 {
            return None;
        }
        let toward = |step: f64| [0, 1].map(|axis| here[axis] + (next[axis] - here[axis]) * (step * spacing / far));
        places.extend((1..=steps as usize).map(|step| toward(step as f64)));
        here = places[places.len() - 1];
    }
    if distance(here, end) > spacing / 10.0 {
        places.push(end);
    }
    Some(places)
}

fn length(places: &[[f64; 2]]) -> f64 {
    places.windows(2).map(|pair| distance(pair[0], pair[1])).sum()
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}
