//! Nothing to do: without a build script Cargo has no build dependencies.
fn main() {}
