//! What a command in a chat is answered with: a text that says everything, with the commands to type, and the same
//! commands as buttons, for channels that have them. Pure, as the notice is, and as careful with the text of strangers.

use crate::hook::clean::{self, clean};
use crate::hook::command::{May, NotDeciding};
use crate::hook::notice::{self, FIELD_MAX};
use crate::hook::seen::Listed;
use crate::request::{AuthorizationRequest, Decision};
use crate::time;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The longest text, in characters; no channel takes less.
pub const MAX: usize = 3500;
/// How many requests a list describes, and how many of them have buttons.
const LISTED: usize = 10;
const WITH_BUTTONS: usize = 4;

/// The answer to whom the owner did not record, or who is not alone with the bot. It tells nothing but how it is set up.
/// No command: it would have to name all who decide, and others read this.
pub const REFUSAL: &str = "Sigilum: requests are answered here in a direct chat, by whom the namespace's owner recorded \
                           for it in a terminal, with --deciders of sigilum-authz-notify hook install.";

/// What goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// All of it.
    pub text: String,
    /// The commands as buttons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presentation: Option<Presentation>,
}

/// OpenClaw's message presentation, as far as there is need of it: rows of buttons that type a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presentation {
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Block {
    Buttons { buttons: Vec<Button> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Button {
    label: String,
    action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Action {
    Command { command: String },
}

impl Reply {
    /// Without buttons.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            presentation: None,
        }
    }

    /// With commands as buttons, a row a list; each with its label.
    pub fn with_buttons(text: String, rows: Vec<Vec<(String, String)>>) -> Self {
        let button = |(label, command): (String, String)| Button {
            label,
            action: Action::Command { command },
        };
        let blocks: Vec<Block> = rows
            .into_iter()
            .filter(|row| !row.is_empty())
            .map(|row| Block::Buttons {
                buttons: row.into_iter().map(button).collect(),
            })
            .collect();
        Self {
            presentation: (!blocks.is_empty()).then_some(Presentation { blocks }),
            text,
        }
    }

    /// One that a broker made, fit for a chat: see [`clean::relayed`].
    pub fn relayed(self, dashboard: &str) -> Self {
        let is_ours = |button: &Button| {
            let Action::Command { command } = &button.action;
            command.starts_with("/sigilum ")
        };
        let all_are_ours = |presentation: &Presentation| {
            let mut blocks = presentation.blocks.iter();
            blocks.all(|Block::Buttons { buttons }| buttons.iter().all(is_ours))
        };
        Self {
            text: clean::relayed(&self.text, dashboard, MAX),
            presentation: self.presentation.filter(all_are_ours),
        }
    }
}

/// What waits, for a reader who may do so much; and which requests of the list it describes: the first so many. `count`
/// is how many wait in all, and whether that is known. `short` gives what is enough of an id; `command` lists all of them
/// in a terminal.
pub fn list(
    namespace: &str,
    (count, all): (u64, bool),
    listed: &[Listed],
    (now, may): (i64, May),
    short: &dyn Fn(&str) -> String,
    command: &str,
) -> (Reply, usize) {
    if count == 0 {
        return (
            Reply::text(format!("Sigilum: nothing waits for approval in namespace {namespace}.")),
            0,
        );
    }
    let at_least = if all { "" } else { "at least " };
    let wait = if count == 1 { "request waits" } else { "requests wait" };
    let head = format!("Sigilum: {at_least}{count} {wait} for your approval in namespace {namespace}.");
    let advice = match may {
        May::Decide => {
            "To answer, with an ID from above: /sigilum approve ID, /sigilum approve ID 1h, or /sigilum reject ID. \
             Everything about one: /sigilum show ID"
                .to_owned()
        }
        May::DecideByCode => {
            "To answer, with an ID from above and a code of your app: /sigilum approve ID CODE, /sigilum approve ID 1h CODE, \
             or /sigilum reject ID CODE. Everything about one: /sigilum show ID"
                .to_owned()
        }
        _ => "Everything about one: /sigilum show ID".to_owned(),
    };
    let tries = (0..=listed.len().min(LISTED)).rev();
    let text = tries.map(|described| {
        let mut text = head.clone();
        for listed in &listed[..described] {
            let id = listed.request.id().map_or_else(|| "no ID".to_owned(), short);
            let _ = write!(text, "\nID {id}: {}", line(listed, now));
        }
        let more = count.saturating_sub(described as u64);
        if listed.is_empty() {
            text += "\nNone of them could be read here.";
        } else if more > 0 {
            let _ = write!(text, "\nAnd {more} more; in a terminal: {command}");
        }
        let _ = write!(text, "\n{advice}");
        (text, described)
    });
    let fits = |(text, described): &(String, usize)| text.chars().count() <= MAX || *described == 0;
    let (text, described) = text.into_iter().find(fits).unwrap_or_default();
    let ids = listed[..described].iter().filter_map(|listed| listed.request.id());
    let rows = ids.take(WITH_BUTTONS).map(|id| {
        let row = answers(id, may)
            .into_iter()
            .chain([("Show", format!("/sigilum show {id}"))]);
        row.map(|(verb, command)| (format!("{verb} {}", short(id)), command))
            .collect()
    });
    (Reply::with_buttons(text, rows.collect()), described)
}

/// `new: service "mail", agent "bot", key "AbCd..wxyz", ip "10·0·0·7", 3 min ago, runs out in 23 h`
fn line(listed: &Listed, now: i64) -> String {
    let line = notice::line(listed, now, FIELD_MAX);
    match listed.request.runs_out() {
        Some(at) => format!("{line}, {}", notice::runs_out(at.saturating_sub(now))),
        None => line,
    }
}

/// The commands that answer a pending request.
fn answers(id: &str, may: May) -> Vec<(&'static str, String)> {
    match may {
        May::Decide => vec![
            ("Approve", format!("/sigilum approve {id}")),
            ("Reject", format!("/sigilum reject {id}")),
        ],
        _ => Vec::new(),
    }
}

/// Everything about one request; `before` says why it is shown, `more` what else is known of it, a line each, in our own
/// words.
pub fn show(request: &AuthorizationRequest, before: &str, more: &[String], may: May) -> Reply {
    let id = request.id().unwrap_or_default();
    let status = clean(request.status.as_deref().unwrap_or("without a status"), FIELD_MAX);
    let mut text = format!("{before}Sigilum request {id}, {status}:");
    for (name, value) in request.fields() {
        let Some(value) = value.filter(|_| !["id", "status"].contains(&name)) else {
            continue;
        };
        let value = match name {
            "key" => clean::whole_key(value),
            "ip" => clean::address(value, FIELD_MAX),
            _ => clean(value, 2 * FIELD_MAX),
        };
        let _ = write!(text, "\n{name} \"{value}\"");
    }
    let times = [
        ("first asked", &request.created_at),
        ("approved", &request.approved_at),
        ("revoked", &request.revoked_at),
    ];
    for (name, time) in times {
        let time = time.as_deref().and_then(crate::request::seconds);
        if let Some(time) = time {
            let _ = write!(text, "\n{name} {}", time::rfc3339(time));
        }
    }
    for line in more {
        let _ = write!(text, "\n{line}");
    }
    let buttons = match (request.status.as_deref(), may) {
        (Some("pending"), may) => answers(id, may),
        (Some("approved"), May::Decide) => vec![("Revoke", format!("/sigilum revoke {id}"))],
        _ => Vec::new(),
    };
    if request.is("pending") && may == May::Decide {
        let _ = write!(
            text,
            "\nCompare service and key with what you expect. To answer: /sigilum approve {id}, /sigilum approve {id} 1h, or \
             /sigilum reject {id}"
        );
    } else if may == May::DecideByCode {
        let answers = match request.status.as_deref() {
            Some("pending") => {
                format!(
                    "\nCompare service and key with what you expect. To answer, with a code of your app: /sigilum approve \
                     {id} CODE, /sigilum approve {id} 1h CODE, or /sigilum reject {id} CODE"
                )
            }
            Some("approved") => format!("\nTo take it back: /sigilum revoke {id} CODE"),
            _ => String::new(),
        };
        text += &answers;
    } else if let Some((_, command)) = buttons.first() {
        let _ = write!(text, "\nTo take it back: {command}");
    }
    let row = buttons.into_iter().map(|(verb, command)| (verb.to_owned(), command));
    Reply::with_buttons(text, vec![row.collect()])
}

/// A decision that was made, by one who may do so much; `until`: when an approval is taken back, Unix seconds.
pub fn decided(
    decision: Decision,
    request: &AuthorizationRequest,
    (until, may): (Option<i64>, May),
    unlogged: Option<String>,
) -> Reply {
    let id = request.id().unwrap_or_default();
    let until = until.map_or_else(String::new, |until| format!(" until {}", time::rfc3339(until)));
    let mut text = format!("Sigilum: {} {}{until}.", decision.to(), named(request));
    if let Some(why) = unlogged {
        let _ = write!(text, " That was done, but not all of it is recorded: {why}.");
    }
    if decision != Decision::Approve {
        return Reply::text(text);
    }
    let back = format!("/sigilum revoke {id}");
    if may == May::DecideByCode {
        return Reply::text(format!("{text} To take it back: {back} CODE"));
    }
    let _ = write!(text, " To take it back: {back}");
    Reply::with_buttons(text, vec![vec![("Revoke".to_owned(), back)]])
}

/// `cl_… (service "mail", key "Gb9ECWmE..4rXAxZuE")`
fn named(request: &AuthorizationRequest) -> String {
    let plain = |text: &Option<String>| {
        text.as_deref()
            .map_or_else(|| "-".to_owned(), |text| clean(text, FIELD_MAX))
    };
    let key = request.public_key.as_deref().map_or_else(|| "-".to_owned(), clean::key);
    let id = request.id().unwrap_or_default();
    format!("{id} (service \"{}\", key \"{key}\")", plain(&request.service))
}

/// What can be typed.
pub fn help(may: May) -> Reply {
    Reply::text(format!("Sigilum, {}", usage(may)))
}

/// What was typed is no command: nothing of it is repeated, as it may hold a code.
pub fn unclear(may: May) -> Reply {
    Reply::text(format!(
        "Sigilum: nothing was decided, as that is no command; {}",
        usage(may)
    ))
}

fn usage(may: May) -> String {
    let decide = match may {
        May::Decide => {
            "\n/sigilum approve ID, or /sigilum approve ID 1h: for a time that ends by itself (30m, 1h, 3d)\n\
             /sigilum reject ID\n/sigilum revoke ID: takes an approval back"
        }
        May::DecideByCode => {
            "\n/sigilum approve ID CODE, or /sigilum approve ID 1h CODE: for a time that ends by itself (30m, 1h, 3d)\n\
             /sigilum reject ID CODE\n/sigilum revoke ID CODE: takes an approval back\n\
             CODE is what your authenticator app shows; each counts once"
        }
        _ => "",
    };
    let why = not_deciding(may).map_or_else(String::new, |why| format!("\n{why}"));
    format!(
        "what you can type:\n/sigilum list: the requests that wait\n/sigilum show ID: everything about one{decide}\n\
         /sigilum status\nAn ID is a whole one, or its first 11 characters.{why}"
    )
}

/// A decision by code, without one.
pub fn needs_a_code(decision: Decision, id: &str) -> Reply {
    Reply::text(format!(
        "Sigilum: nothing was decided: it takes a code of your authenticator app: /sigilum {} {id} CODE",
        decision.as_str()
    ))
}

/// Why a reader does not decide; `command`: what does it in a terminal.
pub fn not_decided(may: May, command: &str) -> Reply {
    let why = not_deciding(may).unwrap_or(REFUSAL);
    Reply::text(format!("Sigilum: nothing was decided. {why} In a terminal: {command}"))
}

/// Why a reader does not decide.
pub fn not_deciding(may: May) -> Option<&'static str> {
    let May::Read(why) = may else { return None };
    Some(match why {
        NotDeciding::NotRecorded => {
            "You may read here; who decides is recorded in a terminal, with --deciders of sigilum-authz-notify hook \
             install, which takes all of them anew."
        }
        NotDeciding::Channel => "On this channel anybody could take a sender's id, so it only lists.",
        NotDeciding::GatewayClient => {
            "OpenClaw's web chat and the clients of its gateway only list: who holds the gateway's token may be an agent."
        }
        NotDeciding::NotOwner => "OpenClaw does not call you an owner (commands.ownerAllowFrom), so it only lists.",
        NotDeciding::Settings => "The settings of this channel are not those that were recorded, so it only lists.",
        NotDeciding::Broker => {
            "A broker keeps the owner token, and takes no decision from the OpenClaw gateway's user: decide in the \
             dashboard, or as the broker's user."
        }
        NotDeciding::OldOpenClaw => {
            "This OpenClaw cannot confirm that you are an owner right before a decision, which takes 2026.9 or later, so \
             it only lists."
        }
    })
}
