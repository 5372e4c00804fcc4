//! `trm-host digits`: trains the digit reader, and measures it by cross-validation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use trm_cli::{errln, outln};
use trm_engine::classify::Classifier;
use trm_engine::ort::OrtEngine;
use trm_firmware_host::vision::BoardReader;
use trm_firmware_host::vision::evaluation::{PhotoRates, judge_photo};
use trm_firmware_host::vision::photo_set::{self, LabelledPhoto};
use trm_firmware_host::vision::training::{
    Example, READER, TrainingOptions, TrainingSet, labelled_cells, read_fonts, train,
};
use trm_intake::shown;
use trm_models::{ClassifierBundle, ClassifierManifest, FileHash, Measured};
use trm_solver::Rate;

/// Train the digit reader on cells of labelled photographs and on digits of fonts.
///
/// With --folds it is measured first: for each fold, a reader is trained without the fold's photographs and reads them.
/// Photographs of the same puzzle are in the same fold. Needs ONNX Runtime.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of photographs, each NAME.jpg with its NAME.dat
    #[arg(long, value_name = "DIR")]
    photos: PathBuf,
    /// CSV file of digits: font, digit, PNG of 28x28 in base64
    #[arg(long, value_name = "FILE")]
    fonts: Option<PathBuf>,
    /// Folder that the reader is written to; left out, it is only measured
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Folds of the cross-validation; 0 for none
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=50))]
    folds: u8,
    /// Training steps of 64 pictures
    #[arg(long, value_name = "N", default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    steps: u32,
    /// Highest learning rate
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    lr: f64,
    /// Seed of weights and pictures
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where photographs and fonts come from and under which licences, for the reader's card
    #[arg(long, value_name = "TEXT")]
    sources: Option<String>,
    /// Licence that is written into the reader's manifest
    #[arg(long, value_name = "SPDX", default_value = "MIT OR Apache-2.0")]
    licence: String,
    /// ONNX Runtime's shared library, or the folder that holds it
    #[arg(long, value_name = "PATH")]
    ort_lib: Option<PathBuf>,
    /// Print the rates as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if args.folds == 0 && args.out.is_none() {
        bail!("nothing to do\nhint: --out DIR writes a reader, --folds 5 measures one");
    }
    let photos = photo_set::read(&args.photos)?;
    let fonts = args.fonts.as_deref().map(read_fonts).transpose()?.unwrap_or_default();
    let engine = OrtEngine::load(args.ort_lib.as_deref())?;
    let mut cells = Vec::new();
    for photo in &photos {
        cells.push(labelled_cells(photo)?);
    }
    let usable = cells.iter().flatten().count();
    errln!("{} photographs, {usable} of them to train on; {} digits of fonts", photos.len(), fonts.len());
    let mut rates = None;
    if args.folds > 1 {
        let measured = cross_validate(args, &engine, &photos, &cells, &fonts)?;
        if args.json {
            outln!("{}", serde_json::to_string(&measured)?)?;
        } else {
            outln!("{measured}")?;
        }
        rates = Some(measured);
    }
    if let Some(out) = &args.out {
        let all = TrainingSet { cells: cells.into_iter().flatten().flatten().collect(), fonts };
        let graph = train_with_progress(args, &engine, &all, "reader")?;
        write(args, out, &graph, &photos, usable, all.fonts.len(), rates)?;
        errln!("wrote {}", shown::path(out));
    }
    Ok(())
}

fn options(args: &Args) -> TrainingOptions {
    TrainingOptions { steps: args.steps as usize, lr: args.lr, seed: args.seed }
}

fn train_with_progress(args: &Args, engine: &OrtEngine, set: &TrainingSet, what: &str) -> anyhow::Result<Vec<u8>> {
    let graph = train(engine, set, &options(args), |step, loss, right| {
        if step % 500 == 0 {
            errln!("{what}: step {step} of {}, loss {loss:.4}, {:.2} % right", args.steps, 100.0 * right);
        }
    })?;
    Ok(graph)
}

fn cross_validate(
    args: &Args,
    engine: &OrtEngine,
    photos: &[LabelledPhoto],
    cells: &[Option<Vec<Example>>],
    fonts: &[Example],
) -> anyhow::Result<PhotoRates> {
    let folds = usize::from(args.folds);
    // The number of each distinct puzzle.
    let mut puzzles: BTreeMap<&[u8], usize> = BTreeMap::new();
    for photo in photos {
        let number = puzzles.len();
        puzzles.entry(&photo.digits).or_insert(number);
    }
    let fold_of = |photo: &LabelledPhoto| puzzles[photo.digits.as_slice()] % folds;
    let mut rates = PhotoRates::default();
    for fold in 0..folds {
        let known = photos.iter().zip(cells).filter(|(photo, _)| fold_of(photo) != fold);
        let cells = known.filter_map(|(_, cells)| cells.clone()).flatten().collect();
        let set = TrainingSet { cells, fonts: fonts.to_vec() };
        let graph = train_with_progress(args, engine, &set, &format!("fold {}", fold + 1))?;
        let mut reader = BoardReader::new(Classifier::built_in(&graph, READER.size, READER.classes)?);
        for photo in photos.iter().filter(|photo| fold_of(photo) == fold) {
            let result = judge_photo(&mut reader, photo)?;
            if !result.exact() || !result.trusted {
                let (wrong, trust) = (result.cells - result.cells_right, if result.trusted { "" } else { "not " });
                errln!("{}: {wrong} cells wrong, {trust}trusted", shown::text(&result.file));
            }
            rates.add(&result);
        }
        errln!("fold {}: {} of {} boards right so far", fold + 1, rates.exact, rates.photos);
    }
    Ok(rates)
}

/// Writes the reader with what was measured.
fn write(
    args: &Args,
    out: &Path,
    graph: &[u8],
    photos: &[LabelledPhoto],
    usable: usize,
    fonts: usize,
    rates: Option<PhotoRates>,
) -> anyhow::Result<()> {
    let name = out.file_name().and_then(|name| name.to_str()).unwrap_or("digits").to_owned();
    let command = format!("trm-host digits --photos DIR --fonts FILE --folds {} --steps {}", args.folds, args.steps);
    let measured = |what: &str, right: usize, n: usize| {
        let rate = Rate { hits: right, total: n };
        let (low, high) = rate.interval();
        Measured {
            what: what.to_owned(),
            value: right as f64 / n.max(1) as f64,
            interval: Some((low, high)),
            n,
            command: command.clone(),
        }
    };
    let accuracy: Vec<Measured> = rates
        .map(|rates| {
            let folds = args.folds;
            vec![
                measured(&format!("boards found, {folds}-fold cross-validation"), rates.found, rates.photos),
                measured(&format!("cells, {folds}-fold cross-validation"), rates.cells_right, rates.cells),
                measured(&format!("whole boards, {folds}-fold cross-validation"), rates.exact, rates.photos),
                measured(&format!("trusted, {folds}-fold cross-validation"), rates.trusted, rates.photos),
                measured(
                    &format!("trusted and wrong, {folds}-fold cross-validation"),
                    rates.wrong_trusted,
                    rates.photos,
                ),
            ]
        })
        .unwrap_or_default();
    let sources = args.sources.as_ref().map(|sources| format!(" ({sources})")).unwrap_or_default();
    let training_data = format!(
        "cells of {usable} of {} labelled photographs, {fonts} digits of fonts, distorted anew for each of {} steps of \
         64{sources}",
        photos.len(),
        args.steps
    );
    let rows = accuracy.iter().map(|row| {
        let (low, high) = row.interval.unwrap_or_default();
        let [value, low, high] = [row.value, low, high].map(|share| 100.0 * share);
        format!("| {} | {value:.2} % ({low:.1}-{high:.1}) | {} |", row.what, row.n)
    });
    let card = format!(
        "# {name}\n\nReads the cells of sudokus: pictures of 28x28 into empty and the digits 1 to 9. Two convolutions and two \
         dense\nlayers, {} KiB.\n\nTrained on {training_data}, seed {}, by `trm-host digits`.\n\n| measured | | n |\n\
         | --- | --- | --- |\n{}\n\nIn brackets the 95 % interval. `{command}`\nprints them; photographs of the same puzzle \
         are in the same fold. Licence: {}.\n",
        graph.len() / 1024,
        args.seed,
        rows.collect::<Vec<_>>().join("\n"),
        args.licence
    );
    let mut classes = vec!["empty".to_owned()];
    classes.extend((1..READER.classes).map(|digit| digit.to_string()));
    let manifest = ClassifierManifest {
        format_version: trm_models::FORMAT_VERSION,
        name,
        size: READER.size,
        classes,
        graph: FileHash { sha256: String::new(), bytes: 0 },
        training_data,
        accuracy,
        licence: args.licence.clone(),
        producer: format!("trm-host {}", env!("CARGO_PKG_VERSION")),
    };
    ClassifierBundle::write(out, manifest, graph, &card).context("cannot write the reader")
}
