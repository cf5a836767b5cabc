//! What the watcher of a home writes down of itself, for each status.

use super::{Home, Shared, expiry};
use crate::fs::Inventory;
use crate::mode::Mode;
use crate::process::Process;
use crate::process::child::is_program;
use crate::time;
use crate::watch::log::one_line;
use crate::watch::planner::{LogEvent, Snapshot, Stored};
use crate::watch::renewal::{self, Renewal};
use crate::watch::status::{self, HomeStatus, WatchStatus};

impl Home {
    /// Writes the watcher's status file, where something changed; not into a home that is not as it was `before`. Of a
    /// login beside it the home tells.
    pub(super) fn write_status(&mut self, snapshot: &Snapshot, shared: &mut Shared, before: &Inventory) {
        if self.watcher_lock.is_none() && self.beside().is_none() {
            return;
        }
        let owner = snapshot.owner.as_ref();
        let home = HomeStatus {
            home: self.place.home.clone(),
            config: self.place.config.clone(),
            namespace: owner.map(|owner| owner.namespace.clone()),
            mode: owner.map(|owner| owner.mode.as_str().to_owned()),
            polled: self.polled.is_some(),
            expires_at: expiry(snapshot).map(time::rfc3339),
            next_due_at: self.planned.due.map(|ms| time::rfc3339(ms.div_euclid(1000))),
            renewed_at: self.renewed_at.clone(),
            renewed_by: self.renewed_by(shared),
            last_error: self.memory.trouble().map(str::to_owned),
            notify_error: self.notify_error(),
        };
        if let Some(namespace) = self.beside() {
            let known = shared.beside.insert(namespace.to_owned(), home.clone());
            shared.is_news |= known.as_ref() != Some(&home);
            return;
        }
        let homes: Vec<HomeStatus> = std::iter::once(home).chain(shared.beside.values().cloned()).collect();
        if self.status.as_ref() == Some(&homes) {
            return;
        }
        let me = Process::me();
        let status = WatchStatus {
            pid: me.pid,
            pid_starttime: me.starttime,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            running: true,
            started_at: shared.started_at.clone(),
            updated_at: time::rfc3339(shared.clock.now().wall.div_euclid(1000)),
            homes_served: shared.homes_served,
            takes_back: true,
            homes: homes.clone(),
        };
        match status::write(&self.place, &status, before) {
            Ok(is_there) => self.status = is_there.then_some(homes),
            // The disk is full, for example: what matters has failed before, and is told.
            Err(error) => tracing::debug!(home = %self.place.home.display(), "{}", one_line(error)),
        }
    }

    /// Says once of a token that no secret here signed: that it will not be renewed is better known now than when it is
    /// due.
    pub(super) fn tell_of_the_secret(&mut self, snapshot: &Snapshot, shared: &Shared) {
        let (Some(owner), Some(stored), Stored::Token(token)) =
            (&self.reader.owner, &self.reader.stored, &snapshot.file)
        else {
            return;
        };
        let is_known = self.told_of_secret.replace(token.id) == Some(token.id);
        if is_known || owner.mode.value != Mode::OssLocal || self.memory.trouble().is_some() {
            return;
        }
        if !renewal::is_signed_here(owner, &self.place, &shared.env, stored) {
            let log_in = owner.mode.value.login_command(&owner.namespace.value);
            self.log(&LogEvent::unsigned(&log_in, &snapshot.flags));
        }
    }

    /// What renews the stored token, as things are.
    fn renewed_by(&self, shared: &Shared) -> Option<Renewal> {
        let owner = self.reader.owner.as_ref()?;
        match owner.mode.value {
            Mode::OssLocal => Renewal::signing(owner, &self.place, &shared.env, self.reader.stored.as_ref()?),
            Mode::Managed => {
                let program = shared.token_command.as_ref()?.path()?;
                is_program(&program).then_some(Renewal::Command(program))
            }
        }
    }
}
