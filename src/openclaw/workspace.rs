//! The folders in which OpenClaw's agents write freely.

use super::substitution::substituted;
use crate::home::OpenClawHome;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// The workspace that a path lies in, links resolved; `None` where it lies in none. Workspaces are the folders that a
/// config names as such, and those that OpenClaw takes without being told: `<home>/workspace` and, with more than one
/// agent, `<home>/workspace-<agent>`.
pub fn around(path: &Path, config: Option<&Value>, home: &OpenClawHome) -> Option<PathBuf> {
    let path = real(path);
    let own = real(&home.home);
    let first = path.strip_prefix(&own).ok().and_then(|rest| rest.components().next());
    let untold = first.filter(|first| first.as_os_str().to_string_lossy().starts_with("workspace"));
    let named = || {
        let folders = named(config?)
            .into_iter()
            .filter_map(|text| folder(text, config?, home));
        folders
            .map(|folder| real(&home.home.join(folder)))
            .find(|folder| path.starts_with(folder))
    };
    untold.map(|name| own.join(name)).or_else(named)
}

/// A workspace whose folder only OpenClaw's gateway knows, as the config spells it: it may be anywhere.
pub fn unknown<'a>(config: Option<&'a Value>, home: &OpenClawHome) -> Option<&'a str> {
    let config = config?;
    let is_known = |text: &str| folder(text, config, home).is_some_and(|folder| folder.is_absolute());
    named(config).into_iter().find(|text| !is_known(text))
}

/// Whether agents may write at this path: it lies in a workspace or anywhere in the OpenClaw home, as far as is known.
pub fn holds(path: &Path, config: Option<&Value>, home: &OpenClawHome) -> bool {
    real(path).starts_with(real(&home.home)) || around(path, config, home).is_some() || unknown(config, home).is_some()
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What the config names as the folder of an agent: of all, of those in a list (up to 2026.8) and of those by name, with
/// the folders that they are to work in; and what it puts into the OpenClaw gateway's environment for that.
fn named(config: &Value) -> Vec<&str> {
    let agents = &config["agents"];
    let list = agents["list"].as_array().into_iter().flatten();
    let entries = agents["entries"]
        .as_object()
        .into_iter()
        .flat_map(|entries| entries.values());
    let all = [&agents["defaults"], &config["agent"]]
        .into_iter()
        .chain(list)
        .chain(entries);
    let of_agent = |agent| ["/workspace", "/cwd", "/runtime/acp/cwd"].map(|at| Value::pointer(agent, at));
    let texts = all.flat_map(of_agent).flatten().filter_map(Value::as_str);
    let texts = texts.chain(variable(config, "OPENCLAW_WORKSPACE_DIR"));
    texts.filter(|text| !text.trim().is_empty()).collect()
}

/// A variable that the config puts into the OpenClaw gateway's environment.
fn variable<'a>(config: &'a Value, name: &str) -> Option<&'a str> {
    let members = ["/env/vars", "/env"].map(|at| config.pointer(at).and_then(Value::as_object));
    let mut members = members.into_iter().flatten().flatten();
    members.find(|(key, _)| key.trim() == name)?.1.as_str()
}

/// The folder that a text names, as OpenClaw 2026.9.6 takes it; `None` where a variable that is not known stands in it.
/// One that is not absolute lies where only OpenClaw's gateway knows.
pub fn folder(text: &str, config: &Value, home: &OpenClawHome) -> Option<PathBuf> {
    let of_person = home.person_home.as_ref().and_then(|person| person.to_str());
    let known = |name: &str| of_person.filter(|_| name == "HOME" && variable(config, name).is_none());
    let text = substituted(text, |name| known(name).map(str::to_owned))?.replace('\0', "");
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let spelled = match (Path::new(text).strip_prefix("~"), &home.person) {
        (Ok(rest), Some(person)) => person.join(rest),
        _ => PathBuf::from(text),
    };
    // By its spelling alone, whatever is there.
    let mut path = PathBuf::new();
    for part in spelled.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            part => path.push(part),
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_agents_write() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let home = OpenClawHome {
            person: Some(root.clone()),
            ..OpenClawHome::at(root.join(".openclaw"))
        };
        std::fs::create_dir_all(home.home.join("workspace-work/repo")).unwrap();
        std::fs::create_dir_all(root.join("agents/of/bob")).unwrap();
        std::os::unix::fs::symlink(root.join("agents"), root.join("link")).unwrap();
        let config = json!({"agents": {
            "defaults": {"workspace": "~/link/of"},
            "list": [{"workspace": "/srv/a"}, 7],
            "entries": {"b": {"workspace": "/srv/b"}, "c": {"workspace": null}},
        }});
        let table = [
            ("/srv/a/sigilum", Some("/srv/a")),
            ("/srv/ab", None),
            ("/srv/b", Some("/srv/b")),
            ("agents/of/bob", Some("agents/of")),
            ("link/of/bob", Some("agents/of")),
            ("agents", None),
            ("src/sigilum", None),
            (".openclaw/workspace-work/repo", Some(".openclaw/workspace-work")),
            (".openclaw/workspace/x", Some(".openclaw/workspace")),
            (".openclaw/elsewhere", None),
        ];
        for (path, workspace) in table {
            let workspace = workspace.map(|name| root.join(name));
            let path = root.join(path);
            assert_eq!(around(&path, Some(&config), &home), workspace, "{}", path.display());
            let inside = workspace.is_some() || path.starts_with(&home.home);
            assert_eq!(holds(&path, Some(&config), &home), inside, "{}", path.display());
        }
        assert!(!holds(&root.join("agents/of"), None, &home));
    }
}
