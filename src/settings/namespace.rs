//! Whose token is meant.

use super::authority::{Claimant, Setting, decide};
use super::{OwnerQuery, Sourced};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook_record::{self, HookRecord};
use crate::mode::Mode;
use crate::origin::Origin;
use crate::sigilum::dev_vars;
use crate::text::is_unset;
use crate::text::pasted::{decode, is_no_value};
use crate::token::record;
use std::path::{Path, PathBuf};

/// Sigilum's own `config.env` is a few lines.
const CONFIG_ENV_MAX: u64 = 64 * 1024;

/// The namespace in force, before its form is checked; which is a guess where [`Origin::is_guess`] says so.
///
/// # Errors
/// [`ExitCode::Usage`] where nobody names one; otherwise as [`named`].
pub fn namespace(query: &OwnerQuery, env: &Env, place: &OpenClawHome) -> Result<Sourced<String>> {
    named(query, env, place)?.ok_or_else(|| {
        Error::new(
            ExitCode::Usage,
            "could not tell the namespace: no flag, variable or record names one",
        )
        .next("add --namespace johndee, for example")
    })
}

/// The same; `None` where nobody names one, as in a container that has no `USER`, or one that cannot be a namespace.
///
/// # Errors
/// Where a record cannot be read, or a guess, or nobody, would stand in for what is stored.
pub fn named(query: &OwnerQuery, env: &Env, place: &OpenClawHome) -> Result<Option<Sourced<String>>> {
    let some = |value: Option<&str>, origin: Origin| {
        Ok(value.map(|value| Sourced {
            value: value.to_owned(),
            origin,
        }))
    };
    let var = |name: &'static str| some(env.var(name), Origin::Env(name));
    let guess = |found: Result<Option<Sourced<String>>>| match found? {
        Some(guess) => refuse_against_stored(Some(&guess), place).map(|()| Some(guess)),
        None => Ok(None),
    };
    let user = || {
        let capitals = super::unrecorded_mode(query, env).is_ok_and(|mode| mode == Mode::Managed);
        let user = env.var("USER").filter(|user| is_label(user, capitals));
        some(user, Origin::Env("USER"))
    };
    let found = decide(
        Setting::Namespace,
        &[
            (Claimant::Flag, &|| Ok(query.decided_namespace.cloned())),
            (Claimant::Flag, &|| some(query.namespace, Origin::Flag("--namespace"))),
            (Claimant::Flag, &|| some(query.token_namespace, Origin::Token)),
            (Claimant::PersonEnvironment, &|| var("SIGILUM_NAMESPACE")),
            (Claimant::PersonEnvironment, &|| var("GATEWAY_SIGILUM_NAMESPACE")),
            (Claimant::Record, &|| some(query.adopted_namespace, Origin::Adopted)),
            (Claimant::Record, &|| match hook_namespace(place) {
                Ok((named, _)) => Ok(named),
                // Where one namespace alone is stored, none else can be meant.
                Err(broken) => only_token_file(query, place)?.map(Some).ok_or(broken),
            }),
            (Claimant::Record, &|| only_token_file(query, place)),
            (Claimant::SigilumConfig, &|| match query.is_hook {
                true => Ok(None),
                false => Ok(of_config_env(env)),
            }),
            (Claimant::UnrecordedEntry, &|| match query.is_hook {
                // It asks with the entry's own token, whatever else is stored.
                true => of_entry(query),
                false => guess(of_entry(query)),
            }),
            (Claimant::UserName, &|| guess(user())),
        ],
    )?;
    if found.is_none() && !query.is_hook {
        refuse_against_stored(None, place)?;
    }
    Ok(found)
}

/// The flag of a login with which the hook goes on to speak for whom it speaks for, a blank before it; nothing where that
/// is this namespace, or nobody.
pub fn keeps_hook(place: &OpenClawHome, namespace: &str) -> &'static str {
    let hook = hook_namespace(place).ok().and_then(|(hook, _)| hook);
    match hook.is_some_and(|hook| hook.value != namespace) {
        true => " --write-openclaw false",
        false => "",
    }
}

/// The namespace that the hook of a home speaks for, with the hook's record: what `.sigilum/hook.json` says, else the
/// namespace whose record was written last. Without either the home has no record, and only its entry in openclaw.json
/// can say who it is for.
///
/// # Errors
/// Where a record cannot be read, or `hook.json` names no valid namespace.
pub fn hook_namespace(place: &OpenClawHome) -> Result<(Option<Sourced<String>>, HookRecord)> {
    let path = place.hook_record_file();
    let record = hook_record::read(&path)?.unwrap_or_default();
    let namespace = match &record.namespace {
        // It becomes a part of file names.
        Some(text) if !is_label(text, true) => {
            return Err(Error::new(
                ExitCode::Failure,
                format!(
                    "could not use the hook's record, its namespace is not valid: {}",
                    path.display()
                ),
            )
            .next(hook_record::install_anew(&path)));
        }
        Some(text) => Some((text.clone(), Origin::HookRecord)),
        None => record::written_last(&place.sigilum_dir())?.map(|text| (text, Origin::LastRecord)),
    };
    let namespace = namespace.map(|(value, origin)| Sourced { value, origin });
    Ok((namespace, record))
}

/// A token file without a record: Sigilum's own installer left it, or a person. The hook does not go by it, as the entry
/// in openclaw.json says which token it takes.
fn only_token_file(query: &OwnerQuery, place: &OpenClawHome) -> Result<Option<Sourced<String>>> {
    if query.is_hook {
        return Ok(None);
    }
    let only = record::only_namespace(&place.sigilum_dir())?;
    Ok(only.map(|value| Sourced {
        value,
        origin: Origin::OnlyOne,
    }))
}

/// Sigilum's own config names the namespace of its installation. One that cannot be used says nothing.
fn of_config_env(env: &Env) -> Option<Sourced<String>> {
    let (file, _) = config_env(env)?;
    let value = dev_vars::get(&read_config_env(&file).ok()??, "SIGILUM_NAMESPACE")?;
    (!value.is_empty()).then_some(Sourced {
        value,
        origin: Origin::SigilumConfig(file),
    })
}

/// What Sigilum's own config says; `None` where there is none.
fn read_config_env(file: &Path) -> Result<Option<String>> {
    let Some(bytes) = fs::read_capped(file, CONFIG_ENV_MAX)? else {
        return Ok(None);
    };
    fs::refuse_anothers_file(file)?;
    // Another value may be in any encoding.
    let text = decode(&bytes).map_or_else(|| String::from_utf8_lossy(&bytes).into_owned(), |decoded| decoded.text);
    Ok(Some(text))
}

/// Where Sigilum's own config is, and whether a person named it.
fn config_env(env: &Env) -> Option<(PathBuf, bool)> {
    match env.named_path("SIGILUM_CONFIG_FILE") {
        Some(path) => Some((std::path::absolute(env.expand_tilde(path)).ok()?, true)),
        None => Some((env.path("HOME")?.join(".sigilum/config.env"), false)),
    }
}

/// Why Sigilum's own config could not be asked for the namespace, where a person named one that is not there.
pub fn missing_config_env(env: &Env) -> Option<Error> {
    let (file, is_named) = config_env(env)?;
    let is_missing = is_named && matches!(read_config_env(&file), Ok(None));
    is_missing.then(|| {
        let what = format!("there is no file that SIGILUM_CONFIG_FILE names: {}", file.display());
        Error::new(ExitCode::Usage, what).next("unset SIGILUM_CONFIG_FILE; or name one that is there")
    })
}

/// Refuses a guess where Sigilum's own config is there and cannot be used: it may say something else.
pub fn refuse_against_config_env(env: &Env) -> Result<()> {
    let Some((file, _)) = config_env(env) else {
        return Ok(());
    };
    let read = read_config_env(&file).map(drop);
    read.map_err(|error| {
        let what = format!("could not tell the namespace: {}", error.text());
        Error::new(ExitCode::Usage, what).next("add --namespace johndee, for example")
    })
}

fn of_entry(query: &OwnerQuery) -> Result<Option<Sourced<String>>> {
    let env = query.entry_env.map_or(Ok(None), |ask| ask())?;
    let value = env.and_then(|mut env| env.remove("SIGILUM_NAMESPACE"));
    Ok(value.filter(|value| !is_unset(value)).map(|value| Sourced {
        value,
        origin: Origin::Entry,
    }))
}

/// Neither a guess nor nobody must stand in for what is known: tokens of other namespaces are stored.
fn refuse_against_stored(guess: Option<&Sourced<String>>, place: &OpenClawHome) -> Result<()> {
    let stored = record::namespaces(&place.sigilum_dir())?;
    if stored.is_empty() || guess.is_some_and(|guess| stored.contains(&guess.value)) {
        return Ok(());
    }
    let stored: Vec<String> = stored.into_iter().collect();
    Err(Error::new(
        ExitCode::Usage,
        format!(
            "could not tell the namespace: tokens of {} are stored",
            stored.join(", ")
        ),
    )
    .next(format!("add --namespace {}", stored[0])))
}

/// Whether a text is `^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$`, the form of namespaces and service slugs; with `capitals`,
/// capital letters may stand in it too.
pub fn is_label(text: &str, capitals: bool) -> bool {
    let bytes = text.as_bytes();
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || (capitals && b.is_ascii_uppercase());
    (3..=64).contains(&bytes.len())
        && bytes.iter().all(|b| plain(b) || *b == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

/// Managed namespaces may hold capital letters too.
pub(super) fn check_namespace(namespace: &Sourced<String>, mode: Mode) -> Result<()> {
    let by_a_script = matches!(
        namespace.origin,
        Origin::Flag(_) | Origin::Env(_) | Origin::SigilumConfig(_)
    ) && is_no_value(&namespace.value);
    if is_label(&namespace.value, mode == Mode::Managed) && !by_a_script {
        return Ok(());
    }
    Err(Error::new(
        ExitCode::Usage,
        format!(
            "invalid namespace {:?} (from {}): use 3 to 64 lower-case letters, digits and inner hyphens{}",
            namespace.value,
            namespace.origin,
            if mode == Mode::Managed {
                "; capital letters too in managed mode"
            } else {
                ""
            }
        ),
    )
    .next(namespace.origin.mend("--namespace", "johndee", "")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::home;
    use std::time::{Duration, SystemTime};

    #[test]
    fn whose_hook_a_home_has() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::from_pairs([("HOME", dir.path().to_str().unwrap())]);
        let place = home::find(None, None, &env).unwrap();
        let found = || hook_namespace(&place).map(|(found, _)| found.map(|found| (found.value, found.origin)));
        assert_eq!(found().unwrap(), None);

        let lock = fs::lock_sigilum(&place).unwrap();
        lock.write_private(&place.token_file("anna"), b"a token without a record")
            .unwrap();
        assert_eq!(found().unwrap(), None);

        for (namespace, age) in [("carl", 0), ("alice", 100), ("bob", 0)] {
            let path = place.record_file(namespace);
            lock.write_private(&path, b"{}").unwrap();
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 - age))
                .unwrap();
        }
        assert_eq!(found().unwrap(), Some(("carl".to_owned(), Origin::LastRecord)));

        let write = |text: &str| lock.write_private(&place.hook_record_file(), text.as_bytes()).unwrap();
        write(r#"{"senders": ["irc:alice"]}"#);
        assert_eq!(found().unwrap(), Some(("carl".to_owned(), Origin::LastRecord)));
        write(r#"{"namespace": "alice"}"#);
        assert_eq!(found().unwrap(), Some(("alice".to_owned(), Origin::HookRecord)));
        for broken in [r#"{"namespace": "../alice"}"#, "{"] {
            write(broken);
            assert_eq!(found().unwrap_err().code, ExitCode::Failure);
        }
    }
}
