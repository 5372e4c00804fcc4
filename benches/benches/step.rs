//! Latency of one ACT step of the shipped bundles, on both engines.

fn main() {}
