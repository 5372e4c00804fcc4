//! Maps of ROS 2's `map_server`: a yaml that names an image and says how to read it.
//!
//! The keys, and which of them have to be there, are those of `loadMapYaml` in nav2's `nav2_map_server/src/map_io.cpp`:
//! `image` (from the yaml's folder, or absolute), `resolution` in metres a pixel, `origin` (x, y, yaw of the bottom
//! left corner), `occupied_thresh` and `free_thresh` (shares of blackness), `negate` (a number or a truth value);
//! `mode` may be left out and is trinary then. Other keys mean nothing. Where nav2 takes whatever thresholds it is
//! given, those that its own map saver would refuse are refused here: they leave it open what a pixel means.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use trm_intake::{Budget, Fault, Limits};

use super::pixels::{self, Mode, Odd, Rule, UNKNOWN_GREY};
use super::read::bad;
use super::{LoadedMap, OCCUPIED, OccupancyMap, check_resolution};
use crate::{Pose, Result};

/// Limits of the yaml; that of a map has 150 bytes.
const YAML_LIMITS: Limits = Limits { bytes: 1 << 20, items: 10_000, depth: 32, time: None };

/// Reads the map of a yaml: `path` is the yaml's, `bytes` its content.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<LoadedMap> {
    Budget::new(YAML_LIMITS).take_bytes(bytes.len() as u64).map_err(|exceeded| {
        bad(
            &path.display().to_string(),
            Fault::from(format!("not the yaml of a map: {exceeded}"))
                .advise("it names an image, and says how to read it"),
        )
    })?;
    let yaml = Yaml::parse(path, bytes)?;
    let image_path = yaml.image()?;
    let resolution = yaml.number("resolution", "0.05")?;
    check_resolution(&yaml.source, resolution)?;
    let origin = yaml.origin()?;
    let rule = yaml.rule()?;
    let image = pixels::decode(&image_path, &yaml.source)?;
    let size = (image.width() as usize, image.height() as usize);
    let (values, odd) = pixels::values(&image, &rule);
    let note = note(&values, odd, &rule, &yaml.source);
    let map = OccupancyMap::new(yaml.source, size, resolution, origin, values)?;
    Ok(LoadedMap { note, image: Some(image_path), ..LoadedMap::from(map) })
}

/// The note on dark pixels where none is occupied, or on unmapped space that counts as free. Maps that were saved with nav2's
/// default `free_thresh` of 0.25 lose their unknown cells: the saver's grey for them is 0.196 black. nav2 reads such maps as they are; so does
/// this reader, with a note.
fn note(values: &[i8], odd: Odd, rule: &Rule, source: &str) -> Option<Fault> {
    let Odd { unmapped_but_free, dark_but_not_occupied } = odd;
    if dark_but_not_occupied > 0 && rule.mode != Mode::Raw && !values.contains(&OCCUPIED) {
        let (darkness, thresh) = (if rule.negate { "bright" } else { "dark" }, rule.occupied_thresh);
        let note = format!("{source}: nothing is occupied, although {dark_but_not_occupied} pixels are {darkness}");
        let advice =
            format!("occupied_thresh {thresh} asks for more; transparent pixels are unknown whatever their colour");
        return Some(Fault::from(note).advise(advice));
    }
    if unmapped_but_free == 0 || rule.mode != Mode::Trinary || rule.negate {
        return None;
    }
    let note = Fault::from(format!(
        "{source}: {unmapped_but_free} pixels of the grey {UNKNOWN_GREY}, which map savers write for unknown, count as \
         free, as in nav2: free_thresh {} is above 0.196",
        rule.free_thresh
    ));
    Some(note.advise("where unmapped space is not free, set free_thresh: 0.196"))
}

/// The yaml's fields and the name by which errors call it.
struct Yaml {
    source: String,
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Yaml {
    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let source = path.display().to_string();
        let text = std::str::from_utf8(bytes).map_err(|_| bad(&source, "not UTF-8 text, where yaml is expected"))?;
        let budget = serde_saphyr::budget! {
            max_events: YAML_LIMITS.items as usize, max_aliases: 100, max_depth: YAML_LIMITS.depth as usize,
        };
        let options = serde_saphyr::options! {
            budget: budget, with_snippet: false, non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        };
        let value: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| bad(&source, format!("not the yaml of a map: {}", trm_intake::yaml::reason(&error))))?;
        match value {
            Value::Object(fields) => Ok(Self { source, path: path.to_owned(), fields }),
            _ => Err(bad(
                &source,
                Fault::from("not the yaml of a map: it has no keys")
                    .advise("a map_server yaml has image, resolution, origin, negate, occupied_thresh and free_thresh"),
            )),
        }
    }

    /// A field that has to be there. `example` is a line of a map that has it.
    fn field(&self, name: &str, example: &str) -> Result<&Value> {
        match self.fields.get(name) {
            None | Some(Value::Null) => {
                let hint = format!("a map has a line such as {name}: {example}");
                Err(bad(&self.source, Fault::from(format!("`{name}` is missing")).advise(hint)))
            }
            Some(value) => Ok(value),
        }
    }

    fn unexpected(&self, name: &str, value: &Value, expected: &str) -> crate::PlanError {
        bad(&self.source, format!("`{name}` is {}, expected {expected}", shown(value)))
    }

    fn number(&self, name: &str, example: &str) -> Result<f64> {
        let value = self.field(name, example)?;
        number(value).ok_or_else(|| self.unexpected(name, value, &format!("a number such as {example}")))
    }

    fn image(&self) -> Result<PathBuf> {
        let value = self.field("image", "map.pgm")?;
        let name = match value {
            Value::String(name) if !name.is_empty() => name.clone(),
            // A file called 1 is no number.
            Value::Number(number) => number.to_string(),
            _ => return Err(self.unexpected("image", value, "the path of a pgm, png or bmp image")),
        };
        Ok(self.path.parent().unwrap_or(Path::new("")).join(name))
    }

    fn origin(&self) -> Result<Pose> {
        let value = self.field("origin", "[-10.0, -10.0, 0.0]")?;
        let numbers: Option<Vec<f64>> = value.as_array().and_then(|list| list.iter().map(number).collect());
        match numbers.as_deref() {
            Some(&[x, y, yaw]) => Ok(Pose { x, y, yaw }),
            Some(others) => Err(bad(
                &self.source,
                format!(
                    "`origin` has {} numbers, expected three: x, y and yaw of the bottom left corner, in metres \
                     and radians",
                    others.len()
                ),
            )),
            None => Err(self.unexpected("origin", value, "three numbers such as [-10.0, -10.0, 0.0]")),
        }
    }

    fn rule(&self) -> Result<Rule> {
        let mode = self.mode()?;
        let negate = self.negate()?;
        let occupied_thresh = self.number("occupied_thresh", "0.65")?;
        let free_thresh = self.number("free_thresh", "0.196")?;
        // Raw mode has no use for them, and such maps may have anything there.
        if mode != Mode::Raw {
            for (name, threshold) in [("occupied_thresh", occupied_thresh), ("free_thresh", free_thresh)] {
                if !(0.0..=1.0).contains(&threshold) {
                    return Err(bad(
                        &self.source,
                        format!("`{name}` is {threshold}, expected a share from 0 to 1 such as 0.65 or 0.196"),
                    ));
                }
            }
            if free_thresh >= occupied_thresh {
                let fault = format!("free_thresh {free_thresh} is not below occupied_thresh {occupied_thresh}");
                return Err(bad(
                    &self.source,
                    Fault::from(fault).advise(
                        "a pixel darker than occupied_thresh is occupied, one brighter than free_thresh free; 0.65 and \
                         0.196 are usual",
                    ),
                ));
            }
        }
        Ok(Rule { mode, negate, occupied_thresh, free_thresh })
    }

    fn mode(&self) -> Result<Mode> {
        let Some(value) = self.fields.get("mode") else {
            return Ok(Mode::Trinary);
        };
        let word = value.as_str().unwrap_or("").to_ascii_lowercase();
        match word.as_str() {
            "trinary" => Ok(Mode::Trinary),
            "scale" => Ok(Mode::Scale),
            "raw" => Ok(Mode::Raw),
            _ => Err(self.unexpected("mode", value, "trinary, scale or raw")),
        }
    }

    /// A whole number, of which 0 is false, or one of yaml 1.1's truth values, which yaml-cpp takes.
    fn negate(&self) -> Result<bool> {
        let value = self.field("negate", "0")?;
        let truth = match value {
            Value::Bool(truth) => Some(*truth),
            Value::Number(number) => number.as_i64().map(|number| number != 0),
            Value::String(word) => match word.to_ascii_lowercase().as_str() {
                "y" | "yes" | "true" | "on" => Some(true),
                "n" | "no" | "false" | "off" => Some(false),
                number => number.parse::<i64>().ok().map(|number| number != 0),
            },
            _ => None,
        };
        truth.ok_or_else(|| self.unexpected("negate", value, "0, 1, true or false"))
    }
}

/// A number, quoted or not; NaN and infinities too, in either spelling, for the checks of each field to refuse.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim().to_ascii_lowercase();
            let (sign, digits) = text.strip_prefix('-').map_or((1.0, text.as_str()), |digits| (-1.0, digits));
            match digits {
                ".nan" => Some(f64::NAN),
                ".inf" => Some(sign * f64::INFINITY),
                _ => text.parse().ok(),
            }
        }
        _ => None,
    }
}

/// At most 60 characters of a value, for an error message.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
