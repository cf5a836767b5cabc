//! The map of the house in `src/lib.rs`, held against the code: which room may know which, no circles between files, one
//! place each for the environment, for writing files and for starting programs, one form of modules and tests.
//!
//! What counts is the code that is shipped: no comments, no unit tests. A module and the files in its folder are one
//! thing here: they may use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What every room may know, and which knows nothing but itself.
const GROUND: [&str; 11] = [
    "env",
    "error",
    "fs",
    "home",
    "hook_record",
    "mode",
    "origin",
    "process",
    "request",
    "text",
    "time",
];

/// Each room above the ground, and the rooms above the ground that it may know.
const ROOMS: [(&str, &[&str]); 13] = [
    ("token", &[]),
    ("openclaw", &[]),
    ("sigilum", &[]),
    ("hook", &[]),
    ("broker", &["hook"]),
    ("authz", &["sigilum"]),
    ("settings", &["token", "openclaw", "sigilum"]),
    ("local_token", &["token", "openclaw", "sigilum", "settings"]),
    ("owner_token", &["token", "openclaw", "sigilum", "settings"]),
    ("token_check", &["token", "sigilum", "settings"]),
    (
        "watch",
        &[
            "token",
            "openclaw",
            "sigilum",
            "hook",
            "authz",
            "settings",
            "local_token",
            "owner_token",
            "token_check",
        ],
    ),
    // The values of flags are the rooms' own types.
    ("cli", &["openclaw", "watch"]),
    (
        "cmd",
        &[
            "token",
            "openclaw",
            "sigilum",
            "hook",
            "authz",
            "settings",
            "local_token",
            "owner_token",
            "token_check",
            "watch",
            "broker",
            "cli",
        ],
    ),
];

/// What only one place may do: the place, what it looks like in the code, and who else may, with the reason.
struct Sole {
    place: &'static str,
    signs: &'static [&'static str],
    others: &'static [(&'static str, &'static str)],
}

const SOLE: [Sole; 3] = [
    Sole {
        place: "process",
        signs: &["Command::new(", "process::Command"],
        others: &[],
    },
    Sole {
        place: "env",
        signs: &["env::var(", "env::var_os(", "env::vars(", "env::vars_os("],
        others: &[],
    },
    Sole {
        place: "fs",
        signs: &[
            "fs::write(",
            "fs::copy(",
            "fs::rename(",
            "fs::remove_file(",
            "fs::remove_dir(",
            "fs::remove_dir_all(",
            "fs::create_dir(",
            "fs::create_dir_all(",
            "fs::hard_link(",
            "fs::set_permissions(",
            "fs::symlink(",
            "File::create(",
            "File::create_new(",
            "File::options(",
            "OpenOptions",
            "DirBuilder",
            "OFlags::CREATE",
            "renameat",
            "linkat(",
            "mkdirat(",
            "fchmod",
            "fchown",
            "tempfile::",
        ],
        others: &[
            (
                "cmd::demo",
                "its throw-away home, which stays for the person to look at",
            ),
            (
                "openclaw::state_db",
                "a copy of OpenClaw's database to read, as reading would write beside it",
            ),
        ],
    },
];

/// The modules, each with its shipped code.
pub struct Source(BTreeMap<String, String>);

impl Source {
    /// Each module with its shipped code.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, code)| (name.as_str(), code.as_str()))
    }

    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut modules = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                let Some(name) = name.strip_suffix(".rs") else { continue };
                assert!(!name.ends_with("mod"), "src/{name}.rs: a module is x.rs beside x/");
                if name != "tests" && !name.ends_with("/tests") {
                    modules.insert(
                        name.replace('/', "::"),
                        shipped(name, &fs::read_to_string(&path).unwrap()),
                    );
                }
            }
        }
        Self(modules)
    }

    /// The module in whose file a path leads, from the crate's root.
    fn module_of(&self, path: &[&str]) -> Option<&str> {
        (1..=path.len())
            .rev()
            .find_map(|end| self.0.get_key_value(&path[..end].join("::")))
            .map(|(name, _)| name.as_str())
    }

    /// The modules that a module uses, but for its parents and children.
    fn uses(&self, module: &str) -> BTreeSet<&str> {
        let code = &self.0[module];
        let at: Vec<&str> = module.split("::").collect();
        let (imports, rest) = split_imports(code);
        let mut paths: Vec<String> = imports.iter().flat_map(|import| expanded(import)).collect();
        paths.extend(paths_in(&rest));
        let used = paths.iter().filter_map(|path| {
            let mut path: Vec<&str> = path.split("::").map(str::trim).collect();
            let mut base = match path[0] {
                "crate" => Vec::new(),
                "self" => at.clone(),
                "super" => at[..at.len() - 1].to_vec(),
                _ => return None,
            };
            path.remove(0);
            while path.first() == Some(&"super") {
                path.remove(0);
                base.pop();
            }
            base.extend(path);
            self.module_of(&base)
        });
        used.filter(|used| !is_within(used, module) && !is_within(module, used))
            .collect()
    }
}

/// The code of a file without comments and unit tests.
fn shipped(name: &str, text: &str) -> String {
    let code = match text.split_once("\n#[cfg(test)]\nmod tests {") {
        Some((code, tests)) => {
            let end = tests.find("\n}\n").unwrap_or(tests.len());
            assert_eq!(
                &tests[end..],
                "\n}\n",
                "src/{name}.rs: unit tests stand at the end of a file"
            );
            code
        }
        None => text,
    };
    let without_comment = |line: &str| match line.trim_start().starts_with("//") {
        true => String::new(),
        false => line.split(" // ").next().unwrap_or_default().to_owned(),
    };
    code.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// The trees of the `use` items, and the code without them.
fn split_imports(code: &str) -> (Vec<String>, String) {
    let (mut imports, mut rest) = (Vec::new(), String::new());
    let mut open: Option<String> = None;
    for line in code.lines() {
        let mut item = match open.take() {
            Some(begun) => begun + line,
            None => {
                let bare = line.trim_start();
                let bare = bare
                    .strip_prefix("pub")
                    .map_or(bare, |bare| bare.trim_start_matches(|c: char| c != ' ').trim_start());
                match bare.strip_prefix("use ") {
                    Some(tree) => tree.to_owned(),
                    None => {
                        rest.push_str(line);
                        rest.push('\n');
                        continue;
                    }
                }
            }
        };
        match item.find(';') {
            Some(end) => {
                item.truncate(end);
                imports.push(item);
            }
            None => open = Some(item),
        }
    }
    (imports, rest)
}

/// Every path of a `use` tree: `a::{self, b::C as D}` is `a::self` and `a::b::C`.
fn expanded(tree: &str) -> Vec<String> {
    let Some((before, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default().trim();
        return vec![path.trim_end_matches("::self").to_owned()];
    };
    let inner = inner.trim_end().trim_end_matches('}');
    let (mut depth, mut begin, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[begin..]);
    let parts = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    let braces = |part: &str| match part.contains('{') {
        true => format!("{part}}}"),
        false => part.to_owned(),
    };
    parts
        .flat_map(|part| expanded(&format!("{before}{}", braces(part.trim_end_matches('}')))))
        .collect()
}

/// The paths from `crate` or `super` on that stand in code.
fn paths_in(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.split(|c| !is_path(c))
        .filter(|path| path.starts_with("crate::") || path.starts_with("super::"))
        .map(|path| path.trim_end_matches(':').to_owned())
        .collect()
}

fn is_within(module: &str, folder: &str) -> bool {
    module
        .strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn room(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn arrows_point_one_way() {
    let source = Source::read();
    let mut faults = Vec::new();
    for module in source
        .0
        .keys()
        .filter(|module| !["lib", "main"].contains(&module.as_str()))
    {
        let from = room(module);
        let known = match ROOMS.iter().find(|(room, _)| *room == from) {
            Some((_, known)) => *known,
            None if GROUND.contains(&from) => &[],
            None => panic!("src/{from}: a room that is on no map; put it into the test and into src/lib.rs"),
        };
        for used in source.uses(module) {
            let to = room(used);
            if to != from && !GROUND.contains(&to) && !known.contains(&to) {
                faults.push(format!("{module} uses {used}: {from} may not know {to}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let source = Source::read();
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = source
        .0
        .keys()
        .map(|module| (module.as_str(), source.uses(module)))
        .collect();
    // Take away, again and again, what uses nothing that is left, or what nothing that is left uses.
    loop {
        let used: BTreeSet<&str> = arrows.values().flatten().copied().collect();
        let ends: Vec<&str> = arrows
            .iter()
            .filter(|(module, uses)| uses.is_empty() || !used.contains(*module))
            .map(|(module, _)| *module)
            .collect();
        if ends.is_empty() {
            break;
        }
        arrows.retain(|module, _| !ends.contains(module));
        for uses in arrows.values_mut() {
            uses.retain(|module| !ends.contains(module));
        }
    }
    assert!(arrows.is_empty(), "circles: {arrows:#?}");
}

#[test]
fn some_things_are_done_at_one_place_only() {
    let source = Source::read();
    let mut faults = Vec::new();
    for sole in SOLE {
        let does = |module: &str| -> Vec<&str> {
            let signs = sole.signs.iter().copied();
            signs.filter(|sign| source.0[module].contains(sign)).collect()
        };
        for module in source.0.keys().filter(|module| room(module) != sole.place) {
            let exempt = sole.others.iter().any(|(other, _)| other == module);
            match does(module)[..] {
                [] if exempt => faults.push(format!(
                    "{module} needs no exemption any more from: only {} may",
                    sole.place
                )),
                [sign, ..] if !exempt => faults.push(format!("{module} does {sign}: only {} may", sole.place)),
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
