//! Circles among the modules of a crate, which `cargo xtask test house` refuses: of two modules that import each other neither
//! can be read, tested or moved alone.
//!
//! A module is what stands first in a crate's `src/`: a file, or a folder with all that is in it. `error` does not count: every
//! module returns its error, and its variants name types of them all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Circles that are meant, by the folder of the crate: an operator holds graphs and says all about itself in its file; a mixer's
/// file has the names of its weights, which the reader of checkpoints looks for, beside its graph.
const MEANT: [(&str, &[&str]); 2] = [
    ("export/onnx", &["autodiff", "eval", "graph", "infer", "liveness", "operators"]),
    ("export", &["checkpoint", "trm"]),
];

/// Imports of the modules of a crate: of each its imports from the others.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Returns the circles of the crate in a folder that are not meant, one line each.
pub(crate) fn circles(root: &Path, folder: &str) -> Result<Vec<String>> {
    let source = root.join(folder).join("src");
    let mut files = Vec::new();
    collect(&source, &mut Vec::new(), &mut files)?;
    let imports = imports(&files);
    let mut found = BTreeSet::new();
    for module in imports.keys() {
        let reached = reach(&imports, module);
        let circle: BTreeSet<&str> =
            reached.iter().filter(|other| reach(&imports, other).contains(module.as_str())).copied().collect();
        if circle.len() > 1 && !MEANT.contains(&(folder, circle.iter().copied().collect::<Vec<_>>().as_slice())) {
            found.insert(format!(
                "{folder}/src: {} import each other",
                circle.into_iter().collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Ok(found.into_iter().collect())
}

/// A source file: its path within `src/` without suffix, and its text.
type File = (Vec<String>, String);

fn collect(folder: &Path, path: &mut Vec<String>, files: &mut Vec<File>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?.path();
        let name = entry.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() && name != "bin" && name != "tests" {
            path.push(name);
            collect(&entry, path, files)?;
            path.pop();
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !name.ends_with("tests") {
            let text = fs::read_to_string(&entry).with_context(|| format!("cannot read {}", entry.display()))?;
            let own = (!["mod", "lib", "main"].contains(&name.as_str())).then_some(name);
            files.push((path.iter().cloned().chain(own).collect(), text));
        }
    }
    Ok(())
}

fn imports(files: &[File]) -> Imports {
    let mut imports: Imports =
        files.iter().filter_map(|(path, _)| Some((path.first()?.clone(), BTreeSet::new()))).collect();
    // Names that the crate's root passes on, and the modules they are from.
    let mut passed_on = BTreeMap::new();
    for (_, text) in files.iter().filter(|(path, _)| path.is_empty()) {
        let text = code(text).replace("self::", "");
        for import in text.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
            if let Some((module, names)) = import.split_once("::").filter(|(module, _)| imports.contains_key(*module)) {
                let names = names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
                passed_on.extend(names.map(|name| (name.to_owned(), module.to_owned())));
            }
        }
    }
    for (path, text) in files {
        let Some(module) = path.first() else { continue };
        let text = code(text);
        for prefix in ["crate::".to_owned(), "super::".repeat(path.len())] {
            for name in named_after(&text, &prefix) {
                let from =
                    if imports.contains_key(name) { name } else { passed_on.get(name).map_or("", String::as_str) };
                if !["", "error", module].contains(&from) && module != "error" {
                    imports.get_mut(module).expect("each has an entry").insert(from.to_owned());
                }
            }
        }
    }
    imports
}

/// The text up to the tests in it, without comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| line.split(" //").next().filter(|line| !line.starts_with("//")).unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that follow a prefix: one, or those of a list in braces, of paths the first word.
fn named_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &'a str| text.trim_start().split(|c: char| !is_word(c)).next().unwrap_or_default();
    let mut names = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let rest = &text[at + prefix.len()..];
        if text[..at].ends_with(|c: char| is_word(c) || c == ':') {
            continue;
        }
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 0;
        names.push(word(list));
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(word(&list[at + 1..])),
                _ => {}
            }
        }
    }
    names
}

/// A module and all that it imports, by others as well.
fn reach<'a>(imports: &'a Imports, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::from([from]), vec![from]);
    while let Some(module) = open.pop() {
        for next in &imports[module] {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_that_import_each_other_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join("toy/src").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("lib.rs", "mod a;\nmod b;\nmod c;\nmod error;\npub use b::Thing;\npub use error::Error;\n");
        write("a.rs", "use super::{Error, c::{D, E}, Thing};\n// crate::b::Other\n");
        write("b/mod.rs", "mod inner;\npub struct Thing;\n");
        write("b/inner.rs", "use super::Thing;\nuse std::fmt;\n");
        write("c.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n");
        write("error.rs", "use crate::a::A;\n");
        assert_eq!(circles(folder.path(), "toy").unwrap(), [""; 0]);
        write("b/inner.rs", "fn f() -> super::super::a::A {}\n");
        assert_eq!(circles(folder.path(), "toy").unwrap(), ["toy/src: a, b import each other"]);
        write("b/inner.rs", "use crate::{c::D, a::A as B};\n");
        assert_eq!(circles(folder.path(), "toy").unwrap(), ["toy/src: a, b import each other"]);
    }
}
