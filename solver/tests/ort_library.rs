//! Finding ONNX Runtime, refusing what is not it, and choosing an execution provider.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Golden, chain, options, ort};
use tempfile::TempDir;
use trm_export::train::ort_training::TrainingModels;
use trm_models::GraphKind;
use trm_solver::engine::ort::{
    ExecutionProvider, OrtEngine, ProviderChoice, ProviderOptions, SearchEnvironment, find_library,
};
use trm_solver::{Engine, SessionOptions, SolverError};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// The library that the tests run with.
fn real_library() -> PathBuf {
    let library = std::env::var_os("ORT_DYLIB_PATH")
        .expect("this test needs ONNX Runtime, but ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    fs::canonicalize(library).expect("ORT_DYLIB_PATH names a file")
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("creates the folder");
    fs::write(path, bytes).expect("writes the file");
}

fn link(path: &Path) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("creates the folder");
    std::os::unix::fs::symlink(real_library(), path).expect("links the library");
}

/// What is wrong with a file that was named explicitly.
fn rejection(path: &Path) -> String {
    match find_library(Some(path), &SearchEnvironment::default()) {
        Err(error @ SolverError::LibraryRejected { .. }) => {
            let message = error.to_string();
            let rest = message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&message);
            let (reason, hint) = rest.split_once('\n').expect("two lines");
            assert_eq!(hint, "hint: --ort-lib must name ONNX Runtime's shared library, version 1.17 or newer");
            reason.to_owned()
        }
        other => panic!("{} was not rejected: {other:?}", path.display()),
    }
}

#[test]
fn a_named_file_that_is_not_the_library_is_refused() {
    let dir = folder();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        write(&path, bytes);
        path
    };
    // An ELF file of this processor that has nothing to do with ONNX Runtime: this test itself.
    let program = fs::read(std::env::current_exe().expect("this test's file")).expect("reads");
    let mut other_processor = program.clone();
    // e_machine of the ELF header: 8 is MIPS.
    other_processor[18..20].copy_from_slice(&8u16.to_le_bytes());

    let missing = rejection(&dir.path().join("libonnxruntime.so"));
    assert!(missing.starts_with("cannot open: No such file"), "{missing}");
    assert_eq!(rejection(&file("text.so", b"GROUP ( libc.so.6 )")), "not a shared library");
    assert_eq!(rejection(&file("empty.so", b"")), "not a shared library");
    let foreign = rejection(&file("foreign.so", &program));
    assert_eq!(foreign, "not ONNX Runtime's library: it does not export OrtGetApiBase");
    let wrong = rejection(&file("mips.so", &other_processor));
    assert!(wrong.starts_with("made for another processor (mips"), "{wrong}");
    let empty = rejection(folder().path());
    assert!(empty.starts_with("no libonnxruntime.so in this folder"), "{empty}");

    let library = fs::read(real_library()).expect("reads");
    let truncated = rejection(&file("truncated.so", &library[..library.len() / 2]));
    assert!(truncated.contains("truncated"), "{truncated}");
}

#[test]
fn a_named_library_or_its_folder_is_found() {
    let environment = SearchEnvironment::default();
    let library = real_library();
    let found = find_library(Some(&library), &environment).expect("finds the library");
    assert_eq!((found.path.as_path(), found.origin), (library.as_path(), "--ort-lib"));
    let parent = library.parent().expect("a folder");
    let found = find_library(Some(parent), &environment).expect("finds the library");
    assert_eq!(found.path, library);

    let environment = SearchEnvironment { ort_dylib_path: Some(library.clone().into()), ..environment };
    let found = find_library(None, &environment).expect("finds the library");
    assert_eq!((found.path, found.origin), (library, "ORT_DYLIB_PATH"));
    // An explicit path goes before the variable, and is not passed over when it is wrong.
    assert!(find_library(Some(Path::new("/nowhere/libonnxruntime.so")), &environment).is_err());
}

#[test]
fn the_search_goes_from_the_cache_to_python() {
    let dir = folder();
    let at = |path: &str| dir.path().join(path);
    let environment = SearchEnvironment {
        ort_dylib_path: None,
        cargo_target_dir: Some(at("elsewhere")),
        current_dir: Some(at("project")),
        executable: Some(at("installed/bin/trm")),
        library_dirs: vec![at("lib")],
        python_prefixes: vec![at("venv")],
    };
    let search = || find_library(None, &environment);

    let Err(SolverError::LibraryNotFound { searched }) = search() else {
        panic!("there is no library yet");
    };
    for place in ["project/target/onnxruntime", "elsewhere/onnxruntime", "installed/bin", "lib"] {
        assert!(searched.contains(&at(place).display().to_string()), "{place} is missing in {searched:?}");
    }
    let message = search().expect_err("there is no library yet").to_string();
    assert!(message.starts_with("no ONNX Runtime library found in /"), "{message}");
    assert!(message.contains("\nhint: `pip install onnxruntime`"), "{message}");

    // A foreign file is passed over, and the error says so.
    write(&at("lib/libonnxruntime.so"), b"not a library");
    let Err(SolverError::LibraryNotFound { searched }) = search() else {
        panic!("there is no library yet");
    };
    let line = format!("{}: not a shared library", at("lib/libonnxruntime.so").display());
    assert!(searched.contains(&line), "{searched:?}");

    // From the last place to the first: each goes before those after it. Links are told apart by their name's order.
    for place in [
        "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0",
        "lib/libonnxruntime.so.1",
        "installed/bin/libonnxruntime.so",
        "elsewhere/onnxruntime/1.32.0/onnxruntime/capi/libonnxruntime.so.1.32.0",
        "project/target/onnxruntime/libonnxruntime.so.1.32.0",
    ] {
        link(&at(place));
        assert_eq!(search().expect("finds the library").path, real_library(), "{place}");
    }
    // The provider libraries beside it are not mistaken for it.
    let other = folder();
    write(&other.path().join("libonnxruntime_providers_shared.so"), b"");
    let only = SearchEnvironment { library_dirs: vec![other.path().to_path_buf()], ..SearchEnvironment::default() };
    assert!(matches!(find_library(None, &only), Err(SolverError::LibraryNotFound { searched }) if searched.len() == 1));
}

#[test]
fn a_process_has_one_runtime() {
    let engine = ort();
    assert_eq!(engine.library(), real_library());
    assert!(engine.version().starts_with("1."), "{}", engine.version());
    let again = OrtEngine::load(None).expect("the loaded library");
    assert_eq!(again.library(), engine.library());
    let other = OrtEngine::load(Some(Path::new("/nowhere/libonnxruntime.so"))).expect_err("another library");
    assert!(matches!(other, SolverError::LibraryAlreadyLoaded { .. }));
    assert!(other.to_string().ends_with("a process has one ONNX Runtime"), "{other}");
}

#[test]
fn a_library_without_the_training_api_says_what_to_do() {
    use trm_solver::train::runtime::{OrtTraining, OrtTrainingOptions, TrainState};
    let options = OrtTrainingOptions {
        batch: 1,
        groups: 1,
        seq_len: 1,
        positions: 1,
        hidden_size: 1,
        threads: 1,
        ema: 0.0,
        puzzle_emb_weight_decay: 0.0,
    };
    let started = OrtTraining::new(&ort(), &TrainingModels::default(), TrainState::default(), 0, options);
    let message = started.err().expect("the pinned library has no training API").to_string();
    let start = format!("{}: this build of ONNX Runtime has no training API\nhint: ", real_library().display());
    assert!(message.starts_with(&start), "{message}");
    for advice in ["runtime.kind = \"graph\"", "1.19.2", "--ort-lib", "cargo xtask ort-training"] {
        assert!(message.contains(advice), "{advice} is missing in {message}");
    }
}

fn with_provider(provider: ProviderChoice) -> SessionOptions {
    let cache_dir = Some(std::env::temp_dir().join("trm-test-tensorrt"));
    let provider_options = ProviderOptions { cache_dir, ..ProviderOptions::default() };
    SessionOptions { provider, provider_options, ..options(1) }
}

/// The pinned library is built for the processor only.
#[test]
fn a_provider_that_was_asked_for_and_does_not_work_is_an_error() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bytes = golden.bytes(GraphKind::Step, 1);
    let source = golden.source(GraphKind::Step, &bytes);
    for provider in [ExecutionProvider::Cuda, ExecutionProvider::TensorRt] {
        let error = ort().load_step_graph(&source, &with_provider(ProviderChoice::Only(provider))).err();
        let message = chain(&error.expect("there is no GPU in a CPU library"));
        let start = format!("execution provider {provider} is not usable: ");
        assert!(message.starts_with(&start) && message.contains("not enabled in this build"), "{message}");
        assert!(message.contains("\nhint: --provider auto"), "{message}");
    }
}

#[test]
fn a_fallback_is_reported_with_its_reasons() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bytes = golden.bytes(GraphKind::Step, 1);
    let source = golden.source(GraphKind::Step, &bytes);
    let load = |provider| {
        let session = ort().load_step_graph(&source, &with_provider(provider)).expect("falls back to the processor");
        session.info().clone()
    };
    let fallen = |info: &trm_solver::SessionInfo| -> Vec<String> {
        info.fallbacks.iter().map(|line| line.split_once(':').expect("a reason").0.to_owned()).collect()
    };
    let auto = load(ProviderChoice::Auto);
    assert_eq!((auto.provider, fallen(&auto)), ("cpu", vec!["tensorrt".to_owned(), "cuda".to_owned()]));
    let cuda = load(ProviderChoice::Prefer(ExecutionProvider::Cuda));
    assert_eq!((cuda.provider, fallen(&cuda)), ("cpu", vec!["cuda".to_owned(), "tensorrt".to_owned()]));
    let cpu = load(ProviderChoice::Only(ExecutionProvider::Cpu));
    assert_eq!((cpu.provider, cpu.fallbacks.len(), cpu.engine, cpu.batch, cpu.threads), ("cpu", 0, "ort", 1, 2));

    let probed = ort().probe_providers(&source, &ProviderOptions::default());
    let usable: Vec<_> = probed.iter().filter(|(_, reason)| reason.is_none()).map(|(provider, _)| *provider).collect();
    assert_eq!(usable, [ExecutionProvider::Cpu]);
}

#[test]
fn loops_are_kept_away_from_tensorrt() {
    let golden = Golden::load("sudoku_mlp_stable");
    let bytes = golden.bytes(GraphKind::Solve, 1);
    let source = golden.source(GraphKind::Solve, &bytes);
    let session = ort().load_solve_graph(&source, &with_provider(ProviderChoice::Auto)).expect("falls back");
    let reason = &session.info().fallbacks[0];
    assert!(reason.starts_with("tensorrt: TensorRT does not run ONNX loops reliably"), "{reason}");
}

#[test]
fn provider_names_are_parsed() {
    assert_eq!("auto".parse::<ProviderChoice>().expect("auto"), ProviderChoice::Auto);
    for provider in ExecutionProvider::ALL {
        let parsed = provider.as_str().parse::<ProviderChoice>().expect("a provider");
        assert_eq!(parsed, ProviderChoice::Only(provider));
    }
    let error = "gpu".parse::<ProviderChoice>().expect_err("not a provider").to_string();
    assert_eq!(error, "--provider: unknown execution provider `gpu`\nhint: one of auto, cpu, cuda and tensorrt");
}
