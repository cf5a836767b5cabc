//! `authz approve`, `reject`, `revoke`: shown, asked, decided one by one, and told what was done and what was not.

use super::site::{self, Site};
use super::{target, text, time_limit};
use crate::authz::decide::{Decided, Desk, Stopped, Wanted};
use crate::authz::decision_log::How;
use crate::cli::{AuthzApproveArgs, AuthzRejectArgs, AuthzRevokeArgs, TargetArgs};
use crate::cmd::output::{self, write_line};
use crate::cmd::prompt;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::request::{AuthorizationRequest, Decision};
use crate::sigilum::api::ApiError;
use crate::sigilum::decisions::Refusal;
use crate::time;
use std::io::Write;

/// Runs `authz approve`.
pub fn approve(args: &AuthzApproveArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let site = open(Decision::Approve, &args.target, env)?;
    let until = args.time.map(|seconds| {
        let ids = args.target.ids.join(" ");
        time_limit::until(&site, &ids, seconds, args.even_without_watcher)
    });
    let until = until.transpose()?;
    let requests = target::named(&site, &args.target)?;
    Run {
        site: &site,
        decision: Decision::Approve,
        args: &args.target,
        until,
    }
    .run(requests, out)
}

/// Runs `authz reject`.
pub fn reject(args: &AuthzRejectArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let site = open(Decision::Reject, &args.target, env)?;
    let requests = match args.all {
        true => {
            site.requests("pending", None)
                .map_err(|error| site.not_asked(error))?
                .requests
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
    Run {
        site: &site,
        decision: Decision::Reject,
        args: &args.target,
        until: None,
    }
    .run(requests, out)
}

/// Runs `authz revoke`.
pub fn revoke(args: &AuthzRevokeArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let site = open(Decision::Revoke, &args.target, env)?;
    let requests = target::named(&site, &args.target)?;
    Run {
        site: &site,
        decision: Decision::Revoke,
        args: &args.target,
        until: None,
    }
    .run(requests, out)
}

/// Where a person may decide.
fn open(decision: Decision, args: &TargetArgs, env: &Env) -> Result<Site> {
    let verb = decision.as_str();
    if env.var("OPENCLAW_SHELL").is_some() {
        let what =
            format!("could not {verb}: this is an agent's shell (OPENCLAW_SHELL is set), and agents do not decide");
        return Err(Error::new(ExitCode::Usage, what).next("run the command in a terminal of your own"));
    }
    if !args.yes && !prompt::may_ask() {
        let what = format!("could not ask whether to {verb}: there is no terminal");
        return Err(Error::new(ExitCode::Usage, what).next(with_yes(decision, args)));
    }
    let site = Site::open(&args.owner, env)?;
    site.settle_open();
    Ok(site)
}

/// The same command without a question.
fn with_yes(decision: Decision, args: &TargetArgs) -> String {
    let named = args.service.iter().zip(&args.key);
    let named = named.flat_map(|(service, key)| ["--service", service, "--key", key]);
    let words = shell_words::join(args.ids.iter().map(String::as_str).chain(named));
    let flags = site::flags(&args.owner);
    format!("sigilum-authz-notify authz {} {words} --yes{flags}", decision.as_str())
}

/// One run over some requests.
struct Run<'a> {
    site: &'a Site,
    decision: Decision,
    args: &'a TargetArgs,
    until: Option<i64>,
}

impl Run<'_> {
    fn run(&self, requests: Vec<AuthorizationRequest>, out: &mut dyn Write) -> Result<ExitCode> {
        let unfit = requests.iter().find(|request| !request.is(self.decision.from()));
        if let Some(unfit) = unfit {
            return Err(self.site.not_as_shown(self.decision, unfit, unfit));
        }
        if !self.args.yes {
            self.show(&requests)?;
            let count = match requests.len() {
                1 => "this request".to_owned(),
                count => format!("these {count} requests"),
            };
            let (verb, end) = (self.decision.as_str(), self.end());
            if !prompt::confirm(&format!("{} {count}{end}?", capital(verb)))? {
                return Err(Error::new(
                    ExitCode::Failure,
                    format!("nothing was {}", self.decision.to()),
                ));
            }
        }
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
            let error = self.site.not_decided(self.decision, request, stopped);
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
            decision: self.decision,
            shown: request,
            how: if self.args.yes { How::Yes } else { How::Asked },
            until: self.until,
            // A list is older than the answer about one.
            is_fresh: self.args.yes && count == 1 && self.args.ids.first().map(String::as_str) == request.id(),
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
                    text::cell(text::agent(request)),
                    text::shown(request.public_key.as_deref().unwrap_or("-")),
                    text::cell(request.agent_ip.as_deref()),
                ]
            })
            .collect();
        let headers = ["ID", "SERVICE", "SUBJECT", "AGENT", "KEY", "IP"];
        output::table(&mut std::io::stderr(), &headers, &rows)
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
            format_args!("{} {}{}", self.decision.to(), text::named(request), self.end()),
        )?;
        if self.decision == Decision::Approve {
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
            self.decision.to(),
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
        Stopped::Refused(_) | Stopped::NotLogged(_) | Stopped::Unknown(_) | Stopped::Ours(_) => true,
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
