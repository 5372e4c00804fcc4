use proptest::prelude::*;

use trm_intake::{Budget, Limits};

use super::{Global, Pickle, PickleError, StorageType, Value};

fn budget() -> Budget {
    Budget::new(Limits { bytes: 32 << 20, items: 1 << 19, depth: 8, time: None })
}

fn parse(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    Pickle::parse(bytes, &mut budget())
}

fn bad(bytes: &[u8]) -> String {
    match parse(bytes).expect_err("refused") {
        PickleError::Bad { reason, .. } => reason,
        PickleError::Foreign { global, .. } => panic!("foreign {global}"),
    }
}

#[test]
fn reads_integers_of_every_width() {
    let pickle =
        parse(b"\x80\x02}(K\xffK\x01M\xff\xffK\x02J\xff\xff\xff\xffK\x03\x8a\x00K\x04\x8a\x02\x00\xffK\x05u.").unwrap();
    let keys: Vec<_> = pickle.root().unwrap().iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [255, 65535, -1, 0, -256].map(Value::Int));
}

#[test]
fn shares_objects_through_the_memo() {
    let pickle = parse(b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01h\x01X\x01\x00\x00\x00bh\x00u.").unwrap();
    let root = pickle.root().unwrap();
    assert_eq!(root[0], (Value::Str("a"), Value::Str("a")));
    assert_eq!(root[1].1, Value::Object(0), "a dictionary may hold itself");
}

#[test]
fn names_foreign_globals_and_never_runs_them() {
    let error = parse(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.").expect_err("refused");
    assert_eq!(error, PickleError::Foreign { global: "posix.system".into(), offset: 2 });
    // Neither control characters nor endless names reach the terminal.
    let long = [b"c\x1b[2J".as_slice(), &[b'x'; 1000], b"\nname\n"].concat();
    let PickleError::Foreign { global, .. } = parse(&long).expect_err("refused") else { panic!("no global") };
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
    assert_eq!(bad(b"\x80\x06N."), "is of pickle protocol 6, expected 2 to 5");
    assert_eq!(bad(b"\x82\x01."), "has opcode 0x82, which no state dict needs");
    assert_eq!(bad(b"\x97."), "has opcode 0x97, which no state dict needs");
    assert_eq!(bad(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffab"), "ends in the middle");
    assert_eq!(bad(b"K\x01K\x02\x93."), "refers to a global whose name is no string");
    // The shape has a negative size.
    let negative = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x01tQ\
        K\x00J\xff\xff\xff\xff\x85K\x01\x85\x89NtR.";
    assert_eq!(bad(negative), "builds a tensor from something other than a storage, an offset, a shape and strides");
}

#[test]
fn bounds_objects_and_stack() {
    let too_much = |bytes: &[u8]| {
        let reason = bad(bytes);
        assert!(reason.starts_with("asks for more than a checkpoint of this size can hold: "), "{reason}");
    };
    too_much(&b"}0".repeat(1 << 20));
    // One list, recalled into itself over and over.
    let recalled = b"h\x00".repeat(1000);
    too_much(&[b"]q\x00".as_slice(), &[b"(".as_slice(), &recalled, b"e"].concat().repeat(1000)].concat());
    too_much(&[b"}q\x00".as_slice(), &[b"(".as_slice(), &recalled, b"u"].concat().repeat(1000)].concat());
    too_much(&[b"N".as_slice(), &b"\x94".repeat(1 << 20)].concat());
    assert_eq!(bad(&vec![b'N'; 2 << 20]), "stacks more values than a state dict can have");
    assert_eq!(bad(&vec![b'('; 2 << 20]), "has more marks than a state dict can have");
    // Nesting is no recursion: neither reading nor dropping it uses up the call stack.
    let mut nested = vec![b')'];
    nested.extend(vec![0x85; 100_000]);
    nested.push(b'.');
    assert!(parse(&nested).unwrap().root().is_none());
    // A shape of a thousand dimensions.
    let ones = b"K\x01".repeat(1000);
    let wide = [
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x01tQK\x00(",
        ones.as_slice(),
        b"tq\x00h\x00\x89NtR.",
    ];
    assert_eq!(bad(&wide.concat()), "has a tensor of 1000 dimensions, more than torch's 64");
}

#[test]
fn reads_plain_data_of_every_protocol() {
    // A frame, a short string, a set, bytes, a large integer, memoised by position.
    let pickle = parse(b"\x80\x05\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x8f\x94(K\x01K\x02\x90\x8c\x01bC\x02xy\x8c\x01c\x8a\x09\0\0\0\0\0\0\0\0\x01u.");
    let pickle = pickle.unwrap();
    let root = pickle.root().unwrap();
    assert_eq!(pickle.items(root[0].1), Some([Value::Int(1), Value::Int(2)].as_slice()));
    assert_eq!((root[1].1, root[2].1), (Value::Bytes, Value::BigInt));
    let text = |program: &[u8]| {
        let program = [b"\x80\x02", program, b"."].concat();
        let pickle = parse(&program).unwrap();
        let what = pickle.describe(pickle.value());
        (what, pickle.items(pickle.value()).map(<[_]>::len))
    };
    assert_eq!(text(b"ctorch\nSize\n(K\x02K\x03t\x85R"), ("a tuple", Some(2)));
    assert_eq!(text(b"ctorch\ndevice\nX\x04\x00\x00\x00cudaK\x00\x86R"), ("a device", None));
    assert_eq!(text(b"c__builtin__\nset\n](K\x01K\x02e\x85R"), ("a list", Some(2)));
    assert_eq!(text(b"ccollections\ndefaultdict\nc__builtin__\nint\n\x85R"), ("a dictionary", None));
    assert_eq!(text(b"ccollections\nOrderedDict\n]\x85R"), ("a dictionary", None));
    assert_eq!(text(b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R"), ("bytes", None));
    assert_eq!(text(b"cargparse\nNamespace\n)\x81}X\x02\x00\x00\x00lrK\x01sb"), ("a namespace", None));
    let dtype = parse(b"ctorch\nbfloat16\n.").unwrap();
    assert_eq!(dtype.value(), Value::Global(Global::Dtype(StorageType::BFloat16)));
}

#[test]
fn integers_keep_their_sign_at_any_length() {
    let int = |digits: &[u8]| match parse(&[&[0x8a, digits.len() as u8], digits, b"."].concat()).unwrap().value() {
        Value::Int(int) => Some(int),
        Value::BigInt => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(int(&[0xff]), Some(-1));
    assert_eq!(int(&[0xff, 0]), Some(255));
    assert_eq!(int(&[0xff; 12]), Some(-1));
    assert_eq!(int(&[5, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(5));
    assert_eq!(int(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]), None, "2^63");
    assert_eq!(int(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Some(i64::MIN));
}

#[test]
fn settings_become_json_within_the_budget() {
    let pickle =
        parse(b"}(X\x01\x00\x00\x00a](K\x01G\x3f\xe0\0\0\0\0\0\0NeX\x01\x00\x00\x00bctorch\nfloat32\nu.").unwrap();
    let fields = pickle.settings(pickle.value(), &mut budget()).expect("within").expect("a mapping");
    assert_eq!(serde_json::Value::Object(fields), serde_json::json!({"a": [1, 0.5, null], "b": "float32"}));
    // Lists that hold the one before twice: 40 of them stand for a billion values.
    let doubled = |depth: u8| {
        let mut program = b"}X\x01\x00\x00\x00a)q\x00".to_vec();
        for at in 1..=depth {
            program.extend([b'h', at - 1, 0x86, b'q', at]);
        }
        program.extend(b"s.");
        program
    };
    let program = doubled(40);
    let pickle = parse(&program).expect("forty pairs");
    assert!(pickle.settings(pickle.value(), &mut budget()).is_err());
}

proptest! {
    #[test]
    fn survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    /// Programs of known opcodes get further than random bytes do.
    #[test]
    fn survives_any_program(opcodes in prop::collection::vec(
        prop::sample::select(vec![
            b"(".as_slice(), b"N", b"\x88", b"K\x01", b"K\x00", b"J\xff\xff\xff\xff", b")", b"]", b"}", b"t", b"\x85", b"\x86",
            b"\x87", b"a", b"e", b"s", b"u", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"Q", b"R", b"b", b"\x8a\x01\x80",
            b"X\x07\x00\x00\x00storage", b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ctorch._utils\n_rebuild_parameter\n", b"ccollections\nOrderedDict\n", b"\x81", b"\x94", b"\x8f", b"\x90", b"\x91",
            b"\x8c\x01a", b"0", b"1", b"2", b"cargparse\nNamespace\n", b"c__builtin__\nset\n", b"\x93",
        ]),
        0..60,
    )) {
        let mut program = opcodes.concat();
        program.push(b'.');
        if let Ok(pickle) = parse(&program) {
            for (key, value) in pickle.root().unwrap_or_default() {
                let _ = (pickle.describe(*key), pickle.tensor(*value));
            }
        }
    }
}
