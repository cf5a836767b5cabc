//! `auth login` and `auth refresh`: make or take a token, store it, put it into openclaw.json.

mod former;
mod given;
mod hook_plan;
mod planned;
mod report;
mod told;

use super::accept::{self, Action};
use crate::cli::LoginArgs;
use crate::cmd::broker::remote;
use crate::cmd::context::{self, place};
use crate::cmd::hook_entry::{EntryDone, EntryEdit};
use crate::cmd::output::{self, write_line};
use crate::cmd::owner;
use crate::cmd::together::Together;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs::{self, OwnLock};
use crate::home::OpenClawHome;
use crate::local_token::{LocalApi, SigningSecret};
use crate::mode::Mode;
use crate::openclaw::config;
use crate::openclaw::entry::Enable;
use crate::settings::{self, Owner};
use crate::sigilum::http;
use crate::time;
use crate::token::claims;
use crate::token::record::{self, Record};
use crate::token::store;
use crate::token_check::{TokenCheck, Verdict};
use given::{Given, owner_and_token};
use hook_plan::HookPlan;
use secrecy::{ExposeSecret, SecretString};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

/// The length of the token's stand-in where none is made yet, in bytes: about a token's own, or else a small config
/// would seem to lose half its size by a refresh.
const STAND_IN: usize = 400;

/// Runs the command.
pub fn run(args: &LoginArgs, action: Action, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    if args.token_only && args.print_token == Some(false) {
        return Err(Error::new(
            ExitCode::Usage,
            "--token-only prints the token, and --print-token false does not",
        )
        .next("leave out --token-only, or --print-token false"));
    }
    let place = place(&args.place, env)?;
    remote::refuse(&place, env, "store a token here", &words(args, action))?;
    place.refuse_to_hide_an_older()?;
    let login = prepare(args, action, env, &place)?;
    if args.dry_run {
        return dry_run(&login, args, &place, out);
    }
    let done = login.carry_out(args, &place)?;
    done.warn_of_a_secret_that_nobody_keeps(&login);
    if args.token_only {
        done.report(&login, args, &place, &mut output::Beside)?;
        write_line(out, done.token.expose_secret())?;
    } else {
        done.report(&login, args, &place, out)?;
        match (args.print_token, std::io::stdout().is_terminal()) {
            (Some(true), _) | (None, false) => {
                write_line(out, format_args!("Token:         {}", done.token.expose_secret()))?;
            }
            // Others look at a terminal, and it keeps what it showed.
            (None, true) => {
                let (namespace, flags) = (&login.owner.namespace.value, context::place_flags(&args.place));
                let show = format!("sigilum-authz-notify auth show --namespace {namespace}{flags}");
                write_line(
                    out,
                    format_args!("Token:         not shown on a terminal; to see it: {show}"),
                )?;
            }
            (Some(false), _) => {}
        }
    }
    Ok(ExitCode::Ok)
}

/// The command as the broker's user types it: what was typed for this home is not meant there, and a token is in no step.
fn words(args: &LoginArgs, action: Action) -> String {
    let words = match action {
        Action::Login => "auth login",
        Action::Refresh => "auth refresh",
    };
    let switch = |name: &str, is_on: bool| if is_on { format!(" {name}") } else { String::new() };
    [
        words.to_owned(),
        context::flag("--mode", args.owner.mode.map(Mode::as_str)),
        context::flag("--email", args.email.as_ref()),
        context::flag("--ttl-seconds", args.ttl_seconds.map(|seconds| seconds.to_string())),
        context::flag("--trust-loopback", args.trust_loopback.map(|trusts| trusts.to_string())),
        switch(
            "--owner-token-stdin",
            args.owner_token_stdin || args.owner_token.is_some(),
        ),
        switch("--no-check", args.no_check),
        switch("--force", args.force),
    ]
    .concat()
}

/// A login that has passed every check that can be made before anything changes.
struct Login {
    owner: Owner,
    token: NewToken,
    /// What the API says of the token, or of the secret that is to sign it.
    verdict: Verdict,
    trust_loopback: bool,
    ttl: u64,
    hook: HookPlan,
    /// Why openclaw.json is left alone, where it is.
    config_skipped: Option<String>,
}

/// The token that is to be stored.
enum NewToken {
    /// The person handed it over.
    Given(Given),
    /// It is yet to be signed, for this API and by this secret.
    Signed(LocalApi, SigningSecret),
}

/// What a login left behind.
struct Done {
    token: SecretString,
    config: Option<EntryDone>,
}

/// The token that a person gave, or what one is signed with.
fn new_token(
    owner: &mut Owner,
    given: Option<Given>,
    action: Action,
    env: &Env,
    place: &OpenClawHome,
) -> Result<NewToken> {
    if let Some(given) = given {
        return Ok(NewToken::Given(given));
    }
    if owner.mode.value == Mode::Managed {
        return Err(accept::needs_a_token(owner, action, place)?);
    }
    owner::agree_on_checkout(owner, place)?;
    let api = LocalApi::find(owner, place)?;
    let secret = api.secret_or_new(env)?;
    told::keep_the_email(owner, &api);
    Ok(NewToken::Signed(api, secret))
}

fn prepare(args: &LoginArgs, action: Action, env: &Env, place: &OpenClawHome) -> Result<Login> {
    let now = time::now();
    let mut config_skipped = (!args.write_openclaw).then(|| "--write-openclaw is false".to_owned());
    if place.is_a_brokers() {
        config_skipped.get_or_insert_with(|| "the folder is a broker's".to_owned());
    }
    let entry = match config_skipped {
        None if action == Action::Login => context::entry_to_set_up(place)?,
        None => context::entry(place)?,
        Some(_) => context::entry(place).map_err(output::warn).ok().flatten(),
    };
    let mut hook = HookPlan::read(action, place, entry)?;
    let (mut owner, given) = owner_and_token(args, action, env, place, &hook)?;
    told::tell_of_a_broken_record(&owner, given.as_ref(), place)?;
    told::tell_of_the_entrys_api(&owner, place, hook.entry.as_ref());
    // A URL that the token could never be sent to is better known now than in the hook.
    let url = owner.checked_api_url(http::Options::from_env(env).insecure)?;
    if action == Action::Login {
        let doubts = http::doubts(&url, "the API URL", "the owner token", &["v1"]);
        doubts.iter().for_each(output::warn);
    }
    if !args.force {
        store::refuse_foreign(&owner.token_file)?;
        store::refuse_anothers(&owner.token_file, &owner.namespace.value, place, now)?;
    }
    let token = new_token(&mut owner, given, action, env, place)?;
    if let NewToken::Given(given) = &token {
        told::tell_of_doubts(given, args, now);
    }
    let recorded = owner.record.as_ref().is_some_and(|record| record.trust_loopback);
    let trust_loopback = args.trust_loopback.unwrap_or(recorded);
    let replaced = match action {
        Action::Login => None,
        Action::Refresh => stored_life(&owner).or_else(|| owner.recorded_life()),
    };
    let ttl = settings::ttl_seconds(args.ttl_seconds, env, replaced)?;
    hook.settle(args, action, &owner.namespace.value, place)?;
    let anothers = hook.config_is_anothers();
    config_skipped = config_skipped.or_else(|| anothers.map(|other| format!("the hook speaks for {other}")));
    let mut login = Login {
        owner,
        token,
        verdict: Verdict::NotChecked("--no-check was given".to_owned()),
        trust_loopback,
        ttl,
        hook,
        config_skipped,
    };
    if login.config_skipped.is_none() {
        // Nothing has changed yet: a config that cannot take the entry is better known now.
        login.edit_config(args, place, Tokens::tried(&login), None)?;
    }
    if !args.no_check {
        login.verdict = login.ask(env, place, now);
    }
    if !args.force {
        login.refuse_a_worse_token(args, action, place)?;
    }
    Ok(login)
}

/// The token that is stored now.
fn stored(owner: &Owner) -> Option<SecretString> {
    owner.stored_token().ok()?
}

/// Its life in seconds.
fn stored_life(owner: &Owner) -> Option<u64> {
    claims::inspect(&stored(owner)?).ok()?.life()
}

/// What an edit of the entry puts there, and what it may take the place of.
struct Tokens {
    new: SecretString,
    replaced: Option<SecretString>,
}

impl Tokens {
    /// Those of an edit that is only tried.
    fn tried(login: &Login) -> Self {
        Self {
            new: login.stand_in(),
            replaced: stored(&login.owner),
        }
    }
}

impl Login {
    /// Asks the API, once.
    fn ask(&self, env: &Env, place: &OpenClawHome, now: i64) -> Verdict {
        let trust = settings::loopback_trust(self.trust_loopback, place);
        let check = TokenCheck::new(&self.owner, trust, env);
        match &self.token {
            NewToken::Given(given) => check.token(&given.token),
            NewToken::Signed(_, secret) => check.secret(&secret.value, now),
        }
    }

    fn refuse_a_worse_token(&self, args: &LoginArgs, action: Action, place: &OpenClawHome) -> Result<()> {
        let new = accept::NewToken {
            owner: &self.owner,
            place,
            action,
            flags: &context::place_flags(&args.place),
            verdict: &self.verdict,
            asked: !args.no_check,
            now: time::now(),
        };
        match &self.token {
            NewToken::Given(given) => new.check_given(&given.token, given.from),
            NewToken::Signed(_, secret) => new.check_signed(secret),
        }
    }

    /// Stores token, record and config under our own lock, so that two logins at once end with all three agreeing.
    fn carry_out(&self, args: &LoginArgs, place: &OpenClawHome) -> Result<Done> {
        let lock = fs::lock_sigilum(place)?;
        let token = match &self.token {
            NewToken::Given(given) => given.token.clone(),
            NewToken::Signed(api, secret) => {
                let secret = api.keep(secret)?;
                api.issue(&self.owner, &secret, self.ttl, time::now())?
            }
        };
        let tokens = Tokens {
            new: token.clone(),
            replaced: stored(&self.owner),
        };
        let store = || self.store(&token, place, &lock);
        let together = Together::new(&lock, &store);
        let config = if self.config_skipped.is_none() {
            let edited = self.edit_config(args, place, tokens, Some(&together));
            Some(edited.inspect_err(|_| {
                if together.is_done() {
                    output::warn(format_args!(
                        "the token was stored in {}; the edit of openclaw.json failed",
                        self.owner.token_file.display()
                    ));
                }
            })?)
        } else {
            None
        };
        together.run()?;
        lock.sync()?;
        Ok(Done {
            token: token.clone(),
            config,
        })
    }

    fn store(&self, token: &SecretString, place: &OpenClawHome, lock: &OwnLock) -> Result<()> {
        if let Some(folder) = self.owner.token_file.parent() {
            fs::create_private_dir(folder)?;
        }
        let is_named = self.owner.only_of.is_none();
        store::write(lock, &self.owner.token_file, token, is_named)?;
        record::write(lock, &place.record_file(&self.owner.namespace.value), self.record())?;
        self.hook.write(place, lock)?;
        self.leave_no_former_token(place)
    }

    fn record(&self) -> Record {
        let (source_home, api_db) = match &self.token {
            NewToken::Signed(api, _) => {
                let checkout = self.owner.source_home.as_ref().map(|home| home.value.clone());
                let named = self.owner.api_db.is_some() || api.embedded;
                (checkout, named.then(|| api.database.clone()))
            }
            NewToken::Given(_) => {
                let record = self.owner.record.as_ref();
                let kept = |path: fn(&Record) -> &Option<PathBuf>| record.and_then(|record| path(record).clone());
                (kept(|record| &record.source_home), kept(|record| &record.api_db))
            }
        };
        Record {
            mode: self.owner.mode.value,
            api_url: self.owner.api_url.value.clone(),
            email: self.owner.email.value.clone(),
            source_home,
            api_db,
            token_file: Some(self.owner.token_file.clone()),
            trust_loopback: self.trust_loopback,
            ttl_seconds: (matches!(self.token, NewToken::Signed(..)) && self.ttl != settings::TOKEN_LIFE)
                .then_some(self.ttl),
        }
    }

    /// Without what is to change with it, it is a dry run.
    fn edit_config(
        &self,
        args: &LoginArgs,
        place: &OpenClawHome,
        tokens: Tokens,
        together: Option<&Together<'_>>,
    ) -> Result<EntryDone> {
        let edit = EntryEdit {
            owner: &self.owner,
            token: Some(&tokens.new),
            replaces: tokens.replaced.as_ref(),
            token_in_config: self.hook.token_in_config(),
            enable: args.enable_authz_notify.unwrap_or(Enable::Preserve),
            force: args.force,
            hold_lock: Duration::from_millis(args.test_hold_lock_ms),
        };
        edit.run(place, together)
    }

    /// Stands for the token where an edit is only tried: the given one, or a text about as long as one.
    fn stand_in(&self) -> SecretString {
        match &self.token {
            NewToken::Given(given) => given.token.clone(),
            NewToken::Signed(..) => "x".repeat(STAND_IN).into(),
        }
    }
}

/// Prints what would be made and changed, or the patch of openclaw.json with the token masked.
fn dry_run(login: &Login, args: &LoginArgs, place: &OpenClawHome, out: &mut dyn Write) -> Result<ExitCode> {
    login.refuse_what_cannot_be_written(place)?;
    let edited = match &login.config_skipped {
        None => Some(login.edit_config(args, place, Tokens::tried(login), None)?),
        Some(_) => None,
    };
    if let Some(done) = &edited {
        let called = context::called(&args.place);
        let notes = done.notes.iter().map(|note| called.complete(note));
        notes.for_each(output::warn);
        if let Some(why) = &done.outcome.not_written {
            output::warn(format_args!("openclaw.json would not be written: {why}"));
        }
    }
    if !args.json {
        output::write_lines(out, &login.planned(args, edited.as_ref(), place)?)?;
        return Ok(ExitCode::Ok);
    }
    match (&edited, &login.config_skipped) {
        (Some(done), _) => write_line(out, format_args!("{:#}", config::masked(&done.outcome.patch)))?,
        (None, reason) => {
            write_line(out, "[]")?;
            let reason = reason.as_deref().unwrap_or_default();
            output::warn(format_args!("openclaw.json is left alone: {reason}"));
        }
    }
    Ok(ExitCode::Ok)
}
