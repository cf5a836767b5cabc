//! `serve --stdio`: answers OpenClaw events from one resident process, one JSON line in, one out, and watches the home.
//!
//! What the lines are: [`exchange`]. Files are read anew for each event; only the HTTP client is kept, for as long as what
//! is recorded of the environment stays the same. Of the process's own environment HOME alone counts.
//! It ends within a second when standard input closes, so that a killed gateway leaves no orphan, and on SIGTERM and
//! SIGINT.

mod beside;

use self::beside::Beside;
use crate::cli::{HookRunArgs, ServeArgs};
use crate::cmd::broker::gateway;
use crate::cmd::broker::link::Link;
use crate::cmd::exchange::server::{Asker, EventServer};
use crate::cmd::exchange::{self, Message, lines};
use crate::cmd::hook::caller::Caller;
use crate::env::Env;
use crate::error::{ExitCode, Result};
use crate::hook::event::MAX_BYTES;
use crate::sigilum::http::Http;
use crate::watch;
use crate::watch::log::LogFormat;
use serde_json::{Map, Value};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// The whole end may take so long.
const WHOLE_END: Duration = Duration::from_millis(800);

/// Runs the command.
pub fn run(args: &ServeArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    watch::log::to_stderr(LogFormat::Text, &Env::default())?;
    let (sender, messages) = channel();
    let ender = sender.clone();
    watch::on_signals(&[SIGTERM, SIGINT], move || end(&ender))?;
    let reader = sender.clone();
    std::thread::spawn(move || {
        lines::read(&mut std::io::stdin().lock(), MAX_BYTES, &mut |item| {
            reader.send(Message::Incoming(item, MAX_BYTES)).is_ok()
        });
        end(&reader)
    });
    let gateway = Gateway {
        args: HookRunArgs {
            place: args.place.clone(),
            ..HookRunArgs::default()
        },
        env: env.clone(),
        link: Link::new(sender.clone()),
    };
    if gateway::record(&gateway.args.place, &gateway.env).is_some() {
        gateway.keep_the_link();
    }
    let server = Arc::new(EventServer::new(Box::new(gateway), Arc::default()));
    let mut beside = Beside::new(&args.place, env, (!args.no_watch).then_some(&sender));
    exchange::serve(&messages, &sender, &server, &mut beside, &mut |line| {
        write_line(out, &line)
    });
    // From here on as after a closed input: the watcher finishes the write that it is in, if that takes no longer.
    std::thread::spawn(move || end(&sender));
    drop(beside);
    Ok(ExitCode::Ok)
}

/// The OpenClaw gateway asks.
struct Gateway {
    args: HookRunArgs,
    env: Env,
    link: Link,
}

impl Gateway {
    fn keep_the_link(&self) {
        let (place, env) = (self.args.place.clone(), self.env.clone());
        self.link.keep(move || gateway::record(&place, &env));
    }
}

impl Asker for Gateway {
    fn caller(&self, _question: &Value) -> Result<Caller> {
        Caller::gateway(&self.args.place, &self.env)
    }

    fn args(&self, _question: &Value) -> HookRunArgs {
        self.args.clone()
    }

    fn other(&self, id: &Value, question: &Value, _http: &dyn Fn(&Caller) -> Arc<Http>) -> Option<Map<String, Value>> {
        let (record, flags) = gateway::record_and_flags(&self.args.place, &self.env)?;
        if gateway::asks_nothing(question) {
            return None;
        }
        self.keep_the_link();
        let answer = self.link.ask(&record, id, question);
        Some(gateway::Said::of(answer, question, &record, &flags).members())
    }

    fn passed_on(&self, line: &Value) {
        self.link.say(line);
    }
}

/// `false`: nobody reads any more.
fn write_line(out: &mut dyn Write, line: &Value) -> bool {
    let mut line = serde_json::to_vec(line).unwrap_or_default();
    line.push(b'\n');
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

/// Tells the main loop to end, and ends the process if it cannot: nothing may keep it alive, no answer under way, no
/// write that hangs, nobody's full pipe.
fn end(sender: &Sender<Message>) -> ! {
    let _ = sender.send(Message::End);
    std::thread::sleep(WHOLE_END);
    std::process::exit(0)
}
