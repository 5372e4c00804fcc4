//! The names of topics and of the action, as a node of ROS 2 resolves them.

use ros2_client::Name;

use crate::{HostError, Result};

/// Rules for names, as advice.
pub(super) const RULES: &str = "names are of letters, digits and single underscores, and do not begin with a digit; a namespace begins with a slash";

/// The plan's topic under the name of the node, for a node beside nav2's planner server, which publishes `plan`.
pub const PRIVATE_PLAN: &str = "~/plan";

/// Names of topics and of the action. One that begins with a slash stays as it is, one that begins with `~/` is under the node's name,
/// any other is in the node's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// `nav_msgs/msg/OccupancyGrid`, subscribed.
    pub map: String,
    /// `geometry_msgs/msg/PoseStamped`, subscribed.
    pub goal: String,
    /// `geometry_msgs/msg/PoseWithCovarianceStamped` of whoever sets the robot's pose, subscribed.
    pub start: String,
    /// `geometry_msgs/msg/PoseWithCovarianceStamped` of whoever finds the robot's pose, subscribed.
    pub localised: String,
    /// `nav_msgs/msg/Path`, published.
    pub plan: String,
    /// `nav2_msgs/action/ComputePathToPose`, served.
    pub action: String,
}

impl Default for Names {
    /// Those of nav2, but the action is under the node's name: of two servers with one name, both would answer.
    fn default() -> Self {
        Self {
            map: "map".into(),
            goal: "goal_pose".into(),
            start: "initialpose".into(),
            localised: "amcl_pose".into(),
            plan: "plan".into(),
            action: "~/compute_path_to_pose".into(),
        }
    }
}

impl Names {
    /// The full names, of a node of this name in this namespace.
    ///
    /// # Errors
    /// [`HostError::Ros2Name`] for names that ROS 2 does not allow.
    pub(super) fn resolved(&self, namespace: &str, node: &str) -> Result<Self> {
        let topic = |name: &str| resolved(namespace, node, "the name of a topic", name);
        Ok(Self {
            map: topic(&self.map)?,
            goal: topic(&self.goal)?,
            start: topic(&self.start)?,
            localised: topic(&self.localised)?,
            plan: topic(&self.plan)?,
            action: resolved(namespace, node, "the name of an action", &self.action)?,
        })
    }
}

/// The full name; `what` is what errors call it.
fn resolved(namespace: &str, node: &str, what: &'static str, name: &str) -> Result<String> {
    let namespace = namespace.trim_end_matches('/');
    let full = match name.strip_prefix("~/") {
        _ if name.starts_with('/') => name.to_owned(),
        Some(private) => format!("{namespace}/{node}/{private}"),
        None => format!("{namespace}/{name}"),
    };
    match Name::parse(&full) {
        Ok(_) => Ok(full),
        Err(_) => Err(HostError::Ros2Name {
            what,
            name: name.to_owned(),
            reason: "it breaks the rules for names".to_owned(),
            hint: RULES,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(namespace: &str, map: &str) -> Result<Names> {
        Names { map: map.to_owned(), ..Names::default() }.resolved(namespace, "guide")
    }

    #[test]
    fn names_are_in_the_namespace_unless_they_begin_with_a_slash() {
        let found = names("/", "map").unwrap();
        assert_eq!(
            [&*found.map, &found.goal, &found.start, &found.localised, &found.plan, &found.action],
            ["/map", "/goal_pose", "/initialpose", "/amcl_pose", "/plan", "/guide/compute_path_to_pose"]
        );
        let found = names("/robot1/nav", "/map").unwrap();
        assert_eq!(
            [&*found.map, &found.goal, &found.start, &found.plan, &found.action],
            [
                "/map",
                "/robot1/nav/goal_pose",
                "/robot1/nav/initialpose",
                "/robot1/nav/plan",
                "/robot1/nav/guide/compute_path_to_pose"
            ]
        );
        assert_eq!(names("/robot1", "slam/map").unwrap().map, "/robot1/slam/map");
        assert_eq!(names("/robot1", "~/map").unwrap().map, "/robot1/guide/map");
    }

    #[test]
    fn bad_names_are_refused_with_what_is_wrong() {
        let error = names("/", "my map").unwrap_err();
        assert!(error.to_string().starts_with("`my map` cannot be the name of a topic"), "{error}");
        assert!(!error.is_device_failure());
        for name in ["", "map/", "a//b", "2d/map", "a__b", "~", "~/", "~map", "a/~/b"] {
            assert!(names("/", name).is_err(), "{name}");
        }
        let error = Names { action: "~/a b".into(), ..Names::default() }.resolved("/", "guide").unwrap_err();
        assert!(error.to_string().starts_with("`~/a b` cannot be the name of an action"), "{error}");
    }
}
