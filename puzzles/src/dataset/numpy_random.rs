//! The random numbers of `numpy.random` after `numpy.random.seed`, in which the public builder draws augmentations.

/// Words of the state.
const WORDS: usize = 624;
/// The word that is mixed in, counted from the one that changes.
const SHIFT: usize = 397;

/// The generator MT19937 (Matsumoto and Nishimura, 1998), seeded and bounded as `numpy.random.RandomState` does it.
pub(super) struct NumpyRandom {
    state: [u32; WORDS],
    next: usize,
}

impl NumpyRandom {
    /// The numbers after `numpy.random.seed(seed)`.
    pub(super) fn seeded(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for index in 1..WORDS {
            let before = state[index - 1];
            state[index] = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(index as u32);
        }
        Self { state, next: WORDS }
    }

    /// The next 32 bits.
    pub(super) fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.turn_over();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn turn_over(&mut self) {
        for index in 0..WORDS {
            let joined = (self.state[index] & 0x8000_0000) | (self.state[(index + 1) % WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + SHIFT) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// A number below `bound`, as `randint(0, bound)` draws it: masked, and drawn again where it is too large. 0, and
    /// nothing drawn, for a bound of 0 or 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let most = u32::try_from(bound.saturating_sub(1)).unwrap_or(u32::MAX);
        if most == 0 {
            return 0;
        }
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn as usize;
            }
        }
    }

    /// Puts the items in the order of `shuffle`.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_reference_implementation() {
        // The C++ standard gives the 10,000th number after the default seed.
        let mut random = NumpyRandom::seeded(5489);
        let last = (0..10_000).map(|_| random.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn choices_are_those_of_numpy() {
        // numpy.random.seed(42); [numpy.random.randint(0, 30) for _ in range(8)]; numpy.random.permutation(numpy.arange(1, 10))
        let mut random = NumpyRandom::seeded(42);
        assert_eq!((0..8).map(|_| random.below(30)).collect::<Vec<_>>(), [6, 19, 28, 14, 10, 7, 28, 20]);
        let mut colours: Vec<u8> = (1..10).collect();
        random.shuffle(&mut colours);
        assert_eq!(colours, [5, 8, 1, 4, 6, 9, 3, 2, 7]);
    }
}
