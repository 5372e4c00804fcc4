//! Latency of one ACT step of the shipped bundles, batch 1, on each engine.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trm_engine::ort::OrtEngine;
use trm_engine::rten::RtenEngine;
use trm_engine::tract::TractEngine;
use trm_engine::{ActStep, Engine, SessionOptions};
use trm_models::SHIPPED;

fn steps(c: &mut Criterion) {
    let engines: [Box<dyn Engine>; 3] =
        [Box::new(OrtEngine::load(None).unwrap()), Box::new(TractEngine), Box::new(RtenEngine)];
    for shipped in SHIPPED {
        let bundle = shipped.open().unwrap();
        let self_test = bundle.self_test().unwrap();
        let seq_len = bundle.manifest().config.seq_len;
        let (tokens, id) = (self_test.tokens[..seq_len].to_vec(), self_test.puzzle_ids[0]);
        for engine in &engines {
            let mut session = engine.load_step(&bundle, &SessionOptions::default()).unwrap();
            let mut input = ActStep::first(tokens.clone(), vec![id]);
            session.step(&input).unwrap();
            input.reset = vec![false];
            c.bench_function(&format!("step {} {}", shipped.name, engine.name()), |b| {
                b.iter(|| session.step(black_box(&input)).unwrap());
            });
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
