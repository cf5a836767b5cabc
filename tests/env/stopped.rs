//! A stopped Sigilum gateway.

use super::TestEnv;
use std::path::PathBuf;

/// A stopped gateway: its store, and a stand-in for its CLI.
pub struct Stopped {
    pub data_dir: PathBuf,
    pub cli: PathBuf,
}

impl Stopped {
    pub fn new(env: &TestEnv) -> Self {
        Self::at(env, "gateway-bin", "gateway-data")
    }

    /// Where the scripts of the checkout in `~/sigilum` have it.
    pub fn of_scripts(env: &TestEnv) -> Self {
        Self::at(env, "sigilum/.local/bin", "sigilum/.local/gateway-data")
    }

    fn at(env: &TestEnv, bin: &str, data: &str) -> Self {
        let cli = env.write(format!("{bin}/sigilum-gateway-cli"), include_str!("gateway-cli.sh"));
        std::fs::set_permissions(&cli, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let manifest = env.write(format!("{data}/badger/MANIFEST"), "");
        let data_dir = manifest.parent().unwrap().parent().unwrap().to_owned();
        Self { data_dir, cli }
    }

    /// A file of its store.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.data_dir.join("badger").join(path)).ok()
    }

    pub fn write(&self, path: &str, text: &str) {
        std::fs::write(self.data_dir.join("badger").join(path), text).unwrap();
    }

    /// The command lines so far, and the names of the environment's variables.
    pub fn runs(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("runs")).unwrap_or_default()
    }
}
