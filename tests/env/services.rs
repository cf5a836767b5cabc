//! A desk to work with services at: a person's home, a Sigilum checkout with its database, a running gateway.

use super::gateway::Gateway;
use super::local_api::{FakeCheckout, look};
use super::{Output, Run, TestEnv};
use rusqlite::Connection;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The upstream secret that tests give.
pub const SECRET: &str = "lin_api_0123456789abcdefghij";

pub struct Desk {
    pub env: TestEnv,
    pub checkout: FakeCheckout,
    pub gateway: Gateway,
}

impl Desk {
    /// The database is there, as wrangler makes it; the gateway has a home and uses the keys that it is handed.
    pub fn new() -> Self {
        let env = TestEnv::new();
        let checkout = FakeCheckout::new(&env);
        static MADE: OnceLock<Vec<u8>> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let db = checkout.wrangler();
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            drop(db);
            std::fs::read(checkout.db()).unwrap()
        });
        std::fs::create_dir_all(checkout.db().parent().unwrap()).unwrap();
        std::fs::write(checkout.db(), made).unwrap();
        let gateway = Gateway::start();
        gateway.home(env.home().join("gateway-home")).uses_keys(checkout.db());
        Self { env, checkout, gateway }
    }

    /// A command line of the namespace `alice`.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.env
            .run(args)
            .env("SIGILUM_NAMESPACE", "alice")
            .env("SIGILUM_SOURCE_HOME", &self.checkout.root)
            .env("GATEWAY_ADMIN_URL", self.gateway.url())
    }

    /// `service add --service-slug <slug> <args>`
    pub fn add<'a>(&self, slug: &'a str, args: impl IntoIterator<Item = &'a str>) -> Run {
        let start = ["service", "add", "--service-slug", slug];
        self.run(start.into_iter().chain(args))
    }

    /// `service add` in gateway mode with [`SECRET`] from a variable.
    pub fn add_linear<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Run {
        let start = [
            "--mode",
            "gateway",
            "--upstream-base-url",
            "https://api.linear.app",
            "--upstream-secret-env",
            "LINEAR",
        ];
        self.add("linear", start.into_iter().chain(args)).env("LINEAR", SECRET)
    }

    /// `service secret set --service-slug <slug> <args>`
    pub fn set<'a>(&self, slug: &'a str, args: impl IntoIterator<Item = &'a str>) -> Run {
        let start = ["service", "secret", "set", "--service-slug", slug];
        self.run(start.into_iter().chain(args))
    }

    pub fn db(&self) -> Connection {
        look(&self.checkout.db())
    }

    /// A file of the workspace folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.checkout.root.join(".sigilum-workspace").join(name)
    }

    /// What is in it, without the newline that must be there.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.file(name)).unwrap();
        text.strip_suffix('\n').expect("a newline at the end").to_owned()
    }

    /// The names of what is in the workspace folder, but for our lock.
    pub fn files(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.checkout.root.join(".sigilum-workspace")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = folder
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.retain(|name| name != ".sigilum-authz-notify.lock");
        names.sort();
        names
    }
}

/// The result as JSON.
#[track_caller]
pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

/// SHA-256 in hex, as the database keeps keys.
pub fn sha256(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}
