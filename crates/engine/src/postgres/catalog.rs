//! The catalogs of many schemas of one database, read in a single pass.

use std::collections::HashMap;

use sanderling_core::{ErrorClass, Failure, Place};

use super::connect::{Connection, Key, text};
use super::connections::Connections;
use super::errors::{MISSING, Trouble};
use super::names::Schema;
use super::normal::without_schema;
use crate::fingerprint;
use crate::ledger;
use crate::port::Catalog;

/// The catalogs of places of one database, in their order.
pub(super) async fn database(
    connections: &Connections,
    key: &Key,
    places: &[&Place],
) -> Vec<Result<Catalog, Failure>> {
    let schemas: Vec<_> = places.iter().map(|place| Schema::of(place)).collect();
    let wanted: Vec<&Schema> = schemas.iter().flatten().collect();
    let read = match connections.visit(key).await {
        Ok(mut connection) => {
            let read = read(&mut connection, &wanted).await;
            connection.close().await;
            read.map_err(|trouble| connections.named(trouble.failure()))
        }
        Err(failure) => Err(failure),
    };
    let answer = |schema: Result<Schema, Failure>| {
        let schema = schema?;
        let catalogs = read.as_ref().map_err(Clone::clone)?;
        match catalogs.get(&schema.name) {
            Some(lines) => Ok(fingerprint::catalog("postgres", lines.clone())),
            None => Err(Failure::new(
                ErrorClass::Precondition,
                MISSING,
                format!("schema {} is missing", schema.name),
            )),
        }
    };
    schemas.into_iter().map(answer).collect()
}

pub(super) async fn read(
    connection: &mut Connection,
    schemas: &[&Schema],
) -> Result<HashMap<String, Vec<String>>, Trouble> {
    let mut lines: HashMap<String, Vec<String>> = HashMap::new();
    if schemas.is_empty() {
        return Ok(lines);
    }
    let rows = connection.rows(query(schemas)).await?;
    for row in &rows {
        let (Some(schema), Some(quoted)) = (text(row, 0), text(row, 1)) else {
            continue;
        };
        let list = lines.entry(schema).or_default();
        if let Some(line) = text(row, 2) {
            list.push(normal_line(&line, &quoted));
        }
    }
    Ok(lines)
}

/// Each field is brought to normal form by itself and encoded again: no separator can be forged.
fn normal_line(line: &str, quoted_schema: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    for field in value.as_array_mut().into_iter().flatten() {
        if let serde_json::Value::String(text) = field {
            *text = without_schema(text, quoted_schema);
        }
    }
    value.to_string()
}

/// One message: deparsing under `search_path = pg_catalog` qualifies everything else. Each branch yields the
/// namespace's oid and one JSON array; a schema without objects still yields one row, without a line.
fn query(schemas: &[&Schema]) -> String {
    let names: Vec<_> = schemas
        .iter()
        .map(|schema| schema.literal.as_str())
        .collect();
    format!(
        "SET search_path = pg_catalog;
WITH ns AS MATERIALIZED (SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY (ARRAY[{names}]::name[])),
ext AS MATERIALIZED (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
rel AS MATERIALIZED (SELECT c.* FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
 WHERE NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_class'::regclass AND objid = c.oid)
 AND c.relname <> '{ledger}'),
lines AS ({RELATIONS} UNION ALL {OTHERS})
SELECT ns.nspname::text, quote_ident(ns.nspname), l.line::text FROM ns LEFT JOIN lines l ON l.nsp = ns.oid;
RESET search_path",
        names = names.join(", "),
        ledger = ledger::TABLE,
    )
}

/// Tables, columns, indexes, constraints, sequences, views.
const RELATIONS: &str = "
SELECT c.relnamespace AS nsp, json_build_array('table', c.relname, c.relkind, c.relpersistence, c.relrowsecurity,
 c.relforcerowsecurity, c.relreplident, (SELECT string_agg(o, ',' ORDER BY o) FROM unnest(c.reloptions) o),
 CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END, pg_get_expr(c.relpartbound, c.oid)) AS line
 FROM rel c WHERE c.relkind IN ('r', 'p', 'f', 'c')
UNION ALL
SELECT c.relnamespace, json_build_array('column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
 a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
 CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END)
 FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'f', 'c')
UNION ALL
SELECT c.relnamespace, json_build_array('index', c.relname, i.relname, pg_get_indexdef(x.indexrelid), x.indisvalid,
 x.indisready) FROM rel c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
UNION ALL
SELECT c.relnamespace, json_build_array('constraint', c.relname, k.conname, pg_get_constraintdef(k.oid),
 k.convalidated) FROM rel c JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype <> 'n'
UNION ALL
SELECT c.relnamespace, json_build_array('sequence', c.relname, format_type(s.seqtypid, NULL), s.seqstart,
 s.seqincrement, s.seqmin, s.seqmax, s.seqcycle) FROM rel c JOIN pg_sequence s ON s.seqrelid = c.oid
UNION ALL
SELECT c.relnamespace, json_build_array('view', c.relname, c.relkind, pg_get_viewdef(c.oid))
 FROM rel c WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT c.relnamespace, json_build_array('trigger', c.relname, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled)
 FROM rel c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
UNION ALL
SELECT c.relnamespace, json_build_array('policy', c.relname, p.polname, p.polcmd, p.polpermissive,
 pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
 FROM rel c JOIN pg_policy p ON p.polrelid = c.oid";

/// Types and functions.
const OTHERS: &str = "
SELECT t.typnamespace, json_build_array('enum', t.typname,
 (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder)::text FROM pg_enum e WHERE e.enumtypid = t.oid))
 FROM pg_type t JOIN ns ON ns.oid = t.typnamespace WHERE t.typtype = 'e'
 AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_type'::regclass AND objid = t.oid)
UNION ALL
SELECT t.typnamespace, json_build_array('domain', t.typname, format_type(t.typbasetype, t.typtypmod), t.typnotnull,
 t.typdefault, (SELECT json_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname)::text FROM pg_constraint k
 WHERE k.contypid = t.oid AND k.contype <> 'n'))
 FROM pg_type t JOIN ns ON ns.oid = t.typnamespace WHERE t.typtype = 'd'
 AND NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_type'::regclass AND objid = t.oid)
UNION ALL
SELECT f.pronamespace, json_build_array('function', f.proname, pg_get_function_identity_arguments(f.oid),
 CASE WHEN f.prokind IN ('f', 'p') THEN pg_get_functiondef(f.oid) END)
 FROM pg_proc f JOIN ns ON ns.oid = f.pronamespace
 WHERE NOT EXISTS (SELECT FROM ext WHERE classid = 'pg_proc'::regclass AND objid = f.oid)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_borders() {
        let a = normal_line(r#"["column","a","b c"]"#, "t");
        let b = normal_line(r#"["column","a b","c"]"#, "t");
        assert_ne!(a, b);
        assert_eq!(
            normal_line(r#"["x","t.a",null]"#, "t"),
            r#"["x","{S}.a",null]"#
        );
    }
}
