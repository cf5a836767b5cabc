//! A Sigilum checkout's `.dev.vars` and `wrangler.toml`.

use super::input::split;
use sigilum_authz_notify::sigilum::checkout::{d1_file_id, d1_name};
use sigilum_authz_notify::sigilum::dev_vars;

const NAME: &str = "JWT_SECRET";

/// Text: either file. Program: a secret.
pub fn check(input: &[u8]) {
    let (bytes, mut program) = split(input);
    let text = String::from_utf8_lossy(bytes);
    dev_vars(&text, &program.text());
    wrangler_toml(&text);
}

fn dev_vars(text: &str, secret: &str) {
    if let Some(value) = dev_vars::get(text, NAME) {
        assert!(text.contains(NAME) && value.len() < text.len());
        if !text.contains("\\n") && !text.contains("\\r") {
            assert!(text.contains(&value), "what was read is not in the file");
        }
    }
    // The last assignment counts, whatever stands before it, unless a quote before it is still open.
    let before: String = text.chars().filter(|c| !"'\"`".contains(*c)).collect();
    let secret: String = secret.chars().filter(|c| !"'\"`\\".contains(*c)).collect();
    for line in [
        format!("{NAME}='{secret}'"),
        format!("export {NAME} = \"{secret}\" # why"),
        format!("{NAME}: `{secret}`\r\n"),
    ] {
        let read = dev_vars::get(&format!("{before}\n{line}"), NAME);
        assert_eq!(read.as_deref(), Some(secret.as_str()), "{line:?}");
    }
    let plain = secret.split(['#', '\n', '\r']).next().unwrap_or_default().trim();
    let read = dev_vars::get(&format!("{before}\n{NAME}={plain}\nOTHER=1"), NAME);
    assert_eq!(read.as_deref(), Some(plain));
}

fn wrangler_toml(text: &str) {
    match d1_name(text) {
        Ok(name) => {
            assert!(text.contains("d1_databases") || text.contains('\\'));
            assert!(
                text.contains(&name) || text.contains(['\\', '\r']),
                "the name is not in the file"
            );
            let id = d1_file_id(&name);
            assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()));
        }
        Err(why) => {
            let line = why.strip_prefix("line ").and_then(|at| at.split(':').next());
            match line.map(str::parse::<usize>) {
                Some(line) => assert!((1..=text.matches('\n').count() + 1).contains(&line.unwrap())),
                None => assert!(why.starts_with("it")),
            }
        }
    }
}
