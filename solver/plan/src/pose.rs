//! Places and directions on the ground.

/// A place and a direction on the ground, in the frame of a map.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pose {
    /// Metres along the frame's x axis.
    pub x: f64,
    /// Metres along the frame's y axis.
    pub y: f64,
    /// Radians from the x axis, counterclockwise, -π to π.
    pub yaw: f64,
}

impl Pose {
    /// A pose; angles are brought into -π to π.
    #[must_use]
    pub fn new(x: f64, y: f64, yaw: f64) -> Self {
        Self { x, y, yaw: normalized(yaw) }
    }

    /// True if all three numbers are finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.yaw.is_finite()
    }

    /// Metres to another place.
    #[must_use]
    pub fn distance(&self, other: &Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// A place to go to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Metres along the map frame's x axis.
    pub x: f64,
    /// Metres along the map frame's y axis.
    pub y: f64,
    /// Radians from the x axis, counterclockwise; `None` if any direction will do.
    pub yaw: Option<f64>,
}

impl From<Pose> for Goal {
    fn from(pose: Pose) -> Self {
        Self { x: pose.x, y: pose.y, yaw: Some(pose.yaw) }
    }
}

/// An angle in radians brought into -π to π.
#[must_use]
pub fn normalized(angle: f64) -> f64 {
    let turned = angle.rem_euclid(std::f64::consts::TAU);
    if turned > std::f64::consts::PI { turned - std::f64::consts::TAU } else { turned }
}
