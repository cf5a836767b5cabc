//! The watcher's planning, without a file or a clock: a table of states and what is done about them, what it says and
//! when it waits, and random lives of a home with a simulated clock and file system.
mod life;
mod table;

use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::token::lifetime::DEFAULT_FRACTION;
use sigilum_authz_notify::watch::planner::{
    Config, Entry, InConfig, Now, Owner, Record, Rules, Snapshot, Stored, Token, TokenId,
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
        signature_invalid: false,
    }
}

pub fn entry(on: bool, token: InConfig) -> Config {
    Config::Entry(Entry {
        on,
        holds_token: true,
        token,
    })
}

pub fn snapshot(config: Config, file: Stored) -> Snapshot {
    Snapshot {
        config,
        owner: Some(Owner {
            namespace: "alice".to_owned(),
            mode: Mode::OssLocal,
            api_url: "http://127.0.0.1:8787".to_owned(),
            record: Record::Same,
        }),
        file,
        read_only: None,
    }
}

pub fn with(mut snapshot: Snapshot, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
    change(&mut snapshot);
    snapshot
}

pub fn owned(snapshot: Snapshot, mode: Mode, record: Record) -> Snapshot {
    with(snapshot, |snapshot| {
        let owner = snapshot.owner.as_mut().unwrap();
        (owner.mode, owner.record) = (mode, record);
    })
}
