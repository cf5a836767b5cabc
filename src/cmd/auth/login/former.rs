//! The file that the token had until now, where a login names another one: no live token is left behind unsaid.

use super::Login;
use crate::cmd::output;
use crate::error::Result;
use crate::fs;
use crate::home::OpenClawHome;
use crate::time;
use crate::token::{claims, store};
use std::path::{Path, PathBuf};

impl Login {
    /// The file of the last login, where it is there and another one, and no other namespace has it by now.
    fn former_file(&self, place: &OpenClawHome) -> Option<PathBuf> {
        let record = self.owner.record.as_ref()?;
        let namespace = &self.owner.namespace.value;
        let former = record.token_file(place, namespace);
        if store::anothers(&former, namespace, place).is_some() {
            return None;
        }
        (real(&former)? != real(&self.owner.token_file).unwrap_or_default()).then_some(former)
    }

    /// The same, where it goes: elsewhere than in our folder something else may use it.
    pub(super) fn goes(&self, place: &OpenClawHome) -> Option<PathBuf> {
        let former = self.former_file(place)?;
        let folder = real(former.parent()?)?;
        folder.starts_with(real(&place.sigilum_dir())?).then_some(former)
    }

    /// Removes it, or tells of a token in it that is in force.
    pub(super) fn leave_no_former_token(&self, place: &OpenClawHome) -> Result<()> {
        let Some(former) = self.former_file(place) else {
            return Ok(());
        };
        if self.goes(place).is_some() {
            fs::remove(&former)?;
            output::note(format_args!("the token's former file is removed: {}", former.display()));
            return Ok(());
        }
        let says = store::read(&former).ok().flatten();
        let says = says.and_then(|token| claims::inspect(&token).ok());
        if says.is_some_and(|says| says.namespace == self.owner.namespace.value && !says.is_expired(time::now())) {
            output::warn(format_args!(
                "the token's former file stays, with a token that has not expired: {}\n  next: if nothing else uses it: {}",
                former.display(),
                fs::removal(&former)
            ));
        }
        Ok(())
    }
}

fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}
