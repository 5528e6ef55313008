//! Both engines against their port, and each engine's own mechanisms against real databases.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod amended;
mod budget;
mod conformance;
mod databases;
mod ends_early;
mod hostile;
mod ownership;
mod poolers;
mod postgres;
mod rehearse;
mod resistance;
mod reverting;
mod roles;
mod search_path;
mod sqlite;
mod sqlite_leftovers;
mod stepwise;
mod stepwise_conformance;
mod stepwise_decisions;
mod stepwise_hostile;
mod stepwise_settings;
mod support;
mod survey;
