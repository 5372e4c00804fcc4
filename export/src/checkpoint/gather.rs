//! Elements of tensors out of the bytes that hold them.

use trm_intake::{Budget, Fault};

use super::WeightDtype;
use super::pickle::Tensor;

/// Number of elements of a shape, drawn from the budget as float32.
pub(super) fn take(shape: &[usize], budget: &mut Budget) -> Result<usize, Fault> {
    let too_large = || format!("has shape {shape:?}, more elements than this file can hold");
    let count = shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size)).ok_or_else(too_large)?;
    budget.take_bytes((count as u64).saturating_mul(4)).map_err(|_| too_large())?;
    Ok(count)
}

/// Reverses the bytes of every element.
pub(super) fn swap(bytes: &mut [u8], size: usize) {
    bytes.chunks_exact_mut(size.max(1)).for_each(<[u8]>::reverse);
}

/// A tensor's elements in row-major order. What they take draws on the budget: tied weights share a
/// storage, but a file that shares its storages over and over wants to fill the memory.
pub(super) fn gather(
    tensor: &Tensor<'_>,
    dtype: WeightDtype,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<Vec<f32>, Fault> {
    let stored = bytes.len() / dtype.size();
    if tensor.storage.len != stored {
        return Err(format!(
            "is a view of {} elements, but record data/{} has {stored}",
            tensor.storage.len, tensor.storage.key
        )
        .into());
    }
    let shape = &tensor.shape;
    let count = take(shape, budget)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (size, stride)| (size - 1).checked_mul(*stride)?.checked_add(last));
    if last.is_none_or(|last| last >= stored) {
        return Err(format!(
            "reaches outside its storage: shape {shape:?}, strides {:?}, offset {}, storage {stored}",
            tensor.strides, tensor.offset
        )
        .into());
    }
    if is_contiguous(shape, &tensor.strides) {
        let start = tensor.offset * dtype.size();
        return dtype.decode(&bytes[start..start + count * dtype.size()]);
    }
    let mut index = vec![0; shape.len()];
    let mut position = tensor.offset;
    let size = dtype.size();
    let mut gathered = Vec::with_capacity(count * size);
    for _ in 0..count {
        gathered.extend_from_slice(&bytes[position * size..][..size]);
        // Counts up like an odometer, the last dimension fastest. A dimension of size 1 may have any stride: what it adds
        // it takes away again.
        for ((digit, length), stride) in index.iter_mut().zip(shape).zip(&tensor.strides).rev() {
            *digit += 1;
            position = position.wrapping_add(*stride);
            if *digit < *length {
                break;
            }
            position = position.wrapping_sub(digit.wrapping_mul(*stride));
            *digit = 0;
        }
    }
    dtype.decode(&gathered)
}

/// True if the strides are those of a row-major array; those of dimensions of size 1 do not matter.
fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(strides).rev().all(|(size, stride)| {
        let fits = *size == 1 || *stride == expected;
        expected = expected.saturating_mul(*size);
        fits
    })
}
