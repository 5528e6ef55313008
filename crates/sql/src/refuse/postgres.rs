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
const COPY: &str = "write INSERT statements instead: a migration has no client that could send or receive the data";

/// The first reason to refuse a statement, in whatever file it stands.
pub(super) fn refuse(words: &Words<'_>) -> Option<Refusal> {
    backslash(words)
        .or_else(|| transaction_control(words))
        .or_else(|| copy(words))
        .or_else(|| session(words))
        .or_else(|| listen(words))
        .or_else(|| set_config(words))
}

/// The first reason to refuse a statement of a file whose statements are sent one by one: a crash may lie between two
/// of them, and what only a session holds does not outlive it.
pub(super) fn refuse_apart(words: &Words<'_>) -> Option<Refusal> {
    guarded(words).or_else(|| gone_with_the_session(words))
}

/// Settings that a session holds for a whole file, because its lock ends with it: when the server ends it, and what its own
/// transactions are. In a file that is one transaction each message brings them anew.
fn guarded(words: &Words<'_>) -> Option<Refusal> {
    const SETTINGS: [&str; 10] = [
        "idle_session_timeout",
        "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
        "tcp_user_timeout",
        "default_transaction_isolation",
        "default_transaction_read_only",
        "default_transaction_deferrable",
    ];
    const HINT: &str = "remove it: by these the server ends the session of a lost worker, and the ledger's own transactions run; \
                        lock_timeout and statement_timeout may be set";
    if words.begins("set|reset") {
        let name = words.value(1 + usize::from(words.is(1, "session")));
        if SETTINGS.contains(&name.as_str()) {
            let verb = words.word(0).to_uppercase();
            return refusal(
                words.at(),
                format!(
                    "{verb} {name} in a file with transaction=off changes what its session rests on"
                ),
                HINT,
            );
        }
    }
    let (call, name) = calls_set_config(words, &SETTINGS)?;
    refusal(
        words.at_index(call),
        format!(
            "set_config('{name}', …) in a file with transaction=off changes what its session rests on"
        ),
        HINT,
    )
}

/// What only a session holds.
fn gone_with_the_session(words: &Words<'_>) -> Option<Refusal> {
    const FORMS: [&str; 9] = [
        "create temp|temporary",
        "create local|global temp|temporary",
        "create or replace temp|temporary",
        "create or replace local|global temp|temporary",
        "select into temp|temporary",
        "prepare",
        "declare",
        "set local",
        "set constraints",
    ];
    let into = words
        .find("into", 1)
        .is_some_and(|at| words.begins("select|with") && words.is(at + 1, "temp|temporary"));
    if !into && !FORMS.iter().any(|form| words.begins(form)) {
        return None;
    }
    refusal(
        words.at(),
        "what this makes is gone before the next statement of a file with transaction=off, or after a crash between the two",
        "use a table of the tenant's instead of a temporary one, and SET instead of SET LOCAL; or put what belongs together into a file of its own, without transaction=off",
    )
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

/// `SELECT set_config('search_path', …)`, the form that dumps contain.
fn set_config(words: &Words<'_>) -> Option<Refusal> {
    let (call, name) = calls_set_config(words, &["search_path", "role", "session_authorization"])?;
    let hint = if name == "search_path" { PLACE } else { ROLE };
    refusal(
        words.at_index(call),
        format!("set_config('{name}', …) leaves what the migration was given"),
        hint,
    )
}

/// Where `set_config` is called for one of these settings, and for which. A routine may do so when it is called; every
/// other statement, CREATE TABLE … AS and the default of a new column included, would do so now.
fn calls_set_config(words: &Words<'_>, settings: &[&str]) -> Option<(usize, String)> {
    if words.begins("create function|procedure")
        || words.begins("create or replace function|procedure")
    {
        return None;
    }
    let calls = (0..words.len())
        .filter(|at| words.value(*at) == "set_config" && words.text(at + 1) == "(")
        .collect::<Vec<_>>();
    calls.iter().find_map(|call| {
        let named = (call + 2..words.len()).find(|at| words.is(*at, "setting_name"));
        // `setting_name => 'x'` and `:=` are three tokens and the value.
        let value = named.map_or(call + 2, |at| at + 3);
        Some((*call, words.value(value))).filter(|(_, name)| settings.contains(&name.as_str()))
    })
}
