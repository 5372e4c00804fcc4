//! One function for each reader of input from outside: it takes any bytes and must come back, soon, with little memory
//! and without a panic.
//!
//! Both drivers call these: cargo-fuzz by `fuzz/fuzz_targets/NAME.rs`, and `fuzz-smoke` of this package, which needs no
//! nightly compiler. `docs/fuzzing.md` says how to run them. Each has its seeds in `fuzz/corpus/NAME/`.
//!
//! ```
//! let target = trm_fuzz::find("puzzle-text").expect("a target of this name");
//! assert!(target.run(b"1..4\n..3.\n.1..\n4..2\n"), "read");
//! assert!(!target.run(b"no puzzle"), "refused");
//! ```

pub mod mutate;
mod puzzles;
mod scratch;
mod weights;
mod world;

/// A reader that is given anything.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its corpus' folder.
    pub name: &'static str,
    read: fn(&[u8]) -> bool,
}

impl Target {
    /// Reads the bytes. Returns true if they were accepted; a refusal is as good.
    #[must_use]
    pub fn run(&self, data: &[u8]) -> bool {
        (self.read)(data)
    }
}

/// All readers.
pub static TARGETS: [Target; 28] = [
    Target { name: "checkpoint", read: weights::checkpoint },
    Target { name: "checkpoint-pickle", read: weights::checkpoint_pickle },
    Target { name: "safetensors", read: weights::safetensors },
    Target { name: "npz", read: weights::npz },
    Target { name: "onnx", read: weights::onnx },
    Target { name: "ort-checkpoint", read: weights::ort_checkpoint },
    Target { name: "manifest", read: weights::manifest },
    Target { name: "selftest", read: weights::self_test },
    Target { name: "config-yaml", read: weights::config_yaml },
    Target { name: "train-config", read: weights::train_config },
    Target { name: "puzzle-text", read: puzzles::text },
    Target { name: "maze-text", read: puzzles::mazes },
    Target { name: "jsonl", read: puzzles::jsonl },
    Target { name: "arc-json", read: puzzles::arc_json },
    Target { name: "dataset", read: puzzles::dataset },
    Target { name: "moving-ai", read: puzzles::moving_ai },
    Target { name: "scenarios", read: puzzles::scenarios },
    Target { name: "map", read: world::map },
    Target { name: "map-settings", read: world::map_settings },
    Target { name: "map-image", read: world::map_image },
    Target { name: "picture", read: world::picture },
    Target { name: "mjpeg", read: world::mjpeg },
    Target { name: "path", read: world::path },
    Target { name: "recording", read: world::recording },
    Target { name: "frames", read: world::frames },
    Target { name: "messages", read: world::messages },
    Target { name: "frame-source", read: world::frame_source },
    Target { name: "kiosk-toml", read: world::kiosk_toml },
];

/// Readers that fail, by which the driver is tested.
static FAULTS: [Target; 3] = [
    Target { name: "fault-panic", read: |data| data.first().is_none_or(|first| 100 / first > 0) },
    Target {
        name: "fault-endless",
        read: |data| (0..=u64::MAX).all(|number| std::hint::black_box(number) < u64::MAX && !data.is_empty()),
    },
    Target { name: "fault-memory", read: |data| std::hint::black_box(vec![1_u8; data.len() << 30]).is_empty() },
];

/// The target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().chain(&FAULTS).find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every reader has seeds that it accepts, and a program for cargo-fuzz.
    #[test]
    fn every_target_has_a_corpus_and_a_program() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).expect("cargo-fuzz's manifest");
        for target in &TARGETS {
            let name = target.name;
            let corpus = mutate::corpus(&fuzz.join("corpus").join(name)).expect(name);
            // Nothing of this project is an ONNX Runtime checkpoint of a few kilobytes: its seed is a broken one.
            let accepted = corpus.iter().filter(|seed| target.run(seed)).count();
            assert!(accepted > 0 || name == "ort-checkpoint", "{name}: no seed is accepted");
            for seed in &corpus {
                assert!(seed.len() <= 8 << 10, "{name}: a seed of {} bytes makes every mutation slow", seed.len());
            }
            let program = format!("fuzz_targets/{name}.rs");
            assert!(manifest.contains(&format!("path = \"{program}\"")), "{name} is not in fuzz/Cargo.toml");
            let text = std::fs::read_to_string(fuzz.join(&program)).expect(name);
            assert!(text.contains(&format!("\"{name}\"")), "{program} runs something else");
        }
    }

    #[test]
    fn names_are_unique_and_found() {
        for target in &TARGETS {
            let found = TARGETS.iter().filter(|other| other.name == target.name).count();
            assert_eq!(found, 1, "{}", target.name);
        }
        assert!(find("nothing").is_none());
    }
}
