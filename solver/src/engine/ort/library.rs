//! Finding ONNX Runtime's shared library, and making sure that a file is one before it is loaded: loading runs the
//! file's code, and a library of another kind can take the process down with it.

use std::cmp::Reverse;
use std::env::consts::{ARCH, DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use object::{Architecture, Object, ObjectKind, ObjectSegment, ReadCache, ReadRef};

use crate::{Result, SolverError};

/// How deep below the download cache a library may lie: `onnxruntime/1.32.0/onnxruntime/capi/libonnxruntime.so`.
const CACHE_DEPTH: usize = 5;
/// How far above the executable a `target` folder is looked for.
const EXECUTABLE_ANCESTORS: usize = 4;

/// The environment that a search depends on.
#[derive(Debug, Clone, Default)]
pub struct SearchEnvironment {
    /// `ORT_DYLIB_PATH`.
    pub ort_dylib_path: Option<OsString>,
    /// `CARGO_TARGET_DIR`.
    pub cargo_target_dir: Option<PathBuf>,
    /// The folder the process was started in.
    pub current_dir: Option<PathBuf>,
    /// The running executable.
    pub executable: Option<PathBuf>,
    /// Folders of the dynamic linker: `LD_LIBRARY_PATH`, then the system's.
    pub library_dirs: Vec<PathBuf>,
    /// Where Python may be installed: `VIRTUAL_ENV`, `CONDA_PREFIX`, `~/.local`, `/usr` and so on.
    pub python_prefixes: Vec<PathBuf>,
}

impl SearchEnvironment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name| var(name).map(PathBuf::from);
        let current_dir = std::env::current_dir().ok();
        let home = path("HOME");

        let linker_path = var("LD_LIBRARY_PATH").unwrap_or_default();
        let mut library_dirs: Vec<_> =
            std::env::split_paths(&linker_path).filter(|dir| !dir.as_os_str().is_empty()).collect();
        let multiarch = format!("/usr/lib/{ARCH}-linux-gnu");
        library_dirs.extend(
            ["/usr/local/lib", "/usr/lib", &multiarch, "/usr/lib64", "/opt/onnxruntime/lib", "/opt/homebrew/lib"]
                .map(PathBuf::from),
        );

        let mut python_prefixes: Vec<_> = [path("VIRTUAL_ENV"), path("CONDA_PREFIX")]
            .into_iter()
            .chain([current_dir.as_ref().map(|dir| dir.join(".venv")), home.as_ref().map(|home| home.join(".local"))])
            .flatten()
            .collect();
        python_prefixes.extend(["/usr/local", "/usr"].map(PathBuf::from));
        if let Some(home) = &home {
            python_prefixes.extend(subfolders(&home.join(".pyenv/versions"), |_| true));
        }
        Self {
            ort_dylib_path: var("ORT_DYLIB_PATH"),
            cargo_target_dir: path("CARGO_TARGET_DIR"),
            current_dir,
            executable: std::env::current_exe().ok(),
            library_dirs,
            python_prefixes,
        }
    }

    /// The folders to look into, in order, each with the depth to which it is searched.
    fn folders(&self) -> Vec<(PathBuf, usize)> {
        let mut caches: Vec<PathBuf> = Vec::new();
        caches.extend(self.current_dir.iter().map(|dir| dir.join("target/onnxruntime")));
        caches.extend(self.cargo_target_dir.iter().map(|dir| dir.join("onnxruntime")));
        let mut beside = Vec::new();
        if let Some(executable) = &self.executable {
            // A build lies in target/release; a project's checkout is one folder up.
            for dir in executable.ancestors().skip(1).take(EXECUTABLE_ANCESTORS) {
                caches.extend([dir.join("onnxruntime"), dir.join("target/onnxruntime")]);
            }
            beside.extend(executable.parent().map(Path::to_path_buf));
        }
        let packages = self.python_prefixes.iter().flat_map(|prefix| {
            let is_python = |name: &str| name.starts_with("python3");
            subfolders(&prefix.join("lib"), is_python).into_iter().flat_map(|python| {
                ["site-packages", "dist-packages"].map(|dir| python.join(dir).join("onnxruntime/capi"))
            })
        });
        let mut folders: Vec<_> = caches.into_iter().map(|dir| (dir, CACHE_DEPTH)).collect();
        folders.extend(beside.into_iter().chain(self.library_dirs.clone()).chain(packages).map(|dir| (dir, 0)));
        let mut seen = std::collections::HashSet::new();
        folders.retain(|(dir, _)| seen.insert(dir.clone()));
        folders
    }
}

/// A file that looks like ONNX Runtime's library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLibrary {
    /// Its path, absolute and without links.
    pub path: PathBuf,
    /// What led to it: `--ort-lib`, `ORT_DYLIB_PATH` or `search`.
    pub origin: &'static str,
}

/// Finds the library: `explicit`, then `ORT_DYLIB_PATH`, then the project's download cache, the executable's own
/// folder, the system's library folders and Python's packages. The first two are taken at their word: a file that
/// they name and that is not ONNX Runtime is an error, not passed over.
pub fn find_library(explicit: Option<&Path>, environment: &SearchEnvironment) -> Result<FoundLibrary> {
    let named = explicit.map(|path| (path.to_path_buf(), "--ort-lib")).or_else(|| {
        let path = environment.ort_dylib_path.as_ref()?;
        Some((PathBuf::from(path), "ORT_DYLIB_PATH"))
    });
    if let Some((path, origin)) = named {
        let reject = |path: &Path, reason| SolverError::LibraryRejected {
            path: path.to_path_buf(),
            origin: origin.to_owned(),
            reason,
        };
        let path = if path.is_dir() {
            let newest = libraries_in(&path, CACHE_DEPTH).into_iter().next();
            newest.ok_or_else(|| reject(&path, format!("no {DLL_PREFIX}onnxruntime{DLL_SUFFIX} in this folder")))?
        } else {
            path
        };
        return match check_library(&path) {
            Ok(path) => Ok(FoundLibrary { path, origin }),
            Err(reason) => Err(reject(&path, reason)),
        };
    }

    let mut searched = Vec::new();
    for (folder, depth) in environment.folders() {
        let candidates = libraries_in(&folder, depth);
        if candidates.is_empty() {
            searched.push(folder.display().to_string());
        }
        for candidate in candidates {
            match check_library(&candidate) {
                Ok(path) => return Ok(FoundLibrary { path, origin: "search" }),
                Err(reason) => searched.push(format!("{}: {reason}", candidate.display())),
            }
        }
    }
    Err(SolverError::LibraryNotFound { searched })
}

/// The ONNX Runtime libraries in a folder, newest version first, down to `depth` folders below.
fn libraries_in(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let stem = format!("{DLL_PREFIX}onnxruntime.");
    let mut found = Vec::new();
    let mut pending = vec![(folder.to_path_buf(), depth)];
    while let Some((dir, depth)) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if name.starts_with(&stem) && name.contains(DLL_SUFFIX) {
                found.push(path);
            } else if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push((path, depth - 1));
            }
        }
    }
    found.sort_by_key(|path| (Reverse(version_in(path)), path.clone()));
    found
}

/// The numbers in a library's file name, links resolved: `libonnxruntime.so.1.32.0` gives 1, 32, 0.
fn version_in(path: &Path) -> Vec<u64> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The version that a library's file name gives: `1.32.0`, or `unknown`.
pub(super) fn version_of(path: &Path) -> String {
    let numbers: Vec<_> = version_in(path).iter().map(u64::to_string).collect();
    if numbers.is_empty() { "unknown".to_owned() } else { numbers.join(".") }
}

fn subfolders(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries
        .filter(|entry| wanted(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders.reverse();
    folders
}

/// Reads a file's headers, without running any of it: it must be a complete shared library for this processor that
/// exports `OrtGetApiBase`. Returns its real path, or what is wrong.
fn check_library(path: &Path) -> Result<PathBuf, String> {
    let path = fs::canonicalize(path).map_err(|error| format!("cannot open: {error}"))?;
    let file = fs::File::open(&path).map_err(|error| format!("cannot open: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("cannot open: {error}"))?;
    if !metadata.is_file() {
        return Err("not a file".to_owned());
    }
    let cache = ReadCache::new(file);
    let is_elf = cache.range(0, metadata.len()).read_bytes_at(0, 4).is_ok_and(|magic| magic == b"\x7fELF");
    // An ELF file ends with its table of sections.
    let broken = if is_elf { "the file is truncated or damaged" } else { "not a shared library" };
    let object = object::File::parse(&cache).map_err(|_| broken.to_owned())?;
    if object.kind() != ObjectKind::Dynamic {
        return Err("not a shared library".to_owned());
    }
    let expected = match ARCH {
        "x86_64" => Some(Architecture::X86_64),
        "aarch64" => Some(Architecture::Aarch64),
        "arm" => Some(Architecture::Arm),
        "riscv64" => Some(Architecture::Riscv64),
        _ => None,
    };
    let actual = object.architecture();
    if expected.is_some_and(|expected| expected != actual) {
        return Err(format!("made for another processor ({actual:?}), expected {ARCH}").to_lowercase());
    }
    let end =
        object.segments().map(|segment| segment.file_range()).map(|(start, size)| start.saturating_add(size)).max();
    if end.is_some_and(|end| end > metadata.len()) {
        return Err("the file is truncated or damaged".to_owned());
    }
    let exports = object.exports().map_err(|_| "its table of symbols is damaged".to_owned())?;
    // Mach-O puts an underscore in front of every name.
    if !exports.iter().any(|export| export.name().ends_with(b"OrtGetApiBase")) {
        return Err("not ONNX Runtime's library: it does not export OrtGetApiBase".to_owned());
    }
    Ok(path)
}
