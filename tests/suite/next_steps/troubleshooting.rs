//! docs/troubleshooting.md: what a person sees, and what to do, for every place that gives a next step and every fault
//! that the plugin tells in the chat. The page is made from `messages.txt`:
//!
//! ```text
//! == What the person was doing
//!
//! at the::module        a block for each place of that module
//! says the text         `…` where a value stands, `¦` where another text of the code begins or ends
//! check home            of doctor: the check that finds it
//! about what it is      where the text is another message's
//! next the step
//! means what the text does not say
//! ```
//!
//! A block may say several things. `WRITE_DOCS=1 cargo test --test suite troubleshooting` writes the page.

use super::places;
use crate::architecture::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MESSAGES: &str = include_str!("messages.txt");

const HEAD: &str = "# Troubleshooting

What a message means, and what to do: everything that `sigilum-authz-notify` says with a `next:` line, and what the plugin
says in the chat when something is wrong. `…` stands for a value: a path, a name, the cause. Where to begin if nothing is
said at all: `sigilum-authz-notify doctor` goes through everything that a notice needs.

The step is shown as it is printed; the real one has the values filled in, and `--openclaw-home`, `--config` and
`--namespace` as you gave them. Where a step has words before a colon, the command stands behind it. `<…>` is for you to
fill in. What an exit code says: [exit-codes.md](exit-codes.md).

This page is made from the program's messages, and a test holds it against them.
";

/// What begins a fault that the plugin tells in the chat.
const CHAT_SIGNS: [&str; 3] = ["text: \"Sigilum", "text: `Sigilum", "[`Sigilum"];
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    says: String,
    check: String,
    about: String,
    means: String,
    next: String,
}

#[derive(Debug)]
struct Group {
    title: String,
    places: Vec<String>,
    rows: Vec<Row>,
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for line in MESSAGES.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        let value = value.to_owned();
        if key == "==" {
            let (places, rows) = (Vec::new(), Vec::new());
            groups.push(Group {
                title: value,
                places,
                rows,
            });
            continue;
        }
        let group = groups.last_mut().expect("a group first");
        match (key, group.rows.last_mut()) {
            ("at", _) => group.places.push(value),
            ("says", _) => group.rows.push(Row {
                says: value,
                ..Row::default()
            }),
            ("check", Some(row)) => row.check = value,
            ("about", Some(row)) => row.about = value,
            ("next", Some(row)) => row.next = value,
            ("means", Some(row)) => row.means = value,
            _ => panic!("not understood: {line}"),
        }
    }
    groups
}

/// As a code span in a cell of a table.
fn span(text: &str) -> String {
    let text = text.replace('¦', "").replace('|', "\\|");
    match text.contains('`') {
        true => format!("`` {text} ``"),
        false => format!("`{text}`"),
    }
}

fn line(row: &Row) -> String {
    let mut says = span(&row.says);
    if !row.about.is_empty() {
        says += &format!(" ({})", row.about);
    }
    if !row.check.is_empty() {
        says += &format!(" (check `{}`)", row.check.replace(", ", "`, `"));
    }
    let means = match row.means.as_str() {
        "" => String::new(),
        means => format!("{means} "),
    };
    format!("| {says} | {means}{} |\n", span(&row.next))
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for mut group in groups() {
        let letters = |row: &Row| {
            row.says
                .trim_start_matches(|c: char| !c.is_alphanumeric())
                .to_lowercase()
        };
        group.rows.sort_by_key(|row| (letters(row), row.clone()));
        group.rows.dedup();
        page += &format!("\n## {}\n\n| it says | what to do |\n|---|---|\n", group.title);
        page.extend(group.rows.iter().map(line));
    }
    page
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The plugin's files that run, by their path from the root, with their text.
fn chat_files() -> Vec<(String, String)> {
    let folder = root().join("hooks/plugin");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let code = files.filter(|path| path.extension().is_some_and(|end| end == "js"));
    code.map(|path| {
        let name = format!("hooks/plugin/{}", path.file_name().unwrap().to_str().unwrap());
        (name, std::fs::read_to_string(path).unwrap())
    })
    .collect()
}

#[test]
fn the_page_is_current() {
    let file = root().join("docs/troubleshooting.md");
    let page = page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let gone: Vec<&str> = there.lines().filter(|line| !page.contains(line)).collect();
    let new: Vec<&str> = page.lines().filter(|line| !there.contains(line)).collect();
    assert!(
        there == page,
        "docs/troubleshooting.md is not current: WRITE_DOCS=1 cargo test --test suite troubleshooting\n- {}\n+ {}",
        gone.join("\n- "),
        new.join("\n+ ")
    );
}

#[test]
fn each_place_that_gives_a_next_step_or_tells_of_a_fault_in_the_chat_has_a_block() {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for (module, _) in places() {
        counts.entry(module).or_default().0 += 1;
    }
    for (file, text) in chat_files() {
        let told = CHAT_SIGNS.iter().map(|sign| text.matches(sign).count()).sum::<usize>();
        counts.entry(file).or_default().0 += told;
    }
    for place in groups().into_iter().flat_map(|group| group.places) {
        counts.entry(place).or_default().1 += 1;
    }
    let wrong: Vec<String> = counts
        .into_iter()
        .filter(|(_, (code, listed))| code != listed)
        .map(|(place, (code, listed))| format!("{place}: {code} in the code, {listed} in messages.txt"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The code with what a person sees of its texts: no line ends within them, `…` for each value.
fn seen(code: &str) -> String {
    let code = code.replace("\\\n", "").replace("\\n", " ").replace("\\\"", "\"");
    let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut seen = String::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find('{') {
        let inner = &rest[at + 1..];
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && !"_:?#".contains(c));
        let (before, value) = (
            rest[..at].trim_end_matches('$'),
            end.filter(|end| inner[*end..].starts_with('}')),
        );
        seen += before;
        seen.push(if value.is_some() { '…' } else { '{' });
        rest = &inner[value.map_or(0, |end| end + 1)..];
    }
    seen + rest
}

#[test]
fn each_text_of_the_page_is_in_the_code() {
    let source = Source::read();
    let mut code: String = source.modules().map(|(_, code)| seen(code)).collect();
    code.extend(chat_files().iter().map(|(_, text)| seen(text)));
    let mut wrong = Vec::new();
    for row in groups().into_iter().flat_map(|group| group.rows) {
        assert!(!row.next.is_empty() && !row.says.is_empty(), "{row:?}");
        for text in [&row.says, &row.next] {
            // A value, our own name and what joins two texts stand between the parts that the code has whole.
            let parts = ["…", "¦", "sigilum-authz-notify", "&&", ": "];
            let mut pieces = vec![text.as_str()];
            for part in parts {
                pieces = pieces.iter().flat_map(|piece| piece.split(part)).collect();
            }
            for piece in pieces {
                let piece = piece.trim_matches(|c: char| !c.is_alphanumeric() && c != '-' && c != '<' && c != '>');
                if piece.chars().count() > 2 && !code.contains(piece) {
                    wrong.push(format!("{piece:?} of: {text}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not in the code:\n{}", wrong.join("\n"));
}

#[test]
fn a_text_is_read_as_a_person_sees_it() {
    let code =
        "format!(\"could not \\\n      read {path:?}: {}\\n  next: {0} {what}\") if x { y } `no answer (${why})`";
    let wanted = "format!(\"could not read …: … next: … …\") if x { y } `no answer (…)`";
    assert_eq!(seen(code), wanted);
}
