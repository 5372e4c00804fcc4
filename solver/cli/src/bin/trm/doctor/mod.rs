//! `trm doctor`: engines, providers, models, and whether they work on this machine.

mod library;
mod warm;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use trm_cli::backend::DeviceArgs;
use trm_cli::{Exit, console, failure};
use trm_engine::machine::Machine;
use trm_engine::ort::OrtEngine;
use trm_engine::{Engine, GraphSource, SessionOptions, registry};
use trm_intake::Printable;
use trm_models::{CLASSIFIER_GRAPH, GraphKind, MANIFEST, ModelBundle, ModelError, SHIPPED};
use trm_solver::SolverError;
use trm_solver::measure::selftest::{self, SelfTestReport};

use self::library::PlaceState;

/// Where models are looked for besides those that are built in and those that are named.
const MODELS_FOLDER: &str = "models";

/// Show engines, providers, models and whether they work on this machine.
///
/// With --warm, TensorRT's engines are compiled and cached instead, which takes minutes: no later start waits for it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Bundles to test besides the built-in ones and those in ./models
    bundles: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Compile TensorRT's engines for this bundle, a shipped model's name or a folder, and test nothing; may be repeated
    #[arg(long, value_name = "BUNDLE", conflicts_with = "bundles")]
    warm: Vec<String>,
    /// Rows to compile for; one puzzle takes 1, and its retries 8
    #[arg(long, value_name = "ROWS,…", value_delimiter = ',', default_values_t = [1, 8], requires = "warm",
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: Vec<u32>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The findings: the object that `--json` prints.
#[derive(Debug, Serialize)]
struct Diagnosis {
    version: &'static str,
    machine: Machine,
    engines: Vec<EngineState>,
    bundles: Vec<BundleState>,
    /// The option or variable that named an unusable library of ONNX Runtime: `--ort-lib` or `ORT_DYLIB_PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_in_vain: Option<&'static str>,
    /// An engine passes every self-test, and a library that was named can be used.
    passed: bool,
}

#[derive(Debug, Serialize)]
struct EngineState {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    library: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<String>,
    providers: Vec<ProviderState>,
    /// Places where its library was looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    searched: Vec<PlaceState>,
    /// Who else can replace the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed: Option<String>,
    /// Reason why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// It ran every self-test and passed; absent if it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    passed: Option<bool>,
}

#[derive(Debug, Serialize)]
struct ProviderState {
    name: &'static str,
    usable: bool,
    /// Reason why it is not usable.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct BundleState {
    name: String,
    place: String,
    /// Reason why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    tests: Vec<TestState>,
}

#[derive(Debug, Serialize)]
struct TestState {
    engine: &'static str,
    graph: GraphKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<SelfTestReport>,
    /// Reason why it could not be run.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl TestState {
    fn passed(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.passed)
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if !args.warm.is_empty() {
        return warm::run(&args.warm, &args.batch, &args.device, args.json);
    }
    if let Some(path) = args.bundles.iter().find(|folder| !folder.join(MANIFEST).is_file()) {
        return Err(ModelError::NotABundle { path: path.clone() }.into());
    }
    let (bundles, broken) = bundles(&args.bundles);
    let mut engines: Vec<Box<dyn Engine>> =
        registry::built_in().map(|entry| (entry.open)(None)).collect::<Result<_, _>>()?;
    let built_in = engines.iter().map(|engine| EngineState {
        name: engine.name(),
        version: Some(engine.version()),
        library: None,
        build: None,
        providers: vec![ProviderState { name: "cpu", usable: true, problem: None }],
        searched: Vec::new(),
        exposed: None,
        problem: None,
        passed: None,
    });
    let mut states: Vec<EngineState> = built_in.collect();
    let (ort, state) = ort(&args.device, &bundles);
    if let Some(engine) = ort {
        engines.push(Box::new(engine));
    }
    let asked_in_vain = library::asked_by(args.device.ort_lib.as_deref()).filter(|_| state.problem.is_some());
    states.push(state);

    let mut tested: Vec<BundleState> = bundles.iter().map(|bundle| test(bundle, &engines)).collect();
    tested.extend(broken);
    for state in states.iter_mut().filter(|state| state.problem.is_none()) {
        let name = state.name;
        let passes = |bundle: &BundleState| {
            let mut own = bundle.tests.iter().filter(|test| test.engine == name).peekable();
            bundle.problem.is_none() && own.peek().is_some() && own.all(TestState::passed)
        };
        state.passed = Some(tested.iter().all(passes));
    }
    let diagnosis = Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        machine: Machine::this().with_power_mode(),
        passed: asked_in_vain.is_none() && states.iter().any(|state| state.passed == Some(true)),
        asked_in_vain,
        engines: states,
        bundles: tested,
    };
    let mut out = console::stdout();
    if args.json {
        serde_json::to_writer(&mut out, &diagnosis)?;
        writeln!(out)?;
    } else {
        diagnosis.write(&mut out)?;
    }
    Ok(if diagnosis.passed { Exit::Done } else { Exit::EngineFailed })
}

/// ONNX Runtime, if its library works, and what there is to say about it.
fn ort(device: &DeviceArgs, bundles: &[ModelBundle]) -> (Option<OrtEngine>, EngineState) {
    let mut state = EngineState {
        name: "ort",
        version: None,
        library: None,
        build: None,
        providers: Vec::new(),
        searched: Vec::new(),
        exposed: None,
        problem: None,
        passed: None,
    };
    let engine = match OrtEngine::load(device.ort_lib.as_deref()) {
        Ok(engine) => engine,
        Err(error) => {
            state.searched = library::places(device.ort_lib.as_deref(), None);
            state.problem = Some(one_line(error));
            return (None, state);
        }
    };
    state.searched = library::places(device.ort_lib.as_deref(), Some(engine.library()));
    state.exposed = engine.exposed().map(str::to_owned);
    state.version = Some(engine.version());
    state.library = Some(engine.library().to_owned());
    state.build = Some(engine.build_info().to_owned());
    let graph = bundles.iter().find_map(|bundle| GraphSource::from_bundle(bundle, GraphKind::Step).ok());
    if let Some(graph) = graph {
        let probed = engine.probe_providers(&graph, &device.provider_options());
        let describe = |(provider, problem): (trm_engine::ort::ExecutionProvider, Option<String>)| ProviderState {
            name: provider.as_str(),
            usable: problem.is_none(),
            problem,
        };
        state.providers = probed.into_iter().map(describe).collect();
    }
    (Some(engine), state)
}

/// The bundles to test: built in, in ./models, and named; and those that cannot even be opened.
fn bundles(named: &[PathBuf]) -> (Vec<ModelBundle>, Vec<BundleState>) {
    let broken = |name: String, place: String, error: SolverError| BundleState {
        name,
        place,
        problem: Some(one_line(error)),
        tests: Vec::new(),
    };
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for shipped in SHIPPED {
        match shipped.open() {
            Ok(bundle) => found.push(bundle),
            Err(error) => failed.push(broken(shipped.name.to_owned(), "built in".to_owned(), error.into())),
        }
    }
    let entries = fs::read_dir(MODELS_FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
    // A classifier is no model that solves puzzles: `trm-host` tests its own.
    let is_bundle = |path: &PathBuf| path.join(MANIFEST).is_file() && !path.join(CLASSIFIER_GRAPH).is_file();
    let mut folders: Vec<PathBuf> = entries.filter(is_bundle).collect();
    folders.sort();
    folders.extend(named.iter().cloned());
    for folder in folders {
        match ModelBundle::open(&folder).and_then(|bundle| bundle.verify().map(|()| bundle)) {
            Ok(bundle) => found.push(bundle),
            Err(error) => {
                let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                failed.push(broken(name, folder.display().to_string(), error.into()));
            }
        }
    }
    (found, failed)
}

/// Runs a bundle's self-test on every engine and every graph that it can run.
fn test(bundle: &ModelBundle, engines: &[Box<dyn Engine>]) -> BundleState {
    let mut tests = Vec::new();
    for engine in engines {
        for graph in GraphKind::ALL {
            let result = selftest::run_if_possible(engine.as_ref(), bundle, graph, &SessionOptions::default());
            let (report, problem) = match result {
                Ok(None) => continue,
                Ok(Some(report)) => (Some(report), None),
                Err(error) => (None, Some(one_line(error))),
            };
            tests.push(TestState { engine: engine.name(), graph, report, problem });
        }
    }
    let place = bundle.folder().map_or_else(|| "built in".to_owned(), |folder| folder.display().to_string());
    BundleState { name: Printable(&bundle.manifest().name).to_string(), place, problem: None, tests }
}

fn one_line(error: impl Into<anyhow::Error>) -> String {
    failure::message(&error.into()).replace("\nhint: ", "; ")
}

impl Diagnosis {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "trm {} on {}\nengines", self.version, self.machine)?;
        for engine in &self.engines {
            engine.write(out)?;
        }
        writeln!(out, "bundles")?;
        if self.bundles.is_empty() {
            writeln!(out, "  none: `trm export` makes one of a checkpoint")?;
        }
        for BundleState { name, place, problem, tests } in &self.bundles {
            writeln!(out, "  {name} ({place})")?;
            if let Some(problem) = problem {
                writeln!(out, "    UNUSABLE: {problem}")?;
            }
            for test in tests {
                write!(out, "    {:<6} {:<9}", test.engine, test.graph)?;
                match (&test.report, &test.problem) {
                    (Some(report), _) => writeln!(out, "{report}")?,
                    (None, problem) => writeln!(out, "FAILED: {}", problem.as_deref().unwrap_or("no result"))?,
                }
            }
        }
        match self.asked_in_vain {
            Some(named_by) => writeln!(out, "the library that {named_by} names cannot be used"),
            None if self.passed => {
                let fails = self.engines.iter().filter(|engine| engine.passed == Some(false)).map(|engine| engine.name);
                match fails.collect::<Vec<_>>()[..] {
                    [] => writeln!(out, "all is well"),
                    ref fails => {
                        let passes = self.engines.iter().filter(|engine| engine.passed == Some(true));
                        let passes = passes.map(|engine| engine.name).collect::<Vec<_>>();
                        writeln!(out, "all is well on {}; {} does not pass", passes.join(" and "), fails.join(" and "))
                    }
                }
            }
            None => writeln!(out, "no engine passes every self-test"),
        }
    }
}

impl EngineState {
    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { name, version, library, build, providers, searched, exposed, problem, .. } = self;
        if let Some(problem) = problem {
            writeln!(out, "  {name}: not available: {problem}")?;
        } else {
            write!(out, "  {name} {}", version.as_deref().unwrap_or("of unknown version"))?;
            if let Some(library) = library {
                write!(out, ", {}", library.display())?;
            }
            writeln!(out)?;
        }
        for line in [build, exposed].into_iter().flatten() {
            writeln!(out, "    {line}")?;
        }
        for ProviderState { name, usable, problem } in providers {
            let state = if *usable { "works" } else { "not usable: " };
            writeln!(out, "    {name}: {state}{}", problem.as_deref().unwrap_or_default())?;
        }
        if !searched.is_empty() {
            writeln!(out, "    its library was looked for in")?;
        }
        searched.iter().try_for_each(|place| place.write(out))
    }
}
