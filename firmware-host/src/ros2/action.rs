//! The action `ComputePathToPose` on the network: a thread that takes goals and cancellations and tells results.
//!
//! It has a thread of its own, so that a goal is accepted within milliseconds while another is planned to: nav2's behaviour trees
//! wait 20 ms for that unless they are told otherwise. What follows from which request is [`Goals`]'.

use std::future::poll_fn;
use std::task::Poll;
use std::thread::JoinHandle;

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::executor::block_on;
use ros2_client::action::{
    ActionServer, ActionServerQosPolicies, CancelGoalRequest, GetResultRequest, GetResultResponse, GoalId, GoalInfo,
    GoalStatusEnum, SendGoalRequest, SendGoalResponse,
};
use ros2_client::action_msgs::GoalStatusArray;
use ros2_client::builtin_interfaces::Time;
use ros2_client::dds::rustdds::no_key::DataWriterCdr;
use ros2_client::dds::rustdds::{QosPolicies, Timestamp, TopicKind};
use ros2_client::qos::{Durability, History, QosProfile, WhenFull};
use ros2_client::{
    ActionTypeName, Context, CreateError, Message, Name, Node, ReadResult, RmwRequestId, ServiceMapping,
};
use serde::Serialize;

use super::cdr::{decode, encode};
use super::goals::{Effect, Goals};
use super::messages::Path;
use super::nav2::{HumbleResult, IronResult, KiltedResult, Nav2Release, PathAnswer, PathError, PathFeedback, PathGoal};
use super::network_access;
use crate::{HostError, Result};

/// A request of the server to the node.
#[derive(Debug)]
pub(super) enum Asked {
    /// Plan, and answer by [`PathServer::answer`].
    Compute(GoalId, Box<PathGoal>),
    /// Log this.
    Warn(String),
}

/// The server of the action. It ends when this is dropped.
pub(super) struct PathServer {
    answers: Option<UnboundedSender<(GoalId, PathAnswer)>>,
    thread: Option<JoinHandle<()>>,
}

impl PathServer {
    /// Serves an action under its full name; what is asked goes to `asked`.
    pub(super) fn start(
        context: &Context,
        node: &mut Node,
        name: &str,
        mapping: ServiceMapping,
        release: Nav2Release,
        asked: impl Fn(Asked) + Send + 'static,
    ) -> Result<Self> {
        match release {
            Nav2Release::Humble => Self::serving::<HumbleResult>(context, node, name, mapping, asked),
            Nav2Release::Iron => Self::serving::<IronResult>(context, node, name, mapping, asked),
            Nav2Release::Kilted => Self::serving::<KiltedResult>(context, node, name, mapping, asked),
        }
    }

    fn serving<R: PathResult>(
        context: &Context,
        node: &mut Node,
        name: &str,
        mapping: ServiceMapping,
        asked: impl Fn(Asked) + Send + 'static,
    ) -> Result<Self> {
        let create = |reason: String| HostError::Ros2 { action: "creating the action", reason };
        let server = create_server::<R>(node, name, mapping).map_err(|error| create(error.to_string()))?;
        let results = Results::create(context, name, mapping).map_err(|error| create(error.to_string()))?;
        let (answers, answered) = unbounded();
        let thread = std::thread::Builder::new().name("ros2 action".to_owned());
        let thread = thread
            .spawn(move || block_on(Serving { server, results, goals: Goals::default(), asked }.serve(answered)))
            .map_err(|error| create(error.to_string()))?;
        Ok(Self { answers: Some(answers), thread: Some(thread) })
    }

    /// Ends a goal by its answer.
    pub(super) fn answer(&self, goal: GoalId, answer: PathAnswer) {
        if let Some(answers) = &self.answers {
            // A server that has ended asks for nothing.
            let _ = answers.unbounded_send((goal, answer));
        }
    }
}

impl Drop for PathServer {
    fn drop(&mut self) {
        self.answers = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A result of the action, in the layout of a release.
trait PathResult: Message + Clone + Default + From<PathAnswer> + Send + 'static {}

impl<R: Message + Clone + Default + From<PathAnswer> + Send + 'static> PathResult for R {}

/// The quality of service of ROS 2's services.
fn services() -> QosProfile {
    QosProfile::default().reliability_reliable(WhenFull::DEFAULT).history(History::KeepLast { depth: 10 })
}

/// The way in which results are replied. The library's own way has a fault, see [`network_access::largest_reply`].
enum Results<R: PathResult> {
    /// Its own way, up to so many bytes.
    Limited(usize),
    /// By a writer of our own, of any size. Such replies say in themselves whose request they answer.
    Framed(Box<DataWriterCdr<Framed<R>>>),
}

/// A reply as `rmw_cyclonedds_cpp` has it (`cdds_request_header_t` in its `serdata.hpp`): the request's header before it.
#[derive(Serialize)]
struct Framed<R> {
    /// The last half of the asker's name.
    guid: [u8; 8],
    /// The request's number, as the library has read it: high half first.
    sequence_number: (i32, u32),
    response: GetResultResponse<R>,
}

impl<R: PathResult> Results<R> {
    fn create(context: &Context, action: &str, mapping: ServiceMapping) -> std::result::Result<Self, CreateError> {
        if mapping != ServiceMapping::Cyclone {
            return Ok(Self::Limited(network_access::largest_reply()));
        }
        let participant = context.domain_participant();
        let quality = QosPolicies::from(services());
        let kind = "nav2_msgs::action::dds_::ComputePathToPose_GetResult_Response_".to_owned();
        let topic = format!("rr{action}/_action/get_resultReply");
        let topic = participant.create_topic(topic, kind, &quality, TopicKind::NoKey)?;
        let writer = participant.create_publisher(&quality)?.create_datawriter_no_key_cdr(&topic, None)?;
        Ok(Self::Framed(Box::new(writer)))
    }
}

fn create_server<R: PathResult>(
    node: &mut Node,
    name: &str,
    mapping: ServiceMapping,
) -> std::result::Result<ActionServer<PathGoal, R, PathFeedback>, CreateError> {
    let name = Name::parse(name).map_err(|error| CreateError::BadParameter { reason: format!("{name}: {error}") })?;
    // rcl_action's: services and feedback as all of ROS 2's, of statuses the newest for those who come late.
    let services = services();
    let latched = services.clone().durability(Durability::TransientLocal).history(History::KeepLast { depth: 1 });
    node.create_action_server(
        mapping,
        &name,
        &ActionTypeName::new("nav2_msgs", "ComputePathToPose"),
        ActionServerQosPolicies {
            goal_service: services.clone(),
            result_service: services.clone(),
            cancel_service: services.clone(),
            feedback_publisher: services,
            status_publisher: latched,
        },
    )
}

enum Event {
    Goal(ReadResult<(RmwRequestId, SendGoalRequest<PathGoal>)>),
    Cancel(ReadResult<(RmwRequestId, CancelGoalRequest)>),
    Result(ReadResult<(RmwRequestId, GetResultRequest)>),
    Answer(GoalId, PathAnswer),
}

struct Serving<R: PathResult, F> {
    server: ActionServer<PathGoal, R, PathFeedback>,
    results: Results<R>,
    goals: Goals<Box<PathGoal>, R, RmwRequestId>,
    asked: F,
}

impl<R: PathResult, F: Fn(Asked)> Serving<R, F> {
    async fn serve(mut self, mut answered: UnboundedReceiver<(GoalId, PathAnswer)>) {
        while let Some(event) = self.next(&mut answered).await {
            match event {
                Event::Goal(Ok((request, goal))) => self.send_goal(request, goal),
                Event::Cancel(Ok((request, cancel))) => self.cancel(request, &cancel),
                Event::Result(Ok((request, GetResultRequest { goal_id }))) => {
                    let effects = self.goals.ask(goal_id, request);
                    self.carry_out(effects);
                }
                Event::Answer(goal_id, answer) => {
                    let answer = self.fitting(answer);
                    let has_succeeded = !answer.path.poses.is_empty();
                    let effects = self.goals.finish(goal_id, has_succeeded, answer.into());
                    self.tell_statuses();
                    self.carry_out(effects);
                }
                Event::Goal(Err(error)) | Event::Cancel(Err(error)) | Event::Result(Err(error)) => {
                    self.warn(&format!("a request cannot be read: {error}"));
                }
            }
        }
    }

    /// The next of all that can happen; nothing once the node has ended. Requests are polled for one after the other, since the
    /// server hands out one of its services at a time.
    async fn next(&mut self, answered: &mut UnboundedReceiver<(GoalId, PathAnswer)>) -> Option<Event> {
        poll_fn(|context| {
            if let Poll::Ready(answer) = answered.poll_next_unpin(context) {
                return Poll::Ready(answer.map(|(goal_id, answer)| Event::Answer(goal_id, answer)));
            }
            let mut cancels = self.server.cancel_server().receive_request_stream();
            if let Poll::Ready(read) = cancels.poll_next_unpin(context) {
                return Poll::Ready(read.map(Event::Cancel));
            }
            drop(cancels);
            let mut goals = self.server.goal_server().receive_request_stream();
            if let Poll::Ready(read) = goals.poll_next_unpin(context) {
                return Poll::Ready(read.map(Event::Goal));
            }
            drop(goals);
            self.server
                .result_server()
                .receive_request_stream()
                .poll_next_unpin(context)
                .map(|read| read.map(Event::Result))
        })
        .await
    }

    fn send_goal(&mut self, request: RmwRequestId, SendGoalRequest { goal_id, goal }: SendGoalRequest<PathGoal>) {
        let stamp = Time::now();
        let accepted = self.goals.accept(goal_id, Box::new(goal), stamp);
        let response = SendGoalResponse { accepted: accepted.is_some(), stamp };
        if let Err(error) = self.server.send_goal_response(request, response) {
            self.warn(&format!("a goal was not acknowledged: {error}"));
        }
        self.tell_statuses();
        self.carry_out(accepted.into_iter().flatten());
    }

    fn cancel(&mut self, request: RmwRequestId, cancel: &CancelGoalRequest) {
        // The request's only field is private to the library: its bytes are read again.
        let asked: GoalInfo = match encode(cancel).and_then(|bytes| decode(&bytes)) {
            Ok(asked) => asked,
            Err(error) => return self.warn(&format!("a request cannot be read: {error}")),
        };
        let (response, effects) = self.goals.cancel(&asked);
        if let Err(error) = self.server.send_cancel_response(request, response) {
            self.warn(&format!("a cancellation was not acknowledged: {error}"));
        }
        self.tell_statuses();
        self.carry_out(effects);
    }

    fn carry_out(&self, effects: impl IntoIterator<Item = Effect<Box<PathGoal>, R, RmwRequestId>>) {
        for effect in effects {
            match effect {
                Effect::Execute(goal_id, goal) => (self.asked)(Asked::Compute(goal_id, goal)),
                Effect::Reply(request, status, result) => {
                    if let Err(error) = self.reply(request, GetResultResponse { status, result }) {
                        self.warn(&format!("a result was not sent: {error}"));
                    }
                }
            }
        }
    }

    fn reply(&self, request: RmwRequestId, response: GetResultResponse<R>) -> std::result::Result<(), String> {
        match &self.results {
            Results::Limited(_) => self.server.send_result(request, response).map_err(|error| error.to_string()),
            Results::Framed(writer) => {
                let mut guid = [0; 8];
                guid.copy_from_slice(&request.writer_gid.to_bytes16()[8..]);
                let number = request.sequence_number;
                let reply = Framed { guid, sequence_number: ((number >> 32) as i32, number as u32), response };
                writer.write(reply, Some(Timestamp::now())).map_err(|error| error.to_string())
            }
        }
    }

    /// The answer as it can be replied: whole, or by its corners, or why not.
    fn fitting(&self, answer: PathAnswer) -> PathAnswer {
        let Results::Limited(most) = self.results else { return answer };
        let size = |answer: &PathAnswer| {
            let response = GetResultResponse { status: GoalStatusEnum::Succeeded, result: R::from(answer.clone()) };
            encode(&response).map_or(usize::MAX, |bytes| bytes.len())
        };
        if size(&answer) <= most {
            return answer;
        }
        let answer = PathAnswer { path: answer.path.corners(), ..answer };
        let bytes = size(&answer);
        if bytes <= most {
            return answer;
        }
        let message = format!(
            "the path has {} corners, {bytes} bytes, and a reply to Fast DDS may have {most} here; it is published whole. Replies to \
             Cyclone DDS have no limit: --rmw cyclonedds",
            answer.path.poses.len()
        );
        self.warn(&message);
        let path = Path { poses: Vec::new(), ..answer.path };
        PathAnswer { path, error: PathError::Unknown, message, ..answer }
    }

    fn tell_statuses(&self) {
        let statuses = GoalStatusArray { status_list: self.goals.statuses() };
        if let Err(error) = self.server.send_goal_statuses(statuses) {
            self.warn(&format!("the status of goals was not published: {error}"));
        }
    }

    fn warn(&self, what: &str) {
        (self.asked)(Asked::Warn(format!("{}: {what}", self.server.name())));
    }
}
