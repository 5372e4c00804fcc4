//! The tensors that a configuration calls for.

use trm_intake::Printable;
use trm_models::{Architecture, PosEncodings, TrmConfig};

use super::StateDict;
use super::ledger::first;
use crate::trm::mixer::{self, Ends, TokenMixer, token_mixer};
use crate::{ExportError, Result};

/// The part that a tensor plays in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightRole {
    /// A state to start from, which is not trained.
    InitialState,
    /// A table of embeddings: of tokens or positions.
    Embedding,
    /// The table of puzzle embeddings, which has an optimiser of its own.
    PuzzleEmbedding,
    /// The halting head's weight.
    HaltWeight,
    /// The halting head's bias.
    HaltBias,
    /// A linear layer's weight, `[out, in]`.
    Linear,
}

/// Name and shape of a tensor that a configured model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// The canonical name.
    pub name: String,
    /// The part that it plays.
    pub role: WeightRole,
    /// The shape.
    pub shape: Vec<usize>,
    /// The settings that each dimension follows from.
    because: Vec<String>,
}

impl TensorLayout {
    /// A linear layer's weight.
    pub(crate) fn linear(name: impl Into<String>, dims: [&LayoutDim; 2]) -> Self {
        Self::new(WeightRole::Linear, name, dims)
    }

    fn new<const N: usize>(role: WeightRole, name: impl Into<String>, dims: [&LayoutDim; N]) -> Self {
        Self {
            name: name.into(),
            role,
            shape: dims.iter().map(|dim| dim.size).collect(),
            because: dims.iter().map(|dim| dim.because.clone()).collect(),
        }
    }
}

/// A dimension and the settings it follows from.
pub(crate) struct LayoutDim {
    size: usize,
    because: String,
}

impl LayoutDim {
    pub(crate) fn new(size: usize, because: impl Into<String>) -> Self {
        Self { size, because: because.into() }
    }

    /// A dimension that is a setting.
    pub(crate) fn field(name: &str, size: usize) -> Self {
        Self::new(size, format!("{name} {size}"))
    }
}

/// The tensors of the configured model: canonical names and shapes, in the order of the reference's modules.
#[must_use]
pub fn layout(config: &TrmConfig) -> Vec<TensorLayout> {
    let hidden = LayoutDim::field("hidden_size", config.hidden_size);
    let Ends { embedded, answers, pooled } = token_mixer(config.mixer).ends(config);
    let two = LayoutDim::new(2, "halt and continue");

    let mut tensors = vec![
        TensorLayout::new(WeightRole::InitialState, "H_init", [&hidden]),
        TensorLayout::new(WeightRole::InitialState, "L_init", [&hidden]),
        TensorLayout::new(WeightRole::Embedding, "embed_tokens.embedding_weight", [&embedded, &hidden]),
        TensorLayout::linear("lm_head.weight", [&answers, &hidden]),
        TensorLayout::new(WeightRole::HaltWeight, "q_head.weight", [&two, &pooled]),
        TensorLayout::new(WeightRole::HaltBias, "q_head.bias", [&two]),
    ];
    if config.puzzle_emb_ndim > 0 {
        let rows = LayoutDim::field("num_puzzle_identifiers", config.num_puzzle_identifiers);
        let width = LayoutDim::field("puzzle_emb_ndim", config.puzzle_emb_ndim);
        tensors.push(TensorLayout::new(WeightRole::PuzzleEmbedding, "puzzle_emb.weights", [&rows, &width]));
    }
    if config.pos_encodings == PosEncodings::Learned {
        let (role, name) = (WeightRole::Embedding, "embed_pos.embedding_weight");
        tensors.push(TensorLayout::new(role, name, [&positions(config), &hidden]));
    }
    if config.architecture == Architecture::Hrm {
        push_network(&mut tensors, config, "H_level", config.h_layers);
    }
    push_network(&mut tensors, config, "L_level", config.l_layers);
    tensors
}

/// L, with the settings that it follows from.
pub(crate) fn positions(config: &TrmConfig) -> LayoutDim {
    LayoutDim::new(config.total_len(), format!("prefix {} + seq_len {}", config.prefix_len(), config.seq_len))
}

fn push_network(tensors: &mut Vec<TensorLayout>, config: &TrmConfig, network: &str, layers: usize) {
    let hidden = LayoutDim::field("hidden_size", config.hidden_size);
    for layer in 0..layers {
        let block = format!("{network}.layers.{layer}");
        tensors.extend(token_mixer(config.mixer).layout(config, &block));
        tensors.extend(swiglu_layout(config, &format!("{block}.mlp"), &hidden));
    }
}

/// The weights of a `SwiGLU` over an axis.
pub(crate) fn swiglu_layout(config: &TrmConfig, module: &str, width: &LayoutDim) -> [TensorLayout; 2] {
    let size = config.swiglu_inner(width.size);
    let because = format!("the inner width {size} of expansion {} over {}", config.expansion, width.because);
    let gate_up = LayoutDim::new(2 * size, format!("2 · {because}"));
    let inner = LayoutDim::new(size, because);
    [
        TensorLayout::linear(format!("{module}.gate_up_proj.weight"), [&gate_up, width]),
        TensorLayout::linear(format!("{module}.down_proj.weight"), [width, &inner]),
    ]
}

/// Checks the tensors of a state dict; see [`StateDict::check`].
pub(super) fn check(state: &StateDict, config: &TrmConfig) -> Result<()> {
    let expected = layout(config);
    let missing: Vec<&str> =
        expected.iter().map(|tensor| tensor.name.as_str()).filter(|name| state.get(name).is_none()).collect();
    // `layout` has some 20 tensors, so a linear search will do.
    let unused: Vec<&str> =
        state.iter().map(|(name, _)| name).filter(|name| expected.iter().all(|tensor| tensor.name != *name)).collect();
    if !missing.is_empty() || !unused.is_empty() {
        return Err(ExportError::LayoutMismatch {
            origin: state.origin().to_owned(),
            reason: describe(&missing, &unused),
            hint: suspect(state, config, &missing, &unused),
        });
    }
    for tensor in expected {
        let Some(found) = state.get(&tensor.name) else { continue };
        if found.shape != tensor.shape || found.data.len() != tensor.shape.iter().product::<usize>() {
            return Err(ExportError::ShapeMismatch {
                origin: state.origin().to_owned(),
                tensor: tensor.name,
                found: found.shape.clone().into(),
                expected: tensor.shape.into(),
                because: tensor.because.join(", "),
            });
        }
    }
    Ok(())
}

fn describe(missing: &[&str], unused: &[&str]) -> String {
    let list = |names: &[&str]| first(names, 4);
    match (missing.is_empty(), unused.is_empty()) {
        (false, true) => format!("it needs {}, which are not there", list(missing)),
        (true, _) => format!("it has no place for {}", list(unused)),
        (false, false) => {
            format!("it needs {}, which are not there, and has no place for {}", list(missing), list(unused))
        }
    }
}

/// Hints about the settings from the names that were found.
fn suspect(state: &StateDict, config: &TrmConfig, missing: &[&str], unused: &[&str]) -> String {
    let any = |names: &[&str], part: &str| names.iter().any(|name| name.contains(part));
    if missing.len() == layout(config).len() {
        return "none of its names is the public code's: these are the weights of another model".into();
    }
    if let Some(name) = unused.iter().find(|name| name.contains("conv")) {
        return format!("`{}` is a convolution, which no public TRM or HRM computes", Printable(name));
    }
    let layers = |network: &str| {
        let layer = |name: &str| name.strip_prefix(network)?.strip_prefix(".layers.")?.split('.').next()?.parse().ok();
        state.iter().filter_map(|(name, _)| layer(name)).max().map_or(0, |last: u16| usize::from(last) + 1)
    };
    let (of_h, of_l) = (layers("H_level"), layers("L_level"));
    if of_h > 0 && config.architecture == Architecture::Trm {
        "the file has H_level, which belongs to HRM: look at arch.name and H_layers".into()
    } else if of_h == 0 && config.architecture == Architecture::Hrm {
        "the file has no H_level, which belongs to HRM: look at arch.name".into()
    } else if let Some(other) = mixer::all().find(|other| {
        let of = |names: &[&str], mixer: &dyn TokenMixer| any(names, &format!(".{}.", mixer.module()));
        of(unused, *other) && mixer::all().any(|mixer| mixer.module() != other.module() && of(missing, mixer))
    }) {
        other.suspicion().into()
    } else if of_l != config.l_layers {
        format!("the file has {of_l} layers in L_level: look at L_layers, which is {}", config.l_layers)
    } else if config.architecture == Architecture::Hrm && of_h != config.h_layers {
        format!("the file has {of_h} layers in H_level: look at H_layers, which is {}", config.h_layers)
    } else if any(missing, "embed_pos") {
        "the file has no embed_pos, which belongs to pos_encodings: learned".into()
    } else if any(unused, "embed_pos") {
        "the file has embed_pos, which belongs to pos_encodings: learned".into()
    } else if any(missing, "puzzle_emb") {
        "the file has no puzzle_emb: puzzle_emb_ndim should be 0".into()
    } else if any(unused, "puzzle_emb") {
        "the file has puzzle_emb: puzzle_emb_ndim should be its width".into()
    } else if missing.is_empty() {
        "a tensor that the public code does not have changes what the model computes, or belongs to something else"
            .into()
    } else {
        "are these the all_config.yaml and the weights of one training run?".into()
    }
}
