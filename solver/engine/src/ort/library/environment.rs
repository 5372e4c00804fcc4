//! The places where ONNX Runtime's library is looked for.

use std::env::consts::ARCH;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::libraries_in;

/// Levels below the download cache, or a folder that was named, a library may lie:
/// `onnxruntime/1.32.0/onnxruntime/capi/libonnxruntime.so`.
pub(super) const CACHE_DEPTH: usize = 5;

/// The environment that a search depends on. The current folder is not part of it: whoever unpacks somebody's archive and
/// works in it would load what lies there. Paths that are not absolute would lead there too, and are left out.
#[derive(Debug, Clone, Default)]
pub struct SearchEnvironment {
    /// `ORT_DYLIB_PATH`, a file or a folder, taken at its word.
    pub ort_dylib_path: Option<OsString>,
    /// `TRM_ORT_CACHE`: the folder that `cargo xtask ort` fetches into, by the checkout's `.cargo/config.toml` for whatever cargo
    /// starts there.
    pub ort_cache: Option<PathBuf>,
    /// The running program: its folder is searched.
    pub executable: Option<PathBuf>,
    /// The folders of `LD_LIBRARY_PATH`.
    pub linker_path: Vec<PathBuf>,
    /// The system's library folders.
    pub library_dirs: Vec<PathBuf>,
    /// `VIRTUAL_ENV`: the active Python environment.
    pub virtual_env: Option<PathBuf>,
    /// `CONDA_PREFIX`: the active conda environment.
    pub conda_prefix: Option<PathBuf>,
    /// Where the system's own Python is installed.
    pub python_prefixes: Vec<PathBuf>,
}

/// A folder to look into, or a file that was named.
pub(super) struct Spot {
    pub(super) origin: &'static str,
    pub(super) path: PathBuf,
    depth: usize,
}

impl Spot {
    /// The libraries there, in the order in which they are tried; a file that was named counts whatever it is.
    pub(super) fn libraries(&self) -> Vec<PathBuf> {
        let named = matches!(self.origin, EXPLICIT | VARIABLE);
        if named && !self.path.is_dir() { vec![self.path.clone()] } else { libraries_in(&self.path, self.depth) }
    }
}

const EXPLICIT: &str = "--ort-lib";
const VARIABLE: &str = "ORT_DYLIB_PATH";

impl SearchEnvironment {
    /// The environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name| var(name).map(PathBuf::from);
        let linker_path = var("LD_LIBRARY_PATH").unwrap_or_default();
        let multiarch = format!("/usr/lib/{ARCH}-linux-gnu");
        let executable = std::env::current_exe().ok();
        Self {
            ort_dylib_path: var(VARIABLE),
            ort_cache: path("TRM_ORT_CACHE"),
            executable: executable.map(|program| fs::canonicalize(&program).unwrap_or(program)),
            linker_path: std::env::split_paths(&linker_path).collect(),
            library_dirs: [
                "/usr/local/lib",
                "/usr/lib",
                &multiarch,
                "/usr/lib64",
                "/opt/onnxruntime/lib",
                "/opt/homebrew/lib",
            ]
            .map(PathBuf::from)
            .to_vec(),
            virtual_env: path("VIRTUAL_ENV"),
            conda_prefix: path("CONDA_PREFIX"),
            python_prefixes: ["/usr/local", "/usr"].map(PathBuf::from).to_vec(),
        }
    }

    /// The path that was named, by an argument or by `ORT_DYLIB_PATH`.
    pub(super) fn named(&self, explicit: Option<&Path>) -> Option<Spot> {
        let variable = || Some((VARIABLE, PathBuf::from(self.ort_dylib_path.as_ref()?)));
        let (origin, path) = explicit.map(|path| (EXPLICIT, path.to_path_buf())).or_else(variable)?;
        Some(Spot { origin, path, depth: CACHE_DEPTH })
    }

    /// The folders to look into, in order.
    pub(super) fn spots(&self) -> Vec<Spot> {
        let mut spots = Vec::new();
        let mut add = |origin, path: PathBuf, depth| spots.push(Spot { origin, path, depth });
        if let Some(cache) = &self.ort_cache {
            add("TRM_ORT_CACHE", cache.clone(), CACHE_DEPTH);
        }
        if let Some(folder) = self.executable.as_deref().and_then(Path::parent) {
            add("beside the program", folder.to_path_buf(), 0);
        }
        self.linker_path.iter().for_each(|folder| add("LD_LIBRARY_PATH", folder.clone(), 0));
        self.library_dirs.iter().for_each(|folder| add("system", folder.clone(), 0));
        let virtual_env = self.virtual_env.iter().map(|prefix| ("VIRTUAL_ENV", prefix));
        let conda = self.conda_prefix.iter().map(|prefix| ("CONDA_PREFIX", prefix));
        let system = self.python_prefixes.iter().map(|prefix| ("system's Python", prefix));
        for (origin, prefix) in virtual_env.chain(conda).chain(system) {
            for folder in packages(prefix) {
                add(origin, folder, 0);
            }
        }
        let mut seen = std::collections::HashSet::new();
        spots.retain(|spot| spot.path.is_absolute() && seen.insert(spot.path.clone()));
        spots
    }
}

/// Where pip puts the library below a prefix; newest Python first.
fn packages(prefix: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(prefix.join("lib")).into_iter().flatten().flatten();
    let is_python = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with("python3");
    let mut pythons: Vec<_> = entries.filter(is_python).map(|entry| entry.path()).collect();
    pythons.sort();
    let folders = pythons.into_iter().rev().flat_map(|python| {
        ["site-packages", "dist-packages"].map(|folder| python.join(folder).join("onnxruntime/capi"))
    });
    folders.collect()
}
