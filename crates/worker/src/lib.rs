#![doc = include_str!("../README.md")]

mod away;
mod bundles;
mod cancel;
mod circuit;
mod claim;
mod found;
mod held;
mod meters;
mod migrate;
mod release;
mod renew;
mod report;
mod seats;
mod settle;
mod worker;
mod written;

pub use worker::{Worker, WorkerOptions};
