//! Checkpoints made to take memory or time are refused within 200 MB and two seconds: see [`measured`]. Run with
//! `--nocapture`, the tests print what each took.

#![cfg(target_os = "linux")]

mod measured;

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use measured::{Bomb, all, bomb, repeated, sparse};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const TRM: &str = env!("CARGO_BIN_EXE_trm");
/// As much as a pickle may have.
const PICKLE: usize = 8 << 20;
/// The size that a small file unpacks to.
const UNPACKED: usize = 320 << 20;
const NOT_OF_THIS_SIZE: &str = "a checkpoint of this size";

/// A zip archive of deflated records: a name, what is repeated, and how many bytes that fills.
fn packed(path: &Path, records: &[(String, Vec<u8>, usize)]) {
    let mut zip = ZipWriter::new(File::create(path).expect("a file"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, piece, length) in records {
        zip.start_file(name.as_str(), options).expect("a record");
        let block = piece.repeat(((1 << 20) / piece.len().max(1)).max(1));
        let mut left = *length;
        while left > 0 {
            let count = left.min(block.len());
            zip.write_all(&block[..count]).expect("written");
            left -= count;
        }
    }
    zip.finish().expect("an archive");
}

fn whole(name: &str, content: &[u8]) -> (String, Vec<u8>, usize) {
    (name.to_owned(), content.to_vec(), content.len())
}

/// A torch archive of this pickle and a storage of four numbers.
fn torch(path: &Path, pickle: &[u8]) {
    packed(path, &[whole("a/data.pkl", pickle), whole("a/data/0", &[0; 16])]);
}

/// A pickle that pushes `before`, then repeats `piece` as often as it may.
fn endless(path: &Path, before: &[u8], piece: &[u8]) {
    let count = (PICKLE - before.len()) / piece.len();
    torch(path, &[before, &piece.repeat(count)].concat());
}

fn string(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

/// `count` elements out of the first of `stored` in `data/0`, as one dimension of stride 0.
fn tensor(stored: u32, count: u64) -> Vec<u8> {
    let long = |number: u64| [b"\x8a\x08".as_slice(), &number.to_le_bytes()].concat();
    let storage =
        [b"(".as_slice(), &string("storage"), b"ctorch\nFloatStorage\n", &string("0"), &string("cpu")].concat();
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n(".as_slice(),
        &storage,
        &long(stored.into()),
        b"tQK\x00",
        &long(count),
        b"\x85K\x00\x85\x89NtR",
    ]
    .concat()
}

/// A dictionary of these keys and values.
fn dict(items: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let items: Vec<u8> = items.into_iter().flat_map(|(key, value)| [string(&key), value].concat()).collect();
    [b"\x80\x02}(".as_slice(), &items, b"u."].concat()
}

fn inspect(name: &str, says: &'static str, make: impl Fn(&Path) + 'static) -> Bomb {
    bomb(name, "inspect bomb", says, move |folder| make(&folder.join("bomb")))
}

#[test]
fn pickles() {
    all(
        TRM,
        &[
            inspect("800 shapes of a million dimensions", "stacks more values than a state dict can have", |path| {
                let shared =
                    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/wholes/shapes-800.pt");
                std::fs::copy(shared, path).expect("copied");
            }),
            inspect("objects without end", NOT_OF_THIS_SIZE, |path| endless(path, b"", b"}0")),
            inspect("tuples without end", NOT_OF_THIS_SIZE, |path| endless(path, b"N", b"\x85")),
            inspect("a stack without end", "stacks more values", |path| endless(path, b"", b"N")),
            inspect("marks without end", "has more marks", |path| endless(path, b"", b"(")),
            inspect("a memo without end", NOT_OF_THIS_SIZE, |path| endless(path, b"N", b"\x94")),
            inspect("a list that holds itself over and over", NOT_OF_THIS_SIZE, |path| {
                endless(path, b"]q\x00", &[b"(".as_slice(), &b"h\x00".repeat(1000), b"e"].concat());
            }),
            inspect("a dictionary that holds itself over and over", NOT_OF_THIS_SIZE, |path| {
                endless(path, b"}q\x00", &[b"(".as_slice(), &b"h\x00".repeat(1000), b"u"].concat());
            }),
            inspect("namespaces that take a large state", NOT_OF_THIS_SIZE, |path| {
                let state = [b"}q\x00(".as_slice(), &b"NN".repeat(50_000), b"u"].concat();
                endless(path, &state, b"cargparse\nNamespace\n)\x81h\x00b");
            }),
            inspect("settings that stand for a billion values", NOT_OF_THIS_SIZE, |path| {
                let doubled: Vec<u8> = (1..=60_u8).flat_map(|at| [b'h', at - 1, 0x86, b'q', at]).collect();
                let config = [b"}(".as_slice(), &string("arch"), b")q\x00", &doubled, b"u"].concat();
                torch(path, &dict([("model".into(), tensor(4, 4)), ("config".into(), config)]));
            }),
            inspect("settings a hundred thousand levels deep", "levels of nesting", |path| {
                let config = [b"}(".as_slice(), &string("arch"), b")", &b"\x85".repeat(100_000), b"u"].concat();
                torch(path, &dict([("H_init".into(), tensor(4, 4)), ("config".into(), config)]));
            }),
            inspect("a name of a megabyte for every tensor", "is there twice", |path| {
                let name = [string(&"n".repeat(1 << 20)), b"q\x00".to_vec()].concat();
                let more = [b"h\x00".as_slice(), &tensor(4, 4)].concat().repeat(10_000);
                torch(path, &[b"\x80\x02}(".as_slice(), &name, &tensor(4, 4), &more, b"u."].concat());
            }),
            inspect("ten thousand sets of weights", "several sets of weights: ", |path| {
                let set = |at: usize| {
                    let items = [string("H_init"), tensor(4, 1 + at as u64 % 4)].concat();
                    (format!("model {at} {}", "x".repeat(100)), [b"}(".as_slice(), &items, b"u"].concat())
                };
                torch(path, &dict((0..10_000).map(set)));
            }),
            inspect("ten thousand keys that mean nothing", "which mean nothing that is known", |path| {
                let keys = (0..10_000).map(|at| (format!("unheard of {at}"), b"K\x01".to_vec()));
                torch(path, &dict([("H_init".into(), tensor(4, 4))].into_iter().chain(keys)));
            }),
        ],
    );
}

#[test]
fn views_and_records() {
    all(
        TRM,
        &[
            inspect("four numbers seen as 4 billion", "more elements than this file can hold", |path| {
                torch(path, &dict([("H_init".into(), tensor(4, 1 << 32))]));
            }),
            inspect("four numbers seen as 2^62", "more than the 17179869184 that they may", |path| {
                torch(path, &dict([("H_init".into(), tensor(4, 1 << 62))]));
            }),
            inspect("a thousand views of a million", "more elements than this file can hold", |path| {
                let names = std::iter::once("H_init".to_owned()).chain((1..1000).map(|at| format!("t{at}")));
                torch(path, &dict(names.map(|name| (name, tensor(4, 1_000_000)))));
            }),
            inspect("a record that unpacks to 320 MB", NOT_OF_THIS_SIZE, |path| {
                let pickle = dict([("H_init".into(), tensor(UNPACKED as u32 / 4, 4))]);
                packed(path, &[whole("a/data.pkl", &pickle), ("a/data/0".into(), vec![0], UNPACKED)]);
            }),
            inspect("a pickle that unpacks to 320 MB", "more than the 8388608 it may have", |path| {
                packed(path, &[("a/data.pkl".into(), b"N".to_vec(), UNPACKED), whole("a/data/0", &[0; 16])]);
            }),
            inspect("sixty thousand records", "expected one", |path| {
                let records: Vec<_> = (0..60_000).map(|at| whole(&format!("a/{at}/data.pkl"), b"")).collect();
                packed(path, &records);
            }),
            inspect("a zip archive that claims a billion records", "a zip archive that claims", |path| {
                torch(path, &dict([("H_init".into(), tensor(4, 4))]));
                let bytes = std::fs::read(path).expect("read");
                let end = bytes.len() - 22;
                let claim = [
                    b"PK\x06\x06".as_slice(),
                    &44_u64.to_le_bytes(),
                    &[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                    &1_000_000_000_u64.to_le_bytes(),
                    &1_000_000_000_u64.to_le_bytes(),
                    &46_000_000_000_u64.to_le_bytes(),
                    &0_u64.to_le_bytes(),
                    b"PK\x06\x07\0\0\0\0",
                    &(end as u64).to_le_bytes(),
                    &1_u32.to_le_bytes(),
                ];
                std::fs::write(path, [&bytes[..end], &claim.concat(), &bytes[end..]].concat()).expect("written");
            }),
            inspect("an array that unpacks to 320 MB", "more elements than this file can hold", |path| {
                let header = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': ({},), }}\n", UNPACKED / 4);
                let start = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()];
                let content = start.concat();
                let mut zip = ZipWriter::new(File::create(path).expect("a file"));
                zip.start_file("H_init.npy", SimpleFileOptions::default()).expect("a record");
                zip.write_all(&content).expect("written");
                let zeros = vec![0; 1 << 20];
                for _ in 0..UNPACKED >> 20 {
                    zip.write_all(&zeros).expect("written");
                }
                zip.finish().expect("an archive");
            }),
            inspect("the old format with a storage of 2^60 numbers", "reaches past the end of the file", |path| {
                let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
                let storage = [
                    b"(".as_slice(),
                    &string("storage"),
                    b"ctorch\nFloatStorage\n",
                    &string("0"),
                    &string("cpu"),
                    b"\x8a\x08\0\0\0\0\0\0\0\x10NtQ",
                ];
                let object = [b"\x80\x02}".as_slice(), &string("storage"), &storage.concat(), b"s."];
                let parts = [
                    magic.as_slice(),
                    b"\x80\x02M\xe9\x03.",
                    b"\x80\x02}.",
                    &object.concat(),
                    b"\x80\x02]",
                    &string("0"),
                    b"a.",
                ];
                std::fs::write(path, parts.concat()).expect("written");
            }),
            inspect("64 MB of garbage that looks like zip", "hint: ", |path| {
                repeated(path, "PK\u{3}\u{4}", "PK\u{5}\u{6}PK\u{1}\u{2}", "", 64 << 20);
            }),
        ],
    );
}

/// A safetensors file of this header, which claims to be `length` bytes long.
fn safetensors(path: &Path, header: &str, length: u64) {
    let mut file = File::create(path).expect("a file");
    file.write_all(&length.to_le_bytes()).expect("written");
    file.write_all(header.as_bytes()).expect("written");
}

/// A safetensors file of one float32 tensor that takes `bytes`, of which none is on the disk.
fn hollow(path: &Path, name: &str, bytes: u64) {
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#, bytes / 4);
    let length = header.len() as u64;
    safetensors(path, &header, length);
    sparse(path, 8 + length + bytes);
}

/// A torch archive whose storage `data/0` claims so many bytes, of which none is on the disk.
fn hollow_torch(path: &Path, name: &str, bytes: u64) {
    let pickle = dict([(name.to_owned(), tensor(u32::try_from(bytes / 4).expect("elements"), bytes / 4))]);
    let mut zip = ZipWriter::new(File::create(path).expect("a file"));
    zip.start_file("a/data.pkl", SimpleFileOptions::default()).expect("a record");
    zip.write_all(&pickle).expect("written");
    zip.finish().expect("an archive");
    // A second record, made by hand: the writer would write its zeros out.
    let bytes_before = std::fs::read(path).expect("read");
    let u32_at = |at: usize| u32::from_le_bytes(bytes_before[at..at + 4].try_into().expect("four"));
    let directory = u32_at(bytes_before.len() - 22 + 16) as usize;
    let size = (bytes as u32).to_le_bytes();
    let fields = [b"\x14\0\0\0\0\0\0\0\x21\0\0\0\0\0".as_slice(), &size, &size, &8_u16.to_le_bytes(), b"\0\0"];
    let local = [b"PK\x03\x04".as_slice(), &fields.concat(), b"a/data/0"].concat();
    let mut file = File::options().write(true).open(path).expect("opened");
    file.seek(SeekFrom::Start(directory as u64)).expect("moved");
    file.write_all(&local).expect("written");
    let end = directory as u64 + local.len() as u64 + bytes;
    file.seek(SeekFrom::Start(end)).expect("moved");
    let offset = (directory as u32).to_le_bytes();
    let entry = [b"PK\x01\x02\x14\0".as_slice(), &fields.concat(), &[0; 10], &offset, b"a/data/0"].concat();
    let first = &bytes_before[directory..bytes_before.len() - 22];
    file.write_all(first).expect("written");
    file.write_all(&entry).expect("written");
    let length = (first.len() + entry.len()) as u32;
    let start = u32::try_from(end).expect("below 4 GiB").to_le_bytes();
    file.write_all(&[b"PK\x05\x06\0\0\0\0\x02\0\x02\0".as_slice(), &length.to_le_bytes(), &start, b"\0\0"].concat())
        .expect("written");
}

#[test]
fn sparse_files() {
    const FOREIGN: &str = "none of its tensors has a name of a TRM's or HRM's weights: it has `a`";
    all(
        TRM,
        &[
            inspect("3 GiB of a tensor of another model", FOREIGN, |path| hollow(path, "a", 3 << 30)),
            inspect("20 GiB of weights", "more than the 17179869184 that they may", |path| {
                hollow(path, "H_init", 20 << 30);
            }),
            inspect("1 TiB of a tensor of another model", "that a checkpoint may have", |path| {
                hollow(path, "a", 1 << 40);
            }),
            inspect("1 TiB of weights", "that a checkpoint may have", |path| hollow(path, "H_init", 1 << 40)),
            inspect("3 GiB of a torch tensor of another model", FOREIGN, |path| hollow_torch(path, "a", 3 << 30)),
            inspect("a torch archive of 1 TiB without a directory", "that a checkpoint may have", |path| {
                torch(path, &dict([("H_init".into(), tensor(4, 4))]));
                sparse(path, 1 << 40);
            }),
            inspect("a torch archive of 60 GiB without a directory", "it has no directory at its end", |path| {
                torch(path, &dict([("H_init".into(), tensor(4, 4))]));
                sparse(path, 60 << 30);
            }),
            bomb("an ONNX file of 1 TiB", "inspect bomb.onnx", "that a graph may have", |folder| {
                sparse(&folder.join("bomb.onnx"), 1 << 40);
            }),
            bomb("a device that is inspected", "inspect /dev/zero", "neither a folder nor a regular file", |_| ()),
        ],
    );
}

/// A checkpoint that can be exported, copied into this folder as `model`.
fn exportable(folder: &Path) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../export/tests/fixtures/golden/sudoku_mlp_stable");
    let model = folder.join("model");
    std::fs::create_dir(&model).expect("a folder");
    for entry in std::fs::read_dir(golden).expect("the golden").flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), model.join(entry.file_name())).expect("copied");
    }
}

#[test]
fn files_of_options() {
    let endless = |option: &str, says| {
        let line =
            format!("export model/step_1000 --task tokens --seq-len 81 --vocab 11 --out out --{option} /dev/zero");
        bomb(&format!("export --{option} /dev/zero"), &line, says, exportable)
    };
    all(
        TRM,
        &[
            endless("notes", "--notes takes a file of text of at most 1 MiB"),
            endless("measured", "--measured takes a file of at most 1 MiB"),
            endless("attach", "--attach takes files of at most 64 MiB together"),
            bomb(
                "identifiers.json that is a device",
                "export model/step_1000 --task tokens --seq-len 81 --vocab 11 --out out",
                "identifiers.json: no regular file",
                |folder| {
                    exportable(folder);
                    let _ = std::fs::remove_file(folder.join("model/identifiers.json"));
                    std::os::unix::fs::symlink("/dev/zero", folder.join("model/identifiers.json")).expect("a link");
                },
            ),
        ],
    );
}

#[test]
fn headers_and_indexes() {
    let index = |name: &str, says, make: fn(&mut File)| {
        bomb(name, "inspect model.safetensors.index.json", says, move |folder| {
            make(&mut File::create(folder.join("model.safetensors.index.json")).expect("a file"));
        })
    };
    all(
        TRM,
        &[
            inspect("a header of 100 MB", "its header has 100000000 bytes, more than", |path| {
                safetensors(path, "{", 100_000_000);
                let mut file = File::options().write(true).open(path).expect("opened");
                file.seek(SeekFrom::Start(100_000_100)).expect("moved");
                file.write_all(b"}").expect("written");
            }),
            inspect("a header of 4 MB of tensors", "damaged safetensors file", |path| {
                let entry = r#""":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"#;
                let header = format!(
                    "{{{}\"z\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}}}",
                    entry.repeat(75_000)
                );
                safetensors(path, &header, header.len() as u64);
            }),
            inspect("a header of one shape", "dimensions", |path| {
                let shape = "1,".repeat(2_000_000);
                let header = format!(r#"{{"a":{{"dtype":"F32","shape":[{shape}1],"data_offsets":[0,4]}}}}"#);
                safetensors(path, &header, header.len() as u64);
            }),
            inspect("a header of nested lists", "its header is no list of tensors", |path| {
                let header = format!(r#"{{"__metadata__":{}"#, "[".repeat(4_000_000));
                safetensors(path, &header, header.len() as u64);
            }),
            inspect("a tensor of 2^62 bytes", "damaged safetensors file", |path| {
                let header =
                    r#"{"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,4611686018427387904]}}"#;
                safetensors(path, header, header.len() as u64);
            }),
            index("an index of 100,000 files", "hint: ", |file| {
                let entries: Vec<String> = (0..100_000).map(|at| format!("\"t{at}\":\"f{at}\"")).collect();
                write!(file, "{{\"weight_map\":{{{}}}}}", entries.join(",")).expect("written");
            }),
            index("an index of 4 MB", "hint: ", |file| {
                write!(file, "{{\"weight_map\":{{{}\"a\":\"b\"}}}}", "\"\":\"b\",".repeat(500_000)).expect("written");
            }),
            index("an index of 64 MB", "an index takes more than", |file| {
                file.set_len(64 << 20).expect("a long file");
            }),
            bomb("a configuration of a million lists", "inspect hub", "hint: ", |folder| {
                let hub = folder.join("hub");
                std::fs::create_dir(&hub).expect("a folder");
                let header = r#"{"H_init":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
                safetensors(
                    &hub.join("model.safetensors"),
                    &format!("{header}\u{1}\u{1}\u{1}\u{1}"),
                    header.len() as u64,
                );
                repeated(&hub.join("config.json"), "{\"arch\":", "[", "", 1_000_000);
            }),
        ],
    );
}
