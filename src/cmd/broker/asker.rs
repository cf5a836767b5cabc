//! What a question over the socket is answered with: the broker's records and tokens, and what the question says of who
//! reads what.

use super::house::House;
use crate::broker::deciding::Deciding;
use crate::broker::protocol::{Asking, Failed, List, Printed, Relay, Show, Status};
use crate::broker::seats::Seat;
use crate::cli::{HookRunArgs, OwnerArgs};
use crate::cmd::authz::{list, show, site::Site};
use crate::cmd::exchange::server::Asker;
use crate::cmd::hook::caller::{self, Caller};
use crate::error::{Error, ExitCode, Result};
use crate::owner_token;
use crate::sigilum::http::Http;
use crate::time;
use crate::watch::status;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::io::Write;
use std::sync::Arc;

/// Who asks over one connection.
pub struct Guest {
    /// Where.
    pub house: Arc<House>,
    /// Of the user at the other end: taken until the last of its questions is through, whether anybody waits or not.
    pub seat: Seat,
    /// The connection's number.
    pub number: u64,
}

impl Asker for Guest {
    fn caller(&self, question: &Value) -> Result<Caller> {
        refuse_paths(question)?;
        let house = &self.house;
        let unreadable = |why| Error::new(ExitCode::Usage, format!("could not read the question: {why}"));
        let asking = Asking::in_question(question).map_err(unreadable)?;
        let guest = caller::Guest {
            program: house.program(),
            by_hand: asking.by_hand,
            deciding: match house.by_code {
                true => Deciding::ByCode(self.seat.uid()),
                false => Deciding::Nobody,
            },
        };
        Caller::guest(&house.place, &house.env, &asking, guest)
    }

    fn args(&self, question: &Value) -> HookRunArgs {
        let asking = Asking::in_question(question).unwrap_or_default();
        HookRunArgs {
            owner: OwnerArgs {
                namespace: asking.namespace,
                ..OwnerArgs::default()
            },
            ..HookRunArgs::default()
        }
    }

    fn other(&self, _id: &Value, question: &Value, http: &dyn Fn(&Caller) -> Arc<Http>) -> Option<Map<String, Value>> {
        let site = || {
            let caller = self.caller(question)?;
            let http = http(&caller);
            Site::relayed(&caller, &self.args(question), http)
        };
        let mut members = Map::new();
        if let Some(asked) = question.get("list") {
            let printed = read::<List>(asked).and_then(|asked| {
                let site = site()?;
                printed(|notes, out| list::print(&site, &asked, notes, out))
            });
            put(&mut members, printed);
        } else if let Some(asked) = question.get("show") {
            let printed = read::<Show>(asked).and_then(|asked| {
                let site = site()?;
                printed(|notes, out| show::print(&site, &asked, notes, out))
            });
            put(&mut members, printed);
        } else if question.get("status").is_some() {
            match self.status(question) {
                Ok(status) => drop(members.insert("status".to_owned(), json(&status))),
                Err(error) => put(&mut members, Err::<Printed, _>(error)),
            }
        } else {
            let relay = read::<Relay>(question.get("relay")?);
            match relay {
                Ok(relay) => self.house.relay(self.number, relay),
                Err(error) => put(&mut members, Err::<Printed, _>(error)),
            }
        }
        Some(members)
    }
}

/// What a command prints, and its notes.
fn printed(print: impl FnOnce(&mut Vec<String>, &mut dyn Write) -> Result<()>) -> Result<Printed> {
    let (mut notes, mut text) = (Vec::new(), Vec::new());
    print(&mut notes, &mut text)?;
    Ok(Printed {
        text: String::from_utf8_lossy(&text).into_owned(),
        notes,
    })
}

impl Guest {
    fn status(&self, question: &Value) -> Result<Status> {
        let caller = self.caller(question)?;
        let owner = caller.owner(&self.args(question), None)?;
        let url = owner.checked_api_url(caller.env.is_on("SIGILUM_ALLOW_INSECURE_HTTP"))?;
        let now = time::now();
        let token = owner_token::find(&owner, &url, None, now);
        let left = token.as_ref().ok().and_then(|token| token.left(now));
        let watch = status::read(&caller.place);
        let namespace = owner.namespace.value.clone();
        let mine = watch.as_ref().filter(|watch| watch.running).and_then(|watch| {
            let is_mine = |home: &&status::HomeStatus| home.namespace.as_deref() == Some(namespace.as_str());
            watch.homes.iter().find(is_mine)
        });
        Ok(Status {
            mode: owner.mode.value.as_str().to_owned(),
            api: url.origin().ascii_serialization(),
            token: token.is_ok(),
            why_not: token.as_ref().err().map(ToString::to_string),
            expires_at: left.map(|left| time::rfc3339(now.saturating_add(left))),
            renewed_at: mine.and_then(|home| home.next_due_at.clone()),
            namespace,
        })
    }
}

/// No name that can be asked for has a slash in it; an answer that repeats one with the broker's folder hidden would tell
/// that it was guessed right.
fn refuse_paths(question: &Value) -> Result<()> {
    let asked = ["/list/status", "/list/service", "/show/id", "/asking/namespace"];
    let mut asked = asked.into_iter().filter_map(|name| question.pointer(name)?.as_str());
    match asked.any(|text| text.contains('/')) {
        true => Err(
            Error::new(ExitCode::Usage, "could not read the question: a name in it has a slash")
                .next("give it without a slash"),
        ),
        false => Ok(()),
    }
}

fn read<T: DeserializeOwned>(asked: &Value) -> Result<T> {
    serde_json::from_value(asked.clone()).map_err(|_| Error::new(ExitCode::Usage, "could not read the question"))
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// What a command would print, or why it fails.
fn put(members: &mut Map<String, Value>, printed: Result<Printed>) {
    let (name, value) = match printed {
        Ok(printed) => {
            if let Value::Object(printed) = json(&printed) {
                members.extend(printed);
            }
            return;
        }
        Err(error) => (
            "failed",
            Failed {
                code: error.code as u8,
                text: error.text(),
                next: error.step(),
            },
        ),
    };
    members.insert(name.to_owned(), json(&value));
}
