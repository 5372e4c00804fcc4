//! Numpy archives (`numpy.savez`, MLX's `savez`): a zip of one `.npy` record a tensor. The MLX port of the public code
//! keeps its names and layouts there.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use trm_intake::{Budget, Fault, Printable};

use super::archive::{Archive, damaged};
use super::contents::{Contents, Item};
use super::gather::{swap, take};
use super::pickle::MAX_DIMS;
use super::select::select;
use super::source::Source;
use super::{Read, ReadOptions, WeightDtype, WeightTensor, bad, exceeded};
use crate::{ExportError, Result};

/// Numpy's own headers have 118 bytes.
const MAX_HEADER_BYTES: u64 = 16 << 10;

/// True if a file is a zip archive whose first record is an array.
pub(super) fn is_npz(source: Source<'_>) -> Result<bool> {
    let start = source.start(30 + 1024)?;
    if !start.starts_with(b"PK\x03\x04") {
        return Ok(false);
    }
    let length = start.get(26..28).map_or(0, |bytes| usize::from(bytes[0]) | usize::from(bytes[1]) << 8);
    Ok(start.get(30..30 + length).is_some_and(|name| name.ends_with(b".npy")))
}

/// Reads the set of weights that the options name, or the only one.
pub(super) fn read(source: Source<'_>, options: &ReadOptions, budget: &mut Budget) -> Result<Read> {
    let path = source.path;
    let (file, length) = source.open()?;
    let mut archive = Archive::open(file, length, path)?;
    let names: Vec<String> = archive.names().collect();
    let (mut items, mut headers) = (Vec::new(), Vec::new());
    let too_many = |over| exceeded(path, "the list of tensors", over, "expected the weights of a TRM or HRM");
    for name in names {
        let Some(tensor) = name.strip_suffix(".npy") else {
            let reason = format!("record {} is no array", Printable(&name));
            return Err(bad(path, reason, Some("expected an archive of numpy.savez or mlx.savez")));
        };
        budget.take_items(1).and_then(|()| budget.take_bytes(512 + name.len() as u64)).map_err(too_many)?;
        let start = archive.start(&name, MAX_HEADER_BYTES)?;
        let header = Header::parse(&start).map_err(|reason| damaged(path, &name, &reason))?;
        // Numpy's own have three characters. One as long as a header can be packed into a few bytes.
        budget.take_bytes(2 * header.descr.len() as u64).map_err(too_many)?;
        let dtype = header.dtype.ok_or_else(|| Printable(&header.descr).to_string());
        items.push(Item { name: tensor.to_owned(), dtype, shape: header.shape.clone(), place: None });
        headers.push(header);
    }
    let contents = Contents::flat(items);
    let selection = select(&contents, options, path)?;
    let mut tensors = Vec::with_capacity(selection.tensors.len());
    for (name, id) in &selection.tensors {
        let (item, header) = (&contents.items[*id], &headers[*id]);
        let bad_tensor = |fault: Fault| ExportError::BadTensor {
            origin: path.display().to_string(),
            tensor: Printable(&item.name).to_string(),
            fault,
        };
        let Some(dtype) = header.dtype else { return Err(bad_tensor("has no dtype of weights".into())) };
        let count = take(&header.shape, budget).map_err(bad_tensor)?;
        let length = (count as u64).saturating_mul(dtype.size() as u64).saturating_add(header.length as u64);
        let mut bytes = archive.record(&format!("{}.npy", item.name), length, budget)?;
        let data = bytes.split_off(header.length.min(bytes.len()));
        tensors.push((name.clone(), header.tensor(dtype, count, data).map_err(bad_tensor)?));
    }
    Ok(Read { tensors, ledger: selection.ledger, settings: None })
}

/// The header of an array.
#[derive(Debug, PartialEq)]
struct Header {
    /// Bytes before the elements.
    length: usize,
    descr: String,
    dtype: Option<WeightDtype>,
    big_endian: bool,
    /// True if the first index runs fastest.
    fortran: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(start: &[u8]) -> Result<Self, String> {
        let rest = start.strip_prefix(b"\x93NUMPY").ok_or("is no array of numpy's")?;
        let (text_at, text_length) = match rest {
            [1, _, a, b, ..] => (10, usize::from(*a) | usize::from(*b) << 8),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
            _ => return Err("is of a version of numpy's format that is not known".into()),
        };
        let text = start.get(text_at..).and_then(|rest| rest.get(..text_length));
        let text = text.and_then(|text| std::str::from_utf8(text).ok()).ok_or("has no header that can be read")?;
        let field = |key: &str| {
            let at = text.find(&format!("'{key}':")).or_else(|| text.find(&format!("\"{key}\":")));
            at.map(|at| text[at + key.len() + 3..].trim_start()).ok_or_else(|| format!("has no `{key}` in its header"))
        };
        let descr = field("descr")?;
        let descr = match descr.split(['\'', '"']).collect::<Vec<_>>().as_slice() {
            ["", descr, ..] => (*descr).to_owned(),
            _ => "a structure".to_owned(),
        };
        let fortran = field("fortran_order")?.starts_with("True");
        let shape = field("shape")?;
        let inside = shape.strip_prefix('(').and_then(|shape| shape.split_once(')')).ok_or("has no shape")?.0;
        let sizes = inside.split(',').map(str::trim).filter(|size| !size.is_empty());
        let shape: Vec<usize> = sizes
            .take(MAX_DIMS + 1)
            .map(|size| size.parse().map_err(|_| "has no shape".to_owned()))
            .collect::<Result<_, _>>()?;
        if shape.len() > MAX_DIMS {
            return Err(format!("has more than {MAX_DIMS} dimensions"));
        }
        let dtype = match descr.trim_start_matches(['<', '>', '|', '=']) {
            "f4" => Some(WeightDtype::F32),
            "f8" => Some(WeightDtype::F64),
            "f2" => Some(WeightDtype::F16),
            // Numpy has no bfloat16: MLX and ml_dtypes write two bytes without a meaning.
            "V2" | "bfloat16" => Some(WeightDtype::Bf16),
            _ => None,
        };
        Ok(Self { length: text_at + text_length, big_endian: descr.starts_with('>'), descr, dtype, fortran, shape })
    }

    /// The tensor of these elements, in row-major order.
    fn tensor(&self, dtype: WeightDtype, count: usize, mut bytes: Vec<u8>) -> Result<WeightTensor, Fault> {
        if Some(bytes.len()) != count.checked_mul(dtype.size()) {
            return Err(format!("has {} bytes, expected {count} elements of {dtype}", bytes.len()).into());
        }
        if self.big_endian {
            swap(&mut bytes, dtype.size());
        }
        let mut data = dtype.decode(&bytes)?;
        if self.fortran && self.shape.len() > 1 {
            data = row_major(&data, &self.shape);
        }
        Ok(WeightTensor { dtype, shape: self.shape.clone(), data })
    }
}

/// Elements whose first index runs fastest, in the order in which the last does.
fn row_major(data: &[f32], shape: &[usize]) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        let position = shape.iter().zip(&index).rev().fold(0, |position, (size, at)| position * size + at);
        out.push(data[position]);
        for (digit, size) in index.iter_mut().zip(shape).rev() {
            *digit += 1;
            if *digit < *size {
                break;
            }
            *digit = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn array(header: &str) -> Vec<u8> {
        let length = u16::try_from(header.len()).expect("short");
        [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), header.as_bytes()].concat()
    }

    #[test]
    fn headers_of_numpy_and_mlx_are_read() {
        let header =
            Header::parse(&array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n")).expect("read");
        assert_eq!(
            (header.dtype, header.shape.as_slice(), header.fortran),
            (Some(WeightDtype::F32), [2, 3].as_slice(), false)
        );
        let header =
            Header::parse(&array("{\"descr\": \"<V2\", \"fortran_order\": False, \"shape\": (4,)}")).expect("read");
        assert_eq!((header.dtype, header.shape.as_slice()), (Some(WeightDtype::Bf16), [4].as_slice()));
        let scalar = Header::parse(&array("{'descr': '|O', 'fortran_order': False, 'shape': (), }")).expect("read");
        assert_eq!((scalar.dtype, scalar.shape.len()), (None, 0));
    }

    #[test]
    fn headers_that_say_nonsense_are_refused() {
        for header in ["", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"] {
            assert!(Header::parse(&array(header)).is_err(), "{header}");
        }
        let many = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({})}}", "1,".repeat(1000));
        assert_eq!(Header::parse(&array(&many)).unwrap_err(), "has more than 64 dimensions");
        let mut short = array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }");
        short.truncate(20);
        assert!(Header::parse(&short).is_err());
        assert!(Header::parse(b"\x80\x02").is_err());
    }

    #[test]
    fn long_names_of_dtypes_draw_on_the_budget() {
        use std::io::Write as _;
        use trm_intake::Limits;
        use zip::write::SimpleFileOptions;

        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let long = format!("{{'descr': '{}', 'fortran_order': False, 'shape': (), }}", "x".repeat(10_000));
        for at in 0..100 {
            archive.start_file(format!("t{at}.npy"), SimpleFileOptions::default()).expect("begun");
            archive.write_all(&array(&long)).expect("written");
        }
        let bytes = archive.finish().expect("whole").into_inner();
        let limits = Limits { bytes: 1 << 20, items: 1_000, depth: 0, time: None };
        let read = super::read(
            Source::memory(&bytes, Path::new("model.npz")),
            &ReadOptions::default(),
            &mut Budget::new(limits),
        );
        let message = read.map(drop).expect_err("refused").to_string();
        assert!(message.contains("the list of tensors takes more than a checkpoint of this size may"), "{message}");
    }

    #[test]
    fn columns_become_rows() {
        // 2 rows of 3, columns first.
        assert_eq!(row_major(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0], &[2, 3]), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}
