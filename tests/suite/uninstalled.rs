//! Properties of whole lives in one config: whatever was installed, switched and removed, the other hooks run as they
//! did, and an uninstall gives the bytes back.

use proptest::prelude::*;
use serde_json::{Value, json};
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::openclaw::config::{self, EditOptions};
use sigilum_authz_notify::openclaw::entry::Enable;
use sigilum_authz_notify::openclaw::entry::{self, HOOK, Installs, Wanted, selection};
use sigilum_authz_notify::openclaw::plugin;
use sigilum_authz_notify::openclaw::removal::{self, Undone};
use std::path::Path;

struct Home {
    _dir: tempfile::TempDir,
    place: OpenClawHome,
}

impl Home {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = OpenClawHome::at(dir.path().to_owned());
        std::fs::write(&place.config, text).unwrap();
        Self { _dir: dir, place }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.place.config).unwrap()
    }

    fn value(&self) -> Value {
        json5::from_str(&self.text()).unwrap()
    }

    /// One of ours: a login, a switch, an install of the plugin. `false` where it is refused.
    fn act(&self, act: &Act) -> bool {
        let options = EditOptions {
            force: act.force,
            ..EditOptions::default()
        };
        let token = "t".repeat(act.token).into();
        config::edit(&self.place, &options, &mut |ask| {
            if act.plugin {
                return Ok(plugin::wanted(ask.value, act.enable, Path::new("/ours/plugin"), true)?.value);
            }
            let want = Wanted {
                namespace: "alice",
                api_url: "http://127.0.0.1:8787",
                mode: "oss-local",
                token: Some(&token),
                replaces: None,
                token_in_config: None,
                barred: None,
                enable: act.enable,
                open_dir: &self.place.hook_dir(),
                force: act.force,
                keep_length: ask.keep_length,
            };
            Ok(entry::wanted(ask.value, &want, &Installs::none())?.value)
        })
        .is_ok()
    }

    fn uninstall(&self) {
        let options = EditOptions {
            give_back: true,
            force: true,
            ..EditOptions::default()
        };
        config::edit(&self.place, &options, &mut |ask| {
            let undone = Undone {
                value: ask.undone.unwrap(),
                certain: ask.certain,
                handler_back: false,
                is_ours: true,
                force: false,
            };
            let value = removal::uninstalled(ask.value, undone, &self.place.hook_dir(), &Installs::none())?.value;
            Ok(plugin::removed(&value, Path::new("/ours/plugin"))?.value)
        })
        .unwrap();
    }
}

#[derive(Debug, Clone)]
struct Act {
    enable: Enable,
    plugin: bool,
    force: bool,
    token: usize,
}

fn any_act(force: bool) -> impl Strategy<Value = Act> {
    let enable = prop_oneof![Just(Enable::True), Just(Enable::False), Just(Enable::Preserve)];
    (
        enable,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
        20..400_usize,
    )
        .prop_map(move |(enable, plugin, forced, token)| Act {
            enable,
            plugin,
            force: force && forced,
            token,
        })
}

fn any_flag() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![Just(None), Just(Some(true)), Just(Some(false))]
}

fn flagged(enabled: Option<bool>) -> Value {
    enabled.map_or_else(|| json!({}), |enabled| json!({"enabled": enabled}))
}

prop_compose! {
    /// A config as somebody may have it, in one of several styles.
    fn any_text()(
        master in any_flag(),
        entries in prop::option::of(prop::collection::btree_map("[ab]", any_flag(), 0..3)),
        dirs in prop::option::of(prop::collection::vec(prop_oneof![Just(" "), Just("/x")], 0..2)),
        allow in prop::option::of(prop::collection::vec("irc|x", 0..3)),
        style in 0..4,
    ) -> String {
        let mut config = json!({"gateway": {"mode": "local"}});
        if master.is_some() || entries.is_some() || dirs.is_some() {
            let mut internal = flagged(master);
            if let Some(entries) = entries {
                let entries = entries.into_iter().map(|(name, enabled)| (name, flagged(enabled)));
                internal["entries"] = Value::Object(entries.collect());
            }
            if let Some(dirs) = dirs {
                internal["load"] = json!({"extraDirs": dirs});
            }
            config["hooks"] = json!({"internal": internal});
        }
        if let Some(allow) = allow {
            config["plugins"] = json!({"allow": allow});
        }
        let pretty = serde_json::to_string_pretty(&config).unwrap();
        match style {
            0 => config.to_string(),
            1 => pretty.replace("\n", "\r\n"),
            2 => format!("// mine\n{}\n", pretty.replace("\": {", "\": { // here\n").replace("  ", "\t")),
            _ => format!("\u{feff}{pretty} /* end */"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_bytes_come_back(text in any_text(), acts in prop::collection::vec(any_act(true), 1..5)) {
        let home = Home::new(&text);
        for act in &acts {
            home.act(act);
        }
        home.uninstall();
        prop_assert_eq!(home.text(), text);
        prop_assert!(!home.place.undo_file().exists());
    }

    /// Somebody else's write in between, as OpenClaw writes: strict JSON, and a hook more or a master flag changed.
    #[test]
    fn what_others_changed_stays_and_what_runs_runs(
        text in any_text(),
        acts in prop::collection::vec(any_act(false), 1..4),
        theirs in prop_oneof![
            any_flag().prop_map(|enabled| ("/hooks/internal/entries/c", Some(flagged(enabled)))),
            any_flag().prop_map(|master| ("/hooks/internal/enabled", master.map(Value::from))),
            Just(("/meta", Some(json!({"lastTouchedVersion": "1"})))),
        ],
        more in prop::collection::vec(any_act(false), 0..2),
    ) {
        let home = Home::new(&text);
        for act in &acts {
            home.act(act);
        }
        let mut value = home.value();
        put(&mut value, theirs.0, theirs.1.clone());
        std::fs::write(&home.place.config, serde_json::to_string_pretty(&value).unwrap()).unwrap();
        for act in &more {
            home.act(act);
        }
        let before = selection(&home.value(), &Installs::none()).unwrap();
        home.uninstall();
        let value = home.value();
        prop_assert_eq!(selection(&value, &Installs::none()).unwrap(), before, "{}", value);
        let entries = value.pointer("/hooks/internal/entries");
        prop_assert!(entries.is_none_or(|entries| entries.get(HOOK).is_none()));
        if theirs.0 != "/hooks/internal/enabled" {
            prop_assert_eq!(value.pointer(theirs.0), theirs.1.as_ref());
        }
    }
}

/// Sets a member, making the objects on the way; `None` takes it out.
fn put(value: &mut Value, path: &str, member: Option<Value>) {
    let (objects, key) = path.rsplit_once('/').unwrap();
    let at = objects.split('/').skip(1).fold(value, |at, key| {
        at.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}))
    });
    let at = at.as_object_mut().unwrap();
    match member {
        Some(member) => drop(at.insert(key.to_owned(), member)),
        None => drop(at.shift_remove(key)),
    }
}
