//! Tenants in schemas of one PostgreSQL database.

use std::fmt::Write as _;

use sanderling_core::{HostName, Place};

use crate::asked::Asked;
use crate::ours::{Ours, Setting};
use crate::wire::Wire;

/// What a benchmark's servers are set to: as they come, durable, and with room for connections.
pub(crate) const SERVER: &[(&str, &str)] = &[
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "128MB"),
    ("checkpoint_timeout", "5min"),
];

/// Five small migrations, as a first rollout on an empty tenant.
pub(crate) const FIVE: [(&str, &str); 5] = [
    (
        "0001",
        "CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)",
    ),
    (
        "0002",
        "CREATE TABLE invoices (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer bigint NOT NULL, cents bigint NOT NULL)",
    ),
    (
        "0003",
        "CREATE INDEX invoices_by_customer ON invoices (customer)",
    ),
    (
        "0004",
        "ALTER TABLE invoices ADD CONSTRAINT invoices_customer FOREIGN KEY (customer) REFERENCES customers (id)",
    ),
    ("0005", "ALTER TABLE customers ADD COLUMN email text"),
];

/// The ledger of the naive floor, in the schema of the path.
pub(crate) const NAIVE_LEDGER: &str = "CREATE TABLE naive_ledger (version text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())";

/// A fleet of ours over schemas of a database.
pub(crate) fn fleet(
    asked: &Asked,
    host: &str,
    prefix: &str,
    n: usize,
    (control, claims): (&str, &str),
    atomic: &str,
) -> Ours {
    let rows: Vec<_> = (0..n)
        .map(|i| format!("{prefix}{i:05},tenants,,{prefix}{i:05},"))
        .collect();
    let setting = Setting {
        control,
        claims,
        host,
        k: asked.k,
        in_flight: asked.in_flight,
        atomic,
    };
    Ours::new(&setting, &rows)
}

/// The places of one variant.
pub(crate) fn places(prefix: &str, n: usize) -> Vec<Place> {
    let place = |i| Place {
        host: HostName::new("tenants"),
        database: None,
        schema: Some(format!("{prefix}{i:05}")),
        file: None,
    };
    (0..n).map(place).collect()
}

/// Makes the schemas of one variant, with the table and the ledger of the naive floor where asked.
pub(crate) fn make(wire: &mut Wire, prefix: &str, n: usize, naive: bool) {
    let all: Vec<usize> = (0..n).collect();
    for some in all.chunks(100) {
        let mut sql = String::new();
        for i in some {
            let schema = format!("{prefix}{i:05}");
            let _ = write!(sql, "CREATE SCHEMA {schema};");
            if naive {
                let _ = write!(sql, "SET search_path TO {schema}; {NAIVE_LEDGER};");
            }
        }
        wire.ask(&sql);
    }
}
