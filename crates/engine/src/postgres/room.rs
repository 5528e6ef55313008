//! Whether a server has the connections and the rights that a rollout needs.

use super::connect::{Connection, text};
use super::errors::Trouble;
use crate::port::Lack;

/// Limits, use and rights, in one row.
const ASK: &str = "SELECT pg_catalog.current_setting('max_connections'), \
     (pg_catalog.current_setting('max_connections')::int OPERATOR(pg_catalog.-) \
      pg_catalog.current_setting('superuser_reserved_connections')::int OPERATOR(pg_catalog.-) \
      (SELECT pg_catalog.count(*)::int FROM pg_catalog.pg_stat_activity a WHERE a.backend_type OPERATOR(pg_catalog.=) 'client backend' \
       AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()))::text, \
     r.rolconnlimit::text, \
     pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')::text, \
     (EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname::text OPERATOR(pg_catalog.=) 'sanderling'::text))::text \
     FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER";

/// What is missing for so many connections.
pub(super) async fn lacks(
    connection: &mut Connection,
    connections: u32,
    create: bool,
) -> Result<Vec<Lack>, Trouble> {
    let rows = connection.rows(ASK.to_owned()).await?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let number = |column| text(row, column).and_then(|n| n.parse::<i64>().ok());
    let holds = |column| text(row, column).as_deref() == Some("true");
    let wanted = i64::from(connections);
    let mut lacks = Vec::new();
    if let (Some(most), Some(free)) = (number(0), number(1))
        && free < wanted
    {
        lacks.push(Lack {
            blocks: false,
            what: format!(
                "{} of {most} connections are free now, and `connections` asks for {wanted}: lower it, or raise max_connections",
                free.max(0)
            ),
        });
    }
    let (login, database) = (&connection.login, &connection.database);
    if let Some(limit) = number(2).filter(|limit| (0..wanted).contains(limit)) {
        lacks.push(Lack {
            blocks: false,
            what: format!(
                "role {login} may have {limit} connections, and `connections` asks for {wanted}: lower it, or ALTER ROLE … CONNECTION LIMIT"
            ),
        });
    }
    let may_create = holds(3);
    if !may_create && !holds(4) {
        lacks.push(Lack {
            blocks: true,
            what: format!(
                "role {login} may not make the schema `sanderling`, which is to hold the fence: GRANT CREATE ON DATABASE {database} TO {login}"
            ),
        });
    } else if !may_create && create {
        lacks.push(Lack {
            blocks: false,
            what: format!(
                "role {login} may not create schemas, and create_missing is set: GRANT CREATE ON DATABASE {database} TO {login}, or make them yourself"
            ),
        });
    }
    Ok(lacks)
}
