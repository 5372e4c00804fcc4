//! Writing archives as `torch.save` does: stored records, aligned so that torch can map them, a pickle of protocol 2.

use std::io::{Seek, Write};
use std::path::Path;

use trm_intake::file::write_atomically;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{StateDict, WeightDtype, WeightTensor};
use crate::Result;

/// Records start at multiples of this, as in torch's own files.
const ALIGNMENT: u16 = 64;
/// From this size on a record needs zip64 fields.
const ZIP64_BYTES: usize = u32::MAX as usize;

/// Writes every tensor of `state` in its own dtype, its name preceded by `prefix`.
pub(super) fn write(path: &Path, prefix: &str, state: &StateDict) -> Result<()> {
    state.check_shapes()?;
    // Torch names the folder after the file; any name will do for readers.
    let root = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("archive");
    Ok(write_atomically(path, |file| Ok(write_archive(file, root, prefix, state)?))?)
}

fn write_archive(file: impl Write + Seek, root: &str, prefix: &str, state: &StateDict) -> zip::result::ZipResult<()> {
    let mut zip = ZipWriter::new(file);
    let mut record = |name: &str, bytes: &[u8]| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(ALIGNMENT)
            .large_file(bytes.len() >= ZIP64_BYTES);
        zip.start_file(format!("{root}/{name}"), options)?;
        zip.write_all(bytes).map_err(zip::result::ZipError::from)
    };
    record("data.pkl", &pickle(prefix, state))?;
    record(".format_version", b"1")?;
    record(".storage_alignment", ALIGNMENT.to_string().as_bytes())?;
    record("byteorder", b"little")?;
    for (key, (_, tensor)) in state.iter().enumerate() {
        record(&format!("data/{key}"), &tensor.dtype.encode(&tensor.data))?;
    }
    // The version of torch's file format, not of torch.
    record("version", b"3\n")?;
    zip.finish()?;
    Ok(())
}

/// The pickle of an `OrderedDict` of contiguous tensors, whose storages are numbered in the dictionary's order.
fn pickle(prefix: &str, state: &StateDict) -> Vec<u8> {
    let mut out = vec![0x80, 2];
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, (name, tensor)) in state.iter().enumerate() {
        push_string(&mut out, &format!("{prefix}{name}"));
        push_tensor(&mut out, key, tensor);
    }
    out.extend(b"u.");
    out
}

/// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, backward_hooks)`
fn push_tensor(out: &mut Vec<u8>, key: usize, tensor: &WeightTensor) {
    let class: &[u8] = match tensor.dtype {
        WeightDtype::F32 => b"FloatStorage",
        WeightDtype::Bf16 => b"BFloat16Storage",
        WeightDtype::F16 => b"HalfStorage",
        WeightDtype::F64 => b"DoubleStorage",
    };
    out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    push_string(out, "storage");
    out.extend(b"ctorch\n");
    out.extend(class);
    out.push(b'\n');
    push_string(out, &key.to_string());
    push_string(out, "cpu");
    push_int(out, tensor.data.len());
    out.extend(b"tQ");

    push_int(out, 0);
    push_sizes(out, &tensor.shape);
    let mut strides = vec![1; tensor.shape.len()];
    for i in (1..strides.len()).rev() {
        strides[i - 1] = strides[i] * tensor.shape[i].max(1);
    }
    push_sizes(out, &strides);
    out.push(0x89);
    out.extend(b"ccollections\nOrderedDict\n)RtR");
}

fn push_sizes(out: &mut Vec<u8>, sizes: &[usize]) {
    out.push(b'(');
    for size in sizes {
        push_int(out, *size);
    }
    out.push(b't');
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn push_int(out: &mut Vec<u8>, int: usize) {
    if let Ok(int) = i32::try_from(int) {
        out.push(b'J');
        out.extend(int.to_le_bytes());
    } else {
        // Sizes stay far below 2^63, so the sign bit is clear.
        out.extend([0x8a, 8]);
        out.extend((int as u64).to_le_bytes());
    }
}
