//! Tenants in SQLite files.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sanderling_core::{HostName, Place};
use sanderling_sql::Dialect;
use sanderling_testkit::scratch;

use crate::asked::Asked;
use crate::floors::{self, Change, Tenants};
use crate::measured::Measured;
use crate::ours::{Ours, Setting};
use crate::table::Series;

/// Five small migrations; SQLite adds no constraint to a table, so the fourth is a unique index.
const FIVE: [(&str, &str); 5] = [
    (
        "0001",
        "CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL)",
    ),
    (
        "0002",
        "CREATE TABLE invoices (id integer PRIMARY KEY, customer integer NOT NULL, cents integer NOT NULL)",
    ),
    (
        "0003",
        "CREATE INDEX invoices_by_customer ON invoices (customer)",
    ),
    (
        "0004",
        "CREATE UNIQUE INDEX customers_by_name ON customers (name)",
    ),
    ("0005", "ALTER TABLE customers ADD COLUMN email text"),
];

/// W1 and W2: five migrations on files that are not there yet, then one ADD COLUMN.
pub(crate) fn run(asked: &Asked) {
    let n = asked.n.unwrap_or(500);
    let floor =
        std::env::var("SQLITE_FLOOR").expect("scripts/bench says where the floor's program is");
    // Files of ours are in WAL mode, and so the floor's have to be; what others cost stands beside it.
    let measured = || {
        let mut all = Measured::named("sqlx, one transaction, WAL");
        all.peer = Series::new("sqlx, one transaction, no WAL");
        all
    };
    let (mut first, mut next) = (measured(), measured());
    for repeat in 0..asked.repeats {
        // Everybody gets files of their own, on one disk.
        let (naive, plain, guarded) = (scratch(), scratch(), scratch());
        for directory in [&naive, &plain] {
            for i in 0..n {
                // The floor's files are made before it starts: it finds them by their names.
                std::fs::write(directory.path().join(format!("t{i:05}.db")), "").unwrap();
            }
        }
        let guarded_url = format!("sqlite://{}", guarded.path().display());
        let ours = fleet(asked, n);
        let both = [
            (&mut first, &FIVE[..]),
            (
                &mut next,
                &[("0006", "ALTER TABLE invoices ADD COLUMN currency text")][..],
            ),
        ];
        for (all, bodies) in both {
            let version = bodies[0].0;
            let sqlx = |directory: &Path, journal: &str| -> f64 {
                let sql: Vec<_> = bodies.iter().map(|(_, body)| *body).collect();
                let output = Command::new(&floor)
                    .arg(directory)
                    .args([&asked.k.to_string(), journal, version, &sql.join("; ")])
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{output:?}");
                let said = String::from_utf8_lossy(&output.stdout);
                said.trim().parse().unwrap()
            };
            for turn in 0..4 {
                match (turn + repeat) % 4 {
                    0 => all.naive.seconds.push(sqlx(naive.path(), "wal")),
                    1 => all.peer.seconds.push(sqlx(plain.path(), "delete")),
                    2 => {
                        let changes = bodies
                            .iter()
                            .map(|(v, b)| Change::new(v, b, Dialect::Sqlite));
                        let tenants = Arc::new(Tenants {
                            places: places(n),
                            changes: changes.collect(),
                        });
                        let epoch = if version == "0001" { 1 } else { 2 };
                        let took =
                            floors::guarded(&guarded_url, asked.k, &tenants, epoch > 1, epoch);
                        all.guarded.seconds.push(took);
                    }
                    _ => {
                        for (version, body) in bodies {
                            ours.migration(version, &format!("{body};"));
                        }
                        all.note("embedded", &ours);
                    }
                }
            }
        }
        let last = ours.path(&format!("data/t{:05}.db", n - 1));
        let said = Command::new("sqlite3")
            .arg(last)
            .arg("SELECT currency FROM invoices")
            .output()
            .unwrap();
        assert!(said.status.success(), "the column is there: {said:?}");
    }
    println!(
        "SQLite, W1: five migrations on new files, {n} files, {}",
        asked.said()
    );
    first.print(n, [None, Some(0.85), None]);
    println!("\nSQLite, W2: one ADD COLUMN, {n} files");
    next.print(n, [None, Some(0.85), None]);
}

fn fleet(asked: &Asked, n: usize) -> Ours {
    let rows: Vec<_> = (0..n)
        .map(|i| format!("t{i:05},tenants,,,t{i:05}.db"))
        .collect();
    let setting = Setting {
        control: "sqlite://control.db",
        claims: "memory://",
        host: "sqlite://data",
        k: asked.k,
        in_flight: asked.in_flight,
        atomic: "tenant",
    };
    let ours = Ours::new(&setting, &rows);
    ours.creating();
    std::fs::create_dir_all(ours.path("data")).unwrap();
    ours
}

fn places(n: usize) -> Vec<Place> {
    let place = |i| Place {
        host: HostName::new("tenants"),
        database: None,
        schema: None,
        file: Some(format!("t{i:05}.db")),
    };
    (0..n).map(place).collect()
}
