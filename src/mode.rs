//! Which Sigilum an owner belongs to.

use clap::ValueEnum;

/// The Sigilum mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The hosted Sigilum: tokens come from a login in a browser.
    Managed,
    /// A local Sigilum API: tokens are signed here with its JWT secret.
    OssLocal,
}

impl Mode {
    /// The name as flags, `SIGILUM_MODE` and files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::OssLocal => "oss-local",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Managed, Self::OssLocal]
            .into_iter()
            .find(|mode| mode.as_str() == name)
    }

    /// The command that makes or stores a new token of a namespace.
    pub fn login_command(self, namespace: &str) -> String {
        self.login_command_of(Some(namespace))
    }

    /// The same where a namespace is perhaps not known: then the login asks for it, or the token says it.
    pub fn login_command_of(self, namespace: Option<&str>) -> String {
        let namespace = namespace.map_or_else(String::new, |namespace| format!(" --namespace {namespace}"));
        let stdin = match self {
            Self::Managed => " --owner-token-stdin",
            Self::OssLocal => "",
        };
        format!(
            "sigilum-authz-notify auth login --mode {}{namespace}{stdin}",
            self.as_str()
        )
    }
}
