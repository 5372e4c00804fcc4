//! The choice of the set of weights that is read, and the canonical names of its tensors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use trm_intake::{Budget, Limits, Printable};

use super::contents::{Contents, Item, Set, TOP};
use super::keys::{self, Fate};
use super::ledger::list;
use super::read::{MOST_WEIGHTS_BYTES, NOT_OURS};
use super::{Ledger, ReadOptions, bad, exceeded, names};
use crate::{ExportError, Result};

/// Bounds the copies of tensors that lie under no set's prefix: each set gets all of them, so that thousands of both would
/// fill the memory.
const MOST_SHARED: Limits = Limits { bytes: 0, items: 1 << 20, depth: 0, time: None };

/// The part of a file that is to be loaded.
#[derive(Debug)]
pub(super) struct Selection {
    /// Canonical names and the numbers of their tensors.
    pub(super) tensors: Vec<(String, usize)>,
    pub(super) ledger: Ledger,
}

/// A set of weights whose names lie under one prefix, or have no canonical endings.
#[derive(Debug, Clone)]
struct Candidate {
    name: String,
    average: bool,
    unnamed: usize,
    items: Vec<usize>,
    strange: Option<(String, &'static str)>,
    prefixes: Vec<String>,
}

/// Chooses the set that the options name, or the only one there is.
pub(super) fn select(contents: &Contents, options: &ReadOptions, path: &Path) -> Result<Selection> {
    let mut candidates = Vec::new();
    let mut shared = Budget::new(MOST_SHARED);
    for set in &contents.sets {
        candidates.extend(split(set, contents, path, &mut shared)?);
    }
    let chosen = choose(&candidates, contents, options, path)?;
    let mut ledger = Ledger { weights: shown(&chosen.name), prefix: chosen.prefixes.clone(), ..Ledger::default() };
    ledger.other_weights =
        candidates.iter().filter(|other| other.name != chosen.name).map(|other| shown(&other.name)).collect();
    ledger.settings = contents.settings.as_ref().map(|(key, _)| key.clone());
    for (key, fate) in &contents.keys {
        match fate {
            _ if ledger.settings.as_ref() == Some(key) => {}
            Fate::Optimizer | Fate::Harmless => ledger.harmless.push(key.clone()),
            Fate::Unknown => ledger.unknown.push(key.clone()),
        }
    }
    if !ledger.unknown.is_empty() && options.weights.is_none() {
        return Err(ExportError::UnknownKeys {
            path: path.to_owned(),
            keys: list(&ledger.unknown),
            weights: ledger.weights,
        });
    }
    if let Some((name, what)) = &chosen.strange {
        let reason = format!("`{name}` is {what}, expected a tensor");
        return Err(bad(path, reason, Some("save the weights alone: torch.save(model.state_dict(), path)")));
    }
    let mut tensors = named(chosen, contents, path, &mut ledger)?;
    fill(&mut tensors, chosen, &candidates, contents, path, &mut ledger)?;
    if !options.any_names {
        refuse_foreign(&tensors, contents, path)?;
    }
    refuse_too_large(&tensors, contents, path)?;
    Ok(Selection { tensors, ledger })
}

/// Refuses tensors of which none has a name of a TRM's or HRM's weights, before one of them is loaded.
fn refuse_foreign(tensors: &[(String, usize)], contents: &Contents, path: &Path) -> Result<()> {
    let name = |(_, id): &(String, usize)| contents.items[*id].name.as_str();
    if tensors.is_empty() || tensors.iter().any(|tensor| names::parse(name(tensor)).canonical.is_some()) {
        return Ok(());
    }
    let found: Vec<&str> = tensors.iter().map(name).collect();
    let reason = format!("none of its tensors has a name of a TRM's or HRM's weights: it has {}", list(&found));
    Err(bad(path, reason, Some("expected names such as `model.inner.lm_head.weight`")))
}

/// Refuses more weights than any model has, by their shapes alone: in a sparse file they cost nothing.
fn refuse_too_large(tensors: &[(String, usize)], contents: &Contents, path: &Path) -> Result<()> {
    let bytes = |(_, id): &(String, usize)| {
        let Item { dtype, shape, .. } = &contents.items[*id];
        let size = dtype.as_ref().map_or(4, |dtype| dtype.size().max(4) as u64);
        shape.iter().fold(size, |bytes, size| bytes.saturating_mul(*size as u64))
    };
    let bytes = tensors.iter().map(bytes).fold(0, u64::saturating_add);
    if bytes > MOST_WEIGHTS_BYTES {
        let reason = format!("its weights take {bytes} bytes, more than the {MOST_WEIGHTS_BYTES} that they may");
        return Err(bad(path, reason, Some(NOT_OURS)));
    }
    Ok(())
}

fn shown(name: &str) -> String {
    Printable(name).to_string()
}

/// The parts of a set that lie under prefixes of their own, if they are weights of the same names or no one model's.
fn split(set: &Set, contents: &Contents, path: &Path, shared: &mut Budget) -> Result<Vec<Candidate>> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut canonical = BTreeSet::new();
    let (mut others, mut collide) = (Vec::new(), false);
    for id in &set.items {
        let parsed = names::parse(&contents.items[*id].name);
        match parsed.canonical {
            Some(name) => {
                collide |= !canonical.insert(name);
                groups.entry(parsed.prefix).or_default().push(*id);
            }
            None => others.push(*id),
        }
    }
    let average = |name: &str| match name {
        "state_dict" if contents.averages => true,
        "current_model_state" if contents.averages => false,
        name => keys::is_average(name),
    };
    let prefixes: Vec<String> = groups.keys().cloned().collect();
    if prefixes.len() < 2 || (!collide && prefixes.iter().all(|prefix| names::only_holders(prefix))) {
        return Ok(vec![Candidate {
            name: set.name.clone(),
            average: average(&set.name) || prefixes.iter().any(|prefix| keys::is_average(prefix)),
            unnamed: set.unnamed,
            items: set.items.clone(),
            strange: set.strange.clone(),
            prefixes,
        }]);
    }
    let copies = (prefixes.len() as u64).saturating_mul(others.len() as u64);
    let hint = "save one set of weights alone: torch.save(model.state_dict(), path)";
    shared.take_items(copies).map_err(|over| exceeded(path, "telling its sets of weights apart", over, hint))?;
    for id in others {
        let name = &contents.items[id].name;
        // A tensor of another name belongs to the longest prefix that it has, else to all.
        let owner = prefixes.iter().filter(|prefix| !prefix.is_empty() && names::is_under(name, prefix));
        match owner.max_by_key(|prefix| prefix.len()) {
            Some(prefix) => groups.entry(prefix.clone()).or_default().push(id),
            None => groups.values_mut().for_each(|items| items.push(id)),
        }
    }
    let part = |(prefix, items): (String, Vec<usize>)| {
        let name = match (set.name.as_str(), prefix.as_str()) {
            (name, "") => name.to_owned(),
            (TOP, prefix) => prefix.to_owned(),
            (name, prefix) => format!("{name}.{prefix}"),
        };
        let (unnamed, strange) = (set.unnamed, set.strange.clone());
        Candidate { average: average(&name), name, unnamed, items, strange, prefixes: vec![prefix] }
    };
    Ok(groups.into_iter().map(part).collect())
}

fn choose<'c>(
    candidates: &'c [Candidate],
    contents: &Contents,
    options: &ReadOptions,
    path: &Path,
) -> Result<&'c Candidate> {
    let names: Vec<&str> = candidates.iter().map(|set| set.name.as_str()).collect();
    let chosen = match (&options.weights, candidates) {
        (None, [only]) => only,
        (None, [first, rest @ ..]) if rest.iter().all(|other| same(first, other, &contents.items)) => first,
        (None, _) => return Err(several(candidates, contents, path)),
        (Some(wanted), _) => {
            // The whole name, else one of its keys that no other set has.
            let exact = candidates.iter().find(|set| set.name == *wanted);
            let mut by_key = candidates.iter().filter(|set| set.name.split('.').any(|key| key == wanted));
            let by_key = by_key.next().filter(|_| by_key.next().is_none());
            exact.or(by_key).ok_or_else(|| ExportError::NoSuchWeights {
                path: path.to_owned(),
                name: shown(wanted),
                sets: list(&names),
            })?
        }
    };
    if chosen.unnamed > 0 {
        let reason = format!(
            "the {} tensors of `{}` have no names, which the public code's state dicts have",
            chosen.unnamed,
            Printable(&chosen.name)
        );
        return Err(bad(path, reason, Some("copy the average into the model and save model.state_dict()")));
    }
    Ok(chosen)
}

/// The error for several sets, which recommends a moving average where there is one.
fn several(candidates: &[Candidate], contents: &Contents, path: &Path) -> ExportError {
    let describe = |set: &Candidate| {
        let average = if set.average { ", a moving average" } else { "" };
        format!("`{}` ({} tensors{average})", Printable(&set.name), set.items.len() + set.unnamed)
    };
    let sets: Vec<String> = candidates.iter().take(8).map(describe).collect();
    let more = candidates.len().saturating_sub(8);
    let mut sets = sets.join(", ");
    if more > 0 {
        sets = format!("{sets} and {more} more");
    }
    if let Some((name, a, b)) = collision(candidates, &contents.items) {
        sets = format!("{sets}: `{}` and `{}` are both {name}", Printable(a), Printable(b));
    }
    let average = candidates.iter().find(|set| set.average && set.unnamed == 0);
    let hint = match (average, candidates.iter().find(|set| !set.average)) {
        (Some(average), _) => format!(
            "--weights {} reads the moving average, which the public code evaluates and publishes",
            quoted(&average.name)
        ),
        (None, Some(other)) => format!("name the one to read, such as --weights {}", quoted(&other.name)),
        (None, None) => "name the one to read by --weights".to_owned(),
    };
    ExportError::SeveralWeights { path: path.to_owned(), sets, hint }
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", Printable(name)) }
}

/// The first tensors of two sets of the same file that stand for one canonical name by their prefixes alone.
fn collision<'i>(candidates: &[Candidate], items: &'i [Item]) -> Option<(String, &'i str, &'i str)> {
    let [first, second, ..] = candidates else { return None };
    if first.prefixes == second.prefixes {
        return None;
    }
    let named = |id: &usize| Some((names::parse(&items[*id].name).canonical?, items[*id].name.as_str()));
    // From the last to the first, which stays.
    let others: BTreeMap<String, &str> = second.items.iter().rev().filter_map(named).collect();
    let mut pairs = first.items.iter().filter_map(named);
    pairs.find_map(|(name, a)| others.get(&name).map(|b| (format!("`{name}`"), a, *b)))
}

/// True if two sets are the same tensors of the same storages.
fn same(a: &Candidate, b: &Candidate, items: &[Item]) -> bool {
    let key = |id: &usize| {
        let Item { name, shape, place, .. } = &items[*id];
        let parsed = names::parse(name);
        let name = parsed.canonical.unwrap_or_else(|| names::stripped(name, &parsed.prefix));
        place.as_ref().map(|place| (name, shape.clone(), place.clone()))
    };
    let of = |set: &Candidate| set.items.iter().map(key).collect::<Option<BTreeSet<_>>>();
    a.unnamed == 0 && b.unnamed == 0 && of(a).is_some_and(|tensors| Some(tensors) == of(b))
}

/// The tensors of a set by their canonical names; what is no weight goes into the ledger.
fn named(set: &Candidate, contents: &Contents, path: &Path, ledger: &mut Ledger) -> Result<Vec<(String, usize)>> {
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    let common = match set.prefixes.as_slice() {
        [prefix] => prefix.as_str(),
        _ => "",
    };
    for id in &set.items {
        let Item { name, dtype, shape, .. } = &contents.items[*id];
        let bad_tensor = |fault: String| ExportError::BadTensor {
            origin: path.display().to_string(),
            tensor: shown(name),
            fault: fault.into(),
        };
        let elements = shape.iter().fold(1_usize, |count, size| count.saturating_mul(*size));
        if let Some(why) = names::not_a_weight(name, elements) {
            ledger.skipped.push((shown(name), why.to_owned()));
            continue;
        }
        if let Err(dtype) = dtype {
            let expected = "expected float32, bfloat16, float16 or float64";
            return Err(bad_tensor(format!("has dtype {}, {expected}", Printable(dtype))));
        }
        let parsed = names::parse(name);
        if parsed.nano && ledger.dialect.is_none() {
            ledger.dialect = Some("nano-trm".into());
        }
        let canonical = parsed.canonical.unwrap_or_else(|| names::stripped(name, common));
        if let Some(other) = by_name.get(&canonical) {
            let other = Printable(&contents.items[*other].name);
            let reason = format!("is there twice: both it and `{other}` are `{}`", Printable(&canonical));
            return Err(bad_tensor(reason));
        }
        by_name.insert(canonical, *id);
    }
    Ok(by_name.into_iter().collect())
}

/// Takes the buffers that a moving average of parameters does not have from the set that it averages.
fn fill(
    tensors: &mut Vec<(String, usize)>,
    chosen: &Candidate,
    candidates: &[Candidate],
    contents: &Contents,
    path: &Path,
    ledger: &mut Ledger,
) -> Result<()> {
    let mut originals = candidates.iter().filter(|set| !set.average && set.unnamed == 0);
    let (Some(original), None) = (originals.next(), originals.next()) else { return Ok(()) };
    if !chosen.average || tensors.is_empty() {
        return Ok(());
    }
    let has = |name: &str| tensors.iter().any(|(other, _)| other == name);
    let missing: Vec<&str> = names::BUFFERS.into_iter().filter(|name| !has(name)).collect();
    let source = named(original, contents, path, &mut Ledger::default())?;
    let found: Vec<(String, usize)> = source.into_iter().filter(|(name, _)| missing.contains(&name.as_str())).collect();
    if !found.is_empty() {
        let filled = found.iter().map(|(name, _)| name.clone()).collect();
        ledger.filled_from = Some((shown(&original.name), filled));
        tensors.extend(found);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::WeightDtype;

    fn refused(names: impl Iterator<Item = String>) -> String {
        let item = |name| Item { name, dtype: Ok(WeightDtype::F32), shape: vec![1], place: None };
        let contents = Contents::flat(names.map(item).collect());
        select(&contents, &ReadOptions::default(), Path::new("step_1")).expect_err("refused").to_string()
    }

    #[test]
    fn thousands_of_sets_are_refused_before_they_share_thousands_of_tensors() {
        let sets = |count: usize| (0..count).map(|at| format!("part{at}.H_init"));
        let message = refused(sets(2_000).chain((0..2_000).map(|at| format!("other{at}"))));
        assert!(message.contains("telling its sets of weights apart takes more than"), "{message}");
        let message = refused(sets(20_000));
        assert!(message.contains("several sets of weights: `part0` (1 tensors)"), "{message}");
        assert!(message.contains("`part0.H_init` and `part1.H_init` are both `H_init`"), "{message}");
    }
}
