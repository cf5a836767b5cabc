//! `/sigilum …` in a chat: the settings, the tokens and the Sigilum API joined for [`crate::hook::command`]. One command
//! is answered with text whatever comes of it; a decision is made only where everything agrees, and confirmed last.

use super::site::Site;
use super::{show, target};
use crate::authz::decide::{Stopped, Wanted};
use crate::authz::decision_log::How;
use crate::authz::short_id::{Typed, short};
use crate::broker::deciding::{self, Deciding};
use crate::cli::HookRunArgs;
use crate::cmd::hook::answer::read_seen;
use crate::cmd::hook::caller::Caller;
use crate::error::{Error, ExitCode, Result};
use crate::hook::command::{Asked, Command, DecisionAsked, May, NotDeciding, channel_of};
use crate::hook::reply::{self, Reply};
use crate::hook::shown::Shown;
use crate::request::{AuthorizationRequest, Decision};
use crate::sigilum::decisions::Refusal;
use crate::sigilum::http::Http;
use crate::text;
use crate::time;
use crate::token::{claims, lifetime};
use crate::watch::status;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Of a sender so many characters are logged.
const NAMED: usize = 100;

/// What goes back, and lines for the log of the OpenClaw gateway.
pub struct ChatReply {
    /// For the chat.
    pub reply: Reply,
    /// For the log, each one line.
    pub logs: Vec<String>,
}

/// What a command is answered with.
pub struct Means<'a> {
    /// The flags that count.
    pub args: &'a HookRunArgs,
    /// Who asks.
    pub caller: &'a dyn Fn() -> Result<Caller>,
    /// The client for a caller.
    pub http: &'a dyn Fn(&Caller) -> Arc<Http>,
    /// What everybody was shown.
    pub shown: &'a Mutex<Shown>,
    /// Asks OpenClaw whether the sender is an owner still.
    pub confirm: &'a dyn Fn() -> bool,
}

/// Answers a command, whatever comes of it.
pub fn answer(command: &Command, means: &Means) -> ChatReply {
    let caller = match (means.caller)() {
        Ok(caller) => caller,
        Err(error) => return not_set_up(&error),
    };
    let over_the_socket = caller.over_the_socket();
    let sender = command.sender();
    let channel = sender.as_deref().map(channel_of).unwrap_or_default().to_owned();
    let unvouched = || caller.unvouched(&channel);
    let (may, differs) = allowed(command, &caller, &unvouched);
    let asked = match Asked::parse(&command.text) {
        // No code counts here.
        Asked::Decide(asking) if asking.code.is_some() && over_the_socket.is_none() => Asked::Unclear,
        asked => asked,
    };
    let sender = sender.unwrap_or_else(|| "an unknown sender".to_owned());
    let verb = match &asked {
        Asked::Decide(asking) => asking.decision.as_str(),
        _ => "command",
    };
    let refused = || {
        let sender: String = sender.chars().take(NAMED).collect();
        vec![text::one_line(&format!("refused a /sigilum {verb} of {sender}"))]
    };
    let (reply, logs) = match (&asked, may) {
        (_, May::Nothing) => (Reply::text(reply::REFUSAL), refused()),
        (Asked::Help, _) => (reply::help(may), Vec::new()),
        (Asked::Unclear, _) => (reply::unclear(may), Vec::new()),
        (Asked::Decide(..), May::Read(NotDeciding::Settings)) => (not_vouched(&differs.unwrap_or_default()), refused()),
        (Asked::Decide(asking), May::Read(_)) => (elsewhere(asking, may, &caller), refused()),
        _ => {
            let by = decider(&sender, over_the_socket);
            let site = Site::in_chat(&caller, means.args, (means.http)(&caller), &by);
            let mut logs = Vec::new();
            let told = site.and_then(|site| {
                let (sender, shown) = (sender.as_str(), means.shown);
                let room = Room {
                    site,
                    may,
                    sender,
                    shown,
                    confirm: means.confirm,
                    unvouched: &unvouched,
                };
                room.answer(&asked, &mut logs)
            });
            (told.unwrap_or_else(|error| failed(&error, &caller)), logs)
        }
    };
    ChatReply { reply, logs }
}

/// What the sender may do here; and where the channel's settings alone keep them from deciding, why.
fn allowed(command: &Command, caller: &Caller, unvouched: &dyn Fn() -> Option<String>) -> (May, Option<String>) {
    let may = match (command.may(&caller.people()), caller.over_the_socket()) {
        (May::Decide, Some(deciding)) => deciding.may(),
        (may, _) => may,
    };
    match (may == May::Decide).then(unvouched).flatten() {
        Some(why) => (May::Read(NotDeciding::Settings), Some(why)),
        None => (may, None),
    }
}

/// How what was asked for is decided elsewhere.
fn elsewhere(asking: &DecisionAsked, may: May, caller: &Caller) -> Reply {
    let flags = caller.place.flags(&caller.env);
    // What was typed is a stranger's text as long as it is no id.
    let id = match (caller.is_guest(), Typed::parse(asking.id)) {
        (true, Typed::Whole(id) | Typed::Start(id)) => id,
        _ => "ID",
    };
    let words = format!("sigilum-authz-notify authz {} {id}{flags}", asking.decision.as_str());
    reply::not_decided(may, &caller.typed(&words))
}

/// By whom a decision is, for the log.
fn decider(sender: &str, over_the_socket: Option<Deciding>) -> String {
    match over_the_socket {
        // The sender is what the other side says.
        Some(Deciding::ByCode(uid)) => {
            let named: String = sender.chars().take(NAMED).collect();
            text::one_line(&format!("uid {uid} for {named}"))
        }
        _ => sender.to_owned(),
    }
}

/// Who is recorded to read is not known: nobody is told of this machine.
fn not_set_up(error: &Error) -> ChatReply {
    ChatReply {
        reply: Reply::text(
            "Sigilum: this is not set up right. The operator must act; the OpenClaw gateway's log says why.",
        ),
        logs: vec![text::one_line(&error.to_string())],
    }
}

fn not_vouched(why: &str) -> Reply {
    Reply::text(format!("Sigilum: nothing was decided: {why}"))
}

/// What failed, why, and the next step.
fn failed(error: &Error, caller: &Caller) -> Reply {
    let step = error
        .step()
        .map_or_else(String::new, |step| match step.starts_with("sigilum-authz-notify") {
            true => format!(". In a terminal: {}", caller.typed(&step)),
            false => format!(". Next: {step}"),
        });
    Reply::text(format!("Sigilum: {}{step}", error.text()))
}

/// One command of one who may read at least.
struct Room<'a> {
    site: Site,
    may: May,
    sender: &'a str,
    shown: &'a Mutex<Shown>,
    confirm: &'a dyn Fn() -> bool,
    /// Why nothing is decided on the sender's channel now.
    unvouched: &'a dyn Fn() -> Option<String>,
}

impl Room<'_> {
    fn answer(&self, asked: &Asked, logs: &mut Vec<String>) -> Result<Reply> {
        match asked {
            Asked::List => self.list(),
            Asked::Show(word) => {
                self.site.settle_open();
                let request = target::one(&self.site, word)?;
                self.show(&request, "")
            }
            Asked::Decide(asking) => self.decide(asking, logs),
            Asked::Status => self.status(),
            Asked::Help => Ok(reply::help(self.may)),
            Asked::Unclear => Ok(reply::unclear(self.may)),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> Result<Reply> {
        let site = &self.site;
        let pending = site.requests("pending", None).map_err(|error| site.not_asked(error))?;
        let seen = read_seen(&site.place.seen_file());
        let whose = format!("{} at {}", site.namespace(), site.origin());
        let now_ms = time::now_ms();
        let listed = seen.list(&whose, &pending, now_ms);
        let ids = listed.iter().filter_map(|listed| listed.request.id()).collect();
        let (reply, described) = reply::list(
            site.namespace(),
            pending.count(),
            &listed,
            (now_ms.div_euclid(1000), self.may),
            &|id| short(id, &ids).to_owned(),
            &site.command("authz list"),
        );
        let mut shown = self.shown();
        for listed in &listed[..described] {
            shown.remember(self.sender, listed.request);
        }
        Ok(reply)
    }

    /// Everything about a request, which is then one that was shown.
    fn show(&self, request: &AuthorizationRequest, before: &str) -> Result<Reply> {
        let site = &self.site;
        let id = request.id().unwrap_or_default();
        let mut more = Vec::new();
        more.extend(show::taken_back(site, request));
        more.push(show::use_text(site, request));
        more.extend(show::history(site, id));
        self.shown().remember(self.sender, request);
        Ok(reply::show(request, before, &more, self.may))
    }

    fn decide(&self, asking: &DecisionAsked, logs: &mut Vec<String>) -> Result<Reply> {
        let (site, decision) = (&self.site, asking.decision);
        site.settle_open();
        let now = self.of_start(asking.id)?;
        let is_start = matches!(Typed::parse(asking.id), Typed::Start(_));
        let known = self.shown().find(self.sender, asking.id).cloned();
        let known = known.filter(|known| is_start || known.id() == Some(asking.id));
        let known = match decision {
            Decision::Revoke => self.standing(known, asking.id)?,
            Decision::Approve | Decision::Reject => known,
        };
        let Some(shown) = known else {
            let now = now.map_or_else(|| target::one(site, asking.id), Ok)?;
            return self.again(decision, &now, "it was not shown here yet");
        };
        let id = shown.id().unwrap_or_default();
        if !shown.is(decision.from()) {
            return self.look_again(decision, id);
        }
        let until = match asking.seconds.map(|seconds| site.until(seconds, None)).transpose() {
            Ok(until) => until,
            Err(no_end) => {
                let without = "To approve it without an end";
                let code = if self.may == May::DecideByCode { " CODE" } else { "" };
                return Ok(Reply::text(format!(
                    "Sigilum: nothing was decided: {no_end}. {without}: /sigilum approve {id}{code}"
                )));
            }
        };
        if self.may == May::DecideByCode && asking.code.is_none() {
            return Ok(reply::needs_a_code(decision, id));
        }
        self.make(asking, &shown, until, logs)
    }

    /// What is to be taken back: what was shown, whoever approved it since; by a whole id also what was not, as whoever
    /// was told of an approval has its id and its command from that message.
    fn standing(&self, known: Option<AuthorizationRequest>, word: &str) -> Result<Option<AuthorizationRequest>> {
        match (known, Typed::parse(word)) {
            (Some(known), _) => Ok(Some(AuthorizationRequest {
                status: Some(Decision::Revoke.from().to_owned()),
                ..known
            })),
            (None, Typed::Whole(_)) => target::one(&self.site, word).map(Some),
            (None, Typed::Start(_) | Typed::Invalid) => Ok(None),
        }
    }

    /// The request that the start of an id means, where that is what was typed: of all that there are, in any status.
    fn of_start(&self, word: &str) -> Result<Option<AuthorizationRequest>> {
        match Typed::parse(word) {
            Typed::Start(_) => match target::one(&self.site, word) {
                Err(error) if error.code == ExitCode::Usage => Err(error),
                // One that is gone was shown, perhaps.
                found => Ok(found.ok()),
            },
            Typed::Whole(_) | Typed::Invalid => Ok(None),
        }
    }

    /// Makes the decision about what was shown, once everything agrees.
    fn make(
        &self,
        asking: &DecisionAsked,
        shown: &AuthorizationRequest,
        until: Option<i64>,
        logs: &mut Vec<String>,
    ) -> Result<Reply> {
        let (site, decision) = (&self.site, asking.decision);
        let id = shown.id().unwrap_or_default();
        let api = site.api();
        let (verb, done) = (decision.as_str(), decision.to());
        let not_made = |why: &Stopped| format!("did not {verb} {id} for {} in the chat: {why}", self.sender);
        let by_code = self.may == May::DecideByCode;
        if by_code && let Some(why) = self.unconfirmed(asking, id) {
            logs.push(not_made(&Stopped::NotConfirmed));
            return Ok(not_vouched(&why));
        }
        let refused = RefCell::new(None);
        let confirm = || {
            // Nobody who asks over a socket is waited for while no one else can decide.
            let why = match by_code {
                true => self.spend(asking),
                false => self.unconfirmed(asking, id),
            };
            refused.replace(why);
            refused.borrow().is_none()
        };
        let made = site.desk(&api).decide(&Wanted {
            decision,
            shown,
            how: if by_code { How::Code } else { How::Chat },
            until,
            is_fresh: false,
            confirm: Some(&confirm),
        });
        logs.push(match &made {
            Ok(_) => format!("{done} {id} for {} in the chat", self.sender),
            Err(stopped) => not_made(stopped),
        });
        match made {
            Ok(made) => {
                let now = AuthorizationRequest {
                    status: Some(done.to_owned()),
                    ..shown.clone()
                };
                self.shown().remember(self.sender, &now);
                let unlogged = made.unlogged.map(|error| error.text());
                Ok(reply::decided(decision, shown, (until, self.may), unlogged))
            }
            Err(Stopped::Changed(Some(now))) => self.again(decision, &now, "it is not as it was shown here"),
            Err(Stopped::Refused(Refusal::NotFound)) => self.look_again(decision, id),
            Err(Stopped::NotConfirmed) => {
                let why = refused.take().unwrap_or_default();
                Ok(not_vouched(&why))
            }
            Err(stopped) => Err(site.not_decided(decision, shown, stopped)),
        }
    }

    /// Why OpenClaw does not vouch for a decision.
    fn unconfirmed(&self, asking: &DecisionAsked, id: &str) -> Option<String> {
        // Before OpenClaw is asked, and again right before it is sent.
        if let Some(why) = (self.unvouched)() {
            return Some(why);
        }
        if !(self.confirm)() {
            let verb = asking.decision.as_str();
            let code = if self.may == May::DecideByCode { " CODE" } else { "" };
            return Some(format!(
                "OpenClaw did not confirm that you are an owner. Try again: /sigilum {verb} {id}{code}"
            ));
        }
        (self.unvouched)()
    }

    /// Why the code does not count. It is spent last, where nothing else stands in the way.
    fn spend(&self, asking: &DecisionAsked) -> Option<String> {
        let Some(code) = &asking.code else {
            return Some("it takes a code".to_owned());
        };
        deciding::spend(&self.site.place, code)
            .unwrap_or_else(|error| {
                tracing::warn!("no code can be looked at: {}", text::one_line(&error.to_string()));
                Err("no code can be looked at now; the broker's log says why".to_owned())
            })
            .err()
    }

    /// Nothing was decided: what the request is now.
    fn look_again(&self, decision: Decision, id: &str) -> Result<Reply> {
        match self.site.request(id)? {
            Some(now) => self.again(decision, &now, "it is not as it was shown here"),
            None => Err(self.site.gone(decision, id)),
        }
    }

    fn again(&self, decision: Decision, now: &AuthorizationRequest, why: &str) -> Result<Reply> {
        let id = now.id().unwrap_or_default();
        match self.site.not_of_status(decision, now) {
            Some(is) => Ok(Reply::text(format!("Sigilum: nothing was decided about {id}: {is}"))),
            None => self.show(
                now,
                &format!("Sigilum: nothing was decided yet: {why}. Look at it, then send the command again.\n"),
            ),
        }
    }

    fn status(&self) -> Result<Reply> {
        let site = &self.site;
        let pending = site.requests("pending", None).map_err(|error| site.not_asked(error))?;
        let (count, all) = pending.count();
        let at_least = if all { "" } else { "at least " };
        let says = claims::inspect(site.token()).ok();
        let token = match says.as_ref().and_then(lifetime::expires_at) {
            Some(end) => format!("valid for {}", time::duration(end.saturating_sub(time::now()))),
            None => "without an expiry".to_owned(),
        };
        let watcher = match status::read(&site.place).is_some_and(|status| status.running) {
            true => "runs",
            false => "none runs",
        };
        let you = reply::not_deciding(self.may).unwrap_or("You may decide here.");
        Ok(Reply::text(format!(
            "Sigilum: namespace {} ({}, {})\n{at_least}{count} pending\nowner token {token}\nwatcher: {watcher}\n{you}",
            site.namespace(),
            site.owner.mode.value.as_str(),
            site.origin()
        )))
    }
}
