//! Runs a command under strace: what it changed, call by call, and what happens if one of the calls is its last, or
//! fails.

use crate::env::{Output, Run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every call that changes a file, a folder or a name. A `?` in front: not every kernel has it.
const CHANGING: [&str; 30] = [
    "?open",
    "?creat",
    "openat",
    "write",
    "pwrite64",
    "writev",
    "?pwritev",
    "?pwritev2",
    "fsync",
    "fdatasync",
    "?rename",
    "?renameat",
    "renameat2",
    "?link",
    "linkat",
    "?symlink",
    "symlinkat",
    "?unlink",
    "unlinkat",
    "?mkdir",
    "mkdirat",
    "?rmdir",
    "?chmod",
    "fchmod",
    "fchmodat",
    "truncate",
    "ftruncate",
    "?chown",
    "fchown",
    "fchownat",
];

/// One state-changing call of an untouched run.
#[derive(Debug, Clone)]
pub struct Point {
    /// The system call's name.
    pub name: String,
    /// Which call of that name it is, from 1: what strace's `when=` counts.
    pub number: u32,
    /// What it works on; for a temporary file of ours the file that it becomes. `None`: an output of the command.
    pub target: Option<PathBuf>,
    /// The line of the log, for a message.
    pub line: String,
}

/// What is done to a call.
pub enum Blow {
    /// The process is killed as it enters the call.
    Kill,
    /// Ctrl-C is pressed as the process enters the call.
    Interrupt,
    /// The call fails with this error; the next one of its name works again.
    Fail(&'static str),
}

/// Whether strace is there and may trace.
pub fn check() -> Result<(), String> {
    let traced = std::process::Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    match traced {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "strace may not trace here: {}",
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => Err(format!(
            "these experiments need strace (apt-get install strace): {error}"
        )),
    }
}

fn traced(run: Run, log: &Path, inject: Option<String>) -> Run {
    let mut args = vec![
        "-f".to_owned(),
        "-y".to_owned(),
        "-o".to_owned(),
        log.display().to_string(),
        "-e".to_owned(),
        format!("trace={}", CHANGING.join(",")),
    ];
    if let Some(inject) = inject {
        args.extend(["-e".to_owned(), format!("inject={inject}")]);
    }
    run.under("strace", args)
}

/// Runs a command untouched and numbers its calls that change something below `home`, and its writes to its outputs.
///
/// # Panics
/// If calls of one name come from several threads: strace counts by thread, and a number would mean several calls.
pub fn record(run: Run, home: &Path, log: &Path) -> (Output, Vec<Point>) {
    let output = traced(run, log, None).output();
    let text = std::fs::read_to_string(log).unwrap();
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut threads: BTreeMap<String, String> = BTreeMap::new();
    let mut points: Vec<Point> = Vec::new();
    let mut renames: Vec<(PathBuf, PathBuf)> = Vec::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        let Some((name, args)) = call.split_once('(') else {
            continue;
        };
        if !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            continue;
        }
        let count = counts.entry((thread.to_owned(), name.to_owned())).or_default();
        *count += 1;
        let paths = paths(name, args);
        let inside = paths.first().is_some_and(|path| path.starts_with(home));
        let to_output = name == "write" && (args.starts_with("1<") || args.starts_with("2<"));
        let reads_only = matches!(name, "open" | "openat")
            && !["O_CREAT", "O_WRONLY", "O_RDWR", "O_TRUNC"]
                .iter()
                .any(|flag| args.contains(flag));
        if reads_only || !(inside || to_output) {
            continue;
        }
        let first = threads.entry(name.to_owned()).or_insert_with(|| thread.to_owned());
        assert_eq!(first, thread, "two threads make {name} calls: {line}");
        if (name.starts_with("rename") || name.starts_with("link")) && paths.len() == 2 {
            renames.push((paths[0].clone(), paths[1].clone()));
        }
        points.push(Point {
            name: name.to_owned(),
            number: *count,
            target: paths.into_iter().next().filter(|_| inside),
            line: call.to_owned(),
        });
    }
    for point in &mut points {
        if let Some(target) = &mut point.target {
            // A file in a temporary folder becomes one in the folder's final place.
            for (from, to) in renames.iter().filter(|(from, _)| super::tree::is_temp(from)) {
                if let Ok(rest) = target.strip_prefix(from) {
                    *target = if rest == Path::new("") {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                }
            }
        }
    }
    (output, points)
}

/// Runs a command with one call struck. Returns what it left and the log.
pub fn strike(run: Run, point: &Point, blow: &Blow, log: &Path) -> (Output, String) {
    let number = point.number;
    let inject = match blow {
        Blow::Kill => format!("{}:signal=SIGKILL:when={number}", point.name),
        Blow::Interrupt => format!("{}:signal=SIGINT:when={number}", point.name),
        Blow::Fail(error) => format!("{}:error={error}:when={number}", point.name),
    };
    let output = traced(run, log, Some(inject)).output();
    (output, std::fs::read_to_string(log).unwrap())
}

/// Whether the call that failed is the recorded one: under load a command may open a file more before it, and the number
/// is then another call's.
pub fn is_struck(point: &Point, log: &str) -> bool {
    let alike = |call: &str| -> Option<(String, Vec<PathBuf>)> {
        let (name, args) = call.split_once('(')?;
        let temp = |path: PathBuf| match super::tree::is_temp(&path) {
            true => path.with_file_name("temp"),
            false => path,
        };
        Some((name.to_owned(), paths(name, args).into_iter().map(temp).collect()))
    };
    let struck = log.lines().find(|line| line.contains("(INJECTED)"));
    let struck = struck
        .and_then(|line| line.split_once(' '))
        .map(|(_, call)| call.trim_start());
    // The log does not show every call so that it can be told.
    struck.is_none_or(|call| alike(call) == alike(&point.line))
}

/// Runs a command and logs in full what it starts, opens, writes, sends, and whom it lets read.
pub fn watch(run: Run, log: &Path) -> (Output, String) {
    let calls = "execve,?open,?creat,openat,write,pwrite64,writev,sendto,sendmsg,?chmod,fchmod,fchmodat,?fchmodat2";
    let args = [
        "-f",
        "-y",
        "-v",
        "-s",
        "100000",
        "-o",
        log.to_str().unwrap(),
        "-e",
        &format!("trace={calls}"),
    ]
    .map(str::to_owned);
    let output = run.under("strace", args).output();
    (output, std::fs::read_to_string(log).unwrap())
}

/// The paths that a call's arguments name: `5</a/b>, …` → `/a/b`; `3</a>, "b", 4</c>, "d"` → `/a/b`, `/c/d`.
fn paths(name: &str, args: &str) -> Vec<PathBuf> {
    let by_descriptor = ["write", "pwrite", "fsync", "fdatasync", "fchmod", "fchown", "ftruncate"];
    if by_descriptor
        .iter()
        .any(|call| name.starts_with(call) && !name.ends_with("at"))
    {
        let path = args.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        return path.map(|(path, _)| PathBuf::from(path)).into_iter().collect();
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut base = PathBuf::new();
    let mut rest = args;
    while let Some(at) = rest.find(['<', '"', '=']) {
        let after = &rest[at + 1..];
        let (mark, end) = match rest.as_bytes()[at] {
            b'<' => ('<', '>'),
            b'"' => ('"', '"'),
            _ => break,
        };
        let Some((text, after)) = after.split_once(end) else {
            break;
        };
        if mark == '<' {
            base = PathBuf::from(text);
        } else {
            paths.push(base.join(text));
        }
        rest = after;
    }
    paths
}
