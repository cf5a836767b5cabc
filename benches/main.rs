//! What everything costs, in one table. Nothing is asserted: a busy machine is no fault.
//!
//! ```sh
//! cargo bench                              # commands, inner, watch: about 3 minutes
//! cargo bench -- commands                  # one part
//! cargo bench -- commands "auth login"     # of the commands those with that in their name
//! cargo bench -- long                      # the watcher's scenarios at full length, 11 minutes
//! ```

mod commands;
#[path = "../tests/env/mod.rs"]
mod env;
mod inner;
mod kernel;
#[path = "../tests/proof/scenes.rs"]
#[allow(dead_code, reason = "the proofs use the rest")]
mod scenes;
mod table;
#[path = "../tests/proof/tree.rs"]
#[allow(dead_code, reason = "the proofs use the rest")]
mod tree;
mod watch;

/// A part of the table; the text is what the names of its rows must hold.
type Part = fn(&str);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [once, shape, size] = &words[..]
        && once == inner::ONCE
    {
        return inner::edit_once(shape, size);
    }
    // Cargo adds `--bench`.
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let parts: [(&str, Part); 4] = [
        ("commands", commands::measure),
        ("inner", inner::measure),
        ("watch", watch::measure),
        ("long", watch::measure_long),
    ];
    let named = |name: &str| words.contains(&name);
    let only = words.iter().find(|word| parts.iter().all(|(part, _)| part != *word));
    let any = parts.iter().any(|(part, _)| named(part));
    table::head();
    for (part, measure) in parts {
        if named(part) || (!any && part != "long") {
            measure(only.unwrap_or(&""));
        }
    }
}
