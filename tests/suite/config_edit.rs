//! The edit of openclaw.json: what lies on disk afterwards, and who else was at it.

use serde_json::{Value, json};
use sigilum_authz_notify::error::{ExitCode, Result};
use sigilum_authz_notify::fs::{is_temp_name, lock_sigilum};
use sigilum_authz_notify::home::OpenClawHome;
use sigilum_authz_notify::openclaw::config::{self, Ask, EditOptions, EditOutcome, NotWritten};
use sigilum_authz_notify::openclaw::entry::HOOK;
use sigilum_authz_notify::openclaw::lock::{self, LockOptions};
use sigilum_authz_notify::text::filler;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Home {
    dir: tempfile::TempDir,
    place: OpenClawHome,
}

impl Home {
    fn new(config: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(".openclaw");
        fs::create_dir(&home).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
        let place = OpenClawHome::at(home);
        if let Some(text) = config {
            fs::write(&place.config, text).unwrap();
            chmod(&place.config, 0o600);
        }
        Self { dir, place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.home.join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.place.config).unwrap()
    }

    fn value(&self) -> Value {
        config::read(&self.place).unwrap().unwrap().value
    }

    /// Everything in the home but `.sigilum`.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.place.home)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".sigilum")
            .collect();
        names.sort();
        names
    }

    fn edit(&self, want: impl FnMut(&Ask<'_>) -> Result<Value>) -> Result<EditOutcome> {
        self.edit_with(&EditOptions::default(), want)
    }

    fn edit_with(
        &self,
        options: &EditOptions<'_>,
        mut want: impl FnMut(&Ask<'_>) -> Result<Value>,
    ) -> Result<EditOutcome> {
        config::edit(&self.place, options, &mut want)
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// The config with this token in our entry.
fn with_token(config: &Value, token: &str) -> Value {
    let mut config = config.clone();
    config["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"] = json!(token);
    config
}

fn put(token: &str) -> impl FnMut(&Ask<'_>) -> Result<Value> {
    let token = token.to_owned();
    move |ask| Ok(with_token(ask.value, &token))
}

/// Takes the token out, or overwrites it.
fn take_out(ask: &Ask<'_>) -> Result<Value> {
    let mut config = ask.value.clone();
    let env = config["hooks"]["internal"]["entries"][HOOK]["env"]
        .as_object_mut()
        .unwrap();
    let old = env.shift_remove("SIGILUM_OWNER_TOKEN").unwrap();
    if ask.keep_length {
        let text = filler(old.as_str().unwrap().len());
        env.insert("SIGILUM_OWNER_TOKEN".to_owned(), text.into());
    }
    Ok(config)
}

fn token_of(config: &Value) -> &str {
    config["hooks"]["internal"]["entries"][HOOK]["env"]["SIGILUM_OWNER_TOKEN"]
        .as_str()
        .unwrap_or("none")
}

fn quick() -> EditOptions<'static> {
    EditOptions {
        lock: LockOptions { tries: 2 },
        ..EditOptions::default()
    }
}

const COMMENTED: &str = "// mine\n{\n  gateway: { mode: 'local' }, // here\n  meta: { v: 1 },\n}\n";

#[test]
fn an_edit_changes_only_its_members_and_leaves_nothing_behind() {
    let home = Home::new(Some(COMMENTED));
    let outcome = home.edit(put("t1")).unwrap();
    assert!(outcome.changed && !outcome.created && outcome.not_written.is_none());
    assert_eq!(outcome.files, [fs::canonicalize(&home.place.config).unwrap()]);
    let text = home.text();
    assert!(
        text.starts_with("// mine\n{\n  gateway: { mode: 'local' }, // here\n  meta: { v: 1 },"),
        "{text}"
    );
    assert_eq!(token_of(&home.value()), "t1");
    assert_eq!(home.value()["gateway"]["mode"], "local");
    assert_eq!(home.names(), ["openclaw.json"]);
    home.edit(put("t2")).unwrap();
    assert_eq!(home.text(), text.replace("t1", "t2"));
}

/// OpenClaw reads it, so do we.
#[test]
fn half_of_a_surrogate_pair_stays_as_it_is() {
    let text = r#"{"note": "cut \ud83d", "hooks": {"internal": {"entries": {"a\udE00": {}}}}}"#;
    let home = Home::new(Some(text));
    home.edit(put("t1")).unwrap();
    let entry = format!(r#""{HOOK}": {{"env": {{"SIGILUM_OWNER_TOKEN": "t1"}}}}"#);
    assert_eq!(home.text(), text.replace("{}}", &format!("{{}}, {entry}}}")));
    home.edit(take_out).unwrap();
    assert_eq!(
        home.text(),
        text.replace("{}}", &format!("{{}}, \"{HOOK}\": {{\"env\": {{}}}}}}"))
    );
}

/// OpenClaw reads any bytes, and a NUL, where text may be.
#[test]
fn what_is_no_utf_8_stays_as_it_is() {
    let old: &[u8] = b"{\n  // caf\xe9\n  note: '\xff \0 na\xefve',\n  meta: {'\xc3': 1},\n}\n";
    let home = Home::new(None);
    fs::write(&home.place.config, old).unwrap();
    home.edit(put("t1")).unwrap();
    home.edit(put("t2")).unwrap();
    let text = fs::read(&home.place.config).unwrap();
    let kept = &old[..old.len() - "\n}\n".len()];
    assert!(text.starts_with(kept), "{}", String::from_utf8_lossy(&text));
    let value = config::read(&home.place).unwrap().unwrap().value;
    assert_eq!(token_of(&value), "t2");
    let token = "t2".to_owned().into();
    assert_eq!(config::files_with(&home.place, &token).len(), 1);
    let options = EditOptions {
        give_back: true,
        ..EditOptions::default()
    };
    let outcome = config::edit(&home.place, &options, &mut |ask| Ok(ask.undone.unwrap().clone())).unwrap();
    assert!(outcome.changed && !outcome.deleted);
    assert_eq!(fs::read(&home.place.config).unwrap(), old);
}

#[test]
fn nothing_wanted_is_nothing_written() {
    let home = Home::new(Some(COMMENTED));
    home.edit(put("t1")).unwrap();
    let before = fs::metadata(&home.place.config).unwrap();
    let outcome = home.edit(put("t1")).unwrap();
    assert!(!outcome.changed && outcome.patch.0.is_empty() && outcome.files.is_empty());
    let after = fs::metadata(&home.place.config).unwrap();
    assert_eq!(
        (before.ino(), before.mtime(), before.mtime_nsec(), before.ctime_nsec()),
        (after.ino(), after.mtime(), after.mtime_nsec(), after.ctime_nsec())
    );
    // Nothing wanted of a missing file makes none.
    let home = Home::new(None);
    let outcome = home.edit(|ask| Ok(ask.value.clone())).unwrap();
    assert!(!outcome.created && home.names().is_empty());
}

#[test]
fn a_missing_config_is_made_private_with_its_folder() {
    let home = Home::new(None);
    let place = OpenClawHome {
        config: home.path("deep/er/other.json"),
        ..home.place.clone()
    };
    assert!(config::read(&place).unwrap().is_none());
    let mut asked = None;
    let outcome = config::edit(&place, &EditOptions::default(), &mut |ask| {
        asked = Some((ask.value.clone(), ask.exists));
        Ok(with_token(ask.value, "t"))
    })
    .unwrap();
    assert!(outcome.created && outcome.changed && outcome.notes.is_empty());
    assert_eq!(asked, Some((json!({}), false)));
    assert_eq!(mode(&place.config), 0o600);
    assert_eq!(mode(home.path("deep")), 0o700);
    assert_eq!(token_of(&config::read(&place).unwrap().unwrap().value), "t");
    // An empty or blank file is a config, too.
    for blank in ["", " \n\t\n", "\u{feff}"] {
        let home = Home::new(Some(blank));
        assert!(!home.edit(put("t")).unwrap().created);
        assert_eq!(token_of(&home.value()), "t");
    }
}

#[test]
fn a_config_that_gets_a_token_becomes_private_and_otherwise_keeps_its_mode() {
    let home = Home::new(Some("{}"));
    chmod(&home.place.config, 0o644);
    let outcome = home.edit(|ask| {
        let mut value = ask.value.clone();
        value["hooks"]["internal"]["entries"][HOOK]["enabled"] = json!(false);
        Ok(value)
    });
    assert!(outcome.unwrap().notes.is_empty());
    assert_eq!(mode(&home.place.config), 0o644);
    home.edit(put("${SIGILUM_OWNER_TOKEN}")).unwrap();
    assert_eq!(mode(&home.place.config), 0o644);
    let notes = home.edit(put("t1")).unwrap().notes;
    assert_eq!(mode(&home.place.config), 0o600);
    assert!(notes.len() == 1 && notes[0].contains("0600 (was 0644)"), "{notes:?}");
    assert!(home.edit(put("t2")).unwrap().notes.is_empty());
    chmod(&home.place.config, 0o640);
    home.edit(take_out).unwrap();
    assert_eq!(mode(&home.place.config), 0o640);
}

#[test]
fn a_file_with_a_token_is_never_written_readable_for_others() {
    // The token is another installer's, in a file that others may read; our edit does not touch it.
    let home = Home::new(Some(&with_token(&json!({}), "theirs").to_string()));
    chmod(&home.place.config, 0o644);
    let outcome = home.edit(|ask| {
        let mut value = ask.value.clone();
        value["hooks"]["internal"]["enabled"] = json!(true);
        Ok(value)
    });
    assert!(outcome.unwrap().notes[0].contains("0600 (was 0644)"));
    assert_eq!(mode(&home.place.config), 0o600);
}

#[test]
fn what_openclaw_tells_a_damaged_config_by_stays_and_hard_links_are_told() {
    let home = Home::new(Some(COMMENTED));
    for pointer in ["/meta", "/gateway", "/gateway/mode"] {
        let error = home.edit_with(
            &EditOptions {
                force: true,
                ..EditOptions::default()
            },
            |ask| {
                let mut value = ask.value.clone();
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                value
                    .pointer_mut(parent)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .shift_remove(key);
                Ok(value)
            },
        );
        assert_eq!(error.unwrap_err().code, ExitCode::Config, "{pointer}");
        assert_eq!(home.text(), COMMENTED);
    }
    fs::hard_link(&home.place.config, home.path("second")).unwrap();
    let notes = home.edit(put("t")).unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("hard links")), "{notes:?}");
    assert_eq!(fs::read_to_string(home.path("second")).unwrap(), COMMENTED);
}

#[test]
fn the_owner_stays() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::new(Some("{}"));
    chown(&home.place.home, Some(4242), Some(4242)).unwrap();
    chown(&home.place.config, Some(4242), Some(4243)).unwrap();
    home.edit(put("t")).unwrap();
    let meta = fs::metadata(&home.place.config).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (4242, 4243));
    fs::remove_file(&home.place.config).unwrap();
    home.edit(put("t")).unwrap();
    assert_eq!(fs::metadata(&home.place.config).unwrap().uid(), 4242);

    // A person's link must not lead root to another one's file.
    let roots = home.dir.path().join("roots.json");
    fs::write(&roots, "{}").unwrap();
    fs::remove_file(&home.place.config).unwrap();
    symlink(&roots, &home.place.config).unwrap();
    std::os::unix::fs::lchown(&home.place.config, Some(4242), Some(4242)).unwrap();
    assert_eq!(home.edit(put("t")).unwrap_err().code, ExitCode::Config);
    assert_eq!(fs::read_to_string(&roots).unwrap(), "{}");
}

#[test]
fn of_a_linked_config_the_target_is_replaced_in_its_folder() {
    let home = Home::new(None);
    let store = home.dir.path().join("dotfiles");
    fs::create_dir(&store).unwrap();
    let target = store.join("claw.json5");
    fs::write(&target, COMMENTED).unwrap();
    chmod(&target, 0o600);
    symlink("../dotfiles/claw.json5", &home.place.config).unwrap();
    // The lock is beside the link, as OpenClaw's is.
    fs::write(home.path("openclaw.json.lock"), r#"{"pid":1}"#).unwrap();
    assert_eq!(home.edit_with(&quick(), put("t")).unwrap_err().code, ExitCode::LockHeld);
    fs::remove_file(home.path("openclaw.json.lock")).unwrap();

    let outcome = home.edit(put("t")).unwrap();
    assert_eq!(outcome.files, [fs::canonicalize(&target).unwrap()]);
    assert_eq!(
        fs::read_link(&home.place.config).unwrap(),
        Path::new("../dotfiles/claw.json5")
    );
    assert!(fs::read_to_string(&target).unwrap().starts_with("// mine"));
    assert_eq!(token_of(&home.value()), "t");
    assert_eq!(fs::read_dir(&store).unwrap().count(), 1);
    assert_eq!(home.names(), ["openclaw.json"]);

    fs::remove_file(&target).unwrap();
    let error = home.edit(put("t")).unwrap_err();
    assert!(
        error.code == ExitCode::Config && error.to_string().contains("symbolic link to nothing"),
        "{error}"
    );
    assert!(!target.exists());
}

#[test]
fn bad_input_is_refused_with_its_place_and_left_as_it_is() {
    let deep = format!("{}1{}", "{a:".repeat(600), "}".repeat(600));
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20));
    let duplicate = format!("{{\"hooks\":{{\"internal\":{{\"entries\":{{\"{HOOK}\":{{}},\n\"{HOOK}\":{{}}}}}}}}}}");
    let in_entry = |text: &str| format!("{{\"hooks\":{{\"internal\":{{\"entries\":{{\n\"{HOOK}\":{text}}}}}}}}}");
    let old_token = in_entry("{env:{SIGILUM_OWNER_TOKEN:'old',SIGILUM_OWNER_TOKEN:'t'}}");
    let switched_twice = in_entry("{enabled:false,'enabled':true}");
    let (null, array) = (in_entry("null"), in_entry("{env:[]}"));
    let table: [(&[u8], &str); 18] = [
        (b"{\n  \"a\": 1,\n  ]", "line 3, column 3"),
        (b"{\"a\":1", "line 1"),
        (b"[]", "line 1, column 1"),
        (b"\"text\"", "line 1, column 1"),
        (b"{\"a\":\0}", "NUL"),
        (b"{\"a\":\xff}", "line 1, column 6"),
        (b"\xff\xfe{\0}\0", "UTF-16"),
        (deep.as_bytes(), "line 1"),
        (large.as_bytes(), "over 4194304 bytes"),
        (duplicate.as_bytes(), "line 2, column 1"),
        (old_token.as_bytes(), "line 2, column 56"),
        (switched_twice.as_bytes(), "line 2, column 39"),
        (b"{hooks:{internal:{enabled:true,\nenabled:true}}}", "line 2, column 1"),
        (b"{hooks:{internal:{load:{},\nload:{}}}}", "line 2, column 1"),
        (
            b"{\n hooks: 'x'}",
            "hooks is text, OpenClaw wants an object (line 2, column 9)",
        ),
        (
            b"{hooks:{internal:{\nentries:[]}}}",
            "hooks.internal.entries is an array, OpenClaw wants an object (line 2, column 9)",
        ),
        (null.as_bytes(), "is null, OpenClaw wants an object (line 2, column 24)"),
        (
            array.as_bytes(),
            "is an array, OpenClaw wants an object (line 2, column 29)",
        ),
    ];
    for (bytes, says) in table {
        let home = Home::new(None);
        fs::write(&home.place.config, bytes).unwrap();
        let before = fs::metadata(&home.place.config).unwrap();
        let error = home.edit(put("t")).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code, ExitCode::Config, "{text}");
        assert!(text.contains(says) && text.contains("openclaw.json"), "{says}: {text}");
        assert_eq!(fs::read(&home.place.config).unwrap(), bytes);
        assert_eq!(fs::metadata(&home.place.config).unwrap().ino(), before.ino());
        assert_eq!(home.names(), ["openclaw.json"]);
        assert_eq!(
            config::read(&home.place).err().map(|error| error.code),
            Some(ExitCode::Config)
        );
    }
    let home = Home::new(None);
    fs::create_dir(&home.place.config).unwrap();
    assert_eq!(home.edit(put("t")).unwrap_err().code, ExitCode::Config);
    // What `want` says against the config is the edit's error.
    let home = Home::new(Some("{}"));
    let refusal = sigilum_authz_notify::error::Error::new(ExitCode::Token, "no");
    let mut refusal = Some(refusal);
    assert_eq!(
        home.edit(|_| Err(refusal.take().unwrap())).unwrap_err().code,
        ExitCode::Token
    );
    assert_eq!(home.text(), "{}");
}

#[test]
fn a_dry_run_and_a_read_only_place_write_nothing_and_need_no_lock() {
    let mut home = Home::new(Some(COMMENTED));
    fs::write(home.path("openclaw.json.lock"), r#"{"pid":1}"#).unwrap();
    let dry = EditOptions {
        dry_run: true,
        ..EditOptions::default()
    };
    let outcome = home.edit_with(&dry, put("secret-token")).unwrap();
    assert!(!outcome.changed && outcome.not_written.is_none() && outcome.patch.0.len() == 1);
    let masked = config::masked(&outcome.patch).to_string();
    assert!(!masked.contains("secret-token") && masked.contains("***"), "{masked}");
    assert!(!format!("{outcome:?}").contains("secret-token"));

    home.place.read_only = Some("OPENCLAW_NIX_MODE");
    let outcome = home.edit(put("t")).unwrap();
    assert_eq!(outcome.not_written, Some(NotWritten::ReadOnly("OPENCLAW_NIX_MODE")));
    assert!(!outcome.changed && !outcome.patch.0.is_empty());
    assert_eq!(home.edit(|ask| Ok(ask.value.clone())).unwrap().not_written, None);
    assert_eq!(home.text(), COMMENTED);
    assert_eq!(home.names(), ["openclaw.json", "openclaw.json.lock"]);
    assert!(!home.place.sigilum_dir().exists());
}

#[test]
fn a_masked_patch_shows_no_token_wherever_it_stands() {
    let home = Home::new(Some(COMMENTED));
    home.edit(put("first-secret")).unwrap();
    for (want, shown) in [("second-secret", "***"), ("${X}", "${X}")] {
        let options = EditOptions {
            dry_run: true,
            ..EditOptions::default()
        };
        let outcome = home.edit_with(&options, put(want)).unwrap();
        let masked = config::masked(&outcome.patch);
        assert_eq!(masked[0]["value"], shown);
        assert_eq!(masked[0]["op"], "replace");
    }
}

#[test]
fn an_edit_that_openclaw_would_revert_keeps_the_length_or_is_refused() {
    let token = "t".repeat(900);
    let home = Home::new(Some("{meta:{v:1},gateway:{mode:'local'}}"));
    home.edit(put(&token)).unwrap();
    let before = home.text();
    assert!(before.len() > 900);
    let outcome = home.edit(take_out).unwrap();
    assert!(
        outcome.notes.iter().any(|note| note.contains("filler")),
        "{:?}",
        outcome.notes
    );
    assert_eq!(home.text().len(), before.len());
    assert!(token_of(&home.value()).starts_with("no-token---"));

    // Shorter, and no filler to be had: refused, unless forced.
    home.edit(put(&token)).unwrap();
    let error = home.edit(put("short")).unwrap_err();
    assert!(
        error.code == ExitCode::Config && error.to_string().contains("--force"),
        "{error}"
    );
    assert_eq!(home.text(), before);
    let force = || EditOptions {
        force: true,
        ..EditOptions::default()
    };
    let outcome = home.edit_with(&force(), put("short")).unwrap();
    assert!(outcome.notes[0].contains("below half") || outcome.notes[0].contains("less than half"));
    assert_eq!(token_of(&home.value()), "short");

    // The larger of the file and OpenClaw's backup counts; growing is never refused.
    fs::write(home.path("openclaw.json.bak"), "x".repeat(5000)).unwrap();
    home.edit(put("shorter")).unwrap();
    assert_eq!(home.edit(put("s")).unwrap_err().code, ExitCode::Config);
    // A lost config with a backup: OpenClaw would bring that one back.
    fs::remove_file(&home.place.config).unwrap();
    assert_eq!(home.edit(put("t")).unwrap_err().code, ExitCode::Config);
    assert!(!home.place.config.exists());
    // Small files may shrink.
    let home = Home::new(Some("{}"));
    home.edit(put(&"t".repeat(300))).unwrap();
    home.edit(take_out).unwrap();
    assert_eq!(token_of(&home.value()), "none");
}

#[test]
fn where_nothing_can_be_written_an_edit_that_wants_nothing_is_fine() {
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere; the error is the same as for the file below.
        let home = Home::new(Some("{}"));
        fs::create_dir(home.path("openclaw.json.lock")).unwrap();
        assert_eq!(home.edit_with(&quick(), put("t")).unwrap_err().code, ExitCode::LockHeld);
        return;
    }
    let home = Home::new(Some("{}"));
    let own = lock_sigilum(&home.place).unwrap();
    chmod(&home.place.home, 0o500);
    let options = EditOptions {
        own_lock: Some(&own),
        ..EditOptions::default()
    };
    let error = home.edit_with(&options, put("t")).unwrap_err();
    assert_eq!(error.code, ExitCode::Config);
    assert!(!home.edit_with(&options, |ask| Ok(ask.value.clone())).unwrap().changed);
    assert_eq!(home.text(), "{}");
    chmod(&home.place.home, 0o700);
}

#[test]
fn an_edit_waits_for_our_lock_and_for_openclaws() {
    let home = Home::new(Some("{}"));
    let theirs = lock::acquire(&home.place.config, &LockOptions::default()).unwrap();
    std::thread::scope(|scope| {
        let edit = scope.spawn(|| home.edit(put("t")).map(|_| Instant::now()));
        std::thread::sleep(Duration::from_millis(150));
        let freed = Instant::now();
        drop(theirs);
        assert!(edit.join().unwrap().unwrap() > freed);
    });
    // It holds its own as long as it is told to.
    let slow = || {
        let hold = EditOptions {
            hold_lock: Duration::from_secs(1),
            ..EditOptions::default()
        };
        config::edit(&home.place, &hold, &mut put("t2")).map(drop)
    };
    std::thread::scope(|scope| {
        let edit = scope.spawn(slow);
        while !home.path("openclaw.json.lock").exists() {
            assert!(!edit.is_finished(), "it held no lock");
        }
        let error = lock::acquire(&home.place.config, &LockOptions { tries: 1 }).unwrap_err();
        assert_eq!(error.code, ExitCode::LockHeld);
        edit.join().unwrap().unwrap();
    });
    assert_eq!(token_of(&home.value()), "t2");
}

#[test]
fn edits_at_once_lose_nothing() {
    let home = Home::new(Some(COMMENTED));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let home = &home;
            scope.spawn(move || {
                for round in 0..4 {
                    home.edit(|ask| {
                        let mut value = ask.value.clone();
                        value["seen"][format!("t{thread}")] = json!(round);
                        Ok(value)
                    })
                    .unwrap();
                }
            });
        }
    });
    for thread in 0..8 {
        assert_eq!(home.value()["seen"][format!("t{thread}")], 3);
    }
    assert!(home.text().starts_with("// mine"));
    assert_eq!(home.names(), ["openclaw.json"]);
}

/// An editor or script that knows of no lock: reads, changes, replaces by rename, and counts what it wrote.
#[test]
fn a_writer_that_ignores_the_lock_loses_nothing() {
    const WRITES: u64 = 200;
    let home = Home::new(Some(COMMENTED));
    let ours = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let temp = home.path("editor.tmp");
            for count in 1..=WRITES {
                // Ours may come between its read and its rename, and is lost then, as with any editor; its own must not be.
                let text = home.text();
                let mut value: Value = json5::from_str(&text).unwrap();
                value["editor"] = json!(count);
                fs::write(&temp, value.to_string()).unwrap();
                fs::rename(&temp, &home.place.config).unwrap();
                std::thread::sleep(Duration::from_micros(500 * (count % 40)));
                // Nobody but the editor changes this member: whatever we do, it stays. For the moment between our swap
                // and its taking back it may be out of sight.
                let end = Instant::now() + Duration::from_secs(5);
                let seen = || json5::from_str::<Value>(&home.text()).unwrap()["editor"] == count;
                while !seen() {
                    assert!(Instant::now() < end, "an editor's write was lost");
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        let mut edits = 0;
        while !writer.is_finished() {
            match home.edit(put(&format!("t{edits}"))) {
                Ok(_) => edits += 1,
                Err(error) => assert_eq!(error.code, ExitCode::LockHeld, "{error}"),
            }
        }
        writer.join().unwrap();
        edits
    });
    assert!(ours > 0, "no edit of ours came through");
    assert_eq!(home.value()["editor"], WRITES);
    assert_eq!(home.names(), ["openclaw.json"]);
}

#[test]
fn a_reader_never_sees_a_broken_file() {
    let home = Home::new(Some(COMMENTED));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..60 {
                home.edit(put(&"t".repeat(1 + round * 37))).unwrap();
            }
        });
        while !writer.is_finished() {
            let value: Value = json5::from_str(&home.text()).unwrap();
            assert_eq!(value["gateway"]["mode"], "local");
        }
        writer.join().unwrap();
    });
}

/// A mount that ends with the test. `None` where this user may not mount; then the table of causes in commit.rs must do.
struct Mount(PathBuf);

impl Mount {
    fn new(args: &[&str], at: &Path) -> Option<Self> {
        let mut command = std::process::Command::new("mount");
        let done = command.args(args).arg(at).stderr(std::process::Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_bind_mounted_config_is_not_written_and_it_is_said_what_to_do() {
    let home = Home::new(Some(COMMENTED));
    let source = home.dir.path().join("outside.json");
    fs::write(&source, COMMENTED).unwrap();
    let Some(_mount) = Mount::new(&["--bind", source.to_str().unwrap()], &home.place.config) else {
        return;
    };
    let outcome = home.edit(put("t")).unwrap();
    assert!(!outcome.changed && outcome.files.is_empty());
    let why = outcome.not_written.unwrap();
    let text = format!("{why}; {}", why.next());
    assert!(
        text.contains("mount") && text.contains("--token-in-config false"),
        "{text}"
    );
    assert_eq!(home.text(), COMMENTED);
    assert_eq!(home.names(), ["openclaw.json"]);
    // Where nothing has to be written, there is nothing to refuse.
    assert!(!home.edit(|ask| Ok(ask.value.clone())).unwrap().changed);
}

#[test]
fn a_full_or_read_only_disk_leaves_the_old_file_whole() {
    let home = Home::new(None);
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "-o", "size=64k,mode=700", "none"], &home.place.home) else {
        return;
    };
    fs::write(&home.place.config, COMMENTED).unwrap();
    home.edit(put("t1")).unwrap();
    let before = home.text();
    while fs::write(home.path(&format!("fill{}", home.names().len())), [0; 4096]).is_ok() {}
    let error = home.edit(put(&"t".repeat(9000))).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("No space left on device") && text.contains("free some disk space"),
        "{text}"
    );
    assert_eq!(home.text(), before);
    assert!(home.names().iter().all(|name| !is_temp_name(name)));
    assert!(!home.path("openclaw.json.lock").exists());

    let remount = || {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-o", "remount,ro"]).arg(&home.place.home);
        mount.output().unwrap().status.success()
    };
    // A program that another test has just started may have our open files for a moment.
    assert!(crate::env::watching::wait_until(remount));
    assert!(
        home.edit(put("t2"))
            .unwrap_err()
            .to_string()
            .contains("Read-only file system")
    );
    assert_eq!(home.text(), before);
}
