//! Service API keys and upstream secrets: made, kept in private files of the workspace folder, masked for people.

use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs::{self, FileLock};
use crate::home;
use crate::origin::Origin;
use crate::text;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};

const KEY_START: &str = "sk_live_";
/// Our lock in the folder.
const LOCK: &str = ".sigilum-authz-notify.lock";
const SIZE_CAP: u64 = 64 * 1024;

/// The folder of key and secret files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    dir: PathBuf,
}

/// A secret from its file, or made just now.
#[derive(Debug)]
pub struct Kept {
    /// The secret.
    pub secret: SecretString,
    /// Whether it was made just now.
    pub created: bool,
}

impl Workspace {
    /// The folder in force: `GATEWAY_SIGILUM_HOME` → `<checkout>/.sigilum-workspace` →
    /// `<OpenClaw home>/.sigilum-workspace`. It need not exist.
    ///
    /// # Errors
    /// What names it is no path.
    pub fn find(env: &Env, checkout: Option<&Path>, openclaw_home: &Path) -> Result<Self> {
        const VARIABLE: &str = "GATEWAY_SIGILUM_HOME";
        let Some(named) = env.named_path(VARIABLE) else {
            return Ok(Self::in_folder(checkout.unwrap_or(openclaw_home)));
        };
        let dir = home::absolute(&env.expand_tilde(named));
        let dir = dir.map_err(|error| Origin::Env(VARIABLE).blame("the folder", error))?;
        Ok(Self { dir })
    }

    /// That of a checkout or an OpenClaw home.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            dir: folder.join(".sigilum-workspace"),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whoever works in the folder holds this.
    pub fn lock_file(&self) -> PathBuf {
        self.dir.join(LOCK)
    }

    /// Removes the folder where nothing is in it but the lock, and nobody has that. `owner`: whose it must be, where it is
    /// another user's.
    pub fn remove_unused(&self, owner: Option<u32>) -> Result<()> {
        let is_folder = self.dir.symlink_metadata().is_ok_and(|about| about.is_dir());
        let names = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        if !is_folder || names.into_iter().any(|entry| entry.file_name() != LOCK) {
            return Ok(());
        }
        if self.lock_file().exists() {
            let Some(_lock) = FileLock::try_acquire(&self.lock_file(), owner)? else {
                return Ok(());
            };
            fs::remove(&self.lock_file())?;
        }
        fs::remove_empty_folder(&self.dir).map(drop)
    }

    /// Whether a key or a secret of a service lies there.
    pub fn holds_secrets(&self) -> bool {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .any(|name| Self::is_secret(&name))
    }

    /// Whether a file of this name in the folder is ours and holds a secret.
    pub fn is_secret(name: &str) -> bool {
        name.starts_with("service-api-key-") || name.starts_with("gateway-connection-secret-")
    }

    /// `service-api-key-<stem>`; the stem is the database's `Slot::file_stem`.
    pub fn key_file(&self, stem: &str) -> PathBuf {
        self.dir.join(format!("service-api-key-{stem}"))
    }

    /// `gateway-connection-secret-<slug>`
    pub fn upstream_secret_file(&self, slug: &str) -> PathBuf {
        self.dir.join(format!("gateway-connection-secret-{slug}"))
    }

    /// The stored service key. An empty file counts as none.
    ///
    /// # Errors
    /// What is in the file is not a service key: it is not overwritten, since it may be of use to someone.
    pub fn key(&self, stem: &str) -> Result<Option<SecretString>> {
        let path = self.key_file(stem);
        let Some(key) = read(&path)? else { return Ok(None) };
        if !is_key(key.expose_secret()) {
            return Err(Error::new(
                ExitCode::SecretOrDatabase,
                format!(
                    "could not use the service key file, it holds no key (sk_live_…): {}",
                    path.display()
                ),
            )
            .next(format!(
                "look at it, then move it away: mv {0} {0}.old",
                fs::quoted(&path)
            )));
        }
        Ok(Some(key))
    }

    /// The stored service key, or a new one, stored. Of two processes that make one at once, both get the same.
    pub fn key_or_new(&self, stem: &str) -> Result<Kept> {
        if let Some(secret) = self.key(stem)? {
            return Ok(Kept { secret, created: false });
        }
        let secret = new_key()?;
        let path = self.key_file(stem);
        self.prepare(&path)?;
        if fs::create_private_file(&path, &line(&secret))? {
            return Ok(Kept { secret, created: true });
        }
        // The name is taken after all: by another process's key, or by an empty file.
        match self.key(stem)? {
            Some(secret) => Ok(Kept { secret, created: false }),
            None => {
                self.store_key(stem, &secret)?;
                Ok(Kept { secret, created: true })
            }
        }
    }

    /// Stores a service key over the one there is.
    pub fn store_key(&self, stem: &str, key: &SecretString) -> Result<()> {
        self.store(&self.key_file(stem), key)
    }

    /// The stored upstream secret. An empty file counts as none.
    pub fn upstream_secret(&self, slug: &str) -> Result<Option<SecretString>> {
        read(&self.upstream_secret_file(slug))
    }

    /// Stores an upstream secret over the one there is.
    pub fn store_upstream_secret(&self, slug: &str, secret: &SecretString) -> Result<()> {
        self.store(&self.upstream_secret_file(slug), secret)
    }

    /// Removes one of the files; says whether there was one.
    pub fn remove(&self, path: &Path) -> Result<bool> {
        fs::remove(path)
    }

    fn store(&self, path: &Path, secret: &SecretString) -> Result<()> {
        self.prepare(path)?;
        fs::write_private(path, &line(secret))
    }

    fn prepare(&self, path: &Path) -> Result<()> {
        if path.parent() != Some(self.dir.as_path()) {
            return Err(Error::new(
                ExitCode::Usage,
                format!("could not use the name as a file name in: {}", self.dir.display()),
            ));
        }
        fs::create_private_dir(&self.dir)?;
        fs::check_folder(path)
    }
}

/// The file's text without its last newline; `None` where there is no file or nothing in it.
fn read(path: &Path) -> Result<Option<SecretString>> {
    let Some(bytes) = fs::read_private(path, SIZE_CAP)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::new(
            ExitCode::SecretOrDatabase,
            format!("could not read the secret, it is not UTF-8: {}", path.display()),
        )
    })?;
    let text = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok((!text.trim().is_empty()).then(|| SecretString::from(text)))
}

fn line(secret: &SecretString) -> Vec<u8> {
    format!("{}\n", secret.expose_secret()).into_bytes()
}

/// Whether a text looks like a service API key. The local tools make `sk_live_` + 48 hex digits; a key that was made
/// elsewhere and put into the file may use more of the alphabet.
fn is_key(text: &str) -> bool {
    text.strip_prefix(KEY_START).is_some_and(|rest| {
        rest.len() >= 16
            && rest
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

/// A new service API key: `sk_live_` + 48 hex digits.
pub fn new_key() -> Result<SecretString> {
    random(KEY_START)
}

/// A new upstream secret, where none is given: `gw_` + 48 hex digits.
pub fn new_upstream_secret() -> Result<SecretString> {
    random("gw_")
}

fn random(start: &str) -> Result<SecretString> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).or_fail(ExitCode::Failure, || {
        "could not get random bytes from the system".to_owned()
    })?;
    Ok(SecretString::from(format!("{start}{}", hex::encode(bytes))))
}

/// A secret as a person may see it: `sk_l...34dc`; a short one shows nothing of itself.
pub fn mask(secret: &SecretString) -> String {
    let chars: Vec<char> = secret
        .expose_secret()
        .chars()
        .map(|c| if text::is_plain(c) { c } else { '·' })
        .collect();
    if chars.len() < 16 {
        return "****".to_owned();
    }
    let text = |part: &[char]| part.iter().collect::<String>();
    format!("{}...{}", text(&chars[..4]), text(&chars[chars.len() - 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        for (secret, masked) in [
            (
                "sk_live_0123456789abcdef0123456789abcdef0123456789ab34dc",
                "sk_l...34dc",
            ),
            ("ghp_abcdefghijkl", "ghp_...ijkl"),
            ("fifteen-letters", "****"),
            ("", "****"),
            ("schlüssel-mit-äöü", "schl...-äöü"),
            ("\u{1b}[31m-sixteen-and", "·[31...-and"),
        ] {
            assert_eq!(mask(&SecretString::from(secret)), masked, "{secret}");
        }
    }

    #[test]
    fn new_ones_have_their_form_and_differ() {
        for (new, start) in [
            (new_key as fn() -> Result<SecretString>, "sk_live_"),
            (new_upstream_secret, "gw_"),
        ] {
            let (one, two) = (new().unwrap(), new().unwrap());
            let hex = one.expose_secret().strip_prefix(start).unwrap();
            assert!(hex.len() == 48 && hex.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
            assert_ne!(one.expose_secret(), two.expose_secret());
        }
    }

    #[test]
    fn what_counts_as_a_key() {
        for (text, is) in [
            ("sk_live_0123456789abcdef0123456789abcdef0123456789ab34dc", true),
            ("sk_live_Dashboard-made_Key0", true),
            ("sk_live_short", false),
            ("sk_test_0123456789abcdef0123456789abcdef", false),
            ("sk_live_0123456789abcdef 0123456789abcdef", false),
            ("<html>", false),
        ] {
            assert_eq!(is_key(text), is, "{text}");
        }
    }
}
