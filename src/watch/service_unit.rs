//! `watch --print-unit`: a unit for systemd's user manager or an agent for launchd, hardened, with the folders that the
//! watcher must write to.

use crate::env::Env;
use crate::home::OpenClawHome;
use crate::token::record;
use crate::watch::log::LogFormat;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the unit is to run.
pub struct Unit {
    /// The program, absolute.
    pub program: PathBuf,
    /// The homes to serve.
    pub places: Vec<OpenClawHome>,
    /// `--all`, rather than the homes one by one.
    pub all: bool,
    /// `--renew-at`, where it is not the default.
    pub renew_at: Option<f64>,
    /// `--token-command`
    pub token_command: Option<String>,
    /// `--poll`
    pub poll: bool,
    /// `--log-format`
    pub log_format: LogFormat,
    /// The environment that the person has now.
    pub env: Env,
}

/// Variables that the watcher follows and a service manager would not pass on.
const PASSED_ON: [&str; 5] = [
    "OPENCLAW_CONFIG_PATH",
    "OPENCLAW_CONFIG_READONLY",
    "OPENCLAW_NIX_MODE",
    "SIGILUM_OWNER_TOKEN_COMMAND",
    "SIGILUM_ALLOW_INSECURE_HTTP",
];

impl Unit {
    /// For `~/.config/systemd/user/sigilum-authz-notify.service`.
    pub fn systemd(&self) -> String {
        let mut text = String::from(
            "# Save as ~/.config/systemd/user/sigilum-authz-notify.service, then:\n\
             #   systemctl --user daemon-reload\n\
             #   systemctl --user enable --now sigilum-authz-notify.service\n\
             # To run it while you are not logged in: loginctl enable-linger\n\
             [Unit]\n\
             Description=Sigilum owner tokens renewed, openclaw.json kept true\n\n\
             [Service]\n\
             Type=notify\n\
             NotifyAccess=main\n\
             WatchdogSec=90\n",
        );
        let words: Vec<String> = self.words().iter().map(|word| systemd_word(word, true)).collect();
        let _ = writeln!(text, "ExecStart={}", words.join(" "));
        for (name, value) in self.variables() {
            let _ = writeln!(text, "Environment={}", systemd_word(&format!("{name}={value}"), false));
        }
        text.push_str(
            "ExecReload=/bin/kill -HUP $MAINPID\n\
             Restart=on-failure\n\
             RestartSec=5\n\
             # A wrong command line, or another watcher: starting again does not help.\n\
             RestartPreventExitStatus=2 8\n\
             UMask=0077\n\n\
             # It writes to these folders and nowhere else. One that is missing when the unit starts is left out:\n\
             # restart the unit when it appears.\n\
             ProtectSystem=strict\n\
             ProtectHome=read-only\n",
        );
        for folder in self.folders() {
            let word = systemd_word(&format!("-{}", folder.display()), false);
            let _ = writeln!(text, "ReadWritePaths={word}");
        }
        text.push_str(
            "PrivateUsers=yes\n\
             PrivateTmp=yes\n\
             PrivateDevices=yes\n\
             NoNewPrivileges=yes\n\
             CapabilityBoundingSet=\n\
             ProtectKernelTunables=yes\n\
             ProtectKernelModules=yes\n\
             ProtectKernelLogs=yes\n\
             ProtectControlGroups=yes\n\
             ProtectHostname=yes\n\
             ProtectClock=yes\n\
             LockPersonality=yes\n\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
             RestrictRealtime=yes\n\
             RestrictSUIDSGID=yes\n\
             SystemCallArchitectures=native\n",
        );
        text.push_str(if self.has_token_command() {
            "# Not set, since the token command may need what they forbid: MemoryDenyWriteExecute, RestrictNamespaces,\n\
             # SystemCallFilter. If it writes files of its own, add their folders to ReadWritePaths.\n"
        } else {
            "MemoryDenyWriteExecute=yes\n\
             RestrictNamespaces=yes\n\
             SystemCallFilter=@system-service\n\
             SystemCallErrorNumber=EPERM\n"
        });
        text.push_str("\n[Install]\nWantedBy=default.target\n");
        text
    }

    /// For `~/Library/LaunchAgents/sigilum-authz-notify.plist`.
    pub fn launchd(&self) -> String {
        let mut text = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <!-- Save as ~/Library/LaunchAgents/sigilum-authz-notify.plist, then:\n     \
             launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/sigilum-authz-notify.plist -->\n\
             <plist version=\"1.0\">\n<dict>\n\
             \t<key>Label</key>\n\t<string>sigilum-authz-notify</string>\n\
             \t<key>ProgramArguments</key>\n\t<array>\n",
        );
        for word in self.words() {
            let _ = writeln!(text, "\t\t<string>{}</string>", xml(&word));
        }
        text.push_str("\t</array>\n");
        let variables = self.variables();
        if !variables.is_empty() {
            text.push_str("\t<key>EnvironmentVariables</key>\n\t<dict>\n");
            for (name, value) in variables {
                let _ = writeln!(
                    text,
                    "\t\t<key>{}</key>\n\t\t<string>{}</string>",
                    xml(name),
                    xml(&value)
                );
            }
            text.push_str("\t</dict>\n");
        }
        text.push_str(
            "\t<key>RunAtLoad</key>\n\t<true/>\n\
             \t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n\
             \t<key>ThrottleInterval</key>\n\t<integer>30</integer>\n\
             \t<key>ProcessType</key>\n\t<string>Background</string>\n\
             \t<key>Umask</key>\n\t<integer>63</integer>\n",
        );
        let log = self.places.first().map(|place| place.sigilum_dir().join("watch.log"));
        if let Some(log) = log {
            let log = xml(&log.display().to_string());
            let _ = writeln!(text, "\t<key>StandardErrorPath</key>\n\t<string>{log}</string>");
        }
        text.push_str("</dict>\n</plist>\n");
        text
    }

    fn has_token_command(&self) -> bool {
        self.token_command.is_some() || self.env.var("SIGILUM_OWNER_TOKEN_COMMAND").is_some()
    }

    /// The command line.
    fn words(&self) -> Vec<String> {
        let mut words = vec![self.program.display().to_string(), "watch".to_owned()];
        if self.all {
            words.push("--all".to_owned());
        } else {
            for place in &self.places {
                words.extend(["--openclaw-home".to_owned(), place.home.display().to_string()]);
            }
        }
        if let Some(fraction) = self.renew_at {
            words.extend(["--renew-at".to_owned(), fraction.to_string()]);
        }
        if let Some(command) = &self.token_command {
            words.extend(["--token-command".to_owned(), command.clone()]);
        }
        if self.poll {
            words.push("--poll".to_owned());
        }
        if self.log_format == LogFormat::Json {
            words.extend(["--log-format".to_owned(), "json".to_owned()]);
        }
        words
    }

    fn variables(&self) -> BTreeMap<&'static str, String> {
        PASSED_ON
            .into_iter()
            .filter(|name| *name != "SIGILUM_OWNER_TOKEN_COMMAND" || self.token_command.is_none())
            .filter_map(|name| Some((name, self.env.var(name)?.to_owned())))
            .collect()
    }

    /// The folders that the watcher must write to, links resolved, none inside another.
    fn folders(&self) -> Vec<PathBuf> {
        let mut all = BTreeSet::new();
        for place in &self.places {
            all.insert(real(&place.home));
            all.extend(place.config.parent().map(real));
            all.extend(real(&place.config).parent().map(Path::to_owned));
            let namespaces = record::namespaces(&place.sigilum_dir()).unwrap_or_default();
            for namespace in namespaces {
                let Ok(Some(record)) = record::read(&place.record_file(&namespace)) else {
                    continue;
                };
                // SQLite writes beside a database even where it only reads.
                let database = record
                    .api_db
                    .or_else(|| Some(record.source_home?.join("apps/api/.wrangler/x")));
                let files = [Some(record.token_file), database];
                all.extend(files.iter().flatten().filter_map(|file| file.parent()).map(real));
            }
        }
        let inside = |folder: &PathBuf| all.iter().any(|other| other != folder && folder.starts_with(other));
        all.iter().filter(|folder| !inside(folder)).cloned().collect()
    }
}

/// A path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for known in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (known.canonicalize(), path.strip_prefix(known)) {
            return if rest == Path::new("") { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// A word as systemd.syntax(7) reads it. In command lines `$` is special too.
fn systemd_word(word: &str, command_line: bool) -> String {
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

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

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
