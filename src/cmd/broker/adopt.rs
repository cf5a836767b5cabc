//! `broker adopt`: root takes a login out of the OpenClaw home of a user whose agents have a shell. What they could have
//! edited there is taken for nothing but a proposal: who runs this is shown it and asked, or types it again.

use super::homes::{self, Homes};
use super::moving::{Move, Moved};
use crate::cli::BrokerAdoptArgs;
use crate::cmd::context;
use crate::cmd::output::{self, write_line};
use crate::cmd::prompt;
use crate::env::Env;
use crate::error::{Error, ExitCode, Result};
use crate::fs;
use crate::hook_record;
use crate::mode::Mode;
use crate::openclaw::backups;
use crate::process::child::find_on_path;
use crate::settings::{self, Owner, OwnerQuery};
use crate::sigilum::checkout::Checkout;
use crate::sigilum::http;
use crate::time;
use crate::token::record::Record;
use crate::token::token_command::{TokenCommand, VARIABLE};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where a service finds its programs.
const SERVICE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the command.
pub fn run(args: &BrokerAdoptArgs, env: &Env, out: &mut dyn Write) -> Result<ExitCode> {
    let homes = Homes::find(&args.homes, env, "adopt", &typed(args))?;
    adopt(args, env, &homes, out).map_err(|error| homes.for_their_owner(error))
}

fn adopt(args: &BrokerAdoptArgs, env: &Env, homes: &Homes, out: &mut dyn Write) -> Result<ExitCode> {
    let typed = OwnerQuery {
        namespace: args.homes.namespace.as_deref(),
        mode: args.mode,
        email: args.email.as_deref(),
        ..OwnerQuery::default()
    };
    let owner = homes::owner(&homes.home, typed, &homes.state)?;
    let proposal = Proposal::of(args, homes, &owner)?;
    proposal.agree(args, homes, &owner.namespace.value)?;
    let record = proposal.record(&owner);
    http::check_url(&record.api_url, env.is_on("SIGILUM_ALLOW_INSECURE_HTTP")).map_err(|error| {
        Error::new(ExitCode::Usage, "invalid API URL")
            .because(error)
            .next("give it with --api-url")
    })?;
    refuse_what_is_not_the_brokers(homes, &record)?;
    let moved = Move {
        from: &homes.home,
        to: &homes.state,
        owner: &owner,
        record: record.clone(),
        token_command: proposal.token_command.value(),
        agents_are_there: false,
    }
    .run(out)?;
    tell(homes, &owner, &record, &moved, out)?;
    Ok(ExitCode::Ok)
}

/// What was typed of the login, each with a blank before it.
fn typed(args: &BrokerAdoptArgs) -> String {
    [
        context::flag("--mode", args.mode.map(Mode::as_str)),
        context::flag("--email", args.email.as_ref()),
        context::flag("--api-url", args.api_url.as_ref()),
        context::flag("--token-command", args.token_command.as_ref()),
        context::path_flag("--source-home", args.source_home.as_deref()),
        context::path_flag("--api-db", args.api_db.as_deref()),
        context::flag("--trust-loopback", args.trust_loopback.map(|trusts| trusts.to_string())),
    ]
    .concat()
}

/// One thing that the records say, and what was typed.
struct Said {
    /// What it is, for people.
    what: &'static str,
    /// Its flag, and what stands for a value there.
    flag: &'static str,
    recorded: Option<String>,
    typed: Option<String>,
}

impl Said {
    /// What counts. An empty text takes it away.
    fn value(&self) -> Option<&str> {
        let value = self.typed.as_deref().or(self.recorded.as_deref());
        value.filter(|value| !value.is_empty())
    }

    /// Whether somebody is to say that it is right.
    fn is_open(&self) -> bool {
        self.typed.is_none() && self.recorded.is_some()
    }
}

/// All that decides where the token goes, what runs, and who signs.
struct Proposal {
    mode: Said,
    email: Said,
    api_url: Said,
    token_command: Said,
    checkout: Said,
    database: Said,
    trust_loopback: Said,
}

impl Proposal {
    fn of(args: &BrokerAdoptArgs, homes: &Homes, owner: &Owner) -> Result<Self> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let typed = |path: &Option<PathBuf>| path.as_deref().map(text);
        let record = owner.record.as_ref();
        let hook = hook_record::read(&homes.home.hook_record_file())?.unwrap_or_default();
        let said = |what, flag, recorded, typed| Said {
            what,
            flag,
            recorded,
            typed,
        };
        let own_db = homes.home.embedded_db();
        let database = record
            .and_then(|record| record.api_db.clone())
            .filter(|path| *path != own_db);
        let trusts = record.is_some_and(|record| record.trust_loopback);
        Ok(Self {
            mode: said(
                "mode",
                "--mode <mode>",
                Some(owner.mode.value.as_str().to_owned()),
                args.mode.map(|mode| mode.as_str().to_owned()),
            ),
            email: said("e-mail", "--email <e-mail>", own_email(owner), args.email.clone()),
            api_url: said(
                "API URL",
                "--api-url <URL>",
                Some(owner.api_url.value.clone()),
                args.api_url.clone(),
            ),
            token_command: said(
                "token command",
                "--token-command <command>",
                hook.env.get(VARIABLE).cloned(),
                args.token_command.clone(),
            ),
            checkout: said(
                "Sigilum checkout",
                "--source-home <folder>",
                record.and_then(|record| record.source_home.as_deref()).map(text),
                typed(&args.source_home),
            ),
            database: said(
                "API's database",
                "--api-db <file>",
                database.as_deref().map(text),
                typed(&args.api_db),
            ),
            trust_loopback: said(
                "whoever listens at the API's address gets the token",
                "--trust-loopback <true or false>",
                trusts.then(|| "true".to_owned()),
                args.trust_loopback.map(|trusts| trusts.to_string()),
            ),
        })
    }

    fn all(&self) -> [&Said; 7] {
        [
            &self.mode,
            &self.email,
            &self.api_url,
            &self.token_command,
            &self.checkout,
            &self.database,
            &self.trust_loopback,
        ]
    }

    /// Somebody says that all of it is right.
    fn agree(&self, args: &BrokerAdoptArgs, homes: &Homes, namespace: &str) -> Result<()> {
        if let Some(command) = self.token_command.value() {
            refuse_what_agents_can_change(command, homes)?;
        }
        let open: Vec<&Said> = self.all().into_iter().filter(|said| said.is_open()).collect();
        if open.is_empty() {
            return Ok(());
        }
        output::note(format_args!(
            "this is what the records in {} say; an agent could have written it",
            homes.home.home.display()
        ));
        let mut rows = vec![vec!["namespace".to_owned(), namespace.to_owned()]];
        rows.extend(open.iter().map(|said| {
            let value = said.recorded.clone().unwrap_or_default();
            vec![said.what.to_owned(), value]
        }));
        let shown = output::table(&mut std::io::stderr(), &["", ""], &rows);
        shown.map_err(|error| Error::new(ExitCode::Failure, "could not write to the terminal").because(error))?;
        if !prompt::may_ask() {
            let flags = open.iter().filter_map(|said| said.flag.split(' ').next());
            let what = format!(
                "could not ask whether what the records say is right, as there is no terminal; type what is right: {}",
                flags.collect::<Vec<&str>>().join(", ")
            );
            return Err(Error::new(ExitCode::Usage, what).next(self.command(args, homes)));
        }
        match prompt::confirm("Is all of that right?")? {
            true => Ok(()),
            false => Err(Error::new(ExitCode::Failure, "nothing was taken over").next(
                "give what is right with --api-url and the other flags of: sigilum-authz-notify broker adopt --help",
            )),
        }
    }

    /// The command, with gaps for what the records say: what nobody typed is in no command that is ready to run.
    fn command(&self, args: &BrokerAdoptArgs, homes: &Homes) -> String {
        let flags = self.all().into_iter().filter_map(|said| match &said.typed {
            Some(value) => {
                let flag = said.flag.split(' ').next()?;
                Some(context::flag(flag, Some(value)))
            }
            None => said.is_open().then(|| format!(" {}", said.flag)),
        });
        let namespace = args.homes.namespace.as_deref();
        let command = homes::command("adopt", &homes.home.home, Some(&homes.state.home), namespace);
        command + &flags.collect::<String>()
    }

    /// What is kept of the login.
    fn record(&self, owner: &Owner) -> Record {
        let local = owner.mode.value == Mode::OssLocal;
        let path = |said: &Said| said.value().map(PathBuf::from).filter(|_| local);
        Record {
            mode: owner.mode.value,
            api_url: self
                .api_url
                .value()
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
            // One that nobody was asked about signs nothing later.
            email: (self.email.value()).map_or_else(|| settings::default_email(&owner.namespace.value), str::to_owned),
            source_home: path(&self.checkout),
            api_db: path(&self.database),
            token_file: None,
            trust_loopback: self.trust_loopback.value() == Some("true"),
            // The token that is stored tells it.
            ttl_seconds: None,
        }
    }
}

/// The e-mail that the login chose: it stands in tokens that are signed here, and nowhere else.
fn own_email(owner: &Owner) -> Option<String> {
    let email = &owner.email.value;
    let is_chosen = *email != settings::default_email(&owner.namespace.value);
    (owner.mode.value == Mode::OssLocal && is_chosen).then(|| email.clone())
}

/// Whoever can change what the broker runs, runs as the broker's user.
fn refuse_what_agents_can_change(command: &str, homes: &Homes) -> Result<()> {
    let parsed = TokenCommand::parse(command, "--token-command", [("PATH", SERVICE_PATH)])?;
    for (at, word) in parsed.words().enumerate() {
        let file = match (word.contains('/'), at) {
            (true, _) => PathBuf::from(word),
            (false, 0) => match find_on_path(SERVICE_PATH.as_ref(), word) {
                Some(found) => found,
                None => continue,
            },
            (false, _) => continue,
        };
        if !file.is_absolute() || fs::can_change(&file, homes.user) {
            let what = format!(
                "could not take the token command over, agents that run as {} could change what it runs: {}",
                fs::user_name(homes.user),
                file.display()
            );
            return Err(Error::new(ExitCode::Usage, what)
                .next("give another one with --token-command, or none: --token-command ''"));
        }
    }
    Ok(())
}

/// A checkout or a database of another user's is not believed by the broker, and rightly: who owns it signs tokens, or
/// writes requests, without any token.
fn refuse_what_is_not_the_brokers(homes: &Homes, record: &Record) -> Result<()> {
    let named = [&record.source_home, &record.api_db];
    let Some(strange) = named.into_iter().flatten().find(|path| !fs::is_of(path, homes.broker)) else {
        return Ok(());
    };
    let broker = fs::user_name(homes.broker);
    let what = format!(
        "could not take the login over, a broker protects nothing where the local API is not its own user's ({broker}): {}",
        strange.display()
    );
    let next = format!(
        "run the local API as {broker}, and give it what is its own: chown -R {} {}",
        fs::quoted(broker.as_ref()),
        fs::quoted(strange)
    );
    Err(Error::new(ExitCode::Usage, what).next(next))
}

/// What else there is to know and to do.
fn tell(homes: &Homes, owner: &Owner, record: &Record, moved: &Moved, out: &mut dyn Write) -> Result<()> {
    let tokens: Vec<_> = moved.token.iter().cloned().collect();
    for file in backups::with_tokens(&homes.home, &moved.files, &tokens) {
        output::warn(format_args!(
            "another copy of the config still holds an owner token: {0}\n  next: rm {1}",
            file.display(),
            fs::quoted(&file)
        ));
    }
    if record.mode == Mode::OssLocal {
        warn_where_it_protects_nothing(homes, record);
    }
    match (moved.expires_at, record.is_embedded()) {
        (_, true) => output::note(format_args!(
            "the old signing secret is worth nothing to the broker; the database of before stays in {}, and the broker \
             has a new one: register services as its user",
            homes.home.sigilum_dir().display()
        )),
        (Some(end), false) if end > time::now() => output::note(format_args!(
            "whoever read this token before can use it until {}; a new one for the broker alone: {}",
            time::rfc3339(end),
            login_command(owner, homes)
        )),
        _ => {}
    }
    write_line(
        out,
        format_args!(
            "{} asks it there with: {} hook install --broker <socket> --openclaw-home {}",
            fs::user_name(homes.user),
            fs::run_as(homes.user),
            fs::quoted(&homes.home.home)
        ),
    )?;
    write_line(
        out,
        format_args!(
            "The broker's user {} has the login of {} now. Give it back with: sigilum-authz-notify broker release {} \
             --state {}",
            fs::user_name(homes.broker),
            owner.namespace.value,
            fs::quoted(&homes.home.home),
            fs::quoted(&homes.state.home)
        ),
    )
}

/// As the broker's user types it.
fn login_command(owner: &Owner, homes: &Homes) -> String {
    let flags = format!(" --openclaw-home {}", fs::quoted(&homes.state.home));
    let login = context::login_command(owner, &homes.state, &flags);
    context::begun_with(&fs::run_as(homes.broker), &login)
}

/// Where the home's user can make tokens, or write requests, without any token.
fn warn_where_it_protects_nothing(homes: &Homes, record: &Record) {
    let who = fs::user_name(homes.user);
    let warn = |why: String| output::warn(format_args!("the broker protects nothing here: {why}"));
    let checkout = record.source_home.as_ref();
    let opened = checkout.map(|root| Checkout::open_of(root, homes.broker));
    let database = match (&record.api_db, opened.transpose()) {
        (Some(named), Ok(_)) => Ok(Some(named.clone())),
        (None, Ok(checkout)) => checkout.map(|checkout| checkout.api_db()).transpose(),
        (_, Err(error)) => Err(error),
    };
    let vars = checkout.map(|root| root.join("apps/api/.dev.vars"));
    if let Some(vars) = vars.filter(|vars| fs::can_read(vars, homes.user)) {
        let vars = vars.display();
        warn(format!("{who}, and so its agents, can read the signing secret: {vars}"));
    }
    match database {
        Ok(Some(database)) if fs::can_change(&database, homes.user) => {
            let database = database.display();
            warn(format!(
                "{who}, and so its agents, can write the local API's database: {database}"
            ));
        }
        // What everybody may change is not believed.
        Err(error) => warn(error.to_string()),
        Ok(_) => {}
    }
}
