//! Paths as `trm plan --json` prints them.

use std::io::Read;

use serde::Deserialize;
use trm_intake::{Budget, Limits, Printable, ReadError};
use trm_plan::Pose;

use super::Route;
use crate::{LinkError, Result};

/// Limits of a path: its bytes, and its poses, a list each: as many as `trm plan` makes, and a few names.
const LIMITS: Limits = Limits { bytes: 64 << 20, items: 1_000_000 + 1_000, depth: 16, time: None };

/// The longest name or other text in it, in bytes.
const LONGEST_TEXT: u64 = 4 << 10;

/// The parts of a plan that matter here.
#[derive(Debug, Deserialize)]
struct Plan {
    status: String,
    #[serde(default)]
    path: Vec<[f64; 3]>,
}

/// A planned path.
#[derive(Debug, Clone, PartialEq)]
pub struct PathFile {
    /// Its poses: metres and radians in the map's frame.
    pub poses: Vec<Pose>,
    /// The same, as it can be driven.
    pub route: Route,
}

impl PathFile {
    /// Reads `{"status":"planned","path":[[x,y,yaw],…]}`, whatever else is in it; `name` is for messages.
    ///
    /// # Errors
    /// [`LinkError::Path`] for what is not that, was not planned, or cannot be driven; [`LinkError::Io`] when reading
    /// fails.
    pub fn read(name: &str, source: impl Read) -> Result<Self> {
        let refuse = |reason: String, hint| LinkError::Path { name: format!("{name}:"), reason, hint };
        let mut budget = Budget::new(LIMITS);
        let mut text = String::new();
        let mut reader = budget.bounded(source);
        reader.read_to_string(&mut text).map_err(|error| match reader.why(error) {
            ReadError::Io(error) => LinkError::io("read", name)(error),
            ReadError::Exceeded(exceeded) => refuse(exceeded.to_string(), "is this what `trm plan --json` printed?"),
        })?;
        budget.take_json(text.as_bytes(), LONGEST_TEXT).map_err(|exceeded| {
            refuse(exceeded.to_string(), "is this what `trm plan --json` printed? --spacing makes fewer poses")
        })?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| {
            let hint = r#"expected what `trm plan --json` prints: {"status":"planned","path":[[x,y,yaw],…]}"#;
            refuse(format!("not a path: {error}"), hint)
        })?;
        if plan.status != "planned" {
            let status = Printable(&plan.status);
            return Err(refuse(format!("the status is `{status}`, not `planned`"), "there is no path to drive"));
        }
        // Angles may have any number of turns; what is not finite is refused with the route.
        let pose = |[x, y, yaw]: [f64; 3]| Pose::new(x, y, yaw);
        let poses: Vec<_> = plan.path.into_iter().map(pose).collect();
        let route = Route::new(&poses).map_err(|error| match error {
            LinkError::Path { name: what, reason, hint } => refuse(format!("{what} {reason}"), hint),
            other => other,
        })?;
        Ok(Self { poses, route })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PathFile> {
        PathFile::read("plan.json", text.as_bytes())
    }

    #[test]
    fn what_the_planner_prints_is_read() {
        let text = r#"{"status":"planned","path":[[1,2,0.5],[1.5,2,-7]],"length_m":0.5,"network_share":1.0,"ms":3}"#;
        let file = read(text).unwrap();
        assert_eq!(file.poses, [Pose::new(1.0, 2.0, 0.5), Pose::new(1.5, 2.0, -7.0)]);
        assert_eq!(file.route.corners(), [[1.0, 2.0], [1.5, 2.0]]);
    }

    #[test]
    fn what_is_no_path_says_why() {
        let message = |text| trm_intake::explained(&read(text).unwrap_err());
        assert_eq!(
            message(r#"{"status":"unreachable","path":[]}"#),
            "plan.json: the status is `unreachable`, not `planned`\nhint: there is no path to drive"
        );
        assert_eq!(
            message(r#"{"status":"planned"}"#),
            "plan.json: the path has no poses\nhint: a path has one pose at least, where the robot stands"
        );
        for wrong in [
            "",
            "[]",
            "{",
            r#"{"path":[[0,0,0]]}"#,
            r#"{"status":"planned","path":[[0,0]]}"#,
            r#"{"status":"planned","path":[[0,0,0,0]]}"#,
            r#"{"status":"planned","path":[[0,0,NaN]]}"#,
            r#"{"status":"planned","path":[[0,0,null]]}"#,
            r#"{"status":"planned","path":[[0,0,1e999]]}"#,
            r#"{"status":"planned","path":[[0,0,0]]} more"#,
        ] {
            let message = message(wrong);
            assert!(
                message.starts_with("plan.json: not a path: ") && message.contains("\nhint: expected"),
                "{message}"
            );
        }
        assert!(message(r#"{"status":"planned","path":[[0,0,0],[1e300,0,0]]}"#).contains("the path has pose 1 at"));
        let endless = std::io::repeat(b' ');
        let error = trm_intake::explained(&PathFile::read("endless", endless).unwrap_err());
        assert!(error.starts_with("endless: 67108865 bytes are more than the limit of 67108864\n"), "{error}");
        let error = PathFile::read("bytes", &[0xFF, 0xFE][..]).unwrap_err().to_string();
        assert_eq!(error, "bytes: read failed");
    }
}
