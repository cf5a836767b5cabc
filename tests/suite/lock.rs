//! OpenClaw's write lock: every state that it can be found in, and who gets it.

use crate::env::command_of;
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::openclaw::lock::{Busy, LockOptions, Verdict, WriteLock, acquire, clear_leftovers, judge};
use sigilum_authz_notify::process::{Life, Process};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const QUICK: LockOptions = LockOptions { tries: 2 };

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("openclaw.json")
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join("openclaw.json.lock")
    }

    fn guard(&self) -> PathBuf {
        self.dir.path().join("openclaw.json.lock.reclaim")
    }

    fn plant(&self, content: &str) {
        fs::write(self.lock(), content).unwrap();
    }

    fn plant_guard(&self, pid: u32, starttime: Option<u64>, namespace: u64) {
        fs::create_dir(self.guard()).unwrap();
        let owner = serde_json::json!({"pid": pid, "starttime": starttime, "pid_namespace": namespace});
        fs::write(self.guard().join("sigilum-authz-notify.json"), owner.to_string()).unwrap();
    }

    /// Runs the command of a step as it is printed; what it said.
    #[track_caller]
    fn carry_out(&self, told: &str) -> String {
        let step = told.split_once("next: ").unwrap().1;
        let ran = Command::new("sh").args(["-c", command_of(step)]).output().unwrap();
        assert!(ran.status.success(), "{step}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// The number of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |meta| meta.ino())
}

fn iso(ago: Duration) -> String {
    jiff::Timestamp::try_from(SystemTime::now() - ago).unwrap().to_string()
}

#[test]
fn every_content_is_judged_as_openclaw_does() {
    const RUNNING: u32 = 100;
    const HIDDEN: u32 = 101;
    let life = |pid| match pid {
        RUNNING => Life::Alive { starttime: Some(7) },
        HIDDEN => Life::Alive { starttime: None },
        _ => Life::Dead,
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let at = |seconds: i64| format!(r#""createdAt":"{}""#, jiff::Timestamp::from_second(seconds).unwrap());
    let (new, old, ancient) = (at(999_999_990), at(999_999_969), at(1));
    let garbage = Verdict::Wait(Busy::Unreadable(String::new()));
    let held = |pid, is_certain| Verdict::Wait(Busy::Process { pid, is_certain });
    let alive = |pid| held(pid, false);
    let table = [
        // A live owner is waited for, however old the lock.
        (format!(r#"{{"pid":100,{new},"starttime":7}}"#), held(RUNNING, true)),
        (format!(r#"{{"pid":100,{ancient},"starttime":7}}"#), held(RUNNING, true)),
        (format!(r#"{{"pid":100,{ancient}}}"#), alive(RUNNING)),
        (r#"{"pid":100}"#.to_owned(), alive(RUNNING)),
        // Nobody can tell when it started: it counts as the owner.
        (format!(r#"{{"pid":101,{new},"starttime":7}}"#), alive(HIDDEN)),
        // Another process got the number.
        (format!(r#"{{"pid":100,{new},"starttime":8}}"#), Verdict::Reclaim),
        // A start time that is none says nothing.
        (format!(r#"{{"pid":100,{new},"starttime":"8"}}"#), alive(RUNNING)),
        // Dead.
        (format!(r#"{{"pid":102,{new},"starttime":7}}"#), Verdict::Reclaim),
        (r#"{"pid":102}"#.to_owned(), Verdict::Reclaim),
        // No process named.
        (format!("{{{old}}}"), Verdict::Reclaim),
        (format!("{{{new}}}"), Verdict::Wait(Busy::Nameless)),
        (format!("{{{}}}", at(1_000_000_999)), Verdict::Wait(Busy::Nameless)),
        // Nothing to be understood: never taken over.
        (String::new(), garbage.clone()),
        ("\0\0\0".to_owned(), garbage.clone()),
        ("{".to_owned(), garbage.clone()),
        ("[102]".to_owned(), garbage.clone()),
        ("102".to_owned(), garbage.clone()),
        ("{}".to_owned(), garbage.clone()),
        (format!(r#"{{"pid":"102",{ancient}}}"#), garbage.clone()),
        (format!(r#"{{"pid":null,{ancient}}}"#), garbage.clone()),
        (format!(r#"{{"pid":0,{ancient}}}"#), garbage.clone()),
        (format!(r#"{{"pid":-102,{ancient}}}"#), garbage.clone()),
        (format!(r#"{{"pid":1e20,{ancient}}}"#), garbage.clone()),
        (r#"{"createdAt":"yesterday"}"#.to_owned(), garbage.clone()),
        (r#"{"createdAt":1}"#.to_owned(), garbage.clone()),
    ];
    for (content, expected) in table {
        let verdict = match judge(content.as_bytes(), now, &life) {
            Verdict::Wait(Busy::Unreadable(reason)) => {
                assert!(!reason.is_empty());
                garbage.clone()
            }
            verdict => verdict,
        };
        assert_eq!(verdict, expected, "{content}");
    }
}

#[test]
fn a_free_lock_is_ours_whole_and_private_and_gone_at_the_end() {
    let home = Home::new();
    let before = SystemTime::now();
    let lock = acquire(&home.config(), &QUICK).unwrap();
    assert_eq!(home.names(), ["openclaw.json.lock"]);
    let meta = fs::symlink_metadata(home.lock()).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.nlink()), (0o600, 1));
    let payload: serde_json::Value = serde_json::from_slice(&fs::read(home.lock()).unwrap()).unwrap();
    assert_eq!(payload["pid"], std::process::id());
    assert_eq!(payload["starttime"].as_u64(), Process::me().starttime);
    let created: jiff::Timestamp = payload["createdAt"].as_str().unwrap().parse().unwrap();
    let since = SystemTime::from(created)
        .duration_since(before - Duration::from_secs(1))
        .unwrap();
    assert!(since < Duration::from_secs(60));

    let held = acquire(&home.config(), &QUICK).unwrap_err();
    assert_eq!(held.code, ExitCode::LockHeld);
    assert!(
        held.to_string().contains(&format!("process {}", std::process::id())),
        "{held}"
    );
    drop(lock);
    assert!(home.names().is_empty());
}

#[test]
fn the_lock_is_beside_the_config_as_it_is_named_in_the_real_folder() {
    let home = Home::new();
    let real = home.dir.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, home.dir.path().join("linked")).unwrap();
    fs::write(home.dir.path().join("target.json"), "{}").unwrap();
    symlink(home.dir.path().join("target.json"), real.join("other.json5")).unwrap();
    let lock = acquire(&home.dir.path().join("linked/other.json5"), &QUICK).unwrap();
    let expected = fs::canonicalize(&real).unwrap().join("other.json5.lock");
    assert!(expected.exists());
    drop(lock);
    assert!(!expected.exists());
}

#[test]
fn what_is_found_is_taken_over_or_waited_for() {
    let me = Process::me();
    let reused = me
        .starttime
        .map(|start| format!(r#"{{"pid":{},"starttime":{}}}"#, me.pid, start + 1));
    let (old, new) = (iso(Duration::from_secs(31)), iso(Duration::ZERO));
    let mut table = vec![
        (format!(r#"{{"pid":{}}}"#, dead_pid()), true, ""),
        (format!(r#"{{"createdAt":"{old}"}}"#), true, ""),
        (
            format!(r#"{{"createdAt":"{new}"}}"#),
            false,
            "run the command again in 30 s",
        ),
        (String::new(), false, "rm -r"),
        ("garbage".to_owned(), false, "rm -r"),
        (format!(r#"{{"pid":"{}"}}"#, dead_pid()), false, "rm -r"),
        (r#"{"pid":1}"#.to_owned(), false, "process 1 holds it"),
    ];
    table.extend(reused.map(|content| (content, true, "")));
    for (content, taken, says) in table {
        let home = Home::new();
        home.plant(&content);
        match acquire(&home.config(), &QUICK) {
            Ok(lock) => {
                assert!(taken, "{content}");
                assert_eq!(home.names(), ["openclaw.json.lock"], "{content}");
                drop(lock);
                assert!(home.names().is_empty(), "{content}");
            }
            Err(error) => {
                assert!(!taken, "{content}: {error}");
                assert_eq!(error.code, ExitCode::LockHeld);
                assert!(error.to_string().contains(says), "{content}: {error}");
                assert!(error.to_string().contains(home.lock().to_str().unwrap()));
                assert_eq!(fs::read_to_string(home.lock()).unwrap(), content);
                assert_eq!(home.names(), ["openclaw.json.lock"]);
                if says == "rm -r" {
                    home.carry_out(&error.to_string());
                    acquire(&home.config(), &QUICK).unwrap();
                }
            }
        }
    }
}

/// What passes by itself: the command that waits, or is run again then, gets it.
#[test]
fn a_busy_lock_is_free_once_its_holder_is_done() {
    let home = Home::new();
    let mut holder = Command::new("sleep").arg("600").spawn().unwrap();
    home.plant(&format!(r#"{{"pid":{}}}"#, holder.id()));
    let told = acquire(&home.config(), &QUICK).unwrap_err().to_string();
    let step = format!(
        "wait for it to end, and run the command again; what it is: ps -p {}; if that is neither OpenClaw nor \
         sigilum-authz-notify, and no other container has this home: rm {}",
        holder.id(),
        home.lock().display()
    );
    assert!(told.ends_with(&step), "{told}");
    let (look, _) = told.rsplit_once("; if that").unwrap();
    let shown = home.carry_out(look);
    assert!(shown.contains("sleep"), "{shown}");
    // Its number is another program's by now.
    home.carry_out(&told);
    acquire(&home.config(), &QUICK).unwrap();
    home.plant(&format!(r#"{{"pid":{}}}"#, holder.id()));
    holder.kill().unwrap();
    holder.wait().unwrap();
    acquire(&home.config(), &QUICK).unwrap();

    home.plant(&format!(r#"{{"createdAt":"{}"}}"#, iso(Duration::ZERO)));
    let told = acquire(&home.config(), &QUICK).unwrap_err().to_string();
    assert!(told.ends_with("next: run the command again in 30 s"), "{told}");
    home.plant(&format!(r#"{{"createdAt":"{}"}}"#, iso(Duration::from_secs(31))));
    acquire(&home.config(), &QUICK).unwrap();

    // A run of ours that is certainly at it: nobody is told to remove its lock.
    let me = Process::me();
    let ours = acquire(&home.config(), &QUICK).unwrap();
    let told = acquire(&home.config(), &QUICK).unwrap_err().to_string();
    let step = format!(
        "next: wait for it to end, and run the command again; what it is: ps -p {}",
        me.pid
    );
    assert!(me.starttime.is_none() || told.ends_with(&step), "{told}");
    drop(ours);

    home.plant_guard(me.pid, me.starttime, pid_namespace());
    let told = acquire(&home.config(), &QUICK).unwrap_err().to_string();
    assert!(told.ends_with("next: run the command again"), "{told}");
    fs::remove_dir_all(home.guard()).unwrap();
    acquire(&home.config(), &QUICK).unwrap();
}

#[test]
fn a_lock_that_is_no_file_is_never_followed_or_removed() {
    let home = Home::new();
    let dead = home.dir.path().join("dead.json");
    fs::write(&dead, format!(r#"{{"pid":{}}}"#, dead_pid())).unwrap();
    symlink(&dead, home.lock()).unwrap();
    assert_eq!(acquire(&home.config(), &QUICK).unwrap_err().code, ExitCode::LockHeld);
    assert!(home.lock().is_symlink() && dead.exists());
    fs::remove_file(home.lock()).unwrap();
    fs::create_dir(home.lock()).unwrap();
    assert_eq!(acquire(&home.config(), &QUICK).unwrap_err().code, ExitCode::LockHeld);
    assert!(home.lock().is_dir());
}

#[test]
fn a_guard_of_a_dead_run_of_ours_goes_and_any_other_stays() {
    let me = Process::me();
    // A dead process of ours; with our number, but started at another time.
    for (pid, start) in [(dead_pid(), None), (dead_pid(), Some(5)), (me.pid, Some(5))] {
        if start.is_some() && me.starttime.is_none() {
            continue;
        }
        let home = Home::new();
        home.plant(&format!(r#"{{"pid":{}}}"#, dead_pid()));
        home.plant_guard(pid, start, pid_namespace());
        drop(acquire(&home.config(), &QUICK).unwrap());
        assert!(home.names().is_empty(), "{:?}", home.names());
    }

    // A live one of ours, and a fresh one of another container's.
    for (pid, start, namespace) in [(me.pid, me.starttime, pid_namespace()), (dead_pid(), None, 42)] {
        let home = Home::new();
        home.plant_guard(pid, start, namespace);
        let error = acquire(&home.config(), &QUICK).unwrap_err();
        assert_eq!(error.code, ExitCode::LockHeld);
        assert!(error.to_string().contains("another sigilum-authz-notify"), "{error}");
        assert_eq!(home.names(), ["openclaw.json.lock.reclaim"]);
    }

    // OpenClaw's are bare; and whatever else someone may have put there.
    type Fill = fn(&Path);
    let fills: [(&str, Fill); 3] = [
        ("rmdir", |_| {}),
        ("rm -r", |guard| fs::write(guard.join("note"), "").unwrap()),
        ("rm -r", |guard| {
            fs::write(guard.join("sigilum-authz-notify.json"), "{}").unwrap()
        }),
    ];
    for (command, fill) in fills {
        let home = Home::new();
        fs::create_dir(home.guard()).unwrap();
        fill(&home.guard());
        let past = SystemTime::now() - Duration::from_secs(1234);
        fs::File::open(home.guard()).unwrap().set_modified(past).unwrap();
        let error = acquire(&home.config(), &QUICK).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code, ExitCode::LockHeld);
        assert!(
            text.contains(&format!("{command} {}", home.guard().display())),
            "{text}"
        );
        assert!(text.contains("1234 s") || text.contains("1235 s"), "{text}");
        assert!(home.guard().is_dir());
        home.carry_out(&text);
        acquire(&home.config(), &QUICK).unwrap();
    }
}

#[test]
fn a_start_clears_what_our_dead_left_and_no_lock_whose_owner_may_live_in_another_container() {
    let me = Process::me();
    let dead = format!(r#"{{"pid":{}}}"#, dead_pid());
    let alive = format!(r#"{{"pid":{}}}"#, me.pid);
    let temp = |pid: u32, start: u64| {
        format!(
            ".sigilum-authz-notify-{pid}-{start}-{}-0123456789abcdef.tmp",
            pid_namespace()
        )
    };
    for (lock, guard_of, left) in [
        (Some(&dead), None, vec!["openclaw.json.lock"]),
        (None, Some(dead_pid()), vec![]),
        (Some(&dead), Some(dead_pid()), vec!["openclaw.json.lock"]),
        (Some(&alive), None, vec!["openclaw.json.lock"]),
        (
            Some(&dead),
            Some(me.pid),
            vec!["openclaw.json.lock", "openclaw.json.lock.reclaim"],
        ),
        (None, None, vec![]),
    ] {
        let home = Home::new();
        if let Some(content) = lock {
            home.plant(content);
        }
        if let Some(pid) = guard_of {
            home.plant_guard(pid, me.starttime.filter(|_| pid == me.pid), pid_namespace());
        }
        fs::write(home.dir.path().join(temp(dead_pid(), 5)), "an old config").unwrap();
        clear_leftovers(&home.config());
        assert_eq!(home.names(), left);
        if let Some(content) = lock {
            assert_eq!(&fs::read_to_string(home.lock()).unwrap(), content);
        }
    }
    clear_leftovers(Path::new("/nowhere/openclaw.json"));
}

#[test]
fn only_what_is_still_ours_is_removed() {
    // Replaced by another's: another file, other bytes; and the same bytes in another file.
    for same_bytes in [false, true] {
        let home = Home::new();
        let lock = acquire(&home.config(), &QUICK).unwrap();
        let bytes = fs::read(home.lock()).unwrap();
        let other = home.dir.path().join("other");
        fs::write(&other, if same_bytes { &bytes[..] } else { b"{\"pid\":1}" }).unwrap();
        fs::rename(&other, home.lock()).unwrap();
        drop(lock);
        assert_eq!(home.names(), ["openclaw.json.lock"]);
    }
    let home = Home::new();
    let lock = acquire(&home.config(), &QUICK).unwrap();
    fs::write(home.lock(), "{\"pid\":1}").unwrap();
    drop(lock);
    assert_eq!(fs::read_to_string(home.lock()).unwrap(), "{\"pid\":1}");

    let home = Home::new();
    let lock = acquire(&home.config(), &QUICK).unwrap();
    fs::remove_file(home.lock()).unwrap();
    drop(lock);
    assert!(home.names().is_empty());
}

#[test]
fn a_waiter_gets_it_when_it_is_free() {
    let home = Home::new();
    home.plant(r#"{"pid":1}"#);
    let waiter = std::thread::spawn({
        let config = home.config();
        move || acquire(&config, &LockOptions::default()).map(|lock| (lock, Instant::now()))
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!waiter.is_finished());
    let freed = Instant::now();
    fs::remove_file(home.lock()).unwrap();
    let (lock, taken) = waiter.join().unwrap().unwrap();
    assert!(taken > freed && taken - freed < Duration::from_millis(2000));
    drop(lock);
}

#[test]
fn no_lock_in_a_folder_that_is_not_there() {
    let home = Home::new();
    let config = home.dir.path().join("none/openclaw.json");
    assert_eq!(acquire(&config, &QUICK).unwrap_err().code, ExitCode::Config);
}

/// In the children of the tests below: takes the lock, again and again if a count is given, and changes the file under
/// it in a way that two at once would spoil.
#[test]
fn child() {
    let (Some(config), Some(rounds)) = (
        std::env::var_os("LOCK_TEST_CONFIG"),
        std::env::var_os("LOCK_TEST_ROUNDS"),
    ) else {
        return;
    };
    let config = PathBuf::from(config);
    match rounds.to_str().unwrap().parse::<u32>().unwrap() {
        0 => {
            let _lock: WriteLock = acquire(&config, &LockOptions::default()).unwrap();
            println!("holding");
            std::thread::sleep(Duration::from_secs(60));
        }
        rounds => {
            for _ in 0..rounds {
                let lock = acquire(&config, &LockOptions { tries: 1000 }).unwrap();
                let count: u32 = fs::read_to_string(&config).unwrap().parse().unwrap();
                fs::write(&config, (count + 1).to_string()).unwrap();
                // Every third lock is left as a dying process leaves it.
                if count.is_multiple_of(3) {
                    std::mem::forget(lock);
                    let dead = dead_pid();
                    let path = config.with_extension("json.lock");
                    let temp = config.with_extension(format!("dead{dead}"));
                    fs::write(&temp, format!(r#"{{"pid":{dead}}}"#)).unwrap();
                    fs::rename(&temp, &path).unwrap();
                }
            }
        }
    }
}

fn run_child(config: &Path, rounds: u32) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::child", "--nocapture", "--test-threads=1"])
        .env("LOCK_TEST_CONFIG", config)
        .env("LOCK_TEST_ROUNDS", rounds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_killed_owner_is_taken_over_at_once() {
    use std::io::{BufRead, BufReader};
    let home = Home::new();
    let mut child = run_child(&home.config(), 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("holding")));
    let held = acquire(&home.config(), &QUICK).unwrap_err().to_string();
    assert!(held.contains(&format!("process {}", child.id())), "{held}");
    child.kill().unwrap();
    // Not waited for yet: a zombie is dead enough.
    let lock = acquire(&home.config(), &LockOptions { tries: 20 }).unwrap();
    assert_eq!(home.names(), ["openclaw.json.lock"]);
    drop(lock);
    child.wait().unwrap();
}

#[test]
fn many_processes_and_dying_owners_never_hold_it_twice() {
    const PROCESSES: u32 = 6;
    const ROUNDS: u32 = 25;
    let home = Home::new();
    fs::write(home.config(), "0").unwrap();
    let children: Vec<_> = (0..PROCESSES).map(|_| run_child(&home.config(), ROUNDS)).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let count: u32 = fs::read_to_string(home.config()).unwrap().parse().unwrap();
    assert_eq!(count, PROCESSES * ROUNDS);
    drop(acquire(&home.config(), &QUICK).unwrap());
    assert_eq!(home.names(), ["openclaw.json"]);
}
