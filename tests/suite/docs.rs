//! What the documents promise, held against the sources.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a test of this name is there: `proof private` (an experiment), `hook_run` or `hook_run::a_test` (of this
/// crate), `authority.test.mjs` (in a real OpenClaw).
fn exists(test: &str) -> bool {
    if let Some(experiment) = test.strip_prefix("proof ") {
        return read("tests/proof/main.rs").contains(&format!("(\"{experiment}\", "));
    }
    if test.ends_with(".test.mjs") {
        return root().join("tests/openclaw").join(test).is_file();
    }
    let (module, function) = test
        .split_once("::")
        .map_or((test, None), |(module, name)| (module, Some(name)));
    let file = root().join(format!("tests/suite/{module}.rs"));
    let is_run = read("tests/suite/main.rs").contains(&format!("\nmod {module};"));
    is_run
        && function.is_none_or(|name| {
            std::fs::read_to_string(file)
                .unwrap()
                .contains(&format!("\nfn {name}() {{"))
        })
}

#[test]
fn every_line_of_security_md_names_a_test_that_exists() {
    let text = read("docs/security.md");
    let mut named = 0;
    for line in text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("tried by"))
    {
        let cell = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test is named: {line}");
        for test in tests {
            assert!(exists(test), "there is no such test, {test}: {line}");
            named += 1;
        }
    }
    assert!(named >= 15, "{named} tests only");
    for missing in ["proof nothing", "nothing", "hook_run::nothing", "nothing.test.mjs"] {
        assert!(!exists(missing), "{missing}");
    }
}

/// What is told to those who set the hook up names no setting that the entry can no longer decide, and flags that exist.
#[test]
fn the_texts_beside_hook_and_plugin_name_what_decides() {
    let mut folders = vec![root().join("hooks")];
    let mut texts = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => texts.push((path.clone(), std::fs::read_to_string(path).unwrap())),
            }
        }
    }
    assert!(texts.iter().any(|(path, _)| path.ends_with("HOOK.md")));
    for (path, text) in &texts {
        for gone in ["SIGILUM_TOKEN_IN_CONFIG", "SIGILUM_NOTIFY_"] {
            assert!(!text.contains(gone), "{} names {gone}", path.display());
        }
        let flags = text.split("`hook install --").skip(1);
        let help = crate::env::TestEnv::new()
            .run(["hook", "install", "--help"])
            .expect(0)
            .stdout;
        for flag in flags.map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            assert!(help.contains(&format!("--{flag}")), "{} names --{flag}", path.display());
        }
    }
}
