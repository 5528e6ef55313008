//! Whose a table of ours is. Somebody else's ledger or fence would run its owner's code (triggers, rules, checks,
//! casts) as the login role, and could say whatever its owner likes.

use super::errors::{FENCE_OWNER, ServerError, state};
use crate::ledger;

/// Whether `c`, a row of `pg_class`, looks like a table of ours at first sight. What does not is looked at closely;
/// this much costs one row of the catalog in every message.
const AT_FIRST_SIGHT: &str = "c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhastriggers \
     AND pg_catalog.pg_get_userbyid(c.relowner) = CURRENT_USER";

/// Whether `c` is a plain table without anybody's triggers and rules, and its owner may be trusted.
const OURS: &str = "(c.relkind = 'r'
 AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
 AND NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)
 AND EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = c.relowner AND ";

/// Whether `o`, an owner, is the login role, a role that it is a member of, or a superuser, who needs no trick. A
/// superuser counts as a member of every role, so there only what was granted counts.
pub(super) const TRUSTED: &str = "(o.rolsuper OR o.rolname = CURRENT_USER
 OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles me ON me.oid = m.member
 WHERE m.roleid = o.oid AND me.rolname = CURRENT_USER)
 OR (pg_catalog.pg_has_role(o.oid, 'MEMBER')
 AND NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles me WHERE me.rolname = CURRENT_USER)))";

/// Whether reading `c` runs nobody's code: a table whose columns have the server's own types.
pub(super) const READABLE: &str = "(NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
     AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384::oid))";

/// plpgsql that raises `code` unless the table, which must be there, is ours. The tenant's role, though the login role
/// is a member of it, is not trusted with it: it is what migrations run as. All but `code` is quoted.
pub(super) fn demand(table: &str, code: &str, message: &str, role: Option<&str>) -> String {
    let role = role.map_or_else(String::new, |role| {
        format!(" AND o.rolname <> {role}::name")
    });
    let this = format!("FROM pg_catalog.pg_class c WHERE c.oid = {table}::regclass::oid");
    // Two statements: the second is only planned where the first finds something odd.
    format!(
        "IF NOT EXISTS (SELECT {this} AND {AT_FIRST_SIGHT}) THEN
 IF NOT EXISTS (SELECT {this} AND {OURS}{TRUSTED}{role}))) THEN
  RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = {message};
 END IF;
END IF;
"
    )
}

/// plpgsql for a read that stands in no guard: raises [`state::OWNER`] unless the ledger (its quoted name, which must be
/// there) is ours, and [`state::UNREADABLE`] where reading it would run somebody's code. Until the transaction ends
/// nobody puts another in its place: a role that owns the schema could, and would say what it likes.
pub(super) fn demand_readable(table: &str, literal: &str, role: Option<&str>) -> String {
    format!(
        "LOCK TABLE {table} IN ACCESS SHARE MODE;
{owned}IF NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = {literal}::regclass::oid AND {READABLE}) THEN
 RAISE EXCEPTION USING ERRCODE = '{UNREADABLE}', MESSAGE = 'columns of the ledger have types that somebody made';
END IF;
",
        owned = demand(literal, state::OWNER, "'the ledger is not ours'", role),
        UNREADABLE = state::UNREADABLE,
    )
}

/// Asks for the fence's table: no row where it is missing, else whether it and its schema are ours, and its comment.
pub(super) fn ask_fence() -> String {
    of_fence(&format!(
        "({OURS}{TRUSTED})) AND EXISTS (SELECT FROM pg_catalog.pg_roles o WHERE o.oid = n.nspowner AND {TRUSTED}))"
    ))
}

/// The same, where a "true" is to be believed and a "false" is to be asked again closely. For a session that has read
/// no catalog yet the close question costs as much as a small migration.
pub(super) fn ask_fence_at_first_sight() -> String {
    of_fence(&format!(
        "({AT_FIRST_SIGHT} AND pg_catalog.pg_get_userbyid(n.nspowner) = CURRENT_USER)"
    ))
}

fn of_fence(is_ours: &str) -> String {
    format!(
        "SELECT {is_ours}::text, (SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = c.oid \
         AND d.classoid = 'pg_catalog.pg_class'::regclass::oid AND d.objsubid = 0) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'sanderling' AND c.relname = 'fence'"
    )
}

/// Asks for the ledger of a schema (its quoted name): no row where there is none, else whether it may be read.
pub(super) fn ask_ledger(schema: &str) -> String {
    format!(
        "SELECT {READABLE}::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema}::name AND c.relname = '{}' AND c.relkind = 'r'",
        ledger::TABLE
    )
}

/// What is said about a fence that is not ours.
pub(super) fn not_our_fence() -> ServerError {
    ServerError {
        code: FENCE_OWNER.to_owned(),
        message: "sanderling.fence is not a table of the login role or of a role that it is a member of (nor is its \
                  schema), or it bears triggers or rules, which would run as the login role: find out who made it, then \
                  drop those and ALTER TABLE and ALTER SCHEMA … OWNER TO the login role"
            .to_owned(),
        position: None,
    }
}
