//! `doctor`: goes through everything that a notice needs, and says what to do. `auth status` and `hook status` show parts
//! of the same findings.

pub mod checks;
pub mod facts;
pub mod finding;
mod fix;
pub mod openclaw;
pub mod token;

use crate::cli::DoctorArgs;
use crate::cmd::context::place;
use crate::cmd::output::{write_json, write_lines};
use crate::env::Env;
use crate::error::{ExitCode, Result};
use facts::{Facts, View};
use finding::{Finding, State};
use fix::Fixed;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// What `doctor` shows.
#[derive(Serialize)]
struct Report {
    /// This program's version.
    version: &'static str,
    openclaw_home: PathBuf,
    config: PathBuf,
    /// What `--fix` did.
    fixed: Vec<String>,
    /// What is so now.
    findings: Vec<Finding>,
}

/// Runs the command.
pub fn run(args: &DoctorArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let place = place(&args.show.place, env)?;
    let mut facts = Facts::collect(&args.show, env, &place, View::Doctor);
    let mut fixed = Fixed::default();
    if args.fix {
        fixed = fix::run(&facts)?;
        facts = Facts::collect(&args.show, env, &place, View::Doctor);
    }
    let mut findings = checks::findings(&facts, View::Doctor);
    for error in &fixed.failed {
        // A check may have found what stands in the way.
        if !findings.iter().any(|finding| finding.text == error.text()) {
            let again = "see what stands in the way, then: sigilum-authz-notify doctor --fix";
            findings.push(Finding::fault_of("fix", error, again).called(&facts.called));
        }
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        openclaw_home: place.home.clone(),
        config: place.config.clone(),
        fixed: fixed.done,
        findings,
    };
    if args.output.json {
        write_json(out, &report)?;
    } else {
        write_lines(out, &report.lines())?;
    }
    Ok(finding::exit_code(&report.findings))
}

impl Report {
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.fixed.iter().map(|did| format!("fixed {did}")).collect();
        let width = self
            .findings
            .iter()
            .map(|finding| finding.check.len())
            .max()
            .unwrap_or(0);
        for finding in &self.findings {
            let head = format!("{:<5} {:<width$}  ", finding.state.name(), finding.check);
            lines.extend(finding.lines(&head));
        }
        let count = |state| self.findings.iter().filter(|finding| finding.state == state).count();
        lines.push(match (count(State::Fail), count(State::Warn)) {
            (0, 0) => "all is well".to_owned(),
            (fails, warnings) => format!("{fails} failed, {warnings} to look at"),
        });
        lines
    }
}
