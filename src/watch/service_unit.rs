//! `watch --print-unit`: a unit for systemd's user manager, hardened, or an agent for launchd.

use crate::env::Env;
use crate::home::OpenClawHome;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the unit is to run.
pub struct Unit {
    /// The command line; the program absolute.
    pub words: Vec<String>,
    /// Whether one of them is a token command.
    pub token_command: bool,
    /// The homes that it serves now.
    pub places: Vec<OpenClawHome>,
    /// The environment that the person has now.
    pub env: Env,
}

/// Variables that the watcher follows and a service manager would not pass on.
const PASSED_ON: [&str; 6] = [
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_CONFIG_READONLY",
    "OPENCLAW_NIX_MODE",
    "SIGILUM_OWNER_TOKEN_COMMAND",
    "SIGILUM_ALLOW_INSECURE_HTTP",
    "SIGILUM_TRUST_HOME",
];

impl Unit {
    /// For `~/.config/systemd/user/sigilum-authz-notify.service`.
    pub fn systemd(&self) -> String {
        let words: Vec<String> = self.words.iter().map(|word| systemd_word(word, true)).collect();
        let command = format!("ExecStart={}", words.join(" "));
        let variables = self.variables().into_iter().map(|(name, value)| {
            let word = systemd_word(&format!("{name}={value}"), false);
            format!("Environment={word}")
        });
        filled(
            include_str!("../../packaging/systemd/sigilum-authz-notify.service"),
            &[(
                "command and environment",
                lines(std::iter::once(command).chain(variables)),
            )],
        )
    }

    /// For `~/Library/LaunchAgents/sigilum-authz-notify.plist`.
    pub fn launchd(&self) -> String {
        let words = self
            .words
            .iter()
            .map(|word| format!("\t\t<string>{}</string>", xml(word)));
        let variables = self
            .variables()
            .into_iter()
            .map(|(name, value)| format!("\t\t<key>{}</key>\n\t\t<string>{}</string>", xml(name), xml(&value)));
        let log = self.places.first().map(|place| place.sigilum_dir().join("watch.log"));
        filled(
            include_str!("../../packaging/launchd/sigilum-authz-notify.plist"),
            &[
                ("words", lines(words)),
                ("environment", lines(variables)),
                (
                    "log",
                    xml(&log.unwrap_or_else(|| "/dev/null".into()).display().to_string()),
                ),
            ],
        )
    }

    fn variables(&self) -> BTreeMap<&'static str, String> {
        PASSED_ON
            .into_iter()
            .filter(|name| *name != "SIGILUM_OWNER_TOKEN_COMMAND" || !self.token_command)
            .filter_map(|name| Some((name, self.env.var(name)?.to_owned())))
            .collect()
    }
}

/// The homes that the text of an installed unit has a watcher serve by name; `None` where it serves all of a person's.
pub fn homes(unit: &str) -> Option<Vec<PathBuf>> {
    let mut words = words(unit).into_iter();
    let mut homes = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--all" => return None,
            "--openclaw-home" => homes.extend(words.next().map(PathBuf::from)),
            _ => {}
        }
    }
    Some(homes)
}

/// Whether the text of an installed unit has a watcher serve this home: `Some(true)`, and no other one.
pub fn serves(unit: &str, home: &Path) -> Option<bool> {
    match homes(unit) {
        None => Some(false),
        Some(homes) => homes.iter().any(|served| served == home).then_some(homes.len() == 1),
    }
}

/// The command line of a unit's text: of systemd's, or the strings of launchd's.
fn words(unit: &str) -> Vec<String> {
    if let Some(line) = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")) {
        return systemd_words(line);
    }
    let lines = unit.lines().map(str::trim);
    let strings = lines.filter_map(|line| line.strip_prefix("<string>")?.strip_suffix("</string>"));
    strings.map(plain_text).collect()
}

/// What [`systemd_word`] made of words.
fn systemd_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' if !is_quoted => words.push(std::mem::take(&mut word)),
            '"' => is_quoted = !is_quoted,
            '\\' => word.extend(chars.next().map(|c| match c {
                'n' => '\n',
                't' => '\t',
                c => c,
            })),
            '%' | '$' => word.extend(chars.next()),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

/// A template, with a text for each `{{name}}`; a line that is nothing but an empty one goes.
pub fn filled(template: &str, texts: &[(&str, String)]) -> String {
    let mut all = String::new();
    for line in template.lines() {
        let found = texts.iter().find_map(|(name, text)| {
            let (before, after) = line.split_once(&format!("{{{{{name}}}}}"))?;
            Some(format!("{before}{text}{after}"))
        });
        match found {
            Some(text) if text.is_empty() => continue,
            Some(text) => all.push_str(&text),
            None => all.push_str(line),
        }
        all.push('\n');
    }
    all
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// A word as systemd.syntax(7) reads it. In command lines `$` is special too.
pub fn systemd_word(word: &str, command_line: bool) -> String {
    let mut quoted = String::from('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' if command_line => quoted.push_str("$$"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:@+,".contains(c);
    if word.chars().all(plain) && !word.is_empty() {
        word.to_owned()
    } else {
        quoted
    }
}

/// A text in a property list.
pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// What [`xml`] made of a text.
fn plain_text(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_homes_a_unit_serves() {
        let unit = |homes: &[&str], all: bool| {
            let flags = homes.iter().flat_map(|home| ["--openclaw-home", home]);
            let words = ["/bin/x", "watch"]
                .into_iter()
                .chain(flags)
                .chain(all.then_some("--all"));
            Unit {
                words: words.map(str::to_owned).collect(),
                token_command: false,
                places: Vec::new(),
                env: Env::default(),
            }
        };
        for (homes, all, serves_it) in [
            (&["/h/a b"][..], false, Some(true)),
            (&["/h/a b", "/other"], false, Some(false)),
            (&["/h/a b/c"], false, None),
            (&["/h/a bc"], false, None),
            (&[], true, Some(false)),
            (&["/h/100% & \"$x\" \\"], false, None),
        ] {
            let unit = unit(homes, all);
            for text in [unit.systemd(), unit.launchd()] {
                assert_eq!(serves(&text, Path::new("/h/a b")), serves_it, "{text}");
                let named = super::homes(&text).unwrap_or_default();
                assert_eq!(named, homes.iter().map(PathBuf::from).collect::<Vec<_>>(), "{text}");
            }
        }
    }

    #[test]
    fn systemd_words() {
        let cases = [
            ("/usr/bin/x", true, "/usr/bin/x"),
            ("/home/a b/.openclaw", true, "\"/home/a b/.openclaw\""),
            ("100%", true, "\"100%%\""),
            ("$HOME", true, "\"$$HOME\""),
            ("A=$HOME", false, "\"A=$HOME\""),
            (r#"say "hi\""#, true, r#""say \"hi\\\"""#),
            ("", true, "\"\""),
        ];
        for (word, command_line, expected) in cases {
            assert_eq!(systemd_word(word, command_line), expected);
        }
    }
}
