//! The folders in which OpenClaw's agents write freely.

use crate::home::OpenClawHome;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The workspace that a path lies in, links resolved; `None` where it lies in none. Workspaces are the folders that a
/// config names as such, and those that OpenClaw takes without being told: `<home>/workspace` and, with more than one
/// agent, `<home>/workspace-<agent>`.
pub fn around(path: &Path, config: Option<&Value>, home: &OpenClawHome) -> Option<PathBuf> {
    let path = real(path);
    let own = real(&home.home);
    let first = path.strip_prefix(&own).ok().and_then(|rest| rest.components().next());
    let untold = first.filter(|first| first.as_os_str().to_string_lossy().starts_with("workspace"));
    let named = || {
        named(config?, home)
            .into_iter()
            .map(|folder| real(&folder))
            .find(|folder| path.starts_with(folder))
    };
    untold.map(|name| own.join(name)).or_else(named)
}

/// Whether agents may write at this path: it lies in a workspace, or anywhere in the OpenClaw home.
pub fn holds(path: &Path, config: Option<&Value>, home: &OpenClawHome) -> bool {
    real(path).starts_with(real(&home.home)) || around(path, config, home).is_some()
}

fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The workspaces of all agents, of those in a list (up to 2026.8) and of those by name.
fn named(config: &Value, home: &OpenClawHome) -> Vec<PathBuf> {
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
    let texts = all.filter_map(|agent| agent.get("workspace")?.as_str());
    let absolute = |text: &str| match (text.strip_prefix('~'), &home.person) {
        (Some(rest), Some(person)) => person.join(rest.trim_start_matches('/')),
        _ => home.home.join(text),
    };
    texts.map(absolute).collect()
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
