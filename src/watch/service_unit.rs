//! `watch --print-unit`: a unit for systemd's user manager, hardened, or an agent for launchd.

use crate::env::Env;
use crate::home::OpenClawHome;
use crate::sigilum::http;
use crate::token::token_command::VARIABLE as TOKEN_COMMAND;
use std::collections::BTreeMap;
use std::path::PathBuf;

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

/// Variables that the watcher follows and a service manager would not pass on, beside [`lasting`].
const PASSED_ON: [&str; 5] = [
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_CONFIG_READONLY",
    "OPENCLAW_NIX_MODE",
    "SIGILUM_ALLOW_INSECURE_HTTP",
    "SIGILUM_TRUST_HOME",
];

/// Options that a unit keeps where they are not given as it is made anew, each with a value.
const KEPT: [&str; 5] = [
    "--renew-at",
    "--token-command",
    "--notify",
    "--poll-requests",
    "--log-format",
];

/// Stands for a value of a unit that is not shown.
pub const HIDDEN: &str = "<as in the unit>";

/// Those that are passed on too, and that a unit keeps where they are not set as it is made anew.
fn lasting() -> impl Iterator<Item = &'static str> {
    std::iter::once(TOKEN_COMMAND).chain(http::way_variables())
}

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

    /// Whether its watcher has a token command.
    pub fn has_token_command(&self) -> bool {
        self.token_command || self.env.var(TOKEN_COMMAND).is_some()
    }

    /// Takes over from the text of the unit that it replaces what was not given anew, and says what: a service that loses
    /// its token command stops renewing, a week later.
    pub fn keep(&mut self, old: &str) -> Vec<&'static str> {
        let before = words(old);
        let mut kept = Vec::new();
        for option in KEPT {
            let is_given = self.words.iter().any(|word| word == option)
                || (option == "--token-command" && self.env.var(TOKEN_COMMAND).is_some());
            let value = before
                .iter()
                .position(|word| word == option)
                .and_then(|at| before.get(at + 1));
            if let (false, Some(value)) = (is_given, value) {
                self.words.extend([option.to_owned(), value.clone()]);
                self.token_command |= option == "--token-command";
                kept.push(option);
            }
        }
        let lasting =
            lasting().filter(|name| self.env.var(name).is_none() && !(*name == TOKEN_COMMAND && self.token_command));
        let variables = variables(old);
        let new: Vec<_> = lasting
            .filter_map(|name| Some((name, variables.get(name)?.into())))
            .collect();
        kept.extend(new.iter().map(|(name, _)| *name));
        self.env = Env::from_pairs(self.env.pairs().map(|(name, value)| (name, value.clone())).chain(new));
        kept
    }

    /// Its command as it is typed, and what it `kept` from before, which this shell does not have: variables to be set
    /// first, and words. What may be a secret was not typed now, and is not shown.
    pub fn typed(&self, kept: &[&str]) -> (Vec<String>, Vec<String>) {
        let kept_variables = kept
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.env.var(name)?.to_owned())));
        let hides = kept.contains(&"--token-command");
        typed(kept_variables, self.words.clone(), hides)
    }

    fn variables(&self) -> BTreeMap<&'static str, String> {
        PASSED_ON
            .into_iter()
            .chain(lasting())
            .filter(|name| *name != TOKEN_COMMAND || !self.token_command)
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

/// The command of a unit's text as it is typed, after the variables that the unit gives it.
pub fn command(unit: &str) -> String {
    let given: Vec<&str> = PASSED_ON.into_iter().chain(lasting()).collect();
    let variables = variables(unit).into_iter();
    let variables = variables.filter(|(name, _)| given.contains(&name.as_str()));
    line(typed(variables, words(unit), true))
}

/// Variables and words in one line.
pub fn line((mut all, words): (Vec<String>, Vec<String>)) -> String {
    all.push(shell_words::join(words));
    all.join(" ")
}

/// Variables and words as they are typed. A proxy's password is not shown, nor a token command, which is a variable then.
fn typed(
    variables: impl Iterator<Item = (String, String)>,
    mut words: Vec<String>,
    hides_token_command: bool,
) -> (Vec<String>, Vec<String>) {
    let at = words.iter().position(|word| word == "--token-command");
    let at = at.filter(|_| hides_token_command);
    let hidden = at.map(|at| {
        drop(words.drain(at..words.len().min(at + 2)));
        (TOKEN_COMMAND.to_owned(), String::new())
    });
    let variable = |(name, value): (String, String)| {
        let is_proxy = name.to_ascii_lowercase().ends_with("_proxy");
        match name == TOKEN_COMMAND || (is_proxy && value.contains('@')) {
            true => format!("{name}={HIDDEN}"),
            false => format!("{name}={}", shell_words::quote(&value)),
        }
    };
    (variables.chain(hidden).map(variable).collect(), words)
}

/// The command line of a unit's text, each flag apart from its value.
fn words(unit: &str) -> Vec<String> {
    let apart = |word: String| match word.split_once('=') {
        Some((flag, value)) if flag.starts_with("--") => vec![flag.to_owned(), value.to_owned()],
        _ => vec![word],
    };
    command_line(unit).into_iter().flat_map(apart).collect()
}

/// Of systemd's, or launchd's first array.
fn command_line(unit: &str) -> Vec<String> {
    if let Some(line) = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")) {
        return systemd_words(line, true);
    }
    let lines = unit.lines().map(str::trim).skip_while(|line| *line != "<array>");
    let lines = lines.take_while(|line| *line != "</array>");
    let strings = lines.filter_map(|line| line.strip_prefix("<string>")?.strip_suffix("</string>"));
    strings.map(plain_text).collect()
}

/// The variables of a unit's text.
fn variables(unit: &str) -> BTreeMap<String, String> {
    let lines = unit.lines().map(str::trim);
    let systemd = lines.clone().filter_map(|line| line.strip_prefix("Environment="));
    let systemd = systemd.flat_map(|line| systemd_words(line, false));
    let systemd = systemd.filter_map(|word| {
        word.split_once('=')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    let inside = |line: &str, tag: &str| {
        let line = line
            .strip_prefix(&format!("<{tag}>"))?
            .strip_suffix(&format!("</{tag}>"))?;
        Some(plain_text(line))
    };
    let launchd = lines.clone().zip(lines.skip(1));
    let launchd = launchd.filter_map(|(key, value)| Some((inside(key, "key")?, inside(value, "string")?)));
    systemd.chain(launchd).collect()
}

/// What [`systemd_word`] made of words.
fn systemd_words(line: &str, command_line: bool) -> Vec<String> {
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
            '%' => word.extend(chars.next()),
            '$' if command_line => word.extend(chars.next()),
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
        for (homes, all) in [
            (&["/h/a b"][..], false),
            (&["/h/a b", "/other"], false),
            (&[], false),
            (&[], true),
            (&["/h/100% & \"$x\" \\"], false),
        ] {
            let unit = unit(homes, all);
            for text in [unit.systemd(), unit.launchd()] {
                let named = (!all).then(|| homes.iter().map(PathBuf::from).collect::<Vec<_>>());
                assert_eq!(super::homes(&text), named, "{text}");
            }
        }
        let by_hand = "ExecStart=/bin/x watch --openclaw-home=/h/b --openclaw-home /other\n";
        let named = ["/h/b", "/other"].map(PathBuf::from);
        assert_eq!(super::homes(by_hand).as_deref(), Some(&named[..]));
    }

    #[test]
    fn a_unit_that_is_made_anew_keeps_what_is_not_given_again() {
        let unit = |words: &[&str], env: &[(&'static str, &str)]| Unit {
            words: ["/bin/x", "watch"]
                .iter()
                .chain(words)
                .map(ToString::to_string)
                .collect(),
            token_command: words.contains(&"--token-command"),
            places: Vec::new(),
            env: Env::from_pairs(env.iter().copied()),
        };
        let old = unit(
            &["--token-command", "pass show 'a b' $HOME 100%", "--notify", "irc:bob"],
            &[
                ("HTTPS_PROXY", "http://u:p%24$@proxy \"x\""),
                ("OPENCLAW_NIX_MODE", "1"),
            ],
        );
        let by_variable = unit(&[], &[(TOKEN_COMMAND, "pass show \\x")]);
        for text in [Unit::systemd as fn(&Unit) -> String, Unit::launchd] {
            let mut new = unit(&["--notify", "irc:ann"], &[]);
            assert_eq!(new.keep(&text(&old)), ["--token-command", "HTTPS_PROXY"]);
            assert_eq!(new.words[2..4], ["--notify", "irc:ann"]);
            assert_eq!(new.words[4..], old.words[2..4]);
            assert_eq!(new.env.var("HTTPS_PROXY"), old.env.var("HTTPS_PROXY"));
            assert_eq!(new.env.var("OPENCLAW_NIX_MODE"), None);
            assert_eq!(
                command(&text(&old)),
                "HTTPS_PROXY=<as in the unit> OPENCLAW_NIX_MODE=1 SIGILUM_OWNER_TOKEN_COMMAND=<as in the unit> /bin/x \
                 watch --notify irc:bob"
            );
            let hidden = ["SIGILUM_OWNER_TOKEN_COMMAND=<as in the unit>"];
            assert_eq!(command(&text(&by_variable)), format!("{} /bin/x watch", hidden[0]));
            let (variables, words) = new.typed(&["--token-command"]);
            assert_eq!((&variables[..], words.len()), (&hidden.map(str::to_owned)[..], 4));
            assert_eq!(old.typed(&[]), (vec![], old.words.clone()));

            let mut given = unit(&["--token-command", "other"], &[]);
            assert!(given.keep(&text(&by_variable)).is_empty());
            let mut plain = unit(&[], &[]);
            assert_eq!(plain.keep(&text(&by_variable)), [TOKEN_COMMAND]);
            assert_eq!(plain.env.var(TOKEN_COMMAND), Some("pass show \\x"));
            let mut variable = unit(&[], &[(TOKEN_COMMAND, "new")]);
            assert_eq!(variable.keep(&text(&old)), ["--notify", "HTTPS_PROXY"]);
            assert_eq!(variable.env.var(TOKEN_COMMAND), Some("new"));
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
