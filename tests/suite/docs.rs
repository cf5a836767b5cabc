//! What the documents promise, held against the sources.

use std::collections::BTreeSet;
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

/// Every page of ours, from the root of the repository.
fn pages() -> Vec<PathBuf> {
    const NOT_OURS: [&str; 5] = ["target", "dist", ".git", ".work", "node_modules"];
    let mut folders = vec![root()];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.extend((!NOT_OURS.iter().any(|not| name == *not)).then_some(path));
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    pages.sort();
    pages
}

/// The lines of a page outside of its blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    })
}

/// The parts of a line within backticks, and those without.
fn by_backticks(line: &str) -> (Vec<&str>, String) {
    let parts: Vec<&str> = line.split('`').collect();
    let inside = parts.iter().skip(1).step_by(2).copied().collect();
    let outside: Vec<&str> = parts.iter().step_by(2).copied().collect();
    (inside, outside.join("`"))
}

/// What GitHub makes of a heading, to be linked to.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_ ".contains(*c);
    let slug: String = heading.trim().to_lowercase().chars().filter(kept).collect();
    slug.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// What is wrong with the links of a page, and with the files that it names in backticks by their path from the root.
fn faults(page: &Path, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{}: {what}", page.display()));
    for line in prose(text) {
        let (named, words) = by_backticks(line);
        for link in words.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, wanted) = link.split_once('#').map_or((link, None), |(file, at)| (file, Some(at)));
            let target = page.parent().unwrap_or(Path::new("")).join(file);
            let there = match file {
                "" => text.to_owned(),
                _ if target.extension().is_some_and(|end| end == "md") => {
                    std::fs::read_to_string(root().join(&target)).unwrap_or_default()
                }
                _ => String::new(),
            };
            if !file.is_empty() && !root().join(&target).exists() {
                fault(format!("a link to what is not there: {link}"));
            } else if wanted.is_some_and(|at| !anchors(&there).contains(at)) {
                fault(format!("a link to a heading that is not there: {link}"));
            }
        }
        for path in named {
            let is_path = path.contains('/') && !path.contains([' ', '<', '*', '{', '…', ':', '$', '|', '"']);
            let folder = path.split('/').next().unwrap_or_default();
            let of_ours = [
                "src",
                "docs",
                "tests",
                "crates",
                "packaging",
                "benches",
                "fuzz",
                "fixtures",
                ".ci",
                ".github",
            ];
            if is_path && of_ours.contains(&folder) && !root().join(path).exists() {
                fault(format!("a file that is not there: {path}"));
            }
        }
    }
    faults
}

#[test]
fn every_link_leads_somewhere_and_every_file_that_is_named_is_there() {
    let pages = pages();
    for wanted in [
        "README.md",
        "docs/security.md",
        "crates/json5-edit/README.md",
        "fuzz/README.md",
    ] {
        assert!(
            pages.iter().any(|page| page.ends_with(wanted)),
            "{wanted} is not looked at"
        );
    }
    let faults: Vec<String> = pages.iter().flat_map(|page| faults(page, &read(page))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_link_or_a_path_that_leads_nowhere_is_found() {
    let page = Path::new("docs/here.md");
    for good in [
        "[a](files.md), [b](../README.md), [c](files.md#if-a-file-is-stolen), [d](https://sigilum.id)",
        "`src/main.rs`, `.ci/run`, `docs/`, `src/<name>.rs`, `[x](nowhere.md)`",
        "## Here `and` there's\n[a](#here-and-theres)",
        "```\n[a](nowhere.md)\n```",
    ] {
        assert_eq!(faults(page, good), Vec::<String>::new(), "{good}");
    }
    for bad in [
        "[a](nowhere.md)",
        "[a](files.md) [b](files.md#nowhere)",
        "[a](#nowhere)",
        "`src/nowhere.rs`",
    ] {
        assert_eq!(faults(page, bad).len(), 1, "{bad}");
    }
}

#[test]
fn each_exit_code_of_the_program_is_documented() {
    let codes = read("src/error.rs");
    let codes = codes
        .split("pub enum ExitCode {")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    let codes = codes
        .lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "));
    let table = read("docs/exit-codes.md");
    let mut count = 0;
    for (name, code) in codes {
        let words: String = name
            .char_indices()
            .map(|(at, c)| match c.is_uppercase() && at > 0 {
                true => format!(" {}", c.to_lowercase()),
                false => c.to_lowercase().to_string(),
            })
            .collect();
        assert!(table.contains(&format!("| {code} | {words} |")), "| {code} | {words} |");
        count += 1;
    }
    assert_eq!(count, table.lines().filter(|line| line.starts_with("| ")).count() - 1);
}

/// The names of a command's commands, as its help lists them.
fn commands(of: &str) -> Vec<String> {
    let words: Vec<&str> = of.split_whitespace().chain(["--help"]).collect();
    let help = crate::env::TestEnv::new().run(words).expect(0).stdout;
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    names.map(str::to_owned).collect()
}

#[test]
fn each_command_is_in_the_table_of_commands() {
    let page = read("docs/commands.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(commands("authz").iter().any(|name| name == "approve"));
    let mut lacking = Vec::new();
    for name in commands("") {
        let mut all: Vec<(String, String)> = vec![(format!("`{name}"), format!("`{name}"))];
        // `auth login`, or in one row `service add`, `list`, `secret set`.
        let inner = commands(&name).into_iter();
        all.extend(inner.map(|inner| (format!("`{name} {inner}"), format!("`{inner}"))));
        lacking.extend(all.into_iter().filter_map(|(whole, short)| {
            let is_of_the_group = |row: &&str| row.starts_with(&format!("| `{name} "));
            let is_there = |row: &&str| row.contains(&whole) || (is_of_the_group(row) && row.contains(&short));
            (!rows.iter().any(is_there)).then_some(whole)
        }));
    }
    assert!(lacking.is_empty(), "not in the table of commands: {lacking:?}");
}
