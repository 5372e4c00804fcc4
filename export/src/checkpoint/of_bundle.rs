//! The weights of a bundle.

use safetensors::{Dtype, SafeTensors};
use trm_models::{ModelBundle, WEIGHTS};

use super::{DEFAULT_PREFIX, StateDict, WeightDtype, WeightTensor};
use crate::{ExportError, Result};

impl StateDict {
    /// The weights of a bundle, from the bytes that were checked against its manifest: no file is opened a second time.
    ///
    /// # Errors
    /// If the bundle holds no weights, or damaged ones.
    pub fn of_bundle(bundle: &ModelBundle) -> Result<Self> {
        let bytes = bundle.file(WEIGHTS)?;
        let path = bundle.folder().map_or_else(|| WEIGHTS.into(), |folder| folder.join(WEIGHTS));
        let origin = path.display().to_string();
        let file = SafeTensors::deserialize(&bytes).map_err(|error| ExportError::BadCheckpoint {
            path,
            reason: format!("damaged safetensors file: {error}"),
            hint: Some("export the checkpoint again".into()),
        })?;
        let mut weights = Self::new().with_origin(origin.clone());
        for (name, view) in file.tensors() {
            let dtype = match view.dtype() {
                Dtype::F32 => WeightDtype::F32,
                Dtype::BF16 => WeightDtype::Bf16,
                Dtype::F16 => WeightDtype::F16,
                Dtype::F64 => WeightDtype::F64,
                other => {
                    let fault = format!("has dtype {other}, expected float32, bfloat16, float16 or float64").into();
                    return Err(ExportError::BadTensor { origin, tensor: name, fault });
                }
            };
            let data = dtype.decode(view.data()).map_err(|fault| ExportError::BadTensor {
                origin: origin.clone(),
                tensor: name.clone(),
                fault,
            })?;
            let tensor = WeightTensor { dtype, shape: view.shape().to_vec(), data };
            let canonical = name.strip_prefix(DEFAULT_PREFIX).unwrap_or(&name);
            if weights.insert(canonical, tensor).is_some() {
                let fault = "is there twice, with and without prefix".into();
                return Err(ExportError::BadTensor { origin, tensor: name, fault });
            }
        }
        Ok(weights)
    }
}
