//! PostgreSQL statements that must run outside any transaction block.

use crate::lex::Kind;
use crate::sending::{Alone, Trace};

use super::{Refusal, Words};

const NAME: &str = "give the index a plain name: CREATE INDEX CONCURRENTLY <name> ON …; without one nobody can find it \
                    again after a crash";

/// Whether the statement must run by itself, and what it then leaves behind.
pub(super) fn alone(words: &Words<'_>) -> Result<Option<Alone>, Refusal> {
    let of = |what, trace| Alone {
        what,
        waits_for_all: false,
        trace,
    };
    if let Some(concurrent) = concurrently(words)? {
        return Ok(Some(concurrent));
    }
    Ok(repeatable(words)
        .map(|what| of(what, Trace::Repeatable))
        .or_else(|| databases(words).map(|what| of(what, Trace::Unknown)))
        .or_else(|| subscription(words).map(|what| of(what, Trace::Unknown))))
}

fn concurrently(words: &Words<'_>) -> Result<Option<Alone>, Refusal> {
    let (what, trace) = if let Some(trace) = index_made(words)? {
        ("CREATE INDEX CONCURRENTLY", trace)
    } else if words.begins("drop index concurrently") {
        ("DROP INDEX CONCURRENTLY", index_gone(words)?)
    } else if let Some(trace) = detached(words) {
        ("ALTER TABLE … DETACH PARTITION CONCURRENTLY", trace)
    } else if let Some(trace) = rebuilt(words)? {
        ("REINDEX CONCURRENTLY", trace)
    } else {
        return Ok(None);
    };
    Ok(Some(Alone {
        what,
        waits_for_all: true,
        trace,
    }))
}

/// `CREATE [UNIQUE] INDEX CONCURRENTLY [[IF NOT EXISTS] name] ON [ONLY] [schema.]table …`
fn index_made(words: &Words<'_>) -> Result<Option<Trace>, Refusal> {
    let index = 2 + usize::from(words.begins("create unique index"));
    if !words.begins("create index|unique") || !words.is(index, "concurrently") {
        return Ok(None);
    }
    let if_not_exists = words.is(index + 1, "if") && words.is(index + 2, "not");
    let name_at = index + 1 + if if_not_exists { 3 } else { 0 };
    let named = !words.is(name_at, "on") && words.is(name_at + 1, "on");
    let name = words.name(name_at).filter(|_| named);
    let table_at = name_at + 2 + usize::from(words.is(name_at + 2, "only"));
    let table = qualified(words, table_at);
    match (name, table) {
        (Some(name), Some((schema, _, _))) => Ok(Some(Trace::IndexMade {
            schema,
            name,
            if_not_exists,
        })),
        _ => Err(Refusal {
            at: words.at_index(name_at),
            message: "CREATE INDEX CONCURRENTLY without a name of its own".into(),
            hint: NAME,
        }),
    }
}

/// `DROP INDEX CONCURRENTLY [IF EXISTS] [schema.]name [RESTRICT]`
fn index_gone(words: &Words<'_>) -> Result<Trace, Refusal> {
    let if_exists = words.is(3, "if") && words.is(4, "exists");
    let name_at = 3 + if if_exists { 2 } else { 0 };
    match qualified(words, name_at) {
        Some((schema, name, next)) if words.text(next) != "," => Ok(Trace::IndexGone {
            schema,
            name,
            if_exists,
        }),
        _ => Err(Refusal {
            at: words.at_index(name_at),
            message: "DROP INDEX CONCURRENTLY takes one index, by a plain name".into(),
            hint: "write one statement for each index",
        }),
    }
}

/// `ALTER TABLE [IF EXISTS] [ONLY] [schema.]name [*] DETACH PARTITION [schema.]name CONCURRENTLY`; names in `U&` quotes leave no
/// trace.
fn detached(words: &Words<'_>) -> Option<Trace> {
    if !words.begins("alter table") {
        return None;
    }
    let at = words.find("detach", 2)?;
    if !words.is(at + 1, "partition") || words.find("concurrently", at).is_none() {
        return None;
    }
    let table_at = 2 + if words.begins("alter table if exists") {
        2
    } else {
        0
    };
    let table_at = table_at + usize::from(words.is(table_at, "only"));
    let names = (qualified(words, table_at), qualified(words, at + 2));
    let (Some((parent_schema, parent, _)), Some((schema, name, _))) = names else {
        return Some(Trace::Unknown);
    };
    Some(Trace::Detached {
        parent_schema,
        parent,
        schema,
        name,
    })
}

/// `REINDEX [(options)] INDEX|TABLE|… [CONCURRENTLY] name`; `None` where it is not concurrent.
fn rebuilt(words: &Words<'_>) -> Result<Option<Trace>, Refusal> {
    let Some(object) = reindexed(words) else {
        return Ok(None);
    };
    let option = words.find_anywhere("concurrently").filter(|at| {
        *at == object + 1
            || (*at < object && !words.is(at + 1, "off|false") && words.text(at + 1) != "0")
    });
    let Some(option) = option else {
        return Ok(None);
    };
    if !words.is(object, "index|table") {
        return Ok(Some(Trace::Repeatable));
    }
    let name_at = object + 1 + usize::from(option == object + 1);
    match qualified(words, name_at) {
        Some((schema, name, _)) => Ok(Some(Trace::Rebuilt {
            table: words.is(object, "table"),
            schema,
            name,
        })),
        None => Err(Refusal {
            at: words.at_index(name_at),
            message: "REINDEX CONCURRENTLY takes a plain name".into(),
            hint: "write the name without U&",
        }),
    }
}

/// Where a REINDEX says what to rebuild; its options stand in parentheses in front.
fn reindexed(words: &Words<'_>) -> Option<usize> {
    words
        .find("index|table|schema|database|system", 1)
        .filter(|_| words.begins("reindex"))
}

fn repeatable(words: &Words<'_>) -> Option<&'static str> {
    if words.begins("vacuum") {
        return Some("VACUUM");
    }
    if let Some(object) = reindexed(words) {
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

fn databases(words: &Words<'_>) -> Option<&'static str> {
    const FORMS: [(&str, &str); 6] = [
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

/// `[[database.]schema.]name` at a token: schema, name, and the token behind it.
fn qualified(words: &Words<'_>, at: usize) -> Option<(Option<String>, String, usize)> {
    let (mut schema, mut name, mut next) = (None, words.name(at)?, at + 1);
    while words.text(next) == "." {
        schema = Some(std::mem::replace(&mut name, words.name(next + 1)?));
        next += 2;
    }
    Some((schema, name, next))
}
