//! Which hooks an OpenClaw gateway runs: against vectors from a real one, from its state database, and unchanged by us.

use proptest::prelude::*;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::openclaw::entry::Enable;
use sigilum_authz_notify::openclaw::entry::{HOOK, Hooks, Install, Installs, Wanted, installs, selection, wanted};
use sigilum_authz_notify::openclaw::removal::removed;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const OPEN_DIR: &str = "/home/alice/.openclaw/hooks/sigilum-authz-notify";

#[derive(Deserialize)]
struct Vector {
    internal: Value,
    installs: Option<BTreeMap<String, Record>>,
    names: Option<BTreeSet<String>>,
}

#[derive(Deserialize, Default)]
struct Record {
    #[serde(default)]
    hooks: Vec<String>,
}

#[test]
fn a_real_openclaw_selects_the_same() {
    let vectors: Vec<Vector> = serde_json::from_str(include_str!("../../fixtures/selection/vectors.json")).unwrap();
    assert_eq!(vectors.len(), 1200);
    for Vector {
        internal,
        installs,
        names,
    } in vectors
    {
        let tracked: Vec<_> = installs.unwrap_or_default().into_iter().collect();
        let tracked = tracked.into_iter().map(|(id, record)| Install {
            id,
            hooks: record.hooks,
        });
        let found = selection(&json!({"hooks": {"internal": internal}}), &Installs::of(tracked)).unwrap();
        let off =
            |name: &str| internal["entries"].get(name).and_then(|entry| entry.get("enabled")) == Some(&json!(false));
        let ours = names.as_ref().is_none_or(|names| names.contains(HOOK)) && !off(HOOK);
        let hooks = match names {
            None => Hooks::Every,
            // OpenClaw names a tracked hook that is switched off, and then does not load it.
            Some(names) => Hooks::Named(names.into_iter().filter(|name| name != HOOK && !off(name)).collect()),
        };
        assert_eq!((found.hooks, found.ours), (hooks, ours), "{internal}");
    }
}

/// A state database as OpenClaw 2026.9.6 makes it.
fn database(home: &Path, wal: bool) -> Connection {
    std::fs::create_dir_all(home.join("state")).unwrap();
    let database = Connection::open(home.join("state/openclaw.sqlite")).unwrap();
    if wal {
        database.pragma_update(None, "journal_mode", "wal").unwrap();
    }
    let schema = "CREATE TABLE config_machine_state (
        state_key TEXT NOT NULL PRIMARY KEY, value_json TEXT NOT NULL, updated_at_ms INTEGER NOT NULL) STRICT;";
    database.execute_batch(schema).unwrap();
    database
}

fn track(database: &Connection, value: &str) {
    let sql = "INSERT OR REPLACE INTO config_machine_state VALUES ('hooks.internal.installs', ?1, 1)";
    database.execute(sql, [value]).unwrap();
}

/// Names and sizes of what lies in the folder.
fn listing(home: &Path) -> BTreeMap<String, (u64, std::time::SystemTime)> {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        (
            entry.file_name().into_string().unwrap(),
            (meta.len(), meta.modified().unwrap()),
        )
    };
    std::fs::read_dir(home.join("state")).unwrap().map(entry).collect()
}

#[test]
fn tracked_installs_from_the_state_database() {
    let pack = r#"{"pack":{"source":"path","hooks":["a","b"],"version":"1"}}"#;
    let expected = vec![Install {
        id: "pack".into(),
        hooks: vec!["a".into(), "b".into()],
    }];
    for (wal, closed, shm) in [
        (false, true, true),
        (false, false, true),
        (true, true, true),
        (true, false, true),
        (true, false, false),
    ] {
        let home = tempfile::Builder::new().prefix("a ?#%").tempdir().unwrap();
        let connection = database(home.path(), wal);
        track(&connection, pack);
        let live = if closed {
            connection.close().unwrap();
            None
        } else {
            Some(connection)
        };
        if !shm {
            std::fs::remove_file(home.path().join("state/openclaw.sqlite-shm")).unwrap();
        }
        let before = listing(home.path());
        assert_eq!(
            installs(home.path()).read().unwrap(),
            expected,
            "wal {wal}, closed {closed}, shm {shm}"
        );
        assert_eq!(
            listing(home.path()).keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>()
        );
        if closed || !shm {
            assert_eq!(listing(home.path()), before, "wal {wal}, closed {closed}, shm {shm}");
        }
        // Somebody in the midst of a write holds nobody up.
        if let Some(connection) = live.filter(|_| wal && shm) {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            track(&connection, r#"{"other":{}}"#);
            assert_eq!(installs(home.path()).read().unwrap(), expected);
            connection.execute_batch("COMMIT").unwrap();
            assert_eq!(
                installs(home.path()).read().unwrap(),
                vec![Install {
                    id: "other".into(),
                    hooks: vec![]
                }]
            );
        }
    }
}

#[test]
fn no_database_no_installs_and_a_broken_one_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(installs(home.path()).read().unwrap(), vec![]);
    assert!(!home.path().join("state").exists());
    drop(database(home.path(), false));
    assert_eq!(installs(home.path()).read().unwrap(), vec![]);
    std::fs::write(
        home.path().join("state/openclaw.sqlite"),
        "not a database, but long enough to be one",
    )
    .unwrap();
    let error = installs(home.path()).read().unwrap_err();
    assert_eq!(error.code, ExitCode::Config);
    // An edit that cannot change what runs does not ask for it; one that could is refused.
    let want = |enable| Wanted {
        enable,
        ..WANTED.clone()
    };
    let there = json!({"hooks": {"internal": {"entries": {HOOK: {"enabled": true}}}}});
    assert!(wanted(&there, &want(Enable::Preserve), &installs(home.path())).is_ok());
    assert!(wanted(&json!({}), &want(Enable::True), &installs(home.path())).is_err());
}

static WANTED: std::sync::LazyLock<Wanted<'static>> = std::sync::LazyLock::new(|| Wanted {
    namespace: "alice",
    api_url: "http://127.0.0.1:8787",
    mode: "oss-local",
    token: None,
    replaces: None,
    token_in_config: None,
    barred: None,
    enable: Enable::Preserve,
    open_dir: Path::new(OPEN_DIR),
    force: false,
    keep_length: false,
});

fn any_flag() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![Just(None), Just(Some(true)), Just(Some(false))]
}

/// An object with `enabled` as given.
fn flagged(enabled: Option<bool>, mut object: Value) -> Value {
    if let Some(enabled) = enabled {
        object["enabled"] = enabled.into();
    }
    object
}

prop_compose! {
    fn any_config()(
        master in any_flag(),
        named in prop::collection::btree_map(prop_oneof!["[abc]", Just(HOOK.to_owned()), Just(" ".to_owned())], any_flag(), 0..4),
        has_entries in any::<bool>(),
        dirs in prop::option::of(prop::collection::vec(prop_oneof![Just(""), Just(" "), Just("/x"), Just(OPEN_DIR)], 0..3)),
        plugin in prop::option::of(any_flag()),
    ) -> Value {
        let mut internal = flagged(master, json!({}));
        if has_entries {
            let entries = named.into_iter().map(|(name, enabled)| (name, flagged(enabled, json!({}))));
            internal["entries"] = Value::Object(entries.collect());
        }
        if let Some(dirs) = dirs {
            internal["load"] = json!({"extraDirs": dirs});
        }
        let mut config = json!({"hooks": {"internal": internal}});
        if let Some(plugin) = plugin {
            config["plugins"] = json!({"entries": {"x": flagged(plugin, json!({}))}});
        }
        config
    }
}

fn any_installs() -> impl Strategy<Value = Vec<Install>> {
    let id = prop_oneof![Just("pack".to_owned()), Just(" ".to_owned())];
    let hooks = prop::collection::vec(prop_oneof!["[bcd]", Just(HOOK.to_owned()), Just(" ".to_owned())], 0..3);
    prop::collection::vec((id, hooks).prop_map(|(id, hooks)| Install { id, hooks }), 0..2)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever a person asks for, in whatever order: the other hooks run as before, or the edit is refused.
    #[test]
    fn no_other_hook_starts_or_stops(
        config in any_config(),
        tracked in any_installs(),
        steps in prop::collection::vec(prop_oneof![Just(Enable::True), Just(Enable::False), Just(Enable::Preserve)], 1..4),
    ) {
        let tracked = Installs::of(tracked);
        let before = selection(&config, &tracked).unwrap();
        let mut now = config.clone();
        for enable in steps {
            match wanted(&now, &Wanted { enable, ..WANTED.clone() }, &tracked) {
                Ok(planned) => now = planned.value,
                Err(error) => {
                    // Only a wake-up of everything that `enabled: false` keeps asleep cannot be done quietly.
                    prop_assert_eq!(error.code, ExitCode::Config);
                    prop_assert_eq!(enable, Enable::True);
                    prop_assert_eq!(&now["hooks"]["internal"]["enabled"], false);
                }
            }
            let after = selection(&now, &tracked).unwrap();
            prop_assert_eq!(&before, &after, "{}", now);
            if enable == Enable::True && now["hooks"]["internal"]["enabled"] == true {
                prop_assert!(after.ours);
            }
        }
        let gone = removed(&now, Path::new(OPEN_DIR), &tracked).unwrap().value;
        prop_assert_eq!(&before, &selection(&gone, &tracked).unwrap(), "{}", gone);
        prop_assert!(gone["hooks"]["internal"]["entries"].get(HOOK).is_none());
        prop_assert_eq!(&removed(&gone, Path::new(OPEN_DIR), &tracked).unwrap().value, &gone);
    }
}
