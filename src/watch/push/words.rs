//! What the owner reads. Texts of strangers are cleaned, as in the notice.

use super::told::News;
use crate::hook::clean;
use crate::hook::notice::{self, FIELD_MAX};
use crate::request::{AuthorizationRequest, LIFE};
use crate::time;
use std::collections::BTreeMap;

/// The longest message, in characters, as far as our own words and commands let it be: nothing is cut in its middle.
const MAX: usize = 1500;
/// At most so many requests are described by one; the others are named by service and count.
const SHOWN: usize = 3;
/// At most so many services are named.
const SERVICES: usize = 12;

/// What every message goes by.
pub(super) struct Says<'a> {
    pub namespace: &'a str,
    /// What a command is given to act on this home, with a blank before it.
    pub flags: &'a str,
    /// How a command of ours begins.
    pub program: &'a str,
    /// The owner decides in this chat.
    pub chat: bool,
    /// Somebody renews the token, though they may fail.
    pub renews: bool,
    /// Unix seconds.
    pub now: i64,
}

/// Commands of the chat, each with its label.
type Buttons = Vec<(String, String)>;

/// What goes out.
pub(super) struct Message {
    pub text: String,
    pub buttons: Buttons,
    /// How many of the requests it describes: the first ones.
    pub shown: usize,
    /// How many of the news it tells: the first ones.
    pub news: usize,
}

impl Says<'_> {
    /// A message about requests that have come, each with whether it was asked again, and of other news the first so many
    /// that it has room for.
    pub fn message(&self, fresh: &[(AuthorizationRequest, bool)], is_digest: bool, news: &[News]) -> Message {
        let mut parts = Vec::new();
        let mut shown = 0;
        if !fresh.is_empty() {
            let most = if is_digest { 0 } else { fresh.len().min(SHOWN) };
            let (text, fits) = self.fitting(fresh, most);
            parts.push(text);
            shown = fits;
        }
        let mut buttons = Vec::new();
        if self.chat {
            let ids = fresh[..shown].iter().filter_map(|(request, _)| request.id());
            buttons.extend(ids.flat_map(|id| self.buttons(id, shown > 1)));
        }
        let before = parts.len();
        let mut length: usize = parts.iter().map(|part| part.chars().count()).sum();
        for text in news.iter().map(|news| self.news(news)) {
            length += 1 + text.chars().count();
            if length > MAX && !parts.is_empty() {
                break;
            }
            parts.push(text);
        }
        Message {
            news: parts.len() - before,
            text: parts.join("\n"),
            buttons,
            shown,
        }
    }

    /// The requests, the first `most` of them described, or as many as there is room for; then fewer services are named.
    fn fitting(&self, fresh: &[(AuthorizationRequest, bool)], most: usize) -> (String, usize) {
        let fewer = (0..=most).rev().map(|shown| (shown, SERVICES));
        let briefer = (1..SERVICES).rev().map(|services| (0, services));
        let mut tries = fewer
            .chain(briefer)
            .map(|(shown, services)| (self.requests(fresh, shown, services), shown));
        tries
            .find(|(text, _)| text.chars().count() <= MAX)
            .unwrap_or_else(|| (self.requests(fresh, 0, 0), 0))
    }

    fn requests(&self, fresh: &[(AuthorizationRequest, bool)], shown: usize, most_services: usize) -> String {
        let (shown, others) = fresh.split_at(shown);
        let new = fresh.iter().filter(|(_, again)| !again).count();
        let wait = match (fresh.len(), new) {
            (1, 1) => "a new request waits".to_owned(),
            (1, _) => "a request waits again".to_owned(),
            (count, 0) => format!("{count} requests wait again"),
            (count, new) if new == count => format!("{count} new requests wait"),
            (count, _) => format!("{count} requests wait"),
        };
        let mut lines = vec![format!(
            "Sigilum: {wait} for your approval in namespace {}.",
            self.namespace
        )];
        for (at, (request, again)) in shown.iter().enumerate() {
            let number = if fresh.len() > 1 {
                format!("{}) ", at + 1)
            } else {
                String::new()
            };
            let mark = if *again { "asked again: " } else { "" };
            lines.push(format!("{number}{mark}{}", self.request(request)));
            if let Some(id) = request.id() {
                lines.push(format!("To approve: {}", self.command("approve", id)));
                lines.push(format!("To reject: {}", self.command("reject", id)));
            }
        }
        if !others.is_empty() {
            let more = if shown.is_empty() { "By service" } else { "And more" };
            lines.push(format!(
                "{more}: {}. To see them: {}",
                services(others, most_services),
                self.list()
            ));
        }
        lines.join("\n")
    }

    /// `service "mail", agent "bot", subject "alice", key "MCow..", ip "10·0·0·7", id "cl_…", runs out in 23 h`
    fn request(&self, request: &AuthorizationRequest) -> String {
        let mut parts = notice::fields(request, FIELD_MAX);
        parts.extend(request.id().map(|id| format!("id \"{id}\"")));
        let left = request.runs_out().map(|at| at.saturating_sub(self.now).min(LIFE));
        parts.extend(left.map(notice::runs_out));
        parts.join(", ")
    }

    fn news(&self, news: &News) -> String {
        match news {
            News::Approved {
                claim_id,
                namespace,
                service,
                key,
                by,
            } => self.approved(
                (claim_id, namespace),
                &whose(service.as_deref(), key.as_deref()),
                by.as_deref(),
            ),
            News::Overdue {
                claim_id,
                namespace,
                service,
                key,
                until,
            } => format!(
                "Sigilum: an approval outlived its time and is revoked now: {}, id \"{claim_id}\", in namespace \
                 {namespace}.{}",
                whose(service.as_deref(), key.as_deref()),
                until.map_or_else(String::new, |at| format!(" It was to end {}.", time::rfc3339(at)))
            ),
            News::Off(what) => {
                let kind = if what == "plugin" { " --as plugin" } else { "" };
                format!(
                    "Sigilum: the {what} was switched off or taken out of openclaw.json, so /new says nothing of requests any \
                     more. To switch it on: sigilum-authz-notify hook install{kind}{}",
                    self.flags
                )
            }
            News::TokenEnds(exp) => self.token_ends(*exp),
            News::Outage(why) => format!(
                "Sigilum could not be asked for 10 minutes, so requests may wait that you are not told of: {why}. To look: {} auth status{}",
                self.program, self.flags
            ),
            News::TooLong(count) => {
                let what = match count {
                    1 => "1 request is too long to be read".to_owned(),
                    _ => format!("{count} requests are too long to be read"),
                };
                format!(
                    "Sigilum: {what} in namespace {}; a request that is made so long may be there to hide others. To see the \
                     others: {}",
                    self.namespace,
                    self.list()
                )
            }
            News::Back => "Sigilum answers again: you are told of requests.".to_owned(),
        }
    }

    fn approved(&self, (id, namespace): (&str, &str), whose: &str, by: Option<&str>) -> String {
        let place = match by {
            Some(account) => format!("on this machine, by the account {}", clean::clean(account, FIELD_MAX)),
            None => "elsewhere".to_owned(),
        };
        let revoke = match namespace == self.namespace {
            true => self.command("revoke", id),
            false => format!(
                "{} authz revoke {id} --namespace {namespace}{}",
                self.program, self.flags
            ),
        };
        format!(
            "Sigilum: approved {place}, not in this chat: {whose}, id \"{id}\", in namespace {namespace}. To take it back: \
             {revoke}"
        )
    }

    fn token_ends(&self, exp: i64) -> String {
        let when = match exp.saturating_sub(self.now) {
            ..=0 => "has expired".to_owned(),
            left => format!("expires in {}", time::duration(left)),
        };
        let (why, step, words) = match self.renews {
            true => ("renewing it fails", "To see why", "auth status"),
            false => (
                "nothing renews it",
                "To get a new one",
                "auth refresh --owner-token-stdin",
            ),
        };
        format!(
            "Sigilum: the owner token of namespace {} {when}, and {why}; without one nobody is told of requests. {step}: {} \
             {words}{}",
            self.namespace, self.program, self.flags
        )
    }

    fn command(&self, verb: &str, id: &str) -> String {
        match self.chat {
            true => format!("/sigilum {verb} {id}"),
            false => format!("{} authz {verb} {id}{}", self.program, self.flags),
        }
    }

    fn list(&self) -> String {
        match self.chat {
            true => "/sigilum list".to_owned(),
            false => format!("{} authz list{}", self.program, self.flags),
        }
    }

    fn buttons(&self, id: &str, several: bool) -> Buttons {
        let which = if several {
            format!(" {}", &id[..id.len().min(7)])
        } else {
            String::new()
        };
        let button = |label: &str, verb: &str| (format!("{label}{which}"), self.command(verb, id));
        vec![button("Approve", "approve"), button("Reject", "reject")]
    }
}

/// `service "mail", key "MCow.."`
fn whose(service: Option<&str>, key: Option<&str>) -> String {
    let service = service.map_or_else(|| "?".to_owned(), |text| clean::clean(text, FIELD_MAX));
    let key = key.map_or_else(|| "?".to_owned(), clean::key);
    format!("service \"{service}\", key \"{key}\"")
}

/// `"mail" 3, "linear" 1, others 2`, the most first; so many are named.
fn services(requests: &[(AuthorizationRequest, bool)], most: usize) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (request, _) in requests {
        let service = request.service.as_deref().unwrap_or("?");
        *counts.entry(clean::clean(service, FIELD_MAX)).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rest: usize = counts.iter().skip(most).map(|(_, count)| count).sum();
    let named = counts
        .iter()
        .take(most)
        .map(|(service, count)| format!("\"{service}\" {count}"));
    let rest = (rest > 0).then(|| format!("others {rest}"));
    named.chain(rest).collect::<Vec<_>>().join(", ")
}
