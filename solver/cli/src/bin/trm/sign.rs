//! `trm sign`: signs a bundle's manifest in minisign's format, so that whoever has the public key knows who made it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use trm_cli::{Exit, console};
use trm_intake::file::write_atomically;
use trm_intake::{Budget, Limits, Printable};
use trm_models::{MANIFEST, ModelBundle, SIGNATURE, TrustedKey};

/// Where the password comes from if not from the terminal.
const PASSWORD: &str = "TRM_SIGN_PASSWORD";
/// A secret key is two lines.
const KEY_LIMITS: Limits = Limits { bytes: 16 << 10, items: 0, depth: 0, time: None };
/// Bytes of the second one: algorithms, salt and limits of the password, number, key, checksum.
const KEY_BYTES: usize = 158;
/// Bytes of the checksum at its end.
const CHECKSUM_BYTES: usize = 32;
/// Longer comments are cut off or refused by minisign.
const LONGEST_COMMENT: usize = 1_000;

/// Sign a bundle, so that `trm verify` and kiosks can tell who made it.
///
/// Every file is checked against the manifest first, then the manifest is signed: into manifest.json.minisig, as
/// `minisign -S -m manifest.json` does. Keys of minisign's are taken, and minisign takes those made here. The password
/// comes from the terminal, or from the variable `TRM_SIGN_PASSWORD`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle's folder
    #[arg(required_unless_present = "generate_key")]
    bundle: Option<PathBuf>,
    /// The secret key
    #[arg(long, value_name = "FILE", required_unless_present = "generate_key")]
    key: Option<PathBuf>,
    /// Text that is signed as well, and shown by whoever verifies
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Make a key pair and sign nothing: the secret key in FILE, the public one beside it, with the ending .pub
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "key", "comment"])]
    generate_key: Option<PathBuf>,
    /// With --generate-key: protect the secret key by no password
    #[arg(long, requires = "generate_key")]
    no_password: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    match (&args.generate_key, &args.bundle, &args.key) {
        (Some(path), ..) => generate(path, args.no_password),
        (None, Some(bundle), Some(key)) => sign(bundle, key, args.comment.as_deref()),
        _ => bail!("nothing to sign\nhint: give a bundle and --key FILE"),
    }
}

fn sign(folder: &Path, key: &Path, comment: Option<&str>) -> Result<Exit> {
    let bundle = ModelBundle::open(folder)?;
    bundle.verify()?;
    let name = Printable(&bundle.manifest().name).to_string();
    let comment = match comment {
        Some(comment) if comment.len() > LONGEST_COMMENT => {
            bail!("--comment: {} bytes, expected at most {LONGEST_COMMENT}", comment.len());
        }
        Some(comment) if comment.chars().any(char::is_control) => {
            bail!("--comment: `{}` has a line break or another control character", Printable(comment));
        }
        Some(comment) => comment.to_owned(),
        None => format!("timestamp:{}\tfile:{MANIFEST}\tbundle:{name}", seconds()),
    };
    let secret = secret_key(key)?;
    let public = PublicKey::from_secret_key(&secret).map_err(|error| anyhow!("{}: {error}", key.display()))?;
    let untrusted = "signature of a trm bundle's manifest";
    let signature = minisign::sign(Some(&public), &secret, bundle.manifest_bytes(), Some(&comment), Some(untrusted))
        .map_err(|error| anyhow!("cannot sign with {}: {error}", key.display()))?;
    write_atomically(&folder.join(SIGNATURE), |file| file.write_all(signature.to_string().as_bytes()))?;
    // Read back: what lies there now is what others will verify.
    let trusted = TrustedKey::parse(&public.to_base64(), "the public key")?;
    ModelBundle::open(folder)?.verify_signature(std::slice::from_ref(&trusted))?;
    let mut out = console::stdout();
    writeln!(out, "{}: {name} is signed, with the key of {trusted}", folder.join(SIGNATURE).display())?;
    writeln!(out, "verify it: trm verify {} --trust {trusted}", folder.display())?;
    Ok(Exit::Done)
}

fn generate(path: &Path, no_password: bool) -> Result<Exit> {
    let public_path = path.with_extension("pub");
    if public_path == path {
        bail!("{}: that is the name of the public key\nhint: --generate-key trm.key", path.display());
    }
    for path in [path, &public_path] {
        if path.symlink_metadata().is_ok() {
            bail!("{} is already there\nhint: a key is never replaced: choose another name", path.display());
        }
    }
    let failed = |error: minisign::PError| anyhow!("cannot make a key pair: {error}");
    let pair = if no_password {
        KeyPair::generate_unencrypted_keypair().map_err(failed)?
    } else {
        let password = password("password for the new key: ")?;
        if password.is_empty() {
            bail!("the password is empty\nhint: --no-password makes a key without one");
        }
        if std::env::var_os(PASSWORD).is_none() && self::password("once more: ")? != password {
            bail!("the passwords differ");
        }
        KeyPair::generate_encrypted_keypair(Some(password)).map_err(failed)?
    };
    let secret = pair.sk.to_box(Some("secret key of trm sign")).map_err(failed)?.to_string();
    let public = pair.pk.to_box().map_err(failed)?.to_string();
    write_secret(path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
    write_atomically(&public_path, |file| file.write_all(public.as_bytes()))?;
    let mut out = console::stdout();
    writeln!(out, "{}: the secret key, to sign with; keep it to yourself", path.display())?;
    writeln!(out, "{}: the public key, to verify with: {}", public_path.display(), pair.pk.to_base64())?;
    Ok(Exit::Done)
}

/// Readable by its owner only, and never in place of another file.
fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn secret_key(path: &Path) -> Result<SecretKey> {
    let bytes = Budget::new(KEY_LIMITS).read_file(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let no_key = "hint: expected a secret key, as `trm sign --generate-key` or `minisign -G` writes it";
    let refuse = |error: minisign::PError| anyhow!("{}: {error}\n{no_key}", path.display());
    let line = text.lines().nth(1).unwrap_or_default().trim();
    // What is no key at all is not asked a password for.
    let key = STANDARD.decode(line).ok().filter(|key| key.len() == KEY_BYTES && key.starts_with(b"Ed"));
    let Some(key) = key else { bail!("{}: no secret key\n{no_key}", path.display()) };
    let boxed = SecretKeyBox::from_string(&text).map_err(refuse)?;
    if key[2..4] != [0, 0] {
        return boxed.into_secret_key(Some(password("password of the key: ")?)).map_err(refuse);
    }
    // The program minisign writes, and reads, keys without a password without a checksum. Signing finds a damaged one all
    // the same: the signature is held against the key's public half.
    if key[KEY_BYTES - CHECKSUM_BYTES..].iter().all(|&byte| byte == 0) {
        return SecretKey::from_bytes(&key).map_err(refuse);
    }
    boxed.into_unencrypted_secret_key().map_err(refuse)
}

fn password(prompt: &str) -> Result<String> {
    if let Some(password) = std::env::var_os(PASSWORD) {
        return password.into_string().map_err(|_| anyhow!("{PASSWORD} is not UTF-8"));
    }
    rpassword::prompt_password(prompt)
        .with_context(|| format!("cannot ask for the password\nhint: without a terminal, {PASSWORD} holds it"))
}

fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
