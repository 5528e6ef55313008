//! W1: five small migrations on empty tenants.

use std::sync::Arc;

use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, Redis};

use crate::asked::Asked;
use crate::floors::{self, Change, Tenants};
use crate::measured::Measured;
use crate::peer;
use crate::schemas::{FIVE, NAIVE_LEDGER, SERVER, fleet, make, places};
use crate::wire::Wire;

/// The variants, in the order of the first repeat.
const VARIANTS: [&str; 5] = ["naive", "guarded", "embedded", "cluster", "peer"];

/// Servers and what was measured so far.
struct Bench<'a> {
    asked: &'a Asked,
    n: usize,
    postgres: Postgres,
    redis: Redis,
    five: Vec<(String, String)>,
    all: Measured,
}

/// Runs it and prints.
pub(crate) fn run(asked: &Asked) {
    let n = asked.n.unwrap_or(300);
    let owned = |(version, body): &(&str, &str)| ((*version).to_owned(), (*body).to_owned());
    let mut bench = Bench {
        asked,
        n,
        postgres: Postgres::private_with(SERVER),
        redis: Redis::private(),
        five: FIVE.iter().map(owned).collect(),
        all: Measured::named("naive floor"),
    };
    for repeat in 0..asked.repeats {
        for turn in 0..VARIANTS.len() {
            bench.variant(VARIANTS[(turn + repeat) % VARIANTS.len()]);
        }
    }
    println!(
        "W1: five migrations on empty tenants, {n} schemas, {}",
        asked.said()
    );
    bench.all.print(n, [Some(0.90), Some(0.80), Some(4.0)]);
}

impl Bench<'_> {
    fn variant(&mut self, what: &str) {
        let (k, n) = (self.asked.k, self.n);
        let url = self.postgres.create_database();
        let mut wire = Wire::connect(&url);
        let mut migrated = n;
        match what {
            "naive" => {
                // A first rollout makes the ledger too, on either side.
                make(&mut wire, what, n, false);
                let mut bodies = vec![("0000".to_owned(), NAIVE_LEDGER.to_owned())];
                bodies.extend_from_slice(&self.five);
                let message = |i| floors::naive_message(&format!("naive{i:05}"), i, &bodies);
                let messages: Vec<_> = (0..n).map(message).collect();
                let took = floors::naive(&url, k, &messages);
                self.all.naive.seconds.push(took);
            }
            "guarded" => {
                make(&mut wire, what, n, false);
                let change = |(v, b): &(&str, &str)| Change::new(v, b, Dialect::Postgres);
                let tenants = Arc::new(Tenants {
                    places: places(what, n),
                    changes: FIVE.iter().map(change).collect(),
                });
                let took = floors::guarded(&url, k, &tenants, false, 1);
                self.all.guarded.seconds.push(took);
            }
            "peer" => {
                let Some(program) = peer::program() else {
                    return;
                };
                migrated = peer::TENANTS;
                make(&mut wire, what, migrated, false);
                peer::run(&mut self.all.peer, &program, &url, what, n, &self.five);
            }
            _ => {
                make(&mut wire, what, n, false);
                self.ours(what, &url);
            }
        }
        let done = wire.ask("SELECT count(*) FROM pg_attribute WHERE attname = 'email'");
        assert_eq!(
            done,
            [migrated.to_string()],
            "{what}: every tenant got its five"
        );
    }

    fn ours(&mut self, what: &str, url: &str) {
        let control = self.postgres.create_database();
        let parts = match what {
            "embedded" => ("sqlite://control.db", "memory://"),
            _ => (control.as_str(), self.redis.url()),
        };
        let mut ours = fleet(self.asked, url, what, self.n, parts, "tenant");
        for (version, body) in FIVE {
            ours.migration(version, &format!("{body};"));
        }
        if what == "cluster" {
            ours.start(self.asked.workers);
        }
        self.all.note(what, &ours);
    }
}
