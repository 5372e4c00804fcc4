//! For tests: ONNX Runtime with its training API, as a plain shared library.
//!
//! The last builds of ONNX Runtime with the training API are Python wheels, which hold an extension module and no
//! `libonnxruntime.so`. This library stands in for that file: it loads Python's library, so that the module's symbols
//! resolve (Python itself is never started), then the module, and hands out the `OrtApiBase` inside it.
//! `cargo xtask ort-training` builds it and puts all three files into one folder.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod api_base;
