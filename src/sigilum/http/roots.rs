//! The root certificates that https trusts. The libraries that find a system's would let the process's environment name
//! others: here only the environment counts that the caller believes.

use crate::env::Env;
use crate::fs;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::{Path, PathBuf};

/// A bundle of some 150 certificates is 250 KB.
const MAX_BYTES: u64 = 16 << 20;

/// Where systems but macOS keep all their roots in one file, and where each in its own.
const BUNDLES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
    "/etc/ssl/certs/cacert.pem",
];
const FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// What a person named instead of the system's, as a file or a folder each: `SSL_CERT_FILE` and `SSL_CERT_DIR` (folders,
/// separated by colons).
#[derive(Debug, Clone, Default)]
pub(super) struct Roots(Vec<PathBuf>);

impl Roots {
    pub(super) fn from_env(env: &Env) -> Self {
        let folders = env.path("SSL_CERT_DIR").unwrap_or_default();
        let folders = std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty());
        Self(env.path("SSL_CERT_FILE").into_iter().chain(folders).collect())
    }

    /// Whether a person named any.
    pub(super) fn are_named(&self) -> bool {
        !self.0.is_empty()
    }

    /// The certificates, without those that cannot be read; `None` where the system itself judges, as macOS does.
    pub(super) fn load(&self) -> Option<RootCertStore> {
        let mut store = RootCertStore::empty();
        match BUNDLES.into_iter().map(Path::new).find(|file| file.exists()) {
            _ if !self.0.is_empty() => self.0.iter().for_each(|path| add(&mut store, path)),
            _ if cfg!(target_os = "macos") => return None,
            Some(bundle) => add(&mut store, bundle),
            None => FOLDERS.iter().for_each(|folder| add(&mut store, Path::new(folder))),
        }
        Some(store)
    }
}

fn add(store: &mut RootCertStore, path: &Path) {
    if !path.is_dir() {
        return add_file(store, path);
    }
    let files = std::fs::read_dir(path).into_iter().flatten().flatten();
    for file in files.map(|entry| entry.path()).filter(|path| path.is_file()) {
        add_file(store, &file);
    }
}

fn add_file(store: &mut RootCertStore, file: &Path) {
    let Ok(Some(bytes)) = fs::read_named(file, MAX_BYTES) else {
        return;
    };
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok));
}
