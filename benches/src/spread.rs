//! Figures with their spread, which shows how far they can be trusted.

use serde::Serialize;

/// The median of repeated measurements with the range that half of them fall in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// A quarter of the values is below.
    pub low: f64,
    /// Half of the values is below.
    pub median: f64,
    /// A quarter of the values is above.
    pub high: f64,
    /// Number of values.
    pub n: usize,
}

impl Spread {
    /// Quartiles by linear interpolation; `None` without values or with one that is not a finite number.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let position = q * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
            below + (above - below) * position.fract()
        };
        Some(Self { low: quantile(0.25), median: quantile(0.5), high: quantile(0.75), n: sorted.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_interpolated_whatever_the_order() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { low: 1.75, median: 2.5, high: 3.25, n: 4 });
        assert_eq!(Spread::of(&[7.0]).unwrap(), Spread { low: 7.0, median: 7.0, high: 7.0, n: 1 });
    }

    #[test]
    fn nothing_and_nan_have_no_median() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }
}
