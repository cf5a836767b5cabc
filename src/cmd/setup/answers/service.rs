//! Whether the watcher runs as a service.

use super::{Collector, Login, Unit};
use crate::cmd::output;
use crate::cmd::setup::question::{Question, spelled, yes_or_no};
use crate::cmd::watch::unit;
use crate::error::Result;
use crate::mode::Mode;
use crate::openclaw::hook_files::Kind;

impl Collector<'_> {
    pub(super) fn unit(&self, kind: Kind, login: Option<&Login>) -> Result<Unit> {
        let is_there = unit::of_home(self.place, self.env).is_some();
        let mode = login.map(|login| login.mode).or_else(|| self.known_mode());
        let renews = mode != Some(Mode::Managed) || self.args.token_command.is_some();
        // The plugin's own program renews while the OpenClaw gateway runs.
        let default = is_there || (renews && kind == Kind::Hook && unit::has_manager(self.env));
        let text = match renews {
            true => "Renew tokens by a service of yours, whether OpenClaw runs or not?",
            false => {
                "Run a service of yours, which without --token-command renews no token of the hosted Sigilum, and only \
                 warns before one ends?"
            }
        };
        let wanted = match self.args.unit {
            Some(wanted) => wanted,
            None => self.asking.answer(&Question {
                text,
                flag: "--unit true, or --unit false",
                default: Some(spelled(default)),
                parse: &yes_or_no,
            })?,
        };
        Ok(match wanted {
            true => Unit::Install,
            false => self.no_unit(),
        })
    }

    /// Where no service is wanted: one that serves other homes too stays.
    pub(super) fn no_unit(&self) -> Unit {
        match unit::of_home(self.place, self.env) {
            Some((_, true)) => Unit::Remove,
            Some((unit, false)) => {
                output::note(format_args!(
                    "the service stays, as it is for other homes too: {}",
                    unit.display()
                ));
                Unit::None
            }
            None => Unit::None,
        }
    }
}
