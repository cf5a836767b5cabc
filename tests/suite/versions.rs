//! One version everywhere: what is built, and what OpenClaw and npm are told.

use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn cargo_the_plugin_and_the_hook_have_the_same() {
    let ours = env!("CARGO_PKG_VERSION");
    for manifest in ["Cargo.toml", "crates/json5-edit/Cargo.toml"] {
        let text = read(manifest);
        let package = text.split_once("[package]").unwrap().1;
        let version = package
            .lines()
            .find_map(|line| line.strip_prefix("version = "))
            .unwrap();
        assert_eq!(version, format!("{ours:?}"), "{manifest}");
    }
    for manifest in [
        "hooks/package.json",
        "hooks/plugin/package.json",
        "hooks/plugin/openclaw.plugin.json",
        "hooks/sigilum-authz-notify/package.json",
    ] {
        let value: serde_json::Value = serde_json::from_str(&read(manifest)).unwrap();
        assert_eq!(value["version"], ours, "{manifest}");
    }
    let wanted = format!("json5-edit = {{ path = \"crates/json5-edit\", version = {ours:?} }}");
    assert!(read("Cargo.toml").contains(&wanted), "the dependency on json5-edit");
}

/// A name that nobody has taken invites a stranger to take it.
#[test]
fn nothing_tells_a_person_to_install_a_package_that_is_not_published() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("packaging/published").exists() {
        return;
    }
    let mut files = vec![root.join("README.md")];
    for folder in [
        "docs",
        "hooks/plugin",
        "hooks/sigilum-authz-notify",
        "packaging/npm",
        "src/cmd",
        "src/cli",
    ] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    let name = env!("CARGO_PKG_NAME");
    let installs = [
        "npm install -g",
        "npm i -g",
        "npm install",
        "npx",
        "plugins install",
        "cargo install",
    ];
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        for install in installs {
            let words = format!("{install} {name}");
            assert!(!text.contains(&words), "{}: {words}", file.display());
        }
    }
}

/// What OpenClaw shows before it loads the plugin, and what the plugin then says.
#[test]
fn the_manifest_says_of_the_command_what_the_plugin_says() {
    let manifest: serde_json::Value = serde_json::from_str(&read("hooks/plugin/openclaw.plugin.json")).unwrap();
    let command = &manifest["cliCommands"][0];
    let code = read("hooks/plugin/cli.js");
    for part in ["name", "description"] {
        let line = format!("{part}: {},", command[part]);
        assert!(code.contains(&line), "{line}");
    }
}
