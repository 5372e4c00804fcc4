//! `OrtGetApiBase` out of the extension module of `onnxruntime-training-cpu` 1.19.2 for Python 3.11.

use std::ffi::{CStr, OsStr, c_char, c_void};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use sha2::{Digest as _, Sha256};

const PYTHON: &str = "libpython3.11.so.1.0";
const MODULE: &str = "onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so";
/// SHA-256 of the module: the offsets below hold for this file only.
const MODULE_SHA256: &str = "637012bc7b9b9e8a00b006be918091d04d143ca5c57ee820584478a15298d0ee";
/// A symbol that the module exports, and its offset in the module (`nm -D`): the module's base follows from its
/// address.
const EXPORT: &CStr = c"PyInit_onnxruntime_pybind11_state";
const EXPORT_OFFSET: usize = 0x003e_4e80;
/// Offset of the module's `OrtApiBase`, which it passes to the `RegisterCustomOps` of a custom-operator library.
const API_BASE_OFFSET: usize = 0x0140_cdf0;
/// End of the module's image in memory (`readelf -l`).
const IMAGE_SIZE: usize = 0x014a_7c70;
const VERSION: &CStr = c"1.19.2";

/// `OrtApiBase` of `onnxruntime_c_api.h`.
#[repr(C)]
struct ApiBase {
    get_api: extern "C" fn(u32) -> *const c_void,
    get_version_string: extern "C" fn() -> *const c_char,
}

/// ONNX Runtime's entry point. When the module cannot be used, the reason goes to stderr and what is returned names a
/// version that every caller refuses.
#[expect(unsafe_code, reason = "exports the C symbol that callers look up")]
#[expect(clippy::print_stderr, reason = "C callers take no error, and this is for tests")]
// SAFETY: no other library of the process defines this name with another meaning: the module exports PyInit_* alone,
// and callers look the name up in this library's handle.
#[unsafe(no_mangle)]
extern "C" fn OrtGetApiBase() -> *const ApiBase {
    static FOUND: OnceLock<Option<&'static ApiBase>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            find().inspect_err(|reason| eprintln!("ONNX Runtime's training build cannot be used: {reason}")).ok()
        })
        .unwrap_or(&UNUSABLE)
}

static UNUSABLE: ApiBase = ApiBase { get_api: no_api, get_version_string: no_version };

extern "C" fn no_api(_: u32) -> *const c_void {
    std::ptr::null()
}

extern "C" fn no_version() -> *const c_char {
    c"unusable".as_ptr()
}

fn find() -> Result<&'static ApiBase, String> {
    let folder = own_folder()?;
    let module = folder.join(MODULE);
    let bytes = fs::read(&module).map_err(|error| format!("cannot read {}: {error}", module.display()))?;
    let sha256 = Sha256::digest(&bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    if sha256 != MODULE_SHA256 {
        return Err(format!("{} has SHA-256 {sha256}, expected {MODULE_SHA256}", module.display()));
    }
    // The module finds Python's symbols among the process's global ones.
    std::mem::forget(load(&folder.join(PYTHON), RTLD_NOW | RTLD_GLOBAL)?);
    let library = load(&module, RTLD_NOW | RTLD_LOCAL)?;
    // SAFETY: the symbol's address is taken, it is not called; any type will do.
    #[expect(unsafe_code, reason = "looks a symbol up")]
    let export = unsafe { library.get::<*const c_void>(EXPORT) };
    let export = export.map_err(|error| format!("{}: {error}", module.display()))?.into_raw() as usize;
    // Both libraries stay for good: what is returned points into the second, which needs the first.
    std::mem::forget(library);
    let image = export.wrapping_sub(EXPORT_OFFSET);
    api_base(image)
}

/// The `OrtApiBase` of the module loaded at `image`, once it has said the version expected of it.
fn api_base(image: usize) -> Result<&'static ApiBase, String> {
    let address = image + API_BASE_OFFSET;
    // SAFETY: the file's hash says that it is the one whose image holds, at this offset, in data that is written only
    // while it is loaded, two function pointers in the order of `ApiBase`. It was loaded above and is never unloaded.
    #[expect(unsafe_code, reason = "reads a struct of the loaded module")]
    let pointers = unsafe { *(address as *const [usize; 2]) };
    let inside = |pointer: usize| (image..image + IMAGE_SIZE).contains(&pointer);
    if !pointers.into_iter().all(inside) {
        return Err("there is no OrtApiBase where the module should have it".to_owned());
    }
    // SAFETY: as above, and both fields point into the module's image.
    #[expect(unsafe_code, reason = "reads a struct of the loaded module")]
    let base = unsafe { &*(address as *const ApiBase) };
    // SAFETY: GetVersionString returns a string literal.
    #[expect(unsafe_code, reason = "reads a C string")]
    let version = unsafe { CStr::from_ptr((base.get_version_string)()) };
    if version == VERSION {
        Ok(base)
    } else {
        Err(format!("the module says that it is version {}", version.to_string_lossy()))
    }
}

fn load(path: &Path, flags: i32) -> Result<Library, String> {
    // SAFETY: loading runs the file's initialisers. They are those of CPython, which has none that need more than
    // memory, and of a module whose hash was checked, which run the same way under Python.
    #[expect(unsafe_code, reason = "loads a library")]
    let library = unsafe { Library::open(Some(path), flags) };
    library.map_err(|error| {
        // libloading's own text leaves dlerror's reason to `source`.
        let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        format!("cannot load {}: {reason}", path.display())
    })
}

/// The folder that this library was loaded from.
fn own_folder() -> Result<PathBuf, String> {
    let mut info = libc::Dl_info {
        dli_fname: std::ptr::null(),
        dli_fbase: std::ptr::null_mut(),
        dli_sname: std::ptr::null(),
        dli_saddr: std::ptr::null_mut(),
    };
    let address = std::ptr::from_ref(&UNUSABLE).cast();
    // SAFETY: `address` is in this library, and `info` is a valid place to write to.
    #[expect(unsafe_code, reason = "asks the dynamic linker for this library's path")]
    let found = unsafe { libc::dladdr(address, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return Err("the dynamic linker does not know this library's path".to_owned());
    }
    // SAFETY: dladdr succeeded: the name is a C string that lives as long as this library is loaded.
    #[expect(unsafe_code, reason = "reads a C string")]
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    Ok(path.parent().unwrap_or(Path::new(".")).to_path_buf())
}
