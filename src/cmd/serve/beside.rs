//! What goes on beside the answers of `serve`: the watcher, and that others see this process.

use crate::cli::PlaceArgs;
use crate::cmd::broker::gateway;
use crate::cmd::exchange::{self, Message};
use crate::cmd::hook::caller::Caller;
use crate::cmd::own_program;
use crate::cmd::resident::Presence;
use crate::env::Env;
use crate::error::Result;
use crate::text;
use crate::token::token_command::{TokenCommand, VARIABLE};
use crate::watch::push::Way;
use crate::watch::{self, Homes, Watching};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Between two tries to watch a home that another watcher serves.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What goes on beside the answers.
pub struct Beside {
    watch: Option<Watch>,
    shown: Shown,
}

impl exchange::Beside for Beside {
    fn keep(&mut self) -> Option<Instant> {
        let watch = self.watch.as_mut().and_then(Watch::keep);
        watch.into_iter().chain(self.shown.keep()).min()
    }

    fn stop(&self) {
        if let Some(watch) = &self.watch {
            watch.stop();
        }
    }

    fn answered(&mut self) {
        self.shown.answered();
    }
}

impl Beside {
    /// Shows this process, replaces an older copy of it in the home, and with a sender watches: messages for the owner go
    /// there.
    pub fn new(args: &PlaceArgs, env: &Env, watch: Option<&Sender<Message>>) -> Self {
        match Caller::gateway(args, env).and_then(|caller| own_program::renew(&caller.place)) {
            Ok(Some(done)) => tracing::info!("{done}"),
            Ok(None) => {}
            Err(error) => tracing::warn!("{}", text::one_line(&error.to_string())),
        }
        Self {
            watch: watch.map(|sender| Watch::new(args, env, sender)),
            shown: Shown::new(args, env),
        }
    }
}

/// How this process shows itself to `hook status`. While another one does, the child of a gateway that has just been
/// restarted perhaps, it is tried again from time to time; where it cannot, with the next event.
struct Shown {
    args: PlaceArgs,
    env: Env,
    presence: Option<Presence>,
    pause: Duration,
    next: Option<Instant>,
}

impl Shown {
    fn new(args: &PlaceArgs, env: &Env) -> Self {
        let mut shown = Self {
            args: args.clone(),
            env: env.clone(),
            presence: None,
            pause: FIRST_PAUSE,
            next: None,
        };
        shown.show();
        shown
    }

    fn show(&mut self) {
        self.next = None;
        self.presence = None;
        let Ok(Caller { place, .. }) = Caller::gateway(&self.args, &self.env) else {
            return;
        };
        match Presence::show(&place) {
            Ok(presence) => self.presence = presence,
            Err(()) => {
                self.next = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn keep(&mut self) -> Option<Instant> {
        if self.next.is_some_and(|next| next <= Instant::now()) {
            self.show();
        }
        self.next
    }

    /// After an answer.
    fn answered(&mut self) {
        match &self.presence {
            // The home may be on its way out: whoever removes it finds it empty only if nothing is made in it.
            Some(presence) if !presence.is_seen() => {
                self.presence = None;
                self.next = Some(Instant::now() + FIRST_PAUSE);
            }
            None if self.next.is_none() => self.show(),
            _ => {}
        }
        if let Some(presence) = &mut self.presence {
            presence.answered();
        }
    }
}

/// The watcher inside. Where another one serves the home, it is tried again from time to time: that one may be the
/// child of a gateway that has just been restarted.
struct Watch {
    args: PlaceArgs,
    env: Env,
    sender: Sender<Message>,
    watching: Option<Watching>,
    pause: Duration,
    next: Instant,
}

impl Watch {
    fn new(args: &PlaceArgs, env: &Env, sender: &Sender<Message>) -> Self {
        Self {
            args: args.clone(),
            env: env.clone(),
            sender: sender.clone(),
            watching: None,
            pause: FIRST_PAUSE,
            next: Instant::now(),
        }
    }

    /// Watches, if it does not and it is time; says when to try again.
    fn keep(&mut self) -> Option<Instant> {
        if self.watching.is_none() && self.next <= Instant::now() {
            if gateway::record(&self.args, &self.env).is_some() {
                // The broker renews what it has; there is nothing here. There may be again.
                self.next = Instant::now() + LONGEST_PAUSE;
                return Some(self.next);
            }
            match self.start() {
                Ok(watching) => self.watching = Some(watching),
                Err(error) => {
                    if self.pause == FIRST_PAUSE {
                        tracing::warn!("answering without watching: {}", text::one_line(&error.to_string()));
                    }
                    self.next = Instant::now() + self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.watching.is_none().then_some(self.next)
    }

    fn start(&self) -> Result<Watching> {
        let Caller { place, env, .. } = Caller::gateway(&self.args, &self.env)?;
        let command = env.var(VARIABLE);
        let sender = self.sender.clone();
        watch::start(watch::Options {
            token_command: command
                .map(|text| TokenCommand::parse(text, VARIABLE, env.pairs()))
                .transpose()?,
            push: watch::push::Options {
                way: Way::HandedOver(Arc::new(move |push| drop(sender.send(Message::Push(push))))),
                ..watch::push::Options::default()
            },
            ..watch::Options::new(Homes::Listed(vec![place]), &env)
        })
    }

    /// Tells it to stop; dropping it waits for that.
    fn stop(&self) {
        if let Some(watching) = &self.watching {
            watching.waker().stop();
        }
    }
}
