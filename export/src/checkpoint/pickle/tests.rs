use proptest::prelude::*;

use super::{Pickle, PickleError, Value};

fn bad(bytes: &[u8]) -> String {
    match Pickle::parse(bytes).expect_err("refused") {
        PickleError::Bad { reason, .. } => reason,
        PickleError::Foreign { global, .. } => panic!("foreign {global}"),
    }
}

#[test]
fn reads_integers_of_every_width() {
    let pickle =
        Pickle::parse(b"\x80\x02}(K\xffK\x01M\xff\xffK\x02J\xff\xff\xff\xffK\x03\x8a\x00K\x04\x8a\x02\x00\xffK\x05u.")
            .unwrap();
    let keys: Vec<_> = pickle.root().unwrap().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [255, 65535, -1, 0, -256].map(Value::Int));
}

#[test]
fn shares_objects_through_the_memo() {
    let pickle = Pickle::parse(b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01h\x01X\x01\x00\x00\x00bh\x00u.").unwrap();
    let root = pickle.root().unwrap();
    assert_eq!(root[0], (Value::Str("a"), Value::Str("a")));
    assert_eq!(root[1].1, Value::Object(0), "a dictionary may hold itself");
}

#[test]
fn names_foreign_globals_and_never_runs_them() {
    let error = Pickle::parse(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.").expect_err("refused");
    assert_eq!(error, PickleError::Foreign { global: "posix.system".into(), offset: 2 });
    // Neither control characters nor endless names reach the terminal.
    let long = [b"c\x1b[2J".as_slice(), &[b'x'; 1000], b"\nname\n"].concat();
    let PickleError::Foreign { global, .. } = Pickle::parse(&long).expect_err("refused") else { panic!("no global") };
    assert!(global.len() < 120 && !global.contains('\x1b'), "{global}");
}

#[test]
fn refuses_malformed_programs() {
    assert_eq!(bad(b""), "ends in the middle");
    assert_eq!(bad(b"\x80\x02X\xff\xff\xff\xffab"), "ends in the middle");
    assert_eq!(bad(b"ccollections\nOrdered"), "ends in the middle");
    assert_eq!(bad(b"."), "takes a value from an empty stack");
    assert_eq!(bad(b"K\x01(\x85."), "takes a value from an empty stack");
    assert_eq!(bad(b"K\x01t."), "takes values up to a mark that is not there");
    assert_eq!(bad(b"h\x05."), "recalls object 5, which it never stored");
    assert_eq!(bad(b"}(K\x01u."), "has a key without value");
    assert_eq!(bad(b"K\x01K\x02a."), "appends to something other than a list");
    assert_eq!(bad(b"]K\x02K\x03s."), "sets items of something other than a dictionary");
    assert_eq!(bad(b"]}b."), "sets items of something other than a dictionary");
    assert_eq!(bad(b"K\x01Q."), "refers to something other than a storage");
    assert_eq!(bad(b"K\x01)R."), "calls something other than a known function");
    assert_eq!(bad(b"ccollections\nOrderedDict\nK\x01\x85R."), "calls a function with arguments it does not take");
    assert_eq!(bad(b"X\x01\x00\x00\x00\xff."), "has a string that is not UTF-8");
    assert_eq!(bad(b"\x8a\x09\0\0\0\0\0\0\0\0\x01."), "has an integer of 9 bytes");
    assert_eq!(bad(b"\x8c\x01a."), "has opcode 0x8c, which no state dict needs");
    // The shape has a negative size.
    let negative = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x01tQ\
        K\x00J\xff\xff\xff\xff\x85K\x01\x85\x89NtR.";
    assert_eq!(bad(negative), "builds a tensor from something other than a storage, an offset, a shape and strides");
}

#[test]
fn bounds_objects_and_stack() {
    assert_eq!(bad(&vec![b'}'; 2 << 20]), "has more objects than a state dict can have");
    assert_eq!(bad(&vec![b'N'; 2 << 20]), "stacks more values than a state dict can have");
    assert_eq!(bad(&vec![b'('; 2 << 20]), "has more marks than a state dict can have");
    // Nesting is no recursion: neither reading nor dropping it uses up the call stack.
    let mut nested = vec![b')'];
    nested.extend(vec![0x85; 500_000]);
    nested.push(b'.');
    assert!(Pickle::parse(&nested).unwrap().root().is_none());
}

proptest! {
    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pickle::parse(&bytes);
    }

    /// Programs of known opcodes get further than random bytes do.
    #[test]
    fn survives_any_program(opcodes in prop::collection::vec(
        prop::sample::select(vec![
            b"(".as_slice(), b"N", b"\x88", b"K\x01", b"K\x00", b"J\xff\xff\xff\xff", b")", b"]", b"}", b"t", b"\x85", b"\x86",
            b"\x87", b"a", b"e", b"s", b"u", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"Q", b"R", b"b", b"\x8a\x01\x80",
            b"X\x07\x00\x00\x00storage", b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch._utils\n_rebuild_parameter\n", b"ccollections\nOrderedDict\n",
        ]),
        0..60,
    )) {
        let mut program = opcodes.concat();
        program.push(b'.');
        if let Ok(pickle) = Pickle::parse(&program) {
            for (key, value) in pickle.root().unwrap_or_default() {
                let _ = (pickle.describe(*key), pickle.tensor(*value));
            }
        }
    }
}
