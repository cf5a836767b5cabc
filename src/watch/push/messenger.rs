//! How a message gets to the chat: as a line to the plugin, which sends it and answers; or by the `openclaw` program.

use super::teller::{Delivery, Facts};
use super::told::Outgoing;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::hook::reply::Reply;
use crate::hook_record::ChatTarget;
use crate::openclaw::program;
use crate::request::AuthorizationRequest;
use crate::watch::log::one_line;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// `openclaw gateway call` takes a second; more where the OpenClaw gateway is busy.
const LIMIT: Duration = Duration::from_secs(30);
/// OpenClaw's code for a message that its queue never took.
const NOT_DISPATCHED: &str = "OPENCLAW_PLATFORM_MESSAGE_NOT_DISPATCHED";
/// The OpenClaw gateway's code for one that it keeps and goes on trying.
const QUEUED: &str = "OUTBOUND_DELIVERY_QUEUED";

/// What the thread that tells hears.
#[derive(Debug)]
pub enum Input {
    /// What is known of the home has changed.
    Facts(Facts),
    /// What became of a message.
    Delivered(String, Delivery),
}

/// How messages get to the chat.
#[derive(Clone)]
pub enum Way {
    /// By the `openclaw` program that `hook install` recorded.
    Program,
    /// Handed to this, which sees to it that [`Report::delivered`] is called.
    HandedOver(Arc<dyn Fn(Push) + Send + Sync>),
}

/// A message on its way to the plugin.
pub struct Push {
    target: ChatTarget,
    message: Outgoing,
    report: Report,
}

/// Where to say what became of a message.
#[derive(Debug)]
pub struct Report {
    key: String,
    to: Sender<Input>,
    reader: String,
    described: Vec<AuthorizationRequest>,
}

impl Push {
    /// Whom it is for.
    pub fn target(&self) -> &ChatTarget {
        &self.target
    }

    pub(super) fn new(message: &Outgoing, target: &ChatTarget, to: &Sender<Input>) -> Self {
        Self {
            target: target.clone(),
            message: message.clone(),
            report: Report {
                key: message.key.clone(),
                to: to.clone(),
                reader: target.to_string(),
                described: message.described.clone(),
            },
        }
    }

    /// `{"key":…,"channel":…,"to":…,"text":…,"presentation":…}`, and where to say what became of it.
    pub fn into_parts(self) -> (Value, Report) {
        let Outgoing { key, text, buttons, .. } = self.message;
        let reply = Reply::with_buttons(text, vec![buttons]);
        let mut push = json!({"key": key, "channel": self.target.channel, "to": self.target.to, "text": reply.text});
        if let Some(presentation) = reply.presentation {
            push["presentation"] = json!(presentation);
        }
        (push, self.report)
    }
}

impl Report {
    /// Which message.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What OpenClaw's durable send said. What failed it keeps and tries again by itself, but for one code; what was
    /// thrown it never had. `shown` hears which requests who decides, as deciders are recorded, was shown by it.
    pub fn delivered(self, status: &str, code: Option<&str>, shown: impl FnOnce(&str, &[AuthorizationRequest])) {
        let taken = match status {
            "sent" | "suppressed" | "partial_failed" => true,
            "failed" => code != Some(NOT_DISPATCHED),
            _ => false,
        };
        if status == "sent" {
            shown(&self.reader, &self.described);
        }
        let delivery = if taken { Delivery::Taken } else { Delivery::NotTaken };
        let _ = self.to.send(Input::Delivered(self.key, delivery));
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "Program",
            Self::HandedOver(_) => "HandedOver",
        })
    }
}

/// `openclaw gateway call send`; `None` where nobody knows whether it was sent: under the same key it may be again.
pub(super) fn send(
    openclaw: &Path,
    message: &Outgoing,
    target: &ChatTarget,
    place: &OpenClawHome,
    env: &Env,
) -> Option<Delivery> {
    if let Err(why) = may_run(openclaw, place) {
        tracing::debug!("{}", one_line(&why));
        return Some(Delivery::NotTaken);
    }
    let params = json!({
        "channel": target.channel, "to": target.to, "message": message.text, "idempotencyKey": message.key,
    });
    let args = ["gateway", "call", "send", "--json", "--params"].map(OsString::from);
    let args: Vec<OsString> = args.into_iter().chain([params.to_string().into()]).collect();
    match program::run(openclaw, &args, &environment(openclaw, env), place, LIMIT) {
        Ok(ran) if ran.ok || ran.stdout.contains(QUEUED) || ran.stderr.contains(QUEUED) => Some(Delivery::Taken),
        Ok(_) => Some(Delivery::NotTaken),
        Err(error) => {
            tracing::debug!("{}", one_line(&error));
            // One that took too long may have sent it.
            (!openclaw.exists()).then_some(Delivery::NotTaken)
        }
    }
}

/// Whether the recorded program is one that nobody but this user and root can have put there. In another user's home
/// the record is theirs, and so would be what runs.
pub(in crate::watch) fn may_run(openclaw: &Path, place: &OpenClawHome) -> Result<()> {
    if fs::another_user(&place.home).is_some() {
        let what = "in another user's home no recorded program is run; that user runs";
        return Err(Error::new(
            ExitCode::Failure,
            format!("{what}: sigilum-authz-notify watch"),
        ));
    }
    fs::refuse_anothers_program(openclaw)
}

/// What the program may see; where a version manager installed it, its `node` stands beside it.
fn environment(openclaw: &Path, env: &Env) -> Vec<(&'static str, OsString)> {
    let mut pairs = program::environment(env);
    if let Some(folder) = openclaw.parent() {
        let path = pairs.iter().position(|(name, _)| *name == "PATH");
        let others = path
            .map(|at| pairs.swap_remove(at).1)
            .unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let all = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&others));
        pairs.extend(std::env::join_paths(all).ok().map(|path| ("PATH", path)));
    }
    pairs
}
