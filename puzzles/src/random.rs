//! Random choices that give the same puzzles on every platform and with every version of `rand`.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The generator behind every seed in this crate.
#[must_use]
pub fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A number below `bound`, evenly distributed (Lemire's multiplication with rejection); 0 for a bound of 0.
pub(crate) fn below(rng: &mut (impl Rng + ?Sized), bound: usize) -> usize {
    let bound = u32::try_from(bound).unwrap_or(u32::MAX);
    if bound == 0 {
        return 0;
    }
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(bound);
        // The low half tells whether this draw falls into the uneven remainder.
        if product as u32 >= bound.wrapping_neg() % bound {
            return (product >> 32) as usize;
        }
    }
}

/// A number in `low..=high`; `low` where the range is empty.
pub(crate) fn between(rng: &mut (impl Rng + ?Sized), low: usize, high: usize) -> usize {
    low + below(rng, high.saturating_sub(low) + 1)
}

/// One of the items, or `None` when there is none.
pub(crate) fn choose<'a, T>(rng: &mut (impl Rng + ?Sized), items: &'a [T]) -> Option<&'a T> {
    items.get(below(rng, items.len()))
}

/// Fisher-Yates.
pub(crate) fn shuffle<T>(rng: &mut (impl Rng + ?Sized), items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// The numbers `0..n` in random order.
pub(crate) fn permutation(rng: &mut (impl Rng + ?Sized), n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(rng, &mut order);
    order
}

/// `inverse[permutation[i]] == i`.
pub(crate) fn invert(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (from, &to) in permutation.iter().enumerate() {
        inverse[to] = from;
    }
    inverse
}
