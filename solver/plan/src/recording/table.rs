//! Tables of poses as text: TUM trajectories (<https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats>: `timestamp tx ty
//! tz qx qy qz qw`, comments after `#`), and CSV with or without a header.

use std::path::Path;

use trm_intake::file::read_within;
use trm_intake::{Budget, Fault, Limits, Printable};

use super::{PoseStream, TimedPlace, Tracks};
use crate::{PlanError, Result};

/// Limits of a table: items are lines.
const LIMITS: Limits = Limits { bytes: 128 << 20, items: 2_000_000, depth: 0, time: None };
/// The longest line, in bytes; recorders of everything write hundreds of columns.
const LONGEST_LINE: u64 = 64 << 10;
/// Columns of a TUM trajectory.
const TUM: usize = 8;

/// The columns that are read, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Columns {
    time: Option<usize>,
    x: usize,
    y: usize,
    /// Units of the time column that make a second, where its name says so.
    a_second: Option<f64>,
}

/// Reads a table. `columns` names its columns where it has no header, such as `t,x,y`.
pub(super) fn read(path: &Path, columns: Option<&str>) -> Result<PoseStream> {
    let mut budget = Budget::new(LIMITS);
    let bytes = read_within(path, &mut budget, "table of poses")?;
    parse(&bytes, columns, &mut budget)
        .map_err(|fault| PlanError::BadRecording { source_name: path.display().to_string(), fault })
}

/// Reads a table from its text.
pub(super) fn parse(text: &[u8], columns: Option<&str>, budget: &mut Budget) -> Result<PoseStream, Fault> {
    budget.take_lines(text, LONGEST_LINE).map_err(|exceeded| Fault::from(exceeded.to_string()))?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::from("not UTF-8 text, where a table is expected"))?;
    let mut lines = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty())
        .peekable();
    let Some(&(_, first)) = lines.peek() else { return Err("there is nothing in it".into()) };
    let delimiter =
        Delimiter::of(lines.clone().find(|(_, line)| !line.starts_with('#')).map_or(first, |(_, line)| line));
    let has_header = delimiter.fields(first).any(|field| delimiter.number(field).is_none());
    let mut found = match columns {
        Some(names) => header(names, Delimiter::Comma)?,
        None if has_header => header(first, delimiter)?,
        None => None,
    };
    let mut poses = Vec::new();
    let rows = lines.skip(usize::from(has_header)).filter(|(_, line)| !line.starts_with('#'));
    for (number, line) in rows {
        let at = |fault: Fault| Fault { what: format!("line {number}: {}", fault.what), hint: fault.hint };
        let fields: Vec<&str> = delimiter.fields(line).collect();
        let columns = match found {
            Some(columns) => columns,
            None => *found.insert(by_count(fields.len()).map_err(at)?),
        };
        let place = columns.read(&fields, delimiter).map_err(at)?;
        if place.at.iter().all(|number| number.is_finite()) {
            poses.push(place);
        }
    }
    let mut stream = PoseStream::new("", None);
    stream.messages = poses.len() as u64;
    in_seconds(&mut poses, found.and_then(|columns| columns.a_second));
    stream.tracks = Tracks::Poses(poses);
    Ok(stream)
}

impl Columns {
    fn read(&self, fields: &[&str], delimiter: Delimiter) -> Result<TimedPlace, Fault> {
        let number = |column: usize| {
            let field = fields
                .get(column)
                .ok_or_else(|| Fault::from(format!("{} columns, expected {} at least", fields.len(), column + 1)))?;
            delimiter.number(field).ok_or_else(|| {
                Fault::from(format!("`{}` in column {}, expected a number", Printable(field), column + 1))
            })
        };
        let time = self.time.map(number).transpose()?.filter(|time| time.is_finite());
        Ok(TimedPlace { time, at: [number(self.x)?, number(self.y)?] })
    }
}

/// The columns of a table without a header.
fn by_count(count: usize) -> Result<Columns, Fault> {
    match count {
        2 => Ok(Columns { time: None, x: 0, y: 1, a_second: None }),
        TUM => Ok(Columns { time: Some(0), x: 1, y: 2, a_second: Some(1.0) }),
        _ => Err(Fault::from(format!(
            "{count} columns without a header: expected x and y, or the eight of a TUM trajectory"
        ))
        .advise("name the columns: --columns t,x,y or --columns x,y,yaw, and so on")),
    }
}

/// The columns that a header names; `None` for a comment that names none.
fn header(line: &str, delimiter: Delimiter) -> Result<Option<Columns>, Fault> {
    let names: Vec<String> = delimiter.fields(line.trim_start_matches('#').trim_start()).map(plain).collect();
    let only = |is_meant: &dyn Fn(&str) -> bool, what: &str| {
        let mut found = names.iter().enumerate().filter(|(_, name)| is_meant(name)).map(|(column, _)| column);
        match (found.next(), found.next()) {
            (Some(a), Some(b)) => Err(Fault::from(format!("columns {} and {} may both be {what}", a + 1, b + 1))
                .advise("name the columns: --columns t,x,y, with any other word for those that are not meant")),
            (column, _) => Ok(column),
        }
    };
    let coordinate = |axis: &str| {
        // One that is called x and no more is meant, be there others whose names end so.
        let is_there = names.iter().any(|name| name == axis);
        only(&|name| if is_there { name == axis } else { is_position(name, axis) }, axis)
    };
    let (x, y) = match (coordinate("x")?, coordinate("y")?) {
        (Some(x), Some(y)) => (x, y),
        _ if line.starts_with('#') => return Ok(None),
        _ => {
            return Err(Fault::from(format!("the header `{}` names no x and y", Printable(line)))
                .advise("call the columns x and y, in metres, and t, in seconds, or name them: --columns t,x,y"));
        }
    };
    let unit = |name: &str| match name.rsplit('.').next() {
        Some("ns" | "nsec" | "nanoseconds") => Some(1e9),
        Some("us" | "usec" | "microseconds") => Some(1e6),
        Some("ms" | "msec" | "milliseconds") => Some(1e3),
        Some("s" | "sec" | "seconds") => Some(1.0),
        _ => None,
    };
    let time = only(&|name| matches!(name.split('.').next(), Some("t" | "time" | "stamp" | "timestamp")), "the time")?;
    Ok(Some(Columns { time, x, y, a_second: time.and_then(|column| unit(&names[column])) }))
}

/// True for names of positions along an axis: those of messages' fields, TUM's `tx`, and `p_RS_R_x` of the `EuRoC` data sets.
fn is_position(name: &str, axis: &str) -> bool {
    let Some(before) = name.strip_suffix(axis) else { return false };
    match before.strip_suffix('.') {
        Some(path) => path.starts_with("p.") || matches!(path.rsplit('.').next(), Some("p" | "pos" | "position")),
        None => matches!(before, "t" | "p"),
    }
}

/// A column's name in lower case, its parts parted by dots, without a unit of length: `Position X [m]` is `position.x`.
fn plain(name: &str) -> String {
    let name = name.trim_matches('"').to_lowercase();
    let parts: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty() && !matches!(*part, "m" | "meters" | "metres"))
        .collect();
    parts.join(".")
}

/// Brings times into seconds. Those of unnamed units are told by their size: seconds since 1970 have ten digits, milliseconds
/// thirteen, microseconds sixteen, nanoseconds nineteen.
fn in_seconds(poses: &mut [TimedPlace], a_second: Option<f64>) {
    let largest = poses.iter().filter_map(|pose| pose.time).fold(0.0, |largest: f64, time| largest.max(time.abs()));
    let a_second = a_second.unwrap_or(match largest {
        ..1e11 => 1.0,
        ..1e14 => 1e3,
        ..1e17 => 1e6,
        _ => 1e9,
    });
    for time in poses.iter_mut().filter_map(|pose| pose.time.as_mut()) {
        *time /= a_second;
    }
}

/// The character that parts the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimiter {
    Comma,
    Semicolon,
    Tab,
    Spaces,
}

impl Delimiter {
    /// The one of a table with such a line.
    fn of(line: &str) -> Self {
        [(';', Self::Semicolon), ('\t', Self::Tab), (',', Self::Comma)]
            .into_iter()
            .find_map(|(mark, delimiter)| line.contains(mark).then_some(delimiter))
            .unwrap_or(Self::Spaces)
    }

    fn fields(self, line: &str) -> impl Iterator<Item = &str> {
        let pattern = move |c: char| match self {
            Self::Comma => c == ',',
            Self::Semicolon => c == ';',
            Self::Tab => c == '\t',
            Self::Spaces => c.is_whitespace(),
        };
        line.split(pattern).map(str::trim).filter(move |field| self != Self::Spaces || !field.is_empty())
    }

    /// A number; where no comma parts the columns, it may part the decimals.
    fn number(self, field: &str) -> Option<f64> {
        let field = field.trim_matches('"');
        let parsed = field.parse().ok();
        match self {
            Self::Comma => parsed,
            _ => parsed.or_else(|| field.replacen(',', ".", 1).parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use trm_intake::explained;

    use super::*;

    fn read(text: &str, columns: Option<&str>) -> Result<Vec<(Option<f64>, f64, f64)>, String> {
        let stream = parse(text.as_bytes(), columns, &mut Budget::new(LIMITS)).map_err(|fault| explained(&fault))?;
        match stream.tracks {
            Tracks::Poses(poses) => Ok(poses.into_iter().map(|pose| (pose.time, pose.at[0], pose.at[1])).collect()),
            Tracks::Paths(_) => Err("paths".to_owned()),
        }
    }

    #[test]
    fn tables_are_read_as_people_write_them() {
        let pose = (Some(1.5), 2.0, -3.25);
        for text in [
            "# ground truth trajectory\n# timestamp tx ty tz qx qy qz qw\n1.5 2 -3.25 0 0 0 0 1\n",
            "1.5 2 -3.25 0 0 0 0 1",
            "t,x,y\n1.5,2,-3.25\n",
            "\u{feff}time;X;Y\r\n1,5;2;-3,25\r\n",
            "x_m\ty_m\tyaw\tstamp\n2\t-3.25\t0\t1.5",
            "y x t\n-3.25  2   1.5",
            "#timestamp [ns], p_RS_R_x [m], p_RS_R_y [m], q_RS_x []\n1500000000,2,-3.25,0",
            "\"timestamp_ms\",\"x\",\"y\"\n1500,2,-3.25",
            "Time,/odom/pose/pose/position/x,/odom/pose/pose/position/y,/odom/pose/pose/orientation/x\n1.5,2,-3.25,0",
            "t,x,y,odom.position.x\n1.5,2,-3.25,7",
        ] {
            assert_eq!(read(text, None), Ok(vec![pose]), "{text}");
        }
        assert_eq!(read("2 -3.25", None), Ok(vec![(None, 2.0, -3.25)]));
        assert_eq!(read("1.5 2 -3.25", Some("t,x,y")), Ok(vec![pose]));
        assert_eq!(read("a,b\n1.5,2,-3.25", Some("t,x,y")), read("t,x,y\n1.5,2,-3.25", None));
        assert_eq!(read("x,y\nnan,1\n1,2", None), Ok(vec![(None, 1.0, 2.0)]));
        // Nanoseconds since 1970 are told by their size.
        let stamps = read("t,x,y\n1700000000000000000,0,0\n1700000001000000000,1,0", None).unwrap();
        assert!((stamps[1].0.unwrap() - stamps[0].0.unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (text, expected) in [
            (
                "1,2,3",
                "line 1: 3 columns without a header: expected x and y, or the eight of a TUM trajectory\nhint: name",
            ),
            ("x,y,x\n1,2,3", "columns 1 and 3 may both be x"),
            ("a.position.x,a.position.y,b.position.x\n1,2,3", "columns 1 and 3 may both be x"),
            ("east,north\n1,2", "the header `east,north` names no x and y"),
            ("x,y\n1,two", "line 2: `two` in column 2, expected a number"),
            ("x,y\n1", "line 2: 1 columns, expected 2 at least"),
            ("\n\n", "there is nothing in it"),
        ] {
            let refused = read(text, None).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
        assert!(read("1 2 3", Some("a,b,c")).unwrap_err().contains("names no x and y"));
    }
}
