//! A topic of which a late reader gets the newest message, and no older one.
//!
//! `RustDDS` (0.15) keeps every message that no reader has acknowledged, and sends all of them to a reader that comes late,
//! whatever the depth of the history. So each message has a writer of its own: with the next message the old writer goes, and
//! takes along what it kept. Writers are made ahead, so that readers have met one before it has something to say.

use std::collections::VecDeque;

use ros2_client::dds::rustdds::no_key::DataWriterCdr;
use ros2_client::dds::rustdds::{self, QosPolicies, Timestamp, Topic};
use ros2_client::qos::QosProfile;
use ros2_client::{Context, CreateError, Node};
use serde::Serialize;

/// Writers that are made ahead: as many messages may follow one another faster than readers meet a new writer.
const AHEAD: usize = 4;

/// Publishes to all who listen, and keeps the newest message for those who come late.
pub(super) struct Latched<M: Serialize> {
    publisher: rustdds::Publisher,
    topic: Topic,
    /// The writer of the newest message, which keeps it.
    newest: Option<DataWriterCdr<M>>,
    ahead: VecDeque<DataWriterCdr<M>>,
    /// Never writes. It is the one that the node's own list of its topics has.
    _announced: ros2_client::Publisher<M>,
}

impl<M: Serialize> Latched<M> {
    /// On a topic whose quality of service is reliable and transient local.
    pub(super) fn create(
        context: &Context,
        node: &mut Node,
        topic: Topic,
        qos: &QosProfile,
    ) -> Result<Self, CreateError> {
        let publisher = context.domain_participant().create_publisher(&QosPolicies::from(qos.clone()))?;
        let announced = node.create_publisher(&topic, None)?;
        let mut latched = Self { publisher, topic, newest: None, ahead: VecDeque::new(), _announced: announced };
        while latched.ahead.len() < AHEAD {
            latched.make_ahead()?;
        }
        Ok(latched)
    }

    fn make_ahead(&mut self) -> Result<(), CreateError> {
        self.ahead.push_back(self.publisher.create_datawriter_no_key_cdr(&self.topic, None)?);
        Ok(())
    }

    /// Publishes a message in place of the one before; the error says why that failed.
    pub(super) fn publish(&mut self, message: M) -> Result<(), String> {
        self.make_ahead().map_err(|error| error.to_string())?;
        self.newest = None;
        if let Some(writer) = self.ahead.pop_front() {
            writer.write(message, Some(Timestamp::now())).map_err(|error| error.to_string())?;
            self.newest = Some(writer);
        }
        Ok(())
    }
}
