//! What a person typed to decide requests, and whether it may be done at all.

use super::site::{self, Site};
use crate::cli::TargetArgs;
use crate::cmd::broker::remote;
use crate::cmd::context;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::mode::Mode;
use crate::request::Decision;
use crate::settings::Owner;
use crate::time;
use crate::token::{claims, lifetime};
use crate::watch::status::{self, Renewal};
use secrecy::ExposeSecret;
use std::fmt;

/// What a person asked for.
pub struct Asked<'a> {
    /// What is to be done.
    pub decision: Decision,
    /// About which requests.
    pub args: &'a TargetArgs,
    /// About everything that waits.
    pub all: bool,
    /// Seconds that an approval is to last.
    pub time: Option<i64>,
    /// Also where nobody runs who would end it.
    pub even_without_watcher: bool,
}

impl<'a> Asked<'a> {
    /// Without a time.
    pub fn new(decision: Decision, args: &'a TargetArgs) -> Self {
        Self {
            decision,
            args,
            all: false,
            time: None,
            even_without_watcher: false,
        }
    }

    /// Where they may decide.
    pub fn site(&self, env: &Env) -> Result<Site> {
        let verb = self.decision.as_str();
        if env.var("OPENCLAW_SHELL").is_some() {
            let what =
                format!("could not {verb}: this is an agent's shell (OPENCLAW_SHELL is set), and agents do not decide");
            return Err(Error::new(ExitCode::Usage, what).next("run the command in a terminal of your own"));
        }
        let place = context::place(&self.args.owner.place, env)?;
        remote::refuse(
            &place,
            env,
            verb,
            &(self.words() + &self.more(self.time, self.args.yes)),
        )?;
        let site = Site::open(&self.args.owner, env)?;
        site.settle_open();
        Ok(site)
    }

    /// The command's words up to the requests.
    fn words(&self) -> String {
        let named = self.args.service.iter().zip(&self.args.key);
        let named = named.flat_map(|(service, key)| ["--service", service, "--key", key]);
        let all = self.all.then_some("--all");
        let words = ["authz", self.decision.as_str()]
            .into_iter()
            .chain(self.args.ids.iter().map(String::as_str));
        shell_words::join(words.chain(named).chain(all))
    }

    /// The command again, with another time, asking or not.
    fn command(&self, time: Option<i64>, yes: bool) -> String {
        let (words, more) = (self.words(), self.more(time, yes));
        format!("sigilum-authz-notify {words}{more}{}", site::flags(&self.args.owner))
    }

    fn more(&self, time: Option<i64>, yes: bool) -> String {
        let time = time.map_or_else(String::new, |seconds| format!(" --for {}m", seconds / 60));
        let even = if self.even_without_watcher {
            " --even-without-watcher"
        } else {
            ""
        };
        let yes = if yes { " --yes" } else { "" };
        format!("{time}{even}{yes}")
    }

    /// That it is shown, and nobody is there to say yes.
    pub fn nobody_to_ask(&self) -> Error {
        let what = format!(
            "could not ask whether to {}: there is no terminal",
            self.decision.as_str()
        );
        Error::new(ExitCode::Usage, what).next(self.command(self.time, true))
    }

    /// When an approval of so many seconds is over, Unix seconds.
    ///
    /// # Errors
    /// Nobody would take it back ([`NoEnd`]).
    pub fn until(&self, site: &Site, env: &Env, seconds: i64) -> Result<i64> {
        let next_one = self.even_without_watcher.then(|| site.has_secret(env));
        site.until(seconds, next_one).map_err(|no_end| {
            let error = Error::new(no_end.code(), format!("could not approve for a time: {no_end}"));
            error.next(match no_end {
                NoEnd::NoWatcher => {
                    "sigilum-authz-notify watch --install-unit; or add --even-without-watcher, and the next watcher takes it \
                     back"
                        .to_owned()
                }
                NoEnd::OtherToken => context::login_command(&site.owner, &site.place, &site.place_flags),
                // The watcher needs a moment before the end.
                NoEnd::NoToken(left) => match left - 60 {
                    shorter @ 60.. => self.command(Some(shorter), self.args.yes),
                    _ => context::login_command(&site.owner, &site.place, &site.place_flags),
                },
            })
        })
    }
}

/// Why nobody would take an approval back when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoEnd {
    /// No watcher serves the home.
    NoWatcher,
    /// The watcher has the token of the recorded login alone, and this is another one.
    OtherToken,
    /// The token that revokes it will have expired, in so many seconds, and nobody renews it.
    NoToken(i64),
}

impl NoEnd {
    fn code(self) -> ExitCode {
        match self {
            Self::NoWatcher => ExitCode::Failure,
            Self::OtherToken | Self::NoToken(_) => ExitCode::Token,
        }
    }
}

impl fmt::Display for NoEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWatcher => f.write_str("no watcher that would take the approval back runs for this home"),
            Self::OtherToken => f.write_str(
                "a watcher would take the approval back with the token of the recorded login, and this is another one",
            ),
            Self::NoToken(left) => write!(
                f,
                "the owner token expires in {}, before it would be taken back, and nothing renews it",
                time::duration(*left)
            ),
        }
    }
}

impl Site {
    /// Whether this token is the one that a watcher finds.
    fn is_of_the_login(&self) -> bool {
        let Some(record) = &self.owner.record else { return false };
        let of_login = Owner {
            token_file: record.token_file(&self.place, self.namespace()),
            ..self.owner.clone()
        };
        let stored = of_login.stored_token().ok().flatten();
        stored.is_some_and(|token| token.expose_secret() == self.token().expose_secret())
    }

    /// Whether a watcher that starts in this environment can sign a token in place of this one.
    fn has_secret(&self, env: &Env) -> bool {
        let signing = || Renewal::signing(&self.owner, &self.place, env, self.token());
        self.owner.mode.value == Mode::OssLocal && signing().is_some()
    }

    /// When an approval of so many seconds is over, Unix seconds. `next_one`: where no watcher runs, the next one takes it
    /// back, which can renew the token or not; `None`: one must run.
    pub fn until(&self, seconds: i64, next_one: Option<bool>) -> Result<i64, NoEnd> {
        let until = time::now().saturating_add(seconds);
        let watcher = status::read(&self.place).filter(|status| status.running && status.takes_back);
        let is_renewed = match (&watcher, next_one) {
            (Some(_), _) => status::renewed_by(watcher.as_ref(), self.namespace())
                .is_some_and(|found| found.stands(&self.owner, &self.place, self.token())),
            (None, Some(renews)) => renews,
            (None, None) => return Err(NoEnd::NoWatcher),
        };
        if !self.is_of_the_login() {
            return Err(NoEnd::OtherToken);
        }
        let says = claims::inspect(self.token()).ok();
        match says.as_ref().and_then(lifetime::expires_at) {
            Some(end) if end <= until && !is_renewed => Err(NoEnd::NoToken(end.saturating_sub(time::now()))),
            _ => Ok(until),
        }
    }
}
