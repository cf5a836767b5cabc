use super::*;
use serde_json::json;

fn existing() -> Connection {
    serde_json::from_value(json!({
        "id": "linear", "name": "Linear", "protocol": "http", "base_url": "https://api.linear.app",
        "path_prefix": "/v1", "auth_mode": "header_key", "auth_header_name": "X-Key", "auth_prefix": "Key ",
        "auth_secret_key": "upstream_key", "credential_keys": ["upstream_key", "other"],
        "mcp_tool_policy": {}, "mcp_discovery": {"tools": null}, "status": "active",
        "created_at": "2026-11-01T00:00:00Z", "rotation_interval_days": 30, "secret_version": 3
    }))
    .unwrap()
}

fn wanted(change: impl FnOnce(&mut Wanted)) -> Wanted {
    let mut wanted = Wanted {
        id: "linear".to_owned(),
        ..Wanted::default()
    };
    change(&mut wanted);
    wanted
}

fn url(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_new_connection_has_the_defaults_of_its_mode_under_what_was_asked_for() {
    for (mode, header, prefix, key) in [
        (None, "Authorization", "Bearer ", "access_token"),
        (Some("bearer"), "Authorization", "Bearer ", "access_token"),
        (Some("header_key"), "X-linear-Key", "", "upstream_key"),
        (Some("query_param"), "api_key", "", "api_key"),
    ] {
        let plain = wanted(|w| {
            w.base_url = url("https://api.linear.app/");
            w.auth_mode = mode;
        });
        let Ok(Plan::Create(new)) = plan(None, &plain) else {
            panic!("{mode:?}")
        };
        assert_eq!(
            (
                &*new.base_url,
                &*new.auth_mode,
                &*new.auth_header_name,
                &*new.auth_prefix,
                &*new.auth_secret_key
            ),
            ("https://api.linear.app", mode.unwrap_or("bearer"), header, prefix, key)
        );
        assert_eq!((&*new.name, &*new.protocol), ("linear", "http"));
    }
    let full = wanted(|w| {
        w.base_url = url("https://x.test");
        w.name = Some("X".to_owned());
        w.header = Some("X-H".to_owned());
        w.prefix = Some("T ".to_owned());
        w.secret_key = Some("k".to_owned());
    });
    let Ok(Plan::Create(new)) = plan(None, &full) else {
        panic!()
    };
    assert_eq!(
        (
            &*new.name,
            &*new.auth_header_name,
            &*new.auth_prefix,
            &*new.auth_secret_key
        ),
        ("X", "X-H", "T ", "k")
    );
    assert_eq!(plan(None, &wanted(|_| ())), Err(PlanError::NoBaseUrl));
}

#[test]
fn of_an_existing_connection_only_what_was_asked_for_and_differs_changes() {
    type Case = (fn(&mut Wanted), Option<&'static str>, Patch);
    let same: Patch = Patch::default();
    let cases: [Case; 9] = [
        (|_| (), None, same.clone()),
        (|w| w.base_url = url("https://api.linear.app/"), None, same.clone()),
        (|w| w.base_url = url("HTTPS://API.linear.app:443"), None, same.clone()),
        (|w| w.auth_mode = Some("header_key"), None, same.clone()),
        (
            |w| w.auth_mode = Some("query_param"),
            None,
            Patch {
                auth_mode: Some("query_param".to_owned()),
                ..Patch::default()
            },
        ),
        (
            |w| {
                w.name = Some("Linear".to_owned());
                w.header = Some("X-Other".to_owned());
                w.prefix = Some("Key ".to_owned());
            },
            None,
            Patch {
                auth_header_name: Some("X-Other".to_owned()),
                ..Patch::default()
            },
        ),
        // The connection's own key is the default one.
        (|w| w.secret_given = true, Some("upstream_key"), same.clone()),
        // A key that is there already needs no secret.
        (
            |w| w.secret_key = Some("other".to_owned()),
            None,
            Patch {
                auth_secret_key: Some("other".to_owned()),
                ..Patch::default()
            },
        ),
        // A new key: rotate first, PATCH after.
        (
            |w| {
                w.secret_key = Some("new".to_owned());
                w.secret_given = true;
            },
            Some("new"),
            Patch {
                auth_secret_key: Some("new".to_owned()),
                ..Patch::default()
            },
        ),
    ];
    for (index, (ask, rotate, patch)) in cases.into_iter().enumerate() {
        assert_eq!(
            plan(Some(&existing()), &wanted(ask)),
            Ok(Plan::Change {
                rotate: rotate.map(str::to_owned),
                patch
            }),
            "case {index}"
        );
    }
}

#[test]
fn what_the_gateway_cannot_do_is_said_before_anything_changes() {
    type Case = (fn(&mut Wanted), PlanError);
    let cases: [Case; 2] = [
        (
            |w| w.secret_key = Some("unknown".to_owned()),
            PlanError::NoSecret("unknown".to_owned()),
        ),
        (
            |w| {
                w.auth_mode = Some("bearer");
                w.prefix = Some(String::new());
            },
            PlanError::BareBearer,
        ),
    ];
    for (ask, error) in cases {
        assert_eq!(plan(Some(&existing()), &wanted(ask)), Err(error));
    }
    let mut keyless = existing();
    keyless.auth_secret_key.clear();
    assert_eq!(
        plan(Some(&keyless), &wanted(|w| w.secret_given = true)),
        Err(PlanError::NoKey)
    );
}

#[test]
fn a_changed_base_url_or_an_emptied_prefix_makes_the_connection_again_with_all_it_had() {
    type Case = (fn(&mut Wanted), &'static [&'static str]);
    let cases: [Case; 7] = [
        (|w| w.base_url = url("https://b.test/"), &["upstream_key", "other"]),
        (
            |w| {
                w.base_url = url("https://b.test");
                w.stored_key = Some("upstream_key".to_owned());
            },
            &["other"],
        ),
        // What is stored for another key than the one that it shall send is lost.
        (
            |w| {
                w.base_url = url("https://b.test");
                w.stored_key = Some("upstream_key".to_owned());
                w.secret_key = Some("new".to_owned());
                w.secret_given = true;
            },
            &["upstream_key", "other"],
        ),
        (
            |w| {
                w.base_url = url("https://b.test");
                w.stored_key = Some("upstream_key".to_owned());
                w.secret_key = Some("other".to_owned());
            },
            &["upstream_key", "other"],
        ),
        (
            |w| {
                w.base_url = url("https://b.test");
                w.secret_given = true;
            },
            &["other"],
        ),
        (
            |w| {
                w.base_url = url("https://b.test");
                w.secret_given = true;
                w.secret_key = Some("other".to_owned());
            },
            &["upstream_key"],
        ),
        (|w| w.prefix = Some(String::new()), &["upstream_key", "other"]),
    ];
    for (index, (ask, expected)) in cases.into_iter().enumerate() {
        let wanted = wanted(ask);
        let Ok(Plan::Recreate { new, lost }) = plan(Some(&existing()), &wanted) else {
            panic!("case {index}")
        };
        assert_eq!(lost, expected, "case {index}");
        let old = NewConnection::like(&existing());
        let expected = overlay(old.clone(), &wanted);
        assert_eq!(new, expected);
        assert_eq!(
            (&*new.path_prefix, new.rotation_interval_days, &*new.name),
            ("/v1", 30, "Linear")
        );
        assert_ne!(new, old);
    }
}

#[test]
fn mcp_settings_travel_with_an_mcp_connection_and_with_no_other() {
    let mut old = existing();
    let policy = json!({"allowlist": ["a"], "denylist": ["b"], "max_tools_exposed": 4});
    old.mcp_tool_policy = serde_json::from_value(policy).unwrap();
    old.mcp_transport = "streamable_http".to_owned();
    let body = |old: &Connection| serde_json::to_value(NewConnection::like(old)).unwrap();
    assert!(
        body(&old)
            .as_object()
            .unwrap()
            .keys()
            .all(|name| !name.starts_with("mcp_"))
    );
    old.protocol = "mcp".to_owned();
    let body = body(&old);
    assert_eq!(body["mcp_tool_allowlist"], json!(["a"]));
    assert_eq!(body["mcp_tool_denylist"], json!(["b"]));
    assert_eq!(body["mcp_max_tools_exposed"], json!(4));
    assert_eq!(body["mcp_transport"], json!("streamable_http"));
}

#[test]
fn a_connection_made_again_gets_by_patch_what_its_making_did_not_take() {
    let new = NewConnection::like(&existing());
    let mut made = existing();
    made.status = "active".to_owned();
    made.rotation_interval_days = 0;
    assert_eq!(
        still_lacks(&made, &new, "disabled"),
        Patch {
            rotation_interval_days: Some(30),
            status: Some("disabled".to_owned()),
            ..Patch::default()
        }
    );
    assert!(still_lacks(&existing(), &new, "active").is_empty());
}
