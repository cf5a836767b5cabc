//! What the API's refusals mean, and what to do about them.

use super::site::Site;
use super::text;
use crate::authz::decide::Stopped;
use crate::authz::decision_log::{DecisionLog, Outcome};
use crate::cmd::context;
use crate::error::{Error, ExitCode};
use crate::hook::notice::{self, DASHBOARD};
use crate::mode::Mode;
use crate::request::{AuthorizationRequest, Decision, seconds};
use crate::sigilum::api::ApiError;
use crate::sigilum::decisions::{MOST_ROWS, Refusal, Usage};
use crate::sigilum::http::HttpError;
use crate::time;
use std::collections::BTreeMap;

/// How many approvals are named that could make room.
const NAMED: usize = 3;

impl Site {
    /// The API gave no list, or no request.
    pub fn not_asked(&self, error: ApiError) -> Error {
        self.api_error(
            format!("could not read the requests of namespace {}", self.namespace()),
            error,
        )
    }

    fn api_error(&self, what: String, error: ApiError) -> Error {
        let local = self.owner.mode.value == Mode::OssLocal;
        let (code, next) = match error {
            ApiError::Expired | ApiError::Unauthorized => (ExitCode::Token, self.login()),
            ApiError::Forbidden => (ExitCode::Token, self.command("auth status")),
            ApiError::Http(HttpError::Listener(_)) => (
                ExitCode::Unreachable,
                format!(
                    "see who listens there (ss -ltnp); if that is your Sigilum API all the same: {} --trust-loopback",
                    self.login()
                ),
            ),
            ApiError::Http(HttpError::Refused) if local => (
                ExitCode::Unreachable,
                format!(
                    "start the local Sigilum API at {}, and run the command again",
                    self.origin()
                ),
            ),
            ApiError::Http(HttpError::TooLong(_)) if local => {
                (ExitCode::Failure, self.command("authz list --service <service>"))
            }
            ApiError::Http(HttpError::TooLong(_)) => (
                ExitCode::Failure,
                format!(
                    "look at them in the dashboard, {}",
                    notice::dashboard(self.dashboard.as_deref())
                ),
            ),
            ApiError::Http(_) | ApiError::Status(429 | 500..) => {
                (ExitCode::Unreachable, "run the command again in a while".to_owned())
            }
            ApiError::Later(_, seconds) => {
                let in_time = time::duration(seconds);
                (ExitCode::Unreachable, format!("run the command again in {in_time}"))
            }
            ApiError::Status(_) | ApiError::Decode(_) => (
                ExitCode::Failure,
                format!("see what answers at {}: is it a Sigilum API?", self.origin()),
            ),
        };
        Error::new(code, what).because(error).next(next)
    }

    fn login(&self) -> String {
        context::login_command(&self.owner, &self.place, &self.place_flags)
    }

    /// A decision that was not made.
    pub fn not_decided(&self, decision: Decision, request: &AuthorizationRequest, stopped: Stopped) -> Error {
        let id = request.id().unwrap_or_default();
        let what = format!("could not {} {id}", decision.as_str());
        match stopped {
            Stopped::Changed(Some(now)) => self.not_as_shown(decision, request, &now),
            Stopped::Changed(None) => self.gone(decision, id),
            Stopped::Refused(Refusal::NotFound) => match self.request(id) {
                Ok(Some(now)) => self.not_as_shown(decision, request, &now),
                Ok(None) => self.gone(decision, id),
                Err(error) => error,
            },
            Stopped::Refused(Refusal::AgentLimit) => self.limit(what, Refusal::AgentLimit, request.service.as_deref()),
            Stopped::Refused(Refusal::ServiceLimit) => self.limit(what, Refusal::ServiceLimit, None),
            Stopped::Refused(Refusal::Api(error)) => self.refused(what, error),
            Stopped::NotConfirmed => Error::new(ExitCode::Failure, format!("{what}: it was not confirmed")),
            Stopped::NotLogged(error) => Error::new(error.code, format!("{what}, as the decision cannot be logged"))
                .because(anyhow::Error::msg(error.to_string())),
            Stopped::Unknown(error) => Error::new(
                ExitCode::Unreachable,
                format!("{what}: it was sent, and may have been done"),
            )
            .because(error)
            .next(self.command(&format!("authz show {id}"))),
            Stopped::Ours(error) => error,
        }
    }

    /// A request that is not as it should be for this decision, or not as it was shown.
    pub fn not_as_shown(&self, decision: Decision, shown: &AuthorizationRequest, now: &AuthorizationRequest) -> Error {
        let id = now.id().unwrap_or_default();
        let verb = decision.as_str();
        let why = self
            .not_of_status(decision, now)
            .unwrap_or_else(|| match text::differences(shown, now) {
                same if same.is_empty() => "the API does not decide it (404), though it is as it was shown".to_owned(),
                changed => format!("it is not as it was shown: {changed}"),
            });
        Error::new(ExitCode::Failure, format!("could not {verb} {id}: {why}"))
            .next(self.command(&format!("authz show {id}")))
    }

    /// `it is already approved by alice at 2026-… (asked at a terminal)`, where a request is not of the status that a
    /// decision needs.
    pub fn not_of_status(&self, decision: Decision, now: &AuthorizationRequest) -> Option<String> {
        let status = now.status.as_deref().filter(|status| *status != decision.from())?;
        let is = match decision {
            _ if status == decision.to() => "already",
            Decision::Revoke => "not approved, but",
            Decision::Approve | Decision::Reject => "not pending any more, but",
        };
        let who = self.who_did(now.id().unwrap_or_default(), status);
        Some(format!("it is {is} {}{who}", text::shown(status)))
    }

    /// A request that is not there any more.
    pub fn gone(&self, decision: Decision, id: &str) -> Error {
        let what = format!(
            "could not {} {id}: there is no such request; it may have been asked again under a new id",
            decision.as_str()
        );
        Error::new(ExitCode::Failure, what).next(self.command("authz list --status all"))
    }

    /// ` by alice at 2026-…`, where our log knows.
    fn who_did(&self, id: &str, status: &str) -> String {
        let entries = DecisionLog::of(&self.place).read().unwrap_or_default();
        let made = entries.iter().rev().find(|entry| {
            let done = entry
                .result
                .as_ref()
                .is_some_and(|result| result.outcome == Outcome::Done);
            done && entry.intent.claim_id == id && entry.intent.decision.to() == status
        });
        made.map_or_else(String::new, |entry| {
            format!(
                " by {} at {} ({})",
                entry.intent.by,
                entry.intent.at,
                entry.intent.how.text()
            )
        })
    }

    fn refused(&self, what: String, error: ApiError) -> Error {
        let auth = matches!(
            error,
            ApiError::Expired | ApiError::Unauthorized | ApiError::Forbidden | ApiError::Status(403)
        );
        if auth && self.owner.mode.value == Mode::Managed {
            let dashboard = self.dashboard.as_deref().unwrap_or(DASHBOARD);
            return Error::new(
                ExitCode::Token,
                format!("{what}: the hosted API may want a passkey for it"),
            )
            .because(error)
            .next(format!("decide it in the dashboard, {dashboard}"));
        }
        self.api_error(what, error)
    }

    /// No room: which approvals were not used for the longest time, where the API says so.
    fn limit(&self, what: String, refusal: Refusal, service: Option<&str>) -> Error {
        let error = Error::new(ExitCode::Failure, what);
        let longest = self.not_used_longest(service);
        let Some((id, _)) = longest.first() else {
            return error
                .because(refusal)
                .next(self.command("authz list --status approved"));
        };
        let named: Vec<String> = longest.iter().map(|(id, used)| format!("{id} ({used})")).collect();
        let why = format!("{refusal}; not used for the longest time: {}", named.join(", "));
        error
            .because(anyhow::Error::msg(why))
            .next(self.command(&format!("authz revoke {id}")))
    }

    /// Of one service, or of all: then those that are their service's only one, as no other one makes room alone.
    fn not_used_longest(&self, service: Option<&str>) -> Vec<(String, String)> {
        let approved = self.requests("approved", service).unwrap_or_default();
        let api = self.api();
        let rows = api.usage(self.token(), service, "1970-01-01T00:00:00.000Z", self.deadline());
        // A key beyond the rows that are asked for was used, perhaps.
        let Some(rows) = rows.ok().filter(|rows| rows.len() < MOST_ROWS) else {
            return Vec::new();
        };
        if service.is_none() && !approved.is_all() {
            return Vec::new();
        }
        let mut approved = approved.requests;
        if service.is_none() {
            let services: Vec<_> = approved.iter().map(|request| request.service.clone()).collect();
            approved.retain(|request| services.iter().filter(|other| **other == request.service).count() == 1);
        }
        let mut last: BTreeMap<(String, String), i64> = BTreeMap::new();
        for row in rows {
            let Usage {
                provider: Some(provider),
                public_key: Some(key),
                last_used_at: Some(at),
                ..
            } = row
            else {
                continue;
            };
            let known = last.entry((provider, key)).or_insert(i64::MIN);
            *known = (*known).max(seconds(&at).unwrap_or(i64::MIN));
        }
        let used = |request: &AuthorizationRequest| {
            let key = (request.service.clone()?, request.public_key.clone()?);
            last.get(&key).copied()
        };
        let mut approved: Vec<_> = approved
            .iter()
            .map(|request| (used(request), request.approved_at.as_deref(), request))
            .collect();
        approved.sort_by_key(|(used, approved, _)| (*used, *approved));
        let now = time::now();
        let named = approved.into_iter().filter_map(|(used, _, request)| {
            let used = match used {
                Some(at) => format!("last used {} ago", time::duration(now.saturating_sub(at))),
                None => "never used".to_owned(),
            };
            Some((request.id()?.to_owned(), used))
        });
        named.take(NAMED).collect()
    }
}
