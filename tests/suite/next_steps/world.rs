//! A person's machine, and one case tried on it.

use crate::env::api::Api;
use crate::env::gateway::Gateway;
use crate::env::watching::{Watcher, token};
use crate::env::{BINARY, Output, Run, TestEnv, added, command_of};
use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// What signs the tokens that a case hands over.
pub const SECRET: &str = "only Sigilum knows";

/// What a step that fails leaves behind.
const FAILED: &str = "the-step-failed";

/// What is done with a step.
#[derive(Clone, Copy)]
pub enum Act {
    /// It is run as it is printed.
    Run,
    /// As [`Act::Run`], after a person filled in a value that only a person knows.
    Fill(&'static str, &'static str),
    /// `add <flags>`: they are added to the first command, up to a comma, a semicolon or "or".
    Add,
    /// Words for a person, who then types this instead of the first command.
    Type(&'static [&'static str]),
    /// Words for a person, who then types this in the same shell, and the first command again.
    Shell(&'static str),
    /// Words for a person, who then does this elsewhere, and types the first command again.
    Do(fn(&World)),
    /// As [`Act::Run`], and this is typed in answer to what it asks at the terminal.
    Answer(&'static str),
}

/// What the first command does then.
#[derive(Clone, Copy)]
pub enum Then {
    /// It succeeds, and does not say the same again.
    Succeeds,
    /// It says something new.
    Says(&'static str),
    /// The step does what was asked for: the first command is not run again.
    IsDone,
}

/// A state, a command, and what its next step leads to.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub set_up: fn(&World),
    pub first: &'static [&'static str],
    pub env: &'static [(&'static str, &'static str)],
    /// How the step begins, after variables for its program; `~` is the OpenClaw home.
    pub step: &'static str,
    pub act: Act,
    pub then: Then,
    /// In a home of the default path only.
    pub only_default: bool,
}

pub const CASE: Case = Case {
    name: "",
    set_up: |_| {},
    first: &[],
    env: &[],
    step: "",
    act: Act::Run,
    then: Then::Succeeds,
    only_default: false,
};

pub struct World {
    pub env: TestEnv,
    pub api: Api,
    pub home: PathBuf,
    pub config: PathBuf,
    flags: Vec<String>,
    watchers: RefCell<Vec<Watcher>>,
    pub gateway: Gateway,
}

impl World {
    /// A home of the default path, or another with a blank in it, a config elsewhere, and a namespace besides alice.
    fn new(is_default: bool) -> Self {
        let env = TestEnv::new();
        let api = Api::start(SECRET);
        let person = env.home();
        let (home, config, flags) = if is_default {
            (env.openclaw(), env.config(), Vec::new())
        } else {
            let (home, config) = (person.join("other home"), person.join("my configs/open claw.json"));
            let flags = [("--openclaw-home", &home), ("--config", &config)];
            let flags = flags.map(|(name, path)| [name.to_owned(), path.to_str().unwrap().to_owned()]);
            (home, config, flags.concat())
        };
        let world = Self {
            env,
            api,
            home,
            config,
            flags,
            watchers: RefCell::default(),
            gateway: Gateway::start(),
        };
        world.program("openclaw", "exit 0");
        if !is_default {
            world.log_in("bob");
        }
        world
    }

    pub fn program(&self, name: &str, script: &str) {
        let path = self.env.write(format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
    }

    /// A file below the OpenClaw home.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        self.env.write(self.home.join(name), text)
    }

    pub fn write_config(&self, text: &str) {
        self.env.write(&self.config, text);
    }

    pub fn chmod(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.home.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.home.join(name)).unwrap();
    }

    /// A command line of ours for this home.
    pub fn run(&self, args: &[&str]) -> Run {
        self.env.run(self.command(args))
    }

    fn command(&self, args: &[&str]) -> Vec<String> {
        let args = args.iter().map(|arg| self.whole(arg));
        // A watcher may serve several homes, each with its own config.
        let flags = match args.clone().next().as_deref() {
            Some("watch") => self.flags.get(..2).unwrap_or_default(),
            _ => &self.flags,
        };
        args.chain(flags.iter().cloned()).collect()
    }

    /// `<api>` and `<token>` filled in, and `~` for the OpenClaw home.
    pub fn whole(&self, text: &str) -> String {
        let text = text.replace("<api>", &self.api.url());
        let text = text.replace("<token>", &managed("alice", 3600));
        let text = text.replace("<expired>", &managed("alice", -30));
        let text = text.replace("<gateway>", &self.gateway.url());
        let text = text.replace("<home>", self.home.to_str().unwrap());
        let text = text.replace("<person>", self.env.home().to_str().unwrap());
        let text = text.replace("<forged>", &token("another's", "alice", 60, 3600));
        match text.strip_prefix('~') {
            Some(rest) => format!("{}{rest}", self.home.display()),
            None => text,
        }
    }

    /// A watcher of this home, until the world ends.
    pub fn watch(&self) {
        let run = self.env.run(["watch", "--openclaw-home"]).args([&self.home]);
        let run = run.env("OPENCLAW_CONFIG_PATH", &self.config);
        self.watchers.borrow_mut().push(Watcher::start(run));
    }

    /// A login in oss-local mode with a database of its own.
    pub fn log_in(&self, namespace: &str) {
        let args = ["auth", "login", "--mode", "oss-local", "--print-token", "false"];
        self.run(&args).args(["--namespace", namespace]).expect(0);
    }

    /// A login in managed mode, at the API of this world.
    pub fn log_in_managed(&self, namespace: &str, token: &str) {
        let args = ["auth", "login", "--mode", "managed", "--owner-token-stdin"];
        self.run(&args)
            .args([
                "--api-url",
                &self.api.url(),
                "--namespace",
                namespace,
                "--print-token",
                "false",
            ])
            .stdin(token)
            .expect(0);
    }

    /// Our program first on PATH, then what [`Self::program`] made.
    fn path(&self) -> String {
        let ours = Path::new(BINARY).parent().unwrap().display();
        format!("{ours}:{}/bin:/usr/bin:/bin", self.env.home().display())
    }

    fn sh(&self, case: &Case, script: &str) -> Output {
        let run = self.env.run_program("/bin/sh".as_ref(), ["-c", script]);
        let run = case
            .env
            .iter()
            .fold(run, |run, (name, value)| run.env(name, self.whole(value)));
        // What a person would type: a token.
        run.env("PATH", self.path()).stdin(managed("alice", 3600)).output()
    }
}

/// A token of the hosted Sigilum's.
pub fn managed(namespace: &str, life: i64) -> String {
    token(SECRET, namespace, 60, life + 60)
}

/// What was said before each step, and the step.
fn steps(output: &Output) -> Vec<(String, String)> {
    let text = format!("{}{}", output.stdout, output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let step = |at: usize| Some((lines[at - 1].to_owned(), lines[at].split_once("next: ")?.1.to_owned()));
    (1..lines.len()).filter_map(step).collect()
}

/// Whether a step begins so, or does after the variables that say where OpenClaw's home is.
fn begins(step: &str, wanted: &str) -> bool {
    step.starts_with(wanted) || (step.starts_with("OPENCLAW_") && step.contains(&format!("' {wanted}")))
}

pub fn try_all(cases: &[Case]) {
    let worlds = |case: &Case| match case.only_default {
        true => vec![true],
        false => vec![true, false],
    };
    let failed = cases
        .iter()
        .flat_map(|case| worlds(case).into_iter().map(move |is_default| (case, is_default)));
    // Each says itself what failed.
    let failed = failed.filter(|(case, is_default)| catch_unwind(|| try_one(case, &World::new(*is_default))).is_err());
    let failed: Vec<&str> = failed.map(|(case, _)| case.name).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

fn try_one(case: &Case, world: &World) {
    let label = format!("{} ({})", case.name, world.home.display());
    (case.set_up)(world);
    let quoted = |args: &[String]| {
        shell_words::join(std::iter::once("sigilum-authz-notify").chain(args.iter().map(String::as_str)))
    };
    let first = world.command(case.first);
    let said = world.sh(case, &quoted(&first));
    let wanted = world.whole(case.step);
    let all = steps(&said);
    let told = all.iter().find(|(_, step)| begins(step, &wanted));
    let told = told.unwrap_or_else(|| panic!("{label}: no step {wanted:?}: {said:#?}"));
    let (step, again) = match case.act {
        Act::Run => (command_of(&told.1).to_owned(), first),
        Act::Fill(blank, value) => {
            assert!(told.1.contains(blank), "{label}: {}", told.1);
            (
                command_of(&told.1).replace(blank, &shell_words::quote(&world.whole(value))),
                first,
            )
        }
        Act::Add => (String::new(), [first, added(&told.1)].concat()),
        Act::Type(args) => (String::new(), world.command(args)),
        Act::Shell(line) => (world.whole(line), first),
        Act::Do(what) => {
            what(world);
            (String::new(), first)
        }
        Act::Answer(typed) => {
            let answered = world.env.shell(command_of(&told.1)).at_a_terminal(typed);
            assert_eq!(answered.code, 0, "{label}: {answered:#?}");
            (String::new(), first)
        }
    };
    let left = world.env.home().join("step");
    let script = format!(
        "{{ {step}\n:; }} >{0} 2>&1 || echo {FAILED} >>{0}\n{1}",
        left.display(),
        quoted(&again)
    );
    let script = match case.then {
        Then::IsDone => format!("{step}\n"),
        _ => script.replace("\n:; }", "\n}").replace("{ \n}", "{ :; }"),
    };
    let now = world.sh(case, &script);
    let log = std::fs::read_to_string(&left).unwrap_or_default();
    let label = format!("{label}\nstep: {}\n{log}\nthen: {now:#?}", told.1);
    assert!(!log.contains(FAILED), "{label}");
    match case.then {
        Then::Succeeds | Then::IsDone => assert_eq!(now.code, 0, "{label}"),
        Then::Says(text) => {
            let text = world.whole(text);
            assert!(now.stdout.contains(&text) || now.stderr.contains(&text), "{label}");
        }
    }
    assert!(!steps(&now).contains(told), "the same again: {label}");
}
