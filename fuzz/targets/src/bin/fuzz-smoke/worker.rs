//! The process that reads: one input after the other, each announced before it is read.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use trm_cli::outln;
use trm_fuzz::{Target, mutate};

use super::Options;

/// Reads inputs until the time is over, then prints how many, how many were accepted, and the longest time in microseconds.
pub(super) fn work(target: &Target, options: &Options, progress: &Path) -> Result<()> {
    let corpus = mutate::corpus(&options.corpus.join(target.name)).context("cannot read the corpus")?;
    let mut progress = File::create(progress).context("cannot announce inputs")?;
    let (started, limit) = (Instant::now(), Duration::from_secs_f64(options.seconds));
    let (mut inputs, mut accepted, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    while started.elapsed() < limit {
        let data = mutate::input(&corpus, options.seed, inputs);
        progress.rewind()?;
        progress.write_all(&inputs.to_le_bytes())?;
        let begun = Instant::now();
        accepted += u64::from(target.run(&data));
        slowest = slowest.max(begun.elapsed());
        inputs += 1;
    }
    outln!("{inputs} {accepted} {}", slowest.as_micros())?;
    Ok(())
}
