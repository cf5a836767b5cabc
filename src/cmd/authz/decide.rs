//! `authz approve`, `reject`, `revoke`: shown, asked, decided one by one, and told what was done and what was not.

use super::asked::Asked;
use super::site::{self, Site};
use super::{target, text};
use crate::authz::decide::{Decided, Desk, Stopped, Wanted};
use crate::authz::decision_log::How;
use crate::cli::{AuthzApproveArgs, AuthzRejectArgs, AuthzRevokeArgs};
use crate::cmd::output::{self, write_line};
use crate::cmd::prompt;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::request::{AuthorizationRequest, Decision};
use crate::sigilum::api::ApiError;
use crate::sigilum::decisions::Refusal;
use crate::sigilum::http::{BODY_CAP, HttpError};
use crate::time;
use std::io::Write;

/// Runs `authz approve`.
pub fn approve(args: &AuthzApproveArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let asked = Asked {
        time: args.time,
        even_without_watcher: args.even_without_watcher,
        ..Asked::new(Decision::Approve, &args.target)
    };
    let site = asked.site(env)?;
    let requests = target::named(&site, &args.target)?;
    let until = args.time.map(|seconds| asked.until(&site, env, seconds)).transpose()?;
    Run { site, asked, until }.run(requests, out)
}

/// Runs `authz reject`.
pub fn reject(args: &AuthzRejectArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    if args.all && !args.target.yes {
        let what = "could not reject all requests: --all shows none of them, so it needs --yes";
        return Err(Error::new(ExitCode::Usage, what).next("add --yes; or look at them first, with authz list"));
    }
    let asked = Asked {
        all: args.all,
        ..Asked::new(Decision::Reject, &args.target)
    };
    let site = asked.site(env)?;
    let mut left = false;
    let requests = match args.all {
        true => {
            let found = site.requests("pending", None).map_err(|error| site.not_asked(error))?;
            site.refuse_none_of_some("pending", &found)?;
            left = !found.is_all_but_too_long();
            let too_long = site::too_long("pending", &found);
            too_long.iter().for_each(output::warn);
            if too_long.is_some() && found.requests.is_empty() {
                return Err(site.not_asked(HttpError::TooLong(BODY_CAP).into()));
            }
            found.requests
        }
        false => target::named(&site, &args.target)?,
    };
    if requests.is_empty() {
        write_line(
            out,
            format_args!("Nothing waits for approval in namespace {}.", site.namespace()),
        )?;
        return Ok(ExitCode::Ok);
    }
    let until = None;
    let done = Run { site, asked, until }.run(requests, out)?;
    if left && done == ExitCode::Ok {
        let what = "could not reject all requests: more wait than could be read";
        return Err(Error::new(ExitCode::Failure, what).next("run the command again for the rest"));
    }
    Ok(done)
}

/// Runs `authz revoke`.
pub fn revoke(args: &AuthzRevokeArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let asked = Asked::new(Decision::Revoke, &args.target);
    let site = asked.site(env)?;
    let requests = target::named(&site, &args.target)?;
    let until = None;
    Run { site, asked, until }.run(requests, out)
}

/// One run over some requests.
struct Run<'a> {
    site: Site,
    asked: Asked<'a>,
    until: Option<i64>,
}

impl Run<'_> {
    fn run(&self, requests: Vec<AuthorizationRequest>, out: &mut dyn Write) -> Result<ExitCode> {
        let unfit = requests.iter().find(|request| !request.is(self.asked.decision.from()));
        if let Some(unfit) = unfit {
            return Err(self.site.not_as_shown(self.asked.decision, unfit, unfit));
        }
        if !self.asked.args.yes {
            self.show(&requests)?;
            if !prompt::may_ask() {
                return Err(self.asked.nobody_to_ask());
            }
            let count = match requests.len() {
                1 => "this request".to_owned(),
                count => format!("these {count} requests"),
            };
            let (verb, end) = (self.asked.decision.as_str(), self.end());
            if !prompt::confirm(&format!("{} {count}{end}?", capital(verb)))? {
                return Err(Error::new(
                    ExitCode::Failure,
                    format!("nothing was {}", self.asked.decision.to()),
                ));
            }
        }
        // What is asked for is done to its end, whether anybody reads what is told of it or not.
        output::to_the_end(out, |out| self.decide_all(&requests, out))
    }

    fn decide_all(&self, requests: &[AuthorizationRequest], out: &mut dyn Write) -> Result<ExitCode> {
        let api = self.site.api();
        let desk = self.site.desk(&api);
        let mut failures: Vec<(String, Error)> = Vec::new();
        let mut left = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            let stopped = match self.decide(&desk, request, requests.len()) {
                Ok(decided) => {
                    self.tell(&decided, out)?;
                    continue;
                }
                Err(stopped) => stopped,
            };
            let hopeless = is_hopeless(&stopped);
            let error = self.site.not_decided(self.asked.decision, request, stopped);
            failures.push((request.id().unwrap_or_default().to_owned(), error));
            if hopeless {
                left.extend(requests[at + 1..].iter().filter_map(AuthorizationRequest::id));
                break;
            }
        }
        self.conclude(requests.len(), failures, &left)
    }

    fn decide(&self, desk: &Desk, request: &AuthorizationRequest, count: usize) -> Result<Decided, Stopped> {
        desk.decide(&Wanted {
            decision: self.asked.decision,
            shown: request,
            how: if self.asked.args.yes { How::Yes } else { How::Asked },
            until: self.until,
            // A list is older than the answer about one.
            is_fresh: self.asked.args.yes
                && count == 1
                && self.asked.args.ids.first().map(String::as_str) == request.id(),
            confirm: None,
        })
    }

    /// What is decided about, where the question stands.
    fn show(&self, requests: &[AuthorizationRequest]) -> Result<()> {
        let rows: Vec<Vec<String>> = requests
            .iter()
            .map(|request| {
                vec![
                    request.id().unwrap_or_default().to_owned(),
                    text::cell(request.service.as_deref()),
                    text::cell(request.subject.as_deref()),
                    text::cell(request.agent()),
                    text::shown(request.public_key.as_deref().unwrap_or("-")),
                    text::cell(request.agent_ip.as_deref()),
                ]
            })
            .collect();
        let headers = ["ID", "SERVICE", "SUBJECT", "AGENT", "KEY", "IP"];
        output::table_of_whole(&mut std::io::stderr(), &headers, &rows, &headers)
            .or_fail(ExitCode::Failure, || "could not write to the terminal".to_owned())
    }

    fn end(&self) -> String {
        self.until
            .map_or_else(String::new, |until| format!(" until {}", time::rfc3339(until)))
    }

    fn tell(&self, decided: &Decided, out: &mut dyn Write) -> Result<()> {
        let request = &decided.request;
        write_line(
            out,
            format_args!("{} {}{}", self.asked.decision.to(), text::named(request), self.end()),
        )?;
        if self.asked.decision == Decision::Approve {
            let back = self
                .site
                .command(&format!("authz revoke {}", request.id().unwrap_or_default()));
            output::note(format_args!("to take it back: {back}"));
        }
        if let Some(error) = &decided.unlogged {
            output::warn(format_args!("that was done, but not all of it is recorded: {error}"));
        }
        Ok(())
    }

    fn conclude(&self, count: usize, mut failures: Vec<(String, Error)>, left: &[&str]) -> Result<ExitCode> {
        let Some(code) = failures.first().map(|(_, error)| error.code) else {
            return Ok(ExitCode::Ok);
        };
        if count == 1
            && let Some((_, error)) = failures.pop()
        {
            return Err(error);
        }
        for (_, error) in &failures {
            output::warn(error);
        }
        let done = count - failures.len() - left.len();
        let ids: Vec<String> = failures.into_iter().map(|(id, _)| id).collect();
        let mut what = format!(
            "{done} of {count} requests were {}, not {}",
            self.asked.decision.to(),
            ids.join(", ")
        );
        if !left.is_empty() {
            what += &format!("; not tried: {}", left.join(", "));
        }
        Err(Error::new(code, what))
    }
}

/// Whether the next request would fare no better.
fn is_hopeless(stopped: &Stopped) -> bool {
    match stopped {
        Stopped::Changed(_) | Stopped::Refused(Refusal::NotFound | Refusal::AgentLimit) => false,
        Stopped::Refused(Refusal::Api(ApiError::Decode(_))) => false,
        Stopped::Refused(_)
        | Stopped::NotConfirmed
        | Stopped::NotLogged(_)
        | Stopped::Unknown(_)
        | Stopped::Ours(_) => true,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
