//! Data sets that are written example by example, however large they become.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serializer as _;
use tempfile::TempDir;
use trm_intake::Fault;
use trm_intake::file::{folder_of, sync_folder};
use trm_intake::unfinished::{self, Held};

use super::{DataSetMetadata, SET, write_json};
use crate::formats::npy;
use crate::{PAD, PuzzleError, Result, Task};

/// The data set folder of the public training code: `train/` and `test/`, and `identifiers.json` beside them. It appears
/// complete or not at all; what a process that is killed leaves behind, the next writer into the folder above removes.
#[derive(Debug)]
pub struct DataSetWriter {
    out: PathBuf,
    folder: TempDir,
    _held: Held,
}

impl DataSetWriter {
    /// Begins a new folder.
    ///
    /// # Errors
    /// [`PuzzleError::Data`] for a folder that holds something, [`PuzzleError::Io`] where none can be made.
    pub fn create(out: &Path) -> Result<Self> {
        if out.is_file() || fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
            let fault = Fault::from("there is something already");
            return Err(PuzzleError::data(out, fault.advise("choose a new folder")));
        }
        let parent = folder_of(out);
        fs::create_dir_all(parent).map_err(PuzzleError::io("create", parent))?;
        unfinished::sweep_once(parent);
        let (folder, held) = unfinished::folder_in(parent).map_err(PuzzleError::io("create a folder in", parent))?;
        Ok(Self { out: out.to_owned(), folder, _held: held })
    }

    /// The folder in which it is written.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Begins a split, `train` or `test`, of sequences of a task, which has so many puzzle identifiers (the blank one
    /// included).
    ///
    /// # Errors
    /// [`PuzzleError::Io`].
    pub fn split(&self, name: &str, task: &dyn Task, identifiers: usize) -> Result<SplitWriter> {
        let dir = self.folder().join(name);
        fs::create_dir(&dir).map_err(PuzzleError::io("create", &dir))?;
        let rows = |name: &str| npy::Rows::create(dir.join(format!("{SET}__{name}.npy")), task.seq_len());
        Ok(SplitWriter {
            inputs: rows("inputs")?,
            labels: rows("labels")?,
            puzzle_identifiers: Vec::new(),
            puzzle_indices: vec![0],
            group_indices: vec![0],
            metadata: DataSetMetadata {
                pad_id: PAD,
                ignore_label_id: Some(PAD),
                blank_identifier_id: 0,
                vocab_size: task.vocab_size(),
                seq_len: task.seq_len(),
                num_puzzle_identifiers: identifiers,
                total_groups: 0,
                mean_puzzle_examples: 0.0,
                total_puzzles: None,
                sets: vec![SET.to_owned()],
            },
            dir,
        })
    }

    /// Names the puzzle identifiers after the blank one, and gives the folder its name.
    ///
    /// # Errors
    /// [`PuzzleError::Io`], also where something has taken the folder's name meanwhile.
    pub fn finish(self, names: impl Iterator<Item = String>) -> Result<()> {
        let path = self.folder().join("identifiers.json");
        let write = || {
            let mut file = BufWriter::new(File::create(&path)?);
            let blank = std::iter::once("<blank>".to_owned());
            serde_json::Serializer::new(&mut file).collect_seq(blank.chain(names))?;
            file.flush()?;
            file.get_ref().sync_all()
        };
        write().map_err(PuzzleError::io("write", &path))?;
        let rename = || {
            fs::rename(self.folder.path(), &self.out)?;
            sync_folder(folder_of(&self.out))
        };
        rename().map_err(PuzzleError::io("rename the finished folder to", &self.out))?;
        // It is no temporary folder any more.
        let _ = self.folder.keep();
        Ok(())
    }
}

/// A split that is being written. Examples belong to the puzzle that ends after them, puzzles to the group that does.
pub struct SplitWriter {
    dir: PathBuf,
    inputs: npy::Rows,
    labels: npy::Rows,
    puzzle_identifiers: Vec<i32>,
    puzzle_indices: Vec<i32>,
    group_indices: Vec<i32>,
    metadata: DataSetMetadata,
}

impl SplitWriter {
    /// Appends an example: tokens of the question and of the answer, `[seq_len]` each.
    ///
    /// # Errors
    /// [`PuzzleError::Data`] for another number of tokens, or one above 255; [`PuzzleError::Io`].
    pub fn example(&mut self, input: &[i32], label: &[i32]) -> Result<()> {
        self.inputs.push(input)?;
        self.labels.push(label)
    }

    /// Ends a puzzle, which has this identifier.
    ///
    /// # Errors
    /// [`PuzzleError::Data`] if there are more examples than 32 bits count.
    pub fn end_puzzle(&mut self, identifier: usize) -> Result<()> {
        self.puzzle_identifiers.push(self.index(identifier)?);
        self.puzzle_indices.push(self.index(self.inputs.count())?);
        Ok(())
    }

    /// Ends a group of puzzles: one with its augmentations.
    ///
    /// # Errors
    /// [`PuzzleError::Data`] if there are more puzzles than 32 bits count.
    pub fn end_group(&mut self) -> Result<()> {
        self.group_indices.push(self.index(self.puzzle_identifiers.len())?);
        Ok(())
    }

    fn index(&self, index: usize) -> Result<i32> {
        i32::try_from(index).map_err(|_| {
            let fault = Fault::from(format!("{index} examples are more than the format's indices of 32 bits count"));
            PuzzleError::data(&self.dir, fault.advise("ask for fewer augmentations"))
        })
    }

    /// Writes what is left, and `dataset.json`.
    ///
    /// # Errors
    /// [`PuzzleError::Io`]; [`PuzzleError::Data`] for a split without examples.
    pub fn finish(self) -> Result<DataSetMetadata> {
        let (examples, puzzles) = (self.inputs.count(), self.puzzle_identifiers.len());
        if examples == 0 {
            return Err(PuzzleError::data(&self.dir, "a split without examples"));
        }
        self.inputs.finish()?;
        self.labels.finish()?;
        for (name, values) in [
            ("puzzle_identifiers", &self.puzzle_identifiers),
            ("puzzle_indices", &self.puzzle_indices),
            ("group_indices", &self.group_indices),
        ] {
            npy::write(&self.dir.join(format!("{SET}__{name}.npy")), &[values.len()], values, true)?;
        }
        let metadata = DataSetMetadata {
            total_groups: self.group_indices.len() - 1,
            total_puzzles: Some(puzzles),
            mean_puzzle_examples: examples as f64 / puzzles as f64,
            ..self.metadata
        };
        write_json(&self.dir.join("dataset.json"), &metadata)?;
        Ok(metadata)
    }
}
