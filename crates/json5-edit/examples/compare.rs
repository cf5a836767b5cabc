//! The same edits by this crate and by `jsonc-parser` (its `cst` module): the table of the README, which a test compares
//! with what this prints, and the time that one edit takes.
//!
//! ```sh
//! cargo run --release -p json5-edit --example compare
//! ```

use json5_edit::Document;
use jsonc_parser::cst::{CstInputValue, CstRootNode};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What it shows, a text, and a member that is set in it, or taken out where there is no value.
type Case = (&'static str, &'static str, &'static [&'static str], Option<Value>);

fn cases() -> [Case; 12] {
    let b = || Some(json!(2));
    [
        ("keys without quotes", "{\n  a: 1,\n}", &["b"], b()),
        ("single quotes", "{'a': 'x'}", &["b"], Some(json!("y"))),
        ("one line", "{ a: 1 }", &["b"], b()),
        ("minified", r#"{"a":{"x":1},"z":0}"#, &["a", "y"], b()),
        ("another value", "{a: 'x'}", &["a"], Some(json!("y"))),
        (
            "a comment behind what goes",
            "{\n  a: 1, // why\n  b: 2\n}",
            &["a"],
            None,
        ),
        ("a byte order mark", "\u{FEFF}{a: 1}", &["b"], b()),
        ("an escaped key", r"{\u0061: 1}", &["a"], b()),
        ("U+2028 ends a comment", "{// c\u{2028}a: 1}", &["b"], b()),
        ("half of a surrogate pair", r"{a: '\ud83d'}", &["b"], b()),
        ("no JSON5: a comma is missing", "{a: 1 c: 3}", &["b"], b()),
        ("no JSON5: a line break in a string", "{a: 'x\ny'}", &["b"], b()),
    ]
}

fn ours(text: &str, path: &[&str], value: Option<&Value>) -> Result<String, Box<dyn std::error::Error>> {
    let mut document = Document::parse(text)?;
    match value {
        Some(value) => document.set(path, value.clone())?,
        None => document.remove(path)?,
    };
    Ok(document.to_string())
}

fn theirs(text: &str, path: &[&str], value: Option<&Value>) -> Result<String, Box<dyn std::error::Error>> {
    let root = CstRootNode::parse(text, &Default::default())?;
    let (key, parents) = path.split_last().ok_or("no path")?;
    let mut object = root.object_value_or_set();
    for key in parents {
        object = object.object_value_or_set(key);
    }
    match (object.get(key), value) {
        (Some(member), Some(value)) => member.set_value(input(value)),
        (Some(member), None) => member.remove(),
        (None, Some(value)) => drop(object.append(key, input(value))),
        (None, None) => {}
    }
    Ok(root.to_string())
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::String(string) => CstInputValue::String(string.clone()),
        other => CstInputValue::Number(other.to_string()),
    }
}

/// The table, in Markdown.
pub fn table() -> String {
    let shown = |text: &str| {
        format!(
            "`{}`",
            text.replace('\n', "\\n")
                .replace('\u{FEFF}', "")
                .replace('\u{2028}', "<U+2028>")
        )
    };
    let result = |result: Result<String, _>| result.map_or("refused".to_owned(), |text| shown(&text));
    let mut table = "| | text | edit | json5-edit | jsonc-parser |\n|---|---|---|---|---|\n".to_owned();
    for (what, text, path, value) in cases() {
        let edit = match &value {
            Some(value) => format!("`{} = {value}`", path.join(".")),
            None => format!("`{}` out", path.join(".")),
        };
        let results = [ours(text, path, value.as_ref()), theirs(text, path, value.as_ref())];
        let [ours, theirs] = results.map(result);
        table += &format!("| {what} | {} | {edit} | {ours} | {theirs} |\n", shown(text));
    }
    table
}

/// The median of many edits.
fn time(edit: impl Fn()) -> Duration {
    let mut times: Vec<_> = (0..51)
        .map(|_| {
            let begun = Instant::now();
            edit();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[allow(dead_code, reason = "the test wants the table only")]
fn main() {
    print!("{}", table());
    let member =
        |index: usize| format!("  agent{index}: {{ model: 'a/b', limits: [1, 2.5, null], on: true }}, // {index}\n");
    let text = format!("{{\n{}}}\n", (0..1500).map(member).collect::<String>());
    let value = json!("new");
    let path = ["agent700", "model"];
    println!(
        "\nOne value of {} KB replaced, from text to text: json5-edit {:.1?}, jsonc-parser {:.1?}",
        text.len() / 1000,
        time(|| drop(ours(&text, &path, Some(&value)))),
        time(|| drop(theirs(&text, &path, Some(&value)))),
    );
}
