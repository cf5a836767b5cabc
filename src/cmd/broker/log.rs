//! `broker log`: the decisions that were made here, and how codes stand.

use super::state;
use crate::broker::totp::SecondFactor;
use crate::cli::{AuthzLogArgs, BrokerLogArgs, PlaceArgs, ShowArgs};
use crate::cmd::authz;
use crate::cmd::output;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::time;
use std::io::Write;

/// Runs the command.
pub fn run(args: &BrokerLogArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = state::existing(args.state.state.as_deref(), env)?;
    let log = AuthzLogArgs {
        output: args.output.clone(),
        owner: ShowArgs {
            place: PlaceArgs {
                openclaw_home: Some(place.home.clone()),
                config: None,
            },
            ..ShowArgs::default()
        },
    };
    let code = authz::log::run(&log, env, out)?;
    let ledger = SecondFactor::read(&place)?
        .map(|factor| factor.ledger)
        .unwrap_or_default();
    let now = time::now();
    if let Some(until) = ledger.locked(now) {
        output::note(format_args!(
            "wrong codes were given; deciding by code is locked until {}",
            time::rfc3339(until)
        ));
    } else if ledger.wrong > 0 {
        output::note(format_args!("{} wrong codes were given lately", ledger.wrong));
    }
    Ok(code)
}
