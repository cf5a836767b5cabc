//! What many commands begin with: the OpenClaw home, the hook's entry, the owner, and `openclaw` itself.

use crate::cli::{self, LocalApiArgs, OwnerArgs, PlaceArgs};
use crate::cmd::output;
use crate::env::Env;
use crate::error::{Called, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record::{self, HookRecord};
use crate::local_token::LocalApi;
use crate::mode::Mode;
use crate::openclaw::backups;
use crate::openclaw::config::{self, EditOutcome};
use crate::openclaw::entry::{self, Entry};
use crate::origin::Origin;
use crate::process::child::find_on_path;
use crate::settings::{self, Owner, OwnerQuery};
use crate::time;
use crate::token::record::{self, Record};
use crate::token::store;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where things are; what is odd about how that was found goes to standard error.
pub fn place(args: &PlaceArgs, env: &Env) -> Result<OpenClawHome> {
    let place = home::find(args.openclaw_home.as_deref(), args.config.as_deref(), env)?;
    place.warnings.iter().for_each(output::warn);
    if !heed_trust(env) && fs::is_open_without_modes(&place.home) {
        output::warn(format_args!(
            "the file system of {} keeps no modes: whoever can reach it can change what we believe there",
            place.home.display()
        ));
    }
    Ok(place)
}

/// Lifts the check of who may write to a home.
pub const TRUST_HOME: &str = "SIGILUM_TRUST_HOME";

/// Lifts it where this environment says so; whether it does.
pub fn heed_trust(env: &Env) -> bool {
    let is_on = env.is_on(TRUST_HOME);
    if is_on {
        fs::trust_all_writers();
    }
    is_on
}

/// The flags that lead to the same home again, for a command that is printed: a blank and each, or nothing.
pub fn place_flags(args: &PlaceArgs) -> String {
    path_flag("--openclaw-home", args.openclaw_home.as_deref()) + &path_flag("--config", args.config.as_deref())
}

/// What a command was told of the home, for the steps that it prints.
pub fn called(args: &PlaceArgs) -> Called {
    let told = [
        ("--openclaw-home", args.openclaw_home.as_deref()),
        ("--config", args.config.as_deref()),
    ];
    let told = told
        .into_iter()
        .filter_map(|(flag, path)| Some((flag, cli::quoted(path?))));
    Called {
        place: told.collect(),
        ..Called::default()
    }
}

/// The same for the steps of an error, by the home's record.
pub fn called_by_record(called: Called, env: &Env) -> Called {
    let home = called.place.iter().find(|(flag, _)| *flag == "--openclaw-home");
    let home = home.and_then(|(_, quoted)| shell_words::split(quoted).ok()?.pop());
    let Ok(place) = home::find(home.as_deref().map(Path::new), None, env) else {
        return called;
    };
    let record = hook_record::read(&place.hook_record_file()).ok().flatten();
    with_openclaw(called, record.as_ref(), &place, env)
}

/// The same with what a step is to say in the place of `openclaw`: as root in another user's home it is run by that
/// user, and no program that a record of theirs names is in any step.
pub fn with_openclaw(called: Called, record: Option<&HookRecord>, place: &OpenClawHome, env: &Env) -> Called {
    let owner = place.anothers();
    let own = record.filter(|_| owner.is_none());
    Called {
        openclaw: own.and_then(|record| off_path(record, env)),
        is_found: owner.is_none() && home::is_found(&place.home, env),
        openclaw_as: owner.map(fs::sudo_as),
        ..called
    }
}

/// The `openclaw` that an install saw, as it is typed, where none is on PATH.
fn off_path(record: &HookRecord, env: &Env) -> Option<String> {
    let may = |path: &&Path| path.is_file() && fs::refuse_anothers_program(path).is_ok();
    let recorded = record.openclaw.as_deref().filter(may)?;
    openclaw_program(env).is_none().then(|| fs::quoted(recorded))
}

/// A flag and its value in a shell's quotes, with a blank before them; nothing where there is no value.
pub fn flag(name: &str, value: Option<impl AsRef<str>>) -> String {
    value.map_or_else(String::new, |value| {
        format!(" {name} {}", shell_words::quote(value.as_ref()))
    })
}

/// A flag that was given a path, for a command that is printed: a blank and the flag, or nothing.
pub fn path_flag(name: &str, path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!(" {name} {}", cli::quoted(path)))
}

/// What a command's options say of the owner.
pub fn owner_query<'a>(owner: &'a OwnerArgs, local_api: &'a LocalApiArgs) -> OwnerQuery<'a> {
    OwnerQuery {
        namespace: owner.namespace.as_deref(),
        mode: owner.mode,
        api_url: owner.api_url.as_deref(),
        token_file: owner.token_file.as_deref(),
        source_home: local_api.source_home.as_deref(),
        api_db: local_api.api_db.as_deref(),
        ..OwnerQuery::default()
    }
}

/// The hook's entry in openclaw.json; `None` where there is none.
pub fn entry(place: &OpenClawHome) -> Result<Option<Entry>> {
    let config = config::read(place)?;
    Ok(config.map(|config| entry::find(&config.value)).transpose()?.flatten())
}

/// As [`entry`], for a command that sets something up in the config.
///
/// # Errors
/// [`ExitCode::Config`] also where OpenClaw refuses the config although our part of it can be read.
pub fn entry_to_set_up(place: &OpenClawHome) -> Result<Option<Entry>> {
    if let Some(config) = config::read(place)? {
        config.check()?;
    }
    entry(place)
}

/// The entry's env.
pub fn entry_env(place: &OpenClawHome) -> Result<Option<BTreeMap<String, String>>> {
    Ok(entry(place)?.map(|entry| entry.env))
}

/// As [`entry_env`], for a command that does without openclaw.json: one that cannot be read is a warning.
pub fn entry_env_if_readable(place: &OpenClawHome) -> Option<BTreeMap<String, String>> {
    entry_env(place).unwrap_or_else(|error| {
        output::warn(error);
        None
    })
}

/// `openclaw` on PATH.
pub(super) fn openclaw_program(env: &Env) -> Option<PathBuf> {
    find_on_path(env.path("PATH")?.as_os_str(), "openclaw")
}

/// Tells what openclaw.json needs that was not written: a person puts it there.
pub fn tell_not_written(edited: &EditOutcome, place: &OpenClawHome, out: &mut dyn Write) -> Result<()> {
    let Some(why) = &edited.not_written else { return Ok(()) };
    let config = place.config.display();
    output::warn(format_args!(
        "{config} still needs a change: {why}\n  next: {}",
        why.next()
    ));
    output::write_line(out, format_args!("{config} was not written, as {why}; it needs:"))?;
    output::write_line(out, format_args!("{:#}", config::masked(&edited.patch)))
}

/// The command that makes or stores a new token for an owner; `flags` lead to the same home.
pub fn login_command(owner: &Owner, place: &OpenClawHome, flags: &str) -> String {
    login_of(owner, Some(&owner.namespace.value), place, flags)
}

fn login_of(owner: &Owner, namespace: Option<&str>, place: &OpenClawHome, flags: &str) -> String {
    let mode = login_mode(owner, place);
    let same_api = match (&owner.record, &owner.api_url.origin) {
        (None, Origin::Default) => same_api(mode, place),
        _ => String::new(),
    };
    let checkout = match owner.record.is_none() && mode == Mode::OssLocal && !same_api.contains(SOURCE_HOME) {
        true => former_checkout(owner, place),
        false => String::new(),
    };
    format!(
        "{}{same_api}{checkout}{}{}{flags}",
        mode.login_command_of(namespace),
        owner.life_flag(),
        own_file(owner, place)
    )
}

/// The flag with the checkout of the login that an owner had here, a blank before it. What was typed just now did not
/// help; and a broker's folder is not shown to whom it answers.
fn former_checkout(owner: &Owner, place: &OpenClawHome) -> String {
    if owner.source_home.is_some() || place.is_a_brokers() {
        return String::new();
    }
    let record = hook_record::read(&place.hook_record_file()).ok().flatten();
    record.unwrap_or_default().former_checkout(&owner.namespace.value)
}

const SOURCE_HOME: &str = " --source-home ";

/// A login with the checkout that the API runs from: one that is known, else a person names it.
pub fn with_checkout(log_in: &str) -> String {
    match log_in.contains(SOURCE_HOME) {
        true => log_in.to_owned(),
        false => format!("{log_in}{SOURCE_HOME}<folder>"),
    }
}

/// The flag that gives an owner a token file of its own, where the present one holds the token of another namespace.
fn own_file(owner: &Owner, place: &OpenClawHome) -> String {
    let namespace = &owner.namespace.value;
    let is_taken = store::refuse_anothers(&owner.token_file, namespace, place, time::now()).is_err();
    let file = is_taken.then(|| fs::quoted(&place.token_file(namespace)));
    file.map_or_else(String::new, |file| format!(" --token-file {file}"))
}

/// The same in a home where perhaps nobody is logged in: a namespace that is a guess is left out. The hook goes on to
/// speak for whom it speaks for.
pub fn first_login_command(owner: &Owner, place: &OpenClawHome, flags: &str) -> String {
    let namespace = (!owner.namespace.origin.is_guess()).then_some(owner.namespace.value.as_str());
    let keeps_hook = settings::keeps_hook(place, &owner.namespace.value);
    login_of(owner, namespace, place, &format!("{keeps_hook}{flags}"))
}

/// The same in a home of Sigilum's own installer, which has a token and no record: the secret lies in its checkout.
pub fn installers_login_command(owner: &Owner, place: &OpenClawHome, flags: &str) -> String {
    let log_in = login_command(owner, place, "");
    let log_in = match login_mode(owner, place) {
        Mode::OssLocal => with_checkout(&log_in),
        Mode::Managed => log_in,
    };
    log_in + flags
}

/// What makes or takes a new token of an owner, and changes nothing else: where the secret is kept that signs it, a
/// refresh, else the login.
pub fn renew_command(owner: &Owner, place: &OpenClawHome, flags: &str) -> String {
    match can_sign_here(owner, place) && own_file(owner, place).is_empty() {
        true => format!(
            "sigilum-authz-notify auth refresh --namespace {}{flags}",
            owner.namespace.value
        ),
        false => first_login_command(owner, place, flags),
    }
}

/// Whether an owner is logged in to a local API whose secret is kept here, so that a refresh signs a token.
pub fn can_sign_here(owner: &Owner, place: &OpenClawHome) -> bool {
    let is_local = |record: &Record| [record.mode, owner.mode.value] == [Mode::OssLocal; 2];
    let is_kept = || LocalApi::find(owner, place).is_ok_and(|api| matches!(api.kept_secret(), Ok(Some(_))));
    owner.record.as_ref().is_some_and(is_local) && is_kept()
}

/// Where nobody is logged in: the API that the entry names, where a login goes to another one. Whoever edits the config
/// wrote it.
pub fn entrys_other_api(owner: &Owner, place: &OpenClawHome) -> Option<String> {
    if !nobody_is_there(owner, place) || owner.api_url.origin != Origin::Default {
        return None;
    }
    let entry = entry(place).ok().flatten()?;
    let url = entry.api_url()?.trim_end_matches('/');
    (url != settings::default_api_url(login_mode(owner, place)))
        .then(|| format!("the entry in openclaw.json names the API {url:?}: log in with --api-url, if it is yours"))
}

/// Whether neither this owner nor the one of the hook is logged in: what the entry says is all that there is.
pub fn nobody_is_there(owner: &Owner, place: &OpenClawHome) -> bool {
    owner.record.is_none() && hooks_record(place).is_none()
}

/// The login of the namespace that the hook speaks for.
fn hooks_record(place: &OpenClawHome) -> Option<Record> {
    let namespace = settings::hook_namespace(place).ok()?.0?.value;
    record::read(&place.record_file(&namespace)).ok()?
}

/// The flags that lead the first login of a namespace to the API that the hook's one has, a blank before each.
pub fn same_api(mode: Mode, place: &OpenClawHome) -> String {
    let record = hooks_record(place).filter(|record| record.mode == mode);
    record.as_ref().map_or_else(String::new, api_flags)
}

/// The flags that lead a login to the API of a recorded one, a blank before each.
pub fn api_flags(record: &Record) -> String {
    let is_other = record.api_url != settings::default_api_url(record.mode);
    [
        flag("--api-url", is_other.then_some(&record.api_url)),
        path_flag("--source-home", record.source_home.as_deref()),
        path_flag("--api-db", record.api_db.as_deref()),
    ]
    .concat()
}

/// The mode of a login: that in force, or where nothing says one, that of the hook's namespace, the entry's, or the one of a
/// home that has signed tokens itself, as a logout leaves it.
pub fn login_mode(owner: &Owner, place: &OpenClawHome) -> Mode {
    if owner.record.is_some() || owner.mode.origin != Origin::Default {
        return owner.mode.value;
    }
    let of_hook = hooks_record(place).map(|record| record.mode);
    let of_home = || mode_of_home(place, entry(place).ok().flatten().as_ref());
    // Its former login was one with a checkout's secret.
    let signed = || (!former_checkout(owner, place).is_empty()).then_some(Mode::OssLocal);
    of_hook.or_else(signed).or_else(of_home).unwrap_or(owner.mode.value)
}

/// What a home without a login says of the mode: its entry, or that it has signed tokens itself.
pub fn mode_of_home(place: &OpenClawHome, entry: Option<&Entry>) -> Option<Mode> {
    let of_entry = entry.and_then(Entry::mode).and_then(Mode::named);
    let signs = || place.jwt_secret_file().exists().then_some(Mode::OssLocal);
    of_entry.or_else(signs)
}

/// A command of ours as it is typed where it begins otherwise, as another user: `program` in the place of our name.
pub fn begun_with(program: &str, command: &str) -> String {
    match command.strip_prefix("sigilum-authz-notify") {
        Some(words) => format!("{program}{words}"),
        None => command.to_owned(),
    }
}

/// Whether a name in `.sigilum/` is one that we give.
pub fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "hook.json",
        "serve.json",
        "seen.json",
        "told.json",
        "decisions.jsonl",
        "decisions.1.jsonl",
        "decisions.lock",
        "approvals.json",
        "broker",
        "totp.json",
        "undo.json",
        "installed.json",
        "watch-status.json",
        "watch.lock",
        "watch.log",
        "lock",
    ];
    NAMES.contains(&name) || is_secret(name) || fs::is_temp_name(name)
}

/// Whether a name in `.sigilum/` is that of a token, of its login, or of what signs one.
pub fn is_secret(name: &str) -> bool {
    let owner = name.strip_prefix("owner-");
    ["jwt-secret", "local-api.sqlite"].contains(&name)
        || name.starts_with("local-api.sqlite-")
        || owner.is_some_and(|rest| rest.ends_with(".json") || (rest.starts_with("token-") && rest.ends_with(".jwt")))
}

/// Tells where copies of the config still hold tokens that have been taken out of it.
pub fn tell_of_copies(
    place: &OpenClawHome,
    files: &[PathBuf],
    tokens: &[SecretString],
    out: &mut dyn Write,
) -> Result<()> {
    let (kept, openclaws): (Vec<_>, Vec<_>) = backups::with_tokens(place, files, tokens)
        .into_iter()
        .partition(|path| fs::is_kept(path));
    let whose = [
        ("OpenClaw's own files", openclaws),
        (
            "files that another program wrote in the same moment as we, and that are kept,",
            kept,
        ),
    ];
    for (whose, copies) in whose.into_iter().filter(|(_, copies)| !copies.is_empty()) {
        let what = "still hold owner tokens; remove them, or wait until the tokens expire:";
        output::write_line(out, format_args!("{whose} {what}"))?;
        for path in copies {
            output::write_line(out, format_args!("  {}", path.display()))?;
        }
    }
    Ok(())
}
