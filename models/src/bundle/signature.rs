//! Signatures of bundles in minisign's format: a detached signature over the manifest, which has the hash of every file.

use std::fmt;
use std::path::Path;

use minisign_verify::{Error, PublicKey, Signature};
use trm_intake::Printable;

use super::{ModelBundle, SIGNATURE};
use crate::{ModelError, Result};
use trm_intake::file::read_limited;

/// A public key or a signature is a few lines of text.
const LIMIT: u64 = 16 << 10;

/// A public key whose signatures are believed.
///
/// ```
/// use trm_models::TrustedKey;
///
/// let key = TrustedKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3", "kiosk.toml")?;
/// assert!(key.to_string().starts_with("RWQf6"));
/// # Ok::<(), trm_models::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    text: String,
    key: PublicKey,
}

impl TrustedKey {
    /// A key as it stands in the second line of a `.pub` file: `RWQ…`, 56 characters. `origin` names it in messages.
    ///
    /// # Errors
    /// [`ModelError::BadKey`].
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |reason: &str| ModelError::BadKey {
            origin: Printable(origin).to_string(),
            reason: format!("`{}` {reason}", Printable(text)),
        };
        let key = PublicKey::from_base64(text).map_err(|error| match error {
            Error::UnsupportedAlgorithm => bad("is a key of another kind"),
            _ => bad("is not a minisign public key"),
        })?;
        Ok(Self { text: text.to_owned(), key })
    }

    /// A `.pub` file as minisign and `trm sign --generate-key` write it, or one with nothing but the key.
    ///
    /// # Errors
    /// [`ModelError::BadKey`], [`ModelError::File`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_limited(path, LIMIT, "public key")?;
        let text = String::from_utf8_lossy(&bytes);
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
        Self::parse(line.unwrap_or_default(), &path.display().to_string())
    }

    /// A key as it is given on a command line: its text, or the path of its file.
    ///
    /// # Errors
    /// Those of [`TrustedKey::read`], or of [`TrustedKey::parse`] where there is no such file.
    pub fn given(text: &str) -> Result<Self> {
        match Self::parse(text, "the key") {
            Ok(key) => Ok(key),
            Err(_) if Path::new(text).exists() => Self::read(Path::new(text)),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A signature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key that it was made with.
    pub key: TrustedKey,
    /// The comment that was signed with the manifest. Text from outside: show it through [`Printable`].
    pub trusted_comment: String,
}

impl ModelBundle {
    /// Verifies the bundle's signature: that one of the keys signed the manifest which this bundle was opened with. What
    /// the manifest says of the files is checked as they are read, or by [`ModelBundle::verify`].
    ///
    /// # Errors
    /// [`ModelError::Unsigned`] without a signature; [`ModelError::BadSignature`] where it is another key's, another
    /// manifest's, or none at all.
    pub fn verify_signature(&self, trusted: &[TrustedKey]) -> Result<Signed> {
        let bad = |reason: String, hint| ModelError::BadSignature { bundle: self.label(), reason, hint };
        let damaged = "copy the bundle again; `trm sign` or `minisign -S` signs a bundle of one's own";
        let Some(text) = self.signature_text()? else {
            return Err(ModelError::Unsigned { bundle: self.label() });
        };
        let signature = Signature::decode(&text)
            .map_err(|_| bad(format!("{SIGNATURE} is not a signature of minisign's"), damaged))?;
        let mut signed_with_a_trusted_key = false;
        for trusted in trusted {
            match trusted.key.verify(self.manifest_bytes(), &signature, true) {
                Ok(()) => {
                    let trusted_comment = signature.trusted_comment().to_owned();
                    return Ok(Signed { key: trusted.clone(), trusted_comment });
                }
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => signed_with_a_trusted_key = true,
            }
        }
        if signed_with_a_trusted_key {
            return Err(bad("the signature is not one of this manifest: one of the two was changed".into(), damaged));
        }
        let keys = trusted.iter().map(TrustedKey::to_string).collect::<Vec<_>>().join(", ");
        let hint = "ask whoever made the bundle for the public key, and trust it only if you trust them";
        Err(bad(format!("it was signed with another key than {keys}"), hint))
    }

    fn signature_text(&self) -> Result<Option<String>> {
        let Some(folder) = self.folder() else { return Ok(None) };
        let path = folder.join(SIGNATURE);
        if !path.exists() {
            return Ok(None);
        }
        self.check_is_file(SIGNATURE, &path)?;
        Ok(Some(String::from_utf8_lossy(&read_limited(&path, LIMIT, "signature")?).into_owned()))
    }
}
