//! The engine behind `sigilum-authz-notify`.
//!
//! One thing flows through: the **owner token**, from where it is made into its file, from its file into OpenClaw's
//! config, from there into the hook, and with it a question to the Sigilum API, whose answer becomes a notice.
//! [`cli`] says what a person may ask, [`settings`] what is in force, [`cmd`] and [`watch`] join the parts, with
//! [`local_token`] for what both do: [`token`], [`openclaw`] and [`sigilum`] know nothing of each other. Only [`env`](mod@env)
//! reads the environment, only [`fs`] writes files, only [`process`] starts programs.

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

pub mod cmd;
pub mod watch;

pub mod local_token;
pub mod settings;

pub mod hook;
pub mod openclaw;
pub mod sigilum;
pub mod token;

pub mod env;
pub mod error;
pub mod fs;
pub mod home;
pub mod mode;
pub mod process;
pub mod request;
pub mod text;
pub mod time;
