//! What the README shows is what happens. (Its example is a doctest.)

#[path = "../../examples/compare.rs"]
mod compare;

#[test]
fn the_table_is_what_the_example_prints() {
    let readme = include_str!("../../README.md");
    let table = compare::table();
    assert!(readme.contains(&table), "{table}");
}
