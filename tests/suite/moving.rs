//! docs/moving.md, done: every command line of the page, in a home that Sigilum's shell scripts and their installer set up.

use crate::env::local_api::{FakeCheckout, JWT_SECRET};
use crate::env::watching::token;
use crate::env::{BINARY, TestEnv};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// The command lines of the page: those of the move, and those of the way back.
fn lines() -> (Vec<String>, Vec<String>) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/moving.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (forth, back) = page.split_once("\n## Going back\n").unwrap();
    let of = |text: &str| -> Vec<String> {
        let blocks = text.split("```sh\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let lines = blocks.flat_map(str::lines).map(str::trim);
        lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    (of(forth), of(back))
}

/// What the home holds, but for `.sigilum/`.
fn theirs(env: &TestEnv) -> BTreeMap<String, String> {
    let names = [
        "openclaw.json",
        "hooks/sigilum-authz-notify/handler.ts",
        "hooks/sigilum-authz-notify/HOOK.md",
    ];
    let hook = std::fs::read_dir(env.openclaw().join("hooks/sigilum-authz-notify"));
    let there = hook.unwrap().flatten();
    let there = there.map(|entry| format!("hooks/sigilum-authz-notify/{}", entry.file_name().to_str().unwrap()));
    let names = names.map(str::to_owned).into_iter().chain(there);
    let read = |name: String| {
        let text = std::fs::read_to_string(env.openclaw().join(&name)).unwrap_or_default();
        (name, text)
    };
    names.map(read).collect()
}

#[test]
fn the_page_moves_a_home_of_the_scripts_and_back() {
    for (mode, other, url) in [
        ("oss-local", "--mode managed", "http://127.0.0.1:9"),
        ("managed", "--mode oss-local", "https://api.sigilum.id"),
    ] {
        let env = TestEnv::new();
        drop(FakeCheckout::new(&env).wrangler());
        let old = token(JWT_SECRET, "johndee", 60, 3600);
        env.write(".openclaw/.sigilum/owner-token-johndee.jwt", format!("{old}\n"));
        let entry = json!({"enabled": true, "env": {
            "SIGILUM_NAMESPACE": "johndee", "SIGILUM_MODE": mode, "SIGILUM_API_URL": url, "SIGILUM_OWNER_TOKEN": old,
        }});
        let config =
            json!({"gateway": {"mode": "local"}, "hooks": {"internal": {"entries": {"sigilum-authz-notify": entry}}}});
        env.write_config(format!("// mine\n{config:#}\n"));
        env.write(".openclaw/hooks/sigilum-authz-notify/handler.ts", "export default 1\n");
        env.write(".openclaw/hooks/sigilum-authz-notify/HOOK.md", "theirs\n");
        let before = theirs(&env);

        let (forth, back) = lines();
        assert!(forth.len() >= 8 && back.len() == 2, "{forth:?} {back:?}");
        // The shell has all that it needs: nothing of this machine's service manager.
        let path = Path::new(BINARY).parent().unwrap();
        let sh = |line: &str| {
            let run = env.run_program("/bin/sh".as_ref(), ["-c", line]);
            run.env("PATH", path).output()
        };
        for line in forth
            .iter()
            .filter(|line| !line.contains(other) && !line.starts_with("openclaw "))
        {
            let done = sh(line);
            // What there is to look at before is no failure of the line.
            let looks = ["doctor", "auth status"].iter().any(|looks| line.ends_with(looks));
            assert!(
                done.code == 0 || looks && done.code != 2,
                "{mode}: {line}: {}",
                done.stderr
            );
        }
        let after = theirs(&env);
        assert!(after.contains_key("hooks/sigilum-authz-notify/handler.js"), "{after:?}");
        assert!(!after["openclaw.json"].contains("eyJ") && after["openclaw.json"].starts_with("// mine\n"));
        assert!(env.sigilum("owner-johndee.json").exists());
        assert!(!env.sigilum("jwt-secret").exists() && !env.sigilum("local-api.sqlite").exists());

        for line in &back {
            let done = sh(line);
            assert_eq!(done.code, 0, "{mode}: {line}: {}", done.stderr);
        }
        assert_eq!(theirs(&env), before, "{mode}");
        assert!(env.sigilum("owner-token-johndee.jwt").exists());
    }
}
