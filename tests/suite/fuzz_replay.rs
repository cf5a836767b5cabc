//! The corpus of the fuzz targets, and with it all that fuzzing ever found, through the same checks.

#[path = "../../fuzz/src/lib.rs"]
pub mod checks;

use std::fs;
use std::path::Path;

/// Every file of `fuzz/corpus/<target>`; a target without any would prove nothing.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus: {}", folder.display());
    for file in files {
        // The name of the file that fails, below what failed.
        eprintln!("{}", file.display());
        check(&fs::read(&file).unwrap());
    }
}

#[test]
fn edits() {
    replay("edit", checks::edit);
}

#[test]
fn edits_of_any_text() {
    replay("json5_edit", checks::json5_edit);
}

#[test]
fn tokens() {
    replay("token", checks::token);
}

#[test]
fn notices() {
    replay("notice", checks::notice);
}

#[test]
fn events() {
    replay("event", checks::event);
}

#[test]
fn files_of_a_checkout() {
    replay("checkout_files", checks::checkout_files);
}

#[test]
fn locks() {
    replay("lock", checks::lock);
}

#[test]
fn undo_records() {
    replay("undo", checks::undo);
}
