//! The engine behind `sigilum-authz-notify`.
//!
//! One thing flows through: the **owner token**, from where it is made into its file, and from there with a question to
//! the Sigilum API that the owner chose, whose answer becomes a notice, and the owner's answer to that a decision.
//!
//! ```text
//! cmd           one file a command: read settings, call the parts, print
//! cli           every flag, default and help text
//! broker        what a broker and those who ask it say over its socket, and to whom
//! watch         renews tokens before they expire, keeps openclaw.json up to date, takes back approvals whose time is over,
//!               tells the owner of requests at once
//! authz         one decision of the owner from its intent to its result, the log of all, approvals that end
//! owner_token   which token is sent to which API, or why none
//! token_check   what the API says of a token or a secret, for the commands and the watcher
//! local_token   a token signed here, for the same
//! settings      what is in force, and who wins among flags, environment and records
//! token · openclaw · sigilum · hook         know nothing of each other
//! json5_edit    edits of JSON5 text, in crates/: a library of its own that knows nothing of all this
//! env · error · fs · home · hook_record · mode · origin · process · request · text · time         the ground
//! ```
//!
//! A room knows the ground and rooms below it, never one above it. Only [`env`](mod@env) reads the environment, only
//! [`fs`] writes files, only [`process`] starts programs. `tests/suite/architecture.rs` holds the code to that.
//!
//! A module is `x.rs` beside `x/`. A file's `use` lines are one block (re-exports another, before it), in the order of
//! rustfmt, which puts what is ours first. Unit tests stand at the end of their file, or in `x/tests.rs`.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::dbg_macro
    )
)]

pub mod cli;

pub mod broker;
pub mod cmd;
pub mod watch;

pub mod authz;

pub mod local_token;
pub mod owner_token;
pub mod settings;
pub mod token_check;

pub mod hook;
pub mod openclaw;
pub mod sigilum;
pub mod token;

pub mod env;
pub mod error;
pub mod fs;
pub mod home;
pub mod hook_record;
pub mod mode;
pub mod origin;
pub mod process;
pub mod request;
pub mod text;
pub mod time;
