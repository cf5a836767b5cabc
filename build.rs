//! What `--version` says: in a release build the commit too, of a checkout as git says it, of a package from crates.io as
//! cargo noted it there. Without either it is the version alone; so it is in a debug build, which may run at any commit.

use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "SIGILUM_AUTHZ_NOTIFY_VERSION";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name| std::env::var(name).unwrap_or_default();
    let version = variable("CARGO_PKG_VERSION");
    let folder = variable("CARGO_MANIFEST_DIR");
    let commit = (variable("PROFILE") == "release")
        .then(|| packaged(Path::new(&folder)).or_else(|| commit(Path::new(&folder))))
        .flatten();
    match commit {
        Some(commit) => println!("cargo:rustc-env={VARIABLE}={version} ({commit})"),
        None => println!("cargo:rustc-env={VARIABLE}={version}"),
    }
}

/// The commit that cargo made this package of: `{"git":{"sha1":"…"}}`.
fn packaged(folder: &Path) -> Option<String> {
    let noted = std::fs::read_to_string(folder.join(".cargo_vcs_info.json")).ok()?;
    let (_, rest) = noted.split_once("\"sha1\"")?;
    Some(rest.split('"').nth(1)?.get(..9)?.to_owned())
}

/// The commit of the checkout that this folder is; the next one has this run again.
fn commit(folder: &Path) -> Option<String> {
    let top = Path::new(&git(folder, &["rev-parse", "--show-toplevel"])?)
        .canonicalize()
        .ok()?;
    if folder.canonicalize().ok()? != top {
        return None;
    }
    let own = folder.join(git(folder, &["rev-parse", "--git-dir"])?);
    for name in ["HEAD", "logs/HEAD"] {
        // One that is not there would have it run each time.
        if own.join(name).exists() {
            println!("cargo:rerun-if-changed={}", own.join(name).display());
        }
    }
    git(folder, &["rev-parse", "--short=9", "HEAD"])
}

fn git(folder: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout)
        .ok()
        .filter(|_| output.status.success())?;
    Some(text.trim().to_owned())
}
