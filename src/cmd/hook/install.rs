//! `hook install`: the files first, then the entry; and what OpenClaw still needs.

use crate::cli::HookInstallArgs;
use crate::cmd::choice::{self, Choice};
use crate::cmd::context::{self, place};
use crate::cmd::doctor::openclaw::OpenClaw;
use crate::cmd::hook::install_whom::whom;
use crate::cmd::hook::{install_broker, install_choices, install_told};
use crate::cmd::hook_entry::EntryEdit;
use crate::cmd::output::write_line;
use crate::cmd::own_program;
use crate::cmd::owner;
use crate::cmd::together::Together;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::mode::Mode;
use crate::openclaw::config::{self, Ask, EditOptions, EditOutcome};
use crate::openclaw::entry::{self, Enable, HOOK, Wanted};
use crate::openclaw::hook_files::{self, Done, Found, Kind, Program};
use crate::openclaw::plugin;
use crate::openclaw::plugin_package;
use crate::origin::Origin;
use crate::owner_token;
use crate::settings::{Owner, OwnerQuery};
use crate::text;
use crate::time;
use crate::token::record;
use secrecy::SecretString;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs the command.
pub fn run(args: &HookInstallArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.place, env)?;
    place.refuse_to_hide_an_older()?;
    place.refuse_a_brokers("install")?;
    let kind = match args.kind {
        Some(kind) => kind,
        // What cannot be looked at is told by what comes next.
        None => choice::installed(&place).ok().flatten().unwrap_or(Kind::Hook),
    };
    hook_files::refuse_strange_folders(&place, kind)?;
    let binary = match args.copy_binary {
        true => place.program_copy(),
        false => own_program::lasting(&place)?,
    };
    let broker = install_broker::choose(args, env, &place)?;
    let (owner, namespace, speaks) = match &broker {
        Some(broker) => (None, broker.namespace.clone(), None),
        None => whom(args, env, &place, kind)?,
    };
    let lock = fs::lock_sigilum(&place)?;
    let mut job = Job {
        args,
        env,
        place: &place,
        kind,
        binary,
        owner,
        token: None,
        choice: Choice::of(&place, context::entry_to_set_up(&place)?.as_ref())?,
        by_openclaw: match kind {
            Kind::Plugin => Some(hook_files::look(&place, kind)?).filter(|found| found.by_openclaw),
            Kind::Hook => None,
        },
        notes: broker.as_ref().map_or_else(Vec::new, |broker| broker.notes.clone()),
    };
    job.notes.extend(speaks.map(|text| format!("the hook {text}")));
    job.choose(namespace)?;
    job.choice.record.broker = broker.map(|broker| broker.record);
    if job.choice.record.broker.is_some() {
        job.choice.record.token_in_config = Some(false);
    }
    if let Some(owner) = &job.owner {
        job.token = usable_token(owner, &mut job.notes)?;
    }
    job.carry_out(&lock, out)?;
    Ok(ExitCode::Ok)
}

/// Why the plugin's install puts no token into openclaw.json.
const NO_ENTRY: &str = "openclaw.json gets no token, the plugin reads the token's file: the hook's entry is not on";

/// Refuses flags and folders that the command would refuse, and changes nothing.
///
/// # Errors
/// [`ExitCode::Usage`] for a value that cannot be used; [`ExitCode::Failure`] where a folder is a link or a file.
pub fn check(args: &HookInstallArgs, env: &Env) -> Result<()> {
    let place = home::find(args.place.openclaw_home.as_deref(), args.place.config.as_deref(), env)?;
    hook_files::refuse_strange_folders(&place, args.kind.unwrap_or(Kind::Hook))?;
    let mut record = hook_record::read(&place.hook_record_file())?.unwrap_or_default();
    install_choices::choose(&mut record, args, &place, env).map(drop)
}

struct Job<'a> {
    args: &'a HookInstallArgs,
    env: &'a Env,
    place: &'a OpenClawHome,
    kind: Kind,
    /// The program that is recorded.
    binary: PathBuf,
    /// The hook's; the plugin finds it by the record.
    owner: Option<Owner>,
    token: Option<SecretString>,
    /// The hook's record, as the install leaves it.
    choice: Choice,
    /// The plugin, where OpenClaw's own installer put it there: it gets no second copy.
    by_openclaw: Option<Found>,
    notes: Vec<String>,
}

impl Job<'_> {
    /// Writes program, files, record and entry, and says so.
    fn carry_out(mut self, lock: &OwnLock, out: &mut dyn Write) -> Result<()> {
        let options = |dry_run| EditOptions {
            dry_run,
            force: self.args.force,
            own_lock: Some(lock),
            ..EditOptions::default()
        };
        // What is refused is refused before the first file is written.
        self.edit(&options(true))?;
        self.notes.extend(match self.args.copy_binary {
            true => own_program::copy(self.place, lock)?,
            false => own_program::keep(&self.binary, self.place, lock)?,
        });
        let program = Program {
            binary: self.binary.clone(),
        };
        let files = match &self.by_openclaw {
            Some(_) => Done::default(),
            None => hook_files::install(self.place, lock, self.kind, &program, self.args.force)?,
        };
        self.choice.write(self.place, lock)?;
        let edited = self.edit(&options(false))?;
        let moved = self.token_of_entry(lock)?;
        self.notes.extend(moved);
        self.tell(&files, &edited, out)
    }

    /// Where the token is to stand was typed for the plugin: the hook's entry, if there is one, follows.
    fn token_of_entry(&self, lock: &OwnLock) -> Result<Vec<String>> {
        let Some(is_in) = self.args.token_in_config.filter(|_| self.kind == Kind::Plugin) else {
            return Ok(Vec::new());
        };
        let needless = || is_in.then(|| NO_ENTRY.to_owned());
        if context::entry(self.place)?.is_none() {
            return Ok(needless().into_iter().collect());
        }
        let owner = owner(self.args, self.env, self.place)?;
        let token = usable_token(&owner, &mut Vec::new())?;
        let edit = EntryEdit {
            owner: &owner,
            token: token.as_ref(),
            token_in_config: Some(is_in),
            replaces: None,
            enable: Enable::Preserve,
            force: self.args.force,
            hold_lock: Duration::ZERO,
        };
        let nothing_more = || Ok(());
        let done = edit.run(self.place, Some(&Together::new(lock, &nothing_more)))?;
        let written = done
            .outcome
            .changed
            .then(|| format!("updated {}", done.outcome.written()));
        let off = needless().filter(|_| done.hook_is_off);
        Ok(written.into_iter().chain(done.notes).chain(off).collect())
    }

    /// Says what was done, and what is still needed.
    fn tell(&self, files: &Done, edited: &EditOutcome, out: &mut dyn Write) -> Result<()> {
        let verb = match (&self.by_openclaw, files.changed) {
            (Some(_), _) => "installed by OpenClaw",
            (None, true) => "installed",
            (None, false) => "already installed",
        };
        let dir = self.kind.dir(self.place);
        let dir = self.by_openclaw.as_ref().map_or(&dir, |found| &found.folder);
        let binary = self
            .by_openclaw
            .as_ref()
            .and_then(|found| found.binary.as_deref())
            .unwrap_or(&self.binary);
        write_line(out, format!("{} {verb}: {}", self.kind.name(), dir.display()))?;
        write_line(out, format!("it runs: {}", binary.display()))?;
        if let Some(broker) = &self.choice.record.broker {
            let (socket, user) = (broker.socket.display(), fs::user_name(broker.uid));
            write_line(
                out,
                format!("it asks the broker: {socket}, run by {user} (user {})", broker.uid),
            )?;
            let namespace = self.choice.record.namespace.as_deref().unwrap_or("none yet");
            write_line(out, format!("namespace: {}", text::one_line(namespace)))?;
        }
        if let Some(owner) = &self.owner {
            write_line(
                out,
                format!("namespace: {} (from {})", owner.namespace.value, owner.namespace.origin),
            )?;
        }
        for line in install_told::recorded(self.args, &self.choice.record) {
            write_line(out, text::one_line(&line))?;
        }
        let called = context::called(&self.args.place);
        let called = context::with_openclaw(called, Some(&self.choice.record), self.place, self.env);
        for note in files.notes.iter().chain(&edited.notes).chain(&self.notes) {
            write_line(out, format!("note: {}", called.complete(note)))?;
        }
        if let Some(both) = self.both_are_there() {
            write_line(out, format!("note: {}", called.complete(&both)))?;
        }
        context::tell_not_written(edited, self.place, out)?;
        for need in self.needs(files, edited)? {
            write_line(out, format!("still needed: {}", called.complete(&need)))?;
        }
        Ok(())
    }

    /// That what was not asked for is installed too, and what takes it out.
    fn both_are_there(&self) -> Option<String> {
        let other = match self.kind {
            Kind::Hook => Kind::Plugin,
            Kind::Plugin => Kind::Hook,
        };
        let found = hook_files::look(self.place, other).ok()?;
        let step = match found.by_openclaw {
            true => plugin_package::UNINSTALL.to_owned(),
            false => format!("sigilum-authz-notify hook uninstall --as {}", other.name()),
        };
        let other = other.name();
        (found.state != "absent" && found.missing.is_empty()).then(|| {
            let kind = self.kind.name();
            format!(
                "the {other} is installed too; the plugin answers, and the hook only where it does not run; to have the \
                 {kind} alone: {step}"
            )
        })
    }

    /// Settles what is recorded of the hook.
    fn choose(&mut self, namespace: Option<String>) -> Result<()> {
        let (args, place, kind) = (self.args, self.place, self.kind);
        let record = &mut self.choice.record;
        record.namespace = namespace.or(record.namespace.take());
        record.binary = Some(self.binary.clone());
        record.name_config(place);
        self.notes
            .extend(install_choices::choose(record, args, place, self.env)?);
        let in_chat = record.deciders.is_some() && kind == Kind::Hook;
        if in_chat && hook_files::look(place, Kind::Plugin)?.state == "absent" {
            let plugin = context::called(&args.place).complete("sigilum-authz-notify hook install --as plugin");
            self.notes
                .push(format!("deciders: only the plugin answers in the chat: {plugin}"));
        }
        if kind == Kind::Hook || args.token_in_config.is_some() {
            let entry = context::entry(place)?;
            let installed = || Ok(true);
            let (typed, enable) = (args.token_in_config, args.enable);
            if kind == Kind::Hook {
                self.choice.record.off = match enable {
                    Enable::Preserve => entry.is_none(),
                    enable => enable == Enable::False,
                };
            }
            self.choice
                .settle_token_place(typed, enable, entry.as_ref(), installed)?;
        }
        self.notes
            .extend(self.choice.told().map(|text| format!("taken over {text}")));
        Ok(())
    }

    /// Edits openclaw.json, or says what would change.
    fn edit(&self, options: &EditOptions<'_>) -> Result<EditOutcome> {
        let mut notes = Vec::new();
        let dir = self.kind.dir(self.place);
        let mut outcome = config::edit(self.place, options, &mut |ask| {
            let planned = match (self.kind, &self.owner) {
                (Kind::Hook, owner) => self.entry(owner.as_ref(), ask, &dir)?,
                (Kind::Plugin, _) => plugin::wanted(ask.value, self.args.enable, &dir, self.by_openclaw.is_none())?,
            };
            notes = planned.notes;
            Ok(planned.value)
        })?;
        outcome.notes.splice(0..0, notes);
        Ok(outcome)
    }

    /// With a broker, or where nobody is known, the entry names nothing but the namespace.
    fn entry(&self, owner: Option<&Owner>, ask: &Ask<'_>, dir: &Path) -> Result<entry::Planned> {
        let want = Wanted {
            namespace: match owner {
                Some(owner) => &owner.namespace.value,
                None => self.choice.record.namespace.as_deref().unwrap_or_default(),
            },
            api_url: owner.map_or("", |owner| &owner.api_url.value),
            mode: owner.map_or("", |owner| owner.mode.value.as_str()),
            token: self.token.as_ref(),
            replaces: None,
            token_in_config: self.choice.record.token_in_config,
            barred: ask.barred,
            enable: self.args.enable,
            open_dir: dir,
            force: self.args.force,
            keep_length: ask.keep_length,
        };
        entry::wanted(ask.value, &want, &entry::installs(&self.place.home))
    }

    /// What is missing before the notice comes, after everything is written.
    fn needs(&self, files: &Done, edited: &EditOutcome) -> Result<Vec<String>> {
        let mut needs = Vec::new();
        let flags = context::place_flags(&self.args.place);
        let config = config::read(self.place)?;
        let value = config.map_or_else(|| Value::Object(serde_json::Map::new()), |config| config.value);
        match &self.owner {
            Some(owner) if self.token.is_none() => {
                let log_in = context::login_command(owner, self.place, &flags);
                needs.push(self.login(Some(&owner.namespace.value), log_in));
            }
            Some(_) => {}
            None if self.choice.record.broker.is_some() => needs.extend(self.namespace_of_broker()),
            None => needs.extend(self.plugin_owner()),
        }
        // What a config that must not be written needs is told in full already.
        if edited.not_written.is_none() {
            let openclaw = OpenClaw::find_and_ask(self.env, Some(&value), self.place);
            let restart = openclaw.restart(Some(&value));
            let unseen = files.loaded_once && !edited.changed;
            needs.extend(self.switch(&value, unseen, restart.as_deref())?);
            needs.extend(restart.filter(|_| edited.changed));
        }
        let mode = value.pointer("/gateway/mode").and_then(Value::as_str);
        if mode.is_none() {
            needs.push("gateway.mode in openclaw.json, for the OpenClaw gateway to start: openclaw onboard".to_owned());
        }
        Ok(needs)
    }

    /// OpenClaw runs no hook whose entry names no namespace, and a broker without a token knows none.
    fn namespace_of_broker(&self) -> Option<String> {
        let is_open = self.kind == Kind::Hook && self.choice.record.namespace.is_none();
        is_open.then(|| format!("the namespace, once the broker has a token: {HOOK} hook install --as hook"))
    }

    /// What is missing before OpenClaw runs what is installed. `unseen`: files of ours are new, and no change of the
    /// config makes a running OpenClaw look at them; `only`: what alone does, where the version says so.
    fn switch(&self, config: &Value, unseen: bool, only: Option<&str>) -> Result<Option<String>> {
        let restart = |instead| only.map_or_else(|| restart(instead), str::to_owned);
        if self.kind == Kind::Plugin {
            let state = plugin_package::state(config, self.place)?;
            return Ok(if state.entry == Some(false) {
                Some(format!("to switch the plugin on: {HOOK} hook install --as plugin"))
            } else {
                (unseen && state.runs()).then(|| restart("switching the plugin off and on"))
            });
        }
        if !entry::find(config)?.is_some_and(|entry| entry.enabled) {
            return Ok(Some(format!("to switch the hook on: {HOOK} hook install --as hook")));
        }
        let selected = entry::selection(config, &entry::installs(&self.place.home))?.ours;
        Ok(match (selected, unseen) {
            (false, _) => Some("hooks.internal.enabled true; it is false, so no hook runs".to_owned()),
            (true, true) => Some(restart("the next change under hooks.internal, such as a renewed token")),
            (true, false) => None,
        })
    }

    /// A login, as there is no token that can be used: or no record that says whose it is.
    fn login(&self, namespace: Option<&str>, log_in: String) -> String {
        let record = namespace.map(|namespace| record::read(&self.place.record_file(namespace)));
        match record {
            Some(Err(error)) => {
                let (why, step) = (error.text(), error.step().unwrap_or(log_in));
                format!("a record of the login, as this one says nothing, {why}: {step}")
            }
            _ => format!("an owner token: {log_in}"),
        }
    }

    /// The plugin's program knows its owner by the record of a login. A local token it renews itself, a hosted one it
    /// cannot.
    fn plugin_owner(&self) -> Option<String> {
        let serves = |owner: &Owner| {
            let usable = || matches!(usable_token(owner, &mut Vec::new()), Ok(Some(_)));
            owner.record.is_some() && (owner.mode.value == Mode::OssLocal || usable())
        };
        let flags = context::place_flags(&self.args.place);
        match owner(self.args, self.env, self.place) {
            Ok(owner) if serves(&owner) => None,
            Ok(owner) => {
                let log_in = context::login_command(&owner, self.place, &flags);
                Some(self.login(Some(&owner.namespace.value), log_in))
            }
            Err(error) => Some(self.login(
                self.choice.record.namespace.as_deref(),
                error.step().unwrap_or_else(|| format!("{HOOK} auth login{flags}")),
            )),
        }
    }
}

/// What makes a running OpenClaw load new files where its config was right before; seen with 2026.9.6.
fn restart(instead: &str) -> String {
    format!(
        "where an OpenClaw gateway runs: openclaw gateway restart; or {instead}; openclaw.json needed no change, so \
         nothing makes it look at the new files"
    )
}

fn owner(args: &HookInstallArgs, env: &Env, place: &OpenClawHome) -> Result<Owner> {
    let query = OwnerQuery {
        namespace: args.namespace.as_deref(),
        ..OwnerQuery::default()
    };
    owner::known(query, env, place, || context::place_flags(&args.place))
}

/// The stored token, if it can serve: one of this namespace that has not expired, for an API that a person named. Beside
/// a URL that an agent may have written it would go there.
fn usable_token(owner: &Owner, notes: &mut Vec<String>) -> Result<Option<SecretString>> {
    if owner.stored_token()?.is_none() {
        return Ok(None);
    }
    match owner_token::stored(owner, time::now()) {
        Ok(found) => Ok(Some(found.token)),
        Err(no_token) => {
            let is_entrys = |origin: &Origin| *origin == Origin::Entry;
            let why = if is_entrys(&owner.api_url.origin) || is_entrys(&owner.mode.origin) {
                format!(
                    "no login says that it is for {}, which openclaw.json names",
                    owner.api_url.value
                )
            } else {
                no_token.why.to_string()
            };
            notes.push(format!(
                "the stored token is not used, {why}: {}",
                owner.token_file.display()
            ));
            Ok(None)
        }
    }
}
