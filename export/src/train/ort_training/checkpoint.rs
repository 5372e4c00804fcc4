//! The checkpoint of ONNX Runtime's training API: parameters, moments and the number of updates, as a flatbuffer.
//!
//! The schema is `onnxruntime/core/flatbuffers/schema/ort_training_checkpoint.fbs`, with `Tensor` of `ort.fbs`; tables are
//! written and read here by the numbers of their fields.

use std::collections::BTreeMap;
use std::path::Path;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, TableFinishedWIPOffset, Vector, WIPOffset};

use super::flatbuffer::{Buffer, Table};
use crate::{ExportError, Result};

/// Identifier and version of the format.
const IDENTIFIER: &str = "ODTC";
const VERSION: i32 = 2;
/// `TensorDataType.FLOAT`.
const FLOAT: i32 = 1;
/// The one group of parameters there is, and the names of the two moments.
const GROUP: &str = "group0";
const MOMENTS: [&str; 2] = ["momentum0", "momentum1"];
/// Flatbuffers stop at 2 GiB; a part of that is left for names and tables.
const MAX_BYTES: usize = (2 << 30) - (16 << 20);

/// Fields of the tables.
mod field {
    pub(super) const CHECKPOINT_VERSION: usize = 0;
    pub(super) const CHECKPOINT_MODULE: usize = 1;
    pub(super) const CHECKPOINT_GROUPS: usize = 2;
    pub(super) const MODULE_TRAINED: usize = 0;
    pub(super) const MODULE_FROZEN: usize = 1;
    pub(super) const GROUP_NAME: usize = 0;
    pub(super) const GROUP_STEP: usize = 1;
    pub(super) const GROUP_LEARNING_RATE: usize = 2;
    pub(super) const GROUP_STATES: usize = 3;
    pub(super) const STATE_PARAMETER: usize = 0;
    pub(super) const STATE_MOMENTS: usize = 1;
    pub(super) const TENSOR_NAME: usize = 0;
    pub(super) const TENSOR_DIMS: usize = 2;
    pub(super) const TENSOR_TYPE: usize = 3;
    pub(super) const TENSOR_DATA: usize = 4;
}

/// A trained parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedTensor {
    /// Name.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
    /// First and second moment, of the same shape; `None` before the first update.
    pub moments: Option<[Vec<f32>; 2]>,
}

/// The contents of a checkpoint of the training API.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingCheckpoint {
    /// The parameters that the optimiser updates.
    pub parameters: Vec<TrainedTensor>,
    /// Updates done.
    pub step: i64,
    /// Learning rate before one is set.
    pub learning_rate: f32,
}

type Writer = FlatBufferBuilder<'static>;
type Tables = WIPOffset<Vector<'static, ForwardsUOffset<TableFinishedWIPOffset>>>;
type Offset = WIPOffset<TableFinishedWIPOffset>;

impl TrainingCheckpoint {
    /// The file's bytes. Without moments of all parameters, none are written, and the API starts them at zero.
    ///
    /// # Errors
    /// [`ExportError::TrainingGraph`] when the file would be larger than the format can be, or elements are missing.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let refuse = |problem: String| ExportError::TrainingGraph { problem };
        let mut bytes = 0;
        for parameter in &self.parameters {
            let expected = parameter.shape.iter().product::<usize>();
            let moments = parameter.moments.iter().flatten();
            for elements in moments.chain([&parameter.data]) {
                if elements.len() != expected {
                    let (name, found) = (&parameter.name, elements.len());
                    return Err(refuse(format!("parameter `{name}` has {found} elements, expected {expected}")));
                }
                bytes += 4 * expected;
            }
        }
        if bytes > MAX_BYTES {
            return Err(refuse(format!("parameters and moments take {bytes} bytes, a checkpoint holds {MAX_BYTES}")));
        }

        let mut writer = FlatBufferBuilder::with_capacity(bytes + 4096);
        let trained =
            self.parameters.iter().map(|p| tensor(&mut writer, &p.name, &p.shape, &p.data)).collect::<Vec<_>>();
        let trained = tables(&mut writer, &trained);
        // The API insists on this list, empty or not.
        let frozen = tables(&mut writer, &[]);
        let module = table(&mut writer, |writer| {
            writer.push_slot_always(slot(field::MODULE_TRAINED), trained);
            writer.push_slot_always(slot(field::MODULE_FROZEN), frozen);
        });
        let groups = self.group(&mut writer).into_iter().collect::<Vec<_>>();
        let groups = tables(&mut writer, &groups);
        let root = table(&mut writer, |writer| {
            writer.push_slot_always(slot(field::CHECKPOINT_VERSION), VERSION);
            writer.push_slot_always(slot(field::CHECKPOINT_MODULE), module);
            writer.push_slot_always(slot(field::CHECKPOINT_GROUPS), groups);
        });
        writer.finish(root, Some(IDENTIFIER));
        Ok(writer.finished_data().to_vec())
    }

    /// The optimiser's state, if all parameters have moments.
    fn group(&self, writer: &mut Writer) -> Option<Offset> {
        let mut states = Vec::new();
        for parameter in &self.parameters {
            let moments = parameter.moments.as_ref()?;
            let written = MOMENTS.iter().zip(moments).map(|(name, data)| tensor(writer, name, &parameter.shape, data));
            let written = written.collect::<Vec<_>>();
            let written = tables(writer, &written);
            let name = writer.create_string(&parameter.name);
            states.push(table(writer, |writer| {
                writer.push_slot_always(slot(field::STATE_PARAMETER), name);
                writer.push_slot_always(slot(field::STATE_MOMENTS), written);
            }));
        }
        let states = tables(writer, &states);
        let name = writer.create_string(GROUP);
        Some(table(writer, |writer| {
            writer.push_slot_always(slot(field::GROUP_STEP), self.step);
            writer.push_slot_always(slot(field::GROUP_LEARNING_RATE), self.learning_rate);
            writer.push_slot_always(slot(field::GROUP_NAME), name);
            writer.push_slot_always(slot(field::GROUP_STATES), states);
        }))
    }

    /// Reads a checkpoint that the API wrote, or this type. `path` is for messages.
    ///
    /// # Errors
    /// [`ExportError::BadCheckpoint`] when the bytes are anything else, or hold parameters other than float32.
    pub fn from_bytes(bytes: &[u8], path: &Path) -> Result<Self> {
        read(bytes).map_err(|problem| ExportError::BadCheckpoint {
            path: path.to_path_buf(),
            reason: format!("not a checkpoint of ONNX Runtime's training API: {problem}"),
            hint: None,
        })
    }
}

fn slot(index: usize) -> u16 {
    flatbuffers::field_index_to_field_offset(index as u16)
}

fn table(writer: &mut Writer, fields: impl FnOnce(&mut Writer)) -> Offset {
    let start = writer.start_table();
    fields(writer);
    writer.end_table(start)
}

fn tables(writer: &mut Writer, tables: &[Offset]) -> Tables {
    writer.create_vector(tables)
}

fn tensor(writer: &mut Writer, name: &str, shape: &[usize], data: &[f32]) -> Offset {
    let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    let data = writer.create_vector(&bytes);
    let dims = shape.iter().map(|&size| size as i64).collect::<Vec<_>>();
    let dims = writer.create_vector(&dims);
    let name = writer.create_string(name);
    table(writer, |writer| {
        writer.push_slot_always(slot(field::TENSOR_NAME), name);
        writer.push_slot_always(slot(field::TENSOR_DIMS), dims);
        writer.push_slot_always(slot(field::TENSOR_TYPE), FLOAT);
        writer.push_slot_always(slot(field::TENSOR_DATA), data);
    })
}

fn read(bytes: &[u8]) -> Result<TrainingCheckpoint, String> {
    let root = Buffer::new(bytes, IDENTIFIER)?.root()?;
    let version = root.i32(field::CHECKPOINT_VERSION)?;
    if version != VERSION {
        return Err(format!("it has version {version}, expected {VERSION}"));
    }
    let module = root.table(field::CHECKPOINT_MODULE)?.ok_or("it holds no parameters")?;
    let mut checkpoint = TrainingCheckpoint::default();
    let mut moments = BTreeMap::new();
    if let Some(group) = root.tables(field::CHECKPOINT_GROUPS)?.first() {
        checkpoint.step = group.i64(field::GROUP_STEP)?;
        checkpoint.learning_rate = group.f32(field::GROUP_LEARNING_RATE)?;
        for state in group.tables(field::GROUP_STATES)? {
            moments.insert(state.text(field::STATE_PARAMETER)?, read_moments(state)?);
        }
    }
    for table in module.tables(field::MODULE_TRAINED)? {
        let (name, shape, data) = read_tensor(table)?;
        let moments = moments.remove(name);
        checkpoint.parameters.push(TrainedTensor { name: name.to_owned(), shape, data, moments });
    }
    Ok(checkpoint)
}

fn read_moments(state: Table<'_>) -> Result<[Vec<f32>; 2], String> {
    let mut found = BTreeMap::new();
    for table in state.tables(field::STATE_MOMENTS)? {
        let (name, _, data) = read_tensor(table)?;
        found.insert(name, data);
    }
    let mut take = |name| found.remove(name).ok_or_else(|| format!("a parameter has no {name}"));
    Ok([take(MOMENTS[0])?, take(MOMENTS[1])?])
}

fn read_tensor(table: Table<'_>) -> Result<(&str, Vec<usize>, Vec<f32>), String> {
    let name = table.text(field::TENSOR_NAME)?;
    let dtype = table.i32(field::TENSOR_TYPE)?;
    if dtype != FLOAT {
        return Err(format!("tensor `{name}` has type {dtype}, expected float32"));
    }
    let shape = table.i64s(field::TENSOR_DIMS)?;
    let bytes = table.bytes(field::TENSOR_DATA)?;
    let sizes = shape.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<Vec<_>>>();
    let count = sizes.as_ref().and_then(|sizes| sizes.iter().try_fold(4_usize, |count, &size| count.checked_mul(size)));
    match sizes {
        Some(sizes) if count == Some(bytes.len()) => {
            let data = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            Ok((name, sizes, data))
        }
        _ => Err(format!("tensor `{name}` of shape {shape:?} has {} bytes", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> TrainingCheckpoint {
        let parameter = |name: &str, shape: &[usize], start: f32| {
            let count = shape.iter().product::<usize>();
            let elements = |start: f32| (0..count).map(|index| start + index as f32).collect::<Vec<_>>();
            let moments = Some([elements(-start), elements(start * 100.0)]);
            TrainedTensor { name: name.into(), shape: shape.to_vec(), data: elements(start), moments }
        };
        let parameters = vec![parameter("a.weight", &[3, 5], 1.0), parameter("b", &[], 0.5), parameter("c", &[7], 2.0)];
        TrainingCheckpoint { parameters, step: 12, learning_rate: 1e-3 }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut checkpoint = example();
        let bytes = checkpoint.to_bytes().expect("writes");
        assert_eq!(TrainingCheckpoint::from_bytes(&bytes, Path::new("x")).expect("reads"), checkpoint);
        assert_eq!(&bytes[4..8], b"ODTC");

        // Without all moments there is no optimiser state, hence no step.
        checkpoint.parameters[1].moments = None;
        let bytes = checkpoint.to_bytes().expect("writes");
        let read = TrainingCheckpoint::from_bytes(&bytes, Path::new("x")).expect("reads");
        assert_eq!((read.step, read.parameters.iter().all(|p| p.moments.is_none())), (0, true));
        assert_eq!(read.parameters[2].data, checkpoint.parameters[2].data);
    }

    #[test]
    fn damaged_files_are_errors() {
        let bytes = example().to_bytes().expect("writes");
        let reason = |bytes: &[u8]| match TrainingCheckpoint::from_bytes(bytes, Path::new("x")) {
            Err(ExportError::BadCheckpoint { reason, .. }) => reason,
            other => panic!("not refused: {other:?}"),
        };
        assert!(reason(b"PK").ends_with("it does not carry the identifier ODTC"));
        for length in (8..bytes.len()).step_by(7) {
            // The tables come first, the data they point to behind them: any cut loses something.
            let cut = &bytes[..length];
            assert!(TrainingCheckpoint::from_bytes(cut, Path::new("x")).is_err(), "cut at {length}");
        }
        // No byte, whatever its value, may make reading panic or allocate beyond the file.
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                damaged[index] = value;
                let _ = TrainingCheckpoint::from_bytes(&damaged, Path::new("x"));
            }
        }
    }

    #[test]
    fn missing_elements_are_an_error() {
        let mut checkpoint = example();
        checkpoint.parameters[0].data.pop();
        let error = checkpoint.to_bytes().expect_err("elements are missing").to_string();
        assert_eq!(error, "no training model: parameter `a.weight` has 14 elements, expected 15");
    }
}
