//! Libraries that must not be loaded: `trm` goes on without them, or says why it cannot.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A shared library with the name of ONNX Runtime's only function. What it does when it is loaded, `BAD_LIBRARY` says.
const SOURCE: &str = r#"
use std::ffi::c_void;
use std::io::Write;

#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static WHEN_LOADED: extern "C" fn() = when_loaded;

extern "C" fn when_loaded() {
    if let Some(mark) = std::env::var_os("BAD_LIBRARY_MARK") {
        std::fs::write(mark, "loaded").unwrap();
    }
    match std::env::var("BAD_LIBRARY").unwrap_or_default().as_str() {
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        "illegal" => unsafe { core::arch::asm!("ud2") },
        #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
        "illegal" => unsafe { core::arch::asm!("udf #0") },
        "fault" => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
        "hang" => loop { std::hint::spin_loop() },
        "exit" => std::process::exit(0),
        "print" => std::io::stdout().write_all(b"a library says hello\n").unwrap(),
        _ => {}
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn OrtGetApiBase() -> *const c_void {
    std::ptr::null()
}
"#;

/// The library, built by the compiler that is there in any case.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-library");
    fs::create_dir_all(&folder).expect("a folder");
    let source = folder.join("bad.rs");
    fs::write(&source, SOURCE).expect("written");
    let library = folder.join(format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition", "2024", "--crate-type", "cdylib", "-C", "panic=abort", "-C", "opt-level=1", "-o"])
        .args([&library, &source])
        .output()
        .expect("rustc starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
});

/// `trm` without any library but those that it is given.
fn trm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR"));
    for variable in ["ORT_DYLIB_PATH", "TRM_ORT_CACHE", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH"] {
        command.env_remove(variable);
    }
    // Nothing is remembered.
    command.env_remove("HOME").env_remove("XDG_CACHE_HOME");
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("trm runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

const SOLVE: [&str; 3] = ["solve", "../../examples/maze.txt", "--json"];

/// Runs a puzzle with a library that misbehaves. By name that is exit code 3 and a sentence; where it was only found, tract goes
/// on, with the same sentence.
fn misbehaves(how: &str, expected: &str) {
    let library = LIBRARY.to_str().expect("a path");
    let started = Instant::now();
    let named = run(trm(&SOLVE).args(["--ort-lib", library]).env("BAD_LIBRARY", how));
    let stderr = text(&named.stderr);
    assert_eq!((named.status.code(), text(&named.stdout)), (Some(3), String::new()), "{how}: {stderr}");
    let start = format!("error: {library}: the library {expected}");
    assert!(stderr.starts_with(&start), "{how}: {stderr}, expected {start}");
    assert!(stderr.contains("\nhint: ") && !stderr.contains("panicked"), "{how}: {stderr}");

    let found = run(trm(&SOLVE).env("ORT_DYLIB_PATH", library).env("BAD_LIBRARY", how));
    let stderr = text(&found.stderr);
    assert_eq!(found.status.code(), Some(0), "{how}: {stderr}");
    let warning = format!("warning: not using ort: {library}: the library {expected}");
    assert!(stderr.starts_with(&warning), "{how}: {stderr}");
    let report: Value = serde_json::from_slice(&found.stdout).expect("one JSON object, and nothing of the library's");
    assert_eq!((&report["backend"], &report["verdict"]), (&"rten".into(), &"verified".into()), "{how}: {report}");
    assert!(started.elapsed() < Duration::from_mins(1), "{how}: {:?}", started.elapsed());
}

#[test]
fn a_library_of_instructions_that_the_processor_lacks() {
    misbehaves("illegal", "crashes when it is opened (signal 4: an illegal instruction");
}

#[test]
fn a_library_that_crashes() {
    misbehaves("fault", "crashes when it is opened (signal 11: a segmentation fault)");
}

#[test]
fn a_library_that_never_comes_back() {
    misbehaves("hang", "does not come back within 10 s when it is opened");
}

#[test]
fn a_library_that_ends_the_program() {
    misbehaves("exit", "ends the program that opens it (exit code 0)");
}

/// A program that reads the answers would take what it prints for one.
#[test]
fn a_library_that_prints() {
    misbehaves("print", "writes to standard output when it is opened, where the answers go");
}

#[test]
fn a_library_that_only_has_the_name() {
    misbehaves("", "has another interface than ONNX Runtime's (assertion failed: !base.is_null())");
}

/// Where nobody named a library, one that fails is passed over and told.
#[test]
fn a_library_that_is_found_and_fails_is_told() {
    let cache = LIBRARY.parent().expect("a folder");
    let run = |args: &[&str]| run(trm(args).env("TRM_ORT_CACHE", cache).env("BAD_LIBRARY", "fault"));
    let found = run(&SOLVE);
    let stderr = text(&found.stderr);
    assert_eq!(found.status.code(), Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: not using ort: no ONNX Runtime library found beside"), "{stderr}");
    let told = format!("{}: it crashes when it is opened (signal 11", LIBRARY.display());
    assert!(stderr.contains(&told), "{stderr}");

    let wanted = run(&[&SOLVE[..], &["--backend", "ort"]].concat());
    assert_eq!(wanted.status.code(), Some(3), "{}", text(&wanted.stderr));
    assert!(text(&wanted.stderr).contains(&told), "{}", text(&wanted.stderr));

    let doctor = run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    assert_eq!((doctor.status.code(), &report["passed"]), (Some(0), &true.into()), "nobody asked for it: {report}");
    let mut engines = report["engines"].as_array().expect("engines").iter();
    let found = &engines.find(|engine| engine["name"] == "ort").expect("ONNX Runtime is among them")["searched"][0];
    assert_eq!((&found["origin"], &found["libraries"][0]["loaded"]), (&"TRM_ORT_CACHE".into(), &false.into()));
    assert!(found["libraries"][0]["problem"].as_str().is_some_and(|why| why.starts_with("it crashes")), "{report}");
}

/// Whoever works in a folder that somebody else made loads nothing of it.
#[test]
fn nothing_is_loaded_from_the_current_folder() {
    let folder = TempDir::new().expect("a folder");
    for place in [
        "",
        "target/onnxruntime",
        "target/onnxruntime/1.32.0",
        "target/release",
        "onnxruntime",
        ".venv/lib/python3.11/site-packages/onnxruntime/capi",
        "lib",
    ] {
        let place = folder.path().join(place);
        fs::create_dir_all(&place).expect("folders");
        fs::copy(&*LIBRARY, place.join(LIBRARY.file_name().expect("a name"))).expect("a copy");
    }
    let mark = folder.path().join("mark");
    let maze = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/maze.txt");
    let args = ["solve", maze.to_str().expect("a path"), "--json"];
    // Even where a relative path leads there, as `LD_LIBRARY_PATH=` with an empty entry does for the system's own loader.
    let solve = |args: &[&str]| {
        let mut command = trm(args);
        command.current_dir(folder.path()).env("BAD_LIBRARY_MARK", &mark);
        command.env("LD_LIBRARY_PATH", ":lib:.").env("VIRTUAL_ENV", ".venv").env("TRM_ORT_CACHE", "target/onnxruntime");
        run(&mut command)
    };
    let output = solve(&args);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(!mark.exists(), "a library of the current folder was loaded");
    // The mark shows that it would have been seen.
    let named = solve(&[&args[..], &["--ort-lib", "target/onnxruntime"]].concat());
    assert_eq!(named.status.code(), Some(3), "{}", text(&named.stderr));
    assert!(mark.exists());
}

/// A library in a folder that others can write is theirs to replace.
#[test]
fn nothing_is_loaded_from_a_folder_that_others_can_write() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().expect("a folder");
    let root = fs::canonicalize(folder.path()).expect("a path");
    let capi = root.join("venv/lib/python3.11/site-packages/onnxruntime/capi");
    fs::create_dir_all(&capi).expect("folders");
    fs::copy(&*LIBRARY, capi.join(LIBRARY.file_name().expect("a name"))).expect("a copy");
    let shared = root.join("venv/lib");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("a mode");
    let mark = root.join("mark");
    let run = |args: &[&str]| run(trm(args).env("VIRTUAL_ENV", root.join("venv")).env("BAD_LIBRARY_MARK", &mark));
    let output = run(&SOLVE);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let told = format!("others can write into {} (mode 777)", shared.display());
    assert!(stderr.starts_with("warning: not using ort") && stderr.contains(&told), "{stderr}");
    assert!(!mark.exists(), "it was loaded");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).expect("a mode");
    let output = run(&SOLVE);
    assert!(text(&output.stderr).contains("has another interface"), "{}", text(&output.stderr));
    assert!(mark.exists(), "in a folder of one's own it is tried");
}

/// A library that has worked is not tried again until it changes.
#[test]
fn a_library_that_works_is_remembered() {
    let library = std::env::var_os("ORT_DYLIB_PATH").expect("cargo xtask test sets ORT_DYLIB_PATH");
    let cache = TempDir::new().expect("a folder");
    let solve = || {
        let output = run(trm(&SOLVE).arg("--ort-lib").arg(&library).env("XDG_CACHE_HOME", cache.path()));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(report["backend"], "ort");
        let remembered = cache.path().join("trm-edge/libraries");
        let files = fs::read_dir(&remembered).expect("what is remembered").map(|entry| entry.expect("an entry").path());
        files.collect::<Vec<_>>()
    };
    let [file] = solve().try_into().expect("one library");
    let written = || fs::metadata(&file).and_then(|metadata| metadata.modified()).expect("a time");
    let first = written();
    solve();
    assert_eq!(written(), first, "nothing was found out again");
    fs::write(&file, "{}").expect("written");
    solve();
    assert!(fs::read_to_string(&file).expect("reads").contains("inode"), "it was found out again");
}
