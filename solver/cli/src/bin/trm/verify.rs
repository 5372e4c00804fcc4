//! `trm verify`: who signed a bundle, and whether all of it is as it was signed.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use trm_cli::{Exit, console, errln, failure};
use trm_export::onnx::external_tensors;
use trm_intake::Printable;
use trm_models::{GraphKind, ModelBundle, ModelError, Signed, TrustedKey};
use trm_solver::SolverError;

/// Verify a bundle: its signature, its manifest, and every file against the manifest.
///
/// Exit codes: 0 verified, 1 not verified and why, 2 when there is no bundle or no key.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    bundle: PathBuf,
    /// A public key whose signatures count: the key itself (RW…), or its .pub file; may be repeated
    #[arg(long, value_name = "KEY", required = true)]
    trust: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let trusted = args.trust.iter().map(|key| TrustedKey::given(key)).collect::<Result<Vec<_>, _>>()?;
    let found = ModelBundle::open(&args.bundle).map_err(SolverError::from).and_then(|bundle| {
        let signed = bundle.verify_signature(&trusted)?;
        bundle.verify()?;
        check_graphs(&bundle)?;
        Ok((bundle, signed))
    });
    match found {
        Ok((bundle, signed)) => report(&bundle, &signed),
        Err(SolverError::Model(error @ (ModelError::NotABundle { .. } | ModelError::FormatVersion { .. }))) => {
            Err(error.into())
        }
        Err(error) => {
            errln!("not verified: {}", failure::message(&error.into()));
            Ok(Exit::AnswerFailed)
        }
    }
}

/// Graphs must not name files that nobody has signed.
fn check_graphs(bundle: &ModelBundle) -> Result<(), SolverError> {
    for kind in GraphKind::ALL.into_iter().filter(|&kind| bundle.has_graph(kind)) {
        let origin = Path::new(&bundle.label()).join(kind.file_name());
        for tensor in external_tensors(&bundle.graph_bytes(kind)?, &origin)? {
            if bundle.manifest().hash(&tensor.file).is_none() {
                let what = format!("file {} that the {kind} graph names", Printable(&tensor.file));
                let present = bundle.manifest().file_names().collect::<Vec<_>>().join(", ");
                return Err(ModelError::NotInBundle { bundle: bundle.label(), what, present }.into());
            }
        }
    }
    Ok(())
}

fn report(bundle: &ModelBundle, signed: &Signed) -> Result<Exit> {
    let manifest = bundle.manifest();
    let hashes = manifest.file_names().filter_map(|name| manifest.hash(name));
    let (files, bytes) = hashes.fold((0, 0), |(files, bytes), hash| (files + 1, bytes + hash.bytes));
    let mut out = console::stdout();
    writeln!(out, "{}: verified", Printable(&manifest.name))?;
    writeln!(out, "  signed with {}", signed.key)?;
    writeln!(out, "  {}", Printable(&signed.trusted_comment))?;
    writeln!(out, "  {files} files, {bytes} bytes, every hash right")?;
    Ok(Exit::Done)
}
