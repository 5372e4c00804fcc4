//! A model of costs as it is kept: a folder with a manifest, weights and a card. Graphs are made for a map's size when one is
//! needed.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use trm_export::cost_network::CostNetwork;
use trm_intake::file::{FileError, read_within, write_atomically};
use trm_intake::{Budget, Limits, Printable};
use trm_models::{CARD, FORMAT_VERSION, FileHash, MANIFEST, Measured, ModelError};
use trm_plan::learned::FeatureSpec;

use crate::{Result, SolverError};

/// File name of the weights.
pub const COST_WEIGHTS: &str = "weights.safetensors";

/// Limits of a model's files together.
const LIMITS: Limits = Limits { bytes: 64 << 20, items: 65_536, depth: 32, time: None };
/// The longest text in a manifest, in bytes.
const LONGEST_TEXT: u64 = 64 << 10;

/// Tensors by name, row-major.
pub type CostWeights = BTreeMap<String, Vec<f32>>;

/// The `manifest.json` of a model of costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostManifest {
    /// Version of the format.
    pub format_version: u32,
    /// `costs`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Sizes of the network.
    pub network: CostNetwork,
    /// The layers that it reads, and how.
    pub features: FeatureSpec,
    /// Metres that a metre at the level 1 costs beyond itself.
    pub factor: f64,
    /// SHA-256 and size of [`COST_WEIGHTS`].
    pub weights: FileHash,
    /// A description of the training data, for people.
    pub training_data: String,
    /// Measured figures, each with the command that measures it.
    #[serde(default)]
    pub accuracy: Vec<Measured>,
    /// Licence of the weights.
    pub licence: String,
    /// Program and version that wrote it.
    pub producer: String,
}

impl CostManifest {
    /// The kind of every manifest.
    pub const KIND: &'static str = "costs";
}

/// A model of costs with its weights, checked against their hash.
#[derive(Debug, Clone, PartialEq)]
pub struct CostModel {
    /// The manifest.
    pub manifest: CostManifest,
    /// The weights.
    pub weights: CostWeights,
}

impl CostModel {
    /// True for a folder that holds a model of costs.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        let mut budget = Budget::new(Limits { bytes: 1 << 20, ..LIMITS });
        let text = read_within(&folder.join(MANIFEST), &mut budget, "manifest").unwrap_or_default();
        let kind = |text: &[u8]| {
            Some(serde_json::from_slice::<serde_json::Value>(text).ok()?.get("kind")?.as_str()? == CostManifest::KIND)
        };
        budget.take_json(&text, LONGEST_TEXT).is_ok() && kind(&text).unwrap_or(false)
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// When files are missing, or damaged, or of a later format, or too large.
    pub fn open(folder: &Path) -> Result<Self> {
        let shown = folder.display().to_string();
        let bad =
            |reason: String| ModelError::BadManifest { bundle: shown.clone(), reason: Printable(&reason).to_string() };
        let mut budget = Budget::new(LIMITS);
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            return Err(ModelError::NotABundle { path: folder.to_owned() }.into());
        }
        let text = read_within(&path, &mut budget, "manifest").map_err(ModelError::from)?;
        budget.take_json(&text, LONGEST_TEXT).map_err(|exceeded| bad(exceeded.to_string()))?;
        let manifest: CostManifest = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
        if manifest.format_version > FORMAT_VERSION {
            return Err(ModelError::FormatVersion {
                bundle: shown,
                found: manifest.format_version.into(),
                supported: FORMAT_VERSION,
            }
            .into());
        }
        if manifest.kind != CostManifest::KIND {
            return Err(bad(format!("it is a model of kind `{}`, expected costs", manifest.kind)).into());
        }
        manifest.features.check().map_err(SolverError::Plan)?;
        let fits = manifest.features.channels() == manifest.network.channels;
        if !(fits && manifest.factor.is_finite() && manifest.factor >= 0.0) {
            return Err(bad("its features, network and factor contradict each other".to_owned()).into());
        }
        manifest.network.check()?;
        let path = folder.join(COST_WEIGHTS);
        let bytes = read_within(&path, &mut budget, "weights").map_err(ModelError::from)?;
        let found = FileHash::of(&bytes);
        if found != manifest.weights {
            return Err(ModelError::DamagedFile {
                bundle: shown,
                file: COST_WEIGHTS.to_owned(),
                property: "SHA-256",
                expected: Printable(&manifest.weights.sha256).to_string(),
                found: found.sha256,
            }
            .into());
        }
        let weights = read_weights(&bytes, &path, &manifest.network)?;
        Ok(Self { manifest, weights })
    }

    /// Writes the model into a folder, which is made; `manifest.weights` is filled in. Each file is whole or not there, and a
    /// folder that was interrupted between two of them does not open.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&mut self, folder: &Path, card: &str) -> Result<()> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::File(FileError::Io { action: "create", path: folder.to_owned(), source }))?;
        let bytes = weight_bytes(&self.manifest.network, &self.weights)?;
        self.manifest.weights = FileHash::of(&bytes);
        let text = serde_json::to_string_pretty(&self.manifest).map_err(|error| ModelError::BadManifest {
            bundle: self.manifest.name.clone(),
            reason: error.to_string(),
        })?;
        for (name, bytes) in [(CARD, card.as_bytes()), (COST_WEIGHTS, &bytes), (MANIFEST, text.as_bytes())] {
            write_atomically(&folder.join(name), |file| std::io::Write::write_all(file, bytes))
                .map_err(ModelError::from)?;
        }
        Ok(())
    }
}

/// The weights as a safetensors file.
fn weight_bytes(network: &CostNetwork, weights: &CostWeights) -> Result<Vec<u8>> {
    let tensors = network.tensors();
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape)| {
            let data = weights.get(&name).map(Vec::as_slice).unwrap_or_default();
            let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let failed = |error: safetensors::SafeTensorError| ModelError::BadManifest {
        bundle: "the network of costs".to_owned(),
        reason: error.to_string(),
    };
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        Ok((name.clone(), view.map_err(failed)?))
    });
    let views = views.collect::<Result<Vec<_>, ModelError>>()?;
    Ok(safetensors::serialize(views, None).map_err(failed)?)
}

/// The tensors of a network from a safetensors file, all of them and no others.
fn read_weights(bytes: &[u8], path: &Path, network: &CostNetwork) -> Result<CostWeights> {
    let bad = |reason: String| ModelError::BadManifest { bundle: path.display().to_string(), reason };
    let file = safetensors::SafeTensors::deserialize(bytes).map_err(|error| bad(error.to_string()))?;
    let wanted = network.tensors();
    if let Some(name) = file.names().into_iter().find(|name| wanted.iter().all(|(wanted, _)| wanted != name)) {
        return Err(bad(format!("the tensor {} is not one of the network's", Printable(name))).into());
    }
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let view = file.tensor(&name).map_err(|error| bad(error.to_string()))?;
        if view.dtype() != safetensors::Dtype::F32 || view.shape() != shape {
            return Err(bad(format!("{name} is {:?} {:?}, expected F32 {shape:?}", view.dtype(), view.shape())));
        }
        let data: Vec<f32> = view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        match data.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(bad(format!("{name} holds {value}"))),
            None => Ok((name, data)),
        }
    };
    Ok(wanted.into_iter().map(tensor).collect::<Result<_, ModelError>>()?)
}
