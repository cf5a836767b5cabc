//! From an API answer to the notice that an operator reads: the pairs in `fixtures/api`.

use sigilum_authz_notify::hook::notice::{self, Form};
use sigilum_authz_notify::sigilum::requests;
use std::path::Path;

/// 2026-11-22T07:00:00Z
const NOW: i64 = 1_795_330_800;

fn notices(body: &[u8]) -> String {
    let pending = match requests::decode(body) {
        Ok(pending) => pending,
        Err(error) => return format!("(no notice: {error})\n"),
    };
    let text = |form| notice::pending(&pending, "alice", notice::DASHBOARD, NOW, form);
    match (text(Form::Full), text(Form::Brief)) {
        (Some(full), Some(brief)) => format!("{full}\n---\n{brief}\n"),
        (None, None) => "(no notice: nothing waits)\n".to_owned(),
        other => panic!("one form without the other: {other:?}"),
    }
}

#[test]
fn every_answer_becomes_its_notice() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/api");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let made = notices(&std::fs::read(&path).unwrap());
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &made).unwrap();
        }
        let expected =
            std::fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
        assert_eq!(made, expected, "{}", path.display());
        compared += 1;
    }
    assert_eq!(compared, 8);
}
