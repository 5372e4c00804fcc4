use trm_intake::explained;

use super::*;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of the signed fixture, with another signature where one is given.
fn signed(to: &Path, signature: Option<&str>) -> std::path::PathBuf {
    let target = to.join("signed");
    std::fs::create_dir(&target).expect("folder");
    for name in ["manifest.json", "step.onnx", "card.md", SIGNATURE] {
        std::fs::copy(fixture("signed").join(name), target.join(name)).expect("copied");
    }
    if let Some(name) = signature {
        std::fs::copy(fixture(name), target.join(SIGNATURE)).expect("copied");
    }
    target
}

#[test]
fn what_the_program_minisign_signed_is_verified() {
    let [signer, other] = ["signer.pub", "other.pub"].map(|name| TrustedKey::read(&fixture(name)).expect("a key"));
    assert_eq!(TrustedKey::given(&signer.to_string()).expect("a key"), signer);
    assert_eq!(TrustedKey::given(fixture("signer.pub").to_str().expect("UTF-8")).expect("a key"), signer);
    let bundle = ModelBundle::open(fixture("signed")).expect("a bundle");
    let found = bundle.verify_signature(&[other.clone(), signer.clone()]).expect("signed");
    assert_eq!(
        (&found.key, found.trusted_comment.as_str()),
        (&signer, "maze-3 of the fixture, signed by minisign 0.11")
    );
    bundle.verify().expect("whole");

    let error = explained(&bundle.verify_signature(std::slice::from_ref(&other)).expect_err("another's"));
    assert!(error.contains(&format!("it was signed with another key than {other}\nhint: ")), "{error}");
    let folder = tempfile::tempdir().expect("folder");
    let legacy = ModelBundle::open(signed(folder.path(), Some("legacy.minisig"))).expect("a bundle");
    legacy.verify_signature(std::slice::from_ref(&signer)).expect("signed in the older format");
    let folder = tempfile::tempdir().expect("folder");
    let others = ModelBundle::open(signed(folder.path(), Some("other.minisig"))).expect("a bundle");
    assert!(others.verify_signature(std::slice::from_ref(&signer)).is_err());
    others.verify_signature(std::slice::from_ref(&other)).expect("signed");
}

#[test]
fn a_changed_manifest_signature_or_comment_is_not_verified() {
    let key = TrustedKey::read(&fixture("signer.pub")).expect("a key");
    let refused = |change: &dyn Fn(&Path), expected: &str| {
        let folder = tempfile::tempdir().expect("folder");
        let target = signed(folder.path(), None);
        change(&target);
        let bundle = ModelBundle::open(&target).expect("a bundle");
        let error = explained(&bundle.verify_signature(std::slice::from_ref(&key)).expect_err("changed"));
        assert!(error.contains(expected) && error.contains("\nhint: "), "{error}");
    };
    let replace = |file: &str, from: &str, to: &str| {
        let (file, from, to) = (file.to_owned(), from.to_owned(), to.to_owned());
        move |target: &Path| {
            let text = std::fs::read_to_string(target.join(&file)).expect("text");
            assert!(text.contains(&from));
            std::fs::write(target.join(&file), text.replacen(&from, &to, 1)).expect("written");
        }
    };
    let changed = "the signature is not one of this manifest: one of the two was changed";
    refused(&replace("manifest.json", "maze-3", "maze-4"), changed);
    refused(&replace("manifest.json", "\n", "\n "), changed);
    refused(&replace(SIGNATURE, "of the fixture", "of mine"), changed);
    refused(&replace(SIGNATURE, "\ntrusted comment: ", "\ncomment: "), "is not a signature of minisign's");
    refused(&|target| std::fs::write(target.join(SIGNATURE), [0xff; 40]).expect("written"), "is not a signature");
    refused(&|target| std::fs::remove_file(target.join(SIGNATURE)).expect("removed"), "not signed: there is no");
    // No key, no trust.
    let bundle = ModelBundle::open(fixture("signed")).expect("a bundle");
    assert!(bundle.verify_signature(&[]).is_err());
    // A huge signature is not read.
    let folder = tempfile::tempdir().expect("folder");
    let target = signed(folder.path(), None);
    std::fs::File::create(target.join(SIGNATURE)).expect("file").set_len(1 << 40).expect("sparse");
    let bundle = ModelBundle::open(&target).expect("a bundle");
    let error = explained(&bundle.verify_signature(std::slice::from_ref(&key)).expect_err("too large"));
    assert!(error.contains("more than the 16384 that a signature may have"), "{error}");
}

#[test]
fn keys_that_are_none_are_refused() {
    for text in
        ["", "RWQ", "RUSV3yWZYDFUOkIGF/K4GWfAT3KrwLyNRlrNPuQnoSq+ZRc1a768UYSl7ObaIRvQ", "ssh-ed25519 AAAAC3Nz", "ü"]
    {
        let error = explained(&TrustedKey::parse(text, "kiosk.toml").expect_err("no key"));
        assert!(error.starts_with("kiosk.toml: `") && error.contains("\nhint: expected 56 characters"), "{error}");
    }
    let secret = "RWRTY0Iyq6GkB5iHa2kOHn1r2ZJxUGBgFk1mZ0x0eXAAAAACAAAAAAAAAEAAAAAA";
    assert!(TrustedKey::parse(secret, "x").is_err());
    assert!(TrustedKey::given("/nowhere/at/all.pub").is_err());
    let zero = "A".repeat(56);
    assert!(explained(&TrustedKey::parse(&zero, "x").expect_err("none")).contains("is a key of another kind"));
}
