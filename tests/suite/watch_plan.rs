//! The watcher's planning, without a file or a clock: a table of states and what is done about them, what it says and
//! when it waits, and random lives of a home with a simulated clock and file system.
mod life;
mod table;

use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::token::lifetime::DEFAULT_FRACTION;
use sigilum_authz_notify::watch::planner::{
    Config, Entry, InConfig, Now, Owner, Rules, Snapshot, Stored, Token, TokenId,
};

pub const START_S: i64 = 1_800_000_000;
pub const HOUR: i64 = 3_600;
pub const RULES: Rules = Rules {
    renew_at: DEFAULT_FRACTION,
    token_command: false,
    once: false,
};
pub const WITH_COMMAND: Rules = Rules {
    token_command: true,
    ..RULES
};

pub fn at(seconds: i64) -> Now {
    Now {
        wall: (START_S + seconds) * 1000,
        steady: seconds * 1000,
    }
}

pub fn id(n: u8) -> TokenId {
    TokenId([n; 8])
}

/// A token of alice's, issued and expiring so many seconds from the start.
pub fn token(n: u8, iat: i64, exp: i64) -> Token {
    Token {
        id: id(n),
        namespace: "alice".to_owned(),
        iat: Some(START_S + iat),
        exp: Some(START_S + exp),
    }
}

/// An entry that names what is recorded.
pub fn entry(on: bool, token: InConfig) -> Config {
    Config::Entry(Entry {
        on,
        namespace: Some("alice".to_owned()),
        mode: Some("oss-local".to_owned()),
        api_url: Some("http://127.0.0.1:8787".to_owned()),
        token,
        closed: None,
    })
}

/// A home where alice is logged in, the token in openclaw.json by her choice.
pub fn snapshot(config: Config, file: Stored) -> Snapshot {
    Snapshot {
        config,
        owner: Some(Owner {
            namespace: "alice".to_owned(),
            mode: Mode::OssLocal,
            api_url: "http://127.0.0.1:8787".to_owned(),
            token_in_config: Some(true),
        }),
        file,
        unreadable: None,
        approvals: Ok(Vec::new()),
        read_only: None,
        flags: String::new(),
        plugin_runs: false,
        is_a_brokers: false,
        asks_a_broker: false,
        former_checkout: String::new(),
    }
}

pub fn with(mut snapshot: Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    change(&mut snapshot);
    snapshot
}

/// The same, but her choice is this one.
pub fn chosen(token_in_config: Option<bool>, mut snapshot: Snapshot) -> Snapshot {
    snapshot.owner.as_mut().unwrap().token_in_config = token_in_config;
    snapshot
}

/// The same at the hosted Sigilum.
pub fn managed(mut snapshot: Snapshot) -> Snapshot {
    snapshot.owner.as_mut().unwrap().mode = Mode::Managed;
    if let Config::Entry(entry) = &mut snapshot.config {
        entry.mode = Some("managed".to_owned());
    }
    snapshot
}

/// The same without a record of a login.
pub fn nobodys(mut snapshot: Snapshot) -> Snapshot {
    snapshot.owner = None;
    snapshot
}
