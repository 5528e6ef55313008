//! What coordination costs: rollouts beside programs that make the same change and coordinate nothing.
//!
//! `scripts/bench rollout W2` and its like; every figure is a ratio within one repeat, because machines are noisy.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on panics with what it saw, and prints what it measured"
)]

mod asked;
mod databases;
mod files;
mod floors;
mod measured;
mod memory;
mod ours;
mod peer;
mod schemas;
mod spent;
mod survey;
mod table;
mod w1;
mod w2;
mod wire;

use asked::Asked;

fn main() {
    let asked = Asked::read();
    match asked.what.as_str() {
        "w1" => w1::run(&asked),
        "w2" => w2::run(&asked),
        "w2-databases" => databases::w2(&asked),
        "w3" => survey::run(&asked),
        "plan" => memory::plan(&asked),
        "coordinator" => memory::coordinator(&asked),
        "worker" => memory::worker(&asked),
        "files" => files::run(&asked),
        other => panic!("no benchmark is called {other}; see scripts/bench"),
    }
}
