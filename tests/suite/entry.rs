//! The hook's entry: wanted values, and the one rule above them, that no other hook starts or stops running.

use secrecy::SecretString;
use serde_json::{Value, json};
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::openclaw::entry::Enable;
use sigilum_authz_notify::openclaw::entry::{
    HOOK, Install, Installs, PLUGIN, Planned, Wanted, find, selection, wanted,
};
use sigilum_authz_notify::openclaw::removal::{removed, without_token};
use sigilum_authz_notify::openclaw::substitution::is_reference;
use sigilum_authz_notify::text::{filler, is_unset};
use std::path::Path;

const OPEN_DIR: &str = "/home/alice/.openclaw/hooks/sigilum-authz-notify";

fn want(enable: Enable) -> Wanted<'static> {
    Wanted {
        namespace: "alice",
        api_url: "http://127.0.0.1:8787",
        mode: "oss-local",
        token: None,
        replaces: None,
        token_in_config: None,
        barred: None,
        enable,
        open_dir: Path::new(OPEN_DIR),
        force: false,
        keep_length: false,
    }
}

fn env() -> Value {
    json!({"SIGILUM_NAMESPACE": "alice", "SIGILUM_API_URL": "http://127.0.0.1:8787", "SIGILUM_MODE": "oss-local"})
}

fn entries(others: Value, ours: Value) -> Value {
    let mut entries = others;
    entries[HOOK] = ours;
    entries
}

#[track_caller]
fn plan(config: &Value, want: &Wanted<'_>) -> Planned {
    wanted(config, want, &Installs::none()).unwrap()
}

/// OpenClaw up to 2026.7 runs every hook that it brings along where the flag is true: it is not made true there.
#[test]
fn an_old_openclaw_gets_no_hook_that_did_not_run() {
    let config = |version: &str, enabled: Value| json!({"meta": {"lastTouchedVersion": version}, "hooks": {"internal": {"enabled": enabled}}});
    for version in ["2026.5.5", "2026.7.1", "2025.12.30"] {
        let error = wanted(&config(version, json!(false)), &want(Enable::True), &Installs::none())
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("every hook that OpenClaw brings along"),
            "{error}"
        );
        let on = plan(&config(version, json!(true)), &want(Enable::True));
        assert_eq!(on.value["hooks"]["internal"]["enabled"], true);
    }
    for version in ["2026.8.2", "2026.10.1", "2027.1.1", "x"] {
        let on = plan(&config(version, json!(false)), &want(Enable::True));
        assert_eq!(on.value["hooks"]["internal"]["enabled"], true);
    }
}

#[test]
fn the_master_flag_and_discovery() {
    let on = json!({"enabled": true, "env": env()});
    let off = json!({"enabled": false, "env": env()});
    let dirs = json!({"extraDirs": [OPEN_DIR]});
    let cases = [
        // (hooks.internal before, enable, after); None: no hooks at all, Err: refused
        (
            None,
            Enable::True,
            Ok(json!({"entries": entries(json!({}), on.clone())})),
        ),
        (
            None,
            Enable::Preserve,
            Ok(json!({"entries": entries(json!({}), off.clone())})),
        ),
        (
            None,
            Enable::False,
            Ok(json!({"entries": entries(json!({}), off.clone())})),
        ),
        // Broad discovery stays broad.
        (
            Some(json!({"enabled": true})),
            Enable::True,
            Ok(json!({"enabled": true, "entries": entries(json!({}), on.clone()), "load": dirs})),
        ),
        (
            Some(json!({"enabled": true})),
            Enable::False,
            Ok(json!({"enabled": true, "entries": entries(json!({}), off.clone()), "load": dirs})),
        ),
        (
            Some(json!({"enabled": true})),
            Enable::Preserve,
            Ok(json!({"enabled": true})),
        ),
        (
            Some(json!({"enabled": true, "load": {"extraDirs": [" ", "/x"]}})),
            Enable::Preserve,
            Ok(
                json!({"enabled": true, "load": {"extraDirs": [" ", "/x"]}, "entries": entries(json!({}), off.clone())}),
            ),
        ),
        // Named hooks stay named.
        (
            Some(json!({"enabled": true, "entries": {"a": {"enabled": false}}})),
            Enable::True,
            Ok(json!({"enabled": true, "entries": entries(json!({"a": {"enabled": false}}), on.clone())})),
        ),
        (
            Some(json!({"entries": {"a": {}}})),
            Enable::True,
            Ok(json!({"entries": entries(json!({"a": {}}), on.clone())})),
        ),
        // Switched off altogether: on again only where nothing else wakes up.
        (
            Some(json!({"enabled": false})),
            Enable::True,
            Ok(json!({"enabled": true, "entries": entries(json!({}), on.clone())})),
        ),
        (
            Some(json!({"enabled": false, "entries": {"a": {"enabled": false}}})),
            Enable::True,
            Ok(json!({"enabled": true, "entries": entries(json!({"a": {"enabled": false}}), on.clone())})),
        ),
        (
            Some(json!({"enabled": false, "entries": {"a": {}, "b": {"enabled": true}}})),
            Enable::True,
            Err("switched on: a, b"),
        ),
        (
            Some(json!({"enabled": false, "load": {"extraDirs": ["/x"]}})),
            Enable::True,
            Err("every eligible hook runs"),
        ),
        (
            Some(json!({"enabled": false, "entries": {"a": {}}})),
            Enable::Preserve,
            Ok(json!({"enabled": false, "entries": entries(json!({"a": {}}), off.clone())})),
        ),
    ];
    for (before, enable, after) in cases {
        let config = match &before {
            Some(internal) => json!({"x": 1, "hooks": {"internal": internal}}),
            None => json!({"x": 1}),
        };
        let result = wanted(&config, &want(enable), &Installs::none());
        match (result, after) {
            (Ok(planned), Ok(after)) => {
                assert_eq!(
                    planned.value,
                    json!({"x": 1, "hooks": {"internal": after}}),
                    "{config} {enable:?}"
                );
                assert_eq!(planned.has_entry, find(&planned.value).unwrap().is_some());
            }
            (Err(error), Err(text)) => {
                assert_eq!(error.code, ExitCode::Config);
                assert!(error.to_string().contains(text), "{error}");
                let forced = Wanted {
                    force: true,
                    ..want(enable)
                };
                let planned = plan(&config, &forced);
                assert_eq!(planned.value["hooks"]["internal"]["enabled"], true);
                assert!(planned.notes.concat().contains(text), "{:?}", planned.notes);
            }
            (Ok(planned), Err(text)) => panic!("{config} {enable:?}: no refusal ({text}), but {}", planned.value),
            (Err(error), Ok(_)) => panic!("{config} {enable:?}: {error}"),
        }
    }
}

#[test]
fn hooks_that_plugins_register_count() {
    let config = |plugins: Value| json!({"plugins": plugins, "hooks": {"internal": {"enabled": false}}});
    for (plugins, refused) in [
        (json!({"entries": {"x": {"enabled": true}}}), true),
        (json!({"entries": {"x": {}}}), true),
        (json!({"entries": {"x": {"enabled": false}}}), false),
        (json!({"entries": {PLUGIN: {"enabled": true}}}), false),
        (json!({"enabled": false, "entries": {"x": {"enabled": true}}}), false),
    ] {
        let result = wanted(&config(plugins.clone()), &want(Enable::True), &Installs::none());
        assert_eq!(result.is_err(), refused, "{plugins}");
    }
}

#[test]
fn tracked_installs_open_or_name() {
    let install = |id: &str, hooks: &[&str]| Install {
        id: id.into(),
        hooks: hooks.iter().map(|s| s.to_string()).collect(),
    };
    let internal = |value: Value| json!({"hooks": {"internal": value}});
    // An install without names is open discovery: an entry more does not narrow it.
    let open = Installs::of([install("pack", &[])]);
    let planned = wanted(&internal(json!({"enabled": true})), &want(Enable::Preserve), &open).unwrap();
    assert!(planned.has_entry);
    // One with names declares them: nothing was broad before.
    let named = Installs::of([install("pack", &["a"])]);
    let planned = wanted(&internal(json!({"enabled": true})), &want(Enable::True), &named).unwrap();
    assert_eq!(planned.value["hooks"]["internal"].get("load"), None);
    // Under `enabled: false` it sleeps, and would wake up, unless its own entry keeps it off.
    assert!(wanted(&internal(json!({"enabled": false})), &want(Enable::True), &named).is_err());
    let asleep = internal(json!({"enabled": false, "entries": {"a": {"enabled": false}}}));
    assert!(wanted(&asleep, &want(Enable::True), &named).is_ok());
}

#[test]
fn the_token_is_there_exactly_while_the_hook_is_on() {
    let old = "a".repeat(40);
    let token = SecretString::from("new.owner.token");
    let with = |enabled: Option<bool>, extra: Value| {
        let mut entry = json!({"env": env(), "unknown": [1]});
        if let Some(enabled) = enabled {
            entry["enabled"] = enabled.into();
        }
        for (key, value) in extra.as_object().unwrap() {
            entry["env"][key] = value.clone();
        }
        json!({"hooks": {"internal": {"entries": {HOOK: entry}}}})
    };
    // A `None` for token-in-config is nobody's choice: a token that is there is kept up to date.
    let cases = [
        // (entry's enabled, its further env, wanted enable, token given, token-in-config, token afterwards)
        (None, json!({}), Enable::Preserve, true, None, None),
        (
            None,
            json!({}),
            Enable::Preserve,
            true,
            Some(true),
            Some("new.owner.token"),
        ),
        (Some(false), json!({}), Enable::Preserve, true, Some(true), None),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": old}),
            Enable::Preserve,
            true,
            None,
            Some("new.owner.token"),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": old}),
            Enable::Preserve,
            false,
            None,
            Some(old.as_str()),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": old, "SIGILUM_NAMESPACE": "bob"}),
            Enable::Preserve,
            false,
            None,
            None,
        ),
        (
            Some(false),
            json!({"SIGILUM_OWNER_TOKEN": old}),
            Enable::Preserve,
            true,
            None,
            None,
        ),
        (
            Some(false),
            json!({}),
            Enable::True,
            true,
            Some(true),
            Some("new.owner.token"),
        ),
        (Some(false), json!({}), Enable::True, true, None, None),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": old}),
            Enable::False,
            true,
            None,
            None,
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": old}),
            Enable::True,
            true,
            Some(false),
            None,
        ),
        (
            Some(true),
            json!({"SIGILUM_TOKEN_IN_CONFIG": "false"}),
            Enable::True,
            true,
            None,
            None,
        ),
        (
            Some(true),
            json!({"SIGILUM_TOKEN_IN_CONFIG": "false"}),
            Enable::True,
            true,
            Some(true),
            Some("new.owner.token"),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": "$${X}"}),
            Enable::True,
            true,
            Some(true),
            Some("new.owner.token"),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": ""}),
            Enable::True,
            true,
            None,
            None,
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": ""}),
            Enable::True,
            true,
            Some(true),
            Some("new.owner.token"),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": "${SIGILUM_OWNER_TOKEN}"}),
            Enable::True,
            true,
            None,
            Some("${SIGILUM_OWNER_TOKEN}"),
        ),
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": "${MY_TOKEN}"}),
            Enable::False,
            true,
            None,
            Some("${MY_TOKEN}"),
        ),
        // Where nobody chose, a token that was never stored draws none.
        (
            Some(true),
            json!({"SIGILUM_OWNER_TOKEN": "planted"}),
            Enable::True,
            true,
            None,
            Some("planted"),
        ),
    ];
    let replaced = SecretString::from(old.clone());
    for (enabled, extra, enable, given, in_config, after) in cases {
        let config = with(enabled, extra.clone());
        let want = Wanted {
            token: given.then_some(&token),
            replaces: Some(&replaced),
            token_in_config: in_config,
            barred: None,
            ..want(enable)
        };
        let planned = plan(&config, &want);
        let entry = &planned.value["hooks"]["internal"]["entries"][HOOK];
        let case = format!("{enabled:?} {extra} {enable:?} {given} {in_config:?}");
        assert_eq!(
            entry["env"].get("SIGILUM_OWNER_TOKEN").and_then(Value::as_str),
            after,
            "{case}"
        );
        assert_eq!(entry["unknown"], json!([1]), "{case}");
        assert_eq!(entry["env"]["SIGILUM_NAMESPACE"], "alice", "{case}");
        assert_eq!(planned.holds_token, after == Some("new.owner.token"), "{case}");
        assert_eq!(
            planned.notes.iter().any(|note| note.contains("SIGILUM_OWNER_TOKEN")),
            after.is_some_and(|text| text.starts_with("${") || text == "planted"),
            "{case}"
        );
        // What version 0.1.0 noted here goes where it would say the opposite.
        let flag = entry["env"].get("SIGILUM_TOKEN_IN_CONFIG").is_some();
        let was_there = extra.get("SIGILUM_TOKEN_IN_CONFIG").is_some();
        assert_eq!(flag, was_there && in_config != Some(true), "{case}");
        // A second run finds nothing to do.
        assert_eq!(plan(&planned.value, &want).value, planned.value, "{case}");
    }
}

#[test]
fn a_token_gives_way_to_a_filler_where_the_length_must_stay() {
    let config = json!({"hooks": {"internal": {"entries": {HOOK: {"env": {"SIGILUM_OWNER_TOKEN": "h".repeat(500)}}}}}});
    let planned = without_token(&config, true).unwrap();
    let text = planned.value["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"]
        .as_str()
        .unwrap();
    assert_eq!(text.len(), 500);
    assert!(is_unset(text));
    assert!(find(&planned.value).unwrap().unwrap().token().is_none());
    assert_eq!(without_token(&planned.value, true).unwrap().value, planned.value);
    let gone = without_token(&config, false).unwrap().value;
    assert_eq!(gone["hooks"]["internal"]["entries"][HOOK], json!({"env": {}}));
    for config in [json!({}), json!({"hooks": {"internal": {"entries": {HOOK: {}}}}})] {
        assert_eq!(without_token(&config, true).unwrap().value, config);
    }
    let reference = json!({"hooks": {"internal": {"entries": {HOOK: {"env": {"SIGILUM_OWNER_TOKEN": "${T}"}}}}}});
    let planned = without_token(&reference, true).unwrap();
    assert_eq!(planned.value, reference);
    assert!(planned.notes[0].contains("not taken out"));
}

#[test]
fn unset_values_and_references() {
    for (value, unset, reference) in [
        ("", true, false),
        ("  ", true, false),
        ("eyJ.a.b", false, false),
        ("no-tokens", false, false),
        ("${A}", true, true),
        ("x${A_1}y", true, true),
        ("${a}", true, false),
        ("$${A}", true, false),
        ("$$${A}", true, false),
        ("$${A}${B}", true, true),
        ("$A $ ${", true, false),
        ("$", false, false),
    ] {
        assert_eq!((is_unset(value), is_reference(value)), (unset, reference), "{value:?}");
    }
    for len in [1, 5, 8, 9, 700] {
        assert_eq!(filler(len).len(), len);
        assert!(is_unset(&filler(len)));
    }
}

#[test]
fn shapes_that_openclaw_refuses() {
    let deep = |entry: Value| json!({"hooks": {"internal": {"entries": {HOOK: entry}}}});
    for (config, text) in [
        (json!({"hooks": "x"}), "hooks is text"),
        (json!({"hooks": null}), "hooks is null"),
        (json!({"hooks": {"internal": []}}), "hooks.internal is an array"),
        (
            json!({"hooks": {"internal": {"entries": []}}}),
            "hooks.internal.entries is an array",
        ),
        (deep(json!(null)), "entries.sigilum-authz-notify is null"),
        (deep(json!(true)), "is true or false"),
        (deep(json!({"enabled": "true"})), "enabled is text"),
        (deep(json!({"env": []})), "env is an array"),
        (
            deep(json!({"env": {"SIGILUM_OWNER_TOKEN": {"source": "env", "id": "X"}}})),
            "env.SIGILUM_OWNER_TOKEN is an object",
        ),
        (deep(json!({"env": {"N": 1}})), "env.N is a number"),
        (json!([]), "the config is an array"),
    ] {
        for error in [
            find(&config).unwrap_err(),
            wanted(&config, &want(Enable::True), &Installs::none()).err().unwrap(),
            removed(&config, Path::new(OPEN_DIR), &Installs::none()).err().unwrap(),
            without_token(&config, false).err().unwrap(),
        ] {
            assert_eq!(error.code, ExitCode::Config);
            assert!(error.to_string().contains(text), "{config}: {error}");
        }
    }
    for internal in [
        json!({"enabled": 1}),
        json!({"load": 1}),
        json!({"load": {"extraDirs": "x"}}),
        json!({"load": {"extraDirs": [1]}}),
    ] {
        let config = json!({"hooks": {"internal": internal}});
        assert_eq!(
            wanted(&config, &want(Enable::True), &Installs::none())
                .err()
                .unwrap()
                .code,
            ExitCode::Config
        );
        assert_eq!(
            selection(&config, &Installs::none()).unwrap_err().code,
            ExitCode::Config
        );
    }
}

#[test]
fn removal_keeps_what_others_see() {
    let ours = json!({"enabled": true, "env": env()});
    let dirs = json!({"extraDirs": [OPEN_DIR]});
    for (before, after) in [
        // We opened discovery: closed again with us.
        (
            json!({"enabled": true, "entries": {HOOK: ours}, "load": dirs}),
            json!({"enabled": true, "entries": {}}),
        ),
        // Somebody's entry came in between: closing would narrow what runs.
        (
            json!({"enabled": true, "entries": {HOOK: ours, "a": {}}, "load": dirs}),
            json!({"enabled": true, "entries": {"a": {}}, "load": dirs}),
        ),
        // Another folder keeps it open.
        (
            json!({"entries": {HOOK: ours, "a": {}}, "load": {"extraDirs": ["/x", OPEN_DIR]}}),
            json!({"entries": {"a": {}}, "load": {"extraDirs": ["/x"]}}),
        ),
        // Ours was the only declared hook: `enabled: true` alone would switch every hook on.
        (
            json!({"enabled": true, "entries": {HOOK: ours}}),
            json!({"entries": {}}),
        ),
        (json!({"entries": {HOOK: ours}}), json!({"entries": {}})),
        (
            json!({"enabled": false, "entries": {HOOK: ours, "a": {}}}),
            json!({"enabled": false, "entries": {"a": {}}}),
        ),
        (
            json!({"enabled": true, "entries": {HOOK: ours, "a": {}}}),
            json!({"enabled": true, "entries": {"a": {}}}),
        ),
        (json!({"enabled": true}), json!({"enabled": true})),
    ] {
        let config = json!({"hooks": {"internal": before}});
        let planned = removed(&config, Path::new(OPEN_DIR), &Installs::none()).unwrap();
        assert_eq!(planned.value["hooks"]["internal"], after, "{config}");
    }
}
