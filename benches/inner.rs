//! The inner parts: the edit of a config's text at three sizes, the command line, a signature, a notice.
//!
//! For an edit, `CPU` is the work of all of it (read, parse, edit, check) and the note has its parts, what it comes to
//! for a byte (the same at every size, if the edit is linear), and the undo; `peak MB` is what a process needs for one
//! edit (Linux only).

use crate::commands::api;
use crate::kernel::{cpu_time, peak_memory};
use crate::table::{self, Measure, Row, millis};
use clap::Parser;
use json5_edit::Document;
use secrecy::SecretString;
use serde_json::{Value, json};
use sigilum_authz_notify::cli::Cli;
use sigilum_authz_notify::hook::notice::{self, About, Form, Review};
use sigilum_authz_notify::hook::seen::Seen;
use sigilum_authz_notify::mode::Mode;
use sigilum_authz_notify::openclaw::undo::{Change, Undo};
use sigilum_authz_notify::sigilum::requests;
use sigilum_authz_notify::token::claims::{self, Claims};
use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Instant;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
const SHAPES: [&str; 4] = ["JSON, 2 spaces", "JSON5, comments", "minified", "500 levels deep"];
/// Tells a process of this program to edit once and say its peak memory: then come the shape and the size.
pub const ONCE: &str = "--edit-once";

pub fn measure(only: &str) {
    for shape in SHAPES {
        for size in SIZES {
            let name = format!("edit of a config, {shape}, {} KB", size / 1000);
            if name.contains(only) {
                edit(shape, size).print(&name);
            }
        }
    }
    let each: [Measure; 5] = [
        (
            "two files written atomically: the least that `auth refresh` can take",
            two_files,
        ),
        ("the command line, `auth login` with 5 flags", command_line),
        ("signing a token", signing),
        ("an API's answer of 200 requests to a notice", long_notice),
        ("(the loopback API's answer)", loopback_answer),
    ];
    table::print(&each, only);
}

/// Read, parse, edit, check.
fn edit(shape: &str, size: usize) -> Row {
    let text = config(shape, size);
    let rounds = (20_000_000 / text.len()).clamp(9, 301);
    let mut wall = Vec::new();
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        let (begun, started) = (Instant::now(), cpu_time());
        let document = Document::parse(black_box(text.as_bytes())).expect("a good config");
        let (mut took, parsed) = (begun.elapsed(), cpu_time() - started);
        let wanted = install(document.value());
        let (begun, started) = (Instant::now(), cpu_time());
        let edited = black_box(document.edit(&wanted).expect("an edit"));
        took += begun.elapsed();
        wall.push(took);
        times[0].push(parsed);
        times[1].push(cpu_time() - started);
        let started = cpu_time();
        let mut undo = Undo::default();
        let change = Change {
            old: Some(&text),
            before: document.value(),
            edited: &edited,
            after: edited.document.value(),
        };
        undo.note("config", &change);
        let restored = undo
            .restore("config", edited.document.as_str().as_bytes())
            .expect("a good config");
        times[2].push(cpu_time() - started);
        assert_eq!(restored.document.as_str(), text);
    }
    let [parse, edit, undo] = times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    });
    let ns = (parse + edit).as_nanos() as f64 / text.len() as f64;
    Row {
        wall,
        cpu: Some(parse + edit),
        peak: peak_of(shape, size),
        note: format!(
            "parse {}, edit {}, undo {}; {ns:.1} ns a byte",
            millis(parse),
            millis(edit),
            millis(undo)
        ),
        ..Row::default()
    }
}

/// Edits once, in a process of its own, and says what that added to its peak memory.
pub fn edit_once(shape: &str, size: &str) {
    let text = config(SHAPES[shape.parse::<usize>().unwrap_or(0)], size.parse().unwrap_or(0));
    let before = peak_memory();
    let document = Document::parse(text.as_bytes()).expect("a good config");
    let wanted = install(document.value());
    black_box(document.edit(&wanted).expect("an edit"));
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        println!("{}", after - before);
    }
}

/// What an operation takes, of many in a row.
fn many(count: u32, operation: &mut dyn FnMut()) -> Row {
    const ROUNDS: u32 = 10;
    let mut wall = Vec::new();
    let started = cpu_time();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        (0..count).for_each(|_| operation());
        wall.push(begun.elapsed() / count);
    }
    Row {
        wall,
        cpu: Some((cpu_time() - started) / (ROUNDS * count)),
        ..Row::default()
    }
}

fn command_line() -> Row {
    let line = "sigilum-authz-notify auth login --mode oss-local --namespace alice --print-token false \
                --enable-authz-notify true --api-url http://127.0.0.1:8787";
    many(100, &mut || {
        black_box(Cli::try_parse_from(line.split(' ')).expect("a good command line"));
    })
}

fn signing() -> Row {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    let claims = Claims::new(
        "user_local_alice",
        "alice@local.sigilum",
        "alice",
        1_800_000_000,
        604_800,
    );
    many(1000, &mut || {
        black_box(claims::mint(&claims, &secret).expect("a token"));
    })
}

fn long_notice() -> Row {
    let claim = json!({"claim_id": "c", "namespace": "alice", "service": "github", "public_key": "ed25519:AAAA",
        "agent_ip": "127.0.0.1", "agent_name": "worker", "status": "pending", "created_at": "2026-11-22T06:20:37.017Z"});
    let body =
        json!({"claims": vec![claim; 200], "pagination": {"limit": 200, "offset": 0, "total": 200, "has_more": false}});
    let body = body.to_string();
    let review = Review::new(Mode::Managed, None);
    many(100, &mut || {
        let pending = requests::decode(body.as_bytes(), sigilum_authz_notify::request::PAGE).expect("a good answer");
        let about = About {
            namespace: "alice",
            review: &review,
            program: "sigilum-authz-notify",
            flags: "",
            now: 1_800_000_000,
        };
        let listed = Seen::default().list("alice", &pending, about.now * 1000);
        let notice = notice::pending(pending.count(), &listed, &about, Form::Full);
        assert!(black_box(notice).is_some());
    })
}

/// A token file of 0.4 KB and a config of 10 KB, each: a file beside it, fsync, rename, fsync of the folder.
fn two_files() -> Row {
    // Not in /tmp, which may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    many(10, &mut || {
        for (name, length) in [("token", 400), ("config", 10_000)] {
            let temp = dir.path().join("temp");
            let mut file = File::create(&temp).expect("a file");
            file.write_all(&vec![b'x'; length]).expect("a write");
            file.sync_all().expect("a sync");
            std::fs::rename(&temp, dir.path().join(name)).expect("a rename");
            File::open(dir.path()).and_then(|dir| dir.sync_all()).expect("a sync");
        }
    })
}

/// What of `hook run` is the API's: connecting, its check of the token, its answer.
fn loopback_answer() -> Row {
    let api = api();
    let token = api.token("alice", 3600);
    let request = format!(
        "GET /v1/namespaces/alice/claims?status=pending HTTP/1.1\r\nHost: loopback\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    many(10, &mut || {
        let mut stream = TcpStream::connect(("127.0.0.1", api.port())).expect("the API listens");
        stream.write_all(request.as_bytes()).expect("a request");
        stream.shutdown(Shutdown::Write).expect("the end of the requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains("clm_5"), "{answer}");
    })
}

/// What `auth login --enable-authz-notify true` wants.
fn install(value: &Value) -> Value {
    let mut wanted = value.clone();
    let internal = &mut wanted["hooks"]["internal"];
    internal["enabled"] = json!(true);
    internal["entries"]["sigilum-authz-notify"] = json!({
        "enabled": true,
        "env": {
            "SIGILUM_NAMESPACE": "johndee",
            "SIGILUM_API_URL": "https://api.sigilum.id",
            "SIGILUM_MODE": "managed",
            "SIGILUM_OWNER_TOKEN": "e30.".repeat(120),
        }
    });
    wanted
}

/// A config of about `size` bytes: many agents before and after the hooks.
fn config(shape: &str, size: usize) -> String {
    let agent = |index: usize| {
        json!({
            "id": format!("agent-{index}"),
            "enabled": index.is_multiple_of(3),
            "model": {"primary": "anthropic/claude", "fallbacks": ["openai/gpt", "none"]},
            "workspace": format!("~/agents/{index}/workspace – \"quoted\""),
            "limits": {"turns": index, "cost": 0.25, "window": null},
        })
    };
    let mut value = json!({"meta": {"lastTouchedVersion": "2026.9.6"}, "agents": {}, "hooks": {"internal": {
        "enabled": false, "entries": {"session-memory": {"enabled": true}}}}, "more": {}});
    let each = match shape {
        "minified" => 215,
        "JSON5, comments" => 440,
        _ => 385,
    };
    for index in 0..size / each {
        value[if index % 2 == 0 { "agents" } else { "more" }][format!("agent {index}")] = agent(index);
    }
    match shape {
        "minified" => value.to_string(),
        "JSON5, comments" => {
            let text = serde_json::to_string_pretty(&value).expect("JSON");
            text.replace("\"enabled\"", "enabled")
                .replace("\"limits\": {", "// as agreed in \"May\"\n'limits': { /* per day */")
                .replace("null\n", "NaN, // no window\n")
        }
        "500 levels deep" => {
            let mut deep = json!(1);
            for _ in 0..500 {
                deep = json!({"d": deep});
            }
            value["deep"] = deep;
            serde_json::to_string(&value).expect("JSON")
        }
        _ => serde_json::to_string_pretty(&value).expect("JSON"),
    }
}

/// What one edit adds to it, in a process of its own.
fn peak_of(shape: &str, size: usize) -> Option<f64> {
    let shape = SHAPES.iter().position(|known| *known == shape)?;
    let output = Command::new(std::env::current_exe().ok()?)
        .args([ONCE, &shape.to_string(), &size.to_string()])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
