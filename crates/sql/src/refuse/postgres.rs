//! What a PostgreSQL migration must not contain.

use crate::diagnostic::Diagnostic;
use crate::lex::Kind;
use crate::position::Source;
use crate::split::Piece;

use super::{Refusal, Words};

const TRANSACTION: &str = "remove it: each migration already runs in one transaction of its own, together with its ledger row";
const PLACE: &str =
    "remove it and write names without a schema: the tenant's schema is already the search path";
const ROLE: &str = "remove it: the role is set per host, by `role` in [hosts.<name>]";
const OUTSIDE: &str =
    "take it out of this migration; an index or partition can be changed without CONCURRENTLY";
const COPY: &str = "write INSERT statements instead: a migration has no client that could send or receive the data";

/// The first reason to refuse a statement.
pub(super) fn refuse(words: &Words<'_>) -> Option<Refusal> {
    backslash(words)
        .or_else(|| transaction_control(words))
        .or_else(|| copy(words))
        .or_else(|| session(words))
        .or_else(|| listen(words))
        .or_else(|| set_config(words))
        .or_else(|| outside_a_transaction(words))
}

/// `COPY … FROM STDIN` as a diagnostic.
pub(crate) fn copy_from_client(source: &Source<'_>, piece: &Piece) -> Option<Diagnostic> {
    let refusal = from_client(&Words::new(source.text, piece))?;
    Some(
        source
            .diagnostic(refusal.at, refusal.message)
            .hint(refusal.hint),
    )
}

fn refusal(at: usize, message: impl Into<String>, hint: &'static str) -> Option<Refusal> {
    Some(Refusal {
        at,
        message: message.into(),
        hint,
    })
}

fn backslash(words: &Words<'_>) -> Option<Refusal> {
    let token = words.tokens().find(|token| token.kind == Kind::Backslash)?;
    refusal(
        token.start,
        "a backslash outside quotes: commands of psql are not SQL",
        "write it in SQL, or remove it; a string with backslashes needs its quotes",
    )
}

fn transaction_control(words: &Words<'_>) -> Option<Refusal> {
    const FORMS: [&str; 13] = [
        "begin",
        "start transaction",
        "commit",
        "end",
        "rollback",
        "abort",
        "savepoint",
        "release",
        "prepare transaction",
        "set transaction",
        "set local transaction",
        "set session transaction",
        "set session characteristics",
    ];
    let form = FORMS.iter().find(|form| words.begins(form))?;
    let shown = form.to_uppercase();
    refusal(
        words.at(),
        format!("{shown} controls the transaction"),
        TRANSACTION,
    )
}

fn copy(words: &Words<'_>) -> Option<Refusal> {
    from_client(words).or_else(|| {
        ends_at_client(words, "to")?;
        refusal(words.at(), "COPY … TO STDOUT writes to a client", COPY)
    })
}

fn from_client(words: &Words<'_>) -> Option<Refusal> {
    ends_at_client(words, "from")?;
    refusal(words.at(), "COPY … FROM STDIN reads from a client", COPY)
}

/// The server takes STDIN and STDOUT for each other.
fn ends_at_client(words: &Words<'_>, direction: &str) -> Option<usize> {
    words
        .find(direction, 1)
        .filter(|at| words.begins("copy") && words.is(at + 1, "stdin|stdout"))
}

/// SET, RESET and DISCARD of what the guard relies on.
fn session(words: &Words<'_>) -> Option<Refusal> {
    if words.begins("discard") {
        return refusal(
            words.at(),
            "DISCARD throws away the state of the session",
            "remove it: the session is reset between tenants",
        );
    }
    let is_reset = words.begins("reset");
    if !is_reset && !words.begins("set") {
        return None;
    }
    let name_at =
        1 + usize::from(!is_reset && words.is(1, "local|session") && !words.is(2, "authorization"));
    let name = words.value(name_at);
    let verb = if is_reset { "RESET" } else { "SET" };
    let say = |what: &str| format!("{verb} {what}");
    match name.as_str() {
        "search_path" | "schema" => refusal(
            words.at(),
            format!("{} leaves the tenant's schema", say(&name)),
            PLACE,
        ),
        "all" if is_reset => refusal(
            words.at(),
            "RESET ALL leaves the tenant's schema: it resets search_path too",
            "reset the settings you mean, one by one",
        ),
        "role" | "session_authorization" => {
            refusal(words.at(), format!("{} changes who acts", say(&name)), ROLE)
        }
        "session" if words.is(name_at + 1, "authorization") => refusal(
            words.at(),
            format!("{} changes who acts", say("SESSION AUTHORIZATION")),
            ROLE,
        ),
        "names" | "client_encoding" | "standard_conforming_strings" if !is_reset => {
            text_setting(words, name_at, &name)
        }
        _ => None,
    }
}

/// LISTEN and what undoes it.
fn listen(words: &Words<'_>) -> Option<Refusal> {
    if !words.begins("listen|unlisten") {
        return None;
    }
    refusal(
        words.at(),
        format!(
            "{} subscribes the connection, which later migrations use too",
            words.word(0).to_uppercase()
        ),
        "remove it: the application listens on a connection of its own; NOTIFY is allowed",
    )
}

/// Settings that decide how SQL text is read may be stated, as dumps do, but not changed.
fn text_setting(words: &Words<'_>, name_at: usize, name: &str) -> Option<Refusal> {
    let value_at = name_at + 1 + usize::from(name != "names");
    let value = words.value(value_at);
    let fine = if name == "standard_conforming_strings" {
        ["on", "true", "yes", "1"].contains(&value.as_str())
    } else {
        ["utf8", "utf-8", "unicode"].contains(&value.as_str())
    };
    if fine && words.len() == value_at + 1 {
        return None;
    }
    refusal(
        words.at(),
        format!("SET {name} changes how SQL text is read"),
        "remove it: text is UTF-8 with standard strings",
    )
}

/// `SELECT set_config('search_path', …)`, the form that dumps contain. A routine may do so when it is called; every
/// other statement, CREATE TABLE … AS and the default of a new column included, would do so now.
fn set_config(words: &Words<'_>) -> Option<Refusal> {
    const SETTINGS: [&str; 3] = ["search_path", "role", "session_authorization"];
    if words.begins("create function|procedure")
        || words.begins("create or replace function|procedure")
    {
        return None;
    }
    let calls = (0..words.len())
        .filter(|at| words.value(*at) == "set_config" && words.text(at + 1) == "(")
        .collect::<Vec<_>>();
    let setting = calls.iter().find_map(|call| {
        let named = (call + 2..words.len()).find(|at| words.is(*at, "setting_name"));
        // `setting_name => 'x'` and `:=` are three tokens and the value.
        let value = named.map_or(call + 2, |at| at + 3);
        Some((call, words.value(value))).filter(|(_, name)| SETTINGS.contains(&name.as_str()))
    });
    let (call, name) = setting?;
    let hint = if name == "search_path" { PLACE } else { ROLE };
    refusal(
        words.at_index(*call),
        format!("set_config('{name}', …) leaves what the migration was given"),
        hint,
    )
}

fn outside_a_transaction(words: &Words<'_>) -> Option<Refusal> {
    let what = concurrently(words)
        .or_else(|| databases(words))
        .or_else(|| reindex_or_cluster(words))
        .or_else(|| subscription(words))?;
    refusal(
        words.at(),
        format!(
            "{what} cannot run in a transaction: it needs transaction=off, which is not supported yet"
        ),
        OUTSIDE,
    )
}

fn concurrently(words: &Words<'_>) -> Option<&'static str> {
    let index = 2 + usize::from(words.begins("create unique index"));
    if words.begins("create index|unique") && words.is(index, "concurrently") {
        Some("CREATE INDEX CONCURRENTLY")
    } else if words.begins("drop index concurrently") {
        Some("DROP INDEX CONCURRENTLY")
    } else if words.begins("alter table") && {
        let detach = words.find("detach", 2);
        detach.is_some_and(|at| {
            words.is(at + 1, "partition") && words.find("concurrently", at).is_some()
        })
    } {
        Some("ALTER TABLE … DETACH PARTITION CONCURRENTLY")
    } else {
        None
    }
}

fn databases(words: &Words<'_>) -> Option<&'static str> {
    const FORMS: [(&str, &str); 7] = [
        ("vacuum", "VACUUM"),
        ("create database", "CREATE DATABASE"),
        ("drop database", "DROP DATABASE"),
        ("create tablespace", "CREATE TABLESPACE"),
        ("drop tablespace", "DROP TABLESPACE"),
        ("alter system", "ALTER SYSTEM"),
        ("commit prepared", "COMMIT PREPARED"),
    ];
    if let Some((_, shown)) = FORMS.iter().find(|(form, _)| words.begins(form)) {
        return Some(shown);
    }
    let moves = words.begins("alter database") && words.is(3, "set") && words.is(4, "tablespace");
    moves.then_some("ALTER DATABASE … SET TABLESPACE")
}

fn reindex_or_cluster(words: &Words<'_>) -> Option<&'static str> {
    if words.begins("reindex") {
        // Options stand in parentheses; then comes what to rebuild.
        let object = words.find("index|table|schema|database|system", 1)?;
        let option = words.find_anywhere("concurrently").filter(|at| {
            *at == object + 1
                || (*at < object && !words.is(at + 1, "off|false") && words.text(at + 1) != "0")
        });
        if option.is_some() {
            return Some("REINDEX CONCURRENTLY");
        }
        return words
            .is(object, "schema|database|system")
            .then_some("REINDEX of a schema or database");
    }
    if words.begins("cluster") {
        let named = match words.text(1) {
            "" => false,
            "(" => words.tokens().last().is_some_and(|t| t.kind != Kind::Close),
            _ => !(words.is(1, "verbose") && words.len() == 2),
        };
        return (!named).then_some("CLUSTER without a table");
    }
    None
}

fn subscription(words: &Words<'_>) -> Option<&'static str> {
    let turned_off = |option: &str| {
        words.find_anywhere(option).is_some_and(|at| {
            let value = at + 1 + usize::from(words.text(at + 1) == "=");
            ["false", "off", "0"].contains(&words.value(value).as_str())
        })
    };
    if words.begins("create subscription") {
        let harmless = turned_off("create_slot") || turned_off("connect");
        return (!harmless).then_some("CREATE SUBSCRIPTION with a slot");
    }
    if words.begins("alter subscription") {
        let changes = words.find("publication", 3).is_some();
        return (changes && !turned_off("refresh")).then_some("ALTER SUBSCRIPTION … PUBLICATION");
    }
    None
}
