//! Every test of the binary and the library, in one crate: it links once.
//! `cargo test --test suite hook_run` runs those of one file.

#[path = "../env/mod.rs"]
mod env;

mod another_user;
mod architecture;
mod auth_check;
mod auth_checkout;
mod auth_login;
mod auth_status;
mod authority;
mod authz;
mod config_edit;
mod config_include;
mod config_kill;
mod config_property;
mod config_undo;
mod docs;
mod doctor;
mod entry;
mod folders;
mod fs;
mod fuzz_replay;
mod homes;
mod hook_choice;
mod hook_install;
mod hook_run;
mod hook_status;
mod hook_uninstall;
mod includes;
mod local_db;
mod local_services;
mod lock;
mod manual;
mod notice;
mod paste;
mod selection;
mod serve;
mod service_add;
mod service_flags;
mod service_gateway;
mod service_list;
mod service_many;
mod service_remove;
mod service_rotate;
mod service_secret;
mod service_stopped;
mod settings;
mod terminal;
mod uninstalled;
mod waiting;
mod watch;
mod watch_events;
mod watch_plan;
mod watch_process;
mod wire;
