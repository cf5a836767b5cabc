//! What a config means that includes others, which file an edit goes to, and what is refused.

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
        texts.retain(|name, _| !name.starts_with(".sigilum/") && name != "inside.json5");
        texts
    }
}

fn with_token(config: &Value, token: &str) -> Value {
    let mut config = config.clone();
    config["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"] = json!(token);
    config
}

fn with_namespace(config: &Value, namespace: &str) -> Value {
    let mut config = config.clone();
    config["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_NAMESPACE"] = json!(namespace);
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
            Ok(with_namespace(ask.value, "n1"))
        });
        let outcome = outcome.unwrap();
        let included = fs::canonicalize(home.place.home.join("part.json5")).unwrap();
        assert_eq!(outcome.files, std::slice::from_ref(&included), "{main}");
        // The config as it was, to the inode; the included file edited, as open to others as it was.
        let after = fs::metadata(&home.place.config).unwrap();
        assert_eq!((before.ino(), before.mode() & 0o777), (after.ino(), 0o644));
        assert_eq!(fs::metadata(&included).unwrap().mode() & 0o777, 0o644);
        assert!(outcome.notes.is_empty(), "{:?}", outcome.notes);
        let texts = home.texts();
        assert_eq!(texts["openclaw.json"], main);
        assert!(texts["part.json5"].starts_with("// kept\n") && texts["part.json5"].contains("\"n1\""));
        assert_eq!(texts.len(), 3);
        let value = home.value();
        assert_eq!(
            value["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_NAMESPACE"],
            "n1"
        );
        let files = config::read(&home.place).unwrap().unwrap().files;
        assert_eq!(files, [fs::canonicalize(&home.place.config).unwrap(), included]);
        assert!(!home.edit(|ask| Ok(with_namespace(ask.value, "n1"))).unwrap().changed);
    }
}

#[test]
fn one_edit_may_change_both_files() {
    let main = "{ hooks: { internal: { entries: { $include: './entries.json' } } } } // end";
    let home = Home::new(&[("openclaw.json", main), ("entries.json", "{}")]);
    let outcome = home.edit(|ask| Ok(enabled(&with_namespace(ask.value, "n")))).unwrap();
    assert_eq!(outcome.files.len(), 2);
    let texts = home.texts();
    assert_eq!(
        texts["openclaw.json"]
            .replace("enabled: true, ", "")
            .replace(", enabled: true", ""),
        main
    );
    assert!(texts["entries.json"].contains("\"n\""));
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

/// What the config, an included file, and the file that an edit goes to afterwards hold. `{env}` and the like stand for
/// what is edited.
#[test]
fn an_edit_goes_where_openclaw_reads_it() {
    let env = r#"{"SIGILUM_NAMESPACE":"n"}"#;
    let entries = format!(r#"{{"{HOOK}":{{"env":{env}}}}}"#);
    let internal = format!(r#"{{"entries":{entries}}}"#);
    let hooks = format!(r#"{{"internal":{internal}}}"#);
    let fill = |text: &str| {
        let parts = [("{hooks}", &hooks), ("{internal}", &internal), ("{entries}", &entries)];
        let text = parts
            .iter()
            .fold(text.to_owned(), |text, (name, part)| text.replace(name, part));
        text.replace("{env}", env).replace("HOOK", HOOK)
    };
    const PART: &str = r#"{"$include":"./part.json5"}"#;
    const MORE: &str = r#"{"$include":"./more.json5"}"#;
    let table = [
        ("the root", PART, "{}", "openclaw.json", r#"{"hooks":{hooks}}"#),
        (
            "the root, several",
            r#"{"$include":["./part.json5","./more.json5"]}"#,
            "{}",
            "openclaw.json",
            r#"{"hooks":{hooks}}"#,
        ),
        (
            "the root, no file",
            r#"{"$include":[],"gateway":{}}"#,
            "{}",
            "openclaw.json",
            r#"{"gateway":{},"hooks":{hooks}}"#,
        ),
        (
            "no file",
            r#"{"hooks":{"$include":[]}}"#,
            "{}",
            "openclaw.json",
            r#"{"hooks":{"$include":[],"internal":{internal}}}"#,
        ),
        (
            "the root, with the entry in it",
            r#"{"$include":"./part.json5","gateway":{}}"#,
            r#"{"hooks":{"internal":{"entries":{"HOOK":{"enabled":true}}}}}"#,
            "openclaw.json",
            r#"{"gateway":{},"hooks":{hooks}}"#,
        ),
        (
            "several files",
            r#"{"hooks":{"$include":["./part.json5","./more.json5"]}}"#,
            r#"{"internal":{"enabled":true}}"#,
            "openclaw.json",
            r#"{"hooks":{"$include":["./part.json5","./more.json5"],"internal":{internal}}}"#,
        ),
        (
            "members beside",
            r#"{"hooks":{"$include":"./part.json5","path":"/x"}}"#,
            "{}",
            "openclaw.json",
            r#"{"hooks":{"$include":"./part.json5","path":"/x","internal":{internal}}}"#,
        ),
        (
            "members beside, deeper",
            r#"{"hooks":{"internal":{"$include":"./part.json5","enabled":true}}}"#,
            "{}",
            "openclaw.json",
            r#"{"hooks":{"internal":{"$include":"./part.json5","enabled":true,"entries":{entries}}}}"#,
        ),
        (
            "an include of an include",
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            MORE,
            "more.json5",
            r#"{"internal":{internal}}"#,
        ),
        (
            "an include in an include",
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"internal":{"$include":"./more.json5"}}"#,
            "more.json5",
            r#"{"entries":{entries}}"#,
        ),
        (
            "several files in an include",
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"$include":["./more.json5"]}"#,
            "part.json5",
            r#"{"internal":{internal}}"#,
        ),
        (
            "an include under the root's",
            r#"{"$include":"./part.json5","hooks":{"$include":"./more.json5"}}"#,
            r#"{"hooks":{"internal":{"enabled":true}}}"#,
            "more.json5",
            r#"{"internal":{internal}}"#,
        ),
        (
            "a link",
            r#"{"hooks":{"$include":"./inside.json5"}}"#,
            "{}",
            "part.json5",
            r#"{"internal":{internal}}"#,
        ),
        (
            "the entry",
            r#"{"hooks":{"internal":{"entries":{"HOOK":{"$include":"./part.json5"}}}}}"#,
            r#"{"enabled":true}"#,
            "part.json5",
            r#"{"enabled":true,"env":{env}}"#,
        ),
        (
            "its env",
            r#"{"hooks":{"internal":{"entries":{"HOOK":{"env":{"$include":"./part.json5"}}}}}}"#,
            "{}",
            "part.json5",
            "{env}",
        ),
        (
            "a folder further in",
            r#"{"hooks":{"$include":"./sub/deep.json5"}}"#,
            "{}",
            "sub/more.json5",
            r#"{"internal":{internal}}"#,
        ),
        (
            "a file outside",
            r#"{"hooks":{"$include":"../roots/far.json5"}}"#,
            "{}",
            "openclaw.json",
            r#"{"hooks":{"$include":"../roots/far.json5","internal":{internal}}}"#,
        ),
    ];
    for (what, main, part, file, after) in table {
        let (main, part) = (fill(main), fill(part));
        let mut home = Home::new(&[
            ("openclaw.json", &main),
            ("part.json5", &part),
            ("more.json5", "{}"),
            ("sub/deep.json5", r#"{"$include":"./more.json5"}"#),
            ("sub/more.json5", "{}"),
        ]);
        symlink("part.json5", home.place.home.join("inside.json5")).unwrap();
        let roots = home.dir.path().join("roots");
        fs::create_dir(&roots).unwrap();
        fs::write(roots.join("far.json5"), r#"{"internal":{"enabled":true}}"#).unwrap();
        home.place.include_roots = vec![roots.clone()];
        let before = home.texts();
        let (mut was, mut wanted) = (Value::Null, Value::Null);
        let outcome = home.edit(|ask| {
            was = ask.value.clone();
            wanted = with_namespace(ask.value, "n");
            Ok(wanted.clone())
        });
        assert!(outcome.unwrap().changed, "{what}");
        assert_eq!(home.value(), wanted, "{what}");
        let mut texts = home.texts();
        let changed = texts.remove(file).unwrap();
        let mut found: Value = json5::from_str(&changed).unwrap();
        if what.starts_with("the root") || what == "several files in an include" {
            let include = found.as_object_mut().unwrap().shift_remove("$include");
            assert_eq!(
                include,
                json5::from_str::<Value>(&before[file])
                    .unwrap()
                    .get("$include")
                    .cloned()
            );
        }
        assert_eq!(found, serde_json::from_str::<Value>(&fill(after)).unwrap(), "{what}");
        // No other file, and the bytes of the include itself, stay as they were.
        assert!(texts.iter().all(|(name, text)| before[name] == *text), "{what}");
        assert_eq!(
            changed.contains("$include"),
            before[file].contains("$include"),
            "{what}"
        );
        assert_eq!(
            fs::read_to_string(roots.join("far.json5")).unwrap(),
            r#"{"internal":{"enabled":true}}"#
        );
        // What was put there is taken out again.
        assert!(home.edit(|_| Ok(was.clone())).unwrap().changed, "{what}");
        assert_eq!(home.value(), was, "{what}");
    }
}

/// As OpenClaw lays files over each other: members are merged, arrays follow each other, and else the later one counts.
#[test]
fn files_lie_over_each_other_as_openclaw_lays_them() {
    let main =
        r#"{"$include":["./a.json","./b.json"],"agents":{"defaults":{"workspace":"/mine"}},"list":[3],"gone":null}"#;
    let home = Home::new(&[
        ("openclaw.json", main),
        (
            "a.json",
            r#"{"agents":{"defaults":{"workspace":"/a","model":"m"}},"list":[1],"gone":{"x":1},"text":{"y":1}}"#,
        ),
        ("b.json", r#"{"list":[2,{"$include":"./c.json"}],"text":"b"}"#),
        ("c.json", "[7]"),
    ]);
    assert_eq!(
        home.value(),
        json!({
            "agents": {"defaults": {"workspace": "/mine", "model": "m"}},
            "list": [1, 2, [7], 3],
            "gone": null,
            "text": "b",
        })
    );
    // An array gets what is new to it, and nothing of what lies under it.
    let base = r#"{"hooks":{"internal":{"load":{"extraDirs":["/theirs"]}}}}"#;
    let home = Home::new(&[("openclaw.json", r#"{"$include":["./a.json"]}"#), ("a.json", base)]);
    home.edit(|ask| {
        let mut value = ask.value.clone();
        let dirs = value.pointer_mut("/hooks/internal/load/extraDirs").unwrap();
        dirs.as_array_mut().unwrap().push(json!("/ours"));
        Ok(value)
    })
    .unwrap();
    let value: Value = json5::from_str(&home.texts()["openclaw.json"]).unwrap();
    assert_eq!(value["hooks"], json!({"internal": {"load": {"extraDirs": ["/ours"]}}}));
}

/// What lies under an include cannot be taken away from above: then a person gets the patch.
#[test]
fn what_no_edit_can_do_is_told_as_a_patch_and_nothing_is_written() {
    let base = format!(
        r#"{{"hooks":{{"internal":{{"entries":{{"{HOOK}":{{"enabled":true}}}},"load":{{"extraDirs":["/a","/b"]}}}}}}}}"#
    );
    let home = Home::new(&[
        ("openclaw.json", r#"{"$include":["./base.json"]}"#),
        ("base.json", &base),
    ]);
    let before = home.texts();
    let entry = format!("/hooks/internal/entries/{HOOK}");
    type Change = fn(&mut Value);
    let table: [(&str, Change); 2] = [
        (&entry, |value| {
            value["hooks"]["internal"]["entries"]
                .as_object_mut()
                .unwrap()
                .shift_remove(HOOK);
        }),
        ("/hooks/internal/load/extraDirs/0", |value| {
            value["hooks"]["internal"]["load"]["extraDirs"]
                .as_array_mut()
                .unwrap()
                .remove(0);
        }),
    ];
    for (path, change) in table {
        let outcome = home.edit(|ask| {
            let mut value = ask.value.clone();
            change(&mut value);
            Ok(value)
        });
        let outcome = outcome.unwrap();
        assert!(!outcome.changed && outcome.files.is_empty());
        let why = outcome.not_written.unwrap().to_string();
        assert!(why.contains("comes from an include"), "{why}");
        assert_eq!(outcome.patch.0[0].path().as_str(), path);
        assert_eq!(home.texts(), before);
    }
}

/// No secret goes into an included file, whatever leads to it; beside an include it stands in openclaw.json itself.
#[test]
fn a_token_goes_into_the_config_itself_alone() {
    let ours = |inner: &str| format!(r#"{{"hooks":{{"internal":{{"entries":{{"{HOOK}":{inner}}}}}}}}}"#);
    let include = r#"{"$include":"./part.json5"}"#;
    let more = r#"{"$include":"./more.json5"}"#;
    let table = [
        (format!(r#"{{"hooks":{include}}}"#), "{}", false),
        (format!(r#"{{"hooks":{{"internal":{include}}}}}"#), "{}", false),
        (
            format!(r#"{{"hooks":{{"internal":{{"entries":{include}}}}}}}"#),
            "{}",
            false,
        ),
        (ours(include), r#"{"enabled":true}"#, false),
        (ours(&format!(r#"{{"env":{include}}}"#)), "{}", false),
        (format!(r#"{{"hooks":{include}}}"#), more, false),
        (
            format!(r#"{{"hooks":{include}}}"#),
            r#"{"internal":{"$include":["./more.json5"]}}"#,
            false,
        ),
        (r#"{"hooks":{"$include":"./inside.json5"}}"#.to_owned(), "{}", false),
        (
            r#"{"$include":"./more.json5","hooks":{"$include":"./part.json5"}}"#.to_owned(),
            "{}",
            false,
        ),
        (include.to_owned(), "{}", true),
        (
            include.to_owned(),
            &ours(r#"{"enabled":true,"env":{"SIGILUM_OWNER_TOKEN":"old"}}"#),
            true,
        ),
        (r#"{"$include":["./part.json5","./more.json5"]}"#.to_owned(), "{}", true),
        (r#"{"hooks":{"$include":["./part.json5"]}}"#.to_owned(), "{}", true),
        (
            r#"{"hooks":{"$include":"./part.json5","path":"/x"}}"#.to_owned(),
            "{}",
            true,
        ),
        (r#"{"agents":{"$include":"./part.json5"}}"#.to_owned(), "{}", true),
    ];
    for (main, part, may) in table {
        let home = Home::new(&[("openclaw.json", &main), ("part.json5", part), ("more.json5", "{}")]);
        symlink("part.json5", home.place.home.join("inside.json5")).unwrap();
        let before = home.texts();
        let mut barred = None;
        let written = home.edit(|ask| {
            barred = ask.barred.map(str::to_owned);
            // Whatever the answer was.
            Ok(with_token(ask.value, "the-token"))
        });
        assert_eq!((written.is_ok(), barred.is_none()), (may, may), "{main}: {written:?}");
        let texts = home.texts();
        if may {
            assert!(texts["openclaw.json"].contains("the-token"), "{main}");
            assert_eq!(
                fs::metadata(&home.place.config).unwrap().mode() & 0o777,
                0o600,
                "{main}"
            );
        } else {
            assert_eq!(texts, before, "{main}");
            let why = barred.unwrap();
            assert!(why.contains("included file") && why.contains(".json5"), "{why}");
        }
        assert!(
            texts
                .iter()
                .all(|(name, text)| name == "openclaw.json" || !text.contains("the-token")),
            "{main}"
        );
    }
}

#[test]
fn an_include_that_openclaw_refuses_is_refused_and_nothing_written() {
    let table: &[(&str, &str, &str)] = &[
        (r#"{"$include":"./none.json5"}"#, "{}", "could not find"),
        (
            r#"{"$include":["./part.json5","./none.json5"]}"#,
            "{}",
            "could not find",
        ),
        (r#"{"$include":7}"#, "{}", "not a file name"),
        (r#"{"hooks":{"$include":7}}"#, "{}", "not a file name"),
        (r#"{"hooks":{"$include":["./part.json5",7]}}"#, "{}", "not a file name"),
        (
            r#"{"hooks":{"$include":"./part.json5"}}"#,
            r#"{"$include":"./part.json5"}"#,
            "too deep",
        ),
        (r#"{"hooks":{"$include":"../outside.json5"}}"#, "{}", "outside"),
        (r#"{"hooks":{"$include":"./link.json5"}}"#, "{}", "outside"),
        (r#"{"hooks":{"$include":"./hard.json5"}}"#, "{}", "several names"),
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
    ];
    for (main, part, says) in table {
        let home = Home::new(&[("openclaw.json", main), ("part.json5", part), ("more.json5", "{}")]);
        let outside = home.dir.path().join("outside.json5");
        fs::write(&outside, "{}").unwrap();
        symlink(&outside, home.place.home.join("link.json5")).unwrap();
        fs::hard_link(home.place.home.join("more.json5"), home.place.home.join("hard.json5")).unwrap();
        fs::write(home.place.home.join("x\u{202e}.json5"), "{}").unwrap();
        symlink("x\u{202e}.json5", home.place.home.join("odd.json5")).unwrap();
        let far = home.dir.path().join("\u{1b}\n  next: evil");
        fs::write(&far, "{}").unwrap();
        symlink(&far, home.place.home.join("far.json5")).unwrap();
        let before = home.texts();
        let error = home.edit(|ask| Ok(with_token(ask.value, "t"))).unwrap_err();
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
            let outcome = home
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
                .unwrap();
            let why = outcome.not_written.unwrap().to_string();
            assert!(why.contains("include"), "{pointer}: {why}");
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
    home.edit(|ask| Ok(with_namespace(ask.value, "n"))).unwrap();
    assert!(home.texts()["part.json5"].contains("\"n\""));
}
