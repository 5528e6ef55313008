//! Holds the house up: floors, homes, sizes and bans, read from `cargo metadata` and from the text of the tree.
//!
//! Every check is a function from text or JSON to complaints, shown to fail on planted input beside it; the tests
//! here give it the real tree.

mod floors;
mod lexer;
mod mutants;
mod named;
mod rooms;
mod text;
mod tree;

use tree::Tree;

/// Fails with every complaint, one a line.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(
        complaints.is_empty(),
        "{} complaint(s):\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn crates_use_only_lower_floors() {
    none(floors::floors(&tree::metadata()));
}

#[test]
fn dependencies_stay_in_their_homes() {
    none(floors::homes(&tree::metadata()));
}

#[test]
fn every_crate_inherits_the_lints_and_documents_its_invariants() {
    none(Tree::read().crates().flat_map(rooms::house).collect());
}

#[test]
fn clippy_files_of_crates_repeat_the_shared_settings() {
    let tree = Tree::read();
    let shared = tree.text("clippy.toml");
    none(
        tree.named("clippy.toml")
            .flat_map(|(path, text)| rooms::repeats(shared, path, text))
            .collect(),
    );
}

#[test]
fn rooms_have_names_that_say_something() {
    none(
        Tree::read()
            .sources()
            .flat_map(|(path, _)| rooms::name(path))
            .collect(),
    );
}

#[test]
fn files_are_short() {
    none(each(text::size));
}

#[test]
fn pure_crates_are_not_async() {
    none(each(text::purity));
}

#[test]
fn tests_wait_for_conditions_not_for_time() {
    none(each(text::sleeps));
}

#[test]
fn nothing_is_unfinished_ignored_or_silenced() {
    none(each(text::marks));
}

#[test]
fn dynamic_sql_has_one_gate_per_crate() {
    none(text::gates(Tree::read().sources()));
}

#[test]
fn every_test_that_the_page_of_interleavings_names_exists() {
    let tree = Tree::read();
    let page = tree.text("docs/reference/interleavings.md");
    none(named::tests(page, |path| tree.get(path)));
}

#[test]
fn every_mutant_still_applies() {
    let tree = Tree::read();
    none(mutants::complaints(
        &tree::root(),
        tree.text("docs/reference/mutants.md"),
    ));
}

/// A check of one file, over all Rust files.
fn each(check: fn(&str, &str) -> Vec<String>) -> Vec<String> {
    Tree::read()
        .sources()
        .flat_map(|(path, text)| check(path, text))
        .collect()
}
