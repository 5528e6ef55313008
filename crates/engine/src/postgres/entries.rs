//! The schemas that stand behind the tenant's own in the search path. Whoever may make something in one of them decides
//! what a name of a migration means, on every tenant: a function that fits its arguments better than the server's own,
//! a table where the tenant has none. So each must be there, and only roles that we trust may write into it.

use sanderling_core::Failure;
use sanderling_sql::quote::Quoted;

use super::connect::{Connection, text};
use super::errors::{SEARCH_PATH, ServerError, Trouble, state};
use super::names::{ident, literal};
use super::ownership::TRUSTED;
use crate::port::Lack;
use crate::role::RoleTemplate;
use crate::search_path::SearchPath;

/// The role that stands for whoever owns the database at hand; `pg_database_owner` since PostgreSQL 14.
const DATABASE_OWNER: &str = "6171::oid";

/// The entries of a host's path, as they stand in SQL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    list: Vec<Entry>,
    /// The names of roles that migrations run as, as a quoted pattern of LIKE, where they run as a role. To be a member
    /// of them makes them no more trusted with what other tenants' migrations call.
    roles: Option<Quoted>,
}

#[derive(Clone, Debug)]
struct Entry {
    ident: Quoted,
    literal: Quoted,
}

impl Entries {
    /// Quotes the entries of a path, for migrations that run as the roles of a template.
    ///
    /// # Errors
    /// A name that PostgreSQL would cut.
    pub(crate) fn new(path: &SearchPath, role: Option<&RoleTemplate>) -> Result<Self, Failure> {
        let entry = |name: &String| {
            Ok(Entry {
                ident: ident(name)?,
                literal: literal(name)?,
            })
        };
        let list: Result<Vec<_>, Failure> = path.others().iter().map(entry).collect();
        let roles = role.map(|role| literal(&role.pattern())).transpose()?;
        Ok(Self { list: list?, roles })
    }

    /// What stands between the tenant's schema and `pg_temp` in the path of a schema (its quoted name).
    pub(super) fn behind(&self, schema: &Quoted) -> String {
        let others = self.list.iter().filter(|entry| entry.ident != *schema);
        others.map(|entry| format!(", {}", entry.ident)).collect()
    }

    /// plpgsql that raises [`state::ENTRY`] unless each entry is there, may be used, and is written by trusted roles only.
    /// For the login role: it stands in a guard, before anything of a migration.
    pub(super) fn demand(&self) -> Result<String, Failure> {
        let mut all = String::new();
        for entry in &self.list {
            let conditions = [
                (format!("NOT {}", entry.usable()), entry.absent()),
                (entry.open_to_others(self), entry.open()),
            ];
            for (wrong, message) in conditions {
                all.push_str(&format!(
                    "IF {wrong} THEN
 RAISE EXCEPTION USING ERRCODE = '{ENTRY}', MESSAGE = {message};
END IF;
",
                    ENTRY = state::ENTRY,
                    message = literal(&message)?,
                ));
            }
        }
        Ok(all)
    }

    /// Whether the current role may use all of them; what it may not use drops out of its path without an error.
    pub(super) fn usable(&self) -> String {
        let mut all = vec!["true".to_owned()];
        all.extend(self.list.iter().map(Entry::usable));
        all.join(" AND ")
    }

    /// Their names as a list for messages.
    pub(super) fn names(&self) -> String {
        let names: Vec<_> = self.list.iter().map(|entry| entry.ident.as_str()).collect();
        names.join(", ")
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Refuses entries that hold something of a role that is not trusted, from a time when it could write there. Asked
    /// once per database and process: nobody adds to it while [`Self::demand`] holds.
    pub(super) async fn demand_unplanted(
        &self,
        connection: &mut Connection,
    ) -> Result<(), Trouble> {
        for entry in &self.list {
            if connection.rows(entry.planted(self)).await?.is_empty() {
                continue;
            }
            return Err(Trouble::Server(ServerError {
                code: SEARCH_PATH.to_owned(),
                message: entry.strange(),
                position: None,
            }));
        }
        Ok(())
    }

    /// What migrations would be refused for in the database at hand.
    pub(super) async fn lacks(&self, connection: &mut Connection) -> Result<Vec<Lack>, Trouble> {
        let mut lacks = Vec::new();
        for entry in &self.list {
            let rows = connection
                .rows(format!(
                    "SELECT ({})::text, ({})::text, EXISTS ({})::text",
                    entry.usable(),
                    entry.open_to_others(self),
                    entry.planted(self)
                ))
                .await?;
            let says = |column| rows.first().and_then(|row| text(row, column));
            let what = match (says(0).as_deref(), says(1).as_deref(), says(2).as_deref()) {
                (Some("true"), Some("false"), Some("false")) => continue,
                (Some("true"), Some("false"), _) => entry.strange(),
                (Some("true"), ..) => entry.open(),
                _ => entry.absent(),
            };
            lacks.push(Lack { blocks: true, what });
        }
        Ok(lacks)
    }

    /// Whether `o`, a row of `pg_roles`, may decide what names mean.
    fn trusted(&self) -> String {
        match &self.roles {
            Some(pattern) => format!(
                "{TRUSTED} AND (o.rolsuper OR o.rolname = CURRENT_USER OR o.rolname::text OPERATOR(pg_catalog.!~~) {pattern}::text)"
            ),
            None => TRUSTED.to_owned(),
        }
    }
}

impl Entry {
    fn usable(&self) -> String {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = {}::name \
             AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'::text))",
            self.literal
        )
    }

    /// Whether its owner, or whoever was granted CREATE (PUBLIC is no role), is not trusted.
    fn open_to_others(&self, entries: &Entries) -> String {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_namespace n CROSS JOIN LATERAL (SELECT n.nspowner AS who \
             UNION ALL SELECT a.grantee FROM pg_catalog.aclexplode(n.nspacl) a WHERE a.privilege_type = 'CREATE'::text) w \
             WHERE n.nspname = {name}::name AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = \
             CASE WHEN w.who = {DATABASE_OWNER} THEN (SELECT d.datdba FROM pg_catalog.pg_database d \
             WHERE d.datname = pg_catalog.current_database()) ELSE w.who END AND {trusted}))",
            name = self.literal,
            trusted = entries.trusted(),
        )
    }

    /// A row for something in it whose owner is not trusted. What the server's first superuser owns has no such mark.
    fn planted(&self, entries: &Entries) -> String {
        format!(
            "SELECT 1 FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_depend m \
             ON m.refclassid = 'pg_catalog.pg_namespace'::regclass::oid AND m.refobjid = n.oid \
             JOIN pg_catalog.pg_shdepend s ON s.classid = m.classid AND s.objid = m.objid AND s.deptype = 'o' \
             AND s.dbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) \
             WHERE n.nspname = {name}::name AND NOT EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = s.refobjid \
             AND {trusted}) LIMIT 1",
            name = self.literal,
            trusted = entries.trusted(),
        )
    }

    fn absent(&self) -> String {
        format!(
            "schema {name}, which the host's search_path names, is missing in this database, or the login role may not use \
             it: CREATE SCHEMA {name}, or GRANT USAGE ON SCHEMA {name} TO the login role, or take it out of search_path",
            name = self.ident
        )
    }

    fn open(&self) -> String {
        format!(
            "schema {name}, which the host's search_path names, may be written into by others than superusers, the login \
             role and roles that it is a member of (the roles that migrations run as are others), who would decide what \
             names in migrations mean: REVOKE CREATE ON SCHEMA {name} FROM PUBLIC and from whom else \\dn+ shows, and let \
             a trusted role own it",
            name = self.ident
        )
    }

    fn strange(&self) -> String {
        format!(
            "schema {name}, which the host's search_path names, holds something of a role that is neither a superuser, the \
             login role, nor a trusted role that it is a member of, and names in migrations could mean that: find out \
             who made it (\\df {name}.* and \\d {name}.*), then drop it, or give it to a trusted role",
            name = self.ident
        )
    }
}
