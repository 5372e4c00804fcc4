//! Normally distributed numbers. The same random bits give the same numbers on every machine, but for the last digit of a
//! logarithm or cosine.

use std::f64::consts::TAU;

use rand::Rng;

/// Two numbers of this standard deviation, by the polar method (G. Marsaglia, 1964), which needs no trigonometry.
pub fn polar_pair(rng: &mut (impl Rng + ?Sized), deviation: f32) -> [f32; 2] {
    // 24 bits, from -1 to 1; the half keeps -1 out. From 2^23 on f32 has no halves and rounds to an even number, so that 0
    // and 1 occur.
    let mut uniform = || ((rng.next_u32() >> 8) as f32 + 0.5) / (1 << 23) as f32 - 1.0;
    loop {
        let (u, v) = (uniform(), uniform());
        let square = u * u + v * v;
        // Two zeros have no direction, and their logarithm is infinite.
        if square > 0.0 && square < 1.0 {
            let scale = deviation * (-2.0 * square.ln() / square).sqrt();
            return [u * scale, v * scale];
        }
    }
}

/// A standard normal number, drawn again beyond two standard deviations (G. E. P. Box and M. E. Muller, 1958). `uniform`
/// gives two independent numbers from 0 to 1, of which the first is never 0.
pub fn truncated(mut uniform: impl FnMut() -> [f64; 2]) -> f64 {
    loop {
        let [a, b] = uniform();
        let normal = (-2.0 * a.ln()).sqrt() * (TAU * b).cos();
        if normal.abs() <= 2.0 {
            return normal;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand::TryRng;

    use super::*;
    use crate::seeded;

    /// The same but for what another library's logarithm or cosine may round differently.
    #[track_caller]
    fn assert_bits(found: &[f32], bits: &[u32]) {
        let expected = bits.iter().map(|&bits| f32::from_bits(bits));
        let same = found.iter().zip(expected.clone()).all(|(a, b)| (a - b).abs() <= 3e-7 * b.abs());
        assert!(found.len() == bits.len() && same, "{found:?}, expected {:?}", expected.collect::<Vec<_>>());
    }

    /// Numbers of the first version, by which recorded rollouts and trained models were drawn.
    #[test]
    fn numbers_are_those_of_the_first_version() {
        let mut rng = seeded(7);
        let pairs = [(); 3].map(|()| polar_pair(&mut rng, 0.5));
        assert_bits(
            pairs.as_flattened(),
            &[0xbd71_f1e8, 0xbd65_fca6, 0xbe4d_5239, 0xbe56_678d, 0xbf05_68b9, 0x3eed_1190],
        );
        let mut rng = seeded(3);
        let mut unit = || ((rng.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let scale = 0.25 / 0.879_625_661_034_238_2;
        let values = [(); 4].map(|()| (truncated(|| [unit(), unit()]) * scale) as f32);
        assert_bits(&values, &[0x3e76_ff41, 0x3ebd_4ceb, 0x3dd8_fab7, 0x3dc8_bbd2]);
    }

    /// Gives words one after the other.
    struct Words<'a>(std::slice::Iter<'a, u32>);

    impl TryRng for Words<'_> {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(*self.0.next().expect("another word"))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from(self.try_next_u32()?) | u64::from(self.try_next_u32()?) << 32)
        }

        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
            unreachable!("nobody asks for bytes")
        }
    }

    #[test]
    fn two_zeros_are_drawn_again() {
        // 2^23 and a half, in 24 bits, round to 2^23, which is 0.
        let zero = 0x80_0000 << 8;
        let pair = polar_pair(&mut Words([zero, zero, 0xc0_0000 << 8, 0x90_0000 << 8].iter()), 1.0);
        assert!(pair.iter().all(|value| value.is_finite() && *value > 0.0), "{pair:?}");
        // One zero is a direction, and a 1 is on no disc.
        let pair = polar_pair(&mut Words([u32::MAX, zero, zero, 0xc0_0000 << 8].iter()), 1.0);
        assert!(pair[0] == 0.0 && pair[1] > 0.0, "{pair:?}");
    }
}
