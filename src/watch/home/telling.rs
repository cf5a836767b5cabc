//! Who is told at once of what happens in a home, and by which way.

use super::{Home, Shared};
use crate::hook::command::is_vouched;
use crate::hook_record::POLL_REQUESTS;
use crate::mode::Mode;
use crate::openclaw::channel;
use crate::token::lifetime::Lifetime;
use crate::watch::log::one_line;
use crate::watch::planner::{Owner, Snapshot, Stored, Token};
use crate::watch::push::teller::{Facts, Rules};
use crate::watch::push::{self, Means, Poller, Wanted, Way};

impl Home {
    /// Sees to it that requests are asked for while somebody can be told of them.
    pub(super) fn mind_the_poller(&mut self, snapshot: &Snapshot, shared: &Shared) {
        let said = self.no_way.clone();
        let wanted = self.push_settings(snapshot, shared);
        if self.poller.as_ref().map(|poller| &poller.settings) != wanted.as_ref() {
            self.poller = wanted.and_then(|settings| {
                let means = Means {
                    way: &shared.push.way,
                    env: &shared.env,
                    clock: &shared.clock,
                    waker: &shared.waker,
                };
                let poller = Poller::start(settings, &self.place, &means).map_err(one_line);
                self.no_way = poller.as_ref().err().cloned();
                if let Some(why) = self.no_way.as_ref().filter(|why| said.as_ref() != Some(why)) {
                    tracing::warn!(home = %self.place.home.display(), "nobody is told at once: {why}");
                }
                poller.ok()
            });
        }
        if let Some(mut poller) = self.poller.take() {
            poller.tell(self.facts(snapshot, shared));
            self.poller = Some(poller);
        }
    }

    /// Why nobody is told at once at present, where somebody is to be.
    pub(super) fn notify_error(&self) -> Option<String> {
        let of_poller = || self.poller.as_ref()?.trouble();
        self.no_way.clone().or_else(of_poller)
    }

    fn facts(&self, snapshot: &Snapshot, shared: &Shared) -> Facts {
        let is_local = |owner: &Owner| owner.mode == Mode::OssLocal;
        Facts {
            answering: self.reader.answering.map(|what| what.map(str::to_owned)),
            deciders: self.decides_there(shared),
            token: match &snapshot.file {
                Stored::Token(token) => Some((token.id.to_string(), life(token))),
                _ => None,
            },
            renews: shared.rules.token_command || snapshot.owner.as_ref().is_some_and(is_local),
            renewal_fails: self.memory.renewal_fails(),
        }
    }

    /// Whether who is told may decide in that very chat: recorded for it, over a channel that is set as it was then.
    fn decides_there(&self, shared: &Shared) -> bool {
        let chosen = &self.reader.chosen;
        let wanted = shared.push.whom.now(chosen.notify.as_ref(), chosen.poll_requests);
        wanted.is_some_and(|Wanted { target, .. }| {
            let mut deciders = chosen.deciders.iter().flatten();
            let recorded = chosen.decider_channels.get(&target.channel);
            let is_as_recorded = |recorded: &String| {
                let now = channel::fingerprint(&self.place, &target.channel);
                now.is_ok_and(|now| now.as_ref() == Some(recorded))
            };
            is_vouched(&target.channel)
                && deciders.any(|decider| *decider == target.to_string())
                && recorded.is_some_and(is_as_recorded)
        })
    }

    /// Whom to tell, and how; `None` where nobody is to be told, or cannot be.
    fn push_settings(&mut self, snapshot: &Snapshot, shared: &Shared) -> Option<push::Settings> {
        let said = self.no_way.take();
        let chosen = &self.reader.chosen;
        let owner = snapshot.owner.as_ref().filter(|_| self.watcher_lock.is_some())?;
        let wanted = shared.push.whom.now(chosen.notify.as_ref(), chosen.poll_requests)?;
        let every = wanted.every.unwrap_or(POLL_REQUESTS);
        let openclaw = match shared.push.way {
            Way::Program => Some(chosen.openclaw.clone()),
            Way::HandedOver(_) => None,
        };
        if every == 0 {
            return None;
        }
        self.no_way = match &openclaw {
            Some(None) => Some(format!(
                "no openclaw program is recorded; where there is one on PATH: sigilum-authz-notify hook install{}",
                snapshot.flags
            )),
            Some(Some(program)) => push::may_run(program, &self.place).err().map(one_line),
            None => None,
        };
        if let Some(why) = &self.no_way {
            if said.as_ref() != Some(why) {
                let as_to = if openclaw == Some(None) { ", as" } else { ":" };
                tracing::warn!(home = %self.place.home.display(), "nobody is told at once{as_to} {why}");
            }
            return None;
        }
        Some(push::Settings {
            rules: Rules {
                every: i64::try_from(every).unwrap_or(i64::MAX / 2000) * 1000,
                namespace: owner.namespace.clone(),
                target: wanted.target,
                flags: snapshot.flags.clone(),
                program: shared.push.program.clone(),
                seed: shared.seed ^ u64::from(std::process::id()),
            },
            api_url: owner.api_url.clone(),
            openclaw: openclaw.flatten(),
        })
    }
}

/// The times of a token; `None` where it has no end. One that does not say when it was issued has lived for long.
fn life(token: &Token) -> Option<Lifetime> {
    let exp = token.exp?;
    let iat = token.iat.unwrap_or(0);
    Some(Lifetime { iat, exp })
}
