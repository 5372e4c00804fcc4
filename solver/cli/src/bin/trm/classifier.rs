//! Classifiers, as `trm inspect` shows them: what reads the cells of photographs.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use trm_intake::Printable;
use trm_models::{CLASSIFIER_GRAPH, ClassifierBundle, ClassifierManifest};

/// True for a folder that holds a classifier.
pub(crate) fn is_classifier(path: &Path) -> bool {
    path.join(CLASSIFIER_GRAPH).is_file()
}

/// Content of a classifier.
#[derive(Debug, Serialize)]
pub(crate) struct Classifier {
    kind: &'static str,
    #[serde(flatten)]
    manifest: ClassifierManifest,
}

impl Classifier {
    /// Opens a classifier, whose graph is checked against its hash.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let manifest = ClassifierBundle::open(path)?.manifest().clone();
        Ok(Self { kind: "classifier", manifest })
    }

    /// Shows it to people.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let ClassifierManifest { name, size, classes, graph, training_data, accuracy, licence, producer, .. } =
            &self.manifest;
        writeln!(
            out,
            "{}: a classifier of pictures of {size}x{size} pixels, for photographs of puzzles",
            Printable(name)
        )?;
        writeln!(out, "  classes    {}", Printable(&classes.join(", ")))?;
        writeln!(out, "  graph      {CLASSIFIER_GRAPH}, {} bytes, as its hash says", graph.bytes)?;
        writeln!(out, "  trained on {}", Printable(training_data))?;
        writeln!(out, "  licence    {}, written by {}", Printable(licence), Printable(producer))?;
        for measured in accuracy {
            writeln!(out, "  {:>6.2} %  {} (of {})", 100.0 * measured.value, Printable(&measured.what), measured.n)?;
        }
        Ok(())
    }
}
