//! What `setup` has to know: from a flag, from a person, or as it is already.

mod service;

use super::question::{Asking, NONE, Question, TRIES, spelled, yes_or_no};
use crate::cli::SetupArgs;
use crate::cmd::broker::remote::Remote;
use crate::cmd::choice;
use crate::cmd::context;
use crate::cmd::doctor::openclaw::OpenClaw;
use crate::cmd::hook::install_choices;
use crate::cmd::output;
use crate::cmd::secret;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::home::{self, OpenClawHome};
use crate::hook_record::{self, ChatTarget, HookRecord};
use crate::mode::Mode;
use crate::openclaw::hook_files::Kind;
use crate::openclaw::{config, workspace};
use crate::origin::Origin;
use crate::owner_token;
use crate::settings::{self, Owner, OwnerQuery};
use crate::time;
use crate::token::{claims, lifetime, source};
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// The newest OpenClaw that does not load the plugin.
const WITHOUT_PLUGIN: &str = "2026.5.4";

/// What is to be done.
pub struct Answers {
    /// `None`: the token that is stored stays.
    pub login: Option<Login>,
    /// Whom the hook is to speak for without a login, where it does not yet.
    pub namespace: Option<String>,
    pub kind: Kind,
    /// Nobody said so, nothing is installed, and OpenClaw cannot be asked what it loads.
    pub kind_is_guess: bool,
    /// As `--deciders` takes them; `None`: as recorded.
    pub deciders: Option<String>,
    /// As `--notify` takes it; `None`: as recorded.
    pub notify: Option<String>,
    pub unit: Unit,
    /// The broker that is asked, where one is.
    pub broker: Option<Remote>,
}

/// A login that is to be made.
pub struct Login {
    pub mode: Mode,
    pub namespace: Option<String>,
    pub api_url: String,
    pub source_home: Option<PathBuf>,
    /// The token that was typed.
    pub token: Option<SecretString>,
}

/// What becomes of the service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Install,
    Remove,
    /// There is none, and none is wanted.
    None,
}

/// Who asks, and about what.
struct Collector<'a> {
    args: &'a SetupArgs,
    env: &'a Env,
    place: &'a OpenClawHome,
    asking: Asking,
    record: HookRecord,
}

impl Answers {
    /// Asks for what no flag says. Nothing is written.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] where there is no answer; [`ExitCode::Token`] for what is no owner token.
    pub fn collect(
        args: &SetupArgs,
        env: &Env,
        (place, broker): (&OpenClawHome, Option<Remote>),
        openclaw: &OpenClaw,
        asking: Asking,
    ) -> Result<Self> {
        let collector = Collector {
            args,
            env,
            place,
            asking,
            record: hook_record::read(&place.hook_record_file())?.unwrap_or_default(),
        };
        if !asking.asks && broker.is_none() {
            collector.refuse_what_is_missing()?;
        }
        let (login, namespace) = match &broker {
            Some(_) => (None, args.owner.namespace.clone()),
            None => collector.login()?,
        };
        let installed = choice::installed(place)?;
        let kind = collector.kind(installed, openclaw)?;
        let deciders = match kind {
            Kind::Plugin => collector.deciders()?,
            Kind::Hook => args.deciders.clone(),
        };
        let notify = collector.notify()?;
        let unit = match &broker {
            Some(_) => collector.no_unit(),
            None => collector.unit(kind, login.as_ref())?,
        };
        // A broker that is new here is told, whatever the record says.
        let is_new = broker.as_ref().is_some_and(|broker| broker.uid.is_none());
        let is_recorded = |chosen: &String| !is_new && collector.record.namespace.as_ref() == Some(chosen);
        let is_guess = args.kind.is_none() && installed.is_none() && openclaw.version.is_none();
        Ok(Self {
            login,
            namespace: namespace.filter(|chosen| !is_recorded(chosen)),
            kind,
            kind_is_guess: is_guess && kind == Kind::Hook,
            deciders,
            notify,
            unit,
            broker,
        })
    }
}

impl Collector<'_> {
    /// What is known of the owner, where this is the mode.
    fn owner(&self, mode: Option<Mode>, namespace: Option<&str>) -> Option<Owner> {
        let query = OwnerQuery {
            mode,
            ..context::owner_query(&self.args.owner, &self.args.local_api)
        };
        let namespace = namespace.or(query.namespace);
        settings::owner(&OwnerQuery { namespace, ..query }, self.env, self.place).ok()
    }

    /// Where nobody can be asked: all that no flag and no record says, at once.
    fn refuse_what_is_missing(&self) -> Result<()> {
        let yes = if self.args.yes { "" } else { " --yes" };
        let (what, next) = match self.known_mode() {
            None => (
                "which Sigilum, and whose token",
                format!(
                    "add --mode managed{managed}{yes}; with a local API instead: --mode oss-local{local}{yes}",
                    managed = self.missing(Mode::Managed).unwrap_or_default(),
                    local = self.missing(Mode::OssLocal).unwrap_or_default()
                ),
            ),
            Some(mode) => {
                let Some(flag) = self.missing(mode) else { return Ok(()) };
                let what = match mode {
                    Mode::Managed => "the owner token of the hosted Sigilum",
                    Mode::OssLocal => "which namespace is yours",
                };
                (what, format!("add{flag}{yes}"))
            }
        };
        let what = format!("could not set up, there is nobody to ask: {what}");
        Err(Error::new(ExitCode::Usage, what).next(next))
    }

    /// The flag that a login in this mode still lacks.
    fn missing(&self, mode: Mode) -> Option<&'static str> {
        let owner = self.owner(Some(mode), None);
        let is_there = match mode {
            Mode::Managed => {
                let stored = |owner: &Owner| good_until(owner, &owner.api_url.value).is_some();
                self.is_given() || owner.as_ref().is_some_and(stored)
            }
            Mode::OssLocal => owner.is_some_and(|owner| !owner.namespace.origin.is_guess()),
        };
        let flag = match mode {
            Mode::Managed => " --owner-token-stdin",
            Mode::OssLocal => " --namespace <yours>",
        };
        (!is_there).then_some(flag)
    }

    fn is_given(&self) -> bool {
        self.args.owner_token_stdin || self.env.var("SIGILUM_OWNER_TOKEN").is_some()
    }

    fn known_mode(&self) -> Option<Mode> {
        let known = || self.owner(None, None).map(|owner| owner.mode);
        let recorded = || known().filter(|mode| mode.origin != Origin::Default);
        self.args.owner.mode.or_else(|| Some(recorded()?.value))
    }

    /// The login that is to be made; or else whose stored token stays.
    fn login(&self) -> Result<(Option<Login>, Option<String>)> {
        let mode = self.mode()?;
        let owner = self.owner(Some(mode), None);
        let api_url = self.api_url(mode, owner.as_ref())?;
        match mode {
            Mode::Managed => self.managed(api_url, owner.as_ref()),
            Mode::OssLocal => self.local(api_url, owner.as_ref()),
        }
    }

    fn mode(&self) -> Result<Mode> {
        if let Some(mode) = self.args.owner.mode {
            return Ok(mode);
        }
        self.asking.answer(&Question {
            text: "Which Sigilum, the hosted one (managed) or a local API (oss-local)?",
            flag: "--mode managed, or --mode oss-local",
            default: self.known_mode().map(|mode| mode.as_str().to_owned()),
            parse: &|text| match text {
                "hosted" => Ok(Mode::Managed),
                "local" => Ok(Mode::OssLocal),
                text => Mode::named(text).ok_or_else(|| "answer managed or oss-local".to_owned()),
            },
        })
    }

    fn api_url(&self, mode: Mode, owner: Option<&Owner>) -> Result<String> {
        if let Some(url) = &self.args.owner.api_url {
            return Ok(url.clone());
        }
        let known = owner.map(|owner| owner.api_url.value.clone());
        self.asking.answer(&Question {
            text: "Where is its API?",
            flag: "--api-url <url>",
            default: Some(known.unwrap_or_else(|| settings::default_api_url(mode).to_owned())),
            parse: &|text| match text.starts_with("https://") || text.starts_with("http://") {
                true => Ok(text.to_owned()),
                false => Err("give a URL that begins with https:// or http://".to_owned()),
            },
        })
    }

    /// With a token of the hosted Sigilum: given, stored and still good, or asked for.
    fn managed(&self, api_url: String, owner: Option<&Owner>) -> Result<(Option<Login>, Option<String>)> {
        let given = self.is_given();
        let kept = if given { None } else { self.keeps(owner, &api_url)? };
        if kept.is_some() {
            return Ok((None, kept));
        }
        let mut login = Login {
            mode: Mode::Managed,
            namespace: self.args.owner.namespace.clone(),
            api_url,
            source_home: None,
            token: None,
        };
        if self.args.owner_token_stdin || !given {
            login.token = Some(self.token()?);
        }
        Ok((Some(login), None))
    }

    /// The token that a person hands over; one that was mistyped is asked for again.
    fn token(&self) -> Result<SecretString> {
        let wanted = self.args.owner.namespace.as_deref();
        let mut left = TRIES;
        loop {
            left -= 1;
            let text = secret::owner_token_from_stdin()?;
            match source::take(text.expose_secret(), wanted, secret::source(), time::now()) {
                Ok(taken) => {
                    if let Some(left_out) = &taken.left_out {
                        output::note(format_args!("took the owner token, and left out {left_out}"));
                    }
                    return Ok(taken.token);
                }
                Err(error) if self.asking.asks && left > 0 => output::note(error.text()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whose stored token of the hosted Sigilum stays, where one does.
    fn keeps(&self, owner: Option<&Owner>, api_url: &str) -> Result<Option<String>> {
        let Some((owner, expiry)) = owner.and_then(|owner| Some((owner, good_until(owner, api_url)?))) else {
            return Ok(None);
        };
        let namespace = &owner.namespace.value;
        let keeps = self.asking.answer(&Question {
            text: &format!("Keep the stored owner token of {namespace}, which expires {expiry}?"),
            flag: "--owner-token-stdin",
            default: Some(spelled(true)),
            parse: &yes_or_no,
        })?;
        Ok(keeps.then(|| namespace.clone()))
    }

    /// With a token that is signed here.
    fn local(&self, api_url: String, owner: Option<&Owner>) -> Result<(Option<Login>, Option<String>)> {
        let source_home = self.checkout(owner)?;
        let namespace = self.namespace(owner)?;
        let known = self.owner(Some(Mode::OssLocal), Some(&namespace));
        let same_checkout = |owner: &Owner| owner.source_home.as_ref().map(|home| &home.value) == source_home.as_ref();
        if let Some(owner) = known.as_ref().filter(|owner| same_checkout(owner))
            && good_until(owner, &api_url).is_some()
        {
            return Ok((None, Some(namespace)));
        }
        let login = Login {
            mode: Mode::OssLocal,
            namespace: Some(namespace),
            api_url,
            source_home,
            token: None,
        };
        Ok((Some(login), None))
    }

    /// The checkout that the local API runs from. One around the working directory is offered, where no agent writes.
    fn checkout(&self, owner: Option<&Owner>) -> Result<Option<PathBuf>> {
        let known = owner.and_then(|owner| Some(owner.source_home.as_ref()?.value.clone()));
        if self.args.local_api.source_home.is_some() || self.args.local_api.api_db.is_some() {
            return Ok(known);
        }
        let config = config::read(self.place).ok().flatten();
        let config = config.as_ref().map(|config| &config.value);
        let around = || settings::checkout_around().filter(|found| !workspace::holds(found, config, self.place));
        let offered = known.or_else(|| around().filter(|_| self.asking.asks));
        self.asking.answer(&Question {
            text: "Which folder is the Sigilum checkout that it runs from (none: a database of our own)?",
            flag: "--source-home <folder>",
            default: Some(offered.map_or_else(|| NONE.to_owned(), |path| path.display().to_string())),
            parse: &|text| self.folder(text),
        })
    }

    fn folder(&self, text: &str) -> Result<Option<PathBuf>, String> {
        if text == NONE {
            return Ok(None);
        }
        let path = self.env.expand_tilde(PathBuf::from(text));
        let path = home::absolute(&path).map_err(|error| error.text())?;
        match path.is_dir() {
            true => Ok(Some(path)),
            false => Err(format!("there is no such folder: {}", path.display())),
        }
    }

    fn namespace(&self, owner: Option<&Owner>) -> Result<String> {
        if let Some(namespace) = &self.args.owner.namespace {
            return Ok(namespace.clone());
        }
        // A guess is for a person to see.
        let known = owner.map(|owner| &owner.namespace);
        let known = known.filter(|namespace| self.asking.asks || !namespace.origin.is_guess());
        self.asking.answer(&Question {
            text: "Which namespace is yours?",
            flag: "--namespace, and yours",
            default: known.map(|namespace| namespace.value.clone()),
            parse: &|text| match settings::is_label(text, false) {
                true => Ok(text.to_owned()),
                false => Err("use 3 to 64 lower-case letters, digits and inner hyphens".to_owned()),
            },
        })
    }

    fn kind(&self, installed: Option<Kind>, openclaw: &OpenClaw) -> Result<Kind> {
        if let Some(kind) = self.args.kind {
            return Ok(kind);
        }
        let has_plugins = openclaw.version.is_some() && !openclaw.is_up_to(WITHOUT_PLUGIN);
        let default = installed.unwrap_or(if has_plugins { Kind::Plugin } else { Kind::Hook });
        self.asking.answer(&Question {
            text: "How does OpenClaw load it, as plugin (stays running, answers /sigilum) or as hook?",
            flag: "--as plugin, or --as hook",
            default: Some(default.name().to_owned()),
            parse: &|text| match text {
                "plugin" => Ok(Kind::Plugin),
                "hook" => Ok(Kind::Hook),
                _ => Err("answer plugin or hook".to_owned()),
            },
        })
    }

    fn deciders(&self) -> Result<Option<String>> {
        let recorded = self.record.deciders.as_ref().map(|ids| ids.join(","));
        self.list(
            (self.args.deciders.as_ref(), "--deciders <channel>:<sender id>"),
            recorded,
            "Who may answer requests in the chat (such as telegram:123456789, separated by commas)?",
            &|text| {
                let read = install_choices::parse_deciders(text, self.env);
                read.map(|ids| ids.join(",")).map_err(|error| error.text())
            },
        )
    }

    fn notify(&self) -> Result<Option<String>> {
        let recorded = self.record.notify.as_ref().map(ToString::to_string);
        self.list(
            (self.args.notify.as_ref(), "--notify <channel>:<target>"),
            recorded,
            "In which chat are you told at once of requests (such as matrix:@alice:localhost)?",
            &|text| text.parse::<ChatTarget>().map(|target| target.to_string()),
        )
    }

    /// What a flag takes, where it is not as recorded; empty to take it back.
    fn list(
        &self,
        (typed, flag): (Option<&String>, &str),
        recorded: Option<String>,
        text: &str,
        parse: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<Option<String>> {
        if typed.is_some() {
            return Ok(typed.cloned());
        }
        let answer = self.asking.answer(&Question {
            text,
            flag,
            default: Some(recorded.clone().unwrap_or_else(|| NONE.to_owned())),
            parse: &|text| match text {
                NONE => Ok(String::new()),
                text => parse(text),
            },
        })?;
        Ok((answer != recorded.unwrap_or_default()).then_some(answer))
    }
}

/// When the stored token expires, in words, where it serves this API.
fn good_until(owner: &Owner, api_url: &str) -> Option<String> {
    let record = owner.record.as_ref()?;
    let is_same =
        record.mode == owner.mode.value && record.api_url.trim_end_matches('/') == api_url.trim_end_matches('/');
    let now = time::now();
    let token = owner_token::stored(owner, now).ok().filter(|_| is_same)?;
    let says = claims::inspect(&token.token).ok()?;
    Some(lifetime::expiry_text(&says, now))
}
