//! Whole-program tests: the real binary on real PostgreSQL, Redis and SQLite files.
//!
//! What a test asserts about tenants it reads by plain SQL (`psql`, `sqlite3`), not through the program under test.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on panics with what it saw"
)]

mod amend;
mod bad_input;
mod cancels;
mod chaos;
mod cli;
mod cluster;
mod counts;
mod databases;
mod demo;
mod down;
mod everyday;
mod faults;
mod fleet;
mod gates;
mod halt;
mod held_at_gates;
mod history;
mod holds;
mod hosts;
mod interleavings;
mod leftovers;
mod locks;
mod metrics;
mod monitoring;
mod mount;
mod outages;
mod planning;
mod registry;
mod restored;
mod sentinels;
mod stack;
mod stepwise;
mod storm;
mod tenants;
mod transcripts;
mod verbs;
mod verify;
