//! Options that several harnesses read from their command lines.

use std::ops::RangeInclusive;

use anyhow::{Result, bail, ensure};
use lexopt::ValueExt as _;

/// Reads a list of known names, separated by commas.
///
/// # Errors
/// A name that is not known.
pub fn names(parser: &mut lexopt::Parser, known: &[String]) -> Result<Vec<String>> {
    let names: Vec<_> = parser.value()?.string()?.split(',').map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) if known.is_empty() => bail!("{unknown:?} is not in this build"),
        Some(unknown) => bail!("{unknown:?} is not one of {}", known.join(", ")),
        None => Ok(names),
    }
}

/// Reads the number after an option.
///
/// # Errors
/// No number, or one that is out of range.
pub fn count(parser: &mut lexopt::Parser, option: &str, range: RangeInclusive<usize>) -> Result<usize> {
    let number: usize = parser.value()?.parse()?;
    let (low, high) = (range.start(), range.end());
    ensure!(range.contains(&number), "{option} {number} is out of range, expected {low} to {high}");
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_or_out_of_range_is_refused() {
        let parser = |value: &str| lexopt::Parser::from_args([value.to_owned()]);
        let known = ["a", "b"].map(str::to_owned);
        assert_eq!(names(&mut parser("b,a"), &known).unwrap(), ["b", "a"]);
        assert_eq!(names(&mut parser("a,c"), &known).unwrap_err().to_string(), "\"c\" is not one of a, b");
        assert_eq!(names(&mut parser("a"), &[]).unwrap_err().to_string(), "\"a\" is not in this build");
        assert_eq!(count(&mut parser("7"), "--rounds", 1..=7).unwrap(), 7);
        let error = count(&mut parser("8"), "--rounds", 1..=7).unwrap_err().to_string();
        assert_eq!(error, "--rounds 8 is out of range, expected 1 to 7");
        assert!(count(&mut parser("many"), "--rounds", 1..=7).is_err());
    }
}
