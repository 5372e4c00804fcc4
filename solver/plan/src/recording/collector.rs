//! Gathers the poses of a recording's messages by topic, within a budget.

use std::collections::BTreeMap;

use trm_intake::{Budget, Fault, Limits, Printable};

use super::message::MessageType;
use super::{PoseStream, TimedPlace, Tracks, republished};

/// The most places that are kept: eleven hours of fifty a second. 64 MiB.
const MOST_PLACES: u64 = 2_000_000;
/// The most places of paths that are compared with those of others.
const MOST_COMPARED: u64 = 100_000_000;
/// The most topics that are remembered to be listed.
const MOST_OTHERS: usize = 1_000;
/// The most topics with poses.
const MOST_STREAMS: usize = 1_000;
/// The most frames of a topic that are remembered, and the most characters of each.
const MOST_FRAMES: usize = 8;
const LONGEST_FRAME: usize = 255;

/// The topics of a recording.
pub(super) struct Collector {
    /// The topic that is wanted; `None` for all.
    wanted: Option<String>,
    pub(super) streams: BTreeMap<String, PoseStream>,
    /// Types of topics whose messages hold no poses, or are not wanted.
    pub(super) others: BTreeMap<String, String>,
    /// Poses that were left out because they are no numbers.
    pub(super) without_numbers: u64,
    places: Budget,
    compared: Budget,
}

impl Collector {
    pub(super) fn new(wanted: Option<&str>) -> Self {
        let items = |items| Budget::new(Limits { bytes: 0, items, depth: 0, time: None });
        Self {
            wanted: wanted.map(str::to_owned),
            streams: BTreeMap::new(),
            others: BTreeMap::new(),
            without_numbers: 0,
            places: items(MOST_PLACES),
            compared: items(MOST_COMPARED),
        }
    }

    /// True if poses of this topic are gathered.
    pub(super) fn wants(&self, topic: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted == topic)
    }

    /// Remembers a topic without poses, or one that is not wanted.
    pub(super) fn other(&mut self, topic: &str, type_name: &str, encoding: &str) {
        if self.others.len() < MOST_OTHERS {
            let encoded = if encoding == "cdr" { String::new() } else { format!(" encoded as {encoding}") };
            self.others.insert(topic.to_owned(), format!("{type_name}{encoded}"));
        }
    }

    /// Takes what a message holds. `recorded` is when it was recorded, in seconds.
    pub(super) fn message(
        &mut self,
        topic: &str,
        kind: MessageType,
        recorded: f64,
        message: &[u8],
    ) -> Result<(), Fault> {
        let named = |fault: Fault| Fault {
            what: format!("a message on {} ({}): {}", Printable(topic), kind.name(), fault.what),
            hint: fault.hint,
        };
        let mut message = kind.read(message).map_err(named)?;
        let before = message.places.len();
        message.places.retain(|place| place.iter().all(|number| number.is_finite()));
        self.without_numbers += (before - message.places.len()) as u64;

        message.frame.truncate(message.frame.floor_char_boundary(LONGEST_FRAME));
        if !self.streams.contains_key(topic) {
            if self.streams.len() == MOST_STREAMS {
                return Err(Fault::from(format!("more than {MOST_STREAMS} topics with poses")).advise("name one"));
            }
            self.streams.insert(topic.to_owned(), PoseStream::new(topic, Some(kind)));
        }
        let Some(stream) = self.streams.get_mut(topic) else { return Ok(()) };
        if stream.kind != Some(kind) {
            return Err(Fault::from(format!("the topic {} has messages of two types", Printable(topic))));
        }
        stream.messages += 1;
        if !stream.frames.contains(&message.frame) && stream.frames.len() < MOST_FRAMES {
            stream.frames.push(message.frame);
        }
        match &mut stream.tracks {
            Tracks::Poses(poses) => {
                let time = Some(message.stamp.unwrap_or(recorded));
                poses.extend(message.places.into_iter().map(|at| TimedPlace { time, at }));
                self.places.take_items(1).map_err(too_many)
            }
            Tracks::Paths(paths) => {
                let kept = republished::add(paths, message.places, &mut self.compared)
                    .map_err(|exceeded| Fault::from(format!("its paths are too many to compare: {exceeded}")))?;
                self.places.take_items(kept as u64).map_err(too_many)
            }
        }
    }
}

fn too_many(exceeded: trm_intake::Exceeded) -> Fault {
    Fault::from(format!("too many poses: {exceeded}")).advise("name one topic, or cut the recording into several")
}
