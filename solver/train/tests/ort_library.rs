//! Finding ONNX Runtime, refusing what is not it, and choosing an execution provider.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Golden, chain, options, ort};
use tempfile::TempDir;
use trm_engine::ort::{
    Candidate, ExecutionProvider, LibraryProblem, OrtEngine, ProviderChoice, ProviderOptions, SearchEnvironment,
    find_library,
};
use trm_engine::{Engine, EngineError, SessionOptions};
use trm_export::train::ort_training::TrainingModels;
use trm_intake::explained;
use trm_models::GraphKind;

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

/// Returns the reason for which a file that was named explicitly is refused.
fn rejection(path: &Path) -> String {
    match find_library(Some(path), &SearchEnvironment::default()) {
        Err(error @ EngineError::LibraryRejected { .. }) => {
            let message = explained(&error);
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

    // A table of symbols of three gigabytes, in a file that has them without taking any of the disk.
    let huge = {
        use object::read::elf::{FileHeader, SectionHeader};
        let mut bytes = program.clone();
        let header = object::elf::FileHeader64::<object::Endianness>::parse(&*program).expect("a program of 64 bits");
        let endian = header.endian().expect("its byte order");
        let sections = header.section_headers(endian, &*program).expect("sections");
        let dynamic = sections.iter().position(|section| section.sh_type(endian) == object::elf::SHT_DYNSYM);
        let at = header.e_shoff(endian) as usize + dynamic.expect("dynamic symbols") * 64;
        // sh_offset and sh_size of the section's header.
        bytes[at + 24..at + 32].copy_from_slice(&0_u64.to_le_bytes());
        bytes[at + 32..at + 40].copy_from_slice(&(3_u64 << 30).to_le_bytes());
        let path = file("huge.so", &bytes);
        fs::File::options().write(true).open(&path).and_then(|file| file.set_len(4 << 30)).expect("a sparse file");
        path
    };
    assert_eq!(rejection(&huge), "the file is truncated or damaged");

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
    let root = fs::canonicalize(dir.path()).expect("a path");
    let at = |path: &str| root.join(path);
    // A copy, in a folder of this user's only.
    let library = at("copy/libonnxruntime.so");
    write(&library, &fs::read(real_library()).expect("reads"));
    let environment = SearchEnvironment {
        ort_dylib_path: None,
        ort_cache: Some(at("checkout/target/onnxruntime")),
        executable: Some(at("installed/bin/trm")),
        linker_path: vec![at("linker")],
        library_dirs: vec![at("lib")],
        virtual_env: Some(at("venv")),
        conda_prefix: Some(at("conda")),
        python_prefixes: vec![at("usr")],
    };
    let search = || find_library(None, &environment);

    let error = search().expect_err("there is no library yet");
    assert!(matches!(&error, EngineError::LibraryNotFound { refused } if refused.is_empty()), "{error:?}");
    assert_eq!(
        explained(&error),
        "no ONNX Runtime library found beside the program, in the system's folders or in the active Python environment\n\
         hint: `trm doctor` lists every place; `pip install onnxruntime` into an active environment, or name the library by \
         --ort-lib or ORT_DYLIB_PATH"
    );

    // A foreign file is passed over, and the error says so.
    write(&at("lib/libonnxruntime.so"), b"not a library");
    let error = search().expect_err("there is no library yet");
    let problem = Some(LibraryProblem::Foreign("not a shared library".to_owned()));
    let expected = Candidate { path: at("lib/libonnxruntime.so"), problem };
    assert!(!expected.is_surprising());
    assert!(matches!(&error, EngineError::LibraryNotFound { refused } if *refused == [expected]), "{error:?}");
    let told = format!("environment; {}: not a shared library\nhint", at("lib/libonnxruntime.so").display());
    assert!(explained(&error).contains(&told) && !error.is_engine_failure(), "{error}");

    // From the last place to the first: each goes before those after it. Links are told apart by their name's order.
    for (origin, place) in [
        ("system's Python", "usr/lib/python3/dist-packages/onnxruntime/capi/libonnxruntime.so.1.32.0"),
        ("CONDA_PREFIX", "conda/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0"),
        ("VIRTUAL_ENV", "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.32.0"),
        ("system", "lib/libonnxruntime.so.1"),
        ("LD_LIBRARY_PATH", "linker/libonnxruntime.so.1"),
        ("beside the program", "installed/bin/libonnxruntime.so"),
        ("TRM_ORT_CACHE", "checkout/target/onnxruntime/1.32.0/onnxruntime/capi/libonnxruntime.so.1.32.0"),
    ] {
        let path = at(place);
        fs::create_dir_all(path.parent().expect("a parent")).expect("creates the folder");
        std::os::unix::fs::symlink(&library, &path).expect("links the library");
        let found = search().expect("finds the library");
        assert_eq!((found.path.as_path(), found.origin, found.exposed), (library.as_path(), origin, None));
    }
    // The provider libraries beside it are not mistaken for it.
    let other = folder();
    write(&other.path().join("libonnxruntime_providers_shared.so"), b"");
    let only = SearchEnvironment { library_dirs: vec![other.path().to_path_buf()], ..SearchEnvironment::default() };
    assert!(
        matches!(find_library(None, &only), Err(EngineError::LibraryNotFound { refused }) if refused.is_empty()),
        "a provider is none"
    );
}

/// A relative path would be another folder wherever the program is started.
#[test]
fn nothing_is_searched_that_depends_on_the_current_folder() {
    let dir = tempfile::tempdir_in(".").expect("a folder in the current one");
    let relative = Path::new(dir.path().file_name().expect("a name")).to_path_buf();
    let packages = relative.join("lib/python3.11/site-packages/onnxruntime/capi");
    fs::create_dir_all(&packages).expect("folders");
    for folder in [&relative, &packages] {
        std::os::unix::fs::symlink(real_library(), folder.join("libonnxruntime.so")).expect("links the library");
    }
    let environment = SearchEnvironment {
        ort_cache: Some(relative.clone()),
        executable: Some(relative.join("trm")),
        linker_path: vec![relative.clone(), PathBuf::new(), PathBuf::from(".")],
        library_dirs: vec![relative.clone()],
        virtual_env: Some(relative.clone()),
        conda_prefix: Some(relative.clone()),
        python_prefixes: vec![relative.clone()],
        ..SearchEnvironment::default()
    };
    let found = find_library(None, &environment);
    assert!(matches!(&found, Err(EngineError::LibraryNotFound { refused }) if refused.is_empty()), "{found:?}");
    // Who names it means it.
    assert!(find_library(Some(&relative), &environment).expect("named").path.is_absolute());
}

#[test]
fn a_library_that_others_can_replace_is_not_taken_unless_it_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let root = fs::canonicalize(dir.path()).expect("a path");
    let library = root.join("open/lib/libonnxruntime.so");
    write(&library, &fs::read(real_library()).expect("reads"));
    let open = root.join("open");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("a mode");
    let environment = SearchEnvironment { library_dirs: vec![root.join("open/lib")], ..SearchEnvironment::default() };
    let error = find_library(None, &environment).expect_err("anybody could put another one there");
    let told = format!("; {}: others can write into {} (mode 777)\nhint", library.display(), open.display());
    assert!(explained(&error).contains(&told) && error.is_engine_failure(), "{error}");

    let named = find_library(Some(&library), &environment).expect("it was named");
    assert_eq!(named.exposed, Some(format!("others can write into {} (mode 777)", open.display())));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("a mode");
    assert_eq!(find_library(None, &environment).expect("nobody can").exposed, None);
}

#[test]
fn a_process_has_one_runtime() {
    let engine = ort();
    assert_eq!(engine.library(), real_library());
    assert!(engine.version().starts_with("1."), "{}", engine.version());
    let again = OrtEngine::load(None).expect("the loaded library");
    assert_eq!(again.library(), engine.library());
    let other = OrtEngine::load(Some(Path::new("/nowhere/libonnxruntime.so"))).expect_err("another library");
    assert!(matches!(other, EngineError::LibraryAlreadyLoaded { .. }));
    assert!(other.to_string().ends_with("a process has one ONNX Runtime"), "{other}");
}

#[test]
fn a_library_without_the_training_api_says_what_to_do() {
    use trm_train::runtime::{OrtTraining, OrtTrainingOptions, TrainState};
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
    let message = explained(&started.err().expect("the pinned library has no training API"));
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
    let fallen = |info: &trm_engine::SessionInfo| -> Vec<String> {
        info.fallbacks.iter().map(|line| line.split_once(':').expect("a reason").0.to_owned()).collect()
    };
    let auto = load(ProviderChoice::Auto);
    assert_eq!(
        (auto.provider, fallen(&auto)),
        (ExecutionProvider::Cpu, vec!["tensorrt".to_owned(), "cuda".to_owned()])
    );
    let cuda = load(ProviderChoice::Prefer(ExecutionProvider::Cuda));
    assert_eq!(
        (cuda.provider, fallen(&cuda)),
        (ExecutionProvider::Cpu, vec!["cuda".to_owned(), "tensorrt".to_owned()])
    );
    let cpu = load(ProviderChoice::Only(ExecutionProvider::Cpu));
    assert_eq!(
        (cpu.provider, cpu.fallbacks.len(), cpu.engine, cpu.batch, cpu.threads),
        (ExecutionProvider::Cpu, 0, "ort", 1, 2)
    );

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
    let error = explained(&"gpu".parse::<ProviderChoice>().expect_err("not a provider"));
    assert_eq!(error, "unknown execution provider `gpu`\nhint: one of auto, cpu, cuda and tensorrt");
}
