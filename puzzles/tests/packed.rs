//! Compressed files and folders of puzzles.

use std::io::Write;

use trm_intake::explained;
use trm_puzzles::formats;

const LINE: &str = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn folders_and_compressed_files_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, bytes).expect("written");
        path
    };
    write("b/tasks/25ff71a9.json", b"{\"train\": [], \"test\": [{\"input\": [[7]]}]}");
    write("a.txt", LINE.repeat(2).as_bytes());
    write("README.md", b"# Puzzles of mine\n\nSome words about them.\n");
    write(".hidden", b"nothing");
    let table = format!("puzzle,solution\n{LINE}");
    let packed = write("c.csv.gz", &gzip(table.as_bytes()));
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [("one.txt", LINE), ("two/maze.txt", "#####\n#S G#\n#####\n")] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("a member");
        archive.write_all(text.as_bytes()).expect("memory");
    }
    let archive = write("d.zip", &archive.finish().expect("an archive").into_inner());
    let puzzles = formats::read(folder.path()).expect("readable");
    let prefix = folder.path().display().to_string();
    let names = puzzles.iter().map(|puzzle| puzzle.source.strip_prefix(&prefix)).collect::<Option<Vec<_>>>();
    let expected =
        ["/a.txt:1", "/a.txt:2", "/b/tasks/25ff71a9.json:[0]", "/c.csv:2", "/d.zip/one.txt:1", "/d.zip/two/maze.txt:1"];
    assert_eq!(names.expect("in the folder"), expected);
    assert_eq!(puzzles[2].id.as_deref(), Some("25ff71a9"));
    assert_eq!((formats::read(&packed).expect("one").len(), formats::read(&archive).expect("two").len()), (1, 2));

    let bad = write("e.txt", format!("{LINE}12\n.3\n").as_bytes());
    let message = explained(&formats::read(folder.path()).expect_err("a bad line"));
    assert!(message.contains("e.txt:3: "), "{message}");
    std::fs::remove_file(bad).expect("removed");
    let cut = gzip(table.as_bytes());
    let cut = write("f.gz", &cut[..cut.len() / 2]);
    let message = explained(&formats::read(&cut).expect_err("cut"));
    assert!(message.contains("f.gz: cannot be unpacked: "), "{message}");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(explained(&formats::read(empty.path()).expect_err("empty")).contains("no puzzle in the input"));
}

#[test]
fn what_unpacks_to_more_than_an_input_may_have_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.gz");
    std::fs::write(&path, gzip(&vec![b'1'; 80 << 20])).expect("written");
    let message = explained(&formats::read(&path).expect_err("too large"));
    assert!(message.contains("bytes is more than the limit of 67108864"), "{message}");
    let zstd = folder.path().join("a.zst");
    std::fs::write(&zstd, [0x28, 0xb5, 0x2f, 0xfd, 0]).expect("written");
    let message = explained(&formats::read(&zstd).expect_err("cut"));
    assert!(message.contains("a.zst: cannot be unpacked: "), "{message}");
}
