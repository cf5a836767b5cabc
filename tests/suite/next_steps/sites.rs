//! The list: each place in `src/` that gives a next step, and who tries it.

/// Who carries a step out.
pub enum By {
    /// A case beside this file.
    Case(&'static str),
    /// Another test of this crate, by its function.
    Test(&'static str),
    /// An experiment of `tests/proof`, which goes on as the step says after each such fault.
    Proof(&'static str),
    /// Nobody but a person, or the machine itself: why.
    Person(&'static str),
}

/// A module, or with `::` at the end all in its folder; how the code begins after the sign; who tries the step.
pub struct Site(pub &'static str, pub &'static str, pub By);

use By::{Case, Person, Proof, Test};

pub const SITES: &[Site] = &[
    Site(
        "cmd::owner",
        r#""add --namespace, and yours"#,
        Test("a_guessed_namespace_is_asked_for_at_a_terminal_and_told_elsewhere"),
    ),
    Site(
        "cmd::owner",
        "log_in + flags",
        Test("a_user_name_that_is_no_namespace_is_no_guess"),
    ),
    // auth
    Site(
        "cmd::auth::login::former",
        "if nothing else uses it",
        Test("no_live_token_is_left_behind_unsaid"),
    ),
    Site(
        "cmd::auth::logout",
        "sigilum-authz-notify auth logout --namespace",
        Test("a_logout_names_another_config_that_holds_the_token"),
    ),
    Site(
        "cmd",
        r#"format!("unset {name}; or set it to text"#,
        Test("a_variable_that_is_no_text_is_refused"),
    ),
    Site(
        "cmd::authz::decide",
        r#""run the command again for the rest"#,
        Test("more_than_could_be_read_is_not_all"),
    ),
    Site(
        "cmd::authz::decide",
        r#""add --yes; or look"#,
        Test("which_request_is_meant"),
    ),
    Site(
        "fs::own_lock",
        r#"format!("name the OpenClaw home"#,
        Test("where_no_home_can_be_made_nobody_is_named_to_whom_it_belongs"),
    ),
    Site(
        "openclaw::config::file",
        r#"format!("name the file in it"#,
        Test("a_folder_in_the_place_of_a_config_is_told"),
    ),
    Site(
        "openclaw::config::file",
        r#""name a file, not a folder"#,
        Test("a_folder_in_the_place_of_a_config_is_told"),
    ),
    Site(
        "cmd::auth::accept",
        r#"format!("{how}; to store"#,
        Case("a token that the API refuses"),
    ),
    Site(
        "cmd::auth::accept",
        r#"format!("{}; to store the new one"#,
        Case("refresh without an answer"),
    ),
    Site(
        "cmd::auth::accept",
        r#"format!("name the Sigilum checkout"#,
        Case("a secret that is not the API's"),
    ),
    Site(
        "cmd::auth::login::told",
        r#"format!("add --api-url <url>"#,
        Case("a token given beside a damaged record"),
    ),
    Site(
        "cmd::auth::accept",
        "context::login_command(owner, place",
        Test("a_first_login_is_at_the_api_that_the_hooks_one_has"),
    ),
    Site(
        "cmd::auth::accept",
        "source::HOW_TO_GET_ONE",
        Case("login without a token"),
    ),
    Site(
        "cmd::auth::login::given",
        r#"format!("store this one with"#,
        Case("refresh with a token"),
    ),
    Site(
        "cmd::auth::login::given",
        r#"format!("{without}, and run the command"#,
        Test("a_token_that_is_none_is_to_be_left_out_where_one_is_signed_here"),
    ),
    Site(
        "cmd::auth::login::given",
        r#""leave out --owner-token"#,
        Case("two tokens"),
    ),
    Site("cmd::auth::show", "renew)", Case("no token of the hosted Sigilum")),
    Site("cmd::auth::show", "{}\", renew()", Case("an expired token")),
    Site(
        "cmd::auth::switch",
        r#"format!("sigilum-authz-notify auth switch"#,
        Case("switch to what is no namespace"),
    ),
    Site("cmd::auth::switch", "mode.login_command", Case("switch to a stranger")),
    Site(
        "cmd::auth::switch",
        r#"format!("sigilum-authz-notify hook install --namespace"#,
        Test("a_switch_takes_nobodys_readers_over"),
    ),
    Site(
        "cmd::auth::switch",
        "{}\", context::login_command",
        Case("switch to a namespace without a token"),
    ),
    Site(
        "cmd::context",
        "{}\", why.next()",
        Test("a_patch_that_a_person_applied_is_asked_for_no_more"),
    ),
    Site(
        "settings",
        "self.mode.value.login_command",
        Case("a token that is not UTF-8"),
    ),
    Site("settings", "store::anew(", Case("a token file of two names")),
    Site(
        "settings",
        r#"origin.mend("--api-url""#,
        Test("each_wrong_value_is_blamed_on_what_held_it"),
    ),
    Site(
        "settings",
        r#"origin.mend("--mode""#,
        Test("each_wrong_value_is_blamed_on_what_held_it"),
    ),
    Site(
        "cmd::auth::login",
        r#""leave out --token-only"#,
        Case("printed, and not printed"),
    ),
    Site("settings", "step)", Test("each_wrong_value_is_blamed_on_what_held_it")),
    Site(
        "origin",
        r#"format!("unset {name}"#,
        Test("each_wrong_value_is_blamed_on_what_held_it"),
    ),
    Site(
        "origin",
        r#"format!("{step}; {what}"#,
        Test("a_checkout_that_only_the_record_names_is_told_with_its_origin"),
    ),
    Site(
        "settings::namespace",
        r#""add --namespace johndee"#,
        Case("no namespace"),
    ),
    Site(
        "settings::namespace",
        "hook_record::install_anew(",
        Case("a hook's namespace that is none"),
    ),
    Site(
        "settings::namespace",
        r#"format!("add --namespace {}"#,
        Case("a guess beside what is stored"),
    ),
    Site(
        "settings::namespace",
        r#"namespace.origin.mend("#,
        Test("each_wrong_value_is_blamed_on_what_held_it"),
    ),
    Site("token::record", r#"format!("rm {} && {}"#, Case("a damaged record")),
    Site("fs", "anew(path)", Case("a record that others may write to")),
    Site(
        "token::record",
        r#"format!("the home's owner runs"#,
        Test("what_the_homes_owner_is_to_run_mends_it_for_root"),
    ),
    Site("token::source", "next)", Case("login with something else")),
    Site("token::source", "HOW_TO_GET_ONE", Case("login with an expired token")),
    Site(
        "token::source",
        r#"format!("give --namespace {other}"#,
        Case("login with another's token"),
    ),
    Site(
        "cmd::auth::login::report",
        "name the",
        Test("a_secret_that_nobody_keeps_is_told_once"),
    ),
    Site(
        "token::store",
        r#""name another file with --token-file"#,
        Case("a token file that holds something else"),
    ),
    Site(
        "token::store",
        r#""name a file of its own with --token-file"#,
        Test("a_token_file_with_the_token_of_another_namespace_is_kept"),
    ),
    Site(
        "token::token_command",
        r#""write it as in a shell"#,
        Case("a token command with an open quote"),
    ),
    Site(
        "token::token_command",
        "self.sign.map_or_else(",
        Test("what_a_token_command_prints_is_checked"),
    ),
    Site(
        "local_token",
        r#""unset JWT_SECRET"#,
        Test("what_only_stands_for_a_secret_signs_nothing"),
    ),
    Site("local_token", "self.how_to_tell", Case("a database without its secret")),
    // homes, folders and files
    Site(
        "fs",
        r#"format!("look at it, then remove it: {}", removal(path))"#,
        Case("a secret of two names"),
    ),
    Site(
        "fs",
        r#"format!("look at it, then remove it: rm {}", quoted(parent))"#,
        Case("a folder of ours that is a link"),
    ),
    Site(
        "fs",
        r#""give a path without .. in it"#,
        Case("a token file without a name"),
    ),
    Site(
        "fs",
        r#"format!("look at whose it is"#,
        Test("no_link_is_followed_and_only_a_token_is_taken"),
    ),
    Site("fs::failure", "step)", Case("a home that is a link to nothing")),
    Site("fs::append", "step)", Test("a_log_that_cannot_be_written_to")),
    Site(
        "authz::decide",
        r#"format!("{}; {then}""#,
        Test("a_decision_that_is_made_is_not_to_be_made_again"),
    ),
    Site(
        "fs::another_user",
        r#"format!("look at where it leads"#,
        Test("root_writes_through_no_link_of_the_users"),
    ),
    Site(
        "fs::backups",
        r#"format!("remove what you need no more"#,
        Case("a hundred copies of one file"),
    ),
    Site("fs::own_lock", "step)", Test("a_mode_of_ones_own_is_named")),
    Site("fs", "rm {step}", Test("a_logout_tells_of_the_tokens_that_it_leaves")),
    Site(
        "fs",
        "find it, and remove it: find",
        Test("a_logout_tells_of_the_tokens_that_it_leaves"),
    ),
    Site(
        "fs::own_lock",
        r#""wait for the other command"#,
        Test("our_lock_is_free_once_the_other_command_has_ended"),
    ),
    Site("fs::trust", "self.next", Case("a home for everybody")),
    Site("home::older", "next)", Case("an older home")),
    Site("home", r#""give the folder with --openclaw-home") })"#, Case("no HOME")),
    Site("home", "step)", Case("a profile that is none")),
    Site(
        "home",
        r#""write $HOME"#,
        Test("a_tilde_that_the_shell_left_makes_no_folder"),
    ),
    Site(
        "home",
        r#""give the path that it stands for"#,
        Test("a_tilde_that_the_shell_left_makes_no_folder"),
    ),
    Site(
        "home",
        r#""rename what is on the way to it"#,
        Test("a_home_whose_name_is_no_text_is_one_once_it_is_renamed"),
    ),
    Site(
        "home",
        r#""name the OpenClaw home"#,
        Test("in_a_brokers_folder_and_beside_it_each_command_says_what_it_is"),
    ),
    // the hook, its files and the config
    Site(
        "cmd::hook::caller",
        r#""give it in milliseconds"#,
        Case("a time limit that is none"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#""give it as --notify"#,
        Case("a chat that is none"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#"origin.mend("--dashboard""#,
        Case("a dashboard that is none"),
    ),
    Site(
        "cmd::hook::install_choices",
        "next)) } fn ca_file",
        Case("a proxy that is none"),
    ),
    Site(
        "cmd::hook::install_choices",
        "next)) } fn on_its_channel",
        Test("hook_install_records_who_decides_in_the_chat"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#""give it as --deciders"#,
        Case("a decider without a channel"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#"format!("export {LIMIT}"#,
        Case("a limit to record that is none"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#"format!("export {GROUPS}"#,
        Case("groups to record that are none"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#"format!("unset {name}")"#,
        Case("a variable to record that has no value"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#""give a file of PEM"#,
        Case("certificates that are none"),
    ),
    Site(
        "cmd::hook::install_choices",
        r#""run it in a terminal of your own"#,
        Case("an agent's shell"),
    ),
    Site(
        "cmd::hook::run",
        r#""give --event command:new"#,
        Case("an event that is none"),
    ),
    Site("cmd::hook::run", r#""give it a JSON object"#, Case("no event")),
    Site(
        "cmd::setup",
        r#""add --yes"#,
        Test("without_a_terminal_a_missing_answer_is_a_usage_error"),
    ),
    Site(
        "cmd::setup::question",
        r#"format!("add {}", self.flag"#,
        Test("without_a_terminal_a_missing_answer_is_a_usage_error"),
    ),
    Site(
        "cmd::setup::answers",
        "next)",
        Test("without_a_terminal_a_missing_answer_is_a_usage_error"),
    ),
    Site(
        "cmd::watch::check",
        "first)",
        Test("where_nobody_is_logged_in_the_probes_step_is_the_login"),
    ),
    Site(
        "cmd::watch::check",
        "how_to_watch(args",
        Test("a_probe_tells_a_watcher_that_lives_from_none"),
    ),
    Site(
        "cmd::watch::check",
        r#""sigilum-authz-notify doctor"#,
        Test("in_a_brokers_folder_and_beside_it_each_command_says_what_it_is"),
    ),
    Site(
        "cmd::watch",
        r#""sigilum-authz-notify doctor"#,
        Test("in_a_brokers_folder_and_beside_it_each_command_says_what_it_is"),
    ),
    Site(
        "cmd::watch",
        r#""openclaw onboard; or name"#,
        Test("a_look_at_a_home_that_is_not_there_fails"),
    ),
    Site(
        "cmd::watch::unit",
        "{}\", service_unit::line(",
        Test("what_is_said_beside_a_unit_is_carried_out"),
    ),
    Site(
        "cmd::watch::unit",
        "{}\", start(",
        Test("what_is_said_beside_a_unit_is_carried_out"),
    ),
    Site(
        "cmd::watch::unit",
        "{}\", stop(",
        Test("what_is_said_beside_a_unit_is_carried_out"),
    ),
    Site(
        "cmd::watch::unit",
        r#"format!("{} && {}; the other"#,
        Test("a_unit_that_serves_another_home_is_not_replaced"),
    ),
    Site(
        "cmd::watch::unit",
        "how_to_remove(",
        Test("a_unit_that_serves_another_home_is_not_removed"),
    ),
    Site(
        "cmd::watch::unit",
        r#"format!("{}; one service"#,
        Test("a_unit_that_serves_another_home_is_not_replaced"),
    ),
    Site(
        "cmd::watch::check",
        r#""sigilum-authz-notify auth status"#,
        Test("what_is_overdue_is_told_with_its_own_exit_code"),
    ),
    Site(
        "cmd::watch::check",
        "timed_approvals::how_to_take_back(",
        Test("what_is_overdue_is_told_with_its_own_exit_code"),
    ),
    Site(
        "cmd::watch::manager",
        r#"format!("journalctl"#,
        Test("a_service_that_does_not_come_up_is_an_error_with_its_log"),
    ),
    Site(
        "openclaw::config",
        "CORRECT_IT",
        Case("a config that includes elsewhere what is not there"),
    ),
    Site(
        "sigilum::checkout",
        r#""name the API's database with"#,
        Case("a checkout that names no database"),
    ),
    Site(
        "cmd::hook::uninstall",
        r#"format!("add {named}, or --force"#,
        Case("another config"),
    ),
    Site(
        "cmd::hook::uninstall",
        "step)",
        Test("why_our_part_stays_in_another_config_is_told"),
    ),
    Site(
        "cmd::hook::uninstall",
        "{step}",
        Test("what_openclaw_installed_is_openclaws_to_remove"),
    ),
    Site(
        "cmd::hook::uninstall::purge",
        "then_again(step",
        Test("no_file_keeps_the_tokens_from_going"),
    ),
    Site(
        "cmd::hook::uninstall::purge",
        "look at it, then remove it",
        Test("no_file_keeps_the_tokens_from_going"),
    ),
    Site(
        "cmd::hook::uninstall::purge",
        "{}; or stop its service",
        Case("a watcher of a home that goes"),
    ),
    Site(
        "hook_record",
        "install_anew(path)",
        Case("a damaged record of the hook"),
    ),
    Site(
        "fs",
        "anew(path)",
        Case("a record of the hook that others may write to"),
    ),
    Site(
        "openclaw::config",
        r#""end that program"#,
        Test("a_config_that_keeps_changing_is_written_once_that_ends"),
    ),
    Site("openclaw::config::commit", r#""look at the disk"#, Proof("faults")),
    Site(
        "openclaw::config::file",
        r#""run the command again"#,
        Test("a_config_that_keeps_changing_is_written_once_that_ends"),
    ),
    Site(
        "openclaw::config::file",
        r#""put into one of the two"#,
        Test("a_key_that_stands_twice_is_refused_with_its_place"),
    ),
    Site(
        "openclaw::config::file",
        "CORRECT_IT),",
        Case("a config that is longer than any"),
    ),
    Site(
        "openclaw::config::file",
        "CORRECT_IT) }",
        Case("a config that does not parse"),
    ),
    Site(
        "openclaw::config::file",
        r#""give a path without"#,
        Case("a config whose name is no file's"),
    ),
    Site(
        "openclaw::config::file",
        r#"format!("it is a symbolic link to {}"#,
        Case("a config that links to what cannot be seen"),
    ),
    Site(
        "openclaw::config::file",
        r#""run the command as the user"#,
        Test("a_link_of_the_users_to_roots_config_is_that_users_to_follow"),
    ),
    Site(
        "openclaw::config::included",
        "CORRECT_IT",
        Case("a config that includes a file that is not there"),
    ),
    Site(
        "openclaw::config::plan",
        r#""add --force; or"#,
        Case("a config that would shrink below half"),
    ),
    Site(
        "openclaw::config::secret",
        "",
        Person("no command comes to this: each asks first"),
    ),
    Site(
        "openclaw::config::seen",
        r#""let it lead"#,
        Test("what_we_keep_is_never_edited_as_a_config"),
    ),
    Site(
        "openclaw::config::seen",
        "CORRECT_IT",
        Case("a config that includes what stands for no object"),
    ),
    Site("openclaw::shape", "CORRECT_IT", Case("a config of another shape")),
    Site(
        "openclaw::hook_files",
        r#""look at them, then run"#,
        Case("changed files"),
    ),
    Site(
        "openclaw::hook_files::folders",
        r#"format!("remove the link"#,
        Case("a linked folder"),
    ),
    Site(
        "openclaw::hook_files::folders",
        r#"format!("move it away"#,
        Case("a file in place of the folder"),
    ),
    Site("openclaw::hook_files::manifest", "step)", Case("a damaged list")),
    Site(
        "openclaw::lock",
        r#"format!("wait for it to end"#,
        Test("a_busy_lock_is_free_once_its_holder_is_done"),
    ),
    Site(
        "openclaw::lock",
        r#""run the command again"#,
        Test("a_busy_lock_is_free_once_its_holder_is_done"),
    ),
    Site(
        "openclaw::lock",
        r#"format!("if no OpenClaw command is running: rm -r"#,
        Test("what_is_found_is_taken_over_or_waited_for"),
    ),
    Site(
        "openclaw::lock",
        r#"format!("if no OpenClaw command is running: {command}"#,
        Test("a_guard_of_a_dead_run_of_ours_goes_and_any_other_stays"),
    ),
    Site("openclaw::selection", "", Case("other hooks that would run")),
    // the watcher
    Site(
        "cmd::watch",
        r#""leave it out for a third"#,
        Case("a renewal that is none"),
    ),
    Site(
        "watch::actions",
        "HOW_TO_TRY",
        Test("what_a_token_command_prints_is_checked"),
    ),
    Site(
        "watch::actions",
        "step)",
        Test("what_a_token_command_prints_is_checked"),
    ),
    Site(
        "watch::actions",
        r#""see that the API can be reached"#,
        Test("a_token_in_force_is_replaced_only_by_one_that_the_api_accepts"),
    ),
    Site(
        "watch::actions",
        r#""set JWT_SECRET"#,
        Case("a token that is due, and no secret"),
    ),
    Site(
        "watch::actions",
        r#""put the local API's own secret"#,
        Case("a token that is due, and another secret"),
    ),
    Site(
        "watch::actions",
        r#"format!("{log_in}{} --token-file"#,
        Test("the_token_of_another_namespace_in_a_shared_file_is_kept"),
    ),
    Site(
        "watch::actions",
        "log_in))?",
        Case("a renewal without the API's secret"),
    ),
    Site(
        "watch::actions",
        "step(&secret)))",
        Test("a_lost_token_is_signed_as_the_record_says_whatever_the_environment_does"),
    ),
    Site(
        "watch::actions",
        "why.how_to_leave_it()",
        Test("a_watcher_that_no_edit_helps_says_what_does"),
    ),
    Site("watch::log", r#""export RUST_LOG=info"#, Case("a filter that is none")),
    Site(
        "watch::watcher_lock",
        r#"format!("{end}; or leave"#,
        Case("another watcher"),
    ),
    Site(
        "watch::watcher_lock",
        r#"format!("leave the home to it"#,
        Test("every_text_knows_that_it_is_the_plugin"),
    ),
    // doctor
    Site(
        "cmd::doctor::fix",
        "",
        Test("a_fix_of_another_users_home_is_that_users_to_run"),
    ),
    Site(
        "cmd::doctor",
        r#""fix", error, "#,
        Test("what_a_fix_could_not_do_is_told_and_the_rest_is_done"),
    ),
    Site(
        "cmd::doctor::checks::config",
        "name, error, validate)",
        Test("config_and_entry"),
    ),
    Site(
        "cmd::doctor::checks::config",
        r#"name, text, "openclaw onboard""#,
        Test("a_home_that_no_openclaw_set_up"),
    ),
    Site(
        "cmd::doctor::checks::config",
        "name, &hidden, ",
        Test("an_older_home_that_a_new_one_would_hide_is_named"),
    ),
    Site("cmd::doctor::checks::config", "name, text, ", Test("config_and_entry")),
    Site(
        "cmd::timed_approvals",
        "{step}",
        Test("who_takes_the_token_away_is_told_what_stays_approved"),
    ),
    Site(
        "cmd::doctor::checks::approvals",
        "",
        Test("approvals_that_nobody_ends_are_found"),
    ),
    Site("cmd::doctor::checks::entry", "", Test("config_and_entry")),
    Site("cmd::doctor::checks::files", "", Test("what_openclaw_loads_and_starts")),
    Site(
        "cmd::doctor::checks::home",
        r#"name, text, "openclaw onboard""#,
        Test("a_fresh_home"),
    ),
    Site("cmd::doctor::checks::home", "", Test("home_and_files")),
    Site(
        "cmd::doctor::checks::recorded",
        "",
        Test("what_is_recorded_of_the_network_and_of_whom_to_tell"),
    ),
    Site(
        "cmd::doctor::checks::services",
        "",
        Test("tokens_and_what_stands_beside"),
    ),
    Site(
        "cmd::doctor::checks::token",
        "name, text, SET_CLOCK",
        Test("tokens_and_what_stands_beside"),
    ),
    Site("cmd::doctor::checks::token", "", Test("tokens_and_what_stands_beside")),
    // services, the local database and the Sigilum gateway
    Site(
        "cmd::service::acts",
        r#""give the secret"#,
        Case("secrets that would be lost"),
    ),
    Site(
        "cmd::service::add",
        "options::rotate_key",
        Test("a_native_services_old_keys_stay_until_the_rotation_is_finished"),
    ),
    Site(
        "cmd::service::connection",
        r#"format!("look at it, then move it away"#,
        Case("a damaged journal"),
    ),
    Site(
        "cmd::service::connection",
        r#""add --upstream-base-url"#,
        Case("no upstream"),
    ),
    Site(
        "cmd::service::connection",
        r#""use --auth-mode"#,
        Case("a bearer without a prefix"),
    ),
    Site(
        "cmd::service::connection",
        r#"format!("give the secret too"#,
        Case("another key, and no secret for it"),
    ),
    Site(
        "cmd::service::connection",
        r#""name the auth mode"#,
        Case("an auth mode that nobody knows"),
    ),
    Site(
        "cmd::service::connection",
        r#""add --upstream-secret-key"#,
        Case("a secret for a connection without a key"),
    ),
    Site("cmd::service::options", "next)", Case("a slug that is none")),
    Site("cmd::service::options", "ADD_HELP", Case("an upstream that is none")),
    Site(
        "cmd::service::options",
        r#""add --upstream-base-url"#,
        Case("no upstream"),
    ),
    Site(
        "cmd::service::options",
        r#""add --mode gateway"#,
        Case("a native service with an upstream"),
    ),
    Site(
        "cmd::service::upstream_secret",
        r#""set it (the flag"#,
        Case("a variable that is not set"),
    ),
    Site(
        "cmd::service::upstream_secret",
        r#""give one of"#,
        Case("a secret given twice"),
    ),
    Site(
        "cmd::service::upstream_secret",
        r#""give it in one line"#,
        Test("what_a_paste_or_a_file_leaves_around_a_secret_is_left_out_and_told"),
    ),
    Site(
        "cmd::service::upstream_secret",
        r#""give it with"#,
        Case("an empty secret"),
    ),
    Site(
        "cmd::service::remove",
        r#""add --yes"#,
        Case("removed without a terminal"),
    ),
    Site(
        "cmd::service::remove",
        r#""sigilum-authz-notify service list"#,
        Case("removed, and not there"),
    ),
    Site(
        "cmd::service::report",
        r#""choose another --service-slug"#,
        Case("a slug that another has"),
    ),
    Site(
        "cmd::service::report",
        r#"format!("if that service is meant"#,
        Test("a_slug_that_is_another_namespaces_is_set_with_that_namespace"),
    ),
    Site(
        "cmd::service::rotate_key",
        r#"format!("sigilum-authz-notify service add"#,
        Case("a new key, and no service"),
    ),
    Site(
        "cmd::service::rotate_key",
        "self.command",
        Case("an end of no rotation"),
    ),
    Site(
        "cmd::service::rotate_key",
        r#""start the Sigilum gateway"#,
        Case("a new key while the gateway is stopped"),
    ),
    Site(
        "cmd::service::rotate_key",
        r#""sigilum-authz-notify service list"#,
        Test("a_rotation_that_another_command_finished_is_told_with_where_to_look"),
    ),
    Site("cmd::service::secret_set", r#""add one of"#, Case("no secret")),
    Site(
        "cmd::service::secret_set",
        "why)",
        Case("a connection without its secret"),
    ),
    Site(
        "cmd::service::secret_set",
        r#"format!("a new API key for it"#,
        Case("a secret of a native service"),
    ),
    Site(
        "cmd::service::secret_set",
        "options::add_connection",
        Case("a secret of no connection"),
    ),
    Site("cmd::service::site", r#""give --source-home"#, Case("no database")),
    Site(
        "cmd::service::site",
        "match error.step()",
        Test("whatever_goes_wrong_at_a_request_the_same_command_again_finishes_the_job"),
    ),
    Site("sigilum::checkout", r#""name one that is there"#, Case("no checkout")),
    Site(
        "sigilum::checkout",
        r#""give the folder"#,
        Case("a folder that is no checkout"),
    ),
    Site(
        "sigilum::checkout",
        r#"format!("see whether the checkout is whole"#,
        Case("a checkout that is not whole"),
    ),
    Site("sigilum::checkout", "next)", Case("a checkout for everybody")),
    Site(
        "sigilum::gateway",
        r#""start the Sigilum gateway"#,
        Case("a gateway that does not run"),
    ),
    Site(
        "sigilum::gateway",
        r#""see that it is the right gateway"#,
        Case("a connection that cannot be one"),
    ),
    Site("sigilum::local_db", "next)", Case("a database that is gone")),
    Site(
        "settings::namespace",
        r#""unset SIGILUM_CONFIG_FILE"#,
        Case("a config of Sigilum's that is not there"),
    ),
    Site("sigilum::secrets", "", Case("a key that is none")),
    Site(
        "sigilum::gateway::admin",
        "origin.mend(",
        Test("each_wrong_value_is_blamed_on_what_held_it"),
    ),
    Site(
        "sigilum::gateway::admin",
        "match why",
        Test("a_gateway_of_another_user_gets_neither_admin_token_nor_secret_unless_a_login_said_so"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""run the same command again"#,
        Case("a connection that somebody makes at the same moment"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""see that --gateway-admin-url"#,
        Case("an admin address of something else"),
    ),
    Site(
        "sigilum::gateway::admin",
        "next)",
        Case("a gateway that wants an admin token"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""start the gateway with"#,
        Case("a gateway with another master key"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""set the secret"#,
        Case("a key that the gateway wants first"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""fix the rejected value"#,
        Case("a value that the gateway refuses"),
    ),
    Site(
        "sigilum::gateway::admin",
        r#""look into the Sigilum gateway's log"#,
        Test("whatever_goes_wrong_at_a_request_the_same_command_again_finishes_the_job"),
    ),
    Site(
        "sigilum::gateway::cli",
        r#""start the Sigilum gateway"#,
        Test("an_mcp_connection_moves_once_the_gateway_runs"),
    ),
    Site(
        "sigilum::gateway::cli",
        "THE_RIGHT_CLI",
        Case("a CLI that is another program"),
    ),
    Site(
        "sigilum::gateway::cli",
        r#""give its admin API's address"#,
        Case("a store that is in use"),
    ),
    Site(
        "sigilum::gateway::cli",
        r#""set GATEWAY_MASTER_KEY"#,
        Case("a store of another master key"),
    ),
    Site(
        "sigilum::gateway::cli",
        r#""run the same command again"#,
        Case("a connection that the store has by now"),
    ),
    Site(
        "sigilum::gateway::cli",
        r#""give one with"#,
        Case("a store that asks for a secret"),
    ),
    // requests and what is decided about them
    Site(
        "authz::timed",
        r#"format!("rm {} && "#,
        Case("a damaged list of approvals"),
    ),
    Site(
        "cmd::authz::asked",
        r#""run the command in a terminal"#,
        Case("a decision in an agent's shell"),
    ),
    Site(
        "cmd::authz::asked",
        "self.command(self.time, true)",
        Case("a decision without a terminal"),
    ),
    Site("cmd::authz::asked", "match no_end", Case("an end that nobody keeps")),
    Site("cmd::authz::failure", "next)", Case("an API that refuses the token")),
    Site(
        "cmd::authz::failure",
        r#"self.command(&format!("authz show"#,
        Case("a request that is decided"),
    ),
    Site(
        "cmd::authz::failure",
        r#"self.command("authz list --status all"#,
        Case("a request that is gone meanwhile"),
    ),
    Site(
        "cmd::authz::failure",
        r#"format!("decide it in the dashboard"#,
        Case("a decision that the hosted API wants a passkey for"),
    ),
    Site(
        "cmd::authz::failure",
        r#"self.command("authz list --status approved"#,
        Case("a limit without an approval"),
    ),
    Site(
        "cmd::authz::failure",
        r#"self.command(&format!("authz revoke"#,
        Case("a limit with an approval"),
    ),
    Site(
        "cmd::authz::site",
        "context::login_command",
        Case("requests without a token"),
    ),
    Site(
        "cmd::authz::log",
        "look at it: sed",
        Test("lines_of_the_log_that_cannot_be_read_are_told"),
    ),
    Site(
        "cmd::authz::site",
        r#"self.command("doctor"#,
        Test("requests_that_the_api_counts_and_does_not_list_are_not_nothing"),
    ),
    Site(
        "cmd::authz::site",
        r#""give whole ids"#,
        Test("more_than_could_be_read_is_not_all"),
    ),
    Site(
        "cmd::authz::site",
        r#"self.command("auth status"#,
        Case("a request of another namespace"),
    ),
    Site(
        "cmd::authz::target",
        r#"site.command("authz list --status all"#,
        Case("an id that is none"),
    ),
    Site(
        "cmd::authz::target",
        r#""give the whole id""#,
        Case("an id of two requests"),
    ),
    Site(
        "watch::take_back",
        "log_in(approval, mode",
        Case("an approval that nobody can take back"),
    ),
    // broker
    Site(
        "cmd::broker::unit",
        "format!(\"{} && {} broker run --print-unit",
        Test("where_the_systems_folder_is_not_roots_the_step_makes_it_so"),
    ),
    Site(
        "cmd::broker::unit",
        r#""add --allow-uid"#,
        Test("its_unit_names_a_program_that_only_root_can_write"),
    ),
    Site(
        "cmd::broker::remote",
        "next)",
        Test("doctor_tells_what_the_broker_says_of_its_api"),
    ),
    Site(
        "cmd::broker::remote",
        "self.as_its_user(&command)",
        Test("a_step_of_the_brokers_works_as_its_user"),
    ),
    Site(
        "cmd::broker::remote",
        r#"format!("run the command as {user}"#,
        Test("of_another_users_home_no_broker_is_asked"),
    ),
    Site(
        "cmd::broker::remote",
        "step)",
        Test("a_command_goes_to_the_brokers_user_with_what_was_typed"),
    ),
    Site(
        "cmd::doctor::checks::broker",
        "",
        Test("doctor_tells_what_the_broker_says_of_its_api"),
    ),
    Site(
        "cmd::hook::install_broker",
        "next)",
        Test("a_step_of_the_brokers_works_as_its_user"),
    ),
    Site(
        "broker::totp",
        "",
        Test("set_up_in_a_terminal_and_each_code_counts_once"),
    ),
    Site(
        "cmd::broker::adopt",
        "self.command(",
        Test("the_printed_command_takes_it_over"),
    ),
    Site(
        "cmd::broker::adopt",
        r#""give it with --api-url""#,
        Test("what_the_records_say_wrongly_is_typed"),
    ),
    Site(
        "cmd::broker::adopt",
        r#""give what is right"#,
        Test("what_the_records_say_wrongly_is_typed"),
    ),
    Site(
        "cmd::broker::adopt",
        r#""give another one with"#,
        Test("no_program_that_agents_can_change_is_taken_over"),
    ),
    Site(
        "cmd::broker::adopt",
        "next)",
        Test("it_says_where_a_broker_protects_nothing"),
    ),
    Site(
        "cmd::broker::adopt",
        "rm {1}",
        Test("a_login_becomes_the_brokers_and_goes_back"),
    ),
    Site(
        "cmd::broker::homes",
        r#""run the OpenClaw gateway as a user"#,
        Test("only_root_moves_and_only_between_two_users"),
    ),
    Site(
        "cmd::broker::homes",
        r#"format!("give the folder itself"#,
        Test("no_link_is_followed_and_only_a_token_is_taken"),
    ),
    Site("cmd::broker::homes", "next)", Test("of_several_logins_one_is_named")),
    Site(
        "cmd::broker::homes",
        "",
        Test("only_root_moves_and_only_between_two_users"),
    ),
    Site(
        "cmd::broker::moving",
        "",
        Test("where_there_is_no_login_the_step_is_one"),
    ),
    Site(
        "cmd::broker::totp",
        "broker::totp::enroll(",
        Test("set_up_in_a_terminal_and_each_code_counts_once"),
    ),
    Site(
        "cmd::broker::totp",
        "",
        Test("nothing_is_set_up_or_unlocked_without_a_terminal"),
    ),
    Site(
        "cmd::hook::caller",
        "login)",
        Test("a_step_of_the_brokers_works_as_its_user"),
    ),
    Site(
        "cmd::broker::run",
        r#"format!("give {flag} a name"#,
        Test("a_broker_that_does_not_come_up_does_after_its_step"),
    ),
    Site(
        "cmd::broker::run",
        r#""add --socket <path>""#,
        Test("a_broker_that_does_not_come_up_does_after_its_step"),
    ),
    Site(
        "cmd::broker::run",
        r#""have it make a Unix stream socket"#,
        Test("a_broker_that_does_not_come_up_does_after_its_step"),
    ),
    Site(
        "cmd::broker::state",
        r#""name the folder that broker run"#,
        Test("nothing_is_set_up_or_unlocked_without_a_terminal"),
    ),
    Site(
        "cmd::broker::asker",
        r#""give it without a slash""#,
        Test("a_decision_over_the_socket_says_how_one_decides"),
    ),
    Site(
        "fs::socket",
        r#"format!("make the folder first"#,
        Test("what_has_the_sockets_name_stays_unless_a_broker_of_ours_left_it"),
    ),
    Site(
        "fs::socket",
        "next)",
        Test("what_has_the_sockets_name_stays_unless_a_broker_of_ours_left_it"),
    ),
    Site(
        "fs::socket",
        r#""give another path"#,
        Test("what_has_the_sockets_name_stays_unless_a_broker_of_ours_left_it"),
    ),
    Site(
        "fs::socket",
        r#""stop that one first"#,
        Test("what_has_the_sockets_name_stays_unless_a_broker_of_ours_left_it"),
    ),
    Site("cmd::manual", "", Case("a manual page that is none")),
];

/// The modules whose places are listed as one, and how many they have.
pub const WHOLE: &[(&str, usize)] = &[
    ("broker::totp", 2),
    ("cmd::broker::homes", 11),
    ("cmd::broker::moving", 4),
    ("cmd::broker::totp", 3),
    ("cmd::doctor::fix", 1),
    ("cmd::doctor::checks::approvals", 2),
    ("cmd::doctor::checks::broker", 6),
    ("cmd::doctor::checks::entry", 5),
    ("cmd::doctor::checks::files", 19),
    ("cmd::doctor::checks::home", 22),
    ("cmd::doctor::checks::recorded", 3),
    ("cmd::doctor::checks::services", 19),
    ("cmd::doctor::checks::token", 8),
    ("cmd::manual", 1),
    ("openclaw::config::secret", 1),
    ("openclaw::selection", 1),
    ("sigilum::secrets", 1),
];
