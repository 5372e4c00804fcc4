//! Recordings of poses for `trm drives`. What chunks unpack to is tested where they are read.

use super::measured::{all, bomb, repeated, sparse};
use super::{LONGEST, TRM, write};

const MAGIC: &[u8] = b"\x89MCAP0\r\n";

fn record(opcode: u8, content: &[u8]) -> Vec<u8> {
    [&[opcode], &(content.len() as u64).to_le_bytes()[..], content].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

#[test]
fn recordings_of_poses() {
    let map = |folder: &std::path::Path| write(folder, "m.txt", "####\n#  #\n####\n");
    let mcap = |name: &'static str, records: Vec<u8>, says| {
        bomb(&format!("drives: {name}"), "drives r.mcap --map m.txt", says, move |folder| {
            map(folder);
            write(folder, "r.mcap", [MAGIC, &records, MAGIC].concat());
        })
    };
    let table = |name: &'static str, [before, piece, after]: [&'static str; 3], says| {
        bomb(&format!("drives: {name}"), "drives r.csv --map m.txt", says, move |folder| {
            map(folder);
            repeated(&folder.join("r.csv"), before, piece, after, LONGEST);
        })
    };
    let announced = |kind: &str| {
        let schema = [&[1, 0][..], &text(kind), &text("ros2msg"), &text("")].concat();
        let channel = [&[0, 0, 1, 0][..], &text("/pose"), &text("cdr"), &text("")].concat();
        [record(3, &schema), record(4, &channel)].concat()
    };
    let path = |xs: &[f64]| {
        let place = |x: &f64| [&[0; 16][..], &x.to_le_bytes(), &[0; 48]].concat();
        let head = [&[0; 22][..], &[0, 1, 0, 0], &[0; 12], &(xs.len() as u32).to_le_bytes()].concat();
        record(5, &[head, xs.iter().flat_map(place).collect()].concat())
    };
    // A plan of as many places as a message may have, and ever again its end, which has to be looked for.
    let plan = [&[100.0][..], &[50.0].repeat(400_000), &[0.0]].concat();
    let paths = [announced("nav_msgs/msg/Path"), path(&plan), path(&[0.0, 0.0]).repeat(150_000)].concat();
    all(
        TRM,
        &[
            mcap("paths without end", paths, "its paths are too many to compare"),
            mcap(
                "seven million empty records",
                record(0x7f, &[]).repeat(LONGEST / 9),
                "a record is longer than the file",
            ),
            mcap("a record of 2^63 bytes", [&[0x7f][..], &[255; 8]].concat(), "a record is longer than the file"),
            bomb(
                "drives: a sparse file of 1 TB",
                "drives r.mcap --map m.txt",
                "a record of the kind 0",
                move |folder| {
                    map(folder);
                    write(folder, "r.mcap", MAGIC);
                    sparse(&folder.join("r.mcap"), 1 << 40);
                },
            ),
            table("a table of one line", ["x,y\n1,", "1", "\n"], "bytes of one text are more than the limit of 65536"),
            table("a table of 16 million rows", ["x,y\n", "1,1\n", ""], "items are more than the limit of 2000000"),
            table(
                "a table of a million columns",
                ["", "x,", "y\n1,1\n"],
                "bytes of one text are more than the limit of 65536",
            ),
        ],
    );
}
