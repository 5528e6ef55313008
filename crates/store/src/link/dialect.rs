//! The words in which the two dialects differ. Everything else is written once, in SQL that both understand.

/// The words of one dialect.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Begins a transaction that writes.
    pub(crate) begin_write: &'static str,
    /// Begins a transaction that reads one snapshot.
    pub(crate) begin_read: &'static str,
    /// `{now}`: the database's clock, microseconds since the Unix epoch.
    now: &'static str,
    /// `{lock}`: locks the rows that a SELECT returns.
    lock: &'static str,
    /// `{lock_targets}` and `{lock_tenants}`: the same where that table is joined with something that cannot be locked.
    lock_targets: &'static str,
    lock_tenants: &'static str,
    /// `{each}`: the elements of the JSON array in `$2` as rows `(f, v)`: the fleet, and one element. A join asks for
    /// `fleet = f` and not `$1`, so that without statistics too the few elements lead and the table's index follows.
    each: &'static str,
    /// `{text}`: text that is ordered by its bytes.
    text: &'static str,
    /// `{identity}`: a column that numbers rows by itself.
    identity: &'static str,
}

/// PostgreSQL, with READ COMMITTED as the connection's default.
pub(crate) static POSTGRES: Dialect = Dialect {
    begin_write: "BEGIN",
    begin_read: "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    now: "CAST(extract(epoch from clock_timestamp()) * 1000000 AS bigint)",
    lock: "FOR UPDATE",
    lock_targets: "FOR UPDATE OF targets",
    lock_tenants: "FOR UPDATE OF tenants",
    // The OFFSET keeps the planner from dissolving the list, after which it would look for `$1` in the table.
    each: "(SELECT CAST($1 AS text) AS f, e.v FROM jsonb_array_elements(CAST($2 AS jsonb)) AS e(v) OFFSET 0) AS j",
    text: r#"text COLLATE "C""#,
    identity: "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
};

/// SQLite. `BEGIN IMMEDIATE` takes the one write lock, so nothing below it needs a lock of its own.
pub(crate) static SQLITE: Dialect = Dialect {
    begin_write: "BEGIN IMMEDIATE",
    begin_read: "BEGIN",
    now: "CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) * 1000",
    lock: "",
    lock_targets: "",
    lock_tenants: "",
    // The LIMIT keeps the planner from dissolving the list into a join that parses it once per row of the table.
    each: "(SELECT $1 AS f, value AS v FROM json_each($2) LIMIT -1) AS j",
    text: "text",
    identity: "integer PRIMARY KEY",
};

impl Dialect {
    /// The statement in this dialect: tokens in braces become its words.
    pub(crate) fn render(&self, sql: &str) -> String {
        let mut rendered = sql.to_owned();
        for (token, word) in [
            ("{now}", self.now),
            ("{lock}", self.lock),
            ("{lock_targets}", self.lock_targets),
            ("{lock_tenants}", self.lock_tenants),
            ("{each}", self.each),
            ("{text}", self.text),
            ("{identity}", self.identity),
        ] {
            if rendered.contains(token) {
                rendered = rendered.replace(token, word);
            }
        }
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_left_and_sqlite_never_sees_a_row_lock() {
        let sql = "SELECT {now}, v FROM {each} {lock} {lock_targets}; CREATE TABLE t (a {identity}, b {text})";
        for dialect in [&POSTGRES, &SQLITE] {
            assert!(!dialect.render(sql).contains('{'));
        }
        assert!(!SQLITE.render(sql).contains("FOR UPDATE"));
    }
}
