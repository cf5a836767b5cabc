//! What the checks go by: everything is looked at once.

use super::openclaw::OpenClaw;
use super::token::{self, Other, TokenStatus};
use crate::broker::protocol;
use crate::cli::ShowArgs;
use crate::cmd::broker::remote::Remote;
use crate::cmd::context;
use crate::cmd::resident::{self, Resident};
use crate::env::Env;
use crate::error::{Called, Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record::HookRecord;
use crate::openclaw::config::{self, Config};
use crate::openclaw::entry::{self, Entry, Selection};
use crate::openclaw::hook_files::{self, Found, Kind};
use crate::openclaw::{plugin, plugin_package};
use crate::settings;
use crate::watch::status::{self, WatchStatus};
use serde_json::{Value, json};

/// For whom the facts are: who shows less asks less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `doctor`: everything.
    Doctor,
    /// `auth status`: token, entry and API.
    AuthStatus,
    /// `hook status`: what is installed and in force.
    HookStatus,
}

/// Everything that is known of a home. Holds no secret but the config's.
pub struct Facts<'a> {
    /// The home.
    pub place: &'a OpenClawHome,
    /// The person's environment.
    pub env: &'a Env,
    /// What leads to the same home.
    pub called: Called,
    /// The config; `None` where there is none.
    pub config: Result<Option<Config>>,
    /// The hook's entry; `None` where there is none, or no config that can be read.
    pub entry: Result<Option<Entry>>,
    /// Which hooks run.
    pub selection: Result<Selection>,
    /// The hook's files.
    pub hook: Result<Found>,
    /// The plugin's files.
    pub plugin: Result<Found>,
    /// The plugin's part of the config.
    pub plugin_state: Result<plugin::State>,
    /// What a person chose for the hook.
    pub chosen: Result<HookRecord>,
    /// The broker that is asked in the hook's place, and how it stands; `None` where none is recorded.
    pub broker: Option<(Remote, Result<(protocol::Status, u32)>)>,
    /// Whether that broker's API answers it; `None` where it was not asked.
    pub broker_api: Option<Result<()>>,
    /// The hook's token.
    pub token: Result<TokenStatus>,
    /// Other stored namespaces, and what their API says.
    pub others: Vec<Other>,
    /// Files of ours that others may read or may have written.
    pub loose: Vec<fs::Loose>,
    /// The watcher.
    pub watch: Option<WatchStatus>,
    /// The program that an OpenClaw gateway keeps for the plugin.
    pub resident: Option<Resident>,
    /// OpenClaw.
    pub openclaw: OpenClaw,
}

impl<'a> Facts<'a> {
    /// Looks at everything that a view shows.
    pub fn collect(show: &ShowArgs, env: &'a Env, place: &'a OpenClawHome, view: View) -> Self {
        let config = config::read(place);
        let value = match &config {
            Ok(Some(config)) => config.value.clone(),
            _ => json!({}),
        };
        let entry = entry::find(&value);
        let in_entry = entry.as_ref().ok().filter(|_| config.is_ok()).map(Option::as_ref);
        let owner = token::owner(show, env, place, in_entry.flatten());
        let loose = token::loose_files(place, env, owner.as_ref().ok(), in_entry.flatten());
        let token = owner.and_then(|owner| TokenStatus::of(owner, place, env, in_entry));
        let mut facts = Self {
            place,
            env,
            called: context::called(&show.place),
            selection: entry::selection(&value, &entry::installs(&place.home)),
            hook: hook_files::look(place, Kind::Hook),
            plugin: hook_files::look(place, Kind::Plugin),
            plugin_state: plugin_package::state(&value, place),
            chosen: settings::hook_namespace(place).map(|(_, record)| record),
            broker: settings::hook_namespace(place)
                .ok()
                .and_then(|(_, record)| Remote::to_look_at(place, &record, env))
                .map(|(mut remote, may_ask)| {
                    let status = may_ask.and_then(|()| remote.status());
                    remote.uid = remote.uid.or(status.as_ref().ok().map(|(_, uid)| *uid));
                    (remote, status)
                }),
            broker_api: None,
            token,
            others: Vec::new(),
            loose,
            watch: status::read(place),
            resident: resident::read(place),
            openclaw: match view {
                View::AuthStatus => OpenClaw::find(env, Some(&value)),
                View::Doctor | View::HookStatus => OpenClaw::find_and_ask(env, Some(&value), place),
            },
            entry,
            config,
        };
        facts.called = context::with_openclaw(facts.called, facts.chosen.as_ref().ok(), place, env);
        if view == View::Doctor {
            facts.ask_for_others();
        }
        if view != View::AuthStatus {
            facts.ask_the_brokers_api();
            let kind = if facts.is_installed(Kind::Plugin) {
                Kind::Plugin
            } else {
                Kind::Hook
            };
            facts.openclaw.ask(kind, env, place);
        }
        facts
    }

    /// Has the broker that has a token ask its API.
    pub fn ask_the_brokers_api(&mut self) {
        let usable = |(remote, status): &(Remote, Result<(protocol::Status, u32)>)| {
            let has_token = status.as_ref().is_ok_and(|(status, _)| status.token);
            has_token.then(|| remote.ask_its_api())
        };
        self.broker_api = self.broker.as_ref().and_then(usable);
    }

    /// Asks the APIs of the namespaces that the hook does not speak for.
    fn ask_for_others(&mut self) {
        let Ok(token) = &mut self.token else { return };
        let hook = token.namespace.clone();
        let others = std::mem::take(&mut token.stored).into_iter();
        let others = others.filter(|stored| stored.namespace != hook);
        self.others = others.map(|stored| Other::of(stored, self.place, self.env)).collect();
    }

    /// Why it is not known who is logged in, where a record cannot be read; with a broker only the hook's counts.
    pub fn unread(&self) -> Option<&Error> {
        let token = self.token.as_ref().err().filter(|_| self.broker.is_none());
        let why = self.chosen.as_ref().err().or(token)?;
        (why.code == ExitCode::Failure).then_some(why)
    }

    /// What the config says; `{}` where there is none or it cannot be read.
    pub fn config_value(&self) -> Option<&Value> {
        self.config.as_ref().ok()?.as_ref().map(|config| &config.value)
    }

    /// The hook's entry; `None` where that cannot be told, `Some(None)` where there is none.
    pub fn entry(&self) -> Option<Option<&Entry>> {
        let known = self.entry.as_ref().ok().filter(|_| self.config.is_ok());
        known.map(Option::as_ref)
    }

    /// The files of one kind.
    pub fn files(&self, kind: Kind) -> &Result<Found> {
        match kind {
            Kind::Hook => &self.hook,
            Kind::Plugin => &self.plugin,
        }
    }

    /// Whether files of one kind are there.
    pub fn is_installed(&self, kind: Kind) -> bool {
        self.files(kind).as_ref().is_ok_and(|found| found.state != "absent")
    }

    /// Whether OpenClaw is told to run the plugin, and its files are there.
    pub fn plugin_runs(&self) -> bool {
        self.is_installed(Kind::Plugin) && self.plugin_state.as_ref().is_ok_and(plugin::State::runs)
    }

    /// A command of ours for this home.
    pub fn command(&self, words: &str) -> String {
        self.called.complete(&format!("sigilum-authz-notify {words}"))
    }
}
