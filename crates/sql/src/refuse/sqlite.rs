//! What an SQLite migration must not contain.

use crate::lex::Kind;
use crate::sending::{Alone, Trace};

use super::{Refusal, Words};

/// Pragmas that a migration may use: they ask, or what they change belongs to the file and the transaction. Every
/// other one changes the connection for the versions behind it, weakens a check, or does nothing in a transaction.
const PRAGMAS: [&str; 18] = [
    "application_id",
    "collation_list",
    "compile_options",
    "database_list",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    // Stays on the connection, yet tables that others refer to are hard to rebuild without it.
    "legacy_alter_table",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// The first reason to refuse a statement.
pub(super) fn refuse(words: &Words<'_>) -> Option<Refusal> {
    shell(words)
        .or_else(|| unbound(words))
        .or_else(|| transaction_control(words))
        .or_else(|| connection(words))
        .or_else(|| pragma(words))
}

/// What a file with `transaction=off` must not contain besides: a crash may lie between two of its statements.
pub(super) fn refuse_apart(words: &Words<'_>) -> Option<Refusal> {
    if !words.begins("create temp|temporary") {
        return None;
    }
    refusal(
        words.at(),
        "what is temporary is gone before the next statement of a file with transaction=off",
        "use a table of the file, or put what belongs together into a migration without transaction=off",
    )
}

/// VACUUM is the one statement of SQLite that no transaction may hold.
pub(super) fn alone(words: &Words<'_>) -> Option<Alone> {
    words.begins("vacuum").then_some(Alone {
        what: "VACUUM",
        waits_for_all: false,
        trace: Trace::Repeatable,
    })
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
    if words.begins("vacuum") && words.find("into", 1).is_some() {
        return refusal(
            words.at(),
            "VACUUM INTO writes another file",
            "remove it: a migration changes the tenant's own file only",
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

/// EXPLAIN does not help: SQLite acts on many pragmas while it compiles them.
fn pragma(words: &Words<'_>) -> Option<Refusal> {
    let pragma_at = match (words.begins("explain"), words.begins("explain query plan")) {
        (_, true) => 3,
        (true, _) => 1,
        _ => 0,
    };
    if !words.is(pragma_at, "pragma") {
        return None;
    }
    let schema = words.text(pragma_at + 2) == ".";
    let name = words.value(pragma_at + 1 + 2 * usize::from(schema));
    if PRAGMAS.contains(&name.as_str()) {
        return None;
    }
    refusal(
        words.at(),
        format!("PRAGMA {name} is not for migrations"),
        if name == "foreign_keys" {
            "remove it, nothing needs to be switched: foreign keys are off while a migration runs, and one that breaks any is refused before COMMIT"
        } else {
            "remove it: it would change the connection for later migrations, weaken its checks, or do nothing; allowed are those that only read, and user_version, application_id, defer_foreign_keys, legacy_alter_table"
        },
    )
}
