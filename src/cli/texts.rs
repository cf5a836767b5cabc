//! What stands below the options of a command's help: examples, variables, exit codes.

pub(super) const PROGRAM: &str = "\
Examples:
  sigilum-authz-notify auth login                      the owner token is asked for
  sigilum-authz-notify auth login --mode oss-local     a local Sigilum API: it is signed here
  sigilum-authz-notify hook install                    then /new in a direct chat shows what waits
  sigilum-authz-notify watch --install-unit            tokens are renewed from now on
  sigilum-authz-notify doctor                          what is missing, and what to do about it

Environment (docs/settings.md has all; an empty variable counts as unset):
  OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE  where the OpenClaw home is
  OPENCLAW_CONFIG_PATH                                 where its config is
  OPENCLAW_CONFIG_READONLY, OPENCLAW_NIX_MODE          the config is never written
  SIGILUM_NAMESPACE, SIGILUM_MODE, SIGILUM_API_URL     whose token, of which Sigilum
  SIGILUM_OWNER_TOKEN, SIGILUM_OWNER_TOKEN_COMMAND     the token, or a program that prints one
  JWT_SECRET, SIGILUM_SOURCE_HOME, SIGILUM_API_DB      a local Sigilum API
  GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN               the Sigilum gateway
  HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE                 how requests leave this machine

Exit codes:
  0 done                          5 a lock stayed held
  1 any other failure             6 the API or the Sigilum gateway cannot be reached
  2 wrong command line            7 a secret or the local database is unavailable
  3 openclaw.json                 8 another watcher serves this home
  4 the owner token";

pub(super) const LOGIN: &str = "\
Examples:
  sigilum-authz-notify auth login
  sigilum-authz-notify auth login --owner-token-stdin < token.txt
  sigilum-authz-notify auth login --mode oss-local --source-home ~/sigilum
  sigilum-authz-notify auth login --dry-run

Environment: SIGILUM_NAMESPACE, SIGILUM_MODE, SIGILUM_API_URL, SIGILUM_OWNER_TOKEN, SIGILUM_OWNER_EMAIL,
SIGILUM_OWNER_TOKEN_TTL_SECONDS, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, JWT_SECRET; flags win over them

Exit codes: 3 openclaw.json cannot be read or edited, 4 the token is none, or the API refuses it, 5 a lock stayed held,
7 the signing secret or the local database is unavailable";

pub(super) const SERVICE_ADD: &str = "\
Examples:
  sigilum-authz-notify service add --service-slug my-api
  sigilum-authz-notify service add --service-slug linear --mode gateway --upstream-base-url https://api.linear.app \\
    --upstream-secret-file -

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_SIGILUM_HOME, GATEWAY_ADMIN_URL,
GATEWAY_ADMIN_TOKEN, GATEWAY_DATA_DIR, GATEWAY_MASTER_KEY; flags win over them

Exit codes: 6 the Sigilum gateway cannot be reached, 7 a secret or the local database is unavailable";

pub(super) const HOOK_INSTALL: &str = "\
Examples:
  sigilum-authz-notify hook install
  sigilum-authz-notify hook install --as plugin --senders irc:alice!~alice@host
  sigilum-authz-notify hook install --as plugin --deciders telegram:123456789

Exit codes: 3 openclaw.json cannot be read or edited, 5 a lock stayed held";

pub(super) const DOCTOR: &str = "\
Examples:
  sigilum-authz-notify doctor
  sigilum-authz-notify doctor --fix

Environment: where the OpenClaw home is, SIGILUM_NAMESPACE, JWT_SECRET, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN

Exit codes: that of the worst fault, 3 openclaw.json before 4 the owner token before 7 a secret or the local database
before any other; warnings are none";

pub(super) const HOOK_STATUS: &str = "\
Exit codes: that of the worst fault, as of doctor";

pub(super) const WATCH: &str = "\
Examples:
  sigilum-authz-notify watch
  sigilum-authz-notify watch --all --install-unit
  sigilum-authz-notify watch --token-command 'pass show sigilum/owner-token'
  sigilum-authz-notify watch --once

Environment: SIGILUM_OWNER_TOKEN_COMMAND, RUST_LOG, and where the OpenClaw home is

Exit codes: 8 another watcher serves this home; with --once the code of what could not be done";

pub(super) const AUTHZ_APPROVE: &str = "\
Examples:
  sigilum-authz-notify authz approve cl_0a1b2c3d                 shown and asked
  sigilum-authz-notify authz approve cl_0a1b2c3d --for 1h --yes
  sigilum-authz-notify authz approve --service mail --key ed25519:MCow...

Environment: SIGILUM_NAMESPACE, and where the OpenClaw home is; where OPENCLAW_SHELL is set nothing is decided

Exit codes: 1 a request is not pending any more, or a limit is reached, 4 the owner token,
6 the API cannot be reached, or did not say whether it was done";
