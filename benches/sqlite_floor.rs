//! The floor under SQLite tenants: sqlx, one transaction per file, and nobody who coordinates.
//!
//! `sqlite_floor DIRECTORY K JOURNAL VERSION SQL` runs SQL and a row in `naive_ledger` as one transaction in every file of
//! the directory, K files at a time, leaves each in that journal mode, and prints the seconds. `scripts/bench` runs it
//! beside Sanderling.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on panics with what it saw, and prints what it measured"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [directory, k, journal, version, sql] = words.as_slice() else {
        // `cargo test --benches` and the like run it without arguments.
        return;
    };
    let (k, sql): (usize, &str) = (
        k.parse().unwrap(),
        Box::leak(transaction(journal, version, sql).into_boxed_str()),
    );
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "db"))
        .collect();
    files.sort();
    let (files, next) = (Arc::new(files), Arc::new(AtomicUsize::new(0)));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let begun = Instant::now();
    runtime.block_on(async {
        let mut work = tokio::task::JoinSet::new();
        for _ in 0..k {
            work.spawn(one_after_the_other(files.clone(), next.clone(), sql));
        }
        while let Some(done) = work.join_next().await {
            done.unwrap();
        }
    });
    println!("{}", begun.elapsed().as_secs_f64());
}

fn transaction(journal: &str, version: &str, sql: &str) -> String {
    format!(
        "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS naive_ledger (version text PRIMARY KEY, applied_at text NOT NULL); \
         {sql}; INSERT INTO naive_ledger VALUES ('{version}', datetime('now')); COMMIT; PRAGMA journal_mode = {journal}"
    )
}

async fn one_after_the_other(files: Arc<Vec<PathBuf>>, next: Arc<AtomicUsize>, sql: &'static str) {
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
