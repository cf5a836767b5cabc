//! Every `next:` that the program prints: the list of the places in `src/` that give one, held against the code, and
//! their steps, run as they are printed, in a home with a blank in its path as well.

mod auth;
mod authz;
mod doctor;
mod homes;
mod hook;
mod service;
mod sites;
mod troubleshooting;
mod world;

use crate::architecture::Source;
use crate::env;
use sites::{By, SITES, Site, WHOLE};
use std::collections::BTreeSet;
use std::path::Path;

/// What begins a next step in the code.
const SIGNS: [&str; 7] = [
    ".next(",
    "\\n  next: ",
    "\"  next: ",
    "Finding::warn(",
    "Finding::fail(",
    "Finding::warning_of(",
    "Finding::fault_of(",
];

/// Each place in the shipped code that gives a next step: its module, and the code from there on, on one line.
fn places() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (module, code) in Source::read().modules() {
        // These only print what others give.
        if ["error", "text", "cmd::output"].contains(&module) {
            continue;
        }
        for sign in SIGNS {
            for (at, _) in code.match_indices(sign) {
                let rest = code[at + sign.len()..].replace('\\', " ");
                let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
                let rest = rest.replacen("format!( ", "format!(", 1);
                if !rest.starts_with(')') {
                    found.push((module.to_owned(), rest));
                }
            }
        }
    }
    found
}

fn fits(site: &Site, (module, code): &(String, String)) -> bool {
    let is_there = match site.0.ends_with("::") {
        true => module.starts_with(site.0),
        false => module == site.0,
    };
    is_there && code.starts_with(site.1)
}

#[test]
fn each_place_that_gives_a_next_step_is_listed() {
    let places = places();
    let mut faults = Vec::new();
    for place in &places {
        if !SITES.iter().any(|site| fits(site, place)) {
            let code: String = place.1.chars().take(90).collect();
            faults.push(format!("not listed: {}: {code}", place.0));
        }
    }
    for site in SITES {
        if !places.iter().any(|place| fits(site, place)) {
            faults.push(format!("listed, and not in the code: {}: {}", site.0, site.1));
        }
    }
    for (module, count) in WHOLE {
        let there = places.iter().filter(|(place, _)| place == module).count();
        if there != *count {
            faults.push(format!(
                "{module}: {there} places, not {count}; see that each new one is tried"
            ));
        }
    }
    let whole = |site: &&Site| site.1.is_empty();
    let counted = |module| WHOLE.iter().any(|(whole, _)| *whole == module);
    faults.extend(
        SITES
            .iter()
            .filter(whole)
            .filter(|site| !counted(site.0))
            .map(|site| format!("not counted: {}", site.0)),
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the program knows is filled in.
#[test]
fn no_step_leaves_open_what_the_program_knows() {
    let blanks = ["<namespace>", "<value>", "<slug>", "<id>", "<home>", "<config>"];
    let is_open = |code: &str| {
        blanks
            .iter()
            .any(|blank| code.chars().take(200).collect::<String>().contains(blank))
    };
    let faults: Vec<_> = places().into_iter().filter(|(_, code)| is_open(code)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Pasted into a shell, an apostrophe opens a quote.
#[test]
fn no_blank_to_fill_in_has_an_apostrophe() {
    let is_in_blank = |c: char| c.is_ascii_alphanumeric() || " -'".contains(c);
    for (module, code) in Source::read().modules() {
        for (_, rest) in code.match_indices('<').map(|(at, _)| code[at..].split_at(1)) {
            let blank = rest.split(|c| !is_in_blank(c)).next().unwrap_or_default();
            let is_closed = rest[blank.len()..].starts_with('>') && blank.starts_with(|c: char| c != '\'');
            assert!(!(is_closed && blank.contains('\'')), "{module}: <{blank}>");
        }
    }
}

/// Flags are added to a command up to there.
#[test]
fn words_behind_a_command_follow_a_semicolon() {
    let messages = include_str!("next_steps/messages.txt").replace('¦', "");
    let steps = messages.lines().filter_map(|line| line.strip_prefix("next "));
    let commands = steps.flat_map(|step| env::command_of(step).split(" && "));
    let is_ours = |command: &&str| command.starts_with("sigilum-authz-notify ") || command.contains("… --");
    let faults: Vec<_> = commands
        .filter(is_ours)
        .filter(|command| command.contains(", "))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn nearly_all_steps_are_carried_out() {
    let places = places();
    let is_left = |site: &Site| matches!(site.2, By::Person(_));
    let of = |place| SITES.iter().find(|site| fits(site, place));
    let left = places.iter().filter_map(of).filter(|site| is_left(site)).count();
    assert!(left * 50 <= places.len(), "{left} of {}", places.len());
}

#[test]
fn each_case_and_test_of_the_list_is_there() {
    let cases: BTreeSet<&str> = [
        auth::CASES,
        authz::CASES,
        homes::CASES,
        hook::CASES,
        service::CASES,
        doctor::CASES,
    ]
    .concat()
    .iter()
    .map(|case| case.name)
    .collect();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite");
    let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let folders = inside(&tests).filter(|path| path.is_dir());
    let files = inside(&tests).chain(folders.flat_map(|folder| inside(&folder)));
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let tests: String = files.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let proofs = include_str!("../proof/main.rs");
    let mut lacking = Vec::new();
    for site in SITES {
        match site.2 {
            By::Case(name) if !cases.contains(name) => lacking.push(name),
            By::Test(name) if !tests.contains(&format!("\nfn {name}()")) => lacking.push(name),
            By::Proof(name) if !proofs.contains(&format!("\"{name}\"")) => lacking.push(name),
            By::Person("") => lacking.push(site.1),
            _ => {}
        }
    }
    assert!(lacking.is_empty(), "{lacking:?}");
}

#[test]
fn of_auth() {
    world::try_all(auth::CASES);
}

#[test]
fn of_requests() {
    world::try_all(authz::CASES);
}

#[test]
fn of_homes_and_settings() {
    world::try_all(homes::CASES);
}

#[test]
fn of_the_hook_and_its_config() {
    world::try_all(hook::CASES);
}

#[test]
fn of_services_and_the_gateway() {
    world::try_all(service::CASES);
}

#[test]
fn of_what_is_found() {
    world::try_all(doctor::CASES);
}
