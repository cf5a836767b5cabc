//! Which file an edit goes to where the config includes others, and what is refused.

use serde_json::{Value, json};
use sigilum_authz_notify::error::{ExitCode, Result};
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::openclaw::config::{self, Ask, EditOptions, EditOutcome};
use sigilum_authz_notify::openclaw::entry::HOOK;
use sigilum_authz_notify::text::is_plain;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

struct Home {
    dir: tempfile::TempDir,
    place: OpenClawHome,
}

impl Home {
    /// A home with these files in it; the first one is the config.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("claw");
        fs::create_dir(&home).unwrap();
        for (name, text) in files {
            let path = home.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        }
        let place = OpenClawHome {
            config: home.join(files[0].0),
            ..OpenClawHome::at(home)
        };
        Self { dir, place }
    }

    fn edit(&self, mut want: impl FnMut(&Ask<'_>) -> Result<Value>) -> Result<EditOutcome> {
        config::edit(&self.place, &EditOptions::default(), &mut want)
    }

    fn value(&self) -> Value {
        config::read(&self.place).unwrap().unwrap().value
    }

    fn texts(&self) -> BTreeMap<String, String> {
        fn walk(folder: &Path, root: &Path, texts: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, texts);
                } else {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    texts.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
        let mut texts = BTreeMap::new();
        walk(&self.place.home, &self.place.home, &mut texts);
        texts.retain(|name, _| !name.starts_with(".sigilum/"));
        texts
    }
}

fn with_token(config: &Value, token: &str) -> Value {
    let mut config = config.clone();
    config["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"] = json!(token);
    config
}

fn enabled(config: &Value) -> Value {
    let mut config = config.clone();
    config["hooks"]["internal"]["enabled"] = json!(true);
    config
}

#[test]
fn the_included_file_on_the_way_to_the_entry_is_the_one_that_is_edited() {
    let at = [
        (
            r#"{"x":1,"hooks":{"$include":"./part.json5"}}"#,
            json!({"internal":{"entries":{"other":{}}}}),
        ),
        (
            r#"{"x":1,hooks:{internal:{$include:'part.json5'}}}"#,
            json!({"entries":{"other":{}}}),
        ),
        (
            r#"{"x":1,"hooks":{"internal":{"entries":{"$include":"./sub/../part.json5"}}}}"#,
            json!({"other":{}}),
        ),
        (
            r#"{"x":1,"hooks":{"internal":{"entries":{"sigilum-authz-notify":{"$include":"./part.json5"}}}}}"#,
            json!({"enabled":false}),
        ),
        (r#"{"x":1,"hooks":{"$include":"./part.json5"}}"#, json!({})),
    ];
    for (main, part) in at {
        let part = format!("// kept\n{part}\n");
        let home = Home::new(&[("openclaw.json", main), ("part.json5", &part), ("sub/none", "")]);
        let before = fs::metadata(&home.place.config).unwrap();
        let outcome = home.edit(|ask| {
            assert_eq!(ask.value["x"], 1);
            assert!(ask.value.pointer("/hooks/$include").is_none());
            Ok(with_token(ask.value, "t1"))
        });
        let outcome = outcome.unwrap();
        let included = fs::canonicalize(home.place.home.join("part.json5")).unwrap();
        assert_eq!(outcome.files, std::slice::from_ref(&included), "{main}");
        // The config as it was, to the inode; the included file edited, private since it holds a token.
        let after = fs::metadata(&home.place.config).unwrap();
        assert_eq!((before.ino(), after.mode() & 0o777), (after.ino(), 0o644));
        assert_eq!(fs::metadata(&included).unwrap().mode() & 0o777, 0o600);
        assert!(
            outcome.notes.len() == 1 && outcome.notes[0].contains("part.json5"),
            "{:?}",
            outcome.notes
        );
        let texts = home.texts();
        assert_eq!(texts["openclaw.json"], main);
        assert!(texts["part.json5"].starts_with("// kept\n") && texts["part.json5"].contains("\"t1\""));
        assert_eq!(texts.len(), 3);
        let value = home.value();
        assert_eq!(
            value["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"],
            "t1"
        );
        let files = config::read(&home.place).unwrap().unwrap().files;
        assert_eq!(files, [fs::canonicalize(&home.place.config).unwrap(), included]);
        assert!(!home.edit(|ask| Ok(with_token(ask.value, "t1"))).unwrap().changed);
    }
}

#[test]
fn one_edit_may_change_both_files() {
    let main = "{ hooks: { internal: { entries: { $include: './entries.json' } } } } // end";
    let home = Home::new(&[("openclaw.json", main), ("entries.json", "{}")]);
    let outcome = home.edit(|ask| Ok(enabled(&with_token(ask.value, "t")))).unwrap();
    assert_eq!(outcome.files.len(), 2);
    let texts = home.texts();
    assert_eq!(
        texts["openclaw.json"]
            .replace("enabled: true, ", "")
            .replace(", enabled: true", ""),
        main
    );
    assert!(texts["entries.json"].contains("\"t\""));
    assert_eq!(home.value()["hooks"]["internal"]["enabled"], true);
}

#[test]
fn includes_elsewhere_are_left_alone() {
    let main = r#"{"agents":{"$include":["./a.json","./none.json"]},"hooks":{"other":{"$include":"/etc/x"},"internal":{"entries":{"foo":{"$include":"foo.json"}}}}}"#;
    let home = Home::new(&[("openclaw.json", main)]);
    home.edit(|ask| Ok(with_token(ask.value, "t"))).unwrap();
    let mut value = home.value();
    value["hooks"]["internal"]["entries"]
        .as_object_mut()
        .unwrap()
        .shift_remove(HOOK);
    assert_eq!(value, serde_json::from_str::<Value>(main).unwrap());
}

#[test]
fn every_other_include_on_the_way_is_refused_and_nothing_written() {
    let entry = |inner: &str| format!(r#"{{"hooks":{{"internal":{{"entries":{{"{HOOK}":{inner}}}}}}}}}"#);
    let env = entry(r#"{"env":{"$include":"./part.json5"}}"#);
    let table: &[(&str, &str, &str)] = &[
        (r#"{"$include":"./part.json5"}"#, "{}", "whole config"),
        (r#"{"$include":"./part.json5","hooks":{}}"#, "{}", "whole config"),
        (r#"{"hooks":{"$include":["./part.json5"]}}"#, "{}", "several"),
        (r#"{"hooks":{"$include":"./part.json5","internal":{}}}"#, "{}", "beside"),
        (
            r#"{"hooks":{"internal":{"$include":"./part.json5","enabled":true}}}"#,
            "{}",
            "beside",
        ),
        (r#"{"hooks":{"$include":7}}"#, "{}", "not a file name"),
        (
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"$include":"./more.json5"}"#,
            "itself included",
        ),
        (
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"internal":{"$include":"./more.json5"}}"#,
            "itself included",
        ),
        (r#"{"hooks":{"$include":"../outside.json5"}}"#, "{}", "outside"),
        (r#"{"hooks":{"$include":"./link.json5"}}"#, "{}", "outside"),
        (r#"{"hooks":{"$include":"./none.json5"}}"#, "{}", "could not find"),
        (r#"{"hooks":{"$include":"./openclaw.json"}}"#, "{}", "the config itself"),
        (
            r#"{"hooks":{"$include":"./\u009b2J\n  next: evil"}}"#,
            "{}",
            "cannot be shown, ./·2J·  next: evil",
        ),
        (
            r#"{"hooks":{"$include":"./odd.json5"}}"#,
            "{}",
            "cannot be shown, x·.json5",
        ),
        (
            r#"{"hooks":{"$include":"./far.json5"}}"#,
            "{}",
            "outside of the config's folder, ",
        ),
        (r#"{"hooks":{"$include":"./part.json5"}}"#, "[]", "line 1"),
        (r#"{"hooks":{"$include":"./part.json5"}}"#, "{\n broken", "line 2"),
        (
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"internal":{},"internal":{}}"#,
            "twice",
        ),
        (
            r#"{"hooks":{"internal":{"load":{"$include":"./part.json5"}}}}"#,
            "{}",
            "includes another file",
        ),
        (&env, "{}", "is an include"),
    ];
    for (main, part, says) in table {
        let home = Home::new(&[("openclaw.json", main), ("part.json5", part), ("more.json5", "{}")]);
        let outside = home.dir.path().join("outside.json5");
        fs::write(&outside, "{}").unwrap();
        symlink(&outside, home.place.home.join("link.json5")).unwrap();
        fs::write(home.place.home.join("x\u{202e}.json5"), "{}").unwrap();
        symlink("x\u{202e}.json5", home.place.home.join("odd.json5")).unwrap();
        let far = home.dir.path().join("\u{1b}\n  next: evil");
        fs::write(&far, "{}").unwrap();
        symlink(&far, home.place.home.join("far.json5")).unwrap();
        let before = home.texts();
        let error = home
            .edit(|ask| {
                let mut value = with_token(ask.value, "t");
                if says == &"includes another file" {
                    value["hooks"]["internal"]["load"]["extraDirs"] = json!(["x"]);
                }
                Ok(value)
            })
            .unwrap_err();
        assert_eq!(error.code, ExitCode::Config);
        let error = error.to_string();
        assert!(error.contains(says), "{main}: {error}");
        assert!(error.chars().all(|c| c == '\n' || is_plain(c)), "{main}: {error:?}");
        assert!(error.matches("\n  next: ").count() <= 1, "{main}: {error:?}");
        assert_eq!(home.texts(), before);
    }
}

#[test]
fn an_include_is_never_replaced_or_removed_but_for_our_own_entry() {
    let ours = format!(r#"{{"hooks":{{"internal":{{"entries":{{"{HOOK}":{{"$include":"./part.json5"}}}}}}}}}}"#);
    let home = Home::new(&[("openclaw.json", &ours), ("part.json5", r#"{"enabled":true}"#)]);
    home.edit(|ask| {
        let mut value = ask.value.clone();
        value["hooks"]["internal"]["entries"]
            .as_object_mut()
            .unwrap()
            .shift_remove(HOOK);
        Ok(value)
    })
    .unwrap();
    assert_eq!(home.value(), json!({"hooks":{"internal":{"entries":{}}}}));
    assert_eq!(home.texts()["part.json5"], r#"{"enabled":true}"#);

    let theirs = r#"{"hooks":{"internal":{"entries":{"$include":"./part.json5"},"load":{"$include":"./part.json5"}}}}"#;
    for pointer in [
        "/hooks/internal/entries",
        "/hooks/internal/load",
        "/hooks/internal",
        "/hooks",
    ] {
        let home = Home::new(&[("openclaw.json", theirs), ("part.json5", "{}")]);
        for replace in [false, true] {
            let error = home
                .edit(|ask| {
                    let mut value = ask.value.clone();
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                    if replace {
                        parent.insert(key.to_owned(), json!("text"));
                    } else {
                        parent.shift_remove(key);
                    }
                    Ok(value)
                })
                .unwrap_err();
            assert!(error.to_string().contains("include"), "{pointer}: {error}");
            assert_eq!(home.texts()["openclaw.json"], theirs);
        }
    }
}

#[test]
fn an_include_of_a_linked_config_is_looked_for_beside_the_link() {
    let home = Home::new(&[("openclaw.json", "{}"), ("part.json5", "{}")]);
    let target = home.dir.path().join("target.json");
    fs::write(&target, r#"{"hooks":{"$include":"./part.json5"}}"#).unwrap();
    fs::remove_file(&home.place.config).unwrap();
    symlink(&target, &home.place.config).unwrap();
    home.edit(|ask| Ok(with_token(ask.value, "t"))).unwrap();
    assert!(home.texts()["part.json5"].contains("\"t\""));
}
