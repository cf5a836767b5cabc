//! `broker release`: root gives a login back to the OpenClaw home that it was taken out of.

use super::homes::{self, Homes};
use super::moving::Move;
use crate::cli::BrokerHomesArgs;
use crate::cmd::output::{self, write_line};
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::fs;
use crate::hook_record;
use crate::settings::OwnerQuery;
use crate::token::record::Record;
use crate::token::token_command::VARIABLE;
use std::io::Write;

/// Runs the command.
pub fn run(args: &BrokerHomesArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let homes = Homes::find(args, env, "release", "")?;
    release(args, &homes, out).map_err(|error| homes.for_their_owner(error))
}

fn release(args: &BrokerHomesArgs, homes: &Homes, out: &mut dyn Write) -> Result<ExitCode> {
    let typed = OwnerQuery {
        namespace: args.namespace.as_deref(),
        ..OwnerQuery::default()
    };
    let owner = homes::owner(&homes.state, typed, &homes.home)?;
    let hook = hook_record::read(&homes.state.hook_record_file())?.unwrap_or_default();
    let own_db = homes.state.embedded_db();
    let record = owner.record.clone();
    let record = record.map(|record| Record {
        token_file: None,
        api_db: record.api_db.filter(|path| *path != own_db),
        ..record
    });
    Move {
        from: &homes.state,
        to: &homes.home,
        record: record.unwrap_or_else(|| Record {
            mode: owner.mode.value,
            api_url: owner.api_url.value.clone(),
            email: owner.email.value.clone(),
            source_home: None,
            api_db: None,
            token_file: None,
            trust_loopback: false,
            ttl_seconds: None,
        }),
        owner: &owner,
        token_command: hook.env.get(VARIABLE).map(String::as_str),
        agents_are_there: true,
    }
    .run(out)?;
    output::warn(format_args!(
        "from now on agents that run as {} can read the owner token",
        fs::user_name(homes.user)
    ));
    write_line(
        out,
        format_args!(
            "{} has the login of {} again.",
            fs::user_name(homes.user),
            owner.namespace.value
        ),
    )?;
    let asks = hook_record::read(&homes.home.hook_record_file())?.is_some_and(|record| record.broker.is_some());
    if asks {
        let alone = homes::without_broker(&homes.home);
        write_line(out, format_args!("It asks the broker all the same, until: {alone}"))?;
    }
    Ok(ExitCode::Ok)
}
