//! Whose command it is: what nobody has said in so many words is asked for at a terminal, and told elsewhere.

use crate::cmd::{context, output, prompt};
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::mode::Mode;
use crate::openclaw::{config, workspace};
use crate::origin::Origin;
use crate::settings::{self, Owner, OwnerQuery, Sourced};

/// So often is a namespace asked for: an answer that is none is no end.
const TRIES: usize = 5;

/// The owner that a person's command means. A namespace that is a guess, or that nobody names, is asked for where `asks`
/// and there is a terminal; elsewhere the guess is taken, and told.
pub fn owner(query: OwnerQuery<'_>, env: &Env, place: &OpenClawHome, asks: bool) -> Result<Owner> {
    let guess = settings::named(&query, env, place)?;
    if let Some(named) = guess.as_ref().filter(|named| !named.origin.is_guess()) {
        return settings::owner(&query.decided(named), env, place);
    }
    let read = settings::refuse_against_config_env(env);
    if !asks || !prompt::may_ask() {
        read?;
        let owner = settings::owner(&query, env, place)?;
        if let Some(why) = settings::missing_config_env(env) {
            output::warn(why);
        }
        if let Some(Sourced { value: guess, origin }) = guess {
            output::warn(format_args!(
                "nobody named a namespace: taking {guess} (from {origin}); to name it: --namespace {guess}"
            ));
        }
        return Ok(owner);
    }
    if let Err(why) = read {
        output::warn(why.text());
    }
    let question = match &guess {
        Some(guess) => format!("Namespace [{}]:", guess.value),
        None => "Namespace:".to_owned(),
    };
    let mut left = TRIES;
    loop {
        let Some(answer) = prompt::ask(&question)? else {
            let what = "no namespace was named, and the answer ended without one";
            return Err(Error::new(ExitCode::Usage, what).next("add --namespace, and yours"));
        };
        let guess = guess.as_ref().filter(|_| answer.is_empty());
        let decided = Sourced {
            value: guess.map_or(answer, |guess| guess.value.clone()),
            origin: Origin::Answer,
        };
        left -= 1;
        match settings::owner(&query.decided(&decided), env, place) {
            Err(error) if left > 0 && !settings::is_label(&decided.value, false) => output::note(error.text()),
            owner => return owner,
        }
    }
}

/// As [`owner`], for a command that goes by a login.
///
/// # Errors
/// [`nobody`]'s, where no namespace is known: then nobody is logged in.
pub fn logged_in(query: OwnerQuery<'_>, env: &Env, place: &OpenClawHome, flags: &str) -> Result<Owner> {
    match settings::named(&query, env, place)? {
        Some(found) => owner(query.decided(&found), env, place, false),
        None => Err(nobody(&query, env, place, flags)),
    }
}

/// The owner whom the records, or a person, name, without a word to anybody; `flags` lead to the home.
///
/// # Errors
/// As [`logged_in`].
pub fn known(query: OwnerQuery<'_>, env: &Env, place: &OpenClawHome, flags: impl FnOnce() -> String) -> Result<Owner> {
    match settings::named(&query, env, place)? {
        Some(found) => settings::owner(&query.decided(&found), env, place),
        None => Err(nobody(&query, env, place, &flags())),
    }
}

/// Nobody is logged in to a home, and nothing says whose it is; `flags` lead to it.
pub fn nobody(query: &OwnerQuery<'_>, env: &Env, place: &OpenClawHome, flags: &str) -> Error {
    let said = settings::unrecorded_mode(query, env).unwrap_or(Mode::Managed);
    let entry = context::entry(place).ok().flatten();
    let mode = match said {
        Mode::Managed => context::mode_of_home(place, entry.as_ref()).unwrap_or(said),
        Mode::OssLocal => said,
    };
    let log_in = mode.login_command_of((mode == Mode::OssLocal).then_some("<yours>"));
    let what = format!(
        "nobody is logged in, and no namespace is known: {}",
        place.home.display()
    );
    Error::new(ExitCode::Token, what).next(log_in + flags)
}

/// In oss-local mode, where no checkout and no database is named: a Sigilum checkout around the working directory is in
/// force if a person at a terminal agrees. Elsewhere, and where agents may write, it is only named.
pub fn agree_on_checkout(owner: &mut Owner, place: &OpenClawHome) -> Result<()> {
    if owner.mode.value != Mode::OssLocal || owner.source_home.is_some() || owner.api_db.is_some() {
        return Ok(());
    }
    let Some(found) = settings::checkout_around() else {
        return Ok(());
    };
    let config = config::read(place).ok().flatten();
    let config = config.as_ref().map(|config| &config.value);
    let agents_write = workspace::holds(&found, config, place);
    let question = || format!("Use the Sigilum checkout {}?", found.display());
    if !agents_write && prompt::may_ask() && prompt::confirm(&question())? {
        owner.source_home = Some(Sourced {
            value: found,
            origin: Origin::Found,
        });
        return Ok(());
    }
    let why = if agents_write { ", since agents write there" } else { "" };
    output::warn(format_args!(
        "the Sigilum checkout around the working directory is not used{why}; to use it: --source-home {}",
        fs::quoted(&found)
    ));
    Ok(())
}
