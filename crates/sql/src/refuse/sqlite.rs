//! What an SQLite migration must not contain.

use crate::lex::Kind;

use super::{Refusal, Words};

/// Pragmas that do nothing, or fail, inside a transaction.
const PRAGMAS: [&str; 14] = [
    "auto_vacuum",
    "data_store_directory",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "journal_size_limit",
    "locking_mode",
    "page_size",
    "query_only",
    "read_uncommitted",
    "synchronous",
    "temp_store",
    "temp_store_directory",
    "wal_checkpoint",
];

/// The first reason to refuse a statement.
pub(super) fn refuse(words: &Words<'_>) -> Option<Refusal> {
    shell(words)
        .or_else(|| unbound(words))
        .or_else(|| transaction_control(words))
        .or_else(|| connection(words))
        .or_else(|| pragma(words))
}

fn refusal(at: usize, message: impl Into<String>, hint: &'static str) -> Option<Refusal> {
    Some(Refusal {
        at,
        message: message.into(),
        hint,
    })
}

fn shell(words: &Words<'_>) -> Option<Refusal> {
    if words.text(0) == "." {
        return refusal(
            words.at(),
            "commands of the sqlite3 shell are not SQL",
            "write it in SQL, or remove it",
        );
    }
    let token = words.tokens().find(|token| token.kind == Kind::Backslash)?;
    refusal(
        token.start,
        "a backslash outside quotes is not SQL",
        "write it in SQL, or remove it",
    )
}

fn unbound(words: &Words<'_>) -> Option<Refusal> {
    let token = words
        .tokens()
        .find(|token| matches!(token.kind, Kind::Parameter | Kind::Dollar))?;
    match token.kind {
        Kind::Dollar => refusal(
            token.start,
            "SQLite has no dollar quotes",
            "put text into single quotes; a migration for PostgreSQL needs a directory of its own",
        ),
        _ => refusal(
            token.start,
            "a parameter in a migration: nobody binds it, and SQLite would take NULL",
            "write the value itself",
        ),
    }
}

fn transaction_control(words: &Words<'_>) -> Option<Refusal> {
    const FORMS: [&str; 6] = ["begin", "commit", "end", "rollback", "savepoint", "release"];
    let form = FORMS.iter().find(|form| words.begins(form))?;
    refusal(
        words.at(),
        format!("{} controls the transaction", form.to_uppercase()),
        "remove it: each migration already runs in one transaction of its own, together with its ledger row",
    )
}

fn connection(words: &Words<'_>) -> Option<Refusal> {
    if words.begins("vacuum") {
        return refusal(
            words.at(),
            "VACUUM cannot run in a transaction: it needs transaction=off, which is not supported yet",
            "take it out of this migration",
        );
    }
    if words.begins("attach|detach") {
        return refusal(
            words.at(),
            format!("{} reaches for another file", words.word(0).to_uppercase()),
            "remove it: a migration changes the tenant's own file only",
        );
    }
    None
}

fn pragma(words: &Words<'_>) -> Option<Refusal> {
    if !words.begins("pragma") {
        return None;
    }
    let name_at = 1 + 2 * usize::from(words.text(2) == ".");
    let name = words.value(name_at);
    if !PRAGMAS.contains(&name.as_str()) {
        return None;
    }
    refusal(
        words.at(),
        format!("PRAGMA {name} does nothing useful inside a transaction"),
        if name == "foreign_keys" {
            "remove it; `PRAGMA defer_foreign_keys = on` works inside a transaction"
        } else {
            "remove it: such settings belong to the host, not to a migration"
        },
    )
}
