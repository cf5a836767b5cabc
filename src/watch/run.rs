//! The machinery: one loop for all homes that waits for file events, due times, signals and token commands.

use super::clock::{Clock, SystemClock};
use super::commands::Commands;
use super::file_events::{FileWatcher, HomeId};
use super::home::{Home, Shared};
use super::planner::{Now, Rules};
use super::push;
use super::service_manager::ServiceManager;
use super::snapshot;
use super::wakeup::{self, WakeReceiver, Waker};
use crate::env::Env;
use crate::error::{ExitCode, OrFail, Result};
use crate::home::OpenClawHome;
use crate::time;
use crate::token::lifetime::DEFAULT_FRACTION;
use crate::token::record;
use crate::token::token_command::TokenCommand;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// However far off the next due time is, the clocks are compared so often: what a clock that was set, or a suspended
/// machine, made due is found within 30 s. Three wake-ups a minute.
const TICK: Duration = Duration::from_secs(20);
/// Two clocks that differ by less were not moved.
const DRIFT_MS: i64 = 5_000;
/// How often homes are looked for with `--all`, should no event tell of them. Never worth a wake-up of its own.
const SEARCH_EVERY_MS: i64 = 60_000;
/// Where events tell of something in the folder that homes appear in: a home folder of a person is a busy one.
const SEARCH_AFTER_MS: i64 = 500;
/// For what is not a home, but the folder that homes appear in.
const EVERYONE: HomeId = usize::MAX;

/// Which homes to serve.
#[derive(Debug, Clone)]
pub enum Homes {
    /// These.
    Listed(Vec<OpenClawHome>),
    /// A broker's folder: the login that it speaks for by itself, and each other one.
    Brokers(OpenClawHome),
    /// `.openclaw` and every `.openclaw-*` in this folder, those that appear later too.
    AllIn {
        /// The person's home folder.
        folder: PathBuf,
        /// As [`OpenClawHome::read_only`], for all of them.
        read_only: Option<&'static str>,
    },
}

impl Homes {
    /// The homes that there are now.
    pub fn places(&self) -> Vec<OpenClawHome> {
        match self {
            Self::Listed(places) => places.clone(),
            Self::Brokers(place) => vec![place.clone()],
            Self::AllIn { folder, read_only } => find_homes(folder, *read_only),
        }
    }
}

/// How to watch.
#[derive(Clone)]
pub struct Options {
    /// Whom to serve.
    pub homes: Homes,
    /// The fraction of a token's life that is left when it is renewed.
    pub renew_at: f64,
    /// Managed tokens come from it.
    pub token_command: Option<TokenCommand>,
    /// Decides the jitter; `None`: random.
    pub seed: Option<u64>,
    /// No file events: look every 5 s.
    pub poll: bool,
    /// `--once`.
    pub once: bool,
    /// Who is told at once of requests.
    pub push: push::Options,
    /// The process environment. Its namespace, mode, URL and token variables do not apply.
    pub env: Env,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// The defaults, for these homes.
    pub fn new(homes: Homes, env: &Env) -> Self {
        Self {
            homes,
            renew_at: DEFAULT_FRACTION,
            token_command: None,
            seed: None,
            poll: false,
            once: false,
            push: push::Options::default(),
            env: snapshot::environment(env),
            clock: Arc::new(SystemClock::default()),
        }
    }
}

/// A watcher in a thread of its own, as `serve --stdio` has one. Dropping it stops it.
#[derive(Debug)]
pub struct Watching {
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// To stop it, or to make it look again, from anywhere.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }
}

impl Drop for Watching {
    /// It finishes the write that it is in.
    fn drop(&mut self) {
        self.waker.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts to watch in a thread of its own.
///
/// # Errors
/// [`ExitCode::AnotherWatcher`], saying who, where another one serves a home already; nothing is watched then.
pub fn start(options: Options) -> Result<Watching> {
    let mut watcher = Watcher::new(options)?;
    let waker = watcher.waker.clone();
    let thread = std::thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || watcher.watch())
        .or_fail(ExitCode::Failure, || "could not start the watcher's thread".to_owned())?;
    Ok(Watching {
        waker,
        thread: Some(thread),
    })
}

/// Watches until SIGTERM or SIGINT, and looks at everything again on SIGHUP; tells the service manager that
/// `NOTIFY_SOCKET` names. With `once`: looks, does what is due, and ends.
///
/// # Errors
/// [`ExitCode::AnotherWatcher`], saying who, where another one serves a home already. With `once`, an exit code other
/// than 0 where something due was not renewed.
pub fn run(options: Options) -> Result<ExitCode> {
    let (once, env) = (options.once, options.env.clone());
    let mut watcher = Watcher::new(options)?;
    watcher.waker.stop_on_signals()?;
    if once {
        return Ok(watcher.once());
    }
    watcher.waker.look_again_on_hangup()?;
    watcher.manager = ServiceManager::from_env(&env);
    watcher.watch();
    Ok(ExitCode::Ok)
}

/// All homes and what wakes for them. [`start`] and [`run`] drive it; tests and measurements may do so themselves.
pub struct Watcher {
    homes: Vec<Home>,
    shared: Shared,
    all_in: Option<(PathBuf, Option<&'static str>)>,
    /// Each login of this folder is kept.
    all_of: Option<OpenClawHome>,
    seed: u64,
    waker: Waker,
    receiver: WakeReceiver,
    manager: Option<ServiceManager>,
    searched: i64,
    /// Something happened where homes appear.
    search: bool,
    last: Now,
}

impl Watcher {
    /// Takes the lock of each home. Nothing else is done yet.
    ///
    /// # Errors
    /// See [`start`].
    pub fn new(options: Options) -> Result<Self> {
        let (waker, receiver) = wakeup::pair();
        let seed = match options.seed {
            Some(seed) => seed,
            None => getrandom::u64().or_fail(ExitCode::Failure, || "could not get a random number".to_owned())?,
        };
        let now = options.clock.now();
        let places = without_doubles(options.homes.places());
        let (all_in, all_of) = match options.homes {
            Homes::Listed(_) => (None, None),
            Homes::Brokers(place) => (None, Some(place)),
            Homes::AllIn { folder, read_only } => (Some((folder, read_only)), None),
        };
        let shared = Shared {
            env: options.env,
            rules: Rules {
                renew_at: options.renew_at,
                token_command: options.token_command.is_some(),
                once: options.once,
            },
            clock: options.clock,
            file_watcher: FileWatcher::new(waker.clone(), options.poll || options.once),
            commands: Commands::new(options.token_command.clone(), &waker)?,
            token_command: options.token_command,
            waker: waker.clone(),
            started_at: time::rfc3339(now.wall.div_euclid(1000)),
            homes_served: places.len(),
            push: options.push,
            seed,
            beside: BTreeMap::new(),
            is_news: false,
        };
        let mut watcher = Self {
            homes: places
                .into_iter()
                .map(|place| Home::new(place, None, &shared, seed))
                .collect(),
            shared,
            all_in,
            all_of,
            seed,
            waker,
            receiver,
            manager: None,
            searched: now.steady,
            search: false,
            last: now,
        };
        for home in &mut watcher.homes {
            home.acquire_lock(&watcher.shared)?;
        }
        Ok(watcher)
    }

    fn watch(&mut self) {
        self.wait_for_homes();
        let mut wait = self.step();
        let doing = match (self.homes.iter().all(Home::waits_for_plugin), self.homes.len()) {
            (true, 1..) => "ready to watch when the OpenClaw gateway ends".to_owned(),
            _ => match self.shared.homes_served {
                1 => "watching 1 OpenClaw home".to_owned(),
                count => format!("watching {count} OpenClaw homes"),
            },
        };
        // Only now: whoever waits for this line finds everything looked at.
        tracing::info!("{doing}");
        if let Some(manager) = &self.manager {
            manager.ready(&doing);
        }
        while !self.waker.is_stopping() {
            if self.receiver.wait(wait) {
                tracing::info!("looking at everything again");
                self.look_again();
            }
            wait = self.step();
        }
        if let Some(manager) = &self.manager {
            manager.stopping();
        }
        self.shared.commands.wait_for_end(Duration::from_millis(300));
        tracing::info!("stopped");
        self.homes.drain(..).for_each(Home::leave);
    }

    fn once(&mut self) -> ExitCode {
        for (id, home) in self.homes.iter_mut().enumerate() {
            if self.waker.is_stopping() {
                break;
            }
            home.attend(id, &mut self.shared);
        }
        while self.homes.iter().any(Home::is_waiting_for_command)
            && let Some((id, printed)) = self.shared.commands.wait()
        {
            let home = &mut self.homes[id];
            home.command_ended(printed, self.shared.clock.now());
            home.attend(id, &mut self.shared);
        }
        self.homes.iter().find_map(Home::verdict).unwrap_or(ExitCode::Ok)
    }

    /// Attends to every home that needs it, and says how long none will.
    pub fn step(&mut self) -> Duration {
        let now = self.shared.clock.now();
        let moved = now.wall.saturating_sub(self.last.wall) - (now.steady - self.last.steady);
        if moved.saturating_abs() > DRIFT_MS {
            let way = if moved < 0 { "back" } else { "forward" };
            tracing::info!("the clock moved {way} by {}", time::duration(moved / 1000));
            self.look_again();
        }
        self.last = now;
        self.hear_of_events(now);
        let pause = if self.search { SEARCH_AFTER_MS } else { SEARCH_EVERY_MS };
        if now.steady - self.searched >= pause {
            self.find_new_homes();
        }
        let ended = self.shared.commands.ended();
        for (id, printed) in ended {
            if let Some(home) = self.homes.get_mut(id) {
                home.command_ended(printed, now);
            }
        }
        self.attend_to_all();
        self.wait()
    }

    /// Attends to the homes that are due, one after the other.
    fn attend_to_all(&mut self) {
        for (id, home) in self.homes.iter_mut().enumerate() {
            let now = self.shared.clock.now();
            if self.waker.is_stopping() {
                return;
            }
            if home.is_due(now) {
                home.attend(id, &mut self.shared);
            }
            self.manager.as_mut().and_then(ServiceManager::ping);
        }
        if std::mem::take(&mut self.shared.is_news) {
            let now = self.shared.clock.now();
            let tells = self.homes.iter_mut().filter(|home| home.beside().is_none());
            tells.for_each(|home| home.touched(now));
        }
    }

    fn wait(&mut self) -> Duration {
        let now = self.shared.clock.now();
        let homes = self.homes.iter().filter_map(|home| home.wait(now));
        let search = self.search.then(|| self.searched + SEARCH_AFTER_MS - now.steady);
        // A millisecond more: the clocks count whole ones.
        let wait = homes
            .chain(search)
            .min()
            .map(|ms| u64::try_from(ms).map_or(0, |ms| ms + 1));
        let ping = self.manager.as_mut().and_then(ServiceManager::ping);
        let wait = wait.map(Duration::from_millis).into_iter().chain(ping).min();
        wait.map_or(TICK, |wait| wait.min(TICK))
    }

    fn look_again(&mut self) {
        let now = self.shared.clock.now();
        self.find_new_homes();
        self.homes.iter_mut().for_each(|home| home.look_now(now));
    }

    fn hear_of_events(&mut self, now: Now) {
        let touched = self.shared.file_watcher.touched();
        if touched.all {
            tracing::debug!("file events were lost");
            self.look_again();
        }
        for id in touched.homes {
            match self.homes.get_mut(id) {
                Some(home) => {
                    home.touched(now);
                    self.search |= self.all_of.is_some();
                }
                None => self.search = true,
            }
        }
    }

    /// With `--all`: to be told of homes that appear.
    fn wait_for_homes(&mut self) {
        if let Some((folder, _)) = &self.all_in {
            // Without events they are looked for every minute.
            let _ = self.shared.file_watcher.watch(EVERYONE, [folder.clone()]);
        }
        self.find_new_homes();
    }

    /// Each login gets a place of its own among the homes, the one of the first home too: that may become another one.
    fn find_new_logins(&mut self, place: &OpenClawHome) {
        let known = |namespace: &str| self.homes.iter().any(|home| home.beside() == Some(namespace));
        let found = record::namespaces(&place.sigilum_dir()).unwrap_or_default();
        let new: Vec<String> = found.into_iter().filter(|namespace| !known(namespace)).collect();
        let home = |namespace| Home::new(place.clone(), Some(namespace), &self.shared, self.seed);
        let homes: Vec<Home> = new.into_iter().map(home).collect();
        self.homes.extend(homes);
    }

    fn find_new_homes(&mut self) {
        (self.searched, self.search) = (self.last.steady, false);
        if let Some(place) = self.all_of.clone() {
            self.find_new_logins(&place);
        }
        let Some((folder, read_only)) = &self.all_in else {
            return;
        };
        for place in find_homes(folder, *read_only) {
            if self.homes.iter().all(|home| home.place.home != place.home) {
                tracing::info!(home = %place.home.display(), "a new OpenClaw home");
                self.homes.push(Home::new(place, None, &self.shared, self.seed));
            }
        }
        self.shared.homes_served = self.homes.len();
    }
}

/// Each home once, by whatever names it goes; those that are listed first stay.
fn without_doubles(places: Vec<OpenClawHome>) -> Vec<OpenClawHome> {
    let real = |place: &OpenClawHome| place.home.canonicalize().unwrap_or_else(|_| place.home.clone());
    let mut seen = BTreeSet::new();
    places.into_iter().filter(|place| seen.insert(real(place))).collect()
}

/// `.openclaw`, be it there or not, and every folder `.openclaw-*`; OpenClaw has none whose name is no UTF-8.
fn find_homes(folder: &Path, read_only: Option<&'static str>) -> Vec<OpenClawHome> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(".openclaw-"))
        })
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found.insert(0, folder.join(".openclaw"));
    let place = |home: PathBuf| OpenClawHome {
        read_only,
        ..OpenClawHome::at(home)
    };
    found.into_iter().map(place).collect()
}
