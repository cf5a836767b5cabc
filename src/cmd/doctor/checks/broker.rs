//! The broker that keeps the token, where one is recorded.

use crate::cmd::doctor::facts::Facts;
use crate::cmd::doctor::finding::Finding;
use crate::error::ExitCode;
use crate::fs;
use crate::text;
use crate::token::record;

pub(super) fn broker(name: &'static str, facts: &Facts) -> Vec<Finding> {
    let Some((remote, status)) = &facts.broker else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let user = remote.account();
    match status {
        Err(error) => found.push(Finding::fault_of(name, error, facts.command("auth status"))),
        Ok((status, _)) => match &status.why_not {
            Some(why) => {
                let (namespace, why) = (text::one_line(&status.namespace), text::one_line(why));
                let text = format!("the broker has no token of {namespace} that it can use: {why}");
                let namespace = shell_words::quote(&namespace);
                let next = format!("{} auth login --namespace {namespace}", remote.run_as());
                found.push(Finding::fail(name, ExitCode::Token, text, next));
            }
            None => found.push(match &facts.broker_api {
                Some(Err(error)) if error.code == ExitCode::Token => {
                    Finding::fault_of(name, error, format!("{} auth status", remote.run_as()))
                }
                Some(Err(error)) => {
                    let text = format!("the API was not checked: {}", error.text());
                    Finding::warn(name, text, error.step().unwrap_or_else(|| facts.command("authz list")))
                }
                _ => Finding::ok(
                    name,
                    format!("answers for {}, run by the user {user}", status.namespace),
                ),
            }),
        },
    }
    let ours = facts.place.anothers();
    let ours = ours.unwrap_or_else(|| rustix::process::geteuid().as_raw());
    if remote.uid == Some(ours) {
        let text = "the broker runs as the user that the OpenClaw gateway runs as, so it protects nothing";
        found.push(Finding::warn(name, text, "run it as a user of its own: docs/broker.md"));
    }
    let kept = record::namespaces(&facts.place.sigilum_dir()).unwrap_or_default();
    for namespace in kept
        .iter()
        .filter(|namespace| facts.place.token_file(namespace).exists())
    {
        let file = facts.place.token_file(namespace);
        let text = format!(
            "an owner token lies here too, where agents can read it: {}",
            fs::quoted(&file)
        );
        let logout = facts.command(&format!("auth logout --namespace {namespace}"));
        found.push(Finding::warn(name, text, logout));
    }
    found
}
