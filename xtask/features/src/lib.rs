//! Features that all programs of the workspace are built with.
//!
//! Cargo builds a crate once for each set of features that it is asked for. `trm` alone asks `image` for PNG, `trm-host` for
//! JPEG as well, ROS 2 asks `rustix` for its network: each would build `image` and `rustix` anew, and with them whatever
//! depends on them. Both programs depend on this crate, which asks for all of it. `xtask/tests/features.rs` names what is missing here.
//!
//! Libraries do not depend on it.
