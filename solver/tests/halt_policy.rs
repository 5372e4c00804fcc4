//! When a row stops, and how `--halt` is written.

use proptest::prelude::*;
use trm_intake::explained;
use trm_models::{ConfigSource, TrmConfig};
use trm_solver::{HaltPolicy, HaltReason, Progress, QHalt};

fn config(no_act_continue: bool) -> TrmConfig {
    let yaml = format!(
        "
arch:
  name: recursive_reasoning.trm@TinyRecursiveReasoningModel_ACTV1
  no_ACT_continue: {no_act_continue}
  H_cycles: 1
  L_cycles: 1
  H_layers: 0
  L_layers: 1
  hidden_size: 8
  num_heads: 1
  expansion: 1
  mlp_t: true
  pos_encodings: none
  puzzle_emb_ndim: 0
  puzzle_emb_len: 0
  halt_max_steps: 16
  halt_exploration_prob: 0.1
"
    );
    let source = ConfigSource::from_yaml_str(&yaml, "test").expect("the config parses");
    source.seq_len(4).vocab_size(3).num_puzzle_identifiers(1).build().expect("the config is valid")
}

fn progress(steps: usize, q_halt: f32, verified: Option<bool>) -> Progress {
    Progress { steps, q_halt, q_continue: 1.0, verified }
}

fn policy(text: &str) -> HaltPolicy {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_policy_ends_at_the_limit() {
    let config = config(true);
    for text in ["max-steps", "q-halt", "verified", "verified+q-halt"] {
        let decide = |steps| policy(text).decide(&progress(steps, -1.0, Some(false)), 16, &config);
        assert_eq!(decide(15), None, "{text}");
        assert_eq!(decide(16), Some(HaltReason::MaxSteps), "{text}");
        assert_eq!(decide(17), Some(HaltReason::MaxSteps), "{text}");
    }
}

#[test]
fn max_steps_listens_to_nothing() {
    assert_eq!(policy("max-steps").decide(&progress(3, 9.0, Some(true)), 16, &config(true)), None);
}

#[test]
fn the_models_signal_is_compared_with_the_threshold() {
    let trm = config(true);
    let decide = |text, steps, q_halt| policy(text).decide(&progress(steps, q_halt, None), 16, &trm);
    assert_eq!(decide("q-halt", 1, 0.1), Some(HaltReason::QHalt));
    assert_eq!(decide("q-halt", 1, 0.0), None, "the threshold itself does not halt");
    assert_eq!(decide("q-halt:2", 1, 1.9), None);
    assert_eq!(decide("q-halt:2", 1, 2.1), Some(HaltReason::QHalt));
    assert_eq!(decide("q-halt:0:3", 2, 9.0), None, "too early");
    assert_eq!(decide("q-halt:0:3", 3, 9.0), Some(HaltReason::QHalt));
    assert_eq!(decide("q-halt", 1, f32::NAN), None);
}

#[test]
fn q_learning_compares_halt_with_continue() {
    // `progress` has q_continue = 1.
    let q_learning = config(false);
    let decide = |q_halt| policy("q-halt").decide(&progress(1, q_halt, None), 16, &q_learning);
    assert_eq!(decide(0.5), None);
    assert_eq!(decide(1.5), Some(HaltReason::QHalt));
}

#[test]
fn verification_goes_before_the_signal() {
    let config = config(true);
    let decide = |text, verified| policy(text).decide(&progress(1, 1.0, verified), 16, &config);
    assert_eq!(decide("verified", Some(true)), Some(HaltReason::Verified));
    assert_eq!(decide("verified", Some(false)), None);
    assert_eq!(decide("verified", None), None);
    assert_eq!(decide("verified+q-halt", Some(true)), Some(HaltReason::Verified));
    assert_eq!(decide("verified+q-halt", Some(false)), Some(HaltReason::QHalt));
    assert!(!policy("q-halt").needs_verdict() && policy("verified").needs_verdict());
    assert_eq!(policy("verified").without_verifier(), policy("q-halt"));
    assert_eq!(policy("verified+q-halt:1").without_verifier(), policy("q-halt:1"));
}

#[test]
fn nonsense_is_refused_with_a_hint() {
    for text in [
        "",
        "halt",
        "q-halt:",
        "q-halt:x",
        "q-halt:nan",
        "q-halt:0:0",
        "q-halt:0:-1",
        "q-halt:0:1:2",
        "verified+",
        "verified+max-steps",
        "Verified",
    ] {
        let error = explained(&text.parse::<HaltPolicy>().expect_err(text));
        assert!(error.starts_with(&format!("unknown halting policy `{text}`\nhint: one of max-steps")), "{error}");
    }
    "verified+q-halt:0:1000000".parse::<HaltPolicy>().expect("the limit of --max-steps");
    for text in ["q-halt:0:1000001", "verified+q-halt:1:99999999999"] {
        let error = explained(&text.parse::<HaltPolicy>().expect_err(text));
        assert!(error.starts_with(&format!("`{text}`: ")), "{error}");
        assert!(error.ends_with(" steps before halting\nhint: MIN_STEPS is from 1 to 1000000"), "{error}");
    }
}

proptest! {
    #[test]
    fn parse_reads_what_print_writes(
        threshold in prop_oneof![Just(0.0), Just(f32::INFINITY), -100.0f32..100.0],
        min_steps in 1usize..50,
        kind in 0..4,
    ) {
        let q_halt = QHalt { threshold, min_steps };
        let policy = match kind {
            0 => HaltPolicy::MaxSteps,
            1 => HaltPolicy::QHalt(q_halt),
            2 => HaltPolicy::Verified,
            _ => HaltPolicy::VerifiedOrQHalt(q_halt),
        };
        let printed = policy.to_string();
        prop_assert_eq!(printed.parse::<HaltPolicy>().expect(&printed), policy);
    }
}
