//! Tensors that stay bound to a session: small ones that cross between host and device at every step, and the carry,
//! which does not.

use std::fmt::Debug;

use ::ort::memory::{AllocationDevice, Allocator};
use ::ort::session::IoBinding;
use ::ort::value::{PrimitiveTensorElementType, Tensor};

use crate::Carry;

/// A graph input or output that the host writes or reads at every step.
///
/// ONNX Runtime copies between a bound host tensor and the device by itself, except under a CUDA graph, which replays
/// fixed device addresses and nothing else; then the device's copy is ours.
pub(super) struct Exchanged<T: PrimitiveTensorElementType + Debug> {
    name: &'static str,
    host: Tensor<T>,
    device: Option<Tensor<T>>,
}

impl<T: PrimitiveTensorElementType + Copy + Debug> Exchanged<T> {
    /// Memory for a tensor of this shape; `device` is where its copy lives under a CUDA graph.
    pub(super) fn new(name: &'static str, shape: &[usize], device: Option<&Allocator>) -> ::ort::Result<Self> {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let host = Tensor::new(&Allocator::default(), shape.clone())?;
        let device = device.map(|allocator| Tensor::new(allocator, shape)).transpose()?;
        Ok(Self { name, host, device })
    }

    /// Writes an input for the next run.
    pub(super) fn feed(&mut self, binding: &mut IoBinding, values: &[T]) -> ::ort::Result<()> {
        self.host.extract_tensor_mut().1.copy_from_slice(values);
        match &mut self.device {
            Some(device) => {
                self.host.copy_into(&mut *device)?;
                binding.bind_input(self.name, device)
            }
            None => binding.bind_input(self.name, &self.host),
        }
    }

    /// Makes the session write an output here.
    pub(super) fn bind_output(&mut self, binding: &mut IoBinding) -> ::ort::Result<()> {
        let target = self.device.as_mut().unwrap_or(&mut self.host);
        binding.bind_output(self.name, target)
    }

    /// Reads the output of the last run.
    pub(super) fn fetch(&self) -> ::ort::Result<Vec<T>> {
        match &self.device {
            Some(device) => Ok(device.to(AllocationDevice::CPU, 0)?.extract_tensor().1.to_vec()),
            None => Ok(self.host.extract_tensor().1.to_vec()),
        }
    }
}

/// One copy of the carry, where the session computes.
pub(super) struct DeviceCarry {
    z_h: Tensor<f32>,
    z_l: Tensor<f32>,
    on_host: bool,
}

impl DeviceCarry {
    /// Memory for a carry of this shape. Its content is arbitrary until it is written or a step is run on reset rows.
    pub(super) fn new(allocator: &Allocator, shape: [usize; 3]) -> ::ort::Result<Self> {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        Ok(Self {
            z_h: Tensor::new(allocator, shape.clone())?,
            z_l: Tensor::new(allocator, shape)?,
            on_host: allocator.memory_info().is_cpu_accessible(),
        })
    }

    /// The next run reads this carry.
    pub(super) fn bind_inputs(&self, binding: &mut IoBinding) -> ::ort::Result<()> {
        binding.bind_input("z_h", &self.z_h)?;
        binding.bind_input("z_l", &self.z_l)
    }

    /// The next run writes this carry.
    pub(super) fn bind_outputs(&mut self, binding: &mut IoBinding) -> ::ort::Result<()> {
        binding.bind_output("z_h_next", &mut self.z_h)?;
        binding.bind_output("z_l_next", &mut self.z_l)
    }

    /// A copy on the host.
    pub(super) fn read(&self) -> ::ort::Result<Carry> {
        let copy = |tensor: &Tensor<f32>| -> ::ort::Result<Vec<f32>> {
            if self.on_host {
                return Ok(tensor.extract_tensor().1.to_vec());
            }
            Ok(tensor.to(AllocationDevice::CPU, 0)?.extract_tensor().1.to_vec())
        };
        Ok(Carry { z_h: copy(&self.z_h)?, z_l: copy(&self.z_l)? })
    }

    /// Adds to one of its rows. The lengths must have been checked.
    pub(super) fn add(&mut self, row: usize, delta: &Carry) -> ::ort::Result<()> {
        if !self.on_host {
            let mut carry = self.read()?;
            add_row(&mut carry.z_h, row, &delta.z_h);
            add_row(&mut carry.z_l, row, &delta.z_l);
            return self.write(&carry);
        }
        add_row(self.z_h.extract_tensor_mut().1, row, &delta.z_h);
        add_row(self.z_l.extract_tensor_mut().1, row, &delta.z_l);
        Ok(())
    }

    /// Overwrites it. The lengths must have been checked.
    pub(super) fn write(&mut self, carry: &Carry) -> ::ort::Result<()> {
        for (tensor, values) in [(&mut self.z_h, &carry.z_h), (&mut self.z_l, &carry.z_l)] {
            if self.on_host {
                tensor.extract_tensor_mut().1.copy_from_slice(values);
            } else {
                Tensor::from_array((tensor.shape().clone(), values.clone()))?.copy_into(tensor)?;
            }
        }
        Ok(())
    }
}

fn add_row(values: &mut [f32], row: usize, delta: &[f32]) {
    let row = &mut values[row * delta.len()..(row + 1) * delta.len()];
    row.iter_mut().zip(delta).for_each(|(value, delta)| *value += delta);
}
