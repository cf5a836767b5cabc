//! What `hook install` recorded, told: who reads, decides and is told is nothing to pass over in silence.

use crate::cli::HookInstallArgs;
use crate::hook_record::HookRecord;
use clap::ValueEnum;

/// A line for each choice that was typed, as it stands in the record now.
pub fn recorded(args: &HookInstallArgs, record: &HookRecord) -> Vec<String> {
    let list = |ids: &Option<Vec<String>>, nobody: &str| ids.as_ref().map_or(nobody.to_owned(), |ids| ids.join(", "));
    let seconds = |seconds| match seconds {
        Some(0) => "never".to_owned(),
        Some(seconds) => format!("every {seconds} s"),
        None => "as before".to_owned(),
    };
    let told = record.notify.as_ref().map(ToString::to_string);
    let groups = record.groups.and_then(|groups| groups.to_possible_value());
    let groups = groups.map_or_else(String::new, |groups| groups.get_name().to_owned());
    let is_set = |name: &str| if record.env.contains_key(name) { "set" } else { "none" }.to_owned();
    let choices = [
        (
            args.senders.is_some(),
            "readers",
            list(&record.senders, "whoever writes in a direct chat"),
        ),
        (
            args.deciders.is_some(),
            "deciders in the chat",
            list(&record.deciders, "nobody"),
        ),
        (args.groups.is_some(), "groups", groups),
        (
            args.notify.is_some(),
            "told at once",
            told.unwrap_or_else(|| "nobody".to_owned()),
        ),
        (
            args.poll_requests.is_some(),
            "the API is asked for requests",
            seconds(record.poll_requests),
        ),
        (
            args.dashboard.is_some(),
            "dashboard",
            record.dashboard.clone().unwrap_or_else(|| "none".to_owned()),
        ),
        // An address may hold a password.
        (args.proxy.is_some(), "proxy", is_set("HTTPS_PROXY")),
        (args.ca_file.is_some(), "certificates", is_set("SSL_CERT_FILE")),
    ];
    let token = args.token_in_config.map(|is_in| {
        let place = if is_in {
            "in openclaw.json too"
        } else {
            "in its own file only"
        };
        format!("recorded: the token stands {place}")
    });
    let typed = choices.into_iter().filter(|(is_typed, ..)| *is_typed);
    typed
        .map(|(_, what, value)| format!("recorded: {what}: {value}"))
        .chain(token)
        .collect()
}
