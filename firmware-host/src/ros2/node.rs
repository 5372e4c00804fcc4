//! The node on the network: topics, parameters and logging of ROS 2 around [`Planning`].

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::executor::block_on;
use futures::stream::{LocalBoxStream, select_all};
use ros2_client::log::LogLevel;
use ros2_client::qos::{Durability, History, QosProfile, WhenFull};
use ros2_client::{
    Context, CreateError, MessageInfo, MessageTypeName, Name, Node, NodeName, NodeOptions, ReadResult, RosoutRaw as _,
    ServiceMapping, Subscription, builtin_interfaces,
};

use super::action::{Asked, PathServer};
use super::latched::Latched;
use super::messages::{OccupancyGrid, OccupancyGridUpdate, Path, PoseStamped, PoseWithCovarianceStamped};
use super::names::{Names, RULES};
use super::nav2::Nav2Release;
use super::network_access;
use super::parameters::Parameters;
use super::planner::PathPlanner;
use super::planning::{Action, Level, Planning};
use crate::{HostError, Result};

/// The highest domain: above it, the ports that DDS derives from the domain do not exist.
pub const MAX_DOMAIN: u16 = 232;

/// Identity of the node, what it listens to and how. None of it changes while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The node's name.
    pub name: String,
    /// The node's namespace, which begins with a slash.
    pub namespace: String,
    /// The DDS domain, up to [`MAX_DOMAIN`]; nodes of different domains do not see each other.
    pub domain: u16,
    /// The names of topics and of the action.
    pub names: Names,
    /// The message on the topic of the map.
    pub map: MapSource,
    /// Take the map only from publishers that keep it for those who come late (transient local), as map servers do.
    /// Without, from all, and a map published before the node was there is missed.
    pub latched_map: bool,
    /// The layout of the action's result.
    pub release: Nav2Release,
    /// The middleware of those who call the action.
    pub rmw: Rmw,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "trm_planner".to_owned(),
            namespace: "/".to_owned(),
            domain: 0,
            names: Names::default(),
            map: MapSource::Map,
            latched_map: true,
            release: Nav2Release::default(),
            rmw: Rmw::default(),
        }
    }
}

/// The message on the topic of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapSource {
    /// Space that is free or occupied, as from a map server.
    Map,
    /// A costmap of nav2; its updates are on the topic of this name and `_updates`.
    Costmap,
}

/// The middleware of the other nodes. Topics are the same on the wire; of a service, and so of an action, each writes down in its own
/// way whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rmw {
    /// `rmw_fastrtps_cpp`, the default of ROS 2.
    #[default]
    FastRtps,
    /// `rmw_cyclonedds_cpp`.
    CycloneDds,
}

impl Rmw {
    /// Parses a name as `RMW_IMPLEMENTATION` has it, or its short form: `fastrtps`, `cyclonedds`.
    ///
    /// # Errors
    /// The reason, with the names that are expected.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        match text {
            "fastrtps" | "rmw_fastrtps_cpp" | "rmw_fastrtps_dynamic_cpp" => Ok(Self::FastRtps),
            "cyclonedds" | "rmw_cyclonedds_cpp" => Ok(Self::CycloneDds),
            _ => Err(format!("`{text}` is no middleware that this node speaks, expected fastrtps or cyclonedds")),
        }
    }

    fn mapping(self) -> ServiceMapping {
        match self {
            Self::FastRtps => ServiceMapping::Enhanced,
            Self::CycloneDds => ServiceMapping::Cyclone,
        }
    }
}

/// A node that plans.
pub struct PlanningNode<P> {
    endpoints: Endpoints,
    plan: Latched<Path>,
    server: PathServer,
    /// Answers requests for parameters, and keeps count of who is connected.
    spinner: JoinHandle<()>,
    node: Node,
    planning: Planning<P>,
    parameters: Arc<Mutex<Parameters>>,
    wake: UnboundedSender<Wake>,
    woken: UnboundedReceiver<Wake>,
    log: Log,
}

type Log = Box<dyn FnMut(Level, &str)>;

/// Ends a node, from any thread.
#[derive(Debug, Clone)]
pub struct Stopper(UnboundedSender<Wake>);

impl Stopper {
    /// Ends the node when it has done what it is doing.
    pub fn stop(&self) {
        // A node that is gone has ended.
        let _ = self.0.unbounded_send(Wake::Stop);
    }
}

#[derive(Debug)]
enum Wake {
    Stop,
    Parameters,
    Asked(Asked),
}

enum Event {
    Map(ReadResult<Box<OccupancyGrid>>),
    Update(ReadResult<Box<OccupancyGridUpdate>>),
    Goal(ReadResult<Box<PoseStamped>>),
    Start(ReadResult<Box<PoseWithCovarianceStamped>>),
    Localised(ReadResult<Box<PoseWithCovarianceStamped>>),
    Wake(Wake),
}

struct Endpoints {
    names: Names,
    map: Subscription<OccupancyGrid>,
    /// Only of a costmap.
    updates: Option<Subscription<OccupancyGridUpdate>>,
    goal: Subscription<PoseStamped>,
    start: Subscription<PoseWithCovarianceStamped>,
    localised: Subscription<PoseWithCovarianceStamped>,
}

impl<P: PathPlanner> PlanningNode<P> {
    /// Joins the network. `log` is told everything that `/rosout` is.
    ///
    /// # Errors
    /// [`HostError::Ros2Name`] for names that ROS 2 does not allow; [`HostError::Ros2`] where the network cannot be
    /// used.
    pub fn start(
        planner: P,
        options: &Options,
        parameters: Parameters,
        log: impl FnMut(Level, &str) + 'static,
    ) -> Result<Self> {
        if options.domain > MAX_DOMAIN {
            return Err(HostError::Ros2Name {
                what: "the DDS domain",
                name: options.domain.to_string(),
                reason: "DDS derives ports from it, which end there".to_owned(),
                hint: "0 to 232, on Linux better 0 to 101; ROS 2 calls it ROS_DOMAIN_ID",
            });
        }
        let name = NodeName::new(&options.namespace, &options.name).map_err(|_| HostError::Ros2Name {
            what: "the name of a node",
            name: format!("{} in {}", options.name, options.namespace),
            reason: "it breaks the rules for names".to_owned(),
            hint: RULES,
        })?;
        let names = options.names.resolved(&options.namespace, &options.name)?;
        let context = network_access::join(options.domain).map_err(failed("joining the network"))?;
        let (wake, woken) = unbounded();
        let shared = Arc::new(Mutex::new(parameters));
        let mut node = context
            .new_node(name, node_options(parameters, &shared, &wake))
            .map_err(|error| HostError::Ros2 { action: "creating the node", reason: error.to_string() })?;
        let action = names.action.clone();
        let (endpoints, plan) =
            Endpoints::create(&context, &mut node, names, options).map_err(failed("creating topics"))?;
        let asked = {
            let wake = wake.clone();
            move |asked| {
                // A node that is gone answers nothing.
                let _ = wake.unbounded_send(Wake::Asked(asked));
            }
        };
        let server = PathServer::start(&context, &mut node, &action, options.rmw.mapping(), options.release, asked)?;
        let spinner = node.spinner().map_err(failed("creating services"))?;
        let spinner = std::thread::Builder::new()
            .name("ros2 spinner".to_owned())
            .spawn(move || {
                // Without it, there are no services of parameters; the log of the library says why.
                let _ = block_on(spinner.spin());
            })
            .map_err(|error| HostError::Ros2 { action: "starting a thread", reason: error.to_string() })?;
        let planning = Planning::new(planner, parameters);
        Ok(Self {
            endpoints,
            plan,
            server,
            spinner,
            node,
            planning,
            parameters: shared,
            wake,
            woken,
            log: Box::new(log),
        })
    }

    /// Returns a handle that ends the node.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(self.wake.clone())
    }

    /// Plans until it is stopped. What arrives while it plans is taken afterwards, the newest of each topic.
    pub fn run(self) {
        let Self { endpoints, mut plan, server, spinner, node, mut planning, parameters, wake, woken, mut log } = self;
        let mut say = |level, text: &str| {
            log(level, text);
            let severity = match level {
                Level::Info => LogLevel::Info,
                Level::Warning => LogLevel::Warn,
                Level::Error => LogLevel::Error,
            };
            let now = builtin_interfaces::Time::now();
            node.rosout_raw(now, severity, node.base_name(), text, file!(), "run", line!());
        };
        let names = &endpoints.names;
        say(
            Level::Info,
            &format!(
                "{} is in domain {}: listens to {}, {}, {} and {}, publishes {}, serves {}",
                node.fully_qualified_name(),
                node.domain_id(),
                names.map,
                names.goal,
                names.start,
                names.localised,
                names.plan,
                names.action
            ),
        );
        if let Some(advice) = network_access::small_buffer() {
            say(Level::Warning, &advice);
        }
        let mut events = endpoints.events(woken);
        while let Some(event) = block_on(events.next()) {
            let unread = |topic: &str, error| {
                vec![Action::Log(Level::Warning, format!("{topic}: a message cannot be read: {error}"))]
            };
            let actions = match event {
                Event::Wake(Wake::Stop) => break,
                Event::Wake(Wake::Parameters) => {
                    planning.parameters(*parameters.lock().unwrap_or_else(PoisonError::into_inner))
                }
                Event::Wake(Wake::Asked(Asked::Warn(text))) => vec![Action::Log(Level::Warning, text)],
                Event::Wake(Wake::Asked(Asked::Compute(id, goal))) => {
                    let (actions, answer) = planning.compute(&goal);
                    server.answer(id, answer);
                    actions
                }
                Event::Map(Ok(grid)) if endpoints.updates.is_some() => planning.costmap(&names.map, *grid),
                Event::Map(Ok(grid)) => planning.map(&names.map, *grid),
                Event::Map(Err(error)) => unread(&names.map, error),
                Event::Update(Ok(update)) => planning.costmap_update(&update),
                Event::Update(Err(error)) => unread(&updates_of(&names.map), error),
                Event::Goal(Ok(goal)) => planning.goal(&goal),
                Event::Goal(Err(error)) => unread(&names.goal, error),
                Event::Start(Ok(start)) => planning.start(&start),
                Event::Start(Err(error)) => unread(&names.start, error),
                Event::Localised(Ok(start)) => planning.localised(&start),
                Event::Localised(Err(error)) => unread(&names.localised, error),
            };
            for action in actions {
                match action {
                    Action::Log(level, text) => say(level, &text),
                    Action::Publish(path) => {
                        if let Err(error) = plan.publish(path) {
                            say(Level::Error, &format!("{}: the plan was not published: {error}", names.plan));
                        }
                    }
                }
            }
        }
        say(Level::Info, "stopped");
        drop(events);
        drop(wake);
        drop(endpoints);
        drop(plan);
        drop(server);
        // Ends the spinner.
        drop(node);
        let _ = spinner.join();
    }
}

impl Endpoints {
    fn create(
        context: &Context,
        node: &mut Node,
        names: Names,
        options: &Options,
    ) -> Result<(Self, Latched<Path>), CreateError> {
        // One goal, one start, one map: the newest.
        let newest =
            QosProfile::default().reliability_reliable(WhenFull::DEFAULT).history(History::KeepLast { depth: 1 });
        let latched = newest.clone().durability(Durability::TransientLocal);
        let map_qos = if options.latched_map { &latched } else { &newest };
        let map = topic(node, &names.map, "nav_msgs", "OccupancyGrid", map_qos)?;
        let updates = match options.map {
            MapSource::Map => None,
            MapSource::Costmap => {
                // Each is a part: all that come while a plan is made.
                let all = map_qos.clone().history(History::KeepLast { depth: UPDATES });
                Some(topic(node, &updates_of(&names.map), "map_msgs", "OccupancyGridUpdate", &all)?)
            }
        };
        let goal = topic(node, &names.goal, "geometry_msgs", "PoseStamped", &newest)?;
        let start = topic(node, &names.start, "geometry_msgs", "PoseWithCovarianceStamped", &newest)?;
        // AMCL tells of a robot that stands only once.
        let localised = topic(node, &names.localised, "geometry_msgs", "PoseWithCovarianceStamped", &latched)?;
        let plan = topic(node, &names.plan, "nav_msgs", "Path", &latched)?;
        let endpoints = Self {
            map: node.create_subscription(&map, None)?,
            updates: updates.map(|updates| node.create_subscription(&updates, None)).transpose()?,
            goal: node.create_subscription(&goal, None)?,
            start: node.create_subscription(&start, None)?,
            localised: node.create_subscription(&localised, None)?,
            names,
        };
        Ok((endpoints, Latched::create(context, node, plan, &latched)?))
    }

    /// Everything that happens to the node, as one stream.
    fn events(&self, woken: UnboundedReceiver<Wake>) -> impl futures::Stream<Item = Event> + Unpin + '_ {
        let streams: [LocalBoxStream<'_, Event>; 5] = [
            self.map.async_stream().map(|read| Event::Map(message(read))).boxed_local(),
            self.goal.async_stream().map(|read| Event::Goal(message(read))).boxed_local(),
            self.start.async_stream().map(|read| Event::Start(message(read))).boxed_local(),
            self.localised.async_stream().map(|read| Event::Localised(message(read))).boxed_local(),
            woken.map(Event::Wake).boxed_local(),
        ];
        let updates = self.updates.iter();
        let updates =
            updates.map(|updates| updates.async_stream().map(|read| Event::Update(message(read))).boxed_local());
        select_all(streams.into_iter().chain(updates))
    }
}

/// Updates of a costmap that are kept while a plan is made: nav2 sends one or a few a second.
const UPDATES: usize = 64;

/// The topic of a costmap's updates, as `nav2_costmap_2d` calls it.
fn updates_of(costmap: &str) -> String {
    format!("{costmap}_updates")
}

/// Takes the message, without where it came from.
fn message<M>(read: ReadResult<(M, MessageInfo)>) -> ReadResult<Box<M>> {
    read.map(|(message, _)| Box::new(message))
}

fn topic(
    node: &Node,
    name: &str,
    package: &str,
    message: &str,
    qos: &QosProfile,
) -> Result<ros2_client::dds::rustdds::Topic, CreateError> {
    let name = Name::parse(name).map_err(|error| CreateError::BadParameter { reason: format!("{name}: {error}") })?;
    node.create_topic(&name, MessageTypeName::new(package, message), qos)
}

/// The parameters as ROS 2 has them: checked when they are set, then taken over by the loop.
fn node_options(parameters: Parameters, shared: &Arc<Mutex<Parameters>>, wake: &UnboundedSender<Wake>) -> NodeOptions {
    let mut options = NodeOptions::new().enable_rosout(true);
    for (name, value) in parameters.declared() {
        options = options.declare_parameter(name, value);
    }
    let (shared, wake) = (Arc::clone(shared), wake.clone());
    options
        .parameter_validator(Box::new(|name, value| Parameters::default().with(name, value).map(|_| ())))
        .parameter_set_action(Box::new(move |name, value| {
            let mut current = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = current.with(name, value)?;
            if changed != *current {
                *current = changed;
                let _ = wake.unbounded_send(Wake::Parameters);
            }
            Ok(())
        }))
}

fn failed(action: &'static str) -> impl FnOnce(CreateError) -> HostError {
    move |error| HostError::Ros2 { action, reason: error.to_string() }
}
