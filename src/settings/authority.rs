//! Who may decide what, by the one table ([`RULES`]). The agent is not the owner: what an agent may edit (openclaw.json and what it includes, the
//! environment of what the OpenClaw gateway starts, an event) is output or data, never a setting.
//!
//! What decides is a flag that a person typed, the environment of a command that a person or a unit of theirs starts, or
//! a record under `.sigilum/` of a person's login or install.

mod rules;

use super::Sourced;
use crate::error::Result;
pub use rules::RULES;

/// What is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the table's texts say more")]
pub enum Setting {
    OpenClawHome,
    Config,
    ReadOnly,
    Namespace,
    Broker,
    Mode,
    ApiUrl,
    Email,
    TokenFile,
    TokenLife,
    OwnerToken,
    Checkout,
    Database,
    SigningSecret,
    TokenInConfig,
    TokenCommand,
    Binary,
    Dashboard,
    Senders,
    Deciders,
    Groups,
    Notify,
    PollRequests,
    Messenger,
    TimeLimit,
    InsecureHttp,
    Proxy,
    CertificateAuthority,
    TrustHome,
    TrustLoopback,
    SigilumConfig,
    GatewayUrl,
    GatewayAdminToken,
    GatewayDataDir,
    GatewayMasterKey,
    Workspace,
    ProgramPath,
}

/// Who says something about a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Claimant {
    /// A flag that a person typed, or the owner token that they handed over.
    Flag,
    /// The environment of a command that a person, or a unit of theirs, starts.
    PersonEnvironment,
    /// A record under `.sigilum/`: `hook.json`, `owner-<namespace>.json`, a token file.
    Record,
    /// The files of a checkout that one of those before names.
    Checkout,
    /// Sigilum's own `config.env`.
    SigilumConfig,
    /// A Sigilum checkout around the working directory, once a person at a terminal has agreed.
    WorkingDirectory,
    /// The hook's entry in openclaw.json in a home that has no record at all: nobody has logged in yet.
    UnrecordedEntry,
    /// The name of the person's account: a guess.
    UserName,
    /// What counts where nobody says anything.
    Default,
    /// The hook's entry in openclaw.json.
    Entry,
    /// A file that openclaw.json includes.
    Include,
    /// The environment of what the OpenClaw gateway starts, which `env.vars` of openclaw.json and `.env` files fill.
    GatewayEnvironment,
    /// The JSON of an event.
    Event,
}

/// A setting: its name and, the strongest first, who may decide it, in the words of docs/settings.md.
pub struct Rule {
    /// What is set.
    pub setting: Setting,
    /// Its name for people.
    pub name: &'static str,
    /// Who may decide it, and what that is called.
    pub order: &'static [(Claimant, &'static str)],
}

/// Who may decide a setting, the strongest first.
fn order(setting: Setting) -> impl Iterator<Item = Claimant> {
    let rule = RULES.iter().find(|rule| rule.setting == setting);
    rule.into_iter()
        .flat_map(|rule| rule.order)
        .map(|(claimant, _)| *claimant)
}

/// Whether what this claimant says about this setting counts at all.
pub fn may_decide(setting: Setting, claimant: Claimant) -> bool {
    order(setting).any(|may| may == claimant)
}

/// What one claimant says about a setting, asked for only where nobody stronger says anything.
pub type Claim<'a, T> = (Claimant, &'a dyn Fn() -> Result<Option<Sourced<T>>>);

/// What holds: what the strongest says who says anything and may. Of equals the first.
///
/// # Errors
/// That of a claimant who was asked.
pub fn decide<T>(setting: Setting, claims: &[Claim<'_, T>]) -> Result<Option<Sourced<T>>> {
    for claimant in order(setting) {
        for (_, ask) in claims.iter().filter(|(by, _)| *by == claimant) {
            if let Some(found) = ask()? {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Claimant as By;
    use Setting as S;
    use std::collections::HashSet;

    #[test]
    fn the_docs_show_the_table() {
        let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md")).unwrap();
        let row = |rule: &Rule| {
            let order: Vec<&str> = rule.order.iter().map(|(_, text)| *text).collect();
            format!("| {} | {} |\n", rule.name, order.join(" → "))
        };
        let table: String = RULES.iter().map(row).collect();
        assert!(docs.contains(&table), "docs/settings.md lacks this table:\n{table}");
        let settings: HashSet<Setting> = RULES.iter().map(|rule| rule.setting).collect();
        assert_eq!(settings.len(), RULES.len(), "a setting stands in one row");
    }

    #[test]
    fn what_agents_can_edit_decides_nothing() {
        for rule in RULES {
            for by in [By::Entry, By::Include, By::GatewayEnvironment, By::Event] {
                assert!(!may_decide(rule.setting, by), "{:?} by {by:?}", rule.setting);
            }
        }
        // In a home where nobody has logged in, there is nothing else to go by.
        let unrecorded = RULES.iter().map(|rule| rule.setting);
        let unrecorded: Vec<Setting> = unrecorded.filter(|s| may_decide(*s, By::UnrecordedEntry)).collect();
        assert_eq!(unrecorded, [S::Namespace, S::Mode, S::ApiUrl, S::OwnerToken]);
    }
}
