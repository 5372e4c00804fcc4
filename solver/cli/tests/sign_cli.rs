//! `trm sign` and `trm verify`, and the program minisign beside them.
#![expect(clippy::disallowed_methods, reason = "tests start programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use trm_models::{MANIFEST, ModelBundle, SIGNATURE};

fn trm(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trm"));
    command.args(arguments).env_remove("TRM_SIGN_PASSWORD").output().expect("trm runs")
}

#[track_caller]
fn expect(output: &Output, code: i32, said: &str) {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{said:?} is not in {text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tests/fixtures").join(name)
}

/// A folder with a copy of a shipped bundle, and a key pair.
struct Signing {
    folder: tempfile::TempDir,
    bundle: PathBuf,
    secret: PathBuf,
    public: PathBuf,
}

impl Signing {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let bundle = folder.path().join("sudoku-4");
        fs::create_dir(&bundle).expect("a folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/sudoku-4");
        for file in ModelBundle::open(&from).expect("a bundle").manifest().file_names().chain([MANIFEST]) {
            fs::copy(from.join(file), bundle.join(file)).expect("copied");
        }
        let (secret, public) = (folder.path().join("me.key"), folder.path().join("me.pub"));
        expect(
            &trm(&["sign", "--generate-key", text(&secret), "--no-password"]),
            0,
            "the public key, to verify with: RW",
        );
        Self { folder, bundle, secret, public }
    }

    fn sign(&self, extra: &[&str]) -> Output {
        trm(&[&["sign", text(&self.bundle), "--key", text(&self.secret)], extra].concat())
    }

    fn verify(&self) -> Output {
        trm(&["verify", text(&self.bundle), "--trust", text(&self.public)])
    }

    fn key(&self) -> String {
        fs::read_to_string(&self.public).expect("a key").lines().nth(1).expect("two lines").to_owned()
    }
}

#[test]
fn what_is_signed_here_is_verified_here() {
    let signing = Signing::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&signing.secret).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else reads a secret key");
    }
    expect(&signing.verify(), 1, "not verified: ");
    expect(&signing.verify(), 1, "not signed: there is no manifest.json.minisig\nhint: ");
    expect(&signing.sign(&["--comment", "release 7"]), 0, "sudoku-4 is signed, with the key of RW");
    let output = signing.verify();
    expect(&output, 0, "sudoku-4: verified\n  signed with RW");
    expect(&output, 0, "\n  release 7\n");
    expect(&output, 0, "every hash right");
    // By the key's text as well, and among others.
    let other = fixture("other.pub");
    expect(&trm(&["verify", text(&signing.bundle), "--trust", text(&other), "--trust", &signing.key()]), 0, "verified");
    // A signature is no file that anything else stumbles over.
    expect(&trm(&["inspect", text(&signing.bundle)]), 0, "every hash verified");
    // Signed again, the default comment says when and what.
    expect(&signing.sign(&[]), 0, "is signed");
    expect(&signing.verify(), 0, "file:manifest.json\\tbundle:sudoku-4");
    // Keys are not replaced, and comments are one line.
    expect(&trm(&["sign", "--generate-key", text(&signing.secret), "--no-password"]), 2, "is already there");
    expect(&signing.sign(&["--comment", "a\u{1b}[2Jb"]), 2, "has a line break or another control character");
    expect(&signing.sign(&["--comment", &"x".repeat(2_000)]), 2, "2000 bytes, expected at most 1000");
}

#[test]
fn everything_that_is_not_as_it_was_signed_is_said() {
    let signing = Signing::new();
    expect(&signing.sign(&[]), 0, "is signed");
    let path = |name: &str| signing.bundle.join(name);
    let with = |name: &str, change: &dyn Fn(&mut Vec<u8>), code: i32, said: &str| {
        let before = fs::read(path(name)).expect("a file");
        let mut bytes = before.clone();
        change(&mut bytes);
        fs::write(path(name), &bytes).expect("written");
        expect(&signing.verify(), code, said);
        fs::write(path(name), &before).expect("written");
    };
    with("step.onnx", &|bytes| bytes[100] ^= 1, 1, "not verified: ");
    with("step.onnx", &|bytes| bytes[100] ^= 1, 1, "file step.onnx is damaged or not the bundle's own: SHA-256 is");
    with("card.md", &|bytes| bytes.push(b' '), 1, "file card.md is damaged");
    with(MANIFEST, &|bytes| bytes.push(b'\n'), 1, "the signature is not one of this manifest");
    with(MANIFEST, &|bytes| bytes.truncate(100), 1, "bad manifest.json");
    with(SIGNATURE, &|bytes| bytes.clear(), 1, "manifest.json.minisig is not a signature of minisign's");
    let other = fixture("signer.pub");
    expect(
        &trm(&["verify", text(&signing.bundle), "--trust", text(&other)]),
        1,
        "it was signed with another key than RW",
    );

    fs::write(path("evil.so"), b"x").expect("written");
    expect(&signing.verify(), 1, "evil.so is not in the manifest");
    fs::remove_file(path("evil.so")).expect("removed");
    fs::rename(path("step.onnx"), signing.folder.path().join("away")).expect("moved");
    expect(&signing.verify(), 1, "step.onnx");
    fs::rename(signing.folder.path().join("away"), path("step.onnx")).expect("moved");
    expect(&signing.verify(), 0, "verified");

    // Wrong usage is not a bundle that fails.
    expect(&trm(&["verify", text(&signing.bundle), "--trust", "RWnokey"]), 2, "`RWnokey` is not a minisign public key");
    expect(
        &trm(&["verify", text(&signing.bundle), "--trust", text(&signing.secret)]),
        2,
        "is not a minisign public key",
    );
    expect(&trm(&["verify", text(&signing.bundle)]), 2, "--trust");
    expect(&trm(&["verify", text(signing.folder.path()), "--trust", &signing.key()]), 2, "not a model bundle");
    expect(&trm(&["sign", text(&signing.bundle), "--key", text(&signing.public)]), 2, "no secret key\nhint: ");
    expect(&trm(&["sign", text(&signing.bundle), "--key", "/dev/zero"]), 2, "more than the limit");
    expect(&trm(&["sign", text(&signing.bundle)]), 2, "--key");
    // What is damaged is not signed.
    fs::write(path("card.md"), b"x").expect("written");
    expect(&signing.sign(&[]), 2, "file card.md is damaged");
}

#[test]
fn a_bundle_that_minisign_signed_is_verified() {
    let [bundle, key] = ["signed", "signer.pub"].map(fixture);
    let output = trm(&["verify", text(&bundle), "--trust", text(&key)]);
    expect(&output, 0, "maze-3: verified\n  signed with RWSV3yWZYDFUOiEHcUef8FRbV8gCncHUBvW4eQDw+lBILbu23Ki7HODU\n");
    expect(&output, 0, "  maze-3 of the fixture, signed by minisign 0.11\n  2 files, ");
}

#[test]
fn a_key_that_minisign_made_without_password_signs() {
    let signing = Signing::new();
    let [secret, public] = ["throwaway-without-password.key", "throwaway-without-password.pub"].map(fixture);
    let bundle = text(&signing.bundle);
    expect(&trm(&["sign", bundle, "--key", text(&secret)]), 0, "is signed, with the key of RWS32sQ99v27lo");
    expect(&trm(&["verify", bundle, "--trust", text(&public)]), 0, "verified");
    // A damaged one is said to be, and no password is asked for: of minisign's, and of ours, which have a checksum.
    let keys = [(&secret, "Could not verify signature"), (&signing.secret, "Corrupted key\nhint: ")];
    for (key, said) in keys {
        let key = fs::read_to_string(key).expect("a key");
        let (comment, line) = key.split_once('\n').expect("two lines");
        let damaged = signing.folder.path().join("damaged.key");
        // A character of the key's first half.
        let other = if &line[90..91] == "A" { "B" } else { "A" };
        fs::write(&damaged, format!("{comment}\n{}{other}{}", &line[..90], &line[91..])).expect("written");
        expect(&trm(&["sign", bundle, "--key", text(&damaged)]), 2, said);
    }
}

#[test]
fn a_comment_is_shown_without_what_a_terminal_obeys() {
    let signing = Signing::new();
    let key = fs::read_to_string(&signing.secret).expect("a key");
    let key = minisign::SecretKeyBox::from_string(&key).and_then(minisign::SecretKeyBox::into_unencrypted_secret_key);
    let manifest = fs::read(signing.bundle.join(MANIFEST)).expect("a manifest");
    let comment = "ok\u{1b}]0;gone\u{7}\u{202e}";
    let signature =
        minisign::sign(None, &key.expect("a key"), manifest.as_slice(), Some(comment), None).expect("signed");
    fs::write(signing.bundle.join(SIGNATURE), signature.into_string()).expect("written");
    expect(&signing.verify(), 0, "  ok\\u{1b}]0;gone\\u{7}\\u{202e}\n");
}

/// `cargo xtask test` leaves these out, and says so, where the program minisign is not installed.
mod minisign_program {
    use super::*;

    #[test]
    fn verifies_what_is_signed_here() {
        let signing = Signing::new();
        expect(&signing.sign(&[]), 0, "is signed");
        let manifest = signing.bundle.join(MANIFEST);
        let minisign = |arguments: &[&str]| {
            Command::new("minisign").args(arguments).output().expect("minisign runs (apt-get install minisign)")
        };
        let verified = minisign(&["-V", "-p", text(&signing.public), "-m", text(&manifest)]);
        expect(&verified, 0, "Signature and comment signature verified");
        let signed = minisign(&["-S", "-W", "-s", text(&signing.secret), "-m", text(&manifest), "-t", "by minisign"]);
        expect(&signed, 0, "");
        expect(&signing.verify(), 0, "\n  by minisign\n");
        // And a key of its own.
        let [secret, public] = ["own.key", "own.pub"].map(|name| signing.folder.path().join(name));
        expect(&minisign(&["-G", "-W", "-s", text(&secret), "-p", text(&public)]), 0, "");
        expect(&trm(&["sign", text(&signing.bundle), "--key", text(&secret)]), 0, "is signed");
        expect(&minisign(&["-V", "-p", text(&public), "-m", text(&manifest)]), 0, "comment signature verified");
    }
}
