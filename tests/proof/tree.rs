//! What lies in a home: taken down, put back, and compared.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// A name in a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Folder(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
}

/// Everything in a home, by path from it.
pub type Tree = BTreeMap<PathBuf, Node>;

/// What is in a home.
pub fn take(home: &Path) -> Tree {
    fn walk(home: &Path, folder: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let mode = meta.mode() & 0o7777;
            let node = if meta.is_symlink() {
                Node::Link(std::fs::read_link(&path).unwrap())
            } else if meta.is_dir() {
                walk(home, &path, tree);
                Node::Folder(mode)
            } else {
                Node::File(mode, std::fs::read(&path).unwrap())
            };
            tree.insert(path.strip_prefix(home).unwrap().to_owned(), node);
        }
    }
    let mut tree = Tree::new();
    walk(home, home, &mut tree);
    tree
}

/// Makes a home hold this and nothing else.
pub fn put(home: &Path, tree: &Tree) {
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
    }
    for (path, node) in tree {
        let path = home.join(path);
        let mode = match node {
            Node::Folder(mode) => {
                std::fs::create_dir(&path).unwrap();
                *mode
            }
            Node::File(mode, bytes) => {
                std::fs::write(&path, bytes).unwrap();
                *mode
            }
            Node::Link(to) => {
                symlink(to, &path).unwrap();
                continue;
            }
        };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A temporary file or folder of ours, or something in such a folder.
pub fn is_temp(path: &Path) -> bool {
    path.iter().any(|part| {
        part.to_str()
            .is_some_and(|part| part.starts_with(".sigilum-authz-notify-") && part.ends_with(".tmp"))
    })
}

/// A database or one of its companions.
pub fn is_database(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(".sqlite"))
}

/// A file that every run writes anew: who holds a lock of ours, what the watcher says of itself.
pub fn is_volatile(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["lock", "watch.lock", ".sigilum-authz-notify.lock", "watch-status.json"].contains(&name)
}

/// OpenClaw's lock and the guard of its takeover.
pub fn is_openclaw_lock(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains("openclaw.json.lock"))
}

/// A file's text with what differs from run to run made equal: whole tokens, whole keys, times, port numbers. A token or
/// a key that is cut short stays as it is, and so differs.
pub fn normal(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut normal = String::new();
    let mut rest = &*text;
    while !rest.is_empty() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        let end = match rest.find(|c| !in_word(c)) {
            Some(0) => rest.chars().next().map_or(1, char::len_utf8),
            Some(end) => end,
            None => rest.len(),
        };
        let (word, after) = rest.split_at(end);
        normal.push_str(&normal_word(word));
        rest = after;
    }
    normal
}

/// The tokens, keys and signing secrets in a text.
pub fn secrets_in(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)));
    words
        .filter(|word| {
            matches!(
                &*normal_word(word),
                "<token>" | "<sk_live_secret>" | "<gw_secret>" | "<secret>"
            )
        })
        .map(str::to_owned)
        .collect()
}

fn normal_word(word: &str) -> String {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
    let parts: Vec<&str> = word.split('.').collect();
    if let [head, body, signature] = parts[..]
        && head.starts_with("eyJ")
        && body.starts_with("eyJ")
        && signature.len() == 43
    {
        return "<token>".to_owned();
    }
    for start in ["sk_live_", "gw_", ""] {
        let length = if start.is_empty() { 96 } else { 48 };
        if let Some(rest) = word.strip_prefix(start)
            && rest.len() == length
            && hex(rest)
        {
            return format!("<{start}secret>");
        }
    }
    // A checksum of something with a token in it.
    if word.len() >= 15 && word.bytes().all(|b| b.is_ascii_digit()) {
        return "<hash>".to_owned();
    }
    if word.len() >= 20 && word.starts_with("20") && word.as_bytes()[10] == b'T' && word.ends_with('Z') {
        return "<time>".to_owned();
    }
    if let Some((host, port)) = word.split_once(':')
        && host == "127.0.0.1"
    {
        return format!("{host}:<{}>", if port == "8787" { "8787" } else { "port" });
    }
    word.to_owned()
}

/// Compares what a struck run left with what was there before it and what an untouched run leaves: every file is the
/// one or the other in full. Leftovers that the next run clears away are left out.
pub fn old_or_new(now: &Tree, old: &Tree, new: &Tree, faults: &mut Vec<String>) {
    for path in now.keys().chain(old.keys()).chain(new.keys()) {
        if is_temp(path) || is_database(path) || is_openclaw_lock(path) || is_volatile(path) {
            continue;
        }
        let (is, was, will) = (now.get(path), old.get(path), new.get(path));
        // Written before the config's swap, the undo record knows the state before it and the one after it.
        let is_record = path.ends_with("undo.json")
            && matches!(is, Some(Node::File(0o600, bytes)) if serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
        let leaving = path.ends_with("installed.json") && begun(is, was);
        if !is_record && !leaving && !same(is, was) && !same(is, will) {
            let fault = format!("{} is neither the old nor the new: {}", path.display(), shown(is));
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
    }
}

/// Compares what the next run left with what an untouched run leaves: the same, and nothing besides.
pub fn is_new(now: &Tree, new: &Tree, leftovers: bool, faults: &mut Vec<String>) {
    for path in now.keys().chain(new.keys()) {
        let companion = is_database(path) && !path.to_str().is_some_and(|path| path.ends_with(".sqlite"));
        if leftovers && (is_temp(path) || is_openclaw_lock(path) || companion) {
            continue;
        }
        let (is, will) = (now.get(path), new.get(path));
        // What the undo record says may differ after an interrupted run; what it does is tried out.
        let is_record = path.ends_with("undo.json");
        let equal = if is_database(path) || is_volatile(path) || is_record {
            is.is_some() == will.is_some()
        } else {
            same(is, will)
        };
        let fault = format!("{} is not as it must be in the end: {}", path.display(), shown(is));
        if !equal && !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

/// The list of installed files as it was, with the note that an uninstall has begun.
fn begun(is: Option<&Node>, was: Option<&Node>) -> bool {
    let (Some(Node::File(0o600, is)), Some(Node::File(_, was))) = (is, was) else {
        return false;
    };
    let list = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let (Some(mut is), Some(was)) = (list(is), list(was)) else {
        return false;
    };
    let noted = is.as_object_mut().and_then(|list| list.remove("leaving"));
    noted == Some(serde_json::Value::Bool(true)) && is == was
}

fn same(one: Option<&Node>, other: Option<&Node>) -> bool {
    match (one, other) {
        (Some(Node::File(mode, bytes)), Some(Node::File(other_mode, other))) => {
            mode == other_mode && (bytes == other || normal(bytes) == normal(other))
        }
        (one, other) => one == other,
    }
}

fn shown(node: Option<&Node>) -> String {
    match node {
        Some(Node::File(mode, bytes)) => format!("mode {mode:04o}, {:?}", normal(bytes)),
        other => format!("{other:?}"),
    }
}

/// A file that holds a secret is nobody else's to read; what is ours is 0600 in 0700.
pub fn private(now: &Tree, secrets: &[&str], faults: &mut Vec<String>) {
    for (path, node) in now {
        let ours = is_temp(path)
            || path
                .iter()
                .any(|part| part == ".sigilum" || part == ".sigilum-workspace");
        let open = match node {
            Node::File(mode, bytes) => {
                // The checkout is the person's own.
                let theirs = path.starts_with("sigilum/apps");
                !theirs && mode & 0o7177 != 0 && (ours || holds_secret(bytes, secrets))
            }
            Node::Folder(mode) => ours && mode & 0o7077 != 0,
            Node::Link(_) => ours,
        };
        if open {
            faults.push(format!(
                "{} can be read by others: {}",
                path.display(),
                shown(Some(node))
            ));
        }
    }
}

fn holds_secret(bytes: &[u8], secrets: &[&str]) -> bool {
    let (text, normal) = (String::from_utf8_lossy(bytes), normal(bytes));
    normal.contains("<token>") || normal.contains("secret>") || secrets.iter().any(|secret| text.contains(secret))
}

/// Every database opens, with its companions, and is whole. On a copy: to look is to recover.
pub fn databases(now: &Tree, faults: &mut Vec<String>) -> u32 {
    let mut count = 0;
    for (path, node) in now {
        let (Node::File(..), Some("sqlite")) = (node, path.extension().and_then(|end| end.to_str())) else {
            continue;
        };
        if is_temp(path) {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        for end in ["", "-wal", "-journal"] {
            let mut companion = path.clone().into_os_string();
            companion.push(end);
            if let Some(Node::File(_, bytes)) = now.get(Path::new(&companion)) {
                std::fs::write(dir.path().join(format!("copy.sqlite{end}")), bytes).unwrap();
            }
        }
        let check = || -> rusqlite::Result<String> {
            let db = rusqlite::Connection::open(dir.path().join("copy.sqlite"))?;
            db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
        };
        match check() {
            Ok(said) if said == "ok" => count += 1,
            other => faults.push(format!("{}: {other:?}", path.display())),
        }
    }
    count
}

/// Whether OpenClaw could take its write lock at once, by its own rules; what is in the way if it could not.
pub fn openclaw_blocked(now: &Tree, config: &Path) -> Option<String> {
    let beside = |end: &str| {
        let mut path = config.to_owned().into_os_string();
        path.push(end);
        now.get(Path::new(&path))
    };
    if beside(".lock.reclaim").is_some() {
        return Some("guard".to_owned());
    }
    let lock = beside(".lock")?;
    let Node::File(_, bytes) = lock else {
        return Some(format!("the lock is no file: {lock:?}"));
    };
    let payload: serde_json::Value = match serde_json::from_slice(bytes) {
        Ok(payload) => payload,
        Err(error) => return Some(format!("the lock cannot be read, and never goes: {error}")),
    };
    let pid = payload["pid"].as_u64()?;
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return None;
    };
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let same_start = payload["starttime"]
        .as_u64()
        .is_none_or(|start| fields[19] == start.to_string());
    (fields[0] != "Z" && same_start).then(|| format!("process {pid} holds the lock"))
}
