//! The folders in which OpenClaw's agents write freely.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The folders that a config names as workspaces, and those that OpenClaw takes without being told: `<home>/workspace`
/// and, with more than one agent, `<home>/workspace-<agent>`. `tilde` is what a leading `~` stands for.
fn all(config: Option<&Value>, home: &Path, tilde: Option<&Path>) -> Vec<PathBuf> {
    let of = |value: &Value| value.get("workspace").and_then(Value::as_str).map(str::to_owned);
    let agents = config.and_then(|config| config.get("agents"));
    let defaults = agents.and_then(|agents| agents.get("defaults")).and_then(of);
    let list = agents.and_then(|agents| agents.get("list")).and_then(Value::as_array);
    let named = defaults.into_iter().chain(list.into_iter().flatten().filter_map(of));
    let absolute = |text: String| match (text.strip_prefix("~"), tilde) {
        (Some(rest), Some(tilde)) => tilde.join(rest.trim_start_matches('/')),
        _ => home.join(text),
    };
    let beside = std::fs::read_dir(home).into_iter().flatten().flatten();
    let by_name = beside
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("workspace"))
        .map(|entry| entry.path());
    named.map(absolute).chain(by_name).collect()
}

/// Whether agents may write at this path: it lies in a workspace, or anywhere in the OpenClaw home.
pub fn holds(path: &Path, config: Option<&Value>, home: &Path, tilde: Option<&Path>) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let path = real(path);
    let mut folders = all(config, home, tilde);
    folders.push(home.to_owned());
    folders.iter().any(|folder| path.starts_with(real(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_agents_write() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join(".openclaw");
        std::fs::create_dir_all(home.join("workspace-work/repo")).unwrap();
        std::fs::create_dir_all(dir.path().join("agents/of/bob")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("agents"), dir.path().join("link")).unwrap();
        let config = json!({"agents": {"defaults": {"workspace": "~/link/of"}, "list": [{"workspace": "/srv/a"}, 7]}});
        let is = |path: &Path| holds(path, Some(&config), &home, Some(dir.path()));
        for (path, inside) in [
            ("/srv/a/sigilum", true),
            ("/srv/ab", false),
            ("agents/of/bob", true),
            ("agents", false),
            (".openclaw/workspace-work/repo", true),
            (".openclaw/elsewhere", true),
            ("src/sigilum", false),
        ] {
            assert_eq!(is(&dir.path().join(path)), inside, "{path}");
        }
        assert!(!holds(&dir.path().join("agents/of"), None, &home, None));
    }
}
