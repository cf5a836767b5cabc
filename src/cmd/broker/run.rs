//! `broker run`: answers over a Unix socket, and renews what it has.

use super::house::House;
use super::{session, state, unit};
use crate::broker::client::write_line;
use crate::broker::peers::{self, Allowed};
use crate::broker::seats::Seats;
use crate::broker::strangers::Strangers;
use crate::broker::totp::SecondFactor;
use crate::cli::{BrokerRunArgs, DecideBy, HookUninstallArgs, PlaceArgs};
use crate::cmd::hook::uninstall;
use crate::cmd::own_program;
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook_record;
use crate::openclaw::config;
use crate::token::token_command::{TokenCommand, VARIABLE};
use crate::watch::push::{self, Way};
use crate::watch::{self, Homes, Watching};
use listenfd::ListenFd;
use rustix::process::{Resource, Rlimit};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Answers under way may take so long once it is to end.
const LAST_ANSWERS: Duration = Duration::from_millis(600);
/// Where no connection can be taken, as the process has too many files open.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that wait to be taken.
const BACKLOG: i32 = 128;

/// Runs the command.
pub fn run(args: &BrokerRunArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    if let Some(kind) = args.print_unit {
        return unit::print(kind, args, out);
    }
    watch::log::to_stderr(args.log_format, env)?;
    let place = state::place(args.state.as_deref(), env)?;
    refuse_a_program_of_others()?;
    keep_memory_to_itself();
    let allowed = allowed(args)?;
    let by_code = args.decide == Some(DecideBy::Totp);
    if by_code && SecondFactor::read(&place)?.is_none() {
        tracing::warn!("no code decides yet: set a second factor up with broker totp enroll, as this user");
    }
    let house = Arc::new(House::new(place, env.clone(), by_code));
    // Where it cannot answer, the folder is no broker's.
    let (listener, socket) = listen(args)?;
    make_private(&house.place)?;
    if state::named(args.state.as_deref(), env).is_some()
        && let Err(error) = take_a_logins_config_away(&house.place, env)
    {
        tracing::warn!("{}", error.text());
    }
    fs::write_private(&house.place.broker_mark_file(), b"")?;
    let watching = watch(&house)?;
    house.watched_by(watching.waker());
    let (sender, ended) = channel();
    watch::on_signals(&[SIGTERM, SIGINT], move || {
        let _ = sender.send(());
    })?;
    let waker = watching.waker().clone();
    watch::on_signals(&[SIGHUP], move || waker.look_again())?;
    let guests = Arc::clone(&house);
    let accepting = std::thread::Builder::new().name("broker".to_owned());
    accepting
        .spawn(move || accept(&guests, &listener, &allowed))
        .or_fail(ExitCode::Failure, || "could not start the broker's thread".to_owned())?;
    tracing::info!("answering as {}", house.account);
    let _ = ended.recv();
    // Nobody finds it any more; who is connected gets what is under way.
    drop(socket);
    house.close();
    watching.waker().stop();
    std::thread::sleep(LAST_ANSWERS);
    drop(watching);
    Ok(ExitCode::Ok)
}

/// What it has in memory goes into no file, and into no other process of its user's that could be tricked.
fn keep_memory_to_itself() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// What the broker keeps is its user's alone to read before anything is answered; what was not is told.
fn make_private(place: &OpenClawHome) -> Result<()> {
    let folder = place.sigilum_dir();
    if !folder.is_dir() {
        drop(fs::lock_sigilum(place)?);
    }
    let was_open = fs::loose(&folder, |_| true).into_iter().filter(|file| file.is_readable);
    for file in was_open {
        tracing::warn!("made private, others may have read it: {}", file.path.display());
    }
    fs::mend_folder(&folder)?;
    fs::mend(&folder, |_| true)
}

/// A login of before a broker answered from here made an openclaw.json, with which it would pass for an OpenClaw's folder.
/// It goes where nothing else is in it.
fn take_a_logins_config_away(place: &OpenClawHome, env: &Env) -> Result<()> {
    let Some(bytes) = fs::read_capped(&place.config, json5_edit::MAX_BYTES as u64)? else {
        return Ok(());
    };
    let restored = config::undo_record(place)?.restore(&place.config.to_string_lossy(), &bytes);
    let has_more = place.hook_dir().exists() || place.plugin_dir().exists();
    if has_more || !restored.is_ok_and(|restored| restored.delete_file) {
        return Ok(());
    }
    let args = HookUninstallArgs {
        kind: None,
        purge: false,
        force: false,
        place: PlaceArgs {
            openclaw_home: Some(place.home.clone()),
            config: Some(place.config.clone()),
        },
    };
    uninstall::run(&args, env, &mut io::sink())?;
    tracing::info!("took away what a login had made: {}", place.config.display());
    Ok(())
}

/// Whoever can change the program that runs as this user can read what it keeps.
fn refuse_a_program_of_others() -> Result<()> {
    fs::refuse_anothers_program(&own_program::path()?)
}

fn allowed(args: &BrokerRunArgs) -> Result<Allowed> {
    let number = |kind: &str, flag: &str, name: &String, known: Option<u32>| {
        name.parse().ok().or(known).ok_or_else(|| {
            let what = format!("could not find the {kind} {name:?} on this machine");
            Error::new(ExitCode::Usage, what).next(format!("give {flag} a name that is there, or a number"))
        })
    };
    let uid = |name: &String| number("user", "--allow-uid", name, fs::user_number(name));
    let gid = |name: &String| number("group", "--allow-gid", name, fs::group_number(name));
    let allowed = Allowed {
        uids: args.allow_uid.iter().map(uid).collect::<Result<_>>()?,
        gids: args.allow_gid.iter().map(gid).collect::<Result<_>>()?,
    };
    if allowed.uids.is_empty() && allowed.gids.is_empty() {
        tracing::warn!(
            "nobody may ask but root and this user: add --allow-uid with the user that the OpenClaw gateway runs as, or \
             --allow-gid"
        );
    }
    if allowed.uids.contains(&rustix::process::geteuid().as_raw()) {
        tracing::warn!(
            "--allow-uid names the broker's own user: who is that user can read its tokens, so it protects nothing"
        );
    }
    Ok(allowed)
}

/// The socket that a service manager made, else our own.
fn listen(args: &BrokerRunArgs) -> Result<(UnixListener, Option<fs::SocketFile>)> {
    let taken = ListenFd::from_env().take_unix_listener(0);
    let handed_over = taken.map_err(|error| {
        let what = "could not use the socket that the service manager made";
        Error::new(ExitCode::Failure, what)
            .because(error)
            .next("have it make a Unix stream socket that listens, or none: then add --socket <path>")
    })?;
    if let Some(listener) = handed_over {
        // From now on it is ours that a client sees, not the service manager's, who listened first.
        rustix::net::listen(&listener, BACKLOG).or_fail(ExitCode::Failure, || "could not listen".to_owned())?;
        return Ok((listener, None));
    }
    let socket = args.socket.as_ref().ok_or_else(|| {
        let what = "could not tell where to answer: no socket is named, and no service manager made one";
        Error::new(ExitCode::Usage, what).next("add --socket <path>")
    })?;
    let (listener, file) = fs::bind_for_all(&home::absolute(socket)?)?;
    Ok((listener, Some(file)))
}

fn watch(house: &Arc<House>) -> Result<Watching> {
    // As the unit says, else as the login did that was taken over.
    let recorded = hook_record::read(&house.place.hook_record_file()).ok().flatten();
    let recorded = recorded.and_then(|record| record.env.get(VARIABLE).cloned());
    let command = house.env.var(VARIABLE).map(str::to_owned).or(recorded);
    let (asked, hands) = (Arc::clone(house), Arc::clone(house));
    let homes = Homes::Brokers(house.place.clone());
    watch::start(watch::Options {
        token_command: command
            .map(|text| TokenCommand::parse(&text, VARIABLE, house.env.pairs()))
            .transpose()?,
        push: push::Options {
            whom: push::Whom::Asked(Arc::new(move || asked.wanted())),
            way: Way::HandedOver(Arc::new(move |message| hands.hand_over(message))),
            program: house.program(),
        },
        ..watch::Options::new(homes, &house.env)
    })
}

/// Takes connections, for ever.
fn accept(house: &Arc<House>, listener: &UnixListener, allowed: &Allowed) {
    let (seats, mut strangers) = (Seats::default(), Strangers::default());
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => take(house, stream, allowed, (&seats, &mut strangers)),
            Err(error) => {
                tracing::debug!("no connection was taken: {error}");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

/// Takes one connection, or says why not; what is not taken costs nobody else anything.
fn take(house: &Arc<House>, stream: UnixStream, allowed: &Allowed, (seats, strangers): (&Seats, &mut Strangers)) {
    let (why, busy) = match peers::peer(&stream) {
        Err(_) => ("it is not known who asks".to_owned(), false),
        Ok(peer) if !allowed.allows(peer) => {
            if let Some(count) = strangers.refused(peer.uid, Instant::now()) {
                tracing::warn!("refused the user {}: {count} connections", peer.uid);
            }
            (format!("the user {} may not ask here", peer.uid), false)
        }
        Ok(peer) => match seats.take(peer.uid) {
            Err(why) => (why, true),
            Ok(seat) => {
                if let Err(error) = session::start(house, stream, seat) {
                    tracing::warn!("no connection was taken: {error}");
                }
                return;
            }
        },
    };
    // Nothing waits in it yet, so this is taken at once.
    let _ = write_line(&stream, &json!({"error": why, "busy": busy}));
}
