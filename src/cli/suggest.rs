//! What may have been meant by a command that there is not.

use super::Cli;
use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Of a command that stands in groups alone, each whole: `auth logout` for `logout`, which clap would take for `login`.
pub(super) fn in_groups(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        // To have a flag taken for an id, or another value, is what nobody means.
        error.insert(ContextKind::Suggested, ContextValue::None);
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let word = word.clone();
    let mut all = Cli::command();
    all.build();
    let groups = all.get_subcommands().filter(|group| group.get_name() != "help");
    let holders = groups.filter(|group| {
        group
            .get_subcommands()
            .any(|command| command.get_name() == word.as_str())
    });
    let whole: Vec<String> = holders.map(|group| format!("{} {word}", group.get_name())).collect();
    if !whole.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(whole));
    }
    error
}
