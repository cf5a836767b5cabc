//! What stands below the options of a command's help: examples, variables, exit codes.

pub(super) const PROGRAM: &str = "\
Examples:
  # All of the following, guided
  sigilum-authz-notify setup
  # Log in to the hosted Sigilum: the owner token is asked for
  sigilum-authz-notify auth login
  # Log in to a local Sigilum API: the token is signed here
  sigilum-authz-notify auth login --mode oss-local
  # From now on /new in a direct chat shows what waits for approval
  sigilum-authz-notify hook install
  # Renew tokens from now on
  sigilum-authz-notify watch --install-unit
  # What is missing, and what to do about it
  sigilum-authz-notify doctor

Environment (docs/settings.md has all; an empty variable counts as unset):
  OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE  where the OpenClaw home is
  OPENCLAW_CONFIG_PATH                                 where its config is
  OPENCLAW_CONFIG_READONLY, OPENCLAW_NIX_MODE          the config is never written
  SIGILUM_NAMESPACE, SIGILUM_MODE, SIGILUM_API_URL     whose token, of which Sigilum
  SIGILUM_OWNER_TOKEN, SIGILUM_OWNER_TOKEN_COMMAND     the token, or a program that prints one
  JWT_SECRET, SIGILUM_SOURCE_HOME, SIGILUM_API_DB      a local Sigilum API
  GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN               the Sigilum gateway
  HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE                 how requests leave this machine
  NO_COLOR, CLICOLOR, CLICOLOR_FORCE                   whether there are colours; else on a terminal

Exit codes:
  0 done                          5 a lock stayed held
  1 any other failure             6 the API or the Sigilum gateway cannot be reached
  2 wrong command line            7 a secret or the local database is unavailable
  3 openclaw.json                 8 another watcher serves this home
  4 the owner token";

pub(super) const SETUP: &str = "\
Examples:
  sigilum-authz-notify setup
  sigilum-authz-notify setup --mode oss-local --namespace johndee --yes
  sigilum-authz-notify setup --mode managed --owner-token-stdin --yes < jwt.txt

Environment: as of auth login, and where the OpenClaw home is; PATH leads to openclaw

Exit codes: 1 nothing was changed, as it was not agreed to, 2 an answer is missing; else that of the step that failed, \
or of doctor, the last one";

pub(super) const LOGIN: &str = "\
Examples:
  sigilum-authz-notify auth login
  sigilum-authz-notify auth login --owner-token-stdin < token.txt
  sigilum-authz-notify auth login --mode oss-local --source-home ~/sigilum
  sigilum-authz-notify auth login --dry-run

Environment: SIGILUM_NAMESPACE, SIGILUM_MODE, SIGILUM_API_URL, SIGILUM_OWNER_TOKEN, SIGILUM_OWNER_EMAIL, \
SIGILUM_OWNER_TOKEN_TTL_SECONDS, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, JWT_SECRET; flags win over them

Exit codes: 3 openclaw.json cannot be read or edited, 4 the token is none, or the API refuses it, 5 a lock stayed held, \
7 the signing secret or the local database is unavailable";

pub(super) const SERVICE_ADD: &str = "\
Examples:
  sigilum-authz-notify service add --service-slug my-api
  sigilum-authz-notify service add --service-slug linear --mode gateway \\
    --upstream-base-url https://api.linear.app --upstream-secret-file key.txt

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_SIGILUM_HOME, GATEWAY_ADMIN_URL, \
GATEWAY_ADMIN_TOKEN, GATEWAY_DATA_DIR, GATEWAY_MASTER_KEY; flags win over them

Exit codes: 6 the Sigilum gateway cannot be reached, 7 a secret or the local database is unavailable";

pub(super) const HOOK_INSTALL: &str = "\
Examples:
  sigilum-authz-notify hook install
  sigilum-authz-notify hook install --as plugin --senders irc:alice!~alice@host
  sigilum-authz-notify hook install --as plugin --deciders telegram:123456789

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE, \
PATH (leads to openclaw), SIGILUM_TRUST_HOME, and with --from-env what docs/settings.md lists

Exit codes: 3 openclaw.json cannot be read or edited, 5 a lock stayed held";

pub(super) const DOCTOR: &str = "\
Examples:
  sigilum-authz-notify doctor
  sigilum-authz-notify doctor --fix

Environment: where the OpenClaw home is, SIGILUM_NAMESPACE, JWT_SECRET, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN

Exit codes: that of the worst fault, 3 openclaw.json before 4 the owner token before 7 a secret or the local database \
before any other; warnings are none";

pub(super) const HOOK_STATUS: &str = "\
Examples:
  sigilum-authz-notify hook status
  sigilum-authz-notify hook status --json

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: that of the worst fault, as of doctor";

pub(super) const WATCH: &str = "\
Examples:
  sigilum-authz-notify watch
  sigilum-authz-notify watch --all --install-unit
  sigilum-authz-notify watch --token-command 'pass show sigilum/owner-token'
  sigilum-authz-notify watch --once
  sigilum-authz-notify watch --check

Environment: SIGILUM_OWNER_TOKEN_COMMAND, RUST_LOG, and where the OpenClaw home is

Exit codes: 8 another watcher serves this home; with --once the code of what could not be done; with --check \
1 no watcher serves this home, or an approval outlives its time, 4 a renewal is overdue";

pub(super) const AUTHZ_APPROVE: &str = "\
Examples:
  # The request is shown, then asked about
  sigilum-authz-notify authz approve cl_0a1b2c3d
  sigilum-authz-notify authz approve cl_0a1b2c3d --for 1h --yes
  sigilum-authz-notify authz approve --service mail --key ed25519:MCow...

Environment: SIGILUM_NAMESPACE, and where the OpenClaw home is; where OPENCLAW_SHELL is set nothing is decided

Exit codes: 1 a request is not pending any more, or a limit is reached, 4 the owner token, \
6 the API cannot be reached, or did not say whether it was done";

pub(super) const AUTH_REFRESH: &str = "\
Examples:
  sigilum-authz-notify auth refresh
  sigilum-authz-notify auth refresh --owner-token-stdin < token.txt

Environment: as of auth login

Exit codes: as of auth login; 4 also where a token that is in force would be lost";

pub(super) const AUTH_SHOW: &str = "\
Examples:
  sigilum-authz-notify auth show
  sigilum-authz-notify auth show --namespace johndee

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: 4 there is no token, or it is none to use";

pub(super) const AUTH_STATUS: &str = "\
Examples:
  sigilum-authz-notify auth status
  sigilum-authz-notify auth status --json

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: that of the worst fault, as of doctor";

pub(super) const AUTH_SWITCH: &str = "\
Examples:
  sigilum-authz-notify auth switch johndee

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH

Exit codes: 3 openclaw.json cannot be edited, 4 nobody is logged in to it, 5 a lock stayed held";

pub(super) const AUTH_LOGOUT: &str = "\
Examples:
  sigilum-authz-notify auth logout
  sigilum-authz-notify auth logout --namespace johndee

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: 3 openclaw.json cannot be edited, 4 the file holds no owner token, 5 a lock stayed held";

pub(super) const AUTHZ_LIST: &str = "\
Examples:
  sigilum-authz-notify authz list
  sigilum-authz-notify authz list --status all --json

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: 4 the owner token, 6 the API cannot be reached";

pub(super) const AUTHZ_SHOW: &str = "\
Examples:
  sigilum-authz-notify authz show cl_0a1b2c3d

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: 1 there is no such request, 4 the owner token, 6 the API cannot be reached";

pub(super) const AUTHZ_REJECT: &str = "\
Examples:
  sigilum-authz-notify authz reject cl_0a1b2c3d
  sigilum-authz-notify authz reject --all --yes

Environment: as of authz approve

Exit codes: as of authz approve";

pub(super) const AUTHZ_REVOKE: &str = "\
Examples:
  sigilum-authz-notify authz revoke cl_0a1b2c3d
  sigilum-authz-notify authz revoke --service mail --key ed25519:MCow...

Environment: as of authz approve

Exit codes: as of authz approve";

pub(super) const AUTHZ_LOG: &str = "\
Examples:
  sigilum-authz-notify authz log
  sigilum-authz-notify authz log --json

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH

Exit codes: 1 the log cannot be read";

pub(super) const SERVICE_LIST: &str = "\
Examples:
  sigilum-authz-notify service list
  sigilum-authz-notify service list --namespace johndee --json

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN, and where \
the OpenClaw home is

Exit codes: 6 the Sigilum gateway cannot be reached, 7 the local database is unavailable";

pub(super) const SERVICE_SECRET_SET: &str = "\
Examples:
  sigilum-authz-notify service secret set linear --upstream-secret-file key.txt
  sigilum-authz-notify service secret set linear --upstream-secret-env KEY

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN, and where \
the OpenClaw home is

Exit codes: 6 the Sigilum gateway cannot be reached, 7 a secret or the local database is unavailable";

pub(super) const SERVICE_ROTATE_KEY: &str = "\
Examples:
  sigilum-authz-notify service rotate-key linear
  sigilum-authz-notify service rotate-key linear --finish

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN, and where \
the OpenClaw home is

Exit codes: 6 the Sigilum gateway cannot be reached, 7 a secret or the local database is unavailable";

pub(super) const SERVICE_REMOVE: &str = "\
Examples:
  sigilum-authz-notify service remove linear
  sigilum-authz-notify service remove linear --yes

Environment: SIGILUM_NAMESPACE, SIGILUM_SOURCE_HOME, SIGILUM_API_DB, GATEWAY_ADMIN_URL, GATEWAY_ADMIN_TOKEN, and where \
the OpenClaw home is

Exit codes: 1 nothing was removed, 6 the Sigilum gateway cannot be reached, 7 the local database is \
unavailable";

pub(super) const HOOK_RUN: &str = "\
Examples:
  sigilum-authz-notify hook run --event command:new
  sigilum-authz-notify hook run < event.json

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, SIGILUM_NAMESPACE

Exit codes: 0 for every answer, also one that says what is wrong; 2 what was read is no event; with --event also \
3 openclaw.json cannot be read, 4 nobody is logged in, 6 the broker cannot be asked";

pub(super) const HOOK_UNINSTALL: &str = "\
Examples:
  sigilum-authz-notify hook uninstall
  sigilum-authz-notify hook uninstall --purge

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH

Exit codes: 3 openclaw.json cannot be read or edited, 5 a lock stayed held";

pub(super) const SERVE: &str = "\
Examples:
  sigilum-authz-notify serve --stdio

Environment: OPENCLAW_STATE_DIR, OPENCLAW_HOME, OPENCLAW_PROFILE, OPENCLAW_CONFIG_PATH, RUST_LOG

Exit codes: 0 standard input was closed";

pub(super) const DEMO: &str = "\
Examples:
  sigilum-authz-notify demo

Environment: TMPDIR

Exit codes: 1 it did not work here";

pub(super) const COMPLETIONS: &str = "\
Examples:
  sigilum-authz-notify completions bash \\
    > ~/.local/share/bash-completion/completions/sigilum-authz-notify

Environment: none

Exit codes: 2 there is no such shell";

pub(super) const MAN: &str = "\
Examples:
  sigilum-authz-notify man > sigilum-authz-notify.1
  sigilum-authz-notify man auth login | man -l -
  sigilum-authz-notify man --list

Environment: none

Exit codes: 2 there is no such command";

pub(super) const BROKER_RUN: &str = "\
Agents run as the OpenClaw gateway's user and can read what it can. A broker runs as another user: it has the token, and \
the gateway's side only asks. It takes no decision over its socket, unless --decide says so. docs/broker.md sets one up.

Examples:
  sigilum-authz-notify broker run --allow-uid openclaw \\
    --socket /run/sigilum-authz-notify/broker.sock

Environment: STATE_DIRECTORY, LISTEN_FDS (both by a service manager), SIGILUM_OWNER_TOKEN_COMMAND, RUST_LOG, HTTPS_PROXY, \
NO_PROXY, SSL_CERT_FILE, and without --state where the OpenClaw home is

Exit codes: 0 it was told to stop, 1 it cannot listen, 2 a user or a group is not there";

pub(super) const BROKER_LOG: &str = "\
What the broker itself wrote down: who asked for it (the user's number, and the sender that the chat named), and what \
came of it. An agent that owns the OpenClaw gateway's process can show false words in the chat, and none here.

Examples:
  sudo -u sigilum-authz-notify sigilum-authz-notify broker log
  sigilum-authz-notify broker log --json

Environment: STATE_DIRECTORY, and where the OpenClaw home is

Exit codes: 1 the log cannot be read";

pub(super) const BROKER_TOTP_ENROLL: &str = "\
Shows a secret once, for an authenticator app, and asks for one of its codes. A code counts once, for one decision; five \
wrong ones lock deciding for 15 minutes, then twice as long each time, up to a day.

Examples:
  sudo -u sigilum-authz-notify sigilum-authz-notify broker totp enroll

Environment: STATE_DIRECTORY, and where the OpenClaw home is

Exit codes: 1 nothing was changed, or no code was right, 2 there is no terminal";

pub(super) const BROKER_TOTP_UNLOCK: &str = "\
Examples:
  sudo -u sigilum-authz-notify sigilum-authz-notify broker totp unlock

Environment: STATE_DIRECTORY, and where the OpenClaw home is

Exit codes: 1 there is no second factor, 2 there is no terminal";

pub(super) const BROKER_ADOPT: &str = "\
Takes token and record out of an OpenClaw home, the token out of openclaw.json too, and makes them the broker's user's. \
What the records say of mode, e-mail, API, token command, checkout and database an agent could have written: it is shown \
and asked about, or typed again as flags. Run again after a crash, it goes on.

Examples:
  sudo sigilum-authz-notify broker adopt /home/claw/.openclaw \\
    --state /var/lib/sigilum-authz-notify/.openclaw
  sudo sigilum-authz-notify broker adopt /home/claw/.openclaw \\
    --state /var/lib/sigilum-authz-notify/.openclaw \\
    --mode managed --api-url https://api.sigilum.id

Environment: STATE_DIRECTORY

Exit codes: 1 nothing was taken over, 2 a flag is missing, or a folder is not as it must be, 3 openclaw.json cannot be \
read or edited, 4 there is no owner token, or it is not that user's";

pub(super) const BROKER_RELEASE: &str = "\
The way back: from then on the home's user, and agents that run as that user, can read the owner token.

Examples:
  sudo sigilum-authz-notify broker release /home/claw/.openclaw \\
    --state /var/lib/sigilum-authz-notify/.openclaw

Environment: STATE_DIRECTORY

Exit codes: 2 a folder is not as it must be, 3 openclaw.json cannot be read or edited, 4 there is no owner token";
